/* The gateway dies at any moment while a plugin works: its rows and its messages are there together
 * or not at all, each message once however often it was asked for, each told of once; what was
 * being taken back is cancelled or sent. Each run is a child process that ends by _exit().
 */
#include "tests/plugin_fixture.h"

#include <sys/wait.h>

enum { RUNS = 6, KEYS = 4000 };
#define CONF                                                                                  \
	"channels = ( { name = \"a\"; type = \"probe\"; window = 10; retry_first = \"10ms\";" \
	" retry_most = \"20ms\"; } ); routes = ( { via = [ \"a\" ]; } );" TRIAL

struct doing {
	struct plugin_call c; /* first */
	unsigned key;
	uint64_t id;
	bool fails;
	struct plugin_cancel one;
	struct plugin_cancels many;
};
static atomic_uint out;

/* A message under its key, and a row that says so; nothing where both are there already. */
static int doing_run(struct plugin_call *c)
{
	struct doing *d = (struct doing *)c;
	struct outcome why;
	char key[20];

	snprintf(key, sizeof key, "k%u", d->key);
	d->id = plugin_send(c,
		fx_message((struct fx_msg){ .client_id = key,
			.wants = WANT_DELIVERED | WANT_FAILED,
			.text = d->key % 3 ? "1" : "2" }),
		&why);
	if (!d->id || (why.reason == REASON_NONE && trial_row(c, "kept", d->id) < 0))
		return -1;
	return d->fails ? -1 : 0;
}

static void taken_back(struct plugin_cancels *m)
{
	struct doing *d = CONTAINER(m, struct doing, many);

	mem_free(&d);
	atomic_fetch_sub(&out, 1);
}

static void doing_done(struct plugin_call *c)
{
	struct doing *d = (struct doing *)c;

	if (plugin_failed(c) || d->key % 5) {
		mem_free(&d);
		atomic_fetch_sub(&out, 1);
		return;
	}
	d->one.id = d->id;
	d->one.state = STATE_CANCELLED;
	d->many = (struct plugin_cancels){ .v = &d->one, .n = 1, .done = taken_back };
	plugin_cancel(c->host, &d->many);
}

static int note_told(struct plugin_call *c, const struct note *n)
{
	return n->kind == NOTE_CORRECTION ? 0 : trial_row(c, "told", n->msg);
}

static _Noreturn void live_and_die(unsigned after_ms)
{
	mono_t end;

	trial.note = note_told;
	fx.chances = (struct chances){ .latency = 2 * DUR_MS, .temporary = 50, .receipts = true };
	fx_start(CONF);
	end = clock_mono() + (dur_t)after_ms * DUR_MS;
	for (unsigned i = fx_random(KEYS); clock_mono() < end; i++) {
		struct doing *d = mem_new(struct doing);

		d->key = i % KEYS; /* again and again, over all lives */
		d->fails = fx_chance(100);
		d->c.bulk = fx_chance(300);
		d->c.run = doing_run;
		d->c.done = doing_done;
		atomic_fetch_add(&out, 1);
		plugin_call(trial_host(), &d->c);
		while (atomic_load(&out) > 300 && clock_mono() < end)
			usleep(500);
	}
	_exit(9);
}

static bool ended(void *ctx, const struct store_view *v)
{
	unsigned *n = ctx;
	struct entry *e = map_get_u64(&fx.entries, v->id);

	if (!state_is_final(v->state) && v->state != STATE_SENT)
		fail_msg("message %lu is left %s", v->id, state_word(v->state));
	if (v->state == STATE_CANCELLED && e && e->sent[0])
		fail_msg("message %lu is cancelled and was sent", v->id);
	n[v->state == STATE_CANCELLED]++;
	return true;
}

static bool all_told(void *arg)
{
	return store_notes_waiting(gateway_store(fx.g), trial_host()->submitter) == 0;
}

static void test_deaths(void **state)
{
	struct store_filter all = { .state = -1, .media = -1, .most = 1000000 };
	unsigned n[2] = { 0 };
	struct err e;
	int found;

	memset(&trial, 0, sizeof trial);
	fx_prepare();
	for (unsigned i = 0; i < RUNS; i++) {
		pid_t child;
		int status;

		fflush(NULL);
		child = fork();
		assert_true(child >= 0);
		if (child == 0)
			live_and_die(40 + fx_random(400));
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 9);
	}
	trial.note = note_told;
	fx.chances.receipts = true;
	fx_start(CONF);
	if (!fx_until(drained, NULL, 60 * DUR_S) || !fx_until(all_told, NULL, 30 * DUR_S))
		fail_msg("%lu still wait", fx_queued());
	found = store_search(gateway_store(fx.g), &all, ended, n, &e);
	assert_true(found > 100 && n[0] > 50 && n[1] > 0);
	/* rows and messages are pairs, and a key is one message */
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t WHERE what = 'kept'"), found);
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t JOIN msg ON msg.id = msg"
				      " WHERE what = 'kept'"),
		found);
	assert_int_equal(trial_number("SELECT count(DISTINCT client_id) FROM msg"), found);
	assert_int_equal(trial_number("SELECT count(*) FROM (SELECT msg FROM trial_t WHERE what ="
				      " 'told' GROUP BY msg HAVING count(*) > 1)"),
		0);
	assert_int_equal(trial_number("SELECT count(*) FROM st JOIN msg ON msg.id = st.id WHERE"
				      " state IN (3, 8) AND NOT EXISTS (SELECT 1 FROM trial_t WHERE"
				      " what = 'told' AND trial_t.msg = st.id)"),
		0);
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deaths),
	};

	return cmocka_run_group_tests_name("host_crash", tests, NULL, NULL);
}
