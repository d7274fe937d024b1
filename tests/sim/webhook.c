/* posternsim webhook: a receiver of webhooks that checks what it is told: the signature over
 * "t.body", the age of t, repeats; and that fails as often as it is asked to.
 */
#include "tests/sim/http1.h"
#include "tests/sim/loop.h"
#include "tests/sim/opt.h"

#include <errno.h>
#include <openssl/hmac.h>
#include <stdio.h>

struct hook_conf {
	struct sim_addr listen;
	struct str secret, record, port_file, cert, key, stats_file;
	uint64_t fail_status, fail_first, count, run_for, tolerance, seed;
	double fail, mute;
	struct sim_span latency;
	bool stats_json;
};

struct hook {
	struct hook_conf conf;
	struct sim_loop loop;
	struct sim_listener listener;
	struct sim_timer tick;
	SSL_CTX *tls;
	struct sim_rng rng;
	FILE *record;
	uint64_t started, requests, good, failed, muted, unsigned_, forged, stale, repeats;
	uint64_t *seen; /* hashes of bodies taken, open addressing */
	uint64_t seen_n, seen_cap;
	struct {
		char word[32];
		uint64_t n;
	} state[16];
	unsigned states;
};

struct caller { /* one connection; answers leave in order, so one may wait */
	struct hook *hook;
	struct sim_conn *conn;
	uint64_t due;
	bool continued;
	struct caller *next;
};
static struct caller *callers;

static bool seen_before(struct hook *h, uint64_t hash)
{
	if (h->seen_n * 2 >= h->seen_cap) {
		uint64_t old_cap = h->seen_cap, *old = h->seen;
		h->seen_cap = old_cap ? old_cap * 2 : 4096;
		h->seen = mem_alloc(h->seen_cap * sizeof(*h->seen));
		h->seen_n = 0;
		for (uint64_t i = 0; i < old_cap; i++)
			if (old[i])
				seen_before(h, old[i]);
		mem_free(&old);
	}
	hash = hash ? hash : 1;
	uint64_t i = (hash * 0x9E3779B97F4A7C15ULL >> 20) & (h->seen_cap - 1);
	while (h->seen[i] && h->seen[i] != hash)
		i = (i + 1) & (h->seen_cap - 1);
	if (h->seen[i])
		return true;
	h->seen[i] = hash;
	h->seen_n++;
	return false;
}

/* "t=UNIX,v1=HEX": the HMAC-SHA256 of t, a dot and the body. */
static bool signature_holds(struct hook *h, const struct sim_http *r)
{
	struct str given = sim_http_header(r, "Postern-Signature"), part, key, t = STR_NONE,
		   v1 = STR_NONE;
	uint64_t when;
	if (!h->conf.secret.n)
		return true;
	if (!given.p) {
		h->unsigned_++;
		return false;
	}
	while (str_cut(&given, ',', &part)) {
		part = str_trim(part);
		str_cut(&part, '=', &key);
		if (str_is(key, "t"))
			t = part;
		else if (str_is(key, "v1"))
			v1 = part;
	}
	struct buf text = BUF_INIT, hex = BUF_INIT;
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	buf_str(&text, t);
	buf_char(&text, '.');
	buf_str(&text, r->body);
	HMAC(EVP_sha256(), h->conf.secret.p, (int)h->conf.secret.n, (const uint8_t *)text.p, text.n,
		mac, &n);
	sim_hex(&hex, str_n(mac, n));
	bool holds = str_ieq(buf_view(&hex), v1);
	buf_free(&text);
	buf_free(&hex);
	if (!holds) {
		h->forged++;
		return false;
	}
	uint64_t now = sim_wall() / SIM_S, old = h->conf.tolerance / SIM_S;
	if (!str_u64(t, &when) || when > now + old || now > when + old) {
		h->stale++;
		return false;
	}
	return true;
}

static void count_state(struct hook *h, struct str body)
{
	ptrdiff_t at = str_find(body, STR("\"state\""));
	if (at < 0)
		return;
	struct str s = str_skip(body, (size_t)at + 7), word;
	str_cut(&s, '"', &word);
	if (!str_cut(&s, '"', &word) || word.n >= sizeof(h->state[0].word))
		return;
	unsigned i = 0;
	while (i < h->states && !str_is(word, h->state[i].word))
		i++;
	if (i == sizeof(h->state) / sizeof(h->state[0]))
		return;
	if (i == h->states)
		str_copy(h->state[h->states++].word, sizeof(h->state[0].word), word);
	h->state[i].n++;
}

