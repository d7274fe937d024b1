/* Plural categories by language, and how a language writes numbers and dates (after Unicode
 * CLDR 44). Constant tables; any thread.
 */
#ifndef POSTERN_PLUGINS_OFFERS_PLURAL_H
#define POSTERN_PLUGINS_OFFERS_PLURAL_H

#include "plugins/offers/template_conf.h"
#include "plugins/offers/value.h"

const char *plural_word(enum plural p); /* "few" */
bool plural_parse(struct str word, enum plural *p_r);

/* The category of a number as it is printed: with `decimals` digits behind the point, of which the
 * last may be zeros (1.0 is not 1 in English). An unknown language has "other" only. */
enum plural plural_of(struct str language, int64_t ten_thousandths, unsigned decimals);
/* Bits 1 << enum plural: all that the language has, and those that whole numbers up to a million
 * need, which an author must give. */
unsigned plural_all(struct str language);
unsigned plural_needed(struct str language);
/* The form of category p among those given (NULL: not given): its own, or the nearest that will
 * do; NULL when there is none at all. */
const char *plural_pick(const char *const forms[PLURAL_COUNT], enum plural p);

/* How numbers are written. The language's own entry, its base language's ("pt-BR": "pt"), or
 * English. */
struct locale {
	const char *language;
	const char *point, *group; /* UTF-8; a group separator may be a no-break space */
	unsigned group_from;       /* digits of the whole part from which groups are written */
	const char *date_long, *date_medium, *date_short, *time; /* patterns: see locale.def */
	const char *const *months; /* twelve, as they stand within a date */
	const char *const *months_short;
};
const struct locale *locale_find(struct str language);

/* Whole digits grouped or not, rounded half away from zero to `decimals` (0 to 4). */
void locale_put_number(struct buf *b, const struct locale *l, int64_t ten_thousandths,
	unsigned decimals, bool grouped);
enum date_form { DATE_MEDIUM, DATE_LONG, DATE_SHORT };
void locale_put_date(struct buf *b, const struct locale *l, enum date_form form, int64_t day);
void locale_put_time(struct buf *b, const struct locale *l, int64_t ns);

#endif
