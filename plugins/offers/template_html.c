/* Places in HTML. See template_html.h. */
#include "plugins/offers/template_html.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool tag_is(const struct html_place *h, const char *name)
{
	return str_is(str_n(h->tag, h->tag_n), name);
}

/* ---- the tokenizer -------------------------------------------------------------------------- */

static void end_tag(struct html_place *h)
{
	bool raw = !h->closing && (tag_is(h, "script") || tag_is(h, "style"));

	h->state = raw ? HTML_RAW : HTML_TEXT;
	h->raw_n = 0;
}

static void begin_attr(struct html_place *h, char c)
{
	h->state = HTML_ATTR_NAME;
	h->attr_n = 0;
	h->attr[h->attr_n++] = lower(c);
	h->in_value = false;
}

static void feed_text(struct html_place *h, char c)
{
	if (c == '<') {
		h->state = HTML_TAG_OPEN;
		h->tag_n = h->dashes = 0;
		h->closing = false;
	}
}

static void feed_open(struct html_place *h, char c)
{
	if (c == '/' && !h->closing) {
		h->closing = true;
	} else if (is_letter(c)) {
		h->tag[h->tag_n++] = lower(c);
		h->state = HTML_TAG_NAME;
	} else if (c == '!' || c == '?') {
		h->state = HTML_DECLARATION;
	} else {
		h->state = HTML_TEXT;
		feed_text(h, c);
	}
}

/* "<!" so far; two dashes make it a comment. */
static void feed_declaration(struct html_place *h, char c)
{
	if (c == '-' && h->dashes < 2) {
		if (++h->dashes == 2) {
			h->state = HTML_COMMENT;
			h->dashes = 0;
		}
	} else if (c == '>') {
		h->state = HTML_TEXT;
	} else {
		h->dashes = 2; /* a doctype */
	}
}

static void feed_comment(struct html_place *h, char c)
{
	if (c == '>' && h->dashes >= 2)
		h->state = HTML_TEXT;
	h->dashes = c == '-' ? (uint8_t)(h->dashes < 2 ? h->dashes + 1 : 2) : 0;
}

static void feed_in_tag(struct html_place *h, char c)
{
	if (c == '>')
		end_tag(h);
	else if (!is_space(c) && c != '/')
		begin_attr(h, c);
}

static void feed_attr_name(struct html_place *h, char c)
{
	if (c == '>')
		end_tag(h);
	else if (c == '=')
		h->state = HTML_BEFORE_VALUE;
	else if (is_space(c) || c == '/')
		h->state = HTML_IN_TAG;
	else if (h->attr_n < sizeof h->attr)
		h->attr[h->attr_n++] = lower(c);
}

/* "a = b": the blank in front of '=' was taken for the end of the name. */
static void feed_tag_rest(struct html_place *h, char c)
{
	if (c == '=' && h->attr_n) {
		h->state = HTML_BEFORE_VALUE;
		return;
	}
	feed_in_tag(h, c);
}

static void feed_before_value(struct html_place *h, char c)
{
	if (c == '"')
		h->state = HTML_VALUE_DOUBLE;
	else if (c == '\'')
		h->state = HTML_VALUE_SINGLE;
	else if (c == '>')
		end_tag(h);
	else if (!is_space(c))
		h->state = HTML_VALUE_BARE;
}

static void feed_value(struct html_place *h, char c)
{
	char end = h->state == HTML_VALUE_DOUBLE ? '"' : '\'';

	if (h->state == HTML_VALUE_BARE ? is_space(c) : c == end) {
		h->state = HTML_IN_TAG;
		h->attr_n = 0;
	} else if (h->state == HTML_VALUE_BARE && c == '>') {
		end_tag(h);
	} else {
		h->in_value = h->in_value || !is_space(c);
	}
}

/* Within script or style: "</script" ends it. */
static void feed_raw(struct html_place *h, char c)
{
	const char want = h->raw_n == 0 ? '<' : h->raw_n == 1 ? '/' : h->tag[h->raw_n - 2];

	if (lower(c) != want) {
		h->raw_n = c == '<';
		return;
	}
	if (++h->raw_n < h->tag_n + 2)
		return;
	h->closing = true;
	h->state = HTML_TAG_NAME;
}

