/* What events say of members and counters, told in every order: what happened last stands. */
#include "plugins/offers/engine_fixture.h"
#include "plugins/offers/import.h"
#include "plugins/offers/said.h"

struct told {
	double day;
	const char *type, *rest;
	const char *who; /* NULL: m */
};

static void tell(unsigned n, const struct told *r)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "{\"id\":\"e%u\",\"type\":\"%s\",\"member\":{%s},\"occurred_at\":\"", n,
		r->type, r->who ? r->who : "\"id\":\"m\"");
	clock_put_rfc3339(&b, day_0 + (wall_t)(r->day * 1000) * (DUR_DAY / 1000));
	buf_printf(&b, "\"%s%s}", r->rest[0] ? "," : "", r->rest);
	put_event(buf_cstr(&b));
	buf_free(&b);
}

/* Tells these in every order, each time to a new store; the query says the same each time. */
static void in_every_order(
	const char *offers, const struct told *row, unsigned n, const char *query, int64_t want)
{
	unsigned orders = 1;

	for (unsigned i = 2; i <= n; i++)
		orders *= i;
	for (unsigned order = 0; order < orders; order++) {
		unsigned rest = order, left = n, of_them[8];
		struct buf order_text = BUF_INIT;
		int64_t is;

		for (unsigned i = 0; i < n; i++)
			of_them[i] = i;
		if (of.rules) /* the last one is ended by whoever is next, or the teardown */
			end(NULL);
		begin(offers);
		of_unit();
		of_member("m");
		of.w.now = day_0 + 20 * DUR_DAY;
		while (left) {
			unsigned k = rest % left, which = of_them[k];

			rest /= left--;
			of_them[k] = of_them[left];
			buf_printf(&order_text, " %u", which);
			tell(which, &row[which]);
		}
		is = of_number(query);
		if (is != want)
			fail_msg("told as%s: %s: %lld, not %lld", buf_cstr(&order_text), query,
				(long long)is, (long long)want);
		buf_free(&order_text);
	}
}
#define ROWS(a) (a), sizeof(a) / sizeof *(a)

#define SAID(day, row, channel, granted)                                       \
	{                                                                      \
		day, "consent.changed",                                        \
			"\"data\":{\"row\":\"" row "\",\"channel\":\"" channel \
			"\",\"granted\":" granted "}"                          \
	}

static void test_CO_what_was_said_last_stands(void **state)
{
	static const struct told cell[] = { SAID(1, "Advertisement", "sms", "true"),
		SAID(2, "Advertisement", "sms", "false"), SAID(3, "Advertisement", "sms", "true"),
		SAID(4, "Advertisement", "sms", "false") };
	static const struct told part[] = { SAID(1, "Advertisement", "sms", "false"),
		SAID(2, "Advertisement", "*", "false"), SAID(3, "Advertisement", "sms", "true") };
	static const struct told whole[] = { SAID(1, "*", "sms", "false"),
		SAID(2, "*", "sms", "true"), SAID(3, "Advertisement", "sms", "true") };

	in_every_order("", ROWS(cell),
		"SELECT sum(flags & 1) FROM of_consent WHERE row = 5 AND channel = 0", 0);
	in_every_order("", ROWS(part),
		"SELECT sum((flags & 1) * (2 + channel)) FROM of_consent WHERE row = 5", 2);
	in_every_order("", ROWS(whole), "SELECT count(*) FROM of_consent WHERE row < 0", 0);
}

/* STOP came by SMS; that they agreed the day before is told after it. */
static void test_CO_1_a_late_grant_does_not_undo_a_stop(void **state)
{
	struct member *m;

	begin("");
	of_unit();
	m = of_member("m");
	of.w.now = day_0 + 2 * DUR_DAY;
	assert_int_equal(member_set_consent(&of.w, m, ROW_ADVERT, MEDIA_SMS, false, STR("sms"),
				 STR("STOP"), false),
		0);
	of.w.now = day_0 + 3 * DUR_DAY;
	happens(1, "consent.changed",
		"\"data\":{\"row\":\"Advertisement\",\"channel\":\"sms\",\"granted\":true}");
	assert_int_equal(of_number("SELECT sum(flags & 1) FROM of_consent"), 0);
	happens(2.5, "consent.changed",
		"\"data\":{\"row\":\"Advertisement\",\"channel\":\"sms\",\"granted\":true}");
	assert_int_equal(of_number("SELECT sum(flags & 1) FROM of_consent"), 1);
}

