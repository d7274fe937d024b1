/* A little Unicode. See unicode.h; the tables are in unicode_tables.c. */
#include "gateway/model/unicode.h"
#include "gateway/base/str.h"
#include "gateway/model/unicode_tables.h"

#include <stdio.h>

/* Hangul syllables are composed by arithmetic (Unicode 3.12). */
enum {
	HANGUL_S = 0xac00,
	HANGUL_L = 0x1100,
	HANGUL_V = 0x1161,
	HANGUL_T = 0x11a7,
	HANGUL_LS = 19,
	HANGUL_VS = 21,
	HANGUL_TS = 28,
	HANGUL_SS = HANGUL_LS * HANGUL_VS * HANGUL_TS,
};

static bool is_jamo_l(uint32_t c)
{
	return c - HANGUL_L < HANGUL_LS;
}
static bool is_jamo_v(uint32_t c)
{
	return c - HANGUL_V < HANGUL_VS;
}
static bool is_jamo_t(uint32_t c)
{
	return c > HANGUL_T && c - HANGUL_T < HANGUL_TS;
}

uint32_t unicode_compose(uint32_t first, uint32_t second)
{
	size_t lo = 0, hi = unicode_pair_count;

	if (second < 0x300 || first > 0xffff || second > 0xffff)
		return 0;
	if (is_jamo_l(first) && is_jamo_v(second))
		return HANGUL_S + ((first - HANGUL_L) * HANGUL_VS + second - HANGUL_V) * HANGUL_TS;
	if (first - HANGUL_S < HANGUL_SS && (first - HANGUL_S) % HANGUL_TS == 0 &&
		is_jamo_t(second))
		return first + second - HANGUL_T;
	if (!unicode_extends(second))
		return 0;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct unicode_pair *p = &unicode_pairs[mid];

		if (p->first == first && p->second == second)
			return p->composed;
		if (p->first < first || (p->first == first && p->second < second))
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

uint32_t unicode_canonical(uint32_t c)
{
	switch (c) {
	case 0x0340: /* the tone marks that NFC replaces */
		return 0x0300;
	case 0x0341:
		return 0x0301;
	case 0x0343:
		return 0x0313;
	case 0x0374: /* Greek numeral sign */
		return 0x02b9;
	case 0x037e: /* Greek question mark */
		return ';';
	case 0x0387: /* Greek ano teleia */
		return 0x00b7;
	case 0x1fef:
		return '`';
	case 0x2126: /* ohm */
		return 0x03a9;
	case 0x212a: /* kelvin */
		return 'K';
	case 0x212b: /* ångström */
		return 0x00c5;
	default:
		return c;
	}
}

bool unicode_extends(uint32_t c)
{
	size_t lo = 0, hi = unicode_extender_count;

	/* The scripts that most texts are in have none outside 0300-036F. */
	if (c < 0x300 || (c >= 0x370 && c < 0x483) || (c >= 0x3100 && c < 0xa66f) ||
		(c >= 0xac00 && c < 0xfb1e))
		return false;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (c > unicode_extenders[mid].to)
			lo = mid + 1;
		else if (c < unicode_extenders[mid].from)
			hi = mid;
		else
			return true;
	}
	return false;
}

bool unicode_clings(uint32_t first, uint32_t second)
{
	if (second < 0x300)
		return first == '\r' && second == '\n';
	if (first == 0x200d || unicode_extends(second))
		return true;
	return (is_jamo_l(first) && (is_jamo_v(second) || is_jamo_l(second))) ||
	       ((is_jamo_v(first) || first - HANGUL_S < HANGUL_SS) && is_jamo_t(second));
}

/* ---- names -------------------------------------------------------------------------------- */

