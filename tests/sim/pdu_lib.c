/* The lib codec: libsmpp34 reads and writes, as the party that is not ours.
 *
 * The library trusts what it is given and keeps one global trace of 2,048 bytes which long PDUs
 * overrun, before a bind as well. So: one thread; the fast codec reads every PDU first, and only
 * one that is sound, short and within the library's own limits reaches it; its allocations come
 * from an arena that is emptied per PDU (it leaks on refusal); its dump is never called. What it
 * then refuses although valid (facts are listed in tests/sim/README.md) is left to the fast codec
 * and counted; where both read a PDU, they are compared, and differences counted and shown.
 */
#include "tests/sim/pdu.h"

#include <netinet/in.h>
#include <stdlib.h>

#include <libsmpp34/smpp34.h>
#include <libsmpp34/smpp34_structs.h>
#include <libsmpp34/smpp34_params.h>
#include <libsmpp34/smpp34_heap.h>

uint64_t sim_lib_decoded, sim_lib_encoded, sim_lib_left, sim_lib_disagreed;

enum {
	LIB_PDU = 2048, /* longer ones are not given to it */
	LIB_TLVS = 12,  /* 29 overrun its trace */
	LIB_DESTS = 8,  /* 17 overrun its trace */
	LIB_VALUE = 1000,
};

union lib_pdu { /* every struct begins with length, id, status, sequence */
	bind_transceiver_t bind;
	bind_transceiver_resp_t bind_resp;
	outbind_t outbind;
	submit_sm_t submit;
	submit_sm_resp_t submit_resp;
	submit_multi_t multi;
	submit_multi_resp_t multi_resp;
	deliver_sm_t deliver;
	deliver_sm_resp_t deliver_resp;
	data_sm_t data;
	data_sm_resp_t data_resp;
	query_sm_t query;
	query_sm_resp_t query_resp;
	cancel_sm_t cancel;
	replace_sm_t replace;
	enquire_link_t bare;
};

static union {
	char bytes[128 * 1024];
	max_align_t align;
} lib_heap;
static size_t lib_heap_n;

static void *lib_malloc(size_t n)
{
	n = (n + 15) & ~(size_t)15;
	CHECK(lib_heap_n + n <= sizeof(lib_heap.bytes)); /* LIB_TLVS and LIB_DESTS see to it */
	void *p = lib_heap.bytes + lib_heap_n;
	lib_heap_n += n;
	return p;
}

static void *lib_realloc(void *p, size_t n)
{
	void *fresh = lib_malloc(n);
	if (p)
		memmove(fresh, p, n); /* the arena has no sizes; reading on stays inside it */
	return fresh;
}

static void lib_free(void *p) {}

static void lib_begin(void)
{
	static bool ready;
	static const struct smpp34_memory_functions mf = { lib_malloc, lib_realloc, lib_free };
	if (!ready)
		smpp34_set_memory_functions(&mf);
	ready = true;
	lib_heap_n = 0;
}

/* The library takes some values by their tag, whatever length the wire gives, and so would read
 * on from the wrong place. */
static unsigned tlv_width(uint16_t tag)
{
	switch (tag) {
	case TLVID_qos_time_to_live:
		return 4;
	case TLVID_dest_telematics_id:
	case TLVID_user_message_reference:
	case TLVID_source_port:
	case TLVID_destination_port:
	case TLVID_sar_msg_ref_num:
	case TLVID_sms_signal:
	case TLVID_its_session_info:
		return 2;
	case TLVID_network_error_code:
	case TLVID_additional_status_info_text:
	case TLVID_receipted_message_id:
	case TLVID_source_subaddress:
	case TLVID_dest_subaddress:
	case TLVID_callback_num_atag:
	case TLVID_callback_num:
	case TLVID_message_payload:
		return 0; /* octets */
	}
	return tag < 0x1400 ? 1 : 0;
}

