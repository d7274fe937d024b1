/* What becomes of mails that the SMTP server took: many recipients, large ones, some refused, the
 * same again, gateways by address, reports in both directions. */
#include "tests/smtp_server.h"
#include "gateway/mail/report.h"

#include <dirent.h>
#include <openssl/sha.h>

#define LISTENER(accounts, more)                                                          \
	"{ name = \"submission\"; type = \"smtp\"; listen = \"127.0.0.1:0\"; accounts = " \
	"( " accounts " ); " more " }"
#define TRUSTED "{ user = \"crm\"; password = \"secret\"; trust = [ \"127.0.0.1\" ]; "
#define GATEWAYS                                                                          \
	"gateways = ( { domain = \"sms.gw.example\"; parts_most = 2; from = \"Shop\"; }," \
	" { domain = \"titled.gw.example\"; subject = \"prefix\"; signature = true; } );" \
	" bounce_other = \"post@x.example\"; bounce_account = \"crm\";"

static int begin(void **state)
{
	fx_begin(LISTENER(TRUSTED "}", GATEWAYS));
	return 0;
}

static int end(void **state)
{
	fx_end();
	return 0;
}

static unsigned files_in_spool(void)
{
	char path[128];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof path, "%s/spool", fx.dir);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.' && strlen(e->d_name) > 8;
	closedir(d);
	return n;
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* ---- many recipients ---- */

static void test_many(void **state)
{
	struct client c = greeted();
	char line[200];

	ask(&c, "MAIL FROM:<a@shop.example>", "250 2.1.0");
	for (int i = 0; i < 900; i++) {
		snprintf(line, sizeof line, "RCPT TO:<r%d@x.example>", i);
		ask(&c, line, "250 2.1.5");
	}
	ask(&c, "DATA", "354 ");
	say(&c, "Subject: x\r\n\r\n");
	for (int i = 0; i < 200; i++)
		say(&c, "a line of some length, so that not all of them fit into memory\r\n");
	ask(&c, ".", "250 2.0.0 accepted as ");
	assert_non_null(strstr(c.reply, " and 892 more"));
	quit(&c);
}

/* Who is named twice gets it once. */
static void test_twice(void **state)
{
	struct client c = greeted();

	envelope(&c, "a@shop.example", "b@x.example");
	ask(&c, "RCPT TO:<b@X.example>", "250 2.1.5");
	ask(&c, "RCPT TO:<B@x.example>", "250 2.1.5"); /* perhaps somebody else */
	ask(&c, "DATA", "354 ");
	ask(&c, "Subject: x\r\n\r\nx\r\n.", "250 2.0.0 accepted as ");
	assert_true(strchr(strstr(c.reply, "accepted as ") + 12, ' ') ==
		    strrchr(c.reply, ' ')); /* two ids */
	quit(&c);
}

/* ---- large mails ---- */

static void send_large(struct client *c, size_t size, SHA256_CTX *sum)
{
	char block[76 * 100], *at = block;
	size_t sent = 0;

	for (int i = 0; i < 100; i++, at += 76) {
		memset(at, i % 10 ? 'a' + i % 26 : '.', 74);
		memcpy(at + 74, "\r\n", 2);
	}
	say(c, "Subject: large\r\nDate: x\r\nMessage-ID: <l@x>\r\n\r\n");
	for (; sent < size; sent += 76) {
		size_t i = sent / 76 % 100;

		if (i % 10 == 0)
			say(c, ".");
		say_n(c, block + i * 76, 76);
		SHA256_Update(sum, block + i * 76, 76);
	}
}

