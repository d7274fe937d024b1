/* Streams over TLS: echo, volume, STARTTLS both ways, certificates refused in words, and OpenSSL's
 * own command as the far side. */
#include "gateway/base/mem.h"
#include "gateway/base/stream.h"
#include "tests/certs.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOW = 10 };
#else
enum { SLOW = 1 };
#endif

static struct loop *loop;
static struct timer watchdog;
static char dir[] = "/tmp/postern-tls-XXXXXX";
static struct test_cert ca, other_ca, good, expired, future, elsewhere, alone, stranger, person;

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

static int group_set_up(void **state)
{
	assert_non_null(mkdtemp(dir));
	ca = cert_make(dir, "ca", NULL, NULL, -1, 10);
	other_ca = cert_make(dir, "other-ca", NULL, NULL, -1, 10);
	good = cert_make(dir, "good", &ca, "DNS:localhost,IP:127.0.0.1", -1, 10);
	expired = cert_make(dir, "expired", &ca, "IP:127.0.0.1", -10, -5);
	future = cert_make(dir, "future", &ca, "IP:127.0.0.1", 5, 10);
	elsewhere = cert_make(dir, "elsewhere", &ca, "DNS:other.example,DNS:*.b.example", -1, 10);
	alone = cert_make(dir, "alone", NULL, "IP:127.0.0.1", -1, 10);
	stranger = cert_make(dir, "stranger", &other_ca, "IP:127.0.0.1", -1, 10);
	person = cert_make(dir, "person", &ca, "", -1, 10);
	return 0;
}

static int group_tear_down(void **state)
{
	struct test_cert *all[] = { &ca, &other_ca, &good, &expired, &future, &elsewhere, &alone,
		&stranger, &person };

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		cert_free(all[i]);
	rmdir(dir);
	return 0;
}

/* ---- ends ---- */

struct end {
	struct stream *s;
	struct tls_server *tls;
	struct tls_client *upgrade; /* STARTTLS, on "ready" */
	struct tls_server *upgrade_server;
	struct buf in;
	struct err why;
	unsigned opens, downs;
	bool echo, bad_upgrade;
	size_t stop_at;
	uint64_t sent, most; /* pumped */
};

static void end_open(struct stream *s, void *owner)
{
	struct end *e = owner;

	e->s = s;
	e->opens++;
}

static size_t end_data(struct stream *s, void *owner, struct str bytes)
{
	struct end *e = owner;
	size_t n = bytes.n;

	if (e->upgrade_server && str_starts(bytes, STR("STARTTLS\n"))) {
		stream_write(s, "ready\n", 6);
		assert_int_equal(stream_start_tls(s, NULL, e->upgrade_server, NULL), 0);
		tls_server_free(&e->upgrade_server);
		return 9;
	}
	if (e->upgrade && str_is(bytes, "ready\n")) {
		assert_int_equal(stream_start_tls(s, e->upgrade, NULL, NULL), 0);
		assert_int_equal(stream_start_tls(s, e->upgrade, NULL, NULL), -1);
		tls_client_free(&e->upgrade);
		stream_write(s, "in secret", 9);
		return n;
	}
	buf_str(&e->in, bytes);
	if (e->echo)
		stream_write(s, bytes.p, bytes.n);
	if (e->stop_at && e->in.n >= e->stop_at)
		loop_stop(loop);
	return n;
}

static void end_down(struct stream *s, void *owner, const struct err *why)
{
	struct end *e = owner;

	e->downs++;
	e->why = *why;
	loop_stop(loop);
}

static const struct stream_events end_events = { end_open, end_data, end_down, NULL };

static void end_free(struct end *e)
{
	stream_close(&e->s, 0);
	buf_free(&e->in);
}

static void take(void *owner, int fd, const struct sockaddr *from)
{
	struct end *e = owner;

	stream_close(&e->s, 0);
	e->s = stream_accept(loop, fd, e->tls, NULL, &end_events, e);
}

static struct acceptor *listen_here(struct end *e)
{
	struct err err;
	struct acceptor *a = acceptor_open(loop, "127.0.0.1:0", take, e, &err);

	if (!a)
		fail_msg("%s", err.text);
	return a;
}

