/* What ESMEs submit and ask, and what they are told: against a whole gateway with null channels.
 * Sessions as such: smpp_session_test.c. */
#include "tests/smpp_server.h"
#include "gateway/base/map.h"
#include "protocols/smpp/receipt.h"
#include "protocols/smpp/smpp_time.h"

#define ACCOUNT(name, more) "{ system_id = \"" name "\"; password = \"secret\"; " more " }"
#define LISTENER                                                                                   \
	"{ name = \"esme\"; type = \"smpp\"; listen = \"127.0.0.1:0\"; answer_wait = \"10s\"; "    \
	"enquire = \"0\"; inactivity = \"0\";"                                                     \
	" accounts = (" ACCOUNT(                                                                   \
		"shop", "services = { VIBER = \"viber\"; PUSHY = \"push\"; };") "," ACCOUNT("old", \
		"") "," ACCOUNT("hex", "id = \"hex\"; receipt_dates = 12;") "," ACCOUNT("latin",   \
		"dcs0 = \"latin1\"; services = { VB = \"viber\"; };") "," ACCOUNT("slow",          \
		"rate = 2.0;") "," ACCOUNT("strict",                                               \
		"from = [ \"Shop*\" ]; known_services = "                                          \
		"true;"                                                                            \
		" priority = \"bulk\"; valid_most = \"1h\"; "                                      \
		"services = { OK = \"sms\"; };") "," ACCOUNT("news",                               \
		"window = 3;") "," ACCOUNT("mo", "mo_split = \"sar\";") "," ACCOUNT("bare",        \
		"tlvs = \"no\";") "," ACCOUNT("multi", "") "," ACCOUNT("ask",                      \
		"") "," ACCOUNT("attr", "") "); }"

static int begin(void **state)
{
	fx_begin(LISTENER);
	return 0;
}

static int end(void **state)
{
	fx_end();
	return 0;
}

static void hold(bool held)
{
	struct err e = { 0 };

	assert_int_equal(
		gateway_channel_verb(fx.g, "nul", held ? GATEWAY_HOLD : GATEWAY_RESUME, &e), 0);
}

/* Waits until it is not queued any more. */
static void leaves(uint64_t id)
{
	for (int i = 0; i < 500; i++) {
		struct store_view v = fx_view(id);
		bool queued = v.state == STATE_QUEUED;

		store_view_free(&v);
		if (!queued)
			return;
		usleep(10000);
	}
	fail_msg("it stays queued");
}

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

/* ---- receipts -------------------------------------------------------------------------------- */

/* Reads a deliver_sm, answers it so, and has its text in *text. */
static struct smpp_receipt told(struct esme *m, uint32_t status, struct pdu *p)
{
	struct smpp_receipt r;

	assert_true(esme_read(m, p));
	assert_int_equal(p->command, SMPP_DELIVER_SM);
	assert_int_equal(receipt_parse(&r, p, clock_wall(), NULL, 0), 0);
	esme_told(m, p, status);
	return r;
}

static void test_receipt(void **state)
{
	struct esme m = esme_bound("news");
	struct pdu p = esme_submit("46700000002", "x"), d;
	struct smpp_receipt r;
	struct str v;
	uint64_t id;
	uint8_t st;

	p.sm.registered = 1;
	id = esme_accepted(&m, &p);
	r = told(&m, ESME_ROK, &d);
	assert_int_equal(d.sm.esm_class, ESM_TYPE_RECEIPT);
	assert_int_equal(d.sm.data_coding, 0);
	assert_true(str_is(d.sm.source.addr, "46700000002"));
	assert_int_equal(d.sm.source.ton, 1);
	assert_true(str_is(d.sm.dest.addr, "Shop"));
	assert_int_equal(d.sm.dest.ton, 5);
	assert_int_equal(esme_id(r.id), id);
	assert_int_equal(r.state, SMPP_STATE_DELIVERED);
	assert_true(str_is(r.stat, "DELIVRD"));
	assert_int_equal(r.sub, 1);
	assert_int_equal(r.dlvrd, 1);
	assert_int_equal(r.submit_date.n, 10);
	assert_true(pdu_tlv_cstr(&d, TLV_RECEIPTED_MESSAGE_ID, &v));
	assert_int_equal(esme_id(v), id);
	assert_true(pdu_tlv_u8(&d, TLV_MESSAGE_STATE, &st));
	assert_int_equal(st, SMPP_STATE_DELIVERED);
	assert_false(pdu_tlv(&d, TLV_NETWORK_ERROR_CODE, &v));
	/* a failure has its error */
	p.sm.dest.addr = STR("46710000001");
	id = esme_accepted(&m, &p);
	r = told(&m, ESME_ROK, &d);
	assert_int_equal(esme_id(r.id), id);
	assert_true(str_is(r.stat, "UNDELIV"));
	assert_int_equal(r.dlvrd, 0);
	assert_true(pdu_tlv(&d, TLV_NETWORK_ERROR_CODE, &v));
	/* only what was asked for */
	p.sm.registered = 0;
	esme_accepted(&m, &p);
	p.sm.registered = 3;
	esme_accepted(&m, &p);
	p.sm.dest.addr = STR("46700000001");
	p.sm.registered = 2;
	esme_accepted(&m, &p);
	assert_true(esme_is_silent(&m));
	esme_close(&m);
}

