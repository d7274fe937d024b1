/* The tree to SQL. See filter_sql.h.
 *
 * A comparison gives NULL for missing sides, which counts as false wherever it is not negated: so
 * `IS TRUE` is put around those only whose value is looked at more closely than that (below NOT, in
 * comparisons of conditions, asked for from outside).
 *
 * SQLite's parser has a stack of 100 and spends up to five places on a level of calls. Filters may
 * be 32 levels deep, so parts of deep ones are taken out, innermost first, into WITH: what is
 * defined there is done with when the rest is read.
 */
#include "plugins/offers/filter_sql.h"
#include "gateway/base/err.h"
#include "plugins/offers/attrs.h"
#include "plugins/offers/filter_private.h"

#include <stdarg.h>

enum { LEVELS = 6 }; /* that are left in place */

struct scope_sql { /* between one WITH and the SELECT that belongs to it */
	const struct node *taken[FILTER_NODES];
	unsigned number[FILTER_NODES];
	unsigned n;
	const struct node *inside; /* the part that is being defined: not to be named by itself */
};
struct writer {
	struct filter_sql *q;
	const struct filter *f;
	struct scope_sql *scope; /* NULL: nothing was taken out */
};

static void value(struct writer *w, const struct node *n);
static void condition(struct writer *w, const struct node *n, bool strict);
static void scoped(struct writer *w, const struct node *n, bool strict);

/* ---- the query ------------------------------------------------------------------------------ */

void filter_sql_free(struct filter_sql *q)
{
	buf_free(&q->text);
	buf_free(&q->lists);
	mem_free(&q->v);
}

void filter_sql_c(struct filter_sql *q, const char *text)
{
	buf_c(&q->text, text);
}

void filter_sql_printf(struct filter_sql *q, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&q->text, fmt, ap);
	va_end(ap);
}

void filter_sql_param(struct filter_sql *q, struct value v)
{
	CHECK(v.type != VALUE_LIST);
	if (q->n == q->cap) {
		q->cap = q->cap ? 2 * q->cap : 32;
		q->v = mem_grow(q->v, q->cap * sizeof *q->v);
	}
	q->v[q->n++] = v;
	buf_printf(&q->text, "$%zu", q->n);
}

static void cannot(struct writer *w, const struct node *n)
{
	struct buf b = BUF_INIT;

	if (w->q->failed)
		return;
	w->q->failed = true;
	filter_put_node(n, &b);
	err_set(&w->q->err, ERR_CONF, "\"%.*s\" cannot be asked of all members at once",
		STR_ARG(buf_view(&b)));
	buf_free(&b);
}

/* Text of SQL in which '#' is the next kid, as a value. */
static void put(struct writer *w, const struct node *n, const char *form)
{
	unsigned kid = 0;

	for (; *form; form++)
		if (*form == '#')
			value(w, n->kids[kid++]);
		else
			buf_char(&w->q->text, *form);
}

static void number(struct writer *w, int64_t i)
{
	filter_sql_param(w->q, value_int(i));
}

static void slot(struct writer *w, const struct node *n, unsigned s)
{
	const struct filter_map *m = w->q->map;

	if (!m->slot || !m->slot(m->ctx, w->q, s))
		cannot(w, n);
}

static void value_as(struct writer *w, const struct node *n, enum value_type type)
{
	bool widen = n->type == VALUE_INT && type == VALUE_DECIMAL;

	if (widen)
		filter_sql_c(w->q, "of_widen(");
	value(w, n);
	if (widen)
		filter_sql_c(w->q, ")");
}

static enum value_type common(enum value_type a, enum value_type b)
{
	return a == VALUE_INT ? b : a;
}

/* ---- values --------------------------------------------------------------------------------- */

static void constant(struct writer *w, const struct node *n)
{
	/* the tree's durations are nanoseconds already */
	filter_sql_param(w->q, n->type == VALUE_SPAN ? value_int(n->v.i) : n->v);
}

static void two(struct writer *w, const char *fn, const struct node *n, enum value_type type)
{
	filter_sql_printf(w->q, "%s(", fn);
	value_as(w, n->kids[0], type);
	filter_sql_c(w->q, ", ");
	value_as(w, n->kids[1], type);
	filter_sql_c(w->q, ")");
}

static void shift(struct writer *w, const struct node *n)
{
	struct span by = n->kids[1]->v.span;

	filter_sql_c(w->q, n->type == VALUE_DATE ? "of_shift_date(" : "of_shift_time(");
	value(w, n->kids[0]);
	filter_sql_c(w->q, ", ");
	number(w, by.months);
	filter_sql_c(w->q, ", ");
	number(w, by.days);
	filter_sql_c(w->q, ", ");
	number(w, by.exact);
	filter_sql_printf(w->q, ", %d)", n->kind == N_SUB ? -1 : 1);
}

