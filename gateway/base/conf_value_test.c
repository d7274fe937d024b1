/* Durations, sizes and words as text. */
#include "gateway/base/conf_sample.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SECOND  INT64_C(1000000000)
#define N_OF(a) (sizeof(a) / sizeof *(a))

static void durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ns; /* -1: refused */
	} cases[] = {
		{ "250ms", SECOND / 4 },
		{ "30s", 30 * SECOND },
		{ "14d", 14 * 86400 * SECOND },
		{ "72h", 72 * 3600 * SECOND },
		{ "2w", 14 * 86400 * SECOND },
		{ "14 days", 14 * 86400 * SECOND },
		{ "1 minute", 60 * SECOND },
		{ "1h30m", 5400 * SECOND },
		{ " 1 h 30 min ", 5400 * SECOND },
		{ "1.5h", 5400 * SECOND },
		{ "0.000000001s", 1 },
		{ "7us", 7000 },
		{ "0", 0 },
		{ "0s", 0 },
		{ "15250w", INT64_C(15250) * 7 * 86400 * SECOND },
		{ "15251w", -1 },
		{ "15250w 15250w", -1 },
		{ "9223372036854775808ns", -1 },
		{ "99999999999999999999999999999999999999999s", -1 },
		{ "0.0000000001s", -1 },
		{ "", -1 },
		{ "30", -1 },
		{ "s", -1 },
		{ "-1s", -1 },
		{ "1.s", -1 },
		{ "3 months", -1 },
		{ "30S", -1 },
		{ "30s x", -1 },
		{ "30s|m", -1 },
		{ "3hours|", -1 },
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		const char *why = NULL;
		int64_t ns = -1;
		int rc = conf_parse_duration(str_of(cases[i].text), &ns, &why);

		if (ns != cases[i].ns || (rc == 0) != (cases[i].ns >= 0) || (rc != 0) != !!why)
			fail_msg("\"%s\": %d, %lld, %s", cases[i].text, rc, (long long)ns,
				why ? why : "-");
	}
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		int64_t n;
	} cases[] = {
		{ "64KiB", 65536 },
		{ "10 MB", 10000000 },
		{ "512B", 512 },
		{ "1.5MiB", 1572864 },
		{ "2GiB", INT64_C(2) << 30 },
		{ "0", 0 },
		{ "64K", -1 },
		{ "64", -1 },
		{ "", -1 },
		{ "1KiB 1B", -1 },
		{ "9999999999TiB", -1 },
		{ "-1B", -1 },
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		const char *why = NULL;
		int64_t n = -1;
		int rc = conf_parse_size(str_of(cases[i].text), &n, &why);

		if (n != cases[i].n || (rc == 0) != (cases[i].n >= 0))
			fail_msg("\"%s\": %d, %lld, %s", cases[i].text, rc, (long long)n,
				why ? why : "-");
	}
}

static void words(void **state)
{
	int v = -1;

	assert_true(conf_word_value(sample_levels, STR("info"), &v));
	assert_int_equal(v, LEVEL_INFO);
	assert_false(conf_word_value(sample_levels, STR("inf"), &v));
	assert_string_equal(conf_word_of(sample_levels, LEVEL_ERROR), "error");
	assert_null(conf_word_of(sample_levels, 77));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations),
		cmocka_unit_test(sizes),
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
