/* A loop: one thread that owns sockets, timers and everything built on them.
 *
 * An object belongs to one loop and is touched by that loop's thread alone; everyone else posts
 * a letter to its mailbox. Letters are embedded in what they are about, so posting never
 * allocates; a whole batch is taken per wake-up (order of posting is kept per poster).
 * No callback may block or run longer than a few milliseconds: loop lag is a metric.
 * libevent waits for readiness below; timers are a heap of ours, so that tests can shift time.
 */
#ifndef POSTERN_BASE_LOOP_H
#define POSTERN_BASE_LOOP_H

#include "gateway/base/clock.h"
#include "gateway/base/err.h"
#include "gateway/base/list.h"

#include <stdatomic.h>

struct loop;

/* ---- letters and mailboxes ---- */
struct letter {
	struct letter *next;
	void (*run)(struct letter *);
};

struct mailbox {
	_Atomic(struct letter *) head;
	int wake; /* eventfd */
};
void mailbox_init(struct mailbox *mb);
void mailbox_done(struct mailbox *mb);
void mailbox_post(struct mailbox *mb, struct letter *l); /* any thread */
struct letter *mailbox_take(struct mailbox *mb);         /* oldest first; may be NULL */
/* Owner without a loop (the store writer): blocks until something is there or the time is over.*/
void mailbox_wait(struct mailbox *mb, dur_t at_most);
/* The halves of posting: push says whether the box was empty, so that somebody must ring. */
bool mailbox_push(struct mailbox *mb, struct letter *l);
void mailbox_ring(struct mailbox *mb);
static inline bool mailbox_empty(struct mailbox *mb)
{
	return atomic_load_explicit(&mb->head, memory_order_relaxed) == NULL;
}

/* ---- loops ---- */
struct loop *loop_new(const char *name);
/* After the loop has ended and the workers have stopped. Letters still there are run first. */
void loop_free(struct loop **lp);
/* On the caller's thread until loop_stop; letters posted before that are still run. */
void loop_run(struct loop *l);
int loop_start(struct loop *l, struct err *e); /* on a thread of its own */
void loop_join(struct loop *l);
void loop_stop(struct loop *l); /* any thread */
struct loop *loop_self(void);   /* of this thread, or NULL */
const char *loop_name(const struct loop *l);
void loop_post(struct loop *l, struct letter *letter); /* any thread */
/* Runs at the end of this turn of the loop, before it sleeps (flushing, batching). Own thread. */
void loop_later(struct loop *l, struct letter *letter);
/* Runs in loop_free, for what outlives its owner (a lingering close); taken back by list_remove
 * on link. Own thread. */
struct loop_end {
	struct list link;
	void (*run)(struct loop_end *);
};
void loop_at_end(struct loop *l, struct loop_end *end);
mono_t loop_now(const struct loop *l); /* time of this turn; own thread */
/* Longest turn since the last call, for the lag metric. Any thread. */
dur_t loop_take_lag(struct loop *l);
/* Working space of LOOP_SCRATCH bytes. Streams show their input from it, so it is theirs while
 * an owner's callback runs. Own thread. */
enum { LOOP_SCRATCH = 64 * 1024 };
char *loop_scratch(struct loop *l);

/* ---- timers ---- */
struct timer {
	mono_t at;
	size_t place; /* in the heap + 1; 0: not set */
	void (*fire)(struct timer *);
};
void timer_set(struct loop *l, struct timer *t, mono_t at); /* sets or moves */
void timer_in(struct loop *l, struct timer *t, dur_t from_now);
void timer_cancel(struct loop *l, struct timer *t); /* harmless when not set */
static inline bool timer_is_set(const struct timer *t)
{
	return t->place != 0;
}

/* ---- readiness of descriptors ---- */
enum io_wait { IO_READ = 1, IO_WRITE = 2 };
struct io {
	int fd;
	void *event; /* libevent's, private */
	unsigned waits;
	void (*ready)(struct io *, unsigned what);
};
void io_open(struct loop *l, struct io *io, int fd, void (*ready)(struct io *, unsigned));
void io_wait_for(struct io *io, unsigned what); /* IO_READ | IO_WRITE; 0: nothing */
void io_close(struct io *io);                   /* forgets; does not close the descriptor */

/* ---- workers: a small pool for what blocks or is long ---- */
struct chore {
	struct letter letter;         /* private */
	struct loop *reply;           /* where done() runs */
	void (*call)(struct chore *); /* on a worker */
	void (*done)(struct chore *); /* on reply; may be NULL */
};
int workers_start(unsigned threads, struct err *e);
void workers_stop(void); /* finishes what is queued */
/* Any thread. Without workers (small tools, after the stop) call() runs here and now. */
void workers_do(struct chore *w);

#endif
