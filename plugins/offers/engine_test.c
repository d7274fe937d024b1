/* Events through the whole engine: chains, counters, actions, intake. */
#include "plugins/offers/engine_fixture.h"
#include "plugins/offers/printed.h"

#define COME_BACK(then)                                                                          \
	"offer = { name = \"come-back\"; kind = \"service\"; when = \"registration.completed\";" \
	" unless = [ \"purchase.completed\" ]; then = \"" then "\";"                             \
	" steps = ( { after = \"14 days\"; send = \"hi\"; via = [ \"sms\" ]; },"                 \
	" { after = \"14 days\"; send = \"hi2\"; via = [ \"sms\" ]; } ); };"

static void test_E1_two_reminders(void **state)
{
	begin(COME_BACK("restart"));
	reachable();
	happens(0, "registration.completed", "");
	assert_int_equal(of.w.next_due, day_0 + 14 * DUR_DAY);
	to_day(13.999);
	expect_sent(0, NULL);
	to_day(14);
	expect_sent(1, "Hi.");
	to_day(27);
	expect_sent(1, NULL);
	to_day(28);
	expect_sent(2, "Hi again.");
	to_day(90);
	expect_sent(2, NULL);
}

static void test_E2_a_purchase_restarts(void **state)
{
	begin(COME_BACK("restart"));
	reachable();
	happens(0, "registration.completed", "");
	to_day(5);
	happens(5, "purchase.completed", "");
	to_day(18.9);
	expect_sent(0, NULL);
	to_day(19);
	expect_sent(1, "Hi.");
	/* between the reminders: from the first again, and what waits is taken back */
	to_day(20);
	of.waits = true;
	happens(20, "purchase.completed", "");
	assert_non_null(strstr(answer.p, "\"removed\":1"));
	to_day(33.9);
	expect_sent(1, NULL);
	to_day(34);
	expect_sent(2, "Hi.");
	to_day(48);
	expect_sent(3, "Hi again.");
	assert_int_equal(of_number("SELECT count(*) FROM of_fired"), 3);
}

static void test_CN_30_a_cancel_at_the_due_second_wins(void **state)
{
	begin(COME_BACK("stop"));
	reachable();
	happens(0, "registration.completed", "");
	of.w.now = day_0 + 14 * DUR_DAY;
	happens(14, "purchase.completed", "");
	to_day(14);
	to_day(60);
	expect_sent(0, NULL);
	assert_int_equal(of_number("SELECT count(*) FROM of_chain"), 0);
}

static void test_EV_5_a_late_event_whose_cancel_is_known_does_nothing(void **state)
{
	begin(COME_BACK("stop"));
	reachable();
	to_day(10);
	happens(8, "purchase.completed", "");
	assert_int_equal(of_number("SELECT count(*) FROM of_mark"), 0);
	to_day(11);
	happens(7, "registration.completed", "");
	to_day(60);
	expect_sent(0, NULL);
}

static void test_too_late_is_stale_and_the_rest_goes_on(void **state)
{
	begin(COME_BACK("stop"));
	reachable();
	to_day(17);
	happens(0, "registration.completed", "");
	to_day(17);
	expect_sent(0, NULL);
	assert_int_equal(of_number("SELECT count(*) FROM of_sent WHERE reason LIKE 'stale%'"), 1);
	to_day(28);
	expect_sent(1, "Hi again.");
	/* younger than a day: at once */
	end(state);
	begin(COME_BACK("stop"));
	reachable();
	to_day(14.5);
	happens(0, "registration.completed", "");
	to_day(14.5);
	expect_sent(1, "Hi.");
}

static void test_a_late_cancel_leaves_what_was_sent_and_goes_on(void **state)
{
	begin(COME_BACK("restart"));
	reachable();
	happens(0, "registration.completed", "");
	to_day(14);
	expect_sent(1, "Hi.");
	to_day(20);
	happens(5, "purchase.completed", "");
	assert_int_equal(of.w.late_cancel, 1);
	to_day(32);
	expect_sent(1, NULL);
	to_day(33);
	expect_sent(2, "Hi again.");
}

/* It was due and could not be sent: the chain that begins again tries it again. */
static void test_a_late_cancel_of_what_was_not_sent(void **state)
{
	begin(COME_BACK("restart"));
	of_unit();
	of_member("m");
	happens(0, "registration.completed", "");
	to_day(14);
	expect_sent(0, NULL);
	reachable();
	happens(5, "purchase.completed", "");
	assert_int_equal(of.w.late_cancel, 0);
	to_day(19);
	expect_sent(1, "Hi.");
}

