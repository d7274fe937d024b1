/* The SMTP server over real sockets: conversations, pipelining, logins, TLS, limits, time, hostile
 * octets. What becomes of mails: smtp_accept_test.c. */
#include "tests/smtp_server.h"
#include "protocols/smtp/sasl.h"
#include "tests/certs.h"

#include <crypt.h>
#include <ifaddrs.h>

#define LISTENER_AT(at, accounts, more)                                              \
	"{ name = \"submission\"; type = \"smtp\"; listen = \"" at "\"; accounts = " \
	"( " accounts " ); " more " }"
#define LISTENER(accounts, more) LISTENER_AT("127.0.0.1:0", accounts, more)
#define TRUSTED                  "{ user = \"crm\"; password = \"secret\"; trust = [ \"127.0.0.1\" ]; }"
#define LIMITS                                                                                    \
	"size_most = \"100KiB\"; recipients_most = 3; errors_most = 6; idle_commands_most = 12; " \
	"hops_most = 4; command_wait = \"20s\"; data_wait = \"10s\"; per_address = 4;"

static int begin(void **state)
{
	fx_begin(LISTENER(TRUSTED, LIMITS));
	return 0;
}

static int end(void **state)
{
	fx_end();
	return 0;
}

/* ---- conversations ---- */

static void test_conversation(void **state)
{
	struct client c = dial();
	struct message *m;
	struct str octets;
	uint64_t id;

	expect(&c, "220 mx.shop.example ESMTP Postern");
	ask(&c, "EHLO me.example", "250-mx.shop.example\n");
	for (const char *const *k = (const char *const[]){ "250-PIPELINING\n", "250-SIZE 102400\n",
		     "250-8BITMIME\n", "250-AUTH PLAIN LOGIN SCRAM-SHA-256\n",
		     "250-ENHANCEDSTATUSCODES\n", "250-DSN\n", "250-CHUNKING\n", "250 SMTPUTF8",
		     NULL };
		*k; k++)
		assert_non_null(strstr(c.reply, *k));
	assert_null(strstr(c.reply, "STARTTLS"));
	id = send_mail(&c, "a@shop.example", "b@x.example",
		"Subject: =?utf-8?q?hej_d=C3=A5?=\r\nFrom: a@shop.example\r\n\r\n..dot\r\nend\r\n");
	assert_true(id != 0);
	m = fx_message(id);
	octets = message_get(m, FIELD_OCTETS);
	assert_true(m->media == MEDIA_EMAIL && m->flags & MSG_OCTETS && m->wants == WANT_FAILED);
	assert_true(str_is(message_get(m, FIELD_FROM), "a@shop.example"));
	assert_true(str_is(message_get(m, FIELD_TO), "b@x.example"));
	assert_true(str_is(message_get(m, FIELD_SUBJECT), "hej d\xc3\xa5"));
	assert_true(str_starts(octets, STR("Received: from me.example ([127.0.0.1])\r\n\tby "
					   "mx.shop.example with ESMTP id ")));
	assert_true(str_find(octets, STR("for <b@x.example>; ")) > 0);
	assert_true(str_find(octets, STR("\r\nDate: ")) > 0); /* it was missing */
	assert_true(str_find(octets, STR("\r\nMessage-ID: <")) > 0);
	assert_true(str_ends(octets, STR("\r\n\r\n.dot\r\nend\r\n")));
	message_unref(&m);
	/* the session goes on */
	id = send_mail(&c, "", "b@x.example",
		"Date: today\r\nMessage-ID: <1@me>\r\nFrom: a@shop.example\r\n\r\nx\r\n");
	m = fx_message(id);
	assert_false(message_has(m, FIELD_FROM));
	assert_int_equal(m->wants, 0);
	assert_true(m->flags & MSG_ALIAS);
	assert_true(str_is(message_get(m, FIELD_CLIENT_ID), "1@me"));
	assert_true(str_find(message_get(m, FIELD_OCTETS), STR("\r\nDate: today\r\n")) > 0);
	assert_true(str_find(message_get(m, FIELD_OCTETS), STR("GMT")) < 0);
	message_unref(&m);
	quit(&c);
	c = dial();
	expect(&c, "220 ");
	ask(&c, "HELO old", "250 mx.shop.example");
	ask(&c, "MAIL FROM:<a@b.example> SIZE=1", "555 5.5.4");
	send_mail(&c, "a@b.example", "b@x.example", "no header at all\r\n");
	quit(&c);
}