static struct tls_server *server_of(
	const struct test_cert *c, const struct test_cert *clients_ca, const char *alpn)
{
	struct tls_conf conf = { .cert_file = c->cert_file,
		.key_file = c->key_file,
		.alpn = alpn,
		.ca_file = clients_ca ? clients_ca->cert_file : NULL };
	struct err err;
	struct tls_server *s = tls_server_new(&conf, &err);

	if (!s)
		fail_msg("%s", err.text);
	return s;
}

static struct tls_client *client_of(const char *name, const struct test_cert *me, const char *alpn)
{
	struct tls_conf conf = { .verify = true,
		.ca_file = ca.cert_file,
		.alpn = alpn,
		.cert_file = me ? me->cert_file : NULL,
		.key_file = me ? me->key_file : NULL };
	struct err err;
	struct tls_client *c = tls_client_new(&conf, name, &err);

	if (!c)
		fail_msg("%s", err.text);
	return c;
}

static void connect_to(struct end *e, struct acceptor *a, struct tls_client *c)
{
	e->s = stream_connect(loop, "127.0.0.1", acceptor_port(a), NULL, c, NULL, &end_events, e);
}

/* ---- it works ---- */

static void echo(void **state)
{
	struct end server = { .echo = true, .tls = server_of(&good, NULL, "h2") };
	struct end client = { .stop_at = 5 };
	struct tls_client *c = client_of("localhost", NULL, "h2");
	struct acceptor *a = listen_here(&server);

	connect_to(&client, a, c);
	tls_client_free(&c);
	stream_write(client.s, "hello", 5);
	assert_false(stream_is_tls(client.s));
	loop_run(loop);
	assert_int_equal(client.opens, 1);
	assert_int_equal(server.opens, 1);
	assert_memory_equal(client.in.p, "hello", 5);
	assert_true(stream_is_tls(client.s));
	assert_string_equal(stream_alpn(client.s), "h2");
	assert_string_equal(stream_alpn(server.s), "h2");
	assert_true(str_starts(str_of(stream_cipher(client.s)), STR("TLSv1.3 TLS_")));
	stream_close(&client.s, DUR_S);
	loop_run(loop);
	assert_int_equal(server.downs, 1);
	assert_int_equal(server.why.kind, ERR_NONE); /* close_notify came */
	tls_server_free(&server.tls);
	end_free(&client);
	end_free(&server);
	acceptor_close(&a);
}

enum { VOLUME = 50 * 1000 * 1000 / SLOW };

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at * 2654435761u >> 13);
}

static void pump_more(struct stream *s, void *owner)
{
	struct end *e = owner;

	while (e->sent < e->most && !stream_full(s)) {
		size_t n = e->most - e->sent < 100000 ? (size_t)(e->most - e->sent) : 100000;
		char *at = buf_extend(stream_out(s), n);

		for (size_t i = 0; i < n; i++)
			at[i] = (char)pattern(e->sent + i);
		e->sent += n;
		stream_written(s);
	}
}

static size_t check_pattern(struct stream *s, void *owner, struct str bytes)
{
	struct end *e = owner;
	size_t n = bytes.n > 100 ? bytes.n - bytes.n % 97 : bytes.n; /* leaves a rest, often */

	for (size_t i = 0; i < n; i++)
		if ((uint8_t)bytes.p[i] != pattern(e->sent + i))
			fail_msg("byte %zu is wrong", (size_t)e->sent + i);
	e->sent += n;
	if (e->sent + (bytes.n - n) >= e->most)
		loop_stop(loop);
	return n;
}

static const struct stream_events pump_events = { pump_more, end_data, end_down, pump_more };
static const struct stream_events check_events = { end_open, check_pattern, end_down, NULL };

static void take_check(void *owner, int fd, const struct sockaddr *from)
{
	struct end *e = owner;

	e->s = stream_accept(loop, fd, e->tls, NULL, &check_events, e);
}

static void volume(void **state)
{
	struct end server = { .most = VOLUME, .tls = server_of(&good, NULL, NULL) };
	struct end client = { .most = VOLUME };
	struct tls_client *c = client_of("localhost", NULL, NULL);
	struct err err;
	struct acceptor *a = acceptor_open(loop, "127.0.0.1:0", take_check, &server, &err);

	client.s = stream_connect(
		loop, "127.0.0.1", acceptor_port(a), NULL, c, NULL, &pump_events, &client);
	loop_run(loop);
	assert_int_equal(server.downs + client.downs, 0);
	assert_true(server.sent >= VOLUME - 97);
	tls_client_free(&c);
	tls_server_free(&server.tls);
	end_free(&client);
	end_free(&server);
	acceptor_close(&a);
}

