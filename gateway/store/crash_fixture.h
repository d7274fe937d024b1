/* For store_crash_test.c: a file system that remembers or fails, and traffic that acknowledges and
 * is looked for afterwards.
 */
#ifndef POSTERN_STORE_CRASH_FIXTURE_H
#define POSTERN_STORE_CRASH_FIXTURE_H

#include "gateway/base/fault.h"
#include "gateway/base/log.h"
#include "gateway/store/schema.h"
#include "gateway/store/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- a file system that remembers, or fails -------------------------------------------------- */

enum what { W_WRITE, W_TRUNCATE, W_SYNC, W_ACK, W_BODY, W_GONE };
struct entry {
	enum what what;
	int file; /* 0 the database, 1 its log */
	int64_t at;
	size_t n;
	char *data;  /* W_BODY, W_GONE: its name */
	uint64_t id; /* W_ACK: of this message… */
	enum state state;
};
static struct {
	pthread_mutex_t lock;
	bool recording;
	struct entry *e;
	size_t n, cap;
	atomic_int fail; /* what every write gives */
} tape = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void tape_add(struct entry e, const void *data)
{
	pthread_mutex_lock(&tape.lock);
	if (tape.recording) {
		if (tape.n == tape.cap) {
			tape.cap = tape.cap ? tape.cap * 2 : 1024;
			tape.e = mem_grow(tape.e, tape.cap * sizeof *tape.e);
		}
		if (data) {
			e.data = mem_raw(e.n);
			memcpy(e.data, data, e.n);
		}
		tape.e[tape.n++] = e;
	}
	pthread_mutex_unlock(&tape.lock);
}

static void tape_clear(void)
{
	for (size_t i = 0; i < tape.n; i++)
		mem_free(&tape.e[i].data);
	mem_free(&tape.e);
	tape.n = tape.cap = 0;
}

struct rec {
	sqlite3_file base;
	int file;
	sqlite3_file *real;
};
static struct rec *rec(sqlite3_file *f)
{
	return (struct rec *)(void *)f;
}
#define REAL(f) (rec(f)->real->pMethods)
static int r_close(sqlite3_file *f)
{
	return REAL(f)->xClose(rec(f)->real);
}
static int r_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return REAL(f)->xRead(rec(f)->real, p, n, at);
}
static int r_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	if (rec(f)->file >= 0) {
		if (atomic_load(&tape.fail))
			return atomic_load(&tape.fail);
		tape_add(
			(struct entry){
				.what = W_WRITE, .file = rec(f)->file, .at = at, .n = (size_t)n },
			p);
	}
	return REAL(f)->xWrite(rec(f)->real, p, n, at);
}
static int r_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	if (rec(f)->file >= 0)
		tape_add((struct entry){ .what = W_TRUNCATE, .file = rec(f)->file, .at = n }, NULL);
	return REAL(f)->xTruncate(rec(f)->real, n);
}
static int r_sync(sqlite3_file *f, int flags)
{
	int rc = REAL(f)->xSync(rec(f)->real, flags);

	if (rec(f)->file >= 0 && rc == SQLITE_OK)
		tape_add((struct entry){ .what = W_SYNC, .file = rec(f)->file }, NULL);
	return rc;
}
static int r_size(sqlite3_file *f, sqlite3_int64 *n)
{
	return REAL(f)->xFileSize(rec(f)->real, n);
}
static int r_lock(sqlite3_file *f, int how)
{
	return REAL(f)->xLock(rec(f)->real, how);
}
static int r_unlock(sqlite3_file *f, int how)
{
	return REAL(f)->xUnlock(rec(f)->real, how);
}
static int r_reserved(sqlite3_file *f, int *out)
{
	return REAL(f)->xCheckReservedLock(rec(f)->real, out);
}
static int r_control(sqlite3_file *f, int op, void *arg)
{
	return REAL(f)->xFileControl(rec(f)->real, op, arg);
}
static int r_sector(sqlite3_file *f)
{
	return REAL(f)->xSectorSize(rec(f)->real);
}
static int r_device(sqlite3_file *f)
{
	return REAL(f)->xDeviceCharacteristics(rec(f)->real);
}
static int r_map(sqlite3_file *f, int page, int size, int extend, void volatile **pp)
{
	return REAL(f)->xShmMap(rec(f)->real, page, size, extend, pp);
}
static int r_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return REAL(f)->xShmLock(rec(f)->real, offset, n, flags);
}
static void r_barrier(sqlite3_file *f)
{
	REAL(f)->xShmBarrier(rec(f)->real);
}
static int r_unmap(sqlite3_file *f, int del)
{
	return REAL(f)->xShmUnmap(rec(f)->real, del);
}
static const sqlite3_io_methods r_methods = { .iVersion = 2,
	.xClose = r_close,
	.xRead = r_read,
	.xWrite = r_write,
	.xTruncate = r_truncate,
	.xSync = r_sync,
	.xFileSize = r_size,
	.xLock = r_lock,
	.xUnlock = r_unlock,
	.xCheckReservedLock = r_reserved,
	.xFileControl = r_control,
	.xSectorSize = r_sector,
	.xDeviceCharacteristics = r_device,
	.xShmMap = r_map,
	.xShmLock = r_shm_lock,
	.xShmBarrier = r_barrier,
	.xShmUnmap = r_unmap };

