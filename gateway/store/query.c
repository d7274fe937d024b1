/* Questions of people and of the API: on the caller's thread, with a connection from a small pool,
 * limited in time, never in the writer's way.
 *
 * A search walks messages from the newest down; the time of acceptance is in the id, so a span of
 * time is a span of ids.
 */
#include "gateway/store/intern.h"

#include <stdlib.h>

enum { POOL_CACHE = 2 << 20, FEW_WAIT = 100000 };
#define FIND_LIMIT   (2 * DUR_S)
#define SEARCH_LIMIT (2 * DUR_S)
#define SPAN_FIRST   (100 * DUR_MS)
#define SPAN_TAKES   (50 * DUR_MS)
#define ID_SLACK     (2 * DUR_S) /* an id may run ahead of its time under great load */

/* Of msg and st: no row in st means that it waits where it was put at first. */
#define VIEW                                                                                     \
	"SELECT msg.id, coalesce(st.state, 0), coalesce(st.reason, 0), coalesce(st.attempt, 0)," \
	" submitter, coalesce(st.channel, msg.channel), media, coalesce(st.prio, msg.prio), "    \
	"wants,"                                                                                 \
	" coalesce(st.parts, msg.parts), sms, accepted, coalesce(st.due, msg.due), expires, "    \
	"st.sent_at, st.final_at, src,"                                                          \
	" dst, client_id, st.far_id, st.err, st.words, flags, dst = '', coalesce(st.rc, 0) <> 0"
#define FROM " FROM msg LEFT JOIN st ON st.id = msg.id"
#define FROM_WAITING                                                                          \
	" FROM (SELECT id AS waits FROM q) CROSS JOIN msg ON msg.id = waits LEFT JOIN st ON " \
	"st.id = msg.id"

static struct sql *pool_take(struct store *s, dur_t limit, struct err *e)
{
	struct sql_conf c = { .where = s->path, .role = SQL_READER, .cache = POOL_CACHE };
	struct sql *db = NULL;

	pthread_mutex_lock(&s->pool_lock);
	if (s->pool_n)
		db = s->pool[--s->pool_n];
	pthread_mutex_unlock(&s->pool_lock);
	if (!db)
		db = sql_open(s->conf.engine, &c, e);
	if (db)
		sql_limit(db, limit);
	return db;
}

static void pool_give(struct store *s, struct sql *db)
{
	sql_limit(db, 0);
	pthread_mutex_lock(&s->pool_lock);
	if (s->pool_n < POOL && (db->fault == SQL_OK || db->fault == SQL_TIME)) {
		sql_forgive(db);
		s->pool[s->pool_n++] = db;
		db = NULL;
	}
	pthread_mutex_unlock(&s->pool_lock);
	sql_close(&db);
}

void pool_close(struct store *s)
{
	while (s->pool_n)
		sql_close(&s->pool[--s->pool_n]);
}

struct sql *store_read(struct store *s, struct err *e)
{
	return pool_take(s, SEARCH_LIMIT, e);
}

void store_read_end(struct store *s, struct sql **dbp)
{
	if (*dbp)
		pool_give(s, *dbp);
	*dbp = NULL;
}

static void view_fill(struct store_view *v, struct sql_stmt *q)
{
	*v = (struct store_view){
		.id = (uint64_t)sql_col(q, 0),
		.state = (enum state)sql_col(q, 1),
		.reason = (enum reason)sql_col(q, 2),
		.attempt = (unsigned)sql_col(q, 3),
		.submitter = (uint32_t)sql_col(q, 4),
		.channel = (uint32_t)sql_col(q, 5),
		.media = (uint8_t)sql_col(q, 6),
		.priority = (uint8_t)sql_col(q, 7),
		.wants = (uint8_t)sql_col(q, 8),
		.parts = (uint8_t)sql_col(q, 9),
		.sms = sms_unpack(sql_col(q, 10)),
		.accepted = sql_col(q, 11),
		.due = sql_col(q, 12),
		.expires = sql_col(q, 13),
		.sent_at = sql_col(q, 14),
		.final_at = sql_col(q, 15),
	};
	v->flags = (uint8_t)sql_col(q, 22);
	v->erased = sql_col(q, 23);
	v->awaits = sql_col(q, 24);
	if (!v->due)
		v->due = v->accepted;
	str_copy(v->from, sizeof v->from, sql_col_str(q, 16));
	str_copy(v->to, sizeof v->to, sql_col_str(q, 17));
	str_copy(v->client_id, sizeof v->client_id, sql_col_str(q, 18));
	str_copy(v->far_id, sizeof v->far_id, sql_col_str(q, 19));
	str_copy(v->err, sizeof v->err, sql_col_str(q, 20));
	str_copy(v->words, sizeof v->words, sql_col_str(q, 21));
}

