/* The store by its contract: every operation, in memory and over a restart. */
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

static uint64_t waiting(unsigned priority)
{
	struct store_depth d[8];
	bool counted;
	unsigned n = store_depths(fx.s, d, 8, &counted);

	for (unsigned i = 0; i < n; i++)
		if (d[i].channel == CH)
			return d[i].waiting[priority];
	return 0;
}

/* ---- a message's life ------------------------------------------------------------------------ */

static void test_life(void **state)
{
	struct place place;
	uint64_t id = fx_accept((struct fx_msg){ .wants = WANT_DELIVERED, .text = "hej" }, &place);
	struct store_op *op;
	struct store_view v;
	struct err e = { 0 };
	uint64_t seq;

	assert_true(id < INT64_MAX);
	assert_int_equal(place.channel, CH);
	assert_int_equal(fx_state(id), STATE_QUEUED);
	assert_int_equal(waiting(PRIORITY_HIGH), 1);
	fx_sent(id, place, "f1");
	assert_int_equal(fx_state(id), STATE_SENT);
	assert_int_equal(waiting(PRIORITY_HIGH), 0);
	op = fx_receipt("f1", "46700000001", STATE_DELIVERED);
	assert_true(op->receipt.matched);
	assert_true(op->receipt.applied);
	assert_int_equal(op->receipt.id, id);
	assert_int_equal(op->receipt.now, STATE_DELIVERED);
	fx_free(op);
	assert_int_equal(fx.notes, 1);
	assert_int_equal(fx.note[0]->kind, NOTE_RECEIPT);
	assert_int_equal(fx.note[0]->state, STATE_DELIVERED);
	assert_int_equal(fx.note[0]->outlet, SUB);
	assert_string_equal(fx.note[0]->to, "46700000001");
	assert_int_equal(fx.note[0]->parts_delivered, 1);
	assert_int_equal(store_notes_waiting(fx.s, SUB), 1);
	seq = fx.note[0]->seq;
	op = fx_op(OP_NOTED);
	op->noted.outlet = SUB;
	op->noted.seq = seq;
	fx_free(fx_do(op));
	assert_int_equal(store_notes_waiting(fx.s, SUB), 0);
	assert_int_equal(store_find(fx.s, id, true, &v, &e), 1);
	assert_int_equal(v.state, STATE_DELIVERED);
	assert_string_equal(v.far_id, "f1");
	assert_string_equal(v.from, "Shop");
	assert_non_null(v.msg);
	assert_true(str_is(message_get(v.msg, FIELD_TEXT), "hej"));
	assert_int_equal(v.history_n, 3);
	assert_string_equal(v.history[0].what, "accepted");
	assert_string_equal(v.history[2].what, "delivered");
	store_view_free(&v);
	assert_int_equal(store_find(fx.s, id + 1, false, &v, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, in_memory, over),
	};
	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
