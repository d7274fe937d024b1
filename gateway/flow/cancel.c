/* Taking back many messages of a plugin without anybody waiting for it.
 *
 * A worker looks where they are; each that is queued gets an order on its channel's loop (ask.c),
 * where it is taken out of memory or barred, and ends by the store's word. One that was on its way
 * from one queue to another is looked for again, after what the writer had to do by then: it is
 * there then, or it has left.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/flow/flow.h"

enum { TRIES = 4, AT_ONCE = 1000 };

struct taking {
	struct chore work;      /* first */
	struct store_op behind; /* waits for the writer */
	struct letter letter;
	struct flow_plugin *p;
	struct plugin_cancels *c;
	struct one {
		unsigned index;
		bool again;
	} * v;
	unsigned n; /* to be looked for */
	unsigned tries;
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

	t->c->v[x->one->index].result = o->reason;
	x->one->again = o->reason == REASON_TOO_LATE;
	mem_free(&x);
	less(t);
}

static enum reason order_one(struct taking *t, struct one *one, const struct store_view *v)
{
	const struct plugin_cancel *c = &t->c->v[one->index];
	struct taken *x;
	enum reason r;

	if (!v->id || v->submitter != t->p->pub.submitter)
		return REASON_NOT_FOUND;
	if (v->state != STATE_QUEUED)
		return REASON_TOO_LATE;
	x = mem_new(struct taken);
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

/* A worker. */
static void look_call(struct chore *w)
{
	struct taking *t = (struct taking *)w;
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
			enum reason r = found < 0 ? REASON_STORE : REASON_NONE;

			one->again = false;
			if (r == REASON_NONE)
				r = order_one(t, one, &views[i]);
			if (r != REASON_NONE)
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

	workers_do(&t->work);
}

/* All of this round are decided; on whatever thread was last. */
static void next_round(struct taking *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++)
		if (t->v[i].again)
			t->v[n++] = t->v[i];
	t->n = n;
	if (!n || ++t->tries == TRIES) {
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
	t->work.call = look_call;
	workers_do(&t->work);
}
