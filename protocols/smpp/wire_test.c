/* The unanswered requests of a wire: numbers, places, order, growth. The rest of it is tested by
 * the sessions that stand on it (smpp_session_test.c). */
#include "protocols/smpp/wire.h"
#include "gateway/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct wire_stats stats;

static struct wire begin(struct loop *l)
{
	return (struct wire){ .loop = l, .stats = &stats };
}

static void *token(uintptr_t n)
{
	return (void *)n;
}

static void test_order(void **state)
{
	struct loop *l = loop_new("test");
	struct wire w = begin(l);
	uint32_t sequence[100];
	void *t;

	for (uintptr_t i = 0; i < 100; i++) {
		sequence[i] = wire_expect(&w, SMPP_SUBMIT_SM, token(i + 1));
		assert_int_equal(sequence[i], i + 1);
	}
	assert_int_equal(w.unanswered, 100);
	for (int i = 0; i < 100; i += 2)
		wire_forget(&w, sequence[i]);
	wire_forget(&w, sequence[0]); /* twice does no harm */
	wire_forget(&w, 4711);
	assert_int_equal(w.unanswered, 50);
	for (uintptr_t i = 1; i < 100; i += 2) {
		assert_true(wire_pop(&w, &t));
		assert_ptr_equal(t, token(i + 1));
	}
	assert_false(wire_pop(&w, &t));
	wire_close(&w, 0);
	loop_free(&l);
}

/* From 0x7fffffff to 1, never 0; what is still unanswered is left out. */
static void test_wrap(void **state)
{
	struct loop *l = loop_new("test");
	struct wire w = begin(l);
	uint32_t old;

	old = wire_expect(&w, SMPP_SUBMIT_SM, NULL);
	assert_int_equal(old, 1);
	w.sequence = 0x7ffffffd;
	assert_int_equal(wire_expect(&w, SMPP_SUBMIT_SM, NULL), 0x7ffffffe);
	assert_int_equal(wire_expect(&w, SMPP_SUBMIT_SM, NULL), 0x7fffffff);
	assert_int_equal(wire_expect(&w, SMPP_SUBMIT_SM, NULL), 2);
	assert_int_equal(w.unanswered, 4);
	wire_close(&w, 0);
	loop_free(&l);
}

/* Many thousands go by while a few are never answered: the table stays small, numbers unique. */
static void test_stragglers(void **state)
{
	struct loop *l = loop_new("test");
	struct wire w = begin(l);
	uint32_t window[50] = { 0 };

	for (int i = 0; i < 20; i++)
		wire_expect(&w, SMPP_SUBMIT_SM, token(1));
	srandom(1);
	for (int i = 0; i < 200000; i++) {
		uint32_t *slot = &window[random() % 50];

		if (*slot)
			wire_forget(&w, *slot);
		*slot = wire_expect(&w, SMPP_SUBMIT_SM, token(2));
		for (int k = 0; i % 1000 == 0 && k < 50; k++)
			assert_true(&window[k] == slot || window[k] != *slot);
	}
	assert_in_range(w.unanswered, 60, 70);
	assert_true(w.slots_n <= 256);
	wire_close(&w, 0);
	loop_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_stragglers),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
