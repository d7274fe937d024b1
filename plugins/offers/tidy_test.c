/* What is old goes, and what is still needed stays. */
#include "plugins/offers/engine_fixture.h"
#include "plugins/offers/tidy.h"

/* A pass in slices of a few rows, as the gateway does it. */
static uint64_t purge(void)
{
	struct tidy p = { 0 };
	bool left = true;

	while (left) {
		of_unit();
		work_or_fail(intake_purge(&of.w, 3, &left));
	}
	for (left = true; left;) {
		of_unit();
		work_or_fail(tidy_slice(&of.w, &p, 3, &left));
	}
	return p.removed;
}

static int64_t rows(const char *table)
{
	char text[80];

	snprintf(text, sizeof text, "SELECT count(*) FROM %s", table);
	return of_number(text);
}

#define RULES                                                                                     \
	"counters = { year = { of = \"purchase.completed\"; per = \"member\"; period = \"year\";" \
	" undo_on_refund = true; }; ever = { of = \"purchase.completed\"; per = \"member\";"      \
	" period = \"ever\"; undo_on_refund = true; }; };"                                        \
	"offers = ( { name = \"c\"; kind = \"service\"; when = \"registration.completed\";"       \
	" unless = \"purchase.completed\"; then = \"stop\";"                                      \
	" steps = ( { after = \"14 days\"; send = \"hi\"; via = \"sms\"; },"                      \
	" { after = \"14 days\"; send = \"hi2\"; via = \"sms\"; } ); },"                          \
	" { name = \"thanks\"; kind = \"service\"; when = \"purchase.completed\";"                \
	" actions = ( { do = \"send\"; template = \"hi\"; via = \"sms\"; } );"                    \
	" limits = { per_member = \"LIMIT\"; }; } );"

/* keep_events is 400 days */
static void begin_with(const char *limit)
{
	struct buf b = BUF_INIT;
	struct str rest = STR(RULES);
	ptrdiff_t at = str_find(rest, STR("LIMIT"));

	buf_add(&b, rest.p, (size_t)at);
	buf_c(&b, limit);
	buf_str(&b, str_skip(rest, (size_t)at + 5));
	begin(buf_cstr(&b));
	buf_free(&b);
	reachable();
}

static void test_what_is_old_goes(void **state)
{
	begin_with("1 per month");
	happens(0, "registration.completed", "");
	to_day(14);
	to_day(28);
	to_day(30);
	happens(30, "purchase.completed", "\"receipt\":\"r1\"");
	happens(30, "purchase.completed", "\"receipt\":\"r2\"");
	happens(30, "form.completed", "");
	assert_int_equal(of.sent_n, 3);
	to_day(399);
	assert_int_equal(purge(), 0);
	to_day(800);
	assert_true(purge() > 0);
	assert_int_equal(rows("of_event"), 1);
	assert_int_equal(rows("of_chain"), 0);
	assert_int_equal(rows("of_mark"), 0);
	assert_int_equal(rows("of_fired"), 0);
	assert_int_equal(rows("of_counted"), 0);
	assert_int_equal(rows("of_sent"), 0);
	assert_int_equal(rows("of_touch"), 0);
	/* the newest of each kind is remembered */
	assert_int_equal(rows("of_past"), 3);
	assert_int_equal(of_number("SELECT value FROM of_counter WHERE counter = 2"), 2);
	assert_int_equal(purge(), 0);
}

static void test_a_running_chain_needs_its_rows(void **state)
{
	begin("offers = ( { name = \"c\"; kind = \"service\"; when = \"registration.completed\";"
	      " unless = \"purchase.completed\"; then = \"stop\";"
	      " steps = ( { after = \"14 days\"; send = \"hi\"; via = \"sms\"; },"
	      " { after = \"3 years\"; send = \"hi2\"; via = \"sms\"; only_if = \"event.channel == "
	      "'app'\"; } ); } );");
	reachable();
	happens(0, "registration.completed", "\"data\":{\"channel\":\"app\"}");
	to_day(14);
	to_day(1000);
	assert_int_equal(purge(), 0);
	assert_int_equal(rows("of_mark"), 1);
	assert_int_equal(rows("of_fired"), 1);
	assert_int_equal(rows("of_event"), 1);
	to_day(14 + 3 * 365 + 1);
	expect_sent(2, "Hi again.");
	to_day(2600);
	assert_true(purge() > 0);
	assert_int_equal(
		rows("of_mark") + rows("of_fired") + rows("of_chain") + rows("of_event"), 1);
	/* and nothing of it comes back */
	happens(2600, "purchase.completed", "");
	to_day(2700);
	expect_sent(2, NULL);
}

