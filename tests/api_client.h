/* A client of the API for tests that run it in their own process: one request a connection, the
 * whole answer in got. Included by one file of a program, with `api` started before it is used.
 */
#ifndef POSTERN_TESTS_API_CLIENT_H
#define POSTERN_TESTS_API_CLIENT_H

#include "gateway/control/api_private.h"
#include "tests/flow_fixture.h"

#include <arpa/inet.h>
#include <sys/socket.h>

static struct api *api;
static char got[1 << 20];

/* The one file of rules that the plugin has. */
static void api_rules(const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/policy.conf", fx.dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* A gateway with that configuration, its API, and those rules for its plugin. */
static void api_begin(const char *conf, const char *rules)
{
	static char files[160];
	struct err e = { 0 };

	fx_prepare();
	snprintf(files, sizeof files, "%s/", fx.dir);
	fx.files = files;
	api_rules(rules);
	fx_start(conf);
	api = api_start(fx.g, &e);
	if (!api)
		fail_msg("%s", e.text);
}

static void api_end(void)
{
	char path[200];

	api_stop_accepting(api);
	fx_stop();
	api_stop(&api);
	snprintf(path, sizeof path, "%s/policy.conf", fx.dir);
	unlink(path);
	fx_forget();
}

static int dial(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(http_server_port(api->server, 0)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static int ask_token(
	const char *method, const char *path, const char *token, const char *type, struct str body)
{
	struct buf b = BUF_INIT;
	int fd = dial();

	buf_printf(&b, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n",
		method, path, body.n);
	if (token)
		buf_printf(&b, "Authorization: Bearer %s\r\n", token);
	if (type)
		buf_printf(&b, "Content-Type: %s\r\n", type);
	buf_c(&b, "\r\n");
	buf_str(&b, body);
	for (size_t at = 0; at < b.n;) {
		ssize_t n = send(fd, b.p + at, b.n - at, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		at += (size_t)n;
	}
	buf_free(&b);
	return fd;
}

/* The status; the whole answer is in got. */
static int answer_of(int fd)
{
	size_t at = 0;
	ssize_t n;

	while ((n = recv(fd, got + at, sizeof got - 1 - at, 0)) > 0)
		at += (size_t)n;
	got[at] = '\0';
	close(fd);
	assert_true(at > 12);
	return (int)strtol(got + 9, NULL, 10);
}

#endif
