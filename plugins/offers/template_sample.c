/* Samples: given and made-up values, and all texts rendered with them when a configuration is
 * loaded. See template_sample.h.
 */
#include "plugins/offers/template_sample.h"

#include "gateway/model/gsm7.h"
#include "gateway/model/unicode.h"
#include "plugins/offers/template_private.h"

/* ---- values made up ------------------------------------------------------------------------- */

static const struct name *name_of_slot(const struct scope *s, unsigned slot)
{
	for (; s; s = s->next)
		for (size_t i = 0; i < s->n; i++)
			if (s->v[i].slot == slot)
				return &s->v[i];
	return NULL;
}

static struct str usual_currency(const struct sample *s)
{
	return currencies_count(s->currencies)
		       ? str_of(currency_code(currencies_at(s->currencies, 0)))
		       : STR("EUR");
}

static struct value make_list(const struct sample *s, unsigned slot)
{
	size_t n = currencies_count(s->currencies);
	struct value *v = arena_alloc(s->a, (n + 1) * sizeof *v);
	bool balances = slot == METAVAR_SLOT(METAVAR_BALANCES);

	if (!balances || !n) {
		v[0] = value_text(balances ? STR("100 EUR") : STR("example"));
		n = 1;
	} else {
		for (size_t i = 0; i < n; i++)
			v[i] = value_text(str_of(arena_printf(
				s->a, "300 %s", currency_code(currencies_at(s->currencies, i)))));
	}
	return (struct value){ .type = VALUE_LIST, .of = VALUE_TEXT, .list = { v, n } };
}

static struct value make_text(const struct sample *s, const struct name *n)
{
	bool link = (s->links && (s->links[n->slot / 32] & 1u << n->slot % 32)) ||
		    n->slot == METAVAR_SLOT(METAVAR_UNSUBSCRIBE) ||
		    n->slot == METAVAR_SLOT(METAVAR_PROGRAM_URL);

	if (n->slot == METAVAR_SLOT(METAVAR_CURRENCY))
		return value_text(usual_currency(s));
	return value_text(link ? STR("https://example.com/12345678") : STR("Example"));
}

static struct value make_up(const struct sample *s, unsigned slot)
{
	const struct name *n = name_of_slot(s->scope, slot);
	struct value v = VALUE_NONE;

	switch (n ? n->type : VALUE_MISSING) {
	case VALUE_TEXT:
		return make_text(s, n);
	case VALUE_INT:
		return value_int(2);
	case VALUE_DECIMAL:
		return value_decimal(100 * DECIMAL_ONE);
	case VALUE_BOOL:
		return value_bool(true);
	case VALUE_DATE:
		return value_date(date_of_civil(2026, 9, 23));
	case VALUE_DATETIME:
		return value_datetime(date_of_civil(2026, 9, 23) * DUR_DAY + 20 * DUR_HOUR);
	case VALUE_TIME:
		v.type = VALUE_TIME;
		v.i = 20 * DUR_HOUR;
		return v;
	case VALUE_LIST:
		return make_list(s, slot);
	default:
		return v;
	}
}

static struct value get(const struct source *src, unsigned slot)
{
	const struct sample *s = (const struct sample *)src;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].slot == slot)
			return s->v[i].v;
	return s->make_up ? make_up(s, slot) : VALUE_NONE;
}

void sample_init(
	struct sample *s, const struct template_world *world, struct arena *a, bool make_up_rest)
{
	memset(s, 0, sizeof *s);
	s->source.get = get;
	s->scope = world->scope;
	s->currencies = world->currencies;
	s->a = a;
	s->make_up = make_up_rest;
}

/* ---- values given --------------------------------------------------------------------------- */

/* Member_first_name is Member.first_name: some underscore stands for the dot. */
static const struct name *find_name(const struct scope *scope, struct str key)
{
	const struct name *n = text_name(scope, key);
	char path[100];

	if (n || key.n >= sizeof path)
		return n;
	str_copy(path, sizeof path, key);
	for (size_t i = 0; i < key.n && !n; i++) {
		if (path[i] != '_')
			continue;
		path[i] = '.';
		n = text_name(scope, str_n(path, key.n));
		path[i] = '_';
	}
	return n;
}

static bool read_scalar(struct sample *s, enum value_type type, struct str text, struct value *v)
{
	v->type = type;
	switch (type) {
	case VALUE_TEXT:
		v->s = arena_str(s->a, text);
		return true;
	case VALUE_INT:
		return str_i64(text, &v->i);
	case VALUE_DECIMAL:
		return decimal_parse(text, &v->i);
	case VALUE_DATE:
		return date_parse(text, &v->i);
	case VALUE_TIME:
		return time_of_day_parse(text, &v->i);
	case VALUE_DATETIME:
		if (date_parse(text, &v->i)) {
			v->i *= DUR_DAY;
			return true;
		}
		return clock_parse_rfc3339(text, &v->i);
	case VALUE_BOOL:
		v->b = str_is(text, "true");
		return v->b || str_is(text, "false");
	default:
		return false;
	}
}

static bool read_list(struct sample *s, enum value_type of, struct str text, struct value *v)
{
	struct value *list;
	struct str part;
	size_t most = 1;

	for (size_t i = 0; i < text.n; i++)
		most += text.p[i] == ',';
	list = arena_alloc(s->a, most * sizeof *list);
	*v = (struct value){ .type = VALUE_LIST, .of = of, .list = { list, 0 } };
	while (str_cut(&text, ',', &part))
		if (!read_scalar(s, of, str_trim(part), &list[v->list.n++]))
			return false;
	return true;
}

