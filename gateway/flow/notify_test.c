/* News for submitters: each told once, in order, over small windows, refusals and reloads. */
#include "tests/flow_fixture.h"

#define CONF                                                          \
	"channels = ( { name = \"a\"; type = \"probe\"; window = 50;" \
	" retry_first = \"10ms\"; retry_most = \"20ms\"; } );"        \
	"routes = ( { via = [ \"a\" ]; } );"

static void credit_run(void *arg)
{
	for (unsigned i = 0; i < FX_ACCOUNTS; i++)
		account_credit(fx.account[i], *(unsigned *)arg);
}

static void credit(unsigned n)
{
	gateway_call(fx.g, fx.door->loop, credit_run, &n);
}

static bool sent_all(void *arg)
{
	struct entry *e;
	unsigned n = 0;

	for (size_t i = 0; (e = map_next(&fx.entries, &i)) != NULL;)
		n += e->sent[0] != 0;
	return n == *(unsigned *)arg;
}

/* More than memory holds waits on disk while nobody listens; then all comes. */
static void test_backlog(void **state)
{
	unsigned n = 6000;

	fx_prepare();
	fx.credit = 0;
	fx_start(CONF);
	for (unsigned i = 0; i < n; i++)
		fx_post((struct fx_msg){ .account = i % 3 == 0, .wants = WANT_DELIVERED }, NULL);
	fx_answers();
	assert_true(fx_until(sent_all, &n, 60 * DUR_S));
	for (int i = 0; i < 5000 && fx_queued(); i++)
		usleep(2000);
	assert_int_equal(store_notes_waiting(gateway_store(fx.g), fx.account[0]->submitter), 4000);
	assert_int_equal(store_notes_waiting(gateway_store(fx.g), fx.account[1]->submitter), 2000);
	credit(7);
	for (int i = 0; i < 50; i++) {
		usleep(5000);
		credit(fx_random(20));
	}
	credit(200);
	fx_drain(60 * DUR_S);
	fx_check_all(n);
	fx_end();
}

/* They are told again until taken; others come meanwhile. */
static void test_told_again(void **state)
{
	unsigned n = share_of(2000);

	fx_begin(CONF);
	fx.chances = (struct chances){ .tell_again = 300, .latency = DUR_MS };
	for (unsigned i = 0; i < n; i++) {
		fx_post((struct fx_msg){ .account = i % 2, .wants = WANT_DELIVERED }, NULL);
		if (i % 400 == 0)
			usleep(20000);
	}
	fx_drain(90 * DUR_S);
	fx_check_all(n);
	fx_end();
}

/* News of one message keep their order, whoever is busy: the door dies of one that does not. Each
 * message is first unknown or undeliverable, then delivered after all. */
static void receipts_run(void *arg)
{
	static const enum state says[] = { STATE_SENT, STATE_UNDELIVERABLE, STATE_DELIVERED,
		STATE_READ };
	struct receipt_in r = { .keys = 1 };

	str_copy(r.key[0], sizeof r.key[0], str_of(arg));
	str_copy(r.raw_id, sizeof r.raw_id, str_of(arg));
	for (int i = 0; i < 4; i++) {
		r.state = says[i];
		receipt_arrived(&fx_channel("a")->pub, &r, NULL);
	}
}

static void test_order_of_one(void **state)
{
	enum { MOST = 300 };
	unsigned n = share_of(MOST);
	uint64_t id[MOST];

	fx_begin(CONF);
	fx.chances = (struct chances){ .receipts = true, .mute = 1000, .tell_again = 400 };
	for (unsigned i = 0; i < n; i++)
		fx_post((struct fx_msg){ .account = i % 2,
				.media = MEDIA_VIBER,
				.wants = WANT_DELIVERED | WANT_FAILED | WANT_INTERMEDIATE },
			&id[i]);
	fx_answers();
	for (unsigned i = 0; i < n; i++)
		fx_state_becomes(id[i], STATE_SENT);
	for (unsigned i = 0; i < n; i++) {
		struct store_view v = fx_view(id[i]);

		gateway_call(fx.g, fx_channel("a")->pub.loop, receipts_run, v.far_id);
		store_view_free(&v);
	}
	for (unsigned i = 0; i < n; i++)
		fx_state_becomes(id[i], STATE_READ);
	fx_drain(60 * DUR_S);
	for (unsigned i = 0; i < n; i++) {
		struct entry *e = map_get_u64(&fx.entries, id[i]);

		assert_int_equal(e->told, 4);
		assert_int_equal(e->finals, 1);
		assert_int_equal(e->last, STATE_READ);
	}
	fx_end();
}

/* What is not told when the gateway stops is told by the next one, and once. */
static void test_over_a_stop(void **state)
{
	enum { N = 1500 };
	unsigned told = 0;
	struct entry *e;

	fx_begin(CONF);
	fx.chances.tell_again = 200;
	for (unsigned i = 0; i < N; i++)
		fx_post((struct fx_msg){ .account = i % 2, .wants = WANT_DELIVERED }, NULL);
	fx_answers();
	usleep(50000);
	fx_stop();
	for (size_t i = 0; (e = map_next(&fx.entries, &i)) != NULL;)
		told += e->told;
	assert_true(told < N);
	assert_int_equal(fx.lent, 0);
	fx_start(CONF);
	fx_drain(60 * DUR_S);
	fx_check_all(N);
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backlog),
		cmocka_unit_test(test_told_again),
		cmocka_unit_test(test_order_of_one),
		cmocka_unit_test(test_over_a_stop),
	};
	const char *only = getenv("ONLY");

	if (only)
		cmocka_set_test_filter(only);
	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
