/* Refills: the reader's thread answers loads from a connection of its own.
 *
 * A load never sees a row beyond which a smaller key could still be committed: `until` stays
 * below the batch under way, and the writer's next batch begins above every `until` given so far
 * (store.h). When the file cannot be read, loads wait and are tried again.
 */
#include "gateway/base/log.h"
#include "gateway/store/intern.h"

#include <poll.h>

enum {
	R_QUEUE,
	R_NEXT,
	R_PARTS,
	R_NOTES,
	R_OVERDUE_RC,
	R_OVERDUE_SENT,
	R_AWAITS,
	R_EXPIRED,
	R_WANTS,
	R_COUNT,
	WALK = 1024, /* rows looked at between looks at the clock */
	LOAD_MOST = 65536,
	AGAIN_MS = 1000, /* while the file cannot be read */
};
#define SLICE (20 * DUR_MS)
/* Sorts behind every key: that part of a sweep looks at the young. */
#define YOUNG_KEY "\xff"

static const char *const texts[R_COUNT] = {
	[R_QUEUE] = "SELECT q.due, q.id, q.attempt, q.parts, q.marked, msg.accepted, msg.submitter,"
		    " msg.data FROM q CROSS JOIN msg"
		    " WHERE q.channel = $1 AND q.prio = $2 AND (q.due, q.id) > ($3, $4)"
		    " AND q.due <= $5 AND msg.id = q.id"
		    " ORDER BY q.due, q.id LIMIT $6",
	[R_NEXT] = "SELECT due FROM q WHERE channel = $1 AND prio = $2 AND due > $3"
		   " ORDER BY due LIMIT 1",
	[R_PARTS] = "SELECT part, ref FROM part WHERE id = $1",
	[R_NOTES] = "SELECT note.seq, note.msg, note.kind, note.state, note.reason, note.delivered,"
		    " note.at, note.err, msg.media, msg.wants, coalesce((SELECT parts FROM st "
		    "WHERE id = msg.id), msg.parts), msg.sms, msg.accepted,"
		    " msg.src, msg.dst, msg.client_id, msg.submitter,"
		    " CASE note.kind WHEN 4 THEN msg.data END"
		    " FROM note LEFT JOIN msg ON msg.id = note.msg"
		    " WHERE note.outlet = $1 AND note.seq > $2 ORDER BY note.seq LIMIT $3",
	[R_OVERDUE_RC] = "SELECT key, id, at, done FROM rc WHERE channel = $1"
			 " AND (key, id) > ($2, $3) ORDER BY key, id LIMIT $4",
	[R_OVERDUE_SENT] = "SELECT n, data FROM sent WHERE n > $1 ORDER BY n LIMIT 64",
	[R_AWAITS] = "SELECT 1 FROM st WHERE id = $1 AND state = 2 AND rc <> 0",
	[R_EXPIRED] = "SELECT prio, due, id, expires FROM q WHERE channel = $1"
		      " AND (prio, due, id) > ($2, $3, $4) ORDER BY prio, due, id LIMIT $5",
	[R_WANTS] = "SELECT wants FROM msg WHERE id = $1",
};

struct reader {
	struct store *s;
	struct sql_stmt *q[R_COUNT];
};

static void load_arrived(struct letter *l)
{
	struct store_load *load = CONTAINER(l, struct store_load, letter);

	load->done(load);
}

static void load_answer(struct store_load *l)
{
	if (!l->loop) {
		l->done(l);
		return;
	}
	l->letter.run = load_arrived;
	loop_post(l->loop, &l->letter);
}

void store_load(struct store *s, struct store_load *l)
{
	mailbox_post(&s->loads, &l->letter);
}

void store_load_free(struct store_load *l)
{
	mem_free(&l->rows);
	mem_free(&l->notes);
	mem_free(&l->ids);
	l->n = 0;
}

/* What a failed attempt gathered is let go of. */
static void load_undo(struct store_load *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		if (l->rows)
			message_unref(&l->rows[i].msg);
		if (l->notes)
			note_free(&l->notes[i]);
	}
	store_load_free(l);
}