/* ---- one message ----------------------------------------------------------------------------- */

static void view_history_add(struct store_view *v, wall_t at, struct str what, uint32_t channel,
	enum reason reason, struct str words)
{
	struct store_history *h;

	v->history = mem_grow(v->history, (v->history_n + 1) * sizeof *v->history);
	h = &v->history[v->history_n++];
	*h = (struct store_history){ .at = at, .channel = channel, .reason = reason };
	str_copy(h->what, sizeof h->what, what);
	str_copy(h->words, sizeof h->words, words);
}

static int by_time(const void *pa, const void *pb)
{
	const struct store_history *a = pa, *b = pb;

	return a->at < b->at ? -1 : a->at > b->at;
}

static int find_history(struct sql *db, struct store_view *v)
{
	struct sql_stmt *q = sql_prepare(
		db, "SELECT at, what, channel, reason, words FROM event WHERE id = $1 ORDER BY at");
	int got;

	if (!q)
		return -1;
	view_history_add(v, v->accepted, STR("accepted"), 0, REASON_NONE, STR_NONE);
	sql_int(q, 1, (int64_t)v->id);
	while ((got = sql_step(q)) == 1)
		view_history_add(v, sql_col(q, 0), sql_col_str(q, 1), (uint32_t)sql_col(q, 2),
			(enum reason)sql_col(q, 3), sql_col_str(q, 4));
	sql_finish(&q);
	if (v->sent_at)
		view_history_add(
			v, v->sent_at, STR("sent"), v->channel, REASON_NONE, str_of(v->far_id));
	if (v->final_at)
		view_history_add(v, v->final_at, str_of(state_word(v->state)), v->channel,
			v->reason, str_of(v->words));
	qsort(v->history, v->history_n, sizeof *v->history, by_time);
	return got;
}

static int find_parts(struct sql *db, struct store_view *v)
{
	struct sql_stmt *q = sql_prepare(db, "SELECT part, state, sent_at, final_at, far_id, err"
					     " FROM part WHERE id = $1 ORDER BY part");
	int got;

	if (!q)
		return -1;
	sql_int(q, 1, (int64_t)v->id);
	while ((got = sql_step(q)) == 1) {
		struct store_part *p;

		v->part_list = mem_grow(v->part_list, (v->part_n + 1) * sizeof *v->part_list);
		p = &v->part_list[v->part_n++];
		*p = (struct store_part){
			.part = (uint8_t)sql_col(q, 0),
			.state = (enum state)sql_col(q, 1),
			.sent_at = sql_col(q, 2),
			.final_at = sql_col(q, 3),
		};
		str_copy(p->far_id, sizeof p->far_id, sql_col_str(q, 4));
		str_copy(p->err, sizeof p->err, sql_col_str(q, 5));
	}
	sql_finish(&q);
	return got;
}

static int find_content(struct sql *db, struct store_view *v)
{
	struct sql_stmt *q = sql_prepare(db, "SELECT data FROM msg WHERE id = $1");
	int got;

	if (!q)
		return -1;
	sql_int(q, 1, (int64_t)v->id);
	got = sql_step(q);
	if (got == 1) {
		v->msg = message_unpack(sql_col_str(q, 0));
		if (v->msg) {
			v->msg->id = v->id;
			v->msg->accepted = v->accepted;
			v->msg->submitter = v->submitter;
		}
	}
	sql_finish(&q);
	return got < 0 ? -1 : 0;
}

int store_find(
	struct store *s, uint64_t id, bool with_content, struct store_view *v_r, struct err *e)
{
	struct sql *db = pool_take(s, FIND_LIMIT, e);
	struct sql_stmt *q;
	int got = -1;

	*v_r = (struct store_view){ 0 };
	if (!db)
		return -1;
	/* one view of the file for all parts of the answer */
	q = sql_begin(db) < 0 ? NULL : sql_prepare(db, VIEW FROM " WHERE msg.id = $1");
	if (q) {
		sql_int(q, 1, (int64_t)id);
		got = sql_step(q);
		if (got == 1)
			view_fill(v_r, q);
		sql_finish(&q);
	}
	if (got == 1 && (find_history(db, v_r) < 0 || (v_r->parts > 1 && find_parts(db, v_r) < 0) ||
				(with_content && find_content(db, v_r) < 0)))
		got = -1;
	sql_rollback(db);
	if (got < 0) {
		store_view_free(v_r);
		sql_err(db, e, "looking for a message");
	}
	pool_give(s, db);
	return got;
}

