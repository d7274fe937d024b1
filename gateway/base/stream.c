/* Streams: bytes between an owner and a socket, with or without TLS. See stream.h.
 *
 * Owners are called from three places only, never from inside a call of theirs: readiness of the
 * descriptor, the letter `later` at the end of a turn (flushing, what was put off) and the letter
 * `again` (reading that goes on or resumes). A closed stream is freed by its own last letter, so
 * closing is allowed in every callback.
 *
 * Input is read into the loop's scratch space behind the few bytes left from last time, shown from
 * there, and only the unconsumed rest is copied. An idle stream holds no buffers.
 */
#include "gateway/base/stream.h"
#include "gateway/base/connect.h"
#include "gateway/base/mem.h"
#include "gateway/base/tls_link.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	IN_MOST = 1 << 20,
	OUT_MOST = 1 << 20,
	IN_COPIED = 16 * 1024,  /* a rest longer than this is read onto, not copied about */
	WIRE_MOST = 128 * 1024, /* ciphertext made before some of it is sent */
	DISCARD_MOST = 1 << 20, /* read and thrown away while lingering */
};
#define CONNECT_TIME (30 * DUR_S)
#define TRIM_AFTER   (5 * DUR_S)

enum stream_state {
	STREAM_CONNECTING,
	STREAM_HANDSHAKE,
	STREAM_OPEN,
	STREAM_DOWN,    /* the owner knows, and will close */
	STREAM_CLOSING, /* the owner is gone */
};

enum stream_due {
	DUE_OPEN = 1, /* tell the owner that it is open */
	DUE_FLUSH = 2,
	DUE_SHAKE = 4, /* take the handshake's next step */
	DUE_FREE = 8,
};

struct stream {
	struct loop *loop;
	const struct stream_events *ev;
	void *owner;
	struct stream_limits lim;
	enum stream_state state;
	unsigned due;
	struct letter later, again;
	bool later_queued, again_queued;
	bool paused;
	bool showing; /* inside the data callback */
	bool reshow;  /* show what is there although nothing came */
	bool ended;   /* reading is over: why says how */
	bool broken;  /* writing is over */
	bool blocked; /* the kernel takes no more for now */
	bool bye;     /* close_notify or FIN is sent */
	bool used;    /* buffers, since the last trim */
	struct io io;
	struct timer timer;  /* connecting: deadline; open: trim; closing: linger */
	struct loop_end end; /* closing: the loop may go first */
	struct connector *connector;
	struct tls_link *tls;
	struct tls_client *client; /* to begin with once connected */
	struct buf in, out, wire;  /* wire: what goes out as it is: ciphertext */
	size_t out_sent, wire_sent, discarded;
	uint64_t out_left; /* of out, since the beginning: handed on */
	struct err *why;
	union addr addr;
	char peer[ADDR_TEXT];
};

static bool stream_send(struct stream *s, struct buf *b, size_t *sent);
static void stream_read(struct stream *s);

/* ---- small things ---- */

static void stream_due(struct stream *s, unsigned what)
{
	s->due |= what;
	if (s->later_queued)
		return;
	s->later_queued = true;
	loop_later(s->loop, &s->later);
}

static void stream_read_again(struct stream *s)
{
	if (s->again_queued)
		return;
	s->again_queued = true;
	loop_post(s->loop, &s->again);
}

static bool stream_choked(const struct stream *s)
{
	return s->in.n >= s->lim.in_most;
}

static void stream_waits(struct stream *s)
{
	unsigned what = 0;

	if (!s->io.event)
		return;
	if (!s->ended && (s->state == STREAM_HANDSHAKE || s->state == STREAM_CLOSING ||
				 (s->state == STREAM_OPEN && !s->paused && !stream_choked(s))))
		what |= IO_READ;
	if (s->blocked && !s->broken)
		what |= IO_WRITE;
	io_wait_for(&s->io, what);
}

static size_t stream_left(const struct stream *s)
{
	return s->out.n - s->out_sent + s->wire.n - s->wire_sent;
}

/* Keeps the first reason. */
static void stream_why(struct stream *s, const struct err *why)
{
	if (s->why)
		return;
	s->why = mem_new(struct err);
	*s->why = *why;
}

