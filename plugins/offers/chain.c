/* Chains in the tables: what an event changes, and what fires when its time has come.
 *
 * Marks are written only where there is a chain, or one begins; of what happened before, the rows
 * of of_past tell. So an event that could disarm a hundred offers costs one look at the chains that
 * its member has.
 */
#include "plugins/offers/chain.h"
#include "plugins/offers/dispatch.h"
#include "plugins/offers/pin.h"
#include "plugins/offers/source.h"

enum {
	MARKS_KEEP = 32, /* so many stay as they are when older ones are folded into states */
	MARKS_MOST = 96, /* more than these are */
};
/* How far back in of_sent what still waits can lie. */
#define WAITS_MOST (31 * DUR_DAY)
/* A deduction and the completion of its receipt are not further apart. */
#define RECEIPT_TAKES DUR_DAY

struct chain_row {
	int64_t id; /* 0: gone */
	uint32_t offer;
	uint64_t version, pin; /* what it keeps of its offer: see pin.h */
	unsigned step;
	bool waits; /* due is set */
	wall_t due;
	struct chain_run run; /* run, key, anchor, first_step, restarts */
	uint64_t member;
};

static void row_read(struct sql_stmt *st, struct chain_row *r)
{
	*r = (struct chain_row){ .id = sql_col(st, 0),
		.offer = (uint32_t)sql_col(st, 1),
		.step = (unsigned)sql_col(st, 6),
		.waits = !sql_col_null(st, 7),
		.due = sql_col(st, 7),
		.version = (uint64_t)sql_col(st, 9),
		.pin = (uint64_t)sql_col(st, 10),
		.run = { .key = (uint64_t)sql_col(st, 2),
			.run = (uint64_t)sql_col(st, 3),
			.anchor = sql_col(st, 4),
			.first_step = (unsigned)sql_col(st, 5),
			.restarts = (unsigned)sql_col(st, 8) } };
}

static struct chain_row *row_new(struct work *w)
{
	if (w->chains_n == w->chains_cap) {
		size_t cap = w->chains_cap ? 2 * w->chains_cap : 16;
		struct chain_row *v = arena_alloc(w->arena, cap * sizeof *v);

		if (w->chains_n)
			memcpy(v, w->chains, w->chains_n * sizeof *v);
		w->chains = v;
		w->chains_cap = cap;
	}
	return &w->chains[w->chains_n++];
}

static int rows_load(struct work *w, const struct member *m)
{
	struct sql_stmt *st;
	int rc;

	if (w->chains_of == m->id)
		return 0;
	w->chains_of = m->id;
	w->chains_n = 0;
	st = db_st(w->db, ST_CHAINS);
	if (!st)
		return work_failed(w, "chains");
	sql_int(st, 1, (int64_t)m->id);
	while ((rc = sql_step(st)) == 1)
		row_read(st, row_new(w));
	return rc < 0 ? work_failed(w, "chains") : 0;
}

/* ---- marks ---- */
struct marks {
	struct mark *v;
	size_t n, cap;
};

/* Was that receipt taken back already, by another event than this? 1, 0, -1. */
static int receipt_undone(struct work *w, const struct member *m, uint64_t receipt, uint64_t seq)
{
	static const enum event_type undo[] = { EVENT_PURCHASE_REFUNDED, EVENT_PURCHASE_CANCELLED };

	for (unsigned i = 0; i < sizeof undo / sizeof undo[0]; i++) {
		struct past_receipt was;
		int rc = past_receipt(w, m, undo[i], receipt, INT64_MIN, &was);

		if (rc < 0 || (rc == 1 && was.seq != seq))
			return rc;
	}
	return 0;
}

static int mark_add(
	struct work *w, const struct offer *o, const struct member *m, const struct mark *k)
{
	struct sql_stmt *st;
	int undone = 0;

