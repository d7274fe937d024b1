/* Penalties. See penalty.h. */
#include "gateway/base/penalty.h"

#include <pthread.h>

enum { PENALTY_SLOTS = 4096, PENALTY_PROBES = 8, PENALTY_MOST = 6 };
#define PENALTY_FORGIVES (60 * DUR_S) /* one misdeed less */

static struct {
	uint64_t key;
	unsigned count;
	mono_t since;
} slots[PENALTY_SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The slot of a key; where it has none, the most forgiven of its probes when `make`, else -1. */
static int slot_of(uint64_t key, bool make, mono_t now)
{
	uint64_t at = key * 0x9e3779b97f4a7c15ull >> 40;
	int best = -1;

	for (unsigned i = 0; i < PENALTY_PROBES; i++) {
		int s = (int)((at + i) % PENALTY_SLOTS);
		unsigned paid = (unsigned)((now - slots[s].since) / PENALTY_FORGIVES);

		if (slots[s].count && paid) {
			slots[s].count = paid >= slots[s].count ? 0 : slots[s].count - paid;
			slots[s].since = now;
		}
		if (slots[s].count && slots[s].key == key)
			return s;
		if (best < 0 || slots[s].count < slots[best].count)
			best = s;
	}
	if (!make)
		return -1;
	slots[best].key = key;
	slots[best].count = 0;
	return best;
}

dur_t penalty_delay(uint64_t key)
{
	dur_t d = 0;
	int s;

	pthread_mutex_lock(&lock);
	s = slot_of(key, false, clock_mono());
	if (s >= 0)
		d = (DUR_S / 4) << (slots[s].count < PENALTY_MOST ? slots[s].count : PENALTY_MOST);
	pthread_mutex_unlock(&lock);
	return d;
}

void penalty_add(uint64_t key)
{
	mono_t now = clock_mono();
	int s;

	pthread_mutex_lock(&lock);
	s = slot_of(key, true, now);
	slots[s].count++;
	slots[s].since = now;
	pthread_mutex_unlock(&lock);
}

void penalty_clear(uint64_t key)
{
	int s;

	pthread_mutex_lock(&lock);
	s = slot_of(key, false, clock_mono());
	if (s >= 0)
		slots[s].count = 0;
	pthread_mutex_unlock(&lock);
}
