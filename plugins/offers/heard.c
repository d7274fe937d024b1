/* Answers, STOP and unsubscribing as events of the member. See heard.h. */
#include "plugins/offers/heard.h"
#include "plugins/offers/engine.h"

#include <stdio.h>

/* What a member writes is an event of theirs; STOP and START are more than that. */
int heard_reply(struct work *w, enum media media, struct str from, struct str text, uint64_t msg)
{
	enum feedback_word word;
	struct member *who;
	struct event *e;
	char id[48];
	int rc = feedback_mo(w, media, from, text, &word);

	if (rc < 0 || word == FEEDBACK_WORD_START)
		return rc;
	while (from.n && from.p[0] == '+')
		from = str_skip(from, 1);
	rc = member_find(w, media == MEDIA_EMAIL ? ALIAS_EMAIL : ALIAS_PHONE, from, &who);
	if (rc != 1)
		return rc;
	snprintf(
		id, sizeof id, "mo:%llu:%llu", (unsigned long long)msg, (unsigned long long)w->now);
	e = event_make(
		word == FEEDBACK_WORD_STOP ? EVENT_MESSAGE_UNSUBSCRIBED : EVENT_MESSAGE_REPLIED,
		w->now, STR("postern"), str_of(id));
	e->who[ALIAS_MEMBER] = arena_str(e->arena, who->ext);
	e->attr[ATTR_medium] = value_text(str_of(media_word(media)));
	if (word == FEEDBACK_WORD_NONE && text.n)
		e->attr[ATTR_text] = value_text(arena_str(e->arena, text));
	event_seal(e);
	return engine_made(w, who, e);
}

/* Unsubscribing is an event of the member, as STOP is. */
int heard_unsubscribe(struct work *w, const struct feedback *f)
{
	struct member *who = NULL;
	struct event *e;
	char id[48];
	int rc = f->member ? member_load(w, f->member, &who)
			   : member_find(w, ALIAS_EMAIL, f->address, &who);

	if (rc != 1 || f->media != MEDIA_EMAIL || who->state == MEMBER_LEFT)
		return rc < 0 ? -1 : 0;
	snprintf(id, sizeof id, "unsubscribe:%llu:%llu", (unsigned long long)who->id,
		(unsigned long long)w->now);
	e = event_make(EVENT_MESSAGE_UNSUBSCRIBED, w->now, STR("postern"), str_of(id));
	e->who[ALIAS_MEMBER] = arena_str(e->arena, who->ext);
	e->attr[ATTR_medium] = value_text(str_of(media_word(f->media)));
	if (f->row >= 0)
		e->attr[ATTR_row] = value_text(str_of(row_word((enum row)f->row)));
	event_seal(e);
	return engine_made(w, who, e);
}
