/* From an intent to messages: which way, how often, in what form, and what receipts change. */
#include "plugins/offers/offers_fixture.h"

static const char text[] =
	"policy = { default_clock = 'Europe/Riga'; consent_default = 'all'; expires = '72 h';\n"
	"  marketing = { quiet = [ '21:00-09:00' ]; max = [ '4 per day' ]; };\n"
	"  from = { sms = 'Shop'; }; };\n"
	"offers = (\n"
	"  { name = 'o'; when = 'registration.completed';\n"
	"    steps = ( { after = '1 day'; send = 'hello'; via = [ 'push', 'email', 'sms' ]; },\n"
	"      { after = '1 day'; send = 'hello'; via = [ 'push', 'email', 'sms' ];\n"
	"        fall_back_after = '3 hours'; },\n"
	"      { after = '1 day'; at = '10:00-20:00'; send = 'amount'; via = [ 'sms' ]; } ); },\n"
	"  { name = 'few'; when = 'purchase.completed'; refund_on_suppress = true;\n"
	"    actions = ( { do = 'send'; template = 'hello'; via = 'sms'; } );\n"
	"    limits = { per_member = '2 per 30 days'; total = '5'; per_store = '1 per day'; }; },\n"
	"  { name = 'svc'; kind = 'service'; when = 'card.activated'; actions = ( { do = 'send';\n"
	"      template = 'hello'; via = [ 'sms', 'social', 'push' ]; fall_back_after = '3 h'; } "
	"); }\n"
	");\n"
	"moderation = { VK-1 = { state = 'approved'; }; };\n"
	"templates = {\n"
	"  hello = { en = { sms = 'Hello by SMS'; push = { title = 'Hi'; text = 'Hello by push'; "
	"};\n"
	"     social = { text = 'Hello'; moderated_as = 'VK-1'; };\n"
	"     email = { subject = 'Hi'; html = '<p>Hello by mail</p>'; text = 'Hello by mail'; }; "
	"};\n"
	"     lv = { sms = 'Sveiki'; }; };\n"
	"  amount = { en = { sms = 'Dear ${Member.first_name}.'; }; };\n"
	"};\n";

static struct source no_values;

static struct value none(const struct source *s, unsigned slot)
{
	return VALUE_NONE;
}

static int begin(void **state)
{
	char *quoted = mem_dup(STR(text));

	/* libconfig's quotes are double; they would be hard to read above */
	for (char *p = quoted; *p; p++)
		if (*p == '\'')
			*p = '"';
	of_begin(quoted);
	mem_free(&quoted);
	no_values.get = none;
	return 0;
}

static struct sending sending_of(const char *offer, unsigned step, struct member *m)
{
	const struct offer *o = rules_offer(of.rules, str_of(offer));
	struct sending s = { .member = m,
		.object = o->number,
		.offer = o,
		.run = 7,
		.step = step,
		.class = o->kind,
		.row = o->row,
		.source = &no_values,
		.due = of.w.now };

	if (o->steps_n) {
		s.template = o->steps[step].template;
		s.via = &o->steps[step].via;
		s.windows = o->steps[step].windows;
		s.windows_n = o->steps[step].windows_n;
	} else {
		s.template = o->actions[0].template;
		s.via = &o->actions[0].via;
	}
	return s;
}

static struct sent send(const struct sending *s)
{
	struct sent r;

	if (dispatch(&of.w, s, &r) < 0)
		fail_msg("%s", of.w.e.text);
	return r;
}

static void field_is(unsigned i, enum field f, const char *want)
{
	struct str got = message_get(of.sent[i], f);

	if (!str_is(got, want))
		fail_msg("%s of message %u: \"%.*s\", not \"%s\"", field_word(f), i, STR_ARG(got),
			want);
}

