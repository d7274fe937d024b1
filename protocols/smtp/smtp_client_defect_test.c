/* The SMTP client has not what libesmtp had: each defect that facts/libesmtp.md lists, by its name
 * there; TLS and AUTH. */
#include "tests/smtp_client.h"

/* ---- what libesmtp did ---- */

/* 1: a server that drops the connection while answers are awaited crashed it. */
static void test_defect_1_drops(void **state)
{
	static const char *const drops[] = {
		"session\n" ENVELOPE "> 250 a\nclose",
		"session\n" ENVELOPE "> 250 a\nreset",
		"session\n" ENVELOPE "> 421 4.3.2 bye\nclose",
		"session\n" ENVELOPE "> 250 a\n> 421 bye\nclose",
		"session\n" ENVELOPE "> 250 a\nraw 250-x\\r\\nxyz\\r\\nidle",
		"session\n" ENVELOPE "> 250 a\nraw 250-x\\r\\nclose",
		"session\n" ENVELOPE "raw \\r\\n\\r\\n\\r\\nidle",
		"session\n" ENVELOPE "> 250 a\n> 250 b\nclose",
		"session\n" ENVELOPE "> 354 a\n> 354 b\n> 354 c\nidle",
		"session\n" ENVELOPE "> 250 a\n> 250 b\n> 250 c\nidle",
		"session\nreset",
		CHUNKING "< MAIL\n< RCPT\nclose",
		CHUNKING "< MAIL\n< RCPT\nbdat\n> 421 x\nclose",
	};

	for (size_t i = 0; i < sizeof drops / sizeof *drops; i++) {
		unsigned at[3];

		begin(SCRIPTS(drops[i]), i > 10 ? QUICK "chunking = \"on\";" : QUICK, 3);
		flow_window_is(true);
		for (int k = 0; k < 3; k++)
			at[k] = flow_send(mail);
		for (int k = 0; k < 3; k++) {
			struct outcome o = flow_fate(at[k]);

			if (i >= 11) /* with BDAT all of it was written */
				assert_int_not_equal(o.verdict, VERDICT_SENT);
			else
				assert_int_equal(o.verdict, VERDICT_RETRY);
		}
		end();
	}
}

/* 2: TLS 1.3 stalled. 3: contexts were used after free in the second session. 5: client
 * certificates were freed twice. */
static void test_defects_2_3_5_tls(void **state)
{
	char conf[1200];
	mono_t t = clock_mono();

	snprintf(conf, sizeof conf,
		QUICK "messages_per_connection = 1; tls = { mode = \"must\"; ca_file = \"%s\"; "
		      "cert_file = \"%s\"; key_file = \"%s\"; };",
		ca.cert_file, person.cert_file, person.key_file);
	begin(SCRIPTS("> 220 x\n< EHLO\n> 250-x\n> 250 STARTTLS\n< STARTTLS\n> 220 "
		      "go\ntls\nehlo\nmail\nidle"),
		conf, 1);
	flow_window_is(true);
	for (int i = 0; i < 20; i++)
		is_sent(flow_send(mail));
	assert_int_equal(peer.connections, 20);
	assert_int_equal(peer.certified, 20);
	end();
	assert_true(clock_mono() - t < 10 * DUR_S);
	snprintf(conf, sizeof conf, QUICK "tls = { mode = \"implicit\"; ca_file = \"%s\"; };",
		ca.cert_file);
	begin(SCRIPTS("tls\nsession\nmail\nmail\nidle"), conf, 2);
	flow_window_is(true);
	is_sent(flow_send(mail));
	is_sent(flow_send(mail));
	end();
}

