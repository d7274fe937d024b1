/* Awaited receipts: from the far side's id to the message.
 *
 * An index by far id is written at random places, one page or two per message, and that is what
 * makes stores slow once a million receipts are outstanding. So it is kept in two ages. The young
 * are appended to the table `sent` in order of sending, one row per commit, and found through a
 * hash table in memory, which also knows of the message what telling its submitter needs; most
 * receipts come while their message is young and touch no index at all. When the young are many or
 * minutes old, the oldest that still wait are moved to the table `rc` in order of key, so that a
 * page takes several at once, and the head of `sent` is cut off. After a restart the young are read
 * again from `sent`: its length is bounded, not the backlog's.
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
	bool done;  /* nobody waits any more, but one may still come */
	bool live;  /* in its bucket; else only a run of moving knows it */
	bool old;   /* read after a restart: rc may have it too */
	bool known; /* what follows is filled in: a message whole and sent */
	uint8_t media, wants, flags, src_n, dst_n, client_n;
	uint32_t submitter, place;
	struct sms_attrs sms;
	wall_t accepted;
	char text[]; /* key, src, dst, client_id */
};

/* An entry in a row of `sent`. The file stays on one machine: its own byte order. */
struct packed {
	uint64_t id;
	int64_t at;
	uint32_t channel;
	uint8_t part, key_n;
};
enum { PACKED = 22 };
_Static_assert(NOTE_ADDR - 1 <= UINT8_MAX, "src_n, dst_n, client_n");
_Static_assert(offsetof(struct packed, key_n) == PACKED - 1, "no padding within");

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

static struct awaited *young_put(struct young *y, const struct sent_entry *e, const struct row *r)
{
	size_t more = r ? r->src.n + r->dst.n + r->client_id.n : 0;
	struct awaited *a = mem_raw(sizeof *a + e->key.n + more), **b;
	uint64_t n = y->next++;
	char *text = a->text;

	*a = (struct awaited){
		.n = n,
		.id = e->id,
		.hash = hash_of(e->channel, e->key),
		.at = e->at,
		.channel = e->channel,
		.part = (uint8_t)e->part,
		.key_n = (uint8_t)e->key.n,
		.live = true,
	};
	memcpy(text, e->key.p, e->key.n);
	text += e->key.n;
	if (r) {
		a->known = true;
		a->media = r->media;
		a->wants = r->wants;
		a->flags = r->flags;
		a->submitter = r->submitter;
		a->place = r->channel;
		a->sms = r->sms;
		a->accepted = r->accepted;
		a->src_n = (uint8_t)r->src.n;
		a->dst_n = (uint8_t)r->dst.n;
		a->client_n = (uint8_t)r->client_id.n;
		memcpy(text, r->src.p, r->src.n);
		memcpy(text + a->src_n, r->dst.p, r->dst.n);
		memcpy(text + a->src_n + a->dst_n, r->client_id.p, r->client_id.n);
	}
	b = bucket_of(y, a->hash);
	a->next = *b;
	*b = a;
	*slot_of(y, n) = a;
	y->live++;
	return a;
}

bool awaited_row(const struct awaited *a, struct row *r)
{
	const char *text = a->text + a->key_n;

	if (!a->known || a->done)
		return false;
	r->id = a->id;
	r->state = STATE_SENT;
	r->reason = REASON_NONE;
	r->attempt = 1;
	r->submitter = a->submitter;
	r->channel = a->place;
	r->rc = a->channel;
	r->media = a->media;
	r->priority = 0;
	r->wants = a->wants;
	r->flags = a->flags;
	r->erased = false;
	r->parts = 1;
	r->sms = a->sms;
	r->accepted = r->due = a->accepted;
	r->expires = 0;
	row_strings(r, str_n(text, a->src_n), str_n(text + a->src_n, a->dst_n),
		str_n(text + a->src_n + a->dst_n, a->client_n), STR_NONE);
	return true;
}

bool sent_unpack(struct str *data, struct sent_entry *e_r)
{
	struct packed p;

	if (data->n < PACKED)
		return false;
	memcpy(&p, data->p, PACKED);
	if (data->n - PACKED < p.key_n)
		return false;
	*e_r = (struct sent_entry){
		.channel = p.channel,
		.id = p.id,
		.part = p.part,
		.at = p.at,
		.key = str_n(data->p + PACKED, p.key_n),
	};
	*data = str_skip(*data, PACKED + p.key_n);
	return true;
}

static void sent_pack(struct buf *b, const struct sent_entry *e)
{
	struct packed p = {
		.id = e->id,
		.at = e->at,
		.channel = e->channel,
		.part = (uint8_t)e->part,
		.key_n = (uint8_t)e->key.n,
	};

	buf_add(b, &p, PACKED);
	buf_str(b, e->key);
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
	buf_free(&y->fresh);
	*y = (struct young){ 0 };
}

/* Into rc at once: for a file with more than the ring takes (of a program with a longer one). */
static int load_excess(struct store *s, const struct sent_entry *e)
{
	struct sql_stmt *q = s->q[Q_RC_INSERT];

	sql_int(q, 1, e->channel);
	sql_text(q, 2, e->key);
	sql_int(q, 3, (int64_t)e->id);
	sql_int(q, 4, e->part);
	sql_int(q, 5, e->at);
	sql_int(q, 6, 0);
	return sql_run(q);
}

