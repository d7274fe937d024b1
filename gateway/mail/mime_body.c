/* Bodies in their transfer encodings (RFC 2045 §6). See mime_out.h. One pass each. */
#include "gateway/mail/mime_out.h"

#include <openssl/evp.h>

enum {
	LINE = 76,       /* characters of an encoded line (RFC 2045 §6.7, §6.8) */
	OCTETS = 57,     /* octets that make such a line in base64 */
	SHORT_LINE = 78, /* RFC 5322 §2.1.1 */
};

const char *mime_encoding_word(enum mime_encoding e)
{
	return e == MIME_7BIT ? "7bit" : e == MIME_QUOTED ? "quoted-printable" : "base64";
}

enum mime_encoding mime_text_encoding(struct str s)
{
	size_t high = 0, odd = 0, line = 0, longest = 0;
	bool trailing = false;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '\n' || c == '\r') {
			trailing |= i && (s.p[i - 1] == ' ' || s.p[i - 1] == '\t');
			line = 0;
			continue;
		}
		if (++line > longest)
			longest = line;
		high += c >= 0x80;
		/* "=_" begins each of our boundaries; "From " is escaped by mailboxes. */
		if ((c < 0x20 && c != '\t') || c == 0x7f ||
			(c == '=' && i + 1 < s.n && s.p[i + 1] == '_') ||
			(c == 'F' && line == 1 && s.n - i >= 5 && memcmp(s.p + i, "From ", 5) == 0))
			odd++;
	}
	if (!high && !odd && !trailing && longest <= SHORT_LINE)
		return MIME_7BIT;
	/* One octet in three takes as much room in either; people read the former. */
	return high > s.n / 4 ? MIME_BASE64 : MIME_QUOTED;
}

/* The next line without its end; false when nothing is left. */
static bool next_line(struct str *rest, struct str *line_r)
{
	size_t i = 0;

	if (rest->n == 0)
		return false;
	while (i < rest->n && rest->p[i] != '\r' && rest->p[i] != '\n')
		i++;
	*line_r = str_n(rest->p, i);
	if (i < rest->n)
		i += rest->p[i] == '\r' && i + 1 < rest->n && rest->p[i + 1] == '\n' ? 2 : 1;
	*rest = str_skip(*rest, i);
	return true;
}

/* A line in quoted-printable: soft breaks keep UTF-8 sequences whole where they can. */
static void quote_line(struct buf *b, struct str line)
{
	static const char hex[] = "0123456789ABCDEF";
	char out[LINE + 4];
	size_t n = 0;

	for (size_t i = 0; i < line.n; i++) {
		unsigned char c = (unsigned char)line.p[i];
		bool last = i + 1 == line.n;
		bool plain =
			(c > ' ' && c < 0x7f && c != '=') || ((c == ' ' || c == '\t') && !last);
		size_t need = plain ? 1 : 3;

		/* A character of many octets goes to the next line as a whole. */
		if (c >= 0xc0)
			need = c >= 0xf0 ? 12 : c >= 0xe0 ? 9 : 6;
		if (c == 'F' && n == 0 && line.n - i >= 5 && memcmp(line.p + i, "From ", 5) == 0)
			plain = false, need = 3;
		if (c == '.' && n == 0)
			plain = false, need = 3; /* survives a careless end of data */
		if (n + need > LINE - 1) {
			out[n++] = '=';
			out[n++] = '\r';
			out[n++] = '\n';
			buf_add(b, out, n);
			n = 0;
		}
		if (plain) {
			out[n++] = (char)c;
		} else {
			out[n++] = '=';
			out[n++] = hex[c >> 4];
			out[n++] = hex[c & 15];
		}
	}
	buf_add(b, out, n);
	buf_str(b, STR("\r\n"));
}

void mime_text_body(struct buf *b, struct str text, enum mime_encoding e)
{
	struct str line;

	if (e == MIME_BASE64) {
		struct buf t = BUF_INIT;

		buf_reserve(&t, text.n + text.n / 32 + 64);
		while (next_line(&text, &line)) {
			buf_str(&t, line);
			buf_str(&t, STR("\r\n"));
		}
		mime_base64_body(b, buf_view(&t));
		buf_free(&t);
		return;
	}
	buf_reserve(b, text.n + text.n / 8 + 64);
	while (next_line(&text, &line)) {
		if (e == MIME_QUOTED) {
			quote_line(b, line);
		} else {
			buf_str(b, line);
			buf_str(b, STR("\r\n"));
		}
	}
}

void mime_base64_body(struct buf *b, struct str s)
{
	buf_reserve(b, s.n / OCTETS * (LINE + 2) + LINE + 8);
	while (s.n) {
		size_t n = s.n < OCTETS ? s.n : OCTETS;
		unsigned char out[LINE + 8];
		int k = EVP_EncodeBlock(out, (const unsigned char *)s.p, (int)n);

		buf_add(b, out, (size_t)k);
		buf_str(b, STR("\r\n"));
		s = str_skip(s, n);
	}
}

static int base64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

int mime_base64_rewrap(struct str s, struct buf *out, size_t *octets_r, size_t *place_r)
{
	size_t chars = 0, pads = 0;
	int value = 0;

	*octets_r = *place_r = 0;
	if (out)
		buf_reserve(out, s.n + s.n / LINE * 2 + 8);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		*place_r = i + 1;
		if (c == '=') {
			if (++pads > 2 || (chars + pads) % 4 == 1 || (chars + pads) % 4 == 2)
				return -1;
			continue;
		}
		value = base64_value(c);
		if (value < 0 || pads)
			return -1;
		if (out) {
			buf_char(out, c == '-' ? '+' : c == '_' ? '/' : (char)c);
			if (++chars % LINE == 0)
				buf_str(out, STR("\r\n"));
		} else {
			chars++;
		}
	}
	/* What is left of the last group: padded, or a writer that leaves padding away. */
	if (chars % 4 == 1 || (pads && (chars + pads) % 4 != 0) ||
		(chars % 4 == 2 && (value & 15)) || (chars % 4 == 3 && (value & 3)))
		return -1;
	*octets_r = chars / 4 * 3 + (chars % 4 ? chars % 4 - 1 : 0);
	if (out) {
		for (size_t k = chars % 4; k && k < 4; k++)
			buf_char(out, '=');
		if (chars % LINE)
			buf_str(out, STR("\r\n"));
	}
	return 0;
}
