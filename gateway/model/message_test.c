/* Messages: fields, packing, damage, references; states and reasons. */
#include "gateway/base/mem.h"
#include "gateway/model/message.h"
#include "gateway/model/outcome.h"
#include "gateway/model/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct message *sample(void)
{
	struct draft d;
	struct message *m;
	static char big[70000];

	memset(big, 'x', sizeof big);
	draft_init(&d);
	d.head.media = MEDIA_SMS;
	d.head.sms.data_coding = 8;
	d.head.expires = 123456789;
	draft_put(&d, FIELD_TO, STR("46700000001"));
	draft_put(&d, FIELD_FROM, STR("Shop"));
	draft_put(&d, FIELD_SUBJECT, STR(""));
	draft_put(&d, FIELD_TEXT, str_n(big, sizeof big));
	m = draft_seal(&d);
	draft_free(&d);
	return m;
}

static void test_fields(void **state)
{
	struct message *m = sample();

	assert_true(str_is(message_get(m, FIELD_TO), "46700000001"));
	assert_int_equal(message_get(m, FIELD_TEXT).n, 70000);
	assert_false(message_has(m, FIELD_SUBJECT));
	assert_int_equal(message_get(m, FIELD_HTML).n, 0);
	message_unref(&m);
	assert_null(m);
}

static void test_pack(void **state)
{
	struct message *m = sample(), *again;
	struct buf b = BUF_INIT;

	message_pack(m, &b);
	again = message_unpack(buf_view(&b));
	assert_non_null(again);
	assert_int_equal(again->sms.data_coding, 8);
	assert_int_equal(again->expires, 123456789);
	assert_true(message_fingerprint(again) == message_fingerprint(m));
	for (size_t cut = 1; cut < 60; cut++)
		assert_null(message_unpack(str_n(b.p, b.n - cut)));
	b.p[0] = 9;
	assert_null(message_unpack(buf_view(&b)));
	buf_free(&b);
	message_unref(&again);
	message_unref(&m);
}

static void test_states(void **state)
{
	enum state s;

	assert_true(state_parse(STR("undeliverable"), &s) && s == STATE_UNDELIVERABLE);
	assert_true(state_may(STATE_QUEUED, STATE_SENT));
	assert_true(state_may(STATE_UNKNOWN, STATE_DELIVERED));
	assert_true(state_may(STATE_EXPIRED, STATE_DELIVERED));
	assert_true(state_may(STATE_DELIVERED, STATE_READ));
	assert_false(state_may(STATE_DELIVERED, STATE_EXPIRED));
	assert_false(state_may(STATE_CANCELLED, STATE_DELIVERED));
	assert_false(state_may(STATE_SENT, STATE_CANCELLED));
	assert_false(state_may(STATE_SENT, STATE_QUEUED));
}

static void test_reasons(void **state)
{
	struct outcome o = outcome_words(REASON_THROTTLED, "ESME_RTHROTTLED (0x%02x)", 0x58u);

	assert_int_equal(o.verdict, VERDICT_RETRY);
	assert_int_equal(o.scope, SCOPE_CHANNEL);
	assert_string_equal(o.words, "ESME_RTHROTTLED (0x58)");
	assert_string_equal(reason_word(REASON_NO_ROUTE), "no_route");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_pack),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
