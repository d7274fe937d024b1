/* Fallback: one message, several media or addresses, tried one after the other until one is
 * delivered. Built from what is there already: an internal channel takes the whole (the parent),
 * and an internal account submits each attempt (a child) as a message of its own.
 *
 *  - The parent carries its attempts packed in FIELD_FALLBACK; attempt 0 is the parent itself.
 *  - A child's client id is "PARENT:STEP", unique, and the parent's history has a line of each from
 *    its acceptance on, so that a step is never taken twice, whatever ends the process; what became
 *    of the children is read from the store, nothing is kept in memory.
 *  - The parent awaits a receipt under its own id. Notes of children, and a sweep for those whose
 *    time is over, make flow look at the whole (advance): it starts the next step, or tells the
 *    parent's end: the state of the attempt that got furthest.
 *
 * Everything is on the internal channel's loop, except looking (advance_call), on a worker.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/flow/flow.h"
#include "plugins/plugin.h"

#include <stdio.h>

enum { SWEEP_MOST = 500, STEPS_MOST = FALLBACK_STEPS };
#define SWEEP_EVERY  (2 * DUR_S)
#define SWEEP_MORE   (100 * DUR_MS)
#define SWEEP_PASSED (5 * DUR_MS) /* nobody was looked at */
/* A whole whose next step is hours away is not looked at by each sweep. */
enum { WAITS_MOST = 1 << 18 };
#define LOOK_LATEST (10 * DUR_MIN)
#define LOOK_QUEUED (30 * DUR_S)

struct wait {
	uint64_t whole;
	wall_t looked, due; /* a clock that was set ends it, either way */
	unsigned pass;      /* of the sweeps that last met it */
};

struct fallback {
	struct channel *c;
	struct listener *listener;
	struct account *account;
	struct timer timer;
	struct store_load load;
	bool busy, sweeping, closing; /* sweeping: its job is under way */
	unsigned jobs;
	struct map waits; /* by whole */
	unsigned pass;
};
static struct fallback *the_fallback(const struct channel *c)
{
	return c->self;
}

/* ---- the packed steps: after (8 octets), length (4), packed message; again and again ---- */
void fallback_put(struct buf *b, dur_t after, const struct message *m)
{
	struct buf packed = BUF_INIT;

	message_pack(m, &packed);
	buf_be32(b, (uint32_t)((uint64_t)after >> 32));
	buf_be32(b, (uint32_t)after);
	buf_be32(b, (uint32_t)packed.n);
	buf_str(b, buf_view(&packed));
	buf_free(&packed);
}

/* Cuts the next step off; the message is the caller's. False at the end, or where it is damaged. */
bool fallback_next(struct str *rest, dur_t *after_r, struct message **m_r)
{
	size_t n;

	if (rest->n < 12)
		return false;
	*after_r = (dur_t)((uint64_t)be32(rest->p) << 32 | be32(rest->p + 4));
	n = be32(rest->p + 8);
	if (n > rest->n - 12)
		return false;
	*m_r = message_unpack(str_n(rest->p + 12, n));
	*rest = str_skip(*rest, 12 + n);
	return *m_r != NULL;
}

/* Step k as a message of its own; NULL behind the last. *after_r: how long its forerunner has. */
static struct message *child_of(
	const struct message *parent, const char *submitter, unsigned k, dur_t *after_r)
{
	struct str rest = message_get(parent, FIELD_FALLBACK);
	struct message *step = NULL, *child;
	struct draft d = { 0 };
	char id[48];

	*after_r = 0;
	for (unsigned i = 0; i < k; i++) {
		message_unref(&step);
		if (!fallback_next(&rest, after_r, &step))
			return NULL;
	}
	draft_copy(&d, k ? step : parent, 1u << FIELD_FALLBACK | 1u << FIELD_CLIENT_ID);
	snprintf(id, sizeof id, "%lu:%u", parent->id, k);
	draft_put(&d, FIELD_CLIENT_ID, str_of(id));
	draft_put(&d, FIELD_ON_BEHALF, str_of(submitter));
	d.head.priority = parent->priority;
	d.head.wants = WANT_DELIVERED | WANT_FAILED;
	d.head.send_at = 0;
	d.head.expires = parent->expires;
	d.head.id = 0;
	child = draft_seal(&d);
	draft_free(&d);
	message_unref(&step);
	return child;
}

