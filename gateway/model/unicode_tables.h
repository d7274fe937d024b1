/* The constant tables behind unicode.h; for unicode.c and unicode_case.c alone. */
#ifndef POSTERN_MODEL_UNICODE_TABLES_H
#define POSTERN_MODEL_UNICODE_TABLES_H

#include <stddef.h>
#include <stdint.h>

struct unicode_pair {
	uint16_t first, second, composed;
};
struct unicode_range {
	uint32_t from, to;
};
extern const struct unicode_pair unicode_pairs[]; /* by (first, second) */
extern const size_t unicode_pair_count;
extern const struct unicode_range unicode_extenders[]; /* ascending */
extern const size_t unicode_extender_count;
/* first, first + step … last map to themselves + delta; ascending, not overlapping. */
struct unicode_case {
	uint32_t first, last;
	int32_t step, delta;
};
extern const struct unicode_case unicode_lowers[], unicode_uppers[];
extern const struct unicode_case unicode_folds[]; /* where they differ from the lower case */
extern const size_t unicode_lowers_count, unicode_uppers_count, unicode_folds_count;

#endif
