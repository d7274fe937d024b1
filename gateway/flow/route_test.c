/* Routes: first fit, patterns, media, submitters, shares, failover, channels that are down. */
#include "tests/flow_fixture.h"

static const char *const conf =
	"channels = ("
	" { name = \"a\"; type = \"probe\"; failover_after = \"1s\"; },"
	" { name = \"b\"; type = \"probe\"; failover_after = \"1s\"; },"
	" { name = \"c\"; type = \"probe\"; failover_after = \"1s\"; },"
	" { name = \"mail\"; type = \"probe\"; media = \"email\"; },"
	" { name = \"text\"; type = \"probe\"; media = \"sms\"; } );"
	"routes = ("
	" { from = \"*@shop.example\"; via = [ \"text\", \"mail\" ]; priority = \"bulk\"; },"
	" { media = \"sms\"; account = \"door/two\"; via = [ \"c\" ]; },"
	" { media = \"sms\"; to = [ \"4670*\", \"47?\" ]; via = [ \"a\", \"b\", \"c\" ]; },"
	" { media = \"sms\"; to = \"48*\"; via = [ \"a\", \"b\", \"c\" ]; share = [ \"a=3\", "
	"\"c=1\" ]; },"
	" { to = \"v*\"; via = [ \"text\", \"b\" ]; },"
	" { via = [ \"text\" ]; } );";

static void set_down(const char *channel, bool down)
{
	atomic_store(&fx_channel(channel)->down_since, down ? clock_mono() - DUR_HOUR : 0);
}

static const char *route(struct fx_msg f, const char *submitter, enum priority *p)
{
	struct message *m = fx_message(f);
	struct outcome why = outcome_of(REASON_NONE);
	unsigned entered = gateway_enter(fx.g);
	const struct way *w = plan_route(gateway_plan(fx.g), m, submitter, p, &why);
	const char *name = w ? w->c->pub.name : reason_word(why.reason);

	gateway_leave(fx.g, entered);
	message_unref(&m);
	return name;
}

static const char *after(struct fx_msg f, const char *channel, bool anywhere)
{
	struct message *m = fx_message(f);
	unsigned entered = gateway_enter(fx.g);
	const struct way *w = plan_next(gateway_plan(fx.g), m, "", fx_channel(channel), anywhere);
	const char *name = w ? w->c->pub.name : "";

	gateway_leave(fx.g, entered);
	message_unref(&m);
	return name;
}

static void test_first_fit(void **state)
{
	static const struct {
		struct fx_msg m;
		const char *submitter, *want;
	} cases[] = {
		{ { .to = "46701" }, "door/one", "a" },
		{ { .to = "46701" }, "door/two", "c" }, /* the submitter's comes first */
		{ { .to = "471" }, "door/one", "a" },
		{ { .to = "4712" }, "door/one", "text" }, /* "47?" is three digits */
		{ { .to = "1" }, "", "text" },
		{ { .media = MEDIA_VIBER, .to = "v1" }, "", "b" }, /* "text" carries no viber */
		{ { .media = MEDIA_VIBER, .to = "46701" }, "", "no_route" },
		{ { .media = MEDIA_PUSH, .to = "x" }, "", "no_route" },
		{ { .media = MEDIA_SOCIAL, .to = "x" }, "", "no_route" },
		{ { .media = MEDIA_EMAIL, .to = "x@y" }, "", "no_route" }, /* not from the shop */
		{ { .to = "46701", .channel = "b" }, "", "b" },
		{ { .to = "46701", .channel = "mail" }, "", "no_route" },
		{ { .to = "46701", .channel = "nowhere" }, "", "no_route" },
		{ { .to = "46701", .channel = "(fallback)" }, "", "no_route" },
	};

	fx_begin(conf);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *got = route(cases[i].m, cases[i].submitter, NULL);

		if (strcmp(got, cases[i].want) != 0)
			fail_msg("case %zu: %s, not %s", i, got, cases[i].want);
	}
	fx_end();
}

