/* Asking for MTA-STS policies: the TXT record by DNS, the policy by HTTPS, both remembered. The
 * channel's loop.
 *
 * A policy once had counts until its max_age is over, also when nothing can be fetched any more:
 * who sits in between cannot make it forgotten by cutting lines (RFC 8461 §5.1).
 */
#include "protocols/smtp/sts.h"
#include "gateway/base/log.h"
#include "gateway/base/map.h"
#include "gateway/base/mem.h"

#include <stdio.h>

enum { KNOWN_MOST = 2000, FILE_MOST = 64 * 1024 };
#define FETCH_TIME (20 * DUR_S)
#define FAIL_LIFE  (5 * DUR_MIN) /* before a policy that could not be had is asked for again */
#define FRESH_MOST DUR_DAY       /* before one that holds is fetched anew (RFC 8461 §3.3) */

struct known {
	char *domain;
	char id[STS_ID]; /* of the policy that is known, "" none */
	struct sts_policy policy;
	mono_t until;      /* it holds */
	mono_t fresh;      /* it is not fetched again, unless its id changes */
	mono_t not_before; /* that it is fetched again */
};

struct sts {
	struct loop *loop;
	struct dns *dns;
	struct http_client *http;
	struct sts_conf conf;
	struct http_way way;
	struct map known;
	struct list asks;
};

struct sts_ask {
	struct list link;
	struct sts *sts;
	sts_fn *fn;
	void *owner;
	char domain[DNS_NAME], id[STS_ID];
	struct dns_ask *ask;
	struct http_call *call;
};

static void ask_free(struct sts_ask **ap)
{
	struct sts_ask *a = *ap;

	dns_cancel(&a->ask);
	if (a->call)
		http_cancel(&a->call);
	list_remove(&a->link);
	mem_free(ap);
}

void sts_cancel(struct sts_ask **ap)
{
	if (*ap)
		ask_free(ap);
}

/* What counts now. */
static void answer(struct sts_ask *a)
{
	struct known *k = map_get(&a->sts->known, str_of(a->domain));
	sts_fn *fn = a->fn;
	void *owner = a->owner;
	bool holds = k && k->id[0] && loop_now(a->sts->loop) < k->until;

	ask_free(&a);
	fn(owner, holds ? &k->policy : NULL);
}

static struct known *known_of(struct sts *s, const char *domain)
{
	struct known *k = map_get(&s->known, str_of(domain));

	if (k)
		return k;
	if (s->known.count >= KNOWN_MOST) { /* one that does not hold goes, else any one */
		size_t i = 0;
		mono_t now = loop_now(s->loop);

		while ((k = map_next(&s->known, &i)) && k->id[0] && now < k->until)
			;
		i = 0;
		if (!k)
			k = map_next(&s->known, &i);
		map_del(&s->known, str_of(k->domain));
		mem_free(&k->domain);
		mem_free(&k);
	}
	k = mem_new(struct known);
	k->domain = mem_dup(str_of(domain));
	map_put(&s->known, str_of(k->domain), k);
	return k;
}

/* RFC 8461 §3.2: so that what users put there is not taken for the domain's word. */
static bool is_plain_text(const struct http_reply *r)
{
	struct str value, type = STR_NONE;

	if (!http_reply_header(r, "Content-Type", &value))
		return true;
	str_cut(&value, ';', &type);
	return str_ieq(str_trim(type), STR("text/plain"));
}

static void fetched(void *owner, const struct http_reply *r)
{
	struct sts_ask *a = owner;
	struct known *k = known_of(a->sts, a->domain);
	mono_t now = loop_now(a->sts->loop);
	struct sts_policy p;
	struct err e;
	bool good = false;

	a->call = NULL;
	if (!r->status)
		e = r->why;
	else if (r->status != 200)
		err_set(&e, ERR_INPUT, "HTTP status %u", r->status);
	else if (!is_plain_text(r))
		err_set(&e, ERR_INPUT, "it is not text/plain");
	else if (sts_policy_parse(r->body, &p, &e) == 0)
		good = true;
	if (good) {
		k->policy = p;
		k->until = now + p.max_age;
		k->fresh = now + (p.max_age / 2 < FRESH_MOST ? p.max_age / 2 : FRESH_MOST);
		str_copy(k->id, sizeof k->id, str_of(a->id));
	} else {
		k->not_before = now + FAIL_LIFE;
		log_warn("MTA-STS policy cannot be had", F_STR("domain", a->domain), F_ERR(&e),
			F_BOOL("known_from_before", k->id[0] && now < k->until));
	}
	answer(a);
}