static void test_the_first_way_that_passes(void **state)
{
	struct member *m = of_member("1");
	struct sending s = sending_of("o", 0, m);
	struct sent r = send(&s);

	assert_int_equal(r.hold, HOLD_NO_CONTACT);
	assert_int_equal(of.sent_n, 0);
	of_contact(m, CONTACT_PHONE, "37120000001", "");
	s.run++;
	r = send(&s);
	assert_int_equal(r.hold, HOLD_NONE);
	assert_int_equal(r.media, MEDIA_SMS);
	assert_int_equal(of.sent_n, 1);
	field_is(0, FIELD_TO, "37120000001");
	field_is(0, FIELD_FROM, "Shop");
	field_is(0, FIELD_TEXT, "Hello by SMS");
	assert_int_equal(of.sent[0]->media, MEDIA_SMS);
	assert_int_equal(of.sent[0]->priority, PRIORITY_BULK);
	assert_int_equal(of.sent[0]->send_at, 0);
	assert_int_equal(of.sent[0]->wants, WANT_DELIVERED | WANT_FAILED);
	of_is_at(of.sent[0]->expires, "2026-06-04T12:00:00+03:00");
	assert_true(message_has(of.sent[0], FIELD_GATE));
	of_contact(m, CONTACT_EMAIL, "homer@example.com", "");
	m->lang = STR("lv");
	s.run++;
	r = send(&s);
	assert_int_equal(r.media, MEDIA_EMAIL);
	field_is(1, FIELD_SUBJECT, "Hi");
	assert_int_equal(of_number("SELECT count(*) FROM of_touch"), 2);
	/* the language of the member */
	member_set_consent(&of.w, m, -1, MEDIA_EMAIL, false, STR("api"), STR_NONE, true);
	s.run++;
	r = send(&s);
	field_is(2, FIELD_TEXT, "Sveiki");
}

static void test_the_same_thing_is_decided_once(void **state)
{
	struct member *m = of_member("1");
	struct sending s = sending_of("o", 0, m);
	struct sent r, again;

	of_contact(m, CONTACT_PHONE, "37120000001", "");
	r = send(&s);
	of_unit();
	s.member = of_member("1");
	again = send(&s);
	assert_true(again.again);
	assert_int_equal(again.msg, r.msg);
	assert_int_equal(again.hold, HOLD_NONE);
	assert_int_equal(of.sent_n, 1);
	s.step = 1;
	assert_true(dispatch_id(&s) != r.id);
	s.step = 0;
	s.run = 8;
	assert_true(dispatch_id(&s) != r.id);
	/* once for each receipt, whichever event of it asks */
	s.receipt = 99;
	assert_false(send(&s).again);
	s.run = 9;
	assert_true(send(&s).again);
	assert_int_equal(of.sent_n, 2);
	/* what was held stays held */
	s.receipt = 0;
	assert_int_equal(dispatch_hold(&of.w, &s, HOLD_FILTER, "member.city", &r), 0);
	again = send(&s);
	assert_true(again.again);
	assert_int_equal(again.hold, HOLD_FILTER);
	assert_int_equal(of_number("SELECT count(*) FROM of_sent WHERE state = 9"), 1);
}

static void test_when_no_contact_skip(void **state)
{
	struct rules_conf *conf = (struct rules_conf *)(uintptr_t)of.rules->conf;
	struct member *m = of_member("1");
	struct sending s = sending_of("o", 0, m);

	of_contact(m, CONTACT_PHONE, "37120000001", "");
	conf->policy.when_no_contact = 1;
	assert_int_equal(send(&s).hold, HOLD_NO_CONTACT);
}

