/* The store by its contract: every operation, in memory and over a restart. */
#include "gateway/base/log.h"
#include "gateway/store/sql.h"
#include "gateway/store/store_fixture.h"

#include <sys/stat.h>

static int in_memory(void **state)
{
	fx_begin(":memory:");
	return 0;
}

static int over(void **state)
{
	fx_end();
	return 0;
}

static uint64_t waiting(unsigned priority)
{
	struct store_depth d[8];
	bool counted;
	unsigned n = store_depths(fx.s, d, 8, &counted);

	for (unsigned i = 0; i < n; i++)
		if (d[i].channel == CH)
			return d[i].waiting[priority];
	return 0;
}

/* ---- a message's life ------------------------------------------------------------------------ */

static void test_life(void **state)
{
	struct place place;
	uint64_t id = fx_accept((struct fx_msg){ .wants = WANT_DELIVERED, .text = "hej" }, &place);
	struct store_op *op;
	struct store_view v;
	struct err e = { 0 };
	uint64_t seq;

	assert_true(id < INT64_MAX);
	assert_int_equal(place.channel, CH);
	assert_int_equal(fx_state(id), STATE_QUEUED);
	assert_int_equal(waiting(PRIORITY_HIGH), 1);
	fx_sent(id, place, "f1");
	assert_int_equal(fx_state(id), STATE_SENT);
	assert_int_equal(waiting(PRIORITY_HIGH), 0);
	op = fx_receipt("f1", "46700000001", STATE_DELIVERED);
	assert_true(op->receipt.matched);
	assert_true(op->receipt.applied);
	assert_int_equal(op->receipt.id, id);
	assert_int_equal(op->receipt.now, STATE_DELIVERED);
	fx_free(op);
	assert_int_equal(fx.notes, 1);
	assert_int_equal(fx.note[0]->kind, NOTE_RECEIPT);
	assert_int_equal(fx.note[0]->state, STATE_DELIVERED);
	assert_int_equal(fx.note[0]->outlet, SUB);
	assert_string_equal(fx.note[0]->to, "46700000001");
	assert_int_equal(fx.note[0]->parts_delivered, 1);
	assert_int_equal(store_notes_waiting(fx.s, SUB), 1);
	seq = fx.note[0]->seq;
	op = fx_op(OP_NOTED);
	op->noted.outlet = SUB;
	op->noted.seq = seq;
	fx_free(fx_do(op));
	assert_int_equal(store_notes_waiting(fx.s, SUB), 0);
	assert_int_equal(store_find(fx.s, id, true, &v, &e), 1);
	assert_int_equal(v.state, STATE_DELIVERED);
	assert_string_equal(v.far_id, "f1");
	assert_string_equal(v.from, "Shop");
	assert_non_null(v.msg);
	assert_true(str_is(message_get(v.msg, FIELD_TEXT), "hej"));
	assert_int_equal(v.history_n, 3);
	assert_string_equal(v.history[0].what, "accepted");
	assert_string_equal(v.history[2].what, "delivered");
	store_view_free(&v);
	assert_int_equal(store_find(fx.s, id + 1, false, &v, &e), 0);
}

/* ---- acceptance ------------------------------------------------------------------------------ */

static void test_ids_rise(void **state)
{
	struct store_op *ops[5000];
	uint64_t last = 0;
	wall_t due = 0;

	for (unsigned i = 0; i < 5000; i++)
		ops[i] = fx_accept_op((struct fx_msg){ 0 });
	fx_do_all(ops, 5000);
	for (unsigned i = 0; i < 5000; i++) {
		assert_true(ops[i]->accept.id > last);
		assert_true(ops[i]->accept.place.due >= due);
		assert_int_equal(ops[i]->accept.id >> 12 & 1023, 5);
		assert_int_equal(ops[i]->accept.msg->id, ops[i]->accept.id);
		last = ops[i]->accept.id;
		due = ops[i]->accept.place.due;
		fx_free(ops[i]);
	}
	/* the clock goes back an hour: ids and due times do not */
	clock_shift(-DUR_HOUR);
	ops[0] = fx_do(fx_accept_op((struct fx_msg){ 0 }));
	assert_true(ops[0]->accept.id > last);
	assert_true(ops[0]->accept.place.due > due);
	assert_true(store_now(fx.s) >= ops[0]->accept.place.due);
	clock_shift(DUR_HOUR);
	fx_free(ops[0]);
}

