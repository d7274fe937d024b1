/* SMTP commands as a server reads them: RFC 5321 §4.1, with the parameters of SIZE (1870), 8BITMIME
 * (6152), CHUNKING (3030), DSN (3461), AUTH (4954) and SMTPUTF8 (6531). Pure; one line in, fields
 * out; slices live as long as the line. What is wrong comes with the reply that it deserves.
 */
#ifndef POSTERN_SMTP_COMMAND_H
#define POSTERN_SMTP_COMMAND_H

#include "gateway/base/str.h"
#include "gateway/mail/mail.h"

enum smtp_verb {
	SMTP_UNKNOWN,
	SMTP_EHLO,
	SMTP_HELO,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_QUIT,
	SMTP_VRFY,
	SMTP_EXPN,
	SMTP_HELP,
	SMTP_STARTTLS,
	SMTP_AUTH,
	SMTP_FOREIGN, /* another protocol's: a browser or a prober is talking */
};

enum {
	SMTP_LOCAL_MOST = 64, /* RFC 5321 §4.5.3.1.1 */
	SMTP_DOMAIN_MOST = 255,
	SMTP_PATH_MOST = 254, /* without its angle brackets */
	SMTP_ENVID_MOST = 100,
	SMTP_ORCPT_MOST = 500,
};

/* A reply in parts: "550", "5.1.1", a sentence. */
struct smtp_reply {
	unsigned code;
	const char *status, *text;
};

/* An address without brackets and source route; the domain in lower case, all else as given. */
struct smtp_path {
	char text[SMTP_PATH_MOST + 1]; /* "" for <> */
	size_t n, at;                  /* at: of the "@"; n when there is none (postmaster) */
	bool utf8;                     /* it has octets beyond ASCII */
};
static inline struct str smtp_path_text(const struct smtp_path *p)
{
	return str_n(p->text, p->n);
}
static inline struct str smtp_path_local(const struct smtp_path *p)
{
	return str_n(p->text, p->at);
}
static inline struct str smtp_path_domain(const struct smtp_path *p)
{
	return p->at < p->n ? str_n(p->text + p->at + 1, p->n - p->at - 1) : STR_NONE;
}

enum smtp_body { SMTP_BODY_UNSAID, SMTP_BODY_7BIT, SMTP_BODY_8BIT, SMTP_BODY_BINARY };

struct smtp_command {
	enum smtp_verb verb;
	struct str arg; /* all behind the verb, trimmed */
	struct smtp_path path;
	/* MAIL */
	bool has_size, smtputf8;
	uint64_t size;
	enum smtp_body body;
	uint8_t ret;                      /* RET_… */
	char envid[SMTP_ENVID_MOST + 1];  /* decoded; also of RCPT: */
	uint8_t notify;                   /* NOTIFY_… */
	char orcpt[SMTP_ORCPT_MOST + 16]; /* "rfc822;a@b.c", decoded */
	/* BDAT */
	uint64_t chunk;
	bool last;
	/* AUTH */
	struct str mechanism, initial;
	bool has_initial;
};

enum smtp_parse {
	SMTP_EXTENDED = 1, /* the client said EHLO: parameters may be there */
	SMTP_UTF8 = 2,     /* the mail said SMTPUTF8: its recipients may be UTF-8 */
};
/* line: without its CRLF. NULL: all is well; else the reply to refuse it with, and only verb and
 * arg are set. */
const struct smtp_reply *smtp_command_parse(
	struct str line, unsigned flags, struct smtp_command *c_r);

/* "<a@b>" or what may stand for it, without anything behind. False: not a path. null: may be <>. */
bool smtp_path_parse(struct str text, bool null, bool utf8, struct smtp_path *p_r);
/* RFC 3461 §4: false when it is no xtext, or longer than cap - 1 octets decoded. */
bool smtp_xtext_decode(struct str in, char *out, size_t cap);

#endif