bool fallback_attempt(const struct message *m, struct store_attempt *a_r)
{
	struct str step = message_get(m, FIELD_CLIENT_ID), whole;
	uint64_t k;

	*a_r = (struct store_attempt){ .stop = FALLBACK_STOPPED };
	if (!message_has(m, FIELD_ON_BEHALF) || !str_cut(&step, ':', &whole) ||
		!str_u64(step, &k) || !str_u64(whole, &a_r->whole))
		return false;
	if (k) { /* the first is the whole's far id */
		a_r->line = FALLBACK_LINE;
		snprintf(a_r->words, sizeof a_r->words, "attempt %lu by %s is", k + 1,
			media_word(m->media));
	}
	return true;
}

static unsigned steps_of(const struct message *parent)
{
	struct str rest = message_get(parent, FIELD_FALLBACK);
	struct message *m = NULL;
	unsigned n = 1;
	dur_t after;

	while (n < STEPS_MOST && fallback_next(&rest, &after, &m)) {
		message_unref(&m);
		n++;
	}
	return n;
}

bool attempt_has_left(enum state s)
{
	return s == STATE_SENDING || s == STATE_SENT || s == STATE_DELIVERED || s == STATE_READ ||
	       s == STATE_UNKNOWN;
}

static bool is_at_once(const struct message *parent, unsigned k)
{
	struct str rest = message_get(parent, FIELD_FALLBACK);
	struct message *m = NULL;
	dur_t after = 0;

	for (unsigned i = 0; i < k; i++) {
		if (!fallback_next(&rest, &after, &m))
			return false;
		message_unref(&m);
	}
	return k && after == PLUGIN_STEP_AT_ONCE;
}

/* ---- looking at the whole ---- */
enum decision { DECIDE_WAIT, DECIDE_START, DECIDE_END, DECIDE_LAST_WORD };
struct look {
	uint64_t id;
	unsigned refused; /* steps that were refused at the door, a bit each */
	enum decision decision;
	unsigned step;
	struct message *child;
	bool more;          /* the step behind it is to begin at once, too */
	wall_t looked, due; /* of one that waits: the sweep passes it by until then; 0: unknown */
	struct op_receipt_in end; /* state, reason, err, at */
};
struct job {
	struct chore work; /* first */
	struct fallback *f;
	struct note *note; /* to be given back when this is done */
	unsigned n, open;
	bool sweep;
	struct look v[];
};

struct ending {
	struct store_op op; /* first */
	struct job *j;
};

static void job_look(struct job *j);
static void job_less(struct job *j);

/* The ids of the attempts: the parent's far id is the first's, its history tells the others
 * ("attempt 2 by sms is 4711"). 0: not begun, REFUSED: refused at the door. */
#define REFUSED UINT64_MAX

static uint64_t id_or_refused(struct str s)
{
	uint64_t id;

	return str_u64(s, &id) ? id : REFUSED;
}

static void find_attempts(const struct store_view *p, uint64_t id[STEPS_MOST])
{
	memset(id, 0, STEPS_MOST * sizeof id[0]);
	if (p->far_id[0])
		id[0] = id_or_refused(str_of(p->far_id));
	for (unsigned i = 0; i < p->history_n; i++) {
		struct str rest = str_of(p->history[i].words), word[5];
		uint64_t step;
		unsigned n = 0;

		if (strcmp(p->history[i].what, FALLBACK_LINE) != 0)
			continue;
		while (n < 5 && str_cut(&rest, ' ', &word[n]))
			n++;
		if (n == 5 && rest.p && str_u64(word[1], &step) && step >= 1 && step <= STEPS_MOST)
			id[step - 1] = id_or_refused(rest);
	}
}

/* One that was accepted just now is not in the history yet, but under its client id. */
static int find_attempt(struct gateway *g, uint64_t whole, unsigned k, uint64_t *id_r)
{
	uint32_t attempts = gateway_number(g, STORE_SUBMITTER, STR("fallback/attempts"));
	char client_id[48];
	struct err e;

	snprintf(client_id, sizeof client_id, "%lu:%u", whole, k);
	return store_find_client(gateway_store(g), attempts, str_of(client_id), id_r, &e);
}

