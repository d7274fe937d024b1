/* For the tests of the SMTP client: a server that does what a script says, and a flow of a few
 * lines that lends messages to one channel and keeps what came of them. Tests only; header-only,
 * for one file of a program.
 *
 * A script is one connection's steps, a line each:
 *	> 250 ok        say it, CRLF added        raw …      say it as it is (\r, \n, \0 written so)
 *	< MAIL          a line that begins so     data       content up to the dot, kept
 *	bdat            BDAT and its chunk, kept  tls        the handshake
 *	sleep 50        milliseconds              close      and nothing more; reset: with an RST
 *	bdats 503 no    each chunk answered so, until RSET, which is answered well
 *	bdatall         chunks up to the LAST, kept, each but that answered well
 *	ehlo            < EHLO and a plain 250    session    greeting and ehlo
 *	mail            MAIL RCPT DATA, content, each answered well
 *	hold            nothing, until peer_release() or the end
 *	quit            QUIT or the end           idle       until the far side ends it
 */
#ifndef POSTERN_TESTS_SMTP_PEER_H
#define POSTERN_TESTS_SMTP_PEER_H

#include "gateway/base/mem.h"
#include "gateway/base/stream.h"
#include "gateway/base/waiter.h"
#include "protocols/smtp/client.h"
#include "tests/certs.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#pragma GCC diagnostic ignored "-Wunused-function"

enum { PEER_SCRIPTS = 32, PEER_MAILS = 4096 };

static struct {
	int fd;
	uint16_t port;
	pthread_t thread;
	const char *const *scripts; /* one each connection; the last for all further ones */
	const char *fault;          /* what was not as the script says */
	char fault_line[256];
	_Atomic unsigned connections;
	struct buf data, lines; /* content, and commands as read */
	_Atomic unsigned mails, certified;
	const char *cert_file, *key_file;
	bool released;
	pthread_mutex_t lock;
	pthread_cond_t release;
} peer = { .lock = PTHREAD_MUTEX_INITIALIZER, .release = PTHREAD_COND_INITIALIZER };

/* ---- the server ---- */

struct peer_conn {
	int fd;
	SSL *ssl;
	struct buf in;
};

