/* An offer drawn as SVG. See picture.h.
 *
 * Boxes stand below each other in one column, as high as their wrapped lines; what disarms has a
 * column beside the steps. Widths are reckoned, not measured: the letters are of one width.
 */
#include "plugins/offers/picture.h"
#include "plugins/offers/escape.h"

enum {
	WIDTH = 900,
	LEFT = 30,
	BOX = 520, /* wide */
	SIDE = 640,
	SIDE_BOX = 230,
	PAD = 12,
	LINE = 19,
	LETTER = 8, /* wide, at 13px */
	GAP = 46,   /* between boxes, with the wait written into it */
	GAP_FIRST = 78,
	RAIL = 594, /* the line beside the steps */
};

/* A box that is being filled: lines go to `text`, and it is put once its height is known. */
struct box {
	struct buf text;
	int x, y, width, lines;
};

static const char style[] =
	"<style>\n"
	"text { font: 13px ui-monospace, \"DejaVu Sans Mono\", Menlo, Consolas, monospace; fill: "
	"#1f2328 }\n"
	".name { font-weight: bold } .note { fill: #59636e } .red { fill: #b42318 }\n"
	".page { fill: #ffffff } .when { fill: #fff8c5; stroke: #9a6700 }\n"
	".send { fill: #ddf4ff; stroke: #0969da } .else { fill: #ffebe9; stroke: #b42318 }\n"
	".way, .back { fill: none; stroke-width: 1.6 }\n"
	".way { stroke: #1f2328; marker-end: url(#a) } .back { stroke: #b42318 } .to { marker-end: "
	"url(#b) }\n"
	".ahead { fill: #1f2328 } .bhead { fill: #b42318 }\n"
	"@media (prefers-color-scheme: dark) {\n"
	"text { fill: #e6edf3 } .note { fill: #9198a1 } .red { fill: #ff7b72 } .page { fill: "
	"#0d1117 }\n"
	".when { fill: #341a00; stroke: #d29922 } .send { fill: #0c2d6b; stroke: #58a6ff }\n"
	".else { fill: #490202; stroke: #ff7b72 } .way { stroke: #e6edf3 } .ahead { fill: #e6edf3 "
	"}\n"
	".back { stroke: #ff7b72 } .bhead { fill: #ff7b72 }\n"
	"}\n"
	"</style>\n"
	"<defs><marker id=\"a\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" "
	"markerHeight=\"7\" orient=\"auto\"><path class=\"ahead\" d=\"M0 0 10 5 0 10z\"/></marker>"
	"<marker id=\"b\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" "
	"markerHeight=\"7\" orient=\"auto\"><path class=\"bhead\" d=\"M0 0 10 5 0 10z\"/></marker>"
	"</defs>\n";

/* ---- lines ---- */
static void put_text(struct buf *b, int x, int y, const char *class, struct str s)
{
	buf_printf(b, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, class);
	escape_put(b, SINK_HTML, s);
	buf_c(b, "</text>\n");
}

/* How many octets of s make a line of so many letters: to the last blank that fits, or as many
 * letters. */
static size_t line_end(struct str s, unsigned letters)
{
	struct str rest = s;
	size_t blank = 0;
	unsigned n = 0;

	while (rest.n && n < letters) {
		if (*rest.p == ' ')
			blank = s.n - rest.n;
		str_utf8_next(&rest);
		n++;
	}
	if (!rest.n || *rest.p == ' ' || !blank)
		return s.n - rest.n;
	return blank;
}

static void say(struct box *box, const char *class, struct str s)
{
	unsigned letters = (unsigned)(box->width - 2 * PAD) / LETTER;
	bool first = true;

	for (s = str_trim(s); s.n; first = false) {
		int indent = first ? 0 : 2 * LETTER;
		size_t n = line_end(s, letters - (first ? 0 : 2));

		put_text(&box->text, box->x + PAD + indent, box->y + PAD + LINE * ++box->lines - 5,
			class, str_n(s.p, n));
		s = str_trim(str_skip(s, n));
	}
}

__attribute__((format(printf, 3, 4))) static void sayf(
	struct box *box, const char *class, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	say(box, class, buf_view(&b));
	buf_free(&b);
}

static void say_list(struct box *box, const char *class, const char *what, const char *const *v,
	size_t n, const char *between)
{
	struct buf b = BUF_INIT;

	if (n == 0)
		return;
	buf_c(&b, what);
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%s", i ? between : "", v[i]);
	say(box, class, buf_view(&b));
	buf_free(&b);
}

static void say_pair(struct box *box, const char *what, const char *value)
{
	if (value[0])
		sayf(box, "text", "%s%s", what, value);
}

