/* New settings for a gateway that runs: what differs is opened, adopted, closed. One at a time, on
 * the main or a control thread. See gateway.h.
 *
 * What can fail comes first: names that the store must number, then the listeners, which may find
 * a port taken. Failing there, the listeners go back to the settings in force. Channels follow by
 * themselves: each takes its settings over in place, or closes and opens again while its queue
 * waits on disk.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/flow/gateway_private.h"

static const struct channel_conf *channel_conf_named(const struct settings *s, const char *name)
{
	for (size_t i = 0; i < s->channels_n; i++)
		if (strcmp(s->channels[i].name, name) == 0)
			return &s->channels[i];
	return NULL;
}

static bool listens(const struct settings *s, const char *name)
{
	for (size_t i = 0; i < s->listeners_n; i++)
		if (strcmp(s->listeners[i].name, name) == 0)
			return true;
	return false;
}

static struct flow_listener *listener_named(struct gateway *g, const char *name)
{
	for (size_t i = 0; i < g->listeners_n; i++)
		if (!g->listeners[i]->internal && strcmp(g->listeners[i]->pub.name, name) == 0)
			return g->listeners[i];
	return NULL;
}

/* ---- listeners ---- */
struct adopt_call {
	struct flow_listener *l;
	const struct listener_conf *conf;
	struct settings *s;
	bool taken;
};

static void adopt_run(void *arg)
{
	struct adopt_call *a = arg;
	struct listener *l = &a->l->pub;
	struct settings *before = settings_ref(a->l->settings);

	/* accounts that it declares hold what the listener has */
	settings_swap(&a->l->settings, a->s);
	a->taken = l->protocol->listener_adopt &&
		   l->protocol->listener_adopt(l, a->conf->specific) == 0;
	if (a->taken) {
		l->conf = a->conf;
		l->specific = a->conf->specific;
		l->country = a->s->country;
		l->trunk = a->s->trunk;
		l->mail = &a->s->mail;
	} else {
		settings_swap(&a->l->settings, before);
	}
	settings_free(&before);
}

/* A listener of the API and the like: its owner follows by itself. */
static void internal_run(void *arg)
{
	struct adopt_call *a = arg;

	settings_swap(&a->l->settings, a->s);
	a->l->pub.country = a->s->country;
	a->l->pub.trunk = a->s->trunk;
	a->l->pub.mail = &a->s->mail;
}

static int reload_listeners(struct gateway *g, struct settings *s, struct err *e)
{
	for (size_t i = 0; i < s->listeners_n; i++) {
		const struct listener_conf *conf = &s->listeners[i];
		struct flow_listener *l = listener_named(g, conf->name);

		if (l && strcmp(l->pub.protocol->name, conf->type) == 0) {
			struct adopt_call a = { .l = l, .conf = conf, .s = s };

			loop_call(l->pub.loop, adopt_run, &a);
			if (a.taken)
				continue;
		}
		/* on its old port perhaps: that one is closed before */
		if (l)
			gateway_end_listener(g, l, DUR_S);
		if (gateway_add_listener(g, conf, s, e) != 0)
			return -1;
	}
	for (size_t i = 0; i < g->listeners_n;) {
		struct flow_listener *l = g->listeners[i];
		struct adopt_call a = { .l = l, .s = s };

		if (l->internal)
			loop_call(l->pub.loop, internal_run, &a);
		if (l->internal || listens(s, l->pub.name)) {
			i++;
			continue;
		}
		gateway_end_listener(g, l, g->settings->shutdown_grace);
		i = 0;
	}
	return 0;
}

/* ---- channels ---- */
struct take_call {
	struct flow_channel *c;
	const struct channel_conf *conf;
	struct settings *s;
};

static void take_run(void *arg)
{
	struct take_call *t = arg;

	channel_take(t->c, t->conf, t->s);
}

static void retire_run(void *arg)
{
	channel_retire(arg);
}

