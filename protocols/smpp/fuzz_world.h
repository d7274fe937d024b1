/* Stand-ins for streams, the loop and its timers, for the fuzz targets of the SMPP halves: linked
 * instead of the real ones, single-threaded, without I/O and without waiting. A stream holds what
 * the fuzzer lets the far side send, and checks that what is written to it is whole PDUs that our
 * codec reads. Header-only, for one file of a program.
 */
#ifndef POSTERN_SMPP_FUZZ_WORLD_H
#define POSTERN_SMPP_FUZZ_WORLD_H

#include "gateway/base/backoff.h"
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/base/tls.h"
#include "protocols/smpp/wire.h"

/* The descriptors of its streams begin where no real one is: the code under test may close them. */
enum { STREAMS = 8, TIMERS = 32, ASKED = 16, FIRST_FD = 1 << 20 };

struct asked { /* a request of ours */
	uint32_t command, sequence;
};
struct stream {
	const struct stream_events *ev;
	void *owner;
	struct buf in, out;
	bool used, paused, full, closed, again;
	struct asked asked[ASKED];
	unsigned asked_n;
};

static struct {
	struct stream streams[STREAMS];
	struct timer *timers[TIMERS];
	struct letter *letters;
	mono_t now;
	unsigned read; /* PDU_ flags of the far side that reads us */
	acceptor_fn accept;
	void *acceptor_owner;
} world;
static int dummy; /* something to point at */

/* streams */
struct stream *stream_accept(struct loop *l, int fd, struct tls_server *tls,
	const struct stream_limits *lim, const struct stream_events *ev, void *owner)
{
	struct stream *s = &world.streams[fd - FIRST_FD];

	*s = (struct stream){ .ev = ev, .owner = owner, .used = true };
	return s;
}
struct stream *stream_connect(struct loop *l, const char *host, uint16_t port, const char *source,
	struct tls_client *tls, const struct stream_limits *lim, const struct stream_events *ev,
	void *owner)
{
	for (int i = 0; i < STREAMS; i++)
		if (!world.streams[i].used)
			return stream_accept(l, FIRST_FD + i, NULL, lim, ev, owner);
	CHECK(false);
	return NULL;
}
struct buf *stream_out(struct stream *s)
{
	CHECK(s && s->used && !s->closed);
	return &s->out;
}
void stream_written(struct stream *s)
{
	CHECK(s && s->used && !s->closed);
}
bool stream_full(const struct stream *s)
{
	return s->full;
}
void stream_pause(struct stream *s, bool paused)
{
	s->again |= s->paused && !paused;
	s->paused = paused;
}
const char *stream_cipher(const struct stream *s)
{
	return "";
}
const char *stream_peer(const struct stream *s)
{
	return "192.0.2.1:4711";
}
void stream_close(struct stream **sp, dur_t linger)
{
	if (*sp)
		(*sp)->closed = true;
	*sp = NULL;
}

/* the loop */
mono_t loop_now(const struct loop *l)
{
	return world.now;
}
void loop_later(struct loop *l, struct letter *letter)
{
	letter->next = world.letters;
	world.letters = letter;
}
void timer_cancel(struct loop *l, struct timer *t)
{
	if (t->place)
		world.timers[t->place - 1] = NULL;
	t->place = 0;
}
void timer_set(struct loop *l, struct timer *t, mono_t at)
{
	t->at = at;
	for (size_t i = 0; i < TIMERS && !t->place; i++) {
		if (world.timers[i])
			continue;
		world.timers[i] = t;
		t->place = i + 1;
	}
	CHECK(t->place);
}
void timer_in(struct loop *l, struct timer *t, dur_t from_now)
{
	timer_set(l, t, world.now + from_now);
}
struct acceptor *acceptor_open(
	struct loop *l, const char *listen, acceptor_fn fn, void *owner, struct err *e)
{
	world.accept = fn;
	world.acceptor_owner = owner;
	return (struct acceptor *)&dummy;
}
void acceptor_close(struct acceptor **ap)
{
	world.accept = NULL;
	*ap = NULL;
}
uint16_t acceptor_port(const struct acceptor *a)
{
	return 2775;
}
struct tls_server *tls_server_new(const struct tls_conf *c, struct err *e)
{
	CHECK(false);
	return NULL;
}
void tls_server_free(struct tls_server **tp) {}
struct tls_client *tls_client_new(const struct tls_conf *c, const char *host, struct err *e)
{
	CHECK(false);
	return NULL;
}
struct tls_client *tls_client_named(struct tls_client *c, const char *host)
{
	CHECK(false);
	return NULL;
}
void tls_client_free(struct tls_client **cp) {}

