/* What the files that tell stories share. See story.h. */
#ifndef POSTERN_PLUGINS_OFFERS_STORY_PRIVATE_H
#define POSTERN_PLUGINS_OFFERS_STORY_PRIVATE_H

#include "plugins/offers/story.h"
#include "plugins/offers/world.h"

/* A message that left, and whether an "expect" has asked for it. */
struct seen {
	wall_t at;
	uint64_t sent; /* of_sent's id of what went to several devices, else 0 */
	const char *template, *text;
	enum media media;
	bool taken, checked; /* asked for; of an "expect" before this one */
};
struct teller {
	struct world *w;
	const struct offer *o; /* NULL: all of them, or a task's story */
	const struct task *task;
	struct arena *a; /* of this story */
	uint64_t member;
	const struct zone *zone;
	int64_t day_0;
	wall_t nominal; /* when the last clause was to happen */
	unsigned events;
	struct seen *v;
	size_t n, cap;
	uint64_t *held; /* of_sent, of those suppressed that were looked at */
	size_t held_n, held_cap;
	struct buf receipt, cashier; /* lines since the last "expect": "a","b" */
	struct buf log;
	struct buf why;
};

/* Told by the world as it happens; ctx: the teller. */
void story_left(void *ctx, struct world_message *m);
void story_gone(void *ctx, struct world_message *m);
/* True: it happened, and what it expected was there; else t->why. */
bool clause_tell(struct teller *t, const struct clause *c);
/* Looks at what was suppressed since the last time: with a wish, until one fits it (1); all: names
 * them there. -1: the store in memory failed. */
int story_held(struct teller *t, const struct clause *c, const struct wish *v, struct buf *all);
bool story_store_fails(struct teller *t, const struct clause *c);

#endif
