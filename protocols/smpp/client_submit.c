/* Deliveries as submit_sm, and what becomes of them. The channel's loop.
 *
 * A message of one PDU is written at once and known only by the token of its request. A message of
 * several becomes a job: its parts go over one connection, one after another, as the window and
 * the far side's reading allow; its delivery goes back to flow when all that was written is
 * answered. Nothing is given back from inside submit(): what cannot be sent waits in
 * client->returns for the end of the loop's turn.
 *
 * Requests that got no answer in time leave a tombstone for TOMB_LIFE, so that a late response
 * still brings its message id, under which a receipt will come.
 */
#include "gateway/base/mem.h"
#include "protocols/smpp/client.h"
#include "protocols/smpp/smpp_time.h"

enum { REFS = 1 << 16, TOMBS_MOST = 65536, POOL_BLOCK = 64 };
#define TOMB_LIFE (15 * DUR_MIN)

/* One PDU on the wire. */
struct sent {
	struct sent *next; /* in the pool */
	struct delivery *d;
	struct job *job; /* NULL: the message is this PDU */
	unsigned part;
};

/* A message of several PDUs, or one that has to wait for room. */
struct job {
	struct list link; /* session->jobs while parts are to be written */
	struct delivery *d;
	struct client_session *session;
	struct client_shape shape;
	unsigned next; /* the part to be written next */
	unsigned out;  /* written, not answered */
	bool all; /* cut otherwise than flow has it: every part goes, whatever was sent before */
	bool stopped;              /* no more parts: `end` says why */
	struct outcome end, first; /* first: of the first part, when it was taken */
};

struct tomb {
	struct list link;
	uint32_t sequence;
	unsigned part;
	uint64_t msg;
	mono_t until;
};

struct returned {
	struct list link;
	struct delivery *d;
	struct outcome o;
};

/* ---- the pool of tokens ---- */

static struct sent *sent_new(struct client *cl, struct delivery *d, struct job *job, unsigned part)
{
	struct sent *t = cl->pool.free;

	if (!t)
		t = mem_new(struct sent);
	else
		cl->pool.free = t->next;
	*t = (struct sent){ .d = d, .job = job, .part = part };
	return t;
}

static void sent_free(struct client *cl, struct sent *t)
{
	t->next = cl->pool.free;
	cl->pool.free = t;
}

void send_pool_free(struct client *cl)
{
	while (cl->pool.free) {
		struct sent *t = cl->pool.free;

		cl->pool.free = t->next;
		mem_free(&t);
	}
}

/* ---- giving back ---- */

void send_flush_returns(struct client *cl)
{
	struct returned *r;

	while ((r = list_first(&cl->returns, struct returned, link))) {
		list_remove(&r->link);
		delivery_done(r->d, &r->o);
		mem_free(&r);
	}
}

static void returns_run(struct letter *l)
{
	struct client *cl = CONTAINER(l, struct client, returner);

	cl->returner_due = false;
	send_flush_returns(cl);
}

static void give_back(struct client *cl, struct delivery *d, const struct outcome *o)
{
	struct returned *r = mem_new(struct returned);

	r->d = d;
	r->o = *o;
	list_append(&cl->returns, &r->link);
	if (cl->returner_due)
		return;
	cl->returner_due = true;
	cl->returner.run = returns_run;
	loop_later(cl->c->loop, &cl->returner);
}

/* ---- jobs ---- */

static void job_free(struct job **jp)
{
	client_shape_free(&(*jp)->shape);
	list_remove(&(*jp)->link);
	mem_free(jp);
}

/* What counts more, when the parts of one message fared differently: what is final, then what is
 * not known (it must not be called "not taken"), then the rest. */
static int weight(const struct outcome *o)
{
	switch (o->verdict) {
	case VERDICT_FAILED:
		return 3;
	case VERDICT_UNCERTAIN:
		return 2;
	case VERDICT_RETRY:
		return 1;
	default:
		return 0;
	}
}

static void job_stop(struct job *j, const struct outcome *why)
{
	list_remove(&j->link);
	if (!j->stopped || weight(why) > weight(&j->end))
		j->end = *why;
	j->stopped = true;
}

