/* Questions about members and changes of one of them, on the store's writer. See faces.h. */
#include "plugins/offers/faces.h"
#include "plugins/offers/said.h"
#include "plugins/offers/dispatch.h"
#include "plugins/offers/printed.h"

#include <stdio.h>

struct face_ask *face_new(enum face what, const struct rules *rules)
{
	struct face_ask *a = mem_new(struct face_ask);

	a->what = what;
	a->arena = arena_new();
	a->id = a->into = a->by = a->text = STR_NONE;
	a->media = a->row = -1;
	a->limit = 100;
	if (rules) {
		a->rules = rules_ref((struct rules *)(uintptr_t)rules);
		a->country = rules->country;
	}
	return a;
}

void face_free(struct face_ask **ap)
{
	struct face_ask *a = *ap;

	if (!a)
		return;
	unit_free(&a->u);
	arena_free(&a->arena);
	buf_free(&a->out);
	if (a->rules)
		rules_unref(&a->rules);
	mem_free(ap);
}

static int refuse(struct face_ask *a, unsigned status, const char *detail)
{
	a->status = status;
	a->detail = detail;
	return -1;
}

/* ---- who ---- */

int face_member(
	struct work *w, const struct address_country *country, struct str id, struct member **m_r)
{
	struct str rest = id, word, value;
	const char *why;
	uint64_t n;

	if (str_index(id, ':') >= 0 && str_cut(&rest, ':', &word)) {
		if (str_is(word, "number") && str_u64(rest, &n))
			return member_load(w, n, m_r);
		for (unsigned k = 0; k < ALIAS_KINDS; k++) {
			enum contact_kind kind = k == ALIAS_PHONE ? CONTACT_PHONE : CONTACT_EMAIL;

			if (!str_is(word, alias_word((enum alias_kind)k)))
				continue;
			if ((k == ALIAS_PHONE || k == ALIAS_EMAIL) &&
				contact_normal(w->arena, kind, rest, country, &value, &why))
				rest = value;
			return member_find(w, (enum alias_kind)k, rest, m_r);
		}
	}
	return member_find(w, ALIAS_MEMBER, id, m_r);
}

static int find(struct work *w, const struct face_ask *a, struct str id, struct member **m_r)
{
	return face_member(w, &a->country, id, m_r);
}

/* ---- lists ---- */

static int history(struct work *w, const struct member *m, int64_t limit, struct buf *b)
{
	struct sql_stmt *st = db_st(w->db, ST_CONSENT_LOG_OF);
	bool first = true;
	int got;

	if (!st)
		return work_failed(w, "reading the history of subscriptions");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, limit);
	while ((got = sql_step(st)) == 1) {
		int row = (int)sql_col(st, 0), channel = (int)sql_col(st, 1);

		buf_printf(b, "%s{\"row\":\"%s\",\"channel\":\"%s\",\"granted\":%s",
			first ? "" : ",",
			row >= 0 && row < ROW_COUNT ? row_word((enum row)row) : "*",
			channel >= 0 && channel < MEDIA_COUNT ? media_word((enum media)channel)
							      : "*",
			sql_col(st, 2) & CONSENT_GRANTED ? "true" : "false");
		clock_json_member_or_null(b, "at", sql_col(st, 3));
		buf_json_member(b, "by", sql_col_str(st, 4));
		buf_json_member(b, "proof", sql_col_str(st, 5));
		buf_char(b, '}');
		first = false;
	}
	return got < 0 ? work_failed(w, "reading the history of subscriptions") : 0;
}

static int events(struct work *w, const struct member *m, int64_t limit, struct buf *b)
{
	struct sql_stmt *st = db_st(w->db, ST_EVENTS_OF);
	bool first = true;
	int got;

	if (!st)
		return work_failed(w, "reading a member's events");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, limit);
	while ((got = sql_step(st)) == 1) {
		int64_t type = sql_col(st, 0);

		buf_printf(b, "%s{\"type\":\"%s\"", first ? "" : ",",
			type >= 0 && type < EVENT_TYPES ? event_kinds[type].word : "");
		buf_json_member(b, "source", sql_col_str(st, 1));
		buf_json_member(b, "id", sql_col_str(st, 2));
		clock_json_member_or_null(b, "occurred_at", sql_col(st, 3));
		clock_json_member_or_null(b, "received_at", sql_col(st, 4));
		buf_char(b, '}');
		first = false;
	}
	return got < 0 ? work_failed(w, "reading a member's events") : 0;
}

