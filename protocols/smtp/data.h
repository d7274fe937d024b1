/* The content of a mail as it comes over the wire, in pieces of any size: where it ends, what its
 * octets are, and whether they may be let in. RFC 5321 §4.5.2 for DATA, RFC 3030 for BDAT. Pure.
 *
 * Nothing but CR LF . CR LF ends a DATA: a line feed without its carriage return, or the other way
 * round, is read by some servers as the end of a line and by others not, and two that disagree can
 * be made to see different mails ("smuggling"). So a lone one is a fault, at once.
 */
#ifndef POSTERN_SMTP_DATA_H
#define POSTERN_SMTP_DATA_H

#include "gateway/base/buf.h"

enum smtp_data_fault {
	SMTP_DATA_GOOD,
	SMTP_DATA_BARE_LF, /* DATA: where the mail ends cannot be told any more */
	SMTP_DATA_BARE_CR,
	SMTP_DATA_NUL, /* these two leave no doubt about the end, which is waited for */
	SMTP_DATA_LONG_LINE,
};

/* Zeroed but for line_most is new. */
struct smtp_data {
	size_t line_most;           /* octets of a line without CRLF; 0: no limit */
	size_t line;                /* of the one under way, its CR included */
	uint64_t octets;            /* of content so far */
	bool begun, ended;          /* begun: in the middle of a line; ended: the dot came */
	bool cr;                    /* BDAT: the last octet was one */
	enum smtp_data_fault fault; /* the first */
};

/* Takes of `in` what it can and appends the content to out, dots taken off. Returns how many octets
 * it took: up to three at the end may have to be shown again with more behind them; and nothing
 * behind the end, or from a lone CR or LF on. */
size_t smtp_data_take(struct smtp_data *d, struct str in, struct buf *out);
/* The same for octets of a chunk: all are taken, none is special; faults are noted only. */
void smtp_data_chunk(struct smtp_data *d, struct str in, struct buf *out);
/* Behind the last chunk: was it ended by CRLF? */
static inline bool smtp_data_is_whole(const struct smtp_data *d)
{
	return !d->begun && !d->cr;
}

#endif
