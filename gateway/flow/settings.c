/* The rows of the configuration, and the checks that need more than one of them. See settings.h. */
#include "gateway/flow/settings.h"
#include "gateway/base/log.h"
#include "gateway/model/address.h"

#include <fcntl.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- accounts: what every submitter has, by whatever door it comes ---- */

static int check_medium(struct str s, struct err *e)
{
	enum media m;

	if (media_parse(s, &m) && m < MEDIA_RECEIPT)
		return 0;
	return err_set(e, ERR_CONF, "\"%.*s\" is not a medium (sms, email, push, viber, social)",
		STR_ARG(s));
}

static int check_priority(struct str s, struct err *e)
{
	enum priority p;

	if (s.n == 0 || priority_parse(s, &p))
		return 0;
	return err_set(e, ERR_CONF, "\"%.*s\" is not a priority (high, normal, bulk)", STR_ARG(s));
}

static int check_policy(struct str s, struct err *e)
{
	if (str_is(s, "none") || str_is(s, "marketing"))
		return 0;
	return err_set(e, ERR_CONF, "\"%.*s\" is not a policy (none, marketing)", STR_ARG(s));
}

const struct conf_item account_rows[] = { CONF_WHERE(struct account_conf, at),
	CONF_SECRET(struct account_conf, password,
		"Password, plain or hashed by crypt(3) (mkpasswd -m yescrypt); over SMTP also a "
		"SCRAM "
		"verifier (SCRAM-SHA-256$ROUNDS:SALT$STORED:SERVER)."),
	CONF_STRS(struct account_conf, allow, allow_n,
		"Addresses and networks that may connect; none: any.", .check = addr_net_check),
	CONF_STRS(struct account_conf, from, from_n,
		"Patterns of senders that it may use (* any run, ? one character); none: any."),
	CONF_REAL(struct account_conf, rate, 0, 1e9, 0, "Messages per second; 0: no limit.",
		.unit = "messages/s"),
	CONF_INT(struct account_conf, max_binds, 1, 100000, 4, "Sessions at a time."),
	CONF_INT(struct account_conf, window, 1, 100000, 100,
		"Unanswered requests of one session, in either direction.", .unit = "requests"),
	CONF_STR(struct account_conf, policy, "none",
		"\"marketing\": consent, quiet hours and caps apply to what it submits.",
		.check = check_policy),
	CONF_MAP(struct account_conf, services, services_n,
		"Which medium a service_type means: { VIBER = \"viber\"; }.",
		.check = check_medium),
	CONF_STR(struct account_conf, media, "sms", "Medium of what names none.",
		.check = check_medium),
	CONF_STR(struct account_conf, priority, "",
		"Priority of all it submits; \"\": its own choice.", .check = check_priority),
	CONF_DURATION(struct account_conf, valid_most, NULL, NULL, "0",
		"Longest validity that it may ask for; 0: the general one."),
	CONF_END };

/* ---- channels ---- */
static const struct conf_word media_words[] = {
	{ "sms", MEDIA_BIT(MEDIA_SMS) },
	{ "email", MEDIA_BIT(MEDIA_EMAIL) },
	{ "push", MEDIA_BIT(MEDIA_PUSH) },
	{ "viber", MEDIA_BIT(MEDIA_VIBER) },
	{ "social", MEDIA_BIT(MEDIA_SOCIAL) },
	{ NULL },
};
static const struct conf_word uncertain_words[] = {
	{ "default", UNCERTAIN_DEFAULT, "what the protocol says is right for it" },
	{ "resend", UNCERTAIN_RESEND, "send again; may repeat" },
	{ "hold", UNCERTAIN_HOLD, "keep for the operator; never repeats" },
	{ NULL },
};

static bool channel_variant(size_t i, struct conf_variant *v_r)
{
	const struct protocol *p = protocol_at(i);

	if (!p)
		return false;
	*v_r = (struct conf_variant){ p->name, p->channel_conf, p->channel_conf_size, p->about };
	return true;
}

static bool listener_variant(size_t i, struct conf_variant *v_r)
{
	const struct protocol *p = protocol_at(i);

	if (!p)
		return false;
	*v_r = (struct conf_variant){ p->name, p->listener_conf, p->listener_conf_size, p->about };
	return true;
}

