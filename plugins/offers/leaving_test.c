/* leaving.h: what was said of and to a member goes with them, whatever came of it; what there is
 * much of in slices, which a crash may undo at any place.
 */
#include "plugins/offers/leaving.h"
#include "plugins/offers/engine_fixture.h"
#include "plugins/offers/feedback.h"

enum { MANY = 700 };

/* ---- the gateway's messages ---- */
static struct {
	unsigned asked[20000]; /* how often each was to be erased */
	bool open[20000];      /* has not ended */
} msgs;

static int erase_one(struct work *w, uint64_t msg)
{
	assert_true(msg < 20000);
	msgs.asked[msg]++;
	return !msgs.open[msg];
}

static void start(void)
{
	begin("offer = { name = \"o\"; kind = \"service\"; when = \"purchase.completed\"; actions "
	      "= ("
	      " { do = \"send\"; template = \"hi\"; via = \"sms\"; } ); };");
	memset(&msgs, 0, sizeof msgs);
	of.erase = erase_one;
	reachable();
}

static bool sweep(unsigned most)
{
	bool left = false;

	of_unit();
	work_or_fail(leaving_sweep(&of.w, most, 0, &left));
	return left;
}

static void no_event_says(const char *what)
{
	char q[200];

	snprintf(q, sizeof q,
		"SELECT count(*) FROM of_event WHERE instr(CAST(body AS TEXT), '%s') OR "
		"instr(coalesce(CAST(reply AS TEXT), ''), '%s') OR instr(coalesce(why, ''), '%s')",
		what, what, what);
	if (of_number(q))
		fail_msg("an event says %s", what);
}

/* Kept, and then not to be worked on. */
static uint64_t failed(const char *json)
{
	const struct event_reader how = { .source = STR("pos") };
	struct json_faults f = { 0 };
	json_t *v = json_read(str_of(json), &f);
	struct event *e = NULL;
	struct intake in;

	assert_int_equal(event_read(v, of.w.now, &how, &e, &f), EVENT_OK);
	json_decref(v);
	of_unit();
	work_or_fail(intake_keep(&of.w, e, &in));
	work_or_fail(intake_spoilt(&of.w, in.seq, STR("no such thing")));
	event_drop(&e);
	return in.seq;
}

#define LINK                                                                              \
	"{\"id\":\"u%s\",\"type\":\"contact.linked\",\"member\":{%s},\"data\":{\"kind\":" \
	"\"email\","                                                                      \
	"\"value\":\"margareta@example.com\",\"verified\":false}}"

static void unproved(const char *id, const char *who)
{
	char text[300];

	snprintf(text, sizeof text, LINK, id, who);
	assert_int_equal(put_event(text), TOOK);
}

static void test_events_whatever_came_of_them(void **state)
{
	static const char left[] =
		"{\"id\":\"end\",\"type\":\"member.left\",\"member\":{\"id\":\"m\",\"first_name\":"
		"\"Margareta\"},\"data\":{\"cause\":\"Margareta asked\"}}";

	start();
	/* of nobody, when it failed; theirs, as it turns out */
	failed("{\"id\":\"f0\",\"type\":\"purchase.completed\",\"member\":{\"card\":\"c77\"},"
	       "\"data\":{\"note\":\"Margareta's\"}}");
	assert_int_equal(of_number("SELECT member FROM of_event WHERE id = 'f0'"), 0);
	happens(0, "card.assigned", "\"data\":{\"card\":\"c77\"}");
	failed("{\"id\":\"f1\",\"type\":\"purchase.completed\",\"member\":{\"id\":\"m\"},"
	       "\"data\":{\"note\":\"Margareta's\"}}");
	assert_int_equal(of_number("SELECT member FROM of_event WHERE id = 'f1'"), 1);
	/* of somebody else: it stays */
	failed("{\"id\":\"f2\",\"type\":\"purchase.completed\",\"member\":{\"card\":\"c7\"},"
	       "\"data\":{\"note\":\"other\"}}");
	unproved("1", "\"id\":\"m\"");
	happens(0, "purchase.completed", "\"data\":{\"note\":\"Margareta's\"}");
	assert_int_equal(put_event(left), TOOK);
	no_event_says("argareta");
	no_event_says("c77");
	assert_int_equal(
		of_number("SELECT count(*) FROM of_event WHERE instr(CAST(body AS TEXT), 'other')"),
		1);
	/* what was taken is known, and what contradicts it, too */
	assert_int_equal(put_event(left), AGAIN);
	assert_non_null(strstr(answer.p, "\"queued\":[],\"removed\":1"));
	assert_int_equal(
		put_event("{\"id\":\"end\",\"type\":\"member.left\",\"member\":{\"id\":\"m2\"}}"),
		CONFLICT);
	/* what is heard of them afterwards */
	of_unit();
	{
		struct member *m = NULL;
		struct event *e =
			event_make(EVENT_MESSAGE_REPLIED, of.w.now, STR("postern"), STR("mo:9:9"));

		assert_int_equal(member_load(&of.w, 1, &m), 1);
		assert_int_equal(m->state, MEMBER_LEFT);
		e->attr[ATTR_text] = value_text(STR("Margareta again"));
		event_seal(e);
		work_or_fail(engine_made(&of.w, m, e));
	}
	no_event_says("argareta");
}

