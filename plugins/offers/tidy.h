/* What is older than policy.keep_events goes, a slice at a time: events, what is remembered of
 * them, chains that are over, what was sent, what counters counted in periods that are over.
 * Nothing that a running chain, the present period of a counter, a limit or the telling of repeats
 * still needs; and of each kind of event of a member the newest is remembered for ever, for
 * first_time() and last().
 *
 * Tables are looked through in the order of their keys, since an index by age would cost every
 * event a write. On the store writer.
 */
#ifndef POSTERN_PLUGINS_OFFERS_TIDY_H
#define POSTERN_PLUGINS_OFFERS_TIDY_H

#include "plugins/offers/work.h"

enum { TIDY_SEEN = 512 };
/* One pass through all tables; zeroed is its beginning. */
struct tidy {
	unsigned stage;
	int64_t at[5]; /* the key that was looked at last */
	bool begun;    /* at is set */
	uint64_t removed, looked;
	wall_t limits; /* days before it no limit looks at */
	/* what chains keep, as far as was seen */
	struct tidy_seen {
		uint32_t offer;
		uint64_t version, pin;
	} seen[TIDY_SEEN];
	unsigned seen_n;
	bool seen_all; /* it has room for all */
	int64_t steps_last;
};
/* Looks at so many rows, and removes what is old. *left_r: the pass is not over. 0, -1. Chains
 * whose offer was edited with apply_to_running take its steps over on the way. */
int tidy_slice(struct work *w, struct tidy *p, unsigned most, bool *left_r);
/* Events before it are not needed; 0: all are kept. */
wall_t tidy_before(const struct work *w);

#endif
