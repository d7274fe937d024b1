/* Receipts: early, late, twice, for parts, for ids used again, in another form, many. */
#include "gateway/base/log.h"
#include "gateway/base/stat.h"
#include "gateway/store/store_fixture.h"

static int in_memory(void **state)
{
	fx_begin(":memory:");
	return 0;
}

static int over(void **state)
{
	fx_end();
	return 0;
}

static uint64_t sent_to(const char *to, const char *far_id, uint8_t wants)
{
	struct place place;
	uint64_t id = fx_accept((struct fx_msg){ .to = to, .wants = wants }, &place);

	fx_sent(id, place, far_id);
	return id;
}

/* matched, applied, state now; the operation is freed. */
static void expect(struct store_op *op, uint64_t id, bool applied, enum state now)
{
	assert_true(op->receipt.matched);
	assert_int_equal(op->receipt.id, id);
	assert_int_equal(op->receipt.applied, applied);
	assert_int_equal(op->receipt.now, now);
	fx_free(op);
}

/* Which keys met a message of that recipient, and how the far side had written the id. */
static void test_evidence(void **state)
{
	struct place place;
	uint64_t id = fx_accept((struct fx_msg){ .to = "46700000001" }, &place);
	struct store_op *op = fx_sent_op(id, place, "00FF");

	str_copy(op->sent.key, OUTCOME_ID, STR("ff"));
	fx_free(fx_do(op));
	fx_sent(fx_accept((struct fx_msg){ .to = "46700000002" }, &place), place, "597");
	op = fx_receipt_op("255", "46700000001", STATE_DELIVERED);
	op->receipt.in.keys = 3;
	str_copy(op->receipt.in.key[1], OUTCOME_ID, STR("ff"));
	str_copy(op->receipt.in.key[2], OUTCOME_ID, STR("597")); /* another's: no hit */
	op = fx_do(op);
	assert_int_equal(op->receipt.hits, 1 << 1);
	assert_string_equal(op->receipt.awaited, "00FF");
	expect(op, id, true, STATE_DELIVERED);
	/* one key */
	id = sent_to("46700000003", "n1", 0);
	op = fx_receipt("n1", "46700000003", STATE_DELIVERED);
	assert_int_equal(op->receipt.hits, 1);
	expect(op, id, true, STATE_DELIVERED);
	/* two that both fit: no evidence for either */
	id = sent_to("46700000004", "m1", 0);
	sent_to("46700000004", "m2", 0);
	op = fx_receipt_op("m1", "46700000004", STATE_DELIVERED);
	op->receipt.in.keys = 2;
	str_copy(op->receipt.in.key[1], OUTCOME_ID, STR("m2"));
	op = fx_do(op);
	assert_int_equal(op->receipt.hits, 3);
	expect(op, id, true, STATE_DELIVERED);
}

static void test_early(void **state)
{
	struct place place;
	uint64_t id = fx_accept((struct fx_msg){ .wants = WANT_DELIVERED }, &place);
	struct store_op *op = fx_receipt("e1", "46700000001", STATE_DELIVERED);

	assert_true(op->receipt.parked && !op->receipt.matched);
	fx_free(op);
	op = fx_do(fx_sent_op(id, place, "e1"));
	assert_int_equal(op->sent.early, 1);
	assert_int_equal(op->sent.now, STATE_DELIVERED);
	fx_free(op);
	assert_int_equal(fx_state(id), STATE_DELIVERED);
	assert_int_equal(fx.notes, 1);
	/* an intermediate and a final one, both early, told in their order */
	id = fx_accept((struct fx_msg){ .wants = WANT_DELIVERED | WANT_INTERMEDIATE }, &place);
	fx_free(fx_receipt("e2", "", STATE_SENT));
	fx_free(fx_receipt("e2", "", STATE_DELIVERED));
	fx_sent(id, place, "e2");
	assert_int_equal(fx.notes, 3);
	assert_int_equal(fx.note[1]->kind, NOTE_INTERMEDIATE);
	assert_int_equal(fx.note[2]->state, STATE_DELIVERED);
	/* under its second key: the id came in another base */
	id = fx_accept((struct fx_msg){ 0 }, &place);
	op = fx_receipt_op("ff", "46700000001", STATE_DELIVERED);
	op->receipt.in.keys = 2;
	str_copy(op->receipt.in.key[1], OUTCOME_ID, STR("255"));
	fx_free(fx_do(op));
	fx_sent(id, place, "255");
	assert_int_equal(fx_state(id), STATE_DELIVERED);
	/* one for somebody else under a guessed key does not count */
	id = fx_accept((struct fx_msg){ 0 }, &place);
	op = fx_receipt_op("fe", "46799999999", STATE_DELIVERED);
	op->receipt.in.keys = 2;
	str_copy(op->receipt.in.key[1], OUTCOME_ID, STR("254"));
	fx_free(fx_do(op));
	op = fx_do(fx_sent_op(id, place, "254"));
	assert_int_equal(op->sent.early, 0);
	fx_free(op);
	assert_int_equal(fx_state(id), STATE_SENT);
}

