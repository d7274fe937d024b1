/* Why a member got a message of an offer, or why not, and what would happen next: for posternctl.
 *
 * Reads only; runs in a unit of work on any connection. Every condition is told with its value,
 * even where one before it decided already.
 */
#ifndef POSTERN_PLUGINS_OFFERS_WHY_H
#define POSTERN_PLUGINS_OFFERS_WHY_H

#include "plugins/offers/dispatch.h"

/* not: begins with what stands in the way; else with what was sent. As text for people or a JSON
 * object. 0; 1: there is no such member or offer (out says which); -1 with w->e. */
int why_tell(struct work *w, struct str member, struct str offer, bool why_not, bool json,
	struct buf *out);

/* The same of one message, be it of an offer or of another sender: what was decided, and what would
 * be now. */
struct plugin_found;
int why_message(struct work *w, const struct plugin_found *f, bool json, struct buf *out);

#endif
