/* Reports: those that the world sends (tests/corpus/mail_report, written after its shapes), and our
 * own, read back.
 */
#include "gateway/mail/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/mail_lines.h"

static const struct {
	const char *file;
	enum mail_report_kind kind;
	bool dead;
	const char *reason, *status, *recipient, *form;
} reports[] = {
	{ "dsn-postfix-unknown", MAIL_REPORT_FAILED, true, "far_destination", "5.1.1",
		"anna@example.com", "dsn" },
	{ "dsn-postfix-delayed", MAIL_REPORT_DELAYED, false, "temporary", "4.4.1",
		"anna@example.com", "dsn" },
	{ "dsn-postfix-expired", MAIL_REPORT_FAILED, false, "expired", "4.4.1", "anna@example.com",
		"dsn" },
	{ "dsn-postfix-host-unknown", MAIL_REPORT_FAILED, true, "far_destination", "5.4.4",
		"anna@nowhere.example", "dsn" },
	{ "dsn-gmail-unknown", MAIL_REPORT_FAILED, true, "far_destination", "5.1.1",
		"anna@example.com", "dsn" },
	{ "dsn-gmail-full", MAIL_REPORT_FAILED, false, "mailbox_full", "5.2.2", "anna@example.com",
		"dsn" },
	{ "dsn-gmail-delay", MAIL_REPORT_DELAYED, false, "mailbox_full", "4.2.2",
		"anna@example.com", "dsn" },
	{ "dsn-gmail-spam", MAIL_REPORT_FAILED, false, "blocked", "5.7.1", "anna@example.com",
		"dsn" },
	{ "dsn-exchange-online", MAIL_REPORT_FAILED, true, "far_destination", "5.1.10",
		"anna@example.com", "dsn" },
	{ "dsn-exchange-dbeb", MAIL_REPORT_FAILED, true, "far_destination", "5.4.1",
		"anna@example.com", "dsn" },
	{ "dsn-exchange-quota", MAIL_REPORT_FAILED, false, "mailbox_full", "5.2.2",
		"anna@example.com", "dsn" },
	{ "dsn-outlook-unavailable", MAIL_REPORT_FAILED, true, "far_destination", "5.5.0",
		"anna@hotmail.example", "dsn" },
	{ "dsn-exim", MAIL_REPORT_FAILED, true, "far_destination", "5.0.0", "anna@example.com",
		"dsn" },
	{ "dsn-sendmail", MAIL_REPORT_FAILED, true, "far_destination", "5.1.1", "anna@example.com",
		"dsn" },
	{ "dsn-status-in-diagnostic", MAIL_REPORT_FAILED, false, "far_destination", "5.1.0",
		"anna@example.com", "dsn" },
	{ "dsn-no-action", MAIL_REPORT_FAILED, true, "far_destination", "5.1.1", "anna@example.com",
		"dsn" },
	{ "dsn-no-diagnostic", MAIL_REPORT_FAILED, false, "mailbox_full", "5.0.0",
		"anna@example.com", "dsn" },
	{ "dsn-many", MAIL_REPORT_FAILED, true, "far_destination", "5.1.1", "Anna@Example.com",
		"dsn" },
	{ "dsn-forwarded", MAIL_REPORT_FAILED, true, "far_destination", "5.1.1", "anna@example.com",
		"dsn" },
	{ "dsn-delivered", MAIL_REPORT_DELIVERED, false, "none", "2.0.0", "anna@example.com",
		"dsn" },
	{ "dsn-relayed", MAIL_REPORT_RELAYED, false, "none", "2.1.9", "anna@example.com", "dsn" },
	{ "dsn-expanded", MAIL_REPORT_RELAYED, false, "none", "2.1.5", "list@example.com", "dsn" },
	{ "dsn-global", MAIL_REPORT_FAILED, true, "far_destination", "5.1.1", "änna@example.com",
		"dsn" },
	{ "dsn-base64", MAIL_REPORT_FAILED, true, "far_destination", "5.1.1", "anna@example.com",
		"dsn" },
	{ "dsn-in-mixed", MAIL_REPORT_FAILED, true, "far_destination", "5.1.1", "anna@example.com",
		"dsn" },
	{ "dsn-greylisted-for-good", MAIL_REPORT_FAILED, false, "expired", "4.7.1",
		"anna@example.com", "dsn" },
	{ "dsn-yahoo-disabled", MAIL_REPORT_FAILED, true, "far_destination", "5.0.0",
		"anna@yahoo.example", "dsn" },
	{ "arf-abuse", MAIL_REPORT_COMPLAINT, false, "none", "", "anna@example.com", "arf" },
	{ "arf-redacted", MAIL_REPORT_COMPLAINT, false, "none", "", "anna@example.com", "arf" },
	{ "arf-nobody", MAIL_REPORT_COMPLAINT, false, "none", "", "", "arf" },
	{ "arf-opt-out", MAIL_REPORT_UNSUBSCRIBE, false, "none", "", "anna@example.com", "arf" },
	{ "arf-not-spam", MAIL_REPORT_NONE, false, "none", "", "", "arf" },
	{ "jmrp", MAIL_REPORT_COMPLAINT, false, "none", "", "anna@hotmail.example", "jmrp" },
	{ "mdn-displayed", MAIL_REPORT_READ, false, "none", "", "anna@example.com", "mdn" },
	{ "mdn-deleted", MAIL_REPORT_NONE, false, "none", "", "", "mdn" },
	{ "qmail", MAIL_REPORT_FAILED, true, "far_destination", "5.1.1", "anna@example.com",
		"qmail" },
	{ "qmail-no-mailbox", MAIL_REPORT_FAILED, true, "far_destination", "5.1.1",
		"anna@example.com", "qmail" },
	{ "qmail-queue-too-long", MAIL_REPORT_FAILED, false, "expired", "4.4.1", "anna@example.com",
		"qmail" },
	{ "exim-old", MAIL_REPORT_FAILED, false, "mailbox_full", "5.2.2", "anna@example.com",
		"exim" },
	{ "exim-unrouteable", MAIL_REPORT_FAILED, true, "far_destination", "",
		"anna@nowhere.example", "exim" },
	{ "exim-delay", MAIL_REPORT_DELAYED, false, "temporary", "4.2.0", "anna@example.com",
		"exim" },
	{ "exim-retry-timeout", MAIL_REPORT_FAILED, false, "expired", "", "anna@example.com",
		"exim" },
	{ "sendmail-old", MAIL_REPORT_FAILED, true, "far_destination", "", "anna@example.com",
		"sendmail" },
	{ "sendmail-warning", MAIL_REPORT_DELAYED, false, "temporary", "", "anna@example.com",
		"sendmail" },
	{ "exchange-2003", MAIL_REPORT_FAILED, true, "far_destination", "5.1.1", "anna@example.com",
		"exchange" },
	{ "exchange-html", MAIL_REPORT_FAILED, false, "mailbox_full", "5.2.2", "anna@example.com",
		"exchange" },
	{ "gmail-old", MAIL_REPORT_FAILED, true, "far_destination", "5.1.1", "anna@example.com",
		"gmail" },
	{ "yahoo-free", MAIL_REPORT_FAILED, true, "far_destination", "", "anna@example.com",
		"yahoo" },
	{ "domino", MAIL_REPORT_FAILED, true, "far_destination", "", "anna@example.com", "domino" },
	{ "groupwise", MAIL_REPORT_FAILED, false, "far_destination", "", "anna@example.com",
		"groupwise" },
	{ "postfix-free", MAIL_REPORT_FAILED, false, "blocked", "5.7.1", "anna@example.com",
		"postfix" },
	{ "yandex-ru", MAIL_REPORT_FAILED, true, "far_destination", "5.7.1", "anna@example.com",
		"yandex" },
	{ "mailru", MAIL_REPORT_FAILED, true, "far_destination", "", "anna@mail.example", "exim" },
	{ "german", MAIL_REPORT_FAILED, true, "far_destination", "", "anna@example.com", "text" },
	{ "generic-text", MAIL_REPORT_FAILED, true, "far_destination", "5.2.1", "anna@example.com",
		"text" },
	{ "mdaemon", MAIL_REPORT_FAILED, true, "far_destination", "", "anna@example.com", "text" },
	{ "full-free", MAIL_REPORT_FAILED, false, "mailbox_full", "", "anna@example.com", "text" },
	{ "expected-among-others", MAIL_REPORT_FAILED, true, "far_destination", "5.1.1",
		"anna@example.com", "qmail" },
	{ "person", MAIL_REPORT_NONE, false, "none", "", "", "" },
	{ "person-forwards", MAIL_REPORT_NONE, false, "none", "", "", "" },
	{ "out-of-office", MAIL_REPORT_NONE, false, "none", "", "", "" },
	{ "vacation-null-sender", MAIL_REPORT_NONE, false, "none", "", "", "" },
	{ "ticket", MAIL_REPORT_NONE, false, "none", "", "", "" },
	{ "spam", MAIL_REPORT_NONE, false, "none", "", "", "" },
	{ "challenge", MAIL_REPORT_NONE, false, "none", "", "", "" },
	{ "postmaster-person", MAIL_REPORT_NONE, false, "none", "", "", "" },
	{ "unsubscribe", MAIL_REPORT_UNSUBSCRIBE, false, "none", "", "", "text" },
	{ "unsubscribe-reply", MAIL_REPORT_NONE, false, "none", "", "", "" },
	{ "empty", MAIL_REPORT_NONE, false, "none", "", "", "" },
};

