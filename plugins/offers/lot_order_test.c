/* EV-3 of points: what is told of a member's lots, deductions and receipts makes the same ledger
 * and the same notices in every order. Each order is a member of its own, whose lots are called so:
 * "@" in what is told is their number.
 */
#include "plugins/offers/engine_fixture.h"
#include "plugins/offers/lot.h"
#include "plugins/offers/lot_intern.h"
#include "plugins/offers/task.h"

enum { HISTORIES = 5, TOLD_MOST = 6, TOLD_DAY = 12, LAST_DAY = 32 };
#define CONF                                                                                       \
	"templates = { soon = { en = { sms = \"${Amount:number} until ${Date}.\"; }; };"           \
	" more = { en = { sms = \"${Amount:number} stay.\"; }; }; };"                              \
	"tasks = ( { name = \"expires\"; every = \"day at 11:00\"; clock = \"program\";"           \
	" look = \"bonus.expires\"; ahead = \"3 days\"; currency = \"bonus\"; kind = \"service\";" \
	" send = \"soon\"; correct = \"more\"; via = \"sms\"; } );"                                \
	"currencies = { bonus = { decimals = 0; en = { one = \"point\"; other = \"points\"; }; "   \
	"}; };"                                                                                    \
	"policy = { consent_default = \"all\"; unverified = true; default_clock = \"UTC\"; };"

struct told {
	double day;
	const char *type, *receipt, *data;
};
#define CALC   "bonus.calculated"
#define LOT    "bonus.lot"
#define SPEND  "bonus.deducted"
#define CANCEL "purchase.cancelled"
#define WORD   "balance.requested"

#define BONUS(n)         "\"amount\":" #n ",\"currency\":\"bonus\""
#define NAMED(n, lot)    BONUS(n) ",\"lots\":[{\"id\":\"" lot "@\",\"amount\":" #n "}]"
#define UNTIL(d)         "\"expires_at\":\"2026-03-" #d "T10:00:00Z\""
#define THE_LOT(l, more) "\"lot\":\"" l "@\"," more

static void tell(unsigned member, unsigned id, const struct told *r)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "{\"id\":\"%u-%u\",\"type\":\"%s\",\"member\":{\"id\":\"m%u\"},", member, id,
		r->type, member);
	if (r->receipt)
		buf_printf(&b, "\"receipt\":\"%s-%u\",", r->receipt, member);
	buf_c(&b, "\"occurred_at\":\"");
	clock_put_rfc3339(&b, day_0 + (wall_t)(r->day * 1000) * (DUR_DAY / 1000));
	buf_c(&b, "\",\"data\":{");
	for (const char *p = r->data; *p; p++)
		if (*p == '@')
			buf_printf(&b, "-%u", member);
		else
			buf_char(&b, *p);
	buf_c(&b, "}}");
	assert_int_equal(put_event(buf_cstr(&b)), TOOK);
	buf_free(&b);
}

/* All that the store knows of the member's points, and what they were sent. */
static void signature(unsigned member, struct buf *b)
{
	static const char lots[] =
		"SELECT group_concat(t, '; ') FROM (SELECT replace(substr(ext, 1, instr(ext, '-') "
		"- 1), $1, '/') || "
		"' ' || (amount / 10000) || ' left ' || (rest / 10000) || ' state ' || state || ' "
		"until ' || "
		"(CASE expires WHEN 0 THEN '' ELSE (expires / 1000000000 - 1772359200) / 86400.0 "
		"END) "
		"|| ' told ' || at AS t FROM of_lot WHERE member = $2 AND (state < 4 OR rest <> 0) "
		"ORDER BY ext)";
	static const char *const all[] = {
		lots,
		"SELECT 'balance ' || group_concat(amount / 10000) FROM of_balance WHERE member = "
		"$1 "
		"AND amount <> 0",
		"SELECT 'spent ' || group_concat(amount / 10000) FROM (SELECT s.amount FROM "
		"of_spent s "
		"LEFT JOIN of_lot l ON l.id = s.lot WHERE s.member = $1 ORDER BY l.ext, s.amount)"
	};
	uint64_t m;
	char ext[20], phone[20], number[20];

	of_unit();
	snprintf(ext, sizeof ext, "m%u", member);
	snprintf(phone, sizeof phone, "46700%06u", member);
	m = of_member(ext)->id;
	snprintf(number, sizeof number, "/%llu/", (unsigned long long)m);
	work_or_fail(ledger_settle(&of.w, m));
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		struct sql_stmt *st = sql_prepare(of.sql, all[i]);

		assert_non_null(st);
		if (i == 0)
			sql_text(st, 1, str_of(number));
		sql_int(st, i == 0 ? 2 : 1, (int64_t)m);
		assert_int_equal(sql_step(st), 1);
		buf_str(b, sql_col_str(st, 0));
		buf_c(b, "\n");
		sql_finish(&st);
	}
	for (unsigned i = 0; i < of.sent_n; i++)
		if (str_is(message_get(of.sent[i], FIELD_TO), phone)) {
			buf_str(b, message_get(of.sent[i], FIELD_TEXT));
			buf_char(b, '\n');
		}
	buf_cstr(b);
}

