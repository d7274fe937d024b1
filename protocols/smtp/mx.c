/* Where mail for a domain goes. See mx.h. */
#include "protocols/smtp/mx.h"
#include "gateway/base/backoff.h"
#include "gateway/base/mem.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#define TTL_LEAST                                                                       \
	(60 * DUR_S) /* of what is kept; a TTL of 0 would mean a question for each mail \
		      */
#define TTL_MOST DUR_DAY

struct candidate {
	struct mx_lookup *lookup;
	char name[DNS_NAME];
	uint16_t preference;
	uint64_t dice; /* among equals */
	struct dns_ask *ask[2];
	char at[2 * MX_EACH][ADDR_TEXT]; /* A, then AAAA */
	unsigned n[2];
	bool failed, secure;
	struct dns_ask *tlsa_ask;
	char alias_of[DNS_NAME]; /* "": it is no alias */
	char base[DNS_NAME];     /* whose TLSA records are asked for */
	struct buf raw;          /* what tlsa points into, copied */
	struct dns_tlsa tlsa[MX_TLSA];
	unsigned tlsa_n;
	bool dane;
	bool barred; /* nobody knows whether it has TLSA records: it must not be used */
};

struct mx_lookup {
	struct loop *loop;
	struct dns *dns;
	mx_fn *fn;
	void *owner;
	char domain[DNS_NAME + 16], us[DNS_NAME];
	int family;    /* 0: both */
	uint16_t dane; /* port, or 0 */
	struct dns_ask *ask;
	struct timer timer;
	struct candidate *candidate; /* MX_HOSTS */
	unsigned candidates, open;   /* that count; questions not answered */
	unsigned all;                /* candidates there are */
	bool implied;                /* no MX: the domain is its own host */
	struct mx_route route;
};

/* ---- the end ---- */

void mx_cancel(struct mx_lookup **mp)
{
	struct mx_lookup *m = *mp;

	*mp = NULL;
	if (!m)
		return;
	dns_cancel(&m->ask);
	for (unsigned i = 0; i < m->all; i++) {
		for (int k = 0; k < 2; k++)
			dns_cancel(&m->candidate[i].ask[k]);
		dns_cancel(&m->candidate[i].tlsa_ask);
		buf_free(&m->candidate[i].raw);
	}
	timer_cancel(m->loop, &m->timer);
	mem_free(&m->candidate);
	mem_free(&m);
}

static void finish(struct mx_lookup *m)
{
	struct mx_route route = m->route;

	if (route.ttl < TTL_LEAST)
		route.ttl = TTL_LEAST;
	if (route.ttl > TTL_MOST)
		route.ttl = TTL_MOST;
	m->fn(m->owner, &route); /* which points into what is freed now */
	mx_cancel(&m);
}

static void fail(struct mx_lookup *m, enum mx_found found, const char *what, const char *why)
{
	m->route.found = found;
	m->route.n = 0;
	snprintf(m->route.why, sizeof m->route.why, "%.100s: %s%s%.80s", m->domain, what,
		why[0] ? ": " : "", why);
	finish(m);
}

/* ---- addresses of the hosts ---- */

static void route_take(struct mx_lookup *m, const struct candidate *c)
{
	/* IPv4 first: a host without IPv6 of its own finds out at once, the other way round not. */
	for (int k = 0; k < 2; k++) {
		for (unsigned i = 0; i < c->n[k] && m->route.n < MX_ADDRESSES; i++) {
			struct mx_host *h = &m->route.host[m->route.n++];

			memcpy(h->name, c->name, sizeof h->name);
			memcpy(h->at, c->at[k * MX_EACH + (int)i], sizeof h->at);
			h->preference = c->preference;
			h->secure = c->secure;
			h->dane = c->dane;
			h->base = c->base;
			h->tlsa = c->tlsa;
			h->tlsa_n = c->tlsa_n;
		}
	}
}

static void all_found(struct mx_lookup *m)
{
	bool failed = false, barred = false;

	for (unsigned i = 0; i < m->candidates; i++) {
		if (m->candidate[i].barred)
			barred = true;
		else
			route_take(m, &m->candidate[i]);
		failed |= m->candidate[i].failed;
	}
	if (!m->route.n && barred) {
		fail(m, MX_LATER, "the TLSA records of its mail hosts cannot be found out", "");
		return;
	}
	if (m->route.n)
		finish(m);
	else if (failed)
		fail(m, MX_LATER, "the addresses of its mail hosts cannot be found out now", "");
	else if (m->family) /* it may have one of the other family */
		fail(m, MX_LATER,
			m->family == AF_INET ? "its mail hosts have no IPv4 address"
					     : "its mail hosts have no IPv6 address",
			"and `source` has no other");
	else if (m->implied)
		fail(m, MX_NO_DOMAIN, "has neither an MX nor an address", "");
	else
		fail(m, MX_LATER, "its mail hosts have no address", "");
}

