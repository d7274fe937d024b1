/* What ESMEs submit: contents, addresses, attributes, refusals, against a whole gateway with null
 * channels. Sessions as such: smpp_session_test.c. */
#include "protocols/smpp/submit_fixture.h"

/* ---- content --------------------------------------------------------------------------------- */

static void test_octets_pass(void **state)
{
	static const char udh[] = "\5\0\3\xcc\2\1Hi";
	static const struct {
		uint8_t coding, esm;
		struct str octets;
	} v[] = {
		{ 0, 0, { "hej \0 \x1b\x65", 8 } }, /* NUL is "@" */
		{ 8, 0, { "\x04\x1f\x04\x40", 4 } },
		{ 4, ESM_UDHI, { udh, sizeof udh - 1 } },
		{ 0xf5, 0, { "\1\2\3", 3 } },
		{ 0x10, 0, { "flash", 5 } },
		{ 3, ESM_REPLY_PATH, { "\xe5\xe4\xf6", 3 } },
		{ 0x0e, 0, { "\x30\x31", 2 } },
		{ 0, 0, { "", 0 } },
	};
	struct esme m = esme_bound("shop");

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		struct pdu p = esme_submit("46700000001", "");
		struct store_view view;

		p.sm.short_message = v[i].octets;
		p.sm.data_coding = v[i].coding;
		p.sm.esm_class = v[i].esm;
		p.sm.protocol_id = 0x41;
		view = fx_view(esme_accepted(&m, &p));
		assert_int_equal(view.media, MEDIA_SMS);
		assert_int_equal(view.msg->flags, MSG_OCTETS);
		assert_true(str_eq(message_get(view.msg, FIELD_OCTETS), v[i].octets));
		assert_false(message_has(view.msg, FIELD_TEXT));
		assert_int_equal(view.msg->sms.data_coding, v[i].coding);
		assert_int_equal(view.msg->sms.esm_class, v[i].esm);
		assert_int_equal(view.msg->sms.protocol_id, 0x41);
		assert_int_equal(view.msg->sms.src_ton, 5);
		assert_int_equal(view.msg->sms.dst_npi, 1);
		assert_string_equal(view.from, "Shop");
		assert_string_equal(view.to, "46700000001");
		store_view_free(&view);
	}
	esme_close(&m);
}

static void test_payload_and_tlvs(void **state)
{
	struct esme m = esme_bound("shop");
	struct buf tlvs = BUF_INIT, want = BUF_INIT, text = BUF_INIT;
	struct pdu p = esme_submit("46700000001", "");
	struct store_view v;

	for (int i = 0; i < 1000; i++)
		buf_char(&text, (char)('a' + i % 26));
	pdu_put_tlv_u16(&tlvs, TLV_USER_MESSAGE_REFERENCE, 7);
	pdu_put_tlv(&tlvs, TLV_MESSAGE_PAYLOAD, buf_view(&text));
	pdu_put_tlv(&tlvs, 0x1502, STR("vendor"));
	pdu_put_tlv_u8(&tlvs, TLV_MESSAGE_STATE, 2);
	pdu_put_tlv_u16(&tlvs, TLV_SAR_MSG_REF_NUM, 9);
	pdu_put_tlv(&tlvs, 0x3ffe, STR(""));
	pdu_put_tlv_u16(&want, TLV_USER_MESSAGE_REFERENCE, 7);
	pdu_put_tlv(&want, 0x1502, STR("vendor"));
	pdu_put_tlv_u16(&want, TLV_SAR_MSG_REF_NUM, 9);
	pdu_put_tlv(&want, 0x3ffe, STR(""));
	p.tlvs = buf_view(&tlvs);
	v = fx_view(esme_accepted(&m, &p));
	assert_int_equal(v.msg->flags, MSG_OCTETS | MSG_PAYLOAD);
	assert_true(str_eq(message_get(v.msg, FIELD_OCTETS), buf_view(&text)));
	assert_true(str_eq(message_get(v.msg, FIELD_TLVS), buf_view(&want)));
	store_view_free(&v);
	/* with a header sar_* must not go along */
	buf_reset(&tlvs);
	pdu_put_tlv_u16(&tlvs, TLV_SAR_MSG_REF_NUM, 9);
	p = esme_submit("46700000001", "\5\1\1\1\1\1x");
	p.sm.esm_class = ESM_UDHI;
	p.tlvs = buf_view(&tlvs);
	v = fx_view(esme_accepted(&m, &p));
	assert_false(message_has(v.msg, FIELD_TLVS));
	store_view_free(&v);
	/* data_sm has nothing but the payload, and addresses of up to 64 octets */
	buf_reset(&tlvs);
	pdu_put_tlv(&tlvs, TLV_MESSAGE_PAYLOAD, STR("data"));
	pdu_put_tlv_u32(&tlvs, TLV_QOS_TIME_TO_LIVE, 600);
	p = esme_submit("+46 (0)70-000 00 01", "");
	p.command = SMPP_DATA_SM;
	p.tlvs = buf_view(&tlvs);
	v = fx_view(esme_accepted(&m, &p));
	assert_string_equal(v.to, "46700000001");
	assert_true(str_is(message_get(v.msg, FIELD_OCTETS), "data"));
	assert_int_equal((v.expires - v.accepted + DUR_S) / DUR_MIN, 10);
	store_view_free(&v);
	buf_free(&tlvs);
	buf_free(&want);
	buf_free(&text);
	esme_close(&m);
}