static void read_file(const char *name, struct buf *b)
{
	char path[200];
	size_t n;
	FILE *f;

	snprintf(path, sizeof path, "tests/corpus/mail_report/%s", name);
	f = fopen(path, "rb");
	if (!f)
		fail_msg("%s is not there (tests run in the root of the tree)", path);
	buf_reset(b);
	while ((n = fread(buf_extend(b, 4096), 1, 4096, f)) > 0)
		b->n -= 4096 - n;
	b->n -= 4096;
	fclose(f);
}

static void the_worlds(void **state)
{
	struct buf b = BUF_INIT;
	unsigned failures = 0;

	for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++) {
		struct mail_report r;

		read_file(reports[i].file, &b);
		mail_report_read(buf_view(&b), STR("anna@example.com"), &r);
		if (r.kind == reports[i].kind && r.dead == reports[i].dead &&
			strcmp(reason_word(r.reason), reports[i].reason) == 0 &&
			strcmp(r.status, reports[i].status) == 0 &&
			strcmp(r.recipient, reports[i].recipient) == 0 &&
			strcmp(r.form, reports[i].form) == 0 && str_utf8_valid(str_of(r.words)))
			continue;
		failures++;
		print_error("%s: kind %d, %s, %s, \"%s\", \"%s\", \"%s\": %s\n", reports[i].file,
			(int)r.kind, r.dead ? "dead" : "alive", reason_word(r.reason), r.status,
			r.recipient, r.form, r.words);
	}
	buf_free(&b);
	assert_int_equal(failures, 0);
}

