/* Questions and orders about messages that are already here: query, cancel, replace, requeue.
 *
 * They come seldom and touch the store and a channel's queue, which live on different threads, so
 * they run on a worker (or a control thread) that may wait for both. A message in memory is taken
 * out of its queue before its end is written; one on disk alone is named to its channel first, so
 * that a load under way does not bring it in meanwhile.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/base/waiter.h"
#include "gateway/flow/flow.h"

/* On the loop of o->c: what was taken out of memory, or barred, ends or comes back. */
static void order_over(struct letter *l)
{
	struct order *o = CONTAINER(l, struct order, letter);
	bool stays = o->deed == DEED_REPLACE && o->op.replace.applied;
	struct place *to = &o->op.replace.place;

	if (stays && o->due) { /* a row anew, at another place */
		if (o->flight)
			flight_free(&o->flight);
		if (o->barred)
			queue_unbar(o->c, o->barred, false);
		if (to->channel == o->c->pub.number)
			queue_offer(o->c, message_ref(o->msg), to, o->attempt, o->parts,
				to->due == o->due ? OFFER_LATER : OFFER_NOW);
		channel_pump(o->c);
		o->over(o);
		return;
	}
	if (o->flight && stays) {
		message_unref(&o->flight->d.msg);
		o->flight->d.msg = message_ref(o->msg);
		o->flight->d.parts = o->parts;
	} else if (o->barred && queue_unbar(o->c, o->barred, stays) && stays) {
		o->flight = flight_new(o->c, message_ref(o->msg), &o->place, o->attempt, o->parts);
	}
	if (o->flight && stays && o->c->opened && !o->c->closing)
		queue_put_back(o->c, o->flight);
	else if (o->flight)
		flight_free(&o->flight);
	channel_pump(o->c);
	o->over(o);
}

static void order_committed(struct store_op *op)
{
	struct order *o = (struct order *)op;

	switch (o->deed) {
	case DEED_CANCEL:
		if (!op->final.applied)
			o->reason = REASON_TOO_LATE;
		break;
	case DEED_REPLACE:
		if (!op->replace.applied)
			o->reason = op->replace.conflict ? REASON_DUPLICATE : REASON_TOO_LATE;
		break;
	case DEED_REQUEUE: /* on the loop of the channel that it goes to */
		if (!op->retry.applied)
			o->reason = REASON_TOO_LATE;
		else
			queue_offer(o->to, message_ref(o->msg), &op->retry.to, o->attempt, o->parts,
				o->resumes ? OFFER_DISK : OFFER_NOW);
		if (o->to->pub.loop != o->c->pub.loop) {
			o->letter.run = order_over;
			loop_post(o->c->pub.loop, &o->letter);
			return;
		}
		break;
	}
	order_over(&o->letter);
}

static void order_fill(struct order *o)
{
	struct store_op *op = &o->op;

	op->loop = o->c->pub.loop;
	op->done = order_committed;
	switch (o->deed) {
	case DEED_CANCEL:
		op->kind = OP_FINAL;
		op->final.id = o->id;
		op->final.place = o->place;
		op->final.state = o->state;
		op->final.reason = o->why;
		memcpy(op->final.words, o->words, sizeof o->words);
		op->final.only_if_queued = true;
		break;
	case DEED_REPLACE:
		op->kind = OP_REPLACE;
		op->replace.id = o->id;
		op->replace.msg = o->msg;
		op->replace.parts = o->parts;
		op->replace.due = o->due;
		op->replace.place = o->place;
		op->replace.named = o->named;
		break;
	case DEED_REQUEUE:
		op->kind = OP_RETRY;
		op->loop = o->to->pub.loop;
		op->retry.id = o->id;
		op->retry.from = o->place;
		op->retry.to = (struct place){ o->to->pub.number, o->place.priority, 0 };
		op->retry.attempt = o->attempt;
		op->retry.parts = o->parts;
		str_copy(op->retry.words, sizeof op->retry.words, STR("by the operator"));
		break;
	}
}

/* A message that is queued by the store's word but neither waits in memory nor lies beyond the
 * cursor on disk is in flight: nothing can be done any more. */
