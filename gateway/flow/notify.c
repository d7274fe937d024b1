/* News for submitters: a durable queue per account, of which a window is in memory. The loop of
 * the account's protocol, except notify_sink(). The same cursor as in queue.c keeps order and
 * makes sure that nothing is told twice or forgotten.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/flow/flow.h"

enum { OUTLET_HIGH = 2048, OUTLET_LOAD = 1024, LATER_MOST = 200 };

struct outlet {
	struct flow_account *a;
	struct list waiting; /* by seq */
	struct list later;   /* refused for now, each with its own wait; others pass them */
	unsigned n, later_n; /* n: of both */
	unsigned credit, lent;
	struct map telling; /* messages of which a note is lent: their next ones wait for it */
	uint64_t cursor;    /* every note up to it is in memory or done with */
	bool more, dirty, loading;
	struct store_load load;
	struct timer pause, wake;
	struct letter pump;
	bool pump_due;
};

static void load_done(struct store_load *l);
static void pump_run(struct letter *l);
static void pause_over(struct timer *t);
static void wake_up(struct timer *t);

struct outlet *outlet_new(struct flow_account *a)
{
	struct outlet *o = mem_new(struct outlet);

	o->a = a;
	o->more = true;
	list_init(&o->waiting);
	list_init(&o->later);
	o->pump.run = pump_run;
	o->pause.fire = pause_over;
	o->wake.fire = wake_up;
	return o;
}

void outlet_free(struct outlet **op)
{
	struct outlet *o = *op;

	if (!o)
		return;
	list_each_safe (it, &o->waiting) {
		struct note *n = CONTAINER(it, struct note, link);

		note_free(&n);
	}
	list_each_safe (it, &o->later) {
		struct note *n = CONTAINER(it, struct note, link);

		note_free(&n);
	}
	map_free(&o->telling);
	mem_free(op);
}

static void pump(struct outlet *o)
{
	if (o->pump_due)
		return;
	o->pump_due = true;
	loop_later(o->a->pub.loop, &o->pump);
}

void outlet_start(struct outlet *o)
{
	pump(o);
}

static void refill(struct outlet *o)
{
	if (!o->more || o->loading || o->n > OUTLET_HIGH / 2 || !gateway_store(o->a->gw))
		return;
	o->loading = true;
	o->dirty = false;
	o->load = (struct store_load){
		.kind = LOAD_NOTES,
		.loop = o->a->pub.loop,
		.done = load_done,
		.channel = o->a->pub.submitter,
		.after_id = o->cursor,
		.most = OUTLET_LOAD,
	};
	store_load(gateway_store(o->a->gw), &o->load);
}

static void take(struct outlet *o, struct note *n)
{
	list_append(&o->waiting, &n->link);
	o->n++;
	o->cursor = n->seq;
}

static void load_done(struct store_load *l)
{
	struct outlet *o = CONTAINER(l, struct outlet, load);

	o->loading = false;
	for (unsigned i = 0; i < l->n; i++) {
		if (l->notes[i]->seq > o->cursor)
			take(o, l->notes[i]);
		else
			note_free(&l->notes[i]);
	}
	if (l->end)
		o->more = o->dirty;
	store_load_free(l);
	pump(o);
}

static void note_arrived(struct letter *letter)
{
	struct note *n = CONTAINER(letter, struct note, letter);
	struct flow_account *a = note_account(n);
	struct outlet *o = a->outlet;

	if (n->seq <= o->cursor) {
		note_free(&n);
	} else if (o->more || o->loading || o->n >= OUTLET_HIGH) {
		o->more = o->dirty = true;
		note_free(&n);
	} else {
		take(o, n);
	}
	pump(o);
}

struct flow_account *note_account(const struct note *n)
{
	return n->owner;
}

void notify_sink(void *ctx, struct note *n)
{
	struct flow_account *a = gateway_account(ctx, n->outlet);

	if (!a) {
		note_free(&n); /* not configured now: it waits on disk */
		return;
	}
	n->owner = a;
	n->letter.run = note_arrived;
	loop_post(a->pub.loop, &n->letter);
}