static void test_forms(void **state)
{
	struct esme old = esme_dial(), hex = esme_bound("hex"), bare = esme_bound("bare");
	struct pdu p = esme_submit("46700000002", "x"), answer, d;
	struct smpp_receipt r;
	char id[72];
	struct str v;

	p.sm.registered = 1;
	/* 3.3: eight characters, no TLVs */
	assert_int_equal(
		esme_bind_as(&old, SMPP_BIND_TRANSCEIVER, "old", "secret", 0x33), ESME_ROK);
	for (int i = 0; i < 3; i++) {
		esme_ask(&old, &p, &answer);
		assert_int_equal(answer.status, ESME_ROK);
		assert_int_equal(answer.resp.message_id.n, 8);
		str_copy(id, sizeof id, answer.resp.message_id);
		r = told(&old, ESME_ROK, &d);
		assert_true(str_is(r.id, id));
		assert_int_equal(d.tlvs.n, 0);
	}
	p = (struct pdu){ .command = SMPP_QUERY_SM, .sm.message_id = str_of(id) };
	esme_ask(&old, &p, &answer);
	assert_int_equal(answer.status, ESME_ROK);
	assert_true(str_is(answer.resp.message_id, id));
	assert_int_equal(answer.resp.message_state, SMPP_STATE_DELIVERED);
	p = esme_submit("46700000002", "x");
	p.sm.registered = 1;
	/* hex */
	esme_ask(&hex, &p, &answer);
	str_copy(id, sizeof id, answer.resp.message_id);
	assert_int_equal(strspn(id, "0123456789abcdef"), strlen(id));
	assert_true(strlen(id) <= 16);
	r = told(&hex, ESME_ROK, &d);
	assert_true(str_is(r.id, id));
	assert_int_equal(r.done_date.n, 12);
	assert_true(pdu_tlv_cstr(&d, TLV_RECEIPTED_MESSAGE_ID, &v));
	assert_true(str_is(v, id));
	p = (struct pdu){ .command = SMPP_QUERY_SM, .sm.message_id = str_of(id) };
	esme_ask(&hex, &p, &answer);
	assert_int_equal(answer.status, ESME_ROK);
	p = esme_submit("46700000002", "x");
	p.sm.registered = 1;
	/* no TLVs by setting */
	esme_accepted(&bare, &p);
	told(&bare, ESME_ROK, &d);
	assert_int_equal(d.tlvs.n, 0);
	esme_close(&old);
	esme_close(&hex);
	esme_close(&bare);
}

/* Submits n at once to a 3.3 bind; each answer is status 0 with an id that none had before. */
static void submit_short(struct map *seen, unsigned n)
{
	struct esme m = esme_dial();
	struct pdu p = esme_submit("46700000002", "x");
	char id[16];

	assert_int_equal(esme_bind_as(&m, SMPP_BIND_TRANSMITTER, "old", "secret", 0x33), ESME_ROK);
	for (unsigned sent = 0, got = 0; got < n; got++) {
		for (; sent < n && sent < got + 90; sent++)
			esme_send(&m, &p);
		assert_true(esme_read(&m, &p));
		assert_int_equal(p.status, ESME_ROK);
		assert_int_equal(p.resp.message_id.n, 8);
		str_copy(id, sizeof id, p.resp.message_id);
		assert_null(map_put_u64(seen, strtoul(id, NULL, 16), seen));
		p = esme_submit("46700000002", "x");
	}
	esme_close(&m);
}

static unsigned accepted_of(const char *account)
{
	struct buf json = BUF_INIT;
	char name[64];
	const char *at;
	unsigned n;

	gateway_status(fx.g, &json);
	snprintf(name, sizeof name, "{\"name\":\"smpp/%s\"", account);
	at = strstr(buf_cstr(&json), name);
	assert_non_null(at);
	at = strstr(at, "\"accepted\":");
	assert_non_null(at);
	n = (unsigned)strtoul(at + 11, NULL, 10);
	buf_free(&json);
	return n;
}

