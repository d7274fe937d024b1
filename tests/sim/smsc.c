/* posternsim smsc: sessions from accept to close, and what a bind must be to be let in. */
#include "tests/sim/smsc.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>

void smsc_send(struct session *s, const struct sim_pdu *pdu)
{
	if (s->conn->is_dead)
		return;
	s->smsc->codec->encode(&s->conn->out, pdu);
	sim_conn_dirty(s->conn);
	s->last_sent = s->smsc->loop.now;
}

static void session_answer(struct session *s, const struct sim_pdu *p, uint32_t status)
{
	struct sim_pdu r;
	memset(&r, 0, offsetof(struct sim_pdu, tlv));
	r.id = p->id | P_RESP;
	r.seq = p->seq;
	r.status = status;
	r.no_body = status != S_OK;
	smsc_send(s, &r);
}

static void session_nack(struct session *s, uint32_t seq, uint32_t status)
{
	struct sim_pdu r;
	memset(&r, 0, offsetof(struct sim_pdu, tlv));
	r.id = P_GENERIC_NACK;
	r.seq = seq;
	r.status = status;
	s->smsc->stats.nacks++;
	smsc_send(s, &r);
}

static uint32_t account_of(struct smsc *m, struct str system_id)
{
	for (unsigned i = 0; i < m->accounts; i++)
		if (str_eq(m->account[i].system_id, system_id))
			return i;
	m->account = mem_grow(m->account, (m->accounts + 1) * sizeof(*m->account));
	m->account[m->accounts] = (struct account){
		.first = NONE32, .last = NONE32, .system_id = str_n(mem_dup(system_id), system_id.n)
	};
	return m->accounts++;
}

static uint32_t bind_verdict(struct smsc *m, const struct sim_pdu *p)
{
	if (m->conf.refuse_bind && m->conf.refuse_first) {
		if (m->conf.refuse_first != UINT64_MAX)
			m->conf.refuse_first--;
		return m->conf.refuse_bind;
	}
	bool known = m->conf.logins == 0;
	for (unsigned i = 0; i < m->conf.logins; i++)
		if (str_eq(m->conf.login[i].system_id, p->system_id)) {
			known = true;
			if (!str_eq(m->conf.login[i].password, p->password))
				return S_RINVPASWD;
		}
	if (!known)
		return S_RINVSYSID;
	uint32_t account = account_of(m, p->system_id); /* may move the table */
	if (m->conf.max_binds && m->account[account].binds >= m->conf.max_binds)
		return S_RBINDFAIL;
	return S_OK;
}

static void session_bind(struct session *s, const struct sim_pdu *p)
{
	static const uint8_t version = 0x34;
	struct smsc *m = s->smsc;
	if (s->bind) {
		session_answer(s, p, S_RALYBND);
		return;
	}
	uint32_t status = bind_verdict(m, p);
	if (status) {
		m->stats.bind_refused++;
		if (!m->conf.quiet)
			sim_say("bind of \"%.*s\" from %s refused with 0x%02x",
				STR_ARG(p->system_id), s->peer, status);
		session_answer(s, p, status);
		return;
	}
	struct sim_pdu r;
	memset(&r, 0, offsetof(struct sim_pdu, tlv));
	r.id = p->id | P_RESP;
	r.seq = p->seq;
	r.system_id = m->conf.system_id;
	if (p->version >= 0x34 && !m->conf.no_sc_version)
		sim_pdu_add(&r, T_SC_VERSION, str_n(&version, 1));
	smsc_send(s, &r);
	m->stats.binds++;
	s->bind = p->id;
	s->account = account_of(m, p->system_id);
	struct account *a = &m->account[s->account];
	a->binds++;
	if (!m->conf.quiet)
		sim_say("%s from %s as \"%.*s\"", sim_command_name(p->id), s->peer,
			STR_ARG(p->system_id));
	if (p->id == P_BIND_TX)
		return;
	uint32_t slots = 1;
	while (slots < 2 * m->conf.deliver_window)
		slots *= 2;
	s->out = mem_raw(slots * sizeof(*s->out));
	s->out_at = mem_alloc(slots * sizeof(*s->out_at));
	s->out_mask = slots - 1;
	memset(s->out, 0xff, slots * sizeof(*s->out));
	a->rx = mem_grow(a->rx, (a->rx_n + 1) * sizeof(struct session *));
	a->rx[a->rx_n++] = s;
	account_pump(m, s->account);
}

