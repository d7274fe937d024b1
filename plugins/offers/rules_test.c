/* The rules of the offers plugin: the examples of the manual load (CF-1), and what is made of them.
 * What is wrong with others: rules_faults_test.c.
 */
#include "plugins/offers/rules_fixture.h"

static void test_CF_1_a_chain_loads(void **state)
{
	struct conf_faults f = { 0 };
	struct rules *r =
		load("offer = { name = \"come-back\"; when = \"registration.completed\";"
		     " only_if = \"member.city != 'Oslo' and not in_audience('quiet')\";"
		     " unless = [ \"purchase.completed\" ]; then = \"restart\";"
		     " steps = ( { after = \"14 days\"; at = \"10:00-20:00\"; send = \"hello\";"
		     " via = [ \"push\", \"sms\" ]; fall_back_after = \"3 hours\"; },"
		     " { after = \"1 month\"; send = \"hello\"; via = \"sms\"; } );"
		     " limits = { per_member = \"2 per 30 days\"; total = \"50000\"; }; };",
			&f);
	const struct offer *o;

	(void)state;
	if (!r)
		print_faults(&f);
	assert_non_null(r);
	o = rules_offer(r, STR("come-back"));
	assert_non_null(o);
	assert_int_equal(o->steps_n, 2);
	assert_int_equal(o->steps[0].after.days, 14);
	assert_int_equal(o->steps[0].windows_n, 1);
	assert_int_equal(o->steps[0].via.n, 2);
	assert_int_equal(o->steps[0].via.media[0], MEDIA_PUSH);
	assert_true(o->steps[0].via.fall_back_after == 3 * DUR_HOUR);
	assert_int_equal(o->steps[1].after.months, 1);
	assert_int_equal(o->per_member.most, 2);
	assert_int_equal(o->per_member.span.days, 30);
	assert_int_equal(o->total.most, 50000);
	assert_non_null(o->only_if);
	assert_int_equal(o->row, ROW_OFFER);
	assert_true(o->arms == UINT64_C(1) << EVENT_REGISTRATION_COMPLETED);
	assert_true(o->disarms == UINT64_C(1) << EVENT_PURCHASE_COMPLETED);
	assert_int_equal(r->by_event_n[EVENT_PURCHASE_COMPLETED], 1);
	assert_int_equal(r->by_event_n[EVENT_CARD_ASSIGNED], 0);
	rules_unref(&r);
	assert_null(r);
	conf_faults_free(&f);
}

/* Each of the twenty with each action: lines only where a till waits for its answer. */
static void test_EV_10_each_event_with_each_action(void **state)
{
	static const char *const actions[] = { "do = \"receipt\"; text = \"x\";",
		"do = \"cashier\"; text = \"x\";",
		"do = \"send\"; template = \"hello\"; via = \"sms\";",
		"do = \"status\"; system = \"tier\"; value = \"gold\";" };
	unsigned lines = 0;

	for (unsigned t = EVENT_DISCOUNT_CALCULATED; t <= EVENT_STATUS_CALCULATED; t++)
		for (unsigned a = 0; a < 4; a++) {
			bool till = event_kinds[t].flags & EV_TILL;
			bool friends = t == EVENT_FRIEND_PURCHASED && a < 2;
			bool allowed = a >= 2 || till || friends;
			struct conf_faults f = { 0 };
			struct buf b = BUF_INIT;
			struct rules *r;

			buf_printf(&b,
				"offer = { name = \"o\"; kind = \"service\"; when = \"%s\";\n"
				"actions = (\n{ %s %s } ); };",
				event_kinds[t].word, actions[a],
				friends ? "addressee = \"buyer\";" : "");
			r = load(buf_cstr(&b), &f);
			lines += a < 2 && r;
			if (allowed != (r != NULL)) {
				print_faults(&f);
				fail_msg("%s: %s", event_kinds[t].word, actions[a]);
			}
			buf_reset(&b);
			conf_faults_text(&f, &b);
			if (!allowed && !strstr(buf_cstr(&b), "CFG-ACT-1"))
				fail_msg("%s: %s", event_kinds[t].word, b.p);
			if (!allowed && !strstr(b.p, "offers.d/t.conf:3: "))
				fail_msg("no place: %s", b.p);
			buf_free(&b);
			conf_faults_free(&f);
			if (r)
				rules_unref(&r);
		}
	assert_int_equal(lines, 2 * 6 + 2); /* six at the till, and the friend's */
}

