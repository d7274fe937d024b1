/* A gateway in a nutshell. See world.h. */
#include "plugins/offers/world.h"
#include "plugins/offers/attrs.h"
#include "plugins/offers/heard.h"
#include "plugins/plugin.h"

#include <stdio.h>

enum { TURN_MOST = 1000, TURNS_MOST = 100000 };

static struct world *world_of(struct work *w)
{
	return w->ctx;
}

static uint64_t keep(struct work *work, struct message *m, struct outcome *why)
{
	struct world *w = world_of(work);
	struct world_message *v;

	if (w->n == w->cap) {
		w->cap = w->cap ? 2 * w->cap : 16;
		w->v = mem_grow(w->v, w->cap * sizeof *w->v);
	}
	v = &w->v[w->n++];
	m->id = ++w->next_id;
	m->accepted = work->now;
	*v = (struct world_message){ .id = m->id,
		.due = m->send_at > work->now ? m->send_at : work->now,
		.msg = m,
		.state = STATE_QUEUED };
	return m->id;
}

static void forget(struct world *w)
{
	for (size_t i = 0; i < w->n; i++) {
		message_unref(&w->v[i].msg);
		message_unref(&w->v[i].whole);
	}
	w->n = 0;
	w->removed = 0;
	buf_reset(&w->upstream);
}

struct work *world_unit(struct world *w)
{
	struct attrs *attrs = w->db.attrs;

	arena_free(&w->w.arena);
	w->w = (struct work){ .db = &w->db,
		.rules = w->rules,
		.now = w->now,
		.arena = arena_new(),
		.send = keep,
		.ctx = w };
	w->db.attrs = attrs;
	return &w->w;
}

static int failed(struct world *w)
{
	w->e = w->w.e;
	return -1;
}

struct world *world_open(struct rules *r, struct err *e)
{
	struct sql_conf c = { .where = ":memory:", .role = SQL_WRITER };
	struct world *w = mem_new(struct world);

	w->rules = r;
	w->sql = sql_open("sqlite", &c, e);
	if (!w->sql) {
		mem_free(&w);
		return NULL;
	}
	db_open(&w->db, w->sql);
	if (offers_schema(w->sql, e) == 0)
		w->db.attrs = attrs_open(w->sql, r->attributes, r->attributes_n, true, e);
	if (!w->db.attrs || rules_number(r, &w->db, e) < 0) {
		world_close(&w);
		return NULL;
	}
	world_unit(w);
	return w;
}

void world_close(struct world **wp)
{
	struct world *w = *wp;

	if (!w)
		return;
	forget(w);
	buf_free(&w->upstream);
	mem_free(&w->v);
	arena_free(&w->w.arena);
	attrs_close(&w->db.attrs);
	db_close(&w->db);
	sql_close(&w->sql);
	mem_free(wp);
}

int world_reset(struct world *w, const struct rules *r, wall_t now)
{
	forget(w);
	sql_rollback(w->sql);
	w->rules = r;
	w->now = now;
	w->next_id = 0;
	w->members = 0;
	if (sql_begin(w->sql) < 0)
		return sql_err(w->sql, &w->e, "beginning anew");
	world_unit(w);
	return 0;
}

static int put_contact(struct world *w, struct member *m, enum contact_kind kind, const char *value,
	const char *sub)
{
	return contact_put(&w->w, m, kind, str_of(value), str_of(sub), CONTACT_VERIFIED, w->now);
}

int world_member(struct world *w, struct str ext, uint64_t *id_r)
{
	struct work *work = world_unit(w);
	unsigned n = ++w->members;
	const char *phone = arena_printf(work->arena, "371200%05u", n);
	struct member *m;

	if (member_create(work, ext, MEMBER_REGISTERED, &m) < 0)
		return failed(w);
	m->registered = w->now - 366 * DUR_DAY;
	member_status_put(work, m, str_of(member_first_system(work)), STR(WORLD_STATUS));
	if (member_save(work, m) < 0 || put_contact(w, m, CONTACT_PHONE, phone, "") < 0 ||
		put_contact(w, m, CONTACT_EMAIL,
			arena_printf(work->arena, "member%u@example.com", n), "") < 0 ||
		put_contact(w, m, CONTACT_VIBER, phone, "") < 0 ||
		put_contact(w, m, CONTACT_SOCIAL, arena_printf(work->arena, "vk:member%u", n),
			"vk") < 0 ||
		put_contact(w, m, CONTACT_DEVICE, arena_printf(work->arena, "token-%u", n),
			"fcm/android/device") < 0)
		return failed(w);
	for (int row = 0; row < ROW_COUNT; row++)
		if (member_set_consent(work, m, row, -1, true, STR("story"), STR_NONE, true) < 0)
			return failed(w);
	*id_r = m->id;
	return 0;
}

