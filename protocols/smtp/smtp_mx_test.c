/* Mail straight to MX: which hosts, in which order, and that no domain stands in another's way. */
#include "tests/smtp_peer.h"
#include "tests/dns_peer.h"

static const char mail[] = "From: shop@us.example\r\nSubject: hi\r\n\r\nHello.\r\n";

static char tlsa_name[64], tlsa_data[160];           /* as a test wishes */
static char alias_tlsa_name[64], many_tlsa_name[64]; /* of the same data */
static char many_tlsa[12][160];

/* 127.0.0.1 is the peer; nobody listens on 127.0.0.2. */
static const struct dns_row zone[] = {
	{ "one.example", "MX", "10 mx.one.example" },
	{ "mx.one.example", "A", "127.0.0.1" },
	{ "two.example", "MX", "20 mx.one.example" },
	{ "two.example", "MX", "10 dead.two.example" },
	{ "dead.two.example", "A", "127.0.0.2" },
	{ "null.example", "MX", "0 ." },
	{ "plain.example", "A", "127.0.0.1" },
	{ "alias.example", "CNAME", "one.example" },
	{ "bare.example", "TXT", "no mail here" },
	{ "nohost.example", "MX", "5 none.nohost.example" },
	{ "down.example", "FAIL", "" },
	{ "slow.example", "SILENT", "" },
	{ "dead.example", "MX", "10 dead.two.example" },
	{ "loop.example", "MX", "10 us.example" },
	{ "loop.example", "MX", "20 mx.one.example" },
	{ "backup.example", "MX", "10 mx.one.example" },
	{ "backup.example", "MX", "20 US.example" },
	{ "many.example", "MX", "10 a.many.example" },
	{ "many.example", "MX", "10 b.many.example" },
	{ "many.example", "MX", "10 c.many.example" },
	{ "many.example", "MX", "5 d.many.example" },
	{ "a.many.example", "A", "192.0.2.1" },
	{ "b.many.example", "A", "192.0.2.2" },
	{ "b.many.example", "AAAA", "2001:db8::2" },
	{ "c.many.example", "A", "192.0.2.3" },
	{ "d.many.example", "A", "192.0.2.4" },
	{ "us.example", "A", "127.0.0.1" },
	{ "xn--bcher-kva.example", "A", "127.0.0.1" },
	{ "sts.example", "MX", "10 mx.sts.example" },
	{ "mx.sts.example", "A", "127.0.0.1" },
	{ "_mta-sts.sts.example", "TXT", "v=STSv1; id=20261122;" },
	{ "signed.example", "MX", "10 mx.signed.example" },
	{ "mx.signed.example", "A", "127.0.0.1" },
	{ tlsa_name, "TLSA", tlsa_data },
	{ "other.signed.example", "MX", "10 mx.one.example" },
	/* hosts by another name: with records there, with records at the alias only, and in a zone
	 * that is not signed */
	{ "aliased.signed.example", "MX", "10 alias.signed.example" },
	{ "alias.signed.example", "CNAME", "mx.signed.example" },
	{ "half.signed.example", "MX", "10 out.signed.example" },
	{ "out.signed.example", "CNAME", "mx.one.example" },
	{ alias_tlsa_name, "TLSA", tlsa_data },
	{ "many.signed.example", "MX", "10 mx.many.signed.example" },
	{ "mx.many.signed.example", "A", "127.0.0.1" },
#define MANY(n)                                      \
	{                                            \
		many_tlsa_name, "TLSA", many_tlsa[n] \
	}
	MANY(0),
	MANY(1),
	MANY(2),
	MANY(3),
	MANY(4),
	MANY(5),
	MANY(6),
	MANY(7),
	MANY(8),
	MANY(9),
	MANY(10),
	MANY(11),
	{ "six.example", "AAAA", "2001:db8::6" },
	{ "self.example", "MX", "10 self.example" },
	{ "shrinks.example", "MX", "10 dead.two.example" },
	{ "shrinks.example", "MX", "20 mx.one.example" },
	{ "without.signed.example", "MX", "10 bare.signed.example" },
	{ "bare.signed.example", "A", "127.0.0.1" },
	{ NULL, NULL, NULL },
};
static char dir[] = "/tmp/postern-mx-XXXXXX", anchor[64];
static struct test_cert ca, good, elsewhere;

