/* The simulated SMSC: sessions, accounts, what is to be delivered to them, and how it misbehaves.
 *
 * A `parcel` is one thing that is still to leave: a receipt, a subscriber's message, or a delayed
 * response. Parcels live in one table and are named by index, so a million of them cost 128 MB and
 * no allocation each.
 */
#ifndef POSTERN_SIM_SMSC_H
#define POSTERN_SIM_SMSC_H

#include "tests/sim/control.h"
#include "tests/sim/loop.h"
#include "tests/sim/opt.h"
#include "tests/sim/pdu.h"
#include "tests/sim/wheel.h"

#include <stdio.h>

enum { SMSC_RULES = 32, SMSC_ACCOUNTS = 64, NONE32 = UINT32_MAX };

enum smsc_state { /* SMPP 3.4 §5.2.28 */
	STATE_ENROUTE = 1,
	STATE_DELIVERED,
	STATE_EXPIRED,
	STATE_DELETED,
	STATE_UNDELIVERABLE,
	STATE_ACCEPTED,
	STATE_UNKNOWN,
	STATE_REJECTED,
	STATE_NONE, /* no receipt at all */
	STATE_COUNT,
};

enum smsc_form {
	FORM_DEC,
	FORM_HEX,
	FORM_UPPER,
	FORM_DEC0,
	FORM_HEX0,
	FORM_UUID,
	FORM_LONG,
	FORM_SPACE
};

enum smsc_style {
	STYLE_STD,
	STYLE_TEXT,    /* no TLVs */
	STYLE_SHORT,   /* id and stat only */
	STYLE_WORDS,   /* other words, other order, 12-digit dates */
	STYLE_TLV,     /* TLVs and no text */
	STYLE_UTF16,   /* the text in UTF-16BE */
	STYLE_DCS8,    /* plain text that calls itself UCS-2 */
	STYLE_PAYLOAD, /* the text in message_payload */
	STYLE_PLAIN,   /* esm_class says it is a subscriber's message */
};

struct smsc_rule { /* a destination pattern, or a probability, and what then happens */
	struct str pattern;
	double p;
	uint32_t value;
	uint64_t times; /* how often still; 0: always */
};

struct smsc_conf {
	struct sim_addr listen;
	struct str codec, tls_cert, tls_key, record, control, stats_file, port_file, system_id;
	struct {
		struct str system_id, password;
	} login[SMSC_ACCOUNTS];
	unsigned logins;
	uint64_t max_binds, refuse_first, deliver_window, drop_after, seed, id_start;
	uint32_t refuse_bind;
	struct smsc_rule error[SMSC_RULES], error_to[SMSC_RULES], receipt_to[SMSC_RULES];
	unsigned errors, errors_to, receipts_to;
	struct sim_span latency, receipt_delay;
	double throttle, mute, mute_taken, twice;
	double share[STATE_COUNT];
	bool receipts_set, receipt_first, receipt_always, intermediate, quickack, stats_json;
	bool error_body, quiet, enquire_mute, no_sc_version;
	enum smsc_form form_resp, form_receipt;
	enum smsc_style style;
	uint64_t enquire, inactivity, response_timeout, run_for, stop_after;
	uint64_t drop_every;
	struct smsc_mo {
		struct str from, to, text, account;
		uint64_t count, sent, parts;
		double rate;
		uint64_t next; /* ns */
		bool ucs2;
	} mo[SMSC_RULES];
	unsigned mos;
};
extern const struct sim_opt smsc_opts[];
void smsc_conf_init(struct smsc_conf *c);
int smsc_mo_parse(void *conf, struct str value, struct err *e);

enum parcel_kind { PARCEL_FREE, PARCEL_RECEIPT, PARCEL_MO, PARCEL_RESPONSE };
struct parcel {
	uint32_t next, account, session, generation, seq;
	uint32_t status; /* of a response */
	uint64_t id,
		at; /* the message's number; unix seconds of its submit (MO: number in its row) */
	uint8_t kind, state, tries, src_ton, src_npi, dst_ton, dst_npi, text_n, mo, part, taken,
		multi;
	bool intermediate;
	char src[21], dst[21], text[20];
};

