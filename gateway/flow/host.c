/* Plugins of a running gateway: their life, their configuration in force, their account.
 *
 * A plugin's hooks that touch its tables are calls (host_send.c) on the store's writer. Which
 * configuration those see is changed by a call, too, that ends its transaction: what was posted
 * before it sees the old one, what was posted after it the new one, and nothing a mixture. News of
 * its messages are told within a call that forgets them in the same transaction.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/flow/gateway_private.h"

enum { NOTES_AT_ONCE = 256 };
#define AGAIN_MOST (5 * DUR_MIN) /* news that the plugin could not take */
#define CLOSE_WAIT (10 * DUR_S)

/* ---- which ---- */
struct flow_plugin *gateway_policy_plugin(struct gateway *g)
{
	for (size_t i = 0; i < g->plugins_n; i++)
		if (g->plugins[i]->pub.plugin->policy)
			return g->plugins[i];
	return NULL;
}

struct flow_plugin *gateway_mo_plugin(struct gateway *g)
{
	for (size_t i = 0; i < g->plugins_n; i++)
		if (g->plugins[i]->pub.plugin->mo)
			return g->plugins[i];
	return NULL;
}

struct plugin_host *gateway_plugin(struct gateway *g, const struct plugin *p)
{
	for (size_t i = 0; i < g->plugins_n; i++)
		if (g->plugins[i]->pub.plugin == p)
			return &g->plugins[i]->pub;
	return NULL;
}

struct plugin_host *gateway_plugin_at(struct gateway *g, size_t i)
{
	return i < g->plugins_n ? &g->plugins[i]->pub : NULL;
}

wall_t gateway_gate(struct gateway *g, const struct message *m, wall_t now, struct outcome *why)
{
	struct str gate = message_get(m, FIELD_GATE);
	const struct plugin_conf *group;
	wall_t due;

	if (gate.n < 8 || now < (wall_t)((uint64_t)be32(gate.p) << 32 | be32(gate.p + 4)))
		return 0;
	for (size_t i = 0; i < g->plugins_n; i++) {
		const struct plugin *p = g->plugins[i]->pub.plugin;

		group = p->gate ? settings_plugin(gateway_settings(g), p) : NULL;
		if (!group)
			continue;
		*why = outcome_of(REASON_QUIET_HOURS);
		due = p->gate(group->loaded, m, str_skip(gate, 8), now, why);
		return due > now ? due : 0;
	}
	return 0;
}

const void *plugin_enter(struct plugin_host *h, unsigned *entered_r)
{
	struct gateway *g = flow_plugin(h)->gw;
	const struct plugin_conf *c;

	*entered_r = gateway_enter(g);
	c = settings_plugin(gateway_settings(g), h->plugin);
	return c ? c->loaded : NULL;
}

void plugin_leave(struct plugin_host *h, unsigned entered)
{
	gateway_leave(flow_plugin(h)->gw, entered);
}

struct sql *plugin_read(struct plugin_host *h, struct err *e)
{
	return store_read(gateway_store(flow_plugin(h)->gw), e);
}

void plugin_read_end(struct plugin_host *h, struct sql **dbp)
{
	store_read_end(gateway_store(flow_plugin(h)->gw), dbp);
}

int plugin_find(struct plugin_host *h, uint64_t id, struct plugin_found *f, struct err *e)
{
	struct gateway *g = flow_plugin(h)->gw;
	struct flow_account *a;
	struct store_view v;
	unsigned entered;
	int found = store_find(gateway_store(g), id, true, &v, e);

	if (found <= 0)
		return found;
	*f = (struct plugin_found){ .id = id,
		.msg = v.msg ? message_ref(v.msg) : NULL,
		.state = v.state,
		.reason = v.reason,
		.accepted = v.accepted,
		.due = v.due,
		.final_at = v.final_at };
	memcpy(f->words, v.words, sizeof f->words);
	str_copy(f->submitter, sizeof f->submitter,
		str_of(store_name(gateway_store(g), STORE_SUBMITTER, v.submitter)));
	entered = gateway_enter(g);
	a = account_full_named(g, v.msg && message_has(v.msg, FIELD_ON_BEHALF)
					  ? message_get(v.msg, FIELD_ON_BEHALF)
					  : str_of(f->submitter));
	f->judged = a && gateway_policy_plugin(g) && strcmp(a->pub.conf->policy, "marketing") == 0;
	gateway_leave(g, entered);
	store_view_free(&v);
	return 1;
}

/* ---- steps of its life, each a call that somebody waits for ---- */
struct step {
	struct plugin_call call; /* first */
	const struct plugin_conf *was, *is;
	struct settings *settings; /* of `is` */
	struct err e;
	struct waiter waiter;
};

static int step_open(struct plugin_call *c)
{
	struct step *s = (struct step *)c;

	return c->host->plugin->open(c, &s->e);
}

static int step_check(struct plugin_call *c)
{
	struct step *s = (struct step *)c;

	c->conf = s->was ? s->was->loaded : NULL;
	return c->host->plugin->check(c, c->conf, s->is->loaded, &s->e);
}

