/* One member for whom the store refuses what a recurring task does holds up nobody else, and is
 * tried again: stuck.h, task_again.c. The units are those of offers_timers.c. */
#include "plugins/offers/task_fixture.h"
#include "plugins/offers/task_intern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define GROUND                                                                                \
	"currencies = { bonus = { one = \"point\"; other = \"points\"; decimals = 0; }; };\n" \
	"templates = { ends = { en = { sms = \"Your $Amount points will expire.\"; }; };"     \
	" happy = { en = { sms = \"Happy birthday\"; }; }; };\n"
#define POLICY "policy = { default_clock = \"Europe/Riga\"; consent_default = \"all\"; };\n"
#define QUIET                                                                     \
	"policy = { default_clock = \"Europe/Riga\"; consent_default = \"all\"; " \
	" service = { quiet = [ \"21:00-12:00\" ]; }; };\n"
#define BIRTHDAY                                                                \
	POLICY GROUND "tasks = ( { name = \"happy\"; every = \"day at 09:30\";" \
		      " look = \"member.birthday\"; send = \"happy\"; via = [ \"sms\" ]; } );\n"
#define EXPIRES                                                                                    \
	GROUND "tasks = ( { name = \"ends\"; every = \"day at 11:00\"; look = \"bonus.expires\";"  \
	       " ahead = [ \"3 days\" ]; currency = \"any\"; at_least = \"100\"; send = \"ends\";" \
	       " via = [ \"sms\" ]; } );\n"

static struct stuck stuck;
static unsigned failures; /* of the last fire() */

static int end(void **state)
{
	tf_close();
	return 0;
}

static void begin(const char *rules, const char *now)
{
	memset(&stuck, 0, sizeof stuck);
	tf_open(":memory:", rules);
	tf_at(now);
	assert_int_equal(tf_fire(0), 0); /* the task is known from here on */
}

/* Members m0, m1 … with a birthday, or with points that expire on 13 March. */
static void add(unsigned n, int birthday)
{
	for (unsigned i = 0; i < n; i++) {
		char ext[12];

		snprintf(ext, sizeof ext, "m%u", i);
		tf_add(ext, "Europe/Riga", birthday);
		if (!birthday)
			tf_lot(ext, ext, "bonus", 200, NULL, "2026-03-13T12:00:00+02:00");
	}
}

/* All that is due, unit by unit as the plugin does it. False: the stage is left alone. */
static bool fire(unsigned most)
{
	failures = 0;
	for (bool left = true; left;) {
		unsigned sent;

		tf_unit();
		tf.w.stuck = &stuck;
		sql_forgive(tf.sql);
		assert_int_equal(sql_exec(tf.sql, "SAVEPOINT unit"), 0);
		if (task_fire(&tf.w, most, 0, &sent, &left) == 0) {
			assert_int_equal(sql_exec(tf.sql, "RELEASE unit"), 0);
			continue;
		}
		assert_int_equal(sql_exec(tf.sql, "ROLLBACK TO unit; RELEASE unit"), 0);
		assert_true(++failures < 1000);
		if (!tf.w.hand.member || !hand_to_blame(&tf.w) ||
			!stuck_add(&stuck, &tf.w.hand, tf.w.now))
			return false;
		left = true;
	}
	return true;
}

/* The store refuses that from now on of member m3, and of any from m_from on. */
static void refuse(const char *what, const char *row, unsigned from)
{
	char text[400];

	snprintf(text, sizeof text,
		"CREATE TRIGGER refused BEFORE %s WHEN %s.member IN (SELECT id FROM of_member WHERE"
		" ext = 'm3' OR CAST(substr(ext, 2) AS INTEGER) >= %u) BEGIN"
		" SELECT RAISE(ABORT, 'refused'); END",
		what, row, from);
	assert_int_equal(sql_exec(tf.sql, text), 0);
}

static void take_again(void)
{
	assert_int_equal(sql_exec(tf.sql, "DROP TRIGGER refused"), 0);
}

static void expect_sent(int64_t n)
{
	assert_int_equal(tf_number("SELECT count(*) FROM of_sent WHERE msg > 0"), n);
	assert_int_equal(tf_number("SELECT count(DISTINCT member) FROM of_sent WHERE msg > 0"), n);
}

#define WAITING "SELECT count(*) FROM of_deed WHERE kind = 6"
#define OPEN    "SELECT count(*) FROM of_run WHERE state = 0"

