/* The listening socket, its accounts and their settings, and the ends of it all. See server.h. */
#include "gateway/base/mem.h"
#include "gateway/model/text.h"
#include "protocols/smpp/server.h"

#include <unistd.h>

enum { DESCRIBED_MOST = 200 };

/* ---- settings ---- */

static const struct conf_word form_words[] = {
	{ "gsm", TEXT_FORM_GSM, "GSM 7-bit, one septet an octet" },
	{ "gsm-packed", TEXT_FORM_PACKED, "GSM 7-bit, packed" },
	{ "latin1", TEXT_FORM_LATIN1 },
	{ "ascii", TEXT_FORM_ASCII },
	{ "utf8", TEXT_FORM_UTF8 },
	{ NULL },
};
static const struct conf_word id_words[] = {
	{ "auto", ID_AUTO, "decimal; short to 3.3 binds" },
	{ "dec", ID_DEC, "decimal, up to 19 digits" },
	{ "hex", ID_HEX, "hexadecimal, up to 16 digits" },
	{ "short", ID_SHORT, "8 hexadecimal digits, unique for a month" },
	{ NULL },
};
static const struct conf_word tlv_words[] = {
	{ "auto", TLVS_AUTO, "to binds of version 3.4 and up" },
	{ "yes", TLVS_YES },
	{ "no", TLVS_NO },
	{ NULL },
};
static const struct conf_word split_words[] = {
	{ "udh", TEXT_SPLIT_UDH8, "parts with a header" },
	{ "sar", TEXT_SPLIT_SAR, "parts with sar_* TLVs" },
	{ "payload", TEXT_SPLIT_PAYLOAD, "one message_payload" },
	{ NULL },
};
static const struct conf_word evict_words[] = {
	{ "none", EVICT_NONE },
	{ "silent", EVICT_SILENT, "one that does not answer enquire_link" },
	{ "oldest", EVICT_OLDEST },
	{ NULL },
};

static void check_account(const void *conf, const struct conf_where *at, struct conf_faults *f)
{
	const struct server_account_conf *c = conf;

	if (!c->common.password)
		conf_fault_at(f, at, NULL, "needs password or password_file");
	if (c->dates != 10 && c->dates != 12)
		conf_fault_at(f, at, "receipt_dates", "must be 10 or 12");
}

static const struct conf_item account_specific_rows[] = { CONF_WHERE(
								  struct server_account_conf, at),
	CONF_STR(struct server_account_conf, system_id, NULL, "Name of the account.",
		.flags = CONF_REQUIRED | CONF_UNIQUE, .max = 64),
	CONF_INLINE(struct server_account_conf, common, account_rows),
	CONF_ENUM(struct server_account_conf, dcs0, form_words, TEXT_FORM_GSM,
		"What it means by data_coding 0."),
	CONF_BOOL(struct server_account_conf, ascii_gsm, false,
		"By data_coding 1 it means GSM 7-bit, not ASCII."),
	CONF_ENUM(struct server_account_conf, id, id_words, ID_AUTO,
		"How message ids are written to it, in responses and receipts."),
	CONF_ENUM(struct server_account_conf, tlvs, tlv_words, TLVS_AUTO,
		"Whether receipts and subscribers' messages have TLVs."),
	CONF_INT(struct server_account_conf, dates, 10, 12, 10,
		"Digits of a receipt's dates: 10, or 12 with seconds.", .as = "receipt_dates"),
	CONF_ENUM(struct server_account_conf, mo_split, split_words, TEXT_SPLIT_UDH8,
		"How a subscriber's message goes that does not fit one PDU."),
	CONF_BOOL(struct server_account_conf, probe, true,
		"Send it enquire_link. Without, only silence ends its sessions."),
	CONF_BOOL(struct server_account_conf, known_services, false,
		"Refuse a service_type that services does not name."),
	CONF_CHECK(struct server_account_conf, check_account), CONF_END };

