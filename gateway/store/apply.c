/* What each operation changes on disk, inside the writer's transaction.
 *
 * Every operation may be applied again after a commit whose fate was uncertain and must do no
 * harm then: rows are inserted with ON CONFLICT, states move only as state.h allows, and a queue
 * row that has gone is no error.
 */
#include "gateway/store/intern.h"

#include <stdio.h>

_Static_assert(STATE_QUEUED == 0 && STATE_SENDING == 1 && STATE_SENT == 2 && STATE_DELIVERED == 3,
	"hot.def has these numbers");

/* Eight octets in one number, src_ton in the highest. */
int64_t sms_pack(struct sms_attrs a)
{
	uint64_t v = 0;
	uint8_t b[sizeof a];

	memcpy(b, &a, sizeof a);
	for (size_t i = 0; i < sizeof b; i++)
		v = v << 8 | b[i];
	return (int64_t)v;
}

struct sms_attrs sms_unpack(int64_t n)
{
	uint64_t v = (uint64_t)n;
	struct sms_attrs a;
	uint8_t b[sizeof a];

	for (size_t i = sizeof b; i-- > 0; v >>= 8)
		b[i] = (uint8_t)v;
	memcpy(&a, b, sizeof a);
	return a;
}

int meta_set(struct store *s, const char *name, int64_t v)
{
	struct sql_stmt *q = s->q[Q_META_SET];

	sql_text(q, 1, str_of(name));
	sql_int(q, 2, v);
	return sql_run(q);
}

int history_add(struct store *s, uint64_t id, wall_t at, const char *what, uint32_t channel,
	enum reason reason, const char *words)
{
	struct sql_stmt *q = s->q[Q_EVENT_INSERT];

	sql_int(q, 1, (int64_t)id);
	sql_int(q, 2, at);
	sql_text(q, 3, str_of(what));
	sql_int(q, 4, channel);
	sql_int(q, 5, reason);
	sql_text_or_null(q, 6, str_of(words));
	return sql_run(q);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static struct str keep(char **at, size_t cap, struct str v)
{
	char *p = *at;

	if (v.n > cap)
		v.n = cap;
	if (v.n)
		memcpy(p, v.p, v.n);
	*at += v.n;
	return str_n(p, v.n);
}

void row_strings(
	struct row *r, struct str src, struct str dst, struct str client_id, struct str key)
{
	char *at = r->text;

