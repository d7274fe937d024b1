/* One connection of an ESME, from its first octet over bind to unbind: SMPP 3.4 §2.2, §2.3 and
 * table 2-1. See server.h.
 *
 * A session that ended stays as a ghost until all that was asked in its name (commits, questions,
 * password checks) has come back; so those hold plain pointers, and nobody answers into the void.
 */
#include "gateway/base/mem.h"
#include "protocols/smpp/server.h"

/* How long a session over its window is not read: less than what far sides wait for the answer
 * to enquire_link. */
#define HOLD_MOST   (5 * DUR_S)
#define UNBIND_MOST (5 * DUR_S)

struct login {
	uint32_t sequence;
	bool known;
	char name[PDU_BIND_NAME_MAX + 1], password[PDU_BIND_NAME_MAX + 1];
};

/* Token of the wire for our own unbind; anything else there is a telling. */
static char unbind_token;

static const struct wire_events session_events;

/* ---- small things ---- */

const struct server_account_conf *session_conf(const struct session *s)
{
	return server_account_conf(s->account);
}

unsigned session_window(const struct session *s)
{
	int n = session_conf(s)->common.window;

	return n > 0 ? (unsigned)n : 1;
}

static void hold(struct session *s, unsigned why)
{
	s->holds |= why;
	wire_pause(&s->wire, true);
}

static void let_go(struct session *s, unsigned why)
{
	s->holds &= ~why;
	if (!s->holds)
		wire_pause(&s->wire, false);
}

void server_count_refusal(struct server *srv, uint32_t status)
{
	struct refusal *r = srv->refusals;
	unsigned most = sizeof srv->refusals / sizeof srv->refusals[0], i = 0;

	while (i < srv->refusals_n && r[i].status != status)
		i++;
	if (i == most)
		i = most - 1; /* the last one stands for the rest */
	if (i == srv->refusals_n) {
		r[i].status = status;
		stat_register(&r[i].n, STAT_COUNTER, "postern_smpp_refused_total",
			"Requests refused, by status.", "listener", srv->l->name, "status",
			i == most - 1 ? "other" : smpp_status_name(status), NULL);
		srv->refusals_n++;
	}
	stat_inc(&r[i].n);
}

void session_refuse(struct session *s, uint32_t command, uint32_t sequence, uint32_t status)
{
	server_count_refusal(s->srv, status);
	pdu_put_header(wire_out(&s->wire), command | SMPP_RESP, status, sequence);
	wire_wrote(&s->wire, 1);
}

/* True: it is over, s may be gone. */
static bool one_fault_more(struct session *s)
{
	unsigned most = s->state == SESSION_BOUND ? SERVER_FAULTS_MOST : SERVER_FAULTS_UNBOUND;

	if (++s->faults < most)
		return false;
	session_end(s, SERVER_LINGER, "too many faults");
	return true;
}

/* ---- beginning and end ---- */

static void session_timer(struct timer *t);

void session_accept(struct server *srv, int fd, const struct sockaddr *from)
{
	struct session *s = mem_new(struct session);
	const struct server_conf *c = srv->conf;

	s->srv = srv;
	memcpy(&s->addr, from,
		from->sa_family == AF_INET6 ? sizeof s->addr.in6 : sizeof s->addr.in);
	addr_unmap(&s->addr);
	addr_text(&s->addr.sa, s->peer);
	s->since = loop_now(srv->l->loop);
	s->timer.fire = session_timer;
	s->wire.ev = &session_events;
	s->wire.owner = s;
	s->wire.stats = &srv->wire;
	s->wire.cap = PDU_CAP_UNBOUND;
	s->wire.decode = PDU_LONG_NAMES | (c->lenient ? PDU_LENIENT : 0);
	list_append(&srv->unbound, &s->link);
	srv->unbound_n++;
	stat_set(&srv->sessions, srv->unbound_n + srv->bound_n);
	timer_in(srv->l->loop, &s->timer, c->session_init);
	wire_accept(&s->wire, srv->l->loop, fd, srv->tls);
}

/* Its account forgets it: no more notes come this way. */
static void leave_account(struct session *s)
{
	struct member *m;

	if (!list_linked(&s->mate))
		return;
	m = member_of(s->account);
	list_remove(&s->mate);
	m->n--;
	server_recount(s->account);
}