/* Short ids follow the clock. After a restart that the clock was set back for, they run into those
 * of the last run, and nothing may be taken for a repetition. */
static void test_short_ids_meet(void **state)
{
	struct map seen = MAP_INIT;
	mono_t start = clock_mono();

	submit_short(&seen, 300);
	fx_stop();
	clock_shift(-(clock_mono() - start) - 300 * DUR_MS);
	fx_start(LISTENER);
	submit_short(&seen, 1500);
	assert_int_equal(accepted_of("old"), 1500);
	map_free(&seen);
}

/* Kept until a receiver is there, spread over several, within the window. */
static void test_receipts_wait(void **state)
{
	struct esme tx = esme_dial(), rx[2];
	struct pdu p = esme_submit("46700000003", "x"), d;
	unsigned got[2] = { 0 };
	uint32_t first[3];

	assert_int_equal(
		esme_bind_as(&tx, SMPP_BIND_TRANSMITTER, "news", "secret", 0x34), ESME_ROK);
	p.sm.registered = 1;
	for (int i = 0; i < 20; i++)
		esme_accepted(&tx, &p);
	assert_true(esme_is_silent(&tx));
	for (int i = 0; i < 2; i++) {
		rx[i] = esme_dial();
		assert_int_equal(
			esme_bind_as(&rx[i], SMPP_BIND_RECEIVER, "news", "secret", 0x34), ESME_ROK);
	}
	/* no more than the window without an answer, from the one that was there first */
	for (int i = 0; i < 3; i++) {
		assert_true(esme_read(&rx[0], &d));
		assert_int_equal(d.command, SMPP_DELIVER_SM);
		first[i] = d.sequence;
	}
	assert_true(esme_is_silent(&rx[0]));
	for (int i = 0; i < 3; i++)
		esme_header(&rx[0], SMPP_DELIVER_SM | SMPP_RESP, 0, first[i]);
	got[0] = 3;
	while (got[0] + got[1] < 20) {
		unsigned before = got[0] + got[1];

		for (int i = 0; i < 2; i++) {
			while (!esme_is_silent(&rx[i]) && got[0] + got[1] < 20) {
				assert_true(esme_read(&rx[i], &d));
				esme_told(&rx[i], &d, ESME_ROK);
				got[i]++;
			}
		}
		assert_true(got[0] + got[1] > before);
	}
	assert_true(got[0] >= 3);
	assert_true(got[1] >= 3);
	assert_true(esme_is_silent(&rx[0]));
	assert_true(esme_is_silent(&rx[1]));
	for (int i = 0; i < 2; i++)
		esme_close(&rx[i]);
	esme_close(&tx);
}

static void test_receipt_answers(void **state)
{
	static const uint32_t again[] = { ESME_RSYSERR, ESME_RMSGQFUL, ESME_RTHROTTLED,
		ESME_RX_T_APPN };
	static const uint32_t never[] = { ESME_RX_R_APPN, ESME_RX_P_APPN, ESME_RINVMSGLEN };
	struct esme m = esme_bound("news"), n;
	struct pdu p = esme_submit("46700000004", "x"), d;
	uint64_t id;

	p.sm.registered = 1;
	id = esme_accepted(&m, &p);
	for (size_t i = 0; i < sizeof again / sizeof again[0]; i++) {
		assert_int_equal(esme_id(told(&m, again[i], &d).id), id);
		assert_true(esme_is_silent(&m)); /* not at once */
		clock_shift(90 * DUR_S);
	}
	/* unanswered when the session is lost: told to the next one */
	assert_true(esme_read(&m, &d));
	n = esme_bound("news");
	esme_close(&m);
	assert_int_equal(esme_id(told(&n, ESME_ROK, &d).id), id);
	assert_true(esme_is_silent(&n));
	/* unanswered for too long: again, too */
	id = esme_accepted(&n, &p);
	assert_true(esme_read(&n, &d));
	clock_shift(11 * DUR_S);
	usleep(30000);
	clock_shift(2 * DUR_S);
	assert_int_equal(esme_id(told(&n, ESME_ROK, &d).id), id);
	/* a last word */
	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
		id = esme_accepted(&n, &p);
		assert_int_equal(esme_id(told(&n, never[i], &d).id), id);
	}
	clock_shift(20 * DUR_S);
	assert_true(esme_is_silent(&n));
	esme_close(&n);
}

/* ---- subscribers' messages ------------------------------------------------------------------- */

static struct waiter mo_waiter;