/* News of one message are told one after the other. */
static struct note *next_note(struct outlet *o)
{
	list_each (it, &o->waiting) {
		struct note *n = CONTAINER(it, struct note, link);

		if (!n->msg || !map_get_u64(&o->telling, n->msg))
			return n;
	}
	return NULL;
}

/* Back to its place by seq; nearly always the front. */
static void put_back(struct outlet *o, struct note *n)
{
	struct list *at = o->waiting.next;

	while (at != &o->waiting && CONTAINER(at, struct note, link)->seq < n->seq)
		at = at->next;
	list_insert_before(at, &n->link);
	o->n++;
}

static void put_later(struct outlet *o, struct note *n)
{
	list_append(&o->later, &n->link);
	o->n++;
	o->later_n++;
}

/* Those whose wait is over are the first again. */
static void take_later(struct outlet *o)
{
	mono_t now = loop_now(o->a->pub.loop), next = 0;

	list_each_safe (it, &o->later) {
		struct note *n = CONTAINER(it, struct note, link);

		if (n->again > now) {
			if (!next || n->again < next)
				next = n->again;
			continue;
		}
		list_remove(&n->link);
		o->n--;
		o->later_n--;
		if (n->msg)
			map_del_u64(&o->telling, n->msg);
		put_back(o, n);
	}
	if (next)
		timer_set(o->a->pub.loop, &o->wake, next);
}

static void pump_run(struct letter *l)
{
	struct outlet *o = CONTAINER(l, struct outlet, pump);
	struct account *a = &o->a->pub;
	struct note *n;

	o->pump_due = false;
	if (o->later_n)
		take_later(o);
	refill(o);
	while (o->lent < o->credit && !timer_is_set(&o->pause) && (n = next_note(o)) != NULL) {
		list_remove(&n->link);
		o->n--;
		o->lent++;
		if (n->msg)
			map_put_u64(&o->telling, n->msg, n);
		a->protocol->notify(a, n);
	}
	stat_set(&o->a->notes_waiting, o->n);
	refill(o);
}

static void pause_over(struct timer *t)
{
	pump(CONTAINER(t, struct outlet, pause));
}

static void wake_up(struct timer *t)
{
	pump(CONTAINER(t, struct outlet, wake));
}

void account_credit(struct account *pub, unsigned notes)
{
	struct outlet *o = flow_account(pub)->outlet;

	o->credit = notes;
	pump(o);
}

void note_done(struct account *pub, struct note *n, const struct outcome *out)
{
	struct flow_account *a = flow_account(pub);
	struct outlet *o = a->outlet;
	struct store_op *op;

	CHECK(o->lent > 0);
	o->lent--;
	if ((out->verdict == VERDICT_RETRY || out->verdict == VERDICT_UNCERTAIN) &&
		out->delay > 0 && out->scope == SCOPE_MESSAGE && o->later_n < LATER_MOST) {
		n->attempts++;
		n->again = loop_now(pub->loop) + out->delay;
		put_later(o, n); /* still among `telling`: its next ones wait with it */
		pump(o);
		return;
	}
	if (n->msg)
		map_del_u64(&o->telling, n->msg);
	if (out->verdict == VERDICT_RETRY || out->verdict == VERDICT_UNCERTAIN) {
		n->attempts++;
		put_back(o, n);
		if (out->delay > 0)
			timer_in(pub->loop, &o->pause, out->delay);
		pump(o);
		return;
	}
	if (out->verdict == VERDICT_FAILED)
		log_warn("not told", F_ID("msg", n->msg), F_STR("account", a->full_name),
			F_STR("reason", reason_word(out->reason)), F_STR("words", out->words));
	else
		stat_inc(&a->notes_sent);
	op = store_op_new(OP_NOTED, NULL, NULL);
	op->noted.outlet = n->outlet;
	op->noted.seq = n->seq;
	store_do(gateway_store(a->gw), op);
	note_free(&n);
	pump(o);
}

void note_over(struct flow_account *a, struct note *n)
{
	struct outlet *o = a->outlet;

	CHECK(o->lent > 0);
	o->lent--;
	if (n->msg)
		map_del_u64(&o->telling, n->msg);
	stat_inc(&a->notes_sent);
	note_free(&n);
	pump(o);
}