/* Records that became theirs, of records that had become those. */
static void test_who_was_merged(void **state)
{
	start();
	of_member("a");
	of_member("b");
	unproved("1", "\"id\":\"a\"");
	unproved("2", "\"id\":\"b\"");
	put_event("{\"id\":\"1\",\"type\":\"member.merged\",\"member\":{\"id\":\"a\"},\"data\":{"
		  "\"into\":\"b\"}}");
	put_event("{\"id\":\"2\",\"type\":\"member.merged\",\"member\":{\"id\":\"b\"},\"data\":{"
		  "\"into\":\"m\"}}");
	happens(0, "member.left", "");
	no_event_says("argareta");
	assert_int_equal(of_number("SELECT count(*) FROM of_member WHERE ext IS NOT NULL"), 0);
}

static void put_sent(unsigned n, int64_t member)
{
	char text[400];

	snprintf(text, sizeof text,
		"WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < %u)"
		" INSERT INTO of_sent(id, member, object, run, step, template, media, row, class, "
		"msg,"
		" state, reason, at, due, address) SELECT 100 + n, %lld, 1, n, 0, 1, 0, 0, 1,"
		" 1000 + n, 3, 'x: Margareta', n / 3, 0, 'abc' FROM i",
		n, (long long)member);
	assert_int_equal(sql_exec(of.sql, text), 0);
}

/* Each slice may be undone, by a crash or by an error; it is done again. */
static void test_many_go_in_slices(void **state)
{
	unsigned slices = 0;
	char id[40];

	start();
	for (unsigned i = 0; i < 150; i++)
		happens(0, "form.completed", "\"data\":{\"note\":\"Margareta's\"}");
	for (unsigned i = 0; i < 100; i++) {
		snprintf(id, sizeof id, "x%u", i);
		unproved(id, "\"id\":\"m\"");
	}
	of_unit();
	put_sent(MANY, 1);
	assert_int_equal(sql_exec(of.sql, "INSERT INTO of_part(msg, sent, state, address) VALUES"
					  "(15001, 101, 0, 'def'), (15002, 101, 0, 'def')"),
		0);
	happens(0, "member.left", "");
	assert_int_equal(of_number("SELECT count(*) FROM of_deed WHERE kind = 4"), 1);
	for (bool left = true; left; slices++) {
		assert_true(slices < 1000);
		assert_int_equal(sql_exec(of.sql, "SAVEPOINT crash"), 0);
		sweep(40);
		assert_int_equal(sql_exec(of.sql, "ROLLBACK TO crash; RELEASE crash"), 0);
		left = sweep(40);
	}
	assert_true(slices > MANY / 40);
	no_event_says("argareta");
	assert_int_equal(of_number("SELECT count(*) FROM of_deed WHERE kind >= 4"), 0);
	assert_int_equal(of_number("SELECT count(*) FROM of_past"), 0);
	assert_int_equal(of_number("SELECT count(*) FROM of_sent WHERE address IS NOT NULL OR "
				   "reason <> 'x'"),
		0);
	assert_int_equal(of_number("SELECT count(*) FROM of_part WHERE address <> ''"), 0);
	assert_int_equal(of_number("SELECT count(*) FROM of_sent"), MANY);
	assert_int_equal(msgs.asked[1001], 0); /* of several devices: those */
	assert_true(msgs.asked[15001] && msgs.asked[15002]);
	for (unsigned i = 2; i <= MANY; i++)
		assert_true(msgs.asked[1000 + i]);
}

static const char *const texts[] = {
#define ST(NAME, text) text,
#include "plugins/offers/statements.def"
#undef ST
};

