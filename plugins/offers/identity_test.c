/* Who events speak of; joining, merging, leaving; what events say of members. */
#include "plugins/offers/member_fixture.h"
#include "plugins/offers/member_input.h"

static struct event *made[64];
static unsigned made_n;

static struct event *event_at(enum event_type t, wall_t at)
{
	struct event *e = event_make(t, at, STR("test"), STR("e"));

	for (unsigned k = 0; k < ALIAS_KINDS; k++)
		e->who[k] = STR_NONE;
	made[made_n++ % 64] = e;
	return e;
}
static struct event *event_of(enum event_type t, const char *id)
{
	struct event *e = event_at(t, mf.w.now);

	e->who[ALIAS_MEMBER] = str_of(id);
	return e;
}
static void say(struct event *e, enum event_attr a, const char *v)
{
	e->attr[a] = value_text(str_of(v));
}
static int end(void **state)
{
	while (made_n)
		event_drop(&made[--made_n]);
	return mf_end(state);
}
/* As the engine does. */
static struct member *take(struct event *e)
{
	struct member *m = NULL;

	assert_int_equal(member_of_event(&mf.w, e, &m), 1);
	assert_int_equal(member_take_event(&mf.w, m, e), 0);
	return member_now(m);
}

static void test_unknown_member_is_kept(void **state)
{
	struct member *m = take(event_of(EVENT_PURCHASE_COMPLETED, "77")), *again;
	struct event *e = event_at(EVENT_PURCHASE_COMPLETED, 1);

	assert_int_equal(m->state, MEMBER_ANONYMOUS);
	mf_unit();
	again = take(event_of(EVENT_PURCHASE_COMPLETED, "77"));
	assert_int_equal(again->id, 1);
	assert_int_equal(member_of_event(&mf.w, e, &m), 0); /* names nobody */
	e->who[ALIAS_PHONE] = STR("37120000009");
	assert_int_equal(take(e)->id, 2);
	assert_int_equal(take(e)->id, 2); /* found by the number it was made from */
	assert_int_equal(mf_number("SELECT flags FROM of_contact"), 0);
}

/* Use case 6: an app is installed before there is a member; the registration that carries the
 * device makes that record the member's, timers and all. */
static void test_use_case_6_device_joins(void **state)
{
	for (int known = 0; known < 2; known++) {
		struct event *e = event_at(EVENT_APP_INSTALLED, mf.w.now);
		struct member *a, *b;
		uint64_t installed, member;
		struct reach v[2];
		char text[300];

		if (known) /* the member was there already */
			mf_member("new1");
		say(e, ATTR_device, known ? "d1" : "d0");
		say(e, ATTR_token, known ? "tok1" : "tok0");
		say(e, ATTR_service, "fcm");
		say(e, ATTR_platform, "android");
		a = take(e);
		assert_int_equal(a->state, MEMBER_ANONYMOUS);
		installed = a->id;
		snprintf(text, sizeof text,
			"INSERT INTO of_chain(offer, member, key, run, anchor, step, due, version)"
			" VALUES(6, %lld, 0, 1, 5, 0, 99, 1);"
			"INSERT INTO of_mark VALUES(%lld, 6, 5, %d, 1, 0, 0)",
			(long long)a->id, (long long)a->id, 100 + known);
		assert_int_equal(sql_exec(mf.sql, text), 0);
		mf_unit();
		e = event_of(EVENT_REGISTRATION_COMPLETED, known ? "new1" : "new0");
		say(e, ATTR_device, known ? "d1" : "d0");
		b = take(e);
		assert_true(str_is(b->ext, known ? "new1" : "new0"));
		assert_int_equal(b->state, MEMBER_REGISTERED);
		assert_int_equal(b->registered, mf.w.now);
		assert_int_equal(member_reach(&mf.w, b, MEDIA_PUSH, false, v, 2), 1);
		snprintf(text, sizeof text, "SELECT count(*) FROM of_chain WHERE member = %lld",
			(long long)b->id);
		assert_int_equal(mf_number(text), 1);
		snprintf(text, sizeof text, "SELECT count(*) FROM of_mark WHERE member = %lld",
			(long long)b->id);
		assert_int_equal(mf_number(text), 1);
		member = b->id;
		mf_unit();
		assert_int_equal(member_load(&mf.w, installed, &a), 1);
		assert_int_equal(a->id, member);
	}
}

/* A card of another member stays theirs when it is only named beside somebody, and changes hands
 * when it is assigned. */