static const struct {
	uint16_t c;
	const char *name;
} names[] = {
	{ 0x0009, "TAB" },
	{ 0x0060, "GRAVE ACCENT" },
	{ 0x00a0, "NO-BREAK SPACE" },
	{ 0x00a6, "BROKEN BAR" },
	{ 0x00a9, "COPYRIGHT SIGN" },
	{ 0x00ab, "LEFT-POINTING DOUBLE ANGLE QUOTATION MARK" },
	{ 0x00ad, "SOFT HYPHEN" },
	{ 0x00ae, "REGISTERED SIGN" },
	{ 0x00b0, "DEGREE SIGN" },
	{ 0x00b1, "PLUS-MINUS SIGN" },
	{ 0x00b2, "SUPERSCRIPT TWO" },
	{ 0x00b3, "SUPERSCRIPT THREE" },
	{ 0x00b4, "ACUTE ACCENT" },
	{ 0x00b5, "MICRO SIGN" },
	{ 0x00b7, "MIDDLE DOT" },
	{ 0x00bb, "RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK" },
	{ 0x00bd, "VULGAR FRACTION ONE HALF" },
	{ 0x00d7, "MULTIPLICATION SIGN" },
	{ 0x0131, "LATIN SMALL LETTER DOTLESS I" },
	{ 0x0141, "LATIN CAPITAL LETTER L WITH STROKE" },
	{ 0x0142, "LATIN SMALL LETTER L WITH STROKE" },
	{ 0x0152, "LATIN CAPITAL LIGATURE OE" },
	{ 0x0153, "LATIN SMALL LIGATURE OE" },
	{ 0x2002, "EN SPACE" },
	{ 0x2003, "EM SPACE" },
	{ 0x2009, "THIN SPACE" },
	{ 0x200b, "ZERO WIDTH SPACE" },
	{ 0x200c, "ZERO WIDTH NON-JOINER" },
	{ 0x200d, "ZERO WIDTH JOINER" },
	{ 0x200e, "LEFT-TO-RIGHT MARK" },
	{ 0x200f, "RIGHT-TO-LEFT MARK" },
	{ 0x2010, "HYPHEN" },
	{ 0x2011, "NON-BREAKING HYPHEN" },
	{ 0x2012, "FIGURE DASH" },
	{ 0x2013, "EN DASH" },
	{ 0x2014, "EM DASH" },
	{ 0x2015, "HORIZONTAL BAR" },
	{ 0x2018, "LEFT SINGLE QUOTATION MARK" },
	{ 0x2019, "RIGHT SINGLE QUOTATION MARK" },
	{ 0x201a, "SINGLE LOW-9 QUOTATION MARK" },
	{ 0x201c, "LEFT DOUBLE QUOTATION MARK" },
	{ 0x201d, "RIGHT DOUBLE QUOTATION MARK" },
	{ 0x201e, "DOUBLE LOW-9 QUOTATION MARK" },
	{ 0x2022, "BULLET" },
	{ 0x2026, "HORIZONTAL ELLIPSIS" },
	{ 0x2028, "LINE SEPARATOR" },
	{ 0x202f, "NARROW NO-BREAK SPACE" },
	{ 0x2032, "PRIME" },
	{ 0x2033, "DOUBLE PRIME" },
	{ 0x2039, "SINGLE LEFT-POINTING ANGLE QUOTATION MARK" },
	{ 0x203a, "SINGLE RIGHT-POINTING ANGLE QUOTATION MARK" },
	{ 0x20b9, "INDIAN RUPEE SIGN" },
	{ 0x20bd, "RUBLE SIGN" },
	{ 0x2116, "NUMERO SIGN" },
	{ 0x2122, "TRADE MARK SIGN" },
	{ 0x2212, "MINUS SIGN" },
	{ 0x2605, "BLACK STAR" },
	{ 0x2713, "CHECK MARK" },
	{ 0x2764, "HEAVY BLACK HEART" },
	{ 0xfe0f, "VARIATION SELECTOR-16" },
	{ 0xfeff, "ZERO WIDTH NO-BREAK SPACE" },
	{ 0xfffd, "REPLACEMENT CHARACTER" },
};

static const struct {
	uint16_t mark;
	const char *name;
} marks[] = {
	{ 0x0300, "GRAVE" },
	{ 0x0301, "ACUTE" },
	{ 0x0302, "CIRCUMFLEX" },
	{ 0x0303, "TILDE" },
	{ 0x0304, "MACRON" },
	{ 0x0306, "BREVE" },
	{ 0x0307, "DOT ABOVE" },
	{ 0x0308, "DIAERESIS" },
	{ 0x0309, "HOOK ABOVE" },
	{ 0x030a, "RING ABOVE" },
	{ 0x030b, "DOUBLE ACUTE" },
	{ 0x030c, "CARON" },
	{ 0x031b, "HORN" },
	{ 0x0323, "DOT BELOW" },
	{ 0x0326, "COMMA BELOW" },
	{ 0x0327, "CEDILLA" },
	{ 0x0328, "OGONEK" },
};

