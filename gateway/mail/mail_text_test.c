/* The text of a mail, as the gateways by address take it; and what they must refuse. */
#include "gateway/mail/mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define ALT(a, b)                                                                          \
	"Content-Type: multipart/alternative; boundary=\"B\"\r\n\r\npreamble\r\n--B\r\n" a \
	"\r\n--B\r\n" b "\r\n--B--\r\nepilogue\r\n"

static const struct {
	const char *name, *mail, *text, *subject, *fault; /* fault: what e begins with */
	bool signature;
} cases[] = {
	{ "plain", "Subject: Hi\r\n\r\nHello  \r\nworld\r\n\r\n\r\n", "Hello\nworld", "Hi", NULL,
		0 },
	{ "no header at all", "\r\nHello", "Hello", "", NULL, 0 },
	{ "bare LF", "Subject: Hi\n\nHello\nyou\n", "Hello\nyou", "Hi", NULL, 0 },
	{ "leading empty lines", "\r\n\r\n\r\n  Hello\r\n", "  Hello", "", NULL, 0 },
	{ "subject in words",
		"Subject: =?utf-8?B?R3LDvMOfZQ==?= =?iso-8859-1?Q?aus_K=F6ln?=\r\n\r\nx", "x",
		"Grüßeaus Köln", NULL, 0 },
	{ "folded subject", "Subject: one\r\n two\r\n\r\nx", "x", "one two", NULL, 0 },
	{ "8-bit UTF-8 subject", "Subject: Gr\xc3\xbc\xc3\x9f\r\n\r\nx", "x", "Grüß", NULL, 0 },
	{ "8-bit Latin-1 text", "Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdf",
		"Grüß", "", NULL, 0 },
	{ "windows-1251",
		"Content-Type: text/plain; "
		"charset=\"windows-1251\"\r\n\r\n\xcf\xf0\xe8\xe2\xe5\xf2",
		"Привет", "", NULL, 0 },
	{ "koi8-r, quoted",
		"Content-Type: text/plain; charset=KOI8-R\r\nContent-Transfer-Encoding: "
		"quoted-printable\r\n\r\n=F0=D2=C9=D7=C5=D4",
		"Привет", "", NULL, 0 },
	{ "iso-2022-jp", "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$BF|K\\\x1b(B",
		"日本", "", NULL, 0 },
	{ "utf-16, base64",
		"Content-Type: text/plain; charset=utf-16be\r\nContent-Transfer-Encoding: "
		"base64\r\n\r\nAEgAaQ==",
		"Hi", "", NULL, 0 },
	{ "UTF-8 and nothing said", "\r\nGr\xc3\xbc\xc3\x9f", "Grüß", "", NULL, 0 },
	{ "quoted-printable",
		"Content-Transfer-Encoding: Quoted-Printable\r\n\r\na=3Db =\r\nc=20\r\n=E2=82=AC=",
		"a=b c\n€", "", NULL, 0 },
	{ "base64", "Content-Transfer-Encoding: base64 (x)\r\n\r\nSGVs\r\nbG8=\r\n", "Hello", "",
		NULL, 0 },
	{ "base64 without padding", "Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8", "Hello", "",
		NULL, 0 },
	{ "html", "Content-Type: text/html; charset=utf-8\r\n\r\n<p>Hi <b>Anna</b></p>", "Hi Anna",
		"", NULL, 0 },
	{ "alternative", ALT("\r\nplain", "Content-Type: text/html\r\n\r\n<p>html"), "plain", "",
		NULL, 0 },
	{ "alternative, html first",
		ALT("Content-Type: text/html\r\n\r\n<p>html",
			"Content-Type: text/plain\r\n\r\nplain"),
		"plain", "", NULL, 0 },
	{ "alternative, plain empty", ALT("\r\n \r\n", "Content-Type: text/html\r\n\r\n<p>html"),
		"html", "", NULL, 0 },
	{ "mixed: an attachment first",
		"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\nContent-Disposition: "
		"attachment; filename=x.txt\r\n\r\nnot this\r\n--B\r\n\r\nthis\r\n--B--",
		"this", "", NULL, 0 },
	{ "mixed: a footer behind",
		"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\nContent-Type: "
		"text/html\r\n\r\n<p>this\r\n--B\r\n\r\nfooter\r\n--B--",
		"this", "", NULL, 0 },
	{ "nested",
		"Content-Type: multipart/mixed; boundary=AB\r\n\r\n--AB\r\n" ALT("\r\ninner",
			"Content-Type: text/html\r\n\r\n<p>x") "\r\n--AB\r\nContent-Type: "
							       "image/png\r\n\r\nx\r\n--AB--",
		"inner", "", NULL, 0 },
	{ "a boundary that begins as another",
		"Content-Type: multipart/mixed; "
		"boundary=B\r\n\r\n--B\r\n\r\none\r\n--Bee\r\ntwo\r\n--B--",
		"one\n--Bee\ntwo", "", NULL, 0 },
	{ "no end boundary", "Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\none\r\n",
		NULL, NULL, "the mail ends within its text: the closing boundary is missing", 0 },
	{ "no end boundary, but behind the text",
		"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\none\r\n--B\r\n"
		"Content-Type: image/png\r\n\r\nx",
		"one", "", NULL, 0 },
	{ "signed",
		"Content-Type: multipart/signed; "
		"boundary=B\r\n\r\n--B\r\n\r\none\r\n--B\r\nContent-Type: "
		"application/pgp-signature\r\n\r\nx\r\n--B--",
		"one", "", NULL, 0 },
	{ "flowed",
		"Content-Type: text/plain; format=flowed\r\n\r\nThis is \r\none line.\r\n  "
		"stuffed\r\n> said \r\n> so\r\nend\r\n",
		"This is one line.\n stuffed\n> said so\nend", "", NULL, 0 },
	{ "flowed, delsp",
		"Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\n日 \r\n本\r\n", "日本",
		"", NULL, 0 },
	{ "signature", "\r\nHello\r\n\r\n-- \r\nAnna\r\n", "Hello", "", NULL, 1 },
	{ "signature kept", "\r\nHello\r\n-- \r\nAnna\r\n", "Hello\n--\nAnna", "", NULL, 0 },
	{ "no signature", "\r\nHello\r\n--\r\nAnna\r\n", "Hello\n--\nAnna", "", NULL, 1 },
	{ "signature in a flowed text",
		"Content-Type: text/plain; format=flowed\r\n\r\nHello \r\n-- \r\nAnna", "Hello", "",
		NULL, 1 },
	{ "signature in HTML", "Content-Type: text/html\r\n\r\n<div>Hi</div><div>-- <br>Anna</div>",
		"Hi", "", NULL, 1 },

	{ "nothing", "", NULL, NULL, "the mail has no text", 0 },
	{ "blank", "Subject: x\r\n\r\n \r\n\r\n", NULL, NULL, "the mail has no text", 0 },
	{ "signature only", "\r\n-- \r\nAnna\r\n", NULL, NULL, "the mail has no text", 1 },
	{ "an image", "Content-Type: image/png\r\n\r\nx", NULL, NULL, "the mail has no text", 0 },
	{ "encrypted",
		"Content-Type: multipart/encrypted; boundary=B\r\n\r\n--B\r\n\r\none\r\n--B--",
		NULL, NULL, "the mail has no text that can be read: it is encrypted", 0 },
	{ "no boundary", "Content-Type: multipart/mixed\r\n\r\nx", NULL, NULL,
		"the mail is multipart and names no boundary", 0 },
	{ "broken quoted-printable", "Content-Transfer-Encoding: quoted-printable\r\n\r\nab=ZZ",
		NULL, NULL, "the mail's text/plain part: its quoted-printable is broken at octet 3",
		0 },
	{ "cut quoted-printable", "Content-Transfer-Encoding: quoted-printable\r\n\r\nab=4", NULL,
		NULL, "the mail's text/plain part: its quoted-printable is broken", 0 },
	{ "broken base64", "Content-Transfer-Encoding: base64\r\n\r\nSGV!", NULL, NULL,
		"the mail's text/plain part: its base64 is broken at octet 4", 0 },
	{ "base64 behind its end", "Content-Transfer-Encoding: base64\r\n\r\nSGU=\r\nmore", NULL,
		NULL, "the mail's text/plain part: its base64 is broken", 0 },
	{ "cut base64", "Content-Transfer-Encoding: base64\r\n\r\nSGVsb", NULL, NULL,
		"the mail's text/plain part: its base64 is cut off", 0 },
	{ "unknown charset", "Content-Type: text/plain; charset=x-klingon\r\n\r\nx", NULL, NULL,
		"the mail's text/plain part: its charset \"x-klingon\" is not known", 0 },
	{ "unknown encoding", "Content-Transfer-Encoding: x-uuencode\r\n\r\nx", NULL, NULL,
		"the mail's text/plain part: its Content-Transfer-Encoding is not known", 0 },
	{ "8-bit and no charset", "\r\nGr\xfc\xdf", NULL, NULL,
		"the mail's text/plain part: octet 3 of it has no meaning in ASCII", 0 },
	{ "not UTF-8", "Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xfc\xdf", NULL, NULL,
		"the mail's text/plain part: octet 3 of it has no meaning in utf-8", 0 },
	{ "not its charset", "Content-Type: text/plain; charset=euc-jp\r\n\r\na\xff", NULL, NULL,
		"the mail's text/plain part: octet 2 of it has no meaning in its charset euc-jp",
		0 },
};

