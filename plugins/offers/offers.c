/* The offers plugin: what the gateway calls. See offers.h. */
#include "plugins/offers/offers.h"
#include "gateway/base/log.h"
#include "plugins/offers/attrs.h"
#include "plugins/offers/dispatch.h"
#include "plugins/offers/event_show.h"
#include "plugins/offers/faces.h"
#include "plugins/offers/heard.h"
#include "plugins/offers/story.h"
#include "plugins/offers/story_verbs.h"

#include <stdio.h>

/* ---- units ---- */
static uint64_t unit_send(struct work *w, struct message *m, struct outcome *why)
{
	return plugin_send(w->ctx, m, why);
}

static int unit_left(struct work *w, uint64_t msg)
{
	return plugin_has_left(w->ctx, msg);
}

static int unit_erase(struct work *w, uint64_t msg)
{
	return plugin_erase(w->ctx, msg);
}

/* writer */
static void unit_odd(struct work *w, const char *what)
{
	struct plugin_call *c = w->ctx;
	struct offers *o = offers_of(c->host);
	struct odd_field *f;
	unsigned i = 0;

	stat_inc(&o->odd_fields);
	while (i < o->odd_n &&
		(strcmp(o->odd[i].what, what) != 0 || strcmp(o->odd[i].about, w->about) != 0))
		i++;
	if (i == ODD_FIELDS)
		return; /* whoever is that wrong is wrong in the first of them, too */
	f = &o->odd[i];
	if (i == o->odd_n) {
		o->odd_n++;
		str_copy(f->about, sizeof f->about, str_of(w->about));
		str_copy(f->what, sizeof f->what, str_of(what));
		log_warn("a field of an event is passed over", F_STR("event", f->about),
			F_STR("field", f->what));
	}
	f->n++;
	f->last = w->now;
}

struct fields_ask {
	struct plugin_call call; /* first */
	struct odd_field v[ODD_FIELDS];
	unsigned n;
};

/* writer */
static int fields_run(struct plugin_call *c)
{
	struct fields_ask *a = (struct fields_ask *)(void *)c;
	const struct offers *o = offers_of(c->host);

	a->n = o->odd_n;
	memcpy(a->v, o->odd, o->odd_n * sizeof *a->v);
	return 0;
}

int offers_fields(struct plugin_words *w, struct err *e)
{
	struct fields_ask *a = mem_new(struct fields_ask);
	int rc;

	a->call.run = fields_run;
	a->call.refusable = true;
	rc = plugin_call_wait(w->host, &a->call, e);
	if (rc == 0 && w->as_json)
		buf_char(w->out, '[');
	for (unsigned i = 0; rc == 0 && i < a->n; i++) {
		const struct odd_field *f = &a->v[i];

		if (!w->as_json) {
			buf_printf(w->out, "%-24s %s  (%llu times, last ", f->about, f->what,
				(unsigned long long)f->n);
			clock_put_rfc3339(w->out, f->last);
			buf_c(w->out, ")\n");
			continue;
		}
		buf_printf(w->out, "%s{\"event\":\"%s\",\"field\":", i ? "," : "", f->about);
		buf_json(w->out, str_of(f->what));
		buf_printf(w->out, ",\"times\":%llu,\"last\":\"", (unsigned long long)f->n);
		clock_put_rfc3339(w->out, f->last);
		buf_c(w->out, "\"}");
	}
	if (rc == 0 && w->as_json)
		buf_char(w->out, ']');
	else if (rc == 0 && a->n == 0)
		buf_c(w->out, "no field of an event was passed over since the start\n");
	mem_free(&a);
	return rc;
}

struct work *unit_begin(struct unit *u, struct plugin_call *c)
{
	struct offers *o = offers_of(c->host);

	unit_free(u);
	u->w = (struct work){ .db = &o->db,
		.rules = c->conf,
		.now = c->now,
		.arena = arena_new(),
		.send = unit_send,
		.left = unit_left,
		.erase = unit_erase,
		.odd = unit_odd,
		.about = "",
		.ctx = c };
	return &u->w;
}

