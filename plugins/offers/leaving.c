/* Erasing what leaves with a member, a slice at a time. See leaving.h. */
#include "plugins/offers/leaving.h"
#include "gateway/base/backoff.h"
#include "plugins/offers/event.h"

#include <stdio.h>

enum { AT_ONCE = 64, ROWS = 64, PARTS = 16 };
#define AGAIN_FIRST DUR_S
#define AGAIN_MOST  (10 * DUR_MIN)

/* How far one member has come: events, then what was sent in order of time. */
struct leaver {
	uint64_t id;
	bool events_done;
	wall_t at;
	uint64_t sent; /* the one at `at` that was last */
	unsigned left; /* rows that this slice may take yet */
	bool over;
};

static int fails(struct work *w)
{
	return work_failed(w, "erasing a member");
}

static int run(struct work *w, enum st which, uint64_t a, uint64_t b, unsigned n)
{
	struct sql_stmt *st = db_st(w->db, which);

	if (!st)
		return fails(w);
	sql_int(st, 1, (int64_t)a);
	if (n > 1)
		sql_int(st, 2, (int64_t)b);
	return sql_run(st) < 0 ? fails(w) : 0;
}

/* ---- deeds ---- */
static int deed_put(struct work *w, enum deed_kind kind, uint64_t what, wall_t due, struct str key)
{
	struct sql_stmt *st = db_st(w->db, ST_DEED_ADD);

	if (!st)
		return fails(w);
	sql_int(st, 1, kind);
	sql_int(st, 2, (int64_t)what);
	sql_int(st, 3, due);
	sql_text_or_null(st, 4, key);
	sql_null(st, 5);
	work_timer(w, due);
	return sql_run(st) < 0 ? fails(w) : 0;
}

static struct str key_of(const struct leaver *l, char *out, size_t cap)
{
	snprintf(out, cap, "%d %lld %llu", l->events_done, (long long)l->at,
		(unsigned long long)l->sent);
	return str_of(out);
}

static void key_read(struct str key, struct leaver *l)
{
	struct str done, at;
	int64_t t;

	/* empty: of a store of before, its beginning */
	l->at = INT64_MIN;
	if (!str_cut(&key, ' ', &done) || !str_cut(&key, ' ', &at))
		return;
	l->events_done = str_is(done, "1");
	if (str_i64(at, &t) && str_u64(key, &l->sent))
		l->at = t;
}

/* ---- a message ---- */
/* One that has not ended is asked for again. */
static int message_erase(struct work *w, uint64_t msg)
{
	int rc = w->erase ? w->erase(w, msg) : 1;

	if (rc < 0)
		return fails(w);
	return rc ? 0 : deed_put(w, DEED_ERASE, msg, w->now + AGAIN_FIRST, STR_NONE);
}

/* What they wrote: "mo:ID:TIME" is the event of their message ID (offers.c). */
static int written_erase(struct work *w, struct str source, struct str event)
{
	struct str word;
	uint64_t msg;

	if (!str_is(source, "postern") || !str_cut(&event, ':', &word) || !str_is(word, "mo") ||
		!str_cut(&event, ':', &word) || !str_u64(word, &msg))
		return 0;
	return message_erase(w, msg);
}

/* ---- events ---- */
int leaving_event(struct work *w, uint64_t seq)
{
	return run(w, ST_EVENT_EMPTY, seq, 0, 1);
}

int leaving_unknown(struct work *w, const struct member *m)
{
	return run(w, ST_ERASE_UNKNOWN, m->id, 0, 1);
}

struct past_row {
	int64_t type, occurred;
	uint64_t seq;
	struct str source, id;
};

static int rows_of(
	struct work *w, enum st which, struct leaver *l, struct past_row *v, unsigned *n_r)
{
	struct sql_stmt *st = db_st(w->db, which);
	unsigned n = 0;
	int rc;

