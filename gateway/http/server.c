/* The HTTP server: libmicrohttpd's daemons and the life of a request. See server.h.
 *
 * libmicrohttpd calls request_came() once for the headers, again for each piece of the body, and a
 * last time for the end; a connection suspended there is called the same way once it is resumed.
 * All that two threads may see of a request (is it suspended, answered, gone?) stands under one
 * lock per server, held for a few loads: this is the one place above base/ where threads of a
 * foreign library meet ours.
 */
#include "gateway/base/log.h"
#include "gateway/base/stat.h"
#include "gateway/http/server_private.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	HEADER_MOST = 16 * 1024,
	BODY_MOST = 1024 * 1024,
	CONNECTIONS = 1000,
	PER_ADDRESS = 100,
	THREADS = 2,
	/* libmicrohttpd 0.9.75 takes 128 events from the kernel at a time, and when there were just
	 * as many it sleeps upon them until another comes: for ever, where each of 128 clients
	 * waits for its answer. A thread that has fewer connections never gets so many. */
	THREAD_MOST = 120,
	IDLE_SECONDS = 60,
	/* Of a body, per connection; the library clears all of a connection's memory between two
	 * requests. */
	READ_AHEAD = 16 * 1024,
	/* Of a body nobody wants, read and forgotten: closing with bytes unread makes the kernel
	 * send a reset, which can overtake the answer that says why. */
	DISCARD_MOST = 16 * 1024 * 1024,
	LISTEN_BACKLOG = 512,
	CLASSES = 6, /* of status codes */
};

struct http_daemon {
	struct MHD_Daemon *mhd;
	int fd;
	uint16_t port;
};
/* Accepts no more; its connections have an earlier certificate. */
struct http_elder {
	struct http_elder *next;
	struct MHD_Daemon *mhd;
};

struct http_server {
	const struct http_route *routes;
	struct http_limits limits;
	struct http_daemon *daemons;
	unsigned daemons_n;
	struct http_elder *elders;
	struct http_idle *idle;
	char said[160]; /* libmicrohttpd's last complaint while starting */
	struct stat_cell by_class[CLASSES], seconds, open;

	pthread_mutex_t lock;
	struct list requests;
	unsigned active, refs;
	bool draining, stopping;
	int idle_fd; /* written when the last request ends while draining */
};

/* ---- lives ---- */
static void server_unref(struct http_server *s)
{
	bool last;

	pthread_mutex_lock(&s->lock);
	last = --s->refs == 0;
	pthread_mutex_unlock(&s->lock);
	if (!last)
		return;
	for (unsigned i = 0; i < CLASSES; i++)
		stat_unregister(&s->by_class[i]);
	stat_unregister(&s->seconds);
	stat_unregister(&s->open);
	pthread_mutex_destroy(&s->lock);
	close(s->idle_fd);
	mem_free(&s->daemons);
	mem_free(&s);
}

static void request_unref(struct http_request *r)
{
	struct http_server *s = r->server;
	bool last;

	pthread_mutex_lock(&s->lock);
	last = --r->refs == 0;
	pthread_mutex_unlock(&s->lock);
	if (!last)
		return;
	arena_free(&r->arena);
	buf_free(&r->body);
	buf_free(&r->answer);
	mem_free(&r);
	server_unref(s);
}

/* Wakes the connection if it sleeps; the lock is held. */
static void request_wake(struct http_request *r)
{
	if (!r->suspended)
		return;
	r->suspended = false;
	MHD_resume_connection(r->connection);
}

void request_settle(struct http_request *r)
{
	struct http_server *s = r->server;

	pthread_mutex_lock(&s->lock);
	CHECK(r->owed);
	r->owed = false;
	r->answered = true;
	request_wake(r);
	pthread_mutex_unlock(&s->lock);
	request_unref(r);
}

void http_resume_body(struct http_request *r)
{
	struct http_server *s = r->server;

	pthread_mutex_lock(&s->lock);
	r->woken = true;
	request_wake(r);
	pthread_mutex_unlock(&s->lock);
}

