/* What becomes of a delivery: submitted, answered, recorded; retried, moved, ended. The channel's
 * loop. The protocol reported; here it is decided.
 *
 * Credit (in_flight) is taken when parts are lent and comes back when the record of their sending
 * is on disk, or at once when the far side did not take them: that bounds what a crash can
 * repeat to connections × window.
 */
#include "gateway/base/log.h"
#include "gateway/flow/flow.h"

#define HELD_DUE (INT64_MAX / 2) /* the place of what waits for the operator: never due */

/* An operation and what to do when it is on disk. */
struct deliver_op {
	struct store_op op; /* first */
	struct flow_channel *c;
	struct message *msg; /* RETRY: goes on to the queue */
	struct flow_channel *to;
	wall_t due;      /* RETRY: as asked for, 0: now */
	unsigned credit; /* parts to give back */
	uint32_t slot;
	bool resumes;                    /* some of its parts have been sent */
	const struct protocol *protocol; /* that waits for the answer to a receipt */
	void *token;                     /* receipts */
	void (*found)(struct channel *, const struct receipt_in *, unsigned, const char *);
	struct receipt_in *in;
};

static struct deliver_op *op_new(struct flow_channel *c, enum op_kind kind, struct loop *loop,
	void (*done)(struct store_op *))
{
	struct deliver_op *o = mem_new(struct deliver_op);

	o->op.kind = kind;
	o->op.loop = loop;
	o->op.done = done;
	o->c = c;
	return o;
}

struct flight *flight_new(struct flow_channel *c, struct message *m, const struct place *p,
	unsigned attempt, uint8_t parts)
{
	struct flight *f = mem_new(struct flight);

	f->d.msg = m;
	f->d.channel = &c->pub;
	f->d.parts = parts ? parts : 1;
	f->d.repeated = gateway_was_in_flight(c->gw, m->id);
	f->place = *p;
	f->attempts = attempt;
	return f;
}

void flight_free(struct flight **fp)
{
	struct flight *f = *fp;

	message_unref(&f->d.msg);
	mem_free(fp);
}

static void credit_back(struct flow_channel *c, unsigned parts)
{
	CHECK(c->in_flight >= parts);
	c->in_flight -= parts;
	stat_set(&c->stats.in_flight, c->in_flight);
	channel_pump(c);
}

/* ---- sending ---- */
static void hand_over(struct flow_channel *c, struct flight *f)
{
	f->state = FLIGHT_OUT;
	f->out_at = loop_now(c->pub.loop);
	f->d.attempt = f->attempts + 1;
	f->reported = 0;
	c->outstanding++;
	c->pub.protocol->submit(&c->pub, &f->d);
}

static bool holds_uncertain(const struct flow_channel *c)
{
	int how = c->pub.conf->on_uncertain;

	return how == UNCERTAIN_HOLD ||
	       (how == UNCERTAIN_DEFAULT && c->pub.protocol->holds_uncertain);
}

static void hold_for_operator(struct flow_channel *c, struct flight *f, const struct outcome *o);
enum telling { TELL, QUIET, HELD }; /* a line of history: of a retry, none, of being held */
static void requeue(struct flow_channel *c, struct flight *f, struct flow_channel *to, wall_t due,
	enum telling how, const struct outcome *out);

static void unmark(struct flow_channel *c, struct flight *f)
{
	struct store_op *op = store_op_new(OP_MARK, NULL, NULL);

	f->marked = false;
	op->mark.id = f->d.msg->id;
	op->mark.place = f->place;
	op->mark.attempt = f->attempts;
	op->mark.undo = true;
	store_do(gateway_store(c->gw), op);
}

/* What is certain not to have been sent goes back to its place in memory; of a channel that closes,
 * to the disk alone. Either way without a mark that would say otherwise after a kill. */
static void not_sent(struct flow_channel *c, struct flight *f)
{
	struct outcome o = outcome_of(REASON_STOPPING);

	inflight_drop(gateway_inflight(c->gw), f->slot);
	f->slot = 0;
	if (!c->closing && c->opened) {
		if (f->marked)
			unmark(c, f);
		queue_put_back(c, f);
	} else if (f->marked) {
		requeue(c, f, c, 0, QUIET, &o);
	} else {
		flight_free(&f);
	}
}

