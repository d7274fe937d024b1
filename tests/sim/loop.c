/* The epoll loop: rounds of events, a handful of timers, signals as events. */
#include "tests/sim/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

void sim_loop_init(struct sim_loop *l)
{
	*l = (struct sim_loop){ .ep = epoll_create1(EPOLL_CLOEXEC), .now = sim_mono() };
	CHECK(l->ep >= 0);
	signal(SIGPIPE, SIG_IGN);
}

void sim_loop_watch(struct sim_loop *l, struct sim_watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };
	if (epoll_ctl(l->ep, EPOLL_CTL_MOD, w->fd, &ev) < 0)
		CHECK(errno == ENOENT && epoll_ctl(l->ep, EPOLL_CTL_ADD, w->fd, &ev) == 0);
}

void sim_loop_timer(struct sim_loop *l, struct sim_timer *t, void (*fire)(struct sim_timer *),
	void *of, uint64_t due)
{
	*t = (struct sim_timer){ .due = due, .fire = fire, .of = of, .next = l->timers };
	l->timers = t;
}

/* A few timers per process, so the list is walked each round rather than kept sorted. */
static int loop_patience(struct sim_loop *l)
{
	uint64_t due = UINT64_MAX;
	for (struct sim_timer *t = l->timers; t; t = t->next)
		if (t->due < due)
			due = t->due;
	if (due == UINT64_MAX)
		return -1;
	uint64_t now = sim_mono();
	return due <= now ? 0 : due - now > 60 * SIM_S ? 60000 : (int)((due - now) / SIM_MS) + 1;
}

static void loop_round_end(struct sim_loop *l)
{
	while (l->dirty) {
		struct sim_conn *c = l->dirty;
		l->dirty = c->next_dirty;
		c->is_dirty = false;
		if (!c->is_dead)
			sim_conn_flush(c);
	}
	while (l->dead) {
		struct sim_conn *c = l->dead;
		l->dead = c->next_dead;
		mem_free(&c->in);
		buf_free(&c->out);
		mem_free(&c);
	}
}

void sim_loop_run(struct sim_loop *l)
{
	struct epoll_event ev[256];
	while (!l->stop) {
		int n = epoll_wait(l->ep, ev, 256, loop_patience(l));
		l->now = sim_mono();
		for (int i = 0; i < n; i++) {
			struct sim_watch *w = ev[i].data.ptr;
			w->ready(w, ev[i].events);
		}
		for (struct sim_timer *t = l->timers; t; t = t->next)
			if (t->due <= l->now) {
				t->due = UINT64_MAX;
				t->fire(t);
			}
		loop_round_end(l);
	}
	loop_round_end(l);
}

struct signals {
	struct sim_watch watch;
	void (*quit)(void *);
	void (*usr1)(void *);
	void *of;
	bool asked;
};

static void signals_ready(struct sim_watch *w, uint32_t events)
{
	struct signals *s = (struct signals *)w;
	struct signalfd_siginfo si;
	while (read(w->fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGUSR1) {
			if (s->usr1)
				s->usr1(s->of);
			continue;
		}
		if (s->asked)
			_exit(128 + (int)si.ssi_signo);
		s->asked = true;
		s->quit(s->of);
	}
}

void sim_loop_signals(struct sim_loop *l, void (*quit)(void *), void (*usr1)(void *), void *of)
{
	static struct signals s; /* signals are the process's, so there is one */
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s = (struct signals){ .quit = quit, .usr1 = usr1, .of = of };
	s.watch.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	s.watch.ready = signals_ready;
	CHECK(s.watch.fd >= 0);
	sim_loop_watch(l, &s.watch, EPOLLIN);
}
