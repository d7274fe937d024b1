/* The filter language's tokens and its faults. See filter_private.h. */
#include "plugins/offers/filter_private.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- faults --------------------------------------------------------------------------------- */

static unsigned column_of(struct str source, unsigned at)
{
	struct str s = str_n(source.p, at < source.n ? at : source.n);
	unsigned column = 1;

	while (s.n) {
		str_utf8_next(&s);
		column++;
	}
	return column;
}

__attribute__((format(printf, 5, 0))) static void put(
	struct report *r, unsigned at, unsigned end, bool warning, const char *fmt, va_list ap)
{
	struct filter_faults *f = r->faults;
	unsigned most = sizeof f->v / sizeof f->v[0];
	struct filter_fault *v;

	if (!warning && f->errors++ == 0 && f->n == most)
		f->n = most - 1; /* warnings never crowd out the error */
	if (f->n == most)
		return;
	v = &f->v[f->n++];
	v->at = at;
	v->len = end > at ? end - at : 0;
	v->column = column_of(r->source, at);
	v->warning = warning;
	vsnprintf(v->text, sizeof v->text, fmt, ap);
}

void filter_fault(struct report *r, unsigned at, unsigned end, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(r, at, end, false, fmt, ap);
	va_end(ap);
}

void filter_warn(struct report *r, unsigned at, unsigned end, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(r, at, end, true, fmt, ap);
	va_end(ap);
}

/* ---- words ---------------------------------------------------------------------------------- */

static const struct {
	const char *word;
	enum token_kind kind;
} words[] = {
	{ "or", T_OR },
	{ "and", T_AND },
	{ "not", T_NOT },
	{ "in", T_IN },
	{ "between", T_BETWEEN },
	{ "contains", T_CONTAINS },
	{ "starts", T_STARTS },
	{ "ends", T_ENDS },
	{ "with", T_WITH },
	{ "matches", T_MATCHES },
	{ "is", T_IS },
	{ "missing", T_MISSING },
	{ "present", T_PRESENT },
	{ "true", T_TRUE },
	{ "false", T_FALSE },
	{ "it", T_IT },
};

/* What other languages call our operators. */
static const struct {
	const char *theirs, *ours;
} foreign[] = {
	{ "&&", "and" },
	{ "&", "and" },
	{ "||", "or" },
	{ "|", "or" },
	{ "!", "not" },
	{ "=", "==" },
	{ "===", "==" },
	{ "<>", "!=" },
	{ "!==", "!=" },
	{ "=<", "<=" },
	{ "=>", ">=" },
	{ "=~", "matches (a pattern) or ~= (ignoring case)" },
	{ "~", "~= (equal ignoring case) or matches (a pattern)" },
	{ "!~", "not matches" },
	{ "**", "* (there is no power)" },
	{ "?", "?? (value or else)" },
	{ "like", "matches, with * and ? instead of % and _" },
	{ "ilike", "matches lower(…), with * and ?" },
	{ "eq", "==" },
	{ "equals", "==" },
	{ "ne", "!=" },
	{ "lt", "<" },
	{ "le", "<=" },
	{ "gt", ">" },
	{ "ge", ">=" },
	{ "mod", "%" },
	{ "has", "contains" },
	{ "includes", "contains" },
	{ "exists", "is present" },
	{ "null", "is missing" },
	{ "nil", "is missing" },
	{ "none", "is missing" },
	{ "startswith", "starts with" },
	{ "starts_with", "starts with" },
	{ "endswith", "ends with" },
	{ "ends_with", "ends with" },
	{ "notin", "not in" },
};

const char *filter_foreign(struct str word)
{
	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
		if (str_ieq(str_of(foreign[i].theirs), word))
			return foreign[i].ours;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (str_ieq(str_of(words[i].word), word))
			return words[i].word;
	return NULL;
}

/* ---- the scanner ---------------------------------------------------------------------------- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}
static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}
static bool is_sign(char c)
{
	return c && strchr("=!<>~&|?*^@#$;:{}\\`\"", c);
}

static struct token token(struct report *r, enum token_kind kind, unsigned at, unsigned end)
{
	return (struct token){ kind, at, end, str_n(r->source.p + at, end - at) };
}

static char look(struct report *r, unsigned at)
{
	return at < r->source.n ? r->source.p[at] : '\0';
}

/* member.city: words joined by dots, nothing between. */
static struct token lex_name(struct report *r, unsigned at)
{
	unsigned end = at;
	struct token t;

