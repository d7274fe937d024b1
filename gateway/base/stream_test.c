/* Streams and acceptors over TCP: echo, volume, closing at awkward times, connecting that fails.
 * TLS: tls_test.c. */
#include "gateway/base/fault.h"
#include "gateway/base/mem.h"
#include "gateway/base/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOW = 10 };
#else
enum { SLOW = 1 };
#endif

/* ---- one loop, run until the test says so, and a watchdog ---- */

static struct loop *loop;
static struct timer watchdog;

static void watchdog_fire(struct timer *t)
{
	fail_msg("the test hangs");
}

static int set_up(void **state)
{
	loop = loop_new("test");
	watchdog.fire = watchdog_fire;
	timer_in(loop, &watchdog, DUR_MIN);
	return 0;
}

static int tear_down(void **state)
{
	timer_cancel(loop, &watchdog);
	loop_free(&loop);
	return 0;
}

/* Runs for a while, for what must not happen and for what closes in its own time. */
static void stop_fire(struct timer *t)
{
	loop_stop(loop);
}

static void run_for(dur_t d)
{
	struct timer t = { .fire = stop_fire };

	timer_in(loop, &t, d);
	loop_run(loop);
}

/* ---- an end of a connection that notes what happens to it ---- */

struct end {
	struct stream *s;
	struct buf in;
	struct err why;
	unsigned opens, downs, drains;
	bool echo, close_on_open, close_on_data, close_on_down, close_on_drained;
	size_t stop_at; /* bytes received that end the run */
	bool stop_on_down, stop_on_open;
	dur_t linger;
};

static void end_open(struct stream *s, void *owner)
{
	struct end *e = owner;

	e->s = s;
	e->opens++;
	if (e->close_on_open)
		stream_close(&e->s, e->linger);
	if (e->stop_on_open)
		loop_stop(loop);
}

static size_t end_data(struct stream *s, void *owner, struct str bytes)
{
	struct end *e = owner;

	assert_true(bytes.n > 0);
	buf_str(&e->in, bytes);
	if (e->echo)
		stream_write(s, bytes.p, bytes.n);
	if (e->stop_at && e->in.n >= e->stop_at)
		loop_stop(loop);
	if (e->close_on_data) {
		stream_close(&e->s, e->linger);
		return 12345678;
	}
	return bytes.n;
}

static void end_down(struct stream *s, void *owner, const struct err *why)
{
	struct end *e = owner;

	e->downs++;
	e->why = *why;
	if (e->close_on_down)
		stream_close(&e->s, e->linger);
	if (e->stop_on_down)
		loop_stop(loop);
}

static void end_drained(struct stream *s, void *owner)
{
	struct end *e = owner;

	e->drains++;
	if (e->close_on_drained)
		stream_close(&e->s, e->linger);
}

static const struct stream_events end_events = { end_open, end_data, end_down, end_drained };

static void end_free(struct end *e)
{
	stream_close(&e->s, 0);
	buf_free(&e->in);
}

/* Accepts into the end given. */
static void take(void *owner, int fd, const struct sockaddr *from)
{
	struct end *e = owner;

	assert_null(e->s);
	e->s = stream_accept(loop, fd, NULL, NULL, &end_events, e);
}

static struct acceptor *listen_on(const char *where, struct end *e)
{
	struct err err;
	struct acceptor *a = acceptor_open(loop, where, take, e, &err);

	if (!a)
		fail_msg("%s", err.text);
	return a;
}

static void connect_to(struct end *e, const char *host, uint16_t port)
{
	e->s = stream_connect(loop, host, port, NULL, NULL, NULL, &end_events, e);
}

/* A plain blocking client, for what streams do not do themselves. */
static int raw_connect(uint16_t port)
{
	union addr a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr_parse(STR("127.0.0.1"), port, &a);
	assert_int_equal(connect(fd, &a.sa, addr_len(&a)), 0);
	return fd;
}

/* ---- echo ---- */

