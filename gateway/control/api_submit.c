/* POST /v1/messages: one message, an array, or lines, taken as they stream in. The HTTP thread
 * reads and parses; the API's loop admits; the answer leaves when every item is on disk or refused.
 *
 * Memory is bounded: beyond ITEMS_AHEAD undecided items the body stops until half are decided.
 */
#include "gateway/base/log.h"
#include "gateway/base/waiter.h"
#include "gateway/control/api_private.h"

/* Attachments beyond INLINE_MOST are no part of an item: they go to the spool as they come. */
enum { ITEM_MOST = 8 << 20, ITEMS_AHEAD = 2000, ITEMS_MOST = 1000000, INLINE_MOST = 32 << 10 };

struct submission;
struct item {
	struct letter letter;
	struct item *next;
	struct submission *s;
	struct message *msg; /* until it is handed to flow */
	bool dry_run, names_channel;
	char spool[SPOOL_NAME]; /* the file of its attachments, "" none */
	struct answer answer;
	struct rehearsal trial;
	struct json_faults *faults; /* did not get as far as flow */
	unsigned status;            /* with faults */
};

struct submission {
	struct http_request *r; /* NULL: from the control socket */
	struct api *api;
	const struct api_token *t;
	struct json_split split;
	struct strain *strain; /* NULL: the body is too short for what it takes out */
	struct buf left;       /* of what came, not cut yet */
	struct item *first, *last;
	unsigned items;
	bool many, ended, gone;
	struct json_faults frame; /* the body itself is broken */
	/* Undecided items, plus one while the body is still being read. */
	_Atomic unsigned pending;
	_Atomic bool stopped;
	struct waiter *waiter; /* control socket */
};

/* What would become of it, in the words of GET /v1/messages/ID. */
static void put_trial(struct buf *b, const struct rehearsal *d)
{
	buf_printf(b, "{\"status\":200,\"dry_run\":true,\"parts\":%u,\"channel\":", d->trial.parts);
	buf_json(b, str_of(d->trial.channel));
	buf_printf(b, ",\"state\":\"%s\"", state_word(d->state));
	if (d->due && d->state == STATE_QUEUED) {
		buf_c(b, ",\"due_at\":\"");
		clock_put_rfc3339(b, d->due);
		buf_c(b, "\"");
	}
	if (d->reason != REASON_NONE) {
		buf_printf(b, ",\"reason\":\"%s\",\"reason_text\":", reason_word(d->reason));
		buf_json(b, str_of(reason_text(d->reason)));
	}
	if (d->words[0]) {
		buf_c(b, ",\"words\":");
		buf_json(b, str_of(d->words));
	}
	buf_char(b, '}');
}

static void put_item(struct buf *b, const struct item *it, unsigned *status_r)
{
	const char *field;

	if (it->faults) {
		*status_r = it->status;
		http_problem_put_faults(b, it->status, it->faults);
	} else if (it->answer.reason != REASON_NONE) {
		*status_r = api_status_of(it->answer.reason, &field);
		if (it->answer.reason == REASON_BAD_TIME &&
			str_starts(str_of(it->answer.words), STR("send_at")))
			field = "/send_at";
		if (it->names_channel && it->answer.reason == REASON_NO_ROUTE)
			field = "/channel";
		http_problem_put(b, *status_r, reason_text(it->answer.reason),
			it->answer.words[0] ? it->answer.words : reason_text(it->answer.reason),
			field);
	} else if (it->dry_run) {
		*status_r = 200;
		put_trial(b, &it->trial);
	} else {
		*status_r = 202;
		buf_printf(b, "{\"status\":202,\"id\":\"%lu\"%s}", it->answer.id,
			it->answer.duplicate ? ",\"duplicate\":true" : "");
	}
}

