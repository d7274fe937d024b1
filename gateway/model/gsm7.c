/* The 7-bit alphabet of GSM. See gsm7.h; the tables are in gsm7_tables.c. */
#include "gateway/model/gsm7.h"
#include "gateway/model/gsm7_tables.h"

static const struct {
	const char *name, *code;
} languages[GSM7_LANGUAGES] = {
	[GSM7_DEFAULT] = { "default", "" },
	[GSM7_TURKISH] = { "turkish", "tr" },
	[GSM7_SPANISH] = { "spanish", "es" },
	[GSM7_PORTUGUESE] = { "portuguese", "pt" },
	[GSM7_BENGALI] = { "bengali", "bn" },
	[GSM7_GUJARATI] = { "gujarati", "gu" },
	[GSM7_HINDI] = { "hindi", "hi" },
	[GSM7_KANNADA] = { "kannada", "kn" },
	[GSM7_MALAYALAM] = { "malayalam", "ml" },
	[GSM7_ORIYA] = { "oriya", "or" },
	[GSM7_PUNJABI] = { "punjabi", "pa" },
	[GSM7_TAMIL] = { "tamil", "ta" },
	[GSM7_TELUGU] = { "telugu", "te" },
	[GSM7_URDU] = { "urdu", "ur" },
};

const char *gsm7_language_name(unsigned language)
{
	return language < GSM7_LANGUAGES ? languages[language].name : "";
}

int gsm7_language_find(struct str name)
{
	for (int i = 0; name.n && i < GSM7_LANGUAGES; i++)
		if (str_ieq(name, str_of(languages[i].name)) ||
			str_ieq(name, str_of(languages[i].code)))
			return i;
	return -1;
}

bool gsm7_has_locking(unsigned language)
{
	return language < GSM7_LANGUAGES && gsm7_locking_tables[language];
}

bool gsm7_has_single(unsigned language)
{
	return language < GSM7_LANGUAGES && gsm7_single_tables[language];
}

static const struct gsm7_table *locking_table(unsigned language)
{
	return gsm7_locking_tables[gsm7_has_locking(language) ? language : GSM7_DEFAULT];
}

static const struct gsm7_table *single_table(unsigned language)
{
	return gsm7_single_tables[gsm7_has_single(language) ? language : GSM7_DEFAULT];
}

/* The code of a character in one table, or GSM7_NONE. */
static unsigned table_code(const struct gsm7_table *t, uint32_t cp)
{
	unsigned lo = 0, hi = t->count;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2, code = t->order[mid];

		if (t->chars[code] == cp)
			return code;
		if (t->chars[code] < cp)
			lo = mid + 1;
		else
			hi = mid;
	}
	return GSM7_NONE;
}

unsigned gsm7_code_default(uint32_t cp)
{
	unsigned code;

	if (cp < 0x100)
		return gsm7_default_low[cp];
	if (cp == 0x20ac) /* the only character of the extension above Latin-1 */
		return GSM7_ESC << 8 | 0x65;
	if (cp < 0x393 || cp > 0x3a9)
		return GSM7_NONE;
	code = table_code(gsm7_locking_tables[GSM7_DEFAULT], cp);
	return code;
}

unsigned gsm7_code(uint32_t cp, unsigned locking, unsigned single)
{
	unsigned code;

	if (!locking && !single)
		return gsm7_code_default(cp);
	if (cp > 0xfffe)
		return GSM7_NONE;
	/* Without a locking table most characters are found without a search. */
	code = locking ? table_code(locking_table(locking), cp) : gsm7_code_default(cp);
	if (code < 128)
		return code;
	code = table_code(single_table(single), cp);
	return code == GSM7_NONE ? GSM7_NONE : GSM7_ESC << 8 | code;
}

uint32_t gsm7_locking_char(unsigned language, uint8_t code)
{
	return code < 128 ? locking_table(language)->chars[code] : GSM7_NONE;
}

uint32_t gsm7_single_char(unsigned language, uint8_t code)
{
	return code < 128 ? single_table(language)->chars[code] : GSM7_NONE;
}

