/* Metavariables. See metavar.h. */
#include "plugins/offers/metavar.h"

static const struct row {
	const char *word, *from, *doc;
	enum value_type type, of;
} rows[] = {
#define METAVAR(NAME, word, type, of, from, doc) \
	[METAVAR_##NAME] = { word, from, doc, VALUE_##type, VALUE_##of },
#include "plugins/offers/metavar.def"
#undef METAVAR
};

static struct name name_of(enum metavar m)
{
	return (struct name){ rows[m].word, rows[m].type, rows[m].of, METAVAR_SLOT(m),
		rows[m].doc };
}

/* The first field of the trigger that gives it, or NULL. */
static const struct name *field_behind(const struct scope *trigger, enum metavar m)
{
	struct str all = str_of(rows[m].from), one;

	while (trigger && str_cut(&all, '|', &one)) {
		struct str when;
		const struct name *n;

		if (str_index(one, ':') > 0 && str_cut(&one, ':', &when) &&
			!scope_find(trigger, when))
			continue;
		n = scope_find(trigger, one);

		if (n && n->slot < METAVAR_SLOT(0) && n->type == rows[m].type &&
			n->of == rows[m].of)
			return n;
	}
	return NULL;
}

static struct scope *begin(struct arena *a, const struct scope *next, struct name **v_r)
{
	struct scope *s = arena_new_of(a, struct scope);

	*v_r = arena_alloc(a, METAVAR_COUNT * sizeof **v_r);
	*s = (struct scope){ .v = *v_r, .next = next };
	return s;
}

const struct scope *metavar_scope(struct arena *a, const struct scope *next)
{
	struct name *v;
	struct scope *s = begin(a, next, &v);

	for (unsigned m = 0; m < METAVAR_COUNT; m++)
		v[s->n++] = name_of(m);
	return s;
}

const struct scope *metavar_of_trigger(struct arena *a, const struct scope *trigger, unsigned also)
{
	struct name *v;
	struct scope *s = begin(a, trigger, &v);

	for (unsigned m = 0; m < METAVAR_COUNT; m++)
		if ((also & 1u << m) || strcmp(rows[m].from, "*") == 0 || field_behind(trigger, m))
			v[s->n++] = name_of(m);
	return s;
}

static struct value get(const struct source *s, unsigned slot)
{
	const struct metavars *m = (const struct metavars *)s;
	unsigned i = slot - METAVAR_SLOT(0);

	if (slot >= METAVAR_SLOT(0) && i < METAVAR_COUNT) {
		if (m->v[i].type != VALUE_MISSING)
			return m->v[i];
		if (m->behind[i] != METAVAR_NOTHING)
			slot = m->behind[i];
	}
	return m->under ? m->under->get(m->under, slot) : VALUE_NONE;
}

void metavars_init(struct metavars *m, const struct scope *trigger, const struct source *under)
{
	*m = (struct metavars){ .source = { get }, .under = under };
	for (unsigned i = 0; i < METAVAR_COUNT; i++) {
		const struct name *n = field_behind(trigger, i);

		m->behind[i] = n ? n->slot : METAVAR_NOTHING;
	}
}
