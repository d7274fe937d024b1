/* The gateway put together: start, stop, reload. See gateway.h. Main and control threads, unless a
 * function says otherwise.
 */
#include "gateway/flow/gateway.h"
#include "gateway/base/log.h"
#include "gateway/base/map.h"
#include "gateway/base/mem.h"
#include "gateway/base/waiter.h"
#include "gateway/flow/flow.h"

extern const struct protocol protocol_fallback;

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NUMBERS_MOST = 1 << 16, LOOPS_MOST = 64, WORKERS = 3 };

struct gateway {
	struct settings *settings;
	struct settings *before; /* the ones before these: objects may still look at them */
	unsigned generation;
	struct store *store;
	struct inflight *inflight;
	struct loop *loops[LOOPS_MOST];
	unsigned loops_n, next_loop;
	_Atomic(struct plan *) plan;
	struct plan *old_plan;
	_Atomic bool ready, stopping;
	bool unsettled; /* stopped with operations on their way */
	/* by the store's numbers; written under reload only, read by every loop */
	_Atomic(struct flow_channel *) channel[NUMBERS_MOST];
	_Atomic(struct flow_account *) account[NUMBERS_MOST];
	struct flow_channel *fallback;
	_Atomic unsigned names_top; /* highest number in use */
	struct flow_listener **listeners;
	size_t listeners_n;
	struct waiter *closing; /* who waits for the object being closed */
	struct stat_cell lag[LOOPS_MOST], info, uptime;
	mono_t started;
	struct timer depth_timer;
	struct letter depth_letter;
};

/* ---- what the rest of flow asks ---- */
wall_t gateway_due_now(struct gateway *g)
{
	return store_now(g->store);
}

bool gateway_was_in_flight(struct gateway *g, uint64_t id)
{
	return inflight_was(g->inflight, id);
}

struct inflight *gateway_inflight(struct gateway *g)
{
	return g->inflight;
}

struct plan *gateway_plan(struct gateway *g)
{
	return atomic_load_explicit(&g->plan, memory_order_acquire);
}

struct store *gateway_store(struct gateway *g)
{
	return g->store;
}

const struct settings *gateway_settings(struct gateway *g)
{
	return plan_settings(gateway_plan(g));
}

bool gateway_ready(const struct gateway *g)
{
	return atomic_load(&g->ready) && !atomic_load(&g->stopping);
}

bool gateway_stopping(const struct gateway *g)
{
	return atomic_load(&g->stopping);
}

unsigned gateway_generation(struct gateway *g)
{
	return g->generation;
}

struct flow_channel *gateway_channel(struct gateway *g, uint32_t number)
{
	return number < NUMBERS_MOST ? atomic_load(&g->channel[number]) : NULL;
}

struct flow_account *gateway_account(struct gateway *g, uint32_t submitter)
{
	return submitter < NUMBERS_MOST ? atomic_load(&g->account[submitter]) : NULL;
}

/* Few names, seldom asked for by name on a hot path (messages that name a channel): a walk. */
struct flow_channel *gateway_channel_named(struct gateway *g, const char *name)
{
	for (unsigned i = 1; i < NUMBERS_MOST && i <= atomic_load(&g->names_top); i++) {
		struct flow_channel *c = atomic_load(&g->channel[i]);

		if (c && strcmp(c->pub.name, name) == 0)
			return c;
	}
	return NULL;
}

struct flow_account *gateway_account_named(struct gateway *g, const char *protocol, struct str name)
{
	for (unsigned i = 1; i < NUMBERS_MOST && i <= atomic_load(&g->names_top); i++) {
		struct flow_account *a = atomic_load(&g->account[i]);

		if (a && str_is(name, a->pub.name) && strcmp(a->pub.protocol->name, protocol) == 0)
			return a;
	}
	return NULL;
}

