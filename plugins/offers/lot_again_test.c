/* Points told anew (lot_again.c) where what is told is not all that there was: of a member with
 * more events than are told, of one who was merged, of lots that are another's.
 */
#include "plugins/offers/engine_fixture.h"
#include "plugins/offers/lot.h"
#include "plugins/offers/lot_intern.h"

#define CONF                                                                                 \
	"currencies = { bonus = { decimals = 0; en = { one = \"point\"; other = \"points\";" \
	" }; }; };"
#define BONUS(n) "\"amount\":" #n ",\"currency\":\"bonus\""
#define CALC     "bonus.calculated"
#define LOT      "bonus.lot"
#define SPEND    "bonus.deducted"
#define CANCEL   "purchase.cancelled"

/* At that time; lots are called by the member's name. */
static void tell(
	const char *who, const char *type, const char *receipt, wall_t at, const char *data)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "{\"id\":\"%u\",\"type\":\"%s\",\"member\":{\"id\":\"%s\"},", ++next_id,
		type, who);
	if (receipt)
		buf_printf(&b, "\"receipt\":\"%s-%s\",", receipt, who);
	buf_c(&b, "\"occurred_at\":\"");
	clock_put_rfc3339(&b, at);
	buf_c(&b, "\",\"data\":{");
	for (const char *p = data; *p; p++)
		if (*p == '@')
			buf_printf(&b, "-%s", who);
		else
			buf_char(&b, *p);
	buf_c(&b, "}}");
	assert_int_equal(put_event(buf_cstr(&b)), TOOK);
	buf_free(&b);
}

/* The same when it happens, an hour after the one before. */
static void next(const char *who, const char *type, const char *receipt, const char *data)
{
	of.w.now += DUR_HOUR;
	tell(who, type, receipt, of.w.now, data);
}

/* As many lots of a point each. */
static void small_ones(const char *who, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char data[120];

		snprintf(data, sizeof data,
			"\"lot\":\"small%u@\"," BONUS(1) ",\"expires_at\":\"2026-09-01T10:00:00Z\"",
			i);
		next(who, LOT, NULL, data);
	}
}

static int64_t asked(const char *who, const char *text)
{
	struct sql_stmt *st = sql_prepare(of.sql, text);
	int64_t v;

	assert_non_null(st);
	of_unit();
	sql_int(st, 1, (int64_t)of_member(who)->id);
	assert_int_equal(sql_step(st), 1);
	v = sql_col(st, 0) / DECIMAL_ONE;
	sql_finish(&st);
	return v;
}

static int64_t balance(const char *who)
{
	return asked(who, "SELECT sum(amount) FROM of_balance WHERE member = $1");
}

static int64_t in_lots(const char *who)
{
	return asked(who, "SELECT sum(rest) FROM of_lot WHERE member = $1 AND state = 1");
}

static int64_t in_lot(const char *ext)
{
	struct lot l;

	of_unit();
	assert_int_equal(lot_by_ext(&of.w, str_of(ext), &l), 1);
	return l.rest / DECIMAL_ONE;
}

static void test_EV_3_lots_of_before_what_is_told_anew(void **state)
{
	static const char *const more[] = { NULL,
		"\"lot\":\"a@\",\"expires_at\":"
		"\"2026-04-21T10:00:00Z\"",
		"\"lot\":\"a@\"," BONUS(60) ",\"expires_at\":\"2026-04-21T10:00:00Z\"" };

	for (unsigned i = 0; i < sizeof more / sizeof *more; i++) {
		wall_t then;

		begin(CONF);
		next("m", LOT, NULL,
			"\"lot\":\"a@\"," BONUS(60) ",\"expires_at\":\"2026-04-20T10:00:00Z\"");
		next("m", SPEND, "r0", BONUS(5));
		small_ones("m", 105);
		next("m", SPEND, "r1", BONUS(20) ",\"lots\":[{\"id\":\"a@\",\"amount\":20}]");
		if (more[i])
			next("m", LOT, NULL, more[i]);
		then = of.w.now + DUR_MIN;
		next("m", LOT, NULL, "\"lot\":\"b@\"," BONUS(9));
		tell("m", SPEND, "r2", then, BONUS(10)); /* of what expires first */
		assert_int_equal(in_lot("a-m"), 25);
		assert_int_equal(balance("m"), 139);
		assert_int_equal(in_lots("m"), 139);
		/* what is given back is of the same lot, be it told of long ago or not */
		next("m", CANCEL, "r0", "");
		assert_int_equal(in_lot("a-m"), 30);
		next("m", CANCEL, "r2", "");
		assert_int_equal(in_lot("a-m"), 40);
		assert_int_equal(balance("m"), 154);
		assert_int_equal(in_lots("m"), 154);
		end(state);
	}
}

