/* Timers: steps whose time has come become messages, or a reason why not. */
#include "plugins/offers/chain.h"
#include "plugins/offers/dispatch.h"
#include "plugins/offers/engine.h"
#include "plugins/offers/pin.h"
#include "plugins/offers/source.h"

struct firing {
	int64_t id;
	uint64_t member;
	uint32_t offer;
	unsigned step;
	wall_t due;
	uint64_t version, pin;
	struct chain_run run;
	/* The offer as it is, and as the chain knows it: its steps. Of one that was taken away both
	 * are what the chain knows. */
	const struct offer *o, *own;
	bool gone;
};

static int fired_add(struct work *w, const struct firing *f)
{
	struct sql_stmt *st = db_st(w->db, ST_FIRED_ADD);

	if (!st)
		return work_failed(w, "a step");
	sql_int(st, 1, (int64_t)f->member);
	sql_int(st, 2, f->offer);
	sql_int(st, 3, (int64_t)f->run.key);
	sql_int(st, 4, (int64_t)f->run.run);
	sql_int(st, 5, f->step);
	sql_int(st, 6, w->now);
	return sql_run(st) < 0 ? work_failed(w, "a step") : 0;
}

static int chain_gone(struct work *w, const struct firing *f)
{
	struct sql_stmt *st = db_st(w->db, ST_CHAIN_DEL);

	if (!st)
		return work_failed(w, "a chain");
	sql_int(st, 1, f->id);
	return sql_run(st) < 0 ? work_failed(w, "a chain") : 0;
}

/* next 0: it was the last. */
static int chain_stepped(struct work *w, const struct firing *f, unsigned step, wall_t due)
{
	struct sql_stmt *st = db_st(w->db, ST_CHAIN_STEP);

	if (!st)
		return work_failed(w, "a chain");
	sql_int(st, 1, step);
	if (due)
		sql_int(st, 2, due);
	else
		sql_null(st, 2);
	sql_int(st, 3, f->id);
	work_timer(w, due);
	return sql_run(st) < 0 ? work_failed(w, "a chain") : 0;
}

/* What became of the step before lets this one go: 1, 0, -1. */
static int next_goes(struct work *w, const struct firing *f)
{
	const struct offer *o = f->o;
	struct sql_stmt *st;
	bool sent, done;
	int rc;

	if (o->conf->next_if == NEXT_ALWAYS || f->step == f->run.first_step)
		return 1;
	st = db_st(w->db, ST_SENT_STEP);
	if (!st)
		return work_failed(w, "the step before");
	sql_int(st, 1, (int64_t)f->member);
	sql_int(st, 2, 0);
	sql_int(st, 3, f->offer);
	sql_int(st, 4, (int64_t)f->run.run);
	sql_int(st, 5, f->step - 1);
	rc = sql_step(st);
	if (rc < 0)
		return work_failed(w, "the step before");
	done = rc == 1 && (sql_col(st, 0) == STATE_DELIVERED || sql_col(st, 0) == STATE_READ);
	/* a message was made and not taken back: whether a receipt came, or which, does not matter
	 */
	sent = done || (rc == 1 && sql_col(st, 2) && sql_col(st, 0) != STATE_CANCELLED &&
			       sql_col(st, 0) != STATE_SUPPRESSED);
	sql_reset(st);
	return o->conf->next_if == NEXT_SENT ? sent : done;
}

bool offer_over(const struct offer *o, const struct zone *z, wall_t at)
{
	struct local l;

	if (!o->by_member)
		return (o->from && at < o->from) || (o->to && at >= o->to);
	if (!o->from && !o->to)
		return false;
	l = zone_local(z, at);
	if (o->from && (l.day < o->from_local.day ||
			       (l.day == o->from_local.day && l.ns < o->from_local.ns)))
		return true;
	return o->to &&
	       (l.day > o->to_local.day || (l.day == o->to_local.day && l.ns >= o->to_local.ns));
}

bool offer_too_late(const struct work *w, const struct offer *o, const struct zone *z, wall_t due)
{
	return !span_is_zero(o->max_lateness) && w->now > zone_add(z, due, o->max_lateness);
}

static int step_hold(
	struct work *w, const struct firing *f, struct offers_source *s, enum hold_reason *why_r)
{
	const struct offer *o = f->o;
	int goes = next_goes(w, f);

	*why_r = HOLD_NONE;
	if (goes < 0)
		return -1;
	if (offer_too_late(w, o, s->m->zone, f->due)) {
		w->stale++;
		*why_r = HOLD_STALE;
	} else if (!o->conf->finish_running && (f->gone || offer_over(o, s->m->zone, f->due))) {
		*why_r = HOLD_OFFER_OVER;
	} else if (!goes) {
		*why_r = HOLD_NEXT_IF;
	} else if (!source_holds(s, f->own->steps[f->step].only_if)) {
		*why_r = HOLD_FILTER;
	}
	return 0;
}

/* The text as it was when the chain began, where it keeps that: *words_r says why there is none. */
static int step_template(
	struct work *w, const struct firing *f, const struct template **t_r, const char **words_r)
{
	const struct template *t;
	const char *words;
	int rc;

	if (!f->pin || f->pin == f->own->pin || !*t_r)
		return 0;
	rc = pin_template(w, f->pin, f->step, &t, &words);
	if (rc == 1) {
		*t_r = t;
		*words_r = words;
	}
	return rc < 0 ? -1 : 0;
}