static bool lib_may(const struct sim_pdu *r, size_t n)
{
	if (n > LIB_PDU || r->tlv_n > LIB_TLVS || r->dest_n > LIB_DESTS || r->failed_n)
		return false;
	if (r->dest_n && r->tlv_n > 3)
		return false;
	if (r->system_id.n > 15 || r->password.n > 8 || r->src.n > 20 || r->text.n > 254)
		return false;
	for (unsigned i = 0; i < r->tlv_n; i++) {
		unsigned width = tlv_width(r->tlv[i].tag);
		if (r->tlv[i].v.n > LIB_VALUE || (width && r->tlv[i].v.n != width))
			return false;
		if (r->tlv[i].tag == TLVID_alert_on_message_delivery)
			return false;
	}
	return true;
}

/* Whether the library read the value that is on the wire; typed ones it turns to host order. */
static bool tlv_same(const tlv_t *t, const struct sim_tlv *wire)
{
	if (t->tag != wire->tag || t->length != wire->v.n)
		return false;
	if (memcmp(t->value.octet, wire->v.p, wire->v.n) == 0)
		return true;
	return (wire->v.n == 2 && t->value.val16 == be16(wire->v.p)) ||
	       (wire->v.n == 4 && t->value.val32 == be32(wire->v.p));
}

/* The library's list is last first. */
static void take_tlvs(struct sim_pdu *r, tlv_t *list, const struct sim_pdu *wire)
{
	unsigned n = 0;
	for (tlv_t *t = list; t; t = t->next)
		n++;
	r->tlv_n = n < PDU_TLVS ? n : PDU_TLVS;
	for (tlv_t *t = list; t && n; t = t->next) {
		n--;
		if (n < PDU_TLVS)
			r->tlv[n] = n < wire->tlv_n && tlv_same(t, &wire->tlv[n])
					    ? wire->tlv[n]
					    : (struct sim_tlv){ t->tag, STR("\1read otherwise") };
	}
}

static struct str text_of(const uint8_t *s)
{
	return str_of((const char *)s);
}

#define TAKE_SOURCE(r, m)                             \
	do {                                          \
		(r)->src_ton = (m)->source_addr_ton;  \
		(r)->src_npi = (m)->source_addr_npi;  \
		(r)->src = text_of((m)->source_addr); \
	} while (0)
#define TAKE_DESTINATION(r, m)                             \
	do {                                               \
		(r)->dst_ton = (m)->dest_addr_ton;         \
		(r)->dst_npi = (m)->dest_addr_npi;         \
		(r)->dst = text_of((m)->destination_addr); \
	} while (0)
#define TAKE_REST(r, m)                                                \
	do {                                                           \
		(r)->esm_class = (m)->esm_class;                       \
		(r)->protocol_id = (m)->protocol_id;                   \
		(r)->priority = (m)->priority_flag;                    \
		(r)->schedule = text_of((m)->schedule_delivery_time);  \
		(r)->validity = text_of((m)->validity_period);         \
		(r)->registered = (m)->registered_delivery;            \
		(r)->replace = (m)->replace_if_present_flag;           \
		(r)->coding = (m)->data_coding;                        \
		(r)->default_id = (m)->sm_default_msg_id;              \
		(r)->text = str_n((m)->short_message, (m)->sm_length); \
	} while (0)

static void take_dests(struct sim_pdu *r, submit_multi_t *m)
{
	unsigned n = 0;
	r->dest_n = m->number_of_dests;
	for (dad_t *d = m->dest_addr_def; d; d = d->next)
		n++;
	for (dad_t *d = m->dest_addr_def; d && n; d = d->next) {
		struct sim_dest *to = &r->dest[--n];
		*to = (struct sim_dest){ .list = d->dest_flag == 2 };
		if (to->list) {
			to->addr = text_of(d->value.dl_name);
			continue;
		}
		to->ton = d->value.sme.dest_addr_ton;
		to->npi = d->value.sme.dest_addr_npi;
		to->addr = text_of(d->value.sme.destination_addr);
	}
}

