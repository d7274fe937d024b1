/* What the simulated ESME submits: message n is a function of n and the seed alone, so that a
 * repeat, a record and a proof all speak of the same message.
 */
#include "tests/sim/esme.h"

enum { PARTS = 3, PART_OCTETS = 120 };

static enum esme_kind esme_kind_of(struct esme *m, uint64_t n)
{
	if (!m->conf.mix_set)
		return KIND_TEXT;
	struct sim_rng r;
	sim_rng_seed(&r, m->conf.seed * 1000003 + n);
	sim_rng_next(&r);
	double draw = sim_rng_unit(&r);
	for (unsigned i = 0; i < KIND_COUNT; i++) {
		if (draw < m->conf.mix[i])
			return (enum esme_kind)i;
		draw -= m->conf.mix[i];
	}
	return KIND_TEXT;
}

unsigned esme_parts(struct esme *m, uint64_t n)
{
	enum esme_kind kind = esme_kind_of(m, n);
	return kind == KIND_UDH || kind == KIND_SAR ? PARTS : 1;
}

static uint8_t kind_expects(enum esme_kind kind)
{
	return kind == KIND_MULTI ? 3 : 1;
}

static bool all_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

static void fill_to(struct buf *b, size_t n)
{
	static const char words[] = " the quick brown fox jumps over the lazy dog";
	while (b->n < n) {
		size_t left = n - b->n;
		buf_add(b, words, left < sizeof(words) - 1 ? left : sizeof(words) - 1);
	}
}

static void fill_part(struct buf *text, struct sim_pdu *p, struct unit u, bool udh)
{
	static struct buf part;
	static uint8_t ref[2], total, number;
	fill_to(text, (size_t)PARTS * PART_OCTETS);
	struct str piece = str_n(text->p + u.part * PART_OCTETS,
		u.part + 1 == PARTS ? text->n - (PARTS - 1) * PART_OCTETS : PART_OCTETS);
	total = PARTS;
	number = (uint8_t)(u.part + 1);
	buf_reset(&part);
	if (udh) {
		buf_add(&part, "\x05\x00\x03", 3);
		buf_u8(&part, (uint8_t)u.n);
		buf_u8(&part, total);
		buf_u8(&part, number);
		p->esm_class |= ESM_UDHI;
	} else {
		put_be16(ref, (uint16_t)u.n);
		sim_pdu_add(p, T_SAR_REF, str_n(ref, 2));
		sim_pdu_add(p, T_SAR_TOTAL, str_n(&total, 1));
		sim_pdu_add(p, T_SAR_SEQ, str_n(&number, 1));
	}
	buf_str(&part, piece);
	p->text = buf_view(&part);
}

static void fill_kind(struct esme *m, struct unit u, struct buf *text, struct sim_pdu *p)
{
	static struct buf wide, to[PARTS];
	enum esme_kind kind = esme_kind_of(m, u.n);
	switch (kind) {
	case KIND_LONG:
		fill_to(text, 250);
		break;
	case KIND_UCS2:
		buf_c(text, " \u041f\u0440\u0438\u0432\u0435\u0442 \u20ac \U0001F600");
		buf_reset(&wide);
		sim_utf16be(&wide, buf_view(text));
		p->coding = 8;
		p->text = buf_view(&wide);
		return;
	case KIND_UDH:
	case KIND_SAR:
		fill_part(text, p, u, kind == KIND_UDH);
		return;
	case KIND_PAYLOAD:
		fill_to(text, 500);
		break;
	case KIND_DATA:
		p->id = P_DATA_SM;
		break;
	case KIND_BINARY:
		p->coding = 4;
		for (unsigned i = 0; i < 40; i++)
			buf_u8(text, (uint8_t)(i * 37));
		break;
	case KIND_FLASH:
		p->coding = 0x10;
		break;
	case KIND_MULTI:
		p->id = P_SUBMIT_MULTI;
		p->dest_n = PARTS;
		for (unsigned i = 0; i < PARTS; i++) {
			struct sim_rng r;
			sim_rng_seed(&r, u.n * 3 + i + 77);
			buf_reset(&to[i]);
			sim_pattern(&to[i], m->conf.to, u.n * 3 + i, &r);
			p->dest[i] = (struct sim_dest){ 1, 1, false, buf_view(&to[i]) };
		}
		break;
	default:
		break;
	}
	p->text = buf_view(text);
	if (p->text.n > 254 || p->id == P_DATA_SM) {
		sim_pdu_add(p, T_PAYLOAD, p->text);
		p->text = STR_NONE;
	}
}

