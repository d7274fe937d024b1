/* What a unit of work leaves behind for after its commit. See work.h. */
#include "plugins/offers/work.h"

int work_failed(struct work *w, const char *what)
{
	return sql_err(w->db->sql, &w->e, what);
}

static void cancel_asked(struct work *w, uint64_t deed, uint64_t msg, uint64_t whole)
{
	if (w->cancels_n == w->cancels_cap) {
		size_t cap = w->cancels_cap ? 2 * w->cancels_cap : 8;
		struct work_cancel *v = arena_alloc(w->arena, cap * sizeof *v);

		if (w->cancels_n)
			memcpy(v, w->cancels, w->cancels_n * sizeof *v);
		w->cancels = v;
		w->cancels_cap = cap;
	}
	w->cancels[w->cancels_n++] = (struct work_cancel){ deed, msg, whole };
}

static int deed_add(struct work *w, enum deed_kind kind, uint64_t msg, uint64_t whole,
	struct str key, struct str body)
{
	struct sql_stmt *st = db_st(w->db, ST_DEED_ADD);

	if (!st)
		return work_failed(w, "what is to be done");
	sql_int(st, 1, kind);
	sql_int(st, 2, (int64_t)msg);
	/* cancels are done by who asked for them; the row is for a crash before that */
	sql_int(st, 3, w->now + (kind == DEED_CANCEL ? 10 * DUR_S : 0));
	sql_text_or_null(st, 4, key);
	if (body.n)
		sql_blob(st, 5, body);
	else
		sql_null(st, 5);
	if (sql_run(st) < 0)
		return work_failed(w, "what is to be done");
	if (kind == DEED_CANCEL)
		cancel_asked(w, (uint64_t)sql_inserted(w->db->sql), msg, whole);
	w->deeds = true;
	return 0;
}

/* What went to several devices is several messages, and all of them are meant. */
static int deed_parts(struct work *w, enum deed_kind kind, uint64_t msg)
{
	struct sql_stmt *st = db_st(w->db, ST_PARTS_WITH);
	uint64_t other[16];
	unsigned n = 0;
	int rc;

	if (!st)
		return work_failed(w, "what is to be done");
	sql_int(st, 1, (int64_t)msg);
	while ((rc = sql_step(st)) == 1)
		if (n < 16)
			other[n++] = (uint64_t)sql_col(st, 0);
	if (rc < 0)
		return work_failed(w, "what is to be done");
	for (unsigned i = 0; i < n; i++)
		if (deed_add(w, kind, other[i], msg, STR_NONE, STR_NONE) < 0)
			return -1;
	return 0;
}

int work_deed(struct work *w, enum deed_kind kind, uint64_t msg, struct str key, struct str body)
{
	if (deed_add(w, kind, msg, msg, key, body) < 0)
		return -1;
	if (kind == DEED_UPSTREAM)
		return 0;
	if (kind == DEED_CANCEL)
		w->removed++;
	return deed_parts(w, kind, msg);
}

void work_queued(struct work *w, uint64_t msg)
{
	if (w->queued_n == w->queued_cap) {
		size_t cap = w->queued_cap ? 2 * w->queued_cap : 8;
		uint64_t *v = arena_alloc(w->arena, cap * sizeof *v);

		if (w->queued_n)
			memcpy(v, w->queued, w->queued_n * sizeof *v);
		w->queued = v;
		w->queued_cap = cap;
	}
	w->queued[w->queued_n++] = msg;
}

void work_timer(struct work *w, wall_t due)
{
	if (due && (!w->next_due || due < w->next_due))
		w->next_due = due;
}