static void mark_done(struct store_op *op)
{
	struct deliver_op *o = (struct deliver_op *)op;
	struct flight *f = o->token;
	struct flow_channel *c = o->c;

	mem_free(&o);
	f->marked = true;
	if (c->window == 0 || c->closing || !c->opened) { /* went down meanwhile */
		credit_back(c, f->cost);
		not_sent(c, f);
		return;
	}
	hand_over(c, f);
}

/* Its history says so once in each run. */
static void warn_of_repeat(struct flow_channel *c, struct flight *f)
{
	struct store_op *ev = store_op_new(OP_EVENT, NULL, NULL);

	f->warned = true;
	ev->event.id = f->d.msg->id;
	ev->event.channel = c->pub.number;
	ev->event.reason = REASON_CRASH;
	str_copy(ev->event.what, sizeof ev->event.what, STR("may_repeat"));
	store_do(gateway_store(c->gw), ev);
	stat_inc(&c->stats.uncertain);
	log_warn("may repeat", F_ID("msg", f->d.msg->id), F_STR("channel", c->pub.name),
		F_STR("why", "in flight when the gateway last ended"));
}

static void mark(struct flow_channel *c, struct flight *f)
{
	struct deliver_op *o = op_new(c, OP_MARK, c->pub.loop, mark_done);

	f->state = FLIGHT_MARKING;
	o->token = f;
	o->op.mark.id = f->d.msg->id;
	o->op.mark.place = f->place;
	o->op.mark.attempt = f->attempts + 1;
	store_do(gateway_store(c->gw), &o->op);
}

/* Its turn has come only after its window was over: it waits for the next one. */
static bool gate_is_shut(struct flow_channel *c, struct flight *f)
{
	struct outcome o;
	wall_t due = gateway_gate(c->gw, f->d.msg, gateway_due_now(c->gw), &o);

	if (!due)
		return false;
	if (f->d.msg->expires && due >= f->d.msg->expires)
		flight_final(c, f, STATE_EXPIRED, &o);
	else
		requeue(c, f, c, due, HELD, &o);
	return true;
}

void flight_submit(struct flow_channel *c, struct flight *f)
{
	bool holds = holds_uncertain(c);

	queue_take(c, f);
	if (f->d.msg->expires && clock_wall() >= f->d.msg->expires) {
		struct outcome o = outcome_of(REASON_EXPIRED);

		flight_final(c, f, STATE_EXPIRED, &o);
		return;
	}
	if (f->crashed && holds) {
		struct outcome o = outcome_of(REASON_CRASH);

		hold_for_operator(c, f, &o);
		return;
	}
	if (gate_is_shut(c, f))
		return;
	f->cost = 0;
	for (unsigned i = 0; i < f->d.parts; i++)
		f->cost += !delivery_part_sent(&f->d, i);
	c->in_flight += f->cost;
	stat_set(&c->stats.in_flight, c->in_flight);
	pace_take(&c->pace, f->cost, loop_now(c->pub.loop));
	f->slot = inflight_add(gateway_inflight(c->gw), f->d.msg->id);
	if (f->d.repeated && !f->warned)
		warn_of_repeat(c, f);
	if (holds && !f->marked)
		mark(c, f);
	else
		hand_over(c, f);
}

/* ---- recording ---- */
static void sent_done(struct store_op *op)
{
	struct deliver_op *o = (struct deliver_op *)op;
	struct flow_channel *c = o->c;

	inflight_drop(gateway_inflight(c->gw), o->slot);
	if (o->credit)
		credit_back(c, o->credit);
	if (op->sent.early) {
		stat_add(&c->stats.receipts, op->sent.early);
		if (op->sent.now == STATE_DELIVERED)
			stat_inc(&c->stats.delivered);
	}
	mem_free(&o);
}

