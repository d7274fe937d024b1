/* Names that filters and templates may speak of, with their types. Whoever compiles gives a scope;
 * whoever evaluates gives the values of the slots that were found in it. A scope is immutable while
 * anything compiled with it lives. Any thread.
 */
#ifndef POSTERN_PLUGINS_OFFERS_NAMES_H
#define POSTERN_PLUGINS_OFFERS_NAMES_H

#include "plugins/offers/value.h"

struct name {
	const char *path; /* "event.total", "member.city", "Amount" */
	enum value_type type, of;
	unsigned slot;
	const char *doc; /* for the manual and for suggestions; may be NULL */
};
struct scope {
	const struct name *v; /* in any order */
	size_t n;
	const struct scope *next; /* looked at when nothing fits here */
};
/* Letters' case counts. NULL when there is none. */
const struct name *scope_find(const struct scope *s, struct str path);
/* The nearest name within a few edits, or NULL; for "did you mean". */
const struct name *scope_near(const struct scope *s, struct str path);

/* Slots: ranges by who gives the value. */
enum {
	SLOT_MEMBER = 0,      /* members.def, in its order */
	SLOT_ATTR = 256,      /* declared attributes, in the order of the configuration */
	SLOT_EVENT = 1024,    /* event_attrs.def, in its order */
	SLOT_WORLD = 2048,    /* now, today, offer.* */
	SLOT_TEMPLATE = 3072, /* metavariables: Amount, Discount … */
	SLOT_MOST = 4096
};

/* Where values come from during one evaluation. Texts and lists live until it is over. */
struct source {
	struct value (*get)(const struct source *s, unsigned slot);
};

#endif
