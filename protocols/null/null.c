/* The null protocol: takes every message of every medium and keeps nothing. For tests, staging and
 * benchmarks, and the file to copy for a new protocol: all a channel must do is here.
 *
 * Settings make it slow, refuse, or tell final states, so that what stands above it can be tried.
 */
#include "gateway/base/backoff.h"
#include "gateway/base/mem.h"
#include "protocols/protocol.h"

struct null_conf {
	dur_t latency, receipt_delay;
	double refuse, throttle, fail_receipt; /* shares, 0..1 */
	bool receipts;
};

static const struct conf_item null_rows[] = { CONF_DURATION(struct null_conf, latency, NULL, NULL,
						      "0", "How long an answer takes."),
	CONF_REAL(
		struct null_conf, refuse, 0, 1, 0, "Share of messages that are refused for good."),
	CONF_REAL(struct null_conf, throttle, 0, 1, 0, "Share of attempts answered \"slow down\"."),
	CONF_BOOL(struct null_conf, receipts, false, "Tell final states, as an SMSC would."),
	CONF_DURATION(
		struct null_conf, receipt_delay, NULL, NULL, "0", "How long after the answer."),
	CONF_REAL(struct null_conf, fail_receipt, 0, 1, 0, "Share of final states undeliverable."),
	CONF_END };

/* One answer or receipt that is due. Both lists are in order of time, since delays are fixed. */
struct due {
	struct list link;
	mono_t at;
	struct delivery *d;
	struct receipt_in *receipt;
};
struct null_channel {
	struct channel *c;
	struct list answers, receipts;
	struct timer timer;
	uint64_t count;
	mono_t give_up; /* when what is still unanswered is given back; 0: it is open */
};

static bool chance(double share)
{
	return share > 0 && (double)(random_u64() >> 11) / 9007199254740992.0 < share;
}

static void set_timer(struct null_channel *n)
{
	struct due *a = list_first(&n->answers, struct due, link);
	struct due *r = list_first(&n->receipts, struct due, link);
	mono_t at = a ? a->at : 0;

	if (r && (!at || r->at < at))
		at = r->at;
	if (n->give_up && (!at || n->give_up < at))
		at = n->give_up;
	if (at)
		timer_set(n->c->loop, &n->timer, at);
}

static void plan_receipt(struct null_channel *n, const struct null_conf *conf, const char *id)
{
	struct due *r = mem_new(struct due);
	bool fails = chance(conf->fail_receipt);

	r->receipt = mem_new(struct receipt_in);
	r->receipt->keys = 1;
	memcpy(r->receipt->key[0], id, OUTCOME_ID);
	memcpy(r->receipt->raw_id, id, OUTCOME_ID);
	r->receipt->state = fails ? STATE_UNDELIVERABLE : STATE_DELIVERED;
	r->receipt->reason = fails ? REASON_REFUSED : REASON_NONE;
	r->at = loop_now(n->c->loop) + conf->receipt_delay;
	list_append(&n->receipts, &r->link);
}

static void answer(struct null_channel *n, struct delivery *d)
{
	const struct null_conf *conf = n->c->specific;
	struct outcome o;

	if (chance(conf->throttle)) {
		o = outcome_words(REASON_THROTTLED, "null channel, as set");
	} else if (chance(conf->refuse)) {
		o = outcome_words(REASON_REFUSED, "null channel, as set");
	} else {
		o = outcome_of(REASON_NONE);
		o.final_word = !conf->receipts;
		/* unique over restarts: a receipt must not meet a message of the last run */
		snprintf(o.far_id, sizeof o.far_id, "%lx-%lx", (unsigned long)random_u64(),
			(unsigned long)++n->count);
		if (conf->receipts)
			plan_receipt(n, conf, o.far_id);
	}
	for (unsigned i = 0; d->parts > 1 && o.verdict == VERDICT_SENT && i < d->parts; i++)
		delivery_part(d, i, &o);
	delivery_done(d, &o);
}

static void null_due(struct timer *t)
{
	struct null_channel *n = CONTAINER(t, struct null_channel, timer);
	mono_t now = loop_now(n->c->loop);
	struct due *x;

	while ((x = list_first(&n->answers, struct due, link)) && x->at <= now) {
		list_remove(&x->link);
		answer(n, x->d);
		mem_free(&x);
	}
	while (n->give_up && now >= n->give_up && (x = list_first(&n->answers, struct due, link))) {
		struct outcome o = outcome_of(REASON_STOPPING);

		list_remove(&x->link);
		delivery_done(x->d, &o);
		mem_free(&x);
	}
	while ((x = list_first(&n->receipts, struct due, link)) && x->at <= now) {
		list_remove(&x->link);
		receipt_arrived(n->c, x->receipt, NULL);
		mem_free(&x->receipt);
		mem_free(&x);
	}
	if (n->give_up && list_empty(&n->answers))
		channel_closed(n->c);
	else
		set_timer(n);
}

static int null_open(struct channel *c, struct err *e)
{
	struct null_channel *n = c->self;

	*n = (struct null_channel){ .c = c, .timer.fire = null_due };
	list_init(&n->answers);
	list_init(&n->receipts);
	channel_window(c, (unsigned)(c->conf->connections * c->conf->window), NULL);
	return 0;
}

static void null_submit(struct channel *c, struct delivery *d)
{
	const struct null_conf *conf = c->specific;
	struct null_channel *n = c->self;
	struct due *x = mem_new(struct due);

	/* Even at once is later: delivery_done() never comes from inside submit(). */
	x->d = d;
	x->at = loop_now(c->loop) + conf->latency;
	list_append(&n->answers, &x->link);
	set_timer(n);
}

static void null_close(struct channel *c, dur_t grace)
{
	struct null_channel *n = c->self;

	channel_window(c, 0, NULL);
	n->give_up = loop_now(c->loop) + (grace > 0 ? grace : 1);
	list_each_safe (it, &n->receipts) {
		struct due *x = CONTAINER(it, struct due, link);

		list_remove(&x->link);
		mem_free(&x->receipt);
		mem_free(&x);
	}
	timer_in(c->loop, &n->timer, 0);
}

const struct protocol protocol_null = {
	.name = "null",
	.about = "takes everything, keeps nothing: for tests and staging",
	.media = MEDIA_ANY,
	.channel_conf = null_rows,
	.channel_conf_size = sizeof(struct null_conf),
	.channel_size = sizeof(struct null_channel),
	.open = null_open,
	.submit = null_submit,
	.close = null_close,
};