static void test_EV_3_every_order_gives_the_same_messages(void **state)
{
	static const struct {
		double day;
		const char *type, *rest;
	} row[] = {
		{ 0, "registration.completed", "" },
		{ 2, "purchase.completed", "\"receipt\":\"r1\"" },
		{ 5, "purchase.completed", "\"receipt\":\"r2\"" },
		{ 6, "purchase.refunded", "\"data\":{\"refunds\":\"r2\"}" },
	};
	static const unsigned char order[][4] = { { 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 1, 0, 3, 2 },
		{ 2, 3, 0, 1 }, { 1, 2, 3, 0 }, { 3, 0, 2, 1 } };

	for (unsigned i = 0; i < sizeof order / sizeof order[0]; i++) {
		begin(COME_BACK("restart"));
		reachable();
		of.w.now = day_0 + 10 * DUR_DAY;
		for (unsigned k = 0; k < 8; k++) {
			unsigned n = order[i][k % 4];

			next_id = n;
			assert_int_equal(happens(row[n].day, row[n].type, row[n].rest),
				k < 4 ? TOOK : AGAIN);
		}
		to_day(18.9);
		expect_sent(0, NULL);
		to_day(19);
		expect_sent(1, "Hi.");
		to_day(33);
		expect_sent(2, "Hi again.");
		to_day(80);
		expect_sent(2, NULL);
		if (i + 1 < sizeof order / sizeof order[0])
			end(state);
	}
}

/* Chains whose filters ask for the past, and refunds that come before their purchase. */
static void test_EV_3_filters_that_look_back_see_what_comes_late(void **state)
{
	static const char *const offers[] = {
		"when = \"purchase.completed\"; unless = \"purchase.completed\"; then = \"stop\";"
		" only_if = \"first_time('purchase.completed')\";",
		"when = \"purchase.completed\"; unless = \"form.completed\"; then = \"ignore\";"
		" only_if = \"count('purchase.completed') >= 2\";",
		"when = \"purchase.completed\"; unless = \"form.completed\"; then = \"stop\";"
		" only_if = \"days_since_last('purchase.completed') >= 2\";",
		"when = \"registration.completed\"; unless = \"purchase.completed\"; then = "
		"\"restart\";"
		" unless_if = \"sum('total', 'purchase.completed') >= 60\";",
		"when = \"purchase.completed\"; unless = \"form.completed\"; then = \"stop\";"
		" only_if = \"in_audience('regulars')\";",
		"when = \"registration.completed\"; unless = \"purchase.completed\"; then = "
		"\"restart\"; rearm_on_refund = true;",
	};
	static const struct {
		double day;
		const char *type, *rest;
	} row[] = {
		{ 0, "registration.completed", "" },
		{ 2, "purchase.completed", "\"receipt\":\"r1\",\"data\":{\"total\":\"20\"}" },
		{ 5, "purchase.completed", "\"receipt\":\"r2\",\"data\":{\"total\":\"50\"}" },
		{ 6, "purchase.refunded", "\"data\":{\"refunds\":\"r2\"}" },
	};

	for (unsigned i = 0; i < sizeof offers / sizeof offers[0]; i++) {
		int64_t want = 0;

		for (unsigned order = 0; order < 256; order++) {
			unsigned at[] = { order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6 };
			struct buf b = BUF_INIT;
			int64_t is;

			if ((1u << at[0] | 1u << at[1] | 1u << at[2] | 1u << at[3]) != 15)
				continue;
			buf_printf(&b,
				"audiences = { regulars = { is = "
				"\"count('purchase.completed', '4 days') >= 2\"; }; };"
				"offer = { name = \"o\"; kind = \"service\"; %s"
				" steps = ( { after = \"14 days\"; send = \"hi\"; via = \"sms\"; } "
				"); };",
				offers[i]);
			begin(buf_cstr(&b));
			buf_free(&b);
			reachable();
			of.w.now = day_0 + 10 * DUR_DAY;
			for (unsigned k = 3; k < 4; k--) {
				next_id = at[k];
				happens(row[at[k]].day, row[at[k]].type, row[at[k]].rest);
			}
			is = of_number("SELECT coalesce(sum(due), 1) FROM of_chain");
			if (!want)
				want = is;
			if (is != want)
				fail_msg("offer %u, order %u%u%u%u: due %lld, not %lld", i, at[3],
					at[2], at[1], at[0], (long long)is, (long long)want);
			end(state);
		}
	}
	begin("");
}

