/* SMPP over a stream: framing, unanswered requests, liveness. See wire.h. */
#include "protocols/smpp/wire.h"
#include "gateway/base/mem.h"

enum {
	SLOTS_FIRST = 16,
	MISSED_MOST = 2,
	OUT_MOST = 256 * 1024, /* unsent output beyond which a far side counts as not reading */
};
#define ANSWER_MOST  (60 * DUR_S)
#define CHOKED_MOST  (60 * DUR_S)
#define ENQUIRE_MOST (15 * DUR_S)

/* ---- figures ---- */

void wire_stats_register(struct wire_stats *s, const char *label, const char *name)
{
#define S(field, n, help) \
	stat_register(&s->field, STAT_COUNTER, "postern_smpp_" n "_total", help, label, name, NULL)
	S(in, "pdus_in", "PDUs read.");
	S(out, "pdus_out", "PDUs written.");
	S(broken, "pdus_broken", "PDUs that could not be read.");
	S(stray, "responses_stray", "Responses that no request waited for.");
	S(timeouts, "timeouts", "Requests of ours that were not answered in time.");
	S(silent, "links_silent", "Connections given up because enquire_link was not answered.");
#undef S
}

void wire_stats_unregister(struct wire_stats *s)
{
	stat_unregister(&s->in);
	stat_unregister(&s->out);
	stat_unregister(&s->broken);
	stat_unregister(&s->stray);
	stat_unregister(&s->timeouts);
	stat_unregister(&s->silent);
}

/* ---- unanswered requests: a table by sequence number, and a list in the order of sending ----
 *
 * A number's place is its low bits. Where an old request still sits there, the number is left out,
 * so that a place holds at most one; the table stays at most half full. */

static struct wire_slot *slot_of(const struct wire *w, uint32_t sequence)
{
	struct wire_slot *s;

	if (!w->slots_n)
		return NULL;
	s = &w->slots[sequence & (w->slots_n - 1)];
	return s->sequence == sequence && sequence ? s : NULL;
}

static void slot_append(struct wire *w, struct wire_slot *s)
{
	uint32_t at = (uint32_t)(s - w->slots) + 1;

	s->prev = w->newest;
	s->next = 0;
	if (w->newest)
		w->slots[w->newest - 1].next = at;
	else
		w->oldest = at;
	w->newest = at;
	w->unanswered++;
}

static void slot_free(struct wire *w, struct wire_slot *s)
{
	if (s->prev)
		w->slots[s->prev - 1].next = s->next;
	else
		w->oldest = s->next;
	if (s->next)
		w->slots[s->next - 1].prev = s->prev;
	else
		w->newest = s->prev;
	s->sequence = 0;
	w->unanswered--;
}

/* Twice the size. Two that shared no place do not share one in the larger table either. */
static void slots_grow(struct wire *w)
{
	struct wire_slot *old = w->slots;
	uint32_t at = w->oldest;

	w->slots_n = w->slots_n ? w->slots_n * 2 : SLOTS_FIRST;
	w->slots = mem_alloc(w->slots_n * sizeof *w->slots);
	w->oldest = w->newest = 0;
	w->unanswered = 0;
	while (at) {
		struct wire_slot *from = &old[at - 1];
		struct wire_slot *to = &w->slots[from->sequence & (w->slots_n - 1)];

		at = from->next;
		*to = *from;
		slot_append(w, to);
	}
	mem_free(&old);
}

static uint32_t next_sequence(struct wire *w)
{
	w->sequence = w->sequence >= 0x7fffffff ? 1 : w->sequence + 1;
	return w->sequence;
}

static dur_t answer_most(const struct wire *w)
{
	return w->answer_most ? w->answer_most : ANSWER_MOST;
}

static dur_t enquire_most(const struct wire *w)
{
	return w->enquire_most ? w->enquire_most : ENQUIRE_MOST;
}

