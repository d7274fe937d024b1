/* Metavariables: the short names that texts speak of ($Amount, $Days, $Balances), beside the
 * member's, the event's and the offer's own fields. Each has one slot from SLOT_TEMPLATE on.
 *
 * Which of them a trigger can give is said by metavar_of_trigger(): those with a field of the
 * trigger behind them, and those that anything has. Any thread; the tables are constant.
 */
#ifndef POSTERN_PLUGINS_OFFERS_METAVAR_H
#define POSTERN_PLUGINS_OFFERS_METAVAR_H

#include "gateway/base/mem.h"
#include "plugins/offers/names.h"

enum metavar {
#define METAVAR(NAME, word, type, of, behind, doc) METAVAR_##NAME,
#include "plugins/offers/metavar.def"
#undef METAVAR
	METAVAR_COUNT
};
#define METAVAR_SLOT(m) (SLOT_TEMPLATE + (unsigned)(m))

/* All of them, in front of next. The member's, event's and offer's names are next's affair. The
 * scope lives in the arena. */
const struct scope *metavar_scope(struct arena *a, const struct scope *next);
/* Those that a trigger whose own names are in `trigger` can give, and `also` (bits 1 << metavar;
 * what a task or mailing sets itself: Amount, Days …). */
const struct scope *metavar_of_trigger(struct arena *a, const struct scope *trigger, unsigned also);

/* A source that answers metavariables: from v[] where set, else from the field behind them (its
 * slot in behind[], METAVAR_NOTHING: none), and everything else from `under`, which is asked for a
 * metavariable's own slot, too, when nothing is behind it (balances, say, only when needed). */
enum { METAVAR_NOTHING = 0xffff };
struct metavars {
	struct source source; /* first */
	const struct source *under;
	unsigned behind[METAVAR_COUNT];
	struct value v[METAVAR_COUNT];
};
/* behind[] is found in `trigger` (may be NULL), once for each trigger; under may change. */
void metavars_init(struct metavars *m, const struct scope *trigger, const struct source *under);

/* The elements of $Balances are texts "300 bonus": an amount and a currency's code, as
 * money_parse() reads them. */

#endif
