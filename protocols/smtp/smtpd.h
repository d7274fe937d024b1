/* The server half of SMTP: what its files share. Private to protocols/smtp.
 *
 * listener.c accepts and knows the accounts, session.c is one connection, its lines and commands,
 * auth.c its login, envelope.c MAIL and RCPT, receive.c the content as it comes, accept.c a whole
 * mail: made into messages, answered. reading.c makes texts of other media
 * of it and evidence of reports, report.c tells submitters by DSN. All of it runs on the one loop
 * that owns all listeners and accounts of the protocol; what blocks or is long goes to workers as
 * chores.
 */
#ifndef POSTERN_SMTP_SMTPD_H
#define POSTERN_SMTP_SMTPD_H

#include "gateway/base/keyed.h"
#include "gateway/base/log.h"
#include "gateway/base/map.h"
#include "gateway/base/spool.h"
#include "gateway/mail/report.h"
#include "protocols/protocol.h"
#include "protocols/smtp/command.h"
#include "protocols/smtp/data.h"
#include "protocols/smtp/sasl.h"

enum {
	SMTPD_INLINE = 32 * 1024, /* content up to this stays in the message */
	SMTPD_BLOCK = 256 * 1024, /* beyond, it goes to the spool in such pieces */
	SMTPD_READ = 1024 * 1024, /* of a mail that is read for its text, or as a report */
	SMTPD_LINE = 2048,        /* octets of a command */
	SMTPD_REFUSALS = 48,
	SMTPD_KEPT = 256, /* mails accepted for some recipients only, remembered */
	SMTPD_LOGINS = 3, /* failed ones in a session */
	SMTPD_NAMED = 8,  /* return paths of ours that are looked for in a report */
};
#define SMTPD_LINGER (2 * DUR_S)

/* ---- settings ---- */
enum smtpd_tls { SMTPD_TLS_NONE, SMTPD_TLS_MAY, SMTPD_TLS_MUST, SMTPD_TLS_IMPLICIT };
enum smtpd_subject { SMTPD_SUBJECT_IGNORE, SMTPD_SUBJECT_PREFIX };

struct smtpd_account_conf {
	struct conf_where at;
	const char *user;
	struct account_conf common;
	const char **trust;
	size_t trust_n;
	bool header_from; /* `from` holds for the header, too */
	int sessions;
};
struct smtpd_gateway_conf {
	struct conf_where at;
	const char *domain, *media, *from, *country, *trunk;
	int subject, parts_most;
	bool signature; /* is part of the text */
};
struct smtpd_conf {
	struct conf_where at;
	const char *listen;
	struct tls_conf tls;
	struct smtpd_account_conf *accounts;
	size_t accounts_n;
	struct smtpd_gateway_conf *gateways;
	size_t gateways_n;
	int connections, per_address, recipients_most, errors_most, idle_commands_most, hops_most;
	dur_t greeting_pause, command_wait, data_wait;
	uint64_t size_most, rate_least, line_most, report_most;
	bool auth_in_clear;
	const char *bounce_other, *bounce_account;
};
extern const struct conf_item smtpd_rows[];

/* ---- objects ---- */
struct smtpd_address { /* connections of one address */
	uint64_t key;
	unsigned n;
};
struct smtpd_trust {
	struct addr_net net;
	struct account *account;
};
/* A recipient for whom a mail was accepted while another one's acceptance failed: when the client
 * comes again with the same mail, this one is not accepted twice. */
struct smtpd_kept {
	uint8_t digest[32];
	uint64_t id;
	mono_t until;
};

