/* Decoding of PDUs: see pdu.h. One cursor walks the body once; every read is checked against the
 * end of the PDU, and every fault names its field and the status that the standard has for it
 * (SMPP 3.4 §4 and §5, SMPP 5.0 §2.8.2).
 */
#include "protocols/smpp/pdu.h"

#include "protocols/smpp/octets.h"

/* The sizes of C-octet strings, with their NUL (3.4 §4, §5.2). */
enum {
	SIZE_SYSTEM_ID = 16,
	SIZE_PASSWORD = 9,
	SIZE_NAME_LONG = PDU_BIND_NAME_MAX + 1,
	SIZE_SYSTEM_TYPE = 13,
	SIZE_ADDRESS_RANGE = 41,
	SIZE_SERVICE_TYPE = 6,
	SIZE_ADDR = 21,
	SIZE_ADDR_LONG = 65,
	SIZE_TIME = 17,
	SIZE_MESSAGE_ID = PDU_ID_MAX + 1,
	SIZE_MESSAGE_ID_READ = 256, /* what is accepted in a response */
};
enum { DEST_ADDRESS = 1, DEST_LIST = 2, PRIORITY_MAX = 3, PRIORITY_MAX_V50 = 4 };

/* No field's pointer is ever NULL, so that users can hand any to memcpy. Field by field: compilers
 * make a slow `rep stos` of the assignment of so large a struct. */
static inline void resp_clear(struct pdu_resp *r)
{
	r->message_id = r->system_id = r->final_date = r->unsuccess = STR_NONE;
	r->message_state = r->error_code = r->unsuccess_count = 0;
}

static inline void pdu_clear(struct pdu *p)
{
	struct pdu_bind *b = &p->bind;
	struct pdu_sm *sm = &p->sm;

	p->length = p->command = p->status = p->sequence = 0;
	p->tlvs = STR_NONE;
	p->fault = NULL;
	b->system_id = b->password = b->system_type = b->address_range = STR_NONE;
	b->interface_version = b->addr_ton = b->addr_npi = 0;
	sm->message_id = sm->service_type = sm->source.addr = sm->dest.addr = STR_NONE;
	sm->source.ton = sm->source.npi = sm->dest.ton = sm->dest.npi = 0;
	sm->esm_class = sm->protocol_id = sm->priority = sm->registered = 0;
	sm->replace = sm->data_coding = sm->default_msg_id = sm->dest_count = 0;
	sm->schedule = sm->validity = sm->short_message = sm->dests = STR_NONE;
	resp_clear(&p->resp);
}

/* What is being decoded. Once status is not 0 every further read does nothing. */
struct cursor {
	const uint8_t *p, *end;
	unsigned flags;
	uint32_t status;
	const char *fault;
};

static bool cursor_fail(struct cursor *c, uint32_t status, const char *field)
{
	if (!c->status) {
		c->status = status;
		c->fault = field;
	}
	return false;
}

static size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

static inline bool take_cstr(
	struct cursor *c, size_t size, struct str *s_r, uint32_t status, const char *field)
{
	size_t left = cursor_left(c), most = left < size ? left : size, n;

	if (c->status)
		return false;
	n = octets_nul(c->p, most);
	if (n == most)
		return cursor_fail(c, status, field);
	*s_r = (struct str){ (const char *)c->p, n };
	c->p += n + 1;
	return true;
}

/* n single octets; the length of the PDU is at fault when they are not there. */
static inline const uint8_t *take_octets(struct cursor *c, size_t n, const char *field)
{
	const uint8_t *p = c->p;

	if (c->status || cursor_left(c) < n) {
		cursor_fail(c, ESME_RINVCMDLEN, field);
		return NULL;
	}
	c->p += n;
	return p;
}

static inline bool take_addr(
	struct cursor *c, size_t size, struct pdu_addr *a, uint32_t status, const char *field)
{
	const uint8_t *o = take_octets(c, 2, field);

	if (!o)
		return false;
	a->ton = o[0];
	a->npi = o[1];
	return take_cstr(c, size, &a->addr, status, field);
}