/* Its submitter wants to hear that it was handed on, and to whom; nothing else keeps that. */
static void keep_answer(struct flow_channel *c, const struct flight *f, const struct outcome *out)
{
	struct store_op *ev;

	if (f->d.msg->media != MEDIA_EMAIL || !(f->d.msg->wants & WANT_DELIVERED) ||
		!(f->d.msg->flags & MSG_OCTETS) || !out->final_word || out->told || !out->words[0])
		return;
	ev = store_op_new(OP_EVENT, NULL, NULL);
	ev->event.id = f->d.msg->id;
	ev->event.channel = c->pub.number;
	str_copy(ev->event.what, sizeof ev->event.what, STR("answer"));
	memcpy(ev->event.words, out->words, sizeof out->words);
	store_do(gateway_store(c->gw), ev);
}

static void record_sent(
	struct flow_channel *c, struct flight *f, unsigned part, const struct outcome *out)
{
	struct deliver_op *o = op_new(c, OP_SENT, c->pub.loop, sent_done);
	bool all = true;

	f->d.parts_sent[part / 8] |= (uint8_t)(1u << part % 8);
	for (unsigned i = 0; i < f->d.parts && all; i++)
		all = delivery_part_sent(&f->d, i);
	o->credit = 1;
	f->reported++;
	if (all) {
		o->slot = f->slot;
		f->slot = 0;
	}
	keep_answer(c, f, out);
	o->op.sent.id = f->d.msg->id;
	o->op.sent.msg = message_ref(f->d.msg);
	o->op.sent.place = f->place;
	o->op.sent.channel = c->number;
	o->op.sent.part = (uint8_t)part;
	o->op.sent.parts = f->d.parts;
	o->op.sent.all = all;
	o->op.sent.awaits = !out->final_word;
	o->op.sent.told = out->told;
	o->op.sent.repeated = f->d.repeated;
	o->op.sent.attempt = f->d.attempt;
	o->op.sent.at = clock_wall();
	o->op.sent.concat_ref = f->d.concat_ref;
	memcpy(o->op.sent.far_id, out->far_id, sizeof out->far_id);
	memcpy(o->op.sent.key, out->key[0] ? out->key : out->far_id, sizeof out->key);
	store_do(gateway_store(c->gw), &o->op);
	stat_inc(&c->stats.sent);
	stat_observe(&c->stats.took, loop_now(c->pub.loop) - f->out_at);
	log_debug("sent", F_ID("msg", f->d.msg->id), F_STR("channel", c->pub.name),
		F_U64("part", part + 1), F_U64("attempt", f->d.attempt),
		F_STR("remote", out->far_id), F_DUR("took", loop_now(c->pub.loop) - f->out_at));
}

void delivery_cut(struct delivery *d, unsigned parts)
{
	struct flight *f = flight_of(d);
	struct flow_channel *c = flow_channel(d->channel);

	CHECK(f->state == FLIGHT_OUT && f->reported == 0 && f->cost == d->parts);
	CHECK(parts > 0 && parts < 256);
	c->in_flight += parts;
	c->in_flight -= f->cost;
	f->cost = parts;
	d->parts = (uint8_t)parts;
	stat_set(&c->stats.in_flight, c->in_flight);
}

void delivery_part(struct delivery *d, unsigned part, const struct outcome *o)
{
	struct flight *f = flight_of(d);

	CHECK(f->state == FLIGHT_OUT && part < d->parts && d->parts > 1);
	if (o->verdict == VERDICT_SENT && !delivery_part_sent(d, part))
		record_sent(flow_channel(d->channel), f, part, o);
}

/* ---- endings ---- */
static void final_done(struct store_op *op)
{
	struct deliver_op *o = (struct deliver_op *)op;

	inflight_drop(gateway_inflight(o->c->gw), o->slot);
	if (o->credit)
		credit_back(o->c, o->credit);
	mem_free(&op->final.tap);
	mem_free(&o);
}

void flight_final(
	struct flow_channel *c, struct flight *f, enum state st, const struct outcome *out)
{
	struct deliver_op *o = op_new(c, OP_FINAL, c->pub.loop, final_done);

