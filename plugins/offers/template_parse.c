/* A text into segments: $Name, ${path(args):format(args)|fallback}, $$, and literals. Names are
 * looked up and types checked here; each value gets the sink of its place. See template.h.
 */
#include "plugins/offers/template_private.h"

#include "plugins/offers/template_html.h"

enum { ARGS_MOST = 8, PATH_MOST = 100 };

struct parse {
	struct str source, rest;
	struct text_kind kind;
	const struct template_world *world;
	struct text_place place;
	struct arena *a;
	struct text *t;
	size_t cap;
	size_t token; /* offset of the token being read */
	struct html_place html;
	struct buf literal;
	unsigned slashes; /* of "://" seen in this word: 3 is an address */
	bool bad;
};
struct args {
	struct str v[ARGS_MOST];
	bool quoted[ARGS_MOST];
	size_t n;
};

/* ---- faults --------------------------------------------------------------------------------- */

static void fault(struct parse *p, size_t offset, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void fault(struct parse *p, size_t offset, const char *fmt, ...)
{
	struct str before = str_n(p->source.p, offset < p->source.n ? offset : p->source.n);
	unsigned line = 1, column = 1;
	struct buf b = BUF_INIT;
	va_list ap;
	int32_t c;

	p->bad = true;
	if (p->kind.quiet)
		return;
	while ((c = str_utf8_next(&before)) != -1) {
		line += c == '\n';
		column = c == '\n' ? 1 : column + 1;
	}
	if (p->place.file)
		buf_printf(&b, "column %u: ", column);
	else if (str_index(p->source, '\n') >= 0)
		buf_printf(&b, "line %u, column %u of the text: ", line, column);
	else
		buf_printf(&b, "column %u: ", column);
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	if (p->place.file)
		conf_fault(p->place.f, p->place.file, line, "%s", buf_cstr(&b));
	else
		conf_fault_at(p->place.f, p->place.at, p->place.key, "%s", buf_cstr(&b));
	buf_free(&b);
}

static size_t here(const struct parse *p)
{
	return p->source.n - p->rest.n;
}

/* ---- names ---------------------------------------------------------------------------------- */

const struct name *text_name(const struct scope *s, struct str path)
{
	char small[PATH_MOST];
	const struct name *n = scope_find(s, path);
	ptrdiff_t dot = str_index(path, '.');

	if (n || dot <= 0 || path.n >= sizeof small - 4)
		return n;
	str_copy(small, sizeof small, path);
	if (small[0] >= 'A' && small[0] <= 'Z')
		small[0] = (char)(small[0] + 32);
	n = scope_find(s, str_n(small, path.n));
	if (!n && str_starts(str_n(small, path.n), STR("receipt."))) {
		struct str field = str_skip(path, (size_t)dot + 1);

		memcpy(small, "event.", 6);
		memcpy(small + 6, field.p, field.n);
		n = scope_find(s, str_n(small, 6 + field.n));
	}
	return n;
}

static void fault_name(struct parse *p, struct str path, bool braces)
{
	const struct name *near = scope_near(p->world->scope, path);
	char small[PATH_MOST];

	if (!near && path.n && path.n < sizeof small && path.p[0] >= 'A' && path.p[0] <= 'Z' &&
		str_index(path, '.') > 0) {
		str_copy(small, sizeof small, path);
		small[0] = (char)(small[0] + 32);
		near = scope_near(p->world->scope, str_n(small, path.n));
	}
	if (near)
		fault(p, p->token, "unknown name \"%.*s\"; did you mean \"%s\"?", STR_ARG(path),
			near->path);
	else if (!braces && p->rest.n > 1 && p->rest.p[0] == '.')
		fault(p, p->token,
			"unknown name \"%.*s\"; a name with a dot is written in braces, and a "
			"dollar "
			"sign as $$",
			STR_ARG(path));
	else
		fault(p, p->token, "unknown name \"%.*s\"%s", STR_ARG(path),
			braces ? "" : "; a dollar sign is written as $$");
}

static const struct name *look_up(struct parse *p, struct str path, bool braces)
{
	const struct name *n = text_name(p->world->scope, path);

	if (!n)
		fault_name(p, path, braces);
	return n;
}

/* ---- literals and places -------------------------------------------------------------------- */

static struct segment *add(struct parse *p, enum segment_kind kind)
{
	if (p->t->n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 8;
		struct segment *v = arena_alloc(p->a, cap * sizeof *v);

		if (p->t->n)
			memcpy(v, p->t->v, p->t->n * sizeof *v);
		p->t->v = v;
		p->cap = cap;
	}
	p->t->v[p->t->n] = (struct segment){ .kind = (uint8_t)kind };
	return &p->t->v[p->t->n++];
}

/* An address within plain text: what stands in it is percent-encoded. */
static void feed_word(struct parse *p, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (strchr(" \t\r\n<>\"()", c))
			p->slashes = 0;
		else if (p->slashes < 3)
			p->slashes = c == "://"[p->slashes] ? p->slashes + 1 : c == ':';
	}
}

