/* The HTTP server against curl(1), against openssl for TLS, and against raw bytes that no honest
 * client sends. Handlers that answer later do so from a thread of their own.
 */
#include "gateway/base/log.h"
#include "gateway/base/stream.h"
#include "gateway/http/json.h"
#include "gateway/http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static struct http_server *server;
static char base[64];

/* ---- a thread that answers later ---- */
enum { LATER_MOST = 64 };
static struct http_request *later[LATER_MOST];
static unsigned later_n;
static pthread_mutex_t later_lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t later_sem;
static pthread_t later_thread;
static _Atomic int gone, kept_body;
static struct http_request *kept; /* answered by the test itself */
static sem_t kept_sem;

static void *answer_later(void *arg)
{
	for (;;) {
		struct http_request *r = NULL;
		struct buf b = BUF_INIT;

		sem_wait(&later_sem);
		pthread_mutex_lock(&later_lock);
		if (later_n)
			r = later[--later_n];
		pthread_mutex_unlock(&later_lock);
		if (!r)
			return NULL;
		if (http_state(r)) { /* the body waits */
			http_set_state(r, NULL);
			http_resume_body(r);
			continue;
		}
		buf_printf(&b, "later %zu", http_body(r).n);
		http_answer_header(r, "X-Seen", "%s", "yes");
		http_answer(r, 202, "text/plain", &b);
	}
}

static void hand_over(struct http_request *r)
{
	pthread_mutex_lock(&later_lock);
	CHECK(later_n < LATER_MOST);
	later[later_n++] = r;
	pthread_mutex_unlock(&later_lock);
	sem_post(&later_sem);
}

/* ---- handlers ---- */
static void say_what(struct http_request *r)
{
	struct buf b = BUF_INIT;
	struct str n, v;

	buf_printf(&b, "%.*s %.*s [%.*s]", STR_ARG(http_method(r)), STR_ARG(http_path(r)),
		STR_ARG(http_wild(r, 0)));
	for (unsigned i = 0; http_arg_at(r, i, &n, &v); i++)
		buf_printf(&b, " %.*s=%.*s", STR_ARG(n), STR_ARG(v));
	if (http_type_is(r, "application/json"))
		buf_printf(&b, " json:%.*s", STR_ARG(http_body(r)));
	http_answer(r, 200, "text/plain", &b);
}

static void guard(struct http_request *r)
{
	static const struct {
		struct http_token t;
		int more;
	} tokens[] = { { { "pos", "alpha" }, 1 }, { { "crm", "beta" }, 2 } };

	if (http_bearer(r, tokens, 2, sizeof tokens[0]) != 1)
		http_unauthorized(r);
}

static _Atomic size_t streamed;
static size_t next_stop; /* one request at a time */

static void stream_begin(struct http_request *r)
{
	streamed = 0;
	next_stop = 50000;
}

/* Takes at most 1000 bytes at a time, and stops the flow now and then. */
static size_t stream_body(struct http_request *r, struct str s)
{
	size_t n = s.n < 1000 ? s.n : 1000;

	if (streamed + n > next_stop) {
		static char waiting;

		/* The other thread clears the state before it resumes. */
		next_stop += 50000;
		http_set_state(r, &waiting);
		hand_over(r);
		return 0;
	}
	streamed += n;
	for (size_t i = 0; i < n; i++)
		CHECK(s.p[i] == 'x');
	return n;
}

static void stream_end(struct http_request *r)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "streamed");
	http_answer(r, 200, "text/plain", &b);
}

static void stream_gone(struct http_request *r)
{
	gone++;
	http_drop(r);
}

static size_t refuse_body(struct http_request *r, struct str s)
{
	http_problem(r, 422, NULL, "must be a string", "/to");
	return 0;
}

static void never(struct http_request *r)
{
	CHECK(!"the end is never reached");
}

static void keep(struct http_request *r)
{
	kept = r;
	sem_post(&kept_sem);
}