static inline void take_short_message(struct cursor *c, struct str *s_r)
{
	const uint8_t *o = take_octets(c, 1, "sm_length");

	if (!o)
		return;
	if (o[0] > cursor_left(c)) {
		cursor_fail(c, ESME_RINVMSGLEN, "short_message");
		return;
	}
	if (o[0] > PDU_SHORT_MESSAGE_MAX && !(c->flags & (PDU_V50 | PDU_LENIENT))) {
		cursor_fail(c, ESME_RINVMSGLEN, "sm_length");
		return;
	}
	*s_r = (struct str){ (const char *)c->p, o[0] };
	c->p += o[0];
}

/* ---- TLVs ---- */

static bool tlv_length_fits(uint16_t tag, size_t n)
{
	/* One unsigned comparison for min <= n <= max. */
	switch (tag) {
#define TAG(constant, value, name, min, max) \
	case value:                          \
		return n - (size_t)(min) <= (size_t)((max) - (min));
#include "protocols/smpp/tlv.def"
	}
	return true;
}

bool tlv_next(struct str *rest, struct tlv *t_r)
{
	size_t n;

	if (rest->n < 4)
		return false;
	n = be16(rest->p + 2);
	if (n > rest->n - 4)
		return false;
	t_r->tag = be16(rest->p);
	t_r->value = (struct str){ rest->p + 4, n };
	rest->p += 4 + n;
	rest->n -= 4 + n;
	return true;
}

/* Takes all that is left as TLVs; each is read by its declared length, whatever its tag: a reader
 * that knows better loses its place in the rest. */
static bool take_tlvs(struct cursor *c, struct pdu *p)
{
	struct str all = { (const char *)c->p, cursor_left(c) }, rest = all;
	struct tlv t;

	if (c->status)
		return false;
	while (tlv_next(&rest, &t)) {
		if (!(c->flags & PDU_LENIENT) && !tlv_length_fits(t.tag, t.value.n))
			return cursor_fail(c, ESME_RINVTLVLEN, smpp_tag_name(t.tag));
		if (t.tag == TLV_MESSAGE_PAYLOAD && t.value.n && p->sm.short_message.n &&
			!(c->flags & PDU_LENIENT))
			return cursor_fail(c, ESME_RINVMSGLEN, "message_payload");
	}
	if (rest.n)
		return cursor_fail(c, ESME_RINVTLVSTREAM, "TLVs");
	p->tlvs = all;
	c->p = c->end;
	return true;
}

bool pdu_tlv(const struct pdu *p, uint16_t tag, struct str *value_r)
{
	struct str rest = p->tlvs;
	struct tlv t;

	while (tlv_next(&rest, &t)) {
		if (t.tag == tag) {
			*value_r = t.value;
			return true;
		}
	}
	*value_r = STR_NONE;
	return false;
}

bool pdu_tlv_u8(const struct pdu *p, uint16_t tag, uint8_t *v_r)
{
	struct str v;

	if (!pdu_tlv(p, tag, &v) || v.n != 1)
		return false;
	*v_r = (uint8_t)v.p[0];
	return true;
}

bool pdu_tlv_u16(const struct pdu *p, uint16_t tag, uint16_t *v_r)
{
	struct str v;

	if (!pdu_tlv(p, tag, &v) || v.n != 2)
		return false;
	*v_r = be16(v.p);
	return true;
}

bool pdu_tlv_u32(const struct pdu *p, uint16_t tag, uint32_t *v_r)
{
	struct str v;

	if (!pdu_tlv(p, tag, &v) || v.n != 4)
		return false;
	*v_r = be32(v.p);
	return true;
}

bool pdu_tlv_cstr(const struct pdu *p, uint16_t tag, struct str *v_r)
{
	const char *nul;

	if (!pdu_tlv(p, tag, v_r))
		return false;
	nul = memchr(v_r->p, 0, v_r->n);
	if (nul)
		v_r->n = (size_t)(nul - v_r->p);
	return true;
}

