/* Where mail for a domain goes (RFC 5321 §5): MX records, else the domain's own addresses; null MX
 * (RFC 7505), literals, ourselves among the hosts. On a loop; no callback from inside a call.
 */
#ifndef POSTERN_SMTP_MX_H
#define POSTERN_SMTP_MX_H

#include "gateway/base/stream.h"
#include "protocols/smtp/dns.h"

enum { MX_HOSTS = 10, MX_EACH = 4, MX_ADDRESSES = 24, MX_TLSA = 32 };

enum mx_found {
	MX_ROUTE,
	MX_NULL,      /* the domain says that it takes no mail */
	MX_NO_DOMAIN, /* there is none, or it has no address at all */
	MX_LOOP,      /* its best host is ourselves */
	MX_LATER,     /* it cannot be found out now */
};
struct mx_host {
	char name[DNS_NAME]; /* of the MX, or the literal without brackets */
	char at[ADDR_TEXT];  /* a numeric address */
	uint16_t preference;
	bool secure; /* name and address validated by DNSSEC */
	/* Its TLSA records, when DANE is asked for and it has some that are validated: TLS is a
	 * must then, and if any of them can be used, they alone say which certificate is right. */
	bool dane;
	const struct dns_tlsa *tlsa; /* dies with the callback, as does … */
	const char *base;            /* … the name that they are of: `name`, or its alias's */
	unsigned tlsa_n;
};
struct mx_route {
	enum mx_found found;
	struct mx_host host[MX_ADDRESSES]; /* in the order to be tried */
	unsigned n;
	bool secure; /* the MX records were validated */
	dur_t ttl;
	char why[256]; /* not ROUTE */
};
typedef void mx_fn(void *owner, const struct mx_route *r);

struct mx_lookup;
/* domain: in ASCII, lower case, or "[192.0.2.1]", "[IPv6:2001:db8::1]". us: our own name, with
 * which a host is ourselves. */
struct mx_asks {
	const char *domain, *us;
	const char *source; /* "" or the address we connect from: its family only */
	uint16_t dane;      /* ask for TLSA records of this port; 0: do not */
};
struct mx_lookup *mx_look(
	struct loop *l, struct dns *d, const struct mx_asks *asks, mx_fn *fn, void *owner);
void mx_cancel(struct mx_lookup **mp); /* harmless with NULL */

#endif