uint32_t wire_expect(struct wire *w, uint32_t command, void *token)
{
	struct wire_slot *s;
	uint32_t sequence;

	if (w->unanswered * 2 >= w->slots_n)
		slots_grow(w);
	do {
		sequence = next_sequence(w);
		s = &w->slots[sequence & (w->slots_n - 1)];
	} while (s->sequence || sequence == w->probe);
	*s = (struct wire_slot){
		.sequence = sequence,
		.command = command,
		.deadline = loop_now(w->loop) + answer_most(w),
		.token = token,
	};
	slot_append(w, s);
	if (w->unanswered == 1 && (!timer_is_set(&w->timer) || w->timer.at > s->deadline))
		timer_set(w->loop, &w->timer, s->deadline);
	return sequence;
}

void wire_forget(struct wire *w, uint32_t sequence)
{
	struct wire_slot *s = slot_of(w, sequence);

	if (s)
		slot_free(w, s);
}

bool wire_pop(struct wire *w, void **token_r)
{
	struct wire_slot *s;

	if (!w->oldest)
		return false;
	s = &w->slots[w->oldest - 1];
	*token_r = s->token;
	slot_free(w, s);
	return true;
}

/* ---- the end ---- */

static void wire_over(struct wire *w, const struct err *why)
{
	if (w->over)
		return;
	w->over = true;
	timer_cancel(w->loop, &w->timer);
	w->ev->down(w, why);
}

static void wire_over_text(struct wire *w, enum err_kind kind, const char *text)
{
	struct err e = { 0 };

	err_set(&e, kind, "%s", text);
	wire_over(w, &e);
}

void wire_close(struct wire *w, dur_t linger)
{
	if (w->gone)
		*w->gone = true;
	w->gone = NULL;
	if (w->loop)
		timer_cancel(w->loop, &w->timer);
	stream_close(&w->stream, linger);
	mem_free(&w->slots);
	w->slots_n = w->oldest = w->newest = 0;
	w->unanswered = 0;
	w->over = true;
}

/* ---- output ---- */

struct buf *wire_out(struct wire *w)
{
	return stream_out(w->stream);
}

void wire_wrote(struct wire *w, unsigned pdus)
{
	stat_add(&w->stats->out, pdus);
	stream_written(w->stream);
}

bool wire_full(const struct wire *w)
{
	return w->stream && stream_full(w->stream);
}

const char *wire_peer(const struct wire *w)
{
	return w->stream ? stream_peer(w->stream) : "";
}

/* ---- input ---- */

static void take_response(struct wire *w, const struct pdu *p)
{
	struct wire_slot *s;
	void *token;

	if (p->sequence && p->sequence == w->probe &&
		(p->command == (SMPP_ENQUIRE_LINK | SMPP_RESP) ||
			p->command == SMPP_GENERIC_NACK)) {
		w->probe = 0;
		return;
	}
	s = slot_of(w, p->sequence);
	if (!s || (p->command != (s->command | SMPP_RESP) && p->command != SMPP_GENERIC_NACK)) {
		stat_inc(&w->stats->stray);
		if (w->ev->stray)
			w->ev->stray(w, p);
		return;
	}
	token = s->token;
	slot_free(w, s);
	w->ev->response(w, p, token);
}

static void refuse(struct wire *w, const struct pdu *p, uint32_t status)
{
	stat_inc(&w->stats->broken);
	if (!smpp_is_resp(p->command)) {
		pdu_put_refusal(wire_out(w), p, status);
		wire_wrote(w, 1);
	}
	if (w->ev->refused)
		w->ev->refused(w, p, status);
}

static enum wire_verdict take(struct wire *w, struct str bytes)
{
	struct pdu p;
	uint32_t status;
	enum wire_verdict v = WIRE_DONE;

	if (pdu_decode(&p, bytes, w->decode, &status) != 0) {
		refuse(w, &p, status);
	} else if (smpp_is_resp(p.command)) {
		take_response(w, &p);
	} else if (p.command == SMPP_ENQUIRE_LINK) {
		pdu_put_header(wire_out(w), SMPP_ENQUIRE_LINK | SMPP_RESP, ESME_ROK, p.sequence);
		wire_wrote(w, 1);
	} else {
		v = w->ev->request(w, &p);
	}
	return v;
}