static void session_leave(struct session *s)
{
	struct smsc *m = s->smsc;
	if (!s->bind)
		return;
	struct account *a = &m->account[s->account];
	a->binds--;
	for (unsigned i = 0; i < a->rx_n; i++)
		if (a->rx[i] == s)
			a->rx[i--] = a->rx[--a->rx_n];
	session_return(s);
	s->bind = 0;
	account_pump(m, s->account);
}

static void session_closed(struct sim_conn *c, const char *why)
{
	struct session *s = c->of;
	struct smsc *m = s->smsc;
	if (!m->conf.quiet && s->bind)
		sim_say("%s: %s", s->peer, why);
	session_leave(s);
	m->session[s->index] = NULL;
	mem_free(&s->out);
	mem_free(&s->out_at);
	s->next_dead = m->dead; /* a caller further up may still hold it */
	m->dead = s;
}

void smsc_drop(struct smsc *m)
{
	for (uint32_t i = 0; i < m->sessions; i++)
		if (m->session[i]) {
			m->stats.drops++;
			sim_conn_close(m->session[i]->conn, "dropped");
		}
}

static void session_request(struct session *s, const struct sim_pdu *p)
{
	struct smsc *m = s->smsc;
	bool may_send = s->bind == P_BIND_TX || s->bind == P_BIND_TRX;
	switch (p->id) {
	case P_SUBMIT_SM:
	case P_DATA_SM:
	case P_SUBMIT_MULTI:
		if (may_send)
			smsc_submit(s, p);
		else
			session_answer(s, p, S_RINVBNDSTS);
		return;
	case P_BIND_RX:
	case P_BIND_TX:
	case P_BIND_TRX:
		session_bind(s, p);
		return;
	case P_ENQUIRE_LINK:
		m->stats.enquires++;
		if (!m->conf.enquire_mute)
			session_answer(s, p, S_OK);
		return;
	case P_UNBIND:
		m->stats.unbinds++;
		session_answer(s, p, S_OK);
		s->unbinding = true;
		sim_conn_finish(s->conn);
		return;
	case P_QUERY_SM: /* what it has taken it forgets: it is no store */
		session_answer(s, p, may_send ? S_RQUERYFAIL : S_RINVBNDSTS);
		return;
	case P_CANCEL_SM:
		session_answer(s, p, may_send ? S_RCANCELFAIL : S_RINVBNDSTS);
		return;
	case P_REPLACE_SM:
		session_answer(s, p, may_send ? S_RREPLACEFAIL : S_RINVBNDSTS);
		return;
	}
	m->stats.others++;
	session_nack(s, p->seq, S_RINVCMDID);
}

static void session_pdu(struct session *s, const uint8_t *bytes, size_t n)
{
	struct sim_pdu p;
	struct smsc *m = s->smsc;
	uint32_t status = m->codec->decode(&p, bytes, n);
	s->heard = m->loop.now;
	if (p.id & P_RESP) { /* never nacked: that would go round for ever */
		s->probed = 0;
		if (p.id == (P_RESP | P_DELIVER_SM) || p.id == P_GENERIC_NACK) {
			if (p.id == P_GENERIC_NACK && p.status == S_OK)
				p.status = S_UNKNOWN;
			if (s->out)
				smsc_delivered(s, &p);
		}
		return;
	}
	if (status) {
		m->stats.bad_pdus++;
		if (status == S_RINVCMDID || !sim_pdu_known(p.id))
			session_nack(s, p.seq, S_RINVCMDID);
		else
			session_answer(s, &p, status);
		return;
	}
	session_request(s, &p);
}