void gateway_each_account(
	struct gateway *g, const char *protocol, void (*fn)(struct flow_account *))
{
	for (unsigned i = 1; i <= atomic_load(&g->names_top); i++) {
		struct flow_account *a = atomic_load(&g->account[i]);

		if (a && strcmp(a->pub.protocol->name, protocol) == 0)
			fn(a);
	}
}

struct flow_channel *gateway_fallback(struct gateway *g)
{
	return g->fallback;
}

const char *submitter_name(struct gateway *g, const struct message *m, char *out, size_t cap)
{
	struct str behalf = message_get(m, FIELD_ON_BEHALF);
	struct flow_account *a = gateway_account(g, m->submitter);

	str_copy(out, cap, behalf.n ? behalf : str_of(a ? a->full_name : ""));
	return out;
}

static void number_taken(struct gateway *g, uint32_t number)
{
	CHECK(number < NUMBERS_MOST);
	if (number > atomic_load(&g->names_top))
		atomic_store(&g->names_top, number);
}

void gateway_account_add(struct gateway *g, struct flow_account *a)
{
	number_taken(g, a->pub.submitter);
	atomic_store(&g->account[a->pub.submitter], a);
}

void gateway_call(struct gateway *g, struct loop *l, void (*fn)(void *arg), void *arg)
{
	loop_call(l, fn, arg);
}

/* ---- making ---- */
static struct loop *loop_for(struct gateway *g, bool listener)
{
	/* Listeners share the first loop (accounts of one protocol live together); channels begin
	 * with the last. */
	if (listener)
		return g->loops[0];
	return g->loops[g->loops_n - 1 - g->next_loop++ % g->loops_n];
}

static int make_state_dir(const struct settings *s, struct err *e)
{
	if (mkdir(s->state, 0750) != 0 && errno != EEXIST)
		return err_set(e, ERR_ENV,
			"state directory %s: %m (create it, or set `state` to one that postern may "
			"write)",
			s->state);
	if (access(s->state, W_OK | X_OK) != 0)
		return err_set(
			e, ERR_ENV, "state directory %s: %m (it must belong to postern)", s->state);
	return 0;
}

static int open_store(struct gateway *g, struct err *e)
{
	const struct settings *s = g->settings;
	struct arena *a = s->arena;
	struct store_conf c = {
		.engine = s->store.engine,
		.path = arena_printf(a, "%s/postern.db", s->state),
		.cache = s->store.cache,
		.retention = s->retention,
		.dedupe_window = s->dedupe_window,
		.orphan_wait = s->store.orphan_wait,
		.node = (unsigned)s->node_number,
		.batch_most = (unsigned)s->store.batch,
	};
	bool unclean;

	g->store = store_open(&c, &unclean, e);
	if (!g->store)
		return -1;
	g->inflight = inflight_open(arena_printf(a, "%s/inflight", s->state), e);
	if (!g->inflight)
		return -1;
	if (unclean)
		log_warn("last end was not clean", F_U64("in_flight", inflight_were(g->inflight)),
			F_STR("then", "those may be sent again; each says so in its history"));
	store_set_note_sink(g->store, notify_sink, g);
	return 0;
}

static struct flow_channel *add_channel(
	struct gateway *g, const struct channel_conf *conf, struct settings *s, struct err *e)
{
	struct flow_channel *c = channel_new(g, conf, s, loop_for(g, false), e);

	if (!c)
		return NULL;
	number_taken(g, c->pub.number);
	atomic_store(&g->channel[c->pub.number], c);
	return c;
}

static struct flow_listener *listener_make(struct gateway *g, const struct protocol *p,
	const struct listener_conf *conf, struct settings *s)
{
	struct flow_listener *l = mem_new(struct flow_listener);

	l->gw = g;
	l->settings = s;
	l->pub = (struct listener){
		.name = mem_dup(str_of(conf->name)),
		.protocol = p,
		.loop = loop_for(g, true),
		.conf = conf,
		.specific = conf->specific,
		.self = mem_alloc(p->listener_size),
		.country = s->country,
		.trunk = s->trunk,
	};
	g->listeners = mem_grow(g->listeners, (g->listeners_n + 1) * sizeof *g->listeners);
	g->listeners[g->listeners_n++] = l;
	return l;
}

