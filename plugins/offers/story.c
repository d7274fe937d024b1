/* Stories told: clauses happen on a virtual clock, and what is expected is looked for. See story.h.
 */
#include "plugins/offers/story_private.h"
#include "plugins/offers/counter.h"
#include "plugins/offers/lot.h"
#include "plugins/offers/member_input.h"
#include "plugins/offers/sent.h"

#include <stdio.h>

/* ---- what is told of it ---- */

static void put_time(struct teller *t, struct buf *b, wall_t at)
{
	struct local l = zone_local(t->zone, at);

	buf_printf(b, "day %ld ", l.day - t->day_0);
	time_of_day_put(b, l.ns / DUR_MIN * DUR_MIN);
}

__attribute__((format(printf, 2, 3))) static void log_line(struct teller *t, const char *fmt, ...)
{
	va_list ap;

	if (t->log.n)
		buf_char(&t->log, '\n');
	put_time(t, &t->log, t->w->now);
	buf_char(&t->log, ' ');
	va_start(ap, fmt);
	buf_vprintf(&t->log, fmt, ap);
	va_end(ap);
}

static const char *text_of(struct teller *t, const struct message *m)
{
	static const enum field fields[] = { FIELD_TITLE, FIELD_SUBJECT, FIELD_TEXT };
	struct buf b = BUF_INIT;
	char *text;

	for (unsigned i = 0; i < 3; i++)
		if (message_has(m, fields[i])) {
			buf_c(&b, b.n ? "\n" : "");
			buf_str(&b, message_get(m, fields[i]));
		}
	text = arena_cstr(t->a, buf_view(&b));
	buf_free(&b);
	return text;
}

/* What it is the story of, by number; 0: of all together. */
static uint32_t object_of(const struct teller *t)
{
	return t->o ? t->o->number : t->task ? t->task->number : 0;
}

static bool mine(const struct teller *t, const struct world_message *m)
{
	return !object_of(t) || m->object == object_of(t);
}

/* To another device went what was seen already. */
static bool seen_before(const struct teller *t, const struct world_message *m)
{
	for (size_t i = 0; m->sent && i < t->n; i++)
		if (t->v[i].sent == m->sent)
			return true;
	return false;
}

void story_left(void *ctx, struct world_message *m)
{
	struct teller *t = ctx;
	struct seen *s;

	if (!mine(t, m) || seen_before(t, m))
		return;
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 8;
		struct seen *v = arena_alloc(t->a, cap * sizeof *v);

		if (t->n)
			memcpy(v, t->v, t->n * sizeof *v);
		t->v = v;
		t->cap = cap;
	}
	s = &t->v[t->n++];
	*s = (struct seen){ .at = m->due,
		.sent = m->sent,
		.template = arena_cstr(t->a, str_of(m->template)),
		.text = text_of(t, m->msg),
		.media = (enum media)m->msg->media };
	log_line(t, "%s by %s", s->template, media_word(s->media));
}

void story_gone(void *ctx, struct world_message *m)
{
	struct teller *t = ctx;

	log_line(t, "a message that waited is taken back");
}

/* ---- the story's member ---- */

static struct member *load(struct teller *t)
{
	struct member *m = NULL;

	return member_load(world_unit(t->w), t->member, &m) == 1 ? m : NULL;
}

/* ---- faults ---- */

__attribute__((format(printf, 3, 4))) static bool fails(
	struct teller *t, const struct clause *c, const char *fmt, ...)
{
	va_list ap;

	if (t->why.n)
		return false;
	buf_printf(&t->why, "\"%.*s\": ", STR_ARG(c->text));
	va_start(ap, fmt);
	buf_vprintf(&t->why, fmt, ap);
	va_end(ap);
	return false;
}

bool story_store_fails(struct teller *t, const struct clause *c)
{
	const char *why = t->w->e.text[0] ? t->w->e.text : t->w->w.e.text;

	return fails(t, c, "%s", why[0] ? why : "the store in memory failed");
}

/* ---- clauses ---- */

