/* Replies of an SMTP server (RFC 5321 §4.2), and what its EHLO offers. Pure; any thread.
 *
 * Lenient in what cannot mislead: enhanced codes may be missing on any line, lines may end in a
 * bare LF, hold any octets and be of any length as long as the whole stays below REPLY_MOST. What
 * leaves here as text is printable UTF-8.
 */
#ifndef POSTERN_SMTP_REPLY_H
#define POSTERN_SMTP_REPLY_H

#include "gateway/base/err.h"
#include "gateway/base/str.h"

enum { REPLY_MOST = 32 * 1024, REPLY_TEXT = 400, REPLY_STATUS = 12 };

struct reply {
	unsigned code;             /* 200 … 599; of the last line */
	char status[REPLY_STATUS]; /* enhanced code (RFC 3463) whose class is the code's; "" none */
	char text[REPLY_TEXT];     /* of all lines, without codes, cut if need be */
	struct str raw;            /* the lines as they came; dies with the input */
};
/* 1: a whole reply of *used_r octets. 0: more is needed. -1: that is none, *e says what it is. */
int reply_parse(struct reply *r, struct str in, size_t *used_r, struct err *e);
/* Cuts the text of the next line off *raw: "SIZE 1000" of "250-SIZE 1000". */
bool reply_line(struct str *raw, struct str *text_r);
/* "550 5.1.1 no such user", cut to cap without cutting a character. */
void reply_words(const struct reply *r, char *out, size_t cap);
/* The far side's own id for the mail, where the text of its 250 has one in a known form. */
bool reply_queue_id(const struct reply *r, char *out, size_t cap);

enum {
	SASL_OFFER_PLAIN = 1,
	SASL_OFFER_LOGIN = 2,
	SASL_OFFER_SCRAM_SHA256 = 4,
	SASL_OFFER_XOAUTH2 = 8,
};
struct reply_ehlo {
	bool pipelining, size, eightbit, smtputf8, dsn, chunking, binarymime, starttls;
	uint64_t size_most; /* with size; 0: no limit is told */
	unsigned auth;      /* SASL_OFFER_ bits */
	struct str name;    /* of the server, from its first line */
};
void reply_ehlo(const struct reply *r, struct reply_ehlo *e_r);

#endif