static void listener_drop(struct gateway *g, struct flow_listener *l)
{
	for (size_t i = 0; i < g->listeners_n; i++) {
		if (g->listeners[i] != l)
			continue;
		g->listeners[i] = g->listeners[--g->listeners_n];
		break;
	}
	if (l->internal)
		mem_free(&l->pub.conf);
	mem_free(&l->pub.self);
	mem_free(&l->pub.name);
	mem_free(&l);
}

/* The channel and the account of fallbacks: there whatever the configuration says. */
static const struct account_conf steps_account = {
	.policy = "none", .media = "sms", .priority = ""
};

static int add_fallback(struct gateway *g, struct err *e)
{
	static const struct channel_conf conf = {
		.type = "fallback",
		.name = "(fallback)",
		.connections = 1,
		.window = 1000,
		.receipt_wait = 366 * DUR_DAY, /* its attempts have limits of their own */
		.retry_first = DUR_S,
		.retry_most = DUR_MIN,
		.retry_factor = 2,
		.attempts_here = 1 << 30,
		.group = "",
		.mo_to = "",
	};

	/* on the listeners' loop: its account lives there, too */
	g->fallback = channel_new(g, &conf, g->settings, g->loops[0], e);
	if (!g->fallback)
		return -1;
	number_taken(g, g->fallback->pub.number);
	atomic_store(&g->channel[g->fallback->pub.number], g->fallback);
	g->fallback->internal = true;
	return 0;
}

struct join_call {
	struct gateway *g;
	struct listener *l;
};

static void join_run(void *arg)
{
	struct join_call *j = arg;
	struct account *a = account_declare(j->l, "attempts", &steps_account, NULL);

	if (a)
		fallback_join(j->g->fallback, j->l, a);
}

struct gateway *gateway_new(struct settings *s, struct err *e)
{
	struct gateway *g = mem_new(struct gateway);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	g->settings = s;
	g->generation = 1;
	g->started = clock_mono();
	stat_register(&g->info, STAT_GAUGE, "postern_info", "Always 1; says which version runs.",
		"version", POSTERN_VERSION, "node", s->node, NULL);
	stat_set(&g->info, 1);
	stat_register(&g->uptime, STAT_GAUGE, "postern_uptime_seconds", "Since the start.", NULL);
	g->loops_n = s->loops ? (unsigned)s->loops : cores > 0 ? (unsigned)cores : 1;
	if (g->loops_n > LOOPS_MOST)
		g->loops_n = LOOPS_MOST;
	if (make_state_dir(s, e) != 0 || open_store(g, e) != 0 || workers_start(WORKERS, e) != 0)
		goto fail;
	for (unsigned i = 0; i < g->loops_n; i++) {
		char name[16];

		snprintf(name, sizeof name, "loop-%u", i);
		g->loops[i] = loop_new(name);
		stat_register(&g->lag[i], STAT_GAUGE, "postern_loop_lag_microseconds",
			"Longest turn of an event loop in the last second.", "loop", name, NULL);
	}
	for (size_t i = 0; i < s->channels_n; i++)
		if (!add_channel(g, &s->channels[i], s, e))
			goto fail;
	if (add_fallback(g, e) != 0)
		goto fail;
	atomic_store(&g->plan, plan_new(g, s));
	for (unsigned i = 0; i < g->loops_n; i++)
		if (loop_start(g->loops[i], e) != 0)
			goto fail;
	return g;
fail:
	/* The process ends with exit 2: nothing was accepted, nothing needs an orderly end but the
	 * store. */
	if (g->store)
		store_close(&g->store);
	return NULL;
}

/* ---- starting ---- */
struct listen_call {
	struct flow_listener *l;
	int result;
	struct err *e;
};

