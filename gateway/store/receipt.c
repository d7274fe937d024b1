/* Receipts: finding the message that one speaks of, and what it does to its state.
 *
 * Far sides give the same id again after a while, write it in another base or case, and send
 * receipts early, late and twice. A recipient that agrees decides between messages of one id;
 * one that contradicts is believed only for the first key. What matches nothing is parked, as its
 * message may not have been recorded yet (orphan.c); what repeats a finished one is recognised.
 */
#include "gateway/store/intern.h"

#include <stdio.h>

/* ---- repeats --------------------------------------------------------------------------------- */

static uint64_t final_hash(uint32_t channel, struct str key)
{
	return (str_hash(key) ^ channel) * 0x9e3779b97f4a7c15ull | 1;
}

static void final_note(struct store *s, uint32_t channel, struct str key, const struct found *f)
{
	uint64_t h = final_hash(channel, key);
	size_t at = h >> 40 & (FINAL_SLOTS - 1);

	s->finals[at].hash = h;
	s->finals[at].id = f->id;
	s->finals[at].part = (uint8_t)f->part;
}

static bool final_find(struct store *s, uint32_t channel, struct str key, struct store_op *op)
{
	uint64_t h = final_hash(channel, key);
	size_t at = h >> 40 & (FINAL_SLOTS - 1);

	if (s->finals[at].hash != h)
		return false;
	op->receipt.id = s->finals[at].id;
	op->receipt.part = s->finals[at].part;
	return true;
}

/* ---- which message --------------------------------------------------------------------------- */

int recipient_grade(struct str to, struct str dst)
{
	size_t n;

	if (to.n == 0 || dst.n == 0)
		return 2;
	if (str_starts(to, STR("+")))
		to = str_skip(to, 1);
	if (str_eq(to, dst))
		return 3;
	while (to.n && to.p[0] == '0')
		to = str_skip(to, 1);
	n = to.n < dst.n ? to.n : dst.n;
	if (n >= TAIL_DIGITS && memcmp(to.p + to.n - n, dst.p + dst.n - n, n) == 0)
		return 2;
	return 1;
}

struct match {
	struct found f;
	unsigned key;
	int grade; /* 0: none */
};

/* Its message's row, from memory where it is there. */
static int row_found(struct store *s, const struct found *f, struct row *r)
{
	if (f->young && awaited_row(f->young, r))
		return 1;
	return row_get(s, f->id, r);
}

/* Takes the better of *m and the candidates; r holds the row of the one taken. */
static int match_better(struct store *s, const struct op_receipt_in *in, unsigned key,
	const struct found *f, unsigned n, struct match *m, struct row *r)
{
	for (unsigned i = 0; i < n; i++) {
		struct row other;
		int grade, got = row_found(s, &f[i], &other);

		if (got < 0)
			return -1;
		if (got == 0)
			continue;
		grade = recipient_grade(str_of(in->to), other.dst);
		if ((grade == 1 && key > 0) || grade <= m->grade)
			continue;
		*m = (struct match){ .f = f[i], .key = key, .grade = grade };
		if (row_found(s, &f[i], r) < 0)
			return -1;
		if (grade == 3 || !in->to[0])
			break;
	}
	return 0;
}

static int match_find(
	struct store *s, const struct op_receipt_in *in, struct match *m, struct row *r)
{
	struct found f[FOUND_MOST];
	bool named = in->to[0];
	int n;

