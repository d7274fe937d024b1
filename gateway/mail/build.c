/* A mail from the fields of a message. See mail.h. The same message gives the same octets, so that
 * a retry is the same mail, and its signature the same signature.
 *
 *	mixed       what is attached follows
 *	  alternative   plain text, or
 *	    related         the HTML, with what it shows
 *
 * A level that has nothing to hold is not there.
 */
#include "gateway/base/err.h"
#include "gateway/base/mem.h"
#include "gateway/mail/content.h"
#include "gateway/mail/mime_out.h"
#include "gateway/mail/pieces.h"
#include "gateway/model/address.h"

#include <stdio.h>
#include <unistd.h>

enum { NAME_MOST = 320, SUBJECT_MOST = 4096, HOST_MOST = 256 };

struct build {
	const struct mail_conf *c;
	const struct message *m;
	struct buf *out;
	struct mail_pieces *p; /* out is its text; NULL: all is made in memory */
	struct str text, html;
	struct buf made_text, made_html; /* what they point to when it is not the message */
	struct attachments a;
	char host[HOST_MOST];
	char mark[20]; /* of boundaries */
	bool utf8;
};

/* ---- what both the door and the builder look at ------------------------------------------ */

static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return true;
	return false;
}

/* Line ends would end the field: they are refused here, and could not pass the writer either. */
static int check_line(
	const struct message *m, enum field f, const char *at, size_t most, struct err *e)
{
	struct str s = message_get(m, f);

	if (s.n > most)
		return err_set(e, ERR_INPUT, "/%s: more than %zu bytes", at, most);
	if (!str_utf8_valid(s))
		return err_set(e, ERR_INPUT, "/%s: is not UTF-8", at);
	if (has_control(s))
		return err_set(
			e, ERR_INPUT, "/%s: holds a line end or another control character", at);
	return 0;
}

static int check_text(struct str s, const char *at, struct err *e)
{
	if (s.n && memchr(s.p, '\0', s.n))
		return err_set(e, ERR_INPUT, "/%s: holds a NUL", at);
	if (!str_utf8_valid(s))
		return err_set(e, ERR_INPUT, "/%s: is not UTF-8", at);
	return 0;
}

static int wire_address(
	struct str s, const char *at, char wire_r[MAIL_ADDRESS], bool *utf8_r, struct err *e)
{
	struct err why;
	bool utf8;

	if (s.n == 0)
		return err_set(e, ERR_INPUT, "/%s: is missing", at);
	if (address_email(s, &why) != 0 || mail_address_wire(s, wire_r, &utf8, &why) != 0)
		return err_set(e, ERR_INPUT, "/%s: %s", at, why.text);
	*utf8_r |= utf8;
	return 0;
}

struct str mail_sender(const struct mail_conf *c, const struct message *m)
{
	struct str from = message_get(m, FIELD_FROM);

	return from.n || !c ? from : str_of(c->sender);
}

static int check_message(const struct mail_conf *c, const struct message *m,
	char from_r[MAIL_ADDRESS], char to_r[MAIL_ADDRESS], bool *utf8_r, struct err *e)
{
	struct str text = message_get(m, FIELD_TEXT), html = message_get(m, FIELD_HTML);

	if (wire_address(mail_sender(c, m), "from", from_r, utf8_r, e) ||
		wire_address(message_get(m, FIELD_TO), "to", to_r, utf8_r, e) ||
		check_line(m, FIELD_FROM_NAME, "from_name", NAME_MOST, e) ||
		check_line(m, FIELD_SUBJECT, "subject", SUBJECT_MOST, e) ||
		check_text(text, "text", e) || check_text(html, "html", e))
		return -1;
	if (!text.n && !html.n)
		return err_set(e, ERR_INPUT, "/text: is missing (text or html)");
	return 0;
}

int mail_check(const struct message *m, struct err *e)
{
	char from[MAIL_ADDRESS], to[MAIL_ADDRESS];
	struct attachments a;
	bool utf8 = false;

	if (check_message(NULL, m, from, to, &utf8, e) ||
		headers_put(message_get(m, FIELD_HEADERS), message_has(m, FIELD_UNSUBSCRIBE), NULL,
			&utf8, e) ||
		attachments_read(message_get(m, FIELD_ATTACHMENTS), &a, e))
		return -1;
	attachments_free(&a);
	if (message_get(m, FIELD_UNSUBSCRIBE).n >= sizeof((struct mail_unsubscribe *)0)->row)
		return err_set(e, ERR_INPUT, "/unsubscribe: more than 31 bytes");
	return 0;
}

