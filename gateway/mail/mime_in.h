/* Reading of MIME: entities cut out of a mail as slices, fields found, bodies decoded. Private to
 * gateway/mail. Pure; any thread.
 *
 * The structure is cut here, so that depth, number of parts and time are bounded by us whatever the
 * octets are; what a field or a charset means, GMime knows.
 */
#ifndef POSTERN_MAIL_MIME_IN_H
#define POSTERN_MAIL_MIME_IN_H

#include "gateway/base/buf.h"
#include "gateway/base/err.h"

enum {
	MIME_DEPTH = 12,  /* levels of multipart and message/rfc822 that are looked into */
	MIME_PARTS = 200, /* parts of one multipart */
};

struct mime_entity {
	struct str header; /* with the empty line, if there is one */
	struct str body;
};
struct mime_entity mime_split(struct str octets);
/* Could a line protocol carry it, were it 7-bit: CRLF only, no NUL, no line too long (RFC 5322
 * §2.1.1)? */
bool mime_is_lines(struct str octets);

/* The first field of that name, unfolded, blanks at its ends gone. False: there is none. The slice
 * points into scratch when it was folded. */
bool mime_field(struct str header, const char *name, struct buf *scratch, struct str *value_r);
/* One field after the other, as they stand: at begins as 0. */
bool mime_next_lines(struct str header, size_t *at, struct str *lines_r); /* with their ends */
bool mime_next_field(struct str header, size_t *at, struct str *name_r, struct str *value_r);

struct mime_type {
	char type[48], subtype[64]; /* lower case; text/plain where nothing is said */
	char charset[64], boundary[128], report[48];
	bool said; /* there is a Content-Type at all */
	bool flowed, delsp, attached;
	enum mime_transfer {
		MIME_AS_IS, /* 7bit, 8bit, binary, or nothing said */
		MIME_IN_QUOTED,
		MIME_IN_BASE64,
		MIME_IN_UNKNOWN,
	} transfer;
};
void mime_type_of(struct str header, struct mime_type *t_r);
static inline bool mime_is(const struct mime_type *t, const char *type, const char *subtype)
{
	return strcmp(t->type, type) == 0 && (!subtype || strcmp(t->subtype, subtype) == 0);
}

/* The next part between boundaries; at begins as 0. */
bool mime_next_part(struct str body, const char *boundary, size_t *at, struct str *part_r);

/* Out of its transfer encoding. strict: -1 and e where the encoding is broken; else as much as can
 * be made of it. */
int mime_decode(struct str body, enum mime_transfer t, bool strict, struct buf *out, struct err *e);
/* To UTF-8. charset "": ASCII, or UTF-8 when it is that. strict: -1 and e where octets have no
 * meaning in it; else U+FFFD stands for them. */
int mime_to_utf8(
	struct str octets, const char *charset, bool strict, struct buf *out, struct err *e);

#endif