static void order_run(struct letter *l)
{
	struct order *o = CONTAINER(l, struct order, letter);
	struct flight *f = queue_find(o->c, o->id);
	bool own = o->place.channel == o->c->pub.number;

	if (f) {
		queue_remove(o->c, f);
		o->flight = f;
		o->place = f->place;
		o->attempt = f->attempts;
	} else if (own && queue_passed(o->c, &o->place, o->id)) {
		o->reason = REASON_TOO_LATE;
		o->over(o);
		return;
	} else if (own) {
		o->barred = queue_bar(o->c, &o->place, o->id);
	}
	order_fill(o);
	store_do(gateway_store(o->gw), &o->op);
}

enum reason order_give(struct order *o)
{
	if (store_health(gateway_store(o->gw)) != STORE_OK)
		return REASON_STORE;
	o->c = gateway_channel(o->gw, o->place.channel);
	if (!o->c) /* known to the store alone */
		o->c = o->to ? o->to : gateway_some_channel(o->gw);
	if (!o->c)
		return REASON_NO_CHANNEL;
	o->letter.run = order_run;
	loop_post(o->c->pub.loop, &o->letter);
	return REASON_NONE;
}

struct waiting {
	struct order o; /* first */
	struct waiter waiter;
};

static void order_waited(struct order *o)
{
	struct waiting *w = (struct waiting *)o;

	waiter_signal(&w->waiter);
}

/* Gives the order about a message that the store says is queued at p. NONE: to be waited for. */
static enum reason begin_order(
	struct waiting *w, uint64_t id, const struct place *p, unsigned attempt)
{
	struct order *o = &w->o;

	o->over = order_waited;
	o->id = id;
	o->place = *p;
	o->attempt = attempt;
	waiter_init(&w->waiter);
	return order_give(o);
}

static enum reason end_order(struct waiting *w)
{
	waiter_wait(&w->waiter);
	return w->o.reason;
}

static struct place place_of(const struct store_view *v)
{
	return (struct place){ v->channel, v->priority, v->due };
}

static enum reason give_order(struct waiting *w, const struct store_view *v)
{
	struct place p = place_of(v);
	enum reason r = begin_order(w, v->id, &p, v->attempt);

	return r == REASON_NONE ? end_order(w) : r;
}

static enum reason state_reason(enum state s)
{
	return s == STATE_QUEUED ? REASON_NONE : REASON_TOO_LATE;
}

enum { TRIES = 3 }; /* a message may be on its way from one queue to another */

static struct order cancel_order(struct gateway *g)
{
	return (struct order){
		.gw = g, .deed = DEED_CANCEL, .state = STATE_CANCELLED, .why = REASON_CANCELLED
	};
}

/* ---- wholes of several attempts ---- */
struct stopping {
	struct store_op op; /* first */
	struct waiter waiter;
};

static void stop_written(struct store_op *op)
{
	struct stopping *s = (struct stopping *)op;

	waiter_signal(&s->waiter);
}

/* No attempt begins any more: the writer looks at that line before it accepts one. */
static enum reason stop_whole(struct gateway *g, uint64_t id)
{
	struct stopping s = { .op = { .kind = OP_EVENT, .done = stop_written } };

	if (store_health(gateway_store(g)) != STORE_OK)
		return REASON_STORE;
	waiter_init(&s.waiter);
	s.op.event.id = id;
	s.op.event.reason = REASON_CANCELLED;
	str_copy(s.op.event.what, sizeof s.op.event.what, STR(FALLBACK_STOPPED));
	store_do(gateway_store(g), &s.op);
	waiter_wait(&s.waiter);
	return s.op.fault == STORE_OK ? REASON_NONE : REASON_STORE;
}

/* An attempt that waits: *v_r. 1; 0: none does, *left_r: one has left and did not fail; -1. */
static int waiting_attempt(
	struct gateway *g, const struct store_view *whole, struct store_view *v_r, bool *left_r)
{
	struct store_view v[FALLBACK_STEPS];
	uint64_t id[FALLBACK_STEPS];
	struct err e;
	int n = fallback_begun(g, whole, id);

	*left_r = false;
	if (n < 0 || store_find_places(gateway_store(g), id, (unsigned)n, v, &e) < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		if (v[i].id && v[i].state == STATE_QUEUED) {
			*v_r = v[i];
			return 1;
		}
		*left_r |= v[i].id && attempt_has_left(v[i].state);
	}
	return 0;
}

/* Of a whole whose attempts are made: those that wait are taken back, and no further one begins.
 * Too late is what has left, and is not known to have failed. */
static enum reason cancel_whole(struct gateway *g, const struct store_view *whole)
{
	struct store_view v;
	bool left, stopped = false, some = false;
	int got = -1;

