/* Tokens to a tree, by precedence (Pratt). See filter_private.h.
 *
 * A syntax fault ends the parse: what follows one is guesswork. Depth of recursion and number of
 * nodes are bounded before anything is made of them.
 */
#include "gateway/base/err.h"
#include "plugins/offers/filter_private.h"

enum power { /* loosest first */
	P_NONE,
	P_OR,
	P_AND,
	P_NOT,
	P_COMPARE,
	P_ADD,
	P_MUL,
	P_NEG,
	P_ELSE,
};
enum { NESTING = 2 * FILTER_DEPTH + 16 }; /* calls of parse() within each other */

struct parser {
	struct compiler *c;
	struct token t;    /* the present one */
	unsigned at, last; /* behind it; end of the one before it */
	unsigned nesting;
	/* Kids of lists and chains that are not complete; as many as there may be nodes. */
	struct node *held[FILTER_NODES + 1];
	unsigned held_n;
};

static struct node *parse(struct parser *p, enum power power);

static void advance(struct parser *p)
{
	p->last = p->t.end;
	p->t = filter_lex(&p->c->report, &p->at);
}

static void *fault(struct parser *p, const char *what)
{
	struct token t = p->t;
	const char *ours = t.kind == T_NAME ? filter_foreign(t.text) : NULL;

	if (t.kind == T_BAD)
		return NULL;
	if (t.kind == T_END)
		filter_fault(&p->c->report, t.at, t.end, "the filter ends here, expected %s", what);
	else if (ours)
		filter_fault(&p->c->report, t.at, t.end,
			"expected %s, found \"%.*s\"; did you mean %s?", what, STR_ARG(t.text),
			ours);
	else
		filter_fault(&p->c->report, t.at, t.end, "expected %s, found %s%.*s%s", what,
			t.kind == T_TEXT ? "'" : "\"", (int)(t.text.n > 40 ? 40 : t.text.n),
			t.text.p, t.kind == T_TEXT ? "'" : "\"");
	return NULL;
}

static bool take(struct parser *p, enum token_kind kind)
{
	if (p->t.kind != kind)
		return false;
	advance(p);
	return true;
}

static struct node *make(struct parser *p, enum node_kind kind, unsigned at)
{
	struct node *n;

	if (p->c->f->nodes == FILTER_NODES) {
		filter_fault(&p->c->report, at, p->last,
			"too long: more than %d names, values and operators", FILTER_NODES);
		return NULL;
	}
	p->c->f->nodes++;
	n = arena_new_of(p->c->arena, struct node);
	n->kind = kind;
	n->at = at;
	n->end = p->last;
	n->depth = 1;
	return n;
}

/* Makes them the node's kids; NULL when one of them is, or when that is too deep. */
static struct node *adopt(struct parser *p, struct node *n, struct node **kids, unsigned count)
{
	if (!n)
		return NULL;
	n->kids = arena_alloc(p->c->arena, count * sizeof(*n->kids));
	n->n = count;
	for (unsigned i = 0; i < count; i++) {
		if (!kids[i])
			return NULL;
		n->kids[i] = kids[i];
		if (n->depth <= kids[i]->depth)
			n->depth = kids[i]->depth + 1;
	}
	if (n->depth > FILTER_DEPTH) {
		filter_fault(&p->c->report, n->at, p->last,
			"nested too deeply: more than %d levels", FILTER_DEPTH);
		return NULL;
	}
	n->end = p->last;
	return n;
}

static bool hold(struct parser *p, struct node *n)
{
	if (!n)
		return false;
	CHECK(p->held_n < sizeof p->held / sizeof p->held[0]); /* make() counts */
	p->held[p->held_n++] = n;
	return true;
}

static struct node *adopt_held(struct parser *p, struct node *n, unsigned from)
{
	unsigned count = p->held_n - from;

	p->held_n = from;
	return adopt(p, n, p->held + from, count);
}

