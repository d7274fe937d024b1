/* Connections and listeners of the simulator. A connection whose peer does not read stops being
 * read from, above 4 MiB of unsent answers, so that a stalled peer costs bounded memory.
 */
#include "tests/sim/loop.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	IN_FIRST = 64 * 1024,
	IN_MOST = 64 * 1024 * 1024, /* one item (an HTTP body) may be that long */
	OUT_FULL = 4 * 1024 * 1024,
	OUT_AGAIN = 1024 * 1024,
};

static void conn_interest(struct sim_conn *c)
{
	uint32_t want = 0;
	if (c->connecting)
		want = EPOLLOUT;
	else if (c->handshake)
		want = EPOLLIN | (SSL_want_write(c->tls) ? EPOLLOUT : 0);
	else
		want = (c->is_full ? 0 : EPOLLIN) | (c->out.n > c->out_done ? EPOLLOUT : 0);
	if (want != c->events) {
		c->events = want;
		sim_loop_watch(c->loop, &c->watch, want);
	}
}

void sim_conn_dirty(struct sim_conn *c)
{
	if (c->is_dirty || c->is_dead)
		return;
	c->is_dirty = true;
	c->next_dirty = c->loop->dirty;
	c->loop->dirty = c;
}

void sim_conn_close(struct sim_conn *c, const char *why)
{
	if (c->is_dead)
		return;
	c->is_dead = true;
	c->next_dead = c->loop->dead;
	c->loop->dead = c;
	c->loop->conns--;
	*c->at = c->next;
	if (c->next)
		c->next->at = c->at;
	c->ops->closed(c, why);
	if (c->tls)
		SSL_free(c->tls);
	c->tls = NULL;
	close(c->watch.fd);
}

void sim_conn_finish(struct sim_conn *c)
{
	c->finish = true;
	sim_conn_dirty(c);
}

static ssize_t conn_write(struct sim_conn *c, const char *p, size_t n)
{
	if (!c->tls)
		return send(c->watch.fd, p, n, MSG_NOSIGNAL);
	ERR_clear_error();
	int done = SSL_write(c->tls, p, (int)(n > 1 << 20 ? 1 << 20 : n));
	if (done > 0)
		return done;
	int why = SSL_get_error(c->tls, done);
	errno = why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? EAGAIN : EPIPE;
	return -1;
}

void sim_conn_flush(struct sim_conn *c)
{
	if (c->is_dead || c->connecting || c->handshake)
		return;
	while (c->out_done < c->out.n) {
		ssize_t n = conn_write(c, c->out.p + c->out_done, c->out.n - c->out_done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			sim_conn_close(c, strerror(errno));
			return;
		}
		c->out_done += (size_t)n;
		c->sent += (uint64_t)n;
	}
	size_t left = c->out.n - c->out_done;
	if (left == 0) {
		buf_reset(&c->out);
		c->out_done = 0;
		if (c->finish) {
			sim_conn_close(c, "finished");
			return;
		}
	} else if (c->out_done > OUT_FULL) {
		buf_drop(&c->out, c->out_done);
		c->out_done = 0;
	}
	if (left > OUT_FULL)
		c->is_full = true;
	else if (left < OUT_AGAIN)
		c->is_full = false;
	conn_interest(c);
}

static ssize_t conn_read(struct sim_conn *c, char *p, size_t n)
{
	if (!c->tls)
		return recv(c->watch.fd, p, n, 0);
	ERR_clear_error();
	int got = SSL_read(c->tls, p, (int)n);
	if (got > 0)
		return got;
	int why = SSL_get_error(c->tls, got);
	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
	return -1;
}

static void conn_take(struct sim_conn *c)
{
	size_t took = c->ops->data(c, c->in, c->in_n);
	if (c->is_dead || c->handshake) /* the latter: forgotten meanwhile */
		return;
	c->in_n -= took;
	if (took && c->in_n)
		memmove(c->in, c->in + took, c->in_n);
}

void sim_conn_again(struct sim_conn *c)
{
	if (!c->is_dead && c->in_n)
		conn_take(c);
}

void sim_conn_secure(struct sim_conn *c, SSL_CTX *tls)
{
	sim_conn_flush(c);
	if (c->is_dead)
		return;
	c->in_n = 0;
	c->tls = SSL_new(tls);
	CHECK(c->tls && SSL_set_fd(c->tls, c->watch.fd) == 1);
	SSL_set_accept_state(c->tls);
	c->handshake = true;
	conn_interest(c);
}

/* One read a round keeps connections fair; with TLS what OpenSSL already holds is read too, as no
 * event will tell of it. */
