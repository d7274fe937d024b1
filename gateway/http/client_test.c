/* The HTTP client against Node's server (tests/peers/http.js). */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/http/client.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static struct loop *loop;
static struct http_client *client;
static const struct http_way here = { .allow_private = true };

/* ---- the far side ---- */
struct far {
	pid_t pid;
	int in, out;
	char base[64];
};
static struct far plain;

static void far_start(struct far *f, const char *dir)
{
	int in[2], out[2];
	char line[16] = "";

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		execlp("node", "node", "tests/peers/http.js", dir, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	f->in = in[1];
	f->out = out[0];
	for (size_t n = 0; n < sizeof line - 1 && !strchr(line, '\n'); n++)
		if (read(f->out, line + n, 1) != 1)
			fail_msg("node tests/peers/http.js does not start");
	snprintf(f->base, sizeof f->base, "http%s://127.0.0.1:%d", dir ? "s" : "",
		(int)strtol(line, NULL, 10));
}

static void far_stop(struct far *f)
{
	close(f->in); /* its standard input ends: so does it */
	close(f->out);
	waitpid(f->pid, NULL, 0);
}

/* ---- asking, and waiting for what comes ---- */
struct got {
	unsigned status, times;
	struct buf body;
	struct err why;
	bool began, timed_out, has_after;
	dur_t after, took;
	unsigned *left;
};

static void note(void *owner, const struct http_reply *r)
{
	struct got *g = owner;

	g->times++;
	g->status = r->status;
	buf_reset(&g->body);
	buf_str(&g->body, r->body);
	buf_cstr(&g->body);
	g->why = r->why;
	g->began = r->began;
	g->timed_out = r->timed_out;
	g->took = r->took;
	g->has_after = http_retry_after(r, &g->after);
	if (!g->left || --*g->left == 0)
		loop_stop(loop);
}

static struct http_ask ask_of(const char *method, const char *url)
{
	return (struct http_ask){
		.method = method, .url = url, .way = &here, .deadline = 10 * DUR_S
	};
}

static const char *url(const char *path)
{
	static char u[200];

	snprintf(u, sizeof u, "%s%s", plain.base, path);
	return u;
}

/* The answer to one call. Freed by the next. */
static struct got *wait_for(struct http_ask ask)
{
	static struct got g;

	buf_free(&g.body);
	g = (struct got){ 0 };
	http_call(client, &ask, note, &g);
	assert_int_equal(g.times, 0);
	loop_run(loop);
	assert_int_equal(g.times, 1);
	return &g;
}

static struct got *get(const char *path)
{
	return wait_for(ask_of("GET", url(path)));
}

static json_int_t count(const char *what)
{
	json_t *v = json_loads(get("/count")->body.p, 0, NULL);
	json_int_t n = json_integer_value(json_object_get(v, what));

	json_decref(v);
	return n;
}

static int start(void **state)
{
	loop = loop_new("test");
	client = http_client_new(loop, &(struct http_client_limits){ .per_host = 3 });
	return 0;
}

static int stop(void **state)
{
	http_client_free(&client);
	loop_free(&loop);
	return 0;
}

/* ---- the tests ---- */
static void methods(void **state)
{
	static const struct {
		const char *method, *body;
	} rows[] = { { "GET", NULL }, { "POST", "{\"a\":1}" }, { "POST", NULL }, { "POST", "" },
		{ "PUT", "put" }, { "DELETE", NULL }, { "PATCH", "p" } };
	const char *headers[] = { "Content-Type: application/json", "X-One: 1", NULL };

	for (unsigned once = 0; once < 2; once++)
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			struct http_ask a = ask_of(rows[i].method, url("/echo?x=1"));
			struct buf body = BUF_INIT;
			struct got *g;
			json_t *v, *h;

			a.headers = headers;
			a.once = once;
			if (rows[i].body) {
				buf_c(&body, rows[i].body);
				a.body = &body;
			}
			g = wait_for(a);
			assert_null(body.p);
			assert_int_equal(g->status, 200);
			assert_true(g->began);
			v = json_loads(g->body.p, 0, NULL);
			h = json_object_get(v, "headers");
			assert_string_equal(
				json_string_value(json_object_get(v, "method")), rows[i].method);
			assert_string_equal(
				json_string_value(json_object_get(v, "url")), "/echo?x=1");
			assert_string_equal(json_string_value(json_object_get(v, "body")),
				rows[i].body ? rows[i].body : "");
			assert_string_equal(json_string_value(json_object_get(h, "content-type")),
				"application/json");
			assert_string_equal(json_string_value(json_object_get(h, "x-one")), "1");
			assert_null(json_object_get(h, "expect"));
			json_decref(v);
		}
	/* All of it on one connection. */
	assert_int_equal(count("connections"), 1);
}

