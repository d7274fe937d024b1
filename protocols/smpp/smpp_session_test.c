/* Sessions of the SMPP server over real sockets: binding, states, silence, hostile bytes, reloads,
 * the end. What is submitted and told: smpp_submit_test.c. */
#include "tests/smpp_server.h"
#include "tests/certs.h"

#include <crypt.h>
#include <openssl/ssl.h>
#include <semaphore.h>

#define LISTENER(accounts)                                                                         \
	"{ name = \"esme\"; type = \"smpp\"; listen = \"127.0.0.1:0\"; accounts = (" accounts ");" \
	" session_init = \"5s\"; enquire = \"10s\"; enquire_wait = \"5s\"; inactivity = \"60s\";"  \
	" unbound_per_address = 200; }"
#define SHOP "{ system_id = \"shop\"; password = \"secret\"; max_binds = 3; window = 10; }"
#define AWAY "{ system_id = \"away\"; password = \"secret\"; allow = [ \"10.0.0.0/8\" ]; }"
#define MUTE "{ system_id = \"mute\"; password = \"secret\"; probe = false; }"

static int begin(void **state)
{
	fx_begin(LISTENER(SHOP "," AWAY "," MUTE));
	fx.takes_all = true; /* noise may ask for receipts */
	return 0;
}

/* Lets the clocks jump in steps, so that timers of loops fire in between. */
static void wait_for(dur_t d)
{
	for (dur_t step = 500 * DUR_MS; d > 0; d -= step) {
		clock_shift(step);
		usleep(2000);
	}
}

static void unbind(struct esme *m)
{
	struct pdu answer, p = { .command = SMPP_UNBIND };

	esme_ask(m, &p, &answer);
	assert_int_equal(answer.command, SMPP_UNBIND | SMPP_RESP);
	assert_int_equal(answer.status, ESME_ROK);
	esme_ends(m);
}

static unsigned bound_now(void)
{
	struct buf json = BUF_INIT;
	const char *at;
	unsigned n;

	gateway_status(fx.g, &json);
	at = strstr(buf_cstr(&json), "\"bound\":");
	assert_non_null(at);
	n = (unsigned)strtoul(at + 8, NULL, 10);
	buf_free(&json);
	return n;
}

/* Sessions end a little after the time is over for them. */
static void await_bound(unsigned n)
{
	for (int i = 0; i < 500 && bound_now() != n; i++) {
		clock_shift(500 * DUR_MS);
		usleep(5000);
	}
	assert_int_equal(bound_now(), n);
}

/* Reads on to a command; news is taken. */
static void read_to(struct esme *m, struct pdu *p, uint32_t command)
{
	assert_true(esme_read(m, p));
	while (p->command == SMPP_DELIVER_SM) {
		esme_told(m, p, ESME_ROK);
		assert_true(esme_read(m, p));
	}
	assert_int_equal(p->command, command);
}

/* ---- binding --------------------------------------------------------------------------------- */

