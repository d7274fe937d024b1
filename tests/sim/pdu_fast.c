/* The fast codec: reads in place, writes into the connection's buffer, checks every bound.
 * Strict where SMPP 3.4 is (a string's NUL inside its limit), lenient where the field is not:
 * passwords and system ids may be longer, error responses may come with or without a body.
 */
#include "tests/sim/pdu.h"

#include <stdio.h>

struct cut { /* what is left of a PDU, and whether it has been overrun */
	const uint8_t *p, *end;
	bool bad;
};

static uint8_t cut_u8(struct cut *c)
{
	if (c->p == c->end) {
		c->bad = true;
		return 0;
	}
	return *c->p++;
}

static struct str cut_cstr(struct cut *c, size_t most) /* most counts the NUL */
{
	size_t left = (size_t)(c->end - c->p);
	const uint8_t *nul = memchr(c->p, 0, left < most ? left : most);
	if (!nul) {
		c->bad = true;
		return STR_NONE;
	}
	struct str s = str_n(c->p, (size_t)(nul - c->p));
	c->p = nul + 1;
	return s;
}

static struct str cut_bytes(struct cut *c, size_t n)
{
	if ((size_t)(c->end - c->p) < n) {
		c->bad = true;
		return STR_NONE;
	}
	struct str s = str_n(c->p, n);
	c->p += n;
	return s;
}

static uint32_t cut_tlvs(struct cut *c, struct sim_pdu *r)
{
	while (c->p < c->end) {
		if (c->end - c->p < 4)
			return S_RTLVSTREAM;
		uint16_t tag = be16(c->p), n = be16(c->p + 2);
		c->p += 4;
		struct str v = cut_bytes(c, n);
		if (c->bad)
			return S_RTLVSTREAM;
		if (r->tlv_n < PDU_TLVS)
			r->tlv[r->tlv_n++] = (struct sim_tlv){ tag, v };
	}
	return S_OK;
}

static void cut_source(struct cut *c, struct sim_pdu *r)
{
	r->src_ton = cut_u8(c);
	r->src_npi = cut_u8(c);
	r->src = cut_cstr(c, r->id == P_DATA_SM ? 65 : 21);
}

static void cut_destination(struct cut *c, struct sim_pdu *r)
{
	r->dst_ton = cut_u8(c);
	r->dst_npi = cut_u8(c);
	r->dst = cut_cstr(c, r->id == P_DATA_SM ? 65 : 21);
}

static void cut_destinations(struct cut *c, struct sim_pdu *r)
{
	r->dest_n = cut_u8(c);
	if (r->dest_n > PDU_DESTS)
		c->bad = true;
	for (unsigned i = 0; i < r->dest_n && !c->bad; i++) {
		struct sim_dest *d = &r->dest[i];
		*d = (struct sim_dest){ .list = cut_u8(c) == 2 };
		if (!d->list) {
			d->ton = cut_u8(c);
			d->npi = cut_u8(c);
		}
		d->addr = cut_cstr(c, 21);
	}
}

static uint32_t cut_message(struct cut *c, struct sim_pdu *r)
{
	r->service_type = cut_cstr(c, 6);
	cut_source(c, r);
	if (r->id == P_SUBMIT_MULTI)
		cut_destinations(c, r);
	else
		cut_destination(c, r);
	r->esm_class = cut_u8(c);
	if (r->id == P_DATA_SM) {
		r->registered = cut_u8(c);
		r->coding = cut_u8(c);
	} else {
		r->protocol_id = cut_u8(c);
		r->priority = cut_u8(c);
		r->schedule = cut_cstr(c, 17);
		r->validity = cut_cstr(c, 17);
		r->registered = cut_u8(c);
		r->replace = cut_u8(c);
		r->coding = cut_u8(c);
		r->default_id = cut_u8(c);
		r->text = cut_bytes(c, cut_u8(c));
	}
	return c->bad ? S_RINVMSGLEN : cut_tlvs(c, r);
}

