/* What a message becomes on a channel's wire, and what came over it in the gateway's own terms:
 * octets, codings, parts, addresses. Pure: configuration and message in, octets out; any thread.
 *
 * What was submitted as octets passes untouched where the far side will read the same in it; text
 * (and octets that have to be cut or rewritten) goes through the text model's plan.
 */
#include "gateway/base/mem.h"
#include "gateway/model/reassembly.h"
#include "protocols/smpp/client.h"

enum {
	ONE_SEPTETS = 160,
	ONE_OCTETS = 140,
	SHORT_DESTINATION = 6, /* digits of a destination that are a short code (address.c) */
};

/* ---- outgoing content ---- */

static bool is_gsm(enum text_charset c)
{
	return c == TEXT_CHARSET_GSM || c == TEXT_CHARSET_PACKED;
}

static uint8_t coding_value(const struct client_conf *conf, enum text_coding c)
{
	switch (c) {
	case TEXT_GSM7:
		return conf->coding.gsm;
	case TEXT_ASCII:
		return conf->coding.ascii;
	case TEXT_LATIN1:
		return conf->coding.latin1;
	case TEXT_UCS2:
		return conf->coding.ucs2;
	default:
		return conf->coding.binary;
	}
}

/* The standard's values are written as the channel has them; all others as they are. */
static uint8_t map_data_coding(const struct client_conf *conf, uint8_t v)
{
	switch (v) {
	case 0:
		return conf->coding.gsm;
	case 1:
		return conf->coding.ascii;
	case 3:
		return conf->coding.latin1;
	case 4:
		return conf->coding.binary;
	case 8:
		return conf->coding.ucs2;
	default:
		return v;
	}
}

/* May octets of this character set go to the far side as they are? */
static bool is_allowed(const struct client_conf *conf, enum text_charset c)
{
	unsigned allow = conf->text.allow;

	if (!allow)
		return true; /* nothing was said */
	switch (c) {
	case TEXT_CHARSET_GSM:
		return (allow & TEXT_CODING_BIT(TEXT_GSM7)) != 0;
	case TEXT_CHARSET_ASCII:
		return (allow & TEXT_CODING_BIT(TEXT_ASCII)) != 0;
	case TEXT_CHARSET_LATIN1:
		return (allow & TEXT_CODING_BIT(TEXT_LATIN1)) != 0;
	case TEXT_CHARSET_UCS2:
		return (allow & TEXT_CODING_BIT(TEXT_UCS2)) != 0;
	default:
		return true;
	}
}

static size_t one_message(const struct text_dcs *dcs)
{
	return is_gsm(dcs->charset) || dcs->charset == TEXT_CHARSET_ASCII ? ONE_SEPTETS
	       : dcs->charset == TEXT_CHARSET_LATIN1 ? text_room(TEXT_LATIN1, 0)
						     : ONE_OCTETS;
}

static bool tlvs_have(struct str tlvs, uint16_t tag)
{
	struct tlv t;

	while (tlv_next(&tlvs, &t))
		if (t.tag == tag)
			return true;
	return false;
}

static int refuse_err(struct outcome *why, enum reason r, const struct err *e)
{
	*why = outcome_words(r, "%.*s", (int)sizeof why->words - 1, e->text);
	return -1;
}

static int shape_plan(struct client_shape *s, const struct client_conf *conf, struct str text,
	bool binary, struct outcome *why)
{
	struct text_options o;
	struct err e;

	if (binary) {
		o = conf->text;
		o.binary = true;
	}
	if (text_plan(&s->plan, text, binary ? &o : &conf->text, &e) != 0)
		return refuse_err(why,
			s->plan.fault == TEXT_TOO_LONG ? REASON_TOO_LONG : REASON_BAD_CONTENT, &e);
	s->parts = s->plan.parts;
	return 0;
}