static void take_pdu(struct sim_pdu *r, union lib_pdu *m, const struct sim_pdu *wire)
{
	memset(r, 0, offsetof(struct sim_pdu, tlv));
	r->id = m->bare.command_id;
	r->status = m->bare.command_status;
	r->seq = m->bare.sequence_number;
	r->no_body = wire->no_body;
	switch (r->id) {
	case P_BIND_RX:
	case P_BIND_TX:
	case P_BIND_TRX:
		r->system_id = text_of(m->bind.system_id);
		r->password = text_of(m->bind.password);
		r->system_type = text_of(m->bind.system_type);
		r->version = m->bind.interface_version;
		r->addr_ton = m->bind.addr_ton;
		r->addr_npi = m->bind.addr_npi;
		r->range = text_of(m->bind.address_range);
		break;
	case P_OUTBIND:
		r->system_id = text_of(m->outbind.system_id);
		r->password = text_of(m->outbind.password);
		break;
	case P_SUBMIT_SM:
		r->service_type = text_of(m->submit.service_type);
		TAKE_SOURCE(r, &m->submit);
		TAKE_DESTINATION(r, &m->submit);
		TAKE_REST(r, &m->submit);
		take_tlvs(r, m->submit.tlv, wire);
		break;
	case P_DELIVER_SM:
		r->service_type = text_of(m->deliver.service_type);
		TAKE_SOURCE(r, &m->deliver);
		TAKE_DESTINATION(r, &m->deliver);
		TAKE_REST(r, &m->deliver);
		take_tlvs(r, m->deliver.tlv, wire);
		break;
	case P_SUBMIT_MULTI:
		r->service_type = text_of(m->multi.service_type);
		TAKE_SOURCE(r, &m->multi);
		take_dests(r, &m->multi);
		TAKE_REST(r, &m->multi);
		take_tlvs(r, m->multi.tlv, wire);
		break;
	case P_DATA_SM:
		r->service_type = text_of(m->data.service_type);
		TAKE_SOURCE(r, &m->data);
		TAKE_DESTINATION(r, &m->data);
		r->esm_class = m->data.esm_class;
		r->registered = m->data.registered_delivery;
		r->coding = m->data.data_coding;
		take_tlvs(r, m->data.tlv, wire);
		break;
	case P_QUERY_SM:
		r->message_id = text_of(m->query.message_id);
		TAKE_SOURCE(r, &m->query);
		break;
	case P_CANCEL_SM:
		r->service_type = text_of(m->cancel.service_type);
		r->message_id = text_of(m->cancel.message_id);
		TAKE_SOURCE(r, &m->cancel);
		TAKE_DESTINATION(r, &m->cancel);
		break;
	case P_REPLACE_SM:
		r->message_id = text_of(m->replace.message_id);
		TAKE_SOURCE(r, &m->replace);
		r->schedule = text_of(m->replace.schedule_delivery_time);
		r->validity = text_of(m->replace.validity_period);
		r->registered = m->replace.registered_delivery;
		r->default_id = m->replace.sm_default_msg_id;
		r->text = str_n(m->replace.short_message, m->replace.sm_length);
		break;
	case P_RESP | P_BIND_RX:
	case P_RESP | P_BIND_TX:
	case P_RESP | P_BIND_TRX:
		r->system_id = text_of(m->bind_resp.system_id);
		take_tlvs(r, m->bind_resp.tlv, wire);
		break;
	case P_RESP | P_SUBMIT_SM:
		r->message_id = text_of(m->submit_resp.message_id);
		break;
	case P_RESP | P_DATA_SM:
		r->message_id = text_of(m->data_resp.message_id);
		break;
	case P_RESP | P_SUBMIT_MULTI:
		r->message_id = text_of(m->multi_resp.message_id);
		r->failed_n = m->multi_resp.no_unsuccess;
		break;
	case P_RESP | P_QUERY_SM:
		r->message_id = text_of(m->query_resp.message_id);
		r->final_date = text_of(m->query_resp.final_date);
		r->state = m->query_resp.message_state;
		r->error = m->query_resp.error_code;
		break;
	}
}

/* Whether the fields that were checked are all there is: written again they give the same octets.
 */
static bool lib_whole(const struct sim_pdu *wire, const uint8_t *p, size_t n)
{
	static struct buf again;
	buf_reset(&again);
	sim_codec_fast.encode(&again, wire);
	return str_eq(buf_view(&again), str_n(p, n));
}