/* How far a cursor may go now. */
static wall_t horizon(struct store *s, wall_t until)
{
	wall_t t = clock_wall();

	pthread_mutex_lock(&s->clock);
	if (t < s->last_now)
		t = s->last_now;
	if (until > t)
		until = t;
	if (s->open_now && until >= s->open_now)
		until = s->open_now - 1;
	if (s->floor < until)
		s->floor = until;
	pthread_mutex_unlock(&s->clock);
	return until;
}

static int load_parts(struct reader *r, struct queue_row *row)
{
	struct sql_stmt *q = r->q[R_PARTS];
	int got;

	sql_int(q, 1, (int64_t)row->msg->id);
	while ((got = sql_step(q)) == 1) {
		unsigned part = (unsigned)sql_col(q, 0) & 255;

		row->parts_sent[part / 8] |= (uint8_t)(1u << part % 8);
		row->concat_ref = (uint16_t)sql_col(q, 1);
	}
	return got;
}

static int load_queue(struct reader *r, struct store_load *l)
{
	struct sql_stmt *q = r->q[R_QUEUE];
	wall_t until = horizon(r->s, l->until);
	uint64_t bytes = 0;
	unsigned seen = 0;
	bool full = false;
	int got;

	l->rows = mem_alloc((l->most ? l->most : 1) * sizeof *l->rows);
	l->next_due = 0;
	if (sql_begin(r->s->rd) < 0)
		return -1;
	sql_int(q, 1, l->channel);
	sql_int(q, 2, l->priority);
	sql_int(q, 3, l->after_due);
	sql_int(q, 4, (int64_t)l->after_id);
	sql_int(q, 5, until);
	sql_int(q, 6, l->most);
	while ((got = sql_step(q)) == 1) {
		struct queue_row *row = &l->rows[l->n];
		uint64_t id = (uint64_t)sql_col(q, 1);

		seen++;
		row->msg = message_unpack(sql_col_str(q, 7));
		if (!row->msg) {
			log_error("message damaged in the store", F_ID("msg", id));
			continue;
		}
		row->msg->id = id;
		row->msg->accepted = sql_col(q, 5);
		row->msg->submitter = (uint32_t)sql_col(q, 6);
		row->place = (struct place){
			.channel = l->channel, .priority = l->priority, .due = sql_col(q, 0)
		};
		row->attempt = (unsigned)sql_col(q, 2);
		row->parts = (uint8_t)sql_col(q, 3);
		row->marked = sql_col(q, 4) != 0;
		l->n++;
		bytes += message_bytes(row->msg);
		if (l->bytes_most && bytes >= l->bytes_most) {
			full = true;
			sql_reset(q);
			got = 0;
			break;
		}
	}
	for (unsigned i = 0; got == 0 && i < l->n; i++)
		if (l->rows[i].parts > 1)
			got = load_parts(r, &l->rows[i]);
	l->end = seen < l->most && !full;
	if (got == 0 && l->end) {
		q = r->q[R_NEXT];
		sql_int(q, 1, l->channel);
		sql_int(q, 2, l->priority);
		sql_int(q, 3, until);
		got = sql_step(q);
		if (got == 1) {
			l->next_due = sql_col(q, 0);
			sql_reset(q);
			got = 0;
		}
	}
	sql_rollback(r->s->rd);
	return got;
}

static int load_notes(struct reader *r, struct store_load *l)
{
	struct sql_stmt *q = r->q[R_NOTES];
	int got;

	l->notes = mem_alloc((l->most ? l->most : 1) * sizeof *l->notes);
	sql_int(q, 1, l->channel);
	sql_int(q, 2, (int64_t)l->after_id);
	sql_int(q, 3, l->most);
	while ((got = sql_step(q)) == 1) {
		struct note *n = mem_new(struct note);

		*n = (struct note){
			.outlet = l->channel,
			.seq = (uint64_t)sql_col(q, 0),
			.msg = (uint64_t)sql_col(q, 1),
			.kind = (enum note_kind)sql_col(q, 2),
			.state = (enum state)sql_col(q, 3),
			.reason = (enum reason)sql_col(q, 4),
			.parts_delivered = (uint8_t)sql_col(q, 5),
			.at = sql_col(q, 6),
			.media = (uint8_t)sql_col(q, 8),
			.wants = (uint8_t)sql_col(q, 9),
			.parts = (uint8_t)sql_col(q, 10),
			.sms = sms_unpack(sql_col(q, 11)),
			.accepted = sql_col(q, 12),
		};
		str_copy(n->err, sizeof n->err, sql_col_str(q, 7));
		str_copy(n->from, sizeof n->from, sql_col_str(q, 13));
		str_copy(n->to, sizeof n->to, sql_col_str(q, 14));
		str_copy(n->client_id, sizeof n->client_id, sql_col_str(q, 15));
		if (n->kind == NOTE_MO) {
			n->mo = message_unpack(sql_col_str(q, 17));
			if (!n->mo) {
				log_error("message damaged in the store", F_ID("msg", n->msg));
				note_free(&n);
				continue;
			}
			n->mo->id = n->msg;
			n->mo->accepted = n->accepted;
			n->mo->submitter = (uint32_t)sql_col(q, 16);
		}
		l->notes[l->n++] = n;
	}
	l->end = l->n < l->most;
	return got;
}

