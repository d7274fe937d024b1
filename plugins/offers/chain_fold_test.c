/* The fold: the vectors of the specification, order, duplicates, daylight saving. */
#include "plugins/offers/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const wall_t day_0 = 1772359200ll * DUR_S; /* 2026-03-01T10:00:00Z */

enum { MARKS_MOST = 16, SENDS_MOST = 64 };

/* Days and thousandths of a day, an event's mark, a receipt. */
struct happens {
	int milliday;
	unsigned kind;
	uint64_t receipt, key;
};
struct leaves {
	int64_t at; /* milliseconds since day 0 */
	unsigned step;
	uint64_t key;
};
enum { A = MARK_ARMS, D = MARK_DISARMS, AD = A | D };

static struct offer_conf conf;
static struct step_conf step_conf;
static struct step steps[2];
static struct offer offer;

static void offer_make(unsigned n, int then)
{
	conf = (struct offer_conf){ .name = "test", .then = then };
	for (unsigned i = 0; i < 2; i++)
		steps[i] = (struct step){ .conf = &step_conf, .after = { .days = 14 } };
	offer = (struct offer){ .conf = &conf, .steps = steps, .steps_n = n, .key_attr = -1 };
}

static int by_time(const void *va, const void *vb)
{
	const struct leaves *a = va, *b = vb;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	if (a->step != b->step)
		return a->step < b->step ? -1 : 1;
	return (a->key > b->key) - (a->key < b->key);
}

/* What would leave if nothing else ever came. */
static unsigned sends(const struct mark *m, size_t n, const struct zone *z, struct leaves *out)
{
	struct chain_run run[CHAIN_RUNS_MOST];
	unsigned runs = chain_fold(&offer, z, m, n, run), k = 0;

	for (unsigned i = 0; i < runs; i++)
		for (unsigned s = 0; s < run[i].steps_n; s++)
			if (run[i].due[s] && (!run[i].ended || run[i].due[s] < run[i].ended)) {
				assert_true(k < SENDS_MOST);
				out[k++] = (struct leaves){ (run[i].due[s] - day_0) / DUR_MS, s,
					conf.again == AGAIN_PARALLEL && offer.key_attr >= 0
						? run[i].key
						: 0 };
			}
	qsort(out, k, sizeof *out, by_time);
	return k;
}

static size_t marks_of(const struct happens *h, size_t n, struct mark *m)
{
	for (size_t i = 0; i < n; i++)
		m[i] = (struct mark){ .occurred = day_0 + h[i].milliday * (DUR_DAY / 1000),
			.seq = i + 1,
			.kind = h[i].kind,
			.receipt = h[i].receipt,
			.key = h[i].key };
	marks_sort(m, n);
	return n;
}

static void expect(const char *id, const struct happens *h, size_t n, const char *words)
{
	struct mark m[MARKS_MOST];
	struct leaves out[SENDS_MOST];
	unsigned k = sends(m, marks_of(h, n, m), zone_utc(), out);
	struct buf b = BUF_INIT;

	for (unsigned i = 0; i < k; i++)
		buf_printf(&b, "%sd%lld R%u", i ? "; " : "", (long long)(out[i].at / 86400000),
			out[i].step + 1);
	if (strcmp(buf_cstr(&b), words) != 0)
		fail_msg("%s: %s, expected %s", id, buf_cstr(&b), words);
	buf_free(&b);
}