static void listen_run(void *arg)
{
	struct listen_call *c = arg;

	c->result = c->l->pub.protocol->listen(&c->l->pub, c->e);
	c->l->open = c->result == 0;
}

static int listener_start(struct flow_listener *l, struct err *e)
{
	struct listen_call c = { l, -1, e };

	loop_call(l->pub.loop, listen_run, &c);
	if (c.result != 0)
		return err_wrap(e, "listener \"%s\"", l->pub.name);
	return 0;
}

static void open_run(void *arg)
{
	channel_open(arg);
}

static void depth_run(struct letter *l)
{
	struct gateway *g = CONTAINER(l, struct gateway, depth_letter);
	struct store_depth d[256];
	bool counted;
	unsigned n = store_depths(g->store, d, 256, &counted);

	for (unsigned i = 0; i < n; i++) {
		struct flow_channel *c = gateway_channel(g, d[i].channel);

		if (c)
			atomic_store(
				&c->depth, d[i].waiting[0] + d[i].waiting[1] + d[i].waiting[2]);
	}
	for (unsigned i = 0; i < g->loops_n; i++)
		stat_set(&g->lag[i], (uint64_t)(loop_take_lag(g->loops[i]) / DUR_US));
	stat_set(&g->uptime, (uint64_t)((clock_mono() - g->started) / DUR_S));
	timer_in(g->loops[0], &g->depth_timer, DUR_S);
}

static void depth_fired(struct timer *t)
{
	struct gateway *g = CONTAINER(t, struct gateway, depth_timer);

	depth_run(&g->depth_letter);
}

int gateway_start(struct gateway *g, struct err *e)
{
	struct settings *s = g->settings;
	struct join_call j = { g, gateway_internal_listener(g, &protocol_fallback, "fallback") };

	loop_call(j.l->loop, join_run, &j);
	for (unsigned i = 1; i <= atomic_load(&g->names_top); i++) {
		struct flow_channel *c = atomic_load(&g->channel[i]);

		if (c)
			loop_call(c->pub.loop, open_run, c);
	}
	for (size_t i = 0; i < s->listeners_n; i++) {
		const struct listener_conf *conf = &s->listeners[i];
		struct flow_listener *l =
			listener_make(g, protocol_by_name(str_of(conf->type)), conf, s);

		if (listener_start(l, e) != 0)
			return -1;
	}
	g->depth_timer.fire = depth_fired;
	g->depth_letter.run = depth_run;
	loop_post(g->loops[0], &g->depth_letter);
	atomic_store(&g->ready, true);
	return 0;
}

struct listener *gateway_internal_listener(
	struct gateway *g, const struct protocol *p, const char *name)
{
	struct listener_conf *conf = mem_new(struct listener_conf); /* settings come and go */
	struct flow_listener *l;

	conf->type = p->name;
	conf->name = name;
	l = listener_make(g, p, conf, g->settings);
	l->internal = true;
	l->open = true; /* its owner listens; unlisten() ends what it does here */
	return &l->pub;
}

/* ---- stopping ---- */
struct shut_call {
	struct flow_channel *c;
	struct flow_listener *l;
	dur_t grace;
	struct waiter *w;
};

static void shut_run(void *arg)
{
	struct shut_call *s = arg;

	if (s->c) {
		s->c->closed_waiter = s->w;
		channel_shut(s->c, s->grace);
		return;
	}
	s->l->closed_waiter = s->w;
	s->l->closing = true;
	if (s->l->open)
		s->l->pub.protocol->unlisten(&s->l->pub, s->grace);
	else
		listener_closed(&s->l->pub);
}

void gateway_channel_closed(struct gateway *g, struct flow_channel *c)
{
	struct waiter *w = c->closed_waiter;

	c->closed_waiter = NULL;
	if (w)
		waiter_signal(w);
}

void listener_closed(struct listener *pub)
{
	struct flow_listener *l = (struct flow_listener *)pub;
	struct waiter *w = l->closed_waiter;

	l->open = false;
	l->closed_waiter = NULL;
	if (w)
		waiter_signal(w);
}