int unit_end(struct unit *u, int rc)
{
	struct work *w = &u->w;

	u->now = w->now;
	u->next_due = w->next_due;
	u->deeds = w->deeds;
	u->removed = w->removed;
	u->stale = w->stale;
	u->late_cancel = w->late_cancel;
	u->firing = rc < 0 && hand_to_blame(w) ? w->firing : 0;
	u->hand = rc < 0 && hand_to_blame(w) ? w->hand : (struct hand){ 0 };
	str_copy(u->hand_name, sizeof u->hand_name, str_of(u->hand.name ? u->hand.name : ""));
	u->hand.name = NULL; /* of rules that may be gone */
	if (w->cancels_n) {
		u->cancels_n = w->cancels_n;
		u->cancels = mem_alloc(w->cancels_n * sizeof *u->cancels);
		memcpy(u->cancels, w->cancels, w->cancels_n * sizeof *u->cancels);
	}
	if (rc < 0)
		str_copy(u->why, sizeof u->why, str_of(w->e.text));
	arena_free(&w->arena);
	return rc < 0 ? -1 : 0;
}

void unit_settled(struct offers *o, struct unit *u)
{
	stat_add(&o->stale, u->stale);
	stat_add(&o->late_cancels, u->late_cancel);
	if (u->next_due)
		timers_due(o, u->next_due, u->now);
	if (u->deeds)
		deeds_soon(o, u->cancels_n ? 15 * DUR_S : 0);
}

void unit_free(struct unit *u)
{
	arena_free(&u->w.arena);
	mem_free(&u->cancels);
	u->cancels_n = 0;
}

/* ---- what happens within the host's own calls ---- */
/* loop: a call that is not ours made timers or deeds; it has been committed, or soon is. */
static void nudge(struct letter *l)
{
	struct offers *o = CONTAINER(l, struct offers, nudge);

	atomic_store(&o->nudged, false);
	if (!o->begun)
		return;
	timer_in(o->h->loop, &o->fire, 100 * DUR_MS);
	if (atomic_exchange(&o->adopted, false))
		timers_adopted(o);
	deeds_soon(o, 100 * DUR_MS);
}

static int host_unit_end(struct unit *u, struct plugin_call *c, int rc)
{
	struct offers *o = offers_of(c->host);

	rc = unit_end(u, rc);
	if (rc == 0)
		stat_add(&o->late_cancels, u->late_cancel);
	if (rc == 0 && (u->next_due || u->deeds) && !atomic_exchange(&o->nudged, true))
		loop_post(c->host->loop, &o->nudge);
	if (rc < 0)
		log_error("news could not be worked on", F_STR("why", u->why));
	unit_free(u);
	return rc;
}

static int offers_note(struct plugin_call *c, const struct note *n)
{
	const struct sent_news news = { .msg = n->msg,
		.state = n->state,
		.reason = n->reason,
		.at = n->at,
		.words = str_of(n->err) };
	struct unit u = { 0 };
	struct work *w = unit_begin(&u, c);
	struct event *e = NULL;
	struct member *m;
	uint64_t member;
	int rc;

	if (n->kind == NOTE_MO)
		return host_unit_end(&u, c, 0); /* heard by mo() */
	rc = sent_receipt(w, &news, &e, &member);
	if (rc == 1)
		rc = member_load(w, member, &m);
	if (rc == 1)
		rc = engine_made(w, m, e);
	else
		event_drop(&e);
	return host_unit_end(&u, c, rc);
}

static int offers_mo(struct plugin_call *c, const struct message *m, const char *channel)
{
	struct unit u = { 0 };

	return host_unit_end(&u, c,
		heard_reply(unit_begin(&u, c), (enum media)m->media, message_get(m, FIELD_FROM),
			message_get(m, FIELD_TEXT), m->id));
}

/* Whom a message of ours went to; 0: not known. -1. */
static int64_t sent_to(struct work *w, uint64_t msg)
{
	struct sql_stmt *st = db_st(w->db, ST_SENT_OF_MSG);
	int64_t member = 0;
	int got;

	if (!st)
		return work_failed(w, "looking up a message");
	sql_int(st, 1, (int64_t)msg);
	got = sql_step(st);
	if (got == 1) {
		member = sql_col(st, 1);
		sql_reset(st);
	}
	return got < 0 ? work_failed(w, "looking up a message") : member;
}