static bool peer_say(struct peer_conn *c, struct str s)
{
	while (s.n) {
		ssize_t n = c->ssl ? SSL_write(c->ssl, s.p, (int)s.n)
				   : send(c->fd, s.p, s.n, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		s = str_skip(s, (size_t)n);
	}
	return true;
}

static bool peer_fill(struct peer_conn *c)
{
	char chunk[65536];
	ssize_t n = c->ssl ? SSL_read(c->ssl, chunk, sizeof chunk)
			   : recv(c->fd, chunk, sizeof chunk, 0);

	if (n <= 0)
		return false;
	buf_add(&c->in, chunk, (size_t)n);
	return true;
}

static bool peer_line(struct peer_conn *c, struct buf *line)
{
	ptrdiff_t at;

	while ((at = str_find(buf_view(&c->in), STR("\r\n"))) < 0)
		if (!peer_fill(c))
			return false;
	buf_reset(line);
	buf_add(line, c->in.p, (size_t)at);
	buf_drop(&c->in, (size_t)at + 2);
	pthread_mutex_lock(&peer.lock);
	buf_str(&peer.lines, buf_view(line));
	buf_char(&peer.lines, '\n');
	pthread_mutex_unlock(&peer.lock);
	return true;
}

static bool peer_data(struct peer_conn *c)
{
	ptrdiff_t at;
	bool empty;

	while (true) {
		empty = str_starts(buf_view(&c->in), STR(".\r\n"));
		at = str_find(buf_view(&c->in), STR("\r\n.\r\n"));
		if (empty || at >= 0)
			break;
		if (!peer_fill(c))
			return false;
	}
	pthread_mutex_lock(&peer.lock);
	if (!empty)
		buf_add(&peer.data, c->in.p, (size_t)at + 2);
	peer.mails++;
	pthread_mutex_unlock(&peer.lock);
	buf_drop(&c->in, empty ? 3 : (size_t)at + 5);
	return true;
}

static bool peer_bdat(struct peer_conn *c, bool *last_r)
{
	struct buf line = BUF_INIT;
	size_t n = 0;
	bool ok = peer_line(c, &line) && str_starts(buf_view(&line), STR("BDAT "));

	if (ok)
		n = strtoul(buf_cstr(&line) + 5, NULL, 10);
	*last_r = ok && str_ends(buf_view(&line), STR(" LAST"));
	buf_free(&line);
	while (ok && c->in.n < n)
		ok = peer_fill(c);
	if (!ok)
		return false;
	pthread_mutex_lock(&peer.lock);
	buf_add(&peer.data, c->in.p, n);
	peer.mails++;
	pthread_mutex_unlock(&peer.lock);
	buf_drop(&c->in, n);
	return true;
}

static bool peer_bdats(struct peer_conn *c, struct str answer)
{
	struct buf line = BUF_INIT;
	bool ok;
	size_t n;

	while ((ok = peer_line(c, &line)) && str_starts(buf_view(&line), STR("BDAT "))) {
		n = strtoul(buf_cstr(&line) + 5, NULL, 10);
		while (ok && c->in.n < n)
			ok = peer_fill(c);
		if (!ok)
			break;
		buf_drop(&c->in, n);
		if (!peer_say(c, answer) || !peer_say(c, STR("\r\n")))
			break;
	}
	ok = ok && str_is(buf_view(&line), "RSET") && peer_say(c, STR("250 ok\r\n"));
	buf_free(&line);
	return ok;
}

/* Clients may show a certificate; whatever it is, it is taken. */
static int peer_takes_any(int ok, X509_STORE_CTX *store)
{
	return 1;
}

static bool peer_tls(struct peer_conn *c)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	CHECK(ctx && SSL_CTX_use_certificate_chain_file(ctx, peer.cert_file) == 1);
	CHECK(SSL_CTX_use_PrivateKey_file(ctx, peer.key_file, SSL_FILETYPE_PEM) == 1);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, peer_takes_any);
	c->ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	SSL_set_fd(c->ssl, c->fd);
	if (SSL_accept(c->ssl) != 1)
		return false;
	pthread_mutex_lock(&peer.lock);
	peer.certified += SSL_get0_peer_certificate(c->ssl) != NULL;
	pthread_mutex_unlock(&peer.lock);
	return true;
}

static void peer_unescape(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\\' && i + 1 < s.n) {
			c = s.p[++i];
			c = c == 'r' ? '\r' : c == 'n' ? '\n' : c == '0' ? '\0' : c;
		}
		buf_char(out, c);
	}
}

static bool peer_want(struct peer_conn *c, const char *what)
{
	struct buf line = BUF_INIT;
	bool ok = peer_line(c, &line);

	if (ok && !str_starts(buf_view(&line), str_of(what))) {
		pthread_mutex_lock(&peer.lock);
		if (!peer.fault) {
			snprintf(peer.fault_line, sizeof peer.fault_line, "wanted %s, got %.*s",
				what, STR_ARG(buf_view(&line)));
			peer.fault = peer.fault_line;
		}
		pthread_mutex_unlock(&peer.lock);
		ok = false;
	}
	buf_free(&line);
	return ok;
}

static const char peer_offers[] =
	"250-peer.example hello\r\n250-PIPELINING\r\n250-SIZE 10000000\r\n"
	"250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n";

