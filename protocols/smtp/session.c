/* One connection of a client, from the greeting to QUIT: lines, commands, replies, time. RFC 5321.
 * See smtpd.h.
 *
 * What is written in one turn of the loop leaves in one piece, so a pipelined group costs one
 * answer. A session that ended stays as a ghost until all that was asked in its name (commits,
 * chores, password checks) has come back; so those hold plain pointers.
 */
#include "gateway/base/mem.h"
#include "protocols/smtp/smtpd.h"

#include <stdio.h>

enum { IN_MOST = 128 * 1024, OUT_MOST = 64 * 1024, HELO_MOST = 255, REPLY_MOST = 512 };

static const struct stream_events session_events;
static const struct stream_limits limits = { .in_most = IN_MOST, .out_most = OUT_MOST };

/* ---- replies ---- */

static struct buf *out_of(struct smtpd_session *s)
{
	return stream_out(s->stream);
}

void smtpd_say_text(struct smtpd_session *s, struct str line)
{
	if (!s->stream)
		return;
	buf_str(out_of(s), line);
	stream_written(s->stream);
}

void smtpd_reply(struct smtpd_session *s, unsigned code, const char *status, const char *fmt, ...)
{
	struct buf *b;
	va_list ap;
	size_t from;

	if (code >= 400)
		smtpd_count_refusal(s->srv, code, status);
	if (!s->stream)
		return;
	b = out_of(s);
	from = b->n;
	buf_printf(b, "%u %s ", code, status);
	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
	/* Words of a mail or of a far side may be in it: printable ASCII, 512 octets (RFC 5321
	 * §4.2, 4.5.3.1.5). */
	if (b->n - from > REPLY_MOST - 2)
		b->n = from + REPLY_MOST - 2;
	for (size_t i = from; i < b->n; i++)
		if (b->p[i] < ' ' || b->p[i] > '~')
			b->p[i] = '?';
	buf_c(b, "\r\n");
	stream_written(s->stream);
}

void smtpd_say(struct smtpd_session *s, const struct smtp_reply *r)
{
	smtpd_reply(s, r->code, r->status, "%s", r->text);
}

struct smtp_reply smtpd_reply_of(enum reason r)
{
	struct smtp_reply y = { 554, "5.0.0", reason_text(r) };

	switch (r) {
	case REASON_NO_ROUTE:
		y = (struct smtp_reply){ 550, "5.1.2", y.text };
		break;
	case REASON_BAD_DESTINATION:
	case REASON_FAR_DESTINATION:
	case REASON_NO_CONTACT:
		y = (struct smtp_reply){ 550, "5.1.1", y.text };
		break;
	case REASON_BAD_SENDER:
	case REASON_POLICY:
	case REASON_CONSENT:
	case REASON_SUPPRESSION:
	case REASON_QUIET_HOURS:
	case REASON_CAP:
	case REASON_LEFT:
		y = (struct smtp_reply){ 550, "5.7.1", y.text };
		break;
	case REASON_TOO_LONG:
		y = (struct smtp_reply){ 552, "5.3.4", y.text };
		break;
	case REASON_BAD_CONTENT:
		y = (struct smtp_reply){ 554, "5.6.0", y.text };
		break;
	case REASON_BAD_TIME:
	case REASON_EXPIRED:
		y = (struct smtp_reply){ 554, "5.4.7", y.text };
		break;
	case REASON_DUPLICATE:
		y = (struct smtp_reply){ 554, "5.5.0",
			"the same idempotency key was used for another mail" };
		break;
	case REASON_RATE:
	case REASON_THROTTLED:
		y = (struct smtp_reply){ 451, "4.7.1", y.text };
		break;
	case REASON_QUEUE_FULL:
		y = (struct smtp_reply){ 452, "4.3.1", y.text };
		break;
	case REASON_STOPPING:
		y = (struct smtp_reply){ 451, "4.3.2", y.text };
		break;
	default:
		if (reason_verdict(r) != VERDICT_FAILED)
			y = (struct smtp_reply){ 451, "4.3.0", y.text };
		break;
	}
	return y;
}

