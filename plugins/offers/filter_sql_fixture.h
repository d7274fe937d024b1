/* For filter_sql_test.c: names of every type, members with values at the ends of their ranges, the
 * same members in a table, and expressions made up by chance.
 */
#ifndef POSTERN_OFFERS_FILTER_SQL_FIXTURE_H
#define POSTERN_OFFERS_FILTER_SQL_FIXTURE_H

#include "gateway/base/err.h"
#include "plugins/offers/attrs.h"
#include "plugins/offers/filter_sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum {
	MEMBERS = 100,
	EACH = 2,     /* names of each type */
	VARIANTS = 2, /* of each function that is answered from outside */
	SLOTS = 32,
	OUTSIDE = FILTER_RECEIVED_ANY + 1,
	NOW = SLOT_WORLD,
	TODAY,
};

/* ---- names ----------------------------------------------------------------------------------- */

static const struct {
	enum value_type type, of;
} kinds[] = {
	{ VALUE_BOOL, 0 },
	{ VALUE_INT, 0 },
	{ VALUE_DECIMAL, 0 },
	{ VALUE_TEXT, 0 },
	{ VALUE_DATE, 0 },
	{ VALUE_TIME, 0 },
	{ VALUE_DATETIME, 0 },
	{ VALUE_SPAN, 0 },
	{ VALUE_LIST, VALUE_TEXT },
	{ VALUE_LIST, VALUE_INT },
	{ VALUE_LIST, VALUE_DECIMAL },
	{ VALUE_LIST, VALUE_DATE },
	{ VALUE_LIST, VALUE_BOOL },
};
enum { KINDS = sizeof kinds / sizeof kinds[0], NAMES = KINDS * EACH + 3 };
static struct name names[NAMES];
static const struct scope scope = { names, NAMES, NULL };
static const enum value_type gives[OUTSIDE] = {
	[FILTER_COUNT] = VALUE_INT,
	[FILTER_SUM] = VALUE_DECIMAL,
	[FILTER_LAST] = VALUE_DATETIME,
	[FILTER_FIRST_TIME] = VALUE_BOOL,
	[FILTER_COUNTER] = VALUE_INT,
	[FILTER_BALANCE] = VALUE_DECIMAL,
	[FILTER_IN_AUDIENCE] = VALUE_BOOL,
	[FILTER_HAS] = VALUE_BOOL,
	[FILTER_SUBSCRIBED] = VALUE_BOOL,
	[FILTER_RECEIVED] = VALUE_INT,
	[FILTER_RECEIVED_ANY] = VALUE_INT,
};

static void make_names(void)
{
	static char paths[NAMES][24];
	size_t n = 0;

	for (unsigned k = 0; k < KINDS; k++)
		for (unsigned i = 0; i < EACH; i++, n++) {
			snprintf(paths[n], sizeof paths[n], "member.%c%u", 'a' + (char)k, i);
			names[n] = (struct name){ paths[n], kinds[k].type, kinds[k].of, (unsigned)n,
				NULL };
		}
	/* the second date is the birthday */
	names[n++] =
		(struct name){ "member.birthday", VALUE_DATE, VALUE_MISSING, 4 * EACH + 1, NULL };
	names[n++] = (struct name){ "now", VALUE_DATETIME, VALUE_MISSING, NOW, NULL };
	names[n++] = (struct name){ "today", VALUE_DATE, VALUE_MISSING, TODAY, NULL };
}

/* ---- members --------------------------------------------------------------------------------- */

static uint64_t seed = 1;
static uint32_t roll(uint32_t n) /* 0 … n - 1 */
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 16) % n);
}

static const char *const texts[] = { "", "a", "A", "ab", "Riga", "RIGA", "Rīga", "rĪgA", "Straße",
	"STRASSE", "ЖЁж", "жёЖ", "a*b", "a?b", "%_", "it's", "ſ", "K", "\xe2\x84\xaa",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "İ", "ΣΑΣ", "σας", "🙂a", "5", "2026-03-15" };
enum { TEXTS = sizeof texts / sizeof texts[0] };
static const char *const patterns[] = { "*", "a*", "*b", "?", "??", "R?ga", "*?a*", "a\\*b", "",
	"*a*a*", "[a]", "\\", "*\\?*" };
