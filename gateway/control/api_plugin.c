/* What plugins serve: requests authorized, cut into items, limited, given to the plugin, and
 * answered once, by whoever is first: the plugin or a deadline. See plugins/plugin.h.
 *
 * A request of one piece is a bundle of one item; an array or lines are a bundle of many, whose
 * answers leave together, in order, when the last is there. Memory is bounded: beyond ITEMS_AHEAD
 * undecided items the body stops until half are decided.
 */
#include "gateway/base/log.h"
#include "gateway/control/api_private.h"

enum { ITEMS_AHEAD = 2000, ITEMS_MOST = 1000000, BODY_USUAL = 1 << 20 };

/* One route of a plugin as it is served. */
struct face_route {
	struct plugin_face *face;
	const struct plugin_route *route;
};
struct plugin_face {
	struct api *api;
	struct plugin_host *host;
	struct face_route *routes;
	_Atomic unsigned at_work; /* of intake routes, not answered */
	_Atomic mono_t next;      /* intake_rate: when one more is due */
	struct stat_cell requests, refused, late, took;
};

struct bundle;
struct item {
	struct plugin_request pub; /* first */
	struct bundle *b;          /* until it is answered */
	struct plugin_face *face;
	const struct api_token *t;
	struct item *next;
	_Atomic unsigned refs; /* the plugin's, the bundle's, the timer's, letters' */
	_Atomic bool answered;
	bool limited; /* counted in at_work */
	mono_t began;
	unsigned status;
	bool problem;
	struct buf body;
	/* a deadline */
	bool timed;
	dur_t in;
	void (*late)(struct plugin_request *r);
	struct timer timer;
	struct letter set, cancel;
};

struct bundle {
	struct http_request *r;
	struct plugin_face *face;
	const struct plugin_route *route;
	const struct api_token *t;
	struct json_split split;
	struct item *first, *last;
	unsigned items;
	bool many, gone;
	struct json_faults frame; /* the body itself is broken */
	/* Unanswered items, plus one while the body is still being read. */
	_Atomic unsigned pending;
	_Atomic bool stopped;
};

static struct item *item_of(struct plugin_request *r)
{
	return (struct item *)r;
}

static void item_unref(struct item *it)
{
	if (atomic_fetch_sub(&it->refs, 1) != 1)
		return;
	api_token_release(it->t);
	buf_free(&it->body);
	mem_free(&it);
}

/* ---- the answer of a bundle ---- */
static void put_status(struct buf *b, const struct item *it)
{
	struct str body = buf_view(&it->body);

	if (it->problem) {
		buf_str(b, body); /* has its status */
		return;
	}
	buf_printf(b, "{\"status\":%u", it->status);
	if (body.n > 2 && body.p[0] == '{') {
		buf_char(b, ',');
		buf_str(b, str_skip(body, 1));
	} else if (body.n > 0 && body.p[0] != '{') {
		buf_c(b, ",\"answer\":");
		buf_str(b, body);
		buf_char(b, '}');
	} else {
		buf_char(b, '}');
	}
}

static void answer_many(struct bundle *b)
{
	struct str accept;
	bool lines = http_header(b->r, "Accept", &accept) &&
		     str_find(accept, STR("application/x-ndjson")) >= 0;
	struct buf out = BUF_INIT;

	if (!lines)
		buf_char(&out, '[');
	for (const struct item *it = b->first; it; it = it->next) {
		put_status(&out, it);
		if (lines)
			buf_char(&out, '\n');
		else if (it->next || b->frame.n)
			buf_char(&out, ',');
	}
	/* what came before the fault was taken, and stays so */
	if (b->frame.n)
		http_problem_put_faults(&out, 400, &b->frame);
	if (!lines)
		buf_char(&out, ']');
	http_answer(b->r, 200, lines ? "application/x-ndjson" : "application/json", &out);
}

static void answer_one(struct bundle *b)
{
	struct item *it = b->first;

	if (it->status == 429 || it->status == 503)
		http_answer_header(b->r, "Retry-After", "1");
	http_answer(b->r, it->status,
		it->problem  ? "application/problem+json"
		: it->body.n ? "application/json"
			     : NULL,
		it->body.n ? &it->body : NULL);
}

