/* Requests of the control socket, read. See control_read.h. */
#include "gateway/control/control_read.h"
#include "gateway/base/conf.h"

enum { SEARCH_USUAL = 50, SEARCH_MOST = 1000 };

int control_request_read(struct control_request *q, struct str line, struct err *e)
{
	struct json_faults f = { 0 };
	struct buf words = BUF_INIT;

	*q = (struct control_request){ .root = json_read(str_trim(line), &f) };
	q->verb = json_string_value(json_object_get(q->root, "verb"));
	if (q->verb) {
		q->args = json_object_get(q->root, "args");
		q->options = json_object_get(q->root, "options");
		return 0;
	}
	if (q->root)
		buf_c(&words, "a verb is needed");
	else
		json_faults_put(&words, &f);
	err_set(e, ERR_INPUT, "%s", buf_cstr(&words));
	buf_free(&words);
	control_request_free(q);
	return -1;
}

void control_request_free(struct control_request *q)
{
	json_decref(q->root);
	*q = (struct control_request){ 0 };
}

const char *control_arg(const struct control_request *q, size_t i)
{
	return json_string_value(json_array_get(q->args, i));
}

const char *control_option(const struct control_request *q, const char *name)
{
	const json_t *v = json_object_get(q->options, name);

	return json_is_true(v) ? "" : json_string_value(v);
}

static int read_when(
	const struct control_request *q, const char *name, wall_t now, wall_t *t_r, struct err *e)
{
	const char *s = control_option(q, name);

	if (!s || conf_parse_when(str_of(s), now, t_r))
		return 0;
	return err_set(e, ERR_INPUT,
		"%s: \"%s\" is neither a time (RFC 3339) nor a duration (\"2h\")", name, s);
}

int control_filter_read(
	const struct control_request *q, wall_t now, struct store_filter *f, struct err *e)
{
	const char *v;
	enum state state;
	enum media media;
	uint64_t n;

	*f = (struct store_filter){ .state = -1, .media = -1, .most = SEARCH_USUAL };
	if ((v = control_option(q, "to")))
		f->to = str_of(v);
	if ((v = control_option(q, "from")))
		f->from = str_of(v);
	if ((v = control_option(q, "state"))) {
		if (!state_parse(str_of(v), &state))
			return err_set(e, ERR_INPUT, "\"%s\" is not a state", v);
		f->state = (int)state;
	}
	if ((v = control_option(q, "media"))) {
		if (!media_parse(str_of(v), &media))
			return err_set(e, ERR_INPUT, "\"%s\" is not a medium", v);
		f->media = (int)media;
	}
	if ((v = control_option(q, "before")) && !str_u64(str_of(v), &f->before_id))
		return err_set(e, ERR_INPUT, "before: a message id is needed");
	if ((v = control_option(q, "limit")) && str_u64(str_of(v), &n))
		f->most = n > SEARCH_MOST ? SEARCH_MOST : (unsigned)n;
	if (read_when(q, "since", now, &f->since, e) != 0)
		return -1;
	return read_when(q, "until", now, &f->until, e);
}