void esme_fill(struct esme *m, struct unit u, struct sim_pdu *p)
{
	static struct buf from, to, text;
	const struct esme_conf *c = &m->conf;
	struct sim_rng r;
	sim_rng_seed(&r, c->seed * 7919 + u.n);
	memset(p, 0, offsetof(struct sim_pdu, tlv));
	buf_reset(&from);
	buf_reset(&to);
	buf_reset(&text);
	sim_pattern(&from, c->from, u.n, &r);
	sim_pattern(&to, c->to, u.n, &r);
	sim_pattern(&text, c->text, u.n, &r);
	p->id = P_SUBMIT_SM;
	p->src = buf_view(&from);
	p->dst = buf_view(&to);
	p->src_ton = all_digits(p->src) ? 1 : 5;
	p->src_npi = p->src_ton == 1;
	p->dst_ton = 1;
	p->dst_npi = 1;
	p->service_type = c->service_type;
	p->registered = (uint8_t)c->registered;
	p->coding = (uint8_t)c->coding;
	p->priority = (uint8_t)c->priority;
	p->esm_class = (uint8_t)c->esm_class;
	p->schedule = c->schedule;
	p->validity = c->validity;
	fill_kind(m, u, &text, p);
	for (unsigned i = 0; i < c->tlvs; i++)
		sim_pdu_add(p, c->tlv[i].tag, c->tlv[i].v);
}

static bool link_room(const struct link *k, unsigned units)
{
	uint32_t window = (uint32_t)k->esme->conf.window;
	if (k->state != LINK_BOUND || k->bind == P_BIND_RX || k->conn->is_full)
		return false;
	if (k->out_n + units > window && k->out_n > 0)
		return false;
	for (unsigned i = 1; i <= units; i++)
		if (k->slot[(k->seq + i) & k->mask].used)
			return false;
	return true;
}

static void link_submit(struct link *k, struct unit u, uint64_t at)
{
	struct esme *m = k->esme;
	struct sim_pdu p;
	esme_fill(m, u, &p);
	k->seq = p.seq = k->seq >= 0x7fffffff ? 1 : k->seq + 1;
	struct link_slot *s = &k->slot[k->seq & k->mask];
	bool ask = (p.registered & 3) == 1;
	*s = (struct link_slot){ u, at, k->seq, ask ? kind_expects(esme_kind_of(m, u.n)) : 0,
		true };
	k->out_n++;
	m->outstanding++;
	m->stats.submitted++;
	if (!m->stats.first_submit)
		m->stats.first_submit = m->loop.now;
	link_send(k, &p);
}

void esme_retry(struct esme *m, struct unit u, uint64_t delay)
{
	if (m->retry_n == m->retry_cap) {
		uint64_t cap = m->retry_cap ? m->retry_cap * 2 : 1024;
		struct unit *fresh = mem_raw(cap * sizeof(*fresh));
		uint64_t *due = mem_raw(cap * sizeof(*due));
		for (uint64_t i = 0; i < m->retry_n; i++) {
			fresh[i] = m->retry[(m->retry_first + i) % m->retry_cap];
			due[i] = m->retry_due[(m->retry_first + i) % m->retry_cap];
		}
		mem_free(&m->retry);
		mem_free(&m->retry_due);
		m->retry = fresh;
		m->retry_due = due;
		m->retry_cap = cap;
		m->retry_first = 0;
	}
	uint64_t at = (m->retry_first + m->retry_n++) % m->retry_cap;
	m->retry[at] = u;
	m->retry_due[at] = m->loop.now + delay;
}

static bool esme_more(const struct esme *m)
{
	return !m->stopping &&
	       (m->conf.count == UINT64_MAX || m->next_n < m->conf.first + m->conf.count);
}

/* When unit number `units` is due with a set rate; latency counts from there, so that a gateway
 * which stalls cannot hide the messages that it kept from being sent. */