#define ALL                                                                                \
	"EHLO x\r\n",                                                                      \
		"MAIL FROM:<a@s.example>\r\nRCPT TO:<b@x.example>\r\nRCPT TO:<nobody>\r\n" \
		"RCPT TO:<c@x.example>\r\nDATA\r\n",                                       \
		"Subject: 1\r\n\r\nbody\r\n.\r\nMAIL FROM:<a@s.example>\r\nRCPT "          \
		"TO:<d@x.example>\r\n"                                                     \
		"DATA\r\n",                                                                \
		"Subject: 2\r\n\r\nbody\r\n.\r\nNOOP\r\nRSET\r\nQUIT\r\n"

static void pipelined(size_t step)
{
	static const char *const groups[] = { ALL };
	static const char *const replies[] = { "250-", "250 2.1.0", "250 2.1.5", "501 5.1.3",
		"250 2.1.5", "354 ", "250 2.0.0 accepted as ", "250 2.1.0", "250 2.1.5", "354 ",
		"250 2.0.0 accepted as ", "250 2.0.0", "250 2.0.0", "221 " };
	static const unsigned upto[] = { 1, 6, 10, 14 };
	struct client c = dial();
	unsigned r = 0;

	expect(&c, "220 ");
	for (unsigned g = 0; g < 4; g++) {
		size_t n = strlen(groups[g]);

		for (size_t at = 0; at < n; at += step)
			say_n(&c, groups[g] + at, n - at < step ? n - at : step);
		while (r < upto[g])
			expect(&c, replies[r++]);
	}
	expect_end(&c);
}

static void test_pipelined(void **state)
{
	pipelined(1000);
	pipelined(1);
	pipelined(3);
	pipelined(7);
}

static void test_replies(void **state)
{
	static const struct {
		const char *line, *reply;
	} v[] = {
		{ "MAIL FROM:<a@b.example>", "503 5.5.1" },
		{ "EHLO x", "250-" },
		{ "RCPT TO:<a@b.example>", "503 5.5.1" },
		{ "DATA", "503 5.5.1" },
		{ "NOOP", "250 2.0.0" },
		{ "VRFY postmaster", "252 2.1.5" },
		{ "HELP", "214 2.0.0" },
		{ "MAIL FROM:<a@b.example> SIZE=102401", "552 5.3.4" },
		{ "MAIL FROM:<a@b.example> SIZE=99999999999999999999", "552 5.3.4" },
		{ "MAIL FROM:<a@b.example> SIZE=102400 BODY=8BITMIME", "250 2.1.0" },
		{ "RCPT TO:<a@nowhere.org>", "550 5.1.2" },
		{ "RCPT TO:<postmaster>", "550 5.1.1" },
		{ "RCPT TO:<\xc3\xb6@b.example>", "553 5.6.7" },
		{ "DATA", "554 5.5.1" },
		{ "RCPT TO:<a@b.example>", "250 2.1.5" },
		{ "RCPT TO:<a@c.example> NOTIFY=NEVER", "250 2.1.5" },
		{ "RCPT TO:<a@d.example>", "250 2.1.5" },
		{ "RCPT TO:<a@e.example>", "452 4.5.3" },
		{ "RSET", "250 2.0.0" },
		{ "MAIL FROM:<\xc3\xb6@b.example> SMTPUTF8", "250 2.1.0" },
		{ "RCPT TO:<\xc3\xb6@b.example>", "250 2.1.5" },
		{ "QUIT", "221 2.0.0" },
	};
	struct client c = dial();

	expect(&c, "220 ");
	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
		ask(&c, v[i].line, v[i].reply);
	expect_end(&c);
}

/* ---- hostile octets ---- */

static void test_smuggling(void **state)
{
	static const char *const ends[] = { "\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n",
		"\r\n.\r", "\r\n\r.\r\n", "\n\n.\r\n", "\r\r\n.\r\n", "\n.\n\r\n" };

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		struct client c = greeted();
		uint64_t mails = fx_stat("postern_smtp_mails_total");

		envelope(&c, "a@shop.example", "b@x.example");
		ask(&c, "DATA", "354 ");
		say(&c, "Subject: x\r\n\r\nfirst");
		say(&c, ends[i]);
		say(&c, "MAIL FROM:<evil@shop.example>\r\nRCPT TO:<c@x.example>\r\nDATA\r\n"
			"Subject: y\r\n\r\nsecond\r\n.\r\n");
		expect(&c, "521 5.5.2");
		expect_end(&c);
		assert_int_equal(fx_stat("postern_smtp_mails_total"), mails);
	}
}

