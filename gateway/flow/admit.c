/* The door: what comes in is checked, routed, and put on disk; then, and only then, answered. The
 * listener's loop, except accept_done(), which is on the loop of the channel that was chosen.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/flow/flow.h"

struct intake {
	struct store_op op; /* first */
	struct letter letter;
	struct listener *listener;
	struct flow_account *account;
	struct flow_channel *channel;
	struct flow_channel *arriving; /* that counts it meanwhile, or NULL */
	struct message *msg;
	void *token;
	struct answer answer;
	struct store_attempt attempt; /* whole 0: it is none */
};

static void intake_answer(struct letter *l)
{
	struct intake *in = CONTAINER(l, struct intake, letter);

	if (in->arriving)
		atomic_fetch_sub(&in->arriving->arriving, 1);
	if (in->answer.reason == REASON_NONE) {
		if (!in->answer.duplicate)
			stat_inc(&in->account->accepted);
	} else {
		stat_inc(&in->account->refused);
	}
	in->listener->protocol->answer(in->listener, in->token, &in->answer);
	message_unref(&in->msg);
	mem_free(&in);
}

static void refuse(struct intake *in, const struct outcome *o)
{
	in->answer.reason = o->reason;
	memcpy(in->answer.words, o->words, sizeof in->answer.words);
	log_debug("refused", F_STR("account", in->account->full_name),
		F_STR("reason", reason_word(o->reason)), F_STR("words", o->words));
	loop_later(in->listener->loop, &in->letter);
}

void admit_offer(struct flow_channel *c, struct store_op *op)
{
	struct message *m = op->accept.msg;

	stat_inc(&c->stats.accepted);
	queue_offer(c, message_ref(m), &op->accept.place, 0, op->accept.parts,
		op->accept.place.due > m->accepted ? OFFER_LATER : OFFER_NOW);
}

static void accept_done(struct store_op *op)
{
	struct intake *in = (struct intake *)op;

	if (op->fault != STORE_OK) {
		in->answer.reason = REASON_STORE;
		str_copy(in->answer.words, sizeof in->answer.words,
			op->fault == STORE_FULL ? STR("the disk is full")
						: STR("the store failed"));
	} else if (op->accept.conflict) {
		in->answer.reason = REASON_DUPLICATE;
	} else {
		in->answer.id = op->accept.id;
		in->answer.duplicate = op->accept.duplicate;
		if (!op->accept.duplicate && op->accept.state == STATE_QUEUED) {
			log_debug("accepted", F_ID("msg", op->accept.id),
				F_STR("account", in->account->full_name),
				F_STR("channel", in->channel->pub.name));
			admit_offer(in->channel, op);
		}
	}
	if (loop_self() == in->listener->loop)
		intake_answer(&in->letter);
	else
		loop_post(in->listener->loop, &in->letter);
}

bool admit_times(const struct settings *s, dur_t most, struct message *m, struct outcome *why)
{
	wall_t now = clock_wall(), start = m->send_at > now ? m->send_at : now;

	if (most == 0 || most > s->validity_most)
		most = s->validity_most;
	if (m->send_at > now + s->retention && m->send_at > now + 366 * DUR_DAY) {
		*why = outcome_words(REASON_BAD_TIME, "send_at is more than a year ahead");
		return false;
	}
	if (m->expires == 0)
		m->expires = start + (s->validity < most ? s->validity : most);
	if (m->expires <= start) {
		*why = outcome_words(REASON_BAD_TIME, start > now
							      ? "it would expire before it is sent"
							      : "its validity is over already");
		return false;
	}
	if (m->expires > start + most)
		m->expires = start + most;
	return true;
}

/* Reports of ours and what our settings name have senders that no account chose. */
static bool may_send_as(const struct flow_account *a, const struct message *m)
{
	return m->flags & (MSG_REPORT | MSG_OUR_SENDER) ||
	       account_may_send_as(a, message_get(m, FIELD_FROM));
}

