/* What the gateway says of itself, and the verbs of the operator. Control threads. See gateway.h.
 */
#include "gateway/base/mem.h"
#include "gateway/flow/gateway_private.h"

enum { DEPTHS_MOST = 1024 };

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

/* The store has no figures of a channel for which nothing waited yet. */
static void put_depth(struct buf *b, const struct store_depth *all, unsigned n, uint32_t channel)
{
	static const struct store_depth none;
	const struct store_depth *d = &none;

	for (unsigned i = 0; i < n; i++)
		if (all[i].channel == channel)
			d = &all[i];
	buf_printf(b, ",\"queued\":{\"high\":%lu,\"normal\":%lu,\"bulk\":%lu},\"oldest_s\":%lld}",
		d->waiting[0], d->waiting[1], d->waiting[2],
		d->oldest ? (clock_wall() - d->oldest) / DUR_S : 0);
}

bool gateway_channels(struct gateway *g, const char *name, struct buf *b)
{
	struct store_depth *depth = mem_alloc(DEPTHS_MOST * sizeof *depth);
	bool counted, some = false;
	unsigned depths = store_depths(g->store, depth, DEPTHS_MOST, &counted);

	if (!name)
		buf_char(b, '[');
	for (unsigned i = 1; i <= atomic_load(&g->names_top); i++) {
		struct describe_call d = { .c = atomic_load(&g->channel[i]), .b = b };

		if (!d.c || atomic_load(&d.c->retired) ||
			(name ? strcmp(name, d.c->pub.name) != 0 : d.c->internal))
			continue;
		if (some)
			buf_char(b, ',');
		some = true;
		loop_call(d.c->pub.loop, describe_run, &d);
		b->n--; /* inside the object */
		put_depth(b, depth, depths, i);
	}
	if (!name)
		buf_char(b, ']');
	mem_free(&depth);
	return some;
}

void gateway_status(struct gateway *g, struct buf *b)
{
	static const char *const health[] = { "ok", "full", "broken" };
	unsigned entered = gateway_enter(g);

	buf_printf(b, "{\"version\":\"%s\",\"ready\":%s,\"stopping\":%s,\"store\":\"%s\",\"node\":",
		POSTERN_VERSION, gateway_ready(g) ? "true" : "false",
		gateway_stopping(g) ? "true" : "false", health[store_health(g->store)]);
	buf_json(b, str_of(gateway_settings(g)->node));
	gateway_leave(g, entered);
	buf_c(b, ",\"listeners\":[");
	gateway_listing(g, true);
	for (size_t i = 0; i < g->listeners_n; i++) {
		struct describe_call d = { .l = g->listeners[i], .b = b };

		if (i)
			buf_char(b, ',');
		loop_call(d.l->pub.loop, describe_run, &d);
	}
	gateway_listing(g, false);
	buf_c(b, "],\"accounts\":[");
	for (unsigned i = 1, some = 0; i <= atomic_load(&g->names_top); i++) {
		struct flow_account *a = atomic_load(&g->account[i]);

		if (!a || atomic_load(&a->gone) || strcmp(a->pub.protocol->name, "fallback") == 0)
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
	buf_c(b, "],\"plugins\":[");
	for (size_t i = 0; i < g->plugins_n; i++) {
		struct flow_plugin *p = g->plugins[i];

		buf_printf(b, "%s{\"name\":\"%s\",\"calls\":%lu,\"undone\":%lu", i ? "," : "",
			p->pub.plugin->name, stat_get(&p->calls), stat_get(&p->undone));
		if (p->pub.plugin->describe) {
			buf_char(b, ',');
			p->pub.plugin->describe(&p->pub, b);
		}
		buf_char(b, '}');
	}
	buf_c(b, "],\"channels\":");
	gateway_channels(g, NULL, b);
	buf_char(b, '}');
}

/* Where an operator's hold is kept over a restart. */
static const char *mode_key(const struct flow_channel *c, char *out, size_t cap)
{
	snprintf(out, cap, "mode:%u", c->pub.number);
	return out;
}

enum channel_mode channel_mode_kept(const struct flow_channel *c)
{
	char key[32];
	int64_t m = store_kept(gateway_store(c->gw), mode_key(c, key, sizeof key), CHANNEL_RUNS);

	return m == CHANNEL_HELD || m == CHANNEL_DRAINS ? (enum channel_mode)m : CHANNEL_RUNS;
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
	char key[32];

	if (!d.c)
		return err_set(e, ERR_INPUT, "there is no channel \"%s\"", name);
	loop_call(d.c->pub.loop, mode_run, &d);
	store_keep(gateway_store(g), mode_key(d.c, key, sizeof key), d.mode);
	return 0;
}
