/* The SMPP codec: one PDU between bytes and fields. SMPP 3.4 whole; of 5.0 the statuses, tags
 * and names. Pure: no sockets, clock, threads or allocation in decoding; any thread.
 *
 * Decoding copies nothing: every struct str of a struct pdu points into the bytes given, which
 * must outlive it. Texts are octets, never C strings: 0x00 is "@".
 */
#ifndef POSTERN_SMPP_PDU_H
#define POSTERN_SMPP_PDU_H

#include "gateway/base/buf.h"
#include "gateway/base/str.h"
#include "protocols/smpp/status.h"

enum {
	PDU_HEADER = 16,
	PDU_CAP_UNBOUND = 1024, /* a bind without TLVs is at most 98 octets */
	PDU_CAP = 70000,        /* a 64 KiB message_payload with all its fields */
	PDU_SHORT_MESSAGE_MAX = 254,
	PDU_DESTS_MAX = 254,
	PDU_ID_MAX = 64,        /* message_id, without its NUL */
	PDU_BIND_NAME_MAX = 64, /* system_id and password with PDU_LONG_NAMES */
};

enum smpp_command {
#define COMMAND(constant, value, name, resp) constant = value,
#include "protocols/smpp/command.def"
	SMPP_GENERIC_NACK = 0x80000000u,
};
#define SMPP_RESP 0x80000000u /* request id | SMPP_RESP is its response's id */

enum smpp_tag {
#define TAG(constant, value, name, min, max) constant = value,
#include "protocols/smpp/tlv.def"
	TLV_VENDOR_FIRST = 0x1400,
	TLV_VENDOR_LAST = 0x3fff,
};

enum smpp_version { SMPP_V33 = 0x33, SMPP_V34 = 0x34, SMPP_V50 = 0x50 };

/* esm_class, 3.4 §5.2.12. Mask, do not compare: 0x44 (receipt with a header) is legal. */
enum {
	ESM_MODE_MASK = 0x03,
	ESM_TYPE_MASK = 0x3c,
	ESM_TYPE_RECEIPT = 0x04,
	ESM_TYPE_ACK = 0x08,
	ESM_TYPE_USER_ACK = 0x10,
	ESM_TYPE_ABORT = 0x18,
	ESM_TYPE_INTERMEDIATE = 0x20,
	ESM_UDHI = 0x40,
	ESM_REPLY_PATH = 0x80,
};
/* registered_delivery, 3.4 §5.2.17 (whose words say bit 5 for "intermediate"; its pattern, 4). */
enum {
	REG_MASK = 0x03,
	REG_FINAL = 0x01,
	REG_FAILURE = 0x02,
	REG_SUCCESS = 0x03, /* 5.0 */
	REG_INTERMEDIATE = 0x10,
};

/* message_state, 3.4 §5.2.28 and 5.0 §4.7.15: the values are the wire's. */
enum smpp_state {
	SMPP_STATE_SCHEDULED = 0,
	SMPP_STATE_ENROUTE,
	SMPP_STATE_DELIVERED,
	SMPP_STATE_EXPIRED,
	SMPP_STATE_DELETED,
	SMPP_STATE_UNDELIVERABLE,
	SMPP_STATE_ACCEPTED,
	SMPP_STATE_UNKNOWN,
	SMPP_STATE_REJECTED,
	SMPP_STATE_SKIPPED,
};

struct pdu_addr {
	uint8_t ton, npi;
	struct str addr; /* at most 20 octets; 64 in data_sm and alert_notification */
};

/* bind_*, outbind (system_id and password only). */
struct pdu_bind {
	struct str system_id, password, system_type;
	uint8_t interface_version;
	uint8_t addr_ton, addr_npi;
	struct str address_range;
};

/* submit_sm, submit_multi, deliver_sm, data_sm, replace_sm, query_sm, cancel_sm, and
 * alert_notification (source: the subscriber, dest: the ESME). Fields that a PDU does not have
 * are 0 or empty when read, and ignored when written. */
struct pdu_sm {
	struct str message_id; /* query_sm, cancel_sm, replace_sm */
	struct str service_type;
	struct pdu_addr source, dest;
	uint8_t esm_class, protocol_id, priority;
	uint8_t registered, replace, data_coding, default_msg_id;
	struct str schedule, validity; /* raw; smpp_time.h reads them */
	struct str short_message;
	uint8_t dest_count; /* submit_multi */
	struct str dests;   /* submit_multi: raw entries, see pdu_dest_next() */
};

