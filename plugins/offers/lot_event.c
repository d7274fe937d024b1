/* Events about points, mirrored into the ledger. See lot.h.
 *
 * A till works an accrual out anew each time an article is added, under the same receipt: the last
 * word on a receipt replaces those before. What a receipt spent is remembered, to be given back
 * when it is cancelled. Deductions that name no lots take from those that expire first, but for
 * what their own receipt gives.
 */
#include "plugins/offers/lot_intern.h"

#include <math.h>

/* As event_read() took it; what it did not check is 0. */
static int64_t decimal_of(const json_t *v)
{
	int64_t i;

	if (json_is_integer(v)) {
		if (__builtin_mul_overflow(json_integer_value(v), (json_int_t)DECIMAL_ONE, &i))
			return 0;
		return i;
	}
	if (json_is_real(v) && fabs(json_real_value(v)) < 1e13)
		return (int64_t)round(json_real_value(v) * DECIMAL_ONE);
	return decimal_parse(json_str(v), &i) ? i : 0;
}

static wall_t time_of(const json_t *v)
{
	wall_t t;

	return clock_parse_rfc3339(json_str(v), &t) ? t : 0;
}

static struct str text_of(const struct event *e, enum event_attr a)
{
	return e->attr[a].type == VALUE_TEXT ? e->attr[a].s : STR_NONE;
}

static struct str id_of(struct work *w, const json_t *v)
{
	if (json_is_integer(v))
		return str_of(arena_printf(w->arena, "%lld", (long long)json_integer_value(v)));
	return json_str(v);
}

uint64_t ledger_receipt(const struct event *e)
{
	struct str r = text_of(e, ATTR_receipt);
	uint64_t h = r.n ? str_hash(r) & INT64_MAX : 0;

	return r.n && !h ? 1 : h;
}

/* The event's own, or the programme's first. */
static int currency_of(struct work *w, struct str code, uint32_t *n_r)
{
	if (code.n == 0 && currencies_count(w->rules->currencies))
		code = str_of(currency_code(currencies_at(w->rules->currencies, 0)));
	*n_r = currency_number(w, code.n ? code : STR("bonus"), true);
	return *n_r ? 0 : work_failed(w, "a currency");
}

/* ---- accruals ---- */
static bool told_again(const struct str *ids, size_t n, struct str id)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(ids[i], id))
			return true;
	return false;
}

/* An accrual without lots is one lot: by its receipt, so that the next word on that replaces it; or
 * by the event. */
static struct str lot_own_name(struct work *w, const struct member *m, const struct event *e)
{
	struct str receipt = text_of(e, ATTR_receipt);
	uint64_t whose = e->whose ? e->whose : m->id; /* who may have been merged since */

	return str_of(receipt.n ? arena_printf(w->arena, "receipt/%llu/%.*s/%.*s",
					  (unsigned long long)whose, STR_ARG(receipt),
					  STR_ARG(text_of(e, ATTR_currency)))
				: arena_printf(w->arena, "event/%.*s/%.*s", STR_ARG(e->source),
					  STR_ARG(e->id)));
}

/* Or the one of ours that the platform confirms. */
static int lot_of_event(
	struct work *w, const struct member *m, const struct event *e, struct str *id_r)
{
	const struct str ours[] = { text_of(e, ATTR_reason), e->id };
	struct lot l;

	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
		int got = ours[i].n ? lot_by_ext(w, ours[i], &l) : 0;

		if (got < 0)
			return -1;
		if (got && l.member == m->id) {
			*id_r = ours[i];
			return 0;
		}
	}
	*id_r = lot_own_name(w, m, e);
	return 0;
}

static int lots_of_receipt(
	struct work *w, const struct member *m, uint64_t receipt, struct lot **v_r, size_t *n_r)
{
	struct sql_stmt *st = db_st(w->db, ST_LOTS_OF_RECEIPT);

	if (!st)
		return work_failed(w, "bonus lots");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, (int64_t)receipt);
	return lots_read(w, st, v_r, n_r);
}

static int put_lots(struct work *w, const struct member *m, const struct event *e, json_t *lots,
	struct lot_told *t, struct str *ids)
{
	json_t *o;
	size_t i;

	json_array_foreach(lots, i, o)
	{
		struct str code = json_str(json_object_get(o, "currency"));

		t->ext = ids[i] = id_of(w, json_object_get(o, "id"));
		t->amount = decimal_of(json_object_get(o, "amount"));
		t->activates = time_of(json_object_get(o, "activates_at"));
		t->expires = time_of(json_object_get(o, "expires_at"));
		t->is_void = json_is_true(json_object_get(o, "void"));
		if (currency_of(w, code.n ? code : text_of(e, ATTR_currency), &t->currency) ||
			lot_put(w, m, t))
			return -1;
	}
	return 0;
}

