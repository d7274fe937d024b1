/* The server half of SMPP: what its files share. Private to protocols/smpp.
 *
 * listener.c accepts and knows the accounts, session.c is one bind from login to unbind, submit.c
 * makes messages of what is submitted and answers them, manage.c answers query, cancel and
 * replace, tell.c brings receipts and subscribers' messages. All of it runs on the one loop that
 * owns all listeners and accounts of the protocol.
 */
#ifndef POSTERN_SMPP_SERVER_H
#define POSTERN_SMPP_SERVER_H

#include "gateway/base/log.h"
#include "protocols/protocol.h"
#include "protocols/smpp/wire.h"

enum {
	SERVER_ID = 72,       /* an id as an ESME sees it, NUL included */
	SERVER_ASKS_MOST = 8, /* query, cancel, replace under way on one session */
	SERVER_FAULTS_MOST = 200,
	SERVER_FAULTS_UNBOUND = 8,
};
#define SERVER_LINGER (2 * DUR_S)

/* ---- settings ---- */
enum server_id_style { ID_AUTO, ID_DEC, ID_HEX, ID_SHORT };
enum server_tlvs { TLVS_AUTO, TLVS_YES, TLVS_NO };
enum server_evict { EVICT_NONE, EVICT_SILENT, EVICT_OLDEST };

struct server_account_conf {
	struct conf_where at;
	const char *system_id;
	struct account_conf common;
	int dcs0;     /* enum text_form */
	int id;       /* enum server_id_style */
	int tlvs;     /* enum server_tlvs */
	int dates;    /* digits of a receipt's dates */
	int mo_split; /* enum text_split: subscribers' messages longer than one */
	bool probe, known_services, ascii_gsm;
};
struct server_conf {
	struct conf_where at;
	const char *listen, *system_id;
	struct tls_conf tls;
	struct server_account_conf *accounts;
	size_t accounts_n;
	int connections, unbound_per_address, evict;
	dur_t session_init, enquire, enquire_wait, inactivity, answer_wait;
	uint64_t pdu_most;
	bool lenient;
};
extern const struct conf_item server_rows[];

/* ---- objects ---- */
/* listener->self */
struct server {
	struct listener *l;
	const struct server_conf *conf;
	struct acceptor *acceptor;
	struct tls_server *tls;
	struct list unbound, bound,
		ghosts; /* sessions; ghosts: closed, but something still comes */
	unsigned unbound_n, bound_n;
	struct submit *spare;   /* tokens to be used again */
	struct draft draft;     /* reused, so that its buffer need not grow each time */
	struct buf work, work2; /* likewise, within one call */
	bool closing;
	struct letter closed;
	struct log_quiet quiet_bind, quiet_full;
	struct wire_stats wire;
	struct stat_cell binds, binds_failed, sessions;
	struct refusal {
		uint32_t status;
		struct stat_cell n;
	} refusals[24];
	unsigned refusals_n;
};

/* account->self */
struct member {
	struct account *a;
	struct list sessions; /* bound; the next receiver to be used comes first */
	unsigned n;
	struct list multis; /* submit_multi that wait for commits */
	uint32_t alias;     /* the last short id given */
};
static inline struct member *member_of(const struct account *a)
{
	return a->self;
}

enum session_state {
	SESSION_OPEN,  /* connected, not bound */
	SESSION_LOGIN, /* its bind is being looked at */
	SESSION_BOUND,
	SESSION_LEAVING, /* it said unbind: what is computed is answered, then it ends */
	SESSION_SHUT,    /* we end it: answers leave, then unbind */
	SESSION_GHOST,   /* closed; kept until nothing refers to it */
};
enum session_hold { HOLD_LOGIN = 1, HOLD_WINDOW = 2, HOLD_LEAVING = 4 };

struct session {
	struct wire wire;
	struct list link; /* in one of the server's lists */
	struct list mate; /* in its account's list while bound */
	struct server *srv;
	struct account *account;
	enum session_state state;
	uint32_t command; /* the bind's */
	uint8_t version;  /* 0x33, 0x34 or 0x50 */
	bool tx, rx;      /* may submit, may be told things */
	bool drowned;     /* held too long for its window: what exceeds it is refused */
	bool full;        /* does not read: no notes */
	bool unbind_sent;
	unsigned holds;      /* enum session_hold */
	unsigned unanswered; /* requests of the ESME that wait for our answer */
	unsigned asks;       /* of those, query, cancel, replace */
	unsigned pending;    /* what will come back to us with a pointer to this session */
	unsigned faults;
	uint32_t unbind_sequence;
	mono_t since, shut_by;
	struct timer timer;
	struct login *login;
	uint64_t submitted, told;
	char peer[ADDR_TEXT];
	union addr addr;
};