/* ---- what units ask for ---- */

static struct world_message *message_of(struct world *w, uint64_t id)
{
	for (size_t i = w->n; i-- > 0;)
		if (w->v[i].id == id)
			return &w->v[i];
	return NULL;
}

/* What it is of stands in of_sent only. */
static int know(struct world *w, struct world_message *m)
{
	struct sql_stmt *st = db_st(&w->db, ST_SENT_WHAT);
	uint32_t template = 0;

	if (!st)
		return work_failed(&w->w, "what was sent");
	sql_int(st, 1, (int64_t)m->id);
	if (sql_step(st) == 1) {
		m->object = (uint32_t)sql_col(st, 0);
		template = (uint32_t)sql_col(st, 1);
		m->sent = (uint64_t)sql_col(st, 2);
		m->row = (enum row)sql_col(st, 3);
	}
	sql_reset(st);
	m->template[0] = '\0';
	name_of(&w->db, NAME_TEMPLATE, template, m->template, sizeof m->template);
	return 0;
}

static int told(struct world *w, uint64_t msg, enum state state, enum reason reason)
{
	struct sent_news n = { .msg = msg, .state = state, .reason = reason, .at = w->now };
	struct work *work = world_unit(w);
	struct event *e = NULL;
	struct member *m;
	uint64_t member;
	int rc = sent_receipt(work, &n, &e, &member);

	if (rc < 1)
		return rc < 0 ? failed(w) : 0;
	rc = member_load(work, member, &m);
	if (rc == 1)
		return engine_made(work, m, e) < 0 ? failed(w) : 0;
	event_drop(&e);
	return rc < 0 ? failed(w) : 0;
}

static int take_back(struct world *w, uint64_t id, enum state state)
{
	struct world_message *m = message_of(w, id);

	if (!m || m->state != STATE_QUEUED)
		return 0; /* too late */
	m->state = state;
	w->removed++;
	if (w->gone)
		w->gone(w->ctx, m);
	return told(w, id, state, state == STATE_CANCELLED ? REASON_CANCELLED : REASON_POLICY);
}

enum { DEEDS_MOST = 32 };

/* One round of deeds; how many, or -1. */
static int do_deeds(struct world *w)
{
	struct sql_stmt *st = db_st(&w->db, ST_DEED_TAKE);
	struct {
		int kind;
		uint64_t msg;
	} v[DEEDS_MOST];
	int n = 0, rc;

	if (!st)
		return work_failed(&w->w, "deeds");
	while ((rc = sql_step(st)) == 1) {
		v[n].kind = (int)sql_col(st, 0);
		v[n++].msg = (uint64_t)sql_col(st, 1);
		if (v[n - 1].kind == DEED_UPSTREAM)
			buf_printf(&w->upstream, "%.*s %.*s\n", STR_ARG(sql_col_str(st, 2)),
				STR_ARG(sql_col_str(st, 3)));
	}
	if (rc < 0)
		return work_failed(&w->w, "deeds");
	for (int i = 0; i < n; i++)
		if (v[i].kind != DEED_UPSTREAM &&
			take_back(w, v[i].msg,
				v[i].kind == DEED_CANCEL ? STATE_CANCELLED : STATE_SUPPRESSED) < 0)
			return -1;
	return n;
}

/* What is due leaves; how many did, or -1. */
static int leave(struct world *w)
{
	int n = 0;

	for (size_t i = 0; i < w->n; i++) {
		struct world_message *m = &w->v[i];

		if (m->state != STATE_QUEUED || m->due > w->now)
			continue;
		n++;
		m->state = STATE_SENT;
		if (know(w, m) < 0)
			return failed(w);
		if (w->left)
			w->left(w->ctx, m);
		if (told(w, m->id, STATE_SENT, REASON_NONE) < 0)
			return -1;
	}
	return n;
}

int world_settle(struct world *w)
{
	int deeds, left;

	do {
		deeds = do_deeds(w);
		left = deeds < 0 ? -1 : leave(w);
		if (left < 0)
			return -1;
	} while (deeds || left);
	return 0;
}

/* ---- time ---- */

static wall_t earlier(wall_t a, wall_t b)
{
	return !a ? b : !b || a < b ? a : b;
}

static int next_moment(struct world *w, wall_t *t_r)
{
	wall_t chain = 0, task = 0;
	struct work *work = world_unit(w);

	*t_r = 0;
	if (chain_next_due(work, &chain) < 0 ||
		(w->task_next_due && w->task_next_due(work, &task) < 0))
		return failed(w);
	*t_r = earlier(chain, task);
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].state == STATE_QUEUED)
			*t_r = earlier(*t_r, w->v[i].due);
	return 0;
}

