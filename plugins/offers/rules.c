/* Rules: loaded, looked up, numbered and compared. What is made of the files' words is in
 * rules_make.c. See rules.h.
 */
#include "plugins/offers/rules_private.h"
#include "plugins/offers/pin.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* A pattern need not match anything: without policy.conf the defaults hold. */
static const char *const globs[] = { "policy[.]conf", "offers.d/*.conf", "tasks.d/*.conf",
	"templates.d/*.conf", "mailings.d/*.conf", "content.d/*.conf", NULL };

/* Does a fault say that a name leads nowhere? With a file unread it may be defined in there. */
static bool leads_nowhere(const char *text)
{
	static const char *const says[] = { "there is no ", "is not known here", "unknown name \"",
		"unknown currency \"", "members.statuses" };

	for (size_t i = 0; i < sizeof says / sizeof *says; i++)
		if (strstr(text, says[i]))
			return true;
	return false;
}

/* All that is wrong with what could be read, in the same run. */
static void make_of_a_part(struct rules *r, const char *dir, struct conf_faults *f)
{
	struct conf_faults all = { .incomplete = true };

	rules_make(r, dir, &all);
	for (size_t i = 0; i < all.n; i++) {
		const struct conf_fault *v = &all.v[i];

		if (!v->warning && !leads_nowhere(v->text))
			conf_fault(f, all.files[v->file], v->line, "%s", v->text);
	}
	conf_faults_free(&all);
}

static struct rules *rules_finish(struct arena *a, void *conf, const char *dir, unsigned media,
	struct conf_faults *f, size_t before)
{
	struct rules *r = arena_new_of(a, struct rules);

	r->arena = a;
	r->dir = arena_cstr(a, str_of(dir));
	r->conf = conf;
	r->media = media;
	r->refs = 1;
	if (f->incomplete)
		make_of_a_part(r, dir, f);
	else
		rules_make(r, dir, f);
	if (f->errors > before || f->incomplete) {
		arena_free(&a);
		return NULL;
	}
	return r;
}

struct rules *rules_load(const char *dir, unsigned media, struct conf_faults *f)
{
	struct arena *a = arena_new();
	size_t before = f->errors;
	const char *policy;
	void *conf;

	policy = arena_printf(
		a, "%s%spolicy.conf", dir, dir[0] && !str_ends(str_of(dir), STR("/")) ? "/" : "");
	if (access(policy, F_OK) != 0 && errno == ENOENT)
		conf_warn(f, policy, 1,
			"is not there: the defaults hold, without quiet hours and caps");
	conf_load_globs(dir, globs, rules_rows, sizeof(struct rules_conf), a, &conf, f);
	return rules_finish(a, conf, dir, media, f, before);
}

struct rules *rules_load_text(
	const char *name, struct str text, unsigned media, struct conf_faults *f)
{
	struct arena *a = arena_new();
	size_t before = f->errors;
	void *conf;

	conf_load_text(name, text, rules_rows, sizeof(struct rules_conf), a, &conf, f);
	return rules_finish(a, conf, "", media, f, before);
}

struct rules *rules_ref(struct rules *r)
{
	r->refs++; /* atomic, as its type says */
	return r;
}

void rules_unref(struct rules **rp)
{
	struct rules *r = *rp;

	*rp = NULL;
	if (r && --r->refs == 0) {
		struct arena *a = r->arena;

		arena_free(&a);
	}
}

/* ---- looking up ---- */

bool rules_till(const struct rules *r, enum event_type t)
{
	return event_kinds[t].flags & EV_TILL || r->prints >> t & 1;
}

const struct offer *rules_offer(const struct rules *r, struct str name)
{
	for (size_t i = 0; i < r->offers_n; i++)
		if (str_is(name, r->offers[i].conf->name))
			return &r->offers[i];
	return NULL;
}

const struct offer *rules_offer_number(const struct rules *r, uint32_t number)
{
	return number < r->by_number_n ? r->by_number[number] : NULL;
}

struct counter *rules_counter(const struct rules *r, struct str name)
{
	for (size_t i = 0; i < r->counters_n; i++)
		if (str_is(name, r->counters[i].conf->name))
			return &r->counters[i];
	return NULL;
}

