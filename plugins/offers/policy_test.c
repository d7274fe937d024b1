/* Quiet hours, caps, consent and suppression: what policy_judge() says, and what a queue's gate
 * does. */
#include "plugins/offers/member_fixture.h"
#include "plugins/offers/policy.h"
#include "plugins/plugin.h"

static struct window windows[16];
static struct quota quotas[4];
static struct class_conf conf[CLASS_COUNT];

static void set_windows(struct window *v, const char *const *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_null(window_parse(str_of(text[i]), &v[i]));
}

/* Marketing is quiet from 21 to 9, service from 22 to 8. */
static int begin(void **state)
{
	static const char *const night[] = { "21:00-09:00", "22:00-08:00" };

	mf_begin(state);
	memset(conf, 0, sizeof conf);
	memset(quotas, 0, sizeof quotas);
	set_windows(windows, night, 2);
	for (int c = 0; c < CLASS_COUNT; c++)
		mf.rules.classes[c] = (struct class_rules){ .conf = &conf[c] };
	for (int c = CLASS_MARKETING; c <= CLASS_SERVICE; c++) {
		mf.rules.classes[c].quiet = &windows[c];
		mf.rules.classes[c].quiet_n = 1;
	}
	mf.conf.policy.consent_default = 0;
	return 0;
}

static wall_t at(const char *rfc3339)
{
	wall_t t = 0;

	assert_true(clock_parse_rfc3339(str_of(rfc3339), &t));
	return t;
}

static void is_at(wall_t t, const char *rfc3339)
{
	struct buf b = BUF_INIT;

	if (t != at(rfc3339)) {
		clock_put_rfc3339(&b, t);
		fail_msg("%s, not %s", buf_cstr(&b), rfc3339);
	}
	buf_free(&b);
}

static struct member *member_in(const char *ext, const char *zone)
{
	struct member *m = mf_member(ext);

	m->zone = zone_find(str_of(zone), NULL);
	assert_non_null(m->zone);
	m->zone_known = true;
	assert_int_equal(member_save(&mf.w, m), 0);
	return m;
}

static struct policy_case marketing(struct member *m, const char *due)
{
	return (struct policy_case){ .member = m,
		.subject = policy_subject(m, STR_NONE),
		.class = CLASS_MARKETING,
		.row = ROW_OFFER,
		.media = MEDIA_SMS,
		.address = STR("37120000001"),
		.due = at(due) };
}

static struct policy_ruling judge(const struct policy_case *c)
{
	struct policy_ruling r;

	mf.w.now = c->due;
	assert_int_equal(policy_judge(&mf.w, c, &r), 0);
	return r;
}

static void test_QH_1_waits_until_nine(void **state)
{
	struct policy_case c =
		marketing(member_in("1", "Europe/Riga"), "2026-06-01T22:30:00+03:00");
	struct policy_ruling r = judge(&c);

	assert_int_equal(r.hold, HOLD_NONE);
	is_at(r.due, "2026-06-02T09:00:00+03:00");
	is_at(r.open_until, "2026-06-02T21:00:00+03:00");
	assert_string_equal(r.words, "quiet hours");
	c.due = at("2026-06-02T08:59:59+03:00");
	is_at(judge(&c).due, "2026-06-02T09:00:00+03:00");
	c.due = at("2026-06-02T09:00:00+03:00");
	is_at(judge(&c).due, "2026-06-02T09:00:00+03:00");
	c.due = at("2026-06-02T20:59:59+03:00");
	is_at(judge(&c).due, "2026-06-02T20:59:59+03:00");
	c.class = CLASS_SERVICE;
	c.due = at("2026-06-01T21:30:00+03:00");
	is_at(judge(&c).due, "2026-06-01T21:30:00+03:00");
	c.class = CLASS_LEGAL;
	c.due = at("2026-06-02T03:00:00+03:00");
	r = judge(&c);
	is_at(r.due, "2026-06-02T03:00:00+03:00");
	assert_int_equal(r.open_until, 0);
	c.class = CLASS_MARKETING;
	c.deliver_now = true;
	is_at(judge(&c).due, "2026-06-02T03:00:00+03:00");
}

