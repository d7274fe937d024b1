/* Destinations by domain: mail straight to MX. The channel's loop.
 *
 * Each domain is a site of its own, with its hosts, limits and back-off; none can stand in another
 * one's way. What a site cannot take now goes back to the gateway untried, with the time at which
 * it may come again: those times are dealt out one after another, so that a long queue for a busy
 * domain does not come all at once.
 */
#include "protocols/smtp/client.h"
#include "gateway/base/mem.h"

#include <stdio.h>

#define SWEEP_EVERY  (5 * DUR_S)
#define WAIT_MOST    (30 * DUR_S) /* for a connection */
#define UNUSED_LIFE  (2 * DUR_MIN)
#define REFUSED_LIFE (5 * DUR_MIN) /* that there is no such domain is believed for so long */
#define SLOT_MOST    (15 * DUR_MIN)
#define SLOT_STEP    (20 * DUR_MS)
enum { CONNECTIONS = 100, DOMAINS_MOST = 20000, WAITING_LEAST = 8, RATE_AHEAD_S = 5 };

bool site_is_mx(const struct relay_site *s)
{
	return s != s->relay->smart && s->relay->dns;
}

unsigned relay_most(const struct relay *r)
{
	const struct channel_conf *c = r->c->conf;

	return r->dns && !conf_given(&c->at, "connections") && c->connections == 1
		       ? CONNECTIONS
		       : (unsigned)c->connections;
}

/* ---- what goes back ---- */

dur_t site_slot(struct relay_site *s)
{
	double rate = relay_settings(s->relay)->domain_rate;
	mono_t now = loop_now(s->relay->c->loop), at = now + DUR_S;

	if (at < s->not_before)
		at = s->not_before;
	if (at < s->next_at)
		at = s->next_at;
	if (at < s->slot)
		at = s->slot;
	s->slot = at + (rate > 0 ? (dur_t)((double)DUR_S / rate) : SLOT_STEP);
	if (s->slot > now + SLOT_MOST)
		s->slot = now; /* round again */
	return at - now;
}

void site_soften(const struct relay_site *s, struct outcome *o)
{
	struct relay_site *site = s->relay->closing ? NULL : (struct relay_site *)(uintptr_t)s;
	const struct relay_conf *conf = relay_settings(s->relay);

	if (!site_is_mx(s) || o->verdict != VERDICT_RETRY || o->scope != SCOPE_CHANNEL ||
		o->reason == REASON_STOPPING || !site)
		return;
	o->scope = SCOPE_MESSAGE;
	if (o->reason == REASON_NOT_BOUND) {
		o->reason = REASON_TEMPORARY;
		return;
	}
	if (o->reason == REASON_THROTTLED) {
		site->refused.first = conf->refused_first;
		site->refused.most = conf->refused_most;
		site->refused.factor = 2;
		if (site->next_at <= loop_now(s->relay->c->loop))
			site->next_at = loop_now(s->relay->c->loop) + backoff_next(&site->refused);
	}
	o->untried = true;
	if (o->delay < DUR_S)
		o->delay = site_slot(site);
}

/* ---- the way to a domain ---- */

static void next_free(struct relay_site *s)
{
	for (unsigned i = 0; i < s->next_n; i++)
		tls_client_free(&s->next[i].tls);
	mem_free(&s->next);
	s->next_n = 0;
}

void site_unroute(struct relay_site *s)
{
	mx_cancel(&s->lookup);
	sts_cancel(&s->policy);
	next_free(s);
}

static void must(struct relay_host *h, const char *why)
{
	if (h->mode >= RELAY_TLS_MUST)
		return;
	h->mode = RELAY_TLS_MUST;
	h->must = why;
}

/* How the host's certificate is known, if by anything. With DANE TLS is a must; where no record
 * can be used, without checking (RFC 7672 §2.2). */
static void host_trust(
	const struct relay_site *s, struct relay_host *h, const struct mx_host *found)
{
	struct relay *r = s->relay;
	const struct relay_link_conf *l = &relay_settings(r)->link;
	struct tls_tlsa v[MX_TLSA];

	h->mode = l->tls.mode;
	h->trust = relay_verifies(l) ? "ca" : "";
	if (!r->tls)
		return;
	if (found->dane) {
		for (unsigned i = 0; i < found->tlsa_n; i++)
			v[i] = (struct tls_tlsa){ found->tlsa[i].usage, found->tlsa[i].selector,
				found->tlsa[i].matching, found->tlsa[i].data.p,
				found->tlsa[i].data.n };
		must(h, "its TLSA records want it");
		h->tls = tls_client_dane(r->tls, found->base, s->domain, v, found->tlsa_n);
		if (h->tls)
			h->trust = "dane";
	}
	if (!h->tls)
		h->tls = tls_client_named(r->tls, h->name);
}

