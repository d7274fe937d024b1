/* How a language counts and writes: plural categories, numbers, dates (after Unicode CLDR 48).
 * Constant tables; any thread.
 */
#ifndef POSTERN_PLUGINS_OFFERS_PLURAL_H
#define POSTERN_PLUGINS_OFFERS_PLURAL_H

#include "plugins/offers/template_conf.h"
#include "plugins/offers/value.h"

const char *plural_word(enum plural p); /* "few" */
bool plural_parse(struct str word, enum plural *p_r);

struct plural_rules;
struct locale;
/* Looked up once for each text. An unknown language counts like Chinese (other only) and writes
 * like English. "pt-BR" is "pt" where it has no entry of its own. */
struct tongue {
	const char *language; /* as given to tongue_of(), which must live as long */
	const struct plural_rules *plural;
	const struct locale *locale;
};
struct tongue tongue_of(const char *language);

/* The category of a number as it is printed: with `decimals` digits behind the point, of which the
 * last may be zeros (1.0 is not "one" in English). */
enum plural plural_of(struct tongue t, int64_t ten_thousandths, unsigned decimals);
/* Bits 1 << enum plural: all that the language has, and those that whole numbers need in practice,
 * which an author must give. */
unsigned plural_all(struct tongue t);
unsigned plural_needed(struct tongue t);
/* The form of category p among those given (NULL: not given): its own, or the nearest that will
 * do; NULL when there is none at all. */
const char *plural_pick(const char *const forms[PLURAL_COUNT], enum plural p);

/* Rounded half away from zero to `decimals` (0 to 4). The group separator may be a no-break space
 * (U+00A0). */
void tongue_put_number(
	struct buf *b, struct tongue t, int64_t ten_thousandths, unsigned decimals, bool grouped);
int64_t decimal_round(int64_t ten_thousandths, unsigned decimals);
enum date_form { DATE_MEDIUM, DATE_LONG, DATE_SHORT };
void tongue_put_date(struct buf *b, struct tongue t, enum date_form form, int64_t day);
void tongue_put_time(struct buf *b, struct tongue t, int64_t ns_of_day);

#endif
