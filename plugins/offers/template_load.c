/* Templates compiled from their configuration: every text of every medium and language, held
 * against the matrix of contents. See template.h.
 */
#include "plugins/offers/template_private.h"

#include "plugins/offers/content.h"
#include "plugins/offers/template_html.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE_MOST = 1024 * 1024 };

struct load {
	const struct template_world *world;
	const struct texts_conf *all;
	struct arena *a;
	struct conf_faults *f;
};

/* ---- files ---------------------------------------------------------------------------------- */

static const char *read_page(const char *path, struct buf *b)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const char *why = NULL;
	struct stat st;
	ssize_t got;

	if (fd < 0)
		return strerror(errno);
	if (fstat(fd, &st) != 0)
		why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		why = "not a file";
	while (!why) {
		buf_reserve(b, 32 * 1024);
		got = read(fd, b->p + b->n, 32 * 1024);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			why = strerror(errno);
		if (got <= 0)
			break;
		b->n += (size_t)got;
		if (b->n > PAGE_MOST)
			why = "longer than 1 MiB";
	}
	close(fd);
	return why;
}

/* The page of "file:NAME", beside the file that names it; or the html itself, *file_r NULL. False
 * after a fault. */
static bool find_page(
	struct load *l, const struct body_conf *c, struct str *page_r, const char **file_r)
{
	struct str html = str_of(c->html), name;
	const char *dir = l->world->dir ? l->world->dir : "", *why;
	const char *slash = strrchr(c->where.file, '/');
	struct buf b = BUF_INIT;

	*page_r = html;
	*file_r = NULL;
	if (!str_starts(html, STR("file:")))
		return true;
	name = str_skip(html, 5);
	if (slash)
		dir = arena_cstr(l->a, str_n(c->where.file, (size_t)(slash - c->where.file)));
	*file_r = name.n && name.p[0] == '/'
			  ? arena_cstr(l->a, name)
			  : arena_printf(l->a, "%s%s%.*s", dir, *dir ? "/" : "", STR_ARG(name));
	why = read_page(*file_r, &b);
	if (!why && str_index(buf_view(&b), '\0') >= 0)
		why = "not a text file: it holds a NUL byte";
	if (why)
		conf_fault_at(l->f, &c->where, "html", "cannot read %s: %s", *file_r, why);
	else
		*page_r = arena_str(l->a, buf_view(&b));
	buf_free(&b);
	return !why;
}

/* ---- single texts --------------------------------------------------------------------------- */

/* NULL when there is none, or after faults. */
static const struct text *parse(struct load *l, const char *language, const struct conf_where *at,
	const char *key, const char *source, enum sink sink)
{
	if (!source)
		return NULL;
	return text_parse(str_of(source), (struct text_kind){ .sink = sink }, language, l->world,
		(struct text_place){ at, key, NULL, l->f }, l->a);
}

/* What stands in one line cannot have line ends of the author's, either. */
static const struct text *parse_line(struct load *l, const char *language,
	const struct conf_where *at, const char *key, const char *source, enum sink sink)
{
	for (const char *p = source; p && *p; p++)
		if ((uint8_t)*p < ' ') {
			conf_fault_at(l->f, at, key, "must be one line");
			return NULL;
		}
	return parse(l, language, at, key, source, sink);
}

static const struct text *parse_link(struct load *l, const char *language,
	const struct conf_where *at, const char *key, const char *source)
{
	const struct text *t = parse_line(l, language, at, key, source, SINK_LINK);
	struct str head;

	if (!t || !t->n || t->v[0].kind != SEGMENT_LITERAL)
		return t;
	head = t->v[0].text;
	if (t->n == 1 ? !escape_link_good(head)
		      : !str_starts(head, STR("https://")) && !str_starts(head, STR("http://")))
		conf_fault_at(l->f, at, key, "must be an address (https://…)");
	return t;
}

static void parse_html(struct load *l, const char *language, const struct body_conf *c,
	struct media_texts *m, struct str *page_r)
{
	struct text_kind page_kind = { .sink = SINK_HTML };
	struct text_kind text_kind = { .sink = SINK_TEXT, .from_html = true, .quiet = true };
	struct text_place place = { &c->where, "html", NULL, l->f };
	struct buf b = BUF_INIT;
	struct str page;

	if (!find_page(l, c, &page, &place.file))
		return;
	*page_r = page;
	m->html = text_parse(page, page_kind, language, l->world, place, l->a);
	if (!m->html || m->text || c->text)
		return;
	html_to_text(&b, page, true);
	m->text = text_parse(
		arena_str(l->a, buf_view(&b)), text_kind, language, l->world, place, l->a);
	buf_free(&b);
}