static void test_cards_change_hands_only_by_assignment(void **state)
{
	struct member *a = mf_member("a"), *got;
	struct event *e;

	member_alias(&mf.w, a, ALIAS_CARD, STR("c1"));
	e = event_of(EVENT_PURCHASE_COMPLETED, "b");
	e->who[ALIAS_CARD] = STR("c1");
	assert_true(str_is(take(e)->ext, "b"));
	assert_int_equal(member_find(&mf.w, ALIAS_CARD, STR("c1"), &got), 1);
	assert_true(str_is(got->ext, "a"));
	e = event_of(EVENT_CARD_ASSIGNED, "b");
	say(e, ATTR_card, "c1");
	take(e);
	assert_int_equal(member_find(&mf.w, ALIAS_CARD, STR("c1"), &got), 1);
	assert_true(str_is(got->ext, "b"));
	assert_int_equal(got->state, MEMBER_CUSTOMER);
	/* a customer known by a card alone becomes the member that names it */
	e = event_at(EVENT_PURCHASE_COMPLETED, 1);
	e->who[ALIAS_CARD] = STR("c2");
	got = take(e);
	assert_int_equal(got->state, MEMBER_CUSTOMER);
	e = event_of(EVENT_PURCHASE_COMPLETED, "zed");
	e->who[ALIAS_CARD] = STR("c2");
	assert_int_equal(take(e)->id, got->id);
}

/* EV-14: a link that was not proved is no event. EV-13 needs the kind to be right. */
static void test_EV_14_unverified_link(void **state)
{
	struct event *e = event_of(EVENT_CONTACT_LINKED, "1");
	struct member *m;

	say(e, ATTR_kind, "phone");
	say(e, ATTR_value, "37120000001");
	e->attr[ATTR_verified] = value_bool(false);
	assert_true(event_unproved(e));
	m = take(e);
	assert_int_equal(member_has(&mf.w, m, CONTACT_PHONE), 0);
	e->attr[ATTR_verified] = value_bool(true);
	assert_false(event_unproved(e));
	m = take(e);
	assert_int_equal(member_has(&mf.w, m, CONTACT_PHONE), 1);
	assert_int_equal(m->contacts[0].flags, CONTACT_VERIFIED);
	/* an unlinking that happened before that link comes late */
	e = event_at(EVENT_CONTACT_UNLINKED, mf.w.now - DUR_DAY);
	e->who[ALIAS_MEMBER] = STR("1");
	say(e, ATTR_kind, "phone");
	say(e, ATTR_value, "37120000001");
	m = take(e);
	assert_int_equal(member_has(&mf.w, m, CONTACT_PHONE), 1);
	e->occurred = mf.w.now + 1;
	m = take(e);
	assert_int_equal(member_has(&mf.w, m, CONTACT_PHONE), 0);
}

static void test_what_events_say_of_members(void **state)
{
	struct event *e;
	struct member *m;
	struct reach v[3];

	e = event_of(EVENT_SOCIAL_LINKED, "1");
	say(e, ATTR_provider, "vk");
	say(e, ATTR_profile, "77");
	m = take(e);
	contact_put(&mf.w, m, CONTACT_PHONE, STR("3712"), STR_NONE, CONTACT_VERIFIED, 1);
	assert_int_equal(member_reach(&mf.w, m, MEDIA_SOCIAL, false, v, 3), 1);
	e = event_of(EVENT_SOCIAL_UNLINKED, "1");
	say(e, ATTR_provider, "vk");
	m = take(e); /* all of that network */
	assert_int_equal(member_reach(&mf.w, m, MEDIA_SOCIAL, false, v, 3), 0);
	e = event_of(EVENT_CONTACT_INVALID, "1");
	say(e, ATTR_kind, "phone");
	say(e, ATTR_value, "3712");
	m = take(e);
	assert_int_equal(member_has(&mf.w, m, CONTACT_PHONE), 0);
	e = event_of(EVENT_APP_INSTALLED, "1");
	say(e, ATTR_device, "d");
	say(e, ATTR_token, "t");
	m = take(e);
	assert_int_equal(member_has(&mf.w, m, CONTACT_DEVICE), 1);
	e = event_of(EVENT_APP_REMOVED, "1");
	say(e, ATTR_device, "d");
	m = take(e);
	assert_int_equal(member_has(&mf.w, m, CONTACT_DEVICE), 0);
	e = event_of(EVENT_STATUS_CHANGED, "1");
	say(e, ATTR_system, "tier");
	say(e, ATTR_to, "gold");
	m = take(e);
	assert_true(str_is(member_status(&mf.w, m, "tier"), "gold"));
	e = event_of(EVENT_CONSENT_CHANGED, "1");
	say(e, ATTR_row, "Advertisement");
	say(e, ATTR_channel, "sms");
	e->attr[ATTR_granted] = value_bool(true);
	m = take(e);
	assert_int_equal(member_agrees(&mf.w, m, ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS), 1);
}