	*n_r = 0;
	if (!st)
		return fails(w);
	sql_int(st, 1, (int64_t)l->id);
	sql_int(st, 2, l->left < ROWS ? l->left : ROWS);
	while ((rc = sql_step(st)) == 1)
		v[n++] = (struct past_row){ .type = sql_col(st, 0),
			.occurred = sql_col(st, 1),
			.seq = (uint64_t)sql_col(st, 2),
			.source = arena_str(w->arena, sql_col_str(st, 3)),
			.id = arena_str(w->arena, sql_col_str(st, 4)) };
	*n_r = n;
	l->left -= n;
	return rc < 0 ? fails(w) : 0;
}

static int past_forget(struct work *w, const struct leaver *l, const struct past_row *p)
{
	struct sql_stmt *st = db_st(w->db, ST_PAST_DEL);

	if (!st)
		return fails(w);
	sql_int(st, 1, (int64_t)l->id);
	sql_int(st, 2, p->type);
	sql_int(st, 3, p->occurred);
	sql_int(st, 4, (int64_t)p->seq);
	return sql_run(st) < 0 ? fails(w) : 0;
}

/* Those that are remembered, with what was answered to them; then those that had no effect. Each
 * goes out of what is asked for, so the next are always the first. */
static int events_erase(struct work *w, struct leaver *l)
{
	struct past_row v[ROWS];
	unsigned n;

	if (rows_of(w, ST_LEFT_PAST, l, v, &n) < 0)
		return -1;
	for (unsigned i = 0; i < n; i++)
		if (written_erase(w, v[i].source, v[i].id) < 0 ||
			run(w, ST_EVENT_ERASE, v[i].seq, 0, 1) < 0 || past_forget(w, l, &v[i]) < 0)
			return -1;
	if (n)
		return 0;
	if (rows_of(w, ST_LEFT_IDLE, l, v, &n) < 0)
		return -1;
	for (unsigned i = 0; i < n; i++)
		if (written_erase(w, v[i].source, v[i].id) < 0 || leaving_event(w, v[i].seq) < 0)
			return -1;
	l->events_done = n == 0;
	return 0;
}

/* ---- what was sent ---- */
static int parts_erase(struct work *w, uint64_t sent, uint64_t msg)
{
	struct sql_stmt *st = db_st(w->db, ST_PARTS_OF);
	uint64_t part[PARTS];
	unsigned n = 0;
	int rc;

	if (!st)
		return fails(w);
	sql_int(st, 1, (int64_t)sent);
	while ((rc = sql_step(st)) == 1)
		if (n < PARTS)
			part[n++] = (uint64_t)sql_col(st, 0);
	if (rc < 0)
		return fails(w);
	if (!n)
		return message_erase(w, msg);
	for (unsigned i = 0; i < n; i++)
		if (message_erase(w, part[i]) < 0)
			return -1;
	return run(w, ST_ERASE_PARTS, sent, 0, 1);
}

static int sent_erase(struct work *w, struct leaver *l)
{
	struct sql_stmt *st = db_st(w->db, ST_LEFT_SENT);
	struct {
		uint64_t id, msg;
		wall_t at;
	} v[ROWS];
	unsigned most = l->left < ROWS ? l->left : ROWS, n = 0;
	int rc;

	if (!st)
		return fails(w);
	sql_int(st, 1, (int64_t)l->id);
	sql_int(st, 2, l->at);
	sql_int(st, 3, (int64_t)l->sent);
	sql_int(st, 4, most);
	while ((rc = sql_step(st)) == 1) {
		v[n].id = (uint64_t)sql_col(st, 0);
		v[n].msg = (uint64_t)sql_col(st, 1);
		v[n++].at = sql_col(st, 2);
	}
	if (rc < 0)
		return fails(w);
	for (unsigned i = 0; i < n; i++) {
		if ((v[i].msg && parts_erase(w, v[i].id, v[i].msg) < 0) ||
			run(w, ST_ERASE_SENT, v[i].id, 0, 1) < 0)
			return -1;
		l->at = v[i].at;
		l->sent = v[i].id;
	}
	l->left -= n;
	l->over = n < most;
	return 0;
}

static int slice(struct work *w, struct leaver *l, mono_t until)
{
	while (!l->over && l->left && !(until && clock_mono() >= until))
		if ((l->events_done ? sent_erase(w, l) : events_erase(w, l)) < 0)
			return -1;
	return 0;
}