static void stream_why_text(struct stream *s, enum err_kind kind, const char *text)
{
	struct err e = { 0 };

	err_set(&e, kind, "%s", text);
	stream_why(s, &e);
}

static void stream_break(struct stream *s)
{
	s->broken = true;
	s->blocked = false;
	buf_free(&s->out);
	buf_free(&s->wire);
	s->out_sent = s->wire_sent = 0;
}

/* The one place where an owner hears of the end. */
static void stream_down(struct stream *s)
{
	bool was_open = s->state == STREAM_OPEN;

	s->ended = true;
	s->state = STREAM_DOWN;
	timer_cancel(s->loop, &s->timer);
	if (s->tls && !s->broken)
		stream_send(s, &s->wire, &s->wire_sent); /* the alert that says why */
	if (!was_open || s->why->kind != ERR_NONE)
		stream_break(s);
	stream_waits(s);
	s->ev->down(s, s->owner, s->why);
}

static void stream_trim_later(struct stream *s)
{
	if (s->state == STREAM_OPEN && !timer_is_set(&s->timer))
		timer_in(s->loop, &s->timer, TRIM_AFTER);
}

static void stream_trim(struct stream *s)
{
	if (s->used) {
		s->used = false;
		stream_trim_later(s);
		return;
	}
	if (s->in.n == 0)
		buf_free(&s->in);
	if (s->out.n == 0)
		buf_free(&s->out);
	if (s->wire.n == 0)
		buf_free(&s->wire);
}

/* ---- writing ---- */

/* Sends b from *sent on; true when all of it is gone. */
static bool stream_send(struct stream *s, struct buf *b, size_t *sent)
{
	while (*sent < b->n) {
		ssize_t n = send(s->io.fd, b->p + *sent, b->n - *sent, MSG_NOSIGNAL);

		if (n >= 0) {
			*sent += (size_t)n;
			s->out_left += b == &s->out ? (size_t)n : 0;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == EWOULDBLOCK) {
			s->blocked = true;
			/* Moving the rest down must not cost more than sending it did. */
			if (*sent > b->n / 2) {
				buf_drop(b, *sent);
				*sent = 0;
			}
			return false;
		}
		stream_why_text(s, ERR_ENV, net_error_text(errno));
		stream_break(s);
		return false;
	}
	b->n = *sent = 0;
	return true;
}

/* Makes some more ciphertext; false when there is nothing to make it of. */
static bool stream_encrypt(struct stream *s)
{
	size_t n = s->out.n - s->out_sent;
	struct err e;

	if (!s->tls || s->state == STREAM_HANDSHAKE || n == 0)
		return false;
	if (n > WIRE_MOST)
		n = WIRE_MOST;
	if (tls_link_write(s->tls, s->out.p + s->out_sent, n, &e) < 0) {
		stream_why(s, &e);
		stream_break(s);
		return false;
	}
	s->out_sent += n;
	s->out_left += n;
	if (s->out_sent == s->out.n)
		s->out.n = s->out_sent = 0;
	return true;
}

/* True when everything has left for the kernel. */
static bool stream_flush(struct stream *s)
{
	if (s->broken || s->blocked || s->io.fd < 0)
		return false;
	do
		if (!stream_send(s, &s->wire, &s->wire_sent))
			return false;
	while (stream_encrypt(s));
	if (!s->tls && !stream_send(s, &s->out, &s->out_sent))
		return false;
	return stream_left(s) == 0 && !s->broken;
}

/* Writing failed. What the far side said before it went away may still be there to be read, and
 * says more than "broken pipe"; if it does not end by that, it ends here. */
static void stream_write_failed(struct stream *s)
{
	if (!s->paused && !s->ended && s->state == STREAM_OPEN)
		stream_read(s);
	if (s->state == STREAM_OPEN || s->state == STREAM_HANDSHAKE)
		stream_down(s);
}

