/* Two nodes on one database: whatever both of them are told and both of them fire is one effect,
 * by the tables' own keys and not by the lock that keeps a second daemon from starting (RT-3,
 * EV-1). Each has its own connection, statements and rules; a message is a row of the same
 * transaction.
 */
#include "plugins/offers/attrs.h"
#include "plugins/offers/engine.h"
#include "plugins/offers/task.h"

#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEMBERS = 20, CROWD = 60 };

static const char text[] =
	"policy = { default_clock = \"Europe/Riga\"; consent_default = \"all\"; unverified = true; "
	"};"
	"currencies = { stars = { one = \"star\"; other = \"stars\"; decimals = 0; }; };"
	"counters = { thanks = { of = \"actions\"; per = \"member\"; period = \"month\"; }; };"
	"templates = { happy = { en = { sms = \"Happy birthday\"; }; };"
	" back = { en = { sms = \"Come back\"; }; }; ends = { en = { sms = \"$Amount end\"; }; };"
	" thanks = { en = { sms = \"Thank you\"; }; }; };"
	"tasks = ( { name = \"happy\"; every = \"day at 09:30\"; look = \"member.birthday\"; send "
	"= "
	"\"happy\"; via = \"sms\"; accrue = { currency = \"stars\"; amount = \"50\"; lives = \"3 "
	"days\"; }; },"
	" { name = \"ends\"; every = \"day at 11:00\"; look = \"bonus.expires\"; ahead = \"2 "
	"days\"; "
	"currency = \"any\"; at_least = \"10\"; send = \"ends\"; via = \"sms\"; } );"
	"offers = ( { name = \"back\"; kind = \"service\"; when = \"registration.completed\"; "
	"unless = "
	"\"purchase.completed\"; then = \"restart\"; steps = ( { after = \"1 day\"; send = "
	"\"back\"; via = "
	"\"sms\"; }, { after = \"1 day\"; send = \"back\"; via = \"sms\"; } ); },"
	" { name = \"thanks\"; kind = \"service\"; when = \"purchase.completed\"; actions = ( { do "
	"= \"send\"; "
	"template = \"thanks\"; via = \"sms\"; only_if = \"counter('thanks') < 1\"; count = "
	"\"thanks\"; } ); } );";

struct node {
	struct sql *sql;
	struct db db;
	struct rules *rules;
	struct work w;
};
static char path[PATH_MAX]; /* a scratch folder may be deep */
static wall_t now;

static void must(struct node *n, int rc)
{
	if (rc < 0)
		fail_msg("%s %s", n->w.e.text, n->sql->words);
}

/* As the gateway does: in the transaction of the work itself. */
static uint64_t keep(struct work *w, struct message *m, struct outcome *why)
{
	struct str to = message_get(m, FIELD_TO), says = message_get(m, FIELD_TEXT);
	char insert[300];

	snprintf(insert, sizeof insert,
		"INSERT INTO sent(dst, says, at) VALUES('%.*s', '%.*s', %lld)", STR_ARG(to),
		STR_ARG(says), (long long)w->now);
	assert_int_equal(sql_exec(w->db->sql, insert), 0);
	message_unref(&m);
	return (uint64_t)sql_number(w->db->sql, "SELECT last_insert_rowid()", 0);
}

/* The other one may be at it for longer than the store is patient, on a machine with other work. */
static void begin(struct node *n)
{
	int rc;

	do
		rc = sql_begin(n->sql);
	while (rc < 0 && n->sql->fault == SQL_BUSY);
	if (rc < 0)
		fail_msg("%s", n->sql->words);
}

