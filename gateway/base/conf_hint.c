/* What a syntax error means. libconfig says "syntax error" and a line that may be the next one;
 * this reads the text again by the same grammar (libconfig 1.5, "Configuration Files") and words
 * the first breach for the person who typed it: a duration without quotes, a comma before ")", a
 * quote that was never closed. It never repeats what stands there but for brackets: it may be a
 * part of a secret.
 */
#include "gateway/base/conf_private.h"

enum token {
	T_END,
	T_NAME,
	T_NUMBER,
	T_STRING,
	T_BOOL,
	T_MARK, /* one of = : ; , { } ( ) [ ] */
	T_JUNK,
};

struct lexer {
	struct str rest;
	unsigned line;
	bool line_start; /* only blanks since the line began */
	/* the token last read */
	enum token kind;
	struct str text;
	unsigned at;    /* its line */
	bool glued;     /* nothing stands between it and the one before */
	unsigned until; /* for a string: the line where it ends */
	/* a string that runs over lines, when one was seen: often a lost quote */
	unsigned long_from, long_to;
	unsigned include; /* the line of an @include */
};

enum { HINT_DEPTH = 64 };

struct hint {
	struct lexer x;
	struct buf *why;
	unsigned line;
	unsigned depth;
};

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '*';
}
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void step(struct lexer *x)
{
	if (x->rest.p[0] == '\n') {
		x->line++;
		x->line_start = true;
	} else if (x->rest.p[0] != ' ' && x->rest.p[0] != '\t') {
		x->line_start = false;
	}
	x->rest = str_skip(x->rest, 1);
}

/* Blanks and comments; true when there was any. */
static bool skip_space(struct lexer *x)
{
	const char *from = x->rest.p;

	for (;;) {
		if (!x->rest.n)
			break;
		if (strchr(" \t\r\n\f", x->rest.p[0]) && x->rest.p[0]) {
			step(x);
		} else if (x->rest.p[0] == '#' || str_starts(x->rest, STR("//"))) {
			while (x->rest.n && x->rest.p[0] != '\n')
				step(x);
		} else if (str_starts(x->rest, STR("/*"))) {
			while (x->rest.n && !str_starts(x->rest, STR("*/")))
				step(x);
			for (int i = 0; i < 2 && x->rest.n; i++)
				step(x);
		} else {
			break;
		}
	}
	return x->rest.p != from;
}

static void take_string(struct lexer *x)
{
	step(x);
	while (x->rest.n && x->rest.p[0] != '"') {
		if (x->rest.p[0] == '\\' && x->rest.n > 1)
			step(x);
		step(x);
	}
	x->kind = x->rest.n ? T_STRING : T_JUNK;
	if (x->rest.n)
		step(x);
	x->until = x->line;
	if (x->until != x->at && (!x->long_from || x->long_to < x->at)) {
		x->long_from = x->at;
		x->long_to = x->until;
	}
}

/* [-+]digits[.digits][e…][L] and 0x…; what follows directly is the next token, glued. */
static void take_number(struct lexer *x)
{
	struct str s = x->rest;
	bool hex;

	if (s.p[0] == '-' || s.p[0] == '+')
		s = str_skip(s, 1);
	hex = s.n > 2 && s.p[0] == '0' && (s.p[1] | 32) == 'x';
	if (hex)
		s = str_skip(s, 2);
	while (s.n && (is_digit(s.p[0]) || (hex && strchr("abcdefABCDEF", s.p[0]))))
		s = str_skip(s, 1);
	if (!hex && s.n && s.p[0] == '.') {
		s = str_skip(s, 1);
		while (s.n && is_digit(s.p[0]))
			s = str_skip(s, 1);
	}
	if (!hex && s.n > 1 && (s.p[0] | 32) == 'e') {
		struct str e = str_skip(s, s.p[1] == '-' || s.p[1] == '+' ? 2 : 1);

		if (e.n && is_digit(e.p[0])) {
			while (e.n && is_digit(e.p[0]))
				e = str_skip(e, 1);
			s = e;
		}
	}
	for (int i = 0; i < 2 && s.n && s.p[0] == 'L'; i++)
		s = str_skip(s, 1);
	x->kind = T_NUMBER;
	while (x->rest.p != s.p)
		step(x);
}

static bool begins_number(struct str s)
{
	if (s.n > 1 && (s.p[0] == '-' || s.p[0] == '+'))
		s = str_skip(s, 1);
	if (s.n > 1 && s.p[0] == '.')
		s = str_skip(s, 1);
	return s.n && is_digit(s.p[0]);
}

