/* Planning, writing and reading short messages. */
#include "gateway/model/text.h"
#include "gateway/model/translit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct text_options usual;

static struct text_plan plan_of(struct str text, const struct text_options *o)
{
	struct text_plan p;
	struct err e = { 0 };

	if (text_plan(&p, text, o, &e))
		fail_msg("%.40s: %s", text.p, e.text);
	return p;
}

/* A text of n copies of a piece. */
static struct str repeat(struct buf *b, const char *piece, unsigned n)
{
	buf_reset(b);
	while (n--)
		buf_c(b, piece);
	return buf_view(b);
}

static void check_part(const struct text_plan *p, unsigned i, uint16_t ref, const char *hex)
{
	struct buf b = BUF_INIT, text = BUF_INIT;
	struct text_part part;

	text_part(p, i, ref, &b, &part);
	for (size_t k = 0; k < b.n; k++)
		buf_printf(&text, "%02X", (unsigned)(uint8_t)b.p[k]);
	assert_string_equal(buf_cstr(&text), hex);
	buf_free(&b);
	buf_free(&text);
}

/* What arrives, when all parts are read one by one and put side by side. */
static void check_round_trip(const struct text_plan *p, struct str want)
{
	struct buf b = BUF_INIT, back = BUF_INIT;
	const struct text_peer peer = { .form = p->o.form, .little_endian = p->o.little_endian };
	struct text_part part;
	struct text_decoded d;
	size_t at = 0;

	for (unsigned i = 0; i < p->parts; i++) {
		buf_reset(&b);
		text_part(p, i, 7, &b, &part);
		assert_int_equal(text_decode(p->data_coding, buf_view(&b), part.udhi, &peer, &d,
					 &back, NULL),
			0);
		assert_false(d.lossy);
		assert_ptr_equal(part.source.p, p->text.p + at);
		at += part.source.n;
		if (!part.payload)
			assert_true(b.n <= TEXT_OCTETS_MAX);
		if (p->parts > 1) {
			assert_int_equal(part.concat.total, p->parts);
			assert_int_equal(part.concat.seq, i + 1);
		}
	}
	assert_int_equal(at, p->text.n);
	assert_true(str_eq(buf_view(&back), want));
	buf_free(&b);
	buf_free(&back);
}

/* ---- sizes -------------------------------------------------------------------------------- */

struct size_case {
	const char *piece;
	unsigned one, part; /* pieces in one short message, and in each of many */
	struct text_options o;
	enum text_coding coding;
};

