/* /u/TOKEN: where the links of List-Unsubscribe lead (RFC 8058). Without a token of the API: what
 * is in the link was signed by us, and says whom, of what, and by which message.
 *
 * POST with List-Unsubscribe=One-Click unsubscribes: 200 once it is on disk, told to the plugin
 * that knows consent in the same transaction, and in the history of the message. GET changes
 * nothing, since scanners and previews follow links; it shows a button that does the POST. Where no
 * plugin remembers consent the message's history is all there is, so a message that is forgotten is
 * answered 410: nobody would know. HTTP threads; answers on the API's loop.
 */
#include "gateway/base/log.h"
#include "gateway/control/api_private.h"

enum { A_SECOND = 50, AT_ONCE = 500, RESULTS = UNSUBSCRIBE_RESULTS };
enum { TAKEN, SHOWN, FORGED, EXPIRED, MALFORMED, THROTTLED, FAILED };
_Static_assert((int)FAILED + 1 == (int)RESULTS, "one figure for each");
static const char *const result_words[RESULTS] = { [TAKEN] = "taken",
	[SHOWN] = "shown",
	[FORGED] = "forged",
	[EXPIRED] = "expired",
	[MALFORMED] = "malformed",
	[THROTTLED] = "throttled",
	[FAILED] = "failed" };

void api_unsubscribe_stats(struct api *a, bool on)
{
	for (int i = 0; i < RESULTS; i++)
		if (on)
			stat_register(&a->unsubscribe[i], STAT_COUNTER,
				"postern_unsubscribe_requests_total",
				"Requests of unsubscribe links.", "result", result_words[i], NULL);
		else
			stat_unregister(&a->unsubscribe[i]);
}

/* ---- pages ---- */
static void put_html(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		switch (s.p[i]) {
		case '<':
			buf_c(b, "&lt;");
			break;
		case '>':
			buf_c(b, "&gt;");
			break;
		case '&':
			buf_c(b, "&amp;");
			break;
		case '"':
			buf_c(b, "&quot;");
			break;
		default:
			buf_char(b, s.p[i]);
		}
}

/* The address as its owner knows it again, and hardly anybody else. */
static void put_masked(struct buf *b, struct str address)
{
	ptrdiff_t at = str_index(address, '@');
	struct str rest = address;

	if (at > 0 && str_utf8_next(&rest) >= 0)
		put_html(b, str_n(address.p, (size_t)(rest.p - address.p)));
	buf_c(b, "…");
	if (at >= 0)
		put_html(b, str_skip(address, (size_t)at));
}

static bool wants_html(const struct http_request *r)
{
	struct str accept;

	return http_header(r, "Accept", &accept) && str_find(accept, STR("text/html")) >= 0;
}

static void answer(struct http_request *r, unsigned status, struct str words, struct buf *form)
{
	struct buf b = BUF_INIT;

	http_answer_header(r, "Cache-Control", "no-store");
	http_answer_header(r, "Referrer-Policy", "no-referrer");
	http_answer_header(r, "X-Robots-Tag", "noindex");
	if (!form && !wants_html(r)) {
		buf_str(&b, words);
		buf_char(&b, '\n');
		http_answer(r, status, "text/plain; charset=utf-8", &b);
		return;
	}
	http_answer_header(r, "Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
		"frame-ancestors 'none'");
	buf_c(&b,
		"<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">"
		"<meta name=\"viewport\" content=\"width=device-width\">"
		"<title>Unsubscribe</title><style>body{font:1.1em sans-serif;margin:4em auto;"
		"max-width:32em;padding:0 1em}button{font:inherit;padding:.5em 1em}</style></head>"
		"<body><p>");
	put_html(&b, words);
	buf_c(&b, "</p>");
	if (form)
		buf_str(&b, buf_view(form));
	buf_c(&b, "</body></html>\n");
	http_answer(r, status, "text/html; charset=utf-8", &b);
}

