/* zone.h: zones against known clocks, calendar arithmetic over their leaps, windows, periods. The
 * C library's own reading of the same files is the second opinion for whole years.
 */
#include "plugins/offers/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct zone *zone(const char *name)
{
	struct err e = { 0 };
	const struct zone *z = zone_find(str_of(name), &e);

	if (!z)
		fail_msg("%s", e.text);
	return z;
}

static wall_t at(const char *rfc3339)
{
	wall_t t;

	assert_true(clock_parse_rfc3339(str_of(rfc3339), &t));
	return t;
}

static void assert_at(wall_t t, const char *want)
{
	struct buf b = BUF_INIT;

	clock_put_rfc3339(&b, t);
	assert_string_equal(buf_cstr(&b), want);
	buf_free(&b);
}

static void zones_are_found_once(void **state)
{
	static const char *const bad[] = { "", "Europe/Atlantis", "../../../etc/passwd",
		"/etc/passwd", "Europe/../Europe/Riga", "Europe//Riga", "Europe/", "/Europe",
		"Europe", "tzdata.zi", "zone.tab", "iso3166.tab", ".", "right/Europe/Riga", "+5:30",
		"+05:60", "+24:00", "05:30", "+05:3", "Europe/Riga\n",
		("Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "a"
		 "aa") };

	assert_ptr_equal(zone("Europe/Riga"), zone("Europe/Riga"));
	assert_ptr_equal(zone("UTC"), zone_utc());
	assert_ptr_equal(zone("+05:30"), zone("+05:30"));
	assert_string_equal(zone_name(zone("Asia/Kathmandu")), "Asia/Kathmandu");
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err e = { 0 };

		if (zone_find(str_of(bad[i]), &e))
			fail_msg("\"%s\" was taken for a zone", bad[i]);
		assert_true(e.kind != ERR_NONE && e.text[0]);
	}
}

