/* Every event with everything that may be done on it (EV-10), and what may happen to a member while
 * a chain is armed (8.4): through the whole engine.
 */
#include "plugins/offers/engine_fixture.h"

/* Each of the twenty, and each thing that may be done on it: it is done, once, for whose event it
 * is. What an assigned status brings about stops by itself. */
static void test_EV_10_each_event_does_what_it_may(void **state)
{
	for (unsigned t = EVENT_DISCOUNT_CALCULATED; t <= EVENT_STATUS_CALCULATED; t++) {
		bool friends = t == EVENT_FRIEND_PURCHASED;
		bool lines = friends || (event_kinds[t].flags & EV_TILL);
		struct buf b = BUF_INIT;

		buf_printf(&b,
			"members = { statuses = [ \"tier\", \"level\" ]; }; offer = { name = "
			"\"o\"; kind ="
			" \"service\"; when = \"%s\"; actions = ( ",
			event_kinds[t].word);
		for (unsigned k = 0; lines && k < 2; k++)
			buf_printf(&b, "{ do = \"%s\"; text = \"Line %u.\"; %s }, ",
				k ? "cashier" : "receipt", k,
				friends ? "addressee = \"buyer\";" : "");
		buf_c(&b, "{ do = \"send\"; template = \"hi\"; via = \"sms\"; },"
			  " { do = \"status\"; system = \"level\"; value = \"gold\"; } ); };");
		begin(buf_cstr(&b));
		reachable();
		buf_reset(&b);
		buf_c(&b, "\"store\":\"s\",\"receipt\":\"r\",\"data\":{\"discount\":8,\"amount\":5,"
			  "\"currency\":\"bonus\",\"total\":10,\"value\":\"x\",\"system\":\"tier\","
			  "\"from\":"
			  "\"y\",\"to\":\"x\",\"card\":\"c\",\"section\":\"home\",\"provider\":"
			  "\"vk\",\"profile\":"
			  "\"p\",\"group\":\"g\",\"object\":\"o\",\"friend\":\"f\",\"device\":"
			  "\"d\",\"token\":\"t\","
			  "\"platform\":\"ios\",\"service\":\"apns\",\"kind\":\"like\"}");
		if (t == EVENT_CONTACT_LINKED) {
			buf_reset(&b);
			buf_c(&b, "\"data\":{\"kind\":\"phone\",\"value\":\"+46700000001\"}");
		}
		assert_int_equal(happens(0, event_kinds[t].word, buf_cstr(&b)), TOOK);
		if ((strstr(answer.p, "\"receipt\":[\"Line 0.\"]") != NULL) != lines ||
			(strstr(answer.p, "\"cashier\":[\"Line 1.\"]") != NULL) != lines)
			fail_msg("%s: %s", event_kinds[t].word, answer.p);
		to_day(1);
		of_unit();
		if (of.sent_n == 0 ||
			(t != EVENT_STATUS_CALCULATED && t != EVENT_STATUS_CHANGED &&
				of.sent_n != 1) ||
			!str_is(member_status(&of.w, of_member("m"), "level"), "gold"))
			fail_msg("%s: %u messages", event_kinds[t].word, of.sent_n);
		buf_free(&b);
		end(NULL);
	}
	begin("");
}

/* ---- while it is armed ---- */
static void armed(const char *more)
{
	struct buf b = BUF_INIT;

	buf_printf(&b,
		"offer = { name = \"c\"; kind = \"service\"; when = [ \"registration.completed\", "
		"\"card.assigned\" ]; unless = \"purchase.completed\"; then = \"stop\"; steps = ( "
		"{ after = "
		"\"14 days\"; %s send = \"hi\"; via = [ \"sms\", \"push\" ]; }, { after = \"14 "
		"days\"; send "
		"= \"hi2\"; via = [ \"sms\", \"push\" ]; } ); };",
		more);
	begin(buf_cstr(&b));
	buf_free(&b);
}

static void goes_by(unsigned i, enum media media, const char *to)
{
	assert_true(of.sent_n > i);
	assert_int_equal(of.sent[i]->media, media);
	assert_true(str_is(message_get(of.sent[i], FIELD_TO), to));
}

static int64_t held(const char *reason)
{
	char query[120];

	snprintf(query, sizeof query,
		"SELECT count(*) FROM of_sent WHERE state = %d AND reason LIKE '%s%%'",
		STATE_SUPPRESSED, reason);
	return of_number(query);
}

/* Where it goes is found out when it leaves: the phone of then, the next way, or none. */
static void test_8_4_contacts_come_and_go(void **state)
{
	armed("");
	happens(0, "phone.linked", "\"data\":{\"value\":\"+46700000001\"}");
	happens(0, "registration.completed", "");
	to_day(3);
	happens(3, "app.installed",
		"\"data\":{\"device\":\"d\",\"token\":\"t1\",\"platform\":\"ios\",\"service\":"
		"\"apns\"}");
	happens(3, "contact.unlinked", "\"data\":{\"kind\":\"phone\",\"value\":\"+46700000001\"}");
	to_day(14);
	expect_sent(1, "Hi.");
	goes_by(0, MEDIA_PUSH, "t1");
	to_day(20);
	happens(20, "phone.linked", "\"data\":{\"value\":\"+46700000002\"}");
	to_day(28);
	expect_sent(2, "Hi again.");
	goes_by(1, MEDIA_SMS, "46700000002");
	end(NULL);

	armed("");
	happens(0, "phone.linked", "\"data\":{\"value\":\"+46700000001\"}");
	happens(0, "registration.completed", "");
	to_day(3);
	happens(3, "contact.unlinked", "\"data\":{\"kind\":\"phone\",\"value\":\"+46700000001\"}");
	happens(3, "app.installed",
		"\"data\":{\"device\":\"d\",\"token\":\"t1\",\"platform\":\"ios\",\"service\":"
		"\"apns\"}");
	to_day(4);
	happens(4, "app.removed", "\"data\":{\"device\":\"d\"}");
	to_day(14);
	expect_sent(0, NULL);
	assert_int_equal(held("no_contact") + held("no contact"), 1);
	to_day(20);
	happens(20, "phone.linked", "\"data\":{\"value\":\"+46700000002\"}");
	to_day(28);
	expect_sent(1, "Hi again."); /* the chain has gone on */
}

