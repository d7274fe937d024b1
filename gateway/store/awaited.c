/* Awaited receipts: from the far side's id to the message.
 *
 * An index by far id is written at random places, one page or two per message, and that is what
 * makes stores slow once a million receipts are outstanding. So it is kept in two ages. The young
 * are appended to the table `sent` in order of sending (sequential, cheap) and found through a
 * hash table in memory; most receipts come while their message is young and touch no index at
 * all. When the young are many or minutes old, the oldest that still wait are moved to the table
 * `rc` in order of key, so that a page takes several at once, and the head of `sent` is cut off.
 * After a restart the young are read again from `sent`: its length is bounded, not the backlog's.
 */
#include "gateway/store/intern.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	YOUNG_RING = 1 << 18, /* rows of `sent`, at most (then it is moved at once) */
	YOUNG_MANY = 1 << 17, /* from here on the oldest are moved in the background */
	YOUNG_MOVE = 1 << 15, /* so many rows in one run */
	BUCKETS = 1 << 17,
	LOOK_EVERY = 32, /* rows moved between looks at the clock */
};
#define YOUNG_AGE (10 * DUR_MIN)

struct awaited {
	struct awaited *next; /* in its bucket, newest first */
	uint64_t n, id, hash;
	wall_t at;
	uint32_t channel;
	uint8_t part, key_n;
	bool done; /* nobody waits any more, but one may still come */
	bool live; /* in its bucket; else only a run of moving knows it */
	bool old;  /* read after a restart: rc may have it too */
	char key[];
};

static uint64_t hash_of(uint32_t channel, struct str key)
{
	return (str_hash(key) ^ channel) * 0x9e3779b97f4a7c15ull;
}

static struct awaited **bucket_of(struct young *y, uint64_t hash)
{
	return &y->bucket[hash >> 40 & (BUCKETS - 1)];
}

static struct awaited **slot_of(struct young *y, uint64_t n)
{
	return &y->ring[n & (YOUNG_RING - 1)];
}

static void unlink_bucket(struct young *y, struct awaited *a)
{
	struct awaited **p = bucket_of(y, a->hash);

	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	a->live = false;
	y->live--;
}

/* Gone for good; a run of moving still frees those that it holds. */
static void young_drop(struct young *y, struct awaited *a)
{
	unlink_bucket(y, a);
	if (a->n < y->move_end)
		return;
	*slot_of(y, a->n) = NULL;
	mem_free(&a);
}

static void young_put(struct young *y, uint64_t n, uint32_t channel, struct str key, uint64_t id,
	unsigned part, wall_t at, bool done, bool old)
{
	size_t key_n = key.n < OUTCOME_ID ? key.n : OUTCOME_ID;
	struct awaited *a = mem_raw(sizeof *a + key_n), **b;

	*a = (struct awaited){
		.n = n,
		.id = id,
		.hash = hash_of(channel, key),
		.at = at,
		.channel = channel,
		.part = (uint8_t)part,
		.key_n = (uint8_t)key_n,
		.done = done,
		.live = true,
		.old = old,
	};
	memcpy(a->key, key.p, key_n);
	b = bucket_of(y, a->hash);
	a->next = *b;
	*b = a;
	*slot_of(y, n) = a;
	y->live++;
}

void awaited_free(struct store *s)
{
	struct young *y = &s->young;

	if (y->ring)
		for (size_t i = 0; i < YOUNG_RING; i++)
			mem_free(&y->ring[i]);
	mem_free(&y->ring);
	mem_free(&y->bucket);
	mem_free(&y->move);
	*y = (struct young){ 0 };
}

/* A file with more rows than the ring takes (of a program with a longer one). */
static int load_excess(struct store *s, uint64_t keep_from)
{
	char text[300];

	snprintf(text, sizeof text,
		"INSERT INTO rc(channel, key, id, part, at, done)"
		" SELECT channel, key, id, part, at, 0 FROM sent WHERE n < %llu"
		" ON CONFLICT DO NOTHING; DELETE FROM sent WHERE n < %llu",
		(unsigned long long)keep_from, (unsigned long long)keep_from);
	return sql_exec(s->db, text);
}

