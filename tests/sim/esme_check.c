/* The ESME's book-keeping: which ids were accepted, which receipts came, what does not add up. */
#include "tests/sim/control.h"
#include "tests/sim/esme.h"

#include <stdlib.h>

static struct id_entry *book_find(struct id_book *b, uint64_t hash)
{
	uint64_t i = hash & (b->cap - 1);
	while (b->entry[i].hash && b->entry[i].hash != hash)
		i = (i + 1) & (b->cap - 1);
	return &b->entry[i];
}

static struct id_entry *book_at(struct id_book *b, struct str id)
{
	if (b->n * 2 >= b->cap) {
		struct id_book old = *b;
		b->cap = old.cap ? old.cap * 2 : 1 << 16;
		b->entry = mem_alloc(b->cap * sizeof(*b->entry));
		for (uint64_t i = 0; i < old.cap; i++)
			if (old.entry[i].hash)
				*book_find(b, old.entry[i].hash) = old.entry[i];
		mem_free(&old.entry);
	}
	uint64_t hash = str_hash(id) * 0x9E3779B97F4A7C15ULL; /* spreads the low bits */
	hash ^= hash >> 29;
	hash = hash ? hash : 1;
	struct id_entry *e = book_find(b, hash);
	if (!e->hash) {
		*e = (struct id_entry){ .hash = hash };
		b->n++;
	}
	return e;
}

void book_accept(struct esme *m, struct str id, uint64_t at, uint8_t expect)
{
	struct id_entry *e = book_at(&m->book, id);
	if (e->accepted)
		m->stats.id_reused++;
	e->accepted = 1;
	e->expect = expect;
	e->at = (uint32_t)((at - m->started) / (10 * SIM_US));
	m->stats.wanted += expect;
	if (e->finals) { /* the receipt was quicker than the response */
		m->stats.early++;
		m->stats.got += e->finals < expect ? e->finals : expect;
	}
}

static const struct {
	const char *word;
	uint8_t state;
} stat_words[] = { { "ENROUTE", 1 }, { "DELIVRD", 2 }, { "EXPIRED", 3 }, { "DELETED", 4 },
	{ "UNDELIV", 5 }, { "ACCEPTD", 6 }, { "UNKNOWN", 7 }, { "REJECTD", 8 } };

static struct str field_of(struct str text, struct str name)
{
	ptrdiff_t at = text.n ? str_find(text, name) : -1;
	if (at < 0)
		return STR_NONE;
	text = str_skip(text, (size_t)at + name.n);
	size_t n = 0;
	while (n < text.n && text.p[n] != ' ' && text.p[n] != '\r' && text.p[n] != '\n')
		n++;
	return str_n(text.p, n);
}

static uint8_t state_of(struct str word)
{
	for (size_t i = 0; i < sizeof(stat_words) / sizeof(stat_words[0]); i++)
		if (str_is(word, stat_words[i].word))
			return stat_words[i].state;
	return 0;
}

static void note_receipt(struct esme *m, struct str id, uint8_t state)
{
	if (!m->record_receipts)
		return;
	fprintf(m->record_receipts, "%llu\t%.*s\t%s\n", (unsigned long long)(sim_wall() / SIM_US),
		STR_ARG(id), state && state <= 8 ? stat_words[state - 1].word : "?");
}

static void esme_final(struct esme *m, struct str id, uint8_t state)
{
	struct id_entry *e = book_at(&m->book, id);
	m->stats.finals++;
	m->stats.by_state[state & 15]++;
	m->stats.last_receipt = m->loop.now;
	if (e->finals < 255)
		e->finals++;
	if (e->accepted) {
		if (e->finals <= e->expect) {
			uint64_t now = (m->loop.now - m->started) / (10 * SIM_US);
			m->stats.got++;
			sim_hist_add(
				&m->stats.receipt_latency, (uint32_t)(now - e->at) * 10 * SIM_US);
		} else if (e->state == state)
			m->stats.duplicates++;
		else
			m->stats.corrections++;
	}
	e->state = state;
}

