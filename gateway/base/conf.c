/* Tables walked over libconfig's trees: every group by its rows, faults for all that is unknown,
 * missing, twice or wrong. A group that is not given is walked too, with no settings: that is what
 * fills the defaults. See conf.h.
 */
#include "gateway/base/conf_private.h"

#include <stdlib.h>

/* The settings that together are one group: one, or the roots of all files, or none. */
struct group {
	config_setting_t **sets;
	size_t n;
	const char *label; /* channels[0] "smsc-a"; "" for the root */
	const char *file;  /* where to say what is missing */
	unsigned line;
	const char *free_key; /* under which it stands in a CONF_NAMED */
};

struct elements {
	struct element {
		config_setting_t *s;
		size_t place; /* in its own list, for the label */
	} * v;
	size_t n, cap;
};

static void load_group(
	struct conf_load *l, const struct conf_item *table, char *out, const struct group *g);

void conf_rows_add(struct conf_rows *r, const struct conf_item *table, char *base)
{
	for (const struct conf_item *i = table; i->kind != CONF_K_END; i++) {
		if (i->kind == CONF_K_INLINE) {
			conf_rows_add(r, i->table, base + i->at);
			continue;
		}
		CHECK(r->n < CONF_ROWS_MOST);
		r->v[r->n++] = (struct conf_row){ i, base };
	}
}

const struct conf_item *conf_name_row(const struct conf_item *table, size_t *at_r)
{
	for (const struct conf_item *i = table; i->kind != CONF_K_END; i++) {
		const struct conf_item *found = NULL;

		*at_r = i->at;
		if (i->kind == CONF_K_KEYNAME || (i->flags & CONF_UNIQUE))
			return i;
		if (i->kind == CONF_K_INLINE)
			found = conf_name_row(i->table, at_r);
		if (found) {
			*at_r += i->at;
			return found;
		}
	}
	return NULL;
}

bool conf_variant_find(conf_variant_fn *fn, const char *word, struct conf_variant *v_r)
{
	for (size_t i = 0; word && fn(i, v_r); i++)
		if (v_r->table && strcmp(v_r->word, word) == 0)
			return true;
	return false;
}

/* ---- keys --------------------------------------------------------------------------------- */

/* The setting of a key; where several files give it and it cannot be joined, the first counts. */
static config_setting_t *find(struct conf_load *l, const struct group *g, const char *key)
{
	config_setting_t *first = NULL;

	for (size_t k = 0; k < g->n; k++) {
		config_setting_t *s = config_setting_get_member(g->sets[k], key);

		if (!s || !first)
			first = first ? first : s;
		else
			conf_fault_setting(l, s, g->label, "is set twice, first at %s:%u",
				conf_file_of(first)->path, first->line);
	}
	return first;
}

static const struct conf_row *row_of_key(const struct conf_rows *rows, const char *key)
{
	size_t n = strlen(key);
	bool file = n > 5 && strcmp(key + n - 5, "_file") == 0;

	for (size_t i = 0; i < rows->n; i++) {
		const struct conf_item *item = rows->v[i].item;
		const char *own = conf_key(item);

		if (!conf_has_key(item))
			continue;
		if (strcmp(own, key) == 0)
			return &rows->v[i];
		if (file && item->kind == CONF_K_SECRET && strlen(own) == n - 5 &&
			memcmp(own, key, n - 5) == 0)
			return &rows->v[i];
	}
	return NULL;
}

static void fault_unknown(struct conf_load *l, const struct conf_rows *rows, const struct group *g,
	const config_setting_t *s)
{
	const char *known[2 * CONF_ROWS_MOST + 1];
	struct buf b = BUF_INIT;
	size_t n = 0;

	for (size_t i = 0; i < rows->n; i++) {
		const struct conf_item *item = rows->v[i].item;

		if (!conf_has_key(item))
			continue;
		known[n++] = conf_key(item);
		if (item->kind == CONF_K_SECRET)
			known[n++] = conf_file_key(l->a, item);
	}
	if (!g->label[0] && l->include_key)
		known[n++] = l->include_key;
	buf_printf(&b, "unknown key \"%s\"", s->name);
	if (g->label[0])
		buf_printf(&b, " in %s", g->label);
	conf_suggest(&b, s->name, known, n, false);
	conf_fault(l->f, conf_file_of(s)->path, s->line, "%s", buf_cstr(&b));
	buf_free(&b);
}