	if (o->conf->rearm_on_refund && k->receipt && !(k->kind & (MARK_STATE | MARK_REFUNDED)))
		undone = receipt_undone(w, m, k->receipt, k->seq);
	if (undone < 0)
		return -1;
	st = db_st(w->db, ST_MARK_ADD);
	if (!st)
		return work_failed(w, "a mark");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, o->number);
	sql_int(st, 3, k->occurred);
	sql_int(st, 4, (int64_t)k->seq);
	sql_int(st, 5, k->kind | (undone ? MARK_REFUNDED : 0));
	sql_int(st, 6, (int64_t)k->receipt);
	sql_int(st, 7, (int64_t)k->key);
	return sql_run(st) < 0 ? work_failed(w, "a mark") : 0;
}

static struct mark *marks_new(struct work *w, struct marks *k)
{
	if (k->n == k->cap) {
		size_t cap = k->cap ? 2 * k->cap : 16;
		struct mark *v = arena_alloc(w->arena, cap * sizeof *v);

		if (k->n)
			memcpy(v, k->v, k->n * sizeof *v);
		k->v = v;
		k->cap = cap;
	}
	return &k->v[k->n++];
}

static int mark_del(
	struct work *w, const struct offer *o, const struct member *m, const struct mark *k)
{
	struct sql_stmt *st = db_st(w->db, ST_MARK_DEL);

	if (!st)
		return work_failed(w, "old marks");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, o->number);
	sql_int(st, 3, k->occurred);
	sql_int(st, 4, (int64_t)k->seq);
	return sql_run(st) < 0 ? work_failed(w, "old marks") : 0;
}

static int marks_load(
	struct work *w, const struct offer *o, const struct member *m, struct marks *k)
{
	struct sql_stmt *st = db_st(w->db, ST_MARKS);
	int rc;

	if (!st)
		return work_failed(w, "marks");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, o->number);
	while ((rc = sql_step(st)) == 1)
		*marks_new(w, k) = (struct mark){ .occurred = sql_col(st, 0),
			.seq = (uint64_t)sql_col(st, 1),
			.kind = (unsigned)sql_col(st, 2),
			.receipt = (uint64_t)sql_col(st, 3),
			.key = (uint64_t)sql_col(st, 4) };
	if (rc < 0)
		return work_failed(w, "marks");
	marks_sort(k->v, k->n);
	return 0;
}

/* Old marks become the states that they led to. */
static int marks_shorten(
	struct work *w, const struct offer *o, const struct member *m, struct marks *k)
{
	struct chain_run run[CHAIN_RUNS_MOST];
	size_t old = k->n - MARKS_KEEP;
	unsigned runs = chain_fold(o, m->zone, k->v, old, run);

	for (size_t i = 0; i < old; i++)
		if (mark_del(w, o, m, &k->v[i]) < 0)
			return -1;
	for (unsigned i = 0; i < runs; i++)
		if (!run[i].ended && mark_add(w, o, m,
					     &(struct mark){ .occurred = run[i].anchor,
						     .seq = run[i].run,
						     .kind = MARK_STATE | run[i].first_step << 8 |
							     run[i].restarts << 16,
						     .receipt = run[i].receipt,
						     .key = run[i].key }) < 0)
			return -1;
	k->n = 0;
	return marks_load(w, o, m, k);
}

/* What happened since then and was no mark, because there was no chain, becomes one. */
static int marks_complete(struct work *w, const struct offer *o, struct member *m, wall_t since)
{
	for (unsigned t = 0; t < EVENT_TYPES; t++) {
		struct mark found[100];
		struct sql_stmt *st;
		size_t n = 0;
		int rc;

		if (!(o->disarms >> t & 1))
			continue;
		st = db_st(w->db, ST_PAST_SINCE);
		if (!st)
			return work_failed(w, "past events");
		sql_int(st, 1, (int64_t)m->id);
		sql_int(st, 2, t);
		sql_int(st, 3, since);
		sql_int(st, 4, 0);
		while ((rc = sql_step(st)) == 1)
			found[n++] = (struct mark){ .occurred = sql_col(st, 0),
				.seq = (uint64_t)sql_col(st, 1),
				.kind = MARK_DISARMS,
				.receipt = (uint64_t)sql_col(st, 2) };
		if (rc < 0)
			return work_failed(w, "past events");
		for (size_t i = 0; i < n; i++) {
			if (o->unless_if || o->key_attr >= 0 ||
				(o->disarm_kind[t] && o->disarm_kind[t][0])) {
				struct event *e;

				rc = event_load(w, found[i].seq, &e);
				if (rc == 1) {
					rc = offer_disarms(w, o, m, e);
					found[i].key = chain_key(o, e);
					event_drop(&e);
				}
				if (rc < 0)
					return -1;
				if (rc == 0)
					continue;
			}
			if (mark_add(w, o, m, &found[i]) < 0)
				return -1;
		}
	}
	return 0;
}

