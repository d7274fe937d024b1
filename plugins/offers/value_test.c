/* value.h: decimals, money, dates, spans, comparison, printing, the calendar. */
#include "plugins/offers/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void decimals_are_read_and_written(void **state)
{
	static const struct {
		const char *text;
		bool good;
		int64_t v;
		const char *back;
	} cases[] = {
		{ "0", true, 0, "0" },
		{ "-0", true, 0, "0" },
		{ "8", true, 80000, "8" },
		{ "8.50", true, 85000, "8.5" },
		{ "-12.5", true, -125000, "-12.5" },
		{ "0.0001", true, 1, "0.0001" },
		{ "-0.25", true, -2500, "-0.25" },
		{ "10.05", true, 100500, "10.05" },
		{ "922337203685477.5807", true, INT64_MAX, "922337203685477.5807" },
		{ "-922337203685477.5808", true, INT64_MIN, "-922337203685477.5808" },
		{ "922337203685477.5808", false, 0, NULL },
		{ "-922337203685477.5809", false, 0, NULL },
		{ "99999999999999999999", false, 0, NULL },
		{ "0.00001", false, 0, NULL },
		{ "1.", false, 0, NULL },
		{ ".5", false, 0, NULL },
		{ "+1", false, 0, NULL },
		{ "1e3", false, 0, NULL },
		{ " 1", false, 0, NULL },
		{ "1 ", false, 0, NULL },
		{ "-", false, 0, NULL },
		{ "", false, 0, NULL },
		{ "1,5", false, 0, NULL },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t v = 0;

		assert_int_equal(decimal_parse(str_of(cases[i].text), &v), cases[i].good);
		if (!cases[i].good)
			continue;
		assert_int_equal(v, cases[i].v);
		buf_reset(&b);
		decimal_put(&b, v);
		assert_string_equal(buf_cstr(&b), cases[i].back);
	}
	buf_free(&b);
}

static int64_t dec(const char *s)
{
	int64_t v;

	assert_true(decimal_parse(str_of(s), &v));
	return v;
}

static void decimals_are_exact(void **state)
{
	int64_t v;

	assert_int_equal(decimal_add(dec("0.1"), dec("0.2")), dec("0.3"));
	assert_int_equal(decimal_mul(dec("0.1"), dec("0.1")), dec("0.01"));
	assert_int_equal(decimal_mul(dec("1.5"), dec("-2")), dec("-3"));
	assert_int_equal(decimal_mul(dec("0.0001"), dec("0.5")), dec("0.0001"));
	assert_int_equal(decimal_mul(dec("-0.0001"), dec("0.5")), dec("-0.0001"));
	assert_int_equal(decimal_mul(dec("0.0001"), dec("0.4999")), 0);
	assert_true(decimal_div(dec("10"), dec("3"), &v) && v == dec("3.3333"));
	assert_true(decimal_div(dec("20"), dec("3"), &v) && v == dec("6.6667"));
	assert_true(decimal_div(dec("-20"), dec("3"), &v) && v == dec("-6.6667"));
	assert_true(decimal_div(dec("0.0001"), dec("2"), &v) && v == dec("0.0001"));
	assert_true(decimal_div(dec("0.0001"), dec("-2"), &v) && v == dec("-0.0001"));
	assert_false(decimal_div(dec("1"), 0, &v));
	assert_true(decimal_div(INT64_MIN, -1, &v) && v == INT64_MAX);
	assert_int_equal(decimal_add(INT64_MAX, 1), INT64_MAX);
	assert_int_equal(decimal_add(INT64_MIN, -1), INT64_MIN);
	assert_int_equal(decimal_mul(INT64_MAX, INT64_MIN), INT64_MIN);
	assert_int_equal(decimal_mul(INT64_MIN, INT64_MIN), INT64_MAX);
}

static void money(void **state)
{
	static const struct {
		const char *text;
		int64_t amount; /* -1: refused */
		const char *currency;
	} cases[] = {
		{ "1500.00 EUR", 15000000, "EUR" },
		{ "8", 80000, "" },
		{ "50 stars_2-b", 500000, "stars_2-b" },
		{ "1500.00EUR", -1, NULL },
		{ "EUR 5", -1, NULL },
		{ "5 EUR x", -1, NULL },
		{ "5 \xe2\x82\xac", -1, NULL },
		{ "", -1, NULL },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t v = -1;
		struct str c = STR_NONE;

		assert_int_equal(money_parse(str_of(cases[i].text), &v, &c), cases[i].amount != -1);
		if (cases[i].amount == -1)
			continue;
		assert_int_equal(v, cases[i].amount);
		assert_true(str_is(c, cases[i].currency));
	}
}

