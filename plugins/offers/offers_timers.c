/* What happens because time passes: chains' steps, recurring tasks, points that become spendable or
 * expire, what goes with who left; and, in between, what was left raw by a crash and what is too
 * old to be kept.
 *
 * One timer on the loop stands for the earliest of them; a million armed chains cost a row each.
 * Work is done in slices of a few milliseconds, as bulk, so that tills pass it.
 */
#include "gateway/base/log.h"
#include "plugins/offers/leaving.h"
#include "plugins/offers/lot.h"
#include "plugins/offers/offers.h"
#include "plugins/offers/tidy.h"
#include "plugins/offers/task.h"

/* What fails stops nothing else: a chain is put off, a member's recurring work is gone past,
 * whatever else it is left alone for a while.
 */
enum { SLICE_MOST = 256 };
#define PUT_OFF    DUR_HOUR
#define SLICE      (8 * DUR_MS) /* each costs a commit */
#define RAW_FIRST  (2 * DUR_S)
#define LOOK_EVERY (30 * DUR_S) /* zones, clocks and configurations change */
#define TIDY_EVERY (10 * DUR_MIN)
#define PASS_EVERY (6 * DUR_HOUR) /* through all tables */

/* ---- firing ---- */
struct slice {
	struct unit u; /* first */
	struct offers *o;
	unsigned fired, sent;
	enum fire_stage stage; /* at work, or at which it failed */
	bool skip[FIRE_STAGES];
	bool left;
	int64_t chain; /* to be put off */
	struct stuck stuck;
	wall_t next;
};

static void earlier(wall_t *t, wall_t other)
{
	if (other && (!*t || other < *t))
		*t = other;
}

/* writer */
static int slice_run(struct plugin_call *c)
{
	struct slice *s = (struct slice *)c;
	struct work *w = unit_begin(&s->u, c);
	mono_t until = clock_mono() + SLICE;
	bool left = false;
	wall_t due = 0;
	int rc = 0;

	w->stuck = &s->stuck;
	s->next = 0;
	s->fired = s->sent = 0;
	s->stage = FIRE_CHAINS;
	if (!s->skip[FIRE_CHAINS]) {
		rc = chain_fire(w, SLICE_MOST, until, &s->fired, &left);
		if (rc == 0 && !left && (rc = chain_next_due(w, &due)) == 0)
			earlier(&s->next, due);
	}
	if (rc == 0 && !left && !s->skip[FIRE_TASKS]) {
		s->stage = FIRE_TASKS;
		rc = task_runs(w, SLICE_MOST, until, &s->sent, &left);
		if (rc == 0 && !left && (rc = task_next_due(w, &due)) == 0)
			earlier(&s->next, due);
	}
	if (rc == 0 && !left && !s->skip[FIRE_POINTS]) {
		s->stage = FIRE_POINTS;
		rc = ledger_sweep(w, SLICE_MOST, until, &left);
	}
	if (rc == 0 && !left && !s->skip[FIRE_LEAVING]) {
		s->stage = FIRE_LEAVING;
		rc = leaving_sweep(w, SLICE_MOST, until, &left);
		if (rc == 0 && !left && (rc = leaving_next_due(w, &due)) == 0)
			earlier(&s->next, due);
	}
	s->left = left;
	return unit_end(&s->u, rc);
}

/* writer */
static int put_off_run(struct plugin_call *c)
{
	struct slice *s = (struct slice *)c;
	struct work *w = unit_begin(&s->u, c);

	return unit_end(&s->u, chain_put_off(w, s->chain, w->now + PUT_OFF));
}

static void slice_done(struct plugin_call *c);

static void slice_post(struct slice *s, int (*run)(struct plugin_call *))
{
	struct offers *o = s->o;
	mono_t now = loop_now(o->h->loop);

	for (unsigned i = 0; i < FIRE_STAGES; i++)
		s->skip[i] = o->fails[i] > now;
	s->stuck = o->stuck;
	unit_free(&s->u);
	s->u.call.run = run;
	plugin_call(o->h, &s->u.call);
}