/* Every response; generic_nack has nothing but its header. */
struct pdu_resp {
	struct str message_id; /* submit, multi, deliver, data, query */
	struct str system_id;  /* bind_*_resp */
	struct str final_date; /* query_sm_resp, with the next two */
	uint8_t message_state, error_code;
	uint8_t unsuccess_count; /* submit_multi_resp */
	struct str unsuccess;    /* raw entries, see pdu_unsuccess_next() */
};

struct pdu {
	uint32_t length, command, status, sequence;
	struct pdu_bind bind;
	struct pdu_sm sm;
	struct pdu_resp resp;
	struct str tlvs;   /* whole, checked TLVs in wire order */
	const char *fault; /* the field that is wrong, or NULL; static */
};

struct tlv {
	uint16_t tag;
	struct str value;
};

/* ---- framing ---- */
/* Looks at the first 4 octets of a stream. 1: *length_r octets make the PDU, 16 ≤ length ≤ cap;
 * 0: fewer than 4 octets are there; -1: the stream is lost: answer with pdu_put_nack(…,
 * pdu_peek_sequence(), ESME_RINVCMDLEN) and close (3.4 §4.3). */
int pdu_peek(struct str bytes, size_t cap, size_t *length_r);
/* The sequence number if 16 octets are there, else 0. */
uint32_t pdu_peek_sequence(struct str bytes);

/* ---- decoding ---- */
enum {
	PDU_LONG_NAMES = 1, /* system_id and password up to 64 octets, not 15 and 8 */
	PDU_LENIENT = 2,    /* as a client: odd values and lengths of known TLVs pass (pdu_tlv_u8()
			     * and kin then see them as absent); message_payload wins over
			     * short_message */
	PDU_V50 = 4,        /* priority 4 and short_message of 255 octets */
};
/* bytes is one whole PDU. 0, or -1 and *status_r, the status to answer with: by the PDU's own
 * response, or by generic_nack for ESME_RINVCMDID and ESME_RINVCMDLEN of an unknown command:
 * pdu_put_refusal() does either. Then length, command and sequence are set if 16 octets were
 * there, and fault names the field.
 *
 * Responses are never answered, so they are read with patience: a known one always gives 0,
 * what could not be read is empty and fault says which. An unknown response gives -1 and
 * ESME_RINVCMDID; it must not be answered (pdu_put_refusal() writes nothing for it). Body
 * absent, one NUL, an id (NUL missing or up to 255 octets, too), TLVs on an error: all parse. */
int pdu_decode(struct pdu *p, struct str bytes, unsigned flags, uint32_t *status_r);

/* Cuts the next TLV off *rest (begin with p->tlvs); false at the end. */
bool tlv_next(struct str *rest, struct tlv *t_r);
/* The first TLV of that tag; of doubles the first wins. False: none; *value_r is then empty. */
bool pdu_tlv(const struct pdu *p, uint16_t tag, struct str *value_r);
/* Integer TLVs; false when absent or of another length. */
bool pdu_tlv_u8(const struct pdu *p, uint16_t tag, uint8_t *v_r);
bool pdu_tlv_u16(const struct pdu *p, uint16_t tag, uint16_t *v_r);
bool pdu_tlv_u32(const struct pdu *p, uint16_t tag, uint32_t *v_r);
/* C-octet TLV up to its first NUL, or whole where the sender left the NUL out. */
bool pdu_tlv_cstr(const struct pdu *p, uint16_t tag, struct str *v_r);
/* True when a tag comes twice (worth a log line). */
bool pdu_tlv_doubled(const struct pdu *p, uint16_t *tag_r);
/* message_payload if it has octets, else short_message. A UDH, by ESM_UDHI, is at its start. */
struct str pdu_text(const struct pdu *p);

/* submit_multi's destinations, checked by pdu_decode. Cuts one off *rest (begin with
 * sm.dests); false at the end. A distribution list has list set and its name in a->addr. */
bool pdu_dest_next(struct str *rest, struct pdu_addr *a, bool *list_r);
/* submit_multi_resp's failed destinations (begin with resp.unsuccess). */
bool pdu_unsuccess_next(struct str *rest, struct pdu_addr *a, uint32_t *status_r);

