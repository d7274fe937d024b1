/* What the files that say why share. See why.h. */
#ifndef POSTERN_PLUGINS_OFFERS_WHY_PRIVATE_H
#define POSTERN_PLUGINS_OFFERS_WHY_PRIVATE_H

#include "plugins/offers/source.h"
#include "plugins/offers/why.h"

enum why_verdict { SAYS_NO, SAYS_YES, SAYS_FACT }; /* as enum policy_says */

struct why {
	struct work *w;
	struct member *m; /* NULL: nobody is known */
	const struct offer *o;
	struct offers_source source;
	bool json;
	struct buf *out;
	unsigned lines;
	char obstacle[200]; /* the first no, "" none */
	wall_t next;        /* when the next message would leave, 0 */
	char what[120];     /* and which */
};
/* One line: what was looked at, what it came to, in words. */
__attribute__((format(printf, 5, 6))) void why_says(
	struct why *t, enum why_verdict v, unsigned depth, const char *what, const char *fmt, ...);
/* In the member's zone; the unit's arena. */
const char *why_time(struct why *t, wall_t at);
/* All of that member and offer, and the end. */
int why_pair(struct why *t, bool why_not);
/* The end: what stands in the way, what comes next; closes the JSON. */
void why_outcome(struct why *t);

#endif
