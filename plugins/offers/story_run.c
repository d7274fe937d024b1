/* Whole stories: told one after the other, for checks and for people. See story.h. */
#include "plugins/offers/story_private.h"
#include "plugins/offers/task.h"

#include <stdio.h>

/* ---- whose stories ---- */
struct subject {
	const struct offer *o; /* or */
	const struct task *task;
	const char *name;
	const struct conf_where *at;
	const char *const *stories;
	size_t n;
};

/* Offers, then tasks. */
static size_t subjects(const struct rules *r)
{
	return r->offers_n + r->tasks_n;
}

static struct subject subject_at(const struct rules *r, size_t i)
{
	if (i < r->offers_n) {
		const struct offer *o = &r->offers[i];

		return (struct subject){ .o = o,
			.name = o->conf->name,
			.at = &o->conf->at,
			.stories = o->conf->stories,
			.n = o->conf->stories_n };
	}
	i -= r->offers_n;
	return (struct subject){ .task = &r->tasks[i],
		.name = r->tasks[i].conf->name,
		.at = &r->tasks[i].conf->at,
		.stories = r->tasks[i].conf->stories,
		.n = r->tasks[i].conf->stories_n };
}

/* ---- whole stories ---- */

static int64_t first_day(const struct teller *t, const struct clause *first)
{
	const struct offer *o = t->o;
	struct json_faults f = { 0 };
	json_t *v = first->raw.n ? json_read(first->raw, &f) : NULL;
	int64_t day = date_of_civil(2026, 3, 2);
	wall_t at;

	if (v && clock_parse_rfc3339(
			 str_of(json_string_value(json_object_get(v, "occurred_at"))), &at))
		day = zone_local(t->zone, at).day;
	else if (o && o->by_member && o->from_local.day)
		day = o->from_local.day;
	else if (o && o->from)
		day = zone_local(t->zone, o->from).day;
	json_decref(v);
	return day;
}

/* The zone of the story's member comes with its first clause; days count by it from the outset. */
static const struct zone *zone_of(const struct rules *r, const struct story *s)
{
	const struct zone *z = NULL;

	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; s->v[i].what == STORY_MEMBER && k < s->v[i].pairs_n && !z; k++)
			if (str_is(s->v[i].pairs[k].name, "zone"))
				z = zone_find(s->v[i].pairs[k].value, NULL);
	return z ? z : r->zone;
}

/* The rules with that offer, or task, alone: what others send would use up caps, and is not its
 * affair. */
static struct rules *alone(
	struct arena *a, const struct rules *r, const struct offer *o, const struct task *task)
{
	struct rules *one = arena_alloc(a, sizeof *one);

	memcpy(one, r, sizeof *one);
	if (task) {
		one->tasks = arena_alloc(a, sizeof *one->tasks);
		one->tasks[0] = *task;
		one->tasks_n = 1;
	}
	for (int t = 0; t < EVENT_TYPES; t++) {
		size_t n = 0;

		one->by_event[t] = NULL;
		for (size_t i = 0; i < r->by_event_n[t]; i++)
			n += r->by_event[t][i] == o;
		if (n) {
			one->by_event[t] = arena_alloc(a, sizeof *one->by_event[t]);
			for (size_t i = 0; i < r->by_event_n[t]; i++)
				if (r->by_event[t][i] == o)
					one->by_event[t][0] = r->by_event[t][i];
		}
		one->by_event_n[t] = n;
	}
	return one;
}

static bool tell(struct teller *t, const struct rules *r, const struct story *s)
{
	const struct clause *first = &s->v[0];
	wall_t start;

	t->zone = zone_of(r, s);
	t->day_0 = first->what == STORY_BEGIN ? first->day : first_day(t, first);
	start = zone_wall(t->zone,
		(struct local){ t->day_0,
			first->what == STORY_BEGIN && first->clock >= 0 ? first->clock : 0 });
	t->nominal = start;
	if (world_reset(t->w, t->o || t->task ? alone(t->a, r, t->o, t->task) : r, start) < 0 ||
		world_member(t->w, STR("story"), &t->member) < 0)
		return story_store_fails(t, first);
	for (size_t i = 0; i < s->n; i++)
		if (!clause_tell(t, &s->v[i]))
			return false;
	return true;
}

