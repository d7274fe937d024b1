/* Fault injection for tests: the n-th write, fsync, allocation or connect fails.
 * FAULT=fsync:3 in the environment makes the third call of fault_hit("fsync") true, once;
 * FAULT=fsync:3+ from the third on. FAULT=stall-WHAT:3 lets the third call of a plugin that says so
 * of itself (plugin_call.what) stand still for five seconds, on the store's writer.
 * FAULT=kill-write:3 is a kill -9 before the third write to the database or its log.
 * Costs one load of a flag when unset. Thread-safe.
 */
#ifndef POSTERN_BASE_FAULT_H
#define POSTERN_BASE_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>

extern atomic_bool fault_on;
/* NULL: from the environment. Before threads start, or while no other fault is set. */
void fault_init(const char *spec);
bool fault_due(const char *what);

static inline bool fault_hit(const char *what)
{
	return __builtin_expect(atomic_load_explicit(&fault_on, memory_order_acquire), 0) &&
	       fault_due(what);
}

#endif
