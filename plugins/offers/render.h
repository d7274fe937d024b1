/* `posternctl offers render TEMPLATE NAME=VALUE…`: a template with given values as every channel
 * and language would have it, with the parts and alphabet of each SMS, as text for a terminal. Any
 * thread that may hold the templates.
 */
#ifndef POSTERN_PLUGINS_OFFERS_RENDER_H
#define POSTERN_PLUGINS_OFFERS_RENDER_H

#include "plugins/offers/template.h"

struct render_request {
	struct str name; /* of the template */
	const struct str
		*values; /* "Amount=8", "Member.first_name=Homer", "Balances=300 bonus, 52 stars" */
	size_t values_n;
	unsigned media;          /* MEDIA_BITs; 0: all that it has */
	struct str language;     /* empty: all that it has */
	const struct zone *zone; /* NULL: UTC */
	bool make_up;            /* values that are not given; otherwise they are missing */
};
/* -1 and *e: no such template (with a suggestion), or a value that cannot be read. A text that
 * cannot be sent with these values is no error: out says why. */
int offers_render(const struct templates *all, const struct render_request *q, struct buf *out,
	struct err *e);

#endif