static void test_a_limit_needs_what_was_sent(void **state)
{
	begin_with("1 per 900 days");
	happens(0, "purchase.completed", "");
	expect_sent(1, NULL);
	to_day(700);
	purge();
	happens(700, "purchase.completed", "");
	expect_sent(1, NULL);
	to_day(901);
	purge();
	happens(901, "purchase.completed", "");
	expect_sent(2, NULL);
}

static void test_a_counters_present_period_can_be_undone(void **state)
{
	begin("counters = { year = { of = \"purchase.completed\"; per = \"member\"; period = "
	      "\"year\";"
	      " undo_on_refund = true; }; month = { of = \"purchase.completed\"; per = \"member\";"
	      " period = \"month\"; undo_on_refund = true; }; };");
	of.rules->keep_events = (struct span){ .days = 30 };
	happens(0, "purchase.completed", "\"receipt\":\"r1\"");
	assert_int_equal(rows("of_counted"), 2);
	to_day(200);
	assert_true(purge() > 0);
	assert_int_equal(rows("of_counted"), 1);
	happens(200, "purchase.refunded", "\"data\":{\"refunds\":\"r1\"}");
	assert_int_equal(of_number("SELECT value FROM of_counter WHERE counter = 1"), 0);
	/* that month is over, and nobody asks for it any more */
	assert_int_equal(of_number("SELECT count(*) FROM of_counter WHERE counter = 2"), 0);
}

static void test_what_was_counted_in_periods_long_over_goes(void **state)
{
	begin("counters = { day = { of = \"purchase.completed\"; per = \"member\"; period = "
	      "\"day\"; };"
	      " ever = { of = \"purchase.completed\"; per = \"member\"; period = \"ever\"; }; };"
	      "offers = ( { name = \"a\"; kind = \"service\"; when = \"purchase.completed\";"
	      " actions = ( { do = \"send\"; template = \"hi\"; via = \"sms\"; } );"
	      " limits = { total = \"9 per day\"; per_account = \"9 per month\"; per_store = "
	      "\"9\"; }; },"
	      " { name = \"b\"; kind = \"service\"; when = \"card.activated\";"
	      " actions = ( { do = \"send\"; template = \"hi\"; via = \"sms\"; } );"
	      " limits = { total = \"1 per 900 days\"; }; } );");
	reachable();
	happens(0, "purchase.completed", "\"store\":\"s\"");
	happens(0, "card.activated", "");
	expect_sent(2, NULL);
	assert_int_equal(rows("of_counter"), 6);
	to_day(399);
	assert_int_equal(purge(), 0);
	/* a limit over 900 days needs its days, and by them those of others are kept as well */
	to_day(800);
	purge();
	assert_int_equal(of_number("SELECT count(*) FROM of_counter WHERE counter > 0"), 1);
	happens(800, "card.activated", "");
	expect_sent(2, NULL);
	to_day(1000);
	purge();
	assert_int_equal(rows("of_counter"), 2); /* for ever, both */
	happens(1000, "card.activated", "");
	expect_sent(3, NULL);
}

static void test_first_time_stays_true_only_once(void **state)
{
	begin("offer = { name = \"o\"; kind = \"service\"; when = \"purchase.completed\";"
	      " only_if = \"first_time('purchase.completed')\";"
	      " actions = ( { do = \"send\"; template = \"hi\"; via = \"sms\"; } ); };");
	reachable();
	for (unsigned day = 0; day <= 2000; day += 500) {
		to_day(day);
		purge();
		happens(day, "purchase.completed", "");
		expect_sent(1, NULL);
	}
	assert_true(rows("of_past") < 4);
}

static void test_what_no_chain_keeps_any_more_goes(void **state)
{
	begin_with("9");
	assert_int_equal(rows("of_steps"), 1);
	assert_int_equal(
		sql_exec(of.sql, "INSERT INTO of_steps VALUES(1, 77, 1, 'x'), (9, 78, 1, 'y');"
				 "INSERT INTO of_pin VALUES(5, 0, 1);"
				 "INSERT INTO of_source VALUES(1, 'd', 's')"),
		0);
	happens(0, "registration.completed", "");
	assert_int_equal(sql_exec(of.sql, "UPDATE of_chain SET version = 77"), 0);
	purge();
	assert_int_equal(rows("of_steps"), 2);
	assert_int_equal(rows("of_pin") + rows("of_source"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, end)
		T(test_what_is_old_goes),
		T(test_a_running_chain_needs_its_rows),
		T(test_a_limit_needs_what_was_sent),
		T(test_a_counters_present_period_can_be_undone),
		T(test_what_was_counted_in_periods_long_over_goes),
		T(test_first_time_stays_true_only_once),
		T(test_what_no_chain_keeps_any_more_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