static void starttls(void **state)
{
	struct end server = { .upgrade_server = server_of(&good, NULL, NULL), .echo = true };
	struct end client = { .upgrade = client_of("localhost", NULL, NULL), .stop_at = 9 };
	struct acceptor *a = listen_here(&server);

	connect_to(&client, a, NULL);
	stream_write(client.s, "STARTTLS\n", 9);
	loop_run(loop);
	assert_int_equal(client.opens, 2);
	assert_int_equal(server.opens, 2);
	assert_true(stream_is_tls(server.s));
	assert_memory_equal(client.in.p, "in secret", 9);
	end_free(&client);
	end_free(&server);
	acceptor_close(&a);
}

/* Commands behind STARTTLS in the same packet never reach the owner as if they had been secret. */
static void starttls_injection(void **state)
{
	struct end server = { .upgrade_server = server_of(&good, NULL, NULL) };
	struct end client = { 0 };
	struct acceptor *a = listen_here(&server);

	connect_to(&client, a, NULL);
	stream_write(client.s, "STARTTLS\nMAIL FROM:<>\n", 22);
	loop_run(loop);
	assert_int_equal(server.downs, 1);
	assert_int_equal(server.why.kind, ERR_INPUT);
	assert_string_equal(server.why.text, "input before the TLS handshake");
	assert_int_equal(server.in.n, 0);
	end_free(&client);
	end_free(&server);
	acceptor_close(&a);
}

/* ---- it refuses ---- */

static void refusals(void **state)
{
	static const struct {
		const struct test_cert *server, *clients_ca, *me;
		const char *name, *text; /* what the client hears; NULL: it works */
		const char *server_text;
	} t[] = {
		{ &good, NULL, NULL, "localhost", NULL, NULL },
		{ &good, NULL, NULL, "127.0.0.1", NULL, NULL },
		{ &elsewhere, NULL, NULL, "a.b.example", NULL, NULL },
		{ &good, NULL, NULL, "smsc.example",
			"TLS handshake: certificate is for localhost, 127.0.0.1, not smsc.example",
			"TLS handshake: the far side refused our certificate" },
		{ &elsewhere, NULL, NULL, "smsc.example",
			"TLS handshake: certificate is for other.example, *.b.example, not "
			"smsc.example",
			"*" },
		{ &good, NULL, NULL, "127.0.0.2", "*certificate is for *, not 127.0.0.2", "*" },
		{ &expired, NULL, NULL, "127.0.0.1", "TLS handshake: certificate has expired (20*)",
			"*our certificate has expired" },
		{ &future, NULL, NULL, "127.0.0.1", "*certificate is not valid yet (20*)", "*" },
		{ &alone, NULL, NULL, "127.0.0.1", "*certificate is self-signed and not in ca_file",
			"*does not trust our certificate's authority" },
		{ &stranger, NULL, NULL, "127.0.0.1",
			"*certificate is from an authority not trusted here (other-ca)", "*" },
		{ &good, &ca, &person, "localhost", NULL, NULL },
		{ &good, &ca, NULL, "localhost", "*the far side wants a client certificate",
			"*the far side gave no client certificate" },
		{ &good, &ca, &stranger, "localhost", "*the far side does not trust our *",
			"*certificate is from an authority not trusted here (other-ca)" },
	};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct end server = { .echo = true,
			.tls = server_of(t[i].server, t[i].clients_ca, NULL) };
		struct end client = { .stop_at = 1 };
		struct tls_client *c = client_of("x.example", t[i].me, NULL);
		struct tls_client *named = tls_client_named(c, t[i].name);
		struct acceptor *a = listen_here(&server);

		tls_client_free(&c);
		connect_to(&client, a, named);
		tls_client_free(&named);
		stream_write(client.s, "x", 1);
		while (!client.downs && !client.in.n)
			loop_run(loop);
		if (t[i].text && !client.downs)
			fail_msg("case %zu: not refused", i);
		if (!t[i].text && client.downs)
			fail_msg("case %zu: %s", i, client.why.text);
		if (t[i].text && !str_glob(str_of(t[i].text), str_of(client.why.text)) &&
			!strstr(t[i].text, "[*]"))
			fail_msg("case %zu: got %s\nwant %s", i, client.why.text, t[i].text);
		if (t[i].server_text && !server.downs)
			loop_run(loop);
		if (t[i].server_text &&
			!str_glob(str_of(t[i].server_text), str_of(server.why.text)))
			fail_msg("case %zu: got %s\nwant %s", i, server.why.text, t[i].server_text);
		tls_server_free(&server.tls);
		end_free(&client);
		end_free(&server);
		acceptor_close(&a);
		run_for(0);
	}
}

