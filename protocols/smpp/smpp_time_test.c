/* Times: the samples of both standards and of the field, both ways, and what is refused. */
#include "protocols/smpp/smpp_time.h"

#include "gateway/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW "2026-11-22T09:00:00Z"

static wall_t at(const char *rfc3339)
{
	wall_t t;

	if (!clock_parse_rfc3339(str_of(rfc3339), &t))
		fail_msg("%s is not a time", rfc3339);
	return t;
}

static void assert_when(const char *text, int rc, wall_t got, const char *want)
{
	struct buf b = BUF_INIT;

	if (rc != 1)
		fail_msg("%s: refused", text);
	if (got != at(want)) {
		clock_put_rfc3339(&b, got);
		fail_msg("%s: got %s, want %s", text, buf_cstr(&b), want);
	}
}

static void parses(void **state)
{
	static const struct {
		const char *text, *want;
	} table[] = {
		/* absolute */
		{ "261122093000000+", "2026-11-22T09:30:00Z" },
		{ "261122093000000-", "2026-11-22T09:30:00Z" },
		{ "261122093000012+", "2026-11-22T06:30:00Z" }, /* Moscow */
		{ "261122093000020-", "2026-11-22T14:30:00Z" }, /* New York */
		{ "261122093000022+", "2026-11-22T04:00:00Z" }, /* India */
		{ "120410101112300+", "2012-04-10T10:11:12.3Z" },
		{ "240229000000048+", "2024-02-28T12:00:00Z" },
		{ "261231235959948-", "2027-01-01T11:59:59.9Z" },
		/* years by a window that moves: 1976 to 2075 as seen from 2026 */
		{ "750101000000000+", "2075-01-01T00:00:00Z" },
		{ "760101000000000+", "1976-01-01T00:00:00Z" },
		{ "991231000000000+", "1999-12-31T00:00:00Z" },
		/* relative to now */
		{ "000000001500000R", "2026-11-22T09:15:00Z" },
		{ "000000010000000R", "2026-11-22T10:00:00Z" },
		{ "000002000000000R", "2026-11-24T09:00:00Z" },
		{ "000007000000000R", "2026-11-29T09:00:00Z" },
		{ "020610233429000R", "2029-06-02T08:34:29Z" }, /* the standard's sample */
		{ "000000990000000R", "2026-11-26T12:00:00Z" }, /* 99 hours: taken */
		{ "000300000000000R", "2027-02-22T09:00:00Z" },
		{ "990000000000000R", "2036-11-22T09:00:00Z" }, /* cut to ten years */
		{ "000000000000000R", NOW },
		/* without a zone */
		{ "261122093000", "2026-11-22T09:30:00Z" },
		{ "2611220930", "2026-11-22T09:30:00Z" },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		wall_t when = 0;
		int rc = smpp_time_parse(str_of(table[i].text), at(NOW), 0, &when);

		assert_when(table[i].text, rc, when, table[i].want);
	}
}

static void parses_by_the_calendar(void **state)
{
	static const struct {
		const char *now, *text, *want;
	} table[] = {
		{ "2027-01-31T10:00:00Z", "000100000000000R", "2027-02-28T10:00:00Z" },
		{ "2028-01-31T10:00:00Z", "000100000000000R", "2028-02-29T10:00:00Z" },
		{ "2028-02-29T10:00:00Z", "010000000000000R", "2029-02-28T10:00:00Z" },
		{ "2026-12-31T10:00:00Z", "000200000000000R", "2027-02-28T10:00:00Z" },
		{ "2026-12-31T23:59:59Z", "000000000001000R", "2027-01-01T00:00:00Z" },
	};
	wall_t when;

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		int rc = smpp_time_parse(str_of(table[i].text), at(table[i].now), 0, &when);

		assert_when(table[i].text, rc, when, table[i].want);
	}
	/* A zone for those that carry none; it does not touch those that do. */
	assert_int_equal(smpp_time_parse(STR("261122093000"), at(NOW), 3 * 3600, &when), 1);
	assert_when("12 digits", 1, when, "2026-11-22T06:30:00Z");
	assert_int_equal(smpp_time_parse(STR("261122093000000+"), at(NOW), 3 * 3600, &when), 1);
	assert_when("16", 1, when, "2026-11-22T09:30:00Z");
}

static void refuses(void **state)
{
	static const char *const bad[] = {
		"2611220930000000+", /* 17 */
		"26112209300000+",   /* 15: without tenths */
		"261122093000-0800",
		"261122093000000",
		"261122093000000Z",
		"261122093000000r",
		"261122093000049+", /* nn to 48 */
		"261322093000000+",
		"260022093000000+",
		"260230093000000+",
		"250229000000000+", /* no leap year */
		"261100093000000+",
		"261122243000000+",
		"261122096000000+",
		"261122093061000+",
		"26112209300a000+",
		"+61122093000000+",
		" 61122093000000+",
		"00000000150x000R",
		"0000000015000x0R",
		"261322093000",
		"2613220930",
		"x",
		"now",
	};
	wall_t when = 77;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (smpp_time_parse(str_of(bad[i]), at(NOW), 0, &when) != -1)
			fail_msg("%s was taken", bad[i]);
	}
	assert_int_equal(smpp_time_parse(STR_NONE, at(NOW), 0, &when), 0);
	assert_int_equal(when, 77);
}