/* listener->self */
struct smtpd {
	struct listener *l;
	const struct smtpd_conf *conf;
	struct acceptor *acceptor;
	struct tls_server *tls;
	int tls_mode; /* enum smtpd_tls */
	struct list sessions, ghosts;
	unsigned n;
	struct map addresses;
	struct smtpd_trust *trusts;
	size_t trusts_n;
	bool any_plain, any_hash, any_verifier; /* kinds of passwords there are */
	bool closing;
	unsigned tasks;   /* under way without a session */
	struct list link; /* among all that are open, for accounts */
	struct letter closed;
	struct draft draft;
	struct buf work, work2;
	struct smtpd_kept kept[SMTPD_KEPT];
	unsigned kept_n, kept_next;
	uint64_t count; /* of mails, for their names in Received */
	struct log_quiet quiet_auth, quiet_full, quiet_fault, quiet_spool;
	struct stat_cell opened, open, mails, octets, logins, logins_failed, bounces, strays, dsns;
	struct smtpd_refusal {
		char word[12]; /* "550 5.1.1" */
		struct stat_cell n;
	} refusals[SMTPD_REFUSALS];
	unsigned refusals_n;
};

/* account->self */
struct smtpd_member {
	struct account *a;
	struct list sessions; /* logged in as it */
	unsigned n;
	/* Known again by digest: what was verified the slow way, and what SCRAM needs. */
	bool verified_any, made_any;
	struct keyed verified, made_of;
	struct scram_verifier made;
};
static inline struct smtpd_member *smtpd_member(const struct account *a)
{
	return a->self;
}

/* What is lent to flow and comes back as a token. */
enum smtpd_token { SMTPD_RCPT, SMTPD_DSN };

enum smtpd_kind { SMTPD_MAILBOX, SMTPD_GATEWAY, SMTPD_BOUNCE };
struct smtpd_mail;
struct smtpd_rcpt {
	enum smtpd_token token; /* first */
	enum smtpd_kind kind;
	struct smtpd_mail *mail;
	char *to;    /* as given, normalised */
	char *orcpt; /* NULL: none */
	uint8_t notify;
	/* GATEWAY, as the settings were at RCPT */
	uint8_t media, subject;
	bool signature;
	int parts_most;
	char *phone, *from;
	/* BOUNCE */
	uint64_t msg;              /* 0: which one its mail has to say itself (fbl@) */
	char (*named)[MAIL_TOKEN]; /* then: local parts of ours that stand in it, as found */
	unsigned named_n;
	struct mail_report *report;
	/* how it went */
	bool done, ours; /* ours: a message of now, not one from before */
	bool names_file; /* its message does */
	bool stray;      /* no report; passed on to somebody */
	struct letter letter;
	struct answer answer;
};

/* One mail transaction, from MAIL to its answer. */
struct smtpd_mail {
	struct smtpd_session *s;
	struct account *account; /* NULL: only bounces may be taken */
	struct smtp_path from;
	bool eightbit, smtputf8, binary;
	uint8_t ret;
	char *envid;
	uint64_t size; /* as SIZE= said */
	struct smtpd_rcpt *rcpts;
	unsigned n, cap, mailboxes, gateways, bounces;

	/* content */
	struct smtp_data scan;
	struct buf body;
	uint64_t trace;  /* its name in Received */
	size_t prefix;   /* octets of ours at its beginning */
	uint64_t octets; /* of all content, ours included */
	bool looked;     /* the header was seen and completed */
	bool chunked, last;
	const struct smtp_reply *refused; /* the rest is read and forgotten */
	char refused_text[160];
	struct smtp_reply refused_own;
	uint64_t dropped;
	char *key;        /* Postern-Idempotency-Key */
	char *message_id; /* without brackets */
	char *subject;
	bool digested;
	void *digest_ctx; /* EVP_MD_CTX */
	uint8_t digest[32];

	/* the spool */
	struct chore chore;
	struct buf block; /* being written */
	bool finish, failed;
	mono_t held_since;
	struct spool_writer *writer;
	char spooled[SPOOL_NAME]; /* "": it is in body */
	bool kept_file;           /* a message of ours names it */
	struct err fault;

	struct smtpd_reading *reading;

	/* accepting */
	unsigned next, waits;
	/* DSNs about those who were refused */
	unsigned tell_next; /* recipient that is looked at next */
	struct answer told; /* of the last one */
	struct smtpd_rcpt told_as;
};