/* A while longer, to see what comes of it; what is held back is told, too. */
static bool go_on(struct teller *t, struct span after)
{
	struct buf all = BUF_INIT;

	if (span_is_zero(after))
		return true;
	if (world_until(t->w, zone_add(t->zone, t->w->now, after)) < 0 ||
		story_held(t, NULL, NULL, &all) < 0) {
		buf_free(&all);
		buf_c(&t->why, t->w->e.text);
		return false;
	}
	if (all.n)
		buf_printf(&t->log, "\nnot sent: %.*s", STR_ARG(buf_view(&all)));
	buf_free(&all);
	return true;
}

/* In a story nobody comes between its clauses. */
static int next_task(struct work *w, wall_t *due_r)
{
	return task_next_within(w, DUR_DAY, due_r);
}

/* True: it came true. Else *why (which is emptied first) says what did not. *log: what happened. */
static bool story_tell(struct world *w, const struct rules *r, const struct subject *of,
	struct str text, struct span after, struct buf *why, struct buf *log)
{
	struct teller t = { .w = w, .o = of->o, .task = of->task, .a = arena_new() };
	struct story *s;
	char wrong[300];
	bool ok = false;

	buf_reset(why);
	buf_reset(log);
	s = story_parse(t.a, text, wrong, sizeof wrong);
	if (!s) {
		buf_c(why, wrong);
	} else {
		w->task_fire = of->o ? NULL : task_fire;
		w->task_next_due = of->o ? NULL : next_task;
		w->left = story_left;
		w->gone = story_gone;
		w->ctx = &t;
		ok = tell(&t, r, s) && go_on(&t, after);
		w->left = w->gone = NULL;
		buf_str(why, buf_view(&t.why));
		buf_str(log, buf_view(&t.log));
	}
	buf_free(&t.receipt);
	buf_free(&t.cashier);
	buf_free(&t.log);
	buf_free(&t.why);
	arena_free(&t.a);
	return ok;
}

static struct str one_line(struct buf *log)
{
	for (size_t i = 0; i < log->n; i++)
		if (log->p[i] == '\n')
			log->p[i] = ';';
	return buf_view(log);
}

static void put_lines(struct buf *out, bool json, struct str log)
{
	struct str line;
	bool any = false;

	if (json)
		buf_char(out, '[');
	while (str_cut(&log, '\n', &line)) {
		if (json) {
			buf_c(out, any ? "," : "");
			buf_json(out, line);
		} else {
			buf_printf(out, "     %.*s\n", STR_ARG(line));
		}
		any = true;
	}
	if (json)
		buf_char(out, ']');
}

static bool has_stories(const struct rules *r)
{
	for (size_t i = 0; i < subjects(r); i++)
		if (subject_at(r, i).n)
			return true;
	return false;
}

unsigned stories_run(struct rules *r, struct conf_faults *f)
{
	struct buf why = BUF_INIT, log = BUF_INIT;
	struct err e = { 0 };
	const struct conf_where *failed = NULL; /* the last of them */
	struct world *w;
	unsigned n = 0, failed_n = 0;

	if (!has_stories(r))
		return 0;
	w = world_open(r, &e);
	if (!w) {
		conf_fault_at(f, &r->conf->at, NULL, "stories: %s", e.text);
		return 0;
	}
	for (size_t i = 0; i < subjects(r); i++) {
		struct subject of = subject_at(r, i);

		for (size_t k = 0; k < of.n; k++, n++)
			if (!story_tell(w, r, &of, str_of(of.stories[k]), (struct span){ 0 }, &why,
				    &log)) {
				conf_fault_at(f, of.at, "stories", "%s %s, story %zu: %.*s%s%.*s",
					of.o ? "offer" : "task", of.name, k + 1,
					STR_ARG(buf_view(&why)), log.n ? "; what happened: " : "",
					STR_ARG(one_line(&log)));
				failed = of.at;
				failed_n++;
			}
	}
	if (failed)
		conf_fault_at(f, failed, "stories", "%u of %u stories failed", failed_n, n);
	world_close(&w);
	buf_free(&why);
	buf_free(&log);
	return n;
}

