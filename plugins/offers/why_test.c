/* Why, why not, and simulating: what people are told. */
#include "plugins/offers/offers_fixture.h"
#include "plugins/offers/story.h"
#include "plugins/offers/why.h"
#include "plugins/offers/world.h"
#include "plugins/plugin.h"

static const char text[] =
	"policy = { default_clock = \"Europe/Riga\"; marketing = { quiet = [ \"21:00-09:00\" ]; "
	"max = [ \"1 per day\" ]; }; };\n"
	"templates = { one = { en = { sms = \"Dear ${Member.first_name}, one.\"; viber = { text = "
	"\"One\"; }; }; }; two = { en = { sms = \"Two\"; }; }; };\n"
	"members = { attributes = { city = \"text\"; }; };\n"
	"offers = ( { name = \"chain\"; when = \"registration.completed\"; unless = [ "
	"\"purchase.completed\" ]; only_if = \"member.city == 'Riga'\"; active = { to = "
	"\"2026-12-31\"; }; steps = ( { after = \"14 days\"; send = \"one\"; via = [ \"viber\", "
	"\"sms\" ]; }, { after = \"14 days\"; send = \"two\"; via = [ \"sms\" ]; } );"
	" limits = { per_member = \"2 per 30 days\"; }; },"
	" { name = \"thanks\"; kind = \"service\"; when = \"purchase.completed\"; actions = ( { do "
	"= "
	"\"send\"; template = \"two\"; via = \"sms\"; only_if = \"event.total > 10\"; } ); },"
	" { name = \"once\"; when = \"registration.completed\"; unless = \"purchase.completed\"; "
	"then = \"stop\"; steps = ( { after = \"14 days\"; send = \"two\"; via = [ \"sms\" ]; } ); "
	"} );\n";

static struct world *w;
static struct rules *rules;
static struct buf out;

static int begin(void **state)
{
	struct conf_faults f = { 0 };
	struct err e = { 0 };
	uint64_t id;

	rules = rules_load_text("t", str_of(text), MEDIA_ANY, &f);
	if (!rules) {
		conf_faults_text(&f, &out);
		fail_msg("%s", buf_cstr(&out));
	}
	conf_faults_free(&f);
	w = world_open(rules, &e);
	assert_non_null(w);
	assert_int_equal(world_reset(w, rules, of_at("2026-03-02T12:00:00+02:00")), 0);
	assert_int_equal(world_member(w, STR("4711"), &id), 0);
	return 0;
}

static int end(void **state)
{
	world_close(&w);
	rules_unref(&rules);
	buf_free(&out);
	return 0;
}

static void happens(enum event_type t, const char *id, int64_t total)
{
	struct event *e = event_make(t, w->now, STR("test"), str_of(id));
	struct reply r = { 0 };

	e->who[ALIAS_MEMBER] = STR("4711");
	if (total)
		e->attr[ATTR_total] = value_decimal(total * DECIMAL_ONE);
	event_seal(e);
	assert_int_equal(world_event(w, e, &r), 1);
	reply_free(&r);
}

static const char *why(const char *offer, bool not, bool json)
{
	buf_reset(&out);
	assert_true(why_tell(world_unit(w), STR("4711"), str_of(offer), not, json, &out) >= 0);
	return buf_cstr(&out);
}

static void has(const char *got, const char *want)
{
	if (!strstr(got, want))
		fail_msg("without \"%s\":\n%s", want, got);
}

static void city(const char *name)
{
	struct member *m;
	struct work *u = world_unit(w);

	assert_int_equal(member_load(u, 1, &m), 1);
	assert_int_equal(member_attrs(u, m), 0);
	m->attrs[0] = name ? value_text(str_of(name)) : VALUE_NONE;
	assert_int_equal(member_set_attrs(u, m), 0);
}

