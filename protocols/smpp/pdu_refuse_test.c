/* What the codec refuses, and with which status: every field, every cut, frames, TLVs, limits. */
#include "protocols/smpp/pdu_fixture.h"

static const struct {
	uint32_t command;
	struct str body;
	unsigned flags;
	uint32_t status; /* 0: accepted */
	const char *fault;
} refusals[] = {

	{ SM, BODY("CMTABC\0" SRC DST TAIL), 0, ESME_RINVSERTYP, "service_type" },
	{ SM, BODY("CMTAB\0" SRC DST TAIL), 0, 0, NULL },
	{ SM,
		BODY("\0"
		     "\0\0" A20 "1\0" DST TAIL),
		0, ESME_RINVSRCADR, "source_addr" },
	{ SM,
		BODY("\0"
		     "\0\0" A20 "\0" DST TAIL),
		0, 0, NULL },
	{ SM, BODY("\0" SRC "\0\0" A20 "1\0" TAIL), 0, ESME_RINVDSTADR, "destination_addr" },
	{ SM, BODY("\0" SRC "\0\0" A20 "\0" TAIL), 0, 0, NULL },
	{ SM,
		BODY("\0" SRC DST "\0\0\0" T16 "0\0"
		     "\0\0\0\0\0\0"),
		0, ESME_RINVSCHED, "schedule_delivery_time" },
	{ SM,
		BODY("\0" SRC DST "\0\0\0"
		     "20261122093000000000\0"
		     "\0\0\0\0\0\0"),
		0, ESME_RINVSCHED, "schedule_delivery_time" },
	{ SM,
		BODY("\0" SRC DST "\0\0\0"
		     "\0" T16 "0\0"
		     "\0\0\0\0\0"),
		0, ESME_RINVEXPIRY, "validity_period" },
	{ SM,
		BODY("\0" SRC DST "\0\0\x04"
		     "\0\0\0\0\0\0\0"),
		0, ESME_RINVPRTFLG, "priority_flag" },
	{ SM,
		BODY("\0" SRC DST "\0\0\x04"
		     "\0\0\0\0\0\0\0"),
		PDU_V50, 0, NULL },
	{ SM,
		BODY("\0" SRC DST "\0\0\x05"
		     "\0\0\0\0\0\0\0"),
		PDU_V50, ESME_RINVPRTFLG, "priority_flag" },
	{ SM,
		BODY("\0" SRC DST "\0\0\x09"
		     "\0\0\0\0\0\0\0"),
		PDU_LENIENT, 0, NULL },
	{ SM, BODY("\0" SRC DST "\0\0\0\0\0\0\x02\0\0\0"), 0, ESME_RINVREPFLAG,
		"replace_if_present_flag" },
	{ SM, BODY("\0" SRC DST "\0\0\0\0\0\0\0\0\0\x06hello"), 0, ESME_RINVMSGLEN,
		"short_message" },
	{ SM, BODY("\0" SRC DST "\0\0\0\0\0\0\0\0\0"), 0, ESME_RINVCMDLEN, "sm_length" },
	{ SM, BODY("\0" SRC DST "\0\0"), 0, ESME_RINVCMDLEN, "esm_class" },
	{ SM, BODY("\0" SRC "\x01"), 0, ESME_RINVCMDLEN, "destination_addr" },
	{ SM,
		BODY("\0" SRC "\x01\x01"
		     "4670"),
		0, ESME_RINVDSTADR, "destination_addr" },
	{ SM, STR_NONE, 0, ESME_RINVSERTYP, "service_type" },
	/* TLVs: stray octets, overrun, known tags of wrong length, both texts. */
	{ SM, BODY("\0" SRC DST TAIL "\x04"), 0, ESME_RINVTLVSTREAM, "TLVs" },
	{ SM, BODY("\0" SRC DST TAIL "\x04\x24\0"), 0, ESME_RINVTLVSTREAM, "TLVs" },
	{ SM, BODY("\0" SRC DST TAIL "\x04\x24\0\x02x"), 0, ESME_RINVTLVSTREAM, "TLVs" },
	{ SM, BODY("\0" SRC DST TAIL "\x04\x24\0\x02x"), PDU_LENIENT, ESME_RINVTLVSTREAM, "TLVs" },
	{ SM, BODY("\0" SRC DST TAIL "\xff\xff\xff\xff"), 0, ESME_RINVTLVSTREAM, "TLVs" },
	{ SM, BODY("\0" SRC DST TAIL "\x02\x0d\0\x02\x01\x01"), 0, ESME_RINVPARLEN,
		"language_indicator" },
	{ SM, BODY("\0" SRC DST TAIL "\x02\x0d\0\x02\x01\x01"), PDU_LENIENT, 0, NULL },
	{ SM, BODY("\0" SRC DST TAIL "\x02\x0d\0\0"), 0, ESME_RINVPARLEN, "language_indicator" },
	{ SM, BODY("\0" SRC DST TAIL "\x02\x0c\0\x01\x01"), 0, ESME_RINVPARLEN, "sar_msg_ref_num" },
	{ SM, BODY("\0" SRC DST TAIL "\x13\x0c\0\0"), 0, 0, NULL },
	{ SM, BODY("\0" SRC DST TAIL "\x13\x0c\0\x01\x01"), 0, 0, NULL },
	{ SM,
		BODY("\0" SRC DST TAIL "\0\0\0\0"
		     "\x99\x99\0\x01z"
		     "\xff\xff\0\0"),
		0, 0, NULL },
	{ SM, BODY(SUBMIT "\x04\x24\0\x02xy"), 0, ESME_RINVMSGLEN, "message_payload" },
	{ SM, BODY(SUBMIT "\x04\x24\0\x02xy"), PDU_LENIENT, 0, NULL },
	{ SM, BODY(SUBMIT "\x04\x24\0\0"), 0, 0, NULL },
	/* The same faults of others. */
	{ SMPP_DATA_SM,
		BODY("\0"
		     "\0\0" ID64 "1\0"),
		0, ESME_RINVSRCADR, "source_addr" },
	{ SMPP_DATA_SM, BODY("\0" SRC "\0\0" ID64 "1\0"), 0, ESME_RINVDSTADR, "destination_addr" },
	{ SMPP_DATA_SM, BODY("\0" SRC DST "\0\0"), 0, ESME_RINVCMDLEN, "esm_class" },
	{ SMPP_DELIVER_SM, BODY("CMTABC\0"), 0, ESME_RINVSERTYP, "service_type" },
	{ SMPP_DELIVER_SM,
		BODY("\0" SRC DST "\0\0\x09"
		     "\0\0\0\x09\0\0\0"),
		0, 0, NULL },
	{ SMPP_QUERY_SM, BODY(ID64 "1\0" SRC), 0, ESME_RINVMSGID, "message_id" },
	{ SMPP_QUERY_SM, BODY(ID64 "\0" SRC), 0, 0, NULL },
	{ SMPP_QUERY_SM,
		BODY("1\0"
		     "\0\0" A20 "1\0"),
		0, ESME_RINVSRCADR, "source_addr" },
	{ SMPP_CANCEL_SM, BODY("CMTABC\0"), 0, ESME_RINVSERTYP, "service_type" },
	{ SMPP_CANCEL_SM, BODY("\0" ID64 "1\0"), 0, ESME_RINVMSGID, "message_id" },
	{ SMPP_CANCEL_SM,
		BODY("\0"
		     "1\0" SRC "\0\0" A20 "1\0"),
		0, ESME_RINVDSTADR, "destination_addr" },
	{ SMPP_REPLACE_SM, BODY(ID64 "1\0"), 0, ESME_RINVMSGID, "message_id" },
	{ SMPP_REPLACE_SM, BODY("1\0" SRC T16 "1\0"), 0, ESME_RINVSCHED, "schedule_delivery_time" },
	{ SMPP_REPLACE_SM, BODY("1\0" SRC "\0" T16 "1\0"), 0, ESME_RINVEXPIRY, "validity_period" },
	{ SMPP_REPLACE_SM, BODY("1\0" SRC "\0\0\0\0\x02x"), 0, ESME_RINVMSGLEN, "short_message" },
	{ SMPP_SUBMIT_MULTI, BODY("\0" SRC "\0" TAIL), 0, ESME_RINVNUMDESTS, "number_of_dests" },
	{ SMPP_SUBMIT_MULTI, BODY("\0" SRC "\xff" TAIL), 0, ESME_RINVNUMDESTS, "number_of_dests" },
	{ SMPP_SUBMIT_MULTI,
		BODY("\0" SRC "\x02"
		     "\x01\x01\x01"
		     "461\0"),
		0, ESME_RINVNUMDESTS, "number_of_dests" },
	{ SMPP_SUBMIT_MULTI,
		BODY("\0" SRC "\x01"
		     "\x03\x01\x01"
		     "461\0" TAIL),
		0, ESME_RINVDESTFLAG, "dest_flag" },
	{ SMPP_SUBMIT_MULTI,
		BODY("\0" SRC "\x01"
		     "\x01\x01\x01" A20 "1\0" TAIL),
		0, ESME_RINVDSTADR, "destination_addr" },
	{ SMPP_SUBMIT_MULTI,
		BODY("\0" SRC "\x01"
		     "\x02" A20 "1\0" TAIL),
		0, ESME_RINVDLNAME, "dl_name" },
	{ SMPP_ALERT_NOTIFICATION, BODY("\0\0" ID64 "1\0"), 0, ESME_RINVSRCADR, "source_addr" },
	/* Binds. */
	{ BIND,
		BODY("0123456789abcdef\0"
		     "p\0\0\x34\0\0\0"),
		0, ESME_RINVSYSID, "system_id" },
	{ BIND,
		BODY("0123456789abcde\0"
		     "p\0\0\x34\0\0\0"),
		0, 0, NULL },
	{ BIND, BODY(ID64 "\0" ID64 "\0\0\x34\0\0\0"), PDU_LONG_NAMES, 0, NULL },
	{ BIND,
		BODY(ID64 "1\0"
			  "p\0\0\x34\0\0\0"),
		PDU_LONG_NAMES, ESME_RINVSYSID, "system_id" },
	{ BIND, BODY("a\0" ID64 "1\0\0\x34\0\0\0"), PDU_LONG_NAMES, ESME_RINVPASWD, "password" },
	{ BIND,
		BODY("a\0"
		     "123456789\0\0\x34\0\0\0"),
		0, ESME_RINVPASWD, "password" },
	{ BIND,
		BODY("a\0"
		     "12345678\0\0\x34\0\0\0"),
		0, 0, NULL },
	{ BIND,
		BODY("a\0b\0"
		     "0123456789abc\0\x34\0\0\0"),
		0, ESME_RINVSYSTYP, "system_type" },
	{ BIND, BODY("a\0b\0\0\x34\0\0" A20 A20 "1\0"), 0, ESME_RBINDFAIL, "address_range" },
	{ BIND, BODY("a\0b\0\0\x34\0\0" A20 A20 "\0"), 0, 0, NULL },
	{ BIND, BODY("a\0b\0\0\x34\0"), 0, ESME_RINVCMDLEN, "interface_version" },
	{ SMPP_OUTBIND, BODY("a\0"), 0, ESME_RINVPASWD, "password" },
	/* Not ours. */
	{ 0x00000000, STR_NONE, 0, ESME_RINVCMDID, "command_id" },
	{ 0x0000000a, BODY("xyz"), 0, ESME_RINVCMDID, "command_id" },
	{ SMPP_BROADCAST_SM, STR_NONE, 0, ESME_RINVCMDID, "command_id" },
	{ 0x80000077, STR_NONE, 0, ESME_RINVCMDID, "command_id" },
};