static void put_told(struct buf *out, bool json, bool ok, const struct subject *of, size_t k,
	const struct buf *why, const struct buf *log)
{
	if (json) {
		buf_printf(out, "%s{\"%s\":", out->n && out->p[out->n - 1] == '}' ? "," : "",
			of->o ? "offer" : "task");
		buf_json(out, str_of(of->name));
		buf_printf(out, ",\"story\":%zu,\"text\":", k + 1);
		buf_json(out, str_of(of->stories[k]));
		buf_printf(out, ",\"ok\":%s", ok ? "true" : "false");
		if (!ok) {
			buf_c(out, ",\"why\":");
			buf_json(out, buf_view(why));
		}
		buf_c(out, ",\"happened\":");
		put_lines(out, true, buf_view(log));
		buf_char(out, '}');
		return;
	}
	buf_printf(out, "%s %s %zu: %s\n", ok ? "ok  " : "FAIL", of->name, k + 1, of->stories[k]);
	if (!ok)
		buf_printf(out, "     %.*s\n", STR_ARG(buf_view(why)));
	put_lines(out, false, buf_view(log));
}

unsigned stories_tell(struct rules *r, struct str name, struct buf *out, bool json, unsigned *n_r)
{
	struct buf why = BUF_INIT, log = BUF_INIT;
	struct err e = { 0 };
	struct world *w = world_open(r, &e);
	unsigned failed = 0;

	*n_r = 0;
	if (!w) {
		*n_r = 1;
		buf_printf(out, json ? "[]" : "%s\n", e.text);
		return 1;
	}
	if (json)
		buf_char(out, '[');
	for (size_t i = 0; i < subjects(r); i++) {
		struct subject of = subject_at(r, i);

		if (name.n && !str_is(name, of.name))
			continue;
		for (size_t k = 0; k < of.n; k++) {
			bool ok = story_tell(
				w, r, &of, str_of(of.stories[k]), (struct span){ 0 }, &why, &log);

			failed += !ok;
			++*n_r;
			put_told(out, json, ok, &of, k, &why, &log);
		}
	}
	if (json)
		buf_char(out, ']');
	world_close(&w);
	buf_free(&why);
	buf_free(&log);
	return failed;
}

unsigned stories_simulate(
	struct rules *r, struct str text, struct span after, struct buf *out, bool json)
{
	struct buf why = BUF_INIT, log = BUF_INIT;
	struct err e = { 0 };
	struct world *w = world_open(r, &e);
	bool ok = false;

	if (w) {
		ok = story_tell(w, r, &(struct subject){ 0 }, text, after, &why, &log);
	} else {
		buf_c(&why, e.text);
	}
	if (json)
		buf_printf(out, "{\"ok\":%s,\"why\":", ok ? "true" : "false");
	if (json && ok)
		buf_c(out, "null");
	else if (json)
		buf_json(out, buf_view(&why));
	if (json)
		buf_c(out, ",\"happened\":");
	put_lines(out, json, buf_view(&log));
	if (json)
		buf_char(out, '}');
	else if (!ok)
		buf_printf(out, "%.*s\n", STR_ARG(buf_view(&why)));
	world_close(&w);
	buf_free(&why);
	buf_free(&log);
	return !ok;
}
