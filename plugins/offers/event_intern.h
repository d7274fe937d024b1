/* What event.c and event_read.c share. */
#ifndef POSTERN_PLUGINS_OFFERS_EVENT_INTERN_H
#define POSTERN_PLUGINS_OFFERS_EVENT_INTERN_H

#include "plugins/offers/event.h"

#include <stdlib.h>

struct event *event_blank(void);
/* Text, digest and body. raw[]: attributes to be kept as they were given (borrowed), NULL: as they
 * were read; extras: an object of what else `data` held, or NULL; occurred: as it was said, 0: it
 * was not. */
void event_write(struct event *e, json_t *const *raw, json_t *extras, wall_t occurred);
void event_envelope(struct event *e);

#endif