static void stream_flush_now(struct stream *s)
{
	bool had = stream_left(s) > 0, gone = stream_flush(s);

	s->used = true;
	stream_waits(s);
	if (s->broken) {
		stream_write_failed(s);
		return;
	}
	if (!gone || !had)
		return;
	stream_trim_later(s);
	if (s->ev->drained && (s->state == STREAM_OPEN || s->state == STREAM_DOWN))
		s->ev->drained(s, s->owner);
}

/* ---- the handshake ---- */

static void stream_opened(struct stream *s)
{
	s->state = STREAM_OPEN;
	timer_cancel(s->loop, &s->timer);
	if (stream_left(s))
		stream_due(s, DUE_FLUSH);
	/* What came along with the handshake's end may be in OpenSSL's buffer already. */
	if (s->tls)
		stream_read_again(s);
	stream_waits(s);
	s->ev->open(s, s->owner);
}

static void stream_shake(struct stream *s)
{
	struct err e;
	int rc = tls_link_handshake(s->tls, &e);

	if (s->wire.n > s->wire_sent)
		stream_flush(s); /* our part, or the alert that says why not */
	if (rc < 0) {
		stream_why(s, &e);
		stream_down(s);
	} else if (rc > 0) {
		stream_opened(s);
	} else if (s->broken) {
		stream_down(s);
	} else {
		stream_waits(s);
	}
}

static void stream_shake_begin(struct stream *s, struct tls_client *c, struct tls_server *sv)
{
	s->state = STREAM_HANDSHAKE;
	s->tls = c ? tls_link_client(c, s->io.fd, &s->wire)
		   : tls_link_server(sv, s->io.fd, &s->wire);
	stream_due(s, DUE_SHAKE);
}

int stream_start_tls(struct stream *s, struct tls_client *c, struct tls_server *sv, struct err *e)
{
	if (s->state != STREAM_OPEN || s->tls)
		return err_set(
			e, ERR_ENV, "STARTTLS: %s", s->tls ? "TLS is on already" : "not connected");
	if (!s->showing && s->in.n)
		return err_set(e, ERR_INPUT, "STARTTLS: input before the handshake");
	/* What was written so far goes ahead, as it is. */
	buf_add(&s->wire, s->out.p ? s->out.p + s->out_sent : "", s->out.n - s->out_sent);
	s->out_left += s->out.n - s->out_sent;
	s->out.n = s->out_sent = 0;
	stream_shake_begin(s, c, sv);
	timer_in(s->loop, &s->timer, s->lim.connect);
	stream_due(s, DUE_FLUSH);
	stream_waits(s);
	return 0;
}

/* ---- reading ---- */

/* Reads into room bytes at `at`. What ends the stream is kept in ended and why. */
static size_t stream_fill(struct stream *s, char *at, size_t room)
{
	size_t got = 0;
	ssize_t n;
	struct err e;

	while (s->tls && got < room) {
		n = tls_link_read(s->tls, at + got, room - got, &e);
		if (n > 0) {
			got += (size_t)n;
			if (!tls_link_pending(s->tls))
				break; /* the rest, if any, is the kernel's to announce */
			continue;
		}
		if (n == TLS_END)
			stream_why_text(s, ERR_NONE, "closed by peer");
		else if (n == TLS_FAILED)
			stream_why(s, &e);
		s->ended = n != TLS_LATER;
		break;
	}
	if (s->tls) {
		/* Full: more may wait inside OpenSSL, of which the descriptor knows nothing. */
		if (got == room)
			stream_read_again(s);
		if (s->wire.n > s->wire_sent)
			stream_due(s, DUE_FLUSH); /* an alert, a key update */
		return got;
	}
	do
		n = recv(s->io.fd, at, room, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return (size_t)n;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n == 0)
		stream_why_text(s, ERR_NONE, "closed by peer");
	else
		stream_why_text(s, ERR_ENV, net_error_text(errno));
	s->ended = true;
	return 0;
}