/* ---- the token ---- */
/* False: it was answered. */
static bool read_token(struct http_request *r, struct mail_unsubscribe *u)
{
	struct api *a = api_of(r);
	unsigned entered = gateway_enter(a->g);
	const struct mail_conf *c = &gateway_settings(a->g)->mail;
	enum mail_token_fault fault =
		c->secret ? mail_unsubscribe_check(c, http_wild(r, 0), clock_wall(), u)
			  : MAIL_TOKEN_FORGED;

	gateway_leave(a->g, entered);
	if (fault == MAIL_TOKEN_GOOD)
		return true;
	stat_inc(&a->unsubscribe[fault == MAIL_TOKEN_EXPIRED ? EXPIRED : FORGED]);
	if (fault == MAIL_TOKEN_EXPIRED)
		answer(r, 410, STR("This link is too old. Please use the one of a later message."),
			NULL);
	else
		answer(r, 404,
			STR("This link is not valid. Please open it from the message itself; "
			    "it may have been cut off."),
			NULL);
	return false;
}

/* A bucket of AT_ONCE, filled with A_SECOND each second. Only what is signed gets so far. */
static bool rate_take(struct api *a)
{
	const dur_t step = DUR_S / A_SECOND;
	mono_t now = clock_mono(), next = atomic_load(&a->unsubscribe_next), from;

	do {
		from = next > now ? next : now;
		if (from - now > AT_ONCE * step)
			return false;
	} while (!atomic_compare_exchange_weak(&a->unsubscribe_next, &next, from + step));
	return true;
}

static bool somebody_remembers(struct gateway *g)
{
	struct plugin_host *h;

	for (size_t i = 0; (h = gateway_plugin_at(g, i)) != NULL; i++)
		if (h->plugin->feedback)
			return true;
	return false;
}

/* ---- requests ---- */
void api_unsubscribe_show(struct http_request *r)
{
	struct mail_unsubscribe u;
	struct buf form = BUF_INIT;

	if (!read_token(r, &u))
		return;
	stat_inc(&api_of(r)->unsubscribe[SHOWN]);
	buf_c(&form, "<p><b>");
	put_masked(&form, str_of(u.address));
	buf_c(&form, "</b></p><form method=\"post\"><input type=\"hidden\" "
		     "name=\"List-Unsubscribe\" value=\"One-Click\">"
		     "<button>Unsubscribe</button></form>");
	answer(r, 200, STR("Do you want no more such messages at this address?"), &form);
	buf_free(&form);
}

struct asking {
	struct http_request *r;
	struct api *a;
	bool remembered;
};

static void asked(void *ctx, bool stored, bool known)
{
	struct asking *q = ctx;

	if (!stored) {
		stat_inc(&q->a->unsubscribe[FAILED]);
		http_answer_header(q->r, "Retry-After", "60");
		answer(q->r, 503, STR("This does not work just now. Please try again later."),
			NULL);
	} else if (!known && !q->remembered) {
		stat_inc(&q->a->unsubscribe[EXPIRED]);
		answer(q->r, 410,
			STR("This link is too old. Please use the one of a later message."), NULL);
	} else {
		stat_inc(&q->a->unsubscribe[TAKEN]);
		answer(q->r, 200, STR("You have been unsubscribed."), NULL);
	}
	mem_free(&q);
}

/* RFC 8058 §3.1: urlencoded, or as multipart/form-data. */
static bool is_one_click(const struct http_request *r)
{
	struct str body = http_body(r);

	if (http_type_is(r, "multipart/form-data"))
		return str_find(body, STR("\"List-Unsubscribe\"")) >= 0 &&
		       str_find(body, STR("One-Click")) >= 0;
	return str_find(body, STR("List-Unsubscribe=One-Click")) >= 0;
}

void api_unsubscribe_take(struct http_request *r)
{
	struct api *a = api_of(r);
	struct evidence v = { .kind = EVIDENCE_UNSUBSCRIBE, .by = "one-click" };
	struct mail_unsubscribe u;
	struct asking *q;

	if (!read_token(r, &u))
		return;
	if (!is_one_click(r)) {
		stat_inc(&a->unsubscribe[MALFORMED]);
		answer(r, 400, STR("The body must be List-Unsubscribe=One-Click (RFC 8058)."),
			NULL);
		return;
	}
	if (!rate_take(a)) {
		stat_inc(&a->unsubscribe[THROTTLED]);
		http_answer_header(r, "Retry-After", "10");
		answer(r, 429, STR("There are too many of these just now. Please try again."),
			NULL);
		return;
	}
	v.msg = u.msg;
	memcpy(v.to, u.address, sizeof v.to);
	memcpy(v.row, u.row, sizeof v.row);
	q = mem_new(struct asking);
	*q = (struct asking){ r, a, somebody_remembers(a->g) };
	gateway_evidence(a->g, &v, a->listener->loop, asked, q);
}
