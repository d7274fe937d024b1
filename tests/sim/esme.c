/* posternsim esme: links from connect to unbind, and when the whole run is over. */
#include "tests/sim/esme.h"

#include <errno.h>
#include <stdlib.h>

static const struct sim_conn_ops link_ops;

void link_send(struct link *k, const struct sim_pdu *p)
{
	k->esme->codec->encode(&k->conn->out, p);
	sim_conn_dirty(k->conn);
}

static void link_plain(struct link *k, uint32_t id, uint32_t seq, uint32_t status)
{
	struct sim_pdu p;
	memset(&p, 0, offsetof(struct sim_pdu, tlv));
	p.id = id;
	p.seq = seq;
	p.status = status;
	link_send(k, &p);
}

static uint32_t link_seq(struct link *k)
{
	return k->seq = k->seq >= 0x7fffffff ? 1 : k->seq + 1;
}

static void link_connect(struct link *k)
{
	struct esme *m = k->esme;
	struct err e;
	k->conn = sim_conn_connect(&m->loop, &m->conf.connect, &link_ops, k, m->tls, &e);
	if (!k->conn) {
		sim_say("esme: %s", e.text);
		m->failed = m->loop.stop = true;
		return;
	}
	k->state = LINK_CONNECTING;
	k->seq = 0;
	k->generation++;
	k->heard = m->loop.now;
}

static void link_opened(struct sim_conn *c)
{
	struct link *k = c->of;
	struct esme *m = k->esme;
	struct sim_pdu p;
	memset(&p, 0, offsetof(struct sim_pdu, tlv));
	p.id = k->bind;
	p.seq = link_seq(k);
	p.system_id = m->conf.system_id;
	p.password = m->conf.password;
	p.system_type = m->conf.system_type;
	p.version = (uint8_t)m->conf.version;
	k->state = LINK_BINDING;
	k->heard = m->loop.now;
	link_send(k, &p);
}

static void link_closed(struct sim_conn *c, const char *why)
{
	struct link *k = c->of;
	struct esme *m = k->esme;
	bool end = k->state == LINK_ENDING;
	if (k->state == LINK_BOUND || k->state == LINK_ENDING)
		m->bound--;
	k->state = LINK_DOWN;
	k->conn = NULL;
	k->probed = 0;
	link_lost(k);
	if (end || m->ending)
		return;
	if (!m->conf.reconnect) {
		sim_say("esme: bind %u: %s", k->index, why);
		m->failed = true;
		m->ending = true;
		return;
	}
	m->stats.reconnects++;
	k->again = m->loop.now + m->conf.reconnect_delay;
}

static void link_bound(struct link *k, const struct sim_pdu *p)
{
	struct esme *m = k->esme;
	if (k->state != LINK_BINDING)
		return;
	if (p->status) {
		char why[80];
		m->stats.bind_refused++;
		snprintf(why, sizeof(why), "bind refused: 0x%02x %s", p->status,
			sim_status_name(p->status));
		sim_conn_close(k->conn, why);
		return;
	}
	k->state = LINK_BOUND;
	m->stats.binds++;
	m->bound++;
	if (m->bound == m->links)
		m->was_up = true;
	if (m->was_up)
		link_pump(k);
}

static void answer_now(struct link *k, uint32_t seq, uint32_t status)
{
	struct sim_pdu p;
	memset(&p, 0, offsetof(struct sim_pdu, tlv));
	p.id = P_DELIVER_SM | P_RESP;
	p.seq = seq;
	p.status = status;
	link_send(k, &p);
}

static void answer_later(struct link *k, uint32_t seq, uint32_t status, uint64_t delay)
{
	struct esme *m = k->esme;
	if (m->answer_free == UINT32_MAX) {
		uint32_t n = m->answers ? m->answers * 2 : 1024;
		m->answer = mem_grow(m->answer, n * sizeof(*m->answer));
		for (uint32_t i = n; i-- > m->answers;) {
			m->answer[i].next = m->answer_free;
			m->answer_free = i;
		}
		m->answers = n;
	}
	uint32_t i = m->answer_free;
	m->answer_free = m->answer[i].next;
	m->answer[i] = (struct esme_answer){ k->index, k->generation, seq, status, 0 };
	sim_wheel_add(&m->wheel, i, m->loop.now + delay);
}

