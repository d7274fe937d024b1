/* The settings of an SMTP channel: words, checks, rows. Pure; any thread. */
#include "gateway/base/stream.h"
#include "protocols/smtp/client.h"

static const struct conf_word tls_words[] = {
	{ "none", RELAY_TLS_NONE, "never" },
	{ "may", RELAY_TLS_MAY,
		"STARTTLS where it is offered; the certificate is not checked "
		"unless verify = true" },
	{ "must", RELAY_TLS_MUST, "STARTTLS or nothing" },
	{ "implicit", RELAY_TLS_IMPLICIT, "TLS from the first octet (port 465)" },
	{ NULL },
};
static const struct conf_word auth_words[] = {
	{ "auto", RELAY_AUTH_AUTO, "the best of SCRAM-SHA-256, PLAIN, LOGIN that is offered" },
	{ "plain", RELAY_AUTH_PLAIN },
	{ "login", RELAY_AUTH_LOGIN },
	{ "scram-sha-256", RELAY_AUTH_SCRAM },
	{ "xoauth2", RELAY_AUTH_XOAUTH2, "the password is an access token" },
	{ NULL },
};
static const struct conf_word sts_words[] = {
	{ "off", STS_NONE, "policies are not asked for" },
	{ "test", STS_TESTING, "what would be refused is logged and sent all the same" },
	{ "enforce", STS_ENFORCE, "policies that say so are held to" },
	{ NULL },
};
static const struct conf_word signed_words[] = {
	{ "convert", SIGNED_CONVERT, "made 7-bit like any other; its signature no longer holds" },
	{ "refuse", SIGNED_REFUSE, "not sent" },
	{ NULL },
};
static const struct conf_word chunking_words[] = {
	{ "off", CHUNKING_OFF, "always DATA" },
	{ "auto", CHUNKING_AUTO, "BDAT for binary content only, which DATA cannot carry" },
	{ "on", CHUNKING_ON, "BDAT wherever it is offered" },
	{ NULL },
};

bool relay_is_mx(const struct relay_conf *c)
{
	return str_is(str_of(c->link.host), "mx");
}

struct tls_conf relay_tls(const struct relay_link_conf *l)
{
	return (struct tls_conf){
		.verify = relay_verifies(l),
		.ca_file = l->tls.ca_file,
		.cert_file = l->tls.cert_file,
		.key_file = l->tls.key_file,
		.server_name = l->tls.server_name,
		.given = true,
	};
}

bool relay_verifies(const struct relay_link_conf *l)
{
	return l->tls.verify &&
	       (l->tls.mode != RELAY_TLS_MAY || conf_given(&l->tls.at, "verify") != NULL);
}

/* What goes into a command as one word. */
static int check_word(struct str s, struct err *e)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '<' || s.p[i] == '>')
			return err_set(e, ERR_CONF, "\"%.*s\" is not a host name or [address]",
				STR_ARG(s));
	return 0;
}

static void check_tls(
	const struct relay_link_conf *l, const struct conf_where *at, struct conf_faults *f)
{
	struct tls_conf tls = relay_tls(l);

	tls_check_client(&tls, at, f);
}

static void check_keys(
	const struct relay_conf *c, const struct conf_where *at, struct conf_faults *f)
{
	struct err e;
	struct dkim_signer *signer = c->dkim_n ? dkim_signer_new(c->dkim, c->dkim_n, &e) : NULL;

	if (signer)
		dkim_signer_free(&signer);
	else if (c->dkim_n)
		conf_fault_at(f, at, "dkim", "%s", e.text);
}

static void check_relay(const void *v, const struct conf_where *at, struct conf_faults *f)
{
	const struct relay_conf *c = v;
	const struct relay_link_conf *l = &c->link;

	if (c->reconnect_first > c->reconnect_most)
		conf_fault_at(f, at, "reconnect_first", "is longer than reconnect_most");
	if (c->refused_first > c->refused_most)
		conf_fault_at(f, at, "refused_first", "is longer than refused_most");
	if (l->tls.key_file && !l->tls.cert_file)
		conf_fault_at(f, at, "tls", "has key_file without cert_file");
	else if (l->tls.mode != RELAY_TLS_NONE)
		check_tls(l, at, f);
	check_keys(c, at, f);
	if (!l->tls.verify && l->tls.mode > RELAY_TLS_MAY)
		conf_warn_at(f, at, "tls", "verify = false: anyone can be this server");
	if (c->dane && !(c->dns.trust_anchor && c->dns.trust_anchor[0]))
		conf_fault_at(
			f, at, "dane", "needs dns.trust_anchor: without DNSSEC TLSA says nothing");
	if ((c->dane || c->mta_sts) && l->tls.mode == RELAY_TLS_NONE)
		conf_fault_at(f, at, "tls", "mode = \"none\" cannot be with dane or mta_sts");
	if (relay_is_mx(c) && l->tls.server_name && l->tls.server_name[0])
		conf_fault_at(f, at, "tls", "server_name makes no sense with host = \"mx\"");
	if (relay_is_mx(c) && (l->user[0] || l->backup_n))
		conf_fault_at(f, at, l->user[0] ? "user" : "backup",
			"makes no sense with host = \"mx\": each domain has its own servers");
	if (l->user[0] && (!l->password || !l->password[0]))
		conf_fault_at(f, at, "user", "needs a password");
	if (!l->user[0] && l->password && l->password[0])
		conf_fault_at(f, at, "password", "needs a user");
	if (l->user[0] && l->tls.mode == RELAY_TLS_NONE && l->auth != RELAY_AUTH_SCRAM &&
		!addr_listen_is_loopback(str_of(l->host)))
		conf_warn_at(f, at, "tls", "mode = \"none\": the password goes in clear");
}