static void hosts_make(struct relay_site *s, const struct mx_route *route)
{
	const struct relay_link_conf *l = &relay_settings(s->relay)->link;

	next_free(s);
	s->next = mem_alloc(route->n * sizeof *s->next);
	s->next_n = route->n;
	s->next_until = loop_now(s->relay->c->loop) + route->ttl;
	for (unsigned i = 0; i < route->n; i++) {
		struct relay_host *h = &s->next[i];

		str_copy(h->name, sizeof h->name, str_of(route->host[i].name));
		str_copy(h->at, sizeof h->at, str_of(route->host[i].at));
		h->port = l->port ? l->port : 25;
		host_trust(s, h, &route->host[i]);
	}
}

/* Holds the hosts to the domain's policy (RFC 8461 §4, §5); DANE comes before it (§2). */
static void policy_apply(struct relay_site *s, const struct sts_policy *p)
{
	struct relay *r = s->relay;
	bool enforce = p->mode == STS_ENFORCE && relay_settings(r)->mta_sts == STS_ENFORCE;
	unsigned kept = 0;

	for (unsigned i = 0; i < s->next_n; i++) {
		struct relay_host *h = &s->next[i];
		bool allowed = sts_allows(p, h->name), dane = strcmp(h->trust, "dane") == 0;

		if (!allowed && !dane) {
			log_warn("not a host of the domain's MTA-STS policy",
				F_STR("channel", r->c->name), F_STR("domain", s->domain),
				F_STR("host", h->name), F_BOOL("refused", enforce));
			if (enforce) {
				tls_client_free(&h->tls);
				continue;
			}
		}
		if (enforce && allowed && !dane) {
			tls_client_free(&h->tls);
			h->tls = tls_client_strict(r->tls, h->name);
			h->trust = "mta-sts";
			must(h, "the domain's MTA-STS policy wants it");
		}
		if (kept != i) {
			s->next[kept] = *h;
			*h = (struct relay_host){ 0 };
		}
		kept++;
	}
	s->next_n = kept;
}

static void way_lost(struct relay_site *s, const char *status, const char *why)
{
	site_plan_next(s, why, false);
	s->up = false;
	site_fail(s, REASON_DOWN, status, why);
}

static void policy_found(void *owner, const struct sts_policy *p)
{
	struct relay_site *s = owner;
	char why[300];

	s->policy = NULL;
	if (p && p->mode != STS_NONE)
		policy_apply(s, p);
	if (!s->next_n) {
		snprintf(why, sizeof why,
			"%.200s: none of its mail hosts is one that its MTA-STS policy names",
			s->domain);
		s->routed = false;
		way_lost(s, "4.7.5", why);
		return;
	}
	site_hosts_free(s);
	s->hosts = s->next;
	s->hosts_n = s->next_n;
	s->next = NULL;
	s->next_n = 0;
	s->turn = 0;
	s->routed = true;
	s->refused_all = false;
	s->routed_until = s->next_until;
	if (s->up)
		s->why[0] = '\0';
	site_feed_later(s);
}

static void refuse_all(struct relay_site *s, const struct mx_route *route)
{
	bool loop = route->found == MX_LOOP;
	struct relay_job *j;

	s->verdict = relay_failed(loop ? REASON_REFUSED : REASON_FAR_DESTINATION,
		loop                      ? "5.4.6"
		: route->found == MX_NULL ? "5.1.10"
					  : "5.1.2",
		"%s", route->why);
	s->verdict.dead = !loop;
	s->refused_all = true;
	s->routed = false;
	s->routed_until = loop_now(s->relay->c->loop) +
			  (route->ttl < REFUSED_LIFE ? route->ttl : REFUSED_LIFE);
	str_copy(s->why, sizeof s->why, str_of(route->why));
	while ((j = site_take(s)))
		job_done_later(j, &s->verdict);
}

static void route_found(void *owner, const struct mx_route *route)
{
	struct relay_site *s = owner;
	mono_t now = loop_now(s->relay->c->loop);

	s->lookup = NULL;
	if (route->found == MX_ROUTE) {
		hosts_make(s, route);
		if (s->relay->sts && s->domain[0] != '[')
			s->policy = sts_look(s->relay->sts, s->domain, policy_found, s);
		else
			policy_found(s, NULL);
	} else if (route->found != MX_LATER) {
		refuse_all(s, route);
	} else if (s->routed) { /* what was true will do a little longer */
		s->routed_until = now + DUR_MIN;
	} else {
		way_lost(s, "4.4.3", route->why); /* the DNS */
	}
}