static void finish(struct bundle *b)
{
	if (b->gone)
		http_drop(b->r);
	else if (b->frame.n && !(b->many && b->first))
		http_problem_faults(b->r, 400, &b->frame);
	else if (!b->many && b->first)
		answer_one(b);
	else
		answer_many(b);
	for (struct item *it = b->first, *next; it; it = next) {
		next = it->next;
		item_unref(it);
	}
	json_split_free(&b->split);
	api_token_release(b->t);
	mem_free(&b);
}

/* One less is awaited. Nobody touches b after the last. */
static void decided(struct bundle *b)
{
	struct http_request *r = b->r;
	unsigned left = atomic_fetch_sub(&b->pending, 1) - 1;

	if (left == 0)
		finish(b);
	else if (left == ITEMS_AHEAD / 2 && atomic_exchange(&b->stopped, false))
		http_resume_body(r);
}

/* ---- deadlines: a timer on the plugin's loop ---- */
static void timer_unset(struct letter *l)
{
	struct item *it = CONTAINER(l, struct item, cancel);

	if (timer_is_set(&it->timer)) {
		timer_cancel(it->pub.host->loop, &it->timer);
		item_unref(it); /* the timer's */
	}
	item_unref(it); /* this letter's */
}

static void timer_over(struct timer *t)
{
	struct item *it = CONTAINER(t, struct item, timer);

	if (!atomic_load(&it->answered)) {
		stat_inc(&it->face->late);
		it->late(&it->pub);
	}
	item_unref(it);
}

static void timer_begin(struct letter *l)
{
	struct item *it = CONTAINER(l, struct item, set);

	if (atomic_load(&it->answered)) {
		item_unref(it);
		return;
	}
	it->timer.fire = timer_over;
	timer_in(it->pub.host->loop, &it->timer, it->in);
}

void plugin_deadline(struct plugin_request *r, dur_t in, void (*late)(struct plugin_request *r))
{
	struct item *it = item_of(r);

	CHECK(!it->timed);
	it->timed = true;
	it->in = in;
	it->late = late;
	it->set.run = timer_begin;
	atomic_fetch_add(&it->refs, 1);
	loop_post(r->host->loop, &it->set);
}

/* ---- answering ---- */
static bool answer(struct item *it, unsigned status, bool problem, struct buf *body)
{
	if (atomic_exchange(&it->answered, true)) {
		if (body)
			buf_free(body);
		return false;
	}
	it->status = status;
	it->problem = problem;
	if (body) {
		it->body = *body;
		*body = BUF_INIT;
	}
	stat_observe(&it->face->took, clock_mono() - it->began);
	if (it->limited)
		atomic_fetch_sub(&it->face->at_work, 1);
	if (it->timed) {
		it->cancel.run = timer_unset;
		atomic_fetch_add(&it->refs, 1);
		loop_post(it->pub.host->loop, &it->cancel);
	}
	decided(it->b);
	return true;
}

bool plugin_answer(struct plugin_request *r, unsigned status, struct buf *json)
{
	return answer(item_of(r), status, false, json);
}

bool plugin_problem(struct plugin_request *r, unsigned status, const char *title,
	const char *detail, const char *field)
{
	struct buf b = BUF_INIT;

	http_problem_put(&b, status, title, detail, field);
	return answer(item_of(r), status, true, &b);
}

bool plugin_problem_faults(struct plugin_request *r, unsigned status, const struct json_faults *f)
{
	struct buf b = BUF_INIT;

	http_problem_put_faults(&b, status, f);
	return answer(item_of(r), status, true, &b);
}

void plugin_request_release(struct plugin_request **rp)
{
	struct item *it = item_of(*rp);

	*rp = NULL;
	if (!atomic_load(&it->answered))
		plugin_problem(&it->pub, 500, NULL, "the plugin gave no answer", NULL);
	item_unref(it);
}

void plugin_request_resume(struct plugin_request *r)
{
	http_resume_body(item_of(r)->b->r);
}

/* ---- limits ---- */
/* A bucket of one second's worth. */
static bool rate_take(struct plugin_face *f, double rate)
{
	dur_t step = (dur_t)((double)DUR_S / rate);
	mono_t now = clock_mono(), next = atomic_load(&f->next), from;

	do {
		from = next > now ? next : now;
		if (from - now > DUR_S)
			return false;
	} while (!atomic_compare_exchange_weak(&f->next, &next, from + step));
	return true;
}