static void a_run_goes_past_who_is_refused(void **state)
{
	static const char *const rules[] = { BIRTHDAY, POLICY EXPIRES };

	for (unsigned i = 0; i < 2; i++) {
		begin(rules[i], "2026-03-10T01:00:00Z");
		add(12, i ? 0 : 310);
		refuse("INSERT ON of_task_done", "new", 1000);
		tf_at(i ? "2026-03-10T11:00:00+02:00" : "2026-03-10T09:30:00+02:00");
		assert_true(fire(i ? 5 : 0));
		assert_int_equal(failures, 1);
		expect_sent(11);
		assert_int_equal(tf_number(OPEN), 0); /* the run has come to its end */
		assert_int_equal(tf_number(WAITING), 1);
		assert_true(fire(0)); /* not yet */
		assert_int_equal(failures, 0);
		tf_at("2026-03-10T12:00:00+02:00");
		assert_true(fire(0));
		assert_int_equal(failures, 1);
		assert_int_equal(tf_number(WAITING), 1);
		take_again();
		tf_at("2026-03-10T13:00:00+02:00");
		assert_true(fire(0));
		assert_int_equal(failures, 0);
		expect_sent(12);
		assert_int_equal(tf_number("SELECT sent FROM of_run WHERE sent > 0"), 12);
		assert_int_equal(tf_number(WAITING), 0);
		tf_at("2026-03-10T14:00:00+02:00");
		assert_true(fire(0));
		expect_sent(12);
		if (!i)
			end(NULL);
	}
}

/* The plugin's memory is gone; what was gone past is not. */
static void a_restart_loses_nobody(void **state)
{
	begin(BIRTHDAY, "2026-03-10T01:00:00Z");
	add(5, 310);
	refuse("INSERT ON of_task_done", "new", 1000);
	tf_at("2026-03-10T09:30:00+02:00");
	assert_true(fire(0));
	memset(&stuck, 0, sizeof stuck);
	tf_at("2026-03-10T10:30:00+02:00");
	assert_true(fire(0));
	take_again();
	memset(&stuck, 0, sizeof stuck);
	tf_at("2026-03-10T11:30:00+02:00");
	assert_true(fire(0));
	expect_sent(5);
}

static void a_member_is_given_up_when_the_day_is_over(void **state)
{
	begin(BIRTHDAY, "2026-03-10T01:00:00Z");
	add(5, 310);
	refuse("INSERT ON of_task_done", "new", 1000);
	tf_at("2026-03-10T09:30:00+02:00");
	assert_true(fire(0));
	take_again();
	tf_at("2026-03-11T08:00:00+02:00");
	assert_true(fire(0));
	expect_sent(4);
	assert_int_equal(tf_number(WAITING), 0);
}

/* When everybody is refused it is not the members' fault: the run waits. */
static void not_everybody_is_gone_past(void **state)
{
	begin(BIRTHDAY, "2026-03-10T01:00:00Z");
	add(300, 310);
	refuse("INSERT ON of_task_done", "new", 10);
	tf_at("2026-03-10T09:30:00+02:00");
	assert_false(fire(0));
	assert_int_equal(tf_number(WAITING), 256);
	assert_int_equal(tf_number(OPEN), 1);
	expect_sent(9);
	/* nor do those that wait stop when they are tried again */
	tf_at("2026-03-10T10:30:00+02:00");
	assert_false(fire(0));
	take_again();
	tf_at("2026-03-10T11:30:00+02:00");
	assert_true(fire(0));
	expect_sent(300);
	assert_int_equal(tf_number(WAITING), 0);
}

static void held_notices_go_past_who_is_refused(void **state)
{
	wall_t due;

	begin(QUIET EXPIRES, "2026-03-10T06:00:00Z");
	add(100, 0);
	tf_at("2026-03-10T11:00:00+02:00");
	assert_true(fire(0));
	assert_int_equal(tf_number("SELECT count(*) FROM of_task_done WHERE due > 0"), 100);
	refuse("UPDATE ON of_task_done", "new", 99);
	tf_at("2026-03-10T12:00:00+02:00");
	assert_true(fire(30));
	assert_int_equal(failures, 2);
	expect_sent(98);
	assert_true(fire(0));
	assert_int_equal(failures, 0);
	tf.w.stuck = &stuck; /* they stay due, and are not asked for again and again */
	assert_int_equal(task_next_due(&tf.w, &due), 0);
	assert_true(due > tf.w.now + DUR_MIN);
	take_again();
	tf_at("2026-03-10T13:00:00+02:00");
	assert_true(fire(0));
	expect_sent(100);
}

