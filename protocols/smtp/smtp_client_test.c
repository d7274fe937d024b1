/* The SMTP client against servers that behave as scripts say: the ordinary road, and each defect
 * that facts/libesmtp.md lists, by its name there. */
#include "tests/smtp_peer.h"

static const char mail[] = "From: shop@us.example\r\nSubject: hi\r\n\r\nHello.\r\n";
static char dir[] = "/tmp/postern-smtp-XXXXXX";
static struct test_cert ca, good, elsewhere, person;

#define ANSWER_DONE "> 250 2.0.0 Ok: queued as ABC123\n"
#define ENVELOPE    "< MAIL\n< RCPT\n< DATA\n"
#define CHUNKING    "> 220 x\n< EHLO\n> 250-x\n> 250-PIPELINING\n> 250 CHUNKING\n"

static void is_sent(unsigned at)
{
	struct outcome o = flow_fate(at);

	if (o.verdict != VERDICT_SENT)
		fail_msg("not sent: %s: %s", reason_word(o.reason), o.words);
	assert_true(o.final_word);
}

static void is(unsigned at, enum verdict v, enum reason r)
{
	struct outcome o = flow_fate(at);

	if (o.verdict != v || o.reason != r)
		fail_msg("verdict %d, %s: %s", o.verdict, reason_word(o.reason), o.words);
}

static bool peer_heard(const char *what)
{
	bool there;

	pthread_mutex_lock(&peer.lock);
	there = str_find(buf_view(&peer.lines), str_of(what)) >= 0;
	pthread_mutex_unlock(&peer.lock);
	return there;
}

static void begin(const char *const *scripts, const char *conf, int window)
{
	peer_start(scripts);
	flow_start(conf, 1, window);
}

static void end(void)
{
	flow_stop();
	peer_stop();
}

#define SCRIPTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* ---- the ordinary road ---- */

static struct message *mail_spooled(const char *name, size_t size)
{
	struct message *m;
	struct draft d;
	char value[100];

	draft_init(&d);
	d.head.media = MEDIA_EMAIL;
	d.head.flags = MSG_OCTETS;
	draft_put(&d, FIELD_FROM, STR("a@us.example"));
	draft_put(&d, FIELD_TO, STR("b@peer.example"));
	snprintf(value, sizeof value, "octets:%s:%zu", name, size);
	draft_put(&d, FIELD_SPOOL, str_of(value));
	m = draft_seal(&d);
	draft_free(&d);
	return m;
}

static void test_sends(void **state)
{
	struct outcome o;

	begin(SCRIPTS("session\nmail\nmail\nmail\nidle"), QUICK, 2);
	flow_window_is(true);
	assert_int_equal(flow.window, 2);
	for (int i = 0; i < 3; i++) {
		o = flow_fate(flow_send(mail));
		assert_int_equal(o.verdict, VERDICT_SENT);
		assert_string_equal(o.far_id, "ABC123");
	}
	assert_int_equal(peer.connections, 1);
	assert_true(peer_heard("EHLO us.example\n"));
	assert_true(
		peer_heard("MAIL FROM:<shop@us.example> SIZE=46\nRCPT TO:<ann@peer.example>\n"));
	end();
}

/* RFC 2920 §3.1: the end of one mail and the next one's envelope come in one piece. */
static void test_one_round_trip(void **state)
{
	unsigned at[3];

	begin(SCRIPTS("session\n" ENVELOPE "> 250 a\n> 250 b\n> 354 c\ndata\n" ENVELOPE ANSWER_DONE
		      "> 250 a\n> 250 b\n> 354 c\ndata\n" ANSWER_DONE "mail\nidle"),
		QUICK, 2);
	flow_window_is(true);
	for (int i = 0; i < 3; i++)
		at[i] = flow_send(mail);
	for (int i = 0; i < 3; i++)
		is_sent(at[i]);
	end();
}

static void test_without_pipelining(void **state)
{
	unsigned at[2];

	begin(SCRIPTS("> 220 x\n< EHLO\n> 250 x\n< MAIL\nsleep 20\n> 250 a\n< RCPT\nsleep 20\n> "
		      "250 b\n"
		      "< DATA\nsleep 20\n> 354 c\ndata\nsleep 20\n" ANSWER_DONE
		      "< MAIL\n> 250 a\n< RCPT\n> 550 5.1.1 no such user\n< RSET\n> 250 ok\nidle"),
		QUICK, 2);
	flow_window_is(true);
	at[0] = flow_send(mail);
	at[1] = flow_send(mail);
	is_sent(at[0]);
	is(at[1], VERDICT_FAILED, REASON_FAR_DESTINATION);
	assert_true(flow_fate(at[1]).dead);
	assert_string_equal(flow_fate(at[1]).err, "5.1.1");
	end();
}

