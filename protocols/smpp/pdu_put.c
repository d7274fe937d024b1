/* Encoding of PDUs: see pdu.h. A writer first checks every limit, then writes with no further
 * question; what it refuses leaves the buffer as it was.
 */
#include "protocols/smpp/pdu.h"

#include "gateway/base/err.h"
#include "protocols/smpp/octets.h"

/* Longest strings, without their NUL (3.4 §4, §5.2). */
enum {
	MAX_SYSTEM_TYPE = 12,
	MAX_ADDRESS_RANGE = 40,
	MAX_SERVICE_TYPE = 5,
	MAX_ADDR = 20,
	MAX_ADDR_LONG = 64,
	MAX_TIME = 16,
	TLV_HEAD = 4,
};
enum { DEST_ADDRESS = 1, DEST_LIST = 2 };

static inline bool cstr_fits(struct str s, size_t max)
{
	return s.n <= max && octets_nul(s.p, s.n) == s.n;
}

static inline char *put_cstr(char *o, struct str s)
{
	octets_copy(o, s.p, s.n);
	o[s.n] = 0;
	return o + s.n + 1;
}

static inline char *put_octets(char *o, struct str s)
{
	octets_copy(o, s.p, s.n);
	return o + s.n;
}

static inline char *put_u8(char *o, uint8_t v)
{
	*o = (char)v;
	return o + 1;
}

static inline char *put_addr(char *o, const struct pdu_addr *a)
{
	o = put_u8(o, a->ton);
	o = put_u8(o, a->npi);
	return put_cstr(o, a->addr);
}

/* ---- frame and TLVs ---- */

size_t pdu_begin(struct buf *b, uint32_t command, uint32_t status, uint32_t sequence)
{
	size_t begin = b->n;
	char *o = buf_extend(b, PDU_HEADER);

	put_be32(o, PDU_HEADER);
	put_be32(o + 4, command);
	put_be32(o + 8, status);
	put_be32(o + 12, sequence);
	return begin;
}

void pdu_end(struct buf *b, size_t begin)
{
	CHECK(b->n - begin >= PDU_HEADER && b->n - begin <= UINT32_MAX);
	put_be32(b->p + begin, (uint32_t)(b->n - begin));
}

void pdu_put_tlv(struct buf *b, uint16_t tag, struct str value)
{
	char *o;

	CHECK(value.n <= UINT16_MAX);
	o = buf_extend(b, TLV_HEAD + value.n);
	put_be16(o, tag);
	put_be16(o + 2, (uint16_t)value.n);
	put_octets(o + TLV_HEAD, value);
}

void pdu_put_tlv_u8(struct buf *b, uint16_t tag, uint8_t v)
{
	pdu_put_tlv(b, tag, str_n(&v, 1));
}

void pdu_put_tlv_u16(struct buf *b, uint16_t tag, uint16_t v)
{
	uint8_t o[2];

	put_be16(o, v);
	pdu_put_tlv(b, tag, str_n(o, sizeof o));
}

void pdu_put_tlv_u32(struct buf *b, uint16_t tag, uint32_t v)
{
	uint8_t o[4];

	put_be32(o, v);
	pdu_put_tlv(b, tag, str_n(o, sizeof o));
}

void pdu_put_tlv_cstr(struct buf *b, uint16_t tag, struct str s)
{
	char *o;

	CHECK(s.n < UINT16_MAX);
	o = buf_extend(b, TLV_HEAD + s.n + 1);
	put_be16(o, tag);
	put_be16(o + 2, (uint16_t)(s.n + 1));
	put_cstr(o + TLV_HEAD, s);
}

/* ---- bodies ---- */

uint32_t pdu_put_bind_body(struct buf *b, uint32_t command, const struct pdu_bind *bind)
{
	char *o;

	if (!cstr_fits(bind->system_id, PDU_BIND_NAME_MAX))
		return ESME_RINVSYSID;
	if (!cstr_fits(bind->password, PDU_BIND_NAME_MAX))
		return ESME_RINVPASWD;
	if (command == SMPP_OUTBIND) {
		o = buf_extend(b, bind->system_id.n + bind->password.n + 2);
		put_cstr(put_cstr(o, bind->system_id), bind->password);
		return ESME_ROK;
	}
	if (!cstr_fits(bind->system_type, MAX_SYSTEM_TYPE))
		return ESME_RINVSYSTYP;
	if (!cstr_fits(bind->address_range, MAX_ADDRESS_RANGE))
		return ESME_RBINDFAIL;
	o = buf_extend(b, bind->system_id.n + bind->password.n + bind->system_type.n +
				  bind->address_range.n + 7);
	o = put_cstr(put_cstr(put_cstr(o, bind->system_id), bind->password), bind->system_type);
	o = put_u8(o, bind->interface_version);
	o = put_u8(o, bind->addr_ton);
	o = put_u8(o, bind->addr_npi);
	put_cstr(o, bind->address_range);
	return ESME_ROK;
}