static void test_scheduled(void **state)
{
	wall_t at = clock_wall() + DUR_HOUR;
	struct place place;
	struct store_load l = { .kind = LOAD_QUEUE, .channel = CH, .most = 10 };

	fx_accept((struct fx_msg){ .send_at = at }, &place);
	assert_int_equal(place.due, at);
	fx_accept((struct fx_msg){ .send_at = 5 }, &place); /* long ago: at once */
	assert_true(place.due > 5 && place.due < at);
	l.until = at + DUR_HOUR; /* never beyond now */
	fx_load(&l);
	assert_int_equal(l.n, 1);
	assert_true(l.end);
	assert_int_equal(l.next_due, at);
	message_unref(&l.rows[0].msg);
	store_load_free(&l);
	clock_shift(2 * DUR_HOUR);
	l.after_due = 0;
	fx_load(&l);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.rows[1].place.due, at);
	for (unsigned i = 0; i < l.n; i++)
		message_unref(&l.rows[i].msg);
	store_load_free(&l);
	clock_shift(-2 * DUR_HOUR);
}

static void test_dedupe(void **state)
{
	struct store_op *a = fx_do(fx_accept_op((struct fx_msg){ .client_id = "c1", .text = "x" }));
	struct store_op *b = fx_do(fx_accept_op((struct fx_msg){ .client_id = "c1", .text = "x" }));
	struct store_op *c = fx_do(fx_accept_op((struct fx_msg){ .client_id = "c1", .text = "y" }));
	struct store_op *d = fx_do(fx_accept_op(
		(struct fx_msg){ .client_id = "c1", .text = "x", .submitter = SUB + 1 }));
	uint64_t found;
	struct err e;

	assert_false(a->accept.duplicate || a->accept.conflict);
	assert_true(b->accept.duplicate && !b->accept.conflict);
	assert_int_equal(b->accept.id, a->accept.id);
	assert_true(c->accept.conflict && !c->accept.duplicate);
	assert_false(d->accept.duplicate || d->accept.conflict);
	assert_int_equal(waiting(PRIORITY_HIGH), 2);
	assert_int_equal(store_find_client(fx.s, SUB, STR("c1"), &found, &e), 1);
	assert_int_equal(found, a->accept.id);
	assert_int_equal(store_find_client(fx.s, SUB, STR("c2"), &found, &e), 0);
	fx_free(b);
	/* after its window the id is free again */
	clock_shift(2 * DUR_DAY);
	b = fx_do(fx_accept_op((struct fx_msg){ .client_id = "c1", .text = "z" }));
	assert_false(b->accept.duplicate || b->accept.conflict);
	clock_shift(-2 * DUR_DAY);
	fx_free(a);
	fx_free(b);
	fx_free(c);
	fx_free(d);
}

static void test_born_final(void **state)
{
	struct store_op *op = fx_accept_op((struct fx_msg){ .wants = WANT_FAILED });
	uint64_t id;

	op->accept.channel = 0;
	op->accept.state = STATE_SUPPRESSED;
	op->accept.reason = REASON_POLICY;
	fx_do(op);
	id = op->accept.id;
	fx_free(op);
	assert_int_equal(fx_state(id), STATE_SUPPRESSED);
	assert_int_equal(waiting(PRIORITY_HIGH), 0);
	assert_int_equal(fx.notes, 1);
	assert_int_equal(fx.note[0]->state, STATE_SUPPRESSED);
	assert_int_equal(fx.note[0]->reason, REASON_POLICY);
}

/* ---- retries, ends --------------------------------------------------------------------------- */

static struct store_op *retry_op(uint64_t id, struct place from, struct place to)
{
	struct store_op *op = fx_op(OP_RETRY);

	op->retry.id = id;
	op->retry.from = from;
	op->retry.to = to;
	op->retry.attempt = 1;
	op->retry.reason = REASON_TEMPORARY;
	str_copy(op->retry.words, OUTCOME_WORDS, STR("try later"));
	return op;
}

static void late(uint64_t id)
{
	struct store_op *op = fx_op(OP_LATE);

	op->late.id = id;
	fx_free(fx_do(op));
}

/* Told once, by whichever way it was noticed, to who wants it, and only while it waits. */
static void test_late(void **state)
{
	struct store_load l = { .kind = LOAD_EXPIRED, .channel = CH, .most = 10 };
	struct place place, sent_place;
	struct store_op *op;
	uint64_t id, sent;
	unsigned found = 0;

	fx_accept((struct fx_msg){ .wants = WANT_FAILED | WANT_INTERMEDIATE }, &place);
	sent = fx_accept((struct fx_msg){ .wants = WANT_DELAY }, &sent_place);
	id = fx_accept((struct fx_msg){ .wants = WANT_DELAY }, &place);
	l.until = clock_wall();
	l.late_until = clock_wall() + DUR_S;
	do {
		fx_load(&l);
		for (unsigned i = 0; i < l.n; i++) {
			assert_true(l.ids[i].late);
			found++;
		}
		store_load_free(&l);
	} while (!l.end);
	assert_int_equal(found, 2);
	fx_sent(sent, sent_place, "x");
	late(sent);
	assert_int_equal(fx.notes, 0);
	op = retry_op(id, place, place);
	op->retry.late = clock_wall() - DUR_HOUR;
	fx_do(op);
	place = op->retry.to;
	fx_free(op);
	assert_int_equal(fx.notes, 0); /* it has not waited long */
	op = retry_op(id, place, place);
	op->retry.late = clock_wall() + DUR_HOUR;
	fx_free(fx_do(op));
	assert_int_equal(fx.notes, 1);
	assert_int_equal(fx.note[0]->kind, NOTE_INTERMEDIATE);
	assert_int_equal(fx.note[0]->state, STATE_QUEUED);
	assert_int_equal(fx.note[0]->reason, REASON_TEMPORARY);
	late(id);
	assert_int_equal(fx.notes, 1);
	fx_drop_notes();
	fx_reopen();
	late(id);
	assert_int_equal(fx.notes, 0);
}