static void add_element(struct elements *e, config_setting_t *s, size_t place)
{
	if (e->n == e->cap) {
		e->cap = e->cap ? e->cap * 2 : 16;
		e->v = mem_grow(e->v, e->cap * sizeof *e->v);
	}
	e->v[e->n++] = (struct element){ s, place };
}

/* The keys that no row has: faults, or gathered for the row that takes the rest. */
static void load_unknown(struct conf_load *l, const struct conf_rows *rows, const struct group *g,
	struct elements *rest)
{
	for (size_t k = 0; k < g->n; k++) {
		int n = config_setting_length(g->sets[k]);

		for (int m = 0; m < n; m++) {
			config_setting_t *s = config_setting_get_elem(g->sets[k], (unsigned)m);

			if (row_of_key(rows, s->name))
				continue;
			if (!g->label[0] && l->include_key && strcmp(s->name, l->include_key) == 0)
				continue;
			if (rest)
				add_element(rest, s, 0);
			else
				fault_unknown(l, rows, g, s);
		}
	}
}

/* ---- lists, groups and maps --------------------------------------------------------------- */

static const char *inner_label(struct conf_load *l, const struct group *g, const char *key)
{
	return arena_printf(l->a, "%s%s%s", g->label, g->label[0] ? "." : "", key);
}

/* channels[0] "smsc-a": by its place in its own file, and its name when it has one. */
static const char *element_label(struct conf_load *l, const struct conf_item *i,
	const struct group *g, config_setting_t *s, size_t place)
{
	const char *list = inner_label(l, g, i->flags & CONF_REST ? "" : conf_key(i)), *name = NULL;
	const config_setting_t *named;
	const struct conf_item *row;
	size_t at;

	if (i->kind == CONF_K_NAMED)
		return inner_label(l, g,
			i->flags & CONF_REST ? s->name
					     : arena_printf(l->a, "%s.%s", conf_key(i), s->name));
	row = conf_name_row(i->table, &at);
	named = row ? config_setting_get_member(s, conf_key(row)) : NULL;
	if (named && named->type == CONFIG_TYPE_STRING && row->kind != CONF_K_SECRET)
		name = named->value.sval;
	return name ? arena_printf(l->a, "%s[%zu] \"%s\"", list, place, name)
		    : arena_printf(l->a, "%s[%zu]", list, place);
}

static void fault_element(struct conf_load *l, const struct conf_item *i, const struct group *g,
	config_setting_t *s, size_t place)
{
	if (i->kind == CONF_K_LIST)
		conf_fault(l->f, conf_file_of(s)->path, s->line, "%s: must be a group { … }",
			element_label(l, i, g, s, place));
	else
		conf_wrong_type(l, s, inner_label(l, g, conf_key(i)), "a group { … }", false);
}

static void add_groups(struct conf_load *l, const struct conf_item *i, const struct group *g,
	config_setting_t *s, struct elements *e)
{
	int n = config_setting_length(s);

	if (i->kind == CONF_K_LIST && s->type == CONFIG_TYPE_GROUP) {
		add_element(e, s, 0);
		return;
	}
	if (s->type == CONFIG_TYPE_ARRAY && n == 0)
		return;
	if (s->type != (i->kind == CONF_K_LIST ? CONFIG_TYPE_LIST : CONFIG_TYPE_GROUP)) {
		conf_wrong_type(l, s, g->label,
			i->kind == CONF_K_LIST ? "a list of groups ( { … }, { … } )"
					       : "a group of groups { name = { … }; }",
			false);
		return;
	}
	for (int m = 0; m < n; m++) {
		config_setting_t *one = config_setting_get_elem(s, (unsigned)m);

		if (one->type == CONFIG_TYPE_GROUP)
			add_element(e, one, (size_t)m);
		else
			fault_element(l, i, g, one, (size_t)m);
	}
}

