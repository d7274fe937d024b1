/* POST /v1/members, PUT /v1/suppressions: bodies of any length, read as they come, written in
 * slices that wait behind all more urgent work. See import.h.
 *
 * The HTTP thread reads, and stops the body while FLIGHT slices are on their way; the loop hears of
 * each slice's commit and leaves it in a box for the HTTP thread, or, when that has seen the end,
 * makes the answer with the last.
 */
#include "plugins/offers/faces.h"

enum { FLIGHT = 2 };

struct upload {
	struct plugin_request *r;
	struct import *im;
	struct mailbox back;   /* slices that are written; pushed by the loop */
	_Atomic unsigned refs; /* the HTTP thread's, and of each slice on its way */
	unsigned flight;       /* HTTP thread */
	bool single;           /* one JSON object */
	bool made;             /* a new one is 201 */
	bool started, refused, gone;
};
struct upload_slice {
	struct unit u; /* first */
	struct letter letter;
	struct upload *up;
	struct import_slice *slice;
	bool failed;
};

static void letter_run(struct letter *l)
{
	CHECK(l == NULL); /* the box is emptied by hand */
}

/* Counts what came back. The one thread that may touch up->im. */
static void collect(struct upload *up)
{
	struct letter *l = mailbox_take(&up->back);

	while (l) {
		struct upload_slice *s = CONTAINER(l, struct upload_slice, letter);

		l = l->next;
		import_took(up->im, &s->slice, s->failed);
		unit_free(&s->u);
		mem_free(&s);
		up->flight--;
	}
}

static void answer(struct upload *up)
{
	struct import_counts c = import_counts(up->im);
	struct plugin_request *r = up->r;
	struct buf b = BUF_INIT;

	if (up->gone) {
		plugin_problem(r, 400, NULL, "the body is cut off", NULL);
	} else if (import_refused(up->im)) {
		plugin_problem_faults(r, 422, import_refused(up->im));
	} else if (up->single && c.refused && !c.undone) {
		struct json_faults f = { 0 };

		import_faults(up->im, &f);
		plugin_problem_faults(r, 422, &f);
	} else if (c.undone && !c.created && !c.changed) {
		plugin_problem(r, 503, NULL, "The store does not take them; try again.", NULL);
	} else {
		import_report(up->im, &b);
		plugin_answer(r, up->single && up->made && c.created ? 201 : 200, &b);
	}
	buf_free(&b);
}

/* The last one ends it. */
static void upload_unref(struct upload *up)
{
	if (atomic_fetch_sub(&up->refs, 1) != 1)
		return;
	collect(up);
	answer(up);
	plugin_request_release(&up->r);
	import_free(&up->im);
	mailbox_done(&up->back);
	mem_free(&up);
}

/* writer */
static int slice_run(struct plugin_call *c)
{
	struct upload_slice *s = (struct upload_slice *)(void *)c;

	return unit_end(&s->u, import_apply(unit_begin(&s->u, c), s->slice));
}

/* loop */
static void slice_done(struct plugin_call *c)
{
	struct upload_slice *s = (struct upload_slice *)(void *)c;
	struct upload *up = s->up;
	struct plugin_request *r = up->r;

	s->failed = plugin_failed(c);
	if (!s->failed) {
		unit_settled(offers_of(c->host), &s->u);
		if (s->u.cancels_n)
			deeds_cancel(offers_of(c->host), s->u.cancels, s->u.cancels_n, NULL, NULL);
	}
	mailbox_push(&up->back, &s->letter);
	/* it lives at least until our reference goes */
	plugin_request_resume(r);
	upload_unref(up);
}

static void slice_post(struct upload *up, struct import_slice *slice)
{
	struct upload_slice *s;

	if (!slice)
		return;
	s = mem_new(struct upload_slice);
	s->up = up;
	s->slice = slice;
	s->letter.run = letter_run;
	s->u.call.run = slice_run;
	s->u.call.done = slice_done;
	s->u.call.bulk = true;
	s->u.call.refusable = true;
	s->u.call.what = "import";
	up->flight++;
	atomic_fetch_add(&up->refs, 1);
	plugin_call(up->r->host, &s->u.call);
}

/* ---- HTTP thread ---- */

static struct upload *upload_new(struct plugin_request *r, enum import_what what)
{
	struct import_conf c = { .what = what, .verified = true, .media = -1, .row = -1 };
	struct upload *up = mem_new(struct upload);
	struct str v;
	enum media media;
	unsigned entered;
	const struct rules *rules;

	c.form = http_type_is(r->http, "text/csv") ? IMPORT_CSV
		 : http_type_is(r->http, "application/x-ndjson") ||
				 http_type_is(r->http, "application/ndjson") ||
				 http_type_is(r->http, "application/jsonl")
			 ? IMPORT_LINES
			 : IMPORT_JSON;
	if (http_arg(r->http, "media", &v) && media_parse(v, &media) && media < MEDIA_RECEIPT)
		c.media = (int)media;
	if (http_arg(r->http, "verified", &v))
		c.verified = !str_is(v, "false") && !str_is(v, "0");
	c.by = r->token;
	rules = plugin_enter(r->host, &entered);
	c.rules = (struct rules *)(uintptr_t)rules;
	c.country = rules->country;
	up->im = import_new(&c);
	plugin_leave(r->host, entered);
	up->r = r;
	up->refs = 1;
	up->single = c.form == IMPORT_JSON;
	up->made = what == IMPORT_MEMBERS;
	mailbox_init(&up->back);
	r->state = up;
	return up;
}

static void upload_end(struct upload *up)
{
	struct import_slice *slice;

	while (!up->refused && import_end(up->im, &slice) && slice)
		slice_post(up, slice);
	up->r->state = NULL;
	upload_unref(up);
}

static size_t upload(struct plugin_request *r, enum import_what what, struct str octets, bool end)
{
	struct upload *up = r->state ? r->state : upload_new(r, what);
	struct import_slice *slice;
	struct str in = octets;

	collect(up);
	for (size_t i = 0; !up->started && i < octets.n; i++)
		if (!memchr(" \t\r\n", octets.p[i], 4)) {
			up->single &= octets.p[i] != '[';
			up->started = true;
		}
	while (in.n && !up->refused && up->flight < FLIGHT) {
		up->refused = !import_feed(up->im, &in, &slice);
		slice_post(up, slice);
	}
	if (end) {
		upload_end(up);
		return 0;
	}
	return up->refused ? octets.n : octets.n - in.n;
}

size_t members_stream(struct plugin_request *r, struct str octets, bool end)
{
	return upload(r, IMPORT_MEMBERS, octets, end);
}

size_t suppressions_stream(struct plugin_request *r, struct str octets, bool end)
{
	return upload(r, IMPORT_SUPPRESSIONS, octets, end);
}

void upload_gone(struct plugin_request *r)
{
	struct upload *up = r->state;

	if (!up) {
		plugin_problem(r, 400, NULL, "the body is cut off", NULL);
		plugin_request_release(&r);
		return;
	}
	up->gone = up->refused = true;
	upload_end(up);
}
