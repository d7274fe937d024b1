/* Removing what is old, table by table. See tidy.h. */
#include "plugins/offers/tidy.h"
#include "plugins/offers/chain.h"

enum stage {
	STAGE_CHAINS,
	STAGE_MARKS,
	STAGE_FIRED,
	STAGE_PAST,
	STAGE_COUNTED,
	STAGE_COUNTERS,
	STAGE_SENT,
	STAGE_TOUCH,
	STAGE_KEPT,
	STAGES
};
enum { COLUMNS_MOST = 8, LOOK_MOST = 1024 };
#define WAITS_MOST (31 * DUR_DAY) /* what was sent may wait so long */

static struct span negative(struct span s)
{
	return (struct span){ -s.months, -s.days, -s.exact };
}

static wall_t back(const struct work *w, wall_t from, struct span s)
{
	return zone_add(w->rules->zone, from, negative(s));
}

wall_t tidy_before(const struct work *w)
{
	const struct rules *r = w->rules;
	wall_t before;

	if (span_is_zero(r->keep_events))
		return 0;
	before = back(w, w->now, r->keep_events);
	for (size_t i = 0; i < r->offers_n; i++) {
		const struct offer *o = &r->offers[i];
		/* its first event, what its last step sent, and receipts of that */
		wall_t t = back(w, back(w, w->now - WAITS_MOST, o->total_after), o->settle);

		if (o->steps_n && t < before)
			before = t;
	}
	return before;
}

/* ---- one row, as its columns ---- */
struct old_row {
	int64_t v[COLUMNS_MOST];
};

static int ask(struct work *w, enum st which, const int64_t *v, unsigned n, int64_t *r)
{
	struct sql_stmt *st = db_st(w->db, which);
	int rc;

	*r = 0;
	if (!st)
		return work_failed(w, "what is old");
	for (unsigned i = 0; i < n; i++)
		sql_int(st, (int)i + 1, v[i]);
	rc = sql_step(st);
	if (rc == 1) {
		*r = sql_col(st, 0);
		sql_reset(st);
	}
	return rc < 0 ? work_failed(w, "what is old") : 0;
}

static int run(struct work *w, enum st which, const int64_t *v, unsigned n)
{
	struct sql_stmt *st = db_st(w->db, which);

	if (!st)
		return work_failed(w, "what is old");
	for (unsigned i = 0; i < n; i++)
		sql_int(st, (int)i + 1, v[i]);
	return sql_run(st) < 0 ? work_failed(w, "what is old") : 0;
}

/* ---- is it to go? 1, 0, -1 ---- */
static int see(struct tidy *p, const struct old_row *r)
{
	for (unsigned i = 0; i < p->seen_n; i++)
		if (p->seen[i].offer == (uint32_t)r->v[1] &&
			p->seen[i].version == (uint64_t)r->v[5] &&
			p->seen[i].pin == (uint64_t)r->v[6])
			return 0;
	if (p->seen_n == TIDY_SEEN)
		p->seen_all = false;
	else
		p->seen[p->seen_n++] = (struct tidy_seen){ (uint32_t)r->v[1], (uint64_t)r->v[5],
			(uint64_t)r->v[6] };
	return 0;
}

static int chain_goes(struct work *w, struct tidy *p, const struct old_row *r, wall_t before)
{
	const struct offer *o = rules_offer_number(w->rules, (uint32_t)r->v[1]);

	if (before && r->v[3] && r->v[4] < before)
		return 1;
	if (!r->v[3] && o && o->conf->apply_to_running && o->version != (uint64_t)r->v[5])
		return chain_apply(w, o, (uint64_t)r->v[2]);
	return see(p, r);
}

/* Marks and steps that fired tell together what a chain is: they go when nothing is left of it. */
static int pair_goes(struct work *w, const struct old_row *r, wall_t at, wall_t before)
{
	const int64_t v[] = { r->v[0], r->v[1], before };
	int64_t used;

	if (at >= before)
		return 0;
	return ask(w, ST_PAIR_IN_USE, v, 3, &used) < 0 ? -1 : !used;
}

static int past_goes(struct work *w, const struct old_row *r, wall_t before)
{
	int64_t needed;

	if (r->v[2] >= before)
		return 0;
	return ask(w, ST_PAST_NEEDED, r->v, 5, &needed) < 0 ? -1 : !needed;
}

/* A refund takes back what counts still; of counters that never begin anew, for as long as events
 * are kept. */
static int counted_goes(struct work *w, const struct old_row *r, wall_t before)
{
	if (r->v[4] >= before)
		return 0;
	for (size_t i = 0; i < w->rules->counters_n; i++) {
		const struct counter *c = &w->rules->counters[i];
		enum period p = (enum period)c->conf->period;

		/* a member's zone may be a day behind */
		if (c->number == (uint32_t)r->v[1] && p != PERIOD_EVER &&
			r->v[3] >= period_of(p, w->rules->zone, w->now - DUR_DAY))
			return 0;
	}
	return 1;
}

