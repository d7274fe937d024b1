/* The tables told to people: `postern -t --defaults` in the form of a configuration file, and the
 * body of postern.conf(5). Both say the same from the same rows. See conf.h.
 */
#include "gateway/base/conf_private.h"

#include <math.h>

enum { INDENT = 2, COLUMNS = 96 };

/* ---- what both need ----------------------------------------------------------------------- */

static bool is_nested(const struct conf_item *i)
{
	return i->kind == CONF_K_GROUP || conf_is_many(i);
}

static void put_quoted(struct buf *b, const char *s)
{
	buf_char(b, '"');
	for (; *s; s++)
		buf_printf(b, "%s%c", *s == '"' || *s == '\\' ? "\\" : "", *s);
	buf_char(b, '"');
}

static void put_list(struct buf *b, const char *const *v)
{
	buf_c(b, "[ ");
	for (size_t k = 0; v && v[k]; k++) {
		buf_c(b, k ? ", " : "");
		put_quoted(b, v[k]);
	}
	buf_c(b, v && v[0] ? " ]" : "]");
}

/* The default as it would be written, or an example of the form when there is none. */
static void put_value(struct buf *b, const struct conf_item *i)
{
	bool given = !(i->flags & CONF_REQUIRED);
	const char *word;

	if (i->example && !(given && (i->text || i->defaults))) {
		buf_c(b, i->example);
		return;
	}
	switch (i->kind) {
	case CONF_K_INT:
		buf_printf(b, "%lld", (long long)(given ? i->def : i->min));
		break;
	case CONF_K_BOOL:
		buf_c(b, i->def ? "true" : "false");
		break;
	case CONF_K_REAL:
		buf_printf(b, i->real_def == floor(i->real_def) ? "%.1f" : "%g", i->real_def);
		break;
	case CONF_K_DURATION:
	case CONF_K_SIZE:
		put_quoted(b, i->text ? i->text : "0");
		break;
	case CONF_K_ENUM:
		word = given ? conf_word_of(i->words, (int)i->def) : NULL;
		put_quoted(b, word ? word : i->words->word);
		break;
	case CONF_K_FLAGS:
		buf_c(b, "[ ");
		for (const struct conf_word *w = i->words; w->word; w++)
			if ((i->def & w->value) == w->value && w->value) {
				buf_c(b, b->p[b->n - 1] == '"' ? ", " : "");
				put_quoted(b, w->word);
			}
		buf_c(b, " ]");
		break;
	case CONF_K_STRS:
		put_list(b, i->defaults);
		break;
	case CONF_K_MAP:
		buf_c(b, "{ }");
		break;
	default:
		put_quoted(b, i->text ? i->text : "…");
	}
}

static void put_words(struct buf *b, const struct conf_word *w)
{
	for (size_t k = 0; w[k].word; k++) {
		buf_c(b, k ? ", " : " ");
		put_quoted(b, w[k].word);
	}
}

static void put_range(struct buf *b, const struct conf_item *i)
{
	if (i->kind == CONF_K_INT)
		buf_printf(b, i->max == INT64_MAX ? ", %lld or more" : ", %lld to %lld",
			(long long)i->min, (long long)i->max);
	else if (i->kind == CONF_K_REAL)
		buf_printf(b, isinf(i->real_max) ? ", %g or more" : ", %g to %g", i->real_min,
			i->real_max);
	else if (i->text_max)
		buf_printf(b, ", \"%s\" to \"%s\"", i->text_min ? i->text_min : "0", i->text_max);
	else if (i->text_min)
		buf_printf(b, ", \"%s\" or more", i->text_min);
}

static void put_variants(struct buf *b, conf_variant_fn *fn)
{
	struct conf_variant v;
	size_t n = 0;

	for (size_t k = 0; fn(k, &v); k++)
		if (v.table)
			buf_printf(b, "%s\"%s\"", n++ ? ", " : "one of ", v.word);
}

