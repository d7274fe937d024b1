/* What an event that came late changes of what was decided about later ones.
 *
 * A filter that asks for the past (first_time, count, sum, last) was answered for an event from
 * what was known when it came. When an earlier event comes after it, the answer may be another, and
 * the chain that hangs on it as well; what was sent, printed or counted stays.
 */
#ifndef POSTERN_PLUGINS_OFFERS_HINDSIGHT_H
#define POSTERN_PLUGINS_OFFERS_HINDSIGHT_H

#include "plugins/offers/member.h"

/* e: one that is being worked on, known to of_past by now. 0, or -1 with w->e. */
int hindsight(struct work *w, struct member *m, const struct event *e);

/* The same when two records have become one: each now has the other's past. */
int hindsight_merge(struct work *w, struct member *m);

#endif