/* That a message is finished is seen here once more, so that a row which waits for nothing is not
 * carried on. */
int awaited_load(struct store *s)
{
	struct young *y = &s->young;
	struct sql_stmt *q;
	int got;

	awaited_free(s);
	y->ring = mem_alloc(YOUNG_RING * sizeof(struct awaited *));
	y->bucket = mem_alloc(BUCKETS * sizeof(struct awaited *));
	y->move = mem_alloc(YOUNG_MOVE * sizeof(struct awaited *));
	y->since = clock_mono();
	y->next = (uint64_t)sql_number(s->db, "SELECT max(n) FROM sent", 0) + 1;
	y->first = (uint64_t)sql_number(s->db, "SELECT min(n) FROM sent", 1);
	if (y->next - y->first > YOUNG_RING) {
		y->first = y->next - YOUNG_MANY;
		if (load_excess(s, y->first) < 0)
			return -1;
	}
	q = sql_prepare(s->db,
		"SELECT n, sent.channel, sent.key, sent.id, part, sent.at, msg.state,"
		" msg.parts, msg.media FROM sent JOIN msg ON msg.id = sent.id"
		" ORDER BY n");
	if (!q)
		return -1;
	while ((got = sql_step(q)) == 1) {
		enum state state = (enum state)sql_col(q, 6);
		bool single = sql_col(q, 7) <= 1;

		if (single && (state == STATE_READ ||
				      (state == STATE_DELIVERED && sql_col(q, 8) == MEDIA_SMS)))
			continue;
		young_put(y, (uint64_t)sql_col(q, 0), (uint32_t)sql_col(q, 1), sql_col_str(q, 2),
			(uint64_t)sql_col(q, 3), (unsigned)sql_col(q, 4), sql_col(q, 5),
			single && state_is_final(state), true);
	}
	sql_finish(&q);
	return got;
}

/* ---- the oldest move to rc ------------------------------------------------------------------- */

static int by_key(const void *pa, const void *pb)
{
	const struct awaited *a = *(struct awaited *const *)pa, *b = *(struct awaited *const *)pb;

	if (a->channel != b->channel)
		return a->channel < b->channel ? -1 : 1;
	return str_cmp(str_n(a->key, a->key_n), str_n(b->key, b->key_n));
}

bool awaited_due(struct store *s)
{
	struct young *y = &s->young;

	return y->move_end || y->next - y->first >= YOUNG_MANY ||
	       (y->next > y->first && clock_mono() - y->since > YOUNG_AGE);
}

static void move_begin(struct store *s)
{
	struct young *y = &s->young;
	bool many = y->next - y->first >= YOUNG_MANY;
	uint64_t end = y->first;

	y->move_n = y->move_at = 0;
	for (; end < y->next && end - y->first < YOUNG_MOVE; end++) {
		struct awaited *a = *slot_of(y, end);

		if (!a)
			continue;
		if (!many && a->at > s->now - YOUNG_AGE / 2)
			break;
		y->move[y->move_n++] = a;
	}
	y->since = clock_mono();
	if (end == y->first)
		return;
	qsort(y->move, y->move_n, sizeof(struct awaited *), by_key);
	y->move_end = end;
}

static int move_end(struct store *s)
{
	struct young *y = &s->young;

	sql_int(s->q[Q_SENT_TRIM], 1, (int64_t)y->move_end);
	if (sql_run(s->q[Q_SENT_TRIM]) < 0)
		return -1;
	for (uint64_t n = y->first; n < y->move_end; n++)
		mem_free(slot_of(y, n));
	y->first = y->move_end;
	y->move_end = 0;
	return 0;
}