/* ---- texts ------------------------------------------------------------------------------- */

static void escape(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		switch (s.p[i]) {
		case '&':
			buf_str(b, STR("&amp;"));
			break;
		case '<':
			buf_str(b, STR("&lt;"));
			break;
		case '>':
			buf_str(b, STR("&gt;"));
			break;
		case '"':
			buf_str(b, STR("&quot;"));
			break;
		default:
			buf_char(b, s.p[i]);
		}
	}
}

static bool says(struct str text, struct str what)
{
	return str_find(text, what) >= 0;
}

/* Behind the start tag of the body, where there is one. */
static size_t body_start(struct str html)
{
	for (size_t i = 0; i + 6 < html.n; i++)
		if (html.p[i] == '<' && str_ieq(str_n(html.p + i, 5), STR("<body"))) {
			ptrdiff_t end = str_index(str_skip(html, i), '>');

			return end < 0 ? 0 : i + (size_t)end + 1;
		}
	return 0;
}

/* Before the last end tag of this name; -1. */
static ptrdiff_t last_end(struct str html, struct str tag)
{
	for (size_t i = html.n; i-- > 0;)
		if (html.p[i] == '<' && html.n - i >= tag.n &&
			str_ieq(str_n(html.p + i, tag.n), tag))
			return (ptrdiff_t)i;
	return -1;
}

/* Where what is added at the end belongs. */
static size_t body_end(struct str html)
{
	ptrdiff_t i = last_end(html, STR("</body"));

	if (i < 0)
		i = last_end(html, STR("</html"));
	return i < 0 ? html.n : (size_t)i;
}

/* "cid:X" of what stands at a URL becomes the URL. */
static void put_with_urls(struct buf *b, struct str html, const struct attachments *a)
{
	while (html.n) {
		ptrdiff_t at = str_find(html, STR("cid:"));
		const struct attachment *found = NULL;
		struct str rest;

		if (at < 0)
			break;
		rest = str_skip(html, (size_t)at + 4);
		for (size_t i = 0; i < a->n; i++) {
			const struct attachment *one = &a->v[i];

			if (one->url.n && one->cid.n && str_starts(rest, one->cid) &&
				(rest.n == one->cid.n ||
					strchr("\"') >\t\r\n", rest.p[one->cid.n])))
				found = one;
		}
		buf_add(b, html.p, (size_t)at);
		if (found) {
			escape(b, found->url);
			html = str_skip(rest, found->cid.n);
		} else {
			buf_str(b, STR("cid:"));
			html = rest;
		}
	}
	buf_str(b, html);
}

static void put_link(struct buf *b, struct str url, struct str name)
{
	buf_str(b, STR("<p><a href=\""));
	escape(b, url);
	buf_str(b, STR("\">"));
	escape(b, name.n ? name : url);
	buf_str(b, STR("</a></p>\n"));
}

/* Does anything have to be added to what was submitted? Rarely. */
static bool has_links(const struct build *b, struct str image, struct str url)
{
	for (size_t i = 0; i < b->a.n; i++)
		if (b->a.v[i].url.n)
			return true;
	return (image.n && !says(b->html, image)) || (url.n && !says(b->html, url)) ||
	       (url.n && b->text.n && !says(b->text, url));
}

static void text_as_html(struct buf *b, struct str text)
{
	struct str line;

	buf_str(b, STR("<p>"));
	while (str_cut(&text, '\n', &line)) {
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		escape(b, line);
		if (text.p)
			buf_str(b, STR("<br>\n"));
	}
	buf_str(b, STR("</p>\n"));
}

static void make_html(struct build *b, struct str image, struct str url)
{
	struct str html = b->html;
	struct buf *o = &b->made_html;
	size_t from = body_start(html), to = body_end(html);

	if (to < from)
		to = html.n;
	buf_add(o, html.p, from);
	if (image.n && !says(html, image)) {
		buf_str(o, STR("<p><img src=\""));
		escape(o, image);
		buf_str(o, STR("\" alt=\"\"></p>\n"));
	}
	if (html.n)
		put_with_urls(o, str_n(html.p + from, to - from), &b->a);
	else
		text_as_html(o, b->text);
	if (url.n && !says(html, url))
		put_link(o, url, STR_NONE);
	for (size_t i = 0; i < b->a.n; i++)
		if (b->a.v[i].url.n && !b->a.v[i].cid.n)
			put_link(o, b->a.v[i].url, b->a.v[i].name);
	buf_str(o, str_skip(html, to));
}