static void test_twice(void **state)
{
	uint64_t id = sent_to("46700000001", "t1", WANT_DELIVERED);
	struct store_op *op;

	expect(fx_receipt("t1", "46700000001", STATE_DELIVERED), id, true, STATE_DELIVERED);
	expect(fx_receipt("t1", "46700000001", STATE_DELIVERED), id, false, STATE_DELIVERED);
	expect(fx_receipt("t1", "", STATE_UNDELIVERABLE), id, false, STATE_DELIVERED);
	assert_int_equal(fx.notes, 1);
	op = fx_receipt("t2", "", STATE_DELIVERED);
	assert_true(op->receipt.parked);
	fx_free(op);
}

static void test_corrections(void **state)
{
	static const struct {
		enum state first, second;
		bool applied;
	} row[] = {
		{ STATE_EXPIRED, STATE_DELIVERED, true },
		{ STATE_UNDELIVERABLE, STATE_DELIVERED, true },
		{ STATE_UNKNOWN, STATE_UNDELIVERABLE, true },
		{ STATE_UNKNOWN, STATE_DELIVERED, true },
		{ STATE_UNDELIVERABLE, STATE_EXPIRED, false },
		{ STATE_UNDELIVERABLE, STATE_UNKNOWN, false },
		{ STATE_DELIVERED, STATE_UNDELIVERABLE, false },
	};
	struct store_view v;
	struct err e;
	char key[16];

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		uint64_t id;
		unsigned notes = fx.notes;

		snprintf(key, sizeof key, "k%zu", i);
		id = sent_to("46700000001", key, WANT_DELIVERED | WANT_FAILED);
		expect(fx_receipt(key, "", row[i].first), id, true, row[i].first);
		expect(fx_receipt(key, "", row[i].second), id, row[i].applied,
			row[i].applied ? row[i].second : row[i].first);
		assert_int_equal(fx.notes, notes + 1 + row[i].applied);
		assert_int_equal(fx.note[notes]->kind, NOTE_RECEIPT);
		if (!row[i].applied)
			continue;
		assert_int_equal(fx.note[notes + 1]->kind, NOTE_CORRECTION);
		assert_int_equal(store_find(fx.s, id, false, &v, &e), 1);
		assert_int_equal(v.history_n, 4);
		store_view_free(&v);
	}
	/* told for the first time, when the first was not asked for */
	fx_drop_notes();
	sent_to("46700000001", "quiet", WANT_DELIVERED);
	fx_free(fx_receipt("quiet", "", STATE_EXPIRED));
	assert_int_equal(fx.notes, 0);
	fx_free(fx_receipt("quiet", "", STATE_DELIVERED));
	assert_int_equal(fx.notes, 1);
	assert_int_equal(fx.note[0]->kind, NOTE_RECEIPT);
}