static void test_why_not_shows_each_value(void **state)
{
	const char *s = why("chain", true, false);

	has(s, "NO   event");
	has(s, "no registration.completed of this member is known");
	has(s, "NO   only_if        member.city == 'Riga'");
	has(s, "member.city = missing");
	has(s, "NO   chain");
	has(s, "What stands in the way: event: no registration.completed");
	city("Riga");
	happens(EVENT_REGISTRATION_COMPLETED, "e1", 0);
	s = why("chain", true, false);
	has(s, "yes  event          registration.completed at 2026-03-02 12:00");
	has(s, "yes  only_if");
	has(s, "= 'Riga'");
	has(s, "step 1 of 2 due 2026-03-16 12:00");
	has(s, "yes    viber leaves at once");
	has(s, "Nothing stands in the way.");
	has(s, "What comes next: step 1 is looked at again 2026-03-16 12:00");
	s = why("nothing", true, false);
	has(s, "there is no offer \"nothing\"");
}

static void test_why_not_names_what_disarmed(void **state)
{
	const char *s;

	city("Riga");
	happens(EVENT_REGISTRATION_COMPLETED, "e1", 0);
	assert_int_equal(world_until(w, w->now + 3 * DUR_DAY), 0);
	happens(EVENT_PURCHASE_COMPLETED, "e2", 5);
	/* restart is the default: it runs from there */
	s = why("chain", true, false);
	has(s, "chain          begun 2026-03-02 12:00, disarmed 2026-03-05 12:00 by "
	       "purchase.completed (id e2 of test)");
	has(s, "yes  chain          begun 2026-03-05 12:00, step 1 of 2");
	has(s, "Nothing stands in the way.");
	/* stop: that is what stands in the way */
	assert_int_equal(world_until(w, w->now + DUR_HOUR), 0);
	happens(EVENT_REGISTRATION_COMPLETED, "e3", 0);
	s = why("once", true, false);
	has(s, "step 1 of 1");
	assert_int_equal(world_until(w, w->now + DUR_DAY), 0);
	happens(EVENT_PURCHASE_COMPLETED, "e4", 5);
	s = why("once", true, false);
	has(s, "NO   chain          begun 2026-03-05 13:00, disarmed 2026-03-06 13:00 by "
	       "purchase.completed (id e4 of test)");
	has(s, "What stands in the way: chain: begun 2026-03-05 13:00, disarmed");
	s = why("once", true, true);
	has(s, "\"holds\":false,\"is\":\"begun 2026-03-05 13:00, disarmed");
}

static const char *why_of(const struct plugin_found *f)
{
	buf_reset(&out);
	assert_int_equal(why_message(world_unit(w), f, false, &out), 0);
	return buf_cstr(&out);
}

/* Messages of other senders under policy = "marketing", and ours by their id. */
static void test_why_of_one_message(void **state)
{
	struct plugin_found f = { .id = 77,
		.submitter = "http/crm",
		.judged = true,
		.state = STATE_SUPPRESSED,
		.reason = REASON_CAP,
		.words = "cap \"1 per day\"",
		.accepted = w->now };
	struct draft d;
	const char *s;

	draft_init(&d);
	draft_put(&d, FIELD_TO, STR("37120000001")); /* whose it is */
	f.msg = draft_seal(&d);
	s = why_of(&f);
	has(s, "of http/crm, sms to 37120000001");
	has(s, "suppressed: the recipient has had as many such messages as allowed (cap \"1 per "
	       "day\")");
	has(s, "marketing, row Advertisement");
	has(s, "yes  member         4711, registered");
	has(s, "yes  consent        Advertisement by sms: granted");
	has(s, "yes  suppression    the address is not suppressed");
	has(s, "yes  hours          2026-03-02 12:00 in Europe/Riga: open until 2026-03-02 21:00");
	has(s, "yes  cap            \"1 per day\": 0 of 1");
	has(s, "it would go at once");
	has(s, "Nothing stands in the way.");
	/* the cap is used up, the number suppressed, the hours quiet */
	{
		struct policy_case c;
		struct work *u = world_unit(w);

		assert_int_equal(policy_case_of(u, f.msg, STR_NONE, &c), 0);
		assert_int_equal(policy_touch(u, &c, w->now, 5), 0);
		assert_int_equal(address_block(u, STR("37120000001"), MEDIA_SMS, -1, STR("asked"),
					 STR("ops"), STR_NONE),
			0);
	}
	s = why_of(&f);
	has(s, "NO   suppression    asked by ops at 2026-03-02 12:00");
	has(s, "NO   cap            \"1 per day\": 1 of 1");
	has(s, "it would not be sent: the address or the member is blocked");
	has(s, "What stands in the way: suppression: asked by ops");
	assert_int_equal(world_until(w, w->now + 10 * DUR_HOUR), 0);
	has(why_of(&f), "NO   hours          2026-03-02 22:00 in Europe/Riga: quiet until "
			"2026-03-03 09:00");
	/* whose account is under none */
	f.judged = false;
	has(why_of(&f), "none is asked about what http/crm submits");
	message_unref(&f.msg);
	draft_free(&d);
}