static void dates(void **state)
{
	static const struct {
		const char *text;
		int64_t days;
	} good[] = {
		{ "1970-01-01", 0 },
		{ "1969-12-31", -1 },
		{ "2000-02-29", 11016 },
		{ "2026-03-01", 20513 },
		{ "0001-01-01", -719162 },
		{ "9999-12-31", 2932896 },
	};
	static const char *const bad[] = { "", "2026-3-1", "2026-02-29", "2100-02-29", "2026-13-01",
		"2026-00-10", "2026-01-00", "2026-01-32", "0000-01-01", "2026-01-01 ", "2026/01/01",
		"26-01-01", "-026-01-01" };
	struct buf b = BUF_INIT;
	int64_t d;

	for (size_t i = 0; i < COUNT(good); i++) {
		assert_true(date_parse(str_of(good[i].text), &d));
		assert_int_equal(d, good[i].days);
		buf_reset(&b);
		date_put(&b, d);
		assert_string_equal(buf_cstr(&b), good[i].text);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(date_parse(str_of(bad[i]), &d));
	buf_free(&b);
	/* each day of eight centuries, in order */
	d = date_of_civil(1600, 1, 1);
	for (int y = 1600; y < 2400; y++)
		for (int m = 1; m <= 12; m++)
			for (int day = 1; day <= date_month_days(y, m); day++, d++) {
				int yy, mm, dd;

				date_civil(d, &yy, &mm, &dd);
				assert_true(yy == y && mm == m && dd == day);
				assert_int_equal(date_of_civil(y, m, day), d);
			}
	assert_int_equal(date_weekday(0), 4);
	assert_int_equal(date_weekday(-4), 7);
	assert_int_equal(date_weekday(date_of_civil(2026, 3, 29)), 7);
	for (d = INT64_MIN; d < 0; d += INT64_MAX / 7 + 1) { /* nothing overflows at the ends */
		int y, m, day;

		date_civil(d, &y, &m, &day);
		assert_in_range(date_weekday(d), 1, 7);
		date_add_months(d, INT32_MIN);
	}
}

static void months_end_at_their_end(void **state)
{
	static const struct {
		const char *from;
		int months;
		const char *to;
	} cases[] = {
		{ "2026-01-31", 1, "2026-02-28" },
		{ "2024-01-31", 1, "2024-02-29" },
		{ "2024-02-29", 12, "2025-02-28" },
		{ "2024-02-29", 48, "2028-02-29" },
		{ "2026-11-30", 3, "2027-02-28" },
		{ "2026-12-31", 1, "2027-01-31" },
		{ "2026-03-31", -1, "2026-02-28" },
		{ "2026-01-15", -1, "2025-12-15" },
		{ "2026-05-31", 1, "2026-06-30" },
		{ "2026-05-31", 0, "2026-05-31" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t from, to;

		assert_true(date_parse(str_of(cases[i].from), &from));
		assert_true(date_parse(str_of(cases[i].to), &to));
		assert_int_equal(date_add_months(from, cases[i].months), to);
	}
	assert_true(date_add_months(0, INT32_MAX) > 0);
	assert_true(date_add_months(700000000000ll, INT32_MAX) > 0);
	assert_true(date_add_months(-700000000000ll, INT32_MIN) < 0);
}

static void times_of_day(void **state)
{
	static const struct {
		const char *text;
		int64_t ns; /* -1: refused */
		const char *back;
	} cases[] = {
		{ "10:00", 10 * DUR_HOUR, "10:00" },
		{ "9:05", 9 * DUR_HOUR + 5 * DUR_MIN, "09:05" },
		{ "10:00:30", 10 * DUR_HOUR + 30 * DUR_S, "10:00:30" },
		{ "00:00", 0, "00:00" },
		{ "24:00", DUR_DAY, "24:00" },
		{ "24:00:01", -1, NULL },
		{ "24:01", -1, NULL },
		{ "25:00", -1, NULL },
		{ "10:60", -1, NULL },
		{ "10:00:60", -1, NULL },
		{ "10", -1, NULL },
		{ "10:0", -1, NULL },
		{ "10:00:", -1, NULL },
		{ "10:00 ", -1, NULL },
		{ "", -1, NULL },
		{ ":", -1, NULL },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t ns = -1;

		assert_int_equal(time_of_day_parse(str_of(cases[i].text), &ns), cases[i].ns != -1);
		if (cases[i].ns == -1)
			continue;
		assert_int_equal(ns, cases[i].ns);
		buf_reset(&b);
		time_of_day_put(&b, ns);
		assert_string_equal(buf_cstr(&b), cases[i].back);
	}
	buf_free(&b);
}

static void spans(void **state)
{
	static const struct {
		const char *text;
		struct span s;
		const char *back; /* NULL: refused */
	} cases[] = {
		{ "14 days", { 0, 14, 0 }, "14 days" },
		{ "1 month 2 days", { 1, 2, 0 }, "1 month 2 days" },
		{ "90 min", { 0, 0, 90 * DUR_MIN }, "1 h 30 min" },
		{ "1h30m", { 0, 0, 90 * DUR_MIN }, "1 h 30 min" },
		{ "2 h 30 min", { 0, 0, 150 * DUR_MIN }, "2 h 30 min" },
		{ "2 weeks", { 0, 14, 0 }, "14 days" },
		{ "1 year", { 12, 0, 0 }, "12 months" },
		{ " 1d ", { 0, 1, 0 }, "1 day" },
		{ "0 days", { 0, 0, 0 }, "0 s" },
		{ "250 ms", { 0, 0, 250 * DUR_MS }, "250000000 ns" },
		{ "100 years", { 1200, 0, 0 }, "1200 months" },
		{ "101 years", { 0 }, NULL },
		{ "99999999999999999999 days", { 0 }, NULL },
		{ "9223372036854775807 h", { 0 }, NULL },
		{ "36600 days 1 day", { 0 }, NULL },
		{ "14", { 0 }, NULL },
		{ "days", { 0 }, NULL },
		{ "14 dayz", { 0 }, NULL },
		{ "-1 day", { 0 }, NULL },
		{ "1.5 h", { 0 }, NULL },
		{ "14 Days", { 0 }, NULL },
		{ "", { 0 }, NULL },
		{ "  ", { 0 }, NULL },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span s = { -1, -1, -1 };
		const char *wrong = span_parse(str_of(cases[i].text), &s);

		assert_int_equal(wrong == NULL, cases[i].back != NULL);
		if (wrong) {
			assert_int_equal(s.months, -1);
			continue;
		}
		assert_true(s.months == cases[i].s.months && s.days == cases[i].s.days &&
			    s.exact == cases[i].s.exact);
		buf_reset(&b);
		span_put(&b, s);
		assert_string_equal(buf_cstr(&b), cases[i].back);
	}
	buf_free(&b);
	assert_string_equal(span_parse(STR("-1 day"), &(struct span){ 0 }), "is negative");
}

static struct value span_of(const char *text)
{
	struct value v = { .type = VALUE_SPAN };

	assert_null(span_parse(str_of(text), &v.span));
	return v;
}

static void comparing(void **state)
{
	struct value a[] = { value_text(STR("a")), value_text(STR("b")) };
	struct value list = { .type = VALUE_LIST, .of = VALUE_TEXT, .list = { a, 2 } };
	struct value one = { .type = VALUE_LIST, .of = VALUE_TEXT, .list = { a, 1 } };
	bool ok;

	assert_true(value_eq(value_int(3), value_int(3)));
	assert_false(value_eq(value_int(3), value_decimal(30000))); /* types differ */
	assert_int_equal(value_cmp(value_int(3), value_decimal(30000), &ok), 0);
	assert_true(ok);
	assert_int_equal(value_cmp(value_int(INT64_MAX), value_decimal(INT64_MAX), &ok), 1);
	assert_int_equal(value_cmp(value_int(INT64_MIN), value_decimal(INT64_MIN), &ok), -1);
	assert_int_equal(value_cmp(value_text(STR("a")), value_text(STR("ab")), &ok), -1);
	assert_true(ok);
	assert_int_equal(value_cmp(value_date(1), value_date(0), &ok), 1);
	assert_false(value_eq(VALUE_NONE, VALUE_NONE));
	value_cmp(VALUE_NONE, VALUE_NONE, &ok);
	assert_false(ok);
	value_cmp(value_date(0), value_datetime(0), &ok);
	assert_false(ok);
	value_cmp(value_bool(true), value_bool(false), &ok);
	assert_false(ok);
	assert_true(value_eq(list, list));
	assert_false(value_eq(list, one));
	value_cmp(list, one, &ok);
	assert_false(ok);
	assert_int_equal(value_cmp(span_of("14 days"), span_of("2 weeks"), &ok), 0);
	assert_int_equal(value_cmp(span_of("36 h"), span_of("1 day"), &ok), 1);
	assert_int_equal(value_cmp(span_of("1 month 1 day"), span_of("1 month"), &ok), 1);
	assert_true(ok);
	value_cmp(span_of("1 month"), span_of("30 days"), &ok);
	assert_false(ok);
}

static void printing(void **state)
{
	struct value a[] = { value_text(STR("a")), value_text(STR("it's\x1b")) };
	const struct {
		struct value v;
		const char *text;
	} cases[] = {
		{ VALUE_NONE, "missing" },
		{ value_bool(true), "true" },
		{ value_int(-7), "-7" },
		{ value_decimal(125000), "12.5" },
		{ value_text(STR("R\xc4\xabga")), "'R\xc4\xabga'" },
		{ value_date(20513), "2026-03-01" },
		{ { .type = VALUE_TIME, .i = 10 * DUR_HOUR + DUR_MS }, "10:00:00.001000000" },
		{ value_datetime(0), "1970-01-01T00:00:00.000Z" },
		{ { .type = VALUE_SPAN, .span = { 1, 0, DUR_S } }, "1 month 1 s" },
		{ { .type = VALUE_LIST, .of = VALUE_TEXT, .list = { a, 2 } },
			"('a', 'it''s\\x1b')" },
		{ { .type = VALUE_LIST }, "()" },
	};
	struct buf b = BUF_INIT;
	enum value_type t;

	for (size_t i = 0; i < COUNT(cases); i++) {
		buf_reset(&b);
		value_put(&b, cases[i].v);
		assert_string_equal(buf_cstr(&b), cases[i].text);
		if (cases[i].v.type == VALUE_MISSING)
			continue;
		assert_true(value_type_parse(str_of(value_type_word(cases[i].v.type)), &t));
		assert_int_equal(t, cases[i].v.type);
	}
	buf_free(&b);
	assert_false(value_type_parse(STR("missing"), &t));
}

static void names_are_found_and_guessed(void **state)
{
	static const struct name outer[] = { { "member.city", VALUE_TEXT },
		{ "now", VALUE_DATETIME } };
	static const struct name inner[] = { { "event.total", VALUE_DECIMAL },
		{ "Amount", VALUE_DECIMAL }, { "now", VALUE_DATE } };
	const struct scope world = { outer, COUNT(outer), NULL };
	const struct scope scope = { inner, COUNT(inner), &world };

	assert_ptr_equal(scope_find(&scope, STR("event.total")), &inner[0]);
	assert_ptr_equal(scope_find(&scope, STR("member.city")), &outer[0]);
	assert_ptr_equal(scope_find(&scope, STR("now")), &inner[2]); /* the nearer one hides */
	assert_null(scope_find(&scope, STR("amount")));
	assert_null(scope_find(&scope, STR("")));
	assert_ptr_equal(scope_near(&scope, STR("amount")), &inner[1]);
	assert_ptr_equal(scope_near(&scope, STR("Amout")), &inner[1]);
	assert_ptr_equal(scope_near(&scope, STR("member.sity")), &outer[0]);
	assert_null(scope_near(&scope, STR("weather")));
	assert_null(scope_near(&scope, STR("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decimals_are_read_and_written),
		cmocka_unit_test(decimals_are_exact),
		cmocka_unit_test(money),
		cmocka_unit_test(dates),
		cmocka_unit_test(months_end_at_their_end),
		cmocka_unit_test(times_of_day),
		cmocka_unit_test(spans),
		cmocka_unit_test(comparing),
		cmocka_unit_test(printing),
		cmocka_unit_test(names_are_found_and_guessed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