static void test_read(void **state)
{
	struct place place;
	uint64_t id =
		fx_accept((struct fx_msg){ .media = MEDIA_VIBER, .wants = WANT_DELIVERED }, &place);

	fx_sent(id, place, "v1");
	expect(fx_receipt("v1", "", STATE_DELIVERED), id, true, STATE_DELIVERED);
	expect(fx_receipt("v1", "", STATE_READ), id, true, STATE_READ);
	expect(fx_receipt("v1", "", STATE_READ), id, false, STATE_READ);
	assert_int_equal(fx.notes, 2);
	assert_int_equal(fx.note[1]->kind, NOTE_CORRECTION);
}

static void test_wants(void **state)
{
	static const struct {
		uint8_t wants;
		enum state st;
		unsigned notes;
	} row[] = {
		{ 0, STATE_DELIVERED, 0 },
		{ WANT_DELIVERED, STATE_DELIVERED, 1 },
		{ WANT_DELIVERED, STATE_EXPIRED, 0 },
		{ WANT_FAILED, STATE_DELIVERED, 0 },
		{ WANT_FAILED, STATE_EXPIRED, 1 },
		{ WANT_FAILED, STATE_UNKNOWN, 1 },
		{ WANT_INTERMEDIATE, STATE_SENT, 1 },
		{ WANT_DELIVERED | WANT_FAILED, STATE_SENT, 0 },
	};
	char key[16];

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		snprintf(key, sizeof key, "w%zu", i);
		sent_to("46700000001", key, row[i].wants);
		fx_free(fx_receipt(key, "", row[i].st));
		assert_int_equal(fx.notes, row[i].notes);
		fx_drop_notes();
	}
}

/* Far sides use ids again: the recipient decides, then the newest. */
static void test_same_id(void **state)
{
	uint64_t a = sent_to("46700000001", "7", 0), b = sent_to("46700000002", "7", 0);
	uint64_t c = sent_to("46700000003", "7", 0);

	expect(fx_receipt("7", "46700000002", STATE_DELIVERED), b, true, STATE_DELIVERED);
	expect(fx_receipt("7", "+46700000001", STATE_DELIVERED), a, true, STATE_DELIVERED);
	expect(fx_receipt("7", "", STATE_DELIVERED), c, true, STATE_DELIVERED);
	a = sent_to("46700000001", "8", 0);
	b = sent_to("46700000001", "8", 0);
	expect(fx_receipt("8", "46700000001", STATE_DELIVERED), b, true, STATE_DELIVERED);
	/* national form: the ends agree */
	c = sent_to("46700000009", "9", 0);
	expect(fx_receipt("9", "0700000009", STATE_DELIVERED), c, true, STATE_DELIVERED);
	/* the first key is believed even for another recipient; a guessed one is not */
	c = sent_to("46700000009", "10", 0);
	expect(fx_receipt("10", "46755555555", STATE_DELIVERED), c, true, STATE_DELIVERED);
	(void)a;
}

static void test_keys(void **state)
{
	uint64_t dec = sent_to("46700000001", "16", 0), hex = sent_to("46700000002", "10", 0);
	struct store_op *op = fx_receipt_op("10", "46700000001", STATE_DELIVERED);

	op->receipt.in.keys = 2;
	str_copy(op->receipt.in.key[1], OUTCOME_ID, STR("16"));
	fx_do(op);
	assert_int_equal(op->receipt.which, 1);
	expect(op, dec, true, STATE_DELIVERED);
	op = fx_receipt_op("nothing", "46700000002", STATE_EXPIRED);
	op->receipt.in.keys = 2;
	str_copy(op->receipt.in.key[1], OUTCOME_ID, STR("10"));
	fx_do(op);
	assert_int_equal(op->receipt.which, 1);
	expect(op, hex, true, STATE_EXPIRED);
}

/* ---- parts ----------------------------------------------------------------------------------- */

