/* The filter language: "member.city in ('Riga', 'Tallinn') and count('purchase.completed') > 3".
 *
 * A text is compiled once, against a scope of names with types, to an immutable tree and to byte
 * code. The same filter is evaluated for one event or member (filter_eval), explained
 * (filter_explain), printed, and turned into a parameterised query over the members (filter_sql.h);
 * both ways give the same answer. No state outside the arguments; a compiled filter may be used by
 * many threads at once. Evaluation allocates nothing (lower() of a long
 * text apart), cannot fail and has no side effects.
 *
 * Semantics. Two-valued: a comparison (also !=, not in, not between …) with a missing value is
 * false, and so is a missing bool; arithmetic with a missing value is missing, division by zero
 * too; numbers saturate. int and decimal compare and mix, `/` gives a decimal. Text is compared by
 * bytes,
 * ~= by simple case folding. Quoted literals take the type of the other side: '2026-03-01' a date,
 * '14 days' a duration, '10:00' a time. date - date is a duration; date and datetime ± a literal
 * duration is calendar arithmetic (the month's end clamps; a datetime's months and days by UTC),
 * and where durations are compared a month is 30 days and a day 24 hours.
 */
#ifndef POSTERN_PLUGINS_OFFERS_FILTER_H
#define POSTERN_PLUGINS_OFFERS_FILTER_H

#include "gateway/base/mem.h"
#include "plugins/offers/names.h"
#include "plugins/offers/zone.h"

enum {
	FILTER_NODES = 256,   /* in one filter */
	FILTER_DEPTH = 32,    /* of nesting */
	FILTER_TEXT = 16384,  /* bytes of source */
	FILTER_PATTERN = 256, /* bytes of the pattern of `matches` */
	FILTER_ARGS = 3,
};

/* Functions that the evaluator answers, because counts, balances and consent live with it. Their
 * arguments are constants that were checked when the filter was compiled. A period is a SPAN value;
 * MISSING when it was left out: ever. */
enum filter_fn {
	FILTER_COUNT, /* (event, period) INT: how many, the present event included */
	FILTER_SUM,   /* (field, event, period) DECIMAL: 0 when there are none */
	FILTER_LAST, /* (event) DATETIME of the newest, the present event not counted; or MISSING */
	FILTER_FIRST_TIME,  /* (event) BOOL: there is none before the present event */
	FILTER_COUNTER,     /* (name) INT: its value in the present period */
	FILTER_BALANCE,     /* (currency, BOOL with_receipt) DECIMAL: 0 without an account */
	FILTER_IN_AUDIENCE, /* (name) BOOL */
	FILTER_HAS, /* (contact) BOOL: phone, email, viber, social, device … is known and valid */
	FILTER_SUBSCRIBED,   /* (row, channel) BOOL: the consent cell as it stands; channel MISSING:
				the row */
	FILTER_RECEIVED,     /* (object, period) INT: messages of that offer, mailing or task */
	FILTER_RECEIVED_ANY, /* (period) INT: messages of all */
	/* Those below are worked out here and never asked for. */
	FILTER_DAYS_SINCE_LAST, /* (event) INT: whole days between last(event) and now */
	FILTER_AGE,             /* () of member.birthday, or (date): INT whole years at today */
	FILTER_MONTH,           /* (date) INT 1 … 12 */
	FILTER_DAY,             /* (date) INT 1 … 31 */
	FILTER_WEEKDAY,         /* (date) INT 1 Monday … 7 Sunday */
	FILTER_ANNIVERSARY, /* (date) DATE: its next return at or after today; 29 February on the
			       28th */
	FILTER_LOWER,       /* (text) TEXT */
	FILTER_LEN,         /* (text) INT code points, (list) INT elements */
	FILTER_ANY, /* (list, test) BOOL: the test, in which `it` is the element, holds for one */
	FILTER_FNS
};
const char *filter_fn_word(enum filter_fn fn); /* "days_since_last" */

/* What a word in an argument has to be the name of. */
enum filter_word {
	FILTER_WORD_EVENT,
	FILTER_WORD_FIELD, /* a number among an event's attributes: 'total' */
	FILTER_WORD_COUNTER,
	FILTER_WORD_CURRENCY,
	FILTER_WORD_AUDIENCE,
	FILTER_WORD_CONTACT,
	FILTER_WORD_ROW, /* of the subscriptions */
	FILTER_WORD_CHANNEL,
	FILTER_WORD_OBJECT, /* an offer, mailing or task */
	FILTER_WORDS
};

/* What a text is compiled against. */
struct filter_env {
	const struct scope
		*scope; /* `now` and `today` are looked up in it, for age(), days_since_last() … */
	/* Is there one called so? If not, *near_r may be set to the most similar one. NULL: all is
	 * known (tests). */
	bool (*known)(void *ctx, enum filter_word kind, struct str word, struct str *near_r);
	/* Is that counter a sum of decimals? NULL: none is. */
	bool (*sums)(void *ctx, struct str counter);
	void *ctx;
	const struct zone *zone; /* of datetime literals without an offset; NULL: UTC */
};

/* What is wrong with a text. Columns count code points from 1. */
struct filter_fault {
	unsigned at, len; /* bytes of the source text */
	unsigned column;
	bool warning;
	char text[240]; /* without the column */
};
struct filter_faults {
	struct filter_fault v[12];
	unsigned n, errors;
};

struct filter;
/* The filter, in the arena (so is a copy of the text), or NULL with at least one error. Warnings
 * may come with either. */
const struct filter *filter_compile(struct arena *a, struct str text, const struct filter_env *env,
	struct filter_faults *faults);
struct str filter_text(const struct filter *f); /* as it was written */
/* From the tree, in one line: compiling that gives the same tree. */
void filter_print(const struct filter *f, struct buf *out);
bool filter_same(const struct filter *a, const struct filter *b); /* equal trees */
/* Does it read this slot, or call this function? */
bool filter_reads(const struct filter *f, unsigned slot);
bool filter_calls(const struct filter *f, enum filter_fn fn);
/* Each call of a function that the evaluator answers: arguments as call() gets them; false behind
 * the last. For checks of references (audiences that name each other in a ring). */
bool filter_call_at(
	const struct filter *f, unsigned i, enum filter_fn *fn_r, const struct value **args_r);

/* Where the values of one evaluation come from. A value of another type than was declared counts as
 * missing. source->get() and call() are called on demand, perhaps more than once for the same
 * thing. */
struct filter_world {
	const struct source *source;
	/* n is the full number of arguments of that function; those left out are MISSING. NULL: all
	 * such functions give missing. */
	struct value (*call)(void *ctx, enum filter_fn fn, const struct value *args, unsigned n);
	void *ctx;
};
bool filter_eval(const struct filter *f, const struct filter_world *w);

/* One line of an explanation, the tree in order of writing, parents first. */
struct filter_step {
	unsigned depth;
	struct str text;    /* that part, as filter_print() would put it */
	struct value value; /* what it came to; of a condition a bool */
	bool leaf;          /* a name, or a call that was answered from outside */
	bool decided;       /* on the path that made the whole what it is */
};
/* Evaluates every part (nothing is cut short) and returns the answer. Steps live in the arena.
 * Constants are no steps; the test of any() is shown for the element that decided. */
bool filter_explain(const struct filter *f, const struct filter_world *w, struct arena *a,
	struct filter_step **steps_r, size_t *n_r);
/* The same for people, one line a step: "  false  member.city == 'Riga'", "  'Oslo'  member.city".
 */
bool filter_explain_put(const struct filter *f, const struct filter_world *w, struct buf *out);

#endif
