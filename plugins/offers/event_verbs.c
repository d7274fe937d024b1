/* `posternctl events`: what was told, by whom, and what came of it. On a worker's thread. */
#include "gateway/base/conf.h"
#include "plugins/offers/event_show.h"
#include "plugins/offers/faces.h"
#include "plugins/offers/reading.h"

enum { EVENTS_USUAL = 50, EVENTS_MOST = 1000 };
#define SEARCH_LONGEST (3 * DUR_S / 2) /* the connection's time is two seconds */

static int usage(struct err *e)
{
	return err_set(e, ERR_INPUT,
		"events [--type T] [--member ID] [--source S] [--since 2h|TIME] [--limit N] "
		"[--before NUMBER], or events ID|SOURCE/ID");
}

static int read_since(const char *s, wall_t now, wall_t *t_r, struct err *e)
{
	if (!s || conf_parse_when(str_of(s), now, t_r))
		return 0;
	return err_set(e, ERR_INPUT,
		"--since: \"%s\" is neither a time (RFC 3339) nor a duration (\"2h\")", s);
}

static int read_search(struct plugin_words *w, struct event_search *q, struct err *e)
{
	const char *v;
	enum event_type type;
	uint64_t n;

	*q = (struct event_search){
		.type = -1, .source = STR_NONE, .most = EVENTS_USUAL, .longest = SEARCH_LONGEST
	};
	if ((v = w->option(w, "type"))) {
		char hint[120];

		event_type_hint(str_of(v), false, hint, sizeof hint);
		if (!event_type_parse(str_of(v), &type, NULL))
			return err_set(
				e, ERR_INPUT, "\"%s\" is not an event known here%s", v, hint);
		q->type = (int)type;
	}
	if ((v = w->option(w, "source")))
		q->source = str_of(v);
	if ((v = w->option(w, "limit"))) {
		if (!str_u64(str_of(v), &n) || n < 1 || n > EVENTS_MOST)
			return err_set(
				e, ERR_INPUT, "--limit is a number from 1 to %d", EVENTS_MOST);
		q->most = (unsigned)n;
	}
	if ((v = w->option(w, "before")) && (!str_u64(str_of(v), &q->before) || !q->before))
		return err_set(e, ERR_INPUT, "--before: an event's number is needed");
	return read_since(w->option(w, "since"), clock_wall(), &q->since, e);
}

static int search(struct plugin_words *w, struct reading *r, struct event_search *q, struct err *e)
{
	const char *who = w->option(w, "member");
	struct member *m;
	uint64_t left = 0;
	int got;

	if (who) {
		got = face_member(&r->work, &r->work.rules->country, str_of(who), &m);
		if (got < 0)
			return err_set(e, ERR_AGAIN, "%s", r->work.e.text);
		if (got == 0)
			return err_set(e, ERR_INPUT, "there is no member \"%s\"", who);
		q->member = member_now(m)->id;
	}
	if (events_list(&r->work, q, w->as_json, w->out, &left) < 0)
		return err_set(e, ERR_AGAIN, "%s", r->work.e.text);
	if (!left)
		return 0;
	err_set(e, ERR_AGAIN, "searched down to %llu only; --before %llu goes on from there",
		(unsigned long long)left, (unsigned long long)left);
	return 1;
}

/* The head, a field a line; what hangs from it, an item a line. */
static void tell(struct buf *out, struct str json)
{
	struct json_faults f = { 0 };
	json_t *v = json_read(json, &f), *it, *item;
	const char *key;
	size_t i;

	json_object_foreach(v, key, it)
	{
		buf_printf(out, "%-12s ", key);
		if (json_is_array(it) && json_array_size(it) &&
			json_is_object(json_array_get(it, 0))) {
			buf_char(out, '\n');
			json_array_foreach(it, i, item)
			{
				buf_c(out, "    ");
				json_write(out, item);
				buf_char(out, '\n');
			}
			continue;
		}
		if (json_is_string(it))
			buf_str(out, json_str(it));
		else
			json_write(out, it);
		buf_char(out, '\n');
	}
	json_decref(v);
}

static int one(struct plugin_words *w, struct reading *r, struct err *e)
{
	struct buf b = BUF_INIT;
	const char *why = "";
	int rc = events_one(&r->work, str_of(w->args[0]), &b, &why);

	if (rc == 1 && w->as_json)
		buf_str(w->out, buf_view(&b));
	else if (rc == 1)
		tell(w->out, buf_view(&b));
	buf_free(&b);
	if (rc == 1)
		return 0;
	return rc < 0 ? err_set(e, ERR_AGAIN, "%s", r->work.e.text)
		      : err_set(e, ERR_INPUT, "%s", why);
}

int events_verb(struct plugin_words *w, struct err *e)
{
	struct event_search q;
	struct reading r;
	int rc;

	if (w->args_n > 1)
		return usage(e);
	if (w->args_n == 0 && read_search(w, &q, e) < 0)
		return -1;
	rc = reading_begin(w, &r, e);
	if (rc == 0)
		rc = w->args_n ? one(w, &r, e) : search(w, &r, &q, e);
	reading_end(w, &r);
	return rc;
}
