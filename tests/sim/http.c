/* posternsim http: submits over HTTP, by POST /v1/messages (single, array or NDJSON) or by any GET
 * (Kannel's /cgi-bin/sendsms), over keep-alive connections, one request at a time on each.
 * With --rate, latency counts from when a request was due, not from when it could be sent.
 */
#include "tests/sim/http1.h"
#include "tests/sim/loop.h"
#include "tests/sim/opt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum http_form { FORM_SINGLE, FORM_ARRAY, FORM_NDJSON, FORM_GET };

struct http_conf {
	struct sim_addr connect;
	struct str path, token, get, media, from, to, text, extra, json, own_id, record, ca;
	uint64_t connections, count, first, batch, run_for, seed, timeout;
	double rate;
	enum http_form form;
	bool tls, reconnect, resend, retry, expect_accepted, progress;
};

struct caller {
	struct http *http;
	struct sim_conn *conn;
	bool open, busy;
	uint64_t first, n, at, again, sent;
	unsigned index;
};

struct http {
	struct http_conf conf;
	struct sim_loop loop;
	struct sim_timer tick, second;
	SSL_CTX *tls;
	struct caller *caller;
	FILE *record;
	uint64_t next_n, started, began, requests, answers, accepted, refused, lost, connects,
		repeated, last_answer, progress_accepted, busy;
	uint64_t *again; /* numbers to send once more */
	uint64_t again_n, again_cap;
	struct {
		unsigned status;
		uint64_t n;
	} status[32];
	unsigned statuses;
	struct sim_hist latency;
	bool stopping, failed;
	struct buf body, one, line;
};

static const struct sim_conn_ops caller_ops;

static void pattern_of(struct http *h, struct buf *out, struct str pattern, uint64_t n)
{
	struct sim_rng r;
	sim_rng_seed(&r, h->conf.seed * 7919 + n);
	sim_pattern(out, pattern, n, &r);
}

static void put_message(struct http *h, struct buf *out, uint64_t n)
{
	const struct {
		const char *name;
		struct str pattern;
	} keys[] = { { "id", h->conf.own_id }, { "media", h->conf.media }, { "from", h->conf.from },
		{ "to", h->conf.to }, { "text", h->conf.text } };
	char with = '{';
	if (h->conf.json.n) {
		pattern_of(h, out, h->conf.json, n);
		return;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!keys[i].pattern.n)
			continue;
		buf_reset(&h->one);
		pattern_of(h, &h->one, keys[i].pattern, n);
		buf_printf(out, "%c\"%s\":", with, keys[i].name);
		buf_json(out, buf_view(&h->one));
		with = ',';
	}
	if (h->conf.extra.n)
		buf_printf(out, "%c%.*s", with, STR_ARG(h->conf.extra));
	buf_char(out, '}');
}

/* {from}, {to} and {text} in a GET's path are those patterns, URL-encoded. */
static void put_path(struct http *h, struct buf *out, uint64_t n)
{
	struct str left = h->conf.get;
	while (left.n) {
		static const char *const names[] = { "{from}", "{to}", "{text}" };
		const struct str with[] = { h->conf.from, h->conf.to, h->conf.text };
		unsigned i = 0;
		while (i < 3 && !str_starts(left, str_of(names[i])))
			i++;
		if (i == 3) {
			buf_char(out, left.p[0]);
			left = str_skip(left, 1);
			continue;
		}
		buf_reset(&h->one);
		pattern_of(h, &h->one, with[i], n);
		sim_url_encode(out, buf_view(&h->one));
		left = str_skip(left, strlen(names[i]));
	}
}

static void caller_request(struct caller *k)
{
	struct http *h = k->http;
	const struct http_conf *c = &h->conf;
	struct buf *out = &k->conn->out;
	buf_reset(&h->body);
	if (c->form == FORM_GET) {
		put_path(h, &h->body, k->first);
		buf_printf(out, "GET %.*s HTTP/1.1\r\nHost: %s:%s\r\n\r\n",
			STR_ARG(buf_view(&h->body)), c->connect.host, c->connect.port);
	} else {
		if (c->form == FORM_ARRAY)
			buf_char(&h->body, '[');
		for (uint64_t i = 0; i < k->n; i++) {
			if (i)
				buf_char(&h->body, c->form == FORM_ARRAY ? ',' : '\n');
			put_message(h, &h->body, k->first + i);
		}
		if (c->form == FORM_ARRAY)
			buf_char(&h->body, ']');
		buf_printf(out,
			"POST %.*s HTTP/1.1\r\nHost: %s:%s\r\nAuthorization: Bearer %.*s\r\n"
			"Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
			STR_ARG(c->path), c->connect.host, c->connect.port, STR_ARG(c->token),
			c->form == FORM_NDJSON ? "application/x-ndjson" : "application/json",
			h->body.n);
		buf_str(out, buf_view(&h->body));
	}
	h->requests++;
	k->sent = h->loop.now;
	sim_conn_dirty(k->conn);
}

