/* Values as a text's language writes them, and texts written: one pass over the segments. See
 * template.h.
 */
#include "gateway/model/unicode.h"
#include "plugins/offers/template_private.h"

#include "plugins/offers/template_html.h"

enum { DAY_MOST = 2932896 /* 9999-12-31 */, DAY_LEAST = -719528 /* 0000-01-01 */ };

/* ---- amounts -------------------------------------------------------------------------------- */

/* An amount of something, and how many digits behind the point are printed. */
struct amount {
	int64_t x;
	unsigned decimals;
	bool known; /* the currency is */
	const struct currency *currency;
	struct str code;
};

static unsigned digits_needed(int64_t x)
{
	int64_t rest = x % DECIMAL_ONE;

	return rest == 0 ? 0 : rest % 1000 == 0 ? 1 : rest % 100 == 0 ? 2 : rest % 10 == 0 ? 3 : 4;
}

/* As money is written: 8 for 8.00, 8.50 for 8.5. */
static unsigned trimmed(const struct amount *a)
{
	unsigned most = currency_decimals(a->currency);

	return decimal_round(a->x, most) % DECIMAL_ONE == 0 ? 0 : most;
}

static struct str trigger_currency(struct writer *w)
{
	if (!w->currency_asked) {
		const struct source *s = w->reader->values;

		w->currency = s->get(s, METAVAR_SLOT(METAVAR_CURRENCY));
		w->currency_asked = true;
	}
	return w->currency.type == VALUE_TEXT ? str_trim(w->currency.s) : STR_NONE;
}

static bool decimal_of(struct value v, int64_t *x_r)
{
	if (v.type == VALUE_DECIMAL)
		*x_r = v.i;
	else if (v.type == VALUE_INT)
		*x_r = decimal_of_int(v.i);
	return v.type == VALUE_DECIMAL || v.type == VALUE_INT;
}

/* What the list of balances says of a currency; one that is not in it has nothing. */
static bool balance_of(struct value list, struct str code, int64_t *x_r)
{
	struct str theirs;
	int64_t x;

	if (list.type != VALUE_LIST)
		return false;
	*x_r = 0;
	for (size_t i = 0; i < list.list.n; i++)
		if (list.list.v[i].type == VALUE_TEXT &&
			money_parse(list.list.v[i].s, &x, &theirs) && str_eq(theirs, code))
			*x_r = decimal_add(*x_r, x);
	return true;
}

static bool read_amount(
	const struct text *t, const struct segment *g, struct writer *w, struct amount *a)
{
	struct value v = w->reader->values->get(w->reader->values, g->slot);

	*a = (struct amount){ .currency = g->currency, .code = g->code };
	if (g->code.n ? !balance_of(v, g->code, &a->x) : !decimal_of(v, &a->x))
		return false;
	if (!g->code.n && (g->in_currency || g->kind == SEGMENT_CURRENCY)) {
		a->code = trigger_currency(w);
		a->currency = currency_find(t->currencies, a->code);
	}
	a->known = a->code.n > 0;
	a->decimals = v.type == VALUE_INT ? 0 : a->known ? trimmed(a) : digits_needed(a->x);
	return true;
}

static bool put_amount(
	struct buf *b, const struct text *t, const struct segment *g, struct writer *w)
{
	struct amount a;
	const char *form;

	if (!read_amount(t, g, w, &a))
		return false;
	if (g->kind == SEGMENT_CURRENCY) {
		if (!a.known)
			return false;
		buf_str(b, a.currency ? currency_name(a.currency, t->tongue, a.x, a.decimals)
				      : a.code);
		return true;
	}
	switch (g->format) {
	case FORMAT_NUMBER:
		if (a.known && g->type == VALUE_DECIMAL)
			a.decimals = currency_decimals(a.currency);
		tongue_put_number(b, t->tongue, a.x, a.decimals, true);
		break;
	case FORMAT_MONEY:
		tongue_put_number(b, t->tongue, a.x, trimmed(&a), true);
		break;
	case FORMAT_PLURAL:
		form = plural_pick(g->forms, plural_of(t->tongue, a.x, a.decimals));
		buf_c(b, form ? form : "");
		break;
	default:
		tongue_put_number(b, t->tongue, a.x, a.decimals, false);
	}
	return true;
}

/* ---- dates ---------------------------------------------------------------------------------- */