/* An event in full says itself when it happened; it may come later than that, never earlier. */
static void raw_time(const struct clause *c, wall_t *at_r)
{
	struct json_faults f = { 0 };
	json_t *v = c->raw.n ? json_read(c->raw, &f) : NULL;
	wall_t at;

	if (v &&
		clock_parse_rfc3339(
			str_of(json_string_value(json_object_get(v, "occurred_at"))), &at) &&
		at > *at_r)
		*at_r = at;
	json_decref(v);
}

/* When it happens, and, for what is expected of a day as a whole, that day's end. */
static bool clause_time(struct teller *t, const struct clause *c, wall_t *at_r)
{
	struct local l = zone_local(t->zone, t->w->now);
	bool look = c->what == STORY_EXPECT;
	wall_t at = t->nominal;

	switch (c->when) {
	case STORY_NOW:
		raw_time(c, &at);
		break;
	case STORY_AFTER:
		at = zone_add(t->zone, t->w->now, c->after);
		break;
	case STORY_CLOCK:
		at = zone_wall(t->zone, (struct local){ l.day, c->clock });
		break;
	case STORY_DAY:
	case STORY_DATE:
		l.day = c->when == STORY_DAY ? t->day_0 + c->day : c->day;
		l.ns = c->clock >= 0 ? c->clock : 12 * DUR_HOUR;
		at = zone_wall(t->zone, l);
		if (c->clock < 0 && look)
			at = zone_midnight(t->zone, l.day + 1) - 1;
		else if (c->clock < 0 && at < t->w->now &&
			 l.day == zone_local(t->zone, t->w->now).day)
			at = t->w->now;
		break;
	}
	if (at < t->w->now && c->when != STORY_NOW)
		return fails(t, c, "that is before the clause before it");
	*at_r = at;
	return true;
}

/* 'day 3', 'day 3 at 10:00': when that is. */
static bool day_value(const struct teller *t, struct str v, struct local *l_r)
{
	struct str word;
	uint64_t n;

	if (!str_starts(v, STR("day ")))
		return false;
	v = str_trim(str_skip(v, 4));
	str_cut(&v, ' ', &word);
	v = str_trim(v);
	if (str_starts(v, STR("at ")))
		v = str_trim(str_skip(v, 3));
	*l_r = (struct local){ 0 };
	if (!str_u64(word, &n) || n > 36600 || (v.n && !time_of_day_parse(v, &l_r->ns)))
		return false;
	l_r->day = t->day_0 + (int64_t)n;
	return true;
}

static void put_value(
	struct teller *t, struct buf *b, const struct story_pair *p, enum value_type type)
{
	struct local l;
	int64_t n;

	if (!p->json && (type == VALUE_DATE || type == VALUE_DATETIME) &&
		day_value(t, p->value, &l)) {
		buf_char(b, '"');
		if (type == VALUE_DATE)
			date_put(b, l.day);
		else
			clock_put_rfc3339(b, zone_wall(t->zone, l));
		buf_char(b, '"');
		return;
	}

	if (p->json ||
		(type == VALUE_BOOL && (str_is(p->value, "true") || str_is(p->value, "false"))) ||
		((type == VALUE_INT || type == VALUE_DECIMAL) && decimal_parse(p->value, &n)))
		buf_str(b, p->value);
	else
		buf_json(b, p->value);
}

static bool has_pair(const struct clause *c, const char *name)
{
	for (size_t i = 0; i < c->pairs_n; i++)
		if (str_is(c->pairs[i].name, name))
			return true;
	return false;
}

