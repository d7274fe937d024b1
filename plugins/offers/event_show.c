/* What events there are, and what came of one. See event_show.h. */
#include "plugins/offers/event_show.h"
#include "gateway/model/state.h"
#include "plugins/offers/chain.h"
#include "plugins/offers/engine.h"
#include "plugins/offers/printed.h"

#include <stdio.h>

/* Columns of the statements; texts are the statement's. */
struct shown {
	uint64_t seq, member;
	int64_t type, done;
	wall_t received, occurred;
	struct str source, id, reply, why;
};
static void shown_read(struct sql_stmt *st, struct shown *s)
{
	*s = (struct shown){ .seq = (uint64_t)sql_col(st, 0),
		.type = sql_col(st, 1),
		.received = sql_col(st, 2),
		.source = sql_col_str(st, 3),
		.id = sql_col_str(st, 4),
		.occurred = sql_col(st, 5),
		.member = (uint64_t)sql_col(st, 6),
		.done = sql_col(st, 7),
		.reply = sql_col_str(st, 8),
		.why = sql_col_str(st, 9) };
}

static const char *type_of(const struct shown *s)
{
	return s->type >= 0 && s->type < EVENT_TYPES ? event_kinds[s->type].word : "";
}

static const char *state_of(const struct shown *s)
{
	static const char *const words[] = { "waiting", "worked_on", "no_effect", "failed" };

	return words[s->done >= 0 && s->done <= EVENT_FAILED ? s->done : EVENT_IDLE];
}

/* The answer that is kept: an object, or NULL. Of those who left it is gone. */
static json_t *answer_of(const struct shown *s)
{
	struct json_faults f = { 0 };
	struct buf b = BUF_INIT;
	json_t *v = NULL;

	if (str_starts(s->reply, STR("\"queued\""))) {
		buf_char(&b, '{');
		buf_str(&b, s->reply);
		v = json_read(buf_view(&b), &f);
		buf_free(&b);
	}
	return v;
}

/* As members are named elsewhere: the programme's id, or our number. *r is the unit's. */
static int member_word(struct work *w, uint64_t id, struct str *r)
{
	char number[32];
	struct member *m;
	int got;

	*r = STR_NONE;
	if (!id)
		return 0;
	got = member_load(w, id, &m);
	if (got <= 0)
		return got;
	m = member_now(m);
	snprintf(number, sizeof number, "number:%llu", (unsigned long long)m->id);
	*r = m->ext.n ? m->ext : arena_str(w->arena, str_of(number));
	return 0;
}

/* ---- JSON ---- */
/* Without the closing brace. */
static void put_head(struct buf *b, const struct shown *s, struct str member)
{
	buf_printf(b, "{\"number\":\"%llu\"", (unsigned long long)s->seq);
	buf_json_member_or_null(b, "source", s->source);
	buf_json_member_or_null(b, "id", s->id);
	buf_json_member_or_null(b, "type", str_of(type_of(s)));
	clock_json_member_or_null(b, "occurred_at", s->occurred);
	clock_json_member_or_null(b, "received_at", s->received);
	buf_json_member_or_null(b, "member", member);
	buf_json_member_or_null(b, "state", str_of(state_of(s)));
	if (s->why.n)
		buf_json_member_or_null(b, "why", s->why);
}

static void put_part(struct buf *b, const json_t *answer, const char *name)
{
	const json_t *v = json_object_get(answer, name);

	if (!v)
		return;
	buf_printf(b, ",\"%s\":", name);
	json_write(b, v);
}

/* ---- a list ---- */
static void list_line(
	struct buf *out, const struct shown *s, struct str member, const json_t *answer)
{
	size_t queued = json_array_size(json_object_get(answer, "queued"));
	json_int_t removed = json_integer_value(json_object_get(answer, "removed"));

	clock_put_rfc3339(out, s->received);
	buf_printf(out, "  %-24s %.*s/%.*s  %.*s  %s", type_of(s), STR_ARG(s->source),
		STR_ARG(s->id), STR_ARG(member.n ? member : STR("nobody known")), state_of(s));
	if (s->why.n)
		buf_printf(out, ": %.*s", STR_ARG(s->why));
	if (queued)
		buf_printf(out, ", queued %zu", queued);
	if (removed)
		buf_printf(out, ", removed %lld", (long long)removed);
	buf_char(out, '\n');
}

static int list_row(struct work *w, const struct shown *s, bool json, bool first, struct buf *out)
{
	json_t *answer = answer_of(s);
	struct str member;
	int rc = member_word(w, s->member, &member);

	if (rc == 0 && json) {
		buf_c(out, first ? "" : ",");
		put_head(out, s, member);
		put_part(out, answer, "queued");
		put_part(out, answer, "removed");
		buf_char(out, '}');
	} else if (rc == 0) {
		list_line(out, s, member, answer);
	}
	json_decref(answer);
	return rc;
}