static void test_large(void **state)
{
	static const size_t sizes[] = { 20000, 33000, 256 * 1024, 300000, 3000000, 25000000 };
	struct spool_ref ref;
	unsigned files = 0;

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct client c = greeted();
		unsigned char want[32], got[32];
		struct message *m;
		char path[256];
		struct buf b = BUF_INIT;
		struct str octets;
		ptrdiff_t at;
		SHA256_CTX sum;
		FILE *f;

		SHA256_Init(&sum);
		ask(&c, "MAIL FROM:<a@shop.example>", "250 2.1.0");
		ask(&c, "RCPT TO:<b@x.example>", "250 2.1.5");
		ask(&c, "RCPT TO:<c@x.example>", "250 2.1.5");
		ask(&c, "DATA", "354 ");
		send_large(&c, sizes[i], &sum);
		ask(&c, ".", "250 2.0.0 accepted as ");
		SHA256_Final(want, &sum);
		m = fx_message(id_of(&c));
		octets = message_get(m, FIELD_OCTETS);
		if (sizes[i] > 32768) {
			files++;
			assert_false(message_has(m, FIELD_OCTETS));
			assert_true(spool_ref_parse(message_get(m, FIELD_SPOOL), &ref));
			assert_true(str_is(ref.field, "octets"));
			snprintf(path, sizeof path, "%s/spool/%.*s", fx.dir, STR_ARG(ref.name));
			f = fopen(path, "r");
			assert_non_null(f);
			buf_reserve(&b, ref.size + 1);
			b.n = fread(b.p, 1, ref.size + 1, f);
			fclose(f);
			assert_int_equal(b.n, ref.size);
			octets = buf_view(&b);
		}
		assert_true(str_starts(octets, STR("Received: from me.example")));
		at = str_find(octets, STR("\r\n\r\n"));
		assert_true(at > 0);
		octets = str_skip(octets, (size_t)at + 4);
		SHA256((const unsigned char *)octets.p, octets.n, got);
		assert_memory_equal(want, got, 32);
		assert_int_equal(files_in_spool(), files); /* one for both recipients */
		message_unref(&m);
		buf_free(&b);
		quit(&c);
	}
}

/* What is given up leaves nothing. */
static void test_large_abandoned(void **state)
{
	struct client c = greeted();
	SHA256_CTX sum;

	SHA256_Init(&sum);
	ask(&c, "MAIL FROM:<a@shop.example>", "250 2.1.0");
	ask(&c, "RCPT TO:<b@x.example>", "250 2.1.5");
	ask(&c, "DATA", "354 ");
	send_large(&c, 1000000, &sum);
	hang_up(&c);
	c = greeted();
	envelope(&c, "a@shop.example", "b@x.example");
	ask(&c, "DATA", "354 ");
	send_large(&c, 27000000, &sum);
	ask(&c, ".", "552 5.3.4");
	ask(&c, "NOOP", "250 2.0.0");
	for (int i = 0; i < 400 && files_in_spool(); i++)
		usleep(5000);
	assert_int_equal(files_in_spool(), 0);
	quit(&c);
}

/* The octet that fills a block is a chunk's last, and what is in it is refused: the block is being
 * written all the same. */
static void test_large_chunk_refused(void **state)
{
	static const unsigned sizes[] = { 262144 - 200, 262144, 300000, 524288 };
	char *text = mem_alloc(524288 + 1), line[64];

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct client c = greeted();

		memset(text, 'x', sizes[i]);
		for (size_t k = 0; k + 70 < sizes[i]; k += 70)
			memcpy(text + k, "\r\n", 2);
		text[sizes[i] / 2] = '\0';
		envelope(&c, "a@shop.example", "b@x.example");
		snprintf(line, sizeof line, "BDAT %u\r\n", sizes[i]);
		say(&c, line);
		say_n(&c, text, sizes[i]);
		expect(&c, "554 5.6.0 a NUL");
		ask(&c, "BDAT 0 LAST", "503 5.5.1");
		envelope(&c, "a@shop.example", "b@x.example");
		ask(&c, "DATA", "354 ");
		ask(&c, "Subject: x\r\n\r\nx\r\n.", "250 2.0.0 accepted as ");
		quit(&c);
	}
	mem_free(&text);
}

/* ---- the same again ---- */

#define KEYED(body)                                                                                \
	"Postern-Idempotency-Key: order-1\r\nSubject: x\r\nFrom: a@shop.example\r\n\r\n" body "\r" \
	"\n"

