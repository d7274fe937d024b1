/* Recurring tasks: when a run begins, goes on and ends. See task.h. Whom it speaks to and what
 * about is task_birthday.c and task_bonus.c; how is task_send.c.
 */
#include "plugins/offers/task_intern.h"
#include "gateway/http/json.h"

/* A run that begins within the first counts as of its day, also behind midnight; one that was begun
 * goes on for the second. */
#define BEGIN_GRACE DUR_HOUR
#define GO_ON_GRACE (6 * DUR_HOUR)
enum { RUNS_KEPT_DAYS = 60, ASK_AGAIN_MIN = 15 };

bool slice_over(const struct slice *s)
{
	return s->left == 0 || (s->until && clock_mono() >= s->until);
}

/* ---- rows ---- */
static int run(struct work *w, struct sql_stmt *st)
{
	return !st || sql_run(st) < 0 ? work_failed(w, "recurring tasks") : 0;
}

/* The first column of its only row, which may be none: 0. */
static int number_of(struct work *w, struct sql_stmt *st, int64_t *v_r)
{
	int got = st ? sql_step(st) : -1;

	*v_r = 0;
	if (got < 0)
		return work_failed(w, "recurring tasks");
	if (got) {
		*v_r = sql_col(st, 0);
		sql_reset(st);
	}
	return 0;
}

int told_get(struct work *w, const struct task *t, uint64_t member, uint32_t currency, int ahead,
	struct told *r)
{
	struct sql_stmt *st = db_st(w->db, ST_TOLD_GET);
	int got = -1;

	*r = (struct told){ 0 };
	if (st) {
		sql_int(st, 1, t->number);
		sql_int(st, 2, (int64_t)member);
		sql_int(st, 3, currency);
		sql_int(st, 4, ahead);
		got = sql_step(st);
	}
	if (got < 0)
		return work_failed(w, "what a member was told");
	if (got) {
		*r = (struct told){ sql_col(st, 0), sql_col(st, 1) };
		sql_reset(st);
	}
	return 0;
}

int told_put(struct work *w, const struct task *t, uint64_t member, uint32_t currency, int ahead,
	int64_t date, wall_t due)
{
	struct sql_stmt *st = db_st(w->db, ST_TOLD_PUT);

	if (st) {
		sql_int(st, 1, t->number);
		sql_int(st, 2, (int64_t)member);
		sql_int(st, 3, currency);
		sql_int(st, 4, ahead);
		sql_int(st, 5, date);
		sql_int(st, 6, due);
		sql_int(st, 7, w->now);
	}
	return run(w, st);
}

static int run_save(struct work *w, const struct run *r)
{
	struct sql_stmt *st = db_st(w->db, ST_RUN_SAVE);

	if (st) {
		sql_int(st, 1, r->state);
		sql_int(st, 2, r->phase);
		sql_int(st, 3, r->mark);
		sql_int(st, 4, (int64_t)r->cursor);
		sql_int(st, 5, r->seen);
		sql_int(st, 6, r->sent);
		sql_int(st, 7, r->state == RUN_OPEN ? 0 : w->now);
		sql_int(st, 8, r->t->number);
		sql_text(st, 9, r->zone_key);
		sql_int(st, 10, r->date);
	}
	return run(w, st);
}

static int run_add(struct work *w, const struct task *t, struct str zone, int64_t date,
	enum run_state state, wall_t started)
{
	struct sql_stmt *st = db_st(w->db, ST_RUN_ADD);

	if (st) {
		sql_int(st, 1, t->number);
		sql_text(st, 2, zone);
		sql_int(st, 3, date);
		sql_int(st, 4, state);
		sql_int(st, 5, started);
		sql_int(st, 6, state == RUN_OPEN ? 0 : w->now);
	}
	return run(w, st);
}

