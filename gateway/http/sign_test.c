/* The signature: RFC 4231's vectors for the HMAC, and openssl(1) as the other party for the header.
 */
#include "gateway/http/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void rfc4231(void **state)
{
	static const struct {
		struct str key, data;
		const char *hex;
	} rows[] = {
		{ STR("Jefe"), STR("what do ya want for nothing?"),
			"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
		{ STR("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
		      "\x0b"),
			STR("Hi There"),
			"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
		{ STR(""), STR(""),
			"b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t out[HMAC_SHA256_SIZE];
		char hex[65];
		struct str halves[] = { str_n(rows[i].data.p, rows[i].data.n / 2),
			str_skip(rows[i].data, rows[i].data.n / 2) };

		hmac_sha256(out, rows[i].key, halves, 2);
		for (size_t k = 0; k < sizeof out; k++)
			snprintf(hex + 2 * k, 3, "%02x", out[k]);
		assert_string_equal(hex, rows[i].hex);
	}
}

static void header(void **state)
{
	struct buf h = BUF_INIT;
	wall_t at = 1795342500ll * DUR_S + 5;
	FILE *p;
	char line[200], *hex;

	http_sign(&h, STR("s3cret"), at, STR("{\"id\":\"1\"}"));
	p = popen("printf '1795342500.{\"id\":\"1\"}' | openssl dgst -sha256 -hmac s3cret", "r");
	assert_non_null(p);
	assert_non_null(fgets(line, sizeof line, p));
	pclose(p);
	hex = strstr(line, "= ");
	assert_non_null(hex);
	assert_true(str_starts(buf_view(&h), STR("t=1795342500,v1=")));
	assert_true(str_eq(str_skip(buf_view(&h), 16), str_trim(str_of(hex + 2))));

	assert_true(
		http_sign_check(buf_view(&h), STR("s3cret"), STR("{\"id\":\"1\"}"), at, DUR_MIN));
	assert_true(http_sign_check(
		buf_view(&h), STR("s3cret"), STR("{\"id\":\"1\"}"), at + 59 * DUR_S, DUR_MIN));
	assert_false(http_sign_check(
		buf_view(&h), STR("s3cret"), STR("{\"id\":\"1\"}"), at + 62 * DUR_S, DUR_MIN));
	assert_false(http_sign_check(
		buf_view(&h), STR("s3cret"), STR("{\"id\":\"1\"}"), at - 62 * DUR_S, DUR_MIN));
	assert_false(
		http_sign_check(buf_view(&h), STR("s3cres"), STR("{\"id\":\"1\"}"), at, DUR_MIN));
	assert_false(
		http_sign_check(buf_view(&h), STR("s3cret"), STR("{\"id\":\"2\"}"), at, DUR_MIN));
	assert_false(http_sign_check(STR("v1=00"), STR("s3cret"), STR(""), at, DUR_MIN));
	assert_false(http_sign_check(STR(""), STR("s3cret"), STR(""), at, DUR_MIN));
	buf_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(rfc4231), cmocka_unit_test(header) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