static void mo_taken(struct store_op *op)
{
	message_unref(&op->mo.msg);
	mem_free(&op);
	waiter_signal(&mo_waiter);
}

/* As a channel would hand it in. */
static void mo_arrives(struct draft *d)
{
	struct message *m = draft_seal(d);
	struct err e = { 0 };
	struct store_op *op = store_op_new(OP_MO, NULL, mo_taken);

	waiter_init(&mo_waiter);
	m->flags |= MSG_MO;
	op->mo.outlet = store_number(gateway_store(fx.g), STORE_SUBMITTER, "smpp/mo", &e);
	op->mo.msg = m;
	op->mo.part = 0;
	op->mo.parts = 1;
	store_do(gateway_store(fx.g), op);
	waiter_wait(&mo_waiter);
	draft_free(d);
}

static void mo_begin(struct draft *d)
{
	draft_init(d);
	d->head.sms = (struct sms_attrs){ .src_ton = 1, .src_npi = 1, .dst_ton = 3 };
	draft_put(d, FIELD_FROM, STR("46700000009"));
	draft_put(d, FIELD_TO, STR("72456"));
}

static void test_mo(void **state)
{
	struct esme m = esme_bound("mo"), old = esme_dial();
	struct draft d;
	struct buf text = BUF_INIT;
	struct pdu p;
	struct str v;
	uint8_t total, seq;

	/* as it came */
	mo_begin(&d);
	d.head.flags = MSG_OCTETS;
	d.head.sms.data_coding = 4;
	d.head.sms.esm_class = ESM_UDHI;
	draft_put(&d, FIELD_OCTETS, str_n("\5\0\3\1\2\1ab", 8));
	mo_arrives(&d);
	assert_true(esme_read(&m, &p));
	assert_int_equal(p.command, SMPP_DELIVER_SM);
	assert_int_equal(p.sm.esm_class, ESM_UDHI);
	assert_int_equal(p.sm.data_coding, 4);
	assert_true(str_eq(p.sm.short_message, str_n("\5\0\3\1\2\1ab", 8)));
	assert_true(str_is(p.sm.source.addr, "46700000009"));
	assert_true(str_is(p.sm.dest.addr, "72456"));
	assert_int_equal(p.sm.dest.ton, 3);
	esme_told(&m, &p, ESME_ROK);
	/* longer than a short_message */
	for (int i = 0; i < 300; i++)
		buf_char(&text, (char)('a' + i % 26));
	mo_begin(&d);
	d.head.flags = MSG_OCTETS;
	draft_put(&d, FIELD_OCTETS, buf_view(&text));
	mo_arrives(&d);
	assert_true(esme_read(&m, &p));
	assert_true(pdu_tlv(&p, TLV_MESSAGE_PAYLOAD, &v));
	assert_true(str_eq(v, buf_view(&text)));
	assert_int_equal(p.sm.short_message.n, 0);
	esme_told(&m, &p, ESME_ROK);
	/* text, in parts by sar_* as the account wishes */
	mo_begin(&d);
	draft_put(&d, FIELD_TEXT, buf_view(&text));
	mo_arrives(&d);
	for (unsigned i = 1; i <= 2; i++) {
		assert_true(esme_read(&m, &p));
		assert_true(pdu_tlv_u8(&p, TLV_SAR_TOTAL_SEGMENTS, &total));
		assert_true(pdu_tlv_u8(&p, TLV_SAR_SEGMENT_SEQNUM, &seq));
		assert_int_equal(total, 2);
		assert_int_equal(seq, i);
		assert_int_equal(p.sm.esm_class, 0);
		/* one part refused for now: the whole comes again */
		esme_told(&m, &p, i == 2 ? ESME_RX_T_APPN : ESME_ROK);
	}
	usleep(50000);
	esme_close(&m);
	/* and here to a 3.3 bind, which knows no TLVs */
	assert_int_equal(esme_bind_as(&old, SMPP_BIND_RECEIVER, "mo", "secret", 0x33), ESME_ROK);
	clock_shift(5 * DUR_S);
	for (unsigned i = 1; i <= 2; i++) {
		assert_true(esme_read(&old, &p));
		assert_int_equal(p.sm.esm_class, ESM_UDHI);
		assert_int_equal(p.tlvs.n, 0);
		assert_int_equal(p.sm.short_message.p[5], i);
		esme_told(&old, &p, ESME_ROK);
	}
	assert_true(esme_is_silent(&old));
	buf_free(&text);
	esme_close(&old);
}

static bool any_row(void *ctx, const struct store_view *v)
{
	return true;
}

/* ---- submit_multi ---------------------------------------------------------------------------- */

