/* A plugin for tests, "trial", in the gateway of flow_fixture.h: it has one table, its hooks do
 * what a test says, and it writes down what it was told.
 */
#ifndef POSTERN_TESTS_PLUGIN_FIXTURE_H
#define POSTERN_TESTS_PLUGIN_FIXTURE_H

#include "gateway/base/waiter.h"
#include "tests/flow_fixture.h"

#define TRIAL " plugins = ( { name = \"trial\"; } );"

struct trial_conf {
	const char *word;
};
static const struct conf_item trial_rows[] = {
	CONF_STR(struct trial_conf, word, "plain", "Something to differ in."), CONF_END
};
/* What it loads: the word, and the text of its file DIR/trial.txt if there is one. */
struct trial_loaded {
	char word[40], text[40];
	unsigned number; /* of the load */
};

static struct trial {
	atomic_uint loads, unloads, opens, closes, begins, ends, adopts, checks;
	char said[64]; /* words of adopted configurations, the writer's */
	/* hooks; NULL: nothing */
	int (*note)(struct plugin_call *c, const struct note *n);
	int (*mo)(struct plugin_call *c, const struct message *m, const char *channel);
	int (*policy)(struct plugin_call *c, const struct message *m, const char *account,
		struct plugin_policy *p);
	wall_t (*gate)(const void *loaded, struct str more, wall_t now);
	int (*feedback)(struct plugin_call *c, const struct plugin_feedback *f);
} trial;

static void *trial_load(const struct plugin_setup *s, const void *conf, struct conf_faults *f)
{
	const struct trial_conf *c = conf;
	struct trial_loaded *l = mem_new(struct trial_loaded);
	char path[300], text[80];
	FILE *file;

	str_copy(l->word, sizeof l->word, str_of(c->word));
	l->number = atomic_fetch_add(&trial.loads, 1);
	snprintf(path, sizeof path, "%strial.txt", s->dir);
	file = s->dir[0] ? fopen(path, "re") : NULL;
	if (file && fgets(text, sizeof text, file))
		str_copy(l->text, sizeof l->text, str_trim(str_of(text)));
	if (file)
		fclose(file);
	if (strcmp(l->text, "broken") == 0 || strcmp(l->word, "broken") == 0) {
		conf_fault(f, path, 1, "offer x: \"broken\" is no offer");
		atomic_fetch_add(&trial.unloads, 1);
		mem_free(&l);
	}
	return l;
}

static void trial_unload(void *loaded)
{
	atomic_fetch_add(&trial.unloads, 1);
	mem_free(&loaded);
}

static void trial_changes(const void *was, const void *is, struct buf *out)
{
	const struct trial_loaded *a = was, *b = is;

	if (strcmp(a->text, b->text) != 0)
		buf_printf(out, "changed trial text to %s\n", b->text);
}

static int trial_open(struct plugin_call *c, struct err *e)
{
	atomic_fetch_add(&trial.opens, 1);
	if (sql_exec(c->db, "CREATE TABLE IF NOT EXISTS trial_t(n INTEGER PRIMARY KEY,"
			    " what TEXT NOT NULL, msg INTEGER)") < 0)
		return sql_err(c->db, e, "trial");
	return 0;
}

static int trial_check(struct plugin_call *c, const void *was, const void *is, struct err *e)
{
	const struct trial_loaded *l = is;

	atomic_fetch_add(&trial.checks, 1);
	return strcmp(l->word, "unfit") == 0
		       ? err_set(e, ERR_CONF, "the counter \"a\" is gone; say was = \"a\"")
		       : 0;
}

static int trial_adopt(struct plugin_call *c, const void *was, const void *is)
{
	const struct trial_loaded *l = is;
	size_t n = strlen(trial.said);

	atomic_fetch_add(&trial.adopts, 1);
	snprintf(trial.said + n, sizeof trial.said - n, "%s ", l->word);
	return 0;
}

static void trial_begin(struct plugin_host *h)
{
	atomic_fetch_add(&trial.begins, 1);
}

static void trial_end(struct plugin_host *h)
{
	atomic_fetch_add(&trial.ends, 1);
}

static void trial_close(struct plugin_call *c)
{
	atomic_fetch_add(&trial.closes, 1);
}

static int trial_note(struct plugin_call *c, const struct note *n)
{
	return trial.note ? trial.note(c, n) : 0;
}

static int trial_mo(struct plugin_call *c, const struct message *m, const char *channel)
{
	return trial.mo ? trial.mo(c, m, channel) : 0;
}

