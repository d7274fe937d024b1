/* New settings for a gateway that runs: taken over in place, opened anew, refused whole; channels
 * and accounts that go and come back; and that what nobody looks after ends all the same.
 */
#include "tests/flow_fixture.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#define CHANNEL(name, type, more)                                                          \
	"{ name = \"" name "\"; type = \"" type "\"; window = 10; retry_first = \"10ms\";" \
	" retry_most = \"20ms\"; " more " }"
#define VIA(names) " routes = ( { via = [ " names " ]; } );"
#define A(more)    "channels = ( " CHANNEL("a", "probe", more) " );" VIA("\"a\"")
#define AB                                                                                  \
	"channels = ( " CHANNEL("a", "probe", "") ", " CHANNEL("b", "probe", "") " );" VIA( \
		"\"a\", \"b\"")

struct life {
	struct flow_channel *c;
	unsigned life;
	double rate;
	const char *type;
};

static void life_run(void *arg)
{
	struct life *l = arg;

	l->life = l->c->life;
	l->rate = l->c->pub.conf->rate;
	l->type = l->c->pub.protocol->name;
}

static struct life life_of(const char *channel)
{
	struct life l = { .c = fx_channel(channel) };

	gateway_call(fx.g, l.c->pub.loop, life_run, &l);
	return l;
}

static void lives(const char *channel, unsigned life)
{
	for (int i = 0; i < 5000 && life_of(channel).life != life; i++)
		usleep(2000);
	assert_int_equal(life_of(channel).life, life);
}

/* Refused: the words of the first fault, or of the failure. */
static struct err refused(const char *text)
{
	struct settings *s = fx_settings(text);
	struct buf changes = BUF_INIT;
	struct err e = { 0 };

	assert_int_equal(gateway_reload(fx.g, s, false, &changes, &e), -1);
	settings_free(&s);
	buf_free(&changes);
	return e;
}

static void test_in_place(void **state)
{
	uint64_t id;

	fx_begin(A(""));
	id = fx_send((struct fx_msg){ 0 });
	fx_state_becomes(id, STATE_SENT);
	for (int i = 0; i < 5; i++)
		fx_reload(A("rate = 500.0; attempts = 9;"));
	assert_int_equal(life_of("a").life, 1);
	assert_true(life_of("a").rate == 500.0);
	fx_reload(A("latency = \"1ms\";")); /* the probe adopts that */
	assert_int_equal(life_of("a").life, 1);
	fx_reload(A("word = \"other\";")); /* and that not */
	lives("a", 2);
	fx_reload("channels = ( { name = \"a\"; type = \"probe\"; window = 11; } );" VIA("\"a\""));
	lives("a", 3);
	id = fx_send((struct fx_msg){ 0 });
	fx_state_becomes(id, STATE_SENT);
	fx_end();
}

/* Opened anew over and over, with all that is in flight and on its way to the disk. */
static void test_anew_under_load(void **state)
{
	unsigned n = share_of(3000);

	fx_begin(A(""));
	fx.chances = (struct chances){ .latency = 5 * DUR_MS, .temporary = 50, .fail_part = 100 };
	fx_small_memory("a", 60);
	for (unsigned i = 0; i < n; i++) {
		fx_post((struct fx_msg){ .text = fx_chance(300) ? "3" : "1",
				.priority = (enum priority)fx_random(3),
				.wants = WANT_DELIVERED },
			NULL);
		if (i % 100 == 99)
			fx_reload(i / 100 % 2 ? A("word = \"x\";") : A("word = \"y\";"));
	}
	fx_drain(60 * DUR_S);
	fx_check_all(n);
	fx_no_credit_is_out("a");
	fx_end();
}

