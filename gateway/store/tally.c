/* Figures that are asked for often: how much waits, in each channel and for each outlet.
 *
 * The writer adds and takes away as it commits; what was there at the start is counted once, in
 * the background, from a view of the file taken before the first batch. Then the store's metrics.
 */
#include "gateway/base/log.h"
#include "gateway/store/intern.h"

/* Under the lock, or on the writer (the only thread that adds). */
static struct tally *tally_of(struct store *s, uint32_t channel)
{
	for (unsigned i = 0; i < s->tally_n; i++)
		if (s->tallies[i]->channel == channel)
			return s->tallies[i];
	return NULL;
}

static struct tally *tally_make(struct store *s, uint32_t channel)
{
	struct tally *t = tally_of(s, channel);

	if (t)
		return t;
	t = mem_new(struct tally);
	t->channel = channel;
	s->tallies = mem_grow(s->tallies, (s->tally_n + 1) * sizeof(struct tally *));
	s->tallies[s->tally_n++] = t;
	return t;
}

static struct outlet_count *outlet_make(struct store *s, uint32_t outlet)
{
	struct outlet_count *o;

	for (unsigned i = 0; i < s->outlet_n; i++)
		if (s->outlets[i]->outlet == outlet)
			return s->outlets[i];
	o = mem_new(struct outlet_count);
	o->outlet = outlet;
	s->outlets = mem_grow(s->outlets, (s->outlet_n + 1) * sizeof(struct outlet_count *));
	s->outlets[s->outlet_n++] = o;
	return o;
}

void tally_queue(struct store *s, uint32_t channel, unsigned priority, int by)
{
	struct tally *t = s->tally_last;

	if (!t || t->channel != channel) {
		pthread_mutex_lock(&s->figures);
		t = s->tally_last = tally_make(s, channel);
		pthread_mutex_unlock(&s->figures);
	}
	t->pending[priority % PRIORITY_COUNT] += by;
	t->touched = true;
}

void tally_notes(struct store *s, uint32_t outlet, int by)
{
	struct outlet_count *o = s->outlet_last;

	if (!o || o->outlet != outlet) {
		pthread_mutex_lock(&s->figures);
		o = s->outlet_last = outlet_make(s, outlet);
		pthread_mutex_unlock(&s->figures);
	}
	o->pending += by;
}

void tally_commit(struct store *s, bool kept)
{
	pthread_mutex_lock(&s->figures);
	for (unsigned i = 0; i < s->tally_n; i++) {
		struct tally *t = s->tallies[i];

		if (!t->touched)
			continue;
		for (int p = 0; p < PRIORITY_COUNT; p++) {
			t->count[p] += kept ? t->pending[p] : 0;
			t->pending[p] = 0;
		}
		t->touched = false;
	}
	for (unsigned i = 0; i < s->outlet_n; i++) {
		s->outlets[i]->count += kept ? s->outlets[i]->pending : 0;
		s->outlets[i]->pending = 0;
	}
	pthread_mutex_unlock(&s->figures);
}

void tally_count(struct store *s, struct sql *db)
{
	struct sql_stmt *q = sql_prepare(db, "SELECT channel, prio, count(*) FROM q"
					     " GROUP BY channel, prio");
	mono_t start = clock_mono();
	uint64_t total = 0;
	int got = -1;

	while (q && (got = sql_step(q)) == 1) {
		pthread_mutex_lock(&s->figures);
		tally_make(s, (uint32_t)sql_col(q, 0))
			->count[(unsigned)sql_col(q, 1) % PRIORITY_COUNT] += sql_col(q, 2);
		pthread_mutex_unlock(&s->figures);
		total += (uint64_t)sql_col(q, 2);
	}
	sql_finish(&q);
	q = got < 0 ? NULL : sql_prepare(db, "SELECT outlet, count(*) FROM note GROUP BY outlet");
	got = -1;
	while (q && (got = sql_step(q)) == 1) {
		pthread_mutex_lock(&s->figures);
		outlet_make(s, (uint32_t)sql_col(q, 0))->count += sql_col(q, 1);
		pthread_mutex_unlock(&s->figures);
	}
	sql_finish(&q);
	if (got < 0) {
		log_warn("store queues not counted", F_STR("error", db->words));
		return;
	}
	pthread_mutex_lock(&s->figures);
	s->counted = true;
	pthread_mutex_unlock(&s->figures);
	if (total)
		log_info("store queues counted", F_U64("waiting", total),
			F_DUR("took", clock_mono() - start));
}

/* Of the rows next in line: the oldest in all but queues where much was put off. */
void tally_oldest(struct store *s)
{
	struct sql_stmt *q = s->q[Q_Q_OLDEST];

	for (unsigned i = 0;; i++) {
		struct tally *t;
		wall_t oldest = 0;

		pthread_mutex_lock(&s->figures);
		t = i < s->tally_n ? s->tallies[i] : NULL;
		pthread_mutex_unlock(&s->figures);
		if (!t)
			return;
		for (int p = 0; p < PRIORITY_COUNT; p++) {
			wall_t at;

			sql_int(q, 1, t->channel);
			sql_int(q, 2, p);
			if (sql_step(q) != 1)
				continue;
			at = id_time((uint64_t)sql_col(q, 0));
			sql_reset(q);
			if (!oldest || at < oldest)
				oldest = at;
		}
		pthread_mutex_lock(&s->figures);
		t->oldest = oldest;
		pthread_mutex_unlock(&s->figures);
	}
}

