/* What the gateway offers plugins, through a whole gateway: messages sent within transactions, news
 * told exactly once, orders that race with dispatch, taps. */
#include "gateway/flow/host_fixture.h"

/* ---- sending ---- */
static void test_send(void **state)
{
	struct trial_send s;
	struct store_view v;
	uint64_t id;

	trial_start(ONE);
	id = trial_sent((struct fx_msg){ .text = "3 parts" });
	fx_state_becomes(id, STATE_SENT);
	v = fx_view(id);
	assert_int_equal(v.submitter, trial_host()->submitter);
	assert_int_equal(v.parts, 3);
	store_view_free(&v);
	s = trial_do((struct trial_send){ .fails = true, .row = true });
	assert_true(s.id != 0);
	s = trial_do((struct trial_send){ .msg.channel = "nowhere", .row = true });
	assert_int_equal(s.id, 0);
	assert_int_equal(s.why.reason, REASON_NO_ROUTE);
	s = trial_do((struct trial_send){ .msg.expires = 1 });
	assert_int_equal(s.why.reason, REASON_BAD_TIME);
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t"), 1); /* of "nowhere" */
	assert_int_equal(trial_number("SELECT count(*) FROM msg"), 1);
	fx_end();
	assert_int_equal(trial.opens, 1);
	assert_int_equal(trial.closes, 1);
	assert_int_equal(trial.begins, 1);
	assert_int_equal(trial.ends, 1);
	assert_int_equal(trial.loads, trial.unloads);
}

static void test_send_once(void **state)
{
	struct trial_send a, b, c;

	trial_start(ONE);
	a = trial_do((struct trial_send){ .msg.client_id = "chain-7-2" });
	b = trial_do((struct trial_send){ .msg.client_id = "chain-7-2" });
	c = trial_do((struct trial_send){ .msg = { .client_id = "chain-7-2", .text = "new" } });
	assert_int_equal(a.why.reason, REASON_NONE);
	assert_int_equal(b.id, a.id);
	assert_int_equal(c.id, a.id);
	assert_int_equal(b.why.reason, REASON_DUPLICATE);
	assert_int_equal(c.why.reason, REASON_DUPLICATE);
	fx_state_becomes(a.id, STATE_SENT);
	fx_drain(10 * DUR_S);
	assert_int_equal(fx_entry(a.id)->submits, 1);
	fx_end();
}

static void test_suppress(void **state)
{
	struct trial_send s;
	struct store_view v;

	trial_start(ONE);
	s = trial_do((struct trial_send){
		.state = STATE_SUPPRESSED, .reason = REASON_MISSING, .words = "$Amount" });
	v = fx_view(s.id);
	assert_int_equal(v.state, STATE_SUPPRESSED);
	assert_int_equal(v.reason, REASON_MISSING);
	assert_string_equal(v.words, "$Amount");
	store_view_free(&v);
	fx_end();
}

/* Calls that send several, undone ones among them, between submitters who send all the time. */
struct burst {
	struct plugin_call c; /* first */
	unsigned n;
	bool fails;
	uint64_t id[6];
};
static atomic_uint bursts_out;

static int burst_run(struct plugin_call *c)
{
	struct burst *b = (struct burst *)c;
	struct outcome why;

	for (unsigned i = 0; i < b->n; i++) {
		struct fx_msg m = { .priority = (enum priority)fx_random(3),
			.text = fx_chance(200) ? "2" : "1",
			.channel = fx_chance(500) ? "b" : "a" };

		b->id[i] = plugin_send(c, fx_message(m), &why);
		if (!b->id[i] || trial_row(c, "burst", b->id[i]) < 0)
			return -1;
	}
	return b->fails ? -1 : 0;
}

static void burst_done(struct plugin_call *c)
{
	struct burst *b = (struct burst *)c;

	assert_int_equal(c->result, b->fails ? -1 : 0);
	for (unsigned i = 0; i < b->n && !b->fails; i++) {
		fx_lock();
		fx_entry(b->id[i]);
		fx_unlock();
	}
	mem_free(&b);
	atomic_fetch_sub(&bursts_out, 1);
}

