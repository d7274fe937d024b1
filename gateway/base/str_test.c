/* str.h: slices, numbers, patterns, UTF-8. */
#include "gateway/base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void comparing(void **state)
{
	assert_true(str_eq(STR("a\0b"), STR("a\0b")));
	assert_false(str_eq(STR("a\0b"), STR("a\0c")));
	assert_true(str_eq(STR_NONE, str_n(NULL, 0)));
	assert_true(str_ieq(STR("ReJeCtD"), STR("REJECTD")));
	assert_false(str_ieq(STR("a["), STR("a{"))); /* only letters fold */
	assert_true(str_starts(STR("abc"), STR("")));
	assert_true(str_starts(STR("abc"), STR("ab")));
	assert_false(str_starts(STR("ab"), STR("abc")));
	assert_true(str_ends(STR("abc"), STR("bc")));
	assert_false(str_ends(STR("bc"), STR("abc")));
	assert_true(str_cmp(STR("a"), STR("b")) < 0);
	assert_true(str_cmp(STR("a"), STR("ab")) < 0);
	assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
	assert_int_equal(str_cmp(STR(""), STR("")), 0);
	assert_true(str_eq_secret(STR("secret"), STR("secret")));
	assert_false(str_eq_secret(STR("secret"), STR("secreT")));
	assert_false(str_eq_secret(STR("aa"), STR("a")));
	assert_false(str_eq_secret(STR("a"), STR("aa")));
	assert_false(str_eq_secret(STR("a"), STR("")));
	assert_false(str_eq_secret(STR(""), STR("a")));
	assert_true(str_hash(STR("12345678a")) != str_hash(STR("12345678b")));
	assert_true(str_hash(STR("a")) != str_hash(STR("a\0")));
}

static void cutting(void **state)
{
	struct str rest = STR("a,,b"), head;
	const char *want[] = { "a", "", "b" };

	for (size_t i = 0; i < COUNT(want); i++) {
		assert_true(str_cut(&rest, ',', &head));
		assert_true(str_is(head, want[i]));
	}
	assert_false(str_cut(&rest, ',', &head));
	rest = STR("");
	assert_true(str_cut(&rest, ',', &head)); /* one empty piece, then nothing */
	assert_int_equal(head.n, 0);
	assert_false(str_cut(&rest, ',', &head));

	assert_true(str_is(str_trim(STR(" \t\r\n x y \n")), "x y"));
	assert_int_equal(str_trim(STR(" \n")).n, 0);
	assert_true(str_is(str_skip(STR("abc"), 2), "c"));
	assert_int_equal(str_skip(STR("abc"), 9).n, 0);
	assert_int_equal(str_index(STR("abc"), 'c'), 2);
	assert_int_equal(str_index(STR("abc"), 'd'), -1);
	assert_int_equal(str_find(STR("abcabd"), STR("abd")), 3);
	assert_int_equal(str_find(STR("ab"), STR("abc")), -1);
}

static void copying(void **state)
{
	char to[4] = "xxx";

	assert_int_equal(str_copy(to, sizeof to, STR("ab")), 2);
	assert_string_equal(to, "ab");
	assert_int_equal(str_copy(to, sizeof to, STR("abcdef")), 6);
	assert_string_equal(to, "abc");
	assert_int_equal(str_copy(to, 1, STR("a")), 1);
	assert_string_equal(to, "");
}

static void numbers(void **state)
{
	static const struct {
		struct str text;
		bool good;
		uint64_t value;
	} unsigneds[] = {
		{ STR("0"), true, 0 },
		{ STR("007"), true, 7 },
		{ STR("18446744073709551615"), true, UINT64_MAX },
		{ STR("18446744073709551616"), false, 0 },
		{ STR("99999999999999999999"), false, 0 },
		{ STR("000000000000000000001"), false, 0 }, /* 21 digits are no number of ours */
		{ STR(""), false, 0 },
		{ STR("+1"), false, 0 },
		{ STR("1 "), false, 0 },
		{ STR("1\0"), false, 0 },
	};
	uint64_t u;
	int64_t i;

	for (size_t k = 0; k < COUNT(unsigneds); k++) {
		assert_int_equal(str_u64(unsigneds[k].text, &u), unsigneds[k].good);
		if (unsigneds[k].good)
			assert_true(u == unsigneds[k].value);
	}
	assert_true(str_i64(STR("-12"), &i) && i == -12);
	assert_true(str_i64(STR("9223372036854775807"), &i) && i == INT64_MAX);
	assert_false(str_i64(STR("9223372036854775808"), &i));
	assert_false(str_i64(STR("--1"), &i));
	assert_false(str_i64(STR("-"), &i));
}