static int messages(struct work *w, const struct member *m, int64_t limit, struct buf *b)
{
	struct sql_stmt *st = db_st(w->db, ST_SENT_OF);
	bool first = true;
	int got;

	if (!st)
		return work_failed(w, "reading a member's messages");
	sql_int(st, 1, NAME_OBJECT);
	sql_int(st, 2, (int64_t)m->id);
	sql_int(st, 3, limit);
	while ((got = sql_step(st)) == 1) {
		int64_t state = sql_col(st, 4), media = sql_col(st, 3), row = sql_col(st, 5);

		buf_c(b, first ? "{" : ",{");
		if (sql_col(st, 0))
			buf_printf(b, "\"message\":\"%lld\"", (long long)sql_col(st, 0));
		else
			buf_c(b, "\"message\":null");
		buf_json_member(b, "object", sql_col_str(st, 1));
		buf_printf(b, ",\"step\":%lld", (long long)sql_col(st, 2));
		if (media >= 0 && media < MEDIA_COUNT)
			buf_json_member(b, "media", str_of(media_word((enum media)media)));
		if (printed_word(media, sql_col(st, 0), state))
			buf_json_member(
				b, "state", str_of(printed_word(media, sql_col(st, 0), state)));
		else if (state >= 0 && state < STATE_COUNT)
			buf_json_member(b, "state", str_of(state_word((enum state)state)));
		if (row >= 0 && row < ROW_COUNT)
			buf_json_member(b, "row", str_of(row_word((enum row)row)));
		buf_json_member(b, "reason", sql_col_str(st, 6));
		clock_json_member_or_null(b, "at", sql_col(st, 7));
		clock_json_member_or_null(b, "due", sql_col(st, 8));
		buf_char(b, '}');
		first = false;
	}
	return got < 0 ? work_failed(w, "reading a member's messages") : 0;
}

static int blocks(struct work *w, struct face_ask *a)
{
	struct sql_stmt *st = db_st(w->db, a->text.n ? ST_BLOCKS_OF : ST_BLOCKS);
	bool first = true;
	int got;

	if (!st)
		return work_failed(w, "reading suppressions");
	sql_text(st, 1, a->text.n ? a->text : a->into); /* into: those behind that address */
	sql_int(st, 2, a->limit);
	buf_c(&a->out, "{\"suppressions\":[");
	while ((got = sql_step(st)) == 1) {
		int64_t media = sql_col(st, 1), row = sql_col(st, 2);

		buf_c(&a->out, first ? "{\"address\":" : ",{\"address\":");
		buf_json(&a->out, sql_col_str(st, 0));
		buf_json_member(&a->out, "media",
			str_of(media >= 0 && media < MEDIA_COUNT ? media_word((enum media)media)
								 : "*"));
		buf_json_member(&a->out, "row",
			str_of(row >= 0 && row < ROW_COUNT ? row_word((enum row)row) : "*"));
		buf_json_member(&a->out, "reason", sql_col_str(st, 3));
		clock_json_member_or_null(&a->out, "at", sql_col(st, 4));
		buf_json_member(&a->out, "by", sql_col_str(st, 5));
		buf_json_member(&a->out, "proof", sql_col_str(st, 6));
		buf_char(&a->out, '}');
		first = false;
	}
	buf_c(&a->out, "]}");
	return got < 0 ? work_failed(w, "reading suppressions") : 0;
}

/* By any of its names; a handful. */
static int look(struct work *w, struct face_ask *a)
{
	struct member *m, *seen[ALIAS_KINDS];
	unsigned n = 0;
	struct str value;
	const char *why;

	buf_c(&a->out, "{\"members\":[");
	for (unsigned k = 0; k < ALIAS_KINDS; k++) {
		bool again = false;
		int got;

		value = a->text;
		if ((k == ALIAS_PHONE && !contact_normal(w->arena, CONTACT_PHONE, a->text,
						 &a->country, &value, &why)) ||
			(k == ALIAS_EMAIL && !contact_normal(w->arena, CONTACT_EMAIL, a->text, NULL,
						     &value, &why)))
			continue;
		got = member_find(w, (enum alias_kind)k, value, &m);
		if (got < 0)
			return -1;
		for (unsigned i = 0; got && i < n; i++)
			again |= seen[i] == m;
		if (!got || again)
			continue;
		if (n)
			buf_char(&a->out, ',');
		seen[n++] = m;
		if (member_show(w, m, &a->out) < 0)
			return -1;
	}
	buf_c(&a->out, "]}");
	return 0;
}

/* ---- changes ---- */