static uint64_t esme_due(const struct esme *m)
{
	return m->load_began + (uint64_t)((double)m->units * 1e9 / m->conf.rate);
}

void link_pump(struct link *k)
{
	struct esme *m = k->esme;
	while (m->retry_n && m->retry_due[m->retry_first] <= m->loop.now && link_room(k, 1)) {
		struct unit u = m->retry[m->retry_first];
		m->retry_first = (m->retry_first + 1) % m->retry_cap;
		m->retry_n--;
		m->stats.retried++;
		link_submit(k, u, m->loop.now);
	}
	while (esme_more(m)) {
		unsigned parts = esme_parts(m, m->next_n);
		uint64_t at = m->loop.now;
		if (!link_room(k, parts))
			return;
		if (!m->load_began)
			m->load_began = m->loop.now;
		if (m->conf.rate > 0) {
			at = esme_due(m);
			if (at > m->loop.now)
				return;
		}
		for (unsigned i = 0; i < parts; i++)
			link_submit(k, (struct unit){ m->next_n, i }, at);
		m->units += parts;
		m->next_n++;
	}
}

void esme_pump(struct esme *m)
{
	static unsigned turn;
	for (unsigned i = 0; i < m->links; i++)
		link_pump(&m->link[(turn + i) % m->links]);
	turn++;
}

static void count_status(struct esme_stats *st, uint32_t status)
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

/* time_us id n part from to text, tab-separated, the text in hex. */
static void record_accepted(struct esme *m, struct unit u, struct str id)
{
	struct sim_pdu p;
	struct buf *b = &m->line;
	esme_fill(m, u, &p);
	struct str text = sim_pdu_text(&p);
	if (p.esm_class & ESM_UDHI && text.n)
		text = str_skip(text, 1 + (size_t)(uint8_t)text.p[0]);
	for (unsigned i = 0; i < (p.dest_n ? p.dest_n : 1); i++) {
		struct str to = p.dest_n ? p.dest[i].addr : p.dst;
		buf_reset(b);
		buf_printf(b, "%llu\t%.*s\t%llu\t%u\t%.*s\t%.*s\t",
			(unsigned long long)(sim_wall() / SIM_US), STR_ARG(id),
			(unsigned long long)u.n, u.part, STR_ARG(p.src), STR_ARG(to));
		sim_hex(b, text);
		buf_char(b, '\n');
		fwrite(b->p, 1, b->n, m->record);
	}
}

static bool worth_retrying(uint32_t status)
{
	return status == S_RTHROTTLED || status == S_RMSGQFUL || status == S_RSYSERR;
}

void link_answered(struct link *k, const struct sim_pdu *resp)
{
	struct esme *m = k->esme;
	struct link_slot *s = &k->slot[resp->seq & k->mask];
	if (!s->used || s->seq != resp->seq) {
		m->stats.late++;
		return;
	}
	uint32_t status = resp->status;
	if (resp->id == P_GENERIC_NACK && status == S_OK)
		status = S_UNKNOWN;
	s->used = false;
	k->out_n--;
	m->outstanding--;
	m->stats.answered++;
	m->stats.last_answer = m->loop.now;
	sim_hist_add(&m->stats.latency, m->loop.now > s->at ? m->loop.now - s->at : 0);
	count_status(&m->stats, status);
	if (status) {
		if (m->conf.retry && worth_retrying(status))
			esme_retry(m, s->unit, m->conf.retry_delay);
		else
			m->stats.refused++;
		return;
	}
	m->stats.accepted++;
	if (!resp->message_id.n)
		m->stats.id_missing++;
	book_accept(m, resp->message_id, s->at, s->expect);
	if (m->record)
		record_accepted(m, s->unit, resp->message_id);
}

void link_lost(struct link *k)
{
	struct esme *m = k->esme;
	for (uint32_t i = 0; k->slot && i <= k->mask; i++) {
		struct link_slot *s = &k->slot[i];
		if (!s->used)
			continue;
		s->used = false;
		m->outstanding--;
		m->stats.lost_in_flight++;
		if (m->conf.resend)
			esme_retry(m, s->unit, 0);
	}
	k->out_n = 0;
}