/* Since when the offer's messages to one member count for its limit. */
static wall_t limit_since(const struct work *w, const struct quota *q)
{
	static const struct span of[] = { [PERIOD_DAY] = { 0, 2, 0 },
		[PERIOD_WEEK] = { 0, 8, 0 },
		[PERIOD_MONTH] = { 1, 1, 0 },
		[PERIOD_YEAR] = { 12, 1, 0 } };

	if (q->period != PERIOD_EVER)
		return back(w, w->now, of[q->period]);
	return span_is_zero(q->span) ? INT64_MIN : back(w, w->now - DUR_DAY, q->span);
}

/* What limits over so many days back look at. */
static wall_t limits_before(const struct work *w, wall_t before)
{
	for (size_t i = 0; i < w->rules->offers_n; i++) {
		const struct offer *o = &w->rules->offers[i];
		const struct quota *q[] = { &o->per_account, &o->per_store, &o->total };

		for (unsigned k = 0; k < 3; k++)
			if (q[k]->most && q[k]->period == PERIOD_EVER &&
				!span_is_zero(q[k]->span) && limit_since(w, q[k]) < before)
				before = limit_since(w, q[k]);
	}
	return before;
}

/* counter, subject, period. A limit's row (they are below 0) does not tell of which period it is,
 * but the numbers of days, weeks, months and years since 1970 are far apart. */
static int counter_goes(
	const struct work *w, const struct tidy *t, const struct old_row *r, wall_t before)
{
	enum period p = PERIOD_EVER;

	if (r->v[0] < 0) {
		before = t->limits;
		p = r->v[2] > 10000  ? PERIOD_DAY
		    : r->v[2] > 2000 ? PERIOD_WEEK
		    : r->v[2] > 400  ? PERIOD_MONTH
		    : r->v[2] > 40   ? PERIOD_YEAR
				     : PERIOD_EVER;
	}
	for (size_t i = 0; i < w->rules->counters_n; i++)
		if (w->rules->counters[i].number == r->v[0])
			p = (enum period)w->rules->counters[i].conf->period;
	/* a member's zone may be a day behind */
	return p != PERIOD_EVER && r->v[2] < period_of(p, w->rules->zone, before - DUR_DAY);
}

/* id, at, member, object, run, is a message, state, due */
static int sent_goes(struct work *w, const struct old_row *r, wall_t before)
{
	const struct offer *o = rules_offer_number(w->rules, (uint32_t)r->v[3]);
	const int64_t v[] = { r->v[2], r->v[3] };
	int64_t waits;

	if (r->v[1] >= before || r->v[7] >= before)
		return 0;
	if (o && r->v[5] && o->per_member.most && r->v[1] >= limit_since(w, &o->per_member))
		return 0;
	return ask(w, ST_RUN_WAITS, v, 2, &waits) < 0 ? -1 : !waits;
}

static wall_t caps_before(const struct work *w, wall_t before)
{
	for (unsigned c = 0; c < CLASS_COUNT; c++)
		for (size_t i = 0; i < w->rules->classes[c].max_n; i++) {
			wall_t since = limit_since(w, &w->rules->classes[c].max[i]);

			if (since < before)
				before = since;
		}
	return before;
}

/* ---- the tables ---- */
static const struct table {
	enum st look, remove;
	unsigned key_n, columns;
} tables[STAGE_KEPT] = {
	[STAGE_CHAINS] = { ST_PURGE_CHAINS, ST_CHAIN_DEL, 1, 7 },
	[STAGE_MARKS] = { ST_PURGE_MARKS, ST_MARK_DEL, 4, 4 },
	[STAGE_FIRED] = { ST_PURGE_FIRED, ST_FIRED_DEL, 5, 6 },
	[STAGE_PAST] = { ST_PURGE_PASTS, ST_PAST_DEL, 4, 5 },
	[STAGE_COUNTED] = { ST_PURGE_COUNTEDS, ST_COUNTED_DEL, 4, 5 },
	[STAGE_COUNTERS] = { ST_PURGE_COUNTERS, ST_COUNTER_DEL, 3, 3 },
	[STAGE_SENT] = { ST_PURGE_SENTS, ST_SENT_DEL, 1, 8 },
	[STAGE_TOUCH] = { ST_PURGE_TOUCHES, ST_TOUCH_PURGE, 4, 5 },
};

static int look(
	struct work *w, const struct tidy *p, struct old_row *v, unsigned most, unsigned *n_r)
{
	const struct table *t = &tables[p->stage];
	struct sql_stmt *st = db_st(w->db, t->look);
	int i = 1, rc;

	*n_r = 0;
	if (!st)
		return work_failed(w, "what is old");
	for (unsigned k = 0; k < t->key_n; k++)
		sql_int(st, i++, p->begun ? p->at[k] : INT64_MIN);
	sql_int(st, i, most);
	while ((rc = sql_step(st)) == 1) {
		for (unsigned k = 0; k < t->columns; k++)
			v[*n_r].v[k] = sql_col(st, (int)k);
		++*n_r;
	}
	return rc < 0 ? work_failed(w, "what is old") : 0;
}

