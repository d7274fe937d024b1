/* What is old goes: finished messages after the retention, client ids after their window, awaited
 * receipts that nobody awaits, parked receipts, parts of subscribers' messages, news that nobody
 * came for within the retention.
 *
 * In slices of a few milliseconds inside the writer's batches, a round every minute. Messages go in
 * order of id, which is order of acceptance, whole ranges at a time where all of them are finished;
 * those not finished stay, however old.
 */
#include "gateway/base/log.h"
#include "gateway/store/intern.h"

enum { WALK = 256 };
#define ROUND_EVERY DUR_MIN
#define RC_KEEP     (7 * DUR_DAY) /* corrections are taken that long after a final receipt */

enum stage {
	STAGE_ORPHANS,
	STAGE_MO,
	STAGE_DEDUPE,
	STAGE_MESSAGES,
	STAGE_RC,
	STAGE_NOTES,
	STAGE_COUNT
};

static void rc_rewind(struct store *s)
{
	s->purge.rc_channel = 0;
	s->purge.rc_key[0] = '\0';
	s->purge.rc_id = 0;
	s->purge.rc_part = 0;
	s->purge.note_outlet = 0;
	s->purge.note_seq = 0;
}

bool purge_due(struct store *s)
{
	return s->purge.running || clock_mono() >= s->purge.next;
}

static int delete_range(struct store *s, uint64_t a, uint64_t b)
{
	static const enum hot tables[] = { Q_PURGE_ST, Q_PURGE_PART, Q_PURGE_EVENT, Q_PURGE_MSG };

	if (bodies_drop(s, a, b) < 0)
		return -1;
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		sql_int(s->q[tables[i]], 1, (int64_t)a);
		sql_int(s->q[tables[i]], 2, (int64_t)b);
		if (sql_run(s->q[tables[i]]) < 0)
			return -1;
	}
	stat_add(&s->stat.purged, (uint64_t)sql_changed(s->db));
	return 0;
}

/* Client ids older than their window: found by their messages, in order of id. */
static int dedupe_slice(struct store *s, mono_t until)
{
	uint64_t end = id_of_time(s->now - s->conf.dedupe_window);
	struct sql_stmt *q = s->q[Q_DEDUPE_ANY], *del = s->q[Q_DEDUPE_DELETE];
	int any = sql_step(q);

	if (any < 0)
		return -1;
	if (!any) {
		s->purge.dedupe_at = end;
		return 0;
	}
	sql_reset(q);
	q = s->q[Q_PURGE_WALK];
	while (s->purge.dedupe_at < end) {
		int got, n = 0;

		sql_int(q, 1, (int64_t)s->purge.dedupe_at);
		sql_int(q, 2, (int64_t)end);
		sql_int(q, 3, WALK);
		while ((got = sql_step(q)) == 1) {
			n++;
			s->purge.dedupe_at = (uint64_t)sql_col(q, 0);
			if (sql_col_null(q, 5))
				continue;
			sql_int(del, 1, sql_col(q, 1));
			sql_text(del, 2, sql_col_str(q, 5));
			sql_int(del, 3, (int64_t)s->purge.dedupe_at);
			if (sql_run(del) < 0) {
				sql_reset(q);
				return -1;
			}
		}
		if (got < 0)
			return -1;
		if (n < WALK)
			break;
		if (clock_mono() >= until)
			return 1;
	}
	s->purge.dedupe_at = end;
	return meta_set(s, "dedupe_at", (int64_t)end);
}

/* A round that was rolled back begins again. */
void purge_reset(struct store *s)
{
	s->purge.running = false;
	rc_rewind(s);
	s->purge.dedupe_at =
		(uint64_t)sql_number(s->db, "SELECT value FROM meta WHERE name = 'dedupe_at'", 0);
}

static bool is_finished(struct sql_stmt *q, wall_t cutoff)
{
	enum state state = (enum state)sql_col(q, 2);

	if (state_is_final(state))
		return sql_col(q, 4) < cutoff;
	return state == STATE_SENT && sql_col(q, 3) < cutoff;
}

