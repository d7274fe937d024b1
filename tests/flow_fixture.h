/* What flow's tests share: a whole gateway on a directory of its own, between a door and a probe.
 *
 * The door is an internal listener: messages go in by it, answers and notes come out. The probe is
 * a protocol whose channels answer as a plan says (by chance, or as a test decides) and write down
 * what they were given. Everything that was accepted is kept in a ledger, so that at the end it can
 * be asked: did each message have one end, was each told of once, was each sent as often as it
 * should?
 */
#ifndef POSTERN_TESTS_FLOW_FIXTURE_H
#define POSTERN_TESTS_FLOW_FIXTURE_H

#include "gateway/base/log.h"
#include "gateway/base/map.h"
#include "gateway/base/mem.h"
#include "gateway/flow/flow.h"
#include "tests/share.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

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

/* ---- the door ---- */
struct knock {
	struct letter letter;
	struct account *a;
	struct message *m;
	uint64_t *id_r; /* written under the lock, 0: refused */
	bool wants;
};
/* account->self: notes that it was lent and has not given back */
struct hearer {
	struct account *a;
	struct list notes;
	struct timer timer;
};

static void door_answer(struct listener *l, void *token, const struct answer *a)
{
	struct knock *k = token;

	fx_lock();
	fx.answered++;
	if (a->reason == REASON_NONE) {
		fx_entry(a->id)->wants |= k->wants;
	} else {
		fx.refused++;
		fx.reason = a->reason;
	}
	if (k->id_r)
		*k->id_r = a->reason == REASON_NONE ? a->id : 0;
	fx_unlock();
	mem_free(&k);
}

static void hear_later(struct timer *t)
{
	struct hearer *h = CONTAINER(t, struct hearer, timer);
	struct note *n;

	while ((n = list_first(&h->notes, struct note, link)) != NULL) {
		struct outcome o = outcome_of(REASON_NONE);
		struct entry *e;

		list_remove(&n->link);
		if (fx_chance(fx_chances().tell_again)) {
			o = outcome_of(REASON_TEMPORARY);
			o.delay = fx_chance(500) ? DUR_MS : 0;
		}
		fx_lock();
		e = fx_entry(n->msg);
		if (o.verdict == VERDICT_SENT) {
			if (n->seq <= e->seq)
				fx_die("message %lu: note %lu after %lu", n->msg, n->seq, e->seq);
			e->seq = n->seq;
			e->told++;
			e->last = n->state;
			e->finals += n->kind == NOTE_RECEIPT;
		}
		fx_unlock();
		note_done(h->a, n, &o);
	}
}

static void door_notify(struct account *a, struct note *n)
{
	struct hearer *h = a->self;

	list_append(&h->notes, &n->link);
	if (!timer_is_set(&h->timer))
		timer_in(a->loop, &h->timer, (dur_t)fx_random(2000) * DUR_US);
}

static void door_account_open(struct account *a)
{
	struct hearer *h = a->self;

	h->a = a;
	h->timer.fire = hear_later;
	list_init(&h->notes);
}

static void door_unlisten(struct listener *l, dur_t grace)
{
	for (unsigned i = 0; i < FX_ACCOUNTS; i++) {
		struct hearer *h = fx.account[i]->self;
		struct outcome o = outcome_of(REASON_STOPPING);
		struct note *n;

		account_credit(h->a, 0);
		timer_cancel(l->loop, &h->timer);
		while ((n = list_first(&h->notes, struct note, link)) != NULL) {
			list_remove(&n->link);
			note_done(h->a, n, &o);
		}
	}
	listener_closed(l);
}

static void door_evidence(struct listener *l, void *token, bool stored)
{
	fx_lock();
	*(int *)token = stored ? 1 : -1;
	fx_unlock();
}

