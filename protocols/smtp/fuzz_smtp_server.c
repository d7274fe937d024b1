/* Fuzz target: the whole server half (session.c, auth.c, envelope.c, receive.c, accept.c,
 * reading.c, report.c) under any bytes from up to four clients and any order of answers from
 * behind.
 *
 * Streams, loop, clock of the loop, workers, spool and flow are stand-ins, linked instead of the
 * real ones; nothing is opened, nothing waits. The input is a list of steps: bytes
 * or lines from a client, an answer to a message, a chore that ends, a note to be told, time that
 * passes, an end. Checked: what is written is whole replies with their codes; messages have what
 * flow relies on, and nobody without an account has any; everything lent is given back and
 * everything ends.
 */
#include "protocols/smtp/smtpd.h"

enum { STREAMS = 4, ACCOUNTS = 3 };
struct far {
	bool shaking; /* a handshake that is not done; unlike a real one it lets input pass */
};
#include "tests/fuzz/listener.h"

#include <openssl/evp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fetch {
	message_fetched_fn done;
	void *ctx;
};

static struct {
	void *evidence[PENDING];
	struct fetch fetches[PENDING];
	unsigned evidence_n, fetches_n, writers, files;
	bool spool_fails, no_rate;
	struct mail_conf mail;
	struct smtpd_member m[ACCOUNTS];
	struct smtpd srv;
	struct smtpd_conf confs[2];
	struct smtpd_account_conf accounts[2][ACCOUNTS];
	struct smtpd_gateway_conf gateways[2];
	unsigned conf_at;
	struct message *last; /* the last accepted */
} w;

int stream_start_tls(struct stream *s, struct tls_client *c, struct tls_server *sv, struct err *e)
{
	CHECK(!s->far.shaking && sv);
	s->far.shaking = true;
	return 0;
}

/* ---- the spool ---- */

struct spool_writer *spool_begin(struct spool *s, struct err *e)
{
	if (w.spool_fails) {
		err_set(e, ERR_AGAIN, "full");
		return NULL;
	}
	w.writers++;
	return (struct spool_writer *)&dummy;
}
int spool_write(struct spool_writer *sw, const void *p, size_t n, struct err *e)
{
	return w.spool_fails ? err_set(e, ERR_ENV, "input/output error") : 0;
}
int spool_finish(struct spool_writer **wp, char name_r[SPOOL_NAME], struct err *e)
{
	CHECK(*wp && w.writers > 0);
	w.writers--;
	*wp = NULL;
	if (w.spool_fails)
		return err_set(e, ERR_ENV, "input/output error");
	w.files++;
	str_copy(name_r, SPOOL_NAME, STR("0123456789abcdef"));
	return 0;
}
void spool_abort(struct spool_writer **wp)
{
	CHECK(*wp && w.writers > 0);
	w.writers--;
	*wp = NULL;
}
int spool_read(struct spool *s, struct str name, uint64_t *size_r, struct err *e)
{
	return -1;
}
void spool_remove(struct spool *s, struct str name)
{
	CHECK(w.files > 0);
	w.files--;
}
bool spool_ref_parse(struct str value, struct spool_ref *r_r)
{
	*r_r = (struct spool_ref){ .field = STR("octets"), .name = STR("0123456789abcdef") };
	return value.n != 0;
}

/* Deriving keys is slow by intention, and not what is looked for here. */
int PKCS5_PBKDF2_HMAC(const char *pass, int passlen, const unsigned char *salt, int saltlen,
	int iter, const EVP_MD *digest, int keylen, unsigned char *out)
{
	for (int i = 0; i < keylen; i++)
		out[i] = (unsigned char)(passlen ? pass[i % passlen] : 0) ^ salt[i % saltlen];
	return 1;
}

/* ---- flow ---- */
static bool is_password(struct str password)
{
	return str_is(password, "secret");
}
bool account_has_rate(struct account *a, unsigned messages)
{
	return !w.no_rate || messages < 3;
}

