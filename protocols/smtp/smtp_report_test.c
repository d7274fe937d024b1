/* What the SMTP server tells submitters: which reports there are, and what stands in them (RFC
 * 3461, 3464). */
#include "tests/smtp_server.h"
#include "gateway/mail/report.h"

#include <pthread.h>
#include <stdio.h>

#define LISTENER                                                                              \
	"{ name = \"submission\"; type = \"smtp\"; listen = \"127.0.0.1:0\"; accounts = ( { " \
	"user = \"crm\"; password = \"secret\"; trust = [ \"127.0.0.1\" ]; } ); "             \
	"gateways = ( { domain = \"sms.gw.example\"; from = \"Shop\"; } ); }"

/* ---- a mail server further on ---- */

/* Answers by the recipient's name, and notes what it was told. One connection at a time. */
static struct {
	int fd;
	pthread_t thread;
	bool dsn;
	pthread_mutex_t lock;
	struct buf lines;
} far = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const char *far_answer(const char *line)
{
	if (strncmp(line, "EHLO", 4) == 0)
		return far.dsn ? "250-mx.far.example\r\n250 DSN" : "250 mx.far.example";
	if (strcmp(line, "DATA") == 0)
		return "354 go on";
	if (strncmp(line, "RCPT TO:<nobody", 15) == 0)
		return "550-5.1.1 <nobody@far.example>: Recipient address rejected: the account "
		       "that you tried\r\n550-5.1.1 to reach does not exist. Please look for "
		       "typos in it, or for spaces that are\r\n550 5.1.1 not needed, and see "
		       "https://support.far.example/?p=nobody";
	if (strncmp(line, "RCPT TO:<busy", 13) == 0)
		return "450 4.2.1 too busy, come back later";
	return strcmp(line, ".") == 0 ? "250 2.0.0 queued as FAR1" : "250 2.1.0 well";
}

static void far_talk(FILE *in, int fd)
{
	char line[4096];
	bool data = false;

	dprintf(fd, "220 mx.far.example ESMTP\r\n");
	while (fgets(line, sizeof line, in)) {
		line[strcspn(line, "\r\n")] = '\0';
		pthread_mutex_lock(&far.lock);
		buf_c(&far.lines, line);
		buf_char(&far.lines, '\n');
		pthread_mutex_unlock(&far.lock);
		if (data && strcmp(line, ".") != 0)
			continue;
		data = strcmp(line, "DATA") == 0;
		dprintf(fd, "%s\r\n", far_answer(line));
		if (strcmp(line, "QUIT") == 0)
			break;
	}
}

static void *far_thread(void *ctx)
{
	int fd;

	while ((fd = accept(far.fd, NULL, NULL)) >= 0) {
		FILE *in = fdopen(fd, "r");

		far_talk(in, fd);
		fclose(in);
	}
	return NULL;
}

static void far_begin(bool dsn)
{
	union addr a;
	socklen_t n = sizeof a.in;

	far.dsn = dsn;
	far.fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(addr_parse(STR("127.0.0.1"), 0, &a));
	assert_int_equal(bind(far.fd, &a.sa, sizeof a.in), 0);
	assert_int_equal(listen(far.fd, 16), 0);
	assert_int_equal(getsockname(far.fd, &a.sa, &n), 0);
	fx_far_port = ntohs(a.in.sin_port);
	assert_int_equal(pthread_create(&far.thread, NULL, far_thread, NULL), 0);
}

static void far_end(void)
{
	shutdown(far.fd, SHUT_RDWR);
	pthread_join(far.thread, NULL);
	close(far.fd);
	buf_free(&far.lines);
	fx_far_port = 0;
}

/* Waits for the line that begins so; the caller's, or fails. */
static void far_heard(const char *begins, char *out, size_t cap)
{
	for (int i = 0; i < 4000; i++) {
		struct str rest, line;

		pthread_mutex_lock(&far.lock);
		rest = buf_view(&far.lines);
		while (str_cut(&rest, '\n', &line))
			if (str_starts(line, str_of(begins))) {
				str_copy(out, cap, line);
				pthread_mutex_unlock(&far.lock);
				return;
			}
		pthread_mutex_unlock(&far.lock);
		usleep(5000);
	}
	fail_msg("\"%s\" was not said", begins);
}

