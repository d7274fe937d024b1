/* The whole configuration as C structs, and the rows that fill them. Loaded once, never changed;
 * a reload loads another one (see gateway.h).
 */
#ifndef POSTERN_FLOW_SETTINGS_H
#define POSTERN_FLOW_SETTINGS_H

#include "gateway/mail/mail.h"
#include "plugins/plugin.h"
#include "protocols/protocol.h"

/* An HTTP token: an account of the HTTP API. */
struct token_conf {
	struct conf_where at;
	const char *name, *token;
	unsigned scopes;
	const char *webhook, *webhook_secret, *webhook_ca_file;
	bool webhook_private;
	dur_t webhook_give_up;
	struct account_conf common;
};

struct http_conf {
	struct conf_where at;
	const char *listen;
	struct tls_conf tls;
	uint64_t body_most;
	int connections, threads;
	struct token_conf *tokens;
	size_t tokens_n;
};

struct route_conf {
	struct conf_where at;
	const char **media, **to, **from, **account;
	size_t media_n, to_n, from_n, account_n;
	const char **via;
	size_t via_n;
	const char **share; /* "channel=weight": spreads over these before failing over along via */
	size_t share_n;
	const char *priority;
};

struct log_conf {
	int level;
	int json;
};
struct store_settings {
	struct conf_where at;
	const char *engine;
	uint64_t cache;
	dur_t orphan_wait, mo_wait;
	int batch;
};

struct settings {
	struct conf_where at;
	const char *node;
	int node_number;
	const char *state;
	struct store_settings store;
	struct log_conf log;
	bool http_given;
	struct http_conf http;
	struct listener_conf *listeners;
	size_t listeners_n;
	struct channel_conf *channels;
	size_t channels_n;
	struct route_conf *routes;
	size_t routes_n;
	struct plugin_conf *plugins;
	size_t plugins_n;
	dur_t retention, dedupe_window, shutdown_grace, validity, validity_most;
	const char *country; /* calling code of national numbers, "" none */
	const char *trunk;
	struct mail_conf mail; /* hostname is never "" once loaded */
	int loops;
	int control_mode;
	struct arena *arena; /* holds all of it */
	_Atomic unsigned refs;
};

extern const struct conf_item settings_rows[];
extern const struct conf_item channel_rows[], listener_rows[], token_rows[], http_rows[],
	route_rows[];

/* Loads and checks everything, references included. NULL when f has errors; else one reference,
 * the caller's. Channels, accounts, listeners, plans and tokens hold their own: what they point
 * into lives as long as they do. */
struct settings *settings_load(const char *path, struct conf_faults *f);
/* The same from text, for tests; plugins' files lie in dir. */
struct settings *settings_load_text(struct str text, const char *dir, struct conf_faults *f);
struct settings *settings_ref(const struct settings *s);
void settings_free(struct settings **sp); /* gives one back; nulls the caller's pointer */
/* Lets *at hold s (or NULL) in place of what it held. */
void settings_swap(struct settings **at, const struct settings *s);

/* plugin_conf.c: what plugins load beside the main file. */
extern const struct conf_item plugin_rows[];
void plugins_load(struct settings *s, const char *dir, struct conf_faults *f);
void plugins_unload(struct settings *s);
/* The plugin's group, or NULL. */
const struct plugin_conf *settings_plugin(const struct settings *s, const struct plugin *p);

#endif