static void test_a_refund_that_comes_with_rearm_takes_the_cancel_back(void **state)
{
	begin("offer = { name = \"come-back\"; kind = \"service\"; when = "
	      "\"registration.completed\";"
	      " unless = [ \"purchase.completed\" ]; then = \"stop\"; rearm_on_refund = true;"
	      " steps = ( { after = \"14 days\"; send = \"hi\"; via = [ \"sms\" ]; } ); };");
	reachable();
	happens(0, "registration.completed", "");
	happens(0.1, "purchase.completed", "\"receipt\":\"r1\"");
	assert_int_equal(of_number("SELECT count(*) FROM of_chain"), 0);
	to_day(3);
	happens(3, "purchase.refunded", "\"data\":{\"refunds\":\"r1\"}");
	assert_int_equal(of_number("SELECT count(*) FROM of_chain"), 1);
	to_day(14);
	expect_sent(1, "Hi.");
}

#define USE_CASE(when, unless)                                                                     \
	"offer = { name = \"u\"; kind = \"service\"; when = \"" when "\"; unless = \"" unless      \
	"\"; then = \"stop\"; steps = ( { after = \"14 days\"; send = \"hi\"; via = [ \"sms\" ]; " \
	"} ); };"

static void test_U1_the_same_event_disarms_and_arms(void **state)
{
	begin(USE_CASE("purchase.completed", "purchase.completed"));
	reachable();
	happens(0, "purchase.completed", "\"receipt\":\"r1\"");
	to_day(10);
	happens(10, "purchase.completed", "\"receipt\":\"r2\"");
	to_day(23.9);
	expect_sent(0, NULL);
	to_day(24);
	expect_sent(1, "Hi.");
}

static void test_EV_13_U2_a_phone_arms_an_email_does_not(void **state)
{
	begin(USE_CASE("phone.linked", "form.completed"));
	reachable();
	happens(0, "email.linked", "\"data\":{\"value\":\"m@shop.example\"}");
	assert_int_equal(of_number("SELECT count(*) FROM of_chain"), 0);
	happens(0, "phone.linked", "\"data\":{\"value\":\"+46700000001\"}");
	happens(1, "phone.linked", "\"data\":{\"value\":\"+46700000001\"}");
	assert_int_equal(of_number("SELECT count(*) FROM of_chain"), 1);
	to_day(3);
	happens(3, "form.completed", "");
	to_day(40);
	expect_sent(0, NULL);
}

static void test_EV_14_a_link_that_was_not_proved_is_no_event(void **state)
{
	begin(USE_CASE("phone.linked", "form.completed"));
	happens(0, "phone.linked", "\"data\":{\"value\":\"+46700000001\",\"verified\":false}");
	assert_int_equal(of_number("SELECT count(*) FROM of_chain"), 0);
	assert_int_equal(of_number("SELECT done FROM of_event"), 2);
}

static void test_U3_a_deduction_in_the_same_receipt_does_not_arm(void **state)
{
	begin(USE_CASE("purchase.completed", "bonus.deducted"));
	reachable();
	to_day(1);
	happens(0, "bonus.deducted",
		"\"receipt\":\"r1\",\"data\":{\"amount\":5,\"currency\":\"bonus\"}");
	happens(0.001, "purchase.completed", "\"receipt\":\"r1\"");
	assert_int_equal(of_number("SELECT count(*) FROM of_chain"), 0);
	happens(0.5, "purchase.completed", "\"receipt\":\"r2\"");
	assert_int_equal(of_number("SELECT count(*) FROM of_chain"), 1);
	/* the other way round in time of arrival */
	happens(0.499, "bonus.deducted",
		"\"receipt\":\"r2\",\"data\":{\"amount\":5,\"currency\":\"bonus\"}");
	assert_int_equal(of_number("SELECT count(*) FROM of_chain WHERE due IS NOT NULL"), 0);
}

static void test_U6_a_device_arms_before_anybody_is_known(void **state)
{
	begin(USE_CASE("app.installed", "registration.completed"));
	put_event("{\"id\":\"a\",\"type\":\"app.installed\",\"member\":{\"device\":\"d1\"},"
		  "\"data\":{\"device\":\"d1\",\"token\":\"t1\",\"platform\":\"ios\"}}");
	assert_int_equal(of_number("SELECT count(*) FROM of_chain WHERE due IS NOT NULL"), 1);
	to_day(1);
	put_event("{\"id\":\"b\",\"type\":\"registration.completed\",\"member\":{\"id\":\"m\","
		  "\"device\":\"d1\"}}");
	assert_int_equal(of_number("SELECT count(*) FROM of_chain WHERE due IS NOT NULL"), 0);
}