static void points_go_past_who_is_refused(void **state)
{
	begin(POLICY GROUND, "2026-03-10T06:00:00Z");
	add(8, 0);
	for (unsigned i = 0; i < 600; i++) { /* more than are read at once, each with its time */
		struct lot_told t = { .currency = currency_number(&tf.w, STR("bonus"), true),
			.amount = DECIMAL_ONE,
			.at = tf.w.now,
			.activates = tf.w.now + DUR_S + i / 3 };
		char ext[12];

		snprintf(ext, sizeof ext, "s%u", i);
		t.ext = str_of(ext);
		assert_int_equal(lot_put(&tf.w, tf_member("m3"), &t), 0);
	}
	tf_lot("m4", "late", "bonus", 7, "2026-03-10T12:00:00+02:00", NULL);
	refuse("UPDATE ON of_lot", "new", 1000);
	tf_at("2026-03-14T11:00:00+02:00");
	assert_true(fire(3));
	assert_int_equal(failures, 2 - 1);
	assert_int_equal(tf_number("SELECT count(*) FROM of_lot WHERE state = 2"), 7);
	assert_int_equal(tf_number("SELECT state FROM of_lot WHERE ext = 'late'"), LOT_ACTIVE);
	assert_int_equal(tf_number("SELECT count(*) FROM of_lot WHERE state = 0"), 600);
	take_again();
	assert_true(fire(0)); /* within the hour */
	assert_int_equal(tf_number("SELECT count(*) FROM of_lot WHERE state = 0"), 600);
	tf_at("2026-03-14T12:00:00+02:00");
	assert_true(fire(0));
	assert_int_equal(tf_number("SELECT count(*) FROM of_lot WHERE state = 0"), 0);
	assert_int_equal(tf_number("SELECT count(*) FROM of_lot WHERE state = 2"), 8);
}

/* The disk is full: nobody's fault. */
static void a_store_that_does_not_work_is_nobodys_fault(void **state)
{
	char text[100];
	unsigned sent;
	bool left;

	begin(BIRTHDAY, "2026-03-10T01:00:00Z");
	add(2000, 310);
	snprintf(text, sizeof text, "PRAGMA max_page_count = %d",
		(int)tf_number("PRAGMA page_count") + 5);
	assert_int_equal(sql_exec(tf.sql, text), 0);
	tf_at("2026-03-10T09:30:00+02:00");
	assert_int_equal(task_fire(&tf.w, 0, 0, &sent, &left), -1);
	assert_true(tf.w.hand.member);
	assert_int_equal(tf.sql->fault, SQL_FULL);
	assert_false(hand_to_blame(&tf.w));
	sql_forgive(tf.sql);
	assert_true(hand_to_blame(&tf.w));
}

static void there_is_room_for_some(void **state)
{
	struct stuck s = { 0 };

	begin(POLICY GROUND, "2026-03-10T06:00:00Z");
	assert_true(stuck_add(&s, &(struct hand){ HAND_RUN, 1, 7, "t" }, tf.w.now));
	assert_false(stuck_add(&s, &(struct hand){ HAND_RUN, 1, 7, "t" }, tf.w.now + DUR_MIN));
	for (unsigned i = 0; i < STUCK_MOST; i++)
		assert_true(stuck_add(&s, &(struct hand){ HAND_HELD, 1, 100 + i, "t" }, tf.w.now));
	assert_false(stuck_add(&s, &(struct hand){ HAND_POINTS, 0, 9, "" }, tf.w.now));
	tf.w.stuck = &s;
	assert_false(hand_take(&tf.w, HAND_HELD, 1, "t", 100));
	assert_int_equal(tf.w.hand.member, 0);
	assert_true(hand_take(&tf.w, HAND_RUN, 1, "t", 100));
	assert_true(hand_take(&tf.w, HAND_HELD, 2, "t", 100));
	assert_true(hand_take(&tf.w, HAND_RUN, 1, "t", 7)); /* was written down */
	tf.w.now -= DUR_S;                                  /* the clock was set back */
	assert_true(hand_take(&tf.w, HAND_HELD, 1, "t", 100));
	tf.w.now += DUR_S + STUCK_FOR;
	assert_true(hand_take(&tf.w, HAND_HELD, 1, "t", 100));
	assert_true(stuck_add(&s, &(struct hand){ HAND_POINTS, 0, 9, "" }, tf.w.now));
	assert_int_equal(s.n, 1);
}

#define T(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_run_goes_past_who_is_refused),
		T(a_restart_loses_nobody),
		T(a_member_is_given_up_when_the_day_is_over),
		T(not_everybody_is_gone_past),
		T(held_notices_go_past_who_is_refused),
		T(points_go_past_who_is_refused),
		T(a_store_that_does_not_work_is_nobodys_fault),
		T(there_is_room_for_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