static void echo_over(const char *where, const char *host)
{
	struct end server = { .echo = true, .close_on_down = true };
	struct end client = { .stop_at = 11 };
	struct acceptor *a = listen_on(where, &server);

	connect_to(&client, host, acceptor_port(a));
	assert_int_equal(client.opens, 0); /* never from inside */
	stream_write(client.s, "hello ", 6);
	buf_c(stream_out(client.s), "world");
	stream_written(client.s);
	loop_run(loop);
	assert_int_equal(client.opens, 1);
	assert_int_equal(server.opens, 1);
	assert_int_equal(client.in.n, 11);
	assert_memory_equal(client.in.p, "hello world", 11);
	assert_true(client.drains >= 1);
	assert_int_equal(stream_unsent(client.s), 0);
	assert_true(addr_is_loopback(stream_peer_addr(client.s)));
	assert_false(stream_is_tls(client.s));
	assert_string_equal(stream_alpn(client.s), "");
	if (strchr(host, ':'))
		assert_true(str_starts(str_of(stream_peer(server.s)), STR("[::1]:")));
	else
		assert_true(str_starts(str_of(stream_peer(server.s)), STR("127.0.0.1:")));
	stream_close(&client.s, DUR_S);
	server.stop_on_down = true;
	loop_run(loop);
	assert_int_equal(server.downs, 1);
	assert_int_equal(server.why.kind, ERR_NONE);
	assert_int_equal(client.downs, 0);
	end_free(&client);
	end_free(&server);
	acceptor_close(&a);
	run_for(10 * DUR_MS);
}

static bool have_v6(void)
{
	union addr a;
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool ok;

	addr_parse(STR("::1"), 0, &a);
	ok = fd >= 0 && bind(fd, &a.sa, addr_len(&a)) == 0;
	close(fd);
	return ok;
}

static void echo(void **state)
{
	echo_over("127.0.0.1:0", "127.0.0.1");
	echo_over("*:0", "127.0.0.1");
	echo_over("0.0.0.0:0", "127.0.0.1");
	echo_over("localhost:0", "localhost"); /* by name, without workers */
	if (have_v6()) {
		echo_over("[::1]:0", "::1");
		echo_over("*:0", "::1");
		echo_over("[::]:0", "127.0.0.1");
	}
}

/* ---- volume: a server that eats whole blocks only and rests now and then ---- */

enum { BLOCK = 977, BLOCKS = 107000 / SLOW, AT_ONCE = 300000 };

struct sink {
	struct stream *s;
	uint64_t eaten;
	unsigned rests;
	struct timer rest;
	struct end *client;
};

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at * 2654435761u >> 13);
}

static void sink_open(struct stream *s, void *owner) {}

static void sink_rest(struct timer *t)
{
	struct sink *k = CONTAINER(t, struct sink, rest);

	stream_pause(k->s, false);
}

static size_t sink_data(struct stream *s, void *owner, struct str bytes)
{
	struct sink *k = owner;
	size_t n = 0;

	while (bytes.n - n >= BLOCK) {
		for (size_t i = 0; i < BLOCK; i++)
			if ((uint8_t)bytes.p[n + i] != pattern(k->eaten + i))
				fail_msg("byte %llu is wrong", (unsigned long long)k->eaten + i);
		n += BLOCK;
		k->eaten += BLOCK;
		if (k->eaten / BLOCK % 1000 == 0) {
			k->rests++;
			stream_pause(s, true);
			timer_in(loop, &k->rest, k->rests % 2 ? 0 : DUR_MS / 10);
			break;
		}
	}
	if (k->eaten == (uint64_t)BLOCK * BLOCKS)
		loop_stop(loop);
	return n;
}

static void sink_down(struct stream *s, void *owner, const struct err *why)
{
	fail_msg("down: %s", why->text);
}

static const struct stream_events sink_events = { sink_open, sink_data, sink_down, NULL };

static void take_sink(void *owner, int fd, const struct sockaddr *from)
{
	struct sink *k = owner;
	const struct stream_limits lim = { .in_most = 200000 };

	k->s = stream_accept(loop, fd, NULL, &lim, &sink_events, k);
}

struct pump {
	struct end end;
	uint64_t sent;
};

