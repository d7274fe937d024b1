/* The keeper's thread: checkpoints beside the writer, the first count of the queues, and the
 * removal of big bodies that no message names any more.
 *
 * While the writer goes on, a passive checkpoint moves what is committed so far from the log into
 * the file; only the little that came meanwhile is left, and once the log is long enough the
 * writer is asked to move that itself between two batches, so that the log starts afresh at its
 * beginning and its size stays bounded. Readers that hold an old view delay this; a backup does so
 * for as long as it takes.
 */
#include "gateway/base/log.h"
#include "gateway/store/intern.h"

#include <errno.h>
#include <time.h>

enum {
	LOG_TURN = 48 << 20,   /* from this length on the log is to start afresh */
	LOG_AGAIN = 24 << 20,  /* so much left over: once more at once */
	LOG_LITTLE = 1 << 20,  /* not worth the trouble while idle */
	LOG_LONG = 1024 << 20, /* something holds it: say so */
	IDLE_SECONDS = 10,
};

void keeper_wake(struct store *s)
{
	pthread_mutex_lock(&s->keep);
	s->keep_wanted = true;
	pthread_cond_signal(&s->keep_go);
	pthread_mutex_unlock(&s->keep);
}

/* True: there is something to do, a checkpoint perhaps; false: the end. */
static bool keeper_wait(struct store *s, bool *checkpoint_r)
{
	struct timespec t;
	bool go;

	t.tv_nsec = 0;
	*checkpoint_r = false;
	pthread_mutex_lock(&s->keep);
	while (!s->keep_wanted && !s->keep_stop && !bodies_waiting(s)) {
		/* the condition runs on the monotonic clock (store.c) */
		t.tv_sec = (time_t)(clock_mono() / DUR_S) + IDLE_SECONDS;
		if (pthread_cond_timedwait(&s->keep_go, &s->keep, &t) == ETIMEDOUT &&
			atomic_load(&s->log_size) > s->keep_size + LOG_LITTLE) {
			*checkpoint_r = true;
			break;
		}
	}
	go = !s->keep_stop;
	*checkpoint_r |= s->keep_wanted;
	s->keep_wanted = false;
	pthread_mutex_unlock(&s->keep);
	return go;
}

void *keeper_run(void *arg)
{
	struct store *s = arg;
	struct log_quiet failing = { 0 }, growing = { 0 };
	unsigned held;
	bool checkpoint;

	tally_count(s, s->ck);
	sql_rollback(s->ck);
	while (keeper_wait(s, &checkpoint)) {
		mono_t start = clock_mono();
		uint64_t log = 0, done = 0, size;

		bodies_remove(s);
		if (!checkpoint)
			continue;
		if (s->ck->driver->checkpoint(s->ck, false, &log, &done) < 0) {
			if (log_due(&failing, &held))
				log_warn("store checkpoint failed", F_STR("error", s->ck->words));
			continue;
		}
		stat_observe(&s->stat.checkpoint_time, clock_mono() - start);
		s->keep_size = size = atomic_load(&s->log_size);
		if (size > LOG_LONG && log_due(&growing, &held))
			log_warn("store log grows", F_U64("bytes", size),
				F_STR("why", "a reader or a backup holds an old view"));
		if (size > done + s->conf.log_turn / 2 && size < LOG_LONG)
			keeper_wake(s);
		else if (size >= s->conf.log_turn || atomic_load(&s->scrub))
			atomic_store(&s->rest_wanted, true);
	}
	return NULL;
}
