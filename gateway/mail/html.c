/* Plain text from HTML: what a reader without HTML should see. See mail.h.
 *
 * A tokenizer in the spirit of the HTML standard, forgiving as mail programs are, and a writer that
 * knows blocks, lists, links, quotes and tables. One pass; what nests is bounded, so the text is
 * never more than a few times as long as the HTML.
 */
#include "gateway/mail/html.h"
#include "gateway/mail/mail.h"

#include <stdlib.h>

enum { LISTS = 8, QUOTES = 6, LINK_MOST = 2000 };

struct writer {
	struct buf *out;
	size_t start;    /* of ours in out */
	unsigned breaks; /* line ends that are due before the next word: 0, 1 or 2 */
	bool blank;      /* a space is due */
	bool gap;        /* the next cell of a row is due to be set off */
	unsigned pre, quotes;
	unsigned lists; /* depth; counted beyond LISTS, too */
	unsigned number[LISTS];
	bool ordered[LISTS];
	bool item;       /* a bullet is due */
	struct buf href; /* of the link that is open */
	size_t link_at;  /* where its text begins in out */
	bool in_link;
};

/* ---- writing ----------------------------------------------------------------------------- */

static void indent(struct writer *w)
{
	for (unsigned i = 0; i < w->quotes && i < QUOTES; i++)
		buf_str(w->out, STR("> "));
	for (unsigned i = 1; i < w->lists && i < LISTS; i++)
		buf_str(w->out, STR("  "));
	if (w->item && w->lists) {
		unsigned at = w->lists <= LISTS ? w->lists - 1 : LISTS - 1;

		if (w->ordered[at])
			buf_printf(w->out, "%u. ", w->number[at]);
		else
			buf_str(w->out, STR("- "));
		w->item = false;
	} else if (w->lists) {
		buf_str(w->out, STR("  "));
	}
}

/* Line ends and blanks that are due; called before anything visible is written. */
static void begin_word(struct writer *w)
{
	if (w->out->n == w->start) {
		indent(w);
	} else if (w->breaks) {
		for (; w->breaks; w->breaks--)
			buf_char(w->out, '\n');
		indent(w);
	} else if (w->gap) {
		buf_str(w->out, STR("  "));
	} else if (w->blank) {
		buf_char(w->out, ' ');
	}
	w->breaks = 0;
	w->blank = w->gap = false;
}

static void due(struct writer *w, unsigned breaks)
{
	if (w->breaks < breaks)
		w->breaks = breaks;
	w->blank = w->gap = false;
}

/* <br>: each counts, up to an empty line. */
static void line_break(struct writer *w)
{
	if (w->breaks < 2)
		w->breaks++;
	w->blank = w->gap = false;
}

static void put_char(struct writer *w, uint32_t c)
{
	bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';

	/* Marks without width that mailers fill preview lines with. */
	if (c == 0xad || c == 0x200b || c == 0x200c || c == 0xfeff || c == 0x034f || c == 0x2060)
		return;
	if (space && w->pre) {
		if (c == '\n')
			line_break(w);
		else if (c != '\r') {
			begin_word(w);
			buf_char(w->out, ' ');
		}
		return;
	}
	if (space || c == 0xa0) {
		w->blank = true;
		return;
	}
	if (c < ' ' || c == 0x7f)
		return;
	begin_word(w);
	buf_utf8(w->out, c);
}

static void put_text(struct writer *w, struct str s)
{
	while (s.n) {
		uint32_t c;

		if (s.p[0] == '&') {
			size_t n = html_entity(s, &c);

			if (n) {
				put_char(w, c);
				s = str_skip(s, n);
				continue;
			}
		}
		if ((unsigned char)s.p[0] < 0x80) {
			put_char(w, (unsigned char)s.p[0]);
			s = str_skip(s, 1);
		} else {
			int32_t v = str_utf8_next(&s);

			put_char(w, v < 0 ? 0xfffd : (uint32_t)v);
		}
	}
}

/* ---- elements ---------------------------------------------------------------------------- */

static void link_open(struct writer *w, struct str tag)
{
	struct str href = html_attribute(tag, STR("href"));

	w->in_link = true;
	w->href.n = 0;
	if (href.n <= LINK_MOST)
		html_decode(href, &w->href);
	w->link_at = w->out->n;
}

/* "text (target)", or the target alone where the text says it, or there is none. */
static void link_close(struct writer *w)
{
	struct str href = str_trim(buf_view(&w->href)), said, bare;
	static const char *const targets[] = { "http://", "https://", "mailto:", "tel:" };
	bool goes = false;

	if (!w->in_link)
		return;
	w->in_link = false;
	for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
		goes |= href.n > strlen(targets[i]) &&
			str_ieq(str_n(href.p, strlen(targets[i])), str_of(targets[i]));
	for (size_t i = 0; i < href.n; i++)
		goes &= (unsigned char)href.p[i] > ' ' && href.p[i] != 0x7f;
	if (!goes || !str_utf8_valid(href))
		return;
	said = w->out->n > w->link_at
		       ? str_trim(str_n(w->out->p + w->link_at, w->out->n - w->link_at))
		       : STR_NONE;
	bare = href;
	if ((href.p[0] | 0x20) == 'm' || (href.p[0] | 0x20) == 't') {
		ptrdiff_t q;

		bare = str_skip(href, (size_t)str_index(href, ':') + 1);
		q = str_index(bare, '?');
		if (q >= 0)
			bare.n = (size_t)q;
	}
	if (!bare.n || str_ieq(said, bare) || str_ieq(said, href) ||
		(str_starts(href, STR("http")) && said.n + 3 < href.n && str_ends(href, said) &&
			said.n > 4 && href.p[href.n - said.n - 1] == '/'))
		return;
	if (said.n) {
		w->blank |= w->breaks == 0;
		if (w->breaks) /* a link around blocks: the target belongs to them */
			w->breaks = 1;
		begin_word(w);
		buf_char(w->out, '(');
		buf_str(w->out, bare);
		buf_char(w->out, ')');
	} else {
		begin_word(w);
		buf_str(w->out, bare);
	}
}

