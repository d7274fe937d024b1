/* The filter language: what expressions come to, what is refused and how it is said, limits,
 * explanations, printing. Names of tests carry the ids of the specification.
 */
#include "plugins/offers/filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum slots {
	CITY,
	STATUS,
	VIP,
	VISITS,
	SPENT,
	BIRTHDAY,
	OPENS,
	JOINED,
	TAGS,
	SIZES,
	WAIT,
	GONE, /* texts and numbers that are always missing */
	NONE,
	LOTS,
	NOW = SLOT_WORLD,
	TODAY,
};
static const struct name names[] = {
	{ "member.city", VALUE_TEXT, VALUE_MISSING, CITY, NULL },
	{ "member.status", VALUE_TEXT, VALUE_MISSING, STATUS, NULL },
	{ "member.vip", VALUE_BOOL, VALUE_MISSING, VIP, NULL },
	{ "member.visits", VALUE_INT, VALUE_MISSING, VISITS, NULL },
	{ "event.total", VALUE_DECIMAL, VALUE_MISSING, SPENT, NULL },
	{ "member.birthday", VALUE_DATE, VALUE_MISSING, BIRTHDAY, NULL },
	{ "member.opens", VALUE_TIME, VALUE_MISSING, OPENS, NULL },
	{ "member.joined", VALUE_DATETIME, VALUE_MISSING, JOINED, NULL },
	{ "member.tags", VALUE_LIST, VALUE_TEXT, TAGS, NULL },
	{ "member.sizes", VALUE_LIST, VALUE_INT, SIZES, NULL },
	{ "member.wait", VALUE_SPAN, VALUE_MISSING, WAIT, NULL },
	{ "member.gone", VALUE_TEXT, VALUE_MISSING, GONE, NULL },
	{ "member.none", VALUE_INT, VALUE_MISSING, NONE, NULL },
	{ "event.lots", VALUE_MISSING, VALUE_MISSING, LOTS, NULL },
	{ "now", VALUE_DATETIME, VALUE_MISSING, NOW, NULL },
	{ "today", VALUE_DATE, VALUE_MISSING, TODAY, NULL },
};
static const struct scope scope = { names, sizeof names / sizeof names[0], NULL };

static wall_t moment(const char *s)
{
	wall_t t;

	assert_true(clock_parse_rfc3339(str_of(s), &t));
	return t;
}

static struct value day(const char *s)
{
	struct value v = value_date(0);

	assert_true(date_parse(str_of(s), &v.i));
	return v;
}

static struct value get(const struct source *s, unsigned slot)
{
	static struct value tags[2], sizes[3];

	switch (slot) {
	case CITY:
		return value_text(STR("Rīga"));
	case STATUS:
		return value_text(STR("gold"));
	case VIP:
		return value_bool(true);
	case VISITS:
		return value_int(12);
	case SPENT:
		return value_decimal(125000); /* 12.5 */
	case BIRTHDAY:
		return day("1992-02-29");
	case OPENS:
		return (struct value){ .type = VALUE_TIME, .i = 10 * DUR_HOUR };
	case JOINED:
		return value_datetime(moment("2026-01-31T12:00:00Z"));
	case TAGS:
		tags[0] = value_text(STR("new"));
		tags[1] = value_text(STR("tea-green"));
		return (struct value){ .type = VALUE_LIST, .of = VALUE_TEXT, .list = { tags, 2 } };
	case SIZES:
		for (int i = 0; i < 3; i++)
			sizes[i] = value_int(36 + i);
		return (struct value){ .type = VALUE_LIST, .of = VALUE_INT, .list = { sizes, 3 } };
	case WAIT:
		return (struct value){ .type = VALUE_SPAN, .span = { .days = 2 } };
	case NONE:
		return value_text(STR("an int it is not")); /* of another type: missing */
	case NOW:
		return value_datetime(moment("2026-03-15T10:00:00Z"));
	case TODAY:
		return day("2026-03-15");
	default:
		return VALUE_NONE;
	}
}
static const struct source source = { get };