static const struct task *task_of(const struct rules *r, uint32_t number)
{
	for (size_t i = 0; i < r->tasks_n; i++)
		if (r->tasks[i].number == number)
			return &r->tasks[i];
	return NULL;
}

/* ---- when ---- */
/* Whose dates and hours count for members of that zone. */
static const struct zone *clock_of(const struct work *w, const struct task *t, struct str zone)
{
	const struct zone *z = NULL;

	if (t->conf->clock == CLOCK_MEMBER && zone.n)
		z = zone_find(zone, NULL);
	if (!z)
		z = w->rules->zone ? w->rules->zone : zone_utc();
	return z;
}

const struct zone *task_zone(const struct work *w, const struct task *t, const struct member *m)
{
	if (t->conf->clock == CLOCK_MEMBER)
		return m->zone;
	return w->rules->zone ? w->rules->zone : zone_utc();
}

static wall_t run_due(const struct task *t, const struct zone *z, int64_t date)
{
	return zone_wall(z, (struct local){ date, t->at });
}

/* The last date whose moment has come. */
static int64_t newest_date(const struct work *w, const struct task *t, const struct zone *z)
{
	int64_t day = zone_local(z, w->now).day;

	while (run_due(t, z, day) > w->now)
		day--;
	return day;
}

static bool is_too_late(
	const struct work *w, const struct task *t, const struct zone *z, int64_t date, dur_t grace)
{
	wall_t due = run_due(t, z, date);

	if (t->conf->max_lateness && t->conf->max_lateness[0] &&
		zone_add(z, due, t->max_lateness) < w->now)
		return true;
	if (t->conf->if_late == 1)
		return false;
	return date < zone_local(z, w->now).day && w->now - due > grace;
}

/* ---- beginning ---- */
static int begin_zone(
	struct work *w, const struct task *t, struct str zone, wall_t since, bool *any)
{
	const struct zone *z = clock_of(w, t, zone);
	int64_t newest = newest_date(w, t, z), last, date;
	struct sql_stmt *st = db_st(w->db, ST_RUN_LAST);

	if (st) {
		sql_int(st, 1, t->number);
		sql_text(st, 2, zone);
	}
	if (number_of(w, st, &last))
		return -1;
	date = last + 1 < newest - RUN_CATCH_UP_DAYS ? newest - RUN_CATCH_UP_DAYS : last + 1;
	for (; date <= newest; date++) {
		bool late = is_too_late(w, t, z, date, BEGIN_GRACE);

		if (run_due(t, z, date) < since)
			continue;
		if (run_add(w, t, zone, date, late ? RUN_SKIPPED : RUN_OPEN, w->now))
			return -1;
		*any |= !late;
		st = db_st(w->db, ST_RUNS_PURGE);
		if (st) {
			sql_int(st, 1, t->number);
			sql_text(st, 2, zone);
			sql_int(st, 3, date - RUNS_KEPT_DAYS);
		}
		if (run(w, st))
			return -1;
	}
	return 0;
}

/* A task begins to count when it is first seen, and for a zone when that is: what would have been
 * before is not made good. A zone may have come since the last look. */
static int task_since(
	struct work *w, const struct task *t, struct str zone, wall_t known, wall_t *since_r)
{
	struct sql_stmt *st = db_st(w->db, ST_RUN_SINCE);

	if (st) {
		sql_int(st, 1, t->number);
		sql_text(st, 2, zone);
	}
	if (number_of(w, st, since_r))
		return -1;
	if (*since_r)
		return 0;
	*since_r = known && known < w->now ? w->now - ASK_AGAIN_MIN * DUR_MIN : w->now;
	return run_add(w, t, zone, 0, RUN_DONE, *since_r);
}

