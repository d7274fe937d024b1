/* What the store's tests share: operations done and waited for, notes collected. */
#ifndef POSTERN_STORE_STORE_FIXTURE_H
#define POSTERN_STORE_STORE_FIXTURE_H

#include "gateway/base/mem.h"
#include "gateway/base/spool.h"
#include "gateway/store/store.h"
#include "tests/share.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/* no test uses all of it */
#pragma GCC diagnostic ignored "-Wunused-function"

enum { CH = 7, SUB = 3, FX_BODY = 40000 };

struct fixture {
	struct store *s;
	struct store_conf conf;
	bool unclean;
	pthread_mutex_t lock;
	pthread_cond_t news;
	unsigned done;
	struct note *note[4096];
	unsigned notes;
};

static struct fixture fx;
static struct spool *fx_spool; /* of the next fx_begin() */

static void fx_sink(void *ctx, struct note *n)
{
	pthread_mutex_lock(&fx.lock);
	assert_true(fx.notes < 4096);
	fx.note[fx.notes++] = n;
	pthread_mutex_unlock(&fx.lock);
}

static void fx_drop_notes(void)
{
	pthread_mutex_lock(&fx.lock);
	while (fx.notes)
		note_free(&fx.note[--fx.notes]);
	pthread_mutex_unlock(&fx.lock);
}

static void fx_open(void)
{
	struct err e = { 0 };

	fx.s = store_open(&fx.conf, &fx.unclean, &e);
	if (!fx.s)
		fail_msg("%s", e.text);
	store_set_note_sink(fx.s, fx_sink, NULL);
}

static void fx_begin(const char *path)
{
	fx = (struct fixture){ 0 };
	pthread_mutex_init(&fx.lock, NULL);
	pthread_cond_init(&fx.news, NULL);
	fx.conf = (struct store_conf){
		.engine = "sqlite",
		.path = path,
		.cache = 24 << 20,
		.retention = 30 * DUR_DAY,
		.dedupe_window = DUR_DAY,
		.orphan_wait = 10 * DUR_MIN,
		.node = 5,
		.spool = fx_spool,
	};
	fx_open();
}

static void fx_end(void)
{
	store_close(&fx.s);
	fx_drop_notes();
}

static void fx_reopen(void)
{
	store_close(&fx.s);
	fx_drop_notes();
	fx_open();
}

/* A path for a file of this process; what was there is removed. */
static const char *fx_path(const char *name)
{
	static char path[4][256];
	static unsigned turn;
	char *p = path[turn++ % 4], other[300];
	const char *dir = getenv("SCRATCH");

	snprintf(p, sizeof path[0], "%s/store-%ld-%s.db", dir ? dir : "/tmp", (long)getpid(), name);
	unlink(p);
	snprintf(other, sizeof other, "%s-wal", p);
	unlink(other);
	snprintf(other, sizeof other, "%s-shm", p);
	unlink(other);
	return p;
}

static void fx_remove(const char *path)
{
	char other[300];

	unlink(path);
	snprintf(other, sizeof other, "%s-wal", path);
	unlink(other);
	snprintf(other, sizeof other, "%s-shm", path);
	unlink(other);
}

static void fx_done(struct store_op *op)
{
	pthread_mutex_lock(&fx.lock);
	fx.done++;
	pthread_cond_broadcast(&fx.news);
	pthread_mutex_unlock(&fx.lock);
}

/* Posts several and waits for all of them. */
static void fx_do_all(struct store_op **ops, unsigned n)
{
	unsigned want;

	pthread_mutex_lock(&fx.lock);
	want = fx.done + n;
	pthread_mutex_unlock(&fx.lock);
	for (unsigned i = 0; i < n; i++)
		store_do(fx.s, ops[i]);
	pthread_mutex_lock(&fx.lock);
	while (fx.done != want)
		pthread_cond_wait(&fx.news, &fx.lock);
	pthread_mutex_unlock(&fx.lock);
}

static struct store_op *fx_do(struct store_op *op)
{
	fx_do_all(&op, 1);
	return op;
}

static struct store_op *fx_op(enum op_kind kind)
{
	return store_op_new(kind, NULL, fx_done);
}

static void fx_load_done(struct store_load *l)
{
	fx_done(NULL);
}

static void fx_load(struct store_load *l)
{
	unsigned want;

	l->done = fx_load_done;
	pthread_mutex_lock(&fx.lock);
	want = fx.done + 1;
	pthread_mutex_unlock(&fx.lock);
	store_load(fx.s, l);
	pthread_mutex_lock(&fx.lock);
	while (fx.done != want)
		pthread_cond_wait(&fx.news, &fx.lock);
	pthread_mutex_unlock(&fx.lock);
}

struct fx_msg {
	const char *to, *text, *client_id;
	const char *spool; /* name of a big body */
	uint8_t wants, media;
	enum priority priority;
	wall_t send_at, expires;
	uint32_t submitter;
};

