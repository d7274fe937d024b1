/* What the JSON fields of a message say about its mail: attachments and further header fields.
 * Private to gateway/mail. Any thread.
 */
#ifndef POSTERN_MAIL_CONTENT_H
#define POSTERN_MAIL_CONTENT_H

#include "gateway/mail/mail.h"

#include <jansson.h>

struct attachment {
	struct str name, type; /* type: "" not said */
	struct str content;    /* base64, as it was given; "" where url says where it is */
	struct str url, cid;
	bool inlined; /* to be shown */
};
struct attachments {
	struct attachment *v;
	size_t n;
	json_t *root; /* what the slices point into */
};
/* -1 and e ("/attachments/0/type: …"). json empty: none. Each content is looked through. */
int attachments_read(struct str json, struct attachments *a_r, struct err *e);
void attachments_free(struct attachments *a);
/* "image/png", from type or name. */
const char *attachment_type(const struct attachment *a);

/* Further fields, written; out NULL: looked through. reserved: a List-Unsubscribe of ours comes, so
 * none of theirs may. *utf8_r is set (never cleared) when an address needs it. */
int headers_put(struct str json, bool unsubscribe, struct buf *out, bool *utf8_r, struct err *e);

/* GMime is made ready, once for all threads. */
void mail_gmime(void);

#endif
