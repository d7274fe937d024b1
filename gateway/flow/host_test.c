/* What the gateway offers plugins, through a whole gateway: messages sent within transactions, news
 * told exactly once, orders that race with dispatch, policy for others, gates, taps, fallbacks, and
 * configurations that change under load.
 */
#include "gateway/base/fault.h"
#include "tests/plugin_fixture.h"

#define CHANNEL(name, more)                                                             \
	"{ name = \"" name "\"; type = \"probe\"; window = 20; retry_first = \"10ms\";" \
	" retry_most = \"20ms\"; " more " }"
#define ONE "channels = ( " CHANNEL("a", "") " ); routes = ( { via = [ \"a\" ]; } );" TRIAL
#define TWO                                                                                      \
	"channels = ( " CHANNEL("a", "media = \"sms\";") ", " CHANNEL(                           \
		"b", "media = \"viber\";") " ); routes = ( { media = \"sms\"; via = [ \"a\" ]; " \
					   "}, { media = \"viber\"; via = [ \"b\" ]; } );" TRIAL

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

static int note_keep(struct plugin_call *c, const struct note *n)
{
	return trial_row(c, "told", n->msg);
}

static void test_notes_last(void **state)
{
	uint64_t id;

	trial_start(ONE);
	trial.note = note_never;
	id = trial_sent((struct fx_msg){ .wants = WANT_DELIVERED });
	fx_state_becomes(id, STATE_SENT);
	usleep(50000);
	fx_stop();
	trial.note = note_keep;
	fx_start(ONE);
	assert_true(fx_until(nothing_to_tell, NULL, 20 * DUR_S));
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t"), 1);
	fx_end();
}

/* ---- taking back ---- */
struct racer {
	struct trial_send s; /* first */
	struct plugin_cancel one;
	struct plugin_cancels many;
	bool out;
};
enum { RACERS = 1500 };
static struct racer racers[RACERS];
static atomic_uint racing;

static void racer_over(struct plugin_cancels *m)
{
	atomic_fetch_sub(&racing, 1);
}

static void racer_cancel(struct plugin_call *c)
{
	struct racer *r = (struct racer *)c;

	r->one.id = r->s.id;
	plugin_cancel(c->host, &r->many);
}

static bool race_over(void *arg)
{
	return atomic_load(&racing) == 0;
}

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