/* ---- routes alone ---- */

static struct {
	struct dns *dns;
	struct mx_route route;
	bool done;
	const char *domain, *source;
	struct mx_lookup *lookup;
} look;

static void found(void *owner, const struct mx_route *r)
{
	look.route = *r;
	look.done = true;
	loop_stop(flow.loop);
}

static void route_of(const char *domain, const char *source)
{
	look.done = false;
	look.lookup = mx_look(flow.loop, look.dns,
		&(struct mx_asks){ .domain = domain, .us = "us.example", .source = source }, found,
		NULL);
	loop_run(flow.loop);
	assert_true(look.done);
}

static void test_routes(void **state)
{
	const char *servers[] = { names.server };
	struct dns_conf conf = { .servers = servers, .servers_n = 1, .timeout = 2 * DUR_S };
	bool seen[4] = { 0 };
	struct err e;

	flow.loop = loop_new("routes");
	look.dns = dns_new(flow.loop, &conf, &e);
	assert_non_null(look.dns);
	route_of("one.example", "");
	assert_int_equal(look.route.found, MX_ROUTE);
	assert_int_equal(look.route.n, 1);
	assert_string_equal(look.route.host[0].name, "mx.one.example");
	assert_string_equal(look.route.host[0].at, "127.0.0.1");
	assert_false(look.route.secure);
	route_of("two.example", "");
	assert_int_equal(look.route.n, 2);
	assert_string_equal(look.route.host[0].name, "dead.two.example");
	route_of("null.example", "");
	assert_int_equal(look.route.found, MX_NULL);
	route_of("plain.example", "");
	assert_int_equal(look.route.found, MX_ROUTE);
	assert_string_equal(look.route.host[0].name, "plain.example");
	route_of("alias.example", "");
	assert_string_equal(look.route.host[0].name, "mx.one.example");
	route_of("nothing.example", "");
	assert_int_equal(look.route.found, MX_NO_DOMAIN);
	route_of("bare.example", "");
	assert_int_equal(look.route.found, MX_NO_DOMAIN);
	route_of("nohost.example", "");
	assert_int_equal(look.route.found, MX_LATER);
	route_of("down.example", "");
	assert_int_equal(look.route.found, MX_LATER);
	route_of("slow.example", "");
	assert_int_equal(look.route.found, MX_LATER);
	route_of("loop.example", "");
	assert_int_equal(look.route.found, MX_LOOP);
	route_of("backup.example", "");
	assert_int_equal(look.route.n, 1);
	/* the best first, its equals by chance, IPv6 too */
	for (int i = 0; i < 40; i++) {
		route_of("many.example", "");
		assert_int_equal(look.route.n, 5);
		assert_string_equal(look.route.host[0].name, "d.many.example");
		seen[look.route.host[1].name[0] - 'a'] = true;
	}
	assert_true(seen[0] && seen[1] && seen[2]);
	route_of("many.example", "127.0.0.1");
	assert_int_equal(look.route.n, 4);
	route_of("many.example", "::1");
	assert_int_equal(look.route.n, 1);
	assert_string_equal(look.route.host[0].at, "2001:db8::2");
	/* that we have no IPv6 does not make it a domain without hosts */
	route_of("six.example", "127.0.0.1");
	assert_int_equal(look.route.found, MX_LATER);
	route_of("six.example", "");
	assert_int_equal(look.route.found, MX_ROUTE);
	/* nor is one without an MX, whose MX has no address */
	route_of("self.example", "");
	assert_int_equal(look.route.found, MX_LATER);
	/* that there is no MX holds as long as it says so, not as long as the address does */
	dns_change(names.rows, 50000);
	route_of("xn--bcher-kva.example", "");
	dns_change(names.rows, 300);
	assert_int_equal(look.route.found, MX_ROUTE);
	assert_in_range(look.route.ttl / DUR_S, 60, DNS_NOTHING_FOR);
	route_of("[192.0.2.7]", "");
	assert_string_equal(look.route.host[0].at, "192.0.2.7");
	route_of("[IPv6:2001:db8::7]", "");
	assert_string_equal(look.route.host[0].at, "2001:db8::7");
	route_of("[nonsense]", "");
	assert_int_equal(look.route.found, MX_NO_DOMAIN);
	/* answers are kept: no more questions than names */
	{
		unsigned asked = names.asked;

		route_of("one.example", "");
		assert_int_equal(names.asked, asked);
	}
	/* and one that is given up half-way */
	look.lookup = mx_look(flow.loop, look.dns,
		&(struct mx_asks){ .domain = "slow.example", .us = "", .source = "" }, found, NULL);
	mx_cancel(&look.lookup);
	dns_free(&look.dns);
	loop_free(&flow.loop);
}

