/* The SMSC's counts as JSON, and its control socket, which also takes mo from=…,to=…,… */
#include "tests/sim/smsc.h"

#include <string.h>

static double per_second(uint64_t n, uint64_t from, uint64_t to)
{
	return to > from ? (double)n * 1e9 / (double)(to - from) : 0;
}

void smsc_stats_json(struct smsc *m, struct buf *b)
{
	const struct smsc_stats *s = &m->stats;
	uint64_t waiting = 0, binds = 0, cpu = sim_cpu();
	for (unsigned i = 0; i < m->accounts; i++) {
		waiting += m->account[i].waiting;
		binds += m->account[i].binds;
	}
	buf_char(b, '{');
	sim_json_n(b, "connections", s->connections);
	sim_json_n(b, "connected", m->loop.conns);
	sim_json_n(b, "bound", binds);
	sim_json_n(b, "binds", s->binds);
	sim_json_n(b, "bind_refused", s->bind_refused);
	sim_json_n(b, "unbinds", s->unbinds);
	sim_json_n(b, "submits", s->submits);
	sim_json_n(b, "accepted", s->accepted);
	sim_json_n(b, "refused", s->refused);
	sim_json_n(b, "throttled", s->throttled);
	sim_json_n(b, "muted", s->muted);
	sim_json_n(b, "drops", s->drops);
	sim_json_n(b, "bad_pdus", s->bad_pdus);
	sim_json_n(b, "nacks", s->nacks);
	sim_json_n(b, "enquires", s->enquires);
	sim_json_n(b, "receipts_made", s->receipts_made);
	sim_json_n(b, "receipts_sent", s->receipts_sent);
	sim_json_n(b, "receipts_acked", s->receipts_acked);
	sim_json_n(b, "receipts_refused", s->receipts_refused);
	sim_json_n(b, "receipts_again", s->receipts_again);
	sim_json_n(b, "waiting", waiting);
	sim_json_n(b, "pending", m->parcel_used);
	sim_json_n(b, "mo_sent", s->mo_sent);
	sim_json_n(b, "mo_acked", s->mo_acked);
	buf_c(b, ",\"status\":{");
	for (unsigned i = 0; i < s->statuses; i++)
		buf_printf(b, "%s\"0x%02x\":%llu", i ? "," : "", s->status[i].status,
			(unsigned long long)s->status[i].n);
	buf_c(b, "},\"receipts\":{");
	for (unsigned i = 1; i < STATE_COUNT; i++)
		if (s->by_state[i])
			sim_json_n(b, smsc_state_word[i], s->by_state[i]);
	buf_printf(b, "},\"submit_rate\":%.0f,\"receipt_rate\":%.0f,\"cpu_s\":%.3f,\"cpu_us\":%.2f",
		per_second(s->submits, s->first_submit, s->last_submit),
		per_second(s->receipts_sent, s->first_receipt, s->last_receipt), (double)cpu / 1e9,
		s->submits ? (double)cpu / 1e3 / (double)s->submits : 0);
	if (m->codec == &sim_codec_lib)
		buf_printf(b,
			",\"lib\":{\"decoded\":%llu,\"encoded\":%llu,\"left\":%llu,\"disagreed\":%"
			"llu}",
			(unsigned long long)sim_lib_decoded, (unsigned long long)sim_lib_encoded,
			(unsigned long long)sim_lib_left, (unsigned long long)sim_lib_disagreed);
	buf_char(b, '}');
}

static void control_stats(void *of, struct buf *out)
{
	smsc_stats_json(of, out);
}

static void control_drop(void *of)
{
	smsc_drop(of);
}

static int control_more(void *of, struct str verb, struct str rest, struct err *e)
{
	struct smsc *m = of;
	return str_is(verb, "mo") ? smsc_mo_parse(&m->conf, rest, e) : 1;
}

static const struct sim_control_ops control_ops = { .opts = smsc_opts,
	.stats = control_stats,
	.drop = control_drop,
	.more = control_more,
	.commands = "stats, set OPTION VALUE, drop, mo …, quit" };

int smsc_control_start(struct smsc *m, struct err *e)
{
	return sim_control_start(
		&m->control, &m->loop, m->conf.control, &control_ops, m, &m->conf, e);
}