int leaving_begin(struct work *w, const struct member *m)
{
	struct leaver l = { .id = m->id, .at = INT64_MIN, .left = AT_ONCE };
	char key[80];

	if (slice(w, &l, 0) < 0)
		return -1;
	return l.over ? 0 : deed_put(w, DEED_LEFT, l.id, w->now, key_of(&l, key, sizeof key));
}

/* ---- later ---- */
/* The next of those who left: 1, 0: there is none. */
static int one_leaver(struct work *w, unsigned *rows, mono_t until)
{
	struct sql_stmt *st = db_st(w->db, ST_LEFT_NEXT);
	struct leaver l = { .left = *rows };
	uint64_t deed;
	char key[80];
	int rc;

	if (!st)
		return fails(w);
	rc = sql_step(st);
	if (rc <= 0)
		return rc < 0 ? fails(w) : 0;
	deed = (uint64_t)sql_col(st, 0);
	l.id = (uint64_t)sql_col(st, 1);
	key_read(sql_col_str(st, 2), &l);
	sql_reset(st);
	if (slice(w, &l, until) < 0)
		return -1;
	*rows = l.left;
	if (l.over)
		return run(w, ST_DEED_DEL, deed, 0, 1) < 0 ? -1 : 1;
	st = db_st(w->db, ST_DEED_KEY);
	if (!st)
		return fails(w);
	sql_text(st, 1, key_of(&l, key, sizeof key));
	sql_int(st, 2, (int64_t)deed);
	return sql_run(st) < 0 ? fails(w) : 1;
}

static int later(struct work *w, uint64_t deed, unsigned attempts)
{
	struct sql_stmt *st = db_st(w->db, ST_DEED_LATER);

	if (!st)
		return fails(w);
	sql_int(st, 1, w->now + backoff_of(AGAIN_FIRST, AGAIN_MOST, 2, attempts));
	sql_int(st, 2, attempts);
	sql_int(st, 3, (int64_t)deed);
	return sql_run(st) < 0 ? fails(w) : 0;
}

/* Messages that had not ended; how many were looked at, or -1. */
static int some_messages(struct work *w, unsigned most)
{
	struct sql_stmt *st = db_st(w->db, ST_ERASES_DUE);
	struct {
		uint64_t deed, msg;
		unsigned attempts;
	} v[ROWS];
	int n = 0, rc;

	if (!st)
		return fails(w);
	sql_int(st, 1, w->now);
	sql_int(st, 2, most < ROWS ? most : ROWS);
	while ((rc = sql_step(st)) == 1) {
		v[n].deed = (uint64_t)sql_col(st, 0);
		v[n].msg = (uint64_t)sql_col(st, 1);
		v[n++].attempts = (unsigned)sql_col(st, 2);
	}
	for (int i = 0; i < n && rc >= 0; i++) {
		rc = w->erase ? w->erase(w, v[i].msg) : 1;
		if (rc < 0)
			return fails(w);
		rc = rc ? run(w, ST_DEED_DEL, v[i].deed, 0, 1)
			: later(w, v[i].deed, v[i].attempts + 1);
	}
	return rc < 0 ? fails(w) : n;
}

int leaving_sweep(struct work *w, unsigned most, mono_t until, bool *left_r)
{
	unsigned rows = most;
	int rc = 1;

	*left_r = false;
	while (rc > 0) {
		if (!rows || (until && clock_mono() >= until)) {
			*left_r = true;
			return 0;
		}
		rc = one_leaver(w, &rows, until);
	}
	while (rc == 0 && rows && !(until && clock_mono() >= until)) {
		int n = some_messages(w, rows);

		if (n <= 0)
			return n;
		rows -= (unsigned)n;
	}
	*left_r = rc == 0;
	return rc;
}

int leaving_next_due(struct work *w, wall_t *due_r)
{
	struct sql_stmt *st = db_st(w->db, ST_LEAVING_NEXT);

	*due_r = 0;
	if (!st)
		return fails(w);
	if (sql_step(st) == 1) {
		*due_r = sql_col(st, 0);
		sql_reset(st);
		return 0;
	}
	return fails(w);
}
