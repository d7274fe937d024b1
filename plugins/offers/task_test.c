/* Recurring tasks on a clock that is set: RT-1 to RT-8 of the specification (RT-9 is
 * tests/bench/task_bench.c), leap days, quiet hours, zones. */
#include "plugins/offers/task_fixture.h"
#include "plugins/offers/task_intern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define GROUND                                                                                     \
	"currencies = { bonus = { one = \"point\"; other = \"points\"; decimals = 0; };"           \
	" stars = { one = \"star\"; other = \"stars\"; decimals = 0; }; };\n"                      \
	"templates = {"                                                                            \
	" acts = { en = { sms = \"Your $Amount bonus points will activate in $Days day(s).\"; }; " \
	"};"                                                                                       \
	" ends = { en = { sms = \"Your $Amount ${Currency.of(Amount)} will expire in $Days "       \
	"day(s).\"; }; };"                                                                         \
	" happy = { en = { sms = \"Happy birthday\"; }; };"                                        \
	" stars = { en = { sms = \"Happy birthday, $Amount stars\"; }; }; };\n"
#define POLICY "policy = { default_clock = \"Europe/Riga\"; consent_default = \"all\"; };\n"

#define ACTIVATES(more)                                                                           \
	POLICY GROUND "tasks = ( { name = \"acts\"; every = \"day at 11:00\";"                    \
		      " look = \"bonus.activates\"; ahead = [ \"1 day\" ]; currency = \"bonus\";" \
		      " at_least = \"50\"; send = \"acts\"; via = [ \"sms\" ]; " more "} );\n"
#define EXPIRES(ahead, more)                                                       \
	GROUND "tasks = ( { name = \"ends\"; every = \"day at 11:00\";"            \
	       " look = \"bonus.expires\"; ahead = " ahead "; currency = \"any\";" \
	       " at_least = \"100\"; send = \"ends\"; via = [ \"sms\" ]; " more "} );\n"
#define BIRTHDAY(more)                                                                          \
	POLICY GROUND "tasks = ( { name = \"happy\"; every = \"day at 09:30\";"                 \
		      " look = \"member.birthday\"; send = \"happy\"; via = [ \"sms\" ]; " more \
		      "} );\n"

static int end(void **state)
{
	tf_close();
	return 0;
}

static void begin(const char *rules, const char *now)
{
	tf_open(":memory:", rules);
	tf_at(now);
	assert_int_equal(tf_fire(0), 0); /* the task is known from here on */
}

static void test_RT_1_the_minimum(void **state)
{
	static const struct {
		int points;
		unsigned messages;
	} cases[] = { { 49, 0 }, { 50, 1 }, { 51, 1 } };

	begin(ACTIVATES(""), "2026-03-10T06:00:00Z");
	for (size_t i = 0; i < 3; i++) {
		char ext[8];

		snprintf(ext, sizeof ext, "m%zu", i);
		tf_add(ext, "Europe/Riga", 0);
		tf_lot(ext, ext, "bonus", cases[i].points, "2026-03-11T00:00:00+02:00", NULL);
	}
	tf_at("2026-03-10T10:59:59+02:00");
	assert_int_equal(tf_fire(0), 0);
	tf_at("2026-03-10T11:00:00+02:00");
	assert_int_equal(tf_fire(0), 2);
	assert_string_equal(tf.sent[0].text, "Your 50 bonus points will activate in 1 day(s).");
	assert_string_equal(tf.sent[1].text, "Your 51 bonus points will activate in 1 day(s).");
	assert_int_equal(tf_fire(0), 0);
}