int fallback_begun(struct gateway *g, const struct store_view *whole, uint64_t id[STEPS_MOST])
{
	int n = 0, found = 1;

	find_attempts(whole, id);
	for (; n < STEPS_MOST && found == 1; n++)
		if (id[n] == REFUSED)
			id[n] = 0;
		else if (id[n] == 0)
			found = find_attempt(g, whole->id, (unsigned)n, &id[n]);
	return found < 0 ? -1 : found ? n : n - 1;
}

/* The same on the writer, for attempts that may be long over. */
static int begun_in_call(struct gateway *g, struct store_op *call, const struct store_view *whole,
	uint64_t id[STEPS_MOST])
{
	uint32_t attempts = gateway_number(g, STORE_SUBMITTER, STR("fallback/attempts"));

	find_attempts(whole, id);
	for (int n = 0; n < STEPS_MOST; n++) {
		char client_id[48];

		if (id[n] == REFUSED)
			id[n] = 0;
		if (id[n])
			continue;
		snprintf(client_id, sizeof client_id, "%lu:%d", whole->id, n);
		if (store_call_client(call, attempts, str_of(client_id), &id[n]) < 0)
			return -1;
	}
	return 0;
}

int fallback_erase(struct gateway *g, struct store_op *call, uint64_t id)
{
	struct store_view whole;
	uint64_t attempt[STEPS_MOST];
	int got = store_call_find(call, id, &whole), all = 1;

	if (got <= 0)
		return got < 0 ? -1 : 1;
	got = begun_in_call(g, call, &whole, attempt);
	if (!state_is_final(whole.state) && (whole.state != STATE_SENT || whole.awaits))
		all = 0; /* it says what the attempts to come are */
	store_view_free(&whole);
	if (got < 0)
		return -1;
	for (int n = 0; n < STEPS_MOST; n++) {
		got = attempt[n] ? store_call_erase(call, attempt[n], NULL) : 1;
		if (got < 0)
			return -1;
		all &= got;
	}
	return all ? store_call_erase(call, id, FALLBACK_LINE) : 0;
}

/* NULL: it goes on. */
static const struct store_history *stop_of(const struct store_view *whole)
{
	for (unsigned i = 0; i < whole->history_n; i++)
		if (strcmp(whole->history[i].what, FALLBACK_STOPPED) == 0)
			return &whole->history[i];
	return NULL;
}

static bool is_stopped(const struct store_view *whole)
{
	return stop_of(whole) != NULL;
}

static enum reason stop_reason(const struct store_view *whole)
{
	const struct store_history *h = stop_of(whole);

	return h && h->reason != REASON_NONE ? h->reason : REASON_CANCELLED;
}

/* The attempts that were begun: what became of them. */
struct sum {
	bool awaits; /* of one news is to come */
	bool queued; /* one has not left yet: it may be sent without news */
	bool sent;   /* of one `sent` was the last word */
	bool taken;  /* one was taken back */
	wall_t last; /* when the newest began */
};

/* When it began: what the policy holds for its hours begins when they are over. (A retry moves the
 * time, too, and is no new beginning.) */
static wall_t begun_at(const struct store_view *c)
{
	unsigned tries = c->state == STATE_QUEUED ? 0 : 1;

	return c->attempt <= tries && c->due > c->accepted ? c->due : c->accepted;
}

/* 1, or 0: not known now. */
static int look_at_attempt(struct gateway *g, uint64_t id, struct look *l, struct sum *sum)
{
	struct store_view c;
	struct err e;
	int found = store_find(gateway_store(g), id, false, &c, &e);

	if (found <= 0)
		return found == 0;       /* long over, and forgotten */
	if (c.state != STATE_SUPPRESSED) /* by the policy: it was not even begun */
		sum->last = begun_at(&c);
	sum->taken |= c.state == STATE_CANCELLED;
	sum->queued |= c.state == STATE_QUEUED || c.state == STATE_SENDING;
	if (!state_is_final(c.state)) {
		if (c.state == STATE_SENT && !c.awaits)
			sum->sent = true;
		else
			sum->awaits = true;
	} else if (l->end.at == 0 || state_rank(c.state) > state_rank(l->end.state)) {
		l->end.state = c.state;
		l->end.reason = c.reason;
		l->end.at = c.final_at;
		memcpy(l->end.err, c.err, sizeof l->end.err);
	}
	store_view_free(&c);
	return 1;
}