/* ---- what a channel may carry --------------------------------------------------------------- */

/* The contents that a medium has at all, alone or together with others. */
static const unsigned carries[MEDIA_COUNT] = {
	[MEDIA_SMS] = CONTENT_TEXT,
	[MEDIA_EMAIL] = CONTENT_TEXT | CONTENT_IMAGE | CONTENT_HTML | CONTENT_LINK,
	[MEDIA_PUSH] = CONTENT_TEXT | CONTENT_IMAGE,
	[MEDIA_VIBER] = CONTENT_TEXT | CONTENT_IMAGE | CONTENT_BUTTON,
	[MEDIA_SOCIAL] = CONTENT_TEXT,
	[MEDIA_RECEIPT] = CONTENT_TEXT,
	[MEDIA_CASHIER] = CONTENT_TEXT,
};

/* Each content that does not fit is told at its own key; then what does not fit together. */
static void check_contents(struct load *l, enum media m, const struct conf_where *at,
	const unsigned has, const char *const keys[32])
{
	unsigned wrong = has & ~carries[m];
	const char *why = wrong ? NULL : content_refusal(m, has);

	for (unsigned bit = 1; bit <= CONTENT_LINK; bit <<= 1)
		if (wrong & bit)
			conf_fault_at(l->f, at, keys[bit], "%s %s", media_word(m),
				content_refusal(m, bit | CONTENT_TEXT));
	if (why)
		conf_fault_at(l->f, at, NULL, "%s %s", media_word(m), why);
}

static unsigned contents_of_text(enum media m, const char *text)
{
	struct str s = str_of(text);
	unsigned c = s.n ? CONTENT_TEXT : 0;

	if (m != MEDIA_EMAIL && content_markup(s) >= 0)
		c |= CONTENT_HTML;
	if (m == MEDIA_VIBER && content_link(s) >= 0)
		c |= CONTENT_LINK;
	return c;
}

/* Keys that belong to another channel than this. */
static void check_keys(struct load *l, enum media m, const struct body_conf *c)
{
	if (c->subject && m != MEDIA_EMAIL)
		conf_fault_at(l->f, &c->where, "subject", "only email has a subject");
	if (c->title && m != MEDIA_PUSH)
		conf_fault_at(l->f, &c->where, "title", "only push has a title");
	if (c->moderated_as && m != MEDIA_SOCIAL)
		conf_fault_at(l->f, &c->where, "moderated_as", "only social texts are moderated");
	if (m == MEDIA_EMAIL && (!c->subject || !str_trim(str_of(c->subject)).n))
		conf_fault_at(
			l->f, &c->where, c->subject ? "subject" : NULL, "email needs a subject");
	if (m == MEDIA_EMAIL && c->image)
		conf_fault_at(l->f, &c->where, "image", "images of an email stand in its html");
	if (m == MEDIA_EMAIL && c->url)
		conf_fault_at(l->f, &c->where, "url", "links of an email stand in its html");
	if (m == MEDIA_SOCIAL && (!c->moderated_as || !*c->moderated_as))
		conf_fault_at(l->f, &c->where, c->moderated_as ? "moderated_as" : NULL,
			"social needs moderated_as: networks send approved texts only");
}

static void check_body(struct load *l, enum media m, const struct body_conf *c)
{
	unsigned has = 0;
	const char *keys[32] = { [CONTENT_TEXT] = "text",
		[CONTENT_IMAGE] = "image",
		[CONTENT_BUTTON] = "button",
		[CONTENT_HTML] = "html",
		[CONTENT_LINK] = "url" };

	if (c->text)
		has |= contents_of_text(m, c->text);
	if (has & CONTENT_HTML)
		keys[CONTENT_HTML] = "text";
	if (has & CONTENT_LINK)
		keys[CONTENT_LINK] = "text";
	if (c->title && contents_of_text(m, c->title) & CONTENT_HTML)
		keys[CONTENT_HTML] = "title";
	if (c->title && m == MEDIA_PUSH)
		has |= contents_of_text(m, c->title);
	if (c->html) {
		has |= CONTENT_HTML;
		keys[CONTENT_HTML] = "html";
	}
	if (c->image)
		has |= CONTENT_IMAGE;
	if (c->has_button)
		has |= CONTENT_BUTTON;
	if (c->url) {
		has |= CONTENT_LINK;
		keys[CONTENT_LINK] = "url";
	}
	check_contents(l, m, &c->where, has, keys);
	check_keys(l, m, c);
}

/* ---- bodies --------------------------------------------------------------------------------- */

