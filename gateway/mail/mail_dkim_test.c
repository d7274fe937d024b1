/* Signatures: for whom, with what, the same each time; and that libopendkim's own verifier takes
 * them. With MAIL_OUT=FOLDER signed mails and public keys are left there for a verifier that is not
 * ours (tests/check.d/44-mail.sh).
 */
#include "gateway/base/mem.h"
#include "gateway/mail/dkim.h"
#include "gateway/mail/mail.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[256];
static const wall_t now = 1795000000 * DUR_S;

static const char *path_of(const char *name)
{
	static char path[4][400];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", dir, name);
	return p;
}

static void write_file(const char *path, struct str s)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(s.p, 1, s.n, f), s.n);
	assert_int_equal(fclose(f), 0);
}

static void make_key(const char *name, EVP_PKEY *k, const char *passphrase)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(k);
	assert_non_null(f);
	assert_true(PEM_write_PrivateKey(f, k, passphrase ? EVP_aes_128_cbc() : NULL,
		(const unsigned char *)passphrase, passphrase ? (int)strlen(passphrase) : 0, NULL,
		NULL));
	fclose(f);
}

/* SELECTOR._domainkey.DOMAIN, for the verifier outside. */
static void leave_public(const char *selector, const char *type, EVP_PKEY *k)
{
	const char *out = getenv("MAIL_OUT");
	unsigned char *der = NULL, raw[32];
	size_t raw_n = sizeof raw;
	struct buf b = BUF_INIT;
	char path[512];
	int n;

	if (!out)
		return;
	buf_printf(&b, "v=DKIM1; k=%s; p=", type);
	if (strcmp(type, "rsa") == 0) {
		n = i2d_PUBKEY(k, &der);
	} else {
		assert_true(EVP_PKEY_get_raw_public_key(k, raw, &raw_n));
		der = raw;
		n = (int)raw_n;
	}
	EVP_EncodeBlock((unsigned char *)buf_extend(&b, (size_t)n * 2), der, n);
	b.n = strlen(buf_cstr(&b));
	snprintf(path, sizeof path, "%s/%s._domainkey.shop.example", out, selector);
	write_file(path, buf_view(&b));
	if (der != raw)
		OPENSSL_free(der);
	buf_free(&b);
}

static int set_up(void **state)
{
	static EVP_PKEY *rsa, *ed, *small, *ec;
	const char *scratch = getenv("SCRATCH");

	snprintf(dir, sizeof dir, "%s/dkim.%ld", scratch ? scratch : "/tmp", (long)getpid());
	if (access(dir, F_OK) != 0) {
		char command[300];

		snprintf(command, sizeof command, "mkdir -p %s", dir);
		assert_int_equal(system(command), 0);
	}
	rsa = EVP_RSA_gen(2048);
	small = EVP_RSA_gen(768);
	ec = EVP_EC_gen("P-256");
	ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	make_key("rsa.pem", rsa, NULL);
	make_key("ed.pem", ed, NULL);
	make_key("small.pem", small, NULL);
	make_key("ec.pem", ec, NULL);
	make_key("locked.pem", rsa, "secret");
	write_file(path_of("empty.pem"), STR_NONE);
	write_file(path_of("text.pem"), STR("this is no key"));
	leave_public("rsa", "rsa", rsa);
	leave_public("ed", "ed25519", ed);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ed);
	EVP_PKEY_free(small);
	EVP_PKEY_free(ec);
	return 0;
}