	o->slot = f->slot;
	o->credit = f->credit;
	o->op.final.id = f->d.msg->id;
	o->op.final.place = f->place;
	o->op.final.state = st;
	o->op.final.reason = out->reason;
	o->op.final.attempt = f->d.attempt > f->attempts ? f->d.attempt : f->attempts;
	memcpy(o->op.final.words, out->words, sizeof out->words);
	memcpy(o->op.final.err, out->err, sizeof out->err);
	o->op.final.tap = outcome_tap(c->gw, f->d.msg->id, out);
	store_do(gateway_store(c->gw), &o->op);
	stat_inc(st == STATE_EXPIRED ? &c->stats.expired : &c->stats.failed);
	log_info(state_word(st), F_ID("msg", f->d.msg->id), F_STR("channel", c->pub.name),
		F_STR("reason", reason_word(out->reason)), F_STR("words", out->words),
		F_U64("attempt", f->d.attempt));
	flight_free(&f);
}

static void retry_done(struct store_op *op)
{
	struct deliver_op *o = (struct deliver_op *)op;
	const struct place *to = &op->retry.to;

	/* On the loop of the channel that it goes to. Ended meanwhile: nothing waits. */
	if (op->retry.applied && to->due != HELD_DUE)
		queue_offer(o->to, message_ref(o->msg), to, op->retry.attempt, op->retry.parts,
			o->due && to->due == o->due ? OFFER_LATER
			: o->resumes                ? OFFER_DISK
						    : OFFER_NOW);
	message_unref(&o->msg);
	inflight_drop(gateway_inflight(o->c->gw), o->slot);
	if (o->credit)
		credit_back(o->c, o->credit); /* only where it stays with its channel */
	mem_free(&o);
}

static bool some_parts_sent(const struct flight *f)
{
	for (unsigned i = 0; i < f->d.parts; i++)
		if (delivery_part_sent(&f->d, i))
			return true;
	return false;
}

/* Back to a queue on disk, and from there (or at once) to memory. The flight ends. */
static void requeue(struct flow_channel *c, struct flight *f, struct flow_channel *to, wall_t due,
	enum telling how, const struct outcome *out)
{
	struct deliver_op *o = op_new(c, OP_RETRY, to->pub.loop, retry_done);

	o->to = to;
	o->due = due;
	o->slot = f->slot;
	o->credit = f->credit;
	o->resumes = some_parts_sent(f);
	o->msg = message_ref(f->d.msg);
	o->op.retry.id = f->d.msg->id;
	o->op.retry.from = f->place;
	o->op.retry.to = (struct place){ to->pub.number, f->place.priority, due };
	o->op.retry.attempt = f->attempts;
	o->op.retry.parts = f->d.parts;
	o->op.retry.quiet = how == QUIET;
	o->op.retry.held = how == HELD;
	o->op.retry.late = channel_late(c);
	o->op.retry.reason = out->reason;
	memcpy(o->op.retry.words, out->words, sizeof out->words);
	store_do(gateway_store(c->gw), &o->op);
	flight_free(&f);
}

static void hold_for_operator(struct flow_channel *c, struct flight *f, const struct outcome *o)
{
	log_warn("held", F_ID("msg", f->d.msg->id), F_STR("channel", c->pub.name),
		F_STR("why", reason_text(o->reason)), F_STR("do", "posternctl requeue or cancel"));
	requeue(c, f, c, HELD_DUE, TELL, o);
}

/* The next channel of its route that can take it whole; *parts_r: what it makes of it there. A
 * message whose first parts went this way goes on this way. */
static struct flow_channel *next_channel(
	struct flow_channel *c, const struct flight *f, bool anywhere, unsigned *parts_r)
{
	struct outcome why;
	const struct way *w;
	char name[96];

	if (some_parts_sent(f))
		return NULL;
	w = plan_next(gateway_plan(c->gw), f->d.msg,
		submitter_name(c->gw, f->d.msg, name, sizeof name), c, anywhere);
	*parts_r = w ? way_parts(w, f->d.msg, &why) : 0;
	return *parts_r ? w->c : NULL;
}

static void fail_over(struct flow_channel *c, struct flight *f, struct flow_channel *to,
	unsigned parts, const struct outcome *o)
{
	stat_inc(&c->stats.failed_over);
	log_info("failover", F_ID("msg", f->d.msg->id), F_STR("from", c->pub.name),
		F_STR("to", to->pub.name), F_STR("reason", reason_word(o->reason)),
		F_STR("words", o->words));
	f->d.parts = (uint8_t)parts;
	requeue(c, f, to, 0, TELL, o);
}