static struct value call(void *ctx, enum filter_fn fn, const struct value *args, unsigned n)
{
	switch (fn) {
	case FILTER_COUNT:
		assert_int_equal(n, 2);
		return value_int(args[1].type == VALUE_MISSING ? 10 : args[1].span.days);
	case FILTER_SUM:
		assert_int_equal(n, 3);
		assert_true(str_is(args[0].s, "total"));
		return value_decimal(999900);
	case FILTER_LAST:
		if (str_is(args[0].s, "purchase.completed"))
			return value_datetime(moment("2026-03-01T09:59:59Z"));
		return VALUE_NONE;
	case FILTER_FIRST_TIME:
	case FILTER_IN_AUDIENCE:
	case FILTER_HAS:
		return value_bool(str_is(args[0].s, "phone"));
	case FILTER_SUBSCRIBED:
		return value_bool(args[1].type == VALUE_MISSING || str_is(args[1].s, "sms"));
	case FILTER_COUNTER:
		return value_int(1);
	case FILTER_BALANCE:
		return value_decimal(args[1].b ? 20000 : 10000);
	case FILTER_RECEIVED:
	case FILTER_RECEIVED_ANY:
		return value_int((int)n);
	default:
		fail();
		return VALUE_NONE;
	}
}
static const struct filter_world world = { &source, call, NULL };

static bool known(void *ctx, enum filter_word kind, struct str word, struct str *near_r)
{
	static const char *const there[FILTER_WORDS] = {
		[FILTER_WORD_EVENT] = "purchase.completed",
		[FILTER_WORD_FIELD] = "total",
		[FILTER_WORD_COUNTER] = "thanks-sms",
		[FILTER_WORD_CURRENCY] = "bonus",
		[FILTER_WORD_AUDIENCE] = "sleepers",
		[FILTER_WORD_CONTACT] = "phone",
		[FILTER_WORD_ROW] = "Advertisement",
		[FILTER_WORD_CHANNEL] = "sms",
		[FILTER_WORD_OBJECT] = "come-back",
	};

	if (str_is(word, there[kind]))
		return true;
	if (str_distance(word, str_of(there[kind]), 3) <= 3)
		*near_r = str_of(there[kind]);
	return false;
}
static const struct filter_env env = { .scope = &scope, .known = known };
static const struct filter_env lax = { .scope = &scope };

static const struct filter *compiled(struct arena *a, const char *text, const struct filter_env *e)
{
	struct filter_faults f = { 0 };
	const struct filter *r = filter_compile(a, str_of(text), e, &f);

	if (!r)
		fail_msg("%s: column %u: %s", text, f.v[0].column, f.v[0].text);
	assert_int_equal(f.errors, 0);
	return r;
}

/* ---- what they come to ---------------------------------------------------------------------- */

