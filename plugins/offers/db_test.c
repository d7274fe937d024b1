/* The offers tables: made once, opened again, and refused when they are of a later program. */
#include "plugins/offers/attrs.h"
#include "plugins/offers/chain.h"
#include "plugins/offers/member_input.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

static char *text_of(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = mem_alloc(1 << 16);
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, (1 << 16) - 1, f);
	assert_true(n > 0 && n < (1 << 16) - 1);
	fclose(f);
	return text;
}

/* What there is, but for the columns that declared attributes make. */
static char *schema_of(struct sql *db)
{
	struct sql_stmt *st =
		sql_prepare(db, "SELECT type, name, coalesce(sql, '') FROM sqlite_master"
				" WHERE tbl_name LIKE 'of\\_%' ESCAPE '\\' AND tbl_name <> "
				"'of_attr' ORDER BY type, name");
	struct buf b = BUF_INIT;
	char *text;

	assert_non_null(st);
	while (sql_step(st) == 1)
		buf_printf(&b, "%.*s %.*s: %.*s\n", STR_ARG(sql_col_str(st, 0)),
			STR_ARG(sql_col_str(st, 1)), STR_ARG(sql_col_str(st, 2)));
	sql_finish(&st);
	text = mem_dup(buf_view(&b));
	buf_free(&b);
	return text;
}

/* A step of the schema once released is never edited: a file of the first version, brought up, is
 * what a new one is. Who finds this failing has changed an old step and must add a new one. */
static void test_a_file_of_version_1_becomes_what_a_new_one_is(void **state)
{
	struct sql *old = open_memory(), *fresh = open_memory();
	char *dump = text_of("tests/data/offers-1.sql"), *is, *should;
	struct err e = { 0 };

	assert_int_equal(sql_exec(old, dump), 0);
	assert_int_equal(offers_schema_version(old), 1);
	assert_int_equal(offers_schema(old, &e), 0);
	assert_int_equal(offers_schema_version(old), OFFERS_SCHEMA);
	assert_int_equal(offers_schema(fresh, &e), 0);
	is = schema_of(old);
	should = schema_of(fresh);
	assert_string_equal(is, should);
	mem_free(&is);
	mem_free(&should);
	mem_free(&dump);
	sql_close(&old);
	sql_close(&fresh);
}

/* Who had left before what they were told was erased, too, is gone through once more. */
static void test_who_left_before_is_gone_through(void **state)
{
	struct sql *sql = open_memory();
	char *dump = text_of("tests/data/offers-1.sql");
	struct err e = { 0 };

	assert_int_equal(sql_exec(sql, dump), 0);
	assert_int_equal(sql_exec(sql, "UPDATE of_member SET state = 4 WHERE id = 2"), 0);
	assert_int_equal(MEMBER_LEFT, 4);
	assert_int_equal(DEED_LEFT, 4);
	assert_int_equal(offers_schema(sql, &e), 0);
	assert_int_equal(
		sql_number(sql, "SELECT count(*) * 10 + msg FROM of_deed WHERE kind = 4", -1), 12);
	mem_free(&dump);
	sql_close(&sql);
}

static uint64_t no_door(struct work *w, struct message *m, struct outcome *why)
{
	static uint64_t id = 5000;

	message_unref(&m);
	return ++id;
}