static struct pdu about(uint32_t command, uint64_t id, char text[24]);

/* Its id is that of all: asked about them, and called back with them. */
static void multi_asked(struct esme *m, uint64_t mixed)
{
	struct buf dests = BUF_INIT;
	struct pdu p = esme_submit("", "to all"), q, answer;
	struct store_filter f = { .state = STATE_CANCELLED, .media = -1, .most = 300 };
	struct pdu_addr a;
	char text[24], to[16];
	uint64_t id;

	q = about(SMPP_QUERY_SM, mixed, text);
	esme_ask(m, &q, &answer);
	assert_int_equal(answer.status, ESME_ROK);
	assert_int_equal(answer.resp.message_state, SMPP_STATE_UNDELIVERABLE); /* one of three */
	for (int i = 0; i < 100; i++) {
		snprintf(to, sizeof to, "467000001%02d", i);
		a = (struct pdu_addr){ 1, 1, str_of(to) };
		pdu_put_dest(&dests, &a, false);
	}
	p.command = SMPP_SUBMIT_MULTI;
	p.sm.dest_count = 100;
	p.sm.dests = buf_view(&dests);
	hold(true);
	esme_ask(m, &p, &answer);
	assert_int_equal(answer.status, ESME_ROK);
	id = esme_id(answer.resp.message_id);
	q = about(SMPP_QUERY_SM, id, text);
	esme_ask(m, &q, &answer);
	assert_int_equal(answer.resp.message_state, SMPP_STATE_ENROUTE);
	q = about(SMPP_CANCEL_SM, id, text);
	assert_int_equal(esme_refused(m, &q), ESME_ROK);
	assert_int_equal(
		store_search(gateway_store(fx.g), &f, any_row, NULL, &(struct err){ 0 }), 100);
	assert_int_equal(esme_refused(m, &q), ESME_RCANCELFAIL);
	q = about(SMPP_QUERY_SM, id, text);
	esme_ask(m, &q, &answer);
	assert_int_equal(answer.resp.message_state, SMPP_STATE_DELETED);
	hold(false);
	buf_free(&dests);
}

static void test_multi(void **state)
{
	static const char *const to[] = { "46", "46700000011", "46700000012", "4790000001",
		"46710000013" };
	struct esme m = esme_bound("multi");
	struct buf dests = BUF_INIT;
	struct pdu p = esme_submit("", "to all"), answer, d;
	struct pdu_addr a;
	struct str rest;
	uint32_t status;
	uint64_t id;
	unsigned delivered = 0, failed = 0;

	for (int i = 0; i < 5; i++) {
		a = (struct pdu_addr){ 1, 1, str_of(to[i]) };
		pdu_put_dest(&dests, &a, false);
	}
	a.addr = STR("friends");
	pdu_put_dest(&dests, &a, true);
	p.command = SMPP_SUBMIT_MULTI;
	p.sm.dest_count = 6;
	p.sm.dests = buf_view(&dests);
	p.sm.registered = 1;
	esme_ask(&m, &p, &answer);
	assert_int_equal(answer.status, ESME_ROK);
	id = esme_id(answer.resp.message_id);
	assert_int_equal(answer.resp.unsuccess_count, 3);
	rest = answer.resp.unsuccess;
	assert_true(pdu_unsuccess_next(&rest, &a, &status));
	assert_true(str_is(a.addr, "46"));
	assert_int_equal(status, ESME_RINVDSTADR);
	assert_true(pdu_unsuccess_next(&rest, &a, &status));
	assert_true(str_is(a.addr, "4790000001"));
	assert_int_equal(status, ESME_RINVDSTADR);
	assert_true(pdu_unsuccess_next(&rest, &a, &status));
	assert_true(str_is(a.addr, "friends"));
	assert_int_equal(status, ESME_RCNTSUBDL);
	/* one receipt each, all under that id */
	for (int i = 0; i < 3; i++) {
		struct smpp_receipt r = told(&m, ESME_ROK, &d);

		assert_int_equal(esme_id(r.id), id);
		if (str_is(d.sm.source.addr, "46710000013"))
			failed += r.state == SMPP_STATE_UNDELIVERABLE;
		else
			delivered += r.state == SMPP_STATE_DELIVERED;
	}
	assert_int_equal(delivered, 2);
	assert_int_equal(failed, 1);
	multi_asked(&m, id);
	/* nobody at all */
	buf_reset(&dests);
	a = (struct pdu_addr){ 1, 1, STR("12") };
	pdu_put_dest(&dests, &a, false);
	pdu_put_dest(&dests, &a, false);
	p.sm.dest_count = 2;
	p.sm.dests = buf_view(&dests);
	assert_int_equal(esme_refused(&m, &p), ESME_RINVDSTADR);
	p.sm.replace = 1;
	assert_int_equal(esme_refused(&m, &p), ESME_RINVSUBREP);
	/* as many as there may be */
	buf_reset(&dests);
	a = (struct pdu_addr){ 1, 1, STR("46700000011") };
	for (int i = 0; i < PDU_DESTS_MAX; i++)
		pdu_put_dest(&dests, &a, false);
	p.sm.replace = 0;
	p.sm.registered = 0;
	p.sm.dest_count = PDU_DESTS_MAX;
	p.sm.dests = buf_view(&dests);
	esme_ask(&m, &p, &answer);
	assert_int_equal(answer.status, ESME_ROK);
	assert_int_equal(answer.resp.unsuccess_count, 0);
	/* and gone before it is answered */
	for (int i = 0; i < 5; i++)
		esme_send(&m, &p);
	buf_free(&dests);
	esme_close(&m);
}