static void pump_more(struct stream *s, void *owner)
{
	struct pump *p = owner;
	uint64_t left = (uint64_t)BLOCK * BLOCKS - p->sent;

	while (left && !stream_full(s)) {
		size_t n = left < AT_ONCE ? (size_t)left : AT_ONCE;
		char *at = buf_extend(stream_out(s), n);

		for (size_t i = 0; i < n; i++)
			at[i] = (char)pattern(p->sent + i);
		stream_written(s);
		p->sent += n;
		left -= n;
	}
}

static const struct stream_events pump_events = { pump_more, end_data, end_down, pump_more };

static void volume(void **state)
{
	struct sink k = { .rest.fire = sink_rest };
	struct pump p = { 0 };
	struct err err;
	struct acceptor *a = acceptor_open(loop, "127.0.0.1:0", take_sink, &k, &err);

	p.end.s = stream_connect(
		loop, "127.0.0.1", acceptor_port(a), NULL, NULL, NULL, &pump_events, &p);
	loop_run(loop);
	assert_int_equal(k.eaten, (uint64_t)BLOCK * BLOCKS);
	assert_true(k.rests >= BLOCKS / 1000);
	stream_close(&k.s, 0);
	end_free(&p.end);
	acceptor_close(&a);
}

/* ---- pausing and limits ---- */

static size_t eat_nothing(struct stream *s, void *owner, struct str bytes)
{
	struct end *e = owner;

	e->in.n = 0;
	buf_str(&e->in, bytes);
	if (e->stop_at && e->in.n >= e->stop_at)
		loop_stop(loop);
	return 0;
}

static const struct stream_events miser_events = { end_open, eat_nothing, end_down, NULL };

static void paused_shows_rest_again(void **state)
{
	struct end server = { 0 }, client = { .stop_on_open = true };
	struct acceptor *a = listen_on("127.0.0.1:0", &server);

	connect_to(&client, "127.0.0.1", acceptor_port(a));
	loop_run(loop);
	run_for(10 * DUR_MS);
	stream_set_owner(server.s, &miser_events, &server);
	stream_write(client.s, "abc", 3);
	run_for(10 * DUR_MS);
	assert_int_equal(server.in.n, 3);
	stream_pause(server.s, true);
	stream_write(client.s, "def", 3);
	run_for(10 * DUR_MS);
	assert_int_equal(server.in.n, 3);
	stream_close(&client.s, 0);
	run_for(10 * DUR_MS);
	assert_int_equal(server.downs, 0); /* the end waits too */
	stream_set_owner(server.s, &end_events, &server);
	server.in.n = 0;
	stream_pause(server.s, false);
	server.stop_on_down = true;
	loop_run(loop);
	assert_int_equal(server.in.n, 6);
	assert_memory_equal(server.in.p, "abcdef", 6);
	assert_int_equal(server.downs, 1);
	end_free(&client);
	end_free(&server);
	acceptor_close(&a);
}

static void input_is_limited(void **state)
{
	struct end server = { 0 }, client = { .stop_on_open = true };
	struct acceptor *a = listen_on("127.0.0.1:0", &server);
	static char megs[24 << 20];

	connect_to(&client, "127.0.0.1", acceptor_port(a));
	loop_run(loop);
	run_for(10 * DUR_MS);
	stream_set_owner(server.s, &miser_events, &server);
	stream_limit_in(server.s, 100000);
	stream_write(client.s, megs, sizeof megs);
	assert_true(stream_full(client.s));
	run_for(200 * DUR_MS);
	assert_in_range(server.in.n, 100000, 200000);
	assert_true(stream_unsent(client.s) > 0);
	assert_int_equal(client.drains, 0);
	server.stop_at = 1 << 20;
	stream_limit_in(server.s, 1 << 20);
	loop_run(loop);
	/* Pausing and going on makes it look again, with another owner's eyes. */
	server.in.n = 0;
	server.stop_at = sizeof megs;
	stream_set_owner(server.s, &end_events, &server);
	stream_pause(server.s, false);
	loop_run(loop);
	assert_int_equal(server.in.n, sizeof megs);
	assert_int_equal(client.drains, 1);
	end_free(&client);
	end_free(&server);
	acceptor_close(&a);
}

/* A second owner is shown what the first one left, in the same breath. */
static size_t first_half(struct stream *s, void *owner, struct str bytes)
{
	stream_set_owner(s, &end_events, owner);
	return 3;
}

