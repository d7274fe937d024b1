/* An event at work: the member, the counters, the offers. See engine.h. */
#include "plugins/offers/engine.h"
#include "plugins/offers/counter.h"
#include "plugins/offers/dispatch.h"
#include "plugins/offers/hindsight.h"
#include "plugins/offers/leaving.h"
#include "plugins/offers/lot.h"
#include "plugins/offers/pin.h"
#include "plugins/offers/printed.h"

#define WHY_LEFT "the member has left"
enum {
	MADE_DEEP = 4 /* events that events make, so deep */
};

struct working {
	struct work *w;
	struct event *e;
	struct member *m; /* NULL: nobody is known */
	struct offers_source source;
	struct reply *reply; /* NULL: nobody asks */
	struct rendering rendering;
	bool rendering_made;
};

/* ---- does it concern the offer? ---- */
static bool offer_wants(const struct offer *o, const struct event *e)
{
	return (o->arms >> e->type & 1) && event_is_kind(e, o->arm_kind[e->type]);
}

bool offer_arms(struct work *w, const struct offer *o, struct member *m, const struct event *e)
{
	struct offers_source s;
	bool yes;

	if (!offer_wants(o, e) || offer_over(o, m->zone, e->occurred))
		return false;
	source_init(&s, w, m, e, o);
	yes = source_holds(&s, o->only_if);
	source_done(&s);
	return yes;
}

int offer_disarms(struct work *w, const struct offer *o, struct member *m, const struct event *e)
{
	struct offers_source s;
	bool yes;

	if (!(o->disarms >> e->type & 1) || !event_is_kind(e, o->disarm_kind[e->type]))
		return 0;
	if (!o->unless_if)
		return 1;
	source_init(&s, w, m, e, o);
	yes = source_holds(&s, o->unless_if);
	source_done(&s);
	return yes;
}

/* ---- actions ---- */
static int act_print(struct working *k, const struct offer *o, size_t index)
{
	const struct action *a = &o->actions[index];
	struct work *w = k->w;
	const struct reader reader = { .values = &k->source.source,
		.language =
			k->m && k->m->lang.n ? k->m->lang : str_of(w->rules->conf->policy.language),
		.zone = k->m ? k->m->zone : w->rules->zone };
	enum media media = a->what == DO_RECEIPT ? MEDIA_RECEIPT : MEDIA_CASHIER;
	struct buf *out = a->what == DO_RECEIPT ? &k->reply->receipt : &k->reply->cashier;
	const struct printer *p = w->rules->printer ? w->rules->printer : printer_usual();
	struct rendering *r = &k->rendering;
	size_t before;

	if (!k->rendering_made)
		rendering_init(r);
	k->rendering_made = true;
	if (text_render(a->text, media, MISSING_SKIP, a->printer ? a->printer : w->rules->printer,
		    &reader, r) < 0)
		return 0; /* a value is missing: nothing is printed, the sale goes on */
	before = out->n;
	for (size_t i = 0; i < r->printed.n; i++) {
		/* several offers share one paper */
		if (a->what == DO_RECEIPT && k->reply->lines >= p->lines)
			break;
		if (a->what == DO_RECEIPT)
			k->reply->lines++;
		if (out->n)
			buf_char(out, ',');
		buf_json(out, str_n(r->b.p + r->printed.v[i].at, r->printed.v[i].n));
	}
	if (k->m && out->n > before && printed_note(w, k->m, k->e, o, index, media) < 0)
		return -1;
	return a->count ? counter_action(&k->source, a->count, 1) : 0;
}

