/* Why, and why not. See why.h. */
#include "plugins/offers/why_private.h"
#include "plugins/offers/engine.h"
#include "plugins/offers/printed.h"

#include <stdio.h>

void why_says(
	struct why *t, enum why_verdict v, unsigned depth, const char *what, const char *fmt, ...)
{
	static const char *const mark[] = { "NO ", "yes", "   " };
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	if (v == SAYS_NO && depth == 0 && !t->obstacle[0])
		snprintf(t->obstacle, sizeof t->obstacle, "%s: %.*s", what,
			(int)(b.n > 150 ? 150 : b.n), b.p);
	if (t->json) {
		buf_printf(t->out, "%s{\"what\":", t->lines ? "," : "");
		buf_json(t->out, str_of(what));
		if (v != SAYS_FACT)
			buf_printf(t->out, ",\"holds\":%s", v == SAYS_YES ? "true" : "false");
		if (depth)
			buf_printf(t->out, ",\"depth\":%u", depth);
		buf_c(t->out, ",\"is\":");
		buf_json(t->out, buf_view(&b));
		buf_char(t->out, '}');
	} else {
		buf_printf(t->out, "%s  %*s%-*s %.*s\n", mark[v], (int)depth * 2, "",
			depth ? 1 : 14, what, STR_ARG(buf_view(&b)));
	}
	t->lines++;
	buf_free(&b);
}

const char *why_time(struct why *t, wall_t at)
{
	struct buf b = BUF_INIT;
	struct local l = zone_local(t->m ? t->m->zone : t->w->rules->zone, at);
	const char *s;

	date_put(&b, l.day);
	buf_char(&b, ' ');
	time_of_day_put(&b, l.ns / DUR_S * DUR_S);
	s = arena_cstr(t->w->arena, buf_view(&b));
	buf_free(&b);
	return s;
}

/* ---- what there is ---- */

static void tell_member(struct why *t)
{
	const struct member *m = t->m;

	why_says(t, m->state == MEMBER_LEFT || m->state == MEMBER_BLOCKED ? SAYS_NO : SAYS_YES, 0,
		"member", "%.*s, %s, %s%s, %s", STR_ARG(m->ext.n ? m->ext : STR("(no id)")),
		member_state_word(m->state), zone_name(m->zone), m->zone_known ? "" : " (assumed)",
		m->lang.n ? arena_cstr(t->w->arena, m->lang) : "no language");
}

static void tell_offer(struct why *t)
{
	bool over = offer_over(t->o, t->m->zone, t->w->now);

	why_says(t, over ? SAYS_NO : SAYS_YES, 0, "active", "%s to %s, now %s",
		t->o->conf->active.from[0] ? t->o->conf->active.from : "ever",
		t->o->conf->active.to[0] ? t->o->conf->active.to : "ever", why_time(t, t->w->now));
}

/* The newest event of the member that arms the offer, or is acted on. */
static int tell_event(struct why *t)
{
	wall_t newest = 0;
	int type = -1;

	for (int e = 0; e < EVENT_TYPES; e++) {
		struct sql_stmt *st;
		int rc;

		if (!(t->o->arms & 1ull << e))
			continue;
		st = db_st(t->w->db, ST_WHY_LAST);
		if (!st)
			return work_failed(t->w, "what happened");
		sql_int(st, 1, (int64_t)t->m->id);
		sql_int(st, 2, e);
		sql_int(st, 3,
			t->o->arm_kind[e] && t->o->arm_kind[e][0]
				? (int64_t)event_hash(str_of(t->o->arm_kind[e]))
				: 0);
		rc = sql_step(st);
		if (rc == 1 && sql_col(st, 0) >= newest) {
			newest = sql_col(st, 0);
			t->source.seq = (uint64_t)sql_col(st, 1);
			type = e;
		}
		sql_reset(st);
		if (rc < 0)
			return work_failed(t->w, "what happened");
	}
	if (type < 0) {
		struct buf b = BUF_INIT;

		for (int e = 0; e < EVENT_TYPES; e++)
			if (t->o->arms & 1ull << e)
				buf_printf(&b, "%s%s", b.n ? " or " : "", event_kinds[e].word);
		why_says(t, SAYS_NO, 0, "event", "no %.*s of this member is known",
			STR_ARG(buf_view(&b)));
		buf_free(&b);
	} else {
		t->source.now = newest;
		why_says(t, SAYS_YES, 0, "event", "%s at %s", event_kinds[type].word,
			why_time(t, newest));
	}
	return 0;
}