enum { PATTERNS = sizeof patterns / sizeof patterns[0] };

static int64_t any_int(void)
{
	static const int64_t odd[] = { INT64_MAX, INT64_MIN, INT64_MAX / 10000,
		INT64_MAX / 10000 + 1, INT64_MIN / 10000 - 1, 1ll << 53, -1, 0, 1, 10000 };

	return roll(8) ? (int64_t)roll(21) - 10 : odd[roll(10)];
}

static struct value any_value(enum value_type type)
{
	static const int64_t decimals[] = { 0, 1, -1, 5000, 10000, 12500, -20000, 33333, INT64_MAX,
		INT64_MIN, 92233720368547758ll };
	int64_t day = 20000 + (int64_t)roll(900);

	switch (type) {
	case VALUE_BOOL:
		return value_bool(roll(2));
	case VALUE_INT:
		return value_int(any_int());
	case VALUE_DECIMAL:
		return value_decimal(
			roll(2) ? decimals[roll(11)] : ((int64_t)roll(41) - 20) * 5000);
	case VALUE_TEXT:
		return value_text(str_of(texts[roll(TEXTS)]));
	case VALUE_DATE:
		if (!roll(20))
			day = any_int();
		else if (!roll(4))
			day = date_of_civil(1990 + (int)roll(40), 2, 29);
		return value_date(day);
	case VALUE_TIME:
		return (struct value){ .type = type, .i = (int64_t)roll(97) * 15 * DUR_MIN };
	case VALUE_DATETIME:
		return value_datetime(roll(20) ? day * DUR_DAY + roll(24) * DUR_HOUR : any_int());
	default:
		return (struct value){ .type = VALUE_SPAN,
			.span = { .days = (int)roll(60) - 10, .exact = roll(24) * DUR_HOUR } };
	}
}

static struct value members[MEMBERS][SLOTS];
static struct value answers[MEMBERS][OUTSIDE][VARIANTS];
static struct value now, today;

static void make_members(struct arena *a)
{
	for (unsigned m = 0; m < MEMBERS; m++) {
		for (unsigned s = 0; s < KINDS * EACH; s++) {
			struct value *v = &members[m][s], *items;
			enum value_type of = names[s].of;
			size_t n = roll(4);

			if (!roll(4)) {
				*v = VALUE_NONE;
				continue;
			}
			if (names[s].type != VALUE_LIST) {
				*v = any_value(names[s].type);
				continue;
			}
			items = arena_alloc(a, (n + 1) * sizeof *items);
			for (size_t i = 0; i < n; i++)
				items[i] = any_value(of);
			*v = (struct value){ .type = VALUE_LIST, .of = of, .list = { items, n } };
		}
		for (unsigned f = 0; f < OUTSIDE; f++)
			for (unsigned i = 0; i < VARIANTS; i++)
				answers[m][f][i] = f == FILTER_LAST && !roll(3)
							   ? VALUE_NONE
							   : any_value(gives[f]);
	}
	now = value_datetime(20500 * DUR_DAY + 11 * DUR_HOUR);
	today = value_date(20500);
}

struct member_source {
	struct source s;
	unsigned m;
};
static struct value get(const struct source *s, unsigned slot)
{
	const struct member_source *src = (const void *)s;

	if (slot == NOW)
		return now;
	return slot == TODAY ? today : members[src->m][slot];
}
/* Which of its variants a call is: by what its arguments say. */
static unsigned variant(const struct value *args, enum filter_fn fn)
{
	return fn == FILTER_RECEIVED_ANY ? args[0].type != VALUE_MISSING
					 : str_ends(args[0].s, STR("1"));
}
static struct value call(void *ctx, enum filter_fn fn, const struct value *args, unsigned n)
{
	const struct member_source *src = ctx;

	return answers[src->m][fn][variant(args, fn)];
}

/* ---- the same in a table --------------------------------------------------------------------- */