static const struct conf_item mo_route_rows[] = { CONF_WHERE(struct mo_route_conf, at),
	CONF_STR(struct mo_route_conf, to, NULL, "What the called number begins with.",
		.flags = CONF_REQUIRED),
	CONF_STR(struct mo_route_conf, account, NULL, "Account (smpp/NAME) or token (http/NAME).",
		.flags = CONF_REQUIRED),
	CONF_END };

const struct conf_item channel_rows[] = { CONF_WHERE(struct channel_conf, at),
	CONF_STR(struct channel_conf, name, NULL, "Its name, in routes, metrics and posternctl.",
		.flags = CONF_REQUIRED | CONF_UNIQUE, .max = 64),
	CONF_VARIANT(struct channel_conf, type, specific, channel_variant, NULL,
		"The protocol it speaks.", .flags = CONF_REQUIRED),
	CONF_INT(struct channel_conf, connections, 1, 1000, 1, "Connections kept open."),
	CONF_INT(struct channel_conf, window, 1, 100000, 100,
		"Unanswered messages (parts) on one connection; not given: 100, with smtp 2.",
		.unit = "parts"),
	CONF_REAL(struct channel_conf, rate, 0, 1e9, 0,
		"Agreed rate of the whole channel; 0: no limit.", .unit = "parts/s"),
	CONF_FLAGS(struct channel_conf, media, media_words, 0,
		"Media it carries; not given: all that its protocol can."),
	CONF_ENUM(struct channel_conf, on_uncertain, uncertain_words, UNCERTAIN_DEFAULT,
		"What to do when it is not known whether the far side took a message."),
	CONF_DURATION(struct channel_conf, receipt_wait, "1s", NULL, "72h",
		"How long a receipt is awaited before the state becomes unknown."),
	CONF_INT(struct channel_conf, queue_most, 0, INT64_MAX, 0,
		"Messages that may wait; more are refused. 0: no limit.", .unit = "messages"),
	CONF_SIZE(struct channel_conf, queue_memory, "64KiB", NULL, "16MiB",
		"Memory for messages that wait, a third for each priority; more wait on disk "
		"alone."),
	CONF_DURATION(struct channel_conf, retry_first, "10ms", NULL, "5s",
		"Wait before the second attempt."),
	CONF_REAL(struct channel_conf, retry_factor, 1, 100, 2, "By what each further wait grows."),
	CONF_DURATION(struct channel_conf, retry_most, "10ms", NULL, "15m", "Longest wait."),
	CONF_INT(struct channel_conf, attempts, 0, 100000, 0,
		"Attempts in all; 0: until the validity ends."),
	CONF_INT(struct channel_conf, attempts_here, 1, 100000, 3,
		"Temporary refusals before the route's next channel is tried."),
	CONF_DURATION(struct channel_conf, failover_after, NULL, NULL, "10s",
		"Down for so long, what waits goes to the route's next channel."),
	CONF_STR(struct channel_conf, group, "",
		"Channels of one group share the far side's message ids: a receipt may come over "
		"any."),
	CONF_SECRET(struct channel_conf, callback_secret,
		"Last part of the path at which this channel's callbacks come."),
	CONF_STR(struct channel_conf, mo_to, "",
		"Account (smpp/NAME) or token (http/NAME) that subscribers' messages go to."),
	CONF_LIST(struct channel_conf, mo_routes, mo_routes_n, mo_route_rows,
		"The same by called number; the longest beginning that fits is taken."),
	CONF_END };

const struct conf_item listener_rows[] = { CONF_WHERE(struct listener_conf, at),
	CONF_STR(struct listener_conf, name, NULL, "Its name, in metrics and posternctl.",
		.flags = CONF_REQUIRED | CONF_UNIQUE, .max = 64),
	CONF_VARIANT(struct listener_conf, type, specific, listener_variant, NULL,
		"The protocol it speaks.", .flags = CONF_REQUIRED),
	CONF_END };

/* ---- HTTP ---- */
static const struct conf_word scope_words[] = {
	{ "messages", SCOPE_MESSAGES },
	{ "events", SCOPE_EVENTS },
	{ "members", SCOPE_MEMBERS },
	{ "content", SCOPE_CONTENT },
	{ "mailings", SCOPE_MAILINGS },
	{ "admin", SCOPE_ADMIN },
	{ NULL },
};