static void tell_filter(struct why *t, const char *what, const struct filter *f)
{
	struct filter_step *v;
	size_t n;
	bool holds;

	if (!f)
		return;
	holds = filter_explain(f, &t->source.world, t->w->arena, &v, &n);
	why_says(t, holds ? SAYS_YES : SAYS_NO, 0, what, "%.*s", STR_ARG(filter_text(f)));
	for (size_t i = 0; i < n; i++) {
		struct buf b = BUF_INIT;

		value_put(&b, v[i].value);
		why_says(t,
			v[i].value.type != VALUE_BOOL ? SAYS_FACT
			: v[i].value.b                ? SAYS_YES
						      : SAYS_NO,
			v[i].depth + 1, arena_cstr(t->w->arena, v[i].text), "= %.*s",
			STR_ARG(buf_view(&b)));
		buf_free(&b);
	}
}

/* One that is over stands in the way when none came after it. */
static int tell_ended(struct why *t, const struct chain_story *s, const struct chain_run *r)
{
	const struct mark *m = chain_ended_by(t->o, s->marks, s->marks_n, r);
	bool again = r != &s->run[s->runs - 1];
	struct event *e = NULL;
	const char *by;
	int rc = m ? event_load(t->w, m->seq, &e) : 0;

	if (rc < 0)
		return -1;
	by = rc ? arena_printf(t->w->arena, "%s (id %.*s of %.*s)", event_kinds[e->type].word,
			  STR_ARG(e->id), STR_ARG(e->source))
		: "what is no longer kept";
	event_drop(&e);
	for (unsigned i = 0; i < s->runs; i++)
		again |= s->run[i].key == r->key && s->run[i].anchor == r->ended &&
			 s->run[i].run != r->run;
	why_says(t, again ? SAYS_FACT : SAYS_NO, 0, "chain", "begun %s, %s %s by %s",
		why_time(t, r->anchor), !m || m->kind & MARK_DISARMS ? "disarmed" : "armed again",
		why_time(t, r->ended), by);
	return 0;
}

/* An event that would have armed, but whose receipt something else had disarmed before. */
static int tell_unarmed(struct why *t, const struct chain_story *s)
{
	const struct mark *arm = NULL, *by = NULL;
	struct event *e = NULL;
	int rc;

	for (size_t i = 0; i < s->marks_n; i++)
		if (s->marks[i].kind & MARK_ARMS && !(s->marks[i].kind & MARK_STATE))
			arm = &s->marks[i];
	for (size_t i = 0; arm && arm->receipt && i < s->marks_n; i++)
		if (s->marks[i].kind & MARK_DISARMS && !(s->marks[i].kind & MARK_STATE) &&
			s->marks[i].receipt == arm->receipt && s->marks[i].seq != arm->seq &&
			s->marks[i].occurred <= arm->occurred)
			by = &s->marks[i];
	for (unsigned i = 0; by && i < s->runs; i++)
		if (s->run[i].run == arm->seq)
			by = NULL;
	if (!by)
		return 0;
	rc = event_load(t->w, by->seq, &e);
	if (rc < 0)
		return -1;
	why_says(t, SAYS_NO, 0, "chain", "not armed at %s: %s %s was of the same receipt",
		why_time(t, arm->occurred), rc ? event_kinds[e->type].word : "what disarms at",
		why_time(t, by->occurred));
	event_drop(&e);
	return 0;
}

/* What became of those that are over; the newest few. */
static int tell_past_chains(struct why *t, bool *any_r)
{
	struct chain_story *s = arena_alloc(t->w->arena, sizeof *s);
	unsigned from;

	if (chain_tell(t->w, t->o, t->m, s) < 0)
		return -1;
	from = s->runs > 5 ? s->runs - 5 : 0;
	for (unsigned i = from; i < s->runs; i++) {
		if (!s->run[i].ended)
			continue;
		*any_r = true;
		if (tell_ended(t, s, &s->run[i]) < 0)
			return -1;
	}
	return tell_unarmed(t, s);
}

/* Timers that are set. */
static int tell_chains(struct why *t)
{
	struct sql_stmt *st = db_st(t->w->db, ST_WHY_CHAINS);
	unsigned n = 0;
	bool past = false;
	int rc;

	if (!t->o->steps_n)
		return 0;
	if (tell_past_chains(t, &past) < 0 || !st)
		return work_failed(t->w, "timers");
	sql_int(st, 1, (int64_t)t->m->id);
	sql_int(st, 2, t->o->number);
	while ((rc = sql_step(st)) == 1) {
		unsigned step = (unsigned)sql_col(st, 0);
		wall_t anchor = sql_col(st, 1), due = sql_col(st, 2);

		n++;
		if (sql_col_null(st, 2)) {
			why_says(t, SAYS_FACT, 0, "chain", "begun %s, at its end",
				why_time(t, anchor));
			continue;
		}
		why_says(t, SAYS_YES, 0, "chain", "begun %s, step %u of %zu due %s",
			why_time(t, anchor), step + 1, t->o->steps_n, why_time(t, due));
		if (!t->next || due < t->next) {
			t->next = due;
			snprintf(t->what, sizeof t->what, "step %u", step + 1);
		}
	}
	if (rc < 0)
		return work_failed(t->w, "timers");
	if (!n)
		why_says(t, SAYS_NO, 0, "chain", past ? "none is armed any more" : "none is armed");
	return 0;
}

