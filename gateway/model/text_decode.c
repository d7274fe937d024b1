/* Reading short messages back into UTF-8. See text.h.
 *
 * data_coding is a table (SMPP 3.4 5.2.19 below 0x10, TS 23.038 4 above), never a low nibble;
 * what it reserves stays octets. The two ISO 8859 parts are computed here; the East Asian ones
 * go through iconv(3), and stay octets where it finds them malformed.
 */
#include "gateway/model/text.h"
#include "gateway/base/mem.h"

#include <iconv.h>

static const struct text_peer usual_peer;

const char *text_charset_name(enum text_charset c)
{
	static const char *const names[] = { "gsm", "gsm-packed", "ascii", "latin1", "utf8", "ucs2",
		"iso-8859-5", "iso-8859-8", "jis", "iso-2022-jp", "euc-jp", "euc-kr", "binary" };

	return (unsigned)c < sizeof names / sizeof *names ? names[c] : "";
}

/* ---- data_coding -------------------------------------------------------------------------- */

static enum text_charset charset_of_form(enum text_form f)
{
	switch (f) {
	case TEXT_FORM_PACKED:
		return TEXT_CHARSET_PACKED;
	case TEXT_FORM_LATIN1:
		return TEXT_CHARSET_LATIN1;
	case TEXT_FORM_ASCII:
		return TEXT_CHARSET_ASCII;
	case TEXT_FORM_UTF8:
		return TEXT_CHARSET_UTF8;
	default:
		return TEXT_CHARSET_GSM;
	}
}

/* The values that SMPP itself defines. */
static struct text_dcs dcs_smpp(uint8_t v, const struct text_peer *peer)
{
	struct text_dcs d = { TEXT_CHARSET_BINARY, -1, false, false };

	switch (v) {
	case 0x00:
		d.charset = charset_of_form(peer->form);
		break;
	case 0x01:
		d.charset = peer->ascii_gsm ? TEXT_CHARSET_GSM : TEXT_CHARSET_ASCII;
		break;
	case 0x02:
	case 0x04:
		break;
	case 0x03:
		d.charset = TEXT_CHARSET_LATIN1;
		break;
	case 0x05:
		d.charset = TEXT_CHARSET_JIS;
		break;
	case 0x06:
		d.charset = TEXT_CHARSET_8859_5;
		break;
	case 0x07:
		d.charset = TEXT_CHARSET_8859_8;
		break;
	case 0x08:
		d.charset = TEXT_CHARSET_UCS2;
		break;
	case 0x0a:
		d.charset = TEXT_CHARSET_ISO_2022_JP;
		break;
	case 0x0d:
		d.charset = TEXT_CHARSET_EUC_JP;
		break;
	case 0x0e:
		d.charset = TEXT_CHARSET_EUC_KR;
		break;
	default: /* 0x09 pictograms; 0x0B, 0x0C, 0x0F reserved */
		d.unknown = true;
	}
	return d;
}

struct text_dcs text_dcs(uint8_t v, const struct text_peer *peer)
{
	struct text_dcs d = { TEXT_CHARSET_BINARY, -1, false, false };
	enum text_charset gsm;

	if (!peer)
		peer = &usual_peer;
	if (v < 0x10)
		return dcs_smpp(v, peer);
	/* From here on the peer speaks of GSM's own alphabet, whatever its 0x00 means. */
	gsm = peer->form == TEXT_FORM_PACKED ? TEXT_CHARSET_PACKED : TEXT_CHARSET_GSM;
	if (v < 0x80) { /* general coding (00xx), and the same marked for deletion (01xx) */
		unsigned alphabet = v >> 2 & 3;

		if (v & 0x10)
			d.message_class = v & 3;
		if (v & 0x20 || alphabet == 3 || !(v & 0x10 || v >= 0x40))
			d.unknown = true; /* compressed, or reserved */
		else if (alphabet != 1)
			d.charset = alphabet == 2 ? TEXT_CHARSET_UCS2 : gsm;
	} else if (v < 0xc0) {
		d.unknown = true;
	} else if (v < 0xf0) { /* message waiting: discard 0xC0, store 0xD0, store as UCS-2 0xE0 */
		d.waiting = true;
		d.charset = v >= 0xe0 ? TEXT_CHARSET_UCS2 : gsm;
	} else { /* coding and class */
		d.message_class = v & 3;
		if (!(v & 4))
			d.charset = gsm;
	}
	return d;
}

