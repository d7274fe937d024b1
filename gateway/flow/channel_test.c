/* What a channel decides: holding, stopping and trying again, failing over, giving up. */
#include "tests/flow_fixture.h"

#define USUAL                                                                    \
	" retry_first = \"10ms\"; retry_most = \"20ms\"; receipt_wait = \"1h\";" \
	" failover_after = \"200ms\"; "
#define TWO(more_a, more_route)                                                          \
	"channels = ( { name = \"a\"; type = \"probe\"; window = 10;" USUAL more_a " }," \
	" { name = \"b\"; type = \"probe\"; window = 10;" USUAL "} );"                   \
	"routes = ( { via = [ \"a\", \"b\" ]; " more_route "} );"

static _Atomic int sick; /* a reason, for channel "a" */

static bool a_is_sick(struct channel *c, struct delivery *d, unsigned part, struct outcome *o)
{
	int r = atomic_load(&sick);

	if (!r || c->name[0] != 'a')
		return false;
	*o = outcome_of((enum reason)r);
	return true;
}

static bool all_are_sick(struct channel *c, struct delivery *d, unsigned part, struct outcome *o)
{
	int r = atomic_load(&sick);

	*o = outcome_of((enum reason)r);
	return r != 0;
}

static unsigned submits(uint64_t id)
{
	struct entry *e;
	unsigned n;

	fx_lock();
	e = map_get_u64(&fx.entries, id);
	n = e ? e->submits : 0;
	fx_unlock();
	return n;
}

static uint32_t went_by(uint64_t id)
{
	struct entry *e;
	uint32_t n;

	fx_lock();
	e = map_get_u64(&fx.entries, id);
	n = e ? e->channel : 0;
	fx_unlock();
	return n;
}

/* ---- on_uncertain = "hold" ---- */
#define HOLDING                                                                      \
	"channels = ( { name = \"a\"; type = \"holding\"; window = 10;" USUAL "} );" \
	"routes = ( { via = [ \"a\" ]; } );"

static void test_refusals_do_not_hold(void **state)
{
	uint64_t id[30];

	fx_begin(HOLDING);
	fx.decide = a_is_sick;
	for (int i = 0; i < 2; i++) {
		atomic_store(&sick, i ? REASON_TEMPORARY : REASON_THROTTLED);
		for (int k = 0; k < 15; k++)
			fx_post((struct fx_msg){ 0 }, &id[i * 15 + k]);
		fx_answers();
		usleep(100000);
		atomic_store(&sick, 0);
		for (int k = 0; k < 15; k++)
			fx_state_becomes(id[i * 15 + k], STATE_SENT);
	}
	fx_check_all(30);
	fx_no_credit_is_out("a");
	fx_end();
}

static bool is_held(uint64_t id)
{
	struct store_view v = fx_view(id);
	bool held = v.state == STATE_QUEUED && v.due > INT64_MAX / 4;

	store_view_free(&v);
	return held;
}

static void becomes_held(uint64_t id)
{
	for (int i = 0; i < 5000 && !is_held(id); i++)
		usleep(2000);
	assert_true(is_held(id));
}

static void test_lost_is_held(void **state)
{
	uint64_t id[4];
	struct err e;

	fx_begin(HOLDING);
	fx.decide = a_is_sick;
	atomic_store(&sick, REASON_LOST);
	for (int i = 0; i < 4; i++)
		id[i] = fx_send(
			(struct fx_msg){ .text = i == 3 ? "3" : "1", .wants = WANT_FAILED });
	for (int i = 0; i < 4; i++)
		becomes_held(id[i]);
	atomic_store(&sick, 0);
	assert_int_equal(gateway_cancel(fx.g, id[0], 0), REASON_NONE);
	assert_int_equal(gateway_requeue(fx.g, id[1], NULL, &e), REASON_NONE);
	assert_int_equal(gateway_requeue(fx.g, id[3], "a", &e), REASON_NONE);
	assert_int_equal(gateway_requeue(fx.g, id[2], "nowhere", &e), REASON_NO_ROUTE);
	fx_state_becomes(id[0], STATE_CANCELLED);
	fx_state_becomes(id[1], STATE_SENT);
	fx_state_becomes(id[3], STATE_SENT);
	assert_true(is_held(id[2]));
	assert_int_equal(gateway_requeue(fx.g, id[1], NULL, &e), REASON_TOO_LATE);
	fx_no_credit_is_out("a");
	fx_end();
}

