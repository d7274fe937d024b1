/* Points told late. See lot.h.
 *
 * Lots and balances are changed by events as they come, which is right as long as they come in the
 * order of what happened. When one comes after another that happened later, what the member's
 * events made of the ledger is taken away and told anew in that order, each at its own moment, once
 * without the late one and once with it. What the ledger has beyond what the first telling makes
 * (lots accrued here, or older than what is told anew) stays on top of what the second one makes.
 */
#include "plugins/offers/chain.h"
#include "plugins/offers/lot_intern.h"
#include "plugins/offers/tidy.h"

#include <stdlib.h>

/* The newest; what older ones made is taken as it is. Each may look at all lots: of who has
 * thousands it is fewer. */
enum { EVENTS_MOST = 100, EVENTS_LEAST = 10, LOOKS_MOST = 200000 };

static const enum event_type types[] = { EVENT_BONUS_CALCULATED, EVENT_BONUS_LOT,
	EVENT_BONUS_DEDUCTED, EVENT_PURCHASE_CANCELLED, EVENT_BALANCE_REQUESTED };
enum { TYPES = sizeof types / sizeof *types };

/* Has a lot that it tells been named before? */
static int is_awaited(struct work *w, const struct member *m, const struct event *e)
{
	struct str id;

	for (size_t i = 0; ledger_lot_named(w, m, e, i, &id); i++) {
		struct lot l;
		int there = lot_by_ext(w, id, &l);

		if (there && (there < 0 || l.state == LOT_AWAITED))
			return there;
	}
	return 0;
}

int ledger_overtaken(struct work *w, const struct member *m, const struct event *e)
{
	struct sql_stmt *st = db_st(w->db, ST_LEDGER_LATER);
	int own = ledger_rank(e->type), rc = -1;
	bool later = false, spent = false;

	if (st) {
		sql_int(st, 1, (int64_t)m->id);
		for (int i = 0; i < TYPES; i++)
			sql_int(st, 2 + i, types[i]);
		sql_int(st, 2 + TYPES, e->occurred);
		sql_int(st, 3 + TYPES, (int64_t)e->seq);
	}
	while (st && !later && (rc = sql_step(st)) == 1) {
		int rank = ledger_rank((enum event_type)sql_col(st, 0));
		uint64_t receipt = (uint64_t)sql_col(st, 2);

		if (sql_col(st, 1) == e->occurred && rank <= own)
			continue;
		/* a receipt spends other points than it gives: a till may say both in any order */
		if (sql_col(st, 1) == e->occurred && receipt && receipt == event_purchase(e) &&
			rank == ledger_rank(EVENT_BONUS_DEDUCTED))
			spent = true;
		else
			later = true;
	}
	if (later)
		sql_reset(st);
	else if (rc < 0)
		return work_failed(w, "past events");
	return later ? 1 : spent ? is_awaited(w, m, e) : 0;
}

/* ---- what is told, and what is there ---- */
struct happening {
	wall_t at;
	int rank;
	uint64_t seq;
	struct event *e; /* NULL: of a lot or a balance that no event tells: */
	uint64_t lot;    /* it became void */
	uint32_t currency;
};
struct figure {
	uint32_t currency;
	int64_t amount;
	wall_t at;
};
struct ledger {
	struct lot *lot; /* by id */
	size_t lot_n;
	struct figure *fig;
	size_t fig_n;
};
/* A lot that one of them tells or takes from. */
struct named {
	struct str id;
	size_t nth;  /* the first of them that does */
	bool wholly; /* which tells all of it */
};
struct telling {
	struct work *w;
	const struct member *m;
	wall_t now;
	struct event *late;
	struct event *past[EVENTS_MOST];
	size_t past_n;
	struct happening *h;
	size_t h_n;
	struct named *named; /* by id */
	size_t named_n, named_cap;
	bool whole; /* these events are all that there were */
	struct ledger is;
	/* of each lot there: do these events tell all that is known of it, and what did they take
	 */
	bool *told;
	int64_t *taken;
	int64_t loose; /* taken of any, without a receipt that would tell of which */
};

static int ledger_read(struct work *w, const struct member *m, struct ledger *l)
{
	enum { CURRENCIES_MOST = 64 };
	struct sql_stmt *st = db_st(w->db, ST_LOTS_KNOWN);
	int got = 0;

	*l = (struct ledger){ .fig = arena_alloc(w->arena, CURRENCIES_MOST * sizeof *l->fig) };
	if (!st)
		return work_failed(w, "bonus lots");
	sql_int(st, 1, (int64_t)m->id);
	if (lots_read(w, st, &l->lot, &l->lot_n))
		return -1;
	st = db_st(w->db, ST_BALANCES_KNOWN);
	if (st)
		sql_int(st, 1, (int64_t)m->id);
	while (st && (got = sql_step(st)) == 1)
		if (l->fig_n < CURRENCIES_MOST)
			l->fig[l->fig_n++] = (struct figure){ (uint32_t)sql_col(st, 0),
				sql_col(st, 1), sql_col(st, 2) };
	return !st || got < 0 ? work_failed(w, "balances") : 0;
}