static const struct conf_item tls_rows[] = { CONF_FILE(struct tls_conf, cert_file, cert_hash,
						     "Certificate chain (PEM).",
						     .flags = CONF_REQUIRED),
	CONF_FILE(
		struct tls_conf, key_file, key_hash, "Private key (PEM).", .flags = CONF_REQUIRED),
	CONF_FILE(struct tls_conf, ca_file, ca_hash,
		"Clients must have a certificate that these authorities signed (PEM)."),
	CONF_END };

static void check_server(const void *conf, const struct conf_where *at, struct conf_faults *f)
{
	const struct server_conf *c = conf;

	if (c->tls.given)
		tls_check_server(&c->tls, at, f);
	if (addr_listen_is_loopback(str_of(c->listen)))
		return;
	if (c->accounts_n == 0)
		conf_fault_at(f, at, "listen",
			"without accounts it may listen on a loopback address only");
	for (size_t i = 0; i < c->accounts_n; i++)
		if (c->accounts[i].common.password && !c->accounts[i].common.password[0])
			conf_fault_at(f, &c->accounts[i].at, "password",
				"is empty: such an account may listen on a loopback address only");
}

const struct conf_item server_rows[] = { CONF_WHERE(struct server_conf, at),
	CONF_STR(struct server_conf, listen, "127.0.0.1:2775",
		"Address and port; \"*:2775\" is every address of both families.",
		.check = addr_listen_check),
	CONF_GROUP_GIVEN(struct server_conf, tls, tls.given, tls_rows, "SMPP over TLS."),
	CONF_LIST(struct server_conf, accounts, accounts_n, account_specific_rows, "Who may bind."),
	CONF_STR(struct server_conf, system_id, "postern", "Our own name, in bind responses.",
		.max = 15),
	CONF_INT(struct server_conf, connections, 1, 1000000, 2000, "Connections at a time."),
	CONF_INT(struct server_conf, unbound_per_address, 1, 1000000, 1000,
		"Connections of one address that have not bound yet; a tenth after a failed bind."),
	CONF_DURATION(struct server_conf, session_init, "1s", "10m", "15s",
		"How long a connection may take to bind."),
	CONF_DURATION(struct server_conf, enquire, "0", "1h", "30s",
		"Silence after which enquire_link is sent; 0: never."),
	CONF_DURATION(struct server_conf, enquire_wait, "1s", "10m", "15s",
		"How long its answer may take; the second one missing ends the session."),
	CONF_DURATION(struct server_conf, inactivity, "0", NULL, "5m",
		"A session in which no PDU comes for so long ends; 0: never."),
	CONF_DURATION(struct server_conf, answer_wait, "1s", "10m", "60s",
		"How long deliver_sm may stay unanswered before it is told again."),
	CONF_SIZE(struct server_conf, pdu_most, "1KiB", "1MiB", "70000B",
		"Largest PDU; a longer one ends the session."),
	CONF_BOOL(struct server_conf, lenient, false,
		"Let odd values and lengths pass that are refused otherwise."),
	CONF_ENUM(struct server_conf, evict, evict_words, EVICT_SILENT,
		"Which session of the same address gives way to a bind beyond max_binds."),
	CONF_CHECK(struct server_conf, check_server), CONF_END };

const struct server_account_conf *server_account_conf(const struct account *a)
{
	static const struct server_account_conf none = {
		.system_id = "",
		.dates = 10,
		.common = { .policy = "none", .media = "sms", .priority = "", .window = 1 },
	};

	return a && a->specific ? a->specific : &none;
}

/* ---- accounts ---- */

void server_account_open(struct account *a)
{
	struct member *m = a->self;

	m->a = a;
	list_init(&m->sessions);
	list_init(&m->multis);
}

void server_account_close(struct account *a)
{
	struct member *m = member_of(a);

	list_each_safe (it, &m->sessions)
		session_shut(CONTAINER(it, struct session, mate), 5 * DUR_S);
}

/* Flow lends at most so many notes at a time. A session that does not read counts with what it has
 * already, so that the others get their own share and no more. */
void server_recount(struct account *a)
{
	struct member *m = member_of(a);
	unsigned credit = 0;

	list_each (it, &m->sessions) {
		struct session *s = CONTAINER(it, struct session, mate);

		if (s->rx)
			credit += s->full ? s->wire.unanswered : session_window(s);
	}
	account_credit(a, credit);
	account_sessions(a, m->n);
}

