/* How much of the same a test does: all of it, or the share that TEST_SHARE says, in percent. The
 * sanitizers' short runs in `make check` do less of what the unit tests have done before them.
 */
#ifndef POSTERN_TESTS_SHARE_H
#define POSTERN_TESTS_SHARE_H

#include <stdlib.h>

/* At least 1. */
static inline unsigned share_of(unsigned n)
{
	const char *share = getenv("TEST_SHARE");
	unsigned long percent = share ? strtoul(share, NULL, 10) : 100;

	n = (unsigned)(n * percent / 100);
	return n ? n : 1;
}

#endif
