/* The SMTP client: a channel of the gateway that hands mails to other servers. Its parts:
 *
 *	client.c          the channel as the gateway sees it: open, submit, window, close, adopt
 *	client_conf.c     its settings
 *	client_site.c     one destination: its hosts, connections, waiting mails, back-off
 *	client_mx.c       destinations by domain, when mail goes straight to MX
 *	client_session.c  one connection: greeting, EHLO, STARTTLS, AUTH, rest, QUIT
 *	client_send.c     mails on a connection: envelope, content, and what is answered
 *	client_content.c  what a mail becomes on the wire: built, signed, read from the spool
 *	client_outcome.c  what a reply means to the gateway; pure
 *	reply.c           replies; pure
 *
 * All on the channel's loop but what a chore does. A site is the smarthost, or the domain of
 * recipients when mail goes straight to MX. One mail has one recipient, so one transaction.
 * Private to the client half of protocols/smtp; smtp.c sees the functions at the end.
 */
#ifndef POSTERN_SMTP_CLIENT_H
#define POSTERN_SMTP_CLIENT_H

#include "gateway/base/backoff.h"
#include "gateway/base/log.h"
#include "gateway/base/map.h"
#include "gateway/mail/dkim.h"
#include "gateway/mail/mail.h"
#include "gateway/mail/report.h"
#include "gateway/model/address.h"
#include "protocols/protocol.h"
#include "protocols/smtp/mx.h"
#include "protocols/smtp/reply.h"
#include "protocols/smtp/sasl.h"
#include "protocols/smtp/sts.h"

/* ---- settings ---- */

enum relay_tls { RELAY_TLS_NONE, RELAY_TLS_MAY, RELAY_TLS_MUST, RELAY_TLS_IMPLICIT };
enum relay_auth {
	RELAY_AUTH_AUTO,
	RELAY_AUTH_PLAIN,
	RELAY_AUTH_LOGIN,
	RELAY_AUTH_SCRAM,
	RELAY_AUTH_XOAUTH2
};
enum relay_signed_8bit { SIGNED_CONVERT, SIGNED_REFUSE };
enum relay_chunking { CHUNKING_OFF, CHUNKING_AUTO, CHUNKING_ON };

struct relay_tls_conf {
	struct conf_where at;
	int mode; /* enum relay_tls */
	bool verify;
	const char *ca_file, *cert_file, *key_file, *server_name;
	uint64_t ca_hash, cert_hash, key_hash;
};
/* What makes a connection: a change of it means to connect again. */
struct relay_link_conf {
	const char *host, *source, *helo;
	uint16_t port;       /* 0: 25, or 465 with implicit TLS */
	const char **backup; /* "host" or "host:port" */
	size_t backup_n;
	struct relay_tls_conf tls;
	const char *user, *password;
	int auth; /* enum relay_auth */
};
/* RFC 5321 §4.5.3.2 */
struct relay_timeouts {
	dur_t connect, greeting, helo, mail, rcpt, data, block, done;
};
struct relay_conf {
	struct conf_where at;
	struct relay_link_conf link;
	struct relay_timeouts timeouts;
	dur_t idle;
	int messages; /* over one connection, 0: no limit */
	bool pipelining;
	int chunking; /* enum relay_chunking */
	uint64_t chunk;
	int signed_8bit; /* enum relay_signed_8bit */
	dur_t reconnect_first, reconnect_most, refused_first, refused_most;
	struct dkim_conf *dkim;
	size_t dkim_n;
	/* host = "mx" */
	int domain_connections;
	double domain_rate;
	int mta_sts; /* enum sts_mode, as far as we go */
	const char *mta_sts_endpoint;
	bool dane;
	struct dns_conf dns;
};
extern const struct conf_item relay_rows[], relay_link_rows[];
bool relay_is_mx(const struct relay_conf *c);
/* Is the far side's certificate to be checked? With "may" only when it is said. */
bool relay_verifies(const struct relay_link_conf *l);
struct tls_conf relay_tls(const struct relay_link_conf *l);

/* ---- content (client_content.c) ---- */

/* What passes to the wire in pieces, cut anywhere: CRLF at the end of each line, never a CR or LF
 * alone, and a dot before each dot at the beginning of a line. Zeroed is the beginning. */
