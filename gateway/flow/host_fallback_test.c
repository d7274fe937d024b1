/* Wholes of several attempts that a plugin sends, and takes back at any moment. */
#include "gateway/flow/host_fixture.h"

static struct racer racers[RACERS];

static bool refuse_a(struct channel *c, struct delivery *d, unsigned part, struct outcome *o_r)
{
	if (strcmp(c->name, "a") != 0)
		return false;
	*o_r = outcome_of(REASON_REFUSED);
	return true;
}

static void test_fallback(void **state)
{
	struct message *step;
	struct trial_send s;
	uint64_t id;

	trial_start(TWO);
	rule.asked = 0;
	rule.verdict = POLICY_GO;
	trial.policy = policy;
	trial.note = note_keep;
	fx.decide = refuse_a;
	fx.chances.receipts = true;
	step = fx_message((struct fx_msg){ .media = MEDIA_VIBER });
	s = trial_do((struct trial_send){ .msg.wants = WANT_DELIVERED | WANT_FAILED,
		.steps = { { step, 0 } },
		.steps_n = 1 });
	message_unref(&step);
	assert_true(s.id != 0);
	for (int i = 0; i < 5000 && trial_number("SELECT count(*) FROM trial_t WHERE what = "
						 "'told'") == 0;
		i++)
		usleep(2000);
	id = (uint64_t)trial_number("SELECT msg FROM trial_t WHERE what = 'told'");
	assert_int_equal(id, s.id);
	/* each attempt was under the policy of who submitted the whole */
	assert_int_equal(rule.asked, 2);
	assert_string_equal(rule.account, "plugin/trial");
	fx_end();
}

/* ---- erasing ---- */
struct eraser {
	struct plugin_call c; /* first */
	uint64_t id;
	int got;
};

static int erase_run(struct plugin_call *c)
{
	struct eraser *e = (struct eraser *)c;

	e->got = plugin_erase(c, e->id);
	return e->got < 0 ? -1 : 0;
}

static int erased(uint64_t id)
{
	struct eraser s = { .c.run = erase_run, .id = id };
	struct err e = { 0 };

	if (plugin_call_wait(trial_host(), &s.c, &e) != 0)
		fail_msg("%s", e.text);
	return s.got;
}

#define PERSONAL                                                                        \
	"SELECT (SELECT count(*) FROM msg WHERE dst <> '' OR instr(data, 'Margareta'))" \
	" + (SELECT count(*) FROM st WHERE words IS NOT NULL)"

/* A whole goes with its attempts, and not before the last of them has ended. */
static void test_a_whole_is_erased(void **state)
{
	struct message *step;
	struct trial_send s;
	int got = 0;

	trial_start(TWO);
	rule.verdict = POLICY_GO;
	trial.policy = policy;
	trial.note = note_keep;
	fx.decide = refuse_a;
	fx.chances.receipts = true;
	step = fx_message((struct fx_msg){ .media = MEDIA_VIBER, .text = "Margareta, once more" });
	s = trial_do((struct trial_send){
		.msg = { .wants = WANT_DELIVERED | WANT_FAILED, .text = "Margareta!" },
		.steps = { { step, 0 } },
		.steps_n = 1 });
	message_unref(&step);
	for (int i = 0; i < 5000 && !got; i++) {
		got = erased(s.id);
		if (!got) /* it still has what is to be sent */
			usleep(2000);
	}
	assert_int_equal(got, 1);
	fx_state_becomes(s.id, STATE_DELIVERED);
	assert_int_equal(trial_number("SELECT count(*) FROM msg WHERE media = 3"), 1);
	assert_int_equal(trial_number(PERSONAL), 0);
	assert_int_equal(erased(s.id), 1);
	fx_end();
}

/* A whole that is taken back: what waits goes, nothing further begins. */
static bool temporary_a(struct channel *c, struct delivery *d, unsigned part, struct outcome *o_r)
{
	if (strcmp(c->name, "a") != 0)
		return false;
	*o_r = outcome_of(REASON_TEMPORARY);
	return true;
}

static enum reason cancelled(uint64_t id)
{
	struct plugin_cancel one = {
		.id = id, .state = STATE_CANCELLED, .reason = REASON_DISARMED
	};
	struct plugin_cancels m = { .v = &one, .n = 1, .done = racer_over };

	atomic_store(&racing, 1);
	plugin_cancel(trial_host(), &m);
	assert_true(fx_until(race_over, NULL, 20 * DUR_S));
	return one.result;
}

static struct trial_send whole(dur_t after)
{
	struct message *step = fx_message((struct fx_msg){ .media = MEDIA_VIBER });
	struct trial_send s = trial_do((struct trial_send){
		.msg.wants = WANT_DELIVERED | WANT_FAILED,
		.steps = { { step, after } },
		.steps_n = 1,
	});