/* What the gateway heard about a message to one address, whoever sent it. */
static int heard_back(struct work *w, const struct plugin_feedback *p)
{
	const struct evidence *v = p->v;
	struct feedback f = { .media = p->media, .address = p->address, .row = -1 };
	struct str normal;
	const char *why;
	enum row row;
	int64_t member;

	if (p->media == MEDIA_EMAIL &&
		contact_normal(w->arena, CONTACT_EMAIL, p->address, NULL, &normal, &why))
		f.address = normal;
	if (v->kind == EVIDENCE_COMPLAINT)
		f.kind = FEEDBACK_COMPLAINT;
	else if (v->kind == EVIDENCE_UNSUBSCRIBE)
		f.kind = FEEDBACK_UNSUBSCRIBE;
	else
		f.kind = p->media == MEDIA_PUSH ? FEEDBACK_TOKEN_DEAD : FEEDBACK_BOUNCE;
	/* a word that is no row of ours is another programme's: all marketing, to be safe */
	if (f.kind == FEEDBACK_UNSUBSCRIBE && row_parse(str_of(v->row), &row))
		f.row = (int)row;
	f.by = str_of(arena_printf(w->arena, "%s %s", media_word(p->media), v->by ? v->by : ""));
	f.proof = str_of(arena_printf(w->arena, "message %llu%s%s%s%s", (unsigned long long)v->msg,
		v->err[0] ? " " : "", v->err, v->words[0] ? ": " : "", v->words));
	member = v->msg ? sent_to(w, v->msg) : 0;
	if (member < 0)
		return -1;
	f.member = (uint64_t)member;
	if (feedback_take(w, &f, NULL) < 0)
		return -1;
	return f.kind == FEEDBACK_UNSUBSCRIBE ? heard_unsubscribe(w, &f) : 0;
}

static int offers_feedback(struct plugin_call *c, const struct plugin_feedback *f)
{
	struct unit u = { 0 };

	return host_unit_end(&u, c, heard_back(unit_begin(&u, c), f));
}

static int offers_policy(struct plugin_call *c, const struct message *m, const char *account,
	struct plugin_policy *p_r)
{
	struct str gate = message_get(m, FIELD_GATE);
	struct unit u = { 0 };

	return host_unit_end(&u, c,
		policy_submitted(
			unit_begin(&u, c), m, gate.n > 8 ? str_skip(gate, 8) : STR_NONE, p_r));
}

static wall_t offers_gate(const void *loaded, const struct message *m, struct str more, wall_t now,
	struct outcome *why)
{
	wall_t parked = policy_gate_parked(loaded, m, now, &more, why);

	return parked ? parked : more.n ? policy_gate(loaded, more, now) : 0;
}

/* ---- configuration ---- */
static void *offers_load(const struct plugin_setup *s, const void *conf, struct conf_faults *f)
{
	size_t before = f->errors;
	struct rules *r = rules_load(s->dir, plugin_routed_media(s), f);

	if (!r)
		return NULL;
	str_copy(r->country.code, sizeof r->country.code, str_of(s->country ? s->country : ""));
	str_copy(r->country.trunk, sizeof r->country.trunk, str_of(s->trunk ? s->trunk : ""));
	if (f->errors == before)
		stories_run(r, f);
	if (f->errors > before)
		rules_unref(&r);
	return r;
}

static void offers_unload(void *loaded)
{
	struct rules *r = loaded;

	rules_unref(&r);
}

static void offers_changes(const void *was, const void *is, struct buf *out)
{
	rules_compare(was, is, out);
}

static int offers_open(struct plugin_call *c, struct err *e)
{
	struct offers *o = offers_of(c->host);

	o->h = c->host;
	o->nudge.run = nudge;
	if (offers_schema(c->db, e) < 0)
		return -1;
	db_open(&o->db, c->db);
	o->open = true;
	o->resting = true;
	return 0;
}

/* Numbers are given and taken back: only whether they can be given is asked. */
static int offers_check(struct plugin_call *c, const void *was, const void *is, struct err *e)
{
	struct rules *r = (struct rules *)(uintptr_t)is;
	int rc;

	if (sql_exec(c->db, "SAVEPOINT offers_check") < 0)
		return sql_err(c->db, e, "offers");
	rc = rules_number(r, &offers_of(c->host)->db, e);
	if (sql_exec(c->db, "ROLLBACK TO offers_check; RELEASE offers_check") < 0)
		return sql_err(c->db, e, "offers");
	return rc;
}

static int offers_adopt(struct plugin_call *c, const void *was, const void *is)
{
	struct rules *r = (struct rules *)(uintptr_t)is;
	struct offers *o = offers_of(c->host);
	struct err e = { 0 };

	attrs_close(&o->db.attrs);
	o->db.attrs = attrs_open(c->db, r->attributes, r->attributes_n, true, &e);
	if (!o->db.attrs || rules_number(r, &o->db, &e) < 0) {
		log_error("offers", F_ERR(&e));
		return -1;
	}
	for (size_t i = 0; i < r->offers_n; i++)
		if (r->offers[i].conf->apply_to_running)
			atomic_store(&o->adopted, true);
	if (!atomic_exchange(&o->nudged, true))
		loop_post(c->host->loop, &o->nudge);
	return 0;
}

