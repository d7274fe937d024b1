/* Fuzz target: the whole client half (client*.c, wire.c) under any bytes from an SMSC, any messages
 * from the gateway and any order of what happens, with one of several sets of settings.
 *
 * The input is a list of steps: connections that open or break, answers and PDUs from the SMSC,
 * deliveries, answers of the store, time, new settings. Checked: what is written is whole PDUs that
 * our codec reads; no more parts are asked for than there are; each delivery comes back once, with
 * a verdict that fits; receipts and subscribers' messages have what flow relies on; all ends.
 */
#include "protocols/smpp/client.h"
#include "protocols/smpp/fuzz_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- flow ---- */

enum { TOKENS = 256, PARTS = 8, LENT = 64, CONFS = 10 };

static struct {
	void *tokens[TOKENS]; /* receipts and subscribers' messages that wait for the store */
	unsigned tokens_n;
	struct delivery *lent[LENT];
	unsigned window, in_flight; /* parts */
	bool inside;                /* submit(): nothing may come back */
	struct message *parts[PARTS];
	unsigned parts_n;
	uint64_t id;
	struct channel c;
	struct channel_conf common;
	struct client client;
	bool closed;
} w;

void channel_window(struct channel *c, unsigned parts, const struct err *why)
{
	CHECK(parts <= STREAMS * (unsigned)c->conf->window);
	CHECK(!why || (why->text[0] && str_utf8_valid(str_of(why->text))));
	w.window = parts;
}
void channel_closed(struct channel *c)
{
	CHECK(!w.closed && !w.inside);
	w.closed = true;
}
void channel_congestion(struct channel *c, unsigned percent)
{
	CHECK(percent <= 100);
}
static void check_outcome(const struct outcome *o)
{
	CHECK(memchr(o->words, 0, sizeof o->words) && str_utf8_valid(str_of(o->words)));
	CHECK(memchr(o->far_id, 0, sizeof o->far_id) && memchr(o->key, 0, sizeof o->key));
	CHECK((o->reason == REASON_NONE) == (o->verdict == VERDICT_SENT));
}
static bool is_lent(const struct delivery *d)
{
	for (int i = 0; i < LENT; i++)
		if (w.lent[i] == d)
			return true;
	return false;
}
void delivery_cut(struct delivery *d, unsigned parts)
{
	CHECK(is_lent(d) && w.inside && parts > 0 && parts < 256 && !d->parts_sent[0]);
	w.in_flight += parts;
	w.in_flight -= d->parts;
	d->parts = (uint8_t)parts;
}
void delivery_part(struct delivery *d, unsigned part, const struct outcome *o)
{
	CHECK(is_lent(d) && part < d->parts);
	check_outcome(o);
}
void delivery_done(struct delivery *d, const struct outcome *o)
{
	CHECK(is_lent(d) && !w.inside);
	check_outcome(o);
	for (int i = 0; i < LENT; i++)
		if (w.lent[i] == d)
			w.lent[i] = NULL;
	w.in_flight -= d->parts;
	message_unref(&d->msg);
	mem_free(&d);
}
void delivery_late(struct channel *c, uint64_t msg, unsigned part, const struct outcome *o)
{
	CHECK(msg && msg <= w.id && part < 255);
	check_outcome(o);
}
static void keep_token(void *token)
{
	if (w.tokens_n < TOKENS)
		w.tokens[w.tokens_n++] = token;
	else
		client_receipt_answer(&w.c, token, false);
}
void receipt_arrived(struct channel *c, const struct receipt_in *r, void *token)
{
	CHECK(r->keys >= 1 && r->keys <= 5 && r->state < STATE_COUNT && r->reason < REASON_COUNT);
	for (unsigned i = 0; i < r->keys; i++)
		CHECK(r->key[i][0] && memchr(r->key[i], 0, sizeof r->key[i]));
	CHECK(r->raw_id[0] && memchr(r->raw_id, 0, sizeof r->raw_id));
	CHECK(memchr(r->to, 0, sizeof r->to) && str_utf8_valid(str_of(r->to)));
	CHECK(memchr(r->err, 0, sizeof r->err));
	if (r->found)
		r->found(c, r, r->keys > 1, r->key[r->keys - 1]);
	keep_token(token);
}
static void check_heard(const struct message *m)
{
	struct str tlvs = message_get(m, FIELD_TLVS);
	struct tlv t;
	size_t n = 0, most = tlvs.n;

	CHECK(m->media == MEDIA_SMS && m->flags & MSG_MO);
	CHECK(str_utf8_valid(message_get(m, FIELD_FROM)));
	CHECK(str_utf8_valid(message_get(m, FIELD_TO)) && message_get(m, FIELD_TO).n < 72);
	CHECK(str_utf8_valid(message_get(m, FIELD_TEXT)));
	while (tlv_next(&tlvs, &t))
		n += 4 + t.value.n;
	CHECK(n == most);
}
void subscriber_message(
	struct channel *c, struct message *m, const struct mo_part *part, void *token)
{
	struct message *whole;