static void conn_readable(struct sim_conn *c)
{
	do {
		if (c->in_n == c->in_cap) {
			size_t cap = c->in_cap ? c->in_cap * 2 : IN_FIRST;
			if (cap > IN_MOST) {
				sim_conn_close(c, "more than 64 MiB without an end");
				return;
			}
			c->in = mem_grow(c->in, cap);
			c->in_cap = cap;
		}
		ssize_t n = conn_read(c, c->in + c->in_n, c->in_cap - c->in_n);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			sim_conn_close(c, n == 0 ? "closed by the peer" : strerror(errno));
			return;
		}
		if (c->quickack) /* the kernel forgets it after each acknowledgement */
			setsockopt(
				c->watch.fd, IPPROTO_TCP, TCP_QUICKACK, &(int){ 1 }, sizeof(int));
		c->in_n += (size_t)n;
		c->loop->now = sim_mono();
		conn_take(c);
	} while (!c->is_dead && c->tls && SSL_pending(c->tls) > 0);
}

static void conn_opened(struct sim_conn *c)
{
	if (c->ops->opened)
		c->ops->opened(c);
	if (!c->is_dead)
		sim_conn_flush(c);
}

static void conn_shake(struct sim_conn *c)
{
	ERR_clear_error();
	int r = SSL_do_handshake(c->tls);
	if (r == 1) {
		c->handshake = false;
		conn_opened(c);
		return;
	}
	int why = SSL_get_error(c->tls, r);
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
		conn_interest(c);
		return;
	}
	const char *reason = ERR_reason_error_string(ERR_peek_error());
	sim_conn_close(c, reason ? reason : "TLS handshake failed");
}

static void conn_ready(struct sim_watch *w, uint32_t events)
{
	struct sim_conn *c = (struct sim_conn *)w;
	if (c->is_dead)
		return;
	if (c->connecting) {
		int bad = 0;
		socklen_t len = sizeof(bad);
		getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &bad, &len);
		if (bad) {
			sim_conn_close(c, strerror(bad));
			return;
		}
		c->connecting = false;
		if (!c->handshake) {
			conn_opened(c);
			return;
		}
	}
	if (c->handshake) {
		conn_shake(c);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		conn_readable(c);
	if (!c->is_dead && (events & EPOLLOUT))
		sim_conn_flush(c);
}

struct sim_conn *sim_conn_new(
	struct sim_loop *l, int fd, const struct sim_conn_ops *ops, void *of, SSL_CTX *tls)
{
	struct sim_conn *c = mem_new(struct sim_conn);
	c->watch = (struct sim_watch){ .fd = fd, .ready = conn_ready };
	c->loop = l;
	c->ops = ops;
	c->of = of;
	l->conns++;
	c->at = &l->all;
	c->next = l->all;
	if (c->next)
		c->next->at = &c->next;
	l->all = c;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	if (tls) {
		c->tls = SSL_new(tls);
		CHECK(c->tls && SSL_set_fd(c->tls, fd) == 1);
		SSL_set_accept_state(c->tls);
		c->handshake = true;
	}
	conn_interest(c);
	return c;
}

struct sim_conn *sim_conn_connect(struct sim_loop *l, const struct sim_addr *a,
	const struct sim_conn_ops *ops, void *of, SSL_CTX *tls, struct err *e)
{
	struct addrinfo hint = { .ai_socktype = SOCK_STREAM }, *found;
	int bad = getaddrinfo(a->host, a->port, &hint, &found);
	if (bad) {
		err_set(e, ERR_ENV, "%s: %s", a->host, gai_strerror(bad));
		return NULL;
	}
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
		(connect(fd, found->ai_addr, found->ai_addrlen) < 0 && errno != EINPROGRESS)) {
		err_set(e, ERR_ENV, "connect %s:%s: %s", a->host, a->port, strerror(errno));
		if (fd >= 0)
			close(fd);
		freeaddrinfo(found);
		return NULL;
	}
	freeaddrinfo(found);
	struct sim_conn *c = sim_conn_new(l, fd, ops, of, tls);
	c->connecting = true;
	if (tls) {
		SSL_set_connect_state(c->tls);
		char name[sizeof(a->host)]; /* OpenSSL's macro casts const away */
		str_copy(name, sizeof(name), str_of(a->host));
		SSL_set_tlsext_host_name(c->tls, name);
		SSL_set1_host(c->tls, a->host);
	}
	conn_interest(c);
	return c;
}