static void test_QH_2_three_zones(void **state)
{
	/* 23:00 in Riga, 10:00 of the next day at UTC+14, 01:30 in India, 9:00 at -11 */
	static const char *const zones[] = { "Europe/Riga", "Pacific/Kiritimati", "Asia/Kolkata",
		"Pacific/Pago_Pago" };
	static const char *const want[] = { "2026-06-02T06:00:00Z", "2026-06-01T20:00:00Z",
		"2026-06-02T03:30:00Z", "2026-06-01T20:00:00Z" };

	for (unsigned i = 0; i < 4; i++) {
		char ext[8];
		struct policy_case c;

		snprintf(ext, sizeof ext, "%u", i);
		c = marketing(member_in(ext, zones[i]), "2026-06-01T20:00:00Z");
		is_at(judge(&c).due, want[i]);
	}
}

static void test_QH_3_the_night_of_the_clock_change(void **state)
{
	static const char *const gap[] = { "01:00-03:30" };
	struct member *m = member_in("1", "Europe/Riga");
	struct policy_case c = marketing(m, "2026-03-28T22:30:00+02:00");

	is_at(judge(&c).due, "2026-03-29T09:00:00+03:00");
	c.due = at("2026-10-24T22:30:00+03:00");
	is_at(judge(&c).due, "2026-10-25T09:00:00+02:00");
	/* its end lies in the hour that is leapt over: the first moment that there is */
	set_windows(windows, gap, 1);
	c.due = at("2026-03-29T02:00:00+02:00");
	is_at(judge(&c).due, "2026-03-29T04:00:00+03:00");
}

static void test_QH_over_weekdays_and_hours_of_the_step(void **state)
{
	static const char *const v[] = { "21:00-09:00", "sat,sun 00:00-24:00", "10:00-20:00",
		"mon 12:00-13:00" };
	struct policy_case c =
		marketing(member_in("1", "Europe/Riga"), "2026-06-05T22:00:00+03:00");

	set_windows(windows, v, 4);
	mf.rules.classes[CLASS_MARKETING].quiet_n = 2;
	is_at(judge(&c).due, "2026-06-08T09:00:00+03:00"); /* Friday night: Monday */
	c.windows = &windows[2];
	c.windows_n = 1;
	is_at(judge(&c).due, "2026-06-08T10:00:00+03:00");
	is_at(judge(&c).open_until, "2026-06-08T20:00:00+03:00");
	c.windows = &windows[3];
	is_at(judge(&c).due, "2026-06-08T12:00:00+03:00");
	/* hours that are never open */
	c.windows = &windows[1];
	assert_int_equal(judge(&c).hold, HOLD_QUIET);
}

static void test_QH_5_held_past_its_expiry(void **state)
{
	struct policy_case c =
		marketing(member_in("1", "Europe/Riga"), "2026-06-01T22:30:00+03:00");

	c.expires = at("2026-06-02T04:30:00+03:00");
	assert_int_equal(judge(&c).hold, HOLD_EXPIRED);
	c.expires = at("2026-06-02T09:00:01+03:00");
	assert_int_equal(judge(&c).hold, HOLD_NONE);
	c.expires = at("2026-06-02T09:00:00+03:00");
	assert_int_equal(judge(&c).hold, HOLD_EXPIRED);
}

static void test_QH_exempt_media_countries_and_drop(void **state)
{
	static const char *const early[] = { "18:00-10:00" };
	struct quiet_country country = { .prefix = STR("372"), .quiet = &windows[8], .quiet_n = 1 };
	struct policy_case c =
		marketing(member_in("1", "Europe/Riga"), "2026-06-01T19:00:00+03:00");

	set_windows(&windows[8], early, 1);
	mf.rules.countries = &country;
	mf.rules.countries_n = 1;
	is_at(judge(&c).due, "2026-06-01T19:00:00+03:00");
	c.address = STR("+37250000001");
	is_at(judge(&c).due, "2026-06-02T10:00:00+03:00");
	c.class = CLASS_SERVICE;
	is_at(judge(&c).due, "2026-06-01T19:00:00+03:00");
	c.class = CLASS_MARKETING;
	c.media = MEDIA_EMAIL;
	c.address = STR("372@example.com");
	is_at(judge(&c).due, "2026-06-01T19:00:00+03:00");
	c.due = at("2026-06-01T23:00:00+03:00");
	is_at(judge(&c).due, "2026-06-02T09:00:00+03:00");
	mf.rules.classes[CLASS_MARKETING].exempt = MEDIA_BIT(MEDIA_EMAIL);
	is_at(judge(&c).due, "2026-06-01T23:00:00+03:00");
	c.media = MEDIA_SMS;
	conf[CLASS_MARKETING].on_quiet = 1;
	assert_int_equal(judge(&c).hold, HOLD_QUIET);
	is_at(judge(&c).due, "2026-06-02T10:00:00+03:00"); /* when that would be */
}