static size_t keep_body(struct http_request *r, struct str s)
{
	int take;

	kept = r;
	take = kept_body++;
	sem_post(&kept_sem);
	return take ? s.n : 0;
}

static void keep_gone(struct http_request *r)
{
	gone++;
	sem_post(&kept_sem);
}

static void drop(struct http_request *r)
{
	http_drop(r);
}

/* Holds the thread that reads requests. */
static void hold(struct http_request *r)
{
	usleep(500 * 1000);
	say_what(r);
}

static const struct http_route routes[] = {
	{ "GET", "/plain", .end = say_what },
	{ "POST", "/plain", .end = say_what },
	{ "GET", "/items/first", .end = say_what },
	{ "GET", "/items/*", .end = say_what },
	{ "DELETE", "/items/*", .end = say_what },
	{ "GET", "/items/*/parts/*", .end = say_what },
	{ "POST", "/later", .end = hand_over },
	{ "POST", "/guarded", .begin = guard, .end = say_what },
	{ "POST", "/stream", .body_most = 1 << 24, .begin = stream_begin, .body = stream_body,
		.end = stream_end, .gone = stream_gone },
	{ "POST", "/refuse", .body_most = 1 << 20, .body = refuse_body, .end = never },
	{ "POST", "/keep", .end = keep },
	{ "POST", "/keep-body", .body = keep_body, .end = never, .gone = keep_gone },
	{ "GET", "/drop", .end = drop },
	{ "GET", "/hold", .end = hold },
	{ NULL },
};

static int start(void **state)
{
	const char *const listen_on[] = { "127.0.0.1:0", "[::1]:0", NULL };
	struct http_server_conf c = { .listen = listen_on,
		.routes = routes,
		.limits = { .body_most = 65536, .idle = 2 * DUR_S, .per_address = 8 } };
	struct err e = { 0 };

	server = http_server_new(&c, &e);
	if (!server)
		fail_msg("%s", e.text);
	snprintf(base, sizeof base, "http://127.0.0.1:%u", http_server_port(server, 0));
	gone = kept_body = 0;
	sem_init(&later_sem, 0, 0);
	sem_init(&kept_sem, 0, 0);
	return pthread_create(&later_thread, NULL, answer_later, NULL);
}

static int stop(void **state)
{
	http_server_stop(&server, 2 * DUR_S);
	sem_post(&later_sem);
	pthread_join(later_thread, NULL);
	return 0;
}

/* Runs curl with the given arguments (those of a shell); what it wrote. */
__attribute__((format(printf, 1, 2))) static const char *curl(const char *fmt, ...)
{
	static struct buf out;
	struct buf cmd = BUF_INIT;
	va_list ap;
	FILE *p;
	char part[4096];
	size_t n;

	buf_c(&cmd, "curl -s --max-time 20 ");
	va_start(ap, fmt);
	buf_vprintf(&cmd, fmt, ap);
	va_end(ap);
	buf_c(&cmd, " 2>/dev/null");
	p = popen(buf_cstr(&cmd), "r");
	assert_non_null(p);
	buf_reset(&out);
	while ((n = fread(part, 1, sizeof part, p)) > 0)
		buf_add(&out, part, n);
	pclose(p);
	buf_free(&cmd);
	return buf_cstr(&out);
}

static void requests(void **state)
{
	assert_string_equal(
		curl("'%s/plain?a=1&b=%%C3%%A5+x&c'", base), "GET /plain [] a=1 b=å x c=");
	assert_string_equal(
		curl("-d '{}' -H 'Content-Type: Application/JSON; charset=utf-8' %s/plain", base),
		"POST /plain [] json:{}");
	assert_string_equal(curl("%s/items/first", base), "GET /items/first []");
	assert_string_equal(curl("%s/items/a%%2Fb", base), "GET /items/a%2Fb [a/b]");
	assert_string_equal(curl("-X DELETE %s/items/7", base), "DELETE /items/7 [7]");
	assert_string_equal(curl("%s/items/7/parts/8", base), "GET /items/7/parts/8 [7]");
	assert_string_equal(
		curl("-o /dev/null -I -w '%%{http_code} %%{size_download}' %s/plain", base),
		"200 0");
	assert_string_equal(
		curl("-g 'http://[::1]:%u/plain'", http_server_port(server, 1)), "GET /plain []");
	/* One connection serves many, refusals too. */
	assert_string_equal(
		curl("-o /dev/null -w '%%{num_connects}%%{http_code} ' -d x %s/nothing "
		     "--next -s -o /dev/null -w '%%{num_connects}%%{http_code} ' %s/plain",
			base, base),
		"1404 0200 ");
}