static struct box box_begin(int x, int y, int width)
{
	return (struct box){ .x = x, .y = y, .width = width };
}

/* Puts it; the y below it. */
static int box_end(struct box *box, const char *class, struct buf *svg)
{
	int height = 2 * PAD + LINE * box->lines - 4;

	buf_printf(svg,
		"<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n",
		class, box->x, box->y, box->width, height);
	buf_str(svg, buf_view(&box->text));
	buf_free(&box->text);
	return box->y + height;
}

/* ---- what an offer is made of ---- */
static void say_via(struct box *box, const char *const *via, size_t n, const char *fall_back_after)
{
	say_list(box, "text", "via ", via, n, fall_back_after[0] ? " > " : ", else ");
	if (fall_back_after[0] && n > 1)
		sayf(box, "note", "the next when not delivered after %s", fall_back_after);
}

static int put_when(const struct offer_conf *o, int y, struct buf *svg)
{
	struct box box = box_begin(LEFT, y, BOX);

	say_list(&box, "name", "when ", o->when, o->when_n, " or ");
	say_pair(&box, "only if ", o->only_if);
	if (o->key[0])
		sayf(&box, "note", "a chain of its own for each %s", o->key);
	if (o->again == AGAIN_RESTART)
		say(&box, "note", STR("once more: begins again"));
	else if (o->again == AGAIN_PARALLEL)
		say(&box, "note", STR("once more: another chain beside it"));
	return box_end(&box, "when", svg);
}

static void say_action(struct box *box, const struct action_conf *a)
{
	switch ((enum do_what)a->do_what) {
	case DO_RECEIPT:
		sayf(box, "name", "print \"%s\"", a->text);
		break;
	case DO_CASHIER:
		sayf(box, "name", "tell the cashier \"%s\"", a->text);
		break;
	case DO_SEND:
		sayf(box, "name", "send %s", a->template);
		say_via(box, a->via, a->via_n, a->fall_back_after);
		break;
	case DO_STATUS:
		sayf(box, "name", "assign %s%s%s", a->system, a->system[0] ? " = " : "", a->value);
		break;
	}
	say_pair(box, "only if ", a->only_if);
	if (a->count[0])
		sayf(box, "note", "raises the counter %s", a->count);
}

static int put_actions(const struct offer_conf *o, int y, struct buf *svg)
{
	for (size_t i = 0; i < o->actions_n; i++) {
		struct box box = box_begin(LEFT, y + GAP / 2, BOX);

		buf_printf(svg, "<path class=\"way\" d=\"M%d %dv%d\"/>\n", LEFT + BOX / 2, y,
			GAP / 2 - 1);
		say_action(&box, &o->actions[i]);
		y = box_end(&box, "send", svg);
	}
	return y;
}

static void put_wait(const struct step_conf *s, int x, int y, struct buf *svg)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "%s%s", s->after[0] && s->after[0] != '0' ? "after " : "",
		s->after[0] && s->after[0] != '0' ? s->after : "at once");
	for (size_t i = 0; i < s->windows_n; i++)
		buf_printf(&b, "%s%s", i ? " or " : ", at ", s->windows[i]);
	put_text(svg, x, y, "note", buf_view(&b));
	buf_free(&b);
}

/* Sets *first_r to the y at which the first step's wait begins. */
static int put_steps(const struct offer_conf *o, int y, int *first_r, struct buf *svg)
{
	int middle = LEFT + BOX / 2;

	*first_r = y;
	for (size_t i = 0; i < o->steps_n; i++) {
		const struct step_conf *s = &o->steps[i];
		int gap = i ? GAP : GAP_FIRST;
		struct box box = box_begin(LEFT, y + gap, BOX);

		buf_printf(svg, "<path class=\"way\" d=\"M%d %dv%d\"/>\n", middle, y, gap - 1);
		put_wait(s, middle + 12, y + gap - GAP / 2 + 5, svg);
		if (s->send[0]) {
			sayf(&box, "name", "send %s", s->send);
			say_via(&box, s->via, s->via_n, s->fall_back_after);
		}
		if (s->status[0])
			sayf(&box, s->send[0] ? "text" : "name", "assign %s%s%s", s->status_system,
				s->status_system[0] ? " = " : "", s->status);
		say_pair(&box, "only if ", s->only_if);
		y = box_end(&box, "send", svg);
	}
	return y;
}