/* The far side's words come along, on one line. */
static void words(void **state)
{
	static const struct {
		const char *file, *words;
	} cases[] = {
		{ "dsn-postfix-unknown",
			"mail.example.com said: 550 5.1.1 <anna@example.com>: Recipient address "
			"rejected: User unknown" },
		{ "qmail",
			"550 5.1.1 <anna@example.com>: Recipient address rejected: User unknown" },
		{ "exim-unrouteable", "Unrouteable address" },
		{ "domino", "because: User anna" },
		{ "arf-abuse", "abuse" },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct mail_report r;

		read_file(cases[i].file, &b);
		mail_report_read(buf_view(&b), STR("anna@example.com"), &r);
		if (!str_starts(str_of(r.words), str_of(cases[i].words)))
			fail_msg("%s: %s", cases[i].file, r.words);
	}
	buf_free(&b);
}

/* Of several recipients the expected one, else the first. */
static void which_recipient(void **state)
{
	static const struct {
		const char *expected, *recipient, *status;
		enum mail_report_kind kind;
	} cases[] = {
		{ "", "bo@example.com", "4.4.1", MAIL_REPORT_DELAYED },
		{ "CIA@example.com", "cia@example.com", "5.2.2", MAIL_REPORT_FAILED },
		{ "dan@example.com", "bo@example.com", "4.4.1", MAIL_REPORT_DELAYED },
	};
	struct buf b = BUF_INIT;

	read_file("dsn-many", &b);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct mail_report r;

		mail_report_read(buf_view(&b), str_of(cases[i].expected), &r);
		assert_string_equal(r.recipient, cases[i].recipient);
		assert_string_equal(r.status, cases[i].status);
		assert_int_equal(r.kind, cases[i].kind);
	}
	buf_free(&b);
}