static void put_json(struct teller *t, const struct clause *c, struct buf *b)
{
	wall_t at = t->w->now;
	struct buf data = BUF_INIT;

	if (!span_is_zero(c->late)) {
		struct span back = { -c->late.months, -c->late.days, -c->late.exact };

		at = zone_add(t->zone, at, back);
	}
	buf_printf(b,
		"{\"id\":\"story-%u\",\"source\":\"story\",\"type\":\"%s\",\"occurred_at\":\"",
		++t->events, event_kinds[c->type].word);
	clock_put_rfc3339(b, at);
	buf_char(b, '"');
	if (c->alias != ALIAS_KINDS) {
		buf_printf(b, ",\"member\":{\"%s\":",
			alias_word(c->alias < 0 ? ALIAS_MEMBER : (enum alias_kind)c->alias));
		buf_json(b, c->alias < 0 ? STR("story") : c->who);
		buf_char(b, '}');
	}
	for (size_t i = 0; i < c->pairs_n; i++) {
		const struct story_pair *p = &c->pairs[i];
		enum event_attr a = ATTR_id;
		struct buf *to;

		event_attr_parse(p->name, &a);
		to = (int)a < EVENT_ENVELOPE ? b : &data;
		buf_printf(to, "%s\"%.*s\":", to == b || data.n ? "," : "", STR_ARG(p->name));
		put_value(t, to, p, event_attr_kinds[a].type);
	}
	if (c->kind && c->kind[0] && !has_pair(c, "kind"))
		buf_printf(&data, "%s\"kind\":\"%s\"", data.n ? "," : "", c->kind);
	if (c->type == EVENT_CONTACT_LINKED && !has_pair(c, "verified"))
		buf_printf(&data, "%s\"verified\":true", data.n ? "," : "");
	if (c->type == EVENT_CONTACT_LINKED && !has_pair(c, "value"))
		buf_printf(&data, "%s\"value\":\"%s\"", data.n ? "," : "",
			c->kind && strcmp(c->kind, "email") == 0 ? WORLD_EMAIL : WORLD_PHONE);
	buf_printf(b, ",\"data\":{%.*s}}", STR_ARG(buf_view(&data)));
	buf_free(&data);
}

static void set_missing(json_t *v, const char *name, json_t *value)
{
	if (json_object_get(v, name))
		json_decref(value);
	else
		json_object_set_new(v, name, value);
}

/* The event as JSON: as it was written in full, or made of the clause. */
static json_t *event_json(struct teller *t, const struct clause *c, struct json_faults *f)
{
	struct buf b = BUF_INIT;
	char id[32];
	json_t *v;

	if (!c->raw.n) {
		put_json(t, c, &b);
		v = json_read(buf_view(&b), f);
		buf_free(&b);
		return v;
	}
	v = json_read(c->raw, f);
	if (!json_is_object(v))
		return v;
	snprintf(id, sizeof id, "story-%u", ++t->events);
	clock_put_rfc3339(&b, t->w->now);
	set_missing(v, "id", json_string(id));
	set_missing(v, "source", json_string("story"));
	set_missing(v, "occurred_at", json_string(buf_cstr(&b)));
	set_missing(v, "member", json_string("story"));
	buf_free(&b);
	return v;
}

/* Whoever is named by id can be reached, like the story's own member. */
static int meet(struct teller *t, const struct event *e)
{
	struct str ext = e->who[ALIAS_MEMBER];
	struct member *m;
	uint64_t id;
	int rc = ext.n ? member_find(world_unit(t->w), ALIAS_MEMBER, ext, &m) : 1;

	return rc == 0 ? world_member(t->w, ext, &id) : rc < 0 ? -1 : 0;
}

static bool tell_event(struct teller *t, const struct clause *c)
{
	static const struct address_country nowhere;
	const struct event_reader how = { .source = STR("story"),
		.country = &nowhere,
		.ahead = 5 * DUR_MIN,
		.too_far = DUR_DAY };
	struct json_faults f = { 0 };
	struct reply reply = { 0 };
	struct event *e = NULL;
	json_t *v = event_json(t, c, &f);
	int rc;

	if (!v || event_read(v, t->w->now, &how, &e, &f) != EVENT_OK) {
		fails(t, c, "%s %s", f.n ? f.v[0].at : "", f.n ? f.v[0].text : "no event");
		json_decref(v);
		return false;
	}
	json_decref(v);
	log_line(t, "%s", event_kinds[e->type].word);
	if (meet(t, e) < 0) {
		event_drop(&e);
		return story_store_fails(t, c);
	}
	rc = world_event(t->w, e, &reply);
	if (reply.receipt.n)
		log_line(t, "on the receipt: %.*s", STR_ARG(buf_view(&reply.receipt)));
	buf_str(&t->receipt, buf_view(&reply.receipt));
	buf_str(&t->cashier, buf_view(&reply.cashier));
	reply_free(&reply);
	return rc < 0 ? story_store_fails(t, c) : true;
}