static void test_why_of_a_message_of_ours(void **state)
{
	struct plugin_found f = { .id = 1, .submitter = "plugin/offers", .state = STATE_SENT };
	const char *s;

	city("Riga");
	happens(EVENT_REGISTRATION_COMPLETED, "e1", 0);
	assert_int_equal(world_until(w, w->now + 15 * DUR_DAY), 0);
	f.accepted = w->now;
	s = why_of(&f);
	has(s, "offer \"chain\", step 1, for 4711");
	has(s, "yes  only_if        member.city == 'Riga'");
	has(s, "step 2 of 2 due 2026-03-30 12:00");
}

static void test_why_tells_what_was_sent(void **state)
{
	const char *s;

	city("Riga");
	happens(EVENT_REGISTRATION_COMPLETED, "e1", 0);
	assert_int_equal(world_until(w, w->now + 15 * DUR_DAY), 0);
	s = why("chain", false, false);
	has(s, "2026-03-16 12:00 one by viber: sent (message 1)");
	has(s, "step 2 of 2 due 2026-03-30 12:00");
	happens(EVENT_PURCHASE_COMPLETED, "e2", 5);
	s = why("thanks", true, false);
	has(s, "What stands in the way: action 1: event.total > 10");
	has(s, "event.total = 5");
}

static void test_as_json(void **state)
{
	struct json_faults f = { 0 };
	json_t *v;

	city("Riga");
	happens(EVENT_REGISTRATION_COMPLETED, "e1", 0);
	why("chain", true, true);
	v = json_read(buf_view(&out), &f);
	assert_non_null(v);
	assert_true(json_is_array(json_object_get(v, "looked_at")));
	assert_true(json_is_null(json_object_get(v, "obstacle")));
	assert_string_equal(
		json_string_value(json_object_get(v, "next_due")), "2026-03-16T10:00:00.000Z");
	json_decref(v);
	why("none", true, true);
	v = json_read(buf_view(&out), &f);
	assert_non_null(v);
	json_decref(v);
}

static void test_simulate_tells_what_would_happen(void **state)
{
	struct buf b = BUF_INIT;
	struct span days = { .days = 40 };

	assert_int_equal(stories_simulate(rules,
				 STR("member city=Riga; day 0 registration.completed; day 3 "
				     "purchase.completed total=20"),
				 days, &b, false),
		0);
	has(buf_cstr(&b), "day 3 12:00 two by sms");
	has(b.p, "day 17 12:00 one by viber");
	has(b.p, "day 31 12:00 two by sms");
	buf_reset(&b);
	assert_int_equal(
		stories_simulate(rules, STR("day 0 purchase.complete"), days, &b, true), 1);
	has(buf_cstr(&b), "\"ok\":false");
	buf_free(&b);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_why_not_shows_each_value),
		TEST(test_why_not_names_what_disarmed),
		TEST(test_why_of_one_message),
		TEST(test_why_of_a_message_of_ours),
		TEST(test_why_tells_what_was_sent),
		TEST(test_as_json),
		TEST(test_simulate_tells_what_would_happen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