static uint32_t cut_response(struct cut *c, struct sim_pdu *r)
{
	if (c->p == c->end) {
		r->no_body = true;
		return S_OK;
	}
	switch (r->id & ~P_RESP) {
	case P_BIND_RX:
	case P_BIND_TX:
	case P_BIND_TRX:
		r->system_id = cut_cstr(c, 65);
		return c->bad ? S_RINVCMDLEN : cut_tlvs(c, r);
	case P_QUERY_SM:
		r->message_id = cut_cstr(c, 65);
		r->final_date = cut_cstr(c, 17);
		r->state = cut_u8(c);
		r->error = cut_u8(c);
		break;
	case P_SUBMIT_MULTI:
		r->message_id = cut_cstr(c, 65);
		r->failed_n = cut_u8(c); /* the list itself has no use here */
		break;
	case P_SUBMIT_SM:
	case P_DATA_SM:
	case P_DELIVER_SM:
		r->message_id = cut_cstr(c, 65);
		return c->bad ? S_RINVCMDLEN : cut_tlvs(c, r);
	}
	return c->bad ? S_RINVCMDLEN : S_OK;
}

static uint32_t fast_decode(struct sim_pdu *r, const uint8_t *p, size_t n)
{
	memset(r, 0, offsetof(struct sim_pdu, tlv));
	struct cut c = { p + PDU_HEADER, p + n, false };
	r->id = be32(p + 4);
	r->status = be32(p + 8);
	r->seq = be32(p + 12);
	if (r->id & P_RESP)
		return cut_response(&c, r);
	switch (r->id) {
	case P_BIND_RX:
	case P_BIND_TX:
	case P_BIND_TRX:
		r->system_id = cut_cstr(&c, 65); /* 16 in the book; longer ones exist */
		r->password = cut_cstr(&c, 65);  /* 9 in the book */
		r->system_type = cut_cstr(&c, 13);
		r->version = cut_u8(&c);
		r->addr_ton = cut_u8(&c);
		r->addr_npi = cut_u8(&c);
		r->range = cut_cstr(&c, 41);
		return c.bad ? S_RINVCMDLEN : S_OK;
	case P_SUBMIT_SM:
	case P_DELIVER_SM:
	case P_SUBMIT_MULTI:
	case P_DATA_SM:
		return cut_message(&c, r);
	case P_QUERY_SM:
		r->message_id = cut_cstr(&c, 65);
		cut_source(&c, r);
		return c.bad ? S_RINVCMDLEN : S_OK;
	case P_CANCEL_SM:
		r->service_type = cut_cstr(&c, 6);
		r->message_id = cut_cstr(&c, 65);
		cut_source(&c, r);
		cut_destination(&c, r);
		return c.bad ? S_RINVCMDLEN : S_OK;
	case P_REPLACE_SM:
		r->message_id = cut_cstr(&c, 65);
		cut_source(&c, r);
		r->schedule = cut_cstr(&c, 17);
		r->validity = cut_cstr(&c, 17);
		r->registered = cut_u8(&c);
		r->default_id = cut_u8(&c);
		r->text = cut_bytes(&c, cut_u8(&c));
		return c.bad ? S_RINVCMDLEN : S_OK;
	case P_OUTBIND:
		r->system_id = cut_cstr(&c, 65);
		r->password = cut_cstr(&c, 65);
		return c.bad ? S_RINVCMDLEN : S_OK;
	case P_UNBIND:
	case P_ENQUIRE_LINK:
	case P_ALERT:
		return S_OK;
	}
	return S_RINVCMDID;
}

static uint8_t *put_bytes(uint8_t *to, struct str s)
{
	if (s.n) /* p may be NULL */
		memcpy(to, s.p, s.n);
	return to + s.n;
}

static uint8_t *put_cstr(uint8_t *to, struct str s, size_t most)
{
	if (s.n >= most)
		s.n = most - 1;
	to = put_bytes(to, s);
	*to++ = 0;
	return to;
}

static uint8_t *put_address(uint8_t *to, uint8_t ton, uint8_t npi, struct str a, size_t most)
{
	*to++ = ton;
	*to++ = npi;
	return put_cstr(to, a, most);
}

