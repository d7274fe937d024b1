/* The configuration as a whole: tables are sound, every fault is found and said where it is. */
#include "gateway/base/log.h"
#include "gateway/flow/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void test_tables(void **state)
{
	static const struct {
		const char *name;
		const struct conf_item *rows;
		size_t size;
	} tables[] = {
		{ "root", settings_rows, sizeof(struct settings) },
		{ "channels", channel_rows, sizeof(struct channel_conf) },
		{ "listeners", listener_rows, sizeof(struct listener_conf) },
		{ "tokens", token_rows, sizeof(struct token_conf) },
		{ "http", http_rows, sizeof(struct http_conf) },
		{ "routes", route_rows, sizeof(struct route_conf) },
		{ "accounts", account_rows, sizeof(struct account_conf) },
	};
	const struct protocol *p;
	struct err e;

	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		if (conf_table_check(tables[i].rows, tables[i].size, &e) != 0)
			fail_msg("%s: %s", tables[i].name, e.text);
	for (size_t i = 0; (p = protocol_at(i)) != NULL; i++) {
		if (p->channel_conf &&
			conf_table_check(p->channel_conf, p->channel_conf_size, &e) != 0)
			fail_msg("channel %s: %s", p->name, e.text);
		if (p->listener_conf &&
			conf_table_check(p->listener_conf, p->listener_conf_size, &e) != 0)
			fail_msg("listener %s: %s", p->name, e.text);
		assert_ptr_equal(protocol_by_name(str_of(p->name)), p);
		assert_true(p->about && p->about[0]);
	}
	assert_null(protocol_by_name(STR("nonesuch")));
	assert_null(protocol_by_name(STR("")));
}

/* All faults of a text as one text; "" when it is taken. */
static struct settings *load(const char *text, char *said, size_t cap)
{
	struct conf_faults f = { 0 };
	struct settings *s = settings_load_text(str_of(text), "", &f);
	struct buf b = BUF_INIT;

	conf_faults_text(&f, &b);
	str_copy(said, cap, buf_view(&b));
	buf_free(&b);
	conf_faults_free(&f);
	return s;
}

#define CH                                                                                   \
	"channels = ( { name = \"smsc-a\"; type = \"null\"; }, { name = \"smsc-b\"; type = " \
	"\"null\"; } );\n"

static void test_defaults(void **state)
{
	char said[2000];
	struct settings *s = load("", said, sizeof said);

	assert_non_null(s);
	assert_string_equal(said, "");
	assert_string_equal(s->state, "/var/lib/postern");
	assert_string_equal(s->store.engine, "sqlite");
	assert_string_equal(s->http.listen, "127.0.0.1:8080");
	assert_int_equal(s->retention, 30 * DUR_DAY);
	assert_int_equal(s->dedupe_window, DUR_DAY);
	assert_int_equal(s->shutdown_grace, 30 * DUR_S);
	assert_true(s->node[0] != '\0'); /* the host's */
	assert_true(s->mail.hostname[0] != '\0');
	assert_null(s->mail.secret);
	assert_string_equal(s->mail.bounce_domain, "");
	assert_int_equal(s->mail.bounce_life, 30 * DUR_DAY);
	settings_free(&s);
	assert_null(s);
}

static void test_references(void **state)
{
	char said[2000];
	struct settings *s = load(CH
		"routes = ( { media = \"sms\"; to = \"46*\"; via = [ \"smsc-a\", \"smsc-b\" ];"
		" share = [ \"smsc-a=3\", \"smsc-b=1\" ]; priority = \"bulk\"; } );",
		said, sizeof said);

	assert_string_equal(said, "");
	assert_non_null(s);
	assert_int_equal(s->routes[0].via_n, 2);
	settings_free(&s);
}