/* ---- what is there, against what should be ---- */

/* The offer as the chain knows it: as it was when it began; o where that cannot be made any more.
 */
static int row_offer(
	struct work *w, const struct offer *o, const struct chain_row *r, const struct offer **o_r)
{
	*o_r = o;
	if (r->version == o->version)
		return 0;
	if (pin_offer(w, r->offer, r->version, o_r) < 0)
		return -1;
	if (!*o_r)
		*o_r = o;
	return 0;
}

int message_cancel(struct work *w, uint64_t msg)
{
	int left = w->left ? w->left(w, msg) : 0;

	if (left < 0)
		return work_failed(w, "what became of a message");
	if (left)
		return sent_left(w, msg) < 0 ? -1 : 1;
	return work_deed(w, DEED_CANCEL, msg, STR_NONE, STR_NONE);
}

/* Asks for the cancelling of what waits of that run. */
static int run_cancel(
	struct work *w, const struct offer *o, const struct member *m, const struct chain_row *r)
{
	struct sql_stmt *st;
	uint64_t msg[CHAIN_STEPS_MOST * 2];
	size_t n = 0;
	int rc;

	if (r->step <= r->run.first_step)
		return 0; /* nothing of it has fired */
	st = db_st(w->db, ST_SENT_WAITING);
	if (!st)
		return work_failed(w, "messages that wait");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, w->now - WAITS_MOST);
	sql_int(st, 3, o->number);
	sql_int(st, 4, (int64_t)r->run.run);
	while ((rc = sql_step(st)) == 1)
		if (n < sizeof msg / sizeof msg[0])
			msg[n++] = (uint64_t)sql_col(st, 0);
	if (rc < 0)
		return work_failed(w, "messages that wait");
	for (size_t i = 0; i < n; i++)
		if (message_cancel(w, msg[i]) < 0)
			return -1;
	return 0;
}

/* Has what that step sent left, as far as can be told? 1, 0, -1. */
static int step_left(struct work *w, const struct offer *o, const struct member *m,
	const struct chain_run *r, unsigned step)
{
	struct sql_stmt *st = db_st(w->db, ST_SENT_STEP);
	int rc, left = 1;

	if (!st)
		return work_failed(w, "what was sent");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, w->now - 4 * WAITS_MOST);
	sql_int(st, 3, o->number);
	sql_int(st, 4, (int64_t)r->run);
	sql_int(st, 5, step);
	rc = sql_step(st);
	if (rc == 1)
		left = sql_col(st, 2) && sql_col(st, 0) != STATE_QUEUED &&
		       sql_col(st, 0) != STATE_CANCELLED && sql_col(st, 0) != STATE_SUPPRESSED;
	sql_reset(st);
	return rc < 0 ? work_failed(w, "what was sent") : left;
}

/* Steps that an older run has sent though, as is known now, they were this run's: they are not sent
 * again. */
static int steps_carried(struct work *w, const struct offer *o, const struct member *m,
	struct chain_row *old, const struct chain_run *now, unsigned *n_r)
{
	const struct offer *was;
	unsigned n = 0;

