/* Members that a run went past, since the store would not take what was done for them (stuck.h):
 * each is tried again by the hour, as long as the run's day is worth it.
 *
 * They are rows of of_deed: the run itself goes on, ends, and forgets them.
 */
#include "gateway/base/log.h"
#include "plugins/offers/task_intern.h"

enum { AGAIN_MOST = 256, AT_A_TIME = 64 };

static int fails(struct work *w)
{
	return work_failed(w, "recurring tasks");
}

/* "TASK DATE PHASE ZONE" */
static struct str key_of(struct work *w, const struct run *r)
{
	return str_of(arena_printf(w->arena, "%u %lld %u %.*s", r->t->number, (long long)r->date,
		r->phase, STR_ARG(r->zone_key)));
}

static bool key_read(struct str key, uint32_t *task_r, struct run *r)
{
	struct str task, date, phase;
	uint64_t n, of;

	if (!str_cut(&key, ' ', &task) || !str_cut(&key, ' ', &date) ||
		!str_cut(&key, ' ', &phase) || !str_u64(task, &n) || !str_i64(date, &r->date) ||
		!str_u64(phase, &of))
		return false;
	*task_r = (uint32_t)n;
	r->phase = (unsigned)of;
	r->zone_key = key;
	return true;
}

int run_past(struct work *w, const struct run *r, struct slice *s, uint64_t member)
{
	struct sql_stmt *st = db_st(w->db, ST_AGAIN_COUNT);
	int64_t waiting = 0;

	if (!st || sql_step(st) != 1)
		return fails(w);
	waiting = sql_col(st, 0);
	sql_reset(st);
	if (waiting >= AGAIN_MOST) /* it is hardly the members' fault */
		return err_set(&w->e, ERR_ENV,
			"%lld members that it fails for wait already to be tried again",
			(long long)waiting);
	st = db_st(w->db, ST_AGAIN_ADD);
	if (!st)
		return fails(w);
	sql_int(st, 1, (int64_t)member);
	sql_int(st, 2, w->now + STUCK_FOR);
	sql_text(st, 3, key_of(w, r));
	if (sql_run(st) < 0)
		return fails(w);
	s->left = 1; /* committed with it: whoever is next may fail, too */
	return 0;
}

/* ---- later ---- */
struct again_row {
	uint64_t deed, member;
	struct str key;
};

static int deed_gone(struct work *w, const struct again_row *a)
{
	struct sql_stmt *st = db_st(w->db, ST_DEED_DEL);

	if (!st)
		return fails(w);
	sql_int(st, 1, (int64_t)a->deed);
	return sql_run(st) < 0 ? fails(w) : 0;
}

static int deed_later(struct work *w, const struct again_row *a)
{
	struct sql_stmt *st = db_st(w->db, ST_AGAIN_LATER);

	if (!st)
		return fails(w);
	sql_int(st, 1, w->now + STUCK_FOR);
	sql_int(st, 2, (int64_t)a->deed);
	return sql_run(st) < 0 ? fails(w) : 0;
}

static int sent_more(struct work *w, const struct run *r, unsigned n)
{
	struct sql_stmt *st = n ? db_st(w->db, ST_RUN_SENT) : NULL;

	if (!n)
		return 0;
	if (!st)
		return fails(w);
	sql_int(st, 1, n);
	sql_int(st, 2, r->t->number);
	sql_text(st, 3, r->zone_key);
	sql_int(st, 4, r->date);
	return sql_run(st) < 0 ? fails(w) : 0;
}

static int one_again(struct work *w, const struct again_row *a, struct slice *s, unsigned *sent_r)
{
	struct run r = { 0 };
	uint32_t task;
	int sent;

	if (!key_read(a->key, &task, &r))
		return deed_gone(w, a);
	if (!run_of(w, task, &r)) /* taken out of the files: it may come back */
		return w->now / DUR_DAY - r.date > RUN_CATCH_UP_DAYS ? deed_gone(w, a)
								     : deed_later(w, a);
	if (run_is_over(w, &r)) {
		log_error("a recurring task gave a member up", F_STR("task", r.t->conf->name),
			F_ID("member", a->member));
		return deed_gone(w, a);
	}
	if (!hand_take(w, HAND_RUN, task, r.t->conf->name, a->member)) {
		s->left = 1;
		return deed_later(w, a);
	}
	sent = r.t->look == LOOK_BIRTHDAY ? birthday_one(w, &r, a->member)
					  : bonus_one(w, &r, a->member);
	if (sent < 0)
		return -1;
	hand_drop(w);
	*sent_r += (unsigned)sent;
	return sent_more(w, &r, (unsigned)sent) || deed_gone(w, a) ? -1 : 0;
}

int fire_again(struct work *w, struct slice *s, unsigned *sent_r)
{
	struct again_row *v = NULL;

	for (size_t n = AT_A_TIME; n == AT_A_TIME && !slice_over(s);) {
		struct sql_stmt *st = db_st(w->db, ST_AGAIN_DUE);
		int got = 0;

		if (!st)
			return fails(w);
		sql_int(st, 1, w->now);
		sql_int(st, 2, AT_A_TIME);
		for (n = 0; n < AT_A_TIME && (got = sql_step(st)) == 1; n++) {
			if (!v)
				v = arena_alloc(w->arena, AT_A_TIME * sizeof *v);
			v[n] = (struct again_row){ (uint64_t)sql_col(st, 0),
				(uint64_t)sql_col(st, 1), arena_str(w->arena, sql_col_str(st, 2)) };
		}
		if (got < 0)
			return fails(w);
		sql_reset(st);
		for (size_t i = 0; i < n; i++) {
			if (slice_over(s))
				return 0;
			if (one_again(w, &v[i], s, sent_r))
				return -1;
			if (s->left)
				s->left--;
		}
	}
	return 0;
}