static void unverified(void **state)
{
	struct end server = { .echo = true, .tls = server_of(&expired, NULL, NULL) };
	struct end client = { .stop_at = 1 };
	struct tls_conf conf = { .verify = false };
	struct err err;
	struct tls_client *c = tls_client_new(&conf, "any.example", &err);
	struct acceptor *a = listen_here(&server);

	connect_to(&client, a, c);
	stream_write(client.s, "x", 1);
	loop_run(loop);
	assert_int_equal(client.in.n, 1);
	tls_client_free(&c);
	tls_server_free(&server.tls);
	end_free(&client);
	end_free(&server);
	acceptor_close(&a);
}

/* TLS to one who speaks none, none to one who speaks TLS, and to one who says nothing. */
static void not_tls_there(void **state)
{
	struct end server = { .echo = true }, client = { 0 };
	struct tls_client *c = client_of("localhost", NULL, NULL);
	struct acceptor *a = listen_here(&server);
	const struct stream_limits hasty = { .connect = 50 * DUR_MS };

	connect_to(&client, a, c); /* its own hello comes back */
	loop_run(loop);
	assert_int_equal(client.opens, 0);
	assert_true(str_starts(str_of(client.why.text), STR("TLS handshake: ")));
	end_free(&client);

	server.echo = false;
	client = (struct end){ 0 };
	client.s = stream_connect(
		loop, "127.0.0.1", acceptor_port(a), NULL, c, &hasty, &end_events, &client);
	while (!client.downs)
		loop_run(loop);
	assert_string_equal(client.why.text, "TLS handshake: timed out");
	end_free(&client);
	end_free(&server);

	server = (struct end){ .tls = server_of(&good, NULL, NULL) };
	client = (struct end){ 0 };
	connect_to(&client, a, NULL);
	stream_write(client.s, "GET / HTTP/1.1\r\n\r\n", 18);
	while (!server.downs)
		loop_run(loop);
	assert_string_equal(server.why.text, "TLS handshake: the far side does not speak TLS here");
	end_free(&client);
	end_free(&server);
	tls_client_free(&c);
	tls_server_free(&server.tls);
	acceptor_close(&a);
}

static void settings_refused(void **state)
{
	char junk[300], want[700];
	struct {
		struct tls_conf conf;
		const char *text;
	} t[] = {
		{ { 0 }, "tls.cert_file is missing*" },
		{ { .cert_file = "/nowhere/c.pem" },
			"tls.cert_file /nowhere/c.pem: No such file or directory" },
		{ { .cert_file = good.cert_file }, "tls.key_file *good.pem: *" },
		{ { .cert_file = good.cert_file, .key_file = alone.key_file }, want },
		{ { .cert_file = good.cert_file, .key_file = good.key_file, .ca_file = junk },
			"tls.ca_file */junk: *" },
		{ { .cert_file = junk, .key_file = good.key_file }, "tls.cert_file */junk: *" },
	};
	FILE *f;

	snprintf(want, sizeof want, "tls.key_file %s is not the key of %s", alone.key_file,
		good.cert_file);
	snprintf(junk, sizeof junk, "%s/junk", dir);
	f = fopen(junk, "we");
	fputs("this is no certificate\n", f);
	fclose(f);
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct err e;

		assert_null(tls_server_new(&t[i].conf, &e));
		assert_int_equal(e.kind, ERR_CONF);
		if (!str_glob(str_of(t[i].text), str_of(e.text)))
			fail_msg("got %s\nwant %s", e.text, t[i].text);
		if (t[i].conf.cert_file)
			assert_null(tls_client_new(&t[i].conf, "localhost", &e));
	}
	unlink(junk);
}

/* ---- OpenSSL's own program as the far side ---- */

