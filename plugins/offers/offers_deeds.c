/* What is done after a commit, until it is done: messages are taken back, the platform is told.
 *
 * Rows of of_deed are the promise; a sweep picks those that are due (cancels and commands each by
 * themselves, since a command may take as long as the platform likes), marks them as being done
 * (due a while later, so that a crash repeats them), and another call strikes out what was done. A
 * cancel that an event asked for is done at once by whoever made the event, since its answer says
 * how many were removed; the row is there for the crash in between.
 */
#include "gateway/base/backoff.h"
#include "gateway/base/log.h"
#include "gateway/http/sign.h"
#include "plugins/offers/dispatch.h"
#include "plugins/offers/offers.h"

#include <stdio.h>

enum { SWEEP_MOST = 128, COMMANDS_MOST = 16 };
#define SWEEP_EVERY (30 * DUR_S)
#define LOOK_AGAIN  (100 * DUR_MS)
#define DOING       (2 * DUR_MIN) /* a deed that was begun is begun again after so long */

struct deed {
	uint64_t seq, msg;
	int kind;
	unsigned attempts;
	char *key;
	struct buf body;
	/* what became of it */
	bool done;
	wall_t again;
	struct http_call *ask;
	struct sweep *sweep;
};
struct sweep {
	struct unit u; /* first */
	struct offers *o;
	struct lane *lane;
	struct deed v[SWEEP_MOST];
	wall_t next;      /* the next is due then; 0: none */
	unsigned n, asks; /* asks: commands under way */
	bool cancelling, more;
	struct plugin_cancels cancels;
	struct plugin_cancel cancel[SWEEP_MOST];
	unsigned of[SWEEP_MOST]; /* whose they are */
	char *url, *secret;
	struct http_way way; /* of its commands: lives as long as they are under way */
	dur_t give_up;
};

/* ---- cancels that came too late ---- */
struct tardy {
	struct unit u; /* first */
	unsigned n;
	struct late {
		uint64_t msg, deed;
		bool in_flight;
	} v[];
};

/* It was to be done later: now. */
static int deed_now(struct work *w, uint64_t seq)
{
	struct sql_stmt *st = db_st(w->db, ST_DEED_LATER);

	if (!st)
		return work_failed(w, "what is to be done");
	sql_int(st, 1, w->now);
	sql_int(st, 2, 0);
	sql_int(st, 3, (int64_t)seq);
	w->deeds = true;
	return sql_run(st) < 0 ? work_failed(w, "what is to be done") : 0;
}

/* writer */
static int tardy_run(struct plugin_call *c)
{
	struct tardy *t = (struct tardy *)c;
	struct work *w = unit_begin(&t->u, c);
	int rc = 0;

	for (unsigned i = 0; i < t->n && rc == 0; i++) {
		unsigned late = w->late_cancel;

		/* what was taken back before is not late; its news may be under way */
		rc = plugin_has_left(c, t->v[i].msg);
		if (rc == 0 && t->v[i].in_flight && t->v[i].deed)
			rc = deed_now(w, t->v[i].deed);
		else if (rc == 1)
			rc = sent_left(w, t->v[i].msg);
		if (rc == 1) {
			w->late_cancel = late + 1; /* be it the next run's or not */
			rc = plugin_history(c, t->v[i].msg, "late_cancel", REASON_TOO_LATE,
				"the chain was disarmed");
		}
	}
	return unit_end(&t->u, rc);
}

static void tardy_done(struct plugin_call *c)
{
	struct tardy *t = (struct tardy *)c;

	if (!plugin_failed(c))
		unit_settled(offers_of(c->host), &t->u);
	unit_free(&t->u);
	mem_free(&t);
}

/* Those of v that had left already: they are known as sent from now on. deed: rows that nobody is
 * at, of each; NULL: none. */
static void note_tardy(
	struct offers *o, const struct plugin_cancel *v, const uint64_t *deed, unsigned n)
{
	struct tardy *t = mem_alloc(sizeof *t + n * sizeof t->v[0]);

	for (unsigned i = 0; i < n; i++)
		if (v[i].result == REASON_TOO_LATE && v[i].state == STATE_CANCELLED)
			t->v[t->n++] = (struct late){ .msg = v[i].id,
				.deed = deed ? deed[i] : 0,
				.in_flight = v[i].in_flight };
	if (!t->n) {
		mem_free(&t);
		return;
	}
	t->u.call.run = tardy_run;
	t->u.call.done = tardy_done;
	t->u.call.what = "tardy";
	plugin_call(o->h, &t->u.call);
}

/* ---- cancels of one event ---- */
struct order {
	struct plugin_cancels c;
	struct offers *o;
	void (*done)(void *arg, unsigned cancelled);
	void *arg;
	uint64_t *whole, *deed; /* of each */
	struct plugin_cancel v[];
};

