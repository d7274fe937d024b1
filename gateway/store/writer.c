/* The writer's thread: it drains the mailbox into one transaction, commits, and only then answers.
 *
 * What came while the last commit ran makes the next batch, so batches grow with load and an idle
 * store commits at once. When a batch fails it is rolled back whole; what memory held of it is
 * read anew; acceptances in it are refused; the rest waits for the store to recover, which is
 * tried every second. A batch that fails because of one operation (a bug, or a plugin's) is done
 * again one by one, so that only that operation is lost.
 *
 * Bulk calls of plugins have a lane of their own. They stand at the end of a batch, as many as fit
 * into a slice of time; while other work keeps coming they get half of the time at most.
 */
#include "gateway/base/log.h"
#include "gateway/store/intern.h"

#include <sys/statvfs.h>

#define EPOCH_MS 1704067200000ll /* 2024-01-01, where ids begin */

enum {
	ID_NODE_BITS = 10,
	ID_COUNT_BITS = 12,
	ID_LOW_BITS = ID_NODE_BITS + ID_COUNT_BITS,
	KEEPER_STEPS = 3, /* so often works the keeper before the log starts afresh */
	ROOM = 16 << 20,  /* free on the disk before a full store takes messages again */
};
#define BULK_SLICE  (5 * DUR_MS)
#define CALLS_SHARE 2       /* likewise, of bulk calls */
#define BULK_SHARE  8       /* of the time in batches, while there is other work */
#define BULK_PAUSE  DUR_MIN /* after it failed */
#define PROBE_EVERY DUR_S
#define SCRUB_EVERY (10 * DUR_S) /* of cutting the log off after erasing */

static struct store_op *op_of(struct letter *l)
{
	return CONTAINER(l, struct store_op, letter);
}

/* ---- time and ids ---------------------------------------------------------------------------- */

uint64_t id_of_time(wall_t t)
{
	int64_t ms = t / DUR_MS - EPOCH_MS;

	if (ms > INT64_MAX >> ID_LOW_BITS)
		return INT64_MAX; /* the store's own integers end here */
	return ms <= 0 ? 0 : (uint64_t)ms << ID_LOW_BITS;
}

wall_t id_time(uint64_t id)
{
	return ((int64_t)(id >> ID_LOW_BITS) + EPOCH_MS) * DUR_MS;
}

/* Milliseconds, node, count: rises also when the clock stands or went back. */
uint64_t id_next(struct store *s)
{
	const uint64_t most = (1u << ID_COUNT_BITS) - 1;
	uint64_t ms = id_of_time(s->now) >> ID_LOW_BITS, count = 0;

	if (ms <= s->last_id >> ID_LOW_BITS) {
		ms = s->last_id >> ID_LOW_BITS;
		count = (s->last_id & most) + 1;
		if (count > most || (s->last_id >> ID_COUNT_BITS & ((1u << ID_NODE_BITS) - 1)) !=
					    s->conf.node) {
			ms++;
			count = 0;
		}
	}
	s->last_id = ms << ID_LOW_BITS | (uint64_t)s->conf.node << ID_COUNT_BITS | count;
	return s->last_id;
}

wall_t store_now(struct store *s)
{
	wall_t t = clock_wall();

	pthread_mutex_lock(&s->clock);
	if (t < s->last_now)
		t = s->last_now;
	pthread_mutex_unlock(&s->clock);
	return t;
}

/* Later than every batch before, and than every row that a reader was allowed to see. */
static void clock_begin(struct store *s)
{
	wall_t t = clock_wall();

	pthread_mutex_lock(&s->clock);
	if (t <= s->last_now)
		t = s->last_now + 1;
	if (t <= s->floor)
		t = s->floor + 1;
	s->now = s->last_now = s->open_now = t;
	pthread_mutex_unlock(&s->clock);
}