	message_unref(&step);
	return s;
}

static void test_fallback_cancelled(void **state)
{
	struct trial_send s;
	struct store_view v;

	trial_start(TWO);
	rule.verdict = POLICY_GO;
	trial.policy = policy;
	trial.note = note_keep;
	fx.decide = temporary_a;
	s = whole(DUR_HOUR); /* its first attempt comes back again and again */
	fx_state_becomes(s.id, STATE_SENT);
	assert_int_equal(cancelled(s.id), REASON_NONE);
	fx_state_becomes(s.id, STATE_CANCELLED);
	v = fx_view(s.id);
	assert_int_equal(v.reason, REASON_DISARMED);
	store_view_free(&v);

	/* by its submitter, or the operator */
	s = whole(DUR_HOUR);
	fx_state_becomes(s.id, STATE_SENT);
	assert_int_equal(gateway_cancel(fx.g, s.id, 4711), REASON_NOT_FOUND);
	assert_int_equal(gateway_cancel(fx.g, s.id, 0), REASON_NONE);
	fx_state_becomes(s.id, STATE_CANCELLED);
	assert_int_equal(gateway_cancel(fx.g, s.id, 0), REASON_TOO_LATE);

	/* The first has left, and is never heard of; the second must not begin. */
	fx_play((struct chances){ .receipts = true, .mute = 1000 });
	s = whole(4 * DUR_S);
	fx_state_becomes(s.id, STATE_SENT);
	for (int i = 0; i < 2000 && trial_number("SELECT count(*) FROM st WHERE state = 2 AND "
						 "channel <> (SELECT channel FROM st WHERE "
						 "far_id <> '' ORDER BY id LIMIT 1)") == 0;
		i++)
		usleep(2000);
	/* what is refused changes nothing; the plugin's also stops what is to come */
	assert_int_equal(gateway_cancel(fx.g, s.id, 0), REASON_TOO_LATE);
	assert_int_equal(trial_number("SELECT count(*) FROM event WHERE what = 'stopped'"), 2);
	assert_int_equal(cancelled(s.id), REASON_TOO_LATE);
	clock_shift(10 * DUR_S);
	usleep(3000000); /* a sweep has come by */
	assert_int_equal(trial_number("SELECT count(*) FROM msg WHERE media = 3"), 0);
	fx_end();
}

/* Wholes that are taken back at any moment: none is sent by an attempt that began afterwards, and
 * what is said to be cancelled was not sent. */
static void test_fallback_races(void **state)
{
	enum { N = 150 };
	unsigned taken = 0, left = 0;
	struct message *step = fx_message((struct fx_msg){ .media = MEDIA_VIBER });

	trial_start(TWO);
	rule.verdict = POLICY_GO;
	trial.policy = policy;
	fx.chances = (struct chances){ .temporary = 300, .refuse = 500, .latency = 2 * DUR_MS };
	memset(racers, 0, sizeof racers);
	atomic_store(&racing, N);
	for (unsigned i = 0; i < N; i++) {
		struct racer *r = &racers[i];

		r->s.msg.wants = WANT_DELIVERED | WANT_FAILED;
		r->s.steps[0] = r->s.steps[1] = r->s.steps[2] = (struct plugin_step){ step, 0 };
		r->s.steps_n = 3;
		r->s = trial_do(r->s);
		r->one.id = r->s.id;
		r->one.state = STATE_CANCELLED;
		r->many = (struct plugin_cancels){ .v = &r->one, .n = 1, .done = racer_over };
		usleep(fx_random(1000U << i % 8)); /* machines differ */
		plugin_cancel(trial_host(), &r->many);
	}
	assert_true(fx_until(race_over, NULL, 60 * DUR_S));
	fx_drain(60 * DUR_S);
	for (unsigned i = 0; i < N; i++) {
		char sql[200];
		int64_t sent;

		snprintf(sql, sizeof sql,
			"SELECT count(*) FROM msg JOIN st ON st.id = msg.id WHERE st.state = 2 AND"
			" client_id LIKE '%lu:%%'",
			racers[i].s.id);
		sent = trial_number(sql);
		taken += racers[i].one.result == REASON_NONE;
		left += racers[i].one.result == REASON_TOO_LATE;
		if (racers[i].one.result == REASON_NONE && sent)
			fail_msg("%lu was taken back and sent", racers[i].s.id);
	}
	assert_int_equal(taken + left, N);
	assert_true(taken > 5 && left > 5);
	message_unref(&step);
	fx_end();
}