/* A way out that no route takes is said at its line, with the offer: each of them. */
static void test_CH_2_a_channel_without_a_route(void **state)
{
	static const char vip[] =
		"offer = { name = \"vip\"; when = \"purchase.completed\"; steps = (\n"
		"{ after = \"1 day\"; send = \"all\"; via = \"%s\"; } ); };\n"
		"templates = { all = { en = { sms = \"x\"; push = { text = \"x\"; };"
		" viber = { text = \"x\"; }; email = { subject = \"s\"; text = \"x\"; };"
		" social = { text = \"x\"; moderated_as = \"V\"; }; }; }; };";

	for (unsigned m = 0; m < MEDIA_RECEIPT; m++)
		for (unsigned routed = 0; routed < 2; routed++) {
			struct conf_faults f = { 0 };
			struct buf said = BUF_INIT;
			char text[600], want[80];
			struct rules *r;

			snprintf(text, sizeof text, vip, media_word((enum media)m));
			put_file("offers.d/t.conf", text);
			r = rules_load(folder,
				routed ? MEDIA_ANY : MEDIA_ANY & ~MEDIA_BIT((enum media)m), &f);
			assert_int_equal(r != NULL, routed);
			conf_faults_text(&f, &said);
			snprintf(want, sizeof want, "offer vip, step 1: no route takes %s",
				media_word((enum media)m));
			if (!routed && (!strstr(buf_cstr(&said), want) ||
					       !strstr(said.p, "offers.d/t.conf:2: ")))
				fail_msg("%s", said.p);
			buf_free(&said);
			conf_faults_free(&f);
			if (r)
				rules_unref(&r);
		}
}

/* Longer prefixes first, whatever the order of the file. */
static void test_senders_of_the_policy(void **state)
{
	static const struct {
		const char *from, *says;
	} c[] = {
		{ "email = \"club@shop.example\"; sms = \"Club\";", NULL },
		{ "email = \"The Club <club@shop.example>\";", NULL },
		{ "email = \"Club\";", "policy.from.email" },
		{ "email = \"Club <club@\";", "policy.from.email" },
		{ "fax = \"Club\";", "is not a channel" },
	};

	for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
		struct conf_faults f = { 0 };
		struct buf said = BUF_INIT;
		char text[200];
		struct rules *r;

		snprintf(text, sizeof text, "policy = { from = { %s }; };", c[i].from);
		r = rules_load_text("policy.conf", str_of(text), MEDIA_ANY, &f);
		conf_faults_text(&f, &said);
		if ((r == NULL) != (c[i].says != NULL) ||
			(c[i].says && !strstr(buf_cstr(&said), c[i].says)))
			fail_msg("%s\n%s", c[i].from, buf_cstr(&said));
		if (r)
			rules_unref(&r);
		conf_faults_free(&f);
		buf_free(&said);
	}
}

static void test_QH_countries_of_the_policy(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "{ prefix = \"DE\"; }", "\"DE\" is not what international numbers" },
		{ "{ prefix = \"\"; }", "is not what" },
		{ "{ prefix = \"49\"; }, { prefix = \"+49\"; }", "\"49\" is there twice" },
		{ "{ prefix = \"49\"; quiet = \"00:00-24:00\"; }", "no hour is left" },
	};
	struct conf_faults f = { 0 };
	struct rules *r = rules_load_text("policy.conf",
		STR("policy = { countries = ( { prefix = \"4\"; quiet = [ ]; },"
		    " { prefix = \"+4930\"; quiet = [ \"20:00-10:00\", \"sun 00:00-24:00\" ]; },"
		    " { prefix = \"49\"; quiet = \"21:00-09:00\"; } ); };"),
		MEDIA_ANY, &f);

	(void)state;
	assert_non_null(r);
	assert_int_equal(r->countries_n, 3);
	assert_true(str_is(r->countries[0].prefix, "4930"));
	assert_int_equal(r->countries[0].quiet_n, 2);
	assert_true(str_is(r->countries[1].prefix, "49"));
	assert_int_equal(r->countries[1].quiet_n, 1);
	assert_true(str_is(r->countries[2].prefix, "4"));
	assert_int_equal(r->countries[2].quiet_n, 0);
	rules_unref(&r);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char text[128];
		struct buf b = BUF_INIT;

		snprintf(text, sizeof text, "policy = { countries = ( %s ); };", bad[i].text);
		assert_null(rules_load_text("policy.conf", str_of(text), MEDIA_ANY, &f));
		conf_faults_text(&f, &b);
		assert_non_null(strstr(buf_cstr(&b), bad[i].says));
		buf_free(&b);
		conf_faults_free(&f);
	}
}