static void test_QH_release_is_spread(void **state)
{
	wall_t first = INT64_MAX, last = 0, nine = at("2026-06-02T09:00:00+03:00");

	mf.rules.spread = 20 * DUR_MIN;
	for (int i = 0; i < 60; i++) {
		char ext[8];
		struct policy_case c;
		struct policy_ruling r;

		snprintf(ext, sizeof ext, "%d", i);
		c = marketing(member_in(ext, "Europe/Riga"), "2026-06-01T22:30:00+03:00");
		r = judge(&c);
		assert_true(r.due >= nine && r.due < nine + 20 * DUR_MIN);
		assert_true(r.due == judge(&c).due);
		first = r.due < first ? r.due : first;
		last = r.due > last ? r.due : last;
	}
	assert_true(last - first > 15 * DUR_MIN);
}

/* ---- caps ---- */
static uint64_t next_msg = 100;

static void send_one(struct policy_case *c, const char *due)
{
	c->due = at(due);
	assert_int_equal(judge(c).hold, HOLD_NONE);
	assert_int_equal(policy_touch(&mf.w, c, c->due, next_msg++), 0);
}

static void set_cap(enum class class, unsigned n, const char *const *text)
{
	static const char *said[2][4];

	for (unsigned i = 0; i < n; i++) {
		struct quota *q = &quotas[class * 2 + i];
		struct str period = str_of(strstr(text[i], " per ") + 5);

		*q = (struct quota){ .most = text[i][0] - '0' };
		if (!period_parse(period, &q->period))
			assert_null(span_parse(period, &q->span));
		said[class][i] = text[i];
	}
	conf[class].max = said[class];
	conf[class].max_n = n;
	mf.rules.classes[class].max = &quotas[class * 2];
	mf.rules.classes[class].max_n = n;
}

static void test_caps_by_the_members_calendar(void **state)
{
	static const char *const caps[] = { "1 per day", "3 per week" };
	struct policy_case c =
		marketing(member_in("1", "Europe/Riga"), "2026-06-01T12:00:00+03:00");
	struct policy_case service = c;
	struct policy_ruling r;

	set_cap(CLASS_MARKETING, 2, caps);
	send_one(&c, "2026-06-01T12:00:00+03:00"); /* Monday */
	c.due = at("2026-06-01T20:00:00+03:00");
	r = judge(&c);
	assert_int_equal(r.hold, HOLD_CAP);
	assert_string_equal(r.words, "cap \"1 per day\"");
	service.class = CLASS_SERVICE; /* does not count, and is not held */
	send_one(&service, "2026-06-01T20:00:00+03:00");
	send_one(&c, "2026-06-02T09:00:00+03:00");
	send_one(&c, "2026-06-04T09:00:00+03:00");
	c.due = at("2026-06-05T12:00:00+03:00");
	r = judge(&c);
	assert_int_equal(r.hold, HOLD_CAP);
	assert_string_equal(r.words, "cap \"3 per week\"");
	c.due = at("2026-06-08T09:00:00+03:00");
	assert_int_equal(judge(&c).hold, HOLD_NONE);
	/* another member, another count */
	c = marketing(member_in("2", "Europe/Riga"), "2026-06-01T12:00:00+03:00");
	assert_int_equal(judge(&c).hold, HOLD_NONE);
}