/* The command is cut at its spaces. */
static pid_t spawn(char *command, int *in_r, int *out_r)
{
	char *argv[20];
	size_t n = 0;
	int in[2], out[2];
	pid_t pid;

	for (char *save, *word = strtok_r(command, " ", &save); word && n < 19;
		word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	argv[n] = NULL;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(null, 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	*in_r = in[1];
	*out_r = out[0];
	return pid;
}

static void foreign_client(void **state)
{
	struct end server = { .echo = true, .stop_at = 6, .tls = server_of(&good, NULL, NULL) };
	struct acceptor *a = listen_here(&server);
	char command[512], got[16];
	int in, out, status;
	pid_t pid;

	snprintf(command, sizeof command,
		"openssl s_client -quiet -verify_return_error -verify_hostname localhost "
		"-CAfile %s -connect 127.0.0.1:%u",
		ca.cert_file, acceptor_port(a));
	pid = spawn(command, &in, &out);
	assert_int_equal(write(in, "hello\n", 6), 6);
	loop_run(loop);
	run_for(10 * DUR_MS);
	assert_int_equal(read(out, got, sizeof got), 6);
	assert_memory_equal(got, "hello\n", 6);
	stream_close(&server.s, 5 * DUR_S);
	run_for(10 * DUR_MS);
	close(in);
	waitpid(pid, &status, 0);
	close(out);
	tls_server_free(&server.tls);
	end_free(&server);
	acceptor_close(&a);
}

static void foreign_server(void **state)
{
	struct end client = { .stop_at = 6 };
	struct tls_client *c = client_of("localhost", NULL, NULL);
	int in, out, status;
	unsigned port = 0;
	char line[256], command[700];
	FILE *f;
	pid_t pid;

	snprintf(command, sizeof command,
		"openssl s_server -accept 127.0.0.1:0 -rev -naccept 1 -cert %s -key %s",
		good.cert_file, good.key_file);
	pid = spawn(command, &in, &out);
	f = fdopen(out, "r");
	while (!port && fgets(line, sizeof line, f))
		sscanf(line, "ACCEPT 127.0.0.1:%u", &port);
	assert_int_not_equal(port, 0);
	client.s = stream_connect(
		loop, "127.0.0.1", (uint16_t)port, NULL, c, NULL, &end_events, &client);
	stream_write(client.s, "abcde\n", 6);
	loop_run(loop);
	assert_int_equal(client.downs, 0);
	assert_memory_equal(client.in.p, "edcba\n", 6);
	stream_close(&client.s, 5 * DUR_S);
	run_for(10 * DUR_MS);
	close(in);
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	fclose(f);
	tls_client_free(&c);
	end_free(&client);
}

/* ---- idle streams are cheap ---- */

enum { IDLE = 100 };

static void idle_is_cheap(void **state)
{
	static struct end server[IDLE], client[IDLE];
	static char some[30000];
	struct tls_client *c = client_of("localhost", NULL, NULL);
	struct tls_server *sv = server_of(&good, NULL, NULL);
	size_t before, each;

	run_for(DUR_MS);
	before = mallinfo2().uordblks;
	for (int i = 0; i < IDLE; i++) {
		struct acceptor *a;

		server[i].tls = sv;
		server[i].stop_at = sizeof some;
		a = listen_here(&server[i]);
		connect_to(&client[i], a, c);
		stream_write(client[i].s, some, sizeof some);
		loop_run(loop);
		assert_int_equal(client[i].downs + server[i].downs, 0);
		acceptor_close(&a);
		buf_free(&server[i].in);
	}
	clock_shift(DUR_MIN / 4);
	run_for(DUR_MS);
	clock_shift(DUR_MIN / 4);
	run_for(DUR_MS);
	each = (mallinfo2().uordblks - before) / (2 * IDLE);
	if (getenv("TLS_IDLE"))
		print_message("an idle TLS stream costs %zu bytes\n", each);
	if (SLOW == 1 && each > 24 * 1024)
		fail_msg("an idle TLS stream costs %zu bytes", each);
	for (int i = 0; i < IDLE; i++) {
		end_free(&client[i]);
		end_free(&server[i]);
	}
	tls_client_free(&c);
	tls_server_free(&sv);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(echo),
		T(volume),
		T(starttls),
		T(starttls_injection),
		T(refusals),
		T(unverified),
		T(not_tls_there),
		T(settings_refused),
		T(foreign_client),
		T(foreign_server),
		T(idle_is_cheap),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