#define PHONE "\"data\":{\"kind\":\"phone\",\"value\":\"+37121111111\"}"
#define TOKEN(t)                                                                                 \
	"\"data\":{\"device\":\"d\",\"platform\":\"android\",\"service\":\"fcm\",\"token\":\"" t \
	"\"}"
#define PROFILE "\"data\":{\"provider\":\"vk\",\"profile\":\"p\"}"

static void test_EV_3_addresses_follow_the_time_of_what_happened(void **state)
{
	static const struct told gone[] = { { 1, "contact.linked", PHONE },
		{ 2, "contact.unlinked", PHONE } };
	static const struct told back[] = { { 1, "contact.linked", PHONE },
		{ 2, "contact.unlinked", PHONE }, { 3, "contact.linked", PHONE } };
	static const struct told all[] = { { 1, "contact.linked", PHONE },
		{ 2, "contact.unlinked", "\"data\":{\"kind\":\"phone\"}" } };
	static const struct told dead[] = { { 1, "contact.linked", PHONE },
		{ 2, "contact.invalid", PHONE } };
	static const struct told app[] = { { 1, "app.installed", TOKEN("old") },
		{ 2, "app.installed", TOKEN("new") } };
	static const struct told removed[] = { { 1, "app.installed", TOKEN("old") },
		{ 2, "app.installed", TOKEN("new") },
		{ 3, "app.removed", "\"data\":{\"device\":\"d\"}" } };
	static const struct told network[] = { { 1, "social.linked", PROFILE },
		{ 2, "social.unlinked", PROFILE } };

	in_every_order("", ROWS(gone), "SELECT count(*) FROM of_contact", 0);
	in_every_order("", ROWS(back), "SELECT count(*) FROM of_contact", 1);
	in_every_order("", ROWS(all), "SELECT count(*) FROM of_contact", 0);
	in_every_order("", ROWS(dead), "SELECT count(*) FROM of_contact WHERE flags & 2", 1);
	in_every_order(
		"", ROWS(app), "SELECT count(*) + 10 * sum(value = 'new') FROM of_contact", 11);
	in_every_order("", ROWS(removed), "SELECT count(*) FROM of_contact", 0);
	in_every_order("", ROWS(network), "SELECT count(*) FROM of_contact", 0);
}

static void test_EV_3_a_status_is_the_latest(void **state)
{
	static const struct told row[] = {
		{ 1, "status.changed", "\"data\":{\"system\":\"tier\",\"to\":\"silver\"}" },
		{ 2, "status.changed", "\"data\":{\"system\":\"tier\",\"to\":\"gold\"}" },
		{ 3, "status.calculated", "\"data\":{\"system\":\"tier\",\"value\":\"iron\"}" },
	};

	in_every_order("members = { statuses = [ \"tier\" ]; };", ROWS(row),
		"SELECT count(*) FROM of_member WHERE statuses LIKE '%iron%'", 1);
}

static void test_EV_3_what_a_member_is_said_to_be_is_the_latest(void **state)
{
	static const struct told row[] = {
		{ 1, "member.updated",
			"\"data\":{\"member\":{\"first_name\":\"A\",\"last_name\":\"X\"}}" },
		{ 2, "member.updated", "\"data\":{\"member\":{\"first_name\":\"B\"}}" },
		{ 3, "member.updated", "\"data\":{\"member\":{\"last_name\":\"Y\"}}" },
	};

	in_every_order("", ROWS(row),
		"SELECT count(*) FROM of_member WHERE first_name = 'B' AND last_name = 'Y'", 1);
}

/* PUT or PATCH, now. */
static void say(const char *json, bool whole)
{
	const struct member_reader how = { .rules = of.w.rules, .verified = true };
	struct json_faults f = { 0 };
	struct member_input in;
	struct member *m;
	bool created;
	json_t *v = json_read(str_of(json), &f);

	of_unit();
	m = of_member("m");
	assert_true(member_input_read(v, &how, of.w.arena, &in, &f));
	work_or_fail(member_apply(
		&of.w, &in, whole ? APPLY_WHOLE : APPLY_GIVEN, STR("api"), m, &m, &created));
	work_or_fail(said_note(&of.w, m, &in, whole));
	json_decref(v);
}

#define SAYS(fields) "\"data\":{\"member\":{" fields "}}"
#define CITY(c)      "\"attributes\":{\"city\":\"" c "\"}"