static int events_read(struct telling *t)
{
	struct sql_stmt *st = db_st(t->w->db, ST_LEDGER_PAST);
	uint64_t *seq = arena_alloc(t->w->arena, EVENTS_MOST * sizeof *seq);
	size_t n = 0, most = LOOKS_MOST / (t->is.lot_n + 1);
	int got = 0;

	most = most < EVENTS_LEAST ? EVENTS_LEAST : most < EVENTS_MOST ? most : EVENTS_MOST;
	if (st) {
		sql_int(st, 1, (int64_t)t->m->id);
		sql_int(st, 2, types[0]);
		sql_int(st, 3, (int64_t)t->late->seq);
		sql_int(st, 4, (int64_t)most);
		for (int i = 1; i < TYPES; i++)
			sql_int(st, 4 + i, types[i]);
	}
	while (st && (got = sql_step(st)) == 1)
		if (n < most)
			seq[n++] = (uint64_t)sql_col(st, 0);
	if (!st || got < 0)
		return work_failed(t->w, "past events");
	t->whole = n < most && t->m->created > tidy_before(t->w);
	for (size_t i = 0; i < n; i++) {
		got = event_load(t->w, seq[i], &t->past[t->past_n]);
		if (got < 0)
			return -1;
		t->past_n += (size_t)got;
		t->whole = t->whole && got;
	}
	return 0;
}

static int by_id(const void *pa, const void *pb)
{
	const struct named *a = pa, *b = pb;
	int c = str_cmp(a->id, b->id);

	return c ? c : a->nth < b->nth ? -1 : a->nth > b->nth;
}

static int of_id(const void *key, const void *p)
{
	return str_cmp(*(const struct str *)key, ((const struct named *)p)->id);
}

static void names_of(struct telling *t, const struct event *e, size_t nth)
{
	struct named n = { .nth = nth,
		.wholly = e->type == EVENT_BONUS_CALCULATED ||
			  (e->type == EVENT_BONUS_LOT &&
				  e->attr[ATTR_amount].type != VALUE_MISSING) };

	for (size_t i = 0; ledger_lot_named(t->w, t->m, e, i, &n.id); i++) {
		if (t->named_n == t->named_cap) {
			size_t cap = t->named_cap ? 2 * t->named_cap : 64;
			struct named *more = arena_alloc(t->w->arena, cap * sizeof *more);

			if (t->named_n)
				memcpy(more, t->named, t->named_n * sizeof *more);
			t->named = more;
			t->named_cap = cap;
		}
		t->named[t->named_n++] = n;
	}
}

/* Of what happened, in its order; each is there once. */
static void names_read(struct telling *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->h_n; i++)
		if (t->h[i].e != t->late)
			names_of(t, t->h[i].e, i);
	if (t->named_n)
		qsort(t->named, t->named_n, sizeof *t->named, by_id);
	for (size_t i = 0; i < t->named_n; i++)
		if (n == 0 || !str_eq(t->named[n - 1].id, t->named[i].id))
			t->named[n++] = t->named[i];
	t->named_n = n;
}

static bool has_receipt(const struct telling *t, size_t before, uint64_t receipt)
{
	for (size_t i = 0; i < before; i++)
		if (t->past[i]->type == EVENT_BONUS_DEDUCTED &&
			ledger_receipt(t->past[i]) == receipt)
			return true;
	return false;
}

static int taken_by(struct telling *t, uint64_t receipt)
{
	struct sql_stmt *st = db_st(t->w->db, ST_SPENT_OF);
	int got = 0;

	if (st) {
		sql_int(st, 1, (int64_t)t->m->id);
		sql_int(st, 2, (int64_t)receipt);
	}
	while (st && (got = sql_step(st)) == 1) {
		uint64_t lot = (uint64_t)sql_col(st, 1);
		size_t from = 0, to = t->is.lot_n;

		while (from < to) {
			size_t mid = from + (to - from) / 2;

			if (t->is.lot[mid].id < lot)
				from = mid + 1;
			else
				to = mid;
		}
		if (from < t->is.lot_n && t->is.lot[from].id == lot)
			t->taken[from] = decimal_add(t->taken[from], sql_col(st, 2));
	}
	return !st || got < 0 ? work_failed(t->w, "what a receipt spent") : 0;
}

