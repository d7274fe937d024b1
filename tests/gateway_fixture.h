/* A whole gateway in this process, in a folder of its own, for the tests of protocols' server
 * halves. Who includes it says what the settings are, besides the listeners: fx_rest().
 * Header-only.
 */
#ifndef POSTERN_TESTS_GATEWAY_FIXTURE_H
#define POSTERN_TESTS_GATEWAY_FIXTURE_H

#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/base/stream.h"
#include "gateway/flow/gateway.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* no test uses all of it */
#pragma GCC diagnostic ignored "-Wunused-function"

static struct {
	char dir[64], conf[128];
	struct gateway *g;
	uint16_t port;  /* of the first listener */
	bool takes_all; /* deliver_sm that comes before an answer is taken and passed over */
} fx;

static const char *fx_rest(void); /* channels, routes and all else, as text */

static void fx_log(void *ctx, struct str line) {}

static struct settings *fx_settings(const char *listeners)
{
	struct conf_faults f = { 0 };
	struct settings *s;
	FILE *out = fopen(fx.conf, "w");

	assert_non_null(out);
	fprintf(out,
		"state = \"%s\"; loops = 2; shutdown_grace = \"3s\"; country = \"46\";\n"
		"http = { listen = \"127.0.0.1:0\"; };\nlisteners = ( %s );\n%s",
		fx.dir, listeners, fx_rest());
	fclose(out);
	chmod(fx.conf, 0600);
	s = settings_load(fx.conf, &f);
	if (!s)
		conf_faults_print(&f, stderr);
	conf_faults_free(&f);
	return s;
}

static uint16_t fx_port(void)
{
	struct buf json = BUF_INIT;
	const char *at;
	unsigned port = 0;

	gateway_status(fx.g, &json);
	at = strstr(buf_cstr(&json), "\"port\":");
	assert_non_null(at);
	port = (unsigned)strtoul(at + 7, NULL, 10);
	buf_free(&json);
	return (uint16_t)port;
}

static void fx_start(const char *listeners)
{
	struct settings *s = fx_settings(listeners);
	struct err e = { 0 };

	assert_non_null(s);
	fx.g = gateway_new(s, &e);
	if (!fx.g || gateway_start(fx.g, &e) != 0)
		fail_msg("%s", e.text);
	fx.port = fx_port();
}

static void fx_folder(void)
{
	str_copy(fx.dir, sizeof fx.dir, STR("/tmp/postern-gateway-XXXXXX"));
	assert_non_null(mkdtemp(fx.dir));
	snprintf(fx.conf, sizeof fx.conf, "%s/p.conf", fx.dir);
	setenv("SSL_CERT_FILE", "/dev/null", 1); /* the system's authorities are long to read */
	if (!getenv("SHOW_LOG"))
		log_capture(fx_log, NULL);
}

static void fx_begin(const char *listeners)
{
	fx_folder();
	fx_start(listeners);
}

static void fx_reload(const char *listeners)
{
	struct settings *s = fx_settings(listeners);
	struct buf changes = BUF_INIT;
	struct err e = { 0 };

	assert_non_null(s);
	if (gateway_reload(fx.g, s, false, &changes, &e) != 0)
		fail_msg("%s", e.text);
	buf_free(&changes);
}

static void fx_stop(void)
{
	gateway_stop(fx.g);
	gateway_free(&fx.g);
}

static void fx_end(void)
{
	char cmd[128];

	fx_stop();
	log_capture(NULL, NULL);
	snprintf(cmd, sizeof cmd, "rm -rf %s", fx.dir);
	if (system(cmd) != 0)
		fprintf(stderr, "%s is left\n", fx.dir);
}

/* What the store has of a message. The caller frees it. */
static struct store_view fx_view(uint64_t id)
{
	struct store_view v;
	struct err e = { 0 };

	if (store_find(gateway_store(fx.g), id, true, &v, &e) != 1)
		fail_msg("message %lu is not in the store", id);
	return v;
}

#endif