static bool no_burst_out(void *arg)
{
	return atomic_load(&bursts_out) == 0;
}

static void test_storm(void **state)
{
	enum { N = 3000 };
	unsigned kept = 0;

	trial_start("channels = ( " CHANNEL("a", "") ", " CHANNEL(
		"b", "") " );"
			 " routes = ( { via = [ \"a\", \"b\" ]; } );" TRIAL);
	fx.chances = (struct chances){ .temporary = 20, .latency = DUR_MS };
	fx_small_memory("a", 60);
	fx_small_memory("b", 2000);
	for (unsigned i = 0; i < N; i++) {
		struct burst *b;

		fx_post((struct fx_msg){ .priority = (enum priority)fx_random(3) }, NULL);
		if (i % 3)
			continue;
		b = mem_new(struct burst);
		b->n = 1 + fx_random(6);
		b->fails = fx_chance(150);
		b->c.run = burst_run;
		b->c.done = burst_done;
		b->c.bulk = fx_chance(500);
		kept += b->fails ? 0 : b->n;
		atomic_fetch_add(&bursts_out, 1);
		plugin_call(trial_host(), &b->c);
	}
	assert_true(fx_until(no_burst_out, NULL, 60 * DUR_S));
	fx_drain(60 * DUR_S);
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t"), kept);
	fx_check_all(N + kept);
	fx_no_credit_is_out("a");
	fx_no_credit_is_out("b");
	fx_end();
}

/* ---- news ---- */
static int note_row(struct plugin_call *c, const struct note *n)
{
	if (trial_row(c, state_word(n->state), n->msg) < 0)
		return -1;
	return fx_chance(200) ? -1 : 0;
}

static bool nothing_to_tell(void *arg)
{
	return store_notes_waiting(gateway_store(fx.g), trial_host()->submitter) == 0;
}

static void test_notes(void **state)
{
	enum { N = 60 };
	uint64_t id[N];

	trial_start(ONE);
	log_capture(NULL, NULL);
	trial.note = note_row;
	fx.chances = (struct chances){ .receipts = true, .fails = 300 };
	for (int i = 0; i < N; i++)
		id[i] = trial_sent((struct fx_msg){ .wants = WANT_DELIVERED | WANT_FAILED });
	for (int i = 0; i < N; i++) {
		mono_t end = clock_mono() + 20 * DUR_S;

		while (!state_is_final(fx_state(id[i])) && clock_mono() < end)
			usleep(2000);
	}
	assert_true(fx_until(nothing_to_tell, NULL, 60 * DUR_S));
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t"), N);
	assert_int_equal(trial_number("SELECT count(DISTINCT msg) FROM trial_t"), N);
	assert_int_equal(trial_number("SELECT count(*) FROM note"), 0);
	fx_end();
}

/* Not told before the end: told after the next start. */
static int note_never(struct plugin_call *c, const struct note *n)
{
	return -1;
}

static bool something_to_tell(void *arg)
{
	return !nothing_to_tell(arg);
}

static bool told_one(void *arg)
{
	return trial_number("SELECT count(*) FROM trial_t") == 1;
}

static void test_notes_last(void **state)
{
	uint64_t id;

	trial_start(ONE);
	trial.note = note_never;
	id = trial_sent((struct fx_msg){ .wants = WANT_DELIVERED });
	fx_state_becomes(id, STATE_SENT);
	assert_true(fx_until(something_to_tell, NULL, 20 * DUR_S));
	fx_stop();
	trial.note = note_keep;
	fx_start(ONE);
	assert_true(fx_until(told_one, NULL, 20 * DUR_S));
	assert_true(fx_until(nothing_to_tell, NULL, 20 * DUR_S));
	fx_end();
}

/* ---- taking back ---- */
static struct racer racers[RACERS];

/* Each is cancelled or sent, never both, whatever the moment; and what says that it was cancelled
 * was. */
