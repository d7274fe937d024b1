/* `posternctl members …` and `posternctl suppressions …`. See faces.h. On a worker's thread. */
#include "plugins/offers/faces.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- one question ---- */

static struct face_ask *ask_new(struct plugin_words *w, enum face what)
{
	unsigned entered;
	const struct rules *rules = plugin_enter(w->host, &entered);
	struct face_ask *a = face_new(what, rules);

	plugin_leave(w->host, entered);
	a->by = STR("posternctl");
	a->u.call.run = face_run;
	a->u.call.what = "member";
	a->u.call.refusable = true;
	return a;
}

static void cancelled(void *arg, unsigned n) {}

struct settle { /* what the loop is to see to */
	struct letter letter;
	struct face_ask *ask;
	struct plugin_host *host;
};
static void settle_run(struct letter *l)
{
	struct settle *s = CONTAINER(l, struct settle, letter);
	struct offers *o = offers_of(s->host);

	unit_settled(o, &s->ask->u);
	if (s->ask->u.cancels_n)
		deeds_cancel(o, s->ask->u.cancels, s->ask->u.cancels_n, cancelled, NULL);
	face_free(&s->ask);
	mem_free(&s);
}

/* Takes the question. 0: its answer is in *out. */
static int ask(struct plugin_words *w, struct face_ask *a, struct buf *out, struct err *e)
{
	struct settle *s;

	a->owner = NULL;
	if (plugin_call_wait(w->host, &a->u.call, e) < 0) {
		if (a->status >= 400 && a->detail)
			err_set(e, ERR_INPUT, "%s", a->detail);
		face_free(&a);
		return -1;
	}
	buf_str(out, buf_view(&a->out));
	s = mem_new(struct settle);
	s->letter.run = settle_run;
	s->ask = a;
	s->host = w->host;
	loop_post(w->host->loop, &s->letter);
	return 0;
}

/* ---- for people ---- */

/* name: value, one a line; what is inside, further in. */
static void tell(struct buf *out, const json_t *v, const char *name, unsigned depth)
{
	const char *key;
	json_t *it;
	size_t i;

	if (json_is_object(v)) {
		if (name)
			buf_printf(out, "%*s%s\n", (int)(2 * depth), "", name);
		/* jansson's iteration wants a table that may change; it does not */
		json_object_foreach((json_t *)(uintptr_t)v, key, it)
		{
			tell(out, it, key, depth + (name != NULL));
		}
		return;
	}
	if (json_is_array(v)) {
		buf_printf(out, "%*s%s%s\n", (int)(2 * depth), "", name ? name : "",
			json_array_size(v) ? "" : ": none");
		json_array_foreach(v, i, it)
		{
			char *line = json_dumps(it, JSON_COMPACT | JSON_ENCODE_ANY);

			if (json_is_object(it)) {
				bool first = true;
				json_t *field;

				buf_printf(out, "%*s", (int)(2 * depth + 2), "");
				json_object_foreach(it, key, field)
				{
					char *part =
						json_dumps(field, JSON_COMPACT | JSON_ENCODE_ANY);

					buf_printf(out, "%s%s=%s", first ? "" : "  ", key,
						json_is_string(field) ? json_string_value(field)
								      : part);
					first = false;
					free(part);
				}
				buf_char(out, '\n');
			} else {
				buf_printf(out, "%*s%s\n", (int)(2 * depth + 2), "",
					json_is_string(it) ? json_string_value(it) : line);
			}
			free(line);
		}
		return;
	}
	if (json_is_string(v)) {
		buf_printf(out, "%*s%s: %s\n", (int)(2 * depth), "", name, json_string_value(v));
	} else {
		char *line = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

		buf_printf(out, "%*s%s: %s\n", (int)(2 * depth), "", name, line);
		free(line);
	}
}

/* What goes through a cell now: both, services alone, nothing. */
static const char *cell_word(const json_t *c)
{
	bool marketing = json_is_true(json_object_get(c, "marketing"));
	bool service = json_is_true(json_object_get(c, "service"));

	return marketing && service ? "all" : marketing ? "mark." : service ? "serv." : "no";
}

