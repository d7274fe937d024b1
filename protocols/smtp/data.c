/* Scanning content. See data.h. Lines are found by memchr, and what needs no change is copied in
 * one piece: a mail of 4 KiB costs a few microseconds. */
#include "protocols/smtp/data.h"

static void fault(struct smtp_data *d, enum smtp_data_fault f)
{
	if (d->fault == SMTP_DATA_GOOD)
		d->fault = f;
}

/* n octets of a line were seen, of which the last `end` are CR LF or its CR. */
static void line_grows(struct smtp_data *d, size_t n, size_t end)
{
	bool ends = end == 2;

	d->line += n;
	if (d->line_most && d->line > d->line_most + end)
		fault(d, SMTP_DATA_LONG_LINE);
	if (ends)
		d->line = 0;
	d->begun = !ends;
}

static void keep(struct smtp_data *d, struct buf *out, const char *from, const char *to)
{
	if (from == to)
		return;
	if (memchr(from, '\0', (size_t)(to - from)))
		fault(d, SMTP_DATA_NUL);
	d->octets += (size_t)(to - from);
	buf_add(out, from, (size_t)(to - from));
}

size_t smtp_data_take(struct smtp_data *d, struct str in, struct buf *out)
{
	const char *p = in.p, *end = in.p + in.n, *from = in.p, *lf, *cr;

	while (p < end && !d->ended) {
		if (!d->begun && *p == '.') {
			if (end - p < 2 || (p[1] == '\r' && end - p < 3))
				break; /* it may be the end */
			keep(d, out, from, p);
			if (p[1] == '\r' && p[2] == '\n') {
				d->ended = true;
				return (size_t)(p + 3 - in.p);
			}
			from = ++p;
		}
		/* A dot was stuffed, and it may be all there is of the line (".\n" is none). */
		lf = memchr(p, '\n', (size_t)(end - p));
		cr = memchr(p, '\r', (size_t)((lf ? lf : end) - p));
		if (lf && lf != p && cr == lf - 1) {
			line_grows(d, (size_t)(lf + 1 - p), 2);
			p = lf + 1;
			continue;
		}
		if (cr && cr + 1 < end) {
			keep(d, out, from, cr);
			fault(d, SMTP_DATA_BARE_CR);
			/* what is wrong now outweighs what was */
			d->fault = SMTP_DATA_BARE_CR;
			return (size_t)(cr - in.p);
		}
		if (lf) {
			keep(d, out, from, lf);
			d->fault = SMTP_DATA_BARE_LF;
			return (size_t)(lf - in.p);
		}
		/* The line goes on in the next piece; a CR waits for what comes behind it. */
		if (cr)
			end = cr;
		if (p < end)
			line_grows(d, (size_t)(end - p), 0);
		p = end;
		break;
	}
	keep(d, out, from, p);
	return (size_t)(p - in.p);
}

void smtp_data_chunk(struct smtp_data *d, struct str in, struct buf *out)
{
	const char *p = in.p, *end = in.p + in.n, *lf, *cr, *stop;

	while (p < end) {
		if (d->cr && *p != '\n')
			fault(d, SMTP_DATA_BARE_CR);
		lf = memchr(p, '\n', (size_t)(end - p));
		if (lf && (lf == p ? !d->cr : lf[-1] != '\r'))
			fault(d, SMTP_DATA_BARE_LF);
		stop = lf ? lf + 1 : end;
		cr = memchr(p, '\r', (size_t)(stop - p));
		if (cr && cr + 1 < stop && !(lf && cr == lf - 1))
			fault(d, SMTP_DATA_BARE_CR);
		d->cr = !lf && stop[-1] == '\r';
		line_grows(d, (size_t)(stop - p), lf ? 2 : d->cr);
		p = stop;
	}
	keep(d, out, in.p, end);
}