static void test_EV_1_EV_2_the_same_once_another_never(void **state)
{
	static const char first[] = "{\"id\":\"x\",\"type\":\"discount.calculated\",\"member\":"
				    "{\"id\":\"m\"},\"receipt\":\"r\",\"data\":{\"discount\":8,"
				    "\"currency\":\"EUR\"}}";
	struct buf kept = BUF_INIT;
	int64_t changes;

	begin("offer = { name = \"d\"; kind = \"service\"; when = \"discount.calculated\"; actions "
	      "= ("
	      " { do = \"receipt\"; text = \"Your discount amount was ${Discount:money} "
	      "${Currency}.\";"
	      " } ); };");
	assert_int_equal(put_event(first), TOOK);
	/* AC-1 */
	assert_non_null(strstr(answer.p, "\"receipt\":[\"Your discount amount was 8 EUR.\"]"));
	buf_str(&kept, buf_view(&answer));
	for (unsigned i = 0; i < 1000; i++) {
		of.w.now += DUR_MIN;
		assert_int_equal(put_event(first), AGAIN);
		assert_true(str_eq(buf_view(&answer), buf_view(&kept))); /* AC-5 */
	}
	changes = of_number("SELECT total_changes()");
	assert_int_equal(put_event("{\"id\":\"x\",\"type\":\"discount.calculated\",\"member\":"
				   "{\"id\":\"m\"},\"receipt\":\"r\",\"data\":{\"discount\":9,"
				   "\"currency\":\"EUR\"}}"),
		CONFLICT);
	assert_int_equal(of_number("SELECT total_changes()"), changes); /* nothing at all */
	assert_int_equal(of_number("SELECT count(*) FROM of_event"), 1);
	assert_int_equal(of_number("SELECT count(*) FROM of_past"), 1);
	buf_free(&kept);
}

static void test_AC_3_a_name_cannot_command_the_printer(void **state)
{
	begin("offer = { name = \"d\"; kind = \"service\"; when = \"discount.calculated\"; actions "
	      "= ("
	      " { do = \"cashier\"; text = \"For ${Member.first_name}.\"; } ); };");
	put_event("{\"id\":\"x\",\"type\":\"discount.calculated\",\"member\":{\"id\":\"m\","
		  "\"first_name\":\"A\\u001b@B\"},\"data\":{\"discount\":8}}");
	assert_null(strchr(answer.p, 0x1b));
	assert_null(strstr(answer.p, "u001b"));
	assert_non_null(strstr(answer.p, "\"cashier\":[\"For A @B.\"]"));
}

#define SOFT(how)                                                                                  \
	"offer = { name = \"d\"; kind = \"service\"; when = \"discount.calculated\";"              \
	" on_soft = \"" how "\"; actions = ( { do = \"receipt\"; text = \"${Discount:money}\"; }," \
	" { do = \"send\"; template = \"sum\"; via = \"sms\"; } ); };"

static void test_EV_11_five_calculations_one_message(void **state)
{
	char data[120];

	begin(SOFT("confirm"));
	reachable();
	for (int i = 1; i <= 5; i++) {
		snprintf(data, sizeof data, "\"receipt\":\"r\",\"data\":{\"discount\":%d}", i);
		happens(0, "discount.calculated", data);
		snprintf(data, sizeof data, "\"receipt\":[\"%d\"]", i);
		assert_non_null(strstr(answer.p, data));
		expect_sent(0, NULL);
	}
	happens(0, "purchase.completed", "\"receipt\":\"r\"");
	expect_sent(1, "You saved 5.");
	/* one that comes late changes nothing */
	happens(0, "discount.calculated", "\"receipt\":\"r\",\"data\":{\"discount\":9}");
	expect_sent(1, NULL);
	happens(0, "discount.calculated", "\"receipt\":\"r2\",\"data\":{\"discount\":9}");
	expect_sent(1, NULL);
}

static void test_EV_12_a_cancelled_receipt_sends_nothing(void **state)
{
	begin(SOFT("confirm"));
	reachable();
	happens(0, "discount.calculated", "\"receipt\":\"r\",\"data\":{\"discount\":5}");
	happens(0, "purchase.cancelled", "\"receipt\":\"r\"");
	to_day(3);
	expect_sent(0, NULL);
}

