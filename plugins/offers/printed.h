/* What tills were told to print or to show: rows of of_sent without a message, so that it is known
 * of each line of an offer what became of it. A row is made when the event is answered (replied);
 * the till may say that it was printed (confirmed, event reply.confirmed); it was not, as far as is
 * known, where the till sent the event when the sale was long over (intake.offline_after) or had
 * stopped waiting for the answer (unreachable). On the store writer, within one unit of work;
 * int: 0, -1 with w->e.
 */
#ifndef POSTERN_PLUGINS_OFFERS_PRINTED_H
#define POSTERN_PLUGINS_OFFERS_PRINTED_H

#include "plugins/offers/work.h"

struct event;
struct member;
struct offer;

/* Action `index` of that offer has said something to the till of this event. */
int printed_note(struct work *w, struct member *m, const struct event *e, const struct offer *o,
	size_t index, enum media media);
/* The till of the event of that number did not wait for the answer. */
int printed_unheard(struct work *w, uint64_t seq);
/* An event "reply.confirmed" of this member: of another event, by its id, or of a receipt. */
int printed_confirm(struct work *w, const struct member *m, const struct event *e);
/* What stands in of_sent.state of such a row: "replied" …; NULL: it is no such row. */
const char *printed_word(int64_t media, int64_t msg, int64_t state);

#endif