static void problems(void **state)
{
	assert_string_equal(curl("-w ' %%{content_type}' %s/nothing", base),
		"{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404} "
		"application/problem+json");
	assert_non_null(strstr(curl("-i -X PUT %s/items/7", base), "405 Method Not Allowed"));
	assert_non_null(strstr(curl("-i -X PUT %s/items/7", base), "Allow: GET, DELETE"));
	assert_non_null(strstr(curl("%s/items/%%00", base), "\"status\":400"));
	assert_non_null(strstr(curl("%s/items/%%4", base), "\"status\":400"));
	assert_non_null(strstr(curl("'%s/plain?a=%%zz'", base), "\"status\":400"));
	assert_non_null(strstr(curl("%s/items/", base), "\"status\":404"));
	/* By length at once, in chunks when it is reached; the far side reads the answer. */
	assert_non_null(strstr(
		curl("-H Expect: --data-binary @/bin/bash %s/plain", base), "\"status\":413"));
	assert_non_null(strstr(curl("--data-binary @/bin/bash %s/plain", base), "\"status\":413"));
	assert_non_null(
		strstr(curl("-H 'Transfer-Encoding: chunked' -d \"$(head -c 70000 /dev/zero | "
			    "tr '\\0' x)\" %s/plain",
			       base),
			"\"status\":413"));
	assert_non_null(
		strstr(curl("-H \"X: $(head -c 17000 /dev/zero | tr '\\0' x)\" %s/plain", base),
			"\"status\":431"));
	assert_string_equal(curl("-d \"$(head -c 60000 /dev/zero | tr '\\0' x)\" %s/refuse", base),
		"{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\",\"status\":422,"
		"\"detail\":\"/to: must be a string\",\"errors\":[{\"pointer\":\"#/to\","
		"\"detail\":\"must be a string\"}]}");
	assert_string_equal(curl("-w '%%{http_code} %%{exitcode}' %s/drop", base), "000 52");
}

static void tokens(void **state)
{
	static const struct {
		const char *header, *code;
	} rows[] = { { "X: y", "401" }, { "Authorization: Bearer beta", "200" },
		{ "Authorization: bearer  beta ", "200" }, { "Authorization: Bearer alpha", "401" },
		{ "Authorization: Bearer bet", "401" }, { "Authorization: Bearer betaa", "401" },
		{ "Authorization: Basic beta", "401" }, { "Authorization: Bearer", "401" },
		{ "Authorization: beta", "401" } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_string_equal(curl("-o /dev/null -w '%%{http_code}' -H '%s' -d x %s/guarded",
					    rows[i].header, base),
			rows[i].code);
	assert_non_null(strstr(curl("-i -d x %s/guarded", base), "WWW-Authenticate: Bearer"));
}

static void answered_later(void **state)
{
	const char *s = curl("-i -d 12345 %s/later", base);

	assert_non_null(strstr(s, "202 Accepted"));
	assert_non_null(strstr(s, "X-Seen: yes"));
	assert_non_null(strstr(s, "later 5"));
	/* Many, on few connections. */
	assert_string_equal(curl("-Z --parallel-max 8 -o /dev/null -w '%%{http_code}' -d x "
				 "'%s/later?[1-40]'",
				    base),
		"202202202202202202202202202202202202202202202202202202202202"
		"202202202202202202202202202202202202202202202202202202202202");
}

static void streaming(void **state)
{
	static const char body[] = "head -c 3000000 /dev/zero | tr '\\0' x |";
	char cmd[400];
	FILE *p;
	char out[64] = "";

	for (int chunked = 0; chunked < 2; chunked++) {
		snprintf(cmd, sizeof cmd, "%s curl -s --max-time 20 %s --data-binary @- %s/stream",
			body, chunked ? "-H 'Transfer-Encoding: chunked'" : "", base);
		p = popen(cmd, "r");
		assert_non_null(fgets(out, sizeof out, p));
		pclose(p);
		assert_string_equal(out, "streamed");
		assert_int_equal(streamed, 3000000);
	}
	assert_int_equal(gone, 0);
}

/* ---- raw bytes ---- */
static int raw_open(const char *bytes)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(http_server_port(server, 0)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), strlen(bytes));
	return fd;
}

