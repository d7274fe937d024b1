/* The functions that SQL made of filters calls: filter_ops.c under names that begin with of_. NULL
 * (missing) in, NULL out. See filter_sql.h.
 */
#include "plugins/offers/filter_private.h"
#include "plugins/offers/filter_sql.h"

static bool all_ints(const struct sql_value *a, int n)
{
	for (int i = 0; i < n; i++)
		if (a[i].kind != SQL_V_INT)
			return false;
	return true;
}

static bool all_texts(const struct sql_value *a, int n)
{
	for (int i = 0; i < n; i++)
		if (a[i].kind != SQL_V_TEXT)
			return false;
	return true;
}

static void give(struct sql_value *r, bool ok, int64_t i)
{
	if (ok) {
		r->kind = SQL_V_INT;
		r->i = i;
	}
}

/* A function of ints that gives an int, or has no result (then `has` is false). */
#define INTS(name, count, has)                                                                    \
	static void name(const struct sql_value *a, int n, struct sql_value *r, struct buf *text) \
	{                                                                                         \
		int64_t v = 0;                                                                    \
		bool ok = all_ints(a, count) && (has);                                            \
                                                                                                  \
		give(r, ok, v);                                                                   \
	}
#define TEXTS(name, expr)                                                                         \
	static void name(const struct sql_value *a, int n, struct sql_value *r, struct buf *text) \
	{                                                                                         \
		if (all_texts(a, 2))                                                              \
			give(r, true, (expr));                                                    \
	}

INTS(fn_add, 2, (v = filter_add(a[0].i, a[1].i), true))
INTS(fn_sub, 2, (v = filter_sub(a[0].i, a[1].i), true))
INTS(fn_mul, 2, (v = filter_mul(a[0].i, a[1].i), true))
INTS(fn_dmul, 2, (v = decimal_mul(a[0].i, a[1].i), true))
INTS(fn_ddiv, 2, decimal_div(a[0].i, a[1].i, &v))
INTS(fn_mod, 2, filter_mod(a[0].i, a[1].i, &v))
INTS(fn_widen, 1, (v = filter_widen(a[0].i), true))
INTS(fn_month, 1, filter_month(a[0].i, &v))
INTS(fn_day, 1, filter_day(a[0].i, &v))
INTS(fn_weekday, 1, filter_weekday(a[0].i, &v))
INTS(fn_age, 2, filter_age(a[0].i, a[1].i, &v))
INTS(fn_anniversary, 2, filter_anniversary(a[0].i, a[1].i, &v))
INTS(fn_days_since, 2, (v = filter_days_since(a[1].i, a[0].i), true))
TEXTS(fn_ieq, filter_ieq(a[0].s, a[1].s))
TEXTS(fn_contains, filter_test(N_CONTAINS, a[0].s, a[1].s))
TEXTS(fn_starts, filter_test(N_STARTS, a[0].s, a[1].s))
TEXTS(fn_ends, filter_test(N_ENDS, a[0].s, a[1].s))
TEXTS(fn_matches, filter_matches(a[0].s, a[1].s))

/* moment, months, days, exact, sign */
static struct span span_of(const struct sql_value *a)
{
	return (struct span){ (int32_t)a[1].i, (int32_t)a[2].i, a[3].i };
}

static void fn_shift_date(const struct sql_value *a, int n, struct sql_value *r, struct buf *text)
{
	int64_t v = 0;
	bool ok = all_ints(a, n) && filter_shift_date(a[0].i, span_of(a), (int)a[4].i, &v);

	give(r, ok, v);
}

static void fn_shift_time(const struct sql_value *a, int n, struct sql_value *r, struct buf *text)
{
	int64_t v = 0;
	bool ok = all_ints(a, n) && filter_shift_time(a[0].i, span_of(a), (int)a[4].i, &v);

	give(r, ok, v);
}

static void fn_len(const struct sql_value *a, int n, struct sql_value *r, struct buf *text)
{
	if (all_texts(a, 1))
		give(r, true, filter_len(a[0].s));
}

static void fn_lower(const struct sql_value *a, int n, struct sql_value *r, struct buf *text)
{
	if (!all_texts(a, 1))
		return;
	filter_lower(a[0].s, text);
	r->kind = SQL_V_TEXT;
	r->s = buf_view(text);
}

/* The member's zone, or the programme's. */
static const struct zone *zone_of(const struct sql_value *a)
{
	const struct zone *z = a[0].kind == SQL_V_TEXT && a[0].s.n ? zone_find(a[0].s, NULL) : NULL;

	return z ? z : zone_find(a[1].s, NULL);
}

/* zone, the programme's zone, now */
static void fn_today(const struct sql_value *a, int n, struct sql_value *r, struct buf *text)
{
	if (a[1].kind == SQL_V_TEXT && all_ints(a + 2, 1))
		give(r, true, zone_local(zone_of(a), a[2].i).day);
}

/* zone, the programme's zone, now, months, days, exact: when a period that ends now began */
static void fn_since(const struct sql_value *a, int n, struct sql_value *r, struct buf *text)
{
	struct span back = { (int32_t)-a[3].i, (int32_t)-a[4].i, -a[5].i };

	if (a[1].kind == SQL_V_TEXT && all_ints(a + 2, 4))
		give(r, true, zone_add(zone_of(a), a[2].i, back));
}

static const struct {
	const char *name;
	int n;
	sql_fn *fn;
} defs[] = {
	{ "of_add", 2, fn_add },
	{ "of_sub", 2, fn_sub },
	{ "of_mul", 2, fn_mul },
	{ "of_dmul", 2, fn_dmul },
	{ "of_ddiv", 2, fn_ddiv },
	{ "of_mod", 2, fn_mod },
	{ "of_widen", 1, fn_widen },
	{ "of_month", 1, fn_month },
	{ "of_day", 1, fn_day },
	{ "of_weekday", 1, fn_weekday },
	{ "of_age", 2, fn_age },
	{ "of_anniversary", 2, fn_anniversary },
	{ "of_days_since", 2, fn_days_since },
	{ "of_ieq", 2, fn_ieq },
	{ "of_contains", 2, fn_contains },
	{ "of_starts", 2, fn_starts },
	{ "of_ends", 2, fn_ends },
	{ "of_matches", 2, fn_matches },
	{ "of_shift_date", 5, fn_shift_date },
	{ "of_shift_time", 5, fn_shift_time },
	{ "of_len", 1, fn_len },
	{ "of_lower", 1, fn_lower },
	{ "of_today", 3, fn_today },
	{ "of_since", 6, fn_since },
};

int filter_sql_define(struct sql *db, struct err *e)
{
	/* Defining one anew would make SQLite prepare all statements again. */
	struct sql_stmt *there = sql_prepare(db, "SELECT of_add(1, 1)");

	if (there) {
		sql_finish(&there);
		return 0;
	}
	sql_forgive(db);
	/* of_add last: what is asked for above stands for all */
	for (size_t i = sizeof defs / sizeof defs[0]; i-- > 0;)
		if (sql_define(db, defs[i].name, defs[i].n, defs[i].fn) < 0)
			return sql_err(db, e, "the functions of filters");
	return 0;
}