/* Closes several objects at once and waits for each, at most the grace and a little more. */
static void shut_all(struct gateway *g, struct flow_channel **cs, size_t cn,
	struct flow_listener **ls, size_t ln, dur_t grace)
{
	struct waiter *w = mem_alloc((cn + ln + 1) * sizeof *w);
	mono_t until = clock_mono() + grace + 5 * DUR_S;

	for (size_t i = 0; i < cn + ln; i++) {
		struct shut_call s = { .grace = grace, .w = &w[i] };
		struct loop *loop;

		if (i < cn)
			s.c = cs[i];
		else
			s.l = ls[i - cn];
		loop = s.c ? s.c->pub.loop : s.l->pub.loop;
		waiter_init(&w[i]);
		loop_call(loop, shut_run, &s);
	}
	for (size_t i = 0; i < cn + ln; i++) {
		dur_t left = until - clock_mono();

		if (!waiter_wait_for(&w[i], left > 0 ? left : DUR_MS)) {
			log_error("did not close in time",
				F_STR("name", i < cn ? cs[i]->pub.name : ls[i - cn]->pub.name));
			return; /* w is left to whoever still signals it */
		}
	}
	mem_free(&w);
}

static void free_run(void *arg)
{
	(void)arg;
}

/* After this every loop has ended the turn in which it may have looked at an old plan. */
static void loops_grace(struct gateway *g)
{
	for (unsigned i = 0; i < g->loops_n; i++)
		loop_call(g->loops[i], free_run, NULL);
}

static int nothing(struct sql *db, struct store_op *op)
{
	return 0;
}

static void barrier_passed(struct store_op *op)
{
	waiter_signal(op->call.arg);
}

/* Returns when everything that was given to the store before is on disk. */
static void store_barrier(struct gateway *g)
{
	struct store_op *op = store_op_new(OP_CALL, NULL, barrier_passed);
	struct waiter w;

	waiter_init(&w);
	op->call.run = nothing;
	op->call.arg = &w;
	store_do(g->store, op);
	waiter_wait(&w);
	mem_free(&op);
}

static int nothing_run(struct sql *db, struct store_op *op)
{
	return 0;
}

static void nothing_done(struct store_op *op)
{
	waiter_signal(op->call.arg);
	mem_free(&op);
}

/* What is on its way to the store and back comes home while its owners live: an operation behind
 * all others, then a turn of every loop; again for what those turns set off. False: the store does
 * not answer (a full disk), and letters may still come. */
static bool settle(struct gateway *g)
{
	struct waiter *w = mem_new(struct waiter);

	for (int round = 0; round < 3; round++) {
		struct store_op *op = store_op_new(OP_CALL, NULL, nothing_done);

		waiter_init(w);
		op->call.run = nothing_run;
		op->call.arg = w;
		store_do(g->store, op);
		if (!waiter_wait_for(w, 5 * DUR_S))
			return false; /* w is left to whoever still signals it */
		loops_grace(g);
	}
	mem_free(&w);
	return true;
}

void gateway_stop(struct gateway *g)
{
	dur_t grace = g->settings->shutdown_grace;
	struct flow_channel **cs = mem_alloc((atomic_load(&g->names_top) + 1) * sizeof *cs);
	size_t n = 0;

	atomic_store(&g->stopping, true);
	log_info("stopping", F_DUR("grace", grace));
	shut_all(g, NULL, 0, g->listeners, g->listeners_n, grace);
	for (unsigned i = 1; i <= atomic_load(&g->names_top); i++) {
		struct flow_channel *c = atomic_load(&g->channel[i]);

		if (c && !c->retired)
			cs[n++] = c;
	}
	shut_all(g, cs, n, NULL, 0, grace);
	mem_free(&cs);
	g->unsettled = !settle(g);
	for (unsigned i = 0; i < g->loops_n; i++) {
		loop_stop(g->loops[i]);
		loop_join(g->loops[i]);
	}
	workers_stop();
	store_close(&g->store);
	inflight_close(&g->inflight, true);
}

