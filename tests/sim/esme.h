/* The simulated ESME: links (binds) that share one supply of messages, and a book of the ids that
 * were accepted, so that every receipt that is missing, double or unknown is found.
 */
#ifndef POSTERN_SIM_ESME_H
#define POSTERN_SIM_ESME_H

#include "tests/sim/loop.h"
#include "tests/sim/opt.h"
#include "tests/sim/pdu.h"
#include "tests/sim/wheel.h"

#include <stdio.h>

enum esme_kind {
	KIND_TEXT,
	KIND_LONG, /* 250 octets in one short_message */
	KIND_UCS2,
	KIND_UDH,     /* three parts, joined by UDH */
	KIND_SAR,     /* three parts, joined by TLVs */
	KIND_PAYLOAD, /* 500 octets of message_payload */
	KIND_DATA,    /* data_sm */
	KIND_BINARY,
	KIND_FLASH,
	KIND_MULTI, /* submit_multi to three */
	KIND_COUNT,
};

struct esme_conf {
	struct sim_addr connect;
	struct str codec, system_id, password, system_type, from, to, text, record, record_receipts,
		record_mo, ca, cert, key, service_type, validity, schedule;
	bool tls, verify, reconnect, resend, retry, expect_receipts, expect_accepted, progress,
		pairs;
	bool per_bind_password, no_enquire_answer;
	uint32_t bind;
	uint64_t binds, window, count, run_for, drain, linger, registered, seed, first, version;
	uint64_t response_timeout, enquire, retry_delay, reconnect_delay, coding, priority,
		esm_class;
	uint64_t deliver_status, deliver_mute_after;
	double rate, mix[KIND_COUNT], deliver_mute, deliver_again;
	bool mix_set;
	struct sim_span deliver_delay;
	struct {
		uint16_t tag;
		struct str v;
	} tlv[8];
	unsigned tlvs;
};
extern const struct sim_opt esme_opts[];
void esme_conf_init(struct esme_conf *c);

struct unit { /* one PDU to submit: a message, or one part of it */
	uint64_t n;
	uint32_t part;
};

/* Ids that were accepted, or of which a receipt came: by hash, open addressing. */
struct id_book {
	struct id_entry {
		uint64_t hash; /* 0: free */
		uint32_t at;   /* 10 µs since the start, of the submit */
		uint8_t expect, finals, accepted, state;
	} * entry;
	uint64_t cap, n;
};

struct link_slot {
	struct unit unit;
	uint64_t at; /* sent, or (with a rate) due */
	uint32_t seq;
	uint8_t expect;
	bool used;
};

enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_BINDING, LINK_BOUND, LINK_ENDING };

struct link {
	struct esme *esme;
	struct sim_conn *conn;
	enum link_state state;
	uint32_t bind, seq, out_n, mask, index, generation;
	struct link_slot *slot;
	uint64_t heard, probed, again, began;
};

struct esme_stats {
	uint64_t submitted, answered, accepted, refused, unanswered, lost_in_flight, reconnects,
		binds, bind_refused, enquires, nacks, deliveries, finals, intermediates, duplicates,
		corrections, early, mismatched, unparsed, mo, refused_deliveries, id_missing,
		id_reused, wanted, got, late, retried, by_state[16], stat_other;
	uint64_t first_submit, last_answer, last_receipt;
	struct {
		uint32_t status;
		uint64_t n;
	} status[32];
	unsigned statuses;
	struct sim_hist latency, receipt_latency;
};

struct esme {
	struct esme_conf conf;
	struct sim_loop loop;
	struct sim_timer tick, second;
	const struct sim_codec *codec;
	SSL_CTX *tls;
	struct sim_rng rng;
	struct link *link;
	unsigned links, bound;
	struct unit *retry; /* ring */
	uint64_t *retry_due;
	uint64_t retry_first, retry_n, retry_cap;
	uint64_t next_n, started, load_began, units, outstanding, quiet_since, ended_at;
	bool was_up, stopping, ending, failed;
	struct id_book book;
	struct esme_stats stats;
	FILE *record, *record_receipts, *record_mo;
	struct buf line;
	struct sim_wheel wheel;
	struct esme_answer {
		uint32_t link, generation, seq, status, next;
	} * answer;
	uint32_t answers, answer_free;
	uint64_t progress_answered, progress_finals;
};

/* esme_load.c */
unsigned esme_parts(struct esme *m, uint64_t n);
/* Fills *p with part of message n; strings live until the next call. */
void esme_fill(struct esme *m, struct unit u, struct sim_pdu *p);
void link_pump(struct link *k);
void esme_pump(struct esme *m);
void esme_retry(struct esme *m, struct unit u, uint64_t delay);
void link_answered(struct link *k, const struct sim_pdu *resp);
void link_lost(struct link *k); /* what was unanswered when it went */
/* esme.c */
void link_send(struct link *k, const struct sim_pdu *p);
/* esme_check.c */
void book_accept(struct esme *m, struct str id, uint64_t at, uint8_t expect);
void esme_deliver(struct link *k, const struct sim_pdu *p);
void esme_summary(struct esme *m, struct buf *out);
bool esme_satisfied(struct esme *m);   /* every receipt asked for has come */
bool esme_as_expected(struct esme *m); /* says on stderr what is not */

#endif
