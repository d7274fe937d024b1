/* The codec against hand-made octets: every PDU field by field, every refusal with its status,
 * all the bodies that responses come with, limits, and the writers' own refusals.
 */
#include "protocols/smpp/pdu.h"

#include "gateway/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <time.h>
#include <cmocka.h>

#define BODY(lit) ((struct str){ (lit), sizeof(lit) - 1 })

#define A20        "12345678901234567890"
#define T16        "261122093000000+"
#define ID64       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define FLAGS_NONE 0u

/* Pieces of requests. */
#define SRC "\x05\x00Shop\0"
#define DST        \
	"\x01\x01" \
	"46700000001\0"
#define REST                    \
	"\x40\x41\x03" T16 "\0" \
	"000002000000000R\0"    \
	"\x11\x01\x08\x02"
#define SUBMIT                      \
	"CMT\0" SRC DST REST "\x05" \
	"he\0lo"

static struct buf bytes;

static struct str pdu_make(uint32_t command, uint32_t status, uint32_t sequence, struct str body)
{
	buf_reset(&bytes);
	pdu_begin(&bytes, command, status, sequence);
	buf_str(&bytes, body);
	pdu_end(&bytes, 0);
	return buf_view(&bytes);
}

/* Decodes from an allocation of exactly the size, so that ASan sees a step over the end. */
static int decode_exact(struct pdu *p, char **home, struct str s, unsigned flags, uint32_t *status)
{
	*home = malloc(s.n ? s.n : 1);
	assert_non_null(*home);
	if (s.n)
		memcpy(*home, s.p, s.n);
	return pdu_decode(p, str_n(*home, s.n), flags, status);
}

static void assert_str(struct str got, const char *want)
{
	if (!str_is(got, want))
		fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

static void assert_addr(const struct pdu_addr *a, uint8_t ton, uint8_t npi, const char *addr)
{
	assert_int_equal(a->ton, ton);
	assert_int_equal(a->npi, npi);
	assert_str(a->addr, addr);
}

static void ok(struct pdu *p, uint32_t command, uint32_t status, struct str body)
{
	struct str whole = pdu_make(command, status, 0x01020304, body);
	uint32_t refusal = 99;

	if (pdu_decode(p, whole, FLAGS_NONE, &refusal) != 0)
		fail_msg("%s refused: %s at %s", smpp_command_name(command),
			smpp_status_name(refusal), p->fault);
	assert_int_equal(refusal, 0);
	assert_int_equal(p->command, command);
	assert_int_equal(p->status, status);
	assert_int_equal(p->sequence, 0x01020304);
	assert_int_equal(p->length, whole.n);
}

/* What is written is what was read. */
static void same_again(const struct pdu *p)
{
	struct buf out = BUF_INIT;

	assert_int_equal(pdu_encode(&out, p), ESME_ROK);
	assert_int_equal(out.n, bytes.n);
	assert_memory_equal(out.p, bytes.p, out.n);
	buf_free(&out);
}

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

static const struct {
	uint32_t command;
	struct str body;
	unsigned flags;
	uint32_t status; /* 0: accepted */
	const char *fault;
} refusals[] = {
#define SM   SMPP_SUBMIT_SM
#define BIND SMPP_BIND_TRANSCEIVER
#define TAIL "\0\0\0\0\0\0\0\0\0\0" /* esm_class to sm_length, all 0 */
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

static int finish(void **state)
{
	buf_free(&bytes);
	return 0;
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
		cmocka_unit_test(refused),
		cmocka_unit_test(truncated),
		cmocka_unit_test(frames),
		cmocka_unit_test(tlvs),
		cmocka_unit_test(large_payload),
		cmocka_unit_test(short_message_limits),
		cmocka_unit_test(writers),
		cmocka_unit_test(writers_refuse),
		cmocka_unit_test(names),
		cmocka_unit_test(fast_enough),
	};

	return cmocka_run_group_tests(tests, NULL, finish);
}