enum smtpd_state {
	SMTPD_GREETING, /* nothing may come yet */
	SMTPD_COMMAND,
	SMTPD_AUTH, /* a line of its exchange */
	SMTPD_DATA,
	SMTPD_CHUNK,
	SMTPD_GHOST, /* closed; kept until nothing refers to it */
};
enum smtpd_hold {
	SMTPD_HOLD_OPEN = 1,
	SMTPD_HOLD_LOGIN = 2,
	SMTPD_HOLD_SPOOL = 4,
	SMTPD_HOLD_COMMIT = 8,
	SMTPD_HOLD_FULL = 16,
	SMTPD_HOLD_TLS = 32,
};

struct smtpd_login;
struct smtpd_session {
	struct list link; /* in one of the server's lists */
	struct list mate; /* in its account's */
	struct smtpd *srv;
	struct stream *stream;
	struct smtpd_address *address;
	struct account *account; /* whom it logged in as, or is trusted to be */
	bool authed;             /* by AUTH */
	enum smtpd_state state;
	unsigned holds, pending;
	bool paused, opened, esmtp, greeted, tls, loopback, leaving;
	bool more; /* something came behind the line that is looked at */
	bool over; /* its account has more sessions than it may */
	char *helo;
	struct smtpd_mail *mail;
	struct smtpd_login *login;
	uint64_t chunk; /* octets of it to come */
	const struct smtp_reply *chunk_refused;
	unsigned errors, idle_commands, failed_logins, mails;
	mono_t since, heard, data_since;
	uint64_t data_octets; /* since data_since */
	struct timer timer;
	char peer[ADDR_TEXT];
	union addr addr;
};

/* ---- session.c ---- */
void smtpd_session_open(
	struct smtpd *srv, int fd, const struct sockaddr *from, struct smtpd_address *address);
/* At once; s may be freed. why: a word for the log. */
void smtpd_session_end(struct smtpd_session *s, dur_t linger, const char *why);
/* 421, then the end. */
void smtpd_session_bye(struct smtpd_session *s, const char *status, const char *text);
/* Ends as soon as nothing is under way in it, at the latest after grace. */
void smtpd_session_leave(struct smtpd_session *s, dur_t grace);
void smtpd_session_release(struct smtpd_session *s); /* a reference; frees a ghost */
void smtpd_hold(struct smtpd_session *s, unsigned why);
void smtpd_let_go(struct smtpd_session *s, unsigned why);
static inline bool smtpd_is_alive(const struct smtpd_session *s)
{
	return s->state != SMTPD_GHOST;
}
/* One line; counted when it is a refusal. */
void smtpd_reply(struct smtpd_session *s, unsigned code, const char *status, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void smtpd_say(struct smtpd_session *s, const struct smtp_reply *r);
void smtpd_say_text(struct smtpd_session *s, struct str line); /* with its CRLF; not counted */
/* An error of the client. True: that was one too many, s may be gone. */
bool smtpd_error(struct smtpd_session *s);
/* The stream can no longer be followed: 521 and the end. */
void smtpd_lost(struct smtpd_session *s, const struct smtp_reply *r);
void smtpd_watch(struct smtpd_session *s); /* its timer, by its state */
/* What a reason is in SMTP. */
struct smtp_reply smtpd_reply_of(enum reason r);
const char *smtpd_hostname(const struct smtpd *srv);

/* ---- auth.c ---- */
/* "AUTH PLAIN LOGIN", as it may be offered now; "" when it may not. */
const char *smtpd_auth_offer(const struct smtpd_session *s);
void smtpd_auth(struct smtpd_session *s, const struct smtp_command *c);
void smtpd_auth_line(struct smtpd_session *s, struct str line);
void smtpd_auth_timer(struct smtpd_session *s); /* the wait before a login is looked at is over */
void smtpd_auth_free(struct smtpd_session *s);
/* Makes what SCRAM needs of plain passwords, on a worker. */
void smtpd_auth_warm(struct smtpd *srv);

/* ---- envelope.c ---- */
void smtpd_mail_from(struct smtpd_session *s, const struct smtp_command *c);
void smtpd_rcpt_to(struct smtpd_session *s, const struct smtp_command *c);
void smtpd_mail_reset(struct smtpd_session *s); /* RSET, EHLO, the end */
void smtpd_mail_free(struct smtpd_mail **mp);
/* May the account write as that? Domains in any case of letters. */
bool smtpd_may_write_as(const struct account *a, struct str address);

/* ---- receive.c ---- */
void smtpd_data_begin(struct smtpd_session *s);
void smtpd_chunk_begin(struct smtpd_session *s, const struct smtp_command *c);
size_t smtpd_data(struct smtpd_session *s, struct str bytes);
size_t smtpd_chunk(struct smtpd_session *s, struct str bytes);
void smtpd_mail_refuse(struct smtpd_mail *m, unsigned code, const char *status, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));
/* Gives a file, or one that is being written, back; on a worker. */
void smtpd_spool_drop(struct smtpd *srv, struct spool_writer **wp, const char *name);
void smtpd_digest_add(struct smtpd_mail *m, struct str octets);
void smtpd_digest_end(struct smtpd_mail *m); /* then m->digest is there; again: nothing */
void smtpd_digest_free(struct smtpd_mail *m);
/* All of it is here, in body or in the spool. */
void smtpd_mail_whole(struct smtpd_mail *m);

