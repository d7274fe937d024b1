/* See printed.h. */
#include "plugins/offers/printed.h"

#include "plugins/offers/engine.h"
#include "plugins/offers/sent.h"

/* enum state has no words of its own for paper. */
#define REPLIED     STATE_SENT
#define CONFIRMED   STATE_DELIVERED
#define UNREACHABLE STATE_UNDELIVERABLE

#define CONFIRM_WITHIN (31 * DUR_DAY) /* a receipt is not asked for after that */
#define CLOCKS_APART                                                                \
	DUR_MIN /* of the threads that note when an event came and when it was done \
		 */

const char *printed_word(int64_t media, int64_t msg, int64_t state)
{
	if (msg || (media != MEDIA_RECEIPT && media != MEDIA_CASHIER))
		return NULL;
	return state == CONFIRMED ? "confirmed" : state == UNREACHABLE ? "unreachable" : "replied";
}

int printed_note(struct work *w, struct member *m, const struct event *e, const struct offer *o,
	size_t index, enum media media)
{
	const struct sending s = { .member = m,
		.object = o->number,
		.run = e->seq,
		.step = ACTION_STEP + (unsigned)index };
	dur_t wait = w->rules->conf->intake.offline_after;
	const struct sent_row row = { .id = dispatch_id(&s),
		.member = m->id,
		.object = o->number,
		.run = e->seq,
		.step = s.step,
		.media = (int)media,
		.row = o->row,
		.class = o->kind,
		.state = e->received - e->occurred > wait ? UNREACHABLE : REPLIED,
		.due = w->now,
		.receipt = event_receipt(e) };

	return sent_put(w, &row);
}

static int change(struct work *w, uint64_t member, wall_t since, uint64_t seq, uint64_t receipt,
	enum state to, enum state from)
{
	struct sql_stmt *st = db_st(w->db, ST_PRINTED_STATE);

	if (!st)
		return work_failed(w, "what was printed");
	sql_int(st, 1, to);
	sql_int(st, 2, (int64_t)member);
	sql_int(st, 3, since);
	sql_int(st, 4, (int64_t)seq);
	sql_int(st, 5, (int64_t)receipt);
	sql_int(st, 6, MEDIA_RECEIPT);
	sql_int(st, 7, MEDIA_CASHIER);
	sql_int(st, 8, from);
	return sql_run(st) < 0 ? work_failed(w, "what was printed") : 0;
}

int printed_unheard(struct work *w, uint64_t seq)
{
	struct sql_stmt *st = db_st(w->db, ST_PRINTED_EVENT);
	int64_t member = 0, received = 0;
	int rc;

	if (!st)
		return work_failed(w, "what was printed");
	sql_int(st, 1, (int64_t)seq);
	rc = sql_step(st);
	if (rc == 1) {
		member = sql_col(st, 0);
		received = sql_col(st, 1);
	}
	sql_reset(st);
	if (rc < 0)
		return work_failed(w, "what was printed");
	return member ? change(w, (uint64_t)member, received - CLOCKS_APART, seq, 0, UNREACHABLE,
				REPLIED)
		      : 0;
}

int printed_confirm(struct work *w, const struct member *m, const struct event *e)
{
	struct sql_stmt *st = db_st(w->db, ST_EVENT_FIND);
	struct value of = e->attr[ATTR_event];
	uint64_t seq = 0, receipt = event_receipt(e);
	int rc = 0;

	if (of.type == VALUE_TEXT) {
		if (!st)
			return work_failed(w, "what was printed");
		sql_text(st, 1, of.s);
		sql_text(st, 2, e->source);
		rc = sql_step(st);
		if (rc == 1)
			seq = (uint64_t)sql_col(st, 0);
		sql_reset(st);
		receipt = 0;
	}
	if (rc < 0)
		return work_failed(w, "what was printed");
	if (!seq && !receipt)
		return 0; /* of something that is not known here */
	/* A late event was on paper after all, if the till says so. */
	if (change(w, m->id, w->now - CONFIRM_WITHIN, seq, receipt, CONFIRMED, REPLIED) < 0)
		return -1;
	return change(w, m->id, w->now - CONFIRM_WITHIN, seq, receipt, CONFIRMED, UNREACHABLE);
}