/* What was said over HTTP on day 5 is the later word than an event of day 4, whatever it is about,
 * and the earlier one than that of day 6. What was not said is the event's. */
static void test_EV_3_an_older_event_does_not_undo_what_was_said_here(void **state)
{
	static const char *const orders[] = { "45", "54", "456", "546", "564", "4w", "w4" };

	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
		bool later = strchr(orders[i], '6'), whole = strchr(orders[i], 'w');
		const char *is,
			*city = later   ? "Cesis"
				: whole ? "none"
					: "Riga",
			*tier = whole ? "none" : "gold";

		if (of.rules)
			end(NULL);
		begin("members = { attributes = { city = \"text\"; }; statuses = [ \"tier\" ]; };");
		for (const char *o = orders[i]; *o; o++) {
			of.w.now = day_0 + 5 * DUR_DAY; /* whatever it was told */
			if (*o == '5')
				say("{\"first_name\":\"P\",\"status\":\"gold\"," CITY("Riga") "}",
					false);
			else if (*o == 'w')
				say("{\"first_name\":\"P\"}", true);
			of.w.now = day_0 + 7 * DUR_DAY;
			if (*o == '4') {
				happens(4, "member.updated",
					SAYS("\"first_name\":\"E\",\"last_name\":\"L\"," CITY(
						"Ogre")));
				happens(4.1, "form.completed",
					"\"data\":{\"section\":\"s\",\"answers\":{\"city\":"
					"\"Ogre\"}}");
				happens(4.2, "status.changed",
					"\"data\":{\"system\":\"tier\",\"to\":\"iron\"}");
			} else if (*o == '6') {
				happens(6, "member.updated", SAYS(CITY("Cesis")));
			}
		}
		of_unit();
		assert_int_equal(member_attrs(&of.w, of_member("m")), 0);
		is = arena_cstr(of.w.arena, of_member("m")->attrs[0].s);
		if (strcmp(of_member("m")->attrs[0].type == VALUE_TEXT ? is : "none", city) != 0)
			fail_msg("told as %s: city %s, not %s", orders[i], is, city);
		assert_true(str_is(of_member("m")->first_name, "P"));
		assert_true(str_is(of_member("m")->last_name, whole ? "" : "L"));
		is = arena_cstr(of.w.arena, member_status(&of.w, of_member("m"), "tier"));
		if (strcmp(is[0] ? is : "none", tier) != 0)
			fail_msg("told as %s: tier %s, not %s", orders[i], is, tier);
	}
}

/* POST /v1/members, now. */
static void import(const char *json)
{
	const struct import_conf c = { .form = IMPORT_JSON,
		.what = IMPORT_MEMBERS,
		.rules = of.rules,
		.verified = true,
		.by = "crm",
		.media = -1,
		.row = -1 };
	struct import *im = import_new(&c);
	struct import_slice *slice = NULL;
	struct str in = str_of(json);

	assert_true(import_feed(im, &in, &slice));
	assert_null(slice);
	assert_true(import_end(im, &slice));
	assert_non_null(slice);
	of_unit();
	work_or_fail(import_apply(&of.w, slice));
	import_took(im, &slice, false);
	import_free(&im);
}

