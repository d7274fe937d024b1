/* The constant tables behind gsm7.h; for gsm7.c and the splitter's short road alone. */
#ifndef POSTERN_MODEL_GSM7_TABLES_H
#define POSTERN_MODEL_GSM7_TABLES_H

#include "gateway/model/gsm7.h"

struct gsm7_table {
	uint16_t chars[128]; /* code -> code point, 0xFFFF blank */
	uint8_t count;
	uint8_t order[128]; /* the codes by ascending code point */
};

/* NULL where a language has no such table. */
extern const struct gsm7_table *const gsm7_locking_tables[GSM7_LANGUAGES];
extern const struct gsm7_table *const gsm7_single_tables[GSM7_LANGUAGES];

extern const uint16_t gsm7_default_low[256]; /* as gsm7_code_default() */
extern const uint16_t gsm7_ascii_cost[256];  /* 1, 2, or 0x8000: not ASCII or not GSM */

#endif
