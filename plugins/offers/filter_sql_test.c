/* FX-1: a filter gives the same answer as byte code, explained, and as SQL over a table of members.
 *
 * Random typed expressions over random members, missing values and the ends of ranges among them;
 * each member and expression is a case. FX1_CASES=10000000 FX1_SEED=7 for more and for others. Each
 * expression is printed and compiled again as well (FX-4).
 */
#include "plugins/offers/filter_sql_fixture.h"

/* ---- the test ---------------------------------------------------------------------------------
 */

static const struct filter_env env = { .scope = &scope };

static void check_printed(struct arena *a, const struct filter *f)
{
	struct filter_faults faults = { 0 };
	struct buf b = BUF_INIT;
	const struct filter *g;

	filter_print(f, &b);
	g = filter_compile(a, buf_view(&b), &env, &faults);
	if (!g || !filter_same(f, g))
		fail_msg("%.*s\nprinted: %.*s\n%s", STR_ARG(filter_text(f)), STR_ARG(buf_view(&b)),
			g ? "another tree" : faults.v[0].text);
	buf_free(&b);
}

static void check_answers(struct arena *a, struct sql *db, const struct filter *f, bool where)
{
	struct member_source src = { .s = { get } };
	struct filter_world world = { &src.s, call, &src };
	struct filter_sql q = FILTER_SQL(&map);
	struct filter_step *steps;
	struct err e;
	struct sql_stmt *st;
	size_t n;
	int64_t next = -1;

	filter_sql_c(&q, where ? "SELECT m.id FROM m WHERE m.id >= " : "SELECT ");
	if (where) {
		filter_sql_param(&q, value_int(0));
		filter_sql_c(&q, " AND ");
		assert_int_equal(filter_sql_condition(&q, f, &e), 0);
	} else {
		assert_int_equal(filter_sql_truth(&q, f, &e), 0);
		filter_sql_c(&q, " FROM m");
	}
	filter_sql_c(&q, " ORDER BY m.id");
	st = filter_sql_prepare(&q, db, &e);
	if (!st)
		fail_msg("%.*s\n%s\n%s", STR_ARG(filter_text(f)), buf_cstr(&q.text), e.text);
	for (src.m = 0; src.m < MEMBERS; src.m++) {
		bool byte_code = filter_eval(f, &world), sql;

		if (!where) {
			assert_int_equal(sql_step(st), 1);
			sql = sql_col(st, 0);
			assert_false(sql_col_null(st, 0));
		} else {
			if (next < (int64_t)src.m)
				next = sql_step(st) > 0 ? sql_col(st, 0) : MEMBERS;
			sql = next == (int64_t)src.m;
		}
		if (sql != byte_code)
			fail_msg("%.*s\nmember %u: byte code %d, SQL %d\n%s",
				STR_ARG(filter_text(f)), src.m, byte_code, sql, buf_cstr(&q.text));
		if (src.m % 16 == 0 && filter_explain(f, &world, a, &steps, &n) != byte_code)
			fail_msg("%.*s\nmember %u: byte code %d, explained otherwise",
				STR_ARG(filter_text(f)), src.m, byte_code);
	}
	sql_finish(&st);
	filter_sql_free(&q);
}

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
	uint64_t v;

	return str_u64(str_of(getenv(variable)), &v) ? v : otherwise;
}

static void test_FX_1_both_back_ends_agree(void **state)
{
	uint64_t cases = 0, want = number_of("FX1_CASES", 100000), refused = 0, made = 0;
	struct arena *data = arena_new();
	struct buf b = BUF_INIT;
	mono_t start = clock_mono();
	struct sql *db;

	seed = number_of("FX1_SEED", 1) * 0x9e3779b97f4a7c15ull + 1;
	make_names();
	make_members(data);
	db = make_table();
	while (cases < want) {
		struct maker g = { &b, VALUE_MISSING };
		struct filter_faults faults = { 0 };
		struct arena *a = arena_new();
		const struct filter *f;

		buf_reset(&b);
		if (roll(16))
			make_test(&g, 1 + (int)roll(5));
		else
			make_deep(&g);
		made++;
		f = filter_compile(a, buf_view(&b), &env, &faults);
		if (f) {
			check_printed(a, f);
			check_answers(a, db, f, roll(2));
			cases += MEMBERS;
		} else {
			unsigned i = 0;

			refused++;
			while (faults.v[i].warning)
				i++;
			if (!strstr(faults.v[i].text, "more than") &&
				!strstr(faults.v[i].text, "too large") && b.n < FILTER_TEXT)
				fail_msg("%.*s\ncolumn %u: %s", STR_ARG(buf_view(&b)),
					faults.v[i].column, faults.v[i].text);
		}
		arena_free(&a);
	}
	assert_true(refused < made / 4);
	if (getenv("FX1_CASES"))
		printf("FX-1: %llu cases, %llu expressions, %llu beyond the limits, %.0f cases/s\n",
			(unsigned long long)cases, (unsigned long long)(made - refused),
			(unsigned long long)refused,
			(double)cases / ((double)(clock_mono() - start) / DUR_S));
	buf_free(&b);
	sql_close(&db);
	arena_free(&data);
}

static bool no_slot(void *ctx, struct filter_sql *q, unsigned slot)
{
	return false;
}

/* What has no meaning in tables is said, once and with its name. */
static void test_what_tables_do_not_have(void **state)
{
	static const struct filter_map none = { no_slot, NULL, NULL };
	struct arena *a = arena_new();
	struct filter_faults faults = { 0 };
	struct filter_sql q = FILTER_SQL(&none);
	struct err e;
	const struct filter *f;

	make_names();
	f = filter_compile(a, STR("true and member.d0 == 'a'"), &env, &faults);
	assert_non_null(f);
	assert_int_equal(filter_sql_condition(&q, f, &e), -1);
	assert_string_equal(e.text, "\"member.d0\" cannot be asked of all members at once");
	filter_sql_free(&q);
	f = filter_compile(a, STR("counter('c') > 1"), &env, &faults);
	q = FILTER_SQL(&none);
	assert_int_equal(filter_sql_truth(&q, f, &e), -1);
	assert_string_equal(e.text, "\"counter('c')\" cannot be asked of all members at once");
	filter_sql_free(&q);
	arena_free(&a);
}

/* Values never become text of the query. */
static void test_constants_are_bound(void **state)
{
	struct arena *a = arena_new();
	struct filter_faults faults = { 0 };
	struct filter_sql q = FILTER_SQL(&map);
	struct err e;

	make_names();
	filter_sql_c(&q, "SELECT count(*) FROM m WHERE ");
	assert_int_equal(
		filter_sql_condition(&q,
			filter_compile(a,
				STR("member.d0 == 'x''; DROP TABLE m; --' and member.b0 > 7"), &env,
				&faults),
			&e),
		0);
	assert_string_equal(
		buf_cstr(&q.text), "SELECT count(*) FROM m WHERE (((m.c6 = $1) AND (m.c2 > $2)))");
	assert_int_equal(q.n, 2);
	assert_int_equal(q.v[0].type, VALUE_TEXT);
	assert_int_equal(q.v[1].type, VALUE_INT);
	filter_sql_free(&q);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_FX_1_both_back_ends_agree),
		cmocka_unit_test(test_what_tables_do_not_have),
		cmocka_unit_test(test_constants_are_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