const struct conf_item token_rows[] = { CONF_WHERE(struct token_conf, at),
	CONF_STR(struct token_conf, name, NULL, "Name of the token, in the log and in metrics.",
		.flags = CONF_REQUIRED | CONF_UNIQUE, .max = 64),
	CONF_SECRET(
		struct token_conf, token, "The token itself.", .flags = CONF_REQUIRED, .min = 1),
	CONF_FLAGS(
		struct token_conf, scopes, scope_words, SCOPE_MESSAGES, "What it may be used for."),
	CONF_STR(struct token_conf, webhook, "",
		"URL that receipts and subscribers' messages go to."),
	CONF_SECRET(struct token_conf, webhook_secret, "Key of the signature of webhooks."),
	CONF_PATH(struct token_conf, webhook_ca_file, NULL,
		"Authorities of the webhook's certificate (PEM); not given: the system's.",
		.flags = CONF_READABLE),
	CONF_BOOL(struct token_conf, webhook_private, false,
		"The webhook may be at a private or loopback address."),
	CONF_DURATION(struct token_conf, webhook_give_up, "1s", NULL, "3d",
		"How long a webhook is tried."),
	CONF_INLINE(struct token_conf, common, account_rows), CONF_END };

static const struct conf_item server_tls_rows[] = { CONF_FILE(struct tls_conf, cert_file, cert_hash,
							    "Certificate chain (PEM)."),
	CONF_FILE(struct tls_conf, key_file, key_hash, "Private key (PEM)."), CONF_END };

const struct conf_item http_rows[] = { CONF_WHERE(struct http_conf, at),
	CONF_STR(struct http_conf, listen, "127.0.0.1:8080", "Address and port of the API."),
	CONF_GROUP_GIVEN(struct http_conf, tls, tls.given, server_tls_rows, "HTTPS."),
	CONF_SIZE(struct http_conf, body_most, "1KiB", NULL, "64MiB", "Largest request body."),
	CONF_INT(struct http_conf, connections, 1, 100000, 1000, "Connections at a time."),
	CONF_INT(struct http_conf, threads, 1, 64, 2,
		"Threads that read requests; never fewer than one for 120 connections."),
	CONF_LIST(struct http_conf, tokens, tokens_n, token_rows, "Who may call."), CONF_END };

/* ---- routes ---- */
const struct conf_item route_rows[] = { CONF_WHERE(struct route_conf, at),
	CONF_STRS(
		struct route_conf, media, media_n, "Media; not given: any.", .check = check_medium),
	CONF_STRS(struct route_conf, to, to_n,
		"Patterns of destinations (E.164 digits without +); not given: any."),
	CONF_STRS(struct route_conf, from, from_n, "Patterns of senders; not given: any."),
	CONF_STRS(struct route_conf, account, account_n,
		"Patterns of submitters (smpp/NAME, http/NAME); not given: any."),
	CONF_STRS(
		struct route_conf, via, via_n, "Channels, tried in order.", .flags = CONF_REQUIRED),
	CONF_STRS(struct route_conf, share, share_n,
		"Weights \"channel=3\": the first try is spread over these, failover follows via."),
	CONF_STR(struct route_conf, priority, "",
		"Priority of what goes this way; \"\": unchanged.", .check = check_priority),
	CONF_END };

/* ---- the root ---- */
static const struct conf_word level_words[] = {
	{ "error", LOG_ERROR },
	{ "warn", LOG_WARN },
	{ "info", LOG_INFO },
	{ "debug", LOG_DEBUG },
	{ NULL },
};
static const struct conf_word format_words[] = { { "text", 0 }, { "json", 1 }, { NULL } };
static const struct conf_item log_rows[] = { CONF_ENUM(struct log_conf, level, level_words,
						     LOG_INFO, "How much is logged."),
	CONF_ENUM(struct log_conf, json, format_words, 0, "Form of the lines.", .as = "format"),
	CONF_END };