static void test_key(void **state)
{
	struct client c = greeted(), again = greeted();
	struct message *m;
	uint64_t id = send_mail(&c, "a@shop.example", "b@x.example", KEYED("one"));

	assert_true(id != 0);
	fx_wait(2 * DUR_S); /* another date in Received */
	assert_int_equal(send_mail(&again, "a@shop.example", "b@x.example", KEYED("one")), id);
	m = fx_message(id);
	assert_true(str_find(message_get(m, FIELD_OCTETS), STR("Idempotency")) < 0);
	assert_true(str_find(message_get(m, FIELD_OCTETS), STR("\r\nSubject: x\r\n")) > 0);
	message_unref(&m);
	assert_true(send_mail(&again, "a@shop.example", "c@x.example", KEYED("one")) != id);
	envelope(&c, "a@shop.example", "b@x.example");
	ask(&c, "DATA", "354 ");
	say(&c, KEYED("two"));
	ask(&c, ".", "554 5.5.0");
	envelope(&c, "a@shop.example", "b@x.example");
	ask(&c, "DATA", "354 ");
	say(&c, "Postern-Idempotency-Key: a b\r\n\r\nx\r\n");
	ask(&c, ".", "554 5.6.0");
	quit(&c);
	quit(&again);
}

static void test_key_large(void **state)
{
	struct client c = greeted();
	uint64_t id = 0;

	for (int i = 0; i < 2; i++) {
		envelope(&c, "a@shop.example", "b@x.example");
		ask(&c, "DATA", "354 ");
		say(&c, "Postern-Idempotency-Key: big\r\n\r\n");
		for (int n = 0; n < 9000; n++)
			say(&c, "seventy octets of text or so, for it has to be longer than the "
				"limit\r\n");
		ask(&c, ".", "250 2.0.0 accepted as ");
		assert_true(i == 0 || id_of(&c) == id);
		id = id_of(&c);
		fx_wait(2 * DUR_S);
	}
	for (int i = 0; i < 400 && files_in_spool() != 1; i++)
		usleep(5000);
	assert_int_equal(files_in_spool(), 1);
	quit(&c);
}

/* ---- some are taken, some not ---- */

static void test_partly(void **state)
{
	struct client a, b;
	uint64_t first;

	fx_end();
	fx_begin(LISTENER(TRUSTED "rate = 2.0; }", ""));
	a = greeted();
	b = greeted();
	fx_wait(5 * DUR_S);
	ask(&a, "MAIL FROM:<a@shop.example>", "250 2.1.0");
	ask(&a, "RCPT TO:<b@x.example>", "250 2.1.5");
	ask(&a, "RCPT TO:<c@x.example>", "250 2.1.5");
	ask(&a, "RCPT TO:<d@x.example>", "451 4.7.1");
	ask(&a, "DATA", "354 ");
	say(&a, "Subject: x\r\n\r\nx\r\n");
	usleep(50000);
	first = send_mail(&b, "a@shop.example", "e@x.example", "y\r\n");
	assert_true(first != 0);
	ask(&a, ".", "451 4.7.1");
	assert_non_null(strstr(a.reply, "(1 of 2 recipients were taken)"));
	/* the same mail again: who has it does not get it twice */
	fx_wait(5 * DUR_S);
	ask(&a, "MAIL FROM:<a@shop.example>", "250 2.1.0");
	ask(&a, "RCPT TO:<b@x.example>", "250 2.1.5");
	ask(&a, "RCPT TO:<c@x.example>", "250 2.1.5");
	ask(&a, "DATA", "354 ");
	say(&a, "Subject: x\r\n\r\nx\r\n");
	ask(&a, ".", "250 2.0.0 accepted as ");
	{
		uint64_t accepted = 0;

		assert_true(stat_lookup(
			"postern_account_accepted_total", "account=\"smtp/crm\"", &accepted));
		assert_int_equal(accepted, 3);
	}
	quit(&a);
	quit(&b);
}