static bool map_slot(void *ctx, struct filter_sql *q, unsigned slot)
{
	if (slot == NOW || slot == TODAY)
		filter_sql_param(q, slot == NOW ? now : today);
	else
		filter_sql_printf(q, "m.c%u", slot);
	return true;
}
static bool map_call(void *ctx, struct filter_sql *q, enum filter_fn fn, const struct value *args)
{
	filter_sql_printf(q, "m.f%u_%u", (unsigned)fn, variant(args, fn));
	return true;
}
static const struct filter_map map = { map_slot, map_call, NULL };

static struct sql *make_table(void)
{
	struct sql_conf c = { .where = ":memory:", .role = SQL_WRITER, .cache = 8 << 20 };
	struct buf text = BUF_INIT, values = BUF_INIT, scratch[KINDS * EACH] = { 0 };
	struct err e;
	struct sql *db = sql_open("sqlite", &c, &e);
	struct sql_stmt *st;
	int n = 1;

	assert_non_null(db);
	buf_c(&text, "CREATE TABLE m(id INTEGER PRIMARY KEY");
	for (unsigned s = 0; s < KINDS * EACH; s++)
		buf_printf(&text, ", c%u", s);
	for (unsigned f = 0; f < OUTSIDE; f++)
		for (unsigned i = 0; i < VARIANTS; i++)
			buf_printf(&text, ", f%u_%u", f, i);
	buf_c(&text, ")");
	assert_int_equal(sql_exec(db, buf_cstr(&text)), 0);
	buf_c(&values, "INSERT INTO m VALUES($1");
	for (unsigned s = 0; s < KINDS * EACH + OUTSIDE * VARIANTS; s++)
		buf_printf(&values, ", $%d", ++n);
	buf_c(&values, ")");
	st = sql_prepare(db, buf_cstr(&values));
	for (unsigned m = 0; m < MEMBERS; m++) {
		n = 1;
		sql_int(st, n++, m);
		for (unsigned s = 0; s < KINDS * EACH; s++)
			value_bind(st, n++, members[m][s], &scratch[s]);
		for (unsigned f = 0; f < OUTSIDE; f++)
			for (unsigned i = 0; i < VARIANTS; i++)
				value_bind(st, n++, answers[m][f][i], NULL);
		assert_int_equal(sql_run(st), 0);
	}
	sql_finish(&st);
	for (unsigned s = 0; s < KINDS * EACH; s++)
		buf_free(&scratch[s]);
	buf_free(&text);
	buf_free(&values);
	return db;
}

/* ---- expressions ----------------------------------------------------------------------------- */

struct maker {
	struct buf *b;
	enum value_type it; /* within any(); MISSING outside */
};
static void make(struct maker *g, enum value_type type, int depth);
static void make_test(struct maker *g, int depth);

static void c(struct maker *g, const char *text)
{
	buf_c(g->b, text);
}

static void make_name(struct maker *g, enum value_type type, enum value_type of)
{
	unsigned n = 0, pick[NAMES];

	for (unsigned i = 0; i < NAMES; i++)
		if (names[i].type == type && (type != VALUE_LIST || names[i].of == of))
			pick[n++] = i;
	c(g, names[pick[roll(n)]].path);
}

static void quote(struct maker *g, const char *text)
{
	buf_char(g->b, '\'');
	for (; *text; text++) {
		buf_char(g->b, *text);
		if (*text == '\'')
			buf_char(g->b, '\'');
	}
	buf_char(g->b, '\'');
}

static void make_constant(struct maker *g, enum value_type type)
{
	static const char *const spans[] = { "1 day", "14 days", "2 h", "30 days", "1 month",
		"90 min", "1 year" };
	struct value v = any_value(type);

	switch (type) {
	case VALUE_BOOL:
		c(g, v.b ? "true" : "false");
		break;
	case VALUE_INT:
		buf_printf(g->b, "%lld", (long long)v.i);
		break;
	case VALUE_DECIMAL:
		decimal_put(g->b, v.i);
		break;
	case VALUE_TEXT:
		quote(g, texts[roll(TEXTS)]);
		break;
	case VALUE_DATE:
		buf_char(g->b, '\'');
		date_put(g->b, 20000 + roll(900));
		buf_char(g->b, '\'');
		break;
	case VALUE_TIME:
		buf_printf(g->b, "'%02u:%02u'", roll(24), roll(4) * 15);
		break;
	case VALUE_DATETIME:
		buf_char(g->b, '\'');
		date_put(g->b, 20000 + roll(900));
		buf_printf(g->b, " %02u:00'", roll(24));
		break;
	default:
		quote(g, spans[roll(7)]);
		break;
	}
}