static uint64_t three_parts(const char *key, uint8_t wants)
{
	struct store_op *op = fx_accept_op((struct fx_msg){ .wants = wants });
	struct place place;
	uint64_t id;
	char far[24];

	op->accept.parts = 3;
	fx_do(op);
	id = op->accept.id;
	place = op->accept.place;
	fx_free(op);
	for (unsigned i = 0; i < 3; i++) {
		struct store_load l = { .kind = LOAD_QUEUE, .channel = CH, .most = 100 };

		snprintf(far, sizeof far, "%s.%u", key, i);
		op = fx_sent_op(id, place, far);
		op->sent.part = (uint8_t)i;
		op->sent.parts = 3;
		op->sent.all = i == 2;
		op->sent.concat_ref = 77;
		fx_free(fx_do(op));
		l.until = store_now(fx.s);
		fx_load(&l); /* what a restart would find */
		assert_int_equal(l.n, i < 2);
		if (l.n) {
			assert_int_equal(l.rows[0].concat_ref, 77);
			assert_int_equal(l.rows[0].parts, 3);
			assert_int_equal(l.rows[0].parts_sent[0], (2u << i) - 1);
			message_unref(&l.rows[0].msg);
		}
		store_load_free(&l);
	}
	assert_int_equal(fx_state(id), STATE_SENT);
	return id;
}

static void test_parts(void **state)
{
	static const struct {
		enum state r[4]; /* for parts 0, 1, 2, and 0 again */
		enum state end;
		unsigned notes;
	} row[] = {
		{ { STATE_DELIVERED, STATE_DELIVERED, STATE_DELIVERED }, STATE_DELIVERED, 1 },
		{ { STATE_DELIVERED, STATE_EXPIRED, STATE_DELIVERED }, STATE_EXPIRED, 1 },
		{ { STATE_UNDELIVERABLE, STATE_DELIVERED, STATE_DELIVERED }, STATE_UNDELIVERABLE,
			1 },
		{ { STATE_EXPIRED, STATE_DELIVERED, STATE_DELIVERED, STATE_DELIVERED },
			STATE_DELIVERED, 2 },
		{ { STATE_UNKNOWN, STATE_DELIVERED, STATE_DELIVERED }, STATE_UNKNOWN, 1 },
		{ { STATE_UNKNOWN, STATE_DELIVERED, STATE_UNDELIVERABLE }, STATE_UNDELIVERABLE, 1 },
	};
	struct store_view v;
	struct err e;
	char key[16], far[24];

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		uint64_t id;

		snprintf(key, sizeof key, "p%zu", i);
		id = three_parts(key, WANT_DELIVERED | WANT_FAILED);
		for (unsigned p = 0; p < 4; p++) {
			struct store_op *op;

			if (row[i].r[p] == STATE_QUEUED)
				continue;
			snprintf(far, sizeof far, "%s.%u", key, p % 3);
			op = fx_receipt(far, "46700000001", row[i].r[p]);
			assert_true(op->receipt.matched);
			assert_int_equal(op->receipt.part, p % 3);
			assert_true(op->receipt.applied);
			fx_free(op);
		}
		assert_int_equal(fx_state(id), row[i].end);
		assert_int_equal(fx.notes, row[i].notes);
		assert_int_equal(fx.note[0]->parts, 3);
		fx_drop_notes();
		assert_int_equal(store_find(fx.s, id, false, &v, &e), 1);
		assert_int_equal(v.part_n, 3);
		assert_string_equal(v.part_list[1].far_id + strlen(key), ".1");
		store_view_free(&v);
	}
}

static void test_parts_early(void **state)
{
	static const char *const far[] = { "q.0", "q.1", "q.2" };

	for (int i = 0; i < 3; i++)
		fx_free(fx_receipt(far[i], "46700000001", STATE_DELIVERED));
	/* three_parts() looks whether it is sent in the end; here it is delivered already */
	struct store_op *op = fx_accept_op((struct fx_msg){ .wants = WANT_DELIVERED });
	struct place place;
	uint64_t id;

	op->accept.parts = 3;
	fx_do(op);
	id = op->accept.id;
	place = op->accept.place;
	fx_free(op);
	for (unsigned i = 0; i < 3; i++) {
		op = fx_sent_op(id, place, far[i]);
		op->sent.part = (uint8_t)i;
		op->sent.parts = 3;
		op->sent.all = i == 2;
		fx_free(fx_do(op));
	}
	assert_int_equal(fx_state(id), STATE_DELIVERED);
	assert_int_equal(fx.notes, 1);
	assert_int_equal(fx.note[0]->parts_delivered, 3);
}

