/* The client's pure half: settings, what a message becomes, what an answer means, what came in. */
#include "gateway/model/translit.h"
#include "protocols/smpp/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct arena *arena;

/* Settings from the text of a channel's group. */
static const struct client_conf *conf_of(const char *text)
{
	struct conf_faults f = { 0 };
	struct buf b = BUF_INIT, said = BUF_INIT;
	void *out;

	buf_printf(&b, "host = \"h\"; %s", text);
	if (conf_load_text("test", buf_view(&b), client_rows, sizeof(struct client_conf), arena,
		    &out, &f) != 0) {
		conf_faults_text(&f, &said);
		fail_msg("%s", buf_cstr(&said));
	}
	conf_faults_free(&f);
	buf_free(&b);
	return out;
}

static bool conf_fails(const char *text, const char *says)
{
	struct conf_faults f = { 0 };
	struct buf b = BUF_INIT, said = BUF_INIT;
	void *out;
	bool found;

	buf_printf(&b, "host = \"h\"; %s", text);
	conf_load_text(
		"test", buf_view(&b), client_rows, sizeof(struct client_conf), arena, &out, &f);
	conf_faults_text(&f, &said);
	found = f.errors && str_find(buf_view(&said), str_of(says)) >= 0;
	if (!found)
		print_message("%s said: %s\n", text, buf_cstr(&said));
	conf_faults_free(&f);
	buf_free(&b);
	buf_free(&said);
	return found;
}

struct given {
	const char *from, *to, *text;
	struct str octets;
	uint8_t data_coding, esm_class, flags, src_ton;
	struct str tlvs;
};
static struct message *message_of(const struct given *g)
{
	struct draft d;
	struct message *m;

	draft_init(&d);
	d.head.media = MEDIA_SMS;
	d.head.flags = (uint8_t)(g->flags | (g->octets.p ? MSG_OCTETS : 0));
	d.head.sms.data_coding = g->data_coding;
	d.head.sms.esm_class = g->esm_class;
	d.head.sms.src_ton = g->src_ton;
	draft_put(&d, FIELD_FROM, str_of(g->from));
	draft_put(&d, FIELD_TO, str_of(g->to ? g->to : "46700000001"));
	draft_put(&d, FIELD_TEXT, str_of(g->text));
	if (g->octets.p)
		draft_put(&d, FIELD_OCTETS, g->octets);
	if (g->tlvs.p)
		draft_put(&d, FIELD_TLVS, g->tlvs);
	m = draft_seal(&d);
	draft_free(&d);
	return m;
}

static int set_up(void **state)
{
	arena = arena_new();
	return 0;
}

static int tear_down(void **state)
{
	arena_free(&arena);
	return 0;
}

/* ---- settings ---- */

static void test_tables_are_sound(void **state)
{
	struct err e = { 0 };

	if (conf_table_check(client_rows, sizeof(struct client_conf), &e) != 0)
		fail_msg("%s", e.text);
}

static void test_defaults(void **state)
{
	const struct client_conf *c = conf_of("");

	assert_int_equal(c->link.port, 2775);
	assert_int_equal(c->link.bind, BIND_TRANSCEIVER);
	assert_int_equal(c->link.version, SMPP_V34);
	assert_true(c->link.tls.verify);
	assert_false(c->link.tls.given);
	assert_int_equal(c->text.split, TEXT_SPLIT_UDH8);
	assert_int_equal(c->coding.ucs2, 8);
	assert_int_equal(c->numbering.source_alnum.ton, TON_ALPHANUMERIC);
	assert_int_equal(c->numbering.destination.npi, NPI_E164);
	assert_int_equal(c->registered, 1);
	assert_int_equal(c->enquire_link, 30 * DUR_S);
}

static void test_faults(void **state)
{
	assert_true(conf_fails("status = { ESME_NOPE = \"refused\"; };", "ESME_NOPE"));
	assert_true(conf_fails("status = { x400 = \"maybe\"; };", "maybe"));
	assert_true(conf_fails("stat = { FAILED = \"dead\"; };", "dead"));
	assert_true(conf_fails("tlv_add = { x1400 = \"0g\"; };", "0g"));
	assert_true(conf_fails("tlv_add = { nothing = \"00\"; };", "nothing"));
	assert_true(conf_fails("tlv = [ \"al\" ];", "al"));
	assert_true(conf_fails("backup = [ \"a:b:c:99999\" ];", "host:port"));
	assert_true(conf_fails("interface_version = \"3.3\";", "transceiver"));
	assert_true(conf_fails(
		"interface_version = \"3.3\"; bind = \"both\"; split = \"sar\";", "TLVs"));
	assert_true(conf_fails("reconnect_first = \"2m\";", "reconnect_most"));
	assert_true(
		conf_fails("password = \"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffff"
			   "ffff12345\";",
			"password"));
}

