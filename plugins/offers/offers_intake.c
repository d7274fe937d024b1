/* POST /v1/events: an event is read on the HTTP thread, kept by one call, worked on by the next,
 * and answered after that one's commit.
 *
 * A till is answered within intake.reply_budget whatever happens: 503 while the event is not on
 * disk, else 200 with empty lists, and whoever repeats the event is then told the same. done() and
 * late() run on the loop, one after the other, so who answers first is never in doubt.
 */
#include "gateway/base/log.h"
#include "plugins/offers/offers.h"
#include "plugins/offers/printed.h"

#include <stdio.h>

#define OTHERS_BUDGET (10 * DUR_S) /* of events that no till waits for */
#define LOOK_AGAIN    (20 * DUR_MS)
#define MARGIN        (30 * DUR_MS)

enum stage { KEEPING, WORKING, LOOKING, OVER };
struct taking {
	struct unit u; /* first */
	struct offers *o;
	struct plugin_request *req;
	struct event *e;
	bool till, answered;
	bool kept_down; /* it is on disk */
	enum stage stage;
	struct intake in;
	struct buf kept; /* the answer's kept part */
	struct reply reply;
	struct timer again;
	bool late;   /* the till has been given empty lists */
	bool worked; /* work_run() has run once, committed or not */
};

static void taking_free(struct taking *t)
{
	plugin_request_release(&t->req);
	event_drop(&t->e);
	reply_free(&t->reply);
	buf_free(&t->kept);
	unit_free(&t->u);
	mem_free(&t);
}

static void post(
	struct taking *t, int (*run)(struct plugin_call *), void (*done)(struct plugin_call *))
{
	unit_free(&t->u);
	t->u.call.run = run;
	t->u.call.done = done;
	plugin_call(t->o->h, &t->u.call);
}

static void answer(struct taking *t, struct str kept, bool duplicate)
{
	struct buf b = BUF_INIT;

	if (t->answered)
		return;
	t->answered = true;
	reply_answer(&b, t->e->id, duplicate, t->till, kept);
	plugin_answer(t->req, t->till ? 200 : 202, &b);
	buf_free(&b);
}

static void refuse(struct taking *t, unsigned status, const char *title, const char *detail)
{
	if (!t->answered)
		plugin_problem(t->req, status, title, detail, NULL);
	t->answered = true;
}

/* ---- the till was told that nothing was done; so is whoever asks again ---- */
struct lateness {
	struct unit u; /* first */
	uint64_t seq;
};

/* writer */
static int late_run(struct plugin_call *c)
{
	struct lateness *l = (struct lateness *)c;
	struct work *w = unit_begin(&l->u, c);
	const struct reply none = { .till = true };
	struct buf b = BUF_INIT;
	int rc;

	reply_put(&none, &b);
	rc = intake_answered(w, l->seq, buf_view(&b));
	if (rc == 0)
		rc = printed_unheard(w, l->seq);
	buf_free(&b);
	return unit_end(&l->u, rc);
}

static void late_done(struct plugin_call *c)
{
	struct lateness *l = (struct lateness *)c;

	unit_free(&l->u);
	mem_free(&l);
}

static void late_note(struct taking *t, uint64_t seq)
{
	struct lateness *l = mem_new(struct lateness);

	l->seq = seq;
	l->u.call.run = late_run;
	l->u.call.done = late_done;
	l->u.call.what = "late";
	plugin_call(t->o->h, &l->u.call);
}

/* loop */
static void late(struct plugin_request *r)
{
	struct taking *t = r->state;

	if (t->answered)
		return;
	stat_inc(&t->o->late);
	if (!t->kept_down) {
		refuse(t, 503, "The store does not answer",
			"The event is not known to be on disk: send it again as it is; it is taken "
			"once.");
		return;
	}
	answer(t, STR_NONE, t->in.duplicate);
	if (t->till) {
		t->late = true;
		late_note(t, t->in.seq);
	}
}

/* ---- work ---- */
/* writer */
static int work_run(struct plugin_call *c)
{
	struct taking *t = (struct taking *)c;
	struct work *w = unit_begin(&t->u, c);
	struct intake in;
	int rc = 0;

	reply_free(&t->reply);
	buf_reset(&t->kept);
	/* a start may have been faster; and a commit that seemed to fail may have been whole */
	if (t->worked || t->o->resting) {
		rc = intake_state(w, t->in.seq, &in);
		if (rc == 0 && in.done) {
			buf_str(&t->kept, in.kept);
			return unit_end(&t->u, 0);
		}
	}
	t->worked = true;
	if (rc == 0)
		rc = engine_event(w, t->e, &t->reply);
	if (rc == 0)
		reply_put(&t->reply, &t->kept);
	return unit_end(&t->u, rc);
}

/* writer */
static int spoilt_run(struct plugin_call *c)
{
	struct taking *t = (struct taking *)c;

	return unit_end(&t->u, intake_spoilt(unit_begin(&t->u, c), t->in.seq, str_of(t->u.why)));
}

/* writer: the number of what was removed is another than was asked for */
static int correct_run(struct plugin_call *c)
{
	struct taking *t = (struct taking *)c;

	return unit_end(
		&t->u, intake_answered(unit_begin(&t->u, c), t->in.seq, buf_view(&t->kept)));
}

static void over(struct plugin_call *c)
{
	struct taking *t = (struct taking *)c;

	if (plugin_failed(c) && (c->run == work_run || c->run == spoilt_run))
		timers_raw(t->o); /* it is on disk, and nothing came of it yet */
	answer(t, buf_view(&t->kept), t->in.duplicate);
	taking_free(t);
}

