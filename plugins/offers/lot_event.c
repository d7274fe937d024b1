/* Events about points, mirrored into the ledger. See lot.h.
 *
 * A till works an accrual out anew each time an article is added, under the same receipt: the last
 * word on a receipt replaces those before. What a receipt spent is remembered, to be given back
 * when it is cancelled. Deductions that name no lots take from those that expire first.
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

static uint64_t receipt_of(const struct event *e)
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
 * the one of ours that the platform confirms; or by the event. */
static int lot_of_event(
	struct work *w, const struct member *m, const struct event *e, struct str *id_r)
{
	const struct str ours[] = { text_of(e, ATTR_reason), e->id };
	struct str receipt = text_of(e, ATTR_receipt);
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
	*id_r = str_of(receipt.n ? arena_printf(w->arena, "receipt/%llu/%.*s/%.*s",
					   (unsigned long long)m->id, STR_ARG(receipt),
					   STR_ARG(text_of(e, ATTR_currency)))
				 : arena_printf(w->arena, "event/%.*s/%.*s", STR_ARG(e->source),
					   STR_ARG(e->id)));
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
	struct lot_told t = { .at = e->occurred, .receipt = receipt_of(e) };
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

	if (!receipt_of(e) || amount == 0)
		return 0;
	st = db_st(w->db, ST_SPENT_ADD);
	if (st) {
		sql_int(st, 1, (int64_t)m->id);
		sql_int(st, 2, (int64_t)receipt_of(e));
		sql_int(st, 3, currency);
		sql_int(st, 4, (int64_t)lot);
		sql_int(st, 5, amount);
		sql_int(st, 6, w->now);
	}
	return !st || sql_run(st) < 0 ? work_failed(w, "what a receipt spent") : 0;
}

/* What was taken from a lot that is over by now, told late: the lot's end took it from the balance
 * with the rest, so that one of the two was too much. */
static int taken_before_the_end(struct work *w, const struct lot *l, wall_t occurred, int64_t taken)
{
	wall_t end = l->state == LOT_VOID ? l->at : l->expires;

	if (l->state < LOT_EXPIRED || l->activates > occurred)
		return 0;
	return balance_add(w, l->member, l->currency, taken, end);
}

static int take_from(struct work *w, const struct member *m, const struct event *e,
	const struct lot *l, int64_t amount, int64_t *taken_r)
{
	struct sql_stmt *st = db_st(w->db, ST_LOT_REST);

	*taken_r = amount < l->rest ? amount : l->rest;
	if (*taken_r <= 0) {
		*taken_r = 0;
		/* void before it was heard of: it never was in the balance */
		return l->state == LOT_VOID && !l->amount
			       ? taken_before_the_end(w, l, e->occurred, amount)
			       : 0;
	}
	if (st) {
		sql_int(st, 1, l->rest - *taken_r);
		sql_int(st, 2, (int64_t)l->id);
	}
	if (!st || sql_run(st) < 0)
		return work_failed(w, "a bonus lot");
	if (taken_before_the_end(w, l, e->occurred, *taken_r))
		return -1;
	return spent_note(w, m, e, l->currency, l->id, *taken_r);
}

static int take_from_nearest(struct work *w, const struct member *m, const struct event *e,
	uint32_t currency, int64_t amount)
{
	struct sql_stmt *st = db_st(w->db, ST_LOTS_TO_SPEND);
	struct lot *v;
	size_t n;
	int64_t taken;

	if (!st)
		return work_failed(w, "bonus lots");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, currency);
	sql_int(st, 3, e->occurred);
	if (lots_read(w, st, &v, &n))
		return -1;
	for (size_t i = 0; i < n && amount > 0; i++, amount -= taken)
		if (take_from(w, m, e, &v[i], amount, &taken))
			return -1;
	return spent_note(w, m, e, currency, 0, amount); /* lots that were never told */
}

static int deducted(struct work *w, const struct member *m, const struct event *e)
{
	json_t *lots = event_part(e, ATTR_lots), *o;
	int64_t amount = e->attr[ATTR_amount].type == VALUE_DECIMAL ? e->attr[ATTR_amount].i : 0;
	int64_t named = 0, taken;
	uint32_t currency;
	size_t i;

	if (currency_of(w, text_of(e, ATTR_currency), &currency))
		return -1;
	json_array_foreach(lots, i, o)
	{
		int64_t of_lot = decimal_of(json_object_get(o, "amount"));
		struct lot l;
		int there = lot_by_ext(w, id_of(w, json_object_get(o, "id")), &l);

		named = decimal_add(named, of_lot);
		there = there > 0 && l.member != m->id ? 0 : there;
		if (there < 0 || (there && take_from(w, m, e, &l, of_lot, &taken)))
			return -1;
		if (spent_note(w, m, e, currency, 0, there ? of_lot - taken : of_lot))
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
	bool gone; /* the lot expired meanwhile */
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
			sql_col(st, 2), sql_col(st, 3) >= LOT_EXPIRED };
	if (!st || got < 0)
		return work_failed(w, "what a receipt spent");
	sql_reset(st);
	for (size_t i = 0; i < n; i++) {
		if (v[i].lot) {
			st = db_st(w->db, ST_LOT_GIVE_BACK);
			if (st) {
				sql_int(st, 1, v[i].amount);
				sql_int(st, 2, (int64_t)v[i].lot);
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
	uint64_t receipt = receipt_of(e);
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
		sql_int(st, 3, w->now - KEPT_DAYS * DUR_DAY);
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

int ledger_event(struct work *w, struct member *m, const struct event *e)
{
	int (*fn)(struct work *, const struct member *, const struct event *);

	switch (e->type) {
	case EVENT_BONUS_CALCULATED:
		fn = accrued;
		break;
	case EVENT_BONUS_DEDUCTED:
		fn = deducted;
		break;
	case EVENT_BONUS_LOT:
		fn = lot_said;
		break;
	case EVENT_BALANCE_REQUESTED:
		fn = balances_told;
		break;
	case EVENT_PURCHASE_CANCELLED:
		fn = cancelled;
		break;
	default:
		return 0;
	}
	return ledger_settle(w, m->id) || purge(w, m) || fn(w, m, e) ? -1 : 0;
}