static void again_add(struct http *h, uint64_t n)
{
	if (h->again_n == h->again_cap) {
		h->again_cap = h->again_cap ? h->again_cap * 2 : 256;
		h->again = mem_grow(h->again, h->again_cap * sizeof(*h->again));
	}
	h->again[h->again_n++] = n;
}

static void caller_next(struct caller *k)
{
	struct http *h = k->http;
	uint64_t end = h->conf.first + h->conf.count;
	if (!k->open || k->busy)
		return;
	if (h->again_n) {
		k->first = h->again[--h->again_n];
		k->n = 1;
		k->at = h->loop.now;
		h->repeated++;
	} else {
		if (h->stopping || h->next_n >= end)
			return;
		if (!h->began)
			h->began = h->loop.now;
		k->at = h->loop.now;
		if (h->conf.rate > 0) {
			k->at = h->began + (uint64_t)((double)(h->next_n - h->conf.first) * 1e9 /
						      h->conf.rate);
			if (k->at > h->loop.now)
				return;
		}
		k->first = h->next_n;
		k->n = end - h->next_n < h->conf.batch ? end - h->next_n : h->conf.batch;
		h->next_n += k->n;
	}
	k->busy = true;
	h->busy++;
	caller_request(k);
}

static void count_status(struct http *h, unsigned status)
{
	for (unsigned i = 0; i < h->statuses; i++)
		if (h->status[i].status == status) {
			h->status[i].n++;
			return;
		}
	if (h->statuses < sizeof(h->status) / sizeof(h->status[0])) {
		h->status[h->statuses].status = status;
		h->status[h->statuses++].n = 1;
	}
}

/* time_us id n part from to text, as the ESME's record, so that one proof reads both. */
static void record_accepted(struct http *h, uint64_t n, struct str id)
{
	struct buf *b = &h->line;
	if (!h->record)
		return;
	buf_reset(b);
	buf_printf(b, "%llu\t%.*s\t%llu\t0\t", (unsigned long long)(sim_wall() / SIM_US),
		STR_ARG(id), (unsigned long long)n);
	pattern_of(h, b, h->conf.from, n);
	buf_char(b, '\t');
	pattern_of(h, b, h->conf.to, n);
	buf_char(b, '\t');
	buf_reset(&h->one);
	pattern_of(h, &h->one, h->conf.text, n);
	sim_hex(b, buf_view(&h->one));
	buf_char(b, '\n');
	fwrite(b->p, 1, b->n, h->record);
}

static void one_answer(struct http *h, uint64_t n, unsigned status, struct str id)
{
	count_status(h, status);
	if (status == 202 || (status == 200 && h->conf.json.n)) {
		h->accepted++;
		record_accepted(h, n, id);
	} else if (h->conf.retry && (status == 429 || status == 503)) {
		again_add(h, n);
	} else {
		h->refused++;
	}
}

static struct str field_after(struct str s, const char *key)
{
	ptrdiff_t at = str_find(s, str_of(key));
	if (at < 0)
		return STR_NONE;
	s = str_skip(s, (size_t)at + strlen(key));
	size_t n = 0;
	while (n < s.n && (s.p[n] == ' ' || s.p[n] == ':' || s.p[n] == '"'))
		n++;
	s = str_skip(s, n);
	n = 0;
	while (n < s.n && s.p[n] != '"' && s.p[n] != ',' && s.p[n] != '}')
		n++;
	return str_n(s.p, n);
}