/* "no push": as if it had never been told. Viber is reached by phone, too, unless it is known that
 * there is none. */
static int lose(struct teller *t, struct member *m, struct str kind_word)
{
	struct work *w = &t->w->w;
	enum contact_kind kind;

	if (str_is(kind_word, "status")) {
		if (!member_status_put(w, m, str_of(member_first_system(w)), STR_NONE))
			return 0;
		return member_save(w, m);
	}
	if (str_is(kind_word, "push"))
		kind = CONTACT_DEVICE;
	else if (!contact_parse(kind_word, &kind))
		return 0;
	if (kind == CONTACT_VIBER)
		return contact_mark_invalid(w, kind, STR(WORLD_PHONE), STR("story"));
	return contact_drop(w, m, kind, STR_NONE);
}

static struct str fact_of(struct teller *t, const struct story_pair *p)
{
	struct buf b = BUF_INIT;
	struct str v = p->value;
	struct local l;

	if (p->json || !day_value(t, p->value, &l))
		return v;
	date_put(&b, l.day);
	v = str_of(arena_cstr(t->a, buf_view(&b)));
	buf_free(&b);
	return str_is(p->name, "birthday") ? str_skip(v, 5) : v; /* of any year */
}

static bool tell_member(struct teller *t, const struct clause *c)
{
	static const struct address_country nowhere;
	const struct member_reader how = {
		.rules = t->w->rules, .country = &nowhere, .verified = true
	};
	struct member *m = load(t), *same;
	struct member_column *columns = arena_alloc(t->a, (c->pairs_n + 1) * sizeof *columns);
	struct str *names = arena_alloc(t->a, (c->pairs_n + 1) * sizeof *names);
	struct str *values = arena_alloc(t->a, (c->pairs_n + 1) * sizeof *values);
	struct json_faults f = { 0 };
	struct member_input in = { 0 };
	size_t n = 0;
	bool created;

	if (!m)
		return story_store_fails(t, c);
	for (size_t i = 0; i < c->pairs_n; i++) {
		if (str_is(c->pairs[i].name, "no")) {
			if (lose(t, m, c->pairs[i].value) < 0)
				return story_store_fails(t, c);
			continue;
		}
		names[n] = c->pairs[i].name;
		values[n] = fact_of(t, &c->pairs[i]);
		if (!member_column_find(names[n], &how, t->a, &columns[n], &f))
			return fails(t, c, "a member has no \"%.*s\"", STR_ARG(names[n]));
		n++;
	}
	if (n == 0)
		return true;
	names[n] = STR("id");
	values[n] = STR("story");
	member_column_find(names[n], &how, t->a, &columns[n], &f);
	n++;
	if (!member_input_row(columns, names, values, n, &how, t->a, &in, &f))
		return fails(t, c, "%s %s", f.n ? f.v[0].at : "", f.n ? f.v[0].text : "");
	m = load(t);
	if (!m || member_apply(&t->w->w, &in, APPLY_GIVEN, STR("story"), m, &same, &created) < 0)
		return story_store_fails(t, c);
	t->zone = same->zone;
	return true;
}

static bool tell_consent(struct teller *t, const struct clause *c)
{
	struct member *m = load(t);
	int rc = m ? 0 : -1;

	if (rc == 0 && c->row < 0 && c->media < 0)
		for (int row = 0; row < ROW_COUNT && rc >= 0; row++)
			rc = member_set_consent(
				&t->w->w, m, row, -1, c->granted, STR("story"), STR_NONE, true);
	else if (rc == 0)
		rc = member_set_consent(
			&t->w->w, m, c->row, c->media, c->granted, STR("story"), STR_NONE, true);
	if (rc < 0 || world_settle(t->w) < 0)
		return story_store_fails(t, c);
	return true;
}