static void days_pass(void)
{
	for (int d = TOLD_DAY; d <= LAST_DAY; d++) {
		unsigned sent;
		bool left = true;

		of.w.now = day_0 + d * DUR_DAY + 3 * DUR_HOUR;
		while (left) {
			of_unit();
			work_or_fail(task_fire(&of.w, 0, 0, &sent, &left));
		}
	}
}

/* accrues: points that no event tells. */
static void member_begin(unsigned member, bool accrues)
{
	struct accrual a = {
		.amount = 50 * DECIMAL_ONE, .expires = day_0 + 9 * DUR_DAY, .why = STR("birthday")
	};
	char ext[20], phone[20], key[20];

	snprintf(ext, sizeof ext, "m%u", member);
	snprintf(phone, sizeof phone, "46700%06u", member);
	of_unit();
	of_contact(of_member(ext), CONTACT_PHONE, phone, "");
	if (!accrues)
		return;
	snprintf(key, sizeof key, "own-%u", member);
	a.key = str_of(key);
	a.currency = currency_number(&of.w, STR("bonus"), true);
	of.w.now = day_0;
	work_or_fail(ledger_accrue(&of.w, of_member(ext), &a));
}

/* Each member is told it in another order, all on one day; the last one in the order of what
 * happened, and each at its time. */
static void same_in_every_order(const struct told *row, unsigned n, bool accrues, const char *what)
{
	unsigned orders = 1, in_time[TOLD_MOST];
	struct buf first = BUF_INIT, one = BUF_INIT;

	for (unsigned i = 2; i <= n; i++)
		orders *= i;
	for (unsigned i = 0; i < n; i++) {
		unsigned k = i;

		for (; k > 0 && row[in_time[k - 1]].day > row[i].day; k--)
			in_time[k] = in_time[k - 1];
		in_time[k] = i;
	}
	of_begin(CONF);
	for (unsigned order = 0; order <= orders; order++) {
		unsigned of_them[TOLD_MOST], rest = order, left = n;

		member_begin(order, accrues);
		for (unsigned i = 0; i < n; i++)
			of_them[i] = i;
		of.w.now = day_0 + TOLD_DAY * DUR_DAY;
		while (left) {
			unsigned k = order == orders ? 0 : rest % left, which = of_them[k];

			rest /= left--;
			of_them[k] = of_them[left];
			if (order == orders) {
				which = in_time[n - 1 - left];
				of.w.now =
					day_0 + (wall_t)(row[which].day * 1000) * (DUR_DAY / 1000);
			}
			tell(order, which, &row[which]);
		}
	}
	of.w.now = day_0 + TOLD_DAY * DUR_DAY;
	days_pass();
	for (unsigned order = 0; order <= orders; order++) {
		buf_reset(&one);
		signature(order, order ? &one : &first);
		if (order && strcmp(one.p, first.p) != 0)
			fail_msg("%s: order %u of %u:\n%s, not\n%s", what, order, orders, one.p,
				first.p);
	}
	end(NULL);
	buf_free(&one);
	buf_free(&first);
}
#define ACCRUES false
#define EVERY(...)                                                                     \
	do {                                                                           \
		static const struct told row_[] = { __VA_ARGS__ };                     \
		char what_[30];                                                        \
		snprintf(what_, sizeof what_, "line %d", __LINE__);                    \
		same_in_every_order(row_, sizeof row_ / sizeof *row_, ACCRUES, what_); \
	} while (0)

