/* See feedback.h. A word from an address concerns every member who has it: a number that said STOP
 * is not written to, whoever it belongs to next; so the address is blocked as well. */
#include "plugins/offers/feedback.h"
#include "gateway/model/unicode.h"

enum { OWNERS_MOST = 32 };

static enum contact_kind kind_of(enum media media)
{
	return media == MEDIA_VIBER || media == MEDIA_SOCIAL ? CONTACT_PHONE
							     : contact_of_media(media);
}

/* Whom it concerns: those who have the address, and who the message went to. */
static int concerned(struct work *w, const struct feedback *f, uint64_t *id)
{
	int n = contact_owners(w, kind_of(f->media), f->address, id, OWNERS_MOST);

	if (n < 0 || !f->member)
		return n;
	for (int i = 0; i < n; i++)
		if (id[i] == f->member)
			return n;
	if (n == OWNERS_MOST)
		n--;
	id[n++] = f->member;
	return n;
}

static int cell_for_all(
	struct work *w, const struct feedback *f, int row, bool granted, unsigned *known_r)
{
	uint64_t id[OWNERS_MOST];
	int n = concerned(w, f, id);
	unsigned known = 0;
	struct member *m;

	for (int i = 0; i < n; i++) {
		int got = member_load(w, id[i], &m);

		if (got == 1 && m->state == MEMBER_LEFT)
			got = 0; /* the address alone is spoken of */
		known += got > 0;
		if (got < 0 || (got && member_set_consent(w, m, row, (int)f->media, granted, f->by,
					       f->proof, true) < 0))
			return -1;
	}
	if (known_r)
		*known_r = known;
	return n < 0 ? -1 : 0;
}

static int unsubscribe_row(struct work *w, const struct feedback *f, int row, unsigned *known_r)
{
	if (cell_for_all(w, f, row, false, known_r) < 0)
		return -1;
	/* nobody's address: what it said is kept beside it */
	return *known_r ? 0
			: address_block(w, f->address, f->media, row, STR("unsubscribe"), f->by,
				  f->proof);
}

/* Of all: of all that is marketing (member_agrees() takes these two as that). Receipts and codes go
 * on. */
static int unsubscribe(struct work *w, const struct feedback *f, unsigned *known_r)
{
	unsigned known = 0;

	if (f->row >= 0 ? unsubscribe_row(w, f, f->row, &known) < 0
			: unsubscribe_row(w, f, ROW_OFFER, &known) < 0 ||
				  unsubscribe_row(w, f, ROW_ADVERT, &known) < 0)
		return -1;
	if (known_r)
		*known_r = known;
	return 0;
}

/* Who says "spam" has enough of advertising, and so has the address, whoever has it next. What a
 * receipt or a code has to say they did not speak of. */
static int complained(struct work *w, const struct feedback *f, unsigned *known_r)
{
	static const int rows[] = { ROW_OFFER, ROW_ADVERT };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (cell_for_all(w, f, rows[i], false, known_r) < 0 ||
			address_block(w, f->address, f->media, rows[i], STR("complaint"), f->by,
				f->proof) < 0)
			return -1;
	return 0;
}

int feedback_take(struct work *w, const struct feedback *f, unsigned *known_r)
{
	if (known_r)
		*known_r = 0;
	switch (f->kind) {
	case FEEDBACK_STOP:
		return cell_for_all(w, f, -1, false, known_r) < 0
			       ? -1
			       : address_block(
					 w, f->address, f->media, -1, STR("stop"), f->by, f->proof);
	case FEEDBACK_START:
		if (cell_for_all(w, f, -1, true, known_r) < 0)
			return -1;
		return address_unblock_for(w, f->address, f->media, -1, STR("stop")) < 0 ? -1 : 0;
	case FEEDBACK_UNSUBSCRIBE:
		return unsubscribe(w, f, known_r);
	case FEEDBACK_COMPLAINT:
		return complained(w, f, known_r);
	case FEEDBACK_BOUNCE:
		if (contact_mark_invalid(w, kind_of(f->media), f->address, STR("bounce")) < 0)
			return -1;
		return address_block(w, f->address, f->media, -1, STR("bounce"), f->by, f->proof);
	case FEEDBACK_TOKEN_DEAD:
		return contact_mark_invalid(w, CONTACT_DEVICE, f->address, STR("dead token"));
	case FEEDBACK_BLOCKED:
		return cell_for_all(w, f, -1, false, known_r) < 0
			       ? -1
			       : address_block(w, f->address, f->media, -1, STR("blocked"), f->by,
					 f->proof);
	}
	return 0;
}

/* ---- words ---- */

static bool is_mark(int32_t c)
{
	return c <= ' ' ||
	       (c < 0x80 && !(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') &&
		       !(c >= 'a' && c <= 'z')) ||
	       c == 0xa0 || c == 0xab || c == 0xbb || (c >= 0x2000 && c <= 0x206f);
}

/* Without marks and white space at its ends. */
static struct str bare(struct str s)
{
	struct str rest = s, at;
	const char *end;

	for (at = rest; rest.n && is_mark(str_utf8_next(&rest)); at = rest)
		;
	end = at.p;
	for (rest = at; rest.n;)
		if (!is_mark(str_utf8_next(&rest)))
			end = rest.p;
	return str_n(at.p, (size_t)(end - at.p));
}

static bool same_word(struct str a, struct str b)
{
	while (a.n && b.n) {
		int32_t x = str_utf8_next(&a), y = str_utf8_next(&b);

		if (x < 0 || y < 0 || unicode_fold((uint32_t)x) != unicode_fold((uint32_t)y))
			return false;
	}
	return !a.n && !b.n;
}

enum feedback_word feedback_word(const struct rules *r, struct str text)
{
	const struct policy_conf *p = r && r->conf ? &r->conf->policy : NULL;

	text = bare(text);
	if (!p || !text.n || text.n > 64)
		return FEEDBACK_WORD_NONE;
	for (size_t i = 0; i < p->stop_words_n; i++)
		if (same_word(text, str_of(p->stop_words[i])))
			return FEEDBACK_WORD_STOP;
	for (size_t i = 0; i < p->start_words_n; i++)
		if (same_word(text, str_of(p->start_words[i])))
			return FEEDBACK_WORD_START;
	return FEEDBACK_WORD_NONE;
}

int feedback_mo(struct work *w, enum media media, struct str from, struct str text,
	enum feedback_word *word_r)
{
	struct feedback f = { .media = media, .row = -1, .proof = text };

	*word_r = feedback_word(w->rules, text);
	if (*word_r == FEEDBACK_WORD_NONE || !from.n)
		return 0;
	f.kind = *word_r == FEEDBACK_WORD_STOP ? FEEDBACK_STOP : FEEDBACK_START;
	f.address = from.p[0] == '+' ? str_skip(from, 1) : from;
	f.by = str_of(arena_printf(
		w->arena, "%s %s", media_word(media), f.kind == FEEDBACK_STOP ? "STOP" : "START"));
	return feedback_take(w, &f, NULL);
}