#define A50 "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static void test_faults(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ CH "routes = ( { via = [ \"smsc-q\" ]; } );", "did you mean \"smsc-a\"?" },
		{ CH "routes = ( { via = [ \"nothing-like-it\" ]; } );",
			"there is no channel \"nothing-like-it\"\n" },
		{ CH "routes = ( { to = \"46*\"; } );", "via" },
		{ "\nstate = \"" A50 A50 "\";",
			"text:2: \"state\": has 100 bytes; a socket is to be in it, "
			"so it takes at most 94\n" },
		{ CH "routes = ( { via = [ ]; } );", "names no channel" },
		{ "channels = ( { name = \"a\"; } );", "\"type\" is missing in channels[0] \"a\"" },
		{ "listeners = ( { name = \"a\"; } );", "\"type\" is missing in listeners[0]" },
		{ "http = { listen = \"0.0.0.0:80\"; tokens = ( { name = \"a\"; token = \"\"; } ); "
		  "};",
			"\"token\" in http.tokens[0] \"a\": is empty" },
		{ CH "routes = ( { media = \"smoke\"; via = [ \"smsc-a\" ]; } );", "not a medium" },
		{ CH "routes = ( { via = [ \"smsc-a\" ]; share = [ \"smsc-a\" ]; } );",
			"channel=weight" },
		{ CH "routes = ( { via = [ \"smsc-a\" ]; share = [ \"smsc-a=x\" ]; } );",
			"channel=weight" },
		{ CH "routes = ( { via = [ \"smsc-a\" ]; share = [ \"smsc-b=1\" ]; } );",
			"is not in via" },
		{ CH "routes = ( { via = [ \"smsc-a\" ]; priority = \"urgent\"; } );",
			"not a priority" },
		{ "channels = ( { name = \"a\"; type = \"null\"; }, { name = \"a\"; type = "
		  "\"null\"; } );",
			"\"a\"" },
		{ "channels = ( { name = \"a\"; type = \"nul\"; } );", "null" },
		{ "channels = ( { name = \"a\"; type = \"fallback\"; } );", "type" },
		{ "channels = ( { name = \"a\"; type = \"null\"; windw = 3; } );", "window" },
		{ "channels = ( { name = \"a\"; type = \"null\"; window = 0; } );", "window" },
		{ "channels = ( { name = \"a\"; type = \"null\"; window = \"many\"; } );",
			"window" },
		{ "channels = ( { name = \"a\"; type = \"null\"; retry_first = \"1h\"; retry_most "
		  "= \"1m\"; } );",
			"longer than retry_most" },
		{ "channels = ( { type = \"null\"; } );", "name" },
		{ "channels = ( { name = \"a\"; type = \"smpp\"; media = \"email\"; host = \"h\"; "
		  "} );"
		  " routes = ( { media = \"email\"; via = [ \"a\" ]; } );",
			"does not carry" },
		{ "retention = \"soon\";", "retention" },
		{ "retention = \"1s\";", "retention" },
		{ "country = \"46x\";", "country" },
		{ "country = \"046\";", "begins with 0" },
		{ "country = \"46461\";", "more than 3 digits" },
		{ "store = { engine = \"paper\"; };", "not a store engine" },
		{ "http = { listen = \"8080\"; };", "address:port" },
		{ "http = { listen = \"0.0.0.0:8080\"; };", "loopback" },
		{ "http = { tls = { }; };", "cert_file" },
		{ "http = { tokens = ( { name = \"a\"; token = \"t\"; }, { name = \"b\"; token = "
		  "\"t\"; } ); };",
			"same as that of \"a\"" },
		{ "http = { tokens = ( { name = \"a\"; token = \"t\"; scopes = [ \"all\" ]; } ); "
		  "};",
			"scopes" },
		{ "http = { tokens = ( { name = \"a\"; token = \"t\"; webhook = \"ftp://x\"; "
		  "webhook_secret = \"s\"; } ); };",
			"http:// or https://" },
		{ "http = { tokens = ( { name = \"a\"; token = \"t\"; webhook = \"http://x\"; } ); "
		  "};",
			"webhook_secret" },
		{ "http = { tokens = ( { name = \"a\"; token = \"t\"; allow = [ \"10.0.0.0/99\" ]; "
		  "} ); };",
			"10.0.0.0/99" },
		{ "mail = { secret = \"short\"; };", "at least 16" },
		{ "mail = { secret = \"0123456789abcdef\"; old_secrets = [ \"x\" ]; };",
			"at least 16" },
		{ "mail = { hostname = \"a b\"; };", "not a domain" },
		{ "mail = { hostname = \"a..b\"; };", "not a domain" },
		{ "mail = { hostname = \"a.\"; };", "not a domain" },
		{ "mail = { bounce_domain = \"b.example\"; };", "needs secret" },
		{ "mail = { unsubscribe_url = \"https://a.example/u/\"; };", "needs secret" },
		{ "mail = { secret = \"0123456789abcdef\"; unsubscribe_url = "
		  "\"https://a.example/u\"; };",
			"must end in" },
		{ "mail = { secret = \"0123456789abcdef\"; unsubscribe_url = "
		  "\"mailto:u@a.example/\"; };",
			"https://" },
		{ "mail = { secret = \"0123456789abcdef\"; unsubscribe_url = "
		  "\"https://a.example/<u>/\"; };",
			"not possible" },
		{ "nonsense = 1;", "nonsense" },
		{ "state = ", "text:1" },
	};
	char said[4000];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct settings *s = load(cases[i].text, said, sizeof said);

		if (s)
			fail_msg("taken: %s", cases[i].text);
		if (!strstr(said, cases[i].says))
			fail_msg("%s\nsays: %s\nnot: %s", cases[i].text, said, cases[i].says);
		assert_non_null(strstr(said, "text:"));
	}
}

