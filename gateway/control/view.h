/* A message's story as JSON: what GET /v1/messages/ID answers and posternctl tells in words. Any
 * thread that may block. Contents (text, html …) are shown to whoever submitted them only.
 */
#ifndef POSTERN_CONTROL_VIEW_H
#define POSTERN_CONTROL_VIEW_H

#include "gateway/flow/gateway.h"
#include "gateway/flow/settings.h"
#include "gateway/model/address.h"

/* An object: id, state, reason, media, from, to, times, channel, attempts, parts, history. Ids are
 * strings: JSON numbers lose digits beyond 2^53. content: v->msg's fields too. */
void view_put_json(struct buf *b, struct gateway *g, const struct store_view *v, bool content);

/* Where callers dial from. */
struct address_country view_country(const struct settings *s);
/* A destination as it is kept, of one that people write: in a's text, or as it is when it is no
 * number. */
struct str view_number(struct gateway *g, struct str to, struct address *a);

#endif