/* chance, which here is none */
uint64_t random_u64(void)
{
	return 4;
}
dur_t backoff_of(dur_t first, dur_t most, double factor, unsigned attempt)
{
	return attempt > 1 ? most : first;
}
dur_t backoff_next(struct backoff *b)
{
	return backoff_of(b->first, b->most, b->factor, ++b->tries);
}

/* ---- the input ---- */

static unsigned take_u8(struct str *in)
{
	unsigned v = in->n ? (unsigned char)in->p[0] : 0;

	*in = str_skip(*in, 1);
	return v;
}

static struct str take_bytes(struct str *in)
{
	size_t n = take_u8(in);
	struct str s;

	if (n >= 250)
		n = (n - 249) * 128;
	s = str_n(in->p, n < in->n ? n : in->n);
	*in = str_skip(*in, s.n);
	return s;
}

/* What was written must be whole PDUs that can be read. */
static void read_out(struct stream *s)
{
	struct str rest = buf_view(&s->out);
	uint32_t status;
	struct pdu p;
	size_t n;

	while (rest.n) {
		CHECK(pdu_peek(rest, PDU_CAP, &n) == 1 && n <= rest.n);
		if (pdu_decode(&p, str_n(rest.p, n), world.read, &status) != 0)
			check_failed(p.fault, __FILE__, __LINE__, smpp_command_name(p.command));
		if (!smpp_is_resp(p.command))
			s->asked[s->asked_n++ % ASKED] = (struct asked){ p.command, p.sequence };
		rest = str_skip(rest, n);
	}
	buf_reset(&s->out);
}

/* Shows input, in an allocation of its own size so that a read beyond it shows. */
static void show(struct stream *s)
{
	struct str all;
	size_t n;

	s->again = false;
	while (s->in.n && !s->paused && !s->closed) {
		all.n = s->in.n;
		all.p = memcpy(mem_raw(all.n), s->in.p, all.n);
		n = s->ev->data(s, s->owner, all);
		mem_free(&all.p);
		if (s->closed || n == 0)
			break;
		CHECK(n <= s->in.n);
		buf_drop(&s->in, n);
		s->again = false;
	}
}

static bool turn_once(void)
{
	struct letter *letters = world.letters;
	bool more = letters != NULL;

	world.letters = NULL;
	while (letters) {
		struct letter *l = letters;

		letters = l->next;
		l->run(l);
	}
	for (int i = 0; i < STREAMS; i++) {
		struct stream *s = &world.streams[i];

		if (s->used && s->again && !s->closed) {
			show(s);
			more = true;
		}
		if (s->used)
			read_out(s);
		if (s->used && s->closed) {
			buf_free(&s->in);
			buf_free(&s->out);
			s->used = false;
		}
	}
	return more;
}

static void turn(void)
{
	while (turn_once())
		;
}

static void pass(dur_t by)
{
	world.now += by;
	for (int i = 0; i < TIMERS; i++) {
		struct timer *t = world.timers[i];

		if (!t || t->at > world.now)
			continue;
		timer_cancel(NULL, t);
		t->fire(t);
	}
}

static void send_pdu(struct stream *s, uint32_t command, uint32_t sequence, struct str body)
{
	size_t at = pdu_begin(&s->in, command, 0, sequence);

	buf_str(&s->in, body);
	pdu_end(&s->in, at);
	s->again = true;
}

static void world_begin(void)
{
	memset(&world, 0, sizeof world);
	world.now = 1000 * DUR_S;
	world.read = PDU_LONG_NAMES | PDU_V50;
	log_set_level(LOG_ERROR);
}

/* Everything was let go of. */
static void world_end(void)
{
	for (int i = 0; i < TIMERS; i++)
		CHECK(!world.timers[i]);
	for (int i = 0; i < STREAMS; i++)
		CHECK(!world.streams[i].used);
}

#endif
