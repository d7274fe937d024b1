/* The SMTP client against servers that behave as scripts say: the ordinary road, what is refused on
 * it, and where a connection ends. */
#include "tests/smtp_client.h"

/* ---- the ordinary road ---- */
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

static void adopt(void *arg)
{
	const void **conf = arg;

	assert_int_equal(relay_adopt(&flow.c, *conf), 0);
	flow.c.specific = *conf;
}

/* A limit that a reload has lowered holds for connections that are open, and one that has carried
 * as many is not in the way of another. */
static void test_mails_per_connection_lowered(void **state)
{
	const void *conf;

	begin(SCRIPTS("session\nmail\nmail\nmail\n< QUIT\nclose",
		      "session\nmail\nmail\n< QUIT\nclose"),
		QUICK "idle = \"10m\"; messages_per_connection = 10;", 1);
	flow_window_is(true);
	for (int i = 0; i < 3; i++)
		is_sent(flow_send(mail));
	conf = flow_conf(QUICK "idle = \"10m\"; messages_per_connection = 2;");
	loop_call(flow.loop, adopt, &conf);
	for (int i = 0; i < 4; i++)
		is_sent(flow_send(mail));
	assert_int_equal(peer.connections, 3);
	end();
}

/* Nobody waits for an answer to QUIT. */
static void test_quit_delays_nothing(void **state)
{
	mono_t t;

	begin(SCRIPTS("session\nmail\n< QUIT\nhold\nclose"), QUICK "messages_per_connection = 1;",
		1);
	flow_window_is(true);
	t = clock_mono();
	is_sent(flow_send(mail));
	is_sent(flow_send(mail));
	is_sent(flow_send(mail));
	assert_true(clock_mono() - t < 2 * DUR_S);
	peer_release();
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

#define OPENED "> 220 x\n< EHLO\n> 250-x\n> 250 PIPELINING\n"

/* The end of the mail is written, but has not left: the far side takes no more of it. It cannot
 * have the mail, so there is nothing uncertain about it. */
static void test_lost_with_the_dot_unsent(void **state)
{
	static const struct {
		const char *script, *conf;
	} cases[] = {
		{ OPENED ENVELOPE "> 250 a\n> 250 b\n> 354 c\nsleep 200\nreset", QUICK },
		{ OPENED ENVELOPE "> 250 a\n> 250 b\n> 354 c\nhold",
			QUICK "timeouts = { done = \"200ms\"; };" },
		/* and what is given up must not come after all: whole on the other connection only
		 */
		{ OPENED ENVELOPE "> 250 a\n> 250 b\n> 354 c\nhold\ndata\n" ANSWER_DONE,
			QUICK "timeouts = { done = \"200ms\"; };" },
	};
	struct buf big = BUF_INIT;

	buf_c(&big, mail);
	while (big.n < 20 << 20) /* more than the kernel takes on both sides */
		buf_c(&big, "0123456789012345678901234567890123456789\r\n");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		begin(SCRIPTS(cases[i].script, "session\nmail\nidle"), cases[i].conf, 1);
		flow_window_is(true);
		is(flow_lend(mail_raw("a@us.example", "b@x.example", buf_view(&big))),
			VERDICT_RETRY, REASON_TEMPORARY);
		peer_release();
		flow_window_is(true);
		is_sent(flow_send(mail));
		end();
		assert_int_equal(peer.mails, 1);
	}
	buf_free(&big);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		T(test_mails_per_connection_lowered),
		T(test_quit_delays_nothing),
		T(test_lost_after_the_dot),
		T(test_no_answer_after_the_dot),
		T(test_lost_with_the_dot_unsent),
		T(test_timeouts_before_the_dot),
		T(test_slow_beginnings),
		T(test_backup_host),
		T(test_many),
		T(test_closes_with_mails_under_way),
		T(test_settings),
	};

	return RUN("smtp client", tests);
}
