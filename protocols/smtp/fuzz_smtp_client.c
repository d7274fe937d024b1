/* Fuzz target: the whole client half (client*.c, reply.c) under any replies of a server, any mails
 * from the gateway and any order of what happens, with one of several sets of settings.
 *
 * Streams, loop, timers and workers are stand-ins without I/O and without waiting. The server reads
 * what is written as a strict one does: only commands that exist, nothing but CRLF, content ended
 * by its dot. As long as it answers in order, a mail is called sent if and only if the server took
 * it; each delivery comes back once, with a verdict that fits; all ends.
 */
#include "protocols/smtp/client.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STREAMS = 12, LENT = 64, CONFS = 8, LOOKUPS = 4, ASKED = 512, MAILS = 512 };

/* What a strict server awaits next. */
enum { COMMANDS, CONTENT, CHUNK, AUTH_LINE };
struct asked {
	char verb; /* E H S A M R D . B L Z Q, by kind */
	unsigned mail;
};
struct far {
	bool wild; /* it answered what was not asked */
	bool opened, chunk_last, mail_ok;
	int mode;
	size_t chunk;
	struct asked asked[ASKED];
	unsigned asked_first, asked_n, mail, rcpt_ok;
};

#include "tests/fuzz/world.h"

static struct {
	struct delivery *lent[LENT];
	unsigned lent_n, window;
	bool inside, closed;
	uint64_t id;
	uint8_t taken[MAILS];
	struct channel c;
	struct channel_conf common;
	struct relay relay;
} w;

/* ---- flow ---- */

void channel_window(struct channel *c, unsigned parts, const struct err *why)
{
	CHECK(parts <= relay_most(c->self) * (unsigned)c->conf->window);
	CHECK(!why || (why->text[0] && str_utf8_valid(str_of(why->text))));
	w.window = parts;
}
void channel_closed(struct channel *c)
{
	CHECK(!w.closed && !w.inside);
	w.closed = true;
}
void delivery_done(struct delivery *d, const struct outcome *o)
{
	unsigned slot = 0;
	bool wild = false;

	CHECK(!w.inside);
	while (slot < LENT && w.lent[slot] != d)
		slot++;
	CHECK(slot < LENT);
	w.lent[slot] = NULL;
	w.lent_n--;
	CHECK(memchr(o->words, 0, sizeof o->words) && str_utf8_valid(str_of(o->words)));
	CHECK(memchr(o->far_id, 0, sizeof o->far_id) && memchr(o->err, 0, sizeof o->err));
	CHECK((o->reason == REASON_NONE) == (o->verdict == VERDICT_SENT));
	CHECK(!o->dead || o->verdict == VERDICT_FAILED);
	for (int i = 0; i < STREAMS; i++)
		wild |= world.streams[i].used && world.streams[i].far.wild;
	if (!wild && d->msg->id < MAILS) {
		if (o->verdict == VERDICT_SENT)
			CHECK(w.taken[d->msg->id] == 1);
		else if (o->verdict != VERDICT_UNCERTAIN)
			CHECK(w.taken[d->msg->id] == 0);
	}
	message_unref(&d->msg);
	mem_free(&d);
}

/* ---- the world ---- */

