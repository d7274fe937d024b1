/* Stats: counting from many threads, quantiles, and the Prometheus text. */
#include "gateway/base/stat.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void text(void **state)
{
	struct stat_cell a = { 0 }, b = { 0 }, g = { 0 };
	struct buf out = BUF_INIT;
	uint64_t v;

	stat_register(&b, STAT_COUNTER, "t_sent_total", "Sent.", "channel", "q\"u\\o\nte", "media",
		"sms", NULL);
	stat_register(&g, STAT_GAUGE, "t_depth", "Waiting\nnow.", NULL);
	stat_register(&a, STAT_COUNTER, "t_sent_total", "Sent.", "channel", "a", NULL);
	stat_add(&a, 5);
	stat_inc(&b);
	stat_set(&g, 42);
	stat_put_prometheus(&out);
	assert_string_equal(buf_cstr(&out),
		"# HELP t_depth Waiting\\nnow.\n"
		"# TYPE t_depth gauge\n"
		"t_depth 42\n"
		"# HELP t_sent_total Sent.\n"
		"# TYPE t_sent_total counter\n"
		"t_sent_total{channel=\"a\"} 5\n"
		"t_sent_total{channel=\"q\\\"u\\\\o\\nte\",media=\"sms\"} 1\n");
	assert_true(stat_lookup("t_sent_total", "channel=\"a\"", &v));
	assert_int_equal(v, 5);
	assert_true(stat_lookup("t_depth", NULL, &v));
	assert_false(stat_lookup("t_depth", "x=\"y\"", &v));
	stat_unregister(&b);
	stat_unregister(&b);
	stat_unregister(&a);
	stat_unregister(&g);
	buf_reset(&out);
	stat_put_prometheus(&out);
	assert_int_equal(out.n, 0);
	buf_free(&out);
}

static void histogram(void **state)
{
	struct stat_cell h = { 0 };
	struct buf out = BUF_INIT;

	assert_int_equal(stat_quantile(&h, 0.5), 0);
	stat_register(&h, STAT_HISTOGRAM, "t_seconds", "Took.", "c", "a", NULL);
	assert_int_equal(stat_quantile(&h, 0.5), 0);
	for (int i = 0; i < 98; i++)
		stat_observe(&h, 10 * DUR_US);
	stat_observe(&h, 16 * DUR_US + 1);
	stat_observe(&h, DUR_HOUR);
	assert_int_equal(stat_quantile(&h, 0.5), 16 * DUR_US);
	assert_int_equal(stat_quantile(&h, 0.99), 32 * DUR_US);
	assert_true(stat_quantile(&h, 1.0) > 67 * DUR_S);
	stat_put_prometheus(&out);
	buf_cstr(&out);
	assert_non_null(strstr(out.p, "# TYPE t_seconds histogram\n"
				      "t_seconds_bucket{c=\"a\",le=\"1.6e-05\"} 98\n"
				      "t_seconds_bucket{c=\"a\",le=\"3.2e-05\"} 99\n"));
	assert_non_null(strstr(out.p, "t_seconds_bucket{c=\"a\",le=\"+Inf\"} 100\n"
				      "t_seconds_sum{c=\"a\"} 3600.001\n"
				      "t_seconds_count{c=\"a\"} 100\n"));
	stat_unregister(&h);
	stat_observe(&h, 1); /* nobody listens, nothing breaks */
	buf_free(&out);
}

static struct stat_cell shared;

static void *count_up(void *arg)
{
	for (int i = 0; i < 10000; i++) {
		struct stat_cell own = { 0 };

		stat_inc(&shared);
		if (i % 100 == 0) {
			stat_register(&own, STAT_COUNTER, "t_own", "Own.", NULL);
			stat_unregister(&own);
		}
	}
	return NULL;
}

static void threads(void **state)
{
	pthread_t t[4];
	struct buf out = BUF_INIT;
	uint64_t v;

	stat_register(&shared, STAT_COUNTER, "t_shared", "Shared.", NULL);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, count_up, NULL);
	for (int i = 0; i < 50; i++) {
		buf_reset(&out);
		stat_put_prometheus(&out);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_true(stat_lookup("t_shared", "", &v));
	assert_int_equal(v, 40000);
	stat_unregister(&shared);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(text), cmocka_unit_test(histogram),
		cmocka_unit_test(threads) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