/* 4: answers behind the 220 of STARTTLS were believed. */
static void test_defect_4_injection(void **state)
{
	static const char *const attacks[] = {
		"> 220 x\n< EHLO\n> 250-x\n> 250 STARTTLS\n< STARTTLS\nraw 220 go\\r\\n250 "
		"evil\\r\\n\ntls\nidle",
		"> 220 x\n< EHLO\n> 250-x\n> 250 STARTTLS\n< STARTTLS\nraw 220 "
		"go\\r\\n250\ntls\nidle",
		"> 220 x\n< EHLO\nraw 250-x\\r\\n250 STARTTLS\\r\\n220 go\\r\\n\ntls\nidle",
	};
	char conf[600];

	snprintf(conf, sizeof conf, QUICK "tls = { mode = \"must\"; ca_file = \"%s\"; };",
		ca.cert_file);
	for (size_t i = 0; i < 3; i++) {
		begin(SCRIPTS(attacks[i]), conf, 1);
		assert_true(flow_why_says(i < 2 ? "TLS" : ""));
		usleep(100000);
		flow_window_is(false);
		assert_int_equal(peer.mails, 0);
		assert_false(peer_heard("MAIL"));
		end();
	}
}

/* 6: 42 ms a mail for want of TCP_NODELAY. */
static void test_defect_6_nodelay(void **state)
{
	struct buf big = BUF_INIT;
	mono_t t;

	buf_c(&big, mail);
	while (big.n < 8000)
		buf_c(&big, "0123456789012345678901234567890123456789\r\n");
	begin(SCRIPTS("session\nmails"), QUICK, 2);
	flow_window_is(true);
	t = clock_mono();
	for (int i = 0; i < 100; i++)
		is_sent(flow_lend(mail_raw("a@us.example", "b@x.example", buf_view(&big))));
	assert_true(clock_mono() - t < 2 * DUR_S);
	buf_free(&big);
	end();
}

/* 7: a continuation line without an enhanced code ended the session. */
static void test_defect_7_missing_codes(void **state)
{
	begin(SCRIPTS("raw 220-a\\r\\n220-\\r\\n220 b\\r\\n\n< EHLO\nraw "
		      "250-x\\r\\n250-ENHANCEDSTATUSCODES\\r\\n250 PIPELINING\\r\\n\n" ENVELOPE
		      "raw 250-2.1.0 a\\r\\n250 b\\r\\n250-c\\r\\n250 2.1.5 d\\r\\n354-e\\r\\n354 "
		      "f\\r\\n\ndata\n"
		      "raw 250-2.0.0 queued\\r\\n250-more\\r\\n250\\r\\n\nidle"),
		QUICK, 1);
	flow_window_is(true);
	is_sent(flow_send(mail));
	end();
}

/* 8: after a refused AUTH mails went on without, and 530 looked like their fault. */
static void test_defect_8_auth(void **state)
{
	static const char *const refusals[] = {
		"> 220 x\n< EHLO\n> 250-x\n> 250 AUTH PLAIN\n< AUTH PLAIN\n> 535 5.7.8 no\nidle",
		"> 220 x\n< EHLO\n> 250-x\n> 250 AUTH PLAIN\n< AUTH PLAIN\n> 454 4.7.0 not "
		"now\nidle",
		"> 220 x\n< EHLO\n> 250-x\n> 250 AUTH CRAM-MD5 NTLM\nidle",
		"> 220 x\n< EHLO\n> 250 x\nidle",
		"> 220 x\n< EHLO\n> 250-x\n> 250 AUTH SCRAM-SHA-256\n< AUTH SCRAM-SHA-256\n> 235 "
		"fine\nidle",
		"> 220 x\n< EHLO\n> 250-x\n> 250 AUTH SCRAM-SHA-256\n< AUTH\n> 334 !!!\nidle",
	};

	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		begin(SCRIPTS(refusals[i]), QUICK "user = \"us\"; password = \"secret\";", 1);
		assert_true(flow_why_says("AUTH"));
		flow_window_is(false);
		usleep(50000);
		assert_false(peer_heard("MAIL"));
		end();
	}
	/* 530 and its kin are the channel's fault, not that of a mail. */
	begin(SCRIPTS("session\n" ENVELOPE
		      "> 530 5.7.0 Authentication required\n> 503 x\n> 503 x\nidle"),
		QUICK, 1);
	flow_window_is(true);
	is(flow_send(mail), VERDICT_RETRY, REASON_NOT_BOUND);
	assert_int_equal(flow_fate(0).scope, SCOPE_CHANNEL);
	end();
}