static void test_helo_only(void **state)
{
	begin(SCRIPTS("> 220 x\n< EHLO\n> 502 what?\n< HELO\n> 250 old\n< MAIL\n> 250 a\n< RCPT\n> "
		      "250 b\n"
		      "< DATA\n> 354 c\ndata\n" ANSWER_DONE "idle"),
		QUICK, 1);
	flow_window_is(true);
	is_sent(flow_send(mail));
	assert_true(peer_heard("MAIL FROM:<shop@us.example>\n"));
	end();
}

static void test_refused_recipient_between(void **state)
{
	unsigned at[3];

	begin(SCRIPTS("session\nmail\n" ENVELOPE
		      "> 250 a\n> 550 5.1.1 unknown\n> 554 no valid recipients\n"
		      "< RSET\n> 250 ok\nmail\n"
		      /* and one that goes on with DATA all the same */
		      ENVELOPE
		      "> 250 a\n> 450 4.2.0 Greylisted\n> 354 go\ndata\n> 554 nobody\nmail\nidle"),
		QUICK, 1);
	flow_window_is(true);
	is_sent(flow_send(mail));
	is(flow_send(mail), VERDICT_FAILED, REASON_FAR_DESTINATION);
	is_sent(flow_send(mail));
	is(flow_send(mail), VERDICT_RETRY, REASON_TEMPORARY);
	at[0] = flow_send(mail);
	is_sent(at[0]);
	/* What was not to be sent was not. */
	assert_int_equal(peer.mails, 4);
	end();
}

static void test_refused_at_mail(void **state)
{
	struct outcome o;

	begin(SCRIPTS("session\n" ENVELOPE
		      "> 550 5.1.0 sender rejected: user unknown\n> 503 x\n> 503 x\n"
		      "mail\nidle"),
		QUICK, 2);
	flow_window_is(true);
	o = flow_fate(flow_send(mail));
	assert_int_equal(o.verdict, VERDICT_FAILED);
	assert_int_not_equal(o.reason, REASON_FAR_DESTINATION);
	assert_false(o.dead);
	is_sent(flow_send(mail));
	end();
}

static void test_refused_content(void **state)
{
	unsigned at[2];

	begin(SCRIPTS("session\n" ENVELOPE "> 250 a\n> 250 b\n> 354 c\ndata\n" ENVELOPE
		      "> 554 5.7.1 Message rejected as spam\n> 250 a\n> 250 b\n> 354 "
		      "c\ndata\n" ANSWER_DONE "idle"),
		QUICK, 2);
	flow_window_is(true);
	at[0] = flow_send(mail);
	at[1] = flow_send(mail);
	assert_int_equal(flow_fate(at[0]).verdict, VERDICT_FAILED);
	is_sent(at[1]);
	end();
}

static void test_503_is_the_connections_trouble(void **state)
{
	begin(SCRIPTS("session\n" ENVELOPE "> 503 5.5.1 nested MAIL\n> 250 b\n> 354 c\nidle",
		      "session\nmail\nidle"),
		QUICK, 1);
	flow_window_is(true);
	is(flow_send(mail), VERDICT_RETRY, REASON_TEMPORARY);
	flow_window_is(true);
	is_sent(flow_send(mail));
	end();
}

static void test_421(void **state)
{
	struct outcome o;

	begin(SCRIPTS("session\nmail\n< MAIL\n> 421 4.7.0 too many messages, slow down\nclose",
		      "session\nmail\nidle"),
		QUICK, 1);
	flow_window_is(true);
	is_sent(flow_send(mail));
	o = flow_fate(flow_send(mail));
	assert_int_equal(o.reason, REASON_THROTTLED);
	assert_int_equal(o.scope, SCOPE_CHANNEL);
	flow_window_is(true);
	is_sent(flow_send(mail));
	end();
}

static void test_rate_answers_slow_the_channel(void **state)
{
	begin(SCRIPTS("session\n" ENVELOPE
		      "> 250 a\n> 450 4.7.1 Rate limit exceeded\n> 554 x\n< RSET\n> 250 k\n"
		      "mail\nidle"),
		QUICK, 1);
	flow_window_is(true);
	is(flow_send(mail), VERDICT_RETRY, REASON_THROTTLED);
	is_sent(flow_send(mail));
	end();
}

static void test_rests_and_comes_again(void **state)
{
	begin(SCRIPTS("session\nmail\n< QUIT\nclose", "session\nmail\nclose",
		      "session\nmail\nidle"),
		QUICK "idle = \"50ms\";", 1);
	flow_window_is(true);
	is_sent(flow_send(mail));
	usleep(200000); /* we leave */
	assert_int_equal(flow.window, 1);
	is_sent(flow_send(mail));
	usleep(20000); /* the server leaves */
	is_sent(flow_send(mail));
	end();
}