/* A batch is answered by an object per message, in order, each with its "status". */
static void batch_answer(struct caller *k, struct str body)
{
	struct str rest = body;
	for (uint64_t i = 0; i < k->n; i++) {
		uint64_t status = 0;
		ptrdiff_t at = str_find(rest, STR("\"status\""));
		if (at < 0) {
			one_answer(k->http, k->first + i, 0, STR_NONE);
			continue;
		}
		struct str from = str_skip(rest, (size_t)at);
		ptrdiff_t next = str_find(str_skip(from, 8), STR("\"status\""));
		struct str mine = next < 0 ? from : str_n(from.p, (size_t)next + 8);
		str_u64(field_after(mine, "\"status\""), &status);
		one_answer(k->http, k->first + i, (unsigned)status, field_after(mine, "\"id\""));
		rest = str_skip(from, mine.n);
	}
}

static void caller_answer(struct caller *k, const struct sim_http *r)
{
	struct http *h = k->http;
	h->answers++;
	h->last_answer = h->loop.now;
	sim_hist_add(&h->latency, h->loop.now - k->at);
	if (h->conf.form == FORM_SINGLE || h->conf.form == FORM_GET)
		one_answer(h, k->first, r->status, field_after(r->body, "\"id\""));
	else if (r->status == 200)
		batch_answer(k, r->body);
	else
		for (uint64_t i = 0; i < k->n; i++)
			one_answer(h, k->first + i, r->status, STR_NONE);
	k->busy = false;
	h->busy--;
}

static size_t caller_take(struct caller *k, const char *p, size_t n, bool ended)
{
	struct sim_http r;
	size_t took = 0;
	while (k->busy && took < n) {
		long len = sim_http_parse(&r, p + took, n - took, true, ended);
		if (len == 0)
			break;
		if (len < 0) {
			sim_conn_close(k->conn, "that is no HTTP response");
			return n;
		}
		took += (size_t)len;
		if (r.status == 100)
			continue;
		caller_answer(k, &r);
		if (r.close && !ended) {
			sim_conn_close(k->conn, "closed after its answer");
			return n;
		}
		if (!ended)
			caller_next(k);
	}
	return took;
}

static size_t caller_data(struct sim_conn *c, const char *p, size_t n)
{
	return caller_take(c->of, p, n, false);
}

static void caller_closed(struct sim_conn *c, const char *why)
{
	struct caller *k = c->of;
	struct http *h = k->http;
	if (k->busy && c->in_n)
		caller_take(k, c->in, c->in_n, true);
	if (k->busy) {
		k->busy = false;
		h->busy--;
		h->lost += k->n;
		for (uint64_t i = 0; h->conf.resend && i < k->n; i++)
			again_add(h, k->first + i);
		if (!h->conf.reconnect && !h->stopping) {
			sim_say("http: connection %u: %s", k->index, why);
			h->failed = h->stopping = true;
		}
	} else if (!k->open && !h->conf.reconnect && !h->stopping) {
		sim_say("http: connection %u: %s", k->index, why);
		h->failed = h->stopping = true;
	}
	k->again = k->open ? h->loop.now : h->loop.now + 100 * SIM_MS;
	k->open = false;
	k->conn = NULL;
}

static void caller_opened(struct sim_conn *c)
{
	struct caller *k = c->of;
	k->open = true;
	k->http->connects++;
	caller_next(k);
}

static const struct sim_conn_ops caller_ops = { caller_opened, caller_data, caller_closed };

static bool http_done(const struct http *h)
{
	return h->busy == 0 &&
	       (h->stopping || (h->next_n >= h->conf.first + h->conf.count && h->again_n == 0));
}

static void http_tick(struct sim_timer *t)
{
	struct http *h = t->of;
	struct err e;
	if (h->conf.run_for && h->loop.now - h->started >= h->conf.run_for)
		h->stopping = true;
	for (unsigned i = 0; i < h->conf.connections && !http_done(h); i++) {
		struct caller *k = &h->caller[i];
		if (!k->conn && !h->stopping && h->loop.now >= k->again) {
			k->conn = sim_conn_connect(
				&h->loop, &h->conf.connect, &caller_ops, k, h->tls, &e);
			if (!k->conn) {
				sim_say("http: %s", e.text);
				h->failed = h->stopping = true;
			}
		} else if (k->open) {
			caller_next(k);
		}
	}
	if (http_done(h))
		h->loop.stop = true;
	t->due = h->loop.now + SIM_MS;
}