static void test_modes(void **state)
{
	static const struct {
		uint32_t command;
		uint8_t said, answered;
	} v[] = {
		{ SMPP_BIND_TRANSCEIVER, 0x34, 0x34 },
		{ SMPP_BIND_TRANSMITTER, 0x50, 0x50 },
		{ SMPP_BIND_RECEIVER, 0x33, 0 },
		{ SMPP_BIND_TRANSCEIVER, 0x00, 0 },
		{ SMPP_BIND_TRANSCEIVER, 0x40, 0x34 },
		{ SMPP_BIND_TRANSCEIVER, 0xff, 0x50 },
	};

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		struct esme m = esme_dial();
		struct pdu answer, p = {
			.command = v[i].command,
			.bind = { .system_id = STR("shop"),
				.password = STR("secret"),
				.interface_version = v[i].said },
		};
		uint8_t version = 0;

		esme_ask(&m, &p, &answer);
		assert_int_equal(answer.status, ESME_ROK);
		assert_true(str_is(answer.resp.system_id, "postern"));
		assert_int_equal(pdu_tlv_u8(&answer, TLV_SC_INTERFACE_VERSION, &version),
			v[i].answered != 0);
		assert_int_equal(version, v[i].answered);
		unbind(&m);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *name, *password, *from;
		uint32_t status;
	} v[] = {
		{ "shop", "Secret", "127.0.1.1", ESME_RINVPASWD },
		{ "shop", "secret1", "127.0.1.2", ESME_RINVPASWD },
		{ "shop", "", "127.0.1.3", ESME_RINVPASWD },
		{ "shoppe", "secret", "127.0.1.4", ESME_RINVPASWD },
		{ "", "", "127.0.1.5", ESME_RINVPASWD },
		{ "away", "secret", "127.0.1.6", ESME_RBINDFAIL },
		{ "away", "wrong", "127.0.1.7", ESME_RINVPASWD },
		{ "a-name-of-far-more-than-sixteen-octets", "secret", "127.0.1.8", ESME_RINVPASWD },
	};

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		struct esme m = esme_from(v[i].from);
		uint32_t status =
			esme_bind_as(&m, SMPP_BIND_TRANSCEIVER, v[i].name, v[i].password, SMPP_V34);

		if (status != v[i].status)
			fail_msg("%s/%s: %s", v[i].name, v[i].password, smpp_status_name(status));
		esme_ends(&m); /* it is closed on */
	}
}

static dur_t refused_in(const char *address)
{
	struct esme m = esme_from(address);
	mono_t before = clock_mono();
	dur_t took;

	esme_bind_as(&m, SMPP_BIND_TRANSCEIVER, "shop", "no", SMPP_V34);
	took = clock_mono() - before;
	esme_ends(&m);
	return took;
}

static void test_growing_delay(void **state)
{
	static const char *const fresh[] = { "127.0.2.2", "127.0.2.3", "127.0.2.4" };
	static const dur_t least[] = { 0, 400 * DUR_MS, 900 * DUR_MS, 1900 * DUR_MS };
	dur_t quickest = DUR_MIN;
	mono_t before;

	for (int i = 0; i < 4; i++)
		assert_true(refused_in("127.0.2.1") >= least[i]);
	/* nobody else waits for that, nor for a first mistake; the machine may once be slow */
	for (int i = 0; i < 3; i++) {
		dur_t took = refused_in(fresh[i]);

		quickest = took < quickest ? took : quickest;
	}
	assert_true(quickest < 300 * DUR_MS);
	before = clock_mono();
	{
		struct esme m = esme_bound("shop");

		assert_true(clock_mono() - before < 2 * DUR_S); /* it would be four */
		unbind(&m);
	}
}

static void test_max_binds(void **state)
{
	struct esme m[3], more;

	for (int i = 0; i < 3; i++)
		m[i] = esme_bound("shop");
	more = esme_dial();
	assert_int_equal(
		esme_bind_as(&more, SMPP_BIND_TRANSMITTER, "shop", "secret", 0x34), ESME_RBINDFAIL);
	esme_ends(&more);
	unbind(&m[0]);
	m[0] = esme_bound("shop");
	assert_int_equal(bound_now(), 3);
	for (int i = 0; i < 3; i++)
		unbind(&m[i]);
}

/* The far side crashed: its binds are dead, but TCP does not know. They give way. */
static void test_eviction(void **state)
{
	struct esme m[3], more;
	struct pdu p;

	for (int i = 0; i < 3; i++)
		m[i] = esme_bound("shop");
	more = esme_dial();
	assert_int_equal(
		esme_bind_as(&more, SMPP_BIND_TRANSMITTER, "shop", "secret", 0x34), ESME_RBINDFAIL);
	esme_ends(&more);
	/* two live and answer the probe that the attempt brought, one does not */
	for (int i = 0; i < 2; i++) {
		assert_true(esme_read(&m[i], &p));
		assert_int_equal(p.command, SMPP_ENQUIRE_LINK);
		esme_header(&m[i], SMPP_ENQUIRE_LINK | SMPP_RESP, 0, p.sequence);
	}
	usleep(50000);
	clock_shift(3 * DUR_S);
	usleep(20000);
	more = esme_dial();
	assert_int_equal(
		esme_bind_as(&more, SMPP_BIND_TRANSMITTER, "shop", "secret", 0x34), ESME_ROK);
	esme_ends(&m[2]);
	unbind(&more);
	unbind(&m[0]);
	unbind(&m[1]);
}