static int step_adopt(struct plugin_call *c)
{
	struct step *s = (struct step *)c;
	const struct plugin *p = c->host->plugin;

	c->conf = s->is->loaded;
	return p->adopt ? p->adopt(c, s->was ? s->was->loaded : NULL, c->conf) : 0;
}

static int step_close(struct plugin_call *c)
{
	c->host->plugin->close(c);
	return 0;
}

/* The writer. */
static void step_done(struct plugin_call *c)
{
	struct step *s = (struct step *)c;
	struct flow_plugin *p = flow_plugin(c->host);

	if (c->run == step_adopt && !plugin_failed(c)) {
		p->group = s->is;
		settings_swap(&p->settings, s->settings);
	}
	waiter_signal(&s->waiter);
}

static int step_run(struct flow_plugin *p, struct step *s, int (*run)(struct plugin_call *),
	const char *what, struct err *e)
{
	s->call.run = run;
	s->call.done = step_done;
	s->call.what = what;
	s->call.refusable = true;
	waiter_init(&s->waiter);
	host_prepare(p, &s->call);
	s->call.op.loop = NULL;
	s->call.op.call.last = true;
	store_do(gateway_store(p->gw), &s->call.op);
	waiter_wait(&s->waiter);
	if (!plugin_failed(&s->call))
		return 0;
	if (s->call.fault != STORE_OK)
		return err_set(e, ERR_ENV, "plugin \"%s\": %s: the store does not work",
			p->pub.plugin->name, what);
	err_set(e, s->e.kind != ERR_NONE ? s->e.kind : ERR_ENV, "%s",
		s->e.text[0] ? s->e.text : "the store refused it");
	return err_wrap(e, "plugin \"%s\": %s", p->pub.plugin->name, what);
}

/* ---- its account: what it sends comes from there, news of that go there ---- */
struct telling {
	struct plugin_call call; /* first */
	struct note *n;
};

static int tell(struct plugin_call *c)
{
	struct telling *t = (struct telling *)c;
	int r = c->host->plugin->note(c, t->n);

	return r < 0 ? r : store_call_noted(&c->op, t->n->outlet, t->n->seq);
}

static void consider_closed(struct flow_plugin *p)
{
	if (p->closing && !p->telling)
		listener_closed(p->listener);
}

static void told(struct plugin_call *c)
{
	struct telling *t = (struct telling *)c;
	struct flow_plugin *p = flow_plugin(c->host);
	struct outcome o = outcome_of(REASON_TEMPORARY);

	p->telling--;
	if (!plugin_failed(c)) {
		note_over(p->account, t->n);
	} else {
		o.delay = DUR_S << (t->n->attempts < 9 ? t->n->attempts : 9);
		if (o.delay > AGAIN_MOST)
			o.delay = AGAIN_MOST;
		log_warn("not taken by the plugin", F_ID("msg", t->n->msg),
			F_STR("plugin", p->pub.plugin->name), F_DUR("again_in", o.delay));
		note_done(&p->account->pub, t->n, &o);
	}
	mem_free(&t);
	consider_closed(p);
}

static void host_notify(struct account *a, struct note *n)
{
	struct gateway *g = flow_account(a)->gw;
	struct outcome ok = outcome_of(REASON_NONE);
	struct flow_plugin *p = NULL;
	struct telling *t;

	for (size_t i = 0; i < g->plugins_n; i++)
		if (g->plugins[i]->pub.submitter == a->submitter)
			p = g->plugins[i];
	if (!p || !p->pub.plugin->note) {
		note_done(a, n, &ok);
		return;
	}
	t = mem_new(struct telling);
	t->n = n;
	t->call.what = "note";
	t->call.run = tell;
	t->call.done = told;
	p->telling++;
	plugin_call(&p->pub, &t->call);
}

static void host_unlisten(struct listener *l, dur_t grace)
{
	struct gateway *g = ((struct flow_listener *)l)->gw;

	for (size_t i = 0; i < g->plugins_n; i++) {
		struct flow_plugin *p = g->plugins[i];

		if (p->listener != l)
			continue;
		if (p->account)
			account_credit(&p->account->pub, 0);
		if (p->begun && p->pub.plugin->end)
			p->pub.plugin->end(&p->pub);
		p->closing = true;
		consider_closed(p);
		return;
	}
	listener_closed(l);
}

static const struct protocol protocol_plugin = {
	.name = "plugin",
	.about = "internal: what plugins send",
	.notify = host_notify,
	.unlisten = host_unlisten,
};

static const struct account_conf plugin_account = {
	.policy = "none", .media = "sms", .priority = ""
};

static void account_run(void *arg)
{
	struct flow_plugin *p = arg;
	struct account *a =
		account_declare(p->listener, p->pub.plugin->name, &plugin_account, NULL);

	p->account = a ? flow_account(a) : NULL;
	p->pub.submitter = a ? a->submitter : 0;
}