	check_heard(m);
	if (part) {
		CHECK(part->key[0] && memchr(part->key, 0, sizeof part->key));
		CHECK(part->parts > 1 && part->part < part->parts);
		if (w.parts_n == PARTS)
			message_unref(&w.parts[--w.parts_n]);
		w.parts[w.parts_n++] = message_ref(m);
		whole = part->join(w.parts, w.parts_n);
		if (whole)
			check_heard(whole);
		message_unref(&whole);
	}
	message_unref(&m);
	keep_token(token);
}

/* ---- settings ---- */

static struct client_conf *confs[CONFS];

static void make_confs(void)
{
	static const char *const texts[CONFS] = {
		"",
		"interface_version = \"3.3\"; bind = \"both\"; dcs0 = \"gsm-packed\"; id_form = "
		"\"hex-dec\";",
		"split = \"sar\"; alphabets = [ \"latin1\", \"ucs2\" ]; receipt_sniff = true;",
		"split = \"payload\"; interface_version = \"5.0\"; validity = \"absolute\";",
		"bind = \"both\"; split = \"udh16\"; receipts = \"none\"; more_messages = true;",
		"bind = \"receiver\"; id_form = \"same\";",
		"dcs0 = \"latin1\"; transliterate = [ \"all\" ]; lossy = true; id_form = \"wrap\";",
		"dcs0 = \"utf8\"; shift_tables = [ \"turkish\", \"hindi\" ]; locking_shift = true;",
		"split = \"none\"; dcs0 = \"ascii\"; fewest_parts = true; ascii_gsm = true;",
		"tlv = [ \"all\" ]; max_parts = 255; id_form = \"fold\"; "
		"backup = [ \"192.0.2.2\", \"[2001:db8::1]:2776\" ]; "
		"status = { x400 = \"temporary\"; }; stat = { FAILED = \"undeliverable\"; };",
	};
	char text[512];

	for (int i = 0; i < CONFS && !confs[i]; i++) {
		snprintf(text, sizeof text,
			"host = \"192.0.2.1\"; system_id = \"me\"; password = \"x\"; %s", texts[i]);
		confs[i] = take_settings(client_rows, sizeof *confs[0], text);
	}
}

/* ---- steps ---- */

static void put_some_tlvs(struct draft *d, struct str *in)
{
	struct buf b = BUF_INIT;
	unsigned n = take_u8(in) & 3;

	while (n--) {
		uint16_t tag = (uint16_t)(take_u8(in) << 8);

		tag |= (uint16_t)take_u8(in);
		pdu_put_tlv(&b, tag, take_bytes(in));
	}
	draft_put(d, FIELD_TLVS, buf_view(&b));
	buf_free(&b);
}

