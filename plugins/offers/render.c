/* A template shown to its author. See render.h. */
#include "plugins/offers/render.h"

#include "gateway/model/unicode.h"
#include "plugins/offers/template_private.h"
#include "plugins/offers/template_sample.h"

static int fail_name(const struct templates *all, struct str name, struct err *e)
{
	const char *near = NULL;
	unsigned least = name.n < 9 ? (unsigned)name.n / 3 : 3;

	for (size_t i = 0; i < all->n; i++) {
		unsigned d = str_distance(name, str_of(all->v[i]->name), least);

		if (d <= least && (!near || d < least)) {
			near = all->v[i]->name;
			least = d;
		}
	}
	return err_set(e, ERR_INPUT, "no template \"%.*s\"%s%s%s", STR_ARG(name),
		near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* Neither the language nor the channel that was asked for: which there are. */
static int fail_nothing(const struct template *t, const struct render_request *q, struct err *e)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < t->n; i++)
		for (unsigned m = 0; m < MEDIA_COUNT; m++)
			if (t->v[i].has & MEDIA_BIT(m))
				buf_printf(&b, "%s%s %s", b.n ? ", " : "",
					media_word((enum media)m), t->v[i].language);
	err_set(e, ERR_INPUT, "\"%.*s\" says nothing of that; there is %s", STR_ARG(q->name),
		buf_cstr(&b));
	buf_free(&b);
	return -1;
}

static int read_values(struct sample *s, const struct render_request *q, struct err *e)
{
	for (size_t i = 0; i < q->values_n; i++) {
		struct str value = q->values[i], name;

		if (str_index(value, '=') <= 0 || !str_cut(&value, '=', &name))
			return err_set(
				e, ERR_INPUT, "\"%.*s\" is not NAME=VALUE", STR_ARG(q->values[i]));
		if (sample_set(s, str_trim(name), value, e))
			return -1;
	}
	return 0;
}

/* "    text:    …", the lines behind the first as far in. */
static void put_block(struct buf *out, const char *label, struct str text)
{
	struct str line;
	bool first = true;

	text = str_trim(text);
	while (text.n && str_cut(&text, '\n', &line)) {
		if (first)
			buf_printf(out, "    %-9s", label);
		else if (line.n)
			buf_printf(out, "%13s", "");
		buf_str(out, line);
		buf_char(out, '\n');
		first = false;
	}
}

static void put_sms(struct buf *out, const struct rendering *r)
{
	size_t chars = 0;
	struct str s = rendering_get(r, FIELD_TEXT);
	char name[64];

	while (str_utf8_next(&s) != -1)
		chars++;
	buf_printf(out, ": %u %s, %s, %zu characters", r->parts, r->parts == 1 ? "part" : "parts",
		r->coding == TEXT_GSM7 ? "GSM 7-bit" : "UCS-2", chars);
	if (!r->costly)
		return;
	unicode_describe(r->costly, name, sizeof name);
	buf_c(out, " because of ");
	buf_utf8(out, r->costly);
	buf_printf(out, " (U+%04X %s)", (unsigned)r->costly, name);
}

static void put_content(struct buf *out, const struct rendering *r)
{
	static const struct {
		enum field f;
		const char *label;
	} fields[] = { { FIELD_SUBJECT, "subject" }, { FIELD_TITLE, "title" },
		{ FIELD_TEXT, "text" }, { FIELD_HTML, "html" }, { FIELD_IMAGE, "image" },
		{ FIELD_BUTTON, "button" }, { FIELD_TEMPLATE, "template" },
		{ FIELD_PARAMS, "params" } };

	if (r->media == MEDIA_RECEIPT || r->media == MEDIA_CASHIER) {
		for (size_t i = 0; i < r->printed.n; i++) {
			buf_c(out, "    |");
			buf_str(out, rendering_line(r, i));
			buf_c(out, "|\n");
		}
		if (r->printed.cut)
			buf_c(out, "    (more lines than the printer takes)\n");
		return;
	}
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		put_block(out, fields[i].label, rendering_get(r, fields[i].f));
}

static void put_one(const struct template *t, const struct language_texts *l, enum media m,
	const struct reader *reader, struct rendering *r, struct buf *out)
{
	const struct moderation_conf *mod = l->media[m].moderation;
	int rc = template_render_in(t, l, m, reader, r);

	buf_printf(out, "%s %s", media_word(m), l->language);
	if (rc) {
		buf_printf(out, ": not sent: %s\n", r->why);
		return;
	}
	if (m == MEDIA_SMS)
		put_sms(out, r);
	if (mod && mod->state != MODERATION_APPROVED)
		buf_printf(out, ": not sent: %s is not approved", mod->id);
	buf_char(out, '\n');
	put_content(out, r);
}

int offers_render(
	const struct templates *all, const struct render_request *q, struct buf *out, struct err *e)
{
	const struct template *t = template_find(all, q->name);
	struct arena *a;
	struct sample s;
	struct rendering r;
	struct reader reader = { .values = &s.source, .zone = q->zone };
	int rc;

	if (!t)
		return fail_name(all, q->name, e);
	a = arena_new();
	sample_init(&s, t->world, a, q->make_up);
	rc = read_values(&s, q, e);
	rendering_init(&r);
	for (unsigned m = 0; rc == 0 && m < MEDIA_COUNT; m++)
		for (size_t i = 0; i < t->n; i++) {
			bool wanted = !q->media || (q->media & MEDIA_BIT(m));

			if (wanted && (t->v[i].has & MEDIA_BIT(m)) &&
				(!q->language.n || str_ieq(q->language, str_of(t->v[i].language))))
				put_one(t, &t->v[i], (enum media)m, &reader, &r, out);
		}
	if (rc == 0 && !out->n)
		rc = fail_nothing(t, q, e);
	rendering_free(&r);
	arena_free(&a);
	return rc;
}