static const struct stream_events half_events = { end_open, first_half, end_down, NULL };

static void owner_changes_within_data(void **state)
{
	struct end server = { .stop_at = 3 }, client = { .stop_on_open = true };
	struct acceptor *a = listen_on("127.0.0.1:0", &server);

	connect_to(&client, "127.0.0.1", acceptor_port(a));
	loop_run(loop);
	run_for(10 * DUR_MS);
	stream_set_owner(server.s, &half_events, &server);
	stream_write(client.s, "abcdef", 6);
	loop_run(loop);
	assert_int_equal(server.in.n, 3);
	assert_memory_equal(server.in.p, "def", 3);
	end_free(&client);
	end_free(&server);
	acceptor_close(&a);
}

/* ---- closing ---- */

static void closing_in_callbacks(void **state)
{
	for (int where = 0; where < 8; where++) {
		struct end server = { .echo = true }, client = { 0 };
		struct acceptor *a = listen_on("127.0.0.1:0", &server);
		struct end *e = where & 4 ? &client : &server;
		struct end *other = where & 4 ? &server : &client;

		e->close_on_open = (where & 3) == 0;
		e->close_on_data = (where & 3) == 1;
		e->close_on_down = (where & 3) == 2;
		e->close_on_drained = (where & 3) == 3;
		other->close_on_data = (where & 3) == 2;
		connect_to(&client, "127.0.0.1", acceptor_port(a));
		stream_write(client.s, "x", 1);
		run_for(20 * DUR_MS);
		if (e->s)
			fail_msg("case %d is not closed", where);
		end_free(&client);
		end_free(&server);
		acceptor_close(&a);
		run_for(5 * DUR_MS);
	}
}

static void take_and_close(void *owner, int fd, const struct sockaddr *from)
{
	struct acceptor **ap = owner;

	close(fd);
	acceptor_close(ap);
}

static void acceptor_closes_itself(void **state)
{
	struct acceptor *a;
	struct err err;
	uint16_t port;
	int fd[3];

	a = acceptor_open(loop, "127.0.0.1:0", take_and_close, &a, &err);
	port = acceptor_port(a);
	for (int i = 0; i < 3; i++)
		fd[i] = raw_connect(port);
	run_for(10 * DUR_MS);
	assert_null(a);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
}

/* The far side has sent all it will, and still gets its answer. */
static void half_close(void **state)
{
	struct end server = { .stop_on_down = true };
	struct acceptor *a = listen_on("127.0.0.1:0", &server);
	int fd = raw_connect(acceptor_port(a));
	char got[16];

	assert_int_equal(send(fd, "quit", 4, 0), 4);
	shutdown(fd, SHUT_WR);
	loop_run(loop);
	assert_int_equal(server.in.n, 4);
	assert_int_equal(server.why.kind, ERR_NONE);
	assert_string_equal(server.why.text, "closed by peer");
	stream_write(server.s, "bye", 3);
	stream_close(&server.s, DUR_S);
	run_for(20 * DUR_MS);
	assert_int_equal(recv(fd, got, sizeof got, MSG_WAITALL), 3);
	close(fd);
	end_free(&server);
	acceptor_close(&a);
}

/* All that was written arrives before the close, even when the far side is slow and talks. */
static void linger_delivers(void **state)
{
	struct end server = { .linger = 20 * DUR_S };
	struct acceptor *a = listen_on("127.0.0.1:0", &server);
	static char megs[8 << 20];
	int fd = raw_connect(acceptor_port(a));
	size_t got = 0;
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	run_for(5 * DUR_MS);
	memset(megs, 'm', sizeof megs);
	stream_write(server.s, megs, sizeof megs);
	stream_close(&server.s, server.linger);
	assert_int_equal(send(fd, "unread", 6, 0), 6);
	for (int round = 0; round < 10000; round++) {
		char some[65536];

		while ((n = recv(fd, some, sizeof some, 0)) > 0)
			got += (size_t)n;
		if (n == 0)
			break;
		assert_int_equal(errno, EAGAIN);
		run_for(DUR_MS / 2);
	}
	assert_int_equal(n, 0);
	assert_int_equal(got, sizeof megs);
	close(fd);
	run_for(10 * DUR_MS);
	end_free(&server);
	acceptor_close(&a);
}