/* ---- holding ---- */

void smtpd_hold(struct smtpd_session *s, unsigned why)
{
	s->holds |= why;
}

/* Reading was not stopped unless something came meanwhile. */
void smtpd_let_go(struct smtpd_session *s, unsigned why)
{
	s->holds &= ~why;
	if (s->holds || !s->stream)
		return;
	s->heard = loop_now(s->srv->l->loop);
	if (s->paused) {
		s->paused = false;
		stream_pause(s->stream, false);
	}
	smtpd_watch(s);
}

/* ---- time ----
 *
 * One timer. While a command is awaited it stands for the whole line; within a mail for silence,
 * and for the rate below which a mail is not waited for. */

static mono_t data_until(const struct smtpd_session *s)
{
	const struct smtpd_conf *c = s->srv->conf;
	mono_t silent = s->heard + c->data_wait, slow;

	if (c->rate_least == 0)
		return silent;
	slow = s->data_since + c->data_wait + (dur_t)(s->data_octets / c->rate_least) * DUR_S;
	return slow < silent ? slow : silent;
}

void smtpd_watch(struct smtpd_session *s)
{
	struct loop *l = s->srv->l->loop;
	const struct smtpd_conf *c = s->srv->conf;

	if (s->leaving)
		return; /* it ends at its own time */
	if (s->state == SMTPD_DATA || s->state == SMTPD_CHUNK) {
		if (!timer_is_set(&s->timer) || s->timer.at > data_until(s))
			timer_set(l, &s->timer, data_until(s));
	} else if (s->state != SMTPD_GHOST) {
		timer_set(l, &s->timer, s->heard + c->command_wait);
	}
}

/* Once it is connected and has waited. */
static void greet(struct smtpd_session *s)
{
	if (!s->opened || s->holds & SMTPD_HOLD_OPEN || s->state != SMTPD_GREETING)
		return;
	s->state = SMTPD_COMMAND;
	buf_printf(out_of(s), "220 %s ESMTP Postern\r\n", smtpd_hostname(s->srv));
	stream_written(s->stream);
}

static void session_timer(struct timer *t)
{
	struct smtpd_session *s = CONTAINER(t, struct smtpd_session, timer);
	mono_t now = loop_now(s->srv->l->loop);

	if (s->leaving) {
		smtpd_session_bye(s, "4.3.2", "closing now");
	} else if (s->holds & SMTPD_HOLD_OPEN) {
		smtpd_let_go(s, SMTPD_HOLD_OPEN);
		greet(s);
	} else if (s->holds & SMTPD_HOLD_LOGIN) {
		smtpd_auth_timer(s);
	} else if (s->holds) {
		timer_in(s->srv->l->loop, &s->timer, s->srv->conf->command_wait);
		if (s->holds & SMTPD_HOLD_FULL)
			smtpd_session_end(s, 0, "does not read its replies");
	} else if (s->state == SMTPD_DATA || s->state == SMTPD_CHUNK) {
		if (data_until(s) <= now)
			smtpd_session_bye(s, "4.4.2", "the mail comes too slowly");
		else
			timer_set(s->srv->l->loop, &s->timer, data_until(s));
	} else {
		smtpd_session_bye(s, "4.4.2", "no command in time");
	}
}

/* ---- beginning and end ---- */

static struct account *trusted(const struct smtpd *srv, const struct sockaddr *from)
{
	for (size_t i = 0; i < srv->trusts_n; i++)
		if (addr_net_has(&srv->trusts[i].net, from))
			return srv->trusts[i].account;
	return NULL;
}

static void leave_account(struct smtpd_session *s)
{
	if (!list_linked(&s->mate))
		return;
	list_remove(&s->mate);
	account_sessions(s->account, --smtpd_member(s->account)->n);
}