static bool check_intake(struct intake *in, bool trial, struct outcome *why)
{
	struct flow_account *a = in->account;
	struct message *m = in->msg;
	enum priority prio = m->priority;
	const struct way *way;
	unsigned parts;
	char name[96];

	if (gateway_stopping(a->gw)) {
		*why = outcome_of(REASON_STOPPING);
		return false;
	}
	if (store_health(gateway_store(a->gw)) != STORE_OK) {
		*why = outcome_of(REASON_STORE);
		return false;
	}
	if (!(m->flags & MSG_REPORT) &&
		(trial ? !account_has_rate(&a->pub, 1) : !account_rate_take(a))) {
		*why = outcome_of(REASON_RATE);
		return false;
	}
	if (!message_has(m, FIELD_TO)) {
		*why = outcome_words(REASON_BAD_DESTINATION, "there is no destination");
		return false;
	}
	if (!may_send_as(a, m)) {
		*why = outcome_words(REASON_BAD_SENDER, "this account may not use that sender");
		return false;
	}
	if (!admit_times(gateway_settings(a->gw), a->pub.conf->valid_most, m, why))
		return false;
	way = plan_route(
		gateway_plan(a->gw), m, submitter_name(a->gw, m, name, sizeof name), &prio, why);
	if (!way)
		return false;
	if (a->pub.conf->priority[0])
		priority_parse(str_of(a->pub.conf->priority), &prio);
	m->priority = (uint8_t)prio;
	if (way->queue_most && atomic_load(&way->c->arriving) + store_waiting(gateway_store(a->gw),
									way->c->pub.number) >=
				       way->queue_most) {
		*why = outcome_words(REASON_QUEUE_FULL, "the queue of %s is full", way->view.name);
		return false;
	}
	parts = way_parts(way, m, why);
	if (parts == 0)
		return false;
	in->channel = way->c;
	in->op.accept.parts = (uint8_t)parts;
	return true;
}

/* ---- under a policy ---- */
struct judged {
	struct plugin_call call; /* first */
	struct intake *in;
	struct message *as_came;
	char account[96];
	bool known; /* its client id was used before */
};

struct flow_account *account_full_named(struct gateway *g, struct str name)
{
	struct str protocol;

	return str_cut(&name, '/', &protocol) && name.n ? gateway_account_slash(g, protocol, name)
							: NULL;
}

/* The plugin that is to be asked, and on whose behalf; NULL: nobody. Attempts of a message with a
 * fallback are under the policy of who submitted the whole. */
static struct flow_plugin *judge_of(const struct intake *in, char *name, size_t cap)
{
	struct gateway *g = in->account->gw;
	struct flow_plugin *p = gateway_policy_plugin(g);
	struct str behalf = message_get(in->msg, FIELD_ON_BEHALF);
	struct flow_account *a = in->account;

	if (!p || in->msg->flags & MSG_REPORT)
		return NULL;
	if (a->internal && behalf.n)
		a = account_full_named(g, behalf);
	if (!a || (strcmp(a->pub.conf->policy, "marketing") != 0 && a != p->account))
		return NULL;
	str_copy(name, cap, str_of(a->full_name));
	return p;
}

static void add_gate(struct intake *in, const struct plugin_policy *p)
{
	struct draft d = { 0 };

	draft_copy(&d, in->msg, 1u << FIELD_GATE);
	plugin_put_gate(&d, p->open_until, str_n(p->more, p->more_n));
	message_unref(&in->msg);
	in->msg = draft_seal(&d);
	draft_free(&d);
}

static void not_kept(struct store_op *op) {} /* judged_done() answers */

/* An attempt of a whole that was taken back meanwhile: 1, 0, -1. The store looks, too; here it
 * keeps the policy from counting it. */