static void offsets(void **state)
{
	static const struct {
		const char *zone, *at;
		int32_t off;
	} cases[] = {
		{ "UTC", "2026-07-01T00:00:00Z", 0 },
		{ "Europe/Riga", "2026-01-01T00:00:00Z", 7200 },
		{ "Europe/Riga", "2026-07-01T00:00:00Z", 10800 },
		{ "Europe/Riga", "2026-03-29T00:59:59Z", 7200 },
		{ "Europe/Riga", "2026-03-29T01:00:00Z", 10800 },
		{ "Europe/Riga", "2026-10-25T00:59:59Z", 10800 },
		{ "Europe/Riga", "2026-10-25T01:00:00Z", 7200 },
		{ "Europe/Riga", "2200-07-01T00:00:00Z", 10800 }, /* by the rule of the footer */
		{ "Europe/Riga", "2262-01-01T00:00:00Z", 7200 },
		{ "Pacific/Kiritimati", "2026-01-01T00:00:00Z", 14 * 3600 },
		{ "Pacific/Pago_Pago", "2026-01-01T00:00:00Z", -11 * 3600 },
		{ "Asia/Kolkata", "2026-01-01T00:00:00Z", 19800 },
		{ "Asia/Kathmandu", "2026-01-01T00:00:00Z", 20700 },
		{ "Australia/Lord_Howe", "2026-01-01T00:00:00Z", 39600 },
		{ "Australia/Lord_Howe", "2026-07-01T00:00:00Z", 37800 },
		{ "Europe/Dublin", "2050-07-01T00:00:00Z", 3600 },
		{ "Europe/Dublin", "2050-01-01T00:00:00Z", 0 },
		{ "America/Sao_Paulo", "2026-01-01T00:00:00Z", -10800 },
		{ "Etc/GMT+5", "2026-01-01T00:00:00Z", -18000 },
		{ "+05:30", "2026-01-01T00:00:00Z", 19800 },
		{ "-03:00", "2026-01-01T00:00:00Z", -10800 },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(zone_offset(zone(cases[i].zone), at(cases[i].at)), cases[i].off);
}

/* Every 6 h 7 min from 1900 to 2100, in zones of every kind. */
static void offsets_are_those_of_the_c_library(void **state)
{
	static const char *const names[] = { "Europe/Riga", "America/New_York", "Pacific/Apia",
		"Australia/Lord_Howe", "Africa/Casablanca", "Africa/Cairo", "America/Santiago",
		"Asia/Tehran", "Antarctica/Troll", "Europe/Dublin", "America/Nuuk", "Asia/Gaza",
		"Pacific/Chatham" };

	for (size_t i = 0; i < COUNT(names); i++) {
		const struct zone *z = zone(names[i]);

		setenv("TZ", names[i], 1);
		tzset();
		for (int64_t s = -2208988800; s < 4102444800; s += 22020) {
			time_t t = s;
			struct tm tm;

			localtime_r(&t, &tm);
			if (tm.tm_gmtoff != zone_offset(z, s * DUR_S))
				fail_msg("%s at %lld: %ld, not %d", names[i], (long long)s,
					tm.tm_gmtoff, zone_offset(z, s * DUR_S));
		}
	}
	unsetenv("TZ");
	tzset();
}

static void walls(void **state)
{
	static const struct {
		const char *zone, *date, *time, *utc;
	} cases[] = {
		{ "Europe/Riga", "2026-06-01", "10:00", "2026-06-01T07:00:00.000Z" },
		/* the gap from 03:00 to 04:00: the first instant after it */
		{ "Europe/Riga", "2026-03-29", "02:59:59", "2026-03-29T00:59:59.000Z" },
		{ "Europe/Riga", "2026-03-29", "03:30", "2026-03-29T01:00:00.000Z" },
		{ "Europe/Riga", "2026-03-29", "04:00", "2026-03-29T01:00:00.000Z" },
		{ "Europe/Riga", "2026-03-29", "04:30", "2026-03-29T01:30:00.000Z" },
		/* 03:00 to 04:00 twice: the first */
		{ "Europe/Riga", "2026-10-25", "03:30", "2026-10-25T00:30:00.000Z" },
		{ "Europe/Riga", "2026-10-25", "04:00", "2026-10-25T02:00:00.000Z" },
		/* half an hour */
		{ "Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-03T15:30:00.000Z" },
		{ "Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-04T14:45:00.000Z" },
		/* a midnight that does not exist; a whole day that does not */
		{ "America/Santiago", "2026-09-06", "00:00", "2026-09-06T04:00:00.000Z" },
		{ "Pacific/Apia", "2011-12-30", "12:00", "2011-12-30T10:00:00.000Z" },
		{ "Pacific/Kiritimati", "2026-01-01", "00:00", "2025-12-31T10:00:00.000Z" },
		{ "Pacific/Pago_Pago", "2026-01-01", "00:00", "2026-01-01T11:00:00.000Z" },
		{ "Asia/Kathmandu", "2026-01-01", "24:00", "2026-01-01T18:15:00.000Z" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct zone *z = zone(cases[i].zone);
		struct local l;

		assert_true(date_parse(str_of(cases[i].date), &l.day));
		assert_true(time_of_day_parse(str_of(cases[i].time), &l.ns));
		assert_at(zone_wall(z, l), cases[i].utc);
	}
	/* The ends of time do not overflow. */
	assert_int_equal(zone_wall(zone("Europe/Riga"), (struct local){ INT64_MAX, 0 }), INT64_MAX);
	assert_int_equal(zone_wall(zone("Europe/Riga"), (struct local){ INT64_MIN, 0 }), INT64_MIN);
	assert_in_range(zone_local(zone("Europe/Riga"), INT64_MAX).ns, 0, DUR_DAY - 1);
	assert_in_range(zone_local(zone("Europe/Riga"), INT64_MIN).ns, 0, DUR_DAY - 1);
}

/* There and back, each quarter of an hour of ten years; only what comes twice comes back earlier.
 */
static void wall_and_local_are_inverse(void **state)
{
	static const char *const names[] = { "Europe/Riga", "Australia/Lord_Howe", "Pacific/Apia",
		"America/Santiago", "Asia/Kathmandu", "America/Sao_Paulo" };

	for (size_t i = 0; i < COUNT(names); i++) {
		const struct zone *z = zone(names[i]);
		wall_t end = at("2020-01-01T00:00:00Z");

		for (wall_t t = at("2010-01-01T00:00:00Z"); t < end; t += 15 * DUR_MIN) {
			struct local l = zone_local(z, t), l2;
			wall_t back = zone_wall(z, l);

			l2 = zone_local(z, back);
			assert_true(back <= t && t - back <= DUR_HOUR);
			assert_true(l2.day == l.day && l2.ns == l.ns);
			assert_true(zone_midnight(z, l.day) <= t);
			assert_int_equal(zone_local(z, zone_midnight(z, l.day)).day, l.day);
		}
	}
}

static struct span span(const char *text)
{
	struct span s;

	assert_null(span_parse(str_of(text), &s));
	return s;
}

static void test_CN_31_days_keep_the_wall_clock(void **state)
{
	static const struct {
		const char *zone, *from, *span, *to;
	} cases[] = {
		/* DST begins and ends between: 10:00 in Riga stays 10:00 */
		{ "Europe/Riga", "2026-03-20T10:00:00+02:00", "14 days",
			"2026-04-03T07:00:00.000Z" },
		{ "Europe/Riga", "2026-10-20T10:00:00+03:00", "14 days",
			"2026-11-03T08:00:00.000Z" },
		/* exact hours do not */
		{ "Europe/Riga", "2026-03-28T10:00:00+02:00", "24 h", "2026-03-29T08:00:00.000Z" },
		{ "Europe/Riga", "2026-03-28T10:00:00+02:00", "1 day", "2026-03-29T07:00:00.000Z" },
		/* into the gap and into the hour that comes twice */
		{ "Europe/Riga", "2026-03-15T03:30:00+02:00", "14 days",
			"2026-03-29T01:00:00.000Z" },
		{ "Europe/Riga", "2026-10-11T03:30:00+03:00", "14 days",
			"2026-10-25T00:30:00.000Z" },
		/* the second 03:30 plus minutes is not thrown back to the first */
		{ "Europe/Riga", "2026-10-25T03:30:00+02:00", "5 min", "2026-10-25T01:35:00.000Z" },
		{ "Pacific/Kiritimati", "2026-01-31T23:59:59+14:00", "1 month",
			"2026-02-28T09:59:59.000Z" },
		{ "Pacific/Pago_Pago", "2026-01-31T23:59:59-11:00", "1 month",
			"2026-03-01T10:59:59.000Z" },
		{ "Asia/Kolkata", "2026-12-31T00:15:00+05:30", "1 day",
			"2026-12-31T18:45:00.000Z" },
		{ "UTC", "2024-02-29T12:00:00Z", "1 year", "2025-02-28T12:00:00.000Z" },
		{ "UTC", "2026-01-31T12:00:00Z", "1 month 1 day 90 min",
			"2026-03-01T13:30:00.000Z" },
		{ "UTC", "2026-12-25T12:00:00Z", "2 weeks", "2027-01-08T12:00:00.000Z" },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_at(zone_add(zone(cases[i].zone), at(cases[i].from), span(cases[i].span)),
			cases[i].to);
	assert_int_equal(zone_add(zone_utc(), INT64_MAX, span("100 years")), INT64_MAX);
	assert_int_equal(zone_add(zone_utc(), INT64_MAX, span("1 h")), INT64_MAX);
}

static void windows_are_read(void **state)
{
	static const struct {
		const char *text, *back; /* NULL: refused */
	} cases[] = {
		{ "10:00-20:00", "10:00-20:00" },
		{ "21:00-09:00", "21:00-09:00" },
		{ " 9:00 - 24:00 ", "09:00-24:00" },
		{ "mon-fri 10:00-20:00", "mon,tue,wed,thu,fri 10:00-20:00" },
		{ "sat,sun 12:00-18:00", "sat,sun 12:00-18:00" },
		{ "Sat, Sunday 12:00-18:00", "sat,sun 12:00-18:00" },
		{ "fri-mon 10:00-11:00", "mon,fri,sat,sun 10:00-11:00" },
		{ "mon-sun 10:00-11:00", "10:00-11:00" },
		{ "sun", "sun 00:00-24:00" },
		{ "holiday", "holiday 00:00-24:00" },
		{ "sun,Holiday 00:00-24:00", "sun,holiday 00:00-24:00" },
		{ "mon-sun,holiday 10:00-11:00", "10:00-11:00" },
		{ "holiday-sun 10:00-11:00", NULL },
		{ "mon-fri,-holiday 10:00-20:00", "mon,tue,wed,thu,fri,-holiday 10:00-20:00" },
		{ "- Holiday , sun 21:00-09:00", "sun,-holiday 21:00-09:00" },
		{ "-holiday", "-holiday 00:00-24:00" },
		{ "mon-sun,-holiday 10:00-11:00", "-holiday 10:00-11:00" },
		{ "sun,holiday,-holiday 10:00-11:00", NULL },
		{ "-holiday-sun 10:00-11:00", NULL },
		{ "mon-fri-holiday 10:00-11:00", NULL },
		{ "mon-fri,-wed 10:00-11:00", NULL },
		{ "mon-fri,--holiday 10:00-11:00", NULL },
		{ "mon-fri,- 10:00-11:00", NULL },
		{ "10:00", NULL },
		{ "10:00-", NULL },
		{ "-10:00", NULL },
		{ "24:00-10:00", NULL },
		{ "10:00-25:00", NULL },
		{ "mon- 10:00-20:00", NULL },
		{ "mo 10:00-20:00", NULL },
		{ "mon,,tue 10:00-20:00", NULL },
		{ "mon-tue-wed 10:00-20:00", NULL },
		{ "", NULL },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct window w;
		const char *wrong = window_parse(str_of(cases[i].text), &w);

		assert_int_equal(wrong == NULL, cases[i].back != NULL);
		if (wrong)
			continue;
		buf_reset(&b);
		window_put(&b, w);
		assert_string_equal(buf_cstr(&b), cases[i].back);
	}
	buf_free(&b);
}

/* Quiet on holidays, and open on them alone; a day of each year, and one of a year. */
static void test_QH_holidays(void **state)
{
	static const char *const texts[] = { "12-25", "12-26", "2026-05-04", "02-29" };
	struct holiday v[4];
	const struct holidays days = { v, 4 };
	struct window w[2];
	const struct zone *riga = zone("Europe/Riga");

	for (size_t i = 0; i < 4; i++)
		assert_null(holiday_parse(str_of(texts[i]), &v[i]));
	assert_non_null(holiday_parse(STR("12-32"), &v[0]));
	assert_non_null(holiday_parse(STR("25.12."), &v[0]));
	assert_non_null(holiday_parse(STR("2026-02-29"), &v[0]));
	assert_null(window_parse(STR("sun,holiday 00:00-24:00"), &w[0]));
	assert_null(window_parse(STR("21:00-09:00"), &w[1]));
	/* without a list the word names nothing */
	assert_false(window_has(w, 1, riga, at("2026-12-25T12:00:00+02:00"), NULL));
	w[0].holidays = &days;
	/* Friday and Saturday of Christmas, then a Sunday; Monday at nine it is over */
	assert_at(window_out(w, 2, riga, at("2026-12-25T12:00:00+02:00")),
		"2026-12-28T07:00:00.000Z");
	/* on the member's own day */
	assert_false(window_has(w, 1, riga, at("2026-12-24T23:59:59+02:00"), NULL));
	assert_true(window_has(w, 1, riga, at("2026-12-25T00:00:00+02:00"), NULL));
	/* that Monday is one of 2026 alone */
	assert_true(window_has(w, 1, riga, at("2026-05-04T12:00:00+03:00"), NULL));
	assert_false(window_has(w, 1, riga, at("2027-05-04T12:00:00+03:00"), NULL));
	assert_true(window_has(w, 1, riga, at("2028-02-29T12:00:00+02:00"), NULL));
	/* the next that is open on holidays alone is months away */
	assert_null(window_parse(STR("holiday 10:00-12:00"), &w[0]));
	w[0].holidays = &days;
	assert_at(window_next(w, 1, riga, at("2026-05-05T12:00:00+03:00")),
		"2026-12-25T08:00:00.000Z");
}

/* Days that are no holidays: over midnight, over both leaps of the clock, and for weeks on end. */
static void test_QH_3_days_that_are_no_holidays(void **state)
{
	static const char *const texts[] = { "12-24", "12-25", "2026-03-29", "2026-10-25",
		"2026-05-01", "2026-06-07", "2026-06-14", "2026-06-21" };
	static const struct {
		const char *w1, *w2, *t;
		bool in;
		const char *next, *out;
	} cases[] = {
		/* Thursday and Friday are holidays: it is closed from Wednesday on to Monday */
		{ "mon-fri,-holiday 10:00-20:00", NULL, "2026-12-23T12:00:00+02:00", true,
			"2026-12-23T10:00:00.000Z", "2026-12-23T18:00:00.000Z" },
		{ "mon-fri,-holiday 10:00-20:00", NULL, "2026-12-24T12:00:00+02:00", false,
			"2026-12-28T08:00:00.000Z", "2026-12-24T10:00:00.000Z" },
		{ "-holiday", NULL, "2026-12-24T00:00:00+02:00", false, "2026-12-25T22:00:00.000Z",
			"2026-12-23T22:00:00.000Z" },
		/* the night before reaches into the holiday, that of the holiday is none */
		{ "-holiday 21:00-09:00", NULL, "2026-12-24T08:59:59+02:00", true,
			"2026-12-24T06:59:59.000Z", "2026-12-24T07:00:00.000Z" },
		{ "-holiday 21:00-09:00", NULL, "2026-12-25T02:00:00+02:00", false,
			"2026-12-26T19:00:00.000Z", "2026-12-25T00:00:00.000Z" },
		/* a holiday on which the clock leaps forward: the night before it is an hour short
		 */
		{ "-holiday 21:00-09:00", NULL, "2026-03-28T22:00:00+02:00", true,
			"2026-03-28T20:00:00.000Z", "2026-03-29T06:00:00.000Z" },
		{ "-holiday 21:00-09:00", NULL, "2026-03-29T09:00:00+03:00", false,
			"2026-03-30T18:00:00.000Z", "2026-03-29T06:00:00.000Z" },
		{ "-holiday 03:10-05:00", NULL, "2026-03-29T00:00:00+02:00", false,
			"2026-03-30T00:10:00.000Z", "2026-03-28T22:00:00.000Z" },
		/* and back: an hour longer */
		{ "sat,-holiday 21:00-09:00", NULL, "2026-10-25T03:30:00+03:00", true,
			"2026-10-25T00:30:00.000Z", "2026-10-25T07:00:00.000Z" },
		{ "sun,-holiday 00:00-24:00", NULL, "2026-10-25T12:00:00+02:00", false,
			"2026-10-31T22:00:00.000Z", "2026-10-25T10:00:00.000Z" },
		/* three Sundays that are holidays */
		{ "sun,-holiday 10:00-12:00", NULL, "2026-06-01T12:00:00+03:00", false,
			"2026-06-28T07:00:00.000Z", "2026-06-01T09:00:00.000Z" },
		/* other hours on holidays */
		{ "-holiday 22:00-08:00", "holiday 20:00-10:00", "2026-05-01T09:00:00+03:00", false,
			"2026-05-01T17:00:00.000Z", "2026-05-01T06:00:00.000Z" },
		{ "-holiday 22:00-08:00", "holiday 20:00-10:00", "2026-05-02T09:00:00+03:00", true,
			"2026-05-02T06:00:00.000Z", "2026-05-02T07:00:00.000Z" },
	};
	struct holiday v[COUNT(texts)];
	const struct holidays days = { v, COUNT(texts) };
	const struct zone *riga = zone("Europe/Riga");

	for (size_t i = 0; i < COUNT(texts); i++)
		assert_null(holiday_parse(str_of(texts[i]), &v[i]));
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t n = cases[i].w2 ? 2 : 1;
		wall_t t = at(cases[i].t);
		struct window w[2];

		assert_null(window_parse(str_of(cases[i].w1), &w[0]));
		if (n == 2)
			assert_null(window_parse(str_of(cases[i].w2), &w[1]));
		w[0].holidays = w[1].holidays = &days;
		assert_int_equal(window_has(w, n, riga, t, NULL), cases[i].in);
		assert_at(window_next(w, n, riga, t), cases[i].next);
		assert_at(window_out(w, n, riga, t), cases[i].out);
	}
}

static void windows_open_and_close(void **state)
{
	static const struct {
		const char *w1, *w2, *zone, *t;
		bool in;
		const char *next, *out; /* out NULL: never */
	} cases[] = {
		{ "10:00-20:00", NULL, "Europe/Riga", "2026-06-01T10:00:00+03:00", true,
			"2026-06-01T07:00:00.000Z", "2026-06-01T17:00:00.000Z" },
		{ "10:00-20:00", NULL, "Europe/Riga", "2026-06-01T20:00:00+03:00", false,
			"2026-06-02T07:00:00.000Z", "2026-06-01T17:00:00.000Z" },
		{ "10:00-20:00", NULL, "Europe/Riga", "2026-06-01T09:59:59+03:00", false,
			"2026-06-01T07:00:00.000Z", "2026-06-01T06:59:59.000Z" },
		/* over midnight, asked after it */
		{ "21:00-09:00", NULL, "Europe/Riga", "2026-06-01T02:00:00+03:00", true,
			"2026-05-31T23:00:00.000Z", "2026-06-01T06:00:00.000Z" },
		{ "21:00-09:00", NULL, "Europe/Riga", "2026-06-01T22:30:00+03:00", true,
			"2026-06-01T19:30:00.000Z", "2026-06-02T06:00:00.000Z" },
		/* over midnight and over both leaps of the clock */
		{ "21:00-09:00", NULL, "Europe/Riga", "2026-03-28T22:00:00+02:00", true,
			"2026-03-28T20:00:00.000Z", "2026-03-29T06:00:00.000Z" },
		{ "21:00-09:00", NULL, "Europe/Riga", "2026-10-24T22:00:00+03:00", true,
			"2026-10-24T19:00:00.000Z", "2026-10-25T07:00:00.000Z" },
		/* a window within the gap does not happen that day */
		{ "03:10-03:50", NULL, "Europe/Riga", "2026-03-29T00:00:00+02:00", false,
			"2026-03-30T00:10:00.000Z", "2026-03-28T22:00:00.000Z" },
		{ "03:10-05:00", NULL, "Europe/Riga", "2026-03-29T00:00:00+02:00", false,
			"2026-03-29T01:00:00.000Z", "2026-03-28T22:00:00.000Z" },
		/* weekdays: a Friday night reaches into Saturday; on Saturday evening it is closed
		 */
		{ "mon-fri 21:00-09:00", NULL, "UTC", "2026-06-06T08:00:00Z", true,
			"2026-06-06T08:00:00.000Z", "2026-06-06T09:00:00.000Z" },
		{ "mon-fri 21:00-09:00", NULL, "UTC", "2026-06-06T22:00:00Z", false,
			"2026-06-08T21:00:00.000Z", "2026-06-06T22:00:00.000Z" },
		/* two windows that touch are one for who wants out */
		{ "mon-fri 10:00-20:00", "sat,sun 12:00-18:00", "UTC", "2026-06-05T21:00:00Z",
			false, "2026-06-06T12:00:00.000Z", "2026-06-05T21:00:00.000Z" },
		{ "10:00-12:00", "12:00-14:00", "UTC", "2026-06-05T11:00:00Z", true,
			"2026-06-05T11:00:00.000Z", "2026-06-05T14:00:00.000Z" },
		{ "00:00-24:00", NULL, "Europe/Riga", "2026-06-05T11:00:00Z", true,
			"2026-06-05T11:00:00.000Z", NULL },
		{ "08:00-08:00", NULL, "Europe/Riga", "2026-06-05T11:00:00Z", true,
			"2026-06-05T11:00:00.000Z", NULL },
		/* FC-2, year end, far zones */
		{ "00:00-00:30", NULL, "Pacific/Kiritimati", "2026-12-31T23:59:59+14:00", false,
			"2026-12-31T10:00:00.000Z", "2026-12-31T09:59:59.000Z" },
		{ "00:00-00:30", NULL, "Pacific/Pago_Pago", "2026-12-31T23:59:59-11:00", false,
			"2027-01-01T11:00:00.000Z", "2027-01-01T10:59:59.000Z" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct window w[2];
		size_t n = cases[i].w2 ? 2 : 1;
		const struct zone *z = zone(cases[i].zone);
		wall_t t = at(cases[i].t), out;

		assert_null(window_parse(str_of(cases[i].w1), &w[0]));
		if (n == 2)
			assert_null(window_parse(str_of(cases[i].w2), &w[1]));
		assert_int_equal(window_has(w, n, z, t, NULL), cases[i].in);
		assert_at(window_next(w, n, z, t), cases[i].next);
		out = window_out(w, n, z, t);
		if (cases[i].out)
			assert_at(out, cases[i].out);
		else
			assert_int_equal(out, 0);
	}
	assert_int_equal(window_next(NULL, 0, zone_utc(), 42), 42);
	assert_int_equal(window_out(NULL, 0, zone_utc(), 42), 42);
}

/* FC-2: the edge of a month lies where the member's own clock says. */
static void test_FC_2_periods_have_edges_in_the_zone(void **state)
{
	static const struct {
		enum period p;
		const char *zone, *a, *b;
		int64_t apart;
	} cases[] = {
		{ PERIOD_MONTH, "Europe/Riga", "2026-05-31T23:59:59+03:00",
			"2026-06-01T00:00:01+03:00", 1 },
		{ PERIOD_MONTH, "UTC", "2026-05-31T23:59:59+03:00", "2026-06-01T00:00:01+03:00",
			0 },
		{ PERIOD_MONTH, "Pacific/Kiritimati", "2026-12-31T23:59:59+14:00",
			"2027-01-01T00:00:01+14:00", 1 },
		{ PERIOD_DAY, "Pacific/Pago_Pago", "2026-02-28T23:59:59-11:00",
			"2026-03-01T00:00:00-11:00", 1 },
		{ PERIOD_DAY, "Pacific/Apia", "2011-12-29T23:59:59-10:00",
			"2011-12-31T00:00:00+14:00", 2 },
		{ PERIOD_WEEK, "UTC", "2026-06-07T23:59:59Z", "2026-06-08T00:00:00Z", 1 },
		{ PERIOD_WEEK, "UTC", "2026-06-01T00:00:00Z", "2026-06-07T23:59:59Z", 0 },
		/* ISO week 53 of 2026 runs into 2027 */
		{ PERIOD_WEEK, "UTC", "2026-12-31T12:00:00Z", "2027-01-03T12:00:00Z", 0 },
		{ PERIOD_WEEK, "UTC", "1969-12-28T12:00:00Z", "1969-12-29T12:00:00Z", 1 },
		{ PERIOD_YEAR, "UTC", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z", 1 },
		{ PERIOD_YEAR, "UTC", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", 1 },
		{ PERIOD_MONTH, "UTC", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", 1 },
		{ PERIOD_EVER, "UTC", "1969-12-31T23:59:59Z", "2070-01-01T00:00:00Z", 0 },
	};
	enum period p;

	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct zone *z = zone(cases[i].zone);

		assert_int_equal(period_of(cases[i].p, z, at(cases[i].b)) -
					 period_of(cases[i].p, z, at(cases[i].a)),
			cases[i].apart);
	}
	assert_int_equal(period_of(PERIOD_MONTH, zone_utc(), 0), 0);
	assert_true(period_parse(STR("life"), &p) && p == PERIOD_EVER);
	assert_true(period_parse(STR("week"), &p) && p == PERIOD_WEEK);
	assert_false(period_parse(STR("hour"), &p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zones_are_found_once),
		cmocka_unit_test(offsets),
		cmocka_unit_test(offsets_are_those_of_the_c_library),
		cmocka_unit_test(walls),
		cmocka_unit_test(wall_and_local_are_inverse),
		cmocka_unit_test(test_CN_31_days_keep_the_wall_clock),
		cmocka_unit_test(windows_are_read),
		cmocka_unit_test(windows_open_and_close),
		cmocka_unit_test(test_QH_holidays),
		cmocka_unit_test(test_QH_3_days_that_are_no_holidays),
		cmocka_unit_test(test_FC_2_periods_have_edges_in_the_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
