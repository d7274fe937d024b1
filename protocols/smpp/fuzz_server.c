/* Fuzz target: the whole server half (session.c, submit.c, manage.c, tell.c, wire.c) under any
 * bytes from up to four ESMEs and any order of answers from behind.
 *
 * Streams, loop, clock of the loop and flow are stand-ins, linked instead of the real ones; nothing
 * is opened, nothing waits. The input is a list of steps: bytes or PDUs from an ESME,
 * an answer to a message or a question, a note to be told, time that passes, an end. Checked: what
 * is written is whole PDUs that our codec reads; messages have what flow relies on; everything
 * lent is given back and everything ends.
 */
#include "gateway/model/address.h"
#include "gateway/model/text.h"
#include "protocols/smpp/fuzz_world.h"
#include "protocols/smpp/server.h"

enum { ACCOUNTS = 2 };
#include "tests/fuzz/listener.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- flow ---- */

static struct {
	struct ask *asks[PENDING];
	unsigned asks_n;
	struct member m[ACCOUNTS];
	struct server srv;
	struct server_conf confs[2]; /* in force: confs[conf_at] */
	struct server_account_conf accounts[2][ACCOUNTS];
	unsigned conf_at;
	struct conf_pair services[1];
} w;

static bool is_password(struct str password)
{
	return !str_is(password, "wrong");
}

/* What flow, routes and channels rely on. */
static void check_message(const struct message *m, const struct server_account_conf *c)
{
	struct str to = message_get(m, FIELD_TO), tlvs = message_get(m, FIELD_TLVS), rest = tlvs;
	struct tlv t;
	size_t n = 0;

	CHECK(m->media < MEDIA_RECEIPT && m->priority < PRIORITY_COUNT);
	CHECK(to.n > 0 && to.n < 72);
	if (m->media == MEDIA_SMS)
		for (size_t i = 0; i < to.n; i++)
			CHECK(to.p[i] >= '0' && to.p[i] <= '9');
	CHECK(str_utf8_valid(message_get(m, FIELD_FROM)));
	CHECK(str_utf8_valid(message_get(m, FIELD_TEXT)));
	CHECK(message_get(m, FIELD_OCTETS).n <= UINT16_MAX);
	CHECK(!message_has(m, FIELD_OCTETS) || !message_has(m, FIELD_TEXT));
	CHECK(m->media == MEDIA_SMS || !(m->flags & MSG_OCTETS));
	while (tlv_next(&rest, &t))
		n += 4 + t.value.n;
	CHECK(n == tlvs.n);
}
void message_arrived(struct listener *l, struct account *a, struct message *m, void *token)
{
	check_message(m, a->specific);
	message_unref(&m);
	keep_token(token);
}
void account_ask(struct account *a, struct ask *ask)
{
	CHECK(w.asks_n < PENDING);
	CHECK((ask->kind == ASK_REPLACE) == (ask->msg != NULL));
	CHECK(strlen(ask->from) < sizeof ask->from && strlen(ask->to) < sizeof ask->to);
	message_unref(&ask->msg);
	w.asks[w.asks_n++] = ask;
}
/* ---- steps ---- */

static void answer(unsigned which, unsigned what)
{
	struct answer a = { .id = ++flow.id << (what & 31) };
	void *token = take_token(which);

	if (!token)
		return;
	a.duplicate = what & 64;
	if (what & 128) {
		a.reason = what % REASON_COUNT;
		str_copy(a.words, sizeof a.words, what & 32 ? STR("send_at is past") : STR_NONE);
	}
	server_answer(&flow.l, token, &a);
}

static void answer_ask(unsigned which, unsigned what, struct str *in)
{
	struct ask *ask;

	if (!w.asks_n)
		return;
	which %= w.asks_n;
	ask = w.asks[which];
	w.asks[which] = w.asks[--w.asks_n];
	ask->reason = what & 128 ? what % REASON_COUNT : REASON_NONE;
	ask->found = ++flow.id;
	ask->state = what % STATE_COUNT;
	ask->media = what & 64 ? MEDIA_VIBER : MEDIA_SMS;
	ask->sms.esm_class = what & 32 ? ESM_UDHI : 0;
	ask->sms.data_coding = (uint8_t)take_u8(in);
	ask->final_at = what & 16 ? clock_wall() : 0;
	str_copy(ask->err, sizeof ask->err, what & 8 ? STR("11") : STR("x"));
	ask->done(ask);
}