/* ---- the breaker ---- */
static void test_breaker(void **state)
{
	uint64_t id;
	uint32_t a, b;
	struct err e;

	fx_begin(TWO("", ""));
	a = fx_channel("a")->number;
	b = fx_channel("b")->number;
	fx.decide = a_is_sick;
	atomic_store(&sick, REASON_NOT_BOUND);
	for (int i = 0; i < 50; i++)
		fx_post((struct fx_msg){ 0 }, NULL);
	fx_drain(20 * DUR_S);
	fx_check_all(50);
	id = fx_send((struct fx_msg){ 0 });
	fx_state_becomes(id, STATE_SENT);
	assert_int_equal(went_by(id), b);
	atomic_store(&sick, 0);
	/* it is tried again although nothing waits for it: routes choose it for that */
	for (int i = 0; i < 200 && went_by(id) != a; i++) {
		usleep(50000);
		id = fx_send((struct fx_msg){ 0 });
		fx_state_becomes(id, STATE_SENT);
	}
	assert_int_equal(went_by(id), a);
	/* held or not: a message that names its channel waits for it */
	assert_int_equal(gateway_channel_verb(fx.g, "a", GATEWAY_DRAIN, &e), 0);
	id = fx_send((struct fx_msg){ .channel = "a" });
	fx_state_becomes(id, STATE_SENT);
	assert_int_equal(went_by(id), a);
	id = fx_send((struct fx_msg){ 0 }); /* draining: nothing new is routed to it */
	fx_state_becomes(id, STATE_SENT);
	assert_int_equal(went_by(id), b);
	fx_no_credit_is_out("a");
	fx_end();
}

/* ---- failover ---- */
static void test_refused_once_each(void **state)
{
	uint64_t id[40];

	fx_begin(TWO("", "share = [ \"a=1\", \"b=1\" ]; "));
	fx.decide = all_are_sick;
	atomic_store(&sick, REASON_REFUSED);
	for (int i = 0; i < 40; i++)
		id[i] = fx_send((struct fx_msg){ .wants = WANT_FAILED });
	for (int i = 0; i < 40; i++)
		fx_state_becomes(id[i], STATE_REJECTED);
	fx_drain(10 * DUR_S);
	for (int i = 0; i < 40; i++)
		assert_in_range(submits(id[i]), 1, 2);
	fx_check_all(40);
	fx_end();
}

static void test_temporary_waits(void **state)
{
	uint64_t id;

	fx_begin(TWO("attempts_here = 1; ", "share = [ \"a=1\", \"b=1\" ]; "));
	fx.decide = all_are_sick;
	atomic_store(&sick, REASON_TEMPORARY);
	id = fx_send((struct fx_msg){ 0 });
	usleep(300000);
	assert_in_range(submits(id), 2, 60); /* 20 ms between, and one jump */
	atomic_store(&sick, 0);
	fx_state_becomes(id, STATE_SENT);
	fx_end();
}

static void test_attempts(void **state)
{
	struct store_view v;
	uint64_t id;

	fx_begin("channels = ( { name = \"a\"; type = \"probe\"; attempts = 3;" USUAL "} );"
		 "routes = ( { via = [ \"a\" ]; } );");
	fx.decide = all_are_sick;
	atomic_store(&sick, REASON_TEMPORARY);
	id = fx_send((struct fx_msg){ .wants = WANT_FAILED });
	fx_state_becomes(id, STATE_UNDELIVERABLE);
	v = fx_view(id);
	assert_int_equal(v.reason, REASON_ATTEMPTS);
	assert_int_equal(v.attempt, 3);
	store_view_free(&v);
	assert_int_equal(submits(id), 3);
	atomic_store(&sick, REASON_LOST);
	id = fx_send((struct fx_msg){ .wants = WANT_FAILED });
	fx_state_becomes(id, STATE_UNKNOWN);
	assert_int_equal(submits(id), 3);
	fx_drain(10 * DUR_S);
	fx_no_credit_is_out("a");
	fx_end();
}

/* Its own far side is busy: it comes again, the others go, and nothing is used up. */
static bool busy_far_side(struct channel *c, struct delivery *d, unsigned part, struct outcome *o)
{
	if (!atomic_load(&sick) || !str_is(message_get(d->msg, FIELD_TEXT), "2"))
		return false;
	*o = outcome_of(REASON_TEMPORARY);
	o->untried = true;
	o->delay = 5 * DUR_MS;
	return true;
}

static void test_untried(void **state)
{
	struct store_view v;
	uint64_t id, other;

	fx_begin("channels = ( { name = \"a\"; type = \"probe\"; attempts = 2;" USUAL "} );"
		 "routes = ( { via = [ \"a\" ]; } );");
	fx.decide = busy_far_side;
	atomic_store(&sick, 1);
	id = fx_send((struct fx_msg){ .text = "2" });
	while (submits(id) < 5)
		usleep(2000);
	other = fx_send((struct fx_msg){ .text = "1" });
	fx_state_becomes(other, STATE_SENT);
	assert_int_equal(fx_state(id), STATE_QUEUED);
	atomic_store(&sick, 0);
	fx_state_becomes(id, STATE_SENT);
	v = fx_view(id);
	assert_int_equal(v.attempt, 1);
	store_view_free(&v);
	fx_drain(10 * DUR_S);
	fx_no_credit_is_out("a");
	fx_end();
}