static void test_RT_2_lots_of_the_day_are_one_sum(void **state)
{
	begin(ACTIVATES(""), "2026-03-10T06:00:00Z");
	tf_add("m", "Europe/Riga", 0);
	tf_lot("m", "a", "bonus", 30, "2026-03-11T00:00:00+02:00", NULL);
	tf_lot("m", "b", "bonus", 25, "2026-03-11T18:30:00+02:00", NULL); /* with a time of day */
	tf_lot("m", "c", "bonus", 90, "2026-03-12T00:00:00+02:00", NULL); /* the day after */
	tf_lot("m", "d", "bonus", 90, "2026-03-10T23:59:59+02:00", NULL); /* the day before */
	tf_lot("m", "e", "stars", 90, "2026-03-11T00:00:00+02:00", NULL); /* another currency */
	tf_lot("m", "f", "bonus", 90, "2026-03-11T00:00:00+02:00", NULL); /* void */
	assert_int_equal(sql_exec(tf.sql, "UPDATE of_lot SET state = 3 WHERE ext = 'f'"), 0);
	tf_at("2026-03-10T11:00:00+02:00");
	assert_int_equal(tf_fire(0), 1);
	assert_string_equal(tf.sent[0].text, "Your 55 bonus points will activate in 1 day(s).");
	/* a lot that comes after the run makes no second message */
	tf_lot("m", "g", "bonus", 500, "2026-03-11T00:00:00+02:00", NULL);
	tf_at("2026-03-10T12:00:00+02:00");
	assert_int_equal(tf_fire(0), 0);
	tf_at("2026-03-11T11:00:00+02:00"); /* nor do points that are there already */
	assert_int_equal(tf_fire(0), 1);
	assert_string_equal(tf.sent[0].text, "Your 90 bonus points will activate in 1 day(s).");
}

/* More than 64 bits hold is no end of all tasks. */
static void test_RT_2_a_sum_beyond_all_points(void **state)
{
	begin(POLICY EXPIRES("[ \"3 days\" ]", ""), "2026-03-10T06:00:00Z");
	tf_add("m", "Europe/Riga", 0);
	tf_add("n", "Europe/Riga", 0);
	for (char lot[] = "a"; lot[0] < 'e'; lot[0]++)
		tf_lot("m", lot, "bonus", 90, NULL, "2026-03-13T12:00:00+02:00");
	tf_lot("n", "n", "bonus", 150, NULL, "2026-03-13T12:00:00+02:00");
	assert_int_equal(sql_exec(tf.sql, "UPDATE of_lot SET amount = 4000000000000000000, rest = "
					  "4000000000000000000 WHERE ext <> 'n'"),
		0);
	tf_at("2026-03-10T11:00:00+02:00");
	assert_int_equal(tf_fire(0), 2);
	assert_string_equal(tf.sent[1].text, "Your 150 points will expire in 3 day(s).");
}

static void currencies_are_not_added_together(void **state)
{
	begin(POLICY EXPIRES("[ \"3 days\" ]", ""), "2026-03-10T06:00:00Z");
	tf_add("m", "Europe/Riga", 0);
	tf_lot("m", "a", "bonus", 60, NULL, "2026-03-13T12:00:00+02:00");
	tf_lot("m", "b", "stars", 60, NULL, "2026-03-13T12:00:00+02:00");
	tf_lot("m", "c", "bonus", 150, NULL, "2026-03-14T00:00:00+02:00"); /* its last day: 13th */
	tf_lot("m", "d", "bonus", 150, NULL, "2026-03-13T00:00:00+02:00"); /* its last day: 12th */
	tf_at("2026-03-10T11:00:00+02:00");
	assert_int_equal(tf_fire(0), 1);
	assert_string_equal(tf.sent[0].text, "Your 210 points will expire in 3 day(s).");
}