/* What these events took of the lots that are there. */
static int taken_read(struct telling *t)
{
	t->taken = arena_alloc(t->w->arena, (t->is.lot_n + 1) * sizeof *t->taken);
	memset(t->taken, 0, (t->is.lot_n + 1) * sizeof *t->taken);
	for (size_t i = 0; i < t->past_n; i++) {
		const struct event *e = t->past[i];
		uint64_t receipt = ledger_receipt(e);

		if (e->type != EVENT_BONUS_DEDUCTED)
			continue;
		if (!receipt)
			t->loose = decimal_add(t->loose, ledger_deducted(e));
		else if (!has_receipt(t, i, receipt) && taken_by(t, receipt))
			return -1;
	}
	return 0;
}

/* Do these events tell all that is known of it? What was before them may have told of it, or taken
 * of it, else. */
static bool is_told(const struct telling *t, size_t i)
{
	const struct lot *l = &t->is.lot[i];
	const struct named *n = t->named_n && !l->ours
					? bsearch(&l->ext, t->named, t->named_n, sizeof *n, of_id)
					: NULL;

	/* of one without an amount nobody has told more than they do */
	return n && (t->whole || ((n->wholly || !l->amount) &&
					 decimal_add(l->amount, -l->rest) <= t->taken[i]));
}

/* The platform's word on a balance that none of these events is. */
static bool is_word_of_event(const struct telling *t, wall_t at)
{
	for (size_t i = 0; i < t->past_n; i++)
		if (t->past[i]->type == EVENT_BALANCE_REQUESTED && t->past[i]->occurred == at)
			return true;
	return false;
}

