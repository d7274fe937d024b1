/* A configuration with every kind of row, for conf_test.c and fuzz_conf.c. */
#ifndef POSTERN_BASE_CONF_SAMPLE_H
#define POSTERN_BASE_CONF_SAMPLE_H

#include "gateway/base/conf.h"

#include <math.h>

enum sample_level { LEVEL_ERROR, LEVEL_INFO = 2 };
enum { SCOPE_READ = 1, SCOPE_WRITE = 2 };

struct sample_tls {
	enum sample_level mode;
	bool verify;
	const char *ca_file;
	uint64_t ca_hash;
};
struct sample_account {
	const char *system_id, *password;
	const char **allow;
	size_t allow_n;
	double rate;
	struct conf_where at;
};
struct sample_common {
	int64_t idle;
	uint16_t port;
};
struct sample_smpp {
	struct sample_common common;
	const char *host, *password;
	unsigned window;
	struct sample_tls tls;
	bool tls_given;
	struct conf_pair *status;
	size_t status_n;
};
struct sample_http {
	const char *endpoint, *key_file;
};
struct sample_channel {
	const char *name, *type;
	void *specific;
	int connections;
	struct sample_account *accounts;
	size_t accounts_n;
	struct conf_where at;
};
struct sample_counter {
	const char *name;
	uint8_t most;
};
struct sample_text {
	const char *language;
	const char *text;
};
struct sample_template {
	const char *name;
	unsigned parts;
	struct sample_text *texts;
	size_t texts_n;
};
struct sample_route {
	const char *to;
	const char **via;
	size_t via_n;
	struct conf_pair *notes;
	size_t notes_n;
	struct conf_where at;
};
struct sample {
	const char *node, *state;
	enum sample_level level;
	unsigned scopes;
	int64_t retention;
	size_t buffer;
	struct sample_tls tls;
	struct sample_channel *channels;
	size_t channels_n;
	struct sample_route *routes;
	size_t routes_n;
	struct sample_counter *counters;
	size_t counters_n;
	struct sample_template *templates;
	size_t templates_n;
	const char *engine;
	void *store;
	struct conf_where at;
};

static const struct conf_word sample_levels[] = { { "error", LEVEL_ERROR, "Faults alone." },
	{ "info", LEVEL_INFO, "What happens." }, { NULL } };
static const struct conf_word sample_scopes[] = { { "read", SCOPE_READ }, { "write", SCOPE_WRITE },
	{ NULL } };

static int sample_address(struct str value, struct err *e)
{
	if (value.n == 0 || str_index(value, ' ') >= 0)
		return err_set(e, ERR_CONF, "\"%.*s\" is not an address", STR_ARG(value));
	return 0;
}

static const struct conf_item sample_tls_rows[] = {
	CONF_ENUM(struct sample_tls, mode, sample_levels, LEVEL_INFO, "How TLS is used."),
	CONF_BOOL(struct sample_tls, verify, true, "Check the far side's certificate."),
	CONF_FILE(struct sample_tls, ca_file, ca_hash, "Trusted certificates."), CONF_END
};
static const struct conf_item sample_account_rows[] = {
	CONF_STR(struct sample_account, system_id, NULL, "Its name.",
		.flags = CONF_REQUIRED | CONF_UNIQUE, .max = 15),
	CONF_SECRET(struct sample_account, password, "Its password.", .max = 8),
	CONF_STRS(struct sample_account, allow, allow_n, "Addresses that may bind.",
		.check = sample_address,
		.defaults = (const char *const[]){ "127.0.0.1", "::1", NULL }),
	CONF_REAL(struct sample_account, rate, 0, INFINITY, 0,
		"Most messages a second; 0: no limit.", .unit = "messages/s"),
	CONF_WHERE(struct sample_account, at), CONF_END
};
static const struct conf_item sample_common_rows[] = { CONF_DURATION(struct sample_common, idle,
							       "1s", "30d", "1 min",
							       "Idle time before a close."),
	CONF_INT(struct sample_common, port, 1, 65535, 2775, "TCP port."), CONF_END };

static void sample_smpp_check(const void *conf, const struct conf_where *at, struct conf_faults *f)
{
	const struct sample_smpp *c = conf;

	if (c->window > 1000 && !c->password)
		conf_fault_at(f, at, "window", "more than 1000 wants a password");
}

static const struct conf_item sample_smpp_rows[] = { CONF_INLINE(struct sample_smpp, common,
							     sample_common_rows),
	CONF_STR(struct sample_smpp, host, NULL, "The SMSC.", .flags = CONF_REQUIRED,
		.check = sample_address),
	CONF_SECRET(struct sample_smpp, password, "Password."),
	CONF_INT(struct sample_smpp, window, 1, 100000, 100,
		"Unanswered submit_sm allowed at once.", .unit = "messages"),
	CONF_GROUP_GIVEN(struct sample_smpp, tls, tls_given, sample_tls_rows, "TLS, when given."),
	CONF_MAP(struct sample_smpp, status, status_n, "What a status word means here.",
		.words = sample_levels),
	CONF_CHECK(struct sample_smpp, sample_smpp_check), CONF_END };
