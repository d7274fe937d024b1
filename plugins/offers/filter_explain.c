/* Walks a filter's tree and notes what each part came to. Slower than the byte code, of the same
 * answer: both end in filter_ops.c. See filter.h.
 */
#include "gateway/base/err.h"
#include "plugins/offers/filter_private.h"

struct walk {
	const struct filter *f;
	const struct filter_world *w;
	struct arena *arena;
	struct filter_step *steps;
	size_t n, cap;
	struct value it;
	struct buf text;
};

static struct value value(struct walk *x, const struct node *n, unsigned depth);

/* ---- steps ---------------------------------------------------------------------------------- */

static struct value kept(struct arena *a, struct value v)
{
	struct value *copy;

	if (v.type == VALUE_TEXT)
		v.s = arena_str(a, v.s);
	if (v.type == VALUE_LIST) {
		copy = arena_alloc(a, (v.list.n + 1) * sizeof *copy);
		for (size_t i = 0; i < v.list.n; i++)
			copy[i] = kept(a, v.list.v[i]);
		v.list.v = copy;
	}
	return v;
}

static struct value shown(struct walk *x, struct value v)
{
	if (v.type == VALUE_SPAN)
		v.span = (struct span){ .days = (int32_t)(v.i / DUR_DAY), .exact = v.i % DUR_DAY };
	return kept(x->arena, v);
}

static size_t begin(struct walk *x, struct str text, unsigned depth, bool leaf)
{
	struct filter_step *s;

	if (x->n == x->cap) {
		struct filter_step *more = arena_alloc(x->arena, 2 * (x->cap + 8) * sizeof *more);

		if (x->n)
			memcpy(more, x->steps, x->n * sizeof *more);
		x->steps = more;
		x->cap = 2 * (x->cap + 8);
	}
	s = &x->steps[x->n];
	*s = (struct filter_step){ .depth = depth, .text = arena_str(x->arena, text) };
	s->leaf = leaf;
	s->decided = true;
	return x->n++;
}

static void undecided(struct walk *x, size_t from, size_t to)
{
	for (; from < to; from++)
		x->steps[from].decided = false;
}

/* ---- values --------------------------------------------------------------------------------- */

static struct value slot(struct walk *x, unsigned s, enum value_type type, enum value_type of)
{
	return filter_admit(x->w->source->get(x->w->source, s), type, of);
}

/* A name that the function reads without being told: now, today, the birthday. */
static struct value implied(
	struct walk *x, const char *path, unsigned s, enum value_type type, unsigned depth)
{
	struct value v = slot(x, s, type, VALUE_MISSING);
	size_t at = begin(x, str_of(path), depth, true);

	x->steps[at].value = shown(x, v);
	return v;
}

static struct value widened(struct value v, enum value_type type)
{
	if (v.type == VALUE_INT && type == VALUE_DECIMAL)
		return value_decimal(filter_widen(v.i));
	return v;
}

static struct value kid(
	struct walk *x, const struct node *n, unsigned i, enum value_type type, unsigned depth)
{
	return widened(value(x, n->kids[i], depth + 1), type);
}

static struct value outside(
	struct walk *x, const struct node *n, enum filter_fn fn, enum value_type type)
{
	if (!x->w->call)
		return VALUE_NONE;
	return filter_admit(
		x->w->call(x->w->ctx, fn, n->args, filter_fn_args(fn)), type, VALUE_MISSING);
}

static struct value any(struct walk *x, const struct node *n, unsigned depth)
{
	struct value list = value(x, n->kids[0], depth + 1), r = value_bool(false);
	size_t from = x->n, most = list.type == VALUE_LIST ? list.list.n : 0;

	for (size_t i = 0; i < most && !r.b; i++) {
		x->n = from;
		x->it = filter_element(list, (int64_t)i, n->kids[0]->of);
		r = value(x, n->kids[1], depth + 1);
		r.b = r.type == VALUE_BOOL && r.b;
		r.type = VALUE_BOOL;
	}
	return r;
}

