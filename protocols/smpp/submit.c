/* What ESMEs submit, made into messages, and its answers. See server.h.
 *
 * The hot path: one submit_sm costs the reading of its fields, one allocation for the message and
 * one token that is used again. Octets of a short message are kept as they came, header and all;
 * only where they go to another medium, or where the account means something else than GSM 7-bit by
 * data_coding 0, are they read as text.
 */
#include "gateway/base/mem.h"
#include "gateway/model/address.h"
#include "gateway/model/text.h"
#include "gateway/model/udh.h"
#include "protocols/smpp/server.h"
#include "protocols/smpp/smpp_time.h"

#include <stdio.h>

enum {
	ADDR_CAP = 72, /* as struct ask and struct note have it */
	PART_OCTETS = 140,
	DCS_UCS2 = 8,
};

/* ---- tokens ---- */

static struct submit *submit_new(struct session *s, uint32_t command, uint32_t sequence)
{
	struct server *srv = s->srv;
	struct submit *sub = srv->spare;

	if (sub)
		srv->spare = sub->next;
	else
		sub = mem_raw(sizeof *sub);
	*sub = (struct submit){ .s = s, .command = command, .sequence = sequence };
	s->pending++;
	return sub;
}

static void submit_free(struct submit *sub)
{
	struct server *srv = sub->s->srv;

	message_unref(&sub->msg);
	sub->next = srv->spare;
	srv->spare = sub;
}

/* ---- ids ---- */

size_t server_id(const struct server_account_conf *c, uint64_t id, char out[SERVER_ID])
{
	unsigned base = c->id == ID_HEX ? 16 : 10;
	char digits[20];
	size_t n = 0;

	do
		digits[n++] = "0123456789abcdef"[id % base];
	while ((id /= base) != 0);
	for (size_t i = 0; i < n; i++)
		out[i] = digits[n - 1 - i];
	out[n] = '\0';
	return n;
}

bool server_id_is_short(const struct session *s)
{
	int id = session_conf(s)->id;

	return id == ID_SHORT || (id == ID_AUTO && s->version < SMPP_V34);
}

/* 3.3 has room for eight characters, hex by custom. A counter of 1,024 a second since 1970, modulo
 * 2^32: it comes round after 48 days, longer than ids are remembered, and goes on where the last
 * run ended without having to be stored. Whoever submits faster than that runs ahead of the clock;
 * then a restart may meet ids again, which the store notices and another number cures. */
void submit_alias(struct account *a, char out[12])
{
	struct member *m = member_of(a);
	uint32_t clock = (uint32_t)((uint64_t)(clock_wall() / DUR_MS) * 1024 / 1000);

	m->alias = (int32_t)(clock - m->alias) > 0 ? clock : m->alias + 1;
	snprintf(out, 12, "%08X", m->alias);
}

/* ---- refusals ---- */

uint32_t status_of_reason(enum reason r)
{
	switch (r) {
	case REASON_NONE:
		return ESME_ROK;
	case REASON_NO_ROUTE:
	case REASON_BAD_DESTINATION:
	case REASON_FAR_DESTINATION:
		return ESME_RINVDSTADR;
	case REASON_BAD_SENDER:
		return ESME_RINVSRCADR;
	case REASON_TOO_LONG:
		return ESME_RINVMSGLEN;
	case REASON_BAD_TIME:
		return ESME_RINVEXPIRY;
	case REASON_RATE:
	case REASON_WINDOW:
	case REASON_THROTTLED:
		return ESME_RTHROTTLED;
	case REASON_QUEUE_FULL:
	case REASON_FAR_QUEUE_FULL:
		return ESME_RMSGQFUL;
	case REASON_NOT_FOUND:
		return ESME_RINVMSGID;
	default:
		/* Of all temporary words 0x08 is the one that every client tries again on. */
		return reason_verdict(r) == VERDICT_RETRY ? ESME_RSYSERR : ESME_RSUBMITFAIL;
	}
}

/* ---- addresses ---- */

static struct address_country country_of(const struct listener *l)
{
	struct address_country c = { 0 };

	str_copy(c.code, sizeof c.code, str_of(l->country));
	if (c.code[0])
		str_copy(c.trunk, sizeof c.trunk, str_of(l->trunk));
	return c;
}