static void make_text(struct build *b, struct str url)
{
	struct buf *o = &b->made_text;

	buf_str(o, b->text);
	if (url.n && !says(b->text, url))
		buf_printf(o, "\n\n%.*s\n", STR_ARG(url));
	for (size_t i = 0; i < b->a.n; i++)
		if (b->a.v[i].url.n && !b->a.v[i].cid.n)
			buf_printf(o, "\n%.*s%s%.*s\n", STR_ARG(b->a.v[i].name),
				b->a.v[i].name.n ? ": " : "", STR_ARG(b->a.v[i].url));
}

static void make_texts(struct build *b)
{
	struct str image = message_get(b->m, FIELD_IMAGE), url = message_get(b->m, FIELD_URL);

	b->text = message_get(b->m, FIELD_TEXT);
	b->html = message_get(b->m, FIELD_HTML);
	if (has_links(b, image, url)) {
		if (b->text.n)
			make_text(b, url);
		if (b->html.n || image.n)
			make_html(b, image, url);
		if (b->made_text.n)
			b->text = buf_view(&b->made_text);
		if (b->made_html.n)
			b->html = buf_view(&b->made_html);
	}
	if (!b->text.n) {
		mail_plain_of_html(b->html, &b->made_text);
		b->text = buf_view(&b->made_text);
	}
}

/* ---- parts ------------------------------------------------------------------------------- */

static bool is_related(const struct build *b, const struct attachment *a)
{
	return b->html.n && !a->url.n && a->cid.n;
}

static void boundary(struct build *b, char level)
{
	buf_printf(b->out, "--%s%c\r\n", b->mark, level);
}

/* eightbit: a part of it is (RFC 2045 §6.4). */
static void begin_multipart(struct build *b, const char *subtype, char level, bool eightbit)
{
	buf_printf(b->out, "Content-Type: multipart/%s;%s\r\n\tboundary=\"%s%c\"\r\n%s\r\n",
		subtype, level == 'r' ? " type=\"text/html\";" : "", b->mark, level,
		eightbit ? "Content-Transfer-Encoding: 8bit\r\n" : "");
}

static void end_multipart(struct build *b, char level)
{
	buf_printf(b->out, "--%s%c--\r\n", b->mark, level);
}

static void put_text_part(struct build *b, const char *subtype, struct str text)
{
	enum mime_encoding e = mime_text_encoding(text);

	buf_printf(b->out,
		"Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n",
		subtype, mime_encoding_word(e));
	mime_text_body(b->out, text, e);
}

/* The type said, its parameters written anew. What must not be in base64 and cannot go as it is
 * (RFC 2046 §5.2) is octets. */
static void put_type(struct buf *o, const struct attachment *a)
{
	struct str rest = a->type, part;

	buf_str(o, STR("Content-Type: "));
	if (!a->type.n) {
		buf_c(o, attachment_type(a));
	} else if (a->raw == ATTACHMENT_CODED &&
		   str_ieq(str_n(a->type.p, a->type.n < 8 ? a->type.n : 8), STR("message/"))) {
		buf_str(o, STR("application/octet-stream"));
	} else {
		str_cut(&rest, ';', &part);
		buf_str(o, str_trim(part));
		while (str_cut(&rest, ';', &part)) {
			buf_str(o, STR("; "));
			buf_str(o, str_trim(part));
		}
	}
	buf_str(o, STR("\r\n"));
}

static int put_raw(void *ctx, struct str piece)
{
	buf_str(ctx, piece);
	return 0;
}

static void put_content(struct build *b, const struct attachment *a)
{
	size_t octets, place;
	struct buf raw = BUF_INIT;

	if (a->at && a->raw == ATTACHMENT_CODED) {
		pieces_add(b->p, PIECE_REWRAP, a->at, a->n, a->base64);
	} else if (a->at) {
		pieces_add(b->p, PIECE_RAW, a->at, a->n, a->raw_n);
	} else if (a->raw == ATTACHMENT_CODED) {
		CHECK(mime_base64_rewrap(a->content, b->out, &octets, &place) == 0);
	} else {
		CHECK(attachment_octets(&b->a, a, put_raw, &raw, NULL) == 0);
		mime_text_body(b->out, buf_view(&raw), MIME_7BIT);
		if (raw.n && raw.p[raw.n - 1] != '\n')
			b->out->n -= 2;
		buf_free(&raw);
	}
	/* The line end before a boundary is the boundary's. */
	if (a->raw != ATTACHMENT_CODED)
		buf_str(b->out, STR("\r\n"));
}