static void test_CN_33_cancel_races(void **state)
{
	unsigned cancelled = 0, sent = 0;

	trial_start("channels = ( " CHANNEL(
		"a", "rate = 4000.0;") " );"
				       " routes = ( { via = [ \"a\" ]; } );" TRIAL);
	fx.chances = (struct chances){ .temporary = 200, .latency = DUR_MS };
	fx_small_memory("a", 100);
	memset(racers, 0, sizeof racers);
	atomic_store(&racing, RACERS);
	for (unsigned i = 0; i < RACERS; i++) {
		struct racer *r = &racers[i];

		r->s.msg.text = fx_chance(300) ? "2" : "1";
		if (fx_chance(100))
			r->s.msg.send_at = clock_wall() + fx_random(50) * DUR_MS;
		r->s.c.run = trial_send_run;
		r->s.c.done = racer_cancel;
		r->one.state = i % 2 ? STATE_SUPPRESSED : STATE_CANCELLED;
		r->one.reason = i % 2 ? REASON_CONSENT : REASON_NONE;
		r->many = (struct plugin_cancels){ .v = &r->one, .n = 1, .done = racer_over };
		plugin_call(trial_host(), &r->s.c);
		if (i % 50 == 0)
			usleep(fx_random(3000));
	}
	assert_true(fx_until(race_over, NULL, 60 * DUR_S));
	fx_drain(60 * DUR_S);
	for (unsigned i = 0; i < RACERS; i++) {
		struct racer *r = &racers[i];
		struct store_view v = fx_view(r->s.id);
		struct entry *e;
		unsigned parts;

		fx_lock();
		e = fx_entry(r->s.id);
		parts = e->sent[0] + e->sent[1];
		fx_unlock();
		assert_true(r->one.result == REASON_NONE || r->one.result == REASON_TOO_LATE);
		assert_int_equal(r->many.cancelled, r->one.result == REASON_NONE);
		if (r->one.result == REASON_NONE) {
			cancelled++;
			assert_int_equal(v.state, r->one.state);
			assert_int_equal(v.reason, i % 2 ? REASON_CONSENT : REASON_CANCELLED);
			if (parts && e->parts < 2)
				fail_msg("%lu is %s and was sent", v.id, state_word(v.state));
		} else {
			sent++;
			assert_int_equal(v.state, STATE_SENT);
			assert_true(parts > 0);
		}
		store_view_free(&v);
	}
	assert_true(cancelled > 10 && sent > 10);
	fx_end();
}

/* With the far side when it is asked for: said so, and taken back when it has come back. */
static bool has_gone_out(void *arg)
{
	return fx_entry(*(uint64_t *)arg)->submits > 0;
}

static bool has_come_back(void *arg)
{
	struct store_view v = fx_view(*(uint64_t *)arg);
	bool yes = v.attempt > 0;

	store_view_free(&v);
	return yes;
}

static void test_CN_33_cancel_in_flight(void **state)
{
	struct plugin_cancel v = { .state = STATE_CANCELLED };
	struct plugin_cancels one = { .v = &v, .n = 1, .done = racer_over };

	trial_start(ONE);
	fx.chances = (struct chances){ .latency = DUR_S, .temporary = 1000 };
	v.id = trial_sent((struct fx_msg){ .text = "1" });
	assert_true(fx_until(has_gone_out, &v.id, 10 * DUR_S));
	atomic_store(&racing, 1);
	plugin_cancel(trial_host(), &one);
	assert_true(fx_until(race_over, NULL, 30 * DUR_S));
	assert_int_equal(v.result, REASON_TOO_LATE);
	assert_true(v.in_flight);
	assert_true(fx_until(has_come_back, &v.id, 30 * DUR_S));
	while (v.result == REASON_TOO_LATE) { /* it may just be out again */
		atomic_store(&racing, 1);
		plugin_cancel(trial_host(), &one);
		assert_true(fx_until(race_over, NULL, 30 * DUR_S));
		usleep(10000);
	}
	assert_int_equal(v.result, REASON_NONE);
	assert_false(v.in_flight);
	assert_int_equal(fx_state(v.id), STATE_CANCELLED);
	atomic_store(&racing, 1);
	plugin_cancel(trial_host(), &one);
	assert_true(fx_until(race_over, NULL, 30 * DUR_S));
	assert_int_equal(v.result, REASON_TOO_LATE); /* it has ended: nothing is to be awaited */
	assert_false(v.in_flight);
	fx_end();
}