static void test_mails_per_connection(void **state)
{
	begin(SCRIPTS("session\nmail\nmail\n< QUIT\nclose"), QUICK "messages_per_connection = 2;",
		4);
	flow_window_is(true);
	for (int i = 0; i < 6; i++)
		is_sent(flow_send(mail));
	assert_int_equal(peer.connections, 3);
	end();
}

/* Nobody waits for an answer to QUIT. */
static void test_quit_delays_nothing(void **state)
{
	mono_t t;

	begin(SCRIPTS("session\nmail\n< QUIT\nsleep 3000\nclose"),
		QUICK "messages_per_connection = 1;", 1);
	flow_window_is(true);
	t = clock_mono();
	is_sent(flow_send(mail));
	is_sent(flow_send(mail));
	is_sent(flow_send(mail));
	assert_true(clock_mono() - t < 2 * DUR_S);
	end();
}

/* ---- where a connection ends ---- */

static void test_lost_after_the_dot(void **state)
{
	begin(SCRIPTS("session\n" ENVELOPE "> 250 a\n> 250 b\n> 354 c\ndata\nclose",
		      "session\nmail\nidle"),
		QUICK, 1);
	flow_window_is(true);
	is(flow_send(mail), VERDICT_UNCERTAIN, REASON_LOST);
	flow_window_is(true);
	is_sent(flow_send(mail));
	end();
}

static void test_no_answer_after_the_dot(void **state)
{
	begin(SCRIPTS("session\n" ENVELOPE "> 250 a\n> 250 b\n> 354 c\ndata\nidle",
		      "session\nmail\nidle"),
		QUICK "timeouts = { done = \"200ms\"; };", 1);
	flow_window_is(true);
	is(flow_send(mail), VERDICT_UNCERTAIN, REASON_TIMEOUT);
	flow_window_is(true);
	is_sent(flow_send(mail));
	end();
}

static void test_timeouts_before_the_dot(void **state)
{
	static const struct {
		const char *script, *conf;
	} cases[] = {
		{ "session\n< MAIL\nidle", "mail = \"150ms\";" },
		{ "session\n< MAIL\n> 250 a\nidle", "rcpt = \"150ms\";" },
		{ "session\n< MAIL\n> 250 a\n> 250 b\nidle", "data = \"150ms\";" },
	};

	for (size_t i = 0; i < 3; i++) {
		char conf[300];

		snprintf(conf, sizeof conf, QUICK "timeouts = { %s };", cases[i].conf);
		begin(SCRIPTS(cases[i].script), conf, 1);
		flow_window_is(true);
		is(flow_send(mail), VERDICT_RETRY, REASON_TEMPORARY);
		end();
	}
}