/* Which fields of struct pdu_sm a command has, in the order in which all commands have them. */
enum {
	HAS_ID = 1,
	HAS_SERVICE = 2,
	HAS_SOURCE = 4,
	HAS_DEST = 8,
	HAS_DESTS = 16,
	HAS_REST = 32, /* esm_class to short_message, as in submit_sm */
	HAS_DATA = 64, /* esm_class, registered_delivery, data_coding */
	HAS_REPLACE = 128,
	LONG_ADDR = 256,
};

static unsigned sm_fields(uint32_t command)
{
	switch (command) {
	case SMPP_SUBMIT_SM:
	case SMPP_DELIVER_SM:
		return HAS_SERVICE | HAS_SOURCE | HAS_DEST | HAS_REST;
	case SMPP_SUBMIT_MULTI:
		return HAS_SERVICE | HAS_SOURCE | HAS_DESTS | HAS_REST;
	case SMPP_DATA_SM:
		return HAS_SERVICE | HAS_SOURCE | HAS_DEST | HAS_DATA | LONG_ADDR;
	case SMPP_QUERY_SM:
		return HAS_ID | HAS_SOURCE;
	case SMPP_CANCEL_SM:
		return HAS_SERVICE | HAS_ID | HAS_SOURCE | HAS_DEST;
	case SMPP_REPLACE_SM:
		return HAS_ID | HAS_SOURCE | HAS_REPLACE;
	case SMPP_ALERT_NOTIFICATION:
		return HAS_SOURCE | HAS_DEST | LONG_ADDR;
	}
	return 0;
}

static uint32_t sm_check(const struct pdu_sm *sm, unsigned has)
{
	size_t addr = has & LONG_ADDR ? MAX_ADDR_LONG : MAX_ADDR;

	if ((has & HAS_SERVICE) && !cstr_fits(sm->service_type, MAX_SERVICE_TYPE))
		return ESME_RINVSERTYP;
	if ((has & HAS_ID) && !cstr_fits(sm->message_id, PDU_ID_MAX))
		return ESME_RINVMSGID;
	if (!cstr_fits(sm->source.addr, addr))
		return ESME_RINVSRCADR;
	if ((has & HAS_DEST) && !cstr_fits(sm->dest.addr, addr))
		return ESME_RINVDSTADR;
	if ((has & HAS_DESTS) && (sm->dest_count < 1 || sm->dest_count > PDU_DESTS_MAX))
		return ESME_RINVNUMDESTS;
	if (!(has & (HAS_REST | HAS_REPLACE)))
		return ESME_ROK;
	if (!cstr_fits(sm->schedule, MAX_TIME))
		return ESME_RINVSCHED;
	if (!cstr_fits(sm->validity, MAX_TIME))
		return ESME_RINVEXPIRY;
	if (sm->short_message.n > PDU_SHORT_MESSAGE_MAX)
		return ESME_RINVMSGLEN;
	return ESME_ROK;
}

/* The entries must be as many as the count says: nothing behind them would be found otherwise. */
static uint32_t dests_check(const struct pdu_sm *sm)
{
	struct str rest = sm->dests;
	struct pdu_addr a;
	unsigned n = 0;
	bool list;

	while (pdu_dest_next(&rest, &a, &list))
		n++;
	return rest.n || n != sm->dest_count ? ESME_RINVNUMDESTS : ESME_ROK;
}

static char *put_sm_rest(char *o, const struct pdu_sm *sm)
{
	o = put_u8(o, sm->esm_class);
	o = put_u8(o, sm->protocol_id);
	o = put_u8(o, sm->priority);
	o = put_cstr(o, sm->schedule);
	o = put_cstr(o, sm->validity);
	o = put_u8(o, sm->registered);
	o = put_u8(o, sm->replace);
	o = put_u8(o, sm->data_coding);
	o = put_u8(o, sm->default_msg_id);
	o = put_u8(o, (uint8_t)sm->short_message.n);
	return put_octets(o, sm->short_message);
}