struct named {
	const char *name;
	const config_setting_t *s;
	size_t place;
};

static int by_name(const void *va, const void *vb)
{
	const struct named *a = va, *b = vb;
	int c = strcmp(a->name, b->name);

	return c ? c : (a->place > b->place) - (a->place < b->place);
}

/* Names must be used once over all files. */
static void check_names(struct conf_load *l, const struct conf_item *i, const char *array,
	const struct elements *e, const struct group *g)
{
	size_t at, n = 0, first = 0;
	const struct conf_item *row = conf_name_row(i->table, &at);
	struct named *v;

	if (!row || e->n < 2)
		return;
	v = mem_alloc(e->n * sizeof *v);
	for (size_t k = 0; k < e->n; k++) {
		const config_setting_t *s = e->v[k].s;
		const char *name = conf_ptr(array + k * i->size, at);

		if (row->kind != CONF_K_KEYNAME)
			s = config_setting_get_member(e->v[k].s, conf_key(row));
		if (name && name[0] && s)
			v[n++] = (struct named){ name, s, k };
	}
	qsort(v, n, sizeof *v, by_name);
	for (size_t k = 1; k < n; k++) {
		if (strcmp(v[first].name, v[k].name) != 0)
			first = k;
		else
			conf_fault(l->f, conf_file_of(v[k].s)->path, v[k].s->line,
				"the name \"%s\" is used twice in %s, first at %s:%u", v[k].name,
				inner_label(l, g, conf_key(i)), conf_file_of(v[first].s)->path,
				v[first].s->line);
	}
	mem_free(&v);
}

/* Makes the array of a LIST or NAMED row from its elements. */
static void load_elements(struct conf_load *l, const struct conf_item *i, char *base,
	const struct group *g, struct elements *e)
{
	char *array = e->n ? arena_alloc(l->a, e->n * i->size) : NULL;

	for (size_t k = 0; k < e->n; k++) {
		config_setting_t *s = e->v[k].s;

		load_group(l, i->table, array + k * i->size,
			&(struct group){ .sets = &s,
				.n = 1,
				.label = element_label(l, i, g, s, e->v[k].place),
				.file = conf_file_of(s)->path,
				.line = s->line,
				.free_key = i->kind == CONF_K_NAMED ? s->name : NULL });
	}
	check_names(l, i, array, e, g);
	conf_set_ptr(base, i->at, array);
	*conf_count(i, base) = e->n;
}

static void load_pairs(struct conf_load *l, const struct conf_item *i, char *base,
	const struct elements *e, const char *label)
{
	struct conf_pair *v = e->n ? arena_alloc(l->a, e->n * sizeof *v) : NULL;
	size_t n = 0;

	for (size_t k = 0; k < e->n; k++) {
		const char *value = conf_pair_value(l, i, e->v[k].s, label);

		if (value)
			v[n++] = (struct conf_pair){ arena_cstr(l->a, str_of(e->v[k].s->name)),
				value, e->v[k].s->line };
	}
	conf_set_ptr(base, i->at, v);
	*conf_count(i, base) = n;
}

static void load_map(struct conf_load *l, const struct conf_item *i, char *base,
	const struct group *g, config_setting_t *s)
{
	struct elements e = { 0 };

	if (s->type != CONFIG_TYPE_GROUP)
		return conf_wrong_type(l, s, g->label, "a group { key = value; … }", false);
	for (int m = 0, n = config_setting_length(s); m < n; m++)
		add_element(&e, config_setting_get_elem(s, (unsigned)m), (size_t)m);
	load_pairs(l, i, base, &e, inner_label(l, g, conf_key(i)));
	mem_free(&e.v);
}

static void load_inner(struct conf_load *l, const struct conf_item *i, char *base,
	const struct group *g, config_setting_t *s)
{
	struct group inner = {
		.label = inner_label(l, g, conf_key(i)), .file = g->file, .line = g->line
	};
	bool given = s != NULL;

	if (s && s->type != CONFIG_TYPE_GROUP) {
		conf_wrong_type(l, s, g->label, "a group { … }", false);
	} else if (s) {
		inner.sets = &s;
		inner.n = 1;
		inner.file = conf_file_of(s)->path;
		inner.line = s->line;
	}
	if (i->at2)
		memcpy(base + i->at2 - 1, &given, sizeof given);
	load_group(l, i->table, base + i->at, &inner);
}

