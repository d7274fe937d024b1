/* Cutting a stream into JSON texts. See json.h. A tokenizer that knows strings and brackets and
 * nothing else: enough to find where an element ends, and the parser judges the element itself.
 */
#include "gateway/http/json.h"

enum state {
	AT_START,     /* nothing but white space so far */
	BEFORE_FIRST, /* behind '[': an element or ']' */
	BEFORE_NEXT,  /* behind ',': an element */
	IN_ITEM,
	AFTER_ARRAY, /* white space only */
	GONE,        /* END or FAULT was said */
};

void json_split_init(struct json_split *s, enum json_split_kind kind, size_t item_most)
{
	*s = (struct json_split){ .kind = kind, .item_most = item_most, .state = AT_START };
}

void json_split_free(struct json_split *s)
{
	buf_free(&s->held);
}

static enum json_split_got fault(struct json_split *s, struct json_faults *f, const char *what)
{
	s->state = GONE;
	json_fault(f, "", "byte %llu: %s", (unsigned long long)s->bytes, what);
	return JSON_SPLIT_FAULT;
}

static void take(struct json_split *s, struct str *in, size_t n)
{
	*in = str_skip(*in, n);
	s->bytes += n;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_spaces(struct json_split *s, struct str *in)
{
	size_t n = 0;

	while (n < in->n && is_space(in->p[n]))
		n++;
	take(s, in, n);
}

static void item_begin(struct json_split *s)
{
	s->state = IN_ITEM;
	s->items++;
	s->depth = 0;
	s->in_string = s->escaped = s->too_long = false;
	buf_reset(&s->held);
}

/* n more bytes of the item, of which there may be more to come. */
static void item_hold(struct json_split *s, struct str *in, size_t n)
{
	if (s->held.n + n > s->item_most)
		s->too_long = true;
	if (s->too_long)
		buf_reset(&s->held);
	else
		buf_add(&s->held, in->p, n);
	take(s, in, n);
}

/* The last n bytes of the item; a whole one is handed out where it lies. */
static enum json_split_got item_end(
	struct json_split *s, struct str *in, size_t n, struct str *item_r)
{
	if (s->held.n == 0 && !s->too_long && n <= s->item_most) {
		*item_r = str_trim(str_n(in->p, n));
		take(s, in, n);
		return JSON_SPLIT_ITEM;
	}
	item_hold(s, in, n);
	*item_r = str_trim(buf_view(&s->held));
	return s->too_long ? JSON_SPLIT_LONG : JSON_SPLIT_ITEM;
}

/* Bytes up to the ',' or ']' that ends the element, or all. */
static size_t scan_element(struct json_split *s, struct str in, bool *ended_r)
{
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (s->in_string) {
			if (s->escaped)
				s->escaped = false;
			else if (c == '\\')
				s->escaped = true;
			else if (c == '"')
				s->in_string = false;
		} else if (c == '"') {
			s->in_string = true;
		} else if (c == '[' || c == '{') {
			s->depth++;
		} else if (s->depth == 0 && (c == ',' || c == ']')) {
			*ended_r = true;
			return i;
		} else if ((c == ']' || c == '}') && s->depth) {
			s->depth--;
		}
	}
	*ended_r = false;
	return in.n;
}

static enum json_split_got next_element(
	struct json_split *s, struct str *in, struct str *item_r, struct json_faults *f)
{
	enum json_split_got got;
	bool ended;
	size_t n;

	if (s->state != IN_ITEM) {
		skip_spaces(s, in);
		if (in->n == 0)
			return JSON_SPLIT_MORE;
		if (s->state == AT_START) {
			if (in->p[0] != '[')
				return fault(s, f, "an array was expected");
			take(s, in, 1);
			s->state = BEFORE_FIRST;
			return next_element(s, in, item_r, f);
		}
		if (s->state == AFTER_ARRAY)
			return fault(s, f, "something follows the end of the array");
		if (in->p[0] == ']' && s->state == BEFORE_FIRST) {
			take(s, in, 1);
			s->state = AFTER_ARRAY;
			return next_element(s, in, item_r, f);
		}
		if (in->p[0] == ',' || in->p[0] == ']')
			return fault(s, f, "an element of the array is missing");
		item_begin(s);
	}
	n = scan_element(s, *in, &ended);
	if (!ended) {
		item_hold(s, in, n);
		return JSON_SPLIT_MORE;
	}
	s->state = in->p[n] == ']' ? AFTER_ARRAY : BEFORE_NEXT;
	got = item_end(s, in, n, item_r);
	take(s, in, 1); /* the comma or the bracket; the item lies before it and stays */
	return got;
}

static enum json_split_got next_line(struct json_split *s, struct str *in, struct str *item_r)
{
	while (in->n) {
		ptrdiff_t nl;

		if (s->state != IN_ITEM) {
			skip_spaces(s, in);
			if (in->n == 0)
				break;
			item_begin(s);
		}
		nl = str_index(*in, '\n');
		if (nl >= 0) {
			enum json_split_got got = item_end(s, in, (size_t)nl, item_r);

			take(s, in, 1); /* the newline */
			s->state = AT_START;
			return got;
		}
		item_hold(s, in, in->n);
	}
	return JSON_SPLIT_MORE;
}

static enum json_split_got next_one(struct json_split *s, struct str *in)
{
	if (s->state == AT_START) {
		skip_spaces(s, in);
		if (in->n == 0)
			return JSON_SPLIT_MORE;
		item_begin(s);
	}
	item_hold(s, in, in->n);
	return JSON_SPLIT_MORE;
}

enum json_split_got json_split_next(
	struct json_split *s, struct str *in, struct str *item_r, struct json_faults *f)
{
	if (s->state == GONE)
		return JSON_SPLIT_FAULT;
	if (s->kind == JSON_SPLIT_AUTO) {
		skip_spaces(s, in);
		if (in->n == 0)
			return JSON_SPLIT_MORE;
		s->kind = in->p[0] == '[' ? JSON_SPLIT_ARRAY : JSON_SPLIT_ONE;
	}
	switch (s->kind) {
	case JSON_SPLIT_ARRAY:
		return next_element(s, in, item_r, f);
	case JSON_SPLIT_LINES:
		return next_line(s, in, item_r);
	default:
		return next_one(s, in);
	}
}

enum json_split_got json_split_end(struct json_split *s, struct str *item_r, struct json_faults *f)
{
	enum state was = s->state;

	s->state = GONE;
	switch (s->kind) {
	case JSON_SPLIT_ARRAY:
		if (was == AFTER_ARRAY || was == GONE)
			return JSON_SPLIT_END;
		return fault(s, f, "the array is cut off");
	default:
		if (was == AT_START && s->kind != JSON_SPLIT_LINES)
			return fault(s, f, "is empty where JSON is wanted");
		if (was != IN_ITEM)
			return JSON_SPLIT_END;
		*item_r = str_trim(buf_view(&s->held));
		return s->too_long ? JSON_SPLIT_LONG : JSON_SPLIT_ITEM;
	}
}