bool pdu_tlv_doubled(const struct pdu *p, uint16_t *tag_r)
{
	struct str outer = p->tlvs;
	struct tlv a, b;
	unsigned looked = 0;

	/* Quadratic, so bounded: this is for a log line, not for a hostile peer. */
	while (looked++ < 64 && tlv_next(&outer, &a)) {
		struct str inner = outer;

		for (unsigned n = 0; n < 64 && tlv_next(&inner, &b); n++) {
			if (a.tag == b.tag) {
				*tag_r = a.tag;
				return true;
			}
		}
	}
	return false;
}

struct str pdu_text(const struct pdu *p)
{
	struct str payload;

	return pdu_tlv(p, TLV_MESSAGE_PAYLOAD, &payload) && payload.n ? payload
								      : p->sm.short_message;
}

/* ---- requests ---- */

static void take_bind_names(struct cursor *c, struct pdu_bind *b)
{
	bool wide = (c->flags & PDU_LONG_NAMES) != 0;

	take_cstr(c, wide ? SIZE_NAME_LONG : SIZE_SYSTEM_ID, &b->system_id, ESME_RINVSYSID,
		"system_id");
	take_cstr(
		c, wide ? SIZE_NAME_LONG : SIZE_PASSWORD, &b->password, ESME_RINVPASWD, "password");
}

static void take_bind(struct cursor *c, struct pdu_bind *b)
{
	const uint8_t *o;

	take_bind_names(c, b);
	take_cstr(c, SIZE_SYSTEM_TYPE, &b->system_type, ESME_RINVSYSTYP, "system_type");
	o = take_octets(c, 3, "interface_version");
	if (!o)
		return;
	b->interface_version = o[0];
	b->addr_ton = o[1];
	b->addr_npi = o[2];
	/* There is no status of its own for it. */
	take_cstr(c, SIZE_ADDRESS_RANGE, &b->address_range, ESME_RBINDFAIL, "address_range");
}

bool pdu_dest_next(struct str *rest, struct pdu_addr *a, bool *list_r)
{
	struct cursor c = { .p = (const uint8_t *)rest->p,
		.end = (const uint8_t *)rest->p + rest->n };
	const uint8_t *o = rest->n ? take_octets(&c, 1, NULL) : NULL;
	bool whole;

	if (!o)
		return false;
	*a = (struct pdu_addr){ .addr = STR_NONE };
	*list_r = o[0] == DEST_LIST;
	if (*list_r)
		whole = take_cstr(&c, SIZE_ADDR, &a->addr, ESME_RINVDLNAME, NULL);
	else
		whole = o[0] == DEST_ADDRESS && take_addr(&c, SIZE_ADDR, a, ESME_RINVDSTADR, NULL);
	if (!whole)
		return false;
	*rest = (struct str){ (const char *)c.p, cursor_left(&c) };
	return true;
}

static void take_dests(struct cursor *c, struct pdu_sm *sm)
{
	const uint8_t *o = take_octets(c, 1, "number_of_dests"), *start = c->p;
	struct pdu_addr a;
	struct str list;

	if (!o)
		return;
	sm->dest_count = o[0];
	if (sm->dest_count < 1 || sm->dest_count > PDU_DESTS_MAX)
		cursor_fail(c, ESME_RINVNUMDESTS, "number_of_dests");
	for (unsigned i = 0; i < sm->dest_count && !c->status; i++) {
		if (!cursor_left(c)) {
			cursor_fail(c, ESME_RINVNUMDESTS, "number_of_dests");
			return;
		}
		o = take_octets(c, 1, "dest_flag");
		if (o[0] == DEST_ADDRESS)
			take_addr(c, SIZE_ADDR, &a, ESME_RINVDSTADR, "destination_addr");
		else if (o[0] == DEST_LIST)
			take_cstr(c, SIZE_ADDR, &list, ESME_RINVDLNAME, "dl_name");
		else
			cursor_fail(c, ESME_RINVDESTFLAG, "dest_flag");
	}
	if (!c->status)
		sm->dests = (struct str){ (const char *)start, (size_t)(c->p - start) };
}

