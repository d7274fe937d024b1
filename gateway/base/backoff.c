/* Back-off with jitter. See backoff.h. */
#include "gateway/base/backoff.h"

#include <sys/random.h>

uint64_t random_u64(void)
{
	static _Thread_local uint64_t x;

	/* xorshift64*, seeded once per thread */
	if (x == 0 && (getrandom(&x, sizeof x, 0) != (ssize_t)sizeof x || x == 0))
		x = (uint64_t)clock_mono() | 1;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	return x * 0x2545f4914f6cdd1dull;
}

dur_t backoff_of(dur_t first, dur_t most, double factor, unsigned attempt)
{
	double d = (double)first;

	for (unsigned i = 1; i < attempt && d < (double)most; i++)
		d *= factor;
	if (d > (double)most)
		d = (double)most;
	d *= 0.8 + 0.4 * ((double)(random_u64() >> 11) / 9007199254740992.0);
	return (dur_t)d;
}

dur_t backoff_next(struct backoff *b)
{
	return backoff_of(b->first, b->most, b->factor, ++b->tries);
}