/* Who it is without having logged in: by its address, or nobody. */
static void join_trusted(struct smtpd_session *s)
{
	struct smtpd_member *m;

	leave_account(s);
	s->authed = s->over = false;
	s->account = trusted(s->srv, &s->addr.sa);
	if (!s->account)
		return;
	m = smtpd_member(s->account);
	s->over = m->n >= (unsigned)smtpd_account_conf(s->account)->sessions;
	list_append(&m->sessions, &s->mate);
	account_sessions(s->account, ++m->n);
}

void smtpd_session_open(
	struct smtpd *srv, int fd, const struct sockaddr *from, struct smtpd_address *address)
{
	struct smtpd_session *s = mem_new(struct smtpd_session);
	struct tls_server *tls = srv->tls_mode == SMTPD_TLS_IMPLICIT ? srv->tls : NULL;

	s->srv = srv;
	s->address = address;
	memcpy(&s->addr, from,
		from->sa_family == AF_INET6 ? sizeof s->addr.in6 : sizeof s->addr.in);
	addr_unmap(&s->addr);
	addr_text(&s->addr.sa, s->peer);
	s->loopback = addr_is_loopback(&s->addr.sa);
	s->since = s->heard = loop_now(srv->l->loop);
	s->timer.fire = session_timer;
	join_trusted(s);
	list_append(&srv->sessions, &s->link);
	stat_inc(&srv->opened);
	stat_set(&srv->open, ++srv->n);
	s->stream = stream_accept(srv->l->loop, fd, tls, &limits, &session_events, s);
	if (srv->conf->greeting_pause > 0) {
		s->holds = SMTPD_HOLD_OPEN;
		timer_in(srv->l->loop, &s->timer, srv->conf->greeting_pause);
	} else {
		smtpd_watch(s);
	}
}

static void session_free(struct smtpd_session *s)
{
	struct smtpd *srv = s->srv;

	smtpd_mail_free(&s->mail);
	smtpd_auth_free(s);
	list_remove(&s->link);
	mem_free(&s->helo);
	mem_free(&s);
	smtpd_check_closed(srv);
}

void smtpd_session_release(struct smtpd_session *s)
{
	CHECK(s->pending > 0);
	s->pending--;
	if (s->state == SMTPD_GHOST && s->pending == 0)
		session_free(s);
}

void smtpd_session_end(struct smtpd_session *s, dur_t linger, const char *why)
{
	struct smtpd *srv = s->srv;

	if (s->state == SMTPD_GHOST)
		return;
	log_debug("session ended", F_STR("listener", srv->l->name), F_STR("peer", s->peer),
		F_STR("account", s->account ? s->account->name : ""), F_STR("why", why),
		F_U64("mails", s->mails), F_DUR("age", loop_now(srv->l->loop) - s->since));
	leave_account(s);
	s->state = SMTPD_GHOST;
	timer_cancel(srv->l->loop, &s->timer);
	list_remove(&s->link);
	list_append(&srv->ghosts, &s->link);
	stat_set(&srv->open, --srv->n);
	if (--s->address->n == 0) {
		map_del_u64(&srv->addresses, s->address->key);
		mem_free(&s->address);
	}
	stream_close(&s->stream, linger);
	s->pending++;
	smtpd_session_release(s);
}

void smtpd_session_bye(struct smtpd_session *s, const char *status, const char *text)
{
	if (!smtpd_is_alive(s))
		return;
	smtpd_reply(s, 421, status, "%s: %s", smtpd_hostname(s->srv), text);
	smtpd_session_end(s, SMTPD_LINGER, text);
}

void smtpd_session_leave(struct smtpd_session *s, dur_t grace)
{
	if (!smtpd_is_alive(s) || s->leaving)
		return;
	if (!s->mail && !s->holds) {
		smtpd_session_bye(s, "4.3.2", "closing");
		return;
	}
	s->leaving = true;
	timer_in(s->srv->l->loop, &s->timer, grace);
}