static int accrued(struct work *w, const struct member *m, const struct event *e)
{
	json_t *lots = event_part(e, ATTR_lots);
	size_t n = json_array_size(lots), old_n = 0;
	struct str *ids = arena_alloc(w->arena, (n + 1) * sizeof *ids);
	struct lot_told t = { .at = e->occurred, .receipt = ledger_receipt(e) };
	struct lot *old = NULL;
	uint32_t currency;

	if (currency_of(w, text_of(e, ATTR_currency), &currency))
		return -1;
	if (t.receipt && lots_of_receipt(w, m, t.receipt, &old, &old_n))
		return -1;
	for (size_t i = 0; i < old_n; i++)
		if (old[i].currency == currency && old[i].at > e->occurred)
			return 0; /* a later word on that receipt was heard before this one */
	if (put_lots(w, m, e, lots, &t, ids))
		return -1;
	if (n == 0) {
		t.amount = e->attr[ATTR_amount].type == VALUE_DECIMAL ? e->attr[ATTR_amount].i : 0;
		t.currency = currency;
		if (lot_of_event(w, m, e, &t.ext) || lot_put(w, m, &t))
			return -1;
		ids[n++] = t.ext;
	}
	for (size_t i = 0; i < old_n; i++)
		if (old[i].currency == currency && !told_again(ids, n, old[i].ext) &&
			lot_void(w, &old[i], e->occurred))
			return -1;
	return 0;
}

static int lot_said(struct work *w, const struct member *m, const struct event *e)
{
	struct lot_told t = { .ext = text_of(e, ATTR_lot), .at = e->occurred };
	struct lot old = { 0 };
	int there = lot_by_ext(w, t.ext, &old);

	if (there < 0)
		return -1;
	if (there && old.state == LOT_AWAITED) { /* it says nothing of the lot */
		there = 0;
		old = (struct lot){ 0 };
	}
	/* What is not said stays. */
	t.amount = e->attr[ATTR_amount].type == VALUE_MISSING ? old.amount : e->attr[ATTR_amount].i;
	t.activates = e->attr[ATTR_activates_at].type == VALUE_MISSING
			      ? old.activates
			      : e->attr[ATTR_activates_at].i;
	t.expires = e->attr[ATTR_expires_at].type == VALUE_MISSING ? old.expires
								   : e->attr[ATTR_expires_at].i;
	t.is_void = e->attr[ATTR_void].type == VALUE_BOOL && e->attr[ATTR_void].b;
	t.currency = old.currency;
	if ((!there || text_of(e, ATTR_currency).n) &&
		currency_of(w, text_of(e, ATTR_currency), &t.currency))
		return -1;
	return lot_put(w, m, &t);
}

/* ---- deductions ---- */
static int spent_note(struct work *w, const struct member *m, const struct event *e,
	uint32_t currency, uint64_t lot, int64_t amount)
{
	struct sql_stmt *st;

	if (!ledger_receipt(e) || amount == 0)
		return 0;
	st = db_st(w->db, ST_SPENT_ADD);
	if (st) {
		sql_int(st, 1, (int64_t)m->id);
		sql_int(st, 2, (int64_t)ledger_receipt(e));
		sql_int(st, 3, currency);
		sql_int(st, 4, (int64_t)lot);
		sql_int(st, 5, amount);
		sql_int(st, 6, e->occurred);
	}
	return !st || sql_run(st) < 0 ? work_failed(w, "what a receipt spent") : 0;
}

/* A lot that is not there is in no balance, and so what was taken of it is not missing there. When
 * it was there then, and is over by now, its end took it from the balance with the rest: one of the
 * two was too much. */
static int balance_evens(struct work *w, const struct lot *l, wall_t occurred, int64_t taken)
{
	wall_t end = l->state == LOT_VOID ? l->at : l->expires;

	if (l->state == LOT_ACTIVE || l->state == LOT_AWAITED)
		return 0;
	return balance_add(w, l->member, l->currency, taken,
		l->state == LOT_SCHEDULED || l->activates > occurred ? occurred : end);
}