/* ---- one group ---------------------------------------------------------------------------- */

/* The row with the type word: finds the variant, makes its struct, and adds its rows. */
static void load_variant(struct conf_load *l, struct conf_rows *rows, const struct conf_row *row,
	const struct group *g)
{
	const struct conf_item *i = row->item;
	config_setting_t *s = find(l, g, conf_key(i));
	const char *word = i->text, *known[CONF_ROWS_MOST];
	struct buf b = BUF_INIT;
	struct conf_variant v;
	size_t n = 0;

	if (s && s->type != CONFIG_TYPE_STRING)
		return conf_wrong_type(l, s, g->label, "a word in quotes", false);
	if (s)
		word = s->value.sval;
	if (conf_variant_find(i->variants, word, &v)) {
		void *specific = arena_alloc(l->a, v.size);

		conf_set_ptr(row->base, i->at, arena_cstr(l->a, str_of(word)));
		conf_set_ptr(row->base, i->at2 - 1, specific);
		conf_rows_add(rows, v.table, specific);
		return;
	}
	if (!s)
		return; /* missing; said with the other missing ones */
	for (size_t k = 0; i->variants(k, &v) && n < CONF_ROWS_MOST; k++)
		if (v.table)
			known[n++] = v.word;
	buf_printf(&b, "unknown %s \"%s\"", conf_key(i), word);
	conf_suggest(&b, word, known, n, true);
	conf_fault_setting(l, s, g->label, "%s", buf_cstr(&b));
	buf_free(&b);
}

static void load_row(struct conf_load *l, const struct conf_row *row, const struct group *g)
{
	const struct conf_item *i = row->item;
	config_setting_t *s = NULL, *file = NULL;
	struct elements e = { 0 };
	bool given = false;

	if (i->kind == CONF_K_KEYNAME)
		return conf_set_ptr(row->base, i->at,
			g->free_key ? arena_cstr(l->a, str_of(g->free_key)) : NULL);
	if (!conf_has_key(i))
		return;
	if (conf_is_many(i)) {
		for (size_t k = 0; k < g->n; k++) {
			s = config_setting_get_member(g->sets[k], conf_key(i));
			given |= s != NULL;
			if (s)
				add_groups(l, i, g, s, &e);
		}
		load_elements(l, i, row->base, g, &e);
		mem_free(&e.v);
	} else {
		s = find(l, g, conf_key(i));
		given = s != NULL;
		if (i->kind == CONF_K_SECRET && g->n)
			file = find(l, g, conf_file_key(l->a, i));
		if (s && file)
			conf_fault_setting(l, file, g->label,
				"\"%s\" is given too, at %s:%u; keep one", conf_key(i),
				conf_file_of(s)->path, s->line);
		if (i->kind == CONF_K_GROUP)
			load_inner(l, i, row->base, g, s);
		else if (s && i->kind == CONF_K_MAP)
			load_map(l, i, row->base, g, s);
		else if (s && i->kind != CONF_K_VARIANT)
			conf_value(l, i, row->base, s, g->label);
		else if (file)
			conf_secret_file(l, i, row->base, file, g->label);
	}
	/* With a file unread at the root, nobody knows what is missing. */
	if (!given && !file && (i->flags & CONF_REQUIRED) && g->n &&
		(g->label[0] || !l->f->incomplete))
		conf_fault(l->f, g->file, g->line, "\"%s\" is missing%s%s", conf_key(i),
			g->label[0] ? " in " : "", g->label);
}

static struct conf_where where_of(struct conf_load *l, const struct group *g)
{
	struct conf_where at = {
		.file = arena_cstr(l->a, str_of(g->file)), .line = g->line, .label = g->label
	};
	struct conf_mark *marks;
	size_t most = 0;

