/* See pieces.h. */
#include "gateway/mail/pieces.h"
#include "gateway/base/buf.h"
#include "gateway/base/err.h"
#include "gateway/base/mem.h"
#include "gateway/base/spool.h"

#include <unistd.h>

enum { BLOCK = 64 << 10, OCTETS = 57 }; /* OCTETS make a line of base64 */

struct mail_pieces *pieces_new(void)
{
	struct mail_pieces *p = mem_new(struct mail_pieces);

	p->fd = -1;
	return p;
}

static void add(struct mail_pieces *p, struct piece x)
{
	if (p->n == p->cap) {
		p->cap = p->cap ? 2 * p->cap : 8;
		p->v = mem_grow(p->v, p->cap * sizeof *p->v);
	}
	p->v[p->n++] = x;
	p->size += x.size;
}

void pieces_end(struct mail_pieces *p)
{
	size_t n = p->text.n - p->text_from;

	if (n)
		add(p, (struct piece){ PIECE_TEXT, p->text_from, n, n });
	p->text_from = p->text.n;
}

void pieces_add(struct mail_pieces *p, enum piece_how how, uint64_t at, uint64_t n, uint64_t size)
{
	pieces_end(p);
	if (n)
		add(p, (struct piece){ how, at, n, size });
}

uint64_t mail_pieces_size(const struct mail_pieces *p)
{
	return p->size;
}

bool mail_pieces_8bit(const struct mail_pieces *p)
{
	return p->eightbit;
}

size_t mail_pieces_first(const struct mail_pieces *p)
{
	return p->n && p->v[0].how == PIECE_TEXT ? (size_t)p->v[0].n : 0;
}

static void begin_piece(struct mail_pieces *p)
{
	p->done = 0;
	p->cr = false;
	buf_reset(&p->carry);
	buf_reset(&p->base64.group);
	p->base64.in = (struct mime_rewrap){ .json = true };
}

void mail_pieces_rewind(struct mail_pieces *p)
{
	p->i = 0;
	p->handed = 0;
	buf_reset(&p->made);
	begin_piece(p);
}

/* The next octets of the piece's stretch of the file, behind what is in `carry`. */
static int fill(struct mail_pieces *p, const struct piece *x, struct err *e)
{
	uint64_t left = x->n - p->done;
	size_t want = left < BLOCK ? (size_t)left : BLOCK;
	char *to = buf_extend(&p->carry, want);

	p->done += want;
	return spool_read_at(p->fd, x->at + p->done - want, to, want, e);
}

static void put_base64(struct buf *carry, bool last, struct buf *out)
{
	size_t n = last ? carry->n : carry->n / OCTETS * OCTETS;

	mime_base64_body(out, str_n(carry->p, n));
	buf_drop(carry, n);
}

/* Whole lines only; the last one of all may have no end. */
static void put_quoted(struct buf *carry, bool last, struct buf *out)
{
	struct str s = buf_view(carry);

	for (const char *lf; s.n && (lf = memchr(s.p, '\n', s.n));) {
		size_t n = (size_t)(lf - s.p) + 1;

		mime_quote_line(out, str_n(s.p, n >= 2 ? n - 2 : 0));
		s = str_skip(s, n);
	}
	if (last && s.n) {
		mime_quote_line(out, s);
		out->n -= 2;
		s = STR_NONE;
	}
	buf_drop(carry, carry->n - s.n);
}

static void put_crlf(struct mail_pieces *p, struct str s, struct buf *out)
{
	while (s.n) {
		const char *lf = memchr(s.p, '\n', s.n);
		size_t n = lf ? (size_t)(lf - s.p) : s.n;

		buf_add(out, s.p, n);
		if (lf) {
			bool cr = n ? s.p[n - 1] == '\r' : p->cr;

			buf_c(out, cr ? "\n" : "\r\n");
			n++;
		}
		p->cr = s.p[n - 1] == '\r';
		s = str_skip(s, n);
	}
}

static int code(struct mail_pieces *p, const struct piece *x, struct buf *out, struct err *e)
{
	bool last = p->done == x->n;
	struct buf raw = BUF_INIT;
	int rc = 0;

	switch (x->how) {
	case PIECE_COPY:
		buf_str(out, buf_view(&p->carry));
		buf_reset(&p->carry);
		break;
	case PIECE_BASE64:
		put_base64(&p->carry, last, out);
		break;
	case PIECE_QUOTED:
		put_quoted(&p->carry, last, out);
		break;
	case PIECE_REWRAP:
		rc = mime_rewrap_put(&p->base64.in, buf_view(&p->carry), out);
		if (rc == 0 && last)
			rc = mime_rewrap_end(&p->base64.in, out);
		buf_reset(&p->carry);
		break;
	case PIECE_RAW:
		rc = mime_unbase64_put(&p->base64, buf_view(&p->carry), &raw);
		if (last)
			mime_unbase64_end(&p->base64, &raw);
		put_crlf(p, buf_view(&raw), out);
		buf_free(&raw);
		buf_reset(&p->carry);
		break;
	case PIECE_TEXT:
		break;
	}
	return rc ? err_set(e, ERR_ENV, "the spool: a file is not what it was") : 0;
}

/* What is made and was not handed out yet: moves of it to out what there is room for. */
static void hand_out(struct mail_pieces *p, size_t room, struct buf *out)
{
	size_t n = p->made.n - p->handed < room ? p->made.n - p->handed : room;

	buf_add(out, p->made.p + p->handed, n);
	p->handed += n;
	if (p->handed == p->made.n) {
		buf_reset(&p->made);
		p->handed = 0;
	}
}

/* Some more of piece i. */
static int make_some(struct mail_pieces *p, size_t room, struct buf *out, struct err *e)
{
	const struct piece *x = &p->v[p->i];

	if (x->how == PIECE_TEXT) {
		size_t n = x->n - p->done < room ? (size_t)(x->n - p->done) : room;

		buf_add(out, p->text.p + x->at + p->done, n);
		p->done += n;
	} else if (fill(p, x, e) != 0 || code(p, x, &p->made, e) != 0) {
		return -1;
	}
	if (p->done == x->n) {
		p->i++;
		begin_piece(p);
	}
	return 0;
}

int mail_pieces_read(struct mail_pieces *p, size_t most, struct buf *out, struct err *e)
{
	size_t from = out->n, got;

	while ((got = out->n - from) < most) {
		if (p->made.n)
			hand_out(p, most - got, out);
		else if (p->i == p->n)
			break;
		else if (make_some(p, most - got, out, e) != 0)
			return -1;
	}
	return 0;
}

void mail_pieces_free(struct mail_pieces **pp)
{
	struct mail_pieces *p = *pp;

	if (!p)
		return;
	if (p->fd >= 0)
		close(p->fd);
	buf_free(&p->text);
	buf_free(&p->carry);
	buf_free(&p->made);
	mime_unbase64_free(&p->base64);
	mem_free(&p->v);
	mem_free(pp);
}
