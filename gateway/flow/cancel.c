/* Taking back many messages of a plugin without anybody waiting for it.
 *
 * A worker looks where they are; each that is queued gets an order on its channel's loop (ask.c),
 * where it is taken out of memory or barred, and ends by the store's word. One that was on its way
 * from one queue to another is looked for again, after what the writer had to do by then: it is
 * there then, or it has left.
 *
 * A whole with several attempts (fallback.c) is stopped first, by a line of its history that the
 * writer looks at before it accepts an attempt; then those that wait are taken back, one a round.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/flow/flow.h"

enum { TRIES = 4, TRIES_OF_WHOLE = 20, AT_ONCE = 1000 };

struct one {
	unsigned index;
	unsigned tries;
	bool again;
	bool stopped; /* a whole, no attempt begins any more */
	bool some;    /* of a whole: an attempt was taken back */
};

struct taking {
	struct chore chore;     /* first */
	struct store_op behind; /* waits for the writer */
	struct letter letter;
	struct flow_plugin *p;
	struct plugin_cancels *c;
	struct one *v;
	unsigned n; /* to be looked for */
	_Atomic unsigned open;
};

struct taken {
	struct order o; /* first */
	struct taking *t;
	struct one *one;
};

static void next_round(struct taking *t);

static void less(struct taking *t)
{
	if (atomic_fetch_sub(&t->open, 1) == 1)
		next_round(t);
}

/* On the loop of its channel. */
static void one_over(struct order *o)
{
	struct taken *x = (struct taken *)o;
	struct taking *t = x->t;
	struct one *one = x->one;

	t->c->v[one->index].result = o->reason;
	t->c->v[one->index].in_flight = o->reason == REASON_TOO_LATE;
	one->some |= o->reason == REASON_NONE;
	one->again = one->stopped || o->reason == REASON_TOO_LATE;
	mem_free(&x);
	less(t);
}

/* About the message at v, which is the one itself or an attempt of it. */
static enum reason order_one(struct taking *t, struct one *one, const struct store_view *v)
{
	const struct plugin_cancel *c = &t->c->v[one->index];
	struct taken *x = mem_new(struct taken);
	enum reason r;

	x->t = t;
	x->one = one;
	x->o.gw = t->p->gw;
	x->o.deed = DEED_CANCEL;
	x->o.over = one_over;
	x->o.state = c->state == STATE_SUPPRESSED ? STATE_SUPPRESSED : STATE_CANCELLED;
	x->o.why = c->reason != REASON_NONE         ? c->reason
		   : x->o.state == STATE_SUPPRESSED ? REASON_POLICY
						    : REASON_CANCELLED;
	memcpy(x->o.words, c->words, sizeof x->o.words);
	x->o.id = v->id;
	x->o.place = (struct place){ v->channel, v->priority, v->due };
	x->o.attempt = v->attempt;
	atomic_fetch_add(&t->open, 1);
	r = order_give(&x->o);
	if (r != REASON_NONE) {
		atomic_fetch_sub(&t->open, 1); /* not the last: look_call() holds one */
		mem_free(&x);
	}
	return r;
}

/* ---- wholes ---- */
static void stop_written(struct store_op *op)
{
	struct taken *x = (struct taken *)op;
	struct taking *t = x->t;

	x->one->stopped = x->one->again = op->fault == STORE_OK;
	t->c->v[x->one->index].result = op->fault == STORE_OK ? REASON_TOO_LATE : REASON_STORE;
	mem_free(&x);
	less(t);
}

static void stop_whole(struct taking *t, struct one *one, uint64_t id)
{
	struct taken *x = mem_new(struct taken);
	struct store_op *op = &x->o.op;

	x->t = t;
	x->one = one;
	op->kind = OP_EVENT;
	op->done = stop_written;
	op->event.id = id;
	op->event.reason = t->c->v[one->index].reason;
	str_copy(op->event.what, sizeof op->event.what, STR(FALLBACK_STOPPED));
	atomic_fetch_add(&t->open, 1);
	store_do(gateway_store(t->p->gw), op);
}

/* The next attempt that waits. Too late is what has left already, and did not fail. True: an order
 * is given. */
