/* The functions of the filter language: their words, arguments and results. See filter.h. */
#include "plugins/offers/filter_private.h"

enum arg {
	A_NONE,
	A_WORD, /* A_WORD + enum filter_word: the name of something, in quotes */
	A_PERIOD = A_WORD + FILTER_WORDS,
	A_FLAG, /* true or false */
	A_DATE,
	A_TEXT,
	A_COUNTABLE, /* text or list */
	A_LIST,
	A_TEST,
};
#define WORD(w) (uint8_t)(A_WORD + FILTER_WORD_##w)

static const struct {
	const char *word;
	enum value_type gives;
	bool outside;
	unsigned least;
	uint8_t args[FILTER_ARGS];
} fns[FILTER_FNS] = {
	[FILTER_COUNT] = { "count", VALUE_INT, true, 1, { WORD(EVENT), A_PERIOD } },
	[FILTER_SUM] = { "sum", VALUE_DECIMAL, true, 2, { WORD(FIELD), WORD(EVENT), A_PERIOD } },
	[FILTER_LAST] = { "last", VALUE_DATETIME, true, 1, { WORD(EVENT) } },
	[FILTER_FIRST_TIME] = { "first_time", VALUE_BOOL, true, 1, { WORD(EVENT) } },
	[FILTER_COUNTER] = { "counter", VALUE_INT, true, 1, { WORD(COUNTER) } },
	[FILTER_BALANCE] = { "balance", VALUE_DECIMAL, true, 1, { WORD(CURRENCY), A_FLAG } },
	[FILTER_IN_AUDIENCE] = { "in_audience", VALUE_BOOL, true, 1, { WORD(AUDIENCE) } },
	[FILTER_HAS] = { "has", VALUE_BOOL, true, 1, { WORD(CONTACT) } },
	[FILTER_SUBSCRIBED] = { "subscribed", VALUE_BOOL, true, 1, { WORD(ROW), WORD(CHANNEL) } },
	[FILTER_RECEIVED] = { "received", VALUE_INT, true, 1, { WORD(OBJECT), A_PERIOD } },
	[FILTER_RECEIVED_ANY] = { "received_any", VALUE_INT, true, 0, { A_PERIOD } },
	[FILTER_DAYS_SINCE_LAST] = { "days_since_last", VALUE_INT, true, 1, { WORD(EVENT) } },
	[FILTER_AGE] = { "age", VALUE_INT, false, 0, { A_DATE } },
	[FILTER_MONTH] = { "month", VALUE_INT, false, 1, { A_DATE } },
	[FILTER_DAY] = { "day", VALUE_INT, false, 1, { A_DATE } },
	[FILTER_WEEKDAY] = { "weekday", VALUE_INT, false, 1, { A_DATE } },
	[FILTER_ANNIVERSARY] = { "anniversary", VALUE_DATE, false, 1, { A_DATE } },
	[FILTER_LOWER] = { "lower", VALUE_TEXT, false, 1, { A_TEXT } },
	[FILTER_LEN] = { "len", VALUE_INT, false, 1, { A_COUNTABLE } },
	[FILTER_ANY] = { "any", VALUE_BOOL, false, 2, { A_LIST, A_TEST } },
};

static const char *const kinds[FILTER_WORDS] = {
	[FILTER_WORD_EVENT] = "event",
	[FILTER_WORD_FIELD] = "field that is summed",
	[FILTER_WORD_COUNTER] = "counter",
	[FILTER_WORD_CURRENCY] = "currency",
	[FILTER_WORD_AUDIENCE] = "audience",
	[FILTER_WORD_CONTACT] = "kind of contact",
	[FILTER_WORD_ROW] = "subscription row",
	[FILTER_WORD_CHANNEL] = "channel",
	[FILTER_WORD_OBJECT] = "offer, mailing or task",
};

const char *filter_fn_word(enum filter_fn fn)
{
	return fns[fn].word;
}