	for (size_t k = 0; k < g->n; k++)
		most += (size_t)config_setting_length(g->sets[k]);
	at.marks = marks = most ? arena_alloc(l->a, most * sizeof *marks) : NULL;
	for (size_t k = 0; k < g->n; k++) {
		const char *file =
			k || !g->label[0] ? arena_cstr(l->a, str_of(conf_file_of(g->sets[k])->path))
					  : at.file;

		for (int m = 0, n = config_setting_length(g->sets[k]); m < n; m++) {
			config_setting_t *s = config_setting_get_elem(g->sets[k], (unsigned)m);

			marks[at.marks_n++] = (struct conf_mark){ arena_cstr(l->a, str_of(s->name)),
				file, s->line };
		}
	}
	return at;
}

static const struct conf_row *rest_row(const struct conf_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		if (rows->v[i].item->flags & CONF_REST)
			return &rows->v[i];
	return NULL;
}

static void load_rest(struct conf_load *l, const struct conf_rows *rows, const struct group *g)
{
	const struct conf_row *rest = rest_row(rows);
	struct elements e = { 0 }, groups = { 0 };

	load_unknown(l, rows, g, rest ? &e : NULL);
	if (!rest)
		return;
	if (rest->item->kind == CONF_K_MAP) {
		load_pairs(l, rest->item, rest->base, &e, g->label);
	} else {
		for (size_t k = 0; k < e.n; k++) {
			if (e.v[k].s->type == CONFIG_TYPE_GROUP)
				add_element(&groups, e.v[k].s, 0);
			else
				fault_unknown(l, rows, g, e.v[k].s);
		}
		load_elements(l, rest->item, rest->base, g, &groups);
		mem_free(&groups.v);
	}
	mem_free(&e.v);
}

/* Fills the WHERE rows and, when the group's own rows are without fault, calls the checks. */
static void finish_group(
	struct conf_load *l, const struct conf_rows *rows, const struct group *g, bool good)
{
	struct conf_where at = { 0 };

	for (size_t i = 0; i < rows->n; i++) {
		const struct conf_item *item = rows->v[i].item;
		bool check = item->kind == CONF_K_CHECK && good && g->n;

		if (item->kind != CONF_K_WHERE && !check)
			continue;
		if (!at.file)
			at = where_of(l, g);
		if (check)
			item->group_check(rows->v[i].base, &at, l->f);
		else
			memcpy(rows->v[i].base + item->at, &at, sizeof at);
	}
}

static void load_group(
	struct conf_load *l, const struct conf_item *table, char *out, const struct group *g)
{
	size_t before = l->f->errors, common;
	struct conf_rows rows = { .n = 0 };
	bool untyped = false;

	conf_rows_add(&rows, table, out);
	common = rows.n;
	for (size_t i = 0; i < common; i++)
		if (rows.v[i].item->kind == CONF_K_VARIANT) {
			load_variant(l, &rows, &rows.v[i], g);
			untyped |= rows.n == common && !conf_text(rows.v[i].base, rows.v[i].item);
		}
	for (size_t i = 0; i < rows.n; i++)
		if (rows.v[i].item->kind != CONF_K_VARIANT)
			conf_default(l, rows.v[i].item, rows.v[i].base);
	for (size_t i = 0; i < rows.n; i++)
		load_row(l, &rows.v[i], g);
	if (!untyped) /* without its type nobody knows which keys a group may have */
		load_rest(l, &rows, g);
	finish_group(l, &rows, g, l->f->errors == before);
}

void conf_fill(struct conf_load *l, const struct conf_item *table, void *out,
	config_setting_t **sets, size_t n, const char *file)
{
	load_group(l, table, out,
		&(struct group){ .sets = sets, .n = n, .label = "", .file = file, .line = 1 });
}

void *conf_defaults(const struct conf_item *table, size_t size, struct arena *a)
{
	struct conf_faults f = { 0 };
	struct conf_load l = { .a = a, .f = &f, .dir = "" };
	void *out = arena_alloc(a, size);

	conf_fill(&l, table, out, NULL, 0, "");
	CHECK(f.errors == 0);
	conf_faults_free(&f);
	return out;
}
