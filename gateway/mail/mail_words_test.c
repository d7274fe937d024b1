/* Encoded words: the examples of RFC 2047 §8 and what does not decode. */
#include "gateway/mail/mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_words(void **state)
{
	static const struct {
		const char *raw, *text;
	} v[] = {
		{ "plain", "plain" },
		{ " folded\r\n\tand on \r\n", "folded and on" },
		{ "=?ISO-8859-1?Q?a?=", "a" },
		{ "=?ISO-8859-1?Q?a?= b", "a b" },
		{ "=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab" },
		{ "=?ISO-8859-1?Q?a?=\r\n  =?ISO-8859-1?Q?b?=", "ab" },
		{ "=?ISO-8859-1?Q?a_b?=", "a b" },
		{ "=?ISO-8859-1?Q?Andr=E9?= Pirard", "Andr\xc3\xa9 Pirard" },
		{ "=?utf-8?B?w7YgdHLDpWQ=?=", "\xc3\xb6 tr\xc3\xa5"
					      "d" },
		{ "=?utf-8*sv?q?hej?=", "hej" },
		{ "=?nonsense?q?a?=", "=?nonsense?q?a?=" },
		{ "=?utf-8?x?a?=", "=?utf-8?x?a?=" },
		{ "=?utf-8?q?a=?=", "=?utf-8?q?a=?=" },
		{ "=?utf-8?b?a!?= x", "=?utf-8?b?a!?= x" },
		{ "=? =? =", "=? =? =" },
		{ "a\xff"
		  "b\x01",
			"a\xef\xbf\xbd"
			"b " },
		{ "", "" },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		buf_reset(&b);
		mail_words(str_of(v[i].raw), &b);
		if (!str_is(buf_view(&b), v[i].text))
			fail_msg("\"%s\" gave \"%.*s\"", v[i].raw, STR_ARG(buf_view(&b)));
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_words) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
