/* What a plugin says of others' messages, through a whole gateway: policy when they come and when
 * they leave, rehearsals, gates. */
#include "gateway/flow/host_fixture.h"

/* ---- policy ---- */
static void policy_start(void)
{
	memset(&trial, 0, sizeof trial);
	memset(&rule, 0, sizeof rule);
	fx_prepare();
	fx.aconf[0].policy = "marketing";
	trial.policy = policy;
	fx_start(ONE);
}

static void test_policy(void **state)
{
	struct store_view v;
	uint64_t id;

	policy_start();
	id = fx_send((struct fx_msg){ .wants = WANT_DELIVERED });
	fx_state_becomes(id, STATE_SENT);
	assert_string_equal(rule.account, "door/one");
	assert_int_equal(rule.asked, 1);
	assert_int_equal(rule.id, id);
	fx_send((struct fx_msg){ .account = 1 });
	assert_int_equal(rule.asked, 1); /* the other account is under none */

	rule.verdict = POLICY_SUPPRESS;
	id = fx_send((struct fx_msg){ .wants = WANT_FAILED });
	v = fx_view(id);
	assert_int_equal(v.state, STATE_SUPPRESSED);
	assert_int_equal(v.reason, REASON_CONSENT);
	assert_string_equal(v.words, "row Advertisement");
	store_view_free(&v);
	fx_drain(10 * DUR_S);
	assert_int_equal(fx_entry(id)->finals, 1);
	assert_int_equal(fx_entry(id)->last, STATE_SUPPRESSED);
	assert_int_equal(fx_entry(id)->submits, 0);

	rule.verdict = POLICY_HOLD;
	rule.until = clock_wall() + DUR_HOUR;
	id = fx_send((struct fx_msg){ 0 });
	v = fx_view(id);
	assert_int_equal(v.state, STATE_QUEUED);
	assert_int_equal(v.reason, REASON_QUIET_HOURS);
	assert_int_equal(v.due, rule.until);
	store_view_free(&v);
	clock_shift(DUR_HOUR + DUR_S);
	fx_state_becomes(id, STATE_SENT);

	rule.until = clock_wall() + 2 * DUR_HOUR;
	id = fx_send((struct fx_msg){ .expires = clock_wall() + DUR_HOUR }); /* QH-5 */
	assert_int_equal(fx_state(id), STATE_EXPIRED);
	assert_int_equal(fx_send((struct fx_msg){ .media = MEDIA_EMAIL }), 0);
	assert_int_equal(fx.reason, REASON_STORE);
	fx_end();
}

/* Consent is withdrawn while another's message waits: it does not leave, and its submitter hears.
 */
static void test_CO_1_others_are_withdrawn(void **state)
{
	struct plugin_cancel v = { .state = STATE_SUPPRESSED, .reason = REASON_CONSENT };
	struct plugin_cancels one = { .v = &v, .n = 1, .done = racer_over };

	policy_start();
	rule.verdict = POLICY_HOLD;
	rule.until = clock_wall() + DUR_HOUR;
	v.id = fx_send((struct fx_msg){ .wants = WANT_FAILED });
	atomic_store(&racing, 1);
	plugin_cancel(trial_host(), &one);
	assert_true(fx_until(race_over, NULL, 30 * DUR_S));
	assert_int_equal(v.result, REASON_NONE);
	assert_int_equal(fx_state(v.id), STATE_SUPPRESSED);
	clock_shift(DUR_HOUR + DUR_S);
	fx_drain(10 * DUR_S);
	assert_int_equal(fx_entry(v.id)->last, STATE_SUPPRESSED);
	assert_int_equal(fx_entry(v.id)->submits, 0);
	fx_end();
}

/* A repeat is known, and leaves no trace in what the policy counts. */
static void test_policy_repeat(void **state)
{
	struct fx_msg m = { .client_id = "x1" }, other = { .client_id = "x1", .text = "other" };
	uint64_t a;

	policy_start();
	rule.verdict = POLICY_HOLD;
	rule.until = clock_wall() + DUR_HOUR;
	rule.open_until = clock_wall() + 2 * DUR_HOUR;
	a = fx_send(m);
	rule.until += DUR_MIN;
	rule.open_until += DUR_MIN;
	assert_int_equal(fx_send(m), a);
	assert_int_equal(fx_send(other), 0);
	assert_int_equal(fx.reason, REASON_DUPLICATE);
	assert_int_equal(rule.asked, 3);
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t"), 1);
	fx_end();
}

struct attempt {
	struct rehearsal d; /* first */
	struct fx_msg f;
	_Atomic bool over;
};

static void attempt_over(struct rehearsal *d)
{
	atomic_store(&((struct attempt *)d)->over, true);
}

static void attempt_run(void *arg)
{
	struct attempt *t = arg;

	t->d.loop = fx.door->loop;
	t->d.done = attempt_over;
	message_rehearse(fx.account[t->f.account], fx_message(t->f), &t->d);
}

static bool attempt_is_over(void *arg)
{
	return atomic_load(&((struct attempt *)arg)->over);
}

static struct rehearsal dry(struct fx_msg f)
{
	struct attempt t = { .f = f };

	loop_call(fx.door->loop, attempt_run, &t);
	assert_true(fx_until(attempt_is_over, &t, 10 * DUR_S));
	return t.d;
}