/* Digits with a country code, said to be just that: nothing to be done. */
static bool is_plain_number(const struct pdu_addr *in)
{
	if (in->ton != TON_INTERNATIONAL || in->addr.n < 9 || in->addr.n > ADDRESS_PHONE_MAX ||
		in->addr.p[0] == '0')
		return false;
	for (size_t i = 0; i < in->addr.n; i++)
		if (in->addr.p[i] < '0' || in->addr.p[i] > '9')
			return false;
	return true;
}

static void latin1_to_utf8(struct str in, char *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n && n + 3 < cap; i++) {
		uint8_t c = (uint8_t)in.p[i];

		if (c < 0x80) {
			out[n++] = (char)c;
		} else {
			out[n++] = (char)(0xc0 | c >> 6);
			out[n++] = (char)(0x80 | (c & 0x3f));
		}
	}
	out[n] = '\0';
}

uint32_t submit_source(struct session *s, const struct pdu_addr *in, char out[ADDR_CAP])
{
	struct address_country country;
	struct address a;
	char utf8[2 * 64 + 4];

	if (in->addr.n == 0) {
		out[0] = '\0';
		return ESME_ROK;
	}
	if (is_plain_number(in)) {
		str_copy(out, ADDR_CAP, in->addr);
		return ESME_ROK;
	}
	/* Names come in ASCII, Latin-1 or UTF-8: 3.4 has no coding for them. */
	if (str_utf8_valid(in->addr))
		str_copy(utf8, sizeof utf8, in->addr);
	else
		latin1_to_utf8(in->addr, utf8, sizeof utf8);
	country = country_of(s->srv->l);
	if (address_source(&a, str_of(utf8), in->ton, in->npi, &country, NULL) != 0)
		return ESME_RINVSRCADR;
	str_copy(out, ADDR_CAP, address_str(&a));
	return ESME_ROK;
}

uint32_t submit_dest(
	struct session *s, uint8_t media, const struct pdu_addr *in, char out[ADDR_CAP])
{
	struct address_country country;
	struct address a;

	if (is_plain_number(in) || (in->addr.n && (media == MEDIA_EMAIL || media == MEDIA_PUSH))) {
		str_copy(out, ADDR_CAP, in->addr);
		return ESME_ROK;
	}
	country = country_of(s->srv->l);
	if (address_destination(&a, in->addr, in->ton, in->npi, &country, NULL) != 0)
		return ESME_RINVDSTADR;
	str_copy(out, ADDR_CAP, address_str(&a));
	return ESME_ROK;
}

/* ---- content ---- */

static uint32_t medium_of(struct session *s, struct str service_type, uint8_t *media_r)
{
	const struct server_account_conf *c = session_conf(s);
	const struct account_conf *ac = &c->common;
	const char *word = ac->media;
	enum media m = MEDIA_SMS;
	bool known = false;

	for (size_t i = 0; i < ac->services_n; i++) {
		if (!str_is(service_type, ac->services[i].key))
			continue;
		word = ac->services[i].value;
		known = true;
		break;
	}
	if (c->known_services && service_type.n && !known)
		return ESME_RINVSERTYP;
	media_parse(str_of(word), &m);
	*media_r = (uint8_t)m;
	return ESME_ROK;
}

static struct text_peer peer_of(const struct server_account_conf *c)
{
	return (struct text_peer){ .form = (enum text_form)c->dcs0, .ascii_gsm = c->ascii_gsm };
}

/* One of several parts whose data_coding 0 is not GSM 7-bit: its text in the form that channels
 * know, behind the header that it came with, if it has one. */