/* What failed is kept from what has not. */
static void slice_failed(struct slice *s)
{
	static const char *const what[] = { "chains", "recurring tasks", "points",
		"erasing who left" };
	struct offers *o = s->o;

	s->fired = 0;
	if (s->u.hand.member && stuck_add(&o->stuck, &s->u.hand, s->u.now)) {
		log_error("recurring task failed", F_STR("task", s->u.hand_name),
			F_ID("member", s->u.hand.member), F_STR("why", s->u.why),
			F_DUR("again_in", STUCK_FOR));
		slice_post(s, slice_run);
		return;
	}
	s->chain = s->u.call.run == put_off_run ? 0 : s->u.firing;
	log_error("timers failed", F_STR("of", what[s->stage]), F_ID("chain", (uint64_t)s->chain),
		F_STR("why", s->u.why), F_DUR("again_in", s->chain ? PUT_OFF : LOOK_EVERY));
	if (!s->chain)
		o->fails[s->stage] = loop_now(o->h->loop) + LOOK_EVERY;
	slice_post(s, s->chain ? put_off_run : slice_run);
}

static void slice_done(struct plugin_call *c)
{
	struct slice *s = (struct slice *)c;
	struct offers *o = s->o;

	if (plugin_failed(c) && c->result < 0 && o->begun) {
		slice_failed(s);
		return;
	}
	if (!plugin_failed(c) && c->run == put_off_run && o->begun) {
		slice_post(s, slice_run);
		return;
	}
	o->firing = false;
	if (plugin_failed(c)) {
		if (o->begun)
			timer_in(o->h->loop, &o->fire, DUR_S);
	} else {
		stat_add(&o->fired, s->fired);
		unit_settled(o, &s->u);
		if (s->left && o->begun) {
			o->firing = true;
			slice_post(s, slice_run);
			return;
		}
		timers_due(o, s->next ? s->next : s->u.now + LOOK_EVERY, s->u.now);
	}
	unit_free(&s->u);
	mem_free(&s);
}

static void fire(struct timer *t)
{
	struct offers *o = CONTAINER(t, struct offers, fire);
	struct slice *s;

	if (o->firing || !o->begun)
		return;
	o->firing = true;
	s = mem_new(struct slice);
	s->o = o;
	s->u.call.done = slice_done;
	s->u.call.bulk = true;
	s->u.call.what = "timers";
	slice_post(s, slice_run);
}

void timers_due(struct offers *o, wall_t due, wall_t now)
{
	dur_t in = due > now ? due - now : 0;
	mono_t at = loop_now(o->h->loop) + (in < LOOK_EVERY ? in : LOOK_EVERY);

	if (o->begun && !o->firing && (!timer_is_set(&o->fire) || o->fire.at > at))
		timer_set(o->h->loop, &o->fire, at);
}

/* ---- what a crash, or a store that dropped its call, left raw ---- */
struct rest {
	struct unit u; /* first */
	struct offers *o;
	uint64_t last, seq; /* up to which; the one at work, 0: none is left */
	bool known;         /* last is */
};

/* writer */
static int rest_run(struct plugin_call *c)
{
	struct rest *r = (struct rest *)c;
	struct work *w = unit_begin(&r->u, c);
	struct reply reply = { 0 };
	struct event *e = NULL;
	uint64_t seq = 0;
	int rc = 0;

	if (!r->known) {
		r->o->resting = true; /* who takes one of these now looks first */
		rc = intake_last(w, &r->last);
	}
	r->known = true;
	if (rc == 0)
		rc = intake_raw(w, r->seq, r->last, &seq, 1);
	r->seq = rc == 1 ? seq : 0;
	if (rc == 0)
		r->o->resting = false;
	if (rc == 1)
		rc = event_load(w, seq, &e);
	if (rc == 1)
		rc = engine_event(w, e, &reply);
	else if (rc == 0 && seq)
		rc = intake_spoilt(w, seq, STR("its text is damaged"));
	reply_free(&reply);
	event_drop(&e);
	return unit_end(&r->u, rc);
}

/* writer */
static int rest_spoilt(struct plugin_call *c)
{
	struct rest *r = (struct rest *)c;

	return unit_end(&r->u, intake_spoilt(unit_begin(&r->u, c), r->seq, str_of(r->u.why)));
}

