/* What flow's tests share: a whole gateway on a directory of its own, between a door and a probe.
 *
 * The door is an internal listener: messages go in by it, answers and notes come out. The probe
 * (tests/flow_probe.h) is what they come out at, and the ledger keeps all that was accepted, so
 * that at the end it can be asked: did each message have one end, was each told of once, was each
 * sent as often as it should?
 */
#ifndef POSTERN_TESTS_FLOW_FIXTURE_H
#define POSTERN_TESTS_FLOW_FIXTURE_H

#include "tests/flow_probe.h"
#include "tests/share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

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