/* Every slice is one transaction: it is undone at every place once, and run again. */
static void test_RT_3_again_and_after_a_crash(void **state)
{
	for (unsigned crash_after = 0; crash_after < 12; crash_after++) {
		unsigned sent, all = 0;
		bool left = true;

		begin(BIRTHDAY("accrue = { currency = \"stars\"; amount = \"50\"; };"),
			"2026-03-09T06:00:00Z");
		for (int i = 0; i < 30; i++) {
			char ext[8];

			snprintf(ext, sizeof ext, "m%d", i);
			tf_add(ext, i % 3 ? "Europe/Riga" : NULL, 310);
		}
		tf_at("2026-03-10T09:30:00+02:00");
		for (unsigned slice = 0; left; slice++) {
			tf_unit();
			assert_int_equal(sql_exec(tf.sql, "SAVEPOINT s"), 0);
			assert_int_equal(task_fire(&tf.w, 7, 0, &sent, &left), 0);
			if (slice == crash_after) {
				assert_int_equal(sql_exec(tf.sql, "ROLLBACK TO s; RELEASE s"), 0);
				left = true;
				continue;
			}
			assert_int_equal(sql_exec(tf.sql, "RELEASE s"), 0);
			all += sent;
		}
		assert_int_equal(all, 30);
		assert_int_equal(tf_number("SELECT count(*) FROM of_sent WHERE msg > 0"), 30);
		assert_int_equal(tf_number("SELECT count(*) FROM of_lot"), 30);
		/* run twice: the runs forgotten, as another node would see it */
		assert_int_equal(sql_exec(tf.sql, "DELETE FROM of_run WHERE date > 0"), 0);
		assert_int_equal(tf_fire(7), 0);
		assert_int_equal(tf_number("SELECT count(*) FROM of_lot"), 30);
		if (crash_after < 11)
			tf_close();
	}
}

static void test_RT_4_down_for_two_days(void **state)
{
	static const char *const rules[] = { POLICY EXPIRES(
						     "[ \"3 days\" ]", "if_late = \"skip\";"),
		POLICY EXPIRES("[ \"3 days\" ]", "if_late = \"run\";"),
		POLICY EXPIRES("[ \"3 days\", \"1 day\" ]", "if_late = \"run\";") };

	for (size_t i = 0; i < 3; i++) {
		begin(rules[i], "2026-03-09T06:00:00Z");
		tf_add("m", "Europe/Riga", 0);
		tf_at("2026-03-09T11:00:00+02:00");
		assert_int_equal(tf_fire(0), 0);
		for (int d = 12; d <= 16; d++) {
			char ext[8], day[40];

			snprintf(ext, sizeof ext, "m%d", d);
			snprintf(day, sizeof day, "2026-03-%dT12:00:00+02:00", d);
			tf_add(ext, "Europe/Riga", 0);
			tf_lot(ext, ext, "bonus", 100 + d, NULL, day);
		}
		/* down on the 10th and the 11th; the 13th and 14th were to be told then */
		tf_at("2026-03-12T11:30:00+02:00");
		if (i == 0) {
			assert_int_equal(tf_fire(0), 1);
			assert_string_equal(
				tf.sent[0].text, "Your 115 points will expire in 3 day(s).");
			assert_int_equal(
				tf_number("SELECT count(*) FROM of_run WHERE state = 2"), 4);
		} else {
			static const char *const said[][4] = {
				{ "113 points will expire in 1", "114 points will expire in 2",
					"115 points will expire in 3", NULL },
				/* what the 1-day notice says of the 13th, the 3-day one does not */
				{ "114 points will expire in 2", "112 points will expire in 0",
					"115 points will expire in 3",
					"113 points will expire in 1" },
			};

			assert_int_equal(tf_fire(0), i == 1 ? 3 : 4);
			for (size_t k = 0; k < tf.sent_n; k++)
				assert_non_null(strstr(tf.sent[k].text, said[i - 1][k]));
		}
		if (i < 2)
			tf_close();
	}
	/* the day after: the 1-day notice of the 14th is another one than its 3-day notice */
	tf_at("2026-03-13T11:00:00+02:00");
	assert_int_equal(tf_fire(0), 2);
}