/* ---- what would be ---- */

static int tell_ways(struct why *t, const char *what, struct sending *s, const char *name)
{
	struct prospect v[VIA_MOST];
	enum hold_reason best = HOLD_NO_CONTACT;
	bool any = false;
	unsigned n, depth = 1;

	if (dispatch_look(t->w, s, v, &n) < 0)
		return -1;
	for (unsigned i = 0; i < n; i++) {
		any |= v[i].hold == HOLD_NONE;
		if (best == HOLD_NO_CONTACT && v[i].hold)
			best = v[i].hold;
	}
	if (any)
		why_says(t, SAYS_YES, 0, what, "%s", name);
	else
		why_says(t, SAYS_NO, 0, what, "%s: no way is open: %s", name, hold_text(best));
	for (unsigned i = 0; i < n; i++) {
		const char *medium = v[i].media < MEDIA_COUNT ? media_word(v[i].media) : "inbox";

		if (v[i].hold)
			why_says(t, SAYS_NO, depth, medium, "%s%s%s", hold_text(v[i].hold),
				v[i].words[0] ? ": " : "", v[i].words);
		else
			why_says(t, SAYS_YES, depth, medium, "leaves %s%s%s%s",
				v[i].due > s->due ? "at " : "at once, ", why_time(t, v[i].due),
				v[i].words[0] ? ", " : "", v[i].words);
	}
	return 0;
}

static struct sending sending_of(struct why *t, unsigned step)
{
	return (struct sending){ .member = t->m,
		.object = t->o->number,
		.offer = t->o,
		.run = t->source.seq,
		.step = step,
		.class = t->o->kind,
		.row = t->o->row,
		.source = &t->source.source,
		.due = t->next > t->w->now ? t->next : t->w->now,
		.deliver_now = t->o->conf->deliver_now };
}

static int tell_sends(struct why *t)
{
	char words[160], what[32];
	struct sending s = sending_of(t, 0);
	int rc = dispatch_limits(t->w, &s, words, sizeof words);

	if (rc < 0)
		return -1;
	if (t->o->per_member.most || t->o->per_account.most || t->o->per_store.most ||
		t->o->total.most)
		why_says(t, rc ? SAYS_YES : SAYS_NO, 0, "limits", "%s", rc ? "not reached" : words);
	for (unsigned i = 0; i < t->o->steps_n; i++) {
		const struct step *step = &t->o->steps[i];

		if (!step->template)
			continue;
		snprintf(what, sizeof what, "step %u", i + 1);
		tell_filter(t, what, step->only_if);
		s = sending_of(t, i);
		s.template = step->template;
		s.via = &step->via;
		s.windows = step->windows;
		s.windows_n = step->windows_n;
		if (tell_ways(t, what, &s, template_name(step->template)) < 0)
			return -1;
	}
	for (unsigned i = 0; i < t->o->actions_n; i++) {
		const struct action *a = &t->o->actions[i];

		snprintf(what, sizeof what, "action %u", i + 1);
		tell_filter(t, what, a->only_if);
		if (a->what != DO_SEND || !a->template)
			continue;
		s = sending_of(t, i);
		s.due = t->w->now;
		s.template = a->template;
		s.via = &a->via;
		if (tell_ways(t, what, &s, template_name(a->template)) < 0)
			return -1;
	}
	return 0;
}