/* What flow, routes, channels and the store rely on. */
static void check_message(const struct account *a, const struct message *m)
{
	struct str to = message_get(m, FIELD_TO), octets = message_get(m, FIELD_OCTETS);

	CHECK(a);
	CHECK(m->media < MEDIA_RECEIPT && m->priority < PRIORITY_COUNT && to.n && to.n <= 254);
	CHECK(str_utf8_valid(to) && str_utf8_valid(message_get(m, FIELD_FROM)));
	CHECK(str_utf8_valid(message_get(m, FIELD_SUBJECT)));
	CHECK(str_utf8_valid(message_get(m, FIELD_CLIENT_ID)));
	CHECK(octets.n <= SMTPD_INLINE + 64 * 1024);
	CHECK((m->media == MEDIA_EMAIL) == ((m->flags & MSG_OCTETS) != 0));
	if (m->media != MEDIA_EMAIL)
		return;
	CHECK((octets.n != 0) != message_has(m, FIELD_SPOOL));
	/* No lone CR or LF goes on, and no NUL. */
	for (size_t i = 0; i < octets.n; i++) {
		CHECK(octets.p[i] != '\0');
		CHECK(octets.p[i] != '\n' || (i && octets.p[i - 1] == '\r'));
		CHECK(octets.p[i] != '\r' || (i + 1 < octets.n && octets.p[i + 1] == '\n'));
	}
}
void message_arrived(struct listener *l, struct account *a, struct message *m, void *token)
{
	check_message(a, m);
	message_unref(&w.last);
	w.last = m;
	keep_token(token);
}
void message_dry_run(
	struct account *a, struct message *m, struct dry_run *trial_r, struct answer *a_r)
{
	struct str to = message_get(m, FIELD_TO);

	CHECK(a && to.n);
	*trial_r = (struct dry_run){ .channel = "x", .parts = 1 };
	*a_r = (struct answer){ .reason = to.n % 7 == 0 ? REASON_NO_ROUTE : REASON_NONE };
	message_unref(&m);
}
void evidence_arrived(struct listener *l, const struct evidence *v, void *token)
{
	CHECK(v->msg && v->by);
	CHECK(w.evidence_n < PENDING);
	w.evidence[w.evidence_n++] = token;
}
void message_fetch(struct listener *l, uint64_t id, message_fetched_fn done, void *ctx)
{
	CHECK(w.fetches_n < PENDING);
	w.fetches[w.fetches_n++] = (struct fetch){ done, ctx };
}
/* Replies: three digits, a space or a dash, an enhanced code of the same class, CR LF. */
static void read_out(struct stream *s)
{
	struct str rest = buf_view(&s->out);

	while (rest.n) {
		ptrdiff_t n = str_find(rest, STR("\r\n"));
		const char *p = rest.p;

		CHECK(n >= 4 && n < 2000);
		CHECK(p[0] >= '2' && p[0] <= '5' && (p[3] == ' ' || p[3] == '-'));
		for (ptrdiff_t i = 0; i < n; i++)
			CHECK(p[i] != '\r' && p[i] != '\n' && p[i] != '\0');
		if (p[0] >= '4')
			CHECK(n > 10 && p[4] == p[0] && p[5] == '.');
		rest = str_skip(rest, (size_t)n + 2);
	}
	buf_reset(&s->out);
}

/* ---- steps ---- */

static void answer(unsigned which, unsigned what)
{
	struct answer a = { .id = ++flow.id };
	void *token = take_token(which);

	if (!token)
		return;
	a.duplicate = what & 64;
	if (what & 128) {
		a.id = 0;
		a.reason = what % REASON_COUNT;
	}
	smtpd_answer(&flow.l, token, &a);
}

static void evidence(bool stored)
{
	if (w.evidence_n)
		smtpd_evidence_answer(&flow.l, w.evidence[--w.evidence_n], stored);
}

static void fetch(bool there)
{
	struct fetch f;

	if (!w.fetches_n)
		return;
	f = w.fetches[--w.fetches_n];
	f.done(f.ctx, there && w.last ? message_ref(w.last) : NULL, "550 5.1.1 no");
}

static void tell(struct str *in)
{
	unsigned what = take_u8(in);
	struct note *n;

	if (!may_tell())
		return;
	n = mem_new(struct note);
	n->kind = what & 1 ? NOTE_RECEIPT : what & 2 ? NOTE_INTERMEDIATE : NOTE_CORRECTION;
	if (what == 255)
		n->kind = NOTE_MO;
	n->msg = ++flow.id;
	n->seq = flow.id;
	n->state = take_u8(in) % STATE_COUNT;
	n->reason = take_u8(in) % REASON_COUNT;
	n->media = MEDIA_EMAIL;
	n->accepted = n->at = clock_wall();
	str_copy(n->err, sizeof n->err, what & 16 ? STR("5.1.1") : STR("550"));
	flow.notes++;
	smtpd_note(&flow.a[what >> 5 & 1], n);
}