/* ---- many ------------------------------------------------------------------------------------ */

/* More than fit in memory: the oldest move to the index and are found there, over a restart too. */
static void test_many(void **state)
{
	enum { N = 150000, STEP = 1000 };
	const char *path = fx_path("many");
	static uint64_t id[N];
	static struct place place[N];
	struct store_op *ops[STEP];
	char key[24], to[24];
	uint64_t young;

	fx_begin(path);
	for (unsigned at = 0; at < N; at += STEP) {
		for (unsigned i = 0; i < STEP; i++) {
			snprintf(to, sizeof to, "46%09u", at + i);
			ops[i] = fx_accept_op((struct fx_msg){ .to = to });
		}
		fx_do_all(ops, STEP);
		for (unsigned i = 0; i < STEP; i++) {
			id[at + i] = ops[i]->accept.id;
			place[at + i] = ops[i]->accept.place;
			fx_free(ops[i]);
			snprintf(key, sizeof key, "%08x", (at + i) * 2654435761u);
			ops[i] = fx_sent_op(id[at + i], place[at + i], key);
		}
		fx_do_all(ops, STEP);
		for (unsigned i = 0; i < STEP; i++)
			fx_free(ops[i]);
		if (at == N / 2)
			fx_reopen();
	}
	for (int i = 0; i < 1000; i++) {
		assert_true(stat_lookup("postern_store_awaited_young", "", &young));
		if (young < N * 9 / 10)
			break;
		usleep(10000);
	}
	assert_true(young < N * 9 / 10);
	fx_reopen();
	for (unsigned at = 0; at < N; at += STEP) {
		for (unsigned i = 0; i < STEP; i++) {
			snprintf(key, sizeof key, "%08x", (at + i) * 2654435761u);
			snprintf(to, sizeof to, "46%09u", at + i);
			ops[i] = fx_receipt_op(key, to, STATE_DELIVERED);
		}
		fx_do_all(ops, STEP);
		for (unsigned i = 0; i < STEP; i++)
			expect(ops[i], id[at + i], true, STATE_DELIVERED);
	}
	fx_end();
	fx_remove(path);
}

/* ---- nobody waits any more ------------------------------------------------------------------- */

static void test_overdue(void **state)
{
	uint64_t a = sent_to("46700000001", "o1", WANT_FAILED);
	uint64_t b = sent_to("46700000002", "o2", WANT_FAILED);
	struct store_load l = { .kind = LOAD_OVERDUE, .channel = CH, .most = 10 };
	struct store_op *op;
	unsigned found = 0;

	fx_free(fx_receipt("o2", "", STATE_DELIVERED));
	clock_shift(80 * DUR_HOUR); /* and the young become old meanwhile */
	for (int round = 0; round < 2; round++) {
		l.until = clock_wall() - 72 * DUR_HOUR;
		l.after_key[0] = '\0';
		l.after_id = 0;
		found = 0;
		do {
			fx_load(&l);
			for (unsigned i = 0; i < l.n; i++) {
				assert_int_equal(l.ids[i].id, a);
				found++;
			}
			store_load_free(&l);
		} while (!l.end);
		assert_int_equal(found, 1);
		usleep(1200000);
	}
	op = fx_op(OP_FINAL);
	op->final.id = a;
	op->final.state = STATE_UNKNOWN;
	op->final.reason = REASON_NO_RECEIPT;
	op->final.only_if_sent = true;
	fx_do(op);
	assert_true(op->final.applied);
	fx_free(op);
	assert_int_equal(fx_state(a), STATE_UNKNOWN);
	l.after_key[0] = '\0';
	l.after_id = 0;
	do {
		fx_load(&l);
		assert_int_equal(l.n, 0);
		store_load_free(&l);
	} while (!l.end);
	/* and yet it comes */
	expect(fx_receipt("o1", "46700000001", STATE_DELIVERED), a, true, STATE_DELIVERED);
	clock_shift(-80 * DUR_HOUR);
	assert_int_equal(fx_state(b), STATE_DELIVERED);
}

