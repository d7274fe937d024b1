/* Fault injection. See fault.h. */
#include "gateway/base/fault.h"
#include "gateway/base/str.h"

#include <stdlib.h>

atomic_bool fault_on;

static char fault_what[32];
static long fault_at;
static bool fault_stays;
static atomic_long fault_count;

void fault_init(const char *spec)
{
	struct str s = str_of(spec ? spec : getenv("FAULT")), what;
	uint64_t n;

	atomic_store(&fault_on, false);
	atomic_store(&fault_count, 0);
	if (s.n == 0 || !str_cut(&s, ':', &what) || !s.p)
		return;
	fault_stays = str_ends(s, STR("+"));
	if (fault_stays)
		s.n--;
	if (!str_u64(s, &n))
		return;
	str_copy(fault_what, sizeof fault_what, what);
	fault_at = (long)n;
	atomic_store(&fault_on, true);
}

bool fault_due(const char *what)
{
	long n;

	if (strcmp(what, fault_what) != 0)
		return false;
	n = atomic_fetch_add(&fault_count, 1) + 1;
	return n == fault_at || (fault_stays && n > fault_at);
}
