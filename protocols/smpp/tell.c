/* News for ESMEs: receipts and subscribers' messages as deliver_sm, and what becomes of them. See
 * server.h. Flow lends notes within the credit that server_recount() gave; each goes back to it by
 * note_done(): taken, to be told again, or never to be taken.
 */
#include "gateway/base/backoff.h"
#include "gateway/base/mem.h"
#include "gateway/model/text.h"
#include "protocols/smpp/receipt.h"
#include "protocols/smpp/server.h"

enum { ADDR_MOST = 20, FIELD_MOST_TYPE = 5 };
#define AGAIN_FIRST DUR_S
#define AGAIN_MOST  (60 * DUR_S)
#define EARLY_WAIT  (10 * DUR_MS)
#define REFUSED_MOST                                                                 \
	(3 * DUR_DAY) /* a note that is refused as "not now" for so long is given up \
		       */

/* One note on its way: as many deliver_sm as a long message needs, all on one session. */
struct telling {
	struct account *a;
	struct note *n;
	unsigned waits;
	struct outcome worst; /* of the parts */
};

/* ---- the end of a note ---- */

/* One of its deliver_sm has ended so; the note ends with the last of them. */
static void part_ended(struct telling *t, const struct outcome *o)
{
	struct outcome out;
	struct account *a = t->a;
	struct note *n = t->n;

	if (o->verdict != VERDICT_SENT && t->worst.verdict != VERDICT_FAILED)
		t->worst = *o;
	if (--t->waits)
		return;
	out = t->worst;
	mem_free(&t);
	note_done(a, n, &out);
}

static dur_t again_in(const struct note *n)
{
	return backoff_of(AGAIN_FIRST, AGAIN_MOST, 2, n->attempts + 1);
}

/* What a deliver_sm_resp says: SMPP 5.0 §4.7.6, and what Kannel means by its two words. */
static struct outcome outcome_of_answer(const struct note *n, uint32_t status)
{
	struct outcome o;

	switch (status) {
	case ESME_ROK:
		return outcome_of(REASON_NONE);
	case ESME_RTHROTTLED:
	case ESME_RMSGQFUL:
	case ESME_RSYSERR:
	case ESME_RX_T_APPN:
		o = outcome_words(REASON_TEMPORARY, "%s", smpp_status_name(status));
		o.delay = again_in(n);
		/* The last speaks of this one, and others may pass; the rest of the receiver. */
		o.scope = status == ESME_RX_T_APPN ? SCOPE_MESSAGE : SCOPE_CHANNEL;
		if (clock_wall() - n->at > REFUSED_MOST)
			o = outcome_words(REASON_ATTEMPTS, "%s for days", smpp_status_name(status));
		return o;
	default:
		return outcome_words(REASON_REFUSED, "%s", smpp_status_name(status));
	}
}

void tell_answered(struct session *s, struct telling *t, const struct pdu *p)
{
	struct outcome o = outcome_of_answer(t->n, p->status);

	if (p->status != ESME_ROK)
		log_debug("deliver_sm refused", F_STR("account", s->account->name),
			F_STR("peer", s->peer), F_ID("msg", t->n->msg),
			F_STR("status", smpp_status_name(p->status)));
	else
		s->told++;
	part_ended(t, &o);
	session_told(s);
}

void tell_unanswered(struct session *s, struct telling *t, enum reason why)
{
	struct outcome o = outcome_of(why);

	/* It may have been taken: told again, it comes twice rather than never. */
	o.verdict = VERDICT_RETRY;
	if (why == REASON_TIMEOUT)
		o.delay = again_in(t->n);
	part_ended(t, &o);
	if (session_is_alive(s))
		session_told(s);
}

/* ---- writing ---- */

static bool with_tlvs(const struct session *s)
{
	int tlvs = session_conf(s)->tlvs;

	return tlvs == TLVS_YES || (tlvs == TLVS_AUTO && s->version >= SMPP_V34);
}

static struct str cut(struct str s, size_t most)
{
	return s.n > most ? str_n(s.p, most) : s;
}

static void put_deliver(
	struct session *s, struct telling *t, const struct pdu_sm *sm, struct str tlvs)
{
	uint32_t sequence = wire_expect(&s->wire, SMPP_DELIVER_SM, t);

	t->waits++;
	CHECK(pdu_put_deliver_sm(wire_out(&s->wire), sequence, sm, tlvs) == ESME_ROK);
	wire_wrote(&s->wire, 1);
}

