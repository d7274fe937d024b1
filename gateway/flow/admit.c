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
	struct message *msg;
	void *token;
	struct answer answer;
};

static void intake_answer(struct letter *l)
{
	struct intake *in = CONTAINER(l, struct intake, letter);

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
			stat_inc(&in->channel->stats.accepted);
			log_debug("accepted", F_ID("msg", op->accept.id),
				F_STR("account", in->account->full_name),
				F_STR("channel", in->channel->pub.name));
			queue_offer(in->channel, message_ref(in->msg), &op->accept.place, 0,
				op->accept.parts,
				op->accept.place.due > in->msg->accepted ? OFFER_LATER : OFFER_NOW);
		}
	}
	if (loop_self() == in->listener->loop)
		intake_answer(&in->letter);
	else
		loop_post(in->listener->loop, &in->letter);
}

/* Validity and schedule, made absolute and checked. */
static bool times_are_good(struct intake *in, struct outcome *why)
{
	const struct settings *s = gateway_settings(in->account->gw);
	dur_t most = in->account->pub.conf->valid_most;
	struct message *m = in->msg;
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

static bool check_intake(struct intake *in, struct outcome *why)
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
	if (!account_rate_take(a)) {
		*why = outcome_of(REASON_RATE);
		return false;
	}
	if (!message_has(m, FIELD_TO)) {
		*why = outcome_words(REASON_BAD_DESTINATION, "there is no destination");
		return false;
	}
	if (!account_may_send_as(a, message_get(m, FIELD_FROM))) {
		*why = outcome_words(REASON_BAD_SENDER, "this account may not use that sender");
		return false;
	}
	if (!times_are_good(in, why))
		return false;
	way = plan_route(
		gateway_plan(a->gw), m, submitter_name(a->gw, m, name, sizeof name), &prio, why);
	if (!way)
		return false;
	if (a->pub.conf->priority[0])
		priority_parse(str_of(a->pub.conf->priority), &prio);
	m->priority = (uint8_t)prio;
	if (way->queue_most && atomic_load(&way->c->depth) >= way->queue_most) {
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

void message_arrived(struct listener *l, struct account *a, struct message *m, void *token)
{
	struct intake *in = mem_new(struct intake);
	struct outcome why;

	in->listener = l;
	in->account = flow_account(a);
	in->msg = m;
	in->token = token;
	in->letter.run = intake_answer;
	m->submitter = a->submitter;
	if (!check_intake(in, &why)) {
		refuse(in, &why);
		return;
	}
	in->op.kind = OP_ACCEPT;
	in->op.loop = in->channel->pub.loop;
	in->op.done = accept_done;
	in->op.accept.msg = m;
	in->op.accept.channel = in->channel->pub.number;
	in->op.accept.state = STATE_QUEUED;
	in->op.accept.unique = message_has(m, FIELD_CLIENT_ID) && !(m->flags & MSG_ALIAS);
	store_do(gateway_store(in->account->gw), &in->op);
}

void message_dry_run(
	struct account *a, struct message *m, struct dry_run *trial_r, struct answer *a_r)
{
	struct intake in = { .account = flow_account(a), .msg = m };
	struct outcome why;

	*a_r = (struct answer){ 0 };
	*trial_r = (struct dry_run){ 0 };
	if (check_intake(&in, &why)) {
		str_copy(trial_r->channel, sizeof trial_r->channel, str_of(in.channel->pub.name));
		trial_r->parts = in.op.accept.parts;
	} else {
		a_r->reason = why.reason;
		memcpy(a_r->words, why.words, sizeof a_r->words);
	}
	message_unref(&m);
}