/* soft: the event may come again for its receipt, so it is sent once for that. */
static int act_send(struct working *k, const struct offer *o, size_t index, bool soft)
{
	const struct action *a = &o->actions[index];
	const struct event *e = k->source.e;
	struct sent sent;
	struct sending s = { .member = k->m,
		.event = e,
		.object = o->number,
		.offer = o,
		.run = e->seq,
		.step = ACTION_STEP + (unsigned)index,
		.class = o->kind,
		.row = o->row,
		.template = a->template,
		.via = &a->via,
		.source = &k->source.source,
		.due = zone_add(k->m->zone, e->occurred, o->settle),
		.deliver_now = o->conf->deliver_now,
		.receipt = soft ? event_receipt(e) : 0 };
	int rc;

	if (offer_too_late(k->w, o, k->m->zone, s.due)) {
		k->w->stale++;
		return dispatch_hold(k->w, &s, HOLD_STALE, "", &sent);
	}
	rc = dispatch(k->w, &s, &sent);
	if (rc == 0 && a->count && sent.msg && !sent.again)
		rc = counter_action(&k->source, a->count, 1);
	return rc;
}

/* Has that happened to this receipt, then or later? 1, 0, -1. */
static int receipt_found(
	struct working *k, enum event_type t, uint64_t receipt, wall_t since, uint64_t *seq_r)
{
	struct past_receipt was;
	int rc = past_receipt(k->w, k->m, t, receipt, since, &was);

	*seq_r = was.seq;
	return rc;
}

/* A send on an event that may come again: at once, or when its receipt is completed; not when that
 * was cancelled since, which came first. */
static int act_send_soft(struct working *k, const struct offer *o, size_t index)
{
	uint64_t receipt = event_receipt(k->e), seq;
	int rc;

	if (!receipt)
		return act_send(k, o, index, true);
	rc = receipt_found(k, EVENT_PURCHASE_CANCELLED, receipt, k->e->occurred, &seq);
	if (rc)
		return rc < 0 ? -1 : 0;
	if (o->conf->on_soft == SOFT_CONFIRM) {
		rc = receipt_found(k, EVENT_PURCHASE_COMPLETED, receipt, INT64_MIN, &seq);
		if (rc < 1)
			return rc;
	}
	return act_send(k, o, index, true);
}

static int offer_act(struct working *k, const struct offer *o)
{
	bool soft = event_kinds[k->e->type].flags & EV_SOFT;
	int rc = 0;

	for (size_t i = 0; i < o->actions_n && rc == 0; i++) {
		const struct action *a = &o->actions[i];

		if (a->what == DO_SEND && !k->m)
			continue; /* an anonymous buyer can be answered, not written to */
		if (!source_holds(&k->source, a->only_if))
			continue;
		switch (a->what) {
		case DO_RECEIPT:
		case DO_CASHIER:
			if (k->reply && k->reply->till && a->text)
				rc = act_print(k, o, i);
			break;
		case DO_SEND:
			rc = soft ? act_send_soft(k, o, i) : act_send(k, o, i, false);
			break;
		case DO_STATUS:
			if (k->m)
				rc = engine_status(k->w, k->m, o, a->conf->system, a->conf->value,
					k->e->seq ^ (uint64_t)(i + 1) << 48, k->e->occurred);
			break;
		}
	}
	return rc;
}

/* ---- what a receipt's end does to what was held for it ---- */
static int offer_confirm(struct working *k, const struct offer *o, uint64_t receipt)
{
	uint64_t cancel;
	int rc = receipt_found(k, EVENT_PURCHASE_CANCELLED, receipt, k->e->occurred, &cancel);

	if (rc)
		return rc < 0 ? -1 : 0;
	for (unsigned t = 0; t < EVENT_TYPES && rc == 0; t++) {
		struct event *last;
		uint64_t seq;

		if (!(o->arms >> t & 1) || !(event_kinds[t].flags & EV_SOFT))
			continue;
		rc = receipt_found(k, (enum event_type)t, receipt, INT64_MIN, &seq);
		if (rc == 1)
			rc = event_load(k->w, seq, &last);
		if (rc != 1)
			continue;
		source_init(&k->source, k->w, k->m, last, o);
		rc = 0;
		if (source_holds(&k->source, o->only_if))
			for (size_t i = 0; i < o->actions_n && rc == 0; i++)
				if (o->actions[i].what == DO_SEND &&
					source_holds(&k->source, o->actions[i].only_if))
					rc = act_send(k, o, i, true);
		source_done(&k->source);
		event_drop(&last);
		source_init(&k->source, k->w, k->m, k->e, o);
	}
	return rc;
}