/* Shows n bytes at p to the owner and keeps the rest; p is s->in.p or scratch space. */
static void stream_show(struct stream *s, const char *p, size_t n)
{
	const struct stream_events *ev;
	void *owner;
	size_t eaten, all = 0;

	do {
		ev = s->ev;
		owner = s->owner;
		s->showing = true;
		eaten = ev->data(s, owner, str_n(p + all, n - all));
		s->showing = false;
		if (s->state == STREAM_CLOSING)
			return;
		CHECK(eaten <= n - all);
		all += eaten;
		/* A new owner takes over what the old one left. */
	} while (all < n && s->state == STREAM_OPEN && !s->paused &&
		 (s->ev != ev || s->owner != owner));
	if (p == s->in.p) {
		buf_drop(&s->in, all);
	} else {
		s->in.n = 0;
		buf_add(&s->in, p + all, n - all);
	}
	if (s->state == STREAM_HANDSHAKE && s->in.n) {
		/* RFC 3207 §4.2 and its kin: commands slipped in before the handshake. */
		s->in.n = 0;
		stream_why_text(s, ERR_INPUT, "input before the TLS handshake");
		stream_down(s);
	}
}

static void stream_read(struct stream *s)
{
	char *at;
	size_t had = s->in.n, got = 0;
	bool direct = had > IN_COPIED, reshow = s->reshow;

	if (s->state != STREAM_OPEN)
		return;
	s->reshow = false;
	if (direct) {
		buf_reserve(&s->in, LOOP_SCRATCH);
		at = s->in.p;
	} else {
		at = loop_scratch(s->loop);
		memcpy(at, s->in.p ? s->in.p : "", had);
	}
	if (!s->ended && !stream_choked(s))
		got = stream_fill(s, at + had, LOOP_SCRATCH - (direct ? 0 : had));
	if (got && s->lim.quick_ack) { /* the kernel forgets it time and again */
		int one = 1;

		setsockopt(s->io.fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
	}
	if (direct)
		s->in.n += got;
	if (got || (reshow && had)) {
		s->used = true;
		stream_show(s, at, had + got);
	}
	if (s->state != STREAM_OPEN && s->state != STREAM_HANDSHAKE)
		return;
	/* The end waits until the owner has seen the rest and may read on. */
	if (s->ended && !s->paused && !s->reshow && s->state == STREAM_OPEN) {
		stream_down(s);
		return;
	}
	if (s->in.p)
		stream_trim_later(s);
	stream_waits(s);
}

static void stream_discard(struct stream *s)
{
	size_t n = stream_fill(s, loop_scratch(s->loop), LOOP_SCRATCH);

	s->discarded += n;
	if (s->ended || s->discarded > DISCARD_MOST)
		stream_due(s, DUE_FREE);
}

/* ---- closing ---- */

static void stream_close_on(struct stream *s)
{
	bool gone = stream_flush(s);

	if (gone && !s->bye) {
		s->bye = true;
		if (s->tls)
			tls_link_bye(s->tls);
		gone = stream_flush(s);
	}
	/* In the end FIN, and the far side's: a close with input unread would be a reset. */
	if (gone && !s->ended && timer_is_set(&s->timer)) {
		shutdown(s->io.fd, SHUT_WR);
		stream_waits(s);
	} else if (gone || s->broken || !timer_is_set(&s->timer)) {
		s->due |= DUE_FREE;
	} else {
		stream_waits(s);
	}
}

static void stream_free(struct stream *s)
{
	timer_cancel(s->loop, &s->timer);
	list_remove(&s->end.link);
	io_close(&s->io);
	if (s->io.fd >= 0)
		close(s->io.fd);
	tls_link_free(&s->tls);
	tls_client_free(&s->client);
	buf_free(&s->in);
	buf_free(&s->out);
	buf_free(&s->wire);
	mem_free(&s->why);
	mem_free(&s);
}

static void stream_loop_ends(struct loop_end *end)
{
	struct stream *s = CONTAINER(end, struct stream, end);

	timer_cancel(s->loop, &s->timer);
	stream_due(s, DUE_FREE);
}

void stream_close(struct stream **sp, dur_t linger)
{
	struct stream *s = *sp;
	bool sendable;

	*sp = NULL;
	if (!s)
		return;
	sendable = (s->state == STREAM_OPEN || s->state == STREAM_DOWN) && !s->broken;
	s->state = STREAM_CLOSING;
	connector_close(&s->connector);
	timer_cancel(s->loop, &s->timer);
	if (sendable && linger > 0) {
		timer_in(s->loop, &s->timer, linger);
		s->end.run = stream_loop_ends;
		loop_at_end(s->loop, &s->end);
	}
	stream_due(s, sendable ? DUE_FLUSH : DUE_FREE);
}

/* ---- where the loop comes in ---- */

static void stream_ready(struct io *io, unsigned what)
{
	struct stream *s = CONTAINER(io, struct stream, io);

	if (what & IO_WRITE) {
		s->blocked = false;
		stream_due(s, DUE_FLUSH);
	}
	if (s->state == STREAM_HANDSHAKE)
		stream_shake(s);
	else if (what & IO_READ && s->state == STREAM_OPEN && !s->paused)
		stream_read(s);
	else if (what & IO_READ && s->state == STREAM_CLOSING)
		stream_discard(s);
	if (what & IO_WRITE)
		stream_waits(s);
}

static void stream_again(struct letter *letter)
{
	struct stream *s = CONTAINER(letter, struct stream, again);

	s->again_queued = false;
	if (s->state == STREAM_CLOSING) {
		/* The last letter frees. */
		if (s->due & DUE_FREE)
			stream_due(s, 0);
		else
			stream_discard(s);
		return;
	}
	if (!s->paused)
		stream_read(s);
}

static void stream_later(struct letter *letter)
{
	struct stream *s = CONTAINER(letter, struct stream, later);
	unsigned due = s->due;

	s->later_queued = false;
	s->due &= DUE_FREE;
	if (s->state == STREAM_CLOSING) {
		if (!(due & DUE_FREE))
			stream_close_on(s);
		if (s->due & DUE_FREE && !s->again_queued && !s->later_queued)
			stream_free(s);
		return;
	}
	/* Each step may end the stream, or close it: then the letter is queued anew. */
	if (due & DUE_OPEN && s->state == STREAM_CONNECTING)
		stream_opened(s);
	if (due & DUE_SHAKE && s->state == STREAM_HANDSHAKE)
		stream_shake(s);
	if (due & DUE_FLUSH && s->state != STREAM_CLOSING && s->state != STREAM_CONNECTING)
		stream_flush_now(s);
}

static void stream_timer(struct timer *t)
{
	struct stream *s = CONTAINER(t, struct stream, timer);

	if (s->state == STREAM_OPEN) {
		stream_trim(s);
	} else if (s->state == STREAM_HANDSHAKE) {
		stream_why_text(s, ERR_ENV, "TLS handshake: timed out");
		stream_down(s);
	} else if (s->state == STREAM_CLOSING) {
		stream_due(s, DUE_FREE);
	}
}

/* ---- beginnings ---- */

static struct stream *stream_new(struct loop *l, const struct stream_limits *lim,
	const struct stream_events *ev, void *owner)
{
	struct stream *s = mem_new(struct stream);

	s->loop = l;
	s->ev = ev;
	s->owner = owner;
	if (lim)
		s->lim = *lim;
	if (!s->lim.in_most)
		s->lim.in_most = IN_MOST;
	if (!s->lim.out_most)
		s->lim.out_most = OUT_MOST;
	if (!s->lim.connect)
		s->lim.connect = CONNECT_TIME;
	if (!s->lim.user_timeout)
		s->lim.user_timeout = STREAM_USER_TIMEOUT;
	s->io.fd = -1;
	s->later.run = stream_later;
	s->again.run = stream_again;
	s->timer.fire = stream_timer;
	return s;
}

static void stream_take_fd(struct stream *s, int fd)
{
	int one = 1, idle = STREAM_KEEPALIVE_S, user_ms = (int)(s->lim.user_timeout / DUR_MS);
	int has = 0;
	socklen_t n = sizeof has;

	/* All of these are improvements only: not every socket has them (tests use pairs). One that
	 * an acceptor of ours accepted has them already. */
	if (getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &has, &n) != 0 || !has) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
		has = 0;
	}
	if (!has || s->lim.user_timeout != STREAM_USER_TIMEOUT)
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_ms, sizeof user_ms);
	n = sizeof s->addr;
	if (getpeername(fd, &s->addr.sa, &n) == 0) {
		addr_unmap(&s->addr);
		addr_text(&s->addr.sa, s->peer);
	}
	io_open(s->loop, &s->io, fd, stream_ready);
}