/* Whether it still waits for something: what is finished for good is not carried on. */
static int load_entry(struct store *s, struct sql_stmt *state, const struct sent_entry *e)
{
	struct young *y = &s->young;
	enum state st = STATE_QUEUED;
	bool single = true, last_word = false;
	struct awaited *a;
	int got;

	sql_int(state, 1, (int64_t)e->id);
	got = sql_step(state);
	if (got < 0)
		return -1;
	if (got == 1) {
		st = (enum state)sql_col(state, 0);
		single = sql_col(state, 1) <= 1;
		last_word = sql_col(state, 3) == 0;
		if (single && (st == STATE_READ ||
				      (st == STATE_DELIVERED && sql_col(state, 2) == MEDIA_SMS)))
			got = 0;
		sql_reset(state);
	}
	if (got == 0) {
		*slot_of(y, y->next++) = NULL;
		return 0;
	}
	a = young_put(y, e, NULL);
	a->done = single && (state_is_final(st) || (st == STATE_SENT && last_word));
	a->old = true;
	return 0;
}

int awaited_load(struct store *s)
{
	struct young *y = &s->young;
	struct sql_stmt *q, *state;
	int got = -1;

	awaited_free(s);
	y->ring = mem_alloc(YOUNG_RING * sizeof(struct awaited *));
	y->bucket = mem_alloc(BUCKETS * sizeof(struct awaited *));
	y->move = mem_alloc(YOUNG_MOVE * sizeof(struct awaited *));
	y->since = clock_mono();
	q = sql_prepare(s->db, "SELECT n, data FROM sent ORDER BY n");
	state = sql_prepare(s->db,
		"SELECT coalesce(st.state, 0), coalesce(st.parts, msg.parts), msg.media,"
		" coalesce(st.rc, 0) FROM msg"
		" LEFT JOIN st ON st.id = msg.id WHERE msg.id = $1");
	while (q && state && (got = sql_step(q)) == 1) {
		struct str data = sql_col_str(q, 1), rest = data;
		struct sent_entry e;
		uint64_t count = 0;

		while (sent_unpack(&rest, &e))
			count++;
		y->next = (uint64_t)sql_col(q, 0) + 1 - count;
		if (!y->first)
			y->first = y->next;
		while (got == 1 && sent_unpack(&data, &e)) {
			if (y->next - y->first < YOUNG_RING) {
				got = load_entry(s, state, &e) < 0 ? -1 : 1;
			} else {
				got = load_excess(s, &e) < 0 ? -1 : 1;
				y->next++;
			}
		}
		if (got < 0)
			break;
	}
	sql_finish(&q);
	sql_finish(&state);
	if (!y->first)
		y->first = y->next = 1;
	if (y->next - y->first > YOUNG_RING)
		y->next = y->first + YOUNG_RING;
	return got;
}

/* ---- the oldest move to rc ------------------------------------------------------------------- */

static int by_key(const void *pa, const void *pb)
{
	const struct awaited *a = *(struct awaited *const *)pa, *b = *(struct awaited *const *)pb;

	if (a->channel != b->channel)
		return a->channel < b->channel ? -1 : 1;
	return str_cmp(str_n(a->text, a->key_n), str_n(b->text, b->key_n));
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
		sql_text(q, 2, str_n(a->text, a->key_n));
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

int awaited_add(struct store *s, uint32_t channel, struct str key, uint64_t id, unsigned part,
	wall_t at, const struct row *r)
{
	struct young *y = &s->young;
	struct sent_entry e = { .channel = channel, .id = id, .part = part, .at = at, .key = key };

	if (e.key.n > OUTCOME_ID)
		e.key.n = OUTCOME_ID;
	if (r && r->parts > 1)
		r = NULL;
	while (y->next - y->first >= YOUNG_RING)
		if (awaited_slice(s, INT64_MAX) < 0)
			return -1;
	if (y->next == y->first)
		y->since = clock_mono();
	sent_pack(&y->fresh, &e);
	young_put(y, &e, r);
	return 0;
}

int awaited_flush(struct store *s)
{
	struct young *y = &s->young;
	struct sql_stmt *q = s->q[Q_SENT_INSERT];

	if (!y->fresh.n)
		return 0;
	sql_int(q, 1, (int64_t)y->next - 1);
	sql_blob(q, 2, buf_view(&y->fresh));
	if (sql_run(q) < 0)
		return -1;
	buf_reset(&y->fresh);
	return 0;
}

static bool is(const struct awaited *a, uint64_t hash, uint32_t channel, struct str key)
{
	return a->hash == hash && a->channel == channel && str_eq(str_n(a->text, a->key_n), key);
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

void awaited_strip(struct store *s, const struct row *r)
{
	uint64_t hash = hash_of(r->rc, r->key);

	if (!r->rc)
		return;
	for (struct awaited *a = *bucket_of(&s->young, hash); a; a = a->next)
		if (a->id == r->id && a->known) {
			memset(a->text + a->key_n, 0, (size_t)a->src_n + a->dst_n);
			a->known = false;
		}
}