static char odd[200];

static void note_odd(struct work *w, const char *what)
{
	snprintf(odd, sizeof odd, "%s", what);
}

/* What the platform says of rows that the policy keeps from members is so; what an operator has
 * locked stays, cell or row, and that is said. A channel can be turned off whatever is locked. */
static void test_CO_3_events_and_locked_subscriptions(void **state)
{
	static const struct {
		const char *row, *channel;
		bool granted, told;
		int sms, email, discount; /* then */
	} step[] = {
		{ "System", "sms", false, false, 1, 1,
			0 }, /* read_only; looked at by itself below */
		{ "Advertisement", "sms", false, true, 1, 1, 0 },
		{ "Advertisement", "*", false, true, 1, 1, 0 }, /* it would take the cell along */
		{ "Advertisement", "email", false, false, 1, 0, 0 },
		{ "DiscountOperation", "sms", true, true, 1, 0, 0 }, /* its whole row is locked */
		{ "DiscountOperation", "*", true, true, 1, 0, 0 },
		{ "*", "sms", false, false, 0, 0, 0 },
		{ "*", "sms", true, false, 1, 0, 0 },
	};
	struct member *m = mf_member("1");
	struct consent_view v;

	member_set_consent(&mf.w, m, ROW_ADVERT, MEDIA_SMS, true, STR("t"), STR_NONE, false);
	member_set_consent(&mf.w, m, ROW_ADVERT, MEDIA_EMAIL, true, STR("t"), STR_NONE, false);
	member_set_consent(&mf.w, m, ROW_DISCOUNT, -1, false, STR("t"), STR_NONE, false);
	assert_int_equal(member_lock_consent(&mf.w, m, ROW_ADVERT, MEDIA_SMS, true), 0);
	assert_int_equal(member_lock_consent(&mf.w, m, ROW_DISCOUNT, -1, true), 0);
	/* nor by the API, one by one */
	assert_int_equal(member_set_consent(&mf.w, m, ROW_DISCOUNT, MEDIA_SMS, true, STR("api"),
				 STR_NONE, false),
		1);
	assert_int_equal(member_consent(&mf.w, m, ROW_DISCOUNT, MEDIA_SMS, &v), 0);
	assert_true(v.read_only);
	for (size_t i = 0; i < sizeof step / sizeof step[0]; i++) {
		int64_t log = mf_number("SELECT count(*) FROM of_consent_log");
		struct event *e = event_of(EVENT_CONSENT_CHANGED, "1");

		odd[0] = '\0';
		mf.w.odd = note_odd;
		say(e, ATTR_row, step[i].row);
		say(e, ATTR_channel, step[i].channel);
		e->attr[ATTR_granted] = value_bool(step[i].granted);
		m = take(e);
		if ((strstr(odd, "is locked (") != NULL) != step[i].told ||
			mf_number("SELECT count(*) FROM of_consent_log") != log + !step[i].told)
			fail_msg("step %zu: \"%s\"", i, odd);
		assert_int_equal(member_agrees(&mf.w, m, ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS),
			step[i].sms);
		assert_int_equal(member_agrees(&mf.w, m, ROW_ADVERT, CLASS_MARKETING, MEDIA_EMAIL),
			step[i].email);
		assert_int_equal(member_agrees(&mf.w, m, ROW_DISCOUNT, CLASS_SERVICE, MEDIA_SMS),
			step[i].discount);
	}
	assert_int_equal(member_agrees(&mf.w, m, ROW_SYSTEM, CLASS_SERVICE, MEDIA_SMS), 0);
}