static void stream_connected(void *owner, int fd, const struct err *why)
{
	struct stream *s = owner;

	s->connector = NULL;
	if (fd < 0) {
		stream_why(s, why);
		stream_down(s);
		return;
	}
	stream_take_fd(s, fd);
	if (!s->client) {
		stream_opened(s);
		return;
	}
	stream_shake_begin(s, s->client, NULL);
	stream_waits(s);
}

struct stream *stream_connect(struct loop *l, const char *host, uint16_t port, const char *source,
	struct tls_client *tls, const struct stream_limits *lim, const struct stream_events *ev,
	void *owner)
{
	struct stream *s = stream_new(l, lim, ev, owner);
	mono_t deadline = loop_now(l) + s->lim.connect;

	snprintf(s->peer, sizeof s->peer, "%s:%u", host, (unsigned)port);
	if (tls)
		s->client = tls_client_ref(tls);
	/* Ours is for the handshake; while connecting, the connector keeps the same deadline. */
	timer_set(l, &s->timer, deadline);
	s->connector = connector_open(l, host, port, source, deadline, stream_connected, s);
	return s;
}

struct stream *stream_accept(struct loop *l, int fd, struct tls_server *tls,
	const struct stream_limits *lim, const struct stream_events *ev, void *owner)
{
	struct stream *s = stream_new(l, lim, ev, owner);

	stream_take_fd(s, fd);
	if (tls) {
		timer_in(l, &s->timer, s->lim.connect);
		stream_shake_begin(s, NULL, tls);
	} else {
		stream_due(s, DUE_OPEN);
	}
	return s;
}