static void test_auth(void **state)
{
	begin(SCRIPTS("> 220 x\n< EHLO\n> 250-x\n> 250 AUTH LOGIN PLAIN\n< AUTH PLAIN "
		      "AHVzAHNlY3JldA==\n"
		      "> 235 2.7.0 ok\n< MAIL\n> 250 a\n< RCPT\n> 250 b\n< DATA\n> 354 "
		      "c\ndata\n" ANSWER_DONE "idle"),
		QUICK "user = \"us\"; password = \"secret\";", 1);
	flow_window_is(true);
	is_sent(flow_send(mail));
	end();
	begin(SCRIPTS("> 220 x\n< EHLO\n> 250-x\n> 250 AUTH LOGIN\n< AUTH LOGIN\n> 334 "
		      "VXNlcm5hbWU6\n< dXM=\n"
		      "> 334 UGFzc3dvcmQ6\n< c2VjcmV0\n> 235 ok\nidle"),
		QUICK "user = \"us\"; password = \"secret\";", 1);
	flow_window_is(true);
	end();
	begin(SCRIPTS("> 220 x\n< EHLO\n> 250-x\n> 250 AUTH XOAUTH2\n"
		      "< AUTH XOAUTH2 dXNlcj11cwFhdXRoPUJlYXJlciBzZWNyZXQBAQ==\n> 334 "
		      "eyJzdGF0dXMi\n"
		      "< \n> 535 5.7.8 token expired\nidle"),
		QUICK "user = \"us\"; password = \"secret\"; auth = \"xoauth2\";", 1);
	assert_true(flow_why_says("token expired"));
	end();
}

/* 9: a wrong certificate was no error. 16: another name than the configured one was checked, and
 * addresses in certificates were not known. */
static void test_defects_9_16_certificates(void **state)
{
	static const char script[] = "> 220 x\n< EHLO\n> 250-x\n> 250 STARTTLS\n< STARTTLS\n> 220 "
				     "go\ntls\nehlo\nmail\nidle";
	char conf[600];

	/* The system's authorities do not know ours. */
	begin(SCRIPTS(script), QUICK "tls = { mode = \"must\"; };", 1);
	assert_true(flow_why_says("certificate"));
	flow_window_is(false);
	assert_false(peer_heard("MAIL"));
	end();
	snprintf(conf, sizeof conf, QUICK "tls = { mode = \"must\"; ca_file = \"%s\"; };",
		ca.cert_file);
	peer.cert_file = elsewhere.cert_file;
	peer.key_file = elsewhere.key_file;
	begin(SCRIPTS(script), conf, 1);
	assert_true(flow_why_says("certificate is for"));
	flow_window_is(false);
	end();
	/* Opportunistic: it encrypts all the same. */
	begin(SCRIPTS(script), QUICK, 1);
	flow_window_is(true);
	is_sent(flow_send(mail));
	end();
	/* … unless verify was asked for. */
	begin(SCRIPTS(script), QUICK "tls = { mode = \"may\"; verify = true; };", 1);
	assert_true(flow_why_says("certificate"));
	end();
	peer.cert_file = good.cert_file;
	peer.key_file = good.key_file;
	begin(SCRIPTS(script), conf, 1); /* IP:127.0.0.1 */
	flow_window_is(true);
	is_sent(flow_send(mail));
	end();
}

