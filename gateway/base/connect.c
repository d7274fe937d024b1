/* Finding an address and connecting to it. See connect.h.
 *
 * The time left is shared out among the addresses left, so that a dead first address does not eat
 * the second one's chance. A lookup outlives a connector that is closed meanwhile: getaddrinfo
 * cannot be interrupted, so its answer is dropped when it comes.
 */
#include "gateway/base/connect.h"
#include "gateway/base/fault.h"
#include "gateway/base/mem.h"
#include "gateway/base/stream.h"
#include "gateway/base/tls_link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

enum { ADDRESSES_MOST = 16 };

struct lookup {
	struct chore work;
	struct connector *connector; /* NULL: nobody waits any more */
	char *host;
	union addr found[ADDRESSES_MOST];
	unsigned count;
	int error; /* of getaddrinfo */
};

struct connector {
	struct loop *loop;
	connector_fn fn;
	void *owner;
	struct lookup *lookup;
	char *host;
	uint16_t port;
	bool numeric, bound, began;
	union addr source;
	union addr to[ADDRESSES_MOST];
	unsigned count, next;
	mono_t opened, deadline;
	struct timer timer;
	struct io io;
	int fd;
	struct err why; /* of the last address tried */
};

static void attempt_next(struct connector *c);

static void attempt_drop(struct connector *c)
{
	io_close(&c->io);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	timer_cancel(c->loop, &c->timer);
}

void connector_close(struct connector **cp)
{
	struct connector *c = *cp;

	if (!c)
		return;
	attempt_drop(c);
	if (c->lookup)
		c->lookup->connector = NULL;
	mem_free(&c->host);
	mem_free(cp);
}

static void connector_end(struct connector *c, int fd)
{
	connector_fn fn = c->fn;
	void *owner = c->owner;
	struct err why = c->why;

	if (fd >= 0)
		c->fd = -1;
	else if (c->count > 1)
		err_wrap(&why, "none of %u addresses; the last", c->count);
	connector_close(&c);
	fn(owner, fd, &why);
}

/* ---- one address ---- */

static void attempt_put_name(const struct connector *c, struct buf *b)
{
	char text[ADDR_TEXT];

	addr_text(&c->to[c->next - 1].sa, text);
	if (c->numeric)
		buf_c(b, text);
	else
		buf_printf(b, "%s (%s)", c->host, text);
	buf_cstr(b);
}

static void attempt_failed(struct connector *c, const char *what)
{
	struct buf b = BUF_INIT;

	attempt_put_name(c, &b);
	err_set(&c->why, ERR_ENV, "connect %s: %s", b.p, what);
	buf_free(&b);
	attempt_drop(c);
	attempt_next(c);
}

/* A free port on our own host may be given to us as source: then we would talk to ourselves. */
static bool is_self_connected(int fd)
{
	union addr a = { 0 }, b = { 0 };
	socklen_t an = sizeof a, bn = sizeof b;

	return getsockname(fd, &a.sa, &an) == 0 && getpeername(fd, &b.sa, &bn) == 0 && an == bn &&
	       memcmp(&a, &b, an) == 0;
}

static void attempt_done(struct connector *c, int error)
{
	if (!error && is_self_connected(c->fd))
		error = ECONNREFUSED;
	if (error) {
		attempt_failed(c, net_error_text(error));
		return;
	}
	connector_end(c, c->fd);
}

static void attempt_ready(struct io *io, unsigned what)
{
	struct connector *c = CONTAINER(io, struct connector, io);
	int error = 0;
	socklen_t n = sizeof error;

	if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	attempt_done(c, error);
}

/* 0: connected, EINPROGRESS: under way, else what failed. */
static int attempt_begin(struct connector *c, const union addr *to)
{
	int one = 1;

	if (fault_hit("connect"))
		return ECONNREFUSED;
	c->fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return errno;
	if (c->bound) {
		/* The port is chosen at connect(), so that many streams can share a source. */
		setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
		if (bind(c->fd, &c->source.sa, addr_len(&c->source)) < 0)
			return errno;
	}
	return connect(c->fd, &to->sa, addr_len(to)) < 0 ? errno : 0;
}