static int trial_policy(struct plugin_call *c, const struct message *m, const char *account,
	struct plugin_policy *p)
{
	return trial.policy ? trial.policy(c, m, account, p) : 0;
}

static int trial_feedback(struct plugin_call *c, const struct plugin_feedback *f)
{
	return trial.feedback ? trial.feedback(c, f) : 0;
}

static wall_t trial_gate(const void *loaded, const struct message *m, struct str more, wall_t now,
	struct outcome *why)
{
	return trial.gate ? trial.gate(loaded, more, now) : 0;
}

static struct plugin plugin_trial = {
	.name = "trial",
	.about = "for tests",
	.conf = trial_rows,
	.conf_size = sizeof(struct trial_conf),
	.size = 64,
	.load = trial_load,
	.unload = trial_unload,
	.changes = trial_changes,
	.open = trial_open,
	.check = trial_check,
	.adopt = trial_adopt,
	.begin = trial_begin,
	.end = trial_end,
	.close = trial_close,
	.note = trial_note,
	.mo = trial_mo,
	.feedback = trial_feedback,
	.policy = trial_policy,
	.gate = trial_gate,
};
const struct plugin *const plugins_of_tests[] = { &plugin_trial, NULL };

static struct plugin_host *trial_host(void)
{
	struct plugin_host *h = gateway_plugin(fx.g, &plugin_trial);

	assert_non_null(h);
	return h;
}

/* In a call: one row of the table. */
static int trial_row(struct plugin_call *c, const char *what, uint64_t msg)
{
	struct sql_stmt *q = sql_prepare(c->db, "INSERT INTO trial_t(what, msg) VALUES($1, $2)");
	int r = -1;

	if (q) {
		sql_text(q, 1, str_of(what));
		sql_int(q, 2, (int64_t)msg);
		r = sql_run(q);
	}
	sql_finish(&q);
	return r;
}

struct trial_count {
	struct plugin_call c;
	const char *sql;
	int64_t n;
};

static int trial_count_run(struct plugin_call *c)
{
	struct trial_count *t = (struct trial_count *)c;

	t->n = sql_number(c->db, t->sql, -1);
	return 0;
}

static int64_t trial_number(const char *sql)
{
	struct trial_count t = { .c.run = trial_count_run, .sql = sql };
	struct err e = { 0 };

	if (plugin_call_wait(trial_host(), &t.c, &e) != 0)
		fail_msg("%s", e.text);
	return t.n;
}

/* A call that sends one message (and, where it says so, fails). */
struct trial_send {
	struct plugin_call c; /* first */
	struct fx_msg msg;
	enum state state;
	enum reason reason;
	const char *words;
	struct plugin_step steps[3];
	unsigned steps_n;
	wall_t open_until;
	bool fails, row;
	/* out */
	uint64_t id;
	struct outcome why;
};

static int trial_send_run(struct plugin_call *c)
{
	struct trial_send *s = (struct trial_send *)c;
	struct message *m = fx_message(s->msg);

	if (s->steps_n || s->open_until) {
		struct draft d = { 0 };

		draft_copy(&d, m, 0);
		message_unref(&m);
		if (s->steps_n)
			plugin_put_fallback(&d, s->steps, s->steps_n);
		if (s->open_until)
			plugin_put_gate(&d, s->open_until, STR("riga"));
		m = draft_seal(&d);
		draft_free(&d);
	}
	s->id = s->state == STATE_QUEUED ? plugin_send(c, m, &s->why)
					 : plugin_suppress(c, m, s->state, s->reason,
						   s->words ? s->words : "", &s->why);
	if (!s->id && s->why.reason == REASON_STORE)
		return -1;
	if (s->row && trial_row(c, "sent", s->id) < 0)
		return -1;
	return s->fails ? -1 : 0;
}

/* Sends and waits; the ledger knows of it. */
static struct trial_send trial_do(struct trial_send s)
{
	struct err e = { 0 };

	s.c.run = trial_send_run;
	s.c.what = "send";
	if (plugin_call_wait(trial_host(), &s.c, &e) != 0 && !s.fails)
		fail_msg("%s", e.text);
	return s;
}

static uint64_t trial_sent(struct fx_msg m)
{
	struct trial_send s = trial_do((struct trial_send){ .msg = m });

	if (!s.id)
		fail_msg("not kept: %s %s", reason_word(s.why.reason), s.why.words);
	return s.id;
}

static void trial_start(const char *channels_and_routes)
{
	memset(&trial, 0, sizeof trial);
	fx_begin(channels_and_routes);
}

#endif
