/* A template's content for one message. See template.h. */
#include "plugins/offers/template_private.h"

#include "gateway/model/translit.h"
#include "gateway/model/unicode.h"
#include "plugins/offers/content.h"

#include <stdio.h>

/* ---- finding -------------------------------------------------------------------------------- */

const struct template *template_find(const struct templates *all, struct str name)
{
	for (size_t i = 0; i < all->n; i++)
		if (str_is(name, all->v[i]->name))
			return all->v[i];
	return NULL;
}

size_t templates_count(const struct templates *all)
{
	return all->n;
}

const struct template *templates_at(const struct templates *all, size_t i)
{
	CHECK(i < all->n);
	return all->v[i];
}

const char *template_name(const struct template *t)
{
	return t->name;
}

unsigned template_media(const struct template *t)
{
	return t->media;
}

bool template_uses(const struct template *t, unsigned slot)
{
	return slot < SLOT_MOST && (t->slots[slot / 32] & 1u << slot % 32);
}

void media_texts_list(const struct media_texts *m, const struct text *list_r[MEDIA_TEXTS_MOST])
{
	const struct text *const all[] = { m->subject, m->title, m->text, m->html, m->image,
		m->button_text, m->button_url };
	size_t n = 0;

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i])
			list_r[n++] = all[i];
	list_r[n] = NULL;
}

void template_check_names(const struct template *t, unsigned media, const struct scope *trigger,
	const char *user, const struct conf_where *at, const char *key, struct conf_faults *f)
{
	const struct text *list[MEDIA_TEXTS_MOST];

	for (size_t i = 0; i < t->n; i++)
		for (unsigned m = 0; m < MEDIA_COUNT; m++) {
			if (!(media & MEDIA_BIT(m)))
				continue;
			media_texts_list(&t->v[i].media[m], list);
			for (const struct text **x = list; *x; x++)
				text_names_missing(*x, trigger, user, at, key, f);
		}
}

const struct language_texts *template_language(
	const struct template *t, enum media media, struct str language)
{
	unsigned bit = MEDIA_BIT(media);
	struct str rest = language, base;

	for (size_t i = 0; i < t->n; i++)
		if ((t->v[i].has & bit) && str_ieq(str_of(t->v[i].language), language))
			return &t->v[i];
	if (str_cut(&rest, '-', &base) && base.n < language.n)
		for (size_t i = 0; i < t->n; i++)
			if ((t->v[i].has & bit) && str_ieq(str_of(t->v[i].language), base))
				return &t->v[i];
	if (t->v[t->usual].has & bit)
		return &t->v[t->usual];
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].has & bit)
			return &t->v[i];
	return NULL;
}

/* ---- the rendering -------------------------------------------------------------------------- */

void rendering_init(struct rendering *r)
{
	*r = (struct rendering){ .language = "" };
}

void rendering_free(struct rendering *r)
{
	buf_free(&r->b);
	buf_free(&r->scratch);
}

static void begin(struct rendering *r, enum media media)
{
	buf_reset(&r->b);
	buf_reset(&r->scratch);
	memset(r->at, 0, sizeof r->at);
	memset(r->n, 0, sizeof r->n);
	r->media = media;
	r->language = "";
	r->parts = 0;
	r->coding = TEXT_GSM7;
	r->costly = 0;
	r->printed.n = 0;
	r->printed.cut = false;
	r->fault = RENDER_OK;
	r->why[0] = '\0';
}

struct str rendering_get(const struct rendering *r, enum field f)
{
	return str_n(r->b.p ? r->b.p + r->at[f] : "", r->n[f]);
}

struct str rendering_line(const struct rendering *r, size_t i)
{
	CHECK(i < r->printed.n);
	return str_n(r->b.p + r->printed.v[i].at, r->printed.v[i].n);
}

void rendering_put(const struct rendering *r, struct draft *d)
{
	d->head.media = (uint8_t)r->media;
	for (unsigned f = 0; f < FIELD_MOST; f++)
		if (r->n[f])
			draft_put(d, (enum field)f, rendering_get(r, (enum field)f));
}