/* What would happen, and nothing of it does. */
static void test_policy_dry_run(void **state)
{
	struct rehearsal d;

	policy_start();
	d = dry((struct fx_msg){ 0 });
	assert_int_equal(d.answer.reason, REASON_NONE);
	assert_int_equal(d.state, STATE_QUEUED);
	assert_int_equal(d.reason, REASON_NONE);
	assert_int_equal(d.due, 0);
	assert_string_equal(d.trial.channel, "a");
	assert_int_equal(rule.asked, 1);
	assert_string_equal(rule.account, "door/one");
	dry((struct fx_msg){ .account = 1 }); /* under no policy */
	assert_int_equal(rule.asked, 1);

	rule.verdict = POLICY_HOLD;
	rule.until = clock_wall() + DUR_HOUR;
	d = dry((struct fx_msg){ 0 });
	assert_int_equal(d.state, STATE_QUEUED);
	assert_int_equal(d.due, rule.until);
	assert_int_equal(d.reason, REASON_QUIET_HOURS);
	d = dry((struct fx_msg){ .expires = clock_wall() + DUR_MIN });
	assert_int_equal(d.state, STATE_EXPIRED);
	rule.verdict = POLICY_SUPPRESS;
	d = dry((struct fx_msg){ 0 });
	assert_int_equal(d.state, STATE_SUPPRESSED);
	assert_int_equal(d.reason, REASON_CONSENT);
	assert_string_equal(d.words, "row Advertisement");
	d = dry((struct fx_msg){ .media = MEDIA_EMAIL }); /* it cannot be asked */
	assert_int_equal(d.answer.reason, REASON_STORE);
	assert_int_equal(dry((struct fx_msg){ .channel = "none" }).answer.reason, REASON_NO_ROUTE);
	assert_int_equal(rule.asked, 5);
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t"), 0);
	assert_int_equal(trial_number("SELECT count(*) FROM msg"), 0);
	fx_end();
}

static void test_policy_storm(void **state)
{
	enum { N = 3000 };

	policy_start();
	fx_small_memory("a", 60);
	for (unsigned i = 0; i < N; i++)
		fx_post((struct fx_msg){ .account = fx_random(2),
				.priority = (enum priority)fx_random(3),
				.wants = WANT_DELIVERED },
			NULL);
	fx_drain(60 * DUR_S);
	fx_check_all(N);
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t"), rule.asked);
	fx_end();
}

static void faulty(const char *text, const char *fault)
{
	struct conf_faults f = { 0 };
	struct buf b = BUF_INIT;
	struct settings *s = settings_load_text(str_of(text), "", &f);

	assert_null(s);
	conf_faults_text(&f, &b);
	if (str_find(buf_view(&b), str_of(fault)) < 0)
		fail_msg("no \"%s\" in: %s", fault, buf_cstr(&b));
	buf_free(&b);
	conf_faults_free(&f);
}

static void test_policy_needs_plugin(void **state)
{
	faulty("http = { tokens = (\n{ name = \"crm\"; token = \"t\";\n policy = \"marketing\"; } "
	       "); };",
		"text:3: \"policy\" in http.tokens[0] \"crm\"");
	faulty("listeners = ( { name = \"e\"; type = \"smpp\"; listen = \"127.0.0.1:1\";\n "
	       "accounts = (\n"
	       "{ system_id = \"crm\"; password = \"x\"; policy = \"marketing\"; } ); } );",
		"text:3: \"policy\"");
	faulty("plugins = ( { name = \"none-such\"; } );", "none-such");
	faulty("plugins = ( { name = \"trial\"; }, { name = \"trial\"; } );", "is there already");
	faulty("plugins = ( { name = \"trial\"; word = \"broken\"; } );", "trial.txt:1: offer x");
}

/* ---- the gate at dispatch ---- */
static struct {
	wall_t next;
	unsigned asked;
	bool wrong;
} gated;

static wall_t gate(const void *loaded, struct str more, wall_t now)
{
	gated.asked++;
	gated.wrong |= !loaded || !str_is(more, "riga");
	return gated.next;
}

static void test_gate(void **state)
{
	struct trial_send s;
	struct store_view v;
	wall_t now;

	trial_start(ONE);
	memset(&gated, 0, sizeof gated);
	trial.gate = gate;
	gateway_channel_verb(fx.g, "a", GATEWAY_HOLD, NULL);
	now = clock_wall();
	s = trial_do((struct trial_send){ .open_until = now + DUR_MIN });
	clock_shift(2 * DUR_MIN);
	gated.next = now + DUR_HOUR;
	gateway_channel_verb(fx.g, "a", GATEWAY_RESUME, NULL);
	for (int i = 0; i < 2000; i++) {
		v = fx_view(s.id);
		if (v.due == gated.next)
			break;
		store_view_free(&v);
		usleep(2000);
	}
	assert_int_equal(v.due, gated.next);
	assert_int_equal(v.state, STATE_QUEUED);
	assert_int_equal(v.reason, REASON_QUIET_HOURS);
	assert_int_equal(v.attempt, 0);
	assert_string_equal(v.history[v.history_n - 1].what, "held");
	store_view_free(&v);
	gated.next = 0; /* open by then */
	clock_shift(DUR_HOUR);
	fx_state_becomes(s.id, STATE_SENT);
	v = fx_view(s.id);
	assert_int_equal(v.attempt, 1);
	store_view_free(&v);
	assert_false(gated.wrong);

	gated.next = clock_wall() + 100 * DUR_HOUR; /* beyond its validity */
	s = trial_do((struct trial_send){ .open_until = 1 });
	fx_state_becomes(s.id, STATE_EXPIRED);
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_CO_1_others_are_withdrawn),
		cmocka_unit_test(test_policy_repeat),
		cmocka_unit_test(test_policy_dry_run),
		cmocka_unit_test(test_policy_storm),
		cmocka_unit_test(test_policy_needs_plugin),
		cmocka_unit_test(test_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
