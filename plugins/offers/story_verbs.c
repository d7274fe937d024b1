/* `posternctl offers …`: test, why, why-not, simulate, render, picture, audience. On a worker's
 * thread, which may block. */
#include "plugins/offers/story_verbs.h"
#include "plugins/offers/audience.h"
#include "plugins/offers/offers.h"
#include "plugins/offers/picture.h"
#include "plugins/offers/reading.h"
#include "plugins/offers/render.h"
#include "plugins/offers/story.h"
#include "plugins/offers/why.h"

#include <errno.h>
#include <stdio.h>

enum { FILE_MOST = 1 << 20 };

const char offers_usage[] =
	"offers test [OFFER|TASK]        the stories of the files as they are now\n"
	"offers why MEMBER OFFER         what was sent and what comes next\n"
	"offers why MESSAGE              what was decided of it, whoever submitted it\n"
	"offers why-not MEMBER OFFER     what stands in the way\n"
	"offers simulate STORY|FILE [--for SPAN]\n"
	"                                what would happen, by the files as they are now\n"
	"offers render TEMPLATE [NAME=VALUE…] [--media M] [--language L]\n"
	"                                each channel's text; values not given are made up\n"
	"offers picture OFFER            the offer drawn, as SVG, by the files as they are now\n"
	"offers audience NAME            how many members it has\n"
	"offers fields                   fields of events that were passed over\n";

/* "there is no offer "x"; did you mean "y"?" */
static int no_such(
	const struct rules *r, unsigned which, const char *kind, const char *name, struct err *e)
{
	struct buf b = BUF_INIT;

	rules_near_put(r, which, str_of(name), &b);
	err_set(e, ERR_INPUT, "there is no %s \"%s\"%.*s", kind, name, STR_ARG(buf_view(&b)));
	buf_free(&b);
	return -1;
}

/* The files beside the main one, read afresh: what a reload would take. NULL and e, with the faults
 * in out. */
static struct rules *load_now(struct plugin_words *w, struct err *e)
{
	struct conf_faults f = { 0 };
	struct rules *now, *fresh;
	unsigned entered, media;
	char *dir;

	now = (struct rules *)(uintptr_t)plugin_enter(w->host, &entered);
	dir = mem_dup(str_of(now->dir));
	media = now->media;
	plugin_leave(w->host, entered);
	fresh = rules_load(dir, media, &f);
	if (!fresh) {
		struct buf b = BUF_INIT;

		conf_faults_text(&f, &b);
		err_set(e, ERR_CONF, "%.*s", STR_ARG(buf_view(&b)));
		buf_free(&b);
	}
	conf_faults_free(&f);
	mem_free(&dir);
	return fresh;
}

static int verb_test(struct plugin_words *w, struct err *e)
{
	struct str offer = w->args_n > 1 ? str_of(w->args[1]) : STR_NONE;
	struct rules *r = load_now(w, e);
	unsigned failed, n;

	if (!r)
		return -1;
	if (offer.n && !rules_offer(r, offer) && !rules_task(r, offer)) {
		no_such(r, RULES_OFFERS | RULES_TASKS, "offer or task", w->args[1], e);
		rules_unref(&r);
		return -1;
	}
	failed = stories_tell(r, offer, w->out, w->as_json, &n);
	rules_unref(&r);
	if (failed)
		err_set(e, ERR_INPUT, "%u of %u stories failed", failed, n);
	return failed ? 1 : 0;
}

/* Lines of a file as clauses of one story; events as JSON, a line each, are such clauses, too. */
static int read_story(const char *path, struct buf *text, struct err *e)
{
	FILE *f = fopen(path, "re");
	char line[8192];

	if (!f)
		return err_set(e, ERR_INPUT, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof line, f) && text->n < FILE_MOST) {
		struct str s = str_trim(str_of(line));

		if (s.n == 0 || s.p[0] == '#')
			continue;
		buf_str(text, s);
		buf_char(text, ';');
	}
	fclose(f);
	return 0;
}

static int verb_simulate(struct plugin_words *w, struct err *e)
{
	const char *option = w->option(w, "for"), *wrong;
	struct span after = { .days = 60 };
	struct buf text = BUF_INIT;
	struct rules *r;
	unsigned failed = 0;

	if (w->args_n != 2)
		return err_set(e, ERR_INPUT, "simulate what? a story, or a file of one");
	if (option && (wrong = span_parse(str_of(option), &after)))
		return err_set(e, ERR_INPUT, "--for: %s", wrong);
	if (w->args[1][0] == '/') {
		if (read_story(w->args[1], &text, e) < 0)
			return -1;
	} else {
		buf_c(&text, w->args[1]);
	}
	r = load_now(w, e);
	if (r)
		failed = stories_simulate(r, buf_view(&text), after, w->out, w->as_json);
	buf_free(&text);
	if (!r)
		return -1;
	rules_unref(&r);
	if (failed)
		err_set(e, ERR_INPUT, "the story did not come true");
	return failed ? 1 : 0;
}

/* ---- render ---- */