static void test_EV_3_a_deduction_that_names_its_lot_takes_from_it(void **state)
{
	EVERY({ 1, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(20)) },
		{ 2, SPEND, "r1", NAMED(20, "a") }, { 3, LOT, NULL, THE_LOT("b", BONUS(30)) });
	/* told of a lot after it: by the time of the telling as well */
	EVERY({ 1, SPEND, "r1", NAMED(20, "a") },
		{ 2, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(20)) },
		{ 3, CALC, NULL, NAMED(30, "b") });
	/* a deduction of more than there is */
	EVERY({ 1, CALC, NULL, NAMED(10, "a") }, { 2, SPEND, "r1", NAMED(25, "a") },
		{ 3, CANCEL, "r1", "" });
	EVERY({ 1, SPEND, "r1", NAMED(25, "a") }, { 2, CALC, NULL, NAMED(10, "a") },
		{ 3, CANCEL, "r1", "" });
}

static void test_EV_3_deductions_take_what_expires_first(void **state)
{
	EVERY({ 1, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(22)) },
		{ 2, LOT, NULL, THE_LOT("b", BONUS(30) "," UNTIL(20)) },
		{ 3, SPEND, "r1", BONUS(40) }, { 4, SPEND, NULL, NAMED(5, "a") });
	/* one ends before, one comes after */
	EVERY({ 1, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(04)) },
		{ 2, LOT, NULL, THE_LOT("b", BONUS(30) "," UNTIL(20)) },
		{ 5, SPEND, "r1", BONUS(10) },
		{ 6, LOT, NULL, THE_LOT("c", BONUS(9) "," UNTIL(18)) });
}

/* What a till says of one receipt, all at its time. */
static void test_EV_3_a_receipt_does_not_spend_what_it_gives(void **state)
{
	EVERY({ 1, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(20)) },
		{ 2, SPEND, "r1", BONUS(20) },
		{ 2, CALC, "r1",
			BONUS(9) ",\"lots\":[{\"id\":\"b@\",\"amount\":9," UNTIL(18) "}]" },
		{ 3, SPEND, "r2", BONUS(5) });
	EVERY({ 2, SPEND, "r1", NAMED(4, "b") }, { 2, CALC, "r1", NAMED(9, "b") },
		{ 2, CANCEL, "r1", "" });
}

static void test_EV_3_receipts_that_come_to_nothing(void **state)
{
	EVERY({ 1, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(20)) },
		{ 2, SPEND, "r1", NAMED(20, "a") }, { 3, CALC, "r1", BONUS(7) },
		{ 4, CANCEL, "r1", "" });
	EVERY({ 1, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(20)) },
		{ 1.5, LOT, NULL, THE_LOT("b", BONUS(9) "," UNTIL(18)) },
		{ 2, SPEND, "r1", BONUS(20) }, { 3, SPEND, "r2", BONUS(15) },
		{ 4, CANCEL, "r1", "" });
	/* taking goods back changes points by the platform's own word alone */
	EVERY({ 1, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(20)) },
		{ 2, SPEND, "r1", NAMED(20, "a") },
		{ 3, "purchase.refunded", NULL, "\"refunds\":\"r1\"" },
		{ 4, LOT, NULL, THE_LOT("a", "\"void\":true") });
}

static void test_EV_3_lots_that_are_prolonged_or_void(void **state)
{
	EVERY({ 1, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(18)) },
		{ 2, SPEND, "r1", NAMED(20, "a") }, { 3, LOT, NULL, THE_LOT("a", UNTIL(25)) },
		{ 4, SPEND, "r2", BONUS(5) });
	EVERY({ 1, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(04)) },
		{ 2, LOT, NULL, THE_LOT("b", BONUS(10) "," UNTIL(20)) },
		{ 5, SPEND, "r1", BONUS(5) }, { 6, LOT, NULL, THE_LOT("a", UNTIL(25)) });
	EVERY({ 1, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(18)) },
		{ 2, SPEND, "r1", NAMED(20, "a") }, { 3, LOT, NULL, THE_LOT("a", "\"void\":true") },
		{ 4, CANCEL, "r1", "" });
	EVERY({ 1, LOT, NULL, THE_LOT("a", "\"void\":true") }, { 2, SPEND, "r1", NAMED(20, "a") },
		{ 3, CANCEL, "r1", "" });
}

static void test_EV_3_the_platforms_word_on_a_balance(void **state)
{
#define IS(n) "\"balances\":[{\"currency\":\"bonus\",\"amount\":" #n "}]"
	EVERY({ 1, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(18)) },
		{ 2, SPEND, "r1", NAMED(20, "a") }, { 3, WORD, NULL, IS(45) },
		{ 4, SPEND, "r2", BONUS(5) });
	EVERY({ 1, LOT, NULL,
		      THE_LOT("a", BONUS(60) ",\"activates_at\":\"2026-03-06T10:00:00Z\"") },
		{ 2, LOT, NULL, THE_LOT("b", BONUS(9) "," UNTIL(07)) }, { 3, WORD, NULL, IS(10) },
		{ 4, WORD, NULL, IS(11) });
}