static const struct moderation_conf *find_moderation(const struct texts_conf *all, const char *id)
{
	for (size_t i = 0; id && i < all->moderation_n; i++)
		if (strcmp(all->moderation[i].id, id) == 0)
			return &all->moderation[i];
	return NULL;
}

const char *template_moderation(const struct templates *all, struct str id)
{
	static const char *const words[] = { NULL, "a draft", "submitted", "rejected", "revoked" };
	const struct moderation_conf *m = NULL;

	for (size_t i = 0; i < all->conf->moderation_n && !m; i++)
		if (str_is(id, all->conf->moderation[i].id))
			m = &all->conf->moderation[i];
	return m && (unsigned)m->state < 5 ? words[m->state] : NULL;
}

static void load_body(struct load *l, struct language_texts *t, enum media m,
	const struct body_conf *c, struct str *page_r)
{
	struct media_texts *x = &t->media[m];
	const struct conf_where *at = &c->where;
	const char *lang = t->language;

	check_body(l, m, c);
	x->subject = parse_line(l, lang, at, "subject", c->subject, SINK_HEADER);
	x->title = parse_line(l, lang, at, "title", c->title, SINK_TEXT);
	x->text = parse(l, lang, at, "text", c->text, SINK_TEXT);
	x->image = parse_link(l, lang, at, "image", c->image);
	if (c->has_button) {
		/* the button's own keys have no mark of their own: they are told at the group's */
		x->button_text = parse_line(l, lang, at, "button", c->button.text, SINK_TEXT);
		x->button_url = parse_link(l, lang, at, "button", c->button.url);
	}
	if (c->html && m == MEDIA_EMAIL)
		parse_html(l, lang, c, x, page_r);
	x->moderated_as = c->moderated_as;
	x->moderation = find_moderation(l->all, c->moderated_as);
	t->has |= MEDIA_BIT(m);
}

static void load_plain(struct load *l, struct language_texts *t, enum media m, const char *source,
	const char *key, enum sink sink)
{
	const struct conf_where *at = &t->conf->where;
	const char *keys[32] = { [CONTENT_HTML] = key };

	if (!source)
		return;
	check_contents(l, m, at, contents_of_text(m, source), keys);
	t->media[m].text = parse(l, t->language, at, key, source, sink);
	t->has |= MEDIA_BIT(m);
}

/* A language's code: "en", "pt-BR", "sr-Latn". What else stands there is a key misspelt. */
static bool is_language(struct str s)
{
	struct str part;
	bool first = true;

	while (str_cut(&s, '-', &part)) {
		if (first ? part.n < 2 || part.n > 3 : part.n < 2 || part.n > 8)
			return false;
		for (size_t i = 0; i < part.n; i++) {
			char c = part.p[i];
			bool small = c >= 'a' && c <= 'z';
			bool other = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

			if (!small && (first || !other))
				return false;
		}
		first = false;
	}
	return !first;
}