/* A call that is answered from outside. */
static void make_outside(struct maker *g, enum value_type type)
{
	static const char *const periods[] = { "", ", '30 days'", ", '2 months'" };
	unsigned v = roll(2), pick;
	const char *p = periods[roll(3)];

	switch (type) {
	case VALUE_INT:
		pick = roll(4);
		if (pick == 0)
			buf_printf(g->b, "counter('c%u')", v);
		else if (pick == 1)
			buf_printf(g->b, "received_any(%s)", v ? "'7 days'" : "");
		else if (pick == 2)
			buf_printf(g->b, "received('o%u'%s)", v, p);
		else
			buf_printf(g->b, "count('e%u'%s)", v, p);
		break;
	case VALUE_DECIMAL:
		if (roll(2))
			buf_printf(g->b, "sum('f%u', 'e'%s)", v, p);
		else
			buf_printf(g->b, "balance('b%u'%s)", v, roll(2) ? ", with_receipt" : "");
		break;
	case VALUE_DATETIME:
		buf_printf(g->b, "last('e%u')", v);
		break;
	default:
		buf_printf(g->b, "%s('x%u')",
			(const char *[]){
				"first_time", "in_audience", "has", "subscribed" }[roll(4)],
			v);
		break;
	}
}

static void make_leaf(struct maker *g, enum value_type type)
{
	uint32_t r = roll(10);

	if (g->it == type && r < 5)
		c(g, "it");
	else if (r < 2)
		make_constant(g, type);
	else if (r < 4 && (type == VALUE_INT || type == VALUE_DECIMAL || type == VALUE_DATETIME ||
				  type == VALUE_BOOL))
		make_outside(g, type);
	else
		make_name(g, type, VALUE_MISSING);
}

static void make_two(
	struct maker *g, enum value_type a, const char *op, enum value_type b, int depth)
{
	c(g, "(");
	make(g, a, depth - 1);
	c(g, op);
	make(g, b, depth - 1);
	c(g, ")");
}

static enum value_type number_type(void)
{
	return roll(2) ? VALUE_INT : VALUE_DECIMAL;
}

static void make_int(struct maker *g, int depth)
{
	static const char *const ops[] = { " + ", " - ", " * ", " % " };
	static const char *const parts[] = { "month(", "day(", "weekday(", "age(" };

	switch (roll(8)) {
	case 0:
		c(g, "len(");
		make(g, VALUE_TEXT, depth - 1);
		c(g, ")");
		break;
	case 1:
		c(g, "len(");
		make_name(g, VALUE_LIST, VALUE_TEXT);
		c(g, ")");
		break;
	case 2:
		c(g, parts[roll(4)]);
		make(g, VALUE_DATE, depth - 1);
		c(g, ")");
		break;
	case 3:
		buf_printf(g->b, roll(2) ? "age()" : "days_since_last('e%u')", roll(2));
		break;
	case 4:
		c(g, "(-");
		make(g, VALUE_INT, depth - 1);
		c(g, ")");
		break;
	default:
		make_two(g, VALUE_INT, ops[roll(4)], VALUE_INT, depth);
		break;
	}
}

static void make_date(struct maker *g, int depth)
{
	static const char *const by[] = { " + '1 month')", " - '14 days')", " + '1 year 2 days')",
		" - '13 months')" };

	if (roll(3)) {
		c(g, "(");
		make_name(g, VALUE_DATE, VALUE_MISSING);
		c(g, by[roll(4)]);
	} else {
		c(g, "anniversary(");
		make(g, VALUE_DATE, depth - 1);
		c(g, ")");
	}
}

static void make_datetime(struct maker *g, int depth)
{
	static const char *const by[] = { " + '1 month')", " - '14 days 3 h')", " - '90 min')" };

	c(g, "(");
	if (roll(2)) {
		make_name(g, VALUE_DATETIME, VALUE_MISSING);
		c(g, by[roll(3)]);
	} else {
		make_name(g, VALUE_DATETIME, VALUE_MISSING);
		c(g, roll(2) ? " + " : " - ");
		make_name(g, VALUE_SPAN, VALUE_MISSING);
		c(g, ")");
	}
}