	if (row_offer(w, o, old, &was) < 0)
		return -1;
	chain_dues(was, m->zone, &old->run);
	for (unsigned i = old->run.first_step; i < old->step && i < old->run.steps_n; i++) {
		int left;

		if (old->run.due[i] < now->anchor)
			continue;
		left = step_left(w, o, m, &old->run, i);
		if (left < 0)
			return -1;
		n += (unsigned)left;
	}
	w->late_cancel += n;
	*n_r = n;
	return 0;
}

static int last_fired(struct work *w, const struct offer *o, const struct member *m,
	const struct chain_run *r, int *last_r)
{
	struct sql_stmt *st = db_st(w->db, ST_FIRED_LAST);

	if (!st)
		return work_failed(w, "steps that fired");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, o->number);
	sql_int(st, 3, (int64_t)r->key);
	sql_int(st, 4, (int64_t)r->run);
	if (sql_step(st) != 1)
		return work_failed(w, "steps that fired");
	*last_r = (int)sql_col(st, 0);
	sql_reset(st);
	return 0;
}

static int row_drop(struct work *w, struct chain_row *r)
{
	struct sql_stmt *st = db_st(w->db, ST_CHAIN_DEL);

	if (!st)
		return work_failed(w, "a chain");
	sql_int(st, 1, r->id);
	r->id = 0;
	return sql_run(st) < 0 ? work_failed(w, "a chain") : 0;
}

static void bind_due(struct sql_stmt *st, int i, const struct chain_row *r)
{
	if (r->waits)
		sql_int(st, i, r->due);
	else
		sql_null(st, i);
}

static int row_write(struct work *w, const struct member *m, struct chain_row *r)
{
	bool is_new = r->id == 0;
	struct sql_stmt *st = db_st(w->db, is_new ? ST_CHAIN_ADD : ST_CHAIN_SET);
	int i = 1;

	if (!st)
		return work_failed(w, "a chain");
	if (is_new) {
		sql_int(st, i++, r->offer);
		sql_int(st, i++, (int64_t)m->id);
		sql_int(st, i++, (int64_t)r->run.key);
	}
	sql_int(st, i++, (int64_t)r->run.run);
	sql_int(st, i++, r->run.anchor);
	sql_int(st, i++, r->run.first_step);
	sql_int(st, i++, r->step);
	bind_due(st, i++, r);
	sql_int(st, i++, r->run.restarts);
	sql_int(st, i++, (int64_t)r->version);
	sql_int(st, i++, (int64_t)r->pin);
	if (r->waits)
		work_timer(w, r->due);
	if (!is_new) {
		sql_int(st, i, r->id);
		return sql_run(st) < 0 ? work_failed(w, "a chain") : 0;
	}
	if (sql_run(st) < 0)
		return work_failed(w, "a chain");
	r->id = sql_inserted(w->db->sql);
	return 0;
}

/* The chain of one key as the fold says it is. r: its row, or NULL; run: its last run, or NULL. */
static int chain_settle(struct work *w, const struct offer *o, const struct member *m,
	struct chain_row *r, const struct chain_run *run)
{
	bool same = r && run && r->run.run == run->run && r->run.first_step == run->first_step;
	unsigned carried = 0, step;
	struct chain_row now;
	int last = -1;