static void answer_one(struct submission *s, struct item *it)
{
	struct buf b = BUF_INIT;
	unsigned status;

	if (it->faults) {
		http_problem_faults(s->r, it->status, it->faults);
		return;
	}
	if (it->answer.reason == REASON_NONE && !it->dry_run) {
		buf_printf(&b, "{\"id\":\"%lu\"%s}", it->answer.id,
			it->answer.duplicate ? ",\"duplicate\":true" : "");
		http_answer(s->r, 202, "application/json", &b);
		return;
	}
	put_item(&b, it, &status);
	if (status == 429 || status == 503)
		http_answer_header(s->r, "Retry-After", "1");
	http_answer(
		s->r, status, status == 200 ? "application/json" : "application/problem+json", &b);
}

static void answer_many(struct submission *s)
{
	struct str accept;
	bool lines = http_header(s->r, "Accept", &accept) &&
		     str_find(accept, STR("application/x-ndjson")) >= 0;
	struct buf b = BUF_INIT;
	unsigned status;

	if (!lines)
		buf_char(&b, '[');
	for (struct item *it = s->first; it; it = it->next) {
		put_item(&b, it, &status);
		if (lines)
			buf_char(&b, '\n');
		else if (it->next || s->frame.n)
			buf_char(&b, ',');
	}
	/* what came before the fault was taken, and stays so */
	if (s->frame.n)
		http_problem_put_faults(&b, 400, &s->frame);
	if (!lines)
		buf_char(&b, ']');
	http_answer(s->r, 200, lines ? "application/x-ndjson" : "application/json", &b);
}

static void submission_free(struct submission *s)
{
	for (struct item *it = s->first, *next; it; it = next) {
		next = it->next;
		message_unref(&it->msg);
		mem_free(&it->faults);
		mem_free(&it);
	}
	json_split_free(&s->split);
	strain_free(&s->strain);
	buf_free(&s->left);
	api_token_release(s->t);
	mem_free(&s);
}

/* Everything is decided and the body is at its end: on whatever thread was last. */
static void finish(struct submission *s)
{
	if (s->waiter) {
		waiter_signal(s->waiter);
		return;
	}
	if (s->gone)
		http_drop(s->r);
	else if (s->frame.n && !(s->many && s->first))
		http_problem_faults(s->r, 400, &s->frame);
	else if (!s->many && s->first)
		answer_one(s, s->first);
	else
		answer_many(s);
	submission_free(s);
}

/* One less is awaited. Nobody touches s after the last. */
static void decided(struct submission *s)
{
	struct http_request *r = s->r;
	unsigned left = atomic_fetch_sub(&s->pending, 1) - 1;

	if (left == 0)
		finish(s);
	else if (left == ITEMS_AHEAD / 2 && atomic_exchange(&s->stopped, false))
		http_resume_body(r);
}

/* ---- a file that no message names after all ---- */
struct removal {
	struct chore work; /* first */
	struct spool *spool;
	char name[SPOOL_NAME];
};

static void removal_call(struct chore *w)
{
	struct removal *r = (struct removal *)w;

	spool_remove(r->spool, str_of(r->name));
	mem_free(&r);
}

static void remove_file(const struct item *it)
{
	struct removal *r = mem_new(struct removal);

	r->spool = gateway_spool(it->s->api->g);
	memcpy(r->name, it->spool, sizeof r->name);
	r->work.call = removal_call;
	workers_do(&r->work);
}

void api_submit_answer(struct listener *l, void *token, const struct answer *a)
{
	struct item *it = token;

	it->answer = *a;
	/* where the store failed it may have been committed: the next start knows */
	if (it->spool[0] && a->reason != REASON_STORE && (a->reason != REASON_NONE || a->duplicate))
		remove_file(it);
	decided(it->s);
}

static void item_tried(struct rehearsal *d)
{
	struct item *it = CONTAINER(d, struct item, trial);

	it->answer = d->answer;
	decided(it->s);
}