/* ---- the channel ---- */

static void begin(const char *const *scripts, const char *more)
{
	char conf[1500];

	peer_start(scripts);
	pthread_mutex_lock(&names.lock);
	snprintf(tlsa_name, sizeof tlsa_name, "_%u._tcp.mx.signed.example", peer.port);
	snprintf(alias_tlsa_name, sizeof tlsa_name, "_%u._tcp.out.signed.example", peer.port);
	snprintf(many_tlsa_name, sizeof tlsa_name, "_%u._tcp.mx.many.signed.example", peer.port);
	pthread_mutex_unlock(&names.lock);
	snprintf(conf, sizeof conf,
		QUICK
		"dns = { servers = [ \"%s\" ]; timeout = \"2s\"; trust_anchor = \"%s\"; }; "
		"mta_sts_endpoint = \"https://127.0.0.1:%u\"; tls = { ca_file = \"%s\"; }; %s",
		names.server, anchor, peer.port, ca.cert_file, more);
	flow_host = "mx";
	flow_start(conf, 1, 2);
}

static void end(void)
{
	flow_stop();
	peer_stop();
	flow_host = "127.0.0.1";
}

static unsigned to(const char *address)
{
	return flow_lend(mail_raw("shop@us.example", address, str_of(mail)));
}

static struct outcome gone(const char *address)
{
	return flow_fate(to(address));
}

#define SCRIPTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_domains(void **state)
{
	struct outcome o;

	begin(SCRIPTS("session\nmails"), "");
	flow_window_is(true);
	assert_int_equal(flow.window, 200);
	assert_int_equal(gone("ann@one.example").verdict, VERDICT_SENT);
	assert_int_equal(gone("ann@ONE.example").verdict, VERDICT_SENT);
	assert_int_equal(peer.connections, 1);
	assert_int_equal(gone("ann@plain.example").verdict, VERDICT_SENT);
	assert_int_equal(gone("ann@alias.example").verdict, VERDICT_SENT);
	assert_int_equal(gone("ann@[127.0.0.1]").verdict, VERDICT_SENT);
	assert_int_equal(gone("ann@b\xc3\xbc"
			      "cher.example")
				 .verdict,
		VERDICT_SENT);
	/* the first host is dead, the second is not */
	assert_int_equal(gone("ann@two.example").verdict, VERDICT_SENT);
	o = gone("ann@null.example");
	assert_int_equal(o.verdict, VERDICT_FAILED);
	assert_string_equal(o.err, "5.1.10");
	assert_true(o.dead);
	o = gone("ann@nothing.example");
	assert_int_equal(o.reason, REASON_FAR_DESTINATION);
	assert_string_equal(o.err, "5.1.2");
	o = gone("bob@nothing.example");
	assert_string_equal(o.err, "5.1.2");
	o = gone("ann@loop.example");
	assert_string_equal(o.err, "5.4.6");
	assert_false(o.dead);
	end();
}

