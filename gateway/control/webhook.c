/* Webhooks: receipts and subscribers' messages POSTed to a token's URL, signed, in order per
 * message (flow lends one of each message at a time), retried with back-off until webhook_give_up.
 * The API's loop. What is owed is in the store; here are only the notes that are being told or wait
 * for their next try.
 */
#include "gateway/base/backoff.h"
#include "gateway/base/log.h"
#include "gateway/control/api_private.h"
#include "gateway/http/client.h"
#include "gateway/http/sign.h"

enum { AT_ONCE = 64, WAIT_MOST = 1000, TROUBLE = 8, ANSWER_MOST = 4096 };
#define RETRY_FIRST DUR_S
#define RETRY_MOST  (15 * DUR_MIN)
#define DEADLINE    (30 * DUR_S)

/* One note on its way or waiting. */
struct told {
	struct list link;
	struct hook *h;
	struct note *n;
	struct http_call *call; /* NULL: it waits */
	mono_t again;
};
/* account->self */
struct hook {
	struct account *a;
	const struct token_conf *conf; /* NULL or without webhook: nothing is told */
	struct http_client *client;
	struct http_way way;
	struct list told; /* in the order in which they came */
	unsigned calls, waiting, fails;
	mono_t until; /* the far side is in trouble: nothing before this */
	struct timer timer;
	struct log_quiet quiet;
	bool stopping;
};

static void hook_pump(struct hook *h);

size_t webhook_account_size(void)
{
	return sizeof(struct hook);
}

static void timer_fired(struct timer *t)
{
	hook_pump(CONTAINER(t, struct hook, timer));
}

void webhook_account_open(struct account *a)
{
	struct hook *h = a->self;

	h->a = a;
	h->timer.fire = timer_fired;
	list_init(&h->told);
}

/* ---- what is told ---- */
static void put_receipt(struct buf *b, const struct note *n)
{
	buf_printf(b, "{\"type\":\"receipt\",\"seq\":\"%lu\",\"id\":\"%lu\"", n->seq, n->msg);
	buf_json_member(b, "client_id", str_of(n->client_id));
	buf_printf(b, ",\"media\":\"%s\",\"state\":\"%s\",\"final\":%s", media_word(n->media),
		state_word(n->state), n->kind == NOTE_INTERMEDIATE ? "false" : "true");
	if (n->kind == NOTE_CORRECTION)
		buf_c(b, ",\"correction\":true");
	if (n->reason != REASON_NONE) {
		buf_json_member(b, "reason", str_of(reason_word(n->reason)));
		buf_json_member(b, "reason_text", str_of(reason_text(n->reason)));
	}
	buf_json_member(b, "error", str_of(n->err));
	buf_json_member(b, "from", str_of(n->from));
	buf_json_member(b, "to", str_of(n->to));
	clock_json_member(b, "accepted_at", n->accepted);
	clock_json_member(b, "at", n->at);
	if (n->parts > 1)
		buf_printf(b, ",\"parts\":%u,\"parts_delivered\":%u", n->parts, n->parts_delivered);
	buf_char(b, '}');
}

static void put_subscriber(struct buf *b, const struct note *n)
{
	const struct message *m = n->mo;
	struct str octets = message_get(m, FIELD_OCTETS);

	buf_printf(b, "{\"type\":\"message\",\"seq\":\"%lu\",\"media\":\"%s\"", n->seq,
		media_word(m->media));
	buf_json_member(b, "from", message_get(m, FIELD_FROM));
	buf_json_member(b, "to", message_get(m, FIELD_TO));
	buf_json_member(b, "text", message_get(m, FIELD_TEXT));
	if (!message_has(m, FIELD_TEXT) && octets.n) {
		buf_printf(b, ",\"data_coding\":%u,\"octets\":\"", m->sms.data_coding);
		for (size_t i = 0; i < octets.n; i++)
			buf_printf(b, "%02x", (unsigned char)octets.p[i]);
		buf_char(b, '"');
	}
	clock_json_member(b, "at", n->at);
	buf_char(b, '}');
}

/* ---- telling ---- */
static void told_free(struct told *t)
{
	list_remove(&t->link);
	mem_free(&t);
}

/* The note goes back to flow with this outcome. */
static void told_end(struct told *t, const struct outcome *o)
{
	struct hook *h = t->h;
	struct note *n = t->n;

	told_free(t);
	note_done(h->a, n, o);
}

static void set_credit(struct hook *h)
{
	bool on = h->conf && h->conf->webhook[0] && !h->stopping;
	unsigned most = h->waiting < WAIT_MOST ? h->waiting + AT_ONCE : WAIT_MOST;

	/* in trouble: what is here already is enough to try with */
	account_credit(h->a, !on ? 0 : h->until ? h->waiting + h->calls : most);
}