static int fail(struct rendering *r, enum render_fault fault, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int fail(struct rendering *r, enum render_fault fault, const char *fmt, ...)
{
	va_list ap;

	r->fault = fault;
	va_start(ap, fmt);
	vsnprintf(r->why, sizeof r->why, fmt, ap);
	va_end(ap);
	return -1;
}

static int put_field(struct rendering *r, enum field f, const struct text *t, struct writer *w)
{
	if (!t)
		return 0;
	r->at[f] = (uint32_t)r->b.n;
	if (text_write(&r->b, t, w)) {
		r->fault = w->fault;
		return -1;
	}
	r->n[f] = (uint32_t)(r->b.n - r->at[f]);
	return 0;
}

static size_t count_chars(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
	return n;
}

static int check_most(struct rendering *r, const struct limits_conf *l, size_t has, unsigned most,
	const char *what)
{
	if (has <= most)
		return 0;
	return fail(r, l->over == OVER_SKIP ? RENDER_TOO_LONG_SKIP : RENDER_TOO_LONG,
		"%zu %s, %u allowed", has, what, most);
}

/* ---- SMS ------------------------------------------------------------------------------------ */

/* Writes the text anew with characters of GSM 7-bit alone. */
static int make_gsm7(struct rendering *r, const struct limits_conf *l)
{
	struct str s = rendering_get(r, FIELD_TEXT), as;
	bool changed = false;
	char name[64];
	int32_t c;

	buf_reset(&r->scratch);
	while ((c = str_utf8_next(&s)) != -1) {
		uint32_t u = c < 0 ? 0xfffd : (uint32_t)c;

		if (gsm7_code_default(u) != GSM7_NONE) {
			buf_utf8(&r->scratch, u);
		} else if (translit_char(u, l->translit, &as)) {
			buf_str(&r->scratch, as);
			changed = true;
		} else {
			struct buf one = BUF_INIT;

			unicode_describe(u, name, sizeof name);
			buf_utf8(&one, u);
			fail(r, RENDER_ALPHABET, "%s (U+%04X %s) is not in the GSM 7-bit alphabet",
				buf_cstr(&one), (unsigned)u, name);
			buf_free(&one);
			return -1;
		}
	}
	if (changed) {
		r->b.n = r->at[FIELD_TEXT];
		buf_str(&r->b, buf_view(&r->scratch));
		r->n[FIELD_TEXT] = (uint32_t)r->scratch.n;
	}
	return 0;
}

static int finish_sms(struct rendering *r, const struct limits_conf *l)
{
	static const struct text_options usual = { 0 };
	struct text_plan plan;
	struct err e = { 0 };
	char name[96];

	if (l->sms_alphabet == ALPHABET_GSM7_OR_FAIL && make_gsm7(r, l))
		return -1;
	if (!str_trim(rendering_get(r, FIELD_TEXT)).n)
		return fail(r, RENDER_CONTENT, "the text is empty");
	if (text_plan(&plan, rendering_get(r, FIELD_TEXT), &usual, &e))
		return fail(r, l->over == OVER_SKIP ? RENDER_TOO_LONG_SKIP : RENDER_TOO_LONG, "%s",
			e.text);
	r->parts = plan.parts;
	r->coding = plan.coding;
	r->costly = plan.costly;
	if (!l->sms_parts || plan.parts <= l->sms_parts)
		return 0;
	text_costly_name(&plan, name, sizeof name);
	return fail(r, l->over == OVER_SKIP ? RENDER_TOO_LONG_SKIP : RENDER_TOO_LONG,
		"%u parts, %u allowed%s%s%s", plan.parts, l->sms_parts, name[0] ? ": " : "", name,
		name[0] ? " makes it UCS-2" : "");
}

/* ---- the other media ------------------------------------------------------------------------ */

/* {"text":"…","url":"…"} */
static int put_button(struct rendering *r, const struct media_texts *m, struct writer *w)
{
	struct buf b = BUF_INIT;
	int rc = -1;

	if (!m->button_text || !m->button_url)
		return 0;
	if (text_write(&b, m->button_text, w))
		goto done;
	r->at[FIELD_BUTTON] = (uint32_t)r->b.n;
	buf_c(&r->b, "{\"text\":");
	buf_json(&r->b, buf_view(&b));
	buf_reset(&b);
	if (text_write(&b, m->button_url, w))
		goto done;
	buf_c(&r->b, ",\"url\":");
	buf_json(&r->b, buf_view(&b));
	buf_char(&r->b, '}');
	r->n[FIELD_BUTTON] = (uint32_t)(r->b.n - r->at[FIELD_BUTTON]);
	rc = 0;
done:
	if (rc)
		r->fault = w->fault;
	buf_free(&b);
	return rc;
}

/* The values of a moderated text, for networks that take a template's name and its values. */
struct params {
	struct buf json;
	const char *seen[16];
	size_t n;
};

static void see_value(void *ctx, const struct segment *g, struct str written)
{
	struct params *p = ctx;

	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->seen[i], g->path) == 0)
			return;
	if (p->n == sizeof p->seen / sizeof *p->seen)
		return;
	p->seen[p->n++] = g->path;
	buf_char(&p->json, p->json.n ? ',' : '{');
	buf_json(&p->json, str_of(g->path));
	buf_char(&p->json, ':');
	buf_json(&p->json, written);
}