static uint32_t recode_part(struct session *s, struct draft *d, const struct text_peer *peer,
	uint8_t data_coding, bool udhi, struct str octets)
{
	struct buf *text = &s->srv->work, *out = &s->srv->work2;
	struct text_decoded how;

	buf_reset(text);
	buf_reset(out);
	if (text_decode(data_coding, octets, udhi, peer, &how, text, NULL) != 0)
		return ESME_RINVESMCLASS;
	buf_add(out, octets.p, how.udh.size);
	d->head.sms.data_coding = 0;
	if (gsm7_encode(buf_view(text), how.udh.locking, how.udh.single, out, NULL) != 0) {
		struct str rest = buf_view(text);
		int32_t c;

		d->head.sms.data_coding = DCS_UCS2;
		while ((c = str_utf8_next(&rest)) != -1) {
			uint32_t u = c < 0 ? 0xfffd : (uint32_t)c;

			if (u >= 0x10000) {
				u -= 0x10000;
				buf_be16(out, (uint16_t)(0xd800 | u >> 10));
				u = 0xdc00 | (u & 0x3ff);
			}
			buf_be16(out, (uint16_t)u);
		}
		if (out->n > PART_OCTETS)
			return ESME_RINVMSGLEN;
	}
	draft_put(d, FIELD_OCTETS, buf_view(out));
	d->head.flags |= MSG_OCTETS;
	return ESME_ROK;
}

uint32_t submit_content(struct session *s, struct draft *d, uint8_t media, uint8_t data_coding,
	uint8_t esm_class, bool sar, struct str octets)
{
	struct text_peer peer = peer_of(session_conf(s));
	struct text_decoded how;
	struct buf *text = &s->srv->work;
	bool udhi = (esm_class & ESM_UDHI) != 0;
	struct udh udh;

	if (udhi && udh_parse(octets, &udh, NULL) != 0)
		return ESME_RINVESMCLASS;
	if (media == MEDIA_SMS && (data_coding != 0 || peer.form == TEXT_FORM_GSM)) {
		draft_put(d, FIELD_OCTETS, octets);
		d->head.flags |= MSG_OCTETS;
		return ESME_ROK;
	}
	if (media == MEDIA_SMS && (udhi || sar))
		return recode_part(s, d, &peer, data_coding, udhi, octets);
	buf_reset(text);
	if (text_decode(data_coding, octets, udhi, &peer, &how, text, NULL) != 0)
		return ESME_RINVESMCLASS;
	if (how.binary)
		return ESME_RSUBMITFAIL; /* no other medium carries octets */
	draft_put(d, FIELD_TEXT, buf_view(text));
	d->head.sms.esm_class &= (uint8_t)~ESM_UDHI;
	d->head.sms.data_coding = 0;
	d->head.flags &= (uint8_t)~MSG_PAYLOAD;
	return ESME_ROK;
}

/* What goes on with the message: all but the payload, which is the content, and what belongs to
 * responses and receipts. With a header sar_* and ports are forbidden (3.4 §5.2.12). */
static bool tlv_passes(uint16_t tag, bool udhi)
{
	switch (tag) {
	case TLV_MESSAGE_PAYLOAD:
	case TLV_ADDITIONAL_STATUS_INFO_TEXT:
	case TLV_RECEIPTED_MESSAGE_ID:
	case TLV_SC_INTERFACE_VERSION:
	case TLV_DPF_RESULT:
	case TLV_NETWORK_ERROR_CODE:
	case TLV_DELIVERY_FAILURE_REASON:
	case TLV_MESSAGE_STATE:
	case TLV_CONGESTION_STATE:
	case TLV_QOS_TIME_TO_LIVE: /* becomes the validity */
		return false;
	case TLV_SAR_MSG_REF_NUM:
	case TLV_SAR_TOTAL_SEGMENTS:
	case TLV_SAR_SEGMENT_SEQNUM:
	case TLV_SOURCE_PORT:
	case TLV_DESTINATION_PORT:
		return !udhi;
	default:
		return true;
	}
}

static void put_tlvs(struct session *s, struct draft *d, const struct pdu *p)
{
	bool udhi = (p->sm.esm_class & ESM_UDHI) != 0;
	struct buf *out = &s->srv->work;
	struct str rest = p->tlvs;
	struct tlv t;

	if (!rest.n)
		return;
	buf_reset(out);
	while (tlv_next(&rest, &t))
		if (tlv_passes(t.tag, udhi))
			pdu_put_tlv(out, t.tag, t.value);
	draft_put(d, FIELD_TLVS, buf_view(out));
}

/* ---- the message ---- */

uint8_t submit_wants(uint8_t registered)
{
	static const uint8_t final[4] = {
		[REG_FINAL] = WANT_DELIVERED | WANT_FAILED,
		[REG_FAILURE] = WANT_FAILED,
		[REG_SUCCESS] = WANT_DELIVERED,
	};

	return final[registered & REG_MASK] |
	       (registered & REG_INTERMEDIATE ? WANT_INTERMEDIATE : 0);
}