int sim_addr_parse(struct sim_addr *a_r, struct str s, struct err *e)
{
	struct str host, port;
	ptrdiff_t colon = -1;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == ':')
			colon = (ptrdiff_t)i;
	if (colon < 0)
		return err_set(e, ERR_CONF, "\"%.*s\" is not HOST:PORT", STR_ARG(s));
	host = str_n(s.p, (size_t)colon);
	port = str_skip(s, (size_t)colon + 1);
	if (host.n > 1 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = str_n(host.p + 1, host.n - 2);
	uint64_t number;
	if (!str_u64(port, &number) || number > 65535 || host.n >= sizeof(a_r->host))
		return err_set(e, ERR_CONF, "\"%.*s\" is not HOST:PORT", STR_ARG(s));
	str_copy(a_r->host, sizeof(a_r->host), host.n ? host : STR("127.0.0.1"));
	str_copy(a_r->port, sizeof(a_r->port), port);
	return 0;
}

static void listener_ready(struct sim_watch *w, uint32_t events)
{
	struct sim_listener *s = (struct sim_listener *)w;
	for (int i = 0; i < 64; i++) {
		int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		s->accepted(s, fd);
	}
}

static void listener_start(struct sim_loop *l, struct sim_listener *s, int fd)
{
	s->loop = l;
	s->watch.fd = fd;
	s->watch.ready = listener_ready;
	sim_loop_watch(l, &s->watch, EPOLLIN);
}

int sim_listen(struct sim_loop *l, struct sim_listener *s, const struct sim_addr *a, struct err *e)
{
	struct addrinfo hint = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
	int bad = getaddrinfo(a->host, a->port, &hint, &found);
	if (bad)
		return err_set(e, ERR_ENV, "%s: %s", a->host, gai_strerror(bad));
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 1024) < 0) {
		err_set(e, ERR_ENV, "listen on %s:%s: %s", a->host, a->port, strerror(errno));
		if (fd >= 0)
			close(fd);
		freeaddrinfo(found);
		return -1;
	}
	freeaddrinfo(found);
	struct sockaddr_storage got;
	socklen_t len = sizeof(got);
	getsockname(fd, (struct sockaddr *)&got, &len);
	s->port = ntohs(got.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&got)->sin6_port
						  : ((struct sockaddr_in *)&got)->sin_port);
	listener_start(l, s, fd);
	return 0;
}

int sim_listen_unix(struct sim_loop *l, struct sim_listener *s, const char *path, struct err *e)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	if (str_copy(un.sun_path, sizeof(un.sun_path), str_of(path)) >= sizeof(un.sun_path))
		return err_set(e, ERR_CONF, "%s: too long for a socket's path", path);
	unlink(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 || listen(fd, 16) < 0) {
		err_set(e, ERR_ENV, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	listener_start(l, s, fd);
	return 0;
}

int sim_port_told(struct str file, uint16_t port, struct err *e)
{
	if (!file.n)
		return 0;
	char part[512];
	snprintf(part, sizeof(part), "%.*s.part", STR_ARG(file));
	FILE *f = fopen(part, "we");
	if (!f || fprintf(f, "%u\n", port) < 0 || fclose(f) != 0 || rename(part, file.p) < 0)
		return err_set(e, ERR_ENV, "%s: %s", file.p, strerror(errno));
	return 0;
}

static int tls_fault(SSL_CTX *ctx, const char *what, struct err *e)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	SSL_CTX_free(ctx);
	return err_set(e, ERR_CONF, "%s: %s", what, reason ? reason : "not usable");
}

static int tls_keys(SSL_CTX *ctx, struct str cert, struct str key, struct err *e)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, cert.p) != 1)
		return tls_fault(ctx, cert.p, e);
	if (SSL_CTX_use_PrivateKey_file(ctx, key.n ? key.p : cert.p, SSL_FILETYPE_PEM) != 1)
		return tls_fault(ctx, key.n ? key.p : cert.p, e);
	return 0;
}

SSL_CTX *sim_tls_server(struct str cert, struct str key, struct err *e)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	CHECK(ctx);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return tls_keys(ctx, cert, key, e) < 0 ? NULL : ctx;
}

SSL_CTX *sim_tls_client(struct str ca, struct str cert, struct str key, bool verify, struct err *e)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	CHECK(ctx);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (verify)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (ca.n ? SSL_CTX_load_verify_locations(ctx, ca.p, NULL) != 1
		 : SSL_CTX_set_default_verify_paths(ctx) != 1) {
		tls_fault(ctx, ca.p, e);
		return NULL;
	}
	if (cert.n && tls_keys(ctx, cert, key, e) < 0)
		return NULL;
	return ctx;
}