static void arithmetic(struct writer *w, const struct node *n)
{
	bool dates = n->kids[0]->type == VALUE_DATE;

	switch (n->kind) {
	case N_ADD:
		if (n->shift)
			shift(w, n);
		else
			two(w, "of_add", n, n->type);
		break;
	case N_SUB:
		if (n->shift) {
			shift(w, n);
			break;
		}
		filter_sql_c(w->q, dates ? "of_mul(" : "");
		two(w, "of_sub", n, n->type);
		if (dates) {
			filter_sql_c(w->q, ", ");
			number(w, DUR_DAY);
			filter_sql_c(w->q, ")");
		}
		break;
	case N_MUL:
		two(w, n->type == VALUE_INT ? "of_mul" : "of_dmul", n, n->type);
		break;
	case N_DIV:
		two(w, "of_ddiv", n, n->type);
		break;
	default:
		two(w, "of_mod", n, n->type);
		break;
	}
}

static void outside(struct writer *w, const struct node *n, enum filter_fn fn)
{
	const struct filter_map *m = w->q->map;

	if (!m->call || !m->call(m->ctx, w->q, fn, n->args))
		cannot(w, n);
}

static void call(struct writer *w, const struct node *n)
{
	static const char *const names[FILTER_FNS] = {
		[FILTER_AGE] = "of_age(",
		[FILTER_MONTH] = "of_month(",
		[FILTER_DAY] = "of_day(",
		[FILTER_WEEKDAY] = "of_weekday(",
		[FILTER_ANNIVERSARY] = "of_anniversary(",
		[FILTER_LOWER] = "of_lower(",
		[FILTER_LEN] = "of_len(",
	};

	if (n->fn == FILTER_DAYS_SINCE_LAST) {
		filter_sql_c(w->q, "of_days_since(");
		outside(w, n, FILTER_LAST);
		filter_sql_c(w->q, ", ");
		slot(w, n, w->f->now);
		filter_sql_c(w->q, ")");
		return;
	}
	if (n->outside) {
		outside(w, n, n->fn);
		return;
	}
	filter_sql_c(w->q, n->fn == FILTER_LEN && n->kids[0]->type == VALUE_LIST
				   ? "json_array_length("
				   : names[n->fn]);
	if (n->n)
		value(w, n->kids[0]);
	else
		slot(w, n, w->f->birthday);
	if (n->fn == FILTER_AGE || n->fn == FILTER_ANNIVERSARY) {
		filter_sql_c(w->q, ", ");
		slot(w, n, w->f->today);
	}
	filter_sql_c(w->q, ")");
}

static bool is_test(const struct node *n)
{
	return (n->kind >= N_OR && n->kind <= N_MISSING) ||
	       (n->kind == N_CALL && n->fn == FILTER_ANY);
}

static bool was_taken(struct writer *w, const struct node *n)
{
	for (unsigned i = 0; w->scope && i < w->scope->n; i++)
		if (w->scope->taken[i] == n && w->scope->inside != n) {
			filter_sql_printf(w->q, "(SELECT v FROM h%u)", w->scope->number[i]);
			return true;
		}
	return false;
}

static void value(struct writer *w, const struct node *n)
{
	if (was_taken(w, n))
		return;
	if (is_test(n)) {
		condition(w, n, true);
		return;
	}
	switch (n->kind) {
	case N_CONST:
		constant(w, n);
		break;
	case N_NAME:
		slot(w, n, n->slot);
		break;
	case N_IT:
		filter_sql_c(w->q, "it.value");
		break;
	case N_CALL:
		call(w, n);
		break;
	case N_NEG:
		put(w, n, "of_sub(0, #)");
		break;
	case N_ELSE:
		two(w, "coalesce", n, n->type);
		break;
	case N_INDEX:
		put(w, n, "(SELECT value FROM json_each(#) WHERE key = #)");
		break;
	default:
		arithmetic(w, n);
		break;
	}
}

/* ---- conditions ----------------------------------------------------------------------------- */

static void compare(struct writer *w, const struct node *n)
{
	static const char *const signs[] = {
		[N_EQ] = " = ",
		[N_NE] = " <> ",
		[N_LT] = " < ",
		[N_LE] = " <= ",
		[N_GT] = " > ",
		[N_GE] = " >= ",
	};
	enum value_type type = common(n->kids[0]->type, n->kids[1]->type);

	filter_sql_c(w->q, "(");
	value_as(w, n->kids[0], type);
	filter_sql_c(w->q, signs[n->kind]);
	value_as(w, n->kids[1], type);
	filter_sql_c(w->q, ")");
}