/* Answered, counted, closed. */
static void test_broken_off(void **state)
{
	static const struct {
		const char *octets, *reply;
		size_t n;
	} v[] = {
		{ "EHLO x\n", "521 5.5.2", 0 },
		{ "EHLO\rx\r\n", "521 5.5.2", 0 },
		{ "EHLO \0x\r\n", "521 5.5.2", 9 },
		{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "521 5.5.1", 0 },
		{ "EHLO x\r\nMAIL FROM:<a@b.example>\r\n", "521 5.5.0", 0 },
		{ "BDAT x\r\nwhatever", "501 5.5.4", 0 },
		{ "BDAT 99999999 LAST\r\nwhatever", "552 5.3.4", 0 },
	};
	char line[4096];
	struct client c;

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		c = dial();
		expect(&c, "220 ");
		say_n(&c, v[i].octets, v[i].n ? v[i].n : strlen(v[i].octets));
		expect(&c, v[i].reply);
		expect_end(&c);
	}
	memset(line, 'x', sizeof line);
	c = dial();
	expect(&c, "220 ");
	say_n(&c, line, sizeof line);
	expect(&c, "500 5.5.2");
	expect_end(&c);
	for (int i = 0; i < 2; i++) { /* with AUTH, and where its answer goes on */
		c = greeted();
		if (i)
			ask(&c, "AUTH PLAIN", "334 ");
		else
			say(&c, "AUTH PLAIN ");
		for (int n = 0; n < 4; n++)
			say_n(&c, line, sizeof line);
		expect(&c, "500 5.5.6");
		expect_end(&c);
	}
	/* what follows DATA before its answer is no mail */
	c = greeted();
	envelope(&c, "a@b.example", "b@x.example");
	say(&c, "DATA\r\nSubject: x\r\n\r\nx\r\n.\r\n");
	expect(&c, "521 5.5.0");
	expect_end(&c);
}

static void test_too_many(void **state)
{
	struct client c = greeted(), more[4];

	for (int i = 0; i < 5; i++)
		ask(&c, "XYZZY", "500 5.5.1");
	say(&c, "XYZZY\r\n");
	expect(&c, "500 5.5.1");
	expect(&c, "421 4.7.0");
	expect_end(&c);
	c = greeted();
	for (int i = 0; i < 11; i++)
		ask(&c, "NOOP", "250 2.0.0");
	ask(&c, "NOOP", "421 4.7.0");
	expect_end(&c);
	for (int i = 0; i < 4; i++) {
		more[i] = dial();
		expect(&more[i], "220 ");
	}
	c = dial();
	expect(&c, "421 4.7.0");
	hang_up(&c);
	c = dial_from("127.0.3.1"); /* nobody else is harmed */
	expect(&c, "220 ");
	hang_up(&c);
	for (int i = 0; i < 4; i++)
		quit(&more[i]);
}

/* ---- content that is refused, the session going on ---- */

static void refused_mail(struct client *c, const char *content, size_t n, const char *want)
{
	envelope(c, "a@shop.example", "b@x.example");
	ask(c, "DATA", "354 ");
	say_n(c, content, n);
	ask(c, "\r\n.", want);
}

static void test_content(void **state)
{
	struct client c = greeted();
	struct buf b = BUF_INIT;

	refused_mail(&c, "a\0b", 3, "554 5.6.0");
	buf_c(&b, "Subject: x\r\n\r\n");
	for (int i = 0; i < 999; i++)
		buf_char(&b, 'x');
	refused_mail(&c, b.p, b.n, "554 5.6.0");
	b.n--;
	refused_mail(&c, b.p, b.n, "250 2.0.0");
	buf_reset(&b);
	for (int i = 0; i < 5; i++)
		buf_c(&b, "Received: by x; today\r\n");
	refused_mail(&c, b.p, b.n, "554 5.4.6");
	buf_reset(&b);
	for (int i = 0; i < 110 * 1024 / 8; i++)
		buf_c(&b, "123456\r\n");
	refused_mail(&c, b.p, b.n, "552 5.3.4");
	refused_mail(&c, "Subject: x\r\n\r\n", 14, "250 2.0.0");
	quit(&c);
	buf_free(&b);
}