unsigned filter_fn_args(enum filter_fn fn)
{
	unsigned n = 0;

	while (n < FILTER_ARGS && fns[fn].args[n])
		n++;
	return n;
}

bool filter_fn_parse(struct str word, enum filter_fn *fn_r)
{
	for (unsigned i = 0; i < FILTER_FNS; i++)
		if (str_is(word, fns[i].word)) {
			*fn_r = (enum filter_fn)i;
			return true;
		}
	return false;
}

const char *filter_fn_near(struct str word)
{
	unsigned best = word.n > 4 ? 3 : 2; /* edits that a slip may take */
	const char *near = NULL;

	for (unsigned i = 0; i < FILTER_FNS; i++) {
		unsigned d = str_distance(word, str_of(fns[i].word), best);

		if (d <= best && (!near || d < best)) {
			best = d;
			near = fns[i].word;
		}
	}
	return near;
}

/* ---- arguments ------------------------------------------------------------------------------ */

static bool check_word(struct compiler *c, struct node *n, enum filter_word kind, struct node *arg)
{
	const struct filter_env *env = c->env;
	struct str near = STR_NONE;

	/* sum(event.total, …) for sum('total', …) */
	if (kind == FILTER_WORD_FIELD && arg->kind == N_NAME &&
		str_starts(arg->text, STR("event."))) {
		arg->kind = N_CONST;
		arg->type = VALUE_TEXT;
		arg->quoted = true;
		arg->text = str_skip(arg->text, strlen("event."));
		arg->v = value_text(arg->text);
	}
	if (arg->kind != N_CONST || !arg->quoted) {
		filter_fault(&c->report, arg->at, arg->end,
			"%s() expects the name of a%s %s in quotes here", fns[n->fn].word,
			strchr("aeiou", kinds[kind][0]) ? "n" : "", kinds[kind]);
		return false;
	}
	if (!env->known || env->known(env->ctx, kind, arg->text, &near))
		return true;
	filter_fault(&c->report, arg->at, arg->end, "there is no %s \"%.*s\"%s%.*s%s", kinds[kind],
		(int)(arg->text.n > 60 ? 60 : arg->text.n), arg->text.p,
		near.n ? "; did you mean '" : "", STR_ARG(near), near.n ? "'?" : "");
	return false;
}

static bool check_period(struct compiler *c, struct node *n, struct node *arg, struct value *v_r)
{
	const char *wrong = "a period stands in quotes: '90 days'";

	*v_r = (struct value){ .type = VALUE_SPAN };
	if (arg->kind == N_CONST && arg->quoted)
		wrong = span_parse(arg->text, &v_r->span);
	if (!wrong && span_is_zero(v_r->span))
		wrong = "a period of nothing holds nothing";
	if (!wrong) {
		arg->type = VALUE_SPAN;
		arg->v = value_int(filter_span_ns(v_r->span));
		arg->v.type = VALUE_SPAN;
		return true;
	}
	filter_fault(&c->report, arg->at, arg->end, "%s() expects a period such as '90 days': %s",
		fns[n->fn].word, wrong);
	return false;
}

static bool check_flag(struct compiler *c, struct node *n, struct node *arg)
{
	if (arg->kind == N_NAME && str_is(arg->text, "with_receipt")) {
		arg->kind = N_CONST;
		arg->type = VALUE_BOOL;
		arg->v = value_bool(true);
	}
	if (arg->kind == N_CONST && arg->type == VALUE_BOOL)
		return true;
	filter_fault(&c->report, arg->at, arg->end, "%s() expects with_receipt, true or false here",
		fns[n->fn].word);
	return false;
}