static sqlite3_vfs r_vfs;

static int r_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
	sqlite3_vfs *real = v->pAppData;
	int rc;

	rec(f)->real = (sqlite3_file *)(void *)(rec(f) + 1);
	rec(f)->file = flags & SQLITE_OPEN_MAIN_DB ? 0 : flags & SQLITE_OPEN_WAL ? 1 : -1;
	rc = real->xOpen(real, name, rec(f)->real, flags, out);
	f->pMethods = rec(f)->real->pMethods ? &r_methods : NULL;
	return rc;
}

static void layer_on(void)
{
	sqlite3_vfs *real;

	sqlite3_initialize();
	real = sqlite3_vfs_find("unix");
	r_vfs = *real;
	r_vfs.zName = "postern-tape";
	r_vfs.pNext = NULL;
	r_vfs.pAppData = real;
	r_vfs.szOsFile = (int)sizeof(struct rec) + real->szOsFile;
	r_vfs.xOpen = r_open;
	sqlite3_vfs_register(&r_vfs, 1);
}

static void layer_off(void)
{
	sqlite3_vfs_unregister(&r_vfs);
}

/* ---- traffic that acknowledges --------------------------------------------------------------- */

/* Called on the writer's thread, after the commit. */
static void (*acked)(uint64_t id, enum state st);
static atomic_uint in_air, begun;
static unsigned traffic_most;
static unsigned many_parts;  /* every so many-th message has two parts */
static unsigned many_bodies; /* and every so many-th a big body; 0: none */

struct trip {
	struct store_op op;
	uint64_t id;
	struct place place;
	char key[24];
	unsigned part, parts;
};

static void trip_begin(void);

static struct trip *trip_op(
	enum op_kind k, const struct trip *from, void (*done)(struct store_op *))
{
	struct trip *t = mem_new(struct trip);

	if (from) {
		*t = *from;
		memset(&t->op, 0, sizeof t->op);
	}
	t->op.kind = k;
	t->op.done = done;
	return t;
}

static struct trip *trip_of(struct store_op *op)
{
	return (struct trip *)(void *)op;
}

static void trip_end(void)
{
	atomic_fetch_sub(&in_air, 1);
	if (atomic_load(&begun) < traffic_most)
		trip_begin();
}

static void trip_received(struct store_op *op)
{
	struct trip *t = trip_of(op);

	if (t->part + 1 == t->parts) {
		acked(t->id, STATE_DELIVERED);
		trip_end();
	}
	mem_free(&t);
}

static void trip_send(struct trip *t);

static void trip_sent(struct store_op *op)
{
	struct trip *t = trip_of(op), *r;

	if (op->sent.all)
		acked(t->id, STATE_SENT);
	r = trip_op(OP_RECEIPT, t, trip_received);
	r->op.receipt.in.channel = CH;
	r->op.receipt.in.keys = 1;
	str_copy(r->op.receipt.in.key[0], OUTCOME_ID, str_of(t->key));
	r->op.receipt.in.state = STATE_DELIVERED;
	store_do(fx.s, &r->op);
	if (t->part + 1 < t->parts) {
		t->part++;
		trip_send(t);
	}
	mem_free(&t);
}

static void trip_send(struct trip *from)
{
	struct trip *t = trip_op(OP_SENT, from, trip_sent);

	snprintf(t->key, sizeof t->key, "%llx.%u", (unsigned long long)t->id * 0x9e3779b97f4a7c15u,
		t->part);
	t->op.sent.id = t->id;
	t->op.sent.place = t->place;
	t->op.sent.channel = CH;
	t->op.sent.part = (uint8_t)t->part;
	t->op.sent.parts = (uint8_t)t->parts;
	t->op.sent.all = t->part + 1 == t->parts;
	t->op.sent.awaits = true;
	str_copy(t->op.sent.far_id, OUTCOME_ID, str_of(t->key));
	store_do(fx.s, &t->op);
}

