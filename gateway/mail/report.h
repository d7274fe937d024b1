/* Reports about mail: writing DSNs (RFC 3464, 6522), and reading what comes to the bounce address:
 * DSN, ARF (RFC 5965), and the free-form bounces of servers that know neither. Pure; any thread.
 */
#ifndef POSTERN_MAIL_REPORT_H
#define POSTERN_MAIL_REPORT_H

#include "gateway/mail/mail.h"
#include "gateway/model/outcome.h"
#include "gateway/model/state.h"

/* ---- writing ---- */
enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED };
struct dsn {
	enum dsn_action action;
	uint64_t id;         /* of the message; the DSN's own Message-ID is made from it */
	wall_t now, arrived; /* arrived: when the message was accepted */
	wall_t until;        /* DELAYED: will be tried so long; 0 */
	struct str reporter; /* our host name */
	struct str to;       /* the original's reverse path: whom the DSN goes to */
	struct str recipient, orcpt, envid; /* decoded; orcpt "" and envid "": none was given */
	struct str status;                  /* "5.1.1"; "": 5.0.0, 4.0.0, 2.0.0 by action */
	struct str remote, diagnostic; /* the far side, and its words ("550 5.1.1 no such …") */
	struct str words;              /* for people: why; may be "" */
	struct str original;           /* its octets, or as much as there is */
	bool header_only;              /* text/rfc822-headers instead of message/rfc822 */
	bool smtputf8;                 /* message/global-* (RFC 6533) */
};
/* 7-bit, unless the original is 8-bit or smtputf8. An original with bare line ends, NULs or lines
 * too long comes back as its header. */
void dsn_build(const struct dsn *d, struct buf *out);

/* ---- reading ---- */
enum mail_report_kind {
	MAIL_REPORT_NONE,        /* no report: an auto-reply, spam, a person's answer */
	MAIL_REPORT_FAILED,      /* for good: this mail will not arrive (a later one may: dead) */
	MAIL_REPORT_DELAYED,     /* still being tried */
	MAIL_REPORT_DELIVERED,   /* into the mailbox */
	MAIL_REPORT_RELAYED,     /* to a server that gives no further word */
	MAIL_REPORT_READ,        /* MDN (RFC 8098) */
	MAIL_REPORT_COMPLAINT,   /* "this is spam" */
	MAIL_REPORT_UNSUBSCRIBE, /* mail to the unsubscribe address, or ARF opt-out */
};
struct mail_report {
	enum mail_report_kind kind;
	bool dead; /* FAILED: there is no such mailbox or domain, so never write there again */
	enum reason reason;
	char status[12];     /* enhanced code, "" unknown */
	char recipient[256]; /* whom it speaks of, "" unknown */
	char words[OUTCOME_WORDS];
	const char *form; /* how it was known: "dsn", "arf", "mdn", "qmail", "exim", "text", … */
};
/* A report may speak of several recipients; ours have one each, the first is taken unless another
 * one is `expected` ("" : not known). Never fails: what cannot be read is NONE. */
void mail_report_read(struct str mail, struct str expected, struct mail_report *r_r);
/* Class of a refusal by its reply code, enhanced status and words (RFC 3463, with what large
 * providers really say): the one table for SMTP answers and for bounces. code 0: none (a bounce
 * speaks of failures, so as 5yz, unless its status says 4). dead_r as above. For what to do the
 * code itself is asked, not reason_verdict(): a 5yz may say MAILBOX_FULL, too; but what a 4yz gives
 * is always a reason to wait. The words may be a whole reply of many lines. */
enum reason mail_reason(unsigned code, struct str status, struct str words, bool *dead_r);

#endif