static void test_other_media(void **state)
{
	struct esme m = esme_bound("shop"), latin = esme_bound("latin");
	struct pdu p = esme_submit("46700000001", "");
	struct store_view v;

	p.sm.service_type = STR("VIBER");
	p.sm.short_message = str_n("\x04\x1f\x04\x40\xd8\x3d\xde\x00", 8);
	p.sm.data_coding = 8;
	v = fx_view(esme_accepted(&m, &p));
	assert_int_equal(v.media, MEDIA_VIBER);
	assert_int_equal(v.msg->flags, 0);
	assert_true(str_is(message_get(v.msg, FIELD_TEXT), "Пр😀"));
	assert_true(str_is(message_get(v.msg, FIELD_SERVICE_TYPE), "VIBER"));
	assert_false(message_has(v.msg, FIELD_OCTETS));
	store_view_free(&v);
	p.sm.short_message = str_n("\0\x1b\x65", 3);
	p.sm.data_coding = 0;
	v = fx_view(esme_accepted(&m, &p));
	assert_true(str_is(message_get(v.msg, FIELD_TEXT), "@€"));
	store_view_free(&v);
	/* octets are no text */
	p.sm.data_coding = 4;
	assert_int_equal(esme_refused(&m, &p), ESME_RSUBMITFAIL);
	/* data_coding 0 by the account's own meaning, for SMS and others */
	p = esme_submit("46700000001", "\xe5t");
	v = fx_view(esme_accepted(&latin, &p));
	assert_int_equal(v.msg->flags, 0);
	assert_true(str_is(message_get(v.msg, FIELD_TEXT), "åt"));
	store_view_free(&v);
	p.sm.service_type = STR("VB");
	v = fx_view(esme_accepted(&latin, &p));
	assert_int_equal(v.media, MEDIA_VIBER);
	assert_true(str_is(message_get(v.msg, FIELD_TEXT), "åt"));
	store_view_free(&v);
	/* a part of a long one stays a part: octets behind its header, in the channels' form */
	p = esme_submit("46700000001", "");
	p.sm.esm_class = ESM_UDHI;
	p.sm.short_message = str_n("\5\0\3\xcc\2\1\xe5@", 8);
	v = fx_view(esme_accepted(&latin, &p));
	assert_int_equal(v.msg->flags, MSG_OCTETS);
	assert_int_equal(v.msg->sms.data_coding, 0);
	assert_true(str_eq(message_get(v.msg, FIELD_OCTETS), str_n("\5\0\3\xcc\2\1\x0f\0", 8)));
	store_view_free(&v);
	p.sm.short_message = str_n("\5\0\3\xcc\2\1\xae", 7); /* ® */
	v = fx_view(esme_accepted(&latin, &p));
	assert_int_equal(v.msg->sms.data_coding, 8);
	assert_true(str_eq(message_get(v.msg, FIELD_OCTETS), str_n("\5\0\3\xcc\2\1\0\xae", 8)));
	store_view_free(&v);
	esme_close(&m);
	esme_close(&latin);
}