/* The last that left, of the template that the clause names. NULL, and it fails. */
static struct world_message *last_left(struct teller *t, const struct clause *c)
{
	for (size_t i = t->w->n; i-- > 0;) {
		struct world_message *m = &t->w->v[i];

		if (m->msg && mine(t, m) && m->state != STATE_QUEUED &&
			m->state != STATE_CANCELLED && m->state != STATE_SUPPRESSED &&
			(!c->name.n || str_is(c->name, m->template)))
			return m;
	}
	fails(t, c, "no such message has left");
	return NULL;
}

static bool tell_news(struct teller *t, const struct clause *c)
{
	struct world_message *m = last_left(t, c);

	if (!m)
		return false;
	log_line(t, "%s is %s", m->template, state_word(c->state));
	if (world_news(t->w, m, c->state,
		    c->state == STATE_UNDELIVERABLE ? REASON_FAR_DESTINATION : REASON_NONE) < 0)
		return story_store_fails(t, c);
	return true;
}

static bool tell_reply(struct teller *t, const struct clause *c)
{
	struct world_message *m = last_left(t, c);

	if (!m)
		return false;
	if (m->msg->media == MEDIA_PUSH)
		return fails(t, c, "nobody answers a push message");
	log_line(t, "%s is answered: %.*s", m->template, STR_ARG(c->said));
	return world_reply(t->w, m, c->said) < 0 ? story_store_fails(t, c) : true;
}

/* By email from what it was sent as; by what is answered to, STOP is said. */
static bool tell_unsubscribe(struct teller *t, const struct clause *c)
{
	const struct policy_conf *p = &t->w->rules->conf->policy;
	struct world_message *m = last_left(t, c);
	int rc;

	if (!m)
		return false;
	if (m->msg->media == MEDIA_PUSH)
		return fails(t, c, "nobody unsubscribes from a push message: \"refuse push\"");
	if (m->msg->media != MEDIA_EMAIL && !p->stop_words_n)
		return fails(t, c, "policy.stop_words has no word to say");
	log_line(t, "unsubscribed from %s", m->template);
	rc = m->msg->media == MEDIA_EMAIL ? world_unsubscribe(t->w, m)
					  : world_reply(t->w, m, str_of(p->stop_words[0]));
	return rc < 0 ? story_store_fails(t, c) : true;
}

/* ---- expect ---- */

static bool day_fits(struct teller *t, const struct clause *c, wall_t at)
{
	int64_t day = c->when == STORY_DAY ? t->day_0 + c->day : c->day;

	return (c->when != STORY_DAY && c->when != STORY_DATE) ||
	       zone_local(t->zone, at).day == day;
}

static void put_unexpected(struct teller *t, struct buf *b)
{
	for (size_t i = 0; i < t->n; i++)
		if (!t->v[i].checked) {
			buf_printf(b, "%s%s by %s on ", b->n ? ", " : "", t->v[i].template,
				media_word(t->v[i].media));
			put_time(t, b, t->v[i].at);
		}
	if (!b->n)
		buf_c(b, "nothing");
}

static bool wants_message(struct teller *t, const struct clause *c, const struct wish *v)
{
	for (unsigned k = 0; k < v->count; k++) {
		struct buf b = BUF_INIT;
		bool found = false;

		for (size_t i = 0; i < t->n && !found; i++) {
			struct seen *s = &t->v[i];

			if (s->checked || s->taken || !str_is(v->name, s->template) ||
				!day_fits(t, c, s->at) ||
				(v->media >= 0 && v->media != (int)s->media) ||
				(v->text.n && str_find(str_of(s->text), v->text) < 0))
				continue;
			s->taken = found = true;
		}
		if (found)
			continue;
		put_unexpected(t, &b);
		fails(t, c, "expected %.*s%s%s, and %.*s left", STR_ARG(v->name),
			v->media >= 0 ? " by " : "",
			v->media >= 0 ? media_word((enum media)v->media) : "",
			STR_ARG(buf_view(&b)));
		buf_free(&b);
		return false;
	}
	return true;
}

static bool wants_line(struct teller *t, const struct clause *c, const char *where,
	const struct buf *got, struct str want)
{
	struct buf b = BUF_INIT;
	bool found;

	buf_json(&b, want);
	found = str_find(buf_view(got), buf_view(&b)) >= 0;
	buf_free(&b);
	if (found)
		return true;
	return fails(t, c, "the %s says %.*s", where, got->n ? (int)got->n : 7,
		got->n ? got->p : "nothing");
}