static bool put_date(struct buf *b, const struct text *t, unsigned format, int64_t day)
{
	if (day < DAY_LEAST || day > DAY_MOST)
		return false;
	tongue_put_date(b, t->tongue,
		format == FORMAT_LONG    ? DATE_LONG
		: format == FORMAT_SHORT ? DATE_SHORT
					 : DATE_MEDIUM,
		day);
	return true;
}

static bool put_moment(
	struct buf *b, const struct text *t, unsigned format, const struct reader *r, wall_t at)
{
	struct local l = zone_local(r->zone ? r->zone : zone_utc(), at);

	if (format == FORMAT_TIME) {
		tongue_put_time(b, t->tongue, l.ns);
		return true;
	}
	if (!put_date(b, t, format, l.day))
		return false;
	if (format == FORMAT_PLAIN) {
		buf_char(b, ' ');
		tongue_put_time(b, t->tongue, l.ns);
	}
	return true;
}

/* ---- one value ------------------------------------------------------------------------------ */

static bool put_scalar(struct buf *b, const struct text *t, const struct segment *g,
	const struct reader *r, struct value v)
{
	switch (v.type) {
	case VALUE_TEXT:
		buf_str(b, v.s);
		return true;
	case VALUE_DATE:
		return put_date(b, t, g->format, v.i);
	case VALUE_DATETIME:
		return put_moment(b, t, g->format, r, v.i);
	case VALUE_TIME:
		if (v.i < 0 || v.i > DUR_DAY)
			return false;
		tongue_put_time(b, t->tongue, v.i);
		return true;
	case VALUE_INT:
	case VALUE_DECIMAL: {
		int64_t x = 0;

		decimal_of(v, &x);
		tongue_put_number(b, t->tongue, x, digits_needed(x), false);
		return true;
	}
	default:
		return false;
	}
}

static bool put_value(
	struct buf *b, const struct text *t, const struct segment *g, struct writer *w)
{
	struct value v;

	if (g->kind != SEGMENT_VALUE || g->type == VALUE_DECIMAL || g->type == VALUE_INT)
		return put_amount(b, t, g, w);
	if (g->slot == METAVAR_SLOT(METAVAR_CURRENCY)) {
		struct str code = trigger_currency(w);
		const struct currency *c = currency_find(t->currencies, code);

		buf_str(b, c ? currency_short(c, t->tongue) : code);
		return code.n > 0;
	}
	v = w->reader->values->get(w->reader->values, g->slot);
	return v.type == g->type && put_scalar(b, t, g, w->reader, v);
}

/* Changes the case of what is in b. */
static void fold_text(struct buf *b, enum fold fold)
{
	struct buf from = *b;
	struct str s = buf_view(&from);
	bool first = true;
	int32_t c;

	if (fold == FOLD_NONE)
		return;
	*b = BUF_INIT;
	buf_reserve(b, from.n + 8);
	while ((c = str_utf8_next(&s)) != -1) {
		uint32_t u = c < 0 ? 0xfffd : (uint32_t)c;

		if (fold == FOLD_LOWER)
			u = unicode_lower(u);
		else if (fold == FOLD_UPPER || first)
			u = unicode_upper(u);
		first = false;
		buf_utf8(b, u);
	}
	buf_free(&from);
}

/* ---- into the sink -------------------------------------------------------------------------- */

/* Says why a value cannot stand here; the text is not sent. */
static int fail(struct writer *w, enum render_fault fault, const char *before, const char *path,
	const char *after)
{
	bool simple = !strpbrk(path, ".(");

	w->fault = fault;
	snprintf(w->why, w->why_n, "%s$%s%s%s%s", before, simple ? "" : "{", path,
		simple ? "" : "}", after);
	return -1;
}

static bool put_sink(struct buf *b, const struct segment *g, struct str written)
{
	if ((g->sink == SINK_LINK || g->sink == SINK_LINK_ATTR) && !escape_link_good(written))
		return false;
	if (g->html && g->sink == SINK_HTML && str_utf8_valid(written)) {
		buf_str(b, written);
	} else if (g->html) {
		struct buf plain = BUF_INIT;

		html_to_text(&plain, written, false);
		escape_put(b, g->sink, buf_view(&plain));
		buf_free(&plain);
	} else {
		escape_put(b, g->sink, written);
	}
	return true;
}

