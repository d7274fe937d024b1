/* Plural categories against Unicode CLDR 48 (as ICU 78 has them), and how they are picked. */
#include "plugins/offers/plural.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static char letter(enum plural p)
{
	return "012fm-"[p];
}

/* Whole numbers, numbers printed with one digit behind the point, with two. */
static void test_MV_2_categories(void **state)
{
	static const int whole[] = { 0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 14, 19, 20, 21, 22, 25,
		100, 101, 102, 111, 112, 121, 1000, 1001, 1000000 };
	static const int tenths[] = { 0, 10, 15, 20, 111, 210 };
	static const int hundredths[] = { 100, 101, 111, 121, 502 };
	static const struct {
		const char *language, *whole, *tenths, *hundredths;
	} cases[] = {
		{ "en", "-1------------------------", "------", "-----" },
		{ "de", "-1------------------------", "------", "-----" },
		{ "et", "-1------------------------", "------", "-----" },
		{ "fr", "11-----------------------m", "111---", "1111-" },
		{ "es", "-1-----------------------m", "-1----", "1----" },
		{ "it", "-1-----------------------m", "------", "-----" },
		{ "pt", "11-----------------------m", "111---", "1111-" },
		{ "da", "-1------------------------", "-11---", "1111-" },
		{ "lv", "01------0000001--01-001010", "01--11", "1101-" },
		{ "lt", "-1ffffff------1ff-1f--1-1-", "-1mfm1", "1mmmm" },
		{ "ru", "m1fffmmmmmmmmm1fmm1fmm1m1m", "------", "-----" },
		{ "uk", "m1fffmmmmmmmmm1fmm1fmm1m1m", "------", "-----" },
		{ "be", "m1fffmmmmmmmmm1fmm1fmm1m1m", "m1-f-1", "1----" },
		{ "pl", "m1fffmmmmmmmmmmfmmmfmmmmmm", "------", "-----" },
		{ "cs", "-1fff---------------------", "mmmmmm", "mmmmm" },
		{ "sl", "-12ff-------------12----1-", "ffffff", "fffff" },
		{ "hr", "-1fff---------1f--1f--1-1-", "----1-", "-1-1f" },
		{ "ro", "f1fffffffffff-----ffff--f-", "ffffff", "fffff" },
		{ "he", "-12-----------------------", "1-----", "-----" },
		{ "ar", "012ffffffmmmmmmmm---mmm---", "01-2-m", "1----" },
		{ "ga", "-12ffffmm-----------------", "-1-2--", "1----" },
		{ "mt", "f12ffffffmmmm-------mm----", "f1-2--", "1----" },
		{ "hy", "11------------------------", "111---", "1111-" },
		{ "mk", "-1------------1---1---1-1-", "----1-", "-1-1-" },
		{ "is", "-1------------1---1---1-1-", "-1--11", "11-1-" },
		{ "ja", "--------------------------", "------", "-----" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct tongue t = tongue_of(cases[i].language);

		for (size_t k = 0; cases[i].whole[k]; k++)
			if (letter(plural_of(t, (int64_t)whole[k] * 10000, 0)) != cases[i].whole[k])
				fail_msg("%s %d", cases[i].language, whole[k]);
		for (size_t k = 0; cases[i].tenths[k]; k++)
			if (letter(plural_of(t, (int64_t)tenths[k] * 1000, 1)) !=
				cases[i].tenths[k])
				fail_msg("%s %d/10", cases[i].language, tenths[k]);
		for (size_t k = 0; cases[i].hundredths[k]; k++)
			if (letter(plural_of(t, (int64_t)hundredths[k] * 100, 2)) !=
				cases[i].hundredths[k])
				fail_msg("%s %d/100", cases[i].language, hundredths[k]);
	}
}

static void test_languages_and_their_bases(void **state)
{
	assert_int_equal(plural_of(tongue_of("ru-RU"), 20000, 0), PLURAL_FEW);
	assert_int_equal(plural_of(tongue_of("RU"), 20000, 0), PLURAL_FEW);
	assert_int_equal(plural_of(tongue_of("pt"), 0, 0), PLURAL_ONE);
	assert_int_equal(plural_of(tongue_of("pt-PT"), 0, 0), PLURAL_OTHER);
	assert_int_equal(plural_of(tongue_of("tlh"), 10000, 0), PLURAL_OTHER);
	assert_int_equal(plural_of(tongue_of(""), 10000, 0), PLURAL_OTHER);
	assert_int_equal(plural_of(tongue_of("en"), -10000, 0), PLURAL_ONE);
	assert_int_equal(plural_of(tongue_of("en"), INT64_MIN, 4), PLURAL_OTHER);
	/* every category that a language needs is one that it has */
	assert_int_equal(plural_needed(tongue_of("ru")) & ~plural_all(tongue_of("ru")), 0);
}

static void test_picking_a_form(void **state)
{
	const char *ru[PLURAL_COUNT] = {
		[PLURAL_ONE] = "1", [PLURAL_FEW] = "2", [PLURAL_MANY] = "5"
	};
	const char *en[PLURAL_COUNT] = { [PLURAL_ONE] = "1", [PLURAL_OTHER] = "2" };
	const char *none[PLURAL_COUNT] = { 0 };

	assert_string_equal(plural_pick(ru, PLURAL_OTHER), "2");
	assert_string_equal(plural_pick(en, PLURAL_FEW), "2");
	assert_string_equal(plural_pick(en, PLURAL_ZERO), "2");
	assert_null(plural_pick(none, PLURAL_ONE));
}

static void test_rounding(void **state)
{
	assert_int_equal(decimal_round(12345, 4), 12345);
	assert_int_equal(decimal_round(12345, 2), 12300);
	assert_int_equal(decimal_round(12350, 2), 12400);
	assert_int_equal(decimal_round(-12350, 2), -12400);
	assert_int_equal(decimal_round(5000, 0), 10000);
	assert_int_equal(decimal_round(4999, 0), 0);
	assert_int_equal(decimal_round(-5000, 0), -10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_MV_2_categories),
		cmocka_unit_test(test_languages_and_their_bases),
		cmocka_unit_test(test_picking_a_form),
		cmocka_unit_test(test_rounding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
