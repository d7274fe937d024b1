/* Gives every part of a filter its type, and says what does not fit. See filter_private.h.
 *
 * As many faults are found in one go as do not follow from each other.
 */
#include "plugins/offers/filter_private.h"

#include <stdio.h>

enum { SHOWN = 60 }; /* bytes of a text in a message */

static int shown(struct str s)
{
	size_t n = s.n;

	if (n > SHOWN)
		for (n = SHOWN; n && ((unsigned char)s.p[n] & 0xc0) == 0x80;)
			n--;
	return (int)n;
}

/* The part of the source: for messages. */
static struct str written(struct compiler *c, const struct node *n)
{
	struct str s = str_n(c->report.source.p + n->at, n->end - n->at);

	return str_n(s.p, (size_t)shown(s));
}

static const char *a_type(const struct node *n)
{
	static const char *const lists[VALUE_TYPES] = {
		[VALUE_MISSING] = "an empty list",
		[VALUE_BOOL] = "a list of bools",
		[VALUE_INT] = "a list of ints",
		[VALUE_DECIMAL] = "a list of decimals",
		[VALUE_TEXT] = "a list of texts",
		[VALUE_DATE] = "a list of dates",
		[VALUE_TIME] = "a list of times",
		[VALUE_DATETIME] = "a list of datetimes",
		[VALUE_SPAN] = "a list of durations",
	};
	static const char *const words[VALUE_TYPES] = {
		[VALUE_MISSING] = "missing",
		[VALUE_BOOL] = "a condition (bool)",
		[VALUE_INT] = "an int",
		[VALUE_DECIMAL] = "a decimal",
		[VALUE_TEXT] = "a text",
		[VALUE_DATE] = "a date",
		[VALUE_TIME] = "a time of day",
		[VALUE_DATETIME] = "a datetime",
		[VALUE_SPAN] = "a duration",
		[VALUE_LIST] = "a list",
	};

	return n->type == VALUE_LIST ? lists[n->of] : words[n->type];
}

static bool is_number(const struct node *n)
{
	return n->type == VALUE_INT || n->type == VALUE_DECIMAL;
}

static bool is_loose(const struct node *n) /* a quoted constant that has no type yet */
{
	return n->kind == N_CONST && n->quoted && n->type == VALUE_TEXT;
}

/* ---- quoted constants ----------------------------------------------------------------------- */

/* "2026-03-01 10:00", with a zone's offset or without. */
static bool read_datetime(struct str s, const struct zone *z, int64_t *t_r)
{
	struct local l = { 0 };
	struct str day = s, time = STR_NONE;

	if (clock_parse_rfc3339(s, t_r))
		return true;
	if (s.n > 10 && (s.p[10] == ' ' || s.p[10] == 'T')) {
		day = str_n(s.p, 10);
		time = str_skip(s, 11);
	}
	if (!date_parse(day, &l.day) || (time.n && !time_of_day_parse(time, &l.ns)))
		return false;
	*t_r = zone_wall(z ? z : zone_utc(), l);
	return true;
}

static const char *read_as(struct compiler *c, struct node *n, enum value_type type)
{
	struct span span;
	const char *wrong;

	switch (type) {
	case VALUE_DATE:
		return date_parse(n->text, &n->v.i) ? NULL : "a date is written '2026-03-01'";
	case VALUE_TIME:
		return time_of_day_parse(n->text, &n->v.i) ? NULL : "a time is written '10:00'";
	case VALUE_DATETIME:
		return read_datetime(n->text, c->env->zone, &n->v.i)
			       ? NULL
			       : "a datetime is written '2026-03-01 10:00' or "
				 "'2026-03-01T10:00:00Z'";
	case VALUE_SPAN:
		wrong = span_parse(n->text, &span);
		n->v.i = wrong ? 0 : filter_span_ns(span);
		return wrong;
	case VALUE_INT:
	case VALUE_DECIMAL:
		return "numbers stand without quotes";
	case VALUE_BOOL:
		return "true and false stand without quotes";
	default:
		return "it is a text";
	}
}