/* Not SMPP, or a length that nobody can follow: nothing after it can be found. */
static void lost(struct wire *w, struct str bytes)
{
	stat_inc(&w->stats->broken);
	pdu_put_nack(wire_out(w), pdu_peek_sequence(bytes), ESME_RINVCMDLEN);
	wire_wrote(w, 1);
	wire_over_text(w, ERR_INPUT, "a PDU of impossible length");
}

/* It asks and does not read the answers: nothing more is read from it until it does. */
static void choke(struct wire *w)
{
	w->choked = true;
	w->choked_at = loop_now(w->loop);
	stream_pause(w->stream, true);
	if (w->timer.at > w->choked_at + CHOKED_MOST)
		timer_set(w->loop, &w->timer, w->choked_at + CHOKED_MOST);
}

static size_t wire_data(struct stream *s, void *owner, struct str bytes)
{
	struct wire *w = owner;
	struct str rest = bytes;
	enum wire_verdict v;
	bool gone = false;
	unsigned pdus = 0;
	size_t length;
	int there;

	w->heard = loop_now(w->loop);
	w->missed = 0;
	w->gone = &gone;
	while (!w->paused && !w->choked && !w->over) {
		there = pdu_peek(rest, w->cap ? w->cap : PDU_CAP, &length);
		if (there < 0) {
			lost(w, rest);
			if (gone)
				return bytes.n;
			rest = STR_NONE;
			break;
		}
		if (there == 0 || length > rest.n)
			break;
		w->said = w->heard;
		v = take(w, str_n(rest.p, length));
		if (gone)
			return bytes.n;
		if (v == WIRE_AGAIN)
			break;
		pdus++;
		rest = str_skip(rest, length);
		if (stream_full(w->stream))
			choke(w);
	}
	w->gone = NULL;
	stat_add(&w->stats->in, pdus);
	return w->over ? bytes.n : bytes.n - rest.n;
}

void wire_pause(struct wire *w, bool paused)
{
	if (w->paused == paused || !w->stream)
		return;
	w->paused = paused;
	w->heard = w->said = loop_now(w->loop);
	w->missed = 0;
	stream_pause(w->stream, w->paused || w->choked);
}

/* ---- liveness ---- */

static bool timeouts(struct wire *w, mono_t now)
{
	bool gone = false;

	w->gone = &gone;
	while (w->oldest && w->slots[w->oldest - 1].deadline <= now) {
		struct wire_slot s = w->slots[w->oldest - 1];

		slot_free(w, &w->slots[w->oldest - 1]);
		stat_inc(&w->stats->timeouts);
		w->ev->timeout(w, s.sequence, s.command, s.token);
		if (gone)
			return false;
	}
	w->gone = NULL;
	return !w->over;
}

static void send_probe(struct wire *w, mono_t now)
{
	do
		w->probe = next_sequence(w);
	while (slot_of(w, w->probe));
	w->probe_sent = now;
	pdu_put_header(wire_out(w), SMPP_ENQUIRE_LINK, ESME_ROK, w->probe);
	wire_wrote(w, 1);
}

/* Two missed answers, with nothing at all heard meanwhile, are the end: any octet proves life. */
static bool probe(struct wire *w, mono_t now)
{
	if (w->paused || w->choked || (!w->enquire_after && !w->probe))
		return true;
	if (w->probe && now - w->probe_sent < enquire_most(w))
		return true;
	if (w->probe) {
		w->probe = 0;
		if (w->heard < w->probe_sent && ++w->missed >= MISSED_MOST) {
			stat_inc(&w->stats->silent);
			wire_over_text(w, ERR_ENV, "enquire_link is not answered");
			return false;
		}
	}
	if (w->enquire_after && now - w->heard >= w->enquire_after)
		send_probe(w, now);
	return true;
}

