/* Mails made 7-bit: they say the same octets, or are refused. */
#include "gateway/mail/mail.h"
#include "gateway/mail/mime_in.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct {
	const char *mail, *made; /* made NULL: refused, "=": as it was */
	const char *fault;
} cases[] = {
	{ "Subject: x\r\n\r\nHello\r\n", "=", NULL },
	{ "From: a\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
	  "8bit\r\n"
	  "X: y\r\n\r\nGr\xc3\xbc\xc3\x9f"
	  "e = a text \r\n",
		"From: a\r\nContent-Type: text/plain; charset=utf-8\r\nX: y\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe =3D a "
		"text=20\r\n",
		NULL },
	{ "From: a\r\n\r\n\xc3\xbc",
		"From: a\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\nw7w=\r\n",
		NULL },
	{ "From: a\r\n\r\nhello, my \xfc\r\n",
		"From: a\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\nhello, my =FC\r\n",
		NULL },
	{ "Content-Type: image/png\r\n\r\n\x89PNG\n",
		"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORwo=\r\n",
		NULL },
	{ "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: "
	  "8bit\r\n\r\npre\r\n--b\r\n\r\nplain\r\n"
	  "--b\r\nContent-Type: text/plain\r\n\r\na word and \xe9\r\n--b\r\nContent-Type: "
	  "message/rfc822\r\n\r\n"
	  "Content-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\nlong enough "
	  "\xe9\r\n\r\n--b--\r\nepi\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\nplain\r\n"
		"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: "
		"quoted-printable\r\n\r\na word and =E9\r\n--b\r\nContent-Type: "
		"message/rfc822\r\n\r\n"
		"Content-Type: text/html\r\nContent-Transfer-Encoding: "
		"quoted-printable\r\n\r\nlong enough =E9\r\n\r\n--b--\r\nepi\r\n",
		NULL },
	{ "Subject: \xc3\xbc\r\n\r\nx", NULL, "a header of it is 8-bit" },
	{ "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xe9\r\n--b--\r\n", NULL,
		"it is signed" },
	{ "DKIM-Signature: v=1\r\n\r\n\xe9\r\n", NULL, "it is signed (DKIM)" },
	{ "Content-Transfer-Encoding: base64\r\n\r\n\xe9\r\n", NULL, "a part is said to be in" },
	{ "Content-Type: multipart/mixed; boundary=b\r\n\r\n\xe9\r\n--b\r\n\r\n\r\n--b--\r\n", NULL,
		"there are octets of 8 bits between" },
	{ "Content-Type: multipart/mixed\r\n\r\n\xe9", NULL,
		"it is a multipart without a boundary" },
	{ "Content-Type: message/delivery-status\r\n\r\n\xe9", NULL,
		"its message/delivery-status part" },
};

static void conversions(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf out = BUF_INIT;
		struct err e = { 0 };
		int rc = mail_to_7bit(str_of(cases[i].mail), false, &out, &e);

		if (rc == 0) {
			const char *made = cases[i].made;

			if (!made ||
				!str_is(buf_view(&out), strcmp(made, "=") ? made : cases[i].mail))
				fail_msg("%zu:\n%s", i, buf_cstr(&out));
		} else if (cases[i].made || !strstr(e.text, cases[i].fault) ||
			   !str_starts(str_of(e.text), STR("the mail cannot be made 7-bit: "))) {
			fail_msg("%zu: %s", i, e.text);
		} else {
			assert_int_equal(out.n, 0);
		}
		buf_free(&out);
	}
}

/* All octets, in text and other parts, come back. */
static void same_octets(void **state)
{
	static const char *const types[] = { "text/plain", "application/x",
		"text/html; charset=x" };

	for (size_t t = 0; t < 3; t++)
		for (unsigned n = 1; n < 700; n += 23) {
			struct buf mail = BUF_INIT, out = BUF_INIT, back = BUF_INIT;
			struct mime_entity x;
			struct mime_type type;
			size_t from;

			buf_printf(&mail, "Content-Type: %s\r\n\r\n", types[t]);
			from = mail.n;
			for (unsigned i = 0; i < n; i++) {
				buf_char(&mail, (char)(i * 7 + n));
				if (t == 0 && i % 50 == 0)
					buf_c(&mail, " \r\n");
			}
			buf_c(&mail, "\xe9");
			assert_int_equal(mail_to_7bit(buf_view(&mail), false, &out, NULL), 0);
			x = mime_split(buf_view(&out));
			mime_type_of(x.header, &type);
			assert_int_equal(mime_decode(x.body, type.transfer, true, &back, NULL), 0);
			assert_true(str_eq(buf_view(&back), str_skip(buf_view(&mail), from)));
			buf_free(&mail);
			buf_free(&out);
			buf_free(&back);
		}
}

/* One that is signed, where that is to be spoilt: as any other. */
static void spoilt(void **state)
{
	struct buf out = BUF_INIT;
	struct err e;

	assert_int_equal(
		mail_to_7bit(STR("DKIM-Signature: v=1\r\n\r\na word: \xe9\r\n"), true, &out, &e),
		0);
	assert_non_null(strstr(buf_cstr(&out), "DKIM-Signature: v=1\r\n"));
	assert_non_null(strstr(buf_cstr(&out), "a word: =E9\r\n"));
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conversions),
		cmocka_unit_test(same_octets),
		cmocka_unit_test(spoilt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