/* How many wholes were taken back: all messages of them. Those of one whole lie side by side. */
static unsigned wholes_taken(const struct order *w)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < w->c.n;) {
		unsigned first = i;
		bool all = true;

		for (; i < w->c.n && w->whole[i] == w->whole[first]; i++)
			all = all && w->v[i].result == REASON_NONE;
		taken += all;
	}
	return taken;
}

static void order_done(struct plugin_cancels *c)
{
	struct order *w = CONTAINER(c, struct order, c);

	note_tardy(w->o, w->v, w->deed, c->n);
	if (w->done)
		w->done(w->arg, wholes_taken(w));
	mem_free(&w->whole);
	mem_free(&w->deed);
	mem_free(&w);
}

void deeds_cancel(struct offers *o, const struct work_cancel *v, size_t n,
	void (*done)(void *arg, unsigned cancelled), void *arg)
{
	struct order *w = mem_alloc(sizeof *w + n * sizeof w->v[0]);

	w->o = o;
	w->done = done;
	w->arg = arg;
	w->whole = mem_alloc(n * sizeof *w->whole);
	w->deed = mem_alloc(n * sizeof *w->deed);
	for (size_t i = 0; i < n; i++) {
		w->whole[i] = v[i].whole;
		w->deed[i] = v[i].deed;
		w->v[i].id = v[i].msg;
		w->v[i].state = STATE_CANCELLED;
		str_copy(w->v[i].words, sizeof w->v[i].words, STR("the chain was disarmed"));
	}
	w->c = (struct plugin_cancels){ .v = w->v, .n = (unsigned)n, .done = order_done };
	plugin_cancel(o->h, &w->c);
	deeds_soon(o, 15 * DUR_S);
}

/* ---- the sweep ---- */
static void sweep_free(struct sweep *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		mem_free(&s->v[i].key);
		buf_free(&s->v[i].body);
	}
	mem_free(&s->url);
	mem_free(&s->secret);
	unit_free(&s->u);
	mem_free(&s);
}

static void sweep_empty(struct sweep *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		mem_free(&s->v[i].key);
		buf_free(&s->v[i].body);
	}
	s->n = 0;
	mem_free(&s->url);
	mem_free(&s->secret);
}

static int deeds_load(struct work *w, struct sweep *s)
{
	struct sql_stmt *st = db_st(w->db, s->lane->commands ? ST_COMMANDS_DUE : ST_CANCELS_DUE);
	int rc;

	if (!st)
		return work_failed(w, "what is to be done");
	sql_int(st, 1, w->now);
	sql_int(st, 2, s->lane->commands ? COMMANDS_MOST : SWEEP_MOST);
	while ((rc = sql_step(st)) == 1) {
		struct deed *d = &s->v[s->n++];

		*d = (struct deed){ .seq = (uint64_t)sql_col(st, 0),
			.kind = (int)sql_col(st, 1),
			.msg = (uint64_t)sql_col(st, 2),
			.attempts = (unsigned)sql_col(st, 3),
			.key = mem_dup(sql_col_str(st, 4)),
			.sweep = s };
		buf_str(&d->body, sql_col_str(st, 5));
	}
	return rc < 0 ? work_failed(w, "what is to be done") : 0;
}

static int deeds_next(struct work *w, struct sweep *s)
{
	struct sql_stmt *st = db_st(w->db, s->lane->commands ? ST_COMMANDS_NEXT : ST_CANCELS_NEXT);
	int rc = st ? sql_step(st) : -1;

	s->next = rc == 1 ? sql_col(st, 0) : 0;
	if (st)
		sql_reset(st);
	return rc < 0 ? work_failed(w, "what is to be done") : 0;
}

/* About whom is it? The platform is told nothing more of who left since. */
static int command_void(struct work *w, const struct deed *d)
{
	struct json_faults none = { 0 };
	json_t *v = json_read(buf_view(&d->body), &none);
	struct str ext = json_str(json_object_get(v, "member"));
	struct member *m;
	int got = ext.n ? member_find(w, ALIAS_MEMBER, ext, &m) : 1;

	json_decref(v);
	return got < 0 ? -1 : !got;
}

static int commands_void(struct work *w, struct sweep *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n; i++) {
		struct deed *d = &s->v[i];
		struct sql_stmt *st = db_st(w->db, ST_DEED_DEL);
		int gone = d->kind == DEED_UPSTREAM ? command_void(w, d) : 0;

		if (gone < 0 || !st)
			return -1;
		if (!gone) {
			if (n++ < i) { /* what it held is the other's now */
				s->v[n - 1] = *d;
				d->key = NULL;
				d->body = BUF_INIT;
			}
			continue;
		}
		mem_free(&d->key);
		buf_free(&d->body);
		sql_int(st, 1, (int64_t)d->seq);
		if (sql_run(st) < 0)
			return work_failed(w, "what is not to be done");
	}
	s->n = n;
	return 0;
}

