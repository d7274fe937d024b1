/* What plugins do on the store's writer: calls, and messages kept within them.
 *
 * A message is routed and cut here, on the writer, by the plan in force; its acceptance is part of
 * the call's transaction, and its offer to the queue follows the commit like every other's.
 */
#include "gateway/base/fault.h"
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/base/waiter.h"
#include "gateway/flow/flow.h"

#include <poll.h>
#include <stdio.h>

enum { STALL_MS = 5000 };

/* ---- messages ---- */
/* One that was kept, until its queue has heard of it. */
struct kept {
	struct store_op op; /* first */
	struct flow_channel *c;
};

static void kept_free(struct store_op *op)
{
	struct kept *k = (struct kept *)op;

	message_unref(&op->accept.msg);
	mem_free(&k);
}

/* The loop of its channel; the writer when it has none. */
static void kept_done(struct store_op *op)
{
	struct kept *k = (struct kept *)op;

	if (op->fault == STORE_OK && !op->accept.duplicate && !op->accept.conflict &&
		op->accept.state == STATE_QUEUED)
		admit_offer(k->c, op);
	kept_free(op);
}

static bool find_way(struct flow_plugin *p, struct message *m, struct kept *k, struct outcome *why)
{
	struct gateway *g = p->gw;
	unsigned entered = gateway_enter(g), parts = 0;
	enum priority prio = m->priority;
	const struct way *way = NULL;

	if (!message_has(m, FIELD_TO))
		*why = outcome_of(REASON_NO_CONTACT);
	else if (admit_times(gateway_settings(g), 0, m, why))
		way = plan_route(gateway_plan(g), m, p->account->full_name, &prio, why);
	if (way)
		parts = way_parts(way, m, why);
	if (parts) {
		m->priority = (uint8_t)prio;
		k->c = way->c;
		k->op.loop = way->c->pub.loop;
		k->op.accept.channel = way->c->pub.number;
		k->op.accept.parts = (uint8_t)parts;
	}
	gateway_leave(g, entered);
	return parts != 0;
}

static uint64_t host_send(struct plugin_call *c, struct message *m, enum state state,
	enum reason reason, const char *words, struct outcome *why)
{
	struct flow_plugin *p = flow_plugin(c->host);
	struct kept *k = mem_new(struct kept);

	*why = outcome_of(REASON_NONE);
	m->submitter = p->pub.submitter;
	k->op.kind = OP_ACCEPT;
	k->op.done = kept_done;
	k->op.accept.msg = m;
	k->op.accept.state = state;
	k->op.accept.reason = reason;
	str_copy(k->op.accept.words, sizeof k->op.accept.words, str_of(words));
	k->op.accept.unique = message_has(m, FIELD_CLIENT_ID);
	k->op.accept.drop = kept_free;
	if (state == STATE_QUEUED && !find_way(p, m, k, why)) {
		kept_free(&k->op);
		return 0;
	}
	if (store_call_accept(&c->op, &k->op) < 0) {
		*why = outcome_of(REASON_STORE);
		kept_free(&k->op);
		return 0;
	}
	if (k->op.accept.duplicate || k->op.accept.conflict)
		why->reason = REASON_DUPLICATE;
	else
		stat_inc(state == STATE_QUEUED ? &p->account->accepted : &p->suppressed);
	return k->op.accept.id;
}

int plugin_history(struct plugin_call *c, uint64_t msg, const char *what, enum reason reason,
	const char *words)
{
	return store_call_event(&c->op, msg, what, reason, words);
}

int plugin_has_left(struct plugin_call *c, uint64_t msg)
{
	enum state state;
	uint32_t channel;
	int rc = store_call_state(&c->op, msg, &state, &channel);

	if (rc < 1)
		return rc;
	/* a whole is "sent" while its attempts are made */
	return state != STATE_QUEUED && state != STATE_SENDING && state != STATE_CANCELLED &&
	       state != STATE_SUPPRESSED &&
	       (state != STATE_SENT ||
		       channel != gateway_fallback(flow_plugin(c->host)->gw)->pub.number);
}

