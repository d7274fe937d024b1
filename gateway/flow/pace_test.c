/* Pace: the agreed rate holds, throttling cuts and pauses, quiet time restores. */
#include "gateway/flow/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

/* Sends as fast as the pace lets it for `span`; returns how many went. */
static unsigned run(struct pace *p, mono_t *now, dur_t span)
{
	mono_t end = *now + span;
	unsigned n = 0;

	while (*now < end) {
		dur_t wait = pace_wait(p, *now);

		if (wait) {
			*now += wait;
			continue;
		}
		pace_take(p, 1, *now);
		n++;
		*now += 10 * DUR_US;
	}
	return n;
}

static void test_agreed(void **state)
{
	struct pace p;
	mono_t now = DUR_S;
	unsigned n;

	pace_init(&p, 50, now);
	n = run(&p, &now, 10 * DUR_S);
	assert_in_range(n, 490, 510);
}

static void test_long_message_is_paid(void **state)
{
	struct pace p;
	mono_t now = DUR_S;

	pace_init(&p, 10, now);
	now += DUR_S;
	assert_int_equal(pace_wait(&p, now), 0);
	pace_take(&p, 5, now);
	assert_in_range(pace_wait(&p, now), 400 * DUR_MS, 600 * DUR_MS);
}

static void test_throttled(void **state)
{
	struct pace p;
	mono_t now = DUR_S;

	pace_init(&p, 0, now);
	run(&p, &now, 2 * DUR_S);
	assert_true(p.seen > 1000);
	pace_throttled(&p, 0, now);
	assert_true(pace_rate(&p) > 0 && pace_rate(&p) < p.seen);
	assert_in_range(pace_wait(&p, now), 1, DUR_S);
	{
		double once = pace_rate(&p);

		pace_throttled(&p, 0, now + 100 * DUR_MS); /* what was in flight: no second cut */
		assert_true(pace_rate(&p) == once);
		now += 2 * DUR_S;
		pace_throttled(&p, 0, now);
		assert_true(pace_rate(&p) < once);
	}
	for (int i = 0; i < 70; i++) {
		now += DUR_S;
		pace_wait(&p, now);
	}
	assert_true(pace_rate(&p) == 0);
}

static void test_never_over_agreed(void **state)
{
	struct pace p;
	mono_t now = DUR_S;

	pace_init(&p, 100, now);
	run(&p, &now, DUR_S);
	pace_throttled(&p, 3 * DUR_S, now);
	assert_in_range(pace_wait(&p, now), 2 * DUR_S, 3 * DUR_S);
	now += 3 * DUR_S;
	assert_in_range(run(&p, &now, 1 * DUR_S), 40, 70);
	for (int i = 0; i < 100; i++) {
		now += DUR_S;
		pace_wait(&p, now);
	}
	assert_true(pace_rate(&p) == 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agreed),
		cmocka_unit_test(test_long_message_is_paid),
		cmocka_unit_test(test_throttled),
		cmocka_unit_test(test_never_over_agreed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
