/* The listening socket, its accounts and their settings, and the ends of it all. See smtpd.h. */
#include "gateway/base/mem.h"
#include "gateway/model/address.h"
#include "protocols/smtp/smtpd.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DESCRIBED_MOST = 200, NOTES_AT_ONCE = 16 };

/* All that are open, for what belongs to accounts, which all share. On the protocol's loop. */
static struct list servers = { &servers, &servers };

struct smtpd *smtpd_any(void)
{
	return list_first(&servers, struct smtpd, link);
}

/* ---- settings ---- */

static const struct conf_word subject_words[] = {
	{ "ignore", SMTPD_SUBJECT_IGNORE },
	{ "prefix", SMTPD_SUBJECT_PREFIX, "before the text, on a line of its own" },
	{ NULL },
};

static int check_mode(struct str s, struct err *e)
{
	return str_is(s, "none") || str_is(s, "may") || str_is(s, "must") || str_is(s, "implicit")
		       ? 0
		       : err_set(e, ERR_CONF, "\"%.*s\" is none of none, may, must, implicit",
				 STR_ARG(s));
}

static int check_address(struct str s, struct err *e)
{
	return s.n ? address_email(s, e) : 0;
}

static void check_account(const void *conf, const struct conf_where *at, struct conf_faults *f)
{
	const struct smtpd_account_conf *c = conf;
	struct scram_verifier v;

	if (!c->common.password && !c->trust_n)
		conf_fault_at(f, at, NULL, "needs password, password_file or trust");
	if (c->common.password && str_starts(str_of(c->common.password), STR("SCRAM-SHA-256$")) &&
		!scram_verifier_parse(str_of(c->common.password), &v))
		conf_fault_at(f, at, "password", "is not a SCRAM verifier that can be read");
}

static void check_gateway(const void *conf, const struct conf_where *at, struct conf_faults *f)
{
	const struct smtpd_gateway_conf *c = conf;
	enum media m;

	if (!media_parse(str_of(c->media), &m) || m == MEDIA_EMAIL || m >= MEDIA_RECEIPT)
		conf_fault_at(f, at, "media", "must be one of sms, push, viber, social");
}

static const struct conf_item account_specific_rows[] = { CONF_WHERE(struct smtpd_account_conf, at),
	CONF_STR(struct smtpd_account_conf, user, NULL, "Name of the account.",
		.flags = CONF_REQUIRED | CONF_UNIQUE, .max = 64),
	CONF_INLINE(struct smtpd_account_conf, common, account_rows),
	CONF_STRS(struct smtpd_account_conf, trust, trust_n,
		"Addresses and networks that submit as this account without AUTH.",
		.check = addr_net_check),
	CONF_BOOL(struct smtpd_account_conf, header_from, true,
		"The patterns of from hold for the header, too, not the envelope alone."),
	CONF_INT(struct smtpd_account_conf, sessions, 1, 100000, 1000,
		"SMTP sessions at a time (max_binds does not count here)."),
	CONF_CHECK(struct smtpd_account_conf, check_account), CONF_END };

static const struct conf_item tls_rows[] = {
	CONF_STR(struct tls_conf, mode, "may",
		"may: STARTTLS is offered; must: no login "
		"and no mail without it; implicit: TLS from the first "
		"octet; none.",
		.check = check_mode),
	CONF_FILE(struct tls_conf, cert_file, cert_hash, "Certificate chain (PEM).",
		.flags = CONF_REQUIRED),
	CONF_FILE(
		struct tls_conf, key_file, key_hash, "Private key (PEM).", .flags = CONF_REQUIRED),
	CONF_FILE(struct tls_conf, ca_file, ca_hash,
		"Clients must have a certificate that these authorities signed (PEM)."),
	CONF_END
};

static const struct conf_item gateway_rows[] = { CONF_WHERE(struct smtpd_gateway_conf, at),
	CONF_STR(struct smtpd_gateway_conf, domain, NULL,
		"Mails to NUMBER@ this become messages of the medium.",
		.flags = CONF_REQUIRED | CONF_UNIQUE, .max = 255),
	CONF_STR(struct smtpd_gateway_conf, media, "sms", "sms, push, viber or social."),
	CONF_STR(struct smtpd_gateway_conf, from, "",
		"Their sender; \"\": none, the channel's own is used.", .max = 36),
	CONF_ENUM(struct smtpd_gateway_conf, subject, subject_words, SMTPD_SUBJECT_IGNORE,
		"What becomes of the mail's subject."),
	CONF_STR(struct smtpd_gateway_conf, country, "",
		"Calling code of national numbers; \"\": the general one.", .max = 3),
	CONF_STR(struct smtpd_gateway_conf, trunk, "0", "What national numbers begin with.",
		.max = 3),
	CONF_INT(struct smtpd_gateway_conf, parts_most, 1, 255, 6,
		"Parts of a long message; a longer text is refused, never cut."),
	CONF_BOOL(struct smtpd_gateway_conf, signature, false,
		"Send what stands behind a line of \"-- \", too."),
	CONF_CHECK(struct smtpd_gateway_conf, check_gateway), CONF_END };