void gateway_free(struct gateway **gp)
{
	struct gateway *g = *gp;
	struct plan *p = atomic_load(&g->plan);

	if (g->unsettled)
		return; /* letters may still know the objects, and the process ends anyway */
	while (g->listeners_n)
		listener_drop(g, g->listeners[0]);
	mem_free(&g->listeners);
	for (unsigned i = 1; i <= atomic_load(&g->names_top); i++) {
		struct flow_channel *c = atomic_load(&g->channel[i]);
		struct flow_account *a = atomic_load(&g->account[i]);

		if (c)
			channel_free(&c);
		if (a)
			account_free(&a);
	}
	for (unsigned i = 0; i < g->loops_n; i++) {
		stat_unregister(&g->lag[i]);
		loop_free(&g->loops[i]);
	}
	stat_unregister(&g->info);
	stat_unregister(&g->uptime);
	plan_free(&p);
	plan_free(&g->old_plan);
	settings_free(&g->before);
	settings_free(&g->settings);
	mem_free(gp);
}

/* ---- reload ---- */
struct adopt_call {
	struct flow_channel *c;
	const struct channel_conf *cconf;
	struct flow_listener *l;
	const struct listener_conf *lconf;
	struct settings *s;
	int result;
};

static void adopt_run(void *arg)
{
	struct adopt_call *a = arg;

	if (a->c) {
		a->result = channel_adopt(a->c, a->cconf, a->s);
		return;
	}
	a->result = -1;
	a->l->settings = a->s;
	if (a->l->pub.protocol->listener_adopt)
		a->result = a->l->pub.protocol->listener_adopt(&a->l->pub, a->lconf->specific);
	if (a->result == 0) {
		a->l->pub.conf = a->lconf;
		a->l->pub.specific = a->lconf->specific;
		a->l->pub.country = a->s->country;
		a->l->pub.trunk = a->s->trunk;
	}
}

static void vanish_run(void *arg)
{
	account_vanish(arg);
}

static struct flow_listener *listener_named(struct gateway *g, const char *name)
{
	for (size_t i = 0; i < g->listeners_n; i++)
		if (strcmp(g->listeners[i]->pub.name, name) == 0)
			return g->listeners[i];
	return NULL;
}

/* Listeners first: only they can fail for a reason outside (a port taken), and then nothing else
 * has changed yet. A listener that must be opened anew on its old port is closed before. */
static int reload_listeners(struct gateway *g, struct settings *s, struct err *e)
{
	for (size_t i = 0; i < s->listeners_n; i++) {
		const struct listener_conf *conf = &s->listeners[i];
		struct flow_listener *l = listener_named(g, conf->name);

		if (l && strcmp(l->pub.protocol->name, conf->type) == 0) {
			struct adopt_call a = { .l = l, .lconf = conf, .s = s };

			loop_call(l->pub.loop, adopt_run, &a);
			if (a.result == 0)
				continue;
		}
		if (l) {
			shut_all(g, NULL, 0, &l, 1, DUR_S);
			listener_drop(g, l);
		}
		l = listener_make(g, protocol_by_name(str_of(conf->type)), conf, s);
		if (listener_start(l, e) != 0) {
			listener_drop(g, l);
			return -1;
		}
	}
	for (size_t i = 0; i < g->listeners_n; i++) {
		struct flow_listener *l = g->listeners[i];
		bool there = l->internal;

		for (size_t k = 0; k < s->listeners_n && !there; k++)
			there = strcmp(s->listeners[k].name, l->pub.name) == 0;
		if (there)
			continue;
		shut_all(g, NULL, 0, &l, 1, g->settings->shutdown_grace);
		listener_drop(g, l);
		i--;
	}
	return 0;
}

