/* The text that a mail says, for media which carry nothing else. See mail.h.
 *
 * A fault is told, never guessed away: the text would go to somebody's phone.
 */
#include "gateway/base/err.h"
#include "gateway/mail/mail.h"
#include "gateway/mail/mime_in.h"

enum { TEXT_MOST = 1 << 20 }; /* decoded; far above what a short message can be */

/* The best parts found: each the first of its kind that says anything. */
struct find {
	struct buf plain, html;
	bool deep, many, encrypted;
	unsigned parts;
	struct err *e;
};

static bool is_blank(struct str s)
{
	return str_trim(s).n == 0;
}

/* ---- shapes of plain text ---------------------------------------------------------------- */

static bool next_line(struct str *rest, struct str *line_r)
{
	if (!str_cut(rest, '\n', line_r))
		return false;
	if (line_r->n && line_r->p[line_r->n - 1] == '\r')
		line_r->n--;
	return true;
}

static size_t quote_depth(struct str line)
{
	size_t n = 0;

	while (n < line.n && line.p[n] == '>')
		n++;
	return n;
}

/* RFC 3676 §4: lines that end in a space go on in the next of the same depth. */
static void unflow(struct str text, bool delsp, struct buf *out)
{
	struct str line;
	bool open = false;
	size_t depth = 0;

	while (text.n && next_line(&text, &line)) {
		size_t d = quote_depth(line);
		struct str words = str_skip(line, d);
		bool signature;

		if (words.n && words.p[0] == ' ')
			words = str_skip(words, 1);
		signature = str_is(words, "-- ");
		if (open && (d != depth || signature)) {
			buf_char(out, '\n');
			open = false;
		}
		if (!open && d) {
			buf_add(out, line.p, d);
			buf_char(out, ' ');
		}
		open = !signature && words.n && words.p[words.n - 1] == ' ';
		if (open && delsp)
			words.n--;
		buf_str(out, words);
		if (!open)
			buf_char(out, '\n');
		depth = d;
	}
}

/* Lines ending in LF, without blanks at their ends, without empty ones at the whole's ends, and
 * without what stands below "-- ". */
static void tidy(struct str text, bool cut_signature, bool from_html, struct buf *out)
{
	size_t start = out->n, empty = 0;
	struct str line;

	while (text.n && next_line(&text, &line)) {
		if (cut_signature && (str_is(line, "-- ") || (from_html && str_is(line, "--"))))
			break;
		while (line.n && (line.p[line.n - 1] == ' ' || line.p[line.n - 1] == '\t' ||
					 line.p[line.n - 1] == '\r'))
			line.n--;
		if (!line.n) {
			empty++;
			continue;
		}
		if (out->n > start)
			for (empty++; empty; empty--)
				buf_char(out, '\n');
		empty = 0;
		buf_str(out, line);
	}
}

/* ---- parts ------------------------------------------------------------------------------- */

/* A text part decoded to UTF-8. */
static int take_text(struct find *f, struct str body, const struct mime_type *t, struct buf *to)
{
	struct buf octets = BUF_INIT, text = BUF_INIT;
	int rc = mime_decode(body, t->transfer, true, &octets, f->e);

	if (rc == 0 && octets.n > TEXT_MOST)
		rc = err_set(f->e, ERR_INPUT, "it has more than 1 MiB");
	if (rc == 0)
		rc = mime_to_utf8(buf_view(&octets), t->charset, true, &text, f->e);
	if (rc == 0 && text.n && memchr(text.p, '\0', text.n))
		rc = err_set(f->e, ERR_INPUT, "it holds a NUL");
	if (rc)
		err_wrap(f->e, "the mail's text/%s part", t->subtype);
	else if (t->flowed && mime_is(t, "text", "plain"))
		unflow(buf_view(&text), t->delsp, to);
	else
		buf_str(to, buf_view(&text));
	buf_free(&octets);
	buf_free(&text);
	return rc;
}

static int look(struct find *f, struct str entity, unsigned depth);

static int look_into(struct find *f, struct str body, const struct mime_type *t, unsigned depth)
{
	struct str part;
	size_t at = 0;

	if (!t->boundary[0])
		return err_set(f->e, ERR_INPUT, "the mail is multipart and names no boundary");
	while (mime_next_part(body, t->boundary, &at, &part)) {
		if (++f->parts > MIME_PARTS) {
			f->many = true;
			return 0;
		}
		if (look(f, part, depth + 1))
			return -1;
		/* Where no boundary follows, nobody knows how much of the text is missing. */
		if ((f->plain.n || f->html.n) && part.p + part.n == body.p + body.n)
			return err_set(f->e, ERR_INPUT,
				"the mail ends within its text: the closing boundary is missing");
		/* Of a signed or related mail only the first part is the mail. */
		if (mime_is(t, "multipart", "signed") || mime_is(t, "multipart", "related"))
			break;
		/* What follows a text in a mixed one is a footer or an attachment. */
		if (f->plain.n || (f->html.n && !mime_is(t, "multipart", "alternative")))
			break;
	}
	return 0;
}

static int look(struct find *f, struct str octets, unsigned depth)
{
	struct mime_entity entity = mime_split(octets);
	struct mime_type t;

	if (depth > MIME_DEPTH) {
		f->deep = true;
		return 0;
	}
	/* A part may begin with its body at once (RFC 2046 §5.1). */
	mime_type_of(entity.header, &t);
	if (mime_is(&t, "multipart", "encrypted")) {
		f->encrypted = true;
		return 0;
	}
	if (mime_is(&t, "multipart", NULL))
		return look_into(f, entity.body, &t, depth);
	if (t.attached || !mime_is(&t, "text", NULL))
		return 0;
	if (mime_is(&t, "text", "html") && !f->html.n)
		return take_text(f, entity.body, &t, &f->html);
	if (mime_is(&t, "text", "plain") && !f->plain.n) {
		if (take_text(f, entity.body, &t, &f->plain))
			return -1;
		if (is_blank(buf_view(&f->plain)))
			f->plain.n = 0;
	}
	return 0;
}

int mail_text(
	struct str mail, bool cut_signature, struct buf *text, struct buf *subject, struct err *e)
{
	struct find f = { .e = e };
	struct buf scratch = BUF_INIT;
	size_t start = text->n;
	struct str v;
	int rc = look(&f, mail, 0);

	if (rc == 0 && f.plain.n) {
		tidy(buf_view(&f.plain), cut_signature, false, text);
	} else if (rc == 0 && f.html.n) {
		mail_plain_of_html(buf_view(&f.html), &scratch);
		tidy(buf_view(&scratch), cut_signature, true, text);
	}
	if (rc == 0 && text->n == start)
		rc = err_set(e, ERR_INPUT, "the mail has no text%s",
			f.encrypted ? " that can be read: it is encrypted"
			: f.deep    ? " in its first twelve levels of parts"
			: f.many    ? " in its first two hundred parts"
				    : "");
	if (rc == 0 && mime_field(mime_split(mail).header, "Subject", &scratch, &v))
		mail_words(v, subject);
	buf_free(&f.plain);
	buf_free(&f.html);
	buf_free(&scratch);
	return rc;
}