/* *k_r: the first step that was not begun. 1, or 0: not known now. */
static int look_at_attempts(struct gateway *g, const uint64_t id[STEPS_MOST], unsigned steps,
	struct look *l, struct sum *sum, unsigned *k_r)
{
	unsigned k;

	*sum = (struct sum){ 0 };
	l->end = (struct op_receipt_in){ .state = STATE_UNDELIVERABLE };
	for (k = 0; k < steps && (id[k] || l->refused & 1u << k); k++)
		if (id[k] && id[k] != REFUSED && !look_at_attempt(g, id[k], l, sum))
			return 0;
	*k_r = k;
	return 1;
}

static bool is_delivered(const struct look *l)
{
	return l->end.at && (l->end.state == STATE_DELIVERED || l->end.state == STATE_READ);
}

/* Step k may begin when all before it have failed, when its time has come, or if it does not wait
 * for them. *after_r: how long it waits for others, if it is not taken. */
static bool take_step(struct gateway *g, const struct store_view *p, unsigned k,
	const struct sum *sum, struct look *l, dur_t *after_r)
{
	const char *submitter = store_name(gateway_store(g), STORE_SUBMITTER, p->submitter);

	l->child = child_of(p->msg, submitter, k, after_r);
	l->step = k;
	if (l->child && k && *after_r == PLUGIN_STEP_AT_ONCE)
		return true;
	if (l->child && k && !is_delivered(l) &&
		((!sum->awaits && !sum->sent) ||
			(*after_r && clock_wall() >= sum->last + *after_r)))
		return true;
	message_unref(&l->child);
	return false;
}

/* When that may change without news of an attempt. */
static wall_t look_due(const struct sum *sum, bool left, dur_t after, wall_t now)
{
	dur_t age = now - sum->last, most = LOOK_LATEST;

	if (age < 0) /* held until then */
		most = -age < LOOK_LATEST ? -age : LOOK_LATEST;
	else if (sum->queued)
		most = age / 4 < LOOK_QUEUED ? age / 4 : LOOK_QUEUED;
	return left && after > 0 && sum->last + after < now + most ? sum->last + after : now + most;
}

/* The next step starts when all before it have failed or its time has come; the whole ends when one
 * was delivered, or nothing is awaited and nothing is left. */
static void decide(struct gateway *g, const struct store_view *p, struct look *l)
{
	uint64_t id[STEPS_MOST];
	struct sum sum;
	unsigned steps = p->msg ? steps_of(p->msg) : 0, k;
	bool left;
	dur_t after;

	find_attempts(p, id);
	for (;;) {
		int found;

		if (!steps || !look_at_attempts(g, id, steps, l, &sum, &k))
			return;
		if (k == 0 && find_attempt(g, l->id, 0, &id[0]) == 1)
			continue; /* begun just now */
		left = k < steps && !is_stopped(p);
		after = 0;
		if (!left || !take_step(g, p, k, &sum, l, &after))
			break;
		found = find_attempt(g, l->id, k, &id[k]);
		if (found == 0) {
			l->decision = DECIDE_START;
			return;
		}
		message_unref(&l->child);
		if (found < 0) /* a step must not be taken twice */
			return;
	}
	if (is_delivered(l) || (!sum.awaits && !sum.sent && !left))
		l->decision = DECIDE_END;
	else if (!sum.awaits && sum.sent && !(left && after))
		l->decision = DECIDE_LAST_WORD; /* who waits for its failure waits in vain */
	else if (sum.last)
		l->due = look_due(&sum, left, after, l->looked);
	/* taken back as a whole; else what has been `sent` can only fail */
	if (sum.taken && is_stopped(p) && l->end.state != STATE_UNKNOWN && !is_delivered(l)) {
		l->end.state = STATE_CANCELLED;
		l->end.reason = stop_reason(p);
	} else if (l->end.state == STATE_CANCELLED || l->end.state == STATE_SUPPRESSED) {
		l->end.state = STATE_UNDELIVERABLE;
	}
}

