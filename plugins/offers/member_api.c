/* /v1/members/ID and what hangs from it, /v1/suppressions: requests of one piece. See faces.h. */
#include "plugins/offers/faces.h"

enum { LIST_MOST = 1000 };

/* ---- the answer ---- */

/* loop */
static void answered(struct plugin_call *c)
{
	struct face_ask *a = (struct face_ask *)(void *)c;
	struct plugin_request *r = a->owner;

	if (c->fault != STORE_OK || (c->result < 0 && a->status < 400)) {
		plugin_problem(r, 503, NULL, "The store does not work now; try again.", NULL);
	} else if (a->status >= 400) {
		plugin_problem(r, a->status, NULL, a->detail, NULL);
	} else {
		unit_settled(offers_of(r->host), &a->u);
		if (a->u.cancels_n)
			deeds_cancel(offers_of(r->host), a->u.cancels, a->u.cancels_n, NULL, NULL);
		plugin_answer(r, a->status, &a->out);
	}
	plugin_request_release(&r);
	face_free(&a);
}

static void ask(struct plugin_request *r, struct face_ask *a)
{
	if (!a->id.n && http_wild(r->http, 0).n)
		a->id = arena_str(a->arena, http_wild(r->http, 0));
	a->by = arena_str(a->arena, str_of(r->token));
	a->owner = r;
	a->u.call.run = face_run;
	a->u.call.done = answered;
	a->u.call.refusable = true;
	a->u.call.what = "member";
	plugin_call(r->host, &a->u.call);
}

static struct face_ask *ask_new(struct plugin_request *r, enum face what)
{
	unsigned entered;
	const struct rules *rules = plugin_enter(r->host, &entered);
	struct face_ask *a = face_new(what, rules);

	plugin_leave(r->host, entered);
	return a;
}

static void give_up(struct plugin_request *r, struct face_ask *a)
{
	face_free(&a);
	plugin_request_release(&r);
}

/* ?limit=: false, and it was answered. */
static bool limit_of(struct plugin_request *r, struct face_ask *a)
{
	struct str v;
	uint64_t n;

	if (!http_arg(r->http, "limit", &v))
		return true;
	if (str_u64(v, &n) && n >= 1 && n <= LIST_MOST) {
		a->limit = (int64_t)n;
		return true;
	}
	plugin_problem(r, 400, NULL, "limit is a number from 1 to 1000.", NULL);
	return false;
}

static void list(struct plugin_request *r, enum face what)
{
	struct face_ask *a = ask_new(r, what);

	if (limit_of(r, a))
		ask(r, a);
	else
		give_up(r, a);
}

void member_get_run(struct plugin_request *r, struct str body)
{
	ask(r, ask_new(r, FACE_SHOW));
}
void consent_get_run(struct plugin_request *r, struct str body)
{
	list(r, FACE_CONSENT);
}
void member_events_run(struct plugin_request *r, struct str body)
{
	list(r, FACE_EVENTS);
}
void member_messages_run(struct plugin_request *r, struct str body)
{
	list(r, FACE_MESSAGES);
}

/* ---- changes ---- */

static bool read_input(struct plugin_request *r, struct face_ask *a, struct str body)
{
	struct member_reader how = { .rules = a->rules, .country = &a->country, .verified = true };
	struct json_faults f = { 0 };
	json_t *v = json_read(body, &f);
	bool ok;

	if (!v) {
		plugin_problem_faults(r, 400, &f);
		return false;
	}
	ok = member_input_read(v, &how, a->arena, &a->in, &f);
	json_decref(v);
	if (!ok)
		plugin_problem_faults(r, 422, &f);
	return ok;
}

static void change(struct plugin_request *r, enum face what, struct str body)
{
	struct face_ask *a = ask_new(r, what);

	if (read_input(r, a, body))
		ask(r, a);
	else
		give_up(r, a);
}

void member_put_run(struct plugin_request *r, struct str body)
{
	change(r, FACE_PUT, body);
}
void member_patch_run(struct plugin_request *r, struct str body)
{
	change(r, FACE_PATCH, body);
}

