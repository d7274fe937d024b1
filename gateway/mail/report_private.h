/* Shared by the readers of reports. Private to gateway/mail. */
#ifndef POSTERN_MAIL_REPORT_PRIVATE_H
#define POSTERN_MAIL_REPORT_PRIVATE_H

#include "gateway/mail/mime_in.h"
#include "gateway/mail/report.h"

enum {
	REPORT_ADDRESS = 256,
	REPORT_GROUPS = 500,    /* recipients of one report that are looked at */
	REPORT_TEXT = 64 << 10, /* octets of a part that are looked at */
};

/* One line, blanks run together, cut to cap at a whole character. */
void report_words(struct str s, char *out, size_t cap);
/* s begins with an enhanced status: its length; with a reply code: that. Else 0. */
size_t report_status(struct str s);
unsigned report_code(struct str s);
/* An address, in angles or not; out has REPORT_ADDRESS octets, "" when it is none. */
bool report_address(struct str v, char *out);
/* reason and dead, from the kind, the status and the words. */
void report_judge(struct mail_report *r, unsigned code, struct str words);
/* A mail without the parts of a report: header, text for people, attached mail. */
void report_read_free(struct str header, struct str text, struct str original, struct str expected,
	struct mail_report *r);

#endif
