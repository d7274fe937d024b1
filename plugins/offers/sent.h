/* of_sent: what was sent, or decided not to be sent, once each; and the counting of offers' limits.
 * dispatch.c writes it, receipts change it. On the store writer, within one unit of work; int: 0
 * (or what is said), -1 with w->e.
 */
#ifndef POSTERN_PLUGINS_OFFERS_SENT_H
#define POSTERN_PLUGINS_OFFERS_SENT_H

#include "plugins/offers/dispatch.h"

struct sent_row {
	uint64_t id, member, run, msg, receipt;
	uint32_t object, template;
	unsigned step;
	int media, row, class;
	enum state state;
	struct str reason, address; /* the address is kept as its digest */
	wall_t due;
};
/* r->id is given. 1: it was decided before, *r says what came of it; 0. */
int sent_find(struct work *w, struct sent *r);
int sent_put(struct work *w, const struct sent_row *row);
/* Whom it went to and what it is of: 1; 0: it is not ours; -1. */
int sent_whose(
	struct work *w, uint64_t msg, uint64_t *member_r, uint32_t *object_r, unsigned *step_r);
/* One of several messages (devices) that it became. */
int sent_part(struct work *w, uint64_t msg, uint64_t sent, struct str address);
/* One more (1) or less (-1) for the limits of s->offer, in the periods of that moment. */
int limits_add(struct work *w, const struct sending *s, wall_t at, int by);

#endif