static int deed_later(struct work *w, const struct deed *d, wall_t due, unsigned attempts)
{
	struct sql_stmt *st = db_st(w->db, ST_DEED_LATER);

	if (!st)
		return work_failed(w, "what is to be done");
	sql_int(st, 1, due);
	sql_int(st, 2, attempts);
	sql_int(st, 3, (int64_t)d->seq);
	return sql_run(st) < 0 ? work_failed(w, "what is to be done") : 0;
}

/* writer */
static int sweep_pick(struct plugin_call *c)
{
	struct sweep *s = (struct sweep *)c;
	struct work *w = unit_begin(&s->u, c);
	const struct ledger_conf *l = &w->rules->conf->ledger;
	int rc;

	sweep_empty(s);
	rc = deeds_load(w, s);
	if (rc == 0 && s->lane->commands)
		rc = commands_void(w, s);
	for (unsigned i = 0; i < s->n && rc == 0; i++)
		rc = deed_later(w, &s->v[i], w->now + DOING, s->v[i].attempts);
	if (rc == 0 && !s->n)
		rc = deeds_next(w, s);
	s->url = mem_dup(str_of(l->webhook));
	s->secret = mem_dup(str_of(l->webhook_secret));
	s->way = (struct http_way){ .allow_private = l->webhook_private };
	s->give_up = l->give_up;
	return unit_end(&s->u, rc);
}

/* writer */
static int sweep_strike(struct plugin_call *c)
{
	struct sweep *s = (struct sweep *)c;
	struct work *w = unit_begin(&s->u, c);
	int rc = 0;

	for (unsigned i = 0; i < s->n && rc == 0; i++) {
		struct sql_stmt *st;

		if (!s->v[i].done) {
			rc = deed_later(w, &s->v[i], s->v[i].again, s->v[i].attempts + 1);
			continue;
		}
		st = db_st(w->db, ST_DEED_DEL);
		if (!st)
			rc = work_failed(w, "what is done");
		else {
			sql_int(st, 1, (int64_t)s->v[i].seq);
			rc = sql_run(st) < 0 ? work_failed(w, "what is done") : 0;
		}
	}
	if (rc == 0)
		rc = deeds_next(w, s);
	return unit_end(&s->u, rc);
}

static void lane_soon(struct lane *l, dur_t in)
{
	struct offers *o = l->o;
	mono_t at = loop_now(o->h->loop) + in;

	l->again |= l->sweeping; /* the sweep may have looked before */
	if (o->begun && !l->sweeping && (!timer_is_set(&l->timer) || l->timer.at > at))
		timer_set(o->h->loop, &l->timer, at);
}

static void sweep_over(struct plugin_call *c)
{
	struct sweep *s = (struct sweep *)c;
	struct lane *l = s->lane;
	dur_t in = SWEEP_EVERY;

	if (!plugin_failed(c) && s->next && s->next - s->u.now < in)
		in = s->next - s->u.now;
	if (l->again && in > LOOK_AGAIN)
		in = LOOK_AGAIN;
	l->sweeping = l->again = false;
	lane_soon(l, in > 0 ? in : 0);
	sweep_free(s);
}

static void sweep_consider(struct sweep *s)
{
	if (s->asks || s->cancelling)
		return;
	s->u.call.run = sweep_strike;
	s->u.call.done = sweep_over;
	plugin_call(s->o->h, &s->u.call);
}

static void cancels_done(struct plugin_cancels *c)
{
	struct sweep *s = CONTAINER(c, struct sweep, cancels);

	for (unsigned i = 0; i < c->n; i++) {
		struct deed *d = &s->v[s->of[i]];

		/* with the far side: should it come back, it is not to leave again */
		d->done = c->v[i].result != REASON_STORE && !c->v[i].in_flight;
		d->again = clock_wall() + (d->attempts < 60 ? DUR_S : 10 * DUR_S);
	}
	note_tardy(s->o, c->v, NULL, c->n);
	s->cancelling = false;
	sweep_consider(s);
}

/* ---- commands ---- */
/* Each command that waits fails at each of its tries: one line says that it began. One that is
 * refused while others are taken is told of at its first try, and when it is given up. */
static void platform_fails(struct offers *o, const struct deed *d, const struct http_reply *r)
{
	o->refused++;
	if (o->refused_since || (d->attempts && o->refused_once))
		return;
	o->refused_since = clock_mono();
	o->refused_once = true;
	o->refused = 1;
	log_warn("the platform does not take commands", F_STR("key", d->key),
		F_U64("status", r->status), F_ERR(&r->why),
		F_STR("then", "it is asked again and again; no more is said until it takes one"));
}