/* ---- BDAT ---- */

static void test_chunks(void **state)
{
	struct client c = greeted();
	struct message *m;

	envelope(&c, "a@shop.example", "b@x.example");
	say(&c, "BDAT 14\r\nSubject: x\r\n\r\nBDAT 7 LAST\r\n.\r\nabcd");
	expect(&c, "250 2.0.0 14 octets");
	expect(&c, "250 2.0.0 accepted as ");
	m = fx_message(id_of(&c));
	assert_true(str_ends(message_get(m, FIELD_OCTETS), STR("\r\n\r\n.\r\nabcd\r\n")));
	message_unref(&m);
	envelope(&c, "a@shop.example", "b@x.example");
	ask(&c, "BDAT 0", "250 2.0.0 0 octets");
	ask(&c, "DATA", "503 5.5.1");
	ask(&c, "RCPT TO:<c@x.example>", "503 5.5.1");
	say(&c, "BDAT 4\r\na\r\nb");
	expect(&c, "250 2.0.0 4 octets");
	ask(&c, "BDAT 0 LAST", "250 2.0.0 accepted as ");
	/* octets of a chunk that is refused are none the less a chunk's */
	say(&c, "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n");
	expect(&c, "503 5.5.1");
	expect(&c, "250 2.0.0 here");
	/* a lone LF is no smuggling here, and refused all the same */
	envelope(&c, "a@shop.example", "b@x.example");
	say(&c, "BDAT 5 LAST\r\na\nb\r\nNOOP\r\n");
	expect(&c, "554 5.5.2");
	expect(&c, "250 2.0.0 here");
	envelope(&c, "a@shop.example", "b@x.example");
	say(&c, "BDAT 5\r\na\nb\r\nBDAT 3 LAST\r\nx\r\n");
	expect(&c, "554 5.5.2");
	expect(&c, "503 5.5.1");
	quit(&c);
}

/* ---- time ---- */

static void test_time(void **state)
{
	struct client c = greeted(), slow, trickle;

	fx_wait(15 * DUR_S);
	ask(&c, "NOOP", "250 2.0.0");
	fx_wait(15 * DUR_S);
	say(&c, "NOO"); /* half a command does not count */
	fx_wait(6 * DUR_S);
	expect(&c, "421 4.4.2");
	expect_end(&c);
	slow = greeted();
	envelope(&slow, "a@shop.example", "b@x.example");
	ask(&slow, "DATA", "354 ");
	fx_wait(11 * DUR_S);
	expect(&slow, "421 4.4.2");
	expect_end(&slow);
	/* never silent, and never fast enough */
	trickle = greeted();
	envelope(&trickle, "a@shop.example", "b@x.example");
	ask(&trickle, "DATA", "354 ");
	for (int i = 0; i < 40; i++) {
		say(&trickle, "x\r\n");
		usleep(3000);
		fx_wait(500 * DUR_MS);
	}
	expect(&trickle, "421 4.4.2");
	expect_end(&trickle);
}

/* ---- logins ---- */

#define LOGINS                                                                             \
	"{ user = \"plain\"; password = \"pencil\"; }, "                                   \
	"{ user = \"verifier\"; password = \"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"                                    \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\"; }, "
static char hashed[256];

static int begin_logins(void **state)
{
	char setting[32], conf[1024];
	struct crypt_data *data = mem_new(struct crypt_data);

	assert_non_null(crypt_gensalt_rn("$5$", 1000, NULL, 0, setting, sizeof setting));
	str_copy(hashed, sizeof hashed, str_of(crypt_r("hashed", setting, data)));
	mem_free(&data);
	snprintf(conf, sizeof conf,
		LISTENER(LOGINS
			"{ user = \"hash\"; password = \"%s\"; }, "
			"{ user = \"away\"; password = \"far\"; allow = [ \"10.0.0.0/8\" ]; }",
			""),
		hashed);
	fx_begin(conf);
	return 0;
}