static void set_timer(struct wire *w, mono_t now)
{
	mono_t at = now + 3600 * DUR_S;

	if (w->oldest && w->slots[w->oldest - 1].deadline < at)
		at = w->slots[w->oldest - 1].deadline;
	if (w->enquire_after || w->probe) {
		mono_t t = w->probe ? w->probe_sent + enquire_most(w) : w->heard + w->enquire_after;

		if (w->paused || w->choked)
			t = now + enquire_most(w);
		if (t < at)
			at = t;
	}
	if (w->silence_most && w->said + w->silence_most < at)
		at = w->said + w->silence_most;
	if (w->choked && w->choked_at + CHOKED_MOST < at)
		at = w->choked_at + CHOKED_MOST;
	if (at <= now)
		at = now + DUR_MS;
	timer_set(w->loop, &w->timer, at);
}

void wire_watch(struct wire *w, dur_t enquire_after, dur_t silence_most)
{
	w->enquire_after = enquire_after;
	w->silence_most = silence_most;
	if (wire_is_open(w))
		set_timer(w, loop_now(w->loop));
}

void wire_probe(struct wire *w)
{
	mono_t now = loop_now(w->loop);

	if (!wire_is_open(w) || w->probe || w->paused || w->choked)
		return;
	send_probe(w, now);
	set_timer(w, now);
}

bool wire_is_silent(const struct wire *w)
{
	return w->missed || (w->probe && w->heard < w->probe_sent &&
				    loop_now(w->loop) - w->probe_sent > 2 * DUR_S);
}

static void wire_timer(struct timer *t)
{
	struct wire *w = CONTAINER(t, struct wire, timer);
	mono_t now = loop_now(w->loop);

	if (!timeouts(w, now) || !probe(w, now))
		return;
	if (w->choked && now - w->choked_at >= CHOKED_MOST) {
		wire_over_text(w, ERR_ENV, "the far side does not read");
		return;
	}
	if (w->paused || w->choked)
		w->said = now;
	if (w->silence_most && now - w->said >= w->silence_most) {
		wire_over_text(w, ERR_ENV, "nothing was said for too long");
		return;
	}
	set_timer(w, now);
}

/* ---- beginnings ---- */

static void wire_open(struct stream *s, void *owner)
{
	struct wire *w = owner;

	w->heard = w->said = loop_now(w->loop);
	set_timer(w, w->heard);
	w->ev->open(w);
}

static void wire_down(struct stream *s, void *owner, const struct err *why)
{
	wire_over(owner, why);
}

static void wire_drained(struct stream *s, void *owner)
{
	struct wire *w = owner;

	if (w->choked) {
		w->choked = false;
		w->heard = w->said = loop_now(w->loop);
		if (!w->paused)
			stream_pause(s, false);
	}
	if (w->ev->drained && !w->over)
		w->ev->drained(w);
}

static const struct stream_events wire_stream = {
	.open = wire_open,
	.data = wire_data,
	.down = wire_down,
	.drained = wire_drained,
};

static void begin(struct wire *w, struct loop *l)
{
	w->loop = l;
	w->timer.fire = wire_timer;
	w->over = w->paused = w->choked = false;
	w->sequence = w->probe = 0;
	w->missed = 0;
}

void wire_accept(struct wire *w, struct loop *l, int fd, struct tls_server *tls)
{
	struct stream_limits lim = { .out_most = OUT_MOST };

	begin(w, l);
	w->stream = stream_accept(l, fd, tls, &lim, &wire_stream, w);
}

void wire_connect(struct wire *w, struct loop *l, const char *host, uint16_t port,
	const char *source, struct tls_client *tls, dur_t connect_most)
{
	struct stream_limits lim = { .out_most = OUT_MOST, .connect = connect_most };

	begin(w, l);
	w->stream = stream_connect(l, host, port, source, tls, &lim, &wire_stream, w);
}