	if (!run || run->ended) {
		if (!r)
			return 0;
		if (run_cancel(w, o, m, r) < 0)
			return -1;
		if (run && r->step > r->run.first_step &&
			steps_carried(w, o, m, r, &(struct chain_run){ .anchor = run->ended },
				&carried) < 0)
			return -1;
		return row_drop(w, r);
	}
	if (same && r->version != o->version && (!r->waits || !o->conf->apply_to_running))
		return 0; /* it keeps the times that it has: what it knew cannot be made any more */
	if (same) {
		step = r->step;
	} else {
		if (r && (run_cancel(w, o, m, r) < 0 ||
				 steps_carried(w, o, m, r, run, &carried) < 0))
			return -1;
		if (last_fired(w, o, m, run, &last) < 0)
			return -1;
		step = run->first_step + carried;
		if (last >= 0 && step < (unsigned)last + 1)
			step = (unsigned)last + 1;
		if (!r && step >= run->steps_n)
			return 0; /* it is over, and was cleared away */
	}
	now = (struct chain_row){ .id = r ? r->id : 0,
		.offer = o->number,
		.version = o->version,
		.pin = o->pin,
		.step = step,
		.waits = step < run->steps_n,
		.due = step < run->steps_n ? run->due[step] : 0,
		.run = *run };
	/* one that goes on, or begins again of itself, keeps its texts */
	if (r && r->version == now.version && (same || run->restarts))
		now.pin = r->pin;
	if (same && now.waits == r->waits && now.due == r->due && now.version == r->version)
		return 0;
	if (row_write(w, m, &now) < 0)
		return -1;
	if (r)
		*r = now;
	else
		*row_new(w) = now;
	return 0;
}

static const struct chain_run *run_of_key(const struct chain_run *run, unsigned runs, uint64_t key)
{
	const struct chain_run *last = NULL;

	for (unsigned k = 0; k < runs; k++)
		if (run[k].key == key)
			last = &run[k];
	return last;
}

/* A chain began anew, under other steps than the one before it had: what led to that one is no
 * matter to it. */
static int marks_leave(struct work *w, const struct offer *o, const struct member *m,
	struct marks *k, const struct chain_run *since)
{
	size_t n = 0;

	for (size_t i = 0; i < k->n; i++) {
		struct mark v = k->v[i];

		if (v.occurred >= since->anchor || v.key != since->key ||
			(v.receipt && v.receipt == since->receipt))
			k->v[n++] = v;
		else if (mark_del(w, o, m, &v) < 0)
			return -1;
	}
	k->n = n;
	return 0;
}

/* One that there is, folded by what it knows of its offer. */
static int row_settle(
	struct work *w, const struct offer *o, struct member *m, struct marks *k, size_t index)
{
	struct chain_run run[CHAIN_RUNS_MOST];
	struct chain_row *r = &w->chains[index];
	const struct chain_run *last;
	const struct offer *own;

	if (row_offer(w, o, r, &own) < 0)
		return -1;
	last = run_of_key(run, chain_fold(own, m->zone, k->v, k->n, run), r->run.key);
	if (own != o && o == rules_offer_number(w->rules, o->number) && last && !last->ended &&
		last->run != r->run.run && !last->restarts) {
		if (marks_leave(w, o, m, k, last) < 0)
			return -1;
		own = o;
		last = run_of_key(run, chain_fold(o, m->zone, k->v, k->n, run), r->run.key);
	}
	return chain_settle(w, own, m, &w->chains[index], last);
}

/* Folds, and settles each key that there is. */
static int offer_settle(struct work *w, const struct offer *o, struct member *m)
{
	struct chain_run run[CHAIN_RUNS_MOST];
	struct marks marks = { 0 };
	unsigned runs;
	size_t n;

	if (rows_load(w, m) < 0 || marks_load(w, o, m, &marks) < 0)
		return -1;
	if (marks.n > MARKS_MOST && marks_shorten(w, o, m, &marks) < 0)
		return -1;
	n = w->chains_n;
	for (size_t i = 0; i < n; i++)
		if (w->chains[i].id && w->chains[i].offer == o->number &&
			row_settle(w, o, m, &marks, i) < 0)
			return -1;
	runs = chain_fold(o, m->zone, marks.v, marks.n, run);
	for (unsigned k = 0; k < runs; k++) {
		bool known = false;

		for (size_t i = 0; i < w->chains_n; i++)
			known |= w->chains[i].id && w->chains[i].offer == o->number &&
				 w->chains[i].run.key == run[k].key;
		for (unsigned j = k + 1; j < runs; j++)
			known |= run[j].key == run[k].key; /* a later one of that key */
		if (!known && !run[k].ended && chain_settle(w, o, m, NULL, &run[k]) < 0)
			return -1;
	}
	return 0;
}