unsigned store_depths(struct store *s, struct store_depth *out, unsigned most, bool *counted_r)
{
	unsigned n = 0;

	pthread_mutex_lock(&s->figures);
	for (; n < s->tally_n && n < most; n++) {
		struct tally *t = s->tallies[n];

		out[n] = (struct store_depth){ .channel = t->channel, .oldest = t->oldest };
		for (int p = 0; p < PRIORITY_COUNT; p++)
			out[n].waiting[p] = t->count[p] > 0 ? (uint64_t)t->count[p] : 0;
	}
	if (counted_r)
		*counted_r = s->counted;
	pthread_mutex_unlock(&s->figures);
	return n;
}

uint64_t store_waiting(struct store *s, uint32_t channel)
{
	uint64_t n = 0;

	pthread_mutex_lock(&s->figures);
	for (unsigned i = 0; i < s->tally_n; i++)
		for (int p = 0; p < PRIORITY_COUNT && s->tallies[i]->channel == channel; p++)
			if (s->tallies[i]->count[p] > 0)
				n += (uint64_t)s->tallies[i]->count[p];
	pthread_mutex_unlock(&s->figures);
	return n;
}

uint64_t store_notes_waiting(struct store *s, uint32_t outlet)
{
	int64_t n = 0;

	pthread_mutex_lock(&s->figures);
	for (unsigned i = 0; i < s->outlet_n; i++)
		if (s->outlets[i]->outlet == outlet)
			n = s->outlets[i]->count;
	pthread_mutex_unlock(&s->figures);
	return n > 0 ? (uint64_t)n : 0;
}

void tally_open(struct store *s)
{
	struct store_stats *t = &s->stat;

#define COUNTER(m, what, help) stat_register(&t->m, STAT_COUNTER, what, help, NULL)
#define GAUGE(m, what, help)   stat_register(&t->m, STAT_GAUGE, what, help, NULL)
	COUNTER(ops, "postern_store_operations_total", "Operations committed.");
	COUNTER(commits, "postern_store_commits_total", "Transactions committed, each one fsync.");
	COUNTER(failures, "postern_store_failures_total", "Batches that could not be committed.");
	COUNTER(refused, "postern_store_refused_total", "Messages refused: store full or broken.");
	COUNTER(orphans, "postern_store_receipts_parked_total",
		"Receipts that matched nothing when they came.");
	COUNTER(orphans_lost, "postern_store_receipts_unknown_total",
		"Parked receipts given up: nothing ever matched.");
	COUNTER(mo_alone, "postern_store_subscriber_messages_incomplete_total",
		"Subscribers' messages of which some parts never came: handed over in pieces.");
	COUNTER(repeats, "postern_store_receipts_repeated_total",
		"Receipts that brought nothing new.");
	COUNTER(purged, "postern_store_purged_total", "Messages removed after the retention.");
	GAUGE(batch, "postern_store_batch_operations", "Operations in the last commit.");
	GAUGE(wal, "postern_store_wal_bytes", "Length of the write-ahead log in use.");
	GAUGE(box, "postern_store_pending_operations", "Operations that wait for the writer.");
	GAUGE(health, "postern_store_health", "0 works, 1 disk full, 2 broken.");
	GAUGE(awaited, "postern_store_awaited_young", "Awaited receipts held in memory.");
	t->commit_time.hist = &t->commit_hist;
	stat_register(&t->commit_time, STAT_HISTOGRAM, "postern_store_commit_seconds",
		"Time of a commit with its fsync.", NULL);
	t->batch_time.hist = &t->batch_hist;
	stat_register(&t->batch_time, STAT_HISTOGRAM, "postern_store_batch_seconds",
		"Time of a whole batch, commit included.", NULL);
	t->checkpoint_time.hist = &t->checkpoint_hist;
	stat_register(&t->checkpoint_time, STAT_HISTOGRAM, "postern_store_checkpoint_seconds",
		"Time of a checkpoint.", NULL);
#undef COUNTER
#undef GAUGE
}

void tally_close(struct store *s)
{
	struct store_stats *t = &s->stat;
	struct stat_cell *all[] = { &t->ops, &t->commits, &t->failures, &t->refused, &t->orphans,
		&t->orphans_lost, &t->mo_alone, &t->repeats, &t->purged, &t->batch, &t->wal,
		&t->box, &t->health, &t->awaited, &t->commit_time, &t->batch_time,
		&t->checkpoint_time };

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		stat_unregister(all[i]);
	for (unsigned i = 0; i < s->tally_n; i++)
		mem_free(&s->tallies[i]);
	mem_free(&s->tallies);
	for (unsigned i = 0; i < s->outlet_n; i++)
		mem_free(&s->outlets[i]);
	mem_free(&s->outlets);
}