/* One row of the young: those of the channel that were sent too long ago and still wait. What does
 * not fit is found by the next sweep. */
static int overdue_young(struct reader *r, struct store_load *l, uint64_t last, struct str data)
{
	struct str rest = data;
	struct sent_entry entry;
	uint64_t number = last;

	while (sent_unpack(&rest, &entry))
		number--; /* a row has the number of its last entry */
	while (l->n < l->most && sent_unpack(&data, &entry)) {
		struct sql_stmt *q = r->q[R_AWAITS];
		int got;

		if (++number <= l->after_id)
			continue;
		l->after_id = number;
		if (entry.at >= l->until || entry.channel != l->channel)
			continue;
		sql_int(q, 1, (int64_t)entry.id);
		got = sql_step(q);
		if (got < 0)
			return -1;
		if (got == 1)
			l->ids[l->n++].id = entry.id;
		sql_reset(q);
	}
	return 0;
}

/* The old by key, then the young by number; each is looked at once per sweep. */
static int load_overdue(struct reader *r, struct store_load *l)
{
	mono_t stop = clock_mono() + SLICE;
	int got = 0, seen = 0;

	l->ids = mem_alloc((l->most ? l->most : 1) * sizeof *l->ids);
	l->end = false;
	while (strcmp(l->after_key, YOUNG_KEY) != 0) {
		struct sql_stmt *q = r->q[R_OVERDUE_RC];

		sql_int(q, 1, l->channel);
		sql_text(q, 2, str_of(l->after_key));
		sql_int(q, 3, (int64_t)l->after_id);
		sql_int(q, 4, WALK);
		for (seen = 0; l->n < l->most && (got = sql_step(q)) == 1; seen++) {
			str_copy(l->after_key, sizeof l->after_key, sql_col_str(q, 0));
			l->after_id = (uint64_t)sql_col(q, 1);
			if (!sql_col(q, 3) && sql_col(q, 2) < l->until)
				l->ids[l->n++].id = l->after_id;
		}
		sql_reset(q);
		if (got < 0)
			return -1;
		if (l->n == l->most)
			return 0;
		if (seen < WALK) {
			str_copy(l->after_key, sizeof l->after_key, STR(YOUNG_KEY));
			l->after_id = 0;
			seen = 0;
		}
		if (clock_mono() >= stop)
			return 0;
	}
	for (;;) {
		struct sql_stmt *q = r->q[R_OVERDUE_SENT];

		sql_int(q, 1, (int64_t)l->after_id);
		while (l->n < l->most && (got = sql_step(q)) == 1) {
			seen++;
			if (overdue_young(r, l, (uint64_t)sql_col(q, 0), sql_col_str(q, 1)) < 0) {
				got = -1;
				break;
			}
		}
		sql_reset(q);
		if (got < 0)
			return -1;
		if (l->n == l->most)
			return 0;
		if (seen == 0) {
			l->end = true;
			return 0;
		}
		if (clock_mono() >= stop)
			return 0;
		seen = 0;
	}
}

/* 1: its submitter wants to know that it waits. Ids rise with the time of acceptance, so only who
 * has come to that age since the last sweep is looked up. */
static int is_late(struct reader *r, const struct store_load *l, uint64_t id)
{
	struct sql_stmt *q = r->q[R_WANTS];
	int got;

	if (l->late_until <= l->late_from || id < id_of_time(l->late_from) ||
		id >= id_of_time(l->late_until))
		return 0;
	sql_int(q, 1, (int64_t)id);
	got = sql_step(q);
	if (got == 1)
		got = (sql_col(q, 0) & WANT_DELAY) != 0;
	sql_reset(q);
	return got;
}