static unsigned reports; /* so far */

static int begin(void **state)
{
	fx_begin(LISTENER);
	reports = 0;
	return 0;
}

static int end(void **state)
{
	fx_end();
	return 0;
}

static uint64_t one_mail(const char *mail_more, const char *to, const char *rcpt_more)
{
	struct client c = greeted();
	char line[600];
	uint64_t id;

	snprintf(line, sizeof line, "MAIL FROM:<a@shop.example>%s", mail_more);
	ask(&c, line, "250 2.1.0");
	snprintf(line, sizeof line, "RCPT TO:<%s>%s", to, rcpt_more);
	ask(&c, line, "250 2.1.5");
	ask(&c, "DATA", "354 ");
	say(&c, "Subject: about x\r\nFrom: a@shop.example\r\nMessage-ID: <1@shop>\r\n\r\n"
		"the body of it\r\n");
	ask(&c, ".", "250 2.0.0");
	id = id_of(&c);
	quit(&c);
	return id;
}

static bool search_newest(void *ctx, const struct store_view *v)
{
	*(uint64_t *)ctx = v->id;
	return false;
}

/* The one that came last; the caller's. */
static struct message *next_report(void)
{
	struct store_filter f = {
		.to = STR("a@shop.example"), .state = -1, .media = -1, .most = 1
	};
	uint64_t id = 0;
	struct err e;

	fx_stat_becomes("postern_smtp_dsn_total", ++reports);
	assert_int_equal(store_search(gateway_store(fx.g), &f, search_newest, &id, &e), 1);
	return fx_message(id);
}

static void no_report(void)
{
	usleep(250000);
	assert_int_equal(fx_stat("postern_smtp_dsn_total"), reports);
}

#define has(m, text) has_at((m), (text), __LINE__)
static void has_at(struct message *m, const char *text, int line)
{
	struct str octets = message_get(m, FIELD_OCTETS);

	if (str_find(octets, str_of(text)) < 0)
		fail_msg("line %d: \"%s\" is not in\n%.*s", line, text, STR_ARG(octets));
}

static void hasnt(struct message *m, const char *text)
{
	assert_true(str_find(message_get(m, FIELD_OCTETS), str_of(text)) < 0);
}

/* Marks of the submitter's come back as it wrote them, whatever is in them. */
static void test_failed(void **state)
{
	struct message *m;

	one_mail(" RET=HDRS ENVID=Q+2BQ+3D1", "b@bad.example",
		" ORCPT=rfc822;list+2Bowner@x.example");
	m = next_report();
	assert_true(m->flags & MSG_REPORT && !message_has(m, FIELD_FROM));
	has(m, "\r\nOriginal-Envelope-Id: Q+Q=1\r\n");
	has(m, "\r\nOriginal-Recipient: rfc822;list+owner@x.example\r\n");
	has(m, "\r\nFinal-Recipient: rfc822; b@bad.example\r\n");
	has(m, "\r\nAction: failed\r\nStatus: 5.");
	has(m, "\r\nReporting-MTA: dns; mx.shop.example\r\n");
	has(m, "\r\nDiagnostic-Code: x-postern; null channel, as set\r\n");
	has(m, "\r\nContent-Type: text/rfc822-headers\r\n");
	has(m, "\r\nSubject: about x\r\n");
	has(m, "\r\nIn-Reply-To: <1@shop>\r\n");
	has(m, "report-type=delivery-status");
	hasnt(m, "the body of it");
	message_unref(&m);
	one_mail(" RET=FULL", "b@bad.example", " NOTIFY=FAILURE,SUCCESS");
	m = next_report();
	has(m, "\r\nContent-Type: message/rfc822\r\n");
	has(m, "\r\nthe body of it\r\n");
	hasnt(m, "Original-Envelope-Id");
	message_unref(&m);
	one_mail("", "b@bad.example", " NOTIFY=SUCCESS,DELAY");
	one_mail("", "b@bad.example", " NOTIFY=NEVER");
	no_report();
}

