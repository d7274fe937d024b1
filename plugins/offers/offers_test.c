/* The plugin through a gateway with its API: what a till hears, and when; what is taken back; what
 * a reload does; that many askers at once are one effect.
 */
#include "gateway/base/fault.h"
#include "gateway/control/control.h"
#include "tests/api_client.h"

#define CONF                                                                   \
	"channels = ( { name = \"a\"; type = \"probe\"; media = \"sms\"; } );" \
	" routes = ( { via = [ \"a\" ]; } );"                                  \
	" http = { listen = \"127.0.0.1:0\"; tokens = ("                       \
	" { name = \"pos\"; token = \"t-pos\"; scopes = \"events\"; } ); };"   \
	" plugins = ( { name = \"offers\"; intake_most = 10000; } );"

static const char rules[] =
	"policy = { consent_default = \"all\"; unverified = true; default_clock = \"UTC\"; };"
	"templates = { sum = { en = { sms = \"You saved ${Discount:money}.\"; }; };"
	" back = { en = { sms = \"Come back.\"; }; }; };"
	"offers = ( { name = \"till\"; kind = \"legal\"; when = \"discount.calculated\"; actions = "
	"("
	" { do = \"receipt\"; text = \"WORD ${Discount:money} ${Currency}.\"; },"
	" { do = \"send\"; template = \"sum\"; via = \"sms\"; } ); },"
	" { name = \"chain\"; kind = \"legal\"; when = \"registration.completed\";"
	" unless = \"purchase.completed\"; then = \"stop\";"
	" steps = ( { after = \"1 s\"; send = \"back\"; via = \"sms\"; } ); },"
	" { name = \"card\"; kind = \"legal\"; when = \"card.activated\";"
	" steps = ( { after = \"2 h\"; send = \"back\"; via = \"sms\"; } ); } );"
	" intake = { reply_budget = \"BUDGET\"; };";

static const char *rules_with(const char *word, const char *budget)
{
	static char text[sizeof rules + 100];
	ptrdiff_t at = str_find(str_of(rules), STR("WORD"));
	ptrdiff_t to = str_find(str_of(rules), STR("BUDGET"));

	snprintf(text, sizeof text, "%.*s%s%.*s%s%s", (int)at, rules, word, (int)(to - at) - 4,
		rules + at + 4, budget, rules + to + 6);
	return text;
}

static void start(void) /* a machine that has other work has its time */
{
	api_begin(CONF, rules_with("Saved", "5 s"));
}

static int end(void **state)
{
	fault_init("");
	api_end();
	return 0;
}

static int ask_begin(const char *json)
{
	return ask_token("POST", "/v1/events", "t-pos", NULL, str_of(json));
}

static int ask(const char *json)
{
	return answer_of(ask_begin(json));
}

static const char *discount(const char *id, int sum)
{
	static char text[300];

	snprintf(text, sizeof text,
		"{\"id\":\"%s\",\"type\":\"discount.calculated\",\"member\":{\"id\":\"m\","
		"\"phone\":"
		"\"+46700000001\"},\"receipt\":\"r-%s\",\"data\":{\"discount\":%d,\"currency\":"
		"\"EUR\"}}",
		id, id, sum);
	return text;
}

static bool says(const char *words)
{
	return strstr(got, words) != NULL;
}

static int64_t metric(const char *name)
{
	uint64_t v = 0;

	return stat_lookup(name, "", &v) ? (int64_t)v : -1;
}

static void test_AC_1_a_till_hears_its_lines(void **state)
{
	start();
	assert_int_equal(ask(discount("a", 8)), 200);
	assert_true(says("\"duplicate\":false") && says("\"receipt\":[\"Saved 8 EUR.\"]"));
	assert_int_equal(ask(discount("a", 8)), 200);
	assert_true(says("\"duplicate\":true") && says("\"receipt\":[\"Saved 8 EUR.\"]"));
	assert_int_equal(ask(discount("a", 9)), 409);
	assert_int_equal(ask("{\"id\":\"b\",\"type\":\"purchase.complete\"}"), 422);
	assert_true(says("purchase.completed"));
	assert_int_equal(ask("{\"id\":\"b\",\"type\":\"form.completed\",\"member\":\"m\"}"), 202);
	assert_int_equal(ask("{\"id\":"), 400);
}

