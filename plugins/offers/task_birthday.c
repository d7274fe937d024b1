/* Birthdays: whom to greet on a date, and points that come with it. See task.h.
 *
 * The points come first, and the message speaks of them only since they are there: both in one
 * transaction. Who cannot or will not be written to has the points all the same.
 */
#include "plugins/offers/task_intern.h"

enum { LEAP_FEB28, LEAP_MAR1, LEAP_SKIP };
enum { FEB_28 = 228, FEB_29 = 229, MAR_1 = 301 };

bool birthday_in(int year, int birthday, int leap_day, int64_t *day_r)
{
	if (birthday == FEB_29 && !year_is_leap(year)) {
		if (leap_day == LEAP_SKIP)
			return false;
		birthday = leap_day == LEAP_MAR1 ? MAR_1 : FEB_28;
	}
	*day_r = date_of_civil(year, birthday / 100, birthday % 100);
	return true;
}

unsigned birthdays_on(int64_t date, int leap_day, int out[2])
{
	int y, m, d;
	int64_t day;

	date_civil(date, &y, &m, &d);
	out[0] = m * 100 + d;
	out[1] = FEB_29;
	return out[0] != FEB_29 && birthday_in(y, FEB_29, leap_day, &day) && day == date ? 2 : 1;
}

/* "30 days" ends with the thirtieth local day behind this one. */
static wall_t end_of_life(const struct zone *z, wall_t now, struct span lives)
{
	int64_t day;

	if (span_is_zero(lives))
		return 0;
	if (lives.exact)
		return zone_add(z, now, lives);
	day = date_add_months(zone_local(z, now).day, lives.months) + lives.days;
	return zone_midnight(z, day + 1);
}

static int accrue(struct work *w, const struct task *t, const struct member *m, int year)
{
	struct accrual a = { .currency = t->accrue_currency,
		.amount = t->accrue_amount,
		.expires = end_of_life(m->zone, w->now, t->accrue_lives),
		.why = str_of(t->conf->name) };

	if (m->ext.n)
		a.key = str_of(arena_printf(
			w->arena, "birthday:%s:%.*s:%d", t->conf->name, STR_ARG(m->ext), year));
	else
		a.key = str_of(arena_printf(w->arena, "birthday:%s:#%llu:%d", t->conf->name,
			(unsigned long long)m->id, year));
	return ledger_accrue(w, m, &a);
}

static bool is_too_new(const struct work *w, const struct task *t, const struct member *m)
{
	return m->registered && !span_is_zero(t->min_member_age) &&
	       zone_add(m->zone, m->registered, t->min_member_age) > w->now;
}

/* Once in a calendar year, whatever the birthday is now. 1: this is the first time, 0: it is not.
 */
static int take_year(struct work *w, const struct task *t, uint64_t member, int year)
{
	struct sql_stmt *st = db_st(w->db, ST_TOLD_TAKE);

	if (st) {
		sql_int(st, 1, t->number);
		sql_int(st, 2, (int64_t)member);
		sql_int(st, 3, year);
		sql_int(st, 4, w->now);
	}
	if (!st || sql_run(st) < 0)
		return work_failed(w, "what a member was told");
	return sql_changed(w->db->sql) > 0;
}

/* 1: a message was made. */
static int greet(struct work *w, const struct run *r, uint64_t id, int year)
{
	const struct task *t = r->t;
	struct notice n = { .t = t, .run = (uint64_t)year, .amount = -1 };
	struct member *m;
	struct sent sent;
	int got = member_load(w, id, &m);

	if (got < 1 || m->id != id || (got = task_wants(w, t, m)) < 1 || is_too_new(w, t, m))
		return got < 0 ? -1 : 0;
	got = take_year(w, t, id, year);
	if (got < 1)
		return got;
	if (t->conf->accrue_given) {
		if (accrue(w, t, m, year) < 0)
			return -1;
		n.amount = t->accrue_amount;
		n.currency = t->accrue_currency;
	}
	if (!t->template)
		return 0;
	n.member = m;
	n.date = r->date + t->ahead[0];
	n.days = n.date - r->today;
	n.expires = zone_midnight(m->zone, zone_local(m->zone, w->now).day + 2);
	return task_send(w, &n, &sent) ? -1 : sent.msg != 0;
}

static int year_of(const struct run *r)
{
	int year, month, day;

	date_civil(r->date + r->t->ahead[0], &year, &month, &day);
	return year;
}

int birthday_one(struct work *w, const struct run *r, uint64_t member)
{
	return greet(w, r, member, year_of(r));
}

int birthdays_run(struct work *w, struct run *r, struct slice *s, bool *over_r)
{
	enum { AT_A_TIME = 256 };
	uint64_t *ids = arena_alloc(w->arena, AT_A_TIME * sizeof *ids);
	int birthdays[2], year = year_of(r), sent;
	size_t n = AT_A_TIME;

	birthdays_on(r->date + r->t->ahead[0], r->t->conf->leap_day, birthdays);
	*over_r = false;
	while (n == AT_A_TIME) {
		struct sql_stmt *st = db_st(w->db, ST_BIRTHDAYS);
		int got = 0;

		if (st) {
			sql_int(st, 1, birthdays[r->phase]);
			sql_text_or_null(st, 2, r->zone_key);
			sql_int(st, 3, (int64_t)r->cursor);
			sql_int(st, 4, AT_A_TIME);
		}
		for (n = 0; st && n < AT_A_TIME && (got = sql_step(st)) == 1; n++)
			ids[n] = (uint64_t)sql_col(st, 0);
		if (!st || got < 0)
			return work_failed(w, "birthdays");
		sql_reset(st);
		for (size_t i = 0; i < n; i++) {
			if (slice_over(s))
				return 0;
			sent = hand_take(w, HAND_RUN, r->t->number, r->t->conf->name, ids[i])
				       ? greet(w, r, ids[i], year)
				       : run_past(w, r, s, ids[i]);
			if (sent < 0)
				return -1;
			hand_drop(w);
			r->sent += sent;
			r->seen++;
			r->cursor = ids[i];
			s->left--;
		}
	}
	*over_r = true;
	return 0;
}
