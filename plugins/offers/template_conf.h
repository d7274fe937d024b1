/* What stands in templates.d: templates, currencies, the approvals of social networks, and
 * the till's printer. Plain structs that conf.h's loader fills; template.h compiles them.
 *
 *	templates  = { NAME = { LANGUAGE = { sms = …; email = { … }; … }; limits; missing; samples }
 *}; currencies = { CODE = { one; other; short; decimals; LANGUAGE = { one; few; … }; } };
 *	moderation = { ID = { state; pattern; } };
 *
 * struct texts_conf is their root: load it by itself with texts_rows, or as a CONF_INLINE of a
 * larger root. Names are unique over all files. Any thread.
 */
#ifndef POSTERN_PLUGINS_OFFERS_TEMPLATE_CONF_H
#define POSTERN_PLUGINS_OFFERS_TEMPLATE_CONF_H

#include "gateway/base/conf.h"
#include "gateway/model/message.h"

/* ---- currencies ----------------------------------------------------------------------------- */

enum plural {
	PLURAL_ZERO,
	PLURAL_ONE,
	PLURAL_TWO,
	PLURAL_FEW,
	PLURAL_MANY,
	PLURAL_OTHER,
	PLURAL_COUNT
};

/* A currency's names by plural category; NULL where none was given. */
struct currency_words {
	const char *zero, *one, *two, *few, *many, *other, *brief;
};
struct currency_language_conf {
	const char *language;
	struct conf_where where;
	struct currency_words words;
};
struct currency_conf {
	const char *code;
	struct conf_where where;
	struct currency_words words; /* for languages without their own */
	unsigned decimals;
	struct currency_language_conf *languages;
	size_t languages_n;
};

/* ---- templates ------------------------------------------------------------------------------ */

enum missing_policy { MISSING_SKIP, MISSING_FAIL, MISSING_FALLBACK };
enum sms_alphabet { ALPHABET_ANY, ALPHABET_GSM7_OR_FAIL };
enum over_policy { OVER_FAIL, OVER_SKIP };

struct button_conf {
	const char *text, *url;
};
/* A channel's body other than a bare text. Which keys are allowed is content.h's matrix. */
struct body_conf {
	struct conf_where where;
	const char *subject, *title, *text, *html, *image, *url, *moderated_as;
	struct button_conf button;
	bool has_button;
};
struct language_conf {
	const char *language; /* "en", "pt-BR" */
	struct conf_where where;
	const char *sms, *receipt, *cashier; /* NULL: none */
	struct body_conf email, push, viber, social;
	bool has_email, has_push, has_viber, has_social;
};
struct limits_conf {
	unsigned sms_parts; /* 0: as many as an SMS may have */
	int sms_alphabet;   /* enum sms_alphabet */
	unsigned translit;  /* sum of TRANSLIT_*, under ALPHABET_GSM7_OR_FAIL */
	unsigned push_bytes, viber_chars, social_chars, subject_chars, email_bytes;
	int over; /* enum over_policy */
};
struct sample_conf {
	struct conf_where where;
	struct conf_pair *values; /* Amount = "8"; Member_first_name = "Homer"; */
	size_t values_n;
};
struct template_conf {
	const char *name;
	struct conf_where where;
	const char *language; /* NULL: the first of the languages */
	int missing;          /* enum missing_policy */
	struct limits_conf limits;
	struct sample_conf *samples;
	size_t samples_n;
	struct language_conf *languages;
	size_t languages_n;
};

/* ---- social moderation ---------------------------------------------------------------------- */

enum moderation {
	MODERATION_APPROVED,
	MODERATION_DRAFT,
	MODERATION_SUBMITTED,
	MODERATION_REJECTED,
	MODERATION_REVOKED
};
struct moderation_conf {
	const char *id; /* the network's, as in moderated_as */
	struct conf_where where;
	int state;           /* enum moderation */
	const char *pattern; /* the approved text; NULL: the template's own literal parts */
};

/* ---- the till's printer --------------------------------------------------------------------- */

struct printer_conf {
	unsigned width; /* characters a line */
	unsigned lines; /* of all messages of one answer together */
	const char *code_page;
};
extern const struct conf_item printer_rows[];

struct texts_conf {
	struct template_conf *templates;
	size_t templates_n;
	struct currency_conf *currencies;
	size_t currencies_n;
	struct moderation_conf *moderation;
	size_t moderation_n;
};
extern const struct conf_item texts_rows[];

#endif