static void plain_line(char out[256], const char *user, const char *password)
{
	struct buf raw = BUF_INIT, b = BUF_INIT;

	sasl_plain_put(str_of(user), str_of(password), &raw);
	sasl_base64_encode(buf_view(&raw), &b);
	snprintf(out, 256, "AUTH PLAIN %s", buf_cstr(&b));
	buf_free(&raw);
	buf_free(&b);
}

/* Each from an address of its own, for failures cost time. */
static struct client from_somewhere(void)
{
	static unsigned n;
	struct client c;
	char address[32];

	snprintf(address, sizeof address, "127.0.5.%u", ++n);
	c = dial_from(address);
	expect(&c, "220 ");
	ask(&c, "EHLO x", "250-");
	return c;
}

static void test_plain(void **state)
{
	static const struct {
		const char *user, *password, *reply;
	} v[] = {
		{ "plain", "pencil", "235 2.7.0" },
		{ "verifier", "pencil", "235 2.7.0" },
		{ "verifier", "pencil", "235 2.7.0" }, /* known again */
		{ "hash", "hashed", "235 2.7.0" },
		{ "plain", "pencils", "535 5.7.8" },
		{ "plain", "", "535 5.7.8" },
		{ "verifier", "pencils", "535 5.7.8" },
		{ "verifier", "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$x", "535 5.7.8" },
		{ "hash", "pencil", "535 5.7.8" },
		{ "nobody", "pencil", "535 5.7.8" },
		{ "away", "far", "535 5.7.8" },
	};
	char line[256];

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		struct client c = from_somewhere();
		bool ok = v[i].reply[0] == '2';

		ask(&c, "MAIL FROM:<a@shop.example>", "250 2.1.0"); /* bounces may come */
		ask(&c, "RCPT TO:<b@x.example>", "550 5.7.1");
		ask(&c, "RSET", "250 2.0.0");
		plain_line(line, v[i].user, v[i].password);
		ask(&c, line, v[i].reply);
		ask(&c, "MAIL FROM:<a@shop.example>", "250 2.1.0");
		ask(&c, "RCPT TO:<b@x.example>", ok ? "250 2.1.5" : "550 5.7.1");
		ask(&c, "RSET", "250 2.0.0");
		if (ok)
			ask(&c, line, "503 5.5.1"); /* not twice */
		quit(&c);
	}
}

static void test_login(void **state)
{
	struct client c = from_somewhere();

	ask(&c, "AUTH LOGIN", "334 VXNlcm5hbWU6");
	ask(&c, "cGxhaW4=", "334 UGFzc3dvcmQ6");
	ask(&c, "cGVuY2ls", "235 2.7.0");
	quit(&c);
	c = from_somewhere();
	ask(&c, "AUTH LOGIN cGxhaW4=", "334 UGFzc3dvcmQ6");
	ask(&c, "*", "501 5.7.0");
	ask(&c, "AUTH PLAIN", "334 ");
	ask(&c, "!!!", "501 5.5.2");
	ask(&c, "AUTH PLAIN b3RoZXIAcGxhaW4AcGVuY2ls", "535 5.7.8"); /* as "other" */
	ask(&c, "AUTH CRAM-MD5", "504 5.5.4");
	ask(&c, "AUTH LOGIN", "334 ");
	ask(&c, "cGxhaW4=", "334 ");
	ask(&c, "cGVuY2ls", "235 2.7.0");
	quit(&c);
}

static const char *scram(struct client *c, const char *user, const char *password)
{
	struct scram_client s = { 0 };
	struct buf raw = BUF_INIT, b = BUF_INIT;
	char nonce[SCRAM_NONCE], line[1024];
	struct err e;

	scram_nonce(nonce);
	scram_client_first(&s, str_of(user), str_of(nonce), &raw);
	sasl_base64_encode(buf_view(&raw), &b);
	snprintf(line, sizeof line, "AUTH SCRAM-SHA-256 %s", buf_cstr(&b));
	ask(c, line, "334 ");
	buf_reset(&raw);
	buf_reset(&b);
	assert_true(sasl_base64_decode(str_of(c->reply + 4), &raw));
	assert_int_equal(scram_client_final(&s, str_of(password), buf_view(&raw), &b, &e), 0);
	buf_reset(&raw);
	sasl_base64_encode(buf_view(&b), &raw);
	say(c, buf_cstr(&raw));
	say(c, "\r\n");
	assert_true(next_reply(c));
	if (strncmp(c->reply, "334 ", 4) == 0) {
		buf_reset(&raw);
		assert_true(sasl_base64_decode(str_of(c->reply + 4), &raw));
		assert_true(scram_client_done(&s, buf_view(&raw)));
		say(c, "\r\n");
		assert_true(next_reply(c));
	}
	scram_client_free(&s);
	buf_free(&raw);
	buf_free(&b);
	return c->reply;
}

