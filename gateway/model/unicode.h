/* What the text model needs to know of Unicode: composing letters with their marks, which
 * characters belong to the one before, and what to call a character. Pure; any thread.
 */
#ifndef POSTERN_MODEL_UNICODE_H
#define POSTERN_MODEL_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Canonical composition (NFC) of one pair of the basic plane, Hangul included: the composed
 * character, or 0. */
uint32_t unicode_compose(uint32_t first, uint32_t second);
/* The canonical form of the few single characters that keyboards produce and NFC replaces
 * (U+2126 OHM SIGN is U+03A9); any other is returned as it is. */
uint32_t unicode_canonical(uint32_t code_point);
/* The character belongs to the one before it: combining mark, variation selector, joiner, skin
 * tone, tag. */
bool unicode_extends(uint32_t code_point);
/* No line or part should be cut between the two: second extends first, a joiner joins them, they
 * are syllable parts of Hangul, or CR LF. (Flags, which come in pairs, are for the caller.) */
bool unicode_clings(uint32_t first, uint32_t second);
static inline bool unicode_is_flag_half(uint32_t code_point)
{
	return code_point >= 0x1f1e6 && code_point <= 0x1f1ff;
}

/* Simple mappings, one character to one; no locale, no context (final sigma, dotless i). Folded
 * texts are equal when they differ in case alone. */
uint32_t unicode_lower(uint32_t code_point);
uint32_t unicode_upper(uint32_t code_point);
uint32_t unicode_fold(uint32_t code_point);

/* Describes a character for people: "RIGHT SINGLE QUOTATION MARK", "LATIN SMALL LETTER S WITH
 * CARON", or only its kind ("emoji", "Cyrillic letter"). NUL-terminated, cut to cap. */
void unicode_describe(uint32_t code_point, char *out, size_t cap);

#endif
