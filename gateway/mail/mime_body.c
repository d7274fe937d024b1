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
void mime_quote_line(struct buf *b, struct str line)
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
			mime_quote_line(b, line);
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

/* 1 more than its value in base64, of either alphabet; 0: none. */
static const unsigned char sextets[256] = {
	['+'] = 63,
	['-'] = 63,
	['/'] = 64,
	['0'] = 53,
	['1'] = 54,
	['2'] = 55,
	['3'] = 56,
	['4'] = 57,
	['5'] = 58,
	['6'] = 59,
	['7'] = 60,
	['8'] = 61,
	['9'] = 62,
	['A'] = 1,
	['B'] = 2,
	['C'] = 3,
	['D'] = 4,
	['E'] = 5,
	['F'] = 6,
	['G'] = 7,
	['H'] = 8,
	['I'] = 9,
	['J'] = 10,
	['K'] = 11,
	['L'] = 12,
	['M'] = 13,
	['N'] = 14,
	['O'] = 15,
	['P'] = 16,
	['Q'] = 17,
	['R'] = 18,
	['S'] = 19,
	['T'] = 20,
	['U'] = 21,
	['V'] = 22,
	['W'] = 23,
	['X'] = 24,
	['Y'] = 25,
	['Z'] = 26,
	['_'] = 64,
	['a'] = 27,
	['b'] = 28,
	['c'] = 29,
	['d'] = 30,
	['e'] = 31,
	['f'] = 32,
	['g'] = 33,
	['h'] = 34,
	['i'] = 35,
	['j'] = 36,
	['k'] = 37,
	['l'] = 38,
	['m'] = 39,
	['n'] = 40,
	['o'] = 41,
	['p'] = 42,
	['q'] = 43,
	['r'] = 44,
	['s'] = 45,
	['t'] = 46,
	['u'] = 47,
	['v'] = 48,
	['w'] = 49,
	['x'] = 50,
	['y'] = 51,
	['z'] = 52,
};

/* One character of base64 that is not in the middle of a run. */
static int rewrap_char(struct mime_rewrap *w, unsigned char c, struct buf *out)
{
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		return 0;
	w->place = w->seen;
	if (c == '=')
		return ++w->pads > 2 || (w->chars + w->pads) % 4 == 1 ||
				       (w->chars + w->pads) % 4 == 2
			       ? -1
			       : 0;
	if (!sextets[c] || w->pads)
		return -1;
	w->value = sextets[c] - 1;
	w->chars++;
	if (out) {
		buf_char(out, c == '-' ? '+' : c == '_' ? '/' : (char)c);
		if (w->chars % LINE == 0)
			buf_str(out, STR("\r\n"));
	}
	return 0;
}

/* Within an escape of JSON: \n, \/, \u002b and their kin. */
static int rewrap_escaped(struct mime_rewrap *w, unsigned char c, struct buf *out)
{
	if (w->escape == 1) {
		w->code = 0;
		w->escape = c == 'u' ? 2 : 0;
		if (w->escape)
			return 0;
		return rewrap_char(w, c == '/' ? '/' : c && strchr("nrt", c) ? ' ' : '\0', out);
	}
	w->code = w->code << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
	if (++w->escape < 6)
		return 0;
	w->escape = 0;
	return rewrap_char(w, w->code < 0x80 ? (unsigned char)w->code : 0, out);
}

/* Many characters in a row that are as they should be, at most to the end of a line. */
static size_t rewrap_run(struct mime_rewrap *w, struct str s, struct buf *out)
{
	size_t room = LINE - 1 - w->chars % LINE, n = 0;

	if (w->pads || w->escape)
		return 0;
	if (s.n > room)
		s.n = room;
	while (n < s.n && sextets[(unsigned char)s.p[n]] && s.p[n] != '-' && s.p[n] != '_')
		n++;
	if (n == 0)
		return 0;
	w->value = sextets[(unsigned char)s.p[n - 1]] - 1;
	w->chars += n;
	w->seen += n;
	w->place = w->seen;
	if (out)
		buf_add(out, s.p, n);
	return n;
}