/* On the API's loop. */
static void item_run(struct letter *l)
{
	struct item *it = CONTAINER(l, struct item, letter);
	struct submission *s = it->s;
	struct message *m = it->msg;

	it->msg = NULL;
	it->names_channel = message_has(m, FIELD_CHANNEL);
	if (it->dry_run) {
		it->trial.loop = loop_self();
		it->trial.done = item_tried;
		message_rehearse(s->t->account, m, &it->trial);
	} else {
		message_arrived(s->api->listener, s->t->account, m, it);
	}
}

static struct item *item_add(struct submission *s)
{
	struct item *it = mem_new(struct item);

	it->s = s;
	if (s->last)
		s->last->next = it;
	else
		s->first = it;
	s->last = it;
	s->items++;
	return it;
}

static struct api_terms terms_now(const struct submission *s)
{
	unsigned entered = gateway_enter(s->api->g);
	struct api_terms t = api_terms_of(s->api->g, s->t);

	gateway_leave(s->api->g, entered);
	return t;
}

static void take_item(struct submission *s, struct str text)
{
	struct item *it = item_add(s);
	struct json_faults f = { 0 };
	struct api_terms terms = terms_now(s);
	struct api_input in = { 0 };
	json_t *v = json_read(text, &f);

	terms.strain = s->strain;
	it->status = 400;
	if (v && api_read_message(&terms, v, &in, &f) && in.big && !in.dry_run &&
		!api_spool(&in, it->spool)) {
		json_fault(&f, "/attachments", "there is no room on the disk for them");
		message_unref(&in.msg);
		it->status = 503;
	} else if (in.big_fault) {
		it->status = 503;
	}
	if (!in.msg) {
		it->faults = mem_new(struct json_faults);
		*it->faults = f;
	} else {
		it->msg = in.msg;
		it->dry_run = in.dry_run;
		it->letter.run = item_run;
		atomic_fetch_add(&s->pending, 1);
		loop_post(s->api->listener->loop, &it->letter);
	}
	json_decref(v);
	if (s->strain)
		strain_forget(s->strain, text);
}

static void take_too_long(struct submission *s)
{
	struct item *it = item_add(s);

	it->faults = mem_new(struct json_faults);
	json_fault(it->faults, "", "a message may have %d bytes", ITEM_MOST);
	it->status = 413;
}

static struct submission *submission_new(
	struct api *api, const struct api_token *t, enum json_split_kind kind)
{
	struct submission *s = mem_new(struct submission);

	s->api = api;
	s->t = t;
	json_split_init(&s->split, kind, ITEM_MOST);
	atomic_init(&s->pending, 1);
	return s;
}

void api_submit_begin(struct http_request *r)
{
	const struct api_token *t = api_authorize(r, SCOPE_MESSAGES);
	struct submission *s;
	struct str length;
	uint64_t n;
	bool lines;

	if (!t)
		return;
	if (http_header(r, "Content-Encoding", &length) && !str_ieq(length, STR("identity"))) {
		http_answer_header(r, "Accept-Encoding", "identity");
		http_problem(r, 415, NULL, "Content-Encoding: bodies are read as they are", NULL);
		api_token_release(t);
		return;
	}
	lines = http_type_is(r, "application/x-ndjson") || http_type_is(r, "application/jsonl") ||
		http_type_is(r, "application/ndjson");
	s = submission_new(api_of(r), t, lines ? JSON_SPLIT_LINES : JSON_SPLIT_AUTO);
	if (!http_header(r, "Content-Length", &length) || !str_u64(length, &n) || n > INLINE_MOST)
		s->strain = strain_new(gateway_spool(s->api->g), lines, INLINE_MOST);
	s->r = r;
	http_set_state(r, s);
}

