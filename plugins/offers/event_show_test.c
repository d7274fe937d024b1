/* Events as an operator looks for them. */
#include "plugins/offers/event_show.h"
#include "plugins/offers/engine_fixture.h"
#include "plugins/offers/member_input.h"

static struct buf out;

static void begin_welcome(void)
{
	begin("offers = ( { name = \"back\"; kind = \"service\"; when = \"registration.completed\";"
	      " unless = \"purchase.completed\"; then = \"stop\";"
	      " steps = ( { after = \"14 days\"; send = \"hi\"; via = \"sms\"; } ); },"
	      " { name = \"sum\"; kind = \"service\"; when = \"discount.calculated\"; actions = ("
	      " { do = \"receipt\"; text = \"Saved ${Discount:money}.\"; },"
	      " { do = \"send\"; template = \"sum\"; via = \"sms\"; } ); } );");
	reachable();
}

static json_t *listed(const struct event_search *q, uint64_t *left_r)
{
	struct json_faults f = { 0 };
	json_t *v;

	of_unit();
	buf_reset(&out);
	work_or_fail(events_list(&of.w, q, true, &out, left_r));
	v = json_read(buf_view(&out), &f);
	assert_non_null(v);
	return v;
}

/* Their ids, newest first. */
static void expect_list(struct event_search q, const char *ids)
{
	struct buf b = BUF_INIT;
	uint64_t left;
	json_t *v, *it;
	size_t i;

	q.most = q.most ? q.most : 50;
	q.longest = DUR_MIN;
	v = listed(&q, &left);
	json_array_foreach(v, i, it)
	{
		buf_printf(&b, "%s%s", i ? " " : "", json_string_value(json_object_get(it, "id")));
	}
	assert_string_equal(buf_cstr(&b), ids);
	assert_int_equal(left, 0);
	buf_free(&b);
	json_decref(v);
}

static json_t *one(const char *name)
{
	struct json_faults f = { 0 };
	const char *why = NULL;
	json_t *v;
	int n;

	of_unit();
	buf_reset(&out);
	n = events_one(&of.w, str_of(name), &out, &why);
	work_or_fail(n);
	if (n == 0) {
		buf_reset(&out);
		buf_c(&out, why);
		return NULL;
	}
	v = json_read(buf_view(&out), &f);
	assert_non_null(v);
	return v;
}

static void is(const json_t *v, const char *name, const char *wanted)
{
	json_t *part = json_object_get(v, name);
	char *text = part ? json_dumps(part, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	assert_string_equal(text ? text : "(none)", wanted);
	free(text);
}

static void test_a_list_is_narrowed(void **state)
{
	begin_welcome();
	happens(0, "registration.completed", "");
	put_event("{\"id\":\"x\",\"type\":\"balance.requested\",\"source\":\"app\"}");
	of.w.now = day_0 + DUR_DAY;
	happens(1, "discount.calculated", "\"receipt\":\"r1\",\"data\":{\"discount\":8}");
	happens(1, "purchase.completed", "\"receipt\":\"r1\"");
	expect_list((struct event_search){ .type = -1 }, "e3 e2 x e1");
	expect_list((struct event_search){ .type = -1, .most = 2 }, "e3 e2");
	expect_list((struct event_search){ .type = -1, .before = 3 }, "x e1");
	expect_list((struct event_search){ .type = EVENT_PURCHASE_COMPLETED }, "e3");
	expect_list((struct event_search){ .type = -1, .source = STR("app") }, "x");
	expect_list((struct event_search){ .type = -1, .since = day_0 + DUR_HOUR }, "e3 e2");
	expect_list((struct event_search){ .type = -1, .since = day_0 + 2 * DUR_DAY }, "");
	expect_list((struct event_search){ .type = -1, .member = of_member("m")->id }, "e3 e2 e1");
	expect_list((struct event_search){ .type = -1, .member = 77 }, "");
}

static void test_a_walk_that_is_ended_says_how_far_it_came(void **state)
{
	struct event_search q = { .type = EVENT_CARD_ASSIGNED, .most = 5 };
	uint64_t left = 0;
	json_t *v;

	begin_welcome();
	for (unsigned i = 0; i < 100; i++)
		happens(0, "form.completed", "");
	v = listed(&q, &left);
	assert_int_equal(json_array_size(v), 0);
	assert_int_equal(left, 100 - 63);
	json_decref(v);
	q.before = left;
	q.longest = DUR_MIN;
	json_decref(listed(&q, &left));
	assert_int_equal(left, 0);
}

static void test_what_came_of_one(void **state)
{
	json_t *v;

	begin_welcome();
	happens(0, "registration.completed", "");
	happens(0, "discount.calculated", "\"receipt\":\"r1\",\"data\":{\"discount\":8}");
	v = one("e1");
	is(v, "state", "\"worked_on\"");
	is(v, "member", "\"m\"");
	is(v, "queued", "[]");
	is(v, "offers",
		"[{\"offer\":\"back\",\"arms\":true,\"disarms\":false,\"refunded\":false}]");
	assert_int_equal(json_array_size(json_object_get(v, "chains")), 1);
	json_decref(v);
	v = one("pos/e2");
	is(v, "receipt", "[\"Saved 8.\"]");
	assert_int_equal(json_array_size(json_object_get(v, "queued")), 1);
	assert_int_equal(json_array_size(json_object_get(v, "messages")), 2);
	assert_non_null(strstr(buf_cstr(&out), "\"discount\":"));
	json_decref(v);
	to_day(14.5); /* what the chain sent is of the event that armed it */
	v = one("e1");
	is(v, "chains", "[]");
	assert_int_equal(json_array_size(json_object_get(v, "messages")), 1);
	json_decref(v);
	assert_null(one("e9"));
	/* the same id of another source */
	put_event("{\"id\":\"e2\",\"type\":\"balance.requested\",\"source\":\"app/2\"}");
	assert_null(one("e2"));
	assert_non_null(strstr(buf_cstr(&out), "pos, app/2"));
	v = one("app/2/e2");
	is(v, "type", "\"balance.requested\"");
	is(v, "member", "null");
	json_decref(v);
}

static void test_what_had_no_effect_says_why(void **state)
{
	json_t *v;

	begin_welcome();
	happens(0, "contact.linked",
		"\"data\":{\"kind\":\"email\",\"value\":\"a@b.test\",\"verified\":false}");
	v = one("e1");
	is(v, "state", "\"no_effect\"");
	is(v, "why", "\"the address was not proved\"");
	json_decref(v);
	happens(0, "registration.completed", "");
	of_unit();
	work_or_fail(intake_spoilt(&of.w, 2, STR("no room")));
	v = one("e2");
	is(v, "state", "\"failed\"");
	is(v, "why", "\"no room\"");
	json_decref(v);
}

static void test_of_who_left_nothing_is_shown(void **state)
{
	json_t *v;

	begin_welcome();
	happens(0, "discount.calculated", "\"receipt\":\"r1\",\"data\":{\"discount\":8}");
	happens(0, "member.left", "");
	v = one("e1");
	is(v, "event", "null");
	is(v, "erased", "true");
	is(v, "queued", "(none)");
	json_decref(v);
}

static int over(void **state)
{
	buf_free(&out);
	return end(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define S(name) cmocka_unit_test_teardown(name, over)
		S(test_a_list_is_narrowed),
		S(test_a_walk_that_is_ended_says_how_far_it_came),
		S(test_what_came_of_one),
		S(test_what_had_no_effect_says_why),
		S(test_of_who_left_nothing_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
