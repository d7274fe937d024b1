/* What a unit of work leaves behind for after its commit. See work.h. */
#include "plugins/offers/work.h"

int work_failed(struct work *w, const char *what)
{
	return sql_err(w->db->sql, &w->e, what);
}

int work_deed(struct work *w, enum deed_kind kind, uint64_t msg, struct str key, struct str body)
{
	struct sql_stmt *st = db_st(w->db, ST_DEED_ADD);

	if (!st)
		return work_failed(w, "what is to be done");
	sql_int(st, 1, kind);
	sql_int(st, 2, (int64_t)msg);
	sql_int(st, 3, w->now);
	sql_text_or_null(st, 4, key);
	if (body.n)
		sql_blob(st, 5, body);
	else
		sql_null(st, 5);
	if (sql_run(st) < 0)
		return work_failed(w, "what is to be done");
	w->deeds = true;
	if (kind == DEED_CANCEL)
		w->removed++;
	return 0;
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
