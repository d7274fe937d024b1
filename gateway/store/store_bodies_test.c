/* Big bodies as files: counted with their messages, gone after the last of them, there after a
 * restart and in a backup.
 */
#include "gateway/base/log.h"
#include "gateway/base/stat.h"
#include "gateway/store/store_spool_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static uint64_t purged(void)
{
	uint64_t n = 0;

	stat_lookup("postern_store_purged_total", "", &n);
	return n;
}

/* A finished message that names the body. */
static uint64_t finished(const char *name)
{
	struct store_op *op = fx_accept_op((struct fx_msg){ .spool = name });
	uint64_t id;

	op->accept.state = STATE_SUPPRESSED;
	op->accept.channel = 0;
	fx_do(op);
	assert_int_equal(op->fault, STORE_OK);
	id = op->accept.id;
	fx_free(op);
	return id;
}

static void await_purged(uint64_t n)
{
	for (int i = 0; i < 800 && purged() < n; i++)
		usleep(10000);
	assert_int_equal(purged(), n);
}

static void await_gone(const char *name)
{
	for (int i = 0; i < 500 && fx_body_there(name); i++)
		usleep(10000);
	assert_false(fx_body_there(name));
}

/* Three recipients of one submission share a file; one of them waits longer than the others. */
static void test_shared(void **state)
{
	char name[SPOOL_NAME], other[SPOOL_NAME];
	struct place place;
	uint64_t id;

	fx_body(name);
	fx_body(other);
	finished(name);
	id = fx_accept((struct fx_msg){ .spool = name }, &place);
	finished(name);
	finished(other);
	for (int i = 0; i < 600; i++) /* none of these has one */
		finished(NULL);
	clock_shift(31 * DUR_DAY);
	await_purged(603);
	await_gone(other);
	assert_true(fx_body_there(name));
	fx_reopen();
	assert_true(fx_body_there(name)); /* the sweep leaves it, too */
	fx_sent(id, place, "x1");
	fx_free(fx_receipt("x1", "", STATE_DELIVERED));
	clock_shift(31 * DUR_DAY);
	await_purged(1); /* counted anew since the reopening */
	await_gone(name);
	assert_int_equal(fx_bodies(), 0);
	clock_shift(-62 * DUR_DAY);
}

/* What no message names is swept at the start: its submission was never accepted. */
static void test_sweep(void **state)
{
	char named[SPOOL_NAME], orphan[SPOOL_NAME];

	fx_body(named);
	fx_body(orphan);
	fx_accept((struct fx_msg){ .spool = named }, NULL);
	fx_reopen();
	assert_true(fx_body_there(named));
	assert_false(fx_body_there(orphan));
	/* one that is missing is no reason not to start */
	spool_remove(spool, str_of(named));
	fx_reopen();
	assert_int_equal(fx_bodies(), 0);
}

/* A duplicate is not counted: what it names is its submitter's to remove. */
static void test_duplicate(void **state)
{
	char first[SPOOL_NAME], again[SPOOL_NAME];
	struct store_op *op;

	fx_body(first);
	fx_body(again);
	fx_accept((struct fx_msg){ .spool = first, .client_id = "c1" }, NULL);
	op = fx_do(fx_accept_op((struct fx_msg){ .spool = again, .client_id = "c1" }));
	assert_true(op->accept.duplicate || op->accept.conflict);
	fx_free(op);
	fx_reopen();
	assert_true(fx_body_there(first));
	assert_false(fx_body_there(again));
}

static void test_replaced(void **state)
{
	char was[SPOOL_NAME], is[SPOOL_NAME];
	struct store_op *op = fx_op(OP_REPLACE);
	uint64_t id;

	fx_body(was);
	fx_body(is);
	id = fx_accept((struct fx_msg){ .spool = was }, NULL);
	op->replace.id = id;
	op->replace.msg = fx_message((struct fx_msg){ .spool = is });
	op->replace.msg->id = id;
	fx_do(op);
	assert_true(op->replace.applied);
	fx_free(op);
	await_gone(was);
	fx_reopen();
	assert_true(fx_body_there(is));
}

/* A call that is undone undoes its count. */
static uint64_t call_id;
static struct store_op *call_accept;
static void dropped(struct store_op *op)
{
	fx_free(op);
}
static int run_undone(struct sql *db, struct store_op *op)
{
	call_accept->accept.drop = dropped;
	assert_int_equal(store_call_accept(op, call_accept), 0);
	call_id = call_accept->accept.id;
	return -1;
}

static void test_undone(void **state)
{
	char name[SPOOL_NAME];
	struct store_op *op = fx_op(OP_CALL);

	fx_body(name);
	call_accept = fx_accept_op((struct fx_msg){ .spool = name });
	op->call.run = run_undone;
	fx_free(fx_do(op));
	assert_true(call_id > 0);
	fx_reopen();
	assert_false(fx_body_there(name));
}

/* A backup has the bodies beside it, by themselves enough though ours go. */
static void test_backup(void **state)
{
	char name[SPOOL_NAME], copy[128], body[256];
	struct stat st;
	struct err e = { 0 };

	snprintf(copy, sizeof copy, "%s/none.db", dir);
	assert_int_equal(store_backup(fx.s, copy, NULL, NULL, &e), 0);
	snprintf(body, sizeof body, "%s.spool", copy);
	assert_int_not_equal(stat(body, &st), 0); /* no bodies, no folder */
	assert_int_equal(store_restore_check(copy, &e), 0);
	fx_body(name);
	finished(name);
	finished(name);
	snprintf(copy, sizeof copy, "%s/copy.db", dir);
	assert_int_equal(store_backup(fx.s, copy, NULL, NULL, &e), 0);
	snprintf(body, sizeof body, "%s.spool/%s", copy, name);
	clock_shift(31 * DUR_DAY);
	await_purged(2);
	await_gone(name);
	clock_shift(-31 * DUR_DAY);
	assert_int_equal(stat(body, &st), 0);
	assert_int_equal(st.st_size, FX_BODY);
	assert_int_equal(store_restore_check(copy, &e), 0);
	unlink(body);
	assert_int_equal(store_restore_check(copy, &e), -1);
	assert_non_null(strstr(e.text, name));
}

/* A store that has none does not look for any. */
static void test_none(void **state)
{
	store_close(&fx.s);
	fx.conf.spool = NULL;
	fx_open();
	for (int i = 0; i < 300; i++)
		finished(NULL);
	finished("0123456789abcdef0123456789abcd"); /* nor fails for want of a folder */
	clock_shift(31 * DUR_DAY);
	await_purged(301);
	clock_shift(-31 * DUR_DAY);
}

int main(void)
{
	log_set_level(LOG_ERROR);
	const struct CMUnitTest tests[] = {
#define WITH_SPOOL(t) cmocka_unit_test_setup_teardown(t, begin, over)
		WITH_SPOOL(test_shared),
		WITH_SPOOL(test_sweep),
		WITH_SPOOL(test_duplicate),
		WITH_SPOOL(test_replaced),
		WITH_SPOOL(test_undone),
		WITH_SPOOL(test_backup),
		WITH_SPOOL(test_none),
	};
	return cmocka_run_group_tests_name("store_bodies", tests, NULL, NULL);
}
