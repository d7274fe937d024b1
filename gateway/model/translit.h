/* Transliteration: characters that cost dear in SMS, written with cheaper ones that mean the
 * same to a reader. A table, and the normal form that goes before it. Pure; any thread.
 */
#ifndef POSTERN_MODEL_TRANSLIT_H
#define POSTERN_MODEL_TRANSLIT_H

#include "gateway/base/str.h"

/* What may be changed: a channel's setting is a sum of these. */
enum {
	TRANSLIT_PUNCTUATION = 1, /* ’ “ ” – — … NBSP, full width ASCII, invisible marks */
	TRANSLIT_ACCENTS = 2,     /* Latin letters lose their marks: š s, ã a, œ oe */
	TRANSLIT_GREEK = 4,       /* Greek letters to GSM's capitals and Latin look-alikes */
	TRANSLIT_CYRILLIC = 8,    /* щ shch (after BGN/PCGN, without its apostrophes) */
	TRANSLIT_ALL = 15,
};

/* "punctuation", "accents", "greek", "cyrillic", "all"; 0 when unknown. */
unsigned translit_find(struct str name);

/* What a character becomes when the sets allow it: UTF-8, possibly empty (the character is
 * dropped), at most 8 bytes; NULL when nothing fits. Capital digraphs come in title case ("Sh"). */
const char *translit_char(uint32_t code_point, unsigned sets);
bool translit_is_capital(uint32_t code_point); /* a Cyrillic or Latin capital letter */

/* Canonical composition (Unicode NFC) of one pair: the composed character, or 0. */
uint32_t unicode_compose(uint32_t first, uint32_t second);
/* The canonical form of a single character (U+2126 OHM SIGN is U+03A9); itself if it has none. */
uint32_t unicode_canonical(uint32_t code_point);
/* The character belongs to the one before it: combining mark, variation selector, joiner, skin
 * tone, tag. */
bool unicode_extends(uint32_t code_point);
/* Describes a character for people: "RIGHT SINGLE QUOTATION MARK", "LATIN SMALL LETTER S WITH
 * CARON", or its kind ("emoji", "Cyrillic letter"). Written into out, NUL-terminated. */
void unicode_describe(uint32_t code_point, char *out, size_t cap);

#endif
