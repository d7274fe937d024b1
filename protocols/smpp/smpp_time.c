/* SMPP's times: see smpp_time.h. Everything goes through the calendar of base/clock.h and plain
 * second counts; the C library's time zone is never asked.
 */
#include "protocols/smpp/smpp_time.h"

#include "gateway/base/clock.h"

enum {
	PIVOT_BACK = 50,     /* two-digit years: from 50 years back to 49 ahead */
	RELATIVE_YEARS = 10, /* longer ones are cut */
	QUARTER_S = 900,
	QUARTERS_MAX = 48,
	TENTH_NS = 100000000,
	MONTHS = 12,
	YEAR_MIN = 1950, /* differences of any two must fit in int64 nanoseconds, 292 years */
	YEAR_MAX = 2150,
};

/* n decimal digits at p, or -1. */
static int digits(const char *p, unsigned n)
{
	int v = 0;

	for (unsigned i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

static int full_year(int yy, wall_t now)
{
	int first = clock_civil(now).year - PIVOT_BACK;
	int year = first - first % 100 + yy;

	return year < first ? year + 100 : year;
}

static int month_days(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

/* The civil date must be one; hours to 23, and second 60 is the next minute's first. */
static bool civil_sane(const struct civil *c)
{
	return c->year >= YEAR_MIN && c->year <= YEAR_MAX && c->month >= 1 && c->month <= 12 &&
	       c->day >= 1 && c->day <= month_days(c->year, c->month) && c->hour >= 0 &&
	       c->hour <= 23 && c->minute >= 0 && c->minute <= 59 && c->second >= 0 &&
	       c->second <= 60;
}

static bool civil_when(const struct civil *c, int zone_s, wall_t *when_r)
{
	if (!civil_sane(c))
		return false;
	*when_r = clock_of_civil(c) - zone_s * DUR_S;
	return true;
}

/* Months by the calendar; the day is cut to the month's last. */
static wall_t add_months(wall_t t, int months)
{
	struct civil c = clock_civil(t);
	int m = c.year * MONTHS + c.month - 1 + months;

	c.year = m / MONTHS;
	c.month = m % MONTHS + 1;
	if (c.day > month_days(c.year, c.month))
		c.day = month_days(c.year, c.month);
	return clock_of_civil(&c);
}

/* YYMMDDhhmmss t nn R: 5.0 §4.7.23.5. Every field is a count here, so any two digits do. */
static int parse_relative(const char *p, wall_t now, wall_t *when_r)
{
	int yy = digits(p, 2), mo = digits(p + 2, 2), dd = digits(p + 4, 2), hh = digits(p + 6, 2);
	int mi = digits(p + 8, 2), ss = digits(p + 10, 2), months = yy * MONTHS + mo;

	if (yy < 0 || mo < 0 || dd < 0 || hh < 0 || mi < 0 || ss < 0 || digits(p + 12, 3) < 0)
		return -1;
	if (months > RELATIVE_YEARS * MONTHS)
		months = RELATIVE_YEARS * MONTHS;
	*when_r = (months ? add_months(now, months) : now) + dd * DUR_DAY + hh * DUR_HOUR +
		  mi * DUR_MIN + ss * DUR_S;
	return 1;
}

/* YYMMDDhhmm, and the seconds if there are 12. */
static bool parse_short(const char *p, size_t n, wall_t now, struct civil *c)
{
	int yy = digits(p, 2);

	*c = (struct civil){ .month = digits(p + 2, 2),
		.day = digits(p + 4, 2),
		.hour = digits(p + 6, 2),
		.minute = digits(p + 8, 2),
		.second = n >= 12 ? digits(p + 10, 2) : 0 };
	if (yy < 0)
		return false;
	c->year = full_year(yy, now);
	return civil_sane(c);
}

int smpp_time_parse(struct str s, int64_t now, int zone_s, int64_t *when_r)
{
	struct civil c;
	int tenths, quarters;

	if (!s.n)
		return 0;
	if (s.n == 12 || s.n == 10)
		return parse_short(s.p, s.n, now, &c) && civil_when(&c, zone_s, when_r) ? 1 : -1;
	if (s.n != 16)
		return -1;
	if (s.p[15] == 'R')
		return parse_relative(s.p, now, when_r);
	tenths = digits(s.p + 12, 1);
	quarters = digits(s.p + 13, 2);
	if (tenths < 0 || quarters < 0 || quarters > QUARTERS_MAX || !parse_short(s.p, 12, now, &c))
		return -1;
	c.nano = tenths * TENTH_NS;
	/* '+': the local time is ahead of UTC, so UTC is earlier (3.4 §7.1.1.1). */
	if (s.p[15] == '+')
		return civil_when(&c, quarters * QUARTER_S, when_r) ? 1 : -1;
	if (s.p[15] == '-')
		return civil_when(&c, -quarters * QUARTER_S, when_r) ? 1 : -1;
	return -1;
}

/* "Z", "+hh:mm", "+hhmm", "+hh" or nothing at the end of an ISO date. */
static bool parse_offset(struct str s, int *zone_s)
{
	int hh, mm = 0, sign = 1;

	if (!s.n)
		return true;
	if (s.n == 1 && (s.p[0] == 'Z' || s.p[0] == 'z')) {
		*zone_s = 0;
		return true;
	}
	if (s.p[0] == '-')
		sign = -1;
	else if (s.p[0] != '+')
		return false;
	if (s.n != 3 && s.n != 5 && !(s.n == 6 && s.p[3] == ':'))
		return false;
	hh = digits(s.p + 1, 2);
	if (s.n > 3)
		mm = digits(s.p + s.n - 2, 2);
	if (hh < 0 || hh > 14 || mm < 0 || mm > 59)
		return false;
	*zone_s = sign * (hh * 3600 + mm * 60);
	return true;
}

/* YYYY-MM-DD[T ]hh:mm[:ss[.fraction]][offset] */
static bool parse_iso(struct str s, int zone_s, wall_t *when_r)
{
	struct civil c;

	if (s.n < 16 || s.p[4] != '-' || s.p[7] != '-' || s.p[13] != ':' ||
		(s.p[10] != 'T' && s.p[10] != ' '))
		return false;
	c = (struct civil){ .year = digits(s.p, 4),
		.month = digits(s.p + 5, 2),
		.day = digits(s.p + 8, 2),
		.hour = digits(s.p + 11, 2),
		.minute = digits(s.p + 14, 2) };
	s = str_skip(s, 16);
	if (s.n >= 3 && s.p[0] == ':') {
		c.second = digits(s.p + 1, 2);
		s = str_skip(s, 3);
		if (s.n && s.p[0] == '.') {
			do
				s = str_skip(s, 1);
			while (s.n && s.p[0] >= '0' && s.p[0] <= '9');
		}
	}
	return parse_offset(s, &zone_s) && civil_when(&c, zone_s, when_r);
}

bool smpp_time_parse_date(struct str s, int64_t now, int zone_s, int64_t *when_r)
{
	struct civil c;

	s = str_trim(s);
	if (s.n == 10 || s.n == 12)
		return parse_short(s.p, s.n, now, &c) && civil_when(&c, zone_s, when_r);
	if (s.n == 14) {
		c = (struct civil){ .year = digits(s.p, 4),
			.month = digits(s.p + 4, 2),
			.day = digits(s.p + 6, 2),
			.hour = digits(s.p + 8, 2),
			.minute = digits(s.p + 10, 2),
			.second = digits(s.p + 12, 2) };
		return civil_when(&c, zone_s, when_r);
	}
	return parse_iso(s, zone_s, when_r);
}

/* Two digits. Each message has a time, and printf would be a good part of what it costs. */
static void put_two(struct buf *b, int v)
{
	char *o = buf_extend(b, 2);

	o[0] = (char)('0' + v / 10 % 10);
	o[1] = (char)('0' + v % 10);
}

void smpp_time_put_absolute(struct buf *b, int64_t when)
{
	struct civil c = clock_civil(when);

	smpp_time_put_digits(b, when, 0, 12);
	buf_u8(b, (uint8_t)('0' + c.nano / TENTH_NS));
	buf_add(b, "00+", 3);
}

void smpp_time_put_relative(struct buf *b, int64_t now, int64_t when)
{
	int months = 0;
	int64_t rest;

	if (__builtin_sub_overflow(when, now, &rest))
		rest = when > now ? INT64_MAX : 0;
	if (rest > 31 * DUR_DAY) {
		while (months < RELATIVE_YEARS * MONTHS && add_months(now, months + 1) <= when)
			months++;
		rest = when - add_months(now, months);
		/* Ten years and more: as far as the form goes. */
		if (rest > 31 * DUR_DAY)
			rest = 0;
	}
	rest = rest < 0 ? 0 : rest;
	rest = (rest + DUR_S - 1) / DUR_S;
	if (!rest && !months)
		rest = 1;
	put_two(b, months / MONTHS);
	put_two(b, months % MONTHS);
	put_two(b, (int)(rest / 86400));
	put_two(b, (int)(rest / 3600 % 24));
	put_two(b, (int)(rest / 60 % 60));
	put_two(b, (int)(rest % 60));
	buf_add(b, "000R", 4);
}

void smpp_time_put_digits(struct buf *b, int64_t when, int zone_s, unsigned digits_wanted)
{
	struct civil c = clock_civil(when + zone_s * DUR_S);

	put_two(b, c.year % 100);
	put_two(b, c.month);
	put_two(b, c.day);
	put_two(b, c.hour);
	put_two(b, c.minute);
	if (digits_wanted >= 12)
		put_two(b, c.second);
}
