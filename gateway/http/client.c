/* The HTTP client: libcurl's multi interface driven by a loop. See client.h.
 *
 * curl says which descriptors and which timer it wants watched (CURLMOPT_SOCKETFUNCTION,
 * CURLMOPT_TIMERFUNCTION) and is told when they are ready. Those callbacks of curl's only write
 * down what it wants; finished calls are collected afterwards, outside of curl, where their owners
 * may ask and cancel as they like.
 */
#include "gateway/http/client.h"
#include "gateway/base/fault.h"
#include "gateway/base/mem.h"
#include "gateway/base/stream.h"

#include <curl/curl.h>
#include <errno.h>
#include <unistd.h>

enum {
	PER_HOST = 8,
	TOTAL = 256,
	IDLE = 32,
	IDLE_SECONDS = 60,
	DEADLINE_SECONDS = 30,
	CONNECT_SECONDS = 10,
	ANSWER_MOST = 64 * 1024,
	HEADERS_MOST = 64 * 1024,
};

struct http_client {
	struct loop *loop;
	CURLM *multi;
	struct timer timer;
	struct timer early; /* fires for calls that could not even begin */
	bool collecting, in_curl;
	struct list calls;
	unsigned calls_n;
	dur_t idle_for;
};

struct http_call {
	struct http_client *client;
	struct list place;
	CURL *easy;
	struct curl_slist *headers;
	const struct http_way *way;
	http_reply_fn *fn;
	void *owner;
	struct buf body, answer, origin;
	size_t body_sent, answer_most, header_bytes;
	mono_t began;
	bool refused, too_long, told;
	char refused_addr[ADDR_TEXT];
	CURLcode early; /* it never came to asking */
	char words[CURL_ERROR_SIZE];
};

/* A descriptor of curl's. */
struct watch {
	struct io io;
	struct http_client *client;
};

static const struct http_way plain_way;

/* ---- the loop drives curl ---- */
static void client_collect(struct http_client *c);

static void client_act(struct http_client *c, curl_socket_t fd, int what)
{
	int running;

	c->in_curl = true;
	curl_multi_socket_action(c->multi, fd, what, &running);
	c->in_curl = false;
	client_collect(c);
}

static void watch_ready(struct io *io, unsigned what)
{
	struct watch *w = CONTAINER(io, struct watch, io);

	client_act(w->client, io->fd,
		(what & IO_READ ? CURL_CSELECT_IN : 0) | (what & IO_WRITE ? CURL_CSELECT_OUT : 0));
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
	struct http_client *c = ctx;
	struct watch *w = socket_ctx;

	if (what == CURL_POLL_REMOVE) {
		if (w) {
			io_close(&w->io);
			mem_free(&w);
			curl_multi_assign(c->multi, fd, NULL);
		}
		return 0;
	}
	if (!w) {
		w = mem_new(struct watch);
		w->client = c;
		io_open(c->loop, &w->io, fd, watch_ready);
		curl_multi_assign(c->multi, fd, w);
	}
	io_wait_for(&w->io,
		(what & CURL_POLL_IN ? IO_READ : 0u) | (what & CURL_POLL_OUT ? IO_WRITE : 0u));
	return 0;
}

static int timer_wanted(CURLM *multi, long ms, void *ctx)
{
	struct http_client *c = ctx;

	if (ms < 0)
		timer_cancel(c->loop, &c->timer);
	else
		timer_in(c->loop, &c->timer, ms * DUR_MS);
	return 0;
}

static void timer_fired(struct timer *t)
{
	struct http_client *c = CONTAINER(t, struct http_client, timer);
	long ms;

	client_act(c, CURL_SOCKET_TIMEOUT, 0);
	/* A timer that fired before curl's own clock agrees is not asked for again by curl. */
	if (!timer_is_set(t) && curl_multi_timeout(c->multi, &ms) == CURLM_OK && ms >= 0)
		timer_in(c->loop, t, ms * DUR_MS);
}

/* ---- addresses ---- */
/* Each new connection passes here with the address that is really going to be connected to, so that
 * a name which resolves differently the second time gains nothing. */
