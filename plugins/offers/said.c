/* What was said of a member by PUT and PATCH, and when. See said.h. */
#include "plugins/offers/said.h"

static const struct {
	unsigned given;
	const char *field;
} own[] = {
	{ GIVEN_FIRST_NAME, "first_name" },
	{ GIVEN_LAST_NAME, "last_name" },
	{ GIVEN_LANG, "language" },
	{ GIVEN_ZONE, "zone" },
	{ GIVEN_BIRTHDAY, "birthday" },
	{ GIVEN_STATE, "state" },
	{ GIVEN_REGISTERED, "registered" },
};
enum { OWN = sizeof own / sizeof *own };
#define STATUS "status."

static int note(struct work *w, const struct member *m, struct str field)
{
	struct sql_stmt *st = db_st(w->db, ST_SAID_PUT);

	if (!st)
		return work_failed(w, "what was said of a member");
	sql_int(st, 1, (int64_t)m->id);
	sql_text(st, 2, field);
	sql_int(st, 3, w->now);
	return sql_run(st) < 0 ? work_failed(w, "what was said of a member") : 0;
}

static struct str status_field(struct work *w, struct str system)
{
	return str_of(arena_printf(w->arena, STATUS "%.*s", STR_ARG(system)));
}

int said_note(struct work *w, const struct member *m, const struct member_input *in, bool whole)
{
	if (whole)
		return note(w, m, STR("*"));
	for (size_t i = 0; i < OWN; i++)
		if ((in->given & own[i].given) && note(w, m, str_of(own[i].field)) < 0)
			return -1;
	for (unsigned i = 0; i < in->statuses_n; i++)
		if (note(w, m, status_field(w, in->statuses[i].system)) < 0)
			return -1;
	for (unsigned i = 0; i < in->attrs_n; i++)
		if (in->attrs[i].n < w->rules->attributes_n &&
			note(w, m, str_of(w->rules->attributes[in->attrs[i].n].path)) < 0)
			return -1;
	return 0;
}

static void drop(const struct work *w, struct member_input *in, struct str field)
{
	unsigned n = 0;

	if (str_is(field, "*")) {
		in->given = 0;
		in->statuses_n = in->attrs_n = 0;
		return;
	}
	for (size_t i = 0; i < OWN; i++)
		if (str_is(field, own[i].field))
			in->given &= ~own[i].given;
	if (str_starts(field, STR(STATUS))) {
		for (unsigned i = 0; i < in->statuses_n; i++)
			if (!str_eq(in->statuses[i].system, str_skip(field, strlen(STATUS))))
				in->statuses[n++] = in->statuses[i];
		in->statuses_n = n;
		return;
	}
	for (unsigned i = 0; i < in->attrs_n; i++)
		if (in->attrs[i].n >= w->rules->attributes_n ||
			!str_is(field, w->rules->attributes[in->attrs[i].n].path))
			in->attrs[n++] = in->attrs[i];
	in->attrs_n = n;
}

int said_since(struct work *w, const struct member *m, wall_t since, struct member_input *in)
{
	struct sql_stmt *st = db_st(w->db, ST_SAID_SINCE);
	int rc;

	if (!st)
		return work_failed(w, "what was said of a member");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, since);
	while ((rc = sql_step(st)) == 1)
		drop(w, in, sql_col_str(st, 0));
	return rc < 0 ? work_failed(w, "what was said of a member") : 0;
}

int said_status(struct work *w, const struct member *m, wall_t since, struct str system)
{
	struct sql_stmt *st = db_st(w->db, ST_SAID_SINCE);
	struct str field;
	int rc, found = 0;

	if (!system.n)
		system = str_of(member_first_system(w));
	field = status_field(w, system);
	if (!st)
		return work_failed(w, "what was said of a member");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, since);
	while ((rc = sql_step(st)) == 1)
		found |= str_is(sql_col_str(st, 0), "*") || str_eq(sql_col_str(st, 0), field);
	return rc < 0 ? work_failed(w, "what was said of a member") : found;
}
