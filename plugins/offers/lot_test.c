/* lot.h: the ledger as events tell it, in order and out of order, and what is left of it. */
#include "plugins/offers/lot.h"
#include "plugins/offers/member_fixture.h"

static unsigned serial;

/* An event about points at 2026-01-01T00:00 plus so many hours; data: JSON. */
static void tell(
	struct member *m, const char *type, int hours, const char *receipt, const char *data)
{
	struct event_reader how = {
		.source = STR("till"), .ahead = DUR_DAY, .too_far = 9 * DUR_DAY
	};
	struct json_faults f = { 0 };
	struct event *e = NULL;
	struct buf b = BUF_INIT;
	json_t *v;

	buf_printf(&b,
		"{\"id\":\"e%u\",\"type\":\"%s\",\"occurred_at\":\"2026-01-%02dT%02d:00:00Z\",",
		++serial, type, 1 + hours / 24, hours % 24);
	if (receipt)
		buf_printf(&b, "\"receipt\":\"%s\",", receipt);
	buf_printf(&b, "\"member\":{\"id\":\"%.*s\"},\"data\":%s}", STR_ARG(m->ext), data);
	v = json_read(buf_view(&b), &f);
	if (!v || event_read(v, mf.w.now, &how, &e, &f) != EVENT_OK)
		fail_msg("%.*s: %s %s", STR_ARG(buf_view(&b)), f.v[0].at, f.v[0].text);
	if (ledger_event(&mf.w, m, e))
		fail_msg("%s", mf.w.e.text);
	event_drop(&e);
	json_decref(v);
	buf_free(&b);
}

static void at(int hours)
{
	mf.w.now = (1767225600 + (int64_t)hours * 3600) * DUR_S;
	mf_unit();
}

static int64_t balance(const struct member *m, const char *code)
{
	uint32_t c = currency_number(&mf.w, str_of(code), false);
	int64_t v = 0;

	if (c)
		assert_true(balance_get(&mf.w, m->id, c, &v) >= 0);
	return v / DECIMAL_ONE;
}

static int64_t rest(const char *lot)
{
	char q[200];

	snprintf(
		q, sizeof q, "SELECT rest / 10000 FROM of_lot WHERE ext = '%s' AND state < 2", lot);
	return mf_number(q);
}

static void points_that_expire_first_are_spent_first(void **state)
{
	struct member *m = mf_member("m1");

	at(24);
	m = mf_member("m1");
	tell(m, "bonus.calculated", 1, NULL,
		"{\"amount\":60,\"currency\":\"bonus\",\"lots\":["
		"{\"id\":\"late\",\"amount\":10,\"expires_at\":\"2026-03-01T00:00:00Z\"},"
		"{\"id\":\"ever\",\"amount\":20},"
		"{\"id\":\"soon\",\"amount\":\"30.00\",\"expires_at\":\"2026-02-01T00:00:00Z\"}]}");
	tell(m, "bonus.calculated", 1, NULL, "{\"amount\":5,\"currency\":\"stars\"}");
	assert_int_equal(balance(m, "bonus"), 60);
	assert_int_equal(balance(m, "stars"), 5); /* never added together */
	tell(m, "bonus.deducted", 2, "r1", "{\"amount\":35,\"currency\":\"bonus\"}");
	assert_int_equal(rest("soon"), 0);
	assert_int_equal(rest("late"), 5);
	assert_int_equal(rest("ever"), 20);
	assert_int_equal(balance(m, "bonus"), 25);
	/* a lot that is named is taken from, wherever it stands */
	tell(m, "bonus.deducted", 3, "r2",
		"{\"amount\":4,\"currency\":\"bonus\",\"lots\":[{\"id\":\"ever\",\"amount\":4}]}");
	assert_int_equal(rest("ever"), 16);
	assert_int_equal(balance(m, "bonus"), 21);
	/* the receipt is cancelled: all of it comes back, once */
	tell(m, "purchase.cancelled", 4, "r1", "{}");
	tell(m, "purchase.cancelled", 4, "r1", "{}");
	assert_int_equal(balance(m, "bonus"), 56);
	assert_int_equal(rest("soon"), 30);
	assert_int_equal(rest("late"), 10);
	assert_int_equal(rest("ever"), 16);
}

