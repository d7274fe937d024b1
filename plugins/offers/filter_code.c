/* The tree to byte code for a machine with a stack of values and one register for conditions. See
 * filter_private.h; filter_eval.c runs it.
 */
#include "gateway/base/err.h"
#include "plugins/offers/filter_private.h"

enum { CODE_MOST = 8 * FILTER_NODES }; /* instructions, a few for each node */

struct encoder {
	struct filter *f;
	struct ins code[CODE_MOST];
	struct value consts[2 * FILTER_NODES];
	const struct node *calls[FILTER_NODES];
	unsigned n, consts_n, calls_n;
};

static void condition(struct encoder *e, const struct node *n);
static void value(struct encoder *e, const struct node *n);

static struct ins *emit(struct encoder *e, enum op op)
{
	CHECK(e->n < CODE_MOST);
	e->code[e->n] = (struct ins){ .op = (uint8_t)op };
	return &e->code[e->n++];
}

static uint16_t constant(struct encoder *e, struct value v)
{
	CHECK(e->consts_n < sizeof e->consts / sizeof e->consts[0]);
	e->consts[e->consts_n] = v;
	return (uint16_t)e->consts_n++;
}

static void push_constant(struct encoder *e, struct value v)
{
	uint16_t c = constant(e, v);

	emit(e, OP_CONST)->c = c;
}

static void push_slot(struct encoder *e, unsigned slot, enum value_type type, enum value_type of)
{
	struct ins *i = emit(e, OP_SLOT);

	i->a = (uint8_t)type;
	i->b = (uint16_t)slot;
	i->d = of;
}

/* A number among decimals becomes one. */
static void value_as(struct encoder *e, const struct node *n, enum value_type type)
{
	value(e, n);
	if (n->type == VALUE_INT && type == VALUE_DECIMAL)
		emit(e, OP_WIDEN);
}

static enum value_type common(enum value_type a, enum value_type b)
{
	return a == VALUE_INT ? b : a;
}

/* ---- values --------------------------------------------------------------------------------- */

static void call(struct encoder *e, const struct node *n)
{
	struct ins *i;

	if (n->outside) {
		i = emit(e, OP_CALL);
		i->b = (uint16_t)e->calls_n;
		i->a = n->fn == FILTER_DAYS_SINCE_LAST ? VALUE_DATETIME : n->type;
		e->calls[e->calls_n++] = n;
		if (n->fn != FILTER_DAYS_SINCE_LAST)
			return;
		push_slot(e, e->f->now, VALUE_DATETIME, VALUE_MISSING);
	} else if (n->n) {
		value(e, n->kids[0]);
	} else {
		push_slot(e, e->f->birthday, VALUE_DATE, VALUE_MISSING);
	}
	if (n->fn == FILTER_LOWER) {
		emit(e, OP_LOWER);
		return;
	}
	if (n->fn == FILTER_AGE || n->fn == FILTER_ANNIVERSARY)
		push_slot(e, e->f->today, VALUE_DATE, VALUE_MISSING);
	i = emit(e, OP_APPLY);
	i->a = (uint8_t)n->fn;
	i->d = n->outside || n->fn == FILTER_AGE || n->fn == FILTER_ANNIVERSARY;
}

static void sum(struct encoder *e, const struct node *n)
{
	struct ins *i;

	if (n->shift) {
		uint16_t c = constant(e, n->kids[1]->v);

		value(e, n->kids[0]);
		i = emit(e, OP_SHIFT);
		i->c = c;
		i->d = n->kind == N_SUB;
		return;
	}
	value_as(e, n->kids[0], n->type);
	value_as(e, n->kids[1], n->type);
	i = emit(e, OP_MATH);
	i->a = (uint8_t)n->kind;
	i->d = n->type;
}

static void otherwise(struct encoder *e, const struct node *n)
{
	unsigned jump;

	value_as(e, n->kids[0], n->type);
	jump = e->n;
	emit(e, OP_JUMP_PRESENT);
	value_as(e, n->kids[1], n->type);
	e->code[jump].b = (uint16_t)e->n;
}

static bool is_test(const struct node *n) /* it leaves its result in r */
{
	return (n->kind >= N_OR && n->kind <= N_MISSING) ||
	       (n->kind == N_CALL && n->fn == FILTER_ANY);
}

static void value(struct encoder *e, const struct node *n)
{
	if (is_test(n)) {
		condition(e, n);
		emit(e, OP_PUSH);
		return;
	}
	switch (n->kind) {
	case N_CONST:
		push_constant(e, n->v);
		break;
	case N_NAME:
		push_slot(e, n->slot, n->type, n->of);
		break;
	case N_IT:
		emit(e, OP_IT);
		break;
	case N_CALL:
		call(e, n);
		break;
	case N_NEG:
		value(e, n->kids[0]);
		emit(e, OP_NEG);
		break;
	case N_ELSE:
		otherwise(e, n);
		break;
	case N_INDEX:
		value(e, n->kids[0]);
		value(e, n->kids[1]);
		emit(e, OP_INDEX)->a = (uint8_t)n->type;
		break;
	default:
		CHECK(n->kind >= N_ADD && n->kind <= N_MOD);
		sum(e, n);
		break;
	}
}

/* ---- conditions ----------------------------------------------------------------------------- */

static void chain(struct encoder *e, const struct node *n)
{
	unsigned jumps[FILTER_NODES], count = 0;

	for (unsigned i = 0; i < n->n; i++) {
		condition(e, n->kids[i]);
		if (i + 1 == n->n)
			break;
		jumps[count++] = e->n;
		emit(e, n->kind == N_OR ? OP_JUMP_TRUE : OP_JUMP_FALSE);
	}
	while (count)
		e->code[jumps[--count]].b = (uint16_t)e->n;
}

