/* The SMTP client: what goes over the wire, as the far side reads it. Each defect that
 * facts/libesmtp.md lists is tested by its name there. */
#include "tests/smtp_client.h"

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
	unsigned chunks;
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
	pthread_mutex_lock(&peer.lock);
	chunks = peer.mails;
	pthread_mutex_unlock(&peer.lock);
	assert_in_range(chunks, 1, 8);
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

static struct message *mail_spooled_as(const char *octets, struct mail_envelope v)
{
	char name[SPOOL_NAME];
	struct spool_writer *w;
	struct message *m;
	struct draft d;
	struct err e;

	w = spool_begin(flow.c.spool, &e);
	assert_int_equal(spool_write(w, octets, strlen(octets), &e), 0);
	assert_int_equal(spool_finish(&w, name, &e), 0);
	m = mail_spooled(name, strlen(octets));
	draft_init(&d);
	draft_copy(&d, m, 0);
	v.envid = v.orcpt = STR_NONE;
	mail_envelope_put(&d, &v);
	message_unref(&m);
	m = draft_seal(&d);
	draft_free(&d);
	return m;
}

#define OLD "> 220 x\n< EHLO\n> 250-x\n> 250 PIPELINING\n"

/* A server without 8BITMIME and SMTPUTF8, and mails in the spool that were declared to need them.
 */
static void test_spool_7bit(void **state)
{
	static const struct {
		const char *octets, *conf, *has; /* has NULL: refused */
		struct mail_envelope v;
	} cases[] = {
		{ "A: b\r\n\r\na word: caf\xc3\xa9\r\n", "", "a word: caf=C3=A9\r\n",
			{ .eightbit = true } },
		{ "A: b\r\n\r\nplain\r\n", "", "A: b\r\n\r\nplain\r\n",
			{ .eightbit = true, .smtputf8 = true } },
		{ "DKIM-Signature: x\r\n\r\na word: caf\xc3\xa9\r\n", "", "caf=C3=A9\r\n",
			{ .eightbit = true } },
		{ "DKIM-Signature: x\r\n\r\na word: caf\xc3\xa9\r\n", "signed_8bit = \"refuse\";",
			NULL, { .eightbit = true } },
		{ "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xe9\r\n--b--\r\n",
			"", NULL, { .eightbit = true } },
	};
	struct err e;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char conf[300];
		struct outcome o;

		flow.c.spool = spool_open(dir, &e);
		snprintf(conf, sizeof conf, QUICK "%s", cases[i].conf);
		begin(SCRIPTS(cases[i].has ? OLD "mail\nidle" : OLD "idle"), conf, 1);
		flow_window_is(true);
		o = flow_fate(flow_lend(mail_spooled_as(cases[i].octets, cases[i].v)));
		if (cases[i].has) {
			if (o.verdict != VERDICT_SENT)
				fail_msg("%zu: %s", i, o.words);
			assert_non_null(strstr(buf_cstr(&peer.data), cases[i].has));
		} else {
			assert_int_equal(o.verdict, VERDICT_FAILED);
			assert_string_equal(o.err, "5.6.3");
		}
		end();
		spool_close(&flow.c.spool);
	}
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