	r->src = keep(&at, NOTE_ADDR - 1, src);
	r->dst = keep(&at, NOTE_ADDR - 1, dst);
	r->client_id = keep(&at, NOTE_ADDR - 1, client_id);
	r->key = keep(&at, OUTCOME_ID, key);
}

int row_get(struct store *s, uint64_t id, struct row *r)
{
	struct sql_stmt *q = s->q[Q_MSG_GET];
	int got;

	sql_int(q, 1, (int64_t)id);
	got = sql_step(q);
	if (got <= 0)
		return got;
	r->id = id;
	r->state = (enum state)sql_col(q, 0);
	r->reason = (enum reason)sql_col(q, 1);
	r->attempt = (unsigned)sql_col(q, 2);
	r->submitter = (uint32_t)sql_col(q, 3);
	r->channel = (uint32_t)sql_col(q, 4);
	r->media = (uint8_t)sql_col(q, 5);
	r->priority = (uint8_t)sql_col(q, 6);
	r->wants = (uint8_t)sql_col(q, 7);
	r->flags = (uint8_t)sql_col(q, 8);
	r->parts = (uint8_t)sql_col(q, 9);
	r->sms = sms_unpack(sql_col(q, 10));
	r->accepted = sql_col(q, 11);
	r->due = sql_col(q, 12);
	r->expires = sql_col(q, 13);
	r->rc = (uint32_t)sql_col(q, 14);
	if (!r->due)
		r->due = r->accepted;
	r->erased = sql_col(q, 19);
	row_strings(
		r, sql_col_str(q, 15), sql_col_str(q, 16), sql_col_str(q, 17), sql_col_str(q, 18));
	sql_reset(q);
	return 1;
}

int message_read(struct store *s, uint64_t id, struct message **m_r)
{
	struct sql_stmt *q = s->q[Q_MSG_DATA];
	int got;

	*m_r = NULL;
	sql_int(q, 1, (int64_t)id);
	got = sql_step(q);
	if (got <= 0)
		return got;
	*m_r = message_unpack(sql_col_str(q, 0));
	if (*m_r) {
		(*m_r)->id = id;
		(*m_r)->accepted = sql_col(q, 1);
		(*m_r)->submitter = (uint32_t)sql_col(q, 2);
	}
	sql_reset(q);
	return *m_r != NULL;
}

/* ---- the queue on disk ----------------------------------------------------------------------- */

static int queue_insert(struct store *s, const struct place *p, uint64_t id, wall_t expires,
	unsigned attempt, unsigned parts)
{
	struct sql_stmt *q = s->q[Q_Q_INSERT];

	sql_int(q, 1, p->channel);
	sql_int(q, 2, p->priority);
	sql_int(q, 3, p->due);
	sql_int(q, 4, (int64_t)id);
	sql_int(q, 5, expires);
	sql_int(q, 6, attempt);
	sql_int(q, 7, parts);
	if (sql_run(q) < 0)
		return -1;
	if (sql_changed(s->db))
		tally_queue(s, p->channel, p->priority, 1);
	return 0;
}

/* 1: it was there, 0: not. */
static int queue_delete(struct store *s, const struct place *p, uint64_t id)
{
	struct sql_stmt *q = s->q[Q_Q_DELETE];

	if (!p->channel)
		return 0;
	sql_int(q, 1, p->channel);
	sql_int(q, 2, p->priority);
	sql_int(q, 3, p->due);
	sql_int(q, 4, (int64_t)id);
	if (sql_run(q) < 0)
		return -1;
	if (!sql_changed(s->db))
		return 0;
	tally_queue(s, p->channel, p->priority, -1);
	return 1;
}

static struct place row_place(const struct row *r)
{
	return (struct place){ .channel = r->channel, .priority = r->priority, .due = r->due };
}

/* By the place that the caller knows, or by the one in the message's row. */
int unqueue(struct store *s, const struct place *p, const struct row *r)
{
	struct place own = row_place(r);
	int n = queue_delete(s, &own, r->id);

	if (n == 0 && p &&
		(p->channel != own.channel || p->priority != own.priority || p->due != own.due))
		n = queue_delete(s, p, r->id);
	return n;
}

/* ---- acceptance ------------------------------------------------------------------------------ */

/* A row that says where the message is, for those that begin with something to say. */
static int state_put(struct store *s, const struct row *r, enum state state, enum reason reason,
	unsigned attempt, wall_t final_at, struct str err, struct str words)
{
	struct sql_stmt *q = s->q[Q_ST_FINAL];

	sql_int(q, 1, (int64_t)r->id);
	sql_int(q, 2, state);
	sql_int(q, 3, reason);
	sql_int(q, 4, attempt);
	sql_int(q, 5, r->channel);
	sql_int(q, 6, r->priority);
	sql_int(q, 7, r->due);
	sql_int(q, 8, final_at);
	sql_text_or_null(q, 9, err);
	sql_text_or_null(q, 10, words);
	sql_int(q, 11, r->parts);
	return sql_run(q);
}

int row_end(struct store *s, struct row *r, enum state state, enum reason reason, wall_t at,
	struct str err)
{
	if (r->state <= STATE_SENDING && unqueue(s, NULL, r) < 0)
		return -1;
	if (state_put(s, r, state, reason, r->attempt, at, err, STR_NONE) < 0)
		return -1;
	r->state = state;
	return 0;
}

/* It waits, and there is something to say about that. */
static int waits_because(struct store *s, const struct row *r, enum reason reason, struct str words)
{
	struct sql_stmt *q = s->q[Q_ST_PLACE];

	sql_int(q, 1, (int64_t)r->id);
	sql_int(q, 2, reason);
	sql_int(q, 3, 0);
	sql_int(q, 4, r->channel);
	sql_int(q, 5, r->priority);
	sql_int(q, 6, r->due);
	sql_text_or_null(q, 7, words);
	sql_int(q, 8, r->parts);
	return sql_run(q);
}

int message_add(struct store *s, struct message *m, uint32_t channel, wall_t due, enum state state,
	enum reason reason, struct str words, unsigned parts)
{
	struct sql_stmt *q = s->q[Q_MSG_INSERT];
	struct row r = { .id = m->id,
		.channel = channel,
		.priority = m->priority,
		.due = due ? due : s->now,
		.parts = (uint8_t)parts };

