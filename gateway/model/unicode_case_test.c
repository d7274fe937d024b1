/* Case mappings: letters of the alphabets in use, the odd ones, and properties of all. */
#include "gateway/model/unicode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_letters(void **state)
{
	static const struct {
		uint32_t c, lower, upper, fold;
	} t[] = {
		{ 'A', 'a', 'A', 'a' },
		{ 'z', 'z', 'Z', 'z' },
		{ '@', '@', '@', '@' },
		{ 0xc4, 0xe4, 0xc4, 0xe4 },         /* Ä */
		{ 0xd7, 0xd7, 0xd7, 0xd7 },         /* multiplication sign */
		{ 0xdf, 0xdf, 0xdf, 0xdf },         /* ß: its capital is two letters */
		{ 0x1e9e, 0xdf, 0x1e9e, 0xdf },     /* capital ß */
		{ 0x160, 0x161, 0x160, 0x161 },     /* Š */
		{ 0x161, 0x161, 0x160, 0x161 },     /* š */
		{ 0x178, 0xff, 0x178, 0xff },       /* Ÿ */
		{ 0x130, 0x130, 0x130, 0x130 },     /* dotted I: its small one is two characters */
		{ 0x17f, 0x17f, 'S', 's' },         /* long s */
		{ 0x3a3, 0x3c3, 0x3a3, 0x3c3 },     /* sigma */
		{ 0x3c2, 0x3c2, 0x3a3, 0x3c3 },     /* final sigma */
		{ 0x416, 0x436, 0x416, 0x436 },     /* Ж */
		{ 0x401, 0x451, 0x401, 0x451 },     /* Ё */
		{ 0x13a0, 0xab70, 0x13a0, 0x13a0 }, /* Cherokee folds upwards */
		{ 0xab70, 0xab70, 0x13a0, 0x13a0 },
		{ 0x10400, 0x10428, 0x10400, 0x10428 }, /* Deseret */
		{ 0x10ffff, 0x10ffff, 0x10ffff, 0x10ffff },
	};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		assert_int_equal(unicode_lower(t[i].c), t[i].lower);
		assert_int_equal(unicode_upper(t[i].c), t[i].upper);
		assert_int_equal(unicode_fold(t[i].c), t[i].fold);
	}
}

static void test_properties(void **state)
{
	for (uint32_t c = 0; c < 0x110000; c++) {
		uint32_t f = unicode_fold(c);

		assert_int_equal(unicode_fold(f), f);
		assert_int_equal(unicode_lower(unicode_lower(c)), unicode_lower(c));
		/* what only case sets apart, folds to one */
		if (unicode_lower(c) != c && c != 0x130)
			assert_int_equal(unicode_fold(unicode_lower(c)), f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letters),
		cmocka_unit_test(test_properties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
