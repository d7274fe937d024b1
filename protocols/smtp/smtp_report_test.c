/* What the SMTP server tells submitters: which reports there are, and what stands in them (RFC
 * 3461, 3464). */
#include "tests/smtp_server.h"
#include "gateway/mail/report.h"

#define LISTENER                                                                              \
	"{ name = \"submission\"; type = \"smtp\"; listen = \"127.0.0.1:0\"; accounts = ( { " \
	"user = \"crm\"; password = \"secret\"; trust = [ \"127.0.0.1\" ]; } ); }"

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
		"Action: %s\r\nStatus: %s\r\n\r\n--b--\r\n",
		action, status);
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
	has(m, "\r\nAction: failed\r\nStatus: 5.1.1\r\n");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(t) cmocka_unit_test_setup_teardown(t, begin, end)
		T(test_failed),
		T(test_relayed),
		T(test_delayed),
		T(test_passed_on),
		T(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