/* What submit_sm, submit_multi and deliver_sm share after their destinations. */
static void take_sm_rest(struct cursor *c, struct pdu_sm *sm)
{
	const uint8_t *o = take_octets(c, 3, "esm_class");

	if (!o)
		return;
	sm->esm_class = o[0];
	sm->protocol_id = o[1];
	sm->priority = o[2];
	take_cstr(c, SIZE_TIME, &sm->schedule, ESME_RINVSCHED, "schedule_delivery_time");
	take_cstr(c, SIZE_TIME, &sm->validity, ESME_RINVEXPIRY, "validity_period");
	o = take_octets(c, 4, "registered_delivery");
	if (!o)
		return;
	sm->registered = o[0];
	sm->replace = o[1];
	sm->data_coding = o[2];
	sm->default_msg_id = o[3];
	take_short_message(c, &sm->short_message);
}

static void check_submit(struct cursor *c, const struct pdu_sm *sm)
{
	if (c->status || (c->flags & PDU_LENIENT))
		return;
	if (sm->priority > (c->flags & PDU_V50 ? PRIORITY_MAX_V50 : PRIORITY_MAX))
		cursor_fail(c, ESME_RINVPRTFLG, "priority_flag");
	else if (sm->replace > 1)
		cursor_fail(c, ESME_RINVREPFLAG, "replace_if_present_flag");
}

static void take_source(struct cursor *c, size_t size, struct pdu_sm *sm)
{
	take_addr(c, size, &sm->source, ESME_RINVSRCADR, "source_addr");
}

static void take_dest(struct cursor *c, size_t size, struct pdu_sm *sm)
{
	take_addr(c, size, &sm->dest, ESME_RINVDSTADR, "destination_addr");
}

static void take_service_type(struct cursor *c, struct pdu_sm *sm)
{
	take_cstr(c, SIZE_SERVICE_TYPE, &sm->service_type, ESME_RINVSERTYP, "service_type");
}

static void take_message_id(struct cursor *c, struct pdu_sm *sm)
{
	take_cstr(c, SIZE_MESSAGE_ID, &sm->message_id, ESME_RINVMSGID, "message_id");
}

static void take_data_sm(struct cursor *c, struct pdu_sm *sm)
{
	const uint8_t *o;

	take_service_type(c, sm);
	take_source(c, SIZE_ADDR_LONG, sm);
	take_dest(c, SIZE_ADDR_LONG, sm);
	o = take_octets(c, 3, "esm_class");
	if (!o)
		return;
	sm->esm_class = o[0];
	sm->registered = o[1];
	sm->data_coding = o[2];
}

static void take_replace_sm(struct cursor *c, struct pdu_sm *sm)
{
	const uint8_t *o;

	take_message_id(c, sm);
	take_source(c, SIZE_ADDR, sm);
	take_cstr(c, SIZE_TIME, &sm->schedule, ESME_RINVSCHED, "schedule_delivery_time");
	take_cstr(c, SIZE_TIME, &sm->validity, ESME_RINVEXPIRY, "validity_period");
	o = take_octets(c, 2, "registered_delivery");
	if (!o)
		return;
	sm->registered = o[0];
	sm->default_msg_id = o[1];
	take_short_message(c, &sm->short_message);
}