/* All that was written is answered and nothing more will be. later: inside submit(). */
static void job_finish(struct client *cl, struct job *j, bool later)
{
	struct delivery *d = j->d;
	struct outcome o = j->stopped ? j->end : j->first;

	/* Parts that flow counts and this cut of the text does not have. */
	if (!j->stopped && d->parts > 1) {
		struct outcome none = outcome_of(REASON_NONE);

		none.final_word = true;
		for (unsigned i = j->shape.parts; i < d->parts; i++)
			delivery_part(d, i, &none);
	}
	d->token = NULL;
	job_free(&j);
	if (later)
		give_back(cl, d, &o);
	else
		delivery_done(d, &o);
}

static bool job_done(const struct job *j)
{
	return j->out == 0 && (j->stopped || j->next >= j->shape.parts);
}

static void job_answered(struct client *cl, struct job *j, unsigned part, const struct outcome *o)
{
	j->out--;
	if (o->verdict != VERDICT_SENT) {
		job_stop(j, o);
	} else {
		if (part == 0 || !j->first.far_id[0])
			j->first = *o;
		if (j->d->parts > 1 && part < j->d->parts)
			delivery_part(j->d, part, o);
	}
	if (job_done(j))
		job_finish(cl, j, false);
}

/* ---- references of long messages ---- */

/* A counter per pair of addresses (by hash), beginning anywhere: two messages to one telephone
 * have different references until 256 (or 65536) of them are under way. */
static uint16_t next_ref(struct client *cl, const struct message *m)
{
	uint64_t h = str_hash(message_get(m, FIELD_TO)) * 31 + str_hash(message_get(m, FIELD_FROM));
	uint16_t *ref;

	if (!cl->refs) {
		cl->refs = mem_alloc(REFS * sizeof *cl->refs);
		for (size_t i = 0; i < REFS; i++)
			cl->refs[i] = (uint16_t)random_u64();
	}
	ref = &cl->refs[(h ^ h >> 32) % REFS];
	if (++*ref == 0)
		*ref = 1; /* 0 means "not chosen yet" */
	return *ref;
}

/* ---- one PDU ---- */

static bool tlv_passes(const struct client_tables *t, uint16_t tag, bool raw)
{
	switch (tag) {
	case TLV_SAR_MSG_REF_NUM:
	case TLV_SAR_TOTAL_SEGMENTS:
	case TLV_SAR_SEGMENT_SEQNUM:
		return raw; /* else they are ours to write */
	case TLV_MESSAGE_PAYLOAD:
	case TLV_RECEIPTED_MESSAGE_ID:
	case TLV_MESSAGE_STATE:
	case TLV_NETWORK_ERROR_CODE:
		return false;
	}
	if (t->tlv_all || (t->tlv_vendor && tag >= TLV_VENDOR_FIRST && tag <= TLV_VENDOR_LAST))
		return true;
	for (size_t i = 0; i < t->tlv_n; i++)
		if (t->tlv[i] == tag)
			return true;
	return false;
}

static void put_tlvs(struct client *cl, const struct message *m, const struct client_shape *s,
	const struct client_part *p, unsigned part, struct buf *b)
{
	struct str rest;
	struct tlv t;

	if (client_settings(cl)->link.version < SMPP_V34)
		return;
	if (p->payload)
		pdu_put_tlv(b, TLV_MESSAGE_PAYLOAD, buf_view(&cl->scratch));
	if (p->sar.kind == CONCAT_SAR) {
		pdu_put_tlv_u16(b, TLV_SAR_MSG_REF_NUM, p->sar.ref);
		pdu_put_tlv_u8(b, TLV_SAR_TOTAL_SEGMENTS, p->sar.total);
		pdu_put_tlv_u8(b, TLV_SAR_SEGMENT_SEQNUM, p->sar.seq);
	}
	if (client_settings(cl)->more_messages && part + 1 < s->parts)
		pdu_put_tlv_u8(b, TLV_MORE_MESSAGES_TO_SEND, 1);
	rest = message_get(m, FIELD_TLVS);
	while (tlv_next(&rest, &t))
		if (tlv_passes(&cl->tables, t.tag, s->raw && !s->udhi))
			pdu_put_tlv(b, t.tag, t.value);
	buf_str(b, buf_view(&cl->tables.extra));
}

static struct str put_validity(struct client *cl, const struct message *m)
{
	struct buf *b = &cl->validity;

	buf_reset(b);
	if (!m->expires || client_settings(cl)->validity == VALIDITY_NONE)
		return STR_NONE;
	if (client_settings(cl)->validity == VALIDITY_ABSOLUTE)
		smpp_time_put_absolute(b, m->expires);
	else
		smpp_time_put_relative(b, clock_wall(), m->expires);
	return buf_view(b);
}