/* A warning is no fault. */
static void test_warnings(void **state)
{
	char said[4000];
	struct settings *s = load("retention = \"2d\"; " CH, said, sizeof said);

	assert_non_null(s);
	assert_non_null(strstr(said, "receipt_wait"));
	assert_non_null(strstr(said, "warning"));
	settings_free(&s);
	s = load("retention = \"4d\"; " CH, said, sizeof said);
	assert_non_null(s);
	assert_null(strstr(said, "receipt_wait"));
	settings_free(&s);
	s = load(
		"mail = { secret = \"0123456789abcdef\"; hostname = \"mx1.shop.example\"; "
		"bounce_domain = \"b.shop.example\"; unsubscribe_url = \"http://shop.example/u/\"; "
		"};",
		said, sizeof said);
	assert_non_null(s);
	assert_string_equal(s->mail.hostname, "mx1.shop.example");
	assert_non_null(strstr(said, "one-click")); /* without TLS nobody shows the button */
	settings_free(&s);
}

/* Not only the first; each with its line; no secret among them. */
static void test_all_faults(void **state)
{
	char said[4000];

	assert_null(load(
		"retention = \"soon\";\n"
		"channels = ( { name = \"a\"; type = \"null\";\n"
		"window = -1;\n"
		"} );\n"
		"http = { tokens = ( { name = \"t\"; token = \"hush\"; scopes = [ \"x\" ]; },\n"
		"{ name = \"u\"; token = \"hush\"; } ); };\n"
		"routes = ( { via = [ \"b\" ]; } );\n",
		said, sizeof said));
	assert_non_null(strstr(said, "text:1:"));
	assert_non_null(strstr(said, "text:3:"));
	assert_non_null(strstr(said, "text:5:"));
	assert_non_null(strstr(said, "text:6:"));
	assert_non_null(strstr(said, "text:7:"));
	assert_null(strstr(said, "hush"));
}

static void test_references_counted(void **state)
{
	char said[200];
	struct settings *s = load(CH, said, sizeof said), *held = NULL, *other;

	settings_swap(&held, s);
	other = settings_ref(s);
	settings_free(&s);
	assert_string_equal(held->channels[1].name, "smsc-b");
	settings_swap(&held, NULL);
	assert_null(held);
	assert_string_equal(other->channels[0].name, "smsc-a");
	settings_swap(&other, other); /* with itself */
	settings_free(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_all_faults),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_references_counted),
	};

	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