bool filter_coerce(struct compiler *c, struct node *n, enum value_type type)
{
	struct node as = { .type = type };
	const char *wrong;

	if (n->kind != N_CONST || n->type == type)
		return true;
	if (n->type == VALUE_INT && type == VALUE_DECIMAL) {
		if (n->v.i > INT64_MAX / DECIMAL_ONE || n->v.i < INT64_MIN / DECIMAL_ONE) {
			filter_fault(&c->report, n->at, n->end, "too large for a decimal");
			return false;
		}
		n->type = type;
		n->whole = true;
		n->v = value_decimal(n->v.i * DECIMAL_ONE);
		return true;
	}
	if (!is_loose(n))
		return true;
	wrong = read_as(c, n, type);
	if (wrong) {
		filter_fault(&c->report, n->at, n->end, "expected %s, found the text '%.*s': %s",
			a_type(&as), shown(n->text), n->text.p, wrong);
		n->v = value_text(n->text);
		return false;
	}
	n->type = n->v.type = type;
	return true;
}

/* ---- names ---------------------------------------------------------------------------------- */

static bool check_name(struct compiler *c, struct node *n)
{
	const struct name *at = scope_find(c->env->scope, n->text), *near;
	const char *ours = filter_foreign(n->text);
	enum filter_fn fn;

	if (at && at->type != VALUE_MISSING) {
		n->type = at->type;
		n->of = at->of;
		n->slot = at->slot;
		return true;
	}
	near = scope_near(c->env->scope, n->text);
	if (at)
		filter_fault(&c->report, n->at, n->end,
			"\"%.*s\" has no single value that a filter could compare", shown(n->text),
			n->text.p);
	else if (filter_fn_parse(n->text, &fn))
		filter_fault(&c->report, n->at, n->end, "%s is a function: write %s(%s)",
			filter_fn_word(fn), filter_fn_word(fn),
			filter_fn_args(fn) ? "\xe2\x80\xa6" : "");
	else if (ours)
		filter_fault(&c->report, n->at, n->end,
			"\"%.*s\" is not known here; did you mean %s?", shown(n->text), n->text.p,
			ours);
	else if (near)
		filter_fault(&c->report, n->at, n->end,
			"\"%.*s\" is not known here; did you mean %s?", shown(n->text), n->text.p,
			near->path);
	else
		filter_fault(&c->report, n->at, n->end, "\"%.*s\" is not known here%s",
			shown(n->text), n->text.p,
			str_index(n->text, '.') < 0 ? "; texts stand in single quotes: 'Riga'"
			: str_starts(n->text, STR("event."))
				? "; postern-http(7) says what each event has"
			: str_starts(n->text, STR("member."))
				? "; members.attributes declares those of your own"
				: "");
	return false;
}

/* ---- two sides ------------------------------------------------------------------------------ */

static bool mismatch(struct compiler *c, struct node *n, struct node *a, struct node *b)
{
	struct str sa = written(c, a), sb = written(c, b);

	filter_fault(&c->report, n->at, n->end, "%.*s is %s, %.*s is %s: they do not compare%s",
		STR_ARG(sa), a_type(a), STR_ARG(sb), a_type(b),
		(a->type == VALUE_DATE && b->type == VALUE_DATETIME) ||
				(a->type == VALUE_DATETIME && b->type == VALUE_DATE)
			? "; compare dates with today, datetimes with now"
			: "");
	return false;
}

/* Makes both of one type, as far as constants and numbers go. */
static bool unify(struct compiler *c, struct node *n, struct node *a, struct node *b)
{
	if (is_loose(a) && !is_loose(b) && b->type != VALUE_TEXT) {
		if (b->type == VALUE_LIST)
			return mismatch(c, n, a, b);
		if (!filter_coerce(c, a, b->type))
			return false;
	}
	if (is_loose(b) && !is_loose(a) && a->type != VALUE_TEXT) {
		if (a->type == VALUE_LIST)
			return mismatch(c, n, a, b);
		if (!filter_coerce(c, b, a->type))
			return false;
	}
	if (is_number(a) && is_number(b)) {
		if (a->type == VALUE_DECIMAL)
			return filter_coerce(c, b, VALUE_DECIMAL);
		return b->type == VALUE_INT || filter_coerce(c, a, VALUE_DECIMAL);
	}
	return a->type == b->type ? true : mismatch(c, n, a, b);
}

static void warn_constants(struct compiler *c, struct node *n)
{
	for (unsigned i = 0; i < n->n; i++)
		if (n->kids[i]->kind != N_CONST && n->kids[i]->kind != N_LIST)
			return;
	filter_warn(&c->report, n->at, n->end, "this compares constants: it is always the same");
}

