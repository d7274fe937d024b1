/* The loop: readiness from libevent, timers from a heap of ours, letters from the mailbox.
 *
 * One turn: wait (until something is ready, a letter comes or the first timer is due), serve what
 * is ready, run the letters taken in one batch, fire what is due, then run what was put off to the
 * end of the turn. libevent's base belongs to the loop's thread alone and is never locked; other
 * threads reach the loop by its mailbox only.
 */
#include "gateway/base/loop.h"
#include "gateway/base/mem.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

enum {
	LATER_ROUNDS = 16, /* letters put off by letters put off, within one turn */
	TIMERS_FIRST = 64,
};

struct loop {
	struct event_base *base;
	struct mailbox mail;
	struct event mail_event, alarm;
	mono_t alarm_at; /* what libevent's one timer waits for; 0: not set */
	mono_t now;
	bool fresh; /* now was read after this turn's wait */
	struct timer **heap;
	size_t timers, timers_cap;
	struct letter *later, **later_end;
	_Atomic bool stop, shifted;
	_Atomic dur_t lag;
	char *scratch;
	pthread_t thread;
	bool started;
	struct list all, ends;
	char name[16];
};

static _Thread_local struct loop *self;

/* All loops, so that a shift of the clock reaches those asleep. */
static pthread_mutex_t loops_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list loops = { &loops, &loops };

static void loops_shifted(void)
{
	pthread_mutex_lock(&loops_lock);
	list_each (it, &loops) {
		struct loop *l = CONTAINER(it, struct loop, all);

		atomic_store(&l->shifted, true);
		mailbox_ring(&l->mail);
	}
	pthread_mutex_unlock(&loops_lock);
}

static void loop_freshen(struct loop *l)
{
	if (l->fresh)
		return;
	l->now = clock_mono();
	l->fresh = true;
}

/* ---- timers: a binary heap, the earliest first; place is the index + 1 ---- */

static void heap_put(struct loop *l, size_t i, struct timer *t)
{
	l->heap[i] = t;
	t->place = i + 1;
}

static void heap_up(struct loop *l, size_t i, struct timer *t)
{
	while (i > 0 && l->heap[(i - 1) / 2]->at > t->at) {
		heap_put(l, i, l->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_put(l, i, t);
}

static void heap_down(struct loop *l, size_t i, struct timer *t)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < l->timers && l->heap[child + 1]->at < l->heap[child]->at)
			child++;
		if (child >= l->timers || l->heap[child]->at >= t->at)
			break;
		heap_put(l, i, l->heap[child]);
		i = child;
	}
	heap_put(l, i, t);
}

static void heap_settle(struct loop *l, size_t i, struct timer *t)
{
	if (i > 0 && l->heap[(i - 1) / 2]->at > t->at)
		heap_up(l, i, t);
	else
		heap_down(l, i, t);
}

void timer_set(struct loop *l, struct timer *t, mono_t at)
{
	t->at = at;
	if (t->place) {
		heap_settle(l, t->place - 1, t);
		return;
	}
	if (l->timers == l->timers_cap) {
		l->timers_cap = l->timers_cap ? 2 * l->timers_cap : TIMERS_FIRST;
		l->heap = mem_grow(l->heap, l->timers_cap * sizeof(struct timer *));
	}
	l->timers++;
	heap_up(l, l->timers - 1, t);
}

void timer_in(struct loop *l, struct timer *t, dur_t from_now)
{
	timer_set(l, t, loop_now(l) + from_now);
}

void timer_cancel(struct loop *l, struct timer *t)
{
	size_t i = t->place - 1;
	struct timer *last;

	if (!t->place)
		return;
	CHECK(i < l->timers && l->heap[i] == t);
	t->place = 0;
	last = l->heap[--l->timers];
	if (last != t)
		heap_settle(l, i, last);
}

static void loop_fire(struct loop *l)
{
	/* A timer that sets itself again for now gets its turn in the next one. */
	size_t most = l->timers;

	while (most-- && l->timers && l->heap[0]->at <= l->now) {
		struct timer *t = l->heap[0];

		timer_cancel(l, t);
		t->fire(t);
	}
}

