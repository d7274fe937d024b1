/* `posternctl offers …`: test, why, why-not, simulate: a verb of the plugin. */
#ifndef POSTERN_PLUGINS_OFFERS_STORY_VERBS_H
#define POSTERN_PLUGINS_OFFERS_STORY_VERBS_H

#include "plugins/plugin.h"

extern const char offers_usage[];
int offers_verb(struct plugin_words *w, struct err *e);
#define STORY_VERBS                                 \
	{                                           \
		"offers", offers_usage, offers_verb \
	}

#endif