static void fetch(struct sts_ask *a)
{
	struct sts *s = a->sts;
	char url[DNS_NAME + 300];
	struct http_ask ask = { .method = "GET",
		.url = url,
		.way = &s->way,
		.deadline = FETCH_TIME,
		.answer_most = FILE_MOST };

	if (s->conf.endpoint[0])
		snprintf(url, sizeof url, "%.250s/%s", s->conf.endpoint, a->domain);
	else
		snprintf(url, sizeof url, "https://mta-sts.%s/.well-known/mta-sts.txt", a->domain);
	if (!s->http)
		s->http = http_client_new(s->loop, NULL);
	a->call = http_call(s->http, &ask, fetched, a);
}

static void record_answered(void *owner, const struct dns_answer *r)
{
	struct sts_ask *a = owner;
	struct known *k = map_get(&a->sts->known, str_of(a->domain));
	mono_t now = loop_now(a->sts->loop);
	struct buf txt = BUF_INIT;
	char id[STS_ID];
	unsigned records = 0;

	a->ask = NULL;
	for (unsigned i = 0; r->found == DNS_HAS && i < r->n; i++) {
		buf_reset(&txt);
		if (dns_txt_parse(r->data[i], &txt) && sts_record_parse(buf_view(&txt), id)) {
			str_copy(a->id, sizeof a->id, str_of(id));
			records++;
		}
	}
	buf_free(&txt);
	/* None, several (RFC 8461 §3.1), one that is known, one that cannot be had: what is known.
	 */
	if (records != 1 || (k && now < k->not_before) ||
		(k && now < k->fresh && strcmp(k->id, a->id) == 0))
		answer(a);
	else
		fetch(a);
}

struct sts_ask *sts_look(struct sts *s, const char *domain, sts_fn *fn, void *owner)
{
	struct sts_ask *a = mem_new(struct sts_ask);
	char name[DNS_NAME + 16];

	a->sts = s;
	a->fn = fn;
	a->owner = owner;
	str_copy(a->domain, sizeof a->domain, str_of(domain));
	list_append(&s->asks, &a->link);
	snprintf(name, sizeof name, "_mta-sts.%s", a->domain);
	a->ask = dns_ask(s->dns, name, DNS_TXT, record_answered, a);
	return a;
}

struct sts *sts_new(struct loop *l, struct dns *d, const struct sts_conf *c)
{
	struct sts *s = mem_new(struct sts);

	s->loop = l;
	s->dns = d;
	s->conf.endpoint = mem_dup(str_of(c->endpoint));
	s->conf.ca_file = c->ca_file ? mem_dup(str_of(c->ca_file)) : NULL;
	s->way = (struct http_way){ .ca_file = s->conf.ca_file,
		.allow_private = s->conf.endpoint[0] != '\0' };
	list_init(&s->asks);
	return s;
}

void sts_free(struct sts **sp)
{
	struct sts *s = *sp;
	struct known *k;
	size_t i = 0;

	*sp = NULL;
	if (!s)
		return;
	while (!list_empty(&s->asks)) {
		struct sts_ask *a = list_first(&s->asks, struct sts_ask, link);

		ask_free(&a);
	}
	if (s->http)
		http_client_free(&s->http);
	while ((k = map_next(&s->known, &i))) {
		mem_free(&k->domain);
		mem_free(&k);
	}
	map_free(&s->known);
	mem_free(&s->conf.endpoint);
	mem_free(&s->conf.ca_file);
	mem_free(&s);
}
