/* Events on disk: kept once, answered the same for ever. See engine.h. */
#include "plugins/offers/engine.h"
#include "plugins/offers/tidy.h"

void reply_free(struct reply *r)
{
	buf_free(&r->queued);
	buf_free(&r->receipt);
	buf_free(&r->cashier);
	*r = (struct reply){ 0 };
}

void reply_put(const struct reply *r, struct buf *b)
{
	buf_c(b, "\"queued\":[");
	buf_str(b, buf_view(&r->queued));
	buf_printf(b, "],\"removed\":%u", r->removed);
	if (r->till) {
		buf_c(b, ",\"receipt\":[");
		buf_str(b, buf_view(&r->receipt));
		buf_c(b, "],\"cashier\":[");
		buf_str(b, buf_view(&r->cashier));
		buf_char(b, ']');
	}
	buf_char(b, '}');
}

void reply_answer(struct buf *b, struct str id, bool duplicate, bool till, struct str kept)
{
	const struct reply none = { .till = till };

	buf_c(b, "{\"id\":");
	buf_json(b, id);
	buf_printf(b, ",\"duplicate\":%s,", duplicate ? "true" : "false");
	/* of those who left only the frame is there any more */
	if (str_starts(kept, STR("\"queued\"")))
		buf_str(b, kept);
	else
		reply_put(&none, b);
}

static int find_kept(struct work *w, const struct event *e, struct intake *r)
{
	struct sql_stmt *st = db_st(w->db, ST_EVENT_FIND);

	if (!st)
		return work_failed(w, "an event");
	sql_text(st, 1, e->id);
	sql_text(st, 2, e->source);
	if (sql_step(st) != 1)
		return work_failed(w, "an event");
	r->seq = (uint64_t)sql_col(st, 0);
	r->conflict = (uint64_t)sql_col(st, 1) != e->digest;
	r->duplicate = !r->conflict;
	r->done = (int)sql_col(st, 2);
	r->kept = arena_str(w->arena, sql_col_str(st, 3));
	sql_reset(st);
	return 0;
}

int intake_keep(struct work *w, struct event *e, struct intake *r)
{
	struct sql_stmt *st = db_st(w->db, ST_EVENT_ADD);

	*r = (struct intake){ .kept = STR_NONE };
	if (!st)
		return work_failed(w, "an event");
	sql_text(st, 1, e->source);
	sql_text(st, 2, e->id);
	sql_int(st, 3, (int64_t)e->digest);
	sql_int(st, 4, e->type);
	sql_int(st, 5, e->occurred);
	sql_int(st, 6, e->received);
	sql_blob(st, 7, e->text);
	if (sql_run(st) < 0)
		return work_failed(w, "an event");
	if (!sql_changed(w->db->sql))
		return find_kept(w, e, r);
	e->seq = r->seq = (uint64_t)sql_inserted(w->db->sql);
	return 0;
}

int intake_state(struct work *w, uint64_t seq, struct intake *r)
{
	struct sql_stmt *st = db_st(w->db, ST_EVENT_STATE);
	int rc;

	*r = (struct intake){ .seq = seq, .kept = STR_NONE };
	if (!st)
		return work_failed(w, "an event");
	sql_int(st, 1, (int64_t)seq);
	rc = sql_step(st);
	if (rc == 1) {
		r->done = (int)sql_col(st, 0);
		r->kept = arena_str(w->arena, sql_col_str(st, 1));
	}
	sql_reset(st);
	return rc < 0 ? work_failed(w, "an event") : 0;
}

int event_load(struct work *w, uint64_t seq, struct event **e_r)
{
	struct sql_stmt *st = db_st(w->db, ST_EVENT_GET);
	int rc;

	*e_r = NULL;
	if (!st)
		return work_failed(w, "an event");
	sql_int(st, 1, (int64_t)seq);
	rc = sql_step(st);
	if (rc == 1) {
		*e_r = event_restore(sql_col_str(st, 3), sql_col(st, 1), sql_col(st, 2));
		if (*e_r) {
			(*e_r)->seq = seq;
			(*e_r)->whose = (uint64_t)sql_col(st, 5);
		}
	}
	sql_reset(st);
	return rc < 0 ? work_failed(w, "an event") : *e_r != NULL;
}

int intake_raw(struct work *w, uint64_t after, uint64_t last, uint64_t *seq, unsigned most)
{
	struct sql_stmt *st = db_st(w->db, ST_EVENT_RAW);
	int rc, n = 0;

	if (!st)
		return work_failed(w, "events not worked on");
	sql_int(st, 1, (int64_t)after);
	sql_int(st, 2, (int64_t)last);
	sql_int(st, 3, most);
	while ((rc = sql_step(st)) == 1)
		seq[n++] = (uint64_t)sql_col(st, 0);
	return rc < 0 ? work_failed(w, "events not worked on") : n;
}

int intake_last(struct work *w, uint64_t *seq_r)
{
	struct sql_stmt *st = db_st(w->db, ST_EVENT_LAST);

	if (!st || sql_step(st) != 1)
		return work_failed(w, "the last event");
	*seq_r = (uint64_t)sql_col(st, 0);
	sql_reset(st);
	return 0;
}

int intake_answered(struct work *w, uint64_t seq, struct str kept)
{
	struct sql_stmt *st = db_st(w->db, ST_EVENT_REPLY);

	if (!st)
		return work_failed(w, "an answer");
	sql_blob(st, 1, kept);
	sql_int(st, 2, (int64_t)seq);
	return sql_run(st) < 0 ? work_failed(w, "an answer") : 0;
}

/* Whose it is, as far as its names tell: it goes when they leave. 1, 0, -1. */
static int whose(struct work *w, uint64_t seq, struct member **m_r)
{
	struct event *e = NULL;
	int rc = event_load(w, seq, &e), got = 0;

	for (int k = 0; k < ALIAS_KINDS && rc == 1 && !got; k++)
		if (e->who[k].n)
			got = member_find(w, (enum alias_kind)k, e->who[k], m_r);
	event_drop(&e);
	return rc < 0 ? -1 : got;
}

int intake_spoilt(struct work *w, uint64_t seq, struct str why)
{
	struct sql_stmt *st = db_st(w->db, ST_EVENT_DONE);
	struct member *m = NULL;
	int known = whose(w, seq, &m);

	if (known < 0)
		return -1;
	if (!st)
		return work_failed(w, "an event");
	sql_int(st, 1, EVENT_FAILED);
	sql_int(st, 2, known ? (int64_t)m->id : 0);
	sql_null(st, 3);
	sql_text_or_null(st, 4, why);
	sql_int(st, 5, (int64_t)seq);
	return sql_run(st) < 0 ? work_failed(w, "an event") : 0;
}

int intake_purge(struct work *w, unsigned most, bool *left_r)
{
	wall_t before = tidy_before(w);
	struct sql_stmt *st;

	*left_r = false;
	if (!before)
		return 0;
	st = db_st(w->db, ST_EVENT_PURGE);
	if (!st)
		return work_failed(w, "old events");
	sql_int(st, 1, before);
	sql_int(st, 2, most);
	if (sql_run(st) < 0)
		return work_failed(w, "old events");
	*left_r = sql_changed(w->db->sql) == (int64_t)most;
	return 0;
}
