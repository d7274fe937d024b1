/* The hash map against a plain table, with much coming and going. */
#include "gateway/base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void strings(void **state)
{
	struct map m = MAP_INIT;
	int a = 1, b = 2;
	size_t i = 0;

	assert_null(map_get(&m, STR("x")));
	assert_null(map_del(&m, STR("x")));
	assert_null(map_next(&m, &i));
	assert_null(map_put(&m, STR("x"), &a));
	assert_null(map_put(&m, STR(""), &b));
	assert_null(map_put(&m, STR("x\0y"), &b));
	assert_ptr_equal(map_get(&m, STR("x")), &a);
	assert_ptr_equal(map_get(&m, STR("")), &b);
	assert_ptr_equal(map_put(&m, STR("x"), &b), &a);
	assert_int_equal(m.count, 3);
	assert_ptr_equal(map_del(&m, STR("x")), &b);
	assert_null(map_get(&m, STR("x")));
	assert_ptr_equal(map_get(&m, STR("x\0y")), &b);
	map_free(&m);
	assert_int_equal(m.cap, 0);
}

enum { KEYS = 5000, STEPS = 200000 };

static void churn(void **state)
{
	static struct {
		char text[16];
		bool in_str, in_num;
	} ref[KEYS];
	struct map by_str = MAP_INIT, by_num = MAP_INIT;
	size_t n_str = 0, n_num = 0, seen = 0, i = 0;

	srand(7);
	for (int k = 0; k < KEYS; k++)
		snprintf(ref[k].text, sizeof ref[k].text, "key-%d", k);
	for (int s = 0; s < STEPS; s++) {
		int k = rand() % KEYS;
		struct str key = str_of(ref[k].text);

		if (rand() % 2) {
			assert_ptr_equal(
				map_put(&by_str, key, &ref[k]), ref[k].in_str ? &ref[k] : NULL);
			n_str += !ref[k].in_str;
			ref[k].in_str = true;
		} else {
			assert_ptr_equal(map_del(&by_str, key), ref[k].in_str ? &ref[k] : NULL);
			n_str -= ref[k].in_str;
			ref[k].in_str = false;
		}
		k = rand() % KEYS;
		if (rand() % 2) {
			map_put_u64(&by_num, (uint64_t)k << 40, &ref[k]);
			n_num += !ref[k].in_num;
			ref[k].in_num = true;
		} else {
			map_del_u64(&by_num, (uint64_t)k << 40);
			n_num -= ref[k].in_num;
			ref[k].in_num = false;
		}
	}
	assert_int_equal(by_str.count, n_str);
	assert_int_equal(by_num.count, n_num);
	assert_true(by_str.cap <= 4 * KEYS);
	for (int k = 0; k < KEYS; k++) {
		assert_ptr_equal(
			map_get(&by_str, str_of(ref[k].text)), ref[k].in_str ? &ref[k] : NULL);
		assert_ptr_equal(
			map_get_u64(&by_num, (uint64_t)k << 40), ref[k].in_num ? &ref[k] : NULL);
	}
	/* Removing what iteration just returned. */
	for (void *v; (v = map_next(&by_num, &i)); seen++) {
		int k = 0;

		while (&ref[k] != v)
			k++;
		assert_ptr_equal(map_del_u64(&by_num, (uint64_t)k << 40), v);
	}
	assert_int_equal(seen, n_num);
	assert_int_equal(by_num.count, 0);
	map_free(&by_str);
	map_free(&by_num);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(strings), cmocka_unit_test(churn) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