static int fire(struct world *w)
{
	bool left = true;
	unsigned n;

	while (left) {
		if (chain_fire(world_unit(w), TURN_MOST, 0, &n, &left) < 0)
			return failed(w);
		if (world_settle(w) < 0)
			return -1;
	}
	left = w->task_fire != NULL;
	while (left) {
		if (w->task_fire(world_unit(w), TURN_MOST, 0, &n, &left) < 0)
			return failed(w);
		if (world_settle(w) < 0)
			return -1;
	}
	return 0;
}

int world_until(struct world *w, wall_t t)
{
	for (unsigned i = 0; i < TURNS_MOST; i++) {
		wall_t next;

		if (next_moment(w, &next) < 0)
			return -1;
		if (!next || next > t)
			break;
		if (next > w->now)
			w->now = next;
		if (fire(w) < 0)
			return -1;
	}
	if (t > w->now)
		w->now = t;
	return 0;
}

int world_before(struct world *w, wall_t t)
{
	if (t > w->now && world_until(w, t - 1) < 0)
		return -1;
	if (t > w->now)
		w->now = t;
	return 0;
}

/* ---- what happens ---- */

int world_event(struct world *w, struct event *e, struct reply *r)
{
	struct intake in;
	int rc = 0;

	if (intake_keep(world_unit(w), e, &in) < 0)
		rc = failed(w);
	else if (!in.duplicate && !in.conflict)
		rc = engine_event(world_unit(w), e, r) < 0 || world_settle(w) < 0 ? -1 : 1;
	if (rc < 0 && w->w.e.text[0])
		w->e = w->w.e;
	event_drop(&e);
	return rc;
}

/* The attempt after this one, of the whole that it belongs to; NULL: it was the last. */
static struct message *next_attempt(const struct world_message *m)
{
	struct str rest = message_get(m->whole ? m->whole : m->msg, FIELD_FALLBACK);
	struct message *step = NULL;
	dur_t after;
	unsigned i = 0;

	do {
		message_unref(&step);
		if (!plugin_next_fallback(&rest, &after, &step))
			return NULL;
		i += after != PLUGIN_STEP_AT_ONCE; /* another device is the same message */
	} while (i <= m->step);
	return step;
}

/* What the policy says of an attempt that begins now, as of those in a gateway. */
static int ask_policy(struct world *w, const struct message *step, struct plugin_policy *p)
{
	struct str gate = message_get(step, FIELD_GATE);

	*p = (struct plugin_policy){ .verdict = POLICY_GO };
	if (gate.n <= 8)
		return 0;
	return policy_submitted(world_unit(w), step, str_skip(gate, 8), p) < 0 ? failed(w) : 0;
}

/* The next attempt that is not suppressed by the policy leaves (hours do not hold it here: stories
 * tell the news of a day at its end). 1; 0: there is none, -1. */
static int begin_attempt(struct world *w, struct world_message *m)
{
	struct message *step;
	struct plugin_policy p;

	while ((step = next_attempt(m)) != NULL) {
		if (m->whole)
			message_unref(&m->msg);
		else
			m->whole = m->msg;
		m->msg = step;
		m->step++;
		m->due = w->now;
		if (ask_policy(w, step, &p) < 0)
			return -1;
		if (p.verdict == POLICY_SUPPRESS)
			continue;
		if (w->left)
			w->left(w->ctx, m);
		return 1;
	}
	return 0;
}

int world_news(struct world *w, struct world_message *m, enum state state, enum reason reason)
{
	int begun = state == STATE_UNDELIVERABLE ? begin_attempt(w, m) : 0;

	if (begun)
		return begun < 0 ? -1 : 0;
	if (told(w, m->id, state, reason) < 0)
		return -1;
	return world_settle(w);
}

int world_reply(struct world *w, const struct world_message *m, struct str text)
{
	if (heard_reply(world_unit(w), (enum media)m->msg->media, message_get(m->msg, FIELD_TO),
		    text, ++w->next_id) < 0)
		return failed(w);
	return world_settle(w);
}

int world_unsubscribe(struct world *w, const struct world_message *m)
{
	const struct feedback f = { .kind = FEEDBACK_UNSUBSCRIBE,
		.media = (enum media)m->msg->media,
		.address = message_get(m->msg, FIELD_TO),
		.row = (int)m->row,
		.by = STR("story"),
		.proof = STR_NONE };

	if (feedback_take(world_unit(w), &f, NULL) < 0 || heard_unsubscribe(&w->w, &f) < 0)
		return failed(w);
	return world_settle(w);
}
