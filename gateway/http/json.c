/* Reading JSON strictly. See json.h; the splitter is in split.c. */
#include "gateway/http/json.h"
#include "gateway/base/conf.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- faults ---- */
void json_fault(struct json_faults *f, const char *at, const char *fmt, ...)
{
	struct json_fault *v;
	va_list ap;

	if (f->n >= JSON_FAULTS_MOST)
		return;
	v = &f->v[f->n++];
	str_copy(v->at, sizeof v->at, str_of(at));
	va_start(ap, fmt);
	vsnprintf(v->text, sizeof v->text, fmt, ap);
	va_end(ap);
}

void json_faults_put(struct buf *b, const struct json_faults *f)
{
	for (unsigned i = 0; i < f->n; i++)
		buf_printf(b, "%s%s%s%s", i ? "; " : "", f->v[i].at, f->v[i].at[0] ? ": " : "",
			f->v[i].text);
}

/* ---- one text ---- */
/* Levels of nesting, so that the recursion of the parser (and of whoever walks what it made) is
 * bounded by us. Wrong texts may be counted wrongly; the parser refuses them. */
static bool too_deep(struct str s)
{
	unsigned depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '[' || c == '{') {
			if (++depth > JSON_DEPTH_MOST)
				return true;
		} else if ((c == ']' || c == '}') && depth) {
			depth--;
		}
	}
	return false;
}

json_t *json_read(struct str text, struct json_faults *f)
{
	json_error_t e;
	json_t *v;

	if (str_trim(text).n == 0) {
		json_fault(f, "", "is empty where JSON is wanted");
		return NULL;
	}
	if (too_deep(text)) {
		json_fault(f, "", "is nested more than %d levels deep", (int)JSON_DEPTH_MOST);
		return NULL;
	}
	v = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
	if (!v)
		json_fault(f, "", "is not JSON: line %d, column %d (byte %d): %s", e.line, e.column,
			e.position, e.text);
	return v;
}

static int add_to_buf(const char *p, size_t n, void *ctx)
{
	buf_add(ctx, p, n);
	return 0;
}

void json_write(struct buf *b, const json_t *v)
{
	json_dump_callback(v, add_to_buf, b, JSON_COMPACT | JSON_ENCODE_ANY);
}

struct str json_str(const json_t *v)
{
	return json_is_string(v) ? str_n(json_string_value(v), json_string_length(v)) : STR_NONE;
}

/* ---- one object ---- */
void json_pointer(char *out, size_t cap, const char *at, const char *name)
{
	struct buf b = BUF_INIT;

	buf_c(&b, at);
	buf_char(&b, '/');
	for (; *name; name++) {
		if (*name == '~' || *name == '/')
			buf_c(&b, *name == '~' ? "~0" : "~1");
		else
			buf_char(&b, *name);
	}
	str_copy(out, cap, buf_view(&b));
	buf_free(&b);
}

void json_obj_fault(struct json_obj *r, const char *name, const char *fmt, ...)
{
	char at[sizeof r->faults->v[0].at], text[sizeof r->faults->v[0].text];
	va_list ap;

	json_pointer(at, sizeof at, r->at, name);
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_fault(r->faults, at, "%s", text);
}

void json_obj_open(struct json_obj *r, json_t *v, const char *at, struct json_faults *f)
{
	*r = (struct json_obj){ .o = json_is_object(v) ? v : NULL, .at = at, .faults = f };
	if (!r->o)
		json_fault(f, at, "must be an object");
}

json_t *json_obj_any(struct json_obj *r, const char *name, unsigned flags)
{
	json_t *v;

	CHECK(r->asked_n < JSON_FIELDS_MOST);
	r->asked[r->asked_n++] = name;
	if (!r->o)
		return NULL;
	v = json_object_get(r->o, name);
	if (v)
		r->found++;
	if ((!v || json_is_null(v)) && (flags & JSON_REQUIRED))
		json_obj_fault(r, name, "is missing");
	return v;
}

/* The value when it has the type; null counts as absent. */
static json_t *take(struct json_obj *r, const char *name, unsigned flags,
	bool (*is)(const json_t *), const char *wanted)
{
	json_t *v = json_obj_any(r, name, flags);

	if (!v || json_is_null(v))
		return NULL;
	if (is(v))
		return v;
	json_obj_fault(r, name, "must be %s", wanted);
	return NULL;
}

static bool is_string(const json_t *v)
{
	return json_is_string(v);
}

static bool is_bool(const json_t *v)
{
	return json_is_boolean(v);
}

static bool is_int(const json_t *v)
{
	return json_is_integer(v);
}

static bool is_number(const json_t *v)
{
	return json_is_number(v);
}

static bool is_object(const json_t *v)
{
	return json_is_object(v);
}

static bool is_array(const json_t *v)
{
	return json_is_array(v);
}

