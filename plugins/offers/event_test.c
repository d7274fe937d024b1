/* Reading events: the catalogue, aliases, the two clocks, digests, the stored form. */
#include "plugins/offers/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct event_reader usual = {
	.source = { "pos", 3 }, .ahead = 5 * DUR_MIN, .too_far = DUR_DAY
};
static wall_t now;

static enum event_verdict read_text(const char *text, struct event **e_r, struct json_faults *f)
{
	struct json_faults mine = { 0 };
	enum event_verdict v;
	json_t *j;

	f = f ? f : &mine;
	*f = (struct json_faults){ 0 };
	j = json_read(str_of(text), f);
	assert_non_null(j);
	v = event_read(j, now, &usual, e_r, f);
	json_decref(j);
	assert_true((v == EVENT_OK) == (f->n == 0));
	assert_true((v == EVENT_OK) == (*e_r != NULL));
	return v;
}

static struct event *good(const char *text)
{
	struct json_faults f;
	struct buf b = BUF_INIT;
	struct event *e;

	if (read_text(text, &e, &f) != EVENT_OK) {
		json_faults_put(&b, &f);
		fail_msg("%s: %s", text, buf_cstr(&b));
	}
	return e;
}

static void test_EV_10_every_type_is_read_and_restored(void **state)
{
	(void)state;
	for (unsigned t = 0; t < EVENT_TYPES; t++) {
		char text[900];
		struct event *e, *back;

		if (event_kinds[t].flags & EV_OWN)
			continue;
		snprintf(text, sizeof text,
			"{\"id\":\"e%u\",\"type\":\"%s\",\"occurred_at\":\"2026-03-01T10:00:00Z\","
			"\"member\":{\"id\":\"m1\",\"card\":\"c1\",\"phone\":\"+46 70 000 00 01\"},"
			"\"store\":\"RIX-01\",\"till\":3,\"receipt\":{\"id\":\"r1\",\"total\":25},"
			"\"data\":{\"discount\":\"8.00\",\"amount\":8.5,\"refunds\":\"r0\","
			"\"value\":"
			"\"a\",\"to\":\"b\",\"into\":\"m2\",\"lot\":\"l1\",\"granted\":true,"
			"\"kind\":"
			"\"like\",\"currency\":\"EUR\",\"items\":[{\"product\":\"p1\",\"group\":"
			"\"g\"},"
			"{\"sku\":2}],\"payments\":[{\"method\":\"cash\"}],\"lots\":[{\"id\":1,"
			"\"amount\":\"5\",\"expires_at\":\"2026-04-01T00:00:00+02:00\"}],"
			"\"answers\":"
			"[{\"question\":\"q\",\"answer\":true}],\"colour\":\"red\"}}",
			t, event_kinds[t].word);
		e = good(text);
		assert_int_equal(e->type, t);
		assert_true(str_is(e->source, "pos"));
		assert_true(str_is(e->who[ALIAS_PHONE], "46700000001"));
		assert_true(str_is(e->attr[ATTR_receipt].s, "r1"));
		assert_true(str_is(e->attr[ATTR_till].s, "3"));
		back = event_restore(e->text, e->occurred, e->received);
		assert_non_null(back);
		assert_int_equal(back->digest, e->digest);
		for (unsigned i = 0; i < EVENT_ATTRS; i++)
			if (e->attr[i].type != VALUE_MISSING &&
				!value_eq(e->attr[i], back->attr[i]))
				fail_msg("%s: %s", event_kinds[t].word, event_attr_kinds[i].word);
		if (t == EVENT_PURCHASE_COMPLETED) {
			assert_int_equal(e->attr[ATTR_items].i, 2);
			assert_int_equal(e->attr[ATTR_products].list.n, 2);
			assert_int_equal(e->attr[ATTR_groups].list.n, 1);
			assert_true(str_is(e->attr[ATTR_payments].list.v[0].s, "cash"));
			assert_int_equal(e->attr[ATTR_total].i, 25 * DECIMAL_ONE);
		}
		if (t == EVENT_FORM_COMPLETED)
			assert_true(
				json_is_true(json_object_get(event_part(back, ATTR_answers), "q")));
		event_drop(&back);
		event_drop(&e);
	}
}

static void test_EV_6_one_instant_in_three_zones_is_one(void **state)
{
	static const char *const times[] = { "2026-03-01T12:00:00+02:00",
		"2026-03-01T10:00:00.0000Z", "2026-03-01T05:00:00-05:00" };
	uint64_t digest = 0;
	char text[300];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct event *e, *back;

		snprintf(text, sizeof text,
			"{\"id\":\"a\",\"type\":\"card.assigned\",\"occurred_at\":\"%s\"}",
			times[i]);
		e = good(text);
		assert_true(i == 0 || e->digest == digest);
		assert_int_equal(e->offset, i == 0 ? 7200 : i == 1 ? 0 : -18000);
		back = event_restore(e->text, e->occurred, e->received);
		assert_non_null(back);
		assert_int_equal(back->offset, e->offset);
		event_drop(&back);
		digest = e->digest;
		event_drop(&e);
	}
}

