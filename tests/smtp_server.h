/* For the tests of SMTP's server half: a whole gateway in this process, in a folder of its own, and
 * clients on blocking sockets that say lines and read replies, with TLS if need be. Header-only.
 */
#ifndef POSTERN_TESTS_SMTP_SERVER_H
#define POSTERN_TESTS_SMTP_SERVER_H

#include "gateway/base/stat.h"
#include "tests/gateway_fixture.h"

#include <netinet/tcp.h>
#include <openssl/ssl.h>

static uint16_t fx_far_port; /* mail to *@far.example goes there; 0: to nobody */

/* Mail to *.example is taken, to bad.example refused by its channel, to down.example nobody carries
 * it just now; SMS to 46… */
static const char *fx_rest(void)
{
	static char text[2000];

	snprintf(text, sizeof text,
		"mail = { hostname = \"mx.shop.example\"; secret = \"0123456789abcdef\";\n"
		"	bounce_domain = \"b.shop.example\"; };\n"
		"channels = ( { name = \"nul\"; type = \"null\"; media = [ \"sms\", \"email\" ]; "
		"},\n"
		"	{ name = \"bad\"; type = \"null\"; refuse = 1.0; },\n"
		"	{ name = \"far\"; type = \"smtp\"; host = \"127.0.0.1\"; port = %u; },\n"
		"	{ name = \"down\"; type = \"smtp\"; host = \"127.0.0.1\"; port = 9; } );\n"
		"routes = ( { media = \"email\"; to = \"*@%s.example\"; via = [ \"far\" ]; },\n"
		"	{ media = \"email\"; to = \"*@bad.example\"; via = [ \"bad\" ]; },\n"
		"	{ media = \"email\"; to = \"*@down.example\"; via = [ \"down\" ]; },\n"
		"	{ media = \"email\"; to = [ \"*.example\", \"*.invalid\" ]; via = [ "
		"\"nul\" ]; },\n"
		"	{ media = \"sms\"; to = \"46*\"; via = [ \"nul\" ]; } );\n",
		fx_far_port ? fx_far_port : 9u, fx_far_port ? "far" : "none");
	return text;
}

/* The message with that id, the caller's. */
static struct message *fx_message(uint64_t id)
{
	struct store_view v = fx_view(id);
	struct message *m = message_ref(v.msg);

	store_view_free(&v);
	return m;
}

static uint64_t fx_stat(const char *name)
{
	uint64_t v = 0;

	stat_lookup(name, "listener=\"submission\"", &v);
	return v;
}

static void fx_stat_becomes(const char *name, uint64_t want)
{
	for (int i = 0; i < 2000 && fx_stat(name) != want; i++)
		usleep(5000);
	assert_int_equal(fx_stat(name), want);
}

/* Lets the clocks jump in steps, so that timers of loops fire in between. */
static void fx_wait(dur_t d)
{
	for (dur_t step = 500 * DUR_MS; d > 0; d -= step) {
		clock_shift(step);
		usleep(2000);
	}
}

/* ---- a client ---- */

struct client {
	int fd;
	SSL *ssl;
	SSL_CTX *ctx;
	struct buf in;
	char reply[4096]; /* the last one, its lines with LF */
};

static struct client dial_from(const char *address)
{
	struct client c = { .fd = socket(AF_INET, SOCK_STREAM, 0) };
	struct timeval patience = { .tv_sec = 60 };
	union addr to, from;
	int one = 1;

	assert_true(c.fd >= 0);
	setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	assert_true(addr_parse(STR("127.0.0.1"), fx.port, &to));
	assert_true(addr_parse(str_of(address), 0, &from));
	assert_int_equal(bind(c.fd, &from.sa, sizeof from.in), 0);
	assert_int_equal(connect(c.fd, &to.sa, sizeof to.in), 0);
	return c;
}

static struct client dial(void)
{
	return dial_from("127.0.0.1");
}

static void hang_up(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	buf_free(&c->in);
	close(c->fd);
	*c = (struct client){ .fd = -1 };
}

