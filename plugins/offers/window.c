/* Windows of time on a member's own wall, and the calendar's periods. See zone.h.
 * A window is worked out as stretches between two instants, one for each day on which it begins, so
 * that the three questions about it have one answer, also where the clock leaps. Any thread.
 */
#include "plugins/offers/zone.h"

enum {
	ALL_DAYS = 0x7f,
	AHEAD = 16,      /* twice a week, and a bit */
	AHEAD_DAY = 400, /* of days of the calendar */
	OUT_MOST = 40,
};

/* ---- reading ---- */
static bool weekday_parse(struct str s, int *day_r)
{
	static const char *const words[] = { "monday", "tuesday", "wednesday", "thursday", "friday",
		"saturday", "sunday" };

	for (int i = 0; i < 7; i++)
		if (str_ieq(s, str_of(words[i])) || str_ieq(s, str_n(words[i], 3))) {
			*day_r = i;
			return true;
		}
	return false;
}

static const char *days_parse(struct str s, uint16_t *days_r)
{
	static const char unknown[] =
		"names a day that is none: mon, tue, wed, thu, fri, sat, sun, holiday, or -holiday "
		"for those that are no holidays";
	struct str part, from;
	uint16_t days = 0;

	while (str_cut(&s, ',', &part)) {
		bool but;
		int a, b;

		part = str_trim(part);
		but = str_starts(part, STR("-"));
		if (but)
			part = str_trim(str_skip(part, 1));
		if (str_ieq(part, STR("holiday"))) {
			days |= but ? WINDOW_NO_HOLIDAYS : WINDOW_HOLIDAYS;
			continue;
		}
		if (!str_cut(&part, '-', &from) || !weekday_parse(str_trim(from), &a))
			return unknown;
		b = a;
		if (part.p && !weekday_parse(str_trim(part), &b))
			return unknown;
		if (but)
			return "leaves out a weekday: only -holiday can be left out, name the days "
			       "that are meant";
		for (int d = a;; d = (d + 1) % 7) {
			days |= (uint16_t)(1u << d);
			if (d == b)
				break;
		}
	}
	if ((days & WINDOW_HOLIDAYS) && (days & WINDOW_NO_HOLIDAYS))
		return "names holiday and -holiday: one of the two";
	if (days == WINDOW_NO_HOLIDAYS)
		days |= ALL_DAYS;
	if ((days & ALL_DAYS) == ALL_DAYS) /* they are among them */
		days &= (uint16_t)~WINDOW_HOLIDAYS;
	*days_r = days;
	return NULL;
}

const char *holiday_parse(struct str s, struct holiday *r)
{
	static const char wrong[] = "is no day: write 2026-12-24, or 12-25 for each year";
	struct buf b = BUF_INIT;
	struct civil c;
	int64_t day;
	bool each = str_trim(s).n == 5, good;

	/* 2000 has a 29 February */
	buf_printf(&b, "%s%.*s", each ? "2000-" : "", STR_ARG(str_trim(s)));
	good = date_parse(buf_view(&b), &day);
	buf_free(&b);
	if (!good)
		return wrong;
	c = clock_civil(day * DUR_DAY);
	*r = (struct holiday){ each ? 0 : c.year, c.month, c.day };
	return NULL;
}

const char *window_parse(struct str s, struct window *r)
{
	struct window w = { .days = ALL_DAYS, .to = DUR_DAY };
	struct str days, from;
	size_t n = 0;

	s = str_trim(s);
	if (s.n == 0)
		return "is empty: write for example 10:00-20:00";
	while (n < s.n && (s.p[n] < '0' || s.p[n] > '9'))
		n++;
	days = str_trim(str_n(s.p, n));
	s = str_skip(s, n);
	if (days.n) {
		const char *wrong = days_parse(days, &w.days);

		if (wrong)
			return wrong;
	}
	if (s.n) {
		str_cut(&s, '-', &from);
		if (!s.p || !time_of_day_parse(str_trim(from), &w.from) ||
			!time_of_day_parse(str_trim(s), &w.to) || w.from == DUR_DAY)
			return "is no window: write 10:00-20:00, 21:00-09:00 or mon-fri "
			       "10:00-20:00";
	}
	*r = w;
	return NULL;
}

