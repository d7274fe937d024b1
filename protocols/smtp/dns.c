/* DNS on a loop by libunbound. See dns.h. The only file that sees unbound.h.
 *
 * libunbound resolves on a thread of its own and rings a descriptor; its callbacks run in
 * ub_process(), on the loop.
 */
#include "protocols/smtp/dns.h"
#include "gateway/base/mem.h"

#include <stdio.h>
#include <unbound.h>

enum { CLASS_IN = 1, RECORDS_MOST = 64, TTL_MOST_S = 86400 };

struct dns {
	struct loop *loop;
	struct ub_ctx *ctx;
	struct io io;
	struct list asks;
	dur_t timeout;
};

struct dns_ask {
	struct list link;
	struct dns *dns;
	dns_fn *fn;
	void *owner;
	int id;
	bool asked;
	struct timer timer;
	struct err why;
};

/* ---- the end of a question ---- */

static void ask_end(struct dns_ask *a, const struct dns_answer *answer)
{
	dns_fn *fn = a->fn;
	void *owner = a->owner;

	timer_cancel(a->dns->loop, &a->timer);
	list_remove(&a->link);
	mem_free(&a);
	fn(owner, answer);
}

void dns_cancel(struct dns_ask **ap)
{
	struct dns_ask *a = *ap;

	*ap = NULL;
	if (!a)
		return;
	if (a->asked)
		ub_cancel(a->dns->ctx, a->id);
	timer_cancel(a->dns->loop, &a->timer);
	list_remove(&a->link);
	mem_free(&a);
}

/* Too late, or it could not be asked at all. */
static void ask_timer(struct timer *t)
{
	struct dns_ask *a = CONTAINER(t, struct dns_ask, timer);
	struct dns_answer none = { .found = DNS_FAILED };

	if (a->asked)
		ub_cancel(a->dns->ctx, a->id);
	str_copy(none.why, sizeof none.why, str_of(a->asked ? "no answer in time" : a->why.text));
	ask_end(a, &none);
}

/* The last name of a chain of aliases, as dns_name_parse() would have it; false: there is none. */
static bool canonical_read(const struct ub_result *r, char name_r[DNS_NAME])
{
	struct str name = str_of(r->canonname ? r->canonname : ""), asked = str_of(r->qname);

	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (asked.n && asked.p[asked.n - 1] == '.')
		asked.n--;
	if (!name.n || name.n >= DNS_NAME || str_ieq(name, asked))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (c <= ' ' || c >= 0x7f || c == '\\')
			return false;
		name_r[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	name_r[name.n] = '\0';
	return true;
}

static void answer_read(const struct ub_result *r, struct dns_answer *a, struct str *data)
{
	a->secure = r->secure != 0;
	a->ttl = (r->ttl > TTL_MOST_S ? TTL_MOST_S : r->ttl < 0 ? 0 : r->ttl) * DUR_S;
	if (r->bogus) {
		a->found = DNS_BOGUS;
		snprintf(a->why, sizeof a->why, "DNSSEC: %.140s",
			r->why_bogus ? r->why_bogus : "the answer is forged");
		return;
	}
	if (r->nxdomain) {
		a->found = DNS_NO_NAME;
		return;
	}
	if (r->rcode != 0) {
		a->found = DNS_FAILED;
		snprintf(a->why, sizeof a->why, r->rcode == 2 ? "the servers fail" : "rcode %d",
			r->rcode);
		return;
	}
	a->found = r->havedata ? DNS_HAS : DNS_HAS_NONE;
	a->data = data;
	for (; r->havedata && r->data[a->n] && a->n < RECORDS_MOST; a->n++)
		data[a->n] = str_n(r->data[a->n], (size_t)r->len[a->n]);
}

static void answered(void *arg, int error, struct ub_result *r)
{
	struct dns_ask *a = arg;
	struct dns_answer answer = { .found = DNS_FAILED };
	struct str data[RECORDS_MOST];
	char canonical[DNS_NAME];

	if (error || !r)
		str_copy(answer.why, sizeof answer.why, str_of(ub_strerror(error)));
	else
		answer_read(r, &answer, data);
	if (answer.found == DNS_HAS && canonical_read(r, canonical))
		answer.canonical = canonical;
	/* Words of libraries and of far sides: nothing that could forge a line of the log. */
	for (char *p = answer.why; *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f)
			*p = '?';
	ask_end(a, &answer);
	ub_resolve_free(r);
}

struct dns_ask *dns_ask(
	struct dns *d, const char *name, enum dns_type type, dns_fn *fn, void *owner)
{
	struct dns_ask *a = mem_new(struct dns_ask);
	int rc;

	a->dns = d;
	a->fn = fn;
	a->owner = owner;
	a->timer.fire = ask_timer;
	list_append(&d->asks, &a->link);
	rc = ub_resolve_async(d->ctx, name, (int)type, CLASS_IN, a, answered, &a->id);
	a->asked = rc == 0;
	if (rc)
		err_set(&a->why, ERR_ENV, "%s", ub_strerror(rc));
	timer_in(d->loop, &a->timer, rc ? 0 : d->timeout);
	return a;
}

/* ---- itself ---- */

static void dns_ready(struct io *io, unsigned what)
{
	ub_process(CONTAINER(io, struct dns, io)->ctx);
}

static int set_up(struct dns *d, const struct dns_conf *c, struct err *e)
{
	int rc = ub_ctx_async(d->ctx, 1);

	if (rc == 0 && c->servers_n)
		rc = ub_ctx_set_option(d->ctx, "do-not-query-localhost:", "no");
	for (size_t i = 0; i < c->servers_n && rc == 0; i++) {
		rc = ub_ctx_set_fwd(d->ctx, c->servers[i]);
		if (rc)
			return err_set(
				e, ERR_CONF, "dns.servers: \"%s\" is no address", c->servers[i]);
	}
	if (rc == 0 && !c->servers_n && c->resolv_conf && c->resolv_conf[0]) {
		rc = ub_ctx_resolvconf(d->ctx, c->resolv_conf);
		if (rc)
			return err_set(e, ERR_ENV, "dns.resolv_conf %s: %s", c->resolv_conf,
				ub_strerror(rc));
	}
	if (rc == 0 && c->trust_anchor && c->trust_anchor[0]) {
		rc = ub_ctx_add_ta_file(d->ctx, c->trust_anchor);
		if (rc)
			return err_set(e, ERR_CONF, "dns.trust_anchor %s: %s", c->trust_anchor,
				ub_strerror(rc));
	}
	return rc ? err_set(e, ERR_ENV, "DNS: %s", ub_strerror(rc)) : 0;
}

struct dns *dns_new(struct loop *l, const struct dns_conf *c, struct err *e)
{
	struct dns *d = mem_new(struct dns);

	d->loop = l;
	d->timeout = c->timeout;
	list_init(&d->asks);
	d->ctx = ub_ctx_create();
	CHECK(d->ctx);
	if (set_up(d, c, e) != 0) {
		ub_ctx_delete(d->ctx);
		mem_free(&d);
		return NULL;
	}
	io_open(l, &d->io, ub_fd(d->ctx), dns_ready);
	io_wait_for(&d->io, IO_READ);
	return d;
}

void dns_free(struct dns **dp)
{
	struct dns *d = *dp;

	*dp = NULL;
	if (!d)
		return;
	while (!list_empty(&d->asks)) {
		struct dns_ask *a = list_first(&d->asks, struct dns_ask, link);

		dns_cancel(&a);
	}
	io_close(&d->io);
	ub_ctx_delete(d->ctx);
	mem_free(&d);
}