/* ---- readiness ---- */

static void io_event(evutil_socket_t fd, short what, void *arg)
{
	struct io *io = arg;

	loop_freshen(self);
	io->ready(io, (what & EV_READ ? IO_READ : 0u) | (what & EV_WRITE ? IO_WRITE : 0u));
}

void io_open(struct loop *l, struct io *io, int fd, void (*ready)(struct io *, unsigned))
{
	io->fd = fd;
	io->ready = ready;
	io->waits = 0;
	io->event = event_new(l->base, fd, EV_PERSIST, io_event, io);
	CHECK(io->event);
}

void io_wait_for(struct io *io, unsigned what)
{
	struct event *ev = io->event;
	short events = EV_PERSIST;

	if (what == io->waits)
		return;
	if (io->waits)
		event_del(ev);
	io->waits = what;
	if (!what)
		return;
	events |= (short)((what & IO_READ ? EV_READ : 0) | (what & IO_WRITE ? EV_WRITE : 0));
	event_assign(ev, event_get_base(ev), io->fd, events, io_event, io);
	CHECK(event_add(ev, NULL) == 0);
}

void io_close(struct io *io)
{
	if (!io->event)
		return;
	event_free(io->event); /* deletes it first */
	io->event = NULL;
	io->waits = 0;
}

/* ---- letters ---- */

void loop_post(struct loop *l, struct letter *letter)
{
	/* Its own thread is awake, and looks into the box before it sleeps. */
	if (mailbox_push(&l->mail, letter) && self != l)
		mailbox_ring(&l->mail);
}

void loop_later(struct loop *l, struct letter *letter)
{
	letter->next = NULL;
	*l->later_end = letter;
	l->later_end = &letter->next;
}

void loop_at_end(struct loop *l, struct loop_end *end)
{
	list_append(&l->ends, &end->link);
}

static void letters_run(struct letter *letter)
{
	while (letter) {
		struct letter *next = letter->next; /* run() may free or post it again */

		letter->run(letter);
		letter = next;
	}
}

static void loop_run_later(struct loop *l)
{
	for (int round = 0; l->later && round < LATER_ROUNDS; round++) {
		struct letter *batch = l->later;

		l->later = NULL;
		l->later_end = &l->later;
		letters_run(batch);
	}
}

/* ---- turns ---- */

static void mail_came(evutil_socket_t fd, short what, void *arg)
{
	/* Edge-triggered: nothing to read, the box is looked into every turn. */
	loop_freshen(arg);
}

static void alarm_rang(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	loop_freshen(l);
	l->alarm_at = 0;
}

/* libevent's timer is moved only when it would ring too late; too early costs one idle turn. */
static void alarm_set(struct loop *l)
{
	mono_t at;
	dur_t in;
	struct timeval tv;

	if (!l->timers)
		return;
	at = l->heap[0]->at;
	if (l->alarm_at > l->now && l->alarm_at <= at)
		return;
	in = at - l->now;
	tv.tv_sec = (time_t)(in / DUR_S);
	tv.tv_usec = (suseconds_t)((in % DUR_S + DUR_US - 1) / DUR_US);
	if (tv.tv_usec == 1000000) {
		tv.tv_sec++;
		tv.tv_usec = 0;
	}
	CHECK(event_add(&l->alarm, &tv) == 0);
	l->alarm_at = at;
}

static void loop_wait(struct loop *l)
{
	int flags = EVLOOP_ONCE;

	if (atomic_exchange(&l->shifted, false)) {
		l->alarm_at = 0;
		l->now = clock_mono();
	}
	if (l->later || !mailbox_empty(&l->mail) || (l->timers && l->heap[0]->at <= l->now))
		flags |= EVLOOP_NONBLOCK;
	else
		alarm_set(l);
	l->fresh = false;
	CHECK(event_base_loop(l->base, flags) >= 0);
	loop_freshen(l);
}