static int verb_render(struct plugin_words *w, struct err *e)
{
	const char *media = w->option(w, "media"), *language = w->option(w, "language");
	struct render_request q = { .make_up = true, .language = str_of(language ? language : "") };
	struct buf text = BUF_INIT;
	struct str *values;
	struct rules *r;
	enum media m;
	int rc;

	if (w->args_n < 2)
		return err_set(e, ERR_INPUT, "render which template?");
	if (media && !media_parse(str_of(media), &m))
		return err_set(e, ERR_INPUT, "--media: \"%s\" is not a channel", media);
	if (media)
		q.media = MEDIA_BIT(m);
	r = load_now(w, e);
	if (!r)
		return -1;
	values = mem_alloc((w->args_n + 1) * sizeof *values);
	for (size_t i = 2; i < w->args_n; i++)
		values[q.values_n++] = str_of(w->args[i]);
	q.values = values;
	q.name = str_of(w->args[1]);
	q.zone = r->zone;
	rc = offers_render(r->templates, &q, &text, e);
	if (rc == 0 && w->as_json) {
		buf_c(w->out, "{\"template\":");
		buf_json(w->out, q.name);
		buf_c(w->out, ",\"text\":");
		buf_json(w->out, buf_view(&text));
		buf_char(w->out, '}');
	} else if (rc == 0) {
		buf_str(w->out, buf_view(&text));
	}
	buf_free(&text);
	mem_free(&values);
	rules_unref(&r);
	return rc;
}

static int verb_picture(struct plugin_words *w, struct err *e)
{
	const struct offer *o;
	struct buf svg = BUF_INIT;
	struct rules *r;

	if (w->args_n != 2)
		return err_set(e, ERR_INPUT, "a picture of which offer?");
	r = load_now(w, e);
	if (!r)
		return -1;
	o = rules_offer(r, str_of(w->args[1]));
	if (!o) {
		no_such(r, RULES_OFFERS, "offer", w->args[1], e);
		rules_unref(&r);
		return -1;
	}
	offer_picture(o->conf, w->as_json ? &svg : w->out);
	if (w->as_json) {
		buf_c(w->out, "{\"offer\":");
		buf_json(w->out, str_of(w->args[1]));
		buf_c(w->out, ",\"svg\":");
		buf_json(w->out, buf_view(&svg));
		buf_char(w->out, '}');
	}
	buf_free(&svg);
	rules_unref(&r);
	return 0;
}

/* ---- reading the tables ---- */

static int count_audience(
	struct plugin_words *w, struct reading *r, const char *name, struct err *e)
{
	const struct audience *a = rules_audience(r->work.rules, str_of(name));
	bool exact;
	int64_t n;

	if (!a)
		return no_such(r->work.rules, RULES_AUDIENCES, "audience", name, e);
	if (audience_count(&r->work, a->is, &n, &exact) < 0)
		return err_set(e, ERR_AGAIN, "%s", r->work.e.text);
	if (w->as_json)
		buf_printf(w->out, "{\"members\":%lld,\"exact\":%s}", (long long)n,
			exact ? "true" : "false");
	else
		buf_printf(w->out, "%s%lld members\n", exact ? "" : "at most ", (long long)n);
	return 0;
}

static int verb_audience(struct plugin_words *w, struct err *e)
{
	struct reading r;
	int rc;

	if (w->args_n != 2)
		return err_set(e, ERR_INPUT, "which audience?");
	rc = reading_begin(w, &r, e);
	if (rc == 0)
		rc = count_audience(w, &r, w->args[1], e);
	reading_end(w, &r);
	return rc;
}

/* `offers why ID`: of one message, be it anybody's. */
static int message_why(struct plugin_words *w, struct err *e)
{
	struct plugin_found f = { 0 };
	struct reading r;
	uint64_t id;
	int rc;

	if (!str_u64(str_of(w->args[1]), &id))
		return err_set(e, ERR_INPUT, "\"%s\" is no message's id", w->args[1]);
	rc = plugin_find(w->host, id, &f, e);
	if (rc == 0)
		return err_set(e, ERR_INPUT, "there is no message %s", w->args[1]);
	if (rc < 0)
		return -1;
	rc = reading_begin(w, &r, e);
	if (rc == 0 && why_message(&r.work, &f, w->as_json, w->out) < 0)
		rc = err_set(e, ERR_AGAIN, "%s", r.work.e.text);
	reading_end(w, &r);
	message_unref(&f.msg);
	return rc;
}

static int verb_why(struct plugin_words *w, bool why_not, struct err *e)
{
	struct reading r;
	int rc;

	if (w->args_n == 2)
		return message_why(w, e);
	if (w->args_n != 3)
		return err_set(e, ERR_INPUT,
			"which member and offer? offers %s MEMBER OFFER, or offers %s MESSAGE",
			w->args[0], w->args[0]);
	rc = reading_begin(w, &r, e);
	if (rc == 0)
		rc = why_tell(&r.work, str_of(w->args[1]), str_of(w->args[2]), why_not, w->as_json,
			w->out);
	if (rc < 0 && r.work.e.text[0])
		err_set(e, ERR_AGAIN, "%s", r.work.e.text);
	else if (rc > 0)
		rc = err_set(e, ERR_INPUT, "%.*s",
			STR_ARG(w->as_json ? STR("there is no such member or offer")
					   : str_trim(buf_view(w->out))));
	reading_end(w, &r);
	return rc;
}

int offers_verb(struct plugin_words *w, struct err *e)
{
	const char *what = w->args_n ? w->args[0] : "";

	if (strcmp(what, "test") == 0)
		return verb_test(w, e);
	if (strcmp(what, "why") == 0 || strcmp(what, "why-not") == 0)
		return verb_why(w, what[3] != '\0', e);
	if (strcmp(what, "simulate") == 0)
		return verb_simulate(w, e);
	if (strcmp(what, "render") == 0)
		return verb_render(w, e);
	if (strcmp(what, "picture") == 0)
		return verb_picture(w, e);
	if (strcmp(what, "audience") == 0)
		return verb_audience(w, e);
	if (strcmp(what, "fields") == 0)
		return offers_fields(w, e);
	return err_set(e, ERR_INPUT,
		"offers what? test, why, why-not, simulate, render, picture, audience or fields");
}
