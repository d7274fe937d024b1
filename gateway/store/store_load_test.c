/* Refills, sweeps and the purge: what a cursor sees while the writer goes on, and what is old. */
#include "gateway/base/log.h"
#include "gateway/base/map.h"
#include "gateway/base/stat.h"
#include "gateway/store/store_fixture.h"

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

static void rows_drop(struct store_load *l)
{
	for (unsigned i = 0; i < l->n && l->rows; i++)
		message_unref(&l->rows[i].msg);
	store_load_free(l);
}

static void test_pages(void **state)
{
	struct store_op *ops[1000];
	struct store_load l = { .kind = LOAD_QUEUE, .channel = CH, .most = 64 };
	unsigned seen = 0, loads = 0;
	uint64_t last = 0;

	for (unsigned i = 0; i < 1000; i++)
		ops[i] = fx_accept_op((struct fx_msg){ .priority = i % 3 });
	fx_do_all(ops, 1000);
	for (unsigned i = 0; i < 1000; i++)
		fx_free(ops[i]);
	l.priority = 1;
	do {
		l.until = store_now(fx.s);
		fx_load(&l);
		loads++;
		for (unsigned i = 0; i < l.n; i++) {
			struct queue_row *r = &l.rows[i];

			assert_true(r->msg->id > last);
			assert_int_equal(r->msg->priority, 1);
			assert_int_equal(r->msg->submitter, SUB);
			assert_int_equal(r->msg->accepted, r->place.due);
			assert_true(str_is(message_get(r->msg, FIELD_TEXT), "hej"));
			assert_false(r->marked);
			last = r->msg->id;
			l.after_due = r->place.due;
			l.after_id = r->msg->id;
			seen++;
		}
		if (!l.end)
			assert_int_equal(l.n, 64);
		rows_drop(&l);
	} while (!l.end);
	assert_int_equal(seen, 333);
	assert_int_equal(loads, 6);
	assert_int_equal(l.next_due, 0);
	l.channel = CH + 1;
	fx_load(&l);
	assert_int_equal(l.n, 0);
	assert_true(l.end);
	rows_drop(&l);
}

/* ---- a cursor and a busy writer -------------------------------------------------------------- */

enum { RACE = 30000, RACE_AIR = 300 };
static struct {
	atomic_uint made, ended;
	pthread_mutex_t lock;
	struct map due; /* id -> times still to be seen */
	unsigned retries, scheduled;
} race;

static void race_next(void);

static void race_expect(uint64_t id, intptr_t by)
{
	intptr_t n;

	pthread_mutex_lock(&race.lock);
	n = (intptr_t)map_get_u64(&race.due, id) + by;
	if (n)
		map_put_u64(&race.due, id, (void *)n);
	else
		map_del_u64(&race.due, id);
	pthread_mutex_unlock(&race.lock);
}

static void race_retried(struct store_op *op)
{
	assert_true(op->retry.applied);
	race_expect(op->retry.id, 1);
	mem_free(&op);
	atomic_fetch_add(&race.ended, 1);
	race_next();
}

static void race_done(struct store_op *op)
{
	uint64_t id = op->accept.id;
	struct place p = op->accept.place;
	bool again = id % 5 == 0 && p.due <= store_now(fx.s);

	race_expect(id, 1);
	fx_free(op);
	if (!again) {
		atomic_fetch_add(&race.ended, 1);
		race_next();
		return;
	}
	race.retries++;
	op = store_op_new(OP_RETRY, NULL, race_retried);
	op->retry.id = id;
	op->retry.from = op->retry.to = p;
	op->retry.to.due = id % 2 ? 0 : store_now(fx.s) + (dur_t)(id % 7) * DUR_MS;
	op->retry.quiet = true;
	store_do(fx.s, op);
}

static void race_next(void)
{
	unsigned n = atomic_fetch_add(&race.made, 1);
	struct store_op *op;

	if (n >= RACE)
		return;
	op = fx_accept_op((struct fx_msg){
		.send_at = n % 3 ? 0 : store_now(fx.s) + (dur_t)(n % 11) * DUR_MS / 2 });
	op->done = race_done;
	store_do(fx.s, op);
}

/* Each row that is put into the queue passes the cursor, however late its commit. A row that was
 * put back before the cursor came to it passes once for both. */