/* On the HTTP thread, which alone may put a connection to sleep. False: do not, go on. */
static bool request_sleep(struct http_request *r, const bool *unless)
{
	struct http_server *s = r->server;
	bool sleeps;

	pthread_mutex_lock(&s->lock);
	sleeps = !*unless && !s->stopping;
	if (sleeps) {
		r->suspended = r->slept = true;
		MHD_suspend_connection(r->connection);
	}
	pthread_mutex_unlock(&s->lock);
	return sleeps;
}

static bool request_flag(struct http_request *r, bool *flag, bool clear)
{
	bool was;

	pthread_mutex_lock(&r->server->lock);
	was = *flag;
	if (clear)
		*flag = false;
	pthread_mutex_unlock(&r->server->lock);
	return was;
}

bool request_answered(struct http_request *r)
{
	return request_flag(r, &r->answered, false);
}

/* The server itself answers; what the owner says later is not heard. HTTP thread, before end(). */
void request_refuse(struct http_request *r, unsigned status, const char *detail)
{
	r->status = status;
	r->type = "application/problem+json";
	http_problem_put(&r->answer, status, NULL, detail, NULL);
	pthread_mutex_lock(&r->server->lock);
	r->answered = true;
	pthread_mutex_unlock(&r->server->lock);
}

/* The owner, who saw begin(), will not see end(). */
static void request_tell_gone(struct http_request *r)
{
	if (r->told || !request_flag(r, &r->owed, false))
		return;
	r->told = true;
	if (r->route && r->route->gone)
		r->route->gone(r);
	else
		http_drop(r);
}

const char *http_status_words(unsigned status)
{
	return MHD_get_reason_phrase_for(status);
}

/* ---- the headers ---- */
struct collecting {
	struct http_request *r;
	struct http_pair **end;
	size_t bytes;
	unsigned lengths, codings;
	bool broken, decode;
};

static enum MHD_Result collect_pair(void *ctx, enum MHD_ValueKind kind, const char *name,
	size_t name_n, const char *value, size_t value_n)
{
	struct collecting *c = ctx;
	struct arena *a = c->r->arena;
	struct http_pair *p = arena_new_of(a, struct http_pair);

	if (!c->decode) {
		p->name = arena_str(a, str_n(name, name_n));
		p->value = arena_str(a, str_n(value, value_n));
		c->lengths += str_ieq(p->name, STR("Content-Length"));
		if (str_ieq(p->name, STR("Transfer-Encoding"))) {
			c->codings++;
			c->broken |= !str_ieq(p->value, STR("chunked"));
		}
	} else if (!request_decode(a, str_n(name, name_n), &p->name) ||
		   !request_decode(a, str_n(value, value_n), &p->value)) {
		c->broken = true;
	}
	c->bytes += name_n + value_n + 4; /* ": " and CRLF */
	*c->end = p;
	c->end = &p->next;
	return MHD_YES;
}

static void request_read_peer(struct http_request *r)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	if (!info || !info->client_addr)
		return;
	if (info->client_addr->sa_family == AF_INET)
		memcpy(&r->peer.in, info->client_addr, sizeof r->peer.in);
	else if (info->client_addr->sa_family == AF_INET6)
		memcpy(&r->peer.in6, info->client_addr, sizeof r->peer.in6);
	addr_unmap(&r->peer);
	addr_text(&r->peer.sa, r->peer_text);
}

static struct http_request *request_new(
	struct http_server *s, struct MHD_Connection *mc, const char *url, const char *method)
{
	struct http_request *r = mem_new(struct http_request);