static int by_time(const void *pa, const void *pb)
{
	const struct happening *a = pa, *b = pb;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank - b->rank;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static void happening_add(struct telling *t, struct event *e)
{
	t->h[t->h_n++] = (struct happening){
		.at = e->occurred, .rank = ledger_rank(e->type), .seq = e->seq, .e = e
	};
}

static int telling_begin(struct telling *t)
{
	struct work *w = t->w;

	if (ledger_read(w, t->m, &t->is) || events_read(t) || taken_read(t))
		return -1;
	t->h = arena_alloc(w->arena, (t->past_n + 1 + t->is.lot_n + t->is.fig_n) * sizeof *t->h);
	for (size_t i = 0; i < t->past_n; i++)
		happening_add(t, t->past[i]);
	happening_add(t, t->late);
	qsort(t->h, t->h_n, sizeof *t->h, by_time);
	names_read(t);
	t->told = arena_alloc(w->arena, (t->is.lot_n + 1) * sizeof *t->told);
	for (size_t i = 0; i < t->is.lot_n; i++)
		t->told[i] = is_told(t, i);
	for (size_t i = 0; i < t->is.lot_n; i++)
		if (t->is.lot[i].state == LOT_VOID && !t->told[i])
			t->h[t->h_n++] = (struct happening){ .at = t->is.lot[i].at,
				.rank = ledger_rank(EVENT_PURCHASE_CANCELLED),
				.lot = t->is.lot[i].id };
	for (size_t i = 0; i < t->is.fig_n; i++)
		if (t->is.fig[i].at && !is_word_of_event(t, t->is.fig[i].at))
			t->h[t->h_n++] = (struct happening){ .at = t->is.fig[i].at,
				.rank = ledger_rank(EVENT_BALANCE_REQUESTED),
				.currency = t->is.fig[i].currency };
	qsort(t->h, t->h_n, sizeof *t->h, by_time);
	return 0;
}

/* ---- telling ---- */

/* A lot that none of these events tells, as it was before them: with what they may have taken. */
static int lot_before(const struct telling *t, size_t i, wall_t at)
{
	const struct lot *l = &t->is.lot[i];
	struct lot was = *l;

	was.rest = decimal_add(l->rest, decimal_add(t->taken[i], t->loose));
	if (l->state != LOT_AWAITED) {
		was.rest = was.rest < l->amount ? was.rest : l->amount;
		was.state = l->expires && l->expires <= at ? LOT_EXPIRED
			    : l->activates > at            ? LOT_SCHEDULED
							   : LOT_ACTIVE;
	} else if (was.rest > 0) {
		was.rest = 0;
	}
	if ((was.rest != l->rest || was.state != l->state) && lot_save(t->w, t->m, &was))
		return -1;
	return was.state == LOT_ACTIVE
		       ? balance_add(t->w, t->m->id, was.currency, was.rest, was.activates)
		       : 0;
}

static int erase(const struct telling *t, enum st which, int64_t a, int64_t b)
{
	struct sql_stmt *st = db_st(t->w->db, which);

	if (st) {
		sql_int(st, 1, a);
		if (which == ST_SPENT_DROP) {
			sql_int(st, 2, b);
			sql_int(st, 3, INT64_MIN);
		}
	}
	return !st || sql_run(st) < 0 ? work_failed(t->w, "the ledger") : 0;
}

static int rewind_to(const struct telling *t, wall_t at)
{
	if (erase(t, ST_BALANCES_ERASE, (int64_t)t->m->id, 0))
		return -1;
	for (size_t i = 0; i < t->is.lot_n; i++) {
		if (t->told[i] ? erase(t, ST_LOT_DEL, (int64_t)t->is.lot[i].id, 0)
			       : lot_before(t, i, at))
			return -1;
	}
	for (size_t i = 0; i < t->past_n; i++)
		if (t->past[i]->type == EVENT_BONUS_DEDUCTED && ledger_receipt(t->past[i]) &&
			erase(t, ST_SPENT_DROP, (int64_t)t->m->id,
				(int64_t)ledger_receipt(t->past[i])))
			return -1;
	return 0;
}

static int happen(const struct telling *t, const struct happening *h)
{
	struct lot *l;

	if (h->e)
		return ledger_tell(t->w, t->m, h->e);
	if (h->currency)
		return balance_set(t->w, t->m, h->currency, 0, h->at);
	for (size_t i = 0; i < t->is.lot_n; i++) {
		l = &t->is.lot[i];
		if (l->id == h->lot) {
			struct lot now;
			int got = lot_by_ext(t->w, l->ext, &now);

			return got < 1 ? got : lot_void(t->w, &now, h->at);
		}
	}
	return 0;
}

/* From that one on, up to another. */
static int tell(const struct telling *t, size_t from, size_t to)
{
	struct work *w = t->w;
	wall_t turn = INT64_MIN;
	int rc = 0;

	w->lots_turn = &turn;
	for (size_t i = from; i < to && rc == 0; i++) {
		w->now = t->h[i].at < t->now ? t->h[i].at : t->now;
		if (turn <= w->now &&
			(ledger_settle(w, t->m->id) || ledger_turns(w, t->m->id, &turn)))
			rc = -1;
		else
			rc = happen(t, &t->h[i]);
	}
	w->lots_turn = NULL;
	return rc;
}

static int tell_rest(const struct telling *t, size_t from, struct ledger *l)
{
	int rc = tell(t, from, t->h_n);

	t->w->now = t->now;
	return rc < 0 || ledger_settle(t->w, t->m->id) || ledger_read(t->w, t->m, l) ? -1 : 0;
}

static int back(struct work *w, const char *text)
{
	return sql_exec(w->db->sql, text) < 0 ? work_failed(w, "the ledger") : 0;
}

/* Without the late one and with it: what was before it is told once. */
static int tell_twice(const struct telling *t, struct ledger *was, struct ledger *is)
{
	struct work *w = t->w;
	const struct rules *rules = w->rules;
	struct rules quiet = *rules;
	wall_t before = t->h[0].at - 1;
	size_t late = 0;
	int rc;

	while (t->h[late].e != t->late)
		late++;
	quiet.tasks_n = 0; /* nobody is told of what was prolonged on the way */
	w->rules = &quiet;
	rc = rewind_to(t, before < t->now ? before : t->now) || tell(t, 0, late) ||
			     back(w, "SAVEPOINT ledger_again") || tell_rest(t, late + 1, was) ||
			     back(w, "ROLLBACK TO ledger_again; RELEASE ledger_again") ||
			     tell_rest(t, late, is)
		     ? -1
		     : 0;
	w->rules = rules;
	w->now = t->now;
	return rc;
}

/* ---- the difference ---- */
static int by_name(const void *pa, const void *pb)
{
	const struct lot *a = pa, *b = pb;
	int c = str_cmp(a->ext, b->ext);

	return c ? c : a->id < b->id ? -1 : a->id > b->id;
}

/* Of lots by name; those that have none by their id. */
static const struct lot *lot_of(const struct ledger *l, const struct lot *one)
{
	size_t from = 0, to = l->lot_n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		const struct lot *v = &l->lot[mid];
		int c = one->ext.n ? str_cmp(v->ext, one->ext) : by_name(v, one);

		if (c == 0)
			return v;
		if (c < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

static bool lot_same(const struct lot *a, const struct lot *b)
{
	return a->amount == b->amount && a->activates == b->activates && a->expires == b->expires &&
	       a->at == b->at && a->state == b->state && a->receipt == b->receipt;
}

static int lot_differs(
	const struct telling *t, const struct lot *is, const struct lot *was, const struct lot *now)
{
	bool stays = !lot_same(is, was) && lot_same(was, now);
	struct lot l = stays ? *is : *now;

	l.id = now->id;
	l.currency = now->currency;
	l.rest = decimal_add(now->rest, decimal_add(is->rest, -was->rest));
	if (l.state != LOT_AWAITED)
		l.rest = l.rest < 0 ? 0 : l.rest > l.amount ? l.amount : l.rest;
	if ((stays || l.rest != now->rest) && lot_save(t->w, t->m, &l))
		return -1;
	if (is->state < LOT_EXPIRED && l.state < LOT_EXPIRED && l.rest > 0 && is->expires &&
		(!l.expires || l.expires > is->expires))
		return bonus_prolonged(t->w, t->m->id, is, &l);
	return 0;
}

static bool has_figure(const struct ledger *l, uint32_t currency)
{
	for (size_t i = 0; i < l->fig_n; i++)
		if (l->fig[i].currency == currency)
			return true;
	return false;
}

static struct figure figure_of(const struct ledger *l, uint32_t currency)
{
	for (size_t i = 0; i < l->fig_n; i++)
		if (l->fig[i].currency == currency)
			return l->fig[i];
	return (struct figure){ .currency = currency };
}

static int balance_differs(const struct telling *t, uint32_t currency, const struct ledger *was,
	const struct ledger *now)
{
	struct figure is = figure_of(&t->is, currency), before = figure_of(was, currency);
	struct sql_stmt *st;

	/* the platform's word that came late says what there was: all of it */
	if (figure_of(now, currency).at > before.at)
		before = is;
	st = db_st(t->w->db, ST_BALANCE_SHIFT);
	if (st) {
		sql_int(st, 1, (int64_t)t->m->id);
		sql_int(st, 2, currency);
		sql_int(st, 3, amount_within(decimal_add(is.amount, -before.amount)));
		sql_int(st, 4, is.at);
	}
	return !st || sql_run(st) < 0 ? work_failed(t->w, "a balance") : 0;
}

/* What these events make without the late one, but was not there, is of events before them. */
static int never_was(const struct telling *t, const struct ledger *was, const struct ledger *now)
{
	for (size_t i = 0; i < was->lot_n; i++) {
		const struct lot *before = &was->lot[i];
		const struct lot *after = lot_of(now, before);

		if (!lot_of(&t->is, before) && after && lot_same(before, after) &&
			before->rest == after->rest && erase(t, ST_LOT_DEL, (int64_t)after->id, 0))
			return -1;
	}
	return 0;
}

static int lots_differ(const struct telling *t, const struct ledger *was, const struct ledger *now)
{
	for (size_t i = 0; i < t->is.lot_n; i++) {
		const struct lot *l = &t->is.lot[i], *before = lot_of(was, l),
				 *after = lot_of(now, l);

		if (before && after && lot_differs(t, l, before, after))
			return -1;
		if (!before && !after && lot_add(t->w, t->m, l, STR_NONE))
			return -1;
	}
	return never_was(t, was, now);
}

static int difference(const struct telling *t, const struct ledger *was, const struct ledger *now)
{
	qsort(t->is.lot, t->is.lot_n, sizeof *t->is.lot, by_name);
	qsort(was->lot, was->lot_n, sizeof *was->lot, by_name);
	qsort(now->lot, now->lot_n, sizeof *now->lot, by_name);
	if (lots_differ(t, was, now))
		return -1;
	for (size_t i = 0; i < t->is.fig_n; i++)
		if (balance_differs(t, t->is.fig[i].currency, was, now))
			return -1;
	for (size_t i = 0; i < was->fig_n; i++) /* that are none now: lots of ours that are over */
		if (was->fig[i].amount && !has_figure(&t->is, was->fig[i].currency) &&
			balance_differs(t, was->fig[i].currency, was, now))
			return -1;
	return 0;
}

int ledger_again(struct work *w, const struct member *m, struct event *e)
{
	struct telling *t = arena_alloc(w->arena, sizeof *t);
	struct ledger was, now;
	int rc;

	*t = (struct telling){ .w = w, .m = m, .now = w->now, .late = e };
	rc = telling_begin(t);
	if (rc == 0)
		rc = tell_twice(t, &was, &now) || difference(t, &was, &now) ? -1 : 0;
	while (t->past_n)
		event_drop(&t->past[--t->past_n]);
	return rc;
}
