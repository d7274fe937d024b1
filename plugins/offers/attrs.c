/* Declared attributes in columns, and values in columns at all. See attrs.h. */
#include "plugins/offers/attrs.h"
#include "plugins/offers/filter_private.h"

#include <jansson.h>
#include <stdio.h>

enum { COLUMN_NAME = 24, COLUMNS_MOST = SLOT_EVENT - SLOT_ATTR };

struct attrs {
	struct sql *sql;
	const struct name *v;
	size_t n;
	char (*column)[COLUMN_NAME]; /* "" none */
	struct sql_stmt *load, *add, *save, *erase;
	struct buf scratch;
	size_t *end; /* of each list in it */
};

/* ---- values in columns ---------------------------------------------------------------------- */

static int64_t number_of(struct value v)
{
	if (v.type == VALUE_BOOL)
		return v.b;
	return v.type == VALUE_SPAN ? filter_span_ns(v.span) : v.i;
}

void value_list_put(struct buf *b, struct value list)
{
	buf_char(b, '[');
	for (size_t i = 0; i < list.list.n; i++) {
		if (i)
			buf_char(b, ',');
		if (list.of == VALUE_TEXT)
			buf_json(b, list.list.v[i].s);
		else
			buf_printf(b, "%lld", (long long)number_of(list.list.v[i]));
	}
	buf_char(b, ']');
}

void value_bind(struct sql_stmt *st, int i, struct value v, struct buf *scratch)
{
	if (v.type == VALUE_MISSING) {
		sql_null(st, i);
	} else if (v.type == VALUE_TEXT) {
		sql_text(st, i, v.s);
	} else if (v.type == VALUE_LIST) {
		buf_reset(scratch);
		value_list_put(scratch, v);
		sql_text(st, i, buf_view(scratch));
	} else {
		sql_int(st, i, number_of(v));
	}
}

static struct value of_number(enum value_type type, int64_t i)
{
	if (type == VALUE_BOOL)
		return value_bool(i != 0);
	if (type == VALUE_SPAN)
		return (struct value){ .type = type, .span = { .exact = i } };
	return (struct value){ .type = type, .i = i };
}

static struct value list_column(struct str text, enum value_type of, struct arena *arena)
{
	json_t *list = json_loadb(text.p, text.n, JSON_ALLOW_NUL, NULL), *item;
	struct value *v, r = VALUE_NONE;
	size_t i, n = 0;

	if (json_is_array(list)) {
		v = arena_alloc(arena, (json_array_size(list) + 1) * sizeof(*v));
		json_array_foreach(list, i, item)
		{
			if (of == VALUE_TEXT && json_is_string(item))
				v[n++] = value_text(arena_str(arena,
					str_n(json_string_value(item), json_string_length(item))));
			else if (of != VALUE_TEXT && json_is_integer(item))
				v[n++] = of_number(of, json_integer_value(item));
		}
		r = (struct value){ .type = VALUE_LIST, .of = of, .list = { v, n } };
	}
	json_decref(list);
	return r;
}

struct value value_column(
	struct sql_stmt *st, int i, enum value_type type, enum value_type of, struct arena *arena)
{
	if (sql_col_null(st, i))
		return VALUE_NONE;
	if (type == VALUE_TEXT)
		return value_text(arena_str(arena, sql_col_str(st, i)));
	if (type == VALUE_LIST)
		return list_column(sql_col_str(st, i), of, arena);
	return of_number(type, sql_col(st, i));
}

/* ---- the columns ---------------------------------------------------------------------------- */

static struct str own_name(const struct name *a)
{
	struct str s = str_of(a->path);

	return str_skip(s, (size_t)(str_index(s, '.') + 1));
}

static void type_text(const struct name *a, char *out, size_t cap)
{
	snprintf(out, cap, "%s%s", a->type == VALUE_LIST ? "list of " : "",
		value_type_word(a->type == VALUE_LIST ? a->of : a->type));
}

/* The number of the column, 0: there is none, -1. */
static int64_t find(struct attrs *a, struct sql_stmt *st, const struct name *attr)
{
	char type[48];
	int64_t number = 0;
	int rc;

	type_text(attr, type, sizeof type);
	sql_text(st, 1, own_name(attr));
	sql_text(st, 2, str_of(type));
	rc = sql_step(st);
	if (rc > 0)
		number = sql_col(st, 0);
	sql_reset(st);
	return rc < 0 ? -1 : number;
}

static int64_t make_column(struct attrs *a, const struct name *attr)
{
	struct sql_stmt *st = sql_prepare(
		a->sql, "INSERT INTO of_attr_column(name, type) VALUES($1, $2) RETURNING number");
	char type[48], text[80];
	int64_t number = -1;

	if (!st)
		return -1;
	type_text(attr, type, sizeof type);
	sql_text(st, 1, own_name(attr));
	sql_text(st, 2, str_of(type));
	if (sql_step(st) > 0) {
		number = sql_col(st, 0);
		if (sql_step(st) != 0)
			number = -1;
	}
	sql_finish(&st);
	snprintf(text, sizeof text, "ALTER TABLE of_attr ADD COLUMN a%lld", (long long)number);
	return number > 0 && sql_exec(a->sql, text) < 0 ? -1 : number;
}

