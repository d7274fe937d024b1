/* GET and DELETE of messages. Single look-ups run on the HTTP thread; searches and cancels, which
 * may wait, on a worker.
 */
#include "gateway/control/api_private.h"
#include "gateway/control/view.h"

enum { SEARCH_MOST = 1000, SEARCH_USUAL = 100 };

static bool may_see(const struct api_token *t, const struct store_view *v)
{
	return t->scopes & SCOPE_ADMIN || v->submitter == t->account->submitter;
}

static bool path_id(struct http_request *r, uint64_t *id_r)
{
	if (str_u64(http_wild(r, 0), id_r))
		return true;
	http_problem(r, 404, NULL, "message ids are digits", NULL);
	return false;
}

static void show(struct http_request *r, const struct api_token *t, uint64_t id)
{
	struct gateway *g = api_of(r)->g;
	struct store_view v;
	struct buf b = BUF_INIT;
	struct err e;
	int found = store_find(gateway_store(g), id, true, &v, &e);

	if (found < 0) {
		http_problem(r, 503, NULL, e.text, NULL);
		return;
	}
	if (found == 0 || !may_see(t, &v)) {
		if (found)
			store_view_free(&v);
		http_problem(r, 404, NULL, "there is no such message", NULL);
		return;
	}
	view_put_json(&b, g, &v, true);
	store_view_free(&v);
	http_answer(r, 200, "application/json", &b);
}

void api_get_message(struct http_request *r)
{
	const struct api_token *t = api_authorize(r, SCOPE_MESSAGES);
	uint64_t id;

	if (!t)
		return;
	if (path_id(r, &id))
		show(r, t, id);
	api_token_release(t);
}

void api_get_client(struct http_request *r)
{
	const struct api_token *t = api_authorize(r, SCOPE_MESSAGES);
	uint64_t id;
	struct err e;
	int found;

	if (!t)
		return;
	found = store_find_client(
		gateway_store(api_of(r)->g), t->account->submitter, http_wild(r, 0), &id, &e);
	if (found < 0)
		http_problem(r, 503, NULL, e.text, NULL);
	else if (found == 0)
		http_problem(r, 404, NULL, "there is no message under that id", NULL);
	else
		show(r, t, id);
	api_token_release(t);
}

/* ---- on a worker ---- */
struct query {
	struct chore work; /* first */
	struct http_request *r;
	struct gateway *g;
	const struct api_token *t;
	uint64_t id;
	struct store_filter f;
	struct address to;
	struct buf out;
	unsigned n;
};

static struct query *query_new(
	struct http_request *r, const struct api_token *t, void (*call)(struct chore *))
{
	struct query *q = mem_new(struct query);

	q->r = r;
	q->g = api_of(r)->g;
	q->t = t;
	q->work.call = call;
	return q;
}

static bool search_row(void *ctx, const struct store_view *v)
{
	struct query *q = ctx;

	if (q->n++)
		buf_char(&q->out, ',');
	view_put_json(&q->out, q->g, v, false);
	return true;
}

static void search_call(struct chore *w)
{
	struct query *q = (struct query *)w;
	struct err e = { 0 };
	uint64_t next = 0;

	buf_c(&q->out, "{\"messages\":[");
	q->f.down_to = &next;
	if (store_search(gateway_store(q->g), &q->f, search_row, q, &e) < 0) {
		http_problem(q->r, 503, NULL, e.text, NULL);
		buf_free(&q->out);
	} else {
		buf_char(&q->out, ']');
		if (next)
			buf_printf(&q->out, ",\"next\":\"%lu\"", next);
		if (next && q->n < q->f.most) /* the time was over before */
			buf_c(&q->out, ",\"incomplete\":true");
		buf_char(&q->out, '}');
		http_answer(q->r, 200, "application/json", &q->out);
	}
	api_token_release(q->t);
	mem_free(&q);
}

static void time_arg(
	const struct http_request *r, const char *name, wall_t *t_r, struct json_faults *faults)
{
	struct str v;

	if (http_arg(r, name, &v) && !conf_parse_when(v, clock_wall(), t_r))
		json_fault(faults, name,
			"must be a time like 2026-11-22T10:00:00Z, or a duration before now");
}

bool api_read_filter(
	const struct http_request *r, struct store_filter *f, struct json_faults *faults)
{
	struct str v;
	enum state state;
	enum media media;
	uint64_t n;

	*f = (struct store_filter){ .state = -1, .media = -1, .most = SEARCH_USUAL };
	if (http_arg(r, "to", &v))
		f->to = v;
	if (http_arg(r, "from", &v))
		f->from = v;
	if (http_arg(r, "state", &v)) {
		if (state_parse(v, &state))
			f->state = (int)state;
		else
			json_fault(faults, "state", "is not a state of messages");
	}
	if (http_arg(r, "media", &v)) {
		if (media_parse(v, &media))
			f->media = (int)media;
		else
			json_fault(faults, "media", "is not a medium");
	}
	if (http_arg(r, "limit", &v)) {
		if (str_u64(v, &n) && n > 0)
			f->most = n > SEARCH_MOST ? SEARCH_MOST : (unsigned)n;
		else
			json_fault(faults, "limit", "must be a number from 1");
	}
	if (http_arg(r, "before", &v) && !str_u64(v, &f->before_id))
		json_fault(faults, "before", "must be a message id");
	time_arg(r, "since", &f->since, faults);
	time_arg(r, "until", &f->until, faults);
	return faults->n == 0;
}

void api_search(struct http_request *r)
{
	const struct api_token *t = api_authorize(r, SCOPE_MESSAGES);
	struct json_faults faults = { 0 };
	struct store_filter f;
	struct query *q;

	if (!t)
		return;
	if (!api_read_filter(r, &f, &faults)) {
		http_problem_faults(r, 400, &faults);
		api_token_release(t);
		return;
	}
	if (!(t->scopes & SCOPE_ADMIN))
		f.submitter = t->account->submitter;
	q = query_new(r, t, search_call);
	q->f = f;
	q->f.to = view_number(q->g, f.to, &q->to);
	workers_do(&q->work);
}

static void cancel_call(struct chore *w)
{
	struct query *q = (struct query *)w;
	uint32_t who = q->t->scopes & SCOPE_ADMIN ? 0 : q->t->account->submitter;
	enum reason why = gateway_cancel(q->g, q->id, who);
	struct buf b = BUF_INIT;
	const char *field;

	if (why == REASON_NONE) {
		buf_printf(&b, "{\"id\":\"%lu\",\"state\":\"cancelled\"}", q->id);
		http_answer(q->r, 200, "application/json", &b);
	} else {
		http_problem(q->r, api_status_of(why, &field), NULL, reason_text(why), NULL);
	}
	api_token_release(q->t);
	mem_free(&q);
}

void api_cancel(struct http_request *r)
{
	const struct api_token *t = api_authorize(r, SCOPE_MESSAGES);
	struct query *q;
	uint64_t id;

	if (!t)
		return;
	if (!path_id(r, &id)) {
		api_token_release(t);
		return;
	}
	q = query_new(r, t, cancel_call);
	q->id = id;
	workers_do(&q->work);
}