static struct message *fx_message(struct fx_msg m)
{
	struct draft d;
	struct message *out;

	draft_init(&d);
	d.head.submitter = m.submitter ? m.submitter : SUB;
	d.head.media = m.media;
	d.head.wants = m.wants;
	d.head.priority = m.priority;
	d.head.send_at = m.send_at;
	d.head.expires = m.expires;
	d.head.sms =
		(struct sms_attrs){ .src_ton = 5, .dst_ton = 1, .dst_npi = 1, .registered = 1 };
	draft_put(&d, FIELD_FROM, STR("Shop"));
	draft_put(&d, FIELD_TO, str_of(m.to ? m.to : "46700000001"));
	draft_put(&d, FIELD_TEXT, str_of(m.text ? m.text : "hej"));
	draft_put(&d, FIELD_CLIENT_ID, str_of(m.client_id));
	if (m.spool) {
		char ref[64];

		snprintf(ref, sizeof ref, "octets:%s:%u", m.spool, FX_BODY);
		draft_put(&d, FIELD_SPOOL, str_of(ref));
	}
	out = draft_seal(&d);
	draft_free(&d);
	return out;
}

static struct store_op *fx_accept_op(struct fx_msg m)
{
	struct store_op *op = fx_op(OP_ACCEPT);

	op->accept.msg = fx_message(m);
	op->accept.channel = CH;
	op->accept.state = STATE_QUEUED;
	op->accept.parts = 1;
	op->accept.unique = m.client_id != NULL;
	return op;
}

static void fx_free(struct store_op *op)
{
	if (op->kind == OP_ACCEPT)
		message_unref(&op->accept.msg);
	if (op->kind == OP_MO)
		message_unref(&op->mo.msg);
	if (op->kind == OP_REPLACE)
		message_unref(&op->replace.msg);
	mem_free(&op);
}

/* A big body of its own, on disk. */
static void fx_body(char name_r[SPOOL_NAME])
{
	static const char piece[FX_BODY];
	struct err e = { 0 };
	struct spool_writer *w = spool_begin(fx.conf.spool, &e);

	if (!w || spool_write(w, piece, sizeof piece, &e) != 0 || spool_finish(&w, name_r, &e) != 0)
		fail_msg("%s", e.text);
}

static bool fx_body_there(const char *name)
{
	uint64_t size;
	int fd = spool_read(fx.conf.spool, str_of(name), &size, NULL);

	if (fd < 0)
		return false;
	close(fd);
	return size == FX_BODY;
}

static bool fx_count_body(void *ctx, struct str name)
{
	++*(unsigned *)ctx;
	return true;
}

static unsigned fx_bodies(void)
{
	unsigned n = 0;

	assert_int_equal(spool_each(fx.conf.spool, fx_count_body, &n, NULL), 0);
	return n;
}

static uint64_t fx_accept(struct fx_msg m, struct place *place_r)
{
	struct store_op *op = fx_do(fx_accept_op(m));
	uint64_t id = op->accept.id;

	assert_int_equal(op->fault, STORE_OK);
	assert_true(id > 0);
	if (place_r)
		*place_r = op->accept.place;
	fx_free(op);
	return id;
}

static struct store_op *fx_sent_op(uint64_t id, struct place place, const char *far_id)
{
	struct store_op *op = fx_op(OP_SENT);

	op->sent.id = id;
	op->sent.place = place;
	op->sent.channel = CH;
	op->sent.parts = 1;
	op->sent.all = true;
	op->sent.awaits = true;
	op->sent.attempt = 1;
	str_copy(op->sent.far_id, sizeof op->sent.far_id, str_of(far_id));
	str_copy(op->sent.key, sizeof op->sent.key, str_of(far_id));
	return op;
}

static void fx_sent(uint64_t id, struct place place, const char *far_id)
{
	fx_free(fx_do(fx_sent_op(id, place, far_id)));
}

static struct store_op *fx_receipt_op(const char *key, const char *to, enum state state)
{
	struct store_op *op = fx_op(OP_RECEIPT);

	op->receipt.in.channel = CH;
	op->receipt.in.keys = 1;
	str_copy(op->receipt.in.key[0], OUTCOME_ID, str_of(key));
	str_copy(op->receipt.in.to, OP_RECEIPT_TO, str_of(to));
	op->receipt.in.state = state;
	return op;
}

/* The operation done, to look at and to free. */
static struct store_op *fx_receipt(const char *key, const char *to, enum state state)
{
	return fx_do(fx_receipt_op(key, to, state));
}

static enum state fx_state(uint64_t id)
{
	struct store_view v;
	struct err e = { 0 };
	enum state st;
	int got = store_find(fx.s, id, false, &v, &e);

	if (got != 1)
		fail_msg("message %llu: %d %s", (unsigned long long)id, got, e.text);
	st = v.state;
	store_view_free(&v);
	return st;
}

#endif
