/* DKIM signatures (RFC 6376, RFC 8463) by libopendkim. Signers are made when the configuration is
 * loaded, immutable, any thread; a signature is one thread's and costs about as much as its private
 * key operation, so it is made on workers.
 */
#ifndef POSTERN_MAIL_DKIM_H
#define POSTERN_MAIL_DKIM_H

#include "gateway/base/buf.h"
#include "gateway/base/clock.h"
#include "gateway/base/conf.h"

/* An element of a channel's dkim = ( … ). Several may have one domain: each signs. */
struct dkim_conf {
	struct conf_where at;
	const char *domain, *selector, *key_file; /* PEM: RSA of 1024 bits or more, or Ed25519 */
	uint64_t key_hash;                        /* of what that file held when loaded */
	const char **headers; /* further ones to be signed, besides the usual (RFC 6376 §5.4.1) */
	size_t headers_n;
	bool relaxed_body; /* canonicalisation; that of headers is always relaxed */
	const char **from; /* sign mails of these From domains; none: domain and below it */
	size_t from_n;
};
extern const struct conf_item dkim_rows[];

struct dkim_signer;
/* NULL and e: a key file that cannot be read or is no key, named with its place. */
struct dkim_signer *dkim_signer_new(const struct dkim_conf *v, size_t n, struct err *e);
struct dkim_signer *dkim_signer_ref(struct dkim_signer *s);
void dkim_signer_free(struct dkim_signer **sp);

/* One mail: header and body octets as they will be on the wire (CRLF, not dot-stuffed), in any
 * pieces. at: the time to put into t= (of acceptance, so that every retry is the same). NULL: no
 * key is for that From, nothing to do. */
struct dkim_job;
struct dkim_job *dkim_begin(struct dkim_signer *s, struct str from_address, wall_t at);
/* (dkim_header() and dkim_body() are libopendkim's own.) */
int dkim_put_header(struct dkim_job *j, struct str header, struct err *e); /* all of it, once */
int dkim_put_body(struct dkim_job *j, struct str octets, struct err *e);
/* Appends the DKIM-Signature fields, each ended by CRLF: to be put before the mail. */
int dkim_end(struct dkim_job **jp, struct buf *fields, struct err *e);
void dkim_abort(struct dkim_job **jp);

#endif