static int row_goes(struct work *w, struct tidy *p, const struct old_row *r, wall_t before)
{
	if (!before && p->stage != STAGE_CHAINS)
		return 0;
	switch (p->stage) {
	case STAGE_CHAINS:
		return chain_goes(w, p, r, before);
	case STAGE_MARKS:
		return pair_goes(w, r, r->v[2], before);
	case STAGE_FIRED:
		return pair_goes(w, r, r->v[5], before);
	case STAGE_PAST:
		return past_goes(w, r, before);
	case STAGE_COUNTED:
		return counted_goes(w, r, before);
	case STAGE_COUNTERS:
		return counter_goes(w, p, r, before);
	case STAGE_SENT:
		return sent_goes(w, r, before);
	default:
		return r->v[4] < caps_before(w, before);
	}
}

static int row_remove(struct work *w, struct tidy *p, const struct old_row *r)
{
	const struct table *t = &tables[p->stage];

	p->removed++;
	if (p->stage == STAGE_SENT && run(w, ST_PARTS_DEL, r->v, 1) < 0)
		return -1;
	return run(w, t->remove, r->v, t->key_n);
}

/* ---- what chains kept of offers, and none does any more ---- */
static bool is_seen(
	const struct work *w, const struct tidy *p, bool pin, uint32_t offer, uint64_t version)
{
	for (size_t i = 0; i < w->rules->offers_n; i++) {
		const struct offer *o = &w->rules->offers[i];

		if (pin ? o->pin == version : o->number == offer && o->version == version)
			return true;
	}
	for (unsigned i = 0; i < p->seen_n; i++)
		if (pin ? p->seen[i].pin == version
			: p->seen[i].offer == offer && p->seen[i].version == version)
			return true;
	return false;
}

static int kept_remove(struct work *w, struct tidy *p, bool pin)
{
	struct sql_stmt *st = db_st(w->db, pin ? ST_PINS_ALL : ST_STEPS_ALL);
	int64_t(*v)[2] = arena_alloc(w->arena, 4096 * sizeof *v);
	size_t n = 0;
	int rc;

	if (!st)
		return work_failed(w, "what is old");
	while ((rc = sql_step(st)) == 1) {
		v[n][0] = sql_col(st, 0);
		v[n][1] = pin ? v[n][0] : sql_col(st, 1);
		n += !is_seen(w, p, pin, (uint32_t)v[n][0], (uint64_t)v[n][1]);
	}
	if (rc < 0)
		return work_failed(w, "what is old");
	for (size_t i = 0; i < n; i++)
		if (run(w, pin ? ST_PIN_DEL : ST_STEPS_DEL, v[i], pin ? 1 : 2) < 0)
			return -1;
	p->removed += n;
	return 0;
}

/* Only if the configuration was the same all the while. */
static int kept_tidy(struct work *w, struct tidy *p)
{
	int64_t last;

	if (!p->seen_all)
		return 0;
	if (ask(w, ST_STEPS_LAST, NULL, 0, &last) < 0)
		return -1;
	if (last != p->steps_last)
		return 0;
	if (kept_remove(w, p, false) < 0 || kept_remove(w, p, true) < 0)
		return -1;
	return run(w, ST_SOURCES_TIDY, NULL, 0);
}

/* ---- a slice ---- */
int tidy_slice(struct work *w, struct tidy *p, unsigned most, bool *left_r)
{
	wall_t before = tidy_before(w);
	const struct table *t;
	struct old_row *v;
	unsigned n;

	*left_r = false;
	if (p->stage == STAGE_CHAINS && !p->begun) {
		p->seen_all = true;
		if (ask(w, ST_STEPS_LAST, NULL, 0, &p->steps_last) < 0)
			return -1;
	}
	if (p->stage >= STAGE_KEPT)
		return p->stage++ == STAGE_KEPT ? kept_tidy(w, p) : 0;
	if (most > LOOK_MOST)
		most = LOOK_MOST;
	t = &tables[p->stage];
	v = arena_alloc(w->arena, most * sizeof *v);
	if (before && p->stage == STAGE_COUNTERS)
		p->limits = limits_before(w, before);
	if (look(w, p, v, most, &n) < 0)
		return -1;
	for (unsigned i = 0; i < n; i++) {
		int goes = row_goes(w, p, &v[i], before);

		if (goes < 0 || (goes && row_remove(w, p, &v[i]) < 0))
			return -1;
	}
	p->looked += n;
	*left_r = true;
	if (n < most) {
		p->stage++;
		p->begun = false;
		return 0;
	}
	p->begun = true;
	for (unsigned k = 0; k < t->key_n; k++)
		p->at[k] = v[n - 1].v[k];
	return 0;
}