/* ---- encoding: everything is appended to b ---- */
/* Writers that take fields return ESME_ROK, or the status that a far side would give (a string
 * too long or with a NUL inside: ESME_RINVDSTADR …) and leave b as it was. Limits are the
 * standard's, but system_id and password may have PDU_BIND_NAME_MAX octets. */
size_t pdu_begin(struct buf *b, uint32_t command, uint32_t status, uint32_t sequence);
void pdu_end(struct buf *b, size_t begin); /* sets the length; begin: from pdu_begin() */
uint32_t pdu_put_bind_body(struct buf *b, uint32_t command, const struct pdu_bind *bind);
uint32_t pdu_put_sm_body(struct buf *b, uint32_t command, const struct pdu_sm *sm);
uint32_t pdu_put_resp_body(struct buf *b, uint32_t command, const struct pdu_resp *r);
void pdu_put_tlv(struct buf *b, uint16_t tag, struct str value); /* ≤ 65535 octets */
void pdu_put_tlv_u8(struct buf *b, uint16_t tag, uint8_t v);
void pdu_put_tlv_u16(struct buf *b, uint16_t tag, uint16_t v);
void pdu_put_tlv_u32(struct buf *b, uint16_t tag, uint32_t v);
void pdu_put_tlv_cstr(struct buf *b, uint16_t tag, struct str s); /* with its NUL */

/* Whole PDUs. tlvs: TLVs written before with pdu_put_tlv*(), or STR_NONE. */
uint32_t pdu_put_bind(
	struct buf *b, uint32_t command, uint32_t sequence, const struct pdu_bind *bind);
uint32_t pdu_put_bind_resp(struct buf *b, uint32_t command, uint32_t sequence, struct str system_id,
	uint8_t sc_interface_version /* 0: leave the TLV out */);
uint32_t pdu_put_submit_sm(
	struct buf *b, uint32_t sequence, const struct pdu_sm *sm, struct str tlvs);
uint32_t pdu_put_deliver_sm(
	struct buf *b, uint32_t sequence, const struct pdu_sm *sm, struct str tlvs);
/* A response: with status 0 to submit_sm, submit_multi, data_sm, deliver_sm the id and its NUL
 * (deliver_sm_resp: always one NUL); with an error, and for all that have no id, the header alone.
 * command: the request's id or the response's. id: at most PDU_ID_MAX octets. */
uint32_t pdu_put_resp(
	struct buf *b, uint32_t command, uint32_t status, uint32_t sequence, struct str id);
/* Header only: enquire_link, unbind, their responses, errors. */
void pdu_put_header(struct buf *b, uint32_t command, uint32_t status, uint32_t sequence);
void pdu_put_nack(struct buf *b, uint32_t sequence, uint32_t status);
/* The answer to a PDU that pdu_decode() or the session refuses: its own response, or
 * generic_nack when it is not known; nothing for responses and for commands that have none. */
void pdu_put_refusal(struct buf *b, const struct pdu *p, uint32_t status);
/* Any struct pdu, as decoded or filled by hand: header from p, body, p->tlvs. Responses with an
 * error status have a body if any of their fields is not empty. */
uint32_t pdu_encode(struct buf *b, const struct pdu *p);
/* One entry of a submit_multi (dests, dest_count of struct pdu_sm) or of its response. */
void pdu_put_dest(struct buf *b, const struct pdu_addr *a, bool list);
void pdu_put_unsuccess(struct buf *b, const struct pdu_addr *a, uint32_t status);

/* ---- names ---- */
static inline bool smpp_is_resp(uint32_t command)
{
	return (command & SMPP_RESP) != 0;
}
/* "submit_sm", "submit_sm_resp", "generic_nack"; "unknown" for others. Static. */
const char *smpp_command_name(uint32_t command);
bool smpp_command_by_name(struct str name, uint32_t *command_r);
/* The response that answers this request; generic_nack for unknown requests; 0 where none may
 * be sent (responses, outbind, alert_notification). */
uint32_t smpp_command_resp(uint32_t command);
const char *smpp_tag_name(uint16_t tag); /* "message_payload"; "vendor" or "unknown" */
bool smpp_tag_by_name(struct str name, uint16_t *tag_r); /* also "0x1502" */

#endif
