/* Transliteration and the little Unicode behind it. */
#include "gateway/base/buf.h"
#include "gateway/model/gsm7.h"
#include "gateway/model/translit.h"
#include "gateway/model/unicode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void characters(void **state)
{
	static const struct {
		unsigned sets;
		const char *from, *to; /* to NULL: nothing fits */
	} cases[] = {
		{ TRANSLIT_PUNCTUATION, "’", "'" },
		{ TRANSLIT_PUNCTUATION, "“", "\"" },
		{ TRANSLIT_PUNCTUATION, "”", "\"" },
		{ TRANSLIT_PUNCTUATION, "„", "\"" },
		{ TRANSLIT_PUNCTUATION, "«", "\"" },
		{ TRANSLIT_PUNCTUATION, "–", "-" },
		{ TRANSLIT_PUNCTUATION, "—", "-" },
		{ TRANSLIT_PUNCTUATION, "…", "..." },
		{ TRANSLIT_PUNCTUATION, "\u00a0", " " },
		{ TRANSLIT_PUNCTUATION, "\u202f", " " },
		{ TRANSLIT_PUNCTUATION, "\u200b", "" },
		{ TRANSLIT_PUNCTUATION, "\ufeff", "" },
		{ TRANSLIT_PUNCTUATION, "Ａ", "A" },
		{ TRANSLIT_PUNCTUATION, "～", "~" },
		{ TRANSLIT_PUNCTUATION, "！", "!" },
		{ TRANSLIT_PUNCTUATION, "＼", "\\" },
		{ TRANSLIT_PUNCTUATION, "š", NULL },
		{ TRANSLIT_PUNCTUATION, "\u200d", NULL }, /* emoji are made with it */
		{ TRANSLIT_ACCENTS, "’", NULL },
		{ TRANSLIT_ACCENTS, "á", "a" },
		{ TRANSLIT_ACCENTS, "ç", "c" },
		{ TRANSLIT_ACCENTS, "Š", "S" },
		{ TRANSLIT_ACCENTS, "ł", "l" },
		{ TRANSLIT_ACCENTS, "ő", "o" },
		{ TRANSLIT_ACCENTS, "ğ", "g" },
		{ TRANSLIT_ACCENTS, "ı", "i" },
		{ TRANSLIT_ACCENTS, "œ", "oe" },
		{ TRANSLIT_ACCENTS, "þ", "th" },
		{ TRANSLIT_ACCENTS, "ț", "t" },
		{ TRANSLIT_ACCENTS, "ậ", "a" },
		{ TRANSLIT_ACCENTS, "ỹ", "y" },
		{ TRANSLIT_ACCENTS, "ẞ", "SS" },
		{ TRANSLIT_ACCENTS, "\u0301", "" },
		{ TRANSLIT_ACCENTS, "Щ", NULL },
		{ TRANSLIT_GREEK, "Α", "A" },
		{ TRANSLIT_GREEK, "Β", "B" },
		{ TRANSLIT_GREEK, "Ε", "E" },
		{ TRANSLIT_GREEK, "Ζ", "Z" },
		{ TRANSLIT_GREEK, "Η", "H" },
		{ TRANSLIT_GREEK, "Ι", "I" },
		{ TRANSLIT_GREEK, "Κ", "K" },
		{ TRANSLIT_GREEK, "Μ", "M" },
		{ TRANSLIT_GREEK, "Ν", "N" },
		{ TRANSLIT_GREEK, "Ο", "O" },
		{ TRANSLIT_GREEK, "Ρ", "P" },
		{ TRANSLIT_GREEK, "Τ", "T" },
		{ TRANSLIT_GREEK, "Υ", "Y" },
		{ TRANSLIT_GREEK, "Χ", "X" },
		{ TRANSLIT_GREEK, "ά", "A" },
		{ TRANSLIT_GREEK, "ς", "Σ" },
		{ TRANSLIT_GREEK, "ω", "Ω" },
		{ TRANSLIT_GREEK, "ΐ", "I" },
		{ TRANSLIT_GREEK, "ώ", "Ω" },
		{ TRANSLIT_CYRILLIC, "щ", "shch" },
		{ TRANSLIT_CYRILLIC, "Ж", "Zh" },
		{ TRANSLIT_CYRILLIC, "ь", "" },
		{ TRANSLIT_CYRILLIC, "я", "ya" },
		{ TRANSLIT_CYRILLIC, "ё", "yo" },
		{ TRANSLIT_CYRILLIC, "є", "ye" },
		{ TRANSLIT_CYRILLIC, "Ї", "Yi" },
		{ TRANSLIT_ALL, "中", NULL },
		{ TRANSLIT_ALL, "😀", NULL },
		{ 0, "’", NULL },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct str s = str_of(cases[i].from), to = STR_NONE;
		bool found = translit_char((uint32_t)str_utf8_next(&s), cases[i].sets, &to);

		if (found != (cases[i].to != NULL) || (found && !str_is(to, cases[i].to)))
			fail_msg("%s became %.*s", cases[i].from, STR_ARG(to));
	}
}

