/* Clocks, RFC 3339 and the civil calendar. See clock.h. */
#include "gateway/base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t shift;
static _Atomic(void (*)(void)) watcher;

static int64_t clock_read(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * DUR_S + ts.tv_nsec +
	       atomic_load_explicit(&shift, memory_order_relaxed);
}

mono_t clock_mono(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

wall_t clock_wall(void)
{
	return clock_read(CLOCK_REALTIME);
}

void clock_shift(dur_t by)
{
	void (*fn)(void) = atomic_load(&watcher);

	atomic_fetch_add(&shift, by);
	if (fn)
		fn();
}

void clock_watch(void (*fn)(void))
{
	atomic_store(&watcher, fn);
}

/* ---- the calendar: proleptic Gregorian, counted in eras of 400 years from 0000-03-01 ---- */
enum { DAYS_PER_ERA = 146097, DAYS_TO_1970 = 719468 };

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t days_of_month_start(int64_t year, int64_t month)
{
	int64_t y, era, of_era, of_year;

	year += floor_div(month - 1, 12);
	month = month - 1 - floor_div(month - 1, 12) * 12 + 1;
	y = year - (month <= 2);
	era = floor_div(y, 400);
	of_era = y - era * 400;
	of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
	return era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
	       DAYS_TO_1970;
}

struct civil clock_civil(wall_t t)
{
	/* of the first day of all, only the end lies within 64 bits: days * DUR_DAY would not */
	int64_t days = floor_div(t, DUR_DAY), over = t % DUR_DAY;
	int64_t rest = over < 0 ? over + DUR_DAY : over;
	int64_t z = days + DAYS_TO_1970, era = floor_div(z, DAYS_PER_ERA);
	int64_t of_era = z - era * DAYS_PER_ERA;
	int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
	int64_t m = (5 * of_year + 2) / 153;
	struct civil c;

	c.day = (int)(of_year - (153 * m + 2) / 5 + 1);
	c.month = (int)(m < 10 ? m + 3 : m - 9);
	c.year = (int)(y + era * 400 + (c.month <= 2));
	c.hour = (int)(rest / DUR_HOUR);
	c.minute = (int)(rest / DUR_MIN % 60);
	c.second = (int)(rest / DUR_S % 60);
	c.nano = (int)(rest % DUR_S);
	return c;
}

/* What lies beyond 64 bits of nanoseconds (years 1677 to 2262) is the nearest that does not. */
wall_t clock_of_civil(const struct civil *c)
{
	int64_t days = days_of_month_start(c->year, c->month) + c->day - 1;
	int64_t sec = (days * 24 + c->hour) * 3600 + (int64_t)c->minute * 60 + c->second;
	int64_t t;

	if (__builtin_mul_overflow(sec, DUR_S, &t) || __builtin_add_overflow(t, c->nano, &t))
		return sec < 0 ? INT64_MIN : INT64_MAX;
	return t;
}

/* ---- text ---- */
void clock_put_rfc3339(struct buf *b, wall_t t)
{
	struct civil c = clock_civil(t);

	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", c.year, c.month, c.day, c.hour,
		c.minute, c.second, c.nano / 1000000);
}

void clock_json_member_or_null(struct buf *b, const char *key, wall_t t)
{
	buf_printf(b, ",\"%s\":%s", key, t ? "\"" : "null");
	if (!t)
		return;
	clock_put_rfc3339(b, t);
	buf_char(b, '"');
}

void clock_json_member(struct buf *b, const char *key, wall_t t)
{
	if (t)
		clock_json_member_or_null(b, key, t);
}

/* Takes exactly n digits off *s. */
static bool take_digits(struct str *s, size_t n, int *v_r)
{
	int v = 0;

	if (s->n < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return false;
		v = v * 10 + (s->p[i] - '0');
	}
	*s = str_skip(*s, n);
	*v_r = v;
	return true;
}

static bool take_char(struct str *s, char a, char b)
{
	if (s->n == 0 || (s->p[0] != a && s->p[0] != b))
		return false;
	*s = str_skip(*s, 1);
	return true;
}

/* Digits of a second beyond the ninth are read and dropped. */
static bool take_fraction(struct str *s, int *nano_r)
{
	int digits = 0, nano = 0;

	while (s->n && s->p[0] >= '0' && s->p[0] <= '9') {
		if (digits < 9)
			nano = nano * 10 + (s->p[0] - '0');
		digits++;
		*s = str_skip(*s, 1);
	}
	if (digits == 0)
		return false;
	for (; digits < 9; digits++)
		nano *= 10;
	*nano_r = nano;
	return true;
}

static bool take_offset(struct str *s, int *minutes_r)
{
	int sign, h, m;

	*minutes_r = 0;
	if (take_char(s, 'Z', 'z'))
		return true;
	sign = s->n && s->p[0] == '-' ? -1 : 1;
	if (!take_char(s, '+', '-') || !take_digits(s, 2, &h) || !take_char(s, ':', ':') ||
		!take_digits(s, 2, &m) || h > 23 || m > 59)
		return false;
	*minutes_r = sign * (h * 60 + m);
	return true;
}

static int days_in_month(int year, int month)
{
	return (int)(days_of_month_start(year, month + 1) - days_of_month_start(year, month));
}

bool clock_parse_rfc3339(struct str s, wall_t *t_r)
{
	struct civil c = { 0 };
	int offset;
	wall_t t;

	if (!take_digits(&s, 4, &c.year) || !take_char(&s, '-', '-') ||
		!take_digits(&s, 2, &c.month) || !take_char(&s, '-', '-') ||
		!take_digits(&s, 2, &c.day) || !take_char(&s, 'T', 't') ||
		!take_digits(&s, 2, &c.hour) || !take_char(&s, ':', ':') ||
		!take_digits(&s, 2, &c.minute) || !take_char(&s, ':', ':') ||
		!take_digits(&s, 2, &c.second))
		return false;
	if (take_char(&s, '.', '.') && !take_fraction(&s, &c.nano))
		return false;
	if (!take_offset(&s, &offset) || s.n)
		return false;
	/* A leap second (60) is the first of the next minute: there is no other place for it. */
	if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > days_in_month(c.year, c.month) ||
		c.hour > 23 || c.minute > 59 || c.second > 60)
		return false;
	c.minute -= offset;
	t = clock_of_civil(&c);
	if (t == INT64_MIN || t == INT64_MAX)
		return false;
	*t_r = t;
	return true;
}

void clock_put_dur(struct buf *b, dur_t d)
{
	static const struct {
		dur_t unit;
		const char *name;
	} units[] = { { DUR_DAY, "d" }, { DUR_HOUR, "h" }, { DUR_MIN, "m" }, { DUR_S, "s" },
		{ DUR_MS, "ms" }, { DUR_US, "us" }, { 1, "ns" } };
	uint64_t u = d < 0 ? 0 - (uint64_t)d : (uint64_t)d, tenth;
	size_t i = 0;

	if (d == 0) {
		buf_c(b, "0s");
		return;
	}
	while (u < (uint64_t)units[i].unit)
		i++;
	if (d < 0)
		buf_char(b, '-');
	tenth = u % (uint64_t)units[i].unit * 10 / (uint64_t)units[i].unit;
	buf_printf(b, "%llu", (unsigned long long)(u / (uint64_t)units[i].unit));
	/* Below a second one decimal says nothing to a person. */
	if (tenth && units[i].unit >= DUR_S)
		buf_printf(b, ".%u", (unsigned)tenth);
	buf_c(b, units[i].name);
}