/* An import is a word as PATCH is: of whom it makes, and of whom there is. */
static void test_EV_3_an_older_event_does_not_undo_an_import(void **state)
{
	static const char row[] = "[{\"id\":\"m\",\"first_name\":\"P\",\"status\":\"gold\","
				  "\"email\":\"m@shop.example\"," CITY("Riga") "}]";

	for (unsigned i = 0; i < 2; i++) {
		begin("members = { attributes = { city = \"text\"; }; statuses = [ \"tier\" ]; };");
		of.w.now = day_0 + DUR_DAY;
		if (i) {
			of_unit();
			of_member("m");
			happens(1, "contact.linked",
				"\"data\":{\"kind\":\"email\",\"value\":\"m@shop.example\"}");
		}
		of.w.now = day_0 + 5 * DUR_DAY;
		import(row);
		of.w.now = day_0 + 7 * DUR_DAY;
		happens(4, "member.updated",
			SAYS("\"first_name\":\"E\",\"last_name\":\"L\"," CITY("Ogre")));
		happens(4.1, "form.completed",
			"\"data\":{\"section\":\"s\",\"answers\":{\"city\":\"Ogre\"}}");
		happens(4.2, "status.changed", "\"data\":{\"system\":\"tier\",\"to\":\"iron\"}");
		happens(4.3, "contact.unlinked",
			"\"data\":{\"kind\":\"email\",\"value\":\"m@shop.example\"}");
		happens(4.4, "contact.unlinked", "\"data\":{\"kind\":\"email\"}");
		of_unit();
		assert_int_equal(member_attrs(&of.w, of_member("m")), 0);
		assert_true(str_is(of_member("m")->attrs[0].s, "Riga"));
		assert_true(str_is(of_member("m")->first_name, "P"));
		assert_true(str_is(of_member("m")->last_name, "L"));
		assert_true(str_is(member_status(&of.w, of_member("m"), "tier"), "gold"));
		assert_int_equal(of_number("SELECT count(*) FROM of_contact"), 1);
		happens(6, "member.updated", SAYS(CITY("Cesis")));
		happens(6.1, "contact.unlinked",
			"\"data\":{\"kind\":\"email\",\"value\":\"m@shop.example\"}");
		of_unit();
		assert_int_equal(member_attrs(&of.w, of_member("m")), 0);
		assert_true(str_is(of_member("m")->attrs[0].s, "Cesis"));
		assert_int_equal(of_number("SELECT count(*) FROM of_contact"), 0);
		if (!i)
			end(NULL);
	}
}

#define MAIL     "\"data\":{\"kind\":\"email\",\"value\":\"m@shop.example\"}"
#define CONTACTS "SELECT count(*) FROM of_contact WHERE kind = "

/* What PATCH, PUT or an import took away on day 5 does not come back by what happened before. */
static void test_EV_3_what_was_taken_away_here_stays_away(void **state)
{
	for (unsigned how = 0; how < 6; how++) {
		bool late = how & 1; /* the events are told after it */

		begin("");
		of_unit();
		of_member("m");
		of.w.now = day_0 + 7 * DUR_DAY;
		for (unsigned turn = 0; turn < 2; turn++) {
			if (turn == (unsigned)late) {
				happens(3, "contact.linked", PHONE);
				happens(4, "contact.linked", MAIL);
				happens(4.1, "member.updated",
					SAYS("\"email\":\"m@shop.example\",\"phone\":null"));
				happens(4.2, "social.linked", PROFILE);
				continue;
			}
			of.w.now = day_0 + 5 * DUR_DAY;
			if (how / 2 == 0)
				say("{\"email\":null}", false);
			else if (how / 2 == 1)
				say("{\"phone\":\"+37121111111\"}", true);
			else
				import("[{\"id\":\"m\",\"email\":null}]");
			of.w.now = day_0 + 7 * DUR_DAY;
		}
		assert_int_equal(of_number(CONTACTS "0"), 1);
		assert_int_equal(of_number("SELECT flags & 1 FROM of_contact WHERE kind = 0"), 1);
		assert_int_equal(of_number(CONTACTS "1"), 0);
		assert_int_equal(of_number(CONTACTS "3"), how / 2 != 1);
		happens(6, "contact.linked", MAIL);
		assert_int_equal(of_number(CONTACTS "1"), 1);
		if (how < 5)
			end(NULL);
	}
}

/* What was said to be theirs stays, and is proved by who proved it before; a token that was told
 * here is not replaced by an older one of the device. */
static void test_EV_3_what_was_said_here_to_be_theirs_stays(void **state)
{
	begin("");
	of_unit();
	of_member("m");
	of.w.now = day_0 + 5 * DUR_DAY;
	happens(1, "contact.linked", PHONE);
	say("{\"phone\":\"+37121111111\",\"contacts\":[{\"kind\":\"email\",\"value\":"
	    "\"m@shop.example\",\"verified\":false},{\"kind\":\"device\",\"value\":\"new\","
	    "\"service\":\"fcm\",\"platform\":\"android\",\"device\":\"d\"}]}",
		false);
	of.w.now = day_0 + 7 * DUR_DAY;
	happens(4, "contact.unlinked", PHONE);
	happens(4, "contact.unlinked", "\"data\":{\"kind\":\"phone\"}");
	assert_int_equal(of_number(CONTACTS "0"), 1);
	assert_int_equal(of_number("SELECT flags & 1 FROM of_contact WHERE kind = 1"), 0);
	happens(4, "contact.linked", MAIL);
	assert_int_equal(of_number("SELECT flags & 1 FROM of_contact WHERE kind = 1"), 1);
	happens(4, "app.installed", TOKEN("old"));
	happens(4, "app.removed", "\"data\":{\"device\":\"d\"}");
	assert_int_equal(of_number(CONTACTS "4 AND value = 'new'"), 1);
	assert_int_equal(of_number(CONTACTS "4"), 1);
	happens(6, "app.installed", TOKEN("newest"));
	assert_int_equal(of_number(CONTACTS "4 AND value = 'newest'"), 1);
	assert_int_equal(of_number(CONTACTS "4"), 1);
	happens(6, "contact.unlinked", PHONE);
	assert_int_equal(of_number(CONTACTS "0"), 0);
}