static void test_hashed_password(void **state)
{
	char conf[2048];
	struct esme m;

	snprintf(conf, sizeof conf,
		LISTENER(SHOP "," AWAY "," MUTE ", { system_id = \"hash\"; password = \"%s\"; }"),
		crypt("a secret", "$6$ab$"));
	fx_reload(conf);
	m = esme_dial();
	assert_int_equal(
		esme_bind_as(&m, SMPP_BIND_TRANSCEIVER, "hash", "a secret", 0x34), ESME_ROK);
	unbind(&m);
	m = esme_from("127.0.3.1");
	assert_int_equal(
		esme_bind_as(&m, SMPP_BIND_TRANSCEIVER, "hash", "wrong", 0x34), ESME_RINVPASWD);
	esme_ends(&m);
	m = esme_from("127.0.3.2");
	assert_int_equal(
		esme_bind_as(&m, SMPP_BIND_TRANSCEIVER, "nobody", "wrong", 0x34), ESME_RINVPASWD);
	esme_ends(&m);
}

/* ---- states (3.4 table 2-1) ------------------------------------------------------------------ */

static void test_states(void **state)
{
	static const uint32_t operations[] = { SMPP_SUBMIT_SM, SMPP_DATA_SM, SMPP_QUERY_SM,
		SMPP_CANCEL_SM, SMPP_REPLACE_SM, SMPP_DELIVER_SM };
	struct esme m = esme_dial();
	struct pdu answer, p = { .command = SMPP_ENQUIRE_LINK };

	/* some probe before they bind */
	esme_ask(&m, &p, &answer);
	assert_int_equal(answer.command, SMPP_ENQUIRE_LINK | SMPP_RESP);
	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
		p = esme_submit("46700000001", "x");
		p.command = operations[i];
		p.sm.message_id = STR("1");
		assert_int_equal(esme_refused(&m, &p), ESME_RINVBNDSTS);
	}
	assert_int_equal(esme_bind_as(&m, SMPP_BIND_RECEIVER, "shop", "secret", 0x34), ESME_ROK);
	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
		p = esme_submit("46700000001", "x");
		p.command = operations[i];
		p.sm.message_id = STR("1");
		assert_int_equal(esme_refused(&m, &p), ESME_RINVBNDSTS);
	}
	/* the first bind stands */
	assert_int_equal(
		esme_bind_as(&m, SMPP_BIND_TRANSCEIVER, "shop", "secret", 0x34), ESME_RALYBND);
	/* what has no response gets none */
	p = (struct pdu){ .command = SMPP_OUTBIND };
	esme_send(&m, &p);
	p = (struct pdu){ .command = SMPP_ALERT_NOTIFICATION };
	esme_send(&m, &p);
	unbind(&m);
}

static void test_unbind_waits_for_answers(void **state)
{
	struct esme m = esme_bound("shop");
	struct pdu p;
	unsigned answers = 0;

	for (int i = 0; i < 8; i++) {
		p = esme_submit("46700000001", "x");
		esme_send(&m, &p);
	}
	p = (struct pdu){ .command = SMPP_UNBIND };
	esme_send(&m, &p);
	while (esme_read(&m, &p)) {
		if (p.command == (SMPP_SUBMIT_SM | SMPP_RESP))
			answers++;
		else
			assert_int_equal(p.command, SMPP_UNBIND | SMPP_RESP);
	}
	assert_int_equal(answers, 8);
	esme_close(&m);
}

/* A window of 10 and 500 at once: they wait in the socket, and none is refused. */
static void test_window_holds_back(void **state)
{
	struct esme m = esme_bound("shop");
	struct buf out = BUF_INIT;
	struct pdu p = esme_submit("46700000001", "x");

	for (uint32_t i = 1; i <= 500; i++)
		assert_int_equal(pdu_put_submit_sm(&out, i, &p.sm, STR_NONE), ESME_ROK);
	pdu_put_header(&out, SMPP_ENQUIRE_LINK, 0, 501);
	esme_write(&m, buf_view(&out));
	buf_free(&out);
	for (uint32_t i = 1; i <= 501; i++) {
		assert_true(esme_read(&m, &p));
		assert_int_equal(p.status, ESME_ROK);
	}
	unbind(&m);
}

