/* Late events and the filters that look back. See hindsight.h. */
#include "plugins/offers/hindsight.h"
#include "plugins/offers/chain.h"

enum { LOOK_MOST = 100 /* the statement's limit */ };

/* Has the member events of that type that happened after this one, or with it? 1, 0, -1. */
static int later_ones(struct work *w, const struct member *m, const struct event *e, unsigned t)
{
	struct sql_stmt *st = db_st(w->db, ST_PAST_LATER);
	int rc;

	if (!st)
		return work_failed(w, "past events");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, t);
	sql_int(st, 3, e->occurred);
	sql_int(st, 4, (int64_t)e->seq);
	rc = sql_step(st);
	sql_reset(st);
	return rc < 0 ? work_failed(w, "past events") : rc;
}

/* Events of one type that happened since then. Reading one costs more than judging it: they are
 * read once for all offers. */
struct pasts {
	struct event *v[LOOK_MOST];
	size_t n;
};

static void pasts_drop(struct pasts *p)
{
	while (p->n)
		event_drop(&p->v[--p->n]);
}

/* All but that one. */
static int pasts_load(struct work *w, const struct member *m, wall_t since, uint64_t but,
	unsigned t, struct pasts *p)
{
	struct sql_stmt *st = db_st(w->db, ST_PAST_SINCE);
	uint64_t seq[LOOK_MOST];
	size_t n = 0;
	int rc;

	p->n = 0;
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
		if (seq[i] == but)
			continue;
		rc = event_load(w, seq[i], &p->v[p->n]);
		if (rc < 0) {
			pasts_drop(p);
			return -1;
		}
		p->n += (size_t)rc; /* else its text is gone: what it was taken for stays */
	}
	return 0;
}

/* The offer's view of them now. */
static int judge(struct work *w, const struct offer *o, struct member *m, const struct pasts *p,
	struct chain_verdict *v, size_t *n_r)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct event *past = p->v[i];
		int disarms = offer_disarms(w, o, m, past);

		if (disarms < 0)
			return -1;
		v[(*n_r)++] = (struct chain_verdict){ .occurred = past->occurred,
			.seq = past->seq,
			.receipt = event_purchase(past),
			.key = chain_key(o, past),
			.arms = offer_arms(w, o, m, past),
			.disarms = disarms == 1 };
	}
	return 0;
}

/* One offer's view of the events of one type since then, but for one. */
struct hindsight {
	struct hindsight *next; /* those of one type and time stand together */
	const struct offer *o;
	unsigned type;
	wall_t since;
	uint64_t but;
	size_t n;
	struct chain_verdict v[];
};

static void view_keep(struct work *w, struct hindsight **list, const struct hindsight *h,
	const struct chain_verdict *v)
{
	struct hindsight *kept;

	if (!h->n)
		return;
	kept = arena_alloc(w->arena, sizeof *kept + h->n * sizeof *v);
	*kept = *h;
	kept->next = *list;
	memcpy(kept->v, v, h->n * sizeof *v);
	*list = kept;
}

/* Does the offer ask for the past of that type (any: EVENT_TYPES), and hang on events of this? */
static bool concerns(const struct offer *o, unsigned asks, unsigned t)
{
	return o->steps_n && ((o->arms | o->disarms) >> t & 1) &&
	       (asks == EVENT_TYPES ? o->looks_back != 0 : o->looks_back >> asks & 1);
}

static bool concerns_any(const struct rules *r, unsigned asks, unsigned t)
{
	for (size_t i = 0; i < r->offers_n; i++)
		if (concerns(&r->offers[i], asks, t))
			return true;
	return false;
}

int hindsight_begin(
	struct work *w, struct member *m, const struct event *e, struct hindsight **list_r)
{
	const struct rules *r = w->rules;
	struct pasts p;
	bool asked = false;
	int rc = 0;

	*list_r = NULL;
	for (size_t i = 0; i < r->offers_n; i++)
		asked |= r->offers[i].looks_back >> e->type & 1;
	for (unsigned t = 0; asked && t < EVENT_TYPES && rc == 0; t++) {
		if (!concerns_any(r, e->type, t))
			continue;
		rc = later_ones(w, m, e, t);
		if (rc <= 0)
			continue;
		rc = pasts_load(w, m, e->occurred, e->seq, t, &p);
		for (size_t i = 0; i < r->offers_n && rc == 0 && p.n; i++) {
			const struct offer *o = &r->offers[i];
			struct hindsight h = {
				.o = o, .type = t, .since = e->occurred, .but = e->seq
			};
			struct chain_verdict v[LOOK_MOST];

			if (!concerns(o, e->type, t))
				continue;
			rc = judge(w, o, m, &p, v, &h.n);
			view_keep(w, list_r, &h, v);
		}
		pasts_drop(&p);
	}
	return rc;
}

/* Since when the chains of the offer may still run: what was before is no matter. */
static int merge_begin(struct work *w, const struct offer *o, unsigned t, struct member *to,
	struct member *from, struct hindsight **list)
{
	const struct span back = { -o->total_after.months, -o->total_after.days - 31,
		-o->total_after.exact };
	struct hindsight h = { .o = o, .type = t, .since = zone_add(to->zone, w->now, back) };
	struct member *const both[] = { to, from };
	struct chain_verdict v[2 * LOOK_MOST];
	int rc = 0;

	for (unsigned i = 0; i < 2 && rc == 0; i++) {
		struct pasts p;

		rc = pasts_load(w, both[i], h.since, 0, t, &p);
		if (rc == 0)
			rc = judge(w, o, both[i], &p, v, &h.n);
		pasts_drop(&p);
	}
	view_keep(w, list, &h, v);
	return rc;
}

int hindsight_merge(
	struct work *w, struct member *to, struct member *from, struct hindsight **list_r)
{
	const struct rules *r = w->rules;

	*list_r = NULL;
	for (unsigned t = 0; r && t < EVENT_TYPES; t++)
		for (size_t i = 0; i < r->offers_n; i++)
			if (concerns(&r->offers[i], EVENT_TYPES, t) &&
				merge_begin(w, &r->offers[i], t, to, from, list_r) < 0)
				return -1;
	return 0;
}

static bool same_verdict(const struct hindsight *h, const struct chain_verdict *v)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->v[i].seq == v->seq)
			return h->v[i].arms == v->arms && h->v[i].disarms == v->disarms;
	return false;
}

static int offer_end(
	struct work *w, struct member *m, const struct hindsight *h, const struct pasts *p)
{
	struct chain_verdict v[LOOK_MOST];
	size_t n = 0, changed = 0;

	if (judge(w, h->o, m, p, v, &n) < 0)
		return -1;
	/* what else has changed since then, of the member or elsewhere, is no matter */
	for (size_t i = 0; i < n; i++)
		if (!same_verdict(h, &v[i]))
			v[changed++] = v[i];
	return changed ? chain_again(w, h->o, m, v, changed) : 0;
}

int hindsight_end(struct work *w, struct member *m, const struct hindsight *list)
{
	struct pasts p;
	int rc = 0;

	while (list && rc == 0) {
		const struct hindsight *one = list;

		rc = pasts_load(w, m, one->since, one->but, one->type, &p);
		for (; list && list->type == one->type && list->since == one->since && rc == 0;
			list = list->next)
			rc = offer_end(w, m, list, &p);
		pasts_drop(&p);
	}
	return rc;
}
