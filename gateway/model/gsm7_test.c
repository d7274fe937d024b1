/* The alphabet: every table against the standard's listing, packing vectors, the receiver's rules.
 */
#include "gateway/model/gsm7.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void check_hex(struct str s, const char *want)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < s.n; i++)
		buf_printf(&b, "%02X", (unsigned)(uint8_t)s.p[i]);
	assert_string_equal(buf_cstr(&b), want);
	buf_free(&b);
}

/* The 128 characters of 6.2.1 in the order of their codes; ESC stands as U+FFFF. */
static void default_alphabet(void **state)
{
	struct str s =
		STR("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\uffffÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
		    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà");

	for (unsigned code = 0; code < 128; code++) {
		uint32_t c = (uint32_t)str_utf8_next(&s);

		assert_int_equal(gsm7_locking_char(GSM7_DEFAULT, (uint8_t)code), c);
		if (code != GSM7_ESC)
			assert_int_equal(gsm7_code_default(c), code);
	}
	assert_int_equal(s.n, 0);
	assert_int_equal(gsm7_code_default(0xe7), GSM7_NONE); /* ç is not Ç */
	assert_int_equal(gsm7_code_default('`'), GSM7_NONE);
	assert_int_equal(gsm7_code_default(0x391), GSM7_NONE); /* Greek A is not A */
	assert_int_equal(gsm7_code_default('\t'), GSM7_NONE);
}

/* "14 ^ 28 {": codes in hex, each with its character (LF and FF as such). */
static void check_listing(unsigned language, bool single, const char *listing)
{
	char *end;

	while (*listing) {
		uint8_t code = (uint8_t)strtoul(listing, &end, 16);
		struct str s = str_of(end + 1);
		uint32_t c = (uint32_t)str_utf8_next(&s);
		uint32_t got = single ? gsm7_single_char(language, code)
				      : gsm7_locking_char(language, code);

		if (got != c)
			fail_msg("%s %s %02X: U+%04X, not U+%04X", gsm7_language_name(language),
				single ? "single" : "locking", code, got, c);
		listing = s.n ? s.p + 1 : "";
	}
}

/* Nothing but what is listed differs from the base table. */
static unsigned count_different(unsigned language, bool single)
{
	unsigned n = 0;

	for (unsigned c = 0; c < 128; c++)
		n += single ? gsm7_single_char(language, (uint8_t)c) !=
				      gsm7_single_char(GSM7_DEFAULT, (uint8_t)c)
			    : gsm7_locking_char(language, (uint8_t)c) !=
				      gsm7_locking_char(GSM7_DEFAULT, (uint8_t)c);
	return n;
}

static void national_tables(void **state)
{
	check_listing(GSM7_DEFAULT, true, "0A \f 14 ^ 28 { 29 } 2F \\ 3C [ 3D ~ 3E ] 40 | 65 €");
	check_listing(GSM7_TURKISH, false, "04 € 07 ı 0B Ğ 0C ğ 1C Ş 1D ş 40 İ 60 ç");
	assert_int_equal(count_different(GSM7_TURKISH, false), 8);
	check_listing(GSM7_PORTUGUESE, false,
		"04 ê 06 ú 07 í 08 ó 09 ç 0B Ô 0C ô 0E Á 0F á 12 ª 13 Ç 14 À 15 ∞ 16 ^ 17 \\ 18 € "
		"19 Ó 1A | 1C Â 1D â 1E Ê 24 º 40 Í 5B Ã 5C Õ 5D Ú 60 ~ 7B ã 7C õ 7D `");
	assert_int_equal(count_different(GSM7_PORTUGUESE, false), 30);
	check_listing(GSM7_TURKISH, true, "47 Ğ 49 İ 53 Ş 63 ç 67 ğ 69 ı 73 ş");
	assert_int_equal(count_different(GSM7_TURKISH, true), 7);
	check_listing(GSM7_SPANISH, true, "09 ç 41 Á 49 Í 4F Ó 55 Ú 61 á 69 í 6F ó 75 ú");
	assert_int_equal(count_different(GSM7_SPANISH, true), 9);
	check_listing(GSM7_PORTUGUESE, true,
		"05 ê 09 ç 0B Ô 0C ô 0E Á 0F á 12 Φ 13 Γ 15 Ω 16 Π 17 Ψ 18 Σ 19 Θ 1F Ê 41 À 49 Í "
		"4F Ó "
		"55 Ú 5B Ã 5C Õ 61 Â 69 í 6F ó 75 ú 7B ã 7C õ 7F â");
	assert_int_equal(count_different(GSM7_PORTUGUESE, true), 27);
	assert_false(gsm7_has_locking(GSM7_SPANISH));
	assert_true(gsm7_has_single(GSM7_SPANISH));
	assert_false(gsm7_has_single(GSM7_LANGUAGES));
}

/* The Indic locking tables share one grid of offsets from the start of the script's block. */
static const char indic_grid[] =
	"00:01 01:02 02:03 03:05 04:06 05:07 06:08 07:09 08:0A 09:0B 0B:0C 0C:0D 0E:0E 0F:0F 10:10 "
	"11:11 12:12 13:13 14:14 15:15 16:16 17:17 18:18 19:19 1A:1A 1C:1B 1D:1C 1E:1D 1F:1E 22:1F "
	"23:20 24:21 25:22 26:23 27:24 2A:25 2B:26 2D:27 2F:28 3C:29 3D:2A 3E:2B 40:2C 41:2D 42:2E "
	"43:2F 44:30 45:31 46:32 47:33 48:34 49:35 4A:36 4B:37 4C:38 4D:39 4E:3C 4F:3D 50:3E 51:3F "
	"52:40 53:41 54:42 55:43 56:44 57:45 58:46 59:47 5A:48 5B:49 5C:4A 5D:4B 5E:4C 5F:4D";

static const struct {
	unsigned language, block;
	const char *blank, *own;
} indic[] = {
	{ GSM7_HINDI, 0x900, "", "60:50 7B:72 7C:7B 7D:7C 7E:7E 7F:7F" },
	{ GSM7_BENGALI, 0x980, "0C 0E 11 12 3C 45 47 48 49 57 58 5B 5C",
		"60:4E 7B:57 7C:5C 7D:5D 7E:70 7F:71" },
	{ GSM7_PUNJABI, 0xa00, "09 0B 0C 0E 11 12 3C 45 48 4B 4F 55 56 57 58 5B 5C",
		"60:51 7B:70 7C:71 7D:72 7E:73 7F:74" },
	{ GSM7_GUJARATI, 0xa80, "0E 12 3C 45 48 58 5C", "60:50 7B:60 7C:61 7D:62 7E:63 7F:71" },
	{ GSM7_ORIYA, 0xb00, "0C 0E 11 12 3C 45 48 57 58 5B 5C",
		"60:56 7B:57 7C:60 7D:61 7E:62 7F:63" },
	{ GSM7_TAMIL, 0xb80,
		"00 09 0B 0C 11 16 17 18 1C 1E 23 24 25 2A 2B 2D 3E 40 41 4E 4F 55 56 57 5B",
		"60:50 7B:57 7C:70 7D:71 7E:72 7F:79" },
	{ GSM7_TELUGU, 0xc00, "0C 11 3C 48 4E 57 5B", "60:55 7B:56 7C:60 7D:61 7E:62 7F:63" },
	{ GSM7_KANNADA, 0xc80, "00 0C 11 3C 48 57 5B", "60:55 7B:56 7C:60 7D:61 7E:62 7F:63" },
	{ GSM7_MALAYALAM, 0xd00, "00 0C 11 3C 4E 57 5B", "60:57 7B:60 7C:61 7D:62 7E:63 7F:79" },
};

static void place(uint32_t table[128], const char *pairs, unsigned block)
{
	char *end;

	while (*pairs) {
		unsigned code = (unsigned)strtoul(pairs, &end, 16);

		table[code] = block ? block + (uint32_t)strtoul(end + 1, &end, 16) : GSM7_NONE;
		pairs = *end ? end + 1 : end;
	}
}

static void indic_locking(void **state)
{
	for (size_t i = 0; i < sizeof indic / sizeof *indic; i++) {
		uint32_t want[128];

		memset(want, 0xff, sizeof want);
		for (unsigned c = 0; c < 128; c++)
			want[c] = GSM7_NONE;
		place(want, indic_grid, indic[i].block);
		place(want, indic[i].blank, 0);
		place(want, indic[i].own, indic[i].block);
		for (const char *p = "\n\r !,.0123456789:;?abcdefghijklmnopqrstuvwxyz"; *p; p++)
			want[(unsigned char)*p] = (uint8_t)*p;
		want[0x28] = ')'; /* the brackets stand the wrong way round */
		want[0x29] = '(';
		for (unsigned c = 0; c < 128; c++)
			if (gsm7_locking_char(indic[i].language, (uint8_t)c) != want[c])
				fail_msg("%s %02X: U+%04X, not U+%04X",
					gsm7_language_name(indic[i].language), c,
					gsm7_locking_char(indic[i].language, (uint8_t)c), want[c]);
	}
}

static void indic_single(void **state)
{
	static const char common[] = "00 @ 01 £ 02 $ 03 ¥ 04 ¿ 05 \" 06 ¤ 07 % 08 & 09 ' 0A \f 0B "
				     "* 0C + 0E - 0F / 10 < 11 = "
				     "12 > 13 ¡ 14 ^ 15 ¡ 16 _ 17 # 18 * 28 { 29 } 2F \\ 3C [ 3D ~ "
				     "3E ] 40 | 41 A 4D M 5A Z "
				     "65 €";

	for (unsigned l = GSM7_BENGALI; l <= GSM7_URDU; l++)
		check_listing(l, true, common);
	for (size_t i = 0; i < sizeof indic / sizeof *indic; i++) {
		unsigned l = indic[i].language;

		for (unsigned d = 0; l != GSM7_BENGALI && d < 10; d++)
			assert_int_equal(gsm7_single_char(l, (uint8_t)(0x1c + d)),
				indic[i].block + 0x66 + d);
		if (l != GSM7_BENGALI && l != GSM7_TELUGU)
			check_listing(l, true, "19 । 1A ॥");
	}
	/* Bengali's digits begin where the others have their danda; extras of three scripts. */
	check_listing(GSM7_BENGALI, true, "19 ০ 1A ১ 1C ২ 23 ৯ 24 \u09df 2B ৲ 34 ৺");
	check_listing(GSM7_HINDI, true, "26 ॑ 27 ॒ 2A ॓ 2C \u0958 34 \u095f 3A ॱ");
	check_listing(GSM7_TAMIL, true, "26 ௳ 2E ௺");
	check_listing(GSM7_URDU, true, "19 ؀ 1C ۰ 25 ۹ 26 ، 33 ؟ 3B ۍ 3F ۔");
	check_listing(GSM7_URDU, false, "00 ا 05 پ 2C , 40 ص 60 \u0654 7F \u0670");
}

/* Every character of every pair of tables comes back as itself. */
static void round_trips(void **state)
{
	unsigned seen = 0;

	for (unsigned l = 0; l < GSM7_LANGUAGES; l++)
		for (unsigned s = 0; s < GSM7_LANGUAGES; s++) {
			struct buf text = BUF_INIT, septets = BUF_INIT, back = BUF_INIT;

			for (unsigned c = 0; c < 128; c++) {
				uint32_t one = gsm7_locking_char(l, (uint8_t)c);
				uint32_t two = gsm7_single_char(s, (uint8_t)c);

				if (one != GSM7_NONE)
					buf_utf8(&text, one);
				if (two != GSM7_NONE)
					buf_utf8(&text, two);
				seen += (one != GSM7_NONE) + (two != GSM7_NONE);
				if (one != GSM7_NONE)
					assert_true(gsm7_code(one, l, s) < 128);
			}
			assert_int_equal(gsm7_encode(buf_view(&text), l, s, &septets, NULL), 0);
			assert_int_equal(gsm7_decode(buf_view(&septets), l, s, &back), 0);
			assert_true(str_eq(buf_view(&text), buf_view(&back)));
			buf_free(&text);
			buf_free(&septets);
			buf_free(&back);
		}
	assert_true(seen > 20000);
}

static void receiver_rules(void **state)
{
	static const struct {
		struct str septets;
		const char *text;
		size_t strange;
	} cases[] = {
		{ STR("\x1b\x65"), "€", 0 },
		{ STR("\x1b\x41"), "A", 0 },      /* no such extension: the character itself */
		{ STR("\x1b\x1b\x41"), " A", 0 }, /* reserved for yet another table: a space */
		{ STR("A\x1b"), "A ", 0 },        /* cut in the middle */
		{ STR("\x00\x11"), "@_", 0 },     /* a zero is a letter, not an end */
		{ STR("a\xe9"
		      "b"),
			"a\xef\xbf\xbd"
			"b",
			1 },
		{ STR("\x1b\xe9"), "\xef\xbf\xbd", 1 },
		{ STR("\x1b\x0d"), "\r", 0 },
		{ STR(""), "", 0 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF_INIT;

		assert_int_equal(gsm7_decode(cases[i].septets, 0, 0, &b), cases[i].strange);
		assert_string_equal(buf_cstr(&b), cases[i].text);
		buf_free(&b);
	}
}

static void encoding_stops_at_the_first_fault(void **state)
{
	struct buf b = BUF_INIT;
	size_t bad = 99;

	buf_c(&b, "x");
	assert_int_equal(gsm7_encode(STR("ab€ç"), 0, 0, &b, &bad), -1);
	assert_int_equal(bad, 5);
	assert_int_equal(b.n, 1);
	assert_int_equal(gsm7_encode(STR("a\xff"), 0, 0, &b, &bad), -1);
	assert_int_equal(bad, 1);
	assert_int_equal(gsm7_encode(STR("a€"), 0, 0, &b, NULL), 0);
	check_hex(buf_view(&b), "78611B65");
	buf_free(&b);
}

static void packing_vectors(void **state)
{
	static const struct {
		const char *text;
		unsigned fill;
		const char *hex;
	} cases[] = {
		{ "hello", 0, "E8329BFD06" },
		{ "hellohello", 0, "E8329BFD4697D9EC37" },
		{ "€", 0, "9B32" },
		{ "Hi", 1, "9069" }, /* behind 050003CC0201 */
		{ "", 1, "" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf s = BUF_INIT, p = BUF_INIT, u = BUF_INIT;

		assert_int_equal(gsm7_encode(str_of(cases[i].text), 0, 0, &s, NULL), 0);
		gsm7_pack(buf_view(&s), cases[i].fill, &p);
		check_hex(buf_view(&p), cases[i].hex);
		assert_int_equal(p.n, gsm7_packed_size(s.n, cases[i].fill));
		assert_int_equal(gsm7_unpack(buf_view(&p), cases[i].fill, s.n, &u), s.n);
		assert_true(str_eq(buf_view(&s), buf_view(&u)));
		buf_free(&s);
		buf_free(&p);
		buf_free(&u);
	}
}

static void packing_of_every_length(void **state)
{
	char septets[200];

	for (unsigned i = 0; i < sizeof septets; i++)
		septets[i] = (char)((i * 37 + 11) & 0x7f);
	for (unsigned fill = 0; fill < 7; fill++)
		for (size_t n = 0; n <= sizeof septets; n++) {
			struct buf p = BUF_INIT, u = BUF_INIT;

			gsm7_pack(str_n(septets, n), fill, &p);
			assert_int_equal(p.n, gsm7_packed_size(n, fill));
			assert_true(gsm7_unpacked_size(p.n, fill) - n <= 1);
			assert_int_equal(gsm7_unpack(buf_view(&p), fill, n, &u), n);
			assert_true(str_eq(str_n(septets, n), buf_view(&u)));
			assert_int_equal(gsm7_unpack(buf_view(&p), fill, SIZE_MAX, &u),
				gsm7_unpacked_size(p.n, fill));
			buf_free(&p);
			buf_free(&u);
		}
}

/* Header octets, septets left of 160, fill bits: 3.3 of the practice sheet. */
static void header_arithmetic(void **state)
{
	static const unsigned rows[][3] = { { 0, 160, 0 }, { 6, 153, 1 }, { 7, 152, 0 },
		{ 4, 155, 3 }, { 9, 149, 5 }, { 12, 146, 2 }, { 10, 148, 4 }, { 13, 145, 1 } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(160 - gsm7_header_septets(rows[i][0]), rows[i][1]);
		assert_int_equal(gsm7_header_fill(rows[i][0]), rows[i][2]);
	}
}

static void language_names(void **state)
{
	for (unsigned l = 1; l < GSM7_LANGUAGES; l++)
		assert_int_equal(gsm7_language_find(str_of(gsm7_language_name(l))), l);
	assert_int_equal(gsm7_language_find(STR("TR")), GSM7_TURKISH);
	assert_int_equal(gsm7_language_find(STR("")), -1);
	assert_int_equal(gsm7_language_find(STR("klingon")), -1);
	assert_string_equal(gsm7_language_name(200), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_alphabet),
		cmocka_unit_test(national_tables),
		cmocka_unit_test(indic_locking),
		cmocka_unit_test(indic_single),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(receiver_rules),
		cmocka_unit_test(encoding_stops_at_the_first_fault),
		cmocka_unit_test(packing_vectors),
		cmocka_unit_test(packing_of_every_length),
		cmocka_unit_test(header_arithmetic),
		cmocka_unit_test(language_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
