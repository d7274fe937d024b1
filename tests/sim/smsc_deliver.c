/* What the simulated SMSC sends by itself: receipts and subscribers' messages, spread over an
 * account's receiving binds, each within its window, sent again when the bind dies before it
 * acknowledged or when it says "later".
 */
#include "tests/sim/smsc.h"

uint32_t parcel_new(struct smsc *m)
{
	if (m->parcel_free == NONE32) {
		uint32_t n = m->parcels ? m->parcels * 2 : 4096;
		m->parcel = mem_grow(m->parcel, (size_t)n * sizeof(*m->parcel));
		for (uint32_t i = n; i-- > m->parcels;) {
			m->parcel[i].next = m->parcel_free;
			m->parcel_free = i;
		}
		m->parcels = n;
	}
	uint32_t index = m->parcel_free;
	m->parcel_free = m->parcel[index].next;
	m->parcel[index] = (struct parcel){ .next = NONE32 };
	m->parcel_used++;
	return index;
}

void parcel_free(struct smsc *m, uint32_t index)
{
	m->parcel[index].kind = PARCEL_FREE;
	m->parcel[index].next = m->parcel_free;
	m->parcel_free = index;
	m->parcel_used--;
}

static void account_add(struct smsc *m, uint32_t index, bool front)
{
	struct account *a = &m->account[m->parcel[index].account];
	a->waiting++;
	if (front) {
		m->parcel[index].next = a->first;
		a->first = index;
		if (a->last == NONE32)
			a->last = index;
		return;
	}
	m->parcel[index].next = NONE32;
	if (a->last == NONE32)
		a->first = index;
	else
		m->parcel[a->last].next = index;
	a->last = index;
}

void parcel_post(struct smsc *m, uint32_t index, uint64_t delay)
{
	if (delay) {
		sim_wheel_add(&m->wheel, index, m->loop.now + delay);
		return;
	}
	account_add(m, index, false);
	account_pump(m, m->parcel[index].account);
}

void smsc_due(void *of, uint32_t index)
{
	struct smsc *m = of;
	if (m->parcel[index].kind == PARCEL_RESPONSE)
		smsc_response_due(m, index);
	else
		parcel_post(m, index, 0);
}

static void mo_fill(struct smsc *m, const struct parcel *p, struct sim_pdu *d)
{
	static struct buf from, to, text, part, wide;
	const struct smsc_mo *o = &m->conf.mo[p->mo];
	struct sim_rng r; /* the parts of one message draw the same digits */
	sim_rng_seed(&r, p->id + 1);
	buf_reset(&from);
	buf_reset(&to);
	buf_reset(&text);
	sim_pattern(&from, o->from, p->id, &r);
	sim_pattern(&to, o->to, p->id, &r);
	sim_pattern(&text, o->text, p->id, &r);
	d->src = buf_view(&from);
	d->dst = buf_view(&to);
	d->src_ton = d->src_npi = d->dst_ton = d->dst_npi = 1;
	d->text = buf_view(&text);
	if (o->ucs2) {
		buf_reset(&wide);
		sim_utf16be(&wide, buf_view(&text));
		d->text = buf_view(&wide);
		d->coding = 8;
	}
	if (o->parts > 1) { /* cut evenly; UTF-16 between units */
		size_t each = (d->text.n / o->parts + 1) & ~(size_t)1, at = each * p->part;
		struct str whole = d->text;
		if (at > whole.n)
			at = whole.n;
		if (p->part + 1u == o->parts || whole.n - at < each)
			each = whole.n - at;
		buf_reset(&part);
		buf_add(&part, "\x05\x00\x03", 3);
		buf_u8(&part, (uint8_t)p->id);
		buf_u8(&part, (uint8_t)o->parts);
		buf_u8(&part, (uint8_t)(p->part + 1));
		buf_add(&part, whole.p + at, each);
		d->text = buf_view(&part);
		d->esm_class = ESM_UDHI;
	}
	if (d->text.n > 254) {
		sim_pdu_add(d, T_PAYLOAD, d->text);
		d->text = STR_NONE;
	}
}

