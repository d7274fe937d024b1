/* Recurring work that the store takes of everybody but of one member: who that is, so that those
 * behind them need not wait.
 *
 * A unit says whose work it has in hand; when it fails, the member is noted here, and the next
 * units go past them for an hour. What is gone past stays due: points and held notices in their
 * rows, a run's members in of_deed (task_again.c). In memory, so that a restart tries all of them
 * again. A store that does not work is nobody's fault.
 */
#ifndef POSTERN_PLUGINS_OFFERS_STUCK_H
#define POSTERN_PLUGINS_OFFERS_STUCK_H

#include "gateway/base/clock.h"

struct work;

enum hand_work { HAND_NONE, HAND_RUN, HAND_HELD, HAND_POINTS };
/* Whose work is in hand. */
struct hand {
	enum hand_work work;
	uint32_t task; /* 0: none */
	uint64_t member;
	const char *name; /* the task's */
};

#define STUCK_FOR DUR_HOUR
enum { STUCK_MOST = 64 };
struct stuck {
	struct stuck_one {
		struct hand hand; /* but for the name */
		wall_t since;
	} v[STUCK_MOST];
	unsigned n;
};

/* A unit has failed with that in hand. False: nothing is to be gained by going past it; it was that
 * already, or there are too many. */
bool stuck_add(struct stuck *s, const struct hand *h, wall_t now);
/* That member's work is taken in hand: true; false: it is to be gone past. */
bool hand_take(
	struct work *w, enum hand_work work, uint32_t task, const char *name, uint64_t member);
bool hand_any_past(const struct work *w, enum hand_work work); /* somebody's is gone past now */
void hand_drop(struct work *w);                                /* it is done */
/* Of a unit that failed: was it what it had in hand? Not when the store does not work, which tries
 * again by itself. */
bool hand_to_blame(const struct work *w);

#endif
