/* What a chain under way keeps when the configuration changes, what is given back when a message is
 * held back, and which events are counted: through the whole engine.
 */
#include "plugins/offers/engine_fixture.h"
#include "plugins/offers/sent.h"

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

/* A till that says nonsense is not the end of counting. */
static void test_FC_sums_that_leave_64_bits(void **state)
{
	const char *big = "\"receipt\":\"r\",\"data\":{\"total\":\"922337203685477.5807\","
			  "\"currency\":\"EUR\",\"items\":9223372036854775807}";

	begin("counters = { things = { of = \"purchase.completed\"; sum = \"event.items\"; per = "
	      "\"member\"; period = \"ever\"; }; money = { of = \"purchase.completed\"; sum = "
	      "\"event.total\"; every_amount = \"100\"; per = \"member\"; period = \"ever\"; }; };"
	      "offer = { name = \"o\"; kind = \"service\"; when = \"form.completed\";"
	      " only_if = \"count('purchase.completed') == 3 and sum('total', "
	      "'purchase.completed') "
	      "> 1000 and sum('items', 'purchase.completed') > 1000 and counter('things') > 1000 "
	      "and counter('money') >= 0\"; actions = ("
	      " { do = \"send\"; template = \"hi\"; via = \"sms\"; } ); };");
	reachable();
	for (unsigned i = 0; i < 3; i++)
		happens(0, "purchase.completed", big);
	happens(0, "form.completed", "");
	expect_sent(1, "Hi.");
	assert_int_equal(
		of_number("SELECT count(*) FROM of_counter WHERE typeof(value) <> 'integer'"), 0);
	/* and back again, as far as it goes */
	happens(0, "purchase.refunded", "\"data\":{\"refunds\":\"r\"}");
	assert_int_equal(of_number("SELECT count(*) FROM of_counter WHERE value < 0"), 0);
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

static void news(unsigned i, enum state state)
{
	struct sent_news n = { .msg = of.sent[i]->id, .state = state, .at = of.w.now };
	struct event *e;
	uint64_t member;

	of_unit();
	work_or_fail(sent_receipt(&of.w, &n, &e, &member));
	event_drop(&e);
}

/* It is with the far side when the cancel comes: whether it has left is known later, by its news.
 */
static void test_CN_33_what_was_in_flight_is_not_sent_again(void **state)
{
	static const enum state news_of[] = { STATE_SENT, STATE_DELIVERED, STATE_UNDELIVERABLE };

	for (unsigned i = 0; i < 3; i++) {
		begin(ONE_STEP);
		reachable();
		happens(0, "registration.completed", "");
		to_day(14);
		of.waits = true; /* as far as the store knows */
		of.w.now += DUR_HOUR;
		happens(13, "purchase.completed", "");
		assert_non_null(strstr(answer.p, "\"removed\":1")); /* asked for */
		of.w.now += DUR_MIN;
		news(0, news_of[i]);
		assert_int_equal(of.w.late_cancel, 1);
		assert_int_equal(of_number("SELECT count(*) FROM of_chain WHERE due IS NULL"), 1);
		news(0, STATE_READ); /* once */
		to_day(40);
		expect_sent(1, NULL);
		end(NULL);
	}
	/* and what was taken back in time is sent when its new time has come */
	begin(ONE_STEP);
	reachable();
	happens(0, "registration.completed", "");
	to_day(14);
	of.waits = true;
	happens(13, "purchase.completed", "");
	news(0, STATE_CANCELLED);
	to_day(27);
	expect_sent(2, "Hi.");
}

/* A restart from after it was due sends it again, be it known as sent or not: that is what restart
 * means. What has been sent again already cannot be taken back: the bound. */
static void test_CN_33_what_a_restart_sends_again(void **state)
{
	begin("offer = { name = \"c\"; kind = \"service\"; when = \"registration.completed\";"
	      " unless = \"purchase.completed\"; then = \"restart\";"
	      " steps = ( { after = \"14 days\"; send = \"hi\"; via = \"sms\"; },"
	      " { after = \"14 days\"; send = \"hi2\"; via = \"sms\"; } ); };");
	reachable();
	happens(0, "registration.completed", "");
	to_day(14);
	of.waits = true;
	of.w.now += DUR_HOUR;
	happens(14.02, "purchase.completed", "");
	news(0, STATE_SENT);
	assert_int_equal(of.w.late_cancel, 0);
	to_day(28.02);
	expect_sent(2, "Hi.");
	end(NULL);

	begin(ONE_STEP);
	reachable();
	happens(0, "registration.completed", "");
	to_day(14);
	of.waits = true;
	happens(13, "purchase.completed", "");
	to_day(27); /* the far side has said nothing for thirteen days */
	expect_sent(2, "Hi.");
	news(0, STATE_SENT);
	to_day(60);
	expect_sent(2, NULL);
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

/* ---- chains under way when the configuration changes ---- */
static void adopt(const char *offers)
{
	struct buf b = BUF_INIT;
	struct conf_faults f = { 0 };
	struct err e = { 0 };
	struct rules *was = of.rules;

	buf_c(&b, offers);
	of.rules = rules_load_text("test", buf_view(&b), MEDIA_ANY, &f);
	buf_free(&b);
	if (!of.rules) {
		conf_faults_text(&f, &b);
		fail_msg("%s", buf_cstr(&b));
	}
	conf_faults_free(&f);
	if (rules_number(of.rules, &of.db, &e) < 0)
		fail_msg("%s", e.text);
	rules_unref(&was);
	of_unit();
}

#define CHAIN(more, steps)                                                             \
	TEMPLATES "offer = { name = \"c\"; kind = \"service\"; when = "                \
		  "\"registration.completed\"; unless = \"purchase.completed\"; " more \
		  " steps = ( " steps " ); };"
#define STEP(after, text) "{ after = \"" after "\"; send = \"" text "\"; via = \"sms\"; }"
#define TWO               STEP("14 days", "hi") ", " STEP("14 days", "hi2")
static const char without[] = TEMPLATES;

static void begin_chain(const char *text)
{
	begin("");
	adopt(text);
	reachable();
	happens(0, "registration.completed", "");
}

static void test_8_4_edited_steps_are_for_new_chains(void **state)
{
	begin_chain(CHAIN("then = \"restart\";", TWO));
	to_day(14);
	expect_sent(1, "Hi.");
	adopt(CHAIN("then = \"restart\";", STEP("3 days", "hi2")));
	/* begun anew by itself it is the same chain still */
	to_day(15);
	happens(15, "purchase.completed", "");
	to_day(28.9);
	expect_sent(1, NULL);
	to_day(29);
	expect_sent(2, "Hi.");
	to_day(43);
	expect_sent(3, "Hi again.");
	assert_int_equal(of_number("SELECT count(*) FROM of_chain WHERE due IS NOT NULL"), 0);
	/* one that begins now has the steps of now, and keeps them */
	to_day(44);
	happens(44, "registration.completed", "");
	adopt(CHAIN("then = \"restart\";", TWO));
	to_day(46.9);
	expect_sent(3, NULL);
	to_day(47);
	expect_sent(4, "Hi again.");
	to_day(100);
	expect_sent(4, NULL);
}

static void test_8_4_edited_steps_keep_to_the_zone(void **state)
{
	begin_chain(CHAIN("", TWO));
	adopt(CHAIN("", STEP("3 days", "hi2")));
	/* five in the morning there, and an hour earlier on the clock of the world from 8 March on
	 */
	happens(1, "member.updated", "\"data\":{\"member\":{\"zone\":\"America/New_York\"}}");
	to_day(13.958);
	expect_sent(0, NULL);
	to_day(13.959);
	expect_sent(1, "Hi.");
	to_day(27.958);
	expect_sent(1, NULL);
	to_day(27.959);
	expect_sent(2, "Hi again.");
}

static void test_8_4_apply_to_running(void **state)
{
	begin_chain(CHAIN("", TWO));
	adopt(CHAIN("apply_to_running = true;", STEP("20 days", "hi2")));
	to_day(19.9);
	expect_sent(0, NULL);
	to_day(20);
	expect_sent(1, "Hi again.");
	to_day(60);
	expect_sent(1, NULL);
}

static void test_8_4_an_offer_taken_away_is_over(void **state)
{
	begin_chain(CHAIN("", TWO));
	adopt(without);
	to_day(14);
	to_day(28);
	expect_sent(0, NULL);
	assert_int_equal(of_number("SELECT count(*) FROM of_sent WHERE state = 9 AND reason LIKE "
				   "'offer%over'"),
		1);
	assert_int_equal(of_number("SELECT count(*) FROM of_chain WHERE due IS NOT NULL"), 0);
}

static void test_8_4_an_offer_that_ends_is_over(void **state)
{
	begin_chain(CHAIN("active = { to = \"2026-03-20\"; };", TWO));
	to_day(14);
	to_day(28);
	expect_sent(1, "Hi.");
	assert_int_equal(of_number("SELECT count(*) FROM of_sent WHERE state = 9 AND reason LIKE "
				   "'offer%over'"),
		1);
}

static void test_8_4_finish_running(void **state)
{
	begin_chain(CHAIN("finish_running = true; active = { to = \"2026-03-10\"; };", TWO));
	to_day(14);
	expect_sent(1, "Hi.");
	/* gone altogether */
	adopt(without);
	to_day(28);
	expect_sent(2, "Hi again.");
}

static void test_8_4_finish_running_can_still_be_disarmed(void **state)
{
	begin_chain(CHAIN("finish_running = true; then = \"stop\";", TWO));
	adopt(without);
	to_day(14);
	expect_sent(1, "Hi.");
	to_day(15);
	happens(15, "purchase.completed", "");
	to_day(60);
	expect_sent(1, NULL);
	assert_int_equal(of_number("SELECT count(*) FROM of_chain"), 0);
}

#define VISITS(name, more)                                                                         \
	TEMPLATES "counters = { " name " = { of = \"purchase.completed\"; per = \"member\"; " more \
		  " }; }; offer = { name = \"o\"; kind = \"service\"; when = "                     \
		  "\"purchase.completed\"; "                                                       \
		  "actions = ( { do = \"cashier\"; text = \"yes\"; only_if = \"counter('" name     \
		  "') == 4\"; } ); };"

/* What was counted outlives a reload, also under another name; not one that does not say whose. */
static void test_FC_6_counters_outlive_reloads(void **state)
{
	struct conf_faults f = { 0 };
	struct err e = { 0 };
	struct rules *renamed;

	begin(&VISITS("visits", "")[strlen(TEMPLATES)]);
	for (unsigned i = 0; i < 2; i++)
		happens(0, "purchase.completed", "");
	adopt(VISITS("visits", "only_if = \"event.total is missing or event.total > 0\";"));
	happens(0, "purchase.completed", "");
	assert_int_equal(counters(), 3);
	renamed = rules_load_text("t", STR(VISITS("calls", "")), MEDIA_ANY, &f);
	assert_non_null(renamed);
	assert_int_equal(rules_number(renamed, &of.db, &e), -1);
	assert_non_null(strstr(e.text, "was = \"visits\""));
	rules_unref(&renamed);
	conf_faults_free(&f);
	adopt(VISITS("calls", "was = \"visits\";"));
	happens(0, "purchase.completed", "");
	assert_non_null(strstr(answer.p, "\"cashier\":[\"yes\"]"));
	assert_int_equal(counters(), 4);
}

/* ---- clocks that jump ---- */
static void test_8_4_a_clock_set_back_fires_nothing_twice(void **state)
{
	begin_chain(CHAIN("", TWO));
	to_day(14);
	expect_sent(1, "Hi.");
	to_day(13);
	expect_sent(1, NULL);
	/* the time comes again */
	to_day(14);
	expect_sent(1, NULL);
	to_day(27.9);
	expect_sent(1, NULL);
	to_day(28);
	expect_sent(2, "Hi again.");
	to_day(1);
	to_day(29);
	expect_sent(2, NULL);
	assert_int_equal(of_number("SELECT count(*) FROM of_fired"), 2);
}

static void test_8_4_after_a_pause_the_oldest_fire_first(void **state)
{
	enum { N = 35 };
	bool left = true;
	unsigned n;

	begin(&CHAIN("", TWO)[strlen(TEMPLATES)]);
	for (unsigned i = 0; i < N; i++) {
		char json[300];
		unsigned at = i * 11 % N; /* in no order */

		snprintf(json, sizeof json,
			"{\"id\":\"r%u\",\"type\":\"registration.completed\",\"member\":{\"id\":"
			"\"n%u\",\"phone\":\"+467%08u\"},\"occurred_at\":\"2026-03-01T09:%02u:"
			"00Z\"}",
			i, i, at, at);
		assert_int_equal(put_event(json), TOOK);
	}
	/* the machine stood still for twenty hours; and each slice is a few */
	of.w.now = day_0 + 14 * DUR_DAY + 20 * DUR_HOUR;
	while (left) {
		of_unit();
		work_or_fail(chain_fire(&of.w, 4, 0, &n, &left));
		assert_true(n <= 4);
	}
	assert_int_equal(of.sent_n, N);
	for (unsigned i = 1; i < N; i++)
		assert_true(memcmp(message_get(of.sent[i - 1], FIELD_TO).p,
				    message_get(of.sent[i], FIELD_TO).p, 11) < 0);
	fire();
	assert_int_equal(of.sent_n, N);
}

#define PINNED(policy, text)                                                                      \
	"templates = { hi = { en = { sms = \"" text "\"; }; }; };"                                \
	"policy = { consent_default = \"all\"; unverified = true; template_version = \"" policy   \
	"\"; };"                                                                                  \
	"offer = { name = \"c\"; kind = \"service\"; when = \"registration.completed\"; steps = " \
	"( " STEP("14 days", "hi") ", " STEP("14 days", "hi") " ); };"

static void test_8_4_templates_at_arm(void **state)
{
	begin_chain(PINNED("at-arm", "One."));
	to_day(14);
	expect_sent(1, "One.");
	adopt(PINNED("at-arm", "Two ${Offer.name}."));
	to_day(28);
	expect_sent(2, "One.");
	assert_int_equal(
		of_number("SELECT count(DISTINCT template) FROM of_sent WHERE template > 0"), 1);
	to_day(29);
	happens(29, "registration.completed", "");
	adopt(PINNED("at-arm", "Three."));
	to_day(43);
	expect_sent(3, "Two c.");
	assert_int_equal(of_number("SELECT count(*) FROM of_source"), 3);
}

static void test_8_4_templates_at_send(void **state)
{
	begin_chain(PINNED("at-send", "One."));
	adopt(PINNED("at-send", "Two."));
	to_day(14);
	expect_sent(1, "Two.");
	assert_int_equal(of_number("SELECT count(*) FROM of_source"), 0);
}

static void test_what_is_kept_of_an_offer_is_the_offer(void **state)
{
	const char *text = CHAIN(
		"then = \"restart-step\"; again = \"parallel\"; key = \"event.channel\";"
		" restarts_at_most = 3; settle = \"2 h\"; title = \"A \\\"b\\\" \\\\ c\";"
		" limits = { per_member = \"2 per 30 days\"; };"
		" unless_if = \"event.total > 5\"; next_if = \"sent\";",
		"{ after = \"1 month\"; at = [ \"10:00-12:00\", \"14:00-15:00\" ]; send = \"hi\";"
		" via = \"sms\"; only_if = \"has('phone')\"; }");
	struct buf once = BUF_INIT, again = BUF_INIT;
	const struct offer *o, *r;
	struct arena *a = arena_new();
	struct err e = { 0 };

	begin(text + strlen(TEMPLATES));
	o = &of.rules->offers[0];
	offer_write(&once, o->conf);
	r = offer_restore(of.rules, o->number, buf_view(&once), a, &e);
	if (!r)
		fail_msg("%s\n%s", e.text, buf_cstr(&once));
	offer_write(&again, r->conf);
	assert_true(str_eq(buf_view(&once), buf_view(&again)));
	assert_true(r->version == o->version && r->disarms == o->disarms);
	assert_int_equal(r->steps_n, 1);
	assert_int_equal(r->steps[0].windows_n, 2);
	assert_ptr_equal(r->steps[0].template, o->steps[0].template);
	assert_string_equal(r->conf->title, "A \"b\" \\ c");
	buf_free(&once);
	buf_free(&again);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, end)
		T(test_FC_kinds_are_counted_apart),
		T(test_FC_sums_that_leave_64_bits),
		T(test_FC_refund_on_suppress_gives_counters_back),
		T(test_FC_without_it_a_suppressed_message_has_counted),
		T(test_CN_33_what_has_left_is_not_removed),
		T(test_CN_33_what_was_in_flight_is_not_sent_again),
		T(test_CN_33_what_a_restart_sends_again),
		T(test_CN_33_what_waits_is_removed_and_sent_later),
		T(test_8_4_edited_steps_are_for_new_chains),
		T(test_8_4_edited_steps_keep_to_the_zone),
		T(test_8_4_apply_to_running),
		T(test_8_4_an_offer_taken_away_is_over),
		T(test_8_4_an_offer_that_ends_is_over),
		T(test_8_4_finish_running),
		T(test_8_4_finish_running_can_still_be_disarmed),
		T(test_FC_6_counters_outlive_reloads),
		T(test_8_4_a_clock_set_back_fires_nothing_twice),
		T(test_8_4_after_a_pause_the_oldest_fire_first),
		T(test_8_4_templates_at_arm),
		T(test_8_4_templates_at_send),
		T(test_what_is_kept_of_an_offer_is_the_offer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