static void sizes_of_parts(void **state)
{
	static const unsigned tr = TEXT_LANGUAGE_BIT(GSM7_TURKISH);
	static const struct size_case cases[] = {
		{ "a", 160, 153, { 0 }, TEXT_GSM7 },
		{ "€", 80, 76, { 0 }, TEXT_GSM7 }, /* 152 septets: no ESC pair is cut */
		{ "{", 80, 76, { 0 }, TEXT_GSM7 },
		{ "@", 160, 153, { 0 }, TEXT_GSM7 },
		{ "Ж", 70, 67, { 0 }, TEXT_UCS2 },
		{ "😀", 35, 33, { 0 }, TEXT_UCS2 }, /* 66 units: no surrogates are cut */
		{ "a", 160, 152, { .split = TEXT_SPLIT_UDH16 }, TEXT_GSM7 },
		{ "Ж", 70, 66, { .split = TEXT_SPLIT_UDH16 }, TEXT_UCS2 },
		{ "a", 160, 153, { .split = TEXT_SPLIT_SAR }, TEXT_GSM7 },
		{ "a", 160, 152, { .split = TEXT_SPLIT_SAR, .sar_wide = true }, TEXT_GSM7 },
		{ "Ж", 70, 66, { .split = TEXT_SPLIT_SAR, .sar_wide = true }, TEXT_UCS2 },
		{ "a", 160, 153, { .form = TEXT_FORM_PACKED }, TEXT_GSM7 },
		{ "a", 152, 146, { .ports = true }, TEXT_GSM7 },
		{ "Ж", 66, 64, { .ports = true }, TEXT_UCS2 },
		{ "ç", 140, 134, { .allow = TEXT_CODING_BIT(TEXT_LATIN1) }, TEXT_LATIN1 },
		{ "ç", 140, 133,
			{ .allow = TEXT_CODING_BIT(TEXT_LATIN1), .split = TEXT_SPLIT_UDH16 },
			TEXT_LATIN1 },
		{ "a", 160, 153, { .allow = TEXT_CODING_BIT(TEXT_ASCII) }, TEXT_ASCII },
		{ "\x01", 140, 134, { .binary = true }, TEXT_BINARY },
		{ "\xff", 133, 128, { .binary = true, .ports = true }, TEXT_BINARY },
		{ "\xff", 140, 133, { .binary = true, .split = TEXT_SPLIT_UDH16 }, TEXT_BINARY },
		/* ş is two septets of the single shift table, one of the locking table */
		{ "ş", 77, 74, { .languages = tr }, TEXT_GSM7 },
		{ "ş", 155, 149, { .languages = tr, .locking = true }, TEXT_GSM7 },
		{ "ş", 155, 148, { .languages = tr, .locking = true, .split = TEXT_SPLIT_UDH16 },
			TEXT_GSM7 },
		{ "ş", 155, 149, { .languages = tr, .locking = true, .form = TEXT_FORM_PACKED },
			TEXT_GSM7 },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct size_case *c = &cases[i];
		const unsigned counts[][2] = { { c->one, 1 }, { c->one + 1, 2 }, { 2 * c->part, 2 },
			{ 2 * c->part + 1, 3 }, { 10 * c->part, 10 }, { 255 * c->part, 255 } };

		for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
			struct str s = repeat(&b, c->piece, counts[k][0]);
			struct text_plan p = plan_of(s, &c->o);

			if (p.parts != counts[k][1] || p.coding != c->coding)
				fail_msg("case %zu, %u pieces: %u parts of coding %d", i,
					counts[k][0], p.parts, (int)p.coding);
			assert_int_equal(p.segments, p.parts);
			assert_int_equal(p.changed, 0);
			if (!c->o.binary)
				check_round_trip(&p, s);
		}
	}
	buf_free(&b);
}

static void rooms(void **state)
{
	/* header, GSM-7, 8-bit, UTF-16: the table of 3.3 */
	static const unsigned rows[][4] = { { 0, 160, 140, 70 }, { 6, 153, 134, 67 },
		{ 7, 152, 133, 66 }, { 4, 155, 136, 68 }, { 9, 149, 131, 65 }, { 12, 146, 128, 64 },
		{ 10, 148, 130, 65 }, { 13, 145, 127, 63 }, { 140, 0, 0, 0 }, { 200, 0, 0, 0 } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(text_room(TEXT_GSM7, rows[i][0]), rows[i][1]);
		assert_int_equal(text_room(TEXT_BINARY, rows[i][0]), rows[i][2]);
		assert_int_equal(text_room(TEXT_UCS2, rows[i][0]), rows[i][3]);
	}
}

/* ---- choosing ----------------------------------------------------------------------------- */

static void one_character_costs(void **state)
{
	struct buf b = BUF_INIT;
	struct text_options o = usual;
	struct text_plan p;
	char name[96];

	repeat(&b, "a", 150);
	buf_c(&b, "’s way");
	p = plan_of(buf_view(&b), &usual);
	assert_int_equal(p.coding, TEXT_UCS2);
	assert_int_equal(p.data_coding, 8);
	assert_int_equal(p.parts, 3);
	assert_int_equal(p.costly, 0x2019);
	assert_int_equal(p.costly_at, 150);
	text_costly_name(&p, name, sizeof name);
	assert_string_equal(name, "’ (U+2019 RIGHT SINGLE QUOTATION MARK)");

	o.translit = TRANSLIT_PUNCTUATION;
	p = plan_of(buf_view(&b), &o);
	assert_int_equal(p.coding, TEXT_GSM7);
	assert_int_equal(p.parts, 1);
	assert_int_equal(p.changed, 1);
	assert_int_equal(p.changed_char, 0x2019);
	assert_int_equal(p.costly, 0);
	text_costly_name(&p, name, sizeof name);
	assert_string_equal(name, "");
	buf_free(&b);
}