static void statuses(void **state)
{
	struct got *g = get("/status/503?after=17");

	assert_int_equal(g->status, 503);
	assert_string_equal(g->body.p, "so be it");
	assert_true(g->has_after);
	assert_int_equal(g->after, 17 * DUR_S);
	assert_false(get("/status/503")->has_after);
	assert_false(get("/status/503?after=soon")->has_after);
	g = get("/status/429?after=Sun,%2006%20Nov%201994%2008:49:37%20GMT");
	assert_true(g->has_after);
	assert_int_equal(g->after, 0);
	/* Not followed unless asked for. */
	assert_int_equal(get("/redirect")->status, 302);
	{
		struct http_way way = { .allow_private = true, .redirects = 1 };
		struct http_ask a = ask_of("GET", url("/redirect"));

		a.way = &way;
		assert_int_equal(wait_for(a)->status, 200);
	}
}

static void failures(void **state)
{
	struct http_ask a = ask_of("GET", url("/slow"));
	struct got *g;

	a.deadline = 200 * DUR_MS;
	g = wait_for(a);
	assert_int_equal(g->status, 0);
	assert_true(g->timed_out && g->began);
	assert_in_range(g->took / DUR_MS, 150, 3000);
	g = get("/cut");
	assert_int_equal(g->status, 0);
	assert_true(g->began && !g->timed_out);
	assert_string_equal(g->body.p, "");
	assert_non_null(strstr(g->why.text, "http://127.0.0.1:"));
	assert_null(strstr(g->why.text, "/cut")); /* a path may hold a secret */
	g = get("/half");
	assert_int_equal(g->status, 0);
	assert_true(g->began);
	a = ask_of("GET", url("/big?n=1000"));
	a.answer_most = 1000;
	g = wait_for(a);
	assert_int_equal(g->status, 200);
	assert_int_equal(g->body.n, 1000);
	a.answer_most = 999;
	g = wait_for(a);
	assert_int_equal(g->status, 0);
	assert_non_null(strstr(g->why.text, "the answer is longer than 999 bytes"));
	g = get("/big?n=70000");
	assert_int_equal(g->status, 0);
	assert_int_equal(g->why.kind, ERR_INPUT);
	g = wait_for(ask_of("GET", "http://127.0.0.1:1/"));
	assert_int_equal(g->status, 0);
	assert_false(g->began);
	assert_non_null(strstr(g->why.text, "http://127.0.0.1:1: "));
	g = wait_for(ask_of("GET", "http://no.such.name.invalid/"));
	assert_false(g->began);
	assert_int_equal(g->status, 0);
	for (int i = 0; i < 3; i++) {
		static const char *const none[] = { "nonsense://x/", "http://[",
			"file:///etc/passwd" };

		g = wait_for(ask_of("GET", none[i]));
		assert_int_equal(g->status, 0);
		assert_false(g->began);
	}
}