/* One element of a list as text; false: it is left out. */
static bool put_element(struct buf *b, const struct text *t, const struct segment *g,
	const struct reader *r, struct value v)
{
	struct amount a = { .known = true };
	int64_t x;

	if (g->slot != METAVAR_SLOT(METAVAR_BALANCES)) {
		if (g->skip_zero && decimal_of(v, &x) && x == 0)
			return false;
		return put_scalar(b, t, g, r, v);
	}
	if (v.type != VALUE_TEXT || !money_parse(v.s, &a.x, &a.code) || (g->skip_zero && a.x == 0))
		return false;
	a.currency = currency_find(t->currencies, a.code);
	a.decimals = trimmed(&a);
	tongue_put_number(b, t->tongue, a.x, a.decimals, true);
	if (a.code.n)
		buf_char(b, ' ');
	buf_str(b, a.currency ? currency_name(a.currency, t->tongue, a.x, a.decimals) : a.code);
	return true;
}

/* Separators are the author's own: written as they are where that is text. */
static void put_separator(struct buf *b, const struct segment *g, struct str separator)
{
	if (g->sink == SINK_HTML || g->sink == SINK_TEXT || g->sink == SINK_SMS ||
		g->sink == SINK_PRINT)
		buf_str(b, separator);
	else
		escape_put(b, g->sink, separator);
}

static bool write_list(
	struct buf *b, const struct text *t, const struct segment *g, struct writer *w)
{
	struct value v = w->reader->values->get(w->reader->values, g->slot);
	size_t start = b->n, last_from = start, last_to = start, written = 0;

	if (v.type != VALUE_LIST)
		return false;
	for (size_t i = 0; i < v.list.n; i++) {
		buf_reset(w->scratch);
		if (!put_element(w->scratch, t, g, w->reader, v.list.v[i]) || !w->scratch->n)
			continue;
		fold_text(w->scratch, g->fold);
		last_from = b->n;
		if (written++)
			put_separator(b, g, g->between);
		last_to = b->n;
		put_sink(b, g, buf_view(w->scratch));
	}
	/* Only now is it known which separator was the last. */
	if (written > 1 && !str_eq(g->between, g->before_last)) {
		buf_reset(w->scratch);
		buf_add(w->scratch, b->p + last_to, b->n - last_to);
		b->n = last_from;
		put_separator(b, g, g->before_last);
		buf_str(b, buf_view(w->scratch));
	}
	return written > 0;
}

static bool is_blank(struct str s)
{
	return str_trim(s).n == 0;
}

/* 1 written, 0 missing, -1 a fault. */
static int write_value(
	struct buf *b, const struct text *t, const struct segment *g, struct writer *w)
{
	if (g->kind == SEGMENT_VALUE && g->type == VALUE_LIST)
		return write_list(b, t, g, w);
	buf_reset(w->scratch);
	if (!put_value(w->scratch, t, g, w) || is_blank(buf_view(w->scratch)))
		return 0;
	fold_text(w->scratch, g->fold);
	if (put_sink(b, g, buf_view(w->scratch)))
		return 1;
	return g->has_fallback ? 0
			       : fail(w, RENDER_CONTENT, "", g->path, " is no address of a page");
}

static int write_missing(struct buf *b, const struct segment *g, struct writer *w)
{
	if (g->has_fallback) {
		if (is_blank(g->text) || put_sink(b, g, g->text))
			return 0;
		return fail(
			w, RENDER_CONTENT, "the fallback of ", g->path, " is no address of a page");
	}
	switch (w->policy) {
	case MISSING_FALLBACK:
		return 0;
	case MISSING_FAIL:
		return fail(w, RENDER_MISSING_FAIL, "missing ", g->path, "");
	default:
		return fail(w, RENDER_MISSING, "missing ", g->path, "");
	}
}

int text_write(struct buf *b, const struct text *t, struct writer *w)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct segment *g = &t->v[i];
		size_t from = b->n;
		int rc;

		if (g->kind == SEGMENT_LITERAL) {
			buf_str(b, g->text);
			continue;
		}
		rc = write_value(b, t, g, w);
		if (rc == 0)
			rc = write_missing(b, g, w);
		if (rc < 0)
			return -1;
		if (w->seen)
			w->seen(w->ctx, g, str_n(b->p + from, b->n - from));
	}
	return 0;
}