/* ---- query, cancel, replace ------------------------------------------------------------------ */

static struct pdu about(uint32_t command, uint64_t id, char text[24])
{
	snprintf(text, 24, "%lu", id);
	return (struct pdu){ .command = command,
		.sm = { .message_id = id ? str_of(text) : STR_NONE,
			.source = { 5, 0, STR("Shop") } } };
}

static void test_query(void **state)
{
	struct esme m = esme_bound("ask"), other = esme_bound("shop");
	struct pdu p = esme_submit("46700000021", "x"), q, answer;
	char text[24];
	uint64_t id, held;
	int64_t when;

	id = esme_accepted(&m, &p);
	leaves(id);
	hold(true);
	held = esme_accepted(&m, &p);
	q = about(SMPP_QUERY_SM, held, text);
	esme_ask(&m, &q, &answer);
	assert_int_equal(answer.status, ESME_ROK);
	assert_int_equal(esme_id(answer.resp.message_id), held);
	assert_int_equal(answer.resp.message_state, SMPP_STATE_ENROUTE);
	assert_int_equal(answer.resp.final_date.n, 0);
	q = about(SMPP_QUERY_SM, id, text);
	for (int i = 0; i < 100; i++) {
		esme_ask(&m, &q, &answer);
		assert_int_equal(answer.status, ESME_ROK);
		if (answer.resp.message_state == SMPP_STATE_DELIVERED)
			break;
		usleep(10000);
	}
	assert_int_equal(answer.resp.message_state, SMPP_STATE_DELIVERED);
	assert_int_equal(smpp_time_parse(answer.resp.final_date, clock_wall(), 0, &when), 1);
	/* not of another sender, another account, or nobody */
	q.sm.source.addr = STR("Other");
	assert_int_equal(esme_refused(&m, &q), ESME_RQUERYFAIL);
	q.sm.source.addr = STR_NONE;
	assert_int_equal(esme_refused(&m, &q), ESME_ROK);
	q = about(SMPP_QUERY_SM, id, text);
	assert_int_equal(esme_refused(&other, &q), ESME_RQUERYFAIL);
	q = about(SMPP_QUERY_SM, 12345, text);
	assert_int_equal(esme_refused(&m, &q), ESME_RQUERYFAIL);
	q.sm.message_id = STR("abc");
	assert_int_equal(esme_refused(&m, &q), ESME_RQUERYFAIL);
	hold(false);
	esme_close(&m);
	esme_close(&other);
}

