/* Clocks and the calendar, against values known from outside (date -u) and against themselves. */
#include "gateway/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void text_and_back(void **state)
{
	static const struct {
		wall_t t;
		const char *text;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 1795342500ll * DUR_S + 123 * DUR_MS, "2026-11-22T10:15:00.123Z" },
		{ 951782400ll * DUR_S, "2000-02-29T00:00:00.000Z" },
		{ 4107542400ll * DUR_S, "2100-03-01T00:00:00.000Z" },
		{ -1 * DUR_MS, "1969-12-31T23:59:59.999Z" },
		{ -2208988800ll * DUR_S, "1900-01-01T00:00:00.000Z" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf b = BUF_INIT;
		wall_t t = 1;

		clock_put_rfc3339(&b, rows[i].t);
		assert_string_equal(buf_cstr(&b), rows[i].text);
		assert_true(clock_parse_rfc3339(buf_view(&b), &t));
		assert_int_equal(t, rows[i].t);
		buf_free(&b);
	}
}

static void parse(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		wall_t t;
	} rows[] = {
		{ "1970-01-01T02:30:00+02:30", true, 0 },
		{ "1969-12-31T22:00:00-02:00", true, 0 },
		{ "1970-01-01t00:00:01z", true, DUR_S },
		{ "1970-01-01T00:00:00.5Z", true, DUR_S / 2 },
		{ "1970-01-01T00:00:00.0000000019Z", true, 1 },
		{ "1970-01-01T00:00:60Z", true, DUR_MIN },
		{ "1970-01-01T00:00:00-00:00", true, 0 },
		{ "1970-01-01T00:00:61Z", false, 0 },
		{ "1970-01-01T24:00:00Z", false, 0 },
		{ "1970-02-29T00:00:00Z", false, 0 },
		{ "1972-02-29T00:00:00Z", true, (365 * 2 + 59) * DUR_DAY },
		{ "1970-13-01T00:00:00Z", false, 0 },
		{ "1970-00-01T00:00:00Z", false, 0 },
		{ "1970-01-00T00:00:00Z", false, 0 },
		{ "1970-01-01T00:00:00", false, 0 },
		{ "1970-01-01T00:00:00.Z", false, 0 },
		{ "1970-01-01T00:00:00Z ", false, 0 },
		{ "1970-01-01 00:00:00Z", false, 0 },
		{ "1970-01-01T00:00:00+24:00", false, 0 },
		{ "1970-01-01T00:00:00+0100", false, 0 },
		{ "1970-1-01T00:00:00Z", false, 0 },
		{ "+970-01-01T00:00:00Z", false, 0 },
		{ "0001-01-01T00:00:00Z", false, 0 }, /* beyond 64 bits of nanoseconds */
		{ "9999-12-31T23:59:59Z", false, 0 },
		{ "", false, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		wall_t t = 0;

		if (clock_parse_rfc3339(str_of(rows[i].text), &t) != rows[i].ok || t != rows[i].t)
			fail_msg("%s", rows[i].text);
	}
}

static void civil_there_and_back(void **state)
{
	struct civil c = { .year = 2026, .month = 1, .day = 31 + 28 + 1 };

	for (wall_t t = -9000000000ll * DUR_S; t < 9000000000ll * DUR_S; t += 86399ll * DUR_S + 7) {
		struct civil d = clock_civil(t);

		assert_int_equal(clock_of_civil(&d), t);
		assert_in_range(d.month, 1, 12);
		assert_in_range(d.day, 1, 31);
	}
	c = clock_civil(clock_of_civil(&c));
	assert_int_equal(c.month, 3);
	assert_int_equal(c.day, 1);
	c = clock_civil(INT64_MIN); /* its day began before 64 bits do */
	assert_true(c.year == 1677 && c.month == 9 && c.day == 21 && c.hour == 0 &&
		    c.minute == 12 && c.second == 43 && c.nano == 145224192);
	c = (struct civil){ .year = 2026, .month = 14, .day = 1 };
	c = clock_civil(clock_of_civil(&c));
	assert_int_equal(c.year, 2027);
	assert_int_equal(c.month, 2);
}

static void durations(void **state)
{
	static const struct {
		dur_t d;
		const char *text;
	} rows[] = { { 0, "0s" }, { 41 * DUR_MS, "41ms" }, { 3200 * DUR_MS, "3.2s" },
		{ 2 * DUR_HOUR, "2h" }, { 14 * DUR_DAY, "14d" }, { 90 * DUR_S, "1.5m" },
		{ 999, "999ns" }, { 1999, "1us" }, { -5 * DUR_S, "-5s" },
		{ 59990 * DUR_MS, "59.9s" }, { INT64_MIN, "-106751.9d" } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf b = BUF_INIT;

		clock_put_dur(&b, rows[i].d);
		assert_string_equal(buf_cstr(&b), rows[i].text);
		buf_free(&b);
	}
}

static void shifted(void **state)
{
	mono_t m = clock_mono();
	wall_t w = clock_wall();

	clock_shift(14 * DUR_DAY);
	assert_true(clock_mono() - m >= 14 * DUR_DAY);
	assert_true(clock_wall() - w >= 14 * DUR_DAY - DUR_HOUR);
	clock_shift(-14 * DUR_DAY);
	assert_true(clock_mono() - m < DUR_DAY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_back),
		cmocka_unit_test(parse),
		cmocka_unit_test(civil_there_and_back),
		cmocka_unit_test(durations),
		cmocka_unit_test(shifted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