static int find_columns(struct attrs *a, bool make)
{
	struct sql_stmt *st = sql_prepare(
		a->sql, "SELECT number FROM of_attr_column WHERE name = $1 AND type = $2");
	int64_t number = 0;

	if (!st)
		return -1;
	for (size_t i = 0; i < a->n && number >= 0; i++) {
		number = find(a, st, &a->v[i]);
		if (number == 0 && make)
			number = make_column(a, &a->v[i]);
		if (number > 0)
			snprintf(a->column[i], COLUMN_NAME, "a%lld", (long long)number);
	}
	sql_finish(&st);
	return number < 0 ? -1 : 0;
}

static int prepare(struct attrs *a)
{
	struct buf load = BUF_INIT, save = BUF_INIT, values = BUF_INIT, set = BUF_INIT;
	size_t head;
	int n = 0;

	buf_c(&load, "SELECT 0");
	for (size_t i = 0; i < a->n; i++) {
		if (!a->column[i][0]) {
			buf_c(&load, ", NULL");
			continue;
		}
		buf_printf(&load, ", %s", a->column[i]);
		buf_printf(&save, ", %s", a->column[i]);
		buf_printf(&values, ", $%d", ++n + 1);
		buf_printf(
			&set, "%s%s = excluded.%s", n > 1 ? ", " : "", a->column[i], a->column[i]);
	}
	buf_c(&load, " FROM of_attr WHERE member = $1");
	a->load = sql_prepare(a->sql, buf_cstr(&load));
	buf_reset(&load);
	buf_printf(&load, "INSERT INTO of_attr(member%.*s) VALUES($1%.*s) ON CONFLICT(member) DO ",
		STR_ARG(buf_view(&save)), STR_ARG(buf_view(&values)));
	head = load.n;
	buf_c(&load, "NOTHING");
	a->add = sql_prepare(a->sql, buf_cstr(&load));
	load.n = head;
	if (n)
		buf_printf(&load, "UPDATE SET %.*s", STR_ARG(buf_view(&set)));
	else
		buf_c(&load, "NOTHING");
	a->save = sql_prepare(a->sql, buf_cstr(&load));
	a->erase = sql_prepare(a->sql, "DELETE FROM of_attr WHERE member = $1");
	buf_free(&load);
	buf_free(&save);
	buf_free(&values);
	buf_free(&set);
	return a->load && a->add && a->save && a->erase ? 0 : -1;
}

struct attrs *attrs_open(struct sql *sql, const struct name *v, size_t n, bool make, struct err *e)
{
	struct attrs *a = mem_new(struct attrs);

	CHECK(n <= COLUMNS_MOST);
	a->sql = sql;
	a->v = v;
	a->n = n;
	a->column = mem_alloc((n + 1) * sizeof(*a->column));
	a->end = mem_alloc((n + 1) * sizeof(*a->end));
	if (find_columns(a, make) == 0 && prepare(a) == 0)
		return a;
	sql_err(sql, e, "the columns of members' attributes");
	attrs_close(&a);
	return NULL;
}

void attrs_close(struct attrs **ap)
{
	struct attrs *a = *ap;

	if (!a)
		return;
	sql_finish(&a->load);
	sql_finish(&a->add);
	sql_finish(&a->save);
	sql_finish(&a->erase);
	mem_free(&a->column);
	mem_free(&a->end);
	buf_free(&a->scratch);
	mem_free(ap);
}

const char *attrs_column(const struct attrs *a, size_t i)
{
	return a->column[i][0] ? a->column[i] : NULL;
}

int attrs_load(struct attrs *a, uint64_t member, struct arena *arena, struct value *v_r)
{
	int rc;

	sql_int(a->load, 1, (int64_t)member);
	rc = sql_step(a->load);
	for (size_t i = 0; i < a->n; i++)
		v_r[i] = rc > 0 ? value_column(a->load, (int)i + 1, a->v[i].type, a->v[i].of, arena)
				: VALUE_NONE;
	sql_reset(a->load);
	return rc < 0 ? -1 : 0;
}

static bool fits(const struct name *a, const struct value *v)
{
	return v->type == a->type && (v->type != VALUE_LIST || v->of == a->of || !v->list.n);
}

static int values_write(
	struct attrs *a, struct sql_stmt *st, uint64_t member, const struct value *v)
{
	size_t from = 0;
	int n = 1;

	/* Lists become texts, which must not move until the statement has run: all of them first.
	 */
	buf_reset(&a->scratch);
	for (size_t i = 0; i < a->n; i++) {
		struct value list = v[i];

		list.of = a->v[i].of;
		if (list.type == VALUE_LIST && fits(&a->v[i], &v[i]))
			value_list_put(&a->scratch, list);
		a->end[i] = a->scratch.n;
	}
	sql_int(st, 1, (int64_t)member);
	for (size_t i = 0; i < a->n; from = a->end[i++]) {
		if (!a->column[i][0])
			continue;
		n++;
		if (a->end[i] > from)
			sql_text(st, n, str_n(a->scratch.p + from, a->end[i] - from));
		else
			value_bind(st, n, fits(&a->v[i], &v[i]) ? v[i] : VALUE_NONE, NULL);
	}
	return sql_run(st);
}

int attrs_save(struct attrs *a, uint64_t member, const struct value *v)
{
	return values_write(a, a->save, member, v);
}

int attrs_add(struct attrs *a, uint64_t member, const struct value *v)
{
	if (values_write(a, a->add, member, v) < 0)
		return -1;
	return sql_changed(a->sql) ? 0 : attrs_save(a, member, v);
}

int attrs_erase(struct attrs *a, uint64_t member)
{
	sql_int(a->erase, 1, (int64_t)member);
	return sql_run(a->erase);
}