/* A name whose value can be looked at as it comes. */
static bool is_plain(const struct node *n)
{
	return n->kind == N_NAME && n->type != VALUE_SPAN && n->type != VALUE_LIST;
}

static void compare(struct encoder *e, const struct node *n)
{
	const struct node *a = n->kids[0], *b = n->kids[1];
	enum value_type type = common(a->type, b->type);
	struct ins *i;

	if (is_plain(a) && b->kind == N_CONST && a->type == b->type) {
		uint16_t c = constant(e, b->v);

		i = emit(e, OP_SLOT_CONST);
		i->b = (uint16_t)a->slot;
		i->c = c;
	} else {
		value_as(e, a, type);
		value_as(e, b, type);
		i = emit(e, OP_COMPARE);
	}
	i->a = (uint8_t)n->kind;
	i->d = type;
}

static uint16_t constants_of(struct encoder *e, const struct node *list)
{
	uint16_t first = (uint16_t)e->consts_n;

	for (unsigned k = 0; k < list->n; k++)
		constant(e, list->kids[k]->v);
	return first;
}

static void slot_in(struct encoder *e, const struct node *n)
{
	uint16_t first = constants_of(e, n->kids[1]);
	struct ins *i = emit(e, OP_SLOT_IN);

	i->a = (uint8_t)n->kids[1]->of;
	i->b = (uint16_t)n->kids[0]->slot;
	i->c = first;
	i->d = (uint16_t)(2 * n->kids[1]->n + n->negated);
}

static void in(struct encoder *e, const struct node *n)
{
	const struct node *x = n->kids[0], *list = n->kids[1];
	bool constants = list->kind == N_LIST;
	struct ins *i;

	for (unsigned k = 0; constants && k < list->n; k++)
		constants = list->kids[k]->kind == N_CONST;
	if (constants && is_plain(x) && x->type == list->of) {
		slot_in(e, n);
		return;
	}
	value_as(e, x, list->of);
	if (constants) {
		uint16_t first = constants_of(e, list);

		i = emit(e, OP_IN_CONSTS);
		i->c = first;
		i->b = (uint16_t)list->n;
		i->a = (uint8_t)list->of;
	} else if (list->kind == N_LIST) {
		push_constant(e, value_int(0));
		for (unsigned k = 0; k < list->n; k++) {
			value_as(e, list->kids[k], list->of);
			emit(e, OP_IN_STEP)->a = (uint8_t)list->of;
		}
		i = emit(e, OP_IN_DONE);
	} else {
		value(e, list);
		i = emit(e, OP_IN_LIST);
		i->a = (uint8_t)common(x->type, list->of);
		i->b = list->of;
	}
	i->d = n->negated;
}

static void between(struct encoder *e, const struct node *n)
{
	enum value_type type = common(n->kids[0]->type, common(n->kids[1]->type, n->kids[2]->type));
	struct ins *i;

	for (unsigned k = 0; k < 3; k++)
		value_as(e, n->kids[k], type);
	i = emit(e, OP_BETWEEN);
	i->a = (uint8_t)type;
	i->d = n->negated;
}

static void any(struct encoder *e, const struct node *n)
{
	unsigned begin;
	struct ins *i;

	value(e, n->kids[0]);
	begin = e->n;
	emit(e, OP_ANY_BEGIN)->a = (uint8_t)n->kids[0]->of;
	condition(e, n->kids[1]);
	i = emit(e, OP_ANY_NEXT);
	i->a = (uint8_t)n->kids[0]->of;
	i->b = (uint16_t)(begin + 1);
	e->code[begin].b = (uint16_t)e->n;
}

static void condition(struct encoder *e, const struct node *n)
{
	struct ins *i;

	if (n->kind == N_NAME) {
		emit(e, OP_SLOT_TRUE)->b = (uint16_t)n->slot;
		return;
	}
	if (!is_test(n)) {
		value(e, n);
		emit(e, OP_TRUTH);
		return;
	}
	switch (n->kind) {
	case N_OR:
	case N_AND:
		chain(e, n);
		break;
	case N_NOT:
		condition(e, n->kids[0]);
		emit(e, OP_NOT);
		break;
	case N_IEQ:
	case N_CONTAINS:
	case N_STARTS:
	case N_ENDS:
	case N_MATCHES:
		value(e, n->kids[0]);
		value(e, n->kids[1]);
		i = emit(e, OP_TEST);
		i->a = (uint8_t)n->kind;
		i->d = n->negated;
		break;
	case N_IN:
		in(e, n);
		break;
	case N_BETWEEN:
		between(e, n);
		break;
	case N_MISSING:
		value(e, n->kids[0]);
		emit(e, OP_MISSING)->d = n->negated;
		break;
	case N_CALL:
		any(e, n);
		break;
	default:
		compare(e, n);
		break;
	}
}

static void *keep(struct arena *a, const void *p, size_t n)
{
	return n ? memcpy(arena_alloc(a, n), p, n) : arena_alloc(a, 1);
}

void filter_encode(struct compiler *c)
{
	struct encoder *e = mem_new(struct encoder);
	struct filter *f = c->f;

	e->f = f;
	condition(e, f->root);
	emit(e, OP_END);
	f->code = keep(c->arena, e->code, e->n * sizeof e->code[0]);
	f->code_n = e->n;
	f->consts = keep(c->arena, e->consts, e->consts_n * sizeof e->consts[0]);
	f->consts_n = e->consts_n;
	f->calls = keep(c->arena, e->calls, e->calls_n * sizeof e->calls[0]);
	f->calls_n = e->calls_n;
	mem_free(&e);
}
