/* Counters, gauges and histograms, and their Prometheus text form.
 *
 * A stat is embedded in its owner (a channel, an account), registered once with its labels, and
 * unregistered before the owner dies. Adding is a relaxed atomic; reading is any thread's.
 */
#ifndef POSTERN_BASE_STAT_H
#define POSTERN_BASE_STAT_H

#include "gateway/base/clock.h"

#include <stdatomic.h>

enum stat_kind { STAT_COUNTER, STAT_GAUGE, STAT_HISTOGRAM };

enum { STAT_BUCKETS = 24 }; /* 16 us · 2^i, the last is infinity */
struct stat_hist {
	_Atomic uint64_t bucket[STAT_BUCKETS];
	_Atomic uint64_t sum_ns, count;
};
struct stat_cell {
	_Atomic uint64_t v;
	struct stat_hist *hist; /* STAT_HISTOGRAM only */
	struct list_stub {
		struct stat_cell *next, *prev;
	} link;
	const char *name, *help; /* "postern_messages_sent_total" */
	char *labels;            /* `channel="a",media="sms"`, owned */
	enum stat_kind kind;
};

static inline void stat_add(struct stat_cell *s, uint64_t n)
{
	atomic_fetch_add_explicit(&s->v, n, memory_order_relaxed);
}
static inline void stat_inc(struct stat_cell *s)
{
	stat_add(s, 1);
}
static inline void stat_set(struct stat_cell *s, uint64_t n)
{
	atomic_store_explicit(&s->v, n, memory_order_relaxed);
}
static inline uint64_t stat_get(const struct stat_cell *s)
{
	return atomic_load_explicit(&s->v, memory_order_relaxed);
}
void stat_observe(struct stat_cell *s, dur_t d); /* histograms, in nanoseconds; shown in seconds */
/* Upper bound of the bucket that holds quantile q (0..1), 0 without data; beyond 67 s: 134 s. */
dur_t stat_quantile(const struct stat_cell *s, double q);

/* labels: pairs of name, value, …, NULL. */
void stat_register(struct stat_cell *s, enum stat_kind kind, const char *name, const char *help,
	...) __attribute__((sentinel));
void stat_unregister(struct stat_cell *s); /* harmless when not registered */
void stat_put_prometheus(struct buf *b);
/* The value of name{labels} as text would show it; false when there is none. For tests and ctl. */
bool stat_lookup(const char *name, const char *labels, uint64_t *v_r);

#endif