static void test_priority(void **state)
{
	struct draft d;
	struct message *m;
	enum priority p = PRIORITY_HIGH;
	struct outcome why;
	unsigned entered;

	fx_begin(conf);
	draft_init(&d);
	d.head.media = MEDIA_EMAIL;
	draft_put(&d, FIELD_FROM, STR("news@shop.example"));
	draft_put(&d, FIELD_TO, STR("x@y"));
	m = draft_seal(&d);
	draft_free(&d);
	entered = gateway_enter(fx.g);
	assert_string_equal(plan_route(gateway_plan(fx.g), m, "", &p, &why)->c->pub.name, "mail");
	gateway_leave(fx.g, entered);
	assert_int_equal(p, PRIORITY_BULK);
	message_unref(&m);
	p = PRIORITY_HIGH;
	route((struct fx_msg){ .to = "46701" }, "", &p);
	assert_int_equal(p, PRIORITY_HIGH); /* that route leaves it */
	fx_end();
}

static void test_down(void **state)
{
	struct fx_msg m = { .to = "46701" };
	struct err e;

	fx_begin(conf);
	set_down("a", true);
	assert_string_equal(route(m, "", NULL), "b");
	assert_int_equal(gateway_channel_verb(fx.g, "b", GATEWAY_HOLD, &e), 0);
	assert_string_equal(route(m, "", NULL), "c");
	set_down("c", true);
	assert_string_equal(route(m, "", NULL), "a"); /* none is well: the first keeps it */
	assert_string_equal(after(m, "a", false), "");
	assert_int_equal(gateway_channel_verb(fx.g, "b", GATEWAY_RESUME, &e), 0);
	assert_string_equal(after(m, "a", false), "b");
	set_down("c", false);
	assert_string_equal(after(m, "b", false), "c");
	assert_string_equal(after(m, "c", true), ""); /* no share: never back */
	/* a route that does not know the channel, from its beginning */
	assert_string_equal(after(m, "text", false), "b");
	m.channel = "a";
	assert_string_equal(after(m, "a", true), ""); /* it asked for that one */
	fx_end();
}

static void test_share(void **state)
{
	struct fx_msg m = { .to = "48123" };
	unsigned a = 0, c = 0;

	fx_begin(conf);
	for (int i = 0; i < 4000; i++) {
		const char *name = route(m, "", NULL);

		a += name[0] == 'a';
		c += name[0] == 'c';
	}
	assert_int_equal(a + c, 4000); /* "b" has no share */
	assert_in_range(a, 2800, 3200);
	set_down("a", true);
	for (int i = 0; i < 100; i++)
		assert_string_equal(route(m, "", NULL), "c");
	set_down("c", true);
	assert_string_equal(route(m, "", NULL), "b"); /* failover along via */
	set_down("a", false);
	assert_string_equal(after(m, "c", false), "");
	assert_string_equal(after(m, "c", true), "a"); /* only away from one that is down */
	assert_string_equal(after(m, "a", false), "b");
	fx_end();
}

static void test_parts(void **state)
{
	struct message *m = NULL;
	struct outcome why;
	unsigned entered;

	fx_begin(conf);
	entered = gateway_enter(fx.g);
	for (int i = 1; i <= FX_PARTS; i++) {
		const struct way *w = plan_way_named(gateway_plan(fx.g), STR("b"));
		char text[] = { (char)('0' + i), 0 };

		m = fx_message((struct fx_msg){ .text = text });
		assert_int_equal(way_parts(w, m, &why), i);
		assert_ptr_equal(plan_way(gateway_plan(fx.g), w->c), w);
		message_unref(&m);
	}
	assert_null(plan_way_named(gateway_plan(fx.g), STR("B")));
	gateway_leave(fx.g, entered);
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_fit),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_parts),
	};

	return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
