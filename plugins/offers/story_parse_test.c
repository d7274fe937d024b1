/* The grammar of stories: what is understood, and what faults say. */
#include "plugins/offers/story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct arena *arena;
static char why[300];

static int begin(void **state)
{
	arena = arena_new();
	return 0;
}

static int end(void **state)
{
	arena_free(&arena);
	return 0;
}

static struct story *parse(const char *text)
{
	struct story *s = story_parse(arena, str_of(text), why, sizeof why);

	if (!s)
		fail_msg("%s: %s", text, why);
	return s;
}

static void test_the_seed_examples(void **state)
{
	struct story *s = parse("day 0 registration.completed; day 5 purchase.completed; "
				"day 18 expect nothing; day 19 expect come-back-1");

	assert_int_equal(s->n, 4);
	assert_int_equal(s->v[0].what, STORY_EVENT);
	assert_int_equal(s->v[0].type, EVENT_REGISTRATION_COMPLETED);
	assert_int_equal(s->v[0].when, STORY_DAY);
	assert_int_equal(s->v[0].day, 0);
	assert_int_equal(s->v[0].clock, -1);
	assert_true(str_is(s->v[1].text, "day 5 purchase.completed"));
	assert_int_equal(s->v[2].wishes[0].what, WISH_NOTHING);
	assert_int_equal(s->v[3].day, 19);
	assert_int_equal(s->v[3].wishes[0].what, WISH_MESSAGE);
	assert_true(str_is(s->v[3].wishes[0].name, "come-back-1"));
	assert_int_equal(s->v[3].wishes[0].count, 1);
	assert_int_equal(s->v[3].wishes[0].media, -1);
}

static void test_events_with_attributes_times_and_names(void **state)
{
	struct story *s = parse(
		"2026-03-28 12:00 begin; "
		"day 1 at 22:30 discount.calculated discount=8 products=['a', 'b'] receipt='r;1' "
		"as card 77 late 2 hours 30 min; after 90 min phone.linked; 08:15 app.installed "
		"as nobody");

	assert_int_equal(s->n, 4);
	assert_int_equal(s->v[0].what, STORY_BEGIN);
	assert_int_equal(s->v[0].when, STORY_DATE);
	assert_int_equal(s->v[0].clock, 12 * DUR_HOUR);
	assert_int_equal(s->v[1].clock, 22 * DUR_HOUR + 30 * DUR_MIN);
	assert_int_equal(s->v[1].pairs_n, 3);
	assert_true(str_is(s->v[1].pairs[0].value, "8"));
	assert_true(s->v[1].pairs[1].json);
	assert_true(str_is(s->v[1].pairs[1].value, "[\"a\", \"b\"]"));
	assert_true(str_is(s->v[1].pairs[2].value, "r;1"));
	assert_int_equal(s->v[1].alias, ALIAS_CARD);
	assert_true(str_is(s->v[1].who, "77"));
	assert_int_equal(s->v[1].late.exact, 150 * DUR_MIN);
	assert_int_equal(s->v[2].when, STORY_AFTER);
	assert_int_equal(s->v[2].after.exact, 90 * DUR_MIN);
	assert_string_equal(s->v[2].kind, "phone");
	assert_int_equal(s->v[3].when, STORY_CLOCK);
	assert_int_equal(s->v[3].alias, ALIAS_KINDS);
}

static void test_wishes(void **state)
{
	struct story *s =
		parse("expect 2 thanks by sms saying 'It''s yours', receipt 'a' and cashier 'b'; "
		      "expect suppressed come-back for consent, suppressed, counter x = -1, "
		      "status tier = gold and status = 'silver'");
	const struct wish *v = s->v[0].wishes;

	assert_int_equal(s->v[0].wishes_n, 3);
	assert_int_equal(v[0].count, 2);
	assert_int_equal(v[0].media, MEDIA_SMS);
	assert_true(str_is(v[0].text, "It's yours"));
	assert_int_equal(v[1].what, WISH_RECEIPT);
	assert_int_equal(v[2].what, WISH_CASHIER);
	v = s->v[1].wishes;
	assert_int_equal(s->v[1].wishes_n, 5);
	assert_int_equal(v[0].hold, HOLD_CONSENT);
	assert_true(str_is(v[0].name, "come-back"));
	assert_int_equal(v[1].hold, -1);
	assert_int_equal(v[1].name.n, 0);
	assert_int_equal(v[2].number, -1 * DECIMAL_ONE);
	assert_true(str_is(v[3].name, "tier"));
	assert_true(str_is(v[4].text, "silver"));
}

static void test_members_consent_and_news(void **state)
{
	struct story *s =
		parse("member zone=Asia/Tokyo, city='New York', no push, no phone; refuse viber; "
		      "agree CommunicationOffer by sms; refuse all; delivered; undelivered bonus");

	assert_int_equal(s->v[0].pairs_n, 4);
	assert_true(str_is(s->v[0].pairs[0].value, "Asia/Tokyo"));
	assert_true(str_is(s->v[0].pairs[3].name, "no"));
	assert_int_equal(s->v[1].media, MEDIA_VIBER);
	assert_int_equal(s->v[1].row, -1);
	assert_int_equal(s->v[2].row, ROW_OFFER);
	assert_true(s->v[2].granted);
	assert_int_equal(s->v[3].row, -1);
	assert_int_equal(s->v[3].media, -1);
	assert_int_equal(s->v[4].state, STATE_DELIVERED);
	assert_true(str_is(s->v[5].name, "bonus"));
}

static void test_faults_say_where_and_what(void **state)
{
	static const char *const v[][2] = {
		{ "", "an empty story" },
		{ " ; ; ", "an empty story" },
		{ "day 0 purchase.complete", "column 7: \"purchase.complete\" is no event; is "
					     "purchase.completed meant?" },
		{ "day x purchase.completed", "column 5: \"x\" is no number of a day" },
		{ "day 3", "column 6: nothing happens here: an event or \"expect\" is missing" },
		{ "expect", "column 7: expect what? \"nothing\", or the name of a template" },
		{ "expect nothing, x", "\"nothing\" and something" },
		{ "expect x, nothing", "column 18: \"nothing\" and something" },
		{ "purchase.completed discount", "column 28: \"=\" is missing after \"discount\"" },
		{ "purchase.completed section=3", "" },
		{ "expect x by fax",
			"column 13: \"fax\" is no medium: sms, email, push, viber, social" },
		{ "expect 'x", "column 8: a quote that does not end" },
		{ "purchase.completed items=[1", "column 26: a bracket that does not end" },
		{ "begin", "column 6: begin when? \"2026-03-28 12:00 begin\"" },
		{ "day 0 purchase.completed; 2026-01-01 begin", "" },
		{ "member no fax", "" },
		{ "refuse Everything", "" },
		{ "day 1 25:00 purchase.completed", "" },
		{ "day 0 at noon purchase.completed", "column 10: \"noon\" is no time of day" },
		{ "after a while purchase.completed", "" },
		{ "expect suppressed x for fun",
			"column 25: \"fun\" is no reason for suppressing" },
		{ "day 0 purchase.completed total=3 )", "" },
	};

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		struct story *s = story_parse(arena, str_of(v[i][0]), why, sizeof why);

		if (s)
			fail_msg("%s: taken", v[i][0]);
		assert_true(why[0] != '\0');
		if (v[i][1][0] && !strstr(why, v[i][1]))
			fail_msg("%s: %s", v[i][0], why);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_seed_examples),
		TEST(test_events_with_attributes_times_and_names),
		TEST(test_wishes),
		TEST(test_members_consent_and_news),
		TEST(test_faults_say_where_and_what),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