static const struct protocol protocol_door = {
	.name = "door",
	.about = "for tests",
	.account_size = sizeof(struct hearer),
	.answer = door_answer,
	.evidence_answer = door_evidence,
	.notify = door_notify,
	.account_open = door_account_open,
	.unlisten = door_unlisten,
};

static void fx_declare(void *arg)
{
	static const char *const names[FX_ACCOUNTS] = { "one", "two" };

	for (unsigned i = 0; i < FX_ACCOUNTS; i++) {
		fx.account[i] = account_declare(fx.door, names[i], &fx.aconf[i], NULL);
		assert_non_null(fx.account[i]);
		account_credit(fx.account[i], fx.credit);
	}
}

/* ---- life ---- */
static struct settings *fx_settings(const char *channels_and_routes)
{
	struct conf_faults f = { 0 };
	struct settings *s;

	snprintf(fx.conf, sizeof fx.conf, "state = \"%s\"; loops = 2; shutdown_grace = \"5s\";\n%s",
		fx.dir, channels_and_routes);
	s = settings_load_text(str_of(fx.conf), fx.files, &f);
	if (!s) {
		conf_faults_print(&f, stderr);
		fail_msg("the settings have faults");
	}
	conf_faults_free(&f);
	return s;
}

static void fx_start(const char *channels_and_routes)
{
	struct err e = { 0 };

	log_set_level(getenv("LOG") ? LOG_DEBUG : LOG_ERROR);
	fx.g = gateway_new(fx_settings(channels_and_routes), &e);
	if (!fx.g || gateway_start(fx.g, &e) != 0)
		fail_msg("%s", e.text);
	log_set_level(getenv("LOG") ? LOG_DEBUG : LOG_ERROR);
	fx.door = gateway_internal_listener(fx.g, &protocol_door, "door");
	gateway_call(fx.g, fx.door->loop, fx_declare, NULL);
}

static void fx_new_dir(void)
{
	const char *dir = getenv("SCRATCH");

	snprintf(fx.dir, sizeof fx.dir, "%s/flow-XXXXXX", dir ? dir : "/tmp");
	assert_non_null(mkdtemp(fx.dir));
}

static void fx_prepare(void)
{
	static const struct account_conf usual = {
		.policy = "none", .media = "sms", .priority = ""
	};

	fx = (struct fixture){ .credit = 20 };
	for (unsigned i = 0; i < FX_ACCOUNTS; i++)
		fx.aconf[i] = usual;
	pthread_mutex_init(&fx.lock, NULL);
	pthread_cond_init(&fx.news, NULL);
	fx_new_dir();
}

static void fx_begin(const char *channels_and_routes)
{
	fx_prepare();
	fx_start(channels_and_routes);
}

static void fx_stop(void)
{
	gateway_stop(fx.g);
	gateway_free(&fx.g);
}

static void fx_forget(void)
{
	static const char *const files[] = { "postern.db", "postern.db-wal", "postern.db-shm",
		"inflight", "lock" };
	char path[200];
	struct entry *e;

	for (size_t i = 0; (e = map_next(&fx.entries, &i)) != NULL;)
		mem_free(&e);
	map_free(&fx.entries);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", fx.dir, files[i]);
		unlink(path);
	}
	snprintf(path, sizeof path, "%s/spool", fx.dir);
	rmdir(path);
	rmdir(fx.dir);
}

static void fx_end(void)
{
	fx_stop();
	fx_forget();
}

/* ---- doing ---- */
struct fx_msg {
	unsigned account;
	enum priority priority;
	const char *text, *to, *client_id, *channel;
	wall_t send_at, expires;
	uint8_t wants;
	enum media media;
	uint8_t flags;
};

static struct message *fx_message(struct fx_msg f)
{
	struct draft d;
	struct message *m;