static void test_tls_that_does_not_work(void **state)
{
	/* "may" goes on without, "must" does not. */
	begin(SCRIPTS("> 220 x\n< EHLO\n> 250-x\n> 250 STARTTLS\n< STARTTLS\n> 220 go\nheard\nraw "
		      "garbage\\r\\n\nidle",
		      "> 220 x\n< EHLO\n> 250-x\n> 250-STARTTLS\n> 250 PIPELINING\nmail\nidle"),
		QUICK, 1);
	flow_window_is(true);
	is_sent(flow_send(mail));
	end();
	begin(SCRIPTS("> 220 x\n< EHLO\n> 250-x\n> 250-PIPELINING\n> 250 STARTTLS\n< STARTTLS\n> "
		      "454 no\nmail\nidle"),
		QUICK, 1);
	flow_window_is(true);
	is_sent(flow_send(mail));
	end();
	begin(SCRIPTS("session\nmail\nidle"), QUICK "tls = { mode = \"must\"; };", 1);
	assert_true(flow_why_says("STARTTLS is not offered"));
	assert_false(peer_heard("MAIL"));
	end();
}

/* "may" with a far side whose TLS does not even fail: it hangs, or hangs up. */
static void test_tls_that_hangs(void **state)
{
	static const char *const scripts[] = {
		"> 220 x\n< EHLO\n> 250-x\n> 250 STARTTLS\n< STARTTLS\n> 220 go\nidle",
		"> 220 x\n< EHLO\n> 250-x\n> 250 STARTTLS\n< STARTTLS\n> 220 go\nclose",
		"> 220 x\n< EHLO\n> 250-x\n> 250 STARTTLS\n< STARTTLS\nidle",
		"> 220 x\n< EHLO\n> 250-x\n> 250 STARTTLS\n< STARTTLS\nclose",
		"> 220 x\n< EHLO\n> 250-x\n> 250 STARTTLS\n< STARTTLS\n> 220 go\ntls\nclose",
		"> 220 x\n< EHLO\n> 250-x\n> 250 STARTTLS\n< STARTTLS\n> 220 go\ntls\nidle",
	};
	static const char clear[] =
		"> 220 x\n< EHLO\n> 250-x\n> 250-STARTTLS\n> 250 PIPELINING\nmail\nidle";

	for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
		begin(SCRIPTS(scripts[i], clear),
			QUICK "timeouts = { connect = \"300ms\"; helo = \"300ms\"; };", 1);
		flow_window_is(true);
		is_sent(flow_send(mail));
		assert_true(peer.connections >= 2);
		end();
		/* It must be TLS: nothing goes in clear. */
		begin(SCRIPTS(scripts[i]),
			QUICK "timeouts = { connect = \"300ms\"; helo = \"300ms\"; };"
			      "tls = { mode = \"must\"; verify = false; };",
			1);
		for (int tries = 0; tries < 5000 && peer.connections < 2; tries++)
			usleep(1000);
		assert_true(peer.connections >= 2);
		assert_false(peer_heard("MAIL"));
		flow_window_is(false);
		end();
	}
}

/* 10: a mail that was not delivered could carry 250 or 354. */
static void test_defect_10_no_false_250(void **state)
{
	unsigned at;

	/* 354 was the last thing said, and then nothing */
	begin(SCRIPTS("session\n" ENVELOPE "> 250 a\n> 250 b\n> 354 c\nreset"), QUICK, 1);
	flow_window_is(true);
	at = flow_send(mail);
	assert_int_not_equal(flow_fate(at).verdict, VERDICT_SENT);
	end();
	/* 250 comes for what was not asked yet: nothing after it counts */
	begin(SCRIPTS("session\nraw 250 2.0.0 queued as 1\\r\\n250 a\\r\\n250 b\\r\\n\nidle"),
		QUICK, 1);
	usleep(100000);
	at = flow_send(mail);
	assert_int_not_equal(flow_fate(at).verdict, VERDICT_SENT);
	assert_int_equal(peer.mails, 0);
	end();
}

/* 13: octets of 0x80 and more in EHLO's lines indexed a table with a negative number. 17: more than
 * 1,023 octets in a line lost count. */