static void loop_turn(struct loop *l)
{
	mono_t start;
	dur_t took;

	loop_wait(l);
	start = l->now;
	letters_run(mailbox_take(&l->mail));
	if (l->timers)
		loop_fire(l);
	loop_run_later(l);
	l->now = clock_mono();
	took = l->now - start;
	if (took > atomic_load_explicit(&l->lag, memory_order_relaxed))
		atomic_store_explicit(&l->lag, took, memory_order_relaxed);
}

/* Everything posted before the end is still run, so that nothing is lost or leaked by it. */
static void loop_finish(struct loop *l)
{
	for (int round = 0; round < LATER_ROUNDS; round++) {
		letters_run(mailbox_take(&l->mail));
		loop_run_later(l);
	}
}

void loop_run(struct loop *l)
{
	struct loop *outer = self;

	self = l;
	l->now = clock_mono();
	while (!atomic_load_explicit(&l->stop, memory_order_acquire))
		loop_turn(l);
	loop_finish(l);
	atomic_store(&l->stop, false);
	self = outer;
}

static void *loop_main(void *arg)
{
	loop_run(arg);
	return NULL;
}

int loop_start(struct loop *l, struct err *e)
{
	sigset_t all, old;
	int rc;

	CHECK(!l->started);
	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&l->thread, NULL, loop_main, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return err_set(e, ERR_ENV, "start the thread of loop %s: %s", l->name,
			strerrordesc_np(rc));
	l->started = true;
	pthread_setname_np(l->thread, l->name);
	return 0;
}

void loop_join(struct loop *l)
{
	if (!l->started)
		return;
	pthread_join(l->thread, NULL);
	l->started = false;
}

void loop_stop(struct loop *l)
{
	atomic_store_explicit(&l->stop, true, memory_order_release);
	mailbox_ring(&l->mail);
}

struct loop *loop_new(const char *name)
{
	struct loop *l = mem_new(struct loop);
	struct event_config *cfg = event_config_new();

	CHECK(cfg);
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
	l->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	CHECK(l->base);
	str_copy(l->name, sizeof l->name, str_of(name));
	l->later_end = &l->later;
	list_init(&l->ends);
	l->now = clock_mono();
	mailbox_init(&l->mail);
	event_assign(
		&l->mail_event, l->base, l->mail.wake, EV_READ | EV_PERSIST | EV_ET, mail_came, l);
	event_add(&l->mail_event, NULL);
	event_assign(&l->alarm, l->base, -1, 0, alarm_rang, l);
	clock_watch(loops_shifted);
	pthread_mutex_lock(&loops_lock);
	list_append(&loops, &l->all);
	pthread_mutex_unlock(&loops_lock);
	return l;
}

void loop_free(struct loop **lp)
{
	struct loop *l = *lp, *outer = self;

	if (!l)
		return;
	CHECK(!l->started);
	pthread_mutex_lock(&loops_lock);
	list_remove(&l->all);
	pthread_mutex_unlock(&loops_lock);
	self = l;
	while (!list_empty(&l->ends)) {
		struct loop_end *end = list_first(&l->ends, struct loop_end, link);

		list_remove(&end->link);
		end->run(end);
	}
	loop_finish(l);
	self = outer == l ? NULL : outer;
	event_del(&l->mail_event);
	event_del(&l->alarm);
	event_base_free(l->base);
	mailbox_done(&l->mail);
	mem_free(&l->heap);
	mem_free(&l->scratch);
	mem_free(lp);
}

struct loop *loop_self(void)
{
	return self;
}

const char *loop_name(const struct loop *l)
{
	return l->name;
}

mono_t loop_now(const struct loop *l)
{
	/* Before the loop runs (set-up, tests) there is no turn to have a time. */
	return self == l ? l->now : clock_mono();
}

dur_t loop_take_lag(struct loop *l)
{
	return atomic_exchange_explicit(&l->lag, 0, memory_order_relaxed);
}

char *loop_scratch(struct loop *l)
{
	if (!l->scratch)
		l->scratch = mem_raw(LOOP_SCRATCH);
	return l->scratch;
}
