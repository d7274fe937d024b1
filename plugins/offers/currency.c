/* The programme's currencies and their names. See currency.h. */
#include "plugins/offers/currency.h"

struct words {
	struct str language; /* empty: of all that have none of their own */
	const char *forms[PLURAL_COUNT];
	const char *brief;
};
struct currency {
	const char *code;
	unsigned decimals;
	struct words usual;
	struct words *v;
	size_t n;
};
struct currencies {
	struct currency *v;
	size_t n;
};

static struct words words_of(const char *language, const struct currency_words *w)
{
	return (struct words){ str_of(language),
		{ w->zero, w->one, w->two, w->few, w->many, w->other }, w->brief };
}

static bool any(const struct words *w)
{
	for (unsigned i = 0; i < PLURAL_COUNT; i++)
		if (w->forms[i])
			return true;
	return false;
}

/* Says which forms are missing, all at once. */
static void check_forms(const struct words *w, const struct conf_where *at, struct conf_faults *f)
{
	struct tongue t = tongue_of(w->language.p);
	unsigned needed = plural_needed(t), all = plural_all(t);
	struct buf lacks = BUF_INIT;

	for (unsigned i = 0; i < PLURAL_COUNT; i++) {
		if ((needed & 1u << i) && !w->forms[i])
			buf_printf(&lacks, "%s\"%s\"", lacks.n ? ", " : "", plural_word(i));
		if (w->forms[i] && !(all & 1u << i))
			conf_fault_at(f, at, plural_word(i),
				"the language \"%s\" has no plural category \"%s\"", w->language.p,
				plural_word(i));
	}
	if (lacks.n)
		conf_fault_at(f, at, NULL, "the language \"%s\" needs the %s %s as well",
			w->language.p, str_index(buf_view(&lacks), ',') < 0 ? "form" : "forms",
			buf_cstr(&lacks));
	buf_free(&lacks);
}

static bool code_good(struct str code)
{
	for (size_t i = 0; i < code.n; i++)
		if (code.p[i] == '*')
			return false;
	return code.n > 0 && code.n <= 32;
}

struct currencies *currencies_make(
	const struct currency_conf *v, size_t n, struct arena *a, struct conf_faults *f)
{
	struct currencies *all = arena_new_of(a, struct currencies);

	all->v = arena_alloc(a, (n + 1) * sizeof *all->v);
	for (size_t i = 0; i < n; i++) {
		struct currency *c = &all->v[all->n++];

		*c = (struct currency){ .code = v[i].code,
			.decimals = v[i].decimals,
			.usual = words_of("", &v[i].words),
			.v = arena_alloc(a, (v[i].languages_n + 1) * sizeof *c->v),
			.n = v[i].languages_n };
		if (!code_good(str_of(c->code)))
			conf_fault_at(f, &v[i].where, NULL,
				"a currency's code has at most 32 letters, digits, '-' and '_'");
		if (any(&c->usual) && !c->usual.forms[PLURAL_OTHER])
			conf_fault_at(f, &v[i].where, NULL, "the form \"other\" is needed as well");
		for (size_t k = 0; k < c->n; k++) {
			c->v[k] = words_of(v[i].languages[k].language, &v[i].languages[k].words);
			if (any(&c->v[k]))
				check_forms(&c->v[k], &v[i].languages[k].where, f);
		}
	}
	return all;
}

const struct currency *currency_find(const struct currencies *all, struct str code)
{
	for (size_t i = 0; all && i < all->n; i++)
		if (str_is(code, all->v[i].code))
			return &all->v[i];
	return NULL;
}

const struct currency *currency_near(const struct currencies *all, struct str code)
{
	const struct currency *best = NULL;
	unsigned least = code.n < 4 ? 1 : 2;

	for (size_t i = 0; all && i < all->n; i++) {
		unsigned d = str_distance(str_of(all->v[i].code), code, least);

		if (d <= least && (!best || d < least)) {
			best = &all->v[i];
			least = d;
		}
	}
	return best;
}

size_t currencies_count(const struct currencies *all)
{
	return all ? all->n : 0;
}

const struct currency *currencies_at(const struct currencies *all, size_t i)
{
	CHECK(all && i < all->n);
	return &all->v[i];
}

const char *currency_code(const struct currency *c)
{
	return c->code;
}

unsigned currency_decimals(const struct currency *c)
{
	return c ? c->decimals : 2;
}

/* The words of a language, or of its base; NULL: none of its own. */
static const struct words *own_words(const struct currency *c, struct tongue t)
{
	struct str language = str_of(t.language), rest = language, base;

	for (size_t i = 0; i < c->n; i++)
		if (str_ieq(c->v[i].language, language))
			return &c->v[i];
	if (!str_cut(&rest, '-', &base))
		return NULL;
	for (size_t i = 0; i < c->n; i++)
		if (str_ieq(c->v[i].language, base))
			return &c->v[i];
	return NULL;
}

struct str currency_name(const struct currency *c, struct tongue t, int64_t x, unsigned decimals)
{
	const struct words *w = own_words(c, t);
	const char *form = w ? plural_pick(w->forms, plural_of(t, x, decimals)) : NULL;

	/* The usual names are whoever's language: "one" and "other" in most of them. */
	if (!form)
		form = plural_pick(c->usual.forms, plural_of(t, x, decimals));
	return str_of(form ? form : c->code);
}

struct str currency_short(const struct currency *c, struct tongue t)
{
	const struct words *w = own_words(c, t);

	return str_of(w && w->brief ? w->brief : c->usual.brief ? c->usual.brief : c->code);
}