static void session_free(struct session *s)
{
	struct server *srv = s->srv;

	list_remove(&s->link);
	if (s->login)
		explicit_bzero(s->login, sizeof *s->login);
	mem_free(&s->login);
	mem_free(&s);
	server_check_closed(srv);
}

void session_release(struct session *s)
{
	CHECK(s->pending > 0);
	s->pending--;
	if (s->state == SESSION_GHOST && s->pending == 0)
		session_free(s);
}

void session_end(struct session *s, dur_t linger, const char *why)
{
	struct server *srv = s->srv;
	bool was_bound = s->account != NULL;
	void *token;

	if (s->state == SESSION_GHOST)
		return;
	if (was_bound)
		log_info("unbound", F_STR("listener", srv->l->name),
			F_STR("account", s->account->name), F_STR("peer", s->peer),
			F_STR("why", why), F_U64("submitted", s->submitted), F_U64("told", s->told),
			F_DUR("age", loop_now(srv->l->loop) - s->since));
	else
		log_debug("connection ended", F_STR("listener", srv->l->name),
			F_STR("peer", s->peer), F_STR("why", why));
	leave_account(s);
	s->state = SESSION_GHOST;
	timer_cancel(srv->l->loop, &s->timer);
	list_remove(&s->link);
	if (was_bound)
		srv->bound_n--;
	else
		srv->unbound_n--;
	list_append(&srv->ghosts, &s->link);
	stat_set(&srv->sessions, srv->unbound_n + srv->bound_n);
	s->pending++; /* not freed from under us */
	while (wire_pop(&s->wire, &token))
		if (token != &unbind_token)
			tell_unanswered(s, token, REASON_LOST);
	wire_close(&s->wire, linger);
	session_release(s);
}

/* ---- bind ---- */

static void bind_answer(struct session *s, uint32_t status)
{
	uint8_t version = s->version >= SMPP_V34 ? s->version : 0;
	struct buf *out = wire_out(&s->wire);

	if (status == ESME_ROK)
		pdu_put_bind_resp(out, s->command | SMPP_RESP, s->login->sequence,
			str_of(s->srv->conf->system_id), version);
	else
		pdu_put_header(out, s->command | SMPP_RESP, status, s->login->sequence);
	wire_wrote(&s->wire, 1);
}

static const char *mode_word(const struct session *s)
{
	return s->tx && s->rx ? "transceiver" : s->tx ? "transmitter" : "receiver";
}

static void bind_refused(struct session *s, uint32_t status, const char *why)
{
	struct server *srv = s->srv;
	unsigned held;

	stat_inc(&srv->binds_failed);
	server_count_refusal(srv, status);
	if (log_due(&srv->quiet_bind, &held))
		log_warn("bind refused", F_STR("listener", srv->l->name), F_STR("peer", s->peer),
			F_SLICE("system_id", str_of(s->login->name)), F_STR("why", why),
			F_STR("status", smpp_status_name(status)), F_U64("more", held));
	bind_answer(s, status);
	session_end(s, SERVER_LINGER, "bind refused");
}

/* A session of the account, from the same address, that may give way to a new one: after a far
 * side's crash its old binds linger until TCP or enquire_link notices. */
static struct session *evictable(const struct session *s, struct account *a)
{
	struct session *best = NULL;

	list_each (it, &member_of(a)->sessions) {
		struct session *o = CONTAINER(it, struct session, mate);

		if (addr_key(&o->addr.sa) != addr_key(&s->addr.sa))
			continue;
		if (s->srv->conf->evict == EVICT_SILENT && !wire_is_silent(&o->wire)) {
			wire_probe(&o->wire); /* the next attempt will know */
			continue;
		}
		if (!best || o->wire.heard < best->wire.heard)
			best = o;
	}
	return s->srv->conf->evict == EVICT_NONE ? NULL : best;
}