/* As GET /v1/members/ID has it; the days may have come before the sweep. */
static void lots_are_shown_as_they_are_now(void **state)
{
	struct member *m = mf_member("m1");
	uint64_t id = m->id; /* m is of its unit of work */
	struct buf b = BUF_INIT;

	tell(m, "bonus.calculated", 0, NULL,
		"{\"amount\":60,\"currency\":\"bonus\",\"lots\":["
		"{\"id\":\"now\",\"amount\":\"10.5\"},"
		"{\"id\":\"soon\",\"amount\":20,\"expires_at\":\"2026-01-03T00:00:00Z\"},"
		"{\"id\":\"then\",\"amount\":30,\"activates_at\":\"2026-01-04T00:00:00Z\","
		"\"expires_at\":\"2026-02-01T00:00:00Z\"}]}");
	tell(m, "bonus.lot", 0, NULL,
		"{\"lot\":\"no\",\"amount\":5,\"currency\":\"bonus\",\"void\":true}");
	tell(m, "bonus.deducted", 0, "r1", "{\"amount\":4,\"currency\":\"bonus\"}");
	assert_int_equal(ledger_show(&mf.w, id, &b), 0);
	assert_string_equal(buf_cstr(&b),
		",\"balances\":[{\"currency\":\"bonus\",\"amount\":\"26.5\"}],\"lots\":["
		"{\"lot\":\"soon\",\"currency\":\"bonus\",\"amount\":\"20\",\"left\":\"16\","
		"\"state\":"
		"\"active\",\"activates_at\":null,\"expires_at\":\"2026-01-03T00:00:00.000Z\"},"
		"{\"lot\":\"then\",\"currency\":\"bonus\",\"amount\":\"30\",\"left\":\"30\","
		"\"state\":"
		"\"scheduled\",\"activates_at\":\"2026-01-04T00:00:00.000Z\",\"expires_at\":"
		"\"2026-02-01T00:00:00.000Z\"},"
		"{\"lot\":\"now\",\"currency\":\"bonus\",\"amount\":\"10.5\",\"left\":\"10.5\","
		"\"state\":\"active\",\"activates_at\":null,\"expires_at\":null},"
		"{\"lot\":\"no\",\"currency\":\"bonus\",\"amount\":\"5\",\"left\":\"5\",\"state\":"
		"\"void\",\"activates_at\":null,\"expires_at\":null}]");
	at(96);
	buf_reset(&b);
	assert_int_equal(ledger_show(&mf.w, id, &b), 0);
	assert_non_null(strstr(buf_cstr(&b), "\"bonus\",\"amount\":\"40.5\"}"));
	assert_non_null(
		strstr(b.p, "{\"lot\":\"soon\",\"currency\":\"bonus\",\"amount\":\"20\",\"left\":"
			    "\"16\",\"state\":\"expired\""));
	assert_non_null(strstr(b.p, "\"left\":\"30\",\"state\":\"active\""));
	buf_free(&b);
}

