/* Emptying a message that has ended, so that whom it went to, and what it said, is nowhere any
 * more.
 *
 * What counts and what is matched by stays: id, state, reasons, times, parts, submitter, channel,
 * the client's id and the far side's. The mark of an erased message is a recipient that is empty
 * and not NULL; whoever comes with news of it later (receipts, evidence) leaves none of its words,
 * only what is plainly a code. Deleted octets are overwritten in the file by SQLite
 * (secure_delete), and the log is cut off soon after, since it holds the pages as they were.
 */
#include "gateway/store/intern.h"

/* What stays of its fields: nothing that is the recipient's or was written to them. */
enum {
	KEPT_FIELDS = 1u << FIELD_FROM | 1u << FIELD_FROM_NAME | 1u << FIELD_CLIENT_ID |
		      1u << FIELD_TEMPLATE | 1u << FIELD_CHANNEL | 1u << FIELD_ON_BEHALF |
		      1u << FIELD_UNSUBSCRIBE,
	OF_SUBSCRIBERS = 1u << FIELD_FROM | 1u << FIELD_FROM_NAME,
	CODE_MOST = 7, /* "5.1.1", "0034"; a telephone number is longer. As in hot.def */
};

struct str erased_code(struct str err)
{
	if (err.n > CODE_MOST)
		return STR_NONE;
	for (size_t i = 0; i < err.n; i++)
		if (err.p[i] != '.' && (err.p[i] < '0' || err.p[i] > '9'))
			return STR_NONE;
	return err;
}

void erased_err(char err[NOTE_ERR])
{
	if (!erased_code(str_of(err)).n)
		memset(err, 0, NOTE_ERR);
}

static int content_empty(struct store *s, const struct row *r)
{
	bool mo = r->flags & MSG_MO;
	struct sql_stmt *q;
	struct message *m;
	struct draft d;
	int got = message_read(s, r->id, &m);

	if (got < 0)
		return -1;
	draft_init(&d);
	if (m)
		draft_copy(&d, m, ~(uint32_t)(mo ? KEPT_FIELDS & ~OF_SUBSCRIBERS : KEPT_FIELDS));
	message_unref(&m);
	m = draft_seal(&d);
	draft_free(&d);
	buf_reset(&s->scratch);
	message_pack(m, &s->scratch);
	message_unref(&m);
	q = s->q[Q_ERASE_MSG];
	if (mo)
		sql_null(q, 1);
	else
		sql_text_or_null(q, 1, r->src);
	sql_blob(q, 2, buf_view(&s->scratch));
	sql_int(q, 3, (int64_t)r->id);
	return sql_run(q);
}

static int words_empty(struct store *s, uint64_t id, const char *but)
{
	static const enum hot of_id[] = { Q_ERASE_ST, Q_ERASE_PART };
	struct sql_stmt *q = s->q[Q_ERASE_EVENT];

	sql_int(q, 1, (int64_t)id);
	sql_text(q, 2, str_of(but ? but : ""));
	if (sql_run(q) < 0)
		return -1;
	for (size_t i = 0; i < sizeof of_id / sizeof *of_id; i++) {
		sql_int(s->q[of_id[i]], 1, (int64_t)id);
		if (sql_run(s->q[of_id[i]]) < 0)
			return -1;
	}
	return 0;
}

int store_call_erase(struct store_op *call, uint64_t id, const char *but)
{
	struct store *s = call->call.store;
	struct row r;
	int got = row_get(s, id, &r);

	if (got <= 0)
		return got < 0 ? -1 : 1;
	if (r.state <= STATE_SENDING)
		return 0;
	/* also of one erased before: what was written since, before it was known as such */
	if (words_empty(s, id, but) < 0)
		return -1;
	if (r.erased)
		return 1;
	got = orphan_strip(s, r.dst);
	if (got)
		return got < 0 ? -1 : 0;
	if (content_empty(s, &r) < 0 || bodies_drop(s, id, id) < 0)
		return -1;
	awaited_strip(s, &r);
	atomic_store(&s->scrub, true);
	return 1;
}