static bool check_compare(struct compiler *c, struct node *n)
{
	struct node *a = n->kids[0], *b = n->kids[1];

	if (!unify(c, n, a, b))
		return false;
	warn_constants(c, n);
	if (a->type == VALUE_LIST) {
		filter_fault(&c->report, n->at, n->end,
			"lists do not compare; write 'x' in list, or any(list, test)");
		return false;
	}
	if (a->type == VALUE_BOOL && n->kind != N_EQ && n->kind != N_NE) {
		filter_fault(&c->report, n->at, n->end, "conditions have no order");
		return false;
	}
	return true;
}

static bool check_texts(struct compiler *c, struct node *n)
{
	static const char *const words[] = {
		[N_IEQ] = "~=",
		[N_CONTAINS] = "contains",
		[N_STARTS] = "starts with",
		[N_ENDS] = "ends with",
		[N_MATCHES] = "matches",
	};
	struct node *pattern = n->kids[1];

	for (unsigned i = 0; i < 2; i++)
		if (n->kids[i]->type != VALUE_TEXT) {
			struct str s = written(c, n->kids[i]);

			filter_fault(&c->report, n->kids[i]->at, n->kids[i]->end,
				"\"%s\" expects a text, %.*s is %s", words[n->kind], STR_ARG(s),
				a_type(n->kids[i]));
			return false;
		}
	warn_constants(c, n);
	if (n->kind != N_MATCHES)
		return true;
	if (pattern->kind != N_CONST) {
		filter_fault(&c->report, pattern->at, pattern->end,
			"\"matches\" expects a pattern in quotes, such as 'RIX-*'");
		return false;
	}
	if (pattern->text.n > FILTER_PATTERN) {
		filter_fault(&c->report, pattern->at, pattern->end,
			"this pattern has %zu bytes; %d are the most", pattern->text.n,
			FILTER_PATTERN);
		return false;
	}
	return true;
}

/* kids: element, list; a name or a literal list. */
static bool check_in(struct compiler *c, struct node *n)
{
	struct node *x = n->kids[0], *list = n->kids[1];
	struct node element = { .kind = N_IT, .type = list->of, .at = list->at, .end = list->end };
	bool decimal = x->type == VALUE_DECIMAL, ok = true;

	if (list->kind != N_LIST) {
		if (list->type != VALUE_LIST) {
			struct str s = written(c, list);

			filter_fault(&c->report, list->at, list->end,
				"\"in\" expects a list, %.*s is %s; write (%.*s) for a list of one",
				STR_ARG(s), a_type(list), STR_ARG(s));
			return false;
		}
		return unify(c, n, x, &element);
	}
	warn_constants(c, n);
	/* a quoted x takes the type of the first element that has one */
	for (unsigned i = 0; i < list->n && is_loose(x); i++)
		if (!is_loose(list->kids[i]) && !unify(c, n, x, list->kids[i]))
			return false;
	for (unsigned i = 0; i < list->n; i++)
		decimal |= list->kids[i]->type == VALUE_DECIMAL;
	if (decimal && is_number(x))
		ok = filter_coerce(c, x, VALUE_DECIMAL);
	for (unsigned i = 0; ok && i < list->n; i++) {
		ok = unify(c, n, x, list->kids[i]);
		if (ok && decimal)
			ok = filter_coerce(c, list->kids[i], VALUE_DECIMAL);
	}
	list->type = VALUE_LIST;
	list->of = decimal ? VALUE_DECIMAL : x->type;
	if (ok && x->type == VALUE_LIST) {
		filter_fault(&c->report, x->at, x->end,
			"\"in\" expects one value on its left, found %s; write any(list, it in "
			"(…))",
			a_type(x));
		return false;
	}
	return ok;
}

static bool check_between(struct compiler *c, struct node *n)
{
	struct node *x = n->kids[0], *lo = n->kids[1], *hi = n->kids[2];

	if (is_loose(x) && !unify(c, n, x, is_loose(lo) ? hi : lo))
		return false;
	if (!unify(c, n, x, lo) || !unify(c, n, x, hi))
		return false;
	/* the first unification may have come before the second made it decimal */
	if (hi->type == VALUE_DECIMAL || lo->type == VALUE_DECIMAL || x->type == VALUE_DECIMAL)
		for (unsigned i = 0; i < 3; i++)
			if (!filter_coerce(c, n->kids[i], VALUE_DECIMAL))
				return false;
	if (x->type == VALUE_BOOL || x->type == VALUE_LIST) {
		filter_fault(&c->report, x->at, x->end,
			"\"between\" expects what has an order, "
			"found %s",
			a_type(x));
		return false;
	}
	warn_constants(c, n);
	if (lo->kind == N_CONST && hi->kind == N_CONST && filter_order(x->type, &lo->v, &hi->v) > 0)
		filter_warn(&c->report, n->at, n->end,
			"this holds for nothing: the first value is the larger");
	return true;
}