void window_put(struct buf *b, struct window w)
{
	static const char words[] = "montuewedthufrisatsun";
	bool any = false;

	for (int d = 0; d < 7 && (w.days & ALL_DAYS) != ALL_DAYS; d++)
		if (w.days & 1u << d) {
			if (any)
				buf_char(b, ',');
			buf_add(b, words + 3 * d, 3);
			any = true;
		}
	if (w.days & (WINDOW_HOLIDAYS | WINDOW_NO_HOLIDAYS)) {
		buf_printf(
			b, "%s%sholiday", any ? "," : "", w.days & WINDOW_NO_HOLIDAYS ? "-" : "");
		any = true;
	}
	if (any)
		buf_char(b, ' ');
	time_of_day_put(b, w.from);
	buf_char(b, '-');
	time_of_day_put(b, w.to);
}

/* ---- asking ---- */
static bool is_holiday(const struct holidays *h, int64_t day)
{
	struct civil c = clock_civil(day * DUR_DAY);

	for (size_t i = 0; i < h->n; i++)
		if (h->v[i].month == c.month && h->v[i].day == c.day &&
			(!h->v[i].year || h->v[i].year == c.year))
			return true;
	return false;
}

static bool of_holidays(const struct window *w)
{
	return (w->days & (WINDOW_HOLIDAYS | WINDOW_NO_HOLIDAYS)) && w->holidays;
}

static bool begins_on(const struct window *w, int64_t day)
{
	bool weekday = w->days & 1u << (date_weekday(day) - 1);

	if (!of_holidays(w))
		return weekday;
	if (w->days & WINDOW_HOLIDAYS)
		return weekday || is_holiday(w->holidays, day);
	return weekday && !is_holiday(w->holidays, day);
}

/* The stretch that begins on that day; false when there is none. */
static bool stretch(
	const struct window *w, const struct zone *z, int64_t day, wall_t *from_r, wall_t *to_r)
{
	if (!begins_on(w, day))
		return false;
	*from_r = zone_wall(z, (struct local){ day, w->from });
	*to_r = zone_wall(z, (struct local){ day + (w->to <= w->from), w->to });
	return *from_r < *to_r;
}

bool window_has(const struct window *w, size_t n, const struct zone *z, wall_t t, wall_t *end_r)
{
	int64_t today = zone_local(z, t).day;
	wall_t from, to, end = 0;
	bool has = false;

	for (size_t i = 0; i < n; i++)
		for (int64_t day = today - 2; day <= today; day++) /* a day may not exist */
			if (stretch(&w[i], z, day, &from, &to) && from <= t && t < to) {
				if (!has || to > end)
					end = to;
				has = true;
			}
	if (has && end_r)
		*end_r = end;
	return has;
}

wall_t window_next(const struct window *w, size_t n, const struct zone *z, wall_t t)
{
	int64_t today = zone_local(z, t).day;
	wall_t from, to, best = 0;
	bool found = false;

	if (n == 0 || window_has(w, n, z, t, NULL))
		return t;
	for (size_t i = 0; i < n; i++)
		/* Twice a week: the one that should come first may fall into a gap. */
		for (int64_t day = today - 1,
			     last = today + (of_holidays(&w[i]) ? AHEAD_DAY : AHEAD);
			day <= last; day++)
			if (stretch(&w[i], z, day, &from, &to) && from >= t) {
				if (!found || from < best)
					best = from;
				found = true;
				break;
			}
	return found ? best : t;
}

wall_t window_out(const struct window *w, size_t n, const struct zone *z, wall_t t)
{
	wall_t now = t, end;

	while (window_has(w, n, z, now, &end)) {
		if (end <= now || end - t > OUT_MOST * DUR_DAY)
			return 0;
		now = end;
	}
	return now;
}

/* ---- periods ---- */
bool period_parse(struct str word, enum period *r)
{
	static const struct {
		const char *word;
		enum period p;
	} words[] = { { "ever", PERIOD_EVER }, { "life", PERIOD_EVER }, { "day", PERIOD_DAY },
		{ "week", PERIOD_WEEK }, { "month", PERIOD_MONTH }, { "year", PERIOD_YEAR } };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (str_is(word, words[i].word)) {
			*r = words[i].p;
			return true;
		}
	return false;
}

int64_t period_of(enum period p, const struct zone *z, wall_t t)
{
	enum {
		MONDAY_BEFORE = 3
	}; /* 1970-01-01 was a Thursday; its week began three days before */
	int64_t day;
	int y, m, d;

	if (p == PERIOD_EVER)
		return 0;
	day = zone_local(z, t).day;
	if (p == PERIOD_DAY)
		return day;
	if (p == PERIOD_WEEK) {
		day += MONDAY_BEFORE;
		return day / 7 - (day % 7 < 0);
	}
	date_civil(day, &y, &m, &d);
	return p == PERIOD_YEAR ? y - 1970 : (int64_t)(y - 1970) * 12 + m - 1;
}
