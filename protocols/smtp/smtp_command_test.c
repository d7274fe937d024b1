/* SMTP commands: what is read of them, and with which words they are refused. */
#include "gateway/base/mem.h"
#include "protocols/smtp/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static const struct smtp_reply *parse(const char *line, unsigned flags, struct smtp_command *c)
{
	return smtp_command_parse(str_of(line), flags, c);
}

static void test_verbs(void **state)
{
	static const struct {
		const char *line;
		enum smtp_verb verb;
		unsigned code; /* 0: taken */
	} v[] = {
		{ "EHLO me.example", SMTP_EHLO, 0 },
		{ "ehlo [127.0.0.1]", SMTP_EHLO, 0 },
		{ "HELO  x ", SMTP_HELO, 0 },
		{ "HELO", SMTP_HELO, 501 },
		{ "DATA", SMTP_DATA, 0 },
		{ "DATA ", SMTP_DATA, 0 },
		{ "DATA now", SMTP_DATA, 501 },
		{ "QUIT", SMTP_QUIT, 0 },
		{ "RSET", SMTP_RSET, 0 },
		{ "NOOP whatever", SMTP_NOOP, 0 },
		{ "VRFY a", SMTP_VRFY, 0 },
		{ "EXPN a", SMTP_EXPN, 0 },
		{ "HELP", SMTP_HELP, 0 },
		{ "STARTTLS", SMTP_STARTTLS, 0 },
		{ "STARTTLS x", SMTP_STARTTLS, 501 },
		{ "AUTH PLAIN", SMTP_AUTH, 0 },
		{ "AUTH", SMTP_AUTH, 501 },
		{ "AUTH PLAIN a b", SMTP_AUTH, 501 },
		{ "BDAT 10", SMTP_BDAT, 0 },
		{ "BDAT 10 LAST", SMTP_BDAT, 0 },
		{ "BDAT 10 first", SMTP_BDAT, 501 },
		{ "BDAT -1", SMTP_BDAT, 501 },
		{ "BDAT", SMTP_BDAT, 501 },
		{ "BDAT 99999999999999999999", SMTP_BDAT, 501 },
		{ "", SMTP_UNKNOWN, 500 },
		{ "XYZZY", SMTP_UNKNOWN, 500 },
		{ "MAILFROM:<a@b>", SMTP_UNKNOWN, 500 },
		{ "GET / HTTP/1.1", SMTP_FOREIGN, 521 },
	};
	struct smtp_command c;

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		const struct smtp_reply *r = parse(v[i].line, SMTP_EXTENDED, &c);

		if (c.verb != v[i].verb || (r ? r->code : 0) != v[i].code)
			fail_msg("%s: verb %d, %u", v[i].line, c.verb, r ? r->code : 0);
	}
	assert_null(parse("BDAT 10 last", 0, &c));
	assert_true(c.chunk == 10 && c.last);
	assert_null(parse("AUTH PLAIN =", 0, &c));
	assert_true(c.has_initial && c.initial.n == 0);
}

static void test_paths(void **state)
{
	static const struct {
		const char *line, *address; /* NULL: refused */
		unsigned flags;
	} v[] = {
		{ "MAIL FROM:<>", "", 0 },
		{ "MAIL FROM:<a@b.example>", "a@b.example", 0 },
		{ "mail from: <a@B.Example>", "a@b.example", 0 },
		{ "MAIL FROM:<Aa.b+c@B>", "Aa.b+c@b", 0 },
		{ "MAIL FROM:<@one.example,@two:a@b>", "a@b", 0 },
		{ "MAIL FROM:<@one.example:a@b>", "a@b", 0 },
		{ "MAIL FROM:<\"a b\"@c>", "\"a b\"@c", 0 },
		{ "MAIL FROM:<\"a\\\"b\"@c>", "\"a\\\"b\"@c", 0 },
		{ "MAIL FROM:<\"a>b\"@c>", "\"a>b\"@c", 0 },
		{ "MAIL FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]", 0 },
		{ "MAIL FROM:<a@[IPv6:2001:db8::1]>", "a@[ipv6:2001:db8::1]", 0 },
		{ "MAIL FROM:<\xc3\xb6@b> SMTPUTF8", "\xc3\xb6@b", 0 },
		{ "RCPT TO:<postmaster>", "postmaster", 0 },
		{ "RCPT TO:<\xc3\xb6@b>", "\xc3\xb6@b", SMTP_UTF8 },
		{ "RCPT TO:<\xc3\xb6@b>", NULL, 0 },
		{ "RCPT TO:<>", NULL, 0 },
		{ "RCPT TO:<a>", NULL, 0 },
		{ "RCPT TO:a@b", NULL, 0 },
		{ "RCPT TO:<a@b", NULL, 0 },
		{ "RCPT TO:<a@b>x", NULL, 0 },
		{ "RCPT TO:<a@>", NULL, 0 },
		{ "RCPT TO:<@b>", NULL, 0 },
		{ "RCPT TO:<.a@b>", NULL, 0 },
		{ "RCPT TO:<a.@b>", NULL, 0 },
		{ "RCPT TO:<a..b@c>", NULL, 0 },
		{ "RCPT TO:<a b@c>", NULL, 0 },
		{ "RCPT TO:<a@b c>", NULL, 0 },
		{ "RCPT TO:<a@-b>", NULL, 0 },
		{ "RCPT TO:<a@b->", NULL, 0 },
		{ "RCPT TO:<a@b..c>", NULL, 0 },
		{ "RCPT TO:<a@.b>", NULL, 0 },
		{ "RCPT TO:<a@b@c>", NULL, 0 },
		{ "RCPT TO:<a@[300.0.2.1]>", NULL, 0 },
		{ "RCPT TO:<a@[IPv6:192.0.2.1]>", NULL, 0 },
		{ "RCPT TO:<\"\"@b>", NULL, 0 },
		{ "RCPT TO:<\"a@b>", NULL, 0 },
		{ "RCPT TO:<@x,:a@b>", NULL, 0 },
		{ "RCPT TO:<a\t@b>", NULL, 0 },
		{ "MAIL FROM:<\xff@b> SMTPUTF8", NULL, 0 },
		{ "MAIL TO:<a@b>", NULL, 0 },
		{ "RCPT FROM:<a@b>", NULL, 0 },
		{ "MAIL", NULL, 0 },
	};
	struct smtp_command c;
	char line[600], local[80];

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		const struct smtp_reply *r = parse(v[i].line, SMTP_EXTENDED | v[i].flags, &c);

		if (!r != !!v[i].address || (!r && strcmp(c.path.text, v[i].address) != 0))
			fail_msg("%s: %s, %s", v[i].line, r ? r->text : "taken", c.path.text);
		if (r)
			assert_true(r->code >= 500 && r->status[0] == '5');
	}
	/* lengths */
	for (int n = 63; n <= 66; n++) {
		memset(local, 'a', sizeof local);
		local[n] = '\0';
		snprintf(line, sizeof line, "RCPT TO:<%s@b.example>", local);
		assert_int_equal(parse(line, 0, &c) == NULL, n <= 64);
	}
}