static void refused(void **state)
{
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		struct str whole = pdu_make(refusals[i].command, 7, 0xfffffffe, refusals[i].body);
		struct pdu p;
		uint32_t status = 99;
		char *home;
		int rc = decode_exact(&p, &home, whole, refusals[i].flags, &status);

		if (status != refusals[i].status || rc != (refusals[i].status ? -1 : 0))
			fail_msg("row %zu: %s, want %s", i, smpp_status_name(status),
				smpp_status_name(refusals[i].status));
		assert_int_equal(p.command, refusals[i].command);
		assert_int_equal(p.sequence, 0xfffffffe);
		if (refusals[i].fault) {
			assert_non_null(p.fault);
			assert_string_equal(p.fault, refusals[i].fault);
		} else {
			assert_null(p.fault);
		}
		free(home);
	}
}

/* Every PDU cut at every octet: never a read past the end; a request is refused unless the cut
 * took whole TLVs, a response is always read. */
static void truncated(void **state)
{
	static const struct {
		uint32_t command;
		struct str body;
		size_t fixed; /* shortest body that is whole; 0: any */
	} all[] = {
		{ SMPP_SUBMIT_SM, BODY(SUBMIT), sizeof SUBMIT - 1 },
		{ SMPP_DELIVER_SM, BODY(SUBMIT), sizeof SUBMIT - 1 },
		{ SMPP_SUBMIT_MULTI, BODY("\0" SRC "\x01\x02list\0" REST "\0"),
			sizeof("\0" SRC "\x01\x02list\0" REST "\0") - 1 },
		{ SMPP_DATA_SM, BODY("\0" SRC DST "\0\0\0"), sizeof("\0" SRC DST "\0\0\0") - 1 },
		{ SMPP_QUERY_SM, BODY("1\0" SRC), sizeof("1\0" SRC) - 1 },
		{ SMPP_CANCEL_SM,
			BODY("\0"
			     "1\0" SRC DST),
			sizeof("\0"
			       "1\0" SRC DST) -
				1 },
		{ SMPP_REPLACE_SM, BODY("1\0" SRC "\0\0\0\0\x01x"),
			sizeof("1\0" SRC "\0\0\0\0\x01x") - 1 },
		{ SMPP_ALERT_NOTIFICATION, BODY(SRC DST), sizeof(SRC DST) - 1 },
		{ SMPP_BIND_RECEIVER, BODY("a\0b\0c\0\x34\0\0d\0"),
			sizeof "a\0b\0c\0\x34\0\0d\0" - 1 },
		{ SMPP_OUTBIND, BODY("a\0b\0"), 4 },
		{ SMPP_SUBMIT_SM | SMPP_RESP,
			BODY("1\0"
			     "\x04\x25\0\x01\x02"),
			0 },
		{ SMPP_QUERY_SM | SMPP_RESP, BODY("1\0" T16 "\0\x02\x01"), 0 },
		{ SMPP_SUBMIT_MULTI | SMPP_RESP,
			BODY("1\0\x01\x01\x01"
			     "461\0\0\0\0\x0b"),
			0 },
		{ SMPP_BIND_RECEIVER | SMPP_RESP, BODY("a\0\x02\x10\0\x01\x34"), 0 },
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		for (size_t n = 0; n <= all[i].body.n; n++) {
			struct str whole = pdu_make(all[i].command, 0, 1, str_n(all[i].body.p, n));
			struct pdu p;
			uint32_t status;
			char *home;
			int rc = decode_exact(&p, &home, whole, 0, &status);

			assert_int_equal(rc, n < all[i].fixed ? -1 : 0);
			assert_int_equal(rc, status ? -1 : 0);
			free(home);
		}
	}
}