static int put(struct work *w, struct face_ask *a, bool whole)
{
	struct member_input in;
	struct member *m = NULL;
	bool created = false;
	int got = find(w, a, a->id, &m);

	if (got < 0)
		return -1;
	if (got && m->state == MEMBER_LEFT)
		return refuse(a, 404, "That member has left.");
	if (!got && !whole)
		return refuse(a, 404, "There is no such member.");
	if (got && a->in.ext.n && m->ext.n && !str_eq(a->in.ext, m->ext))
		return refuse(a, 409, "The body names another id than the path.");
	in = member_input_under(&a->in, a->rules, w->rules, w->arena);
	if (!got && !in.ext.n) /* /v1/members/77: that is its id */
		in.ext = a->id;
	got = member_apply(w, &in, whole ? APPLY_WHOLE : APPLY_GIVEN, a->by, m, &m, &created);
	if (got)
		return got < 0 ? -1 : refuse(a, 403, "A subscription is read-only.");
	if (said_note(w, m, &in, whole) < 0)
		return -1;
	a->status = created ? 201 : 200;
	m->contacts_loaded = m->attrs_loaded = false;
	return member_show(w, member_now(m), &a->out);
}

static int consent_show(struct work *w, struct member *m, struct face_ask *a)
{
	buf_c(&a->out, "{\"consent\":");
	if (member_show_consent(w, m, &a->out) < 0)
		return -1;
	buf_c(&a->out, ",\"history\":[");
	if (history(w, m, a->limit, &a->out) < 0)
		return -1;
	buf_c(&a->out, "]}");
	return 0;
}

static int consent_put(struct work *w, struct member *m, struct face_ask *a)
{
	for (unsigned i = 0; i < a->in.consent_n; i++) {
		const struct input_cell *c = &a->in.consent[i];
		int r = member_set_consent(
			w, m, c->row, c->channel, c->granted, a->by, a->in.proof, a->force);

		if (r > 0)
			return refuse(a, 403, "A subscription of these is read-only.");
		if (r < 0 || (a->lock && member_lock_consent(w, m, c->row, c->channel, true) < 0))
			return -1;
	}
	return consent_show(w, m, a);
}

static int merge(struct work *w, struct member *from, struct face_ask *a)
{
	struct member *to;
	int got = find(w, a, a->into, &to);

	if (got < 0)
		return -1;
	if (!got)
		return refuse(a, 404, "There is no member to merge into.");
	if (to == from)
		return refuse(a, 409, "They are one already.");
	if (member_merge(w, to, from) < 0)
		return -1;
	return member_show(w, to, &a->out);
}

static int erase(struct work *w, struct member *m, struct face_ask *a)
{
	if (m->state == MEMBER_LEFT)
		return refuse(a, 404, "That member has left.");
	buf_printf(&a->out, "{\"number\":\"%llu\",\"state\":\"left\"", (unsigned long long)m->id);
	if (member_erase(w, m, a->text) < 0)
		return -1;
	buf_printf(&a->out, ",\"removed\":%u}", w->removed);
	return 0;
}

static int block(struct work *w, struct face_ask *a)
{
	int r = a->what == FACE_BLOCK ? address_block(w, a->text, (enum media)a->media, a->row,
						STR("operator"), a->by, STR_NONE)
				      : address_unblock(w, a->text, (enum media)a->media, a->row);

	if (r < 0)
		return -1;
	if (a->what == FACE_UNBLOCK && !r)
		return refuse(a, 404, "It was not suppressed.");
	buf_c(&a->out, "{}");
	return 0;
}

static int of_member(struct work *w, struct face_ask *a)
{
	struct member *m;
	int got = find(w, a, a->id, &m);

	if (got < 0)
		return -1;
	if (!got)
		return refuse(a, 404, "There is no such member.");
	switch (a->what) {
	case FACE_SHOW:
		return member_show(w, m, &a->out);
	case FACE_ERASE:
		return erase(w, m, a);
	case FACE_MERGE:
		return merge(w, m, a);
	case FACE_CONSENT:
		return consent_show(w, m, a);
	case FACE_CONSENT_PUT:
		return consent_put(w, m, a);
	case FACE_EVENTS:
		buf_c(&a->out, "{\"events\":[");
		if (events(w, m, a->limit, &a->out) < 0)
			return -1;
		buf_c(&a->out, "]}");
		return 0;
	default:
		buf_c(&a->out, "{\"messages\":[");
		if (messages(w, m, a->limit, &a->out) < 0)
			return -1;
		buf_c(&a->out, "]}");
		return 0;
	}
}

int face_run(struct plugin_call *c)
{
	struct face_ask *a = (struct face_ask *)(void *)c;
	struct work *w = unit_begin(&a->u, c);
	int rc;

	buf_reset(&a->out);
	a->status = 200;
	a->detail = NULL;
	switch (a->what) {
	case FACE_PUT:
	case FACE_PATCH:
		rc = put(w, a, a->what == FACE_PUT);
		break;
	case FACE_FIND:
		rc = look(w, a);
		break;
	case FACE_BLOCKS:
		rc = blocks(w, a);
		break;
	case FACE_BLOCK:
	case FACE_UNBLOCK:
		rc = block(w, a);
		break;
	default:
		rc = of_member(w, a);
		break;
	}
	return unit_end(&a->u, rc);
}