static void test_params(void **state)
{
	static const struct {
		const char *line;
		unsigned code;
	} v[] = {
		{ "MAIL FROM:<a@b> SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb AUTH=<>",
			0 },
		{ "MAIL FROM:<a@b> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=a+2Bb AUTH=a@b", 0 },
		{ "MAIL FROM:<a@b> size=1  body=7bit", 0 },
		{ "MAIL FROM:<a@b> AUTH=+3C+3E", 0 },
		{ "MAIL FROM:<a@b> SIZE=x", 501 },
		{ "MAIL FROM:<a@b> SIZE", 501 },
		{ "MAIL FROM:<a@b> SIZE=", 501 },
		{ "MAIL FROM:<a@b> SIZE=1 SIZE=2", 501 },
		{ "MAIL FROM:<a@b> SIZE=99999999999999999999999", 501 },
		{ "MAIL FROM:<a@b> BODY=BINARYMIME", 501 },
		{ "MAIL FROM:<a@b> SMTPUTF8=yes", 501 },
		{ "MAIL FROM:<a@b> RET=SOME", 501 },
		{ "MAIL FROM:<a@b> NOTIFY=NEVER", 555 },
		{ "MAIL FROM:<a@b> X=1", 555 },
		{ "MAIL FROM:<a@b> ENVID=a+2", 501 },
		{ "MAIL FROM:<a@b> ENVID=a=b", 501 },
		{ "MAIL FROM:<a@b> ENVID=a+0Ab", 501 },
		{ "RCPT TO:<a@b> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a+2Bb@c", 0 },
		{ "RCPT TO:<a@b> NOTIFY=NEVER", 0 },
		{ "RCPT TO:<a@b> NOTIFY=NEVER,SUCCESS", 501 },
		{ "RCPT TO:<a@b> NOTIFY=SUCCESS,SUCCESS", 501 },
		{ "RCPT TO:<a@b> NOTIFY=", 501 },
		{ "RCPT TO:<a@b> ORCPT=a@b", 501 },
		{ "RCPT TO:<a@b> ORCPT=;a@b", 501 },
		{ "RCPT TO:<a@b> ORCPT=utf-8;\xc3\xb6@b", 0 },
		{ "RCPT TO:<a@b> ORCPT=utf-8;\xc3@b", 501 },
		{ "RCPT TO:<a@b> SIZE=3", 555 },
	};
	struct smtp_command c;

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		const struct smtp_reply *r = parse(v[i].line, SMTP_EXTENDED, &c);

		if ((r ? r->code : 0) != v[i].code)
			fail_msg("%s: %u", v[i].line, r ? r->code : 0);
	}
	assert_int_equal(parse("MAIL FROM:<a@b> SIZE=1", 0, &c)->code, 555); /* HELO */
	assert_null(parse("MAIL FROM:<a@b> SIZE=77 BODY=8bitmime RET=full ENVID=Q+2B1", 1, &c));
	assert_true(c.has_size && c.size == 77 && c.body == SMTP_BODY_8BIT && c.ret == RET_FULL);
	assert_string_equal(c.envid, "Q+1");
	assert_null(parse("RCPT TO:<a@b> notify=delay,failure ORCPT=rfc822;x+40y", 1, &c));
	assert_int_equal(c.notify, NOTIFY_DELAY | NOTIFY_FAILURE);
	assert_string_equal(c.orcpt, "rfc822;x@y");
}

static void test_envid_length(void **state)
{
	struct smtp_command c;
	char line[400], id[200];

	for (size_t n = 98; n <= 102; n++) {
		memset(id, 'x', n);
		id[n] = '\0';
		snprintf(line, sizeof line, "MAIL FROM:<a@b> ENVID=%s", id);
		assert_int_equal(parse(line, SMTP_EXTENDED, &c) == NULL, n <= SMTP_ENVID_MOST);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_envid_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