	for (int i = 0; i < FALLBACK_STEPS + TRIES; i++) {
		struct waiting w = { .o = cancel_order(g) };
		enum reason r;

		got = waiting_attempt(g, whole, &v, &left);
		if (got < 0 || (got == 0 && (left || stopped)))
			break;
		if (!stopped && (r = stop_whole(g, whole->id)) != REASON_NONE)
			return r;
		if (stopped) {
			r = give_order(&w, &v);
			if (r != REASON_NONE && r != REASON_TOO_LATE)
				return r;
			some |= r == REASON_NONE;
		}
		stopped = true;
	}
	return got < 0 ? REASON_STORE : got || left || !some ? REASON_TOO_LATE : REASON_NONE;
}

enum reason gateway_cancel(struct gateway *g, uint64_t id, uint32_t submitter)
{
	enum reason r = REASON_TOO_LATE;

	for (int i = 0; i < TRIES && r == REASON_TOO_LATE; i++) {
		struct waiting w = { .o = cancel_order(g) };
		struct store_view v;
		struct err e;
		int found = store_find(gateway_store(g), id, false, &v, &e);

		if (found <= 0)
			return found < 0 ? REASON_STORE : REASON_NOT_FOUND;
		if (submitter && v.submitter != submitter)
			r = REASON_NOT_FOUND;
		else if (v.state == STATE_SENT && v.channel == gateway_fallback(g)->pub.number)
			r = cancel_whole(g, &v), i = TRIES;
		else if ((r = state_reason(v.state)) == REASON_NONE)
			r = give_order(&w, &v);
		else
			i = TRIES;
		store_view_free(&v);
	}
	return r;
}

/* Where to, and in how many parts. */
static enum reason requeue_target(
	struct order *o, const struct store_view *v, const char *channel, struct err *e)
{
	struct outcome why = outcome_of(REASON_NO_ROUTE);
	unsigned entered = gateway_enter(o->gw), parts = 0;
	const struct plan *p = gateway_plan(o->gw);
	const struct way *w;
	char name[96];

	w = channel ? plan_way_named(p, str_of(channel))
		    : plan_route(p, v->msg, submitter_name(o->gw, v->msg, name, sizeof name), NULL,
			      &why);
	if (!w && channel)
		why = outcome_words(REASON_NO_ROUTE, "there is no channel \"%s\"", channel);
	for (unsigned i = 0; i < v->part_n; i++)
		o->resumes |= v->part_list[i].sent_at != 0;
	if (w && o->resumes && w->c->pub.number != v->channel) {
		why = outcome_words(REASON_NO_ROUTE, "its first parts went over \"%s\"",
			store_name(gateway_store(o->gw), STORE_CHANNEL, v->channel));
		w = NULL;
	}
	if (w)
		parts = o->resumes ? v->parts : way_parts(w, v->msg, &why);
	o->to = w ? w->c : NULL;
	o->parts = (uint8_t)parts;
	gateway_leave(o->gw, entered);
	if (parts)
		return REASON_NONE;
	err_set(e, ERR_INPUT, "%s", why.words[0] ? why.words : reason_text(why.reason));
	return why.reason != REASON_NONE ? why.reason : REASON_NO_ROUTE;
}

enum reason gateway_requeue(struct gateway *g, uint64_t id, const char *channel, struct err *e)
{
	struct waiting w = { .o = { .gw = g, .deed = DEED_REQUEUE } };
	struct store_view v;
	enum reason r;
	int found = store_find(gateway_store(g), id, true, &v, e);

	if (found < 0)
		return REASON_STORE;
	if (found == 0) {
		err_set(e, ERR_INPUT, "there is no message %lu", id);
		return REASON_NOT_FOUND;
	}
	if ((r = state_reason(v.state)) != REASON_NONE) {
		err_set(e, ERR_INPUT, "message %lu is %s", id, state_word(v.state));
	} else if ((r = requeue_target(&w.o, &v, channel, e)) == REASON_NONE) {
		w.o.msg = v.msg;
		r = give_order(&w, &v);
		if (r != REASON_NONE)
			err_set(e, ERR_INPUT, "message %lu: %s", id, reason_text(r));
	}
	store_view_free(&v);
	return r;
}

/* ---- asks of accounts ---- */
struct asking {
	struct chore work; /* first */
	struct flow_account *a;
	struct ask *ask;
};