static bool order_attempt(struct taking *t, struct one *one, enum reason *r)
{
	struct store *st = gateway_store(t->p->gw);
	struct store_view whole, v[FALLBACK_STEPS];
	uint64_t id[FALLBACK_STEPS];
	const struct store_view *waits = NULL;
	bool left = false;
	struct err e;
	int n = store_find(st, t->c->v[one->index].id, false, &whole, &e);

	*r = n < 0 ? REASON_STORE : REASON_NOT_FOUND;
	if (n <= 0)
		return false;
	*r = REASON_STORE;
	n = fallback_begun(t->p->gw, &whole, id);
	store_view_free(&whole);
	if (n < 0 || store_find_places(st, id, (unsigned)n, v, &e) < 0)
		return false;
	for (int i = 0; i < n; i++) {
		if (v[i].id && v[i].state == STATE_QUEUED && !waits)
			waits = &v[i];
		left |= v[i].id && attempt_has_left(v[i].state);
	}
	if (waits) {
		*r = order_one(t, one, waits);
		return *r == REASON_NONE;
	}
	*r = left || !one->some ? REASON_TOO_LATE : REASON_NONE;
	return false;
}

/* ---- rounds ---- */
/* Looks at one. False: it is decided, *r says how. */
static bool look_at(struct taking *t, struct one *one, const struct store_view *v, enum reason *r)
{
	struct flow_channel *whole = gateway_fallback(t->p->gw);

	one->again = false;
	t->c->v[one->index].in_flight = false;
	if (one->stopped)
		return order_attempt(t, one, r);
	*r = REASON_NONE;
	/* What a plugin suppresses may be others': its policy was asked about it. */
	if (!v->id || (v->submitter != t->p->pub.submitter &&
			      t->c->v[one->index].state != STATE_SUPPRESSED)) {
		*r = REASON_NOT_FOUND;
	} else if (v->state == STATE_SENT && v->channel == whole->pub.number) {
		stop_whole(t, one, v->id);
		return true;
	} else if (v->state != STATE_QUEUED) {
		*r = REASON_TOO_LATE;
	} else {
		*r = order_one(t, one, v);
		return *r == REASON_NONE;
	}
	return false;
}

/* A worker. */
static void look_call(struct chore *chore)
{
	struct taking *t = (struct taking *)chore;
	uint64_t ids[AT_ONCE];
	struct store_view *views = mem_alloc(AT_ONCE * sizeof *views);

	atomic_store(&t->open, 1);
	for (unsigned at = 0; at < t->n; at += AT_ONCE) {
		unsigned n = t->n - at < AT_ONCE ? t->n - at : AT_ONCE;
		struct err e;
		int found;

		for (unsigned i = 0; i < n; i++)
			ids[i] = t->c->v[t->v[at + i].index].id;
		found = store_find_places(gateway_store(t->p->gw), ids, n, views, &e);
		for (unsigned i = 0; i < n; i++) {
			struct one *one = &t->v[at + i];
			enum reason r = REASON_STORE;

			if (found < 0 || !look_at(t, one, &views[i], &r))
				t->c->v[one->index].result = r;
		}
	}
	mem_free(&views);
	less(t);
}

static void all_over(struct letter *l)
{
	struct taking *t = CONTAINER(l, struct taking, letter);
	struct plugin_cancels *c = t->c;

	c->cancelled = 0;
	for (unsigned i = 0; i < c->n; i++)
		c->cancelled += c->v[i].result == REASON_NONE;
	stat_add(&t->p->cancelled, c->cancelled);
	mem_free(&t->v);
	mem_free(&t);
	c->done(c);
}

static int nothing(struct sql *db, struct store_op *op)
{
	return 0;
}

static void written(struct store_op *op)
{
	struct taking *t = CONTAINER(op, struct taking, behind);

	workers_do(&t->chore);
}

/* All of this round are decided; on whatever thread was last. */
static void next_round(struct taking *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++)
		if (t->v[i].again && ++t->v[i].tries < (t->v[i].stopped ? TRIES_OF_WHOLE : TRIES))
			t->v[n++] = t->v[i];
	t->n = n;
	if (!n) {
		t->letter.run = all_over;
		loop_post(t->c->loop ? t->c->loop : t->p->pub.loop, &t->letter);
		return;
	}
	t->behind = (struct store_op){ .kind = OP_CALL, .done = written };
	t->behind.call.run = nothing;
	store_do(gateway_store(t->p->gw), &t->behind);
}

void plugin_cancel(struct plugin_host *h, struct plugin_cancels *c)
{
	struct taking *t = mem_new(struct taking);

	t->p = flow_plugin(h);
	t->c = c;
	t->n = c->n;
	t->v = mem_alloc((c->n + 1) * sizeof *t->v);
	for (unsigned i = 0; i < c->n; i++)
		t->v[i].index = i;
	t->chore.call = look_call;
	workers_do(&t->chore);
}
