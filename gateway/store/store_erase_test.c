/* A message that was erased: what is said of it and to whom is nowhere in the file, its log or its
 * spool, whatever comes for it later; what counts is as it was.
 */
#include "gateway/base/log.h"
#include "gateway/store/intern.h"
#include "gateway/store/sql.h"
#include "gateway/store/store_spool_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#define PHONE "46731234567"
#define TEXT  "Dear Margareta, a parcel waits"
#define NAME  "Margareta"

/* ---- erasing ---- */
struct eraser {
	struct store_op op; /* first */
	uint64_t id;
	const char *but;
	bool fails;
	int got;
};

static int erase_run(struct sql *db, struct store_op *op)
{
	struct eraser *e = (struct eraser *)op;

	e->got = store_call_erase(op, e->id, e->but);
	return e->fails || e->got < 0 ? -1 : 0;
}

static int erase_as(uint64_t id, const char *but, bool fails)
{
	struct eraser e = { .op.kind = OP_CALL, .id = id, .but = but, .fails = fails };

	e.op.done = fx_done;
	e.op.call.run = erase_run;
	fx_do(&e.op);
	return e.got;
}

static int erase(uint64_t id)
{
	return erase_as(id, NULL, false);
}

static bool is_in(const char *path, const char *what)
{
	size_t n = strlen(what), size = 0;
	struct stat st;
	char *all;
	bool found = false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	assert_int_equal(fstat(fd, &st), 0);
	all = mem_alloc((size_t)st.st_size + 1);
	while (size < (size_t)st.st_size) {
		ssize_t got = read(fd, all + size, (size_t)st.st_size - size);

		if (got <= 0)
			break;
		size += (size_t)got;
	}
	close(fd);
	for (size_t i = 0; i + n <= size && !found; i++)
		found = memcmp(all + i, what, n) == 0;
	mem_free(&all);
	return found;
}

/* In the file or its log, as they are on the disk. */
static bool is_kept(const char *what)
{
	char log[128];

	snprintf(log, sizeof log, "%s-wal", file);
	return is_in(file, what) || is_in(log, what);
}

/* Its submitter takes all that it is told: what a note says is forgotten with it. */
static void take_notes(void)
{
	for (unsigned i = 0; i < fx.notes; i++) {
		struct store_op *op = fx_op(OP_NOTED);

		op->noted.outlet = fx.note[i]->outlet;
		op->noted.seq = fx.note[i]->seq;
		fx_free(fx_do(op));
	}
	fx_drop_notes();
}

static void nothing_is_kept(void)
{
	take_notes();
	fx_reopen();
	assert_false(is_kept(PHONE));
	assert_false(is_kept(NAME));
}

/* While the store goes on: the log is cut off by itself. */
static void nothing_is_kept_soon(void)
{
	for (int i = 0; i < 6000 && (is_kept(PHONE) || is_kept(NAME)); i++)
		usleep(10000);
	assert_false(is_kept(PHONE));
	assert_false(is_kept(NAME));
}

static struct store_view view_of(uint64_t id)
{
	struct store_view v;
	struct err e = { 0 };

	assert_int_equal(store_find(fx.s, id, true, &v, &e), 1);
	return v;
}

static void is_empty(uint64_t id, enum state state)
{
	struct store_view v = view_of(id);

	assert_true(v.erased);
	assert_int_equal(v.state, state);
	assert_string_equal(v.to, "");
	assert_string_equal(v.from, "Shop");
	assert_string_equal(v.words, "");
	assert_non_null(v.msg);
	assert_false(message_has(v.msg, FIELD_TO));
	assert_false(message_has(v.msg, FIELD_TEXT));
	assert_false(message_has(v.msg, FIELD_SPOOL));
	store_view_free(&v);
}

static struct fx_msg personal(const char *client_id)
{
	return (struct fx_msg){ .to = PHONE,
		.text = TEXT,
		.client_id = client_id,
		.wants = WANT_DELIVERED | WANT_FAILED };
}

static struct store_op *final_op(uint64_t id, struct place p, enum state to, const char *words)
{
	struct store_op *op = fx_op(OP_FINAL);

	op->final.id = id;
	op->final.place = p;
	op->final.state = to;
	op->final.reason = REASON_FAR_DESTINATION;
	str_copy(op->final.words, sizeof op->final.words, str_of(words));
	str_copy(op->final.err, sizeof op->final.err, STR("no " PHONE));
	return op;
}

static void event_add(uint64_t id, const char *what, const char *words)
{
	struct store_op *op = fx_op(OP_EVENT);

	op->event.id = id;
	str_copy(op->event.what, sizeof op->event.what, str_of(what));
	str_copy(op->event.words, sizeof op->event.words, str_of(words));
	fx_free(fx_do(op));
}