/* Somebody who never reads cannot hold a closed stream beyond its linger. */
static void linger_ends(void **state)
{
	struct end server = { 0 };
	struct acceptor *a = listen_on("127.0.0.1:0", &server);
	static char megs[24 << 20];
	int fd = raw_connect(acceptor_port(a));
	char some[65536];
	size_t got = 0;
	ssize_t n;

	run_for(5 * DUR_MS);
	stream_write(server.s, megs, sizeof megs);
	stream_close(&server.s, 30 * DUR_MS);
	run_for(60 * DUR_MS);
	while ((n = recv(fd, some, sizeof some, 0)) > 0)
		got += (size_t)n;
	assert_true(got < sizeof megs);
	close(fd);
	acceptor_close(&a);
	end_free(&server);
}

/* A reset is told as such, after the data that came before it. */
static void reset_is_told(void **state)
{
	struct end server = { .stop_on_down = true };
	struct acceptor *a = listen_on("127.0.0.1:0", &server);
	int fd = raw_connect(acceptor_port(a));
	const struct linger now = { .l_onoff = 1 };

	run_for(5 * DUR_MS);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(fd);
	loop_run(loop);
	assert_int_equal(server.why.kind, ERR_ENV);
	assert_string_equal(server.why.text, "connection reset by peer");
	stream_write(server.s, "too late", 8);
	assert_int_equal(stream_unsent(server.s), 0);
	end_free(&server);
	acceptor_close(&a);
}

/* ---- connecting that fails ---- */

static void fails_with(
	const char *host, uint16_t port, const char *source, dur_t within, const char *text)
{
	const struct stream_limits lim = { .connect = within };
	struct end e = { .stop_on_down = true };

	e.s = stream_connect(loop, host, port, source, NULL, &lim, &end_events, &e);
	stream_write(e.s, "lost", 4);
	assert_int_equal(e.downs, 0);
	loop_run(loop);
	assert_int_equal(e.opens, 0);
	assert_int_equal(e.downs, 1);
	assert_int_not_equal(e.why.kind, ERR_NONE);
	if (!str_glob(str_of(text), str_of(e.why.text)))
		fail_msg("got: %s\nwant: %s", e.why.text, text);
	end_free(&e);
}

static void connect_fails(void **state)
{
	struct err err;
	struct end nobody = { 0 };
	struct acceptor *a = listen_on("127.0.0.1:0", &nobody);
	uint16_t port = acceptor_port(a);
	char want[128];
	int full, fill[8];
	union addr at;
	socklen_t n = sizeof at;

	/* A port that was just free. */
	acceptor_close(&a);
	snprintf(want, sizeof want, "connect 127.0.0.1:%u: connection refused", port);
	fails_with("127.0.0.1", port, NULL, DUR_S, want);
	fails_with("::1", port, NULL, DUR_S, "connect *::1*: *");
	snprintf(want, sizeof want, "*connect localhost (*:%u): connection refused", port);
	fails_with("localhost", port, NULL, DUR_S, want);
	fails_with(
		"127.0.0.1", port, "smsc.example", DUR_S, "*source smsc.example is not an address");
	fails_with("127.0.0.1", port, "::1", DUR_S, "*no IPv6 address*");
	fails_with("127.0.0.1", port, "192.0.2.77", DUR_S, "*cannot assign requested address");

	assert_int_equal(workers_start(1, &err), 0);
	fails_with("localhost", port, NULL, DUR_S, want);
	fails_with("no such name", port, NULL, 2 * DUR_S, "resolve no such name: *");
	workers_stop();

	/* A listener whose queue is full does not answer. */
	full = socket(AF_INET, SOCK_STREAM, 0);
	addr_parse(STR("127.0.0.1"), 0, &at);
	assert_int_equal(bind(full, &at.sa, addr_len(&at)), 0);
	assert_int_equal(listen(full, 0), 0);
	getsockname(full, &at.sa, &n);
	for (size_t i = 0; i < sizeof fill / sizeof *fill; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fill[i], &at.sa, n);
	}
	fails_with("127.0.0.1", addr_port(&at), NULL, 60 * DUR_MS,
		"connect 127.0.0.1:*: timed out after *ms");
	for (size_t i = 0; i < sizeof fill / sizeof *fill; i++)
		close(fill[i]);
	close(full);
}

