/* Erasing what leaves with a member, a slice at a time. See leaving.h. */
#include "plugins/offers/leaving.h"
#include "gateway/base/backoff.h"
#include "plugins/offers/event.h"

#include <stdio.h>

enum { AT_ONCE = 64, ROWS = 64, PARTS = 16 };
#define AGAIN_FIRST DUR_S
#define AGAIN_MOST  (10 * DUR_MIN)

/* How far one member has come: one after the other, in this order. Numbers are stored. */
enum stage {
	LEAVE_UNKNOWN = 2, /* events of nobody that name them; last: was looked at last */
	LEAVE_EVENTS =
		0, /* what is remembered of them: goes, so that the next are always the first */
	LEAVE_IDLE =
		3, /* events without effect; at: whose, they or who became them; last: as above */
	LEAVE_SENT = 1, /* in the order of time: at, and the last of that time */
};
#define CLIMB ((uint64_t)INT64_MAX) /* those who became that one are done with, too */
struct leaver {
	uint64_t id;
	enum stage stage;
	wall_t at;
	uint64_t last;
	struct str names; /* to be looked for: "name\0name\0" */
	unsigned left;    /* rows that this slice may look at yet */
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
static int deed_put(struct work *w, enum deed_kind kind, uint64_t what, wall_t due, struct str key,
	struct str body)
{
	struct sql_stmt *st = db_st(w->db, ST_DEED_ADD);