static void test_answers_become_attributes(void **state)
{
	struct json_faults f = { 0 };
	json_t *v = json_read(
		STR("{\"id\":\"e1\",\"type\":\"form.completed\",\"source\":\"s\",\"occurred_at\":"
		    "\"2026-01-01T00:00:00Z\",\"member\":{\"id\":\"1\",\"language\":\"lv\"},"
		    "\"data\":{\"section\":\"home\",\"answers\":[{\"question\":\"city\","
		    "\"answer\":\"Riga\"},{\"question\":\"children\",\"answer\":2},{\"question\":"
		    "\"birthday\",\"answer\":\"1980-02-29\"},{\"question\":\"shoe\",\"answer\":"
		    "44}]}}"),
		&f);
	struct event_reader how = { .source = STR_NONE };
	struct event *e = NULL;
	struct member *m;

	assert_non_null(v);
	if (event_read(v, mf.w.now, &how, &e, &f) != EVENT_OK)
		fail_msg("%s %s", f.v[0].at, f.v[0].text);
	made[made_n++] = e;
	take(e);
	mf_unit();
	m = mf_member("1");
	assert_true(str_is(member_value(&mf.w, m, SLOT_ATTR).s, "Riga"));
	assert_int_equal(member_value(&mf.w, m, SLOT_ATTR + 1).i, 2);
	assert_int_equal(m->birthday, 229);
	assert_true(str_is(m->lang, "lv"));
	json_decref(v);
}

/* ---- merging ---- */

static void chain(const struct member *m, int offer, int run, int64_t anchor, const char *due)
{
	char text[400];

	snprintf(text, sizeof text,
		"INSERT INTO of_chain(offer, member, key, run, anchor, step, due, version)"
		" VALUES(%d, %lld, 0, %d, %lld, 0, %s, 1);"
		"INSERT INTO of_mark VALUES(%lld, %d, %lld, %d, 1, 0, 0);"
		"INSERT INTO of_past(member, type, occurred, seq, amount) VALUES(%lld, 5, %lld, "
		"%d, 100)",
		offer, (long long)m->id, run, (long long)anchor, due, (long long)m->id, offer,
		(long long)anchor, run, (long long)m->id, (long long)anchor, run);
	assert_int_equal(sql_exec(mf.sql, text), 0);
}

/* One chain survives per offer with the earlier anchor; what waits of the other is cancelled;
 * counters add up; refusals win; nothing is left behind. */
static void test_merging_keeps_the_earlier_anchor(void **state)
{
	static struct counter_conf conf = { .per = SCOPE_PER_MEMBER };
	static struct counter counter = { .conf = &conf, .number = 3 };
	struct member *a = mf_member("a"), *b = mf_member("b"), *got;

	mf.rules.counters = &counter;
	mf.rules.counters_n = 1;
	chain(a, 1, 11, 50, "900");
	chain(b, 1, 12, 40, "800"); /* earlier: it stays */
	chain(a, 2, 13, 10, "700"); /* earlier */
	chain(b, 2, 14, 20, "600");
	chain(b, 3, 15, 30, "500"); /* only b's */
	assert_int_equal(
		sql_exec(mf.sql,
			"INSERT INTO of_counter VALUES(3, 1, 0, 5), (3, 2, 0, 7), (3, 2, 9, 1);"
			"INSERT INTO of_counted(receipt, counter, subject, period, value, at)"
			" VALUES(8, 3, 2, 0, 7, 1)"),
		0);
	mf_sent(a, 51, MEDIA_SMS, ROW_OFFER, CLASS_MARKETING, "x");
	mf_sent(b, 52, MEDIA_SMS, ROW_OFFER, CLASS_MARKETING, "x");
	assert_int_equal(sql_exec(mf.sql, "UPDATE of_sent SET run = 11 WHERE msg = 51;"
					  "UPDATE of_sent SET run = 12 WHERE msg = 52"),
		0);
	contact_put(&mf.w, a, CONTACT_PHONE, STR("1"), STR_NONE, 0, 1);
	contact_put(&mf.w, b, CONTACT_PHONE, STR("1"), STR_NONE, CONTACT_VERIFIED, 1);
	contact_put(&mf.w, b, CONTACT_EMAIL, STR("e@x"), STR_NONE, CONTACT_VERIFIED, 1);
	member_alias(&mf.w, b, ALIAS_CARD, STR("card"));
	member_set_consent(&mf.w, a, ROW_ADVERT, MEDIA_SMS, true, STR("t"), STR_NONE, false);
	member_set_consent(&mf.w, b, ROW_ADVERT, MEDIA_SMS, false, STR("t"), STR_NONE, false);
	member_set_consent(&mf.w, b, ROW_ADVERT, MEDIA_EMAIL, true, STR("t"), STR_NONE, false);
	b->first_name = STR("Bo");
	assert_int_equal(member_save(&mf.w, b), 0);
	assert_int_equal(sql_exec(mf.sql, "DELETE FROM of_deed"), 0);
	mf.w.removed = 0;

	assert_int_equal(member_merge(&mf.w, a, b), 0);
	assert_ptr_equal(member_now(b), a);
	assert_int_equal(mf_number("SELECT count(*) FROM of_chain WHERE member = 1"), 3);
	assert_int_equal(mf_number("SELECT run FROM of_chain WHERE offer = 1"), 12);
	assert_int_equal(mf_number("SELECT run FROM of_chain WHERE offer = 2"), 13);
	assert_int_equal(mf_number("SELECT count(*) FROM of_mark WHERE member = 1"), 3);
	assert_int_equal(mf_number("SELECT count(*) FROM of_past WHERE member = 1"), 5);
	assert_int_equal(mf_number("SELECT msg FROM of_deed WHERE kind = 1"), 51);
	assert_int_equal(mf.w.removed, 1);
	assert_int_equal(
		mf_number("SELECT value FROM of_counter WHERE subject = 1 AND period = 0"), 12);
	assert_int_equal(mf_number("SELECT sum(value) FROM of_counter"), 13);
	assert_int_equal(mf_number("SELECT subject FROM of_counted"), 1);
	assert_int_equal(mf_number("SELECT count(*) FROM of_sent WHERE member = 1"), 2);
	assert_int_equal(member_find(&mf.w, ALIAS_CARD, STR("card"), &got), 1);
	assert_ptr_equal(got, a);
	mf_unit();
	a = mf_member("a");
	assert_int_equal(member_find(&mf.w, ALIAS_MEMBER, STR("b"), &got), 1);
	assert_ptr_equal(got, a);
	assert_true(str_is(a->first_name, "Bo"));
	assert_int_equal(member_contacts(&mf.w, a), 0);
	assert_int_equal(a->contacts_n, 2);
	assert_int_equal(a->contacts[0].flags, CONTACT_VERIFIED);
	assert_int_equal(member_agrees(&mf.w, a, ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS), 0);
	assert_int_equal(member_agrees(&mf.w, a, ROW_ADVERT, CLASS_MARKETING, MEDIA_EMAIL), 1);
}