static void test_EV_12_a_receipt_known_as_cancelled_sends_nothing(void **state)
{
	static const char *const soft[] = { SOFT("first"), SOFT("confirm") };

	for (unsigned i = 0; i < 2; i++) {
		begin(soft[i]);
		reachable();
		of.w.now = day_0 + DUR_DAY / 2;
		happens(0.2, "purchase.cancelled", "\"receipt\":\"r\"");
		happens(0.1, "purchase.completed", "\"receipt\":\"r\"");
		happens(0, "discount.calculated", "\"receipt\":\"r\",\"data\":{\"discount\":5}");
		expect_sent(0, NULL);
		/* and one that is completed after all is one */
		happens(0.3, "discount.calculated", "\"receipt\":\"r\",\"data\":{\"discount\":6}");
		happens(0.3, "purchase.completed", "\"receipt\":\"r\"");
		expect_sent(1, "You saved 6.");
		if (i == 0)
			end(state);
	}
}

/* A refund is about the purchase that it names, not about its own receipt. */
static void test_EV_5_a_refund_disarms_the_chain_of_its_purchase(void **state)
{
	static const char *const offers[] = { "again = \"parallel\"; key = \"event.receipt\";",
		"again = \"parallel\"; key = \"event.receipt\"; same_receipt_only = true;" };

	for (unsigned i = 0; i < 4; i++) {
		struct buf b = BUF_INIT;

		buf_printf(&b,
			"offer = { name = \"o\"; kind = \"service\"; when = "
			"\"purchase.completed\"; unless = \"purchase.refunded\"; then = \"stop\"; "
			"%s"
			" steps = ( { after = \"3 days\"; send = \"hi\"; via = \"sms\"; } ); };",
			offers[i & 1]);
		begin(buf_cstr(&b));
		buf_free(&b);
		reachable();
		of.w.now = day_0 + 2 * DUR_DAY;
		if (i & 2)
			happens(0, "purchase.completed", "\"receipt\":\"r1\"");
		happens(1, "purchase.completed", "\"receipt\":\"r2\"");
		happens(2, "purchase.refunded",
			i & 1 ? "\"data\":{\"refunds\":\"r1\"}"
			      : "\"receipt\":\"f\",\"data\":{\"refunds\":\"r1\"}");
		if (!(i & 2))
			happens(0, "purchase.completed", "\"receipt\":\"r1\"");
		to_day(3);
		expect_sent(0, NULL);
		to_day(4);
		expect_sent(1, "Hi.");
		to_day(9);
		expect_sent(1, NULL);
		if (i < 3)
			end(state);
	}
}

static void test_on_soft_first_sends_at_once_and_once(void **state)
{
	begin(SOFT("first"));
	reachable();
	happens(0, "discount.calculated", "\"receipt\":\"r\",\"data\":{\"discount\":5}");
	expect_sent(1, "You saved 5.");
	happens(0, "discount.calculated", "\"receipt\":\"r\",\"data\":{\"discount\":6}");
	happens(0, "purchase.completed", "\"receipt\":\"r\"");
	expect_sent(1, NULL);
	of.waits = true;
	happens(0, "purchase.cancelled", "\"receipt\":\"r\"");
	assert_non_null(strstr(answer.p, "\"removed\":1"));
}

static void test_EV_15_a_status_assigned_again_is_calculated_not_changed(void **state)
{
	begin("members = { statuses = [ \"level\" ]; };"
	      "ledger = { master = \"upstream\"; webhook = \"https://crm.example/hook\";"
	      " webhook_secret = \"0123456789abcdef\"; };"
	      "offer = { name = \"gold\"; kind = \"service\"; when = \"purchase.completed\"; "
	      "actions = ("
	      " { do = \"status\"; system = \"level\"; value = \"gold\"; } ); };");
	happens(0, "purchase.completed", "");
	assert_int_equal(of_number("SELECT count(*) FROM of_event WHERE id LIKE 'status:%'"), 2);
	assert_int_equal(of_number("SELECT count(*) FROM of_deed WHERE kind = 3"), 1);
	happens(1, "purchase.completed", "");
	assert_int_equal(of_number("SELECT count(*) FROM of_event WHERE id LIKE 'status:%'"), 3);
	assert_int_equal(of_number("SELECT count(*) FROM of_event WHERE id LIKE '%:changed'"), 1);
	assert_int_equal(of_number("SELECT count(*) FROM of_deed WHERE kind = 3"), 2);
	of_unit();
	assert_true(str_is(member_status(&of.w, of_member("m"), "level"), "gold"));
}

#define COUNT(counter, test)                                                                     \
	"counters = { c = { " counter " }; };"                                                   \
	"offer = { name = \"o\"; kind = \"service\"; when = \"purchase.completed\"; actions = (" \
	" { do = \"cashier\"; text = \"yes\"; only_if = \"" test "\"; } ); };"