/* The number that the first of that time or later has: where the walk ends. -1: failed. */
static int first_since(struct work *w, wall_t since, int64_t *seq_r)
{
	struct sql_stmt *st;
	int rc;

	*seq_r = 0;
	if (!since)
		return 0;
	st = db_st(w->db, ST_EVENTS_SINCE);
	if (!st)
		return work_failed(w, "events since then");
	sql_int(st, 1, since);
	rc = sql_step(st);
	*seq_r = rc == 1 ? sql_col(st, 0) : INT64_MAX;
	sql_reset(st);
	return rc < 0 ? work_failed(w, "events since then") : 0;
}

int events_list(
	struct work *w, const struct event_search *q, bool json, struct buf *out, uint64_t *left_r)
{
	enum { LOOK_EVERY = 64 };
	mono_t end = clock_mono() + q->longest;
	struct shown s = { .seq = q->before && q->before < INT64_MAX ? q->before : INT64_MAX };
	struct sql_stmt *st = db_st(w->db, q->member ? ST_EVENTS_DOWN_OF : ST_EVENTS_DOWN);
	unsigned found = 0, seen = 0;
	int rc = 0, got = 0;
	int64_t first;

	*left_r = 0;
	if (!st)
		return work_failed(w, "events");
	if (first_since(w, q->since, &first) < 0)
		return -1;
	buf_c(out, json ? "[" : "");
	sql_int(st, 1, (int64_t)s.seq);
	sql_int(st, 2, first);
	if (q->member)
		sql_int(st, 3, (int64_t)q->member);
	while (rc == 0 && found < q->most && (got = sql_step(st)) == 1) {
		s.seq = (uint64_t)sql_col(st, 0);
		if ((q->type < 0 || sql_col(st, 1) == q->type) && sql_col(st, 2) >= q->since &&
			(!q->source.n || str_eq(sql_col_str(st, 3), q->source))) {
			shown_read(st, &s);
			rc = list_row(w, &s, json, found == 0, out);
			found++;
		}
		if (++seen % LOOK_EVERY == 0 && found < q->most && clock_mono() > end) {
			*left_r = s.seq;
			break;
		}
	}
	sql_reset(st);
	/* the connection's own time is over: it came as far as it came */
	if (got < 0 && w->db->sql->fault == SQL_TIME && seen)
		*left_r = s.seq;
	else if (got < 0)
		return work_failed(w, "events");
	buf_c(out, json ? "]" : "");
	return rc;
}

/* ---- one ---- */
static struct sql_stmt *about(struct work *w, enum st which, uint64_t member)
{
	struct sql_stmt *st = db_st(w->db, which);

	if (!st)
		return NULL;
	sql_int(st, 1, NAME_OBJECT);
	sql_int(st, 2, (int64_t)member);
	return st;
}

/* What it was to offers with steps. */
static int put_marks(struct work *w, const struct shown *s, uint64_t member, struct buf *b)
{
	struct sql_stmt *st = about(w, ST_EVENT_MARKS, member);
	bool first = true;
	int got;

	if (!st)
		return work_failed(w, "what an event was to offers");
	sql_int(st, 3, s->occurred);
	sql_int(st, 4, (int64_t)s->seq);
	buf_c(b, ",\"offers\":[");
	while ((got = sql_step(st)) == 1) {
		int64_t kind = sql_col(st, 1);

		if (kind & MARK_STATE)
			continue;
		buf_c(b, first ? "{\"offer\":" : ",{\"offer\":");
		buf_json(b, sql_col_str(st, 0));
		buf_printf(b, ",\"arms\":%s,\"disarms\":%s,\"refunded\":%s}",
			kind & MARK_ARMS ? "true" : "false", kind & MARK_DISARMS ? "true" : "false",
			kind & MARK_REFUNDED ? "true" : "false");
		first = false;
	}
	buf_char(b, ']');
	return got < 0 ? work_failed(w, "what an event was to offers") : 0;
}

/* Chains that it began and that go on. */
static int put_chains(struct work *w, const struct shown *s, uint64_t member, struct buf *b)
{
	struct sql_stmt *st = about(w, ST_EVENT_CHAINS, member);
	bool first = true;
	int got;

	if (!st)
		return work_failed(w, "an event's chains");
	sql_int(st, 3, (int64_t)s->seq);
	buf_c(b, ",\"chains\":[");
	while ((got = sql_step(st)) == 1) {
		buf_c(b, first ? "{\"offer\":" : ",{\"offer\":");
		buf_json(b, sql_col_str(st, 0));
		buf_printf(b, ",\"step\":%lld", (long long)sql_col(st, 1));
		clock_json_member_or_null(b, "due", sql_col(st, 2));
		buf_char(b, '}');
		first = false;
	}
	buf_char(b, ']');
	return got < 0 ? work_failed(w, "an event's chains") : 0;
}