static void patterns(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool fits;
	} table[] = {
		{ "", "", true },
		{ "", "a", false },
		{ "*", "", true },
		{ "46*", "46700000001", true },
		{ "46*", "47", false },
		{ "*@shop.example", "a@shop.example", true },
		{ "*@shop.example", "a@shop.example.org", false },
		{ "a?c", "abc", true },
		{ "a?c", "ac", false },
		{ "*a*b*", "xxaxxbxx", true },
		{ "*a*b*", "xxbxxaxx", false },
		{ "a*b*c", "abbbbbc", true },
		{ "**", "anything", true },
		{ "[a]", "a", false }, /* nothing but * and ? is special */
		{ "[a]", "[a]", true },
	};
	char many[4097];

	for (size_t i = 0; i < COUNT(table); i++)
		if (str_glob(str_of(table[i].pattern), str_of(table[i].text)) != table[i].fits)
			fail_msg("%s against %s", table[i].pattern, table[i].text);
	memset(many, 'a', sizeof many - 1);
	many[sizeof many - 1] = '\0';
	assert_false(str_glob(STR("*a*a*a*a*a*a*a*a*b"), str_of(many))); /* and soon */
}

static void utf8(void **state)
{
	static const struct {
		struct str text;
		bool valid;
	} table[] = {
		{ STR(""), true },
		{ STR("a\0b"), true },
		{ STR("\xc3\xa5\xe2\x82\xac\xf0\x9f\x98\x80"), true },
		{ STR("\xf4\x8f\xbf\xbf"), true },  /* U+10FFFF */
		{ STR("\xf4\x90\x80\x80"), false }, /* beyond it */
		{ STR("\xc0\x80"), false },         /* overlong */
		{ STR("\xe0\x9f\xbf"), false },     /* overlong */
		{ STR("\xf0\x8f\xbf\xbf"), false }, /* overlong */
		{ STR("\xed\xa0\x80"), false },     /* a surrogate */
		{ STR("\xe2\x82"), false },         /* cut */
		{ STR("\x80"), false },             /* out of place */
		{ STR("\xc3("), false },            /* not continued */
		{ STR("\xff"), false },
	};
	struct str s = STR("\xe2\x82\xac\xffz");

	for (size_t i = 0; i < COUNT(table); i++)
		if (str_utf8_valid(table[i].text) != table[i].valid)
			fail_msg("row %zu", i);
	assert_int_equal(str_utf8_next(&s), 0x20ac);
	assert_int_equal(str_utf8_next(&s), -2); /* one byte taken */
	assert_int_equal(str_utf8_next(&s), 'z');
	assert_int_equal(str_utf8_next(&s), -1);
}

static void distance(void **state)
{
	assert_int_equal(str_distance(STR("window"), STR("window"), 3), 0);
	assert_int_equal(str_distance(STR("widnow"), STR("window"), 3), 2);
	assert_int_equal(str_distance(STR("windw"), STR("window"), 3), 1);
	assert_int_equal(str_distance(STR("Window"), STR("window"), 3), 0);
	assert_int_equal(str_distance(STR(""), STR("abc"), 3), 3);
	assert_int_equal(str_distance(STR("abcdef"), STR("uvwxyz"), 3), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparing),
		cmocka_unit_test(cutting),
		cmocka_unit_test(copying),
		cmocka_unit_test(numbers),
		cmocka_unit_test(patterns),
		cmocka_unit_test(utf8),
		cmocka_unit_test(distance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