static void test(struct writer *w, const struct node *n)
{
	static const char *const names[] = {
		[N_IEQ] = "of_ieq",
		[N_CONTAINS] = "of_contains",
		[N_STARTS] = "of_starts",
		[N_ENDS] = "of_ends",
		[N_MATCHES] = "of_matches",
	};

	filter_sql_c(w->q, n->negated ? "(NOT " : "(");
	two(w, names[n->kind], n, VALUE_TEXT);
	filter_sql_c(w->q, ")");
}

static void in_literal(struct writer *w, const struct node *n)
{
	const struct node *list = n->kids[1];

	filter_sql_c(w->q, "(");
	value_as(w, n->kids[0], list->of);
	filter_sql_c(w->q, n->negated ? " NOT IN (" : " IN (");
	for (unsigned i = 0; i < list->n; i++) {
		if (i)
			filter_sql_c(w->q, ", ");
		value_as(w, list->kids[i], list->of);
	}
	filter_sql_c(w->q, "))");
}

/* In an empty list is nothing, NULL included; hence the tests of both when it is negated. */
static void in_list(struct writer *w, const struct node *n)
{
	const struct node *x = n->kids[0], *list = n->kids[1];
	enum value_type type = common(x->type, list->of);
	const char *element = type == list->of ? "value" : "of_widen(value)";

	if (!n->negated) {
		filter_sql_c(w->q, "(");
		value_as(w, x, type);
		filter_sql_printf(w->q, " IN (SELECT %s FROM json_each(", element);
		value(w, list);
		filter_sql_c(w->q, ")))");
		return;
	}
	filter_sql_c(w->q, "(SELECT x.v IS NOT NULL AND x.l IS NOT NULL AND x.v NOT IN (SELECT ");
	filter_sql_printf(w->q, "%s FROM json_each(x.l)) FROM (SELECT ", element);
	value_as(w, x, type);
	filter_sql_c(w->q, " AS v, ");
	value(w, list);
	filter_sql_c(w->q, " AS l) AS x)");
}

static void between(struct writer *w, const struct node *n)
{
	enum value_type type = common(n->kids[0]->type, common(n->kids[1]->type, n->kids[2]->type));

	filter_sql_c(w->q, "(");
	value_as(w, n->kids[0], type);
	filter_sql_c(w->q, n->negated ? " NOT BETWEEN " : " BETWEEN ");
	value_as(w, n->kids[1], type);
	filter_sql_c(w->q, " AND ");
	value_as(w, n->kids[2], type);
	/* NOT (x >= NULL AND x <= 1) may be true */
	for (unsigned i = 1; n->negated && i < 3; i++)
		if (n->kids[i]->kind != N_CONST) {
			filter_sql_c(w->q, " AND ");
			value(w, n->kids[i]);
			filter_sql_c(w->q, " IS NOT NULL");
		}
	filter_sql_c(w->q, ")");
}

static void any(struct writer *w, const struct node *n)
{
	filter_sql_c(w->q, "EXISTS (SELECT 1 FROM json_each(");
	value(w, n->kids[0]);
	filter_sql_c(w->q, ") AS it WHERE ");
	scoped(w, n->kids[1], false);
	filter_sql_c(w->q, ")");
}

static void chain(struct writer *w, const struct node *n, bool strict)
{
	filter_sql_c(w->q, "(");
	for (unsigned i = 0; i < n->n; i++) {
		if (i)
			filter_sql_c(w->q, n->kind == N_OR ? " OR " : " AND ");
		condition(w, n->kids[i], strict);
	}
	filter_sql_c(w->q, ")");
}

/* strict: never NULL. */
static void condition(struct writer *w, const struct node *n, bool strict)
{
	bool sure = n->kind == N_MISSING || n->kind == N_CALL ||
		    (n->kind == N_IN && n->negated && n->kids[1]->kind != N_LIST);

	if (n->kind == N_OR || n->kind == N_AND || n->kind == N_NOT) {
		if (was_taken(w, n))
			return;
		if (n->kind != N_NOT) {
			chain(w, n, strict);
			return;
		}
		filter_sql_c(w->q, "(NOT ");
		condition(w, n->kids[0], true);
		filter_sql_c(w->q, ")");
		return;
	}
	sure = sure && is_test(n);
	if (strict && !sure)
		filter_sql_c(w->q, "(");
	if (was_taken(w, n) || !is_test(n)) {
		if (!is_test(n))
			value(w, n);
	} else if (n->kind == N_CALL) {
		any(w, n);
	} else if (n->kind == N_MISSING) {
		put(w, n, n->negated ? "(# IS NOT NULL)" : "(# IS NULL)");
	} else if (n->kind == N_BETWEEN) {
		between(w, n);
	} else if (n->kind == N_IN) {
		if (n->kids[1]->kind == N_LIST)
			in_literal(w, n);
		else
			in_list(w, n);
	} else if (n->kind >= N_IEQ) {
		test(w, n);
	} else {
		compare(w, n);
	}
	if (strict && !sure)
		filter_sql_c(w->q, " IS TRUE)");
}

