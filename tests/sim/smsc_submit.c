/* A submit_sm at the simulated SMSC: what it is answered, when, and what follows from it. */
#include "tests/sim/smsc.h"

static void count_status(struct smsc_stats *st, uint32_t status)
{
	for (unsigned i = 0; i < st->statuses; i++)
		if (st->status[i].status == status) {
			st->status[i].n++;
			return;
		}
	if (st->statuses < sizeof(st->status) / sizeof(st->status[0])) {
		st->status[st->statuses].status = status;
		st->status[st->statuses++].n = 1;
	}
}

static bool smsc_over_rate(struct smsc *m)
{
	double rate = m->conf.throttle;
	if (rate <= 0)
		return false;
	double most = rate / 10 > 1 ? rate / 10 : 1;
	m->tokens += (double)(m->loop.now - m->tokens_at) / 1e9 * rate;
	m->tokens_at = m->loop.now;
	if (m->tokens > most)
		m->tokens = most;
	if (m->tokens < 1)
		return true;
	m->tokens -= 1;
	return false;
}

static uint32_t rule_by_address(struct smsc_rule *rules, unsigned n, struct str to)
{
	for (unsigned i = 0; i < n; i++) {
		struct smsc_rule *r = &rules[i];
		if (!str_glob(r->pattern, to) || r->times == UINT64_MAX)
			continue;
		if (r->times && --r->times == 0)
			r->times = UINT64_MAX; /* spent */
		return r->value;
	}
	return 0;
}

static uint32_t smsc_verdict(struct smsc *m, struct str to)
{
	if (smsc_over_rate(m)) {
		m->stats.throttled++;
		return S_RTHROTTLED;
	}
	uint32_t status = rule_by_address(m->conf.error_to, m->conf.errors_to, to);
	if (status)
		return status;
	double draw = m->conf.errors ? sim_rng_unit(&m->rng) : 1;
	for (unsigned i = 0; i < m->conf.errors; i++) {
		if (draw < m->conf.error[i].p)
			return m->conf.error[i].value;
		draw -= m->conf.error[i].p;
	}
	return S_OK;
}

static uint8_t smsc_fate(struct smsc *m, struct str to)
{
	uint32_t state = rule_by_address(m->conf.receipt_to, m->conf.receipts_to, to);
	if (state)
		return (uint8_t)state;
	if (!m->conf.receipts_set)
		return STATE_DELIVERED;
	double draw = sim_rng_unit(&m->rng);
	for (unsigned i = 1; i < STATE_COUNT; i++) {
		if (draw < m->conf.share[i])
			return (uint8_t)i;
		draw -= m->conf.share[i];
	}
	return STATE_DELIVERED;
}

/* registered_delivery: 1 any final, 2 only failures, 3 only success (5.0), 0x10 intermediate. */
static bool smsc_wants(const struct smsc *m, uint8_t registered, uint8_t state)
{
	if (m->conf.receipt_always)
		return true;
	switch (registered & 3) {
	case 1:
		return true;
	case 2:
		return state != STATE_DELIVERED;
	case 3:
		return state == STATE_DELIVERED;
	}
	return false;
}

static void parcel_keep(char *to, size_t cap, struct str s)
{
	str_copy(to, cap, s);
}

static uint32_t receipt_new(
	struct session *s, const struct sim_pdu *p, struct str to, uint64_t id, uint8_t state)
{
	struct smsc *m = s->smsc;
	uint32_t index = parcel_new(m);
	struct parcel *r = &m->parcel[index];
	r->kind = PARCEL_RECEIPT;
	r->account = s->account;
	r->id = id;
	r->state = state;
	r->src_ton = p->dst_ton; /* a receipt goes the other way */
	r->src_npi = p->dst_npi;
	r->dst_ton = p->src_ton;
	r->dst_npi = p->src_npi;
	parcel_keep(r->src, sizeof(r->src), to);
	parcel_keep(r->dst, sizeof(r->dst), p->src);
	struct str text = sim_pdu_text(p);
	if (p->esm_class & ESM_UDHI && text.n)
		text = str_skip(text, 1 + (size_t)(uint8_t)text.p[0]);
	if (p->coding == 0 || p->coding == 1 || p->coding == 3)
		for (size_t i = 0; i < text.n && r->text_n < sizeof(r->text); i++) {
			uint8_t c = (uint8_t)text.p[i];
			r->text[r->text_n++] = c >= ' ' && c < 127 ? (char)c : '.';
		}
	m->stats.receipts_made++;
	m->stats.by_state[state]++;
	return index;
}

/* `after`: when the response leaves, from now; receipts follow it, save with --receipt-first. */
static void smsc_follow(
	struct session *s, const struct sim_pdu *p, struct str to, uint64_t id, uint64_t after)
{
	struct smsc *m = s->smsc;
	uint8_t state = smsc_fate(m, to);
	if (p->registered & 0x10 || m->conf.intermediate) {
		uint32_t index = receipt_new(s, p, to, id, STATE_ENROUTE);
		m->parcel[index].intermediate = true;
		parcel_post(m, index, after);
	}
	if (state == STATE_NONE) {
		m->stats.by_state[STATE_NONE]++;
		return;
	}
	if (!smsc_wants(m, p->registered, state))
		return;
	int copies = sim_rng_hit(&m->rng, m->conf.twice) ? 2 : 1;
	for (int i = 0; i < copies; i++)
		parcel_post(m, receipt_new(s, p, to, id, state),
			after + sim_span_draw(&m->conf.receipt_delay, &m->rng));
}