/* Another protocol under the same name, with the other's receipts on their way. */
static void test_type(void **state)
{
	enum { N = 400 };
	static const char probe[] = A("");
	static const char holding[] =
		"channels = ( " CHANNEL("a", "holding", "") " );" VIA("\"a\"");

	fx_begin(probe);
	fx.chances = (struct chances){
		.receipts = true, .latency = 2 * DUR_MS, .receipt_delay = 3 * DUR_MS
	};
	for (unsigned i = 0; i < N; i++) {
		fx_post((struct fx_msg){ .wants = WANT_DELIVERED }, NULL);
		if (i % 50 == 49)
			fx_reload(i / 50 % 2 ? probe : holding);
	}
	fx_drain(60 * DUR_S);
	for (int i = 0; i < 5000 && strcmp(life_of("a").type, "probe") != 0; i++)
		usleep(2000);
	assert_string_equal(life_of("a").type, "probe");
	fx_end();
}

/* What an operator holds stays held over a restart, until it is let go. */
static void test_held_over_a_restart(void **state)
{
	struct err e;
	uint64_t id;

	fx_begin(AB);
	assert_int_equal(gateway_channel_verb(fx.g, "b", GATEWAY_HOLD, &e), 0);
	assert_int_equal(gateway_channel_verb(fx.g, "a", GATEWAY_DRAIN, &e), 0);
	id = fx_send((struct fx_msg){ .channel = "b" });
	fx_stop();
	fx_start(AB);
	assert_int_equal(atomic_load(&fx_channel("a")->mode), CHANNEL_DRAINS);
	assert_int_equal(atomic_load(&fx_channel("b")->mode), CHANNEL_HELD);
	usleep(50000);
	assert_int_equal(fx_state(id), STATE_QUEUED);
	assert_int_equal(gateway_channel_verb(fx.g, "b", GATEWAY_RESUME, &e), 0);
	fx_state_becomes(id, STATE_SENT);
	fx_stop();
	fx_start(AB);
	assert_int_equal(atomic_load(&fx_channel("b")->mode), CHANNEL_RUNS);
	fx_end();
}

/* ---- channels that go ---- */
static void test_removed(void **state)
{
	uint64_t stays, asked_for, back, expires, sent;
	struct flow_channel *b;
	struct err e;
	uint64_t v;

	fx_begin(AB);
	b = fx_channel("b");
	assert_int_equal(gateway_channel_verb(fx.g, "b", GATEWAY_HOLD, &e), 0);
	stays = fx_send((struct fx_msg){ .channel = "b", .wants = WANT_FAILED });
	asked_for = fx_send((struct fx_msg){ .channel = "b" });
	back = fx_send((struct fx_msg){ .channel = "b" });
	expires = fx_send((struct fx_msg){
		.channel = "b", .wants = WANT_FAILED, .expires = clock_wall() + DUR_HOUR });
	fx_reload(A(""));
	assert_null(gateway_channel_named(fx.g, "b"));
	assert_int_equal(fx_send((struct fx_msg){ .channel = "b" }), 0);
	assert_int_equal(fx.reason, REASON_NO_ROUTE);
	assert_int_equal(gateway_channel_verb(fx.g, "b", GATEWAY_RESUME, &e), -1);
	for (int i = 0; i < 2000 && stat_lookup("postern_channel_sent_total", "channel=\"b\"", &v);
		i++)
		usleep(2000);
	assert_false(stat_lookup("postern_channel_sent_total", "channel=\"b\"", &v));
	/* what waits for it can be cancelled and sent another way (it names none any more) */
	assert_int_equal(gateway_cancel(fx.g, stays, 0), REASON_NONE);
	assert_int_equal(gateway_requeue(fx.g, asked_for, "a", &e), REASON_NONE);
	fx_state_becomes(asked_for, STATE_SENT);
	/* and ends when its time is over */
	clock_shift(2 * DUR_HOUR);
	for (int i = 0; i < 40 && fx_state(expires) == STATE_QUEUED; i++) {
		clock_shift(15 * DUR_S);
		usleep(50000);
	}
	fx_state_becomes(expires, STATE_EXPIRED);
	fx_reload(AB);
	assert_ptr_equal(fx_channel("b"), b);
	assert_int_equal(gateway_channel_verb(fx.g, "b", GATEWAY_RESUME, &e), 0);
	fx_state_becomes(back, STATE_SENT);
	sent = fx_send((struct fx_msg){ .channel = "b" });
	fx_state_becomes(sent, STATE_SENT);
	assert_true(stat_lookup("postern_channel_sent_total", "channel=\"b\"", &v));
	fx_drain(10 * DUR_S);
	fx_check_all(5);
	fx_end();
}