static void check_smtpd(const void *conf, const struct conf_where *at, struct conf_faults *f)
{
	const struct smtpd_conf *c = conf;
	bool found = false;

	for (size_t i = 0; i < c->accounts_n; i++)
		found |= strcmp(c->accounts[i].user, c->bounce_account) == 0;
	if (c->bounce_other[0] && !found)
		conf_fault_at(f, at, "bounce_other",
			"needs bounce_account, one of this listener's accounts");
	if (c->tls.given)
		tls_check_server(&c->tls, at, f);
	if (c->size_most < SMTPD_INLINE)
		conf_fault_at(f, at, "size_most", "must be 32KiB or more");
	if (addr_listen_is_loopback(str_of(c->listen)))
		return;
	if (c->accounts_n == 0)
		conf_fault_at(f, at, "listen",
			"without accounts it may listen on a loopback address only");
	if (!c->tls.given && !c->auth_in_clear)
		for (size_t i = 0; i < c->accounts_n; i++)
			if (c->accounts[i].common.password && !c->accounts[i].trust_n)
				conf_warn_at(f, &c->accounts[i].at, "password",
					"without tls AUTH is offered to loopback only");
	for (size_t i = 0; i < c->accounts_n; i++)
		if (c->accounts[i].common.password && !c->accounts[i].common.password[0])
			conf_fault_at(f, &c->accounts[i].at, "password",
				"is empty: such an account may listen on a loopback address only");
}

const struct conf_item smtpd_rows[] = { CONF_WHERE(struct smtpd_conf, at),
	CONF_STR(struct smtpd_conf, listen, "127.0.0.1:2525",
		"Address and port; \"*:587\" is every address of both families.",
		.check = addr_listen_check),
	CONF_GROUP_GIVEN(struct smtpd_conf, tls, tls.given, tls_rows, "TLS."),
	CONF_LIST(struct smtpd_conf, accounts, accounts_n, account_specific_rows,
		"Who may submit; nobody else may."),
	CONF_LIST(struct smtpd_conf, gateways, gateways_n, gateway_rows,
		"Domains whose mails become messages of other media."),
	CONF_INT(struct smtpd_conf, connections, 1, 1000000, 4000, "Connections at a time."),
	CONF_INT(struct smtpd_conf, per_address, 1, 1000000, 2000,
		"Of them, from one address (of IPv6: a /64)."),
	CONF_INT(struct smtpd_conf, recipients_most, 1, 100000, 1000, "Recipients of one mail."),
	CONF_INT(struct smtpd_conf, errors_most, 1, 100000, 20,
		"Refused commands after which a session ends."),
	CONF_INT(struct smtpd_conf, idle_commands_most, 1, 1000000, 100,
		"Commands between two mails (NOOP, RSET …) after which a session ends."),
	CONF_INT(struct smtpd_conf, hops_most, 1, 1000, 50,
		"Received lines beyond which a mail goes round in circles."),
	CONF_DURATION(struct smtpd_conf, greeting_pause, "0", "1m", "0",
		"Wait before the greeting; who speaks before it is refused."),
	CONF_DURATION(struct smtpd_conf, command_wait, "1s", "1h", "5m",
		"How long a whole command may take to come."),
	CONF_DURATION(struct smtpd_conf, data_wait, "1s", "1h", "3m",
		"Silence within a mail after which the session ends."),
	CONF_SIZE(struct smtpd_conf, size_most, "1KiB", "1GiB", "25MiB", "Size of a mail."),
	CONF_SIZE(struct smtpd_conf, rate_least, "0B", "1MiB", "100B",
		"Octets per second that a mail must come with on average, after data_wait."),
	CONF_SIZE(struct smtpd_conf, line_most, "78B", "1MiB", "998B",
		"Longest line of a mail, without its CRLF (RFC 5321 4.5.3.1.6)."),
	CONF_SIZE(struct smtpd_conf, report_most, "0B", "1MiB", "32KiB",
		"Mails up to this go back whole in a report whose submitter asked for that."),
	CONF_BOOL(struct smtpd_conf, auth_in_clear, false,
		"Offer AUTH without TLS to others than loopback, too."),
	CONF_STR(struct smtpd_conf, bounce_other, "",
		"Where mails to bounce addresses go that are no reports; \"\": nowhere.",
		.check = check_address),
	CONF_STR(struct smtpd_conf, bounce_account, "", "The account that submits those."),
	CONF_CHECK(struct smtpd_conf, check_smtpd), CONF_END };

