/* The message: written once, sealed, never changed; what changes is what became of it.
 *
 * One block of memory: fixed numbers, then the variable fields packed as (tag, length, bytes).
 * The packed part is also what the store keeps, so nothing is translated on the hot path.
 * Build with a draft, seal, then share by reference count across threads.
 */
#ifndef POSTERN_MODEL_MESSAGE_H
#define POSTERN_MODEL_MESSAGE_H

#include "gateway/base/buf.h"
#include "gateway/base/clock.h"

#include <stdatomic.h>

enum media {
	MEDIA_SMS,
	MEDIA_EMAIL,
	MEDIA_PUSH,
	MEDIA_VIBER,
	MEDIA_SOCIAL,
	MEDIA_RECEIPT, /* answered inside an event's own reply */
	MEDIA_CASHIER,
	MEDIA_COUNT
};
#define MEDIA_BIT(m) (1u << (m))
#define MEDIA_ANY    (MEDIA_BIT(MEDIA_RECEIPT) - 1)
const char *media_word(enum media m);
bool media_parse(struct str word, enum media *m_r);

enum priority { PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_BULK, PRIORITY_COUNT };
const char *priority_word(enum priority p);
bool priority_parse(struct str word, enum priority *p_r);

/* Which news of the message its submitter asked for. */
enum want {
	WANT_DELIVERED = 1,
	WANT_FAILED = 2,
	WANT_INTERMEDIATE = 4, /* what the far side says on the way */
	WANT_DELAY = 8,        /* that it still waits with us after a time, once */
};

enum message_flag {
	MSG_OCTETS = 1,  /* FIELD_OCTETS + sms.data_coding are what was submitted: pass untouched */
	MSG_PAYLOAD = 2, /* they came in message_payload */
	MSG_REPLACE = 4, /* replace_if_present */
	MSG_MO = 8,      /* from a subscriber, towards an account */
	MSG_ALIAS = 16,  /* FIELD_CLIENT_ID is another name that we gave it, not a key that must not
			    come twice */
	MSG_LEADS = 32,  /* the first of a set: the others carry its id so */
	MSG_REPORT = 64, /* mail: a report of ours about another message, from <>; nobody hears of
			    it, and it may come from any sender */
	MSG_OUR_SENDER = 128, /* its sender was chosen by our settings, not by its submitter */
};

enum field {
#define FIELD(NAME, number, word) FIELD_##NAME = number,
#include "gateway/tables/fields.def"
#undef FIELD
	FIELD_MOST = 32
};
const char *field_word(enum field f);

/* What only SMS has; zero elsewhere. Values as on the wire (SMPP 3.4 §5.2). */
struct sms_attrs {
	uint8_t src_ton, src_npi, dst_ton, dst_npi;
	uint8_t esm_class, data_coding, protocol_id, registered;
};

struct message {
	atomic_int refs;
	uint32_t size;      /* bytes in fields[] */
	uint64_t id;        /* given by the store writer before anyone else sees it */
	wall_t accepted;    /* likewise */
	wall_t send_at;     /* 0: at once */
	wall_t expires;     /* 0: never (admit sets a default) */
	uint32_t submitter; /* the store's number for "smpp:esme/shop", "http:pos" … */
	uint8_t media, priority, wants, flags;
	struct sms_attrs sms;
	char fields[];
};

/* STR_NONE when absent. The slice lives as long as the message. */
struct str message_get(const struct message *m, enum field f);
bool message_has(const struct message *m, enum field f);
/* What it takes in memory. */
static inline size_t message_bytes(const struct message *m)
{
	return sizeof *m + m->size;
}
struct message *message_ref(const struct message *m);
void message_unref(struct message **mp); /* nulls the caller's pointer */

/* A draft: fixed numbers are set directly in .head; fields in any order, each once. */
struct draft {
	struct buf fields;
	struct message head; /* last: its fields[] has no room here */
};
void draft_init(struct draft *d);
void draft_put(struct draft *d, enum field f, struct str value); /* empty: nothing */
/* Takes over numbers and fields of m, but not the fields whose bit (1u << f) is in the mask. */
void draft_copy(struct draft *d, const struct message *m, uint32_t except_mask);
struct message *draft_seal(struct draft *d); /* one reference; the draft's fields are empty again */
void draft_free(struct draft *d);

/* The stored form: version byte, fixed numbers that the store has no column for, fields. */
void message_pack(const struct message *m, struct buf *b);
/* NULL when the bytes are not a packed message (a damaged store). The caller fills id, accepted
 * and submitter, which are columns. */
struct message *message_unpack(struct str bytes);
/* Fingerprint of everything the submitter chose (FIELD_GATE, which is always the last, is not its
 * choice; FIELD_DIGEST stands for the octets, which we have added to): two submissions under one id
 * must agree in it. */
uint64_t message_fingerprint(const struct message *m);

#endif