static void clock_end(struct store *s)
{
	pthread_mutex_lock(&s->clock);
	if (s->now > s->last_now) /* retries have moved it on */
		s->last_now = s->now;
	s->open_now = 0;
	pthread_mutex_unlock(&s->clock);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void op_arrived(struct letter *l)
{
	struct store_op *op = op_of(l);

	op->done(op);
}

static void op_answer(struct store_op *op)
{
	if (op->kind == OP_SENT)
		message_unref(&op->sent.msg);
	if (!op->done) {
		mem_free(&op);
	} else if (op->loop) {
		op->letter.run = op_arrived;
		loop_post(op->loop, &op->letter);
	} else {
		op->done(op);
	}
}

/* What is refused at once when the store does not work; all else has happened already. */
static bool op_refusable(const struct store_op *op)
{
	return op->kind == OP_ACCEPT || op->kind == OP_EVIDENCE ||
	       op->kind == (enum op_kind)OP_NUMBER || (op->kind == OP_CALL && op->call.refusable);
}

static void op_refuse(struct store *s, struct store_op *op)
{
	op->fault = (enum store_health)atomic_load(&s->health);
	if (op->fault == STORE_OK)
		op->fault = STORE_BROKEN;
	stat_inc(&s->stat.refused);
	op_answer(op);
}

struct store_op *store_op_new(enum op_kind kind, struct loop *loop, void (*done)(struct store_op *))
{
	struct store_op *op = mem_new(struct store_op);

	op->kind = kind;
	op->loop = loop;
	op->done = done;
	return op;
}

void store_do(struct store *s, struct store_op *op)
{
	atomic_fetch_add_explicit(&s->box_n, 1, memory_order_relaxed);
	mailbox_post(&s->box, &op->letter);
}

/* ---- batches --------------------------------------------------------------------------------- */

static void todo_take(struct store *s)
{
	struct letter *l = mailbox_take(&s->box), *next;
	bool well = atomic_load(&s->health) == STORE_OK;

	for (; l; l = next) {
		next = l->next;
		if (l == &s->stop_writer)
			continue;
		if (!well && op_refusable(op_of(l))) {
			atomic_fetch_sub_explicit(&s->box_n, 1, memory_order_relaxed);
			op_refuse(s, op_of(l));
			continue;
		}
		l->next = NULL;
		if (op_of(l)->bulk) {
			*s->calls_end = l;
			s->calls_end = &l->next;
		} else {
			*s->todo_end = l;
			s->todo_end = &l->next;
		}
	}
}

static bool is_last(const struct store_op *op)
{
	return op->kind == OP_CALL && op->call.last;
}

/* From the head of one lane into the batch. */
static void lane_take(struct store *s, struct letter **head, struct letter ***end, unsigned most)
{
	while (*head && s->batch_n < most && (!s->batch_n || !is_last(s->batch[s->batch_n - 1]))) {
		s->batch[s->batch_n++] = op_of(*head);
		*head = (*head)->next;
	}
	if (!*head)
		*end = head;
}

/* May bulk calls be in the next batch? */
static bool calls_may(const struct store *s)
{
	return s->calls && (!s->todo || s->calls_spent <= s->bulk_since / CALLS_SHARE);
}

static void batch_take(struct store *s)
{
	bool calls = calls_may(s);

	s->batch_n = 0;
	lane_take(s, &s->todo, &s->todo_end, s->conf.batch_most);
	s->batch_short = s->batch_n;
	if (calls)
		lane_take(s, &s->calls, &s->calls_end, s->conf.batch_most);
	atomic_fetch_sub_explicit(&s->box_n, s->batch_n, memory_order_relaxed);
}

/* Operations from … to of the batch, in order, back to the head of their lane. */
static void lane_put_back(struct store *s, unsigned from, unsigned to, struct letter **lane,
	struct letter ***lane_end)
{
	struct letter *head = NULL, **end = &head;
	bool well = atomic_load(&s->health) == STORE_OK;

	for (unsigned i = from; i < to; i++) {
		if (!well && op_refusable(s->batch[i])) {
			op_refuse(s, s->batch[i]);
			continue;
		}
		atomic_fetch_add_explicit(&s->box_n, 1, memory_order_relaxed);
		*end = &s->batch[i]->letter;
		end = &(*end)->next;
	}
	if (end == &head)
		return;
	*end = *lane;
	if (!*lane)
		*lane_end = end;
	*lane = head;
}

/* From operation `from` on. */
static void batch_put_back(struct store *s, unsigned from)
{
	unsigned middle = from > s->batch_short ? from : s->batch_short;

	if (from < s->batch_short)
		lane_put_back(s, from, s->batch_short, &s->todo, &s->todo_end);
	lane_put_back(s, middle, s->batch_n, &s->calls, &s->calls_end);
	s->batch_n = 0;
}

/* What the writer keeps in memory of the disk, read anew. */
static int memory_load(struct store *s)
{
	if (awaited_load(s) < 0 || orphan_load(s) < 0 || note_load(s) < 0) {
		if (s->db->fault == SQL_BAD)
			s->db->fault = SQL_IO; /* no operation is to blame */
		return -1;
	}
	purge_reset(s);
	s->stale = false;
	return 0;
}

static int bulk_work(struct store *s, mono_t until)
{
	int r = awaited_slice(s, until);

	if (r == 0)
		r = purge_slice(s, until);
	return r;
}

/* Applies batch[from … from + *n) one after the other; of the bulk calls only as many as fit into
 * their slice: *n is how many operations were applied. */
static int batch_apply(struct store *s, unsigned from, unsigned *n)
{
	unsigned end = from + *n, i = from;
	mono_t start, now;

	for (; i < end && i < s->batch_short; i++)
		if (op_apply(s, s->batch[i]) < 0)
			goto fail;
	if (i == end)
		return 0;
	start = now = clock_mono();
	for (; i < end && now - start < BULK_SLICE; i++, now = clock_mono())
		if (op_apply(s, s->batch[i]) < 0)
			goto fail;
	s->calls_spent += now - start;
	*n = i - from;
	return 0;
fail:
	*n = i + 1 - from;
	return -1;
}

/* Applies batch[from … from + n) in one transaction; bulk: time for background work in it. How many
 * it were (fewer when bulk calls took their time), or -1. */
static int batch_commit(struct store *s, unsigned from, unsigned n, dur_t bulk)
{
	mono_t start = clock_mono(), mid;

	if (s->stale && memory_load(s) < 0)
		return -1;
	clock_begin(s);
	if (sql_begin(s->db) < 0) {
		clock_end(s);
		return -1;
	}
	if (batch_apply(s, from, &n) < 0)
		goto fail;
	if (awaited_flush(s) < 0)
		goto fail;
	if (bulk) {
		mid = clock_mono();
		if (bulk_work(s, mid + bulk) < 0) {
			s->bulk_after = mid + BULK_PAUSE;
			goto fail;
		}
		s->bulk_spent += clock_mono() - mid;
	}
	mid = clock_mono();
	if (sql_commit(s->db) < 0)
		goto fail;
	clock_end(s);
	tally_commit(s, true);
	bodies_commit(s, true);
	notes_tell(s);
	for (unsigned i = from; i < from + n; i++) {
		call_answer(s->batch[i], op_answer);
		op_answer(s->batch[i]);
	}
	atomic_store_explicit(&s->log_size, s->db->driver->log_size(s->db), memory_order_relaxed);
	stat_inc(&s->stat.commits);
	stat_add(&s->stat.ops, n);
	stat_observe(&s->stat.commit_time, clock_mono() - mid);
	stat_set(&s->stat.wal, atomic_load_explicit(&s->log_size, memory_order_relaxed));
	stat_set(&s->stat.batch, n);
	stat_observe(&s->stat.batch_time, clock_mono() - start);
	s->bulk_since += clock_mono() - start;
	return (int)n;
fail:
	sql_rollback(s->db);
	for (unsigned i = from; i < from + n; i++)
		call_drop(s->batch[i]);
	clock_end(s);
	notes_drop(s);
	tally_commit(s, false);
	bodies_commit(s, false);
	s->stale = true;
	return -1;
}

/* One operation's fault, not the store's: all others are done without it. */
static int batch_one_by_one(struct store *s)
{
	if (!s->batch_n)
		log_error("store upkeep failed", F_STR("error", s->db->words));
	for (unsigned i = 0; i < s->batch_n; i++) {
		struct store_op *op = s->batch[i];

		if (batch_commit(s, i, 1, 0) >= 0)
			continue;
		if (s->db->fault != SQL_BAD) {
			batch_put_back(s, i);
			return -1;
		}
		log_error("store operation dropped", F_INT("kind", op->kind),
			F_STR("error", s->db->words));
		op->fault = STORE_BROKEN;
		op_answer(op);
	}
	s->batch_n = 0;
	return 0;
}

static void fall_ill(struct store *s)
{
	enum store_health h = s->db->fault == SQL_FULL ? STORE_FULL : STORE_BROKEN;

	stat_inc(&s->stat.failures);
	s->next_probe = clock_mono() + PROBE_EVERY;
	if (atomic_load(&s->health) == (int)h)
		return;
	atomic_store(&s->health, (int)h);
	stat_set(&s->stat.health, h);
	log_error(h == STORE_FULL ? "store full" : "store broken", F_STR("error", s->db->words),
		F_STR("file", s->path), F_BOOL("uncertain", s->db->uncertain));
}

/* A full disk that has room for a few rows is still full. */
static void get_well(struct store *s)
{
	struct statvfs v;

	if (atomic_load(&s->health) == STORE_FULL && statvfs(s->path, &v) == 0 &&
		(uint64_t)v.f_bavail * v.f_frsize < ROOM) {
		s->next_probe = clock_mono() + PROBE_EVERY;
		return;
	}
	sql_forgive(s->db);
	atomic_store(&s->health, STORE_OK);
	stat_set(&s->stat.health, STORE_OK);
	log_info("store recovered", F_STR("file", s->path));
}

/* Background work at fault is left alone for a while; it must not stop the rest. */
static int batch_run(struct store *s, dur_t bulk)
{
	int n = batch_commit(s, 0, s->batch_n, bulk);

	if (n >= 0) {
		batch_put_back(s, (unsigned)n);
		return 0;
	}
	if (s->db->fault == SQL_BAD && batch_one_by_one(s) == 0)
		return 0;
	fall_ill(s);
	batch_put_back(s, 0);
	return -1;
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Time for bulk work in the next batch; busy: operations wait. */
static dur_t bulk_time(struct store *s, bool busy)
{
	if (atomic_load(&s->stopping) || clock_mono() < s->bulk_after ||
		(!awaited_due(s) && !purge_due(s)))
		return 0;
	if (!busy)
		return BULK_SLICE;
	return s->bulk_spent <= s->bulk_since / BULK_SHARE ? BULK_SLICE : 0;
}

/* Checkpoints: the keeper moves most of the log into the file; the rest, which it can never catch
 * while we write, is moved here, and the log starts afresh. */
static void log_care(struct store *s)
{
	uint64_t size = atomic_load_explicit(&s->log_size, memory_order_relaxed), log, done;

	if (size < s->keeper_mark)
		s->keeper_mark = 0;
	if (size - s->keeper_mark >= s->conf.log_turn / KEEPER_STEPS) {
		s->keeper_mark = size;
		keeper_wake(s);
	}
	if (atomic_load_explicit(&s->scrub, memory_order_relaxed) &&
		clock_mono() >= s->next_scrub) {
		s->next_scrub = clock_mono() + SCRUB_EVERY;
		keeper_wake(s);
	}
	if (atomic_exchange(&s->rest_wanted, false)) {
		bool scrub = atomic_load(&s->scrub);
		mono_t start = clock_mono();
		int r = s->db->driver->checkpoint(s->db, scrub, &log, &done);

		if (r < 0)
			log_warn("store checkpoint failed", F_STR("error", s->db->words));
		else if (r == 0 && scrub)
			atomic_store(&s->scrub, false);
		stat_observe(&s->stat.checkpoint_time, clock_mono() - start);
	}
}

static void each_second(struct store *s)
{
	s->next_second = clock_mono() + DUR_S;
	s->bulk_since = s->bulk_spent = s->calls_spent = 0;
	if (atomic_load(&s->health) == STORE_OK)
		tally_oldest(s);
	stat_set(&s->stat.box, atomic_load_explicit(&s->box_n, memory_order_relaxed));
	stat_set(&s->stat.awaited, s->young.live);
}

/* Tries the store with what waits for it, or with a mark where nothing does. */
static void probe(struct store *s)
{
	if (s->todo || s->calls) {
		batch_take(s);
		if (batch_run(s, 0) < 0)
			return;
	} else {
		if (sql_begin(s->db) < 0 || meta_set(s, "probe", clock_wall()) < 0 ||
			sql_commit(s->db) < 0) {
			sql_rollback(s->db);
			fall_ill(s);
			return;
		}
	}
	get_well(s);
}

void *writer_run(void *arg)
{
	struct store *s = arg;

	for (;;) {
		mono_t now = clock_mono();
		dur_t bulk;

		todo_take(s);
		if (now >= s->next_second)
			each_second(s);
		if (atomic_load(&s->health) != STORE_OK) {
			if (atomic_load(&s->stopping) && now < s->next_probe)
				break;
			if (now >= s->next_probe)
				probe(s);
			else
				mailbox_wait(&s->box, s->next_probe - now);
			continue;
		}
		bulk = bulk_time(s, s->todo != NULL);
		if (s->todo || s->calls || bulk) {
			batch_take(s);
			batch_run(s, bulk);
			log_care(s);
			continue;
		}
		if (atomic_load(&s->stopping))
			break;
		log_care(s);
		mailbox_wait(&s->box, s->next_second - now);
	}
	return NULL;
}