int stream_start_tls(struct stream *s, struct tls_client *c, struct tls_server *sv, struct err *e)
{
	CHECK(c && !s->tls);
	s->shakes = true;
	return 0;
}
struct dns *dns_new(struct loop *l, const struct dns_conf *c, struct err *e)
{
	return (struct dns *)&dummy;
}
void dns_free(struct dns **dp)
{
	*dp = NULL;
}
struct mx_lookup {
	mx_fn *fn;
	void *owner;
	bool used;
};
static struct mx_lookup lookups[LOOKUPS];
struct mx_lookup *mx_look(
	struct loop *l, struct dns *d, const struct mx_asks *asks, mx_fn *fn, void *owner)
{
	for (int i = 0; i < LOOKUPS; i++) {
		if (lookups[i].used)
			continue;
		lookups[i] = (struct mx_lookup){ fn, owner, true };
		return &lookups[i];
	}
	CHECK(false);
	return NULL;
}
void mx_cancel(struct mx_lookup **mp)
{
	if (*mp)
		(*mp)->used = false;
	*mp = NULL;
}
struct sts *sts_new(struct loop *l, struct dns *d, const struct sts_conf *c)
{
	return (struct sts *)&dummy;
}
void sts_free(struct sts **sp)
{
	*sp = NULL;
}
struct sts_ask {
	sts_fn *fn;
	void *owner;
	bool used;
};
static struct sts_ask sts_asks[LOOKUPS];
struct sts_ask *sts_look(struct sts *s, const char *domain, sts_fn *fn, void *owner)
{
	for (int i = 0; i < LOOKUPS; i++) {
		if (sts_asks[i].used)
			continue;
		sts_asks[i] = (struct sts_ask){ fn, owner, true };
		return &sts_asks[i];
	}
	CHECK(false);
	return NULL;
}
void sts_cancel(struct sts_ask **ap)
{
	if (*ap)
		(*ap)->used = false;
	*ap = NULL;
}
static void find_policy(unsigned what)
{
	struct sts_ask *a = &sts_asks[what % LOOKUPS];
	struct sts_policy p = { .mode = (enum sts_mode)((what >> 2 & 3) % 3), .n = 1 };

	if (!a->used)
		return;
	a->used = false;
	str_copy(p.mx[0], sizeof p.mx[0], what & 16 ? STR("mx.example") : STR("*.other"));
	a->fn(a->owner, what & 32 ? NULL : &p);
}

static void find_route(unsigned what)
{
	struct mx_lookup *m = &lookups[what % LOOKUPS];
	struct mx_route r = { .found = (enum mx_found)((what >> 2 & 7) % 7 > 4 ? 0 : what >> 2 & 7),
		.n = 1 + (what >> 5),
		.ttl = 60 * DUR_S,
		.why = "as the fuzzer wishes" };

	if (!m->used)
		return;
	m->used = false;
	if (r.found > MX_LATER)
		r.found = MX_ROUTE;
	for (unsigned i = 0; i < r.n; i++) {
		str_copy(r.host[i].name, sizeof r.host[i].name, STR("mx.example"));
		str_copy(r.host[i].at, sizeof r.host[i].at, STR("192.0.2.9"));
	}
	m->fn(m->owner, &r);
}
/* ---- the server ---- */

static void push(struct stream *s, char verb)
{
	CHECK(s->far.asked_n < ASKED);
	s->far.asked[(s->far.asked_first + s->far.asked_n++) % ASKED] =
		(struct asked){ verb, s->far.mail };
}

static void check_clean(struct str line)
{
	CHECK(!memchr(line.p, '\r', line.n) && !memchr(line.p, '\n', line.n));
	CHECK(!memchr(line.p, 0, line.n) && line.n < 8192);
}

static void read_command(struct stream *s, struct str line)
{
	static const struct {
		const char *word;
		char verb;
	} verbs[] = { { "EHLO ", 'E' }, { "HELO ", 'H' }, { "STARTTLS", 'S' }, { "AUTH ", 'A' },
		{ "MAIL FROM:<", 'M' }, { "RCPT TO:<", 'R' }, { "DATA", 'D' }, { "RSET", 'Z' },
		{ "QUIT", 'Q' } };
	struct str id;

	check_clean(line);
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (!str_starts(line, str_of(verbs[i].word)))
			continue;
		if (verbs[i].verb == 'M') {
			id = str_skip(line, 12);
			s->far.mail = (unsigned)strtoul(id.p, NULL, 10);
			CHECK(line.p[11] == 'm' && s->far.mail && s->far.mail <= w.id);
		}
		if (verbs[i].verb == 'A')
			s->far.mode = AUTH_LINE;
		push(s, verbs[i].verb);
		return;
	}
	if (str_starts(line, STR("BDAT "))) {
		s->far.chunk = strtoul(line.p + 5, NULL, 10);
		s->far.chunk_last = str_ends(line, STR(" LAST"));
		s->far.mode = CHUNK;
		return;
	}
	check_failed("no command", __FILE__, __LINE__, "read_command");
}

