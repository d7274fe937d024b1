/* posternsim codecs: PDUs by chance, written by our quick codec and by libsmpp34, which must agree
 * on every octet, and read back by both, which must agree on every field.
 */
#include "tests/sim/opt.h"
#include "tests/sim/pdu.h"

#include <stdio.h>

static struct str some_text(struct sim_rng *r, struct buf *b, unsigned most, bool digits)
{
	unsigned n = most ? (unsigned)(sim_rng_next(r) % (most + 1)) : 0;
	buf_reset(b);
	for (unsigned i = 0; i < n; i++)
		buf_u8(b, (uint8_t)((digits ? '0' : '!') + sim_rng_next(r) % (digits ? 10 : 90)));
	return buf_view(b);
}

static void some_pdu(struct sim_rng *r, struct sim_pdu *p)
{
	static const uint32_t ids[] = { P_SUBMIT_SM, P_DELIVER_SM, P_DATA_SM, P_SUBMIT_MULTI,
		P_BIND_TRX, P_BIND_TX, P_BIND_RX, P_QUERY_SM, P_CANCEL_SM, P_ENQUIRE_LINK, P_UNBIND,
		P_RESP | P_SUBMIT_SM, P_RESP | P_DELIVER_SM, P_RESP | P_BIND_TRX,
		P_RESP | P_DATA_SM };
	static const uint8_t npi[] = { 0, 1, 3, 4, 6, 8, 9, 10, 14, 18 };
	static struct buf b[16], d[6];
	memset(p, 0, offsetof(struct sim_pdu, tlv));
	p->id = ids[sim_rng_next(r) % (sizeof(ids) / sizeof(ids[0]))];
	p->seq = 1 + (uint32_t)(sim_rng_next(r) % 0x7fffffff);
	bool deliver = p->id == P_DELIVER_SM, message = deliver || p->id == P_SUBMIT_SM ||
							p->id == P_DATA_SM ||
							p->id == P_SUBMIT_MULTI;
	if (message || p->id == P_QUERY_SM || p->id == P_CANCEL_SM) {
		p->src_ton = (uint8_t)(sim_rng_next(r) % 7);
		p->src_npi = npi[sim_rng_next(r) % sizeof(npi)];
		p->src = some_text(r, &b[0], 20, false);
	}
	if ((message && p->id != P_SUBMIT_MULTI) || p->id == P_CANCEL_SM) {
		p->dst_ton = (uint8_t)(sim_rng_next(r) % 7);
		p->dst_npi = npi[sim_rng_next(r) % sizeof(npi)];
		p->dst = some_text(r, &b[1], 20, true);
	}
	if (message) {
		p->service_type = some_text(r, &b[2], 5, false);
		p->esm_class = (uint8_t)sim_rng_next(r);
		p->registered = (uint8_t)sim_rng_next(r);
		p->coding = (uint8_t)sim_rng_next(r);
	}
	if (message && p->id != P_DATA_SM) {
		p->protocol_id = (uint8_t)sim_rng_next(r);
		p->priority = (uint8_t)sim_rng_next(r);
		p->replace = (uint8_t)sim_rng_next(r);
		p->default_id = (uint8_t)sim_rng_next(r);
		p->text = some_text(r, &b[3], 253, false);
		if (!deliver && sim_rng_hit(r, 0.5))
			p->validity = STR("000002000000000R");
		if (!deliver && sim_rng_hit(r, 0.5))
			p->schedule = STR("261122093000012+");
	}
	if (p->id == P_SUBMIT_MULTI) {
		p->dest_n = (uint8_t)(1 + sim_rng_next(r) % 5);
		for (unsigned i = 0; i < p->dest_n; i++)
			p->dest[i] = (struct sim_dest){ (uint8_t)(sim_rng_next(r) % 7),
				npi[sim_rng_next(r) % sizeof(npi)], false,
				some_text(r, &d[i], 20, true) };
	}
	if (p->id == P_BIND_TRX || p->id == P_BIND_TX || p->id == P_BIND_RX) {
		p->system_id = some_text(r, &b[4], 15, false);
		p->password = some_text(r, &b[5], 8, false);
		p->system_type = some_text(r, &b[6], 12, false);
		p->version = 0x34;
		p->addr_ton = (uint8_t)(sim_rng_next(r) % 7);
		p->addr_npi = npi[sim_rng_next(r) % sizeof(npi)];
		p->range = some_text(r, &b[7], 40, false);
	}
	if (p->id == (P_RESP | P_SUBMIT_SM) || p->id == (P_RESP | P_DATA_SM) ||
		p->id == P_QUERY_SM || p->id == P_CANCEL_SM)
		p->message_id = some_text(r, &b[8], 64, false);
	if (p->id == (P_RESP | P_BIND_TRX))
		p->system_id = some_text(r, &b[9], 15, false);
	for (unsigned i = 0, n = (unsigned)(sim_rng_next(r) % 4); message && i < n; i++)
		sim_pdu_add(p, (uint16_t)(0x1400 + sim_rng_next(r) % 0x1000),
			some_text(r, &b[10 + i], 60, false));
	if (message && sim_rng_hit(r, 0.3))
		sim_pdu_add(p, T_USER_REF, STR("\x12\x34"));
}

struct codecs_conf {
	uint64_t count, seed;
};
static const struct sim_opt codecs_opts[] = {
	{ OPT_U64, "count", "N", "PDUs (100000)", offsetof(struct codecs_conf, count) },
	{ OPT_U64, "seed", "N", "of the chances (1)", offsetof(struct codecs_conf, seed) },
	{ .name = NULL },
};

int sim_codecs_main(int argc, char **argv)
{
	struct codecs_conf c = { 100000, 1 };
	struct err e = { 0 };
	struct buf a = BUF_INIT, b = BUF_INIT;
	static struct sim_pdu p, back;
	uint64_t differ = 0;
	struct sim_rng rng;
	int r = sim_opt_parse(codecs_opts, "codecs [options]: our quick codec against libsmpp34",
		&c, argc, argv, &e);
	if (r) {
		if (r < 0)
			sim_say("codecs: %s", e.text);
		return r < 0 ? SIM_USAGE : SIM_OK;
	}
	sim_rng_seed(&rng, c.seed);
	for (uint64_t i = 0; i < c.count; i++) {
		some_pdu(&rng, &p);
		buf_reset(&a);
		buf_reset(&b);
		sim_codec_fast.encode(&a, &p);
		sim_codec_lib.encode(&b, &p);
		bool same = str_eq(buf_view(&a), buf_view(&b));
		sim_codec_lib.decode(&back, (const uint8_t *)a.p, a.n);
		if (!same || sim_pdu_differ(&p, &back)) {
			if (differ++ < 5)
				sim_say("codecs: a %s (number %llu of seed %llu) differs",
					sim_command_name(p.id), (unsigned long long)i,
					(unsigned long long)c.seed);
		}
	}
	buf_free(&a);
	buf_free(&b);
	printf("{\"pdus\":%llu,\"lib_encoded\":%llu,\"lib_decoded\":%llu,\"lib_left\":%llu,"
	       "\"differ\":%llu}\n",
		(unsigned long long)c.count, (unsigned long long)sim_lib_encoded,
		(unsigned long long)sim_lib_decoded, (unsigned long long)sim_lib_left,
		(unsigned long long)(differ + sim_lib_disagreed));
	return differ + sim_lib_disagreed ? SIM_FAILED : SIM_OK;
}
