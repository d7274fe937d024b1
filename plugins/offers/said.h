/* What was said of a member here (PUT, PATCH), and when: an event that happened before that, but is
 * told after it, does not undo it. Kept by field: "first_name", "member.city", "status.tier", and
 * "*" of a member that was put whole. On the store writer. */
#ifndef POSTERN_PLUGINS_OFFERS_SAID_H
#define POSTERN_PLUGINS_OFFERS_SAID_H

#include "plugins/offers/member_input.h"

/* It has just been applied to that member. */
int said_note(struct work *w, const struct member *m, const struct member_input *in, bool whole);
/* Takes out of it what was said of the member since that time. */
int said_since(struct work *w, const struct member *m, wall_t since, struct member_input *in);
/* Was that status of theirs said since? 1, 0, -1. */
int said_status(struct work *w, const struct member *m, wall_t since, struct str system);

#endif