int mime_rewrap_put(struct mime_rewrap *w, struct str s, struct buf *out)
{
	if (out)
		buf_reserve(out, s.n + s.n / LINE * 2 + 8);
	for (size_t i = 0; i < s.n;) {
		size_t run = rewrap_run(w, str_skip(s, i), out);
		unsigned char c;
		int rc;

		i += run;
		if (i == s.n)
			break;
		c = (unsigned char)s.p[i++];
		w->seen++;
		if (w->escape)
			rc = rewrap_escaped(w, c, out);
		else if (c == '\\' && w->json)
			rc = 0, w->escape = 1;
		else
			rc = rewrap_char(w, c, out);
		if (rc)
			return -1;
	}
	return 0;
}

int mime_rewrap_end(struct mime_rewrap *w, struct buf *out)
{
	uint64_t last = w->chars % 4;

	/* What is left of the last group: padded, or a writer that leaves padding away. */
	if (w->escape || last == 1 || (w->pads && (w->chars + w->pads) % 4 != 0) ||
		(last == 2 && (w->value & 15)) || (last == 3 && (w->value & 3)))
		return -1;
	if (out) {
		for (uint64_t k = last; k && k < 4; k++)
			buf_char(out, '=');
		if (w->chars % LINE)
			buf_str(out, STR("\r\n"));
	}
	return 0;
}

uint64_t mime_rewrap_octets(const struct mime_rewrap *w)
{
	return w->chars / 4 * 3 + (w->chars % 4 ? w->chars % 4 - 1 : 0);
}

uint64_t mime_rewrap_size(const struct mime_rewrap *w)
{
	uint64_t n = (w->chars + 3) / 4 * 4;

	return n + (n + LINE - 1) / LINE * 2;
}

int mime_base64_rewrap(struct str s, struct buf *out, size_t *octets_r, size_t *place_r)
{
	struct mime_rewrap w = { 0 };
	int rc = mime_rewrap_put(&w, s, out) || mime_rewrap_end(&w, out) ? -1 : 0;

	*octets_r = rc ? 0 : (size_t)mime_rewrap_octets(&w);
	*place_r = (size_t)w.place;
	return rc;
}

/* ---- and back ---- */

/* Whole groups of the characters that wait; at the end all of them. */
static void take_groups(struct buf *b, struct buf *out)
{
	uint32_t v = 0;
	unsigned n = 0;
	size_t used = 0;

	for (size_t i = 0; i < b->n; i++) {
		unsigned char x = sextets[(unsigned char)b->p[i]];

		if (!x) /* a line end, or padding */
			continue;
		v = v << 6 | (x - 1u);
		if (++n < 4)
			continue;
		buf_add(out, (char[]){ (char)(v >> 16), (char)(v >> 8), (char)v }, 3);
		n = 0;
		used = i + 1;
	}
	buf_drop(b, n ? used : b->n);
}

int mime_unbase64_put(struct mime_unbase64 *u, struct str piece, struct buf *out)
{
	if (mime_rewrap_put(&u->in, piece, &u->group) != 0)
		return -1;
	take_groups(&u->group, out);
	return 0;
}

void mime_unbase64_end(struct mime_unbase64 *u, struct buf *out)
{
	uint32_t v = 0;
	unsigned n = 0;

	for (size_t i = 0; i < u->group.n; i++) {
		unsigned char x = sextets[(unsigned char)u->group.p[i]];

		if (!x)
			continue;
		v = v << 6 | (x - 1u);
		n++;
	}
	if (n == 2)
		buf_char(out, (char)(v >> 4));
	if (n == 3)
		buf_add(out, (char[]){ (char)(v >> 10), (char)(v >> 2) }, 2);
}

void mime_unbase64_free(struct mime_unbase64 *u)
{
	buf_free(&u->group);
}
