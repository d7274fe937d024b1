/* What lot.c, lot_event.c and lot_again.c share: lots as rows, and events told again. */
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
	bool ours; /* accrued here */
};
/* Runs a statement of LOT_COLUMNS to its end; rows in the unit's arena. -1 with w->e. */
int lots_read(struct work *w, struct sql_stmt *st, struct lot **v_r, size_t *n_r);
/* 1, 0: none of that id. */
int lot_by_ext(struct work *w, struct str ext, struct lot *l);
/* The platform's telling of a balance after `when` leaves it alone. */
int balance_add(struct work *w, uint64_t member, uint32_t currency, int64_t delta, wall_t when);
/* Lots of the member whose moment has come change their state. */
int ledger_settle(struct work *w, uint64_t member);
/* When the next one does, as far as is known now; INT64_MAX: none. */
int ledger_turns(struct work *w, uint64_t member, wall_t *next_r);
/* task_bonus.c: the lot lives longer than it did. Who was told that it would expire is told that it
 * does not, where a task says so. */
int bonus_prolonged(struct work *w, uint64_t member, const struct lot *was, const struct lot *is);
int lot_void(struct work *w, const struct lot *l, wall_t when);
int lot_add(struct work *w, const struct member *m, const struct lot *l, struct str why);
/* Of a row that is there: all but its name. */
int lot_save(struct work *w, const struct member *m, const struct lot *l);
/* A lot that is named before anything tells it. */
int lot_await(struct work *w, const struct member *m, struct str ext, uint32_t currency, wall_t at,
	struct lot *l_r);

/* lot_event.c: at one instant, what tells lots comes first, then deductions, what cancels a
 * receipt, and the platform's word on balances; -1: it is not about points. */
int ledger_rank(enum event_type t);
/* Told as the newest of its member; the ledger is right at w->now. */
int ledger_tell(struct work *w, const struct member *m, const struct event *e);
/* What an event calls the i-th lot that it tells or takes from, the unit's; false: there is none.
 */
bool ledger_lot_named(
	struct work *w, const struct member *m, const struct event *e, size_t i, struct str *id_r);
uint64_t ledger_receipt(const struct event *e); /* 0: none */
int64_t ledger_deducted(const struct event *e); /* what a deduction takes in all */

/* lot_again.c: did anything about the member's points happen after it that was told before? 1, 0,
 * -1. */
int ledger_overtaken(struct work *w, const struct member *m, const struct event *e);
/* Tells what is remembered anew with this event in its place. */
int ledger_again(struct work *w, const struct member *m, struct event *e);
/* Zones that members have, the first "": not known. In the unit's arena. */
int zones_read(struct work *w, struct str **v_r, size_t *n_r);

#endif