/* A message as listeners and the store give them. */
static struct message *take_message(struct str *in)
{
	static const char *const senders[] = { "", "Shop", "46700000009", "71000", "Kafé ☕ шоп",
		"a very long name that nobody takes" };
	static const char *const numbers[] = { "46700000001", "1", "12345", "123456789012345",
		"not a number", "" };
	unsigned what = take_u8(in), dcs = take_u8(in);
	struct draft d;
	struct buf utf8 = BUF_INIT;
	struct str text;
	struct message *m;

	draft_init(&d);
	d.head.id = ++w.id;
	d.head.priority = what & 3 ? (what & 3) - 1 : PRIORITY_NORMAL;
	d.head.wants = (uint8_t)(dcs & 7);
	d.head.sms.data_coding = (uint8_t)dcs;
	d.head.expires = what & 4 ? clock_wall() + (dur_t)dcs * DUR_DAY : 0;
	draft_put(&d, FIELD_FROM, str_of(senders[(what >> 3) % 6]));
	d.head.sms.src_ton = (what >> 3) % 6 == 1 ? 5 : 1;
	draft_put(&d, FIELD_TO, str_of(numbers[(what >> 5) % 6]));
	if ((dcs & 0x38) == 0x38)
		draft_put(&d, FIELD_SERVICE_TYPE, dcs & 1 ? STR("too long") : STR("CMT"));
	if (what & 128)
		put_some_tlvs(&d, in);
	text = take_bytes(in);
	if (dcs & 64) {
		d.head.flags = MSG_OCTETS | (dcs & 1 ? MSG_REPLACE : 0);
		d.head.sms.data_coding = (uint8_t)take_u8(in);
		d.head.sms.esm_class = (uint8_t)take_u8(in);
		draft_put(&d, FIELD_OCTETS, text);
		if (d.head.sms.esm_class & ESM_UDHI && udh_parse(text, &(struct udh){ 0 }, NULL))
			d.head.sms.esm_class &= (uint8_t)~ESM_UDHI; /* no listener lets it in */
	} else {
		while (text.n) {
			int32_t c = str_utf8_next(&text);

			buf_utf8(&utf8, c < 0 ? 0x20ac : (uint32_t)c);
		}
		draft_put(&d, FIELD_TEXT, buf_view(&utf8));
		buf_free(&utf8);
	}
	m = draft_seal(&d);
	draft_free(&d);
	return m;
}

/* Flow's side of submit(): within the window, of what parts() let pass. */
static void lend(struct str *in)
{
	struct message *m = take_message(in);
	unsigned what = take_u8(in), parts, slot = 0;
	struct outcome why;
	struct delivery *d;

	while (slot < LENT && w.lent[slot])
		slot++;
	parts = client_parts(&w.c, m, &why);
	if (parts == 0)
		check_outcome(&why);
	if (parts == 0 || slot == LENT || w.in_flight >= w.window || w.closed) {
		message_unref(&m);
		return;
	}
	d = mem_new(struct delivery);
	d->msg = m;
	d->channel = &w.c;
	d->attempt = 1 + (what & 3);
	d->parts = (uint8_t)(what & 128 ? parts % 7 + 1 : parts); /* cut by older settings */
	if (what & 4)
		d->parts_sent[0] = (uint8_t)(what >> 3);
	w.in_flight += d->parts;
	w.lent[slot] = d;
	w.inside = true;
	client_submit(&w.c, d);
	w.inside = false;
}

static void answer_asked(struct stream *s, struct str *in)
{
	static const uint32_t statuses[] = { 0, 0, 0, 0, 0, 0, 0, 0, ESME_RTHROTTLED, ESME_RMSGQFUL,
		ESME_RINVDSTADR, ESME_RSUBMITFAIL, ESME_RINVBNDSTS, ESME_RUNKNOWNERR, 0x400, 0xff };
	unsigned what = take_u8(in), how = take_u8(in);
	struct asked *a = &s->far.asked[what % ASKED];
	size_t at;

	if (!s->far.asked_n || !a->command)
		return;
	at = pdu_begin(&s->in, how & 128 ? SMPP_GENERIC_NACK : a->command | SMPP_RESP,
		statuses[what >> 4], a->sequence);
	if (a->command != SMPP_UNBIND)
		buf_str(&s->in, take_bytes(in));
	if (how & 64)
		buf_char(&s->in, 0);
	if (how & 32)
		pdu_put_tlv_u8(&s->in, how & 16 ? TLV_CONGESTION_STATE : TLV_SC_INTERFACE_VERSION,
			(uint8_t)how);
	if (how & 8)
		pdu_put_tlv_cstr(&s->in, TLV_ADDITIONAL_STATUS_INFO_TEXT, take_bytes(in));
	pdu_end(&s->in, at);
	s->again = true;
}