/* Reads what was written, as far as it is known what it is: behind DATA only the answer tells. */
static void read_out(struct stream *s)
{
	struct str rest = buf_view(&s->out), line;
	ptrdiff_t at;

	while (rest.n && !s->far.wild) {
		if (s->far.mode == CHUNK) {
			size_t n = s->far.chunk < rest.n ? s->far.chunk : rest.n;

			s->far.chunk -= n;
			rest = str_skip(rest, n);
			if (s->far.chunk)
				break;
			s->far.mode = COMMANDS;
			push(s, s->far.chunk_last ? '.' : 'B');
			continue;
		}
		/* The last thing asked was DATA, and it is not answered: what comes is content. */
		at = str_find(rest, STR("\r\n"));
		CHECK(at >= 0 || s->far.mode == CONTENT);
		if (at < 0)
			break;
		line = str_n(rest.p, (size_t)at);
		rest = str_skip(rest, (size_t)at + 2);
		if (s->far.mode == CONTENT) {
			CHECK(!memchr(line.p, '\r', line.n) && !memchr(line.p, '\n', line.n));
			CHECK(line.n == 0 || line.p[0] != '.' || line.n == 1 || line.p[1] == '.');
			if (str_is(line, ".")) {
				s->far.mode = COMMANDS;
				push(s, '.');
			}
		} else if (s->far.mode == AUTH_LINE) {
			check_clean(line);
			if (str_is(line, "QUIT"))
				s->far.mode = COMMANDS;
			push(s, 'L');
		} else {
			read_command(s, line);
		}
	}
	if (s->far.wild)
		rest = STR_NONE;
	s->left += s->out.n - rest.n;
	buf_drop(&s->out, s->out.n - rest.n);
}

static void reply(struct stream *s, unsigned code, const char *text)
{
	buf_printf(&s->in, "%u %s\r\n", code, text);
	s->again = true;
}

/* Answers the oldest thing asked; what: how. */
static void answer(struct stream *s, unsigned what)
{
	static const unsigned bad[] = { 550, 450, 421, 552, 554, 503, 530, 451 };
	static const char *const texts[] = { "5.1.1 no such user", "4.7.1 try later", "bye",
		"5.2.2 full \xff", "", "5.5.1 order", "5.7.0 auth", "4.7.0 rate limit" };
	bool good = (what & 3) != 3;
	unsigned n = what >> 2 & 7;
	struct asked a;

	if (!s->far.asked_n) {
		if (what & 128) {
			s->far.wild = true;
			reply(s, good ? 250 : bad[n], "unasked");
		}
		return;
	}
	a = s->far.asked[s->far.asked_first];
	s->far.asked_first = (s->far.asked_first + 1) % ASKED;
	s->far.asked_n--;
	switch (a.verb) {
	case 'E':
		s->far.mode = COMMANDS;
		if (!good) {
			reply(s, bad[n], texts[n]);
			break;
		}
		buf_c(&s->in, "250-x\r\n");
		if (n & 1)
			buf_c(&s->in, "250-PIPELINING\r\n");
		if (n & 2)
			buf_c(&s->in, "250-CHUNKING\r\n250-BINARYMIME\r\n");
		if (n & 4)
			buf_c(&s->in, "250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n");
		if (what & 32)
			buf_c(&s->in, "250-SIZE 5000\r\n250-AUTH PLAIN LOGIN\r\n");
		if (what & 64)
			buf_c(&s->in, "250-STARTTLS\r\n");
		reply(s, 250, "HELP");
		break;
	case 'S':
		good ? reply(s, 220, "go") : reply(s, bad[n], texts[n]);
		break;
	case 'A':
	case 'L':
		if (good && what & 32) {
			reply(s, 334, "eHg=");
			break;
		}
		s->far.mode = COMMANDS;
		good ? reply(s, 235, "ok") : reply(s, bad[n], texts[n]);
		break;
	case 'D':
		/* Some go on although nobody is to have it. */
		if ((s->far.rcpt_ok && good) || what & 64) {
			s->far.mode = CONTENT;
			reply(s, 354, "go");
		} else {
			reply(s, bad[n], texts[n]);
		}
		break;
	case 'M':
		s->far.rcpt_ok = 0;
		s->far.mail_ok = good;
		good ? reply(s, 250, "ok") : reply(s, bad[n], texts[n]);
		break;
	case 'R':
		good &= s->far.mail_ok;
		s->far.rcpt_ok = good;
		good ? reply(s, 250, "ok") : reply(s, bad[n], texts[n]);
		break;
	case '.':
		good &= s->far.rcpt_ok != 0;
		s->far.rcpt_ok = 0;
		if (good && a.mail < MAILS)
			w.taken[a.mail]++;
		good ? reply(s, 250, "2.0.0 queued as 1") : reply(s, bad[n], texts[n]);
		break;
	default:
		good || a.verb == 'Z' ? reply(s, 250, "ok") : reply(s, bad[n], texts[n]);
	}
}

