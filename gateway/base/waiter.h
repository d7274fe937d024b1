/* Waiting on a thread that may block for something a loop will do: control threads and workers
 * only, never a loop. */
#ifndef POSTERN_BASE_WAITER_H
#define POSTERN_BASE_WAITER_H

#include "gateway/base/loop.h"

#include <semaphore.h>

struct waiter {
	sem_t sem;
};
void waiter_init(struct waiter *w);
void waiter_signal(struct waiter *w); /* any thread; the waiter may be gone afterwards */
void waiter_wait(struct waiter *w);   /* and ends it */
bool waiter_wait_for(struct waiter *w, dur_t at_most); /* false: not yet; the waiter still lives */

/* Runs fn(arg) on the loop and returns when it has run. */
void loop_call(struct loop *l, void (*fn)(void *arg), void *arg);

#endif