static uint32_t put_times(struct draft *d, const struct pdu *p)
{
	int64_t now, when;
	uint32_t seconds;

	if (p->sm.schedule.n || p->sm.validity.n) {
		now = clock_wall();
		if (smpp_time_parse(p->sm.schedule, now, 0, &when) < 0)
			return ESME_RINVSCHED;
		if (p->sm.schedule.n)
			d->head.send_at = when;
		if (smpp_time_parse(p->sm.validity, now, 0, &when) < 0)
			return ESME_RINVEXPIRY;
		if (p->sm.validity.n)
			d->head.expires = when;
	}
	if (p->command == SMPP_DATA_SM && pdu_tlv_u32(p, TLV_QOS_TIME_TO_LIVE, &seconds))
		d->head.expires = clock_wall() + seconds * DUR_S;
	return ESME_ROK;
}

/* All but the recipient. */
static uint32_t put_common(struct session *s, struct draft *d, const struct pdu *p)
{
	const struct pdu_sm *sm = &p->sm;
	struct str sar;
	char from[ADDR_CAP];
	uint32_t status;

	d->head = (struct message){
		.priority = sm->priority >= 2 ? PRIORITY_HIGH : PRIORITY_NORMAL,
		.wants = submit_wants(sm->registered),
		.sms = {
			.src_ton = sm->source.ton,
			.src_npi = sm->source.npi,
			.dst_ton = sm->dest.ton,
			.dst_npi = sm->dest.npi,
			.esm_class = sm->esm_class,
			.data_coding = sm->data_coding,
			.protocol_id = sm->protocol_id,
			.registered = sm->registered,
		},
	};
	d->fields.n = 0;
	if (sm->default_msg_id)
		return ESME_RINVDFTMSGID; /* there are no canned messages */
	status = medium_of(s, sm->service_type, &d->head.media);
	if (status == ESME_ROK)
		status = submit_source(s, &sm->source, from);
	if (status == ESME_ROK)
		status = put_times(d, p);
	if (status != ESME_ROK)
		return status;
	draft_put(d, FIELD_FROM, str_of(from));
	if (!sm->short_message.n && p->tlvs.n && pdu_text(p).n)
		d->head.flags |= MSG_PAYLOAD;
	status = submit_content(s, d, d->head.media, sm->data_coding, sm->esm_class,
		p->tlvs.n && pdu_tlv(p, TLV_SAR_TOTAL_SEGMENTS, &sar), pdu_text(p));
	if (status != ESME_ROK)
		return status;
	draft_put(d, FIELD_SERVICE_TYPE, sm->service_type);
	put_tlvs(s, d, p);
	return ESME_ROK;
}

/* Under its short id, if this ESME wants one; then the message is kept until it is known that the
 * id was free. */
static void arrive(struct submit *sub, struct message *m)
{
	struct session *s = sub->s;

	message_arrived(s->srv->l, s->account, m, sub);
}

static void arrive_aliased(struct submit *sub, struct draft *d)
{
	struct session *s = sub->s;
	struct message *m;

	submit_alias(s->account, sub->alias);
	draft_put(d, FIELD_CLIENT_ID, str_of(sub->alias));
	m = draft_seal(d);
	sub->msg = message_ref(m);
	arrive(sub, m);
}

static void arrive_again(struct submit *sub)
{
	struct draft *d = &sub->s->srv->draft;
	struct message *before = sub->msg;

	d->fields.n = 0;
	draft_copy(d, before, 1u << FIELD_CLIENT_ID);
	message_unref(&sub->msg);
	arrive_aliased(sub, d);
}

void submit_arrive(struct submit *sub, const struct message *m)
{
	struct session *s = sub->s;
	struct draft *d = &s->srv->draft;

	if (!server_id_is_short(s)) {
		arrive(sub, message_ref(m));
		return;
	}
	d->fields.n = 0;
	draft_copy(d, m, 1u << FIELD_CLIENT_ID);
	arrive_aliased(sub, d);
}