static void test_CN_1_to_24_vectors(void **state)
{
	static const struct {
		const char *id;
		int then;
		unsigned steps, n;
		struct happens h[4];
		const char *sends;
	} row[] = {
		{ "E1", DISARM_RESTART, 2, 1, { { 0, A } }, "d14 R1; d28 R2" },
		{ "E2", DISARM_RESTART, 2, 2, { { 0, A }, { 5000, D } }, "d19 R1; d33 R2" },
		{ "E2-stop", DISARM_STOP, 2, 2, { { 0, A }, { 5000, D } }, "" },
		{ "E2-between", DISARM_RESTART, 2, 2, { { 0, A }, { 20000, D } },
			"d14 R1; d34 R1; d48 R2" },
		{ "E2-boundary", DISARM_RESTART, 2, 2, { { 0, A }, { 14000, D } },
			"d28 R1; d42 R2" },
		{ "U1-return", DISARM_STOP, 1, 2, { { 0, AD }, { 10000, AD } }, "d24 R1" },
		{ "U2-done", DISARM_STOP, 1, 2, { { 0, A }, { 3000, D } }, "" },
		{ "U3-later", DISARM_STOP, 1, 2, { { 0, A, 1 }, { 2000, D, 2 } }, "" },
		{ "U3-same-receipt", DISARM_STOP, 1, 2, { { 0, D, 1 }, { 1, A, 1 } }, "" },
		{ "U5-invited", DISARM_STOP, 1, 2, { { 0, A }, { 13000, D } }, "" },
		{ "U6-registered", DISARM_STOP, 1, 2, { { 0, A }, { 1000, D } }, "" },
		/* ours */
		{ "step", DISARM_RESTART_STEP, 2, 2, { { 0, A }, { 20000, D } }, "d14 R1; d34 R2" },
		{ "step-early", DISARM_RESTART_STEP, 2, 2, { { 0, A }, { 5000, D } },
			"d19 R1; d33 R2" },
		{ "stop-between", DISARM_STOP, 2, 2, { { 0, A }, { 20000, D } }, "d14 R1" },
		{ "ignore", DISARM_IGNORE, 2, 2, { { 0, A }, { 5000, D } }, "d14 R1; d28 R2" },
		{ "after-end", DISARM_RESTART, 2, 2, { { 0, A }, { 30000, D } }, "d14 R1; d28 R2" },
		{ "never-armed", DISARM_RESTART, 2, 1, { { 5000, D } }, "" },
		{ "first-only", DISARM_STOP, 1, 2, { { 0, AD }, { 10000, D } }, "" },
		{ "U3-other-receipt-then-same", DISARM_STOP, 1, 3,
			{ { 0, A, 1 }, { 2000, D, 2 }, { 2001, A, 2 } }, "" },
		{ "again-ignored", DISARM_STOP, 1, 2, { { 0, A }, { 7000, A } }, "d14 R1" },
		{ "armed-after-end", DISARM_STOP, 1, 2, { { 0, A }, { 15000, A } },
			"d14 R1; d29 R1" },
		{ "rearmed-after-stop", DISARM_STOP, 1, 3, { { 0, A }, { 3000, D }, { 4000, A } },
			"d18 R1" },
		{ "same-instant", DISARM_STOP, 1, 2, { { 0, D }, { 0, A } }, "" },
		{ "last-moment", DISARM_STOP, 2, 2, { { 0, A }, { 28000, D } }, "d14 R1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		offer_make(row[i].steps, row[i].then);
		expect(row[i].id, row[i].h, row[i].n, row[i].sends);
	}
}

static void test_restarts_at_most(void **state)
{
	static const struct happens h[] = { { 0, A }, { 5000, D }, { 10000, D }, { 12000, D } };

	(void)state;
	offer_make(1, DISARM_RESTART);
	conf.restarts_at_most = 2;
	expect("twice", h, 3, "d24 R1");
	expect("once too often", h, 4, "");
}

static void test_again_restart_and_parallel(void **state)
{
	static const struct happens h[] = { { 0, A, 0, 7 }, { 5000, A, 0, 8 }, { 6000, D, 0, 7 } };

	(void)state;
	offer_make(1, DISARM_STOP);
	conf.again = AGAIN_RESTART;
	expect("restart", (struct happens[]){ { 0, A }, { 5000, A } }, 2, "d19 R1");
	conf.again = AGAIN_PARALLEL;
	expect("each by itself", (struct happens[]){ { 0, A }, { 5000, A } }, 2, "d14 R1; d19 R1");
	offer.key_attr = ATTR_receipt;
	expect("two keys", h, 2, "d14 R1; d19 R1");
	expect("one of them ends", h, 3, "d19 R1");
	expect("all end", (struct happens[]){ { 0, A, 0, 7 }, { 5000, A, 0, 8 }, { 6000, D } }, 3,
		"");
}

static void test_only_the_receipt_that_armed_disarms(void **state)
{
	(void)state;
	offer_make(1, DISARM_STOP);
	conf.same_receipt_only = true;
	expect("another", (struct happens[]){ { 0, A, 1 }, { 5000, D, 2 } }, 2, "d14 R1");
	expect("none", (struct happens[]){ { 0, A, 1 }, { 5000, D } }, 2, "d14 R1");
	expect("that", (struct happens[]){ { 0, A, 1 }, { 5000, D, 1 } }, 2, "");
}

static void test_a_refund_rearms_only_where_the_offer_says_so(void **state)
{
	static const struct happens h[] = { { 0, A }, { 5000, D | MARK_REFUNDED, 1 } };

	(void)state;
	offer_make(1, DISARM_STOP);
	expect("no", h, 2, "");
	conf.rearm_on_refund = true;
	expect("yes", h, 2, "d14 R1");
}

static unsigned random_state = 1;
static unsigned any(unsigned n)
{
	random_state = random_state * 1103515245u + 12345u;
	return (random_state >> 16) % n;
}

static void test_EV_3_every_order_and_repetition_gives_the_same(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		struct mark m[MARKS_MOST], p[MARKS_MOST * 2];
		struct leaves first[SENDS_MOST], out[SENDS_MOST];
		unsigned n = 1 + any(8), k, first_k = 0;

		offer_make(1 + any(2), (int)any(4));
		conf.again = (int)any(4);
		offer.key_attr = any(2) ? ATTR_receipt : -1;
		offer.arms = any(2) ? 1 : 2;
		offer.disarms = 1;
		conf.restarts_at_most = (int)any(3);
		conf.rearm_on_refund = any(2);
		for (unsigned i = 0; i < n; i++)
			m[i] = (struct mark){ .occurred = day_0 + any(30) * DUR_DAY,
				.kind = 1 + any(3) + (any(6) ? 0 : MARK_REFUNDED),
				.receipt = any(4),
				.key = offer.key_attr < 0 ? 0 : any(3) };
		for (unsigned turn = 0; turn < 6; turn++) {
			/* another order of arrival, which is what seq says */
			for (unsigned i = 0; i < n; i++) {
				unsigned j = i + any(n - i);
				struct mark t = m[i];

				m[i] = m[j];
				m[j] = t;
			}
			for (unsigned i = 0; i < n; i++)
				m[i].seq = i + 1;
			memcpy(p, m, n * sizeof *m);
			marks_sort(p, n);
			k = sends(p, n, zone_utc(), out);
			if (turn == 0) {
				memcpy(first, out, sizeof out);
				first_k = k;
			}
			assert_int_equal(k, first_k);
			for (unsigned i = 0; i < k; i++)
				if (out[i].at != first[i].at || out[i].step != first[i].step)
					fail_msg("round %u, turn %u: %u at %lld, first %lld", round,
						turn, i, (long long)out[i].at,
						(long long)first[i].at);
		}
	}
}