static void test_slow_beginnings(void **state)
{
	static const struct {
		const char *script, *conf, *says;
	} cases[] = {
		{ "idle", "greeting = \"150ms\";", "greeting" },
		{ "> 220 x\nidle", "helo = \"150ms\";", "EHLO" },
		{ "> 554 5.7.1 go away\nidle", "", "go away" },
		{ "> 421 4.3.2 later\nclose", "", "later" },
		{ "> 220 x\n< EHLO\n> 421 no\nclose", "", "EHLO refused" },
		{ "close", "", "connection lost" },
		{ "raw SSH-2.0-OpenSSH_9.2\\r\\n", "", "no SMTP reply" },
		{ "raw 220 a\\r\\n220 b\\r\\nidle", "", "more than a greeting" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char conf[300];

		snprintf(conf, sizeof conf, QUICK "timeouts = { %s };", cases[i].conf);
		begin(SCRIPTS(cases[i].script, "session\nmail\nidle"), conf, 1);
		/* and it comes back by itself */
		flow_window_is(true);
		is_sent(flow_send(mail));
		end();
		begin(SCRIPTS(cases[i].script), conf, 1);
		assert_true(flow_why_says(cases[i].says));
		flow_window_is(false);
		end();
	}
}

static void test_backup_host(void **state)
{
	char conf[200];

	peer_start(SCRIPTS("session\nmail\nidle"));
	/* port 1 of the first host has nobody */
	snprintf(conf, sizeof conf, QUICK "backup = [ \"127.0.0.1:%u\" ];", peer.port);
	peer.port = 1;
	flow_start(conf, 1, 1);
	flow_window_is(true);
	is_sent(flow_send(mail));
	end();
}

/* ---- content ---- */

static void sends_as(const char *octets, size_t n, const char *want)
{
	peer_start(SCRIPTS("session\nmail\nidle"));
	flow_start(QUICK, 1, 1);
	flow_window_is(true);
	is_sent(flow_lend(mail_raw("a@us.example", "b@peer.example", str_n(octets, n))));
	assert_int_equal(peer.data.n, strlen(want));
	assert_memory_equal(peer.data.p, want, strlen(want));
	end();
}
#define SENDS_AS(octets, want) sends_as(octets, sizeof octets - 1, want)

/* 11: bare LF passes and dots behind it are not stuffed: smuggling. */
static void test_defect_11_smuggling(void **state)
{
	SENDS_AS("A: b\r\n\r\nx\n.\r\nMAIL FROM:<evil@x>\r\n",
		"A: b\r\n\r\nx\r\n..\r\nMAIL FROM:<evil@x>\r\n");
	SENDS_AS("A: b\r\n\r\nx\r\n.\nMAIL\r\n", "A: b\r\n\r\nx\r\n..\r\nMAIL\r\n");
	SENDS_AS("A: b\r\n\r\nx\n.\nMAIL\n", "A: b\r\n\r\nx\r\n..\r\nMAIL\r\n");
	SENDS_AS("A: b\r\n\r\nx\r.\rMAIL\r\n", "A: b\r\n\r\nx . MAIL\r\n");
	SENDS_AS("A: b\r\n\r\nx\r\r\n.\r\r\n", "A: b\r\n\r\nx \r\n.. \r\n");
	SENDS_AS("A: b\r\n\r\nx\r\n.\r", "A: b\r\n\r\nx\r\n.. \r\n");
	SENDS_AS("A: b\r\n\r\n.", "A: b\r\n\r\n..\r\n");
	SENDS_AS("A: b\r\n\r\n..", "A: b\r\n\r\n...\r\n");
	SENDS_AS(".", "..\r\n");
}

/* Over every cut of the input the output is the same. */
static void test_wire_text_cut_anywhere(void **state)
{
	static const char in[] = "a\r\n.b\r\n\r\n..\r\nc\rd\n.e\r\r\n.\r\nf\r\r\r\ng";
	struct buf whole = BUF_INIT, cut = BUF_INIT;
	struct wire_text t = { 0 };

	wire_text_put(&t, str_of(in), &whole);
	wire_text_end(&t, &whole);
	for (size_t i = 0; i <= sizeof in - 1; i++) {
		for (size_t j = i; j <= sizeof in - 1; j++) {
			t = (struct wire_text){ 0 };
			buf_reset(&cut);
			wire_text_put(&t, str_n(in, i), &cut);
			wire_text_put(&t, str_n(in + i, j - i), &cut);
			wire_text_put(&t, str_n(in + j, sizeof in - 1 - j), &cut);
			wire_text_end(&t, &cut);
			assert_int_equal(cut.n, whole.n);
			assert_memory_equal(cut.p, whole.p, whole.n);
		}
	}
	buf_free(&whole);
	buf_free(&cut);
}

/* 15: headers were dropped, added and reordered. */
static void test_defect_15_octets_untouched(void **state)
{
	static const char odd[] =
		"To: a@x\r\nTo: b@x\r\nBcc: c@x\r\nReturn-Path: <q>\r\nX:\r\n\t fold\r\n"
		"Received: x\r\n\r\n\r\nbody\t \r\n";

	SENDS_AS(odd, odd);
}

/* A big mail's chunks go without waiting for each answer, but not for ever without any; and when
 * one is refused the answers to those behind it are still awaited. */
static void test_spool_chunks(void **state)
{
	struct buf big = BUF_INIT;
	struct spool_writer *w;
	char name[SPOOL_NAME];
	struct err e;

	for (int i = 0; i < 70000; i++)
		buf_printf(&big, "a line of many, %d\r\n", i);
	flow.c.spool = spool_open(dir, &e);
	assert_non_null(flow.c.spool);
	w = spool_begin(flow.c.spool, &e);
	for (int i = 0; i < 10; i++)
		assert_int_equal(spool_write(w, big.p, big.n, &e), 0);
	assert_int_equal(spool_finish(&w, name, &e), 0);

	begin(SCRIPTS(CHUNKING
		      "< MAIL\n< RCPT\n> 250 a\n> 250 b\nbdat\nbdat\nsleep 100\n> 552 5.3.4 "
		      "too big\n> 503 5.5.1 no\nbdats 503 5.5.1 no\n"
		      "< MAIL\n< RCPT\nbdat\n> 250 a\n> 250 b\n" ANSWER_DONE "idle"),
		QUICK "chunking = \"on\";", 1);
	flow_window_is(true);
	is(flow_lend(mail_spooled(name, big.n * 10)), VERDICT_FAILED, REASON_TOO_LONG);
	is_sent(flow_send(mail));
	assert_int_equal(peer.connections, 1);
	end();

	begin(SCRIPTS(CHUNKING "< MAIL\n< RCPT\n> 250 a\n> 250 b\nbdat\nbdat\nbdat\nbdat\nbdat\n"
			       "bdat\nbdat\nbdat\nbdat\nbdat\nbdat\nbdat\nidle"),
		QUICK "chunking = \"on\"; timeouts = { block = \"200ms\"; };", 1);
	flow_window_is(true);
	is(flow_lend(mail_spooled(name, big.n * 10)), VERDICT_RETRY, REASON_TEMPORARY);
	assert_in_range(peer.mails, 1, 8);
	end();
	spool_close(&flow.c.spool);
	buf_free(&big);
}

static void test_spool(void **state)
{
	struct buf big = BUF_INIT, want = BUF_INIT;
	struct wire_text t = { 0 };
	struct spool_writer *w;
	char name[SPOOL_NAME], bigger[SPOOL_NAME], value[100];
	struct draft d;
	struct err e;
	struct message *m;

	for (int i = 0; i < 70000; i++)
		buf_printf(&big, "%s line %d of many\r\n", i % 7 ? "a" : ".", i);
	wire_text_put(&t, buf_view(&big), &want);
	flow.c.spool = spool_open(dir, &e);
	assert_non_null(flow.c.spool);
	w = spool_begin(flow.c.spool, &e);
	assert_int_equal(spool_write(w, big.p, big.n, &e), 0);
	assert_int_equal(spool_finish(&w, name, &e), 0);
	w = spool_begin(flow.c.spool, &e); /* more than sockets hold */
	for (int i = 0; i < 20; i++)
		assert_int_equal(spool_write(w, big.p, big.n, &e), 0);
	assert_int_equal(spool_finish(&w, bigger, &e), 0);
	for (int round = 0; round < 3; round++) {
		static const char *const scripts[] = { "session\nmail\nidle",
			"> 220 x\n< EHLO\n> 250-x\n> 250-PIPELINING\n> 250 CHUNKING\n< MAIL\n< "
			"RCPT\n"
			"> 250 a\n> 250 b\n"
			"bdat\n> 250 k\nbdat\n> 250 k\nbdat\n> 250 k\nbdat\n> 250 k\nbdat\n> 250 "
			"k\n"
			"bdat\n" ANSWER_DONE "idle",
			/* dies in the middle of it */
			"> 220 x\n< EHLO\n> 250-x\n> 250 PIPELINING\n" ENVELOPE
			"> 250 a\n> 250 b\n> 354 c\nsleep 100\nreset" };

		begin(SCRIPTS(scripts[round]), round == 1 ? QUICK "chunking = \"on\";" : QUICK, 1);
		flow_window_is(true);
		draft_init(&d);
		d.head.media = MEDIA_EMAIL;
		d.head.flags = MSG_OCTETS;
		draft_put(&d, FIELD_FROM, STR("a@us.example"));
		draft_put(&d, FIELD_TO, STR("b@peer.example"));
		snprintf(value, sizeof value, "octets:%s:%zu", round == 2 ? bigger : name, big.n);
		draft_put(&d, FIELD_SPOOL, str_of(value));
		m = draft_seal(&d);
		draft_free(&d);
		if (round == 2) {
			is(flow_lend(m), VERDICT_RETRY, REASON_TEMPORARY);
			end();
			break;
		}
		is_sent(flow_lend(m));
		assert_int_equal(peer.data.n, round ? big.n : want.n);
		assert_memory_equal(peer.data.p, round ? big.p : want.p, peer.data.n);
		end();
	}
	spool_close(&flow.c.spool);
	buf_free(&big);
	buf_free(&want);
}

static void test_size(void **state)
{
	struct buf big = BUF_INIT;
	struct outcome o;

	buf_c(&big, mail);
	while (big.n < 60000)
		buf_c(&big, "0123456789012345678901234567890123456789\r\n");
	begin(SCRIPTS("> 220 x\n< EHLO\n> 250-x\n> 250-PIPELINING\n> 250 SIZE 50000\nmail\nidle"),
		QUICK, 1);
	flow_window_is(true);
	o = flow_fate(flow_lend(mail_raw("a@us.example", "b@x.example", buf_view(&big))));
	assert_int_equal(o.verdict, VERDICT_FAILED);
	assert_int_equal(o.reason, REASON_TOO_LONG);
	assert_string_equal(o.err, "5.3.4");
	is_sent(flow_send(mail));
	assert_int_equal(peer.mails, 1);
	buf_free(&big);
	end();
}

static void test_smtputf8(void **state)
{
	begin(SCRIPTS("session\nmail\nidle"), QUICK, 1);
	flow_window_is(true);
	is_sent(flow_lend(mail_raw("a@us.example", "jos\xc3\xa9@x.example", str_of(mail))));
	assert_true(peer_heard("SIZE=46 SMTPUTF8"));
	end();
	begin(SCRIPTS("> 220 x\n< EHLO\n> 250-x\n> 250 PIPELINING\nmail\nidle"), QUICK, 1);
	flow_window_is(true);
	assert_string_equal(flow_fate(flow_lend(mail_raw("a@us.example", "jos\xc3\xa9@x.example",
					      str_of(mail))))
				    .err,
		"5.6.7");
	is_sent(flow_send(mail));
	end();
}

/* A domain beyond ASCII needs no SMTPUTF8: it goes in its ASCII form. */
static void test_idn(void **state)
{
	begin(SCRIPTS("> 220 x\n< EHLO\n> 250-x\n> 250 PIPELINING\nmail\nidle"), QUICK, 1);
	flow_window_is(true);
	is_sent(flow_lend(
		mail_raw("a@aff\xc3\xa4r.example", "b@r\xc3\xb6st.example", str_of(mail))));
	assert_true(peer_heard("MAIL FROM:<a@xn--affr-noa.example>"));
	assert_true(peer_heard("RCPT TO:<b@xn--rst-sna.example>"));
	end();
}

static void test_addresses_inject_nothing(void **state)
{
	static const char *const bad[] = { "a@x>\r\nRCPT TO:<evil@x", "a@x\r\nDATA", "a@x> SIZE=1",
		"a b@x", "<a@x", "a\tb@x", "nobody", "\x80@x", "a\x7f@x" };

	begin(SCRIPTS("session\nmail\nidle"), QUICK, 1);
	flow_window_is(true);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		is(flow_lend(mail_raw("a@us.example", bad[i], str_of(mail))), VERDICT_FAILED,
			REASON_BAD_DESTINATION);
		is(flow_lend(mail_raw(bad[i], "b@x.example", str_of(mail))), VERDICT_FAILED,
			REASON_BAD_SENDER);
	}
	is_sent(flow_send(mail));
	assert_int_equal(peer.mails, 1);
	end();
}