struct session;
struct account {
	struct str system_id;
	struct session **rx; /* those which may receive */
	unsigned rx_n, rx_cap, rx_next, binds;
	uint32_t first, last; /* parcels waiting, by `next` */
	uint64_t waiting;
};

struct session {
	struct sim_conn *conn;
	struct smsc *smsc;
	uint32_t index, generation;
	uint32_t bind; /* P_BIND_… or 0 */
	uint32_t account;
	uint32_t seq;  /* our last */
	uint32_t *out; /* parcel by seq & mask, NONE32 when free */
	uint64_t *out_at;
	uint32_t out_n, out_mask;
	uint64_t submits, heard, probed, last_sent;
	bool unbinding;
	struct session *next_dead;
	char peer[48];
};

struct smsc_stats {
	uint64_t connections, binds, bind_refused, unbinds, submits, accepted, refused, throttled,
		muted, drops, bad_pdus, nacks, enquires, receipts_made, receipts_sent,
		receipts_acked, receipts_refused, receipts_again, mo_sent, mo_acked, others,
		by_state[STATE_COUNT];
	uint64_t first_submit, last_submit, first_receipt, last_receipt, cpu_start;
	struct {
		uint32_t status;
		uint64_t n;
	} status[32];
	unsigned statuses;
};

struct smsc {
	struct smsc_conf conf;
	struct sim_loop loop;
	struct sim_listener listener;
	struct sim_control control;
	struct sim_timer tick, second;
	const struct sim_codec *codec;
	SSL_CTX *tls;
	struct sim_rng rng;
	struct sim_wheel wheel;
	struct parcel *parcel;
	uint32_t parcels, parcel_free, parcel_used;
	struct account *account;
	unsigned accounts;
	struct session **session; /* by index; NULL when free */
	uint32_t sessions, generation;
	struct session *dead; /* closed; freed a little later */
	uint64_t next_id, next_drop;
	double tokens;
	uint64_t tokens_at, started;
	FILE *record;
	struct buf line;
	struct smsc_stats stats;
	char date10[64], date12[64]; /* of this second */
	uint64_t date_of;
};

/* smsc.c */
void smsc_send(struct session *s, const struct sim_pdu *pdu);
void smsc_drop(struct smsc *m); /* every connection, as a fault */
/* smsc_submit.c */
void smsc_submit(struct session *s, const struct sim_pdu *pdu);
/* Answers a submit after the set latency; returns that latency. */
uint64_t smsc_respond(struct session *s, const struct sim_pdu *pdu, uint32_t status, uint64_t id);
void smsc_response_due(struct smsc *m, uint32_t index);
/* smsc_deliver.c */
uint32_t parcel_new(struct smsc *m);
void parcel_free(struct smsc *m, uint32_t index);
void parcel_post(struct smsc *m, uint32_t index, uint64_t delay); /* to its account, later */
void smsc_due(void *smsc, uint32_t index);                        /* the wheel's */
void account_pump(struct smsc *m, uint32_t account);
void smsc_delivered(struct session *s, const struct sim_pdu *resp);
void session_return(struct session *s); /* what it had not acknowledged goes back */
void smsc_mo_turn(struct smsc *m);
/* smsc_text.c */
size_t smsc_id(char *to, size_t cap, enum smsc_form form, uint64_t id);
/* Fills text, TLVs and codings of a receipt; strings live until the next call. */
void smsc_receipt(struct smsc *m, const struct parcel *p, struct sim_pdu *pdu);
extern const char *const smsc_state_word[STATE_COUNT];
int smsc_form_named(struct str name, enum smsc_form *form_r);
/* smsc_control.c */
void smsc_stats_json(struct smsc *m, struct buf *out);
int smsc_control_start(struct smsc *m, struct err *e);

#endif
