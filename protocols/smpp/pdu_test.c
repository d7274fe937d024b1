/* The codec against hand-made octets: every PDU field by field, all the bodies that responses come
 * with. */
#include "protocols/smpp/pdu_fixture.h"

static void submit_and_deliver(void **state)
{
	static const uint32_t commands[] = { SMPP_SUBMIT_SM, SMPP_DELIVER_SM };
	struct pdu p;

	for (size_t i = 0; i < 2; i++) {
		ok(&p, commands[i], 0, BODY(SUBMIT "\x14\x01\0\x02xy\x02\x04\0\x02\x01\x02"));
		assert_str(p.sm.service_type, "CMT");
		assert_addr(&p.sm.source, 5, 0, "Shop");
		assert_addr(&p.sm.dest, 1, 1, "46700000001");
		assert_int_equal(p.sm.esm_class, 0x40);
		assert_int_equal(p.sm.protocol_id, 0x41);
		assert_int_equal(p.sm.priority, 3);
		assert_str(p.sm.schedule, T16);
		assert_str(p.sm.validity, "000002000000000R");
		assert_int_equal(p.sm.registered, 0x11);
		assert_int_equal(p.sm.replace, 1);
		assert_int_equal(p.sm.data_coding, 8);
		assert_int_equal(p.sm.default_msg_id, 2);
		assert_int_equal(p.sm.short_message.n, 5);
		assert_memory_equal(p.sm.short_message.p, "he\0lo", 5);
		assert_int_equal(p.tlvs.n, 12);
		assert_int_equal(p.resp.message_id.n, 0);
		same_again(&p);
	}
}

static void submit_multi(void **state)
{
	struct pdu p;
	struct pdu_addr a;
	struct str rest;
	bool list;
	struct buf dests = BUF_INIT, out = BUF_INIT;

	ok(&p, SMPP_SUBMIT_MULTI, 0,
		BODY("\0" SRC "\x03\x01\x01\x01"
		     "461\0"
		     "\x02list\0"
		     "\x01\x02\x08"
		     "462\0" REST "\x02hi"));
	assert_int_equal(p.sm.dest_count, 3);
	rest = p.sm.dests;
	assert_true(pdu_dest_next(&rest, &a, &list));
	assert_false(list);
	assert_addr(&a, 1, 1, "461");
	pdu_put_dest(&dests, &a, list);
	assert_true(pdu_dest_next(&rest, &a, &list));
	assert_true(list);
	assert_addr(&a, 0, 0, "list");
	pdu_put_dest(&dests, &a, list);
	assert_true(pdu_dest_next(&rest, &a, &list));
	assert_false(list);
	assert_addr(&a, 2, 8, "462");
	pdu_put_dest(&dests, &a, list);
	assert_false(pdu_dest_next(&rest, &a, &list));
	assert_true(str_eq(buf_view(&dests), p.sm.dests));
	assert_str(p.sm.short_message, "hi");
	assert_int_equal(p.sm.registered, 0x11);
	same_again(&p);

	/* 254 destinations at their longest. */
	buf_reset(&dests);
	for (int i = 0; i < PDU_DESTS_MAX; i++)
		pdu_put_dest(&dests, &(struct pdu_addr){ 1, 1, STR(A20) }, false);
	p.sm.dests = buf_view(&dests);
	p.sm.dest_count = PDU_DESTS_MAX;
	assert_int_equal(pdu_encode(&out, &p), ESME_ROK);
	assert_int_equal(pdu_decode(&p, buf_view(&out), 0, &(uint32_t){ 0 }), 0);
	rest = p.sm.dests;
	for (int i = 0; i < PDU_DESTS_MAX; i++)
		assert_true(pdu_dest_next(&rest, &a, &list));
	assert_int_equal(rest.n, 0);
	assert_addr(&a, 1, 1, A20);
	buf_free(&out);
	buf_free(&dests);
}