const struct audience *rules_audience(const struct rules *r, struct str name)
{
	for (size_t i = 0; i < r->audiences_n; i++)
		if (str_is(name, r->audiences[i].conf->name))
			return &r->audiences[i];
	return NULL;
}

const struct task *rules_task(const struct rules *r, struct str name)
{
	for (size_t i = 0; i < r->tasks_n; i++)
		if (str_is(name, r->tasks[i].conf->name))
			return &r->tasks[i];
	return NULL;
}

uint32_t rules_template_number(const struct rules *r, const struct template *t)
{
	size_t n = templates_count(r->templates);

	for (size_t i = 0; i < n; i++)
		if (templates_at(r->templates, i) == t)
			return r->template_numbers[i];
	/* one that a chain keeps from before */
	for (size_t i = 0; i < n; i++)
		if (strcmp(template_name(templates_at(r->templates, i)), template_name(t)) == 0)
			return r->template_numbers[i];
	return 0;
}

const struct class_conf *policy_class(const struct policy_conf *p, enum class c)
{
	return c == CLASS_MARKETING ? &p->marketing : c == CLASS_SERVICE ? &p->service : &p->legal;
}

/* ---- numbers ---- */

/* An old name's number becomes the new one's. */
static int rename_from(
	struct db *db, enum name_kind kind, const char *was, const char *name, struct err *e)
{
	struct sql_stmt *st;

	if (!was[0] || name_number(db, kind, str_of(name), false) > 0 ||
		name_number(db, kind, str_of(was), false) == 0)
		return 0;
	st = db_st(db, ST_NAME_RENAME);
	if (!st)
		return sql_err(db->sql, e, "renaming");
	sql_text(st, 1, str_of(name));
	sql_int(st, 2, kind);
	sql_text(st, 3, str_of(was));
	return sql_run(st) < 0 ? sql_err(db->sql, e, "renaming") : 0;
}

static int give_number(struct db *db, enum name_kind kind, const char *was, const char *name,
	uint32_t *number_r, struct err *e)
{
	if (rename_from(db, kind, was, name, e) != 0)
		return -1;
	*number_r = name_number(db, kind, str_of(name), true);
	return *number_r ? 0 : sql_err(db->sql, e, "numbering names");
}

/* A counter that is gone and one that is new may be one that was renamed: its counts would be lost
 * silently. `was` says it, be it with "none". */
static int check_renamed(const struct rules *r, struct db *db, struct err *e)
{
	struct sql_stmt *st = db_st(db, ST_COUNTERS_IN_USE);
	char gone[80] = "";
	int got;

	if (!st)
		return sql_err(db->sql, e, "reading the counters");
	while ((got = sql_step(st)) == 1) {
		struct str name = sql_col_str(st, 0);
		bool there = false;

		for (size_t i = 0; i < r->counters_n; i++)
			there = there || str_is(name, r->counters[i].conf->name) ||
				str_is(name, r->counters[i].conf->was);
		if (!there)
			str_copy(gone, sizeof gone, name);
	}
	if (got < 0)
		return sql_err(db->sql, e, "reading the counters");
	for (size_t i = 0; gone[0] && i < r->counters_n; i++) {
		const struct counter_conf *c = r->counters[i].conf;

		if (!c->was[0] && name_number(db, NAME_COUNTER, str_of(c->name), false) == 0)
			return err_set(e, ERR_CONF,
				"%s:%u: counter \"%s\" is new and \"%s\", which has counted, is "
				"gone: if it was renamed say was = \"%s\", if not was = \"none\"",
				c->at.file, c->at.line, c->name, gone, gone);
	}
	return 0;
}