/* GSM septets from `at` on, in the alphabet that the far side means by data_coding 0. */
static int recode(struct client_shape *s, const struct client_conf *conf, struct str octets,
	struct outcome *why)
{
	struct udh u = { 0 };
	struct str body = octets, rest;
	struct buf utf8 = BUF_INIT, septets = BUF_INIT;
	enum text_form form = conf->text.form;
	int32_t c;

	if (s->udhi && udh_parse(octets, &u, NULL) == 0)
		body = str_skip(octets, u.size);
	buf_add(&s->made, octets.p, u.size);
	if (form == TEXT_FORM_PACKED) {
		unsigned fill = gsm7_header_fill(u.size);

		buf_str(&septets, body);
		if (body.n && (fill + body.n * 7) % 8 == 1)
			buf_u8(&septets, GSM7_CR); /* seven bits to spare would read as "@" */
		gsm7_pack(buf_view(&septets), fill, &s->made);
	} else {
		gsm7_decode(body, u.locking, u.single, &utf8);
		rest = buf_view(&utf8);
		while ((c = str_utf8_next(&rest)) >= 0) {
			if (form == TEXT_FORM_UTF8) {
				buf_utf8(&s->made, (uint32_t)c);
			} else if (c <= (form == TEXT_FORM_ASCII ? 0x7f : 0xff)) {
				buf_u8(&s->made, (uint8_t)c);
			} else {
				*why = outcome_words(REASON_BAD_CONTENT,
					"U+%04X is not in the channel's default alphabet",
					(unsigned)c);
				buf_free(&utf8);
				return -1;
			}
		}
	}
	buf_free(&utf8);
	buf_free(&septets);
	s->octets = buf_view(&s->made);
	return 0;
}

static int shape_raw(struct client_shape *s, const struct client_conf *conf,
	const struct message *m, struct str octets, struct outcome *why)
{
	size_t limit = conf->text.payload_limit ? conf->text.payload_limit : TEXT_PAYLOAD_LIMIT;

	s->raw = true;
	s->parts = 1;
	s->octets = octets;
	s->data_coding = map_data_coding(conf, m->sms.data_coding);
	if (m->sms.data_coding == 0 && conf->text.form != TEXT_FORM_GSM &&
		recode(s, conf, octets, why) != 0)
		return -1;
	s->payload = s->octets.n > PDU_SHORT_MESSAGE_MAX;
	if (!s->payload)
		return 0;
	if (conf->link.version < SMPP_V34 || s->octets.n > limit) {
		*why = outcome_words(REASON_TOO_LONG, "%zu octets; this channel takes at most %zu",
			s->octets.n,
			conf->link.version < SMPP_V34 ? (size_t)PDU_SHORT_MESSAGE_MAX : limit);
		return -1;
	}
	return 0;
}

/* What was submitted as octets. */
static int shape_octets(struct client_shape *s, const struct client_conf *conf,
	const struct message *m, struct str octets, struct outcome *why)
{
	struct text_dcs dcs = text_dcs(m->sms.data_coding, NULL);
	bool fits = octets.n <= one_message(&dcs) || conf->text.split == TEXT_SPLIT_PAYLOAD;
	struct text_decoded d;

	s->udhi = (m->sms.esm_class & ESM_UDHI) != 0;
	if (s->udhi || (fits && is_allowed(conf, dcs.charset)) ||
		tlvs_have(message_get(m, FIELD_TLVS), TLV_SAR_MSG_REF_NUM))
		return shape_raw(s, conf, m, octets, why);
	if (dcs.charset == TEXT_CHARSET_BINARY) {
		s->data_coding = map_data_coding(conf, m->sms.data_coding);
		return shape_plan(s, conf, octets, true, why);
	}
	if (text_decode(m->sms.data_coding, octets, false, NULL, &d, &s->made, NULL) != 0)
		return shape_raw(s, conf, m, octets, why);
	return shape_plan(s, conf, buf_view(&s->made), false, why);
}

int client_shape(struct client_shape *s, const struct client_conf *conf, const struct message *m,
	struct outcome *why)
{
	int r;