static bool is_the_askers(const struct asking *q, const struct store_view *v)
{
	const struct ask *ask = q->ask;

	if (v->submitter != q->a->pub.submitter)
		return false;
	if (ask->check_from && strcmp(ask->from, v->from) != 0)
		return false;
	return ask->to[0] == '\0' || strcmp(ask->to, v->to) == 0;
}

/* When the new text is to go, if not when the old one was. A submit_sm that replaces (MSG_REPLACE)
 * and names no time means at once; replace_sm then means as before. */
static enum reason replace_when(
	const struct message *with, const struct store_view *v, wall_t *due_r, struct draft *d)
{
	wall_t now = clock_wall();

	*due_r = with->send_at;
	if (!*due_r && with->flags & MSG_REPLACE && v->msg->send_at > now)
		*due_r = now;
	if (!*due_r)
		return REASON_NONE;
	if (v->due > INT64_MAX / 4)
		return REASON_TOO_LATE; /* held for the operator: it may have been sent */
	d->head.send_at = *due_r;
	return d->head.expires && d->head.expires <= *due_r ? REASON_BAD_TIME : REASON_NONE;
}

static enum reason replace_one(struct asking *q, const struct store_view *v)
{
	struct waiting w = { .o = { .gw = q->a->gw, .deed = DEED_REPLACE } };
	struct order *o = &w.o;
	struct draft d = { 0 };
	struct outcome why = outcome_of(REASON_NONE);
	const struct message *with = q->ask->msg;
	unsigned parts, entered;
	const struct way *way;
	enum reason r;

	draft_copy(&d, v->msg, 1u << FIELD_TEXT | 1u << FIELD_OCTETS | 1u << FIELD_TLVS);
	draft_put(&d, FIELD_TEXT, message_get(with, FIELD_TEXT));
	draft_put(&d, FIELD_OCTETS, message_get(with, FIELD_OCTETS));
	draft_put(&d, FIELD_TLVS, message_get(with, FIELD_TLVS));
	o->named = q->ask->name[0] && !v->client_id[0];
	if (o->named)
		draft_put(&d, FIELD_CLIENT_ID, str_of(q->ask->name));
	if (with->flags & MSG_REPLACE) {
		d.head.sms = with->sms;
		d.head.flags = with->flags & (uint8_t)~MSG_REPLACE;
	}
	d.head.wants = with->wants;
	if (with->expires)
		d.head.expires = with->expires;
	r = replace_when(with, v, &o->due, &d);
	o->msg = draft_seal(&d);
	draft_free(&d);
	o->msg->id = v->id;
	o->msg->accepted = v->accepted;
	o->msg->submitter = v->submitter;
	entered = gateway_enter(o->gw);
	way = plan_way(gateway_plan(o->gw), gateway_channel(o->gw, v->channel));
	parts = way ? way_parts(way, o->msg, &why) : 0;
	gateway_leave(o->gw, entered);
	o->parts = (uint8_t)parts;
	if (r == REASON_NONE)
		r = !way ? REASON_NO_CHANNEL : !parts ? why.reason : REASON_NONE;
	for (unsigned i = 0; i < v->part_n; i++)
		if (v->part_list[i].sent_at)
			r = REASON_TOO_LATE; /* the old text has begun to leave */
	if (r == REASON_NONE)
		r = give_order(&w, v);
	message_unref(&o->msg);
	return r;
}

/* ---- many at once ---- */
struct match {
	uint64_t id;
	struct place place;
	unsigned attempt;
};
enum { AT_ONCE = 64 };

/* How many of them were. Each waits for a commit; so they go together. */
static unsigned cancel_all(struct asking *q, const struct match *m, unsigned n)
{
	struct waiting *w = mem_alloc(AT_ONCE * sizeof *w);
	enum reason r[AT_ONCE];
	unsigned done = 0;

	for (unsigned at = 0; at < n; at += AT_ONCE) {
		unsigned k = n - at < AT_ONCE ? n - at : AT_ONCE;

		for (unsigned i = 0; i < k; i++) {
			w[i] = (struct waiting){ .o = cancel_order(q->a->gw) };
			r[i] = begin_order(
				&w[i], m[at + i].id, &m[at + i].place, m[at + i].attempt);
		}
		for (unsigned i = 0; i < k; i++) {
			if (r[i] == REASON_NONE)
				r[i] = end_order(&w[i]);
			if (r[i] ==
				REASON_TOO_LATE) /* it may have gone to another queue meanwhile */
				r[i] = gateway_cancel(q->a->gw, m[at + i].id, q->a->pub.submitter);
			done += r[i] == REASON_NONE;
		}
	}
	mem_free(&w);
	return done;
}