static int is_stopped(struct plugin_call *c, const struct intake *in)
{
	return in->attempt.whole ? store_call_has_event(&c->op, in->attempt.whole, in->attempt.stop)
				 : 0;
}

/* What becomes of a message by what the policy says of it. */
static enum state state_by(const struct plugin_policy *p, const struct message *m)
{
	if (p->verdict == POLICY_SUPPRESS)
		return STATE_SUPPRESSED;
	return p->verdict == POLICY_HOLD && p->until >= m->expires ? STATE_EXPIRED : STATE_QUEUED;
}

/* The writer; perhaps once more after its transaction was undone. */
static int judge(struct plugin_call *c)
{
	struct judged *j = (struct judged *)c;
	struct intake *in = j->in;
	struct store_op *op = &in->op;
	struct plugin_policy p = { .id = store_call_id(&c->op) };
	int stopped = is_stopped(c, in);

	if (stopped < 0)
		return -1;
	j->known = false;
	message_unref(&in->msg);
	in->msg = message_ref(j->as_came);
	if (stopped)
		p = (struct plugin_policy){
			.id = p.id, .verdict = POLICY_SUPPRESS, .reason = REASON_DISARMED
		};
	else if (c->host->plugin->policy(c, in->msg, j->account, &p) < 0)
		return -1;
	op->accept.take_id = p.id;
	op->accept.state = state_by(&p, in->msg);
	op->accept.reason = p.verdict == POLICY_GO ? REASON_NONE : p.reason;
	op->accept.due = p.verdict == POLICY_HOLD ? p.until : 0;
	memcpy(op->accept.words, p.words, sizeof op->accept.words);
	op->accept.channel = op->accept.state == STATE_QUEUED ? in->channel->pub.number : 0;
	if (op->accept.state == STATE_QUEUED && p.open_until)
		add_gate(in, &p);
	op->accept.msg = in->msg;
	op->accept.drop = not_kept;
	if (store_call_accept(&c->op, op) < 0)
		return -1;
	j->known = op->accept.duplicate || op->accept.conflict;
	return j->known ? -1 : 0; /* what it counted for this one goes back */
}

/* The writer. Kept: accept_done() has it. */
static void judged_done(struct plugin_call *c)
{
	struct judged *j = (struct judged *)c;
	struct intake *in = j->in;

	if (plugin_failed(c)) {
		if (c->fault != STORE_OK || !j->known) {
			in->answer.reason = REASON_STORE;
			str_copy(in->answer.words, sizeof in->answer.words,
				c->fault == STORE_OK     ? STR("the policy cannot be asked now")
				: c->fault == STORE_FULL ? STR("the disk is full")
							 : STR("the store failed"));
		} else if (in->op.accept.conflict) {
			in->answer.reason = REASON_DUPLICATE;
		} else {
			in->answer.id = in->op.accept.id;
			in->answer.duplicate = true;
		}
		loop_post(in->listener->loop, &in->letter);
	}
	message_unref(&j->as_came);
	mem_free(&j);
}

static void ask_policy(struct intake *in, struct flow_plugin *p, const char *account)
{
	struct judged *j = mem_new(struct judged);

	j->in = in;
	j->as_came = message_ref(in->msg);
	str_copy(j->account, sizeof j->account, str_of(account));
	j->call.what = "policy";
	j->call.run = judge;
	j->call.done = judged_done;
	j->call.refusable = true;
	host_prepare(p, &j->call);
	j->call.op.loop = NULL;
	store_do(gateway_store(in->account->gw), &j->call.op);
}