static void rest_done(struct plugin_call *c)
{
	struct rest *r = (struct rest *)c;

	if (!plugin_failed(c)) {
		unit_settled(r->o, &r->u);
		if (r->u.cancels_n)
			deeds_soon(r->o, 15 * DUR_S);
		c->run = rest_run;
	} else if (c->run == rest_run && c->result < 0 && r->seq) {
		log_error("an event could not be worked on", F_ID("event", r->seq),
			F_STR("why", r->u.why));
		stat_inc(&r->o->failed);
		c->run = rest_spoilt;
	} else if (c->run == rest_spoilt && c->result < 0) {
		timers_raw(r->o);
		c->run = rest_run; /* those behind it */
	} else {
		r->seq = 0;
		timers_raw(r->o);
	}
	unit_free(&r->u);
	if (r->seq && r->o->begun) {
		plugin_call(r->o->h, c);
	} else {
		r->o->raw_at_work = false;
		if (!timer_is_set(&r->o->raw))
			r->o->raw_in = 0;
		mem_free(&r);
	}
}

static void rest_begin(struct timer *timer)
{
	struct offers *o = CONTAINER(timer, struct offers, raw);
	struct rest *r;

	if (!o->begun)
		return;
	if (o->raw_at_work) {
		timers_raw(o);
		return;
	}
	o->raw_at_work = true;
	r = mem_new(struct rest);
	r->o = o;
	r->u.call.run = rest_run;
	r->u.call.done = rest_done;
	r->u.call.bulk = true;
	r->u.call.what = "raw";
	plugin_call(o->h, &r->u.call);
}

void timers_raw(struct offers *o)
{
	if (!o->begun || timer_is_set(&o->raw))
		return;
	o->raw_in = !o->raw_in ? RAW_FIRST : 2 * o->raw_in < DUR_MIN ? 2 * o->raw_in : DUR_MIN;
	timer_in(o->h->loop, &o->raw, o->raw_in);
}

/* ---- what is old ---- */
struct tidying {
	struct unit u; /* first */
	struct offers *o;
	bool left;
	bool pass;             /* through all tables, not only events */
	struct tidy now, next; /* how far it has come: committed, and when this slice is */
};

/* writer */
static int tidy_run(struct plugin_call *c)
{
	struct tidying *t = (struct tidying *)c;

	struct work *w = unit_begin(&t->u, c);
	int rc = intake_purge(w, 500, &t->left);

	t->next = t->now;
	if (rc == 0 && !t->left && t->pass)
		rc = tidy_slice(w, &t->next, 500, &t->left);
	return unit_end(&t->u, rc);
}

static void tidy_done(struct plugin_call *c)
{
	struct tidying *t = (struct tidying *)c;
	struct offers *o = t->o;

	if (!plugin_failed(c)) {
		t->now = t->next;
		unit_settled(o, &t->u);
	} else if (c->result < 0) {
		log_error("what is old could not be removed", F_STR("why", t->u.why),
			F_DUR("again_in", TIDY_EVERY));
	}
	unit_free(&t->u);
	if (t->left && !plugin_failed(c) && o->begun) {
		plugin_call(o->h, c);
		return;
	}
	o->tidying = false;
	if (t->pass && !plugin_failed(c))
		o->passed = loop_now(o->h->loop);
	stat_add(&o->purged, t->now.removed);
	if (o->begun)
		timer_in(o->h->loop, &o->tidy, o->pass_again ? 0 : TIDY_EVERY);
	mem_free(&t);
}

static void tidy(struct timer *timer)
{
	struct offers *o = CONTAINER(timer, struct offers, tidy);
	struct tidying *t;

	if (o->tidying || !o->begun)
		return;
	o->tidying = true;
	t = mem_new(struct tidying);
	t->o = o;
	t->pass = o->pass_again || !o->passed || loop_now(o->h->loop) - o->passed >= PASS_EVERY;
	o->pass_again = false;
	t->u.call.run = tidy_run;
	t->u.call.done = tidy_done;
	t->u.call.bulk = true;
	t->u.call.what = "tidy";
	plugin_call(o->h, &t->u.call);
}

void timers_adopted(struct offers *o)
{
	o->pass_again = true;
	if (!o->tidying)
		timer_in(o->h->loop, &o->tidy, 0);
}

void timers_begin(struct offers *o)
{
	o->fire.fire = fire;
	o->tidy.fire = tidy;
	timer_in(o->h->loop, &o->fire, 0);
	timer_in(o->h->loop, &o->tidy, TIDY_EVERY);
	o->raw.fire = rest_begin;
	rest_begin(&o->raw);
}

void timers_end(struct offers *o)
{
	timer_cancel(o->h->loop, &o->fire);
	timer_cancel(o->h->loop, &o->tidy);
	timer_cancel(o->h->loop, &o->raw);
}