/* What people call the characters of a range. */
static const struct {
	uint32_t to;
	const char *kind;
} kinds[] = {
	{ 0x001f, "control character" },
	{ 0x007f, "ASCII character" },
	{ 0x009f, "control character" },
	{ 0x00bf, "Latin-1 sign" },
	{ 0x02af, "Latin letter" },
	{ 0x02ff, "modifier letter" },
	{ 0x036f, "combining mark" },
	{ 0x03ff, "Greek letter" },
	{ 0x052f, "Cyrillic letter" },
	{ 0x058f, "Armenian letter" },
	{ 0x05ff, "Hebrew letter" },
	{ 0x06ff, "Arabic letter" },
	{ 0x08ff, "letter" },
	{ 0x097f, "Devanagari letter" },
	{ 0x09ff, "Bengali letter" },
	{ 0x0a7f, "Gurmukhi letter" },
	{ 0x0aff, "Gujarati letter" },
	{ 0x0b7f, "Oriya letter" },
	{ 0x0bff, "Tamil letter" },
	{ 0x0c7f, "Telugu letter" },
	{ 0x0cff, "Kannada letter" },
	{ 0x0d7f, "Malayalam letter" },
	{ 0x0dff, "Sinhala letter" },
	{ 0x0e7f, "Thai letter" },
	{ 0x0fff, "letter" },
	{ 0x109f, "Burmese letter" },
	{ 0x10ff, "Georgian letter" },
	{ 0x11ff, "Hangul letter" },
	{ 0x1dff, "letter" },
	{ 0x1eff, "Latin letter" },
	{ 0x1fff, "Greek letter" },
	{ 0x206f, "punctuation mark" },
	{ 0x209f, "superscript or subscript" },
	{ 0x20cf, "currency sign" },
	{ 0x20ff, "combining mark" },
	{ 0x214f, "letterlike symbol" },
	{ 0x218f, "number form" },
	{ 0x21ff, "arrow" },
	{ 0x22ff, "mathematical sign" },
	{ 0x25ff, "symbol" },
	{ 0x27bf, "emoji or symbol" },
	{ 0x2bff, "symbol" },
	{ 0x2e7f, "letter or mark" },
	{ 0x303f, "ideographic mark" },
	{ 0x30ff, "Japanese kana" },
	{ 0x31bf, "letter" },
	{ 0x9fff, "Chinese character" },
	{ 0xabff, "letter" },
	{ 0xd7ff, "Korean syllable" },
	{ 0xdfff, "surrogate" },
	{ 0xf8ff, "private use character" },
	{ 0xfaff, "Chinese character" },
	{ 0xfdff, "letter" },
	{ 0xfe0f, "variation selector" },
	{ 0xfeff, "letter or mark" },
	{ 0xffef, "half or full width form" },
	{ 0xffff, "special character" },
	{ 0x1efff, "letter or symbol" },
	{ 0x1faff, "emoji" },
	{ 0x1ffff, "symbol" },
	{ 0x3ffff, "Chinese character" },
	{ 0x10ffff, "special character" },
};

/* "LATIN SMALL LETTER S WITH CARON", taken apart mark by mark. */
static bool describe_latin(uint32_t c, char *out, size_t cap)
{
	const char *with[3];
	size_t n = 0, len;

	while (c > 0x7f && n < 3) {
		const struct unicode_pair *p = unicode_pairs, *end = p + unicode_pair_count;
		size_t m = 0;

		while (p < end && p->composed != c)
			p++;
		while (p < end && m < sizeof marks / sizeof *marks && marks[m].mark != p->second)
			m++;
		if (p == end || m == sizeof marks / sizeof *marks)
			return false;
		with[n++] = marks[m].name;
		c = p->first;
	}
	if (n == 0 || !((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
		return false;
	snprintf(
		out, cap, "LATIN %s LETTER %c", c >= 'a' ? "SMALL" : "CAPITAL", (char)(c & ~0x20u));
	for (const char *sep = " WITH "; n > 0; sep = " AND ") {
		len = strlen(out);
		snprintf(out + len, cap - len, "%s%s", sep, with[--n]);
	}
	return true;
}

void unicode_describe(uint32_t c, char *out, size_t cap)
{
	size_t i = 0;

	for (size_t k = 0; c <= 0xffff && k < sizeof names / sizeof *names; k++)
		if (names[k].c == c) {
			str_copy(out, cap, str_of(names[k].name));
			return;
		}
	if (c >= 0xc0 && c < 0x2000 && describe_latin(c, out, cap))
		return;
	while (i + 1 < sizeof kinds / sizeof *kinds && c > kinds[i].to)
		i++;
	str_copy(out, cap, str_of(kinds[i].kind));
}