/* Stands in the store writer's way until it is let go. */
static sem_t stall_begun, stall_over;
static int stall_run(struct sql *db, struct store_op *op)
{
	sem_post(&stall_begun);
	sem_wait(&stall_over);
	return 0;
}

/* A store that takes long: what is beyond the window is read after a while, and refused; a far
 * side's probe is answered all the same. */
static void test_stalled_store(void **state)
{
	struct esme m = esme_bound("shop");
	struct store_op *op = store_op_new(OP_CALL, NULL, NULL);
	struct pdu p = esme_submit("46700000001", "x");
	unsigned throttled = 0, taken = 0;

	sem_init(&stall_begun, 0, 0);
	sem_init(&stall_over, 0, 0);
	op->call.run = stall_run;
	store_do(gateway_store(fx.g), op);
	sem_wait(&stall_begun);
	for (int i = 0; i < 15; i++)
		esme_send(&m, &p);
	esme_header(&m, SMPP_ENQUIRE_LINK, 0, 99);
	assert_true(esme_is_silent(&m));
	clock_shift(6 * DUR_S);
	while (esme_read(&m, &p) && p.command != (SMPP_ENQUIRE_LINK | SMPP_RESP)) {
		assert_int_equal(p.status, ESME_RTHROTTLED);
		throttled++;
	}
	assert_int_equal(throttled, 5);
	sem_post(&stall_over);
	while (taken < 10) {
		assert_true(esme_read(&m, &p));
		if (p.command == (SMPP_SUBMIT_SM | SMPP_RESP))
			taken += p.status == ESME_ROK;
	}
	p = esme_submit("46700000001", "x");
	esme_accepted(&m, &p);
	unbind(&m);
}

/* ---- silence --------------------------------------------------------------------------------- */

static void test_half_open(void **state)
{
	struct esme m[50];

	for (int i = 0; i < 50; i++)
		m[i] = esme_dial();
	esme_write(&m[0], str_n("\0\0\0\x10\0\0", 6));
	wait_for(6 * DUR_S);
	for (int i = 0; i < 50; i++)
		esme_ends(&m[i]);
}

static void test_enquire(void **state)
{
	struct esme m = esme_bound("shop");
	struct pdu p;

	wait_for(11 * DUR_S);
	assert_true(esme_read(&m, &p));
	assert_int_equal(p.command, SMPP_ENQUIRE_LINK);
	esme_header(&m, SMPP_ENQUIRE_LINK | SMPP_RESP, 0, p.sequence);
	usleep(20000);
	wait_for(11 * DUR_S);
	assert_true(esme_read(&m, &p));
	assert_int_equal(p.command, SMPP_ENQUIRE_LINK);
	/* any octet proves life: an answer with another number will do */
	esme_header(&m, SMPP_ENQUIRE_LINK | SMPP_RESP, 0, 77);
	usleep(20000);
	wait_for(7 * DUR_S);
	assert_int_equal(bound_now(), 1);
	/* but nothing at all, twice, does not */
	wait_for(30 * DUR_S);
	esme_ends(&m);
	await_bound(0);
}

static void test_inactivity(void **state)
{
	struct esme m = esme_bound("mute");

	wait_for(50 * DUR_S);
	assert_true(esme_is_silent(&m));
	assert_int_equal(bound_now(), 1);
	wait_for(15 * DUR_S);
	esme_ends(&m);
	await_bound(0);
}

/* ---- hostile bytes --------------------------------------------------------------------------- */

static void hex(struct buf *b, const char *digits)
{
	for (; digits[0] && digits[1]; digits += 2) {
		char two[3] = { digits[0], digits[1], 0 };

		buf_u8(b, (uint8_t)strtoul(two, NULL, 16));
	}
}