static void other_messages(void **state)
{
	struct pdu p;

	ok(&p, SMPP_DATA_SM, 0,
		BODY("WAP\0" SRC DST "\x44\x01\x04"
		     "\x04\x24\0\x03pay"));
	assert_str(p.sm.service_type, "WAP");
	assert_addr(&p.sm.source, 5, 0, "Shop");
	assert_addr(&p.sm.dest, 1, 1, "46700000001");
	assert_int_equal(p.sm.esm_class, 0x44);
	assert_int_equal(p.sm.registered, 1);
	assert_int_equal(p.sm.data_coding, 4);
	assert_str(pdu_text(&p), "pay");
	same_again(&p);

	/* data_sm's addresses may have 64 octets (3.4 §4.7.1). */
	ok(&p, SMPP_DATA_SM, 0,
		BODY("\0"
		     "\x01\x01" ID64 "\0"
		     "\x01\x01" ID64 "\0"
		     "\0\0\0"));
	assert_str(p.sm.source.addr, ID64);
	same_again(&p);

	ok(&p, SMPP_QUERY_SM, 0, BODY("12345\0" SRC));
	assert_str(p.sm.message_id, "12345");
	assert_addr(&p.sm.source, 5, 0, "Shop");
	same_again(&p);

	ok(&p, SMPP_CANCEL_SM, 0,
		BODY("CMT\0"
		     "12345\0" SRC DST));
	assert_str(p.sm.service_type, "CMT");
	assert_str(p.sm.message_id, "12345");
	assert_addr(&p.sm.source, 5, 0, "Shop");
	assert_addr(&p.sm.dest, 1, 1, "46700000001");
	same_again(&p);

	ok(&p, SMPP_REPLACE_SM, 0,
		BODY("12345\0" SRC T16 "\0"
		     "000002000000000R\0"
		     "\x01\x07\x03new"));
	assert_str(p.sm.message_id, "12345");
	assert_addr(&p.sm.source, 5, 0, "Shop");
	assert_str(p.sm.schedule, T16);
	assert_str(p.sm.validity, "000002000000000R");
	assert_int_equal(p.sm.registered, 1);
	assert_int_equal(p.sm.default_msg_id, 7);
	assert_str(p.sm.short_message, "new");
	same_again(&p);

	ok(&p, SMPP_ALERT_NOTIFICATION, 0, BODY(DST SRC "\x04\x22\0\x01\x02"));
	assert_addr(&p.sm.source, 1, 1, "46700000001");
	assert_addr(&p.sm.dest, 5, 0, "Shop");
	same_again(&p);
}

static void binds(void **state)
{
	static const uint32_t commands[] = { SMPP_BIND_RECEIVER, SMPP_BIND_TRANSMITTER,
		SMPP_BIND_TRANSCEIVER };
	struct pdu p;

	for (size_t i = 0; i < 3; i++) {
		static const char versions[] = { 0x00, 0x33, 0x34, 0x50, 0x7f };

		ok(&p, commands[i], 0,
			BODY("shop\0"
			     "secret\0"
			     "VMA\0"
			     "\x34\x01\x08"
			     "^46\0"));
		assert_str(p.bind.system_id, "shop");
		assert_str(p.bind.password, "secret");
		assert_str(p.bind.system_type, "VMA");
		assert_int_equal(p.bind.interface_version, 0x34);
		assert_int_equal(p.bind.addr_ton, 1);
		assert_int_equal(p.bind.addr_npi, 8);
		assert_str(p.bind.address_range, "^46");
		same_again(&p);
		for (size_t v = 0; v < sizeof versions; v++) {
			char body[] = "a\0b\0\0\x34\0\0";

			body[5] = versions[v];
			ok(&p, commands[i], 0, str_n(body, sizeof body));
			assert_int_equal(p.bind.interface_version, (uint8_t)versions[v]);
		}
	}
	ok(&p, SMPP_OUTBIND, 0, BODY("smsc\0secret\0"));
	assert_str(p.bind.system_id, "smsc");
	assert_str(p.bind.password, "secret");
	same_again(&p);
}