static curl_socket_t socket_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct http_call *call = ctx;
	int fd;

	if (!call->way->allow_private && !call->way->proxy && addr_is_private(&a->addr)) {
		call->refused = true;
		addr_text(&a->addr, call->refused_addr);
		return CURL_SOCKET_BAD;
	}
	if (fault_hit("connect"))
		return CURL_SOCKET_BAD;
	fd = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* A kept connection was opened under the rules of whoever asked first. */
static int before_request(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
	struct http_call *call = ctx;
	union addr a;

	if (call->way->allow_private || call->way->proxy)
		return CURL_PREREQFUNC_OK;
	if (addr_parse(str_of(ip), (uint16_t)port, &a) && !addr_is_private(&a.sa))
		return CURL_PREREQFUNC_OK;
	call->refused = true;
	str_copy(call->refused_addr, sizeof call->refused_addr, str_of(ip));
	return CURL_PREREQFUNC_ABORT;
}

/* ---- bytes ---- */
static size_t body_wanted(char *to, size_t size, size_t n, void *ctx)
{
	struct http_call *call = ctx;
	struct str left = str_skip(buf_view(&call->body), call->body_sent);

	n *= size;
	if (n > left.n)
		n = left.n;
	if (n)
		memcpy(to, left.p, n);
	call->body_sent += n;
	return n;
}

static size_t answer_came(char *p, size_t size, size_t n, void *ctx)
{
	struct http_call *call = ctx;

	n *= size;
	if (n > call->answer_most - call->answer.n) {
		call->too_long = true;
		return 0;
	}
	buf_add(&call->answer, p, n);
	return n;
}

static size_t header_came(char *p, size_t size, size_t n, void *ctx)
{
	struct http_call *call = ctx;

	call->header_bytes += n * size;
	call->too_long |= call->header_bytes > HEADERS_MOST;
	return call->too_long ? 0 : n * size;
}

/* ---- the end of a call ---- */
static void call_free(struct http_call *call)
{
	list_remove(&call->place);
	call->client->calls_n--;
	curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	buf_free(&call->body);
	buf_free(&call->answer);
	buf_free(&call->origin);
	mem_free(&call);
}

static void reply_word(struct http_call *call, CURLcode rc, struct http_reply *r)
{
	const char *origin = buf_cstr(&call->origin);

	if (call->refused)
		err_set(&r->why, ERR_ENV,
			"%s: %s is a private address, and those are not allowed here", origin,
			call->refused_addr);
	else if (call->too_long)
		err_set(&r->why, ERR_INPUT, "%s: the answer is longer than %zu bytes", origin,
			call->header_bytes > HEADERS_MOST ? (size_t)HEADERS_MOST
							  : call->answer_most);
	else
		err_set(&r->why, ERR_ENV, "%s: %s", origin,
			call->words[0] ? call->words : curl_easy_strerror(rc));
}

static void call_done(struct http_call *call, CURLcode rc)
{
	struct http_reply r = { .call = call, .took = clock_mono() - call->began };
	long status = 0, request_bytes = 0;
	curl_off_t upload = 0;

	curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &upload);
	r.began = request_bytes > 0 || upload > 0;
	if (rc == CURLE_OK) {
		curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
		r.status = (unsigned)status;
		r.body = buf_view(&call->answer);
	} else {
		r.timed_out = rc == CURLE_OPERATION_TIMEDOUT;
		reply_word(call, rc, &r);
	}
	call->told = true;
	call->fn(call->owner, &r);
	call_free(call);
}

/* Owners called here may ask and cancel; so each round looks for the next one anew. */
static void client_collect(struct http_client *c)
{
	CURLMsg *m;
	int left;

	if (c->collecting)
		return;
	c->collecting = true;
	while ((m = curl_multi_info_read(c->multi, &left))) {
		struct http_call *call;
		CURLcode rc = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &call);
		curl_multi_remove_handle(c->multi, call->easy);
		call_done(call, rc);
	}
	c->collecting = false;
}

static void early_fired(struct timer *t)
{
	struct http_client *c = CONTAINER(t, struct http_client, early);
	struct http_call *found;

	c->collecting = true;
	do {
		found = NULL;
		list_each (it, &c->calls) {
			struct http_call *call = CONTAINER(it, struct http_call, place);

			if (call->early != CURLE_OK)
				found = call;
		}
		if (found)
			call_done(found, found->early);
	} while (found);
	c->collecting = false;
}