	buf_reset(&s->scratch);
	message_pack(m, &s->scratch);
	sql_int(q, 1, (int64_t)m->id);
	sql_int(q, 2, m->submitter);
	sql_int(q, 3, channel);
	sql_int(q, 4, m->media);
	sql_int(q, 5, m->priority);
	sql_int(q, 6, m->wants);
	sql_int(q, 7, m->flags);
	sql_int(q, 8, parts);
	sql_int(q, 9, sms_pack(m->sms));
	sql_int(q, 10, s->now);
	sql_int(q, 11, due);
	sql_int(q, 12, m->expires);
	sql_text_or_null(q, 13, message_get(m, FIELD_FROM));
	sql_text_or_null(q, 14, message_get(m, FIELD_TO));
	sql_text_or_null(q, 15, message_get(m, FIELD_CLIENT_ID));
	sql_blob(q, 16, buf_view(&s->scratch));
	if (sql_run(q) < 0)
		return -1;
	if (message_has(m, FIELD_SPOOL) && bodies_add(s, m->id, message_get(m, FIELD_SPOOL)) < 0)
		return -1;
	if (state == STATE_QUEUED)
		return reason == REASON_NONE ? 0 : waits_because(s, &r, reason, words);
	return state_put(
		s, &r, state, reason, 0, state_is_final(state) ? s->now : 0, STR_NONE, words);
}

/* 1: it is new, 0: op says what it is instead. */
static int dedupe(struct store *s, struct store_op *op, uint64_t id)
{
	const struct message *m = op->accept.msg;
	struct str client_id = message_get(m, FIELD_CLIENT_ID);
	int64_t print = (int64_t)message_fingerprint(m), was_print;
	struct sql_stmt *q;
	uint64_t was;
	wall_t at;
	int got;

	for (int tries = 0;; tries++) {
		q = s->q[Q_DEDUPE_INSERT];
		sql_int(q, 1, m->submitter);
		sql_text(q, 2, client_id);
		sql_int(q, 3, (int64_t)id);
		sql_int(q, 4, print);
		sql_int(q, 5, s->now);
		if (sql_run(q) < 0)
			return -1;
		if (sql_changed(s->db))
			return 1;
		q = s->q[Q_DEDUPE_GET];
		sql_int(q, 1, m->submitter);
		sql_text(q, 2, client_id);
		got = sql_step(q);
		if (got <= 0)
			return got < 0 ? -1 : 1;
		was = (uint64_t)sql_col(q, 0);
		was_print = sql_col(q, 1);
		at = sql_col(q, 2);
		sql_reset(q);
		if (at >= s->now - s->conf.dedupe_window || tries)
			break;
		/* forgotten already, only not yet swept away */
		q = s->q[Q_DEDUPE_DELETE];
		sql_int(q, 1, m->submitter);
		sql_text(q, 2, client_id);
		sql_int(q, 3, (int64_t)was);
		if (sql_run(q) < 0)
			return -1;
	}
	op->accept.duplicate = was_print == print;
	op->accept.conflict = !op->accept.duplicate;
	op->accept.id = was;
	return 0;
}

static int attempt_join(struct store *s, struct store_op *op, uint64_t id)
{
	const struct store_attempt *a = op->accept.attempt;
	struct sql_stmt *q = s->q[Q_EVENT_FIND];
	char words[sizeof a->words + 24];
	int got;

	sql_int(q, 1, (int64_t)a->whole);
	sql_text(q, 2, str_of(a->stop));
	got = sql_step(q);
	if (got < 0)
		return -1;
	if (got == 1) {
		sql_reset(q);
		op->accept.state = STATE_SUPPRESSED;
		op->accept.reason = REASON_DISARMED;
		op->accept.channel = 0;
	}
	snprintf(words, sizeof words, "%s %lu", a->words, id);
	return a->line ? history_add(s, a->whole, s->now, a->line, 0, REASON_NONE, words) : 0;
}

int apply_accept(struct store *s, struct store_op *op)
{
	struct message *m = op->accept.msg;
	struct place p = { .priority = m->priority };
	unsigned parts = op->accept.parts ? op->accept.parts : 1;
	uint64_t id = op->accept.take_id ? op->accept.take_id : id_next(s);

	op->accept.duplicate = op->accept.conflict = false;
	if (op->accept.unique && message_has(m, FIELD_CLIENT_ID)) {
		int fresh = dedupe(s, op, id);

		if (fresh <= 0)
			return fresh;
	}
	if (op->accept.attempt && attempt_join(s, op, id) < 0)
		return -1;
	m->id = op->accept.id = id;
	m->accepted = s->now;
	p.channel = op->accept.channel;
	p.due = m->send_at > s->now ? m->send_at : s->now;
	if (op->accept.due > p.due)
		p.due = op->accept.due;
	op->accept.place = p;
	if (message_add(s, m, p.channel, p.channel && p.due > s->now ? p.due : 0, op->accept.state,
		    op->accept.reason, str_of(op->accept.words), parts) < 0)
		return -1;
	if (!state_is_final(op->accept.state))
		return p.channel ? queue_insert(s, &p, id, m->expires, 0, parts) : 0;
	s->row = (struct row){
		.id = id,
		.state = op->accept.state,
		.submitter = m->submitter,
		.media = m->media,
		.wants = m->wants,
		.flags = m->flags,
		.parts = (uint8_t)parts,
		.sms = m->sms,
		.accepted = s->now,
		.src = message_get(m, FIELD_FROM),
		.dst = message_get(m, FIELD_TO),
		.client_id = message_get(m, FIELD_CLIENT_ID),
	};
	return note_state(s, &s->row, STATE_QUEUED, op->accept.reason, s->now, STR_NONE, 0);
}

/* ---- sending --------------------------------------------------------------------------------- */

static int part_add(struct store *s, const struct store_op *op, struct str far_id, struct str key)
{
	struct sql_stmt *q = s->q[Q_PART_INSERT];

	sql_int(q, 1, (int64_t)op->sent.id);
	sql_int(q, 2, op->sent.part);
	sql_int(q, 3, op->sent.concat_ref);
	sql_int(q, 4, op->sent.at);
	sql_text_or_null(q, 5, far_id);
	if (str_eq(far_id, key))
		sql_null(q, 6);
	else
		sql_text_or_null(q, 6, key);
	return sql_run(q);
}

/* What the writer needs to know of a message, from the message itself. */
static void row_of(const struct message *m, const struct store_op *op, struct row *r)
{
	r->id = m->id;
	r->state = STATE_SENT;
	r->reason = REASON_NONE;
	r->attempt = op->sent.attempt;
	r->submitter = m->submitter;
	r->channel = op->sent.place.channel;
	r->rc = op->sent.awaits ? op->sent.channel : 0;
	r->media = m->media;
	r->priority = op->sent.place.priority;
	r->wants = m->wants;
	r->flags = m->flags;
	r->erased = false;
	r->parts = op->sent.parts;
	r->sms = m->sms;
	r->accepted = m->accepted;
	r->due = op->sent.place.due;
	r->expires = m->expires;
	row_strings(r, message_get(m, FIELD_FROM), message_get(m, FIELD_TO),
		message_get(m, FIELD_CLIENT_ID), STR_NONE);
}

static int sent_state(struct store *s, const struct store_op *op, struct str far_id, struct str key)
{
	struct sql_stmt *q = s->q[Q_ST_SENT];

	sql_int(q, 1, (int64_t)op->sent.id);
	sql_int(q, 2, op->sent.attempt);
	sql_int(q, 3, op->sent.place.channel ? op->sent.place.channel : op->sent.channel);
	sql_int(q, 4, op->sent.place.priority);
	sql_int(q, 5, op->sent.place.due);
	sql_int(q, 6, op->sent.at);
	sql_int(q, 7, op->sent.awaits ? op->sent.channel : 0);
	sql_text_or_null(q, 8, far_id);
	if (str_eq(far_id, key))
		sql_null(q, 9);
	else
		sql_text_or_null(q, 9, key);
	sql_int(q, 10, op->sent.parts);
	return sql_run(q);
}

/* It has ended meanwhile; the far side's id may still bring better news. */
static int sent_late(struct store *s, const struct store_op *op, struct str far_id, struct str key)
{
	struct sql_stmt *q = s->q[Q_ST_SENT_LATE];

	sql_int(q, 1, op->sent.at);
	sql_int(q, 2, op->sent.awaits ? op->sent.channel : 0);
	sql_text_or_null(q, 3, far_id);
	sql_text_or_null(q, 4, key);
	sql_int(q, 5, (int64_t)op->sent.id);
	return sql_run(q);
}

/* All parts are out: the message leaves the queue. *r_r: its row, where that is known now. */
static int sent_whole(struct store *s, const struct store_op *op, struct str far_id, struct str key,
	struct row **r_r)
{
	int gone = queue_delete(s, &op->sent.place, op->sent.id), got;
	struct row *r = &s->row;
	bool moved;

