/* Chains: an offer's `when`, `unless` and steps for one member.
 *
 * What a chain is now is a fold over the marks that its events left (of_mark), in the order of
 * occurred_at; so the order in which events arrive does not matter. The fold is pure; the rest
 * compares it with what is there (of_chain, of_fired) and changes that.
 */
#ifndef POSTERN_PLUGINS_OFFERS_CHAIN_H
#define POSTERN_PLUGINS_OFFERS_CHAIN_H

#include "plugins/offers/member.h"

enum mark_kind {
	MARK_ARMS = 1,
	MARK_DISARMS = 2,
	MARK_REFUNDED = 4, /* its purchase was taken back since */
	MARK_STATE = 8,    /* stands for all marks up to it: the run that was on then (see below) */
};
struct mark {
	wall_t occurred; /* MARK_STATE: the anchor */
	uint64_t seq;    /* MARK_STATE: the run */
	unsigned kind;   /* MARK_STATE: with first step << 8 and restarts << 16 */
	uint64_t receipt, key;
};
enum { CHAIN_STEPS_MOST = 16, CHAIN_RUNS_MOST = 32 };
/* One run of a chain: steps counted from an anchor. */
struct chain_run {
	uint64_t run; /* seq of the event of the anchor */
	uint64_t key;
	uint64_t receipt; /* that armed it */
	wall_t anchor;
	unsigned first_step; /* steps before it are not this run's (restart-step) */
	unsigned restarts;
	unsigned steps_n;
	wall_t due[CHAIN_STEPS_MOST]; /* of each step, settling included; 0: not of this run */
	wall_t ended;                 /* disarmed then; 0: runs on to its end */
};
/* The order that the fold needs: by time, not by arrival; at one instant what disarms comes last,
 * so that it wins. */
void marks_sort(struct mark *m, size_t n);
/* The runs that these sorted marks make, oldest first; how many. Of more than CHAIN_RUNS_MOST those
 * that ended first are left out. Pure. */
unsigned chain_fold(const struct offer *o, const struct zone *z, const struct mark *m, size_t n,
	struct chain_run *out);
/* What ended that run of theirs: the mark that disarmed it, or that armed its chain anew; NULL:
 * none of these. Pure. */
const struct mark *chain_ended_by(
	const struct offer *o, const struct mark *m, size_t n, const struct chain_run *r);
/* When the steps of a run are due. */
void chain_dues(const struct offer *o, const struct zone *z, struct chain_run *r);

/* An event that concerns the offer, of this member: leaves its mark, folds, sets or removes timers,
 * asks for the cancelling of what waits in queues. */
int chain_event(struct work *w, const struct offer *o, struct member *m, const struct event *e,
	bool arms, bool disarms);
/* What that step sent, of a run that its chain was still waiting to take back, has left: the run
 * that came in its place does not send it again. */
int chain_left(struct work *w, struct member *m, uint32_t offer, uint64_t run, unsigned step);
/* Asks for a message to be taken back: 0; 1: it has left, and is known as sent from now on; -1. */
int message_cancel(struct work *w, uint64_t msg);
/* Events of the past, as the offer sees them now that another came late: their marks follow, and
 * the chains. */
struct chain_verdict {
	wall_t occurred;
	uint64_t seq, receipt, key;
	bool arms, disarms;
};
int chain_again(struct work *w, const struct offer *o, struct member *m,
	const struct chain_verdict *v, size_t n);
/* The engine's: does this event, of which only the text was kept, disarm? (chain_event() looks at
 * those that came before the arming one.) 1 yes, 0 no, -1. */
int offer_disarms(struct work *w, const struct offer *o, struct member *m, const struct event *e);
/* The same of arming, of an event that was worked on before. */
bool offer_arms(struct work *w, const struct offer *o, struct member *m, const struct event *e);
/* The chain's key that an event names, 0: none. */
uint64_t chain_key(const struct offer *o, const struct event *e);
/* Of receipts, stores and keys; never 0, never negative as the store keeps it. */
uint64_t event_hash(struct str s);
uint64_t event_receipt(const struct event *e); /* 0: none */
/* That of the purchase that it is about: of a refund, what it takes back. */
uint64_t event_purchase(const struct event *e);
/* The first event of that type about that receipt since then: 1 with its number and amount, 0, -1.
 */
struct past_receipt {
	uint64_t seq;
	int64_t amount;
};
int past_receipt(struct work *w, const struct member *m, enum event_type type, uint64_t receipt,
	wall_t since, struct past_receipt *r);
/* Of which kind it is (phone, email …), as of_past keeps it; 0: of none. */
uint64_t event_kind_hash(const struct event *e);
/* The purchase of that receipt was taken back: its marks say so from now on. */
int chain_refund(struct work *w, struct member *m, uint64_t receipt);
/* Folds anew all chains of a member: the zone is another, or members were merged. */
int chain_refold(struct work *w, struct member *m);
/* The chains of that member under way take over the offer's edited steps. */
int chain_apply(struct work *w, const struct offer *o, uint64_t member);
/* Fires what is due until w->now, at most so many or until that moment (0: no limit); *left_r:
 * there is more. A unit of its own for each call. */
int chain_fire(struct work *w, unsigned most, mono_t until, unsigned *fired_r, bool *left_r);
/* The next step of that chain (work.firing, when it failed) is tried again then. */
int chain_put_off(struct work *w, int64_t id, wall_t due);
/* The earliest timer, 0: none. */
int chain_next_due(struct work *w, wall_t *due_r);

/* For who asks: the marks, in the unit's arena, and the runs that the present offer makes of them.
 */
struct chain_story {
	struct mark *marks;
	size_t marks_n;
	struct chain_run run[CHAIN_RUNS_MOST];
	unsigned runs;
};
int chain_tell(
	struct work *w, const struct offer *o, const struct member *m, struct chain_story *s_r);

/* An event that was worked on, from its row. 1: *e_r (the caller's), 0: it is gone, -1. */
int event_load(struct work *w, uint64_t seq, struct event **e_r);

#endif