static void next(struct lexer *x)
{
	bool spaced = skip_space(x);
	const char *from = x->rest.p;

	x->glued = !spaced;
	x->at = x->until = x->line;
	if (!x->rest.n) {
		x->kind = T_END;
	} else if (x->rest.p[0] == '"') {
		take_string(x);
	} else if (begins_number(x->rest)) {
		take_number(x);
	} else if (is_word(x->rest.p[0]) && x->rest.p[0] != '_' && x->rest.p[0] != '-') {
		struct str word = x->rest;

		while (x->rest.n && is_word(x->rest.p[0]))
			step(x);
		word.n -= x->rest.n;
		x->kind =
			str_ieq(word, STR("true")) || str_ieq(word, STR("false")) ? T_BOOL : T_NAME;
	} else if (strchr("=:;,{}()[]", x->rest.p[0])) {
		x->kind = T_MARK;
		step(x);
	} else {
		if (x->line_start && str_starts(x->rest, STR("@include")) && !x->include)
			x->include = x->at;
		x->kind = T_JUNK;
		step(x);
	}
	x->text = str_n(from, (size_t)(x->rest.p - from));
}

static bool is_mark(const struct hint *h, char c)
{
	return h->x.kind == T_MARK && h->x.text.p[0] == c;
}

/* Says what is wrong, at a line; always false, so that a rule can end with it. */
static bool __attribute__((format(printf, 3, 4)))
wrong(struct hint *h, unsigned line, const char *fmt, ...)
{
	va_list ap;

	h->line = line;
	if (h->x.long_from && h->x.at <= h->x.long_to + 1) {
		h->line = h->x.long_from;
		buf_printf(h->why, "this text runs on to line %u: is its closing quote missing?",
			h->x.long_to);
		return false;
	}
	va_start(ap, fmt);
	buf_vprintf(h->why, fmt, ap);
	va_end(ap);
	return false;
}

/* What stands directly behind a number shows what was meant. */
static bool wrong_number(struct hint *h, unsigned line, struct str tail)
{
	static const char durations[] =
		"|ns|us|ms|s|sec|m|min|minutes|minute|h|hour|hours|d|day|days|w|"
		"week|weeks|seconds|second|";
	static const char sizes[] = "|B|K|k|M|G|KB|kB|MB|GB|KiB|MiB|GiB|TiB|bytes|";
	char probe[16];

	snprintf(probe, sizeof probe, "|%.*s|", tail.n < 12 ? (int)tail.n : 12, tail.p);
	if (strstr(durations, probe))
		return wrong(h, line, "durations are strings: \"30s\"");
	if (strstr(sizes, probe))
		return wrong(h, line, "sizes are strings: \"64KiB\"");
	if (tail.p[0] == ':')
		return wrong(h, line, "times are strings: \"10:00-20:00\"");
	if (tail.p[0] == '%')
		return wrong(h, line, "percentages are strings: \"5%%\"");
	if (tail.p[0] == '_')
		return wrong(h, line, "numbers are written without \"_\": 1000");
	if (tail.p[0] == '.')
		return wrong(h, line, "addresses are strings: \"127.0.0.1\"");
	return wrong(h, line, "what is not a plain number needs quotes");
}

static const char *name_of(const struct hint *h)
{
	return h->x.kind == T_END      ? "the end"
	       : h->x.kind == T_STRING ? "a text"
	       : h->x.kind == T_NUMBER ? "a number"
	       : h->x.kind == T_BOOL   ? "true or false"
	       : h->x.kind == T_NAME   ? "a name"
				       : NULL;
}

/* `expected X, found Y`, with Y in words unless it is a sign. */
static bool wrong_token(struct hint *h, const char *expected)
{
	const char *name = name_of(h);

	if (h->x.kind == T_JUNK && h->x.text.p[0] == '"')
		return wrong(h, h->x.at, "this text is never closed");
	if (name)
		return wrong(h, h->x.at, "expected %s, found %s", expected, name);
	if ((unsigned char)h->x.text.p[0] >= 0x80)
		return wrong(h, h->x.at,
			"expected %s; letters beyond ASCII stand in quoted text only", expected);
	if (h->x.kind == T_JUNK)
		return wrong(h, h->x.at, "expected %s, found a stray sign", expected);
	return wrong(h, h->x.at, "expected %s, found \"%c\"", expected, h->x.text.p[0]);
}

static bool wrong_close(struct hint *h, char open, unsigned opened)
{
	if (h->x.kind == T_END)
		return wrong(h, opened, "this \"%c\" is never closed", open);
	return wrong(h, h->x.at, "\"%c\" of line %u is not closed before \"%c\"", open, opened,
		h->x.text.p[0]);
}

static bool rule_value(struct hint *h);

/* Behind a number, on its line: a word or sign that belongs to it. */
static bool rule_number(struct hint *h)
{
	unsigned line = h->x.at;

	next(&h->x);
	if (h->x.at != line || h->x.kind == T_END)
		return true;
	if (h->x.kind == T_NAME || h->x.kind == T_JUNK ||
		(h->x.glued && (h->x.kind == T_NUMBER || is_mark(h, ':'))))
		return wrong_number(h, line, h->x.text);
	return true;
}

