/* The sink's counts as JSON, and its control socket. */
#include "tests/sim/smtp.h"

void sink_stats_json(struct sink *k, struct buf *b)
{
	const struct sink_stats *s = &k->stats;
	uint64_t cpu = sim_cpu(),
		 took = s->last_mail > s->first_mail ? s->last_mail - s->first_mail : 0;
	buf_char(b, '{');
	sim_json_n(b, "mails", s->mails);
	sim_json_n(b, "recipients", s->recipients);
	sim_json_n(b, "recipients_refused", s->recipients_refused);
	sim_json_n(b, "mails_refused", s->mails_refused);
	sim_json_n(b, "unanswered", s->unanswered);
	sim_json_n(b, "greylisted", s->greylisted);
	sim_json_n(b, "throttled", s->throttled);
	sim_json_n(b, "drops", s->drops);
	sim_json_n(b, "octets", s->octets);
	sim_json_n(b, "bare", s->bare);
	sim_json_n(b, "connections", s->connections);
	sim_json_n(b, "connected", k->open);
	sim_json_n(b, "most_connected", s->most_connected);
	sim_json_n(b, "refused_connections", s->refused_connections);
	sim_json_n(b, "tls", s->tls);
	sim_json_n(b, "tls_failed", s->tls_failed);
	sim_json_n(b, "plaintext_after_starttls", s->plaintext_after_starttls);
	sim_json_n(b, "auths", s->auths);
	sim_json_n(b, "auths_failed", s->auths_failed);
	sim_json_n(b, "commands", s->commands);
	sim_json_n(b, "chunks", s->chunks);
	sim_json_n(b, "resets", s->resets);
	sim_json_n(b, "unknown", s->unknown);
	buf_c(b, ",\"status\":{");
	for (unsigned i = 0; i < s->statuses; i++)
		buf_printf(b, "%s\"%u\":%llu", i ? "," : "", s->status[i].code,
			(unsigned long long)s->status[i].n);
	buf_printf(b, "},\"rate\":%.0f,\"cpu_s\":%.3f,\"cpu_us\":%.2f}",
		took ? (double)(s->mails - 1) * 1e9 / (double)took : 0, (double)cpu / 1e9,
		s->mails ? (double)cpu / 1e3 / (double)s->mails : 0);
}

static void control_stats(void *of, struct buf *out)
{
	struct sink *k = of;
	if (k->record) /* who asks looks into it next */
		fflush(k->record);
	sink_stats_json(k, out);
}

static void control_drop(void *of)
{
	sink_drop(of);
}

static const struct sim_control_ops control_ops = { .opts = sink_opts,
	.stats = control_stats,
	.drop = control_drop,
	.commands = "stats, set OPTION VALUE, drop, quit" };

int sink_control_start(struct sink *k, struct err *e)
{
	return sim_control_start(
		&k->control, &k->loop, k->conf.control, &control_ops, k, &k->conf, e);
}
