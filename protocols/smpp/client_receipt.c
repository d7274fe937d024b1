/* What the SMSC delivers: receipts for what was sent, and subscribers' messages. The channel's
 * loop.
 *
 * Each deliver_sm or data_sm is answered when what it brought is on disk, in whatever order that
 * happens, on the connection it came by; if that is gone by then, the SMSC delivers it again. What
 * cannot be used (a receipt without an id) is answered at once and counted: an error would make
 * the SMSC repeat it for ever.
 *
 * What is a receipt: by esm_class; else by the TLVs that only receipts have; else, where the
 * channel says so, by its text. A subscriber can write such a text, too.
 */
#include "gateway/base/mem.h"
#include "gateway/model/reassembly.h"
#include "protocols/smpp/client.h"

#include <stdio.h>

/* Unanswered at a time on one connection; the SMSC is asked to come back with more. */
enum { HEARD_MOST = 10000 };
/* No receipt was found at once for so long: those that are not count against the form of ids. */
#define DOUBT_AFTER (10 * DUR_S)

/* The token of a deliver_sm until it is answered. */
struct heard {
	uint32_t birth, sequence, command;
	unsigned index;
};

/* ---- answering ---- */

static void answer(struct client_session *s, uint32_t command, uint32_t sequence, uint32_t status)
{
	pdu_put_resp(wire_out(&s->wire), command, status, sequence, STR_NONE);
	wire_wrote(&s->wire, 1);
}

static struct heard *hear(struct client_session *s, const struct pdu *p)
{
	struct heard *h = mem_new(struct heard);

	*h = (struct heard){ s->birth, p->sequence, p->command, s->index };
	s->heard++;
	return h;
}

void client_receipt_answer(struct channel *c, void *token, bool stored)
{
	struct client *cl = c->self;
	struct heard *h = token;
	struct client_session *s = cl->c && h->index < cl->sessions ? &cl->session[h->index] : NULL;

	if (s && h->birth == s->birth && wire_is_open(&s->wire)) {
		s->heard--;
		answer(s, h->command, h->sequence, stored ? ESME_ROK : ESME_RX_T_APPN);
		link_idle(s);
	}
	mem_free(&h);
}

/* ---- addresses ---- */

struct address_country client_country(const struct channel *c)
{
	struct address_country a = { 0 };

	str_copy(a.code, sizeof a.code, str_of(c->country));
	if (a.code[0])
		str_copy(a.trunk, sizeof a.trunk, str_of(c->trunk));
	return a;
}

/* The gateway's one form of a number; what is none stays as it was written. */
static void put_number(const struct channel *c, const struct pdu_addr *from, char *out, size_t cap)
{
	struct address_country country = client_country(c);
	struct address a;

	if (address_destination(&a, from->addr, from->ton, from->npi, &country, NULL) == 0)
		str_copy(out, cap, address_str(&a));
	else
		str_copy(out, cap, str_utf8_valid(from->addr) ? str_trim(from->addr) : STR_NONE);
}

/* ---- receipts ---- */

static enum state state_of(const struct smpp_receipt *r, enum reason *reason_r)
{
	*reason_r = REASON_NONE;
	if (r->intermediate)
		return STATE_SENT;
	switch (r->state) {
	case SMPP_STATE_DELIVERED:
		return STATE_DELIVERED;
	case SMPP_STATE_EXPIRED:
		*reason_r = REASON_EXPIRED;
		return STATE_EXPIRED;
	case SMPP_STATE_DELETED:
		*reason_r = REASON_CANCELLED;
		return STATE_UNDELIVERABLE;
	case SMPP_STATE_UNDELIVERABLE:
		*reason_r = REASON_REFUSED;
		return STATE_UNDELIVERABLE;
	case SMPP_STATE_REJECTED:
		*reason_r = REASON_REFUSED;
		return STATE_REJECTED;
	default:
		return STATE_UNKNOWN;
	}
}

/* After the look-up: what does it say about the form of ids? The keys are found again by their
 * text: what other receipts taught meanwhile may have changed their order and number. */
static void receipt_found(
	struct channel *c, const struct receipt_in *in, unsigned hits, const char *awaited)
{
	struct client *cl = c->self;
	struct msgid_keys keys;
	struct str id = str_of(in->raw_id);
	unsigned same = 0;
	mono_t now = loop_now(c->loop);

	if (!cl->c)
		return;
	/* Many receipts overtake their responses and are found later. That says nothing against
	 * the form, as long as others are found at once. */
	if (!hits && cl->found_at && now - cl->found_at < DOUBT_AFTER)
		return;
	msgid_receipt_keys(&cl->learner, id, &keys);
	for (unsigned i = 0; i < keys.n; i++)
		for (unsigned k = 0; k < in->keys; k++)
			if (hits >> k & 1 && str_is(msgid_key_str(&keys.key[i]), in->key[k]))
				same |= 1u << i;
	if (hits && !same)
		return;
	if (hits)
		cl->found_at = now;
	if (hits && !awaited[0])
		awaited = in->raw_id; /* with one key there is nothing to compare */
	if (msgid_learn(&cl->learner, &keys, id, same, str_of(awaited)))
		log_info("form of receipt ids", F_STR("channel", c->name),
			F_STR("id_form", msgid_form_name(msgid_learner_form(&cl->learner))),
			F_STR("answered", awaited), F_STR("receipted", in->raw_id));
}