static void test_addresses(void **state)
{
	static const struct {
		uint8_t ston, ston_npi;
		const char *from;
		uint8_t dton;
		const char *to, *want_from, *want_to;
	} v[] = {
		{ 5, 0, "Shop", 1, "46700000001", "Shop", "46700000001" },
		{ 5, 1, "Butik \xc5", 1, "46700000001", "Butik Å", "46700000001" },
		{ 0, 0, "72456", 0, "0046700000001", "72456", "46700000001" },
		{ 1, 1, "+46701234567", 2, "0700000001", "46701234567", "46700000001" },
		{ 2, 1, "0701234567", 0, "0700000001", "46701234567", "46700000001" },
		{ 0, 0, "", 1, "46700000001", "", "46700000001" },
		{ 0, 1, "Shop", 0, "46700000001", "Shop", "46700000001" },
	};
	struct esme m = esme_bound("shop");

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		struct pdu p = esme_submit("", "x");
		struct store_view view;

		p.sm.source = (struct pdu_addr){ v[i].ston, v[i].ston_npi, str_of(v[i].from) };
		p.sm.dest = (struct pdu_addr){ v[i].dton, 1, str_of(v[i].to) };
		view = fx_view(esme_accepted(&m, &p));
		assert_string_equal(view.from, v[i].want_from);
		assert_string_equal(view.to, v[i].want_to);
		store_view_free(&view);
	}
	esme_close(&m);
}

static void test_attributes(void **state)
{
	static const struct {
		uint8_t registered, wants;
	} v[] = {
		{ 0, 0 },
		{ 1, WANT_DELIVERED | WANT_FAILED },
		{ 2, WANT_FAILED },
		{ 3, WANT_DELIVERED },
		{ 0x11, WANT_DELIVERED | WANT_FAILED | WANT_INTERMEDIATE },
		{ 0xe0, 0 },
	};
	static const uint8_t priorities[] = { PRIORITY_NORMAL, PRIORITY_NORMAL, PRIORITY_HIGH,
		PRIORITY_HIGH };
	struct esme m = esme_bound("attr"), strict = esme_bound("strict");
	struct pdu p;
	struct store_view view;

	hold(true);
	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		p = esme_submit("46700000001", "x");
		p.sm.registered = v[i].registered;
		view = fx_view(esme_accepted(&m, &p));
		assert_int_equal(view.wants, v[i].wants);
		store_view_free(&view);
	}
	for (uint8_t i = 0; i < 4; i++) {
		p = esme_submit("46700000001", "x");
		p.sm.priority = i;
		view = fx_view(esme_accepted(&m, &p));
		assert_int_equal(view.priority, priorities[i]);
		store_view_free(&view);
	}
	p = esme_submit("46700000001", "x");
	p.sm.schedule = STR("000000010000000R");
	p.sm.validity = STR("000001000000000R");
	view = fx_view(esme_accepted(&m, &p));
	assert_int_equal((view.due - view.accepted + DUR_S) / DUR_MIN, 60);
	assert_int_equal((view.expires - view.accepted + DUR_S) / DUR_HOUR, 24);
	store_view_free(&view);
	/* the account's own word comes first */
	p.sm.schedule = STR_NONE;
	p.sm.priority = 3;
	p.sm.service_type = STR("OK");
	view = fx_view(esme_accepted(&strict, &p));
	assert_int_equal(view.priority, PRIORITY_BULK);
	assert_int_equal((view.expires - view.accepted + DUR_S) / DUR_MIN, 60);
	store_view_free(&view);
	hold(false);
	esme_close(&m);
	esme_close(&strict);
}

