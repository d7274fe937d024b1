/* The 7-bit alphabet of GSM (3GPP TS 23.038): the default table, its extension table, the
 * national locking and single shift tables, and the packing of septets into octets.
 *
 * Pure functions over constant tables; any thread. A "septet" is one code 0x00-0x7F in an octet
 * of its own (the form SMPP carries unpacked); "packed" is the form on the air, 8 in 7 octets.
 *
 * Tables: the default alphabet (6.2.1, with 0x09 strictly Ç), the extension (6.2.1.1) and every
 * national table of A.2 and A.3. Spanish has a single shift table only. Blank places stay blank:
 * a code that a table does not assign is never produced, and is read as 6.2.1.1 says (below).
 */
#ifndef POSTERN_MODEL_GSM7_H
#define POSTERN_MODEL_GSM7_H

#include "gateway/base/buf.h"

/* The national language identifiers of TS 23.038 6.2.1.2.4, as they stand in the UDH. */
enum gsm7_language {
	GSM7_DEFAULT,
	GSM7_TURKISH,
	GSM7_SPANISH,
	GSM7_PORTUGUESE,
	GSM7_BENGALI,
	GSM7_GUJARATI,
	GSM7_HINDI,
	GSM7_KANNADA,
	GSM7_MALAYALAM,
	GSM7_ORIYA,
	GSM7_PUNJABI,
	GSM7_TAMIL,
	GSM7_TELUGU,
	GSM7_URDU,
	GSM7_LANGUAGES,
};

enum {
	GSM7_ESC = 0x1b,
	GSM7_CR = 0x0d,
	GSM7_NONE = 0xffff, /* gsm7_code(): the character is in neither table */
};

const char *gsm7_language_name(unsigned language); /* "turkish"; "" for an unknown number */
/* From "turkish" or its ISO 639-1 code "tr"; -1 when unknown. */
int gsm7_language_find(struct str name);
bool gsm7_has_locking(unsigned language); /* false beyond GSM7_LANGUAGES, too */
bool gsm7_has_single(unsigned language);

/* The code of a character: 0x00-0x7F from the locking table (one septet), 0x1B00|code from the
 * single shift table (two septets, ESC first), or GSM7_NONE. An unknown table is the default. */
unsigned gsm7_code(uint32_t code_point, unsigned locking, unsigned single);
/* The same for the two default tables, for the road that most texts take. */
unsigned gsm7_code_default(uint32_t code_point);
/* The character of a code in one table alone; 0xFFFF when the place is blank (or is ESC). */
uint32_t gsm7_locking_char(unsigned language, uint8_t code);
uint32_t gsm7_single_char(unsigned language, uint8_t code);

/* Appends septets of a UTF-8 text, ESC pairs included. -1 at the first character (or invalid
 * sequence) that the tables lack: *bad_r (may be NULL) is its byte offset, out is as before. */
int gsm7_encode(struct str utf8, unsigned locking, unsigned single, struct buf *out, size_t *bad_r);
/* Appends the UTF-8 of septets. As a receiver must (6.2.1.1): ESC with a code that the single
 * shift table lacks is the locking table's character of that code; ESC ESC, and an ESC that ends
 * the text, are one space. An octet above 0x7F or a blank place becomes U+FFFD; returns how many.
 */
size_t gsm7_decode(struct str septets, unsigned locking, unsigned single, struct buf *out);

/* Packing: septet i fills the bits 7i.. of the stream, least significant first, after `fill` (0-6)
 * zero bits that carry the text to a septet boundary behind a UDH. */
size_t gsm7_packed_size(size_t septets, unsigned fill); /* octets */
void gsm7_pack(struct str septets, unsigned fill, struct buf *out);
/* Appends exactly n septets, or as many as the octets hold; returns their number. */
size_t gsm7_unpack(struct str octets, unsigned fill, size_t n, struct buf *out);
/* How many whole septets so many octets hold after the fill bits. */
size_t gsm7_unpacked_size(size_t octets, unsigned fill);

/* Fill bits, and septets taken, by a header of so many octets (UDHL included). */
static inline unsigned gsm7_header_septets(size_t octets)
{
	return (unsigned)((octets * 8 + 6) / 7);
}
static inline unsigned gsm7_header_fill(size_t octets)
{
	return (unsigned)(gsm7_header_septets(octets) * 7 - octets * 8);
}

#endif
