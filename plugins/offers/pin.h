/* What chains under way keep from when they began: the steps of their offer (of_chain.version),
 * and, where the policy says so, the texts of its templates (of_chain.pin). Both are noted whenever
 * a configuration is adopted, and made again when a chain asks for what is not the present any
 * more.
 *
 * On the store writer. What is given out lives as long as w->rules are in force.
 */
#ifndef POSTERN_PLUGINS_OFFERS_PIN_H
#define POSTERN_PLUGINS_OFFERS_PIN_H

#include "plugins/offers/work.h"

/* Notes what these rules say, and fills offers' pins; their numbers are given. -1 with e. */
int pins_note(struct rules *r, struct db *db, struct err *e);
void pins_close(struct pins **pp); /* harmless on NULL */

/* The offer as it was of that version; the present one where that is the same, or where its changes
 * are for chains under way, too. *o_r NULL: it is not known, or cannot be made any more. 0, -1. */
int pin_offer(struct work *w, uint32_t number, uint64_t version, const struct offer **o_r);
/* The present one, or the last known of an offer that was taken away. */
int pin_offer_last(struct work *w, uint32_t number, const struct offer **o_r);
/* Offers that were taken away, and whose chains go on; the array lives as long as they do. */
int pin_offers_gone(struct work *w, const struct offer *const **v_r, size_t *n_r);
/* The template of that step: as it was when pin was made. 1; 0: pin says nothing of that step; -1.
 * *t_r NULL with 1: it cannot be made any more, *why_r (the unit's) says why. */
int pin_template(struct work *w, uint64_t pin, unsigned step, const struct template **t_r,
	const char **why_r);

#endif