static void trip_accepted(struct store_op *op)
{
	struct trip *t = trip_of(op);

	message_unref(&op->accept.msg);
	if (op->fault == STORE_OK) {
		t->id = op->accept.id;
		t->place = op->accept.place;
		acked(t->id, STATE_QUEUED);
		if (t->id % 7 != 0) {
			trip_send(t);
			mem_free(&t);
			return;
		}
	}
	mem_free(&t);
	trip_end();
}

static void trip_begin(void)
{
	unsigned n = atomic_fetch_add(&begun, 1);
	struct trip *t = trip_op(OP_ACCEPT, NULL, trip_accepted);
	char body[SPOOL_NAME] = "";

	atomic_fetch_add(&in_air, 1);
	t->parts = many_parts && n % many_parts == 0 ? 2 : 1;
	if (many_bodies && n % many_bodies == 0)
		fx_body(body);
	t->op.accept.msg = fx_message(
		(struct fx_msg){ .wants = WANT_DELIVERED, .spool = body[0] ? body : NULL });
	t->op.accept.channel = CH;
	t->op.accept.state = STATE_QUEUED;
	t->op.accept.parts = (uint8_t)t->parts;
	store_do(fx.s, &t->op);
}

static void traffic(unsigned window, unsigned most)
{
	atomic_store(&begun, 0);
	traffic_most = most;
	many_parts = 11;
	for (unsigned i = 0; i < window && i < most; i++)
		trip_begin();
	while (atomic_load(&in_air))
		usleep(500);
}

static void sink_nowhere(void *ctx, struct note *n)
{
	note_free(&n);
}

/* What was acknowledged is there, in that state or further on; if it waits, it waits in the queue
 * exactly once. */
static void verify(const uint64_t *id, const enum state *st, size_t n)
{
	struct store_load l = { .kind = LOAD_QUEUE, .channel = CH, .most = 60000 };
	struct store_view v;
	struct err e = { 0 };
	size_t waiting = 0, there = 0;

	l.until = store_now(fx.s);
	fx_load(&l);
	for (size_t i = 0; i < n; i++) {
		if (store_find(fx.s, id[i], true, &v, &e) != 1)
			fail_msg("message %llu, acknowledged as %s, is lost: %s",
				(unsigned long long)id[i], state_word(st[i]), e.text);
		if (v.state < st[i])
			fail_msg("message %llu, acknowledged as %s, is %s",
				(unsigned long long)id[i], state_word(st[i]), state_word(v.state));
		assert_non_null(v.msg);
		if (fx_spool && message_has(v.msg, FIELD_SPOOL)) {
			struct spool_ref ref;
			char name[SPOOL_NAME];

			assert_true(spool_ref_parse(message_get(v.msg, FIELD_SPOOL), &ref));
			str_copy(name, sizeof name, ref.name);
			if (!fx_body_there(name))
				fail_msg("the body of message %llu is lost",
					(unsigned long long)id[i]);
		}
		waiting += v.state == STATE_QUEUED;
		store_view_free(&v);
		for (unsigned k = 0; k < l.n && st[i] == STATE_QUEUED; k++)
			there += l.rows[k].msg->id == id[i];
	}
	assert_int_equal(there, waiting);
	for (unsigned i = 0; i < l.n; i++)
		message_unref(&l.rows[i].msg);
	store_load_free(&l);
}

struct ledger {
	uint64_t *id;
	enum state *st;
	size_t n, cap;
};

static void ledger_put(struct ledger *b, uint64_t id, enum state st)
{
	for (size_t i = b->n; i-- > 0 && b->n - i < 4096;)
		if (b->id[i] == id) {
			if (st > b->st[i])
				b->st[i] = st;
			return;
		}
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 1024;
		b->id = mem_grow(b->id, b->cap * sizeof *b->id);
		b->st = mem_grow(b->st, b->cap * sizeof *b->st);
	}
	b->id[b->n] = id;
	b->st[b->n++] = st;
}

static void ledger_free(struct ledger *b)
{
	mem_free(&b->id);
	mem_free(&b->st);
	*b = (struct ledger){ 0 };
}

#endif