const struct smtpd_account_conf *smtpd_account_conf(const struct account *a)
{
	static const struct smtpd_account_conf none = {
		.user = "",
		.sessions = 1,
		.header_from = true,
		.common = { .policy = "none", .media = "sms", .priority = "", .window = 1 },
	};

	return a && a->specific ? a->specific : &none;
}

const char *smtpd_hostname(const struct smtpd *srv)
{
	const struct mail_conf *m = srv->l->mail;

	return m && m->hostname && m->hostname[0] ? m->hostname : "localhost";
}

/* ---- accounts ---- */

void smtpd_account_open(struct account *a)
{
	struct smtpd_member *m = a->self;

	m->a = a;
	list_init(&m->sessions);
	account_credit(a, NOTES_AT_ONCE);
}

void smtpd_account_close(struct account *a)
{
	struct smtpd_member *m = smtpd_member(a);

	list_each_safe (it, &m->sessions)
		smtpd_session_leave(CONTAINER(it, struct smtpd_session, mate), 5 * DUR_S);
}

static void note_password(struct smtpd *srv, const char *password)
{
	if (!password)
		return;
	srv->any_hash |= password[0] == '$';
	srv->any_verifier |= str_starts(str_of(password), STR("SCRAM-SHA-256$"));
	srv->any_plain |=
		password[0] != '$' && !str_starts(str_of(password), STR("SCRAM-SHA-256$"));
}

static int declare_accounts(struct smtpd *srv, const struct smtpd_conf *c, struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < c->accounts_n; i++)
		n += c->accounts[i].trust_n;
	mem_free(&srv->trusts);
	srv->trusts_n = 0;
	srv->trusts = mem_alloc((n + 1) * sizeof *srv->trusts);
	srv->any_plain = srv->any_hash = srv->any_verifier = false;
	for (size_t i = 0; i < c->accounts_n; i++) {
		const struct smtpd_account_conf *ac = &c->accounts[i];
		struct account *a = account_declare(srv->l, ac->user, &ac->common, ac);

		if (!a)
			return err_set(e, ERR_ENV,
				"account \"%s\": the store did not take its name", ac->user);
		note_password(srv, ac->common.password);
		for (size_t k = 0; k < ac->trust_n; k++) {
			struct smtpd_trust *t = &srv->trusts[srv->trusts_n];

			t->account = a;
			srv->trusts_n += addr_net_parse(str_of(ac->trust[k]), &t->net);
		}
	}
	return 0;
}

/* ---- the socket ---- */