static void bound(struct session *s, struct account *a)
{
	struct server *srv = s->srv;
	const struct server_conf *c = srv->conf;
	struct member *m = member_of(a);

	s->account = a;
	s->state = SESSION_BOUND;
	s->faults = 0;
	timer_cancel(srv->l->loop, &s->timer);
	list_remove(&s->link);
	srv->unbound_n--;
	list_append(&srv->bound, &s->link);
	srv->bound_n++;
	list_append(&m->sessions, &s->mate);
	m->n++;
	stat_inc(&srv->binds);
	log_info("bound", F_STR("listener", srv->l->name), F_STR("account", a->name),
		F_STR("peer", s->peer), F_STR("as", mode_word(s)), F_U64("version", s->version),
		F_U64("sessions", m->n));
	bind_answer(s, ESME_ROK);
	explicit_bzero(s->login, sizeof *s->login);
	mem_free(&s->login);
	s->wire.cap = c->pdu_most;
	s->wire.answer_most = c->answer_wait;
	s->wire.enquire_most = c->enquire_wait;
	if (s->version >= SMPP_V50)
		s->wire.decode |= PDU_V50;
	wire_watch(&s->wire, session_conf(s)->probe ? c->enquire : 0, c->inactivity);
	server_recount(a);
	let_go(s, HOLD_LOGIN);
}

static void bind_verified(void *ctx, bool ok)
{
	struct session *s = ctx;
	struct account *a;
	struct session *old;

	if (s->state != SESSION_LOGIN) {
		session_release(s);
		return;
	}
	s->pending--;
	a = account_find(s->srv->l, str_of(s->login->name));
	ok = ok && s->login->known && a;
	login_result(&s->addr.sa, ok && account_allows(a, &s->addr.sa));
	/* An unknown name and a wrong password look the same. */
	if (!ok) {
		bind_refused(s, ESME_RINVPASWD, a ? "wrong password" : "no such account");
		return;
	}
	/* Said only to who knows the password, so that it tells nobody else which names exist. */
	if (!account_allows(a, &s->addr.sa)) {
		bind_refused(s, ESME_RBINDFAIL, "address not in the account's allow list");
		return;
	}
	if (member_of(a)->n >= (unsigned)a->conf->max_binds) {
		old = evictable(s, a);
		if (!old) {
			bind_refused(s, ESME_RBINDFAIL, "max_binds is reached");
			return;
		}
		session_end(old, 0, "gave way to a new bind");
	}
	bound(s, a);
}

/* For names that do not exist a password is checked all the same: some account's that is as slow
 * to check, if there is one. */
static struct account *decoy(struct server *srv)
{
	for (size_t i = 0; i < srv->conf->accounts_n; i++) {
		const struct server_account_conf *c = &srv->conf->accounts[i];

		if (c->common.password && c->common.password[0] == '$')
			return account_find(srv->l, str_of(c->system_id));
	}
	return NULL;
}

static void bind_verify(struct session *s)
{
	struct account *a = account_find(s->srv->l, str_of(s->login->name));

	s->login->known = a != NULL;
	s->pending++;
	account_verify(a ? a : decoy(s->srv), str_of(s->login->password), bind_verified, s);
}

/* 3.3 or lower, 0x00 included, has no TLVs; what we do not know is answered with the highest that
 * we speak below it. */
static uint8_t version_of(uint8_t said)
{
	return said < SMPP_V34 ? SMPP_V33 : said < SMPP_V50 ? SMPP_V34 : SMPP_V50;
}

static void take_bind(struct session *s, const struct pdu *p)
{
	dur_t wait;

	if (s->state != SESSION_OPEN) {
		session_refuse(s, p->command, p->sequence, ESME_RALYBND);
		one_fault_more(s);
		return;
	}
	s->login = mem_new(struct login);
	s->login->sequence = p->sequence;
	str_copy(s->login->name, sizeof s->login->name, p->bind.system_id);
	str_copy(s->login->password, sizeof s->login->password, p->bind.password);
	s->command = p->command;
	s->version = version_of(p->bind.interface_version);
	s->tx = p->command != SMPP_BIND_RECEIVER;
	s->rx = p->command != SMPP_BIND_TRANSMITTER;
	s->state = SESSION_LOGIN;
	hold(s, HOLD_LOGIN);
	wait = login_delay(&s->addr.sa);
	timer_cancel(s->srv->l->loop, &s->timer);
	if (wait > 0)
		timer_in(s->srv->l->loop, &s->timer, wait);
	else
		bind_verify(s);
}

/* ---- unbind, theirs and ours ---- */