/* Whatever comes out is short, GSM 7-bit, and never the character itself. */
static void everything_it_makes_is_gsm(void **state)
{
	unsigned count = 0;

	for (uint32_t c = 0; c < 0x20000; c++) {
		struct str to;
		int32_t one;

		if (!translit_char(c, TRANSLIT_ALL, &to))
			continue;
		count++;
		assert_true(to.n <= 8);
		while ((one = str_utf8_next(&to)) >= 0)
			assert_int_not_equal(gsm7_code_default((uint32_t)one), GSM7_NONE);
		assert_int_equal(one, -1);
	}
	assert_true(count > 900);
}

static void set_names(void **state)
{
	assert_int_equal(translit_find(STR("punctuation")), TRANSLIT_PUNCTUATION);
	assert_int_equal(translit_find(STR("all")), TRANSLIT_ALL);
	assert_int_equal(translit_find(STR("none")), 0);
}

static void composition(void **state)
{
	assert_int_equal(unicode_compose('e', 0x301), 0xe9);
	assert_int_equal(unicode_compose('s', 0x30c), 0x161);
	assert_int_equal(unicode_compose(0x1ea1, 0x302), 0x1ead); /* ạ + ^ */
	assert_int_equal(unicode_compose(0x438, 0x306), 0x439);   /* и + breve: й */
	assert_int_equal(unicode_compose(0x304b, 0x3099), 0x304c);
	assert_int_equal(unicode_compose(0x1112, 0x1161), 0xd558); /* ㅎ + ㅏ */
	assert_int_equal(unicode_compose(0xd558, 0x11ab), 0xd55c); /* 하 + ㄴ */
	assert_int_equal(unicode_compose(0x915, 0x93c), 0);        /* excluded from NFC */
	assert_int_equal(unicode_compose('e', 'x'), 0);
	assert_int_equal(unicode_compose('b', 0x301), 0);
	assert_int_equal(unicode_compose(0x1f600, 0x301), 0);
	assert_int_equal(unicode_canonical(0x2126), 0x3a9);
	assert_int_equal(unicode_canonical(0x212b), 0xc5);
	assert_int_equal(unicode_canonical('x'), 'x');
}

static void what_belongs_together(void **state)
{
	static const uint32_t extend[] = { 0x300, 0x36f, 0x483, 0x93f, 0x94d, 0x0e31, 0x200d,
		0x20e3, 0x3099, 0xfe0f, 0x1f3fb, 0x1f3ff, 0xe0100, 0xe0067 };
	static const uint32_t stand[] = { 'a', 0x2ff, 0x370, 0x430, 0x915, 0x4e2d, 0xac00, 0x1f600,
		0x1f1e6, 0x2014, 0x10ffff };

	for (size_t i = 0; i < sizeof extend / sizeof *extend; i++)
		assert_true(unicode_extends(extend[i]));
	for (size_t i = 0; i < sizeof stand / sizeof *stand; i++)
		assert_false(unicode_extends(stand[i]));
	assert_true(unicode_clings(0x200d, 0x1f469));
	assert_true(unicode_clings('\r', '\n'));
	assert_true(unicode_clings(0x1100, 0x1161));
	assert_true(unicode_clings(0xac00, 0x11a8));
	assert_false(unicode_clings('a', 'b'));
	assert_false(unicode_clings(0x1f600, 0x1f600));
}

static void descriptions(void **state)
{
	static const struct {
		uint32_t c;
		const char *name;
	} cases[] = {
		{ 0x2019, "RIGHT SINGLE QUOTATION MARK" },
		{ 0x161, "LATIN SMALL LETTER S WITH CARON" },
		{ 0x1eac, "LATIN CAPITAL LETTER A WITH DOT BELOW AND CIRCUMFLEX" },
		{ 0xe7, "LATIN SMALL LETTER C WITH CEDILLA" },
		{ 0x439, "Cyrillic letter" },
		{ 0x3b1, "Greek letter" },
		{ 0x4e2d, "Chinese character" },
		{ 0x1f600, "emoji" },
		{ 0x10ffff, "special character" },
		{ 0, "control character" },
	};
	char out[80];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		unicode_describe(cases[i].c, out, sizeof out);
		assert_string_equal(out, cases[i].name);
	}
	unicode_describe(0x2019, out, 6);
	assert_string_equal(out, "RIGHT");
	for (uint32_t c = 0; c < 0x110000; c += 7)
		unicode_describe(c, out, sizeof out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(characters),
		cmocka_unit_test(everything_it_makes_is_gsm),
		cmocka_unit_test(set_names),
		cmocka_unit_test(composition),
		cmocka_unit_test(what_belongs_together),
		cmocka_unit_test(descriptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