static void test_partly_for_good(void **state)
{
	struct client c = greeted();

	ask(&c, "MAIL FROM:<a@shop.example>", "250 2.1.0");
	ask(&c, "RCPT TO:<b@x.example>", "250 2.1.5");
	ask(&c, "RCPT TO:<+46700000001@sms.gw.example>", "250 2.1.5");
	ask(&c, "DATA", "354 ");
	say(&c, "Subject: x\r\n\r\n");
	for (int i = 0; i < 40; i++)
		say(&c, "far too long for two short messages\r\n");
	ask(&c, ".", "250 2.0.0 accepted as ");
	assert_non_null(strstr(c.reply, "; a report tells of 1 of 2 recipients refused"));
	assert_int_equal(fx_stat("postern_smtp_dsn_total"), 1);
	/* a report for each, but for whom none is wanted */
	ask(&c, "MAIL FROM:<a@shop.example>", "250 2.1.0");
	ask(&c, "RCPT TO:<+46700000001@sms.gw.example>", "250 2.1.5");
	ask(&c, "RCPT TO:<+46700000002@sms.gw.example> NOTIFY=NEVER", "250 2.1.5");
	ask(&c, "RCPT TO:<b@x.example>", "250 2.1.5");
	ask(&c, "RCPT TO:<+46700000003@sms.gw.example> NOTIFY=FAILURE,DELAY", "250 2.1.5");
	ask(&c, "DATA", "354 ");
	say(&c, "Subject: x\r\n\r\n");
	for (int i = 0; i < 40; i++)
		say(&c, "far too long for two short messages\r\n");
	ask(&c, ".", "250 2.0.0 accepted as ");
	assert_int_equal(fx_stat("postern_smtp_dsn_total"), 3);
	quit(&c);
}

/* ---- who may write as whom ---- */

static void test_senders(void **state)
{
	struct client c;

	fx_end();
	fx_begin(LISTENER(TRUSTED "from = [ \"*@shop.example\" ]; }", ""));
	c = greeted();
	ask(&c, "MAIL FROM:<a@other.example>", "553 5.7.1");
	ask(&c, "MAIL FROM:<>", "553 5.7.1");
	send_mail(&c, "a@SHOP.Example", "b@x.example", "From: X <x@Shop.example>\r\n\r\nx\r\n");
	for (const char *const *h = (const char *const[]){ "From: x@other.example\r\n",
		     "From: x@shop.example\r\nFrom: y@other.example\r\n",
		     "From: \"x@shop.example\" <x@other.example>\r\n", "Subject: none\r\n",
		     "From: x@shop.example <y@other.example>\r\n",
		     "From: x@shop.example (x)\r\n\t<y@other.example>\r\n",
		     "From: <x@shop.example> <y@other.example>\r\n",
		     "From: x@shop.example y@other.example\r\n",
		     "From: <x@shop.example> y@other.example\r\n",
		     "From: X <x@shop.example>, y@other.example\r\n",
		     "From: all: x@shop.example, y@other.example;\r\n", NULL };
		*h; h++) {
		envelope(&c, "a@shop.example", "b@x.example");
		ask(&c, "DATA", "354 ");
		say(&c, *h);
		say(&c, "\r\nx\r\n");
		ask(&c, ".", strstr(*h, "\nFrom") ? "554 5.6.0" : "550 5.7.1");
	}
	quit(&c);
}

/* ---- gateways by address ---- */

static uint64_t to_gateway(struct client *c, const char *to, const char *content, const char *want)
{
	envelope(c, "a@shop.example", to);
	ask(c, "DATA", "354 ");
	say(c, content);
	ask(c, ".", want);
	return want[0] == '2' ? id_of(c) : 0;
}

#define TEXT                                                       \
	"Subject: =?utf-8?q?sm=C3=B6rg?=\r\nMIME-Version: 1.0\r\n" \
	"Content-Type: text/plain; charset=utf-8\r\n\r\nhej p\xc3\xa5 dig\r\n-- \r\nAnn\r\n"

