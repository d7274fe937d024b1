/* Mails whose attachments stand in the spool: read in pieces they are the same, octet for octet, as
 * when all is in memory. And mails as attachments, which go as they are. */
#include "gateway/base/mem.h"
#include "gateway/mail/pieces.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static const struct mail_conf conf = { .hostname = "mail.shop.example" };
static char dir[] = "/tmp/postern-pieces-XXXXXX";
static struct spool *spool;

/* attachments: what the message says; file: what the spool has, NULL: nothing. */
static struct message *message_of(const char *html, const char *attachments, struct str file)
{
	struct message *m;
	struct draft d;

	draft_init(&d);
	d.head.media = MEDIA_EMAIL;
	draft_put(&d, FIELD_FROM, STR("shop@shop.example"));
	draft_put(&d, FIELD_TO, STR("anna@example.com"));
	draft_put(&d, FIELD_TEXT, STR("text"));
	if (html)
		draft_put(&d, FIELD_HTML, str_of(html));
	draft_put(&d, FIELD_ATTACHMENTS, str_of(attachments));
	if (file.n) {
		struct spool_writer *w;
		char name[SPOOL_NAME], value[100];
		struct err e;

		w = spool_begin(spool, &e);
		assert_non_null(w);
		assert_int_equal(spool_write(w, file.p, file.n, &e), 0);
		assert_int_equal(spool_finish(&w, name, &e), 0);
		snprintf(value, sizeof value, "attachments:%s:%zu", name, file.n);
		draft_put(&d, FIELD_SPOOL, str_of(value));
	}
	m = draft_seal(&d);
	m->id = 42;
	m->accepted = 1795000000 * DUR_S;
	draft_free(&d);
	return m;
}

static void in_memory(const char *html, const char *attachments, bool seven, struct buf *out)
{
	struct message *m = message_of(html, attachments, STR_NONE);
	struct mail_pieces *p;
	bool utf8;
	struct err e;

	if (mail_make(&conf, NULL, m, seven, out, &p, &utf8, &e) != 0)
		fail_msg("%s", e.text);
	assert_null(p);
	message_unref(&m);
}

static void is_same(struct mail_pieces *p, size_t most, struct str want)
{
	struct buf got = BUF_INIT;
	struct err e;
	size_t n;

	mail_pieces_rewind(p);
	do {
		n = got.n;
		if (mail_pieces_read(p, most, &got, &e) != 0)
			fail_msg("%s", e.text);
		assert_true(got.n - n <= most); /* chunks depend on it */
	} while (got.n > n);
	assert_int_equal(got.n, want.n);
	assert_memory_equal(got.p, want.p, want.n);
	buf_free(&got);
}

/* bare: the list as the message has it, its long contents "". */
static void same(const char *html, const char *full, const char *bare, bool seven)
{
	struct message *m = message_of(html, bare, str_of(full));
	struct buf want = BUF_INIT, out = BUF_INIT;
	struct mail_pieces *p;
	bool utf8;
	struct err e;

	in_memory(html, full, seven, &want);
	if (mail_make(&conf, spool, m, seven, &out, &p, &utf8, &e) != 0)
		fail_msg("%s", e.text);
	assert_non_null(p);
	assert_int_equal(out.n, 0);
	assert_int_equal(mail_pieces_size(p), want.n);
	for (size_t most = 1; most < want.n * 10; most *= 13)
		is_same(p, most, buf_view(&want));
	mail_pieces_free(&p);
	assert_int_equal(mail_build(&conf, spool, m, &out, &utf8, &e), 0);
	if (!seven)
		assert_true(str_eq(buf_view(&out), buf_view(&want)));
	message_unref(&m);
	buf_free(&want);
	buf_free(&out);
}

static void test_ways_to_write_them(void **state)
{
	same(NULL, "[{\"name\":\"a\",\"content\":\"AAECAw==\"}]",
		"[{\"name\":\"a\",\"content\":\"\"}]", false);
	/* escapes, blanks, the other alphabet, no padding, the other key, a key in escapes */
	same("<img src=\"cid:x\">",
		" [ {\"content\" : \"-_\\/+\\u0041\\n \\r\\n\\tA\\u002bCCCCC\" , \"cid\":\"x\"} ,"
		"{\"url\":\"https://shop.example/\",\"name\":\"content\"},"
		"{\"type\":\"image/png\",\"d\\u0061ta\":\"AAA\"},{\"content\":null},"
		"{\"content\":\"\"},{\"data\":\"AAAA\",\"name\":\"\\\"data\\\":\"}]",
		"[{\"content\":\"\",\"cid\":\"x\"},{\"url\":\"https://shop.example/\",\"name\":"
		"\"content\"},{\"type\":\"image/png\",\"data\":\"\"},{\"content\":null},"
		"{\"content\":\"\"},{\"data\":\"\",\"name\":\"\\\"data\\\":\"}]",
		false);
}