struct wire_text {
	bool going;      /* not at the beginning of a line */
	bool cr;         /* a CR is held back until it is known what follows */
	bool plain;      /* BDAT: no dots are added */
	bool binary;     /* and nothing else is done */
	uint64_t mended; /* bare CRs and LFs */
};
void wire_text_put(struct wire_text *t, struct str s, struct buf *out);
void wire_text_end(struct wire_text *t, struct buf *out); /* of the last line */

enum job_state {
	JOB_WAITS,    /* for a connection */
	JOB_PREPARES, /* on a worker */
	JOB_ENVELOPE, /* MAIL and what follows are written */
	JOB_STREAMS,  /* its content is being written, from the spool */
	JOB_AWAITS,   /* all of it is written */
};

/* A copy of the settings of mail, which may be replaced while a worker reads them. The loop counts.
 */
struct relay_mail {
	unsigned refs;
	struct arena *arena;
	struct mail_conf c;
};
void relay_mail_unref(struct relay_mail **mp);

/* One delivery. */
struct relay_job {
	struct list link; /* site->waiting, session->jobs, or none */
	struct delivery *d;
	struct relay *relay;
	struct relay_site *site;       /* NULL: none yet */
	struct relay_session *session; /* while on one */
	enum job_state state;
	mono_t since;

	/* the envelope, checked */
	char to[MAIL_ADDRESS], from[MAIL_ADDRESS];
	struct mail_envelope envelope;

	/* content: pieces in order, each may be empty */
	struct buf head;                        /* DKIM fields */
	struct buf made;                        /* built or converted by us */
	struct str octets;                      /* in memory: made, or the message's own */
	int fd;                                 /* in the spool, or -1 … */
	struct mail_pieces *pieces;             /* … or made as it is read, or NULL */
	uint64_t file, at;                      /* its size, and what has been read */
	uint64_t size;                          /* of all, as told to the server */
	bool eightbit, smtputf8, binary, seven; /* seven: to be made 7-bit … */
	bool spoil;                             /* … though its DKIM signature will not hold */
	struct buf block;
	size_t block_most; /* of it */
	struct spool *spool;
	struct relay_mail *mail;    /* while on a worker, or NULL */
	struct dkim_signer *signer; /* likewise */
	bool reading, chunked;
	bool streamed; /* goes block by block: it is big, or cut into chunks */
	struct wire_text text;
	struct chore chore;
	struct err fault; /* of the chore */
	enum reason fault_reason;
	bool not_signed; /* that was the fault */
	char fault_status[12];

	/* on the wire */
	unsigned replies; /* awaited */
	bool written;     /* the end of its content is … */
	uint64_t end;     /* … and once so much has left the server may have all of it */
	bool mail_taken, answered, decided, verp;
	struct outcome outcome; /* once decided */
};

/* Is its content read block by block? */
static inline bool job_is_big(const struct relay_job *j)
{
	return j->fd >= 0 || j->pieces;
}
/* Checks the addresses and puts them into wire form; job->decided: they will not do. */
void job_address(struct relay_job *j);
/* Makes ready what a connection needs to know: addresses, size, 8 bits. True: done (job->decided
 * says if it is over); false: a worker is at it, job_prepared() comes. */
bool job_prepare(struct relay_job *j);
void job_prepared(struct relay_job *j); /* client_site.c */
/* Reads the next block of the spool on a worker; job_read() comes. */
void job_read_more(struct relay_job *j);
void job_read(struct relay_job *j, bool good); /* client_send.c */
void job_content_free(struct relay_job *j);

/* ---- what an answer means (client_outcome.c; pure) ---- */