static struct value call(struct walk *x, const struct node *n, unsigned depth)
{
	struct value a, b = VALUE_NONE;
	struct scratch s = { 0 };

	switch (n->fn) {
	case FILTER_ANY:
		return any(x, n, depth);
	case FILTER_DAYS_SINCE_LAST:
		a = outside(x, n, FILTER_LAST, VALUE_DATETIME);
		b = implied(x, "now", x->f->now, VALUE_DATETIME, depth + 1);
		return filter_apply(n->fn, a, b);
	case FILTER_LOWER:
		a = kid(x, n, 0, VALUE_TEXT, depth);
		a = kept(x->arena, filter_lowered(&s, a));
		filter_scratch_free(&s);
		return a;
	default:
		break;
	}
	if (n->outside)
		return outside(x, n, n->fn, n->type);
	a = n->n ? value(x, n->kids[0], depth + 1)
		 : implied(x, "member.birthday", x->f->birthday, VALUE_DATE, depth + 1);
	if (n->fn == FILTER_AGE || n->fn == FILTER_ANNIVERSARY)
		b = implied(x, "today", x->f->today, VALUE_DATE, depth + 1);
	return filter_apply(n->fn, a, b);
}

static struct value otherwise(struct walk *x, const struct node *n, unsigned depth)
{
	struct value a = kid(x, n, 0, n->type, depth), b;
	size_t from = x->n;

	b = kid(x, n, 1, n->type, depth);
	if (a.type == VALUE_MISSING)
		return b;
	undecided(x, from, x->n);
	return a;
}

static struct value arithmetic(struct walk *x, const struct node *n, unsigned depth)
{
	struct value a, b;

	if (n->shift)
		return filter_shift(value(x, n->kids[0], depth + 1), n->kids[1]->v.span,
			n->kind == N_SUB ? -1 : 1);
	a = kid(x, n, 0, n->type, depth);
	b = kid(x, n, 1, n->type, depth);
	return filter_math(n->kind, n->type, a, b);
}

/* ---- conditions ----------------------------------------------------------------------------- */

static bool truth(struct value v)
{
	return v.type == VALUE_BOOL && v.b;
}

static bool chain(struct walk *x, const struct node *n, unsigned depth)
{
	bool stop = n->kind == N_OR, found = false;
	size_t from = x->n;

	for (unsigned i = 0; i < n->n; i++) {
		size_t at = x->n;
		bool r = truth(value(x, n->kids[i], depth + 1));

		if (found) {
			undecided(x, at, x->n);
		} else if (r == stop) {
			found = true;
			undecided(x, from, at); /* this one alone made it so */
		}
	}
	return found ? stop : !stop;
}

static enum value_type common(enum value_type a, enum value_type b)
{
	return a == VALUE_INT ? b : a;
}

static bool in(struct walk *x, const struct node *n, unsigned depth)
{
	const struct node *list = n->kids[1];
	enum value_type type = common(n->kids[0]->type, list->of);
	struct value v = kid(x, n, 0, type, depth), items = VALUE_NONE, e;
	size_t count = list->n;
	bool found = false, gap = false;

	if (list->kind != N_LIST) {
		items = value(x, list, depth + 1);
		if (items.type == VALUE_MISSING)
			return false;
		count = items.list.n;
	}
	for (size_t i = 0; i < count; i++) {
		e = list->kind == N_LIST ? value(x, list->kids[i], depth + 1)
					 : filter_element(items, (int64_t)i, list->of);
		e = widened(e, type);
		if (e.type == VALUE_MISSING)
			gap = true;
		else if (v.type != VALUE_MISSING)
			found |= filter_equal(type, &v, &e);
	}
	return v.type != VALUE_MISSING && (n->negated ? !found && !gap : found);
}

static bool between(struct walk *x, const struct node *n, unsigned depth)
{
	enum value_type type = common(n->kids[0]->type, common(n->kids[1]->type, n->kids[2]->type));
	struct value v[3];

	for (unsigned i = 0; i < 3; i++)
		v[i] = kid(x, n, i, type, depth);
	for (unsigned i = 0; i < 3; i++)
		if (v[i].type == VALUE_MISSING)
			return false;
	return (filter_order(type, &v[0], &v[1]) >= 0 && filter_order(type, &v[0], &v[2]) <= 0) !=
	       n->negated;
}