int awaited_slice(struct store *s, mono_t until)
{
	struct young *y = &s->young;
	struct sql_stmt *q = s->q[Q_RC_INSERT];
	unsigned looked = 0;

	if (!awaited_due(s))
		return 0;
	if (!y->move_end)
		move_begin(s);
	if (!y->move_end)
		return 0;
	for (; y->move_at < y->move_n; y->move_at++) {
		struct awaited *a = y->move[y->move_at];

		if (++looked % LOOK_EVERY == 0 && clock_mono() >= until)
			return 1;
		if (!a->live)
			continue;
		sql_int(q, 1, a->channel);
		sql_text(q, 2, str_n(a->key, a->key_n));
		sql_int(q, 3, (int64_t)a->id);
		sql_int(q, 4, a->part);
		sql_int(q, 5, a->at);
		sql_int(q, 6, a->done);
		if (sql_run(q) < 0)
			return -1;
		unlink_bucket(y, a);
	}
	return move_end(s) < 0 ? -1 : 1;
}

/* ---- what the rest of the store asks --------------------------------------------------------- */

int awaited_add(
	struct store *s, uint32_t channel, struct str key, uint64_t id, unsigned part, wall_t at)
{
	struct young *y = &s->young;
	struct sql_stmt *q = s->q[Q_SENT_INSERT];

	while (y->next - y->first >= YOUNG_RING)
		if (awaited_slice(s, INT64_MAX) < 0)
			return -1;
	if (y->next == y->first)
		y->since = clock_mono();
	sql_int(q, 1, (int64_t)y->next);
	sql_int(q, 2, channel);
	sql_text(q, 3, key);
	sql_int(q, 4, (int64_t)id);
	sql_int(q, 5, part);
	sql_int(q, 6, at);
	if (sql_run(q) < 0)
		return -1;
	young_put(y, y->next++, channel, key, id, part, at, false, false);
	return 0;
}

static bool is(const struct awaited *a, uint64_t hash, uint32_t channel, struct str key)
{
	return a->hash == hash && a->channel == channel && str_eq(str_n(a->key, a->key_n), key);
}

unsigned awaited_young(struct store *s, uint32_t channel, struct str key, struct found *out)
{
	uint64_t hash = hash_of(channel, key);
	unsigned n = 0;

	for (struct awaited *a = *bucket_of(&s->young, hash); a && n < FOUND_MOST; a = a->next)
		if (is(a, hash, channel, key))
			out[n++] = (struct found){
				.young = a, .id = a->id, .part = a->part, .at = a->at
			};
	return n;
}

int awaited_old(struct store *s, uint32_t channel, struct str key, struct found *out)
{
	struct sql_stmt *q = s->q[Q_RC_FIND];
	int n = 0, got;

	sql_int(q, 1, channel);
	sql_text(q, 2, key);
	while ((got = sql_step(q)) == 1)
		if (n < FOUND_MOST)
			out[n++] = (struct found){
				.id = (uint64_t)sql_col(q, 0),
				.part = (unsigned)sql_col(q, 1),
				.at = sql_col(q, 2),
			};
	return got < 0 ? -1 : n;
}

static int rc_run(struct store *s, enum hot which, uint32_t channel, struct str key, uint64_t id,
	unsigned part)
{
	struct sql_stmt *q = s->q[which];

	sql_int(q, 1, channel);
	sql_text(q, 2, key);
	sql_int(q, 3, (int64_t)id);
	sql_int(q, 4, part);
	return sql_run(q);
}

int awaited_settle(
	struct store *s, uint32_t channel, struct str key, const struct found *f, bool keep)
{
	bool old = f->young && f->young->old;

	if (f->young && keep)
		f->young->done = true;
	else if (f->young)
		young_drop(&s->young, f->young);
	if (f->young && !old)
		return 0;
	return rc_run(s, keep ? Q_RC_DONE : Q_RC_DELETE, channel, key, f->id, f->part);
}

int awaited_done(struct store *s, uint32_t channel, struct str key, uint64_t id, unsigned part)
{
	struct found f[FOUND_MOST];
	unsigned n = awaited_young(s, channel, key, f);

	for (unsigned i = 0; i < n; i++)
		if (f[i].id == id && f[i].part == part)
			return awaited_settle(s, channel, key, &f[i], true);
	return rc_run(s, Q_RC_DONE, channel, key, id, part);
}