/* A note as store and channels make it. */
static void tell(struct str *in)
{
	unsigned what = take_u8(in), kind = what & 3, a = what >> 2 & 1;
	struct note *n;
	struct draft d;
	struct str text;
	struct text_decoded how;
	struct buf words = BUF_INIT;

	if (!may_tell())
		return;
	n = mem_new(struct note);
	n->kind = kind == 0 ? NOTE_MO : kind == 1 ? NOTE_INTERMEDIATE : NOTE_RECEIPT;
	n->seq = flow.id;
	n->msg = ++flow.id << (what >> 3);
	n->state = take_u8(in) % STATE_COUNT;
	n->reason = take_u8(in) % REASON_COUNT;
	n->parts = (uint8_t)(what >> 5);
	n->sms = (struct sms_attrs){ 2, 1, 1, 1, 0, 0, 0, 1 };
	n->accepted = n->at = clock_wall();
	str_copy(n->from, sizeof n->from, STR("Shop"));
	str_copy(n->to, sizeof n->to, STR("46700000001"));
	str_copy(n->err, sizeof n->err, what & 16 ? STR("11") : STR("abc"));
	if (what & 8)
		str_copy(n->client_id, sizeof n->client_id, STR("0123ABCD"));
	if (n->kind == NOTE_MO) {
		draft_init(&d);
		text = take_bytes(in);
		d.head.flags = MSG_MO;
		d.head.sms = (struct sms_attrs){ 1, 1, 1, 1, 0, (uint8_t)take_u8(in), 0, 0 };
		d.head.sms.esm_class = what & 32 ? ESM_UDHI : 0;
		draft_put(&d, FIELD_FROM, STR("46700000001"));
		draft_put(&d, FIELD_TO, STR("71000"));
		if (what & 16) {
			d.head.flags |= MSG_OCTETS;
			draft_put(&d, FIELD_OCTETS, text);
		} else {
			text_decode(4, text, false, NULL, &how, &words, NULL);
			buf_reset(&words);
			for (size_t i = 0; i < text.n; i++)
				buf_utf8(&words, (unsigned char)text.p[i] * 31u);
			draft_put(&d, FIELD_TEXT, buf_view(&words));
			buf_free(&words);
		}
		n->mo = draft_seal(&d);
		draft_free(&d);
	}
	flow.notes++;
	tell_note(&flow.a[a], n);
}

static void open_stream(unsigned i)
{
	connect_from(i, 0xc0000201 + (i & 1));
	if (world.streams[i].used && !world.streams[i].closed)
		world.streams[i].ev->open(&world.streams[i], world.streams[i].owner);
}

static void send_bind(struct stream *s, unsigned what)
{
	static const uint32_t kinds[] = { SMPP_BIND_TRANSCEIVER, SMPP_BIND_TRANSMITTER,
		SMPP_BIND_RECEIVER };
	static const uint8_t versions[] = { 0x34, 0x33, 0x50, 0 };
	struct pdu_bind b = {
		.system_id = what & 1 ? STR("till") : STR("shop"),
		.password = what >> 1 == 127 ? STR("wrong") : STR("secret"),
		.interface_version = versions[what >> 3 & 3],
	};

	pdu_put_bind(&s->in, kinds[(what >> 1 & 3) % 3], 1, &b);
	s->again = true;
}

/* New settings: equal ones, or another password for the first account. */
static void adopt(bool password)
{
	unsigned other = w.conf_at ^ 1;

	memcpy(w.accounts[other], w.accounts[w.conf_at], sizeof w.accounts[0]);
	w.confs[other] = w.confs[w.conf_at];
	w.confs[other].accounts = w.accounts[other];
	if (password)
		w.accounts[other][0].common.password =
			w.accounts[other][0].common.password[0] ? "" : "secret";
	for (int i = 0; i < ACCOUNTS; i++) {
		flow.a[i].specific = &w.accounts[other][i];
		flow.a[i].conf = &w.accounts[other][i].common;
	}
	CHECK(server_adopt(&flow.l, &w.confs[other]) == 0);
	flow.l.specific = &w.confs[other];
	w.conf_at = other;
}