static void feed(struct html_place *h, char c)
{
	switch (h->state) {
	case HTML_TEXT:
		feed_text(h, c);
		break;
	case HTML_TAG_OPEN:
		feed_open(h, c);
		break;
	case HTML_TAG_NAME:
		if (c == '>') {
			end_tag(h);
		} else if (is_space(c) || c == '/') {
			h->state = HTML_IN_TAG;
			h->attr_n = 0;
		} else if (h->tag_n < sizeof h->tag) {
			h->tag[h->tag_n++] = lower(c);
		}
		break;
	case HTML_IN_TAG:
		feed_tag_rest(h, c);
		break;
	case HTML_ATTR_NAME:
		feed_attr_name(h, c);
		break;
	case HTML_BEFORE_VALUE:
		feed_before_value(h, c);
		break;
	case HTML_VALUE_DOUBLE:
	case HTML_VALUE_SINGLE:
	case HTML_VALUE_BARE:
		feed_value(h, c);
		break;
	case HTML_COMMENT:
		feed_comment(h, c);
		break;
	case HTML_DECLARATION:
		feed_declaration(h, c);
		break;
	case HTML_RAW:
		feed_raw(h, c);
		break;
	}
}

void html_feed(struct html_place *h, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		feed(h, s.p[i]);
}

/* ---- the place of a value ------------------------------------------------------------------- */

static bool attr_in(const struct html_place *h, const char *names)
{
	char key[sizeof h->attr + 3] = " ";

	if (!h->attr_n)
		return false;
	memcpy(key + 1, h->attr, h->attr_n);
	key[h->attr_n + 1] = ' ';
	key[h->attr_n + 2] = '\0';
	return strstr(names, key) != NULL;
}

static const char *attr_sink(struct html_place *h, enum sink *sink_r)
{
	bool first = !h->in_value;

	h->in_value = true;
	if ((h->attr_n >= 2 && memcmp(h->attr, "on", 2) == 0) ||
		attr_in(h, " style srcset srcdoc http-equiv "))
		return "a value cannot be made safe in this attribute";
	if (!attr_in(h, " href src action background formaction poster cite data xlink:href "
			"longdesc usemap manifest ping "))
		*sink_r = SINK_ATTR;
	else
		*sink_r = first ? SINK_LINK_ATTR : SINK_QUERY;
	return NULL;
}

const char *html_sink(struct html_place *h, enum sink *sink_r)
{
	switch (h->state) {
	case HTML_TEXT:
		*sink_r = SINK_HTML;
		return NULL;
	case HTML_VALUE_DOUBLE:
	case HTML_VALUE_SINGLE:
		return attr_sink(h, sink_r);
	case HTML_BEFORE_VALUE:
	case HTML_VALUE_BARE:
		return "a value in an attribute needs quotes around it";
	case HTML_COMMENT:
		return "a value cannot stand in a comment";
	case HTML_RAW:
		return "a value cannot be made safe within script or style";
	default:
		return "a value can stand in text or in a quoted attribute, not within a tag";
	}
}

const char *html_unfinished(const struct html_place *h)
{
	switch (h->state) {
	case HTML_TEXT:
		return NULL;
	case HTML_COMMENT:
		return "the page ends within a comment";
	case HTML_RAW:
		return "the page ends within script or style";
	default:
		return "the page ends within a tag";
	}
}

/* ---- the text alternative ------------------------------------------------------------------- */

struct reading {
	struct buf *out;
	struct str s;
	bool tokens;
	unsigned hidden; /* within head, style, script, title */
	unsigned breaks; /* line ends owed */
	bool blank;      /* a blank owed */
	struct str href; /* of the link that is open */
	size_t link_at;
};

static void put_owed(struct reading *r)
{
	if (r->out->n == 0)
		r->breaks = 0;
	for (unsigned i = 0; i < r->breaks; i++)
		buf_char(r->out, '\n');
	if (r->blank && !r->breaks && r->out->n)
		buf_char(r->out, ' ');
	r->breaks = 0;
	r->blank = false;
}

static void put_text(struct reading *r, struct str s)
{
	if (r->hidden)
		return;
	put_owed(r);
	buf_str(r->out, s);
}

static void owe_breaks(struct reading *r, unsigned n)
{
	if (r->breaks < n)
		r->breaks = n;
	r->blank = false;
}

/* A token of a template passes whole: what looks like markup in it is none. */
static size_t token_size(struct str s)
{
	ptrdiff_t end;

	if (s.n < 2 || s.p[0] != '$')
		return 0;
	if (s.p[1] == '$')
		return 2;
	if (s.p[1] != '{')
		return 1;
	end = str_index(s, '}');
	return end < 0 ? s.n : (size_t)end + 1;
}

