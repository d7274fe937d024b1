/* Runs a filter's byte code: tens of nanoseconds, nothing allocated (but for lower() of long
 * texts), no way to fail. The code is trusted: filter_code.c made it of a checked tree.
 */
#include "gateway/base/err.h"
#include "plugins/offers/filter_private.h"

struct machine {
	const struct filter_world *w;
	struct value list; /* of any() */
	size_t at;
	struct scratch scratch;
	struct value st[FILTER_STACK];
};

static struct value ask(struct machine *m, const struct node *n, uint8_t type)
{
	enum filter_fn fn = n->fn == FILTER_DAYS_SINCE_LAST ? FILTER_LAST : n->fn;

	if (!m->w->call)
		return VALUE_NONE;
	return filter_admit(m->w->call(m->w->ctx, fn, n->args, filter_fn_args(fn)),
		(enum value_type)type, VALUE_MISSING);
}

static bool in_constants(const struct value *x, const struct value *c, unsigned n,
	enum value_type type, bool negated)
{
	if (x->type == VALUE_MISSING)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (filter_equal(type, x, &c[i]))
			return !negated;
	return negated;
}

/* type: of x; of: of the elements, which may be ints among decimals. */
static bool in_list(const struct value *x, const struct value *list, enum value_type type,
	enum value_type of, bool negated)
{
	bool gap = false;

	if (x->type == VALUE_MISSING || list->type == VALUE_MISSING)
		return false;
	for (size_t i = 0; i < list->list.n; i++) {
		struct value v = filter_element(*list, (int64_t)i, of);

		if (v.type == VALUE_MISSING) {
			gap = true;
			continue;
		}
		if (type == VALUE_DECIMAL && of == VALUE_INT)
			v = value_decimal(filter_widen(v.i));
		if (filter_equal(type, x, &v))
			return !negated;
	}
	return negated && !gap;
}

/* State of a list that is looked at element by element. */
enum { IN_FOUND = 1, IN_GAP = 2 };

static void in_step(struct value *state, const struct value *v, enum value_type type)
{
	const struct value *x = state - 1;

	if (v->type == VALUE_MISSING)
		state->i |= IN_GAP;
	else if (x->type != VALUE_MISSING && filter_equal(type, x, v))
		state->i |= IN_FOUND;
}

static bool in_done(const struct value *x, int64_t state, bool negated)
{
	if (x->type == VALUE_MISSING)
		return false;
	return negated ? state == 0 : state & IN_FOUND;
}

static bool compare(const struct ins *i, const struct value *a, const struct value *b)
{
	return a->type != VALUE_MISSING && b->type != VALUE_MISSING &&
	       filter_holds((enum node_kind)i->a, (enum value_type)i->d, a, b);
}

static bool between(const struct ins *i, const struct value *x)
{
	enum value_type type = (enum value_type)i->a;

	if (x[0].type == VALUE_MISSING || x[1].type == VALUE_MISSING || x[2].type == VALUE_MISSING)
		return false;
	return (filter_order(type, &x[0], &x[1]) >= 0 && filter_order(type, &x[0], &x[2]) <= 0) !=
	       (bool)i->d;
}

static bool test(const struct ins *i, const struct value *a, const struct value *b)
{
	return a->type != VALUE_MISSING && b->type != VALUE_MISSING &&
	       filter_test((enum node_kind)i->a, a->s, b->s) != (bool)i->d;
}

static bool any_begin(struct machine *m, struct value list)
{
	m->list = list;
	m->at = 0;
	return list.type != VALUE_MISSING && list.list.n;
}

static void pop_apply(struct machine *m, const struct ins *i, struct value **spp)
{
	struct value *sp = *spp, b = VALUE_NONE;

	if (i->d)
		b = *sp--;
	*sp = filter_apply((enum filter_fn)i->a, *sp, b);
	*spp = sp;
}

static void negate(struct value *v)
{
	if (v->type != VALUE_MISSING)
		v->i = filter_sub(0, v->i);
}

static void widen(struct value *v)
{
	if (v->type != VALUE_MISSING)
		*v = value_decimal(filter_widen(v->i));
}