static bool compare(struct walk *x, const struct node *n, unsigned depth)
{
	enum value_type type = common(n->kids[0]->type, n->kids[1]->type);
	struct value a = kid(x, n, 0, type, depth), b = kid(x, n, 1, type, depth);

	if (a.type == VALUE_MISSING || b.type == VALUE_MISSING)
		return false;
	if (n->kind >= N_IEQ)
		return filter_test(n->kind, a.s, b.s) != n->negated;
	return filter_holds(n->kind, type, &a, &b);
}

static bool condition(struct walk *x, const struct node *n, unsigned depth)
{
	switch (n->kind) {
	case N_OR:
	case N_AND:
		return chain(x, n, depth);
	case N_NOT:
		return !truth(value(x, n->kids[0], depth + 1));
	case N_IN:
		return in(x, n, depth);
	case N_BETWEEN:
		return between(x, n, depth);
	case N_MISSING:
		return (value(x, n->kids[0], depth + 1).type == VALUE_MISSING) != n->negated;
	default:
		return compare(x, n, depth);
	}
}

static struct value compute(struct walk *x, const struct node *n, unsigned depth)
{
	struct value v, i;

	switch (n->kind) {
	case N_NAME:
		return slot(x, n->slot, n->type, n->of);
	case N_IT:
		return x->it;
	case N_CALL:
		return call(x, n, depth);
	case N_NEG:
		v = value(x, n->kids[0], depth + 1);
		if (v.type != VALUE_MISSING)
			v.i = filter_sub(0, v.i);
		return v;
	case N_ELSE:
		return otherwise(x, n, depth);
	case N_INDEX:
		v = value(x, n->kids[0], depth + 1);
		i = value(x, n->kids[1], depth + 1);
		return i.type == VALUE_MISSING ? VALUE_NONE : filter_element(v, i.i, n->type);
	case N_ADD:
	case N_SUB:
	case N_MUL:
	case N_DIV:
	case N_MOD:
		return arithmetic(x, n, depth);
	default:
		return value_bool(condition(x, n, depth));
	}
}

static struct value value(struct walk *x, const struct node *n, unsigned depth)
{
	struct value v;
	size_t at;

	if (n->kind == N_CONST)
		return n->v;
	buf_reset(&x->text);
	filter_put_node(n, &x->text);
	at = begin(x, buf_view(&x->text), depth,
		n->kind == N_NAME || n->kind == N_IT || (n->kind == N_CALL && n->outside));
	v = compute(x, n, depth);
	x->steps[at].value = shown(x, v);
	return v;
}

bool filter_explain(const struct filter *f, const struct filter_world *w, struct arena *a,
	struct filter_step **steps_r, size_t *n_r)
{
	struct walk x = { .f = f, .w = w, .arena = a };
	struct value v = value(&x, f->root, 0);

	if (f->root->kind == N_CONST) { /* "true" */
		filter_put_node(f->root, &x.text);
		begin(&x, buf_view(&x.text), 0, false);
		x.steps[0].value = v;
	}
	buf_free(&x.text);
	*steps_r = x.steps;
	*n_r = x.n;
	return truth(v);
}

bool filter_explain_put(const struct filter *f, const struct filter_world *w, struct buf *out)
{
	struct arena *a = arena_new();
	struct filter_step *s;
	size_t n;
	bool r = filter_explain(f, w, a, &s, &n);

	for (size_t i = 0; i < n; i++) {
		buf_c(out, s[i].decided ? "  " : "- ");
		for (unsigned d = 0; d < s[i].depth; d++)
			buf_c(out, "  ");
		if (s[i].value.type == VALUE_BOOL)
			buf_c(out, s[i].value.b ? "true" : "false");
		else
			value_put(out, s[i].value);
		buf_c(out, "  ");
		buf_str(out, s[i].text);
		buf_char(out, '\n');
	}
	arena_free(&a);
	return r;
}
