/* What chains under way depend on, of an offer: as a text that can be kept, its number, and the
 * offer made of it again.
 *
 * The text is configuration with what is not a default, so that keys that are added to the program
 * later change no number. What the offer does at once, its filter and its stories are not in it:
 * they are nothing to a chain that has begun.
 */
#include "plugins/offers/chain.h"
#include "plugins/offers/rules_private.h"
#include "plugins/offers/template_private.h"

static bool is_kept(const struct conf_item *row, bool top)
{
	static const char *const others[] = { "was", "only_if", "active", "on_soft", "priority",
		"apply_to_running", "actions", "stories" };

	if (row->kind == CONF_K_WHERE)
		return false;
	for (size_t i = 0; top && i < sizeof others / sizeof *others; i++)
		if (strcmp(row->key, others[i]) == 0)
			return false;
	return true;
}

static void put_rows(struct buf *b, const struct conf_item *rows, const void *conf, bool top);

static void put_texts(struct buf *b, const char *key, const char *const *v, size_t n)
{
	if (!n)
		return;
	buf_printf(b, "%s = [ ", key);
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_c(b, ", ");
		setting_string(b, str_of(v[i]));
	}
	buf_c(b, " ];\n");
}

static void put_list(
	struct buf *b, const char *key, const struct conf_item *row, const char *v, size_t n)
{
	if (!n)
		return;
	buf_printf(b, "%s = (\n", key);
	for (size_t i = 0; i < n; i++) {
		buf_c(b, i ? ", {\n" : "{\n");
		put_rows(b, row->table, v + i * row->size, false);
		buf_c(b, "}\n");
	}
	buf_c(b, ");\n");
}

static void put_row(struct buf *b, const struct conf_item *row, const void *conf)
{
	const char *at = (const char *)conf + row->at, *key = row->as ? row->as : row->key, *s;
	size_t n =
		row->at2 ? *(const size_t *)(const void *)((const char *)conf + row->at2 - 1) : 0;
	const void *field = at;
	int v;

	switch (row->kind) {
	case CONF_K_STR:
		s = *(const char *const *)field;
		if (s && (!row->text || strcmp(s, row->text) != 0))
			setting_put(b, key, str_of(s));
		break;
	case CONF_K_BOOL:
		if (*(const bool *)field != (bool)row->def)
			buf_printf(b, "%s = %s;\n", key, row->def ? "false" : "true");
		break;
	case CONF_K_INT:
		v = *(const int *)field;
		if (v != (int)row->def)
			buf_printf(b, "%s = %d;\n", key, v);
		break;
	case CONF_K_ENUM:
		v = *(const int *)field;
		if (v != (int)row->def)
			setting_put(b, key, str_of(conf_word_of(row->words, v)));
		break;
	case CONF_K_STRS:
		put_texts(b, key, *(const char *const *const *)field, n);
		break;
	case CONF_K_GROUP:
		buf_printf(b, "%s = {\n", key);
		put_rows(b, row->table, at, false);
		buf_c(b, "};\n");
		break;
	case CONF_K_LIST:
		put_list(b, key, row, *(const char *const *)field, n);
		break;
	default:
		CHECK(!"a kind of row that offers do not have");
	}
}

static void put_rows(struct buf *b, const struct conf_item *rows, const void *conf, bool top)
{
	for (; rows->kind != CONF_K_END; rows++)
		if (is_kept(rows, top))
			put_row(b, rows, conf);
}

void offer_write(struct buf *b, const struct offer_conf *c)
{
	buf_c(b, "offer = {\n");
	put_rows(b, offer_rows, c, true);
	buf_c(b, "};\n");
}

uint64_t offer_version(const struct offer_conf *c)
{
	struct buf b = BUF_INIT;
	uint64_t h = UINT64_C(14695981039346656037);

	offer_write(&b, c);
	for (size_t i = 0; i < b.n; i++)
		h = (h ^ (unsigned char)b.p[i]) * UINT64_C(1099511628211);
	buf_free(&b);
	return h >> 1; /* fits a signed column */
}

const struct offer *offer_restore(
	const struct rules *now, uint32_t number, struct str text, struct arena *a, struct err *e)
{
	struct rules *r = arena_new_of(a, struct rules);
	struct offer *o = arena_new_of(a, struct offer);
	struct conf_faults f = { 0 };
	struct rules_conf *conf;
	void *out;

	/* what it is made against is the present, what is made of it is the arena's */
	*r = (struct rules){ .arena = a,
		.dir = now->dir,
		.conf = now->conf,
		.counters = now->counters,
		.counters_n = now->counters_n,
		.audiences = now->audiences,
		.audiences_n = now->audiences_n,
		.templates = now->templates,
		.member_scope = now->member_scope,
		.currencies = now->currencies,
		.printer = now->printer,
		.attributes = now->attributes,
		.attributes_n = now->attributes_n,
		.zone = now->zone,
		.country = now->country,
		.max_lateness = now->max_lateness,
		.settle = now->settle,
		.expires = now->expires,
		.media = now->media };
	if (conf_load_text("offer", text, rules_rows, sizeof *conf, a, &out, &f) == 0) {
		conf = out;
		if (conf->offers_n == 1)
			rules_make_offer(r, o, &conf->offers[0], NULL, &f);
	}
	if (f.errors || !o->conf) {
		err_set(e, ERR_CONF, "%s", f.n ? f.v[0].text : "not an offer");
		o = NULL;
	} else {
		o->number = number;
	}
	conf_faults_free(&f);
	return o;
}