int sample_set(struct sample *s, struct str name, struct str value, struct err *e)
{
	const struct name *n = find_name(s->scope, name), *near;
	struct value v = VALUE_NONE;

	if (!n) {
		near = scope_near(s->scope, name);
		return err_set(e, ERR_CONF, "unknown name \"%.*s\"%s%s%s", STR_ARG(name),
			near ? "; did you mean \"" : "", near ? near->path : "", near ? "\"?" : "");
	}
	if (s->n == SAMPLE_MOST)
		return err_set(e, ERR_CONF, "more than %d values", SAMPLE_MOST);
	if (str_trim(value).n) {
		bool good = n->type == VALUE_LIST ? read_list(s, n->of, value, &v)
						  : read_scalar(s, n->type, value, &v);
		if (!good)
			return err_set(e, ERR_CONF, "\"%.*s\" is not a value of %s, which is a %s",
				STR_ARG(value), n->path, value_type_word(n->type));
	}
	s->v[s->n].slot = n->slot;
	s->v[s->n++].v = v;
	return 0;
}

/* ---- when a configuration is loaded --------------------------------------------------------- */

static void note_links(const struct template *t, uint32_t *links)
{
	const struct text *list[MEDIA_TEXTS_MOST];

	for (size_t i = 0; i < t->n; i++)
		for (unsigned m = 0; m < MEDIA_COUNT; m++) {
			media_texts_list(&t->v[i].media[m], list);
			for (const struct text **x = list; *x; x++)
				for (size_t k = 0; k < (*x)->n; k++) {
					const struct segment *g = &(*x)->v[k];

					if (g->kind == SEGMENT_VALUE &&
						(g->sink == SINK_LINK || g->sink == SINK_LINK_ATTR))
						links[g->slot / 32] |= 1u << g->slot % 32;
				}
		}
}

/* A few characters that make a whole SMS UCS-2, and longer by that, are seldom meant. */
static void warn_costly(const struct rendering *r, const struct language_texts *v,
	const struct conf_where *at, struct conf_faults *f)
{
	static const struct text_options usual = { 0 };
	struct str s = rendering_get(r, FIELD_TEXT);
	struct buf plain = BUF_INIT, name = BUF_INIT;
	struct text_plan plan;
	size_t all = 0, odd = 0;
	char what[64];
	struct err e = { 0 };
	int32_t c;

	for (; (c = str_utf8_next(&s)) != -1; all++) {
		bool known = c >= 0 && gsm7_code_default((uint32_t)c) != GSM7_NONE;

		odd += !known;
		buf_utf8(&plain, known ? (uint32_t)c : '?');
	}
	if (odd * 4 <= all && text_plan(&plan, buf_view(&plain), &usual, &e) == 0 &&
		plan.parts < r->parts) {
		unicode_describe(r->costly, what, sizeof what);
		buf_utf8(&name, r->costly);
		conf_warn_at(f, at, NULL,
			"sms in the language \"%s\": %u parts because of %s (U+%04X %s); without "
			"such "
			"characters %u",
			v->language, r->parts, buf_cstr(&name), (unsigned)r->costly, what,
			plan.parts);
	}
	buf_free(&plain);
	buf_free(&name);
}

static void try_one(const struct template *t, const struct sample *s, const struct conf_where *at,
	struct rendering *r, struct conf_faults *f)
{
	struct reader reader = { .values = &s->source };

	for (size_t i = 0; i < t->n; i++)
		for (unsigned m = 0; m < MEDIA_COUNT; m++) {
			if (!(t->v[i].has & MEDIA_BIT(m)))
				continue;
			if (!template_render_in(t, &t->v[i], (enum media)m, &reader, r)) {
				if (m == MEDIA_SMS && r->costly)
					warn_costly(r, &t->v[i], at, f);
				continue;
			}
			if (r->fault == RENDER_MISSING || r->fault == RENDER_MISSING_FAIL)
				continue;
			conf_fault_at(f, at, NULL, "%s in the language \"%s\": %s",
				media_word((enum media)m), t->v[i].language, r->why);
		}
}

void template_try_samples(const struct template *t, struct conf_faults *f)
{
	const struct template_conf *c = t->conf;
	struct arena *a = arena_new();
	uint32_t links[SLOT_MOST / 32] = { 0 };
	struct rendering r;
	struct sample s;

	rendering_init(&r);
	note_links(t, links);
	for (size_t i = 0; i < (c->samples_n ? c->samples_n : 1); i++) {
		const struct sample_conf *x = c->samples_n ? &c->samples[i] : NULL;
		bool good = true;
		struct err e = { 0 };

		sample_init(&s, t->world, a, true);
		s.links = links;
		for (size_t k = 0; x && k < x->values_n; k++) {
			const struct conf_pair *p = &x->values[k];

			if (sample_set(&s, str_of(p->key), str_of(p->value), &e) == 0)
				continue;
			conf_fault(f, x->where.file, p->line, "%s: %s", x->where.label, e.text);
			good = false;
		}
		if (good)
			try_one(t, &s, x ? &x->where : &c->where, &r, f);
	}
	rendering_free(&r);
	arena_free(&a);
}