static int load_expired(struct reader *r, struct store_load *l)
{
	struct sql_stmt *q = r->q[R_EXPIRED];
	mono_t stop = clock_mono() + SLICE;
	int got = 0, seen, late;

	l->ids = mem_alloc((l->most ? l->most : 1) * sizeof *l->ids);
	l->end = false;
	for (;;) {
		sql_int(q, 1, l->channel);
		sql_int(q, 2, l->priority);
		sql_int(q, 3, l->after_due);
		sql_int(q, 4, (int64_t)l->after_id);
		sql_int(q, 5, WALK);
		for (seen = 0; l->n < l->most && (got = sql_step(q)) == 1; seen++) {
			wall_t expires = sql_col(q, 3);

			l->priority = (uint8_t)sql_col(q, 0);
			l->after_due = sql_col(q, 1);
			l->after_id = (uint64_t)sql_col(q, 2);
			late = 0;
			if (!expires || expires >= l->until) {
				late = is_late(r, l, l->after_id);
				if (late < 0)
					return -1;
				if (!late)
					continue;
			}
			l->ids[l->n++] = (struct load_id){
				.id = l->after_id,
				.late = late,
				.place = { .channel = l->channel,
					.priority = l->priority,
					.due = l->after_due },
			};
		}
		sql_reset(q);
		if (got < 0)
			return -1;
		l->end = l->n < l->most && seen < WALK;
		if (l->end || l->n == l->most || clock_mono() >= stop)
			return 0;
	}
}

static int load_run(struct reader *r, struct store_load *l)
{
	uint64_t after_id = l->after_id;
	wall_t after_due = l->after_due;
	char after_key[OUTCOME_ID];
	uint8_t priority = l->priority;
	int got = -1;

	str_copy(after_key, sizeof after_key, str_of(l->after_key));
	if (l->most > LOAD_MOST)
		l->most = LOAD_MOST;
	l->n = 0;
	l->rows = NULL;
	l->notes = NULL;
	l->ids = NULL;
	switch (l->kind) {
	case LOAD_QUEUE:
		got = load_queue(r, l);
		break;
	case LOAD_NOTES:
		got = load_notes(r, l);
		break;
	case LOAD_OVERDUE:
		got = load_overdue(r, l);
		break;
	case LOAD_EXPIRED:
		got = load_expired(r, l);
		break;
	}
	if (got >= 0)
		return 0;
	load_undo(l);
	l->after_id = after_id;
	l->after_due = after_due;
	l->priority = priority;
	str_copy(l->after_key, sizeof l->after_key, str_of(after_key));
	return -1;
}

static int reader_prepare(struct reader *r)
{
	for (int i = 0; i < R_COUNT; i++)
		if (!r->q[i] && !(r->q[i] = sql_prepare(r->s->rd, texts[i])))
			return -1;
	return 0;
}

void *reader_run(void *arg)
{
	struct reader r = { .s = arg };
	struct log_quiet quiet = { 0 };
	struct letter *todo = NULL, **end = &todo;

	for (;;) {
		bool last = atomic_load(&r.s->stopping);

		*end = mailbox_take(&r.s->loads);
		while (todo) {
			struct store_load *l = CONTAINER(todo, struct store_load, letter);
			unsigned held;

			if (todo == &r.s->stop_reader) {
				todo = todo->next;
				continue;
			}
			if (!last && (reader_prepare(&r) < 0 || load_run(&r, l) < 0)) {
				if (log_due(&quiet, &held))
					log_error("store cannot be read",
						F_STR("error", r.s->rd->words));
				break;
			}
			todo = todo->next;
			if (last) {
				l->n = 0;
				l->end = true;
			}
			load_answer(l);
		}
		for (end = &todo; *end; end = &(*end)->next)
			;
		if (last)
			break;
		if (todo) /* trouble: whoever comes meanwhile waits behind */
			poll(NULL, 0, AGAIN_MS);
		else
			mailbox_wait(&r.s->loads, DUR_HOUR);
	}
	for (int i = 0; i < R_COUNT; i++)
		sql_finish(&r.q[i]);
	return NULL;
}
