/* The gateway put together, started and stopped. See gateway.h. Main and control threads, unless a
 * function says otherwise.
 */
#include "gateway/base/log.h"
#include "gateway/base/map.h"
#include "gateway/base/mem.h"
#include "gateway/flow/gateway_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

struct spool *gateway_spool(struct gateway *g)
{
	return g->spool;
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

struct flow_channel *gateway_channel_any(struct gateway *g, const char *name)
{
	for (unsigned i = 1; i < NUMBERS_MOST && i <= atomic_load(&g->names_top); i++) {
		struct flow_channel *c = atomic_load(&g->channel[i]);

		if (c && strcmp(c->pub.name, name) == 0)
			return c;
	}
	return NULL;
}

struct flow_channel *gateway_channel_named(struct gateway *g, const char *name)
{
	struct flow_channel *c = gateway_channel_any(g, name);

	return c && !atomic_load(&c->retired) && !c->internal ? c : NULL;
}

struct flow_channel *gateway_some_channel(struct gateway *g)
{
	for (unsigned i = 1; i < NUMBERS_MOST && i <= atomic_load(&g->names_top); i++) {
		struct flow_channel *c = atomic_load(&g->channel[i]);

		if (c)
			return c;
	}
	return NULL;
}

uint32_t gateway_number(struct gateway *g, enum store_name_kind kind, struct str name)
{
	for (uint32_t i = 1; i < NUMBERS_MOST; i++) {
		const char *is = store_name(g->store, kind, i);

		if (!is[0])
			return 0;
		if (str_is(name, is))
			return i;
	}
	return 0;
}

/* ---- who looks at what a reload replaces ---- */
unsigned gateway_enter(struct gateway *g)
{
	for (;;) {
		unsigned turn = atomic_load(&g->turn);

		atomic_fetch_add(&g->inside[turn & 1], 1);
		if (atomic_load(&g->turn) == turn)
			return turn;
		atomic_fetch_sub(&g->inside[turn & 1], 1); /* it may have been overlooked */
	}
}

void gateway_leave(struct gateway *g, unsigned entered)
{
	atomic_fetch_sub(&g->inside[entered & 1], 1);
}

static void turn_ended(void *arg) {}

void gateway_quiesce(struct gateway *g)
{
	unsigned turn = atomic_fetch_add(&g->turn, 1);

	for (unsigned i = 0; i < g->loops_n; i++)
		loop_call(g->loops[i], turn_ended, NULL);
	while (atomic_load(&g->inside[turn & 1]))
		poll(NULL, 0, 1);
}

void gateway_listing(struct gateway *g, bool begins)
{
	while (begins && sem_wait(&g->listing) != 0)
		CHECK(errno == EINTR);
	if (!begins)
		sem_post(&g->listing);
}

struct flow_account *gateway_account_slash(struct gateway *g, struct str protocol, struct str name)
{
	for (unsigned i = 1; i < NUMBERS_MOST && i <= atomic_load(&g->names_top); i++) {
		struct flow_account *a = atomic_load(&g->account[i]);

		if (a && str_is(name, a->pub.name) && str_is(protocol, a->pub.protocol->name))
			return a;
	}
	return NULL;
}

struct flow_account *gateway_account_named(struct gateway *g, const char *protocol, struct str name)
{
	return gateway_account_slash(g, str_of(protocol), name);
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
	const struct settings *s = g->first;
	struct arena *a = s->arena;
	struct store_conf c = {
		.engine = s->store.engine,
		.path = arena_printf(a, "%s/postern.db", s->state),
		.cache = s->store.cache,
		.retention = s->retention,
		.dedupe_window = s->dedupe_window,
		.orphan_wait = s->store.orphan_wait,
		.mo_wait = s->store.mo_wait,
		.node = (unsigned)s->node_number,
		.batch_most = (unsigned)s->store.batch,
	};
	bool unclean;

	g->spool = spool_open(arena_printf(a, "%s/spool", s->state), e);
	if (!g->spool)
		return -1;
	c.spool = g->spool;
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

struct flow_channel *gateway_add_channel(
	struct gateway *g, const struct channel_conf *conf, struct settings *s, struct err *e)
{
	struct flow_channel *c = channel_new(g, conf, s, loop_for(g, false), e);