/* What waits or is under way is not touched; what has ended is, and that counts as it did. */
static void test_what_has_ended(void **state)
{
	struct store_filter by_address = { .to = STR(PHONE), .state = -1, .media = -1, .most = 9 };
	struct place p;
	uint64_t id = fx_accept(personal("order-7"), &p);
	struct store_view v;
	struct store_op *op;
	struct err e = { 0 };

	assert_int_equal(erase(id), 0);
	v = view_of(id);
	assert_false(v.erased);
	assert_string_equal(v.to, PHONE);
	store_view_free(&v);
	event_add(id, "retry", "451 " NAME " is busy");
	event_add(id, "fallback", "attempt 2 by sms is 4711");
	fx_free(fx_do(final_op(id, p, STATE_REJECTED, "550 <" PHONE "> unknown")));
	assert_int_equal(erase_as(id, "fallback", true), 1); /* it is undone */
	v = view_of(id);
	assert_false(v.erased);
	assert_string_equal(v.to, PHONE);
	assert_true(v.err[0] && v.words[0]);
	store_view_free(&v);

	assert_int_equal(erase_as(id, "fallback", false), 1);
	is_empty(id, STATE_REJECTED);
	v = view_of(id);
	assert_string_equal(v.err, "");
	assert_int_equal(v.reason, REASON_FAR_DESTINATION);
	assert_string_equal(v.client_id, "order-7");
	for (unsigned i = 0; i < v.history_n; i++)
		assert_string_equal(v.history[i].words, strcmp(v.history[i].what, "fallback") == 0
								? "attempt 2 by sms is 4711"
								: "");
	store_view_free(&v);
	assert_int_equal(store_search(fx.s, &by_address, NULL, NULL, &e), 0);
	assert_int_equal(erase_as(id, "fallback", false), 1);
	assert_int_equal(erase(4711), 1); /* it is forgotten */

	/* sent again under its id it is the same */
	op = fx_do(fx_accept_op(personal("order-7")));
	assert_true(op->accept.duplicate);
	assert_int_equal(op->accept.id, id);
	fx_free(op);
	nothing_is_kept();
	is_empty(id, STATE_REJECTED);
}

/* A receipt finds it, by its id alone where it names the recipient, and leaves a code at most. */
static void receipts(bool reopen)
{
	struct place p;
	uint64_t a = fx_accept(personal(NULL), &p), b, c;
	struct store_op *op;
	struct store_view v;

	fx_sent(a, p, reopen ? "fa2" : "fa1");
	b = fx_accept(personal(NULL), &p);
	fx_sent(b, p, reopen ? "fb2" : "fb1");
	c = fx_accept(personal(NULL), &p);
	fx_sent(c, p, reopen ? "fc2" : "fc1");
	if (reopen)
		fx_reopen();
	assert_int_equal(erase(a), 1);
	assert_int_equal(erase(b), 1);
	assert_int_equal(erase(c), 1);
	op = fx_receipt_op(reopen ? "fa2" : "fa1", PHONE, STATE_UNDELIVERABLE);
	op->receipt.in.reason = REASON_FAR_DESTINATION;
	str_copy(op->receipt.in.err, NOTE_ERR, STR("for " PHONE));
	fx_do(op);
	assert_true(op->receipt.matched && op->receipt.applied);
	fx_free(op);
	op = fx_receipt_op(reopen ? "fb2" : "fb1", PHONE, STATE_UNDELIVERABLE);
	str_copy(op->receipt.in.err, NOTE_ERR, STR("5.1.1"));
	fx_do(op);
	assert_true(op->receipt.matched);
	fx_free(op);
	op = fx_receipt(reopen ? "fc2" : "fc1", "", STATE_DELIVERED);
	assert_true(op->receipt.matched);
	fx_free(op);
	is_empty(a, STATE_UNDELIVERABLE);
	is_empty(b, STATE_UNDELIVERABLE);
	is_empty(c, STATE_DELIVERED);
	v = view_of(a);
	assert_string_equal(v.err, "");
	store_view_free(&v);
	v = view_of(b);
	assert_string_equal(v.err, "5.1.1");
	store_view_free(&v);
	/* evidence, known by the message's own id */
	op = fx_op(OP_EVIDENCE);
	op->evidence.id = b;
	op->evidence.state = STATE_QUEUED;
	str_copy(op->evidence.what, sizeof op->evidence.what, STR("complaint"));
	str_copy(op->evidence.words, sizeof op->evidence.words, STR("by " PHONE ": " NAME));
	fx_do(op);
	assert_true(op->evidence.matched);
	fx_free(op);
	take_notes();
}

static void test_receipts_come_later(void **state)
{
	receipts(false);
	receipts(true);
	nothing_is_kept();
}

/* A receipt that came before the message was known as sent, of the same recipient. */
static void test_a_parked_receipt(void **state)
{
	struct place p;
	uint64_t a = fx_accept(personal(NULL), &p), b;
	struct store_op *op;

	fx_sent(a, p, "pa");
	b = fx_accept(personal(NULL), &p);
	op = fx_receipt_op("pb", PHONE, STATE_DELIVERED);
	fx_do(op);
	assert_true(op->receipt.parked);
	fx_free(op);
	assert_int_equal(erase(a), 1);
	fx_sent(b, p, "pb"); /* it is found nevertheless */
	assert_int_equal(fx_state(b), STATE_DELIVERED);
	assert_int_equal(erase(b), 1);
	nothing_is_kept();
}