static void test_EV_2_equal_facts_have_equal_digests_others_not(void **state)
{
	static const struct {
		const char *data;
		bool same;
	} row[] = {
		{ "\"discount\":8,\"currency\":\"EUR\"", true },
		{ "\"currency\":\"EUR\",\"discount\":\"8.00\"", true },
		{ "\"discount\":8.0,\"currency\":\"EUR\",\"coupon\":null", true },
		{ "\"discount\":8.01,\"currency\":\"EUR\"", false },
		{ "\"discount\":8,\"currency\":\"SEK\"", false },
		{ "\"discount\":8,\"currency\":\"EUR\",\"colour\":\"red\"", false },
	};
	uint64_t first = 0;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		char text[300];
		struct event *e;

		snprintf(text, sizeof text,
			"{\"id\":\"a\",\"type\":\"discount.calculated\",\"data\":{%s}}",
			row[i].data);
		now += DUR_HOUR; /* when it came does not count */
		e = good(text);
		first = i ? first : e->digest;
		assert_int_equal(e->digest == first, row[i].same);
		event_drop(&e);
	}
}

static void test_the_two_clocks(void **state)
{
	static const struct {
		dur_t ahead;
		enum event_verdict verdict;
		bool clamped;
	} row[] = {
		{ -72 * DUR_HOUR, EVENT_OK, false },
		{ 0, EVENT_OK, false },
		{ 5 * DUR_MIN, EVENT_OK, false },
		{ 5 * DUR_MIN + DUR_S, EVENT_OK, true },
		{ DUR_DAY, EVENT_OK, true },
		{ DUR_DAY + DUR_S, EVENT_FUTURE, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct buf b = BUF_INIT;
		struct event *e;

		buf_c(&b, "{\"id\":\"a\",\"type\":\"card.assigned\",\"occurred_at\":\"");
		clock_put_rfc3339(&b, now + row[i].ahead);
		buf_c(&b, "\"}");
		assert_int_equal(read_text(buf_cstr(&b), &e, NULL), row[i].verdict);
		if (e) {
			assert_int_equal(e->received, now);
			assert_int_equal(e->occurred, row[i].clamped ? now : now + row[i].ahead);
		}
		event_drop(&e);
		buf_free(&b);
	}
}

static void test_EV_13_aliases_name_the_kind(void **state)
{
	struct event *e = good("{\"id\":\"a\",\"type\":\"phone.linked\",\"member\":{\"id\":\"m\","
			       "\"phone\":\"+46700000001\"}}");

	(void)state;
	assert_int_equal(e->type, EVENT_CONTACT_LINKED);
	assert_true(str_is(e->attr[ATTR_kind].s, "phone"));
	assert_true(str_is(e->attr[ATTR_value].s, "46700000001"));
	event_drop(&e);
	e = good("{\"id\":\"a\",\"type\":\"email.linked\",\"data\":{\"value\":\"Me@Shop.EXAMPLE\"}"
		 "}");
	assert_true(str_is(e->attr[ATTR_kind].s, "email"));
	assert_true(str_is(e->attr[ATTR_value].s, "Me@shop.example"));
	event_drop(&e);
}

/* A name that POST /v1/members would refuse makes no member here either. */
static void test_names_are_as_long_as_the_members_own(void **state)
{
	static const char *const kind[] = { "id", "card", "device", "guest" };

	(void)state;
	for (size_t i = 0; i < sizeof kind / sizeof kind[0]; i++)
		for (int n = 128; n <= 129; n++) {
			struct buf b = BUF_INIT;
			struct event *e;

			buf_printf(&b,
				"{\"id\":\"a\",\"type\":\"card.assigned\",\"occurred_at\":"
				"\"2026-03-01T10:00:00Z\",\"member\":{\"%s\":\"%0*d\"}}",
				kind[i], n, 1);
			assert_int_equal(read_text(buf_cstr(&b), &e, NULL) == EVENT_OK, n == 128);
			event_drop(&e);
			buf_free(&b);
		}
}

/* What is proposed would not be refused in its turn. */
static void test_a_hint_can_be_followed(void **state)
{
	char hint[120];

	event_type_hint(STR("message.delivere"), true, hint, sizeof hint);
	assert_string_equal(hint, "");
	event_type_hint(STR("message.delivere"), false, hint, sizeof hint);
	assert_string_equal(hint, "; did you mean \"message.delivered\"?");
	event_type_hint(STR("sale.made"), true, hint, sizeof hint);
	assert_string_equal(hint, "");
}

static void test_faults_name_the_field(void **state)
{
	static const struct {
		const char *text, *at, *words;
		enum event_verdict verdict;
	} row[] = {
		{ "{\"id\":\"a\",\"type\":\"purchase.complete\"}", "/type", "purchase.completed",
			EVENT_UNKNOWN_TYPE },
		{ "{\"id\":\"a\",\"type\":\"purchase.done\"}", "/type",
			"; there are purchase.completed, purchase.refunded, purchase.cancelled",
			EVENT_UNKNOWN_TYPE },
		{ "{\"id\":\"a\",\"type\":\"Purchase\"}", "/type", "; there are purchase.completed",
			EVENT_UNKNOWN_TYPE },
		{ "{\"id\":\"a\",\"type\":\"message.read\"}", "/type", "is made here",
			EVENT_UNKNOWN_TYPE },
		{ "{\"id\":\"a\"}", "/type", "missing", EVENT_FAULTY },
		{ "{\"type\":\"card.assigned\"}", "/id", "missing", EVENT_FAULTY },
		{ "{\"id\":\"\",\"type\":\"card.assigned\"}", "/id", "empty", EVENT_FAULTY },
		{ "{\"id\":\"a\",\"type\":\"card.assigned\",\"ocurred_at\":1}", "/ocurred_at",
			"occurred_at", EVENT_FAULTY },
		{ "{\"id\":\"a\",\"type\":\"card.assigned\",\"occurred_at\":\"2026-03-01 10:00\"}",
			"/occurred_at", "RFC 3339", EVENT_FAULTY },
		{ "{\"id\":\"a\",\"type\":\"card.assigned\",\"member\":{\"phone\":\"x\"}}",
			"/member/phone", "", EVENT_FAULTY },
		{ "{\"id\":\"a\",\"type\":\"discount.calculated\"}", "/data/discount", "missing",
			EVENT_FAULTY },
		{ "{\"id\":\"a\",\"type\":\"discount.calculated\",\"data\":{\"discount\":1.23456}}",
			"/data/discount", "four decimals", EVENT_FAULTY },
		{ "{\"id\":\"a\",\"type\":\"discount.calculated\",\"data\":{\"discount\":1e300}}",
			"/data/discount", "too large", EVENT_FAULTY },
		{ "{\"id\":\"a\",\"type\":\"discount.calculated\",\"data\":{\"discount\":"
		  "9223372036854775807}}",
			"/data/discount", "too large", EVENT_FAULTY },
		{ "{\"id\":\"a\",\"type\":\"bonus.calculated\",\"data\":{\"amount\":1,\"lots\":[{}]"
		  "}}",
			"/data/lots", "amount", EVENT_FAULTY },
		{ "{\"id\":\"a\",\"type\":\"purchase.cancelled\"}", "/receipt", "missing",
			EVENT_FAULTY },
		{ "[]", "", "object", EVENT_FAULTY },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct json_faults f;
		struct event *e;

		assert_int_equal(read_text(row[i].text, &e, &f), row[i].verdict);
		assert_string_equal(f.v[0].at, row[i].at);
		if (!strstr(f.v[0].text, row[i].words))
			fail_msg("%s: %s", row[i].text, f.v[0].text);
	}
}

static void test_names_of_several_types_are_those_of_all(void **state)
{
	static const enum event_type t[] = { EVENT_PURCHASE_COMPLETED, EVENT_DISCOUNT_CALCULATED };
	struct arena *a = arena_new();
	const struct scope *one = event_scope(t, 1, a), *both = event_scope(t, 2, a);

	(void)state;
	assert_non_null(scope_find(one, STR("event.bonus_in")));
	assert_null(scope_find(both, STR("event.bonus_in")));
	assert_non_null(scope_find(both, STR("event.total")));
	assert_int_equal(scope_find(both, STR("receipt.total"))->slot, SLOT_EVENT + ATTR_total);
	assert_int_equal(scope_find(one, STR("receipt.number"))->slot, SLOT_EVENT + ATTR_receipt);
	assert_null(scope_find(one, STR("event.lots")));
	arena_free(&a);
}

static void test_an_event_made_here_is_restored(void **state)
{
	struct event *e = event_make(EVENT_STATUS_CALCULATED, now, STR("postern"), STR("x1")),
		     *back;

	(void)state;
	e->who[ALIAS_MEMBER] = STR("m1");
	e->attr[ATTR_system] = value_text(STR("level"));
	e->attr[ATTR_value] = value_text(STR("gold"));
	event_seal(e);
	back = event_restore(e->text, e->occurred, e->received);
	assert_non_null(back);
	assert_true(str_is(back->attr[ATTR_value].s, "gold"));
	assert_true(str_is(back->who[ALIAS_MEMBER], "m1"));
	event_drop(&e);
	event_drop(&back);
}

/* The 20 events under each name that the specification's sources give them. */
static void test_EV_10_the_names_of_the_seeds(void **state)
{
	static const struct {
		const char *word, *names[5], *kind;
	} v[] = {
		{ "discount.calculated", { "Discount calculation", "DISCOUNT_CALCULATION" } },
		{ "bonus.calculated", { "Bonus points calculation" } },
		{ "bonus.deducted", { "Deduction", "Payment", "Payment using bonus card",
					    "Payment with bonus card" } },
		{ "balance.requested", { "Balance request", "balance-request" } },
		{ "card.assigned", { "Card assigned", "Issuance", "card issuance" } },
		{ "purchase.completed",
			{ "Purchase completion", "purchaseCompletion", "Purchase completed" } },
		{ "friend.purchased", { "Purchase by friend" } },
		{ "card.activated", { "Card activation" } },
		{ "registration.completed", { "Registration completion", "Registration" } },
		{ "form.completed",
			{ "Application form completion", "Form update", "form_update" } },
		{ "contact.linked", { "Phone/email linking" } },
		{ "contact.linked", { "phone.linked", "Phone linked", "Phone linking" }, "phone" },
		{ "contact.linked", { "email.linked", "Email linked" }, "email" },
		{ "app.installed", { "Mobile App installation", "App installed" } },
		{ "social.linked", { "Social media linking", "Social profile linked" } },
		{ "social.activity", { "Social media activity", "Social activity" } },
		{ "social.joined", { "Group joined" } },
		{ "social.activity_removed", { "Activity removal" } },
		{ "social.left", { "Group exit" } },
		{ "friend.invited", { "Inviting friend", "Friend invitation" } },
		{ "status.changed", { "Customer status change" } },
		{ "status.calculated", { "Status calculation" } },
	};
	enum event_type t, want;
	uint32_t seen = 0;
	const char *kind;

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		assert_true(event_type_parse(str_of(v[i].word), &want, NULL));
		seen |= 1u << want;
		for (size_t k = 0; k < 5 && v[i].names[k]; k++) {
			if (!event_type_parse(str_of(v[i].names[k]), &t, &kind) || t != want)
				fail_msg("\"%s\" is not %s", v[i].names[k], v[i].word);
			assert_string_equal(kind, v[i].kind ? v[i].kind : "");
		}
	}
	assert_int_equal(seen, (1u << 20) - 1); /* all of them */
	assert_false(event_type_parse(STR("Purchase"), &t, &kind));
	assert_false(event_type_parse(STR(""), &t, &kind));
	assert_false(event_type_parse(
		STR("purchase completion and so on and on and on and on"), &t, &kind));
}

