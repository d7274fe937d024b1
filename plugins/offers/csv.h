/* CSV of RFC 4180 as it comes, in pieces of any size: rows out, one at a time.
 *
 * Rows end with LF or CRLF; fields are parted by ',' (by ';' or TAB where the first line has those
 * and no ','); a field in quotes may hold anything, a quote doubled. A byte order mark is passed
 * over, so are blank lines. A row at fault is passed over as a whole, with its line and why; what
 * follows is read. No state outside; memory is bounded by the longest row.
 */
#ifndef POSTERN_PLUGINS_OFFERS_CSV_H
#define POSTERN_PLUGINS_OFFERS_CSV_H

#include "gateway/base/buf.h"

enum { CSV_FIELDS_MOST = 256, CSV_ROW_MOST = 256 << 10 };
enum csv_got {
	CSV_MORE,  /* all bytes are taken */
	CSV_ROW,   /* c->fields, c->n, c->line; good until the next call */
	CSV_FAULT, /* c->line, c->why */
	CSV_END,   /* csv_end() only */
};
struct csv {
	struct str fields[CSV_FIELDS_MOST];
	size_t n;
	uint64_t line; /* on which the row began, from 1 */
	const char *why;
	/* private */
	char sep;
	uint8_t state;
	bool skipping;
	uint64_t at_line;
	struct buf head, text;
	size_t head_taken;
	size_t end[CSV_FIELDS_MOST]; /* of each field in text */
	size_t ends;
};
void csv_init(struct csv *c);
void csv_free(struct csv *c);
enum csv_got csv_next(struct csv *c, struct str *in);
/* No more bytes: the last row or fault, then CSV_END. */
enum csv_got csv_end(struct csv *c);

#endif
