/* Counting. See counter.h.
 *
 * A value is a number of times, or ten-thousandths of what is summed. What purchases and social
 * activities added is kept by receipt (or activity) in of_counted, to be taken back once.
 */
#include "plugins/offers/counter.h"
#include "plugins/offers/chain.h"
#include "plugins/offers/lot.h"
#include "plugins/offers/overtaken.h"

/* Whose the counter is for this event; false: there is nobody to count for. */
static bool subject_of(const struct offers_source *s, const struct counter *c, int64_t *subject_r)
{
	struct value store;

	switch (c->conf->per) {
	case SCOPE_PER_STORE:
		store = s->e ? s->e->attr[ATTR_store] : VALUE_NONE;
		*subject_r = store.type == VALUE_TEXT ? (int64_t)event_hash(store.s) : 0;
		return store.type == VALUE_TEXT;
	case SCOPE_PER_OFFER:
		*subject_r = c->of < 0 && s->o ? s->o->number : 0;
		return true;
	default: /* an account is all cards of one member */
		*subject_r = s->m ? (int64_t)s->m->id : 0;
		return s->m != NULL;
	}
}

static int64_t period_now(const struct offers_source *s, const struct counter *c)
{
	const struct zone *z = s->w->rules->zone;
	wall_t at = s->now;

	if (c->conf->clock == CLOCK_MEMBER && s->m)
		z = s->m->zone;
	else if (c->conf->clock == CLOCK_TILL && s->e) {
		/* the till's own clock, as its event was written */
		at += s->e->offset * DUR_S;
		z = zone_utc();
	}
	return period_of((enum period)c->conf->period, z, at);
}

static int value_get(
	struct work *w, const struct counter *c, int64_t subject, int64_t period, int64_t *v_r)
{
	struct sql_stmt *st = db_st(w->db, ST_COUNTER_GET);
	int rc;

	*v_r = 0;
	if (!st)
		return work_failed(w, "a counter");
	sql_int(st, 1, c->number);
	sql_int(st, 2, subject);
	sql_int(st, 3, period);
	rc = sql_step(st);
	if (rc == 1)
		*v_r = sql_col(st, 0);
	sql_reset(st);
	return rc < 0 ? work_failed(w, "a counter") : 0;
}

static int value_add(struct work *w, int64_t counter, int64_t subject, int64_t period, int64_t by)
{
	struct sql_stmt *st = db_st(w->db, ST_COUNTER_ADD);

	if (!st)
		return work_failed(w, "a counter");
	sql_int(st, 1, counter);
	sql_int(st, 2, subject);
	sql_int(st, 3, period);
	sql_int(st, 4, by);
	return sql_run(st) < 0 ? work_failed(w, "a counter") : 0;
}

/* What this event adds to it: 0 when it does not count. */
static int64_t addition(const struct offers_source *s, const struct counter *c)
{
	struct value v;

	if (c->sum == EVENT_ATTRS)
		return 1;
	v = s->e->attr[c->sum];
	return amount_within(v.type == VALUE_DECIMAL ? v.i
			     : v.type == VALUE_INT   ? decimal_of_int(v.i)
						     : 0);
}

static bool is_sum(const struct counter *c)
{
	return c->of >= 0 && c->sum != EVENT_ATTRS;
}

/* Is the present event one that it counts, but for its filter? */
static bool counts(const struct offers_source *s, const struct counter *c)
{
	return c->of == (int)s->e->type && event_is_kind(s->e, c->kind);
}

struct value counter_value(struct offers_source *s, const struct counter *c)
{
	int64_t subject, value, by;

	if (!c || !subject_of(s, c, &subject) ||
		value_get(s->w, c, subject, period_now(s, c), &value) < 0)
		return VALUE_NONE;
	if (c->every_amount > 0) {
		by = s->e && counts(s, c) && source_holds(s, c->only_if) ? addition(s, c) : 0;
		return value_int(value / c->every_amount - (value - by) / c->every_amount);
	}
	if (c->conf->every > 0)
		return value_int(value > 0 && value % c->conf->every == 0 && s->e && counts(s, c) &&
				 source_holds(s, c->only_if));
	return is_sum(c) ? value_decimal(value) : value_int(value);
}