static void offers_close(struct plugin_call *c)
{
	struct offers *o = offers_of(c->host);

	if (!o->open)
		return;
	attrs_close(&o->db.attrs);
	db_close(&o->db);
	o->open = false;
}

/* ---- life ---- */
static void stats(struct offers *o, bool on)
{
	const struct {
		struct stat_cell *s;
		const char *name, *help;
	} all[] = {
		{ &o->events, "postern_offers_events_total", "Events taken." },
		{ &o->repeats, "postern_offers_repeats_total", "Events that were taken before." },
		{ &o->conflicts, "postern_offers_conflicts_total",
			"Events refused: their id had other contents before." },
		{ &o->late, "postern_offers_late_answers_total",
			"Events answered with nothing, because the budget was spent." },
		{ &o->failed, "postern_offers_failed_total",
			"Events that could not be worked on, and are kept without effect." },
		{ &o->fired, "postern_offers_steps_total", "Steps of chains whose time came." },
		{ &o->stale, "postern_offers_stale_total",
			"What was due longer ago than max_lateness." },
		{ &o->late_cancels, "postern_offers_late_cancels_total",
			"Cancels that came after their message was sent." },
		{ &o->odd_fields, "postern_offers_odd_fields_total",
			"Fields of events that were passed over: slips of names, values at "
			"fault." },
		{ &o->purged, "postern_offers_purged_total",
			"Rows that were older than keep_events." },
		{ &o->commands, "postern_offers_commands_total",
			"Commands that the platform took." },
		{ &o->commands_failed, "postern_offers_commands_failed_total",
			"Commands for the platform that were given up." },
	};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (on)
			stat_register(all[i].s, STAT_COUNTER, all[i].name, all[i].help, NULL);
		else
			stat_unregister(all[i].s);
}

static void offers_begin(struct plugin_host *h)
{
	struct offers *o = offers_of(h);

	o->begun = true;
	stats(o, true);
	deeds_begin(o);
	timers_begin(o);
}

static void offers_end(struct plugin_host *h)
{
	struct offers *o = offers_of(h);

	o->begun = false;
	timers_end(o);
	deeds_end(o);
	stats(o, false);
}

static void offers_describe(struct plugin_host *h, struct buf *b)
{
	struct offers *o = offers_of(h);

	buf_printf(b,
		"\"events\":%llu,\"repeats\":%llu,\"late\":%llu,\"failed\":%llu,\"fired\":%llu",
		(unsigned long long)stat_get(&o->events), (unsigned long long)stat_get(&o->repeats),
		(unsigned long long)stat_get(&o->late), (unsigned long long)stat_get(&o->failed),
		(unsigned long long)stat_get(&o->fired));
}

static const struct conf_item offers_rows[] = { CONF_END };
static const struct plugin_route offers_routes[] = {
	{ .method = "POST",
		.path = "/v1/events",
		.scope = SCOPE_EVENTS,
		.many = true,
		.intake = true,
		.run = intake_run },
	MEMBER_ROUTES,
	{ 0 },
};

static const struct plugin_verb offers_verbs[] = { MEMBER_VERBS,
	{ "events",
		"events [--type T] [--member ID] [--source S] [--since 2h|TIME] [--limit N] "
		"[--before NUMBER]\n"
		"events ID|SOURCE/ID             one, with what came of it\n",
		events_verb },
	STORY_VERBS, { 0 } };

const struct plugin plugin_offers = {
	.name = "offers",
	.about = "Loyalty events become messages: offers, chains, counters, recurring tasks.",
	.conf = offers_rows,
	.files = rules_rows,
	.size = sizeof(struct offers),
	.load = offers_load,
	.unload = offers_unload,
	.changes = offers_changes,
	.open = offers_open,
	.check = offers_check,
	.adopt = offers_adopt,
	.begin = offers_begin,
	.end = offers_end,
	.close = offers_close,
	.note = offers_note,
	.mo = offers_mo,
	.feedback = offers_feedback,
	.policy = offers_policy,
	.gate = offers_gate,
	.routes = offers_routes,
	.verbs = offers_verbs,
	.describe = offers_describe,
};