static void test_unproved_invalid_and_landline(void **state)
{
	struct member *m = of_member("1");
	struct sending s = sending_of("o", 0, m);

	contact_put(&of.w, m, CONTACT_PHONE, STR("37160000001"), STR_NONE,
		CONTACT_VERIFIED | CONTACT_LANDLINE, 1);
	contact_put(&of.w, m, CONTACT_EMAIL, STR("a@b.c"), STR_NONE, 0, 1);
	assert_int_equal(send(&s).hold, HOLD_NO_CONTACT);
	of_contact(m, CONTACT_EMAIL, "a@b.c", "");
	s.run++;
	assert_int_equal(send(&s).media, MEDIA_EMAIL);
	contact_mark_invalid(&of.w, CONTACT_EMAIL, STR("a@b.c"), STR("bounce"));
	of_unit();
	s.member = of_member("1");
	s.run++;
	assert_int_equal(send(&s).hold, HOLD_NO_CONTACT);
}

static void test_refused_at_the_door(void **state)
{
	struct member *m = of_member("1");
	struct sending s = sending_of("o", 0, m);
	struct sent r;

	of_contact(m, CONTACT_PHONE, "37120000001", "");
	of_contact(m, CONTACT_EMAIL, "a@b.c", "");
	of.refuse[MEDIA_EMAIL] = REASON_NO_ROUTE;
	r = send(&s);
	assert_int_equal(r.media, MEDIA_SMS);
	of.refuse[MEDIA_SMS] = REASON_TOO_LONG;
	s.run++;
	r = send(&s);
	assert_int_equal(r.msg, 0);
	assert_int_equal(r.hold, HOLD_NO_ROUTE);
	of.refuse[MEDIA_SMS] = REASON_STORE; /* the unit fails, and comes again */
	s.run++;
	assert_int_equal(dispatch(&of.w, &s, &r), -1);
}