static size_t session_data(struct sim_conn *c, const char *p, size_t n)
{
	struct session *s = c->of;
	size_t took = 0;
	while (!c->is_dead && !s->unbinding) {
		long len = sim_pdu_frame(p + took, n - took);
		if (len == 0)
			return took;
		if (len < 0) { /* no way to find the next one */
			s->smsc->stats.bad_pdus++;
			session_nack(s, n - took >= 16 ? be32(p + took + 12) : 0, S_RINVCMDLEN);
			s->unbinding = true;
			sim_conn_finish(c);
			break;
		}
		session_pdu(s, (const uint8_t *)p + took, (size_t)len);
		took += (size_t)len;
	}
	return n;
}

static const struct sim_conn_ops session_ops = { NULL, session_data, session_closed };

static void smsc_accepted(struct sim_listener *l, int fd)
{
	struct smsc *m = l->of;
	struct session *s = mem_new(struct session);
	struct sockaddr_storage who;
	socklen_t len = sizeof(who);
	uint32_t i = 0;
	while (i < m->sessions && m->session[i])
		i++;
	if (i == m->sessions) {
		m->session = mem_grow(m->session, (m->sessions + 1) * sizeof(struct session *));
		m->sessions++;
	}
	m->session[i] = s;
	s->smsc = m;
	s->index = i;
	s->generation = ++m->generation;
	s->heard = m->loop.now;
	if (getpeername(fd, (struct sockaddr *)&who, &len) == 0 && who.ss_family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)&who;
		char a[INET_ADDRSTRLEN];
		snprintf(s->peer, sizeof(s->peer), "%s:%u",
			inet_ntop(AF_INET, &in->sin_addr, a, sizeof(a)), ntohs(in->sin_port));
	} else {
		snprintf(s->peer, sizeof(s->peer), "peer %u", s->generation);
	}
	m->stats.connections++;
	s->conn = sim_conn_new(&m->loop, fd, &session_ops, s, m->tls);
	s->conn->quickack = m->conf.quickack;
}

static void smsc_tick(struct sim_timer *t)
{
	struct smsc *m = t->of;
	sim_wheel_turn(&m->wheel, m->loop.now, smsc_due, m);
	smsc_mo_turn(m);
	bool busy = m->wheel.n > 0;
	for (unsigned i = 0; i < m->conf.mos; i++)
		busy |= m->conf.mo[i].sent < m->conf.mo[i].count;
	t->due = m->loop.now + (busy ? SIM_MS : 5 * SIM_MS);
}

/* Once a second: probes, silent peers, unanswered deliver_sm, the set end. */
static void session_watch(struct session *s)
{
	struct smsc *m = s->smsc;
	if (m->conf.inactivity && m->loop.now - s->heard > m->conf.inactivity) {
		sim_conn_close(s->conn, "silent for too long");
		return;
	}
	if (s->probed && m->loop.now - s->probed > m->conf.response_timeout) {
		sim_conn_close(s->conn, "enquire_link not answered");
		return;
	}
	for (uint32_t i = 0; s->out_n && i <= s->out_mask; i++)
		if (s->out[i] != NONE32 && m->loop.now - s->out_at[i] > m->conf.response_timeout) {
			sim_conn_close(s->conn, "deliver_sm not answered");
			return;
		}
	if (s->bind && m->conf.enquire && !s->probed && m->loop.now - s->heard >= m->conf.enquire) {
		struct sim_pdu p;
		memset(&p, 0, offsetof(struct sim_pdu, tlv));
		uint32_t next = s->seq >= 0x7fffffff ? 1 : s->seq + 1;
		if (s->out && s->out[next & s->out_mask] != NONE32)
			return;
		p.id = P_ENQUIRE_LINK;
		p.seq = s->seq = next;
		s->probed = m->loop.now;
		smsc_send(s, &p);
	}
}