/* The run of that key that is on now, moved past a step that has left. */
static int row_carry(struct work *w, const struct member *m, struct chain_row *r,
	const struct offer *own, const struct chain_run *was, unsigned step)
{
	struct chain_row now = *r;
	int last;

	chain_dues(own, m->zone, &now.run);
	if (step >= was->steps_n || was->due[step] < now.run.anchor || now.step >= now.run.steps_n)
		return 0; /* it was right to leave; or there is nothing more to send */
	if (last_fired(w, own, m, &now.run, &last) < 0)
		return -1;
	if (last >= 0)
		return 0; /* it has been sent again */
	now.step++;
	now.waits = now.step < now.run.steps_n;
	now.due = now.waits ? now.run.due[now.step] : 0;
	w->late_cancel++;
	*r = now;
	return row_write(w, m, r);
}

int chain_left(struct work *w, struct member *m, uint32_t offer, uint64_t run, unsigned step)
{
	struct chain_run v[CHAIN_RUNS_MOST];
	struct marks marks = { 0 };
	const struct offer *o;
	bool any = false;

	if (rows_load(w, m) < 0)
		return -1;
	for (size_t i = 0; i < w->chains_n; i++) {
		const struct chain_row *r = &w->chains[i];

		if (r->id && r->offer == offer && r->run.run == run)
			return 0; /* nothing has come in its place: the usual case */
		any |= r->id && r->offer == offer && r->run.run > 0;
	}
	if (!any)
		return 0;
	if (pin_offer_last(w, offer, &o) < 0 || (o && marks_load(w, o, m, &marks) < 0))
		return -1;
	for (size_t i = 0; o && i < w->chains_n; i++) {
		struct chain_row *r = &w->chains[i];
		const struct offer *own;
		unsigned n;

		if (!r->id || r->offer != offer)
			continue;
		if (row_offer(w, o, r, &own) < 0)
			return -1;
		n = chain_fold(own, m->zone, marks.v, marks.n, v);
		while (n-- > 0)
			if (v[n].run == run && v[n].key == r->run.key)
				return row_carry(w, m, r, own, &v[n], step);
	}
	return 0;
}

int chain_event(struct work *w, const struct offer *o, struct member *m, const struct event *e,
	bool arms, bool disarms)
{
	struct mark mark = { .occurred = e->occurred,
		.seq = e->seq,
		.kind = (arms ? MARK_ARMS : 0u) | (disarms ? MARK_DISARMS : 0u),
		.receipt = event_purchase(e),
		.key = chain_key(o, e) };
	bool there = false;

	if (!o->steps_n || rows_load(w, m) < 0)
		return o->steps_n ? -1 : 0;
	for (size_t i = 0; i < w->chains_n; i++) {
		struct chain_row *r = &w->chains[i];
		const struct offer *own;

		if (!r->id || r->offer != o->number)
			continue;
		there = true;
		/* what its last step sent may still wait though the chain is over */
		if (row_offer(w, o, r, &own) < 0)
			return -1;
		chain_dues(own, m->zone, &r->run);
		if (disarms && !r->waits && o->conf->then != DISARM_IGNORE &&
			(!mark.key || !r->run.key || mark.key == r->run.key) &&
			e->occurred > r->run.due[r->run.steps_n - 1] &&
			(!o->conf->same_receipt_only || mark.receipt))
			if (run_cancel(w, o, m, r) < 0 || row_drop(w, r) < 0)
				return -1;
	}
	if (!arms && !there)
		return 0;
	if (mark_add(w, o, m, &mark) < 0)
		return -1;
	if (arms && marks_complete(w, o, m, e->occurred - (mark.receipt ? RECEIPT_TAKES : 0)) < 0)
		return -1;
	return offer_settle(w, o, m);
}

/* The same, with what happened while no chain was there, or to another who is the same person. */
static int offer_complete(struct work *w, const struct offer *o, struct member *m)
{
	struct marks k = { 0 };

	if (marks_load(w, o, m, &k) < 0 || (k.n && marks_complete(w, o, m, k.v[0].occurred) < 0))
		return -1;
	return offer_settle(w, o, m);
}