static bool peer_step(struct peer_conn *c, struct str s)
{
	struct buf text = BUF_INIT;
	bool ok = true, last;

	if (str_starts(s, STR("> "))) {
		buf_str(&text, str_skip(s, 2));
		buf_c(&text, "\r\n");
		ok = peer_say(c, buf_view(&text));
	} else if (str_starts(s, STR("raw "))) {
		peer_unescape(str_skip(s, 4), &text);
		ok = peer_say(c, buf_view(&text));
	} else if (str_starts(s, STR("< "))) {
		buf_str(&text, str_skip(s, 2));
		ok = peer_want(c, buf_cstr(&text));
	} else if (str_is(s, "data")) {
		ok = peer_data(c);
	} else if (str_starts(s, STR("bdats "))) {
		ok = peer_bdats(c, str_skip(s, 6));
	} else if (str_is(s, "bdat")) {
		ok = peer_bdat(c, &last);
	} else if (str_is(s, "bdatall")) {
		while ((ok = peer_bdat(c, &last)) && !last)
			peer_say(c, STR("250 k\r\n"));
	} else if (str_is(s, "tls")) {
		ok = peer_tls(c);
	} else if (str_starts(s, STR("sleep "))) {
		usleep(1000 * (unsigned)strtoul(s.p + 6, NULL, 10));
	} else if (str_is(s, "session")) {
		ok = peer_say(c, STR("220 peer.example ESMTP\r\n")) && peer_want(c, "EHLO") &&
		     peer_say(c, str_of(peer_offers));
	} else if (str_is(s, "ehlo")) {
		ok = peer_want(c, "EHLO") && peer_say(c, str_of(peer_offers));
	} else if (str_is(s, "mail")) {
		ok = peer_want(c, "MAIL FROM:<") && peer_want(c, "RCPT TO:<") &&
		     peer_want(c, "DATA") &&
		     peer_say(c, STR("250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n")) &&
		     peer_data(c) && peer_say(c, STR("250 2.0.0 Ok: queued as ABC123\r\n"));
	} else if (str_is(s, "mails")) {
		while (peer_step(c, STR("mail")))
			;
		ok = false;
		pthread_mutex_lock(&peer.lock);
		if (peer.fault && strstr(peer.fault, "got QUIT"))
			peer.fault = NULL;
		pthread_mutex_unlock(&peer.lock);
	} else if (str_is(s, "hold")) {
		pthread_mutex_lock(&peer.lock);
		while (!peer.released)
			pthread_cond_wait(&peer.release, &peer.lock);
		pthread_mutex_unlock(&peer.lock);
	} else if (str_is(s, "heard")) { /* something; what was said before is read by then */
		ok = peer_fill(c);
	} else if (str_is(s, "idle")) {
		while (peer_fill(c))
			;
	} else if (str_is(s, "reset")) {
		struct linger hard = { 1, 0 };

		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
		ok = false;
	} else {
		CHECK(str_is(s, "close"));
		ok = false;
	}
	buf_free(&text);
	return ok;
}

struct peer_job {
	int fd;
	const char *script;
};
static void *peer_serve(void *arg)
{
	struct peer_job *j = arg;
	struct peer_conn c = { .fd = j->fd };
	struct str rest = str_of(j->script), line;

	while (str_cut(&rest, '\n', &line))
		if (line.n && !peer_step(&c, line))
			break;
	if (c.ssl) {
		SSL_shutdown(c.ssl);
		SSL_free(c.ssl);
	}
	close(c.fd);
	buf_free(&c.in);
	mem_free(&j);
	return NULL;
}

static void *peer_run(void *arg)
{
	pthread_t threads[512];
	unsigned n = 0, script = 0;
	sigset_t pipe;
	int fd;

	/* OpenSSL writes without MSG_NOSIGNAL; here alone, for the client must not need it. */
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);

	while ((fd = accept(peer.fd, NULL, NULL)) >= 0) {
		struct peer_job *j = mem_new(struct peer_job);
		struct timeval patience = { .tv_sec = 20 };

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		j->fd = fd;
		j->script = peer.scripts[script];
		if (peer.scripts[script + 1])
			script++;
		pthread_mutex_lock(&peer.lock);
		peer.connections++;
		pthread_mutex_unlock(&peer.lock);
		CHECK(n < 512);
		pthread_create(&threads[n++], NULL, peer_serve, j);
	}
	while (n)
		pthread_join(threads[--n], NULL);
	return NULL;
}

static void peer_release(void)
{
	pthread_mutex_lock(&peer.lock);
	peer.released = true;
	pthread_cond_broadcast(&peer.release);
	pthread_mutex_unlock(&peer.lock);
}