static uint8_t registered(const struct client_conf *conf, const struct message *m)
{
	unsigned r = conf->receipts == RECEIPTS_NONE ? 0 : (unsigned)conf->registered;

	if (r && conf->intermediate && m->wants & WANT_INTERMEDIATE)
		r |= REG_INTERMEDIATE;
	return (uint8_t)r;
}

static uint8_t priority_of(const struct client_conf *conf, const struct message *m)
{
	return m->priority == PRIORITY_HIGH   ? conf->priority.high
	       : m->priority == PRIORITY_BULK ? conf->priority.bulk
					      : conf->priority.normal;
}

/* Writes part i; its request is then unanswered under `token`. -1: it cannot be written, *why_r
 * says why, and token is still the caller's. */
static int put_part(struct client_session *s, const struct delivery *d,
	const struct client_shape *shape, unsigned i, struct sent *token, struct outcome *why)
{
	struct client *cl = s->client;
	const struct client_conf *conf = client_settings(cl);
	const struct message *m = d->msg;
	struct client_addr from, to;
	struct client_part part;
	struct buf *b = wire_out(&s->wire);
	struct pdu_sm sm = { 0 };
	uint32_t sequence, status;
	size_t begin;

	if (client_source(&from, conf, m, why) != 0 || client_destination(&to, conf, m, why) != 0)
		return -1;
	buf_reset(&cl->scratch);
	client_shape_part(shape, conf, i, d->concat_ref, &cl->scratch, &part);
	sm.service_type = conf->service_type[0] ? str_of(conf->service_type)
						: message_get(m, FIELD_SERVICE_TYPE);
	sm.source = (struct pdu_addr){ from.ton.ton, from.ton.npi, str_n(from.text, from.n) };
	sm.dest = (struct pdu_addr){ to.ton.ton, to.ton.npi, str_n(to.text, to.n) };
	sm.esm_class = (uint8_t)((m->sms.esm_class & ~ESM_UDHI) | (unsigned)conf->esm_class |
				 (part.udhi ? ESM_UDHI : 0));
	sm.protocol_id = conf->protocol_id >= 0 ? (uint8_t)conf->protocol_id : m->sms.protocol_id;
	sm.priority = priority_of(conf, m);
	sm.validity = put_validity(cl, m);
	sm.registered = registered(conf, m);
	sm.replace = (m->flags & MSG_REPLACE) != 0;
	sm.data_coding = part.data_coding;
	if (!part.payload)
		sm.short_message = buf_view(&cl->scratch);

	sequence = wire_expect(&s->wire, SMPP_SUBMIT_SM, token);
	begin = pdu_begin(b, SMPP_SUBMIT_SM, ESME_ROK, sequence);
	status = pdu_put_sm_body(b, SMPP_SUBMIT_SM, &sm);
	if (status) {
		b->n = begin;
		wire_forget(&s->wire, sequence);
		*why = outcome_words(status == ESME_RINVDSTADR   ? REASON_BAD_DESTINATION
				     : status == ESME_RINVSRCADR ? REASON_BAD_SENDER
				     : status == ESME_RINVMSGLEN ? REASON_TOO_LONG
								 : REASON_BAD_FIELD,
			"not sent: %s", smpp_status_text(status));
		return -1;
	}
	put_tlvs(cl, m, shape, &part, i, b);
	pdu_end(b, begin);
	wire_wrote(&s->wire, 1);
	return 0;
}

/* ---- submitting ---- */

static bool has_room(const struct client_session *s)
{
	return s->wire.unanswered < (unsigned)s->client->c->conf->window && !wire_full(&s->wire);
}

/* The least busy of the sessions that may send; the search begins elsewhere each time. */
static struct client_session *least_busy(struct client *cl)
{
	struct client_session *best = NULL;

	for (unsigned i = 0; i < cl->sessions; i++) {
		struct client_session *s = &cl->session[(cl->next + i) % cl->sessions];

		if (!link_sends(s))
			continue;
		if (!best || (list_empty(&s->jobs) && !list_empty(&best->jobs)) ||
			(list_empty(&s->jobs) == list_empty(&best->jobs) &&
				s->wire.unanswered < best->wire.unanswered))
			best = s;
	}
	cl->next = cl->sessions ? (cl->next + 1) % cl->sessions : 0;
	return best;
}