static const struct {
	const char *text;
	bool is;
} cases[] = {
	{ "true", true },
	{ "false", false },
	{ "not false", true },
	{ "member.vip", true },
	{ "not member.vip", false },
	/* text */
	{ "member.city == 'Rīga'", true },
	{ "member.city == 'rīga'", false },
	{ "member.city ~= 'RĪGA'", true },
	{ "'RĪGA' ~= member.city", true },
	{ "member.city != 'Rīga'", false },
	{ "member.city < 'Rj'", false }, /* by bytes: ī is beyond j */
	{ "member.city > 'Rj'", true },
	{ "lower(member.city) == 'rīga'", true },
	{ "len(member.city) == 4", true },
	{ "member.city contains 'īg'", true },
	{ "member.city not contains 'x'", true },
	{ "member.city starts with 'Rī'", true },
	{ "member.city ends with 'ga'", true },
	{ "member.city not ends with 'ga'", false },
	{ "member.city matches 'R?g*'", true },
	{ "member.city matches 'R*'", true },
	{ "member.city matches '?*a'", true },
	{ "member.city matches '?\?\?\?'", true },
	{ "member.city matches '?\?\?\?\?'", false },
	{ "member.city matches 'īga'", false }, /* anchored */
	{ "'a*b' matches 'a\\*b'", true },
	{ "'axb' matches 'a\\*b'", false },
	{ "'aXbXbc' matches 'a*bc'", true },
	{ "'it''s' contains ''''", true },
	{ "member.city in ('Tallinn', 'Rīga')", true },
	{ "member.city not in ('Tallinn')", true },
	{ "member.city in ('Vilnius', member.city)", true },
	{ "member.city between 'A' and 'Z'", true },
	/* numbers */
	{ "member.visits == 12", true },
	{ "member.visits == 12.0", true },
	{ "member.visits < 12.5", true },
	{ "12.5 == event.total", true },
	{ "event.total >= 12.50 and event.total <= 12.5000", true },
	{ "0.1 + 0.2 == 0.3", true },
	{ "0.3 == 0.1 + 0.2 and 1 < 2", true },
	{ "1 + 1 in (1 + 0, 1 + 1)", true },
	{ "3 between 1 + 1 and 5 - 1", true },
	{ "event.total * 2 == 25", true },
	{ "event.total + member.visits == 24.5", true },
	{ "member.visits / 5 == 2.4", true },
	{ "member.visits % 5 == 2", true },
	{ "event.total % 5 == 2.5", true },
	{ "-member.visits == -12", true },
	{ "- - member.visits == 12", true },
	{ "2 + 3 * 4 == 14", true },
	{ "(2 + 3) * 4 == 20", true },
	{ "10 - 4 - 3 == 3", true },
	{ "1 / 3 == 0.3333", true },
	{ "2 / 3 == 0.6667", true },
	{ "9223372036854775807 + 1 == 9223372036854775807", true }, /* saturates */
	{ "-9223372036854775808 - 1 == -9223372036854775808", true },
	{ "member.visits in (1, 12.0)", true },
	{ "event.total in (1, 12.5)", true },
	{ "member.visits between 1 and 12", true },
	{ "member.visits not between 1 and 11.5", true },
	{ "member.visits / 0 is missing", true },
	{ "member.visits % 0 is missing", true },
	{ "member.visits / 0 == 0", false },
	{ "member.visits / 0 != 0", false },
	/* missing: any comparison is false */
	{ "member.gone == 'a'", false },
	{ "member.gone != 'a'", false },
	{ "member.gone ~= 'a'", false },
	{ "not (member.gone == 'a')", true },
	{ "member.gone == member.gone", false },
	{ "member.gone in ('a')", false },
	{ "member.gone not in ('a')", false },
	{ "member.city in ('a', member.gone)", false },
	{ "member.city not in ('a', member.gone)", false },
	{ "member.city in (member.gone, 'Rīga')", true },
	{ "member.gone contains 'a'", false },
	{ "member.gone not contains 'a'", false },
	{ "member.gone matches '*'", false },
	{ "member.none < 1 or member.none >= 1", false },
	{ "member.none between 0 and 1", false },
	{ "member.none not between 0 and 1", false },
	{ "5 not between 7 and member.none", false },
	{ "5 between 7 and member.none", false },
	{ "member.none + 1 is missing", true },
	{ "-member.none is missing", true },
	{ "member.none is missing and member.city is present", true },
	{ "member.gone is not missing", false },
	{ "(member.none ?? 5) == 5", true },
	{ "member.none ?? 5 == 5", true }, /* ?? binds tighter */
	{ "member.visits ?? 5 == 12", true },
	{ "member.none ?? 2.5 == 2.5", true },
	{ "member.visits ?? 2.5 == 12", true },
	{ "-member.none ?? 5 == -5", true },
	{ "member.none ?? member.none ?? 3 == 3", true },
	{ "(member.gone ?? 'x') == 'x'", true },
	{ "lower(member.gone) is missing", true },
	{ "len(member.gone) is missing", true },
	/* dates */
	{ "member.birthday == '1992-02-29'", true },
	{ "'1992-02-29' == member.birthday", true },
	{ "today > member.birthday", true },
	{ "member.birthday between '1992-02-01' and '1992-03-01'", true },
	{ "member.birthday in ('1990-01-01', '1992-02-29')", true },
	{ "member.birthday + '1 year' == '1993-02-28'", true }, /* the month's end clamps */
	{ "member.birthday + '4 years' == '1996-02-29'", true },
	{ "today - '15 days' == '2026-02-28'", true },
	{ "'15 days' + today == '2026-03-30'", true },
	{ "today - '2026-03-01' == '14 days'", true },
	{ "today - member.birthday > '12000 days'", true },
	{ "month(member.birthday) == 2 and day(member.birthday) == 29", true },
	{ "weekday(today) == 7", true },
	{ "weekday('2026-03-16') == 1", true },
	{ "age() == 34", true },
	{ "age('2008-03-15') == 18", true },
	{ "age('2008-03-16') == 17", true },
	{ "age('2027-01-01') is missing", true },
	{ "anniversary(member.birthday) == '2027-02-28'", true },
	{ "anniversary('2001-03-15') == today", true },
	{ "anniversary('2001-03-14') == '2027-03-14'", true },
	{ "anniversary('2001-03-20') <= today + '7 days'", true },
	/* times */
	{ "member.opens == '10:00'", true },
	{ "member.opens between '09:30' and '24:00'", true },
	{ "member.joined == '2026-01-31T14:00:00+02:00'", true },
	{ "member.joined == '2026-01-31 12:00'", true },
	{ "member.joined + '1 month' == '2026-02-28 12:00'", true },
	{ "member.joined - '1 month' == '2025-12-31 12:00'", true },
	{ "member.joined + '1 month 90 min' == '2026-02-28 13:30'", true },
	{ "now - member.joined > '42 days'", true },
	{ "now - member.joined < '43 days'", true },
	{ "member.joined < now - '30 days'", true },
	{ "member.wait == '48 h'", true },
	{ "member.wait + '1 day' == '3 days'", true },
	{ "member.joined + member.wait == '2026-02-02 12:00'", true },
	{ "member.wait < '1 month'", true },
	/* lists */
	{ "'new' in member.tags", true },
	{ "member.tags contains 'new'", true },
	{ "member.tags not contains 'old'", true },
	{ "'old' not in member.tags", true },
	{ "member.gone in member.tags", false },
	{ "member.gone not in member.tags", false },
	{ "37.0 in member.sizes", true },
	{ "any(member.tags, it starts with 'tea-')", true },
	{ "any(member.tags, it == 'tea')", false },
	{ "any(member.sizes, it > 37 and it % 2 == 0)", true },
	{ "any(member.sizes, it > member.visits + 26)", false },
	{ "len(member.tags) == 2", true },
	{ "member.tags[1] == 'tea-green'", true },
	{ "member.tags[2] is missing", true },
	{ "member.tags[-1] is missing", true },
	{ "member.sizes[member.visits - 10] == 38", true },
	/* functions that are answered from outside */
	{ "count('purchase.completed') == 10", true },
	{ "count('purchase.completed', '90 days') >= 90", true },
	{ "sum('total', 'purchase.completed') > 99.98", true },
	{ "sum(event.total, 'purchase.completed', '1 month') == 99.99", true },
	{ "last('purchase.completed') < now", true },
	{ "days_since_last('purchase.completed') == 14", true },
	{ "counter('thanks-sms') < 1", false },
	{ "balance('bonus') == 1", true },
	{ "balance('bonus', with_receipt) == 2", true },
	{ "has('phone') and not in_audience('sleepers')", true },
	{ "subscribed('Advertisement', 'sms')", true },
	{ "subscribed('Advertisement')", true },
	{ "first_time('purchase.completed')", false },
	{ "received('come-back', '30 days') == 2", true },
	{ "received_any() == 1", true },
	{ "received_any('7 days')", true },
	{ "not received('come-back', '30 days') or member.vip", true },
	/* precedence and short cuts */
	{ "true or false and false", true },
	{ "(true or false) and false", false },
	{ "not false and false", false },
	{ "not (false and false)", true },
	{ "false or false or true", true },
	{ "true and true and false", false },
	{ "(member.vip == true) == (1 < 2)", true },
	{ "not member.city == 'x' and true", true },
	{ "((((member.visits))) + 1) == 13", true },
	{ "- -(5) == 5 and -(-5) == 5", true },
	{ "- - -(0 ?? 1) == 0", true },
	{ "-(-5 ?? 1) == 5 and - (3 ?? 1) < - 2", true },
};