static int step_fire(
	struct work *w, struct member *m, const struct firing *f, enum hold_reason *why_r)
{
	const struct offer *o = f->o;
	const struct step *step = &f->own->steps[f->step];
	const char *words = "";
	struct offers_source source;
	struct sent sent;
	struct sending s = { .member = m,
		.object = o->number,
		.offer = o,
		.run = f->run.run,
		.key = f->run.key,
		.step = f->step,
		.class = o->kind,
		.row = o->row,
		.template = step->template,
		.via = &step->via,
		.due = f->due,
		.windows = step->windows,
		.windows_n = step->windows_n,
		.deliver_now = o->conf->deliver_now };
	int rc;

	source_init(&source, w, m, NULL, o);
	source.seq = f->run.run;
	s.source = &source.source;
	rc = step_hold(w, f, &source, why_r);
	if (rc == 0 && !*why_r)
		rc = step_template(w, f, &s.template, &words);
	if (rc == 0 && step->template && !s.template)
		*why_r = HOLD_MISSING;
	if (rc == 0 && *why_r)
		rc = dispatch_hold(w, &s, *why_r, words, &sent);
	else if (rc == 0 && step->template)
		rc = dispatch(w, &s, &sent);
	if (rc == 0 && !*why_r && step->conf->status && step->conf->status[0])
		rc = engine_status(w, m, o, step->conf->status_system, step->conf->status,
			f->run.run ^ (uint64_t)f->step << 56, f->due);
	source_done(&source);
	return rc;
}

static int firing_offer(struct work *w, struct firing *f)
{
	f->o = rules_offer_number(w->rules, f->offer);
	f->gone = !f->o;
	f->own = f->o;
	if (f->o && f->o->version == f->version)
		return 0;
	if (pin_offer(w, f->offer, f->version, &f->own) < 0)
		return -1;
	if (!f->own)
		f->own = f->o;
	if (!f->o)
		f->o = f->own;
	return 0;
}

static int fire_one(struct work *w, struct firing *f)
{
	enum hold_reason why;
	struct member *m;
	unsigned next = f->step + 1;
	int rc;

	if (firing_offer(w, f) < 0)
		return -1;
	if (!f->own)
		return chain_gone(w, f); /* nothing is known of the offer any more */
	if (f->step >= f->own->steps_n)
		return chain_stepped(w, f, f->step, 0); /* it has fewer steps than before */
	rc = member_load(w, f->member, &m);
	if (rc < 0)
		return -1;
	if (rc == 0 || m->state == MEMBER_LEFT)
		return chain_gone(w, f);
	chain_dues(f->own, m->zone, &f->run);
	if (f->version != f->own->version && f->run.due[f->step] > w->now)
		return chain_stepped(w, f, f->step, f->run.due[f->step]); /* later than before */
	if (fired_add(w, f) < 0 || step_fire(w, m, f, &why) < 0)
		return -1;
	if (why == HOLD_NEXT_IF || (why == HOLD_OFFER_OVER))
		next = (unsigned)f->own->steps_n;
	if (next >= f->own->steps_n)
		return chain_stepped(w, f, next, 0);
	return chain_stepped(w, f, next, f->run.due[next]);
}

int chain_fire(struct work *w, unsigned most, mono_t until, unsigned *fired_r, bool *left_r)
{
	struct firing *v = arena_alloc(w->arena, (most ? most : 1) * sizeof *v);
	struct sql_stmt *st = db_st(w->db, ST_CHAIN_DUE);
	unsigned n = 0;
	int rc;

	*fired_r = 0;
	*left_r = false;
	if (!st)
		return work_failed(w, "timers");
	sql_int(st, 1, w->now);
	sql_int(st, 2, most);
	while ((rc = sql_step(st)) == 1)
		v[n++] = (struct firing){ .id = sql_col(st, 0),
			.offer = (uint32_t)sql_col(st, 1),
			.step = (unsigned)sql_col(st, 6),
			.due = sql_col(st, 7),
			.version = (uint64_t)sql_col(st, 9),
			.member = (uint64_t)sql_col(st, 10),
			.pin = (uint64_t)sql_col(st, 11),
			.run = { .key = (uint64_t)sql_col(st, 2),
				.run = (uint64_t)sql_col(st, 3),
				.anchor = sql_col(st, 4),
				.first_step = (unsigned)sql_col(st, 5),
				.restarts = (unsigned)sql_col(st, 8) } };
	if (rc < 0)
		return work_failed(w, "timers");
	*left_r = n == most;
	for (unsigned i = 0; i < n; i++) {
		if (i && until && clock_mono() >= until) {
			*left_r = true;
			break;
		}
		w->members = NULL; /* hardly one twice, and looking would cost more */
		w->firing = v[i].id;
		if (fire_one(w, &v[i]) < 0)
			return -1;
		++*fired_r;
	}
	w->firing = 0;
	return 0;
}

int chain_put_off(struct work *w, int64_t id, wall_t due)
{
	struct sql_stmt *st = db_st(w->db, ST_CHAIN_LATER);

	if (!st)
		return work_failed(w, "a chain");
	sql_int(st, 1, due);
	sql_int(st, 2, id);
	return sql_run(st) < 0 ? work_failed(w, "a chain") : 0;
}

int chain_next_due(struct work *w, wall_t *due_r)
{
	struct sql_stmt *st = db_st(w->db, ST_CHAIN_NEXT);

	if (!st || sql_step(st) != 1)
		return work_failed(w, "timers");
	*due_r = sql_col_null(st, 0) ? 0 : sql_col(st, 0);
	sql_reset(st);
	return 0;
}