static void test_tables_made(void **state)
{
	const struct client_conf *c =
		conf_of("status = { x400 = \"temporary\"; ESME_RSUBMITFAIL = "
			"\"refused\"; };"
			"stat = { FAILED = \"undeliverable\"; };"
			"tlv = [ \"vendor\", \"user_message_reference\" ];"
			"tlv_add = { x1400 = \"text:1101\"; x1401 = \"00fF\"; };");
	struct client_tables t;

	client_tables_make(&t, c);
	assert_int_equal(t.status_n, 2);
	assert_int_equal(t.status[0].status, 0x400);
	assert_int_equal(t.status[0].reason, REASON_TEMPORARY);
	assert_int_equal(t.status[1].status, 0x45);
	assert_int_equal(t.words_n, 1);
	assert_true(str_is(t.words[0].word, "FAILED"));
	assert_int_equal(t.words[0].state, SMPP_STATE_UNDELIVERABLE);
	assert_true(t.tlv_vendor);
	assert_false(t.tlv_all);
	assert_int_equal(t.tlv_n, 1);
	assert_int_equal(t.extra.n, 8 + 6);
	assert_memory_equal(t.extra.p,
		"\x14\x00\x00\x04"
		"1101"
		"\x14\x01\x00\x02\x00\xff",
		14);
	client_tables_free(&t);
}

/* ---- what a message becomes ---- */

/* Shapes a message and writes its parts; *parts_r octets end to end with '|' between them. */
static unsigned shaped(const struct client_conf *c, const struct given *g, struct buf *out,
	struct client_part *first_r, struct outcome *why_r)
{
	struct message *m = message_of(g);
	struct client_shape s;
	struct client_part p;
	unsigned parts = 0;

	*why_r = outcome_of(REASON_NONE);
	buf_reset(out);
	if (client_shape(&s, c, m, why_r) == 0) {
		parts = s.parts;
		for (unsigned i = 0; i < parts; i++) {
			if (i)
				buf_char(out, '|');
			client_shape_part(&s, c, i, 0x1234, out, i ? &p : first_r);
		}
		client_shape_free(&s);
	}
	message_unref(&m);
	return parts;
}

static void check_octets(const struct buf *b, const void *want, size_t n)
{
	assert_int_equal(b->n, n);
	assert_memory_equal(b->p, want, n);
}

static void test_text(void **state)
{
	struct buf b = BUF_INIT;
	struct client_part p;
	struct outcome why;
	const struct client_conf *c = conf_of("");

	assert_int_equal(shaped(c, &(struct given){ .text = "a@_" }, &b, &p, &why), 1);
	check_octets(&b, "a\x00\x11", 3);
	assert_int_equal(p.data_coding, 0);
	assert_false(p.udhi);
	shaped(c, &(struct given){ .text = "ж" }, &b, &p, &why);
	check_octets(&b, "\x04\x36", 2);
	assert_int_equal(p.data_coding, 8);
	/* data_coding of the channel's own */
	c = conf_of("data_coding = { ucs2 = 24; };");
	shaped(c, &(struct given){ .text = "ж" }, &b, &p, &why);
	assert_int_equal(p.data_coding, 24);
	/* flash by the class that came */
	shaped(c, &(struct given){ .text = "a", .data_coding = 0xf0 }, &b, &p, &why);
	assert_int_equal(p.data_coding, 0x10);
	/* the channel's default alphabet */
	c = conf_of("dcs0 = \"latin1\";");
	shaped(c, &(struct given){ .text = "å@" }, &b, &p, &why);
	check_octets(&b, "\xe5@", 2);
	c = conf_of("dcs0 = \"gsm-packed\";");
	shaped(c, &(struct given){ .text = "hello" }, &b, &p, &why);
	check_octets(&b, "\xe8\x32\x9b\xfd\x06", 5);
	c = conf_of("alphabets = [ \"gsm\" ];");
	assert_int_equal(shaped(c, &(struct given){ .text = "ж" }, &b, &p, &why), 0);
	assert_int_equal(why.reason, REASON_BAD_CONTENT);
	assert_non_null(strstr(why.words, "U+0436"));
	c = conf_of("alphabets = [ \"gsm\" ]; transliterate = \"cyrillic\";");
	shaped(c, &(struct given){ .text = "ж" }, &b, &p, &why);
	check_octets(&b, "zh", 2);
	buf_free(&b);
}