static void answer_due(void *of, uint32_t i)
{
	struct esme *m = of;
	const struct esme_answer *a = &m->answer[i];
	struct link *k = &m->link[a->link];
	if (k->generation == a->generation && k->state == LINK_BOUND)
		answer_now(k, a->seq, a->status);
	m->answer[i].next = m->answer_free;
	m->answer_free = i;
}

static void link_deliver(struct link *k, const struct sim_pdu *p)
{
	struct esme *m = k->esme;
	uint32_t status = (uint32_t)m->conf.deliver_status;
	m->quiet_since = m->loop.now;
	if (sim_rng_hit(&m->rng, m->conf.deliver_mute))
		return;
	if (sim_rng_hit(&m->rng, m->conf.deliver_again))
		status = S_RX_T_APPN;
	if (status)
		m->stats.refused_deliveries++;
	else
		esme_deliver(k, p); /* what is refused does not count as received */
	uint64_t delay = sim_span_draw(&m->conf.deliver_delay, &m->rng);
	if (delay)
		answer_later(k, p->seq, status, delay);
	else if (p->id == P_DATA_SM)
		link_plain(k, p->id | P_RESP, p->seq, status);
	else
		answer_now(k, p->seq, status);
}

static void link_response(struct link *k, const struct sim_pdu *p)
{
	struct esme *m = k->esme;
	k->probed = 0;
	switch (p->id) {
	case P_RESP | P_BIND_RX:
	case P_RESP | P_BIND_TX:
	case P_RESP | P_BIND_TRX:
		link_bound(k, p);
		return;
	case P_GENERIC_NACK:
		m->stats.nacks++;
		if (k->state == LINK_BINDING) {
			sim_conn_close(k->conn, "bind refused with generic_nack");
			return;
		}
		if (p->seq == 0)
			return;
		break;
	case P_RESP | P_ENQUIRE_LINK:
		return;
	case P_RESP | P_UNBIND:
		sim_conn_close(k->conn, "unbound");
		return;
	case P_RESP | P_SUBMIT_SM:
	case P_RESP | P_SUBMIT_MULTI:
	case P_RESP | P_DATA_SM:
		break;
	default:
		return;
	}
	m->quiet_since = m->loop.now;
	link_answered(k, p);
}

static void link_pdu(struct link *k, const uint8_t *bytes, size_t n)
{
	struct esme *m = k->esme;
	struct sim_pdu p;
	uint32_t status = m->codec->decode(&p, bytes, n);
	if (p.id & P_RESP) {
		link_response(k, &p);
		return;
	}
	if (status) {
		if (status == S_RINVCMDID)
			link_plain(k, P_GENERIC_NACK, p.seq, status);
		else
			link_plain(k, p.id | P_RESP, p.seq, status);
		m->stats.unparsed++;
		return;
	}
	switch (p.id) {
	case P_DELIVER_SM:
	case P_DATA_SM:
		link_deliver(k, &p);
		return;
	case P_ENQUIRE_LINK:
		m->stats.enquires++;
		if (!m->conf.no_enquire_answer)
			link_plain(k, p.id | P_RESP, p.seq, S_OK);
		return;
	case P_UNBIND:
		link_plain(k, p.id | P_RESP, p.seq, S_OK);
		sim_conn_finish(k->conn);
		return;
	case P_ALERT:
		return;
	}
	link_plain(k, P_GENERIC_NACK, p.seq, S_RINVCMDID);
}

static size_t link_data(struct sim_conn *c, const char *p, size_t n)
{
	struct link *k = c->of;
	size_t took = 0;
	k->heard = c->loop->now;
	while (!c->is_dead) {
		long len = sim_pdu_frame(p + took, n - took);
		if (len < 0) {
			sim_conn_close(c, "the peer sent an impossible command_length");
			return n;
		}
		if (len == 0)
			break;
		link_pdu(k, (const uint8_t *)p + took, (size_t)len);
		took += (size_t)len;
	}
	if (!c->is_dead && k->esme->was_up)
		link_pump(k);
	return took;
}

