/* What ESMEs are told: receipts and subscribers' messages, against a whole gateway with null
 * channels. */
#include "protocols/smpp/submit_fixture.h"

/* ---- receipts -------------------------------------------------------------------------------- */

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_receipt),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_short_ids_meet),
		cmocka_unit_test(test_receipts_wait),
		cmocka_unit_test(test_receipt_answers),
		cmocka_unit_test(test_mo),
	};

	return cmocka_run_group_tests_name("smpp receipts", tests, begin, end);
}