static void test_retry(void **state)
{
	struct place place, to;
	uint64_t id = fx_accept((struct fx_msg){ .priority = PRIORITY_BULK }, &place);
	struct store_op *op;
	struct store_view v;
	struct err e;

	to = place;
	to.due = store_now(fx.s) + DUR_HOUR;
	op = fx_do(retry_op(id, place, to));
	place = op->retry.to;
	assert_int_equal(place.due, to.due);
	fx_free(op);
	to = place;
	to.channel = CH + 1;
	to.due = 0;
	op = retry_op(id, place, to);
	op->retry.attempt = 2;
	fx_do(op);
	assert_true(op->retry.to.due > 0 && op->retry.to.due <= store_now(fx.s));
	place = op->retry.to;
	fx_free(op);
	assert_int_equal(waiting(PRIORITY_BULK), 0);
	assert_int_equal(store_find(fx.s, id, false, &v, &e), 1);
	assert_int_equal(v.state, STATE_QUEUED);
	assert_int_equal(v.channel, CH + 1);
	assert_int_equal(v.due, place.due);
	assert_int_equal(v.attempt, 2);
	assert_int_equal(v.reason, REASON_TEMPORARY);
	assert_string_equal(v.words, "try later");
	assert_int_equal(v.history_n, 3);
	assert_string_equal(v.history[1].what, "retry");
	assert_string_equal(v.history[2].what, "failover");
	store_view_free(&v);
	fx_sent(id, place, "r1");
	assert_int_equal(store_find(fx.s, id, false, &v, &e), 1);
	assert_int_equal(v.state, STATE_SENT);
	assert_int_equal(v.reason, REASON_NONE);
	store_view_free(&v);
}

/* An old id that comes again goes behind what the same commit has queued before it. */
static void test_retry_rises(void **state)
{
	struct place place;
	uint64_t a = fx_accept((struct fx_msg){ 0 }, &place),
		 b = fx_accept((struct fx_msg){ 0 }, NULL);
	struct place to = place;
	struct store_op *op[4];

	to.due = 0;
	op[0] = fx_accept_op((struct fx_msg){ 0 });
	op[1] = retry_op(b, place, to);
	op[2] = retry_op(a, place, to);
	op[2]->retry.parts = 3;
	op[3] = fx_accept_op((struct fx_msg){ 0 });
	fx_do_all(op, 4);
	assert_true(op[1]->retry.applied && op[2]->retry.applied);
	assert_true(op[0]->accept.place.due < op[1]->retry.to.due);
	assert_true(op[1]->retry.to.due < op[2]->retry.to.due);
	assert_true(op[2]->retry.to.due <= op[3]->accept.place.due);
	assert_true(op[3]->accept.place.due <= store_now(fx.s));
	for (int i = 0; i < 4; i++)
		fx_free(op[i]);
}

static struct store_op *final_op(uint64_t id, struct place place, enum state st)
{
	struct store_op *op = fx_op(OP_FINAL);

	op->final.id = id;
	op->final.place = place;
	op->final.state = st;
	op->final.reason = REASON_REFUSED;
	return op;
}

static void test_final(void **state)
{
	const struct place nowhere = { 0 };
	struct place place;
	uint64_t id = fx_accept((struct fx_msg){ .wants = WANT_FAILED | WANT_DELIVERED }, &place);
	struct store_op *op = fx_do(final_op(id, place, STATE_REJECTED));

	assert_true(op->final.applied);
	assert_int_equal(op->final.now, STATE_REJECTED);
	assert_int_equal(waiting(PRIORITY_HIGH), 0);
	assert_int_equal(fx.notes, 1);
	assert_int_equal(fx.note[0]->state, STATE_REJECTED);
	assert_int_equal(fx.note[0]->reason, REASON_REFUSED);
	fx_free(op);
	op = fx_do(
		final_op(id, place, STATE_EXPIRED)); /* not from one end to another of its rank */
	assert_false(op->final.applied);
	assert_int_equal(op->final.now, STATE_REJECTED);
	fx_free(op);
	assert_int_equal(fx.notes, 1);
	/* without its place, after a retry moved it: found by its row */
	id = fx_accept((struct fx_msg){ 0 }, &place);
	fx_free(fx_do(retry_op(id, place,
		(struct place){ .channel = CH, .priority = 0, .due = store_now(fx.s) + DUR_S })));
	op = final_op(id, nowhere, STATE_EXPIRED);
	op->final.only_if_queued = true;
	fx_do(op);
	assert_true(op->final.applied);
	assert_int_equal(waiting(PRIORITY_HIGH), 0);
	fx_free(op);
	/* only_if_sent */
	id = fx_accept((struct fx_msg){ 0 }, &place);
	op = final_op(id, nowhere, STATE_UNKNOWN);
	op->final.only_if_sent = true;
	fx_do(op);
	assert_false(op->final.applied);
	assert_int_equal(op->final.now, STATE_QUEUED);
	fx_free(op);
	op = final_op(12345, nowhere, STATE_UNKNOWN);
	fx_do(op);
	assert_false(op->final.applied);
	fx_free(op);
}