/* Lengths that lose the stream: generic_nack with the number that was there, then the end. */
static void test_bad_lengths(void **state)
{
	static const struct {
		const char *bytes;
		uint32_t sequence;
	} v[] = {
		{ "00000000", 0 },
		{ "0000000f", 0 },
		{ "0000000c000000040000000000000007", 7 },
		{ "ffffffff000000040000000000000008", 8 },
		{ "00000401000000090000000000000009", 9 }, /* 1,025 before a bind */
		{ "474554202f20485454502f312e310d0a", 0x2e310d0a },
		{ "160301020001000100000303", 0 },
		{ "80000000800000040000000000000001", 1 },
	};

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		struct esme m = esme_dial();
		struct buf out = BUF_INIT;
		struct pdu p;

		hex(&out, v[i].bytes);
		esme_write(&m, buf_view(&out));
		buf_free(&out);
		assert_true(esme_read(&m, &p));
		assert_int_equal(p.command, SMPP_GENERIC_NACK);
		assert_int_equal(p.status, ESME_RINVCMDLEN);
		assert_int_equal(p.sequence, v[i].sequence);
		esme_ends(&m);
	}
}

/* What can be followed is refused alone; the session goes on, up to a point. */
static void test_bad_pdus(void **state)
{
	static const struct {
		const char *bytes;
		uint32_t command, status;
	} v[] = {
		{ "00000010000000990000000000000005", SMPP_GENERIC_NACK, ESME_RINVCMDID },
		{ "00000010000000040000000000000005", SMPP_SUBMIT_SM | SMPP_RESP, ESME_RINVSERTYP },
		{ "0000001100000003000000000000000561", SMPP_QUERY_SM | SMPP_RESP, ESME_RINVMSGID },
		{ "00000014000000150000000000000005deadbeef", SMPP_ENQUIRE_LINK | SMPP_RESP,
			ESME_ROK },
	};
	struct esme m = esme_bound("shop");
	struct pdu p;
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		buf_reset(&out);
		hex(&out, v[i].bytes);
		/* in two pieces */
		esme_write(&m, str_n(out.p, 9));
		usleep(3000);
		esme_write(&m, str_n(out.p + 9, out.n - 9));
		assert_true(esme_read(&m, &p));
		assert_int_equal(p.command, v[i].command);
		assert_int_equal(p.status, v[i].status);
		assert_int_equal(p.sequence, 5);
	}
	/* responses to nothing, known and unknown, are not answered */
	buf_reset(&out);
	hex(&out, "00000010800000040000000000000005");
	hex(&out, "00000010800000990000000000000005");
	hex(&out, "00000010800000000000000300000000");
	hex(&out, "00000010800000050000000000000001");
	esme_write(&m, buf_view(&out));
	p = esme_submit("46700000001", "still here");
	esme_accepted(&m, &p);
	/* without end they are not put up with */
	for (int i = 0; i < 300; i++) {
		ssize_t n = send(m.fd, "\0\0\0\x10\0\0\0\x99\0\0\0\0\0\0\0\5", 16, MSG_NOSIGNAL);

		if (n < 0)
			break;
	}
	buf_free(&out);
	esme_ends(&m);
	await_bound(0);
}

/* It asks and asks and reads nothing: it is not read from any further, and nobody else suffers. */
static void test_never_reads(void **state)
{
	struct esme m = esme_bound("shop"), other;
	char many[16 * 256];
	size_t sent = 0;
	struct timeval little = { .tv_usec = 200000 };
	struct pdu p;
	ssize_t n;

	for (int i = 0; i < 256; i++)
		memcpy(many + 16 * i, "\0\0\0\x10\0\0\0\x15\0\0\0\0\0\0\0\1", 16);
	setsockopt(m.fd, SOL_SOCKET, SO_SNDTIMEO, &little, sizeof little);
	while (sent < 64u << 20 && (n = send(m.fd, many, sizeof many, MSG_NOSIGNAL)) > 0)
		sent += (size_t)n;
	assert_true(sent < 64u << 20);
	other = esme_bound("shop");
	p = esme_submit("46700000001", "x");
	esme_accepted(&other, &p);
	unbind(&other);
	wait_for(65 * DUR_S);
	await_bound(0);
	esme_close(&m);
}

