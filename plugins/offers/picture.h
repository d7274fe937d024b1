/* An offer as a picture, for who would rather see than read: what arms it, its steps with their
 * waits down the page, beside them what disarms it and where that leads. Pure; any thread.
 */
#ifndef POSTERN_PLUGINS_OFFERS_PICTURE_H
#define POSTERN_PLUGINS_OFFERS_PICTURE_H

#include "plugins/offers/rules.h"

/* A document of its own (SVG 1.1), appended to svg. Only what the file says; nobody's data. */
void offer_picture(const struct offer_conf *o, struct buf *svg);

#endif
