/* The HTTP API: its listener, tokens and routes. See api.h. */
#include "gateway/control/api.h"
#include "gateway/base/log.h"
#include "gateway/base/waiter.h"
#include "gateway/control/api_private.h"

#include <errno.h>
#include <stdio.h>

static int api_listen(struct listener *l, struct err *e)
{
	return 0;
}

static void api_unlisten(struct listener *l, dur_t grace)
{
	webhook_stop(l);
	listener_closed(l);
}

/* Not in list.def: nobody configures it as a listener; it is the API's half of the protocol
 * interface, so that tokens are accounts like all others. */
static struct protocol protocol_http = {
	.name = "http",
	.about = "the HTTP API",
	.listen = api_listen,
	.answer = api_submit_answer,
	.notify = webhook_notify,
	.account_open = webhook_account_open,
	.account_close = webhook_account_close,
	.unlisten = api_unlisten,
};

/* ---- tokens ---- */
static struct api_tokens *tokens_ref(struct api *a)
{
	unsigned entered = gateway_enter(a->g);
	struct api_tokens *t = atomic_load(&a->tokens);

	atomic_fetch_add(&t->refs, 1);
	gateway_leave(a->g, entered);
	return t;
}

static void tokens_unref(struct api_tokens *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	settings_free(&t->settings);
	mem_free(&t);
}

void api_token_hold(const struct api_token *t)
{
	atomic_fetch_add(&t->of->refs, 1);
}

void api_token_release(const struct api_token *t)
{
	tokens_unref(t->of);
}

const struct api_token *api_token_first(struct api *a)
{
	return &tokens_ref(a)->v[0];
}

const struct api_token *api_authorize(struct http_request *r, unsigned scope)
{
	return api_authorize_at(api_of(r), r, scope);
}

const struct api_token *api_authorize_at(struct api *a, struct http_request *r, unsigned scope)
{
	struct api_tokens *t = tokens_ref(a);
	ptrdiff_t i;

	if (t->n == 1 && !t->v[0].conf)
		return &t->v[0];
	i = http_bearer(r, t->v, t->n, sizeof t->v[0]);
	if (i < 0) {
		http_unauthorized(r);
	} else if (scope && !(t->v[i].scopes & (scope | SCOPE_ADMIN))) {
		http_problem(r, 403, NULL, "this token does not have the scope for that", NULL);
	} else {
		return &t->v[i];
	}
	tokens_unref(t);
	return NULL;
}

static const struct account_conf open_account = {
	.policy = "none",
	.media = "sms",
	.priority = "",
};

struct declare_call {
	struct api *a;
	struct api_tokens *t;
};

static void drop_undeclared(struct flow_account *a)
{
	if (a->declared != gateway_generation(a->gw) && !atomic_load(&a->gone))
		account_vanish(a);
}

static void declare_run(void *arg)
{
	struct declare_call *d = arg;

	for (size_t i = 0; i < d->t->n; i++) {
		struct api_token *t = &d->t->v[i];
		const struct token_conf *c = t->conf;

		t->account = account_declare(
			d->a->listener, t->http.name, c ? &c->common : &open_account, c);
		if (t->account)
			webhook_configure(t->account, c);
	}
	gateway_each_account(d->a->g, d->a->listener->protocol->name, drop_undeclared);
}

static int take_tokens(struct api *a, const struct settings *s, struct err *e)
{
	size_t n = s->http.tokens_n ? s->http.tokens_n : 1;
	struct api_tokens *t = mem_alloc(sizeof *t + n * sizeof t->v[0]);
	struct declare_call d = { a, t };

	atomic_init(&t->refs, 1);
	t->settings = settings_ref(s);
	t->n = n;
	for (size_t i = 0; i < n; i++)
		t->v[i].of = t;
	if (!s->http.tokens_n) {
		t->v[0].http = (struct http_token){ "local", "" };
		t->v[0].scopes = ~0u;
	}
	for (size_t i = 0; i < s->http.tokens_n; i++) {
		const struct token_conf *c = &s->http.tokens[i];

		t->v[i].http = (struct http_token){ c->name, c->token };
		t->v[i].conf = c;
		t->v[i].scopes = c->scopes;
	}
	loop_call(a->listener->loop, declare_run, &d);
	for (size_t i = 0; i < n; i++) {
		if (!t->v[i].account) {
			err_set(e, ERR_ENV, "token \"%s\": the store gave it no number",
				t->v[i].http.name);
			tokens_unref(t);
			return -1;
		}
	}
	t = atomic_exchange(&a->tokens, t);
	if (t)
		gateway_quiesce(a->g); /* whoever has just read the old ones holds them now */
	tokens_unref(t);
	return 0;
}

