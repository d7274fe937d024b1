/* What was said of a member here (PUT, PATCH, POST and imports), and when: an event that happened
 * before that, but is told after it, does not undo it. Kept by field: "first_name", "member.city",
 * "status.tier", "contact.phone" when all of them were taken away, "contact.phone:DIGEST" of one,
 * and "*" of a member that was put whole; several that were said at once are one row of words
 * parted by newlines. On the store writer. */
#ifndef POSTERN_PLUGINS_OFFERS_SAID_H
#define POSTERN_PLUGINS_OFFERS_SAID_H

#include "plugins/offers/member_input.h"

/* It has just been applied to that member. */
int said_note(struct work *w, const struct member *m, const struct member_input *in, bool whole);
/* Takes out of it what was said of the member since that time. */
int said_since(struct work *w, const struct member *m, wall_t since, struct member_input *in);
/* Was that status of theirs said since? 1, 0, -1. */
int said_status(struct work *w, const struct member *m, wall_t since, struct str system);
/* Was that address of theirs said since, or taken away, or another token of the device that sub
 * names (struct contact)? 1, 0, -1. Of one that came new with what was said `since` of the contact
 * tells it. */
int said_contact(struct work *w, const struct member *m, wall_t since, enum contact_kind kind,
	struct str value, struct str sub);

#endif