/* Whether any of wholes and attempts has become that. */
static void becomes(const char *sql, int64_t want)
{
	int64_t got = -1;

	for (int i = 0; i < 5000 && got != want; i++) {
		got = trial_number(sql);
		usleep(2000);
	}
	assert_int_equal(got, want);
}

/* Devices begin together, whatever becomes of each; what follows them has its time since. */
static void test_devices_begin_together(void **state)
{
	struct message *device = fx_message((struct fx_msg){ 0 });
	struct message *step = fx_message((struct fx_msg){ .media = MEDIA_VIBER });
	struct trial_send s;

	trial_start(TWO);
	rule.verdict = POLICY_GO;
	trial.policy = policy;
	trial.note = note_keep;
	fx.chances = (struct chances){ .receipts = true, .mute = 1000 };
	s = trial_do((struct trial_send){ .msg.wants = WANT_DELIVERED | WANT_FAILED,
		.steps = { { device, PLUGIN_STEP_AT_ONCE }, { device, PLUGIN_STEP_AT_ONCE },
			{ step, DUR_HOUR } },
		.steps_n = 3 });
	becomes("SELECT count(*) FROM msg JOIN st ON st.id = msg.id WHERE media = 0 AND state = 2 "
		"AND client_id LIKE '%:%'",
		3);
	assert_int_equal(trial_number("SELECT count(*) FROM msg WHERE media = 3"), 0);
	fx_play((struct chances){ .receipts = true });
	clock_shift(2 * DUR_HOUR);
	fx_state_becomes(s.id, STATE_DELIVERED); /* by the other medium */
	assert_int_equal(trial_number("SELECT count(*) FROM msg WHERE media = 3"), 1);
	message_unref(&device);
	message_unref(&step);
	clock_shift(-2 * DUR_HOUR);
	fx_end();
}

static int not_by_viber(struct plugin_call *c, const struct message *m, const char *account,
	struct plugin_policy *p)
{
	int rc = policy(c, m, account, p);

	if (m->media == MEDIA_VIBER)
		p->verdict = POLICY_SUPPRESS;
	return rc;
}

/* What the policy does not let begin costs no time. */
static void test_a_suppressed_attempt_is_passed_over(void **state)
{
	struct message *viber = fx_message((struct fx_msg){ .media = MEDIA_VIBER });
	struct message *sms = fx_message((struct fx_msg){ 0 });

	trial_start(TWO);
	rule.verdict = POLICY_GO;
	trial.policy = not_by_viber;
	trial.note = note_keep;
	fx.chances = (struct chances){ .receipts = true, .mute = 1000 };
	trial_do((struct trial_send){ .msg.wants = WANT_DELIVERED | WANT_FAILED,
		.steps = { { viber, DUR_HOUR }, { sms, DUR_HOUR } },
		.steps_n = 2 });
	becomes("SELECT count(*) FROM st WHERE state = 2", 2); /* the whole, and its first */
	clock_shift(90 * DUR_MIN);
	becomes("SELECT count(*) FROM msg JOIN st ON st.id = msg.id WHERE media = 0 AND state = 2 "
		"AND client_id LIKE '%:2'",
		1);
	message_unref(&viber);
	message_unref(&sms);
	clock_shift(-90 * DUR_MIN);
	fx_end();
}

static wall_t held_until;

static int viber_is_held(struct plugin_call *c, const struct message *m, const char *account,
	struct plugin_policy *p)
{
	int rc = policy(c, m, account, p);

	if (m->media == MEDIA_VIBER && clock_wall() < held_until) {
		p->verdict = POLICY_HOLD;
		p->until = held_until;
		p->reason = REASON_QUIET_HOURS;
	}
	return rc;
}

/* What waits for the morning has its time from then on: the next one does not leave beside it. */
static void test_time_counts_from_when_hours_let_go(void **state)
{
	static const char begun[] = "SELECT count(*) FROM msg WHERE client_id LIKE '%:2'";
	struct message *viber = fx_message((struct fx_msg){ .media = MEDIA_VIBER });
	struct message *sms = fx_message((struct fx_msg){ 0 });

	trial_start(TWO);
	held_until = clock_wall() + 10 * DUR_HOUR;
	rule.verdict = POLICY_GO;
	trial.policy = viber_is_held;
	trial.note = note_keep;
	fx.chances = (struct chances){ .receipts = true, .mute = 1000 };
	trial_do((struct trial_send){ .msg = { .wants = WANT_DELIVERED | WANT_FAILED },
		.steps = { { viber, DUR_HOUR }, { sms, DUR_HOUR } },
		.steps_n = 2 });
	becomes("SELECT count(*) FROM st WHERE state = 2", 2);
	clock_shift(2 * DUR_HOUR);
	becomes("SELECT count(*) FROM msg WHERE media = 3", 1);
	for (int i = 0; i < 2; i++) { /* while it is held, and when it has just left */
		clock_shift(i ? 5 * DUR_HOUR : 3 * DUR_HOUR);
		becomes("SELECT count(*) FROM msg JOIN st ON st.id = msg.id WHERE media = 3 AND "
			"state = 2",
			i);
		clock_shift(5 * DUR_S);
		usleep(150000); /* a sweep has come by */
		assert_int_equal(trial_number(begun), 0);
	}
	clock_shift(DUR_HOUR);
	becomes(begun, 1);
	message_unref(&viber);
	message_unref(&sms);
	clock_shift(-11 * DUR_HOUR - 10 * DUR_S);
	fx_end();
}