static void cancelled(void *arg, unsigned n)
{
	struct taking *t = arg;

	if (n < t->reply.removed && !t->late) {
		t->reply.removed = n;
		buf_reset(&t->kept);
		reply_put(&t->reply, &t->kept);
		post(t, correct_run, over);
		return;
	}
	over(&t->u.call);
}

/* loop */
static void work_done(struct plugin_call *c)
{
	struct taking *t = (struct taking *)c;

	if (plugin_failed(c)) {
		buf_reset(&t->kept);
		if (c->result < 0) {
			log_error("an event could not be worked on", F_ID("event", t->in.seq),
				F_STR("why", t->u.why));
			stat_inc(&t->o->failed);
			post(t, spoilt_run, over);
			return;
		}
		over(c);
		return;
	}
	unit_settled(t->o, &t->u);
	if (t->late) /* the work replaced nothing, but may have come before the note of it */
		late_note(t, t->in.seq);
	if (t->u.cancels_n)
		deeds_cancel(t->o, t->u.cancels, t->u.cancels_n, cancelled, t);
	else
		over(c);
}

/* ---- keeping ---- */
/* writer: what became of the event that this one repeats? */
static int look_run(struct plugin_call *c)
{
	struct taking *t = (struct taking *)c;
	struct work *w = unit_begin(&t->u, c);
	struct intake in;
	int rc = intake_state(w, t->in.seq, &in);

	t->in.done = in.done;
	buf_reset(&t->kept);
	if (rc == 0)
		buf_str(&t->kept, in.kept);
	return unit_end(&t->u, rc);
}

static void look_done(struct plugin_call *c);

static void look_again(struct timer *timer)
{
	struct taking *t = CONTAINER(timer, struct taking, again);

	post(t, look_run, look_done);
}

static void look_done(struct plugin_call *c)
{
	struct taking *t = (struct taking *)c;

	if (t->answered || t->in.done || t->kept.n || plugin_failed(c) || !t->o->begun)
		over(c); /* of a failed look the till hears empty lists */
	else
		timer_in(t->o->h->loop, &t->again, LOOK_AGAIN);
}

/* writer */
static int keep_run(struct plugin_call *c)
{
	struct taking *t = (struct taking *)c;
	struct work *w = unit_begin(&t->u, c);
	int rc = intake_keep(w, t->e, &t->in);

	buf_reset(&t->kept);
	if (rc == 0)
		buf_str(&t->kept, t->in.kept);
	t->in.kept = STR_NONE;
	return unit_end(&t->u, rc);
}

/* loop */
static void keep_done(struct plugin_call *c)
{
	struct taking *t = (struct taking *)c;

	if (plugin_failed(c)) {
		refuse(t, 503, "The store does not take events", "Send it again later.");
		taking_free(t);
		return;
	}
	t->kept_down = true;
	if (t->in.conflict) {
		stat_inc(&t->o->conflicts);
		refuse(t, 409, "Another event has this id",
			"An event of this source and id, but with other contents, was taken "
			"before.");
		taking_free(t);
		return;
	}
	if (t->in.duplicate) {
		stat_inc(&t->o->repeats);
		look_done(c);
		return;
	}
	stat_inc(&t->o->events);
	t->u.call.refusable = false;
	t->u.call.what = "event";
	post(t, work_run, work_done);
}

/* ---- HTTP ---- */
/* So many events a second; a second is the clock's. */
static bool over_rate(struct offers *o, double rate)
{
	uint64_t now = (uint64_t)(clock_mono() / DUR_S) & 0xffffffffff, was, is;

	if (rate <= 0)
		return false;
	was = atomic_load(&o->second);
	do {
		is = was >> 24 == now ? was + 1 : now << 24 | 1;
	} while (!atomic_compare_exchange_weak(&o->second, &was, is));
	return (double)(is & 0xffffff) > rate;
}

static bool read_body(
	struct plugin_request *r, const struct rules *rules, struct str body, struct event **e_r)
{
	const struct event_reader how = { .source = str_of(r->token),
		.country = &rules->country,
		.ahead = rules->conf->intake.ahead,
		.too_far = rules->conf->intake.too_far };
	struct json_faults f = { 0 };
	enum event_verdict verdict;
	json_t *v;

	if (body.n > rules->conf->intake.body_most) {
		plugin_problem(r, 413, NULL, "The event is longer than intake.body_most.", NULL);
		return false;
	}
	v = json_read(body, &f);
	if (!v) {
		plugin_problem_faults(r, 400, &f);
		return false;
	}
	verdict = event_read(v, clock_wall(), &how, e_r, &f);
	json_decref(v);
	if (verdict != EVENT_OK)
		plugin_problem_faults(r, 422, &f);
	return verdict == EVENT_OK;
}

void intake_run(struct plugin_request *r, struct str body)
{
	struct offers *o = offers_of(r->host);
	unsigned entered;
	const struct rules *rules = plugin_enter(r->host, &entered);
	dur_t budget = rules->conf->intake.reply_budget;
	struct event *e = NULL;
	struct taking *t;
	bool read = false, till = false;

	if (over_rate(o, rules->conf->intake.rate))
		plugin_problem(r, 429, NULL, "More events a second than intake.rate.", NULL);
	else
		read = read_body(r, rules, body, &e);
	if (read)
		till = rules_till(rules, e->type);
	plugin_leave(r->host, entered);
	if (!read) {
		plugin_request_release(&r);
		return;
	}
	t = mem_new(struct taking);
	t->o = o;
	t->req = r;
	t->e = e;
	t->till = till;
	t->again.fire = look_again;
	t->u.call.refusable = true;
	t->u.call.what = "keep";
	r->state = t;
	/* the answer has to travel, too */
	plugin_deadline(r,
		t->till ? budget - (budget < 10 * MARGIN ? budget / 10 : MARGIN) : OTHERS_BUDGET,
		late);
	post(t, keep_run, keep_done);
}
