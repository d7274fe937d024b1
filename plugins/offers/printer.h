/* The till's paper and the cashier's screen: a text as lines that a printer of so many columns and
 * such a code page can print. Control bytes are dropped, so that no name becomes a command; words
 * are kept whole where they fit; characters that the code page lacks are transliterated or '?'.
 * A printer is immutable, in the arena of the load. Any thread.
 */
#ifndef POSTERN_PLUGINS_OFFERS_PRINTER_H
#define POSTERN_PLUGINS_OFFERS_PRINTER_H

#include "gateway/base/buf.h"
#include "gateway/base/mem.h"

enum { PRINTER_WIDTH = 40, PRINTER_LINES = 10, PRINTER_LINES_MOST = 64, PRINTER_WIDTH_MOST = 255 };

struct printer {
	unsigned width, lines;
	bool unicode;        /* prints everything */
	uint32_t upper[128]; /* characters of the code page's bytes 0x80…0xff, in order; 0: none */
	unsigned upper_n;
};
/* "utf-8", "ascii", "CP866", "windows-1257" … as iconv knows them. NULL when it is none of one
 * byte a character that has ASCII below 0x80. */
const struct printer *printer_make(
	unsigned width, unsigned lines, const char *code_page, struct arena *a);
const struct printer *printer_usual(void); /* 40 columns, 10 lines, UTF-8 */

struct printed {
	size_t n;
	bool cut; /* there was more than fits p->lines; no line is cut in the middle */
	struct {
		uint32_t at, n;
	} v[PRINTER_LINES_MOST];
};
/* Appends the lines to out, one after the other, and says where they are (from out's start). */
void printer_lines(const struct printer *p, struct str text, struct buf *out, struct printed *r);

#endif