/* The matrix as a table: a row a line, a column a channel. */
static void tell_consent(struct buf *out, const json_t *v)
{
	json_t *rows = json_object_get(v, "consent"), *off = json_object_get(rows, "off"), *row,
	       *it;
	const char *name;
	size_t i;

	buf_printf(out, "%-20s", "");
	for (unsigned m = 0; m < MEDIA_RECEIPT; m++)
		buf_printf(out, "%-9s", media_word((enum media)m));
	buf_char(out, '\n');
	json_object_foreach(rows, name, row)
	{
		if (!json_is_object(row))
			continue;
		buf_printf(out, "%-20s", name);
		for (unsigned m = 0; m < MEDIA_RECEIPT; m++) {
			json_t *c = json_object_get(row, media_word((enum media)m));
			char cell[16];

			snprintf(cell, sizeof cell, "%s%s%s", cell_word(c),
				json_is_true(json_object_get(c, "default")) ? "*" : "",
				json_is_true(json_object_get(c, "read_only")) ? "!" : "");
			buf_printf(out, "%-9s", cell);
		}
		buf_char(out, '\n');
	}
	json_array_foreach(off, i, it)
	{
		buf_printf(out, "%s is turned off as a whole: nothing is sent by it\n",
			json_string_value(it));
	}
	buf_c(out, "all: marketing and services  serv.: services, no marketing  no: neither\n"
		   "*: nothing was said, consent_default holds  !: read-only\n");
	tell(out, json_object_get(v, "history"), "history", 0);
}

static int show(struct plugin_words *w, struct face_ask *a, struct err *e)
{
	enum face what = a->what;
	struct buf b = BUF_INIT;
	struct json_faults f = { 0 };
	json_t *v;
	int rc = ask(w, a, &b, e);

	if (rc == 0 && w->as_json) {
		buf_str(w->out, buf_view(&b));
	} else if (rc == 0) {
		v = json_read(buf_view(&b), &f);
		if (what == FACE_CONSENT || what == FACE_CONSENT_PUT)
			tell_consent(w->out, v);
		else if (v && json_object_size(v))
			tell(w->out, v, NULL, 0);
		else
			buf_c(w->out, "done\n");
		json_decref(v);
	}
	buf_free(&b);
	return rc;
}

/* ---- files ---- */

struct file_slice {
	struct unit u; /* first */
	struct import_slice *slice;
};
static int file_slice_run(struct plugin_call *c)
{
	struct file_slice *s = (struct file_slice *)(void *)c;

	return unit_end(&s->u, import_apply(unit_begin(&s->u, c), s->slice));
}

static int slice_write(
	struct plugin_words *w, struct import *im, struct import_slice *slice, struct err *e)
{
	struct file_slice *s;
	int rc;

	if (!slice)
		return 0;
	s = mem_new(struct file_slice);
	s->slice = slice;
	s->u.call.run = file_slice_run;
	s->u.call.bulk = true;
	s->u.call.what = "import";
	rc = plugin_call_wait(w->host, &s->u.call, e);
	import_took(im, &s->slice, rc < 0);
	if (rc == 0 && s->u.deeds) { /* the loop sees to what is to be withdrawn */
		struct settle *t = mem_new(struct settle);

		t->letter.run = settle_run;
		t->host = w->host;
		t->ask = face_new(FACE_SHOW, NULL);
		t->ask->u.deeds = true;
		loop_post(w->host->loop, &t->letter);
	}
	unit_free(&s->u);
	mem_free(&s);
	return rc;
}

static struct import *file_import(
	struct plugin_words *w, enum import_what what, const char *path, struct str head)
{
	struct import_conf c = {
		.what = what, .verified = true, .media = -1, .row = -1, .by = "posternctl"
	};
	struct str name = str_of(path);
	const struct rules *rules;
	struct import *im;
	enum media media;
	unsigned entered;
	const char *v = w->option(w, "media");