/* Points that are not known from events are there whatever is told late. */
static void test_EV_3_points_that_were_accrued_here(void **state)
{
#undef ACCRUES
#define ACCRUES true
	EVERY({ 1, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(06)) },
		{ 2, SPEND, "r1", NAMED(20, "own") }, { 3, SPEND, "r2", BONUS(75) },
		{ 4, CANCEL, "r2", "" });
	EVERY({ 1, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(20)) },
		{ 2, SPEND, NULL, BONUS(30) }, { 3, SPEND, NULL, BONUS(40) },
		{ 4, LOT, NULL, THE_LOT("a", UNTIL(22)) });
	EVERY({ 1, SPEND, "r1", BONUS(10) }, { 2, WORD, NULL, IS(45) },
		{ 3, LOT, NULL, THE_LOT("own", "\"void\":true") }, { 4, CANCEL, "r1", "" });
}

/* ---- any history ---- */
static const struct told pool[] = {
	{ 0, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(20)) },
	{ 0, LOT, NULL, THE_LOT("a", BONUS(60) "," UNTIL(07)) },
	{ 0, LOT, NULL, THE_LOT("b", BONUS(30)) },
	{ 0, LOT, NULL, THE_LOT("b", BONUS(30) ",\"activates_at\":\"2026-03-06T10:00:00Z\"") },
	{ 0, LOT, NULL, THE_LOT("a", UNTIL(25)) },
	{ 0, LOT, NULL, THE_LOT("a", BONUS(40)) },
	{ 0, LOT, NULL, THE_LOT("a", "\"void\":true") },
	{ 0, CALC, "r1", BONUS(7) },
	{ 0, CALC, "r1", NAMED(11, "c") },
	{ 0, CALC, "r2", NAMED(12, "b") },
	{ 0, SPEND, "r1", NAMED(20, "a") },
	{ 0, SPEND, "r2", NAMED(15, "b") },
	{ 0, SPEND, "r1", BONUS(25) },
	{ 0, SPEND, "r2", BONUS(50) },
	{ 0, SPEND, NULL, BONUS(5) },
	{ 0, SPEND, NULL, NAMED(8, "a") },
	{ 0, CANCEL, "r1", "" },
	{ 0, CANCEL, "r2", "" },
	{ 0, WORD, NULL, IS(33) },
};

static unsigned chance(unsigned below)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (unsigned)(x % below);
}

static bool same_kind(const char *a, const char *b)
{
	bool tells_lot = strcmp(a, CALC) == 0 || strcmp(a, LOT) == 0;

	return tells_lot ? strcmp(b, CALC) == 0 || strcmp(b, LOT) == 0 : strcmp(a, b) == 0;
}

static void test_EV_3_any_history(void **state)
{
	for (unsigned i = 0; i < HISTORIES; i++) {
		struct told row[TOLD_MOST];
		struct buf what = BUF_INIT;
		unsigned n = 3 + chance(2);

		for (unsigned k = 0; k < n; k++) {
			row[k] = pool[chance(sizeof pool / sizeof *pool)];
			row[k].day = chance(7);
			/* at one instant, of one kind, what is told last is the last word */
			for (unsigned j = 0; j < k; j++)
				if (row[j].day == row[k].day && same_kind(row[j].type, row[k].type))
					row[k].day += 0.1 * k;
			buf_printf(&what, "\n%g %s %s %s", row[k].day, row[k].type,
				row[k].receipt ? row[k].receipt : "-", row[k].data);
		}
		same_in_every_order(row, n, chance(3) == 0, buf_cstr(&what));
		buf_free(&what);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test(f)
	const struct CMUnitTest tests[] = {
		T(test_EV_3_a_deduction_that_names_its_lot_takes_from_it),
		T(test_EV_3_deductions_take_what_expires_first),
		T(test_EV_3_a_receipt_does_not_spend_what_it_gives),
		T(test_EV_3_receipts_that_come_to_nothing),
		T(test_EV_3_lots_that_are_prolonged_or_void),
		T(test_EV_3_the_platforms_word_on_a_balance),
		T(test_EV_3_points_that_were_accrued_here),
		T(test_EV_3_any_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