static const char original[] = "From: Shop <shop@shop.example>\r\nTo: anna@example.com\r\n"
			       "Message-ID: <77@mail.shop.example>\r\nSubject: Hi\r\n\r\nHello\r\n";

static struct dsn dsn_of(enum dsn_action action)
{
	return (struct dsn){ .action = action,
		.id = 77,
		.now = 1795000000 * DUR_S,
		.arrived = 1794990000 * DUR_S,
		.until = 1795400000 * DUR_S,
		.reporter = STR("mail.shop.example"),
		.to = STR("shop@shop.example"),
		.recipient = STR("anna@example.com"),
		.orcpt = STR_NONE,
		.envid = STR_NONE,
		.status = STR_NONE,
		.remote = STR_NONE,
		.diagnostic = STR_NONE,
		.words = STR_NONE,
		.original = STR(original) };
}

static void ours(void **state)
{
	static const enum mail_report_kind kinds[] = { [DSN_FAILED] = MAIL_REPORT_FAILED,
		[DSN_DELAYED] = MAIL_REPORT_DELAYED,
		[DSN_DELIVERED] = MAIL_REPORT_DELIVERED,
		[DSN_RELAYED] = MAIL_REPORT_RELAYED,
		[DSN_EXPANDED] = MAIL_REPORT_RELAYED };

	for (int a = DSN_FAILED; a <= DSN_EXPANDED; a++) {
		struct dsn d = dsn_of((enum dsn_action)a);
		struct buf b = BUF_INIT, again = BUF_INIT;
		struct mail_report r;

		dsn_build(&d, &b);
		dsn_build(&d, &again);
		assert_true(str_eq(buf_view(&b), buf_view(&again)));
		check_lines(buf_view(&b), false);
		mail_report_read(buf_view(&b), STR_NONE, &r);
		assert_int_equal(r.kind, kinds[a]);
		assert_string_equal(r.recipient, "anna@example.com");
		assert_string_equal(r.form, "dsn");
		assert_string_equal(r.status, a == DSN_FAILED    ? "5.0.0"
					      : a == DSN_DELAYED ? "4.0.0"
								 : "2.0.0");
		buf_free(&b);
		buf_free(&again);
	}
}

static void ours_in_full(void **state)
{
	static const char *const there[] = {
		"From: Mail Delivery System <MAILER-DAEMON@mail.shop.example>\r\n",
		"To: shop@shop.example\r\n", "Auto-Submitted: auto-replied\r\n",
		"In-Reply-To: <77@mail.shop.example>\r\n",
		"Content-Type: multipart/report; report-type=delivery-status;",
		"Original-Envelope-Id: QQ 31\r\n", "Reporting-MTA: dns; mail.shop.example\r\n",
		"Arrival-Date: Wed, 18 Nov 2026 08:20:00 +0000\r\n",
		"Original-Recipient: rfc822;Anna@example.com\r\n",
		"Final-Recipient: rfc822; anna@example.com\r\n", "Action: failed\r\n",
		"Status: 5.1.1\r\n", "Remote-MTA: dns; mx.example.com\r\n",
		"smtp; 550 5.1.1 no such user here, and a long line that\r\n says so at length\r\n",
		"The reason: the far side does not know the destination.\r\n",
		"The answer of mx.example.com[192.0.2.1]:25 was:",
		"Content-Type: message/rfc822\r\n", "\r\nSubject: Hi\r\n\r\nHello\r\n"
	};
	struct dsn d = dsn_of(DSN_FAILED);
	struct buf b = BUF_INIT;
	struct mail_report r;

	d.envid = STR("QQ\n31");
	d.orcpt = STR("rfc822;Anna@example.com");
	d.status = STR("5.1.1");
	d.remote = STR("mx.example.com[192.0.2.1]:25");
	d.diagnostic = STR("550 5.1.1 no such user here, and a long line that says so at length");
	d.words = STR("the far side does not know the destination");
	dsn_build(&d, &b);
	check_lines(buf_view(&b), false);
	for (size_t i = 0; i < sizeof there / sizeof there[0]; i++)
		if (str_find(buf_view(&b), str_of(there[i])) < 0)
			fail_msg("no %s in\n%s", there[i], buf_cstr(&b));
	mail_report_read(buf_view(&b), STR("anna@example.com"), &r);
	assert_true(r.dead);
	assert_int_equal(r.reason, REASON_FAR_DESTINATION);
	d.header_only = true;
	buf_reset(&b);
	dsn_build(&d, &b);
	assert_true(str_find(buf_view(&b), STR("Content-Type: text/rfc822-headers\r\n")) > 0);
	assert_true(str_find(buf_view(&b), STR("\r\nHello\r\n")) < 0);
	buf_free(&b);
}