static void test_scram(void **state)
{
	static const struct {
		const char *user, *password;
		bool ok;
	} v[] = { { "plain", "pencil", true }, { "verifier", "pencil", true },
		{ "plain", "pen", false }, { "verifier", "pen", false }, { "nobody", "x", false },
		{ "hash", "hashed", false }, { "away", "far", false } };

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		struct client c = from_somewhere();
		const char *reply = scram(&c, v[i].user, v[i].password);

		if (strncmp(reply, v[i].ok ? "235 2.7.0" : "535 5.7.8", 9) != 0)
			fail_msg("%s: %s", v[i].user, reply);
		quit(&c);
	}
}

/* The first answer to a name, up to its salt's length and its rounds. */
static void challenge_of(const char *user, unsigned *rounds_r, size_t *salt_r)
{
	struct client c = from_somewhere();
	struct buf raw = BUF_INIT, b = BUF_INIT;
	struct str rest, field, salt = STR_NONE;
	char line[512];

	snprintf(line, sizeof line, "n,,n=%s,r=abcdefgh", user);
	sasl_base64_encode(str_of(line), &b);
	snprintf(line, sizeof line, "AUTH SCRAM-SHA-256 %s", buf_cstr(&b));
	ask(&c, line, "334 ");
	assert_true(sasl_base64_decode(str_of(c.reply + 4), &raw));
	rest = buf_view(&raw);
	*rounds_r = 0;
	while (str_cut(&rest, ',', &field)) {
		if (str_starts(field, STR("s=")))
			salt = str_skip(field, 2);
		if (str_starts(field, STR("i=")))
			*rounds_r = (unsigned)strtoul(field.p + 2, NULL, 10);
	}
	*salt_r = salt.n;
	ask(&c, "*", "501 5.7.0");
	quit(&c);
	buf_free(&raw);
	buf_free(&b);
}

/* What SCRAM asks of a name that does not exist is what it asks of one that does. */
static void test_scram_tells_no_names(void **state)
{
	/* "pencil", with a salt of 12 octets and other rounds than ours */
	static const char conf[] =
		LISTENER("{ user = \"v\"; password = \"SCRAM-SHA-256$8192:AAECAwQFBgcICQoL$"
			 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=:"
			 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"; }",
			"");
	unsigned rounds, other;
	size_t salt, other_salt;

	fx_begin(conf);
	challenge_of("v", &rounds, &salt);
	assert_int_equal(rounds, 8192);
	challenge_of("nobody", &other, &other_salt);
	assert_int_equal(rounds, other);
	assert_int_equal(salt, other_salt);
	fx_end();
}

static void test_failures(void **state)
{
	struct client c = from_somewhere(), other;
	char line[256];
	mono_t before;

	plain_line(line, "plain", "wrong");
	ask(&c, line, "535 5.7.8");
	before = clock_mono();
	ask(&c, line, "535 5.7.8");
	assert_true(clock_mono() - before >= 400 * DUR_MS);
	other = from_somewhere(); /* nobody else waits */
	before = clock_mono();
	plain_line(line, "plain", "pencil");
	ask(&other, line, "235 2.7.0");
	assert_true(clock_mono() - before < 300 * DUR_MS);
	quit(&other);
	plain_line(line, "plain", "wrong");
	ask(&c, line, "535 5.7.8");
	expect(&c, "421 4.7.0");
	expect_end(&c);
}

