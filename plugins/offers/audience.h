/* All members that a filter holds for: the filter as a query over the tables of db.h.
 *
 * `now` is w->now, `today` the day in each member's zone; erased and merged records are no members.
 * Columns, attributes, dates, count(), last(), first_time(), has(), received() and audiences made
 * of such are answered by the query itself; for the rest (sums, balances, counters, subscriptions)
 * the query only narrows, and whoever asked looks at each member again with the source it has.
 */
#ifndef POSTERN_PLUGINS_OFFERS_AUDIENCE_H
#define POSTERN_PLUGINS_OFFERS_AUDIENCE_H

#include "plugins/offers/work.h"

/* Ids above `after`, ascending, at most `most` of them: fewer than that are the last. exact_r:
 * false when some of them may not be of the audience. 0, or -1 with w->e. */
int audience_select(struct work *w, const struct filter *f, uint64_t after, uint64_t *ids,
	size_t most, size_t *n_r, bool *exact_r);
/* How many there are (at most, when not exact). */
int audience_count(struct work *w, const struct filter *f, int64_t *n_r, bool *exact_r);

#endif