static void test_slips_in_data_are_said(void **state)
{
	struct json_faults f = { 0 };
	json_t *v = json_read(
		STR("{\"id\":\"1\",\"type\":\"purchase.completed\",\"member\":\"m\","
		    "\"receipt\":{\"id\":\"r\",\"curency\":\"EUR\"},\"data\":{\"totl\":5,"
		    "\"Total\":6,\"colour\":\"red\",\"items\":3,\"discount\":1,\"amount\":2}}"),
		&f);
	struct event *e = NULL;

	assert_non_null(v);
	assert_int_equal(event_read(v, now, &usual, &e, &f), EVENT_OK);
	assert_int_equal(e->odd_n, 3);
	assert_string_equal(e->odd[0], "receipt.curency: is \"currency\" meant?");
	assert_string_equal(e->odd[1], "data.totl: is \"total\" meant?");
	assert_string_equal(e->odd[2], "data.Total: is \"total\" meant?");
	event_drop(&e);
	json_decref(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_EV_10_every_type_is_read_and_restored),
		cmocka_unit_test(test_EV_6_one_instant_in_three_zones_is_one),
		cmocka_unit_test(test_EV_2_equal_facts_have_equal_digests_others_not),
		cmocka_unit_test(test_the_two_clocks),
		cmocka_unit_test(test_EV_13_aliases_name_the_kind),
		cmocka_unit_test(test_names_are_as_long_as_the_members_own),
		cmocka_unit_test(test_a_hint_can_be_followed),
		cmocka_unit_test(test_faults_name_the_field),
		cmocka_unit_test(test_names_of_several_types_are_those_of_all),
		cmocka_unit_test(test_an_event_made_here_is_restored),
		cmocka_unit_test(test_EV_10_the_names_of_the_seeds),
		cmocka_unit_test(test_slips_in_data_are_said),
	};

	now = 1772359200ll * DUR_S; /* 2026-03-01T10:00:00Z */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