/* Its last attempt went where no receipts are: then `sent` is the last word on the whole, too. */
static void test_sent_is_the_last_word(void **state)
{
	struct trial_send s;
	struct store_view v;

	trial_start(TWO);
	rule.verdict = POLICY_GO;
	trial.policy = policy;
	trial.note = note_keep;
	fx.decide = refuse_a;
	s = whole(0);
	becomes("SELECT count(*) FROM trial_t WHERE what = 'told'", 1);
	v = fx_view(s.id);
	assert_int_equal(v.state, STATE_SENT);
	assert_false(v.awaits);
	store_view_free(&v);
	assert_int_equal(trial_number("SELECT count(*) FROM event WHERE what = 'fallback'"), 1);
	assert_int_equal(erased(s.id), 1); /* nothing more is to be waited for */
	assert_int_equal(trial_number(PERSONAL), 0);
	fx_end();
}

static uint64_t knocked(struct account *a, struct message *m)
{
	struct knock *k = mem_new(struct knock);
	uint64_t id = 0;

	k->letter.run = knock_run;
	k->a = a;
	k->m = m;
	k->id_r = &id;
	fx_lock();
	fx.asked++;
	fx_unlock();
	loop_post(fx.door->loop, &k->letter);
	fx_answers();
	return id;
}

static uint64_t attempt(uint64_t whole, unsigned k)
{
	struct message *m = fx_message((struct fx_msg){ .media = MEDIA_VIBER });
	struct draft d = { 0 };
	char id[48];

	snprintf(id, sizeof id, "%lu:%u", whole, k);
	draft_copy(&d, m, 0);
	message_unref(&m);
	draft_put(&d, FIELD_CLIENT_ID, str_of(id));
	draft_put(&d, FIELD_ON_BEHALF, STR("door/anybody"));
	m = draft_seal(&d);
	draft_free(&d);
	return knocked(&account_full_named(fx.g, STR("fallback/attempts"))->pub, m);
}

/* The store accepts an attempt and writes it down as one, under a policy or not: an end of the
 * process between the two would begin it again, once its client id is forgotten. And none that
 * was on its way when the whole was taken back. */
static void test_attempts_are_accepted_with_their_line(void **state)
{
	struct message *step = fx_message((struct fx_msg){ .media = MEDIA_VIBER });
	struct plugin_step steps[2] = { { step, DUR_HOUR }, { step, DUR_HOUR } };
	struct message *m = fx_message((struct fx_msg){ 0 });
	struct draft d = { 0 };
	struct store_view v;
	uint64_t id;

	trial_start(TWO);
	fx.decide = temporary_a;
	draft_copy(&d, m, 0);
	message_unref(&m);
	plugin_put_fallback(&d, steps, 2);
	id = knocked(fx.account[0], draft_seal(&d));
	draft_free(&d);
	fx_state_becomes(id, STATE_SENT);
	fx_state_becomes(attempt(id, 1), STATE_SENT);
	assert_int_equal(trial_number("SELECT count(*) FROM event WHERE what = 'fallback' AND "
				      "words LIKE 'attempt 2 by viber is %'"),
		1);
	assert_int_equal(gateway_cancel(fx.g, id, 0), REASON_TOO_LATE); /* of that one */
	v = fx_view(attempt(id, 2));
	assert_int_equal(v.state, STATE_SUPPRESSED);
	assert_int_equal(v.reason, REASON_DISARMED);
	store_view_free(&v);
	message_unref(&step);
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fallback),
		cmocka_unit_test(test_a_whole_is_erased),
		cmocka_unit_test(test_fallback_cancelled),
		cmocka_unit_test(test_fallback_races),
		cmocka_unit_test(test_devices_begin_together),
		cmocka_unit_test(test_a_suppressed_attempt_is_passed_over),
		cmocka_unit_test(test_time_counts_from_when_hours_let_go),
		cmocka_unit_test(test_sent_is_the_last_word),
		cmocka_unit_test(test_attempts_are_accepted_with_their_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
