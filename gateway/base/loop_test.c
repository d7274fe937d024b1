/* The loop, its timers, its mailbox and the workers. */
#include "gateway/base/loop.h"
#include "gateway/base/mem.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- timers ---- */

enum { MANY = 2000 };
struct tick {
	struct timer t;
	struct loop *l;
	bool fired;
};
static mono_t last_fired;
static unsigned fired, fire_stop;

static void tick_fire(struct timer *t)
{
	struct tick *k = CONTAINER(t, struct tick, t);

	assert_false(k->fired);
	assert_false(timer_is_set(t));
	assert_true(t->at >= last_fired);
	assert_true(t->at <= loop_now(k->l));
	last_fired = t->at;
	k->fired = true;
	if (++fired == fire_stop)
		loop_stop(k->l);
}

static void timers_fire_in_order(void **state)
{
	struct loop *l = loop_new("test");
	struct tick *k = mem_alloc(MANY * sizeof *k);
	mono_t now = clock_mono();
	unsigned cancelled = 0;

	srand(7);
	last_fired = 0;
	fired = 0;
	for (int i = 0; i < MANY; i++) {
		k[i].l = l;
		k[i].t.fire = tick_fire;
		timer_set(l, &k[i].t, now + rand() % (50 * DUR_MS));
	}
	for (int i = 0; i < MANY; i += 3) {
		timer_cancel(l, &k[i].t);
		timer_cancel(l, &k[i].t);
		cancelled++;
	}
	for (int i = 1; i < MANY; i += 3) /* moved, both ways */
		timer_set(l, &k[i].t, now + rand() % (50 * DUR_MS));
	fire_stop = MANY - cancelled;
	loop_run(l);
	assert_int_equal(fired, MANY - cancelled);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(k[i].fired, i % 3 != 0);
	assert_true(clock_mono() - now < 5 * DUR_S);
	loop_free(&l);
	mem_free(&k);
}

struct again {
	struct timer t;
	struct loop *l;
	int n;
};

static void again_fire(struct timer *t)
{
	struct again *a = CONTAINER(t, struct again, t);

	if (++a->n < 100)
		timer_set(a->l, t, loop_now(a->l)); /* due at once: must not starve the loop */
	else
		loop_stop(a->l);
}

static void timer_sets_itself(void **state)
{
	struct loop *l = loop_new("test");
	struct again a = { .t.fire = again_fire, .l = l };

	timer_in(l, &a.t, 0);
	loop_run(l);
	assert_int_equal(a.n, 100);
	loop_free(&l);
}

static void shift_wakes_sleepers(void **state)
{
	struct loop *l = loop_new("test");
	struct tick k = { .l = l, .t.fire = tick_fire };
	struct tick far = { .l = l, .t.fire = tick_fire };
	mono_t start;
	struct err e;

	fired = 0;
	fire_stop = 1;
	last_fired = 0;
	timer_in(l, &k.t, DUR_DAY);
	timer_in(l, &far.t, 3 * DUR_DAY);
	assert_int_equal(loop_start(l, &e), 0);
	usleep(20000); /* asleep for a day by now, most likely; correct either way */
	start = clock_mono();
	clock_shift(DUR_DAY);
	loop_join(l);
	assert_int_equal(fired, 1);
	assert_true(clock_mono() - start < DUR_DAY + 5 * DUR_S);
	assert_true(timer_is_set(&far.t));
	timer_cancel(l, &far.t);
	loop_free(&l);
}

/* ---- letters ---- */

enum { POSTERS = 4, LETTERS = 250000 };
struct post {
	struct letter l;
	unsigned poster, seq;
};
static struct loop *post_loop;
static unsigned next_seq[POSTERS];
static uint64_t posts_seen;

static void post_run(struct letter *l)
{
	struct post *p = CONTAINER(l, struct post, l);

	assert_ptr_equal(loop_self(), post_loop);
	assert_int_equal(p->seq, next_seq[p->poster]);
	next_seq[p->poster]++;
	posts_seen++;
	mem_free(&p); /* freeing inside run is allowed */
	if (posts_seen == (uint64_t)POSTERS * LETTERS)
		loop_stop(post_loop);
}

