/* What an event that came late changes of what was decided about later ones.
 *
 * A filter that asks for the past (first_time, count, sum, last) was answered for an event from
 * what was known when it came. When an earlier event comes after it, the answer may be another, and
 * the chain that hangs on it as well; what was sent, printed or counted stays.
 */
#ifndef POSTERN_PLUGINS_OFFERS_HINDSIGHT_H
#define POSTERN_PLUGINS_OFFERS_HINDSIGHT_H

#include "plugins/offers/member.h"

struct hindsight;
/* Before of_past and the counters know of e: how the offers that may care see what happened later.
 * *list_r lives in the unit's arena; NULL: nothing is to be done. 0, or -1 with w->e. */
int hindsight_begin(
	struct work *w, struct member *m, const struct event *e, struct hindsight **list_r);
/* Before two records become one, and each has the other's past: how such offers see the events of
 * both. */
int hindsight_merge(
	struct work *w, struct member *to, struct member *from, struct hindsight **list_r);
/* After: what they see otherwise now changes their chains. */
int hindsight_end(struct work *w, struct member *m, const struct hindsight *list);

#endif