static void test_long_text(void **state)
{
	char text[4000];
	struct buf b = BUF_INIT;
	struct client_part p;
	struct outcome why;

	memset(text, 'x', sizeof text);
	text[400] = '\0';
	assert_int_equal(shaped(conf_of(""), &(struct given){ .text = text }, &b, &p, &why), 3);
	assert_true(p.udhi);
	assert_memory_equal(b.p, "\x05\x00\x03\x34\x03\x01xxx", 9);
	assert_int_equal(shaped(conf_of("split = \"udh16\";"), &(struct given){ .text = text }, &b,
				 &p, &why),
		3);
	assert_memory_equal(b.p, "\x06\x08\x04\x12\x34\x03\x01xxx", 10);
	assert_int_equal(
		shaped(conf_of("split = \"sar\";"), &(struct given){ .text = text }, &b, &p, &why),
		3);
	assert_false(p.udhi);
	assert_int_equal(p.sar.kind, CONCAT_SAR);
	assert_int_equal(p.sar.total, 3);
	assert_int_equal(p.sar.seq, 1);
	assert_int_equal(shaped(conf_of("split = \"payload\";"), &(struct given){ .text = text },
				 &b, &p, &why),
		1);
	assert_true(p.payload);
	assert_int_equal(b.n, 400);
	assert_int_equal(
		shaped(conf_of("split = \"none\";"), &(struct given){ .text = text }, &b, &p, &why),
		0);
	assert_int_equal(why.reason, REASON_TOO_LONG);
	assert_int_equal(
		shaped(conf_of("max_parts = 2;"), &(struct given){ .text = text }, &b, &p, &why),
		0);
	assert_int_equal(why.reason, REASON_TOO_LONG);
	assert_non_null(strstr(why.words, "3 parts; at most 2"));
	buf_free(&b);
}