static void test_a_value_is_missing(void **state)
{
	struct member *m = of_member("1");
	struct sending s = sending_of("o", 2, m);
	struct prospect p[VIA_MOST];
	struct sent r;
	unsigned n;

	of_contact(m, CONTACT_PHONE, "37120000001", "");
	assert_int_equal(dispatch_look(&of.w, &s, p, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(p[0].hold, HOLD_MISSING);
	assert_non_null(strstr(p[0].words, "first_name"));
	assert_int_equal(of_number("SELECT count(*) FROM of_sent"), 0);
	r = send(&s);
	assert_int_equal(r.hold, HOLD_MISSING);
	assert_int_equal(of_number("SELECT reason LIKE 'missing: %first_name%' FROM of_sent"), 1);
}

static void test_QH_held_until_the_hours_are_open(void **state)
{
	struct member *m = of_member("1");
	struct sending s = sending_of("o", 0, m);
	struct sent r;

	of_contact(m, CONTACT_PHONE, "37120000001", "");
	of.w.now = s.due = of_at("2026-06-01T22:30:00+03:00");
	r = send(&s);
	of_is_at(r.due, "2026-06-02T09:00:00+03:00");
	assert_int_equal(of.sent[0]->send_at, r.due);
	/* counted on the day when it leaves */
	assert_int_equal(of_number("SELECT day FROM of_touch"), date_of_civil(2026, 6, 2));
}

static void test_QH_5_expired_while_held(void **state)
{
	struct member *m = of_member("1");
	struct sending s = sending_of("o", 0, m);
	struct sent r;

	of_contact(m, CONTACT_PHONE, "37120000001", "");
	of.w.now = s.due = of_at("2026-06-01T22:30:00+03:00");
	s.expires = of_at("2026-06-02T04:30:00+03:00");
	r = send(&s);
	assert_int_equal(r.hold, HOLD_EXPIRED);
	assert_int_equal(of.sent_n, 0);
	assert_int_equal(of_number("SELECT state FROM of_sent"), STATE_EXPIRED);
}

static void test_QH_next_channel(void **state)
{
	struct rules *r = of.rules;
	struct class_conf *conf = (struct class_conf *)(uintptr_t)r->classes[CLASS_MARKETING].conf;
	struct member *m = of_member("1");
	struct sending s = sending_of("o", 0, m);
	struct sent sent;

	conf->on_quiet = 2;
	r->classes[CLASS_MARKETING].exempt = MEDIA_BIT(MEDIA_EMAIL);
	of_contact(m, CONTACT_DEVICE, "token-1", "fcm/android/d1");
	of_contact(m, CONTACT_EMAIL, "a@b.c", "");
	of.w.now = s.due = of_at("2026-06-01T22:30:00+03:00");
	sent = send(&s);
	assert_int_equal(sent.media, MEDIA_EMAIL);
	assert_int_equal(sent.due, of.w.now);
	member_set_consent(&of.w, m, -1, MEDIA_EMAIL, false, STR("api"), STR_NONE, true);
	s.run++;
	sent = send(&s); /* no other is open: it waits for the first */
	assert_int_equal(sent.media, MEDIA_PUSH);
	of_is_at(sent.due, "2026-06-02T09:00:00+03:00");
}

/* ---- devices ---- */
static int told(uint64_t msg, enum state state, enum reason reason, struct event **e_r)
{
	struct sent_news n = {
		.msg = msg, .state = state, .reason = reason, .at = of.w.now, .words = STR("000")
	};
	uint64_t member;
	int rc;

	of_unit();
	rc = sent_receipt(&of.w, &n, e_r, &member);
	assert_true(rc >= 0);
	if (rc == 1)
		assert_int_equal(member, 1);
	return rc;
}

static void test_CH_4_three_tokens_one_dead(void **state)
{
	struct member *m = of_member("1");
	struct sending s = sending_of("o", 0, m);
	struct event *e;
	struct sent r;

	of_contact(m, CONTACT_DEVICE, "token-1", "fcm/android/d1");
	of_contact(m, CONTACT_DEVICE, "token-2", "apns/ios/d2");
	of_contact(m, CONTACT_DEVICE, "token-3", "hms/huawei/d3");
	r = send(&s);
	assert_int_equal(of.sent_n, 3);
	field_is(0, FIELD_PLATFORM, "huawei");
	field_is(1, FIELD_PLATFORM, "ios");
	assert_int_equal(of_number("SELECT count(*) FROM of_sent"), 1);
	assert_int_equal(of_number("SELECT count(*) FROM of_touch"), 1);
	/* the one whose id of_sent has is dead */
	assert_int_equal(told(r.msg, STATE_UNDELIVERABLE, REASON_FAR_DESTINATION, &e), 0);
	assert_int_equal(of_number("SELECT state FROM of_sent"), STATE_QUEUED);
	assert_int_equal(of_number("SELECT flags & 2 FROM of_contact WHERE value = 'token-3'"), 2);
	assert_int_equal(told(of.sent[1]->id, STATE_DELIVERED, REASON_NONE, &e), 1);
	assert_int_equal(e->type, EVENT_MESSAGE_DELIVERED);
	assert_true(str_is(e->attr[ATTR_offer].s, "o"));
	assert_true(str_is(e->attr[ATTR_template].s, "hello"));
	assert_true(str_is(e->attr[ATTR_medium].s, "push"));
	assert_true(str_is(e->who[ALIAS_MEMBER], "1"));
	event_drop(&e);
	assert_int_equal(told(of.sent[2]->id, STATE_DELIVERED, REASON_NONE, &e), 0);
	assert_int_equal(told(of.sent[2]->id, STATE_DELIVERED, REASON_NONE, &e), 0);
	assert_int_equal(of_number("SELECT state FROM of_sent"), STATE_DELIVERED);
	assert_int_equal(of_number("SELECT count(*) FROM of_sent WHERE reason IS NULL"), 1);
	assert_int_equal(of_number("SELECT count(*) FROM of_part WHERE state = 3"), 2);
	of_unit();
	s.member = of_member("1");
	s.run++;
	of_forget();
	send(&s);
	assert_int_equal(of.sent_n, 2);
	/* all are dead: the whole is undelivered, told once */
	assert_int_equal(told(of.sent[0]->id, STATE_UNDELIVERABLE, REASON_FAR_DESTINATION, &e), 0);
	assert_int_equal(told(of.sent[1]->id, STATE_UNDELIVERABLE, REASON_FAR_DESTINATION, &e), 1);
	assert_int_equal(e->type, EVENT_MESSAGE_UNDELIVERED);
	assert_true(str_is(e->attr[ATTR_reason].s, "far_destination"));
	event_drop(&e);
	/* taking it back means each of them */
	of_contact(of_member("1"), CONTACT_DEVICE, "token-4", "fcm/android/d4");
	of_contact(of_member("1"), CONTACT_DEVICE, "token-5", "fcm/android/d5");
	s.member = of_member("1");
	s.run++;
	r = send(&s);
	assert_int_equal(work_deed(&of.w, DEED_CANCEL, r.msg, STR_NONE, STR_NONE), 0);
	assert_int_equal(of_number("SELECT count(*) FROM of_deed"), 2);
	assert_int_equal(of.w.removed, 1);
}

static void test_receipts_raise_and_never_lower(void **state)
{
	struct member *m = of_member("1");
	struct sending s = sending_of("o", 0, m);
	struct event *e;
	struct sent r;

	of_contact(m, CONTACT_EMAIL, "a@b.c", "");
	r = send(&s);
	assert_int_equal(told(4711, STATE_DELIVERED, REASON_NONE, &e), 0);
	assert_int_equal(told(r.msg, STATE_SENT, REASON_NONE, &e), 0);
	assert_int_equal(told(r.msg, STATE_UNDELIVERABLE, REASON_TEMPORARY, &e), 1);
	event_drop(&e);
	assert_int_equal(told(r.msg, STATE_DELIVERED, REASON_NONE, &e), 1);
	event_drop(&e);
	assert_int_equal(told(r.msg, STATE_UNDELIVERABLE, REASON_NONE, &e), 0);
	assert_int_equal(told(r.msg, STATE_READ, REASON_NONE, &e), 1);
	assert_int_equal(e->type, EVENT_MESSAGE_READ);
	event_drop(&e);
	assert_int_equal(of_number("SELECT flags & 2 FROM of_contact"), 0);
}

/* ---- consent withdrawn in flight ---- */
static void test_CO_1_stop_between_queue_and_submit(void **state)
{
	struct member *m = of_member("1");
	struct sending s = sending_of("o", 0, m);
	struct sent r;

	of_contact(m, CONTACT_PHONE, "37120000001", "");
	r = send(&s);
	of_unit();
	m = of_member("1");
	assert_int_equal(member_set_consent(
				 &of.w, m, -1, MEDIA_SMS, false, STR("sms STOP"), STR_NONE, false),
		0);
	assert_int_equal(of_number("SELECT msg FROM of_deed WHERE kind = 2"), r.msg);
	s.member = m;
	s.run++;
	assert_int_equal(send(&s).hold, HOLD_CONSENT);
	assert_int_equal(of_number("SELECT reason LIKE 'consent%' FROM of_sent WHERE msg = 0"), 1);
}

/* ---- limits ---- */
static void test_limits_of_the_offer(void **state)
{
	struct member *a = of_member("1"), *b = of_member("2"), *c = of_member("3");
	struct event *e = event_make(EVENT_PURCHASE_COMPLETED, of.w.now, STR("t"), STR("e"));
	struct sending s = sending_of("few", 0, a);
	struct event *news;
	struct sent r;

	of_contact(a, CONTACT_PHONE, "37120000001", "");
	of_contact(b, CONTACT_PHONE, "37120000002", "");
	of_contact(c, CONTACT_PHONE, "37120000003", "");
	e->attr[ATTR_store] = value_text(STR("RIX-01"));
	s.event = e;
	assert_int_equal(send(&s).hold, HOLD_NONE);
	s.run++;
	assert_int_equal(send(&s).hold, HOLD_LIMIT); /* that store, that day */
	assert_int_equal(
		of_number("SELECT count(*) FROM of_sent WHERE reason LIKE 'limit: per_store%'"), 1);
	of.w.now += DUR_DAY;
	s.due = of.w.now;
	s.run++;
	r = send(&s);
	assert_int_equal(r.hold, HOLD_NONE);
	s.event = NULL;
	s.run++;
	of.w.now += DUR_DAY;
	s.due = of.w.now;
	assert_int_equal(send(&s).hold, HOLD_LIMIT); /* two in 30 days */
	/* one that was taken back does not count */
	assert_int_equal(told(r.msg, STATE_CANCELLED, REASON_CANCELLED, &news), 0);
	s.member = of_member("1");
	s.run++;
	assert_int_equal(send(&s).hold, HOLD_NONE);
	of.w.now += 30 * DUR_DAY;
	s.due = of.w.now;
	s.run++;
	assert_int_equal(send(&s).hold, HOLD_NONE);
	for (int i = 0; i < 2; i++) {
		s.member = of_member("2");
		s.run++;
		assert_int_equal(send(&s).hold, HOLD_NONE);
	}
	s.member = of_member("3");
	s.run++;
	r = send(&s);
	assert_int_equal(r.hold, HOLD_LIMIT); /* five in all */
	event_drop(&e);
}

/* ---- cascades ---- */
static void test_a_cascade_is_one_message(void **state)
{
	struct member *m = of_member("1");
	struct sending s = sending_of("o", 1, m);
	struct message *attempt;
	struct str rest;
	struct sent r;
	dur_t after;

	of_contact(m, CONTACT_DEVICE, "token-1", "fcm/android/d1");
	of_contact(m, CONTACT_DEVICE, "token-2", "apns/ios/d2");
	of_contact(m, CONTACT_PHONE, "37120000001", "");
	r = send(&s);
	assert_int_equal(r.hold, HOLD_NONE);
	assert_int_equal(of.sent_n, 1);
	assert_int_equal(of.sent[0]->media, MEDIA_PUSH);
	assert_true(message_has(of.sent[0], FIELD_FALLBACK));
	assert_int_equal(of_number("SELECT count(*) FROM of_touch"), 1);
	assert_int_equal(of_number("SELECT count(*) FROM of_part"), 0);
	/* the other device begins with it, the next medium has its time */
	rest = message_get(of.sent[0], FIELD_FALLBACK);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(plugin_next_fallback(&rest, &after, &attempt));
		assert_int_equal(attempt->media, i == 0 ? MEDIA_PUSH : MEDIA_SMS);
		assert_true(after == (i == 0 ? PLUGIN_STEP_AT_ONCE : 3 * DUR_HOUR));
		message_unref(&attempt);
	}
	assert_false(plugin_next_fallback(&rest, &after, &attempt));
	/* the last way has nothing behind it */
	s = sending_of("o", 1, of_member("2"));
	of_contact(s.member, CONTACT_PHONE, "37120000002", "");
	send(&s);
	assert_false(message_has(of.sent[1], FIELD_FALLBACK));
}

/* Each attempt is judged again when it is begun: as what it is, not as marketing of a stranger. */
static void test_a_services_attempts_need_no_marketing_consent(void **state)
{
	struct member *m = of_member("1");
	struct sending s = sending_of("svc", 0, m);
	struct message *attempt;
	struct str rest;
	unsigned n = 0;
	dur_t after;

	of_contact(m, CONTACT_PHONE, "37120000001", "");
	of_contact(m, CONTACT_SOCIAL, "vk:anna", "vk");
	of_contact(m, CONTACT_DEVICE, "token-1", "fcm/android/d1");
	assert_int_equal(
		member_set_consent(&of.w, m, ROW_OFFER, -1, false, STR("t"), STR_NONE, true), 0);
	assert_int_equal(
		member_set_consent(&of.w, m, ROW_ADVERT, -1, false, STR("t"), STR_NONE, true), 0);
	assert_int_equal(send(&s).hold, HOLD_NONE);
	assert_int_equal(of.sent_n, 1);
	rest = message_get(of.sent[0], FIELD_FALLBACK);
	attempt = message_ref(of.sent[0]); /* the whole's own content is the first */
	do {
		struct str gate = message_get(attempt, FIELD_GATE);
		struct plugin_policy p = { .id = 900 + n };

		assert_true(gate.n > 8);
		assert_int_equal(policy_submitted(&of.w, attempt, str_skip(gate, 8), &p), 0);
		assert_int_equal(p.verdict, POLICY_GO);
		message_unref(&attempt);
		n++;
	} while (plugin_next_fallback(&rest, &after, &attempt));
	assert_int_equal(n, 3);
	assert_int_equal(of_number("SELECT count(*) FROM of_touch"), 1); /* counted once */
}

/* CH-3: what waits when its template is revoked is parked, and leaves when that is approved again.
 */
static void test_CH_3_revoked_while_it_waits(void **state)
{
	struct member *m = of_member("1");
	struct sending s = sending_of("svc", 0, m);
	struct outcome why = outcome_of(REASON_NONE);
	struct conf_faults f = { 0 };
	struct rules *revoked = rules_load_text(
		"t", STR("moderation = { VK-1 = { state = \"revoked\"; }; };"), MEDIA_ANY, &f);
	struct str more;

	assert_non_null(revoked);
	of_contact(m, CONTACT_PHONE, "37120000001", "");
	of_contact(m, CONTACT_SOCIAL, "vk:anna", "vk");
	s.via = &(struct via){ .n = 1, .media = { MEDIA_SOCIAL } };
	assert_int_equal(send(&s).hold, HOLD_NONE);
	assert_int_equal(of.sent[0]->media, MEDIA_SOCIAL);
	more = str_skip(message_get(of.sent[0], FIELD_GATE), 8);
	assert_int_equal(policy_gate_parked(revoked, of.sent[0], of.w.now, &more, &why),
		of.w.now + 5 * DUR_MIN);
	assert_int_equal(why.reason, REASON_MODERATION);
	assert_string_equal(why.words, "the template VK-1 is revoked");
	more = str_skip(message_get(of.sent[0], FIELD_GATE), 8);
	assert_int_equal(policy_gate_parked(of.rules, of.sent[0], of.w.now, &more, &why), 0);
	assert_int_equal(more.n, 0); /* a service has no hours here */
	rules_unref(&revoked);
	conf_faults_free(&f);
}

static void test_members_who_left(void **state)
{
	struct member *m = of_member("1");
	struct sending s = sending_of("o", 0, m);

	of_contact(m, CONTACT_PHONE, "37120000001", "");
	m->state = MEMBER_LEFT;
	assert_int_equal(send(&s).hold, HOLD_LEFT);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, of_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_first_way_that_passes),
		TEST(test_the_same_thing_is_decided_once),
		TEST(test_when_no_contact_skip),
		TEST(test_unproved_invalid_and_landline),
		TEST(test_refused_at_the_door),
		TEST(test_a_value_is_missing),
		TEST(test_QH_held_until_the_hours_are_open),
		TEST(test_QH_5_expired_while_held),
		TEST(test_QH_next_channel),
		TEST(test_CH_4_three_tokens_one_dead),
		TEST(test_receipts_raise_and_never_lower),
		TEST(test_CO_1_stop_between_queue_and_submit),
		TEST(test_limits_of_the_offer),
		TEST(test_a_cascade_is_one_message),
		TEST(test_a_services_attempts_need_no_marketing_consent),
		TEST(test_CH_3_revoked_while_it_waits),
		TEST(test_members_who_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
