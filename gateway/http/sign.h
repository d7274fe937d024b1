/* Postern-Signature: what a webhook's receiver checks to know that we sent it, and when.
 *
 *	Postern-Signature: t=1795342500,v1=5257a869e7ec…
 *
 * v1 is the HMAC-SHA256, in lower-case hex, of the decimal time, a full stop and the body, under
 * the token's webhook_secret. Any thread.
 */
#ifndef POSTERN_HTTP_SIGN_H
#define POSTERN_HTTP_SIGN_H

#include "gateway/base/clock.h"

enum { HMAC_SHA256_SIZE = 32 };

/* HMAC-SHA256 (RFC 2104, FIPS 180-4) of the parts, one after the other. */
void hmac_sha256(uint8_t out[HMAC_SHA256_SIZE], struct str key, const struct str *parts, size_t n);
/* The header's value. */
void http_sign(struct buf *out, struct str secret, wall_t at, struct str body);
/* True when one of the header's v1 is right and its time is within tolerance of now. */
bool http_sign_check(
	struct str header, struct str secret, struct str body, wall_t now, dur_t tolerance);

#endif