/* ---- settings ---- */

static struct relay_conf *confs[CONFS];

static void make_confs(void)
{
	static const char *const texts[CONFS] = { "",
		"chunking = \"on\"; tls = { mode = \"none\"; };",
		"tls = { mode = \"must\"; }; messages_per_connection = 2; idle = \"1s\";",
		"pipelining = false; backup = [ \"192.0.2.2\" ];",
		"user = \"us\"; password = \"secret\"; tls = { mode = \"none\"; }; "
		"timeouts = { done = \"1s\"; mail = \"1s\"; };",
		"tls = { mode = \"implicit\"; }; chunking = \"on\"; chunk_most = \"1KiB\"; "
		"user = \"us\"; password = \"x\"; auth = \"login\";",
		"mx mta_sts = \"enforce\";",
		"mx domain_rate = 5.0; domain_connections = 1; chunking = \"on\";" };
	char text[512];
	bool mx;

	for (int i = 0; i < CONFS && !confs[i]; i++) {
		mx = texts[i][0] == 'm' && texts[i][1] == 'x';
		snprintf(text, sizeof text, "host = \"%s\"; helo = \"us.example\"; %s",
			mx ? "mx" : "192.0.2.1", mx ? texts[i] + 2 : texts[i]);
		confs[i] = take_settings(relay_rows, sizeof *confs[0], text);
	}
}

/* ---- steps ---- */

static struct message *take_message(struct str *in)
{
	static const char *const tos[] = { "ann@peer.example", "bob@other.example",
		"\"a b\"@peer.example", "jos\xc3\xa9@peer.example", "evil>@x", "a\r\nb@x", "" };
	unsigned what = take_u8(in);
	struct mail_envelope v = { .eightbit = what & 1,
		.smtputf8 = what & 2,
		.binary = (what & 12) == 12,
		.notify = (uint8_t)(what >> 4),
		.ret = (uint8_t)(what % 3) };
	struct draft d;
	struct message *m;
	char from[64];

	v.notify = v.notify & NOTIFY_NEVER ? NOTIFY_NEVER : v.notify;
	draft_init(&d);
	d.head.media = MEDIA_EMAIL;
	d.head.id = ++w.id;
	d.head.accepted = clock_wall();
	d.head.flags = MSG_OCTETS;
	snprintf(from, sizeof from, "m%lu@us.example", (unsigned long)w.id);
	draft_put(&d, FIELD_FROM, str_of(from));
	draft_put(&d, FIELD_TO, str_of(tos[take_u8(in) % 7]));
	v.envid = take_bytes(in);
	v.orcpt = take_bytes(in);
	mail_envelope_put(&d, &v);
	draft_put(&d, FIELD_OCTETS, take_bytes(in));
	if ((what & 0xf0) == 0xf0)
		draft_put(&d, FIELD_SPOOL, STR("octets:0123456789abcdef:1"));
	m = draft_seal(&d);
	draft_free(&d);
	return m;
}