static void test_RT_5_leap_day(void **state)
{
	static const struct {
		const char *rule;
		const char *days[3]; /* of 2026, 2027, 2028 */
	} cases[] = { { "feb28", { "2026-02-28", "2027-02-28", "2028-02-29" } },
		{ "mar1", { "2026-03-01", "2027-03-01", "2028-02-29" } },
		{ "skip", { NULL, NULL, "2028-02-29" } } };

	for (size_t i = 0; i < 3; i++) {
		char rules[2048];
		int64_t day, last;
		unsigned found = 0;

		snprintf(rules, sizeof rules,
			BIRTHDAY("leap_day = \"%s\"; min_member_age = \"7 days\";"), cases[i].rule);
		begin(rules, "2026-01-01T00:00:00Z");
		tf_add("m", "Europe/Riga", 229);
		assert_true(date_parse(STR("2028-12-31"), &last));
		assert_true(date_parse(STR("2026-01-01"), &day));
		for (; day <= last; day++) {
			struct buf b = BUF_INIT;

			tf.w.now = zone_wall(zone_find(STR("Europe/Riga"), NULL),
				(struct local){ day, 10 * DUR_HOUR });
			if (!tf_fire(0))
				continue;
			date_put(&b, day);
			while (found < 3 && !cases[i].days[found])
				found++;
			assert_true(found < 3);
			assert_string_equal(buf_cstr(&b), cases[i].days[found]);
			found++;
			buf_free(&b);
		}
		assert_int_equal(found, 3);
		if (i < 2)
			tf_close();
	}
}

static void test_RT_6_the_edges_of_the_earth(void **state)
{
	begin(BIRTHDAY(""), "2026-03-09T00:00:00Z");
	tf_add("east", "Pacific/Kiritimati", 310); /* UTC+14 */
	tf_add("west", "Pacific/Pago_Pago", 310);  /* UTC-11 */
	tf_add("half", "Asia/Kolkata", 310);
	tf_add("here", NULL, 310); /* the programme's zone */
	tf_at("2026-03-09T19:29:59Z");
	assert_int_equal(tf_fire(0), 0);
	tf_at("2026-03-09T19:30:00Z"); /* 09:30 on the 10th there */
	assert_int_equal(tf_fire(0), 1);
	tf_at("2026-03-10T04:00:00Z");
	assert_int_equal(tf_fire(0), 1);
	tf_at("2026-03-10T07:30:00Z");
	assert_int_equal(tf_fire(0), 1);
	tf_at("2026-03-10T20:29:59Z");
	assert_int_equal(tf_fire(0), 0);
	tf_at("2026-03-10T20:30:00Z");
	assert_int_equal(tf_fire(0), 1);
	assert_int_equal(tf_number("SELECT count(*) FROM of_sent WHERE msg > 0"), 4);
}

#define QUIET                                                                    \
	"policy = { default_clock = \"Europe/Riga\"; consent_default = \"all\";" \
	" service = { quiet = [ \"21:00-12:00\" ]; }; };\n"

/* Quiet until noon: the notice of 11:00 waits, and speaks of what is there then. */
static void test_RT_7_spent_between_run_and_dispatch(void **state)
{
	struct json_faults f = { 0 };
	static const char *const spend[] = { "m1", "m2" };
	static const int amount[] = { 50, 120 };

	begin(QUIET EXPIRES("[ \"3 days\" ]", ""), "2026-03-10T06:00:00Z");
	for (int i = 1; i <= 3; i++) {
		char ext[8];

		snprintf(ext, sizeof ext, "m%d", i);
		tf_add(ext, "Europe/Riga", 0);
		tf_lot(ext, ext, "bonus", 200, NULL, "2026-03-13T12:00:00+02:00");
	}
	tf_at("2026-03-10T11:00:00+02:00");
	assert_int_equal(tf_fire(0), 0);
	assert_int_equal(tf_number("SELECT count(*) FROM of_task_done WHERE due > 0"), 3);
	assert_int_equal(tf_number("SELECT count(*) FROM of_sent"), 0);
	tf_at("2026-03-10T11:30:00+02:00");
	for (int i = 0; i < 2; i++) {
		struct event *e = event_make(EVENT_BONUS_DEDUCTED, tf.w.now, STR("till"), STR("e"));

		e->attr[ATTR_amount] = value_decimal((int64_t)amount[i] * DECIMAL_ONE);
		e->attr[ATTR_currency] = value_text(STR("bonus"));
		event_seal(e);
		assert_int_equal(ledger_event(&tf.w, tf_member(spend[i]), e), 0);
		event_drop(&e);
	}
	assert_int_equal(f.n, 0);
	assert_int_equal(tf_fire(0), 0);
	tf_at("2026-03-10T12:00:00+02:00");
	assert_int_equal(tf_fire(0), 2);
	assert_string_equal(tf.sent[0].text, "Your 150 points will expire in 3 day(s).");
	assert_string_equal(tf.sent[1].text, "Your 200 points will expire in 3 day(s).");
	assert_int_equal(tf_number("SELECT count(*) FROM of_task_done WHERE due > 0"), 0);
	assert_int_equal(tf_fire(0), 0);
}