/* ---- arithmetic ----------------------------------------------------------------------------- */

static bool no_such(struct compiler *c, struct node *n, const char *hint)
{
	static const char *const verbs[] = {
		[N_ADD - N_ADD] = "+",
		[N_SUB - N_ADD] = "-",
		[N_MUL - N_ADD] = "*",
		[N_DIV - N_ADD] = "/",
		[N_MOD - N_ADD] = "%",
	};
	struct str a = written(c, n->kids[0]), b = written(c, n->kids[1]);

	filter_fault(&c->report, n->at, n->end,
		"\"%s\" does not go with %s (%.*s) and %s (%.*s)%s%s", verbs[n->kind - N_ADD],
		a_type(n->kids[0]), STR_ARG(a), a_type(n->kids[1]), STR_ARG(b), hint ? "; " : "",
		hint ? hint : "");
	return false;
}

/* date or datetime ± '1 month': by the calendar. */
static bool check_shift(struct compiler *c, struct node *n)
{
	struct node *when = n->kids[0], *by = n->kids[1];
	struct span span;
	const char *wrong = span_parse(by->text, &span);

	if (wrong && n->kind == N_SUB && when->type == VALUE_DATE &&
		date_parse(by->text, &by->v.i)) {
		by->type = by->v.type = VALUE_DATE; /* today - '2026-03-01' */
		n->type = VALUE_SPAN;
		return true;
	}
	if (!wrong && when->type == VALUE_DATE && span.exact)
		wrong = "a date moves by days, months and years only";
	if (wrong) {
		filter_fault(&c->report, by->at, by->end,
			"expected a duration such as '14 days', found the text '%.*s': %s",
			shown(by->text), by->text.p, wrong);
		return false;
	}
	by->type = by->v.type = VALUE_SPAN;
	by->v.span = span;
	n->type = when->type;
	n->shift = true;
	return true;
}

static bool is_moment(const struct node *n)
{
	return n->type == VALUE_DATE || n->type == VALUE_DATETIME;
}

static bool check_sum(struct compiler *c, struct node *n)
{
	struct node *a = n->kids[0], *b = n->kids[1];

	if (is_moment(a) && is_loose(b))
		return check_shift(c, n);
	if (n->kind == N_ADD && is_loose(a) && is_moment(b)) { /* '1 day' + today */
		n->kids[0] = b;
		n->kids[1] = a;
		return check_shift(c, n);
	}
	if (a->type == VALUE_SPAN && is_loose(b) && !filter_coerce(c, b, VALUE_SPAN))
		return false;
	if (b->type == VALUE_SPAN && is_loose(a) && !filter_coerce(c, a, VALUE_SPAN))
		return false;
	if (n->kind == N_SUB && is_loose(a) && is_moment(b) && !filter_coerce(c, a, b->type))
		return false;
	if (is_number(a) && is_number(b)) {
		n->type = a->type == VALUE_INT && b->type == VALUE_INT ? VALUE_INT : VALUE_DECIMAL;
		return filter_coerce(c, a, n->type) && filter_coerce(c, b, n->type);
	}
	if (a->type == VALUE_SPAN && b->type == VALUE_SPAN)
		n->type = VALUE_SPAN;
	else if (n->kind == N_SUB && is_moment(a) && a->type == b->type)
		n->type = VALUE_SPAN;
	else if (a->type == VALUE_DATETIME && b->type == VALUE_SPAN)
		n->type = VALUE_DATETIME;
	else if (a->type == VALUE_DATE && b->type == VALUE_SPAN)
		return no_such(c, n, "a date moves by a duration in quotes: '14 days'");
	else if (is_moment(a) && is_number(b))
		return no_such(c, n, "a duration stands in quotes: '14 days'");
	else if (a->type == VALUE_TEXT && b->type == VALUE_TEXT)
		return no_such(c, n, "texts are not joined in a filter");
	else
		return no_such(c, n, NULL);
	return true;
}

static bool check_product(struct compiler *c, struct node *n)
{
	struct node *a = n->kids[0], *b = n->kids[1];

	if (!is_number(a) || !is_number(b))
		return no_such(c, n, NULL);
	n->type = a->type == VALUE_INT && b->type == VALUE_INT && n->kind != N_DIV ? VALUE_INT
										   : VALUE_DECIMAL;
	return filter_coerce(c, a, n->type) && filter_coerce(c, b, n->type);
}