static void open_stream(unsigned i)
{
	if (world.streams[i].used)
		return;
	/* 192.0.2.1 is trusted, .2 is not, .3 is loopback */
	connect_from(i, i == 2 ? 0x7f000001 : 0xc0000201 + (i & 1));
	if (world.streams[i].used && !world.streams[i].closed)
		world.streams[i].ev->open(&world.streams[i], world.streams[i].owner);
}

static void send_line(struct stream *s, unsigned which, struct str more)
{
	static const char *const lines[] = { "EHLO x", "HELO x", "MAIL FROM:<a@s.example>",
		"MAIL FROM:<> SMTPUTF8 RET=FULL ENVID=e", "RCPT TO:<b@x.example>",
		"RCPT TO:<bb@x.example> NOTIFY=SUCCESS,DELAY", "RCPT TO:<+46700000001@gw.example>",
		"DATA", "BDAT 20", "BDAT 10 LAST", "RSET", "QUIT", "STARTTLS", "AUTH PLAIN",
		"AUTH LOGIN", "AHNob3AAc2VjcmV0", "c2hvcA==", "c2VjcmV0", ".",
		"Postern-Idempotency-Key: k", "From: a@s.example", "Subject: =?utf-8?q?x?=", "",
		"NOOP", "AUTH SCRAM-SHA-256 biwsbj1zaG9wLHI9eHl6", "AUTH PLAIN AHNob3AAc2VjcmV0",
		"Content-Type: text/plain", "hello" };

	buf_c(&s->in, lines[which % (sizeof lines / sizeof lines[0])]);
	buf_str(&s->in, more);
	buf_c(&s->in, "\r\n");
	s->again = true;
}

/* To the bounce address of a message; needs a token. */
static void send_bounce_rcpt(struct stream *s)
{
	char token[MAIL_TOKEN];

	if (!mail_bounce_token(&w.mail, 4711, clock_wall(), token))
		return;
	buf_printf(&s->in, "RCPT TO:<%s@b.example>\r\n", token);
	s->again = true;
}

static void send_much(struct stream *s, unsigned lines)
{
	for (unsigned i = 0; i < lines * 40; i++)
		buf_c(&s->in, "a line of mail that is of some length, as lines of mails are\r\n");
	s->again = true;
}

static void adopt(bool password)
{
	unsigned other = w.conf_at ^ 1;

	memcpy(w.accounts[other], w.accounts[w.conf_at], sizeof w.accounts[0]);
	w.confs[other] = w.confs[w.conf_at];
	w.confs[other].accounts = w.accounts[other];
	if (password)
		w.accounts[other][0].common.password =
			w.accounts[other][0].common.password[0] == 's' ? "other" : "secret";
	for (int i = 0; i < ACCOUNTS; i++) {
		flow.a[i].specific = &w.accounts[other][i];
		flow.a[i].conf = &w.accounts[other][i].common;
	}
	CHECK(smtpd_adopt(&flow.l, &w.confs[other]) == 0);
	flow.l.specific = &w.confs[other];
	w.conf_at = other;
}

static void step(struct str *in)
{
	unsigned op = take_u8(in), i = op & 3, arg;
	struct stream *s = &world.streams[i];
	bool live = s->used && !s->closed;

	switch (op >> 2 & 15) {
	case 0:
		open_stream(i);
		break;
	case 1:
	case 2:
	case 3:
	case 4:
		arg = take_u8(in);
		if (live)
			send_line(s, arg, arg & 128 ? take_bytes(in) : STR_NONE);
		break;
	case 5:
	case 6:
		if (live) {
			buf_str(&s->in, take_bytes(in));
			s->again = true;
		}
		break;
	case 7:
		arg = take_u8(in);
		answer(i, arg);
		break;
	case 8:
		run_chore(take_u8(in));
		break;
	case 9:
		tell(in);
		break;
	case 10:
		evidence(i != 0);
		fetch(i != 1);
		verify();
		break;
	case 11:
		arg = take_u8(in);
		pass((dur_t)arg * (i ? DUR_S : 10 * DUR_MS));
		break;
	case 12:
		arg = take_u8(in);
		if (live && i)
			send_much(s, arg);
		else if (live)
			send_bounce_rcpt(s);
		break;
	case 13:
		if (!live)
			break;
		if (s->far.shaking && !s->full) {
			s->far.shaking = false;
			s->ev->open(s, s->owner);
		} else {
			turn_full(s, i & 1);
		}
		break;
	case 14:
		if (live)
			s->ev->down(s, s->owner, &(struct err){ .text = "reset" });
		break;
	default:
		if (i > 1)
			adopt(i == 2);
		else if (i)
			w.spool_fails = !w.spool_fails;
		else
			flow.delay = flow.delay ? 0 : DUR_S;
		break;
	}
	turn();
	pass(0);
	turn();
}