static void the_last_word_on_a_receipt_counts(void **state)
{
	struct member *m;

	at(24);
	m = mf_member("m1");
	for (int i = 1; i <= 5; i++) {
		char data[80];

		snprintf(data, sizeof data, "{\"amount\":%d,\"currency\":\"bonus\"}", 10 * i);
		tell(m, "bonus.calculated", i, "r1", data);
		assert_int_equal(balance(m, "bonus"), 10 * i);
	}
	/* an earlier word that comes late changes nothing */
	tell(m, "bonus.calculated", 2, "r1", "{\"amount\":20,\"currency\":\"bonus\"}");
	assert_int_equal(balance(m, "bonus"), 50);
	/* other lots for the same receipt: those before are none */
	tell(m, "bonus.calculated", 7, "r1",
		"{\"amount\":7,\"currency\":\"bonus\",\"lots\":[{\"id\":\"a\",\"amount\":7}]}");
	assert_int_equal(balance(m, "bonus"), 7);
	tell(m, "bonus.calculated", 7, "r2", "{\"amount\":1,\"currency\":\"bonus\"}");
	assert_int_equal(balance(m, "bonus"), 8);
	tell(m, "purchase.cancelled", 8, "r1", "{}");
	assert_int_equal(balance(m, "bonus"), 1);
	assert_int_equal(rest("a"), -1);
	/* a word from before the cancelling that comes after it */
	tell(m, "bonus.calculated", 6, "r1", "{\"amount\":70,\"currency\":\"bonus\"}");
	assert_int_equal(balance(m, "bonus"), 1);
}

static void lots_come_and_go_with_their_days(void **state)
{
	struct member *m;
	bool left;

	at(0);
	m = mf_member("m1");
	tell(m, "bonus.calculated", 0, NULL,
		"{\"amount\":30,\"currency\":\"bonus\",\"lots\":[{\"id\":\"a\",\"amount\":30,"
		"\"activates_at\":\"2026-01-02T00:00:00Z\",\"expires_at\":\"2026-01-05T00:00:00Z\"}"
		"]}");
	assert_int_equal(balance(m, "bonus"), 0);
	at(23);
	m = mf_member("m1");
	assert_int_equal(balance(m, "bonus"), 0);
	at(24); /* right at once, swept or not */
	m = mf_member("m1");
	assert_int_equal(balance(m, "bonus"), 30);
	assert_int_equal(mf_number("SELECT count(*) FROM of_balance"), 0);
	assert_int_equal(ledger_sweep(&mf.w, 0, 0, &left), 0);
	assert_false(left);
	assert_int_equal(balance(m, "bonus"), 30);
	assert_int_equal(mf_number("SELECT amount FROM of_balance"), 300000);
	at(95);
	m = mf_member("m1");
	assert_int_equal(balance(m, "bonus"), 30);
	at(96);
	m = mf_member("m1");
	assert_int_equal(balance(m, "bonus"), 0);
	assert_int_equal(ledger_sweep(&mf.w, 0, 0, &left), 0);
	assert_int_equal(balance(m, "bonus"), 0);
	assert_int_equal(mf_number("SELECT amount FROM of_balance"), 0);
	/* spent between activation and sweep */
	tell(m, "bonus.lot", 97, NULL,
		"{\"lot\":\"b\",\"amount\":10,\"currency\":\"bonus\","
		"\"activates_at\":\"2026-01-05T04:00:00Z\"}");
	at(101);
	m = mf_member("m1");
	tell(m, "bonus.deducted", 101, NULL, "{\"amount\":4,\"currency\":\"bonus\"}");
	assert_int_equal(balance(m, "bonus"), 6);
	assert_int_equal(ledger_sweep(&mf.w, 0, 0, &left), 0);
	assert_int_equal(balance(m, "bonus"), 6);
	/* prolonged, then void; older words stay without effect */
	tell(m, "bonus.lot", 103, NULL, "{\"lot\":\"b\",\"void\":true}");
	assert_int_equal(balance(m, "bonus"), 0);
	tell(m, "bonus.lot", 102, NULL, "{\"lot\":\"b\",\"amount\":99}");
	assert_int_equal(balance(m, "bonus"), 0);
	assert_int_equal(rest("b"), -1);
}