static void attempt_next(struct connector *c)
{
	const union addr *to;
	dur_t left = c->deadline - loop_now(c->loop);
	int error;

	if (c->next == c->count || left <= 0) {
		if (c->why.kind == ERR_NONE)
			err_set(&c->why, ERR_ENV, "connect %s: timed out", c->host);
		connector_end(c, -1);
		return;
	}
	left /= c->count - c->next;
	to = &c->to[c->next++];
	error = attempt_begin(c, to);
	if (error != EINPROGRESS) {
		attempt_done(c, error);
		return;
	}
	io_open(c->loop, &c->io, c->fd, attempt_ready);
	io_wait_for(&c->io, IO_WRITE);
	timer_in(c->loop, &c->timer, left);
}

/* ---- addresses ---- */

/* Those of the source's family only. */
static void addresses_take(struct connector *c, const union addr *found, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!c->bound || found[i].sa.sa_family == c->source.sa.sa_family)
			c->to[c->count++] = found[i];
	if (!c->count)
		err_set(&c->why, ERR_ENV, "connect %s: it has no %s address, as the source has",
			c->host, c->source.sa.sa_family == AF_INET ? "IPv4" : "IPv6");
	attempt_next(c);
}

static void lookup_call(struct chore *w)
{
	struct lookup *l = CONTAINER(w, struct lookup, work);
	const struct addrinfo want = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *list = NULL;

	l->error = getaddrinfo(l->host, NULL, &want, &list);
	for (struct addrinfo *a = list; a && l->count < ADDRESSES_MOST; a = a->ai_next)
		if (a->ai_addrlen <= sizeof l->found[0] &&
			(a->ai_family == AF_INET || a->ai_family == AF_INET6))
			memcpy(&l->found[l->count++], a->ai_addr, a->ai_addrlen);
	if (list)
		freeaddrinfo(list);
}

static void lookup_done(struct chore *w)
{
	struct lookup *l = CONTAINER(w, struct lookup, work);
	struct connector *c = l->connector;

	if (c) {
		timer_cancel(c->loop, &c->timer);
		c->lookup = NULL;
		for (unsigned i = 0; i < l->count; i++) {
			if (l->found[i].sa.sa_family == AF_INET)
				l->found[i].in.sin_port = htons(c->port);
			else
				l->found[i].in6.sin6_port = htons(c->port);
		}
		if (l->error || !l->count) {
			err_set(&c->why, ERR_ENV, "resolve %s: %s", c->host,
				l->error ? gai_strerror(l->error) : "no address");
			connector_end(c, -1);
		} else {
			addresses_take(c, l->found, l->count);
		}
	}
	mem_free(&l->host);
	mem_free(&l);
}

static void connector_begin(struct connector *c)
{
	union addr to;

	if (addr_parse(str_of(c->host), c->port, &to)) {
		c->numeric = true;
		addresses_take(c, &to, 1);
		return;
	}
	c->lookup = mem_new(struct lookup);
	c->lookup->connector = c;
	c->lookup->host = mem_dup(str_of(c->host));
	c->lookup->work =
		(struct chore){ .reply = c->loop, .call = lookup_call, .done = lookup_done };
	timer_set(c->loop, &c->timer, c->deadline);
	workers_do(&c->lookup->work);
}

static void connector_timer(struct timer *t)
{
	struct connector *c = CONTAINER(t, struct connector, timer);
	struct buf b = BUF_INIT;

	if (!c->began) {
		c->began = true;
		if (c->why.kind != ERR_NONE)
			connector_end(c, -1);
		else
			connector_begin(c);
		return;
	}
	buf_c(&b, "timed out after ");
	clock_put_dur(&b, loop_now(c->loop) - c->opened);
	buf_cstr(&b);
	if (c->lookup) {
		err_set(&c->why, ERR_ENV, "resolve %s: %s", c->host, b.p);
		connector_end(c, -1);
	} else {
		attempt_failed(c, b.p);
	}
	buf_free(&b);
}

struct connector *connector_open(struct loop *l, const char *host, uint16_t port,
	const char *source, mono_t deadline, connector_fn fn, void *owner)
{
	struct connector *c = mem_new(struct connector);

	c->loop = l;
	c->fn = fn;
	c->owner = owner;
	c->host = mem_dup(str_of(host));
	c->port = port;
	c->fd = -1;
	c->opened = loop_now(l);
	c->deadline = deadline;
	c->timer.fire = connector_timer;
	if (source && *source) {
		c->bound = addr_parse(str_of(source), 0, &c->source);
		if (!c->bound)
			err_set(&c->why, ERR_CONF, "connect %s: source %s is not an address", host,
				source);
	}
	timer_set(l, &c->timer, c->opened); /* begins, and fails, from the loop only */
	return c;
}