static void open_run(void *arg)
{
	channel_open(arg);
}

static int reload_channels(struct gateway *g, struct settings *s, struct err *e)
{
	unsigned top = atomic_load(&g->names_top);

	for (size_t i = 0; i < s->channels_n; i++) {
		struct take_call t = { gateway_channel_any(g, s->channels[i].name), &s->channels[i],
			s };

		if (t.c) {
			loop_call(t.c->pub.loop, take_run, &t);
			continue;
		}
		t.c = gateway_add_channel(g, t.conf, s, e);
		if (!t.c)
			return -1;
		loop_call(t.c->pub.loop, open_run, t.c);
	}
	for (unsigned i = 1; i <= top; i++) {
		struct flow_channel *c = atomic_load(&g->channel[i]);

		if (c && !c->internal && !atomic_load(&c->retired) &&
			!channel_conf_named(s, c->pub.name))
			loop_call(c->pub.loop, retire_run, c);
	}
	return 0;
}

/* ---- accounts ---- */
static void vanish_run(void *arg)
{
	account_vanish(arg);
}

static void reload_accounts(struct gateway *g)
{
	for (unsigned i = 1; i <= atomic_load(&g->names_top); i++) {
		struct flow_account *a = atomic_load(&g->account[i]);

		if (a && a->declared != g->generation && !a->internal && !atomic_load(&a->gone))
			loop_call(a->pub.loop, vanish_run, a);
	}
}

/* ---- all of it ---- */
static void put_back(struct gateway *g)
{
	struct err e = { 0 };

	g->generation++;
	if (reload_listeners(g, g->settings, &e) != 0 || reload_channels(g, g->settings, &e) != 0 ||
		hosts_adopt(g, g->settings, &e) != 0)
		log_error("settings not put back", F_ERR(&e));
	reload_accounts(g);
}

/* What is read at the start only. */
static int check_fixed(
	const struct gateway *g, const struct settings *s, struct buf *changes, struct err *e)
{
	const struct settings *is = g->first;

	if (strcmp(s->state, is->state) != 0 || strcmp(s->store.engine, is->store.engine) != 0)
		return err_set(e, ERR_CONF, "state and store.engine change by a restart only");
	if (strcmp(s->node, is->node) != 0 || s->node_number != is->node_number ||
		s->store.cache != is->store.cache || s->store.batch != is->store.batch ||
		s->store.orphan_wait != is->store.orphan_wait ||
		s->store.mo_wait != is->store.mo_wait || s->loops != is->loops ||
		s->retention != is->retention || s->dedupe_window != is->dedupe_window ||
		s->control_mode != is->control_mode)
		buf_c(changes, "node, node_number, store, loops, retention, dedupe_window and "
			       "control_mode take effect at the next start\n");
	return 0;
}

int gateway_reload(
	struct gateway *g, struct settings *s, bool dry, struct buf *changes, struct err *e)
{
	struct settings *old_settings;
	struct plan *old;

	conf_describe_change(settings_rows, g->settings, s, changes);
	if (check_fixed(g, s, changes, e) != 0 || hosts_check(g, s, changes, e) != 0)
		return -1;
	if (dry)
		return 0;
	for (size_t i = 0; i < s->channels_n; i++)
		if (channel_numbers(g, &s->channels[i], e) != 0)
			return -1;
	g->generation++;
	if (reload_listeners(g, s, e) != 0 || reload_channels(g, s, e) != 0 ||
		hosts_adopt(g, s, e) != 0) {
		put_back(g);
		return -1;
	}
	old = atomic_exchange(&g->plan, plan_new(g, s));
	gateway_quiesce(g);
	plan_free(&old);
	reload_accounts(g);
	old_settings = g->settings;
	g->settings = s;
	settings_free(&old_settings);
	log_set_level((enum log_level)s->log.level);
	log_set_json(s->log.json);
	return 0;
}