/* Writes what may be written. later: inside submit(). */
static void feed(struct client_session *s, bool later)
{
	struct client *cl = s->client;
	struct outcome why;

	while (link_sends(s) && has_room(s)) {
		struct job *j = list_first(&s->jobs, struct job, link);
		struct sent *t;

		if (!j)
			return;
		while (j->next < j->shape.parts && !j->all && j->d->parts > 1 &&
			delivery_part_sent(j->d, j->next))
			j->next++;
		if (j->next >= j->shape.parts) {
			list_remove(&j->link);
			if (job_done(j))
				job_finish(cl, j, later);
			continue;
		}
		t = sent_new(cl, j->d, j, j->next);
		if (put_part(s, j->d, &j->shape, j->next, t, &why) == 0) {
			j->next++;
			j->out++;
			if (j->next >= j->shape.parts)
				list_remove(&j->link);
			continue;
		}
		sent_free(cl, t);
		job_stop(j, &why);
		if (job_done(j))
			job_finish(cl, j, later);
	}
}

void send_feed(struct client_session *s)
{
	feed(s, false);
}

static bool any_sent(const struct delivery *d)
{
	for (size_t i = 0; i < sizeof d->parts_sent; i++)
		if (d->parts_sent[i])
			return true;
	return false;
}

/* Through the session's list of jobs. The shape moves in. */
static void send_job(struct client_session *s, struct delivery *d, const struct client_shape *shape)
{
	struct job *j = mem_new(struct job);

	j->d = d;
	j->session = s;
	j->shape = *shape;
	j->all = shape->parts != d->parts;
	if (shape->parts > 1 && (!d->concat_ref || (j->all && any_sent(d))))
		d->concat_ref = next_ref(s->client, d->msg);
	d->token = j;
	list_append(&s->jobs, &j->link);
	feed(s, true);
}

void client_submit(struct channel *c, struct delivery *d)
{
	struct client *cl = c->self;
	struct client_session *s = least_busy(cl);
	struct client_shape shape;
	struct outcome why;
	struct sent *t;

	d->token = NULL;
	if (!s) {
		why = outcome_words(REASON_DOWN, "no connection is bound");
		give_back(cl, d, &why);
		return;
	}
	if (client_shape(&shape, client_settings(cl), d->msg, &why) != 0) {
		give_back(cl, d, &why);
		return;
	}
	if (shape.parts != d->parts && !any_sent(d))
		delivery_cut(d, shape.parts);
	if (shape.parts > 1 || d->parts > 1 || !list_empty(&s->jobs) || !has_room(s)) {
		send_job(s, d, &shape);
		return;
	}
	t = sent_new(cl, d, NULL, 0);
	if (put_part(s, d, &shape, 0, t, &why) != 0) {
		sent_free(cl, t);
		give_back(cl, d, &why);
	}
	client_shape_free(&shape);
}

/* ---- answers ---- */

static void outcome_sent(struct client *cl, const struct pdu *p, struct outcome *o)
{
	struct msgid_key key;
	struct str id = p->command == SMPP_GENERIC_NACK ? STR_NONE : p->resp.message_id;

	id = str_trim(id);
	o->final_word = id.n == 0 || client_settings(cl)->receipts == RECEIPTS_NONE ||
			!(client_settings(cl)->registered & REG_MASK);
	if (!id.n)
		return;
	str_copy(o->far_id, sizeof o->far_id, id);
	msgid_resp_key(cl->learner.configured, id, &key);
	str_copy(o->key, sizeof o->key, msgid_key_str(&key));
}

static void note_verdict(
	struct client_session *s, const struct client_verdict *v, const struct pdu *p, uint64_t msg)
{
	struct client *cl = s->client;
	unsigned held;

	stat_inc(&cl->stats.resp[v->class]);
	if (v->unmapped) {
		stat_inc(&cl->stats.unmapped);
		if (log_due(&cl->quiet_unmapped, &held))
			log_warn("unmapped status", F_ID("msg", msg), F_STR("channel", cl->c->name),
				F_STR("answer", v->outcome.words),
				F_STR("taken_as", reason_word(v->outcome.reason)),
				F_STR("do", "map it in the channel's status table"),
				F_U64("more", held));
	} else if (v->outcome.reason == REASON_FAR_SETTINGS && log_due(&cl->quiet_bug, &held)) {
		log_error("refused by the far side for our settings", F_ID("msg", msg),
			F_STR("channel", cl->c->name), F_STR("answer", v->outcome.words),
			F_STR("meaning", smpp_status_text(p->status)), F_U64("more", held));
	}
}