enum relay_step { AT_GREETING, AT_HELLO, AT_AUTH, AT_MAIL, AT_RCPT, AT_DATA, AT_CONTENT };
struct outcome relay_outcome(const struct reply *r, enum relay_step at);
struct outcome relay_failed(enum reason r, const char *status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Is it one that no address of a recipient is to be blamed for, but our own login or settings? */
bool relay_is_login(const struct reply *r);

/* ---- a connection ---- */

enum session_state {
	SESSION_CONNECTS,
	SESSION_GREETS, /* the 220 is awaited */
	SESSION_HELLO,
	SESSION_STARTTLS,
	SESSION_SHAKES,
	SESSION_AUTH,
	SESSION_READY,
	SESSION_LEAVES, /* nothing new on it; then QUIT */
	SESSION_OVER,   /* about to be freed */
};
enum expect_kind {
	EXPECT_MAIL,
	EXPECT_RCPT,
	EXPECT_DATA,
	EXPECT_CHUNK, /* BDAT that is not the last */
	EXPECT_CONTENT,
	EXPECT_RSET,
};
enum { EXPECT_CAP = 256, PIPE_MOST = 32 };
struct expect {
	enum expect_kind kind;
	struct relay_job *job;
};

struct relay_host {
	char name[256]; /* what its certificate is for */
	char at[256];   /* what is connected to: the name, or an address of it */
	uint16_t port;
	struct tls_client *tls; /* NULL: none */
	int mode;               /* enum relay_tls */
	mono_t no_tls_until;    /* "may", and its TLS does not work */
	const char *trust;      /* by what its certificate is known: "dane", "mta-sts", "ca", "" */
	const char *must;       /* what raised mode to "must", in words, or NULL: the settings */
};

struct relay_session {
	struct list link; /* site->sessions */
	struct relay *relay;
	struct relay_site *site;
	struct stream *stream;
	unsigned index;
	enum session_state state;
	struct relay_host to; /* one of the site's, as it was when it began */
	struct timer timer;
	mono_t deadline; /* of what is awaited */
	mono_t idle_since;
	wall_t since;
	/* of the far side */
	bool tls, esmtp, pipelining, size, eightbit, smtputf8, dsn, chunking, binarymime, starttls;
	bool hello_again; /* HELO after EHLO was refused */
	uint64_t size_most;
	unsigned auth;
	char far_name[80], peer[80], cipher[80];
	/* AUTH under way */
	struct sasl_try *sasl;
	/* replies awaited */
	struct expect expect[EXPECT_CAP];
	unsigned expect_first, expect_n;
	struct relay_job *envelope; /* its DATA is written, its content not */
	struct relay_job *streams;  /* its content is being written */
	bool last_chunked;          /* the last one was by BDAT */
	struct list jobs;           /* on it, in order */
	unsigned jobs_n;
	unsigned mails, done; /* begun on it; answered on it */
	bool login;           /* it was our login that was refused */
	bool counted;         /* among the site's ready ones */
	bool shown;           /* within the data callback */
	bool gone;            /* freed at the end of it */
};

/* ---- a destination ---- */

struct relay_site {
	struct list link; /* relay->sites */
	struct relay *relay;
	char *domain; /* "" for the smarthost */
	struct relay_host *hosts;
	unsigned hosts_n, turn; /* turn: which of them is tried first */
	unsigned failed_hosts;  /* in a row */
	mono_t turn_until;
	struct list sessions;
	unsigned sessions_n, ready_n;
	struct list waiting; /* jobs */
	unsigned waiting_n, jobs_n;
	struct letter feed;
	bool feed_due;
	bool up; /* the last that was tried became ready */
	struct backoff broken, refused;
	mono_t not_before; /* no connection is opened before */
	struct timer timer;
	struct log_quiet quiet;
	char why[240]; /* it does not work, or less than it should; "" */
	/* of a domain */
	struct mx_lookup *lookup;
	struct relay_host *next; /* hosts found that wait for the domain's policy … */
	unsigned next_n;
	mono_t next_until;
	struct sts_ask *policy; /* … which is being asked for */
	bool routed;            /* the hosts are known … */
	mono_t routed_until;    /* … until then */
	bool refused_all;       /* and no mail can go there: `verdict` */
	struct outcome verdict;
	bool proven;    /* a connection has worked */
	mono_t used_at; /* last */
	mono_t slot;    /* when the mail put off last will come again */
	mono_t next_at; /* the next mail, with a rate */
};

struct relay_stats {
	struct stat_cell connects, refused, ready, replies4, replies5, late, injected, mended, bdat,
		downgraded, lost, not_signed;
};

/* channel->self */
struct relay {
	struct channel *c; /* NULL: not open */
	struct list sites;
	struct relay_site *smart; /* NULL: straight to MX */
	struct map domains;       /* of sites */
	struct dns *dns;
	struct sts *sts;     /* NULL: not asked */
	unsigned sessions_n; /* of all sites */
	bool starved;        /* a site wants a connection, and there are as many as may be */
	struct timer sweep;
	struct tls_client *tls;
	struct dkim_signer *signer; /* NULL: nothing is signed */
	struct relay_mail *mail;    /* as last seen */
	char helo[256];
	struct list returns; /* deliveries to be given back at the end of this turn */
	struct letter returner;
	bool returner_due, closing;
	unsigned jobs; /* all there are */
	struct timer end;
	unsigned window;
	char why[300];
	bool announced;
	unsigned indexes;
	uint64_t busy_id; /* the mail that was last answered 421, and how often in a row */
	unsigned busy_n;
	struct buf scratch;
	struct log_quiet quiet;
	struct relay_stats stats;
};

static inline const struct relay_conf *relay_settings(const struct relay *r)
{
	return r->c->specific;
}

/* client.c */
void relay_helo(struct relay *r);     /* our name, as settings have it now */
void relay_announce(struct relay *r); /* sessions changed */
/* Gives the delivery back and frees the job, which is on no connection any more. */
void job_done(struct relay_job *j, const struct outcome *o);
void job_done_later(struct relay_job *j, const struct outcome *o); /* from within submit() */
void relay_check_closed(struct relay *r);
/* client_site.c */
struct relay_site *site_new(struct relay *r, struct str domain);
void site_free(struct relay_site **sp);
void site_take_smarthost(struct relay_site *s); /* its hosts, from the settings */
void site_renew(struct relay_site *s);          /* after relay->tls was made anew */
void site_open(struct relay_site *s);           /* connects, to learn if it works */
void site_submit(struct relay_site *s, struct relay_job *j);
void site_feed_later(struct relay_site *s);
void site_leave(struct relay_site *s);
unsigned site_most(const struct relay_site *s); /* connections */
/* The next mail for a connection that has room, or NULL. */
struct relay_job *site_next(struct relay_site *s);
struct relay_job *site_take(struct relay_site *s); /* whatever its rate */
/* Where its host stands now among the site's, which may be others than when it began; hosts_n: it
 * is none of them any more. */
unsigned site_host_of(const struct relay_session *s);
void site_session_ready(struct relay_session *s);
void site_uncount(struct relay_session *s);
/* It ended: before it was ready, or broken while it worked; refused: by words of the far side. */
void site_session_failed(struct relay_session *s, const char *why, bool refused);
void site_session_over(struct relay_session *s); /* as it should */
void site_plan_next(struct relay_site *s, const char *why, bool refused);
/* What waits goes back; status: of what was tried (RFC 3463). */
void site_fail(struct relay_site *s, enum reason r, const char *status, const char *why);
void site_hosts_free(struct relay_site *s);
void site_give_back(struct relay_site *s, enum reason r, const char *why);
/* client_mx.c */
int relay_mx_open(struct relay *r, struct err *e);
void relay_mx_close(struct relay *r);
/* Finds or makes the site of the job's domain; false: it was done with. From within submit(). */
bool relay_mx_place(struct relay *r, struct relay_job *j);
/* Is the way known? Else it is being asked for, or has just been refused. */
bool site_routed(struct relay_site *s);
/* What speaks of the far side of one domain must not be said of the whole channel. */
void site_soften(const struct relay_site *s, struct outcome *o);
void relay_serve_starved(struct relay *r);
unsigned relay_most(const struct relay *r); /* connections */
bool site_is_mx(const struct relay_site *s);
void site_unroute(struct relay_site *s); /* forgets what was being found out */
dur_t site_slot(struct relay_site *s);   /* when a mail that is put off comes again, from now */
/* client_session.c */
void peer_open(struct relay_site *s, unsigned host);
void peer_free(struct relay_session *s);
/* Ends it: what is on it goes back with words. */
void peer_broken(struct relay_session *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void peer_quit(struct relay_session *s);  /* now; nothing is on it */
void peer_leave(struct relay_session *s); /* QUIT once nothing is on it */
void peer_wait(struct relay_session *s, dur_t at_most);
void peer_calm(struct relay_session *s); /* nothing is awaited */
/* client_send.c */
bool post_has_room(const struct relay_session *s);
void post_feed(struct relay_session *s); /* writes what may be written */
void post_answered(struct relay_session *s, const struct reply *r);
void post_drained(struct relay_session *s);
void post_lost(struct relay_session *s, const char *why);
void post_timeout(struct relay_session *s);

/* ---- for smtp.c ---- */
int relay_open(struct channel *c, struct err *e);
void relay_submit(struct channel *c, struct delivery *d);
unsigned relay_parts(const struct channel *c, const struct message *m, struct outcome *why_r);
void relay_close(struct channel *c, dur_t grace);
void relay_describe(const struct channel *c, struct buf *b);
int relay_adopt(struct channel *c, const void *conf);

#endif