int rules_number(struct rules *r, struct db *db, struct err *e)
{
	uint32_t top = 0;

	if (check_renamed(r, db, e) != 0)
		return -1;
	for (size_t i = 0; i < r->offers_n; i++) {
		struct offer *o = &r->offers[i];

		if (give_number(db, NAME_OBJECT, o->conf->was, o->conf->name, &o->number, e) != 0)
			return -1;
		top = o->number > top ? o->number : top;
	}
	r->by_number_n = top + 1;
	r->by_number = arena_alloc(r->arena, r->by_number_n * sizeof *r->by_number);
	for (size_t i = 0; i < r->offers_n; i++)
		r->by_number[r->offers[i].number] = &r->offers[i];
	for (size_t i = 0; i < r->counters_n; i++) {
		struct counter *c = &r->counters[i];

		if (give_number(db, NAME_COUNTER, c->conf->was, c->conf->name, &c->number, e) != 0)
			return -1;
	}
	for (size_t i = 0; i < r->tasks_n; i++) {
		struct task *t = &r->tasks[i];

		if (give_number(db, NAME_OBJECT, t->conf->was, t->conf->name, &t->number, e) != 0)
			return -1;
		if (!str_is(str_of(t->conf->currency), "any") &&
			give_number(db, NAME_CURRENCY, "", t->conf->currency, &t->currency, e) != 0)
			return -1;
		if (t->conf->accrue_given &&
			give_number(db, NAME_CURRENCY, "", t->conf->accrue.currency,
				&t->accrue_currency, e) != 0)
			return -1;
	}
	for (size_t i = 0, n = templates_count(r->templates); i < n; i++)
		if (give_number(db, NAME_TEMPLATE, "", template_name(templates_at(r->templates, i)),
			    &r->template_numbers[i], e) != 0)
			return -1;
	return pins_note(r, db, e);
}

/* ---- what a reload would change ---- */

static void line(struct buf *b, const char *what, const char *name, const char *happens)
{
	buf_printf(b, "%s %s: %s\n", what, name, happens);
}

void rules_compare(const struct rules *now, const struct rules *then, struct buf *b)
{
	for (size_t i = 0; i < then->offers_n; i++) {
		const struct offer *o = &then->offers[i];
		const struct offer *old = rules_offer(now, str_of(o->conf->name));

		if (!old)
			line(b, "offer", o->conf->name, "begins");
		else if (!offer_conf_same(old->conf, o->conf))
			line(b, "offer", o->conf->name, "changes");
	}
	for (size_t i = 0; i < now->offers_n; i++)
		if (!rules_offer(then, str_of(now->offers[i].conf->name)))
			line(b, "offer", now->offers[i].conf->name, "ends");
	for (size_t i = 0; i < then->tasks_n; i++) {
		const struct task *t = &then->tasks[i];
		const struct task *old = rules_task(now, str_of(t->conf->name));

		if (!old)
			line(b, "task", t->conf->name, "begins");
		else if (!task_conf_same(old->conf, t->conf))
			line(b, "task", t->conf->name, "changes");
	}
	for (size_t i = 0; i < now->tasks_n; i++)
		if (!rules_task(then, str_of(now->tasks[i].conf->name)))
			line(b, "task", now->tasks[i].conf->name, "ends");
	for (size_t i = 0, n = templates_count(then->templates); i < n; i++) {
		const struct template *t = templates_at(then->templates, i);
		const struct template *old =
			template_find(now->templates, str_of(template_name(t)));

		if (!old)
			line(b, "template", template_name(t), "new");
		else if (!str_eq(template_digest(old), template_digest(t)))
			line(b, "template", template_name(t), "changes");
	}
	for (size_t i = 0, n = templates_count(now->templates); i < n; i++) {
		const char *name = template_name(templates_at(now->templates, i));

		if (!template_find(then->templates, str_of(name)))
			line(b, "template", name, "gone");
	}
	if (!general_conf_same(now->conf, then->conf))
		buf_c(b, "policy: changes\n");
}

void rules_near_put(const struct rules *r, unsigned which, struct str word, struct buf *b)
{
	size_t n = 0, most = r->offers_n + r->tasks_n + r->audiences_n;
	struct arena *a = arena_new();
	const char **names = arena_alloc(a, (most + 1) * sizeof *names);

	for (size_t i = 0; (which & RULES_OFFERS) && i < r->offers_n; i++)
		names[n++] = r->offers[i].conf->name;
	for (size_t i = 0; (which & RULES_TASKS) && i < r->tasks_n; i++)
		names[n++] = r->tasks[i].conf->name;
	for (size_t i = 0; (which & RULES_AUDIENCES) && i < r->audiences_n; i++)
		names[n++] = r->audiences[i].conf->name;
	buf_c(b, rules_suggest(a, arena_cstr(a, word), names, n));
	arena_free(&a);
}
