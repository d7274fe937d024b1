/* SASL: base64, PLAIN, and SCRAM-SHA-256 by the vectors of RFC 7677 and against itself. */
#include "gateway/base/mem.h"
#include "protocols/smtp/sasl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_base64(void **state)
{
	static const struct {
		const char *plain, *coded;
	} v[] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "\xff\xfe\xfd", "//79" } };
	static const char *const bad[] = { "Z", "Zg=", "Zg", "Zh==", "Zm9=", "Zg==Zg==", "Zm9v\n",
		"=Zg=", "====", "Zm 9", "Zg==\0" };
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		buf_reset(&b);
		sasl_base64_encode(str_of(v[i].plain), &b);
		assert_true(str_is(buf_view(&b), v[i].coded));
		buf_reset(&b);
		assert_true(sasl_base64_decode(str_of(v[i].coded), &b));
		assert_true(str_is(buf_view(&b), v[i].plain));
	}
	buf_reset(&b);
	buf_c(&b, "x");
	for (size_t i = 0; i + 1 < sizeof bad / sizeof bad[0]; i++)
		if (sasl_base64_decode(str_of(bad[i]), &b) || b.n != 1)
			fail_msg("%s was taken", bad[i]);
	buf_free(&b);
}

static void test_plain(void **state)
{
	struct str z, u, p;
	struct buf b = BUF_INIT;

	sasl_plain_put(STR("tim"), STR("tanstaaftanstaaf"), &b);
	assert_true(sasl_plain_parse(buf_view(&b), &z, &u, &p));
	assert_true(z.n == 0 && str_is(u, "tim") && str_is(p, "tanstaaftanstaaf"));
	assert_true(sasl_plain_parse(STR("Ursel\0Kurt\0xipj3plmq"), &z, &u, &p));
	assert_true(str_is(z, "Ursel") && str_is(u, "Kurt"));
	assert_true(sasl_plain_parse(STR("\0u\0"), &z, &u, &p) && p.n == 0);
	assert_false(sasl_plain_parse(STR("\0tim"), &z, &u, &p));
	assert_false(sasl_plain_parse(STR("tim"), &z, &u, &p));
	assert_false(sasl_plain_parse(STR("\0\0x"), &z, &u, &p));
	assert_false(sasl_plain_parse(STR("\0a\0b\0c"), &z, &u, &p));
	assert_false(sasl_plain_parse(STR_NONE, &z, &u, &p));
	buf_free(&b);
}

/* RFC 7677 §3 */
#define FIRST     "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define OUR_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define CHALLENGE                                                                          \
	"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==," \
	"i=4096"
#define FINAL                                                          \
	"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," \
	"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define DONE "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static struct scram_verifier verifier(void)
{
	struct scram_verifier v = { 0 };
	struct buf salt = BUF_INIT;

	assert_true(sasl_base64_decode(STR("W22ZaJ0SNY7soEsUEjb6gQ=="), &salt));
	scram_verifier_make(STR("pencil"), buf_view(&salt), 4096, &v);
	buf_free(&salt);
	return v;
}

static void test_scram_server(void **state)
{
	struct scram_verifier v = verifier();
	struct scram_server s = { 0 };
	struct buf out = BUF_INIT;

	assert_true(scram_server_first(&s, STR(FIRST)));
	assert_string_equal(s.user, "user");
	scram_server_challenge(&s, &v, STR(OUR_NONCE), &out);
	assert_true(str_is(buf_view(&out), CHALLENGE));
	buf_reset(&out);
	assert_true(scram_server_final(&s, &v, STR(FINAL), &out));
	assert_true(str_is(buf_view(&out), DONE));
	buf_free(&out);
	scram_server_free(&s);
}

static void test_scram_client(void **state)
{
	struct scram_client c = { 0 };
	struct buf out = BUF_INIT;
	struct err e;

	scram_client_first(&c, STR("user"), STR("rOprNGfwEbeRWgbNEkqO"), &out);
	assert_true(str_is(buf_view(&out), FIRST));
	buf_reset(&out);
	assert_int_equal(scram_client_final(&c, STR("pencil"), STR(CHALLENGE), &out, &e), 0);
	assert_true(str_is(buf_view(&out), FINAL));
	assert_true(scram_client_done(&c, STR(DONE)));
	assert_false(scram_client_done(&c, STR("e=other-error")));
	assert_false(scram_client_done(&c, STR("v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
	scram_client_free(&c);
	buf_free(&out);
}

static void test_verifier_text(void **state)
{
	struct scram_verifier v = verifier(), again;
	struct buf b = BUF_INIT;
	static const char *const bad[] = { "", "SCRAM-SHA-256$", "SCRAM-SHA-256$4096:$a:b",
		"SCRAM-SHA-256$0:Zm9v$Zm9v:Zm9v", "SCRAM-SHA-1$4096:Zm9v$Zm9v:Zm9v",
		"SCRAM-SHA-256$4096:Zm9v$Zm9v:Zm9v" };

	scram_verifier_put(&v, &b);
	assert_true(scram_verifier_parse(buf_view(&b), &again));
	assert_memory_equal(&v, &again, sizeof v);
	assert_true(scram_verifier_fits(&again, STR("pencil")));
	assert_false(scram_verifier_fits(&again, STR("Pencil")));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(scram_verifier_parse(str_of(bad[i]), &again));
	buf_free(&b);
}

/* Both halves against each other, with names that need escapes; and each way to be wrong. */
static void test_scram_both(void **state)
{
	static const char *const firsts[] = { "", "n", "n,", "n,,", "p=tls-unique,,n=u,r=x",
		"n,,n=,r=x", "n,,n=u", "n,,r=x,n=u", "n,,n=u=,r=x", "n,,n=u=2,r=x",
		"n,,m=ext,n=u,r=x", "n,a=other,n=u,r=x", "n,,n=u,r=" };
	struct scram_verifier v = verifier();
	struct scram_server s = { 0 };
	struct scram_client c = { 0 };
	struct buf a = BUF_INIT, b = BUF_INIT;
	struct err e;

	for (int wrong = 0; wrong < 4; wrong++) {
		char nonce[SCRAM_NONCE];

		buf_reset(&a);
		buf_reset(&b);
		scram_nonce(nonce);
		scram_client_first(&c, STR("a=b,c"), str_of(nonce), &a);
		assert_true(scram_server_first(&s, buf_view(&a)));
		assert_string_equal(s.user, "a=b,c");
		scram_server_challenge(&s, &v, STR("abc"), &b);
		buf_reset(&a);
		assert_int_equal(scram_client_final(&c, wrong == 1 ? STR("pencils") : STR("pencil"),
					 buf_view(&b), &a, &e),
			0);
		buf_reset(&b);
		if (wrong == 2)
			a.p[a.n - 5] ^= 1;
		if (wrong == 3)
			a.p[3] = 'Q'; /* another header */
		assert_int_equal(scram_server_final(&s, &v, buf_view(&a), &b), wrong == 0);
		if (!wrong)
			assert_true(scram_client_done(&c, buf_view(&b)));
	}
	for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++)
		if (scram_server_first(&s, str_of(firsts[i])))
			fail_msg("%s was taken", firsts[i]);
	assert_int_equal(scram_client_final(&c, STR("p"), STR("r=short,s=Zm9v,i=1"), &a, &e), -1);
	scram_server_free(&s);
	scram_client_free(&c);
	buf_free(&a);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_scram_server),
		cmocka_unit_test(test_scram_client),
		cmocka_unit_test(test_verifier_text),
		cmocka_unit_test(test_scram_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