int gsm7_encode(struct str utf8, unsigned locking, unsigned single, struct buf *out, size_t *bad_r)
{
	size_t before = out->n;
	struct str rest = utf8;
	int32_t cp;

	for (;;) {
		size_t at = utf8.n - rest.n;
		unsigned code;

		if ((cp = str_utf8_next(&rest)) == -1)
			return 0;
		code = cp < 0 ? GSM7_NONE : gsm7_code((uint32_t)cp, locking, single);
		if (code == GSM7_NONE) {
			if (bad_r)
				*bad_r = at;
			out->n = before;
			return -1;
		}
		if (code > 0x7f)
			buf_u8(out, GSM7_ESC);
		buf_u8(out, (uint8_t)(code & 0x7f));
	}
}

/* Writes the UTF-8 of a character of the basic plane; returns the end. */
static char *put_utf8(char *p, uint32_t c)
{
	if (c < 0x80) {
		*p++ = (char)c;
	} else if (c < 0x800) {
		*p++ = (char)(0xc0 | c >> 6);
		*p++ = (char)(0x80 | (c & 0x3f));
	} else {
		*p++ = (char)(0xe0 | c >> 12);
		*p++ = (char)(0x80 | (c >> 6 & 0x3f));
		*p++ = (char)(0x80 | (c & 0x3f));
	}
	return p;
}

size_t gsm7_decode(struct str septets, unsigned locking, unsigned single, struct buf *out)
{
	const struct gsm7_table *lock = locking_table(locking), *shift = single_table(single);
	char *at = buf_extend(out, septets.n * 3); /* no septet is more in UTF-8 */
	size_t strange = 0;

	for (size_t i = 0; i < septets.n; i++) {
		uint8_t code = (uint8_t)septets.p[i];
		uint32_t cp;

		if (code == GSM7_ESC) {
			if (i + 1 == septets.n || (uint8_t)septets.p[i + 1] == GSM7_ESC) {
				*at++ = ' ';
				i++;
				continue;
			}
			code = (uint8_t)septets.p[++i];
			cp = code < 128 ? shift->chars[code] : GSM7_NONE;
			if (cp != GSM7_NONE) {
				at = put_utf8(at, cp);
				continue;
			}
		}
		cp = code < 128 ? lock->chars[code] : GSM7_NONE;
		if (cp == GSM7_NONE) {
			cp = 0xfffd;
			strange++;
		}
		at = put_utf8(at, cp);
	}
	out->n = (size_t)(at - out->p);
	return strange;
}

size_t gsm7_packed_size(size_t septets, unsigned fill)
{
	return septets ? (septets * 7 + fill + 7) / 8 : 0;
}

size_t gsm7_unpacked_size(size_t octets, unsigned fill)
{
	return octets ? (octets * 8 - fill) / 7 : 0;
}

void gsm7_pack(struct str septets, unsigned fill, struct buf *out)
{
	size_t n = gsm7_packed_size(septets.n, fill);
	uint8_t *p = (uint8_t *)buf_extend(out, n);
	uint32_t bits = 0; /* not yet written, the lowest first */
	unsigned have = fill;

	for (size_t i = 0; i < septets.n; i++) {
		bits |= (uint32_t)(septets.p[i] & 0x7f) << have;
		for (have += 7; have >= 8; have -= 8) {
			*p++ = (uint8_t)bits;
			bits >>= 8;
		}
	}
	if (septets.n && have)
		*p = (uint8_t)bits;
}

size_t gsm7_unpack(struct str octets, unsigned fill, size_t n, struct buf *out)
{
	size_t hold = gsm7_unpacked_size(octets.n, fill);
	uint8_t *p;
	uint32_t bits = 0;
	unsigned have = 0;

	if (n > hold)
		n = hold;
	p = (uint8_t *)buf_extend(out, n);
	for (size_t i = 0, done = 0; done < n; i++) {
		bits |= (uint32_t)(uint8_t)octets.p[i] << have;
		have += 8;
		if (i == 0) {
			bits >>= fill;
			have -= fill;
		}
		for (; have >= 7 && done < n; have -= 7, done++) {
			*p++ = bits & 0x7f;
			bits >>= 7;
		}
	}
	return n;
}