/* Random bytes behind a bind: whatever comes of it, the others live. */
static void test_noise(void **state)
{
	struct esme good = esme_bound("shop");
	struct pdu p = esme_submit("46700000001", "x");

	srandom(4711);
	for (int round = 0; round < 60; round++) {
		struct esme m = round % 2 ? esme_bound("shop") : esme_dial();
		struct buf out = BUF_INIT;

		for (int i = 0; i < 20; i++) {
			size_t at = out.n;

			if (random() % 3) {
				assert_int_equal(pdu_put_submit_sm(&out, 1, &p.sm, STR_NONE), 0);
				for (int k = 0; k < 3; k++)
					out.p[at + 4 + (size_t)random() % (out.n - at - 4)] =
						(char)random();
			} else {
				for (int k = random() % 60; k >= 0; k--)
					buf_u8(&out, (uint8_t)(random() % 4 ? 0 : random()));
			}
		}
		send(m.fd, out.p, out.n, MSG_NOSIGNAL);
		if (round % 3)
			usleep(2000);
		buf_free(&out);
		esme_close(&m);
	}
	esme_accepted(&good, &p);
	unbind(&good);
}

/* ---- reload and the end ---------------------------------------------------------------------- */

static void test_reload(void **state)
{
	struct esme shop = esme_bound("shop"), mute = esme_bound("mute"), m;
	struct pdu p;

	/* mute goes, shop gets a smaller window and stays, a new one comes */
	fx_reload(LISTENER("{ system_id = \"shop\"; password = \"secret\"; window = 5; },"
			   "{ system_id = \"new\"; password = \"secret\"; }"));
	read_to(&mute, &p, SMPP_UNBIND);
	esme_header(&mute, SMPP_UNBIND | SMPP_RESP, 0, p.sequence);
	esme_ends(&mute);
	p = esme_submit("46700000001", "x");
	esme_accepted(&shop, &p);
	m = esme_bound("new");
	unbind(&m);
	m = esme_dial();
	assert_int_equal(
		esme_bind_as(&m, SMPP_BIND_TRANSCEIVER, "mute", "secret", 0x34), ESME_RINVPASWD);
	esme_ends(&m);
	/* another password ends its sessions; a peer that says nothing is closed on all the same */
	fx_reload(LISTENER("{ system_id = \"shop\"; password = \"other\"; }"));
	read_to(&shop, &p, SMPP_UNBIND);
	wait_for(6 * DUR_S);
	esme_ends(&shop);
	/* clear the penalty of 127.0.0.1 */
	m = esme_dial();
	assert_int_equal(esme_bind_as(&m, SMPP_BIND_TRANSCEIVER, "shop", "other", 0x34), ESME_ROK);
	unbind(&m);
	fx_reload(LISTENER(SHOP "," AWAY "," MUTE));
}

static uint16_t port_of(const char *listener)
{
	struct buf json = BUF_INIT;
	char name[64];
	const char *at;
	unsigned port;

	gateway_status(fx.g, &json);
	snprintf(name, sizeof name, "{\"name\":\"%s\"", listener);
	at = strstr(buf_cstr(&json), name);
	assert_non_null(at);
	at = strstr(at, "\"port\":");
	assert_non_null(at);
	port = (unsigned)strtoul(at + 7, NULL, 10);
	buf_free(&json);
	return (uint16_t)port;
}

static int dial6(uint16_t port)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	union addr to;
	struct timeval patience = { .tv_sec = 10 };

	assert_true(addr_parse(STR("::1"), port, &to));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	assert_int_equal(connect(fd, &to.sa, sizeof to.in6), 0);
	return fd;
}

