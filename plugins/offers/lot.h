/* Bonus points: balances by currency, and the lots that they consist of, each with the days on
 * which it can first be spent and is gone.
 *
 * Where the platform is the master they mirror its events (bonus.calculated, bonus.deducted,
 * bonus.lot, balance.requested); what a task accrues is kept here and, with master = "upstream",
 * told as a command. A balance is what can be spent now: lots count from the moment they activate
 * to the moment they expire. What the platform says of a balance wins over what was added up
 * before. Amounts are ten-thousandths. On the store writer, in a unit of work; int: 0, -1 with
 * w->e.
 */
#ifndef POSTERN_PLUGINS_OFFERS_LOT_H
#define POSTERN_PLUGINS_OFFERS_LOT_H

#include "plugins/offers/member.h"

/* Numbers are stored. LOT_AWAITED: a deduction named it, and nothing has told it yet; its rest is
 * what was taken of it, negative. */
enum lot_state { LOT_SCHEDULED, LOT_ACTIVE, LOT_EXPIRED, LOT_VOID, LOT_AWAITED };

/* of_name's number of a currency; 0: none of that name (or, with create, the store failed). */
uint32_t currency_number(struct work *w, struct str code, bool create);
bool currency_code_of(struct work *w, uint32_t number, char *out, size_t cap);

/* What an event says of points; called once for each event that is worked on, after the member is
 * known and before of_past knows the event. In whatever order they come, the ledger is what it
 * would be had each been told when it happened. Events about other things change nothing. */
int ledger_event(struct work *w, struct member *m, struct event *e);

/* A lot as the platform tells it, by its id. `at`: since when that is so; what was told later
 * stays. What was spent of it before stays spent. For imports as well. */
struct lot_told {
	struct str ext;
	uint32_t currency;
	int64_t amount;
	wall_t activates, expires; /* 0: at once, never */
	bool is_void;
	wall_t at;
	uint64_t receipt; /* hash of the receipt that it came by, 0 */
};
int lot_put(struct work *w, const struct member *m, const struct lot_told *t);
/* The balance as the platform told it. */
int balance_set(
	struct work *w, const struct member *m, uint32_t currency, int64_t amount, wall_t at);

/* 1: there is an account in that currency, 0: none (*amount_r is 0). Right at w->now. */
/* Within what amounts may be: see statements.def. Pure. */
int64_t amount_within(int64_t v);
int balance_get(struct work *w, uint64_t member, uint32_t currency, int64_t *amount_r);
struct balance {
	uint32_t currency;
	int64_t amount;
	char code[64];
};
/* All of them in the order of currencies, in the unit's arena. */
int balances_get(struct work *w, uint64_t member, struct balance **v_r, size_t *n_r);

/* ,"balances":[{"currency":"bonus","amount":"300"}],"lots":[…]: what can be spent now, and the
 * newest lots: those that are not over first, by when they expire. Right at w->now. */
int ledger_show(struct work *w, uint64_t member, struct buf *out);

/* Points that we give. key: idempotency; also the lot's id, here and upstream. 1: given, 0: that
 * was given before. */
struct accrual {
	struct str key;
	uint32_t currency;
	int64_t amount;
	wall_t expires; /* 0: never */
	struct str why;
};
int ledger_accrue(struct work *w, const struct member *m, const struct accrual *a);

/* Lots whose moment has come change their state, and balances with them, at most so many and until
 * that moment (0: no limit): keeps what audiences are asked for right. *left_r: there are more. */
int ledger_sweep(struct work *w, unsigned most, mono_t until, bool *left_r);

/* For merging and erasing of members. */
int ledger_merge(struct work *w, const struct member *to, const struct member *from);
int ledger_erase(struct work *w, uint64_t member);

#endif
