/* A mail for a far side that takes 7 bits only (RFC 6152 §3). See mail.h.
 *
 * What is 7-bit already stays octet for octet; a part that is not gets another transfer encoding,
 * and decodes to the octets that it was. What cannot be so is refused.
 */
#include "gateway/base/err.h"
#include "gateway/mail/mail.h"
#include "gateway/mail/mime_in.h"
#include "gateway/mail/mime_out.h"

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

static int convert(struct str octets, unsigned depth, struct buf *out, struct err *e);

static int put_leaf(
	struct mime_entity x, const struct mime_type *t, bool top, struct buf *out, struct err *e)
{
	enum mime_encoding how = mime_text_encoding(x.body);
	const char *more = "";

	if (t->transfer != MIME_AS_IS)
		return err_set(
			e, ERR_INPUT, "a part is said to be in an encoding of 7 bits, and is not");
	if (!mime_is(t, "text", NULL) || !only_crlf(x.body))
		how = MIME_BASE64;
	else if (how == MIME_7BIT)
		how = MIME_QUOTED;
	if (top && !t->said)
		more = str_utf8_valid(x.body)
			       ? "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
			       : "MIME-Version: 1.0\r\nContent-Type: text/plain; "
				 "charset=unknown-8bit\r\n"; /* RFC 1428 */
	put_header(x.header, mime_encoding_word(how), more, out);
	if (how == MIME_BASE64) {
		mime_base64_body(out, x.body);
	} else {
		mime_text_body(out, x.body, how);
		if (x.body.n && !str_ends(x.body, STR("\r\n")))
			out->n -= 2;
	}
	return 0;
}

static int put_multipart(struct mime_entity x, const struct mime_type *t, unsigned depth,
	struct buf *out, struct err *e)
{
	struct str part, between;
	size_t at = 0, copied = 0;

	if (!t->boundary[0] || t->transfer == MIME_IN_BASE64 || t->transfer == MIME_IN_QUOTED)
		return err_set(e, ERR_INPUT, "it is a multipart without a boundary, or encoded");
	put_header(x.header, "", "", out);
	for (unsigned parts = 0; mime_next_part(x.body, t->boundary, &at, &part);) {
		size_t from = (size_t)(part.p - x.body.p);

		if (++parts > MIME_PARTS)
			return err_set(e, ERR_INPUT, "it has more than %d parts", MIME_PARTS);
		between = str_n(x.body.p + copied, from - copied);
		if (!is_clean(between))
			return err_set(
				e, ERR_INPUT, "there are octets of 8 bits between its parts");
		buf_str(out, between);
		if (convert(part, depth + 1, out, e))
			return -1;
		copied = from + part.n;
	}
	between = str_skip(x.body, copied);
	if (!is_clean(between))
		return err_set(e, ERR_INPUT, "there are octets of 8 bits between its parts");
	buf_str(out, between);
	return 0;
}

static int convert(struct str octets, unsigned depth, struct buf *out, struct err *e)
{
	struct mime_entity x = mime_split(octets);
	struct mime_type t;

	if (is_clean(octets)) {
		buf_str(out, octets);
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
		return put_multipart(x, &t, depth, out, e);
	if (mime_is(&t, "message", "rfc822") && t.transfer == MIME_AS_IS) {
		put_header(x.header, "", "", out);
		return convert(x.body, depth + 1, out, e);
	}
	if (mime_is(&t, "message", NULL) && !mime_is(&t, "message", "global"))
		return err_set(
			e, ERR_INPUT, "its message/%s part must be 7-bit, and is not", t.subtype);
	return put_leaf(x, &t, depth == 0, out, e);
}

int mail_to_7bit(struct str mail, struct buf *out, struct err *e)
{
	struct buf scratch = BUF_INIT;
	size_t start = out->n;
	struct str v;
	int rc = 0;

	if (!is_clean(mail) && mime_field(mime_split(mail).header, "DKIM-Signature", &scratch, &v))
		rc = err_set(e, ERR_INPUT, "it is signed (DKIM), and would not be what was signed");
	if (rc == 0) {
		buf_reserve(out, mail.n + mail.n / 4);
		rc = convert(mail, 0, out, e);
	}
	if (rc) {
		out->n = start;
		err_wrap(e, "the mail cannot be made 7-bit");
	}
	buf_free(&scratch);
	return rc;
}
