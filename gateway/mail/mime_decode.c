/* Bodies out of their encodings, texts out of their charsets. See mime_in.h. */
#include "gateway/mail/content.h"
#include "gateway/mail/mime_in.h"

#include <errno.h>
#include <gmime/gmime.h>
#include <iconv.h>

/* Behind a soft line break ("=", blanks, line end); 0: it is none. */
static size_t soft_break(struct str s, size_t i)
{
	for (i++; i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'); i++)
		;
	if (i == s.n)
		return i;
	if (s.p[i] == '\r')
		i++;
	return i < s.n && s.p[i] == '\n' ? i + 1 : i == s.n ? i : 0;
}

static int decode_quoted(struct str s, bool strict, struct buf *out, struct err *e)
{
	buf_reserve(out, s.n);
	for (size_t i = 0; i < s.n;) {
		int high, low;
		size_t behind;

		if (s.p[i] != '=') {
			buf_char(out, s.p[i++]);
			continue;
		}
		high = i + 2 < s.n ? str_hex_value(s.p[i + 1]) : -1;
		low = i + 2 < s.n ? str_hex_value(s.p[i + 2]) : -1;
		behind = soft_break(s, i);
		if (high >= 0 && low >= 0) {
			buf_char(out, (char)(high << 4 | low));
			i += 3;
		} else if (behind) {
			i = behind;
		} else if (strict) {
			return err_set(e, ERR_INPUT,
				"its quoted-printable is broken at octet %zu: \"=\" is followed by "
				"neither two hexadecimal digits nor a line end",
				i + 1);
		} else {
			buf_char(out, s.p[i++]);
		}
	}
	return 0;
}

static int decode_base64(struct str s, bool strict, struct buf *out, struct err *e)
{
	uint32_t acc = 0;
	unsigned have = 0;
	bool padded = false;

	buf_reserve(out, s.n / 4 * 3 + 3);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		int v;

		if (c == '\r' || c == '\n' || c == ' ' || c == '\t')
			continue;
		if (c == '=') {
			padded = true;
			continue;
		}
		v = str_base64_value(s.p[i]);
		if (v < 0 || padded) {
			if (!strict && v < 0)
				continue;
			if (!strict)
				break; /* a footer that somebody put behind it */
			return err_set(e, ERR_INPUT, "its base64 is broken at octet %zu", i + 1);
		}
		acc = acc << 6 | (uint32_t)v;
		if (++have == 4) {
			buf_char(out, (char)(acc >> 16));
			buf_char(out, (char)(acc >> 8));
			buf_char(out, (char)acc);
			acc = have = 0;
		}
	}
	if (have == 1 && strict)
		return err_set(e, ERR_INPUT, "its base64 is cut off");
	if (have >= 2)
		buf_char(out, (char)(acc >> (have == 2 ? 4 : 10)));
	if (have == 3)
		buf_char(out, (char)(acc >> 2));
	return 0;
}

int mime_decode(struct str body, enum mime_transfer t, bool strict, struct buf *out, struct err *e)
{
	switch (t) {
	case MIME_IN_QUOTED:
		return decode_quoted(body, strict, out, e);
	case MIME_IN_BASE64:
		return decode_base64(body, strict, out, e);
	case MIME_IN_UNKNOWN:
		if (strict)
			return err_set(e, ERR_INPUT, "its Content-Transfer-Encoding is not known");
		break;
	case MIME_AS_IS:
		break;
	}
	buf_str(out, body);
	return 0;
}

static void put_valid_utf8(struct str s, struct buf *out)
{
	while (s.n) {
		int32_t c = str_utf8_next(&s);

		buf_utf8(out, c < 0 ? 0xfffd : (uint32_t)c);
	}
}

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

static int by_iconv(struct str s, const char *charset, bool strict, struct buf *out, struct err *e)
{
	char piece[4096], *from = (char *)(uintptr_t)s.p, *to;
	size_t left = s.n, room, bad = 0;
	iconv_t cd;

	mail_gmime();
	cd = g_mime_iconv_open("UTF-8", charset);
	if (cd == (iconv_t)-1) {
		if (strict)
			return err_set(e, ERR_INPUT, "its charset \"%s\" is not known", charset);
		put_valid_utf8(s, out);
		return 0;
	}
	while (left) {
		size_t n;

		to = piece;
		room = sizeof piece;
		n = iconv(cd, &from, &left, &to, &room);
		buf_add(out, piece, sizeof piece - room);
		if (n != (size_t)-1 || errno == E2BIG)
			continue;
		if (strict) {
			bad = s.n - left + 1;
			break;
		}
		buf_utf8(out, 0xfffd);
		from++;
		left--;
	}
	to = piece;
	room = sizeof piece;
	if (!bad && iconv(cd, NULL, NULL, &to, &room) != (size_t)-1)
		buf_add(out, piece, sizeof piece - room);
	g_mime_iconv_close(cd);
	if (bad)
		return err_set(e, ERR_INPUT, "octet %zu of it has no meaning in its charset %s",
			bad, charset);
	return 0;
}

int mime_to_utf8(struct str s, const char *charset, bool strict, struct buf *out, struct err *e)
{
	bool ascii = is_ascii(s);
	bool plain = !*charset || str_ieq(str_of(charset), STR("us-ascii")) ||
		     str_ieq(str_of(charset), STR("ascii")) ||
		     str_ieq(str_of(charset), STR("utf-8")) ||
		     str_ieq(str_of(charset), STR("utf8"));

	/* Clients that say nothing, or ASCII, mean UTF-8 nowadays when it is that. */
	if (plain && (ascii || str_utf8_valid(s))) {
		buf_str(out, s);
		return 0;
	}
	if (plain && strict) {
		size_t at = 0;
		struct str rest = s;

		while (rest.n) {
			at = s.n - rest.n;
			if (str_utf8_next(&rest) < 0)
				break;
		}
		return err_set(e, ERR_INPUT, "octet %zu of it has no meaning in %s", at + 1,
			*charset ? charset : "ASCII, and no other charset is said");
	}
	if (plain) {
		put_valid_utf8(s, out);
		return 0;
	}
	return by_iconv(s, charset, strict, out, e);
}