static void test_EV_1_many_at_once_are_one(void **state)
{
	enum { N = 60 };
	int fd[N];

	start();
	for (unsigned i = 0; i < N; i++)
		fd[i] = ask_begin(discount("a", 8));
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(answer_of(fd[i]), 200);
		assert_true(says("\"receipt\":[\"Saved 8 EUR.\"]"));
	}
	assert_int_equal(metric("postern_offers_events_total"), 1);
	assert_int_equal(metric("postern_offers_repeats_total"), N - 1);
}

static void test_AC_4_AC_5_a_stalled_plugin_does_not_hold_the_till(void **state)
{
	mono_t began;

	api_begin(CONF, rules_with("Saved", "1 s"));
	fault_init("stall-event:1");
	began = clock_mono();
	assert_int_equal(ask(discount("a", 8)), 200);
	assert_true(clock_mono() - began < 3 * DUR_S); /* the stall is five */
	assert_true(says("\"duplicate\":false") && says("\"receipt\":[],\"cashier\":[]"));
	/* the store is stalled with it: what is not on disk is not taken */
	assert_int_equal(ask(discount("b", 8)), 503);
	assert_true(says("Retry-After"));
	while (clock_mono() - began < 6 * DUR_S)
		usleep(100000);
	assert_int_equal(ask(discount("a", 8)), 200);
	assert_true(says("\"duplicate\":true") && says("\"receipt\":[],\"cashier\":[]"));
	for (char id[] = "c"; id[0] < 'p'; id[0]++) { /* a slow machine may be late a few times */
		assert_int_equal(ask(discount(id, 8)), 200);
		if (says("\"receipt\":[\"Saved 8 EUR.\"]"))
			return;
	}
	fail_msg("no till hears its lines after the stall");
}

static void test_a_chain_fires_and_a_purchase_stops_it(void **state)
{
	start();
	assert_int_equal(ask("{\"id\":\"1\",\"type\":\"registration.completed\",\"member\":{\"id\":"
			     "\"m\",\"phone\":\"+46700000001\"}}"),
		202);
	assert_int_equal(ask("{\"id\":\"2\",\"type\":\"registration.completed\",\"member\":{\"id\":"
			     "\"n\",\"phone\":\"+46700000002\"}}"),
		202);
	assert_int_equal(
		ask("{\"id\":\"3\",\"type\":\"purchase.completed\",\"member\":\"n\"}"), 200);
	for (unsigned i = 0; i < 200 && metric("postern_offers_steps_total") < 1; i++)
		usleep(20000);
	usleep(300000);
	assert_int_equal(metric("postern_offers_steps_total"), 1);
}

/* ---- what always fails ---- */
struct spoiling {
	struct plugin_call call; /* first */
	const char *sql;
};

static int spoil_run(struct plugin_call *c)
{
	return sql_exec(c->db, ((struct spoiling *)(void *)c)->sql);
}

static void spoil(const char *sql)
{
	struct spoiling s = { .call.run = spoil_run, .sql = sql };
	struct err e = { 0 };

	if (plugin_call_wait(gateway_plugin(fx.g, plugin_by_name(STR("offers"))), &s.call, &e) < 0)
		fail_msg("%s", e.text);
}

static int register_one(const char *who, const char *phone)
{
	char json[200];

	snprintf(json, sizeof json,
		"{\"id\":\"%s\",\"type\":\"registration.completed\",\"member\":{\"id\":\"%s\","
		"\"phone\":\"%s\"}}",
		who, who, phone);
	return ask(json);
}

/* A chain whose step always fails is put off; the others' come, and its own when it can. */
static void test_a_step_that_fails_stops_no_other(void **state)
{
	int64_t before;

	start();
	before = metric("postern_offers_steps_total");
	spoil("CREATE TRIGGER spoilt BEFORE INSERT ON of_fired WHEN new.member ="
	      " (SELECT id FROM of_member WHERE ext = 'p') BEGIN SELECT RAISE(ABORT, 'spoilt'); "
	      "END");
	assert_int_equal(register_one("p", "+46700000001"), 202);
	assert_int_equal(register_one("q", "+46700000002"), 202);
	assert_int_equal(register_one("r", "+46700000003"), 202);
	for (unsigned i = 0; i < 500 && metric("postern_offers_steps_total") - before < 2; i++)
		usleep(20000);
	assert_int_equal(metric("postern_offers_steps_total") - before, 2);
	spoil("DROP TRIGGER spoilt");
	clock_shift(2 * DUR_HOUR);
	for (unsigned i = 0; i < 500 && metric("postern_offers_steps_total") - before < 3; i++)
		usleep(20000);
	assert_int_equal(metric("postern_offers_steps_total") - before, 3);
}