static bool check_outside(struct compiler *c, struct node *n)
{
	unsigned most = filter_fn_args(n->fn);
	bool ok = true;

	n->outside = true;
	n->args = arena_alloc(c->arena, (most ? most : 1) * sizeof(*n->args));
	for (unsigned i = 0; i < n->n; i++) {
		uint8_t a = fns[n->fn].args[i];
		struct node *arg = n->kids[i];

		if (a == A_PERIOD)
			ok &= check_period(c, n, arg, &n->args[i]);
		else if (a == A_FLAG)
			ok &= check_flag(c, n, arg);
		else
			ok &= check_word(c, n, (enum filter_word)(a - A_WORD), arg);
		if (a != A_PERIOD)
			n->args[i] = arg->v;
	}
	if (ok && n->fn == FILTER_COUNTER && c->env->sums &&
		c->env->sums(c->env->ctx, n->kids[0]->text))
		n->type = VALUE_DECIMAL;
	if (n->fn == FILTER_BALANCE && n->n < 2)
		n->args[1] = value_bool(false);
	return ok;
}

/* ---- calls ---------------------------------------------------------------------------------- */

static const char *type_word(const struct node *n)
{
	return n->type == VALUE_LIST ? "list" : value_type_word(n->type);
}

static bool check_any(struct compiler *c, struct node *n)
{
	if (c->tests) {
		filter_fault(&c->report, n->at, n->end, "any() does not stand within any()");
		return false;
	}
	if (!filter_check_node(c, n->kids[0]))
		return false;
	if (n->kids[0]->type != VALUE_LIST) {
		filter_fault(&c->report, n->kids[0]->at, n->kids[0]->end,
			"any() expects a list, found %s", type_word(n->kids[0]));
		return false;
	}
	c->it = n->kids[0]->of;
	c->tests++;
	if (!filter_check_node(c, n->kids[1])) {
		c->tests--;
		return false;
	}
	c->tests--;
	if (n->kids[1]->type == VALUE_BOOL)
		return true;
	filter_fault(&c->report, n->kids[1]->at, n->kids[1]->end,
		"any() expects a condition as its test, such as it == 'A-1'; found %s",
		type_word(n->kids[1]));
	return false;
}

static bool check_value(struct compiler *c, struct node *n, struct node *arg, uint8_t want)
{
	if (!filter_check_node(c, arg))
		return false;
	if (want == A_DATE && arg->kind == N_CONST && arg->quoted)
		return filter_coerce(c, arg, VALUE_DATE);
	if ((want == A_DATE && arg->type == VALUE_DATE) ||
		(want == A_TEXT && arg->type == VALUE_TEXT) ||
		(want == A_COUNTABLE && (arg->type == VALUE_TEXT || arg->type == VALUE_LIST)))
		return true;
	filter_fault(&c->report, arg->at, arg->end, "%s() expects %s, found %s", fns[n->fn].word,
		want == A_DATE   ? "a date"
		: want == A_TEXT ? "a text"
				 : "a text or a list",
		type_word(arg));
	return false;
}

bool filter_check_call(struct compiler *c, struct node *n)
{
	const char *needs = NULL;

	n->type = fns[n->fn].gives;
	if (n->n < fns[n->fn].least) {
		filter_fault(&c->report, n->at, n->end, "%s() expects at least %u argument%s",
			fns[n->fn].word, fns[n->fn].least, fns[n->fn].least == 1 ? "" : "s");
		return false;
	}
	if (n->fn == FILTER_DAYS_SINCE_LAST && !c->f->has_now)
		needs = "now";
	if ((n->fn == FILTER_AGE || n->fn == FILTER_ANNIVERSARY) && !c->f->has_today)
		needs = "today";
	if (n->fn == FILTER_AGE && n->n == 0 && !c->f->has_birthday)
		needs = "member.birthday";
	if (needs) {
		filter_fault(&c->report, n->at, n->end, "%s() needs %s, which is not known here",
			fns[n->fn].word, needs);
		return false;
	}
	if (fns[n->fn].outside)
		return check_outside(c, n);
	if (n->fn == FILTER_ANY)
		return check_any(c, n);
	return n->n == 0 || check_value(c, n, n->kids[0], fns[n->fn].args[0]);
}
