/* One connection to a mail server: connect, greeting, EHLO, STARTTLS, AUTH, rest, QUIT. The
 * channel's loop.
 *
 * What the server says when nothing was asked ends the connection: no answer can be taken for
 * another one's. QUIT is said and not waited for.
 */
#include "protocols/smtp/client.h"
#include "gateway/base/mem.h"
#include "gateway/base/stream.h"

#include <stdarg.h>
#include <stdio.h>

#define LINGER      (2 * DUR_S)
#define NO_TLS_LIFE (10 * DUR_MIN)
enum { OUT_MOST = 256 * 1024, INITIAL_MOST = 450 };

static const struct stream_events session_events;
static void session_timer(struct timer *t);
static void after_hello(struct relay_session *s);

static const struct relay_conf *settings(const struct relay_session *s)
{
	return relay_settings(s->relay);
}

/* TLS of that host does not work: without, for a while, also on the next connections. */
static void no_tls(struct relay_session *s)
{
	s->to.no_tls_until = loop_now(s->relay->c->loop) + NO_TLS_LIFE;
	for (unsigned i = 0; i < s->site->hosts_n; i++)
		if (strcmp(s->site->hosts[i].at, s->to.at) == 0)
			s->site->hosts[i].no_tls_until = s->to.no_tls_until;
}