static void test_reload(void **state)
{
	struct client stays = from_somewhere(), goes = from_somewhere();
	char line[256], conf[1024];

	plain_line(line, "plain", "pencil");
	ask(&stays, line, "235 2.7.0");
	plain_line(line, "hash", "hashed");
	ask(&goes, line, "235 2.7.0");
	snprintf(conf, sizeof conf,
		LISTENER(LOGINS "{ user = \"hash\"; password = \"other\"; }", ""));
	fx_reload(conf);
	expect(&goes, "421 4.3.2");
	expect_end(&goes);
	send_mail(&stays, "a@shop.example", "b@x.example", "x\r\n");
	quit(&stays);
	goes = from_somewhere();
	plain_line(line, "hash", "other");
	ask(&goes, line, "235 2.7.0");
	fx_reload(LISTENER(LOGINS "{ user = \"other\"; password = \"x\"; }", ""));
	expect(&goes, "421 4.3.2");
	expect_end(&goes);
}

/* ---- TLS ---- */

static char tls_conf[700];
static struct test_cert ca, cert;

static void make_tls_at(const char *listen, const char *mode)
{
	fx_folder();
	ca = cert_make(fx.dir, "ca", NULL, NULL, -1, 10);
	cert = cert_make(fx.dir, "server", &ca, "DNS:localhost,IP:127.0.0.1", -1, 10);
	snprintf(tls_conf, sizeof tls_conf,
		LISTENER_AT("%s",
			"{ user = \"plain\"; password = \"pencil\"; trust = [ \"127.0.0.9\" ]; }",
			"tls = { mode = \"%s\"; cert_file = \"%s\"; key_file = \"%s\"; };"),
		listen, mode, cert.cert_file, cert.key_file);
	fx_start(tls_conf);
}

static void make_tls(const char *mode)
{
	make_tls_at("127.0.0.1:0", mode);
}

static void end_tls(void)
{
	cert_free(&ca);
	cert_free(&cert);
	fx_end();
}

static void test_starttls(void **state)
{
	struct client c;
	struct message *m;
	char line[256];
	uint64_t id;

	make_tls("must");
	c = greeted();
	assert_non_null(strstr(c.reply, "STARTTLS"));
	ask(&c, "MAIL FROM:<a@shop.example>", "530 5.7.0");
	ask(&c, "STARTTLS", "220 2.0.0");
	start_tls(&c);
	ask(&c, "MAIL FROM:<a@shop.example>", "503 5.5.1"); /* all is forgotten */
	ask(&c, "EHLO x", "250-");
	assert_null(strstr(c.reply, "STARTTLS"));
	ask(&c, "STARTTLS", "503 5.5.1");
	plain_line(line, "plain", "pencil");
	ask(&c, line, "235 2.7.0");
	id = send_mail(&c, "a@shop.example", "b@x.example", "x\r\n");
	m = fx_message(id);
	assert_true(str_find(message_get(m, FIELD_OCTETS), STR(" with ESMTPSA id ")) > 0);
	message_unref(&m);
	quit(&c);
	/* slipped in before the handshake */
	c = greeted();
	say(&c, "STARTTLS\r\nEHLO evil\r\n");
	expect(&c, "521 5.5.0");
	expect_end(&c);
	c = greeted();
	ask(&c, "STARTTLS", "220 2.0.0");
	say(&c, "NOOP\r\n"); /* is no handshake */
	assert_false(next_reply(&c) && c.reply[0] == '2');
	hang_up(&c);
	end_tls();
}

/* With "may" who is on loopback logs in in clear; that does not count any more under TLS. */
static void test_starttls_after_login(void **state)
{
	struct client c;
	char line[256];

	make_tls("may");
	plain_line(line, "plain", "pencil");
	c = greeted();
	ask(&c, line, "235 2.7.0");
	ask(&c, "STARTTLS", "220 2.0.0");
	start_tls(&c);
	ask(&c, "EHLO x", "250-");
	ask(&c, "MAIL FROM:<a@shop.example>", "250 2.1.0");
	ask(&c, "RCPT TO:<b@x.example>", "550 5.7.1");
	ask(&c, "RSET", "250 2.0.0");
	ask(&c, line, "235 2.7.0");
	send_mail(&c, "a@shop.example", "b@x.example", "x\r\n");
	quit(&c);
	end_tls();
}