/* ---- small answers ---- */
static void get_metrics(struct http_request *r)
{
	struct buf b = BUF_INIT;

	stat_put_prometheus(&b);
	http_answer(r, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}

static void get_healthz(struct http_request *r)
{
	http_answer_text(r, 200, "ok\n");
}

static void get_readyz(struct http_request *r)
{
	struct gateway *g = api_of(r)->g;

	if (!gateway_ready(g))
		http_answer_text(r, 503, "not ready: starting or stopping\n");
	else if (store_health(gateway_store(g)) != STORE_OK)
		http_answer_text(r, 503, "not ready: the store does not take messages\n");
	else
		http_answer_text(r, 200, "ready\n");
}

static const struct http_route api_routes[] = {
	{ "POST", "/v1/messages", 0, api_submit_begin, api_submit_body, api_submit_end,
		api_submit_gone },
	{ "GET", "/v1/messages", .end = api_search },
	{ "GET", "/v1/messages/client/*", .end = api_get_client },
	{ "GET", "/v1/messages/*", .end = api_get_message },
	{ "DELETE", "/v1/messages/*", .end = api_cancel },
	{ "GET", "/u/*", .end = api_unsubscribe_show },
	{ "POST", "/u/*", UNSUBSCRIBE_BODY, .end = api_unsubscribe_take },
	{ "GET", "/metrics", .end = get_metrics },
	{ "GET", "/healthz", .end = get_healthz },
	{ "GET", "/readyz", .end = get_readyz },
};
enum { ROUTES = sizeof api_routes / sizeof api_routes[0] };

/* ---- life ---- */
static char *read_file(const char *path, struct err *e)
{
	FILE *f = fopen(path, "re");
	struct buf b = BUF_INIT;
	size_t n;

	if (!f) {
		err_set(e, ERR_ENV, "%s: %m", path);
		return NULL;
	}
	do {
		buf_reserve(&b, 4096);
		n = fread(b.p + b.n, 1, 4096, f);
		b.n += n;
	} while (n && b.n < 1 << 20);
	fclose(f);
	return buf_cstr(&b);
}

static void certificate_free(char **cert, char **key)
{
	if (*key)
		explicit_bzero(*key, strlen(*key));
	mem_free(cert);
	mem_free(key);
}

static int read_certificate(const struct settings *s, char **cert_r, char **key_r, struct err *e)
{
	*cert_r = read_file(s->http.tls.cert_file, e);
	*key_r = *cert_r ? read_file(s->http.tls.key_file, e) : NULL;
	return *key_r ? 0 : -1;
}

static struct http_server *open_server(struct api *a, const struct settings *s, struct err *e)
{
	const char *listen[] = { s->http.listen, NULL };
	struct http_server_conf c = {
		.listen = listen,
		.routes = a->routes,
		.limits = {
			.body_most = s->http.body_most,
			.connections = (unsigned)s->http.connections,
			.per_address = (unsigned)s->http.connections,
			.threads = (unsigned)s->http.threads,
		},
	};
	char *cert = NULL, *key = NULL;
	struct http_server *server = NULL;

	if (!s->http.tls.given || read_certificate(s, &cert, &key, e) == 0) {
		c.cert = cert;
		c.key = key;
		server = http_server_new(&c, e);
	}
	certificate_free(&cert, &key);
	if (!server) {
		err_wrap(e, "http %s", s->http.listen);
		return NULL;
	}
	settings_swap(&a->served, s);
	log_info("listening", F_STR("listener", "http"), F_STR("address", s->http.listen));
	return server;
}

struct api *api_start(struct gateway *g, struct err *e)
{
	struct api *a = mem_new(struct api);
	const struct settings *s = gateway_settings(g);
	unsigned n;

	protocol_http.account_size = webhook_account_size();
	a->g = g;
	api_unsubscribe_stats(a, true);
	a->listener = gateway_internal_listener(g, &protocol_http, "http");
	a->routes = mem_alloc((ROUTES + api_plugin_count(g) + 1) * sizeof *a->routes);
	memcpy(a->routes, api_routes, sizeof api_routes);
	for (n = 0; n < ROUTES; n++)
		a->routes[n].owner = a;
	api_plugin_routes(a, a->routes, &n);
	if (take_tokens(a, s, e) != 0 || !(a->server = open_server(a, s, e))) {
		api_stop(&a);
		return NULL;
	}
	return a;
}

static bool same_server(const struct api *a, const struct settings *s)
{
	const struct http_conf *is = &a->served->http, *to = &s->http;

	return a->server && str_same(is->listen, to->listen) && is->tls.given == to->tls.given &&
	       is->body_most == to->body_most && is->connections == to->connections &&
	       is->threads == to->threads;
}

static bool same_certificate(const struct tls_conf *a, const struct tls_conf *b)
{
	return str_same(a->cert_file, b->cert_file) && str_same(a->key_file, b->key_file) &&
	       a->cert_hash == b->cert_hash && a->key_hash == b->key_hash;
}

static int renew_certificate(struct api *a, const struct settings *s, struct err *e)
{
	char *cert, *key;
	int result = -1;

	if (read_certificate(s, &cert, &key, e) == 0)
		result = http_server_renew(a->server, cert, key, e);
	certificate_free(&cert, &key);
	if (result == 0) {
		settings_swap(&a->served, s);
		log_info("certificate renewed", F_STR("listener", "http"));
	}
	return result;
}

int api_reload(struct api *a, const struct settings *s, struct err *e)
{
	struct settings *before;
	struct http_server *server = NULL;
	struct err again;

	if (take_tokens(a, s, e) != 0)
		return -1;
	if (same_server(a, s))
		return same_certificate(&a->served->http.tls, &s->http.tls)
			       ? 0
			       : renew_certificate(a, s, e);
	before = settings_ref(a->served);
	/* Another address is opened before the old one is given up, if that can be. */
	if (a->server && strcmp(before->http.listen, s->http.listen) != 0)
		server = open_server(a, s, &again);
	if (a->server)
		http_server_stop(&a->server, DUR_S);
	if (!server)
		server = open_server(a, s, e);
	a->server = server ? server : open_server(a, before, &again);
	if (!a->server)
		log_error("the HTTP API does not listen", F_ERR(&again));
	settings_free(&before);
	return server ? 0 : -1;
}

void api_stop_accepting(struct api *a)
{
	if (a && a->server)
		http_server_stop(&a->server, 2 * DUR_S);
}

void api_stop(struct api **ap)
{
	struct api *a = *ap;

	if (!a)
		return;
	tokens_unref(atomic_load(&a->tokens));
	api_unsubscribe_stats(a, false);
	settings_free(&a->served);
	api_plugin_free(a);
	mem_free(&a->routes);
	mem_free(ap);
}