static void say(struct relay_session *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void say(struct relay_session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(stream_out(s->stream), fmt, ap);
	va_end(ap);
	stream_written(s->stream);
}

/* ---- its time ---- */

void peer_wait(struct relay_session *s, dur_t at_most)
{
	s->deadline = loop_now(s->relay->c->loop) + at_most;
	/* A timer that comes too early finds the later deadline; that is cheaper than moving it. */
	if (!timer_is_set(&s->timer) || s->timer.at > s->deadline)
		timer_set(s->relay->c->loop, &s->timer, s->deadline);
}

void peer_calm(struct relay_session *s)
{
	peer_wait(s, settings(s)->idle);
}

/* ---- its end ---- */

struct sasl_try {
	struct chore chore;
	struct relay_session *session; /* NULL: it ended */
	enum relay_auth how;
	unsigned step;
	struct scram_client scram;
	char *password;
	struct buf in, out;
	bool good;
	struct err fault;
	bool working;
};

static void sasl_free(struct sasl_try **tp)
{
	struct sasl_try *t = *tp;

	scram_client_free(&t->scram);
	mem_free(&t->password);
	buf_free(&t->in);
	buf_free(&t->out);
	mem_free(tp);
}

void peer_free(struct relay_session *s)
{
	CHECK(s->jobs_n == 0);
	site_uncount(s);
	timer_cancel(s->relay->c->loop, &s->timer);
	stream_close(&s->stream, LINGER);
	if (s->sasl) {
		s->sasl->session = NULL;
		if (s->sasl->working)
			s->sasl = NULL;
		else
			sasl_free(&s->sasl);
	}
	tls_client_free(&s->to.tls);
	list_remove(&s->link);
	s->site->sessions_n--;
	s->relay->sessions_n--;
	s->gone = true;
	if (!s->shown)
		mem_free(&s);
}

static void session_failed(struct relay_session *s, bool refused, const char *why)
{
	if (refused)
		stat_inc(&s->relay->stats.refused);
	if (s->jobs_n)
		stat_inc(&s->relay->stats.lost);
	site_session_failed(s, why, refused);
}

void peer_broken(struct relay_session *s, const char *fmt, ...)
{
	char words[240];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	session_failed(s, false, words);
}

/* By its own words. */
static void session_refused(struct relay_session *s, const struct reply *r, const char *what)
{
	char said[160], words[240];

	reply_words(r, said, sizeof said);
	snprintf(words, sizeof words, "%s: %s", what, said);
	session_failed(s, true, words);
}

void peer_quit(struct relay_session *s)
{
	CHECK(s->jobs_n == 0);
	say(s, "QUIT\r\n");
	site_session_over(s);
}

void peer_leave(struct relay_session *s)
{
	if (s->state < SESSION_READY) {
		site_session_over(s);
		return;
	}
	s->state = SESSION_LEAVES;
	if (s->jobs_n == 0)
		peer_quit(s);
}

/* ---- AUTH ---- */

static const char *const mechanism[] = { [RELAY_AUTH_PLAIN] = "PLAIN",
	[RELAY_AUTH_LOGIN] = "LOGIN",
	[RELAY_AUTH_SCRAM] = "SCRAM-SHA-256",
	[RELAY_AUTH_XOAUTH2] = "XOAUTH2" };

static unsigned offer_bit(enum relay_auth how)
{
	return how == RELAY_AUTH_PLAIN   ? SASL_OFFER_PLAIN
	       : how == RELAY_AUTH_LOGIN ? SASL_OFFER_LOGIN
	       : how == RELAY_AUTH_SCRAM ? SASL_OFFER_SCRAM_SHA256
					 : SASL_OFFER_XOAUTH2;
}

static enum relay_auth auth_choice(const struct relay_session *s)
{
	enum relay_auth how = (enum relay_auth)settings(s)->link.auth;

	if (how != RELAY_AUTH_AUTO)
		return s->auth & offer_bit(how) ? how : RELAY_AUTH_AUTO;
	return s->auth & SASL_OFFER_SCRAM_SHA256 ? RELAY_AUTH_SCRAM
	       : s->auth & SASL_OFFER_PLAIN      ? RELAY_AUTH_PLAIN
	       : s->auth & SASL_OFFER_LOGIN      ? RELAY_AUTH_LOGIN
						 : RELAY_AUTH_AUTO;
}

static void auth_fault(struct relay_session *s, const char *words)
{
	s->login = true;
	session_failed(s, true, words);
}

/* A line of base64; "" is an empty line. */
static void auth_line(struct relay_session *s, struct str raw)
{
	sasl_base64_encode(raw, stream_out(s->stream));
	say(s, "\r\n");
	peer_wait(s, settings(s)->timeouts.helo);
}

/* With the initial response in the same line where it is short enough (RFC 4954 §4). */
static void auth_begin(struct relay_session *s, const struct buf *first)
{
	struct sasl_try *t = s->sasl;

	buf_printf(stream_out(s->stream), "AUTH %s", mechanism[t->how]);
	if (first->n && first->n < INITIAL_MOST) {
		buf_char(stream_out(s->stream), ' ');
		sasl_base64_encode(buf_view(first), stream_out(s->stream));
		t->step = 1;
	}
	say(s, "\r\n");
	peer_wait(s, settings(s)->timeouts.helo);
}

static void auth_start(struct relay_session *s)
{
	const struct relay_link_conf *l = &settings(s)->link;
	enum relay_auth how = auth_choice(s);
	struct sasl_try *t;
	char nonce[SCRAM_NONCE], words[160];

	if (how == RELAY_AUTH_AUTO) {
		snprintf(words, sizeof words, "AUTH: the server offers %s%s",
			s->auth ? "no mechanism that fits" : "none",
			s->tls || s->auth ? "" : " without TLS");
		auth_fault(s, words);
		return;
	}
	if (!s->tls && how != RELAY_AUTH_SCRAM && l->tls.mode != RELAY_TLS_NONE &&
		!addr_is_loopback(stream_peer_addr(s->stream))) {
		auth_fault(s, "AUTH: no TLS, and the password is not sent in clear");
		return;
	}
	t = s->sasl = mem_new(struct sasl_try);
	t->session = s;
	t->how = how;
	t->password = mem_dup(str_of(l->password));
	s->state = SESSION_AUTH;
	if (how == RELAY_AUTH_PLAIN)
		sasl_plain_put(str_of(l->user), str_of(l->password), &t->out);
	else if (how == RELAY_AUTH_XOAUTH2)
		sasl_xoauth2_put(str_of(l->user), str_of(l->password), &t->out);
	else if (how == RELAY_AUTH_SCRAM) {
		scram_nonce(nonce);
		scram_client_first(&t->scram, str_of(l->user), str_of(nonce), &t->out);
	}
	auth_begin(s, &t->out);
}

static void scram_call(struct chore *c)
{
	struct sasl_try *t = CONTAINER(c, struct sasl_try, chore);

	buf_reset(&t->out);
	t->good = scram_client_final(&t->scram, str_of(t->password), buf_view(&t->in), &t->out,
			  &t->fault) == 0;
}

static void scram_made(struct chore *c)
{
	struct sasl_try *t = CONTAINER(c, struct sasl_try, chore);
	struct relay_session *s = t->session;

	t->working = false;
	if (!s) {
		sasl_free(&t);
		return;
	}
	if (!t->good) {
		s->login = true;
		peer_broken(s, "AUTH: %s", t->fault.text);
		return;
	}
	auth_line(s, buf_view(&t->out));
}

/* 334: the server wants the next line. */
static void auth_challenge(struct relay_session *s, const struct reply *r)
{
	const struct relay_link_conf *l = &settings(s)->link;
	struct sasl_try *t = s->sasl;
	struct str raw = r->raw, line = STR_NONE;
	unsigned step = t->step++;

	reply_line(&raw, &line);
	buf_reset(&t->in);
	if (t->how == RELAY_AUTH_LOGIN && step < 2) {
		auth_line(s, str_of(step ? l->password : l->user));
	} else if (step == 0) { /* it did not fit into the first line */
		auth_line(s, buf_view(&t->out));
	} else if (t->how == RELAY_AUTH_XOAUTH2 && step == 1) {
		auth_line(s, STR_NONE); /* the challenge is the error; the reply to this says so */
	} else if (t->how == RELAY_AUTH_SCRAM && step == 1 && sasl_base64_decode(line, &t->in)) {
		t->working = true;
		t->chore = (struct chore){
			.reply = s->relay->c->loop, .call = scram_call, .done = scram_made
		};
		workers_do(&t->chore);
	} else if (t->how == RELAY_AUTH_SCRAM && step == 2 && sasl_base64_decode(line, &t->in) &&
		   scram_client_done(&t->scram, buf_view(&t->in))) {
		auth_line(s, STR_NONE);
	} else {
		auth_fault(
			s, t->how == RELAY_AUTH_SCRAM && step == 2
				   ? "AUTH: the server does not prove that it knows the password"
				   : "AUTH: the server asks for what the mechanism does not have");
	}
}

static void session_ready(struct relay_session *s)
{
	s->state = SESSION_READY;
	s->since = clock_wall();
	s->counted = true;
	str_copy(s->cipher, sizeof s->cipher, str_of(stream_cipher(s->stream)));
	log_info("connected", F_STR("channel", s->relay->c->name), F_STR("peer", s->peer),
		F_STR("server", s->far_name), F_STR("tls", s->cipher));
	peer_calm(s);
	site_session_ready(s);
}

static void auth_answered(struct relay_session *s, const struct reply *r)
{
	struct sasl_try *t = s->sasl;

	if (r->code == 334) {
		auth_challenge(s, r);
		return;
	}
	if (r->code == 235) {
		/* Without its proof this is anybody. */
		if (t->how == RELAY_AUTH_SCRAM && t->step < 3) {
			auth_fault(s, "AUTH: the server does not prove that it knows the password");
			return;
		}
		sasl_free(&s->sasl);
		session_ready(s);
		return;
	}
	s->login = true;
	session_refused(s, r, "AUTH refused");
}

/* ---- EHLO and STARTTLS ---- */

static void hello(struct relay_session *s)
{
	s->state = SESSION_HELLO;
	say(s, "%s %s\r\n", s->hello_again ? "HELO" : "EHLO", s->relay->helo);
	peer_wait(s, settings(s)->timeouts.helo);
}

static void hello_answered(struct relay_session *s, const struct reply *r)
{
	struct reply_ehlo e;

	if (r->code >= 500 && r->code != 554 && !s->hello_again && !s->tls &&
		s->to.mode < RELAY_TLS_MUST) {
		s->hello_again = true;
		hello(s);
		return;
	}
	if (r->code != 250) {
		session_refused(s, r, "EHLO refused");
		return;
	}
	reply_ehlo(r, &e);
	if (s->hello_again)
		e = (struct reply_ehlo){ .name = e.name };
	s->esmtp = !s->hello_again;
	s->pipelining = e.pipelining && settings(s)->pipelining;
	s->size = e.size;
	s->size_most = e.size_most;
	s->eightbit = e.eightbit;
	s->smtputf8 = e.smtputf8;
	s->dsn = e.dsn;
	s->chunking = e.chunking;
	s->binarymime = e.binarymime;
	s->starttls = e.starttls;
	s->auth = e.auth;
	str_copy(s->far_name, sizeof s->far_name,
		str_utf8_valid(e.name) && e.name.n < sizeof s->far_name ? e.name : STR_NONE);
	after_hello(s);
}

static void after_hello(struct relay_session *s)
{
	struct relay_host *h = &s->to;
	mono_t now = loop_now(s->relay->c->loop);
	char why[120];

	if (!s->tls && h->tls && h->mode != RELAY_TLS_NONE && s->starttls &&
		now >= h->no_tls_until) {
		s->state = SESSION_STARTTLS;
		say(s, "STARTTLS\r\n");
		peer_wait(s, settings(s)->timeouts.helo);
		return;
	}
	if (!s->tls && h->mode >= RELAY_TLS_MUST) {
		snprintf(why, sizeof why, "STARTTLS is not offered, and %s",
			h->must ? h->must : "tls.mode = \"must\" wants it");
		session_failed(s, true, why);
		return;
	}
	if (settings(s)->link.user[0] && s->state != SESSION_AUTH)
		auth_start(s);
	else
		session_ready(s);
}

static void starttls_answered(struct relay_session *s, const struct reply *r, bool more)
{
	struct relay_host *h = &s->to;
	struct err e;

	if (r->code != 220) {
		if (h->mode >= RELAY_TLS_MUST) {
			session_refused(s, r, "STARTTLS refused");
			return;
		}
		no_tls(s);
		after_hello(s);
		return;
	}
	/* What was read along with the 220 was never protected: whoever sits in between put it
	 * there (CVE-2011-0411 and its kin). */
	if (more) {
		stat_inc(&s->relay->stats.injected);
		session_failed(s, true, "replies came before the TLS handshake: injected");
		return;
	}
	s->state = SESSION_SHAKES;
	peer_wait(s, settings(s)->timeouts.connect + DUR_S);
	if (stream_start_tls(s->stream, h->tls, NULL, &e) != 0)
		peer_broken(s, "%s", e.text);
}

/* ---- what comes ---- */

static void session_reply(struct relay_session *s, const struct reply *r, bool more)
{
	switch (s->state) {
	case SESSION_GREETS:
		if (r->code != 220)
			session_refused(s, r, "refused at the greeting");
		else if (more)
			session_failed(s, true, "more than a greeting came before EHLO");
		else
			hello(s);
		break;
	case SESSION_HELLO:
		hello_answered(s, r);
		break;
	case SESSION_STARTTLS:
		starttls_answered(s, r, more);
		break;
	case SESSION_AUTH:
		if (s->sasl->working)
			peer_broken(s, "the server speaks out of turn");
		else
			auth_answered(s, r);
		break;
	case SESSION_READY:
	case SESSION_LEAVES:
		post_answered(s, r);
		break;
	default:
		peer_broken(s, "the server speaks out of turn");
	}
}

static size_t session_data(struct stream *stream, void *owner, struct str in)
{
	struct relay_session *s = owner;
	struct reply r;
	struct err e;
	size_t all = 0, used;
	int rc;

	s->shown = true;
	while (!s->gone && all < in.n && s->state != SESSION_SHAKES) {
		rc = reply_parse(&r, str_skip(in, all), &used, &e);
		if (rc == 0)
			break;
		if (rc < 0) {
			peer_broken(s, "%s", e.text);
			break;
		}
		all += used;
		session_reply(s, &r, all < in.n);
	}
	s->shown = false;
	if (s->gone)
		mem_free(&s);
	return all;
}

static void session_opened(struct stream *stream, void *owner)
{
	struct relay_session *s = owner;

	str_copy(s->peer, sizeof s->peer, str_of(stream_peer(stream)));
	s->tls = stream_is_tls(stream);
	if (s->state == SESSION_SHAKES) {
		hello(s);
		return;
	}
	s->state = SESSION_GREETS;
	peer_wait(s, settings(s)->timeouts.greeting);
}

/* Is TLS what it is about, and could it be done without? RFC 7435: what is only opportunistic must
 * not be worse than nothing. */
static bool may_go_without(const struct relay_session *s)
{
	return s->to.mode == RELAY_TLS_MAY && !relay_verifies(&settings(s)->link) &&
	       (s->state == SESSION_STARTTLS || s->state == SESSION_SHAKES ||
		       (s->state == SESSION_HELLO && s->tls));
}

/* The same host once more, in clear. */
static void go_without(struct relay_session *s, const char *why)
{
	struct relay_site *site = s->site;
	unsigned host = site_host_of(s);

	no_tls(s);
	log_warn("TLS does not work, going on without", F_STR("channel", s->relay->c->name),
		F_STR("server", s->to.name), F_STR("why", why));
	peer_free(s);
	if (site->relay->closing)
		relay_check_closed(site->relay);
	else
		peer_open(site, host < site->hosts_n ? host : site->turn % site->hosts_n);
}

static void session_down(struct stream *stream, void *owner, const struct err *why)
{
	struct relay_session *s = owner;
	struct relay_host *h = &s->to;

	if (may_go_without(s)) {
		go_without(s, why->text);
		return;
	}
	switch (s->state) {
	case SESSION_CONNECTS:
		peer_broken(s, "cannot connect to %.100s:%u: %.110s", h->name, h->port, why->text);
		break;
	case SESSION_SHAKES:
		session_failed(s, true, why->text);
		break;
	case SESSION_READY:
	case SESSION_LEAVES:
		if (s->jobs_n == 0) { /* it rested; servers do that after a while */
			site_session_over(s);
			break;
		}
		peer_broken(s, "connection lost: %.200s", why->text);
		break;
	default:
		peer_broken(s, "connection lost before a mail could be sent: %.180s", why->text);
	}
}

static void session_drained(struct stream *stream, void *owner)
{
	struct relay_session *s = owner;

	if (s->state >= SESSION_READY)
		post_drained(s);
}

static const struct stream_events session_events = {
	.open = session_opened,
	.data = session_data,
	.down = session_down,
	.drained = session_drained,
};

static void session_timer(struct timer *t)
{
	struct relay_session *s = CONTAINER(t, struct relay_session, timer);
	static const char *const awaited[] = { "connecting", "the greeting", "the answer to EHLO",
		"the answer to STARTTLS", "the TLS handshake", "the answer to AUTH" };

	if (loop_now(s->relay->c->loop) < s->deadline) {
		timer_set(s->relay->c->loop, t, s->deadline);
		return;
	}
	if (s->state >= SESSION_READY && s->jobs_n == 0) {
		peer_quit(s);
		return;
	}
	stat_inc(&s->relay->stats.late);
	if (may_go_without(s))
		go_without(s, "no end of it in time");
	else if (s->state < SESSION_READY)
		peer_broken(s, "no end of %s in time", awaited[s->state]);
	else
		post_timeout(s);
}

void peer_open(struct relay_site *site, unsigned host)
{
	struct relay *r = site->relay;
	const struct relay_conf *conf = relay_settings(r);
	struct relay_session *s = mem_new(struct relay_session);
	struct relay_host *h = &site->hosts[host];
	struct stream_limits lim = { .in_most = REPLY_MOST + 1,
		.out_most = OUT_MOST,
		.connect = conf->timeouts.connect,
		.user_timeout = conf->timeouts.block,
		.quick_ack = true };

	s->relay = r;
	s->site = site;
	s->to = *h;
	if (h->tls)
		s->to.tls = tls_client_ref(h->tls);
	s->timer.fire = session_timer;
	list_init(&s->jobs);
	list_append(&site->sessions, &s->link);
	site->sessions_n++;
	r->sessions_n++;
	stat_inc(&r->stats.connects);
	relay_helo(r);
	s->stream = stream_connect(r->c->loop, h->at, h->port,
		conf->link.source[0] ? conf->link.source : NULL,
		h->mode == RELAY_TLS_IMPLICIT ? h->tls : NULL, &lim, &session_events, s);
}
