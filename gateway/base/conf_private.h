/* What the files of the configuration engine share among themselves. Nobody else includes this.
 *
 *	conf_load.c    files, includes, syntax errors    conf.c        tables walked over trees
 *	conf_value.c   single values                     conf_hint.c   what a syntax error means
 *	conf_fault.c   faults                            conf_table.c  are the tables sound
 *	conf_equal.c   comparing for a reload            conf_doc.c    defaults and manual
 *	conf_each.c    all structs of one table
 */
#ifndef POSTERN_BASE_CONF_PRIVATE_H
#define POSTERN_BASE_CONF_PRIVATE_H

#include "gateway/base/conf.h"

#include <libconfig.h>

enum { CONF_ROWS_MOST = 192, CONF_DEPTH_MOST = 12 };

/* One file and its tree. The tree comes first: a setting's ->config leads back here. */
struct conf_file {
	config_t cfg;
	const char *path;
	bool world_readable, warned;
};

struct conf_load {
	struct arena *a;
	struct conf_faults *f;
	const char *dir;         /* relative paths begin here; "" or ends with '/' */
	const char *include_key; /* a key of the root that the loader has used, or NULL */
};

/* A row and the struct that it fills; INLINE rows are opened up, a variant's rows appended. */
struct conf_row {
	const struct conf_item *item;
	char *base;
};
struct conf_rows {
	struct conf_row v[CONF_ROWS_MOST];
	size_t n;
};
void conf_rows_add(struct conf_rows *r, const struct conf_item *table, char *base);

static inline const char *conf_key(const struct conf_item *i)
{
	return i->as ? i->as : i->key;
}
static inline struct conf_file *conf_file_of(const config_setting_t *s)
{
	return (struct conf_file *)s->config;
}
/* Has the row a key in the file at all? */
static inline bool conf_has_key(const struct conf_item *i)
{
	return i->kind != CONF_K_KEYNAME && i->kind != CONF_K_WHERE && i->kind != CONF_K_CHECK &&
	       !(i->flags & CONF_REST);
}
static inline bool conf_is_many(const struct conf_item *i)
{
	return i->kind == CONF_K_LIST || i->kind == CONF_K_NAMED;
}
static inline size_t *conf_count(const struct conf_item *i, char *base)
{
	return (size_t *)(void *)(base + i->at2 - 1);
}
/* The pointer that a row's field holds (text, array, variant). */
static inline void *conf_ptr(const char *base, size_t at)
{
	void *p;

	memcpy(&p, base + at, sizeof p);
	return p;
}
static inline void conf_set_ptr(char *base, size_t at, const void *p)
{
	memcpy(base + at, &p, sizeof p);
}
static inline const char *conf_text(const char *base, const struct conf_item *i)
{
	return conf_ptr(base, i->at);
}
int64_t conf_get_int(const char *base, size_t at, enum conf_ctype c);

/* conf.c: fills *out from groups of the same meaning (the roots of all files). */
void conf_fill(struct conf_load *l, const struct conf_item *table, void *out,
	config_setting_t **sets, size_t n, const char *file);
/* The row that names a list's elements (UNIQUE or KEYNAME) and its offset, or NULL. */
const struct conf_item *conf_name_row(const struct conf_item *table, size_t *at_r);
/* Finds a variant by its word. */
bool conf_variant_find(conf_variant_fn *fn, const char *word, struct conf_variant *v_r);

/* conf_value.c */
void conf_default(struct conf_load *l, const struct conf_item *i, char *base);
void conf_value(struct conf_load *l, const struct conf_item *i, char *base, config_setting_t *s,
	const char *label);
void conf_secret_file(struct conf_load *l, const struct conf_item *i, char *base,
	config_setting_t *s, const char *label);
/* The text of a scalar for a CONF_MAP, or NULL after a fault. */
const char *conf_pair_value(
	struct conf_load *l, const struct conf_item *i, config_setting_t *s, const char *label);
/* Says `"key" in LABEL: …` at the setting. */
void conf_fault_setting(struct conf_load *l, const config_setting_t *s, const char *label,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void conf_wrong_type(struct conf_load *l, const config_setting_t *s, const char *label,
	const char *wanted, bool secret);
/* Adds `; did you mean "x"?`, or, when nothing is near and all is set, `; it takes "x", "y"`. */
void conf_suggest(struct buf *b, const char *word, const char *const *known, size_t n, bool all);

/* conf_fault.c: makes the file known, so that its faults come in the order of reading. */
size_t conf_faults_file(struct conf_faults *f, const char *file);
/* The line that stands for `KEY_file` in marks and messages. */
static inline const char *conf_file_key(struct arena *a, const struct conf_item *i)
{
	return arena_printf(a, "%s_file", conf_key(i));
}

/* conf_hint.c: where the text first breaks libconfig's grammar, and in what way; false when it
 * finds nothing wrong. And the line of an @include, or 0. */
bool conf_hint(struct str text, unsigned *line_r, struct buf *why);
/* What libconfig takes from 1.7 on and 1.5 does not, in a text that parses: a comma before a
 * closing bracket, 0b1. It is refused everywhere, so that a file of one machine is one of all. */
bool conf_newer(struct str text, unsigned *line_r, struct buf *why);
unsigned conf_find_include(struct str text);

#endif