/* What was told of it first is only a part. */
static void test_EV_3_a_lot_that_is_told_after_its_end_was(void **state)
{
	wall_t then;

	begin(CONF);
	small_ones("m", 105);
	then = of.w.now + DUR_MIN;
	next("m", LOT, NULL, "\"lot\":\"a@\",\"expires_at\":\"2026-04-20T10:00:00Z\"");
	next("m", SPEND, "r1", BONUS(5) ",\"lots\":[{\"id\":\"b@\",\"amount\":5}]");
	next("m", SPEND, NULL, BONUS(4) ",\"lots\":[{\"id\":\"c@\",\"amount\":4}]");
	tell("m", LOT, NULL, then, "\"lot\":\"a@\"," BONUS(60));
	tell("m", LOT, NULL, then, "\"lot\":\"b@\"," BONUS(20));
	tell("m", LOT, NULL, then, "\"lot\":\"c@\"," BONUS(10));
	assert_int_equal(in_lot("a-m"), 60);
	assert_int_equal(in_lot("b-m"), 15);
	assert_int_equal(in_lot("c-m"), 6);
	assert_int_equal(balance("m"), 186);
	assert_int_equal(in_lots("m"), 186);
	end(state);
}

/* The lot of a receipt is called by who they were. */
static void test_EV_3_lots_of_who_was_merged(void **state)
{
	begin(CONF);
	next("b", CALC, "r1", BONUS(7));
	next("a", CALC, "r2", BONUS(9));
	next("b", "member.merged", NULL, "\"into\":\"a\"");
	next("a", LOT, NULL, "\"lot\":\"c@\"," BONUS(9));
	tell("a", SPEND, "r3", day_0 + DUR_MIN, BONUS(1));
	assert_int_equal(balance("a"), 24);
	assert_int_equal(asked("a", "SELECT 10000 * count(*) FROM of_lot WHERE member = $1"), 3);
	end(state);
}

/* A deduction names it first; then it is told of somebody else. */
static void test_EV_3_a_lot_that_is_anothers(void **state)
{
	for (int first = 0; first < 2; first++) {
		begin(CONF);
		next("b", LOT, NULL, "\"lot\":\"own@\"," BONUS(50));
		if (first)
			next("a", LOT, NULL, "\"lot\":\"x\"," BONUS(60));
		next("b", SPEND, "r1", BONUS(20) ",\"lots\":[{\"id\":\"x\",\"amount\":20}]");
		if (!first)
			next("a", LOT, NULL, "\"lot\":\"x\"," BONUS(60));
		assert_int_equal(balance("b"), 30);
		next("b", CANCEL, "r1", "");
		assert_int_equal(balance("b"), 50);
		assert_int_equal(balance("a"), 60);
		assert_int_equal(in_lot("x"), 60);
		end(state);
	}
}

/* A clock that is ahead makes nothing happen before its time. */
static void test_EV_3_points_told_of_the_future(void **state)
{
	wall_t then;

	begin(CONF);
	next("m", LOT, NULL,
		"\"lot\":\"a@\"," BONUS(60) ",\"activates_at\":\"2026-03-01T12:02:00Z\"");
	then = of.w.now += DUR_HOUR - DUR_S;
	tell("m", LOT, NULL, then + 4 * DUR_MIN, "\"lot\":\"b@\"," BONUS(9));
	of.w.now += DUR_S;
	tell("m", LOT, NULL, of.w.now, "\"lot\":\"a@\",\"expires_at\":\"2026-09-01T12:00:00Z\"");
	assert_int_equal(balance("m"), 9);
	assert_int_equal(in_lots("m"), 9);
	next("m", LOT, NULL, "\"lot\":\"c@\"," BONUS(1));
	assert_int_equal(balance("m"), 70);
	assert_int_equal(in_lots("m"), 70);
	end(state);
}

/* More lots than are looked at at a time. */
static void test_EV_3_a_deduction_of_many_lots(void **state)
{
	begin(CONF);
	small_ones("m", 40);
	next("m", SPEND, "r1", BONUS(37));
	assert_int_equal(in_lots("m"), 3);
	assert_int_equal(balance("m"), 3);
	tell("m", LOT, NULL, day_0 + DUR_MIN, "\"lot\":\"a@\"," BONUS(9));
	assert_int_equal(in_lots("m"), 12);
	assert_int_equal(balance("m"), 12);
	end(state);
}

int main(void)
{
#define T(f) cmocka_unit_test(f)
	const struct CMUnitTest tests[] = {
		T(test_EV_3_lots_of_before_what_is_told_anew),
		T(test_EV_3_a_lot_that_is_told_after_its_end_was),
		T(test_EV_3_lots_of_who_was_merged),
		T(test_EV_3_a_lot_that_is_anothers),
		T(test_EV_3_points_told_of_the_future),
		T(test_EV_3_a_deduction_of_many_lots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
