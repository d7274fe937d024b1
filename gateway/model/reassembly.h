/* Putting the parts of a long message together again: the key under which parts find each other,
 * and the joining. Which parts have come is kept durably by the store; this is the pure part.
 */
#ifndef POSTERN_MODEL_REASSEMBLY_H
#define POSTERN_MODEL_REASSEMBLY_H

#include "gateway/base/buf.h"
#include "gateway/model/text.h"

/* Appends the canonical bytes of a message's key. Parts come over different binds of one
 * account, so the key holds no session: owner is the account's or channel's name. Fields are
 * length-prefixed: no two different sets of them give the same bytes. */
void concat_key(struct buf *out, struct str owner, struct str source, struct str destination,
	const struct concat *c);

/* One part as it came. A missing part has octets.p NULL. */
struct concat_part {
	uint8_t data_coding;
	bool udhi;
	struct str octets; /* short_message or payload, UDH still on it */
};

struct concat_joined {
	bool binary;      /* out is octets: some part was 8-bit */
	bool lossy;       /* as in text_decoded, of any part */
	unsigned missing; /* parts that were not there; each leaves U+2026 (…) in a text */
};

/* Appends the whole message, parts in the order of seq. Neighbours of one coding and one pair of
 * shift tables are joined as octets before decoding, so that a far side's cut inside an ESC
 * pair or between surrogates does no harm. A part whose UDH cannot be read counts as missing. */
void concat_join(const struct concat_part *parts, size_t n, const struct text_peer *peer,
	struct concat_joined *j_r, struct buf *out);

#endif
