/* Fuzz target: any text under any settings is planned, written and read back. The first eight
 * bytes are the settings. What must hold: no part above its size, none cut inside a character,
 * and what was read once comes back the same when sent again.
 */
#include "gateway/model/reassembly.h"
#include "gateway/model/text.h"
#include "gateway/model/translit.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETTINGS = 8 };

static struct text_options settings(const uint8_t *d)
{
	return (struct text_options){
		.allow = d[0] & 15,
		.locking = d[0] & 16,
		.lossy = d[0] & 32,
		.fewest = d[0] & 64,
		.binary = d[0] == 255,
		.languages = (unsigned)(d[1] << 8 | d[2]),
		.translit = d[3] & TRANSLIT_ALL,
		.sar_wide = d[3] & 16,
		.little_endian = d[3] & 32,
		.ports = d[3] & 64,
		.port_to = d[7],
		.split = d[4] % (TEXT_SPLIT_NONE + 1),
		.form = d[5] % (TEXT_FORM_UTF8 + 1),
		.max_parts = d[6],
	};
}

/* U+FEFF in front of a later part, read alone, is a byte order mark; joined it is a character. */
static bool opens_with_mark(struct str octets, const struct text_part *part)
{
	size_t header = part->udhi ? 1 + (size_t)(unsigned char)octets.p[0] : 0;
	uint16_t unit = octets.n >= header + 2 ? be16(octets.p + header) : 0;

	return unit == 0xfeff || unit == 0xfffe;
}

/* The text as read part by part, and as joined; they are the same unless a cut was wrong. */
static void read_back(const struct text_plan *p, const struct text_peer *peer, struct buf *out)
{
	struct concat_part *parts = calloc(p->parts, sizeof *parts);
	struct buf *octets = calloc(p->parts, sizeof *octets), joined = BUF_INIT;
	struct concat_joined j;
	struct text_decoded d;
	struct text_part part;
	size_t at = 0;
	bool mark = false;

	CHECK(parts && octets);
	for (unsigned i = 0; i < p->parts; i++) {
		text_part(p, i, 0x1234, &octets[i], &part);
		CHECK(part.source.p == p->text.p + at);
		at += part.source.n;
		CHECK(part.payload || octets[i].n <= TEXT_OCTETS_MAX);
		CHECK(part.payload || part.units <= text_room(p->coding, p->header));
		CHECK(part.udhi == (p->header > 0));
		CHECK(text_decode(p->data_coding, buf_view(&octets[i]), part.udhi, peer, &d, out,
			      NULL) == 0);
		CHECK(!d.lossy && d.binary == (p->coding == TEXT_BINARY));
		mark |= i > 0 && p->coding == TEXT_UCS2 &&
			opens_with_mark(buf_view(&octets[i]), &part);
		parts[i] = (struct concat_part){ p->data_coding, part.udhi, buf_view(&octets[i]) };
	}
	CHECK(at == p->text.n);
	concat_join(parts, p->parts, peer, &j, &joined);
	CHECK(j.missing == 0 && (mark || str_eq(buf_view(&joined), buf_view(out))));
	for (unsigned i = 0; i < p->parts; i++)
		buf_free(&octets[i]);
	buf_free(&joined);
	free(octets);
	free(parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text_plan p;
	struct text_options o;
	struct text_peer peer;
	struct buf once = BUF_INIT, twice = BUF_INIT;
	struct err e;
	char name[64];

	if (size < SETTINGS)
		return 0;
	o = settings(data);
	peer = (struct text_peer){ .form = o.form, .little_endian = o.little_endian };
	if (text_plan(&p, str_n(data + SETTINGS, size - SETTINGS), &o, &e)) {
		CHECK(p.fault != TEXT_OK && e.kind == ERR_INPUT);
		return 0;
	}
	CHECK(p.parts >= 1 && p.parts <= p.segments && p.segments <= TEXT_PARTS_MAX);
	text_costly_name(&p, name, sizeof name);
	read_back(&p, &peer, &once);
	if (p.coding == TEXT_BINARY)
		CHECK(str_eq(buf_view(&once), p.text));
	else if (p.changed == 0 && o.form != TEXT_FORM_PACKED && p.units == p.text.n &&
		 p.coding != TEXT_UCS2)
		CHECK(once.n == p.text.n);
	/* Packed, an "@" or CR at an octet's end is taken for padding: that is its known limit. A
	 * byte order mark that opens a text is read as one. */
	if (p.coding != TEXT_BINARY && o.form != TEXT_FORM_PACKED && p.coding != TEXT_UCS2 &&
		!text_plan(&p, buf_view(&once), &o, &e)) {
		CHECK(p.changed == 0);
		read_back(&p, &peer, &twice);
		CHECK(str_eq(buf_view(&once), buf_view(&twice)));
	}
	buf_free(&once);
	buf_free(&twice);
	return 0;
}
