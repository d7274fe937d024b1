/* A unit of work that only reads, beside the writer, for verbs: a thread that may block. It is over
 * two seconds after it began (plugin_read). */
#ifndef POSTERN_PLUGINS_OFFERS_READING_H
#define POSTERN_PLUGINS_OFFERS_READING_H

#include "plugins/offers/work.h"
#include "plugins/plugin.h"

struct reading {
	struct work work;
	struct db db;
	struct sql *sql;
	unsigned entered;
};
/* 0, or -1 and e; reading_end() in any case. */
int reading_begin(struct plugin_words *w, struct reading *r, struct err *e);
void reading_end(struct plugin_words *w, struct reading *r);

#endif