static const struct sim_conn_ops link_ops = { link_opened, link_data, link_closed };

/* ---- the run --------------------------------------------------------------------------- */

static bool load_done(const struct esme *m)
{
	if (!m->was_up && m->conf.count)
		return false;
	bool more = !m->stopping &&
		    (m->conf.count == UINT64_MAX || m->next_n < m->conf.first + m->conf.count);
	return !more && m->outstanding == 0 && (m->retry_n == 0 || m->stopping);
}

static void esme_end(struct esme *m)
{
	m->ending = true;
	m->ended_at = m->loop.now;
	for (unsigned i = 0; i < m->links; i++) {
		struct link *k = &m->link[i];
		if (k->state == LINK_BOUND) {
			k->state = LINK_ENDING;
			link_plain(k, P_UNBIND, link_seq(k), S_OK);
		} else if (k->conn) {
			sim_conn_close(k->conn, "ending");
		}
	}
}

/* Over when all is answered and every receipt is here, or none came for the time of --drain. */
static void esme_consider(struct esme *m)
{
	if (m->ending) {
		if (!m->ended_at)
			esme_end(m);
		if (m->bound == 0 || m->loop.now - m->ended_at > 2 * SIM_S)
			m->loop.stop = true;
		return;
	}
	if (m->conf.run_for && m->loop.now - m->started >= m->conf.run_for)
		m->stopping = true;
	if (m->conf.count == 0) { /* only receiving */
		if (m->stopping)
			m->ending = true;
		return;
	}
	if (!load_done(m))
		return;
	uint64_t quiet = m->loop.now - m->quiet_since;
	if (esme_satisfied(m) ? quiet >= m->conf.linger : quiet >= m->conf.drain)
		m->ending = true;
}

static void esme_tick(struct sim_timer *t)
{
	struct esme *m = t->of;
	for (unsigned i = 0; i < m->links && !m->ending; i++)
		if (m->link[i].state == LINK_DOWN && m->loop.now >= m->link[i].again)
			link_connect(&m->link[i]);
	sim_wheel_turn(&m->wheel, m->loop.now, answer_due, m);
	if (m->was_up && !m->ending)
		esme_pump(m);
	esme_consider(m);
	t->due = m->loop.now + SIM_MS;
}

static void link_watch(struct link *k)
{
	struct esme *m = k->esme;
	uint64_t patience = m->conf.response_timeout;
	if (k->state == LINK_DOWN)
		return;
	if (k->state != LINK_BOUND && k->state != LINK_ENDING) {
		if (m->loop.now - k->heard > patience)
			sim_conn_close(k->conn, "no answer to bind");
		return;
	}
	if (k->probed && m->loop.now - k->probed > patience) {
		sim_conn_close(k->conn, "enquire_link not answered");
		return;
	}
	for (uint32_t i = 0; k->out_n && i <= k->mask; i++)
		if (k->slot[i].used && k->slot[i].at < m->loop.now && m->conf.rate == 0 &&
			m->loop.now - k->slot[i].at > patience) {
			m->stats.unanswered++;
			sim_conn_close(k->conn, "a submit was not answered");
			return;
		}
	if (m->conf.enquire && !k->probed && m->loop.now - k->heard >= m->conf.enquire &&
		!k->slot[(k->seq + 1) & k->mask].used) {
		k->probed = m->loop.now;
		link_plain(k, P_ENQUIRE_LINK, link_seq(k), S_OK);
	}
}