static void parcel_send(struct session *s, uint32_t index)
{
	struct smsc *m = s->smsc;
	struct parcel *p = &m->parcel[index];
	struct sim_pdu d;
	memset(&d, 0, offsetof(struct sim_pdu, tlv));
	d.id = P_DELIVER_SM;
	if (p->kind == PARCEL_RECEIPT) {
		d.src = str_of(p->src);
		d.dst = str_of(p->dst);
		d.src_ton = p->src_ton;
		d.src_npi = p->src_npi;
		d.dst_ton = p->dst_ton;
		d.dst_npi = p->dst_npi;
		smsc_receipt(m, p, &d);
		m->stats.receipts_sent++;
		if (!m->stats.first_receipt)
			m->stats.first_receipt = m->loop.now;
		m->stats.last_receipt = m->loop.now;
	} else {
		mo_fill(m, p, &d);
		m->stats.mo_sent++;
	}
	s->seq = s->seq >= 0x7fffffff ? 1 : s->seq + 1;
	uint32_t slot = s->seq & s->out_mask;
	s->out[slot] = index;
	s->out_at[slot] = m->loop.now;
	s->out_n++;
	d.seq = s->seq;
	smsc_send(s, &d);
	if (m->conf.receipt_first)
		sim_conn_flush(s->conn);
}

static bool session_room(const struct session *s)
{
	uint32_t next = s->seq >= 0x7fffffff ? 1 : s->seq + 1;
	return s->out_n < s->smsc->conf.deliver_window && s->out[next & s->out_mask] == NONE32 &&
	       !s->unbinding && !s->conn->is_full && !s->conn->is_dead;
}

void account_pump(struct smsc *m, uint32_t account)
{
	struct account *a = &m->account[account];
	while (a->first != NONE32 && a->rx_n) {
		struct session *s = NULL;
		for (unsigned i = 0; i < a->rx_n && !s; i++) {
			a->rx_next = (a->rx_next + 1) % a->rx_n;
			if (session_room(a->rx[a->rx_next]))
				s = a->rx[a->rx_next];
		}
		if (!s)
			return;
		uint32_t index = a->first;
		a->first = m->parcel[index].next;
		if (a->first == NONE32)
			a->last = NONE32;
		a->waiting--;
		parcel_send(s, index);
	}
}

void smsc_delivered(struct session *s, const struct sim_pdu *resp)
{
	struct smsc *m = s->smsc;
	uint32_t slot = resp->seq & s->out_mask, index = s->out[slot];
	if (index == NONE32)
		return; /* late, or never asked */
	s->out[slot] = NONE32;
	s->out_n--;
	struct parcel *p = &m->parcel[index];
	bool receipt = p->kind == PARCEL_RECEIPT;
	switch (resp->status) {
	case S_OK:
		if (receipt)
			m->stats.receipts_acked++;
		else
			m->stats.mo_acked++;
		parcel_free(m, index);
		break;
	case S_RSYSERR:
	case S_RMSGQFUL:
	case S_RTHROTTLED:
	case S_RX_T_APPN:
		m->stats.receipts_again++;
		if (p->tries < 255)
			p->tries++;
		parcel_post(m, index, SIM_S);
		break;
	default:
		m->stats.receipts_refused++;
		parcel_free(m, index);
	}
	if (m->account[s->account].first != NONE32)
		account_pump(m, s->account);
}

void session_return(struct session *s)
{
	struct smsc *m = s->smsc;
	for (uint32_t i = 0; s->out && i <= s->out_mask; i++)
		if (s->out[i] != NONE32) {
			m->stats.receipts_again++;
			account_add(m, s->out[i], true);
			s->out[i] = NONE32;
		}
	s->out_n = 0;
}

/* Posts the parts of one subscriber message to an account that listens. */
static void mo_post(struct smsc *m, unsigned row)
{
	struct smsc_mo *o = &m->conf.mo[row];
	uint32_t account = NONE32;
	for (unsigned i = 0; i < m->accounts; i++) {
		if (o->account.n ? str_eq(o->account, m->account[i].system_id)
				 : m->account[i].rx_n > 0) {
			account = i;
			break;
		}
	}
	if (account == NONE32) {
		o->next = m->loop.now + SIM_S / 10; /* nobody yet */
		return;
	}
	for (unsigned part = 0; part < (o->parts ? o->parts : 1); part++) {
		uint32_t index = parcel_new(m);
		m->parcel[index].kind = PARCEL_MO;
		m->parcel[index].account = account;
		m->parcel[index].mo = (uint8_t)row;
		m->parcel[index].part = (uint8_t)part;
		m->parcel[index].id = o->sent;
		parcel_post(m, index, 0);
	}
	o->sent++;
	o->next += o->rate > 0 ? (uint64_t)(1e9 / o->rate) : 0;
}

void smsc_mo_turn(struct smsc *m)
{
	for (unsigned i = 0; i < m->conf.mos; i++) {
		struct smsc_mo *o = &m->conf.mo[i];
		if (!o->next)
			o->next = m->loop.now;
		for (unsigned burst = 0;
			o->sent < o->count && o->next <= m->loop.now && burst < 1000; burst++)
			mo_post(m, i);
	}
}