static void codings_in_order(void **state)
{
	const unsigned tr = TEXT_LANGUAGE_BIT(GSM7_TURKISH),
		       pt = TEXT_LANGUAGE_BIT(GSM7_PORTUGUESE);
	const unsigned latin1 = TEXT_ALLOW_USUAL | TEXT_CODING_BIT(TEXT_LATIN1);
	const struct {
		const char *text;
		struct text_options o;
		enum text_coding coding;
		unsigned locking, single, changed;
	} cases[] = {
		{ "plain", { 0 }, TEXT_GSM7, 0, 0, 0 },
		{ "Ça é à", { 0 }, TEXT_GSM7, 0, 0, 0 },
		{ "ça", { 0 }, TEXT_UCS2, 0, 0, 0 }, /* Ç has no small letter in GSM */
		{ "ça", { .allow = latin1 }, TEXT_LATIN1, 0, 0, 0 },
		{ "ça", { .translit = TRANSLIT_ACCENTS }, TEXT_GSM7, 0, 0, 1 },
		{ "é", { .translit = TRANSLIT_ALL }, TEXT_GSM7, 0, 0, 0 }, /* in GSM: left alone */
		{ "şeker", { .languages = tr | pt }, TEXT_GSM7, 0, GSM7_TURKISH, 0 },
		{ "não", { .languages = tr | pt }, TEXT_GSM7, 0, GSM7_PORTUGUESE, 0 },
		{ "não", { .languages = tr }, TEXT_UCS2, 0, 0, 0 },
		/* a table that keeps the letters goes before dropping their marks */
		{ "şeker", { .languages = tr, .translit = TRANSLIT_ALL }, TEXT_GSM7, 0,
			GSM7_TURKISH, 0 },
		{ "“şeker”", { .languages = tr, .translit = TRANSLIT_ALL }, TEXT_GSM7, 0,
			GSM7_TURKISH, 2 },
		{ "ªº∞", { .languages = pt, .locking = true }, TEXT_GSM7, GSM7_PORTUGUESE, 0, 0 },
		{ "ªºÀã{", { .languages = pt, .locking = true }, TEXT_GSM7, GSM7_PORTUGUESE, 0, 0 },
		{ "ªºΦ", { .languages = pt, .locking = true }, TEXT_GSM7, GSM7_PORTUGUESE,
			GSM7_PORTUGUESE, 0 },
		{ "नमस्ते", { .languages = TEXT_LANGUAGE_BIT(GSM7_HINDI), .locking = true },
			TEXT_GSM7, GSM7_HINDI, 0, 0 },
		{ "नमस्ते ABC", { .languages = TEXT_LANGUAGE_BIT(GSM7_HINDI), .locking = true },
			TEXT_GSM7, GSM7_HINDI, GSM7_HINDI, 0 },
		{ "Привет", { .translit = TRANSLIT_CYRILLIC }, TEXT_GSM7, 0, 0, 6 },
		{ "Привет 中", { .translit = TRANSLIT_CYRILLIC }, TEXT_UCS2, 0, 0, 0 },
		{ "ΑΒΓ", { .translit = TRANSLIT_GREEK }, TEXT_GSM7, 0, 0, 2 },
		{ "a中b", { .allow = TEXT_CODING_BIT(TEXT_GSM7), .lossy = true }, TEXT_GSM7, 0, 0,
			1 },
		{ "a中b", { .lossy = true }, TEXT_UCS2, 0, 0, 0 },
		/* what data_coding 0 means to the peer narrows it */
		{ "€", { .form = TEXT_FORM_LATIN1 }, TEXT_UCS2, 0, 0, 0 },
		{ "é{", { .form = TEXT_FORM_LATIN1 }, TEXT_GSM7, 0, 0, 0 },
		{ "é", { .form = TEXT_FORM_ASCII }, TEXT_UCS2, 0, 0, 0 },
		{ "é€", { .form = TEXT_FORM_UTF8 }, TEXT_GSM7, 0, 0, 0 },
		{ "ş", { .form = TEXT_FORM_LATIN1, .languages = tr }, TEXT_UCS2, 0, 0, 0 },
		{ "", { 0 }, TEXT_GSM7, 0, 0, 0 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct text_plan p = plan_of(str_of(cases[i].text), &cases[i].o);

		if (p.coding != cases[i].coding || p.locking != cases[i].locking ||
			p.single != cases[i].single || p.changed != cases[i].changed)
			fail_msg("%s: coding %d, tables %u and %u, %u changed", cases[i].text,
				(int)p.coding, p.locking, p.single, p.changed);
		assert_int_equal(p.parts, 1);
		if (p.changed == 0)
			check_round_trip(&p, str_of(cases[i].text));
	}
}

/* 200 euro signs are 400 septets of the default tables, but 200 of the Turkish locking table. */
static void fewest_parts(void **state)
{
	struct text_options o = { .languages = TEXT_LANGUAGE_BIT(GSM7_TURKISH), .locking = true };
	struct buf b = BUF_INIT;
	struct text_plan p;

	repeat(&b, "€", 200);
	p = plan_of(buf_view(&b), &o);
	assert_int_equal(p.parts, 3);
	assert_int_equal(p.locking, 0);
	o.fewest = true;
	p = plan_of(buf_view(&b), &o);
	assert_int_equal(p.parts, 2);
	assert_int_equal(p.locking, GSM7_TURKISH);
	check_round_trip(&p, buf_view(&b));

	/* 70 letters щ: one part of UCS-2, or 280 letters. */
	o = (struct text_options){ .translit = TRANSLIT_CYRILLIC };
	repeat(&b, "щ", 70);
	p = plan_of(buf_view(&b), &o);
	assert_int_equal(p.coding, TEXT_GSM7);
	assert_int_equal(p.parts, 2);
	o.max_parts = 1; /* rather than refuse */
	p = plan_of(buf_view(&b), &o);
	assert_int_equal(p.coding, TEXT_UCS2);
	o.max_parts = 0;
	o.fewest = true;
	p = plan_of(buf_view(&b), &o);
	assert_int_equal(p.coding, TEXT_UCS2);
	assert_int_equal(p.parts, 1);
	buf_free(&b);
}

static void check_becomes(const char *from, unsigned sets, const char *to)
{
	const struct text_options o = { .translit = sets };
	struct text_plan p = plan_of(str_of(from), &o);

	check_round_trip(&p, str_of(to));
}

static void transliterated(void **state)
{
	check_becomes("БОРЩ и щи", TRANSLIT_CYRILLIC, "BORSHCH i shchi");
	check_becomes("Щука ЩУКА Яна Я", TRANSLIT_CYRILLIC, "Shchuka SHCHUKA Yana Ya");
	check_becomes("объём", TRANSLIT_CYRILLIC, "obyom");
	check_becomes("Žluťoučký kůň", TRANSLIT_ACCENTS, "Zlutoucky kun");
	check_becomes("Zażółć gęślą jaźń", TRANSLIT_ACCENTS, "Zazolc gesla jazn");
}

/* Letters with loose marks are composed first: e + acute is é, which GSM has. */
static void composed_first(void **state)
{
	struct text_plan p = plan_of(STR("cafe\u0301 \u212b"), &usual);

	assert_int_equal(p.coding, TEXT_GSM7);
	assert_int_equal(p.changed, 0);
	check_round_trip(&p, STR("café Å"));
	p = plan_of(STR("и\u0306"), &usual);
	check_round_trip(&p, STR("й"));
	p = plan_of(STR("q\u0301"), &usual); /* there is no such letter */
	assert_int_equal(p.units, 2);
	check_round_trip(&p, STR("q\u0301"));
}

/* ---- cutting ------------------------------------------------------------------------------ */

/* A cluster that would straddle the end of a part opens the next. */
static void clusters_stay_whole(void **state)
{
	static const struct {
		const char *cluster;
		unsigned units;
	} cases[] = {
		{ "😀", 2 },
		{ "q\u0301", 2 },
		{ "👩‍👩‍👧‍👦", 11 }, /* joined by ZWJ */
		{ "👍🏽", 4 },                   /* skin tone */
		{ "🇸🇪", 4 },                         /* flag */
		{ "❤\ufe0f", 2 },
		{ "1\ufe0f\u20e3", 3 }, /* keycap */
		{ "กี่", 3 },
		{ "कि", 2 },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (unsigned before = 67 - cases[i].units + 1; before < 67; before++) {
			struct text_plan p;

			repeat(&b, "Ж", before);
			buf_c(&b, cases[i].cluster);
			for (unsigned k = 0; k < 70; k++)
				buf_c(&b, "Ж");
			p = plan_of(buf_view(&b), &usual);
			if (p.at[1] != before * 2)
				fail_msg("%s after %u: cut at %u", cases[i].cluster, before,
					p.at[1]);
			check_round_trip(&p, buf_view(&b));
		}
	buf_free(&b);
}

static void flags_are_pairs(void **state)
{
	struct buf b = BUF_INIT;
	struct text_plan p;

	repeat(&b, "🇸🇪", 40);
	p = plan_of(buf_view(&b), &usual);
	assert_int_equal(p.parts, 3);
	assert_int_equal(p.at[1], 16 * 8);
	check_round_trip(&p, buf_view(&b));
	buf_free(&b);
}

/* A cluster larger than a part is cut all the same, though never inside a character. */
static void endless_cluster(void **state)
{
	struct buf b = BUF_INIT;
	struct text_plan p;

	repeat(&b, "", 0);
	buf_c(&b, "q");
	for (int i = 0; i < 300; i++)
		buf_c(&b, "\u0335");
	p = plan_of(buf_view(&b), &usual);
	assert_int_equal(p.parts, 5);
	check_round_trip(&p, buf_view(&b));
	buf_free(&b);
}

static void line_ends_stay_together(void **state)
{
	struct buf b = BUF_INIT;
	struct text_plan p;

	repeat(&b, "a", 152);
	buf_c(&b, "\r\n");
	for (int i = 0; i < 20; i++)
		buf_c(&b, "b");
	p = plan_of(buf_view(&b), &usual);
	assert_int_equal(p.at[1], 152);
	buf_free(&b);
}

/* ---- refusing ----------------------------------------------------------------------------- */

static void check_refused(
	struct str text, const struct text_options *o, enum text_fault fault, const char *why)
{
	struct text_plan p;
	struct err e;

	assert_int_equal(text_plan(&p, text, o, &e), -1);
	assert_int_equal(p.fault, fault);
	assert_string_equal(e.text, why);
}

static void refusals(void **state)
{
	struct text_options o = { .max_parts = 3 };
	struct buf b = BUF_INIT;

	check_refused(repeat(&b, "a", 460), &o, TEXT_TOO_LONG,
		"the text needs 4 parts; at most 3 are allowed");
	check_refused(repeat(&b, "a", 153 * 255 + 1), &usual, TEXT_TOO_LONG,
		"the text needs 256 parts; at most 255 are allowed");
	check_refused(repeat(&b, "a", 153 * 5000), &usual, TEXT_TOO_LONG,
		"the text needs 5000 parts; at most 255 are allowed");
	o = (struct text_options){ .binary = true };
	check_refused(repeat(&b, "\xff", 134 * 300), &o, TEXT_TOO_LONG,
		"the text needs 300 parts; at most 255 are allowed");
	o = (struct text_options){ .split = TEXT_SPLIT_NONE };
	check_refused(repeat(&b, "a", 161), &o, TEXT_TOO_LONG,
		"the text needs 2 parts, and this channel sends only one");
	o = (struct text_options){ .split = TEXT_SPLIT_PAYLOAD, .payload_limit = 400 };
	check_refused(repeat(&b, "a", 401), &o, TEXT_TOO_LONG,
		"the text takes 401 octets of message_payload; 400 allowed");
	check_refused(STR("ab\xc3"), &usual, TEXT_INVALID, "the text is not UTF-8: byte 0xC3 at 2");
	check_refused(STR("中\xff"), &usual, TEXT_INVALID, "the text is not UTF-8: byte 0xFF at 3");
	check_refused(
		STR("\xed\xa0\x80"), &usual, TEXT_INVALID, "the text is not UTF-8: byte 0xED at 0");
	o = (struct text_options){ .allow = TEXT_CODING_BIT(TEXT_GSM7) };
	check_refused(STR("a š"), &o, TEXT_NO_CODING,
		"character U+0161 (LATIN SMALL LETTER S WITH CARON) at byte 2 cannot be written "
		"in a coding allowed here");
	buf_free(&b);
}

/* ---- octets ------------------------------------------------------------------------------- */

static void octets_of_parts(void **state)
{
	const unsigned tr = TEXT_LANGUAGE_BIT(GSM7_TURKISH);
	struct text_options o = { 0 };
	struct text_plan p;

	p = plan_of(STR("@_{€é"), &o);
	check_part(&p, 0, 1, "00111B281B6505");
	p = plan_of(STR("Ж😀"), &o);
	check_part(&p, 0, 1, "0416D83DDE00");
	o.little_endian = true;
	p = plan_of(STR("Ж😀"), &o);
	check_part(&p, 0, 1, "16043DD800DE");
	o = (struct text_options){ .form = TEXT_FORM_PACKED };
	p = plan_of(STR("hellohello"), &o);
	check_part(&p, 0, 1, "E8329BFD4697D9EC37");
	p = plan_of(STR("€"), &o);
	check_part(&p, 0, 1, "9B32");
	/* seven septets leave seven bits: CR fills them, or the reader would see "@" */
	p = plan_of(STR("1234567"), &o);
	check_part(&p, 0, 1, "31D98C56B3DD1A");
	o = (struct text_options){ .form = TEXT_FORM_LATIN1 };
	p = plan_of(STR("@é{"), &o);
	check_part(&p, 0, 1, "40E97B");
	o = (struct text_options){ .form = TEXT_FORM_UTF8 };
	p = plan_of(STR("é€"), &o);
	check_part(&p, 0, 1, "C3A9E282AC");
	o = (struct text_options){ .languages = tr };
	p = plan_of(STR("ş"), &o);
	check_part(&p, 0, 1, "032401011B73");
	o.locking = true;
	p = plan_of(STR("şş"), &o); /* either table will do: the single shift goes first */
	check_part(&p, 0, 1, "032401011B731B73");
	o.languages = TEXT_LANGUAGE_BIT(GSM7_PORTUGUESE);
	p = plan_of(STR("ª"), &o);
	check_part(&p, 0, 1, "0325010312");
	p = plan_of(STR("ªΦ"), &o);
	check_part(&p, 0, 1, "06240103250103121B12");
	o = (struct text_options){ .ports = true, .port_to = 2948, .port_from = 9200 };
	p = plan_of(STR("A"), &o);
	check_part(&p, 0, 1, "0605040B8423F041");
}

static void headers_of_parts(void **state)
{
	struct text_options o = { 0 };
	struct buf b = BUF_INIT, out = BUF_INIT;
	struct text_part part;
	struct text_plan p;

	repeat(&b, "a", 161);
	p = plan_of(buf_view(&b), &o);
	text_part(&p, 0, 0x1234, &out, &part);
	assert_int_equal(out.n, 159); /* 6 + 153, unpacked */
	assert_memory_equal(out.p,
		"\x05\x00\x03\x34\x02\x01"
		"aa",
		8);
	assert_true(part.udhi);
	assert_int_equal(part.units, 153);
	buf_reset(&out);
	text_part(&p, 1, 0x1234, &out, &part);
	assert_memory_equal(out.p,
		"\x05\x00\x03\x34\x02\x02"
		"aa",
		8);
	assert_int_equal(part.units, 8);

	o.split = TEXT_SPLIT_UDH16;
	p = plan_of(buf_view(&b), &o);
	buf_reset(&out);
	text_part(&p, 1, 0x1234, &out, &part);
	assert_memory_equal(out.p,
		"\x06\x08\x04\x12\x34\x02\x02"
		"aa",
		9);

	o.split = TEXT_SPLIT_SAR;
	p = plan_of(buf_view(&b), &o);
	buf_reset(&out);
	text_part(&p, 1, 0x1234, &out, &part);
	assert_int_equal(out.n, 8);
	assert_false(part.udhi);
	assert_int_equal(part.concat.kind, CONCAT_SAR);
	assert_int_equal(part.concat.ref, 0x1234);
	assert_int_equal(part.concat.seq, 2);

	o.split = TEXT_SPLIT_UDH8;
	o.form = TEXT_FORM_PACKED;
	p = plan_of(buf_view(&b), &o);
	buf_reset(&out);
	text_part(&p, 0, 1, &out, &part);
	assert_int_equal(out.n, 140); /* as on the air */

	o.form = TEXT_FORM_GSM;
	o.split = TEXT_SPLIT_PAYLOAD;
	p = plan_of(buf_view(&b), &o);
	assert_int_equal(p.parts, 1);
	assert_int_equal(p.segments, 2);
	buf_reset(&out);
	text_part(&p, 0, 1, &out, &part);
	assert_true(part.payload);
	assert_false(part.udhi);
	assert_int_equal(out.n, 161);
	p = plan_of(STR("short"), &o); /* needs no payload */
	assert_false(p.payload);
	buf_free(&b);
	buf_free(&out);
}

/* UTF-8 as data_coding 0 counts septets, but 254 octets are the end of a short_message. */
static void utf8_form_keeps_to_short_message(void **state)
{
	const struct text_options o = { .form = TEXT_FORM_UTF8 };
	struct buf b = BUF_INIT;
	struct text_plan p = plan_of(repeat(&b, "é", 140), &o);

	assert_int_equal(p.parts, 2);
	check_round_trip(&p, buf_view(&b));
	buf_free(&b);
}

static void message_classes(void **state)
{
	assert_int_equal(text_class_coding(TEXT_GSM7, 0), 0x10);
	assert_int_equal(text_class_coding(TEXT_UCS2, 0), 0x18);
	assert_int_equal(text_class_coding(TEXT_BINARY, 2), 0x16);
}

/* Every length across the borders, in every way of cutting. */
static void all_lengths(void **state)
{
	static const char *const pieces[] = { "a", "€", "Ж", "😀", "aé{Δ", "ş€q\u0301" };
	struct buf b = BUF_INIT;

	for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++)
		for (unsigned n = 1; n < 340; n += n < 60 ? 7 : 1)
			for (unsigned split = 0; split <= TEXT_SPLIT_PAYLOAD; split++)
				for (unsigned form = 0; form <= TEXT_FORM_PACKED; form++) {
					const struct text_options o = { .split = split,
						.form = form,
						.locking = true,
						.languages = TEXT_LANGUAGE_BIT(GSM7_TURKISH) };
					struct str s = repeat(&b, pieces[k], n);
					struct text_plan p = plan_of(s, &o);

					check_round_trip(&p, s);
				}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_of_parts),
		cmocka_unit_test(rooms),
		cmocka_unit_test(one_character_costs),
		cmocka_unit_test(codings_in_order),
		cmocka_unit_test(fewest_parts),
		cmocka_unit_test(transliterated),
		cmocka_unit_test(composed_first),
		cmocka_unit_test(clusters_stay_whole),
		cmocka_unit_test(flags_are_pairs),
		cmocka_unit_test(endless_cluster),
		cmocka_unit_test(line_ends_stay_together),
		cmocka_unit_test(refusals),
		cmocka_unit_test(octets_of_parts),
		cmocka_unit_test(headers_of_parts),
		cmocka_unit_test(utf8_form_keeps_to_short_message),
		cmocka_unit_test(message_classes),
		cmocka_unit_test(all_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
