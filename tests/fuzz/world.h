/* The world of the fuzz targets that run a whole half of a protocol: stand-ins for streams, the
 * loop, its timers, workers, listening sockets and chance, linked instead of the real ones,
 * single-threaded, without I/O and without waiting. A stream holds what the fuzzer lets the far
 * side send. Header-only, for one file of a program, which says before it includes this
 *
 *	enum { STREAMS = 4 };		how many there may be at a time
 *	struct far { ... };		what the far side of a stream remembers
 *
 * and defines read_out(), which checks what was written to a stream, and stream_start_tls().
 */
#ifndef POSTERN_TESTS_FUZZ_WORLD_H
#define POSTERN_TESTS_FUZZ_WORLD_H

#include "gateway/base/backoff.h"
#include "gateway/base/buf.h"
#include "gateway/base/conf.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/loop.h"
#include "gateway/base/mem.h"
#include "gateway/base/stream.h"
#include "gateway/base/tls.h"

/* The descriptors of its streams begin where no real one is: the code under test may close them. */
enum { TIMERS = 64, CHORES = 600, FIRST_FD = 1 << 20 };

struct stream {
	const struct stream_events *ev;
	void *owner;
	struct buf in, out;
	uint64_t left; /* of out, since the beginning: what the far side has read, if it counts that
			*/
	bool used, paused, full, closed;
	bool again;  /* there is input to be shown */
	bool shakes; /* between stream_start_tls() and its end: no input */
	bool tls;
	struct far far;
};

static struct {
	struct stream streams[STREAMS];
	struct timer *timers[TIMERS];
	struct letter *letters;
	struct chore *chores[CHORES];
	unsigned chores_n;
	mono_t now;
	acceptor_fn accept;
	void *acceptor_owner;
} world;
static int dummy; /* something to point at */

static void read_out(struct stream *s);

/* ---- streams ---- */

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
	for (int i = 0; i < STREAMS; i++) {
		if (world.streams[i].used)
			continue;
		stream_accept(l, FIRST_FD + i, NULL, lim, ev, owner)->tls = tls != NULL;
		return &world.streams[i];
	}
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
uint64_t stream_position(const struct stream *s)
{
	return s->left + s->out.n;
}
uint64_t stream_sent(const struct stream *s)
{
	return s->left;
}
void stream_drop(struct stream *s)
{
	buf_reset(&s->out);
}
void stream_pause(struct stream *s, bool paused)
{
	s->again |= s->paused && !paused;
	s->paused = paused;
}
const char *stream_cipher(const struct stream *s)
{
	return s->tls ? "TLSv1.3 fuzz" : "";
}
bool stream_is_tls(const struct stream *s)
{
	return s->tls;
}
const char *stream_peer(const struct stream *s)
{
	return "192.0.2.1:4711";
}
const struct sockaddr *stream_peer_addr(const struct stream *s)
{
	static union addr a;

	addr_parse(STR("192.0.2.1"), 4711, &a);
	return &a.sa;
}
void stream_close(struct stream **sp, dur_t linger)
{
	if (*sp)
		(*sp)->closed = true;
	*sp = NULL;
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
	return 4711;
}
struct tls_server *tls_server_new(const struct tls_conf *c, struct err *e)
{
	return (struct tls_server *)&dummy;
}
void tls_server_free(struct tls_server **tp)
{
	*tp = NULL;
}
struct tls_client *tls_client_new(const struct tls_conf *c, const char *host, struct err *e)
{
	return (struct tls_client *)&dummy;
}
struct tls_client *tls_client_named(struct tls_client *c, const char *host)
{
	return c;
}
struct tls_client *tls_client_ref(struct tls_client *c)
{
	return c;
}
struct tls_client *tls_client_strict(struct tls_client *c, const char *host)
{
	return c;
}
struct tls_client *tls_client_dane(struct tls_client *c, const char *host, const char *also,
	const struct tls_tlsa *v, size_t n)
{
	return c;
}
void tls_client_free(struct tls_client **cp)
{
	*cp = NULL;
}

/* ---- the loop and workers ---- */

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
void workers_do(struct chore *c)
{
	CHECK(world.chores_n < CHORES);
	world.chores[world.chores_n++] = c;
}

/* ---- chance, which here is none ---- */

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

static inline unsigned take_u8(struct str *in)
{
	unsigned v = in->n ? (unsigned char)in->p[0] : 0;

	*in = str_skip(*in, 1);
	return v;
}

static inline struct str take_bytes(struct str *in)
{
	size_t n = take_u8(in);
	struct str s;

	if (n >= 250)
		n = (n - 249) * 128;
	s = str_n(in->p, n < in->n ? n : in->n);
	*in = str_skip(*in, s.n);
	return s;
}

/* Settings of `size` octets as the rows say, from a text without faults, for good. */
static inline void *take_settings(const struct conf_item *rows, size_t size, const char *text)
{
	struct conf_faults f = { 0 };
	struct buf words = BUF_INIT;
	static struct arena *a;
	void *out;

	a = a ? a : arena_new();
	conf_load_text("fuzz", str_of(text), rows, size, a, &out, &f);
	if (f.errors) {
		conf_faults_text(&f, &words);
		check_failed(buf_cstr(&words), __FILE__, __LINE__, text);
	}
	conf_faults_free(&f);
	return out;
}

/* ---- what happens ---- */

/* Shows input, in an allocation of its own size so that a read beyond it shows. What is left is
 * shown again only with more behind it or after a pause, and none may be left before a handshake:
 * as the real ones do.
 */
static void show(struct stream *s)
{
	struct str all;
	size_t n;

	s->again = false;
	if (!s->in.n || s->paused || s->shakes)
		return;
	all.n = s->in.n;
	all.p = memcpy(mem_raw(all.n), s->in.p, all.n);
	n = s->ev->data(s, s->owner, all);
	mem_free(&all.p);
	if (s->closed)
		return;
	CHECK(n <= s->in.n);
	buf_drop(&s->in, n);
	if (s->shakes && s->in.n)
		s->ev->down(s, s->owner, &(struct err){ .kind = ERR_INPUT, .text = "input" });
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

		if (!s->used)
			continue;
		read_out(s);
		if (s->again && !s->closed) {
			show(s);
			read_out(s);
			more = true;
		}
		if (s->closed) {
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

/* A worker ends one of the chores that wait. */
static inline void run_chore(unsigned which)
{
	struct chore *c;

	if (!world.chores_n)
		return;
	which %= world.chores_n;
	c = world.chores[which];
	world.chores[which] = world.chores[--world.chores_n];
	c->call(c);
	c->done(c);
}

/* The far side reads again what it left lying, or stops reading. */
static inline void turn_full(struct stream *s, bool stop)
{
	s->full = !s->full && stop;
	if (!s->full)
		s->ev->drained(s, s->owner);
}

static void world_begin(void)
{
	memset(&world, 0, sizeof world);
	world.now = 1000 * DUR_S;
	log_set_level(LOG_ERROR);
}

/* Everything was let go of. */
static void world_end(void)
{
	CHECK(world.chores_n == 0);
	for (int i = 0; i < TIMERS; i++)
		CHECK(!world.timers[i]);
	for (int i = 0; i < STREAMS; i++)
		CHECK(!world.streams[i].used);
}

#endif