/* ---- all of them ---- */
int hosts_new(struct gateway *g, struct err *e)
{
	const struct settings *s = g->settings;

	g->plugins = mem_alloc((s->plugins_n + 1) * sizeof *g->plugins);
	for (size_t i = 0; i < s->plugins_n; i++) {
		const struct plugin *plugin = s->plugins[i].plugin;
		struct flow_plugin *p = mem_new(struct flow_plugin);
		const char *n = plugin->name;

		p->gw = g;
		p->pub = (struct plugin_host){
			.plugin = plugin, .loop = g->loops[0], .self = mem_alloc(plugin->size)
		};
#define S(field, kind, name, help) \
	stat_register(&p->field, kind, "postern_plugin_" name, help, "plugin", n, NULL)
		S(calls, STAT_COUNTER, "calls_total", "Calls on the store's writer.");
		S(undone, STAT_COUNTER, "undone_total", "Calls that were undone.");
		S(took, STAT_HISTOGRAM, "call_seconds", "How long a call took the writer.");
		S(suppressed, STAT_COUNTER, "suppressed_total", "Messages kept and not sent.");
		S(cancelled, STAT_COUNTER, "cancelled_total", "Queued messages taken back.");
#undef S
		g->plugins[g->plugins_n++] = p;
	}
	return 0;
}

int hosts_open(struct gateway *g, struct err *e)
{
	for (size_t i = 0; i < g->plugins_n; i++) {
		struct flow_plugin *p = g->plugins[i];
		const struct plugin *plugin = p->pub.plugin;
		struct step open = { .e = { 0 } };

		p->listener = gateway_internal_listener(g, &protocol_plugin, plugin->name);
		loop_call(p->listener->loop, account_run, p);
		if (!p->account)
			return err_set(e, ERR_ENV, "plugin \"%s\": the store gave it no number",
				plugin->name);
		if (plugin->open && step_run(p, &open, step_open, "opening", e) != 0)
			return -1;
	}
	if (hosts_check(g, g->settings, NULL, e) != 0)
		return -1;
	return hosts_adopt(g, g->settings, e);
}

static void begin_run(void *arg)
{
	struct flow_plugin *p = arg;

	p->begun = true;
	account_credit(&p->account->pub, NOTES_AT_ONCE);
	if (p->pub.plugin->begin)
		p->pub.plugin->begin(&p->pub);
}

void hosts_begin(struct gateway *g)
{
	for (size_t i = 0; i < g->plugins_n; i++)
		loop_call(g->plugins[i]->pub.loop, begin_run, g->plugins[i]);
}

int hosts_check(struct gateway *g, const struct settings *s, struct buf *changes, struct err *e)
{
	size_t same = 0;

	for (size_t i = 0; i < g->plugins_n; i++) {
		struct flow_plugin *p = g->plugins[i];
		const struct plugin *plugin = p->pub.plugin;
		struct step check = { .was = p->group, .is = settings_plugin(s, plugin) };

		if (!check.is)
			continue;
		same++;
		if (changes && check.was && plugin->changes)
			plugin->changes(check.was->loaded, check.is->loaded, changes);
		if (plugin->check && step_run(p, &check, step_check, "checking", e) != 0)
			return -1;
	}
	if (same != g->plugins_n || same != s->plugins_n)
		return err_set(e, ERR_CONF, "plugins come and go by a restart only");
	return 0;
}

int hosts_adopt(struct gateway *g, struct settings *s, struct err *e)
{
	for (size_t i = 0; i < g->plugins_n; i++) {
		struct flow_plugin *p = g->plugins[i];
		struct step adopt = {
			.was = p->group, .is = settings_plugin(s, p->pub.plugin), .settings = s
		};

		if (adopt.is == adopt.was)
			continue;
		if (step_run(p, &adopt, step_adopt, "taking its configuration over", e) != 0)
			return -1;
	}
	return 0;
}

/* Behind everything that was posted before, bulk calls, too. */
void hosts_close(struct gateway *g)
{
	for (size_t i = 0; i < g->plugins_n; i++) {
		struct flow_plugin *p = g->plugins[i];
		struct step *s;

		if (!p->pub.plugin->close || !p->account || store_health(g->store) != STORE_OK)
			continue;
		s = mem_new(struct step);
		s->call.run = step_close;
		s->call.done = step_done;
		s->call.what = "close";
		s->call.bulk = true;
		waiter_init(&s->waiter);
		host_prepare(p, &s->call);
		s->call.op.loop = NULL;
		store_do(g->store, &s->call.op);
		if (waiter_wait_for(&s->waiter, CLOSE_WAIT))
			mem_free(&s);
	}
}

void hosts_free(struct gateway *g)
{
	for (size_t i = 0; i < g->plugins_n; i++) {
		struct flow_plugin *p = g->plugins[i];

		stat_unregister(&p->calls);
		stat_unregister(&p->undone);
		stat_unregister(&p->took);
		stat_unregister(&p->suppressed);
		stat_unregister(&p->cancelled);
		settings_free(&p->settings);
		mem_free(&p->pub.self);
		mem_free(&p);
	}
	mem_free(&g->plugins);
	g->plugins_n = 0;
}
