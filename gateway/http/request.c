/* What a request says and what it is answered. See server.h. */
#include "gateway/http/json.h"
#include "gateway/http/server_private.h"

#include <stdarg.h>

/* ---- what it says ---- */
struct str http_method(const struct http_request *r)
{
	return r->method;
}

struct str http_path(const struct http_request *r)
{
	return r->path;
}

struct str http_wild(const struct http_request *r, unsigned i)
{
	CHECK(i < HTTP_WILDS_MOST);
	return r->wild[i];
}

bool http_header(const struct http_request *r, const char *name, struct str *v_r)
{
	for (const struct http_pair *p = r->headers; p; p = p->next)
		if (str_ieq(p->name, str_of(name))) {
			*v_r = p->value;
			return true;
		}
	return false;
}

bool http_arg(const struct http_request *r, const char *name, struct str *v_r)
{
	for (const struct http_pair *p = r->args; p; p = p->next)
		if (str_is(p->name, name)) {
			*v_r = p->value;
			return true;
		}
	return false;
}

bool http_arg_at(const struct http_request *r, unsigned i, struct str *name_r, struct str *v_r)
{
	const struct http_pair *p = r->args;

	while (p && i--)
		p = p->next;
	if (!p)
		return false;
	*name_r = p->name;
	*v_r = p->value;
	return true;
}

bool http_type_is(const struct http_request *r, const char *type)
{
	struct str v, head;

	return http_header(r, "Content-Type", &v) && str_cut(&v, ';', &head) &&
	       str_ieq(str_trim(head), str_of(type));
}

struct str http_body(const struct http_request *r)
{
	return buf_view(&r->body);
}

void *http_owner(const struct http_request *r)
{
	return r->route->owner;
}

void http_set_state(struct http_request *r, void *state)
{
	r->state = state;
}

void *http_state(const struct http_request *r)
{
	return r->state;
}

/* ---- routes ---- */
bool request_decode(struct arena *a, struct str s, struct str *out_r)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%') {
			int hi = i + 2 < s.n ? str_hex_value(s.p[i + 1]) : -1;
			int lo = i + 2 < s.n ? str_hex_value(s.p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return false;
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		if (c == '\0')
			return false;
		p[n++] = c;
	}
	*out_r = str_n(p, n);
	return true;
}

bool request_path_fits(struct http_request *r, const char *pattern, bool *broken_r)
{
	struct str want = str_of(pattern), have = r->path, w, h;
	unsigned wilds = 0;

	*broken_r = false;
	while (str_cut(&want, '/', &w)) {
		if (!str_cut(&have, '/', &h))
			return false;
		if (!str_is(w, "*")) {
			if (!str_eq(w, h))
				return false;
			continue;
		}
		if (h.n == 0)
			return false;
		CHECK(wilds < HTTP_WILDS_MOST);
		if (!request_decode(r->arena, h, &r->wild[wilds++]))
			*broken_r = true;
	}
	return !have.p;
}

static bool method_fits(struct str method, const char *want)
{
	return str_is(method, want) || (str_is(method, "HEAD") && strcmp(want, "GET") == 0);
}

void request_route(struct http_request *r, const struct http_route *routes)
{
	struct buf allow = BUF_INIT;
	bool broken;

	for (const struct http_route *t = routes; t->method; t++) {
		if (!request_path_fits(r, t->path, &broken))
			continue;
		if (method_fits(r->method, t->method)) {
			buf_free(&allow);
			if (broken) {
				request_refuse(
					r, 400, "The path is not percent-encoded as it should be.");
				return;
			}
			r->route = t;
			return;
		}
		buf_printf(&allow, "%s%s", allow.n ? ", " : "", t->method);
	}
	if (allow.n) {
		http_answer_header(r, "Allow", "%s", buf_cstr(&allow));
		request_refuse(r, 405, NULL);
	} else {
		request_refuse(r, 404, NULL);
	}
	buf_free(&allow);
}

/* ---- answers ---- */
void http_answer_header(struct http_request *r, const char *name, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	struct http_pair *p;
	va_list ap;

	if (request_answered(r)) /* the server spoke first, and may be reading */
		return;
	p = arena_new_of(r->arena, struct http_pair);
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	p->name = str_n(arena_cstr(r->arena, str_of(name)), strlen(name));
	p->value = str_n(arena_cstr(r->arena, buf_view(&b)), b.n);
	/* A value from outside cannot begin a header of its own. */
	CHECK(str_index(p->value, '\n') < 0 && str_index(p->value, '\r') < 0);
	buf_free(&b);
	p->next = r->answer_headers;
	r->answer_headers = p;
}