static void header_only(void **state)
{
	static const uint32_t commands[] = { SMPP_UNBIND, SMPP_ENQUIRE_LINK, SMPP_GENERIC_NACK,
		SMPP_UNBIND | SMPP_RESP, SMPP_ENQUIRE_LINK | SMPP_RESP, SMPP_CANCEL_SM | SMPP_RESP,
		SMPP_REPLACE_SM | SMPP_RESP };
	struct pdu p;

	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		ok(&p, commands[i], 0, STR_NONE);
		assert_null(p.fault);
		same_again(&p);
		/* What hangs on a probe does no harm. */
		ok(&p, commands[i], 0, BODY("?"));
		assert_non_null(p.fault);
		assert_int_equal(p.tlvs.n, 0);
		ok(&p, commands[i], 0, BODY("\x14\x01\0\x01x"));
		assert_int_equal(p.tlvs.n, 5);
	}
}

static void responses(void **state)
{
	static const uint32_t with_id[] = { SMPP_SUBMIT_SM | SMPP_RESP, SMPP_DELIVER_SM | SMPP_RESP,
		SMPP_DATA_SM | SMPP_RESP, SMPP_SUBMIT_MULTI | SMPP_RESP,
		SMPP_QUERY_SM | SMPP_RESP };
	static const struct {
		uint32_t status;
		struct str body;
		const char *id;
		size_t tlvs;
	} table[] = {
		{ 0, { "", 0 }, "", 0 },                                  /* absent */
		{ 0x58, { "", 0 }, "", 0 }, { 0x58, { "\0", 1 }, "", 0 }, /* one NUL */
		{ 0, { "\0", 1 }, "", 0 }, { 0, { "5f3a\0", 5 }, "5f3a", 0 },
		{ 0x45, { "5f3a\0", 5 }, "5f3a", 0 },         /* an id with an error */
		{ 0, { "5f3a", 4 }, "5f3a", 0 },              /* no NUL */
		{ 0x410, { ID64 "ff\0", 67 }, ID64 "ff", 0 }, /* longer than allowed */
	};
	struct pdu p;
	uint8_t v;
	struct str s;

	for (size_t c = 0; c < sizeof with_id / sizeof *with_id; c++) {
		for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
			ok(&p, with_id[c], table[i].status, table[i].body);
			assert_str(p.resp.message_id, table[i].id);
			assert_int_equal(p.tlvs.n, table[i].tlvs);
			assert_null(p.fault);
		}
	}
	for (size_t c = 0; c < 3; c++) {
		/* id and TLVs; NUL and TLVs; TLVs straight after the header. */
		ok(&p, with_id[c], 0xfe,
			BODY("77\0"
			     "\x04\x25\0\x01\x02"));
		assert_str(p.resp.message_id, "77");
		assert_true(pdu_tlv_u8(&p, TLV_DELIVERY_FAILURE_REASON, &v));
		assert_int_equal(v, 2);
		same_again(&p);
		ok(&p, with_id[c], 0xfe,
			BODY("\0"
			     "\0\x1d\0\x04nope"));
		assert_str(p.resp.message_id, "");
		assert_true(pdu_tlv(&p, TLV_ADDITIONAL_STATUS_INFO_TEXT, &s));
		assert_str(s, "nope");
		same_again(&p);
		ok(&p, with_id[c], 0xfe, BODY("\0\x1d\0\x04nope\x04\x25\0\x01\x03"));
		assert_str(p.resp.message_id, "");
		assert_true(pdu_tlv(&p, TLV_ADDITIONAL_STATUS_INFO_TEXT, &s));
		assert_str(s, "nope");
		assert_true(pdu_tlv_u8(&p, TLV_DELIVERY_FAILURE_REASON, &v));
		assert_int_equal(v, 3);
		/* Damage behind the id costs the damage, not the id. */
		ok(&p, with_id[c], 0,
			BODY("77\0"
			     "\x04\x25\0\x09\x02"));
		assert_str(p.resp.message_id, "77");
		assert_int_equal(p.tlvs.n, 0);
		assert_string_equal(p.fault, "TLVs");
	}
}

