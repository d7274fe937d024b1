/* How fast a channel may send: a token bucket under the agreed rate, and an adaptive rate below
 * it that is cut when the far side asks for it and grows back when it does not. In parts. Pure
 * but for the time handed in; the channel's loop.
 */
#ifndef POSTERN_FLOW_PACE_H
#define POSTERN_FLOW_PACE_H

#include "gateway/base/clock.h"

struct pace {
	double agreed;  /* parts/s, 0: no limit */
	double adapted; /* parts/s, 0: not slowed */
	double tokens;  /* may be negative: a long message is paid for afterwards */
	mono_t last;    /* when tokens were counted */
	mono_t pause;   /* nothing before this */
	mono_t cut_at;  /* last cut: answers to what was in flight then do not cut again */
	mono_t grown_at;
	double seen;    /* parts/s of late, for the first cut */
	unsigned count; /* sent since seen_at */
	mono_t seen_at;
};
void pace_init(struct pace *p, double agreed, mono_t now);
void pace_set(struct pace *p, double agreed);
/* 0: something may go now; else how long to wait. */
dur_t pace_wait(struct pace *p, mono_t now);
void pace_take(struct pace *p, unsigned parts, mono_t now);
/* The far side asked for less: halves the rate (once per half second) and pauses. */
void pace_throttled(struct pace *p, dur_t wished, mono_t now);
double pace_rate(const struct pace *p); /* in force, 0: no limit */

#endif