/* What waits for a channel that is down goes to the next one, also from the disk; what names its
 * channel stays. */
static void close_window(void *arg)
{
	struct flow_channel *c = arg;
	struct err e;

	err_set(&e, ERR_ENV, "as a test wishes");
	channel_window(&c->pub, 0, &e);
}

static void open_window(void *arg)
{
	struct flow_channel *c = arg;

	channel_window(&c->pub, 10, NULL);
}

static void test_evacuation(void **state)
{
	unsigned n = share_of(3000);
	struct flow_channel *a;
	uint64_t own;

	fx_begin(TWO("", ""));
	a = fx_channel("a");
	fx_small_memory("a", 100);
	gateway_call(fx.g, a->pub.loop, close_window, a);
	own = fx_send((struct fx_msg){ .channel = "a" });
	for (unsigned i = 0; i < n; i++)
		fx_post((struct fx_msg){ .text = i % 5 ? "1" : "3" }, NULL);
	fx_answers();
	for (int i = 0; i < 10000 && fx_queued() > 1; i++)
		usleep(2000);
	assert_int_equal(fx_queued(), 1);
	assert_int_equal(fx_state(own), STATE_QUEUED);
	gateway_call(fx.g, a->pub.loop, open_window, a);
	fx_state_becomes(own, STATE_SENT);
	fx_drain(10 * DUR_S);
	fx_check_all(n + 1);
	fx_end();
}

/* ---- pace ---- */
static void test_throttled(void **state)
{
	enum { N = 60 };
	struct entry *e;

	fx_begin(TWO("attempts = 1; ", ""));
	fx.decide = a_is_sick;
	atomic_store(&sick, REASON_THROTTLED);
	for (int i = 0; i < N; i++)
		fx_post((struct fx_msg){ .channel = "a" }, NULL);
	fx_answers();
	usleep(200000);
	atomic_store(&sick, 0);
	fx_drain(60 * DUR_S);
	fx_check_all(N);
	/* throttling is the channel's affair: no attempt of the message's was used */
	for (size_t i = 0; (e = map_next(&fx.entries, &i)) != NULL;)
		assert_int_equal(fx_state(e->id), STATE_SENT);
	fx_end();
}

/* ---- limits at the door ---- */
static void test_queue_most(void **state)
{
	struct err e;

	fx_begin("channels = ( { name = \"a\"; type = \"probe\"; queue_most = 5; } );"
		 "routes = ( { via = [ \"a\" ]; } );");
	assert_int_equal(gateway_channel_verb(fx.g, "a", GATEWAY_HOLD, &e), 0);
	for (int i = 0; i < 5; i++)
		assert_true(fx_send((struct fx_msg){ 0 }) != 0);
	assert_int_equal(fx_send((struct fx_msg){ 0 }), 0); /* not one more */
	assert_int_equal(fx.reason, REASON_QUEUE_FULL);
	gateway_channel_verb(fx.g, "a", GATEWAY_RESUME, &e);
	fx_drain(10 * DUR_S);
	fx_end();
}

static void test_client_ids(void **state)
{
	uint64_t a, b;

	fx_begin(TWO("", ""));
	a = fx_send((struct fx_msg){ .client_id = "x", .text = "one" });
	b = fx_send((struct fx_msg){ .client_id = "x", .text = "one" });
	assert_int_equal(a, b);
	assert_int_equal(fx_send((struct fx_msg){ .client_id = "x", .text = "two" }), 0);
	assert_int_equal(fx.reason, REASON_DUPLICATE);
	assert_true(fx_send((struct fx_msg){ .client_id = "x", .text = "two", .account = 1 }) != 0);
	/* the same schedule again, when its time has passed, is the same message */
	b = clock_wall() + 50 * DUR_MS;
	a = fx_send((struct fx_msg){ .client_id = "y", .send_at = (wall_t)b });
	usleep(100000);
	assert_int_equal(fx_send((struct fx_msg){ .client_id = "y", .send_at = (wall_t)b }), a);
	fx_drain(10 * DUR_S);
	fx_check_all(3);
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals_do_not_hold),
		cmocka_unit_test(test_lost_is_held),
		cmocka_unit_test(test_breaker),
		cmocka_unit_test(test_refused_once_each),
		cmocka_unit_test(test_temporary_waits),
		cmocka_unit_test(test_attempts),
		cmocka_unit_test(test_untried),
		cmocka_unit_test(test_evacuation),
		cmocka_unit_test(test_throttled),
		cmocka_unit_test(test_queue_most),
		cmocka_unit_test(test_client_ids),
	};
	const char *only = getenv("ONLY");

	if (only)
		cmocka_set_test_filter(only);
	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