static void test_QH_holidays_of_the_policy(void **state)
{
	static const struct {
		const char *text, *says; /* NULL: good */
	} rows[] = {
		{ "holidays = [ \"12-25\", \"2027-03-26\" ]; marketing = { quiet = \"holiday\"; };",
			NULL },
		{ "marketing = { quiet = [ \"21:00-09:00\", \"sun,holiday\" ]; };",
			"names holiday, and policy.holidays has none" },
		{ "marketing = { quiet = [ \"-holiday 21:00-09:00\" ]; };",
			"names holiday, and policy.holidays has none" },
		{ "holidays = [ \"12-25\" ]; marketing = { quiet = [ \"-holiday,holiday\" ]; };",
			"one of the two" },
		{ "countries = ( { prefix = \"49\"; quiet = \"holiday\"; } );",
			"names holiday, and policy.holidays has none" },
		{ "holidays = [ \"25.12.\" ];", "or 12-25 for each year" },
		{ "holidays = [ \"2026-02-29\" ];", "is no day" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct conf_faults f = { 0 };
		struct buf b = BUF_INIT;
		struct rules *r;
		char text[256];

		snprintf(text, sizeof text, "policy = { %s };", rows[i].text);
		r = rules_load_text("policy.conf", str_of(text), MEDIA_ANY, &f);
		conf_faults_text(&f, &b);
		assert_int_equal(r == NULL, rows[i].says != NULL);
		assert_true(!rows[i].says || strstr(buf_cstr(&b), rows[i].says));
		if (r) /* the class's windows know them */
			assert_int_equal(window_out(r->classes[CLASS_MARKETING].quiet, 1,
						 zone_utc(), 1798156800 * DUR_S),
				1798243200 * DUR_S);
		rules_unref(&r);
		buf_free(&b);
		conf_faults_free(&f);
	}
}

static struct sql *open_memory(struct db *db)
{
	struct sql_conf c = { .where = ":memory:", .role = SQL_WRITER };
	struct err e = { 0 };
	struct sql *sql = sql_open("sqlite", &c, &e);

	assert_non_null(sql);
	assert_int_equal(offers_schema(sql, &e), 0);
	db_open(db, sql);
	return sql;
}

static void test_FC_6_a_counter_is_not_lost_by_renaming(void **state)
{
	struct conf_faults f = { 0 };
	struct rules *first = load("", &f), *second, *third;
	struct err e = { 0 };
	struct db db;
	struct sql *sql = open_memory(&db);
	uint32_t number;

	(void)state;
	assert_non_null(first);
	assert_int_equal(rules_number(first, &db, &e), 0);
	number = rules_counter(first, STR("spent"))->number;
	assert_int_equal(sql_exec(sql, "INSERT INTO of_counter SELECT number, 1, 0, 5 FROM of_name"
				       " WHERE kind = 2 AND name = 'spent'"),
		0);
	second = rules_load_text("t.conf",
		STR("counters = { outlay = { of = \"purchase.completed\"; sum = \"event.total\"; "
		    "}; };"),
		MEDIA_ANY, &f);
	assert_non_null(second);
	assert_int_equal(rules_number(second, &db, &e), -1);
	assert_non_null(strstr(e.text, "was = \"spent\""));
	third = rules_load_text("t.conf",
		STR("counters = { outlay = { was = \"spent\"; of = \"purchase.completed\"; sum = "
		    "\"event.total\"; }; };"),
		MEDIA_ANY, &f);
	assert_non_null(third);
	assert_int_equal(rules_number(third, &db, &e), 0);
	assert_int_equal(rules_counter(third, STR("outlay"))->number, number);
	rules_unref(&first);
	rules_unref(&second);
	rules_unref(&third);
	db_close(&db);
	sql_close(&sql);
	conf_faults_free(&f);
}

static void test_a_reload_tells_what_changes(void **state)
{
	struct conf_faults f = { 0 };
	struct rules *a =
		load("offer = { name = \"one\"; when = \"card.assigned\";" GOOD_STEPS "};", &f);
	struct rules *b = load(
		"offers = ( { name = \"one\"; when = \"card.assigned\"; priority = 3;" GOOD_STEPS
		"}, { name = \"two\"; when = \"card.assigned\";" GOOD_STEPS "} );",
		&f);
	struct buf said = BUF_INIT;

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	rules_compare(a, b, &said);
	assert_string_equal(buf_cstr(&said), "offer one: changes\noffer two: begins\n");
	buf_reset(&said);
	rules_compare(b, a, &said);
	assert_string_equal(buf_cstr(&said), "offer one: changes\noffer two: ends\n");
	buf_reset(&said);
	rules_compare(a, a, &said);
	assert_int_equal(said.n, 0);
	buf_free(&said);
	rules_unref(&a);
	rules_unref(&b);
	conf_faults_free(&f);
}

/* Without policy.conf the defaults hold, which is said; what else is wrong is said as well. */
static void test_the_policy_may_be_absent(void **state)
{
	struct conf_faults f = { 0 }, bad = { 0 };
	struct buf said = BUF_INIT;
	struct rules *r;

	(void)state;
	put_file("offers.d/t.conf", "offer = { name = \"one\"; when = \"card.assigned\";"
				    " actions = ( { do = \"receipt\"; text = \"Hello.\"; } ); };");
	drop_file("policy.conf");
	r = rules_load(folder, MEDIA_ANY, &f);
	conf_faults_text(&f, &said);
	assert_non_null(r);
	assert_int_equal(f.errors, 0);
	assert_non_null(strstr(buf_cstr(&said), "policy.conf:1: warning: is not there"));
	rules_unref(&r);
	put_file("offers.d/t.conf", "offer = { name = \"one\"; when = \"card.asigned\"; };");
	assert_null(rules_load(folder, MEDIA_ANY, &bad));
	buf_reset(&said);
	conf_faults_text(&bad, &said);
	assert_non_null(strstr(buf_cstr(&said), "did you mean \"card.assigned\"?"));
	put_file("policy.conf", ground);
	conf_faults_free(&f);
	conf_faults_free(&bad);
	buf_free(&said);
}

/* A few characters that cost parts are named; a text of such characters is what it is. */
static void test_MV_7_costly_characters_are_named(void **state)
{
	static const struct {
		const char *text, *says;
	} c[] = {
		{ "0123456789012345678901234567890123456789012345678901234567890123456789 – ok",
			"2 parts because of – (U+2013 EN DASH); without such characters 1" },
		{ "0123456789 – ok", NULL },
		{ "Скоро сгорят ваши баллы: потратьте их до конца месяца в любом магазине сети, "
		  "пожалуйста",
			NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
		struct conf_faults f = { 0 };
		struct buf said = BUF_INIT, text = BUF_INIT;
		struct rules *r;

		buf_printf(&text, "templates = { x = { en = { sms = \"%s\"; }; }; };", c[i].text);
		r = load(buf_cstr(&text), &f);
		assert_non_null(r);
		conf_faults_text(&f, &said);
		if (c[i].says ? !strstr(buf_cstr(&said), c[i].says) : said.n > 0)
			fail_msg("%s: %s", c[i].text, buf_cstr(&said));
		rules_unref(&r);
		conf_faults_free(&f);
		buf_free(&said);
		buf_free(&text);
	}
}

static void test_the_tables_are_sound(void **state)
{
	struct err e = { 0 };

	(void)state;
	if (conf_table_check(rules_rows, sizeof(struct rules_conf), &e) != 0)
		fail_msg("%s", e.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_tables_are_sound),
		cmocka_unit_test(test_CF_1_a_chain_loads),
		cmocka_unit_test(test_EV_10_each_event_with_each_action),
		cmocka_unit_test(test_CH_2_a_channel_without_a_route),
		cmocka_unit_test(test_senders_of_the_policy),
		cmocka_unit_test(test_QH_countries_of_the_policy),
		cmocka_unit_test(test_QH_holidays_of_the_policy),
		cmocka_unit_test(test_FC_6_a_counter_is_not_lost_by_renaming),
		cmocka_unit_test(test_a_reload_tells_what_changes),
		cmocka_unit_test(test_the_policy_may_be_absent),
		cmocka_unit_test(test_MV_7_costly_characters_are_named),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