static void node_open(struct node *n)
{
	struct sql_conf c = { .where = path, .role = SQL_WRITER };
	struct conf_faults f = { 0 };
	struct err e = { 0 };

	*n = (struct node){ .rules = rules_load_text("test", str_of(text), MEDIA_ANY, &f) };
	if (!n->rules) {
		struct buf b = BUF_INIT;

		conf_faults_text(&f, &b);
		fail_msg("%s", buf_cstr(&b));
	}
	conf_faults_free(&f);
	n->sql = sql_open("sqlite", &c, &e);
	if (!n->sql)
		fail_msg("%s: %s", path, e.text);
	begin(n);
	assert_int_equal(offers_schema(n->sql, &e), 0);
	assert_int_equal(
		sql_exec(n->sql, "CREATE TABLE IF NOT EXISTS sent(id INTEGER PRIMARY KEY, dst "
				 "TEXT, says TEXT, at INTEGER)"),
		0);
	db_open(&n->db, n->sql);
	n->db.attrs = attrs_open(n->sql, n->rules->attributes, n->rules->attributes_n, true, &e);
	assert_int_equal(rules_number(n->rules, &n->db, &e), 0);
	assert_int_equal(sql_commit(n->sql), 0);
}

static void node_close(struct node *n)
{
	arena_free(&n->w.arena);
	attrs_close(&n->db.attrs);
	db_close(&n->db);
	sql_close(&n->sql);
	rules_unref(&n->rules);
}

static struct work *unit(struct node *n)
{
	arena_free(&n->w.arena);
	n->w = (struct work){
		.db = &n->db, .rules = n->rules, .now = now, .arena = arena_new(), .send = keep
	};
	begin(n);
	return &n->w;
}

static void commit(struct node *n)
{
	assert_int_equal(sql_commit(n->sql), 0);
}

/* An event at the door of that node: true when it was new there. */
static bool told(struct node *n, const char *json)
{
	const struct event_reader how = {
		.source = STR("pos"), .ahead = 5 * DUR_MIN, .too_far = DUR_DAY
	};
	struct json_faults f = { 0 };
	json_t *v = json_read(str_of(json), &f);
	struct reply reply = { 0 };
	struct event *e = NULL;
	struct intake in;
	struct work *w;

	assert_int_equal(event_read(v, now, &how, &e, &f), EVENT_OK);
	json_decref(v);
	w = unit(n);
	must(n, intake_keep(w, e, &in));
	commit(n);
	assert_false(in.conflict);
	if (!in.duplicate) {
		w = unit(n);
		must(n, engine_event(w, e, &reply));
		commit(n);
		reply_free(&reply);
	}
	event_drop(&e);
	return !in.duplicate;
}

static bool about(struct node *n, const char *type, unsigned member, unsigned id)
{
	char json[300];

	snprintf(json, sizeof json,
		"{\"id\":\"%s-%u\",\"type\":\"%s\",\"member\":{\"id\":\"m%u\",\"phone\":\"+4670000%"
		"04u\","
		"\"birthday\":\"1980-03-10\"}}",
		type, id, type, member, member);
	return told(n, json);
}

/* One slice of everything that is due; false: nothing more is. */
static bool slice(struct node *n, unsigned most)
{
	bool chains, tasks;
	unsigned fired;

	must(n, chain_fire(unit(n), most, 0, &fired, &chains));
	commit(n);
	must(n, task_fire(unit(n), most, 0, &fired, &tasks));
	commit(n);
	return chains || tasks;
}

static int64_t number(struct node *n, const char *query)
{
	return sql_number(n->sql, query, -1);
}

static void at(const char *rfc3339)
{
	assert_true(clock_parse_rfc3339(str_of(rfc3339), &now));
}

static int open_both(struct node *n)
{
	snprintf(path, sizeof path, "%s/nodes.%d.db",
		getenv("SCRATCH") ? getenv("SCRATCH") : "/tmp", (int)getpid());
	at("2026-03-08T10:00:00+02:00");
	node_open(&n[0]);
	node_open(&n[1]);
	for (unsigned i = 0; i < 2; i++) /* the tasks are known to both from here on */
		slice(&n[i], 0);
	return 0;
}

static void close_both(struct node *n)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	size_t length = strlen(path);

	node_close(&n[0]);
	node_close(&n[1]);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path + length, sizeof path - length, "%s", ends[i]);
		unlink(path);
	}
}