static void failed(struct told *t, const struct http_reply *r)
{
	struct hook *h = t->h;
	struct outcome o;
	unsigned held;
	dur_t wait, wished;

	t->call = NULL;
	if (clock_wall() - t->n->at > h->conf->webhook_give_up) {
		o = r->status ? outcome_words(REASON_ATTEMPTS, "webhook answered %u", r->status)
			      : outcome_words(REASON_ATTEMPTS, "%.90s", r->why.text);
		told_end(t, &o);
		return;
	}
	t->n->attempts++;
	/* What was under way when the trouble was noticed says nothing new. */
	if (!h->until || loop_now(h->a->loop) >= h->until)
		h->fails++;
	wait = backoff_of(RETRY_FIRST, RETRY_MOST, 2, t->n->attempts);
	if (http_retry_after(r, &wished) && wished > wait)
		wait = wished < RETRY_MOST ? wished : RETRY_MOST;
	t->again = loop_now(h->a->loop) + wait;
	h->waiting++;
	if (h->fails >= TROUBLE && loop_now(h->a->loop) >= h->until)
		h->until = loop_now(h->a->loop) +
			   backoff_of(RETRY_FIRST, DUR_MIN, 1.5, h->fails - TROUBLE + 1);
	if (log_due(&h->quiet, &held)) {
		struct buf origin = BUF_INIT;

		http_url_origin(&origin, h->conf->webhook);
		log_warn("webhook failed", F_ID("msg", t->n->msg), F_STR("token", h->a->name),
			F_SLICE("to", buf_view(&origin)), F_U64("status", r->status),
			F_STR("why", r->status ? "" : r->why.text), F_DUR("again_in", wait),
			F_U64("more_like_it", held));
		buf_free(&origin);
	}
}

static void answered(void *owner, const struct http_reply *r)
{
	struct told *t = owner;
	struct hook *h = t->h;
	struct outcome o = outcome_of(REASON_NONE);

	h->calls--;
	if (r->status >= 200 && r->status < 300) {
		h->fails = 0;
		h->until = 0;
		told_end(t, &o);
	} else {
		failed(t, r);
	}
	hook_pump(h);
}

static void tell(struct told *t)
{
	struct hook *h = t->h;
	struct buf body = BUF_INIT, sign = BUF_INIT;
	const char *headers[4] = { "Content-Type: application/json",
		"User-Agent: postern/" POSTERN_VERSION };
	struct http_ask ask = {
		.method = "POST",
		.url = h->conf->webhook,
		.headers = headers,
		.body = &body,
		.way = &h->way,
		.deadline = DEADLINE,
		.answer_most = ANSWER_MOST,
	};

	if (t->n->kind == NOTE_MO && t->n->mo)
		put_subscriber(&body, t->n);
	else
		put_receipt(&body, t->n);
	buf_c(&sign, "Postern-Signature: ");
	http_sign(&sign, str_of(h->conf->webhook_secret), clock_wall(), buf_view(&body));
	headers[2] = buf_cstr(&sign);
	h->calls++;
	t->call = http_call(h->client, &ask, answered, t);
	buf_free(&sign);
	buf_free(&body);
}

static void hook_pump(struct hook *h)
{
	mono_t now = loop_now(h->a->loop), wake = 0;
	unsigned most = AT_ONCE;

	if (h->stopping || !h->conf || !h->conf->webhook[0])
		return;
	if (h->until) {
		most = now >= h->until ? 1 : 0; /* one tries whether it is well again */
		if (!most)
			wake = h->until;
	}
	list_each_safe (it, &h->told) {
		struct told *t = CONTAINER(it, struct told, link);

		if (h->calls >= most)
			break;
		if (t->call)
			continue;
		if (t->again > now && !h->until) {
			if (!wake || t->again < wake)
				wake = t->again;
			continue;
		}
		h->waiting--;
		tell(t);
	}
	set_credit(h);
	if (wake)
		timer_set(h->a->loop, &h->timer, wake);
}

void webhook_notify(struct account *a, struct note *n)
{
	struct hook *h = a->self;
	struct told *t = mem_new(struct told);

	t->h = h;
	t->n = n;
	list_append(&h->told, &t->link);
	h->waiting++;
	/* Not at once: flow is in the middle of lending. */
	if (!timer_is_set(&h->timer) || h->timer.at > loop_now(a->loop))
		timer_set(a->loop, &h->timer, loop_now(a->loop));
}

/* ---- settings and end ---- */
static void give_all_back(struct hook *h)
{
	struct outcome o = outcome_of(REASON_STOPPING);

	list_each_safe (it, &h->told) {
		struct told *t = CONTAINER(it, struct told, link);

		if (t->call)
			http_cancel(&t->call);
		told_end(t, &o);
	}
	h->calls = h->waiting = 0;
	timer_cancel(h->a->loop, &h->timer);
}

void webhook_configure(struct account *a, const struct token_conf *t)
{
	struct hook *h = a->self;
	bool had = h->conf && h->conf->webhook[0], has = t && t->webhook[0];

	h->conf = t;
	if (!has) {
		account_credit(a, 0);
		if (had)
			give_all_back(h);
		return;
	}
	h->way = (struct http_way){ .allow_private = t->webhook_private,
		.ca_file = t->webhook_ca_file };
	if (!h->client)
		h->client = http_client_new(a->loop, NULL);
	h->stopping = false;
	account_credit(a, AT_ONCE);
	hook_pump(h);
}

void webhook_account_close(struct account *a)
{
	webhook_configure(a, NULL);
}

static void hook_stop(struct flow_account *a)
{
	struct hook *h = a->pub.self;

	h->stopping = true;
	account_credit(&a->pub, 0);
	give_all_back(h);
	if (h->client)
		http_client_free(&h->client);
}

void webhook_stop(struct listener *l)
{
	struct flow_listener *fl = (struct flow_listener *)l;

	gateway_each_account(fl->gw, l->protocol->name, hook_stop);
}