static void test_platform_merges_members(void **state)
{
	struct event *e;
	struct member *m;

	mf_member("a");
	mf_member("b");
	e = event_of(EVENT_MEMBER_MERGED, "b");
	say(e, ATTR_into, "a");
	m = take(e);
	assert_true(str_is(m->ext, "a"));
	assert_int_equal(take(event_of(EVENT_PURCHASE_COMPLETED, "b"))->id, m->id);
	e = event_of(EVENT_MEMBER_MERGED, "c"); /* neither is known */
	say(e, ATTR_into, "d");
	m = take(e);
	assert_true(str_is(m->ext, "d"));
	assert_int_equal(member_merge(&mf.w, m, m), 0);
}

/* Merging in any order gives one record with everything, and no name leads elsewhere. */
static void test_merging_in_any_order(void **state)
{
	uint32_t seed = 7;

	for (int round = 0; round < 60; round++) {
		struct member *m[8], *got;
		char name[20];
		int left = 8;

		mf_end(state);
		mf_begin(state);
		for (int i = 0; i < 8; i++) {
			snprintf(name, sizeof name, "m%d", i);
			assert_int_equal(member_create(&mf.w, arena_str(mf.w.arena, str_of(name)),
						 MEMBER_REGISTERED, &m[i]),
				0);
			snprintf(name, sizeof name, "card%d", i);
			member_alias(&mf.w, m[i], ALIAS_CARD, str_of(name));
			chain(m[i], 1 + i % 2, 100 + i, 1000 - i, "5000");
		}
		while (left > 1) {
			unsigned x, y;

			seed = seed * 1664525 + 1013904223;
			x = (seed >> 16) % 8;
			y = (seed >> 24) % 8;
			if (member_now(m[x]) != member_now(m[y]))
				left--;
			assert_int_equal(member_merge(&mf.w, m[x], m[y]), 0);
			if (seed & 1)
				mf_unit(); /* what was loaded is forgotten */
			for (int i = 0; i < 8; i++)
				assert_int_equal(member_load(&mf.w, (uint64_t)i + 1, &m[i]), 1);
		}
		mf_unit();
		assert_int_equal(member_load(&mf.w, 1, &m[0]), 1);
		for (int i = 0; i < 8; i++) {
			snprintf(name, sizeof name, "m%d", i);
			assert_int_equal(member_find(&mf.w, ALIAS_MEMBER, str_of(name), &got), 1);
			assert_ptr_equal(got, m[0]);
			snprintf(name, sizeof name, "card%d", i);
			assert_int_equal(member_find(&mf.w, ALIAS_CARD, str_of(name), &got), 1);
			assert_ptr_equal(got, m[0]);
		}
		assert_int_equal(mf_number("SELECT count(*) FROM of_chain"), 2);
		assert_int_equal(mf_number("SELECT anchor FROM of_chain WHERE offer = 1"), 994);
		assert_int_equal(mf_number("SELECT anchor FROM of_chain WHERE offer = 2"), 993);
		assert_int_equal(mf_number("SELECT count(DISTINCT member) FROM of_past"), 1);
	}
}