/* ---- asking ---- */
void http_url_origin(struct buf *b, const char *url)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL;

	CHECK(u);
	if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
		buf_printf(b, "%s://%s:%s", scheme, host, port);
	else
		buf_c(b, "a URL that is none");
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
}

#define SET(option, value) CHECK(curl_easy_setopt(h, option, value) == CURLE_OK)

static void call_set_way(CURL *h, const struct http_way *w, bool get)
{
	/* An empty proxy, so that the environment's is not used either. */
	SET(CURLOPT_PROXY, w->proxy ? w->proxy : "");
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, w->no_verify ? 0L : 1L);
	SET(CURLOPT_SSL_VERIFYHOST, w->no_verify ? 0L : 2L);
	if (w->ca_file)
		SET(CURLOPT_CAINFO, w->ca_file);
	if (w->ca_file)
		SET(CURLOPT_CA_CACHE_TIMEOUT, 0L); /* it may be renewed in place */
	if (w->cert_file)
		SET(CURLOPT_SSLCERT, w->cert_file);
	if (w->key_file)
		SET(CURLOPT_SSLKEY, w->key_file);
	if (w->redirects && get) {
		SET(CURLOPT_FOLLOWLOCATION, 1L);
		SET(CURLOPT_MAXREDIRS, (long)w->redirects);
		SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	}
}

static void call_set_callbacks(CURL *h, struct http_call *call)
{
	SET(CURLOPT_PRIVATE, call);
	SET(CURLOPT_ERRORBUFFER, call->words);
	SET(CURLOPT_OPENSOCKETFUNCTION, socket_open);
	SET(CURLOPT_OPENSOCKETDATA, call);
	SET(CURLOPT_PREREQFUNCTION, before_request);
	SET(CURLOPT_PREREQDATA, call);
	SET(CURLOPT_WRITEFUNCTION, answer_came);
	SET(CURLOPT_WRITEDATA, call);
	SET(CURLOPT_HEADERFUNCTION, header_came);
	SET(CURLOPT_HEADERDATA, call);
}

static void call_set_body(CURL *h, struct http_call *call, const struct http_ask *ask)
{
	bool post = strcmp(ask->method, "POST") == 0;

	if (ask->body) {
		call->body = *ask->body;
		*ask->body = BUF_INIT;
	}
	if (strcmp(ask->method, "HEAD") == 0)
		SET(CURLOPT_NOBODY, 1L);
	else if (!post && !ask->body)
		SET(CURLOPT_HTTPGET, 1L);
	else
		SET(CURLOPT_POST, 1L);
	if (strcmp(ask->method, "GET") != 0 && strcmp(ask->method, "HEAD") != 0 && !post)
		SET(CURLOPT_CUSTOMREQUEST, ask->method);
	if (!post && !ask->body)
		return;
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
	/* Read through a callback that cannot rewind, curl does not repeat what has begun to leave;
	 * given as a block, it does when a kept connection turns out dead (Curl_retry_request). */
	if (ask->once) {
		SET(CURLOPT_READFUNCTION, body_wanted);
		SET(CURLOPT_READDATA, call);
	} else {
		SET(CURLOPT_POSTFIELDS, call->body.n ? call->body.p : "");
	}
}

static void call_set_headers(CURL *h, struct http_call *call, const struct http_ask *ask)
{
	call->headers = curl_slist_append(NULL, "Expect:"); /* no waiting for 100 */
	for (const char *const *p = ask->headers; p && *p; p++) {
		/* A value from outside cannot begin a header of its own. */
		CHECK(!strpbrk(*p, "\r\n"));
		call->headers = curl_slist_append(call->headers, *p);
		CHECK(call->headers);
	}
	SET(CURLOPT_HTTPHEADER, call->headers);
	SET(CURLOPT_USERAGENT, "Postern/" POSTERN_VERSION);
}

static long ms_of(dur_t d, long dflt_seconds)
{
	return d ? (long)((d + DUR_MS - 1) / DUR_MS) : dflt_seconds * 1000;
}

struct http_call *http_call(
	struct http_client *c, const struct http_ask *ask, http_reply_fn *fn, void *owner)
{
	struct http_call *call = mem_new(struct http_call);
	CURL *h = curl_easy_init();