static void test_cancel(void **state)
{
	struct place place;
	uint64_t a = fx_accept((struct fx_msg){ .wants = WANT_FAILED }, &place), b;
	struct store_op *op = fx_op(OP_CANCEL);

	op->final.id = a;
	fx_do(op);
	assert_true(op->final.applied);
	assert_int_equal(fx_state(a), STATE_CANCELLED);
	assert_int_equal(waiting(PRIORITY_HIGH), 0);
	assert_int_equal(fx.note[0]->reason, REASON_CANCELLED);
	fx_free(op);
	b = fx_accept((struct fx_msg){ 0 }, &place);
	fx_sent(b, place, "c1");
	op = fx_op(OP_CANCEL);
	op->final.id = b;
	fx_do(op);
	assert_false(op->final.applied);
	assert_int_equal(op->final.now, STATE_SENT);
	fx_free(op);
}

/* Sent although it had ended meanwhile (a sweep expired it in flight): the receipt still counts. */
static void test_sent_after_end(void **state)
{
	struct place place;
	uint64_t id = fx_accept((struct fx_msg){ .wants = WANT_FAILED | WANT_DELIVERED }, &place);
	struct store_op *op;

	fx_free(fx_do(final_op(id, place, STATE_EXPIRED)));
	fx_sent(id, place, "late");
	assert_int_equal(fx_state(id), STATE_EXPIRED);
	op = fx_receipt("late", "46700000001", STATE_DELIVERED);
	assert_true(op->receipt.applied);
	fx_free(op);
	assert_int_equal(fx_state(id), STATE_DELIVERED);
	assert_int_equal(fx.notes, 2);
	assert_int_equal(fx.note[1]->kind, NOTE_CORRECTION);
	/* and a retry that comes after the end changes nothing */
	op = fx_do(retry_op(id, place, place));
	assert_false(op->retry.applied);
	fx_free(op);
	assert_int_equal(fx_state(id), STATE_DELIVERED);
	assert_int_equal(waiting(PRIORITY_HIGH), 0);
}

static void test_last_word(void **state)
{
	struct place place;
	uint64_t id = fx_accept((struct fx_msg){ .wants = WANT_DELIVERED }, &place);
	struct store_op *op = fx_sent_op(id, place, "p1");

	op->sent.awaits = false;
	fx_free(fx_do(op));
	assert_int_equal(fx_state(id), STATE_SENT);
	assert_int_equal(fx.notes, 1);
	assert_int_equal(fx.note[0]->kind, NOTE_RECEIPT);
	assert_int_equal(fx.note[0]->state, STATE_SENT);
}

/* ---- mark, replace, event, call -------------------------------------------------------------- */

static void test_mark(void **state)
{
	struct place place;
	uint64_t id = fx_accept((struct fx_msg){ 0 }, &place);
	struct store_op *op = fx_op(OP_MARK);
	struct store_load l = { .kind = LOAD_QUEUE, .channel = CH, .most = 10 };

	op->mark.id = id;
	op->mark.place = place;
	op->mark.attempt = 3;
	fx_free(fx_do(op));
	l.until = store_now(fx.s);
	fx_load(&l);
	assert_int_equal(l.n, 1);
	assert_true(l.rows[0].marked);
	assert_int_equal(l.rows[0].attempt, 3);
	message_unref(&l.rows[0].msg);
	store_load_free(&l);
	/* a retry takes the mark away */
	fx_free(fx_do(retry_op(id, place, place)));
	l.after_due = 0;
	l.after_id = 0;
	l.until = store_now(fx.s);
	fx_load(&l);
	assert_int_equal(l.n, 1);
	assert_false(l.rows[0].marked);
	message_unref(&l.rows[0].msg);
	store_load_free(&l);
}