static void put_base64(struct buf *b, const char *octets, size_t n)
{
	unsigned char *t = mem_alloc(n / 3 * 4 + 8);

	buf_add(b, t, (size_t)EVP_EncodeBlock(t, (const unsigned char *)octets, (int)n));
	mem_free(&t);
}

/* Over the edges of lines and blocks. */
static void test_sizes(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 56, 57, 58, 113, 114, 115, 49149, 49150, 49151,
		49152, 49153, 98304, 100000, 300001 };
	char *octets = mem_alloc(300001);

	for (size_t i = 0; i < 300001; i++)
		octets[i] = (char)(i * 7 + i / 251);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct buf full = BUF_INIT;

		buf_c(&full, "[{\"name\":\"a\",\"content\":\"");
		put_base64(&full, octets, sizes[i]);
		buf_c(&full, "\"},{\"name\":\"b\",\"content\":\"");
		put_base64(&full, octets + 1, sizes[i] - 1);
		buf_c(&full, "\"}]");
		same(NULL, buf_cstr(&full),
			"[{\"name\":\"a\",\"content\":\"\"},{\"name\":\"b\",\"content\":\"\"}]",
			false);
		buf_free(&full);
	}
	mem_free(&octets);
}

/* A file that is not the message's: said so, and nothing made of it. */
static void test_damaged(void **state)
{
	static const char *const files[] = { "[", "[{\"content\":\"AA", "[]",
		"[{\"content\":\"AAAA\"},{\"content\":\"AAAA\"}]", "[{\"content\":\"A\"}]",
		"[{\"content\":\"A!AA\"}]", "[{\"content\":\"\\u00e9AAA\"}]",
		"[[\"content\":\"AAAA\"]]", "xxxxxxxxx" };
	struct mail_pieces *p;
	bool utf8;

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct message *m = message_of(NULL, "[{\"content\":\"\"}]", str_of(files[i]));
		struct buf out = BUF_INIT;
		struct err e = { 0 };

		if (mail_make(&conf, spool, m, false, &out, &p, &utf8, &e) == 0)
			fail_msg("%zu is taken", i);
		assert_true(str_starts(str_of(e.text), STR("/attachments")));
		assert_int_equal(e.kind, ERR_INPUT);
		assert_null(p);
		assert_int_equal(out.n, 0);
		message_unref(&m);
	}
}

/* ---- mails as attachments (RFC 2046 §5.2.1) ---- */

static void lists_of(
	const char *type, const char *octets, size_t n, struct buf *full, struct buf *bare)
{
	buf_printf(full, "[{\"name\":\"old.eml\",\"type\":\"%s\",\"content\":\"", type);
	put_base64(full, octets, n);
	buf_c(full, "\"}]");
	buf_printf(bare, "[{\"name\":\"old.eml\",\"type\":\"%s\",\"content\":\"\"}]", type);
}

