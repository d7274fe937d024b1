/* Keys and joining for long messages. See reassembly.h. */
#include "gateway/model/reassembly.h"

static void key_field(struct buf *out, struct str s)
{
	buf_be32(out, (uint32_t)s.n);
	buf_str(out, s);
}

void concat_key(struct buf *out, struct str owner, struct str source, struct str destination,
	const struct concat *c)
{
	key_field(out, owner);
	key_field(out, source);
	key_field(out, destination);
	buf_u8(out, (uint8_t)c->kind);
	buf_be16(out, c->ref);
	buf_u8(out, c->total);
}

/* Parts that can be read as one run of octets. */
static bool same_reading(const struct text_decoded *a, const struct text_decoded *b)
{
	return a->dcs.charset == b->dcs.charset && a->udh.locking == b->udh.locking &&
	       a->udh.single == b->udh.single;
}

static void flush(struct text_decoded *d, const struct text_peer *peer, struct buf *run,
	struct concat_joined *j, struct buf *out)
{
	if (run->n == 0)
		return;
	text_body_decode(d, peer, buf_view(run), out);
	j->binary |= d->binary;
	j->lossy |= d->lossy;
	buf_reset(run);
}

void concat_join(const struct concat_part *parts, size_t n, const struct text_peer *peer,
	struct concat_joined *j, struct buf *out)
{
	struct text_decoded run = { 0 }, d;
	struct buf octets = BUF_INIT, body = BUF_INIT;

	*j = (struct concat_joined){ 0 };
	for (size_t i = 0; i < n; i++)
		if (parts[i].octets.p)
			j->binary |=
				text_dcs(parts[i].data_coding, peer).charset == TEXT_CHARSET_BINARY;
	for (size_t i = 0; i < n; i++) {
		const struct concat_part *p = &parts[i];

		buf_reset(&body);
		if (!p->octets.p ||
			text_body(p->data_coding, p->octets, p->udhi, peer, &d, &body, NULL)) {
			flush(&run, peer, &octets, j, out);
			j->missing++;
			if (!j->binary)
				buf_utf8(out, 0x2026);
			continue;
		}
		if (octets.n && !same_reading(&run, &d))
			flush(&run, peer, &octets, j, out);
		if (octets.n == 0)
			run = d;
		buf_str(&octets, buf_view(&body));
	}
	flush(&run, peer, &octets, j, out);
	buf_free(&octets);
	buf_free(&body);
}
