/* For flow's tests (tests/flow_fixture.h): the ledger of what was accepted and became of it, and
 * the probe, a protocol whose channels answer as a plan says (by chance, or as a test decides) and
 * write down in it what they were given. Header-only; tests only.
 */
#ifndef POSTERN_TESTS_FLOW_PROBE_H
#define POSTERN_TESTS_FLOW_PROBE_H

#include "gateway/base/log.h"
#include "gateway/base/map.h"
#include "gateway/base/mem.h"
#include "gateway/flow/flow.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* no test uses all of it */
#pragma GCC diagnostic ignored "-Wunused-function"

enum { FX_PARTS = 4, FX_ACCOUNTS = 2 };

/* ---- the ledger ---- */
struct entry {
	uint64_t id;
	unsigned submits;        /* times lent to a channel */
	unsigned sent[FX_PARTS]; /* times that a part was taken */
	unsigned lost[FX_PARTS]; /* answers that were swallowed */
	unsigned parts;
	bool wants, cancelled, repeated;
	unsigned told, finals; /* notes taken; of them receipts or corrections */
	uint64_t seq;          /* of the last note */
	enum state last;       /* that it told */
	uint8_t priority;
	uint32_t channel; /* that had it last */
	unsigned turn;    /* rises with each lending, over all messages */
};

/* What the probe does, in parts per thousand; later ones of what is left by the ones before. */
struct chances {
	unsigned throttle, temporary, refuse, lose, fail_part, breaks;
	unsigned early, twice, fails; /* receipts: before the answer, again, undeliverable */
	unsigned mute;                /* receipts that are awaited and do not come */
	unsigned tell_again;          /* notes: refused for now */
	bool receipts;
	dur_t latency, receipt_delay; /* at most; random below */
};

struct fixture {
	struct gateway *g;
	struct settings *s;
	char dir[128], conf[8192];
	const char *files; /* where plugins' files are; NULL: nowhere */
	struct listener *door;
	struct account *account[FX_ACCOUNTS];
	struct account_conf aconf[FX_ACCOUNTS];
	pthread_mutex_t lock;
	pthread_cond_t news;
	struct map entries;
	struct chances chances; /* set while nothing is under way, else by fx_play() */
	/* asked before the chances; true: *o_r is the answer */
	bool (*decide)(struct channel *c, struct delivery *d, unsigned part, struct outcome *o_r);
	void (*taken)(uint64_t id, unsigned part); /* with the lock */
	unsigned asked, answered, refused, turn, lent, lent_most;
	unsigned credit;
	enum reason reason; /* of the last refusal */
};
static struct fixture fx;

/* From any thread: cmocka's own failures belong to the main one. */
#define fx_die(...)                                       \
	do {                                              \
		fprintf(stderr, "FAILURE: " __VA_ARGS__); \
		fputc('\n', stderr);                      \
		abort();                                  \
	} while (0)

static unsigned fx_random(unsigned n)
{
	return (unsigned)(random_u64() % n);
}

static bool fx_chance(unsigned per_thousand)
{
	return per_thousand && fx_random(1000) < per_thousand;
}

static struct entry *fx_entry(uint64_t id) /* with the lock */
{
	struct entry *e = map_get_u64(&fx.entries, id);

	if (!e) {
		e = mem_new(struct entry);
		e->id = id;
		map_put_u64(&fx.entries, id, e);
	}
	return e;
}

static void fx_lock(void)
{
	pthread_mutex_lock(&fx.lock);
}

static void fx_unlock(void)
{
	pthread_cond_broadcast(&fx.news);
	pthread_mutex_unlock(&fx.lock);
}

/* What the probe does from here on, messages under way. */
static void fx_play(struct chances chances)
{
	fx_lock();
	fx.decide = NULL;
	fx.chances = chances;
	fx_unlock();
}

static struct chances fx_chances(void)
{
	struct chances chances;

	fx_lock();
	chances = fx.chances;
	fx_unlock();
	return chances;
}

static bool fx_decided(struct channel *c, struct delivery *d, unsigned part, struct outcome *o_r)
{
	bool (*decide)(struct channel *, struct delivery *, unsigned, struct outcome *);

	fx_lock();
	decide = fx.decide;
	fx_unlock();
	return decide && decide(c, d, part, o_r);
}