/* Many that came early for others are not looked at, and many of the recipient not all at once. */
static void test_many_parked_receipts(void **state)
{
	enum { OTHERS = 1500, OWN = 600 };
	struct store_op *op[OTHERS + OWN];
	uint64_t id, looks;
	struct place p;

	id = fx_accept(personal(NULL), &p);
	fx_sent(id, p, "pa");
	for (unsigned i = 0; i < OTHERS + OWN; i++) {
		char key[20], to[20];

		snprintf(key, sizeof key, "many%u", i);
		snprintf(to, sizeof to, i < OTHERS ? "4670%07u" : i % 3 ? "+" PHONE : PHONE, i);
		op[i] = fx_receipt_op(key, to, STATE_DELIVERED);
	}
	fx_do_all(op, OTHERS + OWN);
	for (unsigned i = 0; i < OTHERS + OWN; i++)
		fx_free(op[i]);
	looks = fx.s->orphan_looks;
	assert_int_equal(erase_as(id, NULL, true), 0); /* it is undone */
	for (unsigned i = 0; i < OWN / 256; i++)
		assert_int_equal(erase(id), 0);
	assert_int_equal(erase(id), 1);
	is_empty(id, STATE_SENT);
	looks = fx.s->orphan_looks - looks;
	assert_true(looks >= OWN + 256 && looks < OWN + 2 * 256);
	nothing_is_kept();
}

/* Parts, each with its receipt; and a big body, whose file goes. */
static void test_parts_and_bodies(void **state)
{
	char name[SPOOL_NAME];
	struct fx_msg m = personal(NULL);
	struct place p;
	struct store_op *op;
	struct store_view v;
	uint64_t id;

	fx_body(name);
	m.spool = name;
	op = fx_accept_op(m);
	op->accept.parts = 2;
	fx_do(op);
	id = op->accept.id;
	p = op->accept.place;
	fx_free(op);
	for (uint8_t i = 0; i < 2; i++) {
		op = fx_sent_op(id, p, i ? "q1" : "q0");
		op->sent.part = i;
		op->sent.parts = 2;
		op->sent.all = i == 1;
		fx_free(fx_do(op));
		if (i == 0)
			assert_int_equal(erase(id), 0); /* one part is to go yet */
	}
	op = fx_receipt_op("q0", PHONE, STATE_UNDELIVERABLE);
	str_copy(op->receipt.in.err, NOTE_ERR, STR("a " PHONE));
	fx_free(fx_do(op));
	assert_int_equal(erase(id), 1);
	op = fx_receipt_op("q1", PHONE, STATE_UNDELIVERABLE);
	str_copy(op->receipt.in.err, NOTE_ERR, STR("b " PHONE));
	fx_free(fx_do(op));
	is_empty(id, STATE_UNDELIVERABLE);
	v = view_of(id);
	assert_int_equal(v.part_n, 2);
	assert_string_equal(v.part_list[0].err, "");
	assert_string_equal(v.part_list[1].err, "");
	store_view_free(&v);
	for (int i = 0; i < 500 && fx_body_there(name); i++)
		usleep(10000);
	assert_false(fx_body_there(name));
	nothing_is_kept();
}

/* What subscribers wrote goes with their number, once their account has it. */
static void test_subscribers(void **state)
{
	struct store_op *op = fx_op(OP_MO);
	struct draft d;
	struct store_view v;
	uint64_t id;

	draft_init(&d);
	draft_put(&d, FIELD_FROM, STR(PHONE));
	draft_put(&d, FIELD_TO, STR("1234"));
	draft_put(&d, FIELD_TEXT, STR("This is " NAME));
	op->mo.msg = draft_seal(&d);
	op->mo.outlet = SUB;
	draft_free(&d);
	fx_do(op);
	id = op->mo.msg->id;
	fx_free(op);
	assert_int_equal(erase(id), 0);
	take_notes();
	assert_int_equal(erase(id), 1);
	v = view_of(id);
	assert_true(v.erased);
	assert_string_equal(v.from, "");
	assert_string_equal(v.to, "");
	assert_int_equal(v.msg->size, 0);
	store_view_free(&v);
	nothing_is_kept_soon();
}

/* Rows move between pages while others come and go: no page keeps what was in it. */
static void test_no_page_keeps_it(void **state)
{
	enum { N = 400 };
	uint64_t id[N];
	struct place p[N];

	for (unsigned i = 0; i < N; i++)
		id[i] = fx_accept(i % 3 ? (struct fx_msg){ 0 } : personal(NULL), &p[i]);
	for (unsigned i = 0; i < N; i++)
		fx_free(fx_do(final_op(id[(i * 7) % N], p[(i * 7) % N], STATE_REJECTED,
			(i * 7) % N % 3 ? "none" : "550 " PHONE " is not here, " NAME)));
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(erase(id[(i * 11) % N]), 1);
	nothing_is_kept();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, over)
	const struct CMUnitTest tests[] = {
		T(test_what_has_ended),
		T(test_receipts_come_later),
		T(test_a_parked_receipt),
		T(test_many_parked_receipts),
		T(test_parts_and_bodies),
		T(test_subscribers),
		T(test_no_page_keeps_it),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