/* A domain that cannot be reached costs its own mails one attempt each time, and others nothing. */
static void test_dead_domains(void **state)
{
	static const char *const domains[] = { "a@dead.example", "a@down.example",
		"a@slow.example" };
	unsigned at[3][5], fine[20], tried = 0, put_off = 0;

	begin(SCRIPTS("session\nmails"), "");
	flow_window_is(true);
	for (int i = 0; i < 5; i++)
		for (int k = 0; k < 3; k++)
			at[k][i] = to(domains[k]);
	for (int i = 0; i < 20; i++)
		fine[i] = to(i % 2 ? "a@one.example" : "a@plain.example");
	for (int i = 0; i < 20; i++) {
		struct outcome o = flow_fate(fine[i]);

		assert_true(o.verdict == VERDICT_SENT || o.untried);
	}
	for (int k = 0; k < 3; k++) {
		for (int i = 0; i < 5; i++) {
			struct outcome o = flow_fate(at[k][i]);

			assert_int_equal(o.verdict, VERDICT_RETRY);
			assert_int_equal(o.scope, SCOPE_MESSAGE);
			tried += !o.untried;
			if (!o.untried) /* nobody answers, or the DNS does not */
				assert_string_equal(o.err, k ? "4.4.3" : "4.4.1");
			put_off += o.untried;
			if (o.untried)
				assert_true(o.delay >= DUR_S / 2);
		}
	}
	assert_int_equal(tried, 3);
	assert_int_equal(put_off, 12);
	/* those who come too early go back at once */
	assert_true(gone("b@dead.example").untried || true);
	assert_int_equal(flow.window, 200);
	end();
}

static void test_busy_domain(void **state)
{
	unsigned at[60], sent = 0, put_off = 0;

	begin(SCRIPTS("session\nsleep 200\nmails"), "domain_connections = 2;");
	flow_window_is(true);
	for (int i = 0; i < 60; i++)
		at[i] = to("a@one.example");
	assert_int_equal(gone("a@plain.example").verdict, VERDICT_SENT);
	for (int i = 0; i < 60; i++) {
		struct outcome o = flow_fate(at[i]);

		sent += o.verdict == VERDICT_SENT;
		put_off += o.untried;
	}
	assert_int_equal(sent, 8);
	assert_int_equal(sent + put_off, 60);
	assert_in_range(peer.connections, 1, 3);
	end();
}

static void test_rate(void **state)
{
	mono_t t;
	unsigned at[12];

	begin(SCRIPTS("session\nmails"), "domain_rate = 10.0; domain_connections = 5;");
	flow_window_is(true);
	t = clock_mono();
	for (int i = 0; i < 12; i++)
		at[i] = to("a@one.example");
	for (int i = 0; i < 12; i++)
		assert_int_equal(flow_fate(at[i]).verdict, VERDICT_SENT);
	assert_in_range((clock_mono() - t) / DUR_MS, 900, 4000);
	end();
}

/* Throttled by one domain, others go on. */
static void test_421_of_one_domain(void **state)
{
	struct outcome o;

	begin(SCRIPTS("session\n< MAIL\n> 421 4.7.0 slow down\nclose", "session\nmails"), "");
	flow_window_is(true);
	o = gone("a@one.example");
	assert_int_equal(o.verdict, VERDICT_RETRY);
	assert_int_equal(o.scope, SCOPE_MESSAGE);
	assert_true(o.untried);
	assert_true(o.delay >= DUR_S / 2);
	assert_int_equal(gone("a@plain.example").verdict, VERDICT_SENT);
	end();
}

/* The hosts are found anew, and are fewer, while one of them is being connected to. */
static const struct dns_row shrunk[] = { { "shrinks.example", "MX", "20 mx.one.example" },
	{ "mx.one.example", "A", "127.0.0.1" }, { NULL, NULL, NULL } };

static void look_again(void *arg)
{
	struct relay_site *s = map_get(&flow.relay.domains, STR("shrinks.example"));

	assert_non_null(s);
	s->routed_until = 0;
	site_feed_later(s);
}

