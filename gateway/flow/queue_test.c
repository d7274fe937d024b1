/* Queues through the real store: order, memory bounds, schedules, retries, parts, orders. Whatever
 * happens, each message has one end and is sent as often as it should be. */
#include "tests/flow_fixture.h"

#define ONE                                                                           \
	"channels = ( { name = \"a\"; type = \"probe\"; window = 20;"                 \
	" retry_first = \"10ms\"; retry_most = \"40ms\"; receipt_wait = \"1h\"; } );" \
	"routes = ( { via = [ \"a\" ]; } );"

static enum priority any_priority(void)
{
	return (enum priority)fx_random(PRIORITY_COUNT);
}

/* ---- order ---- */
static int by_id(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;

	return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static void check_order(void)
{
	unsigned n = 0, last[PRIORITY_COUNT] = { 0 };
	struct entry **all = mem_alloc((fx.entries.count + 1) * sizeof(struct entry *)), *e;

	for (size_t i = 0; (e = map_next(&fx.entries, &i)) != NULL;)
		all[n++] = e;
	qsort(all, n, sizeof *all, by_id);
	for (unsigned i = 0; i < n; i++) {
		if (all[i]->turn <= last[all[i]->priority])
			fail_msg("message %lu went before an older one", all[i]->id);
		last[all[i]->priority] = all[i]->turn;
	}
	mem_free(&all);
}

static void test_order(void **state)
{
	unsigned n = share_of(6000);

	fx_begin(ONE);
	fx.chances.latency = DUR_MS;
	fx_small_memory("a", 50);
	for (unsigned i = 0; i < n; i++) {
		fx_post((struct fx_msg){ .priority = any_priority(),
				.wants = i % 2 ? WANT_DELIVERED : 0 },
			NULL);
		if (i % 500 == 0)
			usleep(20000);
	}
	fx_drain(60 * DUR_S);
	fx_check_all(n);
	check_order();
	fx_no_credit_is_out("a");
	fx_end();
}

/* What is left when the memory is full comes by the disk, in order, and all priorities come. */
static void test_shares(void **state)
{
	enum { N = 3000 };
	struct err e;
	unsigned bulk = 0;
	struct entry *x;

	fx_begin(ONE);
	fx_small_memory("a", 100);
	assert_int_equal(gateway_channel_verb(fx.g, "a", GATEWAY_HOLD, &e), 0);
	for (unsigned i = 0; i < N; i++)
		fx_post((struct fx_msg){ .priority = i % 2 ? PRIORITY_HIGH : PRIORITY_BULK }, NULL);
	fx_answers();
	assert_int_equal(fx.turn, 0);
	assert_int_equal(gateway_channel_verb(fx.g, "a", GATEWAY_RESUME, &e), 0);
	fx_drain(60 * DUR_S);
	for (size_t i = 0; (x = map_next(&fx.entries, &i)) != NULL;)
		bulk += x->priority == PRIORITY_BULK && x->turn <= 1000;
	assert_in_range(bulk, 20, 300); /* a seventeenth of the first thousand, and not much more */
	fx_check_all(N);
	check_order();
	fx_end();
}

/* Big messages are bounded by their octets, each priority for itself: a lot of bulk leaves room for
 * what is urgent. What does not fit waits on disk and comes in its turn. */
static void test_bytes(void **state)
{
	enum { N = 900, SIZE = 30000, MOST = 3 << 20 };
	char *text = mem_alloc(SIZE + 1);
	struct inside in = { 0 };
	struct err e;

	memset(text, 'x', SIZE);
	fx_begin("channels = ( { name = \"a\"; type = \"probe\"; window = 20;"
		 " queue_memory = \"3MiB\"; receipt_wait = \"1h\"; } );"
		 "routes = ( { via = [ \"a\" ]; } );");
	assert_int_equal(gateway_channel_verb(fx.g, "a", GATEWAY_HOLD, &e), 0);
	for (unsigned i = 0; i < N; i++)
		fx_post((struct fx_msg){ .priority = PRIORITY_BULK, .text = text }, NULL);
	fx_answers();
	in = fx_inside(fx_channel("a"));
	assert_in_range(in.bytes, MOST / 3 - SIZE - 1000, MOST / 3);
	assert_int_equal(in.waiting, in.bytes / SIZE);
	fx_post((struct fx_msg){ .priority = PRIORITY_HIGH, .text = text }, NULL);
	fx_answers();
	assert_int_equal(fx_inside(fx_channel("a")).waiting, in.waiting + 1);
	/* held or not, and while loads refill it */
	fx.chances.latency = 3 * DUR_MS;
	assert_int_equal(gateway_channel_verb(fx.g, "a", GATEWAY_RESUME, &e), 0);
	while (fx_queued()) {
		in = fx_inside(fx_channel("a"));
		assert_true(in.bytes <= MOST / 3 * 2 + 2 * SIZE);
		usleep(2000);
	}
	fx_drain(60 * DUR_S);
	assert_int_equal(fx_inside(fx_channel("a")).bytes, 0);
	fx_check_all(N + 1);
	check_order();
	fx_end();
	mem_free(&text);
}

/* One that is bigger than all the memory goes nevertheless. */
static void test_one_too_big(void **state)
{
	enum { SIZE = 40000 };
	char *text = mem_alloc(SIZE + 1);

	memset(text, 'x', SIZE);
	fx_begin("channels = ( { name = \"a\"; type = \"probe\"; window = 20;"
		 " queue_memory = \"64KiB\"; receipt_wait = \"1h\"; } );"
		 "routes = ( { via = [ \"a\" ]; } );");
	for (unsigned i = 0; i < 50; i++)
		fx_post((struct fx_msg){ .text = text }, NULL);
	fx_drain(60 * DUR_S);
	fx_check_all(50);
	fx_end();
	mem_free(&text);
}

/* ---- due times ---- */
/* Schedules that come due between the commit and its offer must not hide what was committed with
 * them; and retries at the same moment as acceptances neither. */
static void test_due_soon(void **state)
{
	unsigned n = share_of(8000);

	fx_begin(ONE);
	fx.chances.latency = 500 * DUR_US;
	fx.chances.temporary = 200;
	fx.chances.lose = 50;
	fx_small_memory("a", 2000);
	for (unsigned i = 0; i < n; i++) {
		wall_t soon = clock_wall() + (dur_t)fx_random(8000) * DUR_US;

		fx_post((struct fx_msg){ .priority = any_priority(),
				.send_at = fx_chance(400) ? soon : 0,
				.text = fx_chance(200) ? "3 parts" : "one" },
			NULL);
		if (i % 100 == 0)
			usleep(5000);
	}
	fx_drain(90 * DUR_S);
	fx_no_credit_is_out("a");
	fx_end();
}

/* ---- parts ---- */
static void test_parts_resume(void **state)
{
	unsigned n = share_of(1500);
	struct entry *e;

	fx_begin(ONE);
	fx.chances = (struct chances){ .fail_part = 400, .latency = DUR_MS };
	for (unsigned i = 0; i < n; i++)
		fx_post((struct fx_msg){ .text = i % 2 ? "3" : "4" }, NULL);
	fx_drain(60 * DUR_S);
	fx_check_all(n);
	for (size_t i = 0; (e = map_next(&fx.entries, &i)) != NULL;)
		assert_int_equal(e->sent[2], 1);
	fx_no_credit_is_out("a");
	fx_end();
}

/* A lost answer for the last part: only that one goes again. */
static bool lose_last(struct channel *c, struct delivery *d, unsigned part, struct outcome *o)
{
	if (part == 2 && d->attempt == 1) {
		*o = outcome_of(REASON_LOST);
		return true;
	}
	return false;
}

static void test_uncertain_part(void **state)
{
	uint64_t id;
	struct entry *e;

	fx_begin(ONE);
	fx.decide = lose_last;
	id = fx_send((struct fx_msg){ .text = "3" });
	fx_state_becomes(id, STATE_SENT);
	e = map_get_u64(&fx.entries, id);
	assert_int_equal(e->submits, 2);
	assert_int_equal(e->sent[0], 1);
	assert_int_equal(e->sent[1], 1);
	assert_int_equal(e->sent[2], 1);
	assert_int_equal(e->lost[2], 1);
	fx_no_credit_is_out("a");
	fx_end();
}

/* ---- orders ---- */
static void test_cancel(void **state)
{
	enum { N = 400 };
	uint64_t id[N];
	struct err e;
	unsigned cancelled = 0;

	fx_begin(ONE);
	fx.chances.latency = 5 * DUR_MS;
	fx_small_memory("a", 100);
	assert_int_equal(gateway_channel_verb(fx.g, "a", GATEWAY_HOLD, &e), 0);
	for (unsigned i = 0; i < N; i++)
		fx_post((struct fx_msg){ .priority = any_priority(),
				.wants = WANT_FAILED,
				.send_at = i % 7 ? 0 : clock_wall() + DUR_S },
			&id[i]);
	fx_answers();
	for (unsigned i = 0; i < N; i += 3)
		assert_int_equal(gateway_cancel(fx.g, id[i], 0), REASON_NONE);
	assert_int_equal(gateway_cancel(fx.g, id[0], 0), REASON_TOO_LATE);
	assert_int_equal(gateway_cancel(fx.g, id[1], 4711), REASON_NOT_FOUND);
	assert_int_equal(gateway_cancel(fx.g, 4711, 0), REASON_NOT_FOUND);
	assert_int_equal(gateway_channel_verb(fx.g, "a", GATEWAY_RESUME, &e), 0);
	for (unsigned i = 1; i < N; i += 3) /* a race with sending: one of the two */
		cancelled += gateway_cancel(fx.g, id[i], 0) == REASON_NONE;
	fx_drain(30 * DUR_S);
	for (unsigned i = 0; i < N; i++) {
		struct entry *x = map_get_u64(&fx.entries, id[i]);
		enum state st = fx_state(id[i]);

		assert_int_equal(st == STATE_CANCELLED ? 0 : 1, x->sent[0]);
		assert_int_equal(x->finals, st == STATE_CANCELLED);
		cancelled -= i % 3 == 1 && st == STATE_CANCELLED;
	}
	assert_int_equal(cancelled, 0);
	fx_no_credit_is_out("a");
	fx_end();
}

/* All within the account's own: query, cancel all that match, replace in memory and on disk. */
struct asked {
	struct ask ask;
	struct letter letter;
	struct account *a;
	bool done;
};

static void ask_done(struct ask *a)
{
	fx_lock();
	CONTAINER(a, struct asked, ask)->done = true;
	fx_unlock();
}

static void ask_run(struct letter *l)
{
	struct asked *q = CONTAINER(l, struct asked, letter);

	account_ask(q->a, &q->ask);
}

static bool ask_is_done(void *arg)
{
	return ((struct asked *)arg)->done;
}

static void ask(struct asked *q, unsigned account)
{
	q->done = false;
	q->a = fx.account[account];
	q->ask.loop = fx.door->loop;
	q->ask.done = ask_done;
	q->letter.run = ask_run;
	loop_post(fx.door->loop, &q->letter);
	assert_true(fx_until(ask_is_done, q, 20 * DUR_S));
}

static bool remember_text(struct channel *c, struct delivery *d, unsigned part, struct outcome *o)
{
	struct str text = message_get(d->msg, FIELD_TEXT);

	if (!str_starts(text, STR("2new")) || d->parts != 2)
		fx_die("the old text was sent");
	return false;
}

static void test_asks(void **state)
{
	enum { N = 60 };
	uint64_t id[N];
	struct asked q = { 0 };
	struct err e;
	char text[16];

	fx_begin(ONE);
	fx_small_memory("a", 10);
	fx.decide = remember_text;
	assert_int_equal(gateway_channel_verb(fx.g, "a", GATEWAY_HOLD, &e), 0);
	for (unsigned i = 0; i < N; i++) {
		char to[20];

		snprintf(to, sizeof to, "4670000%04u", i);
		fx_post((struct fx_msg){ .to = to, .wants = WANT_DELIVERED }, &id[i]);
	}
	fx_answers();
	for (unsigned i = 0; i < N; i++) {
		q.ask = (struct ask){ .kind = ASK_REPLACE, .id = id[i] };
		snprintf(text, sizeof text, "2new %u", i);
		q.ask.msg = fx_message((struct fx_msg){ .text = text, .wants = WANT_DELIVERED });
		ask(&q, 0);
		assert_int_equal(q.ask.reason, REASON_NONE);
	}
	q.ask = (struct ask){ .kind = ASK_QUERY, .id = id[5] };
	ask(&q, 1); /* another's */
	assert_int_equal(q.ask.reason, REASON_NOT_FOUND);
	ask(&q, 0);
	assert_int_equal(q.ask.reason, REASON_NONE);
	assert_int_equal(q.ask.state, STATE_QUEUED);
	q.ask = (struct ask){ .kind = ASK_CANCEL, .check_from = true };
	str_copy(q.ask.from, sizeof q.ask.from, STR("Test"));
	str_copy(q.ask.to, sizeof q.ask.to, STR("46700000007"));
	ask(&q, 0);
	assert_int_equal(q.ask.count, 1);
	assert_int_equal(fx_state(id[7]), STATE_CANCELLED);
	assert_int_equal(gateway_channel_verb(fx.g, "a", GATEWAY_RESUME, &e), 0);
	fx_drain(30 * DUR_S);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(fx_state(id[i]), i == 7 ? STATE_CANCELLED : STATE_SENT);
	q.ask = (struct ask){ .kind = ASK_CANCEL, .id = id[1] };
	ask(&q, 0);
	assert_int_equal(q.ask.reason, REASON_TOO_LATE);
	fx_end();
}

/* Replaced while loads run past them: neither forgotten nor sent twice. */
static void test_replace_races(void **state)
{
	enum { MOST = 3000 };
	unsigned n = share_of(MOST);
	static uint64_t id[MOST];
	struct asked q = { 0 };
	unsigned replaced = 0;

	fx_begin(ONE);
	fx.chances.latency = 2 * DUR_MS;
	fx_small_memory("a", 30);
	for (unsigned i = 0; i < n; i++)
		fx_post((struct fx_msg){ .priority = PRIORITY_BULK, .text = "1" }, &id[i]);
	fx_answers();
	for (unsigned i = 0; i < 300; i++) {
		unsigned k = fx_random(n);

		if (i % 3) {
			q.ask = (struct ask){ .kind = ASK_REPLACE, .id = id[k] };
			q.ask.msg = fx_message((struct fx_msg){ .text = "1" });
			ask(&q, 0);
			replaced += q.ask.reason == REASON_NONE;
		} else {
			struct err e;

			gateway_requeue(fx.g, id[k], NULL, &e);
		}
	}
	fx_drain(60 * DUR_S);
	fx_check_all(n);
	assert_true(replaced > 0);
	fx_no_credit_is_out("a");
	fx_end();
}

/* ---- everything at once ---- */
#define STORM(word, window)                                                                       \
	"channels = ( { name = \"a\"; type = \"probe\"; window = " window "; word = \"" word      \
	"\"; retry_first = \"10ms\"; retry_most = \"50ms\"; attempts_here = 2;"                   \
	" failover_after = \"100ms\"; },"                                                         \
	" { name = \"b\"; type = \"probe\"; window = 7; connections = 2;"                         \
	" retry_first = \"10ms\"; retry_most = \"50ms\"; } );"                                    \
	"routes = ( { to = [ \"46*\" ]; via = [ \"a\", \"b\" ]; share = [ \"a=3\", \"b=1\" ]; }," \
	" { via = [ \"b\" ]; } );"

static void storm(unsigned n, struct chances ch, bool reloads)
{
	static const char *const settings[] = { STORM("x", "12"), STORM("y", "12"),
		STORM("y", "30"), STORM("x", "5") };
	uint64_t *id = mem_alloc(n * sizeof *id);
	struct err e;
	bool held = false;

	fx_begin(settings[0]);
	fx.chances = ch;
	fx_small_memory("a", 40);
	fx_small_memory("b", 25);
	for (unsigned i = 0; i < n; i++) {
		unsigned dice = fx_random(1000);

		fx_post((struct fx_msg){ .account = fx_random(2),
				.priority = any_priority(),
				.to = fx_chance(700) ? "46700000002" : "4790000002",
				.text = fx_chance(200) ? "3" : "1",
				.send_at = fx_chance(100)
						   ? clock_wall() + (dur_t)fx_random(300) * DUR_MS
						   : 0,
				.wants = fx_chance(500) ? WANT_DELIVERED | WANT_FAILED : 0 },
			&id[i]);
		if (dice < 10) {
			usleep(fx_random(30000));
		} else if (dice < 13) {
			held = !held;
			gateway_channel_verb(fx.g, "a", held ? GATEWAY_HOLD : GATEWAY_RESUME, &e);
		} else if (dice < 40 && i > 10) {
			fx_answers();
			gateway_cancel(fx.g, id[fx_random(i)], 0);
		} else if (dice < 60 && i > 10) {
			fx_answers();
			gateway_requeue(fx.g, id[fx_random(i)], fx_chance(500) ? "b" : NULL, &e);
		} else if (dice < 62 && reloads) {
			fx_reload(settings[fx_random(4)]);
			fx_small_memory("a", 40);
		}
	}
	gateway_channel_verb(fx.g, "a", GATEWAY_RESUME, &e);
	fx_drain(120 * DUR_S);
	fx_check_all(n);
	fx_no_credit_is_out("a");
	fx_no_credit_is_out("b");
	mem_free(&id);
	fx_end();
}

static void test_storm(void **state)
{
	storm(share_of(4000),
		(struct chances){ .temporary = 60,
			.refuse = 20,
			.fail_part = 100,
			.tell_again = 50,
			.latency = 2 * DUR_MS },
		false);
}

static void test_storm_reloads(void **state)
{
	storm(share_of(4000),
		(struct chances){ .temporary = 30,
			.refuse = 20,
			.fail_part = 50,
			.tell_again = 50,
			.latency = 2 * DUR_MS },
		true);
}

/* Receipts before their answers, twice, of all kinds; every state is told. */
static bool all_final(void *arg)
{
	struct entry *e;

	for (size_t i = 0; (e = map_next(&fx.entries, &i)) != NULL;)
		if (e->wants && !e->finals)
			return false;
	return true;
}

static void test_receipts(void **state)
{
	unsigned n = share_of(4000);

	fx_begin(STORM("x", "20"));
	fx.chances = (struct chances){ .receipts = true,
		.early = 200,
		.twice = 100,
		.fails = 200,
		.temporary = 50,
		.tell_again = 100,
		.latency = 2 * DUR_MS,
		.receipt_delay = 50 * DUR_MS };
	for (unsigned i = 0; i < n; i++) {
		fx_post((struct fx_msg){ .account = i % 2,
				.text = fx_chance(200) ? "3" : "1",
				.priority = any_priority(),
				.wants = WANT_DELIVERED | WANT_FAILED },
			NULL);
		if (i % 200 == 0)
			usleep(10000);
	}
	fx_answers();
	assert_true(fx_until(all_final, NULL, 90 * DUR_S));
	fx_drain(30 * DUR_S);
	fx_check_all(n);
	fx_end();
}

/* A receipt that was parked first counts as one, too. */
static void test_early_counted(void **state)
{
	uint64_t receipts, delivered;

	fx_begin(ONE);
	fx.chances = (struct chances){ .receipts = true, .early = 1000 };
	for (unsigned i = 0; i < 100; i++)
		fx_post((struct fx_msg){ .wants = WANT_DELIVERED }, NULL);
	fx_answers();
	assert_true(fx_until(all_final, NULL, 30 * DUR_S));
	fx_drain(30 * DUR_S);
	fx_check_all(100);
	fx_no_credit_is_out("a");
	assert_true(stat_lookup("postern_channel_receipts_total", "channel=\"a\"", &receipts));
	assert_true(stat_lookup("postern_channel_delivered_total", "channel=\"a\"", &delivered));
	assert_int_equal(receipts, 100);
	assert_int_equal(delivered, 100);
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_one_too_big),
		cmocka_unit_test(test_due_soon),
		cmocka_unit_test(test_parts_resume),
		cmocka_unit_test(test_uncertain_part),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_asks),
		cmocka_unit_test(test_replace_races),
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_storm_reloads),
		cmocka_unit_test(test_receipts),
		cmocka_unit_test(test_early_counted),
	};
	const char *only = getenv("ONLY");

	if (only)
		cmocka_set_test_filter(only);
	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
