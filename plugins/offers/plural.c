/* Cardinal plural rules of Unicode CLDR 48 for the languages that one meets, each a function of the
 * operands of UTS #35, part 3: n, i, v, f, t.
 */
#include "plugins/offers/plural.h"

#include "plugins/offers/plural_private.h"

struct operands {
	uint64_t i;    /* the whole part */
	unsigned v;    /* digits behind the point, as printed */
	unsigned f, t; /* these digits as a number, with and without trailing zeros */
};
static bool whole(const struct operands *o)
{
	return o->t == 0;
}
static bool n_is(const struct operands *o, uint64_t n)
{
	return whole(o) && o->i == n;
}
static bool within(uint64_t x, uint64_t lo, uint64_t hi)
{
	return x >= lo && x <= hi;
}
/* 1, 21, 31 … but not 11; and the 2–4 of the Slavs. */
static bool ends_one(uint64_t x)
{
	return x % 10 == 1 && x % 100 != 11;
}
static bool ends_few(uint64_t x)
{
	return within(x % 10, 2, 4) && !within(x % 100, 12, 14);
}
static bool millions(const struct operands *o)
{
	return o->v == 0 && o->i != 0 && o->i % 1000000 == 0;
}

static enum plural none(const struct operands *o)
{
	return PLURAL_OTHER;
}
static enum plural english(const struct operands *o)
{
	return o->i == 1 && o->v == 0 ? PLURAL_ONE : PLURAL_OTHER;
}
static enum plural italian(const struct operands *o)
{
	return millions(o) ? PLURAL_MANY : english(o);
}
static enum plural bulgarian(const struct operands *o)
{
	return n_is(o, 1) ? PLURAL_ONE : PLURAL_OTHER;
}
static enum plural spanish(const struct operands *o)
{
	return millions(o) ? PLURAL_MANY : bulgarian(o);
}
static enum plural armenian(const struct operands *o)
{
	return o->i <= 1 ? PLURAL_ONE : PLURAL_OTHER;
}
static enum plural french(const struct operands *o)
{
	return millions(o) ? PLURAL_MANY : armenian(o);
}
static enum plural hindi(const struct operands *o)
{
	return o->i == 0 || n_is(o, 1) ? PLURAL_ONE : PLURAL_OTHER;
}
static enum plural danish(const struct operands *o)
{
	return n_is(o, 1) || (o->t != 0 && o->i <= 1) ? PLURAL_ONE : PLURAL_OTHER;
}
static enum plural icelandic(const struct operands *o)
{
	return (o->t == 0 && ends_one(o->i)) || ends_one(o->t) ? PLURAL_ONE : PLURAL_OTHER;
}
static enum plural macedonian(const struct operands *o)
{
	return (o->v == 0 && ends_one(o->i)) || ends_one(o->f) ? PLURAL_ONE : PLURAL_OTHER;
}
static enum plural russian(const struct operands *o)
{
	if (o->v != 0)
		return PLURAL_OTHER;
	return ends_one(o->i) ? PLURAL_ONE : ends_few(o->i) ? PLURAL_FEW : PLURAL_MANY;
}
static enum plural belarusian(const struct operands *o)
{
	if (!whole(o))
		return PLURAL_OTHER;
	return ends_one(o->i) ? PLURAL_ONE : ends_few(o->i) ? PLURAL_FEW : PLURAL_MANY;
}
static enum plural polish(const struct operands *o)
{
	if (o->v != 0)
		return PLURAL_OTHER;
	return o->i == 1 ? PLURAL_ONE : ends_few(o->i) ? PLURAL_FEW : PLURAL_MANY;
}
static enum plural czech(const struct operands *o)
{
	if (o->v != 0)
		return PLURAL_MANY;
	return o->i == 1 ? PLURAL_ONE : within(o->i, 2, 4) ? PLURAL_FEW : PLURAL_OTHER;
}
static enum plural slovenian(const struct operands *o)
{
	uint64_t i = o->i % 100;