/* Nor do points that cannot become spendable. */
static void test_points_that_fail_stop_no_chain(void **state)
{
	int64_t before;

	start();
	before = metric("postern_offers_steps_total");
	spoil("CREATE TRIGGER spoilt BEFORE UPDATE ON of_lot BEGIN SELECT RAISE(ABORT, 'spoilt'); "
	      "END;"
	      "INSERT INTO of_lot(member, currency, amount, rest, activates, expires, state, at, "
	      "zone)"
	      " VALUES(1, 1, 1, 1, 1, 0, 0, 1, '')");
	assert_int_equal(register_one("q", "+46700000002"), 202);
	for (unsigned i = 0; i < 500 && metric("postern_offers_steps_total") - before < 1; i++)
		usleep(20000);
	assert_int_equal(metric("postern_offers_steps_total") - before, 1);
}

struct asking {
	struct plugin_call call; /* first */
	const char *sql;
	int64_t n;
};

static int asking_run(struct plugin_call *c)
{
	struct asking *a = (struct asking *)(void *)c;

	a->n = sql_number(c->db, a->sql, -1);
	return 0;
}

static int64_t number(const char *sql)
{
	struct asking a = { .call.run = asking_run, .sql = sql };
	struct err e = { 0 };

	if (plugin_call_wait(gateway_plugin(fx.g, plugin_by_name(STR("offers"))), &a.call, &e) < 0)
		fail_msg("%s", e.text);
	return a.n;
}

/* Those of one member do not stop the points of the others behind them. */
static void test_points_of_one_that_fail_stop_no_others(void **state)
{
	static const char active[] = "SELECT count(*) FROM of_lot WHERE state = 1";

	start();
	spoil("CREATE TRIGGER spoilt BEFORE UPDATE ON of_lot WHEN new.member IN (1, 3) BEGIN"
	      " SELECT RAISE(ABORT, 'spoilt'); END;"
	      "INSERT INTO of_lot(member, currency, amount, rest, activates, expires, state, at, "
	      "zone) VALUES(1, 1, 1, 1, 1, 0, 0, 1, ''), (2, 1, 1, 1, 2, 0, 0, 1, ''),"
	      " (3, 1, 1, 1, 3, 0, 0, 1, ''), (4, 1, 1, 1, 4, 0, 0, 1, '')");
	assert_int_equal(register_one("q", "+46700000002"), 202); /* there is something to do */
	for (unsigned i = 0; i < 500 && number(active) < 2; i++)
		usleep(20000);
	assert_int_equal(number(active), 2);
	spoil("DROP TRIGGER spoilt");
	clock_shift(2 * DUR_HOUR);
	assert_int_equal(register_one("r", "+46700000003"), 202);
	for (unsigned i = 0; i < 500 && number(active) < 4; i++)
		usleep(20000);
	assert_int_equal(number(active), 4);
}

/* An event that was kept, and of which the store takes nothing more for a while. */
static void test_an_event_that_stayed_raw_is_taken_up_again(void **state)
{
	int64_t before;

	start();
	before = metric("postern_offers_steps_total");
	spoil("CREATE TRIGGER spoilt BEFORE UPDATE ON of_event WHEN new.id LIKE 'raw%' BEGIN"
	      " SELECT RAISE(ABORT, 'spoilt'); END");
	assert_int_equal(register_one("raw1", "+46700000001"), 202);
	assert_int_equal(register_one("raw2", "+46700000002"), 202);
	assert_int_equal(register_one("other", "+46700000003"), 202);
	for (unsigned i = 0; i < 500 && metric("postern_offers_steps_total") - before < 1; i++)
		usleep(20000);
	assert_int_equal(metric("postern_offers_steps_total") - before, 1);
	spoil("DROP TRIGGER spoilt");
	for (unsigned i = 0; i < 1500 && metric("postern_offers_steps_total") - before < 3; i++)
		usleep(20000);
	assert_int_equal(metric("postern_offers_steps_total") - before, 3);
}

