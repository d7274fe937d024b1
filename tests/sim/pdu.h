/* SMPP as the simulator sees it: one struct for every PDU, filled and written by either of two
 * codecs: `fast`, plain and ours, for load; `lib`, Debian's libsmpp34, the independent other party.
 * Neither shares a line with protocols/smpp, so agreement with the daemon means something.
 */
#ifndef POSTERN_SIM_PDU_H
#define POSTERN_SIM_PDU_H

#include "tests/sim/sim.h"

enum sim_command_id {
	P_GENERIC_NACK = 0x80000000,
	P_BIND_RX = 1,
	P_BIND_TX = 2,
	P_QUERY_SM = 3,
	P_SUBMIT_SM = 4,
	P_DELIVER_SM = 5,
	P_UNBIND = 6,
	P_REPLACE_SM = 7,
	P_CANCEL_SM = 8,
	P_BIND_TRX = 9,
	P_OUTBIND = 0x0B,
	P_ENQUIRE_LINK = 0x15,
	P_SUBMIT_MULTI = 0x21,
	P_ALERT = 0x102,
	P_DATA_SM = 0x103,
	P_RESP = 0x80000000, /* set in a response's id */
};

enum sim_status {
	S_OK = 0,
	S_RINVMSGLEN = 0x01,
	S_RINVCMDLEN = 0x02,
	S_RINVCMDID = 0x03,
	S_RINVBNDSTS = 0x04,
	S_RALYBND = 0x05,
	S_RSYSERR = 0x08,
	S_RINVDSTADR = 0x0B,
	S_RINVMSGID = 0x0C,
	S_RBINDFAIL = 0x0D,
	S_RINVPASWD = 0x0E,
	S_RINVSYSID = 0x0F,
	S_RCANCELFAIL = 0x11,
	S_RREPLACEFAIL = 0x13,
	S_RMSGQFUL = 0x14,
	S_RTHROTTLED = 0x58,
	S_RX_T_APPN = 0x64,
	S_RQUERYFAIL = 0x67,
	S_RTLVSTREAM = 0xC0,
	S_RTLVLEN = 0xC2,
	S_UNKNOWN = 0xFF,
};

enum sim_tag {
	T_RECEIPTED_ID = 0x001E,
	T_USER_REF = 0x0204,
	T_SAR_REF = 0x020C,
	T_SAR_TOTAL = 0x020E,
	T_SAR_SEQ = 0x020F,
	T_SC_VERSION = 0x0210,
	T_NETWORK_ERROR = 0x0423,
	T_PAYLOAD = 0x0424,
	T_STATE = 0x0427,
};

enum {
	PDU_HEADER = 16,
	PDU_MOST = 131072, /* longer than any real one; a longer length has lost the stream */
	PDU_TLVS = 24,     /* more are counted and dropped */
	PDU_DESTS = 254,   /* SMPP 3.4 §4.5.1 */
	ESM_RECEIPT = 0x04,
	ESM_INTERMEDIATE = 0x20,
	ESM_TYPE = 0x3C,
	ESM_UDHI = 0x40,
};

struct sim_tlv {
	uint16_t tag;
	struct str v;
};

/* One PDU. Strings borrow: from the bytes decoded, or (lib) until the next decode. Which fields
 * have a meaning follows from the id; all others are zero. */
struct sim_pdu {
	uint32_t id, status, seq;
	uint8_t src_ton, src_npi, dst_ton, dst_npi;
	uint8_t esm_class, protocol_id, priority, registered, replace, coding, default_id;
	uint8_t version, addr_ton, addr_npi; /* bind */
	uint8_t state, error;                /* query_sm_resp */
	uint8_t dest_n, failed_n;            /* submit_multi and its response */
	bool no_body;                        /* a response that is a header only */
	struct str service_type, src, dst, schedule, validity, text;
	struct str system_id, password, system_type, range; /* bind */
	struct str message_id, final_date;
	unsigned tlv_n;
	/* Not cleared by decoding beyond their counts. */
	struct sim_tlv tlv[PDU_TLVS];
	struct sim_dest {
		uint8_t ton, npi;
		bool list;
		struct str addr;
	} dest[PDU_DESTS];
};

struct sim_codec {
	const char *name;
	/* p[0…n) is one whole PDU. 0, or the ESME_ status with which to refuse it; id and seq are
	 * always set. */
	uint32_t (*decode)(struct sim_pdu *pdu_r, const uint8_t *p, size_t n);
	void (*encode)(struct buf *out, const struct sim_pdu *pdu);
};
extern const struct sim_codec sim_codec_fast, sim_codec_lib;

/* What the lib codec had to leave to the fast one, and where the two read one PDU differently. */
extern uint64_t sim_lib_decoded, sim_lib_encoded, sim_lib_left, sim_lib_disagreed;

const struct sim_codec *sim_codec_named(struct str name); /* NULL: no such codec */
/* Length of the PDU at p: 0 when more bytes are needed, -1 when the stream is lost. */
long sim_pdu_frame(const char *p, size_t n);
/* The first TLV of that tag; p is NULL when there is none. */
struct str sim_pdu_tlv(const struct sim_pdu *pdu, uint16_t tag);
void sim_pdu_add(struct sim_pdu *pdu, uint16_t tag, struct str v);
struct str sim_pdu_text(const struct sim_pdu *pdu); /* short_message or message_payload */
bool sim_pdu_known(uint32_t id);
const char *sim_status_name(uint32_t status);
const char *sim_command_name(uint32_t id);
/* Name of the first field in which two PDUs differ; NULL: none. */
const char *sim_pdu_differ(const struct sim_pdu *a, const struct sim_pdu *b);

#endif
