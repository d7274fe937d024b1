/* What the JSON fields of a message say about its mail: attachments and further header fields.
 * Private to gateway/mail. Any thread.
 */
#ifndef POSTERN_MAIL_CONTENT_H
#define POSTERN_MAIL_CONTENT_H

#include "gateway/base/buf.h"
#include "gateway/mail/mail.h"

#include <jansson.h>

struct attachment {
	struct str name, type; /* type: "" not said */
	struct str content;    /* base64, as it was given; "" where url says where it is */
	struct str url, cid;
	bool inlined; /* to be shown */
	/* where its content is in the file, the inside of a JSON string; 0: it is `content` */
	uint64_t at, n;
	uint64_t octets, base64; /* of the content, and as lines of base64 */
	/* A mail, which goes as it is (attachment_raw()): as what, and how many octets. */
	enum attachment_raw { ATTACHMENT_CODED, ATTACHMENT_7BIT, ATTACHMENT_8BIT } raw;
	uint64_t raw_n;
};
struct attachments {
	struct attachment *v;
	size_t n;
	json_t *root; /* what the slices point into */
	int fd;       /* the file that contents are in, or -1 */
};
/* -1 and e ("/attachments/0/type: …"). json empty: none. Each content is looked through. */
int attachments_read(struct str json, struct attachments *a_r, struct err *e);
void attachments_free(struct attachments *a);
/* The contents are in this file of `size` octets, the list as it was given, and `json` was without
 * them: finds and looks through each. Takes the descriptor, also on failure. */
int attachments_locate(struct attachments *a, int fd, uint64_t size, struct err *e);
/* The octets of one, decoded, in pieces. fn returns -1 to stop. */
int attachment_octets(const struct attachments *a, const struct attachment *x,
	int (*fn)(void *ctx, struct str piece), void *ctx, struct err *e);
/* A message/… cannot be in base64 (RFC 2046 §5.2.1): sets how it can go, when it can. seven: 8-bit
 * ones cannot. */
int attachment_look(const struct attachments *a, struct attachment *x, bool seven, struct err *e);
/* "image/png", from type or name. */
const char *attachment_type(const struct attachment *a);

/* Further fields, written; out NULL: looked through. reserved: a List-Unsubscribe of ours comes, so
 * none of theirs may. *utf8_r is set (never cleared) when an address needs it. */
int headers_put(struct str json, bool unsubscribe, struct buf *out, bool *utf8_r, struct err *e);

/* GMime is made ready, once for all threads. */
void mail_gmime(void);

#endif