/* A channel that no settings of this run name, only the store. */
static void test_unknown_channel(void **state)
{
	uint64_t queued, sent, other;
	struct err e;

	fx_begin(AB);
	fx.chances = (struct chances){ .receipts = true, .mute = 1000 };
	sent = fx_send((struct fx_msg){ .channel = "b", .wants = WANT_FAILED });
	fx_state_becomes(sent, STATE_SENT);
	assert_int_equal(gateway_channel_verb(fx.g, "b", GATEWAY_HOLD, &e), 0);
	queued = fx_send((struct fx_msg){ .channel = "b", .wants = WANT_FAILED });
	other = fx_send((struct fx_msg){ .channel = "b", .wants = WANT_FAILED });
	fx_stop();
	fx_start(A(""));
	assert_int_equal(gateway_cancel(fx.g, other, 0), REASON_NONE);
	clock_shift(4 * DUR_DAY); /* validity, receipt_wait */
	for (int i = 0;
		i < 100 && (fx_state(queued) == STATE_QUEUED || fx_state(sent) == STATE_SENT);
		i++) {
		clock_shift(15 * DUR_S);
		usleep(50000);
	}
	assert_int_equal(fx_state(queued), STATE_EXPIRED);
	assert_int_equal(fx_state(sent), STATE_UNKNOWN);
	fx_drain(10 * DUR_S);
	fx_check_all(3);
	fx_end();
}

/* ---- refused ---- */
static int taken_port(uint16_t *port_r)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*port_r = ntohs(a.sin_port);
	return fd;
}

static bool answers(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) },
		.sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;

	close(fd);
	return ok;
}

/* A port that was free a moment ago. */
static uint16_t free_port(void)
{
	uint16_t port;

	close(taken_port(&port));
	return port;
}

static const char *with_listeners(
	uint16_t one, uint16_t two, const char *account, const char *channels)
{
	static char text[4096];

	snprintf(text, sizeof text,
		"listeners = ( { name = \"one\"; type = \"smpp\"; listen = \"127.0.0.1:%u\"; "
		"accounts = ("
		" { system_id = \"%s\"; password = \"x\"; } ); }, { name = \"two\"; type = "
		"\"smpp\";"
		" listen = \"127.0.0.1:%u\"; } ); %s",
		one, account, two, channels);
	return text;
}

static bool has_account(const char *name)
{
	struct flow_account *a = gateway_account_named(fx.g, "smpp", str_of(name));

	return a && !atomic_load(&a->gone);
}

static void test_listeners(void **state)
{
	uint16_t one = free_port(), two = free_port(), other, third;
	int fd = taken_port(&other);
	struct err e;
	uint64_t id;

	fx_begin(with_listeners(one, two, "shop", A("")));
	assert_true(answers(one) && answers(two) && has_account("shop"));
	/* the second cannot be had: all is as it was, the first's new account and channels included
	 */
	e = refused(with_listeners(one, other, "bank", AB));
	assert_non_null(strstr(e.text, "two"));
	assert_true(answers(one) && answers(two));
	assert_true(has_account("shop"));
	assert_false(has_account("bank"));
	assert_null(gateway_channel_named(fx.g, "b"));
	id = fx_send((struct fx_msg){ 0 });
	fx_state_becomes(id, STATE_SENT);
	/* again and again: what failed leaves nothing behind */
	for (int i = 0; i < 3; i++)
		refused(with_listeners(one, other, "bank", AB));
	third = free_port();
	fx_reload(with_listeners(one, third, "bank", AB));
	assert_true(answers(one) && answers(third));
	assert_false(answers(two));
	assert_true(has_account("bank"));
	assert_false(has_account("shop"));
	fx_reload(with_listeners(one, third, "shop", A("")));
	assert_true(has_account("shop"));
	assert_false(has_account("bank"));
	fx_reload(A(""));
	assert_false(answers(one) || answers(third) || has_account("shop"));
	close(fd);
	fx_end();
}