	m->grade = 0;
	for (unsigned k = 0; named && k < in->keys && m->grade < 3; k++) {
		n = (int)awaited_young(s, in->channel, str_of(in->key[k]), f);
		if (n == 1) { /* the usual case: one row, read once */
			int got = row_found(s, &f[0], r);

			if (got < 0)
				return -1;
			if (got && recipient_grade(str_of(in->to), r->dst) == 3)
				*m = (struct match){ .f = f[0], .key = k, .grade = 3 };
		} else if (n > 1 && match_better(s, in, k, f, (unsigned)n, m, r) < 0) {
			return -1;
		}
	}
	if (m->grade < 3)
		m->grade = 0;
	for (unsigned k = 0; k < in->keys && m->grade < (named ? 3 : 1); k++) {
		n = (int)awaited_young(s, in->channel, str_of(in->key[k]), f);
		if (match_better(s, in, k, f, (unsigned)n, m, r) < 0)
			return -1;
		if (m->grade >= (named ? 3 : 1))
			break;
		n = awaited_old(s, in->channel, str_of(in->key[k]), f);
		if (n < 0 || match_better(s, in, k, f, (unsigned)n, m, r) < 0)
			return -1;
	}
	return 0;
}

/* ---- what it does ---------------------------------------------------------------------------- */

static bool is_success(enum state st)
{
	return st == STATE_DELIVERED || st == STATE_READ;
}

/* What the parts say together, with part `part` now in state `to`; `whole` is the message's state
 * so far. Delivered when all are; undeliverable as soon as one is; unknown is known last. */
static int parts_apply(struct store *s, const struct row *r, unsigned part,
	const struct op_receipt_in *in, wall_t at, enum state *to_r, unsigned *delivered_r,
	bool *moved_r)
{
	struct sql_stmt *q = s->q[Q_PART_LIST];
	unsigned n = 0, good = 0, read = 0, unknown = 0, final = 0;
	enum state bad = STATE_QUEUED, old = STATE_SENT;
	bool known = false;
	int got;

	sql_int(q, 1, (int64_t)r->id);
	while ((got = sql_step(q)) == 1) {
		enum state st = (enum state)sql_col(q, 1);

		n++;
		if ((unsigned)sql_col(q, 0) == part) {
			known = true;
			old = st;
			if (state_may(st, in->state))
				st = in->state;
		}
		final += state_is_final(st);
		good += is_success(st);
		read += st == STATE_READ;
		unknown += st == STATE_UNKNOWN;
		if (state_is_final(st) && !is_success(st) && st != STATE_UNKNOWN && !bad)
			bad = st;
	}
	if (got < 0)
		return -1;
	*delivered_r = good;
	*moved_r = known && state_may(old, in->state);
	if (*moved_r) {
		q = s->q[Q_PART_STATE];
		sql_int(q, 1, in->state);
		sql_int(q, 2, at);
		sql_text_or_null(q, 3, str_of(in->err));
		sql_int(q, 4, (int64_t)r->id);
		sql_int(q, 5, part);
		if (sql_run(q) < 0)
			return -1;
	}
	*to_r = r->state;
	if (bad)
		*to_r = bad;
	else if (n >= r->parts && good == n)
		*to_r = read == n ? STATE_READ : STATE_DELIVERED;
	else if (n >= r->parts && final == n && unknown)
		*to_r = STATE_UNKNOWN;
	return 0;
}

/* The row may come from memory: it is written only where the state is the one believed. 1, or 0
 * where it is not. */
static int state_move(struct store *s, struct row *r, enum state to, enum reason reason, wall_t at,
	struct str err)
{
	struct sql_stmt *q = s->q[Q_ST_RECEIPT];

	if (r->state <= STATE_SENDING) /* still queued: sent in part, or under another id */
		return row_end(s, r, to, reason, at, err) < 0 ? -1 : 1;
	sql_int(q, 1, to);
	sql_int(q, 2, reason);
	sql_int(q, 3, at);
	sql_text_or_null(q, 4, err);
	sql_int(q, 5, (int64_t)r->id);
	sql_int(q, 6, r->state);
	if (sql_run(q) < 0)
		return -1;
	if (!sql_changed(s->db))
		return 0;
	r->state = to;
	return 1;
}