static int put_social(struct rendering *r, const struct media_texts *m, struct writer *w)
{
	struct params p = { .n = 0 };
	int rc;

	w->seen = see_value;
	w->ctx = &p;
	rc = put_field(r, FIELD_TEXT, m->text, w);
	if (rc == 0 && m->moderated_as) {
		r->at[FIELD_TEMPLATE] = (uint32_t)r->b.n;
		buf_c(&r->b, m->moderated_as);
		r->n[FIELD_TEMPLATE] = (uint32_t)(r->b.n - r->at[FIELD_TEMPLATE]);
	}
	if (rc == 0 && p.n) {
		buf_char(&p.json, '}');
		r->at[FIELD_PARAMS] = (uint32_t)r->b.n;
		buf_str(&r->b, buf_view(&p.json));
		r->n[FIELD_PARAMS] = (uint32_t)p.json.n;
	}
	buf_free(&p.json);
	w->seen = NULL;
	if (rc == 0 && m->moderation && m->moderation->pattern &&
		!content_approved(str_of(m->moderation->pattern), rendering_get(r, FIELD_TEXT)))
		return fail(r, RENDER_UNMODERATED, "the text is not as approved under %s",
			m->moderated_as);
	return rc;
}

static int finish(struct rendering *r, const struct limits_conf *l)
{
	struct str text = rendering_get(r, FIELD_TEXT);

	switch (r->media) {
	case MEDIA_SMS:
		return finish_sms(r, l);
	case MEDIA_EMAIL:
		if (check_most(r, l, count_chars(rendering_get(r, FIELD_SUBJECT)), l->subject_chars,
			    "characters in the subject"))
			return -1;
		return check_most(r, l, text.n + rendering_get(r, FIELD_HTML).n, l->email_bytes,
			"bytes of html and text");
	case MEDIA_PUSH:
		return check_most(r, l, text.n + rendering_get(r, FIELD_TITLE).n, l->push_bytes,
			"bytes of title and text");
	case MEDIA_VIBER:
		if (content_link(text) >= 0)
			return fail(r, RENDER_CONTENT,
				"a value made a link of the text: viber has at most one, the "
				"button");
		return check_most(r, l, count_chars(text), l->viber_chars, "characters");
	case MEDIA_SOCIAL:
		return check_most(r, l, count_chars(text), l->social_chars, "characters");
	default:
		return 0;
	}
}

static void print(struct rendering *r, const struct printer *p)
{
	struct str text = rendering_get(r, FIELD_TEXT);

	/* The lines stand behind the text, which may move while they are written. */
	buf_reset(&r->scratch);
	buf_str(&r->scratch, text);
	printer_lines(p, buf_view(&r->scratch), &r->b, &r->printed);
}

int template_render_in(const struct template *t, const struct language_texts *l, enum media media,
	const struct reader *reader, struct rendering *r)
{
	const struct media_texts *m = &l->media[media];
	struct writer w = { .reader = reader,
		.policy = (enum missing_policy)t->conf->missing,
		.scratch = &r->scratch,
		.why = r->why,
		.why_n = sizeof r->why };

	begin(r, media);
	r->language = l->language;
	if (media == MEDIA_SOCIAL)
		return put_social(r, m, &w) || finish(r, &t->conf->limits) ? -1 : 0;
	if (put_field(r, FIELD_SUBJECT, m->subject, &w) ||
		put_field(r, FIELD_TITLE, m->title, &w) || put_field(r, FIELD_HTML, m->html, &w) ||
		put_field(r, FIELD_IMAGE, m->image, &w) || put_button(r, m, &w) ||
		put_field(r, FIELD_TEXT, m->text, &w) || finish(r, &t->conf->limits))
		return -1;
	if (media == MEDIA_RECEIPT || media == MEDIA_CASHIER)
		print(r, t->printer);
	return 0;
}

int template_render(const struct template *t, enum media media, const struct reader *reader,
	struct rendering *r)
{
	static const char *const states[] = { "approved", "a draft", "submitted", "rejected",
		"revoked" };
	const struct language_texts *l = template_language(t, media, reader->language);
	const struct moderation_conf *m;

	if (!l) {
		begin(r, media);
		return fail(r, RENDER_NO_BODY, "the template %s has nothing for %s", t->name,
			media_word(media));
	}
	m = l->media[media].moderation;
	if (m && m->state != MODERATION_APPROVED) {
		begin(r, media);
		return fail(r, RENDER_UNMODERATED, "%s is %s", m->id, states[m->state]);
	}
	return template_render_in(t, l, media, reader, r);
}

int text_render(const struct text *t, enum media media, enum missing_policy policy,
	const struct printer *printer, const struct reader *reader, struct rendering *r)
{
	struct writer w = { .reader = reader,
		.policy = policy,
		.scratch = &r->scratch,
		.why = r->why,
		.why_n = sizeof r->why };

	begin(r, media);
	r->language = t->tongue.language;
	if (put_field(r, FIELD_TEXT, t, &w))
		return -1;
	if (media == MEDIA_RECEIPT || media == MEDIA_CASHIER)
		print(r, printer ? printer : printer_usual());
	return 0;
}