/* Nothing was tried: it waits on disk, with neither an attempt nor a line of history. */
static void put_off(struct flow_channel *c, struct flight *f, const struct outcome *o)
{
	dur_t wait = o->delay > 0 ? o->delay : DUR_S;

	requeue(c, f, c, gateway_due_now(c->gw) + wait, QUIET, o);
}

static void retry_later(struct flow_channel *c, struct flight *f, const struct outcome *o)
{
	const struct channel_conf *conf = c->pub.conf;
	struct flow_channel *next;
	unsigned parts;
	dur_t wait;

	f->attempts++;
	stat_inc(&c->stats.retried);
	if (conf->attempts && f->attempts >= (unsigned)conf->attempts) {
		struct outcome end = *o;

		end.reason = REASON_ATTEMPTS;
		flight_final(c, f, STATE_UNDELIVERABLE, &end);
		return;
	}
	if (f->attempts % (unsigned)conf->attempts_here == 0 &&
		(next = next_channel(c, f, false, &parts)) != NULL) {
		fail_over(c, f, next, parts, o);
		return;
	}
	wait = backoff_of(conf->retry_first, conf->retry_most, conf->retry_factor, f->attempts);
	if (o->delay > wait)
		wait = o->delay;
	log_info("retry", F_ID("msg", f->d.msg->id), F_STR("channel", c->pub.name),
		F_U64("attempt", f->attempts), F_STR("reason", reason_word(o->reason)),
		F_STR("words", o->words), F_DUR("in", wait));
	requeue(c, f, c, gateway_due_now(c->gw) + wait, TELL, o);
}

/* The far side may or may not have it. */
static void uncertain(struct flow_channel *c, struct flight *f, const struct outcome *o)
{
	const struct channel_conf *conf = c->pub.conf;
	wall_t due = 0;

	stat_inc(&c->stats.uncertain);
	f->attempts++;
	if (holds_uncertain(c)) {
		hold_for_operator(c, f, o);
		return;
	}
	log_warn("uncertain", F_ID("msg", f->d.msg->id), F_STR("channel", c->pub.name),
		F_STR("reason", reason_word(o->reason)), F_STR("then", "sent again"));
	if (conf->attempts && f->attempts >= (unsigned)conf->attempts) {
		flight_final(c, f, STATE_UNKNOWN, o);
		return;
	}
	/* A far side that takes and never answers gets it again at once, and then ever less often.
	 */
	if (o->reason == REASON_TIMEOUT && f->attempts > 1)
		due = clock_wall() + backoff_of(conf->retry_first, conf->retry_most,
					     conf->retry_factor, f->attempts);
	requeue(c, f, c, due, TELL, o);
}

static void breaker_trip(struct flow_channel *c, const struct outcome *o)
{
	dur_t wait;

	if (c->breaker == BREAKER_OPEN) /* what was under way when it tripped says nothing new */
		return;
	wait = backoff_next(&c->breaker_wait);
	if (o->delay > wait)
		wait = o->delay;
	c->breaker = BREAKER_OPEN;
	c->breaker_until = loop_now(c->pub.loop) + wait;
	snprintf(c->why, sizeof c->why, "%s%s%.100s", reason_text(o->reason),
		o->words[0] ? ": " : "", o->words);
	channel_judge(c);
	log_warn("channel stopped", F_STR("channel", c->pub.name), F_STR("why", c->why),
		F_DUR("again_in", wait));
}

static void breaker_passed(struct flow_channel *c)
{
	if (c->breaker == BREAKER_CLOSED)
		return;
	c->breaker = BREAKER_CLOSED;
	backoff_reset(&c->breaker_wait);
	c->why[0] = '\0';
	channel_judge(c);
	log_info("channel works again", F_STR("channel", c->pub.name));
}

static void not_now(struct flow_channel *c, struct flight *f, const struct outcome *o)
{
	if (o->reason == REASON_THROTTLED) {
		stat_inc(&c->stats.throttled);
		pace_throttled(&c->pace, o->delay, loop_now(c->pub.loop));
	} else if (o->reason != REASON_DOWN && o->reason != REASON_STOPPING) {
		breaker_trip(c, o);
	}
	not_sent(c, f);
}