/* Told that they would expire, and now they do not: said once, for each lot, where a task says so.
 */
static void test_10_2_prolonged_after_the_notice(void **state)
{
	begin(POLICY
		"currencies = { bonus = { one = \"point\"; other = \"points\"; decimals = 0; }; };"
		"templates = { ends = { en = { sms = \"$Amount points expire in $Days days\"; }; };"
		" live = { en = { sms = \"$Amount points live until ${Date|ever}\"; }; }; };"
		"tasks = ( { name = \"ends\"; every = \"day at 11:00\"; look = \"bonus.expires\"; "
		"ahead = [ \"14 days\", \"3 days\" ]; send = \"ends\"; correct = \"live\"; via = "
		"[ \"sms\" ]; } );",
		"2026-03-10T06:00:00Z");
	tf_add("m", "Europe/Riga", 0);
	tf_lot("m", "a", "bonus", 60, NULL, "2026-03-25T00:00:00+02:00");
	tf_lot("m", "b", "bonus", 40, NULL, "2026-03-25T00:00:00+02:00");
	tf_lot("m", "c", "bonus", 10, NULL, "2026-04-30T00:00:00+03:00");
	tf_at("2026-03-10T10:00:00+02:00");
	assert_int_equal(tf_fire(0), 0);
	/* before anything was said of it: nothing is to be corrected */
	tf_lot("m", "c", "bonus", 10, NULL, "2026-05-30T00:00:00+03:00");
	assert_int_equal(tf.sent_n, 0);
	tf_at("2026-03-10T12:00:00+02:00");
	assert_int_equal(tf_fire(0), 1);
	assert_string_equal(tf.sent[0].text, "100 points expire in 14 days");
	/* the same again, an earlier day: no correction */
	tf_lot("m", "a", "bonus", 60, NULL, "2026-03-25T00:00:00+02:00");
	tf_lot("m", "b", "bonus", 40, NULL, "2026-03-24T00:00:00+02:00");
	assert_int_equal(tf.sent_n, 1);
	tf_lot("m", "a", "bonus", 60, NULL, "2026-06-01T00:00:00+03:00");
	assert_int_equal(tf.sent_n, 2);
	assert_string_equal(tf.sent[1].text, "60 points live until May 31, 2026");
	tf_lot("m", "a", "bonus", 60, NULL, "2026-06-01T00:00:00+03:00"); /* told again */
	assert_int_equal(tf.sent_n, 2);
	tf_lot("m", "a", "bonus", 60, NULL, NULL); /* and for ever: what was corrected is */
	assert_int_equal(tf.sent_n, 3);
	assert_string_equal(tf.sent[2].text, "60 points live until ever");
}