static const struct conf_item sample_http_rows[] = { CONF_STR(struct sample_http, endpoint,
							     "https://example.com", "Base URL."),
	CONF_PATH(struct sample_http, key_file, NULL, "Private key."), CONF_END };
static const struct conf_item sample_null_rows[] = { CONF_END };

static bool sample_variant(size_t i, struct conf_variant *v_r)
{
	static const struct conf_variant all[] = {
		{ "smpp", sample_smpp_rows, sizeof(struct sample_smpp), "an SMSC" },
		{ "listens-only", NULL, 0, NULL },
		{ "http", sample_http_rows, sizeof(struct sample_http), "a provider's API" },
		{ "null", sample_null_rows, 0, "nowhere" },
	};

	if (i >= sizeof all / sizeof *all)
		return false;
	*v_r = all[i];
	return true;
}

static const struct conf_item sample_channel_rows[] = {
	CONF_STR(struct sample_channel, name, NULL, "Its name.",
		.flags = CONF_REQUIRED | CONF_UNIQUE),
	CONF_VARIANT(struct sample_channel, type, specific, sample_variant, NULL, "Its protocol.",
		.flags = CONF_REQUIRED),
	CONF_INT(struct sample_channel, connections, 1, 64, 1, "Connections at once."),
	CONF_LIST(
		struct sample_channel, accounts, accounts_n, sample_account_rows, "Who may bind."),
	CONF_WHERE(struct sample_channel, at), CONF_END
};
struct sample_store {
	unsigned pages;
};
static const struct conf_item sample_store_rows[] = {
	CONF_INT(struct sample_store, pages, 1, UINT32_MAX, 2000, "Pages in memory."), CONF_END
};
static bool sample_engine(size_t i, struct conf_variant *v_r)
{
	*v_r = (struct conf_variant){ i ? "file" : "memory",
		i ? sample_null_rows : sample_store_rows, i ? 0 : sizeof(struct sample_store),
		NULL };
	return i < 2;
}

static const struct conf_item sample_counter_rows[] = { CONF_KEYNAME(struct sample_counter, name),
	CONF_INT(struct sample_counter, most, 0, 255, 1, "The most.", .flags = CONF_REQUIRED),
	CONF_END };
static const struct conf_item sample_text_rows[] = { CONF_KEYNAME(struct sample_text, language),
	CONF_STR(struct sample_text, text, NULL, "The text."), CONF_END };
static const struct conf_item sample_template_rows[] = { CONF_KEYNAME(struct sample_template, name),
	CONF_INT(struct sample_template, parts, 1, 255, 2, "Most parts.", .as = "sms_parts"),
	CONF_NAMED(struct sample_template, texts, texts_n, sample_text_rows, "A language.",
		.flags = CONF_REST),
	CONF_END };
static const struct conf_item sample_route_rows[] = { CONF_STR(struct sample_route, to, "*",
							      "Pattern of the destination."),
	CONF_STRS(struct sample_route, via, via_n, "Channels in order.", .flags = CONF_REQUIRED),
	CONF_MAP(struct sample_route, notes, notes_n, "Further keys, kept as they are.",
		.flags = CONF_REST),
	CONF_WHERE(struct sample_route, at), CONF_END };
static const struct conf_item sample_rows[] = { CONF_STR(struct sample, node, NULL,
							"This host's name.", .min = 1),
	CONF_PATH(struct sample, state, "/var/lib/postern", "Folder of the state."),
	CONF_ENUM(struct sample, level, sample_levels, LEVEL_INFO, "Least level."),
	CONF_FLAGS(struct sample, scopes, sample_scopes, SCOPE_READ, "What is allowed."),
	CONF_DURATION(struct sample, retention, "1h", NULL, "30d", "How long rows are kept."),
	CONF_SIZE(struct sample, buffer, "4KiB", "1GiB", "64KiB", "Buffer."),
	CONF_GROUP(struct sample, tls, sample_tls_rows, "TLS everywhere."),
	CONF_LIST(struct sample, channels, channels_n, sample_channel_rows, "Ways out."),
	CONF_LIST(struct sample, routes, routes_n, sample_route_rows,
		"The first that fits is taken."),
	CONF_NAMED(struct sample, counters, counters_n, sample_counter_rows, "Counters by name."),
	CONF_NAMED(
		struct sample, templates, templates_n, sample_template_rows, "Templates by name."),
	CONF_VARIANT(struct sample, engine, store, sample_engine, "memory", "Engine of the store."),
	CONF_WHERE(struct sample, at), CONF_END };

#endif