static void test_gateway(void **state)
{
	struct client c = greeted();
	struct message *m;
	char content[4000] = "Subject: x\r\n\r\n";

	ask(&c, "MAIL FROM:<a@shop.example>", "250 2.1.0");
	ask(&c, "RCPT TO:<anna@sms.gw.example>", "550 5.1.3");
	ask(&c, "RCPT TO:<+4970000001@sms.gw.example>", "550 5.1.2");
	ask(&c, "RSET", "250 2.0.0");
	m = fx_message(to_gateway(&c, "+46700000001@SMS.gw.example", TEXT, "250 2.0.0"));
	assert_true(m->media == MEDIA_SMS && m->wants == WANT_FAILED);
	assert_true(str_is(message_get(m, FIELD_TO), "46700000001"));
	assert_true(str_is(message_get(m, FIELD_FROM), "Shop"));
	assert_true(str_is(message_get(m, FIELD_TEXT), "hej p\xc3\xa5 dig"));
	assert_true(str_is(message_get(m, FIELD_REVERSE), "a@shop.example"));
	message_unref(&m);
	m = fx_message(to_gateway(&c, "0700000001@titled.gw.example", TEXT, "250 2.0.0"));
	assert_true(str_is(message_get(m, FIELD_TO), "46700000001"));
	assert_true(
		str_starts(message_get(m, FIELD_TEXT), STR("sm\xc3\xb6rg\nhej p\xc3\xa5 dig\n--")));
	assert_true(str_ends(message_get(m, FIELD_TEXT), STR("\nAnn")));
	message_unref(&m);
	for (int i = 0; i < 40; i++)
		str_copy(content + strlen(content), 20, STR("and on and on\r\n"));
	to_gateway(&c, "+46700000001@sms.gw.example", content, "552 5.3.4");
	to_gateway(&c, "+46700000001@sms.gw.example",
		"MIME-Version: 1.0\r\nContent-Type: text/plain; "
		"charset=nonsense\r\n\r\n\xff\xfe\r\n",
		"554 5.6.0");
	to_gateway(&c, "+46700000001@sms.gw.example",
		"MIME-Version: 1.0\r\nContent-Type: image/png\r\n\r\nx\r\n", "554 5.6.0");
	/* what a mail says of itself stands in no reply as it is */
	to_gateway(&c, "+46700000001@sms.gw.example",
		"Content-Type: text/plain; charset=\"x\r\n\t\x1b[2J\xc3\xa4\"\r\n\r\nx\r\n",
		"554 5.6.0 ");
	for (const char *p = c.reply; *p; p++)
		assert_true(*p >= ' ' && *p <= '~');
	/* the same broken mail passes as a mail */
	send_mail(&c, "a@shop.example", "b@x.example",
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=nonsense\r\n\r\nx\r\n");
	quit(&c);
}

/* ---- reports ---- */

static void test_bounce_address(void **state)
{
	struct client c = dial_from("127.0.9.1"); /* nobody's account */
	struct mail_conf conf = { .secret = "0123456789abcdef", .bounce_life = 30 * DUR_DAY };
	char token[MAIL_TOKEN], line[200];
	uint64_t id;

	expect(&c, "220 ");
	ask(&c, "EHLO mx.far.example", "250-");
	ask(&c, "MAIL FROM:<>", "250 2.1.0");
	ask(&c, "RCPT TO:<b@x.example>", "550 5.7.1");
	ask(&c, "RCPT TO:<nonsense@b.shop.example>", "550 5.1.1");
	assert_true(mail_bounce_token(&conf, 4711, clock_wall() - 40 * DUR_DAY, token));
	snprintf(line, sizeof line, "RCPT TO:<%s@b.shop.example>", token);
	ask(&c, line, "550 5.1.1"); /* expired */
	ask(&c, "RSET", "250 2.0.0");
	{
		struct client own = greeted();

		id = send_mail(&own, "a@shop.example", "b@x.example", "x\r\n");
		quit(&own);
	}
	assert_true(mail_bounce_token(&conf, id, clock_wall(), token));
	snprintf(line, sizeof line, "RCPT TO:<%s@B.shop.example>", token);
	ask(&c, "MAIL FROM:<>", "250 2.1.0");
	ask(&c, line, "250 2.1.5");
	ask(&c, "DATA", "354 ");
	say(&c, "From: mailer@far.example\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
		"--b\r\n\r\nno such user\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
		"Reporting-MTA: dns; far.example\r\n\r\nFinal-Recipient: rfc822; b@x.example\r\n"
		"Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such "
		"user\r\n\r\n"
		"--b--\r\n");
	ask(&c, ".", "250 2.0.0");
	fx_stat_becomes("postern_smtp_reports_total", 1);
	for (int i = 0; i < 400; i++) {
		struct store_view v;
		struct err e;
		enum state st;

		assert_int_equal(store_find(gateway_store(fx.g), id, false, &v, &e), 1);
		st = v.state;
		store_view_free(&v);
		if (st == STATE_UNDELIVERABLE)
			break;
		assert_true(i < 399);
		usleep(5000);
	}
	/* an auto-reply is no report: somebody reads it */
	ask(&c, "MAIL FROM:<b@x.example>", "250 2.1.0");
	ask(&c, line, "250 2.1.5");
	ask(&c, "DATA", "354 ");
	say(&c, "From: b@x.example\r\nSubject: thanks\r\n\r\nI have got it.\r\n");
	ask(&c, ".", "250 2.0.0 accepted as ");
	assert_true(id_of(&c) != 0);
	fx_stat_becomes("postern_smtp_strays_total", 1);
	/* and so is what is for the postmaster (RFC 5321 §4.5.1) */
	ask(&c, "MAIL FROM:<b@x.example>", "250 2.1.0");
	ask(&c, "RCPT TO:<Postmaster@x.example>", "550 5.7.1"); /* not ours */
	ask(&c, "RCPT TO:<Postmaster>", "250 2.1.5");
	ask(&c, "RCPT TO:<postmaster@MX.shop.example>", "250 2.1.5");
	ask(&c, "RCPT TO:<postmaster@b.shop.example>", "250 2.1.5");
	ask(&c, "RCPT TO:<pOSTMASTER@B.shop.example>", "250 2.1.5");
	ask(&c, "RCPT TO:<abuse@b.shop.example>", "250 2.1.5");
	ask(&c, "RCPT TO:<Abuse@b.shop.Example>", "250 2.1.5");
	ask(&c, "DATA", "354 ");
	say(&c, "From: b@x.example\r\nSubject: your server\r\n\r\nis down.\r\n");
	ask(&c, ".", "250 2.0.0 accepted as ");
	/* however often they are named, each gets it once */
	fx_stat_becomes("postern_smtp_strays_total", 3);
	quit(&c);
}

static void complain(struct client *c, const char *token)
{
	char text[1000];

	ask(c, "MAIL FROM:<fbl@isp.example>", "250 2.1.0");
	ask(c, "RCPT TO:<FBL@b.shop.example>", "250 2.1.5");
	ask(c, "DATA", "354 ");
	snprintf(text, sizeof text,
		"From: <fbl@isp.example>\r\nSubject: FW: x\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n"
		"--b\r\n\r\nspam, says nonsense@b.shop.example\r\n--b\r\n"
		"Content-Type: message/feedback-report\r\n\r\n"
		"Feedback-Type: abuse\r\nUser-Agent: x/1\r\nVersion: 1\r\n"
		"Original-Mail-From: <%s@B.shop.example>\r\n\r\n--b\r\n"
		"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nx\r\n--b--\r\n",
		token);
	say(c, text);
	ask(c, ".", "250 2.0.0");
}

/* Complaints to the one address that providers know: about the mail whose return path is quoted. */
static void test_feedback_loop(void **state)
{
	struct mail_conf conf = { .secret = "0123456789abcdef", .bounce_life = 30 * DUR_DAY };
	struct client c = greeted();
	char token[MAIL_TOKEN];
	struct store_view v;
	bool there = false;
	struct err e;
	uint64_t id = send_mail(&c, "a@shop.example", "b@x.example", "x\r\n");

	quit(&c);
	c = dial_from("127.0.9.2"); /* nobody's account */
	expect(&c, "220 ");
	ask(&c, "EHLO mx.isp.example", "250-");
	assert_true(mail_bounce_token(&conf, id, clock_wall(), token));
	complain(&c, token);
	assert_int_equal(fx_stat("postern_smtp_reports_total"), 1);
	assert_int_equal(store_find(gateway_store(fx.g), id, false, &v, &e), 1);
	for (unsigned i = 0; i < v.history_n; i++)
		there |= strcmp(v.history[i].what, "complaint") == 0;
	store_view_free(&v);
	assert_true(there);
	token[5] = token[5] == 'a' ? 'b' : 'a'; /* forged: it is about nothing of ours */
	complain(&c, token);
	assert_int_equal(fx_stat("postern_smtp_reports_total"), 1);
	assert_int_equal(fx_stat("postern_smtp_strays_total"), 1);
	quit(&c);
}

/* What people write is not taken where nobody would read it. */
static void test_no_reader(void **state)
{
	struct client c;

	fx_end();
	fx_begin(LISTENER(TRUSTED "}", ""));
	c = greeted();
	ask(&c, "MAIL FROM:<b@x.example>", "250 2.1.0");
	ask(&c, "RCPT TO:<abuse@b.shop.example>", "550 5.1.1");
	ask(&c, "RCPT TO:<postmaster@b.shop.example>", "550 5.1.1");
	ask(&c, "RCPT TO:<fbl@b.shop.example>", "250 2.1.5");
	quit(&c);
}

/* What is no report, and for whose reader there is no way: nothing of it stays. */
static void test_stray_nowhere(void **state)
{
	struct mail_conf conf = { .secret = "0123456789abcdef", .bounce_life = 30 * DUR_DAY };
	char token[MAIL_TOKEN], line[200];
	struct client c;
	SHA256_CTX sum;

	fx_end();
	fx_begin(LISTENER(TRUSTED "}", "bounce_other = \"post@nowhere.org\"; "
				       "bounce_account = \"crm\";"));
	c = greeted();
	SHA256_Init(&sum);
	assert_true(mail_bounce_token(&conf, 4711, clock_wall(), token));
	snprintf(line, sizeof line, "RCPT TO:<%s@b.shop.example>", token);
	ask(&c, "MAIL FROM:<b@x.example>", "250 2.1.0");
	ask(&c, line, "250 2.1.5");
	ask(&c, "DATA", "354 ");
	send_large(&c, 400000, &sum);
	ask(&c, ".", "250 2.0.0 accepted as ");
	for (int i = 0; i < 400 && files_in_spool(); i++)
		usleep(5000);
	assert_int_equal(files_in_spool(), 0);
	quit(&c);
}

static void one_mail(const char *to, const char *notify, const char *from)
{
	struct client c = greeted();
	char line[200];

	snprintf(line, sizeof line, "MAIL FROM:<%s> RET=HDRS ENVID=QQ1", from);
	ask(&c, line, "250 2.1.0");
	snprintf(line, sizeof line, "RCPT TO:<%s>%s", to, notify);
	ask(&c, line, "250 2.1.5");
	ask(&c, "DATA", "354 ");
	say(&c, "Subject: x\r\nFrom: a@shop.example\r\n\r\nx\r\n");
	ask(&c, ".", "250 2.0.0");
	quit(&c);
}

/* The channel takes nothing for bad.example; what it takes for others is the last that is known. */
static void test_dsn(void **state)
{
	one_mail("b@bad.example", "", "a@shop.example");
	fx_stat_becomes("postern_smtp_dsn_total", 1);
	one_mail("b@x.example", " NOTIFY=SUCCESS ORCPT=rfc822;b@y", "a@shop.example");
	fx_stat_becomes("postern_smtp_dsn_total", 2);
	one_mail("b@bad.example", " NOTIFY=NEVER", "a@shop.example");
	one_mail("b@bad.example", " NOTIFY=SUCCESS", "a@shop.example");
	one_mail("b@x.example", " NOTIFY=FAILURE,DELAY", "a@shop.example");
	one_mail("b@x.example", "", "a@shop.example");
	one_mail("b@bad.example", "", "");
	/* a report of which another would have to be sent ends there */
	one_mail("b@bad.example", "", "a@bad.example");
	fx_stat_becomes("postern_smtp_dsn_total", 3);
	usleep(300000);
	assert_int_equal(fx_stat("postern_smtp_dsn_total"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(t) cmocka_unit_test_setup_teardown(t, begin, end)
		T(test_many),
		T(test_twice),
		T(test_large),
		T(test_large_abandoned),
		T(test_large_chunk_refused),
		T(test_key),
		T(test_key_large),
		T(test_partly),
		T(test_partly_for_good),
		T(test_senders),
		T(test_gateway),
		T(test_bounce_address),
		T(test_feedback_loop),
		T(test_no_reader),
		T(test_stray_nowhere),
		T(test_dsn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
