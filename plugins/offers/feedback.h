/* What recipients and far sides say about being written to: STOP and START, unsubscribing from
 * email, complaints, hard bounces, blocks, dead push tokens. One way in for all of them, whoever
 * heard it: subscribers' messages now, email and push channels as they land.
 *
 * On the store writer, within a unit of work. int: 0 (or what is said), -1 with w->e.
 */
#ifndef POSTERN_PLUGINS_OFFERS_FEEDBACK_H
#define POSTERN_PLUGINS_OFFERS_FEEDBACK_H

#include "plugins/offers/member.h"

enum feedback_kind {
	FEEDBACK_STOP,        /* the whole channel is off for the address, until START */
	FEEDBACK_START,       /* that is taken back; rows are as they were before */
	FEEDBACK_UNSUBSCRIBE, /* of one row (row -1: of all marketing): one-click, a link, a button
			       */
	FEEDBACK_COMPLAINT,   /* "this is spam": no marketing any more, for all who have the
				 address, and for the address; receipts and codes go on */
	FEEDBACK_BOUNCE,      /* there is no such address: it is dead, for all who have it */
	FEEDBACK_TOKEN_DEAD,  /* a push token was retired by its service */
	FEEDBACK_BLOCKED,     /* blocked inside Viber or a social network */
};
struct feedback {
	enum feedback_kind kind;
	enum media media;
	struct str address;   /* in its stored form */
	uint64_t member;      /* whom the message went to; 0: not known, found by the address */
	int row;              /* enum row, -1 */
	struct str by, proof; /* "sms STOP"; what they wrote, the message's id */
};
/* known_r (may be NULL): how many members it concerned. What waits and is no longer allowed is
 * withdrawn by deed. */
int feedback_take(struct work *w, const struct feedback *f, unsigned *known_r);

/* A subscriber's whole message is a word of policy.stop_words or start_words: letters' case, marks
 * around it and white space do not matter. Pure. */
enum feedback_word { FEEDBACK_WORD_NONE, FEEDBACK_WORD_STOP, FEEDBACK_WORD_START };
enum feedback_word feedback_word(const struct rules *r, struct str text);
/* A subscriber's message: taken when it is such a word. from: as the channel says it, phone numbers
 * with or without '+'. *word_r: what it was. */
int feedback_mo(struct work *w, enum media media, struct str from, struct str text,
	enum feedback_word *word_r);

#endif
