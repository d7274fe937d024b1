/* Signed tokens and the envelope: what comes back is what went out, and nothing else does. */
#include "gateway/mail/mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char *old[] = { "the secret of last year", "short" };
static const struct mail_conf conf = { .secret = "sixteen octets and more",
	.bounce_life = 5 * DUR_DAY,
	.unsubscribe_life = 60 * DUR_DAY,
	.old_secrets = old,
	.old_secrets_n = 2 };
static const wall_t now = 1795000000 * DUR_S;

static void return_path(void **state)
{
	static const uint64_t ids[] = { 1, 0x7fffffffffffffff, UINT64_MAX, 1234567890123 };
	char t[MAIL_TOKEN], up[MAIL_TOKEN];
	uint64_t msg;

	for (size_t i = 0; i < 4; i++) {
		assert_true(mail_bounce_token(&conf, ids[i], now, t));
		assert_int_equal(strlen(t), 35);
		for (char *c = t; *c; c++)
			assert_true((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9'));
		for (size_t k = 0; k < sizeof t; k++)
			up[k] = (char)(t[k] >= 'a' && t[k] <= 'z' && k % 2 ? t[k] - 32 : t[k]);
		assert_int_equal(mail_bounce_check(&conf, str_of(up), now, &msg), MAIL_TOKEN_GOOD);
		assert_true(msg == ids[i]);
		assert_int_equal(
			mail_bounce_check(&conf, str_of(t), now + 5 * DUR_DAY - DUR_S, &msg),
			MAIL_TOKEN_GOOD);
		msg = 0;
		assert_int_equal(
			mail_bounce_check(&conf, str_of(t), now + 5 * DUR_DAY + 2 * DUR_HOUR, &msg),
			MAIL_TOKEN_EXPIRED);
		assert_true(msg == ids[i]);
	}
}

/* Any one letter changed, left out or added makes it a forgery. */
static void forged_return_path(void **state)
{
	struct mail_conf other = conf;
	char t[MAIL_TOKEN], bad[MAIL_TOKEN + 1];
	uint64_t msg = 7;

	assert_true(mail_bounce_token(&conf, 42, now, t));
	for (size_t i = 0; i < 35; i++) {
		memcpy(bad, t, sizeof t);
		bad[i] = bad[i] == 'a' ? 'b' : 'a';
		assert_int_equal(
			mail_bounce_check(&conf, str_of(bad), now, &msg), MAIL_TOKEN_FORGED);
		assert_true(msg == 0);
		bad[i] = '1';
		assert_int_equal(
			mail_bounce_check(&conf, str_of(bad), now, &msg), MAIL_TOKEN_FORGED);
	}
	assert_int_equal(mail_bounce_check(&conf, str_n(t, 34), now, &msg), MAIL_TOKEN_FORGED);
	memcpy(bad, t, 35);
	bad[35] = 'a';
	assert_int_equal(mail_bounce_check(&conf, str_n(bad, 36), now, &msg), MAIL_TOKEN_FORGED);
	assert_int_equal(mail_bounce_check(&conf, STR_NONE, now, &msg), MAIL_TOKEN_FORGED);
	other.secret = "another secret, long enough";
	assert_int_equal(mail_bounce_check(&other, str_of(t), now, &msg), MAIL_TOKEN_FORGED);
}

static void secrets(void **state)
{
	struct mail_conf was = conf, none = conf, brief = conf;
	char t[MAIL_TOKEN];
	uint64_t msg;

	was.secret = old[0];
	assert_true(mail_bounce_token(&was, 42, now, t));
	assert_int_equal(mail_bounce_check(&conf, str_of(t), now, &msg), MAIL_TOKEN_GOOD);
	none.secret = NULL;
	assert_false(mail_bounce_token(&none, 42, now, t));
	assert_string_equal(t, "");
	brief.secret = "short";
	assert_false(mail_bounce_token(&brief, 42, now, t));
	assert_false(mail_bounce_token(NULL, 42, now, t));
	/* What is too short to give is too short to take. */
	none.old_secrets = old + 1;
	none.old_secrets_n = 1;
	assert_true(mail_bounce_token(&conf, 42, now, t));
	assert_int_equal(mail_bounce_check(&none, str_of(t), now, &msg), MAIL_TOKEN_FORGED);
}

static void unsubscribing(void **state)
{
	char t[MAIL_UNSUBSCRIBE_TOKEN], longest[256], row[32];
	struct mail_unsubscribe u;

	assert_true(
		mail_unsubscribe_token(&conf, 42, STR("anna@example.com"), STR("loyalty"), now, t));
	for (char *c = t; *c; c++)
		assert_true((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') ||
			    (*c >= 'A' && *c <= 'Z') || *c == '-' || *c == '_');
	assert_int_equal(mail_unsubscribe_check(&conf, str_of(t), now, &u), MAIL_TOKEN_GOOD);
	assert_true(u.msg == 42);
	assert_string_equal(u.address, "anna@example.com");
	assert_string_equal(u.row, "loyalty");
	assert_int_equal(mail_unsubscribe_check(&conf, str_of(t), now + 61 * DUR_DAY, &u),
		MAIL_TOKEN_EXPIRED);
	assert_string_equal(u.address, "anna@example.com");

	for (size_t i = 0; t[i]; i++) {
		char was = t[i];

		t[i] = was == 'x' ? 'y' : 'x';
		assert_int_equal(
			mail_unsubscribe_check(&conf, str_of(t), now, &u), MAIL_TOKEN_FORGED);
		assert_string_equal(u.address, "");
		t[i] = was;
	}
	for (size_t n = 0; n < strlen(t); n++)
		assert_int_equal(
			mail_unsubscribe_check(&conf, str_n(t, n), now, &u), MAIL_TOKEN_FORGED);

	memset(longest, 'a', 255);
	longest[255] = '\0';
	memset(row, 'r', 31);
	row[31] = '\0';
	assert_true(mail_unsubscribe_token(&conf, 1, str_of(longest), str_of(row), now, t));
	assert_int_equal(mail_unsubscribe_check(&conf, str_of(t), now, &u), MAIL_TOKEN_GOOD);
	assert_string_equal(u.address, longest);
	assert_string_equal(u.row, row);
	assert_false(mail_unsubscribe_token(&conf, 1, str_n(longest, 256), STR_NONE, now, t));
	assert_false(mail_unsubscribe_token(&conf, 1, STR_NONE, STR_NONE, now, t));
	assert_false(mail_unsubscribe_token(
		&conf, 1, STR("a@b.c"), STR("rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"), now, t));
}

/* One kind of token is never the other, even when the octets signed are alike. */
static void kinds_do_not_mix(void **state)
{
	char t[MAIL_UNSUBSCRIBE_TOKEN];
	uint64_t msg;

	assert_true(mail_unsubscribe_token(&conf, 42, STR("a@b.c"), STR_NONE, now, t));
	assert_int_equal(mail_bounce_check(&conf, str_n(t, 35), now, &msg), MAIL_TOKEN_FORGED);
}

static void envelope(void **state)
{
	static const struct mail_envelope cases[] = {
		{ .envid = { "", 0 }, .orcpt = { "", 0 } },
		{ .eightbit = true, .envid = { "", 0 }, .orcpt = { "", 0 } },
		{ .smtputf8 = true,
			.binary = true,
			.notify = NOTIFY_NEVER,
			.ret = RET_HDRS,
			.envid = { "QQ314159", 8 },
			.orcpt = { "rfc822;anna@example.com", 23 } },
		{ .notify = NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY,
			.ret = RET_FULL,
			.envid = { "", 0 },
			.orcpt = { "rfc822;a b@c", 12 } },
	};
	struct mail_envelope e;
	struct draft d;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct mail_envelope *c = &cases[i];
		struct message *m;

		draft_init(&d);
		mail_envelope_put(&d, c);
		m = draft_seal(&d);
		draft_free(&d);
		assert_int_equal(message_has(m, FIELD_ENVELOPE), i != 0);
		assert_true(mail_envelope_get(m, &e));
		assert_true(e.eightbit == c->eightbit && e.smtputf8 == c->smtputf8);
		assert_true(e.binary == c->binary && e.notify == c->notify && e.ret == c->ret);
		assert_true(str_eq(e.envid, c->envid) && str_eq(e.orcpt, c->orcpt));
		message_unref(&m);
		draft_free(&d);
	}
	static const struct str damaged[] = { STR("\1\0\0\0\0"), STR("\2\0\0\0\0\0"),
		STR("\1\10\0\0\0\0"), STR("\1\0\20\0\0\0"), STR("\1\0\0\3\0\0"),
		STR("\1\0\0\0\0\2a") };
	for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
		struct message *m;

		draft_init(&d);
		draft_put(&d, FIELD_ENVELOPE, damaged[i]);
		m = draft_seal(&d);
		draft_free(&d);
		assert_false(mail_envelope_get(m, &e));
		assert_true(!e.notify && !e.envid.n && !e.orcpt.n);
		message_unref(&m);
		draft_free(&d);
	}
}

static void header(void **state)
{
	static const struct {
		const char *mail;
		bool date, id, from;
		unsigned received, delivered;
		const char *address, *subject;
		size_t n;
	} cases[] = {
		{ "", 0, 0, 0, 0, 0, "", "", 0 },
		{ "\r\nbody", 0, 0, 0, 0, 0, "", "", 2 },
		{ "Date: x\r\nMessage-Id: <a@b>\r\nFROM: Anna <anna@example.com>\r\n"
		  "Subject: Hi\r\n there\r\n\r\nDate: in the body\r\n",
			1, 1, 1, 0, 0, "anna@example.com", "Hi\r\n there", 82 },
		{ "Received: by a\r\n\tfor b\r\nReceived : by c\r\nDelivered-To: x\r\n"
		  "Received-SPF: no\r\n\r\n",
			0, 0, 0, 2, 1, "", "", 78 },
		{ "From: anna@example.com (Anna)\n\nx", 0, 0, 1, 0, 0, "anna@example.com", "", 31 },
		{ "From: \"Berg, Anna <x@y>\" <anna@example.com>, b@c\r\n\r\n", 0, 0, 1, 0, 0,
			"anna@example.com", "", 52 },
		{ "From: Shop: one@example.com, two@example.com;\r\n\r\n", 0, 0, 1, 0, 0,
			"one@example.com", "", 49 },
		{ "From: <@a.example,@b.example:anna@example.com>\r\n\r\n", 0, 0, 1, 0, 0,
			"anna@example.com", "", 50 },
		{ "From: (a (nested) \\) comment@no) anna@example.com\r\n\r\n", 0, 0, 1, 0, 0,
			"anna@example.com", "", 53 },
		{ "From:\r\n \"a b\"@example.com\r\n\r\n", 0, 0, 1, 0, 0, "\"a b\"@example.com", "",
			29 },
		{ "From: one@a\r\nFrom: two@b\r\n\r\n", 0, 0, 1, 0, 0, "one@a", "", 28 },
		{ "From: nobody\r\nSubject:\r\n\r\n", 0, 0, 1, 0, 0, "", "", 26 },
		/* what readers show: the one in angles, whatever the name before it looks like */
		{ "From: one@a <two@b>\r\n\r\n", 0, 0, 1, 0, 0, "two@b", "", 23 },
		{ "From: x: one@a (c) <two@b>;\r\n\r\n", 0, 0, 1, 0, 0, "two@b", "", 31 },
		{ "no field\r\nDate: x", 1, 0, 0, 0, 0, "", "", 17 },
		{ "Subject: \"open\r\nFrom: <a@b\r\n", 0, 0, 1, 0, 0, "a@b", "\"open", 28 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct mail_header_look l;

		mail_header_look(str_of(cases[i].mail), &l);
		assert_int_equal(l.date, cases[i].date);
		assert_int_equal(l.message_id, cases[i].id);
		assert_int_equal(l.from, cases[i].from);
		assert_int_equal(l.received, cases[i].received);
		assert_int_equal(l.delivered_to, cases[i].delivered);
		if (l.header_n != cases[i].n)
			fail_msg("case %zu: header of %zu octets", i, l.header_n);
		if (!str_is(l.from_address, cases[i].address) ||
			!str_is(l.subject, cases[i].subject))
			fail_msg("case %zu: address \"%.*s\", subject \"%.*s\"", i,
				STR_ARG(l.from_address), STR_ARG(l.subject));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(return_path),
		cmocka_unit_test(forged_return_path),
		cmocka_unit_test(secrets),
		cmocka_unit_test(unsubscribing),
		cmocka_unit_test(kinds_do_not_mix),
		cmocka_unit_test(envelope),
		cmocka_unit_test(header),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
