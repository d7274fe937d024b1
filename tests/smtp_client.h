/* What the tests of the SMTP client share: its mails, fates, and a script's server with a channel
 * that sends to it. For one file of a program. */
#ifndef POSTERN_TESTS_SMTP_CLIENT_H
#define POSTERN_TESTS_SMTP_CLIENT_H

#include "tests/smtp_peer.h"

static const char mail[] = "From: shop@us.example\r\nSubject: hi\r\n\r\nHello.\r\n";
static char dir[] = "/tmp/postern-smtp-XXXXXX";
static struct test_cert ca, strangers, good, elsewhere, person;

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
/* A mail that stands in the spool. */
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
static int set_up(void **state)
{
	assert_non_null(mkdtemp(dir));
	ca = cert_make(dir, "ca", NULL, NULL, -1, 10);
	/* "The system's" authorities: to read a hundred real ones with each channel that opens
	 * takes most of the time of these tests. */
	strangers = cert_make(dir, "strangers", NULL, NULL, -1, 10);
	setenv("SSL_CERT_FILE", strangers.cert_file, 1);
	setenv("SSL_CERT_DIR", dir, 1);
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
	cert_free(&strangers);
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

/* The tests, or those that ONLY names. */
#define RUN(name, tests)                         \
	(cmocka_set_test_filter(getenv("ONLY")), \
		cmocka_run_group_tests_name(name, tests, set_up, tear_down))

#endif