static void look_at(struct gateway *g, struct look *l)
{
	struct store_view p;
	struct err e;

	l->decision = DECIDE_WAIT;
	l->looked = clock_wall();
	if (store_find(gateway_store(g), l->id, true, &p, &e) != 1)
		return;
	decide(g, &p, l);
	if (l->decision == DECIDE_START)
		l->more = is_at_once(p.msg, l->step + 1);
	store_view_free(&p);
}

static void job_call(struct chore *w)
{
	struct job *j = (struct job *)w;

	for (unsigned i = 0; i < j->n; i++)
		look_at(flow_channel(j->f->c)->gw, &j->v[i]);
}

/* Tokens of message_arrived() and receipt_arrived(): what the answer is for. */
struct start {
	struct fallback *f;
	struct delivery *d; /* step 0: the parent's delivery */
	struct job *j;      /* later steps */
	uint64_t parent;
	unsigned step, refused;
	bool more; /* look at once whether the next one begins */
	enum media media;
};

static void start_child(struct fallback *f, struct message *child, struct start s)
{
	struct start *token = mem_new(struct start);

	*token = s;
	token->f = f;
	token->media = child->media;
	message_arrived(f->listener, f->account, child, token);
}

/* A step that was refused, in the parent's history; the store writes down those that it takes. */
static void write_refused(const struct start *s, const struct answer *a)
{
	struct store_op *ev = store_op_new(OP_EVENT, NULL, NULL);

	ev->event.id = s->parent;
	ev->event.reason = a->reason;
	str_copy(ev->event.what, sizeof ev->event.what, STR(FALLBACK_LINE));
	snprintf(ev->event.words, sizeof ev->event.words, "attempt %u by %s is refused",
		s->step + 1, media_word(s->media));
	store_do(gateway_store(flow_channel(s->f->c)->gw), ev);
}

static void step_answered(const struct start *s, const struct answer *a)
{
	char id[32] = "refused";

	if (a->reason == REASON_NONE)
		snprintf(id, sizeof id, "%lu", a->id);
	else
		write_refused(s, a);
	log_info("fallback", F_ID("msg", s->parent), F_U64("attempt", s->step + 1),
		F_STR("media", media_word(s->media)), F_STR("is", id));
}

/* An end that no far side tells: `sent` as the last word, or taken back. */
static void end_told(struct store_op *op)
{
	struct ending *e = CONTAINER(op, struct ending, op);

	job_less(e->j);
	mem_free(&e);
}

static void tell_end(struct job *j, uint64_t id, enum state state, enum reason reason)
{
	struct fallback *f = j->f;
	struct ending *e = mem_new(struct ending);

	e->j = j;
	e->op = (struct store_op){ .kind = OP_FINAL, .loop = f->c->loop, .done = end_told };
	e->op.final.id = id;
	e->op.final.state = state;
	e->op.final.reason = reason;
	e->op.final.recalled = true;
	j->open++;
	store_do(gateway_store(flow_channel(f->c)->gw), &e->op);
}

static void wait_drop(struct fallback *f, uint64_t whole)
{
	struct wait *x = map_del_u64(&f->waits, whole);

	mem_free(&x);
}

static void wait_note(struct fallback *f, const struct look *l)
{
	struct wait *x = map_get_u64(&f->waits, l->id);

	if (l->decision != DECIDE_WAIT || !l->due) {
		wait_drop(f, l->id);
		return;
	}
	if (!x && f->waits.count >= WAITS_MOST)
		return;
	if (!x) {
		x = mem_new(struct wait);
		map_put_u64(&f->waits, l->id, x);
	}
	*x = (struct wait){ l->id, l->looked, l->due, f->pass };
}

static bool is_waiting(struct fallback *f, uint64_t whole, wall_t now)
{
	struct wait *x = map_get_u64(&f->waits, whole);

	if (x)
		x->pass = f->pass;
	return x && x->looked <= now && now < x->due;
}