static void frames(void **state)
{
	size_t n = 0;
	struct pdu p;
	uint32_t status;
	struct str whole = pdu_make(SMPP_ENQUIRE_LINK, 0, 42, STR_NONE);

	assert_int_equal(pdu_peek(str_n("\0\0\0", 3), PDU_CAP, &n), 0);
	assert_int_equal(pdu_peek(BODY("\0\0\0\x0f"), PDU_CAP, &n), -1);
	assert_int_equal(pdu_peek(BODY("\0\0\0\0"), PDU_CAP, &n), -1);
	assert_int_equal(pdu_peek(BODY("\xff\xff\xff\xff"), PDU_CAP, &n), -1);
	assert_int_equal(pdu_peek(BODY("\0\0\0\x10"), PDU_CAP, &n), 1);
	assert_int_equal(n, 16);
	assert_int_equal(pdu_peek(BODY("\0\0\x04\0"), PDU_CAP_UNBOUND, &n), 1);
	assert_int_equal(n, 1024);
	assert_int_equal(pdu_peek(BODY("\0\0\x04\x01"), PDU_CAP_UNBOUND, &n), -1);
	assert_int_equal(pdu_peek_sequence(whole), 42);
	assert_int_equal(pdu_peek_sequence(str_n(whole.p, 15)), 0);
	/* Bytes that are not the PDU that their length says. */
	assert_int_equal(pdu_decode(&p, str_n(whole.p, 12), 0, &status), -1);
	assert_int_equal(status, ESME_RINVCMDLEN);
	bytes.p[3] = 17;
	assert_int_equal(pdu_decode(&p, whole, 0, &status), -1);
	assert_int_equal(status, ESME_RINVCMDLEN);
	assert_int_equal(p.sequence, 42);
}

