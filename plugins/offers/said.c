/* What was said of a member by PUT, PATCH, POST and imports, and when. See said.h. */
#include "plugins/offers/said.h"

static const struct {
	unsigned given;
	const char *field;
} own[] = {
	{ GIVEN_FIRST_NAME, "first_name" },
	{ GIVEN_LAST_NAME, "last_name" },
	{ GIVEN_LANG, "language" },
	{ GIVEN_ZONE, "zone" },
	{ GIVEN_BIRTHDAY, "birthday" },
	{ GIVEN_STATE, "state" },
	{ GIVEN_REGISTERED, "registered" },
};
enum { OWN = sizeof own / sizeof *own };
#define STATUS  "status."
#define CONTACT "contact."

static int fails(struct work *w)
{
	return work_failed(w, "what was said of a member");
}

/* ---- words ---- */
static void word_add(struct buf *b, const char *head, struct str word)
{
	if (b->n)
		buf_char(b, '\n');
	buf_c(b, head);
	buf_str(b, word);
}

static struct str contact_field(struct work *w, enum contact_kind kind, struct str value)
{
	char digest[ADDRESS_DIGEST];

	if (!value.n)
		return str_of(arena_printf(w->arena, CONTACT "%s", contact_word(kind)));
	address_digest(value, digest);
	return str_of(arena_printf(w->arena, CONTACT "%s:%s", contact_word(kind), digest));
}

/* Of a token's sub: only where it names the device. */
static bool names_device(struct str sub)
{
	const struct contact c = { .kind = CONTACT_DEVICE, .sub = sub };
	struct str service, platform, device;

	contact_device(&c, &service, &platform, &device);
	return device.n > 0;
}

static bool word_is(struct str words, struct str what)
{
	struct str word;
	bool found = false;

	while (words.n && !found) {
		if (!str_cut(&words, '\n', &word)) {
			word = words;
			words = STR_NONE;
		}
		found = str_is(word, "*") || str_eq(word, what);
	}
	return found;
}

/* ---- noting ---- */
static int note(struct work *w, const struct member *m, struct str words)
{
	struct sql_stmt *st = words.n ? db_st(w->db, ST_SAID_PUT) : NULL;

	if (!words.n)
		return 0;
	if (!st)
		return fails(w);
	sql_int(st, 1, (int64_t)m->id);
	sql_text(st, 2, words);
	sql_int(st, 3, w->now);
	return sql_run(st) < 0 ? fails(w) : 0;
}

/* An address that is new with this says so by its `since`. */
static void contacts_add(
	struct work *w, const struct member *m, const struct member_input *in, struct buf *b)
{
	for (unsigned i = 0; i < in->contacts_n; i++) {
		const struct contact *c = &in->contacts[i].contact;

		if (m->fresh && c->kind != CONTACT_DEVICE)
			continue;
		word_add(b, "", contact_field(w, c->kind, c->value));
		if (c->kind == CONTACT_DEVICE && names_device(c->sub))
			word_add(b, "", contact_field(w, c->kind, c->sub));
	}
}

int said_note(struct work *w, const struct member *m, const struct member_input *in, bool whole)
{
	struct buf b = BUF_INIT;
	int rc;

	if (whole)
		return note(w, m, STR("*"));
	for (size_t i = 0; i < OWN; i++)
		if (in->given & own[i].given)
			word_add(&b, "", str_of(own[i].field));
	for (unsigned i = 0; i < in->statuses_n; i++)
		word_add(&b, STATUS, in->statuses[i].system);
	for (unsigned i = 0; i < in->attrs_n; i++)
		if (in->attrs[i].n < w->rules->attributes_n)
			word_add(&b, "", str_of(w->rules->attributes[in->attrs[i].n].path));
	contacts_add(w, m, in, &b);
	rc = note(w, m, buf_view(&b));
	buf_free(&b);
	return rc;
}

/* ---- asking ---- */
static bool is_said(
	struct work *w, struct str words, enum contact_kind kind, struct str value, struct str sub)
{
	return word_is(words, contact_field(w, kind, STR_NONE)) ||
	       (value.n && word_is(words, contact_field(w, kind, value))) ||
	       (kind == CONTACT_DEVICE && sub.n && names_device(sub) &&
		       word_is(words, contact_field(w, kind, sub)));
}

/* All of it, in the unit's arena. */
static int words_since(struct work *w, const struct member *m, wall_t since, struct str *words_r)
{
	struct sql_stmt *st = db_st(w->db, ST_SAID_SINCE);
	struct buf b = BUF_INIT;
	int rc;

	*words_r = STR_NONE;
	if (!st)
		return fails(w);
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, since);
	while ((rc = sql_step(st)) == 1)
		word_add(&b, "", sql_col_str(st, 0));
	if (b.n)
		*words_r = arena_str(w->arena, buf_view(&b));
	buf_free(&b);
	return rc < 0 ? fails(w) : 0;
}

int said_since(struct work *w, const struct member *m, wall_t since, struct member_input *in)
{
	struct str words;
	unsigned n = 0;

	if (words_since(w, m, since, &words) < 0)
		return -1;
	if (!words.n)
		return 0;
	for (size_t i = 0; i < OWN; i++)
		if (word_is(words, str_of(own[i].field)))
			in->given &= ~own[i].given;
	for (unsigned i = 0; i < in->statuses_n; i++)
		if (!word_is(words, str_of(arena_printf(w->arena, STATUS "%.*s",
					    STR_ARG(in->statuses[i].system)))))
			in->statuses[n++] = in->statuses[i];
	in->statuses_n = n;
	n = 0;
	for (unsigned i = 0; i < in->attrs_n; i++)
		if (in->attrs[i].n >= w->rules->attributes_n ||
			!word_is(words, str_of(w->rules->attributes[in->attrs[i].n].path)))
			in->attrs[n++] = in->attrs[i];
	in->attrs_n = n;
	n = 0;
	for (unsigned i = 0; i < in->contacts_n; i++) {
		const struct contact *c = &in->contacts[i].contact;

		if (!is_said(w, words, c->kind, c->value, c->sub))
			in->contacts[n++] = in->contacts[i];
	}
	in->contacts_n = n;
	return 0;
}

int said_status(struct work *w, const struct member *m, wall_t since, struct str system)
{
	struct str words;

	if (!system.n)
		system = str_of(member_first_system(w));
	if (words_since(w, m, since, &words) < 0)
		return -1;
	return words.n &&
	       word_is(words, str_of(arena_printf(w->arena, STATUS "%.*s", STR_ARG(system))));
}

int said_contact(struct work *w, const struct member *m, wall_t since, enum contact_kind kind,
	struct str value, struct str sub)
{
	struct str words;

	if (words_since(w, m, since, &words) < 0)
		return -1;
	return words.n && is_said(w, words, kind, value, sub);
}