static void turn_away(struct smtpd *srv, int fd, const char *text)
{
	char line[256];
	int n = snprintf(line, sizeof line, "421 4.7.0 %s: %s\r\n", smtpd_hostname(srv), text);
	unsigned held;

	smtpd_count_refusal(srv, 421, "4.7.0");
	if (log_due(&srv->quiet_full, &held))
		log_warn("too many connections", F_STR("listener", srv->l->name),
			F_U64("connections", srv->n), F_STR("why", text), F_U64("more", held));
	if (srv->tls_mode != SMTPD_TLS_IMPLICIT && n > 0)
		send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

/* The oldest that has not logged in and is in the middle of nothing: it gives way. */
static struct smtpd_session *dispensable(struct smtpd *srv)
{
	list_each (it, &srv->sessions) {
		struct smtpd_session *s = CONTAINER(it, struct smtpd_session, link);

		if (!s->authed && !s->mail && !s->holds)
			return s;
	}
	return NULL;
}

static void smtpd_accept_fd(void *owner, int fd, const struct sockaddr *from)
{
	struct smtpd *srv = owner;
	uint64_t key = addr_key(from);
	struct smtpd_address *a = map_get_u64(&srv->addresses, key);
	struct smtpd_session *old;

	if (a && a->n >= (unsigned)srv->conf->per_address) {
		turn_away(srv, fd, "too many connections from your address");
		return;
	}
	if (srv->n >= (unsigned)srv->conf->connections) {
		old = dispensable(srv);
		if (!old) {
			turn_away(srv, fd, "too many connections");
			return;
		}
		smtpd_session_bye(old, "4.7.0", "others are waiting, come back later");
		a = map_get_u64(&srv->addresses, key);
	}
	if (!a) {
		a = mem_new(struct smtpd_address);
		a->key = key;
		map_put_u64(&srv->addresses, key, a);
	}
	a->n++;
	smtpd_session_open(srv, fd, from, a);
}

void smtpd_count_refusal(struct smtpd *srv, unsigned code, const char *status)
{
	struct smtpd_refusal *r = srv->refusals;
	unsigned i = 0;
	char word[sizeof r->word];

	snprintf(word, sizeof word, "%u %s", code, status);
	while (i < srv->refusals_n && strcmp(r[i].word, word) != 0)
		i++;
	if (i == SMTPD_REFUSALS)
		i--; /* the last one stands for the rest */
	if (i == srv->refusals_n) {
		snprintf(r[i].word, sizeof word, "%s", i == SMTPD_REFUSALS - 1 ? "other" : word);
		stat_register(&r[i].n, STAT_COUNTER, "postern_smtp_refused_total",
			"Commands and mails refused, by reply.", "listener", srv->l->name, "reply",
			r[i].word, NULL);
		srv->refusals_n++;
	}
	stat_inc(&r[i].n);
}

static void smtpd_closed(struct letter *letter)
{
	struct smtpd *srv = CONTAINER(letter, struct smtpd, closed);

	stat_unregister(&srv->opened);
	stat_unregister(&srv->open);
	stat_unregister(&srv->mails);
	stat_unregister(&srv->octets);
	stat_unregister(&srv->logins);
	stat_unregister(&srv->logins_failed);
	stat_unregister(&srv->bounces);
	stat_unregister(&srv->strays);
	stat_unregister(&srv->dsns);
	for (unsigned i = 0; i < srv->refusals_n; i++)
		stat_unregister(&srv->refusals[i].n);
	draft_free(&srv->draft);
	buf_free(&srv->work);
	buf_free(&srv->work2);
	map_free(&srv->addresses);
	mem_free(&srv->trusts);
	tls_server_free(&srv->tls);
	listener_closed(srv->l); /* srv may be gone now */
}

void smtpd_check_closed(struct smtpd *srv)
{
	if (!srv->closing || srv->closed.run || srv->n || srv->tasks || !list_empty(&srv->ghosts))
		return;
	srv->closed.run = smtpd_closed;
	loop_later(srv->l->loop, &srv->closed);
}

static int mode_of(const struct tls_conf *c)
{
	if (!c->given || strcmp(c->mode, "none") == 0)
		return SMTPD_TLS_NONE;
	return strcmp(c->mode, "may") == 0    ? SMTPD_TLS_MAY
	       : strcmp(c->mode, "must") == 0 ? SMTPD_TLS_MUST
					      : SMTPD_TLS_IMPLICIT;
}

static void register_stats(struct smtpd *srv)
{
	const char *name = srv->l->name;

#define S(field, kind, n, help) \
	stat_register(&srv->field, kind, "postern_smtp_" n, help, "listener", name, NULL)
	S(opened, STAT_COUNTER, "sessions_total", "Connections accepted.");
	S(open, STAT_GAUGE, "connections", "Connections open.");
	S(mails, STAT_COUNTER, "mails_total", "Mails answered with 250.");
	S(octets, STAT_COUNTER, "octets_total", "Octets of content that came.");
	S(logins, STAT_COUNTER, "logins_total", "Logins that succeeded.");
	S(logins_failed, STAT_COUNTER, "logins_failed_total", "Logins that failed.");
	S(bounces, STAT_COUNTER, "reports_total", "Reports read at bounce addresses.");
	S(strays, STAT_COUNTER, "strays_total", "Mails to bounce addresses that are no reports.");
	S(dsns, STAT_COUNTER, "dsn_total", "Delivery status notifications written.");
#undef S
}

int smtpd_listen(struct listener *l, struct err *e)
{
	struct smtpd *srv = l->self;
	const struct smtpd_conf *c = l->specific;

	*srv = (struct smtpd){ .l = l, .conf = c, .tls_mode = mode_of(&c->tls) };
	list_init(&srv->sessions);
	list_init(&srv->ghosts);
	if (srv->tls_mode != SMTPD_TLS_NONE) {
		srv->tls = tls_server_new(&c->tls, e);
		if (!srv->tls)
			return -1;
	}
	if (declare_accounts(srv, c, e) != 0)
		goto fail;
	srv->acceptor = acceptor_open(l->loop, c->listen, smtpd_accept_fd, srv, e);
	if (!srv->acceptor)
		goto fail;
	draft_init(&srv->draft);
	register_stats(srv);
	list_append(&servers, &srv->link);
	smtpd_auth_warm(srv);
	return 0;
fail:
	mem_free(&srv->trusts);
	tls_server_free(&srv->tls);
	return -1;
}

void smtpd_unlisten(struct listener *l, dur_t grace)
{
	struct smtpd *srv = l->self;

	acceptor_close(&srv->acceptor);
	list_remove(&srv->link);
	srv->closing = true;
	list_each_safe (it, &srv->sessions)
		smtpd_session_leave(CONTAINER(it, struct smtpd_session, link), grace);
	smtpd_check_closed(srv);
}

/* ---- new settings ---- */

/* Sessions whose account has another password now, or whose address is not welcome any more, end;
 * all others stay. */
static void review(struct smtpd *srv, const struct smtpd_conf *before)
{
	list_each_safe (it, &srv->sessions) {
		struct smtpd_session *s = CONTAINER(it, struct smtpd_session, link);
		const struct account_conf *was = NULL;

		if (!s->account)
			continue;
		for (size_t i = 0; i < before->accounts_n; i++)
			if (strcmp(before->accounts[i].user, s->account->name) == 0)
				was = &before->accounts[i].common;
		if (!s->authed || (was && !str_same(was->password, s->account->conf->password)) ||
			!account_allows(s->account, &s->addr.sa))
			smtpd_session_leave(s, 5 * DUR_S);
	}
}

int smtpd_adopt(struct listener *l, const void *conf)
{
	struct smtpd *srv = l->self;
	const struct smtpd_conf *c = conf, *before = srv->conf;
	struct err e;

	if (strcmp(c->listen, before->listen) != 0 || mode_of(&c->tls) != srv->tls_mode)
		return -1;
	if (srv->tls_mode != SMTPD_TLS_NONE)
		tls_server_renew(&srv->tls, &c->tls, l->name);
	if (declare_accounts(srv, c, &e) != 0)
		log_error("account", F_STR("listener", l->name), F_ERR(&e));
	srv->conf = c;
	review(srv, before);
	smtpd_auth_warm(srv);
	return 0;
}

/* ---- for posternctl ---- */

static void describe_session(const struct smtpd_session *s, mono_t now, struct buf *b)
{
	static const char *const words[] = { "greeting", "command", "auth", "data", "chunk", "" };

	buf_printf(b, "{\"peer\":\"%s\",\"account\":", s->peer);
	buf_json(b, str_of(s->account ? s->account->name : ""));
	buf_c(b, ",\"helo\":");
	buf_json(b, str_of(s->helo));
	buf_printf(b,
		",\"state\":\"%s\",\"tls\":%s,\"mails\":%u,\"errors\":%u,\"recipients\":%u,"
		"\"octets\":%lu,\"held\":%s,\"age_s\":%lld,\"silent_s\":%lld}",
		words[s->state], s->tls ? "true" : "false", s->mails, s->errors,
		s->mail ? s->mail->n : 0, s->mail ? s->mail->scan.octets : 0,
		s->holds ? "true" : "false", (now - s->since) / DUR_S, (now - s->heard) / DUR_S);
}

void smtpd_describe(const struct listener *l, struct buf *b)
{
	const struct smtpd *srv = l->self;
	mono_t now = loop_now(l->loop);
	unsigned n = 0;

	if (!srv->l) {
		buf_c(b, "\"connections\":0");
		return;
	}
	buf_c(b, "\"listen\":");
	buf_json(b, str_of(srv->conf->listen));
	buf_printf(b, ",\"port\":%u,\"connections\":%u,\"mails\":%lu,\"sessions\":[",
		srv->acceptor ? acceptor_port(srv->acceptor) : 0, srv->n, stat_get(&srv->mails));
	list_each (it, &srv->sessions) {
		if (n == DESCRIBED_MOST)
			break;
		if (n++)
			buf_char(b, ',');
		describe_session(CONTAINER(it, struct smtpd_session, link), now, b);
	}
	buf_char(b, ']');
}