static void test_values(void **state)
{
	struct arena *a = arena_new();

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct filter *f = compiled(a, cases[i].text, &env);
		struct filter_step *steps;
		size_t n;

		if (filter_eval(f, &world) != cases[i].is)
			fail_msg("%s is not %s", cases[i].text, cases[i].is ? "true" : "false");
		if (filter_explain(f, &world, a, &steps, &n) != cases[i].is)
			fail_msg("explained, %s is not %s", cases[i].text,
				cases[i].is ? "true" : "false");
		assert_true(n > 0 && steps[0].depth == 0);
	}
	arena_free(&a);
}

/* Printed from the tree, it compiles to the same tree; printed again it is the same text. */
static void test_FX_4_printed_text_is_the_same_filter(void **state)
{
	struct arena *a = arena_new();
	struct buf b = BUF_INIT, again = BUF_INIT;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct filter *f = compiled(a, cases[i].text, &env), *g;

		buf_reset(&b);
		buf_reset(&again);
		filter_print(f, &b);
		g = compiled(a, buf_cstr(&b), &env);
		filter_print(g, &again);
		if (!filter_same(f, g) || !str_eq(buf_view(&b), buf_view(&again)))
			fail_msg("%s printed is %s", cases[i].text, b.p);
	}
	assert_false(filter_same(compiled(a, "1 < 2", &env), compiled(a, "1 < 3", &env)));
	assert_false(filter_same(compiled(a, "1 < 2", &env), compiled(a, "1 <= 2", &env)));
	buf_free(&b);
	buf_free(&again);
	arena_free(&a);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void test_faults(void **state)
{
	static const struct {
		const char *text;
		unsigned column;
		const char *says;
	} t[] = {
		{ "", 1, "empty" }, { "   ", 1, "empty" },
		{ "member.citty == 'Riga'", 1, "did you mean member.city?" },
		{ "true and event.totl > 1", 10, "did you mean event.total?" },
		{ "Riga == member.city", 1, "single quotes" },
		{ "event.lots == 'a'", 1, "no single value" },
		{ "cuont('purchase.completed') > 1", 1, "did you mean count()?" },
		{ "count > 1", 1, "count is a function" },
		{ "count('purchase.complete') > 1", 7, "did you mean 'purchase.completed'?" },
		{ "counter('nothing-like-it') > 1", 9, "there is no counter" },
		{ "subscribed('Advertisement', 'smss')", 29, "did you mean 'sms'?" },
		{ "sum('totl', 'purchase.completed') > 1", 5, "did you mean 'total'?" },
		{ "count(member.city) > 1", 7, "in quotes" },
		{ "count('purchase.completed', '90 dys') > 1", 29, "90 days" },
		{ "count('purchase.completed', 90) > 1", 29, "in quotes" },
		{ "count() > 1", 1, "at least 1 argument" },
		{ "count('purchase.completed', '1 day', 3) > 1", 38, "at most 2 arguments" },
		{ "balance('bonus', 1) > 1", 18, "with_receipt" },
		/* operators of other languages */
		{ "member.city = 'Riga'", 13, "write ==" },
		{ "member.vip && true", 12, "write and" }, { "member.vip || true", 12, "write or" },
		{ "!member.vip", 1, "write not" }, { "member.city <> 'a'", 13, "write !=" },
		{ "member.city like 'a%'", 13, "matches" },
		{ "member.vip AND true", 12, "did you mean and?" },
		{ "member.city is null", 16, "is missing" },
		{ "member.city == null", 16, "is missing" },
		{ "member.city == \"Riga\"", 16, "single quotes" },
		{ "member.city == 'Riga", 16, "does not end" },
		{ "member.visits == 1 2", 20, "an operator or the end" },
		{ "member.visits ==", 17, "the filter ends here" },
		{ "member.visits == )", 18, "a name, a value" },
		{ "(member.vip", 12, "expected \")\"" },
		{ "member.vip)", 11, "an operator or the end" },
		{ "1 < member.visits < 3", 19, "do not chain" },
		{ "member.visits in 1, 2", 19, "an operator or the end" },
		{ "member.visits in 1", 18, "expects a list" },
		{ "member.visits == (1, 2)", 18, "only behind \"in\"" },
		{ "member.city starts 'a'", 20, "with" },
		{ "member.visits between 1, 2", 24, "\"and\"" },
		{ "member.visits not 1", 19, "behind \"not\"" },
		{ "1.23456 < event.total", 1, "four places" },
		{ "99999999999999999999 < 1", 1, "too large" },
		{ "event.total > 9223372036854775807", 15, "too large for a decimal" },
		{ "14d > 1", 1, "'14 days'" }, { "member.visits # 1", 15, "has no place" },
		{ "it == 1", 1, "any(list, test)" },
		/* types */
		{ "member.visits == '12'", 18, "numbers stand without quotes" },
		{ "member.vip == 'true'", 15, "without quotes" },
		{ "member.city == 12", 1, "member.city is a text, 12 is an int" },
		{ "member.birthday == 'yesterday'", 20, "a date is written '2026-03-01'" },
		{ "member.birthday == '2026-02-30'", 20, "a date is written" },
		{ "member.opens < '25:00'", 16, "a time is written" },
		{ "member.joined < 'soon'", 17, "a datetime is written" },
		{ "member.birthday < now", 1, "today" },
		{ "member.birthday + '2 hours' == today", 19, "days, months" },
		{ "today - 14 < member.birthday", 1, "'14 days'" },
		{ "member.city + 'a' == 'b'", 1, "not joined" },
		{ "member.vip < true", 1, "no order" },
		{ "member.vip between false and true", 1, "has an order" },
		{ "member.tags == 'a'", 1, "do not compare" },
		{ "member.tags in ('a')", 1, "do not compare" },
		{ "member.visits contains 'a'", 1, "\"contains\" expects a text" },
		{ "member.city matches member.status", 21, "a pattern in quotes" },
		{ "-member.city == 'a'", 1, "expects a number" },
		{ "member.city", 1, "expected a condition, member.city is a text" },
		{ "event.total", 1, "> 0" },
		{ "member.vip and member.visits", 16, "expected a condition" },
		{ "not member.visits", 5, "expected a condition" },
		{ "any(member.city, it == 'a')", 5, "expects a list" },
		{ "any(member.tags, it)", 18, "expects a condition" },
		{ "any(member.tags, any(member.tags, it == 'a'))", 18, "within any()" },
		{ "any(member.tags, it == 1)", 18, "it is a text" },
		{ "member.tags[0.5] == 'a'", 1, "list[0]" },
		{ "len(member.visits) == 1", 5, "a text or a list" },
		{ "month(member.joined) == 1", 7, "expects a date" },
		{ "lower(1) == '1'", 7, "expects a text" },
		{ "(member.tags ?? member.tags) contains 'a'", 2, "lists" },
		{ "member.city == 'Rīga' or ?", 26,
			"value or else" }, /* columns count characters */
	};
	struct arena *a = arena_new();

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct filter_faults f = { 0 };

		if (filter_compile(a, str_of(t[i].text), &env, &f))
			fail_msg("%s was taken", t[i].text);
		assert_true(f.errors > 0 && f.n > 0);
		if (f.v[0].column != t[i].column || !strstr(f.v[0].text, t[i].says))
			fail_msg("%s: column %u: %s", t[i].text, f.v[0].column, f.v[0].text);
	}
	arena_free(&a);
}

