/* Two loaded configurations compared by their tables: what a reload may leave alone, and the names
 * of what it would change. Values are never shown, so secrets are safe here. See conf.h.
 */
#include "gateway/base/conf_private.h"

/* With a buffer every difference is told; without one the first ends the walk. */
struct diff {
	struct buf *out;
	bool differs;
};

static void diff_table(struct diff *d, const struct conf_item *table, const char *a, const char *b,
	const char *path);

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void say(struct diff *d, const char *what, const char *path, const char *key)
{
	d->differs = true;
	if (d->out)
		buf_printf(d->out, "%s %s%s%s\n", what, path, path[0] && key[0] ? "." : "", key);
}

static size_t count_of(const struct conf_item *i, const char *base)
{
	size_t n;

	memcpy(&n, base + i->at2 - 1, sizeof n);
	return n;
}

static bool same_texts(const struct conf_item *i, const char *a, const char *b)
{
	const char **va = conf_ptr(a, i->at), **vb = conf_ptr(b, i->at);
	size_t n = count_of(i, a);

	if (n != count_of(i, b))
		return false;
	for (size_t k = 0; k < n; k++)
		if (!same_text(va[k], vb[k]))
			return false;
	return true;
}

static bool same_pairs(const struct conf_item *i, const char *a, const char *b)
{
	const struct conf_pair *va = conf_ptr(a, i->at), *vb = conf_ptr(b, i->at);
	size_t n = count_of(i, a);

	if (n != count_of(i, b))
		return false;
	for (size_t k = 0; k < n; k++)
		if (!same_text(va[k].key, vb[k].key) || !same_text(va[k].value, vb[k].value))
			return false;
	return true;
}

static const char *name_at(const char *array, size_t k, size_t size, size_t at)
{
	const char *name = conf_ptr(array + k * size, at);

	return name ? name : "";
}

/* Lists whose elements have names: by name, and order counts as a change of the list itself. */
static void diff_named(struct diff *d, const struct conf_item *i, const char *a, const char *b,
	size_t at, const char *path)
{
	const char *va = conf_ptr(a, i->at), *vb = conf_ptr(b, i->at);
	size_t na = count_of(i, a), nb = count_of(i, b), last = 0;
	bool moved = false;
	struct buf p = BUF_INIT;

	for (size_t k = 0; k < na + nb && (d->out || !d->differs); k++) {
		bool old = k < na;
		const char *name =
			old ? name_at(va, k, i->size, at) : name_at(vb, k - na, i->size, at);
		const char *other = old ? vb : va;
		size_t n = old ? nb : na, j = 0, same = old ? k : k - na;

		/* Mostly it stands where it stood. */
		if (same < n && strcmp(name_at(other, same, i->size, at), name) == 0)
			j = same;
		while (j < n && strcmp(name_at(other, j, i->size, at), name) != 0)
			j++;
		buf_reset(&p);
		buf_printf(&p, "%s%s%s[\"%s\"]", path, path[0] ? "." : "", conf_key(i), name);
		if (j == n)
			say(d, old ? "removed" : "added", buf_cstr(&p), "");
		else if (old)
			diff_table(d, i->table, va + k * i->size, vb + j * i->size, buf_cstr(&p));
		if (old && j < n) {
			moved |= j < last;
			last = j;
		}
	}
	if (moved)
		say(d, "reordered", path, conf_key(i));
	buf_free(&p);
}

static void diff_list(
	struct diff *d, const struct conf_item *i, const char *a, const char *b, const char *path)
{
	const char *va = conf_ptr(a, i->at), *vb = conf_ptr(b, i->at);
	size_t na = count_of(i, a), nb = count_of(i, b), at;
	struct buf p = BUF_INIT;

	if (conf_name_row(i->table, &at)) {
		diff_named(d, i, a, b, at, path);
		return;
	}
	for (size_t k = 0; (k < na || k < nb) && (d->out || !d->differs); k++) {
		buf_reset(&p);
		buf_printf(&p, "%s%s%s[%zu]", path, path[0] ? "." : "", conf_key(i), k);
		if (k < na && k < nb)
			diff_table(d, i->table, va + k * i->size, vb + k * i->size, buf_cstr(&p));
		else
			say(d, k < na ? "removed" : "added", buf_cstr(&p), "");
	}
	buf_free(&p);
}