static void esme_receipt(struct esme *m, const struct sim_pdu *p)
{
	struct str text = sim_pdu_text(p), id = sim_pdu_tlv(p, T_RECEIPTED_ID);
	struct str state_tlv = sim_pdu_tlv(p, T_STATE), in_text = field_of(text, STR("id:"));
	struct str word = field_of(text, STR("stat:"));
	while (id.n && id.p[id.n - 1] == 0)
		id.n--;
	uint8_t said = state_of(word), state = state_tlv.n == 1 ? (uint8_t)state_tlv.p[0] : said;
	if ((id.n && in_text.n && !str_eq(id, in_text)) ||
		(said && state_tlv.n == 1 && said != state))
		m->stats.mismatched++;
	if (!id.n)
		id = in_text;
	if (!id.n || !state) {
		m->stats.unparsed++;
		return;
	}
	note_receipt(m, id, state);
	if (state == 1 || (p->esm_class & ESM_TYPE) == ESM_INTERMEDIATE)
		m->stats.intermediates++;
	else
		esme_final(m, id, state);
}

/* time_us from to data_coding esm_class text, tab-separated, the text (with its UDH) in hex. */
static void note_mo(struct esme *m, const struct sim_pdu *p)
{
	if (!m->record_mo)
		return;
	struct buf *b = &m->line;
	buf_reset(b);
	buf_printf(b, "%llu\t%.*s\t%.*s\t%u\t%u\t", (unsigned long long)(sim_wall() / SIM_US),
		STR_ARG(p->src), STR_ARG(p->dst), p->coding, p->esm_class);
	sim_hex(b, sim_pdu_text(p));
	buf_char(b, '\n');
	fwrite(b->p, 1, b->n, m->record_mo);
}

void esme_deliver(struct link *k, const struct sim_pdu *p)
{
	struct esme *m = k->esme;
	m->stats.deliveries++;
	if ((p->esm_class & ESM_TYPE) == ESM_RECEIPT ||
		(p->esm_class & ESM_TYPE) == ESM_INTERMEDIATE) {
		esme_receipt(m, p);
		return;
	}
	m->stats.mo++;
	note_mo(m, p);
}

bool esme_satisfied(struct esme *m)
{
	return m->stats.got >= m->stats.wanted;
}

static uint64_t book_unknown(const struct id_book *b)
{
	uint64_t n = 0;
	for (uint64_t i = 0; i < b->cap; i++)
		n += b->entry[i].hash && !b->entry[i].accepted;
	return n;
}

static uint64_t book_unasked(const struct id_book *b)
{
	uint64_t n = 0;
	for (uint64_t i = 0; i < b->cap; i++)
		n += b->entry[i].hash && b->entry[i].accepted && !b->entry[i].expect &&
		     b->entry[i].finals;
	return n;
}

static double over(uint64_t n, uint64_t from, uint64_t to)
{
	return to > from ? (double)n * 1e9 / (double)(to - from) : 0;
}

