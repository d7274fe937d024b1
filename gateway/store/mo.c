/* Subscribers' messages: kept until their account took them; parts put together durably.
 *
 * Parts wait in mo_part under a key that the caller makes of channel, addresses and reference.
 * When the last is there they are joined, and stay for a day with a row of part -1, so that a part
 * sent again is known and starts nothing new. References come round, with telephones that count
 * to 256 or choose at random: another text under the same key begins another message. Parts whose
 * siblings do not come, within mo_wait or before that, are handed over one by one: better in
 * pieces than not at all.
 */
#include "gateway/base/log.h"
#include "gateway/store/intern.h"

#define MO_CLOSED DUR_DAY

/* The message enters the history, and its account is told. */
static int mo_deliver(struct store *s, uint32_t outlet, struct message *m, struct store_op *tap)
{
	m->id = id_next(s);
	m->accepted = s->now;
	m->flags |= MSG_MO;
	if (message_add(s, m, 0, 0, outlet ? STATE_QUEUED : STATE_DELIVERED, REASON_NONE, STR_NONE,
		    1) < 0)
		return -1;
	if (tap) {
		tap->call.msg = m;
		if (apply_call(s, tap) < 0)
			return -1;
	}
	return outlet ? note_mo(s, outlet, m) : 0;
}

static int mo_insert(struct store *s, struct str key, int part, unsigned parts, uint32_t outlet,
	const struct message *m)
{
	struct sql_stmt *q = s->q[Q_MO_INSERT];

	sql_text(q, 1, key);
	sql_int(q, 2, part);
	sql_int(q, 3, parts);
	sql_int(q, 4, outlet);
	sql_int(q, 5, s->now);
	if (m) {
		buf_reset(&s->scratch);
		message_pack(m, &s->scratch);
		sql_blob(q, 6, buf_view(&s->scratch));
	} else {
		sql_null(q, 6);
	}
	return sql_run(q);
}

/* All parts of a key in order: their number, or -1. Those that cannot be read are left out. */
static int mo_list(struct store *s, struct str key, struct message **list, unsigned most,
	uint32_t submitter, uint32_t *outlet_r)
{
	struct sql_stmt *q = s->q[Q_MO_LIST];
	unsigned n = 0;
	int got;

	sql_text(q, 1, key);
	while ((got = sql_step(q)) == 1) {
		struct message *m = n < most ? message_unpack(sql_col_str(q, 1)) : NULL;

		*outlet_r = (uint32_t)sql_col(q, 2);
		if (!m)
			continue;
		m->accepted = s->now;
		m->submitter = submitter;
		list[n++] = m;
	}
	return got < 0 ? -1 : (int)n;
}

static int mo_forget(struct store *s, struct str key)
{
	sql_text(s->q[Q_MO_DELETE], 1, key);
	return sql_run(s->q[Q_MO_DELETE]);
}

/* Has the key been joined already? */
static int mo_is_closed(struct store *s, struct str key)
{
	struct sql_stmt *q = s->q[Q_MO_DONE];
	int got;

	sql_text(q, 1, key);
	got = sql_step(q);
	if (got == 1)
		sql_reset(q);
	return got;
}

/* 1: the part that is kept says the same as m; 0: something else, or there is none; -1. */
static int mo_is_again(struct store *s, struct str key, int part, const struct message *m)
{
	struct sql_stmt *q = s->q[Q_MO_GET];
	struct message *was;
	int got;

	sql_text(q, 1, key);
	sql_int(q, 2, part);
	got = sql_step(q);
	if (got <= 0)
		return got;
	was = message_unpack(sql_col_str(q, 0));
	sql_reset(q);
	got = was && str_eq(message_get(was, FIELD_OCTETS), message_get(m, FIELD_OCTETS)) &&
	      str_eq(message_get(was, FIELD_TEXT), message_get(m, FIELD_TEXT));
	message_unref(&was);
	return got;
}