/* ---- beginning and end ---- */

static void begin(struct str *in)
{
	static const struct account_conf common = {
		.password = "secret", .policy = "", .media = "sms", .priority = ""
	};
	static const char *const names[ACCOUNTS] = { "shop", "till", "trusted" };
	static const char *nets[] = { "192.0.2.1" }, *from[] = { "*@s.example", "" };
	unsigned what = take_u8(in), more = take_u8(in);

	memset(&w, 0, sizeof w);
	listener_begin("mx", &w.srv, &w.confs[0]);
	w.no_rate = more & 1;
	w.mail = (struct mail_conf){ .hostname = "mx.example",
		.secret = what & 1 ? "0123456789abcdef" : NULL,
		.bounce_domain = "b.example",
		.bounce_life = DUR_DAY };
	flow.l.mail = &w.mail;
	flow.l.spool = what & 2 ? (struct spool *)&dummy : NULL;
	for (int i = 0; i < ACCOUNTS; i++) {
		struct smtpd_account_conf *c = &w.accounts[0][i];

		*c = (struct smtpd_account_conf){
			.user = names[i], .common = common, .header_from = true, .sessions = 2
		};
		if (i == 1 && what & 4)
			c->common.password = "$5$x$y";
		if (i == 2) {
			c->common.password = NULL;
			c->trust = nets;
			c->trust_n = 1;
		}
		if (what & 8) {
			c->common.from = from;
			c->common.from_n = 2;
		}
		flow.a[i] = (struct account){ .name = names[i],
			.loop = flow.l.loop,
			.conf = &c->common,
			.specific = c,
			.self = &w.m[i],
			.submitter = 1 };
		smtpd_account_open(&flow.a[i]);
	}
	w.gateways[0] = (struct smtpd_gateway_conf){ .domain = "gw.example",
		.media = "sms",
		.from = "Shop",
		.country = "",
		.trunk = "0",
		.parts_most = 2,
		.subject = more >> 1 & 1 };
	w.confs[0] = (struct smtpd_conf){ .listen = "",
		.tls = { .given = what & 16, .mode = what & 32 ? "must" : "may" },
		.accounts = w.accounts[0],
		.accounts_n = ACCOUNTS,
		.gateways = w.gateways,
		.gateways_n = 1,
		.connections = 3,
		.per_address = 2,
		.recipients_most = 4,
		.errors_most = 8,
		.idle_commands_most = 20,
		.hops_most = 3,
		.greeting_pause = what & 64 ? DUR_S : 0,
		.command_wait = 60 * DUR_S,
		.data_wait = 60 * DUR_S,
		.size_most = more & 4 ? 33 * 1024 : 1024 * 1024,
		.rate_least = 100,
		.line_most = 100,
		.report_most = 4096,
		.auth_in_clear = what & 128,
		.bounce_other = more & 8 ? "post@x.example" : "",
		.bounce_account = "shop" };
}

static void end(void)
{
	struct buf b = BUF_INIT;

	smtpd_describe(&flow.l, &b);
	buf_free(&b);
	smtpd_unlisten(&flow.l, 5 * DUR_S);
	turn();
	for (int i = 0; i < 200 && !flow.closed; i++) {
		while (flow.verifies_n)
			verify();
		while (w.fetches_n)
			fetch(true);
		while (w.evidence_n)
			evidence(true);
		while (world.chores_n)
			run_chore(0);
		while (flow.tokens_n)
			answer(0, 128 | REASON_STOPPING);
		turn();
		pass(10 * DUR_S);
		turn();
	}
	CHECK(flow.closed && flow.notes == 0 && w.writers == 0);
	for (int i = 0; i < ACCOUNTS; i++)
		CHECK(w.m[i].n == 0);
	world_end();
	message_unref(&w.last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_n(data, size);
	struct err e;
	unsigned steps = 0;

	begin(&in);
	CHECK(smtpd_listen(&flow.l, &e) == 0);
	turn();
	while (in.n && steps++ < 100)
		step(&in);
	end();
	return 0;
}