static void test_cursor(void **state)
{
	struct store_load l = { .kind = LOAD_QUEUE, .channel = CH, .most = 500 };
	unsigned seen = 0;
	mono_t quiet = 0;

	race.due = MAP_INIT;
	atomic_store(&race.made, 0);
	atomic_store(&race.ended, 0);
	pthread_mutex_init(&race.lock, NULL);
	for (int i = 0; i < RACE_AIR; i++)
		race_next();
	for (;;) {
		bool all = atomic_load(&race.ended) == RACE;

		l.until = store_now(fx.s) + DUR_S; /* more than it gives */
		fx_load(&l);
		for (unsigned i = 0; i < l.n; i++) {
			struct place *p = &l.rows[i].place;

			assert_true(p->due > l.after_due ||
				    (p->due == l.after_due && l.rows[i].msg->id > l.after_id));
			l.after_due = p->due;
			l.after_id = l.rows[i].msg->id;
			pthread_mutex_lock(&race.lock);
			seen++;
			pthread_mutex_unlock(&race.lock);
			race_expect(l.rows[i].msg->id, -1);
		}
		if (l.n)
			quiet = clock_mono();
		rows_drop(&l);
		if (all && clock_mono() - quiet > 100 * DUR_MS)
			break;
	}
	assert_true(race.retries > RACE / 10);
	assert_true(seen >= RACE);
	pthread_mutex_lock(&race.lock);
	for (size_t i = 0;;) {
		void *v = map_next(&race.due, &i);

		if (!v)
			break;
		if ((intptr_t)v != 1)
			fail_msg("a row was seen %ld times too often", -(long)(intptr_t)v);
	}
	pthread_mutex_unlock(&race.lock);
	assert_true(race.due.count <= race.retries);
	/* what the cursor has not seen must not be there: look at the whole queue once more */
	l.after_due = 0;
	l.after_id = 0;
	l.most = 60000;
	l.until = store_now(fx.s);
	fx_load(&l);
	assert_int_equal(l.n, RACE);
	rows_drop(&l);
	map_free(&race.due);
}

/* ---- sweeps ---------------------------------------------------------------------------------- */

static void test_expired(void **state)
{
	struct store_op *ops[600];
	struct store_load l = { .kind = LOAD_EXPIRED, .channel = CH, .most = 7 };
	wall_t now = clock_wall();
	unsigned found = 0;

	for (unsigned i = 0; i < 600; i++)
		ops[i] = fx_accept_op((struct fx_msg){ .priority = i % 3,
			.expires = i % 6 == 0 ? now - DUR_S
				   : i % 2    ? 0
					      : now + DUR_HOUR });
	fx_do_all(ops, 600);
	for (unsigned i = 0; i < 600; i++)
		fx_free(ops[i]);
	l.until = now;
	do {
		fx_load(&l);
		for (unsigned i = 0; i < l.n; i++) {
			struct store_op *op = fx_op(OP_FINAL);

			op->final.id = l.ids[i].id;
			op->final.place = l.ids[i].place;
			op->final.state = STATE_EXPIRED;
			op->final.reason = REASON_EXPIRED;
			op->final.only_if_queued = true;
			fx_do(op);
			assert_true(op->final.applied);
			fx_free(op);
			found++;
		}
		store_load_free(&l);
	} while (!l.end);
	assert_int_equal(found, 100);
	l.priority = 0;
	l.after_due = 0;
	l.after_id = 0;
	fx_load(&l);
	assert_int_equal(l.n, 0);
	assert_true(l.end);
	store_load_free(&l);
}

static void test_notes_pages(void **state)
{
	struct store_load l = { .kind = LOAD_NOTES, .channel = SUB, .most = 30 };
	struct place place;
	char key[16];
	uint64_t id[100];
	unsigned seen = 0;

	for (int i = 0; i < 100; i++) {
		id[i] = fx_accept((struct fx_msg){ .wants = WANT_DELIVERED | WANT_FAILED }, &place);
		snprintf(key, sizeof key, "n%d", i);
		fx_sent(id[i], place, key);
		fx_free(fx_receipt(key, "", i % 2 ? STATE_DELIVERED : STATE_EXPIRED));
	}
	assert_int_equal(store_notes_waiting(fx.s, SUB), 100);
	do {
		fx_load(&l);
		for (unsigned i = 0; i < l.n; i++) {
			struct note *n = l.notes[i];

			assert_true(n->seq > l.after_id);
			assert_int_equal(n->seq, fx.note[seen]->seq);
			assert_int_equal(n->msg, id[seen]);
			assert_int_equal(n->state, seen % 2 ? STATE_DELIVERED : STATE_EXPIRED);
			assert_string_equal(n->from, "Shop");
			assert_int_equal(n->sms.registered, 1);
			assert_int_equal(n->accepted, fx.note[seen]->accepted);
			l.after_id = n->seq;
			seen++;
			note_free(&l.notes[i]);
		}
		store_load_free(&l);
	} while (!l.end);
	assert_int_equal(seen, 100);
}