static unsigned hook_verdict(struct hook *h, const struct sim_http *r)
{
	h->requests++;
	if (!str_starts(r->first, STR("POST ")))
		return 405;
	if (h->conf.fail_first && h->requests <= h->conf.fail_first)
		return (unsigned)h->conf.fail_status;
	if (sim_rng_hit(&h->rng, h->conf.fail))
		return (unsigned)h->conf.fail_status;
	if (!signature_holds(h, r))
		return 401;
	return 200;
}

static void hook_take(struct caller *k, const struct sim_http *r)
{
	struct hook *h = k->hook;
	unsigned status = hook_verdict(h, r);
	if (status == 200) {
		h->good++;
		if (seen_before(h, str_hash(r->body)))
			h->repeats++;
		count_state(h, r->body);
		if (h->record)
			fprintf(h->record, "%llu\t%.*s\n",
				(unsigned long long)(sim_wall() / SIM_US), STR_ARG(r->body));
	} else {
		h->failed++;
	}
	if (sim_rng_hit(&h->rng, h->conf.mute)) {
		h->muted++;
		return;
	}
	buf_printf(&k->conn->out, "HTTP/1.1 %u %s\r\nContent-Length: 0\r\n\r\n", status,
		status == 200 ? "OK" : "No");
	uint64_t delay = sim_span_draw(&h->conf.latency, &h->rng);
	if (delay && k->due < h->loop.now + delay)
		k->due = h->loop.now + delay;
	if (k->due <= h->loop.now)
		sim_conn_dirty(k->conn);
}