	if (!st)
		return fails(w);
	sql_int(st, 1, kind);
	sql_int(st, 2, (int64_t)what);
	sql_int(st, 3, due);
	sql_text_or_null(st, 4, key);
	if (body.n)
		sql_blob(st, 5, body);
	else
		sql_null(st, 5);
	work_timer(w, due);
	return sql_run(st) < 0 ? fails(w) : 0;
}

static void stage_begin(struct leaver *l, enum stage stage)
{
	l->stage = stage;
	l->at = stage == LEAVE_IDLE ? (wall_t)l->id : INT64_MIN;
	l->last = 0;
}

static struct str key_of(const struct leaver *l, char *out, size_t cap)
{
	snprintf(out, cap, "%d %lld %llu", l->stage, (long long)l->at, (unsigned long long)l->last);
	return str_of(out);
}

static void key_read(struct str key, struct leaver *l)
{
	struct str stage, at;
	uint64_t n, last;
	int64_t t;

	/* empty: of a store of before, its beginning */
	stage_begin(l, LEAVE_EVENTS);
	if (!str_cut(&key, ' ', &stage) || !str_cut(&key, ' ', &at) || !str_u64(stage, &n) ||
		n > LEAVE_IDLE || !str_u64(key, &last))
		return;
	stage_begin(l, (enum stage)n);
	l->last = last;
	if (str_i64(at, &t)) /* the beginning of time is none */
		l->at = t;
}

/* ---- a message ---- */
/* One that has not ended is asked for again. */
static int message_erase(struct work *w, uint64_t msg)
{
	int rc = w->erase ? w->erase(w, msg) : 1;

	if (rc < 0)
		return fails(w);
	return rc ? 0 : deed_put(w, DEED_ERASE, msg, w->now + AGAIN_FIRST, STR_NONE, STR_NONE);
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

/* ---- events of nobody ---- */
static int names_add(struct work *w, enum st which, uint64_t member, bool is_quoted, struct buf *b)
{
	struct sql_stmt *st = db_st(w->db, which);
	int rc;

	if (!st)
		return fails(w);
	sql_int(st, 1, (int64_t)member);
	while ((rc = sql_step(st)) == 1) {
		buf_c(b, is_quoted ? "\"" : "");
		buf_str(b, sql_col_str(st, 1));
		buf_c(b, is_quoted ? "\"" : "");
		buf_char(b, '\0');
	}
	return rc < 0 ? fails(w) : 0;
}

int leaving_names(struct work *w, const struct member *m, struct str *names_r)
{
	struct buf b = BUF_INIT;
	int rc = names_add(w, ST_ALIASES_OF, m->id, true, &b);

	if (rc == 0)
		rc = names_add(w, ST_CONTACTS_OF, m->id, false, &b);
	if (rc == 0 && m->ext.n) {
		buf_char(&b, '"');
		buf_str(&b, m->ext);
		buf_c(&b, "\"");
		buf_char(&b, '\0');
	}
	*names_r = rc == 0 ? arena_str(w->arena, buf_view(&b)) : STR_NONE;
	buf_free(&b);
	return rc;
}

static bool names_any(struct str text, struct str names)
{
	struct str name;

	while (str_cut(&names, '\0', &name))
		if (name.n && str_find(text, name) >= 0)
			return true;
	return false;
}

static int unknown_erase(struct work *w, struct leaver *l)
{
	struct sql_stmt *st = db_st(w->db, ST_LEFT_UNKNOWN);
	unsigned most = l->left < ROWS ? l->left : ROWS, looked = 0, n = 0;
	uint64_t theirs[ROWS];
	int rc;

	if (!st)
		return fails(w);
	sql_int(st, 1, (int64_t)l->last);
	sql_int(st, 2, most);
	for (; (rc = sql_step(st)) == 1; looked++) {
		l->last = (uint64_t)sql_col(st, 0);
		if (names_any(sql_col_str(st, 1), l->names))
			theirs[n++] = l->last;
	}
	if (rc < 0)
		return fails(w);
	for (unsigned i = 0; i < n; i++)
		if (run(w, ST_ERASE_UNKNOWN, theirs[i], 0, 1) < 0)
			return -1;
	l->left -= looked;
	if (looked < most)
		stage_begin(l, LEAVE_EVENTS);
	return 0;
}

/* ---- their events ---- */
struct past_row {
	int64_t type, occurred; /* type: of an idle one, whether it has text */
	uint64_t seq;
	struct str source, id;
};

/* of `whose`; after what was last, where it is asked by that. */
static int rows_of(struct work *w, enum st which, struct leaver *l, uint64_t whose,
	struct past_row *v, unsigned *n_r)
{
	struct sql_stmt *st = db_st(w->db, which);
	unsigned n = 0, most = l->left < ROWS ? l->left : ROWS;
	int rc, i = 1;

	*n_r = 0;
	if (!st)
		return fails(w);
	sql_int(st, i++, (int64_t)whose);
	if (which == ST_LEFT_IDLE)
		sql_int(st, i++, (int64_t)l->last);
	sql_int(st, i, most);
	while ((rc = sql_step(st)) == 1)
		v[n++] = (struct past_row){ .type = sql_col(st, 0),
			.occurred = sql_col(st, 1),
			.seq = (uint64_t)sql_col(st, 2),
			.source = arena_str(w->arena, sql_col_str(st, 3)),
			.id = arena_str(w->arena, sql_col_str(st, 4)) };
	*n_r = n;
	l->left -= n;
	return rc < 0 ? fails(w) : n == most;
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

/* Those that are remembered, with what was answered to them. */
static int past_erase(struct work *w, struct leaver *l)
{
	struct past_row v[ROWS];
	unsigned n;
	int rc = rows_of(w, ST_LEFT_PAST, l, l->id, v, &n);

	if (rc < 0)
		return -1;
	for (unsigned i = 0; i < n; i++)
		if (written_erase(w, v[i].source, v[i].id) < 0 ||
			run(w, ST_EVENT_ERASE, v[i].seq, 0, 1) < 0 || past_forget(w, l, &v[i]) < 0)
			return -1;
	if (rc == 0)
		stage_begin(l, LEAVE_IDLE);
	return 0;
}

static int member_ask(struct work *w, enum st which, uint64_t a, uint64_t b, uint64_t *r)
{
	struct sql_stmt *st = db_st(w->db, which);
	int rc;

	*r = 0;
	if (!st)
		return fails(w);
	sql_int(st, 1, (int64_t)a);
	if (which == ST_MERGED_NEXT)
		sql_int(st, 2, (int64_t)b);
	rc = sql_step(st);
	if (rc == 1) {
		*r = (uint64_t)sql_col(st, 0);
		sql_reset(st);
	}
	return rc < 0 ? fails(w) : 0;
}

/* On to the next of who became them: the first that became this one, else the next that became who
 * it became itself; one step, since they may be many. */
static int idle_next(struct work *w, struct leaver *l)
{
	uint64_t at = (uint64_t)l->at, to = at, next;

	l->left -= l->left > 0;
	if (l->last == CLIMB && at == l->id) {
		stage_begin(l, LEAVE_SENT);
		return 0;
	}
	if (l->last == CLIMB && member_ask(w, ST_MERGED_TO, at, 0, &to) < 0)
		return -1;
	if (member_ask(w, ST_MERGED_NEXT, to, l->last == CLIMB ? at : 0, &next) < 0)
		return -1;
	if (next == l->id || !to) /* none of theirs after all */
		stage_begin(l, LEAVE_SENT);
	else if (next)
		l->at = (wall_t)next, l->last = 0;
	else
		l->at = (wall_t)to, l->last = CLIMB;
	return 0;
}

/* Those that had no effect, of theirs and of who became them. */
static int idle_erase(struct work *w, struct leaver *l)
{
	struct past_row v[ROWS];
	unsigned n;
	int rc;

	if (l->last == CLIMB)
		return idle_next(w, l);
	rc = rows_of(w, ST_LEFT_IDLE, l, (uint64_t)l->at, v, &n);
	if (rc < 0)
		return -1;
	for (unsigned i = 0; i < n; i++) {
		l->last = v[i].seq;
		if (v[i].type && (written_erase(w, v[i].source, v[i].id) < 0 ||
					 leaving_event(w, v[i].seq) < 0))
			return -1;
	}
	return rc == 0 ? idle_next(w, l) : 0;
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
	sql_int(st, 3, (int64_t)l->last);
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
		l->last = v[i].id;
	}
	l->left -= n;
	l->over = n < most;
	return 0;
}

static int slice(struct work *w, struct leaver *l, mono_t until)
{
	int rc = 0;

	while (rc == 0 && !l->over && l->left && !(until && clock_mono() >= until)) {
		switch (l->stage) {
		case LEAVE_UNKNOWN:
			rc = unknown_erase(w, l);
			break;
		case LEAVE_EVENTS:
			rc = past_erase(w, l);
			break;
		case LEAVE_IDLE:
			rc = idle_erase(w, l);
			break;
		case LEAVE_SENT:
			rc = sent_erase(w, l);
			break;
		}
	}
	return rc;
}

int leaving_begin(struct work *w, const struct member *m, struct str names)
{
	struct leaver l = { .id = m->id, .names = names, .left = AT_ONCE };
	char key[80];

	stage_begin(&l, names.n ? LEAVE_UNKNOWN : LEAVE_EVENTS);
	if (slice(w, &l, 0) < 0)
		return -1;
	if (l.over)
		return 0;
	return deed_put(w, DEED_LEFT, l.id, w->now, key_of(&l, key, sizeof key),
		l.stage == LEAVE_UNKNOWN ? names : STR_NONE);
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
	l.names = arena_str(w->arena, sql_col_str(st, 3));
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
	sql_int(st, 2, l.stage == LEAVE_UNKNOWN);
	sql_int(st, 3, (int64_t)deed);
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