static bool looked_at(struct teller *t, uint64_t id)
{
	for (size_t i = 0; i < t->held_n; i++)
		if (t->held[i] == id)
			return true;
	return false;
}

/* Looks at what was not sent since the last time; with a wish: until one fits it. */
int story_held(struct teller *t, const struct clause *c, const struct wish *v, struct buf *all)
{
	struct sql_stmt *st = db_st(&t->w->db, ST_HELD_LIST);
	char template[64];
	int rc, fits = 0;
	struct {
		uint64_t id;
		uint32_t template;
		wall_t at;
		char reason[120];
	} row[64];
	unsigned n = 0;

	if (!st)
		return -1;
	sql_int(st, 1, object_of(t));
	while ((rc = sql_step(st)) == 1)
		if (n < 64 && !looked_at(t, (uint64_t)sql_col(st, 0))) {
			row[n].id = (uint64_t)sql_col(st, 0);
			row[n].template = (uint32_t)sql_col(st, 1);
			row[n].at = sql_col(st, 3);
			str_copy(row[n++].reason, sizeof row[0].reason, sql_col_str(st, 2));
		}
	if (rc < 0)
		return -1;
	for (unsigned i = 0; i < n && !fits; i++) {
		struct str rest = str_of(row[i].reason), reason = STR_NONE;

		template[0] = '\0';
		name_of(&t->w->db, NAME_TEMPLATE, row[i].template, template, sizeof template);
		str_cut(&rest, ':', &reason);
		if (all) {
			buf_printf(
				all, "%s%s (%s) on ", all->n ? ", " : "", template, row[i].reason);
			put_time(t, all, row[i].at);
		}
		if (v && (!day_fits(t, c, row[i].at) || (v->name.n && !str_is(v->name, template)) ||
				 (v->hold >= 0 &&
					 !str_is(reason, hold_word((enum hold_reason)v->hold)))))
			continue;
		if (all)
			continue;
		if (t->held_n == t->held_cap) {
			size_t cap = t->held_cap ? 2 * t->held_cap : 8;
			uint64_t *ids = arena_alloc(t->a, cap * sizeof *ids);

			if (t->held_n)
				memcpy(ids, t->held, t->held_n * sizeof *ids);
			t->held = ids;
			t->held_cap = cap;
		}
		t->held[t->held_n++] = row[i].id;
		fits = v != NULL;
	}
	return fits;
}

static bool wants_held(struct teller *t, const struct clause *c, const struct wish *v)
{
	struct buf all = BUF_INIT;
	int rc = story_held(t, c, v, NULL);

	if (rc == 1)
		return true;
	if (rc < 0 || story_held(t, c, NULL, &all) < 0) {
		buf_free(&all);
		return story_store_fails(t, c);
	}
	fails(t, c, "suppressed was %.*s", all.n ? (int)all.n : 7, all.n ? all.p : "nothing");
	buf_free(&all);
	return false;
}

static bool wants_counter(struct teller *t, const struct clause *c, const struct wish *v)
{
	const struct counter *counter = rules_counter(t->w->rules, v->name);
	struct offers_source s;
	struct member *m = load(t);
	struct buf b = BUF_INIT;
	struct value value;
	int64_t got;

	if (!counter)
		return fails(t, c, "there is no counter \"%.*s\"", STR_ARG(v->name));
	if (!m)
		return story_store_fails(t, c);
	source_init(&s, &t->w->w, m, NULL, t->o);
	value = counter_value(&s, counter);
	source_done(&s);
	got = value.type == VALUE_INT       ? decimal_of_int(value.i)
	      : value.type == VALUE_DECIMAL ? value.i
					    : 0;
	if (got == v->number)
		return true;
	decimal_put(&b, got);
	fails(t, c, "the counter is %s", buf_cstr(&b));
	buf_free(&b);
	return false;
}