/* Many were sent by one commit: a sweep that takes a few at a time comes by all of them. */
static void test_overdue_within_a_row(void **state)
{
	enum { N = 25 };
	struct store_load l = { .kind = LOAD_OVERDUE, .channel = CH, .most = 10 };
	struct store_op *ops[N];
	unsigned found = 0;
	char key[16];

	for (unsigned i = 0; i < N; i++) {
		struct place place;
		uint64_t id = fx_accept((struct fx_msg){ 0 }, &place);

		snprintf(key, sizeof key, "w%u", i);
		ops[i] = fx_sent_op(id, place, key);
	}
	fx_do_all(ops, N);
	for (unsigned i = 0; i < N; i++)
		fx_free(ops[i]);
	l.until = clock_wall() + DUR_S;
	do {
		fx_load(&l);
		found += l.n;
		store_load_free(&l);
	} while (!l.end);
	assert_int_equal(found, N);
}

/* No receipt is awaited any more: told as the last word, once; better news are a correction. */
static void test_last_word(void **state)
{
	uint64_t id = sent_to("46700000001", "lw", WANT_DELIVERED);
	struct store_load l = { .kind = LOAD_OVERDUE, .channel = CH, .most = 10 };

	fx_drop_notes();
	for (int i = 0; i < 2; i++) {
		struct store_op *op = fx_op(OP_FINAL);

		op->final.id = id;
		op->final.state = STATE_SENT;
		fx_do(op);
		assert_int_equal(op->final.applied, i == 0);
		fx_free(op);
		assert_int_equal(fx.notes, 1);
		assert_int_equal(fx.note[0]->state, STATE_SENT);
		assert_int_equal(fx.note[0]->kind, NOTE_RECEIPT);
	}
	l.until = clock_wall() + DUR_S;
	do {
		fx_load(&l);
		assert_int_equal(l.n, 0);
		store_load_free(&l);
	} while (!l.end);
	expect(fx_receipt("lw", "46700000001", STATE_DELIVERED), id, true, STATE_DELIVERED);
	assert_int_equal(fx.notes, 2);
	assert_int_equal(fx.note[1]->kind, NOTE_CORRECTION);
}

static void test_orphans_age(void **state)
{
	uint64_t before, lost;
	struct place place;
	uint64_t id;

	assert_true(stat_lookup("postern_store_receipts_unknown_total", "", &before));
	fx_free(fx_receipt("nobody", "", STATE_DELIVERED));
	clock_shift(20 * DUR_MIN);
	for (int i = 0; i < 500; i++) {
		stat_lookup("postern_store_receipts_unknown_total", "", &lost);
		if (lost > before)
			break;
		usleep(10000);
	}
	assert_int_equal(lost, before + 1);
	id = fx_accept((struct fx_msg){ 0 }, &place);
	fx_sent(id, place, "nobody");
	assert_int_equal(fx_state(id), STATE_SENT);
	clock_shift(-20 * DUR_MIN);
}

int main(void)
{
	log_set_level(LOG_ERROR);
	const struct CMUnitTest tests[] = {
#define IN_MEMORY(t) cmocka_unit_test_setup_teardown(t, in_memory, over)
		IN_MEMORY(test_evidence),
		IN_MEMORY(test_early),
		IN_MEMORY(test_twice),
		IN_MEMORY(test_corrections),
		IN_MEMORY(test_read),
		IN_MEMORY(test_wants),
		IN_MEMORY(test_same_id),
		IN_MEMORY(test_keys),
		IN_MEMORY(test_parts),
		IN_MEMORY(test_parts_early),
		cmocka_unit_test(test_many),
		IN_MEMORY(test_overdue),
		IN_MEMORY(test_overdue_within_a_row),
		IN_MEMORY(test_last_word),
		IN_MEMORY(test_orphans_age),
	};
	return cmocka_run_group_tests_name("store_receipt", tests, NULL, NULL);
}