static void lend(struct str *in)
{
	struct message *m = take_message(in);
	unsigned slot = 0;
	struct delivery *d;

	while (slot < LENT && w.lent[slot])
		slot++;
	if (slot == LENT || w.lent_n >= w.window || w.closed) {
		message_unref(&m);
		return;
	}
	d = mem_new(struct delivery);
	d->msg = m;
	d->channel = &w.c;
	d->attempt = d->parts = 1;
	w.lent[slot] = d;
	w.lent_n++;
	w.inside = true;
	relay_submit(&w.c, d);
	w.inside = false;
}

static void step(struct str *in)
{
	unsigned op = take_u8(in), i = op & 3, arg;
	struct stream *s = &world.streams[i];
	bool live = s->used && !s->closed;
	struct buf b = BUF_INIT;

	switch (op >> 2 & 15) {
	case 0:
	case 1:
		if (!live || (s->far.opened && !s->shakes))
			break;
		if (s->shakes)
			s->tls = true;
		else
			reply(s, 220, "hello");
		s->far.opened = true;
		s->shakes = false;
		s->far.mode = COMMANDS;
		s->ev->open(s, s->owner);
		break;
	case 2:
		if (live && s->far.opened && !s->shakes) {
			s->far.wild = true;
			buf_str(&s->in, take_bytes(in));
			s->again = true;
		}
		break;
	case 3:
	case 4:
	case 5:
	case 6:
	case 7:
		arg = take_u8(in);
		if (live && s->far.opened && !s->shakes)
			answer(s, arg);
		break;
	case 8:
	case 9:
	case 10:
		lend(in);
		break;
	case 11:
		arg = take_u8(in);
		if (arg & 1)
			find_route(arg >> 1);
		else if (arg & 2)
			find_policy(arg >> 2);
		else
			run_chore(arg >> 2);
		break;
	case 12:
		arg = take_u8(in);
		pass((dur_t)arg * (i ? DUR_S : 10 * DUR_MS));
		break;
	case 13:
		if (live && s->far.opened)
			turn_full(s, i & 1);
		break;
	case 14:
		if (live)
			s->ev->down(s, s->owner,
				&(struct err){
					.kind = i & 1 ? ERR_NONE : ERR_ENV, .text = "reset" });
		break;
	default:
		arg = take_u8(in) % CONFS;
		relay_describe(&w.c, &b);
		buf_free(&b);
		if (relay_adopt(&w.c, confs[arg]) == 0)
			w.c.specific = confs[arg];
		break;
	}
	turn();
	pass(0);
	turn();
}

static void end(void)
{
	relay_close(&w.c, 10 * DUR_S);
	for (int i = 0; i < 20 && !w.closed; i++) {
		turn();
		while (world.chores_n)
			run_chore(0);
		turn();
		pass(5 * DUR_S);
	}
	turn();
	while (world.chores_n)
		run_chore(0);
	CHECK(w.closed && w.lent_n == 0);
	world_end();
	for (int i = 0; i < LOOKUPS; i++)
		CHECK(!lookups[i].used && !sts_asks[i].used);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_n(data, size);
	unsigned steps = 0, what;
	struct err e;

	make_confs();
	memset(&w, 0, sizeof w);
	memset(lookups, 0, sizeof lookups);
	memset(sts_asks, 0, sizeof sts_asks);
	world_begin();
	what = take_u8(&in);
	w.common = (struct channel_conf){
		.name = "relay", .connections = what & 128 ? 2 : 1, .window = what & 64 ? 8 : 2
	};
	w.c = (struct channel){ .name = "relay",
		.loop = (struct loop *)&dummy,
		.conf = &w.common,
		.specific = confs[(what & 63) % CONFS],
		.self = &w.relay };
	CHECK(relay_open(&w.c, &e) == 0);
	turn();
	while (in.n && steps++ < 400)
		step(&in);
	end();
	return 0;
}