static bool says_yes(void)
{
	return strstr(answer.p, "\"yes\"") != NULL;
}

static int64_t counted(void)
{
	return of_number("SELECT coalesce(sum(value), 0) FROM of_counter");
}

static void test_FC_1_once_a_month(void **state)
{
	begin("counters = { thanks = { of = \"actions\"; per = \"member\"; period = \"month\"; }; "
	      "};"
	      "offer = { name = \"o\"; kind = \"service\"; when = \"purchase.completed\"; actions "
	      "= ("
	      " { do = \"send\"; template = \"hi\"; via = \"sms\"; only_if = \"counter('thanks') < "
	      "1\";"
	      " count = \"thanks\"; } ); };");
	reachable();
	for (unsigned i = 0; i < 100; i++)
		happens(0, "purchase.completed", "");
	expect_sent(1, "Hi.");
	of.w.now = day_0 + 31 * DUR_DAY;
	happens(31, "purchase.completed", "");
	expect_sent(2, "Hi.");
}

static void test_FC_2_the_month_ends_in_the_members_zone(void **state)
{
	begin(COUNT("of = \"purchase.completed\"; per = \"member\"; period = \"month\"; clock = "
		    "\"member\";",
		"counter('c') == 1"));
	/* 23:59:59 and 00:00:01 in Riga */
	of.w.now = day_0 + 40 * DUR_DAY;
	put_event("{\"id\":\"z\",\"type\":\"member.updated\",\"member\":{\"id\":\"m\"},\"data\":"
		  "{\"member\":{\"zone\":\"Europe/Riga\"}}}");
	put_event("{\"id\":\"a\",\"type\":\"purchase.completed\",\"member\":{\"id\":\"m\"},"
		  "\"occurred_at\":\"2026-03-31T23:59:59+03:00\"}");
	assert_true(says_yes());
	put_event("{\"id\":\"b\",\"type\":\"purchase.completed\",\"member\":{\"id\":\"m\"},"
		  "\"occurred_at\":\"2026-04-01T00:00:01+03:00\"}");
	assert_true(says_yes());
	assert_int_equal(of_number("SELECT count(*) FROM of_counter"), 2);
}

static void test_FC_3_a_refund_counts_back_once(void **state)
{
	begin(COUNT("of = \"purchase.completed\"; per = \"member\"; period = \"ever\"; "
		    "undo_on_refund = true;",
		"counter('c') == 1"));
	happens(0, "purchase.completed", "\"receipt\":\"r1\",\"data\":{\"total\":10}");
	happens(0, "purchase.completed", "\"receipt\":\"r2\",\"data\":{\"total\":10}");
	assert_int_equal(counted(), 2);
	happens(0, "purchase.refunded", "\"data\":{\"refunds\":\"r1\",\"total\":4}");
	assert_int_equal(counted(), 2); /* a part of it */
	happens(0, "purchase.refunded", "\"data\":{\"refunds\":\"r1\"}");
	assert_int_equal(counted(), 1);
	happens(0, "purchase.refunded", "\"data\":{\"refunds\":\"r1\"}");
	assert_int_equal(counted(), 1);
	/* its refund came before it */
	happens(0, "purchase.refunded", "\"data\":{\"refunds\":\"r3\"}");
	happens(0, "purchase.completed", "\"receipt\":\"r3\",\"data\":{\"total\":10}");
	assert_int_equal(counted(), 1);
}

static void test_FC_3_sums_follow_refunds_in_part(void **state)
{
	begin(COUNT("of = \"purchase.completed\"; sum = \"event.total\"; per = \"store\"; period = "
		    "\"ever\";"
		    " undo_on_refund = true;",
		"counter('c') >= 10"));
	happens(0, "purchase.completed",
		"\"store\":\"s\",\"receipt\":\"r1\",\"data\":{\"total\":10.5}");
	assert_true(says_yes());
	happens(0, "purchase.refunded",
		"\"store\":\"s\",\"data\":{\"refunds\":\"r1\",\"total\":4}");
	assert_int_equal(counted(), 65000);
	happens(0, "purchase.cancelled", "\"store\":\"s\",\"receipt\":\"r1\"");
	assert_int_equal(counted(), 0);
}

static void test_FC_4_every_fifth(void **state)
{
	begin(COUNT("of = \"purchase.completed\"; every = 5; per = \"account\"; period = \"ever\";",
		"counter('c') == 1"));
	for (unsigned i = 1; i <= 12; i++) {
		happens(0, "purchase.completed", "");
		assert_int_equal(says_yes(), i == 5 || i == 10);
	}
}