	draft_init(&d);
	d.head.priority = (uint8_t)f.priority;
	d.head.media = (uint8_t)f.media;
	d.head.send_at = f.send_at;
	d.head.expires = f.expires;
	d.head.wants = f.wants;
	d.head.flags = f.flags;
	draft_put(&d, FIELD_FROM, STR("Test"));
	draft_put(&d, FIELD_TO, str_of(f.to ? f.to : "46700000001"));
	draft_put(&d, FIELD_TEXT, str_of(f.text ? f.text : "hello"));
	draft_put(&d, FIELD_CLIENT_ID, str_of(f.client_id));
	draft_put(&d, FIELD_CHANNEL, str_of(f.channel));
	m = draft_seal(&d);
	draft_free(&d);
	return m;
}

static void knock_run(struct letter *l)
{
	struct knock *k = CONTAINER(l, struct knock, letter);

	message_arrived(fx.door, k->a, k->m, k);
}

/* Does not wait. */
static void fx_post(struct fx_msg f, uint64_t *id_r)
{
	struct knock *k = mem_new(struct knock);

	k->letter.run = knock_run;
	k->a = fx.account[f.account];
	k->m = fx_message(f);
	k->id_r = id_r;
	k->wants = f.wants != 0;
	fx_lock();
	fx.asked++;
	fx_unlock();
	loop_post(fx.door->loop, &k->letter);
}

/* Waits until the condition holds; false after the time. */
static bool fx_until(bool (*holds)(void *arg), void *arg, dur_t most)
{
	mono_t end = clock_mono() + most;
	bool ok;

	for (;;) {
		fx_lock();
		ok = holds(arg);
		fx_unlock();
		if (ok || clock_mono() > end)
			return ok;
		usleep(2000);
	}
}

static bool all_answered(void *arg)
{
	return fx.answered == fx.asked;
}

static void fx_answers(void)
{
	if (!fx_until(all_answered, NULL, 60 * DUR_S))
		fail_msg("%u of %u were answered", fx.answered, fx.asked);
}

static uint64_t fx_send(struct fx_msg f)
{
	uint64_t id = 0;

	fx_post(f, &id);
	fx_answers();
	return id;
}

static struct store_view fx_view(uint64_t id)
{
	struct store_view v;
	struct err e;

	if (store_find(gateway_store(fx.g), id, false, &v, &e) != 1)
		fail_msg("message %lu is not in the store", id);
	return v;
}

static enum state fx_state(uint64_t id)
{
	struct store_view v = fx_view(id);
	enum state s = v.state;

	store_view_free(&v);
	return s;
}

struct state_of {
	uint64_t id;
	enum state state;
};

static void fx_state_becomes(uint64_t id, enum state want)
{
	mono_t end = clock_mono() + 20 * DUR_S;
	enum state is;

	while ((is = fx_state(id)) != want && clock_mono() < end)
		usleep(2000);
	if (is != want)
		fail_msg("message %lu is %s, not %s", id, state_word(is), state_word(want));
}

static struct flow_channel *fx_channel(const char *name)
{
	struct flow_channel *c = gateway_channel_named(fx.g, name);

	assert_non_null(c);
	return c;
}

struct inside {
	struct flow_channel *c;
	unsigned in_flight, outstanding, waiting;
	uint64_t bytes;
	unsigned high; /* in: set, when not 0 */
	bool opened;
};

static void inside_run(void *arg)
{
	struct inside *i = arg;

	i->in_flight = i->c->in_flight;
	i->outstanding = i->c->outstanding;
	i->waiting = queue_waiting(i->c);
	i->bytes = queue_bytes(i->c);
	i->opened = i->c->opened;
	if (i->high)
		i->c->high = i->high;
}

static struct inside fx_inside(struct flow_channel *c)
{
	struct inside i = { .c = c };

	gateway_call(fx.g, c->pub.loop, inside_run, &i);
	return i;
}

/* So few messages of each priority in memory. */
static void fx_small_memory(const char *channel, unsigned high)
{
	struct inside i = { .c = fx_channel(channel), .high = high };

	gateway_call(fx.g, i.c->pub.loop, inside_run, &i);
}

