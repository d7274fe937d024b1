/* What the files of the filter language share: tokens, the tree, byte code, primitive operations.
 * See filter.h for the contract; nobody else includes this.
 */
#ifndef POSTERN_PLUGINS_OFFERS_FILTER_PRIVATE_H
#define POSTERN_PLUGINS_OFFERS_FILTER_PRIVATE_H

#include "plugins/offers/filter.h"

/* ---- tokens: filter_lex.c ------------------------------------------------------------------- */

enum token_kind {
	T_END,
	T_BAD, /* already reported */
	T_NAME,
	T_NUMBER,
	T_TEXT,
	T_OPEN,
	T_CLOSE,
	T_OPEN_INDEX,
	T_CLOSE_INDEX,
	T_COMMA,
	T_EQ,
	T_NE,
	T_LT,
	T_LE,
	T_GT,
	T_GE,
	T_IEQ,
	T_PLUS,
	T_MINUS,
	T_STAR,
	T_SLASH,
	T_PERCENT,
	T_ELSE,
	/* words */
	T_OR,
	T_AND,
	T_NOT,
	T_IN,
	T_BETWEEN,
	T_CONTAINS,
	T_STARTS,
	T_ENDS,
	T_WITH,
	T_MATCHES,
	T_IS,
	T_MISSING,
	T_PRESENT,
	T_TRUE,
	T_FALSE,
	T_IT,
};
struct token {
	enum token_kind kind;
	unsigned at, end;
	struct str text; /* as written; of a text, what is between the quotes */
};
struct report {
	struct str source;
	struct filter_faults *faults;
};
void filter_fault(struct report *r, unsigned at, unsigned end, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void filter_warn(struct report *r, unsigned at, unsigned end, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The token at *at, which moves behind it. Faults are reported and give T_BAD. */
struct token filter_lex(struct report *r, unsigned *at);
/* How an operator that other languages have is written here, or NULL. */
const char *filter_foreign(struct str word);

/* ---- the tree ------------------------------------------------------------------------------- */

enum node_kind {
	N_CONST,
	N_NAME,
	N_IT,
	N_CALL,
	N_LIST, /* (a, b): right side of `in` only */
	N_OR,
	N_AND,
	N_NOT,
	N_EQ, /* comparisons: in this order, also in byte code */
	N_NE,
	N_LT,
	N_LE,
	N_GT,
	N_GE,
	N_IEQ,
	N_CONTAINS, /* text in text */
	N_STARTS,
	N_ENDS,
	N_MATCHES,
	N_IN, /* element in list, both ways of writing it */
	N_BETWEEN,
	N_MISSING, /* is missing; negated: is present */
	N_ADD,
	N_SUB,
	N_MUL,
	N_DIV,
	N_MOD,
	N_NEG,
	N_ELSE,
	N_INDEX,
};
struct node {
	enum node_kind kind;
	enum value_type type, of;
	bool negated;   /* not in, not between, not contains …, is present */
	bool flipped;   /* N_IN: written `list contains element`; kids are element, list */
	bool quoted;    /* N_CONST written in quotes: takes the type of the other side */
	bool whole;     /* N_CONST, DECIMAL: written as an int */
	bool shift;     /* N_ADD, N_SUB: kid 1 is a constant calendar duration (a real span) */
	bool outside;   /* N_CALL: answered by the evaluator; args holds all its arguments */
	unsigned depth; /* 1 for leaves */
	unsigned at, end;
	struct str text; /* name's path, or the unescaped text of a quoted constant */
	struct value v;  /* N_CONST; a SPAN is nanoseconds in .i, save under shift and in args */
	unsigned slot;
	enum filter_fn fn;
	struct value *args;
	struct node **kids;
	unsigned n;
};

struct filter {
	struct str text;
	struct node *root;
	unsigned nodes;
	bool has_now, has_today, has_birthday;
	unsigned now, today, birthday; /* slots */
	struct ins *code;
	unsigned code_n;
	struct value *consts;
	unsigned consts_n;
	const struct node **calls; /* outside ones */
	unsigned calls_n;
};

struct compiler {
	struct arena *arena;
	struct report report;
	const struct filter_env *env;
	struct filter *f;
	unsigned tests; /* any(): how deep inside its test */
	enum value_type it, it_of;
};
/* The untyped tree, or NULL with a fault. */
struct node *filter_parse(struct compiler *c);
/* Types it in place; false with faults. The root is a condition then. */
bool filter_check(struct compiler *c, struct node *root);
bool filter_check_call(struct compiler *c, struct node *n); /* filter_fns.c */
bool filter_check_node(struct compiler *c, struct node *n);
/* A quoted constant becomes one of that type; an int constant a decimal. False with a fault. */
bool filter_coerce(struct compiler *c, struct node *n, enum value_type type);
void filter_encode(struct compiler *c); /* filter_code.c */

void filter_put_node(const struct node *n, struct buf *out); /* filter_print.c */

/* ---- functions: filter_fns.c ---------------------------------------------------------------- */

bool filter_fn_parse(struct str word, enum filter_fn *fn_r);
const char *filter_fn_near(struct str word);
unsigned filter_fn_args(enum filter_fn fn); /* at most */

/* ---- primitive operations: filter_ops.c; the same for every back-end ------------------------- */

/* A SPAN as one number: a month is 30 days, a day 24 hours; saturating. */
int64_t filter_span_ns(struct span s);
int64_t filter_add(int64_t a, int64_t b);
int64_t filter_sub(int64_t a, int64_t b);
int64_t filter_mul(int64_t a, int64_t b);
int64_t filter_widen(int64_t i); /* int to decimal */
bool filter_mod(int64_t a, int64_t b, int64_t *r);
/* sign: 1 or -1. False: out of the calendar. */
bool filter_shift_date(int64_t days, struct span s, int sign, int64_t *r);
bool filter_shift_time(int64_t ns, struct span s, int sign, int64_t *r);
int64_t filter_days_since(int64_t now, int64_t then); /* whole days of 24 hours */
bool filter_month(int64_t days, int64_t *r);
bool filter_day(int64_t days, int64_t *r);
bool filter_weekday(int64_t days, int64_t *r);
bool filter_age(int64_t born, int64_t today, int64_t *r);
bool filter_anniversary(int64_t day, int64_t today, int64_t *r);
int64_t filter_len(struct str s);
bool filter_ieq(struct str a, struct str b);
bool filter_matches(struct str s, struct str pattern);
void filter_lower(struct str s, struct buf *out);
/* -1, 0, 1 of two present values of one type (int, decimal and the like by .i). */
static inline int filter_order(enum value_type type, const struct value *a, const struct value *b)
{
	if (type == VALUE_TEXT)
		return str_cmp(a->s, b->s);
	if (type == VALUE_BOOL)
		return (a->b > b->b) - (a->b < b->b);
	return (a->i > b->i) - (a->i < b->i);
}
/* Numbers and moments; kind N_ADD … N_NEG. Either missing, or no result: missing. type: of the
 * result; numbers are of that type already. */
struct value filter_math(enum node_kind kind, enum value_type type, struct value a, struct value b);
struct value filter_shift(struct value when, struct span by, int sign);
/* Functions of one value; b is today or now where one is needed. Not lower(), any(). */
struct value filter_apply(enum filter_fn fn, struct value a, struct value b);
bool filter_test(enum node_kind kind, struct str a, struct str b); /* N_IEQ … N_MATCHES */
/* The i-th element, MISSING beyond the ends or when it is not what was declared. */
struct value filter_element(struct value list, int64_t i, enum value_type of);
/* What came from outside, in the form that is computed with; MISSING when it is of another type. */
static inline struct value filter_admit(struct value v, enum value_type type, enum value_type of)
{
	if (v.type != type || (type == VALUE_LIST && v.of != of && v.list.n))
		return VALUE_NONE;
	if (type == VALUE_SPAN)
		v.i = filter_span_ns(v.span);
	return v;
}
static inline bool filter_equal(enum value_type type, const struct value *a, const struct value *b)
{
	if (type == VALUE_TEXT)
		return str_eq(a->s, b->s);
	if (type == VALUE_BOOL)
		return a->b == b->b;
	return a->i == b->i;
}

/* kind: N_EQ … N_GE; both present. */
static inline bool filter_holds(
	enum node_kind kind, enum value_type type, const struct value *a, const struct value *b)
{
	switch (kind) {
	case N_EQ:
		return filter_equal(type, a, b);
	case N_NE:
		return !filter_equal(type, a, b);
	case N_LT:
		return filter_order(type, a, b) < 0;
	case N_LE:
		return filter_order(type, a, b) <= 0;
	case N_GT:
		return filter_order(type, a, b) > 0;
	default:
		return filter_order(type, a, b) >= 0;
	}
}

/* Memory of lower() during one evaluation. */
struct scratch {
	struct spill *spill; /* what did not fit */
	unsigned used;
	char text[256];
};
struct value filter_lowered(struct scratch *s, struct value v);
void filter_scratch_free(struct scratch *s);

/* ---- byte code: filter_code.c, filter_eval.c ------------------------------------------------- */

/* A stack of values, one register r for conditions. */
enum op {
	OP_END,        /* r is the answer */
	OP_CONST,      /* push const c */
	OP_SLOT,       /* push slot b, of type a, elements d */
	OP_IT,         /* push the element of any(), type a */
	OP_CALL,       /* push the result of call b */
	OP_PUSH,       /* push r */
	OP_TRUTH,      /* pop: r */
	OP_NOT,        /* r = !r */
	OP_JUMP_FALSE, /* to b unless r */
	OP_JUMP_TRUE,
	OP_JUMP_PRESENT, /* to b if the top is present, else pop it */
	OP_COMPARE,      /* pop b, a: r = a rel b; a: kind, d: type */
	OP_SLOT_CONST,   /* r = slot b rel const c; a: kind, d: type (in .i or text) */
	OP_SLOT_IN, /* r = slot b is one of the consts from c on; a: type, d: 2 * how many + negated
		     */
	OP_SLOT_TRUE, /* r = slot b */
	OP_TEST,      /* pop b, a: texts; a: kind, d: negated */
	OP_BETWEEN,   /* pop hi, lo, x; a: type, d: negated */
	OP_MISSING,   /* pop: r; d: negated */
	OP_IN_CONSTS, /* pop x; consts c … c + b; a: type, d: negated */
	OP_IN_LIST,   /* pop list, x; a: type, b: type of elements, d: negated */
	OP_IN_STEP,   /* pop element; below it state and x; a: type */
	OP_IN_DONE,   /* pop state, x; d: negated */
	OP_WIDEN,     /* top: int to decimal */
	OP_MATH,      /* pop b, a, push; a: kind, d: type */
	OP_NEG,
	OP_SHIFT, /* top moved by const c; d: 1 back */
	OP_INDEX, /* pop i, list, push; a: type of elements */
	OP_APPLY, /* pop a, push; a: fn, d: 1: pop b first */
	OP_LOWER,
	OP_ANY_BEGIN, /* pop list; r = false; nothing in it: to b; a: type of elements */
	OP_ANY_NEXT,  /* to b with the next element unless r or there is none */
};
struct ins {
	uint8_t op, a;
	uint16_t b, c, d;
};
enum { FILTER_STACK = 2 * FILTER_DEPTH + 16 };

#endif