static char *put_sm(char *o, const struct pdu_sm *sm, unsigned has)
{
	if (has & HAS_SERVICE)
		o = put_cstr(o, sm->service_type);
	if (has & HAS_ID)
		o = put_cstr(o, sm->message_id);
	o = put_addr(o, &sm->source);
	if (has & HAS_DEST)
		o = put_addr(o, &sm->dest);
	if (has & HAS_DESTS)
		o = put_octets(put_u8(o, sm->dest_count), sm->dests);
	if (has & HAS_REST)
		o = put_sm_rest(o, sm);
	if (has & HAS_DATA) {
		o = put_u8(o, sm->esm_class);
		o = put_u8(o, sm->registered);
		o = put_u8(o, sm->data_coding);
	}
	if (has & HAS_REPLACE) {
		o = put_cstr(o, sm->schedule);
		o = put_cstr(o, sm->validity);
		o = put_u8(o, sm->registered);
		o = put_u8(o, sm->default_msg_id);
		o = put_u8(o, (uint8_t)sm->short_message.n);
		o = put_octets(o, sm->short_message);
	}
	return o;
}

uint32_t pdu_put_sm_body(struct buf *b, uint32_t command, const struct pdu_sm *sm)
{
	enum { FIXED = 32 }; /* more than all NULs and single octets of any of them */
	unsigned has = sm_fields(command);
	uint32_t status;

	CHECK(has);
	status = sm_check(sm, has);
	if (!status && (has & HAS_DESTS))
		status = dests_check(sm);
	if (status)
		return status;
	buf_reserve(b, FIXED + sm->message_id.n + sm->service_type.n + sm->source.addr.n +
			       sm->dest.addr.n + sm->schedule.n + sm->validity.n +
			       sm->short_message.n + (has & HAS_DESTS ? sm->dests.n : 0));
	b->n = (size_t)(put_sm(b->p + b->n, sm, has) - b->p);
	return ESME_ROK;
}

uint32_t pdu_put_resp_body(struct buf *b, uint32_t command, const struct pdu_resp *r)
{
	enum { FIXED = 8 };
	char *o;

	if (!cstr_fits(r->message_id, PDU_ID_MAX))
		return ESME_RINVMSGID;
	if (!cstr_fits(r->system_id, PDU_BIND_NAME_MAX))
		return ESME_RINVSYSID;
	if (!cstr_fits(r->final_date, MAX_TIME))
		return ESME_RINVSCHED;
	buf_reserve(b, FIXED + r->message_id.n + r->system_id.n + r->final_date.n + r->unsuccess.n);
	o = b->p + b->n;
	switch (command) {
	case SMPP_SUBMIT_SM | SMPP_RESP:
	case SMPP_DELIVER_SM | SMPP_RESP:
	case SMPP_DATA_SM | SMPP_RESP:
		o = put_cstr(o, r->message_id);
		break;
	case SMPP_SUBMIT_MULTI | SMPP_RESP:
		o = put_cstr(o, r->message_id);
		o = put_octets(put_u8(o, r->unsuccess_count), r->unsuccess);
		break;
	case SMPP_QUERY_SM | SMPP_RESP:
		o = put_cstr(put_cstr(o, r->message_id), r->final_date);
		o = put_u8(put_u8(o, r->message_state), r->error_code);
		break;
	case SMPP_BIND_RECEIVER | SMPP_RESP:
	case SMPP_BIND_TRANSMITTER | SMPP_RESP:
	case SMPP_BIND_TRANSCEIVER | SMPP_RESP:
		o = put_cstr(o, r->system_id);
		break;
	default: /* header only */
		break;
	}
	b->n = (size_t)(o - b->p);
	return ESME_ROK;
}

void pdu_put_dest(struct buf *b, const struct pdu_addr *a, bool list)
{
	char *o;

	CHECK(cstr_fits(a->addr, MAX_ADDR));
	buf_reserve(b, 4 + a->addr.n);
	o = put_u8(b->p + b->n, list ? DEST_LIST : DEST_ADDRESS);
	o = list ? put_cstr(o, a->addr) : put_addr(o, a);
	b->n = (size_t)(o - b->p);
}

void pdu_put_unsuccess(struct buf *b, const struct pdu_addr *a, uint32_t status)
{
	char *o;

	CHECK(cstr_fits(a->addr, MAX_ADDR));
	buf_reserve(b, 7 + a->addr.n);
	o = put_addr(b->p + b->n, a);
	put_be32(o, status);
	b->n = (size_t)(o + 4 - b->p);
}

/* ---- whole PDUs ---- */