static bool run(struct machine *m, const struct filter *f)
{
	const struct source *src = m->w->source;
	const struct value *consts = f->consts;
	struct value *sp = m->st, v; /* the top; st[0] is never used */
	bool r = false;

	for (const struct ins *i = f->code;; i++) {
		switch ((enum op)i->op) {
		case OP_END:
			return r;
		case OP_CONST:
			*++sp = consts[i->c];
			break;
		case OP_SLOT:
			*++sp = filter_admit(
				src->get(src, i->b), (enum value_type)i->a, (enum value_type)i->d);
			break;
		case OP_IT:
			*++sp = filter_element(m->list, (int64_t)m->at, m->list.of);
			break;
		case OP_CALL:
			*++sp = ask(m, f->calls[i->b], i->a);
			break;
		case OP_PUSH:
			*++sp = value_bool(r);
			break;
		case OP_TRUTH:
			r = sp->type == VALUE_BOOL && sp->b;
			sp--;
			break;
		case OP_NOT:
			r = !r;
			break;
		case OP_JUMP_FALSE:
			if (!r)
				i = f->code + i->b - 1;
			break;
		case OP_JUMP_TRUE:
			if (r)
				i = f->code + i->b - 1;
			break;
		case OP_JUMP_PRESENT:
			if (sp->type != VALUE_MISSING)
				i = f->code + i->b - 1;
			else
				sp--;
			break;
		case OP_COMPARE:
			sp -= 2;
			r = compare(i, sp + 1, sp + 2);
			break;
		case OP_SLOT_CONST:
			v = src->get(src, i->b);
			r = v.type == (enum value_type)i->d &&
			    filter_holds((enum node_kind)i->a, v.type, &v, &consts[i->c]);
			break;
		case OP_SLOT_IN:
			v = src->get(src, i->b);
			r = v.type == (enum value_type)i->a &&
			    in_constants(&v, &consts[i->c], i->d / 2, v.type, i->d % 2);
			break;
		case OP_SLOT_TRUE:
			v = src->get(src, i->b);
			r = v.type == VALUE_BOOL && v.b;
			break;
		case OP_TEST:
			sp -= 2;
			r = test(i, sp + 1, sp + 2);
			break;
		case OP_BETWEEN:
			sp -= 3;
			r = between(i, sp + 1);
			break;
		case OP_MISSING:
			r = (sp->type == VALUE_MISSING) != (bool)i->d;
			sp--;
			break;
		case OP_IN_CONSTS:
			r = in_constants(sp--, &consts[i->c], i->b, (enum value_type)i->a, i->d);
			break;
		case OP_IN_LIST:
			sp -= 2;
			r = in_list(
				sp + 1, sp + 2, (enum value_type)i->a, (enum value_type)i->b, i->d);
			break;
		case OP_IN_STEP:
			sp--;
			in_step(sp, sp + 1, (enum value_type)i->a);
			break;
		case OP_IN_DONE:
			sp -= 2;
			r = in_done(sp + 1, sp[2].i, i->d);
			break;
		case OP_WIDEN:
			widen(sp);
			break;
		case OP_MATH:
			sp--;
			*sp = filter_math(
				(enum node_kind)i->a, (enum value_type)i->d, sp[0], sp[1]);
			break;
		case OP_NEG:
			negate(sp);
			break;
		case OP_SHIFT:
			*sp = filter_shift(*sp, consts[i->c].span, i->d ? -1 : 1);
			break;
		case OP_INDEX:
			sp--;
			*sp = sp[1].type == VALUE_MISSING
				      ? VALUE_NONE
				      : filter_element(sp[0], sp[1].i, (enum value_type)i->a);
			break;
		case OP_APPLY:
			pop_apply(m, i, &sp);
			break;
		case OP_LOWER:
			*sp = filter_lowered(&m->scratch, *sp);
			break;
		case OP_ANY_BEGIN:
			r = false;
			if (!any_begin(m, *sp--))
				i = f->code + i->b - 1;
			break;
		case OP_ANY_NEXT:
			if (!r && ++m->at < m->list.list.n)
				i = f->code + i->b - 1;
			break;
		}
	}
}

bool filter_eval(const struct filter *f, const struct filter_world *w)
{
	struct machine m;
	bool r;

	m.w = w;
	m.list = VALUE_NONE;
	m.at = 0;
	m.scratch.spill = NULL;
	m.scratch.used = 0;
	r = run(&m, f);
	if (m.scratch.spill)
		filter_scratch_free(&m.scratch);
	return r;
}
