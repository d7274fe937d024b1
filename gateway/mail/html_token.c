/* HTML cut into tokens. See html.h. Forgiving: what is no tag is text, what does not end ends with
 * the text. Each octet is looked at a bounded number of times.
 */
#include "gateway/mail/html.h"

#include <stdlib.h>

static const struct entity {
	const char *name;
	uint32_t c;
} entities[] = {
#define ENTITY(name, c) { name, c },
#include "gateway/tables/html_entities.def"
#undef ENTITY
};

enum { ENTITY_MOST = 12 };

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Windows-1252, which numbers from 128 to 159 mean whatever the standard says. */
static uint32_t known_number(uint32_t c)
{
	static const uint16_t cp1252[32] = { 0x20ac, 0, 0x201a, 0x192, 0x201e, 0x2026, 0x2020,
		0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0, 0x17d, 0, 0, 0x2018, 0x2019, 0x201c,
		0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0, 0x17e,
		0x178 };

	if (c >= 128 && c < 160)
		c = cp1252[c - 128];
	return c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0xfffd : c;
}

static size_t numeric_entity(struct str s, uint32_t *c_r)
{
	bool hex = s.n > 2 && (s.p[2] | 0x20) == 'x';
	size_t i = hex ? 3 : 2, first = i;
	uint32_t c = 0;

	for (; i < s.n && i < first + 16; i++) {
		unsigned d = is_digit(s.p[i]) ? (unsigned)(s.p[i] - '0') : 99;

		if (hex && (s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'f')
			d = (unsigned)((s.p[i] | 0x20) - 'a') + 10;
		if (d == 99)
			break;
		c = c > 0x110000 ? c : c * (hex ? 16 : 10) + d;
	}
	if (i == first)
		return 0;
	*c_r = known_number(c);
	return i < s.n && s.p[i] == ';' ? i + 1 : i;
}

static int by_name(const void *key, const void *element)
{
	const struct str *k = key;

	return str_cmp(*k, str_of(((const struct entity *)element)->name));
}

size_t html_entity(struct str s, uint32_t *c_r)
{
	size_t n = 1;
	struct str name;
	const struct entity *e;

	if (s.n > 2 && s.p[1] == '#')
		return numeric_entity(s, c_r);
	while (n < s.n && n <= ENTITY_MOST && (is_letter(s.p[n]) || is_digit(s.p[n])))
		n++;
	name = str_n(s.p + 1, n - 1);
	e = bsearch(
		&name, entities, sizeof entities / sizeof entities[0], sizeof entities[0], by_name);
	/* Without its ";" a name is taken only where nothing else can be meant, as in URLs. */
	if (!e || n == s.n || s.p[n] != ';')
		return 0;
	*c_r = e->c;
	return n + 1;
}

void html_decode(struct str s, struct buf *out)
{
	while (s.n) {
		ptrdiff_t amp = str_index(s, '&');
		uint32_t c;
		size_t n;

		if (amp < 0)
			amp = (ptrdiff_t)s.n;
		buf_add(out, s.p, (size_t)amp);
		s = str_skip(s, (size_t)amp);
		if (!s.n)
			break;
		n = html_entity(s, &c);
		if (n) {
			buf_utf8(out, c);
			s = str_skip(s, n);
		} else {
			buf_char(out, '&');
			s = str_skip(s, 1);
		}
	}
}

static const struct element {
	const char *name;
	enum html_tag tag;
	bool empty;
} elements[] = {
	{ "br", HTML_BR, true },
	{ "p", HTML_PARAGRAPH, false },
	{ "a", HTML_LINK, false },
	{ "td", HTML_CELL, false },
	{ "tr", HTML_BLOCK, false },
	{ "div", HTML_BLOCK, false },
	{ "img", HTML_IMAGE, true },
	{ "table", HTML_TABLE, false },
	{ "th", HTML_CELL, false },
	{ "li", HTML_ITEM, false },
	{ "ul", HTML_LIST, false },
	{ "ol", HTML_NUMBERED, false },
	{ "h1", HTML_PARAGRAPH, false },
	{ "h2", HTML_PARAGRAPH, false },
	{ "h3", HTML_PARAGRAPH, false },
	{ "h4", HTML_PARAGRAPH, false },
	{ "h5", HTML_PARAGRAPH, false },
	{ "h6", HTML_PARAGRAPH, false },
	{ "hr", HTML_RULE, true },
	{ "blockquote", HTML_QUOTE, false },
	{ "pre", HTML_PRE, false },
	{ "script", HTML_RAW, false },
	{ "style", HTML_RAW, false },
	{ "title", HTML_RAW, false },
	{ "template", HTML_RAW, false },
	{ "noembed", HTML_RAW, false },
	{ "noframes", HTML_RAW, false },
	{ "xmp", HTML_RAW, false },
	{ "iframe", HTML_RAW, false },
	{ "object", HTML_RAW, false },
	{ "select", HTML_RAW, false },
	{ "textarea", HTML_RAW, false },
	{ "svg", HTML_RAW, false },
	{ "math", HTML_RAW, false },
	{ "address", HTML_BLOCK, false },
	{ "article", HTML_BLOCK, false },
	{ "aside", HTML_BLOCK, false },
	{ "body", HTML_BLOCK, false },
	{ "caption", HTML_BLOCK, false },
	{ "center", HTML_BLOCK, false },
	{ "dd", HTML_BLOCK, false },
	{ "details", HTML_BLOCK, false },
	{ "dir", HTML_LIST, false },
	{ "dl", HTML_PARAGRAPH, false },
	{ "dt", HTML_BLOCK, false },
	{ "fieldset", HTML_BLOCK, false },
	{ "figcaption", HTML_BLOCK, false },
	{ "figure", HTML_BLOCK, false },
	{ "footer", HTML_BLOCK, false },
	{ "form", HTML_BLOCK, false },
	{ "header", HTML_BLOCK, false },
	{ "legend", HTML_BLOCK, false },
	{ "main", HTML_BLOCK, false },
	{ "menu", HTML_LIST, false },
	{ "nav", HTML_BLOCK, false },
	{ "section", HTML_BLOCK, false },
	{ "summary", HTML_BLOCK, false },
	{ "tbody", HTML_BLOCK, false },
	{ "tfoot", HTML_BLOCK, false },
	{ "thead", HTML_BLOCK, false },
	{ "input", HTML_OTHER, true },
	{ "meta", HTML_OTHER, true },
	{ "link", HTML_OTHER, true },
	{ "base", HTML_OTHER, true },
	{ "col", HTML_OTHER, true },
	{ "area", HTML_OTHER, true },
	{ "embed", HTML_OTHER, true },
	{ "source", HTML_OTHER, true },
	{ "track", HTML_OTHER, true },
	{ "wbr", HTML_OTHER, true },
};

static void find_element(struct html_token *t)
{
	t->tag = HTML_OTHER;
	t->empty = false;
	for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++)
		if (str_ieq(t->name, str_of(elements[i].name))) {
			t->tag = elements[i].tag;
			t->empty = elements[i].empty;
			return;
		}
}

