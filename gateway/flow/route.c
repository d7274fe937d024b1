/* Routes: which message goes which way. A plan is made from the settings and never changed, so any
 * loop reads it without a lock; only whether a channel is up is asked at the moment.
 */
#include "gateway/base/mem.h"
#include "gateway/flow/flow.h"

struct route {
	const struct route_conf *conf;
	unsigned media;
	const struct way **via;
	unsigned *weight; /* beside via; all 0: in order */
	unsigned weights; /* their sum */
	size_t n;
	int priority; /* -1: unchanged */
};
struct plan {
	struct arena *arena;
	struct settings *settings;
	struct gateway *gw;
	struct way fallback;
	struct way *ways;
	size_t ways_n;
	struct route *routes;
	size_t n;
};

static void way_fill(struct way *w, const struct plan *in, struct flow_channel *c,
	const struct channel_conf *conf, const struct settings *s)
{
	const struct protocol *p = protocol_by_name(str_of(conf->type));

	w->plan = in;
	w->c = c;
	w->view = (struct channel){
		.name = c->pub.name,
		.protocol = p,
		.loop = c->pub.loop,
		.conf = conf,
		.specific = conf->specific,
		.number = c->pub.number,
		.country = s->country,
		.trunk = s->trunk,
		.mail = &s->mail,
		.spool = gateway_spool(in->gw),
	};
	w->media = conf->media ? conf->media : p->media;
	w->queue_most = conf->queue_most;
	w->failover_after = conf->failover_after;
}

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
		const struct way *w = plan_way_named(p, str_of(conf->via[i]));

		if (!w)
			continue;
		for (size_t k = 0; k < conf->share_n; k++) {
			struct str rest = str_of(conf->share[k]), name;
			uint64_t weight;

			if (str_cut(&rest, '=', &name) && str_is(name, conf->via[i]) &&
				str_u64(rest, &weight))
				r->weight[r->n] = (unsigned)weight;
		}
		r->weights += r->weight[r->n];
		r->via[r->n++] = w;
	}
}

struct plan *plan_new(struct gateway *gw, struct settings *s)
{
	struct arena *a = arena_new();
	struct plan *p = arena_new_of(a, struct plan);

	p->arena = a;
	p->settings = settings_ref(s);
	p->gw = gw;
	p->ways = arena_alloc(a, (s->channels_n + 1) * sizeof *p->ways);
	for (size_t i = 0; i < s->channels_n; i++) {
		struct flow_channel *c = gateway_channel_named(gw, s->channels[i].name);

		if (c)
			way_fill(&p->ways[p->ways_n++], p, c, &s->channels[i], s);
	}
	way_fill(&p->fallback, p, gateway_fallback(gw), gateway_fallback(gw)->pub.conf, s);
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

		settings_free(&p->settings);
		arena_free(&a);
	}
}

struct settings *plan_settings(const struct plan *p)
{
	return p->settings;
}

const struct way *plan_way(const struct plan *p, const struct flow_channel *c)
{
	for (size_t i = 0; i < p->ways_n; i++)
		if (p->ways[i].c == c)
			return &p->ways[i];
	return p->fallback.c == c ? &p->fallback : NULL;
}

const struct way *plan_way_named(const struct plan *p, struct str name)
{
	for (size_t i = 0; i < p->ways_n; i++)
		if (str_is(name, p->ways[i].view.name))
			return &p->ways[i];
	return NULL;
}

/* The whole of a message with a fallback goes as one, if its first attempt has a way to go. */
static unsigned fallback_parts(const struct plan *p, const struct message *m, struct outcome *why_r)
{
	char name[96];
	const struct way *w =
		plan_route_step(p, m, submitter_name(p->gw, m, name, sizeof name), NULL, why_r);

	return w && way_parts(w, m, why_r) ? 1 : 0;
}

unsigned way_parts(const struct way *w, const struct message *m, struct outcome *why_r)
{
	if (w == &w->plan->fallback)
		return fallback_parts(w->plan, m, why_r);
	return w->view.protocol->parts ? w->view.protocol->parts(&w->view, m, why_r) : 1;
}

