/* Mail as content: what a message looks like in RFC 5322 and MIME, and back. No sockets, no store;
 * any thread, though what is long (building, parsing, signing of much) belongs on workers.
 *
 * GMime is seen by these files alone, libopendkim by dkim.c alone.
 */
#ifndef POSTERN_MAIL_MAIL_H
#define POSTERN_MAIL_MAIL_H

#include "gateway/base/conf.h"
#include "gateway/base/spool.h"
#include "gateway/model/message.h"

/* mail = { … } in the main file: what the SMTP channel, the SMTP listener and the endpoint for
 * unsubscribing must agree on. Without `secret` there are no tokens: return paths are the senders'
 * own, and no List-Unsubscribe is added. */
struct mail_conf {
	struct conf_where at;
	const char *sender;          /* of mails that name none; "": they cannot be sent */
	const char *hostname;        /* right of Message-ID and in Received; "": the host's name */
	const char *secret;          /* of tokens, 16 octets or more */
	const char *bounce_domain;   /* return paths are TOKEN@ this; "": the sender's own */
	const char *unsubscribe_url; /* https://…/ before the token; "": none */
	dur_t bounce_life, unsubscribe_life; /* how long tokens hold */
	dur_t delay_notice;                  /* what waits so long is told of; 0: never */
	const char **old_secrets;            /* still taken, never given out */
	size_t old_secrets_n;
};
extern const struct conf_item mail_rows[];

/* ---- the envelope beyond its two addresses: FIELD_ENVELOPE of a message ---- */
/* Which DSN the submitter asked for (RFC 3461 §4.1); 0: nothing was said. */
enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };
enum { RET_UNSAID, RET_HDRS, RET_FULL };
struct mail_envelope {
	bool eightbit, smtputf8, binary; /* what the content is (RFC 6152, 6531, 3030) */
	uint8_t notify, ret;
	struct str envid, orcpt; /* decoded from xtext; orcpt with its type: "rfc822;a@b.c" */
};
void mail_envelope_put(struct draft *d, const struct mail_envelope *e); /* nothing said: no field */
/* Slices live as long as the message. False: damaged, and *e_r is all unsaid. */
bool mail_envelope_get(const struct message *m, struct mail_envelope *e_r);

/* ---- signed tokens (HMAC-SHA256, cut to 80 bits) ---- */
/* Return path: lower-case letters and digits only, so that it survives case folding; 35 octets.
 * Nothing is looked up: who has the token has been sent it by us. */
enum { MAIL_TOKEN = 48, MAIL_UNSUBSCRIBE_TOKEN = 480 };
bool mail_bounce_token(
	const struct mail_conf *c, uint64_t msg, wall_t now, char token_r[MAIL_TOKEN]);
enum mail_token_fault { MAIL_TOKEN_GOOD, MAIL_TOKEN_FORGED, MAIL_TOKEN_EXPIRED };
/* Of a local part, whatever its letters' case. *msg_r also when it has expired. */
enum mail_token_fault mail_bounce_check(
	const struct mail_conf *c, struct str token, wall_t now, uint64_t *msg_r);
/* For unsubscribing: carries all that is needed, for the message may be forgotten by then. row: a
 * word of the consent matrix, "" the whole channel. URL-safe (RFC 4648 §5). */
bool mail_unsubscribe_token(const struct mail_conf *c, uint64_t msg, struct str address,
	struct str row, wall_t now, char token_r[MAIL_UNSUBSCRIBE_TOKEN]);
struct mail_unsubscribe {
	uint64_t msg;
	char address[256], row[32];
};
enum mail_token_fault mail_unsubscribe_check(
	const struct mail_conf *c, struct str token, wall_t now, struct mail_unsubscribe *u_r);

/* ---- addresses ---- */
/* As it goes over the wire, in the envelope and in the header: the domain in its A-labels (IDNA
 * 2008, UTS 46), which needs no SMTPUTF8. *utf8_r: the local part is beyond ASCII, so it does. -1
 * and e: there is no such form. */
enum { MAIL_ADDRESS = 256 };
int mail_address_wire(struct str address, char wire_r[MAIL_ADDRESS], bool *utf8_r, struct err *e);

/* "Shop <a@b.example>", "\"Shop, Ltd\" <a@b.example>", or the address alone: the name is appended.
 * Whether the address is one is address_email()'s affair. False: it is not of that form. */
bool mail_mailbox(struct str in, struct buf *name, struct str *address_r);

/* ---- building ---- */
/* FIELD_FROM, or where it is absent the one of the settings; "": neither. */
struct str mail_sender(const struct mail_conf *c, const struct message *m);
/* ATTACHMENTS is a list of objects: `name`, `type` (else known by the name), and `content` in
 * base64 or `url`; with `cid` the HTML shows it as "cid:…" (multipart/related); `inline`: to be
 * shown, not kept. Nothing is ever fetched: where the HTML says "cid:…" of a `url`, it says the URL
 * instead, and a `url` without a cid is a link below the text. HEADERS: an object of further
 * fields, each a text or a list of texts; those that other fields make are refused. An IMAGE or URL
 * that neither text nor HTML mention is shown above, named below them. */