/* A pass is over: those that it has not met have ended. */
static void waits_pass(struct fallback *f)
{
	struct wait *x;

	for (size_t i = 0; (x = map_next(&f->waits, &i));)
		if (x->pass != f->pass)
			wait_drop(f, x->whole);
	f->pass++;
}

static void job_done(struct chore *w)
{
	struct job *j = (struct job *)w;
	struct fallback *f = j->f;

	j->open = 1;
	for (unsigned i = 0; i < j->n; i++) {
		struct look *l = &j->v[i];
		struct receipt_in r = {
			.keys = 1, .state = l->end.state, .reason = l->end.reason, .at = l->end.at
		};

		wait_note(f, l);
		if (l->decision == DECIDE_START && !f->closing) {
			j->open++;
			start_child(f, l->child,
				(struct start){ .j = j,
					.parent = l->id,
					.step = l->step,
					.more = l->more,
					.refused = l->refused });
			l->child = NULL;
		} else if (l->decision == DECIDE_END && l->end.state == STATE_CANCELLED) {
			tell_end(j, l->id, STATE_CANCELLED, l->end.reason);
		} else if (l->decision == DECIDE_END) {
			snprintf(r.key[0], sizeof r.key[0], "%lu", l->id);
			memcpy(r.raw_id, r.key[0], sizeof r.raw_id);
			memcpy(r.err, l->end.err, sizeof r.err);
			j->open++;
			receipt_arrived(f->c, &r, j);
		} else if (l->decision == DECIDE_LAST_WORD) {
			tell_end(j, l->id, STATE_SENT, REASON_NONE);
		}
		message_unref(&l->child);
	}
	job_less(j);
}

static struct job *job_new(struct fallback *f, unsigned n)
{
	struct job *j = mem_alloc(sizeof *j + n * sizeof j->v[0]);

	j->f = f;
	j->n = n;
	f->jobs++;
	return j;
}

static void job_look(struct job *j)
{
	j->work.reply = j->f->c->loop;
	j->work.call = job_call;
	j->work.done = job_done;
	workers_do(&j->work);
}

static void consider_closed(struct fallback *f)
{
	struct wait *x;

	if (!f->closing || f->jobs || f->busy)
		return;
	for (size_t i = 0; (x = map_next(&f->waits, &i));)
		mem_free(&x);
	map_free(&f->waits);
	channel_closed(f->c);
}

static void job_less(struct job *j)
{
	struct fallback *f = j->f;
	struct outcome o = outcome_of(REASON_NONE);

	if (--j->open)
		return;
	if (j->note)
		note_done(f->account, j->note, &o);
	if (j->sweep) {
		f->sweeping = false;
		if (f->load.after_key[0] && !f->closing) /* there are more */
			timer_in(f->c->loop, &f->timer, j->n ? SWEEP_MORE : SWEEP_PASSED);
	}
	mem_free(&j);
	f->jobs--;
	consider_closed(f);
}

/* A step that was refused at the door counts as failed. */
static void look_again(struct start *s, bool refused)
{
	struct job *j = job_new(s->f, 1);

	j->v[0].id = s->parent;
	j->v[0].refused = s->refused | (refused ? 1u << s->step : 0);
	job_look(j);
}

static void fallback_answer(struct listener *l, void *token, const struct answer *a)
{
	struct start *s = token;
	struct fallback *f = s->f;
	bool later = a->reason != REASON_NONE && reason_verdict(a->reason) == VERDICT_RETRY;
	struct outcome o = outcome_of(REASON_NONE);

	if (!later && s->step && !a->duplicate)
		step_answered(s, a);
	if (s->d) {
		if (later)
			o = outcome_words(REASON_TEMPORARY, "%s", reason_text(a->reason));
		else if (a->reason == REASON_NONE)
			snprintf(o.far_id, sizeof o.far_id, "%lu", a->id);
		else
			str_copy(o.far_id, sizeof o.far_id, STR("refused"));
		snprintf(o.key, sizeof o.key, "%lu", s->parent);
		delivery_done(s->d, &o);
		f->jobs--;
	}
	if (!later && (a->reason != REASON_NONE || s->more))
		look_again(s, a->reason != REASON_NONE);
	if (s->j)
		job_less(s->j); /* refused for now: a later sweep tries again */
	mem_free(&s);
	consider_closed(f);
}

