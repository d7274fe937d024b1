/* Lines for the till: AC-1 the seed's text, AC-2 wrapping by words, AC-3 no control byte of a name
 * reaches the printer; code pages and the most lines.
 */
#include "plugins/offers/printer.h"

#include "plugins/offers/template_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* Lines joined by '|', a '+' behind them when more were cut. */
static const char *print(
	struct arena *a, unsigned width, unsigned lines, const char *code_page, struct str text)
{
	const struct printer *p = printer_make(width, lines, code_page, a);
	struct buf b = BUF_INIT, all = BUF_INIT;
	struct printed r;
	const char *s;

	assert_non_null(p);
	printer_lines(p, text, &b, &r);
	for (size_t i = 0; i < r.n; i++) {
		if (i)
			buf_char(&all, '|');
		buf_add(&all, b.p + r.v[i].at, r.v[i].n);
	}
	if (r.cut)
		buf_char(&all, '+');
	s = arena_cstr(a, buf_view(&all));
	buf_free(&b);
	buf_free(&all);
	return s;
}

static void test_AC_1_seed_text_on_the_receipt(void **state)
{
	struct fix x;

	fix_open(&x, "");
	fix_set(&x, "Discount", "8");
	fix_set(&x, "Currency", "EUR");
	assert_string_equal(fix_text(&x, "Your discount amount was ${Discount:money} ${Currency}.",
				    MEDIA_RECEIPT, "en"),
		"Your discount amount was 8 EUR.");
	assert_int_equal(x.r.printed.n, 1);
	assert_true(str_is(rendering_line(&x.r, 0), "Your discount amount was 8 EUR."));
	fix_close(&x);
}

static void test_AC_2_wraps_on_a_blank(void **state)
{
	static const struct {
		unsigned width;
		const char *text, *want;
	} cases[] = {
		/* 41 characters at width 40 */
		{ 40, "You have earned 12 points with this buy!!",
			"You have earned 12 points with this|buy!!" },
		{ 40, "You have earned 12 points with this buy!",
			"You have earned 12 points with this buy!" },
		{ 10, "aaaaaaaaaa bbb", "aaaaaaaaaa|bbb" },
		{ 10, "aaaaaaaaaabbb", "aaaaaaaaaa|bbb" },
		{ 10, "a bbbbbbbbbbbb c", "a|bbbbbbbbbb|bb c" },
		{ 10, "aaaa   bbbbbbb", "aaaa|bbbbbbb" },
		{ 10, "one\ntwo\n\nthree\n", "one|two||three" },
		{ 10, "  x  ", "x" },
		{ 10, "", "" },
		{ 10, "éééééééééé ā", "éééééééééé|ā" },
		{ 10, "tab\there", "tab here" },
	};
	struct arena *a = arena_new();

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(print(a, cases[i].width, 10, "utf-8", str_of(cases[i].text)),
			cases[i].want);
	arena_free(&a);
}

static void test_AC_3_no_control_bytes(void **state)
{
	struct fix x;
	struct str line;

	fix_open(&x, "");
	fix_raw(&x, FIX_FIRST,
		STR("A\x1b@B\x1d"
		    "V\x00\x7f\xc2\x9b"));
	fix_text(&x, "Hi ${Member.first_name}\x1b!", MEDIA_RECEIPT, "en");
	assert_int_equal(x.r.printed.n, 1);
	line = rendering_line(&x.r, 0);
	for (size_t i = 0; i < line.n; i++)
		assert_true((uint8_t)line.p[i] >= ' ' && line.p[i] != 0x7f);
	assert_true(str_is(line, "Hi A @B V !"));
	fix_close(&x);
	for (unsigned c = 0; c < 0x20; c++) {
		char one = (char)c;
		struct arena *a = arena_new();

		assert_null(strchr(print(a, 40, 10, "CP866", str_n(&one, 1)), 0x1b));
		arena_free(&a);
	}
}

static void test_code_pages(void **state)
{
	static const struct {
		const char *page, *text, *want;
	} cases[] = {
		{ "utf-8", "Žagars €8", "Žagars €8" },
		{ "ascii", "Žagars – “é”", "Zagars - \"e\"" },
		{ "CP866", "Привет, Žanis", "Привет, Zanis" },
		{ "windows-1257", "Žanis €", "Žanis €" },
		{ "ascii", "Щука", "Shchuka" },
		{ "ascii", "漢", "?" },
		{ "ISO-8859-1", "naïve ā", "naïve a" },
	};
	struct arena *a = arena_new();

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(
			print(a, 40, 10, cases[i].page, str_of(cases[i].text)), cases[i].want);
	assert_string_equal(print(a, 40, 10, "utf-8",
				    STR("a\xff"
					"b\xe2\x80\xae"
					"c")),
		"a?bc");
	assert_null(printer_make(40, 10, "no-such-page", a));
	assert_null(printer_make(40, 10, "UTF-16", a));
	assert_null(printer_make(40, 10, "EBCDIC-US", a));
	arena_free(&a);
}

static void test_most_lines(void **state)
{
	struct arena *a = arena_new();

	assert_string_equal(print(a, 10, 2, "ascii", STR("one\ntwo\nthree")), "one|two+");
	assert_string_equal(print(a, 10, 2, "ascii", STR("one\ntwo\n")), "one|two");
	assert_string_equal(print(a, 10, 2, "ascii", STR("\n \n")), "");
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_AC_1_seed_text_on_the_receipt),
		cmocka_unit_test(test_AC_2_wraps_on_a_blank),
		cmocka_unit_test(test_AC_3_no_control_bytes),
		cmocka_unit_test(test_code_pages),
		cmocka_unit_test(test_most_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