static int declare_accounts(struct server *srv, const struct server_conf *c, struct err *e)
{
	for (size_t i = 0; i < c->accounts_n; i++) {
		const struct server_account_conf *ac = &c->accounts[i];

		if (!account_declare(srv->l, ac->system_id, &ac->common, ac))
			return err_set(e, ERR_ENV,
				"account \"%s\": the store did not take its name", ac->system_id);
	}
	return 0;
}

/* ---- the socket ---- */

static unsigned unbound_of(const struct server *srv, const struct sockaddr *from)
{
	uint64_t key = addr_key(from);
	unsigned n = 0;

	list_each (it, &srv->unbound)
		n += addr_key(&CONTAINER(it, struct session, link)->addr.sa) == key;
	return n;
}

/* Many may come at once after a network's or our own restart; who fails to log in gets fewer tries
 * side by side. */
static bool too_many_unbound(const struct server *srv, const struct sockaddr *from)
{
	unsigned n = unbound_of(srv, from), most = (unsigned)srv->conf->unbound_per_address;

	return n >= most || (n >= (most + 9) / 10 && login_delay(from) > 0);
}

static void server_accept(void *owner, int fd, const struct sockaddr *from)
{
	struct server *srv = owner;
	const struct server_conf *c = srv->conf;
	unsigned held;

	if (too_many_unbound(srv, from) ||
		srv->unbound_n + srv->bound_n >= (unsigned)c->connections) {
		/* Who has not bound yet gives way; who has does not. */
		struct session *oldest = list_first(&srv->unbound, struct session, link);

		if (log_due(&srv->quiet_full, &held))
			log_warn("too many connections", F_STR("listener", srv->l->name),
				F_U64("unbound", srv->unbound_n), F_U64("bound", srv->bound_n),
				F_U64("more", held));
		if (!oldest || too_many_unbound(srv, from)) {
			close(fd);
			return;
		}
		session_end(oldest, 0, "gave way");
	}
	session_accept(srv, fd, from);
}

static void server_closed(struct letter *letter)
{
	struct server *srv = CONTAINER(letter, struct server, closed);
	struct submit *sub;

	wire_stats_unregister(&srv->wire);
	stat_unregister(&srv->binds);
	stat_unregister(&srv->binds_failed);
	stat_unregister(&srv->sessions);
	for (unsigned i = 0; i < srv->refusals_n; i++)
		stat_unregister(&srv->refusals[i].n);
	while ((sub = srv->spare)) {
		srv->spare = sub->next;
		mem_free(&sub);
	}
	draft_free(&srv->draft);
	buf_free(&srv->work);
	buf_free(&srv->work2);
	tls_server_free(&srv->tls);
	listener_closed(srv->l); /* srv may be gone now */
}

void server_check_closed(struct server *srv)
{
	if (!srv->closing || srv->closed.run || srv->unbound_n || srv->bound_n ||
		!list_empty(&srv->ghosts))
		return;
	srv->closed.run = server_closed;
	loop_later(srv->l->loop, &srv->closed);
}

int server_listen(struct listener *l, struct err *e)
{
	struct server *srv = l->self;
	const struct server_conf *c = l->specific;

	*srv = (struct server){ .l = l, .conf = c };
	list_init(&srv->unbound);
	list_init(&srv->bound);
	list_init(&srv->ghosts);
	if (c->tls.given) {
		srv->tls = tls_server_new(&c->tls, e);
		if (!srv->tls)
			return -1;
	}
	if (declare_accounts(srv, c, e) != 0)
		goto fail;
	srv->acceptor = acceptor_open(l->loop, c->listen, server_accept, srv, e);
	if (!srv->acceptor)
		goto fail;
	draft_init(&srv->draft);
	wire_stats_register(&srv->wire, "listener", l->name);
	stat_register(&srv->binds, STAT_COUNTER, "postern_smpp_binds_total", "Binds accepted.",
		"listener", l->name, NULL);
	stat_register(&srv->binds_failed, STAT_COUNTER, "postern_smpp_binds_failed_total",
		"Binds refused.", "listener", l->name, NULL);
	stat_register(&srv->sessions, STAT_GAUGE, "postern_smpp_connections", "Connections open.",
		"listener", l->name, NULL);
	return 0;
fail:
	tls_server_free(&srv->tls);
	return -1;
}