static void end_literal(struct parse *p)
{
	struct str s = buf_view(&p->literal);

	if (!s.n)
		return;
	if (p->kind.sink == SINK_HTML)
		html_feed(&p->html, s);
	else
		feed_word(p, s);
	add(p, SEGMENT_LITERAL)->text = arena_str(p->a, s);
	buf_reset(&p->literal);
}

/* The sink of a value at this place. */
static void place_value(struct parse *p, struct segment *g)
{
	enum sink sink = p->kind.sink;
	const char *why;

	switch (p->kind.sink) {
	case SINK_HTML:
		why = html_sink(&p->html, &sink);
		if (why)
			fault(p, p->token, "%s", why);
		break;
	case SINK_LINK:
		/* the whole address, or something within it */
		sink = p->t->n == 1 ? SINK_LINK : SINK_QUERY;
		break;
	default:
		if (p->slashes == 3)
			sink = SINK_QUERY;
	}
	if (g->html && sink != SINK_HTML && !p->kind.from_html)
		fault(p, p->token, "\":html\" stands in the text of an email's html only");
	g->sink = (uint8_t)sink;
}

/* ---- arguments ------------------------------------------------------------------------------ */

static void skip_blanks(struct parse *p)
{
	while (p->rest.n && (p->rest.p[0] == ' ' || p->rest.p[0] == '\t' || p->rest.p[0] == '\n'))
		p->rest = str_skip(p->rest, 1);
}

/* A piece in quotes; a quote within it is written twice. */
static bool read_quoted(struct parse *p, struct str *v_r)
{
	char quote = p->rest.p[0];
	struct buf b = BUF_INIT;
	bool ended = false;

	p->rest = str_skip(p->rest, 1);
	while (p->rest.n && !ended) {
		char c = p->rest.p[0];

		p->rest = str_skip(p->rest, 1);
		if (c != quote) {
			buf_char(&b, c);
		} else if (p->rest.n && p->rest.p[0] == quote) {
			buf_char(&b, c);
			p->rest = str_skip(p->rest, 1);
		} else {
			ended = true;
		}
	}
	*v_r = arena_str(p->a, buf_view(&b));
	buf_free(&b);
	if (!ended)
		fault(p, p->token, "a quote is not closed");
	return ended;
}

static struct str read_bare(struct parse *p)
{
	unsigned depth = 0;
	size_t n = 0;

	while (n < p->rest.n && p->rest.p[n] != '}') {
		char c = p->rest.p[n];

		if (!depth && (c == ',' || c == ')'))
			break;
		depth += c == '(';
		depth -= c == ')';
		n++;
	}
	p->rest = str_skip(p->rest, n);
	return arena_str(p->a, str_trim(str_n(p->rest.p - n, n)));
}

/* "(a, 'b c', d=e)" when it stands here. */
static bool read_args(struct parse *p, struct args *r)
{
	r->n = 0;
	if (!p->rest.n || p->rest.p[0] != '(')
		return true;
	do {
		p->rest = str_skip(p->rest, 1);
		skip_blanks(p);
		if (r->n == ARGS_MOST) {
			fault(p, p->token, "more than %d arguments", ARGS_MOST);
			return false;
		}
		r->quoted[r->n] = p->rest.n && (p->rest.p[0] == '\'' || p->rest.p[0] == '"');
		if (!r->quoted[r->n])
			r->v[r->n] = read_bare(p);
		else if (!read_quoted(p, &r->v[r->n]))
			return false;
		r->n++;
		skip_blanks(p);
	} while (p->rest.n && p->rest.p[0] == ',');
	if (!p->rest.n || p->rest.p[0] != ')') {
		fault(p, p->token, "')' is missing");
		return false;
	}
	p->rest = str_skip(p->rest, 1);
	return true;
}