/* ---- the set of a submit_multi ----
 *
 * Its others were accepted right behind the first, one or two commits later. */
enum { SET_MOST = 256 };
#define SET_SPAN (10 * DUR_S)
struct set {
	struct set_member {
		struct match at;
		enum state state;
		enum reason why;
		wall_t final_at;
		char err[NOTE_ERR];
	} of[SET_MOST];
	unsigned n;
};

static bool note_member(void *ctx, const struct store_view *v)
{
	struct set *set = ctx;
	struct set_member *m = &set->of[set->n++];

	*m = (struct set_member){ { v->id, place_of(v), v->attempt }, v->state, v->reason,
		v->final_at, "" };
	memcpy(m->err, v->err, sizeof m->err);
	return set->n < SET_MOST;
}

/* The others; false: the store does not say. */
static bool set_of(struct asking *q, const struct store_view *v, struct set *set)
{
	struct store_filter f = {
		.client_id = str_of(q->ask->set),
		.state = -1,
		.submitter = v->submitter,
		.media = -1,
		.since = v->accepted,
		.until = v->accepted + SET_SPAN,
		.most = SET_MOST,
	};
	struct err e;

	set->n = 0;
	return store_search(gateway_store(q->a->gw), &f, note_member, set, &e) >= 0;
}

/* One word for all: under way while one is; then delivered only if all are. */
static void query_set(struct asking *q, const struct set *set)
{
	struct ask *ask = q->ask;

	for (unsigned i = 0; i < set->n; i++) {
		const struct set_member *m = &set->of[i];
		bool good = ask->state == STATE_DELIVERED || ask->state == STATE_READ;

		if (m->final_at > ask->final_at)
			ask->final_at = m->final_at;
		if (!state_is_final(ask->state) || (state_is_final(m->state) && !good))
			continue;
		ask->state = m->state;
		ask->why = m->why;
		memcpy(ask->err, m->err, sizeof ask->err);
	}
}

static void cancel_set(struct asking *q, const struct set *set)
{
	struct match *m = mem_alloc(SET_MOST * sizeof *m);
	unsigned n = 0;

	for (unsigned i = 0; i < set->n; i++)
		if (set->of[i].at.id != q->ask->found && set->of[i].state == STATE_QUEUED)
			m[n++] = set->of[i].at;
	q->ask->count += cancel_all(q, m, n);
	if (q->ask->count)
		q->ask->reason = REASON_NONE;
	mem_free(&m);
}

static void whole_set(struct asking *q, const struct store_view *v)
{
	struct set *set = mem_new(struct set);

	if (!set_of(q, v, set))
		q->ask->reason = REASON_STORE;
	else if (q->ask->kind == ASK_QUERY)
		query_set(q, set);
	else
		cancel_set(q, set);
	mem_free(&set);
}

static void one_message(struct asking *q)
{
	struct ask *ask = q->ask;
	struct store_view v;
	struct err e;
	int found = 1;

	if (ask->client_id[0])
		found = store_find_client(gateway_store(q->a->gw), q->a->pub.submitter,
			str_of(ask->client_id), &ask->id, &e);
	if (found > 0)
		found = store_find(
			gateway_store(q->a->gw), ask->id, ask->kind == ASK_REPLACE, &v, &e);
	if (found <= 0 || !is_the_askers(q, &v)) {
		ask->reason = found < 0 ? REASON_STORE : REASON_NOT_FOUND;
		if (found > 0)
			store_view_free(&v);
		return;
	}
	ask->found = v.id;
	switch (ask->kind) {
	case ASK_QUERY:
		ask->state = v.state;
		ask->media = v.media;
		ask->sms = v.sms;
		ask->why = v.reason;
		ask->final_at = v.final_at;
		memcpy(ask->err, v.err, sizeof ask->err);
		break;
	case ASK_CANCEL:
		ask->reason = gateway_cancel(q->a->gw, v.id, v.submitter);
		ask->count = ask->reason == REASON_NONE;
		break;
	case ASK_REPLACE:
		ask->reason = state_reason(v.state);
		if (ask->reason == REASON_NONE)
			ask->reason = replace_one(q, &v);
		break;
	}
	if (v.flags & MSG_LEADS && ask->set[0] && ask->kind != ASK_REPLACE)
		whole_set(q, &v);
	store_view_free(&v);
}