static void responses_of_their_own(void **state)
{
	static const uint32_t bind[] = { SMPP_BIND_RECEIVER, SMPP_BIND_TRANSMITTER,
		SMPP_BIND_TRANSCEIVER };
	struct pdu p;
	struct pdu_addr a;
	struct str rest;
	uint32_t status;
	uint8_t v;
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < 3; i++) {
		ok(&p, bind[i] | SMPP_RESP, 0,
			BODY("SMSC\0"
			     "\x02\x10\0\x01\x34"));
		assert_str(p.resp.system_id, "SMSC");
		assert_true(pdu_tlv_u8(&p, TLV_SC_INTERFACE_VERSION, &v));
		assert_int_equal(v, 0x34);
		same_again(&p);
		ok(&p, bind[i] | SMPP_RESP, ESME_RBINDFAIL, STR_NONE);
		assert_str(p.resp.system_id, "");
		same_again(&p);
		ok(&p, bind[i] | SMPP_RESP, ESME_RBINDFAIL, BODY("\0"));
	}

	ok(&p, SMPP_QUERY_SM | SMPP_RESP, 0,
		BODY("12345\0" T16 "\0"
		     "\x02\x7f"));
	assert_str(p.resp.message_id, "12345");
	assert_str(p.resp.final_date, T16);
	assert_int_equal(p.resp.message_state, SMPP_STATE_DELIVERED);
	assert_int_equal(p.resp.error_code, 0x7f);
	same_again(&p);
	ok(&p, SMPP_QUERY_SM | SMPP_RESP, 0,
		BODY("12345\0"
		     "\0"
		     "\x01"));
	assert_str(p.resp.message_id, "12345");
	assert_string_equal(p.fault, "message_state");

	ok(&p, SMPP_SUBMIT_MULTI | SMPP_RESP, 0,
		BODY("12345\0"
		     "\x02"
		     "\x01\x01"
		     "461\0\0\0\0\x0b"
		     "\x02\x08"
		     "462\0\0\0\x04\x01"));
	assert_str(p.resp.message_id, "12345");
	assert_int_equal(p.resp.unsuccess_count, 2);
	rest = p.resp.unsuccess;
	assert_true(pdu_unsuccess_next(&rest, &a, &status));
	assert_addr(&a, 1, 1, "461");
	assert_int_equal(status, ESME_RINVDSTADR);
	pdu_put_unsuccess(&b, &a, status);
	assert_true(pdu_unsuccess_next(&rest, &a, &status));
	assert_addr(&a, 2, 8, "462");
	assert_int_equal(status, 0x401);
	pdu_put_unsuccess(&b, &a, status);
	assert_false(pdu_unsuccess_next(&rest, &a, &status));
	assert_true(str_eq(buf_view(&b), p.resp.unsuccess));
	same_again(&p);
	/* A count that says more than there is. */
	ok(&p, SMPP_SUBMIT_MULTI | SMPP_RESP, 0,
		BODY("12345\0"
		     "\x03"
		     "\x01\x01"
		     "461\0\0\0\0\x0b"));
	assert_str(p.resp.message_id, "12345");
	assert_int_equal(p.resp.unsuccess_count, 0);
	assert_string_equal(p.fault, "unsuccess_sme");
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(submit_and_deliver),
		cmocka_unit_test(submit_multi),
		cmocka_unit_test(other_messages),
		cmocka_unit_test(binds),
		cmocka_unit_test(header_only),
		cmocka_unit_test(responses),
		cmocka_unit_test(responses_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, finish);
}