	if (o->v != 0)
		return PLURAL_FEW;
	return i == 1            ? PLURAL_ONE
	       : i == 2          ? PLURAL_TWO
	       : within(i, 3, 4) ? PLURAL_FEW
				 : PLURAL_OTHER;
}
static enum plural croatian(const struct operands *o)
{
	if ((o->v == 0 && ends_one(o->i)) || ends_one(o->f))
		return PLURAL_ONE;
	return (o->v == 0 && ends_few(o->i)) || ends_few(o->f) ? PLURAL_FEW : PLURAL_OTHER;
}
static enum plural romanian(const struct operands *o)
{
	if (o->i == 1 && o->v == 0)
		return PLURAL_ONE;
	return o->v != 0 || o->i == 0 || within(o->i % 100, 1, 19) ? PLURAL_FEW : PLURAL_OTHER;
}
static enum plural latvian(const struct operands *o)
{
	if ((whole(o) && (o->i % 10 == 0 || within(o->i % 100, 11, 19))) ||
		(o->v == 2 && within(o->f % 100, 11, 19)))
		return PLURAL_ZERO;
	if ((whole(o) && ends_one(o->i)) || (o->v == 2 && ends_one(o->f)) ||
		(o->v != 2 && o->f % 10 == 1))
		return PLURAL_ONE;
	return PLURAL_OTHER;
}
static enum plural lithuanian(const struct operands *o)
{
	if (o->f != 0)
		return PLURAL_MANY;
	if (within(o->i % 100, 11, 19) || o->i % 10 == 0)
		return PLURAL_OTHER;
	return o->i % 10 == 1 ? PLURAL_ONE : PLURAL_FEW;
}
static enum plural hebrew(const struct operands *o)
{
	if ((o->i == 1 && o->v == 0) || (o->i == 0 && o->v != 0))
		return PLURAL_ONE;
	return o->i == 2 && o->v == 0 ? PLURAL_TWO : PLURAL_OTHER;
}
static enum plural arabic(const struct operands *o)
{
	if (!whole(o))
		return PLURAL_OTHER;
	if (o->i <= 2)
		return o->i == 0 ? PLURAL_ZERO : o->i == 1 ? PLURAL_ONE : PLURAL_TWO;
	return within(o->i % 100, 3, 10) ? PLURAL_FEW
	       : o->i % 100 >= 11        ? PLURAL_MANY
					 : PLURAL_OTHER;
}
static enum plural maltese(const struct operands *o)
{
	if (!whole(o))
		return PLURAL_OTHER;
	if (within(o->i, 1, 2))
		return o->i == 1 ? PLURAL_ONE : PLURAL_TWO;
	return o->i == 0 || within(o->i % 100, 3, 10) ? PLURAL_FEW
	       : within(o->i % 100, 11, 19)           ? PLURAL_MANY
						      : PLURAL_OTHER;
}
static enum plural welsh(const struct operands *o)
{
	static const enum plural by_number[] = { PLURAL_ZERO, PLURAL_ONE, PLURAL_TWO, PLURAL_FEW,
		PLURAL_OTHER, PLURAL_OTHER, PLURAL_MANY };

	return whole(o) && o->i <= 6 ? by_number[o->i] : PLURAL_OTHER;
}
static enum plural irish(const struct operands *o)
{
	if (!whole(o) || o->i == 0 || o->i > 10)
		return PLURAL_OTHER;
	return o->i == 1   ? PLURAL_ONE
	       : o->i == 2 ? PLURAL_TWO
	       : o->i <= 6 ? PLURAL_FEW
			   : PLURAL_MANY;
}

/* clang-format off */
enum {
	Z = 1 << PLURAL_ZERO, O1 = 1 << PLURAL_ONE, T = 1 << PLURAL_TWO, F = 1 << PLURAL_FEW,
	M = 1 << PLURAL_MANY, R = 1 << PLURAL_OTHER
};
struct plural_rules {
	const char *languages; /* with a space around each */
	enum plural (*of)(const struct operands *o);
	unsigned all, needed;
};
static const struct plural_rules rules[] = {
	{ " en de nl sv fi et gl fy sw ur yi ast sc ia io ", english, O1 | R, O1 | R },
	{ " bg el nb nn no hu tr az uz kk ky tk ka mn sq eu eo fo lb af ta te ml mr ne ug ku ps ",
		bulgarian, O1 | R, O1 | R },
	{ " it ca pt-pt ", italian, O1 | M | R, O1 | R },
	{ " es ", spanish, O1 | M | R, O1 | R },
	{ " fr pt ", french, O1 | M | R, O1 | R },
	{ " hy ", armenian, O1 | R, O1 | R },
	{ " hi fa bn gu kn zu am as ", hindi, O1 | R, O1 | R },
	{ " da ", danish, O1 | R, O1 | R },
	{ " is ", icelandic, O1 | R, O1 | R },
	{ " mk ", macedonian, O1 | R, O1 | R },
	{ " ru uk ", russian, O1 | F | M | R, O1 | F | M },
	{ " be ", belarusian, O1 | F | M | R, O1 | F | M },
	{ " pl ", polish, O1 | F | M | R, O1 | F | M },
	{ " cs sk ", czech, O1 | F | M | R, O1 | F | R },
	{ " sl ", slovenian, O1 | T | F | R, O1 | T | F | R },
	{ " hr sr bs ", croatian, O1 | F | R, O1 | F | R },
	{ " ro mo ", romanian, O1 | F | R, O1 | F | R },
	{ " lv ", latvian, Z | O1 | R, O1 | R },
	{ " lt ", lithuanian, O1 | F | M | R, O1 | F | R },
	{ " he iw ", hebrew, O1 | T | R, O1 | T | R },
	{ " ar ", arabic, Z | O1 | T | F | M | R, Z | O1 | T | F | M | R },
	{ " mt ", maltese, O1 | T | F | M | R, O1 | T | F | M | R },
	{ " cy ", welsh, Z | O1 | T | F | M | R, Z | O1 | T | F | M | R },
	{ " ga ", irish, O1 | T | F | M | R, O1 | T | F | M | R },
	{ " zh ja ko vi th id ms lo my km ", none, R, R },
};
/* clang-format on */