/* How SQLite goes about it: by an index alone, so that it reads what it gives. */
static void reads_what_it_gives(enum st which)
{
	char q[600];
	struct sql_stmt *st;

	snprintf(q, sizeof q, "EXPLAIN QUERY PLAN %s", texts[which]);
	st = sql_prepare(of.sql, q);
	assert_non_null(st);
	assert_int_equal(sql_step(st), 1);
	if (!str_is(sql_col_str(st, 3),
		    "SEARCH of_event USING INDEX of_event_idle (member=? AND rowid>?)"))
		fail_msg("%.*s", STR_ARG(sql_col_str(st, 3)));
	assert_int_equal(sql_step(st), 0);
	sql_finish(&st);
}

static void put_idle(unsigned n, int64_t member, const char *say)
{
	char text[400];

	snprintf(text, sizeof text,
		"WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < %u)"
		" INSERT INTO of_event(source, id, digest, type, member, occurred, received, done, "
		"body) SELECT 'x', 'i%lld-' || n, 0, 1, %lld, 1, 1, 2, '{\"note\":\"%s' || "
		"CASE WHEN n %% 7 = 0 THEN '' ELSE '-' END || '\"}' FROM i",
		n, (long long)member, (long long)member, say);
	assert_int_equal(sql_exec(of.sql, text), 0);
}

/* Events without effect, of nobody, of them and of who became them: however many there are, each
 * unit looks at so many, each of which may be undone. */
static void test_many_idle_events(void **state)
{
	enum { IDLE = 900, SLICE = 50 };
	unsigned slices = 0;
	int64_t was = IDLE, is;

	start();
	reads_what_it_gives(ST_LEFT_UNKNOWN);
	reads_what_it_gives(ST_LEFT_IDLE);
	happens(0, "card.assigned", "\"data\":{\"card\":\"c77\"}");
	assert_int_equal(of_number("SELECT id FROM of_member WHERE ext = 'm'"), 1);
	/* a tree: 11 and 12 became them, 13 to 15 became 11, 16 became 15, 17 became 12 */
	assert_int_equal(sql_exec(of.sql, "INSERT INTO of_member(id, state, merged, created, "
					  "updated) VALUES(11, 2, 1, "
					  "1, 1), (12, 2, 1, 1, 1), (13, 2, 11, 1, 1), (14, 2, 11, "
					  "1, 1), (15, 2, 11, "
					  "1, 1), (16, 2, 15, 1, 1), (17, 2, 12, 1, 1), (18, 2, 0, "
					  "1, 1), (19, 2, 18, "
					  "1, 1)"),
		0);
	put_idle(IDLE, 0, "c77");
	put_idle(IDLE, 1, "Margareta");
	for (int64_t id = 11; id < 20; id++)
		put_idle(30, id, id < 18 ? "Margareta" : "somebody");
	happens(0, "member.left", "");
	/* the unit in which they left looked at some, and keeps what names them for the others */
	assert_int_equal(of_number("SELECT count(*) FROM of_deed WHERE kind = 4 AND "
				   "instr(CAST(body AS TEXT), 'c77')"),
		1);
	assert_true(of_number("SELECT count(*) FROM of_event WHERE member = 0 AND body = '{}'") <
		    64 / 7 + 2);
	for (bool left = true; left; slices++) {
		assert_true(slices < 1000);
		assert_int_equal(sql_exec(of.sql, "SAVEPOINT crash"), 0);
		sweep(SLICE);
		assert_int_equal(sql_exec(of.sql, "ROLLBACK TO crash; RELEASE crash"), 0);
		left = sweep(SLICE);
		is = of_number(
			"SELECT count(*) FROM of_event WHERE length(body) > 2 AND member = 1");
		assert_true(was - is <= SLICE);
		was = is;
	}
	assert_in_range(slices, (2 * IDLE + 7 * 30) / SLICE, (2 * IDLE + 7 * 30) / SLICE + 5);
	no_event_says("argareta");
	no_event_says("\"c77\"");
	assert_int_equal(
		of_number("SELECT count(*) FROM of_event WHERE member = 0 AND body = '{}'"),
		IDLE / 7);
	assert_int_equal(
		of_number("SELECT count(*) FROM of_event WHERE instr(body, 'somebody')"), 60);
	assert_int_equal(of_number("SELECT count(*) FROM of_deed WHERE kind >= 4"), 0);
}