static void test_fixed(void **state)
{
	struct buf changes = BUF_INIT;
	struct settings *s;
	struct err e;
	char dir[128];

	fx_begin(A(""));
	str_copy(dir, sizeof dir, str_of(fx.dir));
	str_copy(fx.dir, sizeof fx.dir, STR("/tmp/elsewhere"));
	e = refused(A(""));
	assert_non_null(strstr(e.text, "restart"));
	str_copy(fx.dir, sizeof fx.dir, str_of(dir));
	s = fx_settings("retention = \"9d\"; " AB);
	assert_int_equal(gateway_reload(fx.g, s, true, &changes, &e), 0);
	settings_free(&s);
	assert_true(str_find(buf_view(&changes), STR("added channels[\"b\"]")) >= 0);
	assert_true(str_find(buf_view(&changes), STR("next start")) >= 0);
	assert_null(gateway_channel_named(fx.g, "b")); /* it was a dry one */
	buf_free(&changes);
	fx_end();
}

/* ---- those who look while it happens ---- */
static _Atomic bool looking;

static void *look(void *arg)
{
	while (atomic_load(&looking)) {
		struct buf b = BUF_INIT;
		unsigned entered = gateway_enter(fx.g);

		assert_true(gateway_settings(fx.g)->channels_n > 0);
		gateway_leave(fx.g, entered);
		gateway_status(fx.g, &b);
		buf_reset(&b);
		stat_put_prometheus(&b);
		buf_free(&b);
	}
	return NULL;
}

static void test_lookers(void **state)
{
	uint16_t one = free_port(), two = free_port();
	pthread_t t[2];

	fx_begin(A(""));
	atomic_store(&looking, true);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, look, NULL), 0);
	for (int i = 0; i < 40; i++) {
		fx_post((struct fx_msg){ 0 }, NULL);
		fx_reload(i % 3 == 0   ? AB
			  : i % 3 == 1 ? with_listeners(one, two, i % 2 ? "shop" : "bank", AB)
				       : A(""));
	}
	atomic_store(&looking, false);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	fx_drain(20 * DUR_S);
	fx_check_all(40);
	fx_end();
}

/* ---- stopping ---- */
static void test_stop_in_flight(void **state)
{
	enum { N = 500 };

	fx_begin("channels = ( { name = \"a\"; type = \"probe\"; window = 100; } );" VIA("\"a\""));
	fx.chances = (struct chances){ .latency = 300 * DUR_MS, .lose = 100, .receipts = true };
	for (unsigned i = 0; i < N; i++)
		fx_post((struct fx_msg){ .wants = WANT_DELIVERED }, NULL);
	fx_answers();
	fx_stop();
	fx.chances = (struct chances){ .receipts = true };
	fx_start(A(""));
	fx_drain(30 * DUR_S);
	for (int i = 0; i < 100; i++)
		usleep(5000);
	fx_drain(30 * DUR_S);
	fx_no_credit_is_out("a");
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_anew_under_load),
		cmocka_unit_test(test_type),
		cmocka_unit_test(test_held_over_a_restart),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_unknown_channel),
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_lookers),
		cmocka_unit_test(test_stop_in_flight),
	};
	const char *only = getenv("ONLY");

	if (only)
		cmocka_set_test_filter(only);
	return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}
