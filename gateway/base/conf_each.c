/* All structs of a loaded configuration that one table has filled, wherever they stand: what
 * accounts there are, behind whatever protocol. See conf.h. */
#include "gateway/base/conf_private.h"

static void each_many(const struct conf_item *i, const char *base, const struct conf_item *table,
	void (*fn)(void *ctx, const void *found), void *ctx)
{
	const char *v = conf_ptr(base, i->at);
	size_t n;

	memcpy(&n, base + i->at2 - 1, sizeof n);
	for (size_t k = 0; k < n; k++)
		conf_each(i->table, v + k * i->size, table, fn, ctx);
}

static void each_variant(const struct conf_item *i, const char *base, const struct conf_item *table,
	void (*fn)(void *ctx, const void *found), void *ctx)
{
	const char *word = conf_text(base, i);
	const void *specific = conf_ptr(base, i->at2 - 1);
	struct conf_variant v;

	if (word && specific && conf_variant_find(i->variants, word, &v) && v.table)
		conf_each(v.table, specific, table, fn, ctx);
}

void conf_each(const struct conf_item *root, const void *conf, const struct conf_item *table,
	void (*fn)(void *ctx, const void *found), void *ctx)
{
	const char *base = conf;

	if (root == table)
		fn(ctx, conf);
	for (const struct conf_item *i = root; i->kind != CONF_K_END; i++) {
		switch (i->kind) {
		case CONF_K_INLINE:
		case CONF_K_GROUP:
			conf_each(i->table, base + i->at, table, fn, ctx);
			break;
		case CONF_K_LIST:
		case CONF_K_NAMED:
			each_many(i, base, table, fn, ctx);
			break;
		case CONF_K_VARIANT:
			each_variant(i, base, table, fn, ctx);
			break;
		default:
			break;
		}
	}
}
