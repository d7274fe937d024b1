/* A timing wheel of 1 ms: things that are to happen later, by the million, at O(1) each.
 * What happens is named by an index into its owner's table.
 */
#ifndef POSTERN_SIM_WHEEL_H
#define POSTERN_SIM_WHEEL_H

#include "tests/sim/sim.h"

enum { SIM_WHEEL_SLOTS = 16384, SIM_WHEEL_NONE = UINT32_MAX };

struct sim_wheel {
	uint32_t slot[SIM_WHEEL_SLOTS]; /* head of each millisecond's list */
	struct sim_wheel_link {
		uint32_t next;
		uint64_t due; /* ms */
	} * link;             /* by index */
	uint32_t cap, n;
	uint64_t now; /* ms; everything due up to it has been taken */
};

void sim_wheel_init(struct sim_wheel *w, uint64_t now_ns);
void sim_wheel_add(struct sim_wheel *w, uint32_t index, uint64_t due_ns);
/* Calls take() for whatever is due by now_ns, which may add more. */
void sim_wheel_turn(
	struct sim_wheel *w, uint64_t now_ns, void (*take)(void *of, uint32_t index), void *of);

#endif