/* A whole mail from FIELD_FROM (an address), FROM_NAME, TO, SUBJECT, TEXT, HTML, IMAGE,
 * ATTACHMENTS, HEADERS, UNSUBSCRIBE: multipart/alternative, related and mixed as needed; a plain
 * text made from the HTML where only that is given; 7-bit whatever the content (quoted-printable,
 * base64, encoded words), unless an address itself needs SMTPUTF8; lines of at most 998 octets, all
 * CRLF. An attached mail (message/rfc822) goes as it is, so it may bring 8 bits (RFC 2046 §5.2.1).
 * The same message gives the same octets at any time: Message-ID <ID@hostname>, Date and
 * boundaries come from its id and its time of acceptance. Attachments in the spool are read from
 * there. smtputf8_r: the header needs it. */
int mail_build(const struct mail_conf *c, struct spool *spool, const struct message *m,
	struct buf *out, bool *smtputf8_r, struct err *e);
/* The same for who sends it: one whose attachments are in the spool is not made in memory, but read
 * in pieces; *p_r is NULL when it is in out. seven: attached mails of 8 bits, which otherwise go as
 * they are, have to be made such that 7 bits carry them. */
struct mail_pieces;
int mail_make(const struct mail_conf *c, struct spool *spool, const struct message *m, bool seven,
	struct buf *out, struct mail_pieces **p_r, bool *smtputf8_r, struct err *e);
/* A mail that stands nowhere as a whole. Read any number of times, by one thread at a time. */
uint64_t mail_pieces_size(const struct mail_pieces *p);
bool mail_pieces_8bit(const struct mail_pieces *p);
/* How many are written already: of a mail that mail_make() made the header and more. */
size_t mail_pieces_first(const struct mail_pieces *p);
void mail_pieces_rewind(struct mail_pieces *p);
/* Appends the next octets, `most` of them or all that are left. 0: done; at the end nothing is
 * appended. */
int mail_pieces_read(struct mail_pieces *p, size_t most, struct buf *out, struct err *e);
void mail_pieces_free(struct mail_pieces **pp);
/* Is the content of an email message (as HTTP and plugins give it) something mail_build() can take?
 * For the door: -1 and e, which names the field by a JSON pointer and says what is wrong
 * ("/attachments/1/content: is not base64 at place 15"). Quick; reads no files: of attachments in
 * the spool nothing is said. */
int mail_check(const struct message *m, struct err *e);
/* A plain text that says what the HTML says: blocks, lists, links with their targets, entities. */
void mail_plain_of_html(struct str html, struct buf *out);

/* What is wrong with a mail as an SMTP client gave it, and what must be added (RFC 6409 §8): Date,
 * Message-ID; hops counted (RFC 5321 §6.3). The body is never looked at. */
struct mail_header_look {
	bool date, message_id, from;
	unsigned received, delivered_to; /* lines */
	struct str from_address;         /* the first of From: */
	unsigned from_addresses;         /* or what may be taken for one */
	struct str subject;              /* raw, folded */
	size_t header_n;                 /* octets up to and with the empty line */
};
void mail_header_look(struct str start_of_mail, struct mail_header_look *l_r);

/* ---- reading ---- */
/* A header's text for people: unfolded, encoded words (RFC 2047) as UTF-8; what does not decode
 * stays as it is. Always valid UTF-8 without control characters. */
void mail_words(struct str raw, struct buf *out);
/* For the gateways by address: the best text part (text/plain, else what the HTML says), decoded to
 * UTF-8, line ends LF, trailing white space and (sig) the signature behind "-- " gone; and the
 * decoded subject. -1 and e, which says what is broken (a part that does not decode, a charset that
 * is not known, no text at all); the mail is never changed. */
int mail_text(
	struct str mail, bool cut_signature, struct buf *text, struct buf *subject, struct err *e);

/* ---- to 7 bits ---- */
/* For a far side without 8BITMIME (RFC 6152 §3): the same mail with its 8-bit parts in
 * quoted-printable or base64. -1: not possible without loss (a broken mail, a signed one). spoil:
 * one with a DKIM signature all the same, which then does not hold. */
int mail_to_7bit(struct str mail, bool spoil, struct buf *out, struct err *e);
/* The same of a mail in a file, to be read in pieces, which have the descriptor from then on. NULL:
 * not possible, or (ERR_ENV) the file could not be read; the descriptor is still the caller's.
 * Takes as much memory as the mail is long, but of one mail at a time. */
struct mail_pieces *mail_file_to_7bit(int fd, uint64_t size, bool spoil, struct err *e);

#endif