	if (!c)
		return NULL;
	number_taken(g, c->pub.number);
	atomic_store(&g->channel[c->pub.number], c);
	return c;
}

/* conf NULL: internal. */
static struct flow_listener *listener_make(struct gateway *g, const struct protocol *p,
	const char *name, const struct listener_conf *conf, struct settings *s)
{
	struct flow_listener *l = mem_new(struct flow_listener);

	l->gw = g;
	l->settings = settings_ref(s);
	l->internal = !conf;
	if (!conf)
		l->own_conf = (struct listener_conf){ .type = p->name, .name = name };
	l->pub = (struct listener){
		.name = mem_dup(str_of(name)),
		.protocol = p,
		.loop = loop_for(g, true),
		.conf = conf ? conf : &l->own_conf,
		.specific = conf ? conf->specific : NULL,
		.self = mem_alloc(p->listener_size),
		.country = s->country,
		.trunk = s->trunk,
		.mail = &s->mail,
		.spool = g->spool,
	};
	gateway_listing(g, true);
	g->listeners = mem_grow(g->listeners, (g->listeners_n + 1) * sizeof *g->listeners);
	g->listeners[g->listeners_n++] = l;
	gateway_listing(g, false);
	return l;
}

static void listener_free(struct flow_listener *l)
{
	settings_free(&l->settings);
	mem_free(&l->pub.self);
	mem_free(&l->pub.name);
	mem_free(&l);
}

static void listener_forget(struct gateway *g, struct flow_listener *l)
{
	gateway_listing(g, true);
	for (size_t i = 0; i < g->listeners_n; i++) {
		if (g->listeners[i] != l)
			continue;
		g->listeners[i] = g->listeners[--g->listeners_n];
		break;
	}
	gateway_listing(g, false);
}

/* The channel and the account of fallbacks: there whatever the configuration says. */

static int add_fallback(struct gateway *g, struct err *e)
{
	static const struct channel_conf conf = {
		.type = "fallback",
		.name = "(fallback)",
		.connections = 1,
		.window = 1000,
		.queue_memory = 16 << 20,
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

static const struct account_conf steps_account = {
	.policy = "none", .media = "sms", .priority = ""
};
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

	g->first = settings_ref(s);
	g->settings = s;
	g->generation = 1;
	CHECK(sem_init(&g->listing, 0, 1) == 0);
	g->started = clock_mono();
	stat_register(&g->info, STAT_GAUGE, "postern_info", "Always 1; says which version runs.",
		"version", POSTERN_VERSION, "node", s->node, NULL);
	stat_set(&g->info, 1);
	stat_register(&g->uptime, STAT_GAUGE, "postern_uptime_seconds", "Since the start.", NULL);
	evidence_stats(g, true);
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
		if (!gateway_add_channel(g, &s->channels[i], s, e))
			goto fail;
	if (add_fallback(g, e) != 0)
		goto fail;
	if (hosts_new(g, e) != 0)
		goto fail;
	atomic_store(&g->plan, plan_new(g, s));
	g->strays = strays_new(g);
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

int gateway_add_listener(
	struct gateway *g, const struct listener_conf *conf, struct settings *s, struct err *e)
{
	struct listen_call c = {
		listener_make(g, protocol_by_name(str_of(conf->type)), conf->name, conf, s), -1, e
	};

	loop_call(c.l->pub.loop, listen_run, &c);
	if (c.result == 0)
		return 0;
	err_wrap(e, "listener \"%s\"", conf->name);
	listener_forget(g, c.l);
	listener_free(c.l);
	return -1;
}

static void open_run(void *arg)
{
	channel_open(arg);
}

static void depth_run(struct letter *l)
{
	struct gateway *g = CONTAINER(l, struct gateway, depth_letter);
	for (unsigned i = 0; i < g->loops_n; i++)
		stat_set(&g->lag[i], (uint64_t)(loop_take_lag(g->loops[i]) / DUR_US));
	stat_set(&g->uptime, (uint64_t)((clock_mono() - g->started) / DUR_S));
	strays_tick(g->strays);
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
	if (hosts_open(g, e) != 0)
		return -1;
	for (unsigned i = 1; i <= atomic_load(&g->names_top); i++) {
		struct flow_channel *c = atomic_load(&g->channel[i]);

		if (c)
			loop_call(c->pub.loop, open_run, c);
	}
	for (size_t i = 0; i < s->listeners_n; i++)
		if (gateway_add_listener(g, &s->listeners[i], s, e) != 0)
			return -1;
	g->depth_timer.fire = depth_fired;
	g->depth_letter.run = depth_run;
	loop_post(g->loops[0], &g->depth_letter);
	hosts_begin(g);
	atomic_store(&g->ready, true);
	return 0;
}

struct listener *gateway_internal_listener(
	struct gateway *g, const struct protocol *p, const char *name)
{
	struct flow_listener *l = listener_make(g, p, name, NULL, g->settings);

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
		channel_stop(s->c, s->grace, s->w);
		return;
	}
	s->l->closed_waiter = s->w;
	if (!s->l->open) {
		listener_closed(&s->l->pub);
	} else if (!s->l->closing) {
		s->l->closing = true;
		s->l->pub.protocol->unlisten(&s->l->pub, s->grace);
	}
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

/* Closes several objects at once and waits for each, at most the grace and a little more. False:
 * some are still at it, and must be left alone. */
static bool shut_all(struct gateway *g, struct flow_channel **cs, size_t cn,
	struct flow_listener **ls, size_t ln, dur_t grace)
{
	struct waiter *w = mem_alloc((cn + ln + 1) * sizeof *w);
	mono_t until = clock_mono() + grace + 5 * DUR_S;
	bool all = true;

	for (size_t i = 0; i < cn + ln; i++) {
		struct shut_call s = { .grace = grace, .w = &w[i] };

		if (i < cn)
			s.c = cs[i];
		else
			s.l = ls[i - cn];
		waiter_init(&w[i]);
		loop_call(s.c ? s.c->pub.loop : s.l->pub.loop, shut_run, &s);
	}
	for (size_t i = 0; i < cn + ln; i++) {
		dur_t left = until - clock_mono();

		if (waiter_wait_for(&w[i], left > 0 ? left : DUR_MS))
			continue;
		log_error("did not close in time",
			F_STR("name", i < cn ? cs[i]->pub.name : ls[i - cn]->pub.name));
		all = false;
	}
	if (all)
		mem_free(&w); /* else it is left to whoever still signals it */
	return all;
}

void gateway_end_listener(struct gateway *g, struct flow_listener *l, dur_t grace)
{
	bool closed = shut_all(g, NULL, 0, &l, 1, grace);

	listener_forget(g, l);
	if (closed)
		listener_free(l);
}

/* ---- all that was given to the store is on disk, and has been heard of ---- */
static int nothing(struct sql *db, struct store_op *op)
{
	return 0;
}

struct settling {
	struct store_op op; /* first */
	struct waiter *w;
};

static void settling_done(struct store_op *op)
{
	struct settling *s = (struct settling *)op;

	waiter_signal(s->w);
	mem_free(&s);
}

/* False: the store does not work. */
static bool settle(struct gateway *g, dur_t at_most)
{
	struct waiter *w = mem_new(struct waiter);
	struct settling *s = mem_new(struct settling);

	waiter_init(w);
	s->w = w;
	s->op.kind = OP_CALL;
	s->op.done = settling_done;
	s->op.call.run = nothing;
	store_do(g->store, &s->op);
	if (!waiter_wait_for(w, at_most))
		return false; /* w is left to the writer */
	mem_free(&w);
	gateway_quiesce(g); /* the answers before it were posted before it */
	return true;
}

/* Listeners first, so that nothing new comes; then what is in flight has what is left of the grace;
 * then its record. Loops run until all have heard the answers that they wait for. */
void gateway_stop(struct gateway *g)
{
	dur_t grace = g->settings->shutdown_grace, left;
	mono_t until = clock_mono() + grace;
	struct flow_channel **cs = mem_alloc((atomic_load(&g->names_top) + 1) * sizeof *cs);
	size_t n = 0;
	bool settled = true;

	atomic_store(&g->stopping, true);
	log_info("stopping", F_DUR("grace", grace));
	shut_all(g, NULL, 0, g->listeners, g->listeners_n, grace);
	for (unsigned i = 1; i <= atomic_load(&g->names_top); i++) {
		struct flow_channel *c = atomic_load(&g->channel[i]);

		if (c)
			cs[n++] = c;
	}
	left = until - clock_mono();
	shut_all(g, cs, n, NULL, 0, left > 0 ? left : 0);
	mem_free(&cs);
	workers_stop(); /* their orders wait for loops */
	/* again for what is set off by the answers heard of first */
	for (int i = 0; i < 3 && settled; i++)
		settled = settle(g, 5 * DUR_S);
	if (!settled)
		log_error("not all is on record",
			F_STR("then", "what was in flight may be sent again"));
	for (unsigned i = 0; i < g->loops_n; i++) {
		loop_stop(g->loops[i]);
		loop_join(g->loops[i]);
	}
	hosts_close(g);
	store_close(&g->store);
}

void gateway_free(struct gateway **gp)
{
	struct gateway *g = *gp;
	struct plan *p = atomic_load(&g->plan);

	/* first: late letters speak of the rest */
	for (unsigned i = 0; i < g->loops_n; i++) {
		stat_unregister(&g->lag[i]);
		loop_free(&g->loops[i]);
	}
	inflight_close(&g->inflight);
	while (g->listeners_n) {
		struct flow_listener *l = g->listeners[0];

		listener_forget(g, l);
		listener_free(l);
	}
	mem_free(&g->listeners);
	for (unsigned i = 1; i <= atomic_load(&g->names_top); i++) {
		struct flow_channel *c = atomic_load(&g->channel[i]);
		struct flow_account *a = atomic_load(&g->account[i]);

		if (c)
			channel_free(&c);
		if (a)
			account_free(&a);
	}
	hosts_free(g);
	strays_free(&g->strays);
	stat_unregister(&g->info);
	stat_unregister(&g->uptime);
	evidence_stats(g, false);
	plan_free(&p);
	settings_free(&g->settings);
	settings_free(&g->first);
	spool_close(&g->spool);
	sem_destroy(&g->listing);
	close(g->lock_fd);
	mem_free(gp);
}