static void test_caps_count_the_day_when_it_leaves(void **state)
{
	static const char *const caps[] = { "1 per day" };
	struct policy_case c =
		marketing(member_in("1", "Europe/Riga"), "2026-06-01T12:00:00+03:00");
	struct policy_ruling r;

	set_cap(CLASS_MARKETING, 1, caps);
	send_one(&c, "2026-06-01T12:00:00+03:00");
	c.due = at("2026-06-01T23:00:00+03:00"); /* held to the 2nd, whose cap is free */
	r = judge(&c);
	assert_int_equal(r.hold, HOLD_NONE);
	is_at(r.due, "2026-06-02T09:00:00+03:00");
	assert_int_equal(policy_touch(&mf.w, &c, r.due, next_msg++), 0);
	c.due = at("2026-06-02T12:00:00+03:00");
	assert_int_equal(judge(&c).hold, HOLD_CAP);
	/* it did not go after all */
	assert_int_equal(policy_untouch(&mf.w, c.subject, next_msg - 1), 0);
	assert_int_equal(judge(&c).hold, HOLD_NONE);
}

static void test_caps_defer(void **state)
{
	static const char *const caps[] = { "1 per day", "2 per week" };
	struct policy_case c =
		marketing(member_in("1", "Europe/Riga"), "2026-06-01T12:00:00+03:00");

	set_cap(CLASS_MARKETING, 2, caps);
	conf[CLASS_MARKETING].on_cap = 1;
	send_one(&c, "2026-06-01T12:00:00+03:00");
	c.due = at("2026-06-01T13:00:00+03:00");
	is_at(judge(&c).due, "2026-06-02T09:00:00+03:00"); /* not at midnight: quiet hours */
	assert_int_equal(policy_touch(&mf.w, &c, judge(&c).due, next_msg++), 0);
	is_at(judge(&c).due, "2026-06-08T09:00:00+03:00"); /* the week is full */
	c.expires = at("2026-06-03T00:00:00+03:00");
	assert_int_equal(judge(&c).hold, HOLD_EXPIRED);
}

static void test_caps_rolling_and_per_channel(void **state)
{
	static const char *const caps[] = { "2 per 30 days" };
	struct policy_case c =
		marketing(member_in("1", "Europe/Riga"), "2026-06-01T12:00:00+03:00");

	set_cap(CLASS_MARKETING, 1, caps);
	send_one(&c, "2026-06-01T12:00:00+03:00");
	send_one(&c, "2026-06-20T12:00:00+03:00");
	c.due = at("2026-07-01T11:59:59+03:00");
	assert_int_equal(judge(&c).hold, HOLD_CAP);
	mf.rules.classes[CLASS_MARKETING].per_channel = true;
	c.media = MEDIA_VIBER;
	assert_int_equal(judge(&c).hold, HOLD_NONE);
	mf.rules.classes[CLASS_MARKETING].per_channel = false;
	assert_int_equal(judge(&c).hold, HOLD_CAP);
	c.due = at("2026-07-01T12:00:00+03:00");
	assert_int_equal(judge(&c).hold, HOLD_NONE);
}

/* ---- consent and suppression ---- */
static void test_consent_and_blocks(void **state)
{
	struct member *m = member_in("1", "Europe/Riga");
	struct policy_case c = marketing(m, "2026-06-01T12:00:00+03:00");

	assert_int_equal(member_set_consent(
				 &mf.w, m, ROW_OFFER, MEDIA_SMS, false, STR("api"), STR_NONE, true),
		0);
	assert_int_equal(judge(&c).hold, HOLD_CONSENT);
	c.media = MEDIA_VIBER;
	assert_int_equal(judge(&c).hold, HOLD_NONE);
	c.media = MEDIA_SMS;
	c.class = CLASS_LEGAL;
	assert_int_equal(judge(&c).hold, HOLD_NONE);
	assert_int_equal(
		address_block(&mf.w, c.address, MEDIA_SMS, -1, STR("stop"), STR("test"), STR_NONE),
		0);
	assert_int_equal(judge(&c).hold, HOLD_BLOCKED);
	c = marketing(m, "2026-06-01T12:00:00+03:00");
	c.address = STR("37120000009");
	c.row = ROW_SYSTEM;
	m->state = MEMBER_BLOCKED;
	assert_int_equal(judge(&c).hold, HOLD_BLOCKED);
	m->state = MEMBER_LEFT;
	assert_int_equal(judge(&c).hold, HOLD_LEFT);
}

