/* What comes about a message by another way than receipts: states that rise, notes that correct,
 * history, and the plugin that hears of it in the same transaction.
 */
#include "tests/plugin_fixture.h"

#define CONF                                                               \
	"channels = ( { name = \"a\"; type = \"probe\"; window = 20; } );" \
	"routes = ( { via = [ \"a\" ]; } );" TRIAL

/* ---- the far side takes it and will say no more ---- */
static bool last_word(struct channel *c, struct delivery *d, unsigned part, struct outcome *o_r)
{
	*o_r = outcome_of(REASON_NONE);
	o_r->final_word = true;
	return true;
}

static bool no_such_address(
	struct channel *c, struct delivery *d, unsigned part, struct outcome *o_r)
{
	*o_r = outcome_words(REASON_FAR_DESTINATION, "550 5.1.1 no such user");
	o_r->dead = true;
	str_copy(o_r->err, sizeof o_r->err, STR("5.1.1"));
	return true;
}

/* ---- what the plugin heard ---- */
static char heard[400];
static bool refuses;

static int feedback(struct plugin_call *c, const struct plugin_feedback *f)
{
	char line[200];
	size_t n = strlen(heard);

	snprintf(line, sizeof line, "%.*s %s kind=%d dead=%d row=%s by=%s msg=%d %s;",
		STR_ARG(f->address), media_word(f->media), (int)f->v->kind, f->v->dead, f->v->row,
		f->v->by, f->m != NULL, f->submitter);
	if (trial_row(c, "feedback", f->v->msg) < 0)
		return -1;
	if (refuses)
		return -1;
	str_copy(heard + n, sizeof heard - n, str_of(line));
	return 0;
}

static void begin(void)
{
	memset(&trial, 0, sizeof trial);
	heard[0] = '\0';
	refuses = false;
	trial.feedback = feedback;
	fx_begin(CONF);
}

struct arriving {
	const struct evidence *v;
	int *token;
};
static void arriving(void *arg)
{
	struct arriving *a = arg;

	evidence_arrived(fx.door, a->v, a->token);
}

/* 1: stored, -1: not. */
static int arrive(struct evidence v)
{
	int token = 0;
	struct arriving a = { &v, &token };

	gateway_call(fx.g, fx.door->loop, arriving, &a);
	for (int i = 0; i < 5000; i++) {
		fx_lock();
		if (token) {
			fx_unlock();
			return token;
		}
		fx_unlock();
		usleep(1000);
	}
	return 0;
}

static unsigned lines_of(uint64_t id, const char *what, char *words_r, size_t cap)
{
	struct store_view v = fx_view(id);
	unsigned n = 0;

	for (unsigned i = 0; i < v.history_n; i++)
		if (strcmp(v.history[i].what, what) == 0) {
			n++;
			if (words_r)
				str_copy(words_r, cap, str_of(v.history[i].words));
		}
	store_view_free(&v);
	return n;
}

static bool told(void *arg)
{
	const struct entry *e = arg;

	return e->told >= 2;
}

/* ---- sent, and then it bounces ---- */
static void test_bounce(void **state)
{
	struct evidence v = { .kind = EVIDENCE_STATE,
		.state = STATE_UNDELIVERABLE,
		.reason = REASON_FAR_DESTINATION,
		.dead = true,
		.err = "5.1.1",
		.words = "550 no such user",
		.by = "dsn" };
	struct store_view view;
	char words[120];
	uint64_t id;

	begin();
	fx.decide = last_word;
	id = fx_send((struct fx_msg){
		.to = "a@b.example", .media = MEDIA_EMAIL, .wants = WANT_DELIVERED | WANT_FAILED });
	fx_state_becomes(id, STATE_SENT);
	v.msg = id;
	assert_int_equal(arrive(v), 1);
	view = fx_view(id);
	assert_int_equal(view.state, STATE_UNDELIVERABLE);
	assert_int_equal(view.reason, REASON_FAR_DESTINATION);
	assert_string_equal(view.err, "5.1.1");
	assert_string_equal(view.to, "a@b.example");
	store_view_free(&view);
	assert_int_equal(lines_of(id, "bounce", words, sizeof words), 1);
	assert_string_equal(words, "5.1.1 dsn: 550 no such user");
	assert_string_equal(heard, "a@b.example email kind=0 dead=1 row= by=dsn msg=1 door/one;");
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t"), 1);
	/* told as sent first, then corrected */
	assert_true(fx_until(told, fx_entry(id), 5 * DUR_S));
	assert_int_equal(fx_entry(id)->last, STATE_UNDELIVERABLE);
	/* the same again says nothing new; later evidence may only raise it */
	assert_int_equal(arrive(v), 1);
	assert_int_equal(lines_of(id, "bounce", NULL, 0), 1);
	v = (struct evidence){
		.kind = EVIDENCE_STATE, .msg = id, .state = STATE_READ, .by = "mdn"
	};
	assert_int_equal(arrive(v), 1);
	assert_int_equal(fx_state(id), STATE_READ);
	v.state = STATE_DELIVERED;
	assert_int_equal(arrive(v), 1);
	assert_int_equal(fx_state(id), STATE_READ);
	assert_int_equal(lines_of(id, "correction", NULL, 0), 1);
	fx_end();
}

