/* DNS on a loop: libunbound below, which caches, validates (DNSSEC) and asks either the servers
 * given or the roots themselves. Own loop's thread only; no callback comes from inside a call.
 *
 * Records are handed over as octets; what mail needs of them is read by the functions at the end,
 * which are pure.
 */
#ifndef POSTERN_SMTP_DNS_H
#define POSTERN_SMTP_DNS_H

#include "gateway/base/conf.h"
#include "gateway/base/loop.h"

struct dns_conf {
	const char **servers; /* "192.0.2.53" or "192.0.2.53@5353"; none: resolv_conf */
	size_t servers_n;
	const char *resolv_conf;  /* "": ask the roots */
	const char *trust_anchor; /* "": no DNSSEC, nothing is ever secure */
	dur_t timeout;
};
extern const struct conf_item dns_rows[];

struct dns;
struct dns_ask;
struct dns *dns_new(struct loop *l, const struct dns_conf *c, struct err *e);
/* Questions under way are forgotten: their callbacks do not come. */
void dns_free(struct dns **dp);

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_TLSA = 52 };
enum dns_found {
	DNS_HAS,
	DNS_HAS_NONE, /* the name exists, such records do not */
	DNS_NO_NAME,
	DNS_FAILED, /* nobody knows now */
	DNS_BOGUS,  /* DNSSEC says that the answer is forged */
};
struct dns_answer {
	enum dns_found found;
	bool secure; /* validated; also of an answer that there is none */
	unsigned n;
	const struct str *data; /* die with the callback … */
	const char *canonical;  /* … as does this: what the name is an alias of, or NULL */
	dur_t ttl;
	char why[160]; /* FAILED, BOGUS: in words */
};
typedef void dns_fn(void *owner, const struct dns_answer *a);
/* fn comes exactly once, unless it is cancelled. CNAMEs are followed. */
struct dns_ask *dns_ask(
	struct dns *d, const char *name, enum dns_type type, dns_fn *fn, void *owner);
void dns_cancel(struct dns_ask **ap); /* harmless with NULL; not from inside its own fn */

/* ---- records ---- */
enum { DNS_NAME = 256 };
/* An uncompressed name in wire form, as text without the last dot; "" is the root. False: none. */
bool dns_name_parse(struct str wire, char name_r[DNS_NAME], size_t *used_r);
bool dns_mx_parse(struct str data, uint16_t *preference_r, char name_r[DNS_NAME]);
/* Strings of a TXT end to end. */
bool dns_txt_parse(struct str data, struct buf *out);
struct dns_tlsa {
	uint8_t usage, selector, matching;
	struct str data;
};
bool dns_tlsa_parse(struct str data, struct dns_tlsa *t_r);

#endif