/* False: answered already. */
static bool intake_take(struct item *it)
{
	struct plugin_face *f = it->face;
	unsigned entered = gateway_enter(f->api->g);
	const struct plugin_conf *c = settings_plugin(gateway_settings(f->api->g), f->host->plugin);
	unsigned most = c ? (unsigned)c->intake_most : 1;
	double rate = c ? c->intake_rate : 0;
	const char *why = NULL;

	gateway_leave(f->api->g, entered);
	if (gateway_stopping(f->api->g)) {
		plugin_problem(&it->pub, 503, NULL, "the gateway is stopping", NULL);
		return false;
	}
	if (rate > 0 && !rate_take(f, rate)) {
		why = "over the rate that is taken";
	} else if (atomic_fetch_add(&f->at_work, 1) >= most) {
		atomic_fetch_sub(&f->at_work, 1);
		why = "as many as may be are at work";
	}
	if (!why) {
		it->limited = true;
		return true;
	}
	stat_inc(&f->refused);
	plugin_problem(&it->pub, 429, NULL, why, NULL);
	return false;
}

/* ---- taking requests ---- */
static struct item *item_add(struct bundle *b)
{
	struct item *it = mem_new(struct item);

	it->b = b;
	it->face = b->face;
	it->t = b->t;
	api_token_hold(b->t);
	it->began = clock_mono();
	it->pub = (struct plugin_request){ .host = b->face->host,
		.route = b->route,
		.http = b->r,
		.token = b->t->http.name,
		.submitter = b->t->account->submitter,
		.scopes = b->t->scopes };
	atomic_init(&it->refs, 2);
	if (b->last)
		b->last->next = it;
	else
		b->first = it;
	b->last = it;
	b->items++;
	stat_inc(&b->face->requests);
	atomic_fetch_add(&b->pending, 1);
	return it;
}

static void run_item(struct bundle *b, struct str body)
{
	struct item *it = item_add(b);

	if (b->route->intake && !intake_take(it))
		item_unref(it); /* the plugin never sees it */
	else
		b->route->run(&it->pub, body);
}

static void plugin_begin(struct http_request *r)
{
	const struct face_route *fr = http_owner(r);
	const struct api_token *t = api_authorize_at(fr->face->api, r, fr->route->scope);
	struct bundle *b;
	bool lines;

	if (!t)
		return;
	b = mem_new(struct bundle);
	b->r = r;
	b->face = fr->face;
	b->route = fr->route;
	b->t = t;
	atomic_init(&b->pending, 1);
	if (fr->route->many) {
		lines = http_type_is(r, "application/x-ndjson") ||
			http_type_is(r, "application/jsonl") ||
			http_type_is(r, "application/ndjson");
		json_split_init(&b->split, lines ? JSON_SPLIT_LINES : JSON_SPLIT_AUTO,
			fr->route->body_most ? fr->route->body_most : BODY_USUAL);
	}
	http_set_state(r, b);
	if (fr->route->stream)
		item_add(b);
}

/* Whole bodies. */
static void whole_end(struct http_request *r)
{
	struct bundle *b = http_state(r);

	run_item(b, http_body(r));
	decided(b);
}

/* Bodies as they come. */
static size_t stream_body(struct http_request *r, struct str bytes)
{
	struct bundle *b = http_state(r);

	return b->route->stream(&b->first->pub, bytes, false);
}

static void stream_end(struct http_request *r)
{
	struct bundle *b = http_state(r);

	b->route->stream(&b->first->pub, STR_NONE, true);
	decided(b);
}

/* The client is not there any more. */
static void plugin_gone(struct http_request *r)
{
	struct bundle *b = http_state(r);

	if (!b)
		return;
	b->gone = true;
	if (b->route->stream && b->route->gone)
		b->route->gone(&b->first->pub);
	else if (b->route->stream)
		plugin_problem(&b->first->pub, 400, NULL, "the body is cut off", NULL);
	decided(b);
}

/* Many items. */
static void too_long(struct bundle *b)
{
	struct item *it = item_add(b);

	plugin_problem(&it->pub, 413, NULL, "longer than an item may be", NULL);
	item_unref(it);
}