static const struct conf_word engine_words[] = { { "sqlite", 0 }, { NULL } };
static int check_engine(struct str s, struct err *e)
{
	int v;

	return conf_word_value(engine_words, s, &v)
		       ? 0
		       : err_set(e, ERR_CONF, "\"%.*s\" is not a store engine (sqlite)",
				 STR_ARG(s));
}
static const struct conf_item store_rows[] = { CONF_WHERE(struct store_settings, at),
	CONF_STR(struct store_settings, engine, "sqlite", "The store's engine.",
		.check = check_engine),
	CONF_SIZE(struct store_settings, cache, "4MiB", NULL, "96MiB", "Page cache."),
	CONF_DURATION(struct store_settings, orphan_wait, "1m", NULL, "24h",
		"How long a receipt that matches nothing is kept for a late response."),
	CONF_DURATION(struct store_settings, mo_wait, "1s", "1d", "30m",
		"How long parts of a subscriber's message wait for the others; then they are "
		"handed over as they are."),
	CONF_INT(struct store_settings, batch, 1, 65536, 4096, "Most operations in one commit."),
	CONF_END };

const struct conf_item settings_rows[] = { CONF_WHERE(struct settings, at),
	CONF_STR(struct settings, node, "", "This host's name in a fleet; \"\": the host name."),
	CONF_INT(struct settings, node_number, 0, 1023, 0, "This host's number in message ids."),
	CONF_PATH(
		struct settings, state, "/var/lib/postern", "Directory of the store and sockets."),
	CONF_GROUP(struct settings, store, store_rows, "The store."),
	CONF_GROUP(struct settings, log, log_rows, "The log (stderr)."),
	CONF_GROUP_GIVEN(struct settings, http, http_given, http_rows, "The HTTP API."),
	CONF_LIST(struct settings, listeners, listeners_n, listener_rows, "Ways in."),
	CONF_LIST(struct settings, channels, channels_n, channel_rows, "Ways out."),
	CONF_LIST(struct settings, routes, routes_n, route_rows,
		"Which message goes which way; the first route that fits is taken."),
	CONF_LIST(struct settings, plugins, plugins_n, plugin_rows, "What works on top."),
	CONF_DURATION(struct settings, retention, "1m", NULL, "30d",
		"How long finished messages are kept."),
	CONF_DURATION(struct settings, dedupe_window, "1s", NULL, "24h",
		"How long a submitter's own message ids are remembered."),
	CONF_DURATION(struct settings, shutdown_grace, "0s", NULL, "30s",
		"How long a stop waits for what is in flight."),
	CONF_DURATION(struct settings, validity, "1s", NULL, "72h",
		"Validity of messages that ask for none."),
	CONF_DURATION(struct settings, validity_most, "1s", NULL, "14d", "Longest validity."),
	CONF_STR(struct settings, country, "", "Calling code of national numbers (\"46\")."),
	CONF_STR(struct settings, trunk, "0", "What national numbers begin with."),
	CONF_GROUP(struct settings, mail, mail_rows, "What all of mail has in common."),
	CONF_INT(struct settings, loops, 0, 64, 0, "Threads of event loops; 0: one per core."),
	CONF_INT(struct settings, control_mode, 0, 0777, 0660, "Mode of the control socket."),
	CONF_END };

/* ---- checks across rows ---- */
static const struct channel_conf *find_channel(const struct settings *s, struct str name)
{
	for (size_t i = 0; i < s->channels_n; i++)
		if (s->channels[i].name && str_is(name, s->channels[i].name))
			return &s->channels[i];
	return NULL;
}

static void say_unknown_channel(struct settings *s, struct conf_faults *f,
	const struct conf_where *at, const char *key, struct str name)
{
	const char *best = NULL;
	unsigned least = name.n < 4 ? (unsigned)name.n : 4; /* a guess keeps some of the word */

	for (size_t i = 0; i < s->channels_n; i++) {
		unsigned d = str_distance(name, str_of(s->channels[i].name), 3);

		if (d < least) {
			least = d;
			best = s->channels[i].name;
		}
	}
	if (best)
		conf_fault_at(f, at, key, "there is no channel \"%.*s\"; did you mean \"%s\"?",
			STR_ARG(name), best);
	else
		conf_fault_at(f, at, key, "there is no channel \"%.*s\"", STR_ARG(name));
}