/* What was spent of a lot before it ended, told in any order after the lot itself. */
static void what_was_spent_of_a_lot_before_its_end_is_not_taken_twice(void **state)
{
	static const char named[] =
		"{\"amount\":20,\"currency\":\"bonus\",\"lots\":[{\"id\":\"a\",\"amount\":20}]}";
	static const char bare[] = "{\"amount\":20,\"currency\":\"bonus\"}";
	static const char gone[] = "{\"lot\":\"a\",\"void\":true}";
	static const char lots[] = "{\"amount\":100,\"currency\":\"bonus\",\"lots\":["
				   "{\"id\":\"a\",\"amount\":60,\"expires_at\":\"%s\"},"
				   "{\"id\":\"b\",\"amount\":40}]}";

	for (unsigned i = 0; i < 8; i++) {
		const char *spent = i & 1 ? named : bare;
		bool late = i & 2, expires = i & 4;
		struct member *m;
		char told[300];

		mf_end(state);
		mf_begin(state);
		at(1);
		m = mf_member("m1");
		snprintf(told, sizeof told, lots,
			expires ? "2026-01-02T00:00:00Z" : "2026-03-01T00:00:00Z");
		tell(m, "bonus.calculated", 0, NULL, told);
		at(20);
		m = mf_member("m1");
		if (!late)
			tell(m, "bonus.deducted", 2, "r1", spent);
		at(48);
		m = mf_member("m1");
		if (!expires)
			tell(m, "bonus.lot", 24, NULL, gone);
		else
			assert_int_equal(ledger_sweep(&mf.w, 0, 0, &(bool){ false }), 0);
		if (late)
			tell(m, "bonus.deducted", 2, "r1", spent);
		if (balance(m, "bonus") != 40 || rest("b") != 40)
			fail_msg("%u: %lld left, of b %lld", i, (long long)balance(m, "bonus"),
				(long long)rest("b"));
		/* and the receipt that comes to nothing gives nothing back of what is over */
		tell(m, "purchase.cancelled", 30, "r1", "{}");
		if (balance(m, "bonus") != 40 || rest("b") != 40)
			fail_msg("%u, cancelled: %lld left", i, (long long)balance(m, "bonus"));
	}
	/* its end is all that was heard of it */
	mf_end(state);
	mf_begin(state);
	at(48);
	tell(mf_member("m1"), "bonus.lot", 24, NULL, gone);
	tell(mf_member("m1"), "bonus.deducted", 2, "r1", named);
	assert_int_equal(balance(mf_member("m1"), "bonus"), 0);
}

