/* The far side's message ids, and how the id in its receipts relates to the id in its responses.
 *
 * Many SMSCs answer submit_sm with an id in one notation and send receipts in another: hex and
 * decimal, upper and lower case, zeros in front or not, cut to 32 bits and signed. This maps both
 * to one key. Pure data: the caller does the look-ups. One thread at a time per learner.
 *
 * How to use it (a channel has one `struct msgid_learner`, from its `id_form`):
 *
 *  1. submit_sm_resp came. Store the awaited id under ONE key: msgid_resp_key(form, id). Keep the
 *     raw id with it. The key depends on the configured form only, never on what has been
 *     learned, so that nothing stored becomes unfindable when something is learned.
 *  2. A receipt came. msgid_receipt_keys(learner, id, &keys) gives the keys to look up, best
 *     first: one for a configured or learned form, up to MSGID_KEYS_MAX while learning.
 *     - One key: look it up. Of several awaited entries with one key (SMSC counters wrap, and keys
 *       are folded) prefer the one with the same raw id, then the same destination, then the
 * newest.
 *     - Several: look up all; a hit counts only if its destination is the receipt's source
 *       address. Take the first such hit.
 *  3. Report: msgid_learn(learner, &keys, id, hits, awaited), hits being a bit per key that hit
 *     (1 << index), awaited the raw id of the entry taken. It learns only where exactly one key hit
 *     and only one form explains it, after MSGID_LEARN_AFTER such receipts in a row. When it
 * returns true the form has changed: log it ("receipt ids are hex-dec").
 *
 *  "same", "fold", "strip" and "wrap" are one family under auto: all go by the same keys, and what
 *  is learned is the loosest of them that was needed, for people to read.
 *  A learned form is given up after MSGID_FORGET_AFTER receipts in a row that were not found.
 *  Receipts that miss are kept by the caller for a while (they may have come before the response).
 */
#ifndef POSTERN_SMPP_MSGID_H
#define POSTERN_SMPP_MSGID_H

#include "gateway/base/buf.h"
#include "gateway/base/str.h"

/* One-sided rewriting. */
enum msgid_map {
	MSGID_RAW,    /* as it is */
	MSGID_LOWER,  /* ASCII letters in lower case */
	MSGID_BARE,   /* lower case, no zeros in front ("000" is "0") */
	MSGID_TO_DEC, /* read as hex, written in decimal */
	MSGID_TO_HEX, /* read as decimal, written in lower-case hex; a negative one modulo 2^32 */
	MSGID_DEC32,  /* read as decimal, perhaps negative; modulo 2^32, in decimal */
	MSGID_HEX32,  /* read as hex; modulo 2^32, in hex */
	MSGID_DEC32_TO_HEX, /* read as decimal, perhaps negative; modulo 2^32, in hex */
};
/* Appends the rewritten id. False, and nothing appended, when the id is not a number of that
 * notation or does not fit in 128 bits: go on with MSGID_BARE then. RAW, LOWER and BARE always
 * succeed. Ids over MSGID_KEY_MAX octets are cut. */
bool msgid_canonical(enum msgid_map map, struct str id, struct buf *b);

/* How a channel's responses and receipts relate: the values of `id_form`. */
enum msgid_form {
	MSGID_AUTO,     /* "auto": learn it */
	MSGID_SAME,     /* "same": byte for byte */
	MSGID_FOLD,     /* "fold": letters differ in case */
	MSGID_STRIP,    /* "strip": and zeros in front */
	MSGID_HEX_DEC,  /* "hex-dec": response hex, receipt decimal */
	MSGID_DEC_HEX,  /* "dec-hex": response decimal, receipt hex */
	MSGID_WRAP,     /* "wrap": both decimal, receipt cut to 32 bits or signed */
	MSGID_HEX_WRAP, /* "hex-wrap": response hex, receipt decimal cut to 32 bits or signed */
	MSGID_FORMS
};
const char *msgid_form_name(enum msgid_form form);
bool msgid_form_by_name(struct str name, enum msgid_form *form_r);

enum {
	MSGID_KEY_MAX = 255, /* longer ids are cut */
	MSGID_KEYS_MAX = 5,
	MSGID_LEARN_AFTER = 3,
	MSGID_FORGET_AFTER = 32,
};

struct msgid_key {
	unsigned forms; /* bits 1 << enum msgid_form: the forms that give this key */
	size_t n;
	char p[MSGID_KEY_MAX];
};
struct msgid_keys {
	unsigned n;
	struct msgid_key key[MSGID_KEYS_MAX];
};
static inline struct str msgid_key_str(const struct msgid_key *k)
{
	return str_n(k->p, k->n);
}

struct msgid_learner {
	enum msgid_form configured;
	enum msgid_form learned;   /* MSGID_AUTO until known */
	enum msgid_form suspected; /* what the last receipts agree on */
	unsigned agreed, missed;
};
void msgid_learner_init(struct msgid_learner *l, enum msgid_form configured);
/* The form in use for display: the configured one, or what was learned, or "auto". */
enum msgid_form msgid_learner_form(const struct msgid_learner *l);

void msgid_resp_key(enum msgid_form configured, struct str resp_id, struct msgid_key *key_r);
void msgid_receipt_keys(
	const struct msgid_learner *l, struct str receipt_id, struct msgid_keys *keys_r);
bool msgid_learn(struct msgid_learner *l, const struct msgid_keys *keys, struct str receipt_id,
	unsigned hits, struct str awaited);

#endif