/* "must" is for all: neither loopback nor being trusted is an exception. */
static void test_must(void **state)
{
	struct client c;
	char line[256];

	make_tls("must");
	plain_line(line, "plain", "pencil");
	c = greeted();
	assert_null(strstr(c.reply, "AUTH"));
	ask(&c, line, "538 5.7.11");
	quit(&c);
	c = dial_from("127.0.0.9"); /* whom it trusts */
	expect(&c, "220 ");
	ask(&c, "EHLO x", "250-");
	ask(&c, "MAIL FROM:<a@shop.example>", "530 5.7.0");
	ask(&c, "NOOP", "250 2.0.0");
	ask(&c, "STARTTLS", "220 2.0.0");
	start_tls(&c);
	ask(&c, "EHLO x", "250-");
	send_mail(&c, "a@shop.example", "b@x.example", "x\r\n");
	quit(&c);
	end_tls();
}

/* An address of this host that is not loopback; false: it has none. */
static bool own_address(union addr *a_r)
{
	struct ifaddrs *all, *i;
	bool found = false;

	if (getifaddrs(&all) != 0)
		return false;
	for (i = all; i && !found; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET ||
			addr_is_loopback(i->ifa_addr))
			continue;
		memcpy(&a_r->in, i->ifa_addr, sizeof a_r->in);
		found = true;
	}
	freeifaddrs(all);
	return found;
}

/* Passwords are not taken in clear from elsewhere, nor offered, whatever they are. */
static void test_auth_in_clear(void **state)
{
	struct timeval patience = { .tv_sec = 60 };
	struct client c = { 0 };
	union addr to;
	char line[256];

	if (!own_address(&to))
		skip();
	make_tls_at("0.0.0.0:0", "may");
	to.in.sin_port = htons(fx.port);
	plain_line(line, "plain", "pencil");
	for (int tls = 0; tls < 2; tls++) {
		c = (struct client){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
		setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		assert_int_equal(connect(c.fd, &to.sa, sizeof to.in), 0);
		expect(&c, "220 ");
		ask(&c, "EHLO x", "250-");
		assert_null(strstr(c.reply, "AUTH"));
		if (!tls) {
			ask(&c, line, "538 5.7.11");
			ask(&c, "AUTH LOGIN", "538 5.7.11");
			ask(&c, "AUTH SCRAM-SHA-256", "538 5.7.11");
			ask(&c, "AUTH CRAM-MD5", "538 5.7.11");
			ask(&c, "MAIL FROM:<a@shop.example>", "250 2.1.0"); /* bounces */
			ask(&c, "RCPT TO:<b@x.example>", "550 5.7.1");
		} else {
			ask(&c, "STARTTLS", "220 2.0.0");
			start_tls(&c);
			ask(&c, "EHLO x", "250-");
			assert_non_null(strstr(c.reply, "AUTH PLAIN LOGIN SCRAM-SHA-256"));
			ask(&c, line, "235 2.7.0");
			send_mail(&c, "a@shop.example", "b@x.example", "x\r\n");
		}
		quit(&c);
	}
	end_tls();
}

static void test_implicit(void **state)
{
	struct client c;

	make_tls("implicit");
	c = dial();
	start_tls(&c);
	expect(&c, "220 mx.shop.example");
	ask(&c, "EHLO x", "250-");
	assert_non_null(strstr(c.reply, "AUTH PLAIN"));
	assert_null(strstr(c.reply, "STARTTLS"));
	quit(&c);
	end_tls();
}

static void test_greeting_pause(void **state)
{
	struct client c, early;

	fx_begin(LISTENER(TRUSTED, "greeting_pause = \"2s\";"));
	c = dial();
	early = dial();
	say(&early, "EHLO x\r\n");
	expect(&early, "554 5.5.0");
	expect_end(&early);
	fx_wait(3 * DUR_S);
	expect(&c, "220 ");
	quit(&c);
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(t) cmocka_unit_test_setup_teardown(t, begin, end)
#define L(t) cmocka_unit_test_setup_teardown(t, begin_logins, end)
		T(test_conversation),
		T(test_pipelined),
		T(test_replies),
		T(test_smuggling),
		T(test_broken_off),
		T(test_too_many),
		T(test_content),
		T(test_chunks),
		T(test_time),
		L(test_plain),
		L(test_login),
		L(test_scram),
		cmocka_unit_test(test_scram_tells_no_names),
		L(test_failures),
		L(test_reload),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_starttls_after_login),
		cmocka_unit_test(test_must),
		cmocka_unit_test(test_auth_in_clear),
		cmocka_unit_test(test_implicit),
		cmocka_unit_test(test_greeting_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
