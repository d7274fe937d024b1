/* Digests that mean nothing outside this run: HMAC-SHA256 under a key that is drawn at random at
 * the first use and never leaves memory. To know a secret again without keeping it. Any thread.
 */
#ifndef POSTERN_BASE_KEYED_H
#define POSTERN_BASE_KEYED_H

#include "gateway/base/str.h"

enum { KEYED_SIZE = 32 };
struct keyed {
	uint8_t octets[KEYED_SIZE];
};
/* Of both slices together; where one ends and the other begins counts. */
struct keyed keyed_digest(struct str a, struct str b);
bool keyed_equal(const struct keyed *a, const struct keyed *b); /* in constant time */

#endif