/* What the counter does not count is not the fifth again. */
static void test_FC_4_every_second_of_some(void **state)
{
	static const char small[] = "\"data\":{\"total\":1}", big[] = "\"data\":{\"total\":50}";

	begin(COUNT("of = \"purchase.completed\"; every = 2; only_if = \"event.total >= 10\"; "
		    "per = \"member\"; period = \"ever\";",
		"counter('c') == 1"));
	happens(0, "purchase.completed", big);
	assert_false(says_yes());
	happens(0, "purchase.completed", big);
	assert_true(says_yes());
	happens(0, "purchase.completed", small);
	assert_false(says_yes());
}

static void test_every_so_much(void **state)
{
	begin(COUNT("of = \"purchase.completed\"; sum = \"event.total\"; every_amount = \"100\"; "
		    "per = \"member\";"
		    " period = \"ever\";",
		"counter('c') > 0"));
	happens(0, "purchase.completed", "\"data\":{\"total\":60}");
	assert_false(says_yes());
	happens(0, "purchase.completed", "\"data\":{\"total\":60}");
	assert_true(says_yes());
	happens(0, "purchase.completed", "\"data\":{\"total\":60}");
	assert_false(says_yes());
}

static void test_EV_16_like_unlike_like(void **state)
{
	static const char rest[] =
		"\"data\":{\"provider\":\"vk\",\"kind\":\"like\",\"object\":\"p1\"}";

	begin("counters = { likes = { of = \"social.activity\"; per = \"member\"; period = "
	      "\"ever\"; }; };"
	      "offer = { name = \"o\"; kind = \"service\"; when = \"social.activity\"; actions = ("
	      " { do = \"send\"; template = \"hi\"; via = \"sms\"; } ); };");
	happens(0, "social.activity", rest);
	happens(0, "social.activity_removed", rest);
	assert_int_equal(counted(), 0);
	happens(0, "social.activity", rest);
	assert_int_equal(counted(), 1);
}

static void test_EV_4_what_a_crash_left_raw_is_found(void **state)
{
	const struct event_reader how = { .source = STR("pos") };
	struct json_faults f = { 0 };
	struct event *e, *back;
	struct reply reply = { 0 };
	struct intake in;
	uint64_t seq[4], last;
	json_t *v;

	begin(COME_BACK("stop"));
	v = json_read(
		STR("{\"id\":\"a\",\"type\":\"registration.completed\",\"member\":{\"id\":\"m\"}}"),
		&f);
	assert_int_equal(event_read(v, of.w.now, &how, &e, &f), EVENT_OK);
	json_decref(v);
	work_or_fail(intake_keep(&of.w, e, &in));
	of_unit();
	work_or_fail(intake_last(&of.w, &last));
	assert_int_equal(intake_raw(&of.w, 0, last, seq, 4), 1);
	assert_int_equal(event_load(&of.w, seq[0], &back), 1);
	work_or_fail(engine_event(&of.w, back, &reply));
	assert_int_equal(intake_raw(&of.w, 0, last, seq, 4), 0);
	assert_int_equal(of_number("SELECT count(*) FROM of_chain"), 1);
	/* the client asks again */
	of_unit();
	work_or_fail(intake_keep(&of.w, e, &in));
	assert_true(in.duplicate && in.done == 1 && in.kept.n > 0);
	reply_free(&reply);
	event_drop(&back);
	event_drop(&e);
}

static void test_a_busy_members_history_stays_short(void **state)
{
	begin(USE_CASE("purchase.completed", "purchase.completed"));
	reachable();
	for (unsigned i = 0; i < 400; i++) {
		char rest[40];

		of.w.now = day_0 + i * (DUR_DAY / 4);
		snprintf(rest, sizeof rest, "\"receipt\":\"r%u\"", i);
		happens(i / 4.0, "purchase.completed", rest);
	}
	assert_true(of_number("SELECT count(*) FROM of_mark") <= 97);
	expect_sent(0, NULL);
	to_day(99.75 + 13.9);
	expect_sent(0, NULL);
	to_day(99.75 + 14);
	expect_sent(1, "Hi.");
}

/* ---- what became of what was printed ---- */
static const char *printed(void)
{
	static char all[200];
	struct sql_stmt *st;

	of_unit();
	st = sql_prepare(of.sql,
		"SELECT group_concat(media || ':' || state, ' ') FROM (SELECT media, "
		"state FROM of_sent WHERE msg = 0 ORDER BY at, run, step)");
	assert_non_null(st);
	assert_int_equal(sql_step(st), 1);
	str_copy(all, sizeof all, sql_col_str(st, 0));
	sql_finish(&st);
	return all;
}

