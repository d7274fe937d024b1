/* Events on disk, as an operator looks for them: a list, and one with what came of it. Reads only;
 * runs in a unit of work on any connection. int: 0, -1 with w->e.
 */
#ifndef POSTERN_PLUGINS_OFFERS_EVENT_SHOW_H
#define POSTERN_PLUGINS_OFFERS_EVENT_SHOW_H

#include "plugins/offers/work.h"

struct event_search {
	int type;          /* enum event_type; -1: any */
	uint64_t member;   /* 0: any; else those that were worked on for that member */
	struct str source; /* empty: any */
	wall_t since;      /* received; 0: ever */
	uint64_t before;   /* only those with a smaller number; 0: all */
	unsigned most;
	dur_t longest; /* the walk is ended after that time */
};
/* Newest first. As lines for people or a JSON array. *left_r: 0 when there was no more to look at
 * or so many were found; else the walk came down to that number only. */
int events_list(
	struct work *w, const struct event_search *q, bool json, struct buf *out, uint64_t *left_r);
/* The event "ID", or "SOURCE/ID"; JSON. 1; 0: there is none, or it is not clear which (*why_r, the
 * unit's arena). */
int events_one(struct work *w, struct str name, struct buf *out, const char **why_r);

/* `posternctl events`; a thread that may block. */
struct plugin_words;
struct err;
int events_verb(struct plugin_words *w, struct err *e);

#endif