static int begin_runs(struct work *w, bool *any)
{
	struct str *zones;
	size_t n;

	*any = false;
	if (w->rules->tasks_n == 0)
		return 0;
	if (zones_read(w, &zones, &n))
		return -1;
	for (size_t i = 0; i < w->rules->tasks_n; i++) {
		const struct task *t = &w->rules->tasks[i];
		wall_t known = 0, since;

		for (size_t k = 0; k < n; k++) {
			if (task_since(w, t, zones[k], known, &since) ||
				begin_zone(w, t, zones[k], since, any))
				return -1;
			if (k == 0) /* the zone that is always there */
				known = since;
		}
	}
	return 0;
}

/* ---- going on ---- */
/* 1: *r is the oldest open run of a task that there still is; 0: there is none. */
static int open_run(struct work *w, struct run *r)
{
	struct sql_stmt *st = db_st(w->db, ST_RUN_OPEN);
	int got;

	while ((got = st ? sql_step(st) : -1) == 1) {
		struct str zone = arena_str(w->arena, sql_col_str(st, 1));
		const struct task *t = task_of(w->rules, (uint32_t)sql_col(st, 0));

		if (!t)
			continue; /* taken out of the files: goes on should it come back */
		*r = (struct run){ .t = t,
			.zone_key = zone,
			.z = clock_of(w, t, zone),
			.date = sql_col(st, 2),
			.phase = (unsigned)sql_col(st, 3),
			.mark = sql_col(st, 4),
			.cursor = (uint64_t)sql_col(st, 5),
			.seen = sql_col(st, 6),
			.sent = sql_col(st, 7) };
		r->today = zone_local(r->z, w->now).day;
		sql_reset(st);
		return 1;
	}
	return got < 0 ? work_failed(w, "recurring tasks") : 0;
}

static unsigned phases_of(const struct run *r)
{
	int birthdays[2];

	if (r->t->look == LOOK_BIRTHDAY)
		return birthdays_on(r->date + r->t->ahead[0], r->t->conf->leap_day, birthdays);
	return r->t->ahead_n;
}

bool run_of(struct work *w, uint32_t task, struct run *r)
{
	r->t = task_of(w->rules, task);
	if (!r->t)
		return false;
	r->z = clock_of(w, r->t, r->zone_key);
	r->today = zone_local(r->z, w->now).day;
	return true;
}

bool run_is_over(const struct work *w, const struct run *r)
{
	return r->phase >= phases_of(r) || r->today - r->date > RUN_CATCH_UP_DAYS ||
	       is_too_late(w, r->t, r->z, r->date, GO_ON_GRACE);
}

static int go_on(struct work *w, struct run *r, struct slice *s)
{
	int64_t was = r->sent;

	if (is_too_late(w, r->t, r->z, r->date, GO_ON_GRACE))
		r->state = RUN_SKIPPED;
	while (r->state == RUN_OPEN && !slice_over(s)) {
		bool over = true;

		if (r->phase >= phases_of(r)) {
			r->state = RUN_DONE;
			break;
		}
		if (r->t->look == LOOK_BIRTHDAY ? birthdays_run(w, r, s, &over)
						: bonuses_run(w, r, s, &over))
			return -1;
		if (over) {
			r->phase++;
			r->mark = 0;
			r->cursor = 0;
		}
	}
	return run_save(w, r) ? -1 : (int)(r->sent - was);
}

/* ---- what quiet hours held ---- */
static int one_held(struct work *w, const struct held *h, struct slice *s, unsigned *sent_r)
{
	const struct task *t = task_of(w->rules, h->task);

	if (!hand_take(w, HAND_HELD, h->task, t ? t->conf->name : "", h->member))
		return 0; /* due as before */
	if (bonus_held(w, h, sent_r))
		return -1;
	hand_drop(w);
	if (s->left)
		s->left--;
	return 0;
}