/* Ends what pdu_begin() began, or takes it back. */
static uint32_t pdu_close(struct buf *b, size_t begin, uint32_t status, struct str tlvs)
{
	if (status) {
		b->n = begin;
		return status;
	}
	buf_str(b, tlvs);
	pdu_end(b, begin);
	return ESME_ROK;
}

uint32_t pdu_put_bind(
	struct buf *b, uint32_t command, uint32_t sequence, const struct pdu_bind *bind)
{
	size_t begin = pdu_begin(b, command, ESME_ROK, sequence);

	return pdu_close(b, begin, pdu_put_bind_body(b, command, bind), STR_NONE);
}

uint32_t pdu_put_bind_resp(struct buf *b, uint32_t command, uint32_t sequence, struct str system_id,
	uint8_t sc_interface_version)
{
	struct pdu_resp r = { .system_id = system_id };
	size_t begin = pdu_begin(b, command | SMPP_RESP, ESME_ROK, sequence);
	uint32_t status = pdu_put_resp_body(b, command | SMPP_RESP, &r);

	if (!status && sc_interface_version)
		pdu_put_tlv_u8(b, TLV_SC_INTERFACE_VERSION, sc_interface_version);
	return pdu_close(b, begin, status, STR_NONE);
}

uint32_t pdu_put_submit_sm(
	struct buf *b, uint32_t sequence, const struct pdu_sm *sm, struct str tlvs)
{
	size_t begin = pdu_begin(b, SMPP_SUBMIT_SM, ESME_ROK, sequence);

	return pdu_close(b, begin, pdu_put_sm_body(b, SMPP_SUBMIT_SM, sm), tlvs);
}

uint32_t pdu_put_deliver_sm(
	struct buf *b, uint32_t sequence, const struct pdu_sm *sm, struct str tlvs)
{
	size_t begin = pdu_begin(b, SMPP_DELIVER_SM, ESME_ROK, sequence);

	return pdu_close(b, begin, pdu_put_sm_body(b, SMPP_DELIVER_SM, sm), tlvs);
}

uint32_t pdu_put_resp(
	struct buf *b, uint32_t command, uint32_t status, uint32_t sequence, struct str id)
{
	struct pdu_resp r = { .message_id = id, .system_id = id };
	size_t begin = pdu_begin(b, command | SMPP_RESP, status, sequence);
	uint32_t fault = ESME_ROK;

	/* 3.4 §4.6.2: the message_id of a deliver_sm_resp is unused and NULL. */
	if ((command & ~SMPP_RESP) == SMPP_DELIVER_SM)
		r.message_id = STR_NONE;
	if (!status)
		fault = pdu_put_resp_body(b, command | SMPP_RESP, &r);
	return pdu_close(b, begin, fault, STR_NONE);
}

void pdu_put_header(struct buf *b, uint32_t command, uint32_t status, uint32_t sequence)
{
	pdu_begin(b, command, status, sequence); /* whose length is already a header's */
}

void pdu_put_nack(struct buf *b, uint32_t sequence, uint32_t status)
{
	pdu_put_header(b, SMPP_GENERIC_NACK, status, sequence);
}

void pdu_put_refusal(struct buf *b, const struct pdu *p, uint32_t status)
{
	uint32_t resp = smpp_command_resp(p->command);

	if (!resp)
		return;
	/* Commands that we know by name only are still commands that we do not have. */
	if (status == ESME_RINVCMDID)
		resp = SMPP_GENERIC_NACK;
	pdu_put_header(b, resp, status, p->sequence);
}

static bool resp_has_fields(const struct pdu *p)
{
	const struct pdu_resp *r = &p->resp;

	return r->message_id.n || r->system_id.n || r->final_date.n || r->message_state ||
	       r->error_code || r->unsuccess_count || p->tlvs.n;
}

uint32_t pdu_encode(struct buf *b, const struct pdu *p)
{
	size_t begin = pdu_begin(b, p->command, p->status, p->sequence);
	uint32_t status = ESME_ROK;

	switch (p->command) {
	case SMPP_BIND_RECEIVER:
	case SMPP_BIND_TRANSMITTER:
	case SMPP_BIND_TRANSCEIVER:
	case SMPP_OUTBIND:
		status = pdu_put_bind_body(b, p->command, &p->bind);
		break;
	default:
		if (sm_fields(p->command))
			status = pdu_put_sm_body(b, p->command, &p->sm);
		else if (smpp_is_resp(p->command) && (!p->status || resp_has_fields(p)))
			status = pdu_put_resp_body(b, p->command, &p->resp);
		break;
	}
	return pdu_close(b, begin, status, p->tlvs);
}