static void unbind_finish(struct session *s)
{
	if (wire_is_open(&s->wire)) {
		pdu_put_header(
			wire_out(&s->wire), SMPP_UNBIND | SMPP_RESP, ESME_ROK, s->unbind_sequence);
		wire_wrote(&s->wire, 1);
	}
	session_end(s, SERVER_LINGER, "unbind");
}

static void take_unbind(struct session *s, const struct pdu *p)
{
	s->unbind_sequence = p->sequence;
	if (s->state != SESSION_BOUND || s->unanswered == 0) {
		unbind_finish(s);
		return;
	}
	leave_account(s);
	s->state = SESSION_LEAVING;
	hold(s, HOLD_LEAVING);
	timer_in(s->srv->l->loop, &s->timer, UNBIND_MOST);
}

static void shut_send(struct session *s)
{
	uint32_t sequence;

	s->unbind_sent = true;
	sequence = wire_expect(&s->wire, SMPP_UNBIND, &unbind_token);
	pdu_put_header(wire_out(&s->wire), SMPP_UNBIND, ESME_ROK, sequence);
	wire_wrote(&s->wire, 1);
	timer_set(s->srv->l->loop, &s->timer,
		s->shut_by < loop_now(s->srv->l->loop) + UNBIND_MOST
			? s->shut_by
			: loop_now(s->srv->l->loop) + UNBIND_MOST);
}

/* Our unbind goes when nothing is owed in either direction. */
static void shut_step(struct session *s)
{
	if (s->state == SESSION_SHUT && !s->unbind_sent && s->unanswered == 0 &&
		s->wire.unanswered == 0)
		shut_send(s);
}

void session_shut(struct session *s, dur_t grace)
{
	if (s->state == SESSION_SHUT || s->state == SESSION_GHOST)
		return;
	if (s->state == SESSION_LEAVING) {
		/* It ends by itself, soon enough unless there is no time. */
		if (grace < UNBIND_MOST)
			timer_in(s->srv->l->loop, &s->timer, grace);
		return;
	}
	if (s->state != SESSION_BOUND) {
		session_end(s, SERVER_LINGER, "closing");
		return;
	}
	leave_account(s);
	s->state = SESSION_SHUT;
	s->shut_by = loop_now(s->srv->l->loop) + grace;
	s->drowned = true; /* nothing is held any more: what comes is refused */
	let_go(s, HOLD_WINDOW);
	timer_set(s->srv->l->loop, &s->timer, s->shut_by);
	shut_step(s);
}

static void session_timer(struct timer *t)
{
	struct session *s = CONTAINER(t, struct session, timer);

	switch (s->state) {
	case SESSION_OPEN:
		session_end(s, 0, "no bind in time");
		break;
	case SESSION_LOGIN:
		bind_verify(s);
		break;
	case SESSION_BOUND:
		s->drowned = true;
		let_go(s, HOLD_WINDOW);
		break;
	case SESSION_LEAVING:
		unbind_finish(s);
		break;
	case SESSION_SHUT:
		if (!s->unbind_sent && wire_is_open(&s->wire)) {
			/* time is over: at least say it */
			pdu_put_header(wire_out(&s->wire), SMPP_UNBIND, ESME_ROK,
				wire_expect(&s->wire, SMPP_UNBIND, &unbind_token));
			wire_wrote(&s->wire, 1);
		}
		session_end(s, DUR_S, "closed");
		break;
	case SESSION_GHOST:
		break;
	}
}

/* ---- requests ---- */

void session_answered(struct session *s)
{
	CHECK(s->unanswered > 0);
	s->unanswered--;
	if (s->state == SESSION_BOUND && s->unanswered < session_window(s)) {
		s->drowned = false;
		if (s->holds & HOLD_WINDOW) {
			timer_cancel(s->srv->l->loop, &s->timer);
			let_go(s, HOLD_WINDOW);
		}
	} else if (s->state == SESSION_LEAVING && s->unanswered == 0) {
		unbind_finish(s);
	} else {
		shut_step(s);
	}
}

void session_told(struct session *s)
{
	if (s->state == SESSION_SHUT)
		shut_step(s);
}

/* Over its window: first it is not read any further, and only when that does not help is it told.
 * Most far sides that exceed theirs by a little never notice. */