int chain_again(struct work *w, const struct offer *o, struct member *m,
	const struct chain_verdict *v, size_t n)
{
	struct marks k = { 0 };
	bool changed = false;

	if (marks_load(w, o, m, &k) < 0)
		return -1;
	for (size_t i = 0; i < k.n; i++)
		if (k.v[i].kind & MARK_STATE)
			return 0; /* what led to it is not known any more */
	for (size_t i = 0; i < n; i++) {
		unsigned kind = (v[i].arms ? MARK_ARMS : 0u) | (v[i].disarms ? MARK_DISARMS : 0u);
		const struct mark *was = NULL;

		for (size_t j = 0; j < k.n && !was; j++)
			if (k.v[j].seq == v[i].seq && k.v[j].occurred == v[i].occurred)
				was = &k.v[j];
		if (was ? (was->kind & (MARK_ARMS | MARK_DISARMS)) == kind
			: !kind || (!v[i].arms && !k.n))
			continue; /* where there was no chain, what disarms leaves no mark */
		changed = true;
		if (was && mark_del(w, o, m, was) < 0)
			return -1;
		if (kind && mark_add(w, o, m,
				    &(struct mark){ .occurred = v[i].occurred,
					    .seq = v[i].seq,
					    .kind = kind,
					    .receipt = v[i].receipt,
					    .key = v[i].key }) < 0)
			return -1;
	}
	return changed ? offer_complete(w, o, m) : 0;
}

int chain_refund(struct work *w, struct member *m, uint64_t receipt)
{
	struct sql_stmt *st = db_st(w->db, ST_MARK_REFUND);
	uint32_t again[64];
	const struct offer *o;
	size_t n = 0;
	int rc;

	if (!st)
		return work_failed(w, "marks of a refund");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, (int64_t)receipt);
	while ((rc = sql_step(st)) == 1) {
		if (n < sizeof again / sizeof again[0])
			again[n++] = (uint32_t)sql_col(st, 0);
	}
	if (rc < 0)
		return work_failed(w, "marks of a refund");
	for (size_t i = 0; i < n; i++) {
		if (pin_offer_last(w, again[i], &o) < 0)
			return -1;
		if (o && o->conf->rearm_on_refund && offer_complete(w, o, m) < 0)
			return -1;
	}
	return 0;
}

int chain_refold(struct work *w, struct member *m)
{
	struct sql_stmt *st = db_st(w->db, ST_MARK_OFFERS);
	uint32_t found[256];
	const struct offer *o;
	size_t n = 0;
	int rc;

	w->chains_of = 0;
	if (!st)
		return work_failed(w, "chains");
	sql_int(st, 1, (int64_t)m->id);
	while ((rc = sql_step(st)) == 1) {
		if (n < sizeof found / sizeof found[0])
			found[n++] = (uint32_t)sql_col(st, 0);
	}
	if (rc < 0)
		return work_failed(w, "chains");
	for (size_t i = 0; i < n; i++) {
		if (pin_offer_last(w, found[i], &o) < 0 || (o && offer_complete(w, o, m) < 0))
			return -1;
	}
	return 0;
}

int chain_apply(struct work *w, const struct offer *o, uint64_t member)
{
	struct member *m;
	int rc = member_load(w, member, &m);

	w->chains_of = 0;
	return rc == 1 && m->state != MEMBER_LEFT ? offer_settle(w, o, m) : rc < 0 ? -1 : 0;
}

int chain_tell(struct work *w, const struct offer *o, const struct member *m, struct chain_story *s)
{
	struct marks k = { 0 };

	if (marks_load(w, o, m, &k) < 0)
		return -1;
	s->marks = k.v;
	s->marks_n = k.n;
	s->runs = chain_fold(o, m->zone, k.v, k.n, s->run);
	return 0;
}