/* As a store of before has it: a row for each. */
static void test_what_was_said_before_the_update(void **state)
{
	begin("members = { statuses = [ \"tier\" ]; };");
	of_unit();
	of_member("m");
	of.w.now = day_0 + 7 * DUR_DAY;
	assert_int_equal(sql_exec(of.sql, "INSERT INTO of_said(member, field, at) SELECT id, f, "
					  "9e18 FROM of_member, (SELECT 'first_name' AS f UNION "
					  "SELECT 'status.tier')"),
		0);
	happens(4, "member.updated", SAYS("\"first_name\":\"E\",\"last_name\":\"L\""));
	happens(4.2, "status.changed", "\"data\":{\"system\":\"tier\",\"to\":\"iron\"}");
	of_unit();
	assert_true(str_is(of_member("m")->first_name, ""));
	assert_true(str_is(of_member("m")->last_name, "L"));
	assert_true(str_is(member_status(&of.w, of_member("m"), "tier"), ""));
}

#define LIKE "\"data\":{\"provider\":\"vk\",\"kind\":\"like\",\"object\":\"o\"}"
#define COUNTERS                                                                           \
	"counters = { likes = { of = \"social.activity\"; per = \"member\"; };"            \
	" spent = { of = \"purchase.completed\"; sum = \"event.total\"; per = \"member\";" \
	" undo_on_refund = true; }; };"

static void test_FC_3_counters_follow_what_is_undone_in_any_order(void **state)
{
	static const struct told likes[] = { { 1, "social.activity", LIKE },
		{ 2, "social.activity_removed", LIKE }, { 3, "social.activity", LIKE } };
	static const struct told part[] = {
		{ 1, "purchase.completed", "\"receipt\":\"r1\",\"data\":{\"total\":7}" },
		{ 2, "purchase.refunded", "\"data\":{\"refunds\":\"r1\",\"total\":3}" },
	};

	in_every_order(COUNTERS, ROWS(likes), "SELECT sum(value) FROM of_counter", 1);
	in_every_order(COUNTERS, ROWS(part), "SELECT sum(value) FROM of_counter", 40000);
}

/* Who takes back a like takes back their own, whatever their number in the store. */
static void test_EV_16_likes_are_each_members_own(void **state)
{
	begin(COUNTERS);
	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k < 16; k++) {
			struct buf b = BUF_INIT;

			if (i && k % 2)
				continue;
			buf_printf(&b,
				"{\"id\":\"%u-%u\",\"type\":\"social.activity%s\",\"member\":{"
				"\"id\":"
				"\"m%u\"},\"occurred_at\":\"2026-03-01T10:00:00Z\"," LIKE "}",
				i, k, i ? "_removed" : "", k);
			put_event(buf_cstr(&b));
			buf_free(&b);
		}
	assert_int_equal(of_number("SELECT sum(value) FROM of_counter"), 8);
	assert_int_equal(of_number("SELECT max(value) FROM of_counter"), 1);
}

/* ---- two who turn out to be one ---- */

#define RETURN_OFFER(more)                                                                 \
	"offer = { name = \"o\"; kind = \"service\"; when = \"purchase.completed\"; " more \
	" unless = \"purchase.completed\"; then = \"stop\";"                               \
	" steps = ( { after = \"14 days\"; send = \"hi\"; via = \"sms\"; } ); };"
#define CARD "\"card\":\"c\""