static uint32_t lib_decode(struct sim_pdu *r, const uint8_t *p, size_t n)
{
	static union lib_pdu m; /* the PDU's strings point into it until the next one */
	static struct sim_pdu wire;
	uint32_t status = sim_codec_fast.decode(&wire, p, n);
	if (status != S_OK || !lib_may(&wire, n) || !lib_whole(&wire, p, n)) {
		sim_lib_left++;
		return sim_codec_fast.decode(r, p, n);
	}
	lib_begin();
	memset(&m, 0, sizeof(m));
	if (smpp34_unpack2(&m, p, (int)n) != 0) {
		sim_lib_left++;
		return sim_codec_fast.decode(r, p, n);
	}
	sim_lib_decoded++;
	take_pdu(r, &m, &wire);
	const char *field = sim_pdu_differ(r, &wire);
	if (field && sim_lib_disagreed++ < 5)
		sim_say("libsmpp34 reads %s of a %s otherwise", field, sim_command_name(wire.id));
	return S_OK;
}

static bool give(uint8_t *to, size_t cap, struct str s)
{
	return str_copy((char *)to, cap, s.p ? s : STR_NONE) < cap;
}

/* build_tlv puts each before the last, so the last goes in first. */
static void give_tlvs(tlv_t **list, const struct sim_pdu *p)
{
	for (unsigned i = p->tlv_n; i--;) {
		const struct sim_tlv *s = &p->tlv[i];
		tlv_t t = { .tag = s->tag, .length = (uint16_t)s->v.n };
		unsigned width = tlv_width(s->tag);
		if (width == 2)
			t.value.val16 = be16(s->v.p);
		else if (width == 4)
			t.value.val32 = be32(s->v.p);
		else
			memcpy(t.value.octet, s->v.p, s->v.n);
		build_tlv(list, &t);
	}
}

#define GIVE_SOURCE(m, p)                                                          \
	((m)->source_addr_ton = (p)->src_ton, (m)->source_addr_npi = (p)->src_npi, \
		give((m)->source_addr, sizeof((m)->source_addr), (p)->src))
#define GIVE_DESTINATION(m, p)                                                 \
	((m)->dest_addr_ton = (p)->dst_ton, (m)->dest_addr_npi = (p)->dst_npi, \
		give((m)->destination_addr, sizeof((m)->destination_addr), (p)->dst))
#define GIVE_REST(m, p)                                                                          \
	((m)->esm_class = (p)->esm_class, (m)->protocol_id = (p)->protocol_id,                   \
		(m)->priority_flag = (p)->priority, (m)->registered_delivery = (p)->registered,  \
		(m)->replace_if_present_flag = (p)->replace, (m)->data_coding = (p)->coding,     \
		(m)->sm_default_msg_id = (p)->default_id, (m)->sm_length = (uint8_t)(p)->text.n, \
		memcpy((m)->short_message, (p)->text.n ? (p)->text.p : "", (p)->text.n),         \
		give((m)->schedule_delivery_time, sizeof((m)->schedule_delivery_time),           \
			(p)->schedule) &&                                                        \
			give((m)->validity_period, sizeof((m)->validity_period), (p)->validity))

static void give_dests(submit_multi_t *m, const struct sim_pdu *p)
{
	m->number_of_dests = p->dest_n;
	for (unsigned i = p->dest_n; i--;) {
		const struct sim_dest *s = &p->dest[i];
		dad_t d = { .dest_flag = s->list ? 2 : 1 };
		if (s->list) {
			give(d.value.dl_name, sizeof(d.value.dl_name), s->addr);
		} else {
			d.value.sme.dest_addr_ton = s->ton;
			d.value.sme.dest_addr_npi = s->npi;
			give(d.value.sme.destination_addr, sizeof(d.value.sme.destination_addr),
				s->addr);
		}
		build_dad(&m->dest_addr_def, &d);
	}
}