static void diff_variant(
	struct diff *d, const struct conf_item *i, const char *a, const char *b, const char *path)
{
	const char *word = conf_text(a, i);
	const char *sa = conf_ptr(a, i->at2 - 1), *sb = conf_ptr(b, i->at2 - 1);
	struct conf_variant v;

	if (!same_text(word, conf_text(b, i)))
		say(d, "changed", path, conf_key(i));
	else if (sa && sb && conf_variant_find(i->variants, word, &v))
		diff_table(d, v.table, sa, sb, path);
}

static void diff_group(
	struct diff *d, const struct conf_item *i, const char *a, const char *b, const char *path)
{
	struct buf p = BUF_INIT;
	bool ga = false, gb = false;

	buf_printf(&p, "%s%s%s", path, path[0] ? "." : "", conf_key(i));
	if (i->at2) {
		memcpy(&ga, a + i->at2 - 1, sizeof ga);
		memcpy(&gb, b + i->at2 - 1, sizeof gb);
	}
	if (ga != gb)
		say(d, ga ? "removed" : "added", buf_cstr(&p), "");
	else
		diff_table(d, i->table, a + i->at, b + i->at, buf_cstr(&p));
	buf_free(&p);
}

/* The path, and with CONF_FILE what stood there. */
static bool same_path(const struct conf_item *i, const char *a, const char *b)
{
	return same_text(conf_text(a, i), conf_text(b, i)) &&
	       (!i->at2 || memcmp(a + i->at2 - 1, b + i->at2 - 1, sizeof(uint64_t)) == 0);
}

static bool same_value(const struct conf_item *i, const char *a, const char *b)
{
	switch (i->kind) {
	case CONF_K_INT:
	case CONF_K_ENUM:
	case CONF_K_FLAGS:
	case CONF_K_DURATION:
	case CONF_K_SIZE:
		return conf_get_int(a, i->at, i->ctype) == conf_get_int(b, i->at, i->ctype);
	case CONF_K_BOOL:
		return memcmp(a + i->at, b + i->at, sizeof(bool)) == 0;
	case CONF_K_REAL:
		return memcmp(a + i->at, b + i->at, sizeof(double)) == 0;
	case CONF_K_PATH:
		return same_path(i, a, b);
	case CONF_K_STR:
	case CONF_K_SECRET:
	case CONF_K_KEYNAME:
		return same_text(conf_text(a, i), conf_text(b, i));
	case CONF_K_STRS:
		return same_texts(i, a, b);
	case CONF_K_MAP:
		return same_pairs(i, a, b);
	default:
		return true;
	}
}

static void diff_table(struct diff *d, const struct conf_item *table, const char *a, const char *b,
	const char *path)
{
	for (const struct conf_item *i = table; i->kind != CONF_K_END; i++) {
		if (d->differs && !d->out)
			return;
		switch (i->kind) {
		case CONF_K_INLINE:
			diff_table(d, i->table, a + i->at, b + i->at, path);
			break;
		case CONF_K_GROUP:
			diff_group(d, i, a, b, path);
			break;
		case CONF_K_LIST:
		case CONF_K_NAMED:
			diff_list(d, i, a, b, path);
			break;
		case CONF_K_VARIANT:
			diff_variant(d, i, a, b, path);
			break;
		default:
			if (!same_value(i, a, b))
				say(d, "changed", path, conf_key(i));
		}
	}
}

bool conf_equal(const struct conf_item *table, const void *a, const void *b)
{
	struct diff d = { 0 };

	diff_table(&d, table, a, b, "");
	return !d.differs;
}

void conf_describe_change(
	const struct conf_item *table, const void *a, const void *b, struct buf *out)
{
	struct diff d = { .out = out };

	diff_table(&d, table, a, b, "");
}