static const struct plural_rules *find(struct str language)
{
	char key[20] = " ";

	if (language.n == 0 || language.n > sizeof key - 3)
		return NULL;
	for (size_t i = 0; i < language.n; i++) {
		char c = language.p[i];

		if (c == ' ')
			return NULL;
		key[i + 1] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	key[language.n + 1] = ' ';
	key[language.n + 2] = '\0';
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (strstr(rules[i].languages, key))
			return &rules[i];
	return NULL;
}

struct tongue tongue_of(const char *language)
{
	struct str all = str_of(language), base;
	struct str rest = all;
	const struct plural_rules *p = find(all);

	if (!p && str_cut(&rest, '-', &base))
		p = find(base);
	return (struct tongue){ language, p ? p : &rules[sizeof rules / sizeof *rules - 1],
		locale_find(all) };
}

static int64_t scale_of(unsigned decimals)
{
	static const int64_t scale[] = { 10000, 1000, 100, 10, 1 };

	return scale[decimals < 4 ? decimals : 4];
}

int64_t decimal_round(int64_t x, unsigned decimals)
{
	int64_t s = scale_of(decimals), rest = x % s;

	x -= rest;
	if (rest >= (s + 1) / 2 && s > 1)
		return x > INT64_MAX - s ? x : x + s;
	if (-rest >= (s + 1) / 2 && s > 1)
		return x < INT64_MIN + s ? x : x - s;
	return x;
}

enum plural plural_of(struct tongue t, int64_t x, unsigned decimals)
{
	int64_t s = scale_of(decimals);
	struct operands o = { .v = decimals < 4 ? decimals : 4 };
	uint64_t u;

	x = decimal_round(x, decimals);
	u = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
	o.i = u / DECIMAL_ONE;
	o.f = (unsigned)(u % DECIMAL_ONE / (uint64_t)s);
	for (o.t = o.f; o.t && o.t % 10 == 0;)
		o.t /= 10;
	return t.plural->of(&o);
}

unsigned plural_all(struct tongue t)
{
	return t.plural->all;
}

unsigned plural_needed(struct tongue t)
{
	return t.plural->needed;
}

const char *plural_pick(const char *const forms[PLURAL_COUNT], enum plural p)
{
	/* 1.5 of something takes the form of 2 in Slavic languages, where nothing else is given. */
	static const enum plural for_other[] = { PLURAL_FEW, PLURAL_MANY, PLURAL_TWO, PLURAL_ONE,
		PLURAL_ZERO };
	static const enum plural for_rest[] = { PLURAL_OTHER, PLURAL_MANY, PLURAL_FEW, PLURAL_TWO,
		PLURAL_ONE, PLURAL_ZERO };
	const enum plural *order = p == PLURAL_OTHER ? for_other : for_rest;
	size_t n = p == PLURAL_OTHER ? 5 : 6;

	if (forms[p])
		return forms[p];
	for (size_t i = 0; i < n; i++)
		if (forms[order[i]])
			return forms[order[i]];
	return NULL;
}

static const char *const words[] = { "zero", "one", "two", "few", "many", "other" };

const char *plural_word(enum plural p)
{
	return words[p];
}

bool plural_parse(struct str word, enum plural *p_r)
{
	for (unsigned i = 0; i < PLURAL_COUNT; i++)
		if (str_is(word, words[i])) {
			*p_r = (enum plural)i;
			return true;
		}
	return false;
}
