/* What plural.c and locale.c share. */
#ifndef POSTERN_PLUGINS_OFFERS_PLURAL_PRIVATE_H
#define POSTERN_PLUGINS_OFFERS_PLURAL_PRIVATE_H

#include "gateway/base/str.h"

struct locale;
const struct locale *locale_find(struct str language); /* English when unknown */

#endif
