/* What an SMPP session is on either side: PDUs over a stream, sequence numbers, unanswered
 * requests with their timeouts, enquire_link both ways. Who may say what when is the owner's
 * affair (session.c for servers, client*.c for clients). One loop's thread.
 *
 * A wire is embedded in its owner's session. It answers by itself: enquire_link, PDUs that cannot
 * be read (with their own response or generic_nack), and lengths that lose the stream (generic_nack
 * and the end). From a far side that does not read what it asked for, nothing more is read, for a
 * minute; then it is the end. Everything else is shown decoded; slices point into the input and die
 * with the call.
 */
#ifndef POSTERN_SMPP_WIRE_H
#define POSTERN_SMPP_WIRE_H

#include "gateway/base/stat.h"
#include "gateway/base/stream.h"
#include "protocols/smpp/pdu.h"

struct wire;

/* What to do with a PDU just shown. */
enum wire_verdict {
	WIRE_DONE,
	/* Not now: the same PDU is shown again after wire_pause(w, false), and nothing before.
	 * The owner has called, or now calls, wire_pause(w, true). */
	WIRE_AGAIN,
};

/* All may close the wire (wire_close()) and free it; then it is touched no more. */
struct wire_events {
	void (*open)(struct wire *w); /* connected, TLS done */
	/* A request (unbind and outbind too; not enquire_link). */
	enum wire_verdict (*request)(struct wire *w, const struct pdu *p);
	/* The answer to a request of ours: the response that belongs to it, or generic_nack.
	 * token: from wire_expect(). */
	void (*response)(struct wire *w, const struct pdu *p, void *token);
	/* A response that nothing waits for: late, twice, or an invention. May be NULL. */
	void (*stray)(struct wire *w, const struct pdu *p);
	/* No answer within wire.answer_most; the number is free again. */
	void (*timeout)(struct wire *w, uint32_t sequence, uint32_t command, void *token);
	/* A PDU was refused (already answered); p is set as far as it was read. May be NULL. */
	void (*refused)(struct wire *w, const struct pdu *p, uint32_t status);
	/* All that was written has left. May be NULL. */
	void (*drained)(struct wire *w);
	/* The end, once: the far side, the network, two unanswered enquire_links, or bytes that are
	 * not SMPP. why->kind ERR_NONE: an orderly close by the far side. The owner takes what is
	 * still unanswered by wire_pop() and then calls wire_close(). */
	void (*down)(struct wire *w, const struct err *why);
};

/* Shared by all wires of a listener or channel; registered by their owner. */
struct wire_stats {
	struct stat_cell in, out;  /* PDUs */
	struct stat_cell broken;   /* that could not be read, or lost the stream */
	struct stat_cell stray;    /* responses that nothing waited for */
	struct stat_cell timeouts; /* requests of ours without an answer */
	struct stat_cell silent;   /* links given up because enquire_link was not answered */
};
/* labels as "listener", "esme" or "channel", "smsc-a". */
void wire_stats_register(struct wire_stats *s, const char *label, const char *name);
void wire_stats_unregister(struct wire_stats *s);

struct wire_slot {
	uint32_t sequence; /* 0: free */
	uint32_t command;
	uint32_t next, prev; /* indices + 1, in the order of sending */
	mono_t deadline;
	void *token;
};

struct wire {
	/* The owner's, set before wire_accept() or wire_connect(); may be changed at any time: */
	const struct wire_events *ev;
	void *owner;
	struct wire_stats *stats; /* not NULL */
	size_t cap;               /* largest PDU; 0: PDU_CAP */
	unsigned decode;          /* PDU_LONG_NAMES … */
	dur_t answer_most;        /* for our requests, 0: 60 s */
	dur_t enquire_after;      /* silence after which we probe, 0: never; see wire_watch() */
	dur_t enquire_most;       /* for its answer, 0: 15 s; the second silence is the end */
	dur_t silence_most;       /* without a PDU (responses count): the end, 0: never */

	/* Read by anyone: */
	unsigned unanswered; /* requests of ours, without enquire_link */
	mono_t heard;        /* when the last octet came */

	/* private */
	struct stream *stream;
	struct loop *loop;
	struct timer timer;
	struct wire_slot *slots;
	uint32_t slots_n; /* power of two */
	uint32_t oldest, newest;
	uint32_t sequence;       /* the last one given */
	uint32_t probe;          /* sequence of the enquire_link under way, 0: none */
	mono_t probe_sent, said; /* said: when the last whole PDU came */
	mono_t choked_at;
	unsigned missed;
	bool paused, choked, over;
	bool *gone;
};

void wire_accept(struct wire *w, struct loop *l, int fd, struct tls_server *tls);
void wire_connect(struct wire *w, struct loop *l, const char *host, uint16_t port,
	const char *source, struct tls_client *tls, dur_t connect_most);

/* Output: append whole PDUs with pdu_put_*() to wire_out(), then say how many. They leave in one
 * write at the end of the loop's turn. Harmless after `down`, not after wire_close(). */
struct buf *wire_out(struct wire *w);
void wire_wrote(struct wire *w, unsigned pdus);
/* The far side does not read: stop asking it for things. `drained` tells the end of it. */
bool wire_full(const struct wire *w);

/* A sequence number for the next request, and its place among the unanswered. Numbers run from 1
 * to 0x7fffffff and leave out what is still unanswered. Constant time. */
uint32_t wire_expect(struct wire *w, uint32_t command, void *token);
/* Takes back the newest number, whose PDU was not written after all. */
void wire_forget(struct wire *w, uint32_t sequence);
/* Takes the oldest unanswered request off; false: there is none. */
bool wire_pop(struct wire *w, void **token_r);

/* Stops and resumes reading. A paused wire does not blame the far side for its silence. */
void wire_pause(struct wire *w, bool paused);
/* Changes enquire_after and silence_most of an open wire (setting them is for before). */
void wire_watch(struct wire *w, dur_t enquire_after, dur_t silence_most);
/* Asks for a sign of life now, and whether one is overdue. */
void wire_probe(struct wire *w);
bool wire_is_silent(const struct wire *w);
static inline bool wire_is_open(const struct wire *w)
{
	return w->stream && !w->over;
}
const char *wire_peer(const struct wire *w); /* "192.0.2.1:4711"; "" when closed */

/* The end by us: what is written leaves for at most linger. No more callbacks; unanswered requests
 * are forgotten. Harmless when closed. */
void wire_close(struct wire *w, dur_t linger);

#endif