/* Connects, and takes the bind that comes. */
static void bind_stream(struct stream *s)
{
	s->ev->open(s, s->owner);
	turn();
	for (unsigned i = 0; i < ASKED && s->used && !s->closed; i++) {
		struct asked *a = &s->far.asked[i];

		if (a->command == SMPP_BIND_TRANSCEIVER || a->command == SMPP_BIND_TRANSMITTER ||
			a->command == SMPP_BIND_RECEIVER) {
			pdu_put_bind_resp(
				&s->in, a->command | SMPP_RESP, a->sequence, STR("SMSC"), 0x34);
			s->again = true;
		}
	}
}

static void send_receipt(struct stream *s, struct str *in)
{
	static const char more[] = " sub:001 dlvrd:001 submit date:2611221000 done "
				   "date:2611221001 stat:DELIVRD err:000 text:";
	static const char *const before[] = { "id:", "id:", "id:", "" };
	static const char *const after[] = { more, " stat:UNDELIV err:011", " stat:ENROUTE", "" };
	unsigned what = take_u8(in);
	struct str id = take_bytes(in);
	struct buf text = BUF_INIT, tlvs = BUF_INIT;
	struct pdu_sm sm = {
		.source = { 1, 1, STR("46700000001") },
		.dest = { 5, 0, STR("Shop") },
		.esm_class = what & 4   ? 0
			     : what & 8 ? ESM_TYPE_INTERMEDIATE
					: ESM_TYPE_RECEIPT,
	};

	buf_c(&text, before[what & 3]);
	buf_str(&text, id);
	buf_c(&text, after[what & 3]);
	sm.short_message = str_n(text.p, text.n < 254 ? text.n : 254);
	if (what & 16)
		pdu_put_tlv_cstr(&tlvs, TLV_RECEIPTED_MESSAGE_ID, id);
	if (what & 32)
		pdu_put_tlv_u8(&tlvs, TLV_MESSAGE_STATE, (uint8_t)(what >> 5));
	pdu_put_deliver_sm(&s->in, what, &sm, buf_view(&tlvs));
	s->again = true;
	buf_free(&text);
	buf_free(&tlvs);
}

static void send_text(struct stream *s, struct str *in)
{
	struct pdu_sm sm = {
		.source = { (uint8_t)(take_u8(in) & 7), 1, take_bytes(in) },
		.dest = { 1, 1, STR("71000") },
		.esm_class = (uint8_t)take_u8(in),
		.data_coding = (uint8_t)take_u8(in),
	};
	struct buf tlvs = BUF_INIT;
	unsigned sar = take_u8(in);
	struct str text = take_bytes(in);

	if (text.n > 254)
		pdu_put_tlv(&tlvs, TLV_MESSAGE_PAYLOAD, text);
	else
		sm.short_message = text;
	if (sar & 128) {
		pdu_put_tlv_u16(&tlvs, TLV_SAR_MSG_REF_NUM, 7);
		pdu_put_tlv_u8(&tlvs, TLV_SAR_TOTAL_SEGMENTS, sar & 7);
		pdu_put_tlv_u8(&tlvs, TLV_SAR_SEGMENT_SEQNUM, sar >> 3 & 7);
	}
	pdu_put_deliver_sm(&s->in, 9, &sm, buf_view(&tlvs));
	s->again = true;
	buf_free(&tlvs);
}