static void *poster(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < LETTERS; i++) {
		struct post *p = mem_new(struct post);

		p->l.run = post_run;
		p->poster = me;
		p->seq = i;
		loop_post(post_loop, &p->l);
	}
	return NULL;
}

static void letters_from_many_threads(void **state)
{
	pthread_t t[POSTERS];
	struct err e;

	post_loop = loop_new("a name longer than fits");
	assert_string_equal(loop_name(post_loop), "a name longer t");
	assert_int_equal(loop_start(post_loop, &e), 0);
	for (uintptr_t i = 0; i < POSTERS; i++)
		pthread_create(&t[i], NULL, poster, (void *)i);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(t[i], NULL);
	loop_join(post_loop);
	assert_int_equal(posts_seen, (uint64_t)POSTERS * LETTERS);
	loop_free(&post_loop);
	assert_null(post_loop);
}

/* Two loops hit one letter to and fro: the wake-up from empty to non-empty must never be lost. */
struct ball {
	struct letter l;
	struct loop *court[2];
	unsigned hits;
};
enum { HITS = 20000 };

static void ball_run(struct letter *l)
{
	struct ball *b = CONTAINER(l, struct ball, l);
	unsigned side = ++b->hits % 2;

	if (b->hits >= HITS) {
		loop_stop(b->court[0]);
		loop_stop(b->court[1]);
		return;
	}
	loop_post(b->court[side], l);
}

static void ping_pong(void **state)
{
	struct ball b = { .l.run = ball_run };
	struct err e;

	b.court[0] = loop_new("left");
	b.court[1] = loop_new("right");
	assert_int_equal(loop_start(b.court[0], &e), 0);
	assert_int_equal(loop_start(b.court[1], &e), 0);
	loop_post(b.court[0], &b.l);
	loop_join(b.court[0]);
	loop_join(b.court[1]);
	assert_int_equal(b.hits, HITS);
	loop_free(&b.court[0]);
	loop_free(&b.court[1]);
}

struct step {
	struct letter l;
	struct loop *loop;
	char name;
	struct step *then;
};
static char steps[64];
static size_t steps_n;

static void step_run(struct letter *l)
{
	struct step *s = CONTAINER(l, struct step, l);

	steps[steps_n++] = s->name;
	if (s->then)
		loop_later(s->loop, &s->then->l);
}

static void stop_run(struct letter *l)
{
	steps[steps_n++] = '.';
	loop_stop(loop_self());
}

static void later_runs_last_in_order(void **state)
{
	struct loop *l = loop_new("test");
	struct step c = { { .run = step_run }, l, 'c', NULL };
	struct step b = { { .run = step_run }, l, 'b', NULL };
	struct step a = { { .run = step_run }, l, 'a', &c };
	struct step two = { { .run = step_run }, l, '2', &b };
	struct step one = { { .run = step_run }, l, '1', &a };
	struct letter stop = { .run = stop_run };

	loop_post(l, &one.l);
	loop_post(l, &two.l);
	loop_post(l, &stop);
	loop_run(l);
	assert_memory_equal(steps, "12.abc", 6);
	assert_int_equal(steps_n, 6);
	loop_free(&l);
}

/* A loop can be stopped before it runs, and run again. */
static void stop_before_run(void **state)
{
	struct loop *l = loop_new("test");
	struct letter stop = { .run = stop_run };

	loop_stop(l);
	loop_run(l);
	loop_post(l, &stop);
	loop_run(l);
	loop_free(&l);
}

static void nap_run(struct letter *l)
{
	usleep(30000);
	loop_stop(loop_self());
}

static void lag_is_the_longest_turn(void **state)
{
	struct loop *l = loop_new("test");
	struct letter nap = { .run = nap_run };

	loop_post(l, &nap);
	loop_run(l);
	assert_true(loop_take_lag(l) >= 30 * DUR_MS);
	assert_int_equal(loop_take_lag(l), 0);
	loop_free(&l);
}

