/* What no channel of these settings looks after: messages that wait for a channel which is not
 * configured, or whose receipt it would have brought. They, too, must come to an end: queued ones
 * when their validity is over, sent ones when no receipt has come for the usual time. Every few
 * seconds the next such number of the store is swept, a slice at a time. The first loop.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/flow/gateway_private.h"

enum { STRAYS_MOST = 1000, ROUND_EVERY_S = 10 };
#define RECEIPT_WAIT (72 * DUR_HOUR) /* the default of receipt_wait */

struct strays {
	struct gateway *g;
	struct store_load load;
	uint32_t at; /* number being swept, 0: none */
	bool busy;
	int pause; /* seconds to the next round */
};

struct strays *strays_new(struct gateway *g)
{
	struct strays *s = mem_new(struct strays);

	s->g = g;
	return s;
}

void strays_free(struct strays **sp)
{
	mem_free(sp);
}

static void end_one(struct strays *s, const struct load_id *id)
{
	struct store_op *op = store_op_new(OP_FINAL, NULL, NULL);
	bool queued = s->load.kind == LOAD_EXPIRED;

	op->final.id = id->id;
	op->final.place = id->place;
	op->final.state = queued ? STATE_EXPIRED : STATE_UNKNOWN;
	op->final.reason = queued ? REASON_EXPIRED : REASON_NO_RECEIPT;
	op->final.only_if_queued = queued;
	op->final.only_if_sent = !queued;
	store_do(s->g->store, op);
}

/* Looked after by a channel, as its own number or as that of its group. */
static bool is_tended(struct gateway *g, uint32_t number)
{
	for (unsigned i = 1; i <= atomic_load(&g->names_top); i++) {
		struct flow_channel *c = atomic_load(&g->channel[i]);

		if (c && (i == number || atomic_load(&c->number) == number) &&
			(!atomic_load(&c->retired) || atomic_load(&c->opened)))
			return true;
	}
	return false;
}

static void slice_done(struct store_load *l)
{
	struct strays *s = CONTAINER(l, struct strays, load);
	bool still = !is_tended(s->g, s->at); /* a reload may have brought it back */

	s->busy = false;
	for (unsigned i = 0; i < l->n && still && !gateway_stopping(s->g); i++)
		end_one(s, &l->ids[i]);
	store_load_free(l);
	if (!l->end && still)
		return;
	if (l->kind == LOAD_OVERDUE || !still)
		s->at++;
	*l = (struct store_load){
		.kind = l->kind == LOAD_EXPIRED && still ? LOAD_OVERDUE : LOAD_EXPIRED,
	};
}

void strays_tick(struct strays *s)
{
	struct store_load *l = &s->load;
	wall_t now = clock_wall();

	if (s->busy || gateway_stopping(s->g) || (!s->at && s->pause-- > 0))
		return;
	if (!s->at) {
		s->at = 1;
		*l = (struct store_load){ .kind = LOAD_EXPIRED };
	}
	while (store_name(s->g->store, STORE_CHANNEL, s->at)[0] && is_tended(s->g, s->at))
		s->at++;
	if (!store_name(s->g->store, STORE_CHANNEL, s->at)[0]) {
		s->at = 0;
		s->pause = ROUND_EVERY_S;
		return;
	}
	l->loop = s->g->loops[0];
	l->done = slice_done;
	l->channel = s->at;
	l->most = STRAYS_MOST;
	l->until = l->kind == LOAD_EXPIRED ? now : now - RECEIPT_WAIT;
	s->busy = true;
	store_load(s->g->store, l);
}
