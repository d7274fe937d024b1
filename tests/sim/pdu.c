/* What both codecs share: framing, names, and the comparison that holds one against the other. */
#include "tests/sim/pdu.h"

const struct sim_codec *sim_codec_named(struct str name)
{
	return str_is(name, "fast") ? &sim_codec_fast : str_is(name, "lib") ? &sim_codec_lib : NULL;
}

long sim_pdu_frame(const char *p, size_t n)
{
	if (n < 4)
		return 0;
	uint32_t len = be32(p);
	if (len < PDU_HEADER || len > PDU_MOST)
		return -1;
	return len <= n ? (long)len : 0;
}

struct str sim_pdu_tlv(const struct sim_pdu *pdu, uint16_t tag)
{
	for (unsigned i = 0; i < pdu->tlv_n; i++)
		if (pdu->tlv[i].tag == tag)
			return pdu->tlv[i].v;
	return (struct str){ NULL, 0 };
}

void sim_pdu_add(struct sim_pdu *pdu, uint16_t tag, struct str v)
{
	CHECK(pdu->tlv_n < PDU_TLVS);
	pdu->tlv[pdu->tlv_n++] = (struct sim_tlv){ tag, v };
}

struct str sim_pdu_text(const struct sim_pdu *pdu)
{
	struct str payload = sim_pdu_tlv(pdu, T_PAYLOAD);
	return pdu->text.n || !payload.p ? pdu->text : payload;
}

static const struct {
	uint32_t id;
	const char *name;
} commands[] = { { P_BIND_RX, "bind_receiver" }, { P_BIND_TX, "bind_transmitter" },
	{ P_QUERY_SM, "query_sm" }, { P_SUBMIT_SM, "submit_sm" }, { P_DELIVER_SM, "deliver_sm" },
	{ P_UNBIND, "unbind" }, { P_REPLACE_SM, "replace_sm" }, { P_CANCEL_SM, "cancel_sm" },
	{ P_BIND_TRX, "bind_transceiver" }, { P_OUTBIND, "outbind" },
	{ P_ENQUIRE_LINK, "enquire_link" }, { P_SUBMIT_MULTI, "submit_multi" },
	{ P_ALERT, "alert_notification" }, { P_DATA_SM, "data_sm" } };

const char *sim_command_name(uint32_t id)
{
	if (id == P_GENERIC_NACK)
		return "generic_nack";
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if ((id & ~P_RESP) == commands[i].id)
			return commands[i].name;
	return "unknown";
}

bool sim_pdu_known(uint32_t id)
{
	return !str_is(str_of(sim_command_name(id)), "unknown");
}

static const struct {
	uint32_t status;
	const char *name;
} statuses[] = { { 0x00, "ESME_ROK" }, { 0x01, "ESME_RINVMSGLEN" }, { 0x02, "ESME_RINVCMDLEN" },
	{ 0x03, "ESME_RINVCMDID" }, { 0x04, "ESME_RINVBNDSTS" }, { 0x05, "ESME_RALYBND" },
	{ 0x06, "ESME_RINVPRTFLG" }, { 0x07, "ESME_RINVREGDLVFLG" }, { 0x08, "ESME_RSYSERR" },
	{ 0x0A, "ESME_RINVSRCADR" }, { 0x0B, "ESME_RINVDSTADR" }, { 0x0C, "ESME_RINVMSGID" },
	{ 0x0D, "ESME_RBINDFAIL" }, { 0x0E, "ESME_RINVPASWD" }, { 0x0F, "ESME_RINVSYSID" },
	{ 0x11, "ESME_RCANCELFAIL" }, { 0x13, "ESME_RREPLACEFAIL" }, { 0x14, "ESME_RMSGQFUL" },
	{ 0x15, "ESME_RINVSERTYP" }, { 0x33, "ESME_RINVNUMDESTS" }, { 0x34, "ESME_RINVDLNAME" },
	{ 0x40, "ESME_RINVDESTFLAG" }, { 0x42, "ESME_RINVSUBREP" }, { 0x43, "ESME_RINVESMCLASS" },
	{ 0x44, "ESME_RCNTSUBDL" }, { 0x45, "ESME_RSUBMITFAIL" }, { 0x48, "ESME_RINVSRCTON" },
	{ 0x49, "ESME_RINVSRCNPI" }, { 0x50, "ESME_RINVDSTTON" }, { 0x51, "ESME_RINVDSTNPI" },
	{ 0x53, "ESME_RINVSYSTYP" }, { 0x54, "ESME_RINVREPFLAG" }, { 0x58, "ESME_RTHROTTLED" },
	{ 0x61, "ESME_RINVSCHED" }, { 0x62, "ESME_RINVEXPIRY" }, { 0x63, "ESME_RINVDFTMSGID" },
	{ 0x64, "ESME_RX_T_APPN" }, { 0x65, "ESME_RX_P_APPN" }, { 0x66, "ESME_RX_R_APPN" },
	{ 0x67, "ESME_RQUERYFAIL" }, { 0xC0, "ESME_RINVTLVSTREAM" }, { 0xC1, "ESME_RTLVNOTALLWD" },
	{ 0xC2, "ESME_RINVTLVLEN" }, { 0xC3, "ESME_RMISSINGTLV" }, { 0xC4, "ESME_RINVTLVVAL" },
	{ 0xFE, "ESME_RDELIVERYFAILURE" }, { 0xFF, "ESME_RUNKNOWNERR" } };

const char *sim_status_name(uint32_t status)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status)
			return statuses[i].name;
	return "other";
}

const char *sim_pdu_differ(const struct sim_pdu *a, const struct sim_pdu *b)
{
#define SAME(field)               \
	if (a->field != b->field) \
	return #field
#define EQUAL(field)                     \
	if (!str_eq(a->field, b->field)) \
	return #field
	SAME(id);
	SAME(status);
	SAME(seq);
	SAME(src_ton);
	SAME(src_npi);
	SAME(dst_ton);
	SAME(dst_npi);
	SAME(esm_class);
	SAME(protocol_id);
	SAME(priority);
	SAME(registered);
	SAME(replace);
	SAME(coding);
	SAME(default_id);
	SAME(version);
	SAME(addr_ton);
	SAME(addr_npi);
	SAME(state);
	SAME(error);
	SAME(dest_n);
	SAME(failed_n);
	SAME(no_body);
	EQUAL(service_type);
	EQUAL(src);
	EQUAL(dst);
	EQUAL(schedule);
	EQUAL(validity);
	EQUAL(text);
	EQUAL(system_id);
	EQUAL(password);
	EQUAL(system_type);
	EQUAL(range);
	EQUAL(message_id);
	EQUAL(final_date);
	SAME(tlv_n);
#undef SAME
#undef EQUAL
	for (unsigned i = 0; i < a->tlv_n; i++)
		if (a->tlv[i].tag != b->tlv[i].tag || !str_eq(a->tlv[i].v, b->tlv[i].v))
			return "tlv";
	for (unsigned i = 0; i < a->dest_n; i++)
		if (a->dest[i].list != b->dest[i].list || a->dest[i].ton != b->dest[i].ton ||
			a->dest[i].npi != b->dest[i].npi ||
			!str_eq(a->dest[i].addr, b->dest[i].addr))
			return "dest";
	return NULL;
}