static const struct channel_conf *channel_conf_named(const struct settings *s, const char *name)
{
	for (size_t i = 0; i < s->channels_n; i++)
		if (strcmp(s->channels[i].name, name) == 0)
			return &s->channels[i];
	return NULL;
}

static int reload_channels(struct gateway *g, struct settings *s, struct err *e)
{
	unsigned top = atomic_load(&g->names_top);

	for (size_t i = 0; i < s->channels_n; i++) {
		const struct channel_conf *conf = &s->channels[i];
		struct flow_channel *c = gateway_channel_named(g, conf->name);

		if (c && !c->retired && strcmp(c->pub.protocol->name, conf->type) == 0) {
			struct adopt_call a = { .c = c, .cconf = conf, .s = s };

			loop_call(c->pub.loop, adopt_run, &a);
			if (a.result == 0)
				continue;
		}
		if (c && !c->retired)
			shut_all(g, &c, 1, NULL, 0, g->settings->shutdown_grace);
		/* The old object stays in memory until the end: operations under way know it. What
		 * it sent must be on record before the new one reads the queue. */
		if (c) {
			c->retired = true;
			store_barrier(g);
		}
		c = add_channel(g, conf, s, e);
		if (!c)
			return -1;
		loop_call(c->pub.loop, open_run, c);
	}
	for (unsigned i = 1; i <= top; i++) {
		struct flow_channel *c = atomic_load(&g->channel[i]);

		if (!c || c->retired || c->internal || channel_conf_named(s, c->pub.name))
			continue;
		log_warn("channel removed", F_STR("channel", c->pub.name),
			F_STR("note", "what waits for it stays on disk until it is requeued"));
		c->retired = true;
		shut_all(g, &c, 1, NULL, 0, g->settings->shutdown_grace);
	}
	return 0;
}

int gateway_reload(
	struct gateway *g, struct settings *s, bool dry, struct buf *changes, struct err *e)
{
	struct plan *p, *old;

	conf_describe_change(settings_rows, g->settings, s, changes);
	if (strcmp(s->state, g->settings->state) != 0 ||
		strcmp(s->store.engine, g->settings->store.engine) != 0)
		return err_set(e, ERR_CONF, "state and store.engine change by a restart only");
	if (dry)
		return 0;
	g->generation++;
	if (reload_listeners(g, s, e) != 0 || reload_channels(g, s, e) != 0) {
		g->generation++;
		return -1;
	}
	p = plan_new(g, s);
	old = atomic_exchange(&g->plan, p);
	loops_grace(g);
	plan_free(&g->old_plan);
	g->old_plan = old;
	for (unsigned i = 1; i <= atomic_load(&g->names_top); i++) {
		struct flow_account *a = atomic_load(&g->account[i]);

		if (a && a->declared != g->generation && a->pub.conf != &account_none &&
			!a->internal)
			loop_call(a->pub.loop, vanish_run, a);
	}
	settings_free(&g->before);
	g->before = g->settings;
	g->settings = s;
	log_set_level((enum log_level)s->log.level);
	log_set_json(s->log.json);
	return 0;
}

/* ---- verbs and words ---- */
struct describe_call {
	struct flow_channel *c;
	struct flow_listener *l;
	struct buf *b;
	enum channel_mode mode;
};

static void describe_run(void *arg)
{
	struct describe_call *d = arg;

	if (d->c) {
		channel_describe(d->c, d->b);
		return;
	}
	buf_c(d->b, "{\"name\":");
	buf_json(d->b, str_of(d->l->pub.name));
	buf_printf(d->b, ",\"type\":\"%s\",\"open\":%s", d->l->pub.protocol->name,
		d->l->open ? "true" : "false");
	if (d->l->pub.protocol->listener_describe) {
		buf_char(d->b, ',');
		d->l->pub.protocol->listener_describe(&d->l->pub, d->b);
	}
	buf_char(d->b, '}');
}