static void test_octets(void **state)
{
	static const char udh[] = "\x05\x00\x03\xcc\x02\x01Hi";
	char many[600];
	struct buf b = BUF_INIT, tlvs = BUF_INIT;
	struct client_part p;
	struct outcome why;
	const struct client_conf *c = conf_of("");
	struct given g = { .octets = STR("\x00\x11\x02"), .data_coding = 0 };

	/* untouched */
	assert_int_equal(shaped(c, &g, &b, &p, &why), 1);
	check_octets(&b, "\x00\x11\x02", 3);
	g = (struct given){ .octets = str_n(udh, 8), .esm_class = ESM_UDHI };
	shaped(c, &g, &b, &p, &why);
	check_octets(&b, udh, 8);
	assert_true(p.udhi);
	g = (struct given){ .octets = STR("\xe5"), .data_coding = 3 };
	shaped(c, &g, &b, &p, &why);
	check_octets(&b, "\xe5", 1);
	assert_int_equal(p.data_coding, 3);
	/* an alphabet that the channel does not want: read, and written in another */
	shaped(conf_of("alphabets = [ \"gsm\", \"ucs2\" ];"), &g, &b, &p, &why);
	check_octets(&b, "\x0f", 1);
	assert_int_equal(p.data_coding, 0);
	/* another default alphabet, UDH kept */
	g = (struct given){ .octets = STR("\x05\x00\x03\xcc\x02\x01\x0f\x00"),
		.esm_class = ESM_UDHI };
	shaped(conf_of("dcs0 = \"latin1\";"), &g, &b, &p, &why);
	check_octets(&b, "\x05\x00\x03\xcc\x02\x01\xe5@", 8);
	assert_true(p.udhi);
	g.octets = str_n(udh, 8);
	shaped(conf_of("dcs0 = \"gsm-packed\";"), &g, &b, &p, &why);
	check_octets(&b, "\x05\x00\x03\xcc\x02\x01\x90\x69", 8);
	g = (struct given){ .octets = STR("\x10") };
	assert_int_equal(shaped(conf_of("dcs0 = \"latin1\";"), &g, &b, &p, &why), 0); /* Delta */
	assert_int_equal(why.reason, REASON_BAD_CONTENT);
	/* long ones are cut by us, as text or as octets */
	memset(many, 'y', sizeof many);
	g = (struct given){ .octets = str_n(many, 250) };
	assert_int_equal(shaped(c, &g, &b, &p, &why), 2);
	assert_true(p.udhi);
	assert_int_equal(b.n, 6 + 153 + 1 + 6 + 97);
	g.data_coding = 4;
	assert_int_equal(shaped(c, &g, &b, &p, &why), 2);
	assert_int_equal(b.n, 6 + 134 + 1 + 6 + 116);
	assert_int_equal(p.data_coding, 4);
	g = (struct given){ .octets = str_n(many, 600), .flags = MSG_PAYLOAD };
	assert_int_equal(shaped(conf_of("split = \"payload\";"), &g, &b, &p, &why), 1);
	assert_true(p.payload);
	assert_int_equal(b.n, 600);
	/* parts of the submitter's own making pass, however long */
	pdu_put_tlv_u16(&tlvs, TLV_SAR_MSG_REF_NUM, 7);
	g = (struct given){ .octets = str_n(many, 200), .tlvs = buf_view(&tlvs) };
	assert_int_equal(shaped(c, &g, &b, &p, &why), 1);
	assert_int_equal(b.n, 200);
	buf_free(&b);
	buf_free(&tlvs);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *conf, *from;
		uint8_t src_ton, ton, npi;
		const char *wire; /* NULL: refused */
	} cases[] = {
		{ "", "Shop", 0, 5, 0, "Shop" },
		{ "", "46700000001", 0, 1, 1, "46700000001" },
		{ "", "12345", 0, 3, 0, "12345" },
		{ "source_short = { ton = 6; npi = 1; };", "12345", 0, 6, 1, "12345" },
		{ "", "12345", 5, 5, 0, "12345" },
		{ "", "Åsa", 0, 5, 0, "\xc5sa" },
		{ "sender_alphabet = \"gsm\";", "Åsa", 0, 5, 0, "\x0esa" },
		{ "sender_alphabet = \"ascii\";", "Åsa", 0, 0, 0, NULL },
		{ "", "a very long name", 0, 0, 0, NULL },
		{ "", "", 0, 0, 0, "" },
		{ "source_addr = \"Shop\";", "", 0, 5, 0, "Shop" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct given g = { .from = cases[i].from, .src_ton = cases[i].src_ton };
		struct message *m = message_of(&g);
		struct client_addr a;
		struct outcome why;
		int r = client_source(&a, conf_of(cases[i].conf), m, &why);

		assert_int_equal(r, cases[i].wire ? 0 : -1);
		if (r == 0) {
			assert_string_equal(a.text, cases[i].wire);
			assert_int_equal(a.ton.ton, cases[i].ton);
			assert_int_equal(a.ton.npi, cases[i].npi);
		} else {
			assert_int_equal(why.reason, REASON_BAD_SENDER);
		}
		message_unref(&m);
	}
}