static void platform_takes(struct offers *o)
{
	if (o->refused_since)
		log_info("the platform takes commands again", F_U64("failed", o->refused),
			F_DUR("after", clock_mono() - o->refused_since));
	o->refused_since = 0;
	o->refused = 0;
}

static void command_answered(void *owner, const struct http_reply *r)
{
	struct deed *d = owner;
	struct sweep *s = d->sweep;
	dur_t wait = backoff_of(DUR_S, 10 * DUR_MIN, 2, d->attempts + 1), asked;

	d->ask = NULL;
	d->again = clock_wall() + wait;
	if (r->status >= 200 && r->status < 300) {
		d->done = true;
		stat_inc(&s->o->commands);
		platform_takes(s->o);
	} else if (d->attempts > 10 + (uint64_t)(s->give_up / (10 * DUR_MIN))) {
		d->done = true;
		stat_inc(&s->o->commands_failed);
		log_error("a command for the platform was given up", F_STR("key", d->key),
			F_U64("status", r->status), F_ERR(&r->why),
			F_U64("tries", d->attempts + 1));
	} else {
		if (http_retry_after(r, &asked) && asked > wait)
			d->again = clock_wall() + (asked < DUR_HOUR ? asked : DUR_HOUR);
		platform_fails(s->o, d, r);
	}
	s->asks--;
	sweep_consider(s);
}

static void command_ask(struct sweep *s, struct deed *d)
{
	struct buf sign = BUF_INIT, key = BUF_INIT;
	const char *headers[4] = { "Content-Type: application/json" };
	struct http_ask ask = { .method = "POST",
		.url = s->url,
		.headers = headers,
		.body = &d->body,
		.way = &s->way };

	buf_printf(&key, "Idempotency-Key: %s", d->key);
	headers[1] = buf_cstr(&key);
	if (s->secret[0]) {
		buf_c(&sign, "Postern-Signature: ");
		http_sign(&sign, str_of(s->secret), clock_wall(), buf_view(&d->body));
		headers[2] = buf_cstr(&sign);
	}
	s->asks++;
	d->ask = http_call(s->o->http, &ask, command_answered, d);
	buf_free(&sign);
	buf_free(&key);
}

static void sweep_picked(struct plugin_call *c)
{
	struct sweep *s = (struct sweep *)c;
	unsigned n = 0;

	if (plugin_failed(c) || !s->n || !s->o->begun) {
		sweep_over(c);
		return;
	}
	s->cancelling = true; /* until all are under way */
	for (unsigned i = 0; i < s->n; i++) {
		struct deed *d = &s->v[i];

		if (d->kind == DEED_UPSTREAM) {
			if (!s->url[0])
				d->done = true; /* nobody is to be told any more */
			else
				command_ask(s, d);
			continue;
		}
		s->of[n] = i;
		s->cancel[n++] = (struct plugin_cancel){ .id = d->msg,
			.state = d->kind == DEED_WITHDRAW ? STATE_SUPPRESSED : STATE_CANCELLED,
			.reason = d->kind == DEED_WITHDRAW ? REASON_CONSENT : REASON_NONE };
	}
	if (n) {
		s->cancels =
			(struct plugin_cancels){ .v = s->cancel, .n = n, .done = cancels_done };
		plugin_cancel(s->o->h, &s->cancels);
		return;
	}
	s->cancelling = false;
	sweep_consider(s);
}

static void sweep_start(struct timer *t)
{
	struct lane *l = CONTAINER(t, struct lane, timer);
	struct offers *o = l->o;
	struct sweep *s;

	if (l->sweeping || !o->begun)
		return;
	l->sweeping = true;
	s = mem_new(struct sweep);
	s->o = o;
	s->lane = l;
	s->u.call.run = sweep_pick;
	s->u.call.done = sweep_picked;
	s->u.call.what = "deeds";
	plugin_call(o->h, &s->u.call);
}

void deeds_soon(struct offers *o, dur_t in)
{
	for (unsigned i = 0; i < 2; i++)
		lane_soon(&o->lanes[i], in);
}

void deeds_begin(struct offers *o)
{
	o->http = http_client_new(o->h->loop, NULL);
	for (unsigned i = 0; i < 2; i++) {
		o->lanes[i].o = o;
		o->lanes[i].commands = i;
		o->lanes[i].timer.fire = sweep_start;
	}
	deeds_soon(o, 0);
}

void deeds_end(struct offers *o)
{
	for (unsigned i = 0; i < 2; i++)
		timer_cancel(o->h->loop, &o->lanes[i].timer);
	http_client_free(&o->http); /* commands under way are told again after the next start */
}