static int tell_sent(struct why *t)
{
	struct sql_stmt *st = db_st(t->w->db, ST_WHY_SENT);
	struct row {
		uint32_t template;
		int media, state;
		uint64_t msg;
		wall_t at;
		char reason[160];
	} *v = arena_alloc(t->w->arena, 20 * sizeof *v);
	char name[64];
	unsigned n = 0;
	int rc;

	if (!st)
		return work_failed(t->w, "what was sent");
	sql_int(st, 1, (int64_t)t->m->id);
	sql_int(st, 2, t->o->number);
	while ((rc = sql_step(st)) == 1 && n < 20) {
		v[n] = (struct row){ (uint32_t)sql_col(st, 0), (int)sql_col(st, 1),
			(int)sql_col(st, 2), (uint64_t)sql_col(st, 3), sql_col(st, 4), "" };
		str_copy(v[n++].reason, sizeof v->reason, sql_col_str(st, 5));
	}
	sql_reset(st);
	if (rc < 0)
		return work_failed(t->w, "what was sent");
	if (!n)
		why_says(t, SAYS_FACT, 0, "sent", "nothing yet");
	for (unsigned i = 0; i < n; i++) {
		name[0] = '\0';
		name_of(t->w->db, NAME_TEMPLATE, v[i].template, name, sizeof name);
		why_says(t, SAYS_FACT, 0, "sent", "%s %s by %s: %s%s%s%s", why_time(t, v[i].at),
			name[0] ? name : "a text",
			v[i].media >= 0 && v[i].media < MEDIA_COUNT
				? media_word((enum media)v[i].media)
				: "inbox",
			printed_word(v[i].media, (int64_t)v[i].msg, v[i].state)
				? printed_word(v[i].media, (int64_t)v[i].msg, v[i].state)
				: state_word((enum state)v[i].state),
			v[i].reason[0] ? ", " : "", v[i].reason,
			v[i].msg ? arena_printf(t->w->arena, " (message %lu)", v[i].msg) : "");
	}
	return 0;
}

void why_outcome(struct why *t)
{
	const char *next = t->next ? arena_printf(t->w->arena, "%s is looked at again %s", t->what,
					     why_time(t, t->next))
				   : "";

	if (t->json) {
		buf_c(t->out, "],\"obstacle\":");
		if (t->obstacle[0])
			buf_json(t->out, str_of(t->obstacle));
		else
			buf_c(t->out, "null");
		buf_c(t->out, ",\"next_due\":");
		if (t->next) {
			buf_char(t->out, '"');
			clock_put_rfc3339(t->out, t->next);
			buf_char(t->out, '"');
		} else {
			buf_c(t->out, "null");
		}
		buf_c(t->out, "}");
		return;
	}
	if (t->obstacle[0])
		buf_printf(t->out, "\nWhat stands in the way: %s\n", t->obstacle);
	else
		buf_printf(t->out, "\nNothing stands in the way.\n");
	if (next[0])
		buf_printf(t->out, "What comes next: %s\n", next);
}

static int tell_all(struct why *t, bool why_not)
{
	if (!why_not && tell_sent(t) < 0)
		return -1;
	tell_member(t);
	tell_offer(t);
	if (tell_event(t) < 0)
		return -1;
	tell_filter(t, "only_if", t->o->only_if);
	if (tell_chains(t) < 0 || tell_sends(t) < 0 || (why_not && tell_sent(t) < 0))
		return -1;
	why_outcome(t);
	return 0;
}

static int none(struct buf *out, bool json, const char *what, struct str name, struct str near)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "there is no %s \"%.*s\"%.*s", what, STR_ARG(name), STR_ARG(near));
	if (json) {
		buf_c(out, "{\"error\":");
		buf_json(out, buf_view(&b));
		buf_char(out, '}');
	} else {
		buf_printf(out, "%.*s\n", STR_ARG(buf_view(&b)));
	}
	buf_free(&b);
	return 1;
}

static int no_offer(struct work *w, struct buf *out, bool json, struct str name)
{
	struct buf near = BUF_INIT;

	rules_near_put(w->rules, RULES_OFFERS, name, &near);
	none(out, json, "offer", name, buf_view(&near));
	buf_free(&near);
	return 1;
}

int why_pair(struct why *t, bool why_not)
{
	int rc;

	source_init(&t->source, t->w, t->m, NULL, t->o);
	rc = tell_all(t, why_not);
	source_done(&t->source);
	return rc;
}

int why_tell(struct work *w, struct str member, struct str offer, bool why_not, bool json,
	struct buf *out)
{
	struct why t = { .w = w, .json = json, .out = out };
	int rc;

	t.o = rules_offer(w->rules, offer);
	if (!t.o)
		return no_offer(w, out, json, offer);
	rc = member_find(w, ALIAS_MEMBER, member, &t.m);
	for (int k = ALIAS_CARD; k < ALIAS_KINDS && rc == 0; k++)
		rc = member_find(w, (enum alias_kind)k, member, &t.m);
	if (rc < 1)
		return rc < 0 ? -1 : none(out, json, "member", member, STR_NONE);
	if (json) {
		buf_c(out, "{\"member\":");
		buf_json(out, member);
		buf_c(out, ",\"offer\":");
		buf_json(out, offer);
		buf_c(out, ",\"looked_at\":[");
	}
	return why_pair(&t, why_not);
}