static void tlsa_answered(void *owner, const struct dns_answer *a);

static void tlsa_of(struct candidate *c, const char *base)
{
	struct mx_lookup *m = c->lookup;
	char name[DNS_NAME + 16];

	str_copy(c->base, sizeof c->base, str_of(base));
	snprintf(name, sizeof name, "_%u._tcp.%s", m->dane, c->base);
	c->tlsa_ask = dns_ask(m->dns, name, DNS_TLSA, tlsa_answered, c);
}

static void tlsa_end(struct mx_lookup *m)
{
	if (--m->open == 0)
		all_found(m);
}

/* RFC 7672 §2.1: an answer that is not secure says nothing; none at all says "not now". */
static void tlsa_answered(void *owner, const struct dns_answer *a)
{
	struct candidate *c = owner;
	struct mx_lookup *m = c->lookup;

	c->tlsa_ask = NULL;
	c->barred = a->found == DNS_FAILED || a->found == DNS_BOGUS;
	c->dane = a->found == DNS_HAS && a->secure;
	for (unsigned i = 0; c->dane && i < a->n; i++)
		buf_str(&c->raw, a->data[i]);
	for (size_t i = 0, at = 0; c->dane && i < a->n; at += a->data[i++].n)
		if (c->tlsa_n < MX_TLSA &&
			dns_tlsa_parse(str_n(c->raw.p + at, a->data[i].n), &c->tlsa[c->tlsa_n]))
			c->tlsa_n++;
	if (c->dane && a->ttl < m->route.ttl)
		m->route.ttl = a->ttl;
	if (!c->dane && !c->barred && strcmp(c->base, c->name) != 0)
		tlsa_of(c, c->name);
	else
		tlsa_end(m);
}

/* An alias in a secure zone of what is none: records at the alias itself count. */
static void alias_answered(void *owner, const struct dns_answer *a)
{
	struct candidate *c = owner;

	c->tlsa_ask = NULL;
	c->barred = a->found == DNS_FAILED || a->found == DNS_BOGUS;
	if (a->found == DNS_HAS && a->secure)
		tlsa_of(c, c->name);
	else
		tlsa_end(c->lookup);
}

static bool may_have_tlsa(const struct candidate *c)
{
	return c->secure || (c->alias_of[0] && c->lookup->route.secure);
}

static void ask_tlsa(struct mx_lookup *m)
{
	for (unsigned i = 0; m->dane && i < m->candidates; i++)
		m->open += may_have_tlsa(&m->candidate[i]);
	if (m->open == 0) {
		all_found(m);
		return;
	}
	for (unsigned i = 0; i < m->candidates; i++) {
		struct candidate *c = &m->candidate[i];

		/* RFC 7672 §2.2.2: what an alias leads to first, then the alias. */
		if (c->secure)
			tlsa_of(c, c->alias_of[0] ? c->alias_of : c->name);
		else if (may_have_tlsa(c))
			c->tlsa_ask = dns_ask(m->dns, c->name, DNS_CNAME, alias_answered, c);
	}
}

static void address_answered(struct candidate *c, int k, const struct dns_answer *a)
{
	struct mx_lookup *m = c->lookup;

	c->ask[k] = NULL;
	c->failed |= a->found == DNS_FAILED || a->found == DNS_BOGUS;
	for (unsigned i = 0; a->found == DNS_HAS && i < a->n && c->n[k] < MX_EACH; i++) {
		if (a->data[i].n != (k ? 16 : 4))
			continue;
		inet_ntop(k ? AF_INET6 : AF_INET, a->data[i].p, c->at[k * MX_EACH + (int)c->n[k]++],
			ADDR_TEXT);
	}
	if (a->found == DNS_HAS) {
		c->secure = a->secure && (c->n[!k] == 0 || c->secure) && m->route.secure;
		if (a->ttl < m->route.ttl)
			m->route.ttl = a->ttl;
		if (a->canonical)
			str_copy(c->alias_of, sizeof c->alias_of, str_of(a->canonical));
	}
	if (--m->open == 0)
		ask_tlsa(m);
}

static void a_answered(void *owner, const struct dns_answer *a)
{
	address_answered(owner, 0, a);
}

static void aaaa_answered(void *owner, const struct dns_answer *a)
{
	address_answered(owner, 1, a);
}

static int by_preference(const void *x, const void *y)
{
	const struct candidate *a = x, *b = y;

	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	return a->dice < b->dice ? -1 : a->dice > b->dice;
}