static int fire_held(struct work *w, struct slice *s, unsigned *sent_r)
{
	enum { AT_A_TIME = 64 };
	struct held *v = NULL, last = { 0 };
	wall_t due = 0;

	for (size_t n = AT_A_TIME; n == AT_A_TIME && !slice_over(s);) {
		struct sql_stmt *st = db_st(w->db, ST_TOLD_DUE);
		int got = 0;

		if (!st)
			return work_failed(w, "recurring tasks");
		sql_int(st, 1, w->now);
		sql_int(st, 2, due);
		sql_int(st, 3, last.task);
		sql_int(st, 4, (int64_t)last.member);
		sql_int(st, 5, last.currency);
		sql_int(st, 6, last.ahead);
		for (n = 0; n < AT_A_TIME && (got = sql_step(st)) == 1; n++) {
			if (!v)
				v = arena_alloc(w->arena, AT_A_TIME * sizeof *v);
			v[n] = (struct held){ (uint32_t)sql_col(st, 0), (uint32_t)sql_col(st, 2),
				(uint64_t)sql_col(st, 1), (int)sql_col(st, 3), sql_col(st, 4) };
			due = sql_col(st, 5);
		}
		if (got < 0)
			return work_failed(w, "recurring tasks");
		sql_reset(st);
		for (size_t i = 0; i < n; i++)
			if (one_held(w, &v[i], s, sent_r))
				return -1;
		if (n)
			last = v[n - 1];
	}
	return 0;
}

/* ---- a slice ---- */
static int runs(struct work *w, struct slice *s, unsigned *sent_r, bool *left_r)
{
	struct run r;
	int got, sent;

	*sent_r = 0;
	*left_r = false;
	if (fire_held(w, s, sent_r) || fire_again(w, s, sent_r))
		return -1;
	for (;;) {
		got = open_run(w, &r);
		if (got == 0) {
			bool any;

			if (begin_runs(w, &any))
				return -1;
			if (!any)
				break;
			continue;
		}
		if (got < 0)
			return -1;
		if (slice_over(s))
			break;
		sent = go_on(w, &r, s);
		if (sent < 0)
			return -1;
		*sent_r += (unsigned)sent;
	}
	*left_r = slice_over(s);
	return 0;
}

int task_runs(struct work *w, unsigned most, mono_t until, unsigned *sent_r, bool *left_r)
{
	struct slice s = { most ? most : UINT32_MAX, until };

	return runs(w, &s, sent_r, left_r);
}

int task_fire(struct work *w, unsigned most, mono_t until, unsigned *sent_r, bool *left_r)
{
	struct slice s = { most ? most : UINT32_MAX, until };

	if (runs(w, &s, sent_r, left_r))
		return -1;
	return *left_r ? 0 : ledger_sweep(w, s.left, until, left_r);
}

int task_next_due(struct work *w, wall_t *due_r)
{
	return task_next_within(
		w, ASK_AGAIN_MIN * DUR_MIN, due_r); /* a member of a new zone may come */
}

/* 0: none. What is due still after a slice is who was gone past. */
static int next_held(struct work *w, int64_t *due_r)
{
	struct sql_stmt *st = db_st(w->db, ST_TOLD_NEXT);

	if (st)
		sql_int(st, 1, hand_any_past(w, HAND_HELD) ? w->now : 0);
	return number_of(w, st, due_r);
}

int task_next_within(struct work *w, dur_t most, wall_t *due_r)
{
	struct str *zones;
	size_t n;
	wall_t due = w->now + most;
	int64_t held;
	struct run r;
	int got;

	if (zones_read(w, &zones, &n) || next_held(w, &held))
		return -1;
	if (held && held < due)
		due = held;
	got = open_run(w, &r);
	if (got < 0)
		return -1;
	for (size_t i = 0; i < w->rules->tasks_n; i++)
		for (size_t k = 0; k < n; k++) {
			const struct task *t = &w->rules->tasks[i];
			const struct zone *z = clock_of(w, t, zones[k]);
			wall_t next = run_due(t, z, newest_date(w, t, z) + 1);

			if (next < due)
				due = next;
		}
	*due_r = got || due < w->now ? w->now : due;
	return 0;
}