static void test_a_state_stands_for_the_marks_before_it(void **state)
{
	struct mark m[2] = { { .occurred = day_0, .seq = 9, .kind = MARK_STATE | 1 << 8 | 3 << 16 },
		{ .occurred = day_0 + DUR_DAY, .seq = 12, .kind = D } };
	struct chain_run run[CHAIN_RUNS_MOST];

	(void)state;
	offer_make(2, DISARM_RESTART);
	assert_int_equal(chain_fold(&offer, zone_utc(), m, 1, run), 1);
	assert_int_equal(run[0].run, 9);
	assert_int_equal(run[0].due[0], 0);
	assert_int_equal(run[0].due[1], day_0 + 14 * DUR_DAY);
	assert_int_equal(chain_fold(&offer, zone_utc(), m, 2, run), 2);
	assert_int_equal(run[1].restarts, 4);
	assert_int_equal(run[1].due[1], day_0 + 29 * DUR_DAY);
}

static void test_CN_31_daylight_saving_keeps_the_wall_clock(void **state)
{
	static const struct {
		const char *armed, *due;
	} row[] = {
		{ "2026-03-20T10:00:00+02:00", "2026-04-03T10:00:00+03:00" },
		{ "2026-10-20T10:00:00+03:00", "2026-11-03T10:00:00+02:00" },
		/* 03:30 does not exist on 29 March, and is twice on 25 October */
		{ "2026-03-15T03:30:00+02:00", "2026-03-29T04:00:00+03:00" },
		{ "2026-10-11T03:30:00+03:00", "2026-10-25T03:30:00+03:00" },
	};
	struct err e = { 0 };
	const struct zone *riga = zone_find(STR("Europe/Riga"), &e);

	(void)state;
	assert_non_null(riga);
	offer_make(1, DISARM_STOP);
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct mark m = { .seq = 1, .kind = A };
		struct chain_run run[CHAIN_RUNS_MOST];
		wall_t due;

		assert_true(clock_parse_rfc3339(str_of(row[i].armed), &m.occurred));
		assert_true(clock_parse_rfc3339(str_of(row[i].due), &due));
		assert_int_equal(chain_fold(&offer, riga, &m, 1, run), 1);
		assert_int_equal(run[0].due[0], due);
	}
}

static void test_windows_and_settling_do_not_drift(void **state)
{
	struct window w;
	struct mark m = { .seq = 1, .kind = A, .occurred = day_0 + 12 * DUR_HOUR }; /* 22:00 */
	struct chain_run run[CHAIN_RUNS_MOST];

	(void)state;
	assert_null(window_parse(STR("10:00-20:00"), &w));
	offer_make(2, DISARM_STOP);
	steps[0].windows = steps[1].windows = &w;
	steps[0].windows_n = steps[1].windows_n = 1;
	offer.settle = (struct span){ .exact = 2 * DUR_HOUR };
	assert_int_equal(chain_fold(&offer, zone_utc(), &m, 1, run), 1);
	assert_int_equal(run[0].due[0], day_0 + 15 * DUR_DAY + 2 * DUR_HOUR);
	assert_int_equal(run[0].due[1], day_0 + 29 * DUR_DAY + 2 * DUR_HOUR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_CN_1_to_24_vectors),
		cmocka_unit_test(test_restarts_at_most),
		cmocka_unit_test(test_again_restart_and_parallel),
		cmocka_unit_test(test_only_the_receipt_that_armed_disarms),
		cmocka_unit_test(test_a_refund_rearms_only_where_the_offer_says_so),
		cmocka_unit_test(test_EV_3_every_order_and_repetition_gives_the_same),
		cmocka_unit_test(test_a_state_stands_for_the_marks_before_it),
		cmocka_unit_test(test_CN_31_daylight_saving_keeps_the_wall_clock),
		cmocka_unit_test(test_windows_and_settling_do_not_drift),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
