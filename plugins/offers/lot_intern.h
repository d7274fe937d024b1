/* What lot.c and lot_event.c share: lots as rows. */
#ifndef POSTERN_PLUGINS_OFFERS_LOT_INTERN_H
#define POSTERN_PLUGINS_OFFERS_LOT_INTERN_H

#include "plugins/offers/lot.h"

struct lot {
	uint64_t id;
	struct str ext; /* the unit's */
	uint64_t member, receipt;
	uint32_t currency;
	int64_t amount, rest;
	wall_t activates, expires, at;
	enum lot_state state;
};
/* Runs a statement of LOT_COLUMNS to its end; rows in the unit's arena. -1 with w->e. */
int lots_read(struct work *w, struct sql_stmt *st, struct lot **v_r, size_t *n_r);
/* 1, 0: none of that id. */
int lot_by_ext(struct work *w, struct str ext, struct lot *l);
/* The platform's telling of a balance after `when` leaves it alone. */
int balance_add(struct work *w, uint64_t member, uint32_t currency, int64_t delta, wall_t when);
/* Lots of the member whose moment has come change their state. */
int ledger_settle(struct work *w, uint64_t member);
/* task_bonus.c: the lot lives longer than it did. Who was told that it would expire is told that it
 * does not, where a task says so. */
int bonus_prolonged(struct work *w, uint64_t member, const struct lot *was, const struct lot *is);
int lot_void(struct work *w, const struct lot *l, wall_t when);
/* Zones that members have, the first "": not known. In the unit's arena. */
int zones_read(struct work *w, struct str **v_r, size_t *n_r);

#endif