bool smtpd_error(struct smtpd_session *s)
{
	if (++s->errors < (unsigned)s->srv->conf->errors_most)
		return false;
	smtpd_session_bye(s, "4.7.0", "too many errors");
	return true;
}

void smtpd_lost(struct smtpd_session *s, const struct smtp_reply *r)
{
	unsigned held;

	if (log_due(&s->srv->quiet_fault, &held))
		log_warn("session broken off", F_STR("listener", s->srv->l->name),
			F_STR("peer", s->peer),
			F_STR("account", s->account ? s->account->name : ""), F_STR("why", r->text),
			F_U64("more", held));
	smtpd_say(s, r);
	smtpd_session_end(s, SMTPD_LINGER, r->text);
}

/* ---- commands ---- */

#define REPLY(name, code, status, text) static const struct smtp_reply name = { code, status, text }
REPLY(early, 554, "5.5.0", "you spoke before the greeting");
REPLY(long_line, 500, "5.5.2", "the line is too long");
REPLY(long_auth, 500, "5.5.6", "the line is too long for a login"); /* RFC 4954 §6 */
REPLY(bare_lf, 521, "5.5.2", "lines end with CR LF, and a lone CR or LF stands nowhere");
REPLY(nul, 521, "5.5.2", "a NUL stands in no command");
REPLY(pipelined, 521, "5.5.0", "nothing may follow that before its answer");
REPLY(no_tls_now, 503, "5.5.1", "TLS cannot be had here, or is on already");
REPLY(in_mail, 503, "5.5.1", "not within a mail");
REPLY(vrfy, 252, "2.1.5", "cannot tell; try to send to it");
REPLY(expn, 502, "5.5.1", "there are no lists here");
REPLY(help, 214, "2.0.0", "RFC 5321; ask your administrator for an account");
#undef REPLY

static void take_hello(struct smtpd_session *s, const struct smtp_command *c)
{
	struct buf *b = out_of(s);
	const char *host = smtpd_hostname(s->srv), *auth;
	size_t n = c->arg.n < HELO_MOST ? c->arg.n : HELO_MOST;

	smtpd_mail_reset(s);
	mem_free(&s->helo);
	s->helo = mem_dup(str_n(c->arg.p, n));
	/* It stands in Received: nothing there that ends a line or a comment. */
	for (size_t i = 0; i < n; i++)
		if (s->helo[i] <= 0x20 || s->helo[i] > 0x7e || strchr("()<>\\\"", s->helo[i]))
			s->helo[i] = '?';
	s->greeted = true;
	s->esmtp = c->verb == SMTP_EHLO;
	if (!s->esmtp) {
		buf_printf(b, "250 %s\r\n", host);
		stream_written(s->stream);
		return;
	}
	buf_printf(b, "250-%s\r\n250-PIPELINING\r\n250-SIZE %lu\r\n250-8BITMIME\r\n", host,
		s->srv->conf->size_most);
	if (!s->tls && s->srv->tls)
		buf_c(b, "250-STARTTLS\r\n");
	auth = smtpd_auth_offer(s);
	if (auth[0])
		buf_printf(b, "250-%s\r\n", auth);
	buf_c(b, "250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250-CHUNKING\r\n250 SMTPUTF8\r\n");
	stream_written(s->stream);
}

/* RFC 3207. What was read before TLS counts for nothing, and nothing may have come with it. */
static void take_starttls(struct smtpd_session *s)
{
	struct err e;

	if (!s->srv->tls || s->tls) {
		smtpd_say(s, &no_tls_now);
		smtpd_error(s);
		return;
	}
	if (s->mail) {
		smtpd_say(s, &in_mail);
		smtpd_error(s);
		return;
	}
	smtpd_reply(s, 220, "2.0.0", "begin TLS");
	s->greeted = s->esmtp = false;
	mem_free(&s->helo);
	if (s->authed) /* who logged in in clear need not be who comes by TLS */
		join_trusted(s);
	smtpd_hold(s, SMTPD_HOLD_TLS);
	if (stream_start_tls(s->stream, NULL, s->srv->tls, &e) != 0)
		smtpd_session_end(s, 0, e.text);
}