bool json_obj_str(
	struct json_obj *r, const char *name, unsigned flags, size_t most, struct str *v_r)
{
	json_t *v = take(r, name, flags, is_string, "a string");
	struct str s;

	if (!v)
		return false;
	s = json_str(v);
	if (s.n == 0 && !(flags & JSON_EMPTY_OK)) {
		json_obj_fault(r, name, "must not be empty");
		return false;
	}
	if (s.n > most) {
		json_obj_fault(r, name, "is longer than %zu bytes", most);
		return false;
	}
	*v_r = s;
	return true;
}

bool json_obj_bool(struct json_obj *r, const char *name, unsigned flags, bool *v_r)
{
	json_t *v = take(r, name, flags, is_bool, "true or false");

	if (v)
		*v_r = json_is_true(v);
	return v != NULL;
}

bool json_obj_int(struct json_obj *r, const char *name, unsigned flags, int64_t least, int64_t most,
	int64_t *v_r)
{
	json_t *v = take(r, name, flags, is_int, "a whole number");

	if (!v)
		return false;
	if (json_integer_value(v) < least || json_integer_value(v) > most) {
		json_obj_fault(
			r, name, "must be from %lld to %lld", (long long)least, (long long)most);
		return false;
	}
	*v_r = json_integer_value(v);
	return true;
}

bool json_obj_real(struct json_obj *r, const char *name, unsigned flags, double *v_r)
{
	json_t *v = take(r, name, flags, is_number, "a number");

	if (v)
		*v_r = json_number_value(v);
	return v != NULL;
}

bool json_obj_time(struct json_obj *r, const char *name, unsigned flags, wall_t *v_r)
{
	static const char wanted[] = "a time as in \"2026-11-22T10:15:00Z\" (RFC 3339)";
	json_t *v = take(r, name, flags, is_string, wanted);

	if (!v)
		return false;
	if (clock_parse_rfc3339(json_str(v), v_r))
		return true;
	json_obj_fault(r, name, "must be %s", wanted);
	return false;
}

bool json_obj_dur(struct json_obj *r, const char *name, unsigned flags, dur_t *v_r)
{
	static const char wanted[] = "a duration as in \"90s\" or \"14d\"";
	json_t *v = take(r, name, flags, is_string, wanted);
	const char *why;
	int64_t ns;

	if (!v)
		return false;
	if (conf_parse_duration(json_str(v), &ns, &why) == 0 && ns >= 0) {
		*v_r = ns;
		return true;
	}
	json_obj_fault(r, name, "must be %s", wanted);
	return false;
}

/* The nearest of words, when it is near enough to have been meant. */
static const char *nearest(struct str s, const char *const *words, size_t n)
{
	const char *best = NULL;
	unsigned least = s.n < 4 ? 2 : 3; /* below this */

	for (size_t i = 0; i < n; i++) {
		unsigned d = str_distance(s, str_of(words[i]), least);

		if (d < least) {
			least = d;
			best = words[i];
		}
	}
	return best;
}

bool json_obj_word(
	struct json_obj *r, const char *name, unsigned flags, const char *const *words, int *v_r)
{
	json_t *v = take(r, name, flags, is_string, "a string");
	struct buf list = BUF_INIT;
	const char *meant;
	size_t n;

	if (!v)
		return false;
	for (n = 0; words[n]; n++)
		if (str_is(json_str(v), words[n])) {
			*v_r = (int)n;
			buf_free(&list);
			return true;
		}
	for (size_t i = 0; i < n; i++)
		buf_printf(&list, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", words[i]);
	meant = nearest(json_str(v), words, n);
	json_obj_fault(r, name, "must be %s%s%s%s", buf_cstr(&list),
		meant ? "; did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "");
	buf_free(&list);
	return false;
}

json_t *json_obj_object(struct json_obj *r, const char *name, unsigned flags)
{
	return take(r, name, flags, is_object, "an object");
}

json_t *json_obj_array(struct json_obj *r, const char *name, unsigned flags, size_t most)
{
	json_t *v = take(r, name, flags, is_array, "an array");

	if (v && json_array_size(v) > most) {
		json_obj_fault(r, name, "has more than %zu elements", most);
		return NULL;
	}
	return v;
}

bool json_obj_close(struct json_obj *r)
{
	const char *name;
	json_t *v;

	/* Most objects hold nothing but what was asked for: then there is nothing to look for. */
	if (r->o && json_object_size(r->o) > r->found) {
		json_object_foreach(r->o, name, v)
		{
			const char *meant;
			unsigned i = 0;

			while (i < r->asked_n && strcmp(r->asked[i], name) != 0)
				i++;
			if (i < r->asked_n)
				continue;
			meant = nearest(str_of(name), r->asked, r->asked_n);
			json_obj_fault(r, name, "is not known here%s%s%s",
				meant ? "; did you mean \"" : "", meant ? meant : "",
				meant ? "\"?" : "");
		}
	}
	return r->faults->n == 0;
}
