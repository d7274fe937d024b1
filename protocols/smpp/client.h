/* The SMPP client: a channel of the gateway that binds to SMSCs. Its parts:
 *
 *	client.c          the channel as the gateway sees it: open, window, close, adopt
 *	client_conf.c     its settings
 *	client_session.c  one connection: connect, bind, stay alive, unbind, come back
 *	client_text.c     what a message becomes: octets, codings, parts, addresses; pure
 *	client_submit.c   deliveries as submit_sm, and their answers
 *	client_outcome.c  what a command_status means to the gateway; pure
 *	client_receipt.c  deliver_sm, data_sm: receipts and subscribers' messages
 *
 * All on the channel's loop but client_parts(), which any thread may call. Private to the client
 * half of protocols/smpp; smpp.c sees the functions at the end.
 */
#ifndef POSTERN_SMPP_CLIENT_H
#define POSTERN_SMPP_CLIENT_H

#include "gateway/base/backoff.h"
#include "gateway/base/log.h"
#include "gateway/base/map.h"
#include "gateway/model/address.h"
#include "gateway/model/text.h"
#include "protocols/protocol.h"
#include "protocols/smpp/msgid.h"
#include "protocols/smpp/receipt.h"
#include "protocols/smpp/wire.h"

/* ---- settings ---- */

enum client_bind { BIND_TRANSCEIVER, BIND_TRANSMITTER, BIND_RECEIVER, BIND_BOTH };
enum client_validity { VALIDITY_RELATIVE, VALIDITY_ABSOLUTE, VALIDITY_NONE };
enum { RECEIPTS_ALL, RECEIPTS_NONE };

/* What makes a connection: a change of it means to connect again. */
struct client_link_conf {
	const char *host, *source;
	uint16_t port;
	const char **backup; /* "host" or "host:port" */
	size_t backup_n;
	const char *system_id, *password, *system_type, *address_range;
	uint8_t range_ton, range_npi;
	int bind;    /* enum client_bind */
	int version; /* enum smpp_version */
	struct tls_conf tls;
};
struct client_conf {
	struct conf_where at;
	struct client_link_conf link;
	dur_t enquire_link, enquire_timeout, bind_timeout, response_timeout;
	dur_t reconnect_first, reconnect_most, refused_first, refused_most;
	/* text */
	struct text_options text;
	bool ascii_gsm; /* incoming data_coding 1 is GSM 7-bit */
	struct client_coding {
		uint8_t gsm, ascii, latin1, ucs2, binary;
	} coding; /* the data_coding written for each */
	enum text_form source_form;
	/* fields */
	struct address_numbering numbering;
	const char *source_addr;  /* of messages that name no sender */
	const char *service_type; /* "": the submitter's */
	int esm_class;            /* bits to be added */
	int protocol_id;          /* -1: the submitter's */
	struct client_priority {
		uint8_t high, normal, bulk;
	} priority;
	int validity; /* enum client_validity */
	int receipts; /* RECEIPTS_* */
	int registered;
	bool intermediate;
	bool more_messages;
	/* answers and receipts */
	int id_form; /* enum msgid_form */
	bool receipt_sniff;
	struct conf_pair *stat;
	size_t stat_n;
	struct conf_pair *status;
	size_t status_n;
	/* TLVs */
	const char **tlv;
	size_t tlv_n;
	struct conf_pair *tlv_add;
	size_t tlv_add_n;
};
extern const struct conf_item client_rows[], client_link_rows[];
const char *client_bind_name(enum client_bind b); /* "transceiver" */

/* The settings that want a look-up at run time, made ready once. Copies; may outlive them. */
struct client_tables {
	bool tlv_all, tlv_vendor;
	uint16_t *tlv;
	size_t tlv_n;
	struct buf extra; /* tlv_add in wire form */
	struct client_status {
		uint32_t status;
		enum reason reason; /* REASON_NONE: as good as accepted */
	} * status;
	size_t status_n;
	struct receipt_word *words;
	char **word_text;
	size_t words_n;
};
void client_tables_make(struct client_tables *t, const struct client_conf *conf);
void client_tables_free(struct client_tables *t);

/* ---- what a message becomes (client_text.c; pure, any thread) ---- */

struct client_shape {
	bool raw;     /* octets as submitted (or in the far side's alphabet), one PDU */
	bool payload; /* in message_payload */
	bool udhi;    /* raw: they open with a UDH */
	uint8_t data_coding;
	uint8_t class_bits; /* a message class that plan's coding is to carry + 1; 0: none */
	unsigned parts;
	struct str octets;     /* raw */
	struct buf made;       /* home of what was converted */
	struct text_plan plan; /* not raw; not initialised otherwise */
};
/* 0; or -1 and *why_r. The shape borrows the message. */
int client_shape(struct client_shape *s, const struct client_conf *conf, const struct message *m,
	struct outcome *why_r);
void client_shape_free(struct client_shape *s);
/* Octets and header fields of part i (from 0), appended to out. */
struct client_part {
	bool udhi, payload;
	uint8_t data_coding;
	struct concat sar; /* kind CONCAT_SAR: TLVs are to be sent; else CONCAT_NONE */
};
void client_shape_part(const struct client_shape *s, const struct client_conf *conf, unsigned i,
	uint16_t ref, struct buf *out, struct client_part *p_r);

struct client_addr {
	struct ton_npi ton;
	uint8_t n;
	char text[ADDRESS_SMS_CAP + ADDRESS_SMS_CAP]; /* as on the wire */
};
int client_source(struct client_addr *a, const struct client_conf *conf, const struct message *m,
	struct outcome *why_r);