	*r_r = NULL;
	if (gone < 0 || sent_state(s, op, far_id, key) < 0)
		return -1;
	moved = sql_changed(s->db) > 0;
	if (gone && moved && op->sent.msg) {
		row_of(op->sent.msg, op, r);
		*r_r = r;
	} else if (!gone || !moved || !op->sent.awaits) {
		got = row_get(s, op->sent.id, r);
		if (got <= 0)
			return got;
		if (!gone && unqueue(s, NULL, r) < 0)
			return -1;
		if (!moved)
			return r->state == STATE_DELIVERED || r->state == STATE_READ ||
					       r->state == STATE_SENT
				       ? 0
				       : sent_late(s, op, far_id, key);
		*r_r = r;
	}
	if (!op->sent.awaits && !op->sent.told)
		return note_state(s, r, STATE_QUEUED, REASON_NONE, op->sent.at, STR_NONE, 0);
	return 0;
}

/* A receipt that overtook its response lies parked: it is due now. */
static int sent_early_receipt(struct store *s, struct store_op *op, struct str key)
{
	struct op_receipt_in in;
	bool moved;
	int got;

	if (!orphan_any(s, op->sent.channel, key))
		return 0;
	got = row_get(s, op->sent.id, &s->row);
	if (got <= 0)
		return got;
	while ((got = orphan_take(s, op->sent.channel, key, s->row.dst, &in)) == 1) {
		struct found f[FOUND_MOST];
		unsigned n = awaited_young(s, op->sent.channel, key, f);

		if (receipt_apply(s, &s->row, op->sent.part, &in, &moved) < 0)
			return -1;
		op->sent.early += moved;
		op->sent.now = s->row.state;
		for (unsigned i = 0; i < n && state_is_final(in.state); i++)
			if (f[i].id == op->sent.id && f[i].part == op->sent.part &&
				awaited_settle(s, op->sent.channel, key, &f[i],
					receipt_may_improve(&s->row, in.state)) < 0)
				return -1;
	}
	return got;
}

static int apply_sent(struct store *s, struct store_op *op)
{
	struct str far_id = str_of(op->sent.far_id), key = str_of(op->sent.key);
	struct row *r = NULL;

	op->sent.early = 0;
	if (!op->sent.at)
		op->sent.at = s->now;
	if (!key.n)
		key = far_id;
	if (!op->sent.parts) { /* a late answer: the caller has forgotten the message */
		int got = row_get(s, op->sent.id, &s->row);

		if (got <= 0)
			return got;
		op->sent.parts = s->row.parts;
	}
	if (op->sent.parts > 1 && part_add(s, op, far_id, key) < 0)
		return -1;
	if (op->sent.repeated && history_add(s, op->sent.id, op->sent.at, "repeated",
					 op->sent.place.channel, REASON_NONE, "") < 0)
		return -1;
	if (op->sent.all && sent_whole(s, op, far_id, key, &r) < 0)
		return -1;
	if (!op->sent.awaits || !key.n)
		return 0;
	if (awaited_add(s, op->sent.channel, key, op->sent.id, op->sent.part, op->sent.at, r) < 0)
		return -1;
	return s->orphan_n ? sent_early_receipt(s, op, key) : 0;
}

static int apply_retry(struct store *s, struct store_op *op)
{
	struct sql_stmt *q = s->q[Q_ST_PLACE];
	struct place *to = &op->retry.to;
	unsigned parts;
	int got;

	op->retry.applied = false;
	/* Its id is old: only a later due time puts it behind what this batch has queued so far. */
	if (to->due <= s->now)
		to->due = ++s->now;
	got = row_get(s, op->retry.id, &s->row);
	if (got <= 0)
		return got;
	if (unqueue(s, &op->retry.from, &s->row) < 0)
		return -1;
	/* Ended meanwhile, say by a receipt that came before the answer: it stays so. */
	if (s->row.state > STATE_SENDING || (s->row.flags & MSG_MO))
		return 0;
	parts = op->retry.parts ? op->retry.parts : s->row.parts;
	if (queue_insert(s, to, op->retry.id, s->row.expires, op->retry.attempt, parts) < 0)
		return -1;
	op->retry.applied = true;
	sql_int(q, 1, (int64_t)op->retry.id);
	sql_int(q, 2, op->retry.reason);
	sql_int(q, 3, op->retry.attempt);
	sql_int(q, 4, to->channel);
	sql_int(q, 5, to->priority);
	sql_int(q, 6, to->due);
	sql_text_or_null(q, 7, str_of(op->retry.words));
	sql_int(q, 8, parts);
	if (sql_run(q) < 0)
		return -1;
	if (s->row.accepted < op->retry.late) {
		s->row.reason = op->retry.reason;
		if (note_late(s, &s->row) < 0)
			return -1;
	}
	if (op->retry.quiet)
		return 0;
	return history_add(s, op->retry.id, s->now,
		op->retry.held                          ? "held"
		: op->retry.from.channel != to->channel ? "failover"
							: "retry",
		op->retry.from.channel, op->retry.reason, op->retry.words);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* Nobody waits for its receipts any more, although one may still come. */
int stop_awaiting(struct store *s, const struct row *r)
{
	struct sql_stmt *q = s->q[Q_PART_LIST];
	struct {
		unsigned part;
		char key[OUTCOME_ID];
	} list[256];
	unsigned n = 0;
	int got;

	if (!r->rc)
		return 0;
	if (r->parts <= 1)
		return awaited_done(s, r->rc, r->key, r->id, 0);
	sql_int(q, 1, (int64_t)r->id);
	while ((got = sql_step(q)) == 1) {
		if (n == sizeof list / sizeof *list)
			continue;
		list[n].part = (unsigned)sql_col(q, 0);
		str_copy(list[n].key, sizeof list[n].key, sql_col_str(q, 2));
		n++;
	}
	for (unsigned i = 0; got == 0 && i < n; i++)
		got = awaited_done(s, r->rc, str_of(list[i].key), r->id, list[i].part);
	return got;
}

/* `sent` was the last word after all: nobody waits any more, and the submitter is told. */
static int last_word(struct store *s, struct store_op *op, struct row *r)
{
	struct sql_stmt *q = s->q[Q_ST_LAST_WORD];

	if (r->state != STATE_SENT || !r->rc)
		return 0;
	sql_int(q, 1, (int64_t)r->id);
	if (sql_run(q) < 0 || stop_awaiting(s, r) < 0)
		return -1;
	r->rc = 0;
	op->final.applied = true;
	return note_state(s, r, STATE_QUEUED, REASON_NONE, s->now, STR_NONE, 0);
}

static int apply_final(struct store *s, struct store_op *op)
{
	bool only_queued = op->final.only_if_queued || op->kind == OP_CANCEL;
	enum state to = op->kind == OP_CANCEL ? STATE_CANCELLED : op->final.state, was;
	struct row *r = &s->row;
	int got;

	op->final.applied = false;
	op->final.now = STATE_UNKNOWN;
	got = row_get(s, op->final.id, r);
	if (got <= 0)
		return got;
	was = op->final.now = r->state;
	if (to == STATE_SENT)
		return last_word(s, op, r);
	if ((only_queued && was != STATE_QUEUED) || (op->final.only_if_sent && was != STATE_SENT) ||
		(r->flags & MSG_MO) ||
		!(state_may(was, to) || (op->final.recalled && was == STATE_SENT))) {
		/* an end is an end: it must not wait on */
		return state_is_final(was) ? (unqueue(s, &op->final.place, r) < 0 ? -1 : 0) : 0;
	}
	if (was <= STATE_SENDING && unqueue(s, &op->final.place, r) < 0)
		return -1;
	if (op->kind == OP_CANCEL && op->final.reason == REASON_NONE)
		op->final.reason = REASON_CANCELLED;
	if (r->erased) {
		erased_err(op->final.err);
		op->final.words[0] = '\0';
	}
	if (state_put(s, r, to, op->final.reason,
		    op->final.attempt ? op->final.attempt : r->attempt, s->now,
		    str_of(op->final.err), str_of(op->final.words)) < 0 ||
		stop_awaiting(s, r) < 0)
		return -1;
	r->state = op->final.now = to;
	op->final.applied = true;
	if (note_state(s, r, was, op->final.reason, s->now, str_of(op->final.err), 0) < 0)
		return -1;
	return op->final.tap ? apply_tap(s, op->final.tap, op->final.id) : 0;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int apply_late(struct store *s, struct store_op *op)
{
	int got = row_get(s, op->late.id, &s->row);

	return got <= 0 ? got : note_late(s, &s->row);
}

static int apply_mark(struct store *s, struct store_op *op)
{
	struct sql_stmt *q = s->q[Q_Q_MARK];

	sql_int(q, 1, !op->mark.undo);
	sql_int(q, 2, op->mark.attempt);
	sql_int(q, 3, op->mark.place.channel);
	sql_int(q, 4, op->mark.place.priority);
	sql_int(q, 5, op->mark.place.due);
	sql_int(q, 6, (int64_t)op->mark.id);
	return sql_run(q);
}

/* To another time in the same queue; like OP_RETRY never before what this batch has queued. */
static int replace_place(struct store *s, struct store_op *op, struct row *r, unsigned parts)
{
	struct place *p = &op->replace.place;
	struct sql_stmt *q = s->q[Q_ST_PLACE];

	if (unqueue(s, p, r) < 0)
		return -1;
	p->channel = r->channel;
	p->priority = r->priority;
	p->due = op->replace.due > s->now ? op->replace.due : ++s->now;
	if (queue_insert(s, p, r->id, op->replace.msg->expires, r->attempt, parts) < 0)
		return -1;
	sql_int(q, 1, (int64_t)r->id);
	sql_int(q, 2, REASON_NONE);
	sql_int(q, 3, r->attempt);
	sql_int(q, 4, p->channel);
	sql_int(q, 5, p->priority);
	sql_int(q, 6, p->due);
	sql_null(q, 7);
	sql_int(q, 8, parts);
	return sql_run(q);
}

/* A name for what had none. 1: it is its own now, 0: another's. */
static int name_claim(struct store *s, const struct message *m, uint64_t id)
{
	struct sql_stmt *q = s->q[Q_DEDUPE_INSERT];

	sql_int(q, 1, m->submitter);
	sql_text(q, 2, message_get(m, FIELD_CLIENT_ID));
	sql_int(q, 3, (int64_t)id);
	sql_int(q, 4, (int64_t)message_fingerprint(m));
	sql_int(q, 5, s->now);
	if (sql_run(q) < 0)
		return -1;
	return sql_changed(s->db) ? 1 : 0;
}

static int apply_replace(struct store *s, struct store_op *op)
{
	const struct message *m = op->replace.msg;
	struct row *r = &s->row;
	struct sql_stmt *q;
	unsigned parts;
	int got;

	op->replace.applied = op->replace.conflict = false;
	got = row_get(s, op->replace.id, r);
	if (got <= 0 || r->state != STATE_QUEUED || (r->flags & MSG_MO))
		return got < 0 ? -1 : 0;
	if (op->replace.named && (got = name_claim(s, m, r->id)) <= 0) {
		op->replace.conflict = got == 0;
		return got;
	}
	parts = op->replace.parts ? op->replace.parts : r->parts;
	buf_reset(&s->scratch);
	message_pack(m, &s->scratch);
	q = s->q[Q_MSG_REPLACE];
	sql_int(q, 1, m->wants);
	sql_int(q, 2, m->flags);
	sql_int(q, 3, parts);
	sql_int(q, 4, sms_pack(m->sms));
	sql_int(q, 5, m->expires);
	sql_text_or_null(q, 6, message_get(m, FIELD_FROM));
	sql_text_or_null(q, 7, message_get(m, FIELD_TO));
	sql_blob(q, 8, buf_view(&s->scratch));
	sql_text_or_null(q, 9, message_get(m, FIELD_CLIENT_ID));
	sql_int(q, 10, (int64_t)r->id);
	if (sql_run(q) < 0)
		return -1;
	if (bodies_drop(s, r->id, r->id) < 0 ||
		(message_has(m, FIELD_SPOOL) &&
			bodies_add(s, r->id, message_get(m, FIELD_SPOOL)) < 0))
		return -1;
	q = s->q[Q_ST_PARTS];
	sql_int(q, 1, parts);
	sql_int(q, 2, (int64_t)r->id);
	if (sql_run(q) < 0)
		return -1;
	if (op->replace.due) {
		if (replace_place(s, op, r, parts) < 0)
			return -1;
		op->replace.applied = true;
		return history_add(s, r->id, s->now, "replaced", r->channel, REASON_NONE, "");
	}
	q = s->q[Q_Q_REPLACE];
	sql_int(q, 1, m->expires);
	sql_int(q, 2, parts);
	sql_int(q, 3, r->channel);
	sql_int(q, 4, r->priority);
	sql_int(q, 5, r->due);
	sql_int(q, 6, (int64_t)r->id);
	if (sql_run(q) < 0)
		return -1;
	op->replace.applied = true;
	return history_add(s, r->id, s->now, "replaced", r->channel, REASON_NONE, "");
}

int op_apply(struct store *s, struct store_op *op)
{
	op->fault = STORE_OK;
	switch ((unsigned)op->kind) {
	case OP_ACCEPT:
		return apply_accept(s, op);
	case OP_SENT:
		return apply_sent(s, op);
	case OP_RETRY:
		return apply_retry(s, op);
	case OP_FINAL:
	case OP_CANCEL:
		return apply_final(s, op);
	case OP_RECEIPT:
		return receipt_op(s, op);
	case OP_EVIDENCE:
		return evidence_op(s, op);
	case OP_LATE:
		return apply_late(s, op);
	case OP_NOTED:
		return note_taken(s, op->noted.outlet, op->noted.seq);
	case OP_MARK:
		return apply_mark(s, op);
	case OP_REPLACE:
		return apply_replace(s, op);
	case OP_MO:
		return mo_op(s, op);
	case OP_EVENT:
		return history_add(s, op->event.id, s->now, op->event.what, op->event.channel,
			op->event.reason, op->event.words);
	case OP_CALL:
		return apply_call(s, op);
	case OP_KEEP:
		return keep_op(s, op);
	case OP_NUMBER:
		return number_op(s, op);
	}
	CHECK(!"an operation's kind");
	return 0;
}