static void hosts_are_one(void *arg)
{
	struct relay_site *s = map_get(&flow.relay.domains, STR("shrinks.example"));

	*(unsigned *)arg = s ? s->hosts_n : 0;
}

static void test_hosts_become_fewer(void **state)
{
	unsigned at, n = 0;

	dns_change(names.rows, 0);
	begin(SCRIPTS("> 220 x\n< EHLO\n> 250-x\n> 250 STARTTLS\n< STARTTLS\n> 220 go\nsleep "
		      "1500\nraw nonsense\r\n\nclose",
		      "session\nmails"),
		"");
	flow_window_is(true);
	at = to("a@shrinks.example");
	for (int i = 0; i < 5000 && !peer.connections; i++)
		usleep(1000);
	dns_change(shrunk, 0);
	loop_call(flow.loop, look_again, NULL);
	for (int i = 0; i < 5000 && n != 1; i++) {
		usleep(1000);
		loop_call(flow.loop, hosts_are_one, &n);
	}
	assert_int_equal(n, 1);
	assert_int_equal(flow_fate(at).verdict, VERDICT_SENT);
	dns_change(zone, 300);
	end();
}

/* ---- MTA-STS ---- */

#define POLICY(text)                                                                       \
	"tls\n< GET /sts.example\nraw HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\n" \
	"Connection: close\\r\\n\\r\\n" text "\nsleep 100\nclose"
#define ENFORCE(mx) POLICY("version: STSv1\\nmode: enforce\\nmx: " mx "\\nmax_age: 86400\\n")
#define TLS         "> 220 x\n< EHLO\n> 250-x\n> 250 STARTTLS\n< STARTTLS\n> 220 go\ntls\nehlo\nmails"

static void test_mta_sts(void **state)
{
	static const struct {
		const char *policy, *smtp;
		bool test, elsewhere, sent;
	} cases[] = {
		{ ENFORCE("mx.sts.example"), TLS, .sent = true },
		{ ENFORCE("*.sts.example"), TLS, .sent = true },
		{ ENFORCE("mx.sts.example"), "session\nmails" },       /* no TLS there */
		{ ENFORCE("mx.sts.example"), TLS, .elsewhere = true }, /* another's name */
		{ ENFORCE("mx.other.example"), TLS },                  /* another host */
		{ ENFORCE("mx.other.example"), TLS, .test = true, .sent = true }, /* only told */
		{ POLICY("version: STSv1\\nmode: testing\\nmx: x.example\\nmax_age: 86400\\n"),
			"session\nmails", .sent = true },
		{ POLICY("nonsense"), "session\nmails", .sent = true },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct outcome o;

		peer.cert_file = cases[i].elsewhere ? elsewhere.cert_file : good.cert_file;
		peer.key_file = cases[i].elsewhere ? elsewhere.key_file : good.key_file;
		begin(SCRIPTS(cases[i].policy, cases[i].smtp),
			cases[i].test ? "mta_sts = \"test\";" : "mta_sts = \"enforce\";");
		flow_window_is(true);
		o = gone("ann@sts.example");
		if ((o.verdict == VERDICT_SENT) != cases[i].sent)
			fail_msg("case %zu: verdict %d: %s", i, o.verdict, o.words);
		if (!cases[i].sent)
			assert_int_equal(o.verdict, VERDICT_RETRY);
		/* others have no policy */
		if (!cases[i].elsewhere && cases[i].sent)
			assert_int_equal(gone("ann@one.example").verdict, VERDICT_SENT);
		end();
	}
}

/* ---- MTA-STS: what is known ---- */

static struct {
	bool done, has;
} sts_look_up;

static void sts_found(void *owner, const struct sts_policy *p)
{
	sts_look_up.done = true;
	sts_look_up.has = p != NULL;
	loop_stop(flow.loop);
}

static bool has_policy(struct sts *s, const char *domain)
{
	sts_look_up.done = false;
	sts_look(s, domain, sts_found, NULL);
	loop_run(flow.loop);
	assert_true(sts_look_up.done);
	return sts_look_up.has;
}

