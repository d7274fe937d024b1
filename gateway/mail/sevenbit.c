/* A mail for a far side that takes 7 bits only (RFC 6152 §3). See mail.h.
 *
 * What is 7-bit already stays octet for octet; a part that is not gets another transfer encoding,
 * and decodes to the octets that it was. What cannot be so is refused.
 */
#include "gateway/base/err.h"
#include "gateway/base/mem.h"
#include "gateway/base/spool.h"
#include "gateway/mail/mail.h"
#include "gateway/mail/mime_in.h"
#include "gateway/mail/mime_out.h"
#include "gateway/mail/pieces.h"

#include <glib.h>

/* What comes out: all of it in memory, or as pieces of the file that the mail is in. */
struct made {
	struct buf *out;       /* or the text of the pieces */
	struct mail_pieces *p; /* NULL: in memory */
	const char *base;      /* where the file begins */
};

static bool is_7bit(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

static bool is_clean(struct str s)
{
	return is_7bit(s) && mime_is_lines(s);
}

/* QP writes line ends of its own: only where all are CRLF does it give the same octets back. */
static bool only_crlf(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] == '\n' && (!i || s.p[i - 1] != '\r')) ||
			(s.p[i] == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n')))
			return false;
	return true;
}

static bool is_empty_line(struct str s)
{
	return s.n && (s.p[0] == '\n' || (s.p[0] == '\r' && s.n == 2));
}

/* The header with another transfer encoding ("": none), and what a header of no MIME lacks. */
static void put_header(struct str header, const char *encoding, const char *more, struct buf *out)
{
	size_t at = 0;
	struct str lines, name = STR("Content-Transfer-Encoding");

	while (mime_next_lines(header, &at, &lines) && !is_empty_line(lines)) {
		ptrdiff_t colon = str_index(lines, ':');

		if (colon > 0 && str_ieq(str_trim(str_n(lines.p, (size_t)colon)), name))
			continue;
		buf_str(out, lines);
		if (lines.p[lines.n - 1] != '\n')
			buf_str(out, STR("\r\n"));
	}
	buf_c(out, more);
	if (*encoding)
		buf_printf(out, "Content-Transfer-Encoding: %s\r\n", encoding);
	buf_str(out, STR("\r\n"));
}

static int convert(struct str octets, unsigned depth, struct made *m, struct err *e);

static void put_copy(struct made *m, struct str s)
{
	if (m->p)
		pieces_add(m->p, PIECE_COPY, (uint64_t)(s.p - m->base), s.n, s.n);
	else
		buf_str(m->out, s);
}

static void put_base64(struct made *m, struct str s)
{
	enum { OCTETS = 57 }; /* of a line */
	uint64_t lines = (s.n + OCTETS - 1) / OCTETS;

	if (m->p)
		pieces_add(m->p, PIECE_BASE64, (uint64_t)(s.p - m->base), s.n,
			(s.n + 2) / 3 * 4 + 2 * lines);
	else
		mime_base64_body(m->out, s);
}

static uint64_t quoted_size(struct str s)
{
	struct buf line = BUF_INIT;
	uint64_t n = 0;

	while (s.n) {
		const char *lf = memchr(s.p, '\n', s.n);
		size_t k = lf ? (size_t)(lf - s.p) + 1 : s.n;

		buf_reset(&line);
		mime_quote_line(&line, str_n(s.p, lf ? k - 2 : k));
		n += line.n - (lf ? 0 : 2);
		s = str_skip(s, k);
	}
	buf_free(&line);
	return n;
}

static void put_quoted(struct made *m, struct str s)
{
	if (m->p) {
		pieces_add(m->p, PIECE_QUOTED, (uint64_t)(s.p - m->base), s.n, quoted_size(s));
		return;
	}
	mime_text_body(m->out, s, MIME_QUOTED);
	if (s.n && !str_ends(s, STR("\r\n")))
		m->out->n -= 2;
}

/* Lines so long that they should not be held in memory. */
static bool has_endless_line(struct str s)
{
	enum { ENDLESS = 64 << 10 };
	const char *lf;

	while (s.n > ENDLESS) {
		lf = memchr(s.p, '\n', ENDLESS);
		if (!lf)
			return true;
		s = str_skip(s, (size_t)(lf - s.p) + 1);
	}
	return false;
}

static int put_leaf(
	struct mime_entity x, const struct mime_type *t, bool top, struct made *m, struct err *e)
{
	enum mime_encoding how = mime_text_encoding(x.body);
	const char *more = "";