static void test_several_faults_at_once(void **state)
{
	struct arena *a = arena_new();
	struct filter_faults f = { 0 };

	assert_null(filter_compile(a,
		STR("member.citty == 'a' and member.visits == 'b' and count('x') > 1"), &env, &f));
	assert_int_equal(f.errors, 3);
	assert_int_equal(f.n, 3);
	assert_int_equal(f.v[1].column, 42);
	assert_int_equal(f.v[1].len, 3);
	arena_free(&a);
}

static void test_warnings(void **state)
{
	static const struct {
		const char *text, *says; /* NULL: none */
	} t[] = {
		{ "not (member.status == 'staff')", "write member.status != 'staff', if it is "
						    "write member.status != 'staff' or "
						    "member.status is missing" },
		{ "not (5 < member.visits)", "missing member.visits" },
		{ "not member.city in ('a', 'b')", "missing member.city" },
		{ "not (member.vip or member.city contains 'a')", "missing member.city" },
		{ "not (today == '2026-01-01')", NULL },
		{ "not in_audience('sleepers')", NULL },
		{ "not member.vip", NULL },
		{ "not (count('purchase.completed') > 3)", NULL },
		{ "not (days_since_last('purchase.completed') > 3)", "missing" },
		{ "member.status != 'staff'", NULL },
		{ "1 == 2", "always the same" },
		{ "member.visits between 5 and 1", "holds for nothing" },
		{ "5 is missing", "never missing" },
		{ "(member.vip or true) is missing", "never missing" },
	};
	struct arena *a = arena_new();

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct filter_faults f = { 0 };

		assert_non_null(filter_compile(a, str_of(t[i].text), &env, &f));
		assert_int_equal(f.errors, 0);
		if (f.n != (t[i].says != NULL) || (f.n && !strstr(f.v[0].text, t[i].says)))
			fail_msg("%s: %s", t[i].text, f.n ? f.v[0].text : "no warning");
	}
	arena_free(&a);
}