/* RET speaks of failures alone. */
static void test_relayed(void **state)
{
	struct message *m;

	one_mail(" RET=FULL ENVID=7", "b@x.example", " NOTIFY=SUCCESS");
	m = next_report();
	has(m, "\r\nAction: relayed\r\nStatus: 2.0.0\r\n");
	has(m, "\r\nOriginal-Envelope-Id: 7\r\n");
	hasnt(m, "the body of it");
	message_unref(&m);
	one_mail("", "b@x.example", "");
	one_mail("", "b@x.example", " NOTIFY=DELAY,FAILURE");
	no_report();
}

/* Nobody carries it for hours: told once, to who asked. */
static void test_delayed(void **state)
{
	struct message *m;

	one_mail(" ENVID=8", "b@down.example", " NOTIFY=DELAY");
	one_mail("", "b@down.example", "");
	clock_shift(3 * DUR_HOUR + 50 * DUR_MIN);
	for (int i = 0; i < 4; i++) {
		clock_shift(3 * DUR_S);
		usleep(50000);
	}
	no_report();
	clock_shift(20 * DUR_MIN);
	for (int i = 0; i < 200 && !fx_stat("postern_smtp_dsn_total"); i++) {
		clock_shift(3 * DUR_S);
		usleep(30000);
	}
	m = next_report();
	has(m, "\r\nAction: delayed\r\nStatus: 4.");
	has(m, "\r\nWill-Retry-Until: ");
	has(m, "\r\nFinal-Recipient: rfc822; b@down.example\r\n");
	has(m, "\r\nOriginal-Envelope-Id: 8\r\n");
	has(m, "has not been delivered yet");
	message_unref(&m);
	clock_shift(5 * DUR_HOUR);
	for (int i = 0; i < 4; i++) {
		clock_shift(3 * DUR_S);
		usleep(50000);
	}
	no_report();
}

static enum state state_of(uint64_t id)
{
	struct store_view v;
	enum state s;
	struct err e;

	assert_int_equal(store_find(gateway_store(fx.g), id, false, &v, &e), 1);
	s = v.state;
	store_view_free(&v);
	return s;
}

static void ends_unknown(uint64_t id, enum reason why)
{
	struct store_op *op = store_op_new(OP_FINAL, NULL, NULL);

	op->final.id = id;
	op->final.state = STATE_UNKNOWN;
	op->final.reason = why;
	store_do(gateway_store(fx.g), op);
}

/* An end that nobody knows is told to who wants to hear of failures: silence would mean success. */
static void test_unknown(void **state)
{
	struct message *m;

	ends_unknown(one_mail("", "b@down.example", ""), REASON_LOST);
	m = next_report();
	has(m, "\r\nAction: failed\r\nStatus: 5.4.2\r\n");
	has(m, "may have arrived");
	message_unref(&m);
	ends_unknown(one_mail("", "b@down.example", " NOTIFY=NEVER"), REASON_LOST);
	/* a server further on promised a report and sent none: that it took the mail is all */
	ends_unknown(one_mail("", "b@down.example", " NOTIFY=SUCCESS,FAILURE"), REASON_NO_RECEIPT);
	no_report();
}

static int begin_far(void **state)
{
	far_begin(false);
	return begin(state);
}

static int begin_far_dsn(void **state)
{
	far_begin(true);
	return begin(state);
}

static int end_far(void **state)
{
	end(state);
	far_end();
	return 0;
}

/* Who said what, whole, in the order of RFC 3464 §2.3: of a refusal, of what was handed on, of what
 * was tried until its time was over. */
