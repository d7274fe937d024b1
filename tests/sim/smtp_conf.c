/* The options of posternsim smtp: one row each, which is also its line in --help. */
#include "tests/sim/smtp.h"

const char *const sink_stage_word[AT_COUNT] = { "connect", "ehlo", "auth", "mail", "rcpt", "data",
	"content", "dot", "reply" };

static const struct {
	const char *word;
	enum sink_ext bit;
} extensions[] = { { "pipelining", EXT_PIPELINING }, { "size", EXT_SIZE },
	{ "8bitmime", EXT_8BITMIME }, { "smtputf8", EXT_SMTPUTF8 }, { "dsn", EXT_DSN },
	{ "chunking", EXT_CHUNKING }, { "enhancedstatuscodes", EXT_STATUS },
	{ "starttls", EXT_STARTTLS }, { "all", EXT_ALL } };

static int conf_listen(void *conf, struct str v, struct err *e)
{
	return sim_addr_parse(&((struct sink_conf *)conf)->listen, v, e);
}

static int conf_account(void *conf, struct str v, struct err *e)
{
	struct sink_conf *c = conf;
	struct str user;
	if (c->logins == SINK_ACCOUNTS)
		return err_set(e, ERR_CONF, "more than %d accounts", SINK_ACCOUNTS);
	if (!str_cut(&v, ':', &user) || !user.n || user.n > 255 || !v.n || v.n > 255)
		return err_set(e, ERR_CONF, "wants USER:PASSWORD");
	c->login[c->logins].user = user;
	c->login[c->logins++].password = v;
	return 0;
}

static int conf_without(void *conf, struct str v, struct err *e)
{
	struct sink_conf *c = conf;
	struct str word;
	c->without = 0;
	if (str_is(v, "none"))
		return 0;
	while (str_cut(&v, ',', &word)) {
		size_t i = 0, n = sizeof(extensions) / sizeof(extensions[0]);
		while (i < n && !str_ieq(word, str_of(extensions[i].word)))
			i++;
		if (i == n)
			return err_set(
				e, ERR_CONF, "\"%.*s\" is no extension known here", STR_ARG(word));
		c->without |= extensions[i].bit;
	}
	return 0;
}

static int conf_tls(void *conf, struct str v, struct err *e)
{
	struct sink_conf *c = conf;
	if (str_is(v, "may"))
		c->tls = SINK_MAY;
	else if (str_is(v, "must"))
		c->tls = SINK_MUST;
	else if (str_is(v, "implicit"))
		c->tls = SINK_IMPLICIT;
	else
		return err_set(e, ERR_CONF, "wants may, must or implicit");
	return 0;
}

static int read_reply(struct str v, struct sink_rule *r, struct err *e)
{
	uint64_t code;
	if (v.n < 3 || !str_u64(str_n(v.p, 3), &code) || code < 200 || code > 599 ||
		(v.n > 3 && v.p[3] != ' '))
		return err_set(
			e, ERR_CONF, "\"%.*s\" is no reply, such as 451 4.3.0 Later", STR_ARG(v));
	r->reply = v;
	return 0;
}

/* STAGE:SHARE, and what follows another colon */
static int read_stage(struct str *v, struct sink_rule *r, struct err *e)
{
	struct str word, share;
	int stage = 0;
	if (!str_cut(v, ':', &word) || !str_cut(v, ':', &share) || sim_opt_share(share, &r->p) < 0)
		return err_set(e, ERR_CONF, "wants STAGE:SHARE");
	while (stage < AT_COUNT && !str_is(word, sink_stage_word[stage]))
		stage++;
	if (stage == AT_COUNT)
		return err_set(e, ERR_CONF,
			"\"%.*s\" is no stage: connect ehlo auth mail rcpt data content dot reply",
			STR_ARG(word));
	r->stage = (enum sink_stage)stage;
	r->times = UINT64_MAX;
	return 0;
}

static int rule_add(struct sink_rule *rules, unsigned *n, const struct sink_rule *r, struct err *e)
{
	if (*n == SINK_RULES)
		return err_set(e, ERR_CONF, "more than %d", SINK_RULES);
	rules[(*n)++] = *r;
	return 0;
}

static int conf_error(void *conf, struct str v, struct err *e)
{
	struct sink_conf *c = conf;
	struct sink_rule r = { 0 };
	if (str_is(v, "none")) {
		c->errors = 0;
		return 0;
	}
	if (read_stage(&v, &r, e) < 0 || read_reply(v, &r, e) < 0)
		return -1;
	if (r.stage == AT_CONTENT || r.stage == AT_REPLY)
		return err_set(e, ERR_CONF, "nothing can be said there");
	return rule_add(c->error, &c->errors, &r, e);
}

static int conf_drop(void *conf, struct str v, struct err *e)
{
	struct sink_conf *c = conf;
	struct sink_rule r = { 0 };
	if (str_is(v, "none")) {
		c->drops = 0;
		return 0;
	}
	if (read_stage(&v, &r, e) < 0)
		return -1;
	if (v.n && (!str_u64(v, &r.times) || !r.times))
		return err_set(e, ERR_CONF, "\"%.*s\" is no number of times", STR_ARG(v));
	return rule_add(c->drop, &c->drops, &r, e);
}

/* PATTERN:[TIMES:]REPLY; a reply has a space behind its code, a number of times a colon */
static int read_for(struct str v, struct sink_rule *r, struct err *e)
{
	struct str rest, times;
	if (!str_cut(&v, ':', &r->pattern))
		return err_set(e, ERR_CONF, "wants PATTERN:REPLY or PATTERN:TIMES:REPLY");
	rest = v;
	r->times = UINT64_MAX;
	if (str_cut(&rest, ':', &times) && rest.n && str_u64(times, &r->times))
		v = rest;
	return read_reply(v, r, e);
}