static void list_open(struct writer *w, bool ordered, struct str tag)
{
	uint64_t start = 1;

	due(w, w->lists ? 1 : 2);
	w->lists++;
	if (w->lists <= LISTS) {
		w->ordered[w->lists - 1] = ordered;
		if (!str_u64(html_attribute(tag, STR("start")), &start) || start > 100000)
			start = 1;
		w->number[w->lists - 1] = (unsigned)start - 1;
	}
	w->item = false;
}

static void list_close(struct writer *w)
{
	if (w->lists)
		w->lists--;
	w->item = false;
	due(w, w->lists ? 1 : 2);
}

static void image(struct writer *w, struct str tag)
{
	struct str alt = html_attribute(tag, STR("alt"));
	struct buf b = BUF_INIT;
	struct str words;

	html_decode(alt, &b);
	words = str_trim(buf_view(&b));
	if (words.n && words.n <= LINK_MOST) {
		begin_word(w);
		buf_char(w->out, '[');
		put_text(w, words);
		w->blank = false;
		buf_char(w->out, ']');
	}
	buf_free(&b);
}

static void rule(struct writer *w)
{
	due(w, 1);
	begin_word(w);
	buf_str(w->out, STR("----------------------------------------"));
	due(w, 1);
}

static void start_tag(struct writer *w, enum html_tag t, struct str tag)
{
	switch (t) {
	case HTML_BR:
		line_break(w);
		break;
	case HTML_BLOCK:
		due(w, 1);
		break;
	case HTML_PARAGRAPH:
		due(w, 2);
		break;
	case HTML_TABLE:
		due(w, 1);
		break;
	case HTML_CELL:
		w->gap = !w->breaks && w->out->n > w->start;
		break;
	case HTML_LIST:
	case HTML_NUMBERED:
		list_open(w, t == HTML_NUMBERED, tag);
		break;
	case HTML_ITEM:
		due(w, 1);
		w->item = w->lists != 0;
		if (w->lists && w->lists <= LISTS)
			w->number[w->lists - 1]++;
		break;
	case HTML_QUOTE:
		due(w, 2);
		w->quotes++;
		break;
	case HTML_PRE:
		due(w, 2);
		w->pre++;
		break;
	case HTML_LINK:
		link_close(w);
		link_open(w, tag);
		break;
	case HTML_IMAGE:
		image(w, tag);
		break;
	case HTML_RULE:
		rule(w);
		break;
	default:
		break;
	}
}

static void end_tag(struct writer *w, enum html_tag t)
{
	switch (t) {
	case HTML_BLOCK:
	case HTML_TABLE:
	case HTML_ITEM:
		due(w, 1);
		break;
	case HTML_PARAGRAPH:
		due(w, 2);
		break;
	case HTML_LIST:
	case HTML_NUMBERED:
		list_close(w);
		break;
	case HTML_QUOTE:
		if (w->quotes)
			w->quotes--;
		due(w, 2);
		break;
	case HTML_PRE:
		if (w->pre)
			w->pre--;
		due(w, 2);
		break;
	case HTML_LINK:
		link_close(w);
		break;
	default:
		break;
	}
}

void mail_plain_of_html(struct str html, struct buf *out)
{
	struct writer w = { .out = out, .start = out->n };
	struct html_token t;
	unsigned hidden = 0; /* open elements of the hidden one's name */
	struct str hidden_name = STR_NONE;

	while (html_next(&html, &t)) {
		if (hidden) {
			if (t.kind == HTML_START && !t.empty && str_ieq(t.name, hidden_name))
				hidden++;
			else if (t.kind == HTML_END && str_ieq(t.name, hidden_name))
				hidden--;
			continue;
		}
		switch (t.kind) {
		case HTML_TEXT:
			put_text(&w, t.text);
			break;
		case HTML_START:
			if (!t.empty && html_is_hidden(t.text)) {
				hidden = 1;
				hidden_name = t.name;
				break;
			}
			start_tag(&w, t.tag, t.text);
			break;
		case HTML_END:
			end_tag(&w, t.tag);
			break;
		}
	}
	link_close(&w);
	while (out->n > w.start && (out->p[out->n - 1] == ' ' || out->p[out->n - 1] == '\n'))
		out->n--;
	if (out->n > w.start)
		buf_char(out, '\n');
	buf_free(&w.href);
}