/* What waits to be sent for a receipt that was cancelled is not sent. */
static int receipt_cancel(struct working *k)
{
	struct sql_stmt *st = db_st(k->w->db, ST_SENT_RECEIPT);
	uint64_t msg[32];
	size_t n = 0;
	int rc;

	if (!st)
		return work_failed(k->w, "messages of a receipt");
	sql_int(st, 1, (int64_t)k->m->id);
	sql_int(st, 2, k->w->now - 31 * DUR_DAY);
	sql_int(st, 3, (int64_t)event_receipt(k->e));
	while ((rc = sql_step(st)) == 1)
		if (n < sizeof msg / sizeof msg[0])
			msg[n++] = (uint64_t)sql_col(st, 0);
	if (rc < 0)
		return work_failed(k->w, "messages of a receipt");
	for (size_t i = 0; i < n; i++) {
		rc = message_cancel(k->w, msg[i]);
		if (rc < 0)
			return -1;
		k->w->late_cancel += (unsigned)rc;
	}
	return 0;
}

/* ---- offers ---- */
static int offer_event(struct working *k, const struct offer *o)
{
	bool wants = offer_wants(o, k->e), acts;
	int disarms = 0;

	k->source.o = o;
	if (k->m && o->steps_n) {
		disarms = offer_disarms(k->w, o, k->m, k->e);
		if (disarms < 0)
			return -1;
	}
	acts = wants && !offer_over(o, k->m ? k->m->zone : k->w->rules->zone, k->e->occurred) &&
	       source_holds(&k->source, o->only_if);
	if (k->m && (acts || disarms) && chain_event(k->w, o, k->m, k->e, acts, disarms == 1) < 0)
		return -1;
	if (acts && offer_act(k, o) < 0)
		return -1;
	if (k->m && k->e->type == EVENT_PURCHASE_COMPLETED && o->conf->on_soft == SOFT_CONFIRM &&
		event_receipt(k->e))
		return offer_confirm(k, o, event_receipt(k->e));
	return 0;
}

static int past_add(struct working *k)
{
	struct sql_stmt *st = db_st(k->w->db, ST_PAST_ADD);
	uint64_t receipt = event_purchase(k->e);

	if (!st)
		return work_failed(k->w, "a past event");
	sql_int(st, 1, (int64_t)k->m->id);
	sql_int(st, 2, k->e->type);
	sql_int(st, 3, k->e->occurred);
	sql_int(st, 4, (int64_t)k->e->seq);
	sql_int(st, 5, event_amount(k->e));
	sql_int(st, 6, (int64_t)receipt);
	sql_int(st, 7, (int64_t)event_kind_hash(k->e));
	return sql_run(st) < 0 ? work_failed(k->w, "a past event") : 0;
}

static int take_back(struct working *k)
{
	if (k->e->type == EVENT_PURCHASE_REFUNDED)
		return k->e->attr[ATTR_refunds].type == VALUE_TEXT
			       ? chain_refund(k->w, k->m, event_hash(k->e->attr[ATTR_refunds].s))
			       : 0;
	if (k->e->type != EVENT_PURCHASE_CANCELLED)
		return 0;
	return receipt_cancel(k) < 0 ? -1 : chain_refund(k->w, k->m, event_receipt(k->e));
}

