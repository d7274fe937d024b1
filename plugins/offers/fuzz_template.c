/* MV-8: any template, any values. Nothing crashes, and no value leaves its sink: with hostile
 * values a rendering has the same tags, attributes, lines and quotes as with a harmless one.
 *
 * Input: a byte for the kind of text, a byte for the language, then the template, and behind a byte
 * 0x01 the value.
 */
#include "plugins/offers/template_fixture.h"
#include "plugins/offers/template_html.h"
#include "plugins/offers/template_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* libconfig 1.5 does not free the texts that it holds when it meets a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig";
}

/* What a reader of the output would see as its structure. */
struct shape {
	size_t tags, attrs, controls, blanks_quotes;
	enum html_state state;
};

static struct shape shape_of(struct str s, bool html)
{
	struct html_place h = { 0 };
	struct shape r = { 0 };

	for (size_t i = 0; i < s.n; i++) {
		enum html_state before = h.state;
		uint8_t c = (uint8_t)s.p[i];

		html_feed(&h, str_n(s.p + i, 1));
		r.tags += h.state == HTML_TAG_NAME && before != HTML_TAG_NAME;
		r.attrs += h.state == HTML_ATTR_NAME && before != HTML_ATTR_NAME;
		r.controls += c < ' ' || c == 0x7f;
		r.blanks_quotes += strchr(" <>\"'", c) != NULL;
	}
	if (!html)
		r.tags = r.attrs = 0;
	else
		r.state = h.state;
	return r;
}

static void put_amounts(struct fix *x, uint64_t bits)
{
	x->s.v[x->s.n].slot = METAVAR_SLOT(METAVAR_AMOUNT);
	x->s.v[x->s.n++].v = value_decimal((int64_t)bits);
	x->s.v[x->s.n].slot = METAVAR_SLOT(METAVAR_DAYS);
	x->s.v[x->s.n++].v = value_int((int64_t)(bits >> 3));
	x->s.v[x->s.n].slot = METAVAR_SLOT(METAVAR_DATE);
	x->s.v[x->s.n++].v = value_date((int64_t)(bits >> 40));
	x->s.v[x->s.n].slot = FIX_AT;
	x->s.v[x->s.n++].v = value_datetime((int64_t)bits);
}

/* The texts of the programme are `value`; numbers are the same each time. */
static int render(
	struct fix *x, const struct text *t, struct str value, uint64_t bits, struct buf *out)
{
	struct value list[3] = { value_text(value), value_text(STR("300 bonus")),
		value_text(STR("x")) };
	char why[200] = "";
	struct writer w = { .reader = &x->reader,
		.policy = MISSING_FALLBACK,
		.scratch = &x->r.scratch,
		.why = why,
		.why_n = sizeof why };

	fix_clear(x);
	for (unsigned slot = FIX_FIRST; slot <= FIX_ID; slot++)
		fix_raw(x, slot, value);
	fix_raw(x, METAVAR_SLOT(METAVAR_CURRENCY), value);
	fix_raw(x, METAVAR_SLOT(METAVAR_UNSUBSCRIBE), value);
	fix_raw(x, METAVAR_SLOT(METAVAR_PROGRAM_NAME), STR("<b>Shop</b>"));
	put_amounts(x, bits);
	x->s.v[x->s.n].slot = METAVAR_SLOT(METAVAR_ITEMS);
	x->s.v[x->s.n++].v =
		(struct value){ .type = VALUE_LIST, .of = VALUE_TEXT, .list = { list, 3 } };
	x->s.v[x->s.n].slot = METAVAR_SLOT(METAVAR_BALANCES);
	x->s.v[x->s.n++].v =
		(struct value){ .type = VALUE_LIST, .of = VALUE_TEXT, .list = { list + 1, 2 } };
	return text_write(out, t, &w);
}

static void check_text(struct fix *x, const struct text *t, enum sink sink, struct str value)
{
	struct buf good = BUF_INIT, bad = BUF_INIT, hostile = BUF_INIT;
	uint64_t bits = str_hash(value);
	bool html = sink == SINK_HTML;

	/* Both begin like an address, so that whole links pass as well, and neither is blank. */
	buf_c(&hostile, "https://e.com/x");
	buf_str(&hostile, value);
	if (render(x, t, STR("https://e.com/x"), bits, &good) == 0 &&
		render(x, t, buf_view(&hostile), bits, &bad) == 0) {
		struct shape a = shape_of(buf_view(&good), html);
		struct shape b = shape_of(buf_view(&bad), html);

		CHECK(a.tags == b.tags && a.attrs == b.attrs && a.controls == b.controls);
		CHECK(a.state == b.state);
		CHECK(sink != SINK_LINK || a.blanks_quotes == b.blanks_quotes);
		CHECK(str_utf8_valid(buf_view(&bad)));
	}
	buf_free(&good);
	buf_free(&bad);
	buf_free(&hostile);
}

/* The same bytes as a printer has them, and the page as text. */
static void check_rest(struct fix *x, struct str source, struct str value)
{
	const struct printer *p = printer_make(1 + (unsigned)source.n % 60, 20, "CP866", x->a);
	struct buf b = BUF_INIT;
	struct printed lines;

	printer_lines(p, value, &b, &lines);
	for (size_t i = 0; i < b.n; i++)
		CHECK((uint8_t)b.p[i] >= ' ' && b.p[i] != 0x7f);
	for (size_t i = 0; i < lines.n; i++)
		CHECK(lines.v[i].at + lines.v[i].n <= b.n);
	buf_reset(&b);
	html_to_text(&b, source, true);
	html_to_text(&b, value, false);
	buf_reset(&b);
	for (unsigned s = 0; s < SINK_COUNT; s++)
		escape_put(&b, (enum sink)s, value);
	CHECK(str_utf8_valid(buf_view(&b)));
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum sink sinks[] = { SINK_TEXT, SINK_SMS, SINK_PRINT, SINK_HEADER, SINK_HTML,
		SINK_LINK };
	static const char *const languages[] = { "en", "ru", "lv", "lt", "ar", "ja", "cs",
		"pt-BR" };
	struct conf_where at = { "fuzz.conf", 1, "t", NULL, 0 };
	struct str all, source;
	struct text *t;
	enum sink sink;
	struct fix x;

	if (size < 2 || size > 4096)
		return 0;
	sink = sinks[data[0] % (sizeof sinks / sizeof *sinks)];
	all = str_n(data + 2, size - 2);
	if (!str_cut(&all, '\x01', &source))
		source = STR_NONE;
	fix_open(&x, "");
	t = text_parse(source, (struct text_kind){ .sink = sink }, languages[data[1] % 8], &x.world,
		(struct text_place){ &at, "text", NULL, &x.f }, x.a);
	CHECK((t == NULL) == (x.f.errors > 0));
	if (t)
		check_text(&x, t, sink, all);
	check_rest(&x, source, all);
	fix_close(&x);
	return 0;
}