/* ---- in the queue ---- */
static void test_QH_gate_puts_back_what_comes_late(void **state)
{
	static const char *const v[] = { "21:00-09:00", "22:00-08:00", "10:00-20:00",
		"mon-fri 11:00-12:00" };
	struct policy_case c =
		marketing(member_in("1", "Europe/Riga"), "2026-06-05T12:00:00+03:00");
	struct buf b = BUF_INIT;
	struct str more;

	set_windows(windows, v, 4);
	policy_gate_put(&b, &mf.rules, &c, SIZE_MAX);
	more = buf_view(&b);
	assert_int_equal(policy_gate(&mf.rules, more, at("2026-06-05T20:59:00+03:00")), 0);
	is_at(policy_gate(&mf.rules, more, at("2026-06-05T21:00:00+03:00")),
		"2026-06-06T09:00:00+03:00");
	buf_reset(&b);
	c.windows = &windows[2];
	c.windows_n = 2;
	policy_gate_put(&b, &mf.rules, &c, SIZE_MAX);
	more = buf_view(&b);
	is_at(policy_gate(&mf.rules, more, at("2026-06-05T20:30:00+03:00")),
		"2026-06-06T10:00:00+03:00");
	assert_int_equal(policy_gate(&mf.rules, more, at("2026-06-05T19:30:00+03:00")), 0);
	buf_reset(&b);
	policy_gate_put(&b, &mf.rules, &c, 24); /* no room for hours */
	assert_true(b.n <= 24);
	is_at(policy_gate(&mf.rules, buf_view(&b), at("2026-06-05T21:00:00+03:00")),
		"2026-06-06T09:00:00+03:00");
	/* damaged or of another version: it is not held for ever */
	assert_int_equal(policy_gate(&mf.rules, STR("9 9 9"), 1), 0);
	assert_int_equal(policy_gate(&mf.rules, STR("0 4 0 1 - Nowhere/At_all"), 1), 0);
	buf_free(&b);
}

static void test_reopen(void **state)
{
	const struct zone *z = zone_find(STR("Europe/Riga"), NULL);
	wall_t until, t = at("2026-06-05T23:00:00+03:00");

	is_at(policy_reopen(&mf.rules, CLASS_MARKETING, MEDIA_SMS, STR_NONE, z, t, &until),
		"2026-06-06T09:00:00+03:00");
	is_at(until, "2026-06-06T21:00:00+03:00");
	assert_int_equal(
		policy_reopen(&mf.rules, CLASS_LEGAL, MEDIA_SMS, STR_NONE, z, t, &until), t);
	assert_int_equal(until, 0);
}

/* ---- other senders ---- */
static struct message *submitted(const char *to, const char *client_id, bool attempt)
{
	struct draft d;
	struct message *m;

	draft_init(&d);
	draft_put(&d, FIELD_TO, str_of(to));
	draft_put(&d, FIELD_TEXT, STR("Sale!"));
	draft_put(&d, FIELD_CLIENT_ID, str_of(client_id));
	if (attempt)
		draft_put(&d, FIELD_ON_BEHALF, STR("http/crm"));
	m = draft_seal(&d);
	draft_free(&d);
	return m;
}

static struct plugin_policy ask(
	const char *to, const char *client_id, bool attempt, const char *now)
{
	static uint64_t id = 1000;
	struct plugin_policy p = { .id = ++id };
	struct message *m = submitted(to, client_id, attempt);

	mf.w.now = at(now);
	assert_int_equal(policy_submitted(&mf.w, m, STR_NONE, &p), 0);
	message_unref(&m);
	return p;
}

