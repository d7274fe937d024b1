/* The codec's writers and what they refuse; names of commands, statuses and tags; its speed. */
#include "protocols/smpp/pdu_fixture.h"

static void writers(void **state)
{
	struct buf b = BUF_INIT;
	struct pdu p;

#define WROTE(lit)                                      \
	do {                                            \
		assert_int_equal(b.n, sizeof(lit) - 1); \
		assert_memory_equal(b.p, lit, b.n);     \
		buf_reset(&b);                          \
	} while (0)

	pdu_put_header(&b, SMPP_ENQUIRE_LINK, 0, 7);
	WROTE("\0\0\0\x10\0\0\0\x15\0\0\0\0\0\0\0\x07");
	pdu_put_nack(&b, 0, ESME_RINVCMDLEN);
	WROTE("\0\0\0\x10\x80\0\0\0\0\0\0\x02\0\0\0\0");
	assert_int_equal(pdu_put_resp(&b, SM, 0, 7, STR("42")), 0);
	WROTE("\0\0\0\x13\x80\0\0\x04\0\0\0\0\0\0\0\x07"
	      "42\0");
	/* With an error the header alone; deliver_sm_resp one NUL whatever the id. */
	assert_int_equal(pdu_put_resp(&b, SM, ESME_RTHROTTLED, 7, STR("42")), 0);
	WROTE("\0\0\0\x10\x80\0\0\x04\0\0\0\x58\0\0\0\x07");
	assert_int_equal(pdu_put_resp(&b, SMPP_DELIVER_SM, 0, 7, STR("42")), 0);
	WROTE("\0\0\0\x11\x80\0\0\x05\0\0\0\0\0\0\0\x07\0");
	assert_int_equal(pdu_put_resp(&b, SMPP_DELIVER_SM | SMPP_RESP, 0x64, 7, STR_NONE), 0);
	WROTE("\0\0\0\x10\x80\0\0\x05\0\0\0\x64\0\0\0\x07");
	assert_int_equal(pdu_put_resp(&b, SMPP_SUBMIT_MULTI, 0, 7, STR("42")), 0);
	WROTE("\0\0\0\x14\x80\0\0\x21\0\0\0\0\0\0\0\x07"
	      "42\0\0");
	assert_int_equal(pdu_put_resp(&b, SMPP_UNBIND, 0, 7, STR_NONE), 0);
	WROTE("\0\0\0\x10\x80\0\0\x06\0\0\0\0\0\0\0\x07");
	assert_int_equal(pdu_put_bind_resp(&b, BIND, 1, STR("Postern"), 0x34), 0);
	WROTE("\0\0\0\x1d\x80\0\0\x09\0\0\0\0\0\0\0\x01Postern\0\x02\x10\0\x01\x34");
	assert_int_equal(pdu_put_bind_resp(&b, BIND, 1, STR("P"), 0), 0);
	WROTE("\0\0\0\x12\x80\0\0\x09\0\0\0\0\0\0\0\x01P\0");
	pdu_put_tlv_u16(&b, TLV_SAR_MSG_REF_NUM, 0x1234);
	pdu_put_tlv_u32(&b, TLV_QOS_TIME_TO_LIVE, 5);
	pdu_put_tlv_cstr(&b, TLV_RECEIPTED_MESSAGE_ID, STR("42"));
	WROTE("\x02\x0c\0\x02\x12\x34"
	      "\0\x17\0\x04\0\0\0\x05"
	      "\0\x1e\0\x03"
	      "42\0");

	/* Refusals, by what was asked. */
	p = (struct pdu){ .command = SM, .sequence = 7 };
	pdu_put_refusal(&b, &p, ESME_RINVDSTADR);
	WROTE("\0\0\0\x10\x80\0\0\x04\0\0\0\x0b\0\0\0\x07");
	p.command = 0x0a;
	pdu_put_refusal(&b, &p, ESME_RINVCMDID);
	WROTE("\0\0\0\x10\x80\0\0\0\0\0\0\x03\0\0\0\x07");
	p.command = SMPP_BROADCAST_SM;
	pdu_put_refusal(&b, &p, ESME_RINVCMDID);
	WROTE("\0\0\0\x10\x80\0\0\0\0\0\0\x03\0\0\0\x07");
	p.command = 0x80000077; /* never: nack loops */
	pdu_put_refusal(&b, &p, ESME_RINVCMDID);
	p.command = SMPP_GENERIC_NACK;
	pdu_put_refusal(&b, &p, ESME_RINVCMDID);
	p.command = SMPP_OUTBIND;
	pdu_put_refusal(&b, &p, ESME_RINVSYSID);
	p.command = SMPP_ALERT_NOTIFICATION;
	pdu_put_refusal(&b, &p, ESME_RINVSRCADR);
	assert_int_equal(b.n, 0);
	buf_free(&b);
}