/* Subscribers' numbers as they come, with the trunk prefix that their country has. */
static void test_subscribers(void **state)
{
	static const struct {
		const char *country, *trunk, *from;
		uint8_t ton;
		const char *is;
	} cases[] = {
		{ "46", "0", "0701234567", 2, "46701234567" },
		{ "46", "0", "701234567", 2, "46701234567" },
		{ "7", "8", "89161234567", 2, "79161234567" },
		{ "46", "0", "46701234567", 1, "46701234567" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct channel c = { .country = cases[i].country, .trunk = cases[i].trunk };
		struct address_country country = client_country(&c);
		struct address a;

		assert_int_equal(
			address_source(&a, str_of(cases[i].from), cases[i].ton, 1, &country, NULL),
			0);
		assert_true(str_is(address_str(&a), cases[i].is));
	}
}

static void test_parts(void **state)
{
	struct channel c = { .specific = conf_of("") };
	struct outcome why;
	struct message *m = message_of(&(struct given){ .from = "Shop", .text = "x" });

	assert_int_equal(client_parts(&c, m, &why), 1);
	message_unref(&m);
	m = message_of(&(struct given){ .from = "Shop", .to = "nobody", .text = "x" });
	assert_int_equal(client_parts(&c, m, &why), 0);
	assert_int_equal(why.reason, REASON_BAD_DESTINATION);
	message_unref(&m);
	m = message_of(&(struct given){ .from = "Shop", .text = "\xff" });
	assert_int_equal(client_parts(&c, m, &why), 0);
	assert_int_equal(why.reason, REASON_BAD_CONTENT);
	message_unref(&m);
}

/* ---- what an answer means ---- */

static void test_verdicts(void **state)
{
	static const struct {
		uint32_t status;
		unsigned attempt;
		enum reason reason;
		bool unmapped, rebind;
	} cases[] = {
		{ 0, 1, REASON_NONE, false, false }, { 0x58, 1, REASON_THROTTLED, false, false },
		{ 0x14, 1, REASON_FAR_QUEUE_FULL, false, false },
		{ 0x08, 9, REASON_TEMPORARY, false, false },
		{ 0x64, 1, REASON_TEMPORARY, false, false },
		{ 0x0b, 1, REASON_FAR_DESTINATION, false, false },
		{ 0x65, 1, REASON_FAR_DESTINATION, false, false },
		{ 0x0a, 1, REASON_REFUSED, false, false },
		{ 0x43, 1, REASON_FAR_SETTINGS, false, false },
		{ 0x04, 1, REASON_NOT_BOUND, false, true },
		{ 0x0d, 1, REASON_NOT_BOUND, false, true },
		{ 0x45, 1, REASON_TEMPORARY, false, false },
		{ 0x45, 3, REASON_REFUSED, false, false },
		{ 0xff, 2, REASON_REFUSED, false, false },
		{ 0xfe, 1, REASON_REFUSED, false, false },
		{ 0x410, 1, REASON_REFUSED, true, false },
		{ 0x411, 1, REASON_TEMPORARY, false, false }, /* mapped */
		{ 0x66, 1, REASON_NONE, false, false },       /* mapped to accepted */
	};
	struct client_tables t;

	client_tables_make(&t, conf_of("status = { x411 = \"temporary\"; ESME_RX_R_APPN = "
				       "\"accepted\"; };"));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pdu p = { .command = SMPP_SUBMIT_SM | SMPP_RESP,
			.status = cases[i].status,
			.tlvs = STR_NONE };
		struct client_verdict v;

		client_verdict(&v, &t, &p, cases[i].attempt);
		assert_int_equal(v.outcome.reason, cases[i].reason);
		assert_int_equal(v.outcome.verdict, reason_verdict(cases[i].reason));
		assert_int_equal(v.unmapped, cases[i].unmapped);
		assert_int_equal(v.rebind, cases[i].rebind);
		if (cases[i].status == 0x58)
			assert_string_equal(v.outcome.words, "ESME_RTHROTTLED (0x58)");
	}
	client_tables_free(&t);
}

static void test_failure_reason(void **state)
{
	struct client_tables t = { 0 };
	struct client_verdict v;
	struct buf b = BUF_INIT;
	struct pdu p = { .command = SMPP_SUBMIT_SM | SMPP_RESP, .status = ESME_RDELIVERYFAILURE };

	pdu_put_tlv_u8(&b, TLV_DELIVERY_FAILURE_REASON, 3);
	pdu_put_tlv_cstr(&b, TLV_ADDITIONAL_STATUS_INFO_TEXT, STR("try\nlater"));
	p.tlvs = buf_view(&b);
	client_verdict(&v, &t, &p, 1);
	assert_int_equal(v.outcome.reason, REASON_TEMPORARY);
	assert_string_equal(v.outcome.words, "ESME_RDELIVERYFAILURE (0xfe): try later");
	/* generic_nack with a status, and without */
	p = (struct pdu){
		.command = SMPP_GENERIC_NACK, .status = ESME_RINVCMDID, .tlvs = STR_NONE
	};
	client_verdict(&v, &t, &p, 1);
	assert_int_equal(v.outcome.reason, REASON_FAR_SETTINGS);
	p.status = 0;
	client_verdict(&v, &t, &p, 1);
	assert_int_equal(v.outcome.reason, REASON_TEMPORARY);
	buf_free(&b);
}

