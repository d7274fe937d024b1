/* Currencies: the virtual ones of the programme, with their names by number and language, and any
 * other code (EUR), which is written as it is. Immutable, in the arena of the load. Any thread.
 */
#ifndef POSTERN_PLUGINS_OFFERS_CURRENCY_H
#define POSTERN_PLUGINS_OFFERS_CURRENCY_H

#include "plugins/offers/plural.h"

struct currencies;
struct currency;

/* Faults: a language's forms that are not complete. */
struct currencies *currencies_make(
	const struct currency_conf *v, size_t n, struct arena *a, struct conf_faults *f);
/* By its code, letters' case counts; NULL: not one of the programme's. `all` may be NULL. */
const struct currency *currency_find(const struct currencies *all, struct str code);
const struct currency *currency_near(const struct currencies *all, struct str code);
size_t currencies_count(const struct currencies *all);
const struct currency *currencies_at(const struct currencies *all, size_t i);
const char *currency_code(const struct currency *c);
/* Digits behind the point; 2 for NULL, which is money. */
unsigned currency_decimals(const struct currency *c);
/* "bonus points", for that many of it, as printed with so many decimals. */
struct str currency_name(
	const struct currency *c, struct tongue t, int64_t ten_thousandths, unsigned decimals);
/* "pts"; the code when it has none. */
struct str currency_short(const struct currency *c, struct tongue t);

#endif
