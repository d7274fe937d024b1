/* Evidence: what comes about a message by another way than its channel's receipts, found by the
 * message's own id; and the plugin that hears of dead addresses, complaints and unsubscribing, in
 * the transaction that keeps them. Any thread; answers on the loop that was named.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/flow/gateway_private.h"

#include <stdio.h>

/* ---- what a plugin hears ---- */
struct feedback_tap {
	struct plugin_call call; /* first */
	struct evidence v;
};

static int tap_run(struct plugin_call *c)
{
	struct feedback_tap *t = (struct feedback_tap *)c;
	const struct message *m = c->op.call.msg;
	struct gateway *g = flow_plugin(c->host)->gw;
	struct plugin_feedback f = { .v = &t->v, .m = m, .media = MEDIA_EMAIL, .submitter = "" };
	char submitter[96];

	f.address = str_of(t->v.to);
	if (m) {
		struct str behalf = message_get(m, FIELD_ON_BEHALF);

		f.media = (enum media)m->media;
		if (message_has(m, FIELD_TO)) /* else it was erased */
			f.address = message_get(m, FIELD_TO);
		str_copy(submitter, sizeof submitter,
			behalf.n ? behalf
				 : str_of(store_name(
					   gateway_store(g), STORE_SUBMITTER, m->submitter)));
		f.submitter = submitter;
	}
	return f.address.n ? c->host->plugin->feedback(c, &f) : 0;
}

/* NULL: no plugin wants to know. */
static struct store_op *feedback_tap(struct gateway *g, const struct evidence *v)
{
	struct feedback_tap *t;

	if (v->kind == EVIDENCE_STATE && !v->dead)
		return NULL;
	for (size_t i = 0; i < g->plugins_n; i++) {
		if (!g->plugins[i]->pub.plugin->feedback)
			continue;
		t = mem_new(struct feedback_tap);
		t->v = *v;
		t->call.what = "feedback";
		t->call.run = tap_run;
		host_prepare(g->plugins[i], &t->call);
		return &t->call.op;
	}
	return NULL;
}

struct store_op *outcome_tap(struct gateway *g, uint64_t msg, const struct outcome *o)
{
	struct evidence v = { .kind = EVIDENCE_STATE,
		.msg = msg,
		.state = STATE_REJECTED,
		.reason = o->reason,
		.dead = true,
		.by = "answer" };

	if (!o->dead)
		return NULL;
	memcpy(v.err, o->err, sizeof v.err);
	memcpy(v.words, o->words, sizeof v.words);
	return feedback_tap(g, &v);
}

/* ---- figures ---- */
enum {
	EV_BOUNCE,
	EV_DELAYED,
	EV_RELAYED,
	EV_DELIVERED,
	EV_READ,
	EV_COMPLAINT,
	EV_UNSUBSCRIBE,
	EV_KINDS
};
static const char *const words[EV_KINDS] = { [EV_BOUNCE] = "bounce",
	[EV_DELAYED] = "delayed",
	[EV_RELAYED] = "relayed",
	[EV_DELIVERED] = "delivered",
	[EV_READ] = "read",
	[EV_COMPLAINT] = "complaint",
	[EV_UNSUBSCRIBE] = "unsubscribe" };
_Static_assert((int)EV_KINDS == (int)EVIDENCE_KINDS, "one figure for each");

static int kind_of(const struct evidence *v)
{
	if (v->kind == EVIDENCE_COMPLAINT)
		return EV_COMPLAINT;
	if (v->kind == EVIDENCE_UNSUBSCRIBE)
		return EV_UNSUBSCRIBE;
	switch (v->state) {
	case STATE_DELIVERED:
		return EV_DELIVERED;
	case STATE_READ:
		return EV_READ;
	case STATE_SENT:
		return v->reason == REASON_NONE ? EV_RELAYED : EV_DELAYED;
	default:
		return EV_BOUNCE;
	}
}

void evidence_stats(struct gateway *g, bool on)
{
	for (int i = 0; i < EV_KINDS; i++)
		if (on)
			stat_register(&g->evidence[i], STAT_COUNTER, "postern_evidence_total",
				"What came about messages besides receipts.", "kind", words[i],
				NULL);
		else
			stat_unregister(&g->evidence[i]);
	if (on)
		stat_register(&g->evidence_lost, STAT_COUNTER, "postern_evidence_unmatched_total",
			"Evidence about messages that are not, or no longer, known.", NULL);
	else
		stat_unregister(&g->evidence_lost);
}

/* ---- its way ---- */
struct arrival {
	struct store_op op; /* first */
	struct gateway *g;
	int kind;
	const char *by;
	void (*done)(void *ctx, bool stored, bool known);
	void *ctx;
};