/* ---- what is printed ------------------------------------------------------------------------ */

static bool in_currency(unsigned slot)
{
	return slot == METAVAR_SLOT(METAVAR_AMOUNT) || slot == METAVAR_SLOT(METAVAR_DISCOUNT) ||
	       (slot >= SLOT_EVENT && slot < SLOT_WORLD);
}

static void set_name(struct segment *g, const struct name *n)
{
	g->slot = n->slot;
	g->type = n->type;
	g->of = n->of;
	g->in_currency = n->type == VALUE_DECIMAL && in_currency(n->slot);
}

static bool set_balance(struct parse *p, struct segment *g, const struct args *args)
{
	const struct currency *near;

	if (args->n != 1 || !args->v[0].n) {
		fault(p, p->token, "Balance(…) names one currency");
		return false;
	}
	g->kind = SEGMENT_BALANCE;
	g->slot = METAVAR_SLOT(METAVAR_BALANCES);
	g->type = VALUE_DECIMAL;
	g->code = args->v[0];
	g->currency = currency_find(p->world->currencies, g->code);
	if (g->currency)
		return true;
	near = currency_near(p->world->currencies, g->code);
	fault(p, p->token, "unknown currency \"%.*s\"%s%s%s", STR_ARG(g->code),
		near ? "; did you mean \"" : "", near ? currency_code(near) : "",
		near ? "\"?" : "");
	return false;
}

/* Currency.of(Amount), Currency.of(Balance(bonus)): what is counted is g's slot and code. */
static bool set_currency_of(struct parse *p, struct segment *g, const struct args *args)
{
	const struct name *n;

	if (args->n != 1) {
		fault(p, p->token, "Currency.of(…) takes the amount that it is the currency of");
		return false;
	}
	if (str_starts(args->v[0], STR("Balance(")) && str_ends(args->v[0], STR(")"))) {
		struct args inner = { .n = 1 };

		inner.v[0] = str_trim(str_n(args->v[0].p + 8, args->v[0].n - 9));
		if (!set_balance(p, g, &inner))
			return false;
		g->kind = SEGMENT_CURRENCY;
		return true;
	}
	n = look_up(p, args->v[0], true);
	if (!n)
		return false;
	if (n->type != VALUE_DECIMAL && n->type != VALUE_INT) {
		fault(p, p->token, "Currency.of(…) takes an amount; %.*s is a %s",
			STR_ARG(args->v[0]), value_type_word(n->type));
		return false;
	}
	set_name(g, n);
	g->kind = SEGMENT_CURRENCY;
	if (!text_name(p->world->scope, STR("Currency"))) {
		fault(p, p->token, "nothing here has a currency");
		return false;
	}
	return true;
}

static bool set_path(
	struct parse *p, struct segment *g, struct str path, const struct args *args, bool braces)
{
	const struct name *n;

	g->path = arena_cstr(p->a, path);
	if (str_is(path, "Balance"))
		return set_balance(p, g, args);
	if (str_is(path, "Currency.of"))
		return set_currency_of(p, g, args);
	if (args->n) {
		fault(p, p->token, "\"%.*s\" takes no arguments", STR_ARG(path));
		return false;
	}
	n = look_up(p, path, braces);
	if (!n)
		return false;
	if (n->type == VALUE_MISSING || n->type == VALUE_BOOL || n->type == VALUE_SPAN) {
		fault(p, p->token, "%s cannot be written into a text", g->path);
		return false;
	}
	set_name(g, n);
	return true;
}

/* ---- formats -------------------------------------------------------------------------------- */