	s->raw = s->payload = s->udhi = false;
	s->data_coding = s->class_bits = 0;
	s->made = BUF_INIT;
	if (m->sms.data_coding >= 0x10) {
		struct text_dcs dcs = text_dcs(m->sms.data_coding, NULL);

		if (dcs.message_class >= 0)
			s->class_bits = (uint8_t)(dcs.message_class + 1);
	}
	r = m->flags & MSG_OCTETS ? shape_octets(s, conf, m, message_get(m, FIELD_OCTETS), why)
				  : shape_plan(s, conf, message_get(m, FIELD_TEXT), false, why);
	if (r != 0)
		client_shape_free(s);
	return r;
}

void client_shape_free(struct client_shape *s)
{
	if (s->made.p)
		buf_free(&s->made);
}

void client_shape_part(const struct client_shape *s, const struct client_conf *conf, unsigned i,
	uint16_t ref, struct buf *out, struct client_part *p)
{
	struct text_part t;

	if (s->raw) {
		*p = (struct client_part){ s->udhi, s->payload, s->data_coding, { 0 } };
		buf_str(out, s->octets);
		return;
	}
	text_part(&s->plan, i, ref, out, &t);
	*p = (struct client_part){ .udhi = t.udhi, .payload = t.payload };
	if (t.concat.kind == CONCAT_SAR)
		p->sar = t.concat;
	if (s->class_bits)
		p->data_coding = text_class_coding(s->plan.coding, s->class_bits - 1u);
	else if (s->plan.coding == TEXT_BINARY && s->data_coding)
		p->data_coding = s->data_coding;
	else
		p->data_coding = coding_value(conf, s->plan.coding);
}

/* ---- addresses ---- */

static bool all_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n != 0;
}

static void addr_set(struct client_addr *a, struct ton_npi ton, struct str s)
{
	a->ton = ton;
	a->n = (uint8_t)s.n;
	str_copy(a->text, sizeof a->text, s);
}

int client_destination(struct client_addr *a, const struct client_conf *conf,
	const struct message *m, struct outcome *why)
{
	struct str to = message_get(m, FIELD_TO);
	struct address d;
	struct err e;

	if (all_digits(to) && to.n <= ADDRESS_PHONE_MAX) {
		addr_set(a,
			to.n <= SHORT_DESTINATION ? conf->numbering.destination_short
						  : conf->numbering.destination,
			to);
		return 0;
	}
	if (address_destination(&d, to, TON_UNKNOWN, NPI_UNKNOWN, NULL, &e) != 0)
		return refuse_err(why, REASON_BAD_DESTINATION, &e);
	addr_set(a, address_destination_ton(&conf->numbering, &d), address_str(&d));
	return 0;
}

int client_source(struct client_addr *a, const struct client_conf *conf, const struct message *m,
	struct outcome *why)
{
	struct str from = message_get(m, FIELD_FROM);
	bool named = m->sms.src_ton == TON_ALPHANUMERIC;
	struct buf octets = BUF_INIT;
	struct address s;
	struct err e;
	int r;

	if (from.n == 0) {
		from = str_of(conf->source_addr);
		named = false;
	}
	if (from.n == 0) {
		addr_set(a, (struct ton_npi){ 0, 0 }, from);
		return 0;
	}
	if (!named && all_digits(from) && from.n <= ADDRESS_PHONE_MAX) {
		addr_set(a,
			from.n <= ADDRESS_SHORT_MAX ? conf->numbering.source_short
						    : conf->numbering.source_other,
			from);
		return 0;
	}
	if (address_source(
		    &s, from, named ? TON_ALPHANUMERIC : TON_UNKNOWN, NPI_UNKNOWN, NULL, &e) != 0 ||
		address_source_octets(&s, conf->source_form, &octets, &e) != 0)
		return refuse_err(why, REASON_BAD_SENDER, &e);
	r = octets.n <= 20 ? 0 : -1;
	if (r == 0)
		addr_set(a, address_source_ton(&conf->numbering, &s), buf_view(&octets));
	else
		*why = outcome_words(
			REASON_BAD_SENDER, "sender \"%s\" takes more than 20 octets", s.text);
	buf_free(&octets);
	return r;
}

