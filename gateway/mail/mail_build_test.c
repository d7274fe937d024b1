/* Mails as they are built: octet by octet where that is plain, and as GMime reads them, which is
 * another's reading of the same standards. With MAIL_OUT=FOLDER the mails are left there for other
 * readers (tests/check.d/44-mail.sh), each with what they must find in it.
 */
#include "gateway/mail/content.h"
#include "gateway/mail/mime_out.h"

#include <gmime/gmime.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "tests/mail_lines.h"

static const struct mail_conf conf = { .hostname = "mail.shop.example",
	.secret = "sixteen octets and more",
	.unsubscribe_url = "https://shop.example/u/",
	.unsubscribe_life = 60 * DUR_DAY };

struct given {
	const char *from, *name, *to, *subject, *text, *html, *attachments, *headers, *unsubscribe,
		*image, *url;
};

static struct message *message_of(const struct given *g, uint64_t id)
{
	const struct {
		enum field f;
		const char *v;
	} fields[] = { { FIELD_FROM, g->from ? g->from : "shop@shop.example" },
		{ FIELD_FROM_NAME, g->name }, { FIELD_TO, g->to ? g->to : "anna@example.com" },
		{ FIELD_SUBJECT, g->subject }, { FIELD_TEXT, g->text }, { FIELD_HTML, g->html },
		{ FIELD_ATTACHMENTS, g->attachments }, { FIELD_HEADERS, g->headers },
		{ FIELD_UNSUBSCRIBE, g->unsubscribe }, { FIELD_IMAGE, g->image },
		{ FIELD_URL, g->url } };
	struct draft d;

	draft_init(&d);
	d.head.media = MEDIA_EMAIL;
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (fields[i].v)
			draft_put(&d, fields[i].f, str_of(fields[i].v));
	struct message *m = draft_seal(&d);
	m->id = id;
	m->accepted = 1795000000 * DUR_S;
	draft_free(&d);
	return m;
}

static bool build(const struct given *g, struct buf *out, struct err *e)
{
	struct message *m = message_of(g, 42);
	struct err checked = { 0 };
	bool utf8, ok;

	*e = (struct err){ 0 };
	ok = mail_build(&conf, NULL, m, out, &utf8, e) == 0;
	/* The door and the builder are of one mind. */
	assert_int_equal(mail_check(m, &checked) == 0, ok);
	assert_string_equal(checked.text, e->text);
	if (ok)
		check_lines(buf_view(out), utf8);
	message_unref(&m);
	return ok;
}

static void simple(void **state)
{
	static const struct given g = { .subject = "Hello", .text = "Dear Anna,\nhi.\n" };
	struct buf out = BUF_INIT;
	struct err e;

	assert_true(build(&g, &out, &e));
	assert_string_equal(buf_cstr(&out), "Date: Wed, 18 Nov 2026 11:06:40 +0000\r\n"
					    "From: shop@shop.example\r\n"
					    "To: anna@example.com\r\n"
					    "Subject: Hello\r\n"
					    "Message-ID: <42@mail.shop.example>\r\n"
					    "MIME-Version: 1.0\r\n"
					    "Content-Type: text/plain; charset=utf-8\r\n"
					    "Content-Transfer-Encoding: 7bit\r\n\r\n"
					    "Dear Anna,\r\nhi.\r\n");
	buf_free(&out);
}

#define LONG_WORDS                                                                             \
	"a subject that is far longer than any line ought to be, so that it has to be folded " \
	"at one of its spaces, more than once, and still reads the same when it is unfolded"