static struct node *unary(struct parser *p, enum node_kind kind, unsigned at, struct node *kid)
{
	return kid ? adopt(p, make(p, kind, at), &kid, 1) : NULL;
}

static struct node *binary(
	struct parser *p, enum node_kind kind, struct node *left, struct node *right)
{
	struct node *kids[2] = { left, right };

	return left && right ? adopt(p, make(p, kind, left->at), kids, 2) : NULL;
}

/* ---- leaves --------------------------------------------------------------------------------- */

static bool read_int(struct str digits, bool negative, int64_t *v_r)
{
	uint64_t v;

	if (!str_u64(digits, &v) || v > (uint64_t)INT64_MAX + negative)
		return false;
	*v_r = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

static bool read_decimal(struct str digits, bool negative, int64_t *v_r)
{
	char text[48] = "-";

	if (digits.n + 1 >= sizeof text)
		return false;
	memcpy(text + negative, digits.p, digits.n);
	return decimal_parse(str_n(text, digits.n + negative), v_r);
}

static struct node *number(struct parser *p, unsigned at, bool negative)
{
	struct str digits = p->t.text;
	bool whole = str_index(digits, '.') < 0, fits;
	struct node *n;

	advance(p);
	n = make(p, N_CONST, at);
	if (!n)
		return NULL;
	n->type = n->v.type = whole ? VALUE_INT : VALUE_DECIMAL;
	fits = whole ? read_int(digits, negative, &n->v.i)
		     : read_decimal(digits, negative, &n->v.i);
	if (fits)
		return n;
	filter_fault(&p->c->report, at, n->end, "this number is too large%s",
		whole ? "" : ", or has more than four places behind the point");
	return NULL;
}

static struct node *text(struct parser *p)
{
	struct token t = p->t;
	struct node *n;
	char *s;
	size_t k = 0;

	advance(p);
	n = make(p, N_CONST, t.at);
	if (!n)
		return NULL;
	s = arena_alloc(p->c->arena, t.text.n + 1);
	for (size_t i = 0; i < t.text.n; i++) {
		s[k++] = t.text.p[i];
		i += t.text.p[i] == '\'';
	}
	n->type = VALUE_TEXT;
	n->quoted = true;
	n->text = str_n(s, k);
	n->v = value_text(n->text);
	return n;
}

static struct node *call(struct parser *p, struct token name)
{
	struct node *args[FILTER_ARGS], *n;
	unsigned count = 0;
	enum filter_fn fn;
	const char *near;

	if (!filter_fn_parse(name.text, &fn)) {
		near = filter_fn_near(name.text);
		filter_fault(&p->c->report, name.at, name.end,
			"there is no function \"%.*s\"%s%s%s", STR_ARG(name.text),
			near ? "; did you mean " : "", near ? near : "", near ? "()?" : "");
		return NULL;
	}
	advance(p); /* the parenthesis */
	while (p->t.kind != T_CLOSE) {
		if (count && !take(p, T_COMMA))
			return fault(p, "\",\" or \")\"");
		if (count == filter_fn_args(fn)) {
			filter_fault(&p->c->report, p->t.at, p->t.end,
				count ? "%s() takes at most %u argument%s"
				      : "%s() takes no argument",
				filter_fn_word(fn), count, count == 1 ? "" : "s");
			return NULL;
		}
		args[count] = parse(p, P_NONE);
		if (!args[count++])
			return NULL;
	}
	advance(p);
	n = make(p, N_CALL, name.at);
	if (!n)
		return NULL;
	n->fn = fn;
	return adopt(p, n, args, count);
}

static struct node *name(struct parser *p)
{
	struct token t = p->t;
	struct node *n;

	advance(p);
	if (p->t.kind == T_OPEN)
		return call(p, t);
	n = make(p, N_NAME, t.at);
	if (n)
		n->text = t.text;
	return n;
}

static struct node *word(struct parser *p)
{
	struct token t = p->t;
	struct node *n;

	advance(p);
	n = make(p, t.kind == T_IT ? N_IT : N_CONST, t.at);
	if (n && t.kind != T_IT) {
		n->type = VALUE_BOOL;
		n->v = value_bool(t.kind == T_TRUE);
	}
	return n;
}

/* ---- operators ------------------------------------------------------------------------------ */

static struct node *prefix(struct parser *p)
{
	unsigned at = p->t.at;
	struct node *n;

	switch (p->t.kind) {
	case T_NUMBER:
		return number(p, at, false);
	case T_TEXT:
		return text(p);
	case T_NAME:
		return name(p);
	case T_TRUE:
	case T_FALSE:
	case T_IT:
		return word(p);
	case T_MINUS:
		advance(p);
		if (p->t.kind == T_NUMBER)
			return number(p, at, true);
		return unary(p, N_NEG, at, parse(p, P_NEG));
	case T_NOT:
		advance(p);
		return unary(p, N_NOT, at, parse(p, P_NOT));
	case T_OPEN:
		advance(p);
		n = parse(p, P_NONE);
		if (!n)
			return NULL;
		if (p->t.kind == T_COMMA) {
			filter_fault(&p->c->report, at, p->t.end,
				"a list in parentheses stands only behind \"in\"");
			return NULL;
		}
		return take(p, T_CLOSE) ? n : fault(p, "\")\"");
	default:
		return fault(p, "a name, a value or \"(\"");
	}
}

static struct node *postfix(struct parser *p, struct node *n)
{
	while (n && p->t.kind == T_OPEN_INDEX) {
		struct node *index;

		advance(p);
		index = parse(p, P_NONE);
		if (index && p->t.kind != T_CLOSE_INDEX)
			return fault(p, "\"]\"");
		advance(p);
		n = binary(p, N_INDEX, n, index);
	}
	return n;
}

/* Behind `in`: (a, b, c), or whatever is a list. */
static struct node *list(struct parser *p)
{
	unsigned at = p->t.at, from = p->held_n;

	if (p->t.kind != T_OPEN)
		return parse(p, P_COMPARE);
	advance(p);
	do
		if (!hold(p, parse(p, P_NONE)))
			return NULL;
	while (take(p, T_COMMA));
	if (!take(p, T_CLOSE))
		return fault(p, "\",\" or \")\"");
	return adopt_held(p, make(p, N_LIST, at), from);
}

static struct node *between(struct parser *p, struct node *left)
{
	struct node *kids[3] = { left, parse(p, P_COMPARE) };

	if (!kids[1])
		return NULL;
	if (!take(p, T_AND))
		return fault(p, "\"and\" (between … and …)");
	kids[2] = parse(p, P_COMPARE);
	return kids[2] ? adopt(p, make(p, N_BETWEEN, left->at), kids, 3) : NULL;
}

static struct node *missing(struct parser *p, struct node *left)
{
	bool negated = take(p, T_NOT);
	struct node *n;

	if (p->t.kind != T_MISSING && p->t.kind != T_PRESENT)
		return fault(p, "\"missing\" or \"present\" (is missing, is present)");
	negated ^= p->t.kind == T_PRESENT;
	advance(p);
	n = unary(p, N_MISSING, left->at, left);
	if (n)
		n->negated = negated;
	return n;
}

static struct node *comparison(struct parser *p, struct node *left, enum token_kind op)
{
	struct node *n;

	switch (op) {
	case T_IN:
		return binary(p, N_IN, left, list(p));
	case T_BETWEEN:
		return between(p, left);
	case T_IS:
		return missing(p, left);
	case T_STARTS:
	case T_ENDS:
		if (!take(p, T_WITH))
			return fault(p,
				op == T_STARTS ? "\"with\" (starts with)" : "\"with\" (ends with)");
		return binary(p, op == T_STARTS ? N_STARTS : N_ENDS, left, parse(p, P_COMPARE));
	case T_CONTAINS:
		return binary(p, N_CONTAINS, left, parse(p, P_COMPARE));
	case T_MATCHES:
		return binary(p, N_MATCHES, left, parse(p, P_COMPARE));
	default:
		n = parse(p, P_COMPARE);
		return binary(p, (enum node_kind)(N_EQ + (op - T_EQ)), left, n);
	}
}

static bool compares(enum token_kind k)
{
	return (k >= T_EQ && k <= T_IEQ) || k == T_IN || k == T_BETWEEN || k == T_CONTAINS ||
	       k == T_STARTS || k == T_ENDS || k == T_MATCHES || k == T_IS;
}

static struct node *compare(struct parser *p, struct node *left)
{
	struct token op = p->t;
	bool negated = take(p, T_NOT);
	struct node *n;

	if (negated && (!compares(p->t.kind) || p->t.kind <= T_IEQ || p->t.kind == T_IS))
		return fault(p, "\"in\", \"between\", \"contains\", \"starts with\", \"ends with\" "
				"or \"matches\" behind \"not\"");
	op = p->t;
	advance(p);
	n = comparison(p, left, op.kind);
	if (!n)
		return NULL;
	if (negated)
		n->negated = true;
	if (compares(p->t.kind)) {
		filter_fault(&p->c->report, p->t.at, p->t.end,
			"comparisons do not chain: write \"a < b and b < c\", or parentheses");
		return NULL;
	}
	return n;
}

/* a and b and c is one node: wide is not deep. */
static struct node *chain(struct parser *p, struct node *left, enum node_kind kind)
{
	enum token_kind op = kind == N_OR ? T_OR : T_AND;
	unsigned from = p->held_n;

	hold(p, left);
	while (take(p, op))
		if (!hold(p, parse(p, kind == N_OR ? P_OR : P_AND)))
			return NULL;
	return adopt_held(p, make(p, kind, left->at), from);
}

static enum power power_of(enum token_kind k)
{
	switch (k) {
	case T_OR:
		return P_OR;
	case T_AND:
		return P_AND;
	case T_PLUS:
	case T_MINUS:
		return P_ADD;
	case T_STAR:
	case T_SLASH:
	case T_PERCENT:
		return P_MUL;
	case T_ELSE:
		return P_ELSE;
	default:
		return compares(k) || k == T_NOT ? P_COMPARE : P_NONE;
	}
}

static struct node *infix(struct parser *p, struct node *left)
{
	enum token_kind op = p->t.kind;

	switch (op) {
	case T_OR:
		return chain(p, left, N_OR);
	case T_AND:
		return chain(p, left, N_AND);
	case T_PLUS:
	case T_MINUS:
		advance(p);
		return binary(p, op == T_PLUS ? N_ADD : N_SUB, left, parse(p, P_ADD));
	case T_STAR:
	case T_SLASH:
	case T_PERCENT:
		advance(p);
		return binary(p,
			op == T_STAR    ? N_MUL
			: op == T_SLASH ? N_DIV
					: N_MOD,
			left, parse(p, P_MUL));
	case T_ELSE: /* to the right: a ?? (b ?? c) */
		advance(p);
		return binary(p, N_ELSE, left, parse(p, P_NEG));
	default:
		return compare(p, left);
	}
}

/* What binds tighter than power. */
static struct node *parse(struct parser *p, enum power power)
{
	struct node *n;

	if (p->nesting == NESTING) {
		filter_fault(&p->c->report, p->t.at, p->t.end,
			"nested too deeply: more than %d levels", FILTER_DEPTH);
		return NULL;
	}
	p->nesting++;
	n = postfix(p, prefix(p));
	while (n && power_of(p->t.kind) > power)
		n = infix(p, n);
	p->nesting--;
	return n;
}

struct node *filter_parse(struct compiler *c)
{
	struct parser p = { .c = c };
	struct node *n;

	advance(&p);
	if (p.t.kind == T_END) {
		filter_fault(&c->report, 0, 0, "the filter is empty");
		return NULL;
	}
	n = parse(&p, P_NONE);
	if (n && p.t.kind != T_END)
		return fault(&p, "an operator or the end");
	return n;
}