static void check_routes(struct settings *s, struct conf_faults *f)
{
	for (size_t i = 0; i < s->routes_n; i++) {
		struct route_conf *r = &s->routes[i];

		if (r->via_n == 0 && conf_given(&r->at, "via"))
			conf_fault_at(f, &r->at, "via", "names no channel");
		for (size_t j = 0; j < r->via_n; j++) {
			const struct channel_conf *c = find_channel(s, str_of(r->via[j]));

			if (!c) {
				say_unknown_channel(s, f, &r->at, "via", str_of(r->via[j]));
				continue;
			}
			for (size_t k = 0; k < r->media_n; k++) {
				const struct protocol *p = protocol_by_name(str_of(c->type));
				enum media m;

				if (!p || !media_parse(str_of(r->media[k]), &m))
					continue;
				if (!((c->media ? c->media : p->media) & MEDIA_BIT(m)))
					conf_fault_at(f, &r->at, "via",
						"channel \"%s\" (%s) does not carry %s", c->name,
						c->type, r->media[k]);
			}
		}
		for (size_t j = 0; j < r->share_n; j++) {
			struct str rest = str_of(r->share[j]), name;
			uint64_t weight;
			bool there = false;

			if (!str_cut(&rest, '=', &name) || !rest.p || !str_u64(rest, &weight) ||
				weight > 1000000) {
				conf_fault_at(f, &r->at, "share",
					"\"%s\" is not of the form \"channel=weight\"",
					r->share[j]);
				continue;
			}
			for (size_t k = 0; k < r->via_n; k++)
				there |= str_is(name, r->via[k]);
			if (!there)
				conf_fault_at(f, &r->at, "share", "\"%.*s\" is not in via",
					STR_ARG(name));
		}
	}
}

static void check_state(const struct settings *s, struct conf_faults *f)
{
	enum { MOST = sizeof((struct sockaddr_un){ 0 }.sun_path) - sizeof "/control.sock" };

	if (strlen(s->state) > MOST)
		conf_fault_at(f, &s->at, "state",
			"has %zu bytes; a socket is to be in it, so it takes at most %d",
			strlen(s->state), MOST);
}

static void check_http(struct settings *s, struct conf_faults *f)
{
	struct http_conf *h = &s->http;
	struct str host;
	uint16_t port;

	if (!addr_split(str_of(h->listen), &host, &port))
		conf_fault_at(f, &h->at, "listen", "\"%s\" is not of the form \"address:port\"",
			h->listen);
	else if (h->tokens_n == 0 && !addr_listen_is_loopback(str_of(h->listen)))
		conf_fault_at(f, &h->at, "listen",
			"without tokens the API may listen on a loopback address only");
	if (h->tls.given && (!h->tls.cert_file || !h->tls.key_file))
		conf_fault_at(f, &h->at, "tls", "needs cert_file and key_file");
	else if (h->tls.given)
		tls_check_server(&h->tls, &h->at, f);
	for (size_t i = 0; i < h->tokens_n; i++) {
		struct token_conf *t = &h->tokens[i];

		if (t->webhook[0] && !str_starts(str_of(t->webhook), STR("https://")) &&
			!str_starts(str_of(t->webhook), STR("http://")))
			conf_fault_at(f, &t->at, "webhook", "must be an http:// or https:// URL");
		if (t->webhook[0] && !t->webhook_secret)
			conf_fault_at(f, &t->at, "webhook", "needs webhook_secret, to sign with");
		for (size_t j = 0; j < i; j++)
			if (t->token && h->tokens[j].token &&
				strcmp(t->token, h->tokens[j].token) == 0)
				conf_fault_at(f, &t->at, "token", "is the same as that of \"%s\"",
					h->tokens[j].name);
	}
}

static void check_channels(struct settings *s, struct conf_faults *f)
{
	for (size_t i = 0; i < s->channels_n; i++) {
		struct channel_conf *c = &s->channels[i];
		const struct protocol *p = c->type ? protocol_by_name(str_of(c->type)) : NULL;

		if (p && p->window && !conf_given(&c->at, "window"))
			c->window = p->window;
		if (p && c->media & ~p->media)
			conf_fault_at(f, &c->at, "media", "names a medium that %s does not carry",
				c->type);
		if (c->retry_first > c->retry_most)
			conf_fault_at(f, &c->at, "retry_first", "is longer than retry_most");
		/* Without a receipt a sent message goes after the retention, counted from its
		 * sending. */
		if (c->receipt_wait > s->retention)
			conf_warn_at(f, &c->at, "receipt_wait",
				"is longer than retention: what has no receipt by then is "
				"forgotten, "
				"not called unknown");
	}
}