int plugin_erase(struct plugin_call *c, uint64_t msg)
{
	struct gateway *g = flow_plugin(c->host)->gw;
	enum state state;
	uint32_t channel = 0;
	int rc = store_call_state(&c->op, msg, &state, &channel);

	if (rc < 0)
		return -1;
	return rc && channel == gateway_fallback(g)->pub.number
		       ? fallback_erase(g, &c->op, msg)
		       : store_call_erase(&c->op, msg, NULL);
}

/* ---- calls ---- */
/* FAULT=stall-WHAT:N */
static void stall(const struct plugin_call *c)
{
	char what[32];

	snprintf(what, sizeof what, "stall-%s", c->what ? c->what : "call");
	if (!fault_hit(what))
		return;
	log_warn("stalled by a test", F_STR("call", what));
	poll(NULL, 0, STALL_MS);
}

/* The writer. */
static int call_run(struct sql *db, struct store_op *op)
{
	struct plugin_call *c = (struct plugin_call *)op;
	struct flow_plugin *p = flow_plugin(c->host);
	mono_t start = clock_mono();
	int r;

	c->db = db;
	c->now = store_call_now(op);
	c->conf = p->group ? p->group->loaded : NULL;
	c->send = host_send;
	if (fault_on)
		stall(c);
	r = c->run(c);
	c->db = NULL;
	stat_inc(&p->calls);
	if (r < 0)
		stat_inc(&p->undone);
	stat_observe(&p->took, clock_mono() - start);
	return r;
}

static void call_done(struct store_op *op)
{
	struct plugin_call *c = (struct plugin_call *)op;

	c->fault = op->fault;
	c->result = op->call.result;
	if (c->done)
		c->done(c);
	else
		mem_free(&c);
}

void host_prepare(struct flow_plugin *p, struct plugin_call *c)
{
	c->host = &p->pub;
	c->op = (struct store_op){
		.kind = OP_CALL, .bulk = c->bulk, .loop = c->loop ? c->loop : p->pub.loop
	};
	c->op.done = call_done;
	c->op.call.run = call_run;
	c->op.call.refusable = c->refusable;
}

void plugin_call(struct plugin_host *h, struct plugin_call *c)
{
	struct store *st = gateway_store(flow_plugin(h)->gw);

	host_prepare(flow_plugin(h), c);
	if (st) /* else all has ended, and nobody waits any more */
		store_do(st, &c->op);
}

/* The waiter stands behind the pointer that run() does not use. */
static void waited(struct store_op *op)
{
	struct plugin_call *c = (struct plugin_call *)op;

	c->fault = op->fault;
	c->result = op->call.result;
	waiter_signal(op->call.arg);
}

int plugin_call_wait(struct plugin_host *h, struct plugin_call *c, struct err *e)
{
	struct waiter w;

	CHECK(!loop_self());
	waiter_init(&w);
	host_prepare(flow_plugin(h), c);
	c->op.loop = NULL;
	c->op.done = waited;
	c->op.call.arg = &w;
	store_do(gateway_store(flow_plugin(h)->gw), &c->op);
	waiter_wait(&w);
	if (c->fault != STORE_OK)
		return err_set(e, ERR_AGAIN,
			c->fault == STORE_FULL ? "the disk is full" : "the store does not work");
	return c->result < 0 ? err_set(e, ERR_ENV, "it was undone") : 0;
}

/* ---- subscribers' messages on their way ---- */
struct tap {
	struct plugin_call call; /* first */
	char channel[80];
};

static int tap_run(struct plugin_call *c)
{
	struct tap *t = (struct tap *)c;

	return c->host->plugin->mo(c, c->op.call.msg, t->channel);
}

struct store_op *host_tap(struct flow_plugin *p, const char *channel)
{
	struct tap *t = mem_new(struct tap);

	str_copy(t->channel, sizeof t->channel, str_of(channel));
	t->call.what = "mo";
	t->call.run = tap_run;
	host_prepare(p, &t->call);
	return &t->call.op;
}