/* An address as the submission had it: national numbers have been made international. */
static struct pdu_addr addr_of(uint8_t ton, uint8_t npi, const char *text)
{
	bool national = ton == 2 || ton == 4; /* TON_NATIONAL, TON_SUBSCRIBER */

	return (struct pdu_addr){ national ? 1 : ton, national ? 1 : npi,
		cut(str_of(text), ADDR_MOST) };
}

/* ---- receipts ---- */

static enum smpp_state state_of(const struct note *n)
{
	switch (n->state) {
	case STATE_DELIVERED:
	case STATE_READ:
		return SMPP_STATE_DELIVERED;
	case STATE_UNDELIVERABLE:
		return SMPP_STATE_UNDELIVERABLE;
	case STATE_EXPIRED:
		return SMPP_STATE_EXPIRED;
	case STATE_REJECTED:
	case STATE_SUPPRESSED:
		return SMPP_STATE_REJECTED;
	case STATE_CANCELLED:
		return SMPP_STATE_DELETED;
	case STATE_UNKNOWN:
		return SMPP_STATE_UNKNOWN;
	default:
		/* The far side took it: on the way, or the last that will be known of it. */
		return n->kind == NOTE_INTERMEDIATE ? SMPP_STATE_ENROUTE : SMPP_STATE_ACCEPTED;
	}
}

/* The far side's own code if it is a number, else our reason's number; 0 when all went well. */
static unsigned error_of(const struct note *n, enum smpp_state st)
{
	uint64_t code;

	if (st == SMPP_STATE_DELIVERED || st == SMPP_STATE_ENROUTE || st == SMPP_STATE_ACCEPTED)
		return 0;
	if (str_u64(str_of(n->err), &code) && code <= 999)
		return (unsigned)code;
	return (unsigned)n->reason;
}

static void tell_receipt(struct session *s, struct telling *t)
{
	const struct server_account_conf *c = session_conf(s);
	struct buf *text = &s->srv->work, *tlvs = &s->srv->work2;
	const struct note *n = t->n;
	unsigned parts = n->parts ? n->parts : 1;
	char id[SERVER_ID];
	struct receipt_form f = {
		.state = state_of(n),
		.sub = parts,
		.submit = n->accepted,
		.done = n->at,
		.date_digits = (unsigned)c->dates,
	};
	struct pdu_sm sm = {
		.source = addr_of(n->sms.dst_ton, n->sms.dst_npi, n->to),
		.dest = addr_of(n->sms.src_ton, n->sms.src_npi, n->from),
		.esm_class =
			n->kind == NOTE_INTERMEDIATE ? ESM_TYPE_INTERMEDIATE : ESM_TYPE_RECEIPT,
	};

	f.dlvrd = f.state == SMPP_STATE_DELIVERED ? parts : n->parts_delivered;
	f.err = error_of(n, f.state);
	if (n->client_id[0])
		f.id = str_of(n->client_id);
	else
		f.id = str_n(id, server_id(c, n->msg, id));
	f.id = cut(f.id, PDU_ID_MAX);
	buf_reset(text);
	buf_reset(tlvs);
	receipt_put_text(text, &f);
	if (with_tlvs(s))
		receipt_put_tlvs(tlvs, &f);
	sm.short_message = buf_view(text);
	put_deliver(s, t, &sm, buf_view(tlvs));
}

/* ---- subscribers' messages ---- */

/* As it came: octets, header, coding and all. */
static bool tell_octets(struct session *s, struct telling *t, struct pdu_sm *sm)
{
	const struct message *m = t->n->mo;
	struct buf *tlvs = &s->srv->work2;
	struct str octets = message_get(m, FIELD_OCTETS);

	sm->esm_class = m->sms.esm_class & (ESM_UDHI | ESM_REPLY_PATH);
	sm->data_coding = m->sms.data_coding;
	buf_reset(tlvs);
	if (with_tlvs(s))
		buf_str(tlvs, message_get(m, FIELD_TLVS));
	if (octets.n <= PDU_SHORT_MESSAGE_MAX) {
		sm->short_message = octets;
	} else if (with_tlvs(s) && octets.n <= UINT16_MAX) {
		pdu_put_tlv(tlvs, TLV_MESSAGE_PAYLOAD, octets);
	} else {
		return false;
	}
	put_deliver(s, t, sm, buf_view(tlvs));
	return true;
}

static void put_sar(struct buf *tlvs, const struct concat *c)
{
	pdu_put_tlv_u16(tlvs, TLV_SAR_MSG_REF_NUM, c->ref);
	pdu_put_tlv_u8(tlvs, TLV_SAR_TOTAL_SEGMENTS, c->total);
	pdu_put_tlv_u8(tlvs, TLV_SAR_SEGMENT_SEQNUM, c->seq);
}