static void arrival_done(struct store_op *op)
{
	struct arrival *a = (struct arrival *)op;
	bool stored = op->fault == STORE_OK;

	if (stored) {
		stat_inc(&a->g->evidence[a->kind]);
		if (!op->evidence.matched)
			stat_inc(&a->g->evidence_lost);
		log_info(words[a->kind], F_ID("msg", op->evidence.id), F_STR("by", a->by),
			F_STR("err", op->evidence.err), F_STR("words", op->evidence.words),
			F_BOOL("known", op->evidence.matched),
			F_STR("state", op->evidence.matched ? state_word(op->evidence.now) : ""));
	}
	if (a->done)
		a->done(a->ctx, stored, op->evidence.matched);
	mem_free(&op->evidence.tap);
	mem_free(&a);
}

/* "dsn: 550 no such user", cut where it must be. */
static void words_put(char out[OUTCOME_WORDS], const char *by, const char *more)
{
	size_t n = str_copy(out, OUTCOME_WORDS, str_of(by));

	if (n && n + 2 < OUTCOME_WORDS && more[0])
		n += str_copy(out + n, OUTCOME_WORDS - n, STR(": "));
	if (n < OUTCOME_WORDS)
		str_copy(out + n, OUTCOME_WORDS - n, str_of(more));
}

void gateway_evidence(struct gateway *g, const struct evidence *v, struct loop *loop,
	void (*done)(void *ctx, bool stored, bool known), void *ctx)
{
	struct arrival *a = mem_new(struct arrival);
	const char *more = v->kind == EVIDENCE_UNSUBSCRIBE ? v->row : v->words;

	a->g = g;
	a->kind = kind_of(v);
	a->by = v->by ? v->by : "";
	a->done = done;
	a->ctx = ctx;
	a->op.kind = OP_EVIDENCE;
	a->op.loop = loop;
	a->op.done = arrival_done;
	a->op.evidence.id = v->msg;
	a->op.evidence.state = v->kind == EVIDENCE_STATE ? v->state : STATE_QUEUED;
	a->op.evidence.reason = v->kind == EVIDENCE_STATE ? v->reason : REASON_NONE;
	a->op.evidence.at = v->at;
	str_copy(a->op.evidence.what, sizeof a->op.evidence.what, str_of(words[a->kind]));
	memcpy(a->op.evidence.err, v->err, sizeof a->op.evidence.err);
	words_put(a->op.evidence.words, a->by, more);
	a->op.evidence.tap = feedback_tap(g, v);
	store_do(gateway_store(g), &a->op);
}

/* ---- by a listener ---- */
struct owed {
	struct listener *l;
	void *token;
};

static void owed_done(void *ctx, bool stored, bool known)
{
	struct owed *o = ctx;

	if (o->l->protocol->evidence_answer)
		o->l->protocol->evidence_answer(o->l, o->token, stored);
	mem_free(&o);
}

void evidence_arrived(struct listener *l, const struct evidence *v, void *token)
{
	struct owed *o = mem_new(struct owed);

	o->l = l;
	o->token = token;
	gateway_evidence(((struct flow_listener *)l)->gw, v, l->loop, owed_done, o);
}

struct fetch {
	struct chore work; /* first */
	struct gateway *g;
	uint64_t id;
	struct message *m;
	char words[OUTCOME_WORDS];
	message_fetched_fn done;
	void *ctx;
};

/* What was said last of it: by a report that came ("5.1.1 dsn: 550 …", of which the far side's own
 * is left), or in answer to an attempt. */
static void last_words(const struct store_view *v, char out[OUTCOME_WORDS])
{
	for (unsigned i = v->history_n; i--;) {
		const struct store_history *h = &v->history[i];
		struct str s = str_of(h->words);

		if (!s.n || strcmp(h->what, "sent") == 0)
			continue;
		/* a state's word is none of these where the state has words of its own */
		for (int k = 0; k < EV_KINDS && s.n; k++) {
			ptrdiff_t at = str_find(s, STR(": "));

			if (strcmp(h->what, words[k]) == 0)
				s = at < 0 ? STR_NONE : str_skip(s, (size_t)at + 2);
		}
		str_copy(out, OUTCOME_WORDS, s);
		return;
	}
}

static void fetch_call(struct chore *w)
{
	struct fetch *f = (struct fetch *)w;
	struct store_view v;
	struct err e;

	if (store_find(gateway_store(f->g), f->id, true, &v, &e) != 1)
		return;
	f->m = v.msg ? message_ref(v.msg) : NULL;
	last_words(&v, f->words);
	store_view_free(&v);
}

static void fetch_done(struct chore *w)
{
	struct fetch *f = (struct fetch *)w;

	f->done(f->ctx, f->m, f->words);
	mem_free(&f);
}

void message_fetch(struct listener *l, uint64_t id, message_fetched_fn done, void *ctx)
{
	struct fetch *f = mem_new(struct fetch);

	f->g = ((struct flow_listener *)l)->gw;
	f->id = id;
	f->done = done;
	f->ctx = ctx;
	f->work.reply = l->loop;
	f->work.call = fetch_call;
	f->work.done = fetch_done;
	workers_do(&f->work);
}