static void test_names_that_functions_need(void **state)
{
	static const struct scope few = { names, 5, NULL };
	static const struct filter_env poor = { .scope = &few };
	static const char *const t[] = { "age() > 1", "anniversary('2000-01-01') == '2000-01-01'",
		"days_since_last('x') > 1" };
	struct arena *a = arena_new();

	for (size_t i = 0; i < 3; i++) {
		struct filter_faults f = { 0 };

		assert_null(filter_compile(a, str_of(t[i]), &poor, &f));
		assert_non_null(strstr(f.v[0].text, "not known here"));
	}
	arena_free(&a);
}

/* ---- limits -----------------------------------------------------------------------------------
 */

static bool taken(struct buf *b, const char *says)
{
	struct arena *a = arena_new();
	struct filter_faults f = { 0 };
	bool ok = filter_compile(a, buf_view(b), &lax, &f);

	assert_int_equal(ok, f.errors == 0);
	if (!ok && !strstr(f.v[0].text, says))
		fail_msg("%s", f.v[0].text);
	arena_free(&a);
	return ok;
}

static void test_FX_2_limits(void **state)
{
	struct buf b = BUF_INIT;

	/* wide is not deep: 1 + 255 nodes, then one more */
	buf_c(&b, "true");
	for (int i = 1; i < FILTER_NODES - 1; i++)
		buf_c(&b, " or true");
	assert_true(taken(&b, ""));
	buf_c(&b, " or true");
	assert_false(taken(&b, "more than 256"));
	buf_reset(&b);
	buf_c(&b, "member.visits in (1");
	for (int i = 0; i < 1000; i++)
		buf_c(&b, ",1");
	buf_char(&b, ')');
	assert_false(taken(&b, "more than 256"));
	/* depth: of operators … */
	buf_reset(&b);
	buf_c(&b, "1");
	for (int i = 0; i < FILTER_DEPTH - 2; i++)
		buf_c(&b, " + 1");
	buf_c(&b, " > 0");
	assert_true(taken(&b, ""));
	buf_reset(&b);
	buf_c(&b, "1");
	for (int i = 0; i < FILTER_DEPTH - 1; i++)
		buf_c(&b, " + 1");
	buf_c(&b, " > 0");
	assert_false(taken(&b, "more than 32"));
	for (int shape = 0; shape < 4; shape++) { /* … and of what recursion goes through */
		static const char *const open[] = { "(", "not ", "- ", "1 in (1, " };

		buf_reset(&b);
		for (int i = 0; i < 1000; i++)
			buf_c(&b, open[shape]);
		assert_false(taken(&b, "more than 32"));
	}
	/* size */
	buf_reset(&b);
	buf_c(&b, "'");
	while (b.n < (1 << 20))
		buf_c(&b, "aaaaaaaaaaaaaaaa");
	buf_c(&b, "' == 'a'");
	assert_false(taken(&b, "too long"));
	buf_reset(&b);
	buf_c(&b, "member.city matches '");
	for (int i = 0; i < FILTER_PATTERN + 1; i++)
		buf_char(&b, '*');
	buf_c(&b, "'");
	assert_false(taken(&b, "256 are the most"));
	buf_free(&b);
}