static int tear_down(void **state)
{
	char command[300];

	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static const char *const more[] = { "X-Campaign" };
static struct dkim_conf conf_of(const char *key, const char *selector, bool relaxed)
{
	return (struct dkim_conf){ .domain = "Shop.example",
		.selector = selector,
		.key_file = path_of(key),
		.relaxed_body = relaxed,
		.headers = (const char **)(uintptr_t)more,
		.headers_n = 1 };
}

/* Odd mails: canonicalisation is where signers part. */
static const struct {
	const char *name, *header, *body;
} mails[] = {
	{ "plain", "From: shop@shop.example\r\nTo: anna@example.com\r\nSubject: Hi\r\nDate: x\r\n",
		"Hello\r\n" },
	{ "empty", "From: shop@shop.example\r\nSubject: nothing in it\r\n", "" },
	{ "blank", "From: shop@shop.example\r\n", "\r\n\r\n\r\n" },
	{ "spaces",
		"From:  Shop\t <shop@shop.example>  \r\nSUBJECT:  a  b\t\tc \r\n"
		"To: anna@example.com,\r\n\t bo@example.com\r\nX-Campaign:\r\n spring\r\n",
		"  a  b\t\tc \r\n \t\r\nlast line \t \r\n\r\n \r\n\r\n" },
	{ "no-end", "From: shop@shop.example\r\n", "one\r\ntwo" },
	{ "dots", "From: shop@shop.example\r\n", ".\r\n..\r\n.x\r\n" },
	{ "eight",
		"From: shop@shop.example\r\nSubject: Gr\xc3\xbc\xc3\x9f\r\n"
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
		"Gr\xc3\xbc\xc3\x9f"
		"e\r\n\xff\xfe\x80\r\n" },
	{ "twice",
		"Received: by a\r\nReceived: by b\r\nFrom: shop@shop.example\r\n"
		"X-Campaign: one\r\nX-Campaign: two\r\nSubject:\r\n",
		"x\r\n" },
	{ "folded",
		"From: shop@shop.example\r\nSubject: a\r\n very\r\n\tlong\r\n  subject\r\n"
		"References: <a@b>\r\n\t<c@d>\r\nList-Unsubscribe: <https://shop.example/u/x>\r\n"
		"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
		"x\r\n" },
};

static int sign(struct dkim_signer *s, const char *from, struct str header, struct str body,
	size_t piece, struct buf *out, struct err *e)
{
	struct dkim_job *j = dkim_begin(s, str_of(from), now);

	if (!j)
		return 1;
	if (dkim_put_header(j, header, e)) {
		dkim_abort(&j);
		return -1;
	}
	while (body.n) {
		size_t n = body.n < piece ? body.n : piece;

		if (dkim_put_body(j, str_n(body.p, n), e)) {
			dkim_abort(&j);
			return -1;
		}
		body = str_skip(body, n);
	}
	return dkim_end(&j, out, e);
}

static void signatures(void **state)
{
	static const struct {
		const char *key, *selector, *said;
		bool relaxed;
	} ways[] = { { "rsa.pem", "rsa", "a=rsa-sha256; c=relaxed/relaxed", true },
		{ "rsa.pem", "rsa", "a=rsa-sha256; c=relaxed/simple", false },
		{ "ed.pem", "ed", "a=ed25519-sha256; c=relaxed/relaxed", true },
		{ "ed.pem", "ed", "a=ed25519-sha256; c=relaxed/simple", false } };
	const char *out = getenv("MAIL_OUT");

	for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
		struct dkim_conf c = conf_of(ways[w].key, ways[w].selector, ways[w].relaxed);
		struct err e = { 0 };
		struct dkim_signer *s = dkim_signer_new(&c, 1, &e);

		if (!s)
			fail_msg("%s", e.text);
		for (size_t i = 0; i < sizeof mails / sizeof mails[0]; i++) {
			struct buf h = BUF_INIT, whole = BUF_INIT, pieces = BUF_INIT;
			struct str body = str_of(mails[i].body);

			buf_printf(&h, "%s\r\n", mails[i].header);
			if (sign(s, "shop@SHOP.example", buf_view(&h), body, 4096, &whole, &e))
				fail_msg("%s: %s", mails[i].name, e.text);
			/* In pieces that cut line ends apart, at another time: the same octets. */
			for (size_t piece = 1; piece < 4; piece++) {
				buf_reset(&pieces);
				assert_int_equal(sign(s, "shop@shop.example", buf_view(&h), body,
							 piece, &pieces, &e),
					0);
				assert_true(str_eq(buf_view(&whole), buf_view(&pieces)));
			}
			assert_true(str_starts(buf_view(&whole), STR("DKIM-Signature: v=1; ")));
			assert_true(str_ends(buf_view(&whole), STR("\r\n")));
			assert_true(str_find(buf_view(&whole), str_of(ways[w].said)) > 0);
			assert_true(str_find(buf_view(&whole), STR("t=1795000000;")) > 0);
			for (size_t k = 0; k + 1 < whole.n; k++)
				if (whole.p[k + 1] == '\n')
					assert_true(whole.p[k] == '\r');
			if (out) {
				char path[512];

				buf_str(&whole, buf_view(&h));
				buf_str(&whole, body);
				if (body.n && !str_ends(body, STR("\r\n")))
					buf_str(&whole, STR("\r\n")); /* as it is sent */
				snprintf(path, sizeof path, "%s/dkim-%s-%d-%s.eml", out,
					ways[w].selector, ways[w].relaxed, mails[i].name);
				write_file(path, buf_view(&whole));
			}
			buf_free(&h);
			buf_free(&whole);
			buf_free(&pieces);
		}
		dkim_signer_free(&s);
	}
}

