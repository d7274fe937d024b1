/* Listening: accepts in bursts and hands the descriptors on. See stream.h. On one loop. */
#include "gateway/base/fault.h"
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/base/stream.h"
#include "gateway/base/tls_link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum { BACKLOG = 1024, BURST = 64 };
#define ACCEPT_PAUSE (100 * DUR_MS)

struct acceptor {
	struct loop *loop;
	acceptor_fn fn;
	void *owner;
	struct io io;
	struct timer timer; /* set: out of descriptors, pausing */
	struct letter end;
	struct log_quiet quiet;
	bool paused, closed;
	uint16_t port;
	char *listen;
};

static void acceptor_waits(struct acceptor *a)
{
	if (!a->closed)
		io_wait_for(&a->io, a->paused || timer_is_set(&a->timer) ? 0 : IO_READ);
}

static void acceptor_timer(struct timer *t)
{
	acceptor_waits(CONTAINER(t, struct acceptor, timer));
}

/* Out of descriptors or memory: the queue in the kernel waits while others finish. */
static void acceptor_exhausted(struct acceptor *a, int error)
{
	unsigned held;

	if (log_due(&a->quiet, &held))
		log_warn("accept_paused", F_STR("listen", a->listen),
			F_STR("error", net_error_text(error)), F_U64("held", held));
	timer_in(a->loop, &a->timer, ACCEPT_PAUSE);
	acceptor_waits(a);
}

static void acceptor_ready(struct io *io, unsigned what)
{
	struct acceptor *a = CONTAINER(io, struct acceptor, io);

	for (int i = 0; i < BURST && !a->closed && !a->paused; i++) {
		union addr from = { 0 };
		socklen_t n = sizeof from;
		int fd;

		fd = fault_hit("accept")
			     ? (errno = EMFILE, -1)
			     : accept4(io->fd, &from.sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			addr_unmap(&from);
			a->fn(a->owner, fd, &from.sa);
			continue;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			acceptor_exhausted(a, errno);
			return;
		}
		/* All else is about the connection that went away meanwhile (accept(2)). */
	}
}

/* What is set here is inherited by all that are accepted (tcp(7)): stream.c need not do it each
 * time. */
static void inherited_options(int fd)
{
	int one = 1, idle = STREAM_KEEPALIVE_S, user_ms = (int)(STREAM_USER_TIMEOUT / DUR_MS);

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_ms, sizeof user_ms);
}

static int listen_socket(const union addr *to)
{
	int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1,
	    v6only = to->sa.sa_family == AF_INET6 && !IN6_IS_ADDR_UNSPECIFIED(&to->in6.sin6_addr);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (to->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
	inherited_options(fd);
	if (bind(fd, &to->sa, addr_len(to)) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	one = errno;
	close(fd);
	errno = one;
	return -1;
}

static int listen_resolve(const char *host, uint16_t port, union addr *to, struct err *e)
{
	const struct addrinfo want = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	int rc;

	if (addr_parse(str_of(host), port, to))
		return 0;
	rc = getaddrinfo(host, NULL, &want, &list); /* at start-up, and rarely: may block */
	if (rc || !list || list->ai_addrlen > sizeof *to)
		return err_set(e, ERR_CONF, "%s", rc ? gai_strerror(rc) : "no address");
	memset(to, 0, sizeof *to);
	memcpy(to, list->ai_addr, list->ai_addrlen);
	freeaddrinfo(list);
	if (to->sa.sa_family == AF_INET6)
		to->in6.sin6_port = htons(port);
	else
		to->in.sin_port = htons(port);
	return 0;
}

static int listen_open(const char *listen, struct err *e)
{
	struct str host;
	uint16_t port;
	union addr to;
	char name[256];
	int fd;

	if (!addr_split(str_of(listen), &host, &port) || host.n >= sizeof name)
		return err_set(e, ERR_CONF, "listen %s: not an address and a port", listen);
	if (str_is(host, "*")) {
		addr_parse(STR("::"), port, &to);
		fd = listen_socket(&to);
		if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
			addr_parse(STR("0.0.0.0"), port, &to); /* a host without IPv6 */
			fd = listen_socket(&to);
		}
	} else {
		str_copy(name, sizeof name, host);
		if (listen_resolve(name, port, &to, e) < 0)
			return err_wrap(e, "listen %s", listen);
		fd = listen_socket(&to);
	}
	return fd < 0 ? err_set(e, ERR_ENV, "listen %s: %m", listen) : fd;
}

struct acceptor *acceptor_open(
	struct loop *l, const char *listen, acceptor_fn fn, void *owner, struct err *e)
{
	struct acceptor *a;
	union addr at = { 0 };
	socklen_t n = sizeof at;
	int fd = listen_open(listen, e);

	if (fd < 0)
		return NULL;
	CHECK(getsockname(fd, &at.sa, &n) == 0);
	a = mem_new(struct acceptor);
	a->loop = l;
	a->fn = fn;
	a->owner = owner;
	a->port = addr_port(&at);
	a->timer.fire = acceptor_timer;
	a->listen = mem_dup(str_of(listen));
	io_open(l, &a->io, fd, acceptor_ready);
	acceptor_waits(a);
	return a;
}

static void acceptor_end(struct letter *letter)
{
	struct acceptor *a = CONTAINER(letter, struct acceptor, end);

	mem_free(&a->listen);
	mem_free(&a);
}

void acceptor_close(struct acceptor **ap)
{
	struct acceptor *a = *ap;

	*ap = NULL;
	if (!a)
		return;
	a->closed = true;
	timer_cancel(a->loop, &a->timer);
	io_close(&a->io);
	close(a->io.fd);
	/* It may be its own callback that closes it. */
	a->end.run = acceptor_end;
	loop_later(a->loop, &a->end);
}

void acceptor_pause(struct acceptor *a, bool paused)
{
	a->paused = paused;
	acceptor_waits(a);
}

uint16_t acceptor_port(const struct acceptor *a)
{
	return a->port;
}