	r->server = s;
	r->connection = mc;
	r->arena = arena_new();
	r->method = arena_str(r->arena, str_of(method));
	r->path = arena_str(r->arena, str_of(url));
	r->began = clock_mono();
	r->refs = 1;
	request_read_peer(r);
	pthread_mutex_lock(&s->lock);
	list_append(&s->requests, &r->place);
	s->active++;
	s->refs++;
	stat_set(&s->open, s->active);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* Headers and arguments copied, framing checked (RFC 9112 §6.3: a length and a coding together,
 * or two lengths, is how requests are smuggled). */
static void request_read_head(struct http_request *r)
{
	struct http_server *s = r->server;
	struct collecting heads = { .r = r, .end = &r->headers };
	struct collecting args = { .r = r, .end = &r->args, .decode = true };
	struct str v;
	uint64_t length = 0;

	MHD_get_connection_values_n(r->connection, MHD_HEADER_KIND, collect_pair, &heads);
	MHD_get_connection_values_n(r->connection, MHD_GET_ARGUMENT_KIND, collect_pair, &args);
	if (heads.bytes > s->limits.header_most) {
		r->close = true;
		request_refuse(r, 431, NULL);
		return;
	}
	if (heads.broken || heads.lengths + heads.codings > 1 ||
		(http_header(r, "Content-Length", &v) && !str_u64(v, &length))) {
		r->close = true;
		request_refuse(r, 400, "The length of the body is not said as it should be.");
		return;
	}
	r->body_comes = heads.codings || length;
	if (args.broken) {
		request_refuse(r, 400, "The query is not percent-encoded as it should be.");
		return;
	}
	request_route(r, s->routes);
	if (!r->route)
		return;
	r->body_most = r->route->body_most ? r->route->body_most : s->limits.body_most;
	if (length > r->body_most)
		request_refuse(r, 413, NULL);
}

/* ---- the answer ---- */
static enum MHD_Result request_reply(struct http_request *r)
{
	struct http_server *s = r->server;
	struct MHD_Response *m;
	enum MHD_Result ok;

	if (r->drop)
		return MHD_NO;
	if (r->answer.n)
		m = MHD_create_response_from_buffer(
			r->answer.n, r->answer.p, MHD_RESPMEM_MUST_FREE);
	else
		m = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (!m)
		return MHD_NO;
	if (r->answer.n)
		r->answer = BUF_INIT;
	if (r->type)
		MHD_add_response_header(m, "Content-Type", r->type);
	MHD_add_response_header(m, "Cache-Control", "no-store");
	for (const struct http_pair *p = r->answer_headers; p; p = p->next)
		MHD_add_response_header(m, p->name.p, p->value.p);
	if (r->close || request_flag(r, &s->draining, false))
		MHD_add_response_header(m, "Connection", "close");
	ok = MHD_queue_response(r->connection, r->status, m);
	MHD_destroy_response(m);
	stat_inc(&s->by_class[r->status / 100 % CLASSES]);
	stat_observe(&s->seconds, clock_mono() - r->began);
	/* The pattern, not the path: a callback's path holds a secret. */
	log_debug("http", F_SLICE("method", r->method),
		F_STR("route", r->route ? r->route->path : ""), F_U64("status", r->status),
		F_STR("peer", r->peer_text), F_DUR("took", clock_mono() - r->began));
	return ok;
}

/* ---- the three kinds of call ---- */
static enum MHD_Result request_begin(struct http_request *r)
{
	struct str v;
	uint64_t length = UINT64_MAX; /* unknown */