static void test_replace(void **state)
{
	struct place place;
	uint64_t id = fx_accept((struct fx_msg){ 0 }, &place);
	struct store_op *op = fx_op(OP_REPLACE);
	struct store_view v;
	struct err e;

	op->replace.id = id;
	op->replace.msg = fx_message((struct fx_msg){ .text = "other", .expires = 99 });
	op->replace.parts = 2;
	fx_do(op);
	assert_true(op->replace.applied);
	fx_free(op);
	assert_int_equal(store_find(fx.s, id, true, &v, &e), 1);
	assert_true(str_is(message_get(v.msg, FIELD_TEXT), "other"));
	assert_int_equal(v.expires, 99);
	assert_int_equal(v.parts, 2);
	store_view_free(&v);
	fx_sent(id, place, "x");
	op = fx_op(OP_REPLACE);
	op->replace.id = id;
	op->replace.msg = fx_message((struct fx_msg){ .text = "too late" });
	fx_do(op);
	assert_false(op->replace.applied);
	fx_free(op);
}

static void test_event(void **state)
{
	uint64_t id = fx_accept((struct fx_msg){ 0 }, NULL);
	struct store_op *op = fx_op(OP_EVENT);
	struct store_view v;
	struct err e;

	op->event.id = id;
	op->event.channel = CH;
	op->event.reason = REASON_LOST;
	str_copy(op->event.what, sizeof op->event.what, STR("uncertain"));
	str_copy(op->event.words, sizeof op->event.words, STR("connection reset"));
	fx_free(fx_do(op));
	assert_int_equal(store_find(fx.s, id, false, &v, &e), 1);
	assert_int_equal(v.history_n, 2);
	assert_string_equal(v.history[1].what, "uncertain");
	assert_string_equal(v.history[1].words, "connection reset");
	assert_int_equal(v.history[1].reason, REASON_LOST);
	store_view_free(&v);
}

static int call_good(struct sql *db, struct store_op *op)
{
	return sql_exec(db, "CREATE TABLE plug_t(a); INSERT INTO plug_t VALUES(1)");
}
static int call_bad(struct sql *db, struct store_op *op)
{
	sql_exec(db, "INSERT INTO plug_t VALUES(2)");
	return sql_exec(db, "INSERT INTO no_such_table VALUES(3)");
}
static int call_count(struct sql *db, struct store_op *op)
{
	return (int)sql_number(db, "SELECT sum(a) FROM plug_t", 99);
}

