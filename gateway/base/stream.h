/* A byte stream over TCP or TLS, on a loop: connects, accepts, reads in bulk, writes in batches.
 *
 * What is written in one turn of the loop leaves in one system call (one TLS record) at its end.
 * Reading: the whole of what has arrived is shown to the owner, who says how much it consumed;
 * the rest is shown again with more behind it. All calls and callbacks on the stream's loop.
 * IPv4 and IPv6; names are resolved on a worker, addresses tried in turn.
 */
#ifndef POSTERN_BASE_STREAM_H
#define POSTERN_BASE_STREAM_H

#include "gateway/base/loop.h"
#include "gateway/base/tls.h"

#include <netinet/in.h>

struct stream;

struct stream_events {
	/* Connected (and the TLS handshake done). Accepted streams get it too, once TLS is done;
	 * after stream_start_tls() it comes again. */
	void (*open)(struct stream *s, void *owner);
	/* Bytes are there. Returns how many were consumed (0: more are needed): all it can, for the
	 * rest is shown again only with more behind it or after stream_pause(s, false). The owner
	 * may close the stream here; it must then return anything and touch it no more. */
	size_t (*data)(struct stream *s, void *owner, struct str bytes);
	/* The end: why->text is worded for the log ("connection reset by peer"); kind ERR_NONE is
	 * an orderly close by the far side: what is written now may still arrive. Comes after all
	 * data was shown. Not called after stream_close(). The owner then closes. */
	void (*down)(struct stream *s, void *owner, const struct err *why);
	/* Optional: all that was written has left for the kernel. */
	void (*drained)(struct stream *s, void *owner);
};

/* All 0, or no limits at all (NULL): the defaults. */
struct stream_limits {
	size_t in_most;     /* unconsumed input; beyond it reading pauses, 0: 1 MiB */
	size_t out_most;    /* unsent output; stream_full() says true beyond, 0: 1 MiB */
	dur_t connect;      /* connect + TLS handshake, 0: 30 s */
	dur_t user_timeout; /* TCP_USER_TIMEOUT, 0: 30 s */
	/* What comes is acknowledged at once: for far sides that write a little, wait for that, and
	 * write on (Nagle's algorithm), which costs 40 ms where the acknowledgement is delayed. */
	bool quick_ack;
};
#define STREAM_USER_TIMEOUT (30 * DUR_S)
enum { STREAM_KEEPALIVE_S = 60 };

/* host: name or address; the callback open or down comes later, never from inside. source: local
 * address to bind, or NULL. tls may be NULL. */
struct stream *stream_connect(struct loop *l, const char *host, uint16_t port, const char *source,
	struct tls_client *tls, const struct stream_limits *lim, const struct stream_events *ev,
	void *owner);
/* Takes the accepted descriptor. */
struct stream *stream_accept(struct loop *l, int fd, struct tls_server *tls,
	const struct stream_limits *lim, const struct stream_events *ev, void *owner);
void stream_write(struct stream *s, const void *p, size_t n); /* copied */
/* The output buffer itself, to be appended to by a codec; stream_written() when done. */
struct buf *stream_out(struct stream *s);
void stream_written(struct stream *s);
bool stream_full(const struct stream *s);
size_t stream_unsent(const struct stream *s);
/* Octets of output since the beginning: how many were written, and how many have been handed to the
 * kernel (or to TLS) and may be with the far side; the latter stays known when the stream ends. */
uint64_t stream_position(const struct stream *s);
uint64_t stream_sent(const struct stream *s);
void stream_drop(struct stream *s); /* what is unsent never leaves, and nothing that follows */
/* Stops and resumes reading. On resuming, what was not consumed is shown again, later. */
void stream_pause(struct stream *s, bool paused);
void stream_limit_in(struct stream *s, size_t in_most);
/* STARTTLS: the next bytes are a handshake. Output so far is flushed first. Input already read
 * beyond it is an error by the caller's protocol (injection) and must be checked there. */
int stream_start_tls(struct stream *s, struct tls_client *c, struct tls_server *sv, struct err *e);
/* Sends what is unsent for at most linger, then closes; no more callbacks; *sp nulled. With 0
 * what the kernel takes at the end of this turn is sent; otherwise the far side is waited for to
 * close as well, so that no reset eats the last bytes. A loop that ends ends lingering too. */
void stream_close(struct stream **sp, dur_t linger);
const char *stream_peer(const struct stream *s); /* "192.0.2.1:4711", "[2001:db8::1]:4711" */
const struct sockaddr *stream_peer_addr(const struct stream *s);
bool stream_is_tls(const struct stream *s);
const char *stream_alpn(const struct stream *s);   /* what TLS agreed on, "" for nothing */
const char *stream_cipher(const struct stream *s); /* "TLSv1.3 TLS_AES_256_GCM_SHA384", or "" */
void stream_set_owner(struct stream *s, const struct stream_events *ev, void *owner);

/* ---- listening ---- */
struct acceptor;
typedef void (*acceptor_fn)(void *owner, int fd, const struct sockaddr *from);
/* "127.0.0.1:2775", "[::]:2775", "0.0.0.0:2775", "*:2775" (both families). Port 0: any, see
 * acceptor_port(). Accepts in bursts; pauses for a moment when descriptors run out. */
struct acceptor *acceptor_open(
	struct loop *l, const char *listen, acceptor_fn fn, void *owner, struct err *e);
void acceptor_close(struct acceptor **ap);
void acceptor_pause(struct acceptor *a, bool paused);
uint16_t acceptor_port(const struct acceptor *a);

/* ---- addresses ---- */
union addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};
/* A numeric address; false for a name. */
bool addr_parse(struct str host, uint16_t port, union addr *a_r);
void addr_unmap(union addr *a); /* v4-mapped IPv6 becomes IPv4 */
socklen_t addr_len(const union addr *a);
uint16_t addr_port(const union addr *a);
enum { ADDR_TEXT = 56 };
/* "192.0.2.1:4711", "[2001:db8::1]:4711", "" for other families; returns text. */
const char *addr_text(const struct sockaddr *sa, char text[ADDR_TEXT]);
/* Splits "host:port" / "[v6]:port" / "*:port"; false when it is neither. */
bool addr_split(struct str s, struct str *host_r, uint16_t *port_r);
/* CIDR or plain address, IPv4 or IPv6, parsed once; v4-mapped v6 peers match v4 networks. */
struct addr_net {
	uint8_t bytes[16];
	unsigned bits; /* of 128, v4 as mapped */
};
bool addr_net_parse(struct str s, struct addr_net *n_r);
bool addr_net_has(const struct addr_net *n, const struct sockaddr *sa);
bool addr_is_loopback(const struct sockaddr *sa);
bool addr_is_private(const struct sockaddr *sa); /* RFC 1918, link-local, loopback, ULA, … */
bool addr_listen_is_loopback(struct str listen);
/* For rows of settings (conf.h, .check): where to listen ("address:port"), a far side ("host" or
 * "host:port"), one of our own addresses or "". -1: it is none, and *e says so. */
int addr_listen_check(struct str s, struct err *e);
int addr_far_check(struct str s, struct err *e);
int addr_own_check(struct str s, struct err *e);
int addr_net_check(struct str s, struct err *e);    /* an address or network */
int addr_domain_check(struct str s, struct err *e); /* a name that DNS can have, in ASCII, or "" */
/* The key under which an address's misdeeds are counted: IPv4 /32, IPv6 /64. */
uint64_t addr_key(const struct sockaddr *sa);
#endif
