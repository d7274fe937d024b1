/* The matrix of contents, and approved patterns. See content.h. */
#include "plugins/offers/content.h"

#include "gateway/base/err.h"
#include "gateway/base/mem.h"

/* ---- the matrix ----------------------------------------------------------------------------- */

static const char *refuse_plain(enum media m, unsigned c)
{
	if (c & CONTENT_HTML)
		return "carries text only: no markup";
	if (c & CONTENT_IMAGE)
		return "carries text only: no image";
	if (c & CONTENT_BUTTON)
		return "carries text only: no button";
	if (c & CONTENT_LINK)
		return "carries text only: no link beside it";
	return c & CONTENT_TEXT ? NULL : "needs a text";
}

static const char *refuse_email(unsigned c)
{
	if (c & CONTENT_BUTTON)
		return "carries formatted text, images and links: no button";
	return c & (CONTENT_TEXT | CONTENT_HTML) ? NULL : "needs html or text";
}

static const char *refuse_push(unsigned c)
{
	if (c & CONTENT_HTML)
		return "carries text, an image, or both: no markup";
	if (c & CONTENT_BUTTON)
		return "carries text, an image, or both: no button";
	if (c & CONTENT_LINK)
		return "carries text, an image, or both: no link";
	return c ? NULL : "needs a text or an image";
}

static const char *refuse_viber(unsigned c)
{
	if (c & CONTENT_HTML)
		return "carries plain text: no markup";
	if (c & CONTENT_LINK)
		return "has at most one link, and it is the button";
	switch (c) {
	case 0:
		return "needs a text or an image";
	case CONTENT_BUTTON:
		return "cannot have a button without a text";
	case CONTENT_IMAGE | CONTENT_BUTTON:
		return "cannot have an image and a button without a text";
	case CONTENT_TEXT | CONTENT_IMAGE:
		return "cannot have a text and an image without a button";
	default:
		return NULL;
	}
}

const char *content_refusal(enum media m, unsigned c)
{
	switch (m) {
	case MEDIA_EMAIL:
		return refuse_email(c);
	case MEDIA_PUSH:
		return refuse_push(c);
	case MEDIA_VIBER:
		return refuse_viber(c);
	default:
		return refuse_plain(m, c);
	}
}

/* ---- markup and links in plain text --------------------------------------------------------- */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* s begins behind "<". A sign "less than" is none: only tags that exist count. */
static bool is_tag(struct str s)
{
	static const char tags[] =
		" a abbr address article b big blockquote body br button center "
		"code dd del div dl dt em font footer form h1 h2 h3 h4 h5 h6 "
		"head header hr html i iframe img input ins label li link main "
		"mark meta nav ol p pre q s script section small span strike "
		"strong style sub sup svg table tbody td textarea tfoot th thead "
		"title tr tt u ul video ";
	char key[16] = " ";
	size_t n = 0;

	if (s.n && s.p[0] == '/')
		s = str_skip(s, 1);
	if (str_starts(s, STR("!--")))
		return true;
	while (n < s.n && n < sizeof key - 3 && (is_letter(s.p[n]) || is_digit(s.p[n]))) {
		key[n + 1] = (char)(s.p[n] | 0x20);
		n++;
	}
	key[n + 1] = ' ';
	key[n + 2] = '\0';
	if (n == 0 || n == s.n || !strchr(" \t\r\n/>", s.p[n]) || !strstr(tags, key))
		return false;
	return str_index(s, '>') >= 0;
}

/* s begins behind "&". */
static bool is_entity(struct str s)
{
	size_t n = 0;

	if (n < s.n && s.p[n] == '#') {
		n++;
		if (n < s.n && (s.p[n] | 0x20) == 'x')
			n++;
		while (n < s.n &&
			(is_digit(s.p[n]) || ((s.p[n] | 0x20) >= 'a' && (s.p[n] | 0x20) <= 'f')))
			n++;
		return n > 1 && n < s.n && s.p[n] == ';';
	}
	while (n < s.n && n < 10 && (is_letter(s.p[n]) || (n && is_digit(s.p[n]))))
		n++;
	return n > 1 && n < s.n && s.p[n] == ';';
}

ptrdiff_t content_markup(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((text.p[i] == '<' && is_tag(str_skip(text, i + 1))) ||
			(text.p[i] == '&' && is_entity(str_skip(text, i + 1))))
			return (ptrdiff_t)i;
	return -1;
}

ptrdiff_t content_link(struct str text)
{
	for (size_t i = 0; i + 4 < text.n; i++) {
		struct str rest = str_skip(text, i);

		if (rest.p[0] == ':' && str_starts(rest, STR("://")) && i &&
			is_letter(rest.p[-1])) {
			while (i && is_letter(text.p[i - 1]))
				i--;
			return (ptrdiff_t)i;
		}
		if ((rest.p[0] | 0x20) == 'w' && (i == 0 || !is_letter(text.p[i - 1])) &&
			str_ieq(str_n(rest.p, 4), STR("www.")))
			return (ptrdiff_t)i;
	}
	return -1;
}

/* ---- approved patterns ---------------------------------------------------------------------- */

enum piece_kind { PIECE_CHAR, PIECE_NUMBER, PIECE_WORD, PIECE_ANY };

struct piece {
	enum piece_kind kind;
	char c;
};

const char *content_pattern_wrong(struct str p)
{
	for (size_t i = 0; i < p.n; i++)
		if (p.p[i] == '%' && (++i == p.n || !strchr("dw*%", p.p[i])))
			return "'%' is followed by d, w, * or %";
	return NULL;
}

static struct piece take_piece(struct str *p)
{
	char c = p->p[0];

	*p = str_skip(*p, 1);
	if (c != '%' || !p->n)
		return (struct piece){ PIECE_CHAR, c };
	c = p->p[0];
	*p = str_skip(*p, 1);
	switch (c) {
	case 'd':
		return (struct piece){ PIECE_NUMBER, 0 };
	case 'w':
		return (struct piece){ PIECE_WORD, 0 };
	case '*':
		return (struct piece){ PIECE_ANY, 0 };
	default:
		return (struct piece){ PIECE_CHAR, c };
	}
}

/* Numbers may be grouped and have a point: 1 250,50. A no-break blank is two bytes. */
static bool within(enum piece_kind k, char c)
{
	switch (k) {
	case PIECE_NUMBER:
		return is_digit(c) || strchr(".,' -", c) || (uint8_t)c == 0xc2 ||
		       (uint8_t)c == 0xa0;
	case PIECE_WORD:
		return c != ' ' && c != '\n' && c != '\t';
	default:
		return c != '\n';
	}
}

/* at[i]: the pattern so far can have matched the first i bytes. One row for each piece: no
 * backtracking, whatever pattern and text are. */
bool content_approved(struct str pattern, struct str text)
{
	bool *at = mem_alloc(2 * (text.n + 1)), *next = at + text.n + 1, *start = at, ok;

	at[0] = true;
	while (pattern.n) {
		struct piece piece = take_piece(&pattern);
		bool *swap;

		memset(next, 0, text.n + 1);
		for (size_t i = 0; i < text.n; i++)
			if (piece.kind == PIECE_CHAR)
				next[i + 1] = at[i] && text.p[i] == piece.c;
			else /* one byte at least, but for %* */
				next[i + 1] = (at[i] || next[i]) && within(piece.kind, text.p[i]);
		if (piece.kind == PIECE_ANY)
			for (size_t i = 0; i <= text.n; i++)
				next[i] = next[i] || at[i];
		swap = at;
		at = next;
		next = swap;
	}
	ok = at[text.n];
	mem_free(&start);
	return ok;
}