void delivery_done(struct delivery *d, const struct outcome *o)
{
	struct flight *f = flight_of(d);
	struct flow_channel *c = flow_channel(d->channel);
	struct flow_channel *next;
	unsigned unsent, parts;

	CHECK(f->state == FLIGHT_OUT && c->outstanding > 0);
	f->state = FLIGHT_RECORDING;
	c->outstanding--;
	if (o->verdict == VERDICT_SENT && d->parts == 1)
		record_sent(c, f, 0, o);
	unsent = f->cost - f->reported;
	if (o->verdict == VERDICT_SENT && unsent == 0) {
		breaker_passed(c);
		flight_free(&f);
		return;
	}
	/* What the far side did not take for certain is not at risk of repetition. */
	if (o->verdict == VERDICT_UNCERTAIN)
		f->credit = unsent;
	else
		c->in_flight -= unsent;
	stat_set(&c->stats.in_flight, c->in_flight);
	if (o->verdict == VERDICT_RETRY && (o->scope == SCOPE_CHANNEL || o->untried)) {
		if (o->scope == SCOPE_CHANNEL)
			not_now(c, f, o);
		else
			put_off(c, f, o);
		channel_pump(c);
		return;
	}
	if (o->verdict != VERDICT_UNCERTAIN)
		breaker_passed(c);
	switch (o->verdict) {
	case VERDICT_UNCERTAIN:
		uncertain(c, f, o);
		break;
	case VERDICT_FAILED:
		if (o->reason != REASON_FAR_DESTINATION &&
			(next = next_channel(c, f, false, &parts)) != NULL) {
			f->attempts++;
			fail_over(c, f, next, parts, o);
		} else {
			flight_final(c, f, STATE_REJECTED, o);
		}
		break;
	default:
		retry_later(c, f, o);
	}
	channel_pump(c);
}

void delivery_late(struct channel *pub, uint64_t msg, unsigned part, const struct outcome *out)
{
	struct flow_channel *c = flow_channel(pub);
	struct store_op *op;

	if (out->verdict != VERDICT_SENT || out->final_word)
		return;
	op = &op_new(c, OP_SENT, c->pub.loop, sent_done)->op;
	op->sent.id = msg;
	op->sent.channel = c->number;
	op->sent.part = (uint8_t)part;
	op->sent.parts = 0; /* not known here; the store has it */
	op->sent.awaits = true;
	op->sent.repeated = true;
	op->sent.at = clock_wall();
	memcpy(op->sent.far_id, out->far_id, sizeof out->far_id);
	memcpy(op->sent.key, out->key[0] ? out->key : out->far_id, sizeof out->key);
	store_do(gateway_store(c->gw), op);
	log_warn("late answer", F_ID("msg", msg), F_STR("channel", c->pub.name),
		F_STR("remote", out->far_id));
}

unsigned channel_evacuate(struct flow_channel *c, unsigned most)
{
	struct outcome o = outcome_of(REASON_DOWN);
	unsigned moved = 0, parts;

	for (int i = 0; i < PRIORITY_COUNT; i++) {
		list_each_safe (it, &c->lane[i].waiting) {
			struct flight *f = CONTAINER(it, struct flight, link);
			struct flow_channel *next;

			if (moved == most)
				return moved;
			next = next_channel(c, f, true, &parts);
			if (!next)
				continue;
			queue_remove(c, f);
			fail_over(c, f, next, parts, &o);
			moved++;
		}
	}
	return moved;
}

/* ---- receipts and subscribers' messages ---- */
/* To the protocol that brought it; after a reload the channel may speak another one. */
static void answer_receipt(const struct deliver_op *o)
{
	const struct protocol *p = o->c->pub.protocol;

	if (o->token && p == o->protocol && p->receipt_answer)
		p->receipt_answer(&o->c->pub, o->token, true);
}

