/* Planning and writing the parts of a short message. See text.h; reading is in text_decode.c.
 *
 * One walk over the text does all: characters are read in composed form, turned into octets under
 * a coder (a coding with its tables), and counted; where a part is full the walk notes the byte
 * at which the next begins. Writing a part walks its bytes with the same coder. A plan measures
 * the coders in order of preference and keeps the best.
 */
#include "gateway/model/text.h"
#include "gateway/model/gsm7_tables.h"
#include "gateway/model/translit.h"
#include "gateway/model/unicode.h"

#include <stdio.h>

enum {
	SEPTETS = 160, /* of one short message on the air */
	OCTETS = 140,
	CONCAT8_OCTETS = 5,
	CONCAT16_OCTETS = 6,
	PORTS_OCTETS = 6,
	LANGUAGE_OCTETS = 3,
	CHAR_OCTETS = 16, /* the most that one character becomes */
};

/* A coding with all that decides what a character becomes. */
struct coder {
	enum text_coding coding;
	enum text_form form;
	uint8_t locking, single;
	unsigned translit;
	bool lossy, little_endian;
};

struct coded {
	unsigned octets, units;
	bool changed;
};

/* What a walk over the whole text found. */
struct tally {
	enum text_fault fault;
	size_t bad_at; /* TEXT_INVALID, TEXT_NO_CODING: where */
	uint32_t bad_char;
	unsigned units, segments, changed;
	uint32_t changed_char;
	size_t octets;
};

/* ---- characters --------------------------------------------------------------------------- */

/* A character that begins with this byte may be a mark. The first mark, U+0300, begins with 0xCC;
 * Greek and Cyrillic letters (0xCE to 0xD1) are not worth a look-up. */
static bool may_compose(uint8_t byte)
{
	return byte >= 0xcc && !(byte >= 0xce && byte <= 0xd1);
}

/* Septets of the character at p when it is ASCII that the default tables have and nothing that
 * follows can change; else 0. */
static unsigned plain_cost(const char *p, size_t n)
{
	unsigned cost = gsm7_ascii_cost[(uint8_t)p[0]];

	return cost <= 2 && (n == 1 || !may_compose((uint8_t)p[1])) ? cost : 0;
}

/* The coder is the one of most texts, for which the two walks have short ways. */
static bool is_default(const struct coder *k)
{
	return k->coding == TEXT_GSM7 && k->form <= TEXT_FORM_PACKED && !k->locking && !k->single;
}

/* As str_utf8_next(), with a short way for the scripts of two bytes. */
static int32_t next_code_point(struct str *rest)
{
	const uint8_t *p = (const uint8_t *)rest->p;

	if (rest->n >= 2 && p[0] >= 0xc2 && p[0] < 0xe0 && (p[1] & 0xc0) == 0x80) {
		*rest = str_n(p + 2, rest->n - 2);
		return (p[0] & 0x1f) << 6 | (p[1] & 0x3f);
	}
	return str_utf8_next(rest);
}

/* Takes one character off the text, composed with the marks that follow it. As str_utf8_next(). */
static int32_t next_char(struct str *rest)
{
	int32_t c = next_code_point(rest);
	uint32_t composed;

	if (c < 0)
		return c;
	if (c >= 0x340)
		c = (int32_t)unicode_canonical((uint32_t)c);
	while (rest->n && may_compose((uint8_t)rest->p[0])) {
		struct str after = *rest;
		int32_t mark = str_utf8_next(&after);

		if (mark < 0)
			break;
		composed = unicode_compose((uint32_t)c, unicode_canonical((uint32_t)mark));
		if (!composed)
			break;
		c = (int32_t)composed;
		*rest = after;
	}
	return c;
}