/* What goes in, and which parts come out, in order. */
static const struct {
	struct given g;
	const char *parts;
} built[] = {
	{ { .text = "plain" }, "text/plain" },
	{ { .text = ""
		    "no end",
		  .subject = "Grüße aus Köln",
		  .name = "Käse & Söhne" },
		"text/plain" },
	{ { .html = "<p>Only <b>HTML</b></p>" }, "multipart/alternative text/plain text/html" },
	{ { .html = "<img src=x>" }, "text/html" },
	{ { .text = "Hej Anna, ditt paket är här.",
		  .html = "<p>Hej Anna, ditt paket är här.</p>",
		  .subject = "Ditt paket är här: åäö",
		  .name = "Affären" },
		"multipart/alternative text/plain text/html" },
	{ { .text = "Здравствуйте, Анна! Ваш заказ готов.",
		  .subject =
			  "Ваш заказ готов и ждёт вас в нашем магазине на улице Садовой, дом пять",
		  .name = "Магазин «Ромашка»" },
		"text/plain" },
	{ { .text = "x", .subject = LONG_WORDS, .name = "Shop, \"the\" best (of all)" },
		"text/plain" },
	{ { .text = "x", .subject = LONG_WORDS " – " LONG_WORDS }, "text/plain" },
	{ { .text = "x", .subject = "=?utf-8?Q?not_encoded?= by us" }, "text/plain" },
	{ { .text = "x", .subject = "two  spaces   and 日本語 and  more" }, "text/plain" },
	{ { .text = "x",
		  .subject = "日本語の件名はとても長いので何行にも折り返される必要がありますがそれ"
			     "でも同じに読めます" },
		"text/plain" },
	{ { .text = "x", .name = "=?utf-8?Q?x?=" }, "text/plain" },
	{ { .text = "From here\n.\n..\nFrom there \n-- \nsig=_x\n" }, "text/plain" },
	{ { .text = "a\rb\r\nc\nd\n\n\n" }, "text/plain" },
	{ { .text = "x", .to = "anna@räksmörgås.example", .from = "shop@магазин.example" },
		"text/plain" },
	{ { .text = "x", .to = "änna@example.com" }, "text/plain" },
	{ { .text = "x", .to = "\"anna b\"@example.com" }, "text/plain" },
	{ { .html = "<body class=a><img src=\"cid:logo\"> <p>Hi</p></body>",
		  .attachments = "[{\"name\":\"logo.png\",\"cid\":\"logo\",\"content\":"
				 "\"iVBORw0KGgo=\"}]" },
		"multipart/alternative text/plain multipart/related text/html image/png" },
	{ { .text = "t",
		  .html = "<img src='cid:logo@x'>",
		  .attachments =
			  "[{\"name\":\"räkning.pdf\",\"content\":\"JVBERi0xLjQK\"},"
			  "{\"type\":\"image/"
			  "gif\",\"cid\":\"logo@x\",\"inline\":true,\"content\":\"R0lGODlh\"}]" },
		"multipart/mixed multipart/alternative text/plain multipart/related text/html "
		"image/gif application/pdf" },
	{ { .text = "t",
		  .attachments = "[{\"name\":\"a.ics\",\"type\":\"text/calendar; method=REQUEST; "
				 "charset=utf-8\",\"content\":\"QkVHSU46VkNBTEVOREFS\"},"
				 "{\"name\":\"old.eml\",\"type\":\"message/"
				 "rfc822\",\"content\":\"RnJvbTogYQ0KDQo\"},"
				 "{\"content\":\"\"}]" },
		"multipart/mixed text/plain text/calendar message/rfc822 "
		"application/octet-stream" },
	{ { .text = "t",
		  .attachments = "[{\"name\":\"a very long name of a file with spaces and ümläüts "
				 "that goes on for ever and a day.docx\",\"content\":\"AA==\"}]" },
		"multipart/mixed text/plain "
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
	{ { .text = "t",
		  .html = "<img src=\"cid:pic\"> <a href='cid:pictures'>x</a>",
		  .attachments =
			  "[{\"url\":\"https://img.example/a.png?b=1&c=2\",\"cid\":\"pic\"},"
			  "{\"url\":\"https://shop.example/terms.pdf\",\"name\":\"Terms\"}]" },
		"multipart/alternative text/plain text/html" },
	{ { .text = "See", .image = "https://img.example/a.png", .url = "https://shop.example/x" },
		"multipart/alternative text/plain text/html" },
	{ { .text = "x",
		  .headers = "{\"Reply-To\":\"Käse <kaese@shop.example>, "
			     "b@röst.example\",\"X-Campaign\":\"våren\",\"X-Tag\":[\"a\",\"b\"],"
			     "\"References\":\"<a@b> <c@d>\"}" },
		"text/plain" },
	{ { .text = "x", .unsubscribe = "loyalty" }, "text/plain" },
};

static void walk(GMimeObject *parent, GMimeObject *part, gpointer to)
{
	GMimeContentType *t = g_mime_object_get_content_type(part);
	struct buf *b = to;

	buf_printf(b, "%s%s/%s", b->n ? " " : "", g_mime_content_type_get_media_type(t),
		g_mime_content_type_get_media_subtype(t));
}

static GMimeMessage *parse(struct str s)
{
	GMimeStream *stream = g_mime_stream_mem_new_with_buffer(s.p, s.n);
	GMimeParser *p = g_mime_parser_new_with_stream(stream);
	GMimeMessage *m = g_mime_parser_construct_message(p, NULL);

	g_object_unref(p);
	g_object_unref(stream);
	return m;
}

static void json_field(FILE *f, const char *key, const char *v)
{
	struct buf b = BUF_INIT;

	if (!v)
		return;
	buf_json(&b, str_of(v));
	fprintf(f, ",\n \"%s\": %s", key, buf_cstr(&b));
	buf_free(&b);
}

/* For tests/peers/mail.js: NAME.eml and NAME.json. */
static void leave(size_t i, struct str mail, const struct given *g, const char *parts)
{
	const char *dir = getenv("MAIL_OUT");
	char path[512];
	FILE *f;

	if (!dir)
		return;
	snprintf(path, sizeof path, "%s/built-%02zu.eml", dir, i);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(mail.p, 1, mail.n, f), mail.n);
	fclose(f);
	snprintf(path, sizeof path, "%s/built-%02zu.json", dir, i);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "{\"parts\": \"%s\"", parts);
	json_field(f, "from", g->from ? g->from : "shop@shop.example");
	json_field(f, "name", g->name);
	json_field(f, "to", g->to ? g->to : "anna@example.com");
	json_field(f, "subject", g->subject);
	json_field(f, "text", g->url ? NULL : g->text);
	json_field(f, "html", g->image ? NULL : g->html);
	json_field(f, "unsubscribe", g->unsubscribe);
	if (g->attachments)
		fprintf(f, ",\n \"attachments\": %s", g->attachments);
	if (g->headers)
		fprintf(f, ",\n \"headers\": %s", g->headers);
	fprintf(f, "}\n");
	fclose(f);
}