static void test_defects_13_17_replies(void **state)
{
	struct buf script = BUF_INIT;

	buf_c(&script,
		"raw 220 \x80\xff\xfe\\r\\n\n< EHLO\nraw 250-\xff\xfe\\r\\n250-\x80SIZE 12\\r\\n"
		"250-AUTH=\xff\\r\\n250-PIPELINING\\r\\n250 X");
	for (int i = 0; i < 3000; i++)
		buf_c(&script, "y");
	buf_c(&script, "\\r\\n\n" ENVELOPE "raw 250 ");
	for (int i = 0; i < 2000; i++)
		buf_c(&script, "\xe9");
	buf_c(&script, "\\r\\n250 b\\r\\n354 c\\r\\n\ndata\nraw 250 \x00f\x80\\r\\n\nidle");
	begin(SCRIPTS(buf_cstr(&script)), QUICK, 1);
	flow_window_is(true);
	is_sent(flow_send(mail));
	end();
	buf_free(&script);
	/* and one without an end */
	for (int i = 0; i < 4000; i++)
		buf_c(&script, "raw 250-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\r\\n\n");
	begin(SCRIPTS("idle"), QUICK, 1);
	end();
	{
		struct buf all = BUF_INIT;

		buf_c(&all, "> 220 x\n< EHLO\n");
		buf_str(&all, buf_view(&script));
		buf_c(&all, "idle");
		begin(SCRIPTS(buf_cstr(&all)), QUICK, 1);
		assert_true(flow_why_says("a reply of more than"));
		end();
		buf_free(&all);
	}
	buf_free(&script);
}

/* 14: SIGPIPE ended the process. Here it keeps its deadly default. */
static void test_defect_14_sigpipe(void **state)
{
	struct buf big = BUF_INIT;

	buf_c(&big, mail);
	while (big.n < 3000000)
		buf_c(&big, "0123456789012345678901234567890123456789\r\n");
	begin(SCRIPTS("> 220 x\n< EHLO\n> 250-x\n> 250 PIPELINING\n" ENVELOPE
		      "> 250 a\n> 250 b\n> 354 c\nreset",
		      "session\nidle"),
		QUICK, 1);
	flow_window_is(true);
	assert_int_not_equal(
		flow_fate(flow_lend(mail_raw("a@us.example", "b@x.example", buf_view(&big))))
			.verdict,
		VERDICT_SENT);
	buf_free(&big);
	end();
}

/* 18: one 8-bit mail ended the whole session when 8BITMIME was not offered. */
static void test_defect_18_eight_bits(void **state)
{
	struct outcome o;

	begin(SCRIPTS("> 220 x\n< EHLO\n> 250-x\n> 250 PIPELINING\nmail\nmail\nidle"), QUICK, 1);
	flow_window_is(true);
	is_sent(flow_send(mail));
	o = flow_fate(flow_send("A: b\r\n\r\ncaf\xc3\xa9\r\n"));
	if (o.verdict != VERDICT_SENT)
		assert_string_equal(o.err, "5.6.3");
	else
		assert_null(memchr(peer.data.p, '\xc3', peer.data.n));
	if (o.verdict != VERDICT_SENT)
		is_sent(flow_send(mail));
	assert_int_equal(peer.connections, 1);
	end();
	begin(SCRIPTS("session\nmail\nidle"), QUICK, 1);
	flow_window_is(true);
	is_sent(flow_send("A: b\r\n\r\ncaf\xc3\xa9\r\n"));
	assert_true(peer_heard("BODY=8BITMIME"));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_defect_1_drops),
		T(test_defects_2_3_5_tls),
		T(test_defect_4_injection),
		T(test_defect_6_nodelay),
		T(test_defect_7_missing_codes),
		T(test_defect_8_auth),
		T(test_auth),
		T(test_defects_9_16_certificates),
		T(test_tls_that_does_not_work),
		T(test_tls_that_hangs),
		T(test_defect_10_no_false_250),
		T(test_defects_13_17_replies),
		T(test_defect_14_sigpipe),
		T(test_defect_18_eight_bits),
	};

	return RUN("smtp client, defects", tests);
}