/* scripts: ends with NULL. */
static void peer_start(const char *const *scripts)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int one = 1;

	peer.scripts = scripts;
	peer.fault = NULL;
	peer.released = false;
	peer.connections = peer.mails = peer.certified = 0;
	buf_reset(&peer.data);
	buf_reset(&peer.lines);
	peer.fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(peer.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	assert_int_equal(bind(peer.fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(peer.fd, 100), 0);
	assert_int_equal(getsockname(peer.fd, (struct sockaddr *)&a, &n), 0);
	peer.port = ntohs(a.sin_port);
	pthread_create(&peer.thread, NULL, peer_run, NULL);
}

static void peer_stop(void)
{
	shutdown(peer.fd, SHUT_RDWR);
	peer_release();
	pthread_join(peer.thread, NULL);
	close(peer.fd);
	peer.scripts = NULL;
	if (peer.fault)
		fail_msg("%s", peer.fault);
}

/* ---- the flow ---- */

struct fate {
	uint64_t id;
	bool over;
	struct outcome o;
};
static struct {
	struct loop *loop;
	struct channel c;
	struct channel_conf common;
	struct relay relay;
	struct arena *arena;
	struct fate fates[PEER_MAILS];
	unsigned lent, back;
	unsigned window;
	char why[300];
	_Atomic bool closed;
	bool inside, resend;
	uint64_t ids;
	struct mail_conf mail;
	pthread_mutex_t lock;
} flow = { .lock = PTHREAD_MUTEX_INITIALIZER };

void channel_window(struct channel *c, unsigned parts, const struct err *why)
{
	pthread_mutex_lock(&flow.lock);
	flow.window = parts;
	str_copy(flow.why, sizeof flow.why, str_of(why ? why->text : ""));
	pthread_mutex_unlock(&flow.lock);
}
void channel_closed(struct channel *c)
{
	CHECK(!flow.closed && !flow.inside && flow.lent == flow.back);
	flow.closed = true;
}
void delivery_done(struct delivery *d, const struct outcome *o)
{
	struct fate *f = NULL;

	CHECK(!flow.inside);
	CHECK((o->reason == REASON_NONE) == (o->verdict == VERDICT_SENT));
	CHECK(str_utf8_valid(str_of(o->words)));
	pthread_mutex_lock(&flow.lock);
	for (unsigned i = 0; i < PEER_MAILS && !f; i++)
		if (flow.fates[i].id == d->msg->id)
			f = &flow.fates[i];
	CHECK(f && !f->over);
	f->over = true;
	f->o = *o;
	flow.back++;
	pthread_mutex_unlock(&flow.lock);
	message_unref(&d->msg);
	mem_free(&d);
}

static void flow_quiet(void *ctx, struct str line) {}

static void flow_open(void *arg)
{
	struct err e = { 0 };

	if (relay_open(&flow.c, &e) != 0)
		channel_window(&flow.c, 0, &e);
}

static const char *flow_host = "127.0.0.1";

static const void *flow_conf(const char *text)
{
	struct conf_faults f = { 0 };
	struct buf b = BUF_INIT;
	void *out;

	buf_reset(&b);
	buf_printf(&b, "host = \"%s\"; port = %u; helo = \"us.example\"; %s", flow_host, peer.port,
		text);
	conf_load_text(
		"test", buf_view(&b), relay_rows, sizeof(struct relay_conf), flow.arena, &out, &f);
	if (f.errors) {
		buf_reset(&b);
		conf_faults_text(&f, &b);
		fail_msg("%s", buf_cstr(&b));
	}
	conf_faults_free(&f);
	buf_free(&b);
	return out;
}

#define QUICK                                                                               \
	"reconnect_first = \"20ms\"; reconnect_most = \"50ms\"; refused_first = \"20ms\"; " \
	"refused_most = \"50ms\"; "

/* text: settings of the channel. */
static void flow_start(const char *text, int connections, int window)
{
	struct err e;

	if (!getenv("SHOW_LOG"))
		log_capture(flow_quiet, NULL);
	flow.arena = arena_new();
	flow.common = (struct channel_conf){
		.name = "relay", .type = "smtp", .connections = connections, .window = window
	};
	flow.loop = loop_new("test");
	assert_int_equal(loop_start(flow.loop, &e), 0);
	assert_int_equal(workers_start(2, &e), 0);
	flow.c = (struct channel){ .name = "relay",
		.loop = flow.loop,
		.conf = &flow.common,
		.specific = flow_conf(text),
		.self = &flow.relay,
		.mail = &flow.mail,
		.spool = flow.c.spool };
	flow.lent = flow.back = 0;
	flow.closed = false;
	memset(flow.fates, 0, sizeof flow.fates);
	loop_call(flow.loop, flow_open, NULL);
}

static void flow_close(void *arg)
{
	relay_close(&flow.c, 500 * DUR_MS);
}

static void flow_stop(void)
{
	loop_call(flow.loop, flow_close, NULL);
	for (int i = 0; i < 5000 && !flow.closed; i++)
		usleep(1000);
	assert_true(flow.closed);
	loop_stop(flow.loop);
	loop_join(flow.loop);
	workers_stop();
	loop_free(&flow.loop);
	flow.loop = NULL;
	arena_free(&flow.arena);
	memset(&flow.mail, 0, sizeof flow.mail);
	log_capture(NULL, NULL);
}

static void flow_submit(void *arg)
{
	struct delivery *d = arg;

	flow.inside = true;
	relay_submit(&flow.c, d);
	flow.inside = false;
}

/* Takes the reference. The place of its fate. */
static unsigned flow_lend(struct message *m)
{
	struct delivery *d = mem_new(struct delivery);
	unsigned at;

	pthread_mutex_lock(&flow.lock);
	at = flow.lent++;
	CHECK(at < PEER_MAILS);
	m->id = ++flow.ids;
	flow.fates[at] = (struct fate){ .id = m->id };
	pthread_mutex_unlock(&flow.lock);
	d->msg = m;
	d->channel = &flow.c;
	d->attempt = 1;
	d->parts = 1;
	loop_call(flow.loop, flow_submit, d);
	return at;
}

static struct message *mail_raw(const char *from, const char *to, struct str octets)
{
	struct draft d;
	struct message *m;

	draft_init(&d);
	d.head.media = MEDIA_EMAIL;
	d.head.flags = MSG_OCTETS;
	d.head.accepted = clock_wall();
	draft_put(&d, FIELD_FROM, str_of(from));
	draft_put(&d, FIELD_TO, str_of(to));
	draft_put(&d, FIELD_OCTETS, octets);
	m = draft_seal(&d);
	draft_free(&d);
	return m;
}

static unsigned flow_send(const char *octets)
{
	return flow_lend(mail_raw("shop@us.example", "ann@peer.example", str_of(octets)));
}

static struct outcome flow_fate(unsigned at)
{
	for (int i = 0; i < 20000; i++) {
		bool over;

		pthread_mutex_lock(&flow.lock);
		over = flow.fates[at].over;
		pthread_mutex_unlock(&flow.lock);
		if (over)
			return flow.fates[at].o;
		usleep(1000);
	}
	fail_msg("mail %u has no end", at);
	return flow.fates[at].o;
}

static void flow_window_is(bool open)
{
	for (int i = 0; i < 10000; i++) {
		bool now;

		pthread_mutex_lock(&flow.lock);
		now = flow.window != 0;
		pthread_mutex_unlock(&flow.lock);
		if (now == open)
			return;
		usleep(1000);
	}
	fail_msg("the window is %s: %s", open ? "still shut" : "still open", flow.why);
}

static bool flow_why_says(const char *words)
{
	for (int i = 0; i < 5000; i++) {
		bool there;

		pthread_mutex_lock(&flow.lock);
		there = strstr(flow.why, words) != NULL;
		pthread_mutex_unlock(&flow.lock);
		if (there)
			return true;
		usleep(1000);
	}
	fprintf(stderr, "why: %s\n", flow.why);
	return false;
}

#endif