static size_t hook_data(struct sim_conn *c, const char *p, size_t n)
{
	struct caller *k = c->of;
	size_t took = 0;
	struct sim_http r;
	while (took < n && !c->is_dead) {
		long len = sim_http_parse(&r, p + took, n - took, false, false);
		if (len < 0) {
			sim_conn_close(c, "not HTTP");
			return n;
		}
		if (len == 0) {
			if (r.expect && !k->continued) {
				buf_c(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
				sim_conn_dirty(c);
				k->continued = true;
			}
			break;
		}
		k->continued = false;
		hook_take(k, &r);
		took += (size_t)len;
	}
	return took;
}

static void hook_closed(struct sim_conn *c, const char *why)
{
	struct caller *k = c->of, **at = &callers;
	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	mem_free(&k);
}

static const struct sim_conn_ops hook_ops = { NULL, hook_data, hook_closed };

static void hook_accepted(struct sim_listener *l, int fd)
{
	struct hook *h = l->of;
	struct caller *k = mem_new(struct caller);
	k->hook = h;
	k->next = callers;
	callers = k;
	k->conn = sim_conn_new(&h->loop, fd, &hook_ops, k, h->tls);
}

static void hook_quit(void *of)
{
	((struct hook *)of)->loop.stop = true;
}

static void hook_tick(struct sim_timer *t)
{
	struct hook *h = t->of;
	for (struct caller *k = callers; k; k = k->next)
		if (k->due && k->due <= h->loop.now) {
			k->due = 0;
			sim_conn_dirty(k->conn);
		}
	if (h->record)
		fflush(h->record);
	if ((h->conf.run_for && h->loop.now - h->started >= h->conf.run_for) ||
		(h->conf.count && h->good >= h->conf.count))
		hook_quit(h);
	t->due = h->loop.now + (h->conf.latency.hi ? SIM_MS : 20 * SIM_MS);
}

static void hook_stats(struct hook *h, struct buf *b)
{
	buf_printf(b,
		"{\"requests\":%llu,\"good\":%llu,\"failed\":%llu,\"muted\":%llu,\"unsigned\":%llu,"
		"\"forged\":%llu,\"stale\":%llu,\"repeats\":%llu,\"states\":{",
		(unsigned long long)h->requests, (unsigned long long)h->good,
		(unsigned long long)h->failed, (unsigned long long)h->muted,
		(unsigned long long)h->unsigned_, (unsigned long long)h->forged,
		(unsigned long long)h->stale, (unsigned long long)h->repeats);
	for (unsigned i = 0; i < h->states; i++)
		buf_printf(b, "%s\"%s\":%llu", i ? "," : "", h->state[i].word,
			(unsigned long long)h->state[i].n);
	buf_c(b, "}}");
}

static void hook_usr1(void *of)
{
	struct buf out = BUF_INIT;
	hook_stats(of, &out);
	fprintf(stderr, "%s\n", buf_cstr(&out));
	buf_free(&out);
}

static int conf_listen(void *conf, struct str v, struct err *e)
{
	return sim_addr_parse(&((struct hook_conf *)conf)->listen, v, e);
}

#define AT(field) offsetof(struct hook_conf, field)
static const struct sim_opt hook_opts[] = {
	{ OPT_GROUP, "Listening" },
	{ OPT_CALL, "listen", "ADDR:PORT", "where to listen (127.0.0.1:8090); port 0: any free one",
		.call = conf_listen },
	{ OPT_STR, "port-file", "FILE", "write the port into FILE once listening", AT(port_file) },
	{ OPT_STR, "tls-cert", "FILE", "certificate chain (PEM): https", AT(cert) },
	{ OPT_STR, "tls-key", "FILE", "its key; default: in the same file", AT(key) },
	{ OPT_GROUP, "Checking" },
	{ OPT_STR, "secret", "WORD", "check Postern-Signature with it; what fails gets 401",
		AT(secret) },
	{ OPT_DUR, "tolerance", "TIME", "how far t may be from now (5m)", AT(tolerance) },
	{ OPT_GROUP, "Failing" },
	{ OPT_SHARE, "fail", "SHARE", "answer a share with --fail-status", AT(fail) },
	{ OPT_U64, "fail-status", "N", "500", AT(fail_status) },
	{ OPT_U64, "fail-first", "N", "fail the first N requests", AT(fail_first) },
	{ OPT_SHARE, "mute", "SHARE", "never answer a share", AT(mute) },
	{ OPT_SPAN, "latency", "RANGE", "time until the answer", AT(latency) },
	{ OPT_GROUP, "Watching and ending" },
	{ OPT_STR, "record", "FILE", "a line per webhook taken: time_us, body", AT(record) },
	{ OPT_FLAG, "stats-json", NULL, "print the counts on stdout at the end", AT(stats_json) },
	{ OPT_U64, "count", "N", "end after N good ones", AT(count) },
	{ OPT_DUR, "run-for", "TIME", "end after that", AT(run_for) },
	{ OPT_U64, "seed", "N", "of the chances (1)", AT(seed) },
	{ .name = NULL },
};

static int hook_start(struct hook *h, struct err *e)
{
	if (h->conf.cert.n && !(h->tls = sim_tls_server(h->conf.cert, h->conf.key, e)))
		return -1;
	if (sim_record_open(&h->record, h->conf.record, e) < 0)
		return -1;
	sim_loop_init(&h->loop);
	sim_rng_seed(&h->rng, h->conf.seed);
	h->started = h->loop.now;
	h->listener.of = h;
	h->listener.accepted = hook_accepted;
	if (sim_listen(&h->loop, &h->listener, &h->conf.listen, e) < 0)
		return -1;
	sim_loop_timer(&h->loop, &h->tick, hook_tick, h, h->loop.now + SIM_MS);
	sim_loop_signals(&h->loop, hook_quit, hook_usr1, h);
	return sim_port_told(h->conf.port_file, h->listener.port, e);
}

int sim_webhook_main(int argc, char **argv)
{
	static struct hook h;
	struct err e = { 0 };
	struct buf out = BUF_INIT;
	h.conf = (struct hook_conf){ .listen = { "127.0.0.1", "8090" },
		.fail_status = 500,
		.seed = 1,
		.tolerance = 300 * SIM_S };
	int r = sim_opt_parse(hook_opts,
		"webhook [--listen ADDRESS:PORT] [options]: receives webhooks", &h.conf, argc, argv,
		&e);
	if (r > 0)
		return SIM_OK;
	if (r < 0 || hook_start(&h, &e) < 0) {
		sim_say("webhook: %s", e.text);
		return SIM_USAGE;
	}
	sim_loop_run(&h.loop);
	hook_stats(&h, &out);
	if (h.conf.stats_json)
		printf("%s\n", buf_cstr(&out));
	buf_free(&out);
	if (sim_record_close(&h.record, h.conf.record) < 0)
		return SIM_USAGE;
	return SIM_OK;
}