/* Behind the ">" that ends the tag, quoted values passed over. A quote that nothing closes is no
 * quote: then the next ">" ends it. */
static size_t tag_end(struct str s, size_t i)
{
	size_t first = 0;
	char quote = 0;

	for (; i < s.n; i++) {
		char c = s.p[i];

		if (c == '>' && !first)
			first = i + 1;
		if (quote) {
			if (c == quote)
				quote = 0;
		} else if (c == '>') {
			return i + 1;
		} else if ((c == '"' || c == '\'') && i &&
			   (s.p[i - 1] == '=' || is_space(s.p[i - 1]))) {
			quote = c;
			first = 0;
		}
	}
	return first ? first : s.n;
}

/* Behind the end tag of a raw element; all the rest when there is none. */
static size_t raw_end(struct str s, struct str name)
{
	size_t i = 0;

	while (i < s.n) {
		const char *lt = memchr(s.p + i, '<', s.n - i);

		if (!lt)
			return s.n;
		i = (size_t)(lt - s.p);
		if (s.n - i > name.n + 2 && s.p[i + 1] == '/' &&
			str_ieq(str_n(s.p + i + 2, name.n), name) &&
			!is_letter(s.p[i + 2 + name.n]))
			return tag_end(s, i);
		i++;
	}
	return s.n;
}