/* ---- the probe ---- */
struct probe_conf {
	dur_t latency;
	const char *word;
};
static const struct conf_item probe_rows[] = { CONF_DURATION(struct probe_conf, latency, NULL, NULL,
						       "0", "How long an answer takes."),
	CONF_STR(struct probe_conf, word, "", "To differ in."), CONF_END };
struct due {
	struct list link;
	mono_t at;
	struct delivery *d;
	struct receipt_in *receipt;
};
struct probe {
	struct channel *c;
	struct list dues;
	struct timer timer;
	unsigned lent, parts;
	bool closing;
};

static void probe_wake(struct probe *p)
{
	mono_t at = 0;

	list_each (it, &p->dues) {
		struct due *x = CONTAINER(it, struct due, link);

		if (!at || x->at < at)
			at = x->at;
	}
	if (at)
		timer_set(p->c->loop, &p->timer, at);
}

static void probe_later(struct probe *p, struct due *x, dur_t most)
{
	x->at = loop_now(p->c->loop) +
		(most ? (dur_t)fx_random((unsigned)(most / DUR_US)) * DUR_US : 0);
	list_append(&p->dues, &x->link);
	probe_wake(p);
}

static void probe_receipt(struct probe *p, const char *id, bool now)
{
	struct due *x = mem_new(struct due);
	struct chances ch = fx_chances();
	bool fails = fx_chance(ch.fails);

	x->receipt = mem_new(struct receipt_in);
	x->receipt->keys = 1;
	memcpy(x->receipt->key[0], id, OUTCOME_ID);
	memcpy(x->receipt->raw_id, id, OUTCOME_ID);
	x->receipt->state = fails ? STATE_UNDELIVERABLE : STATE_DELIVERED;
	x->receipt->reason = fails ? REASON_REFUSED : REASON_NONE;
	if (!now) {
		probe_later(p, x, ch.receipt_delay);
		return;
	}
	receipt_arrived(p->c, x->receipt, NULL);
	mem_free(&x->receipt);
	mem_free(&x);
}

static struct outcome probe_outcome(struct probe *p, struct delivery *d, unsigned part)
{
	struct chances ch = fx_chances();
	struct outcome o = outcome_of(REASON_NONE);
	static _Atomic unsigned counter;

	if (!fx_decided(p->c, d, part, &o)) {
		if (fx_chance(ch.throttle)) {
			o = outcome_of(REASON_THROTTLED);
			o.delay = DUR_MS;
		} else if (fx_chance(ch.temporary)) {
			o = outcome_of(REASON_TEMPORARY);
		} else if (fx_chance(ch.refuse)) {
			o = outcome_of(REASON_REFUSED);
		} else if (fx_chance(ch.lose)) {
			o = outcome_of(REASON_LOST);
		} else if (part && fx_chance(ch.fail_part)) {
			o = outcome_of(REASON_TEMPORARY);
		} else if (fx_chance(ch.breaks)) {
			o = outcome_of(REASON_NOT_BOUND);
		}
	}
	if (o.verdict == VERDICT_SENT) {
		o.final_word = !ch.receipts;
		snprintf(o.far_id, sizeof o.far_id, "%lx-%u-%u", d->msg->id, part,
			atomic_fetch_add(&counter, 1));
	}
	return o;
}

static void probe_count(const struct delivery *d, unsigned part, const struct outcome *o)
{
	struct entry *e;

	fx_lock();
	e = fx_entry(d->msg->id);
	if (o->verdict == VERDICT_SENT) {
		e->sent[part]++;
		if (fx.taken)
			fx.taken(d->msg->id, part);
	} else if (o->verdict == VERDICT_UNCERTAIN) {
		e->lost[part]++;
	}
	fx_unlock();
}

static void probe_answer(struct probe *p, struct delivery *d)
{
	struct chances ch = fx_chances();
	struct outcome o = outcome_of(REASON_NONE);
	unsigned parts = 0;

	for (unsigned i = 0; i < d->parts; i++)
		parts += !delivery_part_sent(d, i);
	p->lent--;
	p->parts -= parts;
	fx_lock();
	fx.lent--;
	fx_unlock();
	for (unsigned i = 0; i < d->parts; i++) {
		if (delivery_part_sent(d, i))
			continue;
		o = probe_outcome(p, d, i);
		probe_count(d, i, &o);
		if (o.verdict != VERDICT_SENT)
			break;
		if (ch.receipts && !fx_chance(ch.mute)) {
			bool early = fx_chance(ch.early);

			probe_receipt(p, o.far_id, early);
			if (fx_chance(ch.twice))
				probe_receipt(p, o.far_id, false);
		}
		if (d->parts > 1)
			delivery_part(d, i, &o);
	}
	delivery_done(d, &o);
}

