/* The offers tables: made once, opened again, and refused when they are of a later program. */
#include "plugins/offers/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct sql *open_memory(void)
{
	struct sql_conf c = { .where = ":memory:", .role = SQL_WRITER };
	struct err e = { 0 };
	struct sql *db = sql_open("sqlite", &c, &e);

	assert_non_null(db);
	return db;
}

static void test_schema_is_made_and_kept(void **state)
{
	struct sql *db = open_memory();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(offers_schema_version(db), 0);
	assert_int_equal(offers_schema(db, &e), 0);
	assert_int_equal(offers_schema_version(db), OFFERS_SCHEMA);
	assert_int_equal(offers_schema(db, &e), 0);
	sql_close(&db);
}

static void test_later_schema_is_refused(void **state)
{
	struct sql *db = open_memory();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(offers_schema(db, &e), 0);
	assert_int_equal(sql_exec(db, "UPDATE of_meta SET value = 99 WHERE name = 'version'"), 0);
	assert_int_equal(offers_schema(db, &e), -1);
	assert_non_null(strstr(e.text, "later than this program"));
	sql_close(&db);
}

static void test_every_statement_is_sound(void **state)
{
	struct sql *sql = open_memory();
	struct err e = { 0 };
	struct db d;

	(void)state;
	assert_int_equal(offers_schema(sql, &e), 0);
	db_open(&d, sql);
	for (unsigned i = 0; i < ST_COUNT; i++)
		assert_non_null(db_st(&d, (enum st)i));
	db_close(&d);
	sql_close(&sql);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schema_is_made_and_kept),
		cmocka_unit_test(test_later_schema_is_refused),
		cmocka_unit_test(test_every_statement_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