enum { PAGE = 1000 };
struct matches {
	struct match of[PAGE];
	unsigned n;
};

static bool note_match(void *ctx, const struct store_view *v)
{
	struct matches *m = ctx;

	m->of[m->n++] = (struct match){ v->id, place_of(v), v->attempt };
	return m->n < PAGE;
}

/* Only with its content; messages are seldom asked for so. */
static bool has_service_type(struct asking *q, uint64_t id)
{
	struct store_view v;
	struct err e;
	bool has;

	if (store_find(gateway_store(q->a->gw), id, true, &v, &e) <= 0)
		return false;
	has = str_is(message_get(v.msg, FIELD_SERVICE_TYPE), q->ask->service_type);
	store_view_free(&v);
	return has;
}

static void all_that_match(struct asking *q)
{
	struct ask *ask = q->ask;
	struct matches *m = mem_new(struct matches);
	struct store_filter f = {
		.to = str_of(ask->to),
		.from = str_of(ask->from),
		.state = STATE_QUEUED,
		.submitter = q->a->pub.submitter,
		.media = -1,
		.most = PAGE,
	};
	unsigned found;
	struct err e;

	do {
		unsigned n = 0;

		m->n = 0;
		if (store_search(gateway_store(q->a->gw), &f, note_match, m, &e) < 0)
			ask->reason = REASON_STORE;
		found = m->n;
		if (found)
			f.before_id = m->of[found - 1].id;
		for (unsigned i = 0; i < found; i++)
			if (!ask->service_type[0] || has_service_type(q, m->of[i].id))
				m->of[n++] = m->of[i];
		ask->count += cancel_all(q, m->of, n);
	} while (found == PAGE && ask->reason == REASON_NONE);
	if (ask->reason == REASON_NONE && ask->count == 0)
		ask->reason = REASON_NOT_FOUND;
	mem_free(&m);
}

/* The newest queued message with the same sender, recipient and service_type (SMPP 3.4 §5.2.18). */
static void newest_that_matches(struct asking *q)
{
	struct ask *ask = q->ask;
	struct matches *m = mem_new(struct matches);
	struct store_filter f = {
		.to = str_of(ask->to),
		.from = str_of(ask->from),
		.state = STATE_QUEUED,
		.submitter = q->a->pub.submitter,
		.media = -1,
		.most = 16,
	};
	struct err e;

	ask->reason = REASON_NOT_FOUND;
	if (store_search(gateway_store(q->a->gw), &f, note_match, m, &e) < 0)
		ask->reason = REASON_STORE;
	for (unsigned i = 0; i < m->n && ask->reason == REASON_NOT_FOUND; i++) {
		struct store_view v;

		if (store_find(gateway_store(q->a->gw), m->of[i].id, true, &v, &e) <= 0)
			continue;
		if (v.state == STATE_QUEUED &&
			str_is(message_get(v.msg, FIELD_SERVICE_TYPE), ask->service_type)) {
			ask->reason = replace_one(q, &v);
			ask->found = v.id;
			str_copy(ask->client_id, sizeof ask->client_id,
				str_of(v.client_id[0] ? v.client_id : ask->name));
		}
		store_view_free(&v);
	}
	mem_free(&m);
}

static void asking_call(struct chore *w)
{
	struct asking *q = (struct asking *)w;

	if (q->ask->reason != REASON_NONE)
		return; /* refused already */
	if (q->ask->id || q->ask->client_id[0] || q->ask->kind == ASK_QUERY)
		one_message(q);
	else if (q->ask->kind == ASK_CANCEL)
		all_that_match(q);
	else
		newest_that_matches(q);
}

static void asking_done(struct chore *w)
{
	struct asking *q = (struct asking *)w;
	struct ask *ask = q->ask;

	mem_free(&q);
	message_unref(&ask->msg);
	ask->done(ask);
}

void account_ask(struct account *a, struct ask *ask)
{
	struct asking *q = mem_new(struct asking);
	struct outcome why;
	bool keeps = ask->msg && ask->msg->expires == 0;

	q->a = flow_account(a);
	q->ask = ask;
	ask->reason = REASON_NONE;
	ask->count = 0;
	if (ask->msg &&
		!admit_times(gateway_settings(q->a->gw), a->conf->valid_most, ask->msg, &why))
		ask->reason = why.reason;
	if (keeps)
		ask->msg->expires = 0;
	q->work.reply = ask->loop;
	q->work.call = asking_call;
	q->work.done = asking_done;
	workers_do(&q->work);
}