static void test_8_4_consent_withdrawn_and_given_back(void **state)
{
	armed("");
	reachable();
	happens(0, "registration.completed", "");
	to_day(13);
	happens(13, "consent.changed",
		"\"data\":{\"row\":\"*\",\"channel\":\"sms\",\"granted\":false}");
	to_day(14);
	expect_sent(0, NULL);
	assert_int_equal(held("consent") + held("blocked"), 1);
	happens(14, "consent.changed",
		"\"data\":{\"row\":\"*\",\"channel\":\"sms\",\"granted\":true}");
	to_day(28);
	expect_sent(1, "Hi again.");
}

static void test_8_4_a_member_leaves(void **state)
{
	armed("");
	reachable();
	happens(0, "registration.completed", "");
	to_day(14);
	expect_sent(1, "Hi.");
	of.waits = true; /* in its queue still */
	to_day(15);
	happens(15, "member.left", "");
	assert_non_null(strstr(answer.p, "\"removed\":1"));
	assert_int_equal(of_number("SELECT count(*) FROM of_chain"), 0);
	happens(16, "registration.completed", "\"data\":{}"); /* of somebody who is unknown now */
	to_day(60);
	assert_int_equal(of_number("SELECT count(*) FROM of_sent WHERE msg > 0"), 1);
}

/* Armed twice as two people, it is one chain from the earlier moment. */
static void test_8_4_members_are_merged(void **state)
{
	armed("");
	reachable();
	to_day(3);
	happens(3, "registration.completed", "");
	put_event("{\"id\":\"b\",\"type\":\"registration.completed\",\"member\":{\"id\":\"m2\","
		  "\"phone\":"
		  "\"+46700000001\"},\"occurred_at\":\"2026-03-02T10:00:00Z\"}"); /* day 1 */
	to_day(5);
	put_event("{\"id\":\"g\",\"type\":\"member.merged\",\"member\":{\"id\":\"m2\"},\"data\":{"
		  "\"into\":"
		  "\"m\"}}");
	to_day(14.999);
	expect_sent(0, NULL);
	to_day(15);
	expect_sent(1, "Hi.");
	to_day(17);
	expect_sent(1, NULL);
	to_day(29);
	expect_sent(2, "Hi again.");
	to_day(60);
	expect_sent(2, NULL);
}

/* A customer who has a card and no name is written to as the member that they become; and a
 * purchase of the member disarms what the card armed. */
static void test_8_4_anonymous_becomes_a_member(void **state)
{
	for (int buys = 0; buys < 2; buys++) {
		armed("");
		put_event("{\"id\":\"a\",\"type\":\"card.assigned\",\"member\":{\"card\":\"c1\"},"
			  "\"occurred_at\":\"2026-03-01T10:00:00Z\",\"data\":{\"card\":\"c1\"}}");
		to_day(2);
		put_event("{\"id\":\"b\",\"type\":\"phone.linked\",\"member\":{\"id\":\"m\","
			  "\"card\":\"c1\"},"
			  "\"data\":{\"value\":\"+46700000001\"}}");
		if (buys)
			happens(2, "purchase.completed", "");
		to_day(14);
		expect_sent(buys ? 0 : 1, NULL);
		if (!buys)
			goes_by(0, MEDIA_SMS, "46700000001");
		to_day(28);
		expect_sent(buys ? 0 : 2, NULL);
		if (!buys)
			end(NULL);
	}
}

/* At ten in the morning where they are by then. */
static void test_8_4_the_zone_changes(void **state)
{
	armed("at = \"10:00-12:00\";");
	reachable();
	happens(0, "registration.completed", "");
	assert_int_equal(of.w.next_due, day_0 + 14 * DUR_DAY);
	to_day(1);
	happens(1, "member.updated", "\"data\":{\"member\":{\"zone\":\"America/New_York\"}}");
	of.w.now = day_0 + 14 * DUR_DAY + 4 * DUR_HOUR - DUR_S;
	fire();
	expect_sent(0, NULL);
	of.w.now += DUR_S; /* 10:00 there, on summer time by then */
	fire();
	expect_sent(1, "Hi.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, end)
		T(test_EV_10_each_event_does_what_it_may),
		T(test_8_4_contacts_come_and_go),
		T(test_8_4_consent_withdrawn_and_given_back),
		T(test_8_4_a_member_leaves),
		T(test_8_4_members_are_merged),
		T(test_8_4_anonymous_becomes_a_member),
		T(test_8_4_the_zone_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