static void read_back(void **state)
{
	mail_gmime();
	for (size_t i = 0; i < sizeof built / sizeof built[0]; i++) {
		const struct given *g = &built[i].g;
		struct buf out = BUF_INIT, parts = BUF_INIT;
		InternetAddressList *from;
		GMimeMessage *m;
		struct err e;

		if (!build(g, &out, &e))
			fail_msg("%zu: %s", i, e.text);
		m = parse(buf_view(&out));
		assert_non_null(m);
		walk(NULL, g_mime_message_get_mime_part(m), &parts);
		if (GMIME_IS_MULTIPART(g_mime_message_get_mime_part(m)))
			g_mime_multipart_foreach(
				(GMimeMultipart *)g_mime_message_get_mime_part(m), walk, &parts);
		if (!str_is(buf_view(&parts), built[i].parts))
			fail_msg("%zu: parts are %s\n%s", i, buf_cstr(&parts), buf_cstr(&out));
		if (g->subject)
			assert_string_equal(g_mime_message_get_subject(m), g->subject);
		from = g_mime_message_get_from(m);
		assert_int_equal(internet_address_list_length(from), 1);
		if (g->name)
			assert_string_equal(internet_address_get_name(
						    internet_address_list_get_address(from, 0)),
				g->name);
		g_object_unref(m);
		leave(i, buf_view(&out), g, built[i].parts);
		buf_free(&out);
		buf_free(&parts);
	}
}