static int receipt_put(struct store *s, struct row *r, unsigned part,
	const struct op_receipt_in *in, bool *moved_r)
{
	wall_t at = in->at ? in->at : s->now;
	enum state was = r->state, to = in->state;
	unsigned delivered = is_success(to);
	struct sql_stmt *q;
	bool part_moved = false;
	int got;

	*moved_r = false;
	if (!state_is_final(in->state)) {
		if (state_is_final(was))
			return 0;
		if (in->err[0]) {
			q = s->q[Q_ST_ERR];
			sql_text(q, 1, str_of(in->err));
			sql_int(q, 2, (int64_t)r->id);
			if (sql_run(q) < 0)
				return -1;
		}
		return note_intermediate(s, r, in->reason, at, str_of(in->err));
	}
	if (r->parts > 1 && parts_apply(s, r, part, in, at, &to, &delivered, &part_moved) < 0)
		return -1;
	*moved_r = part_moved;
	if (!state_may(was, to))
		return 0;
	got = state_move(s, r, to, is_success(to) ? REASON_NONE : in->reason, at, str_of(in->err));
	if (got < 0)
		return -1;
	if (got == 0) {
		got = row_get(s, r->id, r);
		return got <= 0 ? got : receipt_apply(s, r, part, in, moved_r);
	}
	*moved_r = true;
	if (state_is_final(was) && history_add(s, r->id, s->now, "correction", in->channel,
					   in->reason, state_word(was)) < 0)
		return -1;
	return note_state(s, r, was, is_success(to) ? REASON_NONE : in->reason, at, str_of(in->err),
		delivered);
}

int receipt_apply(struct store *s, struct row *r, unsigned part, const struct op_receipt_in *in,
	bool *moved_r)
{
	struct op_receipt_in bare;

	if (!r->erased)
		return receipt_put(s, r, part, in, moved_r);
	bare = *in;
	erased_err(bare.err);
	return receipt_put(s, r, part, &bare, moved_r);
}

/* A row stays found by its far id as long as something better may come for it. */
bool receipt_may_improve(const struct row *r, enum state to)
{
	if (to == STATE_READ)
		return false;
	return to != STATE_DELIVERED || r->media == MEDIA_VIBER || r->media == MEDIA_SOCIAL;
}

/* While the form of ids is being learned (several keys): which of the keys meet a message of this
 * very recipient, and how the far side wrote the id of the one taken. */
static int evidence(struct store *s, struct store_op *op, const struct match *m)
{
	const struct op_receipt_in *in = &op->receipt.in;
	struct sql_stmt *q = s->q[Q_FAR_ID];
	struct found f[FOUND_MOST];
	struct row other;
	int got;

	if (m->grade == 3)
		op->receipt.hits = 1u << m->key;
	if (in->keys < 2)
		return 0;
	for (unsigned k = 0; k < in->keys; k++) {
		unsigned n = k == m->key ? 0 : awaited_young(s, in->channel, str_of(in->key[k]), f);

		for (unsigned i = 0; i < n; i++) {
			got = row_get(s, f[i].id, &other);
			if (got < 0)
				return -1;
			if (got && recipient_grade(str_of(in->to), other.dst) == 3)
				op->receipt.hits |= 1u << k;
		}
	}
	sql_int(q, 1, (int64_t)m->f.id);
	sql_int(q, 2, m->f.part);
	got = sql_step(q);
	if (got == 1)
		str_copy(op->receipt.awaited, sizeof op->receipt.awaited, sql_col_str(q, 0));
	sql_reset(q);
	return got < 0 ? -1 : 0;
}