static void step(struct str *in)
{
	static const uint32_t commands[] = { SMPP_SUBMIT_SM, SMPP_SUBMIT_SM, SMPP_DATA_SM,
		SMPP_SUBMIT_MULTI, SMPP_QUERY_SM, SMPP_CANCEL_SM, SMPP_REPLACE_SM, SMPP_UNBIND,
		SMPP_ENQUIRE_LINK, SMPP_DELIVER_SM, SMPP_BIND_TRANSCEIVER, SMPP_OUTBIND,
		SMPP_DELIVER_SM | SMPP_RESP, SMPP_ENQUIRE_LINK | SMPP_RESP, SMPP_GENERIC_NACK,
		SMPP_UNBIND | SMPP_RESP };
	unsigned op = take_u8(in), i = op & 3, arg;
	struct stream *s = &world.streams[i];
	bool live = s->used && !s->closed;

	switch (op >> 2 & 15) {
	case 0:
		open_stream(i);
		break;
	case 1:
		arg = take_u8(in);
		open_stream(i);
		if (s->used && !s->closed)
			send_bind(s, arg);
		turn();
		verify();
		break;
	case 2:
		if (live) {
			buf_str(&s->in, take_bytes(in));
			s->again = true;
		}
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		arg = take_u8(in);
		if (live)
			send_pdu(s, commands[arg & 15], arg >> 4, take_bytes(in));
		break;
	case 7:
		arg = take_u8(in);
		if (live && s->far.asked_n)
			send_pdu(s, arg & 128 ? SMPP_GENERIC_NACK : SMPP_DELIVER_SM | SMPP_RESP,
				s->far.asked[arg % ASKED].sequence,
				arg & 64 ? STR_NONE : str_n("", 1));
		break;
	case 8:
		arg = take_u8(in);
		answer(i, arg);
		break;
	case 9:
		arg = take_u8(in);
		answer_ask(i, arg, in);
		break;
	case 10:
		tell(in);
		break;
	case 11:
		arg = take_u8(in);
		pass((dur_t)arg * (i ? DUR_S : 10 * DUR_MS));
		break;
	case 12:
		verify();
		break;
	case 13:
		if (live)
			turn_full(s, i & 1);
		break;
	case 14:
		if (live)
			s->ev->down(s, s->owner, &(struct err){ .text = "reset" });
		break;
	default:
		if (i > 1)
			adopt(i == 2);
		else
			flow.delay = i ? 0 : DUR_S;
		break;
	}
	turn();
	pass(0);
	turn();
}

/* ---- beginning and end ---- */

static void begin(struct str *in)
{
	static const struct account_conf common = { .password = "",
		.policy = "",
		.media = "sms",
		.priority = "",
		.max_binds = 2,
		.window = 4 };
	static const char *const names[ACCOUNTS] = { "shop", "till" };

	memset(&w, 0, sizeof w);
	listener_begin("esme", &w.srv, &w.confs[0]);
	far_flags = PDU_LONG_NAMES | PDU_V50;
	w.services[0] = (struct conf_pair){ "VIB", "viber" };
	for (int i = 0; i < ACCOUNTS; i++) {
		struct server_account_conf *c = &w.accounts[0][i];
		unsigned what = take_u8(in), more = take_u8(in);

		*c = (struct server_account_conf){ .system_id = names[i], .common = common };
		c->common.services = w.services;
		c->common.services_n = 1;
		c->dcs0 = what % (TEXT_FORM_UTF8 + 1);
		c->id = what >> 3 & 3;
		c->tlvs = (what >> 5 & 3) % 3;
		c->ascii_gsm = what >> 7;
		c->mo_split = more & 1   ? TEXT_SPLIT_SAR
			      : more & 2 ? TEXT_SPLIT_PAYLOAD
					 : TEXT_SPLIT_UDH8;
		c->dates = more & 4 ? 12 : 10;
		c->probe = more & 8;
		c->known_services = more & 16;
		if (more & 32)
			c->common.media = "email";
		flow.a[i] = (struct account){ .name = names[i],
			.loop = flow.l.loop,
			.conf = &c->common,
			.specific = c,
			.self = &w.m[i],
			.submitter = 1 };
		server_account_open(&flow.a[i]);
	}
	w.confs[0] = (struct server_conf){ .listen = "",
		.system_id = "postern",
		.accounts = w.accounts[0],
		.accounts_n = ACCOUNTS,
		.connections = STREAMS,
		.unbound_per_address = 2,
		.session_init = 15 * DUR_S,
		.enquire = 30 * DUR_S,
		.enquire_wait = 15 * DUR_S,
		.inactivity = 300 * DUR_S,
		.answer_wait = 60 * DUR_S,
		.pdu_most = PDU_CAP };
	w.confs[0].evict = take_u8(in) % 3;
	w.confs[0].lenient = take_u8(in) & 1;
}

static void end(void)
{
	struct buf b = BUF_INIT;

	server_describe(&flow.l, &b);
	buf_free(&b);
	server_unlisten(&flow.l, 5 * DUR_S);
	turn();
	for (int i = 0; i < 100 && !flow.closed; i++) {
		while (flow.verifies_n)
			verify();
		while (w.asks_n)
			answer_ask(0, 128 | REASON_STOPPING, &(struct str){ "", 0 });
		while (flow.tokens_n)
			answer(0, 128 | REASON_STOPPING);
		turn();
		pass(10 * DUR_S);
		turn();
	}
	CHECK(flow.closed && flow.notes == 0 && w.m[0].n == 0 && w.m[1].n == 0);
	world_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_n(data, size);
	struct err e;
	unsigned steps = 0;

	begin(&in);
	CHECK(server_listen(&flow.l, &e) == 0);
	turn();
	while (in.n && steps++ < 100)
		step(&in);
	end();
	return 0;
}