	CHECK(h && !c->in_curl);
	call->client = c;
	call->easy = h;
	call->way = ask->way ? ask->way : &plain_way;
	call->fn = fn;
	call->owner = owner;
	call->answer_most = ask->answer_most ? ask->answer_most : ANSWER_MOST;
	call->began = clock_mono();
	http_url_origin(&call->origin, ask->url);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L); /* a call that ends does not wait for its resolver thread */
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_TIMEOUT_MS, ms_of(ask->deadline, DEADLINE_SECONDS));
	SET(CURLOPT_CONNECTTIMEOUT_MS, ms_of(ask->connect, CONNECT_SECONDS));
	SET(CURLOPT_MAXAGE_CONN, (long)(c->idle_for / DUR_S));
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	call_set_callbacks(h, call);
	call_set_way(h, call->way, strcmp(ask->method, "GET") == 0 && !ask->body);
	call_set_body(h, call, ask);
	call_set_headers(h, call, ask);
	list_append(&c->calls, &call->place);
	c->calls_n++;
	call->early = curl_easy_setopt(h, CURLOPT_URL, ask->url);
	if (call->early == CURLE_OK && curl_multi_add_handle(c->multi, h) != CURLM_OK)
		call->early = CURLE_FAILED_INIT;
	if (call->early != CURLE_OK)
		timer_in(c->loop, &c->early, 0);
	return call;
}

void http_cancel(struct http_call **callp)
{
	struct http_call *call = *callp;

	if (!call)
		return;
	*callp = NULL;
	CHECK(!call->client->in_curl && !call->told);
	if (call->early == CURLE_OK)
		curl_multi_remove_handle(call->client->multi, call->easy);
	call_free(call);
}

bool http_reply_header(const struct http_reply *r, const char *name, struct str *v_r)
{
	struct curl_header *h;

	if (curl_easy_header(r->call->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return false;
	*v_r = str_of(h->value);
	return true;
}

bool http_retry_after_parse(struct str v, wall_t now, dur_t *d_r)
{
	uint64_t s;
	time_t at;
	char text[64];

	v = str_trim(v);
	if (str_u64(v, &s)) {
		*d_r = s < UINT32_MAX ? (dur_t)s * DUR_S : UINT32_MAX * DUR_S;
		return true;
	}
	str_copy(text, sizeof text, v);
	at = curl_getdate(text, NULL); /* an HTTP-date (RFC 9110 §5.6.7) in any of its forms */
	if (at < 0)
		return false;
	at -= now / DUR_S;
	*d_r = at <= 0 ? 0 : at < UINT32_MAX ? (dur_t)at * DUR_S : UINT32_MAX * DUR_S;
	return true;
}

bool http_retry_after(const struct http_reply *r, dur_t *d_r)
{
	struct str v;

	return http_reply_header(r, "Retry-After", &v) &&
	       http_retry_after_parse(v, clock_wall(), d_r);
}

unsigned http_client_calls(const struct http_client *c)
{
	return c->calls_n;
}

/* ---- the client ---- */
struct http_client *http_client_new(struct loop *l, const struct http_client_limits *lim)
{
	static const struct http_client_limits none;
	struct http_client *c = mem_new(struct http_client);

	/* Counted and, since 7.84, safe from several threads; never undone. */
	CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == 0);
	if (!lim)
		lim = &none;
	c->loop = l;
	c->timer.fire = timer_fired;
	c->early.fire = early_fired;
	c->idle_for = lim->idle_for ? lim->idle_for : IDLE_SECONDS * DUR_S;
	list_init(&c->calls);
	c->multi = curl_multi_init();
	CHECK(c->multi);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
		(long)(lim->per_host ? lim->per_host : PER_HOST));
	curl_multi_setopt(
		c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)(lim->total ? lim->total : TOTAL));
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)(lim->idle ? lim->idle : IDLE));
	return c;
}

void http_client_free(struct http_client **cp)
{
	struct http_client *c = *cp;

	if (!c)
		return;
	*cp = NULL;
	CHECK(!c->in_curl && !c->collecting);
	list_each_safe (it, &c->calls) {
		struct http_call *call = CONTAINER(it, struct http_call, place);

		http_cancel(&call);
	}
	curl_multi_cleanup(c->multi);
	timer_cancel(c->loop, &c->timer);
	timer_cancel(c->loop, &c->early);
	mem_free(&c);
}
