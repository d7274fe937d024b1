/* Misdeeds per address: each failed login makes the next answer slower, time forgives. Any thread.
 * Keyed by addr_key(); the table is bounded, so that a flood of addresses costs nothing more.
 */
#ifndef POSTERN_BASE_PENALTY_H
#define POSTERN_BASE_PENALTY_H

#include "gateway/base/clock.h"

/* How long an answer to this address should be held back now: 0, then 0.5 s doubling to 16 s. */
dur_t penalty_delay(uint64_t key);
void penalty_add(uint64_t key);
void penalty_clear(uint64_t key);

#endif