#define TYPE_BIT(t) (1u << VALUE_##t)
static const struct {
	const char *word;
	unsigned types; /* that it can print; 0: any */
	const char *wants;
} formats[FORMAT_COUNT] = {
	[FORMAT_PLAIN] = { "", 0, "" },
	[FORMAT_NUMBER] = { "number", TYPE_BIT(INT) | TYPE_BIT(DECIMAL), "a number" },
	[FORMAT_MONEY] = { "money", TYPE_BIT(INT) | TYPE_BIT(DECIMAL), "a number" },
	[FORMAT_DATE] = { "date", TYPE_BIT(DATE) | TYPE_BIT(DATETIME), "a date" },
	[FORMAT_LONG] = { "long", TYPE_BIT(DATE) | TYPE_BIT(DATETIME), "a date" },
	[FORMAT_SHORT] = { "short", TYPE_BIT(DATE) | TYPE_BIT(DATETIME), "a date" },
	[FORMAT_TIME] = { "time", TYPE_BIT(TIME) | TYPE_BIT(DATETIME), "a time" },
	[FORMAT_PLURAL] = { "plural", TYPE_BIT(INT) | TYPE_BIT(DECIMAL), "a number" },
	[FORMAT_LIST] = { "list", TYPE_BIT(LIST), "a list" },
};
static const char *const folds[] = { "", "upper", "lower", "first" };

static void put_forms(struct buf *b, unsigned set)
{
	for (unsigned i = 0; i < PLURAL_COUNT; i++)
		if (set & 1u << i)
			buf_printf(b, "%s%s", b->n ? ", " : "", plural_word(i));
}

static bool fault_forms(struct parse *p, size_t given)
{
	unsigned needed = plural_needed(p->t->tongue);
	struct buf b = BUF_INIT;

	put_forms(&b, needed);
	fault(p, p->token, "\"plural\" in the language \"%s\" takes %d forms (%s), not %zu",
		p->t->tongue.language, __builtin_popcount(needed), buf_cstr(&b), given);
	buf_free(&b);
	return false;
}

/* plural(day,days): one for each form that the language needs, or for each that it has;
 * plural(one=day, other=days). */
static bool set_plural(struct parse *p, struct segment *g, const struct args *args)
{
	unsigned needed = plural_needed(p->t->tongue), all = plural_all(p->t->tongue), set = 0;
	size_t given = 0, k = 0;

	for (size_t i = 0; i < args->n; i++) {
		struct str form = args->v[i], word;
		enum plural which;

		if (!args->quoted[i] && str_index(form, '=') > 0 && str_cut(&form, '=', &word) &&
			plural_parse(str_trim(word), &which)) {
			g->forms[which] = arena_cstr(p->a, str_trim(form));
			set |= 1u << which;
			given++;
		}
	}
	if (given && given == args->n)
		return (needed & ~set) ? fault_forms(p, given) : true;
	if (args->n == (size_t)__builtin_popcount(needed))
		all = needed;
	else if (args->n != (size_t)__builtin_popcount(all))
		return fault_forms(p, args->n);
	for (unsigned i = 0; i < PLURAL_COUNT; i++)
		if (all & 1u << i)
			g->forms[i] = arena_cstr(p->a, args->v[k++]);
	return true;
}

static bool set_list(struct parse *p, struct segment *g, const struct args *args)
{
	size_t texts = 0;

	for (size_t i = 0; i < args->n; i++) {
		if (!args->quoted[i] && str_is(args->v[i], "skip_zero"))
			g->skip_zero = true;
		else if (texts++ == 0)
			g->between = g->before_last = args->v[i];
		else
			g->before_last = args->v[i];
	}
	if (texts > 2)
		fault(p, p->token,
			"\"list\" takes a separator, another for the last, and skip_zero");
	return texts <= 2;
}

/* Fields that nobody outside writes. */
static bool is_trusted(const struct segment *g)
{
	return (g->slot >= SLOT_WORLD && g->slot < SLOT_TEMPLATE) ||
	       g->slot == METAVAR_SLOT(METAVAR_PROGRAM_NAME) ||
	       g->slot == METAVAR_SLOT(METAVAR_PROGRAM_PHONE) ||
	       g->slot == METAVAR_SLOT(METAVAR_PROGRAM_URL);
}