static const struct {
	const char *name, *text;
} entities[] = {
	{ "amp", "&" },
	{ "lt", "<" },
	{ "gt", ">" },
	{ "quot", "\"" },
	{ "apos", "'" },
	{ "nbsp", " " },
	{ "ndash", "–" },
	{ "mdash", "—" },
	{ "hellip", "…" },
	{ "copy", "©" },
	{ "reg", "®" },
	{ "trade", "™" },
	{ "euro", "€" },
	{ "pound", "£" },
	{ "laquo", "«" },
	{ "raquo", "»" },
	{ "lsquo", "‘" },
	{ "rsquo", "’" },
	{ "ldquo", "“" },
	{ "rdquo", "”" },
	{ "bull", "•" },
	{ "middot", "·" },
	{ "times", "×" },
	{ "rarr", "→" },
	{ "shy", "" },
	{ "zwnj", "" },
	{ "deg", "°" },
};

static uint32_t number_of(struct str s)
{
	bool hex = s.n && (s.p[0] | 0x20) == 'x';
	uint32_t v = 0;

	for (size_t i = hex; i < s.n; i++) {
		char c = (char)(s.p[i] | 0x20);
		unsigned d =
			c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : (unsigned)(s.p[i] - '0');

		if (d >= (hex ? 16 : 10) || v > 0x10ffff)
			return 0;
		v = v * (hex ? 16 : 10) + d;
	}
	return v >= 0x20 && v <= 0x10ffff && !(v >= 0xd800 && v <= 0xdfff) &&
			       !(v >= 0x7f && v < 0xa0)
		       ? v
		       : 0;
}

/* Takes an entity off r->s when one stands there. */
static bool read_entity(struct reading *r)
{
	struct buf one = BUF_INIT;
	ptrdiff_t end = str_index(str_n(r->s.p, r->s.n < 12 ? r->s.n : 12), ';');
	struct str name;
	bool found = false;

	if (end < 2)
		return false;
	name = str_n(r->s.p + 1, (size_t)end - 1);
	if (name.p[0] == '#') {
		uint32_t c = number_of(str_skip(name, 1));

		if (c) {
			buf_utf8(&one, c);
			found = true;
		}
	}
	for (size_t i = 0; !found && i < sizeof entities / sizeof *entities; i++)
		if (str_is(name, entities[i].name)) {
			buf_c(&one, entities[i].text);
			found = true;
		}
	if (found) {
		/* a dollar sign that the author wrote as an entity is no token */
		if (r->tokens && str_is(buf_view(&one), "$"))
			buf_char(&one, '$');
		put_text(r, buf_view(&one));
		r->s = str_skip(r->s, (size_t)end + 1);
	}
	buf_free(&one);
	return found;
}

/* The attribute's value within a tag's text, quotes off. */
static struct str attr_value(struct str tag, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i + n < tag.n; i++) {
		struct str v;
		char quote;
		ptrdiff_t end;

		if (!is_space(tag.p[i]) ||
			!str_ieq(str_n(tag.p + i + 1, n < tag.n - i - 1 ? n : 0), str_of(name)))
			continue;
		v = str_skip(tag, i + 1 + n);
		while (v.n && is_space(v.p[0]))
			v = str_skip(v, 1);
		if (!v.n || v.p[0] != '=')
			continue;
		v = str_trim(str_skip(v, 1));
		quote = v.n ? v.p[0] : 0;
		if (quote != '"' && quote != '\'')
			return STR_NONE;
		v = str_skip(v, 1);
		end = str_index(v, quote);
		return end < 0 ? STR_NONE : str_n(v.p, (size_t)end);
	}
	return STR_NONE;
}

static bool one_of(struct str name, const char *names)
{
	char key[20] = " ";

	if (name.n == 0 || name.n > sizeof key - 3)
		return false;
	for (size_t i = 0; i < name.n; i++)
		key[i + 1] = lower(name.p[i]);
	key[name.n + 1] = ' ';
	key[name.n + 2] = '\0';
	return strstr(names, key) != NULL;
}