static void writers_refuse(void **state)
{
	const struct str long21 = STR(A20 "1"),
			 nul = BODY("4\0"
				    "6"),
			 id65 = STR(ID64 "0");
	const struct {
		uint32_t command, status;
		struct pdu_sm sm;
	} table[] = {
		{ SM, ESME_RINVSERTYP, { .service_type = STR("CMTABC") } },
		{ SM, ESME_RINVSRCADR, { .source.addr = long21 } },
		{ SM, ESME_RINVSRCADR, { .source.addr = nul } },
		{ SM, ESME_RINVDSTADR, { .dest.addr = long21 } },
		{ SM, ESME_RINVDSTADR, { .dest.addr = nul } },
		{ SM, ESME_RINVSCHED, { .schedule = STR(T16 "0") } },
		{ SM, ESME_RINVEXPIRY, { .validity = STR(T16 "0") } },
		{ SMPP_DATA_SM, ESME_RINVDSTADR, { .dest.addr = id65 } },
		{ SMPP_DATA_SM, ESME_ROK, { .dest.addr = long21 } },
		{ SMPP_QUERY_SM, ESME_RINVMSGID, { .message_id = id65 } },
		{ SMPP_SUBMIT_MULTI, ESME_RINVNUMDESTS, { .dest_count = 0 } },
		{ SMPP_SUBMIT_MULTI, ESME_RINVNUMDESTS,
			{ .dest_count = 2, .dests = BODY("\x02l\0") } },
		{ SMPP_SUBMIT_MULTI, ESME_RINVNUMDESTS,
			{ .dest_count = 1, .dests = BODY("\x02l\0\x02m\0") } },
		{ SMPP_SUBMIT_MULTI, ESME_ROK, { .dest_count = 1, .dests = BODY("\x02l\0") } },
	};
	const struct {
		uint32_t status;
		struct pdu_bind bind;
	} binds_[] = {
		{ ESME_RINVSYSID, { .system_id = id65 } },
		{ ESME_RINVPASWD, { .password = id65 } },
		{ ESME_RINVPASWD, { .password = nul } },
		{ ESME_RINVSYSTYP, { .system_type = STR("0123456789abc") } },
		{ ESME_RBINDFAIL, { .address_range = STR(A20 A20 "1") } },
	};
	struct buf b = BUF_INIT;

	buf_c(&b, "before");
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct pdu p = { .command = table[i].command, .sm = table[i].sm };

		assert_int_equal(pdu_encode(&b, &p), table[i].status);
		if (table[i].status)
			assert_int_equal(b.n, 6);
		b.n = 6;
	}
	for (size_t i = 0; i < sizeof binds_ / sizeof *binds_; i++) {
		assert_int_equal(pdu_put_bind(&b, BIND, 1, &binds_[i].bind), binds_[i].status);
		assert_int_equal(b.n, 6);
	}
	assert_int_equal(pdu_put_resp(&b, SM, 0, 1, id65), ESME_RINVMSGID);
	assert_int_equal(b.n, 6);
	buf_free(&b);
}