	do {
		end += look(r, end) == '.';
		while (is_word(look(r, end)))
			end++;
	} while (look(r, end) == '.' && is_word(look(r, end + 1)) && !is_digit(look(r, end + 1)));
	t = token(r, T_NAME, at, end);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (str_is(t.text, words[i].word))
			t.kind = words[i].kind;
	return t;
}

static struct token lex_number(struct report *r, unsigned at)
{
	unsigned end = at;

	while (is_digit(look(r, end)))
		end++;
	if (look(r, end) == '.' && is_digit(look(r, end + 1)))
		for (end++; is_digit(look(r, end));)
			end++;
	if (is_word(look(r, end)) || look(r, end) == '.') {
		unsigned stop = end;

		while (is_word(look(r, stop)) || look(r, stop) == '.')
			stop++;
		filter_fault(r, at, stop,
			"\"%.*s\" is no number; durations, dates and times stand in quotes: '14 "
			"days'",
			(int)(stop - at), r->source.p + at);
		return token(r, T_BAD, at, stop);
	}
	return token(r, T_NUMBER, at, end);
}

/* 'it''s': what lies between the quotes, still doubled. */
static struct token lex_text(struct report *r, unsigned at)
{
	unsigned end = at + 1;
	struct token t;

	for (;; end++) {
		if (end >= r->source.n) {
			filter_fault(r, at, end,
				"a text begins here and does not end: a ' is missing "
				"(a quote within a text is written '')");
			return token(r, T_BAD, at, end);
		}
		if (look(r, end) == '\'') {
			if (look(r, end + 1) != '\'')
				break;
			end++;
		}
	}
	t = token(r, T_TEXT, at, end + 1);
	t.text = str_n(r->source.p + at + 1, end - at - 1);
	if (!str_utf8_valid(t.text)) {
		filter_fault(r, at, end + 1, "this text is not valid UTF-8");
		t.kind = T_BAD;
	}
	return t;
}

static const struct {
	const char *sign;
	enum token_kind kind;
} signs[] = {
	{ "==", T_EQ },
	{ "!=", T_NE },
	{ "<=", T_LE },
	{ ">=", T_GE },
	{ "~=", T_IEQ },
	{ "??", T_ELSE },
	{ "<", T_LT },
	{ ">", T_GT },
	{ "*", T_STAR },
	{ "+", T_PLUS },
	{ "-", T_MINUS },
	{ "/", T_SLASH },
	{ "%", T_PERCENT },
	{ "(", T_OPEN },
	{ ")", T_CLOSE },
	{ "[", T_OPEN_INDEX },
	{ "]", T_CLOSE_INDEX },
	{ ",", T_COMMA },
};

static struct token lex_sign(struct report *r, unsigned at)
{
	unsigned end = at;
	struct str run;
	const char *ours;

	while (is_sign(look(r, end)))
		end++;
	run = str_n(r->source.p + at, end - at);
	for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
		struct str s = str_of(signs[i].sign);

		/* the whole run, where one is made of such characters; else the first that fits */
		if (is_sign(s.p[0]) ? str_eq(run, s) : look(r, at) == s.p[0])
			return token(r, signs[i].kind, at, at + (unsigned)s.n);
	}
	if (!run.n) {
		struct str rest = str_skip(r->source, at);

		str_utf8_next(&rest);
		end = (unsigned)(r->source.n - rest.n);
		run = str_n(r->source.p + at, end - at);
	}
	ours = filter_foreign(run);
	if (run.p[0] == '"')
		filter_fault(r, at, at + 1, "texts stand in single quotes: 'Riga'");
	else if (ours)
		filter_fault(
			r, at, end, "\"%.*s\" is no operator here; write %s", STR_ARG(run), ours);
	else if ((unsigned char)run.p[0] < ' ' || !str_utf8_valid(run))
		filter_fault(r, at, end, "a byte 0x%02x has no place here",
			(unsigned)(unsigned char)run.p[0]);
	else
		filter_fault(r, at, end, "\"%.*s\" has no place here", STR_ARG(run));
	return token(r, T_BAD, at, end);
}

struct token filter_lex(struct report *r, unsigned *at)
{
	struct token t;
	char c;

	while (look(r, *at) && strchr(" \t\r\n", look(r, *at)))
		++*at;
	c = look(r, *at);
	if (*at >= r->source.n)
		t = token(r, T_END, (unsigned)r->source.n, (unsigned)r->source.n);
	else if (is_digit(c))
		t = lex_number(r, *at);
	else if (is_word(c))
		t = lex_name(r, *at);
	else if (c == '\'')
		t = lex_text(r, *at);
	else
		t = lex_sign(r, *at);
	*at = t.end;
	return t;
}
