/* News for submitters: rows of `note` written with the change they tell of, and handed to the
 * sink after the commit in its order.
 *
 * A note's seq is a counter with the note's kind in its low bits, so that taking one needs no look
 * at what it was. The counter is reserved ahead in meta, in long steps: it never goes back.
 */
#include "gateway/store/intern.h"

enum { SEQ_STEP = 1 << 20, KIND_BITS = 3 };

int note_load(struct store *s)
{
	int64_t from = sql_number(s->db, "SELECT value FROM meta WHERE name = 'note_seq'", 0);

	if (s->seq < (uint64_t)from)
		s->seq = (uint64_t)from;
	s->seq_reserved = (uint64_t)from;
	return 0;
}

static int seq_next(struct store *s, enum note_kind kind, uint64_t *seq_r)
{
	if (++s->seq >= s->seq_reserved) {
		s->seq_reserved = s->seq + SEQ_STEP;
		if (meta_set(s, "note_seq", (int64_t)s->seq_reserved) < 0)
			return -1;
	}
	*seq_r = s->seq << KIND_BITS | kind;
	return 0;
}

static int note_insert(struct store *s, const struct note *n)
{
	struct sql_stmt *q = s->q[Q_NOTE_INSERT];

	sql_int(q, 1, n->outlet);
	sql_int(q, 2, (int64_t)n->seq);
	sql_int(q, 3, (int64_t)n->msg);
	sql_int(q, 4, n->kind);
	sql_int(q, 5, n->state);
	sql_int(q, 6, n->reason);
	sql_int(q, 7, n->parts_delivered);
	sql_int(q, 8, n->at);
	sql_text_or_null(q, 9, str_of(n->err));
	if (sql_run(q) < 0)
		return -1;
	tally_notes(s, n->outlet, 1);
	return 0;
}

static void note_hold(struct store *s, struct note *n)
{
	n->letter.next = NULL;
	*s->notes_end = n;
	s->notes_end = (struct note **)(void *)&n->letter.next;
}

static int tell(struct store *s, const struct row *r, enum note_kind kind, enum state state,
	enum reason reason, wall_t at, struct str err, unsigned delivered)
{
	struct note *n = mem_new(struct note);

	*n = (struct note){
		.outlet = r->submitter,
		.kind = kind,
		.msg = r->id,
		.state = state,
		.reason = reason,
		.media = r->media,
		.wants = r->wants,
		.parts = r->parts,
		.parts_delivered = (uint8_t)delivered,
		.sms = r->sms,
		.accepted = r->accepted,
		.at = at,
	};
	str_copy(n->from, sizeof n->from, r->src);
	str_copy(n->to, sizeof n->to, r->dst);
	str_copy(n->err, sizeof n->err, err);
	str_copy(n->client_id, sizeof n->client_id, r->client_id);
	if (seq_next(s, kind, &n->seq) < 0 || note_insert(s, n) < 0) {
		note_free(&n);
		return -1;
	}
	note_hold(s, n);
	return 0;
}

static unsigned want_of(enum state st)
{
	if (st == STATE_DELIVERED || st == STATE_READ || st == STATE_SENT)
		return WANT_DELIVERED;
	return state_is_final(st) ? WANT_FAILED : 0;
}

int note_state(struct store *s, const struct row *r, enum state was, enum reason reason, wall_t at,
	struct str err, unsigned delivered)
{
	/* `sent` was the last word where no receipt is awaited */
	bool last = state_is_final(was) || (was == STATE_SENT && !r->rc);
	bool told = last && (r->wants & want_of(was));

	if (!r->submitter || !(r->wants & want_of(r->state)) || (r->flags & MSG_MO))
		return 0;
	return tell(
		s, r, told ? NOTE_CORRECTION : NOTE_RECEIPT, r->state, reason, at, err, delivered);
}

int note_intermediate(
	struct store *s, const struct row *r, enum reason reason, wall_t at, struct str err)
{
	if (!r->submitter || !(r->wants & WANT_INTERMEDIATE) || (r->flags & MSG_MO))
		return 0;
	return tell(s, r, NOTE_INTERMEDIATE, STATE_SENT, reason, at, err, 0);
}