static const struct {
	struct given g;
	const char *says;
} refused[] = {
	{ { .text = NULL }, "/text: is missing (text or html)" },
	{ { .text = "x", .from = "nobody" }, "/from: email address \"nobody\": there is no @" },
	{ { .text = "x", .to = "a@b\r\nBcc: c@d" }, "/to: email address" },
	{ { .text = "x",
		  .to = "a@xn--a"
			"\xc3\xa4"
			".example" },
		"/to: the domain" },
	{ { .text = "x", .subject = "a\r\nBcc: b@c" }, "/subject: holds a line end" },
	{ { .text = "x", .subject = "a\nb" }, "/subject: holds a line end" },
	{ { .text = "x", .name = "a\rb" }, "/from_name: holds a line end" },
	{ { .text = "\xff" }, "/text: is not UTF-8" },
	{ { .html = "\xff" }, "/html: is not UTF-8" },
	{ { .text = "x", .headers = "[]" }, "/headers: must be an object" },
	{ { .text = "x", .headers = "{\"X\":1}" }, "/headers/X: must be a string" },
	{ { .text = "x", .headers = "{\"X\":[1]}" }, "/headers/X: must be a string" },
	{ { .text = "x", .headers = "{\"Subject\":\"x\"}" },
		"/headers/Subject: cannot be set here" },
	{ { .text = "x", .headers = "{\"content-type\":\"x\"}" }, "/headers/content-type: cannot" },
	{ { .text = "x", .headers = "{\"X: y\":\"x\"}" }, "/headers/X: y: a name takes" },
	{ { .text = "x", .headers = "{\"\":\"x\"}" }, "/headers/: a name takes" },
	{ { .text = "x", .headers = "{\"X-A\":\"a\\r\\nBcc: b@c\"}" },
		"/headers/X-A: holds a line end" },
	{ { .text = "x", .headers = "{\"X-A\":\"a\\nb\"}" }, "/headers/X-A: holds a line end" },
	{ { .text = "x", .headers = "{\"Reply-To\":\"x\"}" }, "/headers/Reply-To: " },
	{ { .text = "x", .headers = "{\"Reply-To\":\"\"}" }, "/headers/Reply-To: has no address" },
	{ { .text = "x", .headers = "{\"List-Unsubscribe\":\"<x>\"}", .unsubscribe = "*" },
		"/headers/List-Unsubscribe: comes from `unsubscribe`" },
	{ { .text = "x", .attachments = "{" }, "/attachments: is not JSON" },
	{ { .text = "x", .attachments = "{}" }, "/attachments: must be a list" },
	{ { .text = "x", .attachments = "[1]" }, "/attachments/0: must be an object" },
	{ { .text = "x", .attachments = "[{}]" }, "/attachments/0: has neither content nor url" },
	{ { .text = "x", .attachments = "[{\"content\":\"AAAA\"},{\"content\":\"A\"}]" },
		"/attachments/1/content: is not base64 at place 1" },
	{ { .text = "x", .attachments = "[{\"content\":\"AAA!\"}]" },
		"/attachments/0/content: is not base64 at place 4" },
	{ { .text = "x", .attachments = "[{\"content\":\"AA=A\"}]" },
		"/attachments/0/content: is not base64 at place 4" },
	{ { .text = "x", .attachments = "[{\"content\":\"AB==\"}]" },
		"/attachments/0/content: is not base64" },
	{ { .text = "x", .attachments = "[{\"content\":\"AA=\"}]" },
		"/attachments/0/content: is not base64" },
	{ { .text = "x", .attachments = "[{\"content\":\"\",\"nmae\":\"x\"}]" },
		"/attachments/0/nmae: is not known" },
	{ { .text = "x", .attachments = "[{\"content\":\"\",\"name\":\"../x\"}]" },
		"/attachments/0/name: is a name" },
	{ { .text = "x", .attachments = "[{\"content\":\"\",\"name\":\"a\\nb\"}]" },
		"/attachments/0/name: holds control" },
	{ { .text = "x", .attachments = "[{\"content\":\"\",\"type\":\"x\"}]" },
		"/attachments/0/type: is not of the form" },
	{ { .text = "x", .attachments = "[{\"content\":\"\",\"type\":\"a/b\\r\\nX: y\"}]" },
		"/attachments/0/type: holds char" },
	{ { .text = "x", .attachments = "[{\"content\":\"\",\"type\":\"multipart/mixed\"}]" },
		"/attachments/0/type: cannot be multipart" },
	{ { .text = "x", .attachments = "[{\"content\":\"\",\"cid\":\"a>b\"}]" },
		"/attachments/0/cid: takes" },
	{ { .text = "x",
		  .attachments =
			  "[{\"content\":\"\",\"cid\":\"a\"},{\"content\":\"\",\"cid\":\"a\"}]" },
		"/attachments/1/cid: is another" },
	{ { .text = "x", .attachments = "[{\"url\":\"ftp://x\"}]" },
		"/attachments/0/url: must be an http(s) URL" },
	{ { .text = "x", .attachments = "[{\"url\":\"https://x\",\"inline\":true}]" },
		"/attachments/0/url: cannot be inline" },
	{ { .text = "x", .attachments = "[{\"url\":\"https://x\",\"content\":\"\",\"inline\":1}]" },
		"/attachments/0/inline: must be" },
};