static uint8_t *put_message(uint8_t *to, const struct sim_pdu *m)
{
	size_t most = m->id == P_DATA_SM ? 65 : 21;
	to = put_cstr(to, m->service_type, 6);
	to = put_address(to, m->src_ton, m->src_npi, m->src, most);
	if (m->id == P_SUBMIT_MULTI) {
		*to++ = m->dest_n;
		for (unsigned i = 0; i < m->dest_n; i++) {
			const struct sim_dest *d = &m->dest[i];
			*to++ = d->list ? 2 : 1;
			to = d->list ? put_cstr(to, d->addr, 21)
				     : put_address(to, d->ton, d->npi, d->addr, 21);
		}
	} else {
		to = put_address(to, m->dst_ton, m->dst_npi, m->dst, most);
	}
	*to++ = m->esm_class;
	if (m->id == P_DATA_SM) {
		*to++ = m->registered;
		*to++ = m->coding;
		return to;
	}
	*to++ = m->protocol_id;
	*to++ = m->priority;
	to = put_cstr(to, m->schedule, 17);
	to = put_cstr(to, m->validity, 17);
	*to++ = m->registered;
	*to++ = m->replace;
	*to++ = m->coding;
	*to++ = m->default_id;
	*to++ = (uint8_t)m->text.n;
	return put_bytes(to, m->text);
}

static uint8_t *put_body(uint8_t *to, const struct sim_pdu *m)
{
	if (m->no_body)
		return to;
	switch (m->id) {
	case P_BIND_RX:
	case P_BIND_TX:
	case P_BIND_TRX:
		to = put_cstr(to, m->system_id, 65);
		to = put_cstr(to, m->password, 65);
		to = put_cstr(to, m->system_type, 13);
		*to++ = m->version;
		*to++ = m->addr_ton;
		*to++ = m->addr_npi;
		return put_cstr(to, m->range, 41);
	case P_SUBMIT_SM:
	case P_DELIVER_SM:
	case P_SUBMIT_MULTI:
	case P_DATA_SM:
		return put_message(to, m);
	case P_QUERY_SM:
		to = put_cstr(to, m->message_id, 65);
		return put_address(to, m->src_ton, m->src_npi, m->src, 21);
	case P_CANCEL_SM:
		to = put_cstr(to, m->service_type, 6);
		to = put_cstr(to, m->message_id, 65);
		to = put_address(to, m->src_ton, m->src_npi, m->src, 21);
		return put_address(to, m->dst_ton, m->dst_npi, m->dst, 21);
	case P_REPLACE_SM:
		to = put_cstr(to, m->message_id, 65);
		to = put_address(to, m->src_ton, m->src_npi, m->src, 21);
		to = put_cstr(to, m->schedule, 17);
		to = put_cstr(to, m->validity, 17);
		*to++ = m->registered;
		*to++ = m->default_id;
		*to++ = (uint8_t)m->text.n;
		return put_bytes(to, m->text);
	case P_RESP | P_BIND_RX:
	case P_RESP | P_BIND_TX:
	case P_RESP | P_BIND_TRX:
		return put_cstr(to, m->system_id, 65);
	case P_RESP | P_SUBMIT_SM:
	case P_RESP | P_DATA_SM:
	case P_RESP | P_DELIVER_SM:
		return put_cstr(to, m->message_id, 65);
	case P_RESP | P_SUBMIT_MULTI:
		to = put_cstr(to, m->message_id, 65);
		*to++ = 0;
		return to;
	case P_RESP | P_QUERY_SM:
		to = put_cstr(to, m->message_id, 65);
		to = put_cstr(to, m->final_date, 17);
		*to++ = m->state;
		*to++ = m->error;
		return to;
	}
	return to;
}

static void fast_encode(struct buf *out, const struct sim_pdu *m)
{
	size_t most = PDU_HEADER + 512 + m->text.n + (size_t)m->dest_n * 24;
	for (unsigned i = 0; i < m->tlv_n; i++)
		most += 4 + m->tlv[i].v.n;
	buf_reserve(out, most);
	uint8_t *start = (uint8_t *)out->p + out->n, *to = put_body(start + PDU_HEADER, m);
	for (unsigned i = 0; i < m->tlv_n; i++) {
		const struct sim_tlv *t = &m->tlv[i];
		put_be16(to, t->tag);
		put_be16(to + 2, (uint16_t)t->v.n);
		to = put_bytes(to + 4, t->v);
	}
	put_be32(start, (uint32_t)(to - start));
	put_be32(start + 4, m->id);
	put_be32(start + 8, m->status);
	put_be32(start + 12, m->seq);
	out->n += (size_t)(to - start);
}

const struct sim_codec sim_codec_fast = { "fast", fast_decode, fast_encode };
