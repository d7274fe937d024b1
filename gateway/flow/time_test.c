/* What time does to messages, with a clock that is moved by hours: schedules, validity, retries,
 * receipts that do not come, what is old. Each test has clocks of its own, for they only go on.
 */
#include "tests/flow_fixture.h"

#define CONF(more)                                                    \
	"channels = ( { name = \"a\"; type = \"probe\"; window = 10;" \
	" receipt_wait = \"2h\"; " more " } ); routes = ( { via = [ \"a\" ]; } );"

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

static void test_schedule(void **state)
{
	uint64_t id[3];
	wall_t now;

	fx_begin(CONF(""));
	now = clock_wall();
	id[0] = fx_send((struct fx_msg){ .send_at = now + DUR_HOUR });
	id[1] = fx_send((struct fx_msg){ .send_at = now + 30 * DUR_HOUR });
	id[2] = fx_send((struct fx_msg){ .send_at = now - DUR_HOUR });
	fx_state_becomes(id[2], STATE_SENT);
	usleep(50000);
	assert_int_equal(submits(id[0]), 0);
	clock_shift(DUR_HOUR + DUR_S);
	fx_state_becomes(id[0], STATE_SENT);
	assert_int_equal(submits(id[1]), 0);
	clock_shift(29 * DUR_HOUR);
	fx_state_becomes(id[1], STATE_SENT);
	assert_int_equal(fx_send((struct fx_msg){ .send_at = clock_wall() + 400 * DUR_DAY }), 0);
	assert_int_equal(fx.reason, REASON_BAD_TIME);
	assert_int_equal(fx_send((struct fx_msg){ .send_at = clock_wall() + 2 * DUR_HOUR,
				 .expires = clock_wall() + DUR_HOUR }),
		0);
	fx_check_all(3);
	fx_end();
}

static unsigned times_told(uint64_t id)
{
	struct entry *e;
	unsigned n;

	fx_lock();
	e = map_get_u64(&fx.entries, id);
	n = e ? e->told : 0;
	fx_unlock();
	return n;
}

static bool refused(struct channel *c, struct delivery *d, unsigned part, struct outcome *o)
{
	/* One after a try, the others because nothing goes out at all. */
	*o = outcome_of(str_is(message_get(d->msg, FIELD_TO), "46700000001") ? REASON_TEMPORARY
									     : REASON_DOWN);
	return true;
}

/* Time for a sweep or two. */
static void sweeps(void)
{
	for (int i = 0; i < 3; i++) {
		clock_shift(3 * DUR_S);
		usleep(60000);
	}
}

/* That a message still waits is told once, when it was tried and when it was not, by whoever runs
 * then. */
static void test_late(void **state)
{
	static const char conf[] = CONF("retry_first = \"9h\"; retry_most = \"9h\";");
	uint64_t tried, waits, other;

	fx_begin(conf);
	fx.decide = refused;
	tried = fx_send((struct fx_msg){ .to = "46700000001", .wants = WANT_DELAY });
	for (int i = 0; i < 2000 && submits(tried) == 0; i++)
		usleep(2000);
	waits = fx_send((struct fx_msg){ .to = "46700000002", .wants = WANT_DELAY });
	other = fx_send((struct fx_msg){ .to = "46700000003", .wants = WANT_INTERMEDIATE });
	clock_shift(230 * DUR_MIN);
	sweeps();
	assert_int_equal(times_told(tried) + times_told(waits) + times_told(other), 0);
	clock_shift(20 * DUR_MIN);
	for (int i = 0; i < 100 && !(times_told(tried) && times_told(waits)); i++)
		sweeps();
	fx_stop();
	fx_start(conf);
	clock_shift(DUR_HOUR);
	sweeps();
	assert_int_equal(times_told(tried), 1);
	assert_int_equal(times_told(waits), 1);
	assert_int_equal(times_told(other), 0);
	fx_lock();
	assert_int_equal(fx_entry(tried)->last, STATE_QUEUED);
	fx_unlock();
	fx_play((struct chances){ 0 });
	fx_end();
}

/* Queued in memory, on disk alone, for later, in the course of retries: all expire, none is sent.
 */
static bool never_now(struct channel *c, struct delivery *d, unsigned part, struct outcome *o)
{
	*o = outcome_of(REASON_TEMPORARY);
	return true;
}

static void test_validity(void **state)
{
	uint64_t id[60], retried, usual;
	struct store_view v;
	struct err e;

	fx_begin(CONF("retry_first = \"1h\"; retry_most = \"9h\"; "));
	fx.decide = never_now;
	retried = fx_send(
		(struct fx_msg){ .wants = WANT_FAILED, .expires = clock_wall() + 3 * DUR_HOUR });
	for (int i = 0; i < 2000 && submits(retried) == 0; i++)
		usleep(2000);
	fx_play((struct chances){ 0 });
	fx_small_memory("a", 10);
	assert_int_equal(gateway_channel_verb(fx.g, "a", GATEWAY_HOLD, &e), 0);
	usual = fx_send((struct fx_msg){ .wants = WANT_FAILED });
	for (int i = 0; i < 60; i++)
		fx_post((struct fx_msg){ .wants = WANT_FAILED,
				.priority = (enum priority)(i % 3),
				.send_at = i % 4 ? 0 : clock_wall() + DUR_HOUR,
				.expires = clock_wall() + 3 * DUR_HOUR },
			&id[i]);
	fx_answers();
	clock_shift(4 * DUR_HOUR);
	for (int i = 0; i < 60; i++)
		fx_state_becomes(id[i], STATE_EXPIRED);
	fx_state_becomes(retried, STATE_EXPIRED);
	v = fx_view(usual);
	assert_int_equal(v.state, STATE_QUEUED);
	assert_in_range(v.expires - v.accepted, 71 * DUR_HOUR, 73 * DUR_HOUR);
	store_view_free(&v);
	clock_shift(70 * DUR_HOUR);
	/* found expired when it is its turn, or before by the sweep */
	assert_int_equal(gateway_channel_verb(fx.g, "a", GATEWAY_RESUME, &e), 0);
	fx_state_becomes(usual, STATE_EXPIRED);
	fx_drain(20 * DUR_S);
	assert_int_equal(submits(retried), 1);
	fx_check_all(62);
	fx_end();
}

