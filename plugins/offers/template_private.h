/* What the files of the template engine share. Nobody else includes this.
 *
 *	template_parse.c   a text into segments        template_load.c    bodies, limits, samples
 *	template_format.c  a value as text             template_render.c  a message's content
 *	template_source.c  versions                    template_html.c    places in HTML
 */
#ifndef POSTERN_PLUGINS_OFFERS_TEMPLATE_PRIVATE_H
#define POSTERN_PLUGINS_OFFERS_TEMPLATE_PRIVATE_H

#include "plugins/offers/escape.h"
#include "plugins/offers/metavar.h"
#include "plugins/offers/template.h"

enum segment_kind {
	SEGMENT_LITERAL,
	SEGMENT_VALUE,
	SEGMENT_CURRENCY, /* the name of a currency for an amount */
	SEGMENT_BALANCE   /* the amount in one currency */
};
enum format {
	FORMAT_PLAIN,
	FORMAT_NUMBER,
	FORMAT_MONEY,
	FORMAT_DATE,
	FORMAT_LONG,
	FORMAT_SHORT,
	FORMAT_TIME,
	FORMAT_PLURAL,
	FORMAT_LIST,
	FORMAT_COUNT
};
enum fold { FOLD_NONE, FOLD_UPPER, FOLD_LOWER, FOLD_FIRST };

struct segment {
	uint8_t kind, format, fold, sink;
	bool html; /* written as it is, for trusted fields */
	bool has_fallback;
	bool in_currency; /* the amount is in the trigger's currency */
	bool skip_zero;
	struct str text;  /* the literal, or the fallback */
	const char *path; /* as the author wrote it */
	unsigned slot;
	enum value_type type, of;
	const struct currency *currency; /* of SEGMENT_BALANCE, or of the amount of CURRENCY */
	struct str code;                 /* its code; empty: the trigger's */
	const char *forms[PLURAL_COUNT]; /* FORMAT_PLURAL */
	struct str between, before_last; /* FORMAT_LIST */
};

struct text {
	struct segment *v;
	size_t n;
	struct tongue tongue;
	const struct currencies *currencies;
	struct str source;
};

/* Where a text stands, for its faults. */
struct text_place {
	const struct conf_where *at;
	const char *key;
	const char *file; /* of its own: faults name its line; NULL: the key's */
	struct conf_faults *f;
};
/* What the compiler is to know of a text. */
struct text_kind {
	enum sink
		sink; /* SINK_TEXT … SINK_HEADER, SINK_LINK for an address, SINK_HTML for a page */
	bool from_html; /* a text alternative: :html is taken, and its tags are dropped */
	bool quiet;     /* its faults have been said already */
};
/* NULL after faults. The source is borrowed. */
struct text *text_parse(struct str source, struct text_kind kind, const char *language,
	const struct template_world *world, struct text_place place, struct arena *a);
/* The name that an author may write for it (Member.x is member.x, Receipt.x is event.x). */
const struct name *text_name(const struct scope *s, struct str path);
void text_names_missing(const struct text *t, const struct scope *trigger, const char *user,
	const struct conf_where *at, const char *key, struct conf_faults *f);
/* Sets the bits of all slots that it reads. */
void text_slots(const struct text *t, uint32_t set[SLOT_MOST / 32]);

/* ---- writing --------------------------------------------------------------------------------- */

struct writer {
	const struct reader *reader;
	enum missing_policy policy;
	struct buf *scratch;
	struct value currency; /* the trigger's, once asked for */
	bool currency_asked;
	enum render_fault fault;
	char *why;
	size_t why_n;
	/* called with each value as it stands in the text; NULL: nobody wants to know */
	void (*seen)(void *ctx, const struct segment *g, struct str written);
	void *ctx;
};
/* Appends the whole text. 0; -1 with w->fault and ->why. */
int text_write(struct buf *b, const struct text *t, struct writer *w);

/* ---- templates ------------------------------------------------------------------------------- */

struct media_texts {
	const struct text *subject, *title, *text, *html, *image, *button_text, *button_url;
	const char *moderated_as;
	const struct moderation_conf *moderation; /* NULL: nothing is said about it */
};
struct language_texts {
	const char *language;
	const struct language_conf *conf;
	unsigned has; /* MEDIA_BITs */
	struct media_texts media[MEDIA_COUNT];
};
struct template
{
	const char *name;
	const struct template_conf *conf;
	const struct template_world *world;
	const struct printer *printer;
	struct language_texts *v;
	size_t n;
	size_t usual; /* index of the language for everybody else */
	unsigned media;
	struct str source;
	char digest[TEMPLATE_DIGEST_SIZE];
	uint32_t slots[SLOT_MOST / 32];
};
struct templates {
	struct template **v;
	size_t n;
	const struct texts_conf *conf;
	const struct template_world *world;
};
/* The body for a medium in a language, or in the nearest that has one. */
const struct language_texts *template_language(
	const struct template *t, enum media media, struct str language);
/* Renders that body, whatever the network says about it now. */
int template_render_in(const struct template *t, const struct language_texts *l, enum media media,
	const struct reader *reader, struct rendering *r);
/* All texts of one medium, ended by NULL. */
enum { MEDIA_TEXTS_MOST = 8 };
void media_texts_list(const struct media_texts *m, const struct text *list_r[MEDIA_TEXTS_MOST]);

/* Writes the source of a template, the files that it names put in: text that conf_load_text()
 * reads with texts_rows. pages: html of each language, empty where there is none. */
void template_write(struct buf *b, const struct template_conf *c, const struct str *pages);
void template_set_digest(struct template *t, struct str source, struct arena *a);

/* Values made up for names of the type, for samples (template_sample.c). */
void template_try_samples(const struct template *t, struct conf_faults *f);

/* Configuration as text: a string with its quotes, and a line `key = "…";`. */
void setting_string(struct buf *b, struct str s);
void setting_put(struct buf *b, const char *key, struct str s);

#endif