void submit_sm(struct session *s, const struct pdu *p)
{
	struct draft *d = &s->srv->draft;
	struct submit *sub;
	char to[ADDR_CAP];
	uint32_t status = put_common(s, d, p);

	if (status == ESME_ROK)
		status = submit_dest(s, d->head.media, &p->sm.dest, to);
	if (status != ESME_ROK) {
		session_refuse(s, p->command, p->sequence, status);
		return;
	}
	draft_put(d, FIELD_TO, str_of(to));
	sub = submit_new(s, p->command, p->sequence);
	sub->has_validity = p->sm.validity.n != 0;
	s->unanswered++;
	s->submitted++;
	if (p->sm.replace) {
		d->head.flags |= MSG_REPLACE;
		manage_replace_or_submit(s, sub, draft_seal(d));
	} else if (server_id_is_short(s)) {
		arrive_aliased(sub, d);
	} else {
		arrive(sub, draft_seal(d));
	}
}

static void put_answer(
	struct session *s, uint32_t command, uint32_t sequence, uint32_t status, struct str id)
{
	if (status != ESME_ROK)
		server_count_refusal(s->srv, status);
	pdu_put_resp(wire_out(&s->wire), command | SMPP_RESP, status, sequence, id);
	wire_wrote(&s->wire, 1);
}

/* Schedule and validity have words of their own. */
static uint32_t status_of_answer(const struct submit *sub, const struct answer *a)
{
	if (a->reason == REASON_BAD_TIME &&
		(!sub->has_validity || str_starts(str_of(a->words), STR("send_at"))))
		return ESME_RINVSCHED;
	return status_of_reason(a->reason);
}

/* ---- submit_multi: a message for each recipient, one id for all ----
 *
 * The first one that is accepted leads: its id is what the ESME sees. All others carry that id as
 * an alias, so their receipts name it, too, and are told apart by their address (3.4 §4.5.1). */

struct recipient {
	struct submit token;
	uint32_t status;
	uint8_t ton, npi;
	char given[24], to[ADDR_CAP];
};
struct multi {
	struct list link; /* in its account's list until it is answered */
	struct session *s;
	uint32_t sequence;
	struct message *base;
	uint64_t leader;
	char id[SERVER_ID];
	bool led, has_validity;
	unsigned n, next, waits, accepted;
	struct recipient r[];
};

static void multi_arrive(struct multi *m, unsigned i)
{
	struct recipient *r = &m->r[i];
	struct session *s = m->s;
	struct draft *d = &s->srv->draft;

	d->fields.n = 0;
	draft_copy(d, m->base, 0);
	draft_put(d, FIELD_TO, str_of(r->to));
	d->head.sms.dst_ton = r->ton;
	d->head.sms.dst_npi = r->npi;
	r->token = (struct submit){ .s = s, .command = SMPP_SUBMIT_MULTI, .multi = m, .index = i };
	r->token.has_validity = m->has_validity;
	s->pending++;
	m->waits++;
	if (!m->led && m->n > 1)
		d->head.flags |= MSG_LEADS;
	if (m->led) {
		d->head.flags |= MSG_ALIAS;
		draft_put(d, FIELD_CLIENT_ID, str_of(m->id));
		arrive(&r->token, draft_seal(d));
	} else if (server_id_is_short(s)) {
		arrive_aliased(&r->token, d);
	} else {
		arrive(&r->token, draft_seal(d));
	}
}

static void multi_answer(struct multi *m)
{
	struct session *s = m->s;
	struct buf *list = &s->srv->work;
	struct pdu p = { .command = SMPP_SUBMIT_MULTI | SMPP_RESP, .sequence = m->sequence };

	buf_reset(list);
	if (m->accepted == 0) {
		/* Nothing was taken: the word of the first, which is mostly that of all. */
		put_answer(s, SMPP_SUBMIT_MULTI, m->sequence, m->r[0].status, STR_NONE);
		return;
	}
	for (unsigned i = 0; i < m->n; i++) {
		struct pdu_addr a = { m->r[i].ton, m->r[i].npi, str_of(m->r[i].given) };

		if (m->r[i].status == ESME_ROK)
			continue;
		server_count_refusal(s->srv, m->r[i].status);
		pdu_put_unsuccess(list, &a, m->r[i].status);
		p.resp.unsuccess_count++;
	}
	p.resp.message_id = str_of(m->id);
	p.resp.unsuccess = buf_view(list);
	pdu_encode(wire_out(&s->wire), &p);
	wire_wrote(&s->wire, 1);
}