/* As a store of before this has them. */
static void test_those_who_were_leaving_when_it_was_updated(void **state)
{
	static const char *const keys[] = { "NULL", "'0 -9223372036854775808 0'" };

	for (unsigned i = 0; i < 2; i++) {
		char text[200];

		start();
		put_idle(100, 1, "Margareta");
		put_sent(5, 1);
		snprintf(text, sizeof text,
			"INSERT INTO of_deed(kind, msg, due, key) VALUES(4, 1, 0, %s)", keys[i]);
		assert_int_equal(sql_exec(of.sql, text), 0);
		while (sweep(40))
			;
		no_event_says("argareta");
		assert_int_equal(
			of_number("SELECT count(*) FROM of_sent WHERE address IS NOT NULL"), 0);
		if (!i)
			end(NULL);
	}
}

/* A message under way, and one that waits until it is taken back: asked for until they have ended.
 */
static void test_what_has_not_ended(void **state)
{
	wall_t due;

	start();
	happens(0, "purchase.completed", "");
	assert_int_equal(of.sent_n, 1);
	msgs.open[of.sent[0]->id] = true;
	happens(0, "member.left", "");
	assert_int_equal(msgs.asked[of.sent[0]->id], 1);
	work_or_fail(leaving_next_due(&of.w, &due));
	assert_true(due > of.w.now && due <= of.w.now + DUR_S);
	assert_false(sweep(100)); /* not yet */
	assert_int_equal(msgs.asked[of.sent[0]->id], 1);
	of.w.now += 2 * DUR_S;
	assert_false(sweep(100));
	assert_int_equal(msgs.asked[of.sent[0]->id], 2);
	/* its news come in between: by them, too, and they bring no words */
	{
		const struct sent_news news = { .msg = of.sent[0]->id,
			.state = STATE_UNDELIVERABLE,
			.reason = REASON_FAR_DESTINATION,
			.words = STR("550 Margareta") };
		struct event *e = NULL;
		uint64_t member;

		msgs.open[of.sent[0]->id] = false;
		of_unit();
		work_or_fail(sent_receipt(&of.w, &news, &e, &member));
		assert_null(e);
	}
	assert_int_equal(msgs.asked[of.sent[0]->id], 3);
	assert_int_equal(of_number("SELECT count(*) FROM of_sent WHERE instr(reason, 'Marg')"), 0);
	assert_int_equal(of_number("SELECT state FROM of_sent"), STATE_UNDELIVERABLE);
	of.w.now += DUR_HOUR;
	assert_false(sweep(100));
	assert_int_equal(of_number("SELECT count(*) FROM of_deed WHERE kind >= 4"), 0);
	work_or_fail(leaving_next_due(&of.w, &due));
	assert_int_equal(due, 0);
}

/* What they wrote to us is found by its event. */
static void test_what_they_wrote(void **state)
{
	struct member *m;
	struct event *e;

	start();
	of_unit();
	m = of_member("m");
	e = event_make(EVENT_MESSAGE_REPLIED, of.w.now, STR("postern"), STR("mo:7777:123"));
	e->attr[ATTR_text] = value_text(STR("Margareta speaking"));
	event_seal(e);
	work_or_fail(engine_made(&of.w, m, e));
	happens(0, "member.left", "");
	no_event_says("argareta");
	assert_int_equal(msgs.asked[7777], 1);
}

/* A complaint about what they had been sent: their address is suppressed, they are not known by it.
 */
static void test_a_complaint_afterwards(void **state)
{
	struct feedback f = { .kind = FEEDBACK_COMPLAINT,
		.media = MEDIA_SMS,
		.address = STR("46700000001"),
		.by = STR("t"),
		.proof = STR("of Margareta"),
		.row = -1,
		.member = 1 };

	start();
	happens(0, "member.left", "");
	of_unit();
	work_or_fail(feedback_take(&of.w, &f, NULL));
	assert_int_equal(of_number("SELECT count(*) FROM of_consent"), 0);
	assert_int_equal(
		of_number("SELECT count(*) FROM of_consent_log WHERE proof IS NOT NULL"), 0);
	assert_true(of_number("SELECT count(*) FROM of_block") > 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, end)
	const struct CMUnitTest tests[] = {
		T(test_events_whatever_came_of_them),
		T(test_who_was_merged),
		T(test_many_go_in_slices),
		T(test_many_idle_events),
		T(test_those_who_were_leaving_when_it_was_updated),
		T(test_what_has_not_ended),
		T(test_what_they_wrote),
		T(test_a_complaint_afterwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
