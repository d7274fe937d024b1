/* The engine: what an event changes, and what it answers.
 *
 * intake_keep() keeps an event raw, in a transaction of its own; engine_event() then works on it,
 * in another: finds the member, takes what the event says of them, counts, and asks each offer that
 * the event concerns. Both are plain functions over a unit of work; the gateway's writer, a story's
 * virtual clock and tests run the same. int: 0, or -1 with w->e, which undoes the unit.
 */
#ifndef POSTERN_PLUGINS_OFFERS_ENGINE_H
#define POSTERN_PLUGINS_OFFERS_ENGINE_H

#include "plugins/offers/chain.h"
#include "plugins/offers/source.h"

/* ---- the answer ---- */
struct reply {
	bool till;                   /* it says receipt and cashier lines */
	unsigned removed;            /* messages that were taken back */
	struct buf queued;           /* "1","2" */
	struct buf receipt, cashier; /* "line","line" */
	unsigned lines;              /* of the receipt so far */
};
void reply_free(struct reply *r);
/* `"queued":[…],"removed":0,"receipt":[…],"cashier":[…]}`: what is kept with the event. */
void reply_put(const struct reply *r, struct buf *b);
/* The whole answer, kept part at its end; kept empty: nothing was done. */
void reply_answer(struct buf *b, struct str id, bool duplicate, bool till, struct str kept);

/* ---- intake ---- */
/* of_event.done */
enum event_fate {
	EVENT_RAW,
	EVENT_WORKED,
	EVENT_IDLE,   /* kept without effect: why is said */
	EVENT_FAILED, /* it could not be worked on */
};
struct intake {
	uint64_t seq;
	bool duplicate;  /* that very event was kept before */
	bool conflict;   /* another one under that source and id */
	int done;        /* of the one that was kept before: 0 it was not worked on yet */
	struct str kept; /* its answer, the arena's; empty: none yet */
};
/* Keeps the event, sets e->seq. */
int intake_keep(struct work *w, struct event *e, struct intake *r);
/* What became of an event that is kept: r->done, r->kept. */
int intake_state(struct work *w, uint64_t seq, struct intake *r);
/* Events that were kept and not worked on (a crash between the two): their numbers in (after,
 * last]; how many, at most `most`, or -1. */
int intake_raw(struct work *w, uint64_t after, uint64_t last, uint64_t *seq, unsigned most);
int intake_last(struct work *w, uint64_t *seq_r);
/* It was answered with that: whoever asks again is told the same. */
int intake_answered(struct work *w, uint64_t seq, struct str kept);
/* It cannot be worked on: kept without effect. */
int intake_spoilt(struct work *w, uint64_t seq, struct str why);
/* Events older than policy.keep_events go, at most so many; *left_r: there are more. */
int intake_purge(struct work *w, unsigned most, bool *left_r);

/* ---- work ---- */
/* Works on an event that is kept (e->seq) and not done. The reply is filled, and kept with it
 * unless another one was kept before. */
int engine_event(struct work *w, struct event *e, struct reply *r);
/* An event made here for a member that is known (message.delivered …): kept and worked on at once;
 * one that was kept before changes nothing. Takes the event. */
int engine_made(struct work *w, struct member *m, struct event *e);
/* Assigns a status: tells the platform, fires status.calculated, and status.changed if it is
 * another. cause: what it is done for, so that the same is done once. system empty: the first. */
int engine_status(struct work *w, struct member *m, const struct offer *o, const char *system,
	const char *value, uint64_t cause, wall_t at);

/* Is that moment outside the offer's `active`? Pure. */
bool offer_over(const struct offer *o, const struct zone *z, wall_t at);
/* Was that due longer ago than the offer's max_lateness? */
bool offer_too_late(const struct work *w, const struct offer *o, const struct zone *z, wall_t due);

#endif
