/* What members say of what they were sent: an answer, STOP, a link to unsubscribe by. It changes
 * what they agree to (feedback.h) and is an event of theirs. For the gateway and for stories; on
 * the store writer, within a unit of work. 0, or -1 with w->e. */
#ifndef POSTERN_PLUGINS_OFFERS_HEARD_H
#define POSTERN_PLUGINS_OFFERS_HEARD_H

#include "plugins/offers/feedback.h"

/* A subscriber's message; msg: a number of its own. */
int heard_reply(struct work *w, enum media media, struct str from, struct str text, uint64_t msg);
/* FEEDBACK_UNSUBSCRIBE, taken already: by email it is an event of the member. */
int heard_unsubscribe(struct work *w, const struct feedback *f);

#endif