static int conf_error_to(void *conf, struct str v, struct err *e)
{
	struct sink_conf *c = conf;
	struct sink_rule r = { 0 };
	if (str_is(v, "none")) {
		c->errors_to = 0;
		return 0;
	}
	return read_for(v, &r, e) < 0 ? -1 : rule_add(c->error_to, &c->errors_to, &r, e);
}

static int conf_refuse_to(void *conf, struct str v, struct err *e)
{
	struct sink_conf *c = conf;
	struct sink_rule r = { 0 };
	if (str_is(v, "none")) {
		c->refuses_to = 0;
		return 0;
	}
	return read_for(v, &r, e) < 0 ? -1 : rule_add(c->refuse_to, &c->refuses_to, &r, e);
}

#define AT(field) offsetof(struct sink_conf, field)
const struct sim_opt sink_opts[] = {
	{ OPT_GROUP, "Being connected to" },
	{ OPT_CALL, "listen", "ADDRESS:PORT", "where (127.0.0.1:2526; port 0: any)",
		.call = conf_listen },
	{ OPT_STR, "port-file", "FILE", "write the port there", AT(port_file) },
	{ OPT_STR, "hostname", "NAME", "our name in the greeting", AT(hostname) },
	{ OPT_STR, "tls-cert", "FILE", "offer STARTTLS, with this chain", AT(tls_cert) },
	{ OPT_STR, "tls-key", "FILE", "its key, if not in the same file", AT(tls_key) },
	{ OPT_CALL, "tls", "MODE", "may (default), must, or implicit", .call = conf_tls },
	{ OPT_CALL, "account", "USER:PASSWORD", "take mail of this login only (repeatable)",
		.call = conf_account },
	{ OPT_STR, "auth", "MECH,..", "PLAIN,LOGIN,XOAUTH2,SCRAM-SHA-256 (all)", AT(auth) },
	{ OPT_CALL, "without", "EXT,..", "do not offer these extensions (\"all\": HELO's time)",
		.call = conf_without, .live = true },
	{ OPT_U64, "size-most", "OCTETS", "of a mail (64 MiB)", AT(size_most), .live = true },
	{ OPT_U64, "connections", "N", "at a time; more get 421", AT(connections), .live = true },
	{ OPT_U64, "messages", "N", "in a connection; then 421", AT(messages), .live = true },
	{ OPT_DUR, "inactivity", "TIME", "421 to a client that is silent that long (5m)",
		AT(inactivity), .live = true },
	{ OPT_GROUP, "Answers" },
	{ OPT_SPAN, "latency", "RANGE", "time until the answer to a mail", AT(latency),
		.live = true },
	{ OPT_SPAN, "reply-latency", "RANGE", "time until any other", AT(reply_latency),
		.live = true },
	{ OPT_SHARE, "slow", "SHARE", "a share of the mails is answered later still", AT(slow),
		.live = true },
	{ OPT_SPAN, "slow-by", "RANGE", "by that much (10s)", AT(slow_by), .live = true },
	{ OPT_CALL, "error", "STAGE:SHARE:REPLY",
		"at connect ehlo auth mail rcpt data dot, such as rcpt:1%:550 5.1.1 Unknown",
		.call = conf_error, .live = true },
	{ OPT_CALL, "error-to", "PATTERN:[N:]REPLY", "recipients get that (the first N times)",
		.call = conf_error_to, .live = true },
	{ OPT_CALL, "refuse-to", "PATTERN:[N:]REPLY", "the same, but only after the content",
		.call = conf_refuse_to, .live = true },
	{ OPT_DUR, "greylist", "TIME", "451 4.7.1 until that long after the first attempt",
		AT(greylist), .live = true },
	{ OPT_F64, "throttle", "N/s", "451 4.7.0 to mails above that rate", AT(throttle),
		.live = true },
	{ OPT_CALL, "drop", "STAGE:SHARE[:N]",
		"drop connections at connect ehlo auth mail rcpt data content dot reply",
		.call = conf_drop, .live = true },
	{ OPT_DUR, "drop-every", "TIME", "drop all connections that often", AT(drop_every),
		.live = true },
	{ OPT_GROUP, "Watching" },
	{ OPT_STR, "record", "FILE", "a line per recipient: envelope, digest", AT(record) },
	{ OPT_STR, "keep", "DIR", "each mail as DIR/NUMBER.eml", AT(keep) },
	{ OPT_FLAG, "stats-json", NULL, "print the counts on stdout at the end", AT(stats_json) },
	{ OPT_STR, "stats-file", "FILE", "write them to FILE at the end", AT(stats_file) },
	{ OPT_STR, "control", "SOCKET", "take commands (posternsim control SOCKET ..)",
		AT(control) },
	{ OPT_FLAG, "quiet", NULL, "no line about where it listens", AT(quiet) },
	{ OPT_GROUP, "Ending" },
	{ OPT_DUR, "run-for", "TIME", "end after that", AT(run_for) },
	{ OPT_U64, "stop-after", "N", "end after N mails", AT(stop_after) },
	{ OPT_U64, "seed", "N", "of the chances above (1)", AT(seed) },
	{ .name = NULL },
};

void sink_conf_init(struct sink_conf *c)
{
	*c = (struct sink_conf){ .hostname = STR("sink.example"),
		.auth = STR("PLAIN,LOGIN,XOAUTH2,SCRAM-SHA-256"),
		.size_most = 64 << 20,
		.inactivity = 300 * SIM_S,
		.slow_by = { 10 * SIM_S, 10 * SIM_S },
		.seed = 1,
		.listen = { "127.0.0.1", "2526" } };
}