void esme_summary(struct esme *m, struct buf *b)
{
	const struct esme_stats *s = &m->stats;
	uint64_t cpu = sim_cpu();
	buf_char(b, '{');
	sim_json_n(b, "submitted", s->submitted);
	sim_json_n(b, "answered", s->answered);
	sim_json_n(b, "accepted", s->accepted);
	sim_json_n(b, "refused", s->refused);
	sim_json_n(b, "retried", s->retried);
	sim_json_n(b, "unanswered", m->outstanding);
	sim_json_n(b, "lost_in_flight", s->lost_in_flight);
	sim_json_n(b, "late", s->late);
	sim_json_n(b, "binds", s->binds);
	sim_json_n(b, "bind_refused", s->bind_refused);
	sim_json_n(b, "reconnects", s->reconnects);
	sim_json_n(b, "nacks", s->nacks);
	sim_json_n(b, "enquires", s->enquires);
	sim_json_n(b, "id_missing", s->id_missing);
	sim_json_n(b, "id_reused", s->id_reused);
	buf_c(b, ",\"status\":{");
	for (unsigned i = 0; i < s->statuses; i++)
		buf_printf(b, "%s\"0x%02x\":%llu", i ? "," : "", s->status[i].status,
			(unsigned long long)s->status[i].n);
	buf_c(b, "},\"receipts\":{");
	for (unsigned i = 1; i <= 8; i++)
		if (s->by_state[i])
			sim_json_n(b, stat_words[i - 1].word, s->by_state[i]);
	buf_c(b, "}");
	sim_json_n(b, "finals", s->finals);
	sim_json_n(b, "intermediates", s->intermediates);
	sim_json_n(b, "wanted", s->wanted);
	sim_json_n(b, "missing", s->wanted - s->got);
	sim_json_n(b, "duplicates", s->duplicates);
	sim_json_n(b, "corrections", s->corrections);
	sim_json_n(b, "early", s->early);
	sim_json_n(b, "unknown", book_unknown(&m->book));
	sim_json_n(b, "unasked", book_unasked(&m->book));
	sim_json_n(b, "mismatched", s->mismatched);
	sim_json_n(b, "unparsed", s->unparsed);
	sim_json_n(b, "mo", s->mo);
	buf_c(b, ",\"latency\":");
	sim_hist_json(b, &s->latency);
	buf_c(b, ",\"receipt_latency\":");
	sim_hist_json(b, &s->receipt_latency);
	buf_printf(b,
		",\"seconds\":%.3f,\"accept_rate\":%.0f,\"receipt_rate\":%.0f,\"cpu_s\":%.3f,\"cpu_"
		"us\":%.2f",
		(double)(m->loop.now - m->started) / 1e9,
		over(s->accepted, s->first_submit, s->last_answer),
		over(s->finals, s->first_submit, s->last_receipt), (double)cpu / 1e9,
		s->submitted ? (double)cpu / 1e3 / (double)s->submitted : 0);
	if (m->codec == &sim_codec_lib)
		buf_printf(b,
			",\"lib\":{\"decoded\":%llu,\"encoded\":%llu,\"left\":%llu,\"disagreed\":%"
			"llu}",
			(unsigned long long)sim_lib_decoded, (unsigned long long)sim_lib_encoded,
			(unsigned long long)sim_lib_left, (unsigned long long)sim_lib_disagreed);
	buf_char(b, '}');
}

static bool want(bool as, const char *what, uint64_t n)
{
	if (!as)
		sim_say("esme: expected otherwise: %s (%llu)", what, (unsigned long long)n);
	return as;
}

bool esme_as_expected(struct esme *m)
{
	const struct esme_stats *s = &m->stats;
	bool ok = !m->failed;
	if (m->conf.expect_accepted && m->conf.count != UINT64_MAX) {
		ok &= want(m->next_n - m->conf.first >= m->conf.count, "messages never submitted",
			m->conf.count - (m->next_n - m->conf.first));
		ok &= want(s->refused == 0, "messages refused", s->refused);
		ok &= want(m->retry_n == 0, "messages still to be repeated", m->retry_n);
		ok &= want(m->outstanding == 0, "messages unanswered", m->outstanding);
		ok &= want(m->conf.resend || s->lost_in_flight == 0,
			"messages lost with a connection", s->lost_in_flight);
	}
	if (m->conf.expect_receipts) {
		uint64_t unknown = s->lost_in_flight ? 0 : book_unknown(&m->book);
		ok &= want(s->got == s->wanted, "receipts missing", s->wanted - s->got);
		ok &= want(s->duplicates == 0, "receipts twice", s->duplicates);
		ok &= want(unknown == 0, "receipts for ids never given", unknown);
		ok &= want(
			s->mismatched == 0, "receipts whose text and TLVs differ", s->mismatched);
		ok &= want(s->unparsed == 0, "receipts not understood", s->unparsed);
	}
	return ok;
}