/* Items out of *rest; false: the body has to wait, and what is left of *rest with it. */
static bool cut(struct submission *s, struct str *rest)
{
	struct str text;

	while (rest->n && !s->frame.n) {
		if (atomic_load(&s->pending) > ITEMS_AHEAD)
			return false;
		switch (json_split_next(&s->split, rest, &text, &s->frame)) {
		case JSON_SPLIT_ITEM:
			take_item(s, text);
			break;
		case JSON_SPLIT_LONG:
			take_too_long(s);
			break;
		default:
			break;
		}
		if (s->items > ITEMS_MOST)
			json_fault(
				&s->frame, "", "more than %d messages in one request", ITEMS_MOST);
	}
	return true;
}

/* So many are undecided that the body stops; false: not any more. */
static bool stop(struct submission *s)
{
	atomic_store(&s->stopped, true);
	/* decided() may have passed the mark before it saw the flag */
	return atomic_load(&s->pending) > ITEMS_AHEAD / 2 || !atomic_exchange(&s->stopped, false);
}

static bool cut_left(struct submission *s)
{
	struct str rest = buf_view(&s->left);
	bool all = cut(s, &rest);

	buf_drop(&s->left, s->frame.n ? s->left.n : s->left.n - rest.n);
	return all;
}

size_t api_submit_body(struct http_request *r, struct str bytes)
{
	struct submission *s = http_state(r);
	struct str rest = bytes;

	if (!s->strain) {
		while (!cut(s, &rest))
			if (rest.n != bytes.n || stop(s))
				break; /* what was taken so far; asked again with the rest */
		return s->frame.n ? bytes.n : bytes.n - rest.n;
	}
	while (!cut_left(s))
		if (stop(s))
			return 0;
	if (!s->frame.n)
		strain_take(s->strain, bytes, &s->left);
	cut_left(s); /* or before the next piece, or at the end */
	return bytes.n;
}

/* The last piece may hold more items than may be undecided; it is short. */
static void finish_left(struct submission *s)
{
	struct str rest = buf_view(&s->left), text;
	enum json_split_got got;

	while (rest.n && !s->frame.n) {
		got = json_split_next(&s->split, &rest, &text, &s->frame);
		if (got == JSON_SPLIT_ITEM)
			take_item(s, text);
		else if (got == JSON_SPLIT_LONG)
			take_too_long(s);
	}
	buf_reset(&s->left);
}

void api_submit_end(struct http_request *r)
{
	struct submission *s = http_state(r);
	struct str text;
	enum json_split_got got = JSON_SPLIT_END;

	if (s->strain) {
		strain_end(s->strain, &s->left);
		finish_left(s);
	}
	while (!s->frame.n &&
		(got = json_split_end(&s->split, &text, &s->frame)) == JSON_SPLIT_ITEM)
		take_item(s, text);
	if (got == JSON_SPLIT_LONG)
		take_too_long(s);
	s->many = s->split.kind == JSON_SPLIT_ARRAY || s->split.kind == JSON_SPLIT_LINES;
	if (!s->many && !s->first && !s->frame.n)
		json_fault(&s->frame, "", "the body is empty");
	s->ended = true;
	decided(s);
}

void api_submit_gone(struct http_request *r)
{
	struct submission *s = http_state(r);

	if (!s)
		return;
	s->gone = true;
	decided(s);
}

/* ---- the operator's test message ---- */
int api_submit_text(struct api *api, struct str json, struct buf *answer, struct err *e)
{
	struct submission *s = submission_new(api, api_token_first(api), JSON_SPLIT_ONE);
	struct waiter w;
	struct buf b = BUF_INIT;
	unsigned status = 400;

	waiter_init(&w);
	s->waiter = &w;
	take_item(s, json);
	decided(s);
	waiter_wait(&w);
	put_item(&b, s->first, &status);
	submission_free(s);
	if (status >= 300) {
		err_set(e, ERR_INPUT, "%.*s", STR_ARG(buf_view(&b)));
		buf_free(&b);
		return -1;
	}
	buf_str(answer, buf_view(&b));
	buf_free(&b);
	return 0;
}
