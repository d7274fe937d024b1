/* The gateway dies at any moment, several times over: what was accepted is there, and what is sent
 * again is at most what was in flight, and says so. Each run is a child process that ends by
 * _exit(); what it answered and sent comes over a pipe, as the outside world would know it.
 */
#include "tests/flow_fixture.h"

#include <fcntl.h>
#include <sys/wait.h>

enum { WINDOW = 10, CONNECTIONS = 2, RUNS = 6, EACH = 700 };
#define CONF(type)                                                                        \
	"channels = ( { name = \"a\"; type = \"" type "\"; window = 10; connections = 2;" \
	" retry_first = \"10ms\"; retry_most = \"20ms\"; } ); routes = ( { via = [ \"a\" ]; } );"

/* What the world has seen: accepted ids, and the parts that it took. */
struct seen {
	char what; /* 'a' accepted, 't' taken, 'n' told */
	unsigned part;
	uint64_t id;
};
static int world;

static void say(char what, uint64_t id, unsigned part)
{
	struct seen s = { what, part, id };

	if (write(world, &s, sizeof s) != (ssize_t)sizeof s)
		fx_die("pipe: %m");
}

static void say_taken(uint64_t id, unsigned part)
{
	say('t', id, part);
}

/* Only the child: whatever was answered so far is said, then the end. */
static void live_and_die(const char *conf, unsigned after_ms)
{
	static uint64_t id[EACH];
	unsigned said = 0;
	mono_t end;

	fx.taken = say_taken;
	fx.chances = (struct chances){ .latency = 2 * DUR_MS, .temporary = 50 };
	fx_start(conf);
	end = clock_mono() + (dur_t)after_ms * DUR_MS;
	for (unsigned i = 0; clock_mono() < end;) {
		if (i < EACH)
			fx_post((struct fx_msg){ .priority = (enum priority)fx_random(3),
					.text = fx_chance(300) ? "3" : "1" },
				&id[i]);
		i += i < EACH;
		if (fx_chance(20))
			usleep(2000);
		fx_lock();
		while (said < i && id[said])
			say('a', id[said++], 0);
		fx_unlock();
	}
	_exit(9);
}

struct toll {
	struct map accepted, taken[FX_PARTS];
	unsigned n_accepted, repeats;
};

static void one_run(struct toll *t, const char *conf, unsigned after_ms)
{
	int p[2], status;
	struct seen s;
	pid_t child;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(p[0]);
		world = p[1];
		live_and_die(conf, after_ms);
	}
	close(p[1]);
	while (read(p[0], &s, sizeof s) == (ssize_t)sizeof s) {
		if (s.what == 'a' && !map_put_u64(&t->accepted, s.id, t))
			t->n_accepted++;
		if (s.what == 't' && map_put_u64(&t->taken[s.part], s.id, t))
			t->repeats++;
	}
	close(p[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

static bool says_so(const struct store_view *v)
{
	for (unsigned i = 0; i < v->history_n; i++)
		if (strcmp(v->history[i].what, "may_repeat") == 0 ||
			strcmp(v->history[i].what, "repeated") == 0)
			return true;
	return false;
}

static void check_one(struct toll *t, uint64_t id)
{
	struct store_view v = fx_view(id);
	struct entry *e = map_get_u64(&fx.entries, id);

	if (v.state != STATE_SENT)
		fail_msg("message %lu is left %s", id, state_word(v.state));
	for (unsigned i = 0; i < v.parts; i++) {
		bool before = map_get_u64(&t->taken[i], id) != NULL;
		unsigned now = e ? e->sent[i] : 0;

		if (!before && now == 0)
			fail_msg("part %u of message %lu was never sent", i, id);
		if (now > 1)
			fail_msg("part %u of message %lu was sent %u times", i, id, now);
		if (before && now) {
			t->repeats++;
			if (!says_so(&v))
				fail_msg("message %lu was repeated and does not say so", id);
		}
	}
	store_view_free(&v);
}

/* Looked at afterwards: a search has little time. */
struct known {
	uint64_t *id;
	unsigned n;
};

static bool note_known(void *ctx, const struct store_view *v)
{
	struct known *k = ctx;

	k->id = mem_grow(k->id, (k->n + 1) * sizeof *k->id);
	k->id[k->n++] = v->id;
	return true;
}

static void test_deaths(void **state)
{
	struct toll t = { 0 };
	struct store_filter all = { .state = -1, .media = -1, .most = 1000000 };
	struct known known = { 0 };
	struct err e = { 0 };

	fx_prepare();
	for (unsigned i = 0; i < RUNS; i++)
		one_run(&t, CONF("probe"), 20 + fx_random(400));
	fx_start(CONF("probe"));
	fx_drain(60 * DUR_S);
	/* none that was acknowledged is lost; more may be here than could be said */
	assert_true(t.n_accepted > 0);
	if (store_search(gateway_store(fx.g), &all, note_known, &known, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(known.n >= t.n_accepted);
	for (unsigned i = 0; i < known.n; i++)
		check_one(&t, known.id[i]);
	mem_free(&known.id);
	assert_in_range(t.repeats, 0, RUNS * WINDOW * CONNECTIONS);
	fx_no_credit_is_out("a");
	map_free(&t.accepted);
	for (unsigned i = 0; i < FX_PARTS; i++)
		map_free(&t.taken[i]);
	fx_end();
}

/* With "hold" nothing is ever repeated: what was in flight waits for the operator. */
static bool count_held(void *ctx, const struct store_view *v)
{
	unsigned *n = ctx;

	if (v->state == STATE_QUEUED) {
		assert_true(v->due > INT64_MAX / 4);
		assert_int_equal(v->reason, REASON_CRASH);
		n[0]++;
		n[1] = 1;
	} else {
		assert_int_equal(v->state, STATE_SENT);
	}
	return true;
}

static void test_deaths_holding(void **state)
{
	struct toll t = { 0 };
	struct store_filter all = { .state = -1, .media = -1, .most = 1000000 };
	unsigned held[2] = { 0 };
	struct entry *x;
	struct err e;

	fx_prepare();
	for (unsigned i = 0; i < 3; i++)
		one_run(&t, CONF("holding"), 30 + fx_random(200));
	fx_start(CONF("holding"));
	for (uint64_t left = 0, was = 1; left != was; was = left, left = fx_queued())
		usleep(1500000); /* what is held stays */
	assert_int_equal(t.repeats, 0);
	for (size_t i = 0; (x = map_next(&fx.entries, &i)) != NULL;)
		for (unsigned k = 0; k < FX_PARTS; k++) {
			assert_true(x->sent[k] <= 1);
			assert_false(x->sent[k] && map_get_u64(&t.taken[k], x->id));
		}
	assert_true(store_search(gateway_store(fx.g), &all, count_held, held, &e) > 0);
	assert_in_range(held[0], 0, 3 * WINDOW * CONNECTIONS);
	map_free(&t.accepted);
	for (unsigned i = 0; i < FX_PARTS; i++)
		map_free(&t.taken[i]);
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_deaths_holding),
	};
	const char *only = getenv("ONLY");

	if (only)
		cmocka_set_test_filter(only);
	return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
