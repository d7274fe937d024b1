/* What servers say, as large providers and common programs word it, and what we make of it. */
#include "gateway/mail/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct {
	unsigned code;
	const char *status, *words, *reason;
	bool dead;
} cases[] = {
	/* Gmail */
	{ 550, "5.1.1", "The email account that you tried to reach does not exist.",
		"far_destination", true },
	{ 550, "5.2.1", "The email account that you tried to reach is inactive.", "far_destination",
		true },
	{ 552, "5.2.2", "The recipient's inbox is out of storage space.", "mailbox_full", false },
	{ 452, "4.2.2", "The recipient's inbox is out of storage space and inactive.",
		"mailbox_full", false },
	{ 450, "4.2.1",
		"The user you are trying to contact is receiving mail at a rate that prevents "
		"additional messages",
		"temporary", false },
	{ 450, "4.2.1", "The user you are trying to contact is receiving mail too quickly.",
		"temporary", false },
	{ 421, "4.7.28",
		"Gmail has detected an unusual rate of unsolicited mail originating from your IP "
		"address.",
		"throttled", false },
	{ 421, "4.7.0", "Our system has detected an unusual rate of unsolicited mail", "throttled",
		false },
	{ 550, "5.7.26", "This mail has been blocked because the sender is unauthenticated.",
		"blocked", false },
	{ 550, "5.7.1", "Our system has detected that this message is likely unsolicited mail.",
		"blocked", false },
	{ 550, "5.7.25", "The IP address sending this message does not have a PTR record setup",
		"blocked", false },
	{ 552, "5.7.0",
		"This message was blocked because its content presents a potential security issue.",
		"bad_content", false },
	{ 552, "5.3.4", "Your message exceeded Google's message size limits.", "too_long", false },
	{ 550, "5.4.5", "Daily user sending limit exceeded.", "throttled", false },
	{ 553, "5.1.3", "The recipient address <a b@c> is not a valid RFC 5321 address.",
		"far_destination", true },
	{ 0, "",
		"550-5.1.1 The email account that you tried to\r\n550-5.1.1 reach does not exist. "
		"Please try",
		"far_destination", true },
	/* Outlook.com, Exchange, Microsoft 365 */
	{ 550, "5.5.0", "Requested action not taken: mailbox unavailable (S2017062302).",
		"far_destination", true },
	{ 550, "", "Requested action not taken: mailbox unavailable", "far_destination", true },
	{ 550, "5.4.1", "Recipient address rejected: Access denied. AS(201806281)",
		"far_destination", true },
	{ 550, "5.1.10",
		"RESOLVER.ADR.RecipientNotFound; Recipient anna@example.com not found by SMTP "
		"address lookup",
		"far_destination", true },
	{ 550, "5.7.1",
		"Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your ISP "
		"since part of their network is on our block list (S3150).",
		"blocked", false },
	{ 451, "4.7.650",
		"The mail server [192.0.2.1] has been temporarily rate limited due to IP "
		"reputation.",
		"throttled", false },
	{ 451, "4.7.500", "Server busy. Please try again later from [192.0.2.1].", "throttled",
		false },
	{ 554, "5.2.2",
		"mailbox full; "
		"STOREDRV.Deliver.Exception:QuotaExceededException."
		"MapiExceptionShutoffQuotaExceeded",
		"mailbox_full", false },
	{ 550, "5.7.60", "SMTP; Client does not have permissions to send as this sender",
		"bad_sender", false },
	{ 550, "5.7.1", "RESOLVER.RST.AuthRequired; authentication required", "not_bound", false },
	{ 550, "5.7.606", "Access denied, banned sending IP [192.0.2.1].", "blocked", false },
	{ 432, "4.3.2", "Concurrent connections limit exceeded", "throttled", false },
	{ 550, "5.4.310", "DNS domain nowhere.example does not exist", "far_destination", true },
	{ 554, "5.4.14", "Hop count exceeded - possible mail loop", "refused", false },
	{ 550, "5.7.705", "Access denied, tenant has exceeded threshold", "blocked", false },
	/* Yahoo, AOL */
	{ 554, "",
		"delivery error: dd This user doesn't have a yahoo.example account "
		"(anna@yahoo.example) [0]",
		"far_destination", true },
	{ 554, "",
		"30 Sorry, your message to anna@yahoo.example cannot be delivered. This mailbox is "
		"disabled (554.30).",
		"far_destination", true },
	{ 421, "4.7.0",
		"[TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or "
		"user complaints",
		"throttled", false },
	{ 553, "5.7.2", "[TSS09] All messages from 192.0.2.1 will be permanently deferred",
		"blocked", false },
	{ 554, "5.7.9", "Message not accepted for policy reasons.", "blocked", false },
	{ 552, "", "1 Requested mail action aborted, mailbox not found", "far_destination", true },
	/* Yandex, Mail.ru */
	{ 550, "5.7.1", "No such user!", "far_destination", true },
	{ 554, "5.7.1", "[2] Message rejected under suspicion of SPAM", "blocked", false },
	{ 550, "5.1.1",
		"<anna@yandex.example>: Recipient address rejected: Policy rejection on the target "
		"address",
		"far_destination", true },
	{ 451, "4.7.1", "Sorry, the service is currently unavailable. Please come back later.",
		"temporary", false },
	{ 552, "5.2.2", "Mailbox size limit exceeded", "mailbox_full", false },
	{ 550, "",
		"Message was not accepted -- invalid mailbox.  Local mailbox anna@mail.example is "
		"unavailable: user not found",
		"far_destination", true },
	{ 550, "",
		"Message was not accepted -- invalid mailbox.  Local mailbox anna@mail.example is "
		"unavailable: account is disabled",
		"far_destination", true },
	{ 550, "", "spam message rejected. Please visit http://help.example/notspam-support/id?c=x",
		"blocked", false },
	{ 550, "", "user is terminated", "far_destination", true },
	{ 451, "", "You are sending too much mail; try again later", "throttled", false },
	/* Postfix */
	{ 550, "5.1.1",
		"<anna@example.com>: Recipient address rejected: User unknown in local recipient "
		"table",
		"far_destination", true },
	{ 450, "4.1.1",
		"<anna@example.com>: Recipient address rejected: unverified address: unknown user",
		"temporary", false },
	{ 450, "4.2.0",
		"<anna@example.com>: Recipient address rejected: Greylisted, see "
		"http://postgrey.example/help",
		"temporary", false },
	{ 451, "4.7.1", "Greylisting in action, please come back in 00:05:00", "temporary", false },
	{ 554, "5.7.1", "<anna@example.com>: Relay access denied", "refused", false },
	{ 554, "5.7.1",
		"Service unavailable; Client host [192.0.2.1] blocked using zen.dnsbl.example",
		"blocked", false },
	{ 452, "4.3.1", "Insufficient system storage", "far_queue_full", false },
	{ 552, "5.3.4", "Message size exceeds fixed limit", "too_long", false },
	{ 504, "5.5.2", "<box>: Helo command rejected: need fully-qualified hostname",
		"far_settings", false },
	{ 550, "5.1.8", "<shop@nowhere.example>: Sender address rejected: Domain not found",
		"bad_sender", false },
	{ 450, "4.7.25", "Client host rejected: cannot find your hostname, [192.0.2.1]",
		"temporary", false },
	{ 530, "5.7.0", "Must issue a STARTTLS command first", "far_settings", false },
	{ 530, "5.7.0", "Authentication required", "not_bound", false },
	{ 535, "5.7.8", "Error: authentication failed: invalid user", "not_bound", false },
	{ 554, "5.4.6", "Too many hops", "refused", false },
	{ 421, "4.7.0", "mx.example Error: too many connections from 192.0.2.1", "throttled",
		false },
	{ 452, "4.5.3", "Error: too many recipients", "temporary", false },
	/* Exim, cPanel, qmail, Sendmail, and filters */
	{ 550, "", "No Such User Here\"", "far_destination", true },
	{ 0, "", "Unrouteable address", "far_destination", true },
	{ 550, "", "Administrative prohibition", "blocked", false },
	{ 451, "", "Temporary local problem - please try later", "temporary", false },
	{ 0, "", "Sorry, no mailbox here by that name. (#5.1.1)", "far_destination", true },
	{ 0, "", "Sorry, I couldn't find any host named nowhere.example. (#5.1.2) unknown host",
		"far_destination", true },
	{ 0, "", "retry timeout exceeded", "expired", false },
	{ 550, "5.1.1", "<anna@example.com>... User unknown", "far_destination", true },
	{ 550, "5.7.0", "Local Policy Violation", "blocked", false },
	{ 554, "", "Blocked - see https://support.example/blocked", "refused", false },
	{ 550, "5.1.1", "User email address is marked as invalid", "far_destination", true },
	{ 550, "", "Your account has been suspended for sending spam; account disabled", "blocked",
		false },
	{ 421, "", "Service not available, closing transmission channel", "throttled", false },
	{ 421, "4.3.2", "System shutting down", "temporary", false },
	{ 556, "5.1.10", "Recipient address has null MX", "far_destination", true },
	/* Status and code alone */
	{ 550, "5.1.1", "", "far_destination", true },
	{ 550, "", "5.1.1", "far_destination", true },
	{ 550, "5.0.0", "", "refused", false },
	{ 550, "5.1.0", "Address rejected", "far_destination", false },
	{ 450, "4.2.2", "", "mailbox_full", false },
	{ 550, "5.7.1", "", "blocked", false },
	{ 552, "", "", "too_long", false },
	{ 550, "", "", "refused", false },
	{ 451, "", "", "temporary", false },
	{ 450, "4.1.1", "", "temporary", false },
	{ 0, "4.4.1", "", "temporary", false },
	{ 0, "", "", "refused", false },
	{ 250, "2.0.0", "Ok", "none", false },
	{ 0, "2.1.5", "", "none", false },
	/* Not fooled by numbers in words, or by a person of that name. */
	{ 451, "", "5.1.1 is in my words: no such user", "temporary", false },
	{ 554, "", "the marble rests", "refused", false },
};

static void replies(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool dead = !cases[i].dead;
		enum reason r = mail_reason(
			cases[i].code, str_of(cases[i].status), str_of(cases[i].words), &dead);

		if (strcmp(reason_word(r), cases[i].reason) != 0 || dead != cases[i].dead)
			fail_msg("%u %s %s: %s%s, not %s%s", cases[i].code, cases[i].status,
				cases[i].words, reason_word(r), dead ? ", dead" : "",
				cases[i].reason, cases[i].dead ? ", dead" : "");
	}
}

/* A temporary answer is always one that is waited for, whatever it says. */
static void class_4_waits(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool dead;
		enum reason r = mail_reason(451, STR_NONE, str_of(cases[i].words), &dead);

		assert_false(dead);
		if (reason_verdict(r) != VERDICT_RETRY)
			fail_msg("451 %s: %s", cases[i].words, reason_word(r));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies),
		cmocka_unit_test(class_4_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