static void take_receipt(
	struct client_session *s, const struct pdu *p, const struct smpp_receipt *r, bool read)
{
	struct client *cl = s->client;
	struct receipt_in in;
	struct msgid_keys keys;
	struct buf err = BUF_INIT;

	memset(&in, 0, offsetof(struct receipt_in, key));
	msgid_receipt_keys(&cl->learner, r->id, &keys);
	in.keys = keys.n;
	for (unsigned i = 0; i < keys.n; i++)
		str_copy(in.key[i], sizeof in.key[i], msgid_key_str(&keys.key[i]));
	for (unsigned i = keys.n; i < sizeof in.key / sizeof *in.key; i++)
		in.key[i][0] = '\0';
	str_copy(in.raw_id, sizeof in.raw_id, r->id);
	put_number(cl->c, &p->sm.source, in.to, sizeof in.to);
	in.state = read ? STATE_READ : state_of(r, &in.reason);
	if (read)
		in.reason = REASON_NONE;
	receipt_put_err(&err, r);
	str_copy(in.err, sizeof in.err, buf_view(&err));
	buf_free(&err);
	in.at = 0; /* the SMSC's zone is not known; the time of arrival is the truth */
	in.found = cl->learner.configured == MSGID_AUTO ? receipt_found : NULL;
	if (r->conflict)
		log_debug("receipt contradicts itself", F_STR("channel", cl->c->name),
			F_SLICE("remote", r->id), F_SLICE("stat", r->stat));
	receipt_arrived(cl->c, &in, hear(s, p));
}

/* ---- subscribers' messages ---- */

/* As UTF-8: names come in Latin-1, too. */
static void put_text(struct draft *d, enum field f, struct str s)
{
	struct buf b = BUF_INIT;

	s = str_trim(s);
	if (str_utf8_valid(s)) {
		draft_put(d, f, s);
		return;
	}
	for (size_t i = 0; i < s.n; i++)
		buf_utf8(&b, (unsigned char)s.p[i]);
	draft_put(d, f, buf_view(&b));
	buf_free(&b);
}

static void put_sender(struct client *cl, struct draft *d, const struct pdu_addr *from)
{
	struct address_country country = client_country(cl->c);
	struct address a;

	if (str_utf8_valid(from->addr) &&
		address_source(&a, from->addr, from->ton, from->npi, &country, NULL) == 0)
		draft_put(d, FIELD_FROM, address_str(&a));
	else
		put_text(d, FIELD_FROM, from->addr);
}

/* TLVs that go on to the account: not those that were used up here. */
static void put_tlvs(struct draft *d, const struct pdu *p)
{
	struct str rest = p->tlvs;
	struct buf b = BUF_INIT;
	struct tlv t;

	while (tlv_next(&rest, &t)) {
		switch (t.tag) {
		case TLV_MESSAGE_PAYLOAD:
		case TLV_SAR_MSG_REF_NUM:
		case TLV_SAR_TOTAL_SEGMENTS:
		case TLV_SAR_SEGMENT_SEQNUM:
			break;
		default:
			pdu_put_tlv(&b, t.tag, t.value);
		}
	}
	draft_put(d, FIELD_TLVS, buf_view(&b));
	buf_free(&b);
}

/* Is it a part of a longer one? The UDH says it, else the TLVs; both at once: the UDH. */
static struct concat concat_of(const struct pdu *p, struct str text)
{
	struct concat c = { 0 };
	struct udh u;

	if (p->sm.esm_class & ESM_UDHI && udh_parse(text, &u, NULL) == 0 && !u.bad &&
		u.concat.kind != CONCAT_NONE)
		return u.concat.total > 1 ? u.concat : c;
	if (pdu_tlv_u16(p, TLV_SAR_MSG_REF_NUM, &c.ref) &&
		pdu_tlv_u8(p, TLV_SAR_TOTAL_SEGMENTS, &c.total) &&
		pdu_tlv_u8(p, TLV_SAR_SEGMENT_SEQNUM, &c.seq) && concat_valid(c.total, c.seq) &&
		c.total > 1)
		c.kind = CONCAT_SAR;
	return c;
}

/* Parts may come by any connection, and by any channel of the group. The key is text, since the
 * store keeps it so; lengths make it unambiguous whatever the addresses hold. */
