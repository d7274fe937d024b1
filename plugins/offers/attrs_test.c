/* Attributes in columns: every type there and back, columns that stay, readers without them. */
#include "plugins/offers/attrs.h"
#include "plugins/offers/db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct name names[] = {
	{ "member.vip", VALUE_BOOL, VALUE_MISSING, SLOT_ATTR, NULL },
	{ "member.visits", VALUE_INT, VALUE_MISSING, SLOT_ATTR + 1, NULL },
	{ "member.spent", VALUE_DECIMAL, VALUE_MISSING, SLOT_ATTR + 2, NULL },
	{ "member.city", VALUE_TEXT, VALUE_MISSING, SLOT_ATTR + 3, NULL },
	{ "member.wedding", VALUE_DATE, VALUE_MISSING, SLOT_ATTR + 4, NULL },
	{ "member.tags", VALUE_LIST, VALUE_TEXT, SLOT_ATTR + 5, NULL },
	{ "member.sums", VALUE_LIST, VALUE_DECIMAL, SLOT_ATTR + 6, NULL },
};
enum { N = sizeof names / sizeof names[0] };

static struct sql *store(void)
{
	struct sql_conf c = { .where = ":memory:", .role = SQL_WRITER, .cache = 1 << 20 };
	struct err e;
	struct sql *db = sql_open("sqlite", &c, &e);

	assert_non_null(db);
	assert_int_equal(offers_schema(db, &e), 0);
	return db;
}

static void put(struct value *v, struct buf *b)
{
	buf_reset(b);
	for (int i = 0; i < N; i++) {
		value_put(b, v[i]);
		buf_char(b, '|');
	}
	buf_cstr(b);
}

static void test_round_trip(void **state)
{
	struct sql *db = store();
	struct err e;
	struct attrs *a = attrs_open(db, names, N, true, &e);
	struct arena *arena = arena_new();
	struct value tags[] = { value_text(STR("a\"b")), value_text(STR("Rīga")) };
	struct value sums[] = { value_decimal(-12500), value_decimal(INT64_MAX) };
	struct value v[N] = {
		value_bool(true),
		value_int(INT64_MIN),
		value_decimal(12345),
		value_text(STR("O'Hara \0 x")),
		value_date(-1),
		{ .type = VALUE_LIST, .of = VALUE_TEXT, .list = { tags, 2 } },
		{ .type = VALUE_LIST, .of = VALUE_DECIMAL, .list = { sums, 2 } },
	};
	struct value none[N] = { 0 }, back[N];
	struct buf want = BUF_INIT, got = BUF_INIT;

	assert_non_null(a);
	put(v, &want);
	assert_int_equal(attrs_save(a, 7, none), 0);
	assert_int_equal(attrs_save(a, 7, v), 0);
	assert_int_equal(attrs_load(a, 7, arena, back), 0);
	put(back, &got);
	assert_string_equal(got.p, want.p);
	assert_true(str_eq(back[3].s, v[3].s));
	/* a value of another type is missing; another member has nothing; erased is gone */
	v[0] = value_int(1);
	assert_int_equal(attrs_save(a, 7, v), 0);
	assert_int_equal(attrs_load(a, 7, arena, back), 0);
	assert_int_equal(back[0].type, VALUE_MISSING);
	assert_int_equal(attrs_load(a, 8, arena, back), 0);
	put(back, &got);
	put(none, &want);
	assert_string_equal(got.p, want.p);
	assert_int_equal(attrs_erase(a, 7), 0);
	assert_int_equal(attrs_load(a, 7, arena, back), 0);
	put(back, &got);
	assert_string_equal(got.p, want.p);
	buf_free(&want);
	buf_free(&got);
	arena_free(&arena);
	attrs_close(&a);
	sql_close(&db);
}

static void test_declarations_change(void **state)
{
	struct sql *db = store();
	struct err e;
	struct arena *arena = arena_new();
	struct value v[2] = { value_int(3), value_text(STR("Riga")) }, back[2];
	struct name two[2] = { names[1], names[3] }, other[2] = { names[3], names[1] };
	struct attrs *a = attrs_open(db, two, 0, true, &e);

	assert_non_null(a);
	assert_int_equal(attrs_save(a, 1, v), 0); /* nothing is declared */
	attrs_close(&a);
	a = attrs_open(db, two, 2, false, &e); /* a reader before the writer */
	assert_non_null(a);
	assert_null(attrs_column(a, 0));
	assert_int_equal(attrs_load(a, 1, arena, back), 0);
	assert_int_equal(back[0].type, VALUE_MISSING);
	attrs_close(&a);
	a = attrs_open(db, two, 2, true, &e);
	assert_string_equal(attrs_column(a, 0), "a1");
	assert_int_equal(attrs_save(a, 1, v), 0);
	attrs_close(&a);
	/* another order, another type: the old values are there under the old type only */
	other[1].type = VALUE_TEXT;
	a = attrs_open(db, other, 2, true, &e);
	assert_string_equal(attrs_column(a, 0), "a2");
	assert_string_equal(attrs_column(a, 1), "a3");
	assert_int_equal(attrs_load(a, 1, arena, back), 0);
	assert_true(str_is(back[0].s, "Riga"));
	assert_int_equal(back[1].type, VALUE_MISSING);
	attrs_close(&a);
	a = attrs_open(db, two, 2, true, &e);
	assert_int_equal(attrs_load(a, 1, arena, back), 0);
	assert_int_equal(back[0].i, 3);
	attrs_close(&a);
	arena_free(&arena);
	sql_close(&db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_declarations_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