/* What disarms, between the y of the first wait and that of the end. */
static int put_unless(const struct offer_conf *o, int first, int end, struct buf *svg)
{
	static const char *const leads[] = {
		[DISARM_STOP] = "and the chain ends",
		[DISARM_RESTART] = "and it begins again",
		[DISARM_RESTART_STEP] = "and the wait begins again",
		[DISARM_IGNORE] = "and nothing changes",
	};
	struct box box = box_begin(SIDE, first + GAP_FIRST, SIDE_BOX);
	int middle = LEFT + BOX / 2, half, bottom;

	say_list(&box, "name", "unless ", o->unless, o->unless_n, " or ");
	say_pair(&box, "if ", o->unless_if);
	if (o->same_receipt_only)
		say(&box, "note", STR("of the same receipt only"));
	say(&box, "red", str_of(leads[o->then]));
	if (o->then == DISARM_RESTART && o->restarts_at_most)
		sayf(&box, "note", "%d times at most", o->restarts_at_most);
	half = box.y + (2 * PAD + LINE * box.lines) / 2;
	bottom = box_end(&box, "else", svg);
	if (o->then == DISARM_IGNORE)
		return bottom > end ? bottom : end;
	/* the stretch in which it counts */
	buf_printf(svg, "<path class=\"back\" d=\"M%d %dV%dM%d %dH%d\"/>\n", RAIL, first + 8,
		end - 4, RAIL, half, SIDE);
	if (o->then == DISARM_RESTART)
		buf_printf(svg, "<path class=\"back to\" d=\"M%d %dV%dH%d\"/>\n",
			SIDE + SIDE_BOX / 2, first + GAP_FIRST, first + 18, middle + 3);
	else if (o->then == DISARM_RESTART_STEP)
		buf_printf(svg, "<path class=\"back to\" d=\"M%d %dV%dH%d\"/>\n",
			SIDE + SIDE_BOX / 2, first + GAP_FIRST, first + GAP_FIRST - GAP / 2,
			LEFT + BOX - 20);
	else
		buf_printf(svg,
			"<path class=\"back to\" d=\"M%d %dv24\"/><circle class=\"else\" cx=\"%d\" "
			"cy=\"%d\" r=\"6\"/>\n",
			SIDE + SIDE_BOX / 2, bottom, SIDE + SIDE_BOX / 2, bottom + 31);
	bottom += o->then == DISARM_STOP ? 37 : 0;
	return bottom > end ? bottom : end;
}

static int put_notes(const struct offer_conf *o, int y, struct buf *svg)
{
	struct box box = box_begin(LEFT - PAD, y, WIDTH - LEFT);
	const struct offer_limits_conf *l = &o->limits;

	if (o->active.from[0] || o->active.to[0])
		sayf(&box, "note", "active %s%s%s%s", o->active.from[0] ? "from " : "",
			o->active.from, o->active.to[0] ? " to " : "", o->active.to);
	if (l->per_member[0])
		sayf(&box, "note", "at most %s to a member", l->per_member);
	if (l->per_account[0])
		sayf(&box, "note", "at most %s to an account", l->per_account);
	if (l->per_store[0])
		sayf(&box, "note", "at most %s of a store", l->per_store);
	if (l->total[0])
		sayf(&box, "note", "at most %s in all", l->total);
	if (o->next_if != NEXT_ALWAYS && o->steps_n > 1)
		sayf(&box, "note", "the next step only when the one before was %s",
			o->next_if == NEXT_SENT ? "sent" : "delivered");
	buf_str(svg, buf_view(&box.text));
	buf_free(&box.text);
	return y + PAD + LINE * box.lines;
}

void offer_picture(const struct offer_conf *o, struct buf *svg)
{
	static const char *const kinds[] = { "marketing", "service", "legal" };
	struct buf body = BUF_INIT, head = BUF_INIT;
	int y, first;

	buf_printf(
		&head, "%s (%s)%s%s", o->name, kinds[o->kind], o->title[0] ? ": " : "", o->title);
	y = put_when(o, 50, &body);
	y = put_actions(o, y, &body);
	if (o->steps_n) {
		y = put_steps(o, y, &first, &body);
		if (o->unless_n)
			y = put_unless(o, first, y, &body);
	}
	y = put_notes(o, y + 8, &body) + 12;
	buf_printf(svg,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
		"height=\"%d\" role=\"img\" aria-labelledby=\"t\">\n<title id=\"t\">",
		WIDTH, y, WIDTH, y);
	escape_put(svg, SINK_HTML, buf_view(&head));
	buf_printf(svg, "</title>\n%s<rect class=\"page\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n",
		style, WIDTH, y);
	put_text(svg, LEFT, 30, "name", buf_view(&head));
	buf_str(svg, buf_view(&body));
	buf_c(svg, "</svg>\n");
	buf_free(&head);
	buf_free(&body);
}
