/* Stories told: what comes true, what does not and how it is said; the examples that are installed.
 */
#include "plugins/offers/offers_fixture.h"
#include "plugins/offers/story.h"

#include "plugins/offers/world.h"

#define TEXTS                                                                                      \
	"policy = { default_clock = \"Europe/Riga\"; marketing = { quiet = [ \"21:00-09:00\" ]; "  \
	"max = [ \"1 per day\" ]; }; };\n"                                                         \
	"templates = { one = { en = { sms = \"One.\"; push = { title = \"P\"; text = \"One\"; }; " \
	"viber = { text = \"One\"; }; }; };\n"                                                     \
	" two = { en = { sms = \"Two.\"; email = { subject = \"S\"; html = \"<p>Two</p>\"; "       \
	"text = \"Two\"; }; }; }; };\n"                                                            \
	"members = { attributes = { city = \"text\"; }; statuses = [ \"tier\" ]; };\n"

#define CHAIN(then, stories)                                                                \
	"offer = { name = \"chain\"; when = \"registration.completed\"; unless = [ "        \
	"\"purchase.completed\" ]; then = \"" then "\";\n"                                  \
	"only_if = \"member.city != 'Oslo' or member.city is missing\";\n"                  \
	"steps = ( { after = \"14 days\"; at = \"10:00-20:00\"; send = \"one\"; via = [ "   \
	"\"push\", "                                                                        \
	"\"viber\", \"sms\" ]; fall_back_after = \"3 h\"; },\n"                             \
	" { after = \"14 days\"; at = \"10:00-20:00\"; send = \"two\"; via = [ \"email\", " \
	"\"sms\" ]; } );\nstories = ( " stories " ); };\n"

/* The faults of the stories, as they are printed. */
static char *told(const char *text)
{
	struct conf_faults f = { 0 };
	struct rules *r = rules_load_text("test.conf", str_of(text), MEDIA_ANY, &f);
	struct buf b = BUF_INIT;
	char *out;

	if (r)
		stories_run(r, &f);
	conf_faults_text(&f, &b);
	out = mem_dup(buf_view(&b));
	buf_free(&b);
	conf_faults_free(&f);
	rules_unref(&r);
	return out;
}

static void comes_true(const char *text)
{
	char *got = told(text);

	if (got[0])
		fail_msg("%s", got);
	mem_free(&got);
}

static void test_the_two_examples_of_the_seeds(void **state)
{
	comes_true(TEXTS CHAIN("restart",
		"\"day 0 registration.completed; day 14 expect one; day 28 expect two; day 60 "
		"expect nothing\","
		"\"day 0 registration.completed; day 5 purchase.completed; day 18 expect nothing; "
		"day 19 expect one; day 33 expect two\","
		"\"day 0 registration.completed; day 14 expect one; day 20 purchase.completed; day "
		"34 expect one; day 48 expect two\""));
}

static void test_what_stories_can_say(void **state)
{
	comes_true(TEXTS CHAIN("stop",
		"\"day 0 registration.completed; day 14 expect one by push saying 'One'; day 15 "
		"purchase.completed total=12.50 receipt=r1; day 60 expect nothing\","
		"\"member no push, no viber; day 0 registration.completed; day 14 expect one by "
		"sms\","
		"\"member zone=Asia/Tokyo; day 0 23:30 registration.completed; day 15 10:00 expect "
		"one\","
		"\"2026-03-15 12:00 begin; member zone=Europe/Riga; 2026-03-15 12:00 "
		"registration.completed; 2026-03-29 11:59 expect nothing; 2026-03-29 12:00 expect "
		"one\","
		"\"member city=Oslo; day 0 registration.completed; day 30 expect nothing\","
		"\"refuse CommunicationOffer; day 0 registration.completed; day 14 expect "
		"suppressed one "
		"for consent; day 28 expect suppressed two; day 40 expect nothing\","
		"\"day 0 registration.completed; day 14 expect one by push; after 1 h undelivered "
		"one; "
		"expect one by viber; undelivered; expect one by sms; undelivered; day 28 expect "
		"two\","
		/* judged when its turn comes, as in a gateway */
		"\"day 0 registration.completed; day 14 expect one by push; refuse viber; "
		"undelivered; expect one by sms\","
		"\"day 3 registration.completed late 2 days; day 14 expect nothing; day 15 expect "
		"one\","
		"\"day 0 registration.completed; day 13 refuse push; day 14 expect one by "
		"viber\""));
}

/* Members answer what they were sent, and unsubscribe from it: events, with what follows of them.
 */