	request_read_head(r);
	if (r->route && !r->answered) {
		r->owed = true;
		r->refs++;
		if (r->route->begin)
			r->route->begin(r);
	}
	if (!request_answered(r) || !r->body_comes)
		return MHD_YES;
	/* Answered before the body. A short one is read and forgotten, so that the connection
	 * lives; answering now ends it. */
	if (http_header(r, "Content-Length", &v))
		str_u64(v, &length);
	if (r->close || length > DISCARD_MOST || http_header(r, "Expect", &v))
		return request_reply(r);
	return MHD_YES;
}

static enum MHD_Result request_discard(struct http_request *r, size_t *n)
{
	r->discarded += *n;
	*n = 0;
	return r->discarded > DISCARD_MOST || r->drop ? MHD_NO : MHD_YES;
}

static enum MHD_Result request_body(struct http_request *r, const char *p, size_t *n)
{
	if (request_answered(r))
		return request_discard(r, n);
	if (*n > r->body_most - r->body_seen) {
		request_refuse(r, 413, NULL);
		request_tell_gone(r);
		return request_discard(r, n);
	}
	if (!r->route->body) {
		buf_add(&r->body, p, *n);
		r->body_seen += *n;
		*n = 0;
		return MHD_YES;
	}
	while (*n) {
		size_t took;

		request_flag(r, &r->woken, true);
		took = r->route->body(r, str_n(p, *n));
		if (request_answered(r))
			return request_discard(r, n);
		CHECK(took <= *n);
		p += took;
		*n -= took;
		r->body_seen += took;
		if (took)
			continue;
		if (request_sleep(r, &r->woken))
			return MHD_YES;
		if (request_flag(r, &r->server->stopping, false))
			return MHD_NO;
	}
	return MHD_YES;
}

static enum MHD_Result request_end(struct http_request *r)
{
	if (!r->ended && !request_answered(r)) {
		r->ended = true;
		r->route->end(r);
	}
	if (request_sleep(r, &r->answered))
		return MHD_YES;
	return request_answered(r) ? request_reply(r) : MHD_NO; /* MHD_NO: the server stops */
}

/* ---- connections ---- */
static void connection_heard(
	void *ctx, struct MHD_Connection *mc, void **link, enum MHD_ConnectionNotificationCode what)
{
	struct http_server *s = ctx;
	struct http_link *k = *link;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*link = idle_open(s->idle,
			MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
	} else {
		*link = NULL;
		idle_close(s->idle, &k);
	}
}

static struct http_link *link_of(struct MHD_Connection *mc)
{
	return MHD_get_connection_info(mc, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static enum MHD_Result request_came(void *ctx, struct MHD_Connection *mc, const char *url,
	const char *method, const char *version, const char *data, size_t *n, void **state)
{
	struct http_link *link = link_of(mc);
	struct http_request *r = *state;
	enum MHD_Result ok;

	idle_ours(link, true);
	if (!r) {
		*state = r = request_new(ctx, mc, url, method);
		ok = request_begin(r);
	} else {
		r->slept = false;
		ok = *n ? request_body(r, data, n) : request_end(r);
	}
	/* Else the client's, which is to send more or to take what it was answered. */
	idle_ours(link, r->slept);
	return ok;
}

static void request_over(
	void *ctx, struct MHD_Connection *mc, void **state, enum MHD_RequestTerminationCode why)
{
	struct http_server *s = ctx;
	struct http_request *r = *state;
	uint64_t one = 1;

	if (!r)
		return;
	*state = NULL;
	if (!r->ended)
		request_tell_gone(r);
	pthread_mutex_lock(&s->lock);
	r->connection = NULL;
	r->suspended = false;
	list_remove(&r->place);
	s->active--;
	stat_set(&s->open, s->active);
	if (s->active == 0 && s->draining && write(s->idle_fd, &one, sizeof one) < 0)
		log_error("http.eventfd");
	pthread_mutex_unlock(&s->lock);
	request_unref(r);
}

/* ---- the daemons ---- */
__attribute__((format(printf, 2, 0))) static void mhd_says(void *ctx, const char *fmt, va_list ap)
{
	struct http_server *s = ctx;
	struct buf b = BUF_INIT;

	buf_vprintf(&b, fmt, ap);
	pthread_mutex_lock(&s->lock);
	str_copy(s->said, sizeof s->said, str_trim(buf_view(&b)));
	pthread_mutex_unlock(&s->lock);
	log_debug("http.library", F_SLICE("says", str_trim(buf_view(&b))));
	buf_free(&b);
}

/* Paths and queries are decoded by us, after they were taken apart: %2F is no slash, %00 no end. */
static size_t not_unescaped(void *ctx, struct MHD_Connection *mc, char *s)
{
	return strlen(s);
}

static int listen_open(const char *listen_on, struct http_daemon *d, struct err *e)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM },
			*ai = NULL;
	union addr at;
	socklen_t n = sizeof at;
	struct str host;
	char name[256], service[8];
	uint16_t port;
	int rc, on = 1, off = 0;