static size_t count(struct str s, struct str what)
{
	size_t n = 0;
	ptrdiff_t at;

	while ((at = str_find(s, what)) >= 0) {
		n++;
		s = str_skip(s, (size_t)at + what.n);
	}
	return n;
}

/* The h= of a signature, without folds. */
static void signed_fields(struct str signature, struct buf *b)
{
	ptrdiff_t at = str_find(signature, STR("h=From"));

	if (at < 0)
		at = str_find(signature, STR("h="));
	for (size_t i = (size_t)at; i < signature.n && signature.p[i] != ';'; i++)
		if (!strchr(" \t\r\n", signature.p[i]))
			buf_char(b, signature.p[i]);
}

static void what_is_signed(void **state)
{
	static const struct str header = { "From: a@shop.example\r\nReceived: by x\r\nTo: b\r\n"
					   "X-Campaign: c\r\nX-Other: d\r\nSubject: e\r\n\r\n",
		83 };
	struct dkim_conf c = conf_of("ed.pem", "ed", true);
	struct dkim_signer *s = dkim_signer_new(&c, 1, NULL);
	struct buf out = BUF_INIT, h = BUF_INIT;

	assert_non_null(s);
	assert_int_equal(sign(s, "a@shop.example", header, STR("x\r\n"), 10, &out, NULL), 0);
	signed_fields(buf_view(&out), &h);
	assert_int_equal(count(buf_view(&h), STR("From")), 2);
	assert_int_equal(count(buf_view(&h), STR("To")), 3); /* and Reply-To */
	assert_int_equal(count(buf_view(&h), STR("Subject")), 2);
	assert_int_equal(count(buf_view(&h), STR("X-Campaign")), 1);
	assert_int_equal(count(buf_view(&h), STR("X-Other")), 0);
	assert_int_equal(count(buf_view(&h), STR("Received")), 0);
	buf_free(&out);
	buf_free(&h);
	dkim_signer_free(&s);
}

static void whose_mails(void **state)
{
	const char *domains[] = { "*.brand.example", "News.example" };
	struct dkim_conf c[3] = { conf_of("rsa.pem", "rsa", true), conf_of("ed.pem", "ed", true),
		conf_of("ed.pem", "other", false) };
	static const struct {
		const char *from;
		size_t signatures;
	} cases[] = { { "a@shop.example", 2 }, { "a@SHOP.Example", 2 }, { "a@x.shop.example", 2 },
		{ "a@xshop.example", 0 }, { "a@shop.example.net", 0 }, { "a@x.brand.example", 1 },
		{ "a@brand.example", 0 }, { "a@NEWS.example", 1 }, { "", 0 }, { "shop.example", 0 },
		{ "@shop.example", 0 } };
	struct dkim_signer *s, *other;

	c[2].from = domains;
	c[2].from_n = 2;
	s = dkim_signer_new(c, 3, NULL);
	assert_non_null(s);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf out = BUF_INIT;
		int rc = sign(s, cases[i].from, STR("From: a\r\n\r\n"), STR_NONE, 9, &out, NULL);

		assert_int_equal(rc, cases[i].signatures ? 0 : 1);
		if (count(buf_view(&out), STR("DKIM-Signature:")) != cases[i].signatures)
			fail_msg("%s: %s", cases[i].from, buf_cstr(&out));
		buf_free(&out);
	}
	other = dkim_signer_ref(s);
	dkim_signer_free(&s);
	assert_null(s);
	dkim_signer_free(&other);
	assert_null(dkim_begin(NULL, STR("a@shop.example"), now));
}

