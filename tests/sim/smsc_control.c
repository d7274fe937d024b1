/* The SMSC's control socket: a line in, a line out; and its counts as JSON.
 *   stats | set OPTION VALUE | drop | mo from=…,to=…,… | quit
 */
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

static void control_line(void *of, struct str line, struct buf *out)
{
	struct smsc *m = of;
	struct str verb;
	struct err e = { 0 };
	int r = 0;
	str_cut(&line, ' ', &verb);
	line = str_trim(line);
	if (str_is(verb, "stats")) {
		smsc_stats_json(m, out);
		buf_char(out, '\n');
		return;
	}
	if (str_is(verb, "set")) {
		struct str name, kept;
		str_cut(&line, ' ', &name);
		line = str_trim(line);
		kept = arena_str(m->kept, line); /* options may keep a slice of it */
		r = sim_opt_set(smsc_opts, &m->conf, name, kept, &e);
	} else if (str_is(verb, "drop")) {
		smsc_drop(m);
	} else if (str_is(verb, "mo")) {
		r = smsc_mo_parse(&m->conf, line, &e);
	} else if (str_is(verb, "quit")) {
		m->loop.stop = true;
	} else {
		r = err_set(&e, ERR_INPUT, "commands: stats, set OPTION VALUE, drop, mo …, quit");
	}
	buf_printf(out, "%s%s\n", r < 0 ? "error: " : "ok", r < 0 ? e.text : "");
}

int smsc_control_start(struct smsc *m, struct err *e)
{
	m->kept = arena_new();
	return sim_control_start(&m->control, &m->loop, m->conf.control, control_line, m, e);
}
