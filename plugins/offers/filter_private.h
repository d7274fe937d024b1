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
bool filter_days_between(int64_t a, int64_t b, int64_t *ns_r); /* a - b of dates, as a duration */
bool filter_days_since(int64_t now, int64_t then, int64_t *days_r);
bool filter_month(int64_t days, int64_t *r);
bool filter_day(int64_t days, int64_t *r);
bool filter_weekday(int64_t days, int64_t *r);
bool filter_age(int64_t born, int64_t today, int64_t *r);
bool filter_anniversary(int64_t day, int64_t today, int64_t *r);
int64_t filter_len(struct str s);
bool filter_ieq(struct str a, struct str b);
bool filter_matches(struct str s, struct str pattern);
/* Compares lower-cased s with b, without making it. */
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
static inline bool filter_equal(enum value_type type, const struct value *a, const struct value *b)
{
	if (type == VALUE_TEXT)
		return str_eq(a->s, b->s);
	if (type == VALUE_BOOL)
		return a->b == b->b;
	return a->i == b->i;
}

#endif