static void what_the_platform_says_of_a_balance_wins(void **state)
{
	struct member *m;
	struct balance *v;
	size_t n;

	at(48);
	m = mf_member("m1");
	tell(m, "balance.requested", 5, NULL,
		"{\"balances\":[{\"currency\":\"bonus\",\"amount\":300},"
		"{\"currency\":\"stars\",\"amount\":\"52\"}]}");
	tell(m, "bonus.deducted", 4, NULL,
		"{\"amount\":100,\"currency\":\"bonus\"}"); /* is in it */
	assert_int_equal(balance(m, "bonus"), 300);
	tell(m, "bonus.deducted", 6, NULL, "{\"amount\":100,\"currency\":\"bonus\"}");
	assert_int_equal(balance(m, "bonus"), 200);
	tell(m, "balance.requested", 3, NULL,
		"{\"balances\":[{\"currency\":\"bonus\",\"amount\":1}]}");
	assert_int_equal(balance(m, "bonus"), 200);
	assert_int_equal(balances_get(&mf.w, m->id, &v, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(v[0].code, "bonus");
	assert_int_equal(v[1].amount, 520000);
	/* sums stay within their bounds, whatever comes */
	for (int i = 0; i < 6; i++)
		tell(m, "bonus.calculated", 20 + i, NULL,
			"{\"amount\":\"400000000000000\",\"currency\":\"stars\"}");
	assert_int_equal(mf_number("SELECT count(*) FROM of_balance WHERE typeof(amount) <> "
				   "'integer' OR amount > 4000000000000000000"),
		0);
}

static void accruals_are_given_once(void **state)
{
	struct member *m, *other;
	struct accrual a = { .key = STR("birthday:b:m1:2026"), .amount = 500000, .why = STR("b") };

	at(0);
	m = mf_member("m1");
	other = mf_member("m2");
	a.currency = currency_number(&mf.w, STR("stars"), true);
	assert_int_equal(ledger_accrue(&mf.w, m, &a), 1);
	assert_int_equal(ledger_accrue(&mf.w, m, &a), 0);
	assert_int_equal(balance(m, "stars"), 50);
	assert_int_equal(mf_number("SELECT count(*) FROM of_deed"), 0);
	/* with the platform as master a command goes out, and its own event is known again */
	mf.conf.ledger.master = 1;
	a.key = STR("birthday:b:m1:2027");
	assert_int_equal(ledger_accrue(&mf.w, m, &a), 1);
	assert_int_equal(ledger_accrue(&mf.w, m, &a), 0);
	assert_int_equal(
		mf_number("SELECT count(*) FROM of_deed WHERE kind = 3 AND key = "
			  "'birthday:b:m1:2027' AND json_extract(body, '$.amount') = '50'"),
		1);
	assert_int_equal(balance(m, "stars"), 100);
	tell(m, "bonus.calculated", 0, NULL,
		"{\"amount\":50,\"currency\":\"stars\",\"lots\":[{\"id\":\"birthday:b:m1:2027\","
		"\"amount\":50}]}");
	tell(m, "bonus.calculated", 0, NULL,
		"{\"amount\":50,\"currency\":\"stars\",\"reason\":\"birthday:b:m1:2027\"}");
	assert_int_equal(balance(m, "stars"), 100);
	/* merged: lots and sums are the other's; erased: nothing is left */
	tell(other, "bonus.calculated", 0, NULL, "{\"amount\":1,\"currency\":\"stars\"}");
	assert_int_equal(ledger_merge(&mf.w, other, m), 0);
	assert_int_equal(balance(other, "stars"), 101);
	assert_int_equal(balance(m, "stars"), 0);
	assert_int_equal(ledger_erase(&mf.w, other->id), 0);
	assert_int_equal(mf_number("SELECT (SELECT count(*) FROM of_lot) + (SELECT count(*) FROM "
				   "of_balance)"),
		0);
}

static void lots_know_their_members_zone(void **state)
{
	struct member *m;

	at(0);
	m = mf_member("m1");
	tell(m, "bonus.lot", 0, NULL, "{\"lot\":\"a\",\"amount\":1,\"currency\":\"bonus\"}");
	assert_int_equal(mf_number("SELECT count(*) FROM of_lot WHERE zone = ''"), 1);
	m->zone = zone_find(STR("Asia/Tokyo"), NULL);
	m->zone_known = true;
	assert_int_equal(member_save(&mf.w, m), 0);
	assert_int_equal(mf_number("SELECT count(*) FROM of_lot WHERE zone = 'Asia/Tokyo'"), 1);
	assert_int_equal(mf_number("SELECT count(*) FROM of_zone WHERE zone = 'Asia/Tokyo'"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			points_that_expire_first_are_spent_first, mf_begin, mf_end),
		cmocka_unit_test_setup_teardown(
			the_last_word_on_a_receipt_counts, mf_begin, mf_end),
		cmocka_unit_test_setup_teardown(lots_come_and_go_with_their_days, mf_begin, mf_end),
		cmocka_unit_test_setup_teardown(
			what_was_spent_of_a_lot_before_its_end_is_not_taken_twice, mf_begin,
			mf_end),
		cmocka_unit_test_setup_teardown(
			what_the_platform_says_of_a_balance_wins, mf_begin, mf_end),
		cmocka_unit_test_setup_teardown(lots_are_shown_as_they_are_now, mf_begin, mf_end),
		cmocka_unit_test_setup_teardown(accruals_are_given_once, mf_begin, mf_end),
		cmocka_unit_test_setup_teardown(lots_know_their_members_zone, mf_begin, mf_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
