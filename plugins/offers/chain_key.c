/* What chains and counters know receipts, stores, kinds and keys by: hashes of what the events say.
 * See chain.h.
 */
#include "plugins/offers/chain.h"

uint64_t event_hash(struct str s)
{
	uint64_t h = str_hash(s) & INT64_MAX;

	return h ? h : 1;
}

uint64_t event_receipt(const struct event *e)
{
	struct value v = e->attr[ATTR_receipt];

	return v.type == VALUE_TEXT ? event_hash(v.s) : 0;
}

uint64_t event_purchase(const struct event *e)
{
	struct value v = e->attr[ATTR_refunds];

	return e->type == EVENT_PURCHASE_REFUNDED && v.type == VALUE_TEXT ? event_hash(v.s)
									  : event_receipt(e);
}

int past_receipt(struct work *w, const struct member *m, enum event_type type, uint64_t receipt,
	wall_t since, struct past_receipt *r)
{
	struct sql_stmt *st = db_st(w->db, ST_PAST_RECEIPT);
	int rc;

	*r = (struct past_receipt){ 0 };
	if (!st)
		return work_failed(w, "a receipt");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, type);
	sql_int(st, 3, (int64_t)receipt);
	sql_int(st, 4, since);
	rc = sql_step(st);
	if (rc == 1)
		*r = (struct past_receipt){ (uint64_t)sql_col(st, 0), sql_col(st, 2) };
	sql_reset(st);
	return rc < 0 ? work_failed(w, "a receipt") : rc;
}

uint64_t event_kind_hash(const struct event *e)
{
	struct value v = e->attr[ATTR_kind];

	return v.type == VALUE_TEXT && v.s.n ? event_hash(v.s) : 0;
}

uint64_t chain_key(const struct offer *o, const struct event *e)
{
	struct value v;
	struct buf b = BUF_INIT;
	uint64_t h;

	if (o->key_attr < 0)
		return 0;
	v = e->attr[o->key_attr];
	if (o->key_attr == ATTR_receipt && e->type == EVENT_PURCHASE_REFUNDED)
		v = e->attr[ATTR_refunds]; /* the chain is that of what it takes back */
	if (v.type == VALUE_MISSING)
		return 0;
	value_put(&b, v);
	h = event_hash(buf_view(&b));
	buf_free(&b);
	return h;
}