/* False when the library's struct has no room for it. */
static bool give_pdu(union lib_pdu *m, const struct sim_pdu *p)
{
	m->bare.command_id = p->id;
	m->bare.command_status = p->status;
	m->bare.sequence_number = p->seq;
	switch (p->id) {
	case P_BIND_RX:
	case P_BIND_TX:
	case P_BIND_TRX:
		m->bind.interface_version = p->version;
		m->bind.addr_ton = p->addr_ton;
		m->bind.addr_npi = p->addr_npi;
		return give(m->bind.system_id, 16, p->system_id) &&
		       give(m->bind.password, 9, p->password) &&
		       give(m->bind.system_type, 13, p->system_type) &&
		       give(m->bind.address_range, 41, p->range);
	case P_SUBMIT_SM:
		give_tlvs(&m->submit.tlv, p);
		return give(m->submit.service_type, 6, p->service_type) &&
		       GIVE_SOURCE(&m->submit, p) && GIVE_DESTINATION(&m->submit, p) &&
		       GIVE_REST(&m->submit, p);
	case P_DELIVER_SM:
		give_tlvs(&m->deliver.tlv, p);
		return give(m->deliver.service_type, 6, p->service_type) &&
		       GIVE_SOURCE(&m->deliver, p) && GIVE_DESTINATION(&m->deliver, p) &&
		       GIVE_REST(&m->deliver, p);
	case P_SUBMIT_MULTI:
		give_tlvs(&m->multi.tlv, p);
		give_dests(&m->multi, p);
		return give(m->multi.service_type, 6, p->service_type) &&
		       GIVE_SOURCE(&m->multi, p) && GIVE_REST(&m->multi, p);
	case P_DATA_SM:
		give_tlvs(&m->data.tlv, p);
		m->data.esm_class = p->esm_class;
		m->data.registered_delivery = p->registered;
		m->data.data_coding = p->coding;
		return give(m->data.service_type, 6, p->service_type) && GIVE_SOURCE(&m->data, p) &&
		       GIVE_DESTINATION(&m->data, p);
	case P_QUERY_SM:
		return give(m->query.message_id, 65, p->message_id) && GIVE_SOURCE(&m->query, p);
	case P_CANCEL_SM:
		return give(m->cancel.service_type, 6, p->service_type) &&
		       give(m->cancel.message_id, 65, p->message_id) &&
		       GIVE_SOURCE(&m->cancel, p) && GIVE_DESTINATION(&m->cancel, p);
	case P_RESP | P_BIND_RX:
	case P_RESP | P_BIND_TX:
	case P_RESP | P_BIND_TRX:
		give_tlvs(&m->bind_resp.tlv, p);
		return !p->no_body && give(m->bind_resp.system_id, 16, p->system_id);
	case P_RESP | P_SUBMIT_SM:
		return p->tlv_n == 0 && (!p->no_body || p->status) &&
		       give(m->submit_resp.message_id, 65, p->message_id);
	case P_RESP | P_DATA_SM:
		return p->tlv_n == 0 && !p->no_body &&
		       give(m->data_resp.message_id, 65, p->message_id);
	case P_RESP | P_DELIVER_SM:
		return p->message_id.n == 0 && p->tlv_n == 0 && !p->no_body;
	case P_UNBIND:
	case P_ENQUIRE_LINK:
	case P_GENERIC_NACK:
	case P_RESP | P_UNBIND:
	case P_RESP | P_ENQUIRE_LINK:
	case P_RESP | P_CANCEL_SM:
	case P_RESP | P_REPLACE_SM:
		return true;
	}
	return false;
}

static void lib_encode(struct buf *out, const struct sim_pdu *p)
{
	static union lib_pdu m;
	int len = 0;
	if (lib_may(p, 0)) {
		lib_begin();
		memset(&m, 0, sizeof(m));
		buf_reserve(out, 4 * LIB_PDU); /* it refuses a buffer that would just do */
		if (give_pdu(&m, p) &&
			smpp34_pack2((uint8_t *)out->p + out->n, 4 * LIB_PDU, &len, &m) == 0) {
			out->n += (size_t)len;
			sim_lib_encoded++;
			return;
		}
	}
	sim_lib_left++;
	sim_codec_fast.encode(out, p);
}

const struct sim_codec sim_codec_lib = { "lib", lib_decode, lib_encode };