/* Delayed is no end. */
static void test_delayed(void **state)
{
	struct evidence v = { .kind = EVIDENCE_STATE,
		.state = STATE_SENT,
		.reason = REASON_MAILBOX_FULL,
		.err = "4.2.2",
		.by = "dsn" };

	begin();
	fx.decide = last_word;
	v.msg = fx_send((struct fx_msg){ .to = "a@b.example", .media = MEDIA_EMAIL });
	fx_state_becomes(v.msg, STATE_SENT);
	for (int i = 0; i < 2; i++)
		assert_int_equal(arrive(v), 1);
	assert_int_equal(fx_state(v.msg), STATE_SENT);
	/* whoever has the token may say it again and again: it is kept once */
	assert_int_equal(lines_of(v.msg, "delayed", NULL, 0), 1);
	assert_string_equal(heard, "");
	fx_end();
}

/* Complaints and unsubscribing say nothing of the state; a plugin that fails does not undo them. */
static void test_feedback(void **state)
{
	struct evidence v = { .kind = EVIDENCE_COMPLAINT, .by = "arf" };
	char words[120];

	begin();
	fx.decide = last_word;
	v.msg = fx_send((struct fx_msg){ .to = "a@b.example", .media = MEDIA_EMAIL });
	fx_state_becomes(v.msg, STATE_SENT);
	assert_int_equal(arrive(v), 1);
	assert_int_equal(fx_state(v.msg), STATE_SENT);
	assert_int_equal(lines_of(v.msg, "complaint", NULL, 0), 1);
	refuses = true;
	v.kind = EVIDENCE_UNSUBSCRIBE;
	v.by = "one-click";
	str_copy(v.row, sizeof v.row, STR("offer"));
	assert_int_equal(arrive(v), 1);
	assert_int_equal(lines_of(v.msg, "unsubscribe", words, sizeof words), 1);
	assert_string_equal(words, "one-click: offer");
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t"), 1); /* undone */
	refuses = false;
	assert_int_equal(arrive(v), 1); /* and heard when it comes again */
	assert_string_equal(heard, "a@b.example email kind=1 dead=0 row= by=arf msg=1 door/one;"
				   "a@b.example email kind=2 dead=0 row=offer by=one-click msg=1 "
				   "door/one;");
	fx_end();
}

/* Of what is forgotten, or was never known, the plugin hears by the address. */
static void test_forgotten(void **state)
{
	struct evidence v = {
		.kind = EVIDENCE_UNSUBSCRIBE, .to = "x@y.example", .by = "one-click"
	};

	begin();
	assert_int_equal(arrive(v), 1);
	v.msg = 4711;
	assert_int_equal(arrive(v), 1);
	v.to[0] = '\0'; /* of nobody: nothing to be said to it */
	assert_int_equal(arrive(v), 1);
	assert_string_equal(heard, "x@y.example email kind=2 dead=0 row= by=one-click msg=0 ;"
				   "x@y.example email kind=2 dead=0 row= by=one-click msg=0 ;");
	fx_end();
}

/* The far side's own answer says that the address is dead. */
static void test_answer(void **state)
{
	struct store_view v;
	uint64_t id;

	begin();
	fx.decide = no_such_address;
	id = fx_send((struct fx_msg){ .to = "a@b.example", .media = MEDIA_EMAIL });
	fx_state_becomes(id, STATE_REJECTED);
	v = fx_view(id);
	assert_string_equal(v.err, "5.1.1");
	store_view_free(&v);
	assert_string_equal(
		heard, "a@b.example email kind=0 dead=1 row= by=answer msg=1 door/one;");
	fx_end();
}

/* ---- the message itself ---- */
static struct message *fetched;
static bool fetch_over;
static uint64_t fetch_id;

static void fetch_done(void *ctx, struct message *m, const char *words)
{
	assert_ptr_equal(ctx, &fetched);
	assert_ptr_equal(loop_self(), fx.door->loop);
	fx_lock();
	fetched = m;
	fetch_over = true;
	fx_unlock();
}

static void fetch_run(void *arg)
{
	message_fetch(fx.door, fetch_id, fetch_done, &fetched);
}

static bool fetch_is_over(void *arg)
{
	return fetch_over;
}

static struct message *fetch(uint64_t id)
{
	fetch_id = id;
	fetch_over = false;
	gateway_call(fx.g, fx.door->loop, fetch_run, NULL);
	assert_true(fx_until(fetch_is_over, NULL, 5 * DUR_S));
	return fetched;
}

static void test_fetch(void **state)
{
	struct message *m;
	uint64_t id;

	begin();
	id = fx_send((struct fx_msg){ .text = "the content" });
	m = fetch(id);
	assert_non_null(m);
	assert_int_equal(m->id, id);
	assert_true(str_is(message_get(m, FIELD_TEXT), "the content"));
	message_unref(&m);
	assert_null(fetch(4711));
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounce),
		cmocka_unit_test(test_delayed),
		cmocka_unit_test(test_feedback),
		cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_fetch),
	};

	return cmocka_run_group_tests_name("evidence", tests, NULL, NULL);
}