/* time_us seq from to data_coding esm_class udh octets id status text, tab-separated; the udh and
 * the text in hex, so that a proof can tell which message it was. */
static void smsc_record(struct smsc *m, const struct sim_pdu *p, struct str to, uint64_t id,
	uint32_t status, const char *fate)
{
	if (!m->record)
		return;
	struct buf *b = &m->line;
	struct str text = sim_pdu_text(p), udh = STR_NONE;
	size_t octets = text.n;
	if (p->esm_class & ESM_UDHI && text.n && (size_t)(uint8_t)text.p[0] < text.n) {
		udh = str_n(text.p, 1 + (size_t)(uint8_t)text.p[0]);
		text = str_skip(text, udh.n);
	}
	char name[80];
	buf_reset(b);
	buf_printf(b, "%llu\t%u\t%.*s\t%.*s\t%u\t%u\t", (unsigned long long)(sim_wall() / SIM_US),
		p->seq, STR_ARG(p->src), STR_ARG(to), p->coding, p->esm_class);
	sim_hex(b, udh);
	buf_printf(b, "%s\t%zu\t", udh.n ? "" : "-", octets);
	if (id)
		buf_add(b, name, smsc_id(name, sizeof(name), m->conf.form_resp, id));
	buf_printf(b, "%s\t%s", id ? "" : "-", fate);
	if (status)
		buf_printf(b, ":0x%02x", status);
	buf_char(b, '\t');
	sim_hex(b, text);
	buf_char(b, '\n');
	fwrite(b->p, 1, b->n, m->record);
}

static void send_response(
	struct session *s, uint32_t command, uint32_t seq, uint32_t status, uint64_t id)
{
	struct sim_pdu r;
	char name[80];
	memset(&r, 0, offsetof(struct sim_pdu, tlv));
	r.id = command | P_RESP;
	r.seq = seq;
	r.status = status;
	if (status)
		r.no_body = !s->smsc->conf.error_body;
	else
		r.message_id =
			str_n(name, smsc_id(name, sizeof(name), s->smsc->conf.form_resp, id));
	smsc_send(s, &r);
}

void smsc_response_due(struct smsc *m, uint32_t index)
{
	struct parcel *p = &m->parcel[index];
	struct session *s = p->session < m->sessions ? m->session[p->session] : NULL;
	if (s && s->generation == p->generation)
		send_response(s, (uint32_t)p->at, p->seq, p->status, p->id);
	parcel_free(m, index);
}

uint64_t smsc_respond(struct session *s, const struct sim_pdu *pdu, uint32_t status, uint64_t id)
{
	struct smsc *m = s->smsc;
	uint64_t delay = sim_span_draw(&m->conf.latency, &m->rng);
	if (m->conf.receipt_first && delay < 5 * SIM_MS)
		delay = 5 * SIM_MS; /* TCP keeps no order between two binds */
	if (delay == 0) {
		send_response(s, pdu->id, pdu->seq, status, id);
		return 0;
	}
	uint32_t index = parcel_new(m);
	struct parcel *p = &m->parcel[index];
	p->kind = PARCEL_RESPONSE;
	p->session = s->index;
	p->generation = s->generation;
	p->seq = pdu->seq;
	p->status = status;
	p->id = id;
	p->at = pdu->id;
	sim_wheel_add(&m->wheel, index, m->loop.now + delay);
	return delay;
}

static void submit_one(struct session *s, const struct sim_pdu *p, struct str to, uint64_t id,
	const char *fate, uint64_t after)
{
	struct smsc *m = s->smsc;
	m->stats.accepted++;
	smsc_record(m, p, to, id, S_OK, fate);
	smsc_follow(s, p, to, id, after);
}

static void submit_taken(
	struct session *s, const struct sim_pdu *p, uint64_t id, const char *fate, uint64_t after)
{
	if (p->id != P_SUBMIT_MULTI) {
		submit_one(s, p, p->dst, id, fate, after);
		return;
	}
	for (unsigned i = 0; i < p->dest_n; i++)
		submit_one(s, p, p->dest[i].addr, id, fate, after);
}

void smsc_submit(struct session *s, const struct sim_pdu *p)
{
	struct smsc *m = s->smsc;
	m->stats.submits++;
	if (!m->stats.first_submit)
		m->stats.first_submit = m->loop.now;
	m->stats.last_submit = m->loop.now;
	if (m->conf.drop_after && ++s->submits > m->conf.drop_after) {
		m->stats.drops++;
		smsc_record(m, p, p->dst, 0, 0, "dropped");
		sim_conn_close(s->conn, "dropped, as --drop-after asks");
		return;
	}
	if (sim_rng_hit(&m->rng, m->conf.mute)) {
		m->stats.muted++;
		smsc_record(m, p, p->dst, 0, 0, "muted");
		return;
	}
	uint32_t status = smsc_verdict(m, p->id == P_SUBMIT_MULTI ? p->dest[0].addr : p->dst);
	count_status(&m->stats, status);
	if (status) {
		m->stats.refused++;
		smsc_record(m, p, p->dst, 0, status, "refused");
		smsc_respond(s, p, status, 0);
		return;
	}
	uint64_t id = m->next_id++;
	if (sim_rng_hit(&m->rng, m->conf.mute_taken)) {
		m->stats.muted++;
		submit_taken(s, p, id, "taken-muted", 0);
		return;
	}
	if (m->conf.receipt_first) {
		submit_taken(s, p, id, "taken", 0);
		smsc_respond(s, p, S_OK, id);
		return;
	}
	submit_taken(s, p, id, "taken", smsc_respond(s, p, S_OK, id));
}