static void close_link(struct reading *r)
{
	struct str text = str_n(r->out->p + r->link_at, r->out->n - r->link_at);
	struct buf address = BUF_INIT;

	if (!r->href.n || r->hidden)
		return;
	if (!str_eq(str_trim(text), r->href)) {
		r->blank = r->blank || r->out->n > r->link_at;
		put_owed(r);
		buf_char(r->out, '(');
		html_to_text(&address, r->href, r->tokens); /* its entities */
		buf_str(r->out, buf_view(&address));
		buf_char(r->out, ')');
		buf_free(&address);
	}
	r->href = STR_NONE;
}

static void read_tag(struct reading *r, struct str tag)
{
	bool closing = tag.n && tag.p[0] == '/';
	struct str name = closing ? str_skip(tag, 1) : tag;
	size_t n = 0;

	while (n < name.n && !is_space(name.p[n]) && name.p[n] != '/')
		n++;
	name.n = n;
	if (one_of(name, " script style head title ")) {
		if (!closing)
			r->hidden++;
		else if (r->hidden)
			r->hidden--;
	} else if (one_of(name, " br tr div li dt dd section header footer article center form ")) {
		owe_breaks(r, str_ieq(name, STR("br")) && r->breaks ? r->breaks + 1 : 1);
	} else if (one_of(name, " p h1 h2 h3 h4 h5 h6 table ul ol blockquote hr pre dl ")) {
		owe_breaks(r, 2);
	} else if (one_of(name, " td th ")) {
		r->blank = true;
	} else if (one_of(name, " img ") && attr_value(tag, "alt").n) {
		put_text(r, attr_value(tag, "alt"));
	} else if (one_of(name, " a ")) {
		if (closing) {
			close_link(r);
		} else {
			struct str href = attr_value(tag, "href");

			put_owed(r);
			r->href = str_starts(href, STR("#")) ? STR_NONE : href;
			r->link_at = r->out->n;
		}
	}
	if (!closing && one_of(name, " li "))
		put_text(r, STR("- "));
}

/* s begins at '<'. The bytes of the whole tag or comment; 0: it is none. */
static size_t tag_size(struct str s, bool tokens)
{
	char quote = 0;

	if (str_starts(s, STR("<!--"))) {
		ptrdiff_t end = str_find(str_skip(s, 4), STR("-->"));

		return end < 0 ? s.n : (size_t)end + 7;
	}
	if (s.n < 2 || !(is_letter(s.p[1]) || strchr("/!?", s.p[1])))
		return 0;
	for (size_t i = 1; i < s.n; i++) {
		size_t token = tokens ? token_size(str_skip(s, i)) : 0;

		if (token > 1) {
			i += token - 1;
			continue;
		}
		if (quote)
			quote = s.p[i] == quote ? 0 : quote;
		else if (s.p[i] == '"' || s.p[i] == '\'')
			quote = s.p[i];
		else if (s.p[i] == '>')
			return i + 1;
	}
	return s.n;
}

/* What script and style hold is no markup: on to their end tag. */
static void skip_raw(struct reading *r, struct str tag)
{
	bool script = str_n(tag.p, tag.n < 6 ? tag.n : 6).n == 6 &&
		      str_ieq(str_n(tag.p, 6), STR("script"));
	struct str end = script ? STR("</script") : STR("</style");

	if (!script && !(tag.n >= 5 && str_ieq(str_n(tag.p, 5), STR("style"))))
		return;
	while (r->s.n >= end.n && !str_ieq(str_n(r->s.p, end.n), end))
		r->s = str_skip(r->s, 1);
}

void html_to_text(struct buf *out, struct str page, bool tokens)
{
	struct reading r = { .out = out, .s = page, .tokens = tokens };

	while (r.s.n) {
		size_t n = tokens ? token_size(r.s) : 0;

		if (n) {
			put_text(&r, str_n(r.s.p, n));
			r.s = str_skip(r.s, n);
		} else if (r.s.p[0] == '<' && (n = tag_size(r.s, tokens)) > 0) {
			struct str tag =
				str_n(r.s.p + 1, n - (n > 1 && r.s.p[n - 1] == '>' ? 2 : 1));

			r.s = str_skip(r.s, n);
			if (tag.n && tag.p[0] != '!' && tag.p[0] != '?') {
				read_tag(&r, tag);
				skip_raw(&r, tag);
			}
		} else if (is_space(r.s.p[0])) {
			r.blank = true;
			r.s = str_skip(r.s, 1);
		} else if (r.s.p[0] != '&' || !read_entity(&r)) {
			put_text(&r, str_n(r.s.p, 1));
			r.s = str_skip(r.s, 1);
		}
	}
}