	if (!addr_split(str_of(listen_on), &host, &port))
		return err_set(e, ERR_CONF, "\"%s\" is not host:port", listen_on);
	str_copy(name, sizeof name, str_is(host, "*") ? STR("::") : host);
	snprintf(service, sizeof service, "%u", port);
	if ((rc = getaddrinfo(name, service, &hints, &ai)) != 0)
		return err_set(e, ERR_ENV, "listen on %s: %s", listen_on, gai_strerror(rc));
	d->fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd < 0)
		goto fail;
	setsockopt(d->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (ai->ai_family == AF_INET6)
		setsockopt(d->fd, IPPROTO_IPV6, IPV6_V6ONLY, str_is(host, "*") ? &off : &on,
			sizeof on);
	if (bind(d->fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(d->fd, LISTEN_BACKLOG) < 0 ||
		getsockname(d->fd, &at.sa, &n) < 0)
		goto fail;
	d->port = addr_port(&at);
	freeaddrinfo(ai);
	return 0;
fail:
	err_set(e, ERR_ENV, "listen on %s: %m", listen_on);
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	freeaddrinfo(ai);
	return -1;
}

static int daemon_start(struct http_server *s, struct http_daemon *d, const char *cert_pem,
	const char *key_pem, struct err *e)
{
	const struct http_limits *l = &s->limits;
	unsigned flags =
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, NULL },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, NULL },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, NULL },
		{ MHD_OPTION_END, 0, NULL },
	};
	char priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE";
	char *cert = cert_pem ? mem_dup(str_of(cert_pem)) : NULL;
	char *key = key_pem ? mem_dup(str_of(key_pem)) : NULL;
	sigset_t all, old;

	if (cert) {
		flags |= MHD_USE_TLS;
		tls[0].ptr_value = cert;
		tls[1].ptr_value = key;
		tls[2].ptr_value = priorities;
	} else {
		tls[0].option = MHD_OPTION_END;
	}
	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	d->mhd = MHD_start_daemon(flags, 0, NULL, NULL, request_came, s, MHD_OPTION_EXTERNAL_LOGGER,
		mhd_says, s, MHD_OPTION_LISTEN_SOCKET, d->fd, MHD_OPTION_CONNECTION_LIMIT,
		l->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT, l->per_address,
		MHD_OPTION_NOTIFY_CONNECTION, connection_heard, s,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, l->header_most + READ_AHEAD,
		MHD_OPTION_THREAD_POOL_SIZE, l->threads, MHD_OPTION_NOTIFY_COMPLETED, request_over,
		s, MHD_OPTION_UNESCAPE_CALLBACK, not_unescaped, s, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	mem_free(&cert);
	mem_free(&key);
	if (d->mhd)
		return 0;
	return err_set(e, ERR_ENV, "start the HTTP server%s%s", s->said[0] ? ": " : "", s->said);
}

static void limits_fill(struct http_limits *l)
{
	l->header_most = l->header_most ? l->header_most : HEADER_MOST;
	l->body_most = l->body_most ? l->body_most : BODY_MOST;
	l->connections = l->connections ? l->connections : CONNECTIONS;
	l->per_address = l->per_address ? l->per_address : PER_ADDRESS;
	l->threads = l->threads ? l->threads : THREADS;
	if (l->threads < (l->connections + THREAD_MOST - 1) / THREAD_MOST)
		l->threads = (l->connections + THREAD_MOST - 1) / THREAD_MOST;
	l->idle = l->idle ? l->idle : IDLE_SECONDS * DUR_S;
}

static void stats_open(struct http_server *s, const char *listen_on)
{
	static const char *const classes[CLASSES] = { "0xx", "1xx", "2xx", "3xx", "4xx", "5xx" };

	for (unsigned i = 2; i < CLASSES; i++)
		stat_register(&s->by_class[i], STAT_COUNTER, "postern_http_requests_total",
			"HTTP requests answered.", "code", classes[i], "listen", listen_on, NULL);
	stat_register(&s->seconds, STAT_HISTOGRAM, "postern_http_seconds",
		"From a request's headers to its answer.", "listen", listen_on, NULL);
	stat_register(&s->open, STAT_GAUGE, "postern_http_open", "HTTP requests being served.",
		"listen", listen_on, NULL);
}