static void private_addresses(void **state)
{
	static const char *const names[] = { "127.0.0.1", "localhost", "[::ffff:127.0.0.1]",
		"0x7f.1" };
	static const struct http_way outside = { .allow_private = false };
	struct got *g;

	for (int i = 0; i < 4; i++) {
		struct http_ask a;
		char u[100];

		snprintf(u, sizeof u, "http://%s:%s/echo", names[i], strrchr(plain.base, ':') + 1);
		a = ask_of("GET", u);
		/* Opened by who may, it is still not for who may not. */
		if (strcmp(names[i], "[::ffff:127.0.0.1]") != 0)
			assert_int_equal(wait_for(a)->status, 200);
		a.way = &outside;
		g = wait_for(a);
		assert_int_equal(g->status, 0);
		assert_false(g->began);
		assert_non_null(strstr(g->why.text, "is a private address"));
	}
	{
		struct http_ask a = ask_of("GET", url("/echo"));

		a.way = NULL;
		assert_non_null(strstr(wait_for(a)->why.text, "is a private address"));
	}
}

/* A kept connection that dies under the second request: repeated, unless it is once. */
static void once(void **state)
{
	for (unsigned o = 0; o < 2; o++) {
		json_int_t before = count("deaths");
		struct got *g = NULL;

		stop(NULL); /* no connection kept from before */
		start(NULL);
		for (int i = 0; i < 2; i++) {
			struct http_ask a = ask_of("POST", url("/die-second"));
			struct buf body = BUF_INIT;

			buf_c(&body, "pay 100");
			a.body = &body;
			a.once = o;
			g = wait_for(a);
			if (i == 0)
				assert_int_equal(g->status, 200);
		}
		assert_int_equal(g->status, o ? 0 : 200);
		assert_true(g->began);
		assert_int_equal(count("deaths"), before + 1);
	}
}

static void proxied(void **state)
{
	struct http_way way = { .proxy = plain.base };
	struct http_ask a = ask_of("GET", "http://push.example/x");

	a.way = &way;
	assert_string_equal(wait_for(a)->body.p, "{\"proxied\":\"http://push.example/x\"}");
	/* The environment's is not used. */
	setenv("http_proxy", plain.base, 1);
	assert_int_equal(wait_for(ask_of("GET", url("/echo")))->status, 200);
	a = ask_of("GET", "http://no.such.name.invalid/");
	assert_int_equal(wait_for(a)->status, 0);
	unsetenv("http_proxy");
}

enum { MANY = 30 };

static void many(void **state)
{
	struct got g[MANY] = { 0 };
	unsigned left = MANY;

	for (int i = 0; i < MANY; i++) {
		struct http_ask a = ask_of("GET", url("/gate?ms=5"));

		g[i].left = &left;
		http_call(client, &a, note, &g[i]);
	}
	assert_int_equal(http_client_calls(client), MANY);
	loop_run(loop);
	assert_int_equal(http_client_calls(client), 0);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(g[i].times, 1);
		assert_int_equal(g[i].status, 200);
		assert_in_range(strtol(g[i].body.p + 8, NULL, 10), 1, 3);
		buf_free(&g[i].body);
	}
}

static struct http_call *other, *third;
static struct got chained;

static void cancel_and_ask(void *owner, const struct http_reply *r)
{
	struct http_ask a = ask_of("GET", url("/echo"));

	assert_int_equal(r->status, 200);
	http_cancel(&other);
	http_cancel(&third);
	http_call(client, &a, note, &chained);
}

static void must_not_come(void *owner, const struct http_reply *r)
{
	CHECK(!"a cancelled call was told");
}

static void cancelling(void **state)
{
	struct http_ask a = ask_of("GET", url("/slow"));
	struct http_call *c;

	other = http_call(client, &a, must_not_come, NULL);
	a.url = "nonsense://x";
	third = http_call(client, &a, must_not_come, NULL);
	http_cancel(&third);
	a.url = url("/gate?ms=1");
	third = http_call(client, &a, must_not_come, NULL);
	a.url = url("/echo");
	http_cancel(&third);
	http_call(client, &a, cancel_and_ask, NULL);
	chained = (struct got){ 0 };
	loop_run(loop);
	assert_null(other);
	assert_int_equal(chained.status, 200);
	buf_free(&chained.body);
	/* At once, while a name is being looked up, and with the client. */
	a.url = "http://localhost:1/";
	c = http_call(client, &a, must_not_come, NULL);
	http_cancel(&c);
	a.url = url("/slow");
	http_call(client, &a, must_not_come, NULL);
	get("/echo");
	http_call(client, &a, must_not_come, NULL);
	a.url = "nonsense://x";
	http_call(client, &a, must_not_come, NULL);
}

