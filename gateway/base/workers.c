/* The pool of workers: threads for what blocks or is long. See loop.h.
 *
 * One queue under one mutex: work is coarse (a name lookup, a password hash), so contention does
 * not matter. Answers go back as letters to the loop that asked.
 */
#include "gateway/base/loop.h"
#include "gateway/base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

enum { WORKERS_MOST = 64 };

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct letter *first, **last;
	pthread_t threads[WORKERS_MOST];
	unsigned running;
	bool stop;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static void work_answer(struct letter *letter)
{
	struct chore *w = CONTAINER(letter, struct chore, letter);

	w->done(w);
}

static void work_run(struct chore *w)
{
	/* After call() the work may be its owner's again, if nobody waits for it. */
	bool answer = w->done && w->reply;

	w->call(w);
	if (answer) {
		w->letter.run = work_answer;
		loop_post(w->reply, &w->letter);
	}
}

static void *worker_main(void *arg)
{
	pthread_mutex_lock(&pool.lock);
	for (;;) {
		struct letter *l = pool.first;

		if (!l && pool.stop)
			break;
		if (!l) {
			pthread_cond_wait(&pool.more, &pool.lock);
			continue;
		}
		pool.first = l->next;
		if (!pool.first)
			pool.last = &pool.first;
		pthread_mutex_unlock(&pool.lock);
		work_run(CONTAINER(l, struct chore, letter));
		pthread_mutex_lock(&pool.lock);
	}
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

int workers_start(unsigned threads, struct err *e)
{
	sigset_t all, old;
	int rc = 0;

	CHECK(pool.running == 0 && threads > 0);
	if (threads > WORKERS_MOST)
		threads = WORKERS_MOST;
	pthread_mutex_lock(&pool.lock);
	pool.stop = false;
	pool.first = NULL;
	pool.last = &pool.first;
	pthread_mutex_unlock(&pool.lock);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (pool.running < threads && rc == 0) {
		pthread_mutex_lock(&pool.lock);
		rc = pthread_create(&pool.threads[pool.running], NULL, worker_main, NULL);
		if (rc == 0)
			pthread_setname_np(pool.threads[pool.running++], "worker");
		pthread_mutex_unlock(&pool.lock);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc) {
		workers_stop();
		return err_set(e, ERR_ENV, "start a worker thread: %s", strerrordesc_np(rc));
	}
	return 0;
}

void workers_stop(void)
{
	pthread_mutex_lock(&pool.lock);
	pool.stop = true;
	pthread_cond_broadcast(&pool.more);
	pthread_mutex_unlock(&pool.lock);
	for (unsigned i = 0; i < pool.running; i++)
		pthread_join(pool.threads[i], NULL);
	pthread_mutex_lock(&pool.lock);
	pool.running = 0;
	pthread_mutex_unlock(&pool.lock);
}

void workers_do(struct chore *w)
{
	pthread_mutex_lock(&pool.lock);
	if (pool.running == 0 || pool.stop) {
		pthread_mutex_unlock(&pool.lock);
		work_run(w);
		return;
	}
	w->letter.next = NULL;
	*pool.last = &w->letter;
	pool.last = &w->letter.next;
	pthread_cond_signal(&pool.more);
	pthread_mutex_unlock(&pool.lock);
}