#define ANSWERED(template, via, story)                                                          \
	TEXTS "offer = { name = \"c\"; kind = \"service\"; consent = \"System\"; when = [ "     \
	      "\"registration.completed\", \"message.replied\", \"message.unsubscribed\" ]; "   \
	      "actions = ( { do = \"send\"; template = \"" template "\"; via = " via            \
								    "; } ); stories = ( "       \
								    "\"registration.completed;" \
								    " " story "\" ); };"

static void test_stories_of_answers_and_unsubscribing(void **state)
{
	static const char *const stories[] = {
		ANSWERED("one", "\"sms\"",
			"expect one; replied one saying 'Thanks'; expect one; replied; expect one; "
			"day 2 replied; day 2 expect one"),
		/* a word that stops: its channel is closed, for what the event brings as well */
		ANSWERED("one", "\"sms\"",
			"expect one; replied saying 'stop!'; expect nothing and suppressed one for "
			"consent; registration.completed; expect suppressed one for consent"),
		ANSWERED("one", "\"viber\"",
			"expect one; unsubscribed one; expect nothing and suppressed one for "
			"consent"),
		ANSWERED("two", "[ \"email\", \"sms\" ]",
			"expect two by email; unsubscribed; expect two by sms; unsubscribed; "
			"expect "
			"suppressed two for consent"),
	};
	char *got;

	for (size_t i = 0; i < sizeof stories / sizeof *stories; i++)
		comes_true(stories[i]);
	got = told(ANSWERED("one", "\"push\"", "expect one; replied"));
	assert_non_null(strstr(got, "nobody answers a push message"));
	mem_free(&got);
	got = told(ANSWERED("one", "\"sms\"", "replied two; expect one"));
	assert_non_null(strstr(got, "no such message has left"));
	mem_free(&got);
}

static void test_QH_4_cancelled_while_it_is_held(void **state)
{
	comes_true(
		TEXTS "offer = { name = \"night\"; when = \"registration.completed\"; unless = [ "
		      "\"purchase.completed\" ]; then = \"stop\"; steps = ( { after = \"1 h\"; "
		      "send = \"one\"; "
		      "via = [ \"sms\" ]; } ); stories = ( "
		      "\"day 0 21:30 registration.completed; day 1 expect one\","
		      "\"day 0 21:30 registration.completed; day 0 23:30 purchase.completed; day 5 "
		      "expect "
		      "nothing\" ); };");
}

static void test_next_if_sent_does_not_wait_for_receipts(void **state)
{
	comes_true(TEXTS
		"offer = { name = \"c\"; when = \"registration.completed\"; next_if = \"sent\"; "
		"steps "
		"= ( { after = \"1 day\"; send = \"one\"; via = [ \"sms\" ]; }, { after = \"1 "
		"day\"; "
		"send = \"two\"; via = [ \"sms\" ]; } ); stories = ( "
		"\"day 0 registration.completed; day 1 expect one; day 2 expect two\","
		"\"day 0 registration.completed; day 1 expect one; undelivered; day 2 expect two\","
		"\"member no phone; day 0 registration.completed; day 1 expect suppressed one for "
		"no_contact; day 9 expect nothing\" ); };");
}

static void test_events_in_full(void **state)
{
	comes_true(TEXTS CHAIN("restart",
		"\"{ 'type': 'registration.completed', 'occurred_at': '2026-05-01T10:00:00Z', "
		"'member': { 'id': 'b' } }; 2026-05-15 expect one\","
		"\"day 0 registration.completed as id b; day 0 registration.completed; day 14 "
		"expect 2 "
		"one\""));
}

static void test_counters_receipts_and_status(void **state)
{
	comes_true(TEXTS
		"offer = { name = \"till\"; kind = \"service\"; when = \"discount.calculated\"; "
		"actions = ( { do = \"receipt\"; text = \"You saved ${Discount:money}.\"; },"
		"{ do = \"cashier\"; text = \"Say thank you.\"; },"
		"{ do = \"send\"; template = \"one\"; via = \"sms\"; only_if = \"counter('c') < "
		"2\"; "
		"count = \"c\"; }, { do = \"status\"; system = \"tier\"; value = \"gold\"; } );"
		"stories = ( \"day 0 discount.calculated discount=8 receipt=r1; expect receipt "
		"'You "
		"saved 8.', cashier 'Say thank you.', one by sms, counter c = 1 and status "
		"tier=gold; "
		"day 1 discount.calculated discount=3 receipt=r2; expect one; day 2 "
		"discount.calculated discount=3 receipt=r3; expect receipt 'You saved 3.', counter "
		"c = "
		"2\" ); };"
		"counters = { c = { of = \"actions\"; per = \"member\"; period = \"month\"; }; };");
}