/* Leaving erases what is personal, in all tables, and keeps a pseudonym. */
static void test_leaving_erases(void **state)
{
	static const char *const tables[] = { "of_chain", "of_mark", "of_fired", "of_contact",
		"of_alias", "of_consent", "of_past", "of_attr" };
	struct member *m = mf_member("a"), *got;
	char text[200];

	m->first_name = STR("Ann");
	m->birthday = 101;
	member_save(&mf.w, m);
	contact_put(&mf.w, m, CONTACT_PHONE, STR("3712"), STR_NONE, CONTACT_VERIFIED, 1);
	member_alias(&mf.w, m, ALIAS_CARD, STR("card"));
	member_attrs(&mf.w, m);
	m->attrs[0] = value_text(STR("Riga"));
	member_set_attrs(&mf.w, m);
	member_set_consent(&mf.w, m, ROW_ADVERT, -1, true, STR("t"), STR("signed Ann"), false);
	chain(m, 1, 11, 50, "900");
	assert_int_equal(
		sql_exec(mf.sql,
			"INSERT INTO of_event(seq, source, id, digest, type, member, "
			"occurred, received, done, body, reply) VALUES(11, 's', 'i', 1, 5, "
			"1, 1, 1, 1, '{\"name\":\"Ann\"}', '{\"receipt\":[\"Ann\"]}')"),
		0);
	mf_sent(m, 51, MEDIA_SMS, ROW_OFFER, CLASS_MARKETING, "3712");
	take(event_of(EVENT_MEMBER_LEFT, "a"));
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		snprintf(text, sizeof text, "SELECT count(*) FROM %s WHERE member = 1", tables[i]);
		if (mf_number(text) != 0)
			fail_msg("%s has rows left", tables[i]);
	}
	assert_int_equal(mf_number("SELECT msg FROM of_deed WHERE kind = 1"), 51);
	assert_int_equal(mf_number("SELECT count(*) FROM of_event WHERE body LIKE '%Ann%' OR "
				   "reply LIKE '%Ann%'"),
		0);
	assert_int_equal(mf_number("SELECT count(*) FROM of_sent WHERE address IS NOT NULL"), 0);
	assert_int_equal(
		mf_number("SELECT count(*) FROM of_consent_log WHERE proof IS NOT NULL"), 0);
	assert_int_equal(mf_number("SELECT count(*) FROM of_consent_log"), 1);
	assert_int_equal(mf_number("SELECT state FROM of_member WHERE id = 1"), MEMBER_LEFT);
	assert_int_equal(mf_number("SELECT count(*) FROM of_member WHERE ext IS NOT NULL OR "
				   "first_name IS NOT NULL OR birthday > 0"),
		0);
	mf_unit();
	assert_int_equal(member_find(&mf.w, ALIAS_MEMBER, STR("a"), &got), 0);
	assert_int_equal(member_load(&mf.w, 1, &got), 1);
	assert_int_equal(got->state, MEMBER_LEFT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, mf_begin, end)
	const struct CMUnitTest tests[] = {
		T(test_unknown_member_is_kept),
		T(test_use_case_6_device_joins),
		T(test_cards_change_hands_only_by_assignment),
		T(test_EV_14_unverified_link),
		T(test_what_events_say_of_members),
		T(test_CO_3_events_and_locked_subscriptions),
		T(test_answers_become_attributes),
		T(test_merging_keeps_the_earlier_anchor),
		T(test_platform_merges_members),
		T(test_merging_in_any_order),
		T(test_leaving_erases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