static void dates(void **state)
{
	static const struct {
		const char *text, *want;
	} table[] = {
		{ "2611221015", "2026-11-22T10:15:00Z" },
		{ "261122101530", "2026-11-22T10:15:30Z" },
		{ "20261122101530", "2026-11-22T10:15:30Z" },
		{ " 2611221015 ", "2026-11-22T10:15:00Z" },
		{ "2026-11-22 10:15", "2026-11-22T10:15:00Z" },
		{ "2026-11-22 10:15:30", "2026-11-22T10:15:30Z" },
		{ "2026-11-22T10:15:30Z", "2026-11-22T10:15:30Z" },
		{ "2026-11-22T10:15:30.250Z", "2026-11-22T10:15:30Z" },
		{ "2026-11-22T10:15:30+03:00", "2026-11-22T07:15:30Z" },
		{ "2026-11-22T10:15:30-0530", "2026-11-22T15:45:30Z" },
		{ "2026-11-22T10:15:30+03", "2026-11-22T07:15:30Z" },
	};
	static const char *const bad[] = { "", "0000000000", "000000000000", "00000000000000",
		"26112210", "9999999999", "2026-11-22", "2026-11-22T10:15:30+",
		"2026-11-22T10:15:30X", "2026-13-22T10:15:30Z", "-", "DELIVRD",
		"2026-11-22T10:15:30+99:00", "16000101000000", "99991231235959" };
	wall_t when;

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		bool ok = smpp_time_parse_date(str_of(table[i].text), at(NOW), 0, &when);

		assert_when(table[i].text, ok ? 1 : -1, when, table[i].want);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (smpp_time_parse_date(str_of(bad[i]), at(NOW), 0, &when))
			fail_msg("%s was taken", bad[i]);
	}
}

static void formats(void **state)
{
	static const struct {
		const char *now, *when, *want;
	} relative[] = {
		{ NOW, "2026-11-22T09:15:00Z", "000000001500000R" },
		{ NOW, "2026-11-22T10:00:00Z", "000000010000000R" },
		{ NOW, "2026-11-24T09:00:00Z", "000002000000000R" },
		{ NOW, "2026-11-29T09:00:00Z", "000007000000000R" },
		{ NOW, "2026-11-22T09:00:00.2Z", "000000000001000R" }, /* up to a whole second */
		{ NOW, NOW, "000000000001000R" },
		{ NOW, "2026-11-22T08:00:00Z", "000000000001000R" }, /* past */
		{ NOW, "2026-12-23T09:00:00Z", "000031000000000R" },
		{ NOW, "2026-12-24T09:00:00Z", "000102000000000R" },
		{ NOW, "2029-06-02T08:34:29Z", "020610233429000R" },
		{ NOW, "2090-01-01T00:00:00Z", "100000000000000R" }, /* as far as it goes */
	};
	struct buf b = BUF_INIT;

	smpp_time_put_absolute(&b, at("2026-11-22T09:30:00.987Z"));
	assert_string_equal(buf_cstr(&b), "261122093000900+");
	for (size_t i = 0; i < sizeof relative / sizeof *relative; i++) {
		buf_reset(&b);
		smpp_time_put_relative(&b, at(relative[i].now), at(relative[i].when));
		assert_string_equal(buf_cstr(&b), relative[i].want);
	}
	buf_reset(&b);
	smpp_time_put_digits(&b, at("2026-11-22T23:30:45Z"), 0, 10);
	assert_string_equal(buf_cstr(&b), "2611222330");
	buf_reset(&b);
	smpp_time_put_digits(&b, at("2026-11-22T23:30:45Z"), 3600, 12);
	assert_string_equal(buf_cstr(&b), "261123003045");
	buf_free(&b);
}

/* What is written is read back, over nine years, by both forms. */
static void round_trips(void **state)
{
	struct buf b = BUF_INIT;
	wall_t now = at("2026-01-31T23:59:58Z"), when, got;

	for (dur_t ahead = DUR_S; ahead < 9 * 365 * DUR_DAY; ahead += ahead / 7 + 977 * DUR_S) {
		when = now + ahead;
		buf_reset(&b);
		smpp_time_put_relative(&b, now, when);
		assert_int_equal(smpp_time_parse(buf_view(&b), now, 0, &got), 1);
		assert_true(got - when >= 0 && got - when < DUR_S);
		buf_reset(&b);
		smpp_time_put_absolute(&b, when);
		assert_int_equal(smpp_time_parse(buf_view(&b), now, 0, &got), 1);
		assert_true(when - got >= 0 && when - got < 100 * DUR_MS);
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(parses_by_the_calendar),
		cmocka_unit_test(refuses),
		cmocka_unit_test(dates),
		cmocka_unit_test(formats),
		cmocka_unit_test(round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