/* Whatever the original and the words are, the report is a mail. */
static void ours_of_odd_mails(void **state)
{
	static const struct str originals[] = { STR(""), STR("\r\n"), STR("no header"),
		STR("A: b\nB: c\n\nbare\n"), STR("A: b\r\n\r\nNUL \0 here\r\n"),
		STR("A: b\rB: c\r\n\r\n") };
	struct buf longest = BUF_INIT, b = BUF_INIT;

	buf_c(&longest, "Subject: ");
	while (longest.n < 5000)
		buf_c(&longest, "long");
	for (size_t i = 0; i <= sizeof originals / sizeof originals[0]; i++) {
		struct dsn d = dsn_of(DSN_FAILED);
		struct mail_report r;

		d.original = i < sizeof originals / sizeof originals[0] ? originals[i]
									: buf_view(&longest);
		d.words = STR("line\r\nand \xff line");
		d.diagnostic = STR("550 said\r\nAction: delivered\r\n\xe4");
		d.envid = STR("x\r\nStatus: 2.0.0");
		buf_reset(&b);
		dsn_build(&d, &b);
		check_lines(buf_view(&b), false);
		mail_report_read(buf_view(&b), STR_NONE, &r);
		assert_int_equal(r.kind, MAIL_REPORT_FAILED);
		assert_string_equal(r.status, "5.0.0");
	}
	buf_free(&b);
	buf_free(&longest);
}

static void ours_beyond_ascii(void **state)
{
	struct dsn d = dsn_of(DSN_FAILED);
	struct buf b = BUF_INIT;
	struct mail_report r;

	d.recipient = STR("änna@example.com");
	dsn_build(&d, &b);
	check_lines(buf_view(&b), false);
	assert_true(
		str_find(buf_view(&b), STR("Final-Recipient: utf-8; \\x{E4}nna@example.com")) > 0);
	mail_report_read(buf_view(&b), STR_NONE, &r);
	assert_string_equal(r.recipient, "änna@example.com");
	buf_reset(&b);
	d.smtputf8 = true;
	d.original = STR("From: a\r\nSubject: \xc3\xa4\r\n\r\nx\r\n");
	dsn_build(&d, &b);
	check_lines(buf_view(&b), true);
	assert_true(str_find(buf_view(&b), STR("message/global-delivery-status")) > 0);
	assert_true(str_find(buf_view(&b), STR("Content-Type: message/global\r\n")) > 0);
	mail_report_read(buf_view(&b), STR_NONE, &r);
	assert_string_equal(r.recipient, "änna@example.com");
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_worlds),
		cmocka_unit_test(words),
		cmocka_unit_test(which_recipient),
		cmocka_unit_test(ours),
		cmocka_unit_test(ours_in_full),
		cmocka_unit_test(ours_of_odd_mails),
		cmocka_unit_test(ours_beyond_ascii),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
