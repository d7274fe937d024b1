/* Lines for the till's paper. See printer.h. */
#include "plugins/offers/printer.h"

#include "gateway/model/translit.h"

#include <iconv.h>

const struct printer *printer_usual(void)
{
	static const struct printer usual = { PRINTER_WIDTH, PRINTER_LINES, .unicode = true };

	return &usual;
}

/* The characters of bytes 0x80 to 0xff; -1 when the code page is not one byte a character over
 * ASCII. */
static int read_code_page(iconv_t cd, struct printer *p)
{
	for (unsigned byte = 0x20; byte < 0x100; byte++) {
		char in = (char)byte, out[16];
		char *ip = &in, *op = out;
		size_t in_n = 1, out_n = sizeof out;
		uint32_t c;

		iconv(cd, NULL, NULL, NULL, NULL);
		if (iconv(cd, &ip, &in_n, &op, &out_n) == (size_t)-1 || sizeof out - out_n != 4) {
			if (byte < 0x7f)
				return -1;
			continue;
		}
		memcpy(&c, out, 4);
		if (byte < 0x7f && c != byte)
			return -1;
		if (byte >= 0x80 && c >= 0xa0)
			p->upper[p->upper_n++] = c;
	}
	return 0;
}

const struct printer *printer_make(
	unsigned width, unsigned lines, const char *code_page, struct arena *a)
{
	struct printer *p = arena_new_of(a, struct printer);
	struct str name = str_of(code_page);
	iconv_t cd;
	int rc;

	p->width = width ? width : PRINTER_WIDTH;
	p->lines = lines < PRINTER_LINES_MOST ? lines ? lines : PRINTER_LINES : PRINTER_LINES_MOST;
	p->unicode = str_ieq(name, STR("utf-8")) || str_ieq(name, STR("utf8"));
	if (p->unicode || str_ieq(name, STR("ascii")) || str_ieq(name, STR("us-ascii")))
		return p;
	cd = iconv_open(
		__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "UCS-4LE" : "UCS-4BE", code_page);
	if (cd == (iconv_t)-1)
		return NULL;
	rc = read_code_page(cd, p);
	iconv_close(cd);
	return rc || !p->upper_n ? NULL : p;
}

static bool prints(const struct printer *p, uint32_t c)
{
	if (c < 0x80)
		return c >= 0x20 && c != 0x7f;
	for (unsigned i = 0; i < p->upper_n; i++)
		if (p->upper[i] == c)
			return true;
	return p->unicode;
}

/* What is neither ink nor a blank: control bytes, marks of direction, the byte order mark, and
 * what is no character at all. */
static bool invisible(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/* The text with nothing in it but what the printer prints, blanks and line ends. */
static void clean(const struct printer *p, struct str text, struct buf *out)
{
	int32_t c;

	while ((c = str_utf8_next(&text)) != -1) {
		uint32_t u = (uint32_t)c;
		struct str as;

		if (c == -2)
			buf_char(out, '?');
		else if (u == '\n' || u == ' ')
			buf_char(out, (char)u);
		else if (u == '\t' || u == 0xa0)
			buf_char(out, ' ');
		else if (invisible(u))
			continue;
		else if (prints(p, u))
			buf_utf8(out, u);
		else if (translit_char(u, TRANSLIT_ALL, &as))
			buf_str(out, as);
		else
			buf_char(out, '?');
	}
}

/* Bytes of at most `most` characters of s. */
static size_t take_chars(struct str s, unsigned most)
{
	struct str rest = s;

	while (most-- && rest.n)
		str_utf8_next(&rest);
	return s.n - rest.n;
}

/* How much of s (of one paragraph) goes on this line: to the last blank that fits; a word longer
 * than the line is cut. *skip_r: the blanks behind it, which are not printed. */
static size_t line_size(struct str s, unsigned width, size_t *skip_r)
{
	size_t n = take_chars(s, width), at;

	*skip_r = 0;
	if (n == s.n)
		return n;
	for (at = n; at > 0 && s.p[at] != ' ';)
		at--;
	if (at == 0)
		return n;
	n = at;
	while (n > 0 && s.p[n - 1] == ' ')
		n--;
	if (n == 0) /* nothing but blanks in front: print the word's head */
		return take_chars(s, width);
	while (at < s.n && s.p[at] == ' ')
		at++;
	*skip_r = at - n;
	return n;
}

void printer_lines(const struct printer *p, struct str text, struct buf *out, struct printed *r)
{
	struct buf cleaned = BUF_INIT;
	struct str rest, par;

	*r = (struct printed){ 0 };
	clean(p, text, &cleaned);
	rest = str_trim(buf_view(&cleaned));
	while (rest.n && str_cut(&rest, '\n', &par)) {
		do {
			size_t skip, n;

			while (par.n && par.p[par.n - 1] == ' ')
				par.n--;
			n = line_size(par, p->width, &skip);
			if (r->n == p->lines) {
				r->cut = true;
				goto done;
			}
			r->v[r->n].at = (uint32_t)out->n;
			r->v[r->n++].n = (uint32_t)n;
			buf_add(out, par.p, n);
			par = str_skip(par, n + skip);
		} while (par.n);
	}
done:
	buf_free(&cleaned);
}