static void refusals(void **state)
{
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		struct buf out = BUF_INIT;
		struct err e;

		if (build(&refused[i].g, &out, &e))
			fail_msg("%zu: %s is taken", i, refused[i].says);
		assert_int_equal(out.n, 0);
		if (!str_starts(str_of(e.text), str_of(refused[i].says)))
			fail_msg("%zu: \"%s\", not \"%s\"", i, e.text, refused[i].says);
		buf_free(&out);
	}
}

/* What a header field of theirs could do at worst, were it not refused. */
static void no_injection(void **state)
{
	struct buf b = BUF_INIT;

	mime_text_field(&b, "Subject", STR("a\r\nBcc: x@y\r\n\r\nbody"));
	assert_string_equal(buf_cstr(&b), "Subject: a  Bcc: x@y    body\r\n");
	buf_reset(&b);
	mime_address_field(&b, "From", STR("a\r\nBcc: x"), STR("a@b"));
	assert_string_equal(buf_cstr(&b), "From: \"a  Bcc: x\" <a@b>\r\n");
	buf_reset(&b);
	mime_text_field(&b, "Subject", STR("\xc3\xa4\r\nBcc: x"));
	assert_string_equal(buf_cstr(&b), "Subject: =?utf-8?B?w6Q=?=  Bcc: x\r\n");
	buf_free(&b);
}

static void urls_and_links(void **state)
{
	static const struct given g = { .text = "t",
		.html = "<body><img src=\"cid:pic\"></body>",
		.attachments = "[{\"url\":\"https://img.example/a?b=1&c=2\",\"cid\":\"pic\"},"
			       "{\"url\":\"https://shop.example/t.pdf\",\"name\":\"Terms\"}]",
		.image = "https://img.example/i.png",
		.url = "https://shop.example/x" };
	static const char *const there[] = {
		"<body><p><img src=3D\"https://img.example/i.png\" alt=3D\"\"></p>",
		"<img src=3D\"https://img.example/a?b=3D1&amp;c=3D2\">",
		"<p><a href=3D\"https://shop.example/t.pdf\">Terms</a></p>",
		"Terms: https://shop.example/t.pdf\r\n", "\r\n\r\nhttps://shop.example/x\r\n"
	};
	struct buf out = BUF_INIT;
	struct err e;

	assert_true(build(&g, &out, &e));
	for (size_t i = 0; i < sizeof there / sizeof there[0]; i++)
		if (str_find(buf_view(&out), str_of(there[i])) < 0)
			fail_msg("no %s in\n%s", there[i], buf_cstr(&out));
	assert_true(str_find(buf_view(&out), STR("cid:")) < 0);
	buf_free(&out);
}

static void unsubscribing(void **state)
{
	static const struct given g = { .text = "x", .unsubscribe = "*" };
	struct mail_conf c = conf;
	struct message *m = message_of(&g, 7);
	struct buf out = BUF_INIT;
	struct mail_unsubscribe u;
	ptrdiff_t at;
	struct str token;
	bool utf8;

	assert_int_equal(mail_build(&c, NULL, m, &out, &utf8, NULL), 0);
	at = str_find(buf_view(&out), STR("\r\nList-Unsubscribe: <https://shop.example/u/"));
	assert_true(at > 0);
	token = str_skip(buf_view(&out), (size_t)at + 44);
	token.n = (size_t)str_index(token, '>');
	assert_int_equal(mail_unsubscribe_check(&c, token, m->accepted, &u), MAIL_TOKEN_GOOD);
	assert_string_equal(u.row, "");
	assert_string_equal(u.address, "anna@example.com");
	assert_true(u.msg == 7);
	assert_true(str_find(buf_view(&out),
			    STR("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")) > 0);

	buf_reset(&out);
	c.unsubscribe_url = "http://shop.example/u/";
	assert_int_equal(mail_build(&c, NULL, m, &out, &utf8, NULL), 0);
	assert_true(str_find(buf_view(&out), STR("List-Unsubscribe-Post")) < 0);
	buf_reset(&out);
	c.secret = NULL;
	assert_int_equal(mail_build(&c, NULL, m, &out, &utf8, NULL), 0);
	assert_true(str_find(buf_view(&out), STR("List-Unsubscribe")) < 0);
	buf_free(&out);
	message_unref(&m);
}