static void put_attachment(struct build *b, const struct attachment *a)
{
	static const char *const encodings[] = { "base64", "7bit", "8bit" };

	put_type(b->out, a);
	buf_printf(b->out, "Content-Transfer-Encoding: %s\r\nContent-Disposition: %s",
		encodings[a->raw], a->inlined || is_related(b, a) ? "inline" : "attachment");
	if (a->name.n)
		mime_parameter(b->out, "filename", a->name);
	buf_str(b->out, STR("\r\n"));
	if (a->cid.n)
		buf_printf(b->out, "Content-ID: <%.*s>\r\n", STR_ARG(a->cid));
	buf_str(b->out, STR("\r\n"));
	put_content(b, a);
}

/* Is there a part of 8 bits, of those that are shown, or of all? */
static bool has_8bit(const struct build *b, bool related)
{
	for (size_t i = 0; i < b->a.n; i++)
		if (b->a.v[i].raw == ATTACHMENT_8BIT && (!related || is_related(b, &b->a.v[i])))
			return true;
	return false;
}

static void put_related(struct build *b)
{
	bool level = false;

	for (size_t i = 0; i < b->a.n; i++)
		level |= is_related(b, &b->a.v[i]);
	if (!level) {
		put_text_part(b, "html", b->html);
		return;
	}
	begin_multipart(b, "related", 'r', has_8bit(b, true));
	boundary(b, 'r');
	put_text_part(b, "html", b->html);
	for (size_t i = 0; i < b->a.n; i++)
		if (is_related(b, &b->a.v[i])) {
			boundary(b, 'r');
			put_attachment(b, &b->a.v[i]);
		}
	end_multipart(b, 'r');
}

static void put_alternative(struct build *b)
{
	if (!b->html.n) {
		put_text_part(b, "plain", b->text);
	} else if (!b->text.n) {
		put_related(b);
	} else {
		begin_multipart(b, "alternative", 'a', has_8bit(b, true));
		boundary(b, 'a');
		put_text_part(b, "plain", b->text);
		boundary(b, 'a');
		put_related(b);
		end_multipart(b, 'a');
	}
}

static void put_mixed(struct build *b)
{
	bool level = false;

	for (size_t i = 0; i < b->a.n; i++)
		level |= !b->a.v[i].url.n && !is_related(b, &b->a.v[i]);
	if (!level) {
		put_alternative(b);
		return;
	}
	begin_multipart(b, "mixed", 'm', has_8bit(b, false));
	boundary(b, 'm');
	put_alternative(b);
	for (size_t i = 0; i < b->a.n; i++)
		if (!b->a.v[i].url.n && !is_related(b, &b->a.v[i])) {
			boundary(b, 'm');
			put_attachment(b, &b->a.v[i]);
		}
	end_multipart(b, 'm');
}

/* ---- the whole --------------------------------------------------------------------------- */