#define POINTS                                                                                    \
	"currencies = { bonus = { one = \"point\"; other = \"points\"; decimals = 0; }; stars = " \
	"{ "                                                                                      \
	"one = \"star\"; other = \"stars\"; decimals = 0; }; };\n"                                \
	"templates = { act = { en = { sms = \"${Amount:number} in ${Days} days\"; }; };\n"        \
	" bd = { en = { push = { title = \"P\"; text = \"${Amount|0} for you\"; }; sms = \"Many " \
	"happy "                                                                                  \
	"returns\"; }; }; };\n policy = { default_clock = \"Europe/Riga\"; };\n"

static void test_RT_tasks_have_stories_too(void **state)
{
	comes_true(POINTS
		"tasks = ( { name = \"activates\"; every = \"day at 11:00\"; look = "
		"\"bonus.activates\"; ahead = \"1 day\"; currency = \"bonus\"; at_least = \"50\"; "
		"send = \"act\"; via = [ \"sms\" ]; stories = ("
		/* RT-1 at least the minimum; RT-2 that day's lots alone, in one message */
		"\"day 0 bonus.lot lot=a amount=49 currency=bonus activates_at='day 3'; day 5 "
		"expect "
		"nothing\","
		"\"day 0 bonus.lot lot=a amount=30 currency=bonus activates_at='day 3'; bonus.lot "
		"lot=b "
		"amount=20 currency=bonus activates_at='day 3 at 18:00'; bonus.lot lot=c amount=99 "
		"currency=bonus activates_at='day 4'; day 2 expect act saying '50 in 1 days'; day "
		"3 "
		"expect act saying '99 in', balance bonus = 50; day 9 expect nothing, balance "
		"bonus = 149\""
		" ); },"
		"{ name = \"expires\"; every = \"day at 11:00\"; look = \"bonus.expires\"; ahead = "
		"[ "
		"\"14 days\", \"3 days\" ]; send = \"act\"; via = [ \"sms\" ]; stories = ("
		"\"day 0 bonus.lot lot=a amount=60 currency=bonus expires_at='day 20'; day 5 "
		"expect act saying '60 in 14'; day 10 bonus.deducted amount=15 currency=bonus "
		"receipt=r; day 16 expect act saying '45 in 3'; day 20 expect balance bonus = "
		"0\" ); },"
		"{ name = \"birthday\"; every = \"day at 09:30\"; look = \"member.birthday\"; "
		"accrue = { "
		"currency = \"stars\"; amount = \"50\"; lives = \"30 days\"; }; min_member_age = "
		"\"7 "
		"days\"; send = \"bd\"; via = [ \"push\", \"sms\" ]; stories = ("
		"\"member birthday='day 3'; day 2 expect nothing; day 3 09:29 expect nothing; day "
		"3 "
		"expect bd by push saying '50 for you', balance stars = 50; day 33 expect balance "
		"stars "
		"= 50; day 34 expect balance stars = 0; day 368 expect bd\","
		/* RT-5 */
		"\"2027-02-20 begin; member birthday=02-29; 2027-02-28 expect bd; 2028-02-28 "
		"expect "
		"nothing; 2028-02-29 expect bd\","
		"\"member birthday='day 3', registered='day 0'; day 5 expect nothing, balance "
		"stars = "
		"0\","
		"\"member birthday='day 3', no push, no phone; day 3 expect suppressed bd for "
		"no_contact, "
		"balance stars = 50\" ); } );");
}

static void test_failing_stories_of_tasks(void **state)
{
	char *got = told(POINTS
		"tasks = (\n{ name = \"birthday\"; every = \"day at 09:30\"; look = "
		"\"member.birthday\"; send = \"bd\"; via = [ \"push\", \"sms\" ];\nstories = ("
		"\"member birthday='day 3'; day 3 expect nothing\", \"member birthday='day 3'; day "
		"3 "
		"expect bd, balance stars = 7\" ); } );");
	static const char *const want[] = { "test.conf:",
		"task birthday, story 1: \"day 3 expect nothing\"",
		"bd by push on day 3 09:30 left", "balance stars = 7\": the balance is 0",
		"2 of 2 stories failed" };

	for (size_t i = 0; i < sizeof want / sizeof *want; i++)
		if (!strstr(got, want[i]))
			fail_msg("%s\nwithout \"%s\"", got, want[i]);
	mem_free(&got);
}

