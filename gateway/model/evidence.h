/* What came about a message by another way than its channel's receipts: a bounce, a complaint, an
 * unsubscribing. It is found by the message's own id, which a signed token gave. Plain data.
 */
#ifndef POSTERN_MODEL_EVIDENCE_H
#define POSTERN_MODEL_EVIDENCE_H

#include "gateway/model/outcome.h"
#include "gateway/model/state.h"

enum evidence_kind {
	EVIDENCE_STATE,       /* as a receipt: state, reason, err */
	EVIDENCE_COMPLAINT,   /* "this is spam" */
	EVIDENCE_UNSUBSCRIBE, /* of the row named, or of the whole channel */
};
struct evidence {
	enum evidence_kind kind;
	uint64_t msg;     /* 0: not known (it may be forgotten by now), `to` says who */
	enum state state; /* SENT: an intermediate word (delayed) */
	enum reason reason;
	bool dead;    /* there is no such address: it is never to be written to again */
	char err[24]; /* "5.1.1" */
	char row[32]; /* UNSUBSCRIBE; "": the channel */
	char to[256]; /* the address it speaks of; "": the message's own */
	char words[OUTCOME_WORDS];
	const char *by; /* "dsn", "arf", "one-click" …; constant text */
	wall_t at;      /* 0: now */
};

#endif