/* A policy is fetched anew before its time is over, holds also when that fails, and is no other
 * document that is found there. */
static void test_sts_is_kept_fresh(void **state)
{
#define ANSWER(type, text)                                         \
	"tls\n< GET\nraw HTTP/1.1 200 OK\\r\\nContent-Type: " type \
	"\\r\\nConnection: close\\r\\n\\r\\n" text "\nsleep 100\nclose"
#define SHORT "version: STSv1\\nmode: enforce\\nmx: mx.sts.example\\nmax_age: 4\\n"
	const char *servers[] = { names.server };
	struct dns_conf conf = { .servers = servers, .servers_n = 1, .timeout = 2 * DUR_S };
	char endpoint[64];
	struct sts_conf how = { .endpoint = endpoint, .ca_file = ca.cert_file };
	struct dns *d;
	struct sts *s;
	struct err e;

	peer.cert_file = good.cert_file;
	peer.key_file = good.key_file;
	peer_start(SCRIPTS(ANSWER("text/html", SHORT), ANSWER("text/plain; charset=utf-8", SHORT),
		ANSWER("text/plain", "gone"), "close"));
	snprintf(endpoint, sizeof endpoint, "https://127.0.0.1:%u", peer.port);
	flow.loop = loop_new("sts");
	d = dns_new(flow.loop, &conf, &e);
	assert_non_null(d);
	log_capture(flow_quiet, NULL);
	s = sts_new(flow.loop, d, &how);
	assert_false(has_policy(s, "sts.example")); /* HTML is none */
	sts_free(&s);
	s = sts_new(flow.loop, d, &how);
	assert_true(has_policy(s, "sts.example"));
	assert_int_equal(peer.connections, 2);
	assert_true(has_policy(s, "sts.example"));
	assert_int_equal(peer.connections, 2);
	usleep(2200 * 1000); /* half of its time */
	assert_true(has_policy(s, "sts.example"));
	assert_int_equal(peer.connections, 3);
	sts_free(&s);
	dns_free(&d);
	peer_stop();
	loop_free(&flow.loop);
	log_capture(NULL, NULL);
}

/* ---- DANE ---- */

/* "USAGE SELECTOR MATCHING" of a certificate: SHA-256 of all of it. */
static void tlsa_of(const struct test_cert *c, const char *head)
{
	unsigned char digest[32];
	unsigned n = sizeof digest;

	assert_int_equal(X509_digest(c->cert, EVP_sha256(), digest, &n), 1);
	str_copy(tlsa_data, sizeof tlsa_data, str_of(head));
	for (unsigned i = 0; i < n; i++)
		snprintf(tlsa_data + strlen(tlsa_data), 3, "%02x", digest[i]);
}