static void put_unsubscribe(struct build *b)
{
	struct str row = message_get(b->m, FIELD_UNSUBSCRIBE);
	char token[MAIL_UNSUBSCRIBE_TOKEN];

	if (!row.n || !b->c || !b->c->unsubscribe_url || !b->c->unsubscribe_url[0] ||
		!mail_unsubscribe_token(b->c, b->m->id, message_get(b->m, FIELD_TO),
			str_is(row, "*") ? STR_NONE : row, b->m->accepted, token))
		return;
	buf_printf(b->out, "List-Unsubscribe: <%s%s>\r\n", b->c->unsubscribe_url, token);
	/* RFC 8058 §3.1: there must be an HTTPS URI. */
	if (strncmp(b->c->unsubscribe_url, "https://", 8) == 0)
		buf_str(b->out, STR("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
}

static int put_header(struct build *b, const char *from, const char *to, struct err *e)
{
	struct str subject = message_get(b->m, FIELD_SUBJECT);

	buf_str(b->out, STR("Date: "));
	mime_date(b->out, b->m->accepted);
	buf_str(b->out, STR("\r\n"));
	mime_address_field(b->out, "From", message_get(b->m, FIELD_FROM_NAME), str_of(from));
	mime_address_field(b->out, "To", STR_NONE, str_of(to));
	if (subject.n)
		mime_text_field(b->out, "Subject", subject);
	buf_printf(b->out, "Message-ID: <%llu@%s>\r\n", (unsigned long long)b->m->id, b->host);
	if (headers_put(message_get(b->m, FIELD_HEADERS), message_has(b->m, FIELD_UNSUBSCRIBE),
		    b->out, &b->utf8, e))
		return -1;
	put_unsubscribe(b);
	buf_str(b->out, STR("MIME-Version: 1.0\r\n"));
	return 0;
}

/* Those in the spool stay there; where in it they are is looked for. */
static int take_attachments(struct build *b, struct spool *spool, bool seven, struct err *e)
{
	struct spool_ref ref;
	uint64_t size;
	int fd;

	if (attachments_read(message_get(b->m, FIELD_ATTACHMENTS), &b->a, e) != 0)
		return -1;
	if (spool_ref_parse(message_get(b->m, FIELD_SPOOL), &ref) &&
		str_is(ref.field, field_word(FIELD_ATTACHMENTS))) {
		if (!spool)
			return err_set(
				e, ERR_ENV, "the attachments are in the spool, and there is none");
		fd = spool_read(spool, ref.name, &size, e);
		if (fd < 0)
			return err_wrap(e, "the attachments");
		if (attachments_locate(&b->a, fd, size, e) != 0)
			return -1;
		b->p = pieces_new();
		b->out = &b->p->text;
	}
	for (size_t i = 0; i < b->a.n; i++)
		if (attachment_look(&b->a, &b->a.v[i], seven, e) != 0)
			return -1;
	return 0;
}

static void set_names(struct build *b)
{
	struct {
		uint64_t id;
		int64_t accepted;
	} seed = { b->m->id, b->m->accepted };

	if (b->c && b->c->hostname && b->c->hostname[0])
		str_copy(b->host, sizeof b->host, str_of(b->c->hostname));
	else if (gethostname(b->host, sizeof b->host) != 0 || !b->host[0])
		str_copy(b->host, sizeof b->host, STR("localhost"));
	b->host[sizeof b->host - 1] = '\0';
	/* "=_" can stand in no body as we write them (mime_text_encoding). */
	snprintf(b->mark, sizeof b->mark, "=_%016llx",
		(unsigned long long)str_hash(str_n(&seed, sizeof seed)));
}

int mail_make(const struct mail_conf *c, struct spool *spool, const struct message *m, bool seven,
	struct buf *out, struct mail_pieces **p_r, bool *smtputf8_r, struct err *e)
{
	struct build b = { .c = c, .m = m, .out = out, .a = { .fd = -1 } };
	char from[MAIL_ADDRESS], to[MAIL_ADDRESS];
	size_t start = out->n;
	int rc = -1;

	*smtputf8_r = false;
	*p_r = NULL;
	if (check_message(c, m, from, to, &b.utf8, e) == 0 &&
		take_attachments(&b, spool, seven, e) == 0) {
		set_names(&b);
		make_texts(&b);
		buf_reserve(b.out, 1024 + b.text.n + b.text.n / 4 + b.html.n + b.html.n / 4);
		rc = put_header(&b, from, to, e);
	}
	if (rc == 0)
		put_mixed(&b);
	else
		out->n = start;
	*smtputf8_r = b.utf8;
	if (b.p && rc == 0) {
		pieces_end(b.p);
		b.p->eightbit = b.utf8 || has_8bit(&b, false);
		b.p->fd = b.a.fd;
		b.a.fd = -1;
		mail_pieces_rewind(b.p);
		*p_r = b.p;
	} else {
		mail_pieces_free(&b.p);
	}
	attachments_free(&b.a);
	buf_free(&b.made_text);
	buf_free(&b.made_html);
	return rc;
}

int mail_build(const struct mail_conf *c, struct spool *spool, const struct message *m,
	struct buf *out, bool *smtputf8_r, struct err *e)
{
	struct mail_pieces *p;
	size_t start = out->n;
	int rc = mail_make(c, spool, m, false, out, &p, smtputf8_r, e);

	if (rc || !p)
		return rc;
	rc = mail_pieces_read(p, SIZE_MAX, out, e);
	if (rc)
		out->n = start;
	mail_pieces_free(&p);
	return rc;
}