bool site_routed(struct relay_site *s)
{
	struct relay *r = s->relay;
	const struct relay_conf *conf = relay_settings(r);
	struct mx_asks asks = { .domain = s->domain,
		.us = r->helo,
		.source = conf->link.source,
		.dane = conf->dane ? conf->link.port ? conf->link.port : 25 : 0 };

	if ((!s->routed || loop_now(r->c->loop) > s->routed_until) && !s->lookup && !s->policy)
		s->lookup = mx_look(r->c->loop, r->dns, &asks, route_found, s);
	return s->routed;
}

/* ---- mails to domains ---- */

static struct relay_site *site_of(struct relay *r, const char *address)
{
	struct str domain = str_of(strrchr(address, '@') + 1);
	struct relay_site *s;
	char lower[MAIL_ADDRESS];
	size_t n = 0;

	if (domain.n > 1 && domain.p[domain.n - 1] == '.')
		domain.n--;
	for (; n < domain.n && n + 1 < sizeof lower; n++) {
		char c = domain.p[n];

		lower[n] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	s = map_get(&r->domains, str_n(lower, n));
	if (s || r->domains.count >= DOMAINS_MOST)
		return s;
	s = site_new(r, str_n(lower, n));
	s->up = true;
	s->why[0] = '\0';
	map_put(&r->domains, str_of(s->domain), s);
	return s;
}

/* Not now, and not by its own fault. */
static bool put_off(struct relay_job *j, const char *why)
{
	struct outcome o = relay_failed(REASON_TEMPORARY, "", "%s", why);

	o.untried = true;
	o.delay = j->site ? site_slot(j->site) : 5 * DUR_S;
	job_done_later(j, &o);
	return false;
}

bool relay_mx_place(struct relay *r, struct relay_job *j)
{
	const struct relay_conf *conf = relay_settings(r);
	struct relay_site *s = site_of(r, j->to);
	unsigned most = (unsigned)(conf->domain_connections * r->c->conf->window * 2);
	mono_t now = loop_now(r->c->loop);

	if (!s)
		return put_off(j, "mail for too many domains at a time");
	j->site = s;
	s->jobs_n++;
	s->used_at = now;
	if (s->refused_all && now < s->routed_until) {
		job_done_later(j, &s->verdict);
		return false;
	}
	s->refused_all = false;
	if (!s->up && now < s->not_before)
		return put_off(j, s->why);
	s->up = true;
	if (s->jobs_n > (most > WAITING_LEAST ? most : WAITING_LEAST))
		return put_off(j, "as many mails for the domain are under way as may be");
	if (now < s->next_at - RATE_AHEAD_S * DUR_S ||
		(conf->domain_rate > 0 &&
			(double)s->waiting_n > conf->domain_rate * RATE_AHEAD_S + 1))
		return put_off(j, "the domain's rate is reached");
	return true;
}

void relay_serve_starved(struct relay *r)
{
	if (!r->starved)
		return;
	r->starved = false;
	list_each (it, &r->sites) {
		struct relay_site *s = CONTAINER(it, struct relay_site, link);

		if (s->waiting_n)
			site_feed_later(s);
	}
}

/* ---- what time does ---- */

static void sweep_site(struct relay_site *s, mono_t now)
{
	struct relay_job *j;

	while ((j = list_first(&s->waiting, struct relay_job, link)) && !s->lookup && !s->policy &&
		now - j->since > WAIT_MOST) {
		list_remove(&j->link);
		s->waiting_n--;
		put_off(j, "no connection was free");
	}
	if (s->jobs_n || s->sessions_n || s->lookup || s->policy || s->feed_due ||
		now < s->not_before || now - s->used_at < UNUSED_LIFE)
		return;
	map_del(&s->relay->domains, str_of(s->domain));
	site_free(&s);
}

static void sweep_fired(struct timer *t)
{
	struct relay *r = CONTAINER(t, struct relay, sweep);
	mono_t now = loop_now(r->c->loop);

	if (r->closing)
		return;
	timer_in(r->c->loop, t, SWEEP_EVERY);
	list_each_safe (it, &r->sites)
		sweep_site(CONTAINER(it, struct relay_site, link), now);
}

int relay_mx_open(struct relay *r, struct err *e)
{
	const struct relay_conf *conf = relay_settings(r);

	r->dns = dns_new(r->c->loop, &conf->dns, e);
	if (!r->dns)
		return -1;
	if (conf->mta_sts) {
		struct sts_conf sts = { .endpoint = conf->mta_sts_endpoint,
			.ca_file = conf->link.tls.ca_file };

		r->sts = sts_new(r->c->loop, r->dns, &sts);
	}
	r->sweep.fire = sweep_fired;
	timer_in(r->c->loop, &r->sweep, SWEEP_EVERY);
	return 0;
}

void relay_mx_close(struct relay *r)
{
	timer_cancel(r->c->loop, &r->sweep);
	list_each (it, &r->sites)
		site_unroute(CONTAINER(it, struct relay_site, link));
	sts_free(&r->sts);
	dns_free(&r->dns);
	map_free(&r->domains);
}