/* ---- character sets ----------------------------------------------------------------------- */

static bool decode_latin1(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++)
		buf_utf8(out, (uint8_t)s.p[i]);
	return true;
}

/* False when something was replaced. */
static bool decode_utf8(struct str s, struct buf *out)
{
	bool clean = true;
	int32_t c;

	while ((c = str_utf8_next(&s)) != -1) {
		clean &= c >= 0;
		buf_utf8(out, c >= 0 ? (uint32_t)c : 0xfffd);
	}
	return clean;
}

static bool decode_utf16(struct str s, bool little, struct text_decoded *d, struct buf *out)
{
	const uint8_t *p = (const uint8_t *)s.p;
	bool clean = true;

	if (s.n & 1) {
		d->odd = true;
		s.n--;
	}
	if (s.n >= 2 && ((p[0] == 0xfe && p[1] == 0xff) || (p[0] == 0xff && p[1] == 0xfe))) {
		little = p[0] == 0xff;
		p += 2;
		s.n -= 2;
	}
	for (size_t i = 0; i < s.n; i += 2) {
		uint32_t c = (uint32_t)p[i + !little] | (uint32_t)p[i + little] << 8, low;

		if (c >= 0xd800 && c < 0xdc00 && i + 3 < s.n) {
			low = (uint32_t)p[i + 2 + !little] | (uint32_t)p[i + 2 + little] << 8;
			if (low >= 0xdc00 && low < 0xe000) {
				c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
				i += 2;
			}
		}
		if (c >= 0xd800 && c < 0xe000) {
			c = 0xfffd;
			clean = false;
		}
		buf_utf8(out, c);
	}
	return clean;
}

/* ISO/IEC 8859-5, Cyrillic. */
static bool decode_8859_5(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		uint32_t c = (uint8_t)s.p[i];

		if (c == 0xf0)
			c = 0x2116;
		else if (c == 0xfd)
			c = 0xa7;
		else if (c > 0xa0 && c != 0xad)
			c += 0x360;
		buf_utf8(out, c);
	}
	return true;
}

/* ISO/IEC 8859-8, Hebrew. */
static bool decode_8859_8(struct str s, struct buf *out)
{
	bool clean = true;

	for (size_t i = 0; i < s.n; i++) {
		uint32_t c = (uint8_t)s.p[i];

		if (c == 0xaa)
			c = 0xd7;
		else if (c == 0xba)
			c = 0xf7;
		else if (c == 0xdf)
			c = 0x2017;
		else if (c >= 0xe0 && c <= 0xfa)
			c += 0x5d0 - 0xe0;
		else if (c == 0xfd || c == 0xfe)
			c += 0x200e - 0xfd;
		else if (c == 0xa1 || c > 0xbe) {
			c = 0xfffd;
			clean = false;
		}
		buf_utf8(out, c);
	}
	return clean;
}

/* False, and out as before, when iconv cannot read it all. */
static bool decode_iconv(struct str s, const char *name, struct buf *out)
{
	iconv_t cd = iconv_open("UTF-8", name);
	size_t before = out->n, room = s.n * 4 + 16, left = s.n, free_n = room;
	char *to = buf_extend(out, room), *from = mem_dup(s), *p = from;
	bool ok = cd != (iconv_t)-1 && iconv(cd, &p, &left, &to, &free_n) != (size_t)-1;

	if (cd != (iconv_t)-1)
		iconv_close(cd);
	mem_free(&from);
	out->n = ok ? before + room - free_n : before;
	return ok;
}