static void finish(struct client *cl, struct sent *t, const struct outcome *o)
{
	struct sent was = *t;

	sent_free(cl, t);
	if (was.job)
		job_answered(cl, was.job, was.part, o);
	else
		delivery_done(was.d, o);
}

void send_answered(struct client_session *s, const struct pdu *p, void *token)
{
	struct client *cl = s->client;
	struct sent *t = token;
	struct client_verdict v;
	uint8_t percent;

	client_verdict(&v, &cl->tables, p, t->d->attempt);
	if (v.outcome.verdict == VERDICT_SENT)
		outcome_sent(cl, p, &v.outcome);
	note_verdict(s, &v, p, t->d->msg->id);
	if (p->tlvs.n && pdu_tlv_u8(p, TLV_CONGESTION_STATE, &percent) && percent <= 100)
		channel_congestion(cl->c, percent);
	finish(cl, t, &v.outcome);
	if (v.rebind)
		link_leave(s, 5 * DUR_S, v.outcome.words);
	else
		feed(s, false);
	link_idle(s);
}

void send_lost(struct client_session *s, enum reason unsent, const char *why)
{
	struct client *cl = s->client;
	struct outcome lost = outcome_words(REASON_LOST, "%s", why);
	void *token;

	send_stop(s, unsent);
	while (wire_pop(&s->wire, &token))
		if (token) /* else a bind or unbind */
			finish(cl, token, &lost);
}

void send_stop(struct client_session *s, enum reason unsent)
{
	struct outcome down = outcome_words(unsent, "%s", s->why);
	struct job *j;

	while ((j = list_first(&s->jobs, struct job, link))) {
		job_stop(j, &down);
		if (job_done(j))
			job_finish(s->client, j, false);
	}
}

/* ---- late answers ---- */

static void tomb_drop(struct client_session *s, struct tomb *t)
{
	map_del_u64(&s->tomb_map, t->sequence);
	list_remove(&t->link);
	s->tombs_n--;
	mem_free(&t);
}

static void tombs_age(struct client_session *s, mono_t now)
{
	struct tomb *t;

	while ((t = list_first(&s->tombs, struct tomb, link)) &&
		(t->until <= now || s->tombs_n > TOMBS_MOST))
		tomb_drop(s, t);
}

void send_tombs_free(struct client_session *s)
{
	struct tomb *t;

	while ((t = list_first(&s->tombs, struct tomb, link)))
		tomb_drop(s, t);
	map_free(&s->tomb_map);
}

void send_timeout(struct client_session *s, uint32_t sequence, void *token)
{
	struct client *cl = s->client;
	mono_t now = loop_now(cl->c->loop);
	struct sent *t = token;
	struct tomb *tomb = map_get_u64(&s->tomb_map, sequence);
	struct outcome o = outcome_words(REASON_TIMEOUT, "no submit_sm_resp");

	if (tomb)
		tomb_drop(s, tomb);
	tomb = mem_new(struct tomb);
	tomb->sequence = sequence;
	tomb->msg = t->d->msg->id;
	tomb->part = t->part;
	tomb->until = now + TOMB_LIFE;
	list_append(&s->tombs, &tomb->link);
	map_put_u64(&s->tomb_map, sequence, tomb);
	s->tombs_n++;
	tombs_age(s, now);
	finish(cl, t, &o);
	feed(s, false);
	link_idle(s);
}

void send_stray(struct client_session *s, const struct pdu *p)
{
	struct client *cl = s->client;
	struct tomb *t = map_get_u64(&s->tomb_map, p->sequence);
	struct client_verdict v;

	if (!t || p->command != (SMPP_SUBMIT_SM | SMPP_RESP)) {
		log_debug("stray response", F_STR("channel", cl->c->name),
			F_STR("command", smpp_command_name(p->command)),
			F_U64("sequence", p->sequence));
		return;
	}
	stat_inc(&cl->stats.late);
	client_verdict(&v, &cl->tables, p, 1);
	if (v.outcome.verdict == VERDICT_SENT) {
		outcome_sent(cl, p, &v.outcome);
		delivery_late(cl->c, t->msg, t->part, &v.outcome);
	}
	tomb_drop(s, t);
}