static size_t many_body(struct http_request *r, struct str bytes)
{
	struct bundle *b = http_state(r);
	struct str rest = bytes, text;

	if (b->frame.n)
		return bytes.n;
	while (rest.n) {
		if (atomic_load(&b->pending) > ITEMS_AHEAD) {
			if (rest.n != bytes.n)
				break; /* what was taken so far; asked again with the rest */
			atomic_store(&b->stopped, true);
			/* decided() may have passed the mark before it saw the flag */
			if (atomic_load(&b->pending) <= ITEMS_AHEAD / 2 &&
				atomic_exchange(&b->stopped, false))
				continue;
			return 0;
		}
		switch (json_split_next(&b->split, &rest, &text, &b->frame)) {
		case JSON_SPLIT_ITEM:
			run_item(b, text);
			break;
		case JSON_SPLIT_LONG:
			too_long(b);
			break;
		case JSON_SPLIT_FAULT:
			return bytes.n;
		default:
			break;
		}
		if (b->items > ITEMS_MOST) {
			json_fault(&b->frame, "", "more than %d items in one request", ITEMS_MOST);
			return bytes.n;
		}
	}
	return bytes.n - rest.n;
}

static void many_end(struct http_request *r)
{
	struct bundle *b = http_state(r);
	enum json_split_got got = JSON_SPLIT_END;
	struct str text;

	while (!b->frame.n &&
		(got = json_split_end(&b->split, &text, &b->frame)) == JSON_SPLIT_ITEM)
		run_item(b, text);
	if (got == JSON_SPLIT_LONG)
		too_long(b);
	b->many = b->split.kind == JSON_SPLIT_ARRAY || b->split.kind == JSON_SPLIT_LINES;
	if (!b->many && !b->first && !b->frame.n)
		json_fault(&b->frame, "", "the body is empty");
	decided(b);
}

/* ---- life ---- */
static unsigned routes_of(const struct plugin *p)
{
	unsigned n = 0;

	while (p->routes && p->routes[n].method)
		n++;
	return n;
}

unsigned api_plugin_count(struct gateway *g)
{
	struct plugin_host *h;
	unsigned n = 0;

	for (size_t i = 0; (h = gateway_plugin_at(g, i)) != NULL; i++)
		n += routes_of(h->plugin);
	return n;
}

static struct http_route http_route_of(struct face_route *fr)
{
	const struct plugin_route *p = fr->route;
	struct http_route r = { .method = p->method,
		.path = p->path,
		.begin = plugin_begin,
		.gone = plugin_gone,
		.owner = fr };

	if (p->stream) {
		r.body = stream_body;
		r.end = stream_end;
		r.body_most = p->body_most ? p->body_most : SIZE_MAX / 2;
	} else if (p->many) {
		r.body = many_body;
		r.end = many_end;
	} else {
		r.end = whole_end;
		r.body_most = p->body_most ? p->body_most : BODY_USUAL;
	}
	return r;
}

void api_plugin_routes(struct api *a, struct http_route *routes, unsigned *n)
{
	struct plugin_host *h;

	while (gateway_plugin_at(a->g, a->faces_n))
		a->faces_n++;
	a->faces = mem_alloc((a->faces_n + 1) * sizeof *a->faces);
	for (size_t i = 0; i < a->faces_n; i++) {
		struct plugin_face *f = &a->faces[i];
		const char *name;
		unsigned count;

		f->host = h = gateway_plugin_at(a->g, i);
		name = h->plugin->name;
		f->api = a;
		count = routes_of(h->plugin);
		f->routes = mem_alloc((count + 1) * sizeof *f->routes);
		for (unsigned k = 0; k < count; k++) {
			f->routes[k] = (struct face_route){ f, &h->plugin->routes[k] };
			routes[(*n)++] = http_route_of(&f->routes[k]);
		}
#define S(field, kind, what, help) \
	stat_register(&f->field, kind, "postern_plugin_" what, help, "plugin", name, NULL)
		S(requests, STAT_COUNTER, "requests_total", "Requests, each item counted.");
		S(refused, STAT_COUNTER, "throttled_total", "Requests refused: over a limit.");
		S(late, STAT_COUNTER, "late_total",
			"Requests answered at their deadline, before their work was done.");
		S(took, STAT_HISTOGRAM, "request_seconds", "From a request to its answer.");
#undef S
	}
}

void api_plugin_free(struct api *a)
{
	for (size_t i = 0; i < a->faces_n; i++) {
		struct plugin_face *f = &a->faces[i];

		stat_unregister(&f->requests);
		stat_unregister(&f->refused);
		stat_unregister(&f->late);
		stat_unregister(&f->took);
		mem_free(&f->routes);
	}
	mem_free(&a->faces);
}