bool gateway_channels(struct gateway *g, const char *name, struct buf *b)
{
	struct store_depth *depth = mem_alloc(NUMBERS_MOST / 64 * sizeof *depth);
	bool counted, some = false;
	unsigned depths = store_depths(g->store, depth, NUMBERS_MOST / 64, &counted);

	if (!name)
		buf_char(b, '[');
	for (unsigned i = 1; i <= atomic_load(&g->names_top); i++) {
		struct describe_call d = { .c = atomic_load(&g->channel[i]), .b = b };

		if (!d.c || d.c->retired ||
			(name ? strcmp(name, d.c->pub.name) != 0 : d.c->internal))
			continue;
		if (some)
			buf_char(b, ',');
		some = true;
		loop_call(d.c->pub.loop, describe_run, &d);
		for (unsigned k = 0; k < depths; k++) {
			if (depth[k].channel != i)
				continue;
			b->n--; /* inside the object */
			buf_printf(b,
				",\"queued\":{\"high\":%lu,\"normal\":%lu,\"bulk\":%lu},"
				"\"oldest_s\":%lld}",
				depth[k].waiting[0], depth[k].waiting[1], depth[k].waiting[2],
				depth[k].oldest ? (clock_wall() - depth[k].oldest) / DUR_S : 0);
		}
	}
	if (!name)
		buf_char(b, ']');
	mem_free(&depth);
	return some;
}

void gateway_status(struct gateway *g, struct buf *b)
{
	static const char *const health[] = { "ok", "full", "broken" };

	buf_printf(b, "{\"version\":\"%s\",\"ready\":%s,\"stopping\":%s,\"store\":\"%s\",\"node\":",
		POSTERN_VERSION, gateway_ready(g) ? "true" : "false",
		gateway_stopping(g) ? "true" : "false", health[store_health(g->store)]);
	buf_json(b, str_of(g->settings->node));
	buf_c(b, ",\"listeners\":[");
	for (size_t i = 0; i < g->listeners_n; i++) {
		struct describe_call d = { .l = g->listeners[i], .b = b };

		if (i)
			buf_char(b, ',');
		loop_call(d.l->pub.loop, describe_run, &d);
	}
	buf_c(b, "],\"accounts\":[");
	for (unsigned i = 1, some = 0; i <= atomic_load(&g->names_top); i++) {
		struct flow_account *a = atomic_load(&g->account[i]);

		if (!a || a->pub.conf == &account_none || a->pub.conf == &steps_account)
			continue;
		buf_c(b, some++ ? ",{\"name\":" : "{\"name\":");
		buf_json(b, str_of(a->full_name));
		buf_printf(b,
			",\"sessions\":%lu,\"accepted\":%lu,\"refused\":%lu,\"throttled\":%lu,"
			"\"told\":%lu,\"waiting\":%lu}",
			stat_get(&a->sessions), stat_get(&a->accepted), stat_get(&a->refused),
			stat_get(&a->throttled), stat_get(&a->notes_sent),
			store_notes_waiting(g->store, a->pub.submitter));
	}
	buf_c(b, "],\"channels\":");
	gateway_channels(g, NULL, b);
	buf_char(b, '}');
}

static void mode_run(void *arg)
{
	struct describe_call *d = arg;

	channel_set_mode(d->c, d->mode);
}

int gateway_channel_verb(struct gateway *g, const char *name, enum gateway_verb v, struct err *e)
{
	static const enum channel_mode modes[] = {
		[GATEWAY_HOLD] = CHANNEL_HELD,
		[GATEWAY_RESUME] = CHANNEL_RUNS,
		[GATEWAY_DRAIN] = CHANNEL_DRAINS,
	};
	struct describe_call d = { .c = gateway_channel_named(g, name), .mode = modes[v] };

	if (!d.c || d.c->retired)
		return err_set(e, ERR_INPUT, "there is no channel \"%s\"", name);
	loop_call(d.c->pub.loop, mode_run, &d);
	return 0;
}