/* The serial number of the certificate that is shown; a bind and an unbind over TLS. */
static long tls_session(uint16_t port)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	int fd = dial6(port);
	struct buf out = BUF_INIT;
	struct pdu_bind b = {
		.system_id = STR("shop"), .password = STR("secret"), .interface_version = 0x34
	};
	struct pdu p;
	char in[256];
	uint32_t status;
	X509 *cert;
	long serial;
	int n;

	SSL_set_fd(ssl, fd);
	assert_int_equal(SSL_connect(ssl), 1);
	cert = SSL_get_peer_certificate(ssl);
	serial = ASN1_INTEGER_get(X509_get0_serialNumber(cert));
	X509_free(cert);
	pdu_put_bind(&out, SMPP_BIND_TRANSCEIVER, 1, &b);
	assert_int_equal(SSL_write(ssl, out.p, (int)out.n), (int)out.n);
	n = SSL_read(ssl, in, sizeof in);
	assert_true(n > 16);
	assert_int_equal(pdu_decode(&p, str_n(in, (size_t)n), PDU_LENIENT, &status), 0);
	assert_int_equal(p.command, SMPP_BIND_TRANSCEIVER | SMPP_RESP);
	assert_int_equal(p.status, ESME_ROK);
	buf_reset(&out);
	pdu_put_header(&out, SMPP_UNBIND, 0, 2);
	SSL_write(ssl, out.p, (int)out.n);
	n = SSL_read(ssl, in, sizeof in);
	assert_true(n >= 16);
	buf_free(&out);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	return serial;
}

/* TLS over IPv6, on a second listener with the same account; a certificate renewed in place. */
static void test_tls(void **state)
{
	struct test_cert ca = cert_make(fx.dir, "ca", NULL, NULL, -1, 10);
	struct test_cert c = cert_make(fx.dir, "server", &ca, "DNS:localhost,IP:::1", -1, 10);
	char conf[2048];
	uint16_t port;
	long first;
	int fd;
	char byte;

	snprintf(conf, sizeof conf,
		"%s, { name = \"secure\"; type = \"smpp\"; listen = \"[::1]:0\";"
		" tls = { cert_file = \"%s\"; key_file = \"%s\"; }; accounts = ( " SHOP " ); }",
		LISTENER(SHOP "," AWAY "," MUTE), c.cert_file, c.key_file);
	fx_reload(conf);
	port = port_of("secure");
	first = tls_session(port);
	cert_free(&c);
	c = cert_make(fx.dir, "server", &ca, "DNS:localhost,IP:::1", -1, 10);
	fx_reload(conf);
	assert_int_equal(port_of("secure"), port);
	assert_true(tls_session(port) != first);
	/* a file that is no certificate is a fault: the one in use stays */
	assert_int_equal(truncate(c.cert_file, 10), 0);
	assert_null(fx_settings(conf));
	assert_true(tls_session(port) != first);
	/* no TLS where TLS is spoken */
	fd = dial6(port);
	assert_int_equal(send(fd, "\0\0\0\x10\0\0\0\x15\0\0\0\0\0\0\0\1", 16, 0), 16);
	while (recv(fd, &byte, 1, 0) == 1)
		assert_true((uint8_t)byte != 0x80); /* an alert, no PDU */
	close(fd);
	cert_free(&c);
	cert_free(&ca);
	fx_reload(LISTENER(SHOP "," AWAY "," MUTE));
}

static void *stop_run(void *arg)
{
	gateway_stop(fx.g);
	return NULL;
}

static void test_stop(void **state)
{
	struct esme half = esme_dial(), idle = esme_bound("shop"), busy = esme_bound("shop");
	struct pdu p = esme_submit("46700000001", "x");
	pthread_t t;
	char cmd[128];
	unsigned answers = 0;

	for (int i = 0; i < 9; i++)
		esme_send(&busy, &p);
	/* the ninth is read: so are those before */
	read_to(&busy, &p, SMPP_SUBMIT_SM | SMPP_RESP);
	assert_int_equal(p.status, ESME_ROK);
	answers++;
	assert_int_equal(pthread_create(&t, NULL, stop_run, NULL), 0);
	read_to(&idle, &p, SMPP_UNBIND);
	esme_header(&idle, SMPP_UNBIND | SMPP_RESP, 0, p.sequence);
	esme_ends(&idle);
	while (esme_read(&busy, &p)) {
		if (p.command == SMPP_UNBIND)
			esme_header(&busy, SMPP_UNBIND | SMPP_RESP, 0, p.sequence);
		else if (p.command == (SMPP_SUBMIT_SM | SMPP_RESP))
			answers++;
	}
	assert_int_equal(answers, 9);
	esme_close(&busy);
	esme_ends(&half);
	pthread_join(t, NULL);
	gateway_free(&fx.g);
	log_capture(NULL, NULL);
	snprintf(cmd, sizeof cmd, "rm -rf %s", fx.dir);
	assert_int_equal(system(cmd), 0);
}