/* Closing while a name is looked up: the answer comes for nobody. */
static void close_while_resolving(void **state)
{
	struct end e = { 0 };
	struct err err;

	assert_int_equal(workers_start(1, &err), 0);
	connect_to(&e, "localhost", 1);
	run_for(0);
	end_free(&e);
	connect_to(&e, "localhost", 1);
	end_free(&e); /* even before it began */
	workers_stop();
	run_for(DUR_MS);
	assert_int_equal(e.downs, 0);
}

static void faults(void **state)
{
	struct end server = { .stop_on_open = true }, client = { 0 };
	struct acceptor *a = listen_on("127.0.0.1:0", &server);
	mono_t start;

	fault_init("connect:1");
	fails_with("127.0.0.1", acceptor_port(a), NULL, DUR_S, "*connection refused");
	fault_init("accept:1"); /* as if out of descriptors: accepted all the same, later */
	start = clock_mono();
	connect_to(&client, "127.0.0.1", acceptor_port(a));
	loop_run(loop);
	assert_true(clock_mono() - start >= 90 * DUR_MS);
	fault_init(NULL);
	end_free(&client);
	end_free(&server);
	acceptor_close(&a);
}

static void listen_fails(void **state)
{
	struct err err;
	struct end nobody = { 0 };
	struct acceptor *a = listen_on("127.0.0.1:0", &nobody);
	char where[64], want[128];

	snprintf(where, sizeof where, "127.0.0.1:%u", acceptor_port(a));
	snprintf(want, sizeof want, "listen %s: Address already in use", where);
	assert_null(acceptor_open(loop, where, take, &nobody, &err));
	assert_string_equal(err.text, want);
	assert_int_equal(err.kind, ERR_ENV);
	assert_null(acceptor_open(loop, "192.0.2.77:0", take, &nobody, &err));
	assert_string_equal(err.text, "listen 192.0.2.77:0: Cannot assign requested address");
	assert_null(acceptor_open(loop, "nonsense", take, &nobody, &err));
	assert_int_equal(err.kind, ERR_CONF);
	assert_string_equal(err.text, "listen nonsense: not an address and a port");
	acceptor_pause(a, true);
	acceptor_close(&a);
}

/* ---- idle streams are cheap ---- */

enum { IDLE = 300 };

static void idle_is_cheap(void **state)
{
	static struct end server[IDLE], client[IDLE];
	static char some[30000];
	size_t before, after;
	struct acceptor *a;

	run_for(DUR_MS); /* the loop's own buffers */
	before = mallinfo2().uordblks;
	for (int i = 0; i < IDLE; i++) {
		a = listen_on("127.0.0.1:0", &server[i]);
		server[i].stop_at = sizeof some;
		connect_to(&client[i], "127.0.0.1", acceptor_port(a));
		stream_write(client[i].s, some, sizeof some);
		loop_run(loop);
		acceptor_close(&a);
		buf_free(&server[i].in);
	}
	clock_shift(DUR_MIN / 4);
	run_for(DUR_MS);
	clock_shift(DUR_MIN / 4);
	run_for(DUR_MS);
	after = mallinfo2().uordblks;
	if (SLOW == 1 && (after - before) / (2 * IDLE) > 4096)
		fail_msg("an idle stream costs %zu bytes", (after - before) / (2 * IDLE));
	for (int i = 0; i < IDLE; i++) {
		end_free(&client[i]);
		end_free(&server[i]);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(echo),
		T(volume),
		T(paused_shows_rest_again),
		T(input_is_limited),
		T(owner_changes_within_data),
		T(closing_in_callbacks),
		T(acceptor_closes_itself),
		T(half_close),
		T(linger_delivers),
		T(linger_ends),
		T(reset_is_told),
		T(connect_fails),
		T(close_while_resolving),
		T(faults),
		T(listen_fails),
		T(idle_is_cheap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