static void *late_post(void *arg)
{
	static struct letter l;

	usleep(20000);
	mailbox_post(arg, &l);
	return NULL;
}

static void mailbox_waits(void **state)
{
	struct mailbox mb;
	pthread_t t;
	mono_t start = clock_mono();

	mailbox_init(&mb);
	mailbox_wait(&mb, 20 * DUR_MS);
	assert_null(mailbox_take(&mb));
	assert_true(clock_mono() - start >= 20 * DUR_MS);
	pthread_create(&t, NULL, late_post, &mb);
	mailbox_wait(&mb, DUR_MIN);
	assert_non_null(mailbox_take(&mb));
	assert_null(mailbox_take(&mb));
	pthread_join(t, NULL);
	mailbox_done(&mb);
}

/* ---- readiness ---- */

struct pipe_end {
	struct io io;
	struct loop *l;
	int out, reads, writes;
};

static void pipe_read(struct io *io, unsigned what)
{
	struct pipe_end *p = CONTAINER(io, struct pipe_end, io);
	char c;

	assert_int_equal(what, IO_READ);
	assert_int_equal(read(io->fd, &c, 1), 1);
	if (++p->reads == 3) {
		io_close(io);
		loop_stop(p->l);
	}
}

static void pipe_write(struct io *io, unsigned what)
{
	struct pipe_end *p = CONTAINER(io, struct pipe_end, io);

	assert_int_equal(what, IO_WRITE);
	assert_int_equal(write(io->fd, "x", 1), 1);
	if (++p->writes == 3)
		io_wait_for(io, 0);
}

static void io_tells_readiness(void **state)
{
	struct loop *l = loop_new("test");
	struct pipe_end r = { .l = l }, w = { .l = l };
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	io_open(l, &r.io, fd[0], pipe_read);
	io_open(l, &w.io, fd[1], pipe_write);
	io_wait_for(&r.io, IO_READ);
	io_wait_for(&w.io, IO_WRITE);
	loop_run(l);
	assert_int_equal(r.reads, 3);
	assert_int_equal(w.writes, 3);
	io_close(&w.io);
	close(fd[0]);
	close(fd[1]);
	loop_free(&l);
}

/* ---- workers ---- */

enum { JOBS = 200 };
struct job {
	struct chore w;
	struct loop *l;
	pthread_t by;
	int n;
};
static int jobs_done;

static void job_call(struct chore *w)
{
	struct job *j = CONTAINER(w, struct job, w);

	j->by = pthread_self();
	j->n++;
}

static void job_done(struct chore *w)
{
	struct job *j = CONTAINER(w, struct job, w);

	assert_ptr_equal(loop_self(), j->l);
	assert_int_equal(j->n, 1);
	assert_false(pthread_equal(j->by, pthread_self()));
	if (++jobs_done == JOBS)
		loop_stop(j->l);
}

static void job_free(struct chore *w)
{
	struct job *j = CONTAINER(w, struct job, w);

	mem_free(&j);
}

static void workers_work(void **state)
{
	struct loop *l = loop_new("test");
	struct job jobs[JOBS] = { 0 };
	struct err e;

	assert_int_equal(workers_start(3, &e), 0);
	for (int i = 0; i < JOBS; i++) {
		struct job *alone = mem_new(struct job);

		jobs[i].l = l;
		jobs[i].w = (struct chore){ .reply = l, .call = job_call, .done = job_done };
		workers_do(&jobs[i].w);
		alone->w.call = job_free;
		workers_do(&alone->w);
	}
	loop_run(l);
	workers_stop();
	assert_int_equal(jobs_done, JOBS);
	loop_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_in_order),
		cmocka_unit_test(timer_sets_itself),
		cmocka_unit_test(shift_wakes_sleepers),
		cmocka_unit_test(letters_from_many_threads),
		cmocka_unit_test(ping_pong),
		cmocka_unit_test(later_runs_last_in_order),
		cmocka_unit_test(stop_before_run),
		cmocka_unit_test(lag_is_the_longest_turn),
		cmocka_unit_test(mailbox_waits),
		cmocka_unit_test(io_tells_readiness),
		cmocka_unit_test(workers_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