/* One request whose answer waits for flow: the token of message_arrived(). */
struct submit {
	struct session *s;
	struct submit *next; /* while spare */
	uint32_t sequence, command;
	bool has_validity;
	struct message *msg; /* kept to submit it again, under another alias; mostly NULL */
	char alias[12];      /* the short id, "" when the id itself is shown */
	struct multi *multi; /* it is one recipient of a submit_multi */
	unsigned index;
};

/* ---- session.c ---- */
void session_accept(struct server *srv, int fd, const struct sockaddr *from);
/* Orderly: what is computed is answered, unbind, at most grace. */
void session_shut(struct session *s, dur_t grace);
/* At once; s may be freed. why: a word for the log. */
void session_end(struct session *s, dur_t linger, const char *why);
/* One of the ESME's requests was answered; reads on if it was held for that. */
void session_answered(struct session *s);
/* Something that held a pointer let go of it; frees a ghost. */
void session_release(struct session *s);
/* Writes a header-only answer and counts it when it is a refusal. */
void session_refuse(struct session *s, uint32_t command, uint32_t sequence, uint32_t status);
void server_count_refusal(struct server *srv, uint32_t status);
static inline bool session_is_alive(const struct session *s)
{
	return s->state != SESSION_GHOST;
}
const struct server_account_conf *session_conf(const struct session *s);
unsigned session_window(const struct session *s);
void session_told(struct session *s); /* a deliver_sm of ours was answered, or given up */

/* ---- listener.c ---- */
/* Its account's settings, or defaults when it has none any more. */
const struct server_account_conf *server_account_conf(const struct account *a);
/* How many notes its sessions can take, said to flow. */
void server_recount(struct account *a);
void server_check_closed(struct server *srv);

int server_listen(struct listener *l, struct err *e);
void server_unlisten(struct listener *l, dur_t grace);
int server_adopt(struct listener *l, const void *conf);
void server_describe(const struct listener *l, struct buf *b);
void server_account_open(struct account *a);
void server_account_close(struct account *a);

/* ---- submit.c ---- */
void submit_sm(struct session *s, const struct pdu *p); /* and data_sm */
void submit_multi(struct session *s, const struct pdu *p);
/* Gives a message that was kept to flow, under a short id if its ESME wants one. */
void submit_arrive(struct submit *sub, const struct message *m);
/* News of a submit_multi that is not answered yet: its id is not known to the ESME. */
bool submit_multi_is_open(const struct account *a, const struct note *n);
void server_answer(struct listener *l, void *token, const struct answer *a);
/* Content as FIELD_OCTETS or FIELD_TEXT; sar: TLVs say that it is a part. ESME_ROK or the status to
 * refuse with. */
uint32_t submit_content(struct session *s, struct draft *d, uint8_t media, uint8_t data_coding,
	uint8_t esm_class, bool sar, struct str octets);
/* Sender and recipient as flow keeps them. Empty source: "". */
uint32_t submit_source(struct session *s, const struct pdu_addr *in, char out[72]);
uint32_t submit_dest(struct session *s, uint8_t media, const struct pdu_addr *in, char out[72]);
uint8_t submit_wants(uint8_t registered);
uint32_t status_of_reason(enum reason r);
/* The account's next short id: eight hex digits (3.3). */
void submit_alias(struct account *a, char out[12]);
/* An id as this account sees it; returns its length. */
size_t server_id(const struct server_account_conf *c, uint64_t id, char out[SERVER_ID]);
bool server_id_is_short(const struct session *s);

/* ---- manage.c ---- */
void manage_query(struct session *s, const struct pdu *p);
void manage_cancel(struct session *s, const struct pdu *p);
void manage_replace(struct session *s, const struct pdu *p);
/* A submit_sm with replace_if_present: replaces, or submits what it was given. Takes m and sub. */
void manage_replace_or_submit(struct session *s, struct submit *sub, struct message *m);

/* ---- tell.c ---- */
struct telling;
void tell_note(struct account *a, struct note *n);
void tell_answered(struct session *s, struct telling *t, const struct pdu *p);
/* No answer: lost with the session, or not in time. */
void tell_unanswered(struct session *s, struct telling *t, enum reason why);

#endif