/* Everybody has had each of the messages once, and the points that go with one of them. */
static void expect_one_each(struct node *n, unsigned members)
{
	static const struct {
		const char *says;
		unsigned each;
	} row[] = { { "Happy birthday", 1 }, { "50 end", 1 }, { "Come back", 2 },
		{ "Thank you", 1 } };
	char query[200];

	for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
		snprintf(query, sizeof query,
			"SELECT count(*) FROM (SELECT dst FROM sent WHERE says = '%s' GROUP BY dst "
			"HAVING "
			"count(*) = %u)",
			row[i].says, row[i].each);
		if (number(n, query) != members)
			fail_msg("%s: %lld of %u", row[i].says, (long long)number(n, query),
				members);
	}
	assert_int_equal(number(n, "SELECT count(*) FROM sent"), 5 * members);
	assert_int_equal(number(n, "SELECT count(*) FROM of_sent WHERE msg > 0"), 5 * members);
	assert_int_equal(
		number(n, "SELECT count(DISTINCT msg) FROM of_sent WHERE msg > 0"), 5 * members);
	assert_int_equal(number(n, "SELECT count(*) FROM of_lot"), members);
	assert_int_equal(number(n, "SELECT sum(value) FROM of_counter"), members);
}

static const char *const days[] = { "2026-03-08T23:00:00+02:00", "2026-03-09T10:00:00+02:00",
	"2026-03-10T09:29:59+02:00", "2026-03-10T09:30:00+02:00", "2026-03-10T11:00:00+02:00",
	"2026-03-11T11:00:00+02:00", "2026-03-12T11:00:00+02:00", "2026-03-20T11:00:00+02:00" };
enum { DAYS = sizeof days / sizeof *days };

/* Slice by slice in turn, every event at both doors. */
static void test_RT_3_two_nodes_in_turn(void **state)
{
	struct node n[2];

	open_both(n);
	for (unsigned i = 0; i < MEMBERS; i++) {
		assert_true(about(&n[i % 2], "registration.completed", i, i));
		assert_false(about(&n[(i + 1) % 2], "registration.completed", i, i));
	}
	for (unsigned d = 0; d < DAYS; d++) {
		unsigned quiet = 0;

		at(days[d]);
		for (unsigned turn = 0; quiet < 4; turn++) {
			quiet = slice(&n[turn % 2], 3) ? 0 : quiet + 1;
			assert_true(turn < 1000);
		}
		if (d == DAYS - 2)
			for (unsigned i = 0; i < 2 * MEMBERS; i++) {
				assert_true(about(
					&n[i / MEMBERS], "purchase.completed", i % MEMBERS, i));
				assert_false(about(
					&n[!(i / MEMBERS)], "purchase.completed", i % MEMBERS, i));
			}
	}
	expect_one_each(&n[0], MEMBERS);
	close_both(n);
}

/* What one of them does at that moment while the other does the same; a process of its own. Their
 * clocks agree: both have done a day's work before either begins the next. */
static void run(unsigned which, unsigned members, pthread_barrier_t *day)
{
	struct node n;

	node_open(&n);
	for (unsigned i = 0; i < members; i++)
		about(&n, "registration.completed", which ? members - 1 - i : i,
			which ? members - 1 - i : i);
	for (unsigned d = 0; d < DAYS; d++) {
		pthread_barrier_wait(day);
		at(days[d]);
		while (slice(&n, 3 + which))
			;
		if (d == DAYS - 2)
			for (unsigned i = 0; i < members; i++)
				about(&n, "purchase.completed", i, i);
	}
	node_close(&n);
}

/* At once, and racing: who comes second finds it done. */
static void test_RT_3_two_nodes_at_once(void **state)
{
	pthread_barrier_t *day =
		mmap(NULL, sizeof *day, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_barrierattr_t shared;
	struct node n[2];
	pid_t pid[2];

	assert_true(day != MAP_FAILED);
	pthread_barrierattr_init(&shared);
	pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(day, &shared, 2);
	open_both(n);
	for (unsigned i = 0; i < 2; i++)
		node_close(&n[i]);
	for (unsigned i = 0; i < 2; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (pid[i] == 0) {
			run(i, CROWD, day);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		int status;

		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	node_open(&n[0]);
	node_open(&n[1]);
	expect_one_each(&n[0], CROWD);
	close_both(n);
	munmap(day, sizeof *day);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_RT_3_two_nodes_in_turn),
		cmocka_unit_test(test_RT_3_two_nodes_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