static void test_RT_8_birthday_points_live_and_expire(void **state)
{
	struct balance *v;
	size_t n;

	begin(POLICY GROUND
		"tasks = ( { name = \"stars\"; every = \"day at 09:30\"; look = "
		"\"member.birthday\"; send = \"stars\"; via = [ \"sms\" ]; accrue = { currency = "
		"\"stars\"; amount = \"50\"; lives = \"30 days\"; }; },"
		" { name = \"ends\"; every = \"day at 11:00\"; look = \"bonus.expires\"; ahead = [ "
		"\"3 days\" ]; currency = \"any\"; at_least = \"10\"; send = \"ends\"; via = [ "
		"\"sms\" ]; } );\n",
		"2026-03-09T06:00:00Z");
	tf_add("m", "Europe/Riga", 310);
	tf_add("mute", "Europe/Riga", 310);
	assert_int_equal(sql_exec(tf.sql, "DELETE FROM of_contact WHERE member = 2"), 0);
	tf_at("2026-03-10T09:30:00+02:00");
	assert_int_equal(tf_fire(0), 1);
	assert_string_equal(tf.sent[0].text, "Happy birthday, 50 stars");
	/* who cannot be written to has them all the same */
	assert_int_equal(balances_get(&tf.w, tf_member("mute")->id, &v, &n), 0);
	assert_true(n == 1 && v[0].amount == 500000 && strcmp(v[0].code, "stars") == 0);
	for (int d = 1; d <= 30; d++) {
		tf.w.now = zone_wall(zone_find(STR("Europe/Riga"), NULL),
			(struct local){ date_of_civil(2026, 3, 10) + d, 11 * DUR_HOUR });
		assert_int_equal(tf_fire(0), d == 27);
		if (d == 27)
			assert_string_equal(
				tf.sent[0].text, "Your 50 stars will expire in 3 day(s).");
	}
	/* to the end of the thirtieth day, over the change to summer time */
	tf_at("2026-04-09T23:59:59+03:00");
	assert_int_equal(balances_get(&tf.w, tf_member("m")->id, &v, &n), 0);
	assert_int_equal(v[0].amount, 500000);
	tf_at("2026-04-10T00:00:00+03:00");
	assert_int_equal(balances_get(&tf.w, tf_member("m")->id, &v, &n), 0);
	assert_int_equal(v[0].amount, 0);
	tf_fire(0);
	assert_int_equal(tf_number("SELECT sum(amount) FROM of_balance"), 0);
}

static void birthdays_come_once_a_year(void **state)
{
	struct member *m;

	begin(BIRTHDAY("min_member_age = \"7 days\"; only_if = \"member.first_name != 'Bart'\";"),
		"2026-03-09T06:00:00Z");
	tf_add("m", "Europe/Riga", 310);
	tf_add("new", "Europe/Riga", 310);
	tf_add("Bart", "Europe/Riga", 310);
	tf_add("left", "Europe/Riga", 310);
	m = tf_member("new");
	m->registered = tf.w.now - 5 * DUR_DAY;
	assert_int_equal(member_save(&tf.w, m), 0);
	m = tf_member("m");
	m->first_name = STR("Homer");
	assert_int_equal(member_save(&tf.w, m), 0);
	m = tf_member("Bart");
	m->first_name = STR("Bart");
	assert_int_equal(member_save(&tf.w, m), 0);
	m = tf_member("left");
	m->state = MEMBER_BLOCKED;
	assert_int_equal(member_save(&tf.w, m), 0);
	tf_at("2026-03-10T09:30:00+02:00");
	assert_int_equal(tf_fire(0), 1);
	/* the birthday is edited: not again this year, but next */
	m = tf_member("m");
	m->birthday = 320;
	assert_int_equal(member_save(&tf.w, m), 0);
	tf_at("2026-03-20T10:00:00+02:00");
	assert_int_equal(tf_fire(0), 0);
	tf_at("2027-03-20T10:00:00+02:00");
	assert_int_equal(tf_fire(0), 1);
}

static void within_tells_each_lot_once(void **state)
{
	begin(POLICY EXPIRES("[ \"7 days\" ]", "within = true;"), "2026-03-09T06:00:00Z");
	tf_add("m", "Europe/Riga", 0);
	tf_lot("m", "a", "bonus", 70, NULL, "2026-03-12T12:00:00+02:00");
	tf_lot("m", "b", "bonus", 50, NULL, "2026-03-15T12:00:00+02:00");
	tf_lot("m", "c", "bonus", 50, NULL, "2026-03-20T12:00:00+02:00");
	tf_at("2026-03-10T11:00:00+02:00");
	assert_int_equal(tf_fire(0), 1);
	assert_string_equal(tf.sent[0].text, "Your 120 points will expire in 2 day(s).");
	tf_at("2026-03-11T11:00:00+02:00");
	assert_int_equal(tf_fire(0), 0);
	tf_at("2026-03-12T11:00:00+02:00");
	assert_int_equal(tf_fire(0), 0);
	tf_at("2026-03-13T11:00:00+02:00"); /* c comes into view, b is still there */
	assert_int_equal(tf_fire(0), 1);
	assert_string_equal(tf.sent[0].text, "Your 100 points will expire in 2 day(s).");
}

