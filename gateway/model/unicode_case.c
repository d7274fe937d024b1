/* Upper, lower and folded case. See unicode.h; the tables are in unicode_case_tables.c. */
#include "gateway/model/unicode.h"
#include "gateway/model/unicode_tables.h"

static bool map(const struct unicode_case *v, size_t n, uint32_t c, uint32_t *r)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (c > v[mid].last)
			lo = mid + 1;
		else if (c < v[mid].first)
			hi = mid;
		else if ((c - v[mid].first) % (uint32_t)v[mid].step == 0) {
			*r = (uint32_t)((int32_t)c + v[mid].delta);
			return true;
		} else
			break;
	}
	return false;
}

uint32_t unicode_lower(uint32_t c)
{
	if (c < 0x80)
		return c - 'A' < 26 ? c + ('a' - 'A') : c;
	map(unicode_lowers, unicode_lowers_count, c, &c);
	return c;
}

uint32_t unicode_upper(uint32_t c)
{
	if (c < 0x80)
		return c - 'a' < 26 ? c - ('a' - 'A') : c;
	map(unicode_uppers, unicode_uppers_count, c, &c);
	return c;
}

uint32_t unicode_fold(uint32_t c)
{
	if (c < 0x80)
		return c - 'A' < 26 ? c + ('a' - 'A') : c;
	/* Cherokee folds to its capitals: such rows say that a letter stays. */
	if (!map(unicode_folds, unicode_folds_count, c, &c))
		map(unicode_lowers, unicode_lowers_count, c, &c);
	return c;
}