int store_call_find(struct store_op *call, uint64_t id, struct store_view *v_r)
{
	struct sql *db = call->call.store->db;
	struct sql_stmt *q = sql_prepare(db, VIEW FROM " WHERE msg.id = $1");
	int got = -1;

	*v_r = (struct store_view){ 0 };
	if (q) {
		sql_int(q, 1, (int64_t)id);
		got = sql_step(q);
		if (got == 1)
			view_fill(v_r, q);
		sql_finish(&q);
	}
	if (got == 1 && find_history(db, v_r) < 0) {
		store_view_free(v_r);
		got = -1;
	}
	return got;
}

int store_find_places(
	struct store *s, const uint64_t *ids, unsigned n, struct store_view *v, struct err *e)
{
	struct sql *db = pool_take(s, FIND_LIMIT, e);
	struct sql_stmt *q = NULL;
	int got = -1;

	if (!db)
		return -1;
	q = sql_prepare(db, VIEW FROM " WHERE msg.id = $1");
	got = q ? 0 : -1;
	for (unsigned i = 0; q && i < n; i++) {
		v[i] = (struct store_view){ 0 };
		sql_int(q, 1, (int64_t)ids[i]);
		got = sql_step(q);
		if (got < 0)
			break;
		if (got == 1)
			view_fill(&v[i], q);
		sql_reset(q);
		got = 0;
	}
	if (got < 0)
		sql_err(db, e, "looking for messages");
	sql_finish(&q);
	pool_give(s, db);
	return got;
}

void store_view_free(struct store_view *v)
{
	message_unref(&v->msg);
	mem_free(&v->history);
	mem_free(&v->part_list);
	v->history_n = v->part_n = 0;
}

int store_find_client(
	struct store *s, uint32_t submitter, struct str client_id, uint64_t *id_r, struct err *e)
{
	struct sql *db = pool_take(s, FIND_LIMIT, e);
	struct sql_stmt *q;
	int got = -1;

	*id_r = 0;
	if (!db)
		return -1;
	q = sql_prepare(db, "SELECT id FROM dedupe WHERE submitter = $1 AND client_id = $2");
	if (q) {
		sql_int(q, 1, submitter);
		sql_text(q, 2, client_id);
		got = sql_step(q);
		if (got == 1)
			*id_r = (uint64_t)sql_col(q, 0);
		sql_finish(&q);
	}
	if (got < 0)
		sql_err(db, e, "looking for a client's id");
	pool_give(s, db);
	return got;
}

int64_t store_kept(struct store *s, const char *name, int64_t other)
{
	struct err e;
	struct sql *db = pool_take(s, FIND_LIMIT, &e);
	struct sql_stmt *q;

	if (!db)
		return other;
	q = sql_prepare(db, "SELECT value FROM meta WHERE name = $1");
	if (q) {
		sql_text(q, 1, str_of(name));
		if (sql_step(q) == 1)
			other = sql_col(q, 0);
		sql_finish(&q);
	}
	pool_give(s, db);
	return other;
}

/* ---- many ------------------------------------------------------------------------------------ */

/* One walk. Rows come newest first, so that whoever is stopped knows how far it came. */
struct walk {
	const struct store_filter *f;
	bool (*cb)(void *ctx, const struct store_view *v);
	void *ctx;
	unsigned n, most;
	uint64_t last; /* id shown last */
	bool stopped;  /* by cb, or by `most` */
};

#define WHERE                                                                                     \
	" WHERE msg.id >= $1 AND msg.id < $2 AND ($3 = '' OR dst = $3) AND ($4 = '' OR src = $4)" \
	" AND ($5 < 0 OR coalesce(st.state, 0) = $5) AND ($6 = 0 OR submitter = $6)"              \
	" AND ($7 = 0 OR coalesce(st.channel, msg.channel) = $7) AND ($8 < 0 OR media = $8)"      \
	" AND accepted >= $9 AND ($10 = 0 OR accepted < $10) AND ($11 = '' OR client_id = $11)"   \
	" ORDER BY msg.id DESC LIMIT $12"