	if (t->transfer != MIME_AS_IS)
		return err_set(
			e, ERR_INPUT, "a part is said to be in an encoding of 7 bits, and is not");
	if (!mime_is(t, "text", NULL) || !only_crlf(x.body) || has_endless_line(x.body))
		how = MIME_BASE64;
	else if (how == MIME_7BIT)
		how = MIME_QUOTED;
	if (top && !t->said)
		more = str_utf8_valid(x.body)
			       ? "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
			       : "MIME-Version: 1.0\r\nContent-Type: text/plain; "
				 "charset=unknown-8bit\r\n"; /* RFC 1428 */
	put_header(x.header, mime_encoding_word(how), more, m->out);
	(how == MIME_BASE64 ? put_base64 : put_quoted)(m, x.body);
	return 0;
}

static int put_multipart(struct mime_entity x, const struct mime_type *t, unsigned depth,
	struct made *m, struct err *e)
{
	struct str part, between;
	size_t at = 0, copied = 0;

	if (!t->boundary[0] || t->transfer == MIME_IN_BASE64 || t->transfer == MIME_IN_QUOTED)
		return err_set(e, ERR_INPUT, "it is a multipart without a boundary, or encoded");
	put_header(x.header, "", "", m->out);
	for (unsigned parts = 0; mime_next_part(x.body, t->boundary, &at, &part);) {
		size_t from = (size_t)(part.p - x.body.p);

		if (++parts > MIME_PARTS)
			return err_set(e, ERR_INPUT, "it has more than %d parts", MIME_PARTS);
		between = str_n(x.body.p + copied, from - copied);
		if (!is_clean(between))
			return err_set(
				e, ERR_INPUT, "there are octets of 8 bits between its parts");
		put_copy(m, between);
		if (convert(part, depth + 1, m, e))
			return -1;
		copied = from + part.n;
	}
	between = str_skip(x.body, copied);
	if (!is_clean(between))
		return err_set(e, ERR_INPUT, "there are octets of 8 bits between its parts");
	put_copy(m, between);
	return 0;
}

static int convert(struct str octets, unsigned depth, struct made *m, struct err *e)
{
	struct mime_entity x = mime_split(octets);
	struct mime_type t;

	if (is_clean(octets)) {
		put_copy(m, octets);
		return 0;
	}
	if (!is_clean(x.header))
		return err_set(e, ERR_INPUT, "a header of it is 8-bit (SMTPUTF8)");
	if (depth > MIME_DEPTH)
		return err_set(e, ERR_INPUT, "its parts are nested more than %d deep", MIME_DEPTH);
	mime_type_of(x.header, &t);
	if (mime_is(&t, "multipart", "signed"))
		return err_set(e, ERR_INPUT, "it is signed, and would not be what was signed");
	if (mime_is(&t, "multipart", NULL))
		return put_multipart(x, &t, depth, m, e);
	if (mime_is(&t, "message", "rfc822") && t.transfer == MIME_AS_IS) {
		put_header(x.header, "", "", m->out);
		return convert(x.body, depth + 1, m, e);
	}
	if (mime_is(&t, "message", NULL) && !mime_is(&t, "message", "global"))
		return err_set(
			e, ERR_INPUT, "its message/%s part must be 7-bit, and is not", t.subtype);
	return put_leaf(x, &t, depth == 0, m, e);
}

/* DKIM's signature would not hold any more; what then came would be as if unsigned. */
static int convert_whole(struct str mail, bool spoil, struct made *m, struct err *e)
{
	struct buf scratch = BUF_INIT;
	struct str v;
	int rc;

	if (!spoil && !is_clean(mail) &&
		mime_field(mime_split(mail).header, "DKIM-Signature", &scratch, &v))
		rc = err_set(e, ERR_INPUT, "it is signed (DKIM), and would not be what was signed");
	else
		rc = convert(mail, 0, m, e);
	buf_free(&scratch);
	return rc ? err_wrap(e, "the mail cannot be made 7-bit") : 0;
}

int mail_to_7bit(struct str mail, bool spoil, struct buf *out, struct err *e)
{
	struct made m = { .out = out };
	size_t start = out->n;

	buf_reserve(out, mail.n + mail.n / 4);
	if (convert_whole(mail, spoil, &m, e) == 0)
		return 0;
	out->n = start;
	return -1;
}

struct mail_pieces *mail_file_to_7bit(int fd, uint64_t size, bool spoil, struct err *e)
{
	/* To find out what is in it, all of it is looked at: of one mail at a time. */
	static GMutex one;
	struct mail_pieces *p = pieces_new();
	char *octets;

	g_mutex_lock(&one);
	octets = mem_raw((size_t)size + 1);
	if (spool_read_at(fd, 0, octets, (size_t)size, e) != 0 ||
		convert_whole(str_n(octets, (size_t)size), spoil,
			&(struct made){ &p->text, p, octets }, e) != 0)
		mail_pieces_free(&p);
	mem_free(&octets);
	g_mutex_unlock(&one);
	if (!p)
		return NULL;
	pieces_end(p);
	p->fd = fd;
	mail_pieces_rewind(p);
	return p;
}