static void texts(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf text = BUF_INIT, subject = BUF_INIT;
		struct err e = { 0 };
		int rc = mail_text(str_of(cases[i].mail), cases[i].signature, &text, &subject, &e);

		if (rc == 0 && !cases[i].text)
			fail_msg("%s: is taken: \"%s\"", cases[i].name, buf_cstr(&text));
		if (rc != 0 && cases[i].text)
			fail_msg("%s: %s", cases[i].name, e.text);
		if (rc == 0) {
			if (!str_is(buf_view(&text), cases[i].text))
				fail_msg("%s: \"%s\"", cases[i].name, buf_cstr(&text));
			assert_string_equal(buf_cstr(&subject), cases[i].subject);
		} else {
			if (!str_starts(str_of(e.text), str_of(cases[i].fault)))
				fail_msg("%s: \"%s\"", cases[i].name, e.text);
			assert_int_equal(text.n, 0);
		}
		buf_free(&text);
		buf_free(&subject);
	}
}

/* Parts in parts in parts: an answer comes, and soon. */
static void bombs(void **state)
{
	struct buf m = BUF_INIT, text = BUF_INIT, subject = BUF_INIT;
	struct err e;

	for (int i = 0; i < 20000; i++)
		buf_printf(
			&m, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
	buf_c(&m, "\r\ndeep");
	assert_int_equal(mail_text(buf_view(&m), false, &text, &subject, &e), -1);
	assert_string_equal(e.text, "the mail has no text in its first twelve levels of parts");
	buf_reset(&m);
	buf_c(&m, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (int i = 0; i < 100000; i++)
		buf_c(&m, "--b\r\nContent-Type: image/png\r\n\r\nx\r\n");
	buf_c(&m, "--b\r\n\r\ntext");
	assert_int_equal(mail_text(buf_view(&m), false, &text, &subject, &e), -1);
	assert_string_equal(e.text, "the mail has no text in its first two hundred parts");
	buf_reset(&m);
	buf_c(&m, "\r\n");
	while (m.n < 3 << 20)
		buf_c(&m, "text ");
	assert_int_equal(mail_text(buf_view(&m), false, &text, &subject, &e), -1);
	assert_string_equal(e.text, "the mail's text/plain part: it has more than 1 MiB");
	buf_free(&m);
	buf_free(&text);
	buf_free(&subject);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(bombs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