static bool rule_items(struct hint *h, char open, char close)
{
	unsigned opened = h->x.at;

	next(&h->x);
	if (is_mark(h, close)) {
		next(&h->x);
		return true;
	}
	for (;;) {
		if (h->x.kind == T_END)
			return wrong_close(h, open, opened);
		if (open == '[' && (is_mark(h, '{') || is_mark(h, '(') || is_mark(h, '[')))
			return wrong(
				h, h->x.at, "[ ] holds single values; groups go in a list ( )");
		if (!rule_value(h))
			return false;
		if (is_mark(h, close))
			break;
		if (is_mark(h, '}') || is_mark(h, ')') || is_mark(h, ']') || h->x.kind == T_END)
			return wrong_close(h, open, opened);
		if (is_mark(h, ';'))
			return wrong(h, h->x.at, "\";\" within %c %c: items are parted by \",\"",
				open, close);
		if (!is_mark(h, ','))
			return wrong(h, h->x.at, "\",\" is missing before this item");
		next(&h->x);
		if (is_mark(h, close))
			return wrong(h, h->x.at, "comma before \"%c\"", close);
	}
	next(&h->x);
	return true;
}

static bool rule_settings(struct hint *h, char close, unsigned opened)
{
	for (;;) {
		unsigned line = h->x.at;

		if (close ? is_mark(h, close) : h->x.kind == T_END) {
			next(&h->x);
			return true;
		}
		if (h->x.kind == T_END || is_mark(h, ')') || is_mark(h, ']'))
			return close ? wrong_close(h, '{', opened) : wrong_token(h, "a key");
		if (is_mark(h, '}'))
			return wrong(h, line, "\"}\" closes nothing");
		if (h->x.kind != T_NAME)
			return wrong_token(h, "a key");
		next(&h->x);
		if (!is_mark(h, '=') && !is_mark(h, ':')) {
			if (h->x.glued && h->x.kind == T_JUNK && h->x.text.p[0] != '"')
				return wrong(h, line,
					"keys are made of ASCII letters, digits, \"-\", \"_\" and "
					"\"*\"");
			return wrong(h, line, "\"=\" is missing behind a key");
		}
		next(&h->x);
		if (!rule_value(h))
			return false;
		if (is_mark(h, ';') || is_mark(h, ','))
			next(&h->x);
	}
}

static bool rule_value(struct hint *h)
{
	unsigned line = h->x.at;
	bool good;

	if (h->x.kind == T_NUMBER)
		return rule_number(h);
	if (h->x.kind == T_STRING) {
		while (h->x.kind == T_STRING)
			next(&h->x);
		return true;
	}
	if (h->x.kind == T_BOOL) {
		next(&h->x);
		return true;
	}
	if (h->x.kind == T_NAME) {
		struct str w = h->x.text;

		if (str_ieq(w, STR("yes")) || str_ieq(w, STR("no")) || str_ieq(w, STR("on")) ||
			str_ieq(w, STR("off")))
			return wrong(h, line, "yes and no are written true and false");
		return wrong(h, line, "text needs quotes: \"…\"");
	}
	if (h->x.kind == T_JUNK && (h->x.text.p[0] == '\'' || h->x.text.p[0] == '/'))
		return wrong(h, line, "text needs double quotes: \"…\"");
	if (!is_mark(h, '{') && !is_mark(h, '(') && !is_mark(h, '['))
		return wrong_token(h, "a value");
	if (++h->depth > HINT_DEPTH)
		return wrong(h, line, "too deep");
	if (is_mark(h, '{')) {
		next(&h->x);
		good = rule_settings(h, '}', line);
	} else {
		good = rule_items(h, h->x.text.p[0], is_mark(h, '(') ? ')' : ']');
	}
	h->depth--;
	return good;
}

bool conf_hint(struct str text, unsigned *line_r, struct buf *why)
{
	struct hint h = { .x = { .rest = text, .line = 1, .line_start = true }, .why = why };

	next(&h.x);
	if (rule_settings(&h, 0, 0))
		return false;
	*line_r = h.line;
	return true;
}

bool conf_newer(struct str text, unsigned *line_r, struct buf *why)
{
	struct lexer x = { .rest = text, .line = 1, .line_start = true };
	enum token before = T_END;
	bool comma = false;

	for (next(&x); x.kind != T_END; next(&x)) {
		char c = x.kind == T_MARK ? x.text.p[0] : '\0';

		*line_r = x.at;
		if (comma && (c == ')' || c == ']')) {
			buf_printf(why, "comma before \"%c\"", c);
			return true;
		}
		if (before == T_NUMBER && x.kind == T_NAME && x.glued) {
			buf_c(why, "what is not a plain number needs quotes");
			return true;
		}
		comma = c == ',';
		before = x.kind;
	}
	return false;
}

unsigned conf_find_include(struct str text)
{
	struct lexer x = { .rest = text, .line = 1, .line_start = true };

	do
		next(&x);
	while (x.kind != T_END && !x.include);
	return x.include;
}
