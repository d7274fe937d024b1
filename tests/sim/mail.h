/* The submitter of mail: a parent that counts, and children that speak SMTP through libesmtp, each
 * over one connection at a time. That library can crash on what a server does, so a child that dies
 * costs the mail it was sending and is started anew.
 */
#ifndef POSTERN_SIM_MAIL_H
#define POSTERN_SIM_MAIL_H

#include "tests/sim/loop.h"
#include "tests/sim/opt.h"

#include <stdatomic.h>
#include <stdio.h>

enum { MAIL_SESSIONS = 256, MAIL_RECIPIENTS = 100, MAIL_INJECTED = 77 };

enum mail_tls { MAIL_TLS_NONE, MAIL_TLS_MAY, MAIL_TLS_MUST };

struct mail_conf {
	struct sim_addr connect;
	struct str from, to, subject, text, file, envid, user, password, ca, record, helo;
	uint64_t sessions, per_session, count, first, size, recipients, run_for, timeout, seed,
		reconnect_delay;
	double rate;
	int notify, ret; /* as libesmtp has them */
	enum mail_tls tls;
	bool eightbit, orcpt, chunking, pipelining, reconnect, resend, retry, expect_accepted,
		progress, monitor;
	char *content; /* of the file */
	size_t content_n;
};

enum mail_kind {
	MAIL_ACCEPTED,  /* every recipient */
	MAIL_PARTLY,    /* some of them */
	MAIL_REFUSED,   /* 5xx */
	MAIL_LATER,     /* 4xx */
	MAIL_UNCERTAIN, /* content was under way, and there is no answer */
	MAIL_UNTRIED,   /* the connection, TLS or AUTH failed before */
	MAIL_KINDS,
};

struct mail_result { /* through a pipe, written whole */
	uint64_t n, latency;
	uint32_t kind, code, recipients, session;
	char text[160];
};

/* Between parent and children, in shared memory. */
struct mail_shared {
	_Atomic uint64_t next, began, connects;
	_Atomic bool stop;
	_Atomic uint64_t at[MAIL_SESSIONS]; /* the number that each is at, 0: none */
};

/* mail_child.c: never returns. */
void mail_child(const struct mail_conf *c, struct mail_shared *sh, unsigned index, int out)
	__attribute__((noreturn));
/* mail_content.c: patterns of message n; recipient i of it */
void mail_pattern(const struct mail_conf *c, struct buf *out, struct str pattern, uint64_t n);
void mail_recipient(const struct mail_conf *c, struct buf *out, uint64_t n, unsigned i);
void mail_content(const struct mail_conf *c, struct buf *out, uint64_t n);
int mail_content_read(struct mail_conf *c, struct err *e);
/* An address that cannot break out of its command. */
bool mail_address_fits(struct str s);

#endif