static void smsc_quit(void *of)
{
	struct smsc *m = of;
	m->loop.stop = true;
}

static void smsc_second(struct sim_timer *t)
{
	struct smsc *m = t->of;
	for (uint32_t i = 0; i < m->sessions; i++)
		if (m->session[i])
			session_watch(m->session[i]);
	if (m->conf.drop_every && m->loop.now >= m->next_drop) {
		if (m->next_drop)
			smsc_drop(m);
		m->next_drop = m->loop.now + m->conf.drop_every;
	}
	while (m->dead) {
		struct session *s = m->dead;
		m->dead = s->next_dead;
		mem_free(&s);
	}
	if (m->record)
		fflush(m->record);
	if (m->conf.run_for && m->loop.now - m->started >= m->conf.run_for)
		smsc_quit(m);
	if (m->conf.stop_after && m->stats.accepted >= m->conf.stop_after && m->parcel_used == 0)
		smsc_quit(m);
	t->due = m->loop.now + SIM_S;
}

static void smsc_usr1(void *of)
{
	struct buf out = BUF_INIT;
	smsc_stats_json(of, &out);
	fprintf(stderr, "%s\n", buf_cstr(&out));
	buf_free(&out);
}

static int smsc_start(struct smsc *m, struct err *e)
{
	struct smsc_conf *c = &m->conf;
	m->codec = sim_codec_named(c->codec);
	if (!m->codec)
		return err_set(
			e, ERR_CONF, "--codec wants fast or lib, not \"%.*s\"", STR_ARG(c->codec));
	if (c->tls_cert.n && !(m->tls = sim_tls_server(c->tls_cert, c->tls_key, e)))
		return -1;
	sim_loop_init(&m->loop);
	sim_rng_seed(&m->rng, c->seed);
	sim_wheel_init(&m->wheel, m->loop.now);
	m->parcel_free = NONE32;
	m->started = m->loop.now;
	m->tokens_at = m->loop.now;
	m->next_id = c->id_start ? c->id_start : sim_wall() / SIM_S * 1000000;
	m->listener.of = m;
	m->listener.accepted = smsc_accepted;
	if (sim_listen(&m->loop, &m->listener, &c->listen, e) < 0)
		return -1;
	if (c->control.n && smsc_control_start(m, e) < 0)
		return -1;
	if (sim_record_open(&m->record, c->record, e) < 0)
		return -1;
	sim_loop_timer(&m->loop, &m->tick, smsc_tick, m, m->loop.now + SIM_MS);
	sim_loop_timer(&m->loop, &m->second, smsc_second, m, m->loop.now + SIM_S);
	sim_loop_signals(&m->loop, smsc_quit, smsc_usr1, m);
	return sim_port_told(c->port_file, m->listener.port, e);
}

static int smsc_end(struct smsc *m)
{
	struct buf out = BUF_INIT;
	if (sim_record_close(&m->record, m->conf.record) < 0)
		return SIM_USAGE;
	smsc_stats_json(m, &out);
	sim_stats_told(&out, m->conf.stats_json, m->conf.stats_file);
	buf_free(&out);
	return SIM_OK;
}

int sim_smsc_main(int argc, char **argv)
{
	static struct smsc m;
	struct err e = { 0 };
	smsc_conf_init(&m.conf);
	int r = sim_opt_parse(smsc_opts, "smsc [--listen ADDRESS:PORT] [options]: an SMSC", &m.conf,
		argc, argv, &e);
	if (r > 0)
		return SIM_OK;
	if (r < 0 || smsc_start(&m, &e) < 0) {
		sim_say("smsc: %s", e.text);
		return SIM_USAGE;
	}
	if (!m.conf.quiet)
		sim_say("smsc: listening on %s:%u (%s codec)", m.conf.listen.host, m.listener.port,
			m.codec->name);
	sim_loop_run(&m.loop);
	return smsc_end(&m);
}