/* 12: ENVID and ORCPT beyond 254 octets overran a buffer. */
static void test_defect_12_long_parameters(void **state)
{
	static const size_t lengths[] = { 10, 90, 254, 400, 2000 };
	char text[2100];

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct mail_envelope v = { .notify = NOTIFY_SUCCESS | NOTIFY_FAILURE,
			.ret = RET_HDRS };
		struct draft d;
		struct message *m;

		memset(text, '+', sizeof text);
		memcpy(text, "rfc822;", 7);
		v.envid = str_n(text + 7, lengths[i]);
		v.orcpt = str_n(text, lengths[i]);
		begin(SCRIPTS("session\nmail\nidle"), QUICK, 1);
		flow_window_is(true);
		m = mail_raw("a@us.example", "b@x.example", str_of(mail));
		draft_init(&d);
		draft_copy(&d, m, 0);
		mail_envelope_put(&d, &v);
		message_unref(&m);
		m = draft_seal(&d);
		draft_free(&d);
		is_sent(flow_lend(m));
		assert_true(peer_heard(" RET=HDRS"));
		assert_true(peer_heard(" NOTIFY=SUCCESS,FAILURE"));
		assert_int_equal(peer_heard("ENVID="), lengths[i] * 3 <= 100);
		assert_int_equal(peer_heard("ORCPT=rfc822;+2B"), lengths[i] < 170);
		end();
	}
}

