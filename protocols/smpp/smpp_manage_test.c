/* What ESMEs ask about what they submitted: submit_multi, query, cancel, replace, against a whole
 * gateway with null channels. */
#include "protocols/smpp/submit_fixture.h"

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

/* … and gets one when it was submitted by a later version, under which its receipt comes, too. */
static void test_replace_named(void **state)
{
	struct esme later = esme_dial(), m = esme_dial();
	struct pdu p = esme_submit("46700000030", "first"), answer;
	struct store_view v;
	uint64_t id;
	char name[12];

	assert_int_equal(
		esme_bind_as(&later, SMPP_BIND_TRANSMITTER, "old", "secret", 0x34), ESME_ROK);
	assert_int_equal(esme_bind_as(&m, SMPP_BIND_TRANSCEIVER, "old", "secret", 0x33), ESME_ROK);
	hold(true);
	id = esme_accepted(&later, &p);
	p.sm.replace = 1;
	p.sm.short_message = STR("second");
	esme_ask(&m, &p, &answer);
	assert_int_equal(answer.status, ESME_ROK);
	assert_int_equal(answer.resp.message_id.n, 8);
	str_copy(name, sizeof name, answer.resp.message_id);
	v = fx_view(id);
	assert_string_equal(v.client_id, name);
	store_view_free(&v);
	esme_ask(&m, &p, &answer);
	assert_true(str_is(answer.resp.message_id, name));
	p = (struct pdu){ .command = SMPP_QUERY_SM, .sm = { .message_id = str_of(name) } };
	assert_int_equal(esme_refused(&m, &p), ESME_ROK);
	p.command = SMPP_CANCEL_SM;
	assert_int_equal(esme_refused(&m, &p), ESME_ROK);
	hold(false);
	esme_close(&m);
	esme_close(&later);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_multi),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_many),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_replace_short),
		cmocka_unit_test(test_replace_named),
	};

	return cmocka_run_group_tests_name("smpp questions", tests, begin, end);
}
