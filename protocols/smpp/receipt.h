/* Delivery receipts: what an SMSC's deliver_sm or data_sm says became of a message, in all the
 * forms seen in the field, and the one form that every client we know reads.
 * Pure: any thread. Parsing points into the PDU's bytes, except UTF-16 text, which goes through
 * a buffer in the struct.
 */
#ifndef POSTERN_SMPP_RECEIPT_H
#define POSTERN_SMPP_RECEIPT_H

#include "protocols/smpp/pdu.h"

enum {
	RECEIPT_TEXT_MAX = 512, /* octets of text that are looked at */
	RECEIPT_ERR_NONE = -1,
};

/* A channel's own words: stat word (ASCII case folded, whole) -> state. Comes before the
 * built-in words. */
struct receipt_word {
	struct str word;
	enum smpp_state state;
};

struct smpp_receipt {
	struct str id;         /* the far side's message id, trimmed; empty: the receipt has none */
	enum smpp_state state; /* never SCHEDULED or SKIPPED: read as ENROUTE, UNDELIVERABLE */
	bool intermediate;     /* ENROUTE, ACCEPTED, or the intermediate esm_class: not the
				* last word */
	bool conflict;         /* TLV and text gave different known states: log it */
	struct str stat;       /* the text's raw stat word; empty when it had none */
	struct str err;        /* the text's raw err word */
	int network_type;      /* TLV network_error_code; RECEIPT_ERR_NONE without */
	int network_code;
	int sub, dlvrd;                    /* -1 when missing or not a number */
	struct str submit_date, done_date; /* raw; the SMSC's zone is unknown */
	int64_t done_at;              /* UNIX ns if done_date can be read (taken as UTC), else 0 */
	struct str text;              /* what follows "text:" */
	char plain[RECEIPT_TEXT_MAX]; /* home of the slices when the text was UTF-16 */
};

/* True when a text, as it stands or in UTF-16BE, has the shape of a receipt: it begins with one
 * of a receipt's keys and has an id and a stat before "text:". For SMSCs that send receipts with
 * esm_class 0; a subscriber can write such a text, too, so ask only where the channel says so. */
bool receipt_looks_like(struct str text);

/* Reads the receipt in p. now: UNIX ns, for two-digit years. 0; -1: nothing of a receipt in it
 * (neither an id nor a state, by TLV or text). The caller decides whether p is one: (esm_class &
 * ESM_TYPE_MASK) is RECEIPT or INTERMEDIATE, or, where the channel has it so, the TLVs
 * receipted_message_id and message_state or receipt_looks_like().
 * Precedence: TLV id over text id; TLV state 1…8 over the stat word, but a final one over an
 * intermediate. words may be NULL when count is 0. *r must outlive its slices and not be copied. */
int receipt_parse(struct smpp_receipt *r, const struct pdu *p, int64_t now,
	const struct receipt_word *words, size_t count);
/* The same of a text alone. */
int receipt_parse_text(struct smpp_receipt *r, struct str text, int64_t now,
	const struct receipt_word *words, size_t count);

/* ---- the writer ---- */
struct receipt_form {
	struct str id;
	enum smpp_state state;
	unsigned sub, dlvrd;  /* parts; printed in 3 digits, at most 999 */
	int64_t submit, done; /* UNIX ns, printed as UTC plus zone_s */
	int zone_s;           /* seconds east of UTC */
	unsigned date_digits; /* 10 or 12 */
	unsigned err;         /* 0…999 */
	struct str text;      /* the message; UTF-8; its first 20 characters go out */
};
/* "id:… sub:001 dlvrd:001 submit date:… done date:… stat:DELIVRD err:000 text:…" */
void receipt_put_text(struct buf *b, const struct receipt_form *f);
/* receipted_message_id, message_state and, on failure, network_error_code (type 8: ours). */
void receipt_put_tlvs(struct buf *b, const struct receipt_form *f);
/* "DELIVRD", always 7 letters. */
const char *receipt_stat(enum smpp_state state);
/* The error for people: network_error_code if there was one ("34"), else the text's err word. */
void receipt_put_err(struct buf *b, const struct smpp_receipt *r);
/* True for the states after which nothing is expected. ACCEPTED is not one: see the README. */
bool smpp_state_final(enum smpp_state state);
const char *smpp_state_name(enum smpp_state state); /* "delivered" */

#endif
