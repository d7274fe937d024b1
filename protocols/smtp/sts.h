/* MTA-STS (RFC 8461): what a domain says about its mail hosts and their certificates, over HTTPS.
 * Reading is pure; asking is on a loop, and no callback comes from inside a call.
 */
#ifndef POSTERN_SMTP_STS_H
#define POSTERN_SMTP_STS_H

#include "gateway/http/client.h"
#include "protocols/smtp/dns.h"

enum { STS_HOSTS = 32, STS_ID = 33 };
enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };
struct sts_policy {
	enum sts_mode mode;
	dur_t max_age;
	char mx[STS_HOSTS][DNS_NAME]; /* lower case; "*.example.com" one label in front */
	unsigned n;
};
/* The policy file; -1 and e: it is none. */
int sts_policy_parse(struct str text, struct sts_policy *p_r, struct err *e);
/* The TXT record at _mta-sts: its id; false when it is none. */
bool sts_record_parse(struct str txt, char id_r[STS_ID]);
/* host: lower case. */
bool sts_allows(const struct sts_policy *p, const char *host);

/* What is known of many domains, for as long as their policies say. */
struct sts;
struct sts_ask;
struct sts_conf {
	const char
		*endpoint;   /* "": each domain's own; else this base, "/DOMAIN" added: for tests */
	const char *ca_file; /* NULL: the system's */
};
struct sts *sts_new(struct loop *l, struct dns *d, const struct sts_conf *c);
void sts_free(struct sts **sp); /* nothing is asked any more */
/* policy NULL: the domain has none, or none can be had and none was known. Dies with the callback.
 */
typedef void sts_fn(void *owner, const struct sts_policy *policy);
struct sts_ask *sts_look(struct sts *s, const char *domain, sts_fn *fn, void *owner);
void sts_cancel(struct sts_ask **ap); /* harmless with NULL */

#endif
