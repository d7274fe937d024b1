/* Encoded words of headers (RFC 2047) as UTF-8. See mail.h. Any octets; charsets by iconv(3). */
#include "gateway/mail/mail.h"

#include <iconv.h>

enum { CHARSET_MOST = 40, WORD_MOST = 4096 };

static void put_clean(struct str s, struct buf *out)
{
	int32_t c;

	while ((c = str_utf8_next(&s)) != -1)
		buf_utf8(out, c == -2 ? 0xfffd : c < 0x20 || c == 0x7f ? ' ' : (uint32_t)c);
}

/* §4.2 */
static bool decode_q(struct str in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] != '=') {
			buf_char(out, in.p[i] == '_' ? ' ' : in.p[i]);
			continue;
		}
		if (in.n - i < 3 || str_hex_value(in.p[i + 1]) < 0 ||
			str_hex_value(in.p[i + 2]) < 0)
			return false;
		buf_char(out, (char)(str_hex_value(in.p[i + 1]) << 4 | str_hex_value(in.p[i + 2])));
		i += 2;
	}
	return true;
}

static int digit(char c)
{
	static const char all[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(all, c) : NULL;

	return at ? (int)(at - all) : -1;
}

static bool decode_b(struct str in, struct buf *out)
{
	unsigned v = 0, bits = 0;

	while (in.n && in.p[in.n - 1] == '=')
		in.n--;
	for (size_t i = 0; i < in.n; i++) {
		int d = digit(in.p[i]);

		if (d < 0)
			return false;
		v = (v << 6 | (unsigned)d) & 0xfff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf_u8(out, (uint8_t)(v >> bits));
		}
	}
	return true;
}

static bool to_utf8(struct str charset, struct str in, struct buf *out)
{
	char name[CHARSET_MOST], *from, *to;
	size_t left = in.n, room = in.n * 4 + 8, had = out->n, rc;
	iconv_t cd;

	if (charset.n >= sizeof name)
		return false;
	str_copy(name, sizeof name, charset);
	name[strcspn(name, "*")] = '\0'; /* a language may follow (RFC 2231 §5) */
	cd = iconv_open("UTF-8", name);
	if (cd == (iconv_t)-1)
		return false;
	from = (char *)(uintptr_t)in.p;
	to = buf_extend(out, room);
	rc = iconv(cd, &from, &left, &to, &room);
	iconv_close(cd);
	out->n -= room;
	if (rc != (size_t)-1)
		return true;
	out->n = had;
	return false;
}

/* "=?charset?Q?text?=" at the beginning of s: its length, and its text into out; 0: none. */
static size_t take_word(struct str s, struct buf *out)
{
	struct str rest = str_skip(s, 2), charset, how, text;
	struct buf raw = BUF_INIT;
	ptrdiff_t end;
	bool ok;

	if (!str_starts(s, STR("=?")) || !str_cut(&rest, '?', &charset) ||
		!str_cut(&rest, '?', &how) || how.n != 1 || !charset.n)
		return 0;
	end = str_find(str_n(rest.p, rest.n < WORD_MOST ? rest.n : WORD_MOST), STR("?="));
	if (end < 0)
		return 0;
	text = str_n(rest.p, (size_t)end);
	ok = (how.p[0] | 0x20) == 'q'   ? decode_q(text, &raw)
	     : (how.p[0] | 0x20) == 'b' ? decode_b(text, &raw)
					: false;
	ok = ok && to_utf8(charset, buf_view(&raw), out);
	buf_free(&raw);
	return ok ? (size_t)(rest.p - s.p) + (size_t)end + 2 : 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void mail_words(struct str raw, struct buf *out)
{
	struct buf text = BUF_INIT;
	size_t i = 0, n, behind = 0; /* where the last encoded word ended in text; 0: nowhere */

	raw = str_trim(raw);
	while (i < raw.n) {
		size_t space = i, had = text.n;

		while (space < raw.n && is_space(raw.p[space]))
			space++;
		if (space > i) {
			i = space;
			buf_char(&text, ' ');
			continue;
		}
		/* White space between two encoded words is none (§6.2). */
		if (raw.p[i] == '=' && behind && behind + 1 == text.n && text.p[behind] == ' ')
			text.n = behind;
		n = raw.p[i] == '=' ? take_word(str_skip(raw, i), &text) : 0;
		if (n) {
			i += n;
			behind = text.n;
			continue;
		}
		text.n = had;
		buf_char(&text, raw.p[i++]);
	}
	put_clean(buf_view(&text), out);
	buf_free(&text);
}