bool way_usable(const struct way *w, mono_t now)
{
	mono_t since = atomic_load(&w->c->down_since);

	return atomic_load(&w->c->mode) == CHANNEL_RUNS &&
	       (since == 0 || now - since < w->failover_after);
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

static bool carries(const struct way *w, const struct message *m)
{
	return (w->media & MEDIA_BIT(m->media)) != 0;
}

/* By weight among the usable ones; NULL when none of them is. */
static const struct way *share_pick(const struct route *r, const struct message *m, mono_t now)
{
	unsigned sum = 0, at;

	for (size_t i = 0; i < r->n; i++)
		if (r->weight[i] && way_usable(r->via[i], now) && carries(r->via[i], m))
			sum += r->weight[i];
	if (!sum)
		return NULL;
	at = (unsigned)(random_u64() % sum);
	for (size_t i = 0; i < r->n; i++) {
		if (!r->weight[i] || !way_usable(r->via[i], now) || !carries(r->via[i], m))
			continue;
		if (at < r->weight[i])
			return r->via[i];
		at -= r->weight[i];
	}
	return NULL;
}

/* The first usable one, else the first. */
static const struct way *pick(const struct route *r, const struct message *m, mono_t now)
{
	const struct way *w = r->weights ? share_pick(r, m, now) : NULL, *first = NULL;

	for (size_t i = 0; i < r->n && !w; i++) {
		if (!carries(r->via[i], m))
			continue;
		if (way_usable(r->via[i], now))
			w = r->via[i];
		else if (!first)
			first = r->via[i];
	}
	return w ? w : first;
}

const struct way *plan_route(const struct plan *p, const struct message *m, const char *submitter,
	enum priority *priority_r, struct outcome *why_r)
{
	if (message_has(m, FIELD_FALLBACK))
		return &p->fallback;
	return plan_route_step(p, m, submitter, priority_r, why_r);
}

const struct way *plan_route_step(const struct plan *p, const struct message *m,
	const char *submitter, enum priority *priority_r, struct outcome *why_r)
{
	struct str wanted = message_get(m, FIELD_CHANNEL);
	mono_t now = clock_mono();
	const struct way *w;

	if (wanted.n) {
		w = plan_way_named(p, wanted);
		if (w && carries(w, m))
			return w;
		*why_r = w ? outcome_words(REASON_NO_ROUTE, "channel \"%.*s\" does not carry %s",
				     STR_ARG(wanted), media_word(m->media))
			   : outcome_words(REASON_NO_ROUTE, "there is no channel \"%.*s\"",
				     STR_ARG(wanted));
		return NULL;
	}
	for (size_t i = 0; i < p->n; i++) {
		const struct route *r = &p->routes[i];

		if (!route_fits(r, m, submitter))
			continue;
		w = pick(r, m, now);
		if (!w)
			continue;
		if (priority_r && r->priority >= 0)
			*priority_r = (enum priority)r->priority;
		return w;
	}
	*why_r = outcome_words(
		REASON_NO_ROUTE, "no route takes %s to this destination", media_word(m->media));
	return NULL;
}

/* Behind `after` only, so that no message goes round; a route of other settings begins anew. With a
 * share the ones before are alternatives, too, as long as this one is down. */
static const struct way *next_of(const struct route *r, const struct message *m,
	const struct flow_channel *after, bool anywhere, mono_t now)
{
	size_t from = 0, i;

	while (from < r->n && r->via[from]->c != after)
		from++;
	from = from < r->n ? from + 1 : 0;
	for (i = from; i < r->n; i++)
		if (r->via[i]->c != after && carries(r->via[i], m) && way_usable(r->via[i], now))
			return r->via[i];
	for (i = 0; anywhere && r->weights && i < from && i < r->n; i++)
		if (r->via[i]->c != after && r->weight[i] && carries(r->via[i], m) &&
			way_usable(r->via[i], now))
			return r->via[i];
	return NULL;
}

const struct way *plan_next(const struct plan *p, const struct message *m, const char *submitter,
	const struct flow_channel *after, bool anywhere)
{
	mono_t now = clock_mono();

	if (message_has(m, FIELD_CHANNEL) || message_has(m, FIELD_FALLBACK))
		return NULL;
	for (size_t i = 0; i < p->n; i++)
		if (route_fits(&p->routes[i], m, submitter) && pick(&p->routes[i], m, now))
			return next_of(&p->routes[i], m, after, anywhere, now);
	return NULL;
}