static void test_mails_as_attachments(void **state)
{
	char line[1100];
	struct buf wide = BUF_INIT, narrow = BUF_INIT;

	memset(line, 'x', sizeof line);
	buf_c(&wide, "Subject: x\r\n\r\n");
	buf_add(&wide, line, 999);
	buf_c(&narrow, "Subject: x\r\n\r\n");
	buf_add(&narrow, line, 998);
	const struct {
		const char *type, *octets;
		size_t n;
		bool seven;
		const char *says, *has;
	} cases[] = {
#define MAIL(s) s, sizeof s - 1
		{ "message/rfc822", MAIL("Subject: x\r\n\r\nHello\r\n"), false,
			"message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n",
			"\r\n\r\nSubject: x\r\n\r\nHello\r\n\r\n--=_" },
		{ "Message/RFC822; x=y", MAIL("Subject: x\n\n\nHello\n."), true,
			"Message/RFC822; x=y\r\nContent-Transfer-Encoding: 7bit\r\n",
			"\r\n\r\nSubject: x\r\n\r\n\r\nHello\r\n.\r\n--=_" },
		{ " message/rfc822 ", MAIL("Subject: x\r\n\r\na\rb"), false,
			"application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n",
			"old.eml" },
		{ "message/rfc822", MAIL("Subject: x\r\n\r\ncaf\xc3\xa9"), false,
			"message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n",
			"caf\xc3\xa9\r\n--=_" },
		{ "message/rfc822", MAIL("Subject: x\r\n\r\ncaf\xc3\xa9"), true,
			"application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n",
			"old.eml" },
		{ "message/rfc822", MAIL("Subject: x\r\n\r\na\rb"), false,
			"application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n",
			"old.eml" },
		{ "message/rfc822", MAIL("Subject: x\r\n\r\na\0b"), false,
			"application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n",
			"old.eml" },
		{ "message/rfc822", wide.p, wide.n, false,
			"application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n",
			"old.eml" },
		{ "message/rfc822", narrow.p, narrow.n, false,
			"message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n", "xxx\r\n--=_" },
		{ "message/delivery-status", MAIL("Reporting-MTA: dns; x\r\n"), false,
			"message/delivery-status\r\nContent-Transfer-Encoding: 7bit\r\n",
			"dns; x\r\n\r\n--=_" },
		{ "message/delivery-status", MAIL("Reporting-MTA: dns; \xc3\xa9\r\n"), false,
			"application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n",
			"old.eml" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf full = BUF_INIT, bare = BUF_INIT, out = BUF_INIT;
		bool eight = strstr(cases[i].says, "8bit") != NULL;
		ptrdiff_t body;

		lists_of(cases[i].type, cases[i].octets, cases[i].n, &full, &bare);
		same(NULL, buf_cstr(&full), buf_cstr(&bare), cases[i].seven);
		in_memory(NULL, buf_cstr(&full), cases[i].seven, &out);
		if (str_find(buf_view(&out), str_of(cases[i].says)) < 0 ||
			str_find(buf_view(&out), str_of(cases[i].has)) < 0)
			fail_msg("%zu:\n%s", i, buf_cstr(&out));
		/* What holds 8 bits says so itself (RFC 2045 §6.4). */
		body = str_find(buf_view(&out), STR("\r\n\r\n"));
		assert_int_equal(eight, str_find(str_n(out.p, (size_t)body),
						STR("Content-Transfer-Encoding: 8bit")) > 0);
		buf_free(&full);
		buf_free(&bare);
		buf_free(&out);
	}
	buf_free(&wide);
	buf_free(&narrow);
}

/* ---- mails in files, made 7-bit ---- */

static void test_files_to_7bit(void **state)
{
	static const char *const mails[] = {
		"Subject: x\r\n\r\nplain\r\n",
		"Content-Type: text/plain; charset=utf-8\r\n\r\n.caf\xc3\xa9 and a text that goes "
		"on "
		"= \r\n\r\nFrom here",
		"A: b\r\n\r\n\xc3\xa9\xc3\xa9\xc3\xa9\r\n",
		"Content-Type: image/png\r\n\r\n\x89PNG\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\nplain\r\n--b"
		"\r\n\r\na word and \xe9\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nA: b"
		"\r\n\r\nwords and \xe9\r\n--b\r\nContent-Type: application/x\r\n\r\n\xe9"
		"\r\n--b--\r\nepi\r\n",
	};

	for (size_t i = 0; i < 2 * sizeof mails / sizeof *mails; i++) {
		struct buf mail = BUF_INIT, want = BUF_INIT;
		FILE *f = tmpfile();
		struct mail_pieces *p;
		struct err e;

		buf_c(&mail, mails[i / 2]);
		for (int k = 0; i % 2 && k < 20000; k++) /* over blocks */
			buf_printf(&mail, "line %d \r\n%s", k, k % 7 ? "" : "end: 3");
		assert_int_equal(fwrite(mail.p, 1, mail.n, f), mail.n);
		fflush(f);
		assert_int_equal(mail_to_7bit(buf_view(&mail), false, &want, &e), 0);
		p = mail_file_to_7bit(dup(fileno(f)), mail.n, false, &e);
		if (!p)
			fail_msg("%zu: %s", i, e.text);
		assert_int_equal(mail_pieces_size(p), want.n);
		assert_false(mail_pieces_8bit(p));
		is_same(p, 4711, buf_view(&want));
		is_same(p, SIZE_MAX, buf_view(&want));
		if (want.n < 2000)
			is_same(p, 1, buf_view(&want));
		mail_pieces_free(&p);
		/* It is shorter than it was. */
		assert_null(mail_file_to_7bit(fileno(f), mail.n + 1, false, &e));
		assert_int_equal(e.kind, ERR_ENV);
		fclose(f);
		buf_free(&mail);
		buf_free(&want);
	}
}

static int set_up(void **state)
{
	struct err e;

	assert_non_null(mkdtemp(dir));
	spool = spool_open(dir, &e);
	return spool ? 0 : -1;
}

static int tear_down(void **state)
{
	char cmd[64];

	spool_close(&spool);
	snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways_to_write_them),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_mails_as_attachments),
		cmocka_unit_test(test_files_to_7bit),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