static void http_second(struct sim_timer *t)
{
	struct http *h = t->of;
	for (unsigned i = 0; i < h->conf.connections; i++)
		if (h->caller[i].busy && h->loop.now - h->caller[i].sent > h->conf.timeout)
			sim_conn_close(h->caller[i].conn, "no answer in time");
	if (h->record)
		fflush(h->record);
	if (h->conf.progress)
		sim_say("http: %llu/s accepted, %llu waiting",
			(unsigned long long)(h->accepted - h->progress_accepted),
			(unsigned long long)h->busy);
	h->progress_accepted = h->accepted;
	t->due = h->loop.now + SIM_S;
}

static void http_quit(void *of)
{
	struct http *h = of;
	h->stopping = true;
	h->loop.stop = true;
}

static int conf_connect(void *conf, struct str v, struct err *e)
{
	return sim_addr_parse(&((struct http_conf *)conf)->connect, v, e);
}

static int conf_form(void *conf, struct str v, struct err *e)
{
	struct http_conf *c = conf;
	c->form = str_is(v, "single") ? FORM_SINGLE : str_is(v, "array") ? FORM_ARRAY : FORM_NDJSON;
	return str_is(v, "single") || str_is(v, "array") || str_is(v, "ndjson")
		       ? 0
		       : err_set(e, ERR_CONF, "wants single, array or ndjson");
}

#define AT(field) offsetof(struct http_conf, field)
static const struct sim_opt http_opts[] = {
	{ OPT_GROUP, "Connecting" },
	{ OPT_CALL, "connect", "HOST:PORT", "the HTTP API (127.0.0.1:8080)", .call = conf_connect },
	{ OPT_STR, "token", "TOKEN", "for Authorization: Bearer", AT(token) },
	{ OPT_U64, "connections", "N", "keep-alive connections, one request at a time each (10)",
		AT(connections) },
	{ OPT_FLAG, "tls", NULL, "https", AT(tls) },
	{ OPT_STR, "ca-file", "FILE", "trust this CA and check the certificate", AT(ca) },
	{ OPT_FLAG, "reconnect", NULL, "come back when a connection is lost", AT(reconnect) },
	{ OPT_DUR, "timeout", "TIME", "give an unanswered request up (60s)", AT(timeout) },
	{ OPT_GROUP, "Load" },
	{ OPT_U64, "count", "N", "messages (1)", AT(count) },
	{ OPT_U64, "first", "N", "number of the first (1)", AT(first) },
	{ OPT_F64, "rate", "N/s", "messages/s (open loop); without: as fast as it goes", AT(rate) },
	{ OPT_DUR, "run-for", "TIME", "end after that", AT(run_for) },
	{ OPT_CALL, "form", "FORM", "single (default), array or ndjson", .call = conf_form },
	{ OPT_U64, "batch", "N", "messages per request, with array and ndjson (100)", AT(batch) },
	{ OPT_FLAG, "retry", NULL, "submit again what got 429 or 503", AT(retry) },
	{ OPT_FLAG, "resend", NULL, "submit again what was unanswered when a connection broke",
		AT(resend) },
	{ OPT_GROUP, "Messages (patterns know {n} {n:7} {r:7} {time} {now})" },
	{ OPT_STR, "path", "PATH", "for POST (/v1/messages)", AT(path) },
	{ OPT_STR, "get", "PATH", "GET instead; {from} {to} {text} are put in, URL-encoded",
		AT(get) },
	{ OPT_STR, "media", "WORD", "sms", AT(media) },
	{ OPT_STR, "from", "PATTERN", "Shop", AT(from) },
	{ OPT_STR, "to", "PATTERN", "+4670{n:7}", AT(to) },
	{ OPT_STR, "text", "PATTERN", "Message {n} of posternsim", AT(text) },
	{ OPT_STR, "own-id", "PATTERN", "the caller's id", AT(own_id) },
	{ OPT_STR, "json", "PATTERN",
		"the whole of each item instead, such as an event for --path /v1/events",
		AT(json) },
	{ OPT_STR, "extra", "JSON", "more members, such as '\"priority\":\"bulk\"'", AT(extra) },
	{ OPT_U64, "seed", "N", "of the chances (1)", AT(seed) },
	{ OPT_GROUP, "Judging" },
	{ OPT_FLAG, "expect-accepted", NULL, "exit 1 unless every message was accepted",
		AT(expect_accepted) },
	{ OPT_STR, "record", "FILE", "a line per accepted message", AT(record) },
	{ OPT_FLAG, "progress", NULL, "a line a second on stderr", AT(progress) },
	{ .name = NULL },
};