/* Chains that go on though their offer was taken away can still be disarmed. */
static int offers_gone(struct working *k)
{
	const struct offer *const *v;
	size_t n;

	if (pin_offers_gone(k->w, &v, &n) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int disarms = offer_disarms(k->w, v[i], k->m, k->e);

		if (disarms < 0 ||
			(disarms && chain_event(k->w, v[i], k->m, k->e, false, true) < 0))
			return -1;
	}
	return 0;
}

/* The member is known: everything else. */
static int work_on(struct working *k)
{
	const struct rules *r = k->w->rules;
	struct hindsight *later = NULL;
	int rc = 0;

	source_init(&k->source, k->w, k->m, k->e, NULL);
	if (k->m)
		rc = hindsight_begin(k->w, k->m, k->e, &later);
	if (rc == 0 && k->m)
		rc = past_add(k);
	if (rc == 0)
		rc = counter_event(&k->source);
	if (rc == 0 && k->m)
		rc = take_back(k);
	if (rc == 0 && k->m && k->e->type == EVENT_REPLY_CONFIRMED)
		rc = printed_confirm(k->w, k->m, k->e);
	for (size_t i = 0; i < r->by_event_n[k->e->type] && rc == 0; i++)
		rc = offer_event(k, r->by_event[k->e->type][i]);
	if (rc == 0 && k->m)
		rc = hindsight_end(k->w, k->m, later);
	if (rc == 0 && k->m)
		rc = offers_gone(k);
	source_done(&k->source);
	if (k->rendering_made)
		rendering_free(&k->rendering);
	return rc;
}

static int event_done(struct working *k, int done, struct str kept, const char *why)
{
	struct sql_stmt *st = db_st(k->w->db, ST_EVENT_DONE);

	if (!st)
		return work_failed(k->w, "an event");
	sql_int(st, 1, done);
	sql_int(st, 2, k->m ? (int64_t)k->m->id : 0);
	if (kept.n)
		sql_blob(st, 3, kept);
	else
		sql_null(st, 3);
	sql_text_or_null(st, 4, str_of(why));
	sql_int(st, 5, (int64_t)k->e->seq);
	if (sql_run(st) < 0)
		return work_failed(k->w, "an event");
	return k->m && k->m->state == MEMBER_LEFT ? leaving_event(k->w, k->e->seq) : 0;
}

/* Who it is, and what the event says of them. */
static int find_member(struct working *k)
{
	const struct zone *zone;
	int rc = member_of_event(k->w, k->e, &k->m);

	if (rc <= 0) {
		k->m = NULL;
		return rc;
	}
	zone = k->m->zone;
	if (member_take_event(k->w, k->m, k->e) < 0)
		return -1;
	k->m = member_now(k->m);
	if (k->m->state == MEMBER_LEFT)
		return 0;
	if (ledger_event(k->w, k->m, k->e) < 0)
		return -1;
	return k->m->zone != zone ? chain_refold(k->w, k->m) : 0;
}

int engine_event(struct work *w, struct event *e, struct reply *r)
{
	struct working k = { .w = w, .e = e, .reply = r };
	struct buf kept = BUF_INIT;
	const char *why = "";
	int rc;

	r->till = rules_till(w->rules, e->type);
	w->about = event_kinds[e->type].word;
	for (unsigned i = 0; w->odd && i < e->odd_n; i++)
		w->odd(w, e->odd[i]);
	rc = find_member(&k);
	if (rc == 0 && k.m && k.m->state == MEMBER_LEFT)
		why = WHY_LEFT; /* no event for offers, and so is the next */
	else if (rc == 0 && event_unproved(e))
		why = "the address was not proved";
	else if (rc == 0)
		rc = work_on(&k);
	if (rc < 0)
		return -1;
	r->removed = w->removed;
	for (size_t i = 0; i < w->queued_n; i++)
		buf_printf(
			&r->queued, "%s\"%llu\"", i ? "," : "", (unsigned long long)w->queued[i]);
	reply_put(r, &kept);
	rc = event_done(&k, why[0] ? EVENT_IDLE : EVENT_WORKED, buf_view(&kept), why);
	buf_free(&kept);
	return rc;
}

