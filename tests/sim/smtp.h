/* The simulated mail server: a sink that takes mail and tells what it took, with the bad manners
 * that mail servers have. One thread, one loop; a session that is to answer late reads on only
 * after it has answered, as a server that works on its commands in turn does.
 */
#ifndef POSTERN_SIM_SMTP_H
#define POSTERN_SIM_SMTP_H

#include "gateway/base/map.h"
#include "tests/sim/control.h"
#include "tests/sim/loop.h"
#include "tests/sim/opt.h"
#include "tests/sim/wheel.h"

#include <openssl/evp.h>
#include <stdio.h>

enum { SINK_RULES = 64, SINK_ACCOUNTS = 16, SINK_LINE = 16 * 1024, SINK_HEAD = 16 * 1024 };

enum sink_stage {
	AT_CONNECT,
	AT_EHLO,
	AT_AUTH,
	AT_MAIL,
	AT_RCPT,
	AT_DATA,    /* DATA or BDAT, before its answer */
	AT_CONTENT, /* in the midst of it */
	AT_DOT,     /* all of it is there; not taken */
	AT_REPLY,   /* taken, not answered */
	AT_COUNT,
};

enum sink_tls { SINK_MAY, SINK_MUST, SINK_IMPLICIT };

enum sink_ext {
	EXT_PIPELINING = 1,
	EXT_SIZE = 2,
	EXT_8BITMIME = 4,
	EXT_SMTPUTF8 = 8,
	EXT_DSN = 16,
	EXT_CHUNKING = 32,
	EXT_STATUS = 64, /* ENHANCEDSTATUSCODES */
	EXT_STARTTLS = 128,
	EXT_ALL = 255,
};

struct sink_rule { /* at a stage with a chance, or for a recipient: what is said; none: drop */
	enum sink_stage stage;
	double p;
	struct str pattern, reply;
	uint64_t times; /* how often still; UINT64_MAX: always */
};

struct sink_conf {
	struct sim_addr listen;
	struct str port_file, hostname, tls_cert, tls_key, record, keep, control, stats_file;
	struct {
		struct str user, password;
	} login[SINK_ACCOUNTS];
	unsigned logins, without;
	struct str auth; /* mechanisms, by comma */
	uint64_t size_most, connections, messages, seed, run_for, stop_after, inactivity;
	enum sink_tls tls;
	struct sink_rule error[SINK_RULES], error_to[SINK_RULES], refuse_to[SINK_RULES],
		drop[SINK_RULES];
	unsigned errors, errors_to, refuses_to, drops;
	struct sim_span latency, reply_latency, slow_by;
	double throttle, slow;
	uint64_t greylist, drop_every;
	bool quiet, stats_json;
};
extern const struct sim_opt sink_opts[];
void sink_conf_init(struct sink_conf *c);
extern const char *const sink_stage_word[AT_COUNT];

enum sink_mode { MODE_LINE, MODE_AUTH, MODE_DATA, MODE_BDAT };

struct sink;
struct sink_rcpt {
	char *to, *params;
};

/* How far an exchange of AUTH is, and what must be remembered between its lines. */
struct sink_auth {
	enum {
		AUTH_NONE,
		AUTH_PLAIN,
		AUTH_LOGIN_USER,
		AUTH_LOGIN_PASS,
		AUTH_XOAUTH2,
		AUTH_FAILING,
		AUTH_SCRAM_FIRST,
		AUTH_SCRAM_FINAL,
		AUTH_SCRAM_DONE
	} step;
	char user[256];
	struct buf bare, server,
		channel; /* of SCRAM: client-first-bare, server-first, gs2 header */
	uint8_t salt[16];
	int login;
};

struct mail_session {
	struct sim_conn *conn;
	struct sink *sink;
	uint32_t index;
	enum sink_mode mode;
	bool greeted, hello, in_mail, authenticated, bol, last_chunk, chunking, throttled;
	bool waiting, in_wheel, closing, gone, secure_next;
	uint64_t due, heard, mails, number;
	struct buf reply; /* to be said when due */
	bool for_mail;    /* it is the answer to a mail that was taken */
	struct buf told;  /* where in what is sent such answers end, that may not have left yet */
	char *from, *params, *user;
	struct sink_rcpt *rcpt;
	unsigned rcpts, rcpts_cap;
	uint64_t size, chunk_left, bare;
	char last; /* octet of the content */
	EVP_MD_CTX *digest;
	struct buf head, content;
	struct sink_auth auth;
	char peer[48];
	struct mail_session *next_dead;
};

struct sink_stats {
	uint64_t connections, refused_connections, tls, tls_failed, auths, auths_failed, mails,
		recipients, recipients_refused, mails_refused, greylisted, throttled, drops, octets,
		bare, plaintext_after_starttls, chunks, commands, resets, unknown,
		unanswered, /* taken, and the answer never left */
		most_connected, first_mail, last_mail;
	struct {
		unsigned code;
		uint64_t n;
	} status[48];
	unsigned statuses;
};

struct sink {
	struct sink_conf conf;
	struct sim_loop loop;
	struct sim_listener listener;
	struct sim_control control;
	struct sim_timer tick, second;
	struct sim_wheel wheel;
	SSL_CTX *tls;
	struct sim_rng rng;
	struct mail_session **session;
	uint32_t sessions, open;
	struct mail_session *dead;
	struct map grey;
	FILE *record;
	struct buf line;
	uint64_t started, next_drop, tokens_at, next_number;
	double tokens;
	struct sink_stats stats;
};

/* smtp.c */
/* Says it after `delay`, and then closes when asked; until then nothing more is read. */
void sink_say_later(struct mail_session *s, uint64_t delay, bool close, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Draws what a stage's rules say: true when they had something to say, or dropped. */
bool sink_misbehaves(struct mail_session *s, enum sink_stage stage);
uint64_t sink_latency(struct mail_session *s); /* of an ordinary reply */
void sink_drop(struct sink *k);
void sink_reset(struct mail_session *s); /* the transaction */
/* smtp_command.c */
void sink_command(struct mail_session *s, struct str line);
void sink_auth_line(struct mail_session *s, struct str line);
/* smtp_data.c */
size_t sink_content(struct mail_session *s, const char *p, size_t n); /* how many it took */
void sink_content_begin(struct mail_session *s);
void sink_content_done(struct mail_session *s);
/* smtp_auth.c */
void sink_auth_begin(struct mail_session *s, struct str mechanism, struct str initial, bool has);
/* smtp_control.c */
void sink_stats_json(struct sink *k, struct buf *out);
int sink_control_start(struct sink *k, struct err *e);

#endif