static void test_EV_3_a_card_that_joins_late_is_the_same_buyer(void **state)
{
	static const struct told row[] = { { 1, "purchase.completed", "\"receipt\":\"r1\"", CARD },
		{ 2, "registration.completed", "", "\"id\":\"m\"," CARD },
		{ 3, "purchase.completed", "\"receipt\":\"r2\"", CARD },
		{ 5, "purchase.completed", "\"receipt\":\"r3\"", "\"id\":\"m\"" } };
	struct buf query = BUF_INIT;

	buf_printf(&query, "SELECT count(*) + sum(due = %lld) FROM of_chain",
		(long long)(day_0 + 19 * DUR_DAY));
	in_every_order(RETURN_OFFER(""), ROWS(row), buf_cstr(&query), 2);
	in_every_order(RETURN_OFFER("only_if = \"first_time('purchase.completed')\";"), ROWS(row),
		"SELECT count(*) FROM of_chain", 0);
	buf_free(&query);
}

/* What either has refused is refused, be it said of a row or of one channel. */
static void test_CO_a_refusal_of_either_is_one(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct member *to, *from;
		int row_of = i & 1 ? MEDIA_SMS : -1;

		begin("");
		of_unit();
		to = of_member("a");
		from = of_member("b");
		member_set_consent(&of.w, to, ROW_ADVERT, row_of, i & 2, STR("t"), STR_NONE, true);
		member_set_consent(&of.w, from, ROW_ADVERT, row_of < 0 ? MEDIA_SMS : -1, !(i & 2),
			STR("t"), STR_NONE, true);
		assert_int_equal(member_merge(&of.w, to, from), 0);
		assert_int_equal(
			member_agrees(&of.w, to, ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS), 0);
		if (i < 3)
			end(state);
	}
}

#define THANKS                                                                               \
	"offer = { name = \"o\"; kind = \"service\"; when = \"card.activated\"; actions = (" \
	" { do = \"send\"; template = \"hi\"; via = \"sms\"; } ); };"

static int64_t withdrawn(void)
{
	return of_number("SELECT count(*) FROM of_deed WHERE kind = 2");
}

static void test_CO_1_what_waits_is_withdrawn_when_two_are_one(void **state)
{
	struct member *to, *from;

	begin(THANKS);
	reachable();
	happens(0, "card.activated", "");
	expect_sent(1, "Hi.");
	of_unit();
	to = of_member("m");
	from = of_member("b");
	member_set_consent(&of.w, from, ROW_SYSTEM, -1, false, STR("t"), STR_NONE, true);
	assert_int_equal(member_merge(&of.w, to, from), 0);
	assert_int_equal(withdrawn(), 1);
}

/* A number that is not theirs any more gets nothing that waits, held by quiet hours or not. */
static void test_what_waits_for_an_unlinked_address_is_withdrawn(void **state)
{
	begin(THANKS);
	reachable();
	happens(0, "card.activated", "");
	expect_sent(1, "Hi.");
	happens(0.1, "contact.linked", "\"data\":{\"kind\":\"email\",\"value\":\"a@b.lv\"}");
	happens(0.2, "contact.unlinked", "\"data\":{\"kind\":\"email\",\"value\":\"a@b.lv\"}");
	assert_int_equal(withdrawn(), 0);
	happens(0.3, "contact.unlinked",
		"\"data\":{\"kind\":\"phone\",\"value\":\"+46700000001\"}");
	assert_int_equal(withdrawn(), 1);
}

/* An event that comes late changes what hangs on it, and not what the member was then. */
static void test_what_was_right_then_stays_when_the_member_changes(void **state)
{
	begin("members = { statuses = [ \"tier\" ]; };"
	      "offer = { name = \"o\"; kind = \"service\"; when = \"registration.completed\";"
	      " unless = \"form.completed\"; then = \"stop\";"
	      " only_if = \"member.status == 'gold' and count('purchase.completed') < 2\";"
	      " steps = ( { after = \"14 days\"; send = \"hi\"; via = \"sms\"; } ); };");
	of_unit();
	of_member("m");
	of.w.now = day_0 + 9 * DUR_DAY;
	happens(0, "status.changed", "\"data\":{\"system\":\"tier\",\"to\":\"gold\"}");
	happens(3, "registration.completed", "");
	happens(4, "status.changed", "\"data\":{\"system\":\"tier\",\"to\":\"silver\"}");
	happens(1, "purchase.completed", "");
	assert_int_equal(of_number("SELECT count(*) FROM of_chain"), 1);
}