static void test_other_senders_under_marketing(void **state)
{
	static const char *const caps[] = { "1 per day" };
	struct member *m = member_in("1", "Asia/Kolkata");
	struct plugin_policy p;

	set_cap(CLASS_MARKETING, 1, caps);
	contact_put(&mf.w, m, CONTACT_PHONE, STR("37120000001"), STR_NONE, CONTACT_VERIFIED, 1);
	p = ask("37120000002", "a", false, "2026-06-01T12:00:00+03:00");
	assert_int_equal(p.verdict, POLICY_GO);
	is_at(p.open_until, "2026-06-01T21:00:00+03:00");
	p = ask("37120000002", "b", false, "2026-06-01T13:00:00+03:00");
	assert_int_equal(p.verdict, POLICY_SUPPRESS);
	assert_int_equal(p.reason, REASON_CAP);
	assert_string_equal(p.words, "cap: cap \"1 per day\"");
	/* the member's own clock: 21:30 in India; and the gate knows it */
	p = ask("37120000001", "c", false, "2026-06-01T16:00:00Z");
	assert_int_equal(p.verdict, POLICY_HOLD);
	assert_int_equal(p.reason, REASON_QUIET_HOURS);
	is_at(p.until, "2026-06-02T03:30:00Z");
	is_at(policy_gate(&mf.rules, str_n(p.more, p.more_n), at("2026-06-02T16:00:00Z")),
		"2026-06-03T03:30:00Z");
	/* attempts of one whole count once */
	p = ask("37120000003", "77:0", true, "2026-06-03T12:00:00+03:00");
	assert_int_equal(p.verdict, POLICY_GO);
	p = ask("37120000003", "77:1", true, "2026-06-03T13:00:00+03:00");
	assert_int_equal(p.verdict, POLICY_GO);
	assert_int_equal(mf_number("SELECT count(*) FROM of_touch WHERE msg = 77"), 1);
	p = ask("37120000003", "d", false, "2026-06-03T14:00:00+03:00");
	assert_int_equal(p.verdict, POLICY_SUPPRESS);
	/* consent of whom the number belongs to */
	assert_int_equal(member_set_consent(
				 &mf.w, m, ROW_ADVERT, -1, false, STR("sms STOP"), STR_NONE, true),
		0);
	p = ask("37120000001", "e", false, "2026-06-05T09:00:00Z");
	assert_int_equal(p.verdict, POLICY_SUPPRESS);
	assert_int_equal(p.reason, REASON_CONSENT);
	assert_non_null(strstr(p.words, "consent"));
}

/* What another sender has in a queue is withdrawn by the name that it has there. */
static void test_CO_1_others_are_known_by_their_id(void **state)
{
	struct member *m = member_in("1", "Europe/Riga");
	uint64_t member_s, strangers;

	contact_put(&mf.w, m, CONTACT_PHONE, STR("37120000001"), STR_NONE, CONTACT_VERIFIED, 1);
	member_s = ask("37120000001", "a", false, "2026-06-01T12:00:00+03:00").id;
	strangers = ask("37120000002", "b", false, "2026-06-01T12:00:00+03:00").id;
	assert_int_equal(member_set_consent(&mf.w, m, ROW_ADVERT, MEDIA_SMS, false, STR("test"),
				 STR_NONE, false),
		0);
	assert_int_equal(mf_number("SELECT count(*) FROM of_deed"), 1);
	assert_int_equal(mf_number("SELECT max(msg) FROM of_deed"), member_s);
	assert_int_equal(address_block(&mf.w, STR("37120000002"), MEDIA_SMS, -1, STR("stop"),
				 STR("sms STOP"), STR_NONE),
		0);
	assert_int_equal(mf_number("SELECT count(*) FROM of_deed"), 2);
	assert_int_equal(mf_number("SELECT max(msg) FROM of_deed"), strangers);
}

static void test_words(void **state)
{
	for (int h = 0; h < HOLD_REASONS; h++) {
		assert_non_null(hold_word((enum hold_reason)h));
		assert_true(hold_text((enum hold_reason)h)[0] != '\0');
		for (int k = 0; k < h; k++)
			assert_string_not_equal(
				hold_word((enum hold_reason)h), hold_word((enum hold_reason)k));
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, mf_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_CO_1_others_are_known_by_their_id),
		TEST(test_QH_1_waits_until_nine),
		TEST(test_QH_2_three_zones),
		TEST(test_QH_3_the_night_of_the_clock_change),
		TEST(test_QH_over_weekdays_and_hours_of_the_step),
		TEST(test_QH_5_held_past_its_expiry),
		TEST(test_QH_exempt_media_countries_and_drop),
		TEST(test_QH_release_is_spread),
		TEST(test_caps_by_the_members_calendar),
		TEST(test_caps_count_the_day_when_it_leaves),
		TEST(test_caps_defer),
		TEST(test_caps_rolling_and_per_channel),
		TEST(test_consent_and_blocks),
		TEST(test_QH_gate_puts_back_what_comes_late),
		TEST(test_reopen),
		TEST(test_other_senders_under_marketing),
		TEST(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
