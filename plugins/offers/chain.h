/* Chains: an offer's `when`, `unless` and steps for one member.
 *
 * What a chain is now is a fold over the marks that its events left (of_mark), in the order of
 * occurred_at; so the order in which events arrive does not matter. The fold is pure; the rest
 * compares it with what is there (of_chain, of_fired) and changes that.
 */
#ifndef POSTERN_PLUGINS_OFFERS_CHAIN_H
#define POSTERN_PLUGINS_OFFERS_CHAIN_H

#include "plugins/offers/member.h"

enum mark_kind { MARK_ARMS = 1, MARK_DISARMS = 2, MARK_REFUNDED = 4 };
struct mark {
	wall_t occurred;
	uint64_t seq;
	unsigned kind;
	uint64_t receipt, key;
};
/* One run of a chain: steps counted from an anchor. */
struct chain_run {
	uint64_t run; /* seq of the event of the anchor */
	uint64_t key;
	wall_t anchor;
	unsigned first_step; /* steps before it are not this run's (restart-step) */
	unsigned restarts;
	unsigned steps_n;
	wall_t due[16]; /* of each step, 0: not of this run */
	wall_t ended;   /* disarmed then; 0: runs on to its end */
};
enum { CHAIN_STEPS_MOST = 16, CHAIN_RUNS_MOST = 32 };
/* The runs that these marks (in order of time) make, oldest first; how many. Pure. */
unsigned chain_fold(const struct offer *o, const struct zone *z, const struct mark *m, size_t n,
	struct chain_run *out);

/* An event that concerns the offer, of this member: leaves its mark, folds, sets or removes timers,
 * asks for the cancelling of what waits in queues. */
int chain_event(struct work *w, const struct offer *o, struct member *m, const struct event *e,
	bool arms, bool disarms);
/* Fires what is due until w->now, at most so many or so long; *left_r: there is more. */
int chain_fire(struct work *w, unsigned most, mono_t until, unsigned *fired_r, bool *left_r);
/* The earliest timer, 0: none. */
int chain_next_due(struct work *w, wall_t *due_r);

#endif