/* False: no such request. */
static bool take_request(struct cursor *c, struct pdu *p)
{
	struct pdu_sm *sm = &p->sm;

	switch (p->command) {
	case SMPP_SUBMIT_SM:
	case SMPP_DELIVER_SM:
		take_service_type(c, sm);
		take_source(c, SIZE_ADDR, sm);
		take_dest(c, SIZE_ADDR, sm);
		take_sm_rest(c, sm);
		if (p->command == SMPP_SUBMIT_SM)
			check_submit(c, sm);
		break;
	case SMPP_SUBMIT_MULTI:
		take_service_type(c, sm);
		take_source(c, SIZE_ADDR, sm);
		take_dests(c, sm);
		take_sm_rest(c, sm);
		check_submit(c, sm);
		break;
	case SMPP_DATA_SM:
		take_data_sm(c, sm);
		break;
	case SMPP_REPLACE_SM:
		take_replace_sm(c, sm);
		break;
	case SMPP_QUERY_SM:
		take_message_id(c, sm);
		take_source(c, SIZE_ADDR, sm);
		break;
	case SMPP_CANCEL_SM:
		take_service_type(c, sm);
		take_message_id(c, sm);
		take_source(c, SIZE_ADDR, sm);
		take_dest(c, SIZE_ADDR, sm);
		break;
	case SMPP_ALERT_NOTIFICATION:
		take_source(c, SIZE_ADDR_LONG, sm);
		take_dest(c, SIZE_ADDR_LONG, sm);
		break;
	case SMPP_BIND_RECEIVER:
	case SMPP_BIND_TRANSMITTER:
	case SMPP_BIND_TRANSCEIVER:
		take_bind(c, &p->bind);
		break;
	case SMPP_OUTBIND:
		take_bind_names(c, &p->bind);
		break;
	case SMPP_UNBIND:
	case SMPP_ENQUIRE_LINK:
		/* A probe is answered, whatever hangs on it. */
		if (!take_tlvs(c, p)) {
			p->fault = c->fault;
			c->status = 0;
		}
		return true;
	default:
		return false;
	}
	take_tlvs(c, p);
	return true;
}

/* ---- responses ---- */

bool pdu_unsuccess_next(struct str *rest, struct pdu_addr *a, uint32_t *status_r)
{
	struct cursor c = { .p = (const uint8_t *)rest->p,
		.end = (const uint8_t *)rest->p + rest->n };
	const uint8_t *o;

	*a = (struct pdu_addr){ .addr = STR_NONE };
	if (!rest->n || !take_addr(&c, SIZE_ADDR, a, ESME_RINVDSTADR, NULL))
		return false;
	o = take_octets(&c, 4, NULL);
	if (!o)
		return false;
	*status_r = be32(o);
	*rest = (struct str){ (const char *)c.p, cursor_left(&c) };
	return true;
}

static bool printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((uint8_t)s.p[i] < 0x20)
			return false;
	}
	return true;
}

/* A string at the start of a response's body, in the forms seen: nothing at all, well formed, or
 * without its NUL to the end of the PDU. */
static void take_resp_str(struct cursor *c, struct str *s_r, const char *field)
{
	struct str all = { (const char *)c->p, cursor_left(c) };

	if (!all.n || take_cstr(c, SIZE_MESSAGE_ID_READ, s_r, ESME_RINVMSGID, field))
		return;
	if (all.n < SIZE_MESSAGE_ID_READ && printable(all)) {
		c->status = 0;
		c->fault = NULL;
		*s_r = all;
		c->p = c->end;
	}
}

static void take_unsuccess(struct cursor *c, struct pdu_resp *r)
{
	const uint8_t *o, *start;
	struct str rest;
	struct pdu_addr a;
	uint32_t status;

	if (c->status || !cursor_left(c)) /* some leave the count out */
		return;
	o = take_octets(c, 1, "no_unsuccess");
	start = c->p;
	rest = (struct str){ (const char *)c->p, cursor_left(c) };
	for (unsigned i = 0; i < o[0]; i++) {
		if (!pdu_unsuccess_next(&rest, &a, &status)) {
			cursor_fail(c, ESME_RINVCMDLEN, "unsuccess_sme");
			return;
		}
	}
	c->p = (const uint8_t *)rest.p;
	r->unsuccess_count = o[0];
	r->unsuccess = (struct str){ (const char *)start, (size_t)(c->p - start) };
}

static void take_query_rest(struct cursor *c, struct pdu_resp *r)
{
	const uint8_t *o;

	if (c->status || !cursor_left(c))
		return;
	take_cstr(c, SIZE_TIME, &r->final_date, ESME_RINVCMDLEN, "final_date");
	o = take_octets(c, 2, "message_state");
	if (!o)
		return;
	r->message_state = o[0];
	r->error_code = o[1];
}