static void test_far_words(void **state)
{
	struct message *m;

	one_mail("", "nobody@far.example", "");
	m = next_report();
	has(m, "\r\nFinal-Recipient: rfc822; nobody@far.example\r\nAction: failed\r\n"
	       "Status: 5.1.1\r\nRemote-MTA: dns; mx.far.example\r\n"
	       "Diagnostic-Code: smtp; 550 5.1.1 <nobody@far.example>: Recipient address\r\n "
	       "rejected: ");
	has(m, "\r\n https://support.far.example/?p=nobody\r\nLast-Attempt-Date: ");
	has(m, "The answer of mx.far.example[127.0.0.1]:");
	message_unref(&m);
	one_mail("", "ok@far.example", " NOTIFY=SUCCESS");
	m = next_report();
	has(m, "\r\nAction: relayed\r\nStatus: 2.0.0\r\nRemote-MTA: dns; mx.far.example\r\n"
	       "Diagnostic-Code: smtp; 250 2.0.0 queued as FAR1\r\n");
	message_unref(&m);
	one_mail("", "ok@far.example", "");
	one_mail("", "busy@far.example", " NOTIFY=DELAY,FAILURE");
	for (int i = 0; i < 400 && fx_stat("postern_smtp_dsn_total") == reports; i++) {
		clock_shift(10 * DUR_MIN);
		usleep(20000);
	}
	m = next_report();
	has(m, "\r\nAction: delayed\r\nStatus: 4.");
	has(m, "\r\nRemote-MTA: dns; mx.far.example\r\nDiagnostic-Code: smtp; 450 4.2.1 too "
	       "busy, come back later\r\n");
	has(m, "\r\nWill-Retry-Until: ");
	message_unref(&m);
	for (int i = 0; i < 4000 && fx_stat("postern_smtp_dsn_total") == reports; i++) {
		clock_shift(DUR_HOUR);
		usleep(20000);
	}
	m = next_report();
	/* given up, and sending may succeed another time: class 4 (RFC 3463 §2) */
	has(m, "\r\nAction: failed\r\nStatus: 4.4.7\r\nRemote-MTA: dns; mx.far.example\r\n"
	       "Diagnostic-Code: smtp; 450 4.2.1 too busy, come back later\r\n");
	message_unref(&m);
}

static void far_report(const char *token, const char *action, const char *status)
{
	struct client c = dial_from("127.0.9.1"); /* nobody's account */
	char text[1000], to[80];

	expect(&c, "220 ");
	ask(&c, "EHLO mx.far.example", "250-");
	snprintf(to, sizeof to, "%s@b.shop.example", token);
	envelope(&c, "", to);
	ask(&c, "DATA", "354 ");
	snprintf(text, sizeof text,
		"From: mailer@far.example\r\nSubject: Status\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
		"--b\r\n\r\nwords\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
		"Reporting-MTA: dns; far.example\r\n\r\nFinal-Recipient: rfc822; b@x.example\r\n"
		"Action: %s\r\nStatus: %s\r\nRemote-MTA: dns; last.example\r\n"
		"Diagnostic-Code: smtp; %c50 %s as it is\r\n\r\n--b--\r\n",
		action, status, status[0], status);
	say(&c, text);
	ask(&c, ".", "250 2.0.0");
	quit(&c);
}

/* What a server further on says is said again to who asked, once. */
static void test_passed_on(void **state)
{
	struct mail_conf conf = { .secret = "0123456789abcdef", .bounce_life = 30 * DUR_DAY };
	char token[MAIL_TOKEN];
	struct message *m;
	uint64_t id;

	id = one_mail("", "b@x.example", " NOTIFY=DELAY,FAILURE");
	assert_true(mail_bounce_token(&conf, id, clock_wall(), token));
	far_report(token, "delayed", "4.2.2");
	m = next_report();
	has(m, "\r\nAction: delayed\r\nStatus: 4.2.2\r\n");
	message_unref(&m);
	far_report(token, "delayed", "4.2.2");
	far_report(token, "relayed", "2.0.0"); /* was not asked for */
	no_report();
	far_report(token, "failed", "5.1.1");
	m = next_report();
	has(m, "\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; last.example\r\n"
	       "Diagnostic-Code: smtp; 550 5.1.1 as it is\r\n");
	message_unref(&m);
	far_report(token, "failed", "5.1.1");
	no_report();
	id = one_mail("", "b@x.example", " NOTIFY=SUCCESS");
	m = next_report(); /* its channel knows no more */
	message_unref(&m);
	assert_true(mail_bounce_token(&conf, id, clock_wall(), token));
	far_report(token, "relayed", "2.0.0");
	m = next_report();
	has(m, "\r\nAction: relayed\r\n");
	message_unref(&m);
	far_report(token, "delivered", "2.1.5");
	m = next_report();
	has(m, "\r\nAction: delivered\r\nStatus: 2.1.5\r\n");
	message_unref(&m);
}

