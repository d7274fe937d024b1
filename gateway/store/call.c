/* Plugins' work inside the writer's transaction: each call in a savepoint of its own, so that its
 * error undoes nothing of others', and what it may do there besides its own tables.
 *
 * What the writer keeps in memory of the transaction (figures, notes, reserved numbers) goes back
 * with the savepoint.
 */
#include "gateway/store/intern.h"

static struct store_op *op_of(struct letter *l)
{
	return CONTAINER(l, struct store_op, letter);
}

static void accepts_none(struct store_op *call)
{
	call->call.accepts = NULL;
	call->call.accepts_end = &call->call.accepts;
	call->call.noted = 0;
}

/* The call within an operation, or NULL. */
static struct store_op *call_of(struct store_op *op)
{
	switch (op->kind) {
	case OP_CALL:
		return op;
	case OP_MO:
		return op->mo.tap;
	case OP_EVIDENCE:
		return op->evidence.tap;
	case OP_FINAL:
		return op->final.tap;
	default:
		return NULL;
	}
}

void call_answer(struct store_op *op, void (*answer)(struct store_op *))
{
	struct store_op *call = call_of(op);

	for (struct letter *l = call ? call->call.accepts : NULL, *next; l; l = next) {
		next = l->next;
		answer(op_of(l));
	}
	if (call)
		accepts_none(call);
}

void call_drop(struct store_op *op)
{
	struct store_op *call = call_of(op);

	for (struct letter *l = call ? call->call.accepts : NULL, *next; l; l = next) {
		struct store_op *accept = op_of(l);

		next = l->next;
		if (accept->accept.drop)
			accept->accept.drop(accept);
		else
			mem_free(&accept);
	}
	if (call)
		accepts_none(call);
}

/* The figures of what the savepoint takes back. */
static void figures_undo(struct store *s, struct store_op *call)
{
	for (struct letter *l = call->call.accepts; l; l = l->next) {
		const struct store_op *a = op_of(l);

		if (a->accept.state == STATE_QUEUED && a->accept.place.channel &&
			!a->accept.duplicate && !a->accept.conflict)
			tally_queue(s, a->accept.place.channel, a->accept.place.priority, -1);
	}
	if (call->call.noted)
		tally_notes(s, call->call.noted_outlet, (int)call->call.noted);
}

int apply_call(struct store *s, struct store_op *op)
{
	struct note **notes = s->notes_end;
	uint64_t reserved = s->seq_reserved;

	op->fault = STORE_OK;
	op->call.store = s;
	s->orphan_ahead = false;
	accepts_none(op);
	if (sql_run(s->q[Q_CALL_BEGIN]) < 0)
		return -1;
	sql_forgive(s->db);
	op->call.result = op->call.run(s->db, op);
	if (s->db->fault == SQL_FULL || s->db->fault == SQL_IO)
		return -1; /* the store's trouble, not the plugin's: again later */
	if (op->call.result < 0) {
		if (sql_run(s->q[Q_CALL_UNDO]) < 0)
			return -1;
		figures_undo(s, op);
		notes_cut_back(s, notes);
		s->seq_reserved = reserved; /* as the file has it again */
		if (orphan_undo(s) < 0)
			return -1;
		call_drop(op);
	}
	return sql_run(s->q[Q_CALL_END]);
}

int apply_tap(struct store *s, struct store_op *tap, uint64_t id)
{
	struct message *m = NULL;
	int r = id ? message_read(s, id, &m) : 0;

	if (r >= 0) {
		tap->call.msg = m;
		r = apply_call(s, tap);
		tap->call.msg = NULL;
	}
	message_unref(&m);
	return r < 0 ? -1 : 0;
}

uint64_t store_call_id(struct store_op *call)
{
	return id_next(call->call.store);
}

int store_call_accept(struct store_op *call, struct store_op *accept)
{
	accept->kind = OP_ACCEPT;
	accept->fault = STORE_OK;
	if (apply_accept(call->call.store, accept) < 0)
		return -1;
	accept->letter.next = NULL;
	*call->call.accepts_end = &accept->letter;
	call->call.accepts_end = &accept->letter.next;
	return 0;
}

int store_call_noted(struct store_op *call, uint32_t outlet, uint64_t seq)
{
	struct store *s = call->call.store;

	if (note_taken(s, outlet, seq) < 0)
		return -1;
	CHECK(!call->call.noted || call->call.noted_outlet == outlet);
	call->call.noted_outlet = outlet;
	call->call.noted += sql_changed(s->db) > 0;
	return 0;
}

int store_call_event(
	struct store_op *call, uint64_t id, const char *what, enum reason reason, const char *words)
{
	return history_add(call->call.store, id, call->call.store->now, what, 0, reason, words);
}

int store_call_has_event(struct store_op *call, uint64_t id, const char *what)
{
	struct sql_stmt *q = call->call.store->q[Q_EVENT_FIND];
	int got;

	sql_int(q, 1, (int64_t)id);
	sql_text(q, 2, str_of(what));
	got = sql_step(q);
	if (got == 1)
		sql_reset(q);
	return got;
}

int store_call_state(struct store_op *call, uint64_t id, enum state *state_r, uint32_t *channel_r)
{
	struct sql_stmt *q = call->call.store->q[Q_STATE_FIND];
	int got;

	sql_int(q, 1, (int64_t)id);
	got = sql_step(q);
	if (got == 1) {
		*state_r = (enum state)sql_col(q, 0);
		*channel_r = (uint32_t)sql_col(q, 1);
		sql_reset(q);
	}
	return got;
}

int store_call_client(
	struct store_op *call, uint32_t submitter, struct str client_id, uint64_t *id_r)
{
	struct sql_stmt *q = call->call.store->q[Q_DEDUPE_GET];
	int got;

	sql_int(q, 1, submitter);
	sql_text(q, 2, client_id);
	got = sql_step(q);
	if (got == 1) {
		*id_r = (uint64_t)sql_col(q, 0);
		sql_reset(q);
	}
	return got;
}

wall_t store_call_now(const struct store_op *call)
{
	return call->call.store->now;
}