/* ---- undoing ---- */

/* What of_counted knows an event by: its receipt, or the activity; 0: nothing to be undone. */
static uint64_t undo_key(const struct event *e)
{
	uint64_t h;

	switch (e->type) {
	case EVENT_SOCIAL_ACTIVITY:
	case EVENT_SOCIAL_ACTIVITY_REMOVED:
		h = 0x50c1a1;
		for (unsigned i = 0; i < 3; i++) {
			static const enum event_attr parts[] = { ATTR_provider, ATTR_kind,
				ATTR_object };
			struct value v = e->attr[parts[i]];

			h = h * 0x9e3779b97f4a7c15ull + (v.type == VALUE_TEXT ? str_hash(v.s) : 1);
		}
		return h >> 1 | 1;
	case EVENT_PURCHASE_REFUNDED:
		return e->attr[ATTR_refunds].type == VALUE_TEXT
			       ? event_hash(e->attr[ATTR_refunds].s)
			       : 0;
	default:
		return event_receipt(e);
	}
}

static uint64_t undo_key_of(const struct offers_source *s)
{
	uint64_t key = undo_key(s->e);

	/* an activity is a member's; a receipt's number is the programme's */
	if (key && s->m &&
		(s->e->type == EVENT_SOCIAL_ACTIVITY ||
			s->e->type == EVENT_SOCIAL_ACTIVITY_REMOVED))
		key = ((key ^ s->m->id * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull) >> 1 | 1;
	return key;
}

static bool undone_by(const struct counter *c, enum event_type undo)
{
	if (undo == EVENT_SOCIAL_ACTIVITY_REMOVED)
		return c->of == EVENT_SOCIAL_ACTIVITY;
	return c->conf->undo_on_refund && c->of >= 0;
}

struct counted {
	int64_t counter, subject, period, value;
	wall_t at; /* the first of them */
};

static const struct counter *counter_number(const struct rules *r, int64_t number)
{
	for (size_t i = 0; i < r->counters_n; i++)
		if (r->counters[i].number == number)
			return &r->counters[i];
	return NULL;
}

static int counted_rest(struct work *w, uint64_t key, const struct counted *k, int64_t rest)
{
	struct sql_stmt *st = db_st(w->db, rest ? ST_COUNTED_SET : ST_COUNTED_DEL);
	int i = 1;

	if (!st)
		return work_failed(w, "what was counted");
	if (rest)
		sql_int(st, i++, rest);
	sql_int(st, i++, (int64_t)key);
	sql_int(st, i++, k->counter);
	sql_int(st, i++, k->subject);
	sql_int(st, i, k->period);
	return sql_run(st) < 0 ? work_failed(w, "what was counted") : 0;
}

/* What the receipt came to; 0: not known. */
static int purchase_total(const struct offers_source *s, uint64_t receipt, int64_t *total_r)
{
	struct past_receipt was;
	int rc = past_receipt(s->w, s->m, EVENT_PURCHASE_COMPLETED, receipt, INT64_MIN, &was);

	*total_r = was.amount;
	return rc < 0 ? -1 : 0;
}

/* A part of a purchase takes back that much of what is summed, and leaves what is counted. */
static int counter_undo(struct offers_source *s, uint64_t key)
{
	struct sql_stmt *st = db_st(s->w->db, ST_COUNTED);
	struct counted v[64];
	int64_t part = 0, total = 0;
	size_t n = 0;
	int rc;

	if (s->m && s->e->type == EVENT_PURCHASE_REFUNDED &&
		s->e->attr[ATTR_total].type == VALUE_DECIMAL) {
		if (purchase_total(s, key, &total) < 0)
			return -1;
		if (total > 0 && s->e->attr[ATTR_total].i < total)
			part = s->e->attr[ATTR_total].i;
	}
	if (!st)
		return work_failed(s->w, "what was counted");
	sql_int(st, 1, (int64_t)key);
	while ((rc = sql_step(st)) == 1)
		if (n < sizeof v / sizeof v[0])
			v[n++] = (struct counted){ sql_col(st, 0), sql_col(st, 1), sql_col(st, 2),
				sql_col(st, 3), sql_col(st, 4) };
	if (rc < 0)
		return work_failed(s->w, "what was counted");
	for (size_t i = 0; i < n; i++) {
		const struct counter *c = counter_number(s->w->rules, v[i].counter);
		int64_t by = v[i].value;

		if (!c || !undone_by(c, s->e->type) || (part && !is_sum(c)))
			continue;
		if (s->e->type == EVENT_SOCIAL_ACTIVITY_REMOVED && v[i].at > s->now)
			continue; /* it was made again after that */
		if (s->e->type == EVENT_SOCIAL_ACTIVITY_REMOVED)
			by = v[i].value < 1 ? v[i].value : 1;
		else if (part && c->sum == ATTR_total)
			by = part < by ? part : by;
		if (value_add(s->w, v[i].counter, v[i].subject, v[i].period, -by) < 0 ||
			counted_rest(s->w, key, &v[i], v[i].value - by) < 0)
			return -1;
	}
	return 0;
}

/* What takes a purchase back came before it: 1; in part, of a refund: 0, with the sum; -1. */
static int undone_already(struct offers_source *s, uint64_t receipt, int64_t *part_r)
{
	static const enum event_type types[] = { EVENT_PURCHASE_REFUNDED,
		EVENT_PURCHASE_CANCELLED };

	for (unsigned i = 0; i < 2; i++) {
		struct past_receipt was;
		int rc = past_receipt(s->w, s->m, types[i], receipt, INT64_MIN, &was);
		bool whole = !was.amount || was.amount >= event_amount(s->e);

		if (rc == 1)
			*part_r = whole ? 0 : was.amount;
		if (rc < 0 || (rc == 1 && whole))
			return rc;
	}
	return 0;
}

static bool same_activity(const struct event *e, const struct event *later)
{
	return undo_key(e) == undo_key(later);
}

/* ---- counting ---- */
static int count_one(struct offers_source *s, const struct counter *c, int64_t by, uint64_t key)
{
	int64_t subject, period = period_now(s, c);
	struct sql_stmt *st;

	if (!by || !subject_of(s, c, &subject))
		return 0;
	if (value_add(s->w, c->number, subject, period, by) < 0)
		return -1;
	if (!key)
		return 0;
	st = db_st(s->w->db, ST_COUNTED_ADD);
	if (!st)
		return work_failed(s->w, "what was counted");
	sql_int(st, 1, (int64_t)key);
	sql_int(st, 2, c->number);
	sql_int(st, 3, subject);
	sql_int(st, 4, period);
	sql_int(st, 5, by);
	sql_int(st, 6, s->now);
	return sql_run(st) < 0 ? work_failed(s->w, "what was counted") : 0;
}

int counter_event(struct offers_source *s)
{
	const struct rules *r = s->w->rules;
	uint64_t key = 0;
	bool looked = false;
	int64_t part = 0;
	int undone = 0;

	if (event_kinds[s->e->type].flags & EV_UNDO) {
		key = undo_key_of(s);
		return key ? counter_undo(s, key) : 0;
	}
	for (size_t i = 0; i < r->counters_n; i++) {
		const struct counter *c = &r->counters[i];
		bool undoes = c->conf->undo_on_refund || c->of == EVENT_SOCIAL_ACTIVITY;
		int64_t by;

		if (!counts(s, c) || !source_holds(s, c->only_if))
			continue;
		if (undoes && !looked) {
			looked = true;
			key = undo_key_of(s);
			if (key && s->m && s->e->type == EVENT_PURCHASE_COMPLETED)
				undone = undone_already(s, key, &part);
			else if (key && s->m && s->e->type == EVENT_SOCIAL_ACTIVITY)
				undone = later_event(s->w, s->m, s->e,
					EVENT_SOCIAL_ACTIVITY_REMOVED, same_activity);
			if (undone < 0)
				return -1;
		}
		if (undoes && undone)
			continue;
		by = addition(s, c);
		if (undoes && part && c->sum == ATTR_total)
			by -= part < by ? part : by;
		if (count_one(s, c, by, undoes ? key : 0) < 0)
			return -1;
	}
	return 0;
}

int counter_action(struct offers_source *s, const struct counter *c, int by)
{
	return count_one(s, c, by, 0);
}
