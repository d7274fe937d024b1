/* News for a submitter (or a subscriber's message for an account): made by the store, told by the
 * protocol through which it submits, durable until taken. Plain data; which finals are told to whom
 * is in store.h.
 */
#ifndef POSTERN_MODEL_NOTE_H
#define POSTERN_MODEL_NOTE_H

#include "gateway/base/loop.h"
#include "gateway/model/message.h"
#include "gateway/model/outcome.h"
#include "gateway/model/state.h"

enum note_kind { NOTE_RECEIPT = 1, NOTE_INTERMEDIATE, NOTE_CORRECTION, NOTE_MO };
enum { NOTE_ADDR = 256, NOTE_ERR = 24 }; /* an address of mail: 254 octets */
struct note {
	struct letter letter; /* for its receiver's use after the sink had it */
	uint32_t outlet;      /* the submitter's number */
	uint64_t seq;         /* rises per store; (outlet, seq) is the key */
	enum note_kind kind;
	uint64_t msg; /* message id, 0 for MO without one */
	enum state state;
	enum reason reason; /* why, when it did not go well */
	uint8_t media, wants, parts, parts_delivered;
	struct sms_attrs sms;
	wall_t accepted, at;                 /* at: when the state was reached */
	char from[NOTE_ADDR], to[NOTE_ADDR]; /* of the message */
	char err[NOTE_ERR];                  /* the far side's error code, "" */
	char client_id[NOTE_ADDR];
	unsigned attempts;  /* of telling it; kept by the teller in memory */
	mono_t again;       /* not before; likewise */
	struct message *mo; /* NOTE_MO: the subscriber's message; owned */
	void *owner;        /* likewise */
	struct list link;   /* for the receiver */
};

#endif