/* clang-format off */
#define T struct relay_tls_conf
static const struct conf_item tls_rows[] = {
	CONF_WHERE(T, at),
	CONF_ENUM(T, mode, tls_words, RELAY_TLS_MAY, "When to use TLS."),
	CONF_BOOL(T, verify, true,
		"Check the server's certificate and name; with mode = \"may\" only when given."),
	CONF_FILE(T, ca_file, ca_hash, "Authorities to trust (PEM); not given: the system's."),
	CONF_FILE(T, cert_file, cert_hash, "Our certificate (PEM), if it asks for one."),
	CONF_FILE(T, key_file, key_hash, "Its private key."),
	CONF_STR(T, server_name, NULL, "Name to check and send; not given: the host's."),
	CONF_END
};
#undef T

#define L struct relay_link_conf
const struct conf_item relay_link_rows[] = {
	CONF_STR(L, host, NULL,
		"The server that mail is handed to: a name or an address; \"mx\": those of each "
		"recipient's domain.",
		.flags = CONF_REQUIRED, .min = 1, .max = 200, .example = "smtp.example.net"),
	CONF_INT(L, port, 0, 65535, 0, "Its port; 0: 25, with implicit TLS 465."),
	CONF_STRS(L, backup, backup_n,
		"Further hosts (\"host\" or \"host:port\"), tried in turn when one does not answer.",
		.check = addr_far_check),
	CONF_STR(L, source, "", "Address of ours to connect from.", .check = addr_own_check),
	CONF_STR(L, helo, "", "Our name in EHLO; \"\": mail.hostname.", .check = check_word,
		.max = 255),
	CONF_GROUP(L, tls, tls_rows, "TLS."),
	CONF_STR(L, user, "", "Our name there; \"\": no AUTH.", .max = SASL_NAME_MOST),
	CONF_SECRET(L, password, "Our password there, or access token.", .max = 8000),
	CONF_ENUM(L, auth, auth_words, RELAY_AUTH_AUTO, "How to log in."),
	CONF_END
};
#undef L

#define T struct relay_timeouts
static const struct conf_item timeout_rows[] = {
	CONF_DURATION(T, connect, "100ms", "5m", "30s",
		"Connecting, and then the TLS handshake."),
	CONF_DURATION(T, greeting, "100ms", "1h", "5m", "The greeting."),
	CONF_DURATION(T, helo, "100ms", "1h", "5m", "Answers to EHLO, STARTTLS and AUTH."),
	CONF_DURATION(T, mail, "100ms", "1h", "5m", "The answer to MAIL."),
	CONF_DURATION(T, rcpt, "100ms", "1h", "5m", "The answer to RCPT."),
	CONF_DURATION(T, data, "100ms", "1h", "2m", "The answer to DATA."),
	CONF_DURATION(T, block, "100ms", "1h", "3m", "Taking a block of content."),
	CONF_DURATION(T, done, "100ms", "1h", "10m",
		"The answer to a mail; then its outcome is uncertain."),
	CONF_END
};
#undef T

#define S struct relay_conf
const struct conf_item relay_rows[] = {
	CONF_WHERE(S, at), CONF_INLINE(S, link, relay_link_rows),
	CONF_GROUP(S, timeouts, timeout_rows, "How long each step may take (RFC 5321 4.5.3.2)."),
	CONF_DURATION(S, idle, "0s", "1h", "30s",
		"How long a connection is kept without a mail."),
	CONF_INT(S, messages, 0, 1000000, 1000, "Mails over one connection; 0: no limit.",
		.as = "messages_per_connection", .unit = "messages"),
	CONF_BOOL(S, pipelining, true, "Use PIPELINING where it is offered."),
	CONF_ENUM(S, chunking, chunking_words, CHUNKING_AUTO, "Use BDAT instead of DATA?"),
	CONF_SIZE(S, chunk, "1KiB", "1MiB", "256KiB", "Largest chunk of a BDAT.",
		.as = "chunk_most"),
	CONF_ENUM(S, signed_8bit, signed_words, SIGNED_CONVERT,
		"What becomes of 8-bit mail that its sender signed (DKIM), for a server without "
		"8BITMIME."),
	CONF_DURATION(S, reconnect_first, "10ms", "1h", "1s",
		"First wait before connecting again after a connection failed; it doubles."),
	CONF_DURATION(S, reconnect_most, "10ms", "1d", "1m", "Longest of these waits."),
	CONF_DURATION(S, refused_first, "10ms", "1h", "5s",
		"First wait after the server refused us; it doubles."),
	CONF_DURATION(S, refused_most, "10ms", "1d", "5m", "Longest of these waits."),
	CONF_LIST(S, dkim, dkim_n, dkim_rows, "Keys that sign the mails (RFC 6376)."),
	CONF_INT(S, domain_connections, 1, 1000, 5,
		"With host = \"mx\": connections to one domain at a time; `connections`, 100 when "
		"not given, are for all."),
	CONF_REAL(S, domain_rate, 0, 1e6, 0, "With host = \"mx\": mails to one domain; 0: no limit.",
		.unit = "messages/s"),
	CONF_ENUM(S, mta_sts, sts_words, STS_NONE, "With host = \"mx\": MTA-STS (RFC 8461)."),
	CONF_STR(S, mta_sts_endpoint, "",
		"Base URL of policies instead of each domain's own; \"/DOMAIN\" is added. For trying "
		"out."),
	CONF_BOOL(S, dane, false,
		"With host = \"mx\": TLSA records say which certificates are right (RFC 7672). Needs "
		"dns.trust_anchor."),
	CONF_GROUP(S, dns, dns_rows, "With host = \"mx\": how names are looked up."),
	CONF_CHECK(S, check_relay),
	CONF_END
};
#undef S
/* clang-format on */