static bool some_plugin_judges(const struct settings *s)
{
	for (size_t i = 0; i < s->plugins_n; i++) {
		const struct plugin *p =
			s->plugins[i].name ? plugin_by_name(str_of(s->plugins[i].name)) : NULL;

		if (p && p->policy)
			return true;
	}
	return false;
}

static void check_account_policy(void *ctx, const void *found)
{
	const struct account_conf *a = found;

	if (a->policy && strcmp(a->policy, "none") != 0)
		conf_fault_at(ctx, &a->at, "policy",
			"\"%s\" needs a plugin that knows consent and quiet hours: "
			"plugins = ( { name = \"offers\"; } )",
			a->policy);
}

static void check_mail(const struct settings *s, struct conf_faults *f)
{
	if (!s->mail.unsubscribe_url[0])
		return;
	for (size_t i = 0; i < s->plugins_n; i++) {
		const struct plugin *p =
			s->plugins[i].name ? plugin_by_name(str_of(s->plugins[i].name)) : NULL;

		if (p && p->feedback)
			return;
	}
	conf_warn_at(f, &s->mail.at, "unsubscribe_url",
		"no plugin remembers who unsubscribes (plugins = ( { name = \"offers\"; } )): it "
		"is "
		"written to the message's history, and to be acted upon by whoever submits");
}

static void check_policies(const struct settings *s, struct conf_faults *f)
{
	if (!some_plugin_judges(s))
		conf_each(settings_rows, s, account_rows, check_account_policy, f);
}

static const char *host_name(struct arena *a)
{
	char host[256];

	if (gethostname(host, sizeof host) != 0)
		str_copy(host, sizeof host, STR("localhost"));
	host[sizeof host - 1] = '\0';
	return arena_cstr(a, str_of(host));
}

static void check_country(struct settings *s, struct conf_faults *f)
{
	struct address_country c = { 0 };
	struct err e;

	if (str_copy(c.code, sizeof c.code, str_of(s->country)) >= sizeof c.code)
		conf_fault_at(f, &s->at, "country", "has more than 3 digits");
	else if (address_country_check(&c, &e) != 0)
		conf_fault_at(f, &s->at, "country", "%s", e.text);
}

static struct settings *settings_checked(
	struct settings *s, struct arena *a, const char *dir, struct conf_faults *f)
{
	if (s && !f->incomplete) {
		check_channels(s, f);
		check_routes(s, f);
		check_state(s, f);
		check_http(s, f);
		check_policies(s, f);
		check_mail(s, f);
		check_country(s, f);
		s->arena = a;
		if (!s->node[0])
			s->node = host_name(a);
		if (!s->mail.hostname[0])
			s->mail.hostname = host_name(a);
		plugins_load(s, dir, f);
	}
	if (!s || f->errors) {
		if (s)
			plugins_unload(s);
		arena_free(&a);
		return NULL;
	}
	atomic_init(&s->refs, 1);
	return s;
}

struct settings *settings_load(const char *path, struct conf_faults *f)
{
	const char *slash = strrchr(path, '/');
	struct arena *a = arena_new();
	void *out = NULL;

	conf_load(path, settings_rows, sizeof(struct settings), a, &out, f);
	return settings_checked(
		out, a, arena_cstr(a, str_n(path, slash ? (size_t)(slash + 1 - path) : 0)), f);
}

struct settings *settings_load_text(struct str text, const char *dir, struct conf_faults *f)
{
	struct arena *a = arena_new();
	void *out = NULL;

	conf_load_text("text", text, settings_rows, sizeof(struct settings), a, &out, f);
	return settings_checked(out, a, arena_cstr(a, str_of(dir)), f);
}

struct settings *settings_ref(const struct settings *s)
{
	struct settings *shared = (struct settings *)(uintptr_t)s;

	atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
	return shared;
}

void settings_free(struct settings **sp)
{
	struct settings *s = *sp;

	*sp = NULL;
	if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
		struct arena *a = s->arena;

		plugins_unload(s);
		arena_free(&a);
	}
}

void settings_swap(struct settings **at, const struct settings *s)
{
	struct settings *old = *at;

	*at = s ? settings_ref(s) : NULL;
	settings_free(&old);
}