static unsigned put_utf8(uint32_t c, uint8_t *out)
{
	unsigned n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (unsigned i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (uint8_t)(0x80 | (c & 0x3f));
	out[0] = (uint8_t)(n == 1 ? c : (0xf00u >> n & 0xff) | c);
	return n;
}

static void put_unit(const struct coder *k, uint32_t unit, uint8_t *out)
{
	out[k->little_endian] = (uint8_t)(unit >> 8);
	out[!k->little_endian] = (uint8_t)unit;
}

static bool put_gsm(const struct coder *k, uint32_t c, uint8_t *out, struct coded *d)
{
	unsigned code = gsm7_code(c, k->locking, k->single);

	if (code == GSM7_NONE)
		return false;
	d->units = code > 0x7f ? 2 : 1;
	switch (k->form) {
	case TEXT_FORM_LATIN1:
	case TEXT_FORM_ASCII:
		if (c > (k->form == TEXT_FORM_ASCII ? 0x7f : 0xff))
			return false;
		out[0] = (uint8_t)c;
		d->octets = 1;
		break;
	case TEXT_FORM_UTF8:
		d->octets = put_utf8(c, out);
		break;
	default:
		if (d->units == 2)
			*out++ = GSM7_ESC;
		*out = (uint8_t)(code & 0x7f);
		d->octets = d->units;
	}
	return true;
}

/* One character as it is; false when the coding lacks it. */
static bool put_plain(const struct coder *k, uint32_t c, uint8_t *out, struct coded *d)
{
	switch (k->coding) {
	case TEXT_GSM7:
		return put_gsm(k, c, out, d);
	case TEXT_ASCII:
		if (c > 0x7f)
			return false;
		out[0] = (uint8_t)c;
		*d = (struct coded){ 1, gsm7_ascii_cost[c] == 2 ? 2 : 1, false };
		return true;
	case TEXT_LATIN1:
		if (c > 0xff || (c >= 0x80 && c < 0xa0))
			return false;
		out[0] = (uint8_t)c;
		*d = (struct coded){ 1, 1, false };
		return true;
	default:
		break;
	}
	if (c > 0xffff) {
		put_unit(k, 0xd800 | (c - 0x10000) >> 10, out);
		put_unit(k, 0xdc00 | ((c - 0x10000) & 0x3ff), out + 2);
		*d = (struct coded){ 4, 2, false };
	} else {
		put_unit(k, c, out);
		*d = (struct coded){ 2, 1, false };
	}
	return true;
}

/* The capital before or after the bytes [from, to) of the text: "БОРЩ" is BORSHCH, "Щи" Shchi. */
static bool among_capitals(struct str text, size_t from, size_t to)
{
	struct str after = str_skip(text, to), before = str_n(text.p, from);
	int32_t c = str_utf8_next(&after);
	size_t i = from;

	if (c >= 0 && translit_is_capital((uint32_t)c))
		return true;
	while (i > 0 && from - i < 4 && ((uint8_t)text.p[i - 1] & 0xc0) == 0x80)
		i--;
	before = str_skip(before, i ? i - 1 : 0);
	c = str_utf8_next(&before);
	return c >= 0 && translit_is_capital((uint32_t)c);
}

static bool put_instead(
	const struct coder *k, struct str to, bool capitals, uint8_t *out, struct coded *d)
{
	struct coded one;
	int32_t c;

	*d = (struct coded){ .changed = true };
	while ((c = str_utf8_next(&to)) >= 0) {
		if (capitals && c >= 'a' && c <= 'z')
			c -= 'a' - 'A';
		if (!put_plain(k, (uint32_t)c, out + d->octets, &one))
			return false;
		d->octets += one.octets;
		d->units += one.units;
	}
	return true;
}

/* The character c, from the bytes [from, to) of the text, as octets at out. */
static bool put_char(const struct coder *k, uint32_t c, struct str text, size_t from, size_t to,
	uint8_t out[static CHAR_OCTETS], struct coded *d)
{
	struct str instead;

	d->changed = false;
	if (put_plain(k, c, out, d))
		return true;
	if (k->translit && translit_char(c, k->translit, &instead)) {
		bool capitals =
			instead.n > 1 && translit_is_capital(c) && among_capitals(text, from, to);

		if (put_instead(k, instead, capitals, out, d))
			return true;
	}
	return k->lossy && put_instead(k, STR("?"), false, out, d);
}

/* ---- rooms -------------------------------------------------------------------------------- */

unsigned text_room(enum text_coding coding, size_t header)
{
	unsigned used = gsm7_header_septets(header);

	if (coding == TEXT_GSM7 || coding == TEXT_ASCII)
		return used < SEPTETS ? SEPTETS - used : 0;
	if (header >= OCTETS)
		return 0;
	return (unsigned)(OCTETS - header) / (coding == TEXT_UCS2 ? 2 : 1);
}

/* Octets of the UDH of each part, as it goes out; or, on_air, as the far side will have made it
 * where the parts are named in TLVs or cut from a payload. */
static unsigned header_octets(
	const struct text_options *o, unsigned locking, unsigned single, bool many, bool on_air)
{
	bool wide = o->split == TEXT_SPLIT_UDH16 || (o->split == TEXT_SPLIT_SAR && o->sar_wide);
	unsigned n = (o->ports ? PORTS_OCTETS : 0) + (locking ? LANGUAGE_OCTETS : 0) +
		     (single ? LANGUAGE_OCTETS : 0);

	if (many && (on_air || o->split <= TEXT_SPLIT_UDH16))
		n += wide ? CONCAT16_OCTETS : CONCAT8_OCTETS;
	return n ? n + 1 : 0;
}

/* ---- measuring ---------------------------------------------------------------------------- */

/* Where the walk stands between two cuts. */
struct cutter {
	unsigned room, octet_room;
	unsigned units, octets; /* in the open part */
	size_t part, cluster;   /* where it begins, and where its last cluster does */
	unsigned cluster_units, cluster_octets;
	uint32_t last;
	bool flag_half; /* the last character is the first half of a flag */
};

static void cut_at(struct text_plan *p, struct tally *t, struct cutter *u, size_t at)
{
	if (t->segments < TEXT_PARTS_MAX)
		p->at[t->segments] = (uint32_t)at;
	t->segments++;
	u->part = at;
}

/* Adds one character to the open part, or opens the next: before the cluster it belongs to, or
 * inside where the cluster alone is larger than a part. */
static void cut_char(struct text_plan *p, struct tally *t, struct cutter *u, uint32_t c, size_t at,
	const struct coded *d)
{
	bool half = unicode_is_flag_half(c) && !u->flag_half;

	if (at == 0 || !(unicode_clings(u->last, c) || (u->flag_half && unicode_is_flag_half(c)))) {
		u->cluster = at;
		u->cluster_units = u->cluster_octets = 0;
	}
	u->flag_half = half;
	u->last = c;
	u->cluster_units += d->units;
	u->cluster_octets += d->octets;
	u->units += d->units;
	u->octets += d->octets;
	if (u->units <= u->room && u->octets <= u->octet_room)
		return;
	if (u->cluster == u->part) {
		u->cluster = at;
		u->cluster_units = d->units;
		u->cluster_octets = d->octets;
	}
	cut_at(p, t, u, u->cluster);
	u->units = u->cluster_units;
	u->octets = u->cluster_octets;
}

/* The short way for ASCII: takes what of it comes next, each character a cluster of its own. */
static void measure_plain(struct text_plan *p, struct tally *t, struct cutter *u, struct str *rest)
{
	const char *s = rest->p, *end = s + rest->n;
	unsigned cost = 0;

	for (; s < end && *s != '\n' && (cost = plain_cost(s, (size_t)(end - s))); s++) {
		t->units += cost;
		t->octets += cost;
		u->units += cost;
		if (u->units > u->room) {
			cut_at(p, t, u, (size_t)(s - p->text.p));
			u->units = cost;
		}
		u->cluster_units = u->cluster_octets = cost;
	}
	if (s == rest->p)
		return;
	u->octets = u->units;
	u->last = (uint8_t)s[-1];
	u->flag_half = false;
	u->cluster = (size_t)(s - 1 - p->text.p);
	*rest = str_n(s, (size_t)(end - s));
}

static void measure(struct text_plan *p, const struct coder *k, struct tally *t)
{
	const struct text_options *o = &p->o;
	unsigned one = header_octets(o, k->locking, k->single, false, false);
	unsigned many = header_octets(o, k->locking, k->single, true, true);
	struct cutter u = { .room = text_room(k->coding, many),
		.octet_room = TEXT_OCTETS_MAX - many };
	struct str rest = p->text;
	uint8_t out[CHAR_OCTETS];
	struct coded d;
	int32_t c;

	*t = (struct tally){ .segments = 1 };
	p->at[0] = 0;
	for (bool plain = is_default(k);;) {
		size_t at;

		if (plain && rest.n)
			measure_plain(p, t, &u, &rest);
		at = p->text.n - rest.n;
		if ((c = next_char(&rest)) == -1)
			break;
		if (c < 0 || !put_char(k, (uint32_t)c, p->text, at, p->text.n - rest.n, out, &d)) {
			t->fault = c < 0 ? TEXT_INVALID : TEXT_NO_CODING;
			t->bad_at = at;
			t->bad_char = c < 0 ? (uint8_t)p->text.p[at] : (uint32_t)c;
			return;
		}
		if (d.changed && t->changed++ == 0)
			t->changed_char = (uint32_t)c;
		t->units += d.units;
		t->octets += d.octets;
		cut_char(p, t, &u, (uint32_t)c, at, &d);
	}
	if (t->units <= text_room(k->coding, one) && t->octets + one <= TEXT_OCTETS_MAX)
		t->segments = 1;
	if (t->segments <= TEXT_PARTS_MAX)
		p->at[t->segments] = (uint32_t)p->text.n;
}

/* ---- choosing ----------------------------------------------------------------------------- */

struct choice {
	bool any, last; /* something fits; the plan's cuts are this one's */
	struct coder coder;
	struct tally tally;
};

static unsigned tables(const struct coder *k)
{
	return (k->locking != 0) + (k->single != 0);
}

/* Fewest parts where that is wanted; then the order of the codings; then fewest characters
 * changed; then fewest shift tables. */
static bool better(const struct choice *a, const struct choice *b, bool fewest)
{
	if (fewest && a->tally.segments != b->tally.segments)
		return a->tally.segments < b->tally.segments;
	if (a->coder.coding != b->coder.coding)
		return a->coder.coding < b->coder.coding;
	if (a->tally.changed != b->tally.changed)
		return a->tally.changed < b->tally.changed;
	if (a->tally.segments != b->tally.segments)
		return a->tally.segments < b->tally.segments;
	return tables(&a->coder) < tables(&b->coder);
}

/* Measures one coder and keeps it when it is better; its fault is in *t_r. */
static bool consider(struct text_plan *p, struct choice *best, enum text_coding coding,
	unsigned locking, unsigned single, bool lossy, struct tally *t_r)
{
	const struct text_options *o = &p->o;
	struct choice c = { .any = true,
		.last = true,
		.coder = { coding, o->form, (uint8_t)locking, (uint8_t)single, o->translit, lossy,
			o->little_endian } };

	measure(p, &c.coder, &c.tally);
	*t_r = c.tally;
	best->last = false;
	if (c.tally.fault)
		return false;
	if (!best->any || better(&c, best, o->fewest))
		*best = c;
	return true;
}

/* Nothing later in the order can be better. */
static bool settled(const struct choice *best, bool fewest)
{
	return best->any && (!fewest || best->tally.segments == 1);
}

static void consider_national(struct text_plan *p, struct choice *best, bool lossy)
{
	struct tally t;

	for (unsigned l = 1; l < GSM7_LANGUAGES; l++) {
		if (!(p->o.languages & TEXT_LANGUAGE_BIT(l)))
			continue;
		if (gsm7_has_single(l))
			consider(p, best, TEXT_GSM7, 0, l, lossy, &t);
		if (best->any && best->tally.segments == 1 && best->tally.changed == 0 &&
			!best->coder.locking)
			return; /* no table can do better */
		if (!p->o.locking || !gsm7_has_locking(l))
			continue;
		consider(p, best, TEXT_GSM7, l, 0, lossy, &t);
		if (gsm7_has_single(l))
			consider(p, best, TEXT_GSM7, l, l, lossy, &t);
	}
}

/* The best coder for the text, or best->any false and the reason in *t_r. */
static void choose(
	struct text_plan *p, unsigned allow, bool lossy, struct choice *best, struct tally *t_r)
{
	bool septets = p->o.form == TEXT_FORM_GSM || p->o.form == TEXT_FORM_PACKED;

	*best = (struct choice){ 0 };
	*t_r = (struct tally){ .fault = TEXT_NO_CODING };
	if (allow & TEXT_CODING_BIT(TEXT_GSM7)) {
		if (!consider(p, best, TEXT_GSM7, 0, 0, lossy, t_r)) {
			if (t_r->fault == TEXT_INVALID)
				return;
			p->costly = t_r->bad_char;
			p->costly_at = t_r->bad_at;
		} else if (settled(best, p->o.fewest) && best->tally.changed == 0) {
			return;
		}
		if (p->o.languages && septets)
			consider_national(p, best, lossy);
	}
	for (enum text_coding c = TEXT_ASCII; c <= TEXT_UCS2; c++) {
		struct tally t;

		if (settled(best, p->o.fewest))
			return;
		if (!(allow & TEXT_CODING_BIT(c)))
			continue;
		consider(p, best, c, 0, 0, lossy, &t);
		*t_r = t;
	}
}

static int refuse(struct text_plan *p, enum text_fault fault)
{
	p->fault = fault;
	return -1;
}

static int refuse_text(struct text_plan *p, const struct tally *t, struct err *e)
{
	char name[80];

	if (t->fault == TEXT_INVALID) {
		err_set(e, ERR_INPUT, "the text is not UTF-8: byte 0x%02X at %zu",
			(unsigned)t->bad_char, t->bad_at);
		return refuse(p, TEXT_INVALID);
	}
	unicode_describe(t->bad_char, name, sizeof name);
	err_set(e, ERR_INPUT,
		"character U+%04X (%s) at byte %zu cannot be written in a coding allowed here",
		(unsigned)t->bad_char, name, t->bad_at);
	return refuse(p, TEXT_NO_CODING);
}

static unsigned most_parts(const struct text_options *o)
{
	return o->max_parts && o->max_parts < TEXT_PARTS_MAX ? o->max_parts : TEXT_PARTS_MAX;
}

/* How many parts there are, against how many there may be. */
static int settle_parts(struct text_plan *p, size_t octets, struct err *e)
{
	const struct text_options *o = &p->o;
	unsigned most =
		o->max_parts && o->max_parts < TEXT_PARTS_MAX ? o->max_parts : TEXT_PARTS_MAX;
	size_t limit = o->payload_limit ? o->payload_limit : TEXT_PAYLOAD_LIMIT;

	if (o->split == TEXT_SPLIT_NONE && p->segments > 1) {
		err_set(e, ERR_INPUT, "the text needs %u parts, and this channel sends only one",
			p->segments);
		return refuse(p, TEXT_TOO_LONG);
	}
	if (p->segments > most) {
		err_set(e, ERR_INPUT, "the text needs %u parts; at most %u are allowed",
			p->segments, most);
		return refuse(p, TEXT_TOO_LONG);
	}
	p->payload = o->split == TEXT_SPLIT_PAYLOAD && p->segments > 1;
	p->parts = p->payload ? 1 : p->segments;
	p->header = (uint8_t)header_octets(o, p->locking, p->single, p->parts > 1, false);
	if (!p->payload)
		return 0;
	p->at[1] = (uint32_t)p->text.n;
	if (octets + p->header > limit) {
		err_set(e, ERR_INPUT, "the text takes %zu octets of message_payload; %zu allowed",
			octets + p->header, limit);
		return refuse(p, TEXT_TOO_LONG);
	}
	return 0;
}

static uint8_t data_coding_of(enum text_coding c)
{
	static const uint8_t codes[TEXT_CODINGS] = { [TEXT_GSM7] = 0,
		[TEXT_ASCII] = 1,
		[TEXT_LATIN1] = 3,
		[TEXT_UCS2] = 8,
		[TEXT_BINARY] = 4 };

	return codes[c];
}

uint8_t text_class_coding(enum text_coding c, unsigned message_class)
{
	unsigned alphabet = c == TEXT_UCS2 ? 8 : c == TEXT_BINARY ? 4 : 0;

	return (uint8_t)(0x10 | alphabet | (message_class & 3));
}

static int plan_binary(struct text_plan *p, struct err *e)
{
	size_t one = text_room(TEXT_BINARY, header_octets(&p->o, 0, 0, false, false));
	size_t many = text_room(TEXT_BINARY, header_octets(&p->o, 0, 0, true, true));

	p->coding = TEXT_BINARY;
	p->data_coding = data_coding_of(TEXT_BINARY);
	p->units = (unsigned)p->text.n;
	p->segments = p->text.n <= one ? 1 : (unsigned)((p->text.n + many - 1) / many);
	for (size_t i = 0; i < p->segments && i < TEXT_PARTS_MAX; i++)
		p->at[i] = (uint32_t)(i * many);
	if (p->segments <= TEXT_PARTS_MAX)
		p->at[p->segments] = (uint32_t)p->text.n;
	return settle_parts(p, p->text.n, e);
}

/* The road most texts take: ASCII that fits one short message. */
static bool plan_ascii(struct text_plan *p, unsigned allow)
{
	const struct text_options *o = &p->o;
	unsigned sum = 0;

	if (p->text.n > SEPTETS || o->ports || !(allow & TEXT_CODING_BIT(TEXT_GSM7)))
		return false;
	for (size_t i = 0; i < p->text.n; i++)
		sum += gsm7_ascii_cost[(uint8_t)p->text.p[i]];
	if (sum > SEPTETS)
		return false;
	p->units = sum;
	p->parts = p->segments = 1;
	p->at[0] = 0;
	p->at[1] = (uint32_t)p->text.n;
	return true;
}

int text_plan(struct text_plan *p, struct str text, const struct text_options *o, struct err *e)
{
	unsigned allow = o->allow ? o->allow : TEXT_ALLOW_USUAL;
	struct choice best;
	struct tally t;

	memset(p, 0, offsetof(struct text_plan, at));
	p->o = *o;
	p->text = text;
	if (text.n > UINT32_MAX / 4) {
		err_set(e, ERR_INPUT, "a text of %zu bytes", text.n);
		return refuse(p, TEXT_TOO_LONG);
	}
	if (o->binary)
		return plan_binary(p, e);
	if (plan_ascii(p, allow))
		return 0;
	choose(p, allow, false, &best, &t);
	if (!best.any && o->lossy && t.fault == TEXT_NO_CODING)
		choose(p, allow, true, &best, &t);
	if (best.any && !p->o.fewest && best.tally.segments > most_parts(o)) {
		p->o.fewest = true; /* rather than refuse */
		choose(p, allow, best.coder.lossy, &best, &t);
	}
	if (!best.any)
		return refuse_text(p, &t, e);
	if (!best.last)
		measure(p, &best.coder, &best.tally);
	p->coding = best.coder.coding;
	p->data_coding = data_coding_of(p->coding);
	p->locking = best.coder.locking;
	p->single = best.coder.single;
	p->lossy = best.coder.lossy;
	p->units = best.tally.units;
	p->segments = best.tally.segments;
	p->changed = best.tally.changed;
	p->changed_char = best.tally.changed_char;
	if (p->coding != TEXT_UCS2)
		p->costly = 0, p->costly_at = 0;
	return settle_parts(p, best.tally.octets, e);
}

void text_costly_name(const struct text_plan *p, char *out, size_t cap)
{
	char name[80], utf8[8];

	if (!p->costly) {
		str_copy(out, cap, STR_NONE);
		return;
	}
	unicode_describe(p->costly, name, sizeof name);
	utf8[put_utf8(p->costly, (uint8_t *)utf8)] = '\0';
	snprintf(out, cap, "%s (U+%04X %s)", utf8, (unsigned)p->costly, name);
}

/* ---- writing ------------------------------------------------------------------------------ */

/* The octets (septets unpacked) of the bytes [from, to) of the text. */
static unsigned write_text(
	const struct text_plan *p, const struct coder *k, size_t from, size_t to, struct buf *out)
{
	struct str rest = str_n(p->text.p + from, to - from);
	uint8_t *at, spare[CHAR_OCTETS];
	bool plain = is_default(k);
	unsigned units = 0;
	struct coded d;
	size_t before = out->n;

	/* A byte of UTF-8 never becomes more than two octets; see CHAR_OCTETS for one character. */
	at = (uint8_t *)buf_extend(out, 2 * rest.n + CHAR_OCTETS);
	while (rest.n) {
		const char *s = rest.p, *end = s + rest.n;
		unsigned cost;
		size_t here;
		int32_t c;

		for (; plain && s < end && (cost = plain_cost(s, (size_t)(end - s))); s++) {
			if (cost == 2)
				*at++ = GSM7_ESC;
			*at++ = (uint8_t)(gsm7_default_low[(uint8_t)*s] & 0x7f);
			units += cost;
		}
		rest = str_n(s, (size_t)(end - s));
		if (rest.n == 0)
			break;
		here = to - rest.n;
		c = next_char(&rest);
		CHECK(c >= 0 && put_char(k, (uint32_t)c, p->text, here, to - rest.n, spare, &d));
		memcpy(at, spare, d.octets);
		at += d.octets;
		units += d.units;
	}
	out->n = (size_t)((char *)at - out->p);
	CHECK(out->n >= before);
	return units;
}

/* Packs what was written behind a header. Where the last octet has seven bits to spare, they are
 * filled with CR (TS 23.038 6.1.2.3.1): SMPP carries no count of septets, and zeros read as "@". */
static void write_packed(const struct text_plan *p, const struct coder *k, size_t from, size_t to,
	struct buf *out, unsigned *units_r)
{
	struct buf septets = BUF_INIT;
	unsigned fill = gsm7_header_fill(p->header);

	*units_r = write_text(p, k, from, to, &septets);
	if (septets.n && (fill + septets.n * 7) % 8 == 1)
		buf_u8(&septets, GSM7_CR);
	gsm7_pack(buf_view(&septets), fill, out);
	buf_free(&septets);
}

void text_part(const struct text_plan *p, unsigned i, uint16_t ref, struct buf *out,
	struct text_part *part_r)
{
	static const enum concat_kind kinds[] = { [TEXT_SPLIT_UDH8] = CONCAT_UDH8,
		[TEXT_SPLIT_UDH16] = CONCAT_UDH16,
		[TEXT_SPLIT_SAR] = CONCAT_SAR };
	const struct text_options *o = &p->o;
	struct udh u = { .ports = o->ports,
		.port_to = o->port_to,
		.port_from = o->port_from,
		.locking = p->locking,
		.single = p->single };
	struct coder k = { p->coding, o->form, p->locking, p->single, o->translit, p->lossy,
		o->little_endian };
	uint8_t header[UDH_BUILT];
	size_t n;

	CHECK(p->fault == TEXT_OK && i < p->parts);
	if (p->parts > 1)
		u.concat = (struct concat){ kinds[o->split], ref, (uint8_t)p->parts,
			(uint8_t)(i + 1) };
	if (u.concat.kind == CONCAT_UDH8)
		u.concat.ref &= 0xff;
	n = udh_build(&u, header);
	CHECK(n == p->header);
	buf_add(out, header, n);
	*part_r = (struct text_part){ .udhi = n > 0,
		.payload = p->payload,
		.concat = u.concat,
		.source = str_n(p->text.p + p->at[i], p->at[i + 1] - p->at[i]) };
	if (p->coding == TEXT_BINARY) {
		buf_str(out, part_r->source);
		part_r->units = (unsigned)part_r->source.n;
	} else if (p->coding == TEXT_GSM7 && o->form == TEXT_FORM_PACKED) {
		write_packed(p, &k, p->at[i], p->at[i + 1], out, &part_r->units);
	} else {
		part_r->units = write_text(p, &k, p->at[i], p->at[i + 1], out);
	}
}