/* ---- events made here ---- */
int engine_made(struct work *w, struct member *m, struct event *e)
{
	struct working k = { .w = w, .e = e, .m = m };
	struct intake in;
	int rc = intake_keep(w, e, &in);

	if (rc == 0 && !in.duplicate && !in.conflict) {
		if (w->made >= MADE_DEEP || m->state == MEMBER_LEFT) {
			rc = event_done(&k, EVENT_IDLE, STR_NONE,
				m->state == MEMBER_LEFT
					? WHY_LEFT
					: "events made it, one the other, too many");
		} else {
			w->made++;
			rc = work_on(&k);
			w->made--;
			if (rc == 0)
				rc = event_done(&k, EVENT_WORKED, STR_NONE, "");
		}
	}
	event_drop(&e);
	return rc;
}

static struct event *status_event(struct member *m, enum event_type t, struct str key, wall_t at,
	struct str system, const char *cause)
{
	struct event *e = event_make(t, at, STR("postern"), key);

	e->who[ALIAS_MEMBER] = arena_str(e->arena, m->ext);
	e->attr[ATTR_system] = value_text(arena_str(e->arena, system));
	e->attr[ATTR_cause] = value_text(arena_str(e->arena, str_of(cause)));
	return e;
}

/* The command for the platform. */
static int tell_status(struct work *w, const struct member *m, const struct offer *o,
	struct str system, struct str value, struct str key, wall_t at)
{
	const struct ledger_conf *l = &w->rules->conf->ledger;
	struct buf b = BUF_INIT;
	int rc;

	if (!l->webhook || !l->webhook[0])
		return 0;
	buf_c(&b, "{\"command\":\"status.assign\",\"key\":");
	buf_json(&b, key);
	buf_c(&b, ",\"member\":");
	buf_json(&b, m->ext);
	buf_c(&b, ",\"system\":");
	buf_json(&b, system);
	buf_c(&b, ",\"value\":");
	buf_json(&b, value);
	buf_c(&b, ",\"cause\":");
	buf_json(&b, str_of(o->conf->name));
	buf_c(&b, ",\"at\":\"");
	clock_put_rfc3339(&b, at);
	buf_c(&b, "\"}");
	rc = work_deed(w, DEED_UPSTREAM, 0, key, buf_view(&b));
	buf_free(&b);
	return rc;
}

int engine_status(struct work *w, struct member *m, const struct offer *o, const char *system,
	const char *value, uint64_t cause, wall_t at)
{
	const struct members_conf *c = &w->rules->conf->members;
	const char *name = system && system[0] ? system : c->statuses_n ? c->statuses[0] : "";
	struct str old = arena_str(w->arena, member_status(w, m, name));
	struct str key = str_of(arena_printf(w->arena, "status:%u:%llu:%llu", o->number,
		(unsigned long long)m->id, (unsigned long long)cause));
	struct event *e;
	int changed = member_set_status(w, m, str_of(name), str_of(value));

	if (changed < 0 || tell_status(w, m, o, str_of(name), str_of(value), key, at) < 0)
		return -1;
	e = status_event(m, EVENT_STATUS_CALCULATED, key, at, str_of(name), o->conf->name);
	e->attr[ATTR_value] = value_text(str_of(value));
	event_seal(e);
	if (engine_made(w, m, e) < 0)
		return -1;
	if (!changed)
		return 0;
	e = status_event(m, EVENT_STATUS_CHANGED,
		str_of(arena_printf(w->arena, "%s:changed", key.p)), at, str_of(name),
		o->conf->name);
	if (old.n)
		e->attr[ATTR_from] = value_text(old);
	e->attr[ATTR_to] = value_text(str_of(value));
	event_seal(e);
	return engine_made(w, m, e);
}