static struct str big;
static struct value get_big(const struct source *s, unsigned slot)
{
	return value_text(big);
}

/* A megabyte in a value costs time in proportion and nothing else. */
static void test_FX_2_megabyte_of_text(void **state)
{
	static const struct {
		const char *text;
		bool is;
	} t[] = {
		{ "member.city matches 'a*a*a*a*a*a*b'", false },
		{ "member.city matches '*a?a?a?a?a?a?a?b'", false },
		{ "member.city matches 'a*a*a*a*a*A'", true },
		{ "lower(member.city) ends with 'aaa'", true },
		{ "member.city ~= member.status", true },
		{ "len(member.city) == 1048576", true },
		{ "member.city contains 'aaab'", false },
	};
	static const struct source s = { get_big };
	struct filter_world w = { .source = &s };
	struct arena *a = arena_new();
	char *p = mem_raw(1 << 20);
	mono_t start = clock_mono();

	memset(p, 'a', 1 << 20);
	p[(1 << 20) - 1] = 'A';
	big = str_n(p, 1 << 20);
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
		if (filter_eval(compiled(a, t[i].text, &lax), &w) != t[i].is)
			fail_msg("%s", t[i].text);
	assert_true(clock_mono() - start < 20 * DUR_S); /* also under a sanitizer */
	mem_free(&p);
	arena_free(&a);
}

/* ---- explanations -----------------------------------------------------------------------------
 */

