/* SASL as SMTP uses it (RFC 4954), for both halves of the protocol: base64, PLAIN (RFC 4616),
 * LOGIN, XOAUTH2, and SCRAM-SHA-256 (RFC 5802, 7677) as client and as server, without channel
 * binding.
 *
 * Pure; no I/O. What derives a key from a password takes milliseconds by intention and belongs on a
 * worker: it is marked "slow". Passwords and names are octets as given: none is normalised
 * (SASLprep), so that those outside ASCII must be written the same way on both sides.
 */
#ifndef POSTERN_SMTP_SASL_H
#define POSTERN_SMTP_SASL_H

#include "gateway/base/buf.h"
#include "gateway/base/err.h"

enum {
	SASL_NAME_MOST = 255,   /* octets of a user name */
	SASL_LINE_MOST = 12288, /* of one base64 line (RFC 4954 §4) */
	SCRAM_SALT_MOST = 64,
	SCRAM_KEY = 32,
	SCRAM_ROUNDS = 4096, /* RFC 7677 §4 */
	SCRAM_ROUNDS_MOST = 1000000,
};

/* RFC 4648 §4: padded, nothing else in between. Appends to out; false: *out as before. */
bool sasl_base64_decode(struct str in, struct buf *out);
void sasl_base64_encode(struct str in, struct buf *out);

/* Clients' messages, not yet in base64. */
void sasl_plain_put(struct str user, struct str password, struct buf *out);
void sasl_xoauth2_put(struct str user, struct str token, struct buf *out);
/* False: not three parts, or no name. Slices of raw. */
bool sasl_plain_parse(
	struct str raw, struct str *authzid_r, struct str *user_r, struct str *password_r);

/* ---- SCRAM-SHA-256 ---- */

/* What a server keeps in place of a password: "SCRAM-SHA-256$ROUNDS:SALT$STORED:SERVER", the form
 * of PostgreSQL and others; salt and keys in base64. */
struct scram_verifier {
	unsigned rounds;
	size_t salt_n;
	uint8_t salt[SCRAM_SALT_MOST], stored[SCRAM_KEY], server[SCRAM_KEY];
};
bool scram_verifier_parse(struct str text, struct scram_verifier *v_r);
void scram_verifier_put(const struct scram_verifier *v, struct buf *out);
/* Slow. From a password that is known. */
void scram_verifier_make(
	struct str password, struct str salt, unsigned rounds, struct scram_verifier *v_r);
/* Slow. Is it the password that the verifier was made from? */
bool scram_verifier_fits(const struct scram_verifier *v, struct str password);

/* The server's half of one exchange; zeroed is new. */
struct scram_server {
	char user[SASL_NAME_MOST + 1];
	struct buf header; /* gs2-header, as it must come again in c= */
	struct buf text;   /* the exchange so far: what is signed */
	struct buf nonce;  /* theirs and ours */
};
void scram_server_free(struct scram_server *s);
/* client-first-message; then s->user is the name. False: not one that we can answer. */
bool scram_server_first(struct scram_server *s, struct str message);
/* Appends server-first-message. nonce: ours, printable, no commas. */
void scram_server_challenge(
	struct scram_server *s, const struct scram_verifier *v, struct str nonce, struct buf *out);
/* client-final-message; appends server-final-message. False: the proof is wrong. v must be the one
 * of the challenge. */
bool scram_server_final(struct scram_server *s, const struct scram_verifier *v, struct str message,
	struct buf *out);

/* The client's half; zeroed is new. */
struct scram_client {
	struct buf text, nonce;
	uint8_t server[SCRAM_KEY]; /* the signature that the server must give */
};
void scram_client_free(struct scram_client *c);
void scram_client_first(struct scram_client *c, struct str user, struct str nonce, struct buf *out);
/* Slow. server-first-message; appends client-final-message. -1: the server speaks nonsense. */
int scram_client_final(struct scram_client *c, struct str password, struct str message,
	struct buf *out, struct err *e);
/* server-final-message: does the server know the password, too? */
bool scram_client_done(struct scram_client *c, struct str message);

/* A fresh nonce: 24 printable characters. */
enum { SCRAM_NONCE = 25 };
void scram_nonce(char nonce_r[SCRAM_NONCE]);

#endif