void member_delete_run(struct plugin_request *r, struct str body)
{
	struct face_ask *a = ask_new(r, FACE_ERASE);
	struct str cause;

	if (http_arg(r->http, "cause", &cause))
		a->text = arena_str(a->arena, cause);
	ask(r, a);
}

void member_merge_run(struct plugin_request *r, struct str body)
{
	struct face_ask *a = ask_new(r, FACE_MERGE);
	struct json_faults f = { 0 };
	json_t *v = json_read(body, &f);
	struct json_obj o;

	if (v) {
		json_obj_open(&o, v, "", &f);
		if (json_obj_str(&o, "into", JSON_REQUIRED, 300, &a->into))
			a->into = arena_str(a->arena, a->into);
		json_obj_close(&o);
	}
	if (f.n)
		plugin_problem_faults(r, v ? 422 : 400, &f);
	json_decref(v);
	if (f.n)
		give_up(r, a);
	else
		ask(r, a);
}

static bool flag(struct plugin_request *r, const char *name)
{
	struct str v;

	return http_arg(r->http, name, &v) && (!v.n || str_is(v, "true") || str_is(v, "1"));
}

/* Read-only cells are for operators: force changes them, lock makes them. */
void consent_put_run(struct plugin_request *r, struct str body)
{
	struct face_ask *a = ask_new(r, FACE_CONSENT_PUT);

	a->force = flag(r, "force");
	a->lock = flag(r, "lock");
	if ((a->force || a->lock) && !(r->scopes & SCOPE_ADMIN)) {
		plugin_problem(r, 403, NULL, "force and lock need the scope admin.", NULL);
	} else if (read_input(r, a, body)) {
		if (a->in.consent_n) {
			ask(r, a);
			return;
		}
		plugin_problem(r, 422, NULL, "There is no subscription in it.", "/consent");
	}
	give_up(r, a);
}

/* ---- suppressions ---- */

static bool media_of(struct plugin_request *r, struct face_ask *a, bool needed)
{
	struct str v;
	enum media media;
	enum row row;

	if (http_arg(r->http, "media", &v)) {
		if (!media_parse(v, &media) || media >= MEDIA_RECEIPT) {
			plugin_problem(
				r, 400, NULL, "media is sms, email, push, viber or social.", NULL);
			return false;
		}
		a->media = (int)media;
	} else if (needed) {
		plugin_problem(r, 400, NULL, "media is missing.", NULL);
		return false;
	}
	if (http_arg(r->http, "row", &v) && !str_is(v, "*")) {
		if (!row_parse(v, &row)) {
			plugin_problem(r, 400, NULL, "row is no row of the subscriptions.", NULL);
			return false;
		}
		a->row = (int)row;
	}
	return true;
}

/* Phone numbers and email addresses in their one form; others as they are. */
static void address_of(struct face_ask *a, struct str v)
{
	const char *why;

	a->text = arena_str(a->arena, v);
	if (!v.n)
		return;
	if (str_index(v, '@') >= 0)
		contact_normal(a->arena, CONTACT_EMAIL, v, NULL, &a->text, &why);
	else if (a->media != MEDIA_PUSH)
		contact_normal(a->arena, CONTACT_PHONE, v, &a->country, &a->text, &why);
}

void suppressions_get_run(struct plugin_request *r, struct str body)
{
	struct face_ask *a = ask_new(r, FACE_BLOCKS);
	struct str v;

	if (!limit_of(r, a) || !media_of(r, a, false)) {
		give_up(r, a);
		return;
	}
	if (http_arg(r->http, "address", &v))
		address_of(a, v);
	if (http_arg(r->http, "after", &v))
		a->into = arena_str(a->arena, v);
	ask(r, a);
}

void suppressions_delete_run(struct plugin_request *r, struct str body)
{
	struct face_ask *a = ask_new(r, FACE_UNBLOCK);
	struct str v;

	if (!media_of(r, a, true)) {
		give_up(r, a);
		return;
	}
	if (!http_arg(r->http, "address", &v) || !v.n) {
		plugin_problem(r, 400, NULL, "address is missing.", NULL);
		give_up(r, a);
		return;
	}
	address_of(a, v);
	ask(r, a);
}
