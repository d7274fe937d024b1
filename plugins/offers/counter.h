/* Counters: how often, or how much, per member, account, store or offer, in a period.
 *
 * Simple ones count events or actions; those linked to purchases are undone by refunds and
 * cancelled receipts, once; of every n-th or every so much, the value is what the present event
 * reached. On the writer, within the unit of work of the event, so that counting and sending are
 * one. int: 0, or -1 with w->e.
 */
#ifndef POSTERN_PLUGINS_OFFERS_COUNTER_H
#define POSTERN_PLUGINS_OFFERS_COUNTER_H

#include "plugins/offers/source.h"

/* In the present period, as filters see it. Of `every`: 1 when the last counted is an n-th, of
 * `every_amount`: how many times the amount was passed by the present event. c NULL: missing. */
struct value counter_value(struct offers_source *s, const struct counter *c);
/* The event counts in each counter that is of its type; or takes back what another counted. Before
 * any offer looks at it. */
int counter_event(struct offers_source *s);
/* An action of the source's offer was done. */
int counter_action(struct offers_source *s, const struct counter *c, int by);

#endif