static void test_CH_4_several_devices_are_one_message(void **state)
{
	comes_true(TEXTS CHAIN("stop",
		"\"day 0 app.installed device=d2 token=t2 platform=ios service=apns; day 0 "
		"app.installed device=d3 token=t3 platform=android service=fcm; day 0 "
		"registration.completed; day 14 expect one by push; day 28 expect two\""));
}

static void test_failing_stories_are_faults_with_place_and_history(void **state)
{
	static const struct {
		const char *story, *want[4];
	} v[] = {
		{ "\"day 0 registration.completed; day 13 expect one\"",
			{ "test.conf:9:",
				"offer chain, story 1: \"day 13 expect one\": expected one, "
				"and nothing left",
				"what happened: day 0 12:00 registration.completed",
				"1 of 1 stories failed" } },
		{ "\"day 0 registration.completed; day 60 expect nothing\"",
			{ "\"day 60 expect nothing\": one by push on day 14 12:00, two by email on "
			  "day "
			  "28 12:00 left" } },
		{ "\"day 0 registration.completed; day 15 expect one\"",
			{ "expected one, and one by push on day 14 12:00 left" } },
		{ "\"day 0 registration.completed; day 14 expect one by sms\"",
			{ "expected one by sms, and one by push" } },
		{ "\"day 0 registration.completed; day 28 expect two\"",
			{ "one by push on day 14 12:00 was not expected" } },
		{ "\"day 0 registration.completed; day 14 expect suppressed one for consent\"",
			{ "suppressed was nothing" } },
		{ "\"day 0 registration.complete\"", { "is registration.completed meant?" } },
		{ "\"day 5 registration.completed; day 4 expect nothing\"",
			{ "that is before the clause before it" } },
		{ "\"member shoe=44; day 5 registration.completed\"",
			{ "a member has no \"shoe\"" } },
		{ "\"day 0 delivered one\"", { "no such message has left" } },
		{ "\"expect counter x = 1\"", { "there is no counter \"x\"" } },
		{ "\"expect receipt 'x'\"", { "the receipt says nothing" } },
	};

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		char text[4000];
		char *got;

		snprintf(text, sizeof text, TEXTS CHAIN("restart", "%s"), v[i].story);
		got = told(text);
		for (unsigned k = 0; k < 4 && v[i].want[k]; k++)
			if (!strstr(got, v[i].want[k]))
				fail_msg("%s:\n%s\nwithout \"%s\"", v[i].story, got, v[i].want[k]);
		mem_free(&got);
	}
}

static void test_told_in_words_and_json(void **state)
{
	struct conf_faults f = { 0 };
	struct rules *r = rules_load_text("t",
		STR(TEXTS CHAIN("restart", "\"day 0 registration.completed; day 14 expect one\","
					   "\"day 0 registration.completed; day 14 expect two\"")),
		MEDIA_ANY, &f);
	struct buf b = BUF_INIT;
	unsigned told_n;

	assert_non_null(r);
	assert_int_equal(stories_tell(r, STR_NONE, &b, false, &told_n), 1);
	assert_int_equal(told_n, 2);
	assert_non_null(strstr(buf_cstr(&b), "ok   chain 1: day 0"));
	assert_non_null(strstr(b.p, "FAIL chain 2: day 0"));
	buf_reset(&b);
	assert_int_equal(stories_tell(r, STR("chain"), &b, true, &told_n), 1);
	assert_int_equal(b.p[0], '[');
	assert_non_null(strstr(buf_cstr(&b), "},{\"offer\":\"chain\",\"story\":2"));
	assert_non_null(strstr(b.p, "\"ok\":false,\"why\":"));
	buf_reset(&b);
	assert_int_equal(stories_tell(r, STR("other"), &b, true, &told_n), 0);
	assert_int_equal(told_n, 0);
	assert_string_equal(buf_cstr(&b), "[]");
	buf_free(&b);
	conf_faults_free(&f);
	rules_unref(&r);
}

static void loads_with_stories(const char *folder, size_t stories)
{
	struct conf_faults f = { 0 };
	struct rules *r = rules_load(folder, MEDIA_ANY, &f);
	struct buf b = BUF_INIT;

	if (r)
		assert_true(stories_run(r, &f) >= stories);
	conf_faults_text(&f, &b);
	if (!r || f.errors)
		fail_msg("%s", buf_cstr(&b));
	buf_free(&b);
	conf_faults_free(&f);
	rules_unref(&r);
}

/* The files under conf/examples/offers load as they stand, and their stories come true. */
static void test_CF_1_the_installed_examples(void **state)
{
	loads_with_stories("conf/examples/offers/", 9);
}

/* Those of the specification, too, with nothing but the texts that they name beside them. */
static void test_CF_1_the_examples_of_the_specification(void **state)
{
	loads_with_stories("tests/data/examples/", 2);
}