/* ---- the channel half ---- */
static void sweep_done(struct store_load *l)
{
	struct fallback *f = CONTAINER(l, struct fallback, load);

	f->busy = false;
	if (l->n && !f->closing) {
		struct job *j = job_new(f, l->n);
		wall_t now = clock_wall();

		j->n = 0;
		for (unsigned i = 0; i < l->n; i++)
			if (!is_waiting(f, l->ids[i].id, now))
				j->v[j->n++].id = l->ids[i].id;
		j->sweep = f->sweeping = true;
		job_look(j);
	}
	if (l->end) {
		l->after_key[0] = '\0';
		waits_pass(f);
	}
	store_load_free(l);
	consider_closed(f);
}

static void sweep(struct timer *t)
{
	struct fallback *f = CONTAINER(t, struct fallback, timer);

	if (f->closing)
		return;
	timer_in(f->c->loop, &f->timer, SWEEP_EVERY);
	if (f->busy || f->sweeping)
		return;
	f->busy = true;
	f->load.kind = LOAD_OVERDUE;
	f->load.loop = f->c->loop;
	f->load.done = sweep_done;
	f->load.channel = f->c->number;
	f->load.until = clock_wall();
	f->load.most = SWEEP_MOST;
	store_load(gateway_store(flow_channel(f->c)->gw), &f->load);
}

static int fallback_open(struct channel *c, struct err *e)
{
	struct fallback *f = c->self;

	f->c = c;
	f->closing = false;
	f->timer.fire = sweep;
	timer_in(c->loop, &f->timer, SWEEP_EVERY);
	channel_window(c, (unsigned)c->conf->window, NULL);
	return 0;
}

static void fallback_submit(struct channel *c, struct delivery *d)
{
	struct fallback *f = the_fallback(c);
	struct flow_account *a = gateway_account(flow_channel(c)->gw, d->msg->submitter);
	dur_t after;

	f->jobs++;
	start_child(f, child_of(d->msg, a ? a->full_name : "", 0, &after),
		(struct start){ .d = d, .parent = d->msg->id, .more = is_at_once(d->msg, 1) });
}

static void fallback_close(struct channel *c, dur_t grace)
{
	struct fallback *f = the_fallback(c);

	f->closing = true;
	channel_window(c, 0, NULL);
	timer_cancel(c->loop, &f->timer);
	consider_closed(f);
}

static void fallback_receipt_answer(struct channel *c, void *token, bool stored)
{
	job_less(token);
}

/* ---- the account half ---- */
static int fallback_listen(struct listener *l, struct err *e)
{
	return 0;
}

static void fallback_unlisten(struct listener *l, dur_t grace)
{
	listener_closed(l);
}

static void fallback_notify(struct account *a, struct note *n)
{
	struct flow_account *fa = flow_account(a);
	struct flow_channel *c = gateway_fallback(fa->gw);
	struct str id = str_of(n->client_id), parent;
	struct job *j = job_new(the_fallback(&c->pub), 1);

	j->note = n;
	if (!str_cut(&id, ':', &parent) || !str_u64(parent, &j->v[0].id))
		j->n = 0;
	job_look(j);
}

const struct protocol protocol_fallback = {
	.name = "fallback",
	.about = "internal: attempts of one message over several media",
	.media = MEDIA_ANY,
	.channel_size = sizeof(struct fallback),
	.open = fallback_open,
	.submit = fallback_submit,
	.close = fallback_close,
	.receipt_answer = fallback_receipt_answer,
	.listen = fallback_listen,
	.answer = fallback_answer,
	.notify = fallback_notify,
	.unlisten = fallback_unlisten,
};

void fallback_join(struct flow_channel *c, struct listener *l, struct account *a)
{
	struct fallback *f = the_fallback(&c->pub);

	f->c = &c->pub;
	f->listener = l;
	f->account = a;
	account_credit(a, 64);
}