static void take_quit(struct smtpd_session *s)
{
	buf_printf(out_of(s), "221 2.0.0 %s closes\r\n", smtpd_hostname(s->srv));
	stream_written(s->stream);
	/* It will not say more: nothing to linger for. */
	smtpd_session_end(s, s->tls || s->more ? SMTPD_LINGER : 0, "quit");
}

static void take_command(struct smtpd_session *s, const struct smtp_command *c)
{
	switch (c->verb) {
	case SMTP_EHLO:
	case SMTP_HELO:
		take_hello(s, c);
		break;
	case SMTP_MAIL:
		smtpd_mail_from(s, c);
		break;
	case SMTP_RCPT:
		smtpd_rcpt_to(s, c);
		break;
	case SMTP_DATA:
		smtpd_data_begin(s);
		break;
	case SMTP_BDAT:
		smtpd_chunk_begin(s, c);
		break;
	case SMTP_RSET:
		smtpd_mail_reset(s);
		smtpd_reply(s, 250, "2.0.0", "forgotten");
		break;
	case SMTP_NOOP:
		smtpd_reply(s, 250, "2.0.0", "here");
		break;
	case SMTP_VRFY:
		smtpd_say(s, &vrfy);
		break;
	case SMTP_EXPN:
		smtpd_say(s, &expn);
		smtpd_error(s);
		break;
	case SMTP_HELP:
		smtpd_say(s, &help);
		break;
	case SMTP_STARTTLS:
		take_starttls(s);
		break;
	case SMTP_AUTH:
		smtpd_auth(s, c);
		break;
	case SMTP_QUIT:
		take_quit(s);
		break;
	default:
		break;
	}
}

/* Those whose answer decides what the next octets are (RFC 2920 §3.1, 3207 §4, 4954 §4). */
static bool must_be_last(const struct smtpd_session *s, enum smtp_verb v)
{
	return v == SMTP_EHLO || v == SMTP_HELO || v == SMTP_STARTTLS || v == SMTP_AUTH ||
	       v == SMTP_DATA;
}

static void take_line(struct smtpd_session *s, struct str line)
{
	const struct smtpd_conf *c = s->srv->conf;
	const struct smtp_reply *why;
	struct smtp_command cmd;
	unsigned flags =
		(s->esmtp ? SMTP_EXTENDED : 0u) | (s->mail && s->mail->smtputf8 ? SMTP_UTF8 : 0u);

	if (s->state == SMTPD_AUTH) {
		smtpd_auth_line(s, line);
		return;
	}
	why = smtp_command_parse(line, flags, &cmd);
	if (why && cmd.verb == SMTP_FOREIGN) {
		smtpd_lost(s, why);
		return;
	}
	/* A chunk whose size cannot be read: nobody knows where the next command begins. */
	if (why && cmd.verb == SMTP_BDAT) {
		smtpd_lost(s, why);
		return;
	}
	if (why) {
		smtpd_say(s, why);
		smtpd_error(s);
		return;
	}
	if (s->more && must_be_last(s, cmd.verb)) {
		smtpd_lost(s, &pipelined);
		return;
	}
	s->idle_commands += cmd.verb != SMTP_RCPT && cmd.verb != SMTP_DATA &&
			    cmd.verb != SMTP_BDAT && cmd.verb != SMTP_QUIT;
	if (s->idle_commands > (unsigned)c->idle_commands_most) {
		smtpd_session_bye(s, "4.7.0", "too many commands without a mail");
		return;
	}
	take_command(s, &cmd);
}