/* As text, cut into parts if it is long. */
static bool tell_text(struct session *s, struct telling *t, struct pdu_sm *sm, struct str text)
{
	const struct server_account_conf *c = session_conf(s);
	struct buf *out = &s->srv->work, *tlvs = &s->srv->work2;
	struct text_options o = {
		.form = (enum text_form)c->dcs0,
		.split = with_tlvs(s) ? (enum text_split)c->mo_split : TEXT_SPLIT_UDH8,
	};
	struct text_plan plan;
	struct text_part part;

	if (text_plan(&plan, text, &o, NULL) != 0)
		return false;
	for (unsigned i = 0; i < plan.parts; i++) {
		buf_reset(out);
		buf_reset(tlvs);
		text_part(&plan, i, (uint16_t)t->n->seq, out, &part);
		sm->esm_class = part.udhi ? ESM_UDHI : 0;
		sm->data_coding = plan.data_coding;
		sm->short_message = part.payload ? STR_NONE : buf_view(out);
		if (part.payload)
			pdu_put_tlv(tlvs, TLV_MESSAGE_PAYLOAD, buf_view(out));
		if (part.concat.kind == CONCAT_SAR)
			put_sar(tlvs, &part.concat);
		put_deliver(s, t, sm, buf_view(tlvs));
	}
	return true;
}

/* Octets that fit nowhere, read as text. */
static bool tell_decoded(struct session *s, struct telling *t, struct pdu_sm *sm)
{
	const struct message *m = t->n->mo;
	struct text_decoded how;
	struct buf text = BUF_INIT;
	bool told = text_decode(m->sms.data_coding, message_get(m, FIELD_OCTETS),
			    (m->sms.esm_class & ESM_UDHI) != 0, NULL, &how, &text, NULL) == 0 &&
		    !how.binary && tell_text(s, t, sm, buf_view(&text));

	buf_free(&text);
	return told;
}

static bool tell_mo(struct session *s, struct telling *t)
{
	const struct message *m = t->n->mo;
	char from[ADDR_MOST + 1], to[ADDR_MOST + 1];
	struct pdu_sm sm = {
		.service_type = cut(message_get(m, FIELD_SERVICE_TYPE), FIELD_MOST_TYPE),
		.protocol_id = m->sms.protocol_id,
	};

	str_copy(from, sizeof from, message_get(m, FIELD_FROM));
	str_copy(to, sizeof to, message_get(m, FIELD_TO));
	sm.source = addr_of(m->sms.src_ton, m->sms.src_npi, from);
	sm.dest = addr_of(m->sms.dst_ton, m->sms.dst_npi, to);
	if (!(m->flags & MSG_OCTETS))
		return tell_text(s, t, &sm, message_get(m, FIELD_TEXT));
	return tell_octets(s, t, &sm) || tell_decoded(s, t, &sm);
}

/* ---- choosing who is told ---- */

/* The next in turn that reads and has room. */
static struct session *receiver(struct member *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		struct session *s = list_first(&m->sessions, struct session, mate);

		list_remove(&s->mate);
		list_append(&m->sessions, &s->mate);
		if (s->rx && s->state == SESSION_BOUND && !s->full &&
			s->wire.unanswered < session_window(s))
			return s;
	}
	return NULL;
}

void tell_note(struct account *a, struct note *n)
{
	bool early = submit_multi_is_open(a, n), told = true;
	struct session *s = early ? NULL : receiver(member_of(a));
	struct telling *t;
	struct outcome o;

	if (!s) {
		/* It must not overtake its response; or credit was taken back meanwhile. */
		o = outcome_of(REASON_DOWN);
		o.delay = early ? EARLY_WAIT : DUR_S;
		o.scope = early ? SCOPE_MESSAGE : SCOPE_CHANNEL;
		note_done(a, n, &o);
		return;
	}
	t = mem_new(struct telling);
	t->a = a;
	t->n = n;
	t->worst = outcome_of(REASON_NONE);
	if (n->kind == NOTE_MO && n->mo)
		told = tell_mo(s, t);
	else
		tell_receipt(s, t);
	if (!told) {
		mem_free(&t);
		o = outcome_words(REASON_BAD_CONTENT, "it fits no deliver_sm to this account");
		note_done(a, n, &o);
		return;
	}
	if (wire_full(&s->wire)) {
		s->full = true;
		server_recount(a);
	}
}