static void test_verp(void **state)
{
	struct message *m;
	struct draft d;

	flow.mail = (struct mail_conf){ .secret = "0123456789abcdef0123",
		.bounce_domain = "bounce.us.example",
		.bounce_life = 30 * DUR_DAY };
	begin(SCRIPTS("session\nmail\nmail\nidle"), QUICK, 1);
	flow_window_is(true);
	is_sent(flow_send(mail));
	assert_true(peer_heard("@bounce.us.example>"));
	assert_false(peer_heard("shop@us.example"));
	assert_true(peer_heard("NOTIFY=FAILURE,DELAY\n"));
	m = mail_raw("", "a@x.example", str_of(mail));
	draft_init(&d);
	draft_copy(&d, m, 0);
	d.head.flags |= MSG_REPORT;
	message_unref(&m);
	m = draft_seal(&d);
	draft_free(&d);
	is_sent(flow_lend(m));
	assert_true(peer_heard("MAIL FROM:<>"));
	end();
}

/* Who took NOTIFY=SUCCESS reports itself: to our bounce address, which is awaited, or to the
 * sender, to whom we then say nothing. */
static void test_promised(void **state)
{
	static const struct {
		const char *script;
		bool ours;
		uint8_t notify;
		bool final, told;
	} v[] = {
		{ "session\nmail\nidle", true, NOTIFY_SUCCESS, false, false },
		{ "session\nmail\nidle", true, NOTIFY_FAILURE, true, false },
		{ "session\nmail\nidle", false, NOTIFY_SUCCESS | NOTIFY_DELAY, true, true },
		{ "session\nmail\nidle", false, 0, true, false },
		{ "> 220 x\n< EHLO\n> 250-x\n> 250 PIPELINING\nmail\nidle", true, NOTIFY_SUCCESS,
			true, false },
	};

	for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
		struct mail_envelope e = {
			.notify = v[i].notify, .envid = STR_NONE, .orcpt = STR_NONE
		};
		struct message *m;
		struct outcome o;
		struct draft d;

		flow.mail = (struct mail_conf){ .secret = "0123456789abcdef0123",
			.bounce_domain = v[i].ours ? "bounce.us.example" : NULL,
			.bounce_life = 30 * DUR_DAY };
		begin(SCRIPTS(v[i].script), QUICK, 1);
		flow_window_is(true);
		m = mail_raw("a@us.example", "b@x.example", str_of(mail));
		draft_init(&d);
		draft_copy(&d, m, 0);
		mail_envelope_put(&d, &e);
		message_unref(&m);
		o = flow_fate(flow_lend(draft_seal(&d)));
		draft_free(&d);
		assert_int_equal(o.verdict, VERDICT_SENT);
		assert_int_equal(o.final_word, v[i].final);
		assert_int_equal(o.told, v[i].told);
		assert_int_equal(o.key[0] != 0, !v[i].final);
		end();
	}
	flow.mail = (struct mail_conf){ 0 };
}

