/* Reload: new settings are put in force without dropping what did not change. Control threads, one
 * at a time; what belongs to a loop is changed on that loop.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/base/waiter.h"
#include "gateway/flow/gateway_private.h"

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
			gateway_shut(g, NULL, 0, &l, 1, DUR_S);
			gateway_drop_listener(g, l);
		}
		l = gateway_make_listener(g, protocol_by_name(str_of(conf->type)), conf, s);
		if (gateway_open_listener(l, e) != 0) {
			gateway_drop_listener(g, l);
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
		gateway_shut(g, NULL, 0, &l, 1, g->settings->shutdown_grace);
		gateway_drop_listener(g, l);
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
		struct flow_channel *c = gateway_channel_named(g, conf->name), *old = c;

		if (c && !c->retired && strcmp(c->pub.protocol->name, conf->type) == 0) {
			struct adopt_call a = { .c = c, .cconf = conf, .s = s };

			loop_call(c->pub.loop, adopt_run, &a);
			if (a.result == 0)
				continue;
		}
		if (c && !c->retired)
			gateway_shut(g, &c, 1, NULL, 0, g->settings->shutdown_grace);
		/* The old object stays in memory until the end: operations under way know it. What
		 * it sent must be on record before the new one reads the queue. On the same loop,
		 * so that what is still offered to the old one can be passed on (queue_offer). */
		if (c) {
			c->retired = true;
			gateway_barrier(g);
		}
		c = gateway_add_channel(g, conf, s, old ? old->pub.loop : NULL, e);
		if (!c)
			return -1;
		if (old)
			channel_inherit(c, old);
		loop_call(c->pub.loop, gateway_open_channel, c);
	}
	for (unsigned i = 1; i <= top; i++) {
		struct flow_channel *c = atomic_load(&g->channel[i]);

		if (!c || c->retired || c->internal || channel_conf_named(s, c->pub.name))
			continue;
		log_warn("channel removed", F_STR("channel", c->pub.name),
			F_STR("note", "what waits for it stays on disk until it is requeued"));
		gateway_shut(g, &c, 1, NULL, 0, g->settings->shutdown_grace);
		channel_retire(c);
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
	gateway_loops_grace(g);
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