static void receipt_done(struct store_op *op)
{
	struct deliver_op *o = (struct deliver_op *)op;
	struct flow_channel *c = o->c;

	if (op->receipt.matched) {
		stat_inc(op->receipt.applied ? &c->stats.receipts : &c->stats.receipts_again);
		if (op->receipt.applied && op->receipt.now == STATE_DELIVERED)
			stat_inc(&c->stats.delivered);
		if (op->receipt.applied && op->receipt.sent_at)
			stat_observe(&c->stats.receipt_took, clock_wall() - op->receipt.sent_at);
		log_debug("receipt", F_ID("msg", op->receipt.id), F_STR("channel", c->pub.name),
			F_STR("state", state_word(op->receipt.now)),
			F_STR("err", op->receipt.in.err));
	} else {
		stat_inc(&c->stats.receipts_unknown);
		log_debug("receipt unknown", F_STR("channel", c->pub.name),
			F_STR("remote", op->receipt.in.raw_id), F_U64("kept", op->receipt.parked));
	}
	if (o->found && o->protocol == c->pub.protocol)
		o->found(&c->pub, o->in, op->receipt.hits, op->receipt.awaited);
	answer_receipt(o);
	mem_free(&o->in);
	mem_free(&o);
}

void receipt_arrived(struct channel *pub, const struct receipt_in *r, void *token)
{
	struct flow_channel *c = flow_channel(pub);
	struct deliver_op *o = op_new(c, OP_RECEIPT, c->pub.loop, receipt_done);
	struct op_receipt_in *in = &o->op.receipt.in;

	o->token = token;
	o->protocol = pub->protocol;
	if (r->found) {
		o->found = r->found;
		o->in = mem_new(struct receipt_in);
		*o->in = *r;
	}
	in->channel = c->number;
	in->keys = r->keys < OP_KEYS ? r->keys : OP_KEYS;
	memcpy(in->key, r->key, sizeof in->key);
	memcpy(in->raw_id, r->raw_id, sizeof in->raw_id);
	memcpy(in->to, r->to, sizeof in->to);
	memcpy(in->err, r->err, sizeof in->err);
	in->state = r->state;
	in->reason = r->reason;
	in->at = r->at;
	store_do(gateway_store(c->gw), &o->op);
}

static void mo_done(struct store_op *op)
{
	struct deliver_op *o = (struct deliver_op *)op;
	struct flow_channel *c = o->c;

	if (op->mo.complete)
		stat_inc(&c->stats.mo);
	answer_receipt(o);
	message_unref(&o->msg);
	mem_free(&op->mo.tap);
	mem_free(&o);
}

/* Longest prefix of the called number among mo_routes, else mo_to. */
static uint32_t mo_outlet(const struct flow_channel *c, struct str to)
{
	const struct channel_conf *conf = c->pub.conf;
	uint32_t best = c->mo_outlet;
	size_t len = 0;

	for (size_t i = 0; i < conf->mo_routes_n; i++) {
		struct str key = str_of(conf->mo_routes[i].to);

		if (str_starts(to, key) && key.n >= len) {
			best = c->mo_outlets[i];
			len = key.n;
		}
	}
	return best;
}

void subscriber_message(
	struct channel *pub, struct message *m, const struct mo_part *part, void *token)
{
	struct flow_channel *c = flow_channel(pub);
	struct deliver_op *o = op_new(c, OP_MO, c->pub.loop, mo_done);
	struct flow_plugin *p = gateway_mo_plugin(c->gw);

	if (p)
		o->op.mo.tap = host_tap(p, c->pub.name);
	o->token = token;
	o->protocol = pub->protocol;
	o->msg = m;
	o->op.mo.msg = m;
	o->op.mo.outlet = mo_outlet(c, message_get(m, FIELD_TO));
	if (part && part->key[0]) {
		memcpy(o->op.mo.key, part->key, sizeof o->op.mo.key);
		o->op.mo.part = part->part;
		o->op.mo.parts = part->parts;
		o->op.mo.join = part->join;
	}
	if (!o->op.mo.outlet && !p)
		log_warn("nobody for a subscriber's message", F_STR("channel", c->pub.name),
			F_SLICE("to", message_get(m, FIELD_TO)),
			F_STR("do", "set mo_to or mo_routes"));
	store_do(gateway_store(c->gw), &o->op);
}