/* What was sent for it, or decided not to be. */
static int put_sent(struct work *w, const struct shown *s, uint64_t member, struct buf *b)
{
	struct sql_stmt *st = about(w, ST_EVENT_SENT, member);
	bool first = true;
	int got;

	if (!st)
		return work_failed(w, "an event's messages");
	sql_int(st, 3, (int64_t)s->seq);
	buf_c(b, ",\"messages\":[");
	while ((got = sql_step(st)) == 1) {
		int64_t msg = sql_col(st, 0), media = sql_col(st, 3), state = sql_col(st, 4);
		const char *printed = printed_word(media, msg, state);

		buf_c(b, first ? "{\"message\":" : ",{\"message\":");
		if (msg)
			buf_printf(b, "\"%lld\"", (long long)msg);
		else
			buf_c(b, "null");
		buf_json_member_or_null(b, "offer", sql_col_str(st, 1));
		buf_printf(b, ",\"step\":%lld", (long long)sql_col(st, 2));
		if (media >= 0 && media < MEDIA_COUNT)
			buf_json_member_or_null(b, "media", str_of(media_word((enum media)media)));
		if (printed || (state >= 0 && state < STATE_COUNT))
			buf_json_member_or_null(b, "state",
				str_of(printed ? printed : state_word((enum state)state)));
		if (sql_col_str(st, 5).n)
			buf_json_member_or_null(b, "reason", sql_col_str(st, 5));
		clock_json_member_or_null(b, "at", sql_col(st, 6));
		clock_json_member_or_null(b, "due", sql_col(st, 7));
		buf_char(b, '}');
		first = false;
	}
	buf_char(b, ']');
	return got < 0 ? work_failed(w, "an event's messages") : 0;
}

static int put_one(struct work *w, const struct shown *s, struct str body, struct buf *b)
{
	json_t *answer = answer_of(s);
	bool erased = str_is(body, "{}");
	struct member *m = NULL;
	struct str member;
	int rc = member_word(w, s->member, &member);

	if (rc == 0 && s->member && member_load(w, s->member, &m) < 0)
		rc = -1;
	if (rc == 0) {
		put_head(b, s, member);
		put_part(b, answer, "queued");
		put_part(b, answer, "removed");
		put_part(b, answer, "receipt");
		put_part(b, answer, "cashier");
		buf_c(b, ",\"event\":");
		if (erased)
			buf_c(b, "null,\"erased\":true");
		else
			buf_str(b, body);
	}
	json_decref(answer);
	m = m ? member_now(m) : NULL;
	if (rc == 0 && m)
		rc = put_marks(w, s, m->id, b);
	if (rc == 0 && m)
		rc = put_chains(w, s, m->id, b);
	if (rc == 0 && m)
		rc = put_sent(w, s, m->id, b);
	buf_char(b, '}');
	return rc;
}

/* How many are called so; of one, all of it. */
static int look(struct work *w, struct str source, struct str id, struct shown *s, struct str *body,
	struct buf *sources)
{
	struct sql_stmt *st = db_st(w->db, ST_EVENTS_NAMED);
	int rc, n = 0;

	if (!st)
		return work_failed(w, "an event");
	sql_text(st, 1, id);
	sql_text(st, 2, source);
	while ((rc = sql_step(st)) == 1) {
		if (n++ == 0) {
			shown_read(st, s);
			s->source = arena_str(w->arena, s->source);
			s->id = arena_str(w->arena, s->id);
			s->reply = arena_str(w->arena, s->reply);
			s->why = arena_str(w->arena, s->why);
			*body = arena_str(w->arena, sql_col_str(st, 10));
		}
		buf_printf(sources, "%s%.*s", sources->n ? ", " : "", STR_ARG(sql_col_str(st, 3)));
	}
	return rc < 0 ? work_failed(w, "an event") : n;
}

int events_one(struct work *w, struct str name, struct buf *out, const char **why_r)
{
	struct buf sources = BUF_INIT;
	struct str body = STR_NONE;
	struct shown s = { 0 };
	int n = look(w, STR_NONE, name, &s, &body, &sources);

	/* ids and sources may have a '/' of their own */
	for (size_t i = 1; n == 0 && i + 1 < name.n; i++)
		if (name.p[i] == '/')
			n = look(w, str_n(name.p, i), str_skip(name, i + 1), &s, &body, &sources);
	if (n == 1)
		n = put_one(w, &s, body, out) < 0 ? -1 : 1;
	else if (n == 0)
		*why_r = "there is no such event (they are kept for policy.keep_events)";
	if (n > 1) {
		struct buf b = BUF_INIT;

		buf_printf(&b, "events of several sources have this id: %.*s; say SOURCE/ID",
			STR_ARG(buf_view(&sources)));
		*why_r = arena_cstr(w->arena, buf_view(&b));
		buf_free(&b);
		n = 0;
	}
	buf_free(&sources);
	return n;
}
