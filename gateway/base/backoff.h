/* The one back-off for whatever tries again: grows by a factor, jittered, capped. Pure. */
#ifndef POSTERN_BASE_BACKOFF_H
#define POSTERN_BASE_BACKOFF_H

#include "gateway/base/clock.h"

struct backoff {
	dur_t first, most;
	double factor;
	unsigned tries;
};
static inline void backoff_reset(struct backoff *b)
{
	b->tries = 0;
}
/* The wait before the next try: first · factor^tries, at most `most`, ±20 %. */
dur_t backoff_next(struct backoff *b);
/* The same for a count kept elsewhere (attempt from 1). */
dur_t backoff_of(dur_t first, dur_t most, double factor, unsigned attempt);
/* A cheap random number for jitter; not for secrets. Any thread. */
uint64_t random_u64(void);

#endif
