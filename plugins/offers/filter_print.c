/* A filter's tree as text that compiles to the same tree, and trees compared. See filter.h. */
#include "plugins/offers/filter_private.h"

/* How tightly a node binds; see enum power of filter_parse.c. */
enum {
	BIND_OR = 1,
	BIND_AND,
	BIND_NOT,
	BIND_COMPARE,
	BIND_ADD,
	BIND_MUL,
	BIND_NEG,
	BIND_ELSE,
	BIND_LEAF,
};

static int binding(const struct node *n)
{
	switch (n->kind) {
	case N_OR:
		return BIND_OR;
	case N_AND:
		return BIND_AND;
	case N_NOT:
		return BIND_NOT;
	case N_ADD:
	case N_SUB:
		return BIND_ADD;
	case N_MUL:
	case N_DIV:
	case N_MOD:
		return BIND_MUL;
	case N_NEG:
		return BIND_NEG;
	case N_ELSE:
		return BIND_ELSE;
	default:
		return n->kind >= N_EQ && n->kind <= N_MISSING ? BIND_COMPARE : BIND_LEAF;
	}
}

static const char *const words[] = {
	[N_EQ] = " == ",
	[N_NE] = " != ",
	[N_LT] = " < ",
	[N_LE] = " <= ",
	[N_GT] = " > ",
	[N_GE] = " >= ",
	[N_IEQ] = " ~= ",
	[N_CONTAINS] = "contains ",
	[N_STARTS] = "starts with ",
	[N_ENDS] = "ends with ",
	[N_MATCHES] = "matches ",
	[N_IN] = "in ",
	[N_BETWEEN] = "between ",
	[N_ADD] = " + ",
	[N_SUB] = " - ",
	[N_MUL] = " * ",
	[N_DIV] = " / ",
	[N_MOD] = " % ",
	[N_ELSE] = " ?? ",
};

static void put(struct buf *b, const struct node *n, int least);

static void put_constant(struct buf *b, const struct node *n)
{
	size_t from = b->n;

	if (n->quoted) {
		buf_char(b, '\'');
		for (size_t i = 0; i < n->text.n; i++) {
			if (n->text.p[i] == '\'')
				buf_char(b, '\'');
			buf_char(b, n->text.p[i]);
		}
		buf_char(b, '\'');
	} else if (n->type == VALUE_BOOL) {
		buf_c(b, n->v.b ? "true" : "false");
	} else if (n->type == VALUE_DECIMAL) {
		decimal_put(b, n->v.i);
		if (!n->whole && str_index(str_skip(buf_view(b), from), '.') < 0)
			buf_c(b, ".0"); /* a decimal stays one */
	} else {
		buf_printf(b, "%lld", (long long)n->v.i);
	}
}

static void put_list(struct buf *b, const struct node *n)
{
	buf_char(b, '(');
	for (unsigned i = 0; i < n->n; i++) {
		if (i)
			buf_c(b, ", ");
		put(b, n->kids[i], BIND_OR);
	}
	buf_char(b, ')');
}

static void put_chain(struct buf *b, const struct node *n)
{
	for (unsigned i = 0; i < n->n; i++) {
		if (i)
			buf_c(b, n->kind == N_OR ? " or " : " and ");
		put(b, n->kids[i], binding(n) + 1);
	}
}

static void put_compare(struct buf *b, const struct node *n)
{
	const struct node *left = n->kids[n->flipped],
			  *right = n->n > 1 ? n->kids[!n->flipped] : NULL;

	put(b, left, BIND_ADD);
	if (n->kind == N_MISSING) {
		buf_c(b, n->negated ? " is present" : " is missing");
		return;
	}
	if (n->kind >= N_CONTAINS)
		buf_c(b, n->negated ? " not " : " ");
	buf_c(b, n->flipped ? words[N_CONTAINS] : words[n->kind]);
	put(b, right, BIND_ADD);
	if (n->kind == N_BETWEEN) {
		buf_c(b, " and ");
		put(b, n->kids[2], BIND_ADD);
	}
}

static void put_neg(struct buf *b, const struct node *n)
{
	struct buf inner = BUF_INIT;
	bool digit;

	/* -5 is a constant, -(5) its negation; likewise -(5 ?? 1) */
	put(&inner, n->kids[0], BIND_NEG);
	digit = inner.n && inner.p[0] >= '0' && inner.p[0] <= '9';
	buf_c(b, digit ? "-(" : "-");
	buf_str(b, buf_view(&inner));
	buf_c(b, digit ? ")" : "");
	buf_free(&inner);
}

static void put_node(struct buf *b, const struct node *n)
{
	switch (n->kind) {
	case N_CONST:
		put_constant(b, n);
		break;
	case N_NAME:
		buf_str(b, n->text);
		break;
	case N_IT:
		buf_c(b, "it");
		break;
	case N_CALL:
		buf_c(b, filter_fn_word(n->fn));
		put_list(b, n);
		break;
	case N_LIST:
		put_list(b, n);
		break;
	case N_OR:
	case N_AND:
		put_chain(b, n);
		break;
	case N_NOT:
		buf_c(b, "not ");
		put(b, n->kids[0], BIND_NOT);
		break;
	case N_NEG:
		put_neg(b, n);
		break;
	case N_ELSE: /* to the right */
		put(b, n->kids[0], BIND_LEAF);
		buf_c(b, words[n->kind]);
		put(b, n->kids[1], BIND_ELSE);
		break;
	case N_INDEX:
		put(b, n->kids[0], BIND_LEAF);
		buf_char(b, '[');
		put(b, n->kids[1], BIND_OR);
		buf_char(b, ']');
		break;
	case N_ADD:
	case N_SUB:
	case N_MUL:
	case N_DIV:
	case N_MOD:
		put(b, n->kids[0], binding(n));
		buf_c(b, words[n->kind]);
		put(b, n->kids[1], binding(n) + 1);
		break;
	default:
		put_compare(b, n);
		break;
	}
}

/* In parentheses where it binds more loosely than what is around it. */
static void put(struct buf *b, const struct node *n, int least)
{
	bool wrap = binding(n) < least;

	if (wrap)
		buf_char(b, '(');
	put_node(b, n);
	if (wrap)
		buf_char(b, ')');
}

void filter_put_node(const struct node *n, struct buf *out)
{
	put_node(out, n);
}

void filter_print(const struct filter *f, struct buf *out)
{
	put_node(out, f->root);
}

/* ---- equal trees ---------------------------------------------------------------------------- */

static bool same_constant(const struct node *a, const struct node *b)
{
	if (a->quoted)
		return str_eq(a->text, b->text);
	return a->type == VALUE_BOOL ? a->v.b == b->v.b : a->v.i == b->v.i;
}

static bool same(const struct node *a, const struct node *b)
{
	if (a->kind != b->kind || a->type != b->type || a->of != b->of || a->n != b->n ||
		a->negated != b->negated || a->flipped != b->flipped || a->quoted != b->quoted ||
		a->shift != b->shift || a->outside != b->outside)
		return false;
	if ((a->kind == N_CONST && !same_constant(a, b)) ||
		(a->kind == N_NAME && (a->slot != b->slot || !str_eq(a->text, b->text))) ||
		(a->kind == N_CALL && a->fn != b->fn))
		return false;
	for (unsigned i = 0; i < a->n; i++)
		if (!same(a->kids[i], b->kids[i]))
			return false;
	return true;
}

bool filter_same(const struct filter *a, const struct filter *b)
{
	return same(a->root, b->root);
}