/* Time that is shifted under curl's feet: its timers still come. */
static void shifted(void **state)
{
	struct http_ask a = ask_of("GET", url("/slow"));
	struct got g = { 0 };

	a.deadline = 300 * DUR_MS;
	http_call(client, &a, note, &g);
	clock_shift(DUR_DAY);
	loop_run(loop);
	assert_true(g.timed_out);
	buf_free(&g.body);
	clock_shift(-DUR_DAY);
}

static void tls(void **state)
{
	struct http_way way = { .allow_private = true };
	char dir[] = "/tmp/http-test-XXXXXX", cmd[500], cert[64], key[64], u[100];
	struct far far;
	struct http_ask a;
	struct got *g;

	assert_non_null(mkdtemp(dir));
	snprintf(cmd, sizeof cmd,
		"cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
		"-days 2 "
		"-subj /CN=us -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem "
		"2>/dev/null",
		dir);
	assert_int_equal(system(cmd), 0);
	far_start(&far, dir);
	snprintf(cert, sizeof cert, "%s/cert.pem", dir);
	snprintf(key, sizeof key, "%s/key.pem", dir);
	snprintf(u, sizeof u, "%s/echo", far.base);
	a = ask_of("GET", u);
	g = wait_for(a);
	assert_int_equal(g->status, 0);
	assert_false(g->began);
	assert_non_null(strstr(g->why.text, "certificate"));
	a.way = &way;
	way.ca_file = cert;
	g = wait_for(a);
	assert_int_equal(g->status, 200);
	assert_non_null(strstr(g->body.p, "\"peer\":\"\""));
	way.cert_file = cert;
	way.key_file = key;
	g = wait_for(a);
	assert_int_equal(g->status, 200);
	assert_non_null(strstr(g->body.p, "\"peer\":\"us\""));
	way = (struct http_way){ .allow_private = true, .no_verify = true };
	assert_int_equal(wait_for(a)->status, 200);
	way.no_verify = false; /* a connection opened without checks is not for who wants them */
	assert_int_equal(wait_for(a)->status, 0);
	far_stop(&far);
	snprintf(cmd, sizeof cmd, "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

static void origins(void **state)
{
	static const char *const rows[][2] = {
		{ "https://user:pw@push.example/secret?x", "https://push.example:443" },
		{ "http://[::1]:8080/", "http://[::1]:8080" },
		{ "nonsense", "a URL that is none" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf b = BUF_INIT;

		http_url_origin(&b, rows[i][0]);
		assert_string_equal(buf_cstr(&b), rows[i][1]);
		buf_free(&b);
	}
}

static int group_start(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	far_start(&plain, NULL);
	return 0;
}

static int group_stop(void **state)
{
	stop(NULL);
	far_stop(&plain);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(methods, start, stop),
		cmocka_unit_test_setup_teardown(statuses, start, stop),
		cmocka_unit_test_setup_teardown(failures, start, stop),
		cmocka_unit_test_setup_teardown(private_addresses, start, stop),
		cmocka_unit_test_setup_teardown(once, start, stop),
		cmocka_unit_test_setup_teardown(proxied, start, stop),
		cmocka_unit_test_setup_teardown(many, start, stop),
		cmocka_unit_test_setup_teardown(cancelling, start, stop),
		cmocka_unit_test_setup_teardown(shifted, start, stop),
		cmocka_unit_test_setup_teardown(tls, start, stop),
		cmocka_unit_test(origins),
	};

	return cmocka_run_group_tests(tests, group_start, group_stop);
}