/* Those from low to below high; -1: it failed, or the time is over. */
static int walk_span(struct walk *w, struct sql_stmt *q, uint64_t low, uint64_t high)
{
	const struct store_filter *f = w->f;
	struct store_view v;
	int got;

	sql_int(q, 1, (int64_t)low);
	sql_int(q, 2, (int64_t)high);
	sql_text(q, 3, f->to);
	sql_text(q, 4, f->from);
	sql_int(q, 5, f->state);
	sql_int(q, 6, f->submitter);
	sql_int(q, 7, f->channel);
	sql_int(q, 8, f->media);
	sql_int(q, 9, f->since);
	sql_int(q, 10, f->until);
	sql_text(q, 11, f->client_id);
	sql_int(q, 12, w->most - w->n);
	while ((got = sql_step(q)) == 1) {
		view_fill(&v, q);
		w->n++;
		w->last = v.id;
		if (!w->cb(w->ctx, &v) || w->n == w->most) {
			w->stopped = true;
			got = 0;
			break;
		}
	}
	sql_reset(q);
	return got;
}

/* Spans of ids, each so wide as takes a moment: where the time ends it is known which were seen.
 * Returns as walk_span() does; *top: all from there on were. */
static int walk_all(struct walk *w, struct sql *db, struct sql_stmt *q, uint64_t low, uint64_t *top)
{
	uint64_t newest = (uint64_t)sql_number(db, "SELECT max(id) FROM msg", 0);
	uint64_t oldest = (uint64_t)sql_number(db, "SELECT min(id) FROM msg", 0);
	uint64_t span = id_of_time(clock_wall()) - id_of_time(clock_wall() - SPAN_FIRST);
	int got = 0;

	if (*top > newest + 1)
		*top = newest + 1;
	if (low < oldest)
		low = oldest;
	while (*top > low && !w->stopped) {
		uint64_t from = *top - low > span ? *top - span : low;
		mono_t began = clock_mono();

		got = walk_span(w, q, from, *top);
		if (got < 0)
			break;
		*top = from;
		if (clock_mono() - began < SPAN_TAKES && span < (uint64_t)INT64_MAX / 4)
			span *= 2;
		else if (clock_mono() - began > 4 * SPAN_TAKES && span > 1)
			span /= 2;
	}
	return got;
}

static bool few_wait(struct store *s)
{
	uint64_t n = 0;
	bool counted;

	pthread_mutex_lock(&s->figures);
	counted = s->counted;
	for (unsigned i = 0; i < s->tally_n; i++)
		for (int p = 0; p < PRIORITY_COUNT; p++)
			n += s->tallies[i]->count[p] > 0 ? (uint64_t)s->tallies[i]->count[p] : 0;
	pthread_mutex_unlock(&s->figures);
	return counted && n <= FEW_WAIT;
}

int store_search(struct store *s, const struct store_filter *f,
	bool (*cb)(void *ctx, const struct store_view *v), void *ctx, struct err *e)
{
	struct walk w = { .f = f, .cb = cb, .ctx = ctx, .most = f->most ? f->most : 100 };
	struct sql *db = pool_take(s, SEARCH_LIMIT, e);
	uint64_t low = f->since ? id_of_time(f->since) : 0;
	uint64_t high = f->before_id && f->before_id < INT64_MAX ? f->before_id : INT64_MAX;
	/* Of what waits there is a list, mostly a short one beside all that is kept. */
	bool waiting = f->state == STATE_QUEUED && few_wait(s);
	wall_t until;
	struct sql_stmt *q;
	int got = -1;

	if (!db)
		return -1;
	/* Times are the asker's: any. */
	if (f->until && !__builtin_add_overflow(f->until, ID_SLACK, &until) &&
		id_of_time(until) < high)
		high = id_of_time(until);
	q = sql_prepare(db, waiting ? VIEW FROM_WAITING WHERE : VIEW FROM WHERE);
	if (q) {
		got = waiting ? walk_span(&w, q, low, high) : walk_all(&w, db, q, low, &high);
		sql_finish(&q);
	}
	if (f->down_to) {
		*f->down_to = w.stopped || (w.n && w.last < high) ? w.last : high;
		if (got == 0 && !w.stopped)
			*f->down_to = 0; /* that was all */
		if (got < 0 && db->fault == SQL_TIME && !waiting)
			got = 0;
	}
	if (got < 0)
		sql_err(db, e, "searching messages");
	pool_give(s, db);
	return got < 0 ? -1 : (int)w.n;
}

/* ---- backup ---------------------------------------------------------------------------------- */

int store_backup(struct store *s, const char *path, void (*progress)(void *, double), void *ctx,
	struct err *e)
{
	struct sql *db = pool_take(s, 0, e);
	int r;

	if (!db)
		return -1;
	bodies_hold(s, true); /* what the copy names is there until it has been given */
	r = db->driver->backup(db, path, progress, ctx);
	if (r < 0)
		sql_err(db, e, "backup");
	pool_give(s, db);
	if (r == 0)
		r = bodies_backup(s, path, e);
	bodies_hold(s, false);
	return r;
}