static bool check_neg(struct compiler *c, struct node *n)
{
	n->type = n->kids[0]->type;
	if (is_number(n) || n->type == VALUE_SPAN)
		return true;
	filter_fault(
		&c->report, n->at, n->end, "\"-\" expects a number, found %s", a_type(n->kids[0]));
	return false;
}

static bool check_else(struct compiler *c, struct node *n)
{
	if (!unify(c, n, n->kids[0], n->kids[1]))
		return false;
	n->type = n->kids[0]->type == VALUE_INT ? n->kids[1]->type : n->kids[0]->type;
	if (n->kids[0]->kind == N_CONST)
		filter_warn(&c->report, n->at, n->end, "the value before ?? is never missing");
	if (n->type != VALUE_LIST)
		return true;
	filter_fault(&c->report, n->at, n->end, "\"\?\?\" does not go with lists");
	return false;
}

static bool check_index(struct compiler *c, struct node *n)
{
	struct node *list = n->kids[0], *i = n->kids[1];

	if (list->type == VALUE_LIST && i->type == VALUE_INT) {
		n->type = list->of;
		return true;
	}
	filter_fault(&c->report, n->at, n->end, "an element is written list[0]; here %s [%s]",
		a_type(list), a_type(i));
	return false;
}

/* ---- conditions ----------------------------------------------------------------------------- */

/* received_any('7 days') in place of a condition: > 0. The tree has it as if it were written so. */
static void ask_whether(struct compiler *c, struct node *n)
{
	struct node *call = arena_new_of(c->arena, struct node);
	struct node *none = arena_new_of(c->arena, struct node);

	*call = *n;
	*none = (struct node){ .kind = N_CONST,
		.type = VALUE_INT,
		.depth = 1,
		.at = n->end,
		.end = n->end,
		.v = value_int(0) };
	*n = (struct node){ .kind = N_GT,
		.type = VALUE_BOOL,
		.depth = call->depth + 1,
		.at = n->at,
		.end = n->end,
		.n = 2 };
	n->kids = arena_alloc(c->arena, 2 * sizeof *n->kids);
	n->kids[0] = call;
	n->kids[1] = none;
}

static bool is_condition(struct compiler *c, struct node *n)
{
	struct str s = written(c, n);
	const char *hint = "";

	if (n->type == VALUE_BOOL)
		return true;
	if (n->kind == N_CALL && (n->fn == FILTER_RECEIVED || n->fn == FILTER_RECEIVED_ANY)) {
		ask_whether(c, n);
		return true;
	}
	if (is_number(n))
		hint = "; compare it, for example with > 0";
	else if (is_moment(n))
		hint = n->type == VALUE_DATE ? "; compare it, for example with == today"
					     : "; compare it, for example with < now";
	else
		hint = "; compare it, or ask whether it \"is present\"";
	filter_fault(&c->report, n->at, n->end, "expected a condition, %.*s is %s%s", STR_ARG(s),
		a_type(n), hint);
	return false;
}

/* A comparison in n that a missing value makes false, so that `not` before it comes true. */
static const struct node *trap(const struct node *n)
{
	const struct node *found;

	if (n->kind == N_AND || n->kind == N_OR) {
		for (unsigned i = 0; i < n->n; i++) {
			found = trap(n->kids[i]);
			if (found)
				return found;
		}
		return NULL;
	}
	if (n->kind < N_EQ || n->kind > N_BETWEEN)
		return NULL;
	for (unsigned i = 0; i < n->n; i++) {
		const struct node *k = n->kids[i];

		if (k->kind == N_NAME || k->kind == N_INDEX ||
			(k->kind == N_CALL && (k->fn == FILTER_LAST || k->fn == FILTER_AGE ||
						      k->fn == FILTER_DAYS_SINCE_LAST ||
						      (k->n && k->kids[0]->kind == N_NAME))))
			return n;
	}
	return NULL;
}