static void esme_second(struct sim_timer *t)
{
	struct esme *m = t->of;
	for (unsigned i = 0; i < m->links; i++)
		link_watch(&m->link[i]);
	if (m->record)
		fflush(m->record);
	if (m->conf.progress) {
		sim_say("esme: %llu/s answered, %llu/s receipts, %llu unanswered, %llu receipts "
			"awaited, "
			"%u bound",
			(unsigned long long)(m->stats.answered - m->progress_answered),
			(unsigned long long)(m->stats.finals - m->progress_finals),
			(unsigned long long)m->outstanding,
			(unsigned long long)(m->stats.wanted - m->stats.got), m->bound);
		m->progress_answered = m->stats.answered;
		m->progress_finals = m->stats.finals;
	}
	t->due = m->loop.now + SIM_S;
}

static void esme_quit(void *of)
{
	struct esme *m = of;
	/* The first signal ends the submitting; what is due is waited for, unless a second comes.
	 */
	if (m->stopping)
		m->ending = true;
	m->stopping = true;
}

static void esme_usr1(void *of)
{
	struct buf out = BUF_INIT;
	esme_summary(of, &out);
	fprintf(stderr, "%s\n", buf_cstr(&out));
	buf_free(&out);
}

static int esme_start(struct esme *m, struct err *e)
{
	struct esme_conf *c = &m->conf;
	if (!(m->codec = sim_codec_named(c->codec)))
		return err_set(
			e, ERR_CONF, "--codec wants fast or lib, not \"%.*s\"", STR_ARG(c->codec));
	if (c->binds == 0 || c->binds > 10000 || c->window == 0 || c->window > 100000)
		return err_set(e, ERR_CONF, "--binds is 1 to 10000, --window 1 to 100000");
	if (c->tls && !(m->tls = sim_tls_client(c->ca, c->cert, c->key, c->ca.n > 0, e)))
		return -1;
	if (sim_record_open(&m->record, c->record, e) < 0 ||
		sim_record_open(&m->record_receipts, c->record_receipts, e) < 0 ||
		sim_record_open(&m->record_mo, c->record_mo, e) < 0)
		return -1;
	sim_loop_init(&m->loop);
	sim_rng_seed(&m->rng, c->seed);
	sim_wheel_init(&m->wheel, m->loop.now);
	m->answer_free = UINT32_MAX;
	m->started = m->quiet_since = m->loop.now;
	m->next_n = c->first;
	m->links = (unsigned)(c->pairs ? 2 * c->binds : c->binds);
	m->link = mem_alloc(m->links * sizeof(*m->link));
	for (unsigned i = 0; i < m->links; i++) {
		struct link *k = &m->link[i];
		uint32_t slots = 16;
		while (slots < 2 * c->window)
			slots *= 2;
		k->esme = m;
		k->index = i;
		k->bind = c->pairs && i % 2 ? P_BIND_RX : c->bind;
		k->slot = mem_alloc(slots * sizeof(*k->slot));
		k->mask = slots - 1;
	}
	sim_loop_timer(&m->loop, &m->tick, esme_tick, m, m->loop.now);
	sim_loop_timer(&m->loop, &m->second, esme_second, m, m->loop.now + SIM_S);
	sim_loop_signals(&m->loop, esme_quit, esme_usr1, m);
	return 0;
}

int sim_esme_main(int argc, char **argv)
{
	static struct esme m;
	struct err e = { 0 };
	esme_conf_init(&m.conf);
	int r = sim_opt_parse(esme_opts, "esme [--connect HOST:PORT] [options]: an SMPP client",
		&m.conf, argc, argv, &e);
	if (r > 0)
		return SIM_OK;
	if (r < 0 || esme_start(&m, &e) < 0) {
		sim_say("esme: %s", e.text);
		return SIM_USAGE;
	}
	sim_loop_run(&m.loop);
	int written = sim_record_close(&m.record, m.conf.record);
	written |= sim_record_close(&m.record_receipts, m.conf.record_receipts);
	written |= sim_record_close(&m.record_mo, m.conf.record_mo);
	struct buf out = BUF_INIT;
	esme_summary(&m, &out);
	printf("%s\n", buf_cstr(&out));
	buf_free(&out);
	if (written < 0)
		return SIM_USAGE;
	return esme_as_expected(&m) ? SIM_OK : SIM_FAILED;
}