static void senders(void **state)
{
	static const struct given nobody = { .text = "x", .from = "" };
	struct mail_conf c = conf;
	struct message *m = message_of(&nobody, 1);
	struct buf out = BUF_INIT;
	struct err e;
	bool utf8;

	assert_int_equal(mail_build(&c, NULL, m, &out, &utf8, &e), -1);
	assert_string_equal(e.text, "/from: is missing");
	c.sender = "no-reply@shop.example";
	assert_int_equal(mail_build(&c, NULL, m, &out, &utf8, &e), 0);
	assert_true(str_find(buf_view(&out), STR("\r\nFrom: no-reply@shop.example\r\n")) > 0);
	buf_free(&out);
	message_unref(&m);
}

static void same_octets(void **state)
{
	const struct given *g = &built[18].g;
	struct message *m = message_of(g, 99), *other = message_of(g, 100);
	struct buf a = BUF_INIT, b = BUF_INIT;
	bool utf8;

	assert_int_equal(mail_build(&conf, NULL, m, &a, &utf8, NULL), 0);
	assert_int_equal(mail_build(&conf, NULL, m, &b, &utf8, NULL), 0);
	assert_true(str_eq(buf_view(&a), buf_view(&b)));
	buf_reset(&b);
	assert_int_equal(mail_build(&conf, NULL, other, &b, &utf8, NULL), 0);
	assert_false(str_eq(buf_view(&a), buf_view(&b)));
	buf_free(&a);
	buf_free(&b);
	message_unref(&m);
	message_unref(&other);
}

static void smtputf8(void **state)
{
	static const struct {
		struct given g;
		bool utf8;
	} cases[] = {
		{ { .text = "ä", .subject = "ä", .name = "ä" }, false },
		{ { .text = "x", .to = "anna@äpple.example" }, false },
		{ { .text = "x", .to = "änna@example.com" }, true },
		{ { .text = "x", .from = "affär@example.com" }, true },
		{ { .text = "x", .headers = "{\"Reply-To\":\"affär@example.com\"}" }, true },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct message *m = message_of(&cases[i].g, 1);
		struct buf out = BUF_INIT;
		struct err e;
		bool utf8;

		if (mail_build(&conf, NULL, m, &out, &utf8, &e))
			fail_msg("%zu: %s", i, e.text);
		assert_int_equal(utf8, cases[i].utf8);
		if (i == 1)
			assert_true(str_find(buf_view(&out), STR("anna@xn--pple-koa.example")) > 0);
		buf_free(&out);
		message_unref(&m);
	}
}

/* Not a limit for a busy machine, only a word against something a hundred times as slow. */
static void quick(void **state)
{
	struct given g = { .subject = "Ditt paket är här", .name = "Affären" };
	struct buf text = BUF_INIT, html = BUF_INIT, out = BUF_INIT;
	struct timespec a, b;
	struct message *m;
	enum { TIMES = 2000 };
	double us;
	bool utf8;

	for (int i = 0; i < 20; i++) {
		buf_c(&text, "Hej Anna, ditt paket är här och väntar på dig idag.\n");
		buf_c(&html, "<p>Hej Anna, ditt paket <b>är här</b> och väntar på dig.</p>\n");
	}
	g.text = buf_cstr(&text);
	g.html = buf_cstr(&html);
	m = message_of(&g, 5);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (int i = 0; i < TIMES; i++) {
		buf_reset(&out);
		assert_int_equal(mail_build(&conf, NULL, m, &out, &utf8, NULL), 0);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	us = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 1e3 / TIMES;
	print_message("%zu octets, %.1f us of processor each\n", out.n, us);
	assert_true(us < 2000);
	message_unref(&m);
	buf_free(&text);
	buf_free(&html);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(simple),
		cmocka_unit_test(read_back),
		cmocka_unit_test(refusals),
		cmocka_unit_test(no_injection),
		cmocka_unit_test(urls_and_links),
		cmocka_unit_test(unsubscribing),
		cmocka_unit_test(senders),
		cmocka_unit_test(same_octets),
		cmocka_unit_test(smtputf8),
		cmocka_unit_test(quick),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