void message_arrived(struct listener *l, struct account *a, struct message *m, void *token)
{
	struct intake *in = mem_new(struct intake);
	struct flow_plugin *p;
	char account[96];
	struct outcome why;

	in->listener = l;
	in->account = flow_account(a);
	in->msg = m;
	in->token = token;
	in->letter.run = intake_answer;
	m->submitter = a->submitter;
	if (!check_intake(in, false, &why)) {
		refuse(in, &why);
		return;
	}
	in->arriving = in->channel;
	atomic_fetch_add(&in->arriving->arriving, 1);
	in->op.kind = OP_ACCEPT;
	in->op.loop = in->channel->pub.loop;
	in->op.done = accept_done;
	in->op.accept.msg = m;
	in->op.accept.channel = in->channel->pub.number;
	in->op.accept.state = STATE_QUEUED;
	in->op.accept.unique = message_has(m, FIELD_CLIENT_ID) && !(m->flags & MSG_ALIAS);
	if (in->account->internal && fallback_attempt(m, &in->attempt))
		in->op.accept.attempt = &in->attempt;
	p = judge_of(in, account, sizeof account);
	if (p)
		ask_policy(in, p, account);
	else
		store_do(gateway_store(in->account->gw), &in->op);
}

/* ---- without keeping anything ---- */
static bool try_intake(struct intake *in, struct dry_run *trial_r, struct answer *a_r)
{
	struct outcome why;

	*a_r = (struct answer){ 0 };
	*trial_r = (struct dry_run){ 0 };
	if (!check_intake(in, true, &why)) {
		a_r->reason = why.reason;
		memcpy(a_r->words, why.words, sizeof a_r->words);
		return false;
	}
	str_copy(trial_r->channel, sizeof trial_r->channel, str_of(in->channel->pub.name));
	trial_r->parts = in->op.accept.parts;
	return true;
}

void message_dry_run(
	struct account *a, struct message *m, struct dry_run *trial_r, struct answer *a_r)
{
	struct intake in = { .account = flow_account(a), .msg = m };

	try_intake(&in, trial_r, a_r);
	message_unref(&m);
}

struct trial {
	struct plugin_call call; /* first */
	struct message *msg;
	struct rehearsal *r;
	char account[96];
	bool asked;
};

/* The writer. What the policy counts for it is undone with the call. */
static int try_policy(struct plugin_call *c)
{
	struct trial *t = (struct trial *)c;
	struct plugin_policy p = { .id = store_call_id(&c->op) };
	struct rehearsal *r = t->r;

	t->asked = c->host->plugin->policy(c, t->msg, t->account, &p) == 0;
	if (!t->asked)
		return -1;
	r->state = state_by(&p, t->msg);
	r->reason = p.verdict == POLICY_GO ? REASON_NONE : p.reason;
	if (p.verdict == POLICY_HOLD)
		r->due = p.until;
	memcpy(r->words, p.words, sizeof r->words);
	return -1;
}

static void tried(struct plugin_call *c)
{
	struct trial *t = (struct trial *)c;
	struct rehearsal *r = t->r;

	if (c->fault != STORE_OK || !t->asked) {
		r->answer.reason = REASON_STORE;
		str_copy(r->answer.words, sizeof r->answer.words,
			STR("the policy cannot be asked now"));
	}
	message_unref(&t->msg);
	mem_free(&t);
	r->done(r);
}

void message_rehearse(struct account *a, struct message *m, struct rehearsal *r)
{
	struct intake in = { .account = flow_account(a), .msg = m };
	struct flow_plugin *p = NULL;
	struct trial *t;
	char account[96];

	m->submitter = a->submitter;
	if (try_intake(&in, &r->trial, &r->answer)) {
		r->state = STATE_QUEUED;
		r->due = m->send_at > clock_wall() ? m->send_at : 0;
		p = judge_of(&in, account, sizeof account);
	}
	if (!p) {
		message_unref(&m);
		r->done(r);
		return;
	}
	t = mem_new(struct trial);
	t->msg = m;
	t->r = r;
	str_copy(t->account, sizeof t->account, str_of(account));
	t->call.what = "rehearsal";
	t->call.run = try_policy;
	t->call.done = tried;
	t->call.loop = r->loop;
	t->call.refusable = true;
	plugin_call(&p->pub, &t->call);
}