/* The line of history says that it was told, also after a restart. */
int note_late(struct store *s, const struct row *r)
{
	struct sql_stmt *q = s->q[Q_EVENT_FIND];
	int got;

	if (!r->submitter || !(r->wants & WANT_DELAY) || (r->flags & MSG_MO) ||
		r->state > STATE_SENDING)
		return 0;
	sql_int(q, 1, (int64_t)r->id);
	sql_text(q, 2, STR("late"));
	got = sql_step(q);
	sql_reset(q);
	if (got != 0)
		return got < 0 ? -1 : 0;
	if (history_add(s, r->id, s->now, "late", r->channel, r->reason, "") < 0)
		return -1;
	return tell(s, r, NOTE_INTERMEDIATE, STATE_QUEUED, r->reason, s->now, STR_NONE, 0);
}

int note_mo(struct store *s, uint32_t outlet, struct message *m)
{
	struct note *n = mem_new(struct note);

	*n = (struct note){
		.outlet = outlet,
		.kind = NOTE_MO,
		.msg = m->id,
		.state = STATE_QUEUED,
		.media = m->media,
		.parts = 1,
		.sms = m->sms,
		.accepted = m->accepted,
		.at = s->now,
		.mo = message_ref(m),
	};
	str_copy(n->from, sizeof n->from, message_get(m, FIELD_FROM));
	str_copy(n->to, sizeof n->to, message_get(m, FIELD_TO));
	str_copy(n->client_id, sizeof n->client_id, message_get(m, FIELD_CLIENT_ID));
	if (seq_next(s, NOTE_MO, &n->seq) < 0 || note_insert(s, n) < 0) {
		note_free(&n);
		return -1;
	}
	note_hold(s, n);
	return 0;
}

int note_taken(struct store *s, uint32_t outlet, uint64_t seq)
{
	struct sql_stmt *q;

	if ((seq & ((1u << KIND_BITS) - 1)) == NOTE_MO) {
		q = s->q[Q_ST_MO_TAKEN];
		sql_int(q, 1, s->now);
		sql_int(q, 2, outlet);
		sql_int(q, 3, (int64_t)seq);
		if (sql_run(q) < 0)
			return -1;
	}
	return note_forget(s, outlet, seq);
}

int note_forget(struct store *s, uint32_t outlet, uint64_t seq)
{
	struct sql_stmt *q = s->q[Q_NOTE_DELETE];

	sql_int(q, 1, outlet);
	sql_int(q, 2, (int64_t)seq);
	if (sql_run(q) < 0)
		return -1;
	if (sql_changed(s->db))
		tally_notes(s, outlet, -1);
	return 0;
}

void note_free(struct note **np)
{
	if (*np)
		message_unref(&(*np)->mo);
	mem_free(np);
}

static struct note *notes_cut(struct store *s)
{
	struct note *n = s->notes;

	s->notes = NULL;
	s->notes_end = &s->notes;
	return n;
}

static struct note *note_next(struct note *n)
{
	return (struct note *)(void *)n->letter.next;
}

void notes_drop(struct store *s)
{
	for (struct note *n = notes_cut(s), *next; n; n = next) {
		next = note_next(n);
		note_free(&n);
	}
}

void notes_cut_back(struct store *s, struct note **end)
{
	struct note *n = *end, *next;

	*end = NULL;
	s->notes_end = end;
	for (; n; n = next) {
		next = note_next(n);
		tally_notes(s, n->outlet, -1);
		note_free(&n);
	}
}

void notes_tell(struct store *s)
{
	for (struct note *n = notes_cut(s), *next; n; n = next) {
		next = note_next(n);
		n->letter.next = NULL;
		if (s->sink)
			s->sink(s->sink_ctx, n);
		else
			note_free(&n);
	}
}

void store_set_note_sink(struct store *s, note_sink_fn sink, void *ctx)
{
	s->sink_ctx = ctx;
	s->sink = sink;
}