/* Many that wait for later, some of them elsewhere, unknown or another's. */
static void test_cancel_many(void **state)
{
	enum { N = 2500 };
	struct plugin_cancel *v = mem_alloc((N + 3) * sizeof *v);
	struct plugin_cancels many = { .v = v, .n = N + 3, .done = racer_over };
	wall_t later = clock_wall() + DUR_HOUR;

	trial_start(ONE);
	for (unsigned i = 0; i < N; i++) {
		v[i].id = trial_sent((struct fx_msg){ .send_at = later });
		v[i].state = STATE_CANCELLED;
		str_copy(v[i].words, sizeof v[i].words, STR("by purchase"));
	}
	v[N].id = 4711;
	v[N + 1].id = fx_send((struct fx_msg){ .send_at = later });
	v[N + 2].id = trial_sent((struct fx_msg){ 0 });
	fx_state_becomes(v[N + 2].id, STATE_SENT);
	atomic_store(&racing, 1);
	plugin_cancel(trial_host(), &many);
	assert_true(fx_until(race_over, NULL, 60 * DUR_S));
	assert_int_equal(many.cancelled, N);
	assert_int_equal(v[N].result, REASON_NOT_FOUND);
	assert_int_equal(v[N + 1].result, REASON_NOT_FOUND);
	assert_int_equal(v[N + 2].result, REASON_TOO_LATE);
	for (unsigned i = 0; i < N; i++) {
		struct store_view s = fx_view(v[i].id);

		assert_int_equal(s.state, STATE_CANCELLED);
		assert_string_equal(s.words, "by purchase");
		store_view_free(&s);
	}
	mem_free(&v);
	fx_end();
}

/* ---- subscribers' messages ---- */
static char heard[80];
static int mo(struct plugin_call *c, const struct message *m, const char *channel)
{
	snprintf(heard, sizeof heard, "%.*s>%.*s over %s: %.*s",
		STR_ARG(message_get(m, FIELD_FROM)), STR_ARG(message_get(m, FIELD_TO)), channel,
		STR_ARG(message_get(m, FIELD_TEXT)));
	return trial_row(c, heard, m->id);
}

static void mo_arrive(void *arg)
{
	subscriber_message(&fx_channel("a")->pub,
		fx_message((struct fx_msg){ .to = "4711", .text = "STOP" }), NULL, NULL);
}

static bool heard_it(void *arg)
{
	return trial_number("SELECT count(*) FROM trial_t") == *(int *)arg;
}

static void test_mo(void **state)
{
	int one = 1, two = 2;

	trial_start("channels = ( " CHANNEL(
		"a", "mo_to = \"plugin/trial\";") " );"
						  " routes = ( { via = [ \"a\" ]; } );" TRIAL);
	trial.mo = mo;
	trial.note = note_keep;
	gateway_call(fx.g, fx_channel("a")->pub.loop, mo_arrive, NULL);
	for (int i = 0; i < 2000 && !heard_it(&two); i++)
		usleep(2000);
	assert_string_equal(heard, "Test>4711 over a: STOP");
	/* the tap, and the message itself, routed to the plugin */
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t WHERE what = 'told'"), one);
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t"), two);
	fx_end();
}

/* ---- a stall ---- */
static void test_stall(void **state)
{
	mono_t start;

	fault_init("stall-send:2");
	trial_start(ONE);
	log_set_level(LOG_ERROR);
	start = clock_mono();
	trial_sent((struct fx_msg){ 0 });
	assert_true(clock_mono() - start < 2 * DUR_S);
	trial_sent((struct fx_msg){ 0 });
	assert_true(clock_mono() - start > 4 * DUR_S);
	fx_end();
	fault_init("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_send_once),
		cmocka_unit_test(test_suppress),
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_notes_last),
		cmocka_unit_test(test_CN_33_cancel_races),
		cmocka_unit_test(test_CN_33_cancel_in_flight),
		cmocka_unit_test(test_cancel_many),
		cmocka_unit_test(test_mo),
		cmocka_unit_test(test_stall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