/* False: no such response. */
static bool take_response_body(struct cursor *c, struct pdu *p)
{
	struct pdu_resp *r = &p->resp;

	switch (p->command) {
	case SMPP_SUBMIT_SM | SMPP_RESP:
	case SMPP_DELIVER_SM | SMPP_RESP:
	case SMPP_DATA_SM | SMPP_RESP:
		take_resp_str(c, &r->message_id, "message_id");
		break;
	case SMPP_SUBMIT_MULTI | SMPP_RESP:
		take_resp_str(c, &r->message_id, "message_id");
		take_unsuccess(c, r);
		break;
	case SMPP_QUERY_SM | SMPP_RESP:
		take_resp_str(c, &r->message_id, "message_id");
		take_query_rest(c, r);
		break;
	case SMPP_BIND_RECEIVER | SMPP_RESP:
	case SMPP_BIND_TRANSMITTER | SMPP_RESP:
	case SMPP_BIND_TRANSCEIVER | SMPP_RESP:
		take_resp_str(c, &r->system_id, "system_id");
		break;
	case SMPP_GENERIC_NACK:
	case SMPP_UNBIND | SMPP_RESP:
	case SMPP_ENQUIRE_LINK | SMPP_RESP:
	case SMPP_CANCEL_SM | SMPP_RESP:
	case SMPP_REPLACE_SM | SMPP_RESP:
		break;
	default:
		return false;
	}
	return true;
}

/* A response is never refused: what it says of its request (header, id) counts, and nobody could
 * answer it anyway. */
static bool take_response(struct cursor *c, struct pdu *p)
{
	struct cursor start = *c;

	c->flags |= PDU_LENIENT;
	start.flags |= PDU_LENIENT;
	if (!take_response_body(c, p))
		return false;
	if (take_tlvs(c, p))
		return true;
	/* TLVs straight after the header, as some send them with an error. The tags they have begin
	 * with an octet that no id begins with. */
	if (cursor_left(&start) && start.p[0] < 0x20 && take_tlvs(&start, p)) {
		resp_clear(&p->resp);
		return true;
	}
	p->fault = c->fault;
	return true;
}

/* ---- the whole ---- */

int pdu_peek(struct str bytes, size_t cap, size_t *length_r)
{
	size_t n;

	if (bytes.n < 4)
		return 0;
	n = be32(bytes.p);
	if (n < PDU_HEADER || n > cap)
		return -1;
	*length_r = n;
	return 1;
}

uint32_t pdu_peek_sequence(struct str bytes)
{
	return bytes.n < PDU_HEADER ? 0 : be32(bytes.p + 12);
}

int pdu_decode(struct pdu *p, struct str bytes, unsigned flags, uint32_t *status_r)
{
	struct cursor c = { .flags = flags };
	bool known;

	pdu_clear(p);
	if (bytes.n < PDU_HEADER) {
		p->fault = "command_length";
		*status_r = ESME_RINVCMDLEN;
		return -1;
	}
	p->length = be32(bytes.p);
	p->command = be32(bytes.p + 4);
	p->status = be32(bytes.p + 8);
	p->sequence = be32(bytes.p + 12);
	if (p->length != bytes.n) {
		p->fault = "command_length";
		*status_r = ESME_RINVCMDLEN;
		return -1;
	}
	c.p = (const uint8_t *)bytes.p + PDU_HEADER;
	c.end = (const uint8_t *)bytes.p + bytes.n;
	if (smpp_is_resp(p->command)) {
		known = take_response(&c, p);
		c.status = 0;
	} else {
		known = take_request(&c, p);
	}
	if (!known) {
		c.status = ESME_RINVCMDID;
		c.fault = "command_id";
	}
	*status_r = c.status;
	if (!c.status)
		return 0;
	p->fault = c.fault;
	return -1;
}
