/* Are the tables sound? What the compiler cannot see is seen here, when a table is first loaded and
 * in the unit test beside it. See conf_table_check() in conf.h.
 */
#include "gateway/base/conf_private.h"

#include <math.h>

static int check_table(const struct conf_item *table, size_t size, unsigned depth, struct err *e);

static int64_t most_of(enum conf_ctype c)
{
	return c == CONF_C_U8     ? UINT8_MAX
	       : c == CONF_C_U16  ? UINT16_MAX
	       : c == CONF_C_INT  ? INT32_MAX
	       : c == CONF_C_UINT ? UINT32_MAX
				  : INT64_MAX;
}
static int64_t least_of(enum conf_ctype c)
{
	return c == CONF_C_INT ? INT32_MIN : c == CONF_C_I64 ? INT64_MIN : 0;
}

static int check_measure(const struct conf_item *i, struct err *e)
{
	int (*parse)(struct str, int64_t *, const char **) =
		i->kind == CONF_K_SIZE ? conf_parse_size : conf_parse_duration;
	int64_t lo = 0, hi = most_of(i->ctype), v = 0;
	const char *why;

	if (i->text_min && parse(str_of(i->text_min), &lo, &why))
		return err_set(e, ERR_CONF, "%s: least value: %s", conf_key(i), why);
	if (i->text_max && parse(str_of(i->text_max), &hi, &why))
		return err_set(e, ERR_CONF, "%s: greatest value: %s", conf_key(i), why);
	if (i->text && parse(str_of(i->text), &v, &why))
		return err_set(e, ERR_CONF, "%s: default: %s", conf_key(i), why);
	if (lo > hi || hi > most_of(i->ctype))
		return err_set(e, ERR_CONF, "%s: limits that cannot be", conf_key(i));
	if (!(i->flags & CONF_REQUIRED) && i->text && (v < lo || v > hi))
		return err_set(e, ERR_CONF, "%s: the default is out of range", conf_key(i));
	return 0;
}

static int check_words(const struct conf_item *i, struct err *e)
{
	int64_t all = 0;

	if (!i->words || !i->words->word)
		return err_set(e, ERR_CONF, "%s: no words", conf_key(i));
	for (const struct conf_word *w = i->words; w->word; w++)
		all |= w->value;
	if (i->kind == CONF_K_ENUM && !(i->flags & CONF_REQUIRED) &&
		!conf_word_of(i->words, (int)i->def))
		return err_set(e, ERR_CONF, "%s: the default is no word", conf_key(i));
	if (i->kind == CONF_K_FLAGS && (i->def & ~all))
		return err_set(e, ERR_CONF, "%s: the default has more than the words", conf_key(i));
	return 0;
}

static int check_value(const struct conf_item *i, struct err *e)
{
	bool required = i->flags & CONF_REQUIRED;
	struct err why = { 0 };

	switch (i->kind) {
	case CONF_K_INT:
		if (i->min > i->max || i->max > most_of(i->ctype) || i->min < least_of(i->ctype))
			return err_set(
				e, ERR_CONF, "%s: limits that its C type cannot hold", conf_key(i));
		if (!required && (i->def < i->min || i->def > i->max))
			return err_set(e, ERR_CONF, "%s: the default is out of range", conf_key(i));
		return 0;
	case CONF_K_REAL:
		if (!required && !(i->real_def >= i->real_min && i->real_def <= i->real_max))
			return err_set(e, ERR_CONF, "%s: the default is out of range", conf_key(i));
		return 0;
	case CONF_K_DURATION:
	case CONF_K_SIZE:
		return check_measure(i, e);
	case CONF_K_ENUM:
	case CONF_K_FLAGS:
		return check_words(i, e);
	case CONF_K_STR:
		if (i->text && i->check && i->check(str_of(i->text), &why))
			return err_set(e, ERR_CONF, "%s: default: %s", conf_key(i), why.text);
		return 0;
	default:
		return 0;
	}
}

static int check_row(const struct conf_item *i, size_t size, unsigned depth, struct err *e)
{
	const char *key = conf_key(i);

	if (i->of != size)
		return err_set(e, ERR_CONF, "%s: a row of a struct of %zu bytes, not of %zu", key,
			i->of, size);
	if (conf_has_key(i) && i->kind != CONF_K_INLINE && (!i->doc || !i->doc[0]))
		return err_set(e, ERR_CONF, "%s: not documented", key);
	if ((i->flags & CONF_REST) && i->kind != CONF_K_MAP && i->kind != CONF_K_NAMED)
		return err_set(e, ERR_CONF, "%s: only a map or named groups take the rest", key);
	if ((i->flags & CONF_UNIQUE) && i->kind != CONF_K_STR)
		return err_set(e, ERR_CONF, "%s: only text can be unique", key);
	if (i->table && check_table(i->table, i->size, depth + 1, e))
		return err_wrap(e, "%s", key);
	return check_value(i, e);
}

/* No key may stand for two rows; nor more than one row take the rest. */
static int check_keys(const struct conf_rows *rows, struct err *e)
{
	unsigned rest = 0;

	for (size_t i = 0; i < rows->n; i++) {
		const struct conf_item *a = rows->v[i].item;
		size_t n = strlen(conf_key(a));

		rest += (a->flags & CONF_REST) != 0;
		for (size_t j = 0; conf_has_key(a) && j < rows->n; j++) {
			const char *other = conf_key(rows->v[j].item);

			if (i == j || !conf_has_key(rows->v[j].item))
				continue;
			if (strcmp(conf_key(a), other) == 0 ||
				(a->kind == CONF_K_SECRET && strncmp(conf_key(a), other, n) == 0 &&
					strcmp(other + n, "_file") == 0))
				return err_set(e, ERR_CONF, "%s: a key of two rows", other);
		}
	}
	return rest > 1 ? err_set(e, ERR_CONF, "two rows take the rest of the keys") : 0;
}

static int check_variants(
	const struct conf_item *i, const struct conf_rows *common, unsigned depth, struct err *e)
{
	struct conf_variant v;

	for (size_t k = 0; i->variants(k, &v); k++) {
		struct conf_rows rows = *common;

		if (!v.table)
			continue;
		conf_rows_add(&rows, v.table, NULL);
		if (check_table(v.table, v.size, depth + 1, e) || check_keys(&rows, e))
			return err_wrap(e, "%s \"%s\"", conf_key(i), v.word);
	}
	if (i->text && !conf_variant_find(i->variants, i->text, &v))
		return err_set(
			e, ERR_CONF, "%s: the default \"%s\" is no variant", conf_key(i), i->text);
	return 0;
}

static int check_table(const struct conf_item *table, size_t size, unsigned depth, struct err *e)
{
	struct conf_rows rows = { .n = 0 };

	if (depth > CONF_DEPTH_MOST) /* a table within itself: its first rounds tell all */
		return 0;
	for (const struct conf_item *i = table; i->kind != CONF_K_END; i++)
		if (check_row(i, size, depth, e))
			return -1;
	conf_rows_add(&rows, table, NULL);
	if (check_keys(&rows, e))
		return -1;
	for (size_t i = 0; i < rows.n; i++)
		if (rows.v[i].item->kind == CONF_K_VARIANT &&
			check_variants(rows.v[i].item, &rows, depth, e))
			return -1;
	return 0;
}

int conf_table_check(const struct conf_item *table, size_t size, struct err *e)
{
	return check_table(table, size, 0, e);
}