static bool wants_status(struct teller *t, const struct clause *c, const struct wish *v)
{
	const struct members_conf *conf = &t->w->rules->conf->members;
	struct member *m = load(t);
	struct str got;

	if (!m)
		return story_store_fails(t, c);
	got = member_status(&t->w->w, m,
		v->name.n          ? arena_cstr(t->a, v->name)
		: conf->statuses_n ? conf->statuses[0]
				   : "");
	if (str_eq(got, v->text))
		return true;
	return fails(t, c, "the status is %.*s", got.n ? (int)got.n : 4, got.n ? got.p : "none");
}

static bool wants_balance(struct teller *t, const struct clause *c, const struct wish *v)
{
	struct work *w = world_unit(t->w);
	uint32_t currency = currency_number(w, v->name, false);
	struct buf b = BUF_INIT;
	int64_t got = 0;

	if (currency && balance_get(w, t->member, currency, &got) < 0)
		return story_store_fails(t, c);
	if (got == v->number)
		return true;
	decimal_put(&b, got);
	fails(t, c, "the balance is %s", buf_cstr(&b));
	buf_free(&b);
	return false;
}

static bool wants_nothing(struct teller *t, const struct clause *c)
{
	struct buf b = BUF_INIT;

	put_unexpected(t, &b);
	if (!str_is(buf_view(&b), "nothing"))
		fails(t, c, "%.*s left", STR_ARG(buf_view(&b)));
	else if (t->receipt.n || t->cashier.n)
		fails(t, c, "the till was told %.*s%.*s", STR_ARG(buf_view(&t->receipt)),
			STR_ARG(buf_view(&t->cashier)));
	buf_free(&b);
	return !t->why.n;
}

static bool fulfils(struct teller *t, const struct clause *c, const struct wish *v)
{
	switch (v->what) {
	case WISH_NOTHING:
		return wants_nothing(t, c);
	case WISH_MESSAGE:
		return wants_message(t, c, v);
	case WISH_RECEIPT:
		return wants_line(t, c, "receipt", &t->receipt, v->text);
	case WISH_CASHIER:
		return wants_line(t, c, "cashier's screen", &t->cashier, v->text);
	case WISH_SUPPRESSED:
		return wants_held(t, c, v);
	case WISH_COUNTER:
		return wants_counter(t, c, v);
	case WISH_STATUS:
		return wants_status(t, c, v);
	case WISH_BALANCE:
		return wants_balance(t, c, v);
	}
	return false;
}

static bool tell_expect(struct teller *t, const struct clause *c)
{
	for (size_t i = 0; i < c->wishes_n; i++)
		if (!fulfils(t, c, &c->wishes[i]))
			return false;
	for (size_t i = 0; i < t->n; i++) {
		struct seen *s = &t->v[i];

		if (!s->checked && !s->taken) {
			struct buf b = BUF_INIT;

			put_time(t, &b, s->at);
			fails(t, c, "%s by %s on %.*s was not expected", s->template,
				media_word(s->media), STR_ARG(buf_view(&b)));
			buf_free(&b);
			return false;
		}
		s->checked = true;
	}
	buf_reset(&t->receipt);
	buf_reset(&t->cashier);
	return true;
}

bool clause_tell(struct teller *t, const struct clause *c)
{
	wall_t at = t->w->now;

	if (c->what == STORY_BEGIN)
		return true;
	if (!clause_time(t, c, &at))
		return false;
	/* What comes due at the moment of an event does so after it (CN-30). */
	if ((c->what == STORY_EVENT ? world_before(t->w, at) : world_until(t->w, at)) < 0)
		return story_store_fails(t, c);
	t->nominal = t->w->now;
	switch (c->what) {
	case STORY_EVENT:
		if (!tell_event(t, c))
			return false;
		t->nominal += DUR_S;
		return true;
	case STORY_MEMBER:
		return tell_member(t, c);
	case STORY_CONSENT:
		return tell_consent(t, c);
	case STORY_NEWS:
		return tell_news(t, c);
	case STORY_REPLY:
		return tell_reply(t, c);
	case STORY_UNSUBSCRIBE:
		return tell_unsubscribe(t, c);
	case STORY_EXPECT:
		return tell_expect(t, c);
	default:
		return true;
	}
}