	head = str_trim(head);
	c.form = str_ends(name, STR(".ndjson")) || str_ends(name, STR(".jsonl")) ? IMPORT_LINES
		 : head.n && head.p[0] == '['                                    ? IMPORT_JSON
		 : head.n && head.p[0] == '{'                                    ? IMPORT_LINES
										 : IMPORT_CSV;
	if (v && media_parse(str_of(v), &media) && media < MEDIA_RECEIPT)
		c.media = (int)media;
	if (w->option(w, "unverified"))
		c.verified = false;
	rules = plugin_enter(w->host, &entered);
	c.rules = (struct rules *)(uintptr_t)rules;
	c.country = rules->country;
	im = import_new(&c);
	plugin_leave(w->host, entered);
	return im;
}

static int feed(struct plugin_words *w, struct import *im, struct str in, bool end, struct err *e)
{
	struct import_slice *slice = NULL;
	bool ok = true;

	while (in.n && ok) {
		ok = import_feed(im, &in, &slice);
		if (slice_write(w, im, slice, e) < 0)
			return -1;
	}
	while (end && ok) {
		ok = import_end(im, &slice);
		if (!slice)
			break;
		if (slice_write(w, im, slice, e) < 0)
			return -1;
	}
	if (!ok) {
		struct buf b = BUF_INIT;

		json_faults_put(&b, import_refused(im));
		err_set(e, ERR_INPUT, "%s", buf_cstr(&b));
		buf_free(&b);
	}
	return ok ? 0 : -1;
}

static void file_report(struct plugin_words *w, const struct import *im)
{
	struct import_counts c = import_counts(im);

	if (w->as_json) {
		import_report(im, w->out);
		return;
	}
	import_report_text(im, w->out);
	buf_printf(w->out, "%llu rows: %llu new, %llu changed, %llu refused\n",
		(unsigned long long)c.rows, (unsigned long long)c.created,
		(unsigned long long)c.changed, (unsigned long long)c.refused);
}

static int import_file(
	struct plugin_words *w, enum import_what what, const char *path, struct err *e)
{
	enum { CHUNK = 256 << 10 };
	int fd, rc = 0;
	struct import *im = NULL;
	uint64_t done = 0;
	struct stat st;
	ssize_t n;
	char *chunk;