/* RFC 5321 §5.1: what is not better than ourselves would only send it back to us. */
static void drop_ourselves(struct mx_lookup *m)
{
	for (unsigned i = 0; i < m->candidates; i++) {
		uint16_t ours = m->candidate[i].preference;

		if (!str_ieq(str_of(m->candidate[i].name), str_of(m->us)))
			continue;
		while (m->candidates && m->candidate[m->candidates - 1].preference >= ours)
			m->candidates--;
		return;
	}
}

static void ask_addresses(struct mx_lookup *m)
{
	unsigned was = m->candidates;

	qsort(m->candidate, m->candidates, sizeof *m->candidate, by_preference);
	drop_ourselves(m);
	if (was && !m->candidates) {
		fail(m, MX_LOOP, "its mail host is ourselves, who do not take its mail", "");
		return;
	}
	if (m->candidates > MX_HOSTS)
		m->candidates = MX_HOSTS;
	for (unsigned i = 0; i < m->candidates; i++)
		m->open += m->family ? 1 : 2;
	for (unsigned i = 0; i < m->candidates; i++) {
		struct candidate *c = &m->candidate[i];

		if (m->family != AF_INET6)
			c->ask[0] = dns_ask(m->dns, c->name, DNS_A, a_answered, c);
		if (m->family != AF_INET)
			c->ask[1] = dns_ask(m->dns, c->name, DNS_AAAA, aaaa_answered, c);
	}
}

/* ---- the domain ---- */

static void candidate_add(struct mx_lookup *m, const char *name, uint16_t preference)
{
	struct candidate *c = &m->candidate[m->candidates++];

	m->all = m->candidates;
	c->lookup = m;
	str_copy(c->name, sizeof c->name, str_of(name));
	c->preference = preference;
	c->dice = random_u64();
}

static void mx_answered(void *owner, const struct dns_answer *a)
{
	struct mx_lookup *m = owner;
	char name[DNS_NAME];
	uint16_t preference;
	bool null = false;

	m->ask = NULL;
	m->route.secure = a->secure;
	m->route.ttl = a->ttl;
	switch (a->found) {
	case DNS_HAS:
		m->candidate = mem_alloc(a->n * sizeof *m->candidate);
		for (unsigned i = 0; i < a->n; i++) {
			if (!dns_mx_parse(a->data[i], &preference, name))
				continue;
			if (name[0])
				candidate_add(m, name, preference);
			null |= !name[0];
		}
		if (m->candidates)
			ask_addresses(m);
		else if (null)
			fail(m, MX_NULL, "takes no mail (null MX)", "");
		else
			fail(m, MX_LATER, "none of its MX records can be read", "");
		break;
	case DNS_HAS_NONE:
		m->implied = true; /* for as long as it is known that there is no MX */
		m->candidate = mem_new(struct candidate);
		candidate_add(m, m->domain, 0);
		ask_addresses(m);
		break;
	case DNS_NO_NAME:
		fail(m, MX_NO_DOMAIN, "there is no such domain", "");
		break;
	default:
		fail(m, MX_LATER, "its mail hosts cannot be found out now", a->why);
	}
}

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]". */
static bool literal(struct mx_lookup *m)
{
	struct str s = str_of(m->domain);
	struct mx_host *h = &m->route.host[0];
	union addr a;

	if (s.n < 3 || s.p[0] != '[')
		return false;
	s = str_n(s.p + 1, s.n - 2);
	if (s.n > 5 && str_ieq(str_n(s.p, 5), STR("IPv6:")))
		s = str_skip(s, 5);
	if (!addr_parse(s, 0, &a) || s.n >= sizeof h->at) {
		fail(m, MX_NO_DOMAIN, "is no address", "");
		return true;
	}
	str_copy(h->name, sizeof h->name, s);
	str_copy(h->at, sizeof h->at, s);
	m->route.n = 1;
	m->route.ttl = TTL_MOST;
	finish(m);
	return true;
}

static void begin(struct timer *t)
{
	struct mx_lookup *m = CONTAINER(t, struct mx_lookup, timer);

	if (!literal(m))
		m->ask = dns_ask(m->dns, m->domain, DNS_MX, mx_answered, m);
}

struct mx_lookup *mx_look(
	struct loop *l, struct dns *d, const struct mx_asks *asks, mx_fn *fn, void *owner)
{
	struct mx_lookup *m = mem_new(struct mx_lookup);
	union addr a;

	m->loop = l;
	m->dns = d;
	m->fn = fn;
	m->owner = owner;
	str_copy(m->domain, sizeof m->domain, str_of(asks->domain));
	str_copy(m->us, sizeof m->us, str_of(asks->us));
	m->dane = asks->dane;
	if (asks->source[0] && addr_parse(str_of(asks->source), 0, &a))
		m->family = a.sa.sa_family;
	m->timer.fire = begin;
	timer_in(l, &m->timer, 0);
	return m;
}
