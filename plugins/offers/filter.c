/* Compiling a filter, and questions about a compiled one. See filter.h. */
#include "plugins/offers/filter_private.h"

const struct filter *filter_compile(struct arena *a, struct str text, const struct filter_env *env,
	struct filter_faults *faults)
{
	struct compiler c = { .arena = a, .env = env };
	unsigned errors = faults->errors;
	bool ok;

	c.report.faults = faults;
	c.report.source = str_n(text.p, text.n > FILTER_TEXT ? FILTER_TEXT : text.n);
	if (text.n > FILTER_TEXT) {
		filter_fault(&c.report, FILTER_TEXT, FILTER_TEXT,
			"too long: %zu bytes, and %d are the most", text.n, FILTER_TEXT);
		return NULL;
	}
	c.report.source = arena_str(a, text);
	c.f = arena_new_of(a, struct filter);
	c.f->text = c.report.source;
	c.f->root = filter_parse(&c);
	ok = c.f->root && filter_check(&c, c.f->root) && faults->errors == errors;
	if (!ok)
		return NULL;
	filter_encode(&c);
	return c.f;
}

struct str filter_text(const struct filter *f)
{
	return f->text;
}

static bool reads(const struct filter *f, const struct node *n, unsigned slot)
{
	if (n->kind == N_NAME && n->slot == slot)
		return true;
	if (n->kind == N_CALL && ((n->fn == FILTER_DAYS_SINCE_LAST && f->now == slot) ||
					 ((n->fn == FILTER_AGE || n->fn == FILTER_ANNIVERSARY) &&
						 f->today == slot) ||
					 (n->fn == FILTER_AGE && !n->n && f->birthday == slot)))
		return true;
	for (unsigned i = 0; i < n->n; i++)
		if (reads(f, n->kids[i], slot))
			return true;
	return false;
}

bool filter_reads(const struct filter *f, unsigned slot)
{
	return reads(f, f->root, slot);
}

static bool calls(const struct node *n, enum filter_fn fn)
{
	if (n->kind == N_CALL && n->fn == fn)
		return true;
	for (unsigned i = 0; i < n->n; i++)
		if (calls(n->kids[i], fn))
			return true;
	return false;
}

bool filter_calls(const struct filter *f, enum filter_fn fn)
{
	return calls(f->root, fn);
}

bool filter_call_at(
	const struct filter *f, unsigned i, enum filter_fn *fn_r, const struct value **args_r)
{
	enum filter_fn fn;

	if (i >= f->calls_n)
		return false;
	fn = f->calls[i]->fn;
	*fn_r = fn == FILTER_DAYS_SINCE_LAST ? FILTER_LAST : fn;
	*args_r = f->calls[i]->args;
	return true;
}
