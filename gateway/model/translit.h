/* Transliteration: characters that cost dear in SMS, written with cheaper ones that mean the
 * same to a reader. A table; pure; any thread.
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
 * dropped), at most 8 bytes; false when nothing fits. Digraphs of capitals come in title case
 * ("Sh"). */
bool translit_char(uint32_t code_point, unsigned sets, struct str *to_r);
/* A Cyrillic or Latin capital: its neighbour's digraph is written in capitals, too. */
bool translit_is_capital(uint32_t code_point);

#endif