static uint64_t fx_queued(void)
{
	struct store_depth d[64];
	bool counted;
	unsigned n = store_depths(gateway_store(fx.g), d, 64, &counted);
	uint64_t sum = counted ? 0 : 1;

	for (unsigned i = 0; i < n; i++)
		for (int p = 0; p < PRIORITY_COUNT; p++)
			sum += d[i].waiting[p];
	return sum;
}

/* Nothing waits, is in flight or is to be told any more. */
static bool drained(void *arg)
{
	uint64_t notes = 0;

	if (fx.lent || fx_queued())
		return false;
	for (unsigned i = 0; i < FX_ACCOUNTS; i++)
		notes += store_notes_waiting(gateway_store(fx.g), fx.account[i]->submitter);
	return notes == 0;
}

static void fx_drain(dur_t most)
{
	fx_answers();
	if (!fx_until(drained, NULL, most))
		fail_msg("%lu still wait, %u are in flight, %lu and %lu notes", fx_queued(),
			fx.lent, store_notes_waiting(gateway_store(fx.g), fx.account[0]->submitter),
			store_notes_waiting(gateway_store(fx.g), fx.account[1]->submitter));
}

/* Credit has come back: polled, since the last records may be on their way. */
static void fx_no_credit_is_out(const char *channel)
{
	mono_t end = clock_mono() + 10 * DUR_S;
	struct inside i;

	do {
		i = fx_inside(fx_channel(channel));
	} while ((i.in_flight || i.outstanding) && clock_mono() < end && usleep(2000) == 0);
	assert_int_equal(i.in_flight, 0);
	assert_int_equal(i.outstanding, 0);
}

static void fx_reload(const char *channels_and_routes)
{
	struct settings *s = fx_settings(channels_and_routes);
	struct buf changes = BUF_INIT;
	struct err e = { 0 };

	if (gateway_reload(fx.g, s, false, &changes, &e) != 0)
		fail_msg("reload: %s", e.text);
	log_set_level(getenv("LOG") ? LOG_DEBUG : LOG_ERROR);
	buf_free(&changes);
}

/* What became of one message, held against the ledger. A receipt that calls one part undeliverable
 * ends the whole, whether all parts have left or not. */
static void fx_check(struct entry *e)
{
	struct store_view v = fx_view(e->id);
	enum state st = v.state;
	bool done = st == STATE_SENT || st == STATE_DELIVERED || st == STATE_UNDELIVERABLE;

	if (!state_is_final(st) && !(st == STATE_SENT && !fx.chances.receipts))
		fail_msg("message %lu is left %s", e->id, state_word(st));
	for (unsigned i = 0; done && i < (e->parts ? e->parts : 1); i++)
		if (e->sent[i] != 1 && !(e->sent[i] == 0 && st == STATE_UNDELIVERABLE))
			fail_msg("message %lu is %s, part %u of %u was sent %u times", e->id,
				state_word(st), i, e->parts, e->sent[i]);
	for (unsigned i = 0; (st == STATE_CANCELLED || st == STATE_EXPIRED) && i < FX_PARTS; i++)
		if (e->sent[i] && e->parts < 2)
			fail_msg("message %lu is %s and was sent", e->id, state_word(st));
	if (e->wants && (e->finals != 1 || e->last != st))
		fail_msg("message %lu is %s, was told %u times, last as %s", e->id, state_word(st),
			e->finals, state_word(e->last));
	if (!e->wants && e->told)
		fail_msg("message %lu was told of to nobody", e->id);
	store_view_free(&v);
}

static void fx_check_all(unsigned count)
{
	struct entry *e;
	unsigned n = 0;

	for (size_t i = 0; (e = map_next(&fx.entries, &i)) != NULL; n++)
		fx_check(e);
	assert_int_equal(n, count);
}

#endif