static void say_n(struct client *c, const void *p, size_t n)
{
	const char *at = p;

	while (n) {
		ssize_t w = c->ssl ? SSL_write(c->ssl, at, (int)(n > 65536 ? 65536 : n))
				   : send(c->fd, at, n, MSG_NOSIGNAL);

		if (w <= 0)
			return; /* it has closed: what it said tells why */
		at += w;
		n -= (size_t)w;
	}
}

static void say(struct client *c, const char *text)
{
	say_n(c, text, strlen(text));
}

static ssize_t hear(struct client *c)
{
	char *at = buf_extend(&c->in, 4096);
	ssize_t n = c->ssl ? SSL_read(c->ssl, at, 4096) : recv(c->fd, at, 4096, 0);

	c->in.n -= 4096 - (size_t)(n > 0 ? n : 0);
	return n;
}

/* Reads one reply, all its lines; false at the end. */
static bool next_reply(struct client *c)
{
	size_t n = 0;

	c->reply[0] = '\0';
	for (;;) {
		char *lf = c->in.n ? memchr(c->in.p, '\n', c->in.n) : NULL;
		size_t len = lf ? (size_t)(lf - c->in.p) + 1 : 0;
		bool last;

		if (!lf) {
			if (hear(c) <= 0)
				return false;
			continue;
		}
		assert_true(len >= 6 && c->in.p[len - 2] == '\r' && n + len < sizeof c->reply);
		memcpy(c->reply + n, c->in.p, len - 2);
		n += len - 2;
		c->reply[n] = '\0';
		last = c->in.p[3] == ' ';
		buf_drop(&c->in, len);
		if (last)
			return true;
		c->reply[n++] = '\n';
	}
}

#define expect(c, want) expect_at((c), (want), __LINE__)
static void expect_at(struct client *c, const char *want, int line)
{
	if (!next_reply(c))
		fail_msg("line %d: it hung up, not %s", line, want);
	if (strncmp(c->reply, want, strlen(want)) != 0)
		fail_msg("line %d: \"%s\", not %s", line, c->reply, want);
}

#define ask(c, line, want) ask_at((c), (line), (want), __LINE__)
static void ask_at(struct client *c, const char *text, const char *want, int line)
{
	say(c, text);
	say(c, "\r\n");
	expect_at(c, want, line);
}

static void expect_end(struct client *c)
{
	if (next_reply(c))
		fail_msg("\"%s\", not the end", c->reply);
	hang_up(c);
}

static void start_tls(struct client *c)
{
	c->ctx = SSL_CTX_new(TLS_client_method());
	c->ssl = SSL_new(c->ctx);
	SSL_set_fd(c->ssl, c->fd);
	assert_int_equal(SSL_connect(c->ssl), 1);
}

static struct client greeted(void)
{
	struct client c = dial();

	expect(&c, "220 mx.shop.example ESMTP");
	ask(&c, "EHLO me.example", "250-mx.shop.example");
	return c;
}

static void quit(struct client *c)
{
	ask(c, "QUIT", "221 2.0.0 ");
	expect_end(c);
}

/* Up to and with DATA. */
static void envelope(struct client *c, const char *from, const char *to)
{
	char line[600];

	snprintf(line, sizeof line, "MAIL FROM:<%s>", from);
	ask(c, line, "250 2.1.0 ");
	snprintf(line, sizeof line, "RCPT TO:<%s>", to);
	ask(c, line, "250 2.1.5 ");
}

/* The id in "250 2.0.0 accepted as ID". */
static uint64_t id_of(const struct client *c)
{
	const char *at = strstr(c->reply, "accepted as ");

	return at ? strtoull(at + 12, NULL, 10) : 0;
}

static uint64_t send_mail(struct client *c, const char *from, const char *to, const char *content)
{
	envelope(c, from, to);
	ask(c, "DATA", "354 ");
	say(c, content);
	ask(c, ".", "250 2.0.0 accepted as ");
	return id_of(c);
}

#endif