static enum wire_verdict over_window(struct session *s, const struct pdu *p)
{
	if (s->drowned) {
		session_refuse(s, p->command, p->sequence, ESME_RTHROTTLED);
		return WIRE_DONE;
	}
	hold(s, HOLD_WINDOW);
	timer_in(s->srv->l->loop, &s->timer, HOLD_MOST);
	return WIRE_AGAIN;
}

static enum wire_verdict take_operation(struct session *s, const struct pdu *p)
{
	bool ask = p->command == SMPP_QUERY_SM || p->command == SMPP_CANCEL_SM ||
		   p->command == SMPP_REPLACE_SM;

	if (s->state == SESSION_SHUT) {
		session_refuse(s, p->command, p->sequence, ESME_RSYSERR);
		return WIRE_DONE;
	}
	if (s->state != SESSION_BOUND || !s->tx) {
		session_refuse(s, p->command, p->sequence, ESME_RINVBNDSTS);
		one_fault_more(s);
		return WIRE_DONE;
	}
	if (s->unanswered >= session_window(s) || (ask && s->asks >= SERVER_ASKS_MOST))
		return over_window(s, p);
	switch (p->command) {
	case SMPP_SUBMIT_SM:
	case SMPP_DATA_SM:
		submit_sm(s, p);
		break;
	case SMPP_SUBMIT_MULTI:
		submit_multi(s, p);
		break;
	case SMPP_QUERY_SM:
		manage_query(s, p);
		break;
	case SMPP_CANCEL_SM:
		manage_cancel(s, p);
		break;
	default:
		manage_replace(s, p);
		break;
	}
	return WIRE_DONE;
}

static enum wire_verdict on_request(struct wire *w, const struct pdu *p)
{
	struct session *s = w->owner;

	switch (p->command) {
	case SMPP_SUBMIT_SM:
	case SMPP_DATA_SM:
	case SMPP_SUBMIT_MULTI:
	case SMPP_QUERY_SM:
	case SMPP_CANCEL_SM:
	case SMPP_REPLACE_SM:
		return take_operation(s, p);
	case SMPP_BIND_RECEIVER:
	case SMPP_BIND_TRANSMITTER:
	case SMPP_BIND_TRANSCEIVER:
		take_bind(s, p);
		break;
	case SMPP_UNBIND:
		take_unbind(s, p);
		break;
	case SMPP_OUTBIND:
	case SMPP_ALERT_NOTIFICATION: /* an SMSC's to say; there is no response to them */
		one_fault_more(s);
		break;
	default:
		session_refuse(s, p->command, p->sequence, ESME_RINVBNDSTS);
		one_fault_more(s);
		break;
	}
	return WIRE_DONE;
}

static void on_response(struct wire *w, const struct pdu *p, void *token)
{
	struct session *s = w->owner;

	if (token == &unbind_token)
		session_end(s, DUR_S, "closed");
	else
		tell_answered(s, token, p);
}

static void on_timeout(struct wire *w, uint32_t sequence, uint32_t command, void *token)
{
	struct session *s = w->owner;

	if (token == &unbind_token)
		session_end(s, 0, "closed");
	else
		tell_unanswered(s, token, REASON_TIMEOUT);
}

static void on_refused(struct wire *w, const struct pdu *p, uint32_t status)
{
	struct session *s = w->owner;

	server_count_refusal(s->srv, status);
	log_debug("broken PDU", F_STR("listener", s->srv->l->name), F_STR("peer", s->peer),
		F_STR("command", smpp_command_name(p->command)), F_STR("field", p->fault),
		F_STR("status", smpp_status_name(status)));
	one_fault_more(s);
}

static void on_open(struct wire *w) {}

static void on_drained(struct wire *w)
{
	struct session *s = w->owner;

	if (!s->full)
		return;
	s->full = false;
	if (list_linked(&s->mate))
		server_recount(s->account);
}

static void on_down(struct wire *w, const struct err *why)
{
	session_end(w->owner, SERVER_LINGER, why->text);
}

static const struct wire_events session_events = {
	.open = on_open,
	.request = on_request,
	.response = on_response,
	.timeout = on_timeout,
	.refused = on_refused,
	.drained = on_drained,
	.down = on_down,
};
