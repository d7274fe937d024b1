/* What a member who left was told, and what they and others said of them, goes: the events by which
 * something was known of them lose their text, and the messages that went to them, or came from
 * them, are emptied in the gateway.
 *
 * Leaving itself (member_erase()) is one unit of work; what there may be any number of is done in
 * slices, some of them at once. What is left is two kinds of rows of of_deed, which a crash leaves
 * as they are: DEED_LEFT for a member, with how far it has come, and DEED_ERASE for each message
 * that has not ended yet. On the store writer.
 */
#ifndef POSTERN_PLUGINS_OFFERS_LEAVING_H
#define POSTERN_PLUGINS_OFFERS_LEAVING_H

#include "plugins/offers/member.h"

/* In the unit in which they left, before their aliases and contacts go: what names them, for events
 * of nobody that do; the unit's. It is kept in DEED_LEFT until those were looked through. 0, -1. */
int leaving_names(struct work *w, const struct member *m, struct str *names_r);
/* In that unit, when the member is known as left. */
int leaving_begin(struct work *w, const struct member *m, struct str names);
/* What is due; looks at that many rows at most. *left_r: there is more at once. */
int leaving_sweep(struct work *w, unsigned most, mono_t until, bool *left_r);
int leaving_next_due(struct work *w, wall_t *due_r); /* 0: nothing */
/* An event that has turned out to be theirs: nothing of its text stays. */
int leaving_event(struct work *w, uint64_t seq);

#endif