/* s begins with "<!" or "<?": comments, declarations, conditional comments. */
static size_t declaration_end(struct str s)
{
	ptrdiff_t end;

	if (str_starts(s, STR("<!--"))) {
		if (str_starts(s, STR("<!-->")))
			return 5;
		end = str_find(str_skip(s, 4), STR("-->"));
		return end < 0 ? s.n : (size_t)end + 7;
	}
	end = str_index(s, '>');
	return end < 0 ? s.n : (size_t)end + 1;
}

/* s begins with "<". Octets of the tag, or 0: it is text. */
static size_t take_tag(struct str s, struct html_token *t)
{
	size_t i = 1, from, end;

	t->kind = HTML_START;
	if (i < s.n && s.p[i] == '/') {
		t->kind = HTML_END;
		i++;
	}
	if (i >= s.n || !is_letter(s.p[i]))
		return 0;
	for (from = i; i < s.n && !is_space(s.p[i]) && s.p[i] != '>' && s.p[i] != '/';)
		i++;
	t->name = str_n(s.p + from, i - from);
	end = tag_end(s, i);
	t->text = str_n(s.p + i, end - i - (end > i && s.p[end - 1] == '>'));
	find_element(t);
	return end;
}

bool html_next(struct str *rest, struct html_token *t_r)
{
	while (rest->n) {
		struct str s = *rest;
		ptrdiff_t lt;
		size_t n;

		*t_r = (struct html_token){ .kind = HTML_TEXT };
		if (s.p[0] != '<') {
			lt = str_index(s, '<');
			t_r->text = str_n(s.p, lt < 0 ? s.n : (size_t)lt);
			*rest = str_skip(s, t_r->text.n);
			return true;
		}
		if (s.n > 1 && (s.p[1] == '!' || s.p[1] == '?')) {
			*rest = str_skip(s, declaration_end(s));
			continue;
		}
		n = take_tag(s, t_r);
		if (!n) { /* a lone "<" */
			*t_r = (struct html_token){ .kind = HTML_TEXT, .text = str_n(s.p, 1) };
			*rest = str_skip(s, 1);
			return true;
		}
		*rest = str_skip(s, n);
		if (t_r->tag == HTML_RAW) {
			if (t_r->kind == HTML_START &&
				!(t_r->text.n && t_r->text.p[t_r->text.n - 1] == '/'))
				*rest = str_skip(*rest, raw_end(*rest, t_r->name));
			continue;
		}
		return true;
	}
	return false;
}

struct str html_attribute(struct str s, struct str name)
{
	size_t i = 0;

	while (i < s.n) {
		size_t from, end;
		struct str key, value = STR_NONE;

		while (i < s.n && (is_space(s.p[i]) || s.p[i] == '/'))
			i++;
		for (from = i; i < s.n && !is_space(s.p[i]) && s.p[i] != '=';)
			i++;
		key = str_n(s.p + from, i - from);
		while (i < s.n && is_space(s.p[i]))
			i++;
		if (i < s.n && s.p[i] == '=') {
			char quote;

			for (i++; i < s.n && is_space(s.p[i]);)
				i++;
			quote = i < s.n && (s.p[i] == '"' || s.p[i] == '\'') ? s.p[i] : 0;
			if (quote)
				i++;
			for (end = i;
				end < s.n && (quote ? s.p[end] != quote : !is_space(s.p[end]));)
				end++;
			value = str_n(s.p + i, end - i);
			i = end < s.n ? end + 1 : end;
			if (!key.n)
				continue;
		} else if (!key.n) {
			i++;
			continue;
		}
		if (str_ieq(key, name))
			return value.n ? value : str_n(s.p, 0);
	}
	return STR_NONE;
}

bool html_is_hidden(struct str tag)
{
	struct str style;
	char plain[512];
	size_t n = 0;

	if (tag.n < 6)
		return false;
	style = html_attribute(tag, STR("style"));
	for (size_t i = 0; i < style.n && n + 1 < sizeof plain; i++)
		if (!is_space(style.p[i]))
			plain[n++] = (char)(style.p[i] >= 'A' && style.p[i] <= 'Z' ? style.p[i] + 32
										   : style.p[i]);
	return str_find(str_n(plain, n), STR("display:none")) >= 0 ||
	       str_find(str_n(plain, n), STR("mso-hide:all")) >= 0;
}