static bool fault_format(struct parse *p, struct str word)
{
	const char *best = NULL;
	unsigned least = 2;

	for (unsigned i = 1; i < FORMAT_COUNT + 4; i++) {
		const char *known = i < FORMAT_COUNT       ? formats[i].word
				    : i < FORMAT_COUNT + 3 ? folds[i - FORMAT_COUNT + 1]
							   : "html";
		unsigned d = str_distance(word, str_of(known), least);

		if (d <= least && (!best || d < least)) {
			best = known;
			least = d;
		}
	}
	fault(p, p->token, "unknown format \"%.*s\"%s%s%s", STR_ARG(word),
		best ? "; did you mean \"" : "", best ? best : "", best ? "\"?" : "");
	return false;
}

static bool set_format(struct parse *p, struct segment *g, struct str word, const struct args *args)
{
	for (unsigned i = 1; i < FORMAT_COUNT; i++) {
		if (!str_is(word, formats[i].word))
			continue;
		if (g->format || g->kind == SEGMENT_CURRENCY ||
			!(formats[i].types & 1u << (unsigned)g->type)) {
			fault(p, p->token, "\":%s\" wants %s; %s is %s%s", formats[i].word,
				formats[i].wants, g->path,
				g->format || g->kind == SEGMENT_CURRENCY ? "formatted already"
									 : "of type ",
				g->format || g->kind == SEGMENT_CURRENCY
					? ""
					: value_type_word(g->type));
			return false;
		}
		g->format = (uint8_t)i;
		if (i == FORMAT_PLURAL)
			return set_plural(p, g, args);
		if (i == FORMAT_LIST)
			return set_list(p, g, args);
		if (args->n)
			fault(p, p->token, "\":%s\" takes no arguments", formats[i].word);
		return !args->n;
	}
	for (unsigned i = 1; i < 4; i++)
		if (str_is(word, folds[i])) {
			g->fold = (uint8_t)i;
			return true;
		}
	if (!str_is(word, "html"))
		return fault_format(p, word);
	if (!is_trusted(g)) {
		fault(p, p->token,
			"\":html\" is for the programme's and the offer's own fields; %s "
			"may hold what others wrote",
			g->path);
		return false;
	}
	g->html = true;
	return true;
}

/* ---- tokens --------------------------------------------------------------------------------- */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
}

static struct str read_word(struct parse *p, bool dots)
{
	size_t n = 0;

	while (n < p->rest.n &&
		(is_word(p->rest.p[n]) || (dots && p->rest.p[n] == '.' && n && n + 1 < p->rest.n &&
						  is_letter(p->rest.p[n + 1]))))
		n++;
	p->rest = str_skip(p->rest, n);
	return str_n(p->rest.p - n, n);
}

/* Something is wrong within the braces: go on behind them, for the next fault. */
static void skip_token(struct parse *p)
{
	ptrdiff_t end = str_index(p->rest, '}');

	p->rest = str_skip(p->rest, end < 0 ? p->rest.n : (size_t)end + 1);
}

static bool read_formats(struct parse *p, struct segment *g)
{
	struct args args;

	skip_blanks(p);
	while (p->rest.n && p->rest.p[0] == ':') {
		struct str word;

		p->rest = str_skip(p->rest, 1);
		skip_blanks(p);
		word = read_word(p, false);
		if (!read_args(p, &args) || !set_format(p, g, word, &args))
			return false;
		skip_blanks(p);
	}
	if (!p->rest.n || (p->rest.p[0] != '}' && p->rest.p[0] != '|')) {
		fault(p, p->rest.n ? here(p) : p->token,
			p->rest.n ? "':', '|' or '}' should stand here" : "'}' is missing");
		return false;
	}
	return true;
}

static bool read_fallback(struct parse *p, struct segment *g)
{
	ptrdiff_t end;

	if (p->rest.p[0] == '|') {
		end = str_index(p->rest, '}');
		if (end < 0) {
			fault(p, p->token, "'}' is missing");
			return false;
		}
		g->has_fallback = true;
		g->text = arena_str(p->a, str_n(p->rest.p + 1, (size_t)end - 1));
		p->rest = str_skip(p->rest, (size_t)end);
	}
	p->rest = str_skip(p->rest, 1);
	return true;
}