static bool decode_asian(struct text_decoded *d, struct str s, struct buf *out)
{
	switch (d->dcs.charset) {
	case TEXT_CHARSET_JIS: /* with escapes it is ISO-2022, without them Shift JIS */
		return decode_iconv(s, str_index(s, '\x1b') < 0 ? "SHIFT_JIS" : "ISO-2022-JP", out);
	case TEXT_CHARSET_ISO_2022_JP:
		return decode_iconv(s, "ISO-2022-JP", out);
	case TEXT_CHARSET_EUC_JP:
		return decode_iconv(s, "EUC-JP", out);
	default:
		return decode_iconv(s, "EUC-KR", out);
	}
}

void text_body_decode(
	struct text_decoded *d, const struct text_peer *peer, struct str s, struct buf *out)
{
	bool clean = true;

	if (!peer)
		peer = &usual_peer;
	d->binary = false;
	switch (d->dcs.charset) {
	case TEXT_CHARSET_GSM:
	case TEXT_CHARSET_PACKED:
		clean = gsm7_decode(s, d->udh.locking, d->udh.single, out) == 0;
		break;
	case TEXT_CHARSET_ASCII: /* above 0x7F it is Latin-1: some peers declare both as 0x01 */
	case TEXT_CHARSET_LATIN1:
		clean = decode_latin1(s, out);
		break;
	case TEXT_CHARSET_UTF8:
		clean = decode_utf8(s, out);
		break;
	case TEXT_CHARSET_UCS2:
		clean = decode_utf16(s, peer->little_endian, d, out);
		break;
	case TEXT_CHARSET_8859_5:
		clean = decode_8859_5(s, out);
		break;
	case TEXT_CHARSET_8859_8:
		clean = decode_8859_8(s, out);
		break;
	case TEXT_CHARSET_BINARY:
		d->binary = true;
		buf_str(out, s);
		break;
	default:
		d->binary = !decode_asian(d, s, out);
		if (d->binary)
			buf_str(out, s);
	}
	d->lossy |= !clean;
}

/* ---- bodies ------------------------------------------------------------------------------- */

/* Septets of a packed body. Where the last of them may as well be padding (it fills exactly the
 * bits to the octet's end) and is "@" or CR, it is taken for that: the count is not sent. */
static void unpack_body(struct str s, unsigned fill, struct buf *out)
{
	size_t n = gsm7_unpacked_size(s.n, fill);

	gsm7_unpack(s, fill, n, out);
	if (n && (fill + n * 7) % 8 == 0 &&
		(out->p[out->n - 1] == 0 || out->p[out->n - 1] == GSM7_CR))
		out->n--;
}

int text_body(uint8_t data_coding, struct str octets, bool udhi, const struct text_peer *peer,
	struct text_decoded *d, struct buf *out, struct err *e)
{
	*d = (struct text_decoded){ .dcs = text_dcs(data_coding, peer) };
	if (udhi && udh_parse(octets, &d->udh, e))
		return -1;
	octets = str_skip(octets, d->udh.size);
	if (d->dcs.charset == TEXT_CHARSET_PACKED)
		unpack_body(octets, gsm7_header_fill(d->udh.size), out);
	else
		buf_str(out, octets);
	return 0;
}

int text_decode(uint8_t data_coding, struct str octets, bool udhi, const struct text_peer *peer,
	struct text_decoded *d, struct buf *out, struct err *e)
{
	struct buf body = BUF_INIT;
	struct str s;

	*d = (struct text_decoded){ .dcs = text_dcs(data_coding, peer) };
	if (d->dcs.charset == TEXT_CHARSET_PACKED) {
		if (text_body(data_coding, octets, udhi, peer, d, &body, e))
			return -1;
		s = buf_view(&body);
	} else {
		if (udhi && udh_parse(octets, &d->udh, e))
			return -1;
		s = str_skip(octets, d->udh.size);
	}
	text_body_decode(d, peer, s, out);
	buf_free(&body);
	return 0;
}