	path += path[0] == '@';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		rc = err_set(e, ERR_ENV, "%s: %s (as the daemon sees it)", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	chunk = mem_raw(CHUNK);
	while (rc == 0 && (n = read(fd, chunk, CHUNK)) > 0) {
		if (!im)
			im = file_import(w, what, path, str_n(chunk, (size_t)n));
		rc = feed(w, im, str_n(chunk, (size_t)n), false, e);
		done += (uint64_t)n;
		if (w->progress && st.st_size > 0)
			w->progress(w, (double)done / (double)st.st_size);
	}
	if (rc == 0 && im)
		rc = feed(w, im, STR_NONE, true, e);
	if (rc == 0 && im)
		file_report(w, im);
	else if (rc == 0)
		buf_c(w->out, w->as_json ? "{}" : "the file is empty\n");
	import_free(&im);
	mem_free(&chunk);
	close(fd);
	return rc;
}

/* ---- verbs ---- */

static int usage(struct err *e, const char *text)
{
	return err_set(e, ERR_INPUT, "%s", text);
}

static int consent_verb(struct plugin_words *w, struct face_ask *a, struct err *e)
{
	bool on = w->args_n == 5 && strcmp(w->args[4], "on") == 0;
	struct input_cell cell = { -1, -1, on };
	enum row row;
	enum media media;

	if (w->args_n == 2)
		return show(w, a, e);
	a->what = FACE_CONSENT_PUT;
	a->force = true; /* whoever may use the socket may do that */
	if (w->args_n != 5 || (!on && strcmp(w->args[4], "off") != 0)) {
		face_free(&a);
		return usage(e, "members consent ID [ROW CHANNEL on|off]; \"*\" is all of them");
	}
	if (strcmp(w->args[2], "*") != 0) {
		if (!row_parse(str_of(w->args[2]), &row)) {
			face_free(&a);
			return err_set(e, ERR_INPUT, "there is no row \"%s\"", w->args[2]);
		}
		cell.row = (int)row;
	}
	if (strcmp(w->args[3], "*") != 0) {
		if (!media_parse(str_of(w->args[3]), &media) || media >= MEDIA_RECEIPT) {
			face_free(&a);
			return err_set(e, ERR_INPUT, "there is no channel \"%s\"", w->args[3]);
		}
		cell.channel = (int)media;
	}
	a->in.consent = arena_alloc(a->arena, sizeof cell);
	a->in.consent[0] = cell;
	a->in.consent_n = 1;
	a->in.proof = w->option(w, "proof") ? arena_str(a->arena, str_of(w->option(w, "proof")))
					    : STR_NONE;
	return show(w, a, e);
}

int members_verb(struct plugin_words *w, struct err *e)
{
	static const struct {
		const char *word;
		enum face what;
		size_t args;
	} verbs[] = {
		{ "show", FACE_SHOW, 2 },
		{ "find", FACE_FIND, 2 },
		{ "events", FACE_EVENTS, 2 },
		{ "messages", FACE_MESSAGES, 2 },
		{ "erase", FACE_ERASE, 2 },
		{ "merge", FACE_MERGE, 3 },
		{ "consent", FACE_CONSENT, 2 },
	};
	struct face_ask *a;

	if (w->args_n == 2 && strcmp(w->args[0], "import") == 0)
		return import_file(w, IMPORT_MEMBERS, w->args[1], e);
	for (size_t i = 0; w->args_n >= 2 && i < sizeof verbs / sizeof *verbs; i++) {
		if (strcmp(w->args[0], verbs[i].word) != 0)
			continue;
		a = ask_new(w, verbs[i].what);
		a->id = a->text = arena_str(a->arena, str_of(w->args[1]));
		if (verbs[i].what == FACE_ERASE)
			a->text = STR("posternctl");
		if (verbs[i].what == FACE_CONSENT)
			return consent_verb(w, a, e);
		if (w->args_n != verbs[i].args) {
			face_free(&a);
			break;
		}
		if (w->args_n == 3)
			a->into = arena_str(a->arena, str_of(w->args[2]));
		return show(w, a, e);
	}
	return usage(e, "members show ID, find TEXT, events ID, messages ID, consent ID, import "
			"FILE, merge FROM INTO, erase ID");
}

int suppressions_verb(struct plugin_words *w, struct err *e)
{
	bool named = w->args_n == 3 || w->args_n == 4;
	bool add = named && strcmp(w->args[0], "add") == 0;
	enum row row;
	struct face_ask *a;
	enum media media;
	const char *why;
	struct str address;

	if (w->args_n == 2 && strcmp(w->args[0], "import") == 0)
		return import_file(w, IMPORT_SUPPRESSIONS, w->args[1], e);
	if (w->args_n >= 1 && w->args_n <= 2 && strcmp(w->args[0], "list") == 0) {
		a = ask_new(w, FACE_BLOCKS);
		if (w->args_n == 2) {
			a->text = arena_str(a->arena, str_of(w->args[1]));
			if (str_index(a->text, '@') < 0)
				contact_normal(a->arena, CONTACT_PHONE, a->text, &a->country,
					&a->text, &why);
		}
		return show(w, a, e);
	}
	if (!add && !(named && strcmp(w->args[0], "remove") == 0))
		return usage(e, "suppressions list [ADDRESS], add MEDIA ADDRESS [ROW], remove "
				"MEDIA ADDRESS [ROW], import FILE");
	if (!media_parse(str_of(w->args[1]), &media) || media >= MEDIA_RECEIPT)
		return err_set(e, ERR_INPUT, "there is no channel \"%s\"", w->args[1]);
	named = w->args_n == 4 && strcmp(w->args[3], "*") != 0;
	if (named && !row_parse(str_of(w->args[3]), &row))
		return err_set(e, ERR_INPUT, "there is no row \"%s\"", w->args[3]);
	a = ask_new(w, add ? FACE_BLOCK : FACE_UNBLOCK);
	if (!contact_normal(a->arena,
		    media == MEDIA_VIBER || media == MEDIA_SOCIAL ? CONTACT_PHONE
								  : contact_of_media(media),
		    str_of(w->args[2]), &a->country, &address, &why)) {
		face_free(&a);
		return err_set(e, ERR_INPUT, "%s %s", w->args[2], why);
	}
	a->media = (int)media;
	a->row = named ? (int)row : -1;
	a->text = address;
	return show(w, a, e);
}