/* Returns the octets of a whole line at the beginning, 0: there is none yet. */
static size_t cut_line(struct smtpd_session *s, struct str bytes, struct str *line_r)
{
	bool auth = s->state == SMTPD_AUTH ||
		    (bytes.n >= 5 && str_ieq(str_n(bytes.p, 5), STR("AUTH ")));
	size_t most = auth ? SASL_LINE_MOST + 64 : SMTPD_LINE;
	const char *lf = memchr(bytes.p, '\n', bytes.n < most ? bytes.n : most), *cr;
	size_t n = lf ? (size_t)(lf - bytes.p) : bytes.n;

	if (memchr(bytes.p, '\0', n < most ? n : most)) {
		smtpd_lost(s, &nul);
		return 0;
	}
	cr = memchr(bytes.p, '\r', n < most ? n : most);
	if (lf ? cr != lf - 1 || lf == bytes.p : cr && cr + 1 < bytes.p + n) {
		smtpd_lost(s, &bare_lf);
		return 0;
	}
	if (!lf) {
		if (bytes.n >= most)
			smtpd_lost(s, auth ? &long_auth : &long_line);
		return 0;
	}
	*line_r = str_n(bytes.p, n - 1);
	return n + 1;
}

/* ---- the stream ---- */

static void session_is_open(struct stream *st, void *owner)
{
	struct smtpd_session *s = owner;

	if (s->holds & SMTPD_HOLD_TLS) {
		s->tls = true;
		smtpd_let_go(s, SMTPD_HOLD_TLS); /* no second greeting */
		return;
	}
	s->tls = s->srv->tls_mode == SMTPD_TLS_IMPLICIT;
	s->opened = true;
	greet(s);
}

static size_t session_bytes(struct smtpd_session *s, struct str bytes)
{
	struct str line = STR_NONE;
	size_t n;

	switch (s->state) {
	case SMTPD_DATA:
		return smtpd_data(s, bytes);
	case SMTPD_CHUNK:
		return smtpd_chunk(s, bytes);
	case SMTPD_GREETING:
		smtpd_lost(s, &early);
		return 0;
	case SMTPD_COMMAND:
	case SMTPD_AUTH:
		n = cut_line(s, bytes, &line);
		if (n == 0)
			return 0;
		s->more = n < bytes.n;
		take_line(s, line);
		return n;
	default:
		return 0;
	}
}

static size_t session_data(struct stream *st, void *owner, struct str bytes)
{
	struct smtpd_session *s = owner;
	size_t all = 0, n;

	s->pending++; /* not freed from under us */
	if (s->holds & SMTPD_HOLD_OPEN)
		smtpd_lost(s, &early);
	while (all < bytes.n && smtpd_is_alive(s) && !s->holds) {
		n = session_bytes(s, str_skip(bytes, all));
		if (n == 0)
			break;
		all += n;
	}
	if (smtpd_is_alive(s)) {
		if (all && !s->holds) {
			s->heard = loop_now(s->srv->l->loop);
			smtpd_watch(s);
		}
		if (stream_full(s->stream))
			smtpd_hold(s, SMTPD_HOLD_FULL);
		/* TLS refuses what is left over by itself. */
		if (s->holds && !(s->holds & SMTPD_HOLD_TLS) && all < bytes.n) {
			s->paused = true;
			stream_pause(s->stream, true);
		}
	}
	smtpd_session_release(s);
	return all;
}

static void session_down(struct stream *st, void *owner, const struct err *why)
{
	smtpd_session_end(owner, 0, why->kind == ERR_NONE ? "closed by peer" : why->text);
}

static void session_drained(struct stream *st, void *owner)
{
	struct smtpd_session *s = owner;

	if (s->holds & SMTPD_HOLD_FULL)
		smtpd_let_go(s, SMTPD_HOLD_FULL);
}

static const struct stream_events session_events = {
	.open = session_is_open,
	.data = session_data,
	.down = session_down,
	.drained = session_drained,
};