static void names(void **state)
{
	uint32_t v;
	uint16_t tag;
	struct buf b = BUF_INIT;

	assert_string_equal(smpp_command_name(SM), "submit_sm");
	assert_string_equal(smpp_command_name(0x80000004), "submit_sm_resp");
	assert_string_equal(smpp_command_name(SMPP_GENERIC_NACK), "generic_nack");
	assert_string_equal(smpp_command_name(0x8000000b), "unknown"); /* outbind has none */
	assert_string_equal(smpp_command_name(0x113), "cancel_broadcast_sm");
	assert_string_equal(smpp_command_name(0x42), "unknown");
	assert_true(smpp_command_by_name(STR("data_sm_resp"), &v));
	assert_int_equal(v, 0x80000103);
	assert_false(smpp_command_by_name(STR("outbind_resp"), &v));
	assert_int_equal(smpp_command_resp(SMPP_DATA_SM), 0x80000103);
	assert_int_equal(smpp_command_resp(SMPP_OUTBIND), 0);
	assert_int_equal(smpp_command_resp(0x80000004), 0);
	assert_int_equal(smpp_command_resp(0x42), SMPP_GENERIC_NACK);

	assert_string_equal(smpp_status_name(0x58), "ESME_RTHROTTLED");
	assert_string_equal(smpp_status_name(0xc0), "ESME_RINVTLVSTREAM");
	assert_string_equal(smpp_status_name(0x410), "ESME_vendor");
	assert_string_equal(smpp_status_name(0x500), "ESME_unknown");
	assert_string_equal(smpp_status_text(0x58), "message rate exceeded");
	smpp_status_put(&b, 0x58);
	assert_str(buf_view(&b), "ESME_RTHROTTLED (0x58)");
	assert_true(smpp_status_by_name(STR("ESME_RTHROTTLED"), &v) && v == 0x58);
	assert_true(smpp_status_by_name(STR("rthrottled"), &v) && v == 0x58);
	assert_true(smpp_status_by_name(STR("ESME_RINVPARLEN"), &v) && v == 0xc2);
	assert_true(smpp_status_by_name(STR("RINVOPTPARSTREAM"), &v) && v == 0xc0);
	assert_true(smpp_status_by_name(STR("0x410"), &v) && v == 0x410);
	assert_true(smpp_status_by_name(STR("88"), &v) && v == 88);
	assert_false(smpp_status_by_name(STR("0xzz"), &v));
	assert_false(smpp_status_by_name(STR("ESME_"), &v));
	assert_false(smpp_status_by_name(STR(""), &v));
	/* The numbers that public tables get wrong. */
	assert_int_equal(ESME_RINVDSTTON, 0x50);
	assert_int_equal(ESME_RINVDSTNPI, 0x51);
	assert_int_equal(ESME_RINVSERTYP, 0x15);
	assert_int_equal(ESME_RINVSYSTYP, 0x53);

	assert_int_equal(smpp_status_class(0), SMPP_CLASS_OK);
	assert_int_equal(smpp_status_class(0x58), SMPP_CLASS_THROTTLE);
	assert_int_equal(smpp_status_class(0x14), SMPP_CLASS_TEMPORARY);
	assert_int_equal(smpp_status_class(0x08), SMPP_CLASS_TEMPORARY);
	assert_int_equal(smpp_status_class(0x0b), SMPP_CLASS_PERMANENT);
	assert_int_equal(smpp_status_class(0x0e), SMPP_CLASS_BIND);
	assert_int_equal(smpp_status_class(0x4a), SMPP_CLASS_BUG);
	assert_int_equal(smpp_status_class(0x45), SMPP_CLASS_AMBIGUOUS);
	assert_int_equal(smpp_status_class(0x400), SMPP_CLASS_VENDOR);
	assert_int_equal(smpp_status_class(0xdead), SMPP_CLASS_VENDOR);
	assert_string_equal(smpp_class_name(SMPP_CLASS_VENDOR), "vendor");

	assert_string_equal(smpp_tag_name(0x0424), "message_payload");
	assert_string_equal(smpp_tag_name(0x0428), "congestion_state");
	assert_string_equal(smpp_tag_name(0x1502), "vendor");
	assert_string_equal(smpp_tag_name(0x9999), "unknown");
	assert_true(smpp_tag_by_name(STR("sar_msg_ref_num"), &tag) && tag == 0x020c);
	assert_true(smpp_tag_by_name(STR("0x1502"), &tag) && tag == 0x1502);
	assert_false(smpp_tag_by_name(STR("0x10000"), &tag));
	buf_free(&b);
}

/* Not a benchmark: a bound so wide (ten times what is measured) that only a mistake crosses it. */
static void fast_enough(void **state)
{
	enum { TURNS = 200000, BOUND_NS = 1500 };
	struct buf b = BUF_INIT, out = BUF_INIT;
	struct pdu p;
	uint32_t status = 0;
	char text[160];
	clock_t start;
	dur_t each;

	memset(text, 'x', sizeof text);
	ok(&p, SM, 0, BODY("\0" SRC DST TAIL "\x02\x04\0\x02\x01\x02"));
	p.sm.short_message = str_n(text, sizeof text);
	pdu_encode(&b, &p);
	start = clock();
	for (int i = 0; i < TURNS; i++) {
		status |= (uint32_t)pdu_decode(&p, buf_view(&b), 0, &status);
		buf_reset(&out);
		status |= pdu_encode(&out, &p);
	}
	each = (dur_t)(clock() - start) * (DUR_S / CLOCKS_PER_SEC) / TURNS; /* of the processor */
	assert_int_equal(status, 0);
	assert_true(str_eq(buf_view(&out), buf_view(&b)));
	print_message("decode and encode of a submit_sm: %lld ns\n", (long long)each);
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_true(each < BOUND_NS);
#endif
	buf_free(&out);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writers),
		cmocka_unit_test(writers_refuse),
		cmocka_unit_test(names),
		cmocka_unit_test(fast_enough),
	};

	return cmocka_run_group_tests(tests, NULL, finish);
}