static int take_from(struct work *w, const struct member *m, const struct event *e,
	const struct lot *l, int64_t amount, int64_t *taken_r)
{
	/* of one that was void before anything else was heard of it, how much it was is not known
	 */
	bool unknown = l->state == LOT_AWAITED || (l->state == LOT_VOID && !l->amount);
	struct sql_stmt *st;

	*taken_r = amount < l->rest || unknown ? amount : l->rest;
	if (*taken_r <= 0) {
		*taken_r = 0;
		return 0;
	}
	if (l->state != LOT_VOID || !unknown) {
		st = db_st(w->db, ST_LOT_REST);
		if (st) {
			sql_int(st, 1, l->rest - *taken_r);
			sql_int(st, 2, (int64_t)l->id);
		}
		if (!st || sql_run(st) < 0)
			return work_failed(w, "a bonus lot");
	}
	if (balance_evens(w, l, e->occurred, *taken_r))
		return -1;
	return spent_note(w, m, e, l->currency, l->id, *taken_r);
}

/* That much of a lot that the event names. */
static int take_named(struct work *w, const struct member *m, const struct event *e,
	uint32_t currency, struct str id, int64_t amount)
{
	int64_t taken = 0;
	struct lot l;
	int there = lot_by_ext(w, id, &l);

	if (there == 0 && id.n && amount > 0) {
		if (lot_await(w, m, id, currency, e->occurred, &l))
			return -1;
		there = 1;
	}
	if (there < 0 || (there && l.member == m->id && take_from(w, m, e, &l, amount, &taken)))
		return -1;
	return spent_note(w, m, e, currency, 0, amount - taken);
}

static int take_from_nearest(struct work *w, const struct member *m, const struct event *e,
	uint32_t currency, int64_t amount)
{
	enum { AT_A_TIME = 16 };
	struct lot *v;
	size_t n = AT_A_TIME;
	int64_t taken;

	while (n == AT_A_TIME && amount > 0) { /* what was taken whole is not found again */
		struct sql_stmt *st = db_st(w->db, ST_LOTS_TO_SPEND);

		if (!st)
			return work_failed(w, "bonus lots");
		sql_int(st, 1, (int64_t)m->id);
		sql_int(st, 2, currency);
		sql_int(st, 3, e->occurred);
		sql_int(st, 4, (int64_t)ledger_receipt(e));
		sql_int(st, 5, AT_A_TIME);
		if (lots_read(w, st, &v, &n))
			return -1;
		for (size_t i = 0; i < n && amount > 0; i++, amount -= taken)
			if (take_from(w, m, e, &v[i], amount, &taken))
				return -1;
	}
	return spent_note(w, m, e, currency, 0, amount); /* lots that were never told */
}

int64_t ledger_deducted(const struct event *e)
{
	json_t *lots = event_part(e, ATTR_lots), *o;
	int64_t amount = e->attr[ATTR_amount].type == VALUE_DECIMAL ? e->attr[ATTR_amount].i : 0;
	int64_t named = 0;
	size_t i;

	json_array_foreach(lots, i, o)
	{
		named = decimal_add(named, decimal_of(json_object_get(o, "amount")));
	}
	return amount > named ? amount : named;
}

static int deducted(struct work *w, const struct member *m, const struct event *e)
{
	json_t *lots = event_part(e, ATTR_lots), *o;
	int64_t amount = e->attr[ATTR_amount].type == VALUE_DECIMAL ? e->attr[ATTR_amount].i : 0;
	int64_t named = 0;
	uint32_t currency;
	size_t i;

	if (currency_of(w, text_of(e, ATTR_currency), &currency))
		return -1;
	json_array_foreach(lots, i, o)
	{
		int64_t of_lot = decimal_of(json_object_get(o, "amount"));

		named = decimal_add(named, of_lot);
		if (take_named(w, m, e, currency, id_of(w, json_object_get(o, "id")), of_lot))
			return -1;
	}
	if (amount == 0)
		amount = named;
	if (amount <= 0)
		return 0;
	if (balance_add(w, m->id, currency, -amount, e->occurred))
		return -1;
	return amount > named ? take_from_nearest(w, m, e, currency, amount - named) : 0;
}

/* ---- a receipt that never came to its end ---- */
struct spent {
	uint32_t currency;
	uint64_t lot;
	int64_t amount;
	bool gone; /* the lot is not there, and so in no balance */
};

static int give_back(
	struct work *w, const struct member *m, const struct event *e, uint64_t receipt)
{
	enum { MOST = 256 };
	struct sql_stmt *st = db_st(w->db, ST_SPENT_OF);
	struct spent *v = arena_alloc(w->arena, MOST * sizeof *v);
	size_t n = 0;
	int got = 0;

