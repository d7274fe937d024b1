/* Where the values of names come from when a filter is evaluated or a text rendered: the event, the
 * member, the offer, the tables; and the functions of the filter language over them.
 *
 * One for an event or a timer, on the writer, within a unit of work. What costs a query is asked
 * for when it is needed. A failing store gives missing values, and the unit then fails by its own
 * next statement.
 */
#ifndef POSTERN_PLUGINS_OFFERS_SOURCE_H
#define POSTERN_PLUGINS_OFFERS_SOURCE_H

#include "plugins/offers/member.h"
#include "plugins/offers/metavar.h"

struct offers_source {
	struct source source; /* first: what filters and templates are given */
	struct filter_world world;
	struct work *w;
	struct member *m;
	const struct event *e; /* NULL: none, or seq says which */
	uint64_t seq;          /* of an event that is fetched when a name of it is asked for; 0 */
	struct event *fetched; /* owned */
	const struct offer *o; /* may be NULL */
	wall_t now;            /* what `now` is: the event's or timer's moment */
	unsigned depth;        /* of audiences within audiences */
};
/* e NULL: now is w->now. */
void source_init(struct offers_source *s, struct work *w, struct member *m, const struct event *e,
	const struct offer *o);
void source_done(struct offers_source *s);
/* NULL: true. */
bool source_holds(struct offers_source *s, const struct filter *f);
/* The main amount of an event, of which sums are made: total, amount or discount; 0. */
int64_t event_amount(const struct event *e);

#endif