static void keys_that_are_none(void **state)
{
	static const struct {
		const char *file, *says;
	} cases[] = {
		{ "nowhere.pem", "No such file" },
		{ "empty.pem", "holds no private key" },
		{ "text.pem", "holds no private key" },
		{ "locked.pem", "holds no private key" },
		{ "small.pem", "an RSA key of 768 bits" },
		{ "ec.pem", "DKIM takes RSA and Ed25519 keys" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct dkim_conf c[2] = { conf_of("rsa.pem", "good", true),
			conf_of(cases[i].file, "mail1", true) };
		struct err e = { 0 };

		assert_null(dkim_signer_new(c, 2, &e));
		assert_int_equal(e.kind, ERR_CONF);
		if (!strstr(e.text, cases[i].says) || !strstr(e.text, cases[i].file) ||
			!strstr(e.text, "mail1"))
			fail_msg("%s: %s", cases[i].file, e.text);
	}
}

static void broken_headers(void **state)
{
	struct dkim_conf c = conf_of("ed.pem", "ed", true);
	struct dkim_signer *s = dkim_signer_new(&c, 1, NULL);
	struct buf out = BUF_INIT, many = BUF_INIT;
	struct err e;

	assert_int_equal(sign(s, "a@shop.example", STR("From: a\r\nno field\r\n\r\n"), STR_NONE, 9,
				 &out, &e),
		-1);
	assert_string_equal(
		e.text, "no DKIM signature: a line of the header is no field: \"no field\"");
	assert_int_equal(out.n, 0);
	for (int i = 0; i < 3000; i++)
		buf_c(&many, "X: y\r\n");
	assert_int_equal(sign(s, "a@shop.example", buf_view(&many), STR_NONE, 9, &out, &e), -1);
	buf_free(&many);
	dkim_signer_free(&s);
}

static void rows(void **state)
{
	struct err e;

	if (conf_table_check(dkim_rows, sizeof(struct dkim_conf), &e) != 0)
		fail_msg("%s", e.text);
}

static void cost(void **state)
{
	static const char *const keys[] = { "rsa.pem", "ed.pem" };
	struct buf body = BUF_INIT, out = BUF_INIT;

	while (body.n < 4096)
		buf_c(&body, "A line of a mail, as long as lines of mails are wont to be.\r\n");
	for (size_t k = 0; k < 2; k++) {
		struct dkim_conf c = conf_of(keys[k], "s", true);
		struct dkim_signer *s = dkim_signer_new(&c, 1, NULL);
		struct timespec a, b;
		enum { TIMES = 50 };

		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
		for (int i = 0; i < TIMES; i++) {
			buf_reset(&out);
			assert_int_equal(sign(s, "a@shop.example", STR("From: a\r\nTo: b\r\n\r\n"),
						 buf_view(&body), 8192, &out, NULL),
				0);
		}
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
		print_message("%s: %.0f us of processor each\n", keys[k],
			((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) /
				1e3 / TIMES);
		dkim_signer_free(&s);
	}
	buf_free(&body);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signatures),
		cmocka_unit_test(what_is_signed),
		cmocka_unit_test(whose_mails),
		cmocka_unit_test(keys_that_are_none),
		cmocka_unit_test(broken_headers),
		cmocka_unit_test(rows),
		cmocka_unit_test(cost),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