static void test_bind_words(void **state)
{
	struct pdu p = { .status = ESME_RINVPASWD, .tlvs = STR_NONE };
	char words[240];

	client_bind_words(words, sizeof words, &p, BIND_TRANSCEIVER);
	assert_string_equal(words,
		"bind refused: ESME_RINVPASWD (0x0e): password is invalid; check "
		"system_id and password");
	p.status = ESME_RINVCMDID;
	client_bind_words(words, sizeof words, &p, BIND_TRANSCEIVER);
	assert_non_null(strstr(words, "bind = \"both\""));
}

/* ---- what came in ---- */

static void test_canonical(void **state)
{
	static const struct {
		const char *conf;
		uint8_t in;
		struct str octets;
		bool udhi;
		uint8_t out;
		struct str want;
	} cases[] = {
		{ "", 0, { "\x00\x11", 2 }, false, 0, { "\x00\x11", 2 } },
		{ "dcs0 = \"latin1\";", 0, { "\xe5", 1 }, false, 3, { "\xe5", 1 } },
		{ "dcs0 = \"ascii\";", 0, { "a", 1 }, false, 1, { "a", 1 } },
		{ "dcs0 = \"utf8\";", 0, { "\xc3\xa5", 2 }, false, 8, { "\x00\xe5", 2 } },
		{ "dcs0 = \"gsm-packed\";", 0, { "\xe8\x32\x9b\xfd\x06", 5 }, false, 0,
			{ "hello", 5 } },
		{ "dcs0 = \"gsm-packed\";", 0, { "\x05\x00\x03\xcc\x02\x01\x90\x69", 8 }, true, 0,
			{ "\x05\x00\x03\xcc\x02\x01Hi", 8 } },
		{ "ucs2_little_endian = true;", 8, { "\xe5\x00", 2 }, false, 8, { "\x00\xe5", 2 } },
		{ "ascii_gsm = true;", 1, { "\x00", 1 }, false, 0, { "\x00", 1 } },
		{ "", 8, { "\x05\x00\x03\xcc\x02\x01\x04\x36", 8 }, true, 8,
			{ "\x05\x00\x03\xcc\x02\x01\x04\x36", 8 } },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF_INIT;

		assert_int_equal(client_canonical(conf_of(cases[i].conf), cases[i].in,
					 cases[i].octets, cases[i].udhi, &b),
			cases[i].out);
		check_octets(&b, cases[i].want.p, cases[i].want.n);
		buf_free(&b);
	}
}

static void test_join(void **state)
{
	struct message *parts[2], *m;

	/* an emoji whose halves came in two parts */
	parts[0] = message_of(&(struct given){ .octets = STR("\x05\x00\x03\xcc\x02\x01\x04\x36\xd8"
							     "\x3d"),
		.data_coding = 8,
		.esm_class = ESM_UDHI,
		.text = "half",
		.flags = MSG_MO });
	parts[1] = message_of(&(struct given){ .octets = STR("\x05\x00\x03\xcc\x02\x02\xdc\x4d"),
		.data_coding = 8,
		.esm_class = ESM_UDHI,
		.flags = MSG_MO });
	m = client_join(parts, 2);
	assert_non_null(m);
	assert_true(str_is(message_get(m, FIELD_TEXT), "ж👍"));
	assert_false(message_has(m, FIELD_OCTETS));
	assert_int_equal(m->flags, MSG_MO);
	assert_int_equal(m->sms.esm_class, 0);
	message_unref(&m);
	message_unref(&parts[0]);
	message_unref(&parts[1]);
	parts[0] = message_of(
		&(struct given){ .octets = STR("\x01\x02"), .data_coding = 4, .flags = MSG_MO });
	parts[1] = message_of(
		&(struct given){ .octets = STR("\x03"), .data_coding = 4, .flags = MSG_MO });
	m = client_join(parts, 2);
	assert_true(str_eq(message_get(m, FIELD_OCTETS), STR("\x01\x02\x03")));
	assert_int_equal(m->flags, MSG_MO | MSG_OCTETS);
	assert_int_equal(m->sms.data_coding, 4);
	message_unref(&m);
	message_unref(&parts[0]);
	message_unref(&parts[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_are_sound),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_tables_made),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_long_text),
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_subscribers),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_failure_reason),
		cmocka_unit_test(test_bind_words),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_join),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
