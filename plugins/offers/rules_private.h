/* Shared by the makers of rules (rules*.c). */
#ifndef POSTERN_PLUGINS_OFFERS_RULES_PRIVATE_H
#define POSTERN_PLUGINS_OFFERS_RULES_PRIVATE_H

#include "plugins/offers/metavar.h"
#include "plugins/offers/db.h"
#include "plugins/offers/rules.h"

/* Everything that follows from r->conf; faults go to f. */
void rules_make(struct rules *r, const char *dir, struct conf_faults *f);

/* A filter with its faults said at the key; NULL: none was written, or it is faulty. */
const struct filter *rules_filter(struct rules *r, const struct scope *scope,
	const struct conf_where *at, const char *key, const char *text, struct conf_faults *f);
/* Names that a filter may speak of on these events: theirs, the member's, the world's. */
const struct scope *rules_trigger(struct rules *r, const enum event_type *t, size_t n);
bool rules_via(const struct rules *r, const char *const *words, size_t n, const char *after,
	const char *user, const struct conf_where *at, struct via *v, struct conf_faults *f);
/* The template called so, with its names and bodies checked against the trigger and the channels.
 */
const struct template *rules_use_template(struct rules *r, const char *name, const struct via *via,
	const struct scope *trigger, unsigned also, const char *user, const struct conf_where *at,
	const char *key, struct conf_faults *f);
/* `; did you mean "x"?`, or what there is when nothing is near; the arena's. */
const char *rules_suggest(struct arena *a, const char *word, const char *const *known, size_t n);
struct window *rules_windows(struct rules *r, const char *const *v, size_t n);
struct span rules_span(const char *text, struct span otherwise); /* checked already */

/* rules_conf.c: equal but for where they stand */
bool offer_conf_same(const struct offer_conf *a, const struct offer_conf *b);
bool task_conf_same(const struct task_conf *a, const struct task_conf *b);
bool general_conf_same(const struct rules_conf *a, const struct rules_conf *b);
extern const struct conf_item *const offer_rows;
/* rules_offer.c */
/* world: what lines of actions are compiled against. */
void rules_make_offer(struct rules *r, struct offer *o, const struct offer_conf *c,
	const struct template_world *world, struct conf_faults *f);
void rules_make_offers(struct rules *r, const struct template_world *world, struct conf_faults *f);
/* rules_task.c */
void rules_make_tasks(struct rules *r, struct conf_faults *f);
void rules_make_mailings(struct rules *r, struct conf_faults *f);

#endif
