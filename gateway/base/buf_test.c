/* buf.h: the growing buffer, and JSON strings. */
#include "gateway/base/buf.h"

#include <setjmp.h>
#include <cmocka.h>

static void growing(void **state)
{
	struct buf b = BUF_INIT;
	char *at;

	assert_string_equal(buf_cstr(&b), "");
	for (int i = 0; i < 10000; i++)
		buf_printf(&b, "%04d", i);
	assert_int_equal(b.n, 40000);
	assert_memory_equal(b.p + 39996, "9999", 4);
	buf_drop(&b, 39998);
	assert_string_equal(buf_cstr(&b), "99");
	assert_int_equal(b.n, 2); /* the NUL does not count */
	buf_drop(&b, 5);
	assert_int_equal(b.n, 0);
	at = buf_extend(&b, 3);
	memcpy(at, "abc", 3);
	buf_add(&b, NULL, 0);
	buf_str(&b, STR_NONE);
	buf_c(&b, "de");
	buf_char(&b, 'f');
	assert_true(str_is(buf_view(&b), "abcdef"));
	buf_reset(&b);
	buf_printf(&b, "%0200d", 1); /* longer than what is reserved at first */
	assert_int_equal(b.n, 200);
	buf_free(&b);
	assert_null(b.p);
	assert_int_equal(b.n + b.cap, 0);
}

static void big_endian(void **state)
{
	struct buf b = BUF_INIT;

	buf_u8(&b, 0xff);
	buf_be16(&b, 0x8001);
	buf_be32(&b, 0x80000004);
	assert_int_equal(b.n, 7);
	assert_memory_equal(b.p, "\xff\x80\x01\x80\x00\x00\x04", 7);
	assert_int_equal(be16(b.p + 1), 0x8001);
	assert_int_equal(be32(b.p + 3), 0x80000004);
	buf_free(&b);
}

static void json(void **state)
{
	static const struct {
		struct str text;
		const char *quoted;
	} table[] = {
		{ STR(""), "\"\"" },
		{ STR("a \"b\" \\ /"), "\"a \\\"b\\\" \\\\ /\"" },
		{ STR("\n\r\t\x01\x7f\0"), "\"\\n\\r\\t\\u0001\\u007f\\u0000\"" },
		{ STR("\xc3\xa5\xf0\x9f\x98\x80"), "\"\xc3\xa5\xf0\x9f\x98\x80\"" },
		{ STR("a\xff\xc3z"), "\"a\xef\xbf\xbd\xef\xbf\xbdz\"" },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		buf_reset(&b);
		buf_json(&b, table[i].text);
		assert_string_equal(buf_cstr(&b), table[i].quoted);
	}
	buf_free(&b);
}

static void utf8(void **state)
{
	struct buf b = BUF_INIT;
	static const uint32_t points[] = { 'a', 0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x10000,
		0x10ffff };
	struct str s;

	for (size_t i = 0; i < sizeof points / sizeof *points; i++)
		buf_utf8(&b, points[i]);
	s = buf_view(&b);
	for (size_t i = 0; i < sizeof points / sizeof *points; i++)
		assert_int_equal(str_utf8_next(&s), points[i]);
	assert_int_equal(s.n, 0);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(growing),
		cmocka_unit_test(big_endian),
		cmocka_unit_test(json),
		cmocka_unit_test(utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