static void test_cancel(void **state)
{
	struct esme m = esme_bound("ask");
	struct pdu p = esme_submit("46700000022", "x"), q, d;
	char text[24];
	uint64_t sent, id[3];
	struct store_view v;

	sent = esme_accepted(&m, &p);
	leaves(sent);
	hold(true);
	p.sm.registered = 1;
	for (int i = 0; i < 3; i++)
		id[i] = esme_accepted(&m, &p);
	q = about(SMPP_CANCEL_SM, id[1], text);
	esme_send(&m, &q);
	for (int i = 0; i < 2; i++) { /* in either order */
		struct smpp_receipt r;

		assert_true(esme_read(&m, &d));
		assert_int_equal(d.status, ESME_ROK);
		if (d.command == (SMPP_CANCEL_SM | SMPP_RESP))
			continue;
		assert_int_equal(receipt_parse(&r, &d, clock_wall(), NULL, 0), 0);
		assert_int_equal(esme_id(r.id), id[1]);
		assert_true(str_is(r.stat, "DELETED"));
		esme_told(&m, &d, ESME_ROK);
	}
	assert_int_equal(esme_refused(&m, &q), ESME_RCANCELFAIL);
	q = about(SMPP_CANCEL_SM, sent, text);
	assert_int_equal(esme_refused(&m, &q), ESME_RCANCELFAIL);
	q = about(SMPP_CANCEL_SM, 4711, text);
	assert_int_equal(esme_refused(&m, &q), ESME_RINVMSGID);
	/* all that wait between the two */
	q = about(SMPP_CANCEL_SM, 0, text);
	q.sm.dest = (struct pdu_addr){ 1, 1, STR("46700000099") };
	assert_int_equal(esme_refused(&m, &q), ESME_RCANCELFAIL);
	q.sm.dest.addr = STR("46700000022");
	esme_send(&m, &q);
	for (unsigned i = 0, ends = 0; i < 3; i++) {
		assert_true(esme_read(&m, &d));
		if (d.command == SMPP_DELIVER_SM) {
			esme_told(&m, &d, ESME_ROK);
			ends++;
		} else {
			assert_int_equal(d.command, SMPP_CANCEL_SM | SMPP_RESP);
			assert_int_equal(d.status, ESME_ROK);
		}
	}
	for (int i = 0; i < 3; i++) {
		v = fx_view(id[i]);
		assert_int_equal(v.state, STATE_CANCELLED);
		store_view_free(&v);
	}
	hold(false);
	esme_close(&m);
}

/* All that wait between the two, however many, and of one service alone where one is named. */
static void test_cancel_many(void **state)
{
	enum { N = 1100 };
	struct esme m = esme_bound("ask");
	struct pdu p = esme_submit("46700000027", "x"), q;
	struct store_filter f = { .to = STR("46700000027"), .media = -1, .most = 2 * N };
	struct err e;
	char text[24];
	uint64_t other;

	hold(true);
	p.sm.service_type = STR("WAP");
	other = esme_accepted(&m, &p);
	p.sm.service_type = STR("CMT");
	for (int i = 0; i < N; i++)
		esme_accepted(&m, &p);
	q = about(SMPP_CANCEL_SM, 0, text);
	q.sm.dest = (struct pdu_addr){ 1, 1, STR("46700000027") };
	q.sm.service_type = STR("USSD");
	assert_int_equal(esme_refused(&m, &q), ESME_RCANCELFAIL);
	q.sm.service_type = STR("CMT");
	assert_int_equal(esme_refused(&m, &q), ESME_ROK);
	f.state = STATE_CANCELLED;
	assert_int_equal(store_search(gateway_store(fx.g), &f, any_row, NULL, &e), N);
	f.state = STATE_QUEUED;
	assert_int_equal(store_search(gateway_store(fx.g), &f, any_row, NULL, &e), 1);
	q.sm.service_type = STR_NONE;
	assert_int_equal(esme_refused(&m, &q), ESME_ROK);
	assert_int_equal(store_search(gateway_store(fx.g), &f, any_row, NULL, &e), 0);
	hold(false);
	leaves(other);
	esme_close(&m);
}