/* What was asked goes to a server that knows DSN as it was, its reports to us; what it says of
 * success is said on, and of one that promised to report and never does nothing is said. */
static void test_asked_of_the_next(void **state)
{
	char line[1000], *token, *at;
	struct message *m;
	uint64_t id;

	one_mail(" RET=FULL ENVID=Q+2BQ", "ok@far.example",
		" NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;list+2Bowner@x.example");
	far_heard("RCPT TO:<ok@far.example>", line, sizeof line);
	assert_string_equal(line, "RCPT TO:<ok@far.example> NOTIFY=SUCCESS,FAILURE,DELAY "
				  "ORCPT=rfc822;list+2Bowner@x.example");
	far_heard("MAIL FROM:<", line, sizeof line);
	token = line + strlen("MAIL FROM:<");
	at = strchr(token, '@');
	assert_non_null(at);
	assert_true(str_starts(str_of(at), STR("@b.shop.example> ")));
	assert_non_null(strstr(at, " RET=FULL ENVID=Q+2BQ"));
	*at = '\0';
	no_report();
	far_report(token, "delivered", "2.1.5");
	m = next_report();
	has(m, "\r\nOriginal-Envelope-Id: Q+Q\r\n");
	has(m, "\r\nOriginal-Recipient: rfc822;list+owner@x.example\r\n");
	has(m, "\r\nAction: delivered\r\nStatus: 2.1.5\r\nRemote-MTA: dns; last.example\r\n"
	       "Diagnostic-Code: smtp; 250 2.1.5 as it is\r\n");
	message_unref(&m);
	id = one_mail("", "silent@far.example", " NOTIFY=SUCCESS,FAILURE");
	far_heard("RCPT TO:<silent@far.example> NOTIFY=SUCCESS,FAILURE", line, sizeof line);
	for (int i = 0; i < 2000 && state_of(id) != STATE_UNKNOWN; i++) {
		clock_shift(DUR_HOUR);
		usleep(20000);
	}
	assert_int_equal(state_of(id), STATE_UNKNOWN);
	no_report();
}

/* A gateway's recipient is told as the sender wrote it, and the sender's own mark as it gave it. */
static void test_gateway(void **state)
{
	struct message *m;

	one_mail("", "+46700000001@sms.gw.example", " NOTIFY=SUCCESS");
	m = next_report();
	has(m, "\r\nFinal-Recipient: rfc822; +46700000001@sms.gw.example\r\n");
	hasnt(m, "Original-Recipient"); /* RFC 3461 §6.3: none was given */
	message_unref(&m);
	one_mail("", "+46700000001@sms.gw.example", " NOTIFY=SUCCESS ORCPT=rfc822;anna@x.example");
	m = next_report();
	has(m, "\r\nOriginal-Recipient: rfc822;anna@x.example\r\n"
	       "Final-Recipient: rfc822; +46700000001@sms.gw.example\r\n");
	message_unref(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(t) cmocka_unit_test_setup_teardown(t, begin, end)
		T(test_failed),
		T(test_relayed),
		T(test_delayed),
		T(test_passed_on),
		T(test_unknown),
		T(test_gateway),
		cmocka_unit_test_setup_teardown(test_far_words, begin_far, end_far),
		cmocka_unit_test_setup_teardown(test_asked_of_the_next, begin_far_dsn, end_far),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
