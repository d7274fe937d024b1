/* Writing of RFC 5322 and MIME: header fields folded and encoded, bodies in transfer encodings.
 * Private to gateway/mail. Pure; any thread.
 *
 * Why not GMime for this: a mail of two parts takes it 160 µs of processor, and its boundaries and
 * choices of charset have to be taken out of its hands one by one; this takes a tenth. GMime reads
 * what this writes (mail_build_test.c), and so does mailparser (tests/peers/mail.js).
 */
#ifndef POSTERN_MAIL_MIME_OUT_H
#define POSTERN_MAIL_MIME_OUT_H

#include "gateway/base/buf.h"
#include "gateway/base/clock.h"
#include "gateway/base/err.h"

enum {
	MIME_FOLD = 76,  /* lines are folded here where they can be (RFC 2047 §2) */
	MIME_WORD = 900, /* a word of a header that cannot be folded: below 998 with its name */
};

/* "Name: value" CRLF: folded at spaces, words beyond ASCII as encoded words (RFC 2047). Control
 * characters become spaces, so that no value can end its field. */
void mime_text_field(struct buf *b, const char *name, struct str value);
/* The value alone, from column `column`; returns the column behind it. */
size_t mime_text(struct buf *b, struct str value, size_t column);
/* A display name: atoms, a quoted string or encoded words. */
size_t mime_phrase(struct buf *b, struct str name, size_t column);
/* "Name: phrase <address>": name may be empty. address as it is to be written. */
void mime_address_field(struct buf *b, const char *field, struct str name, struct str address);
/* RFC 5322 §3.3, in UTC. */
void mime_date(struct buf *b, wall_t t);
/* "; name=value" behind a structured field: a token, a quoted string, or RFC 2231 in pieces. */
void mime_parameter(struct buf *b, const char *name, struct str value);

/* How a text can be carried, found by one look at it. */
enum mime_encoding { MIME_7BIT, MIME_QUOTED, MIME_BASE64 };
const char *mime_encoding_word(enum mime_encoding e);
/* 7 bits only where lines are short and none looks like a boundary of ours. */
enum mime_encoding mime_text_encoding(struct str text);
/* Text in any of CR, LF, CRLF, written with CRLF; ends with CRLF. */
void mime_text_body(struct buf *b, struct str text, enum mime_encoding e);
/* Octets in lines of 76. */
void mime_base64_body(struct buf *b, struct str octets);
/* The same when they are in base64 already (of either alphabet, blanks and line ends ignored).
 * -1: they are not, and *place_r says where (from 1). out NULL: looks only. */
int mime_base64_rewrap(struct str base64, struct buf *out, size_t *octets_r, size_t *place_r);
/* The same in pieces, cut anywhere. Zeroed is the beginning. json: the inside of a JSON string,
 * with its escapes. */
struct mime_rewrap {
	bool json;
	unsigned escape; /* characters of an escape that have been seen */
	unsigned code;
	unsigned pads;
	int value;             /* the last one's */
	uint64_t chars, place; /* characters of base64; the last one that was no blank, from 1 */
	uint64_t seen;
};
int mime_rewrap_put(struct mime_rewrap *w, struct str piece, struct buf *out);
int mime_rewrap_end(struct mime_rewrap *w, struct buf *out);
uint64_t mime_rewrap_octets(const struct mime_rewrap *w); /* that it stands for, at the end */
uint64_t mime_rewrap_size(const struct mime_rewrap *w);   /* of what was written */
/* The octets that base64 stands for, likewise. */
struct mime_unbase64 {
	struct mime_rewrap in;
	struct buf group; /* characters that are no whole group yet */
};
int mime_unbase64_put(struct mime_unbase64 *u, struct str piece, struct buf *out);
void mime_unbase64_end(struct mime_unbase64 *u, struct buf *out);
void mime_unbase64_free(struct mime_unbase64 *u);
/* Lines of a text in quoted-printable, each whole and without its end. */
void mime_quote_line(struct buf *b, struct str line);

#endif