static bool check_language(struct load *l, const struct language_conf *c)
{
	static const char *const keys[] = { "limits", "missing", "samples", "language" };
	const char *near = NULL;

	if (is_language(str_of(c->language)))
		return true;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (str_distance(str_of(c->language), str_of(keys[i]), 2) <= 2)
			near = keys[i];
	conf_fault_at(l->f, &c->where, NULL, "\"%s\" is neither a key nor a language%s%s%s",
		c->language, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	return false;
}

static void load_language(
	struct load *l, struct language_texts *t, const struct language_conf *c, struct str *page_r)
{
	t->language = c->language;
	t->conf = c;
	if (!check_language(l, c))
		return;
	load_plain(l, t, MEDIA_SMS, c->sms, "sms", SINK_SMS);
	load_plain(l, t, MEDIA_RECEIPT, c->receipt, "receipt", SINK_PRINT);
	load_plain(l, t, MEDIA_CASHIER, c->cashier, "cashier", SINK_PRINT);
	if (c->has_email)
		load_body(l, t, MEDIA_EMAIL, &c->email, page_r);
	if (c->has_push)
		load_body(l, t, MEDIA_PUSH, &c->push, page_r);
	if (c->has_viber)
		load_body(l, t, MEDIA_VIBER, &c->viber, page_r);
	if (c->has_social)
		load_body(l, t, MEDIA_SOCIAL, &c->social, page_r);
	if (!t->has)
		conf_fault_at(l->f, &c->where, NULL, "no text for any channel");
}

/* ---- templates ------------------------------------------------------------------------------ */

static void find_usual(struct load *l, struct template *t)
{
	const struct template_conf *c = t->conf;

	for (size_t i = 0; c->language && i < t->n; i++)
		if (str_ieq(str_of(t->v[i].language), str_of(c->language))) {
			t->usual = i;
			return;
		}
	if (c->language)
		conf_fault_at(l->f, &c->where, "language",
			"there is no text in the language \"%s\"", c->language);
}

/* Which slots its texts read: so that nothing is fetched that none of them prints. */
static void note_slots(struct template *t)
{
	const struct text *list[MEDIA_TEXTS_MOST];

	for (size_t i = 0; i < t->n; i++)
		for (unsigned m = 0; m < MEDIA_COUNT; m++) {
			media_texts_list(&t->v[i].media[m], list);
			for (const struct text **x = list; *x; x++)
				text_slots(*x, t->slots);
		}
}

static struct template *load_template(struct load *l, const struct template_conf *c)
{
	struct template *t = arena_new_of(l->a, struct template);
	struct str *pages = arena_alloc(l->a, (c->languages_n + 1) * sizeof *pages);
	size_t before = l->f->errors;
	struct buf b = BUF_INIT;

	t->name = c->name;
	t->conf = c;
	t->world = l->world;
	t->printer = l->world->printer ? l->world->printer : printer_usual();
	t->v = arena_alloc(l->a, (c->languages_n + 1) * sizeof *t->v);
	t->n = c->languages_n;
	if (!t->n)
		conf_fault_at(l->f, &c->where, NULL,
			"a template needs texts: { en = { sms = \"…\"; }; }");
	for (size_t i = 0; i < t->n; i++) {
		load_language(l, &t->v[i], &c->languages[i], &pages[i]);
		t->media |= t->v[i].has;
	}
	find_usual(l, t);
	if (l->f->errors > before)
		return NULL;
	note_slots(t);
	template_write(&b, c, pages);
	template_set_digest(t, buf_view(&b), l->a);
	buf_free(&b);
	return t;
}

static void check_moderation(const struct texts_conf *conf, struct conf_faults *f)
{
	for (size_t i = 0; i < conf->moderation_n; i++) {
		const struct moderation_conf *m = &conf->moderation[i];
		const char *why = m->pattern ? content_pattern_wrong(str_of(m->pattern)) : NULL;

		if (why)
			conf_fault_at(f, &m->where, "pattern", "%s", why);
	}
}

struct templates *templates_compile(const struct texts_conf *conf,
	const struct template_world *world, struct arena *a, struct conf_faults *f)
{
	struct templates *all = arena_new_of(a, struct templates);
	struct template_world *kept = arena_new_of(a, struct template_world);
	struct load l = { kept, conf, a, f };

	*kept = *world;
	all->conf = conf;
	all->world = kept;
	all->v = arena_alloc(a, (conf->templates_n + 1) * sizeof *all->v);
	check_moderation(conf, f);
	for (size_t i = 0; i < conf->templates_n; i++) {
		struct template *t = load_template(&l, &conf->templates[i]);

		if (!t)
			continue;
		all->v[all->n++] = t;
		template_try_samples(t, f);
	}
	return all;
}

const struct template *template_restore(
	const struct templates *now, struct str source, struct arena *a, struct err *e)
{
	struct conf_faults f = { 0 };
	struct texts_conf *conf, all;
	struct template *t = NULL;
	void *out;

	if (conf_load_text(
		    "template", source, texts_rows, sizeof(struct texts_conf), a, &out, &f) == 0) {
		conf = out;
		all = *now->conf;
		if (conf->templates_n == 1)
			t = load_template(
				&(struct load){ now->world, &all, a, &f }, &conf->templates[0]);
	}
	if (!t)
		err_set(e, ERR_CONF, "%s", f.n ? f.v[0].text : "not the source of a template");
	conf_faults_free(&f);
	return t;
}

/* ---- texts of offers ------------------------------------------------------------------------ */

const struct text *text_compile(struct str source, enum media media, const char *language,
	const struct template_world *world, const struct conf_where *at, const char *key,
	struct arena *a, struct conf_faults *f)
{
	bool print = media == MEDIA_RECEIPT || media == MEDIA_CASHIER;
	enum sink sink = print ? SINK_PRINT : media == MEDIA_SMS ? SINK_SMS : SINK_TEXT;
	struct load l = { world, NULL, a, f };
	const char *keys[32] = { [CONTENT_HTML] = key };
	const char *copy = arena_cstr(a, source);

	check_contents(&l, media, at, contents_of_text(media, copy), keys);
	return parse(&l, language ? language : "en", at, key, copy, sink);
}

void text_check_names(const struct text *t, const struct scope *trigger, const char *user,
	const struct conf_where *at, const char *key, struct conf_faults *f)
{
	text_names_missing(t, trigger, user, at, key, f);
}