static int message_slice(struct store *s, mono_t until)
{
	struct sql_stmt *q = s->q[Q_PURGE_WALK], *del = s->q[Q_DEDUPE_DELETE];
	wall_t cutoff = s->now - s->conf.retention;
	uint64_t end = id_of_time(cutoff);

	do {
		uint64_t from = 0, last = 0; /* a run of finished ones; from 0: none */
		struct {
			uint64_t from, to;
		} run[WALK];
		int got, n = 0, runs = 0;

		sql_int(q, 1, (int64_t)s->purge.at);
		sql_int(q, 2, (int64_t)end);
		sql_int(q, 3, WALK);
		while ((got = sql_step(q)) == 1) {
			uint64_t id = (uint64_t)sql_col(q, 0);
			bool gone = is_finished(q, cutoff);

			n++;
			s->purge.at = id;
			if (gone && !from)
				from = id;
			if (!gone && from) {
				run[runs].from = from;
				run[runs++].to = last;
				from = 0;
			}
			last = id;
			if (gone && !sql_col_null(q, 5) && id > s->purge.dedupe_at) {
				sql_int(del, 1, sql_col(q, 1));
				sql_text(del, 2, sql_col_str(q, 5));
				sql_int(del, 3, (int64_t)id);
				if (sql_run(del) < 0) {
					sql_reset(q);
					return -1;
				}
			}
		}
		if (got < 0)
			return -1;
		if (from) {
			run[runs].from = from;
			run[runs++].to = last;
		}
		for (int i = 0; i < runs; i++)
			if (delete_range(s, run[i].from, run[i].to) < 0)
				return -1;
		if (n < WALK)
			return 0;
	} while (clock_mono() < until);
	return 1;
}

/* Once over the index of awaited receipts, in order of key. */
static int rc_slice(struct store *s, mono_t until)
{
	struct sql_stmt *q = s->q[Q_RC_WALK], *del = s->q[Q_RC_DELETE];

	for (;;) {
		int got, n = 0;

		sql_int(q, 1, s->purge.rc_channel);
		sql_text(q, 2, str_of(s->purge.rc_key));
		sql_int(q, 3, (int64_t)s->purge.rc_id);
		sql_int(q, 4, s->purge.rc_part);
		while ((got = sql_step(q)) == 1) {
			wall_t at = sql_col(q, 4);
			bool old = at < s->now - s->conf.retention ||
				   (sql_col(q, 5) && at < s->now - RC_KEEP);

			n++;
			s->purge.rc_channel = (uint32_t)sql_col(q, 0);
			str_copy(s->purge.rc_key, sizeof s->purge.rc_key, sql_col_str(q, 1));
			s->purge.rc_id = (uint64_t)sql_col(q, 2);
			s->purge.rc_part = (int)sql_col(q, 3);
			if (!old)
				continue;
			sql_int(del, 1, s->purge.rc_channel);
			sql_text(del, 2, str_of(s->purge.rc_key));
			sql_int(del, 3, (int64_t)s->purge.rc_id);
			sql_int(del, 4, s->purge.rc_part);
			if (sql_run(del) < 0) {
				sql_reset(q);
				return -1;
			}
		}
		if (got < 0)
			return -1;
		if (n == 0) {
			rc_rewind(s);
			return 0;
		}
		if (clock_mono() >= until)
			return 1;
	}
}

/* Once over what waits to be told, in order of outlet and age. */
static int note_slice(struct store *s, mono_t until)
{
	struct sql_stmt *q = s->q[Q_NOTE_WALK];

	for (;;) {
		int got, n = 0;

		sql_int(q, 1, s->purge.note_outlet);
		sql_int(q, 2, (int64_t)s->purge.note_seq);
		while ((got = sql_step(q)) == 1) {
			n++;
			s->purge.note_outlet = (uint32_t)sql_col(q, 0);
			s->purge.note_seq = (uint64_t)sql_col(q, 1);
			if (sql_col(q, 2) < s->now - s->conf.retention &&
				note_forget(s, s->purge.note_outlet, s->purge.note_seq) < 0) {
				sql_reset(q);
				return -1;
			}
		}
		if (got < 0)
			return -1;
		if (n == 0) {
			s->purge.note_outlet = 0;
			s->purge.note_seq = 0;
			return 0;
		}
		if (clock_mono() >= until)
			return 1;
	}
}

int purge_slice(struct store *s, mono_t until)
{
	static int (*const stages[STAGE_COUNT])(struct store *, mono_t) = {
		[STAGE_ORPHANS] = orphan_slice,
		[STAGE_MO] = mo_slice,
		[STAGE_DEDUPE] = dedupe_slice,
		[STAGE_MESSAGES] = message_slice,
		[STAGE_RC] = rc_slice,
		[STAGE_NOTES] = note_slice,
	};
	int r;

	if (!purge_due(s))
		return 0;
	if (!s->purge.running) {
		s->purge.running = true;
		s->purge.next = clock_mono() + ROUND_EVERY;
		s->purge.stage = 0;
		s->purge.at = 0;
		/* ids must not be given again, even if the clock went back over a restart */
		if (meta_set(s, "last_id", (int64_t)s->last_id) < 0)
			return -1;
	}
	r = stages[s->purge.stage](s, until);
	if (r != 0)
		return r;
	if (++s->purge.stage < STAGE_COUNT)
		return 1;
	s->purge.running = false;
	return 0;
}