static void test_replace(void **state)
{
	struct esme m = esme_bound("ask");
	struct pdu p = esme_submit("46700000023", "old"), q;
	char text[24];
	uint64_t id, wide, part;
	struct store_view v;

	hold(true);
	id = esme_accepted(&m, &p);
	q = about(SMPP_REPLACE_SM, id, text);
	q.sm.short_message = STR("new");
	q.sm.registered = 2;
	assert_int_equal(esme_refused(&m, &q), ESME_ROK);
	v = fx_view(id);
	assert_true(str_is(message_get(v.msg, FIELD_OCTETS), "new"));
	assert_int_equal(v.wants, WANT_FAILED);
	assert_int_equal(v.state, STATE_QUEUED);
	store_view_free(&v);
	/* in the coding of the old one */
	p.sm.data_coding = 8;
	p.sm.short_message = str_n("\0o", 2);
	wide = esme_accepted(&m, &p);
	q = about(SMPP_REPLACE_SM, wide, text);
	q.sm.short_message = str_n("\0n\0e\0w", 6);
	assert_int_equal(esme_refused(&m, &q), ESME_ROK);
	v = fx_view(wide);
	assert_int_equal(v.msg->sms.data_coding, 8);
	assert_true(str_eq(message_get(v.msg, FIELD_OCTETS), str_n("\0n\0e\0w", 6)));
	store_view_free(&v);
	/* not a part; not what is not there */
	p.sm.esm_class = ESM_UDHI;
	p.sm.short_message = str_n("\5\0\3\1\2\1\0o", 8);
	part = esme_accepted(&m, &p);
	q = about(SMPP_REPLACE_SM, part, text);
	q.sm.short_message = STR("new");
	assert_int_equal(esme_refused(&m, &q), ESME_RREPLACEFAIL);
	q = about(SMPP_REPLACE_SM, 4711, text);
	assert_int_equal(esme_refused(&m, &q), ESME_RREPLACEFAIL);
	/* for another time, there and back; not for one when it is over */
	q = about(SMPP_REPLACE_SM, id, text);
	q.sm.short_message = STR("later");
	q.sm.schedule = STR("000000010000000R");
	q.sm.validity = STR("000000003000000R");
	assert_int_equal(esme_refused(&m, &q), ESME_RINVSCHED);
	q.sm.validity = STR("000000020000000R");
	assert_int_equal(esme_refused(&m, &q), ESME_ROK);
	v = fx_view(id);
	assert_in_range(v.due - clock_wall(), 59 * DUR_MIN, 61 * DUR_MIN);
	assert_in_range(v.expires - clock_wall(), 119 * DUR_MIN, 121 * DUR_MIN);
	assert_true(str_is(message_get(v.msg, FIELD_OCTETS), "later"));
	store_view_free(&v);
	hold(false);
	leaves(wide);
	usleep(50000);
	v = fx_view(id);
	assert_int_equal(v.state, STATE_QUEUED);
	store_view_free(&v);
	hold(true);
	q.sm.schedule = STR("000001000000000R"); /* in a day: its two hours are over by then */
	q.sm.validity = STR_NONE;
	assert_int_equal(esme_refused(&m, &q), ESME_RINVSCHED);
	q.sm.schedule = STR("000000000001000R");
	assert_int_equal(esme_refused(&m, &q), ESME_ROK);
	hold(false);
	leaves(id);
	hold(true);
	/* by submit_sm: the newest between the two, else a new one */
	p = esme_submit("46700000024", "first");
	p.sm.replace = 1;
	id = esme_accepted(&m, &p);
	p.sm.short_message = str_n("\0s", 2);
	p.sm.data_coding = 8;
	assert_int_equal(esme_accepted(&m, &p), id);
	v = fx_view(id);
	assert_true(str_eq(message_get(v.msg, FIELD_OCTETS), str_n("\0s", 2)));
	assert_int_equal(v.msg->sms.data_coding, 8);
	store_view_free(&v);
	p.sm.service_type = STR("CMT");
	assert_true(esme_accepted(&m, &p) != id);
	p.sm.service_type = STR_NONE;
	p.sm.dest.addr = STR("46700000025");
	assert_true(esme_accepted(&m, &p) != id);
	p.sm.dest.addr = STR("12");
	assert_int_equal(esme_refused(&m, &p), ESME_RINVDSTADR);
	/* what waits for a time goes at once when its successor names none */
	p = esme_submit("46700000028", "first");
	p.sm.schedule = STR("000000010000000R");
	id = esme_accepted(&m, &p);
	hold(false);
	p.sm.replace = 1;
	p.sm.schedule = STR_NONE;
	assert_int_equal(esme_accepted(&m, &p), id);
	leaves(id);
	esme_close(&m);
}

/* 3.3 has room for eight characters: the replaced keeps the short id that it has. */
static void test_replace_short(void **state)
{
	struct esme m = esme_dial();
	struct pdu p = esme_submit("46700000029", "first"), answer;
	char id[12];

	assert_int_equal(esme_bind_as(&m, SMPP_BIND_TRANSCEIVER, "old", "secret", 0x33), ESME_ROK);
	hold(true);
	p.sm.replace = 1;
	esme_ask(&m, &p, &answer);
	assert_int_equal(answer.status, ESME_ROK);
	assert_int_equal(answer.resp.message_id.n, 8);
	str_copy(id, sizeof id, answer.resp.message_id);
	p.sm.short_message = STR("second");
	esme_ask(&m, &p, &answer);
	assert_int_equal(answer.status, ESME_ROK);
	assert_true(str_is(answer.resp.message_id, id));
	p = (struct pdu){ .command = SMPP_QUERY_SM, .sm = { .message_id = str_of(id) } };
	assert_int_equal(esme_refused(&m, &p), ESME_ROK);
	hold(false);
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
		cmocka_unit_test(test_receipt),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_short_ids_meet),
		cmocka_unit_test(test_receipts_wait),
		cmocka_unit_test(test_receipt_answers),
		cmocka_unit_test(test_mo),
		cmocka_unit_test(test_multi),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_many),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_replace_short),
	};

	return cmocka_run_group_tests_name("smpp submissions", tests, begin, end);
}