	if (st) {
		sql_int(st, 1, (int64_t)m->id);
		sql_int(st, 2, (int64_t)receipt);
	}
	while (st && n < MOST && (got = sql_step(st)) == 1)
		v[n++] = (struct spent){ (uint32_t)sql_col(st, 0), (uint64_t)sql_col(st, 1),
			sql_col(st, 2),
			sql_col(st, 1) && sql_col(st, 3) != LOT_ACTIVE &&
				sql_col(st, 3) != LOT_AWAITED };
	if (!st || got < 0)
		return work_failed(w, "what a receipt spent");
	sql_reset(st);
	for (size_t i = 0; i < n; i++) {
		if (v[i].lot) {
			st = db_st(w->db, ST_LOT_GIVE_BACK);
			if (st) {
				sql_int(st, 1, v[i].amount);
				sql_int(st, 2, (int64_t)v[i].lot);
				sql_int(st, 3, (int64_t)m->id);
			}
			if (!st || sql_run(st) < 0)
				return work_failed(w, "a bonus lot");
		}
		if (!v[i].gone && balance_add(w, m->id, v[i].currency, v[i].amount, e->occurred))
			return -1;
	}
	return 0;
}

static int cancelled(struct work *w, const struct member *m, const struct event *e)
{
	enum { KEPT_DAYS = 60 };
	uint64_t receipt = ledger_receipt(e);
	struct sql_stmt *st;
	struct lot *v;
	size_t n;

	if (!receipt)
		return 0;
	if (lots_of_receipt(w, m, receipt, &v, &n))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (lot_void(w, &v[i], e->occurred))
			return -1;
	if (give_back(w, m, e, receipt))
		return -1;
	st = db_st(w->db, ST_SPENT_DROP);
	if (st) {
		sql_int(st, 1, (int64_t)m->id);
		sql_int(st, 2, (int64_t)receipt);
		sql_int(st, 3, e->occurred - KEPT_DAYS * DUR_DAY);
	}
	return !st || sql_run(st) < 0 ? work_failed(w, "what a receipt spent") : 0;
}

static int balances_told(struct work *w, const struct member *m, const struct event *e)
{
	json_t *balances = event_part(e, ATTR_balances), *o;
	size_t i;

	json_array_foreach(balances, i, o)
	{
		uint32_t currency;

		if (currency_of(w, json_str(json_object_get(o, "currency")), &currency) ||
			balance_set(w, m, currency, decimal_of(json_object_get(o, "amount")),
				e->occurred))
			return -1;
	}
	return 0;
}

/* Lots that are long over go when their member next has to do with points. */
static int purge(struct work *w, const struct member *m)
{
	enum { KEPT_DAYS = 400 };
	struct sql_stmt *st = db_st(w->db, ST_LOTS_PURGE);

	if (st) {
		sql_int(st, 1, (int64_t)m->id);
		sql_int(st, 2, w->now - KEPT_DAYS * DUR_DAY);
	}
	return !st || sql_run(st) < 0 ? work_failed(w, "bonus lots") : 0;
}

static const struct {
	enum event_type type;
	int rank;
	int (*tell)(struct work *, const struct member *, const struct event *);
} about[] = {
	{ EVENT_BONUS_CALCULATED, 0, accrued },
	{ EVENT_BONUS_LOT, 0, lot_said },
	{ EVENT_BONUS_DEDUCTED, 1, deducted },
	{ EVENT_PURCHASE_CANCELLED, 2, cancelled },
	{ EVENT_BALANCE_REQUESTED, 3, balances_told },
};

static int about_of(enum event_type t)
{
	for (unsigned i = 0; i < sizeof about / sizeof *about; i++)
		if (about[i].type == t)
			return (int)i;
	return -1;
}

int ledger_rank(enum event_type t)
{
	int i = about_of(t);

	return i < 0 ? -1 : about[i].rank;
}

int ledger_tell(struct work *w, const struct member *m, const struct event *e)
{
	return about[about_of(e->type)].tell(w, m, e);
}

bool ledger_lot_named(
	struct work *w, const struct member *m, const struct event *e, size_t i, struct str *id_r)
{
	json_t *lots = event_part(e, ATTR_lots);

	if (i < json_array_size(lots))
		*id_r = id_of(w, json_object_get(json_array_get(lots, i), "id"));
	else if (i > 0)
		return false;
	else if (e->type == EVENT_BONUS_LOT)
		*id_r = text_of(e, ATTR_lot);
	else if (e->type == EVENT_BONUS_CALCULATED)
		*id_r = lot_own_name(w, m, e);
	else
		return false;
	return true;
}

int ledger_event(struct work *w, struct member *m, struct event *e)
{
	int late;

	if (ledger_rank(e->type) < 0)
		return 0;
	if (ledger_settle(w, m->id) || purge(w, m))
		return -1;
	late = ledger_overtaken(w, m, e);
	if (late)
		return late < 0 ? -1 : ledger_again(w, m, e);
	return ledger_tell(w, m, e);
}