static void part_key(const struct client *cl, const struct message *m, const struct concat *c,
	struct mo_part *part)
{
	struct str from = message_get(m, FIELD_FROM), to = message_get(m, FIELD_TO);
	const char *owner = cl->c->conf->group[0] ? cl->c->conf->group : cl->c->name;

	snprintf(part->key, sizeof part->key, "%d.%u.%u/%zu.%zu/%.*s/%.*s/%s", (int)c->kind, c->ref,
		c->total, from.n, to.n, STR_ARG(from), STR_ARG(to), owner);
	part->part = (uint8_t)(c->seq - 1);
	part->parts = c->total;
	part->join = client_join;
}

static void take_message(struct client_session *s, const struct pdu *p)
{
	struct client *cl = s->client;
	struct str text = pdu_text(p);
	struct concat concat = concat_of(p, text);
	struct draft d;
	struct buf octets = BUF_INIT, words = BUF_INIT;
	struct text_decoded decoded;
	struct mo_part part = { 0 };
	struct message *m;
	char to[72];
	bool udhi = (p->sm.esm_class & ESM_UDHI) != 0;

	draft_init(&d);
	d.head.media = MEDIA_SMS;
	d.head.flags = MSG_OCTETS | MSG_MO;
	if (text.n > PDU_SHORT_MESSAGE_MAX)
		d.head.flags |= MSG_PAYLOAD;
	d.head.sms = (struct sms_attrs){
		.src_ton = p->sm.source.ton,
		.src_npi = p->sm.source.npi,
		.dst_ton = p->sm.dest.ton,
		.dst_npi = p->sm.dest.npi,
		.esm_class = p->sm.esm_class,
		.protocol_id = p->sm.protocol_id,
	};
	d.head.sms.data_coding =
		client_canonical(client_settings(cl), p->sm.data_coding, text, udhi, &octets);
	put_sender(cl, &d, &p->sm.source);
	put_number(cl->c, &p->sm.dest, to, sizeof to);
	draft_put(&d, FIELD_TO, str_of(to));
	draft_put(&d, FIELD_OCTETS, buf_view(&octets));
	if (text_decode(d.head.sms.data_coding, buf_view(&octets), udhi, NULL, &decoded, &words,
		    NULL) == 0 &&
		!decoded.binary)
		draft_put(&d, FIELD_TEXT, buf_view(&words));
	draft_put(&d, FIELD_SERVICE_TYPE, p->sm.service_type);
	put_tlvs(&d, p);
	m = draft_seal(&d);
	draft_free(&d);
	buf_free(&octets);
	buf_free(&words);
	if (concat.kind != CONCAT_NONE)
		part_key(cl, m, &concat, &part);
	subscriber_message(cl->c, m, concat.kind != CONCAT_NONE ? &part : NULL, hear(s, p));
}

/* ---- deliver_sm and data_sm ---- */

static bool is_receipt(const struct client *cl, const struct pdu *p)
{
	struct str id;
	uint8_t state;

	switch (p->sm.esm_class & ESM_TYPE_MASK) {
	case ESM_TYPE_RECEIPT:
	case ESM_TYPE_INTERMEDIATE:
		return true;
	}
	if (p->tlvs.n && pdu_tlv_cstr(p, TLV_RECEIPTED_MESSAGE_ID, &id) && id.n &&
		pdu_tlv_u8(p, TLV_MESSAGE_STATE, &state))
		return true;
	return client_settings(cl)->receipt_sniff && receipt_looks_like(pdu_text(p));
}

/* The handset, or its user, acknowledges: somebody saw it. */
static bool is_acknowledgement(const struct pdu *p)
{
	unsigned type = p->sm.esm_class & ESM_TYPE_MASK;

	return type == ESM_TYPE_ACK || type == ESM_TYPE_USER_ACK;
}

void client_heard(struct client_session *s, const struct pdu *p)
{
	struct client *cl = s->client;
	const struct client_tables *t = &cl->tables;
	struct smpp_receipt r;
	unsigned held;

	if (s->heard >= HEARD_MOST) {
		stat_inc(&cl->stats.busy);
		answer(s, p->command, p->sequence, ESME_RX_T_APPN);
		return;
	}
	if (is_receipt(cl, p)) {
		if (receipt_parse(&r, p, clock_wall(), t->words, t->words_n) == 0 && r.id.n) {
			take_receipt(s, p, &r, false);
			return;
		}
		stat_inc(&cl->stats.unreadable);
		if (log_due(&cl->quiet_bug, &held))
			log_warn("receipt without a message id", F_STR("channel", cl->c->name),
				F_SLICE("from", p->sm.source.addr), F_U64("more", held));
		answer(s, p->command, p->sequence, ESME_ROK);
		return;
	}
	if (is_acknowledgement(p) &&
		receipt_parse(&r, p, clock_wall(), t->words, t->words_n) == 0 && r.id.n) {
		take_receipt(s, p, &r, true);
		return;
	}
	take_message(s, p);
}
