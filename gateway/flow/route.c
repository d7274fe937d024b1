/* Routes: which message goes which way. A plan is made from the settings and never changed, so any
 * loop reads it without a lock; only whether a channel is up is asked at the moment.
 */
#include "gateway/base/mem.h"
#include "gateway/flow/flow.h"

struct route {
	const struct route_conf *conf;
	unsigned media;
	struct flow_channel **via;
	unsigned *weight; /* beside via; all 0: in order */
	unsigned weights; /* their sum */
	size_t n;
	int priority; /* -1: unchanged */
};
struct plan {
	struct arena *arena;
	struct settings *settings;
	struct gateway *gw;
	struct route *routes;
	size_t n;
};

static void route_fill(struct plan *p, struct route *r, const struct route_conf *conf)
{
	enum priority prio;

	r->conf = conf;
	r->priority = priority_parse(str_of(conf->priority), &prio) ? (int)prio : -1; /* "": none */
	for (size_t i = 0; i < conf->media_n; i++) {
		enum media m;

		if (media_parse(str_of(conf->media[i]), &m))
			r->media |= MEDIA_BIT(m);
	}
	if (!conf->media_n)
		r->media = MEDIA_ANY;
	r->via = arena_alloc(p->arena, conf->via_n * sizeof *r->via);
	r->weight = arena_alloc(p->arena, conf->via_n * sizeof *r->weight);
	for (size_t i = 0; i < conf->via_n; i++) {
		struct flow_channel *c = gateway_channel_named(p->gw, conf->via[i]);

		if (!c)
			continue;
		for (size_t k = 0; k < conf->share_n; k++) {
			struct str rest = str_of(conf->share[k]), name;
			uint64_t w;

			if (str_cut(&rest, '=', &name) && str_is(name, conf->via[i]) &&
				str_u64(rest, &w))
				r->weight[r->n] = (unsigned)w;
		}
		r->weights += r->weight[r->n];
		r->via[r->n++] = c;
	}
}

struct plan *plan_new(struct gateway *gw, struct settings *s)
{
	struct arena *a = arena_new();
	struct plan *p = arena_new_of(a, struct plan);

	p->arena = a;
	p->settings = s;
	p->gw = gw;
	p->n = s->routes_n;
	p->routes = arena_alloc(a, (p->n + 1) * sizeof *p->routes);
	for (size_t i = 0; i < p->n; i++)
		route_fill(p, &p->routes[i], &s->routes[i]);
	return p;
}

void plan_free(struct plan **pp)
{
	struct plan *p = *pp;

	*pp = NULL;
	if (p) {
		struct arena *a = p->arena;

		arena_free(&a);
	}
}

struct settings *plan_settings(const struct plan *p)
{
	return p->settings;
}

static bool any_fits(const char *const *patterns, size_t n, struct str s)
{
	for (size_t i = 0; i < n; i++)
		if (str_glob(str_of(patterns[i]), s))
			return true;
	return n == 0;
}

static bool route_fits(const struct route *r, const struct message *m, const char *submitter)
{
	const struct route_conf *c = r->conf;

	return r->media & MEDIA_BIT(m->media) && r->n &&
	       any_fits(c->to, c->to_n, message_get(m, FIELD_TO)) &&
	       (c->from_n == 0 || any_fits(c->from, c->from_n, message_get(m, FIELD_FROM))) &&
	       any_fits(c->account, c->account_n, str_of(submitter));
}

static bool carries(const struct flow_channel *c, const struct message *m)
{
	unsigned media = c->pub.conf->media ? c->pub.conf->media : c->pub.protocol->media;

	return (media & MEDIA_BIT(m->media)) != 0;
}

/* By weight among the usable ones; NULL when none of them is. */
static struct flow_channel *share_pick(const struct route *r, const struct message *m, mono_t now)
{
	unsigned sum = 0, at;

	for (size_t i = 0; i < r->n; i++)
		if (r->weight[i] && channel_usable(r->via[i], now) && carries(r->via[i], m))
			sum += r->weight[i];
	if (!sum)
		return NULL;
	at = (unsigned)(random_u64() % sum);
	for (size_t i = 0; i < r->n; i++) {
		if (!r->weight[i] || !channel_usable(r->via[i], now) || !carries(r->via[i], m))
			continue;
		if (at < r->weight[i])
			return r->via[i];
		at -= r->weight[i];
	}
	return NULL;
}

/* The first usable one from `from` on, going round once but never to `after` itself. */
static struct flow_channel *pick(const struct route *r, const struct message *m,
	const struct flow_channel *after, mono_t now)
{
	struct flow_channel *c, *first = NULL;
	size_t from = 0;

	if (!after) {
		c = r->weights ? share_pick(r, m, now) : NULL;
		if (c)
			return c;
	} else {
		while (from < r->n && r->via[from] != after)
			from++;
		from = from < r->n ? from + 1 : 0;
	}
	for (size_t i = from; i < r->n; i++) {
		c = r->via[i];
		if (c == after || !carries(c, m))
			continue;
		if (channel_usable(c, now))
			return c;
		if (!first)
			first = c;
	}
	/* With a share the ones before are alternatives, too. */
	for (size_t i = 0; after && r->weights && i < from && i < r->n; i++)
		if (r->via[i] != after && r->weight[i] && carries(r->via[i], m) &&
			channel_usable(r->via[i], now))
			return r->via[i];
	return after ? NULL : first;
}

struct flow_channel *plan_route(const struct plan *p, const struct message *m,
	const char *submitter, const struct flow_channel *after, enum priority *priority_r,
	struct outcome *why_r)
{
	if (message_has(m, FIELD_FALLBACK))
		return after ? NULL : gateway_fallback(p->gw);
	return plan_route_step(p, m, submitter, after, priority_r, why_r);
}

struct flow_channel *plan_route_step(const struct plan *p, const struct message *m,
	const char *submitter, const struct flow_channel *after, enum priority *priority_r,
	struct outcome *why_r)
{
	struct str wanted = message_get(m, FIELD_CHANNEL);
	mono_t now = clock_mono();

	if (wanted.n) {
		char name[80];
		struct flow_channel *c;

		str_copy(name, sizeof name, wanted);
		c = gateway_channel_named(p->gw, name);
		if (after)
			return NULL;
		if (c && c->internal)
			c = NULL;
		if (c && carries(c, m))
			return c;
		*why_r = outcome_words(REASON_NO_ROUTE,
			c ? "channel \"%s\" does not carry %s" : "there is no channel \"%s\"", name,
			media_word(m->media));
		return NULL;
	}
	for (size_t i = 0; i < p->n; i++) {
		const struct route *r = &p->routes[i];
		struct flow_channel *c;

		if (!route_fits(r, m, submitter))
			continue;
		if (priority_r && r->priority >= 0)
			*priority_r = (enum priority)r->priority;
		c = pick(r, m, after, now);
		if (c || after)
			return c;
	}
	*why_r = outcome_words(
		REASON_NO_ROUTE, "no route takes %s to this destination", media_word(m->media));
	return NULL;
}