/* ---- what is old ----------------------------------------------------------------------------- */

static uint64_t purged(void)
{
	uint64_t n = 0;

	stat_lookup("postern_store_purged_total", "", &n);
	return n;
}

static void test_purge(void **state)
{
	uint64_t id[600], keep[30], found;
	struct place place;
	struct store_view v;
	struct store_op *op;
	struct err e = { 0 };
	char key[16];

	for (int i = 0; i < 600; i++) {
		struct fx_msg m = { .wants = WANT_DELIVERED | WANT_FAILED };

		snprintf(key, sizeof key, "p%d", i);
		if (i % 4 == 0)
			m.client_id = key;
		id[i] = fx_accept(m, &place);
		if (i % 20 == 7) { /* not finished: stays */
			keep[i / 20] = id[i];
			continue;
		}
		fx_sent(id[i], place, key);
		if (i % 3)
			fx_free(fx_receipt(key, "", STATE_DELIVERED));
	}
	assert_int_equal(store_find_client(fx.s, SUB, STR("p4"), &found, &e), 1);
	clock_shift(2 * DUR_DAY);
	for (int i = 0; i < 500 && store_find_client(fx.s, SUB, STR("p4"), &found, &e) == 1; i++)
		usleep(10000);
	assert_int_equal(store_find_client(fx.s, SUB, STR("p4"), &found, &e), 0);
	assert_int_equal(purged(), 0);
	/* nobody comes for the news: they are kept as long as messages are */
	assert_true(store_notes_waiting(fx.s, SUB) > 0);
	clock_shift(30 * DUR_DAY);
	for (int i = 0; i < 500 && purged() < 570; i++)
		usleep(10000);
	assert_int_equal(purged(), 570);
	for (int i = 0; i < 500 && store_notes_waiting(fx.s, SUB); i++)
		usleep(10000);
	assert_int_equal(store_notes_waiting(fx.s, SUB), 0);
	for (int i = 0; i < 30; i++)
		assert_int_equal(fx_state(keep[i]), STATE_QUEUED);
	assert_int_equal(store_find(fx.s, id[0], false, &v, &e), 0);
	assert_int_equal(store_find(fx.s, id[599], false, &v, &e), 0);
	/* a receipt for one that is gone */
	op = fx_receipt("p3", "", STATE_DELIVERED);
	assert_false(op->receipt.applied);
	fx_free(op);
	/* and ids still rise though the newest are gone and the clock goes back */
	clock_shift(-32 * DUR_DAY);
	assert_true(fx_accept((struct fx_msg){ 0 }, NULL) > id[599]);
}

/* A purge of much does not hold up what is accepted meanwhile. */
static void test_purge_yields(void **state)
{
	enum { N = 30000 };
	struct store_op *ops[1000], *op;
	dur_t worst = 0;

	for (unsigned k = 0; k < N / 1000; k++) {
		for (unsigned i = 0; i < 1000; i++) {
			ops[i] = fx_accept_op((struct fx_msg){ 0 });
			ops[i]->accept.state = STATE_SUPPRESSED;
			ops[i]->accept.channel = 0;
		}
		fx_do_all(ops, 1000);
		for (unsigned i = 0; i < 1000; i++)
			fx_free(ops[i]);
	}
	clock_shift(40 * DUR_DAY);
	for (int i = 0; i < 3000 && purged() < N; i++) {
		mono_t start = clock_mono();

		op = fx_do(fx_accept_op((struct fx_msg){ 0 }));
		if (clock_mono() - start > worst)
			worst = clock_mono() - start;
		fx_free(op);
		usleep(500);
	}
	assert_int_equal(purged(), N);
	clock_shift(-40 * DUR_DAY);
	assert_true(worst < 2 * DUR_S); /* the machine may be busy; slices are 5 ms */
}

int main(void)
{
	log_set_level(LOG_ERROR);
	const struct CMUnitTest tests[] = {
#define IN_MEMORY(t) cmocka_unit_test_setup_teardown(t, in_memory, over)
		IN_MEMORY(test_pages),
		IN_MEMORY(test_cursor),
		IN_MEMORY(test_expired),
		IN_MEMORY(test_notes_pages),
		IN_MEMORY(test_purge),
		IN_MEMORY(test_purge_yields),
	};
	return cmocka_run_group_tests_name("store_load", tests, NULL, NULL);
}