/* Nor does a record that joins: a card that was used before it was known whose it is. */
static void test_what_was_right_then_stays_when_a_record_joins(void **state)
{
	begin("members = { statuses = [ \"tier\" ]; };"
	      "offer = { name = \"o\"; kind = \"service\"; when = \"registration.completed\";"
	      " unless = \"form.completed\"; then = \"stop\";"
	      " only_if = \"member.status == 'gold' and count('purchase.completed') < 2\";"
	      " steps = ( { after = \"14 days\"; send = \"hi\"; via = \"sms\"; } ); };");
	of_unit();
	of_member("m");
	of.w.now = day_0 + 9 * DUR_DAY;
	happens(0, "status.changed", "\"data\":{\"system\":\"tier\",\"to\":\"gold\"}");
	happens(3, "registration.completed", "");
	happens(4, "status.changed", "\"data\":{\"system\":\"tier\",\"to\":\"silver\"}");
	tell(90, &(struct told){ 5, "purchase.completed", "", CARD });
	assert_int_equal(of_number("SELECT count(*) FROM of_chain"), 1);
	tell(91, &(struct told){ 6, "card.activated", "", "\"id\":\"m\"," CARD });
	assert_int_equal(of_number("SELECT count(*) FROM of_member WHERE merged > 0"), 1);
	assert_int_equal(of_number("SELECT count(*) FROM of_chain"), 1);
}

#define FORM_OFFER(name, is)                                                    \
	"{ name = \"" name "\"; kind = \"service\"; when = \"form.completed\";" \
	" only_if = \"" is                                                      \
	"\"; steps = ( { after = \"14 days\"; send = \"hi\"; via = \"sms\"; } ); }"

/* A form of day 3 that is told on day 9: counters and balances are not what they were then, but the
 * period is that of the day; count() ends with the event. */
static void test_FC_counters_and_balances_are_as_when_they_are_asked(void **state)
{
	begin("currencies = { bonus = { one = \"point\"; other = \"points\"; }; };"
	      "counters = { c = { of = \"purchase.completed\"; per = \"member\";"
	      " period = \"week\"; undo_on_refund = true; }; };"
	      "offers = ( " FORM_OFFER("counted", "counter('c') == 2") ", " FORM_OFFER(
		      "of", "count('purchase.completed') == 1") ", " FORM_OFFER("has",
		      "balance('bonus') == 7") " );");
	of_unit();
	of_member("m");
	of.w.now = day_0 + 9 * DUR_DAY; /* day 0 is a Sunday */
	happens(2, "purchase.completed", "\"receipt\":\"r2\"");
	happens(4, "purchase.completed", "\"receipt\":\"r4\"");
	happens(5, "purchase.completed", "\"receipt\":\"r5\"");
	happens(6, "purchase.refunded", "\"data\":{\"refunds\":\"r5\"}");
	happens(8, "purchase.completed", "\"receipt\":\"r8\"");
	happens(8, "bonus.lot", "\"data\":{\"lot\":\"a\",\"amount\":7,\"currency\":\"bonus\"}");
	happens(3, "form.completed", "\"data\":{\"section\":\"s\"}");
	assert_int_equal(of_number("SELECT count(*) FROM of_chain"), 3);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, end)
	const struct CMUnitTest tests[] = {
		T(test_CO_what_was_said_last_stands),
		T(test_CO_1_a_late_grant_does_not_undo_a_stop),
		T(test_EV_3_addresses_follow_the_time_of_what_happened),
		T(test_EV_3_a_status_is_the_latest),
		T(test_EV_3_what_a_member_is_said_to_be_is_the_latest),
		T(test_EV_3_an_older_event_does_not_undo_what_was_said_here),
		T(test_EV_3_an_older_event_does_not_undo_an_import),
		T(test_EV_3_what_was_taken_away_here_stays_away),
		T(test_EV_3_what_was_said_here_to_be_theirs_stays),
		T(test_what_was_said_before_the_update),
		T(test_FC_3_counters_follow_what_is_undone_in_any_order),
		T(test_EV_16_likes_are_each_members_own),
		T(test_FC_counters_and_balances_are_as_when_they_are_asked),
		T(test_what_was_right_then_stays_when_the_member_changes),
		T(test_what_was_right_then_stays_when_a_record_joins),
		T(test_EV_3_a_card_that_joins_late_is_the_same_buyer),
		T(test_CO_a_refusal_of_either_is_one),
		T(test_CO_1_what_waits_is_withdrawn_when_two_are_one),
		T(test_what_waits_for_an_unlinked_address_is_withdrawn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