/* ---- header.c ---- */
/* Completes the header at the beginning of m->body, notes what is needed of it; may refuse it. */
void smtpd_header(struct smtpd_mail *m);
void smtpd_received(struct smtpd_mail *m); /* puts the trace line into the empty body */

/* ---- accept.c ---- */
void smtpd_accept(struct smtpd_mail *m); /* it is read; now its recipients */
void smtpd_answer(struct listener *l, void *token, const struct answer *a);
void smtpd_evidence_answer(struct listener *l, void *token, bool stored);
uint8_t smtpd_wants(const struct smtpd_mail *m, const struct smtpd_rcpt *r);
void smtpd_put_id(struct draft *d, struct smtpd_mail *m, const struct smtpd_rcpt *r);
void smtpd_put_envelope(struct draft *d, const struct smtpd_mail *m, const struct smtpd_rcpt *r);
/* The mail itself, from nobody, to somebody who reads what is no report. */
struct message *smtpd_stray_message(struct smtpd_mail *m, struct smtpd_rcpt *r, struct str to);
/* One recipient is done with. */
void smtpd_rcpt_done(struct smtpd_rcpt *r);
/* Answers a refusal, once the mail is whole; the transaction is over. */
void smtpd_mail_end(struct smtpd_mail *m);
/* The report about those who were refused is on disk, or cannot be. */
void smtpd_told(struct smtpd_mail *m, const struct answer *a);

/* ---- reading.c: on a worker, for gateways and bounces; then smtpd_accept() ---- */
void smtpd_read(struct smtpd_mail *m);
struct smtpd_reading;
void smtpd_reading_free(struct smtpd_reading **rp);
void smtpd_gateway(struct smtpd_rcpt *r);
void smtpd_bounce(struct smtpd_rcpt *r);

/* ---- report.c ---- */
/* Writes to the sender about the next recipient that was refused for good; smtpd_told() follows.
 * False: there is nothing (more) to tell. */
bool smtpd_tell_refused(struct smtpd_mail *m);
void smtpd_note(struct account *a, struct note *n);
void smtpd_dsn_answer(void *token, const struct answer *a);

/* ---- listener.c ---- */
int smtpd_listen(struct listener *l, struct err *e);
void smtpd_unlisten(struct listener *l, dur_t grace);
int smtpd_adopt(struct listener *l, const void *conf);
void smtpd_describe(const struct listener *l, struct buf *b);
void smtpd_account_open(struct account *a);
void smtpd_account_close(struct account *a);
const struct smtpd_account_conf *smtpd_account_conf(const struct account *a);
void smtpd_check_closed(struct smtpd *srv);
void smtpd_count_refusal(struct smtpd *srv, unsigned code, const char *status);
struct smtpd *smtpd_any(void); /* an open one, NULL; for accounts, which belong to all */

#endif