static void tlvs(void **state)
{
	struct pdu p;
	struct str rest, s;
	struct tlv t;
	uint8_t v8 = 9;
	uint16_t v16 = 9, tag;
	uint32_t v32 = 9;

	ok(&p, SM, 0,
		BODY("\0" SRC DST TAIL "\x14\x01\0\x01"
		     "a"
		     "\x14\x02\0\x01"
		     "b"
		     "\x14\x01\0\x01"
		     "c"
		     "\0\x17\0\x04\x01\x02\x03\x04"
		     "\x02\x0c\0\x02\xab\xcd"
		     "\x02\x0e\0\x01\x03"
		     "\0\x1e\0\x05"
		     "12\0xy"
		     "\x04\x24\0\0"));
	rest = p.tlvs;
	assert_true(tlv_next(&rest, &t));
	assert_int_equal(t.tag, 0x1401);
	assert_str(t.value, "a");
	assert_true(tlv_next(&rest, &t));
	assert_int_equal(t.tag, 0x1402);
	assert_true(tlv_next(&rest, &t));
	assert_str(t.value, "c");
	/* Of doubles the first. */
	assert_true(pdu_tlv(&p, 0x1401, &s));
	assert_str(s, "a");
	assert_true(pdu_tlv_doubled(&p, &tag));
	assert_int_equal(tag, 0x1401);
	assert_true(pdu_tlv_u32(&p, TLV_QOS_TIME_TO_LIVE, &v32));
	assert_int_equal(v32, 0x01020304);
	assert_true(pdu_tlv_u16(&p, TLV_SAR_MSG_REF_NUM, &v16));
	assert_int_equal(v16, 0xabcd);
	assert_true(pdu_tlv_u8(&p, TLV_SAR_TOTAL_SEGMENTS, &v8));
	assert_int_equal(v8, 3);
	assert_true(pdu_tlv_cstr(&p, TLV_RECEIPTED_MESSAGE_ID, &s));
	assert_str(s, "12");
	assert_true(pdu_tlv_cstr(&p, 0x1402, &s));
	assert_str(s, "b");
	/* Absent, and of another length. */
	assert_false(pdu_tlv_u8(&p, TLV_SAR_SEGMENT_SEQNUM, &v8));
	assert_false(pdu_tlv_u8(&p, TLV_SAR_MSG_REF_NUM, &v8));
	assert_false(pdu_tlv_u16(&p, TLV_SAR_TOTAL_SEGMENTS, &v16));
	assert_false(pdu_tlv_u32(&p, TLV_SAR_TOTAL_SEGMENTS, &v32));
	assert_false(pdu_tlv(&p, 0x1403, &s));
	assert_int_equal(s.n, 0);
	same_again(&p);

	ok(&p, SM, 0,
		BODY("\0" SRC DST TAIL "\x14\x01\0\x01"
		     "a"));
	assert_false(pdu_tlv_doubled(&p, &tag));
	assert_str(pdu_text(&p), "");
	/* An empty payload does not hide the short message. */
	ok(&p, SM, 0, BODY(SUBMIT "\x04\x24\0\0"));
	assert_int_equal(pdu_text(&p).n, 5);
}