/* ---- the owner's calls ---- */

struct buf *stream_out(struct stream *s)
{
	return &s->out;
}

void stream_written(struct stream *s)
{
	if (s->broken || s->state == STREAM_CLOSING) {
		s->out.n = s->out_sent = 0;
		return;
	}
	if (!s->blocked)
		stream_due(s, DUE_FLUSH);
}

void stream_write(struct stream *s, const void *p, size_t n)
{
	if (!s->broken)
		buf_add(&s->out, p, n);
	stream_written(s);
}

bool stream_full(const struct stream *s)
{
	return stream_left(s) > s->lim.out_most;
}

size_t stream_unsent(const struct stream *s)
{
	return stream_left(s);
}

uint64_t stream_position(const struct stream *s)
{
	return s->out_left + s->out.n - s->out_sent;
}

uint64_t stream_sent(const struct stream *s)
{
	return s->out_left;
}

void stream_drop(struct stream *s)
{
	stream_break(s);
}

void stream_pause(struct stream *s, bool paused)
{
	bool was = s->paused;

	s->paused = paused;
	if (!paused && (was || s->in.n) && s->state == STREAM_OPEN) {
		s->reshow = true;
		stream_read_again(s);
	}
	stream_waits(s);
}

void stream_limit_in(struct stream *s, size_t in_most)
{
	bool choked = stream_choked(s);

	s->lim.in_most = in_most ? in_most : IN_MOST;
	if (choked && !stream_choked(s))
		stream_read_again(s);
	stream_waits(s);
}

const char *stream_peer(const struct stream *s)
{
	return s->peer;
}

const struct sockaddr *stream_peer_addr(const struct stream *s)
{
	return &s->addr.sa;
}

bool stream_is_tls(const struct stream *s)
{
	return s->tls && s->state != STREAM_HANDSHAKE;
}

const char *stream_alpn(const struct stream *s)
{
	return stream_is_tls(s) ? tls_link_alpn(s->tls) : "";
}

const char *stream_cipher(const struct stream *s)
{
	return stream_is_tls(s) ? tls_link_cipher(s->tls) : "";
}

void stream_set_owner(struct stream *s, const struct stream_events *ev, void *owner)
{
	s->ev = ev;
	s->owner = owner;
}