static void test_FX_3_explanation_shows_every_leaf(void **state)
{
	static const struct {
		const char *text, *says;
	} t[] = {
		{ "member.city == 'Rīga' and event.total > 20",
			"  false  member.city == 'Rīga' and event.total > 20\n"
			"-   true  member.city == 'Rīga'\n"
			"-     'Rīga'  member.city\n"
			"    false  event.total > 20\n"
			"      12.5  event.total\n" },
		{ "member.vip or member.visits in (1, 2)",
			"  true  member.vip or member.visits in (1, 2)\n"
			"    true  member.vip\n"
			"-   false  member.visits in (1, 2)\n"
			"-     12  member.visits\n" },
		{ "not (counter('thanks-sms') < 1)", "  true  not counter('thanks-sms') < 1\n"
						     "    false  counter('thanks-sms') < 1\n"
						     "      1  counter('thanks-sms')\n" },
		{ "age() > 40", "  false  age() > 40\n"
				"    34  age()\n"
				"      1992-02-29  member.birthday\n"
				"      2026-03-15  today\n" },
		{ "any(member.sizes, it > 36)", "  true  any(member.sizes, it > 36)\n"
						"    (36, 37, 38)  member.sizes\n"
						"    true  it > 36\n"
						"      37  it\n" },
		{ "true", "  true  true\n" },
	};
	struct arena *a = arena_new();
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		const struct filter *f = compiled(a, t[i].text, &env);

		buf_reset(&b);
		assert_int_equal(filter_explain_put(f, &world, &b), filter_eval(f, &world));
		assert_string_equal(buf_cstr(&b), t[i].says);
	}
	buf_free(&b);
	arena_free(&a);
}

/* Every name and every call that is answered from outside stands in the explanation, be it cut
 * short in evaluation or not. */
static void test_FX_3_nothing_is_left_out(void **state)
{
	struct arena *a = arena_new();
	const struct filter *f = compiled(a,
		"false and (member.city == 'a' or event.total / member.visits > 1 and "
		"last('purchase.completed') is missing or balance('bonus') ?? member.none > 1)",
		&env);
	static const char *const want[] = { "member.city", "event.total", "member.visits",
		"last('purchase.completed')", "balance('bonus')", "member.none" };
	struct filter_step *s;
	size_t n;

	assert_false(filter_explain(f, &world, a, &s, &n));
	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
		size_t k = 0;

		while (k < n && !str_is(s[k].text, want[i]))
			k++;
		assert_true(k < n && s[k].leaf);
	}
	arena_free(&a);
}

static void test_FC_5_missing_attribute_is_false_and_named(void **state)
{
	struct arena *a = arena_new();
	const struct filter *f = compiled(a, "member.gone == 'yes' and member.vip", &env);
	struct buf b = BUF_INIT;

	assert_false(filter_eval(f, &world));
	assert_false(filter_explain_put(f, &world, &b));
	assert_string_equal(buf_cstr(&b), "  false  member.gone == 'yes' and member.vip\n"
					  "    false  member.gone == 'yes'\n"
					  "      missing  member.gone\n"
					  "-   true  member.vip\n");
	buf_free(&b);
	arena_free(&a);
}

/* ---- questions ---------------------------------------------------------------------------------
 */

static void test_questions(void **state)
{
	struct arena *a = arena_new();
	const struct filter *f = compiled(a,
		"in_audience('sleepers') or days_since_last('purchase.completed') > 3 or age() > 3",
		&env);
	enum filter_fn fn;
	const struct value *args;

	assert_true(filter_reads(f, NOW) && filter_reads(f, TODAY) && filter_reads(f, BIRTHDAY));
	assert_false(filter_reads(f, CITY));
	assert_true(filter_calls(f, FILTER_DAYS_SINCE_LAST));
	assert_false(filter_calls(f, FILTER_COUNT));
	assert_true(filter_call_at(f, 0, &fn, &args));
	assert_int_equal(fn, FILTER_IN_AUDIENCE);
	assert_true(str_is(args[0].s, "sleepers"));
	assert_true(filter_call_at(f, 1, &fn, &args));
	assert_int_equal(fn, FILTER_LAST);
	assert_false(filter_call_at(f, 2, &fn, &args));
	assert_true(str_starts(filter_text(f), STR("in_audience(")));
	arena_free(&a);
}

/* Datetimes without an offset are of the programme's zone. */
static void test_zone_of_literals(void **state)
{
	struct arena *a = arena_new();
	struct filter_env riga = { .scope = &scope, .zone = zone_find(STR("Europe/Riga"), NULL) };

	assert_non_null(riga.zone);
	assert_true(filter_eval(compiled(a, "member.joined == '2026-01-31 14:00'", &riga), &world));
	assert_true(filter_eval(compiled(a, "member.joined > '2026-01-31'", &riga), &world));
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_FX_4_printed_text_is_the_same_filter),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_several_faults_at_once),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_names_that_functions_need),
		cmocka_unit_test(test_FX_2_limits),
		cmocka_unit_test(test_FX_2_megabyte_of_text),
		cmocka_unit_test(test_FX_3_explanation_shows_every_leaf),
		cmocka_unit_test(test_FX_3_nothing_is_left_out),
		cmocka_unit_test(test_FC_5_missing_attribute_is_false_and_named),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_zone_of_literals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