static void probe_due(struct timer *t)
{
	struct probe *p = CONTAINER(t, struct probe, timer);
	mono_t now = loop_now(p->c->loop);

	for (bool some = true; some;) {
		some = false;
		list_each_safe (it, &p->dues) {
			struct due *x = CONTAINER(it, struct due, link);

			if (x->at > now)
				continue;
			list_remove(&x->link);
			if (x->d)
				probe_answer(p, x->d);
			else
				receipt_arrived(p->c, x->receipt, NULL);
			mem_free(&x->receipt);
			mem_free(&x);
			some = true;
			break;
		}
	}
	if (p->closing && list_empty(&p->dues))
		channel_closed(p->c);
	else
		probe_wake(p);
}

static int probe_open(struct channel *c, struct err *e)
{
	struct probe *p = c->self;

	*p = (struct probe){ .c = c, .timer.fire = probe_due };
	list_init(&p->dues);
	channel_window(c, (unsigned)(c->conf->connections * c->conf->window), NULL);
	return 0;
}

static void probe_submit(struct channel *c, struct delivery *d)
{
	const struct probe_conf *conf = c->specific;
	struct probe *p = c->self;
	struct due *x = mem_new(struct due);
	unsigned parts = 0, window = (unsigned)(c->conf->connections * c->conf->window);
	struct entry *e;

	for (unsigned i = 0; i < d->parts; i++)
		parts += !delivery_part_sent(d, i);
	p->lent++;
	p->parts += parts;
	if (p->parts > window && p->lent > 1)
		fx_die("%u parts in flight, the window is %u", p->parts, window);
	fx_lock();
	e = fx_entry(d->msg->id);
	e->submits++;
	e->turn = ++fx.turn;
	e->parts = d->parts;
	e->priority = d->msg->priority;
	e->channel = c->number;
	e->repeated |= d->repeated;
	fx.lent++;
	fx_unlock();
	x->d = d;
	probe_later(p, x, conf->latency ? conf->latency : fx_chances().latency);
}

static void probe_close(struct channel *c, dur_t grace)
{
	struct probe *p = c->self;

	channel_window(c, 0, NULL);
	p->closing = true;
	list_each_safe (it, &p->dues) {
		struct due *x = CONTAINER(it, struct due, link);

		if (x->d)
			continue;
		receipt_arrived(c, x->receipt, NULL); /* none is lost by a reload */
		list_remove(&x->link);
		mem_free(&x->receipt);
		mem_free(&x);
	}
	timer_in(c->loop, &p->timer, 0);
}

static int probe_adopt(struct channel *c, const void *conf)
{
	const struct probe_conf *is = c->specific, *to = conf;

	return strcmp(is->word, to->word) == 0 ? 0 : -1;
}

/* "3…" is three parts. */
static unsigned probe_parts(const struct channel *c, const struct message *m, struct outcome *why)
{
	struct str text = message_get(m, FIELD_TEXT);

	return text.n && text.p[0] >= '1' && text.p[0] <= '0' + FX_PARTS
		       ? (unsigned)(text.p[0] - '0')
		       : 1;
}

static const struct protocol protocol_probe = {
	.name = "probe",
	.about = "for tests",
	.media = MEDIA_ANY,
	.channel_conf = probe_rows,
	.channel_conf_size = sizeof(struct probe_conf),
	.channel_size = sizeof(struct probe),
	.open = probe_open,
	.submit = probe_submit,
	.close = probe_close,
	.parts = probe_parts,
	.adopt = probe_adopt,
};
/* the same under another name, whose uncertain messages wait for the operator */
static const struct protocol protocol_holding = {
	.name = "holding",
	.about = "for tests",
	.media = MEDIA_ANY,
	.channel_conf = probe_rows,
	.channel_conf_size = sizeof(struct probe_conf),
	.channel_size = sizeof(struct probe),
	.holds_uncertain = true,
	.open = probe_open,
	.submit = probe_submit,
	.close = probe_close,
	.parts = probe_parts,
	.adopt = probe_adopt,
};
const struct protocol *const protocols_of_tests[] = { &protocol_probe, &protocol_holding, NULL };

#endif