static void make_span(struct maker *g, int depth)
{
	uint32_t r = roll(3);
	enum value_type t = r ? VALUE_DATE : VALUE_DATETIME;

	c(g, "(");
	if (r < 2) {
		make_name(g, t, VALUE_MISSING);
		c(g, " - ");
		make_name(g, t, VALUE_MISSING);
	} else {
		make_name(g, VALUE_SPAN, VALUE_MISSING);
		c(g, roll(2) ? " + " : " - ");
		make(g, VALUE_SPAN, depth - 1);
	}
	c(g, ")");
}

/* A value of that type; parentheses around whatever is more than a leaf. */
static void make(struct maker *g, enum value_type type, int depth)
{
	static const char *const sums[] = { " + ", " - ", " * ", " / ", " % " };

	if (depth <= 0 || !roll(4)) {
		make_leaf(g, type);
		return;
	}
	if (!roll(8) && g->it == VALUE_MISSING && type != VALUE_TIME && type != VALUE_SPAN &&
		type != VALUE_DATETIME) {
		make_name(g, VALUE_LIST, type);
		c(g, "[");
		make(g, VALUE_INT, depth - 2);
		c(g, "]");
		return;
	}
	if (!roll(6)) {
		c(g, "(");
		make_name(g, type, VALUE_MISSING);
		c(g, " ?? ");
		make(g, type, depth - 1);
		c(g, ")");
		return;
	}
	switch (type) {
	case VALUE_BOOL:
		c(g, "(");
		make_test(g, depth - 1);
		c(g, ")");
		break;
	case VALUE_INT:
		make_int(g, depth);
		break;
	case VALUE_DECIMAL:
		if (roll(6))
			make_two(g, VALUE_DECIMAL, sums[roll(5)], number_type(), depth);
		else
			make_two(g, VALUE_INT, " / ", VALUE_INT, depth);
		break;
	case VALUE_TEXT:
		c(g, "lower(");
		make(g, VALUE_TEXT, depth - 1);
		c(g, ")");
		break;
	case VALUE_DATE:
		make_date(g, depth);
		break;
	case VALUE_DATETIME:
		make_datetime(g, depth);
		break;
	case VALUE_SPAN:
		make_span(g, depth);
		break;
	default:
		make_leaf(g, type);
		break;
	}
}

static enum value_type scalar(bool ordered)
{
	return (enum value_type)(VALUE_BOOL + ordered + roll(VALUE_SPAN - VALUE_BOOL + !ordered));
}

/* The left side of a comparison with constants has a type of its own. */
static void make_left(struct maker *g, enum value_type type, int depth)
{
	if (depth <= 0)
		make_name(g, type, VALUE_MISSING);
	else
		make(g, type, depth - 1);
}

static void make_in(struct maker *g, int depth)
{
	static const enum value_type of[] = { VALUE_TEXT, VALUE_INT, VALUE_DECIMAL, VALUE_DATE,
		VALUE_BOOL };
	enum value_type t = scalar(false), e = of[roll(5)];
	bool flip = roll(2);

	if (roll(2)) {
		c(g, "(");
		make_name(g, t, VALUE_MISSING);
		c(g, roll(2) ? " in (" : " not in (");
		for (unsigned i = 0, n = 1 + roll(4); i < n; i++) {
			c(g, i ? ", " : "");
			if (roll(3))
				make_constant(g, t);
			else
				make(g, t, depth - 2);
		}
		c(g, "))");
		return;
	}
	c(g, "(");
	t = e == VALUE_INT || e == VALUE_DECIMAL ? number_type() : e;
	if (flip)
		make_name(g, VALUE_LIST, e);
	else
		make_left(g, t, depth);
	c(g, roll(2) ? " not " : " ");
	c(g, flip ? "contains " : "in ");
	if (flip)
		make_left(g, t, depth);
	else
		make_name(g, VALUE_LIST, e);
	c(g, ")");
}

