/* Templates: texts with metavariables, compiled once when the configuration is loaded, and
 * rendered into the content of a message for one medium in one language.
 *
 *	$Name   ${path:format(args)|fallback}   ${Currency.of(Amount)}   ${Balance(bonus)}   $$
 *
 * Names are typed by a scope; an unknown one is a fault with its place. Rendering is one pass: a
 * value that contains $Amount is text. Every value is written for the sink it lands in (escape.h),
 * which the compiler finds, not the author. A raw token never leaves. Compiled templates are
 * immutable, live in the arena of the load, and may be used by any thread.
 */
#ifndef POSTERN_PLUGINS_OFFERS_TEMPLATE_H
#define POSTERN_PLUGINS_OFFERS_TEMPLATE_H

#include "gateway/model/text.h"
#include "plugins/offers/currency.h"
#include "plugins/offers/names.h"
#include "plugins/offers/printer.h"
#include "plugins/offers/template_conf.h"
#include "plugins/offers/zone.h"

struct text;      /* one compiled text */
struct template;  /* all media and languages of one name */
struct templates; /* all of them */

/* What templates are compiled against. What it points to must live as long as they do. */
struct template_world {
	const struct scope *scope; /* every name that any trigger has: metavar_scope(…) */
	const struct currencies *currencies;
	const struct printer *printer; /* NULL: the usual one */
	const char *dir;               /* "file:…" is relative to the template's own file; to
					   this when it was loaded from text. NULL: "" */
};

/* Compiles all; faults go to f with file, line and column. Samples are rendered in every medium and
 * language. Never NULL: what has faults is left out. */
struct templates *templates_compile(const struct texts_conf *conf,
	const struct template_world *world, struct arena *a, struct conf_faults *f);
const struct template *template_find(const struct templates *all, struct str name);
size_t templates_count(const struct templates *all);
const struct template *templates_at(const struct templates *all, size_t i);

const char *template_name(const struct template *t);
unsigned template_media(const struct template *t); /* MEDIA_BITs that it has in some language */
/* Does any of its texts take its value from that slot? What costs a query need not be fetched. */
bool template_uses(const struct template *t, unsigned slot);

/* The version: HMAC-SHA256, in hex, of the template's source, which includes the files it names.
 * Equal digests render equal. The source can be kept and compiled again later, when the files of
 * the configuration have changed since (template = "at-arm"). */
enum { TEMPLATE_DIGEST_SIZE = 64 };
struct str template_digest(const struct template *t);
struct str template_source(const struct template *t);
/* With the world and the approvals of `now`. NULL and *e when it does not compile any more (a name
 * of the scope is gone). */
const struct template *template_restore(
	const struct templates *now, struct str source, struct arena *a, struct err *e);

/* Faults where the template uses a name that the trigger's scope lacks, unless a fallback stands
 * beside it. `user` says who uses it: "offer come-back, step 2"; the fault is at `at`, `key`. */
void template_check_names(const struct template *t, unsigned media, const struct scope *trigger,
	const char *user, const struct conf_where *at, const char *key, struct conf_faults *f);

/* ---- rendering ------------------------------------------------------------------------------ */

struct reader {
	const struct source *values; /* see metavar.h */
	struct str language;         /* the member's; empty: the template's own */
	const struct zone *zone;     /* NULL: UTC */
};

enum render_fault {
	RENDER_OK,
	RENDER_NO_BODY,      /* nothing for this medium */
	RENDER_MISSING,      /* a value is missing: suppressed, "missing $X" */
	RENDER_MISSING_FAIL, /* the same, and the policy says to fail */
	RENDER_TOO_LONG,     /* over a limit whose policy is to fail */
	RENDER_TOO_LONG_SKIP,
	RENDER_ALPHABET,    /* a character that sms_alphabet does not allow */
	RENDER_UNMODERATED, /* the network has not approved the text, or has revoked it */
	RENDER_CONTENT      /* values made of it what the channel may not carry */
};

/* The content of one message. Made once, used for any number of renderings, each of which
 * overwrites the one before; slices live until the next. */
struct rendering {
	struct buf b, scratch;
	uint32_t at[FIELD_MOST], n[FIELD_MOST];
	enum media media;
	const char *language; /* of the body that was taken */
	/* SMS: */
	unsigned parts;
	enum text_coding coding;
	uint32_t costly; /* the character that forced UCS-2, or 0 */
	/* Receipt and cashier: */
	struct printed printed;
	enum render_fault fault;
	char why[200]; /* "missing $Date"; "3 parts, 2 allowed: “’” (U+2019 …) costs the next" */
};
void rendering_init(struct rendering *r);
void rendering_free(struct rendering *r);
/* 0, or -1 with ->fault and ->why. */
int template_render(const struct template *t, enum media media, const struct reader *reader,
	struct rendering *r);
struct str rendering_get(const struct rendering *r, enum field f);
/* Receipt and cashier: line i of ->printed.n. */
struct str rendering_line(const struct rendering *r, size_t i);
/* Puts the content and the medium into a draft; not the addresses, nor anything else. */
void rendering_put(const struct rendering *r, struct draft *d);

/* ---- texts outside templates: receipt and cashier lines of offers -----------------------------
 */

/* NULL after a fault at `at`, `key`. language NULL: "en". */
const struct text *text_compile(struct str source, enum media media, const char *language,
	const struct template_world *world, const struct conf_where *at, const char *key,
	struct arena *a, struct conf_faults *f);
void text_check_names(const struct text *t, const struct scope *trigger, const char *user,
	const struct conf_where *at, const char *key, struct conf_faults *f);
/* Like template_render(); printer NULL: the world's, for receipt and cashier. */
int text_render(const struct text *t, enum media media, enum missing_policy policy,
	const struct printer *printer, const struct reader *reader, struct rendering *r);

/* What a network has not approved of, by the name that it has there: "revoked" …; NULL: it is
 * approved, or not known. */
const char *template_moderation(const struct templates *all, struct str id);

#endif