/* Sends the next candidate for the lead, or, when there is a leader, all others; answers when
 * nothing is awaited any more. */
static void multi_step(struct multi *m)
{
	struct session *s = m->s;

	while (m->next < m->n && session_is_alive(s) && (m->led || m->waits == 0)) {
		unsigned i = m->next++;

		if (m->r[i].status == ESME_ROK)
			multi_arrive(m, i);
	}
	if (m->waits)
		return;
	list_remove(&m->link);
	if (session_is_alive(s)) {
		multi_answer(m);
		session_answered(s);
	}
	message_unref(&m->base);
	mem_free(&m);
	session_release(s); /* the reference of the request itself */
}

static void multi_answered(struct submit *token, const struct answer *a)
{
	struct multi *m = token->multi;
	struct recipient *r = &m->r[token->index];
	struct session *s = m->s;

	m->waits--;
	r->status = a->reason == REASON_NONE ? ESME_ROK : status_of_answer(token, a);
	if (r->status == ESME_ROK) {
		m->accepted++;
		if (!m->led) {
			m->led = true;
			m->leader = a->id;
			if (token->alias[0])
				str_copy(m->id, sizeof m->id, str_of(token->alias));
			else
				server_id(session_conf(s), a->id, m->id);
		}
	}
	message_unref(&token->msg);
	multi_step(m);
	session_release(s);
}

bool submit_multi_is_open(const struct account *a, const struct note *n)
{
	list_each (it, &member_of(a)->multis) {
		const struct multi *m = CONTAINER(it, struct multi, link);

		if (m->led && (m->leader == n->msg || strcmp(m->id, n->client_id) == 0))
			return true;
	}
	return false;
}

void submit_multi(struct session *s, const struct pdu *p)
{
	struct draft *d = &s->srv->draft;
	struct str rest = p->sm.dests;
	struct pdu_addr a;
	struct multi *m;
	bool is_list;
	uint32_t status = p->sm.replace ? ESME_RINVSUBREP : put_common(s, d, p);

	if (status != ESME_ROK) {
		session_refuse(s, p->command, p->sequence, status);
		return;
	}
	m = mem_alloc(sizeof *m + p->sm.dest_count * sizeof m->r[0]);
	m->s = s;
	m->sequence = p->sequence;
	m->has_validity = p->sm.validity.n != 0;
	m->base = draft_seal(d);
	while (m->n < p->sm.dest_count && pdu_dest_next(&rest, &a, &is_list)) {
		struct recipient *r = &m->r[m->n++];

		r->ton = a.ton;
		r->npi = a.npi;
		str_copy(r->given, sizeof r->given, a.addr);
		r->status = is_list ? ESME_RCNTSUBDL : submit_dest(s, m->base->media, &a, r->to);
	}
	list_append(&member_of(s->account)->multis, &m->link);
	s->pending++;
	s->unanswered++;
	s->submitted += m->n;
	multi_step(m);
}

/* ---- answers ---- */

void server_answer(struct listener *l, void *token, const struct answer *a)
{
	struct submit *sub = token;
	struct session *s = sub->s;
	char id[SERVER_ID];
	size_t n;

	/* Its short id is in use already: another one. */
	if (sub->alias[0] && session_is_alive(s) &&
		(a->duplicate || a->reason == REASON_DUPLICATE)) {
		arrive_again(sub);
		return;
	}
	if (sub->multi) {
		multi_answered(sub, a);
		return;
	}
	if (session_is_alive(s)) {
		if (a->reason != REASON_NONE) {
			put_answer(
				s, sub->command, sub->sequence, status_of_answer(sub, a), STR_NONE);
		} else if (sub->alias[0]) {
			put_answer(s, sub->command, sub->sequence, ESME_ROK, str_of(sub->alias));
		} else {
			n = server_id(session_conf(s), a->id, id);
			put_answer(s, sub->command, sub->sequence, ESME_ROK, str_n(id, n));
		}
		session_answered(s);
	}
	submit_free(sub);
	session_release(s);
}