static void test_counters_of_sums(void **state)
{
	comes_true(TEXTS
		"counters = { spent = { of = \"purchase.completed\"; sum = \"event.total\"; "
		"per = \"member\"; undo_on_refund = true; }; };"
		"offers = ( { name = \"o\"; when = \"purchase.completed\"; actions = ( { do = "
		"\"receipt\"; text = \"Hello.\"; only_if = \"counter('spent') "
		"between 30.25 and 30.75\"; } ); stories = ( \"day 0 "
		"purchase.completed receipt=1 total=30.50; expect receipt 'Hello.', counter "
		"spent = 30.50; day 1 purchase.refunded refunds=1 total=30.50; day 2 "
		"purchase.refunded refunds=1 total=30.50; expect counter spent = 0\" ); } );");
}

static void test_CN_30_a_cancel_at_the_moment_that_is_due(void **state)
{
	comes_true(TEXTS CHAIN("stop",
		"\"day 0 registration.completed; day 14 purchase.completed; day 60 expect "
		"nothing\","
		"\"day 0 registration.completed; day 14 at 12:00 purchase.completed; day 60 expect "
		"nothing\""));
}

static void test_the_member_has_a_status(void **state)
{
	comes_true(TEXTS
		"offers = ( { name = \"o\"; when = \"card.activated\"; only_if = \"member.status "
		"!= "
		"'staff'\"; actions = ( { do = \"send\"; template = \"one\"; via = \"sms\"; } );"
		"stories = ( \"day 0 card.activated; expect one\","
		"\"member status=staff; day 0 card.activated; expect nothing\","
		"\"member no status; day 0 card.activated; expect nothing\" ); } );");
}

static void test_a_few_hundred_are_quick(void **state)
{
	struct buf b = BUF_INIT;
	mono_t start;

	buf_c(&b, TEXTS);
	buf_c(&b, "offers = ( ");
	for (int i = 0; i < 100; i++)
		buf_printf(&b,
			"%s{ name = \"o%d\"; when = \"registration.completed\"; unless = [ "
			"\"purchase.completed\" ]; steps = ( { after = \"14 days\"; send = "
			"\"one\"; via = "
			"[ \"sms\" ]; }, { after = \"14 days\"; send = \"two\"; via = [ \"sms\" ]; "
			"} ); "
			"stories = ( \"day 0 registration.completed; day 14 expect one; day 28 "
			"expect "
			"two; day 60 expect nothing\", \"day 0 registration.completed; day 5 "
			"purchase.completed; day 19 expect one\", \"day 0 registration.completed; "
			"day 20 "
			"purchase.completed; day 14 expect one\" ); }",
			i ? ", " : "", i);
	buf_c(&b, " );");
	/* the last of each is wrong: its days go back */
	start = clock_mono();
	{
		char *got = told(buf_cstr(&b));
		unsigned lines = 0;

		for (char *p = got; *p; p++)
			lines += *p == '\n';
		assert_int_equal(lines, 100 + 1);
		assert_non_null(strstr(got, "100 of 300 stories failed"));
		mem_free(&got);
	}
	if (clock_mono() - start > 20 * DUR_S)
		fail_msg("300 stories took %ld ms", (long)((clock_mono() - start) / DUR_MS));
	print_message("300 stories: %ld ms\n", (long)((clock_mono() - start) / DUR_MS));
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_two_examples_of_the_seeds),
		cmocka_unit_test(test_what_stories_can_say),
		cmocka_unit_test(test_stories_of_answers_and_unsubscribing),
		cmocka_unit_test(test_QH_4_cancelled_while_it_is_held),
		cmocka_unit_test(test_next_if_sent_does_not_wait_for_receipts),
		cmocka_unit_test(test_events_in_full),
		cmocka_unit_test(test_counters_receipts_and_status),
		cmocka_unit_test(test_RT_tasks_have_stories_too),
		cmocka_unit_test(test_failing_stories_of_tasks),
		cmocka_unit_test(test_CH_4_several_devices_are_one_message),
		cmocka_unit_test(test_failing_stories_are_faults_with_place_and_history),
		cmocka_unit_test(test_told_in_words_and_json),
		cmocka_unit_test(test_CF_1_the_installed_examples),
		cmocka_unit_test(test_CF_1_the_examples_of_the_specification),
		cmocka_unit_test(test_counters_of_sums),
		cmocka_unit_test(test_CN_30_a_cancel_at_the_moment_that_is_due),
		cmocka_unit_test(test_the_member_has_a_status),
		cmocka_unit_test(test_a_few_hundred_are_quick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
