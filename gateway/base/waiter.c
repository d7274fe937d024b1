/* Blocking waits. See waiter.h. */
#include "gateway/base/waiter.h"

#include <errno.h>
#include <time.h>

void waiter_init(struct waiter *w)
{
	CHECK(sem_init(&w->sem, 0, 0) == 0);
}

void waiter_signal(struct waiter *w)
{
	sem_post(&w->sem);
}

void waiter_wait(struct waiter *w)
{
	while (sem_wait(&w->sem) != 0)
		CHECK(errno == EINTR);
	sem_destroy(&w->sem);
}

bool waiter_wait_for(struct waiter *w, dur_t at_most)
{
	struct timespec until;
	int64_t ns;

	clock_gettime(CLOCK_REALTIME, &until);
	ns = until.tv_nsec + at_most % DUR_S;
	until.tv_sec += at_most / DUR_S + ns / DUR_S;
	until.tv_nsec = ns % DUR_S;
	while (sem_timedwait(&w->sem, &until) != 0) {
		if (errno == ETIMEDOUT)
			return false;
		CHECK(errno == EINTR);
	}
	sem_destroy(&w->sem);
	return true;
}

struct call {
	struct letter letter;
	struct waiter waiter;
	void (*fn)(void *arg);
	void *arg;
};

static void call_run(struct letter *l)
{
	struct call *c = CONTAINER(l, struct call, letter);

	c->fn(c->arg);
	waiter_signal(&c->waiter);
}

void loop_call(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct call c = { .letter.run = call_run, .fn = fn, .arg = arg };

	CHECK(loop_self() != l);
	waiter_init(&c.waiter);
	loop_post(l, &c.letter);
	waiter_wait(&c.waiter);
}