/* Everything until the far side closes, or nothing comes for a while. */
static const char *raw_read(int fd)
{
	static char out[8192];
	size_t n = 0;
	ssize_t got;

	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (n < sizeof out - 1 && poll(&p, 1, 5000) > 0 &&
		(got = recv(fd, out + n, sizeof out - 1 - n, 0)) > 0)
		n += (size_t)got;
	out[n] = '\0';
	close(fd);
	return out;
}

static void smuggling(void **state)
{
	static const char *const rows[] = {
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"Content-Length: +5\r\n\r\nhello",
		"Content-Length: 5, 5\r\n\r\nhello",
		"Content-Length: 99999999999999999999999\r\n\r\nhello",
		"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf b = BUF_INIT;
		const char *s, *second;

		buf_printf(&b, "POST /plain HTTP/1.1\r\nHost: x\r\n%s", rows[i]);
		buf_c(&b, "GET /plain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
		s = raw_read(raw_open(buf_cstr(&b)));
		if (s[0] && !str_starts(str_of(s), STR("HTTP/1.1 4")))
			fail_msg("%s: %s", rows[i], s);
		second = s[0] ? strstr(s + 1, "HTTP/1.1 200") : NULL;
		if (second)
			fail_msg("%s: a second request was served: %s", rows[i], s);
		buf_free(&b);
	}
}

static void client_goes_away(void **state)
{
	int fd = raw_open("POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nxxx");

	usleep(50000);
	close(fd);
	for (int i = 0; i < 200 && !gone; i++)
		usleep(10000);
	assert_int_equal(gone, 1);
	/* In the middle of a body, and the answer is owed by another thread. */
	fd = raw_open("POST /keep-body HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nxxx");
	sem_wait(&kept_sem);
	assert_int_equal(kept_body, 1);
	close(fd);
	http_resume_body(kept);
	/* While it stood nobody saw; now the bytes are taken and the end is seen behind them. */
	sem_wait(&kept_sem);
	sem_wait(&kept_sem);
	assert_int_equal(kept_body, 2);
	assert_int_equal(gone, 2);
	http_drop(kept);
	/* Behind the end nobody looks, and the answer goes nowhere. */
	fd = raw_open("POST /keep HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
	sem_wait(&kept_sem);
	close(fd);
	usleep(50000);
	http_answer_text(kept, 200, "nobody");
	assert_string_equal(curl("%s/plain", base), "GET /plain []");
}

static void idle_and_many(void **state)
{
	int fd[12], open = 0;
	int waits = raw_open(
		"POST /keep HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");

	sem_wait(&kept_sem);
	/* Idle connections are closed after two seconds; more than eight from one address are not
	 * taken in the first place. */
	for (int i = 0; i < 12; i++)
		fd[i] = raw_open("GET /pla");
	for (int tries = 0; tries < 100 && open != 7; tries++) {
		open = 0;
		usleep(15000);
		for (int i = 0; i < 12; i++) {
			char c;

			open += recv(fd[i], &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
		}
	}
	assert_int_equal(open, 7);
	for (int i = 0; i < 12; i++) {
		const char *s = raw_read(fd[i]);

		if (s[0])
			assert_non_null(strstr(s, "HTTP/1.1 408"));
	}
	/* Whoever waits for us is not idle. */
	http_answer_text(kept, 200, "at last");
	assert_non_null(strstr(raw_read(waits), "at last"));
	assert_string_equal(curl("%s/plain", base), "GET /plain []");
}

static bool answered_in_time(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char answer[1024];

	return poll(&p, 1, 20000) == 1 && recv(fd, answer, sizeof answer, 0) > 0;
}

/* As many requests at once as libmicrohttpd takes from the kernel at a time: each is answered. */
static void many_at_once(void **state)
{
	static const char ask[] = "GET /plain HTTP/1.1\r\nHost: x\r\n\r\n",
			  wait[] = "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n";
	const char *const listen_on[] = { "127.0.0.1:0", NULL };
	struct http_server_conf c = { .listen = listen_on,
		.routes = routes,
		.limits = { .connections = 1000, .per_address = 1000, .threads = 1 } };
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	enum { MANY = 128 };
	int fd[MANY + 1];
	struct err e;

	server = http_server_new(&c, &e);
	assert_non_null(server);
	sa.sin_port = htons(http_server_port(server, 0));
	for (int i = 0; i <= MANY; i++) { /* all are taken, and wait for their next request */
		fd[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(fd[i], (struct sockaddr *)&sa, sizeof sa), 0);
		assert_int_equal(send(fd[i], ask, sizeof ask - 1, MSG_NOSIGNAL), sizeof ask - 1);
		assert_true(answered_in_time(fd[i]));
	}
	assert_int_equal(send(fd[MANY], wait, sizeof wait - 1, MSG_NOSIGNAL), sizeof wait - 1);
	usleep(100 * 1000);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(send(fd[i], ask, sizeof ask - 1, MSG_NOSIGNAL), sizeof ask - 1);
	for (int i = 0; i <= MANY; i++) {
		assert_true(answered_in_time(fd[i]));
		close(fd[i]);
	}
	http_server_stop(&server, DUR_S);
}

/* What came while the whole process stood still was sent in time, and is answered. */
static void stood_still(void **state)
{
	static const char first[] = "GET /plain HTTP/1.1\r\nHost: x\r\n\r\n",
			  ask[] = "GET /plain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	char name[] = "server_test", what[] = "serve", *const args[] = { name, what, NULL };
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int out[2], fd;
	uint16_t port;
	pid_t child;
	char c = 0;

	assert_int_equal(pipe(out), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		dup2(out[1], STDOUT_FILENO);
		execv("/proc/self/exe", args);
		_exit(127);
	}
	assert_int_equal(read(out[0], &port, sizeof port), sizeof port);
	sa.sin_port = htons(port);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(send(fd, first, sizeof first - 1, MSG_NOSIGNAL), sizeof first - 1);
	while (c != ']') /* the end of its answer */
		assert_int_equal(read(fd, &c, 1), 1);
	kill(child, SIGSTOP);
	assert_int_equal(send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL), sizeof ask - 1);
	usleep(2500 * 1000);
	kill(child, SIGCONT);
	assert_non_null(strstr(raw_read(fd), "GET /plain []"));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static int serve(void)
{
	const char *const listen_on[] = { "127.0.0.1:0", NULL };
	struct http_server_conf c = { .listen = listen_on, .routes = routes, .limits.idle = DUR_S };
	struct err e;
	uint16_t port;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	server = http_server_new(&c, &e);
	port = server ? http_server_port(server, 0) : 0;
	if (write(STDOUT_FILENO, &port, sizeof port) != sizeof port)
		return 1;
	for (;;)
		pause();
}

/* An answer that comes while the server stops is waited for; one that does not is cut off. */
static void graceful(void **state)
{
	const char *s;
	int fd = raw_open("POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab");
	int stuck = raw_open("POST /keep HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
	mono_t began = clock_mono();

	sem_wait(&kept_sem);
	assert_int_equal(send(fd, "c", 1, MSG_NOSIGNAL), 1);
	http_server_stop(&server, 2 * DUR_S);
	assert_true(clock_mono() - began < 20 * DUR_S);
	s = raw_read(fd);
	assert_non_null(strstr(s, "202 Accepted"));
	assert_non_null(strstr(s, "later 3"));
	assert_string_equal(raw_read(stuck), "");
	http_answer_text(kept, 200, "too late"); /* owed, taken, forgotten */
}

static void taken_port(void **state)
{
	char here[40];
	const char *const listen_on[] = { "127.0.0.1:0", here, NULL };
	struct http_server_conf c = { .listen = listen_on, .routes = routes };
	struct err e = { 0 };

	snprintf(here, sizeof here, "127.0.0.1:%u", http_server_port(server, 0));
	assert_null(http_server_new(&c, &e));
	assert_int_equal(e.kind, ERR_ENV);
	assert_non_null(strstr(e.text, here));
	assert_non_null(strstr(e.text, "Address already in use"));
}

static char *file_text(const char *path)
{
	struct buf b = BUF_INIT;
	FILE *f = fopen(path, "r");
	char part[4096];
	size_t n;

	assert_non_null(f);
	while ((n = fread(part, 1, sizeof part, f)) > 0)
		buf_add(&b, part, n);
	fclose(f);
	return buf_cstr(&b);
}

static void tls(void **state)
{
	char dir[] = "/tmp/http-test-XXXXXX", cmd[400], url[64];
	const char *const listen_on[] = { "127.0.0.1:0", NULL };
	struct http_server_conf c = { .listen = listen_on, .routes = routes };
	struct http_server *s;
	struct err e = { 0 };
	char *cert, *key;

	assert_non_null(mkdtemp(dir));
	snprintf(cmd, sizeof cmd,
		"cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
		"-nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 "
		"-keyout key.pem -out cert.pem 2>/dev/null",
		dir);
	assert_int_equal(system(cmd), 0);
	snprintf(cmd, sizeof cmd, "%s/cert.pem", dir);
	c.cert = cert = file_text(cmd);
	snprintf(cmd, sizeof cmd, "%s/key.pem", dir);
	c.key = key = file_text(cmd);
	s = http_server_new(&c, &e);
	if (!s)
		fail_msg("%s", e.text);
	snprintf(url, sizeof url, "https://127.0.0.1:%u", http_server_port(s, 0));
	assert_string_equal(curl("--cacert %s/cert.pem %s/plain", dir, url), "GET /plain []");
	assert_string_equal(curl("--cacert %s/cert.pem -d abc %s/later", dir, url), "later 3");
	assert_string_equal(
		curl("--cacert %s/cert.pem --tls-max 1.2 %s/plain", dir, url), "GET /plain []");
	assert_string_equal(
		curl("-o /dev/null -w '%%{exitcode}' --cacert %s/cert.pem --tls-max 1.1 "
		     "--ciphers DEFAULT@SECLEVEL=0 %s/plain",
			dir, url),
		"35");
	http_server_stop(&s, DUR_S);
	c.key = "not a key";
	assert_null(http_server_new(&c, &e));
	free(cert);
	free(key);
	snprintf(cmd, sizeof cmd, "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(requests, start, stop),
		cmocka_unit_test_setup_teardown(problems, start, stop),
		cmocka_unit_test_setup_teardown(tokens, start, stop),
		cmocka_unit_test_setup_teardown(answered_later, start, stop),
		cmocka_unit_test_setup_teardown(streaming, start, stop),
		cmocka_unit_test_setup_teardown(smuggling, start, stop),
		cmocka_unit_test_setup_teardown(client_goes_away, start, stop),
		cmocka_unit_test_setup_teardown(idle_and_many, start, stop),
		cmocka_unit_test(many_at_once),
		cmocka_unit_test(stood_still),
		cmocka_unit_test_setup_teardown(graceful, start, stop),
		cmocka_unit_test_setup_teardown(taken_port, start, stop),
		cmocka_unit_test_setup_teardown(tls, start, stop),
	};

	if (argc > 1)
		return serve();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