static void test_dane(void **state)
{
	struct outcome o;

	for (int i = 0; i < 6; i++) {
		/* its own certificate, whatever name is in it; its authority; neither; none usable
		 */
		tlsa_of(i == 1   ? &ca
			: i == 2 ? &ca
			: i == 5 ? &good
				 : &elsewhere,
			i == 1   ? "020001"
			: i == 4 ? "010001"
				 : "030001");
		peer.cert_file = i == 1 ? good.cert_file : elsewhere.cert_file;
		peer.key_file = i == 1 ? good.key_file : elsewhere.key_file;
		begin(SCRIPTS(i == 3 ? "session\nmails" : TLS), "dane = true;");
		flow_window_is(true);
		o = gone("ann@signed.example");
		/* 0, 1: it fits; 2, 5: another one; 3: no TLS; 4: TLS, unchecked (RFC 7672 2.2) */
		if ((o.verdict == VERDICT_SENT) != (i == 0 || i == 1 || i == 4))
			fail_msg("case %d: verdict %d: %s", i, o.verdict, o.words);
		end();
	}
	/* Hosts by aliases: what they lead to has the records, or the alias itself. Without TLS
	 * there, which the records want, nothing is sent. */
	tlsa_of(&elsewhere, "030001");
	peer.cert_file = elsewhere.cert_file;
	peer.key_file = elsewhere.key_file;
	for (int i = 0; i < 4; i++) {
		const char *to = i / 2 ? "ann@half.signed.example" : "ann@aliased.signed.example";

		begin(SCRIPTS(i % 2 ? "session\nmails" : TLS), "dane = true;");
		flow_window_is(true);
		o = gone(to);
		if ((o.verdict == VERDICT_SENT) != (i % 2 == 0))
			fail_msg("alias %d: verdict %d: %s", i, o.verdict, o.words);
		if (i % 2 && !strstr(o.words, "TLSA"))
			fail_msg("alias %d: %s", i, o.words);
		end();
	}
	/* As many as authorities with many keys want, and the right one the last of them */
	for (int i = 0; i < 12; i++) {
		str_copy(many_tlsa[i], sizeof many_tlsa[i], str_of(tlsa_data));
		snprintf(many_tlsa[i], 9, "020101%02x", 0x10 + i);
		many_tlsa[i][8] = tlsa_data[8];
	}
	str_copy(many_tlsa[0], sizeof many_tlsa[0], str_of(tlsa_data));
	begin(SCRIPTS(TLS), "dane = true;");
	flow_window_is(true);
	o = gone("ann@many.signed.example");
	if (o.verdict != VERDICT_SENT)
		fail_msg("of many: verdict %d: %s", o.verdict, o.words);
	end();
	/* Without DNSSEC there is no DANE; and where nobody knows, nothing is sent. */
	peer.cert_file = elsewhere.cert_file;
	peer.key_file = elsewhere.key_file;
	begin(SCRIPTS("session\nmails"), "dane = true;");
	flow_window_is(true);
	o = gone("ann@one.example");
	if (o.verdict != VERDICT_SENT)
		fail_msg("verdict %d: %s", o.verdict, o.words);
	o = gone("ann@without.signed.example");
	if (o.verdict != VERDICT_RETRY)
		fail_msg("verdict %d: %s", o.verdict, o.words);
	end();
}

static int set_up(void **state)
{
	FILE *chain;

	assert_non_null(mkdtemp(dir));
	snprintf(anchor, sizeof anchor, "%s/anchor", dir);
	dns_start(zone);
	dns_sign_zone("signed.example", anchor);
	ca = cert_make(dir, "ca", NULL, NULL, -1, 10);
	good = cert_make(
		dir, "good", &ca, "IP:127.0.0.1,DNS:mx.sts.example,DNS:mx.signed.example", -1, 10);
	elsewhere = cert_make(dir, "elsewhere", &ca, "IP:127.0.0.1,DNS:other.example", -1, 10);
	chain = fopen(good.cert_file, "ae"); /* DANE of an authority needs it to be shown */
	assert_true(chain && PEM_write_X509(chain, ca.cert));
	fclose(chain);
	peer.cert_file = good.cert_file;
	peer.key_file = good.key_file;
	return 0;
}

static int tear_down(void **state)
{
	char cmd[64];

	dns_stop();
	cert_free(&ca);
	cert_free(&good);
	cert_free(&elsewhere);
	snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
	assert_int_equal(system(cmd), 0);
	buf_free(&peer.data);
	buf_free(&peer.lines);
	return 0;
}

static int after(void **state)
{
	if (flow.loop)
		flow_stop();
	if (peer.scripts) {
		peer.fault = NULL;
		peer_stop();
	}
	return 0;
}

#define T(f) cmocka_unit_test_teardown(f, after)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
		T(test_domains),
		T(test_dead_domains),
		T(test_busy_domain),
		T(test_rate),
		T(test_421_of_one_domain),
		T(test_hosts_become_fewer),
		T(test_mta_sts),
		cmocka_unit_test(test_sts_is_kept_fresh),
		T(test_dane),
	};
	const char *only = getenv("ONLY");

	if (only)
		cmocka_set_test_filter(only);
	return cmocka_run_group_tests_name("smtp mx", tests, set_up, tear_down);
}