static void test_call(void **state)
{
	struct store_op *ops[4] = { fx_op(OP_CALL), fx_op(OP_CALL),
		fx_accept_op((struct fx_msg){ 0 }), fx_op(OP_CALL) };

	ops[0]->call.run = call_good;
	ops[1]->call.run = call_bad;
	ops[3]->call.run = call_count;
	fx_do_all(ops, 4);
	assert_int_equal(ops[0]->call.result, 0);
	assert_int_equal(ops[1]->call.result, -1);
	assert_int_equal(ops[2]->fault, STORE_OK);
	assert_int_equal(ops[3]->call.result, 1);
	for (int i = 0; i < 4; i++)
		fx_free(ops[i]);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void test_names(void **state)
{
	const char *path = fx_path("names");
	struct err e = { 0 };
	uint32_t a, b, c;

	fx_begin(path);
	a = store_number(fx.s, STORE_SUBMITTER, "smpp:esme/shop", &e);
	b = store_number(fx.s, STORE_SUBMITTER, "http:pos", &e);
	c = store_number(fx.s, STORE_CHANNEL, "smpp:esme/shop", &e);
	assert_true(a && b && c && a != b);
	assert_int_equal(store_number(fx.s, STORE_SUBMITTER, "smpp:esme/shop", &e), a);
	assert_string_equal(store_name(fx.s, STORE_SUBMITTER, b), "http:pos");
	assert_string_equal(store_name(fx.s, STORE_CHANNEL, 4711), "");
	for (int i = 0; i < 600; i++) {
		char name[20];

		snprintf(name, sizeof name, "ch%d", i);
		assert_true(store_number(fx.s, STORE_CHANNEL, name, &e) > 0);
	}
	fx_reopen();
	assert_int_equal(store_number(fx.s, STORE_SUBMITTER, "http:pos", &e), b);
	assert_string_equal(store_name(fx.s, STORE_CHANNEL, c + 600), "ch599");
	fx_end();
	fx_remove(path);
}

/* ---- subscribers' messages ------------------------------------------------------------------- */

static struct message *join_two(struct message *const *parts, unsigned n)
{
	struct draft d;
	struct message *m;
	struct buf b = BUF_INIT;

	for (unsigned i = 0; i < n; i++)
		buf_str(&b, message_get(parts[i], FIELD_TEXT));
	draft_init(&d);
	draft_copy(&d, parts[0], 1u << FIELD_TEXT);
	draft_put(&d, FIELD_TEXT, buf_view(&b));
	m = draft_seal(&d);
	draft_free(&d);
	buf_free(&b);
	return m;
}

static struct store_op *mo_op_of(const char *key, unsigned part, unsigned parts, const char *text)
{
	struct store_op *op = fx_op(OP_MO);

	op->mo.outlet = SUB;
	op->mo.msg = fx_message((struct fx_msg){ .text = text });
	op->mo.part = (uint8_t)part;
	op->mo.parts = (uint8_t)parts;
	op->mo.join = join_two;
	str_copy(op->mo.key, sizeof op->mo.key, str_of(key));
	return op;
}

static void test_mo(void **state)
{
	struct store_op *op = fx_do(mo_op_of("", 0, 1, "whole"));
	struct store_load l = { .kind = LOAD_NOTES, .channel = SUB, .most = 10 };
	uint64_t id;

	assert_true(op->mo.complete);
	fx_free(op);
	assert_int_equal(fx.notes, 1);
	assert_int_equal(fx.note[0]->kind, NOTE_MO);
	assert_non_null(fx.note[0]->mo);
	id = fx.note[0]->msg;
	op = fx_op(OP_NOTED);
	op->noted.outlet = SUB;
	op->noted.seq = fx.note[0]->seq;
	fx_free(fx_do(op));
	assert_int_equal(fx_state(id), STATE_DELIVERED);
	/* the last part first, one of them twice, and one again after the whole */
	op = fx_do(mo_op_of("k", 1, 2, "lo"));
	assert_false(op->mo.complete || op->mo.again);
	fx_free(op);
	op = fx_do(mo_op_of("k", 1, 2, "lo"));
	assert_true(op->mo.again);
	fx_free(op);
	assert_int_equal(fx.notes, 1);
	op = fx_do(mo_op_of("k", 0, 2, "hel"));
	assert_true(op->mo.complete);
	fx_free(op);
	assert_int_equal(fx.notes, 2);
	assert_true(str_is(message_get(fx.note[1]->mo, FIELD_TEXT), "hello"));
	op = fx_do(mo_op_of("k", 0, 2, "hel"));
	assert_true(op->mo.again);
	fx_free(op);
	fx_load(&l);
	assert_int_equal(l.n, 1);
	assert_true(str_is(message_get(l.notes[0]->mo, FIELD_TEXT), "hello"));
	assert_int_equal(l.notes[0]->seq, fx.note[1]->seq);
	note_free(&l.notes[0]);
	store_load_free(&l);
	/* a part alone: handed over as it is after half an hour; what is whole is known for a day
	 */
	fx_free(fx_do(mo_op_of("alone", 0, 2, "half")));
	for (int i = 0; i < 4; i++) {
		clock_shift(9 * DUR_MIN);
		usleep(20000);
		for (int k = 0; k < 500 && i == 3 && store_notes_waiting(fx.s, SUB) < 2; k++)
			usleep(10000);
		assert_int_equal(store_notes_waiting(fx.s, SUB), i < 3 ? 1 : 2);
	}
	assert_true(str_is(message_get(fx.note[2]->mo, FIELD_TEXT), "half"));
	op = fx_do(mo_op_of("k", 1, 2, "lo"));
	assert_true(op->mo.again);
	fx_free(op);
	clock_shift(25 * DUR_HOUR);
	for (bool again = true; again; usleep(10000)) {
		op = fx_do(mo_op_of("k", 1, 2, "lo"));
		again = op->mo.again;
		fx_free(op);
	}
	clock_shift(-25 * DUR_HOUR - 36 * DUR_MIN);
}

/* References come round: another text under the same key is another message. */
static void test_mo_key_again(void **state)
{
	const char *said[][2] = { { "hel", "lo" }, { "good", "bye" }, { "so ", "long" } };
	struct store_op *op;

	for (int i = 0; i < 3; i++) {
		op = fx_do(mo_op_of("k", 0, 2, said[i][0]));
		assert_false(op->mo.complete || op->mo.again);
		fx_free(op);
		op = fx_do(mo_op_of("k", 1, 2, said[i][1]));
		assert_true(op->mo.complete);
		fx_free(op);
		assert_int_equal(fx.notes, i + 1);
	}
	assert_true(str_is(message_get(fx.note[1]->mo, FIELD_TEXT), "goodbye"));
	assert_true(str_is(message_get(fx.note[2]->mo, FIELD_TEXT), "so long"));
	/* while the first waits for its end, too: it goes in pieces */
	fx_free(fx_do(mo_op_of("w", 0, 2, "lost")));
	op = fx_do(mo_op_of("w", 0, 2, "fou"));
	assert_false(op->mo.complete || op->mo.again);
	fx_free(op);
	assert_int_equal(fx.notes, 4);
	assert_true(str_is(message_get(fx.note[3]->mo, FIELD_TEXT), "lost"));
	fx_free(fx_do(mo_op_of("w", 1, 2, "nd")));
	assert_int_equal(fx.notes, 5);
	assert_true(str_is(message_get(fx.note[4]->mo, FIELD_TEXT), "found"));
}

/* ---- searching, backup ----------------------------------------------------------------------- */

static bool search_count(void *ctx, const struct store_view *v)
{
	uint64_t *last = ctx;

	assert_true(v->id < last[0]);
	last[0] = v->id;
	last[1]++;
	return last[1] < 100;
}

static void test_search(void **state)
{
	struct store_filter f = { .state = -1, .media = -1, .most = 50 };
	uint64_t c[2] = { INT64_MAX, 0 };
	struct place place;
	struct err e = { 0 };
	char to[20];

	for (int i = 0; i < 20; i++) {
		snprintf(to, sizeof to, "4670000%04d", i % 5);
		fx_accept((struct fx_msg){ .to = to }, &place);
	}
	assert_int_equal(store_search(fx.s, &f, search_count, c, &e), 20);
	assert_int_equal(c[1], 20);
	f.to = STR("46700000003");
	c[0] = INT64_MAX;
	c[1] = 0;
	assert_int_equal(store_search(fx.s, &f, search_count, c, &e), 4);
	f.state = STATE_SENT;
	c[0] = INT64_MAX;
	assert_int_equal(store_search(fx.s, &f, search_count, c, &e), 0);
	f = (struct store_filter){ .state = -1, .media = -1, .most = 7 };
	c[0] = INT64_MAX;
	c[1] = 0;
	assert_int_equal(store_search(fx.s, &f, search_count, c, &e), 7);
	f.before_id = c[0]; /* the next page */
	assert_int_equal(store_search(fx.s, &f, search_count, c, &e), 7);
	f = (struct store_filter){ .state = -1, .media = -1, .since = clock_wall() + DUR_HOUR };
	assert_int_equal(store_search(fx.s, &f, search_count, c, &e), 0);
	f.since = clock_wall() - DUR_HOUR;
	f.until = clock_wall() + DUR_HOUR;
	c[0] = INT64_MAX;
	assert_int_equal(store_search(fx.s, &f, search_count, c, &e), 20);
	/* whatever one may ask for */
	f.until = INT64_MAX - 1;
	f.before_id = UINT64_MAX;
	c[0] = INT64_MAX;
	assert_int_equal(store_search(fx.s, &f, search_count, c, &e), 20);
	f.since = INT64_MAX - 1;
	assert_int_equal(store_search(fx.s, &f, search_count, c, &e), 0);
	f.since = f.until = INT64_MIN + 1;
	assert_int_equal(store_search(fx.s, &f, search_count, c, &e), 0);
}

static bool search_last(void *ctx, const struct store_view *v)
{
	*(uint64_t *)ctx = v->id;
	return true;
}

/* How far it came: pages of any size meet, and together are all. */
static void test_search_pages(void **state)
{
	struct err e = { 0 };

	for (int i = 0; i < 23; i++)
		fx_accept((struct fx_msg){ .to = i % 2 ? "46700000001" : "46700000002" }, NULL);
	for (unsigned most = 1; most < 30; most += 3) {
		for (int st = -1; st <= STATE_QUEUED; st++) {
			uint64_t down = 0, last = 0;
			struct store_filter f = { .to = STR("46700000002"),
				.state = st,
				.media = -1,
				.most = most,
				.down_to = &down };
			int n = 0, got;

			do {
				got = store_search(fx.s, &f, search_last, &last, &e);
				assert_in_range(got, 0, most);
				assert_true(down == 0 || down == last);
				n += got;
				f.before_id = down;
			} while (down);
			assert_int_equal(n, 12);
		}
	}
}

static void test_backup(void **state)
{
	const char *path = fx_path("backup-from"), *to = fx_path("backup-to");
	struct err e = { 0 };
	uint64_t id;
	FILE *f;

	fx_begin(path);
	id = fx_accept((struct fx_msg){ 0 }, NULL);
	assert_int_equal(store_backup(fx.s, to, NULL, NULL, &e), 0);
	assert_int_equal(store_backup(fx.s, to, NULL, NULL, &e), -1); /* never over another */
	assert_int_equal(store_restore_check(to, &e), 0);
	fx_end();
	fx_remove(path);
	fx_begin(to);
	assert_true(fx.unclean); /* the gateway was running when it was taken */
	assert_int_equal(fx_state(id), STATE_QUEUED);
	fx_reopen();
	assert_false(fx.unclean);
	fx_end();
	f = fopen(to, "r+");
	assert_non_null(f);
	fseek(f, 4096 * 2, SEEK_SET);
	for (int i = 0; i < 4096; i++)
		fputc(0x55, f);
	fclose(f);
	assert_int_equal(store_restore_check(to, &e), -1);
	assert_int_equal(store_restore_check("/nonexistent/x", &e), -1);
	fx_remove(to);
}

static unsigned mode_of(const char *path, const char *beside)
{
	char name[300];
	struct stat st;

	snprintf(name, sizeof name, "%s%s", path, beside);
	assert_int_equal(stat(name, &st), 0);
	return st.st_mode & 0777;
}

/* Numbers and texts of people are not for everybody on the host, whatever the umask is. */
static void test_files_are_ours_and_our_groups(void **state)
{
	static const mode_t masks[] = { 0, 022, 077 };
	const char *path = fx_path("modes"), *to = fx_path("modes-copy");
	struct err e = { 0 };
	char log[300];

	for (unsigned i = 0; i < 3; i++) {
		mode_t was = umask(masks[i]);

		fx_begin(path);
		fx_accept((struct fx_msg){ 0 }, NULL);
		assert_int_equal(store_backup(fx.s, to, NULL, NULL, &e), 0);
		umask(was);
		assert_int_equal(mode_of(path, ""), 0640);
		assert_int_equal(mode_of(path, "-wal"), 0640);
		assert_int_equal(mode_of(path, "-shm"), 0640);
		assert_int_equal(mode_of(to, ""), 0640);
		fx_end();
		fx_remove(to);
		if (i < 2)
			fx_remove(path);
	}
	/* as an earlier version left them */
	snprintf(log, sizeof log, "%s-wal", path);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(chmod(log, 0666), 0);
	fx_begin(path);
	assert_int_equal(mode_of(path, ""), 0640);
	assert_int_equal(mode_of(path, "-wal"), 0640);
	fx_end();
	assert_int_equal(chmod(path, 0600), 0); /* stricter is as good */
	fx_begin(path);
	assert_int_equal(mode_of(path, ""), 0600);
	fx_end();
	fx_remove(path);
}

/* ---- over a restart -------------------------------------------------------------------------- */

static void test_restart(void **state)
{
	const char *path = fx_path("restart");
	struct place place;
	struct store_op *op;
	uint64_t a, b, c;

	fx_begin(path);
	assert_false(fx.unclean);
	a = fx_accept((struct fx_msg){ .wants = WANT_DELIVERED }, &place);
	b = fx_accept((struct fx_msg){ .wants = WANT_DELIVERED }, &place);
	fx_sent(b, place, "b1");
	fx_free(fx_receipt("early", "", STATE_DELIVERED));
	fx_reopen();
	assert_false(fx.unclean);
	assert_int_equal(fx_state(a), STATE_QUEUED);
	for (int i = 0; i < 300 && waiting(PRIORITY_HIGH) != 1; i++)
		usleep(10000); /* counted in the background */
	assert_int_equal(waiting(PRIORITY_HIGH), 1);
	/* awaited before, parked before */
	op = fx_receipt("b1", "46700000001", STATE_DELIVERED);
	assert_true(op->receipt.applied);
	assert_int_equal(op->receipt.id, b);
	fx_free(op);
	assert_int_equal(fx.notes, 1);
	c = fx_accept((struct fx_msg){ .wants = WANT_DELIVERED }, &place);
	assert_true(c > b);
	fx_sent(c, place, "early");
	assert_int_equal(fx_state(c), STATE_DELIVERED);
	assert_true(fx.note[1]->seq > fx.note[0]->seq);
	/* the clock is an hour behind after the next start: ids rise all the same */
	clock_shift(-DUR_HOUR);
	fx_reopen();
	assert_true(fx_accept((struct fx_msg){ 0 }, &place) > c);
	clock_shift(DUR_HOUR);
	for (int i = 0; i < 300 && store_notes_waiting(fx.s, SUB) != 2; i++)
		usleep(10000); /* likewise */
	assert_int_equal(store_notes_waiting(fx.s, SUB), 2);
	fx_end();
	fx_remove(path);
}

int main(void)
{
	log_set_level(LOG_ERROR);
	const struct CMUnitTest tests[] = {
#define IN_MEMORY(t) cmocka_unit_test_setup_teardown(t, in_memory, over)
		IN_MEMORY(test_life),
		IN_MEMORY(test_ids_rise),
		IN_MEMORY(test_scheduled),
		IN_MEMORY(test_dedupe),
		IN_MEMORY(test_born_final),
		IN_MEMORY(test_late),
		IN_MEMORY(test_retry),
		IN_MEMORY(test_retry_rises),
		IN_MEMORY(test_final),
		IN_MEMORY(test_cancel),
		IN_MEMORY(test_sent_after_end),
		IN_MEMORY(test_last_word),
		IN_MEMORY(test_mark),
		IN_MEMORY(test_replace),
		IN_MEMORY(test_event),
		IN_MEMORY(test_call),
		cmocka_unit_test(test_names),
		IN_MEMORY(test_mo),
		IN_MEMORY(test_mo_key_again),
		IN_MEMORY(test_search),
		IN_MEMORY(test_search_pages),
		cmocka_unit_test(test_backup),
		cmocka_unit_test(test_files_are_ours_and_our_groups),
		cmocka_unit_test(test_restart),
	};
	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