static void read_braces(struct parse *p)
{
	struct segment *g = add(p, SEGMENT_VALUE);
	struct args args;
	struct str path;

	g->between = g->before_last = STR(", ");
	p->rest = str_skip(p->rest, 2);
	skip_blanks(p);
	path = read_word(p, true);
	if (!path.n || !is_letter(path.p[0]) || path.n >= PATH_MOST)
		fault(p, p->token, "a name should stand behind \"${\"");
	else if (read_args(p, &args) && set_path(p, g, path, &args, true) && read_formats(p, g) &&
		 read_fallback(p, g))
		return place_value(p, g);
	skip_token(p);
}

static void read_name(struct parse *p)
{
	struct segment *g = add(p, SEGMENT_VALUE);
	struct args none = { .n = 0 };
	struct str path;

	g->between = g->before_last = STR(", ");
	p->rest = str_skip(p->rest, 1);
	path = read_word(p, false);
	if (path.n >= PATH_MOST)
		fault(p, p->token, "this name is too long");
	else if (set_path(p, g, path, &none, false))
		place_value(p, g);
}

static void read_dollar(struct parse *p)
{
	char next = p->rest.n > 1 ? p->rest.p[1] : '\0';

	p->token = here(p);
	if (next == '$') {
		buf_char(&p->literal, '$');
		p->rest = str_skip(p->rest, 2);
	} else if (next == '{') {
		end_literal(p);
		read_braces(p);
	} else if (is_letter(next)) {
		end_literal(p);
		read_name(p);
	} else {
		buf_char(&p->literal, '$');
		p->rest = str_skip(p->rest, 1);
	}
}

struct text *text_parse(struct str source, struct text_kind kind, const char *language,
	const struct template_world *world, struct text_place place, struct arena *a)
{
	struct parse p = { .source = source,
		.rest = source,
		.kind = kind,
		.world = world,
		.place = place,
		.a = a,
		.t = arena_new_of(a, struct text) };
	const char *why;

	p.t->tongue = tongue_of(language);
	p.t->currencies = world->currencies;
	p.t->source = source;
	if (!str_utf8_valid(source))
		fault(&p, 0, "not UTF-8");
	while (p.rest.n && !(p.bad && kind.quiet)) {
		ptrdiff_t at = str_index(p.rest, '$');
		size_t n = at < 0 ? p.rest.n : (size_t)at;

		buf_add(&p.literal, p.rest.p, n);
		p.rest = str_skip(p.rest, n);
		if (p.rest.n)
			read_dollar(&p);
	}
	end_literal(&p);
	buf_free(&p.literal);
	why = kind.sink == SINK_HTML && !p.bad ? html_unfinished(&p.html) : NULL;
	if (why)
		fault(&p, source.n, "%s", why);
	return p.bad ? NULL : p.t;
}

/* ---- what it uses --------------------------------------------------------------------------- */

static bool needs_currency(const struct segment *g)
{
	return g->kind == SEGMENT_CURRENCY && !g->currency;
}

static void set_bit(uint32_t *set, unsigned slot)
{
	set[slot / 32] |= 1u << slot % 32;
}

void text_slots(const struct text *t, uint32_t set[SLOT_MOST / 32])
{
	for (size_t i = 0; i < t->n; i++) {
		const struct segment *g = &t->v[i];

		if (g->kind == SEGMENT_LITERAL)
			continue;
		set_bit(set, g->slot);
		if (needs_currency(g) || g->in_currency)
			set_bit(set, METAVAR_SLOT(METAVAR_CURRENCY));
	}
}

static bool scope_has(const struct scope *s, unsigned slot)
{
	for (; s; s = s->next)
		for (size_t i = 0; i < s->n; i++)
			if (s->v[i].slot == slot)
				return true;
	return false;
}

void text_names_missing(const struct text *t, const struct scope *trigger, const char *user,
	const struct conf_where *at, const char *key, struct conf_faults *f)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct segment *g = &t->v[i];
		bool has;

		if (g->kind == SEGMENT_LITERAL || g->has_fallback)
			continue;
		has = scope_has(trigger, g->slot) &&
		      (!needs_currency(g) || scope_has(trigger, METAVAR_SLOT(METAVAR_CURRENCY)));
		if (!has)
			conf_fault_at(f, at, key,
				"%s: the text \"%.*s%s\" uses \"%s\", which this trigger does not "
				"have",
				user, (int)(t->source.n < 60 ? t->source.n : 57), t->source.p,
				t->source.n < 60 ? "" : "…", g->path);
	}
}