static void test_retry_waits(void **state)
{
	uint64_t id;

	fx_begin(CONF("retry_first = \"1m\"; retry_most = \"1h\"; "));
	fx.decide = never_now;
	id = fx_send((struct fx_msg){ 0 });
	for (int i = 0; i < 2000 && submits(id) == 0; i++)
		usleep(2000);
	usleep(200000);
	assert_int_equal(submits(id), 1);
	clock_shift(75 * DUR_S);
	for (int i = 0; i < 2000 && submits(id) == 1; i++)
		usleep(2000);
	assert_int_equal(submits(id), 2);
	clock_shift(75 * DUR_S); /* the second wait is longer */
	usleep(200000);
	assert_int_equal(submits(id), 2);
	fx_play((struct chances){ 0 });
	clock_shift(75 * DUR_S);
	fx_state_becomes(id, STATE_SENT);
	fx_end();
}

/* No receipt comes: unknown after receipt_wait; one that comes late is told as a correction. */
static void receipt_run(void *arg)
{
	struct receipt_in r = { .keys = 1, .state = STATE_DELIVERED };

	str_copy(r.key[0], sizeof r.key[0], str_of(arg));
	str_copy(r.raw_id, sizeof r.raw_id, str_of(arg));
	receipt_arrived(&fx_channel("a")->pub, &r, NULL);
}

static void test_receipt_wait(void **state)
{
	uint64_t id[30];
	struct store_view v;
	struct entry *e;

	fx_begin(CONF(""));
	fx.chances = (struct chances){ .receipts = true, .mute = 1000 };
	for (int i = 0; i < 30; i++)
		fx_post((struct fx_msg){ .wants = WANT_DELIVERED | WANT_FAILED,
				.text = i % 3 ? "1" : "3" },
			&id[i]);
	fx_answers();
	for (int i = 0; i < 30; i++)
		fx_state_becomes(id[i], STATE_SENT);
	clock_shift(DUR_HOUR);
	usleep(100000);
	assert_int_equal(fx_state(id[4]), STATE_SENT);
	clock_shift(DUR_HOUR + DUR_MIN);
	for (int i = 0; i < 30; i++)
		fx_state_becomes(id[i], STATE_UNKNOWN);
	fx_drain(20 * DUR_S);
	fx_check_all(30);
	v = fx_view(id[4]);
	assert_int_equal(v.reason, REASON_NO_RECEIPT);
	gateway_call(fx.g, fx_channel("a")->pub.loop, receipt_run, v.far_id);
	store_view_free(&v);
	fx_state_becomes(id[4], STATE_DELIVERED);
	fx_drain(20 * DUR_S);
	e = map_get_u64(&fx.entries, id[4]);
	assert_int_equal(e->told, 2);
	assert_int_equal(e->finals, 1);
	assert_int_equal(e->last, STATE_DELIVERED);
	fx_end();
}

static void test_retention(void **state)
{
	uint64_t done, waits;
	struct store_view v;
	struct err e;
	int found = 1;

	fx_begin("retention = \"10d\"; validity_most = \"100d\"; " CONF(""));
	done = fx_send((struct fx_msg){ 0 });
	fx_state_becomes(done, STATE_SENT);
	waits = fx_send((struct fx_msg){ .send_at = clock_wall() + 40 * DUR_DAY });
	assert_true(waits != 0);
	clock_shift(11 * DUR_DAY);
	for (int i = 0; i < 5000 && found == 1; i++) {
		usleep(2000);
		if (i % 500 == 499)
			clock_shift(2 * DUR_MIN); /* the next round */
		found = store_find(gateway_store(fx.g), done, false, &v, &e);
		if (found == 1)
			store_view_free(&v);
	}
	assert_int_equal(found, 0);
	assert_int_equal(fx_state(waits), STATE_QUEUED);
	clock_shift(30 * DUR_DAY);
	fx_state_becomes(waits, STATE_SENT);
	fx_end();
}

/* The clock of the host goes back: nothing is lost, order stays. */
static void test_clock_back(void **state)
{
	uint64_t a, b;

	fx_begin(CONF(""));
	a = fx_send((struct fx_msg){ 0 });
	fx_state_becomes(a, STATE_SENT);
	clock_shift(-DUR_MIN); /* both clocks: enough for what is stored */
	b = fx_send((struct fx_msg){ 0 });
	assert_true(b > a);
	fx_state_becomes(b, STATE_SENT);
	clock_shift(DUR_MIN);
	fx_drain(10 * DUR_S);
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schedule),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_validity),
		cmocka_unit_test(test_retry_waits),
		cmocka_unit_test(test_receipt_wait),
		cmocka_unit_test(test_retention),
		cmocka_unit_test(test_clock_back),
	};
	const char *only = getenv("ONLY");

	if (only)
		cmocka_set_test_filter(only);
	return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
