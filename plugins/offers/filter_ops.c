/* What the operators and functions of filters come to: arithmetic that saturates, dates, texts.
 * Every way of evaluating a filter ends in these, the functions given to SQL included.
 */
#include "gateway/model/unicode.h"
#include "plugins/offers/filter_private.h"

/* Days that the calendar is asked about: some 27,000 years to either side. */
#define DAYS_MOST 10000000ll

int64_t filter_add(int64_t a, int64_t b)
{
	int64_t r;

	if (!__builtin_add_overflow(a, b, &r))
		return r;
	return a < 0 ? INT64_MIN : INT64_MAX;
}

int64_t filter_sub(int64_t a, int64_t b)
{
	int64_t r;

	if (!__builtin_sub_overflow(a, b, &r))
		return r;
	return a < 0 ? INT64_MIN : INT64_MAX;
}

int64_t filter_mul(int64_t a, int64_t b)
{
	int64_t r;

	if (!__builtin_mul_overflow(a, b, &r))
		return r;
	return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}

int64_t filter_widen(int64_t i)
{
	return filter_mul(i, DECIMAL_ONE);
}

bool filter_mod(int64_t a, int64_t b, int64_t *r)
{
	if (b == 0)
		return false;
	*r = b == -1 ? 0 : a % b;
	return true;
}

int64_t filter_span_ns(struct span s)
{
	return filter_add(filter_mul(30ll * s.months + s.days, DUR_DAY), s.exact);
}

/* ---- the calendar --------------------------------------------------------------------------- */

static bool in_calendar(int64_t days)
{
	return days >= -DAYS_MOST && days <= DAYS_MOST;
}

bool filter_shift_date(int64_t days, struct span s, int sign, int64_t *r)
{
	int64_t months = sign * (int64_t)s.months;

	if (!in_calendar(days) || months > DAYS_MOST / 31 || months < -DAYS_MOST / 31)
		return false;
	*r = date_add_months(days, (int32_t)months) + sign * (int64_t)s.days;
	return true;
}

bool filter_shift_time(int64_t ns, struct span s, int sign, int64_t *r)
{
	int64_t days = ns / DUR_DAY - (ns % DUR_DAY < 0), rest = ns - days * DUR_DAY;

	if (!filter_shift_date(days, s, sign, &days))
		return false;
	*r = filter_add(filter_mul(days, DUR_DAY), rest);
	*r = sign < 0 ? filter_sub(*r, s.exact) : filter_add(*r, s.exact);
	return true;
}

bool filter_days_between(int64_t a, int64_t b, int64_t *ns_r)
{
	*ns_r = filter_mul(filter_sub(a, b), DUR_DAY);
	return true;
}

bool filter_days_since(int64_t now, int64_t then, int64_t *days_r)
{
	int64_t d = filter_sub(now, then);

	*days_r = d / DUR_DAY;
	return true;
}

bool filter_month(int64_t days, int64_t *r)
{
	int y, m, d;

	if (!in_calendar(days))
		return false;
	date_civil(days, &y, &m, &d);
	*r = m;
	return true;
}

bool filter_day(int64_t days, int64_t *r)
{
	int y, m, d;

	if (!in_calendar(days))
		return false;
	date_civil(days, &y, &m, &d);
	*r = d;
	return true;
}

bool filter_weekday(int64_t days, int64_t *r)
{
	if (!in_calendar(days))
		return false;
	*r = date_weekday(days);
	return true;
}

/* Years completed; who was born on 29 February is a year older on the 28th of a common year. */
bool filter_age(int64_t born, int64_t today, int64_t *r)
{
	int y, m, d, ty, tm, td;

	if (!in_calendar(born) || !in_calendar(today) || today < born)
		return false;
	date_civil(born, &y, &m, &d);
	date_civil(today, &ty, &tm, &td);
	*r = ty - y - (date_of_civil(ty, m, d) > today);
	return true;
}

bool filter_anniversary(int64_t day, int64_t today, int64_t *r)
{
	int y, m, d, ty, tm, td;

	if (!in_calendar(day) || !in_calendar(today))
		return false;
	date_civil(day, &y, &m, &d);
	date_civil(today, &ty, &tm, &td);
	*r = date_of_civil(ty, m, d);
	if (*r < today)
		*r = date_of_civil(ty + 1, m, d);
	return true;
}

/* ---- texts ---------------------------------------------------------------------------------- */

int64_t filter_len(struct str s)
{
	int64_t n = 0;

	while (s.n) {
		str_utf8_next(&s);
		n++;
	}
	return n;
}

/* A code point folded; of a byte that is no UTF-8, a number of its own. */
static uint32_t next_folded(struct str *s)
{
	unsigned char first = (unsigned char)s->p[0];
	int32_t c;

	if (first < 0x80) {
		*s = str_skip(*s, 1);
		return first >= 'A' && first <= 'Z' ? first + 0x20u : first;
	}
	c = str_utf8_next(s);
	return c < 0 ? 0x110000u + first : unicode_fold((uint32_t)c);
}

bool filter_ieq(struct str a, struct str b)
{
	while (a.n && b.n)
		if (next_folded(&a) != next_folded(&b))
			return false;
	return a.n == b.n;
}

void filter_lower(struct str s, struct buf *out)
{
	while (s.n) {
		const char *p = s.p;
		int32_t c = str_utf8_next(&s);

		if (c < 0)
			buf_char(out, *p);
		else if (c < 0x80)
			buf_char(out, (char)unicode_lower((uint32_t)c));
		else
			buf_utf8(out, unicode_lower((uint32_t)c));
	}
}

/* '*' any run, '?' one character, '\' takes the sign out of what follows. Time: length of the text
 * times that of the pattern, which is bounded. */
bool filter_matches(struct str s, struct str pattern)
{
	struct str star = STR_NONE, from = s; /* behind the last '*'; where its run ends */
	bool starred = false;

	for (;;) {
		struct str p = pattern;
		bool fits = false;

		if (p.n == 0) {
			fits = s.n == 0;
			if (fits)
				return true;
		} else if (p.p[0] == '*') {
			star = pattern = str_skip(p, 1);
			from = s;
			starred = true;
			if (star.n == 0)
				return true;
			continue;
		} else if (s.n) {
			if (p.p[0] == '?') {
				str_utf8_next(&s);
				fits = true;
			} else {
				if (p.p[0] == '\\' && p.n > 1)
					p = str_skip(p, 1);
				fits = p.p[0] == s.p[0];
				if (fits)
					s = str_skip(s, 1);
			}
			pattern = str_skip(p, 1);
		}
		if (fits)
			continue;
		if (!starred || from.n == 0)
			return false;
		str_utf8_next(&from);
		s = from;
		pattern = star;
	}
}