static int http_start(struct http *h, struct err *e)
{
	struct http_conf *c = &h->conf;
	if (c->get.n)
		c->form = FORM_GET;
	if (c->form == FORM_SINGLE || c->form == FORM_GET)
		c->batch = 1;
	if (!c->connections || c->connections > 10000 || !c->batch || c->batch > 100000)
		return err_set(e, ERR_CONF, "--connections is 1 to 10000, --batch 1 to 100000");
	if (c->tls && !(h->tls = sim_tls_client(c->ca, STR_NONE, STR_NONE, c->ca.n > 0, e)))
		return -1;
	if (sim_record_open(&h->record, c->record, e) < 0)
		return -1;
	sim_loop_init(&h->loop);
	h->started = h->loop.now;
	h->next_n = c->first;
	h->caller = mem_alloc(c->connections * sizeof(*h->caller));
	for (unsigned i = 0; i < c->connections; i++) {
		h->caller[i].http = h;
		h->caller[i].index = i;
	}
	sim_loop_timer(&h->loop, &h->tick, http_tick, h, h->loop.now);
	sim_loop_timer(&h->loop, &h->second, http_second, h, h->loop.now + SIM_S);
	sim_loop_signals(&h->loop, http_quit, NULL, h);
	return 0;
}

static void http_summary(struct http *h, struct buf *b)
{
	uint64_t cpu = sim_cpu(), took = h->last_answer > h->began ? h->last_answer - h->began : 1;
	buf_printf(b,
		"{\"requests\":%llu,\"answers\":%llu,\"accepted\":%llu,\"refused\":%llu,"
		"\"lost_in_flight\":%llu,\"repeated\":%llu,\"connects\":%llu,\"status\":{",
		(unsigned long long)h->requests, (unsigned long long)h->answers,
		(unsigned long long)h->accepted, (unsigned long long)h->refused,
		(unsigned long long)h->lost, (unsigned long long)h->repeated,
		(unsigned long long)h->connects);
	for (unsigned i = 0; i < h->statuses; i++)
		buf_printf(b, "%s\"%u\":%llu", i ? "," : "", h->status[i].status,
			(unsigned long long)h->status[i].n);
	buf_c(b, "},\"latency\":");
	sim_hist_json(b, &h->latency);
	buf_printf(b, ",\"seconds\":%.3f,\"accept_rate\":%.0f,\"cpu_s\":%.3f,\"cpu_us\":%.2f}",
		(double)(h->loop.now - h->started) / 1e9, (double)h->accepted * 1e9 / (double)took,
		(double)cpu / 1e9, h->accepted ? (double)cpu / 1e3 / (double)h->accepted : 0);
}

int sim_http_main(int argc, char **argv)
{
	static struct http h;
	struct err e = { 0 };
	struct buf out = BUF_INIT;
	h.conf = (struct http_conf){ .connect = { "127.0.0.1", "8080" },
		.path = STR("/v1/messages"),
		.media = STR("sms"),
		.from = STR("Shop"),
		.to = STR("+4670{n:7}"),
		.text = STR("Message {n} of posternsim"),
		.connections = 10,
		.count = 1,
		.first = 1,
		.batch = 100,
		.seed = 1,
		.timeout = 60 * SIM_S };
	int r = sim_opt_parse(http_opts, "http [--connect HOST:PORT] [options]: submits over HTTP",
		&h.conf, argc, argv, &e);
	if (r > 0)
		return SIM_OK;
	if (r < 0 || http_start(&h, &e) < 0) {
		sim_say("http: %s", e.text);
		return SIM_USAGE;
	}
	sim_loop_run(&h.loop);
	http_summary(&h, &out);
	printf("%s\n", buf_cstr(&out));
	buf_free(&out);
	if (sim_record_close(&h.record, h.conf.record) < 0)
		return SIM_USAGE;
	if (h.conf.expect_accepted && h.accepted != h.conf.count) {
		sim_say("http: expected otherwise: %llu of %llu accepted",
			(unsigned long long)h.accepted, (unsigned long long)h.conf.count);
		return SIM_FAILED;
	}
	return h.failed ? SIM_FAILED : SIM_OK;
}