struct http_server *http_server_new(const struct http_server_conf *c, struct err *e)
{
	struct http_server *s = mem_new(struct http_server);
	unsigned n = 0;

	CHECK(MHD_is_feature_supported(MHD_FEATURE_TLS) == MHD_YES || !c->cert);
	s->routes = c->routes;
	s->limits = c->limits;
	limits_fill(&s->limits);
	pthread_mutex_init(&s->lock, NULL);
	list_init(&s->requests);
	s->refs = 1;
	s->idle_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(s->idle_fd >= 0);
	while (c->listen[n])
		n++;
	CHECK(n);
	stats_open(s, c->listen[0]);
	s->idle = idle_new(s->limits.idle);
	s->daemons = mem_alloc(n * sizeof *s->daemons);
	for (s->daemons_n = 0; s->daemons_n < n; s->daemons_n++) {
		struct http_daemon *d = &s->daemons[s->daemons_n];

		if (listen_open(c->listen[s->daemons_n], d, e) < 0)
			goto fail;
		if (daemon_start(s, d, c->cert, c->key, e) < 0) {
			close(d->fd);
			goto fail;
		}
	}
	return s;
fail:
	http_server_stop(&s, 0);
	return NULL;
}

/* Ends those whose last connection is gone, or all. */
static void elders_end(struct http_server *s, bool all)
{
	struct http_elder **at = &s->elders;

	while (*at) {
		struct http_elder *o = *at;
		const union MHD_DaemonInfo *open =
			MHD_get_daemon_info(o->mhd, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

		if (!all && open && open->num_connections) {
			at = &o->next;
			continue;
		}
		*at = o->next;
		MHD_stop_daemon(o->mhd);
		mem_free(&o);
	}
}

int http_server_renew(struct http_server *s, const char *cert, const char *key, struct err *e)
{
	struct http_daemon *d = mem_alloc(s->daemons_n * sizeof *d);
	unsigned n;

	elders_end(s, false);
	for (n = 0; n < s->daemons_n; n++) {
		d[n] = s->daemons[n];
		if (daemon_start(s, &d[n], cert, key, e) < 0)
			break;
	}
	for (unsigned i = 0; i < n; i++) {
		/* The one that goes, behind which the other has been accepting for a moment. */
		struct http_elder *o = mem_new(struct http_elder);

		o->mhd = n == s->daemons_n ? s->daemons[i].mhd : d[i].mhd;
		o->next = s->elders;
		s->elders = o;
		MHD_quiesce_daemon(o->mhd);
	}
	if (n == s->daemons_n) {
		mem_free(&s->daemons);
		s->daemons = d;
		return 0;
	}
	mem_free(&d);
	return -1;
}

uint16_t http_server_port(const struct http_server *s, unsigned i)
{
	CHECK(i < s->daemons_n);
	return s->daemons[i].port;
}

/* Until no request is open or the time is over. */
static void server_wait_idle(struct http_server *s, dur_t grace)
{
	mono_t end = clock_mono() + grace;

	for (;;) {
		struct pollfd p = { .fd = s->idle_fd, .events = POLLIN };
		dur_t left = end - clock_mono();
		unsigned active;

		pthread_mutex_lock(&s->lock);
		active = s->active;
		pthread_mutex_unlock(&s->lock);
		if (!active || left <= 0)
			return;
		if (poll(&p, 1, (int)(left / DUR_MS) + 1) > 0)
			return;
	}
}

void http_server_stop(struct http_server **sp, dur_t grace)
{
	struct http_server *s = *sp;

	if (!s)
		return;
	*sp = NULL;
	pthread_mutex_lock(&s->lock);
	s->draining = true;
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->daemons_n; i++)
		if (MHD_quiesce_daemon(s->daemons[i].mhd) != MHD_INVALID_SOCKET)
			close(s->daemons[i].fd);
	server_wait_idle(s, grace);
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	list_each (it, &s->requests)
		request_wake(CONTAINER(it, struct http_request, place));
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->daemons_n; i++)
		MHD_stop_daemon(s->daemons[i].mhd);
	elders_end(s, true);
	idle_free(&s->idle);
	server_unref(s);
}