static void make_any(struct maker *g, int depth)
{
	static const enum value_type of[] = { VALUE_TEXT, VALUE_INT, VALUE_DECIMAL, VALUE_DATE,
		VALUE_BOOL };
	enum value_type e = of[roll(5)];

	c(g, "any(");
	make_name(g, VALUE_LIST, e);
	c(g, ", ");
	g->it = e;
	make_test(g, depth - 1);
	g->it = VALUE_MISSING;
	c(g, ")");
}

static void make_compare(struct maker *g, int depth)
{
	static const char *const ops[] = { " == ", " != ", " < ", " <= ", " > ", " >= " };
	unsigned op = roll(6);
	enum value_type t = scalar(op > 1), u = t;

	if (t == VALUE_INT || t == VALUE_DECIMAL)
		u = number_type();
	c(g, "(");
	make_left(g, t, depth);
	c(g, ops[op]);
	make(g, u, depth - 1);
	c(g, ")");
}

static void make_texts(struct maker *g, int depth)
{
	static const char *const ops[] = { " ~= ", " contains ", " not contains ", " starts with ",
		" not starts with ", " ends with ", " not ends with " };

	c(g, "(");
	make(g, VALUE_TEXT, depth - 1);
	if (!roll(4)) {
		c(g, roll(2) ? " matches " : " not matches ");
		quote(g, patterns[roll(PATTERNS)]);
	} else {
		c(g, ops[roll(7)]);
		make(g, VALUE_TEXT, depth - 1);
	}
	c(g, ")");
}

static void make_chain(struct maker *g, int depth)
{
	unsigned n = 2 + roll(3);
	const char *op = roll(2) ? " and " : " or ";

	c(g, "(");
	for (unsigned i = 0; i < n; i++) {
		c(g, i ? op : "");
		make_test(g, depth - 1);
	}
	c(g, ")");
}

static void make_between(struct maker *g, int depth)
{
	enum value_type t = scalar(true);

	c(g, "(");
	make_left(g, t, depth);
	c(g, roll(2) ? " between " : " not between ");
	make(g, t, depth - 1);
	c(g, " and ");
	make(g, t, depth - 1);
	c(g, ")");
}

static void make_test(struct maker *g, int depth)
{
	switch (depth <= 0 ? 3 + roll(4) : roll(12)) {
	case 0:
	case 1:
	case 2:
		make_chain(g, depth);
		break;
	case 3:
	case 4:
	case 5:
		make_compare(g, depth);
		break;
	case 6:
		make_leaf(g, VALUE_BOOL);
		break;
	case 7:
		c(g, "(not ");
		make_test(g, depth - 1);
		c(g, ")");
		break;
	case 8:
		make_in(g, depth);
		break;
	case 9:
		make_between(g, depth);
		break;
	case 10:
		make_texts(g, depth);
		break;
	default:
		if (g->it == VALUE_MISSING && roll(2)) {
			make_any(g, depth);
			break;
		}
		c(g, "(");
		make(g, scalar(false), depth - 1);
		c(g, roll(2) ? " is missing)" : " is present)");
		break;
	}
}

/* Deep on purpose: up to the limits of the language, beyond those of SQLite's parser. */
static void make_deep(struct maker *g)
{
	static const char *const open[] = { "(1 + ", "(member.b0 - " };
	static const char *const tests[] = { "not (", "(member.a0 or (member.a1 and ",
		"(member.a0 and (member.b0 > 1 or ", "(member.a0 == (",
		"(member.a1 not in (true, " };
	static const char *const ends[] = { ")", "))", "))", "))", "))" };
	unsigned n = 4 + roll(9), k[32], depth = 0;

	for (unsigned i = 0; i < n; i++) {
		k[i] = roll(5);
		c(g, tests[k[i]]);
	}
	depth = 2 + roll(10);
	for (unsigned i = 0; i < depth; i++)
		c(g, open[roll(2)]);
	make(g, VALUE_INT, 2);
	for (unsigned i = 0; i < depth; i++)
		c(g, ")");
	c(g, " > ");
	make(g, VALUE_INT, 2);
	while (n--)
		c(g, ends[k[n]]);
}

#endif