static void large_payload(void **state)
{
	struct buf tlv = BUF_INIT;
	char *text = malloc(65535);
	struct pdu p;
	uint32_t status;
	size_t n;

	memset(text, 'x', 65535);
	pdu_put_tlv(&tlv, TLV_MESSAGE_PAYLOAD, str_n(text, 65535));
	buf_reset(&bytes);
	assert_int_equal(pdu_put_submit_sm(&bytes, 9,
				 &(struct pdu_sm){ .dest = { 1, 1, STR("46") } }, buf_view(&tlv)),
		ESME_ROK);
	assert_int_equal(pdu_peek(buf_view(&bytes), PDU_CAP, &n), 1);
	assert_int_equal(n, bytes.n);
	assert_int_equal(pdu_decode(&p, buf_view(&bytes), 0, &status), 0);
	assert_int_equal(pdu_text(&p).n, 65535);
	assert_str(p.sm.dest.addr, "46");
	buf_free(&tlv);
	free(text);
}

static void short_message_limits(void **state)
{
	char text[256] = { 0 };
	struct pdu p;
	uint32_t status;
	struct buf body = BUF_INIT;

	for (size_t n = 253; n <= 255; n++) {
		struct pdu_sm sm = { .short_message = str_n(text, n) };

		buf_reset(&bytes);
		assert_int_equal(pdu_put_submit_sm(&bytes, 1, &sm, STR_NONE),
			n <= 254 ? ESME_ROK : ESME_RINVMSGLEN);
		assert_int_equal(bytes.n, n <= 254 ? 16 + 17 + n : 0);
		buf_reset(&body);
		buf_str(&body, BODY("\0" SRC DST "\0\0\0\0\0\0\0\0\0"));
		buf_u8(&body, (uint8_t)n);
		buf_add(&body, text, n);
		pdu_make(SM, 0, 1, buf_view(&body));
		assert_int_equal(pdu_decode(&p, buf_view(&bytes), 0, &status), n <= 254 ? 0 : -1);
		assert_int_equal(status, n <= 254 ? ESME_ROK : ESME_RINVMSGLEN);
		assert_int_equal(pdu_decode(&p, buf_view(&bytes), PDU_V50, &status), 0);
		assert_int_equal(p.sm.short_message.n, n);
	}
	buf_free(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),
		cmocka_unit_test(truncated),
		cmocka_unit_test(frames),
		cmocka_unit_test(tlvs),
		cmocka_unit_test(large_payload),
		cmocka_unit_test(short_message_limits),
	};

	return cmocka_run_group_tests(tests, NULL, finish);
}
