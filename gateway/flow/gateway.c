/* The gateway put together: start, stop, reload. See gateway.h. Main and control threads, unless a
 * function says otherwise.
 */
#include "gateway/flow/gateway.h"
#include "gateway/base/log.h"
#include "gateway/base/map.h"
#include "gateway/base/mem.h"
#include "gateway/base/waiter.h"
#include "gateway/flow/gateway_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Two gateways on one store would both send what waits. The kernel lets go of the lock when the
 * process ends, however it ends. */
static int lock_state(struct gateway *g, struct err *e)
{
	const char *path = arena_printf(g->settings->arena, "%s/lock", g->settings->state);

	g->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (g->lock_fd < 0)
		return err_set(e, ERR_ENV, "%s: %m (it must belong to postern)", path);
	if (flock(g->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	err_set(e, ERR_ENV,
		errno == EWOULDBLOCK
			? "state directory %s: another postern uses it (stop that one, "
			  "or set `state` to a directory of its own)"
			: "%s/lock: %m",
		g->settings->state);
	close(g->lock_fd);
	return -1;
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

struct flow_channel *gateway_add_channel(struct gateway *g, const struct channel_conf *conf,
	struct settings *s, struct loop *loop, struct err *e)
{
	struct flow_channel *c = channel_new(g, conf, s, loop ? loop : loop_for(g, false), e);

	if (!c)
		return NULL;
	number_taken(g, c->pub.number);
	atomic_store(&g->channel[c->pub.number], c);
	return c;
}

struct flow_listener *gateway_make_listener(struct gateway *g, const struct protocol *p,
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

void gateway_drop_listener(struct gateway *g, struct flow_listener *l)
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
const struct account_conf steps_account = { .policy = "none", .media = "sms", .priority = "" };

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
	if (make_state_dir(s, e) != 0 || lock_state(g, e) != 0 || open_store(g, e) != 0 ||
		workers_start(WORKERS, e) != 0)
		goto fail;
	for (unsigned i = 0; i < g->loops_n; i++) {
		char name[16];

		snprintf(name, sizeof name, "loop-%u", i);
		g->loops[i] = loop_new(name);
		stat_register(&g->lag[i], STAT_GAUGE, "postern_loop_lag_microseconds",
			"Longest turn of an event loop in the last second.", "loop", name, NULL);
	}
	for (size_t i = 0; i < s->channels_n; i++)
		if (!gateway_add_channel(g, &s->channels[i], s, NULL, e))
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

int gateway_open_listener(struct flow_listener *l, struct err *e)
{
	struct listen_call c = { l, -1, e };

	loop_call(l->pub.loop, listen_run, &c);
	if (c.result != 0)
		return err_wrap(e, "listener \"%s\"", l->pub.name);
	return 0;
}

void gateway_open_channel(void *arg)
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
			loop_call(c->pub.loop, gateway_open_channel, c);
	}
	for (size_t i = 0; i < s->listeners_n; i++) {
		const struct listener_conf *conf = &s->listeners[i];
		struct flow_listener *l =
			gateway_make_listener(g, protocol_by_name(str_of(conf->type)), conf, s);

		if (gateway_open_listener(l, e) != 0)
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
	l = gateway_make_listener(g, p, conf, g->settings);
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
void gateway_shut(struct gateway *g, struct flow_channel **cs, size_t cn, struct flow_listener **ls,
	size_t ln, dur_t grace)
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
void gateway_loops_grace(struct gateway *g)
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
void gateway_barrier(struct gateway *g)
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

struct nothing_load {
	struct store_load load;
	struct waiter *w;
};

static int nothing_run(struct sql *db, struct store_op *op)
{
	return 0;
}

static void nothing_done(struct store_op *op)
{
	waiter_signal(op->call.arg);
	mem_free(&op);
}

static void nothing_loaded(struct store_load *l)
{
	struct waiter *w = CONTAINER(l, struct nothing_load, load)->w;

	store_load_free(l);
	waiter_signal(w);
}

/* What is on its way to the store and back comes home while its owners live: an operation and a
 * load behind all others, then a turn of every loop; again for what those turns set off. False: the
 * store does not answer (a full disk), and letters may still come. */
static bool settle(struct gateway *g)
{
	struct waiter *w = mem_alloc(2 * sizeof *w);
	struct nothing_load *l = mem_new(struct nothing_load);

	for (int round = 0; round < 3; round++) {
		struct store_op *op = store_op_new(OP_CALL, NULL, nothing_done);

		waiter_init(&w[0]);
		waiter_init(&w[1]);
		op->call.run = nothing_run;
		op->call.arg = &w[0];
		store_do(g->store, op);
		*l = (struct nothing_load){
			.load = { .kind = LOAD_NOTES, .done = nothing_loaded, .most = 1 },
			.w = &w[1],
		};
		store_load(g->store, &l->load);
		if (!waiter_wait_for(&w[0], 5 * DUR_S) || !waiter_wait_for(&w[1], 5 * DUR_S))
			return false; /* w and l are left to whoever still signals them */
		gateway_loops_grace(g);
	}
	mem_free(&l);
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
	gateway_shut(g, NULL, 0, g->listeners, g->listeners_n, grace);
	for (unsigned i = 1; i <= atomic_load(&g->names_top); i++) {
		struct flow_channel *c = atomic_load(&g->channel[i]);

		if (c && !c->retired)
			cs[n++] = c;
	}
	gateway_shut(g, cs, n, NULL, 0, grace);
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
		gateway_drop_listener(g, g->listeners[0]);
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
	close(g->lock_fd);
	mem_free(gp);
}