static void warn_not(struct compiler *c, struct node *n)
{
	static const char *const others[] = {
		[N_EQ] = "!=",
		[N_NE] = "==",
		[N_LT] = ">=",
		[N_LE] = ">",
		[N_GT] = "<=",
		[N_GE] = "<",
	};
	const struct node *t = trap(n->kids[0]);
	const struct node *x = t ? t->kids[t->kids[0]->kind == N_CONST] : NULL;
	struct str whole, s;

	if (!t || ((x->kind == N_NAME) && ((c->f->has_now && x->slot == c->f->now) ||
						  (c->f->has_today && x->slot == c->f->today))))
		return;
	s = written(c, x);
	whole = written(c, t);
	if (t == n->kids[0] && t->kind <= N_GE) {
		struct str a = written(c, t->kids[0]), b = written(c, t->kids[1]);

		filter_warn(&c->report, n->at, n->end,
			"this is true for a missing %.*s, too; if that is not meant write %.*s %s "
			"%.*s, if it is write %.*s %s %.*s or %.*s is missing",
			STR_ARG(s), STR_ARG(a), others[t->kind], STR_ARG(b), STR_ARG(a),
			others[t->kind], STR_ARG(b), STR_ARG(s));
	} else {
		filter_warn(&c->report, n->at, n->end,
			"\"%.*s\" is false for a missing %.*s, which makes this true; say what is "
			"meant with \"is missing\" or \"is present\"",
			STR_ARG(whole), STR_ARG(s));
	}
}

static bool check_conditions(struct compiler *c, struct node *n)
{
	bool ok = true;

	for (unsigned i = 0; i < n->n; i++)
		ok &= is_condition(c, n->kids[i]);
	if (ok && n->kind == N_NOT)
		warn_not(c, n);
	return ok;
}

static bool check_contains(struct compiler *c, struct node *n)
{
	struct node *list = n->kids[0];

	if (list->type != VALUE_LIST)
		return check_texts(c, n);
	n->kind = N_IN;
	n->flipped = true;
	n->kids[0] = n->kids[1];
	n->kids[1] = list;
	return check_in(c, n);
}

static bool check_missing(struct compiler *c, struct node *n)
{
	struct node *x = n->kids[0];

	if (x->kind == N_CONST)
		filter_warn(&c->report, n->at, n->end, "a constant is never missing");
	else if (x->type == VALUE_BOOL && x->kind != N_NAME && x->kind != N_ELSE &&
		 x->kind != N_INDEX && x->kind != N_IT)
		filter_warn(&c->report, n->at, n->end, "a condition is never missing");
	return true;
}

/* ---- the walk ------------------------------------------------------------------------------- */

static bool check_operator(struct compiler *c, struct node *n)
{
	switch (n->kind) {
	case N_OR:
	case N_AND:
	case N_NOT:
		return check_conditions(c, n);
	case N_IEQ:
	case N_STARTS:
	case N_ENDS:
	case N_MATCHES:
		return check_texts(c, n);
	case N_CONTAINS:
		return check_contains(c, n);
	case N_IN:
		return check_in(c, n);
	case N_BETWEEN:
		return check_between(c, n);
	case N_MISSING:
		return check_missing(c, n);
	case N_ADD:
	case N_SUB:
		return check_sum(c, n);
	case N_MUL:
	case N_DIV:
	case N_MOD:
		return check_product(c, n);
	case N_NEG:
		return check_neg(c, n);
	case N_ELSE:
		return check_else(c, n);
	case N_INDEX:
		return check_index(c, n);
	case N_LIST: /* types: the "in" that it belongs to */
		return true;
	default:
		return check_compare(c, n);
	}
}

bool filter_check_node(struct compiler *c, struct node *n)
{
	bool ok = true;

	switch (n->kind) {
	case N_CONST:
		return true;
	case N_NAME:
		return check_name(c, n);
	case N_CALL:
		return filter_check_call(c, n);
	case N_IT:
		n->type = c->it;
		if (c->tests)
			return true;
		filter_fault(&c->report, n->at, n->end,
			"\"it\" is the element within any(list, test) and nothing elsewhere");
		return false;
	default:
		break;
	}
	n->type = VALUE_BOOL;
	for (unsigned i = 0; i < n->n; i++)
		ok &= filter_check_node(c, n->kids[i]);
	return ok && check_operator(c, n);
}

static bool slot_of(struct compiler *c, const char *path, enum value_type type, unsigned *slot_r)
{
	const struct name *at = scope_find(c->env->scope, str_of(path));

	if (!at || at->type != type)
		return false;
	*slot_r = at->slot;
	return true;
}

bool filter_check(struct compiler *c, struct node *root)
{
	c->f->has_now = slot_of(c, "now", VALUE_DATETIME, &c->f->now);
	c->f->has_today = slot_of(c, "today", VALUE_DATE, &c->f->today);
	c->f->has_birthday = slot_of(c, "member.birthday", VALUE_DATE, &c->f->birthday);
	return filter_check_node(c, root) && is_condition(c, root);
}