/* All under the key is as old as to go when MO_CLOSED is over. */
static int mo_keep(struct store *s, struct str key)
{
	struct sql_stmt *q = s->q[Q_MO_KEEP];

	sql_int(q, 1, s->now + MO_CLOSED - s->conf.mo_wait);
	sql_text(q, 2, key);
	return sql_run(q);
}

/* What lies under the key goes to its account as it came, and is forgotten. */
static int mo_hand_over(struct store *s, struct str key, uint32_t submitter)
{
	struct message *list[256];
	uint32_t outlet = 0;
	int n = mo_list(s, key, list, 256, submitter, &outlet), r = 0;

	if (n < 0)
		return -1;
	log_info("parts of a subscriber's message without the others",
		F_SLICE("from", n ? message_get(list[0], FIELD_FROM) : STR_NONE),
		F_U64("parts", (uint64_t)n));
	stat_inc(&s->stat.mo_alone);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = mo_deliver(s, outlet, list[i], NULL);
		message_unref(&list[i]);
	}
	return r < 0 ? -1 : mo_forget(s, key);
}

static int mo_join(struct store *s, struct store_op *op, struct str key)
{
	struct message *list[256], *whole = NULL;
	uint32_t outlet = op->mo.outlet;
	int n = mo_list(s, key, list, 256, op->mo.msg->submitter, &outlet), r = 0;

	if (n < 0)
		return -1;
	if (n == op->mo.parts) {
		op->mo.complete = true;
		whole = op->mo.join((struct message *const *)list, (unsigned)n);
		r = mo_insert(s, key, -1, 0, 0, NULL);
		if (r == 0)
			r = mo_keep(s, key);
		if (r == 0 && whole)
			r = mo_deliver(s, op->mo.outlet, whole, op->mo.tap);
		else if (r == 0)
			log_warn("parts of a subscriber's message do not join",
				F_SLICE("from", message_get(op->mo.msg, FIELD_FROM)));
		/* what does not join is handed over as it came */
		for (int i = 0; r == 0 && !whole && i < n; i++)
			r = mo_deliver(s, op->mo.outlet, list[i], NULL);
	}
	message_unref(&whole);
	for (int i = 0; i < n; i++)
		message_unref(&list[i]);
	return r;
}

int mo_op(struct store *s, struct store_op *op)
{
	struct str key = str_of(op->mo.key);
	int closed, got;

	op->mo.complete = op->mo.again = false;
	if (!key.n || op->mo.parts <= 1) {
		op->mo.complete = true;
		return mo_deliver(s, op->mo.outlet, op->mo.msg, op->mo.tap);
	}
	closed = mo_is_closed(s, key);
	if (closed < 0)
		return -1;
	if (!closed) {
		if (mo_insert(s, key, op->mo.part, op->mo.parts, op->mo.outlet, op->mo.msg) < 0)
			return -1;
		if (sql_changed(s->db))
			return mo_join(s, op, key);
	}
	got = mo_is_again(s, key, op->mo.part, op->mo.msg);
	if (got != 0) {
		op->mo.again = got > 0;
		return got < 0 ? -1 : 0;
	}
	if ((closed ? mo_forget(s, key) : mo_hand_over(s, key, op->mo.msg->submitter)) < 0 ||
		mo_insert(s, key, op->mo.part, op->mo.parts, op->mo.outlet, op->mo.msg) < 0)
		return -1;
	return 0;
}

int mo_slice(struct store *s, mono_t until)
{
	do {
		struct sql_stmt *q = s->q[Q_MO_OLD];
		char text[sizeof((struct store_op *)0)->mo.key];
		struct str key;
		int closed, n;

		sql_int(q, 1, s->now - s->conf.mo_wait);
		n = sql_step(q);
		if (n <= 0)
			return n;
		str_copy(text, sizeof text, sql_col_str(q, 0));
		key = str_of(text);
		sql_reset(q);
		closed = mo_is_closed(s, key);
		if (closed < 0 || (closed ? mo_forget(s, key) : mo_hand_over(s, key, 0)) < 0)
			return -1;
	} while (clock_mono() < until);
	return 1;
}