unsigned client_parts(const struct channel *c, const struct message *m, struct outcome *why)
{
	const struct client_conf *conf = c->specific;
	struct client_addr a;
	struct client_shape s;
	unsigned parts;

	if (client_destination(&a, conf, m, why) != 0 || client_source(&a, conf, m, why) != 0 ||
		client_shape(&s, conf, m, why) != 0)
		return 0;
	parts = s.parts;
	client_shape_free(&s);
	return parts;
}

/* ---- incoming content ---- */

static void utf8_to_ucs2(struct str s, struct buf *out)
{
	int32_t c;

	while ((c = str_utf8_next(&s)) != -1) {
		uint32_t u = c < 0 ? 0xfffd : (uint32_t)c;

		if (u >= 0x10000) {
			buf_be16(out, (uint16_t)(0xd800 + ((u - 0x10000) >> 10)));
			u = 0xdc00 + ((u - 0x10000) & 0x3ff);
		}
		buf_be16(out, (uint16_t)u);
	}
}

uint8_t client_canonical(const struct client_conf *conf, uint8_t data_coding, struct str octets,
	bool udhi, struct buf *out)
{
	struct text_peer peer = { conf->text.form, conf->ascii_gsm, conf->text.little_endian };
	struct text_dcs dcs = text_dcs(data_coding, &peer);
	struct text_decoded d;
	struct udh u = { 0 };
	struct str body;

	if (udhi && udh_parse(octets, &u, NULL) != 0)
		u.size = 0;
	body = str_skip(octets, u.size);
	buf_add(out, octets.p, u.size);
	if (dcs.charset == TEXT_CHARSET_PACKED) {
		text_body(data_coding, octets, u.size != 0, &peer, &d, out, NULL);
		return data_coding;
	}
	if (dcs.charset == TEXT_CHARSET_UCS2 && peer.little_endian) {
		for (size_t i = 0; i + 1 < body.n; i += 2) {
			buf_char(out, body.p[i + 1]);
			buf_char(out, body.p[i]);
		}
		return data_coding;
	}
	if (data_coding == 0 && peer.form == TEXT_FORM_UTF8) {
		utf8_to_ucs2(body, out);
		return 8;
	}
	buf_str(out, body);
	if (data_coding == 0)
		return peer.form == TEXT_FORM_LATIN1 ? 3 : peer.form == TEXT_FORM_ASCII ? 1 : 0;
	return data_coding == 1 && peer.ascii_gsm ? 0 : data_coding;
}

struct message *client_join(struct message *const *parts, unsigned n)
{
	struct concat_part *p;
	struct concat_joined j;
	struct buf out = BUF_INIT;
	struct draft d = { 0 };
	struct message *m = NULL;

	if (n == 0)
		return NULL;
	p = mem_alloc(n * sizeof *p);
	for (unsigned i = 0; i < n; i++) {
		p[i].data_coding = parts[i]->sms.data_coding;
		p[i].udhi = (parts[i]->sms.esm_class & ESM_UDHI) != 0;
		p[i].octets = message_get(parts[i], FIELD_OCTETS);
	}
	concat_join(p, n, NULL, &j, &out);
	mem_free(&p);
	if (!j.missing) {
		draft_copy(&d, parts[0], 1u << FIELD_TEXT | 1u << FIELD_OCTETS);
		d.head.id = 0;
		d.head.flags &= (uint8_t) ~(MSG_OCTETS | MSG_PAYLOAD);
		d.head.sms.esm_class &= (uint8_t)~ESM_UDHI;
		if (j.binary) {
			d.head.flags |= MSG_OCTETS;
			draft_put(&d, FIELD_OCTETS, buf_view(&out));
		} else {
			d.head.sms.data_coding = 0;
			draft_put(&d, FIELD_TEXT, buf_view(&out));
		}
		m = draft_seal(&d);
		draft_free(&d);
	}
	buf_free(&out);
	return m;
}
