/* Events that come late say what may have been said otherwise since.
 *
 * What a member agreed to, can be reached at and is, follows the time at which it was said, not the
 * order in which that was told: a late event changes nothing that a later one has decided.
 */
#ifndef POSTERN_PLUGINS_OFFERS_OVERTAKEN_H
#define POSTERN_PLUGINS_OFFERS_OVERTAKEN_H

#include "plugins/offers/member.h"

enum { LATER_MOST = 100 };
/* The events of that type of this member that happened after this one, oldest first: their numbers.
 * How many, or -1 with w->e. */
int later_events(struct work *w, const struct member *m, const struct event *e,
	enum event_type type, uint64_t seq[LATER_MOST]);
/* Is there an event of that type of this member that happened after this one and is about the same
 * thing? 1 yes, 0 no, -1 with w->e. */
int later_event(struct work *w, const struct member *m, const struct event *e, enum event_type type,
	bool (*same)(const struct event *e, const struct event *later));
/* Has a later event (or PUT, PATCH, of a status) decided about the address, device or status system
 * that this one is about? 1, 0, -1. Of events about other things 0. */
int event_overtaken(struct work *w, const struct member *m, const struct event *e);
/* contact.linked: was that address found dead later? 1, 0, -1. */
int address_dead_since(struct work *w, const struct member *m, const struct event *e);

/* One thing that was said of the subscriptions; row, channel: -1 all. */
struct consent_said {
	wall_t at;
	int row, channel;
	bool granted;
};
/* false: the event names no row or channel that is known. */
bool consent_of_event(const struct event *e, struct consent_said *c_r);
/* What was said after that event, by time; at most LATER_MOST of each source, twice that in all.
 * How many, or -1. */
int consent_since(struct work *w, const struct member *m, const struct event *e,
	struct consent_said v[2 * LATER_MOST]);

#endif
