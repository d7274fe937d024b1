/* What a chain under way keeps when the configuration changes, what is given back when a message is
 * held back, and which events are counted: through the whole engine.
 */
#include "plugins/offers/engine_fixture.h"

/* How often a message was sent for each of these events tells what the filter saw. */
static void test_FC_kinds_are_counted_apart(void **state)
{
	begin("counters = { phones = { of = \"phone.linked\"; per = \"member\"; period = \"ever\"; "
	      "}; };"
	      "offer = { name = \"o\"; kind = \"service\"; when = \"form.completed\";"
	      " only_if = \"count('phone.linked') == 1 and count('email.linked', '30 days') == 2 "
	      "and"
	      " count('contact.linked') == 3 and first_time('social.linked') and"
	      " not first_time('phone.linked') and counter('phones') == 1\"; actions = ("
	      " { do = \"send\"; template = \"hi\"; via = \"sms\"; } ); };");
	happens(0, "form.completed", "");
	expect_sent(0, NULL);
	happens(0, "phone.linked", "\"data\":{\"value\":\"+46700000001\"}");
	happens(0, "email.linked", "\"data\":{\"value\":\"m@shop.example\"}");
	happens(0, "form.completed", "");
	expect_sent(0, NULL);
	happens(0, "email.linked", "\"data\":{\"value\":\"n@shop.example\"}");
	happens(0, "form.completed", "");
	expect_sent(1, "Hi.");
}

/* ---- refund_on_suppress ---- */
static void told(uint64_t msg, enum state state, enum reason reason)
{
	struct sent_news n = { .msg = msg, .state = state, .reason = reason, .at = of.w.now };
	struct event *e;
	uint64_t member;

	of_unit();
	work_or_fail(sent_receipt(&of.w, &n, &e, &member));
	event_drop(&e);
}

#define COUNTING(more)                                                                             \
	"counters = { month = { of = \"actions\"; per = \"member\"; period = \"month\"; };"        \
	" shop = { of = \"actions\"; per = \"store\"; period = \"month\"; }; };"                   \
	"offer = { name = \"o\"; kind = \"service\"; when = \"purchase.completed\"; " more         \
	" only_if = \"counter('month') < 1\";"                                                     \
	" limits = { total = \"5 per month\"; per_store = \"3 per month\"; per_member = \"9\"; };" \
	" actions = ( { do = \"send\"; template = \"hi\"; via = \"sms\"; count = \"month\"; },"    \
	" { do = \"send\"; template = \"hi2\"; via = \"sms\"; count = \"shop\"; } ); };"

static int64_t counters(void)
{
	return of_number("SELECT coalesce(sum(value), 0) FROM of_counter WHERE counter > 0");
}

static int64_t limits(void)
{
	return of_number("SELECT coalesce(sum(value), 0) FROM of_counter WHERE counter < 0");
}

static void test_FC_refund_on_suppress_gives_counters_back(void **state)
{
	begin(COUNTING("refund_on_suppress = true;"));
	reachable();
	happens(0, "purchase.completed", "\"store\":\"s\",\"receipt\":\"r\"");
	expect_sent(2, NULL);
	assert_int_equal(counters(), 2);
	assert_int_equal(limits(), 4);
	/* it is the month of the purchase that gets it back */
	to_day(40);
	told(of.sent[0]->id, STATE_SUPPRESSED, REASON_CONSENT);
	told(of.sent[1]->id, STATE_SUPPRESSED, REASON_CONSENT);
	assert_int_equal(counters(), 0);
	assert_int_equal(limits(), 0);
	assert_int_equal(of_number("SELECT min(value) FROM of_counter"), 0);
	told(of.sent[1]->id, STATE_SUPPRESSED, REASON_CONSENT);
	assert_int_equal(counters(), 0);
}

static void test_FC_without_it_a_suppressed_message_has_counted(void **state)
{
	begin(COUNTING(""));
	reachable();
	happens(0, "purchase.completed", "\"store\":\"s\"");
	told(of.sent[0]->id, STATE_SUPPRESSED, REASON_CONSENT);
	assert_int_equal(counters(), 2);
	assert_int_equal(limits(), 4);
	happens(0, "purchase.completed", "\"store\":\"s\"");
	expect_sent(2, NULL);
}

/* ---- taking back ---- */
#define ONE_STEP                                                                         \
	"offer = { name = \"c\"; kind = \"service\"; when = \"registration.completed\";" \
	" unless = \"purchase.completed\"; then = \"restart\";"                          \
	" steps = ( { after = \"14 days\"; send = \"hi\"; via = \"sms\"; } ); };"

static void test_CN_33_what_has_left_is_not_removed(void **state)
{
	begin(ONE_STEP);
	reachable();
	happens(0, "registration.completed", "");
	to_day(14);
	expect_sent(1, "Hi.");
	/* it happened before the message was due, and comes when that has left */
	of.w.now += DUR_HOUR;
	happens(13, "purchase.completed", "");
	assert_non_null(strstr(answer.p, "\"removed\":0"));
	assert_int_equal(of.w.late_cancel, 1);
	assert_int_equal(of_number("SELECT count(*) FROM of_deed"), 0);
	assert_int_equal(of_number("SELECT state FROM of_sent"), STATE_SENT);
	/* that was the message of the chain that the purchase began anew */
	to_day(40);
	expect_sent(1, NULL);
}

static void test_CN_33_what_waits_is_removed_and_sent_later(void **state)
{
	begin(ONE_STEP);
	reachable();
	happens(0, "registration.completed", "");
	to_day(14);
	of.waits = true;
	of.w.now += DUR_HOUR;
	happens(13, "purchase.completed", "");
	assert_non_null(strstr(answer.p, "\"removed\":1"));
	assert_int_equal(of.w.late_cancel, 0);
	assert_int_equal(of_number("SELECT msg FROM of_deed"), (int64_t)of.sent[0]->id);
	to_day(27);
	expect_sent(2, "Hi.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, end)
		T(test_FC_kinds_are_counted_apart),
		T(test_FC_refund_on_suppress_gives_counters_back),
		T(test_FC_without_it_a_suppressed_message_has_counted),
		T(test_CN_33_what_has_left_is_not_removed),
		T(test_CN_33_what_waits_is_removed_and_sent_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