/* RFC 3461 §4: what the submitter asked for goes on to a server that knows DSN, and to no other. */
static void test_dsn_parameters(void **state)
{
	static const struct {
		bool dsn, verp;
		struct mail_envelope v;
		const char *mail, *rcpt;
	} cases[] = {
		{ true, false, { .envid = STR_NONE, .orcpt = STR_NONE }, " SIZE=46\n", ">\n" },
		{ true, false,
			{ .notify = NOTIFY_NEVER,
				.ret = RET_FULL,
				.envid = { "QQ+1=2 3", 8 },
				.orcpt = { "rfc822;Bob+x@example.com", 24 } },
			" RET=FULL ENVID=QQ+2B1+3D2+203\n",
			"> NOTIFY=NEVER ORCPT=rfc822;Bob+2Bx@example.com\n" },
		{ true, false,
			{ .notify = NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY,
				.ret = RET_HDRS,
				.envid = STR_NONE,
				.orcpt = { "utf-8;b\\x{E9}@x", 15 } },
			" RET=HDRS\n", "> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=utf-8;b\\x{E9}@x\n" },
		{ true, false,
			{ .notify = NOTIFY_DELAY, .envid = STR_NONE, .orcpt = { "no type", 7 } },
			" SIZE=46\n", "> NOTIFY=DELAY\n" },
		/* Bounces come to us then. */
		{ true, true, { .notify = NOTIFY_NEVER, .envid = STR_NONE, .orcpt = STR_NONE },
			" SIZE=46\n", "> NOTIFY=FAILURE,DELAY\n" },
		{ true, true, { .notify = NOTIFY_SUCCESS, .envid = STR_NONE, .orcpt = STR_NONE },
			" SIZE=46\n", "> NOTIFY=SUCCESS,FAILURE,DELAY\n" },
		{ false, false,
			{ .notify = NOTIFY_FAILURE,
				.ret = RET_FULL,
				.envid = { "x", 1 },
				.orcpt = { "rfc822;a@b", 10 } },
			"MAIL FROM:<a@us.example>\n", "RCPT TO:<b@x.example>\n" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct message *m = mail_raw("a@us.example", "b@x.example", str_of(mail));
		struct draft d;

		if (cases[i].verp)
			flow.mail = (struct mail_conf){ .secret = "0123456789abcdef0123",
				.bounce_domain = "bounce.us.example",
				.bounce_life = 30 * DUR_DAY };
		begin(SCRIPTS(cases[i].dsn
				      ? "session\nmail\nidle"
				      : "> 220 x\n< EHLO\n> 250-x\n> 250 PIPELINING\nmail\nidle"),
			QUICK, 1);
		flow_window_is(true);
		draft_init(&d);
		draft_copy(&d, m, 0);
		mail_envelope_put(&d, &cases[i].v);
		message_unref(&m);
		assert_int_equal(flow_fate(flow_lend(draft_seal(&d))).verdict, VERDICT_SENT);
		draft_free(&d);
		if (!peer_heard(cases[i].mail) || !peer_heard(cases[i].rcpt))
			fail_msg("%zu:\n%s", i, buf_cstr(&peer.lines));
		end();
	}
}

/* ---- BDAT ---- */

/* No chunk is larger than the settings say, of mails in memory and of those in the spool. */
static void test_chunk_most(void **state)
{
	struct buf big = BUF_INIT, want = BUF_INIT, script = BUF_INIT;
	struct wire_text t = { .plain = true };
	char name[SPOOL_NAME];
	struct spool_writer *w;
	struct err e;
	size_t chunks;

	buf_c(&big, "A: b\r\n\r\n");
	while (big.n < 5000)
		buf_printf(&big, "line at %zu\n", big.n); /* it grows on the wire */
	wire_text_put(&t, buf_view(&big), &want);
	wire_text_end(&t, &want);
	flow.c.spool = spool_open(dir, &e);
	w = spool_begin(flow.c.spool, &e);
	assert_int_equal(spool_write(w, big.p, big.n, &e), 0);
	assert_int_equal(spool_finish(&w, name, &e), 0);
	buf_c(&script, CHUNKING "< MAIL\n< RCPT\n> 250 a\n> 250 b\nbdatall\n" ANSWER_DONE "idle");
	for (int spooled = 0; spooled < 2; spooled++) {
		begin(SCRIPTS(buf_cstr(&script)), QUICK "chunking = \"on\"; chunk_most = \"1KiB\";",
			1);
		flow_window_is(true);
		is_sent(flow_lend(
			spooled ? mail_spooled(name, big.n)
				: mail_raw("a@us.example", "b@x.example", buf_view(&big))));
		chunks = peer.mails;
		assert_in_range(chunks, (want.n + 1023) / 1024, 2 * want.n / 1024);
		assert_true(peer_heard("BDAT 1024\n"));
		assert_int_equal(peer.data.n, want.n);
		assert_memory_equal(peer.data.p, want.p, want.n);
		for (char *p = buf_cstr(&peer.lines); (p = strstr(p, "BDAT ")); p += 5)
			assert_in_range(strtoul(p + 5, NULL, 10), 0, 1024);
		end();
	}
	spool_close(&flow.c.spool);
	buf_free(&big);
	buf_free(&want);
	buf_free(&script);
}

/* Nor of those that are made as they are sent, however long their text is. */
static void test_chunk_most_of_pieces(void **state)
{
	static const char file[] = "[{\"name\":\"a\",\"content\":\"AAECAw==\"}]";
	struct buf html = BUF_INIT, script = BUF_INIT;
	char name[SPOOL_NAME], value[100];
	struct spool_writer *w;
	struct draft d;
	struct err e;

	while (html.n < 600000)
		buf_printf(&html, "<p>a line at %zu</p>\n", html.n);
	flow.c.spool = spool_open(dir, &e);
	w = spool_begin(flow.c.spool, &e);
	assert_int_equal(spool_write(w, file, sizeof file - 1, &e), 0);
	assert_int_equal(spool_finish(&w, name, &e), 0);
	snprintf(value, sizeof value, "attachments:%s:%zu", name, sizeof file - 1);
	draft_init(&d);
	d.head.media = MEDIA_EMAIL;
	draft_put(&d, FIELD_FROM, STR("a@us.example"));
	draft_put(&d, FIELD_TO, STR("b@peer.example"));
	draft_put(&d, FIELD_HTML, buf_view(&html));
	draft_put(&d, FIELD_ATTACHMENTS, STR("[{\"name\":\"a\",\"content\":\"\"}]"));
	draft_put(&d, FIELD_SPOOL, str_of(value));
	buf_c(&script, CHUNKING "< MAIL\n< RCPT\n> 250 a\n> 250 b\nbdatall\n" ANSWER_DONE "idle");
	begin(SCRIPTS(buf_cstr(&script)), QUICK "chunking = \"on\"; chunk_most = \"1KiB\";", 1);
	flow_window_is(true);
	is_sent(flow_lend(draft_seal(&d)));
	assert_true(peer.data.n > html.n);
	for (char *p = buf_cstr(&peer.lines); (p = strstr(p, "BDAT ")); p += 5)
		assert_in_range(strtoul(p + 5, NULL, 10), 0, 1024);
	end();
	draft_free(&d);
	spool_close(&flow.c.spool);
	buf_free(&html);
	buf_free(&script);
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_defect_11_smuggling),
		T(test_wire_text_cut_anywhere),
		T(test_defect_15_octets_untouched),
		T(test_spool_chunks),
		T(test_spool),
		T(test_spool_7bit),
		T(test_size),
		T(test_smtputf8),
		T(test_idn),
		T(test_addresses_inject_nothing),
		T(test_defect_12_long_parameters),
		T(test_verp),
		T(test_promised),
		T(test_never_unsigned),
		T(test_no_sender),
		T(test_dsn_parameters),
		T(test_chunk_most),
		T(test_chunk_most_of_pieces),
		T(test_bdat),
	};

	return RUN("smtp client, content", tests);
}