int receipt_op(struct store *s, struct store_op *op)
{
	const struct op_receipt_in *in = &op->receipt.in;
	struct row *r = &s->row;
	struct match m;
	struct str key;

	op->receipt.matched = op->receipt.applied = op->receipt.parked = false;
	op->receipt.which = op->receipt.hits = 0;
	op->receipt.awaited[0] = '\0';
	op->receipt.id = 0;
	op->receipt.part = 0;
	op->receipt.now = STATE_UNKNOWN;
	op->receipt.sent_at = 0;
	if (match_find(s, in, &m, r) < 0)
		return -1;
	if (!m.grade) {
		for (unsigned k = 0; k < in->keys; k++) {
			if (!final_find(s, in->channel, str_of(in->key[k]), op))
				continue;
			stat_inc(&s->stat.repeats);
			op->receipt.matched = true;
			op->receipt.which = k;
			if (row_get(s, op->receipt.id, r) < 0)
				return -1;
			op->receipt.now = r->state;
			return 0;
		}
		op->receipt.parked = true;
		return orphan_park(s, in);
	}
	if (evidence(s, op, &m) < 0)
		return -1;
	key = str_of(in->key[m.key]);
	op->receipt.matched = true;
	op->receipt.which = m.key;
	op->receipt.id = m.f.id;
	op->receipt.part = (uint8_t)m.f.part;
	op->receipt.sent_at = m.f.at;
	if (receipt_apply(s, r, m.f.part, in, &op->receipt.applied) < 0)
		return -1;
	op->receipt.now = r->state;
	if (!state_is_final(in->state))
		return 0;
	if (!op->receipt.applied)
		stat_inc(&s->stat.repeats);
	if (receipt_may_improve(r, in->state))
		return awaited_settle(s, in->channel, key, &m.f, true);
	final_note(s, in->channel, key, &m.f);
	return awaited_settle(s, in->channel, key, &m.f, false);
}

/* ---- of a message known by its id ------------------------------------------------------------ */

/* What was said before and changes nothing is not said again, neither in the history nor to the
 * submitter: whoever has a token may repeat it. 1: it was. */
static int evidence_was_said(struct store *s, const struct store_op *op)
{
	struct sql_stmt *q = s->q[Q_EVENT_FIND];
	int got;

	sql_int(q, 1, (int64_t)op->evidence.id);
	sql_text(q, 2, str_of(op->evidence.what));
	got = sql_step(q);
	sql_reset(q);
	return got;
}

static int evidence_note(struct store *s, const struct store_op *op)
{
	char words[OUTCOME_WORDS + NOTE_ERR];
	int got = op->evidence.applied ? 0 : evidence_was_said(s, op);

	if (got != 0)
		return got < 0 ? -1 : 0;
	if (s->row.erased)
		snprintf(words, sizeof words, "%.*s",
			STR_ARG(erased_code(str_of(op->evidence.err))));
	else
		snprintf(words, sizeof words, "%s%s%s", op->evidence.err,
			op->evidence.err[0] && op->evidence.words[0] ? " " : "",
			op->evidence.words);
	return history_add(s, op->evidence.id, s->now, op->evidence.what, s->row.channel,
		op->evidence.reason, words);
}

static int evidence_apply(struct store *s, struct store_op *op)
{
	struct op_receipt_in in = {
		.state = op->evidence.state, .reason = op->evidence.reason, .at = op->evidence.at
	};
	struct row *r = &s->row;
	int got = row_get(s, op->evidence.id, r);

	if (got <= 0 || (r->flags & MSG_MO))
		return got < 0 ? -1 : 0;
	op->evidence.matched = true;
	memcpy(in.err, op->evidence.err, sizeof in.err);
	in.channel = r->channel;
	if (op->evidence.state == STATE_SENT) {
		op->evidence.now = r->state;
		got = evidence_was_said(s, op);
		if (got != 0)
			return got < 0 ? -1 : 0;
	}
	if (op->evidence.state != STATE_QUEUED &&
		receipt_apply(s, r, 0, &in, &op->evidence.applied) < 0)
		return -1;
	if (op->evidence.applied && stop_awaiting(s, r) < 0)
		return -1;
	op->evidence.now = r->state;
	return evidence_note(s, op);
}

int evidence_op(struct store *s, struct store_op *op)
{
	op->evidence.matched = op->evidence.applied = false;
	op->evidence.now = STATE_UNKNOWN;
	if (op->evidence.id && evidence_apply(s, op) < 0)
		return -1;
	return op->evidence.tap ? apply_tap(s, op->evidence.tap, op->evidence.id) : 0;
}