int client_destination(struct client_addr *a, const struct client_conf *conf,
	const struct message *m, struct outcome *why_r);

/* What the far side wrote, in the gateway's own conventions (data_coding 0 is GSM 7-bit unpacked,
 * UCS-2 is big-endian), UDH kept. Appends to out and returns the data_coding. */
uint8_t client_canonical(const struct client_conf *conf, uint8_t data_coding, struct str octets,
	bool udhi, struct buf *out);
/* How numbers that subscribers dial and write from are read: the gateway's country. */
struct address_country client_country(const struct channel *c);
/* Part messages of one subscriber's message made one: struct mo_part's join. */
struct message *client_join(struct message *const *parts, unsigned n);

/* ---- what an answer means (client_outcome.c; pure) ---- */

struct client_verdict {
	struct outcome outcome;
	enum smpp_class class; /* of the status, by the standard's table */
	bool unmapped;         /* neither the standard nor the settings know it */
	bool rebind;           /* the session is at fault */
};
/* resp: a submit_sm_resp or generic_nack. attempt: from 1. */
void client_verdict(struct client_verdict *v, const struct client_tables *t, const struct pdu *resp,
	unsigned attempt);
/* "ESME_RINVPASWD (0x0e): password is invalid", and what to do where there is something. */
void client_bind_words(char *out, size_t cap, const struct pdu *resp, enum client_bind bind);

/* ---- the channel ---- */

enum link_state {
	LINK_WAITS, /* for its next try */
	LINK_CONNECTS,
	LINK_BINDS,
	LINK_BOUND,
	LINK_LEAVES,  /* nothing new; answers are awaited */
	LINK_UNBINDS, /* unbind is sent */
	LINK_OVER,    /* the channel closes */
};

struct client_session {
	struct wire wire; /* first */
	struct client *client;
	unsigned index;
	uint32_t birth;        /* of this connection, unique in the channel */
	enum client_bind kind; /* never BIND_BOTH */
	enum link_state state;
	struct timer timer; /* the next try; the end of patience */
	struct backoff broken, refused;
	unsigned turn; /* which of the hosts */
	bool was_bound;
	mono_t bound_at;
	wall_t since;
	struct list jobs; /* deliveries whose parts are not all written */
	unsigned heard;   /* deliver_sm not answered yet */
	struct list tombs;
	struct map tomb_map;
	unsigned tombs_n;
	struct log_quiet quiet;
	char why[240];
	char far_id[20]; /* the SMSC's system_id */
	uint8_t far_version;
};

struct client_stats {
	struct stat_cell resp[SMPP_CLASS_VENDOR + 1];
	struct stat_cell late, connects, refused, unmapped, unreadable, alerts, busy, bound;
};

/* channel->self. `births` outlives a close and open. */
struct client {
	struct channel *c; /* NULL: not open */
	struct client_tables tables;
	struct client_session *session;
	unsigned sessions, next; /* next: where the search for the least busy begins */
	uint32_t births;
	struct msgid_learner learner;
	mono_t found_at;         /* when a receipt was last found as it came */
	struct tls_client **tls; /* per host, or NULL */
	unsigned hosts;
	uint16_t *refs; /* concatenation references by destination */
	struct buf scratch, validity;
	struct pdu_pool {
		struct sent *free;
	} pool;
	struct list returns; /* deliveries to be given back at the end of this turn */
	struct letter returner;
	bool returner_due, closing;
	dur_t unbind_most;
	unsigned window; /* as announced, with the words */
	char why[300];
	bool announced;
	struct log_quiet quiet_unmapped, quiet_bug;
	struct wire_stats wire_stats;
	struct client_stats stats;
};

/* A reload changes what this returns, without a word where the settings are the same. */
static inline const struct client_conf *client_settings(const struct client *cl)
{
	return cl->c->specific;
}

/* client.c */
void client_announce(struct client *cl); /* sessions changed */
void client_session_over(struct client_session *s);
bool link_sends(const struct client_session *s);
/* client_session.c */
void link_init(struct client_session *s, struct client *cl, unsigned index);
void link_start(struct client_session *s);
/* Orderly: nothing new, answers awaited for at most patience, unbind. */
void link_leave(struct client_session *s, dur_t patience, const char *why);
void link_idle(struct client_session *s); /* something was answered: is it time to unbind? */
void link_close_now(struct client_session *s);
void link_free(struct client_session *s);
unsigned client_hosts(const struct client *cl);
void client_host(const struct client *cl, unsigned i, char host[256], uint16_t *port_r);
/* client_submit.c */
void client_submit(struct channel *c, struct delivery *d);
void send_feed(struct client_session *s);
void send_answered(struct client_session *s, const struct pdu *p, void *token);
void send_stray(struct client_session *s, const struct pdu *p);
void send_timeout(struct client_session *s, uint32_t sequence, void *token);
/* The session ends: what was written is lost, what was not was never sent. */
void send_lost(struct client_session *s, enum reason unsent, const char *why);
/* Nothing more is written on it; what has nothing in flight goes back. */
void send_stop(struct client_session *s, enum reason unsent);
void send_flush_returns(struct client *cl);
void send_tombs_free(struct client_session *s);
void send_pool_free(struct client *cl);
/* client_receipt.c */
void client_heard(struct client_session *s, const struct pdu *p);
void client_receipt_answer(struct channel *c, void *token, bool stored);

/* ---- for smpp.c ---- */
int client_open(struct channel *c, struct err *e);
void client_close(struct channel *c, dur_t grace);
unsigned client_parts(const struct channel *c, const struct message *m, struct outcome *why_r);
void client_describe(const struct channel *c, struct buf *b);
int client_adopt(struct channel *c, const void *conf);

#endif