/* ---- configuration --------------------------------------------------------------------------- */

static struct settings *try_conf(const char *listeners)
{
	struct settings *s;
	int saved = dup(2), null = open("/dev/null", O_WRONLY);

	dup2(null, 2);
	s = fx_settings(listeners);
	dup2(saved, 2);
	close(saved);
	close(null);
	return s;
}

static void test_configuration(void **state)
{
	static const char *const bad[] = {
		/* no credentials: loopback only */
		"{ name = \"e\"; type = \"smpp\"; listen = \"0.0.0.0:2775\"; }",
		"{ name = \"e\"; type = \"smpp\"; listen = \"*:2775\"; accounts = ( ); }",
		"{ name = \"e\"; type = \"smpp\"; listen = \"0.0.0.0:2775\";"
		" accounts = ( { system_id = \"a\"; password = \"\"; } ); }",
		"{ name = \"e\"; type = \"smpp\"; listen = \"nowhere\"; accounts = ( " SHOP " ); }",
		"{ name = \"e\"; type = \"smpp\"; accounts = ( { system_id = \"a\"; } ); }",
		"{ name = \"e\"; type = \"smpp\"; accounts = ( " SHOP "," SHOP " ); }",
		"{ name = \"e\"; type = \"smpp\"; accounts = ( { password = \"x\"; } ); }",
		"{ name = \"e\"; type = \"smpp\"; tls = { cert_file = \"/nowhere\"; }; }",
		"{ name = \"e\"; type = \"smpp\"; accounts = ( { system_id = \"a\";"
		" password = \"x\"; receipt_dates = 11; } ); }",
	};
	static const char *const good[] = {
		/* the contract's own example */
		"{ name = \"esme\"; type = \"smpp\"; listen = \"0.0.0.0:2775\"; accounts = ("
		" { system_id = \"shop\"; password = \"…\"; allow = [ \"10.0.0.0/8\", "
		"\"127.0.0.1\" ];"
		" max_binds = 4; window = 100; rate = 0.0; } ); }",
		"{ name = \"e\"; type = \"smpp\"; listen = \"[::1]:2775\"; }",
		/* one account, two doors */
		"{ name = \"a\"; type = \"smpp\"; listen = \"127.0.0.1:1\"; accounts = ( " SHOP
		" ); },"
		"{ name = \"b\"; type = \"smpp\"; listen = \"127.0.0.1:2\"; accounts = ( " SHOP
		" ); }",
	};
	struct err e;

	assert_int_equal(conf_table_check(protocol_by_name(STR("smpp"))->listener_conf,
				 protocol_by_name(STR("smpp"))->listener_conf_size, &e),
		0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct settings *s = try_conf(bad[i]);

		if (s)
			fail_msg("taken: %s", bad[i]);
	}
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct settings *s = fx_settings(good[i]);

		if (!s)
			fail_msg("refused: %s", good[i]);
		settings_free(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_growing_delay), cmocka_unit_test(test_max_binds),
		cmocka_unit_test(test_eviction), cmocka_unit_test(test_states),
		cmocka_unit_test(test_unbind_waits_for_answers),
		cmocka_unit_test(test_window_holds_back), cmocka_unit_test(test_stalled_store),
		cmocka_unit_test(test_half_open), cmocka_unit_test(test_enquire),
		cmocka_unit_test(test_inactivity), cmocka_unit_test(test_bad_lengths),
		cmocka_unit_test(test_bad_pdus), cmocka_unit_test(test_never_reads),
		cmocka_unit_test(test_noise), cmocka_unit_test(test_configuration),
		cmocka_unit_test(test_hashed_password), cmocka_unit_test(test_reload),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_stop), /* the last: it stops the gateway */
	};

	return cmocka_run_group_tests_name("smpp sessions", tests, begin, NULL);
}