/* Type, limits, unit, and whether it must be given: "integer, 1 to 100000 messages". */
static void put_type(struct buf *b, const struct conf_item *i)
{
	static const char *const names[] = { [CONF_K_INT] = "integer",
		[CONF_K_BOOL] = "true or false",
		[CONF_K_REAL] = "number",
		[CONF_K_STR] = "text",
		[CONF_K_PATH] = "path",
		[CONF_K_SECRET] = "secret text",
		[CONF_K_DURATION] = "duration",
		[CONF_K_SIZE] = "size",
		[CONF_K_ENUM] = "one of",
		[CONF_K_FLAGS] = "any of",
		[CONF_K_STRS] = "list of texts",
		[CONF_K_GROUP] = "group",
		[CONF_K_LIST] = "list of groups",
		[CONF_K_NAMED] = "groups under names of your choice",
		[CONF_K_MAP] = "group of keys of your choice",
		[CONF_K_VARIANT] = "",
		[CONF_K_CHECK] = NULL };
	bool text = i->kind == CONF_K_STR || i->kind == CONF_K_SECRET;

	buf_c(b, i->kind == CONF_K_STRS && i->words ? "list of" : names[i->kind]);
	if (i->kind == CONF_K_VARIANT)
		put_variants(b, i->variants);
	if (i->words && i->kind == CONF_K_MAP)
		buf_c(b, ", values");
	if (i->words)
		put_words(b, i->words);
	put_range(b, i);
	if (text && i->min > 1)
		buf_printf(b, ", at least %lld bytes", (long long)i->min);
	if (text && i->max)
		buf_printf(b, ", at most %lld bytes", (long long)i->max);
	if (i->unit)
		buf_printf(b, " %s", i->unit);
	if (i->kind == CONF_K_SECRET)
		buf_printf(b, ", or %s_file = \"path\"", conf_key(i));
	if (i->flags & CONF_UNIQUE)
		buf_c(b, ", used once");
	if (i->flags & CONF_REQUIRED)
		buf_c(b, ", required");
	else if ((text || i->kind == CONF_K_PATH) && !i->text)
		buf_c(b, ", not set by default");
}

/* ---- in the form of a file ---------------------------------------------------------------- */

static void print_table(FILE *to, const struct conf_item *table, unsigned in, unsigned depth);

static void print_indent(FILE *to, unsigned in)
{
	fprintf(to, "%*s", (int)in, "");
}

/* A comment, broken at blanks. */
static void print_comment(FILE *to, unsigned in, const char *text)
{
	size_t room = COLUMNS - in - 2;
	struct str rest = str_of(text);

	while (rest.n) {
		size_t n = rest.n;

		if (n > room)
			for (n = room; n > 1 && rest.p[n] != ' ';)
				n--;
		if (n == 1)
			n = rest.n;
		print_indent(to, in);
		fprintf(to, "# %.*s\n", (int)n, rest.p);
		rest = str_trim(str_skip(rest, n));
	}
}

static void print_words(FILE *to, unsigned in, const struct conf_word *w)
{
	struct buf b = BUF_INIT;

	for (; w && w->word; w++) {
		if (!w->doc)
			continue;
		buf_reset(&b);
		buf_printf(&b, "  \"%s\": %s", w->word, w->doc);
		print_comment(to, in, buf_cstr(&b));
	}
	buf_free(&b);
}

static void print_nested(FILE *to, const struct conf_item *i, unsigned in, unsigned depth)
{
	bool list = i->kind == CONF_K_LIST, rest = i->flags & CONF_REST;

	print_indent(to, in);
	if (rest)
		fprintf(to, "NAME = {\n");
	else if (i->kind == CONF_K_NAMED)
		fprintf(to, "%s = { NAME = {\n", conf_key(i));
	else
		fprintf(to, "%s = %s{%s\n", conf_key(i), list ? "( " : "",
			i->flags & CONF_REQUIRED ? "  # required" : "");
	print_table(to, i->table, in + INDENT, depth + 1);
	print_indent(to, in);
	fprintf(to, "%s\n", list ? "} );" : i->kind == CONF_K_NAMED && !rest ? "}; };" : "};");
}

static void print_row(FILE *to, const struct conf_item *i, unsigned in, unsigned depth)
{
	struct buf b = BUF_INIT;

	if (!conf_has_key(i) && !(i->flags & CONF_REST))
		return;
	print_comment(to, in, i->doc);
	print_words(to, in, i->words);
	if (is_nested(i)) {
		print_nested(to, i, in, depth);
		return;
	}
	buf_printf(&b, "%s = ", i->flags & CONF_REST ? "NAME" : conf_key(i));
	if (i->flags & CONF_REST)
		put_quoted(&b, "…");
	else
		put_value(&b, i);
	buf_c(&b, ";  # ");
	put_type(&b, i);
	print_indent(to, in);
	fprintf(to, "%s\n", buf_cstr(&b));
	buf_free(&b);
}

static void print_rows(FILE *to, const struct conf_item *table, unsigned in, unsigned depth)
{
	for (const struct conf_item *i = table; i->kind != CONF_K_END; i++) {
		if (i->kind == CONF_K_INLINE)
			print_rows(to, i->table, in, depth);
		else
			print_row(to, i, in, depth);
	}
}

static void print_table(FILE *to, const struct conf_item *table, unsigned in, unsigned depth)
{
	struct conf_rows rows = { .n = 0 };
	struct conf_variant v;

	if (depth > CONF_DEPTH_MOST)
		return;
	print_rows(to, table, in, depth);
	conf_rows_add(&rows, table, NULL);
	for (size_t k = 0; k < rows.n; k++) {
		const struct conf_item *i = rows.v[k].item;

		for (size_t n = 0; i->kind == CONF_K_VARIANT && i->variants(n, &v); n++) {
			if (!v.table || v.table->kind == CONF_K_END)
				continue;
			fputc('\n', to);
			print_indent(to, in);
			fprintf(to, "# ---- with %s = \"%s\"%s%s\n", conf_key(i), v.word,
				v.doc ? ": " : "", v.doc ? v.doc : "");
			print_table(to, v.table, in, depth + 1);
		}
	}
}