/* Many that wait for later, some of them elsewhere, unknown or another's. */
static void many_over(struct plugin_cancels *m)
{
	atomic_fetch_sub(&racing, 1);
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
	struct plugin_cancels one = { .v = &v, .n = 1, .done = many_over };

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

static void test_cancel_many(void **state)
{
	enum { N = 2500 };
	struct plugin_cancel *v = mem_alloc((N + 3) * sizeof *v);
	struct plugin_cancels many = { .v = v, .n = N + 3, .done = many_over };
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

/* ---- policy ---- */
static struct {
	enum policy_verdict verdict;
	wall_t until, open_until;
	char account[96];
	unsigned asked;
	uint64_t id;
} rule;

static int policy(struct plugin_call *c, const struct message *m, const char *account,
	struct plugin_policy *p)
{
	rule.asked++;
	rule.id = p->id;
	str_copy(rule.account, sizeof rule.account, str_of(account));
	if (trial_row(c, "asked", 0) < 0)
		return -1;
	p->verdict = rule.verdict;
	p->until = rule.until;
	p->open_until = rule.open_until;
	p->reason = rule.verdict == POLICY_HOLD ? REASON_QUIET_HOURS : REASON_CONSENT;
	str_copy(p->words, sizeof p->words, STR("row Advertisement"));
	return m->media == MEDIA_EMAIL ? -1 : 0;
}

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
	struct plugin_cancels one = { .v = &v, .n = 1, .done = many_over };

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

/* ---- a fallback ---- */
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
	struct plugin_cancels m = { .v = &one, .n = 1, .done = many_over };

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
	fx_state_becomes(s.id, STATE_UNDELIVERABLE);
	v = fx_view(s.id);
	assert_int_equal(v.reason, REASON_DISARMED);
	store_view_free(&v);

	/* The first has left, and is never heard of; the second must not begin. */
	fx_play((struct chances){ .receipts = true, .mute = 1000 });
	s = whole(4 * DUR_S);
	fx_state_becomes(s.id, STATE_SENT);
	for (int i = 0; i < 2000 && trial_number("SELECT count(*) FROM st WHERE state = 2 AND "
						 "channel <> (SELECT channel FROM st WHERE "
						 "far_id <> '' ORDER BY id LIMIT 1)") == 0;
		i++)
		usleep(2000);
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
		usleep(fx_random(12000));
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

/* ---- configurations ---- */
#define WORD(w)                                                                   \
	"channels = ( " CHANNEL("a", "") " ); routes = ( { via = [ \"a\" ]; } );" \
					 " plugins = ( { name = \"trial\"; word = \"" w "\"; } );"

/* Reads two things of the configuration at two times within one call. */
struct look {
	struct plugin_call c; /* first */
	char word[2][40];
	const void *conf;
};
static atomic_uint looks_out, looks_mixed;

static int look_run(struct plugin_call *c)
{
	const struct trial_loaded *l = c->conf;
	struct look *k = (struct look *)c;

	memcpy(k->word[0], l->word, sizeof l->word);
	usleep(200);
	l = c->conf;
	memcpy(k->word[1], l->word, sizeof l->word);
	return trial_row(c, l->word, 0);
}

static void look_done(struct plugin_call *c)
{
	struct look *k = (struct look *)c;

	if (plugin_failed(c) || strcmp(k->word[0], k->word[1]) != 0)
		atomic_fetch_add(&looks_mixed, 1);
	mem_free(&k);
	atomic_fetch_sub(&looks_out, 1);
}

static bool no_looks_out(void *arg)
{
	return atomic_load(&looks_out) == 0;
}

static void test_CF_4_reload_under_load(void **state)
{
	enum { N = 600 };
	unsigned entered;
	const struct trial_loaded *l;

	trial_start(WORD("one"));
	for (unsigned i = 0; i < N; i++) {
		struct look *k = mem_new(struct look);

		k->c.run = look_run;
		k->c.done = look_done;
		k->c.bulk = i % 2;
		atomic_fetch_add(&looks_out, 1);
		plugin_call(trial_host(), &k->c);
		if (i % 60 == 59)
			fx_reload(i % 120 == 59 ? WORD("two") : WORD("one"));
	}
	assert_true(fx_until(no_looks_out, NULL, 60 * DUR_S));
	assert_int_equal(looks_mixed, 0);
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t"), N);
	l = plugin_enter(trial_host(), &entered);
	assert_string_equal(l->word, "one");
	plugin_leave(trial_host(), entered);
	assert_int_equal(trial.adopts, 11);
	fx_end();
	assert_int_equal(trial.loads, trial.unloads);
}

static void write_file(const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/trial.txt", fx.dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void in_force(const char *word, const char *text)
{
	unsigned entered;
	const struct trial_loaded *l = plugin_enter(trial_host(), &entered);

	assert_string_equal(l->word, word);
	assert_string_equal(l->text, text);
	plugin_leave(trial_host(), entered);
}

static void test_CF_3_reload_refused_whole(void **state)
{
	struct buf changes = BUF_INIT;
	struct conf_faults f = { 0 };
	struct err e = { 0 };
	struct settings *s;
	char dir[200], path[220];

	memset(&trial, 0, sizeof trial);
	fx_prepare();
	snprintf(dir, sizeof dir, "%s/", fx.dir);
	fx.files = dir;
	write_file("good");
	fx_start(WORD("one"));
	in_force("one", "good");

	write_file("broken"); /* a file of the plugin's own */
	assert_null(settings_load_text(str_of(fx.conf), fx.files, &f));
	assert_int_equal(f.errors, 1);
	conf_faults_free(&f);
	in_force("one", "good");

	write_file("better"); /* what its tables do not allow */
	s = fx_settings(WORD("unfit"));
	assert_int_equal(gateway_reload(fx.g, s, false, &changes, &e), -1);
	assert_non_null(strstr(e.text, "say was = \"a\""));
	settings_free(&s);
	in_force("one", "good");

	s = fx_settings("channels = ( " CHANNEL("a", "") " ); routes = ( { via = [ \"a\" ]; } );");
	assert_int_equal(gateway_reload(fx.g, s, false, &changes, &e), -1);
	settings_free(&s);

	buf_reset(&changes); /* only said */
	s = fx_settings(WORD("two"));
	assert_int_equal(gateway_reload(fx.g, s, true, &changes, &e), 0);
	assert_non_null(strstr(buf_cstr(&changes), "changed trial text to better"));
	assert_non_null(strstr(buf_cstr(&changes), "changed plugins[0].word"));
	settings_free(&s);
	in_force("one", "good");
	assert_string_equal(trial.said, "one ");

	fx_reload(WORD("two"));
	in_force("two", "better");
	assert_string_equal(trial.said, "one two ");
	fx_stop();
	snprintf(path, sizeof path, "%s/trial.txt", fx.dir);
	unlink(path);
	fx_forget();
	buf_free(&changes);
	assert_int_equal(trial.loads, trial.unloads);
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
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_CO_1_others_are_withdrawn),
		cmocka_unit_test(test_policy_repeat),
		cmocka_unit_test(test_policy_dry_run),
		cmocka_unit_test(test_policy_storm),
		cmocka_unit_test(test_policy_needs_plugin),
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_mo),
		cmocka_unit_test(test_fallback),
		cmocka_unit_test(test_fallback_cancelled),
		cmocka_unit_test(test_fallback_races),
		cmocka_unit_test(test_CF_4_reload_under_load),
		cmocka_unit_test(test_CF_3_reload_refused_whole),
		cmocka_unit_test(test_stall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
