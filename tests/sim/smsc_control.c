/* The SMSC's control socket: a line in, a line out; and its counts as JSON.
 *   stats | set OPTION VALUE | drop | mo from=…,to=…,… | quit
 */
#include "tests/sim/smsc.h"

#include <string.h>

static void json_n(struct buf *b, const char *name, uint64_t v)
{
	buf_printf(
		b, "%s\"%s\":%llu", b->p[b->n - 1] == '{' ? "" : ",", name, (unsigned long long)v);
}

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
	json_n(b, "connections", s->connections);
	json_n(b, "connected", m->loop.conns);
	json_n(b, "bound", binds);
	json_n(b, "binds", s->binds);
	json_n(b, "bind_refused", s->bind_refused);
	json_n(b, "unbinds", s->unbinds);
	json_n(b, "submits", s->submits);
	json_n(b, "accepted", s->accepted);
	json_n(b, "refused", s->refused);
	json_n(b, "throttled", s->throttled);
	json_n(b, "muted", s->muted);
	json_n(b, "drops", s->drops);
	json_n(b, "bad_pdus", s->bad_pdus);
	json_n(b, "nacks", s->nacks);
	json_n(b, "enquires", s->enquires);
	json_n(b, "receipts_made", s->receipts_made);
	json_n(b, "receipts_sent", s->receipts_sent);
	json_n(b, "receipts_acked", s->receipts_acked);
	json_n(b, "receipts_refused", s->receipts_refused);
	json_n(b, "receipts_again", s->receipts_again);
	json_n(b, "waiting", waiting);
	json_n(b, "pending", m->parcel_used);
	json_n(b, "mo_sent", s->mo_sent);
	json_n(b, "mo_acked", s->mo_acked);
	buf_c(b, ",\"status\":{");
	for (unsigned i = 0; i < s->statuses; i++)
		buf_printf(b, "%s\"0x%02x\":%llu", i ? "," : "", s->status[i].status,
			(unsigned long long)s->status[i].n);
	buf_c(b, "},\"receipts\":{");
	for (unsigned i = 1; i < STATE_COUNT; i++)
		if (s->by_state[i])
			json_n(b, smsc_state_word[i], s->by_state[i]);
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

static void control_line(struct smsc *m, struct str line, struct buf *out)
{
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

static size_t control_data(struct sim_conn *c, const char *p, size_t n)
{
	size_t took = 0;
	const char *nl;
	while ((nl = memchr(p + took, '\n', n - took))) {
		control_line(c->of, str_trim(str_n(p + took, (size_t)(nl - p) - took)), &c->out);
		took = (size_t)(nl - p) + 1;
	}
	sim_conn_dirty(c);
	return took;
}

static void control_closed(struct sim_conn *c, const char *why) {}

static const struct sim_conn_ops control_ops = { NULL, control_data, control_closed };

static void control_accepted(struct sim_listener *l, int fd)
{
	struct smsc *m = l->of;
	sim_conn_new(&m->loop, fd, &control_ops, m, NULL);
}

int smsc_control_start(struct smsc *m, struct err *e)
{
	m->kept = arena_new();
	m->control.of = m;
	m->control.accepted = control_accepted;
	return sim_listen_unix(&m->loop, &m->control, m->conf.control.p, e);
}