/* And what it holds is there: members, consent, points, chains that go on. */
static void test_a_file_of_version_1_works(void **state)
{
	struct sql *sql = open_memory();
	char *dump = text_of("tests/data/offers-1.sql"),
	     *conf = text_of("tests/data/offers-1.conf");
	struct conf_faults f = { 0 };
	struct rules *r = rules_load_text("offers-1.conf", str_of(conf), MEDIA_ANY, &f);
	struct err e = { 0 };
	struct db d;
	struct work w;
	struct member *m;
	struct buf b = BUF_INIT;
	unsigned fired;
	wall_t due;
	bool left;

	assert_non_null(r);
	assert_int_equal(sql_exec(sql, dump), 0);
	assert_int_equal(offers_schema(sql, &e), 0);
	db_open(&d, sql);
	d.attrs = attrs_open(sql, r->attributes, r->attributes_n, true, &e);
	assert_non_null(d.attrs);
	assert_int_equal(rules_number(r, &d, &e), 0);
	w = (struct work){ .db = &d,
		.rules = r,
		.now = 1795340000 * DUR_S,
		.arena = arena_new(),
		.send = no_door };
	assert_int_equal(member_find(&w, ALIAS_CARD, STR("77"), &m), 1);
	assert_int_equal(member_show(&w, m, &b), 0);
	for (size_t i = 0; i < 8; i++) {
		static const char *const want[] = { "\"id\":\"ann\"", "\"birthday\":\"1980-02-29\"",
			"\"city\":\"Riga\"", "\"children\":2", "n:tok2",
			"{\"currency\":\"bonus\",\"amount\":\"26\"}", "\"tier\":\"silver\"",
			"\"lot\":\"L2\"" };

		if (!strstr(buf_cstr(&b), want[i]))
			fail_msg("no %s in %s", want[i], b.p);
	}
	assert_int_equal(member_agrees(&w, m, ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS), 1);
	assert_int_equal(member_agrees(&w, m, ROW_SYSTEM, CLASS_SERVICE, MEDIA_EMAIL), 0); /* off */
	assert_int_equal(
		address_blocked(&w, STR("37120000009"), MEDIA_SMS, ROW_SYSTEM, CLASS_LEGAL), 1);
	/* both chains fire their steps with the texts that they began with, and go on */
	assert_int_equal(chain_next_due(&w, &due), 0);
	assert_true(due > w.now);
	w.now = due + DUR_DAY / 2;
	assert_int_equal(chain_fire(&w, 100, 0, &fired, &left), 0);
	assert_int_equal(fired, 2);
	assert_int_equal(
		sql_number(sql, "SELECT count(*) FROM of_sent WHERE step = 0 AND msg > 5000", -1),
		2);
	assert_int_equal(
		sql_number(sql, "SELECT count(*) FROM of_chain WHERE step = 1 AND due > 0", -1), 2);
	buf_free(&b);
	arena_free(&w.arena);
	db_close(&d);
	sql_close(&sql);
	rules_unref(&r);
	conf_faults_free(&f);
	mem_free(&dump);
	mem_free(&conf);
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

/* What grows with members and events is never looked through from end to end: the writer would
 * stand still for seconds. */
static void test_no_statement_looks_through_a_table(void **state)
{
	static const struct {
		const char *name, *text;
	} all[] = {
#define ST(NAME, text) { #NAME, "EXPLAIN QUERY PLAN " text },
#include "plugins/offers/statements.def"
#undef ST
	};
	/* of stories alone; once a reload, or a pass of tidying */
	static const char *const may[] = { "DEED_TAKE", "HELD_LIST", "STEPS_NEWEST", "STEPS_LAST",
		"STEPS_ALL" };
	static const char *const grows[] = { "of_member", "of_alias", "of_contact", "of_attr ",
		"of_consent", "of_block", "of_event", "of_past", "of_mark", "of_chain", "of_fired",
		"of_counter", "of_counted", "of_balance", "of_lot", "of_spent", "of_sent",
		"of_part", "of_touch", "of_said", "of_steps", "of_deed", "of_task_done" };
	struct sql *sql = open_memory();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(offers_schema(sql, &e), 0);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		struct sql_stmt *st = sql_prepare(sql, all[i].text);
		bool allowed = false;

		assert_non_null(st);
		for (size_t k = 0; k < sizeof may / sizeof may[0]; k++)
			allowed |= strcmp(may[k], all[i].name) == 0;
		while (sql_step(st) == 1) {
			struct str plan = sql_col_str(st, 3);

			for (size_t k = 0; k < sizeof grows / sizeof grows[0] && !allowed; k++)
				if (str_find(plan, STR("SCAN ")) == 0 &&
					str_find(plan, str_of(grows[k])) == 5 &&
					str_find(plan, STR(" USING ")) < 0)
					fail_msg("%s: %.*s", all[i].name, STR_ARG(plan));
		}
		sql_finish(&st);
	}
	sql_close(&sql);
}

/* Said once for each offer, at each reload: it looks at no other. The plan is silent about
 * subqueries of VALUES, the program is not. */
static void test_an_offer_is_kept_without_a_look_at_all(void **state)
{
	static const char *const all[] = {
#define ST(NAME, text) [ST_##NAME] = "EXPLAIN " text,
#include "plugins/offers/statements.def"
#undef ST
	};
	struct sql *sql = open_memory();
	struct err e = { 0 };
	struct sql_stmt *st;

	(void)state;
	assert_int_equal(offers_schema(sql, &e), 0);
	st = sql_prepare(sql, all[ST_STEPS_ADD]);
	assert_non_null(st);
	while (sql_step(st) == 1)
		assert_false(str_is(sql_col_str(st, 1), "Next"));
	sql_finish(&st);
	sql_close(&sql);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schema_is_made_and_kept),
		cmocka_unit_test(test_later_schema_is_refused),
		cmocka_unit_test(test_a_file_of_version_1_becomes_what_a_new_one_is),
		cmocka_unit_test(test_who_left_before_is_gone_through),
		cmocka_unit_test(test_a_file_of_version_1_works),
		cmocka_unit_test(test_every_statement_is_sound),
		cmocka_unit_test(test_no_statement_looks_through_a_table),
		cmocka_unit_test(test_an_offer_is_kept_without_a_look_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
