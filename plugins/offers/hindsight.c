/* Late events and the filters that look back. See hindsight.h. */
#include "plugins/offers/hindsight.h"
#include "plugins/offers/chain.h"

enum { LOOK_MOST = 100 /* the statement's limit */ };

struct later {
	uint64_t asked, yes; /* sets of types */
};

/* Has the member events of that type that happened after this one, or with it? 1, 0, -1. */
static int later_ones(
	struct work *w, const struct member *m, const struct event *e, unsigned t, struct later *l)
{
	const uint64_t bit = UINT64_C(1) << t;
	struct sql_stmt *st;
	int rc;

	if (l->asked & bit)
		return (l->yes & bit) != 0;
	st = db_st(w->db, ST_PAST_LATER);
	if (!st)
		return work_failed(w, "past events");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, t);
	sql_int(st, 3, e->occurred);
	sql_int(st, 4, (int64_t)e->seq);
	rc = sql_step(st);
	sql_reset(st);
	if (rc < 0)
		return work_failed(w, "past events");
	l->asked |= bit;
	l->yes |= rc ? bit : 0;
	return rc;
}

/* The offer's view, now, of the events of that type since then, but for one. */
static int judge(struct work *w, const struct offer *o, struct member *m, wall_t since,
	uint64_t but, unsigned t, struct chain_verdict *v, size_t *n_r)
{
	struct sql_stmt *st = db_st(w->db, ST_PAST_SINCE);
	uint64_t seq[LOOK_MOST];
	size_t n = 0;
	int rc;

	if (!st)
		return work_failed(w, "past events");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, t);
	sql_int(st, 3, since);
	sql_int(st, 4, 0);
	while ((rc = sql_step(st)) == 1)
		if (n < LOOK_MOST)
			seq[n++] = (uint64_t)sql_col(st, 1);
	if (rc < 0)
		return work_failed(w, "past events");
	for (size_t i = 0; i < n; i++) {
		struct event *past;
		int disarms;

		if (seq[i] == but)
			continue;
		rc = event_load(w, seq[i], &past);
		if (rc < 0)
			return -1;
		if (rc == 0)
			continue; /* its text is gone: what it was taken for stays */
		disarms = offer_disarms(w, o, m, past);
		v[(*n_r)++] = (struct chain_verdict){ .occurred = past->occurred,
			.seq = seq[i],
			.receipt = event_purchase(past),
			.key = chain_key(o, past),
			.arms = offer_arms(w, o, m, past),
			.disarms = disarms == 1 };
		event_drop(&past);
		if (disarms < 0)
			return -1;
	}
	return 0;
}

/* One offer's view of the later events of one type. */
struct hindsight {
	struct hindsight *next;
	const struct offer *o;
	unsigned type;
	size_t n;
	struct chain_verdict v[];
};

static int offer_begin(struct work *w, const struct offer *o, struct member *m,
	const struct event *e, struct later *l, struct hindsight **list)
{
	for (unsigned t = 0; t < EVENT_TYPES; t++) {
		struct chain_verdict v[LOOK_MOST];
		struct hindsight *h;
		size_t n = 0;
		int rc;

		if (!((o->arms | o->disarms) >> t & 1))
			continue;
		rc = later_ones(w, m, e, t, l);
		if (rc == 1)
			rc = judge(w, o, m, e->occurred, e->seq, t, v, &n);
		if (rc < 0)
			return -1;
		if (!n)
			continue;
		h = arena_alloc(w->arena, sizeof *h + n * sizeof *v);
		*h = (struct hindsight){ .next = *list, .o = o, .type = t, .n = n };
		memcpy(h->v, v, n * sizeof *v);
		*list = h;
	}
	return 0;
}

int hindsight_begin(
	struct work *w, struct member *m, const struct event *e, struct hindsight **list_r)
{
	const struct rules *r = w->rules;
	struct later l = { 0 };

	*list_r = NULL;
	for (size_t i = 0; i < r->offers_n; i++) {
		const struct offer *o = &r->offers[i];

		if (o->steps_n && (o->looks_back >> e->type & 1) &&
			offer_begin(w, o, m, e, &l, list_r) < 0)
			return -1;
	}
	return 0;
}

static bool same_verdict(const struct hindsight *h, const struct chain_verdict *v)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->v[i].seq == v->seq)
			return h->v[i].arms == v->arms && h->v[i].disarms == v->disarms;
	return false;
}

int hindsight_end(
	struct work *w, struct member *m, const struct event *e, const struct hindsight *list)
{
	for (const struct hindsight *h = list; h; h = h->next) {
		struct chain_verdict v[LOOK_MOST];
		size_t n = 0, changed = 0;

		if (judge(w, h->o, m, e->occurred, e->seq, h->type, v, &n) < 0)
			return -1;
		/* what else has changed since then, of the member or elsewhere, is no matter */
		for (size_t i = 0; i < n; i++)
			if (!same_verdict(h, &v[i]))
				v[changed++] = v[i];
		if (changed && chain_again(w, h->o, m, v, changed) < 0)
			return -1;
	}
	return 0;
}

int hindsight_merge(struct work *w, struct member *m)
{
	const struct rules *r = w->rules;

	for (size_t i = 0; r && i < r->offers_n; i++) {
		const struct offer *o = &r->offers[i];
		const struct span back = { -o->total_after.months, -o->total_after.days - 31,
			-o->total_after.exact };

		if (!o->steps_n || !o->looks_back)
			continue;
		for (unsigned t = 0; t < EVENT_TYPES; t++) {
			struct chain_verdict v[LOOK_MOST];
			size_t n = 0;

			if (!((o->arms | o->disarms) >> t & 1))
				continue;
			if (judge(w, o, m, zone_add(m->zone, w->now, back), 0, t, v, &n) < 0 ||
				(n && chain_again(w, o, m, v, n) < 0))
				return -1;
		}
	}
	return 0;
}