static void answer_token(unsigned which, bool stored)
{
	void *token;

	if (!w.tokens_n)
		return;
	which %= w.tokens_n;
	token = w.tokens[which];
	w.tokens[which] = w.tokens[--w.tokens_n];
	client_receipt_answer(&w.c, token, stored);
}

static void step(struct str *in)
{
	static const uint32_t commands[] = { SMPP_DELIVER_SM, SMPP_DATA_SM, SMPP_DELIVER_SM,
		SMPP_SUBMIT_SM | SMPP_RESP, SMPP_GENERIC_NACK, SMPP_ALERT_NOTIFICATION, SMPP_UNBIND,
		SMPP_ENQUIRE_LINK, SMPP_ENQUIRE_LINK | SMPP_RESP, SMPP_OUTBIND, SMPP_SUBMIT_SM,
		SMPP_BIND_TRANSCEIVER | SMPP_RESP, SMPP_UNBIND | SMPP_RESP,
		SMPP_DATA_SM | SMPP_RESP, SMPP_QUERY_SM | SMPP_RESP, 0x999 };
	unsigned op = take_u8(in), i = op & 3, arg;
	struct stream *s = &world.streams[i];
	bool live = s->used && !s->closed;
	struct buf b = BUF_INIT;

	switch (op >> 2 & 15) {
	case 0:
		if (live)
			s->ev->open(s, s->owner);
		break;
	case 1:
		if (live)
			bind_stream(s);
		break;
	case 2:
		if (live) {
			buf_str(&s->in, take_bytes(in));
			s->again = true;
		}
		break;
	case 3:
		arg = take_u8(in);
		if (live)
			send_pdu(s, commands[arg & 15], arg >> 4, take_bytes(in));
		break;
	case 4:
	case 5:
		if (live)
			answer_asked(s, in);
		break;
	case 6:
		if (live)
			send_receipt(s, in);
		break;
	case 7:
		if (live)
			send_text(s, in);
		break;
	case 8:
	case 9:
	case 10:
		lend(in);
		break;
	case 11:
		arg = take_u8(in);
		answer_token(arg >> 1, arg & 1);
		break;
	case 12:
		arg = take_u8(in);
		pass((dur_t)arg * (i ? DUR_S : 10 * DUR_MS));
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
		arg = take_u8(in) % CONFS;
		client_describe(&w.c, &b);
		buf_free(&b);
		if (client_adopt(&w.c, confs[arg]) == 0)
			w.c.specific = confs[arg];
		break;
	}
	turn();
	pass(0);
	turn();
}

static void end(void)
{
	struct buf b = BUF_INIT;

	client_describe(&w.c, &b);
	buf_free(&b);
	client_close(&w.c, 10 * DUR_S);
	for (int i = 0; i < 20 && !w.closed; i++) {
		turn();
		pass(5 * DUR_S);
	}
	turn();
	CHECK(w.closed && w.in_flight == 0);
	while (w.tokens_n)
		answer_token(0, true);
	while (w.parts_n)
		message_unref(&w.parts[--w.parts_n]);
	world_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_n(data, size);
	unsigned steps = 0, what;
	struct err e;

	make_confs();
	world_begin();
	/* Submitters' TLVs pass as a lenient listener took them. */
	far_flags = PDU_LONG_NAMES | PDU_V50 | PDU_LENIENT;
	memset(&w, 0, sizeof w);
	what = take_u8(&in);
	w.common = (struct channel_conf){ .name = "smsc",
		.group = what & 64 ? "pair" : "",
		.connections = what & 128 ? 2 : 1,
		.window = 4 };
	w.c = (struct channel){ .name = "smsc",
		.loop = (struct loop *)&dummy,
		.conf = &w.common,
		.specific = confs[(what & 63) % CONFS],
		.self = &w.client,
		.country = "46",
		.trunk = "0" };
	CHECK(client_open(&w.c, &e) == 0);
	turn();
	while (in.n && steps++ < 100)
		step(&in);
	end();
	return 0;
}
