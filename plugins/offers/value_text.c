/* The written forms of values: decimals, money, dates, times of day, spans. See value.h.
 * What is read is bytes from outside: configuration, events, imports. Pure functions, any thread.
 */
#include "plugins/offers/value.h"

enum { DECIMAL_PLACES = 4 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Digits off the front of *s into *v: their number, or -1 when they do not fit. */
static int take_number(struct str *s, uint64_t *v)
{
	int n = 0;

	for (; s->n && is_digit(s->p[0]); n++, *s = str_skip(*s, 1))
		if (__builtin_mul_overflow(*v, 10u, v) ||
			__builtin_add_overflow(*v, (unsigned)(s->p[0] - '0'), v))
			return -1;
	return n;
}

/* ---- decimals and money ---- */
bool decimal_parse(struct str s, int64_t *v_r)
{
	bool minus = s.n && s.p[0] == '-';
	uint64_t v = 0;
	int places = 0;

	if (minus)
		s = str_skip(s, 1);
	if (take_number(&s, &v) < 1)
		return false;
	if (s.n && s.p[0] == '.') {
		s = str_skip(s, 1);
		places = take_number(&s, &v);
		if (places < 1 || places > DECIMAL_PLACES)
			return false;
	}
	if (s.n)
		return false;
	for (; places < DECIMAL_PLACES; places++)
		if (__builtin_mul_overflow(v, 10u, &v))
			return false;
	if (v > (uint64_t)INT64_MAX + minus)
		return false;
	*v_r = minus ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

void decimal_put(struct buf *b, int64_t v)
{
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	unsigned places = (unsigned)(u % DECIMAL_ONE), width = DECIMAL_PLACES;

	if (v < 0)
		buf_char(b, '-');
	buf_printf(b, "%llu", (unsigned long long)(u / DECIMAL_ONE));
	if (places == 0)
		return;
	for (; places % 10 == 0; places /= 10)
		width--;
	buf_printf(b, ".%0*u", (int)width, places);
}

static bool is_currency(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_letter(s.p[i]) && !is_digit(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
			return false;
	return true;
}

bool money_parse(struct str s, int64_t *amount_r, struct str *currency_r)
{
	ptrdiff_t space;
	struct str currency = STR_NONE;

	s = str_trim(s);
	space = str_index(s, ' ');
	if (space >= 0) {
		currency = str_trim(str_skip(s, (size_t)space));
		s.n = (size_t)space;
	}
	if (!is_currency(currency) || !decimal_parse(s, amount_r))
		return false;
	*currency_r = currency;
	return true;
}

/* ---- dates and times of day ---- */
/* Exactly n digits; then, unless it is NUL, the byte after them. */
static bool take_field(struct str *s, size_t n, char after, int *v_r)
{
	int v = 0;

	if (s->n < n + (after != 0))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!is_digit(s->p[i]))
			return false;
		v = v * 10 + (s->p[i] - '0');
	}
	if (after && s->p[n] != after)
		return false;
	*s = str_skip(*s, n + (after != 0));
	*v_r = v;
	return true;
}

bool date_parse(struct str s, int64_t *days_r)
{
	int y, m, d;

	if (!take_field(&s, 4, '-', &y) || !take_field(&s, 2, '-', &m) ||
		!take_field(&s, 2, 0, &d) || s.n || y == 0 || m < 1 || m > 12 || d < 1 ||
		d > date_month_days(y, m))
		return false;
	*days_r = date_of_civil(y, m, d);
	return true;
}

void date_put(struct buf *b, int64_t days)
{
	int y, m, d;

	date_civil(days, &y, &m, &d);
	buf_printf(b, "%04d-%02d-%02d", y, m, d);
}

bool time_of_day_parse(struct str s, int64_t *ns_r)
{
	int h, m, sec = 0;

	if (!take_field(&s, s.n > 1 && s.p[1] == ':' ? 1 : 2, ':', &h) || !take_field(&s, 2, 0, &m))
		return false;
	if (s.n && (s.p[0] != ':' || (s = str_skip(s, 1), !take_field(&s, 2, 0, &sec)) || s.n))
		return false;
	if (h > 24 || m > 59 || sec > 59 || (h == 24 && (m || sec)))
		return false;
	*ns_r = h * DUR_HOUR + m * DUR_MIN + sec * DUR_S;
	return true;
}

void time_of_day_put(struct buf *b, int64_t ns)
{
	int64_t s = ns / DUR_S, rest = ns % DUR_S;

	buf_printf(b, "%02lld:%02lld", (long long)(s / 3600), (long long)(s / 60 % 60));
	if (s % 60 || rest)
		buf_printf(b, ":%02lld", (long long)(s % 60));
	if (rest)
		buf_printf(b, ".%09lld", (long long)rest);
}

/* ---- spans ---- */
enum { SPAN_MONTHS_MOST = 1200, SPAN_DAYS_MOST = 36600 };
#define SPAN_EXACT_MOST (SPAN_DAYS_MOST * DUR_DAY)

static const struct {
	const char *word;
	int months, days;
	dur_t exact;
} units[] = {
	{ "y", 12, 0, 0 },
	{ "year", 12, 0, 0 },
	{ "years", 12, 0, 0 },
	{ "mo", 1, 0, 0 },
	{ "month", 1, 0, 0 },
	{ "months", 1, 0, 0 },
	{ "w", 0, 7, 0 },
	{ "week", 0, 7, 0 },
	{ "weeks", 0, 7, 0 },
	{ "d", 0, 1, 0 },
	{ "day", 0, 1, 0 },
	{ "days", 0, 1, 0 },
	{ "h", 0, 0, DUR_HOUR },
	{ "hour", 0, 0, DUR_HOUR },
	{ "hours", 0, 0, DUR_HOUR },
	{ "m", 0, 0, DUR_MIN },
	{ "min", 0, 0, DUR_MIN },
	{ "minute", 0, 0, DUR_MIN },
	{ "minutes", 0, 0, DUR_MIN },
	{ "s", 0, 0, DUR_S },
	{ "sec", 0, 0, DUR_S },
	{ "second", 0, 0, DUR_S },
	{ "seconds", 0, 0, DUR_S },
	{ "ms", 0, 0, DUR_MS },
	{ "us", 0, 0, DUR_US },
	{ "ns", 0, 0, 1 },
};

static const char *span_take(struct str *s, struct span *r)
{
	static const char too_long[] = "is longer than 100 years";
	uint64_t v = 0;
	int digits = take_number(s, &v);
	size_t n = 0;

	if (digits == 0)
		return s->n && s->p[0] == '-' ? "is negative" : "has no number where one should be";
	if (digits < 0 || v > (uint64_t)SPAN_EXACT_MOST)
		return too_long;
	if (s->n && s->p[0] == '.')
		return "is no whole number: take a smaller unit";
	*s = str_trim(*s);
	while (n < s->n && is_letter(s->p[n]))
		n++;
	if (n == 0)
		return "has a number without a unit: 14 days, 2 h, 1 month";
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (str_is(str_n(s->p, n), units[i].word)) {
			__int128 months = (__int128)v * units[i].months + r->months;
			__int128 days = (__int128)v * units[i].days + r->days;
			__int128 exact = (__int128)v * units[i].exact + r->exact;

			if (months > SPAN_MONTHS_MOST || days > SPAN_DAYS_MOST ||
				exact > SPAN_EXACT_MOST)
				return too_long;
			*r = (struct span){ (int32_t)months, (int32_t)days, (dur_t)exact };
			*s = str_trim(str_skip(*s, n));
			return NULL;
		}
	return "has an unknown unit: years, months, weeks, days, h, min, s";
}

const char *span_parse(struct str s, struct span *r)
{
	struct span sum = { 0 };

	s = str_trim(s);
	if (s.n == 0)
		return "is empty: write for example 14 days";
	while (s.n) {
		const char *wrong = span_take(&s, &sum);

		if (wrong)
			return wrong;
	}
	*r = sum;
	return NULL;
}

static void put_part(struct buf *b, size_t start, long long v, const char *one, const char *many)
{
	if (v == 0)
		return;
	if (b->n > start)
		buf_char(b, ' ');
	buf_printf(b, "%lld %s", v, v == 1 ? one : many);
}

void span_put(struct buf *b, struct span s)
{
	size_t start = b->n;

	put_part(b, start, s.months, "month", "months");
	put_part(b, start, s.days, "day", "days");
	put_part(b, start, s.exact / DUR_HOUR, "h", "h");
	put_part(b, start, s.exact / DUR_MIN % 60, "min", "min");
	put_part(b, start, s.exact / DUR_S % 60, "s", "s");
	put_part(b, start, s.exact % DUR_S, "ns", "ns");
	if (b->n == start)
		buf_c(b, "0 s");
}