void conf_print_defaults(FILE *to, const struct conf_item *root)
{
	print_table(to, root, 0, 0);
}

/* ---- as a manual page --------------------------------------------------------------------- */

/* Text for roff: no line begins a request, minus signs and backslashes stay what they are. */
static void roff(FILE *to, const char *s, bool line_start)
{
	for (; *s; s++) {
		if (line_start && (*s == '.' || *s == '\''))
			fputs("\\&", to);
		line_start = *s == '\n';
		if (*s == '\\')
			fputs("\\e", to);
		else if (*s == '-')
			fputs("\\-", to);
		else if (*s == '"')
			fputs("\\(dq", to);
		else if (str_starts(str_of(s), STR("…"))) {
			fputs("...", to);
			s += sizeof "…" - 2;
		} else
			fputc(*s, to);
	}
}

static void man_table(FILE *to, const struct conf_item *table, const char *path, unsigned depth);

static void man_row(FILE *to, const struct conf_item *i, const char *path)
{
	struct buf b = BUF_INIT;

	if (!conf_has_key(i) && !(i->flags & CONF_REST))
		return;
	fputs(".TP\n.B \"", to);
	roff(to, i->flags & CONF_REST ? "NAME" : conf_key(i), true);
	if (!is_nested(i) && !(i->flags & CONF_REST)) {
		fputs(" = ", to);
		put_value(&b, i);
		roff(to, buf_cstr(&b), false);
	}
	fputs("\"\n", to);
	roff(to, i->doc, true);
	buf_reset(&b);
	buf_c(&b, "\n(");
	put_type(&b, i);
	buf_c(&b, ")\n");
	roff(to, buf_cstr(&b), false);
	for (const struct conf_word *w = i->words; w && w->word; w++) {
		if (!w->doc)
			continue;
		fputs(".br\n\\(dq", to);
		roff(to, w->word, false);
		fputs("\\(dq: ", to);
		roff(to, w->doc, false);
		fputc('\n', to);
	}
	if (is_nested(i)) {
		fputs("See ", to);
		roff(to, path, false);
		fputs(" below.\n", to);
	}
	buf_free(&b);
}

static void man_head(FILE *to, const char *path, const char *more, const char *doc)
{
	fputs(".SS \"", to);
	roff(to, path, true);
	roff(to, more, false);
	fputs("\"\n", to);
	if (doc) {
		roff(to, doc, true);
		fputc('\n', to);
	}
}

static void put_path(struct buf *b, const char *path, const struct conf_item *i)
{
	buf_reset(b);
	buf_printf(b, "%s%s%s%s", path, path[0] ? "." : "",
		i->flags & CONF_REST ? "NAME" : conf_key(i),
		i->kind == CONF_K_LIST                               ? "[]"
		: i->kind == CONF_K_NAMED && !(i->flags & CONF_REST) ? ".NAME"
								     : "");
}

/* First the rows of a table, then what each variant adds, then the groups within. */
static void man_table(FILE *to, const struct conf_item *table, const char *path, unsigned depth)
{
	struct conf_rows rows = { .n = 0 };
	struct buf p = BUF_INIT;
	struct conf_variant v;

	if (depth > CONF_DEPTH_MOST)
		return;
	conf_rows_add(&rows, table, NULL);
	for (size_t k = 0; k < rows.n; k++) {
		put_path(&p, path, rows.v[k].item);
		man_row(to, rows.v[k].item, buf_cstr(&p));
	}
	for (size_t k = 0; k < rows.n; k++) {
		const struct conf_item *i = rows.v[k].item;

		for (size_t n = 0; i->kind == CONF_K_VARIANT && i->variants(n, &v); n++) {
			if (!v.table || v.table->kind == CONF_K_END)
				continue;
			buf_reset(&p);
			buf_printf(&p, " with %s = \"%s\"", conf_key(i), v.word);
			man_head(to, path, buf_cstr(&p), v.doc);
			man_table(to, v.table, path, depth + 1);
		}
	}
	for (size_t k = 0; k < rows.n; k++) {
		const struct conf_item *i = rows.v[k].item;

		if (!is_nested(i) || (!conf_has_key(i) && !(i->flags & CONF_REST)))
			continue;
		put_path(&p, path, i);
		man_head(to, buf_cstr(&p), "", i->doc);
		man_table(to, i->table, p.p, depth + 1);
	}
	buf_free(&p);
}

void conf_print_man(FILE *to, const struct conf_item *root)
{
	man_table(to, root, "", 0);
}