/* A mail that a key is for goes signed or not at all; one that no key is for goes as it is. */
static void test_never_unsigned(void **state)
{
	static const char unsignable[] =
		"From: shop@us.example\r\nthis is no field\r\n\r\nHello.\r\n";
	static const char foreign[] = "From: a@other.example\r\nthis is no field\r\n\r\nHello.\r\n";
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	struct spool_writer *w;
	char path[64], conf[400], name[SPOOL_NAME];
	struct outcome o;
	struct err e;
	FILE *f;

	snprintf(path, sizeof path, "%s/dkim.pem", dir);
	f = fopen(path, "we");
	assert_true(f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
	fclose(f);
	EVP_PKEY_free(key);
	flow.c.spool = spool_open(dir, &e);
	w = spool_begin(flow.c.spool, &e);
	assert_int_equal(spool_write(w, unsignable, sizeof unsignable - 1, &e), 0);
	assert_int_equal(spool_finish(&w, name, &e), 0);
	snprintf(conf, sizeof conf,
		QUICK
		"dkim = ( { domain = \"us.example\"; selector = \"s\"; key_file = \"%s\"; } );",
		path);
	begin(SCRIPTS("session\nmail\nmail\nidle"), conf, 1);
	flow_window_is(true);
	o = flow_fate(flow_send(unsignable));
	assert_int_equal(o.verdict, VERDICT_RETRY);
	assert_non_null(strstr(o.words, "DKIM"));
	o = flow_fate(flow_lend(mail_spooled(name, sizeof unsignable - 1)));
	assert_int_equal(o.verdict, VERDICT_RETRY);
	assert_non_null(strstr(o.words, "DKIM"));
	assert_int_equal(stat_get(&flow.relay.stats.not_signed), 2);
	assert_int_equal(peer.mails, 0);
	is_sent(flow_send(foreign));
	assert_true(str_find(buf_view(&peer.data), STR("DKIM-Signature")) < 0);
	is_sent(flow_send(mail));
	assert_true(str_find(buf_view(&peer.data), STR("DKIM-Signature")) >= 0);
	end();
	spool_close(&flow.c.spool);
	unlink(path);
}

/* Before it is accepted, not when it is sent. */
static void test_no_sender(void **state)
{
	static const struct {
		const char *from, *sender;
		unsigned flags, parts;
	} cases[] = {
		{ "", "", 0, 0 },
		{ "a@us.example", "", 0, 1 },
		{ "", "no-reply@us.example", 0, 1 },
		{ "", "", MSG_OCTETS, 1 },
		{ "", "", MSG_REPORT, 1 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct mail_conf conf = { .sender = cases[i].sender };
		struct channel c = { .mail = &conf };
		struct outcome why = { 0 };
		struct message *m;
		struct draft d;

		draft_init(&d);
		d.head.media = MEDIA_EMAIL;
		d.head.flags = (uint16_t)cases[i].flags;
		if (cases[i].from[0])
			draft_put(&d, FIELD_FROM, str_of(cases[i].from));
		draft_put(&d, FIELD_TO, STR("b@peer.example"));
		m = draft_seal(&d);
		draft_free(&d);
		assert_int_equal(relay_parts(&c, m, &why), cases[i].parts);
		if (!cases[i].parts) {
			assert_int_equal(why.reason, REASON_BAD_SENDER);
			assert_int_equal(why.verdict, VERDICT_FAILED);
			assert_non_null(strstr(why.words, "mail.sender"));
		}
		message_unref(&m);
	}
}

/* ---- BDAT ---- */

static void test_bdat(void **state)
{
	unsigned at[3];

	begin(SCRIPTS("> 220 x\n< EHLO\n> 250-x\n> 250-PIPELINING\n> 250 CHUNKING\n"
		      "< MAIL\n< RCPT\nbdat\n> 250 a\n> 250 b\n" ANSWER_DONE
		      "< MAIL\n< RCPT\nbdat\n> 250 a\n> 550 5.1.1 no such user\n> 503 no "
		      "recipient\n"
		      "< RSET\n> 250 k\n< MAIL\n< RCPT\nbdat\n> 250 a\n> 250 b\n" ANSWER_DONE
		      "idle"),
		QUICK "chunking = \"on\";", 1);
	flow_window_is(true);
	at[0] = flow_send("A: b\r\n\r\n.dot\r\n");
	is_sent(at[0]);
	assert_int_equal(peer.data.n, 14);
	is(flow_send(mail), VERDICT_FAILED, REASON_FAR_DESTINATION);
	is_sent(flow_send(mail));
	end();
}

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
	begin(SCRIPTS("> 220 x\n< EHLO\n> 250-x\n> 250 STARTTLS\n< STARTTLS\n> 220 go\nraw "
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
		      "> 250 a\n> 250 b\n> 354 c\nreset"),
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

/* ---- load ---- */

static void test_many(void **state)
{
	peer_start(SCRIPTS("session\nmails"));
	flow_start(QUICK, 4, 8);
	flow_window_is(true);
	for (int i = 0; i < 2000; i++)
		flow_send(mail);
	for (unsigned i = 0; i < 2000; i++)
		is_sent(i);
	assert_int_equal(peer.mails, 2000);
	assert_in_range(peer.connections, 1, 8);
	end();
}

static void test_closes_with_mails_under_way(void **state)
{
	begin(SCRIPTS("session\n" ENVELOPE "idle"), QUICK, 4);
	flow_window_is(true);
	for (int i = 0; i < 4; i++)
		flow_send(mail);
	usleep(20000);
	end();
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(flow_fate(i).verdict, VERDICT_RETRY);
}

static void test_settings(void **state)
{
	struct err e = { 0 };

	if (conf_table_check(relay_rows, sizeof(struct relay_conf), &e) != 0)
		fail_msg("%s", e.text);
}

static int set_up(void **state)
{
	assert_non_null(mkdtemp(dir));
	ca = cert_make(dir, "ca", NULL, NULL, -1, 10);
	good = cert_make(dir, "server", &ca, "DNS:localhost,IP:127.0.0.1", -1, 10);
	elsewhere = cert_make(dir, "elsewhere", &ca, "DNS:other.example", -1, 10);
	person = cert_make(dir, "person", &ca, "DNS:us.example", -1, 10);
	peer.cert_file = good.cert_file;
	peer.key_file = good.key_file;
	return 0;
}

static int tear_down(void **state)
{
	char cmd[64];

	cert_free(&ca);
	cert_free(&good);
	cert_free(&elsewhere);
	cert_free(&person);
	buf_free(&peer.data);
	buf_free(&peer.lines);
	snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
	return system(cmd);
}

/* What a failed test left open. */
static int after(void **state)
{
	if (flow.loop)
		flow_stop();
	if (peer.scripts) {
		peer.fault = NULL;
		peer_stop();
	}
	peer.cert_file = good.cert_file;
	peer.key_file = good.key_file;
	return 0;
}

#define T(f) cmocka_unit_test_teardown(f, after)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_settings),
		T(test_sends),
		T(test_one_round_trip),
		T(test_without_pipelining),
		T(test_helo_only),
		T(test_refused_recipient_between),
		T(test_refused_at_mail),
		T(test_refused_content),
		T(test_503_is_the_connections_trouble),
		T(test_421),
		T(test_rate_answers_slow_the_channel),
		T(test_rests_and_comes_again),
		T(test_mails_per_connection),
		T(test_quit_delays_nothing),
		T(test_lost_after_the_dot),
		T(test_no_answer_after_the_dot),
		T(test_timeouts_before_the_dot),
		T(test_slow_beginnings),
		T(test_backup_host),
		T(test_wire_text_cut_anywhere),
		T(test_spool),
		T(test_spool_chunks),
		T(test_size),
		T(test_smtputf8),
		T(test_idn),
		T(test_addresses_inject_nothing),
		T(test_verp),
		T(test_promised),
		T(test_never_unsigned),
		T(test_no_sender),
		T(test_bdat),
		T(test_auth),
		T(test_tls_that_does_not_work),
		T(test_defect_1_drops),
		T(test_defects_2_3_5_tls),
		T(test_defect_4_injection),
		T(test_defect_6_nodelay),
		T(test_defect_7_missing_codes),
		T(test_defect_8_auth),
		T(test_defects_9_16_certificates),
		T(test_defect_10_no_false_250),
		T(test_defect_11_smuggling),
		T(test_defect_12_long_parameters),
		T(test_defects_13_17_replies),
		T(test_defect_14_sigpipe),
		T(test_defect_15_octets_untouched),
		T(test_defect_18_eight_bits),
		T(test_many),
		T(test_closes_with_mails_under_way),
	};
	const char *only = getenv("ONLY");

	if (only)
		cmocka_set_test_filter(only);
	return cmocka_run_group_tests_name("smtp client", tests, set_up, tear_down);
}
