/* A small programme for the tests of templates: names, currencies, and templates from text. */
#ifndef POSTERN_PLUGINS_OFFERS_TEMPLATE_FIXTURE_H
#define POSTERN_PLUGINS_OFFERS_TEMPLATE_FIXTURE_H

#include "plugins/offers/metavar.h"
#include "plugins/offers/template.h"
#include "plugins/offers/template_sample.h"

#include <stdio.h>

enum {
	FIX_FIRST = SLOT_MEMBER,
	FIX_FULL,
	FIX_ID,
	FIX_TOTAL = SLOT_EVENT,
	FIX_AMOUNT,
	FIX_DISCOUNT,
	FIX_CURRENCY,
	FIX_AT,
	FIX_NAME = SLOT_WORLD
};

static const struct name fix_names[] = {
	{ "member.first_name", VALUE_TEXT, VALUE_MISSING, FIX_FIRST, NULL },
	{ "member.full_name", VALUE_TEXT, VALUE_MISSING, FIX_FULL, NULL },
	{ "member.id", VALUE_TEXT, VALUE_MISSING, FIX_ID, NULL },
	{ "event.total", VALUE_DECIMAL, VALUE_MISSING, FIX_TOTAL, NULL },
	{ "event.amount", VALUE_DECIMAL, VALUE_MISSING, FIX_AMOUNT, NULL },
	{ "event.discount", VALUE_DECIMAL, VALUE_MISSING, FIX_DISCOUNT, NULL },
	{ "event.currency", VALUE_TEXT, VALUE_MISSING, FIX_CURRENCY, NULL },
	{ "event.occurred_at", VALUE_DATETIME, VALUE_MISSING, FIX_AT, NULL },
	{ "offer.name", VALUE_TEXT, VALUE_MISSING, FIX_NAME, NULL },
};
static const struct scope fix_scope = { fix_names, sizeof fix_names / sizeof *fix_names, NULL };

static const char fix_currencies[] =
	"currencies = {"
	" bonus = { one = \"bonus point\"; other = \"bonus points\"; short = \"pts\"; decimals = 0;"
	"  ru = { one = \"балл\"; few = \"балла\"; many = \"баллов\"; short = \"б.\"; }; };"
	" stars = { one = \"star\"; other = \"stars\"; short = \"*\"; };"
	" miles = { one = \"mile\"; other = \"miles\"; decimals = 2; };"
	"};\n";

struct fix {
	struct arena *a;
	struct conf_faults f;
	struct template_world world;
	struct texts_conf *conf;
	struct templates *all;
	struct sample s;
	struct rendering r;
	struct reader reader;
};

/* Templates from text, with the currencies unless there are some in it. */
__attribute__((unused)) static void fix_open(struct fix *x, const char *text)
{
	struct buf b = BUF_INIT;
	void *out;

	*x = (struct fix){ .a = arena_new() };
	buf_c(&b, text);
	if (!strstr(text, "currencies"))
		buf_c(&b, fix_currencies);
	conf_load_text(
		"t.conf", buf_view(&b), texts_rows, sizeof(struct texts_conf), x->a, &out, &x->f);
	buf_free(&b);
	x->conf = out;
	x->world = (struct template_world){ .scope = metavar_scope(x->a, &fix_scope),
		.currencies =
			currencies_make(x->conf->currencies, x->conf->currencies_n, x->a, &x->f) };
	x->all = templates_compile(x->conf, &x->world, x->a, &x->f);
	sample_init(&x->s, &x->world, x->a, false);
	rendering_init(&x->r);
	x->reader = (struct reader){ .values = &x->s.source };
}

__attribute__((unused)) static void fix_close(struct fix *x)
{
	rendering_free(&x->r);
	conf_faults_free(&x->f);
	arena_free(&x->a);
}

/* All faults as one text, which lives in the arena. */
__attribute__((unused)) static const char *fix_faults(struct fix *x)
{
	struct buf b = BUF_INIT;
	const char *s;

	conf_faults_text(&x->f, &b);
	s = arena_cstr(x->a, buf_view(&b));
	buf_free(&b);
	return s;
}

__attribute__((unused)) static void fix_set(struct fix *x, const char *name, const char *value)
{
	struct err e = { 0 };

	for (size_t i = 0; i < x->s.n; i++)
		;
	if (sample_set(&x->s, str_of(name), str_of(value), &e)) {
		fprintf(stderr, "%s\n", e.text);
		CHECK(!"the value is good");
	}
}

/* A text value as it is, blanks, controls and all. */
__attribute__((unused)) static void fix_raw(struct fix *x, unsigned slot, struct str value)
{
	x->s.v[x->s.n].slot = slot;
	x->s.v[x->s.n++].v = value_text(value);
}

__attribute__((unused)) static void fix_clear(struct fix *x)
{
	x->s.n = 0;
}

/* One text of a medium, in the language. "" and x->r.why after a fault. */
__attribute__((unused)) static const char *fix_text(
	struct fix *x, const char *source, enum media m, const char *language)
{
	struct conf_where at = { "t.conf", 7, "offer x", NULL, 0 };
	const struct text *t =
		text_compile(str_of(source), m, language, &x->world, &at, "text", x->a, &x->f);

	x->r.why[0] = '\0';
	if (!t || text_render(t, m, MISSING_SKIP, NULL, &x->reader, &x->r))
		return "";
	return arena_cstr(x->a, rendering_get(&x->r, FIELD_TEXT));
}

/* A field of template "t". */
__attribute__((unused)) static const char *fix_field(
	struct fix *x, enum media m, const char *language, enum field f)
{
	const struct template *t = template_find(x->all, STR("t"));

	x->r.why[0] = '\0';
	if (!t)
		return "(no template)";
	x->reader.language = str_of(language);
	if (template_render(t, m, &x->reader, &x->r))
		return "(fault)";
	return arena_cstr(x->a, rendering_get(&x->r, f));
}

#endif