static void test_refusals(void **state)
{
	struct refusal {
		const char *account;
		struct pdu_sm change;
		uint32_t status;
	} v[] = {
		{ "shop", { .schedule = STR("261122093000") }, ESME_ROK },
		{ "shop", { .schedule = STR("2611220930000000") }, ESME_RINVSCHED },
		{ "shop", { .schedule = STR("050000000000000R") }, ESME_RINVSCHED },
		{ "shop", { .validity = STR("never") }, ESME_RINVEXPIRY },
		{ "shop", { .validity = STR("200101000000000+") }, ESME_RINVEXPIRY },
		{ "shop",
			{ .schedule = STR("000000020000000R"),
				.validity = STR("000000010000000R") },
			ESME_RINVEXPIRY },
		{ "shop", { .dest = { 1, 1, STR("46") } }, ESME_RINVDSTADR },
		{ "shop", { .dest = { 1, 1, STR("phone") } }, ESME_RINVDSTADR },
		{ "shop", { .dest = { 1, 1, STR("4790000001") } }, ESME_RINVDSTADR }, /* route */
		{ "shop", { .source = { 5, 0, STR("MoreThanEleven") } }, ESME_RINVSRCADR },
		{ "strict", { .source = { 5, 0, STR("Other") } }, ESME_RINVSRCADR },
		{ "strict", { .service_type = STR("WHAT") }, ESME_RINVSERTYP },
		{ "shop", { .default_msg_id = 1 }, ESME_RINVDFTMSGID },
		{ "shop", { .priority = 4 }, ESME_RINVPRTFLG },
		{ "shop", { .replace = 2 }, ESME_RINVREPFLAG },
		{ "shop", { .esm_class = ESM_UDHI, .short_message = STR("\x40") },
			ESME_RINVESMCLASS },
	};

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		struct esme m = esme_bound(v[i].account);
		struct pdu p = esme_submit("46700000001", "x");
		struct pdu_sm *c = &v[i].change;
		uint32_t status;

#define TAKE(field, given) \
	if (given)         \
	p.sm.field = c->field
		TAKE(schedule, c->schedule.n);
		TAKE(validity, c->validity.n);
		TAKE(dest, c->dest.addr.n);
		TAKE(source, c->source.addr.n);
		TAKE(service_type, c->service_type.n);
		TAKE(default_msg_id, c->default_msg_id);
		TAKE(priority, c->priority);
		TAKE(replace, c->replace);
		TAKE(esm_class, c->esm_class);
		TAKE(short_message, c->short_message.n);
#undef TAKE
		status = esme_refused(&m, &p);
		if (status != v[i].status)
			fail_msg("%zu: %s", i, smpp_status_name(status));
		esme_close(&m);
	}
}

static void test_rate(void **state)
{
	struct esme m = esme_bound("slow");
	struct pdu p = esme_submit("46700000001", "x");
	unsigned taken = 0, throttled = 0;

	for (int i = 0; i < 10; i++) {
		uint32_t status = esme_refused(&m, &p);

		taken += status == ESME_ROK;
		throttled += status == ESME_RTHROTTLED;
	}
	assert_int_equal(taken + throttled, 10);
	assert_in_range(taken, 2, 4);
	clock_shift(DUR_S);
	assert_int_equal(esme_refused(&m, &p), ESME_ROK);
	esme_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_octets_pass),
		cmocka_unit_test(test_payload_and_tlvs),
		cmocka_unit_test(test_other_media),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_rate),
	};

	return cmocka_run_group_tests_name("smpp submissions", tests, begin, end);
}