void http_answer(struct http_request *r, unsigned status, const char *type, struct buf *body)
{
	struct buf none = BUF_INIT;

	if (!body)
		body = &none;
	if (!request_answered(r)) {
		r->status = status;
		r->type = type;
		r->answer = *body;
		*body = BUF_INIT;
	}
	buf_free(body);
	request_settle(r);
}

void http_answer_text(struct http_request *r, unsigned status, const char *text)
{
	struct buf b = BUF_INIT;

	buf_c(&b, text);
	http_answer(r, status, "text/plain; charset=utf-8", &b);
}

void http_drop(struct http_request *r)
{
	if (!request_answered(r))
		r->drop = true;
	http_answer(r, 0, NULL, NULL);
}

static void problem_begin(struct buf *b, unsigned status, const char *title)
{
	buf_c(b, "{\"type\":\"about:blank\",\"title\":");
	buf_json(b, str_of(title ? title : http_status_words(status)));
	buf_printf(b, ",\"status\":%u", status);
}

static void problem_error(struct buf *b, const char *field, const char *detail)
{
	struct buf pointer = BUF_INIT;

	buf_char(&pointer, '#');
	buf_c(&pointer, field);
	buf_c(b, "{\"pointer\":");
	buf_json(b, buf_view(&pointer));
	buf_c(b, ",\"detail\":");
	buf_json(b, str_of(detail));
	buf_char(b, '}');
	buf_free(&pointer);
}

void http_problem_put(
	struct buf *b, unsigned status, const char *title, const char *detail, const char *field)
{
	struct json_faults f = { 0 };

	if (field) {
		json_fault(&f, field, "%s", detail ? detail : "is at fault");
		http_problem_put_faults(b, status, &f);
		return;
	}
	problem_begin(b, status, title);
	if (detail) {
		buf_c(b, ",\"detail\":");
		buf_json(b, str_of(detail));
	}
	buf_char(b, '}');
}

void http_problem_put_faults(struct buf *b, unsigned status, const struct json_faults *f)
{
	struct buf all = BUF_INIT;

	problem_begin(b, status, NULL);
	json_faults_put(&all, f);
	buf_c(b, ",\"detail\":");
	buf_json(b, buf_view(&all));
	buf_c(b, ",\"errors\":[");
	for (unsigned i = 0; i < f->n; i++) {
		if (i)
			buf_char(b, ',');
		problem_error(b, f->v[i].at, f->v[i].text);
	}
	buf_c(b, "]}");
	buf_free(&all);
}

void http_problem(struct http_request *r, unsigned status, const char *title, const char *detail,
	const char *field)
{
	struct buf b = BUF_INIT;

	http_problem_put(&b, status, title, detail, field);
	http_answer(r, status, "application/problem+json", &b);
}

void http_problem_faults(struct http_request *r, unsigned status, const struct json_faults *f)
{
	struct buf b = BUF_INIT;

	http_problem_put_faults(&b, status, f);
	http_answer(r, status, "application/problem+json", &b);
}

/* ---- who asks ---- */
ptrdiff_t http_bearer(const struct http_request *r, const void *tokens, size_t n, size_t stride)
{
	ptrdiff_t found = -1;
	struct str v, scheme;

	if (!http_header(r, "Authorization", &v))
		return -1;
	if (!str_cut(&v, ' ', &scheme) || !v.p || !str_ieq(scheme, STR("Bearer")))
		return -1;
	v = str_trim(v);
	for (size_t i = 0; i < n; i++) {
		const struct http_token *t = (const void *)((const char *)tokens + i * stride);

		if (str_eq_secret(v, str_of(t->token)) && v.n)
			found = (ptrdiff_t)i;
	}
	return found;
}

void http_unauthorized(struct http_request *r)
{
	http_answer_header(r, "WWW-Authenticate", "Bearer");
	http_problem(r, 401, NULL, "A valid token is wanted: Authorization: Bearer TOKEN.", NULL);
}