/* ---- deep filters --------------------------------------------------------------------------- */

static void define(struct writer *w, const struct node *n)
{
	struct scope_sql *s = w->scope;
	unsigned at = s->n++;

	s->taken[at] = n;
	s->number[at] = w->q->hoists++;
	s->inside = n;
	filter_sql_printf(w->q, "%sh%u(v) AS (SELECT ", at ? ", " : "(WITH ", s->number[at]);
	value(w, n);
	filter_sql_c(w->q, ")");
	s->inside = NULL;
}

/* The number of levels that remain below and with n once what is too deep has been taken out. The
 * test of any() is a scope of its own. */
static unsigned take_out(struct writer *w, const struct node *n, bool root)
{
	bool is_any = n->kind == N_CALL && n->fn == FILTER_ANY;
	unsigned levels = 0, l;

	for (unsigned i = 0; i < n->n; i++) {
		if (is_any && i == 1)
			break;
		l = n->outside || n->shift
			    ? (i == 0 && n->shift ? take_out(w, n->kids[i], false) : 0)
			    : take_out(w, n->kids[i], false);
		if (l > levels)
			levels = l;
	}
	levels++;
	if (root || n->kind == N_LIST || n->n == 0 || (levels < LEVELS && !is_any))
		return levels;
	define(w, n);
	return 1;
}

static void scoped(struct writer *w, const struct node *n, bool strict)
{
	struct scope_sql *outer = w->scope, *s;

	if (n->depth <= LEVELS) {
		w->scope = NULL;
		condition(w, n, strict);
		w->scope = outer;
		return;
	}
	s = mem_new(struct scope_sql);
	w->scope = s;
	take_out(w, n, true);
	filter_sql_c(w->q, s->n ? " SELECT " : "");
	condition(w, n, strict);
	filter_sql_c(w->q, s->n ? ")" : "");
	w->scope = outer;
	mem_free(&s);
}

/* ---- from outside --------------------------------------------------------------------------- */

static int whole(struct filter_sql *q, const struct filter *f, bool strict, struct err *e)
{
	struct writer w = { .q = q, .f = f };

	filter_sql_c(q, "(");
	scoped(&w, f->root, strict);
	filter_sql_c(q, ")");
	if (!q->failed)
		return 0;
	if (e)
		*e = q->err;
	return -1;
}

int filter_sql_condition(struct filter_sql *q, const struct filter *f, struct err *e)
{
	return whole(q, f, false, e);
}

int filter_sql_truth(struct filter_sql *q, const struct filter *f, struct err *e)
{
	return whole(q, f, true, e);
}

/* Of what cannot be said nothing stays. False: it was so. */
static bool try_condition(struct writer *w, const struct node *n)
{
	struct filter_sql *q = w->q;
	size_t text = q->text.n, params = q->n;

	scoped(w, n, false);
	if (!q->failed)
		return true;
	q->failed = false;
	q->text.n = text;
	q->n = params;
	return false;
}

static bool narrow(struct writer *w, const struct node *n)
{
	bool exact = true;

	if (try_condition(w, n))
		return true;
	if (n->kind != N_AND && n->kind != N_OR) {
		filter_sql_c(w->q, "1");
		return false;
	}
	filter_sql_c(w->q, "(");
	for (unsigned i = 0; i < n->n; i++) {
		if (i)
			filter_sql_c(w->q, n->kind == N_OR ? " OR " : " AND ");
		exact &= narrow(w, n->kids[i]);
	}
	filter_sql_c(w->q, ")");
	return exact;
}

void filter_sql_narrow(struct filter_sql *q, const struct filter *f, bool *exact_r)
{
	struct writer w = { .q = q, .f = f };

	filter_sql_c(q, "(");
	*exact_r = narrow(&w, f->root);
	filter_sql_c(q, ")");
}

void filter_sql_bind(struct filter_sql *q, struct sql_stmt *st)
{
	for (size_t i = 0; i < q->n; i++)
		value_bind(st, (int)i + 1, q->v[i], NULL);
}

struct sql_stmt *filter_sql_prepare(struct filter_sql *q, struct sql *db, struct err *e)
{
	struct sql_stmt *st;

	if (q->failed) {
		if (e)
			*e = q->err;
		return NULL;
	}
	if (filter_sql_define(db, e) < 0)
		return NULL;
	st = sql_prepare(db, buf_cstr(&q->text));
	if (st)
		filter_sql_bind(q, st);
	else
		sql_err(db, e, "a query made of a filter");
	return st;
}