void server_unlisten(struct listener *l, dur_t grace)
{
	struct server *srv = l->self;

	acceptor_close(&srv->acceptor);
	srv->closing = true;
	list_each_safe (it, &srv->unbound)
		session_shut(CONTAINER(it, struct session, link), grace);
	list_each_safe (it, &srv->bound)
		session_shut(CONTAINER(it, struct session, link), grace);
	server_check_closed(srv);
}

/* ---- new settings ---- */

/* Sessions whose account has another password now, or whose address is not welcome any more, end;
 * all others stay. */
static void review(struct server *srv, const struct server_conf *before)
{
	list_each_safe (it, &srv->bound) {
		struct session *s = CONTAINER(it, struct session, link);
		const struct account_conf *is = s->account->conf, *was = NULL;

		for (size_t i = 0; i < before->accounts_n; i++)
			if (strcmp(before->accounts[i].system_id, s->account->name) == 0)
				was = &before->accounts[i].common;
		if ((was && !str_same(was->password, is->password)) ||
			!account_allows(s->account, &s->addr.sa))
			session_shut(s, 5 * DUR_S);
		else
			server_recount(s->account);
	}
}

int server_adopt(struct listener *l, const void *conf)
{
	struct server *srv = l->self;
	const struct server_conf *c = conf, *before = srv->conf;
	struct err e;

	if (strcmp(c->listen, before->listen) != 0 || c->tls.given != before->tls.given)
		return -1;
	if (c->tls.given)
		tls_server_renew(&srv->tls, &c->tls, l->name);
	if (declare_accounts(srv, c, &e) != 0)
		log_error("account", F_STR("listener", l->name), F_ERR(&e));
	srv->conf = c;
	review(srv, before);
	return 0;
}

/* ---- for posternctl ---- */

static void describe_session(const struct session *s, mono_t now, struct buf *b)
{
	static const char *const words[] = { "open", "login", "bound", "leaving", "closing", "" };
	const char *bind = s->command == SMPP_BIND_RECEIVER      ? "receiver"
			   : s->command == SMPP_BIND_TRANSMITTER ? "transmitter"
			   : s->command == SMPP_BIND_TRANSCEIVER ? "transceiver"
								 : "";

	buf_printf(b, "{\"peer\":\"%s\",\"account\":", s->peer);
	buf_json(b, str_of(s->account ? s->account->name : ""));
	buf_printf(b,
		",\"state\":\"%s\",\"bind\":\"%s\",\"version\":\"%u.%u\",\"tls\":%s,"
		"\"unanswered\":%u,\"telling\":%u,\"submitted\":%lu,\"told\":%lu,"
		"\"held\":%s,\"age_s\":%lld,\"silent_s\":%lld}",
		words[s->state], bind, s->version >> 4, s->version & 15,
		s->srv->tls ? "true" : "false", s->unanswered, s->wire.unanswered, s->submitted,
		s->told, s->holds ? "true" : "false", (now - s->since) / DUR_S,
		(now - s->wire.heard) / DUR_S);
}

void server_describe(const struct listener *l, struct buf *b)
{
	const struct server *srv = l->self;
	mono_t now = loop_now(l->loop);
	unsigned n = 0;

	if (!srv->l) {
		buf_c(b, "\"connections\":0");
		return;
	}
	buf_c(b, "\"listen\":");
	buf_json(b, str_of(srv->conf->listen));
	buf_printf(b, ",\"port\":%u,\"connections\":%u,\"bound\":%u,\"sessions\":[",
		srv->acceptor ? acceptor_port(srv->acceptor) : 0, srv->unbound_n + srv->bound_n,
		srv->bound_n);
	list_each (it, &srv->bound) {
		if (n == DESCRIBED_MOST)
			break;
		if (n++)
			buf_char(b, ',');
		describe_session(CONTAINER(it, struct session, link), now, b);
	}
	buf_char(b, ']');
}
