/* DKIM's canonical forms (RFC 6376 §3.4) for signatures that libopendkim cannot make well: its
 * Ed25519 loses some 480 octets of memory with each (2.11.0 beta 2). Private to gateway/mail.
 */
#ifndef POSTERN_MAIL_DKIM_CANON_H
#define POSTERN_MAIL_DKIM_CANON_H

#include "gateway/base/buf.h"

enum { DKIM_HASH = 32 };

/* The body, in pieces, to its SHA-256. */
struct dkim_body_hash;
struct dkim_body_hash *dkim_body_hash_new(bool relaxed);
void dkim_body_hash_more(struct dkim_body_hash *h, struct str octets);
void dkim_body_hash_end(struct dkim_body_hash **hp, uint8_t hash_r[DKIM_HASH]);
void dkim_body_hash_free(struct dkim_body_hash **hp);

/* "name:value" of one field in relaxed form, without a line end. */
void dkim_relaxed_field(struct str field, struct buf *out);
/* Appends h='s value to list (From:From:To…) and to canon the fields that it names, each ended by
 * CRLF: of names as many as the header has, and one more of those in more (both end with NULL). */
void dkim_choose_fields(struct str header, const char *const *names, const char *const *more,
	struct buf *list, struct buf *canon);

#endif