static void test_replied_confirmed_unreachable(void **state)
{
	char replied[40], confirmed[40], unreachable[40];

	snprintf(replied, sizeof replied, "%d:%d", MEDIA_RECEIPT, STATE_SENT);
	snprintf(confirmed, sizeof confirmed, "%d:%d", MEDIA_RECEIPT, STATE_DELIVERED);
	snprintf(unreachable, sizeof unreachable, "%d:%d", MEDIA_RECEIPT, STATE_UNDELIVERABLE);
	begin("offers = ( { name = \"o\"; when = \"discount.calculated\"; actions = ( "
	      "{ do = \"receipt\"; text = \"Saved ${Discount:money}.\"; } ); } );");
	of.w.now = day_0 + DUR_MIN;
	happens(0, "discount.calculated", "\"receipt\":\"r1\",\"data\":{\"discount\":8}");
	assert_string_equal(printed(), replied);
	/* by the event: e1 is the first one */
	happens(0, "reply.confirmed", "\"data\":{\"event\":\"e1\"}");
	assert_string_equal(printed(), confirmed);
	end(state);
	begin("offers = ( { name = \"o\"; when = \"discount.calculated\"; actions = ( "
	      "{ do = \"receipt\"; text = \"Saved ${Discount:money}.\"; } ); } );");
	/* a till that was offline: it is answered all the same, though nobody prints that */
	of.w.now = day_0 + DUR_HOUR;
	happens(0, "discount.calculated", "\"receipt\":\"r1\",\"data\":{\"discount\":8}");
	assert_non_null(strstr(buf_cstr(&answer), "Saved 8."));
	assert_string_equal(printed(), unreachable);
	/* of another receipt, of an event that is not known, of the right one */
	happens(0, "reply.confirmed", "\"receipt\":\"r2\"");
	happens(0, "reply.confirmed", "\"data\":{\"event\":\"e77\"}");
	assert_string_equal(printed(), unreachable);
	happens(0, "reply.confirmed", "\"receipt\":\"r1\"");
	assert_string_equal(printed(), confirmed);
	/* the till did not wait */
	of.w.now = day_0 + 2 * DUR_DAY;
	happens(2, "discount.calculated", "\"receipt\":\"r3\",\"data\":{\"discount\":9}");
	of_unit();
	work_or_fail(printed_unheard(&of.w, 5));
	assert_non_null(strstr(printed(), unreachable));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, end)
		T(test_E1_two_reminders),
		T(test_E2_a_purchase_restarts),
		T(test_CN_30_a_cancel_at_the_due_second_wins),
		T(test_EV_5_a_late_event_whose_cancel_is_known_does_nothing),
		T(test_too_late_is_stale_and_the_rest_goes_on),
		T(test_a_late_cancel_leaves_what_was_sent_and_goes_on),
		T(test_a_late_cancel_of_what_was_not_sent),
		T(test_EV_3_every_order_gives_the_same_messages),
		T(test_EV_3_filters_that_look_back_see_what_comes_late),
		T(test_a_refund_that_comes_with_rearm_takes_the_cancel_back),
		T(test_U1_the_same_event_disarms_and_arms),
		T(test_EV_13_U2_a_phone_arms_an_email_does_not),
		T(test_EV_14_a_link_that_was_not_proved_is_no_event),
		T(test_U3_a_deduction_in_the_same_receipt_does_not_arm),
		T(test_U6_a_device_arms_before_anybody_is_known),
		T(test_EV_1_EV_2_the_same_once_another_never),
		T(test_replied_confirmed_unreachable),
		T(test_AC_3_a_name_cannot_command_the_printer),
		T(test_EV_11_five_calculations_one_message),
		T(test_EV_12_a_cancelled_receipt_sends_nothing),
		T(test_EV_12_a_receipt_known_as_cancelled_sends_nothing),
		T(test_EV_5_a_refund_disarms_the_chain_of_its_purchase),
		T(test_on_soft_first_sends_at_once_and_once),
		T(test_EV_15_a_status_assigned_again_is_calculated_not_changed),
		T(test_FC_1_once_a_month),
		T(test_FC_2_the_month_ends_in_the_members_zone),
		T(test_FC_3_a_refund_counts_back_once),
		T(test_FC_3_sums_follow_refunds_in_part),
		T(test_FC_4_every_fifth),
		T(test_FC_4_every_second_of_some),
		T(test_every_so_much),
		T(test_EV_16_like_unlike_like),
		T(test_EV_4_what_a_crash_left_raw_is_found),
		T(test_a_busy_members_history_stays_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