static void test_8_4_timers_fire_once_when_the_clock_jumps(void **state)
{
	enum { N = 30 };
	int64_t before;

	start();
	before = metric("postern_offers_steps_total");
	for (unsigned i = 0; i < N; i++) {
		char json[200];

		snprintf(json, sizeof json,
			"{\"id\":\"c%u\",\"type\":\"card.activated\",\"member\":{\"id\":\"c%u\","
			"\"phone\":\"+4670000%04u\"}}",
			i, i, i);
		assert_int_equal(ask(json), 202);
	}
	usleep(300000);
	assert_int_equal(metric("postern_offers_steps_total") - before, 0);
	clock_shift(5 * DUR_HOUR); /* the machine was paused */
	for (unsigned i = 0; i < 300 && metric("postern_offers_steps_total") - before < N; i++)
		usleep(20000);
	clock_shift(DUR_HOUR);
	usleep(300000);
	assert_int_equal(metric("postern_offers_steps_total") - before, N);
}

/* Two offers and three lines, all of one word: what an event is answered is of one configuration,
 * whatever is reloaded meanwhile, and no event is lost. One that cannot be loaded changes nothing.
 */
static void test_CF_3_CF_4_reloads_under_load(void **state)
{
	enum { ROUNDS = 12, EACH = 25 };
	static const char *const words[] = { "Alpha", "Beta" };
	unsigned of_word[2] = { 0 };
	int64_t before;
	char text[700];

	start();
	before = metric("postern_offers_events_total");
	for (unsigned round = 0; round < ROUNDS; round++) {
		int fd[EACH];

		for (unsigned i = 0; i < EACH; i++) {
			snprintf(text, sizeof text,
				"{\"id\":\"r%u-%u\",\"type\":\"balance.requested\",\"member\":\"m%"
				"u\"}",
				round, i, i);
			fd[i] = ask_begin(text);
			if (i != EACH / 2)
				continue;
			snprintf(text, sizeof text,
				"policy = { default_clock = \"UTC\"; }; intake = { reply_budget = "
				"\"5 s\"; }; offers = ("
				" { name = \"a\"; when = \"balance.requested\"; actions = ("
				" { do = \"receipt\"; text = \"%1$s.\"; },"
				" { do = \"cashier\"; text = \"%1$s.\"; } ); },"
				" { name = \"b\"; when = \"balance.requested\"; actions = ("
				" { do = \"receipt\"; text = \"%1$s.\"; } ); } );",
				words[round % 2]);
			api_rules(text);
			fx_reload(CONF);
		}
		for (unsigned i = 0; i < EACH; i++) {
			unsigned found = 0;

			assert_int_equal(answer_of(fd[i]), 200);
			for (unsigned k = 0; k < 2; k++) {
				snprintf(text, sizeof text,
					"\"receipt\":[\"%1$s.\",\"%1$s.\"],\"cashier\":[\"%1$s.\"]",
					words[k]);
				if (says(text))
					of_word[k] += 1, found++;
			}
			if (!found && (round > 0 || !says("\"receipt\":[],\"cashier\":[]")))
				fail_msg("%u-%u: %s", round, i, got);
		}
	}
	assert_true(of_word[0] >= EACH && of_word[1] >= EACH);
	assert_int_equal(metric("postern_offers_events_total") - before, ROUNDS * EACH);
	/* CF-3 */
	for (unsigned i = 0; i < 2; i++) {
		struct conf_faults f = { 0 };

		api_rules(i ? "offers = ( { name = \"a\"; when = \"balance.request\"; } );"
			    : "offers = (");
		assert_null(settings_load_text(str_of(fx.conf), fx.files, &f));
		assert_true(f.errors > 0);
		conf_faults_free(&f);
		snprintf(text, sizeof text,
			"{\"id\":\"last%u\",\"type\":\"balance.requested\",\"member\":\"m\"}", i);
		assert_int_equal(ask(text), 200);
		assert_true(says("\"receipt\":[\"Beta.\",\"Beta.\"]"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, end)
		T(test_AC_1_a_till_hears_its_lines),
		T(test_EV_1_many_at_once_are_one),
		T(test_AC_4_AC_5_a_stalled_plugin_does_not_hold_the_till),
		T(test_CF_3_CF_4_reloads_under_load),
		T(test_a_chain_fires_and_a_purchase_stops_it),
		T(test_a_step_that_fails_stops_no_other),
		T(test_points_that_fail_stop_no_chain),
		T(test_points_of_one_that_fail_stop_no_others),
		T(test_an_event_that_stayed_raw_is_taken_up_again),
		T(test_8_4_timers_fire_once_when_the_clock_jumps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