static void a_task_begins_when_it_is_first_seen(void **state)
{
	wall_t due;

	tf_open(":memory:", BIRTHDAY(""));
	tf_at("2026-03-10T09:31:00+02:00");
	tf_add("m", "Europe/Riga", 310);
	assert_int_equal(tf_fire(0), 0); /* 09:30 is over */
	tf_at("2026-03-11T09:25:00+02:00");
	assert_int_equal(tf_fire(0), 0);
	assert_int_equal(task_next_due(&tf.w, &due), 0);
	assert_int_equal(due - tf.w.now, 5 * DUR_MIN);
	tf_at("2027-03-10T09:30:00+02:00");
	assert_int_equal(tf_fire(0), 1);
	assert_int_equal(task_next_due(&tf.w, &due), 0);
	assert_int_equal(due - tf.w.now, 15 * DUR_MIN);
}

/* Members of a zone that nobody had: what was due there before they came is not made good. */
static void a_zone_begins_when_it_is_first_seen(void **state)
{
	begin(BIRTHDAY("if_late = \"run\";"), "2026-03-01T06:00:00Z");
	tf_at("2026-03-10T09:40:00+02:00");
	tf_fire(0);
	tf_add("then", "Europe/Tallinn", 308);
	tf_add("now", "Europe/Tallinn", 310);
	assert_int_equal(tf_fire(0), 1); /* ten minutes are nothing */
	tf_at("2026-03-11T09:40:00+02:00");
	assert_int_equal(tf_fire(0), 0);
}

static void moves_between_zones_make_no_second_message(void **state)
{
	struct member *m;

	begin(BIRTHDAY(""), "2026-03-09T06:00:00Z");
	tf_add("m", "Pacific/Kiritimati", 310);
	tf_add("o", "Pacific/Pago_Pago", 311);
	tf_at("2026-03-09T19:30:00Z");
	assert_int_equal(tf_fire(0), 1);
	m = tf_member("m");
	m->zone = zone_find(STR("Pacific/Pago_Pago"), NULL);
	assert_int_equal(member_save(&tf.w, m), 0);
	tf_at("2026-03-10T20:30:00Z");
	assert_int_equal(tf_fire(0), 0);
	/* merged into a record that comes to its birthday later in the year: it was greeted */
	assert_int_equal(ledger_merge(&tf.w, tf_member("o"), tf_member("m")), 0);
	tf_at("2026-03-11T20:30:00Z");
	assert_int_equal(tf_fire(0), 0);
	tf_at("2027-03-11T20:30:00Z");
	assert_int_equal(tf_fire(0), 1);
}

#define T(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_RT_1_the_minimum),
		T(test_RT_2_lots_of_the_day_are_one_sum),
		T(test_RT_2_a_sum_beyond_all_points),
		T(currencies_are_not_added_together),
		T(test_RT_3_again_and_after_a_crash),
		T(test_RT_4_down_for_two_days),
		T(test_RT_5_leap_day),
		T(test_RT_6_the_edges_of_the_earth),
		T(test_RT_7_spent_between_run_and_dispatch),
		T(test_10_2_prolonged_after_the_notice),
		T(test_RT_8_birthday_points_live_and_expire),
		T(birthdays_come_once_a_year),
		T(within_tells_each_lot_once),
		T(a_task_begins_when_it_is_first_seen),
		T(a_zone_begins_when_it_is_first_seen),
		T(moves_between_zones_make_no_second_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
