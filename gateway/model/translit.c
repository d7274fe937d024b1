/* Transliteration. See translit.h.
 *
 * Order of the look-up: punctuation, Latin letters, Greek, Cyrillic; each in its own table of the
 * shape that its block has. A character of GSM's own alphabet is never asked for here: the caller
 * changes only what a coding lacks.
 */
#include "gateway/model/translit.h"

#include <stdlib.h>

static const struct {
	const char *name;
	unsigned set;
} sets_by_name[] = {
	{ "punctuation", TRANSLIT_PUNCTUATION },
	{ "accents", TRANSLIT_ACCENTS },
	{ "greek", TRANSLIT_GREEK },
	{ "cyrillic", TRANSLIT_CYRILLIC },
	{ "all", TRANSLIT_ALL },
};

unsigned translit_find(struct str name)
{
	for (size_t i = 0; i < sizeof sets_by_name / sizeof *sets_by_name; i++)
		if (str_is(name, sets_by_name[i].name))
			return sets_by_name[i].set;
	return 0;
}

struct entry {
	uint16_t from;
	const char *to;
};

/* Sorted. Empty: the character carries nothing that a reader would miss. */
static const struct entry punctuation[] = {
	{ 0x0009, " " },
	{ 0x0060, "'" },
	{ 0x00a0, " " },
	{ 0x00a6, "|" },
	{ 0x00a9, "(c)" },
	{ 0x00aa, "a" },
	{ 0x00ab, "\"" },
	{ 0x00ad, "" },
	{ 0x00ae, "(R)" },
	{ 0x00b1, "+-" },
	{ 0x00b2, "2" },
	{ 0x00b3, "3" },
	{ 0x00b4, "'" },
	{ 0x00b7, "." },
	{ 0x00b9, "1" },
	{ 0x00ba, "o" },
	{ 0x00bb, "\"" },
	{ 0x00bc, "1/4" },
	{ 0x00bd, "1/2" },
	{ 0x00be, "3/4" },
	{ 0x00d7, "x" },
	{ 0x00f7, ":" },
	{ 0x02b9, "'" },
	{ 0x02ba, "\"" },
	{ 0x02bb, "'" },
	{ 0x02bc, "'" },
	{ 0x02bd, "'" },
	{ 0x02c6, "^" },
	{ 0x02c8, "'" },
	{ 0x02cb, "'" },
	{ 0x02dc, "~" },
	{ 0x2000, " " },
	{ 0x2001, " " },
	{ 0x2002, " " },
	{ 0x2003, " " },
	{ 0x2004, " " },
	{ 0x2005, " " },
	{ 0x2006, " " },
	{ 0x2007, " " },
	{ 0x2008, " " },
	{ 0x2009, " " },
	{ 0x200a, " " },
	{ 0x200b, "" },
	{ 0x200c, "" },
	{ 0x200e, "" },
	{ 0x200f, "" },
	{ 0x2010, "-" },
	{ 0x2011, "-" },
	{ 0x2012, "-" },
	{ 0x2013, "-" },
	{ 0x2014, "-" },
	{ 0x2015, "-" },
	{ 0x2018, "'" },
	{ 0x2019, "'" },
	{ 0x201a, "'" },
	{ 0x201b, "'" },
	{ 0x201c, "\"" },
	{ 0x201d, "\"" },
	{ 0x201e, "\"" },
	{ 0x201f, "\"" },
	{ 0x2020, "+" },
	{ 0x2022, "*" },
	{ 0x2024, "." },
	{ 0x2025, ".." },
	{ 0x2026, "..." },
	{ 0x2027, "." },
	{ 0x2028, "\n" },
	{ 0x2029, "\n" },
	{ 0x202a, "" },
	{ 0x202b, "" },
	{ 0x202c, "" },
	{ 0x202d, "" },
	{ 0x202e, "" },
	{ 0x202f, " " },
	{ 0x2032, "'" },
	{ 0x2033, "\"" },
	{ 0x2035, "'" },
	{ 0x2036, "\"" },
	{ 0x2039, "'" },
	{ 0x203a, "'" },
	{ 0x203c, "!!" },
	{ 0x2043, "-" },
	{ 0x2044, "/" },
	{ 0x2047, "?\?" },
	{ 0x2048, "?!" },
	{ 0x2049, "!?" },
	{ 0x205f, " " },
	{ 0x2060, "" },
	{ 0x2066, "" },
	{ 0x2067, "" },
	{ 0x2068, "" },
	{ 0x2069, "" },
	{ 0x2070, "0" },
	{ 0x2074, "4" },
	{ 0x2075, "5" },
	{ 0x2076, "6" },
	{ 0x2077, "7" },
	{ 0x2078, "8" },
	{ 0x2079, "9" },
	{ 0x2116, "No" },
	{ 0x2122, "TM" },
	{ 0x2190, "<-" },
	{ 0x2192, "->" },
	{ 0x2212, "-" },
	{ 0x2215, "/" },
	{ 0x2219, "." },
	{ 0x223c, "~" },
	{ 0x2264, "<=" },
	{ 0x2265, ">=" },
	{ 0x25cf, "*" },
	{ 0x3000, " " },
	{ 0x3001, "," },
	{ 0x3002, "." },
	{ 0x300c, "\"" },
	{ 0x300d, "\"" },
	{ 0xfb00, "ff" },
	{ 0xfb01, "fi" },
	{ 0xfb02, "fl" },
	{ 0xfb03, "ffi" },
	{ 0xfb04, "ffl" },
	{ 0xfe0e, "" },
	{ 0xfe0f, "" },
	{ 0xfeff, "" },
};

/* One letter for each of U+00C0-U+024F and U+1E00-U+1EFF: '.' none, '*' see digraphs. */
static const char latin_c0[] = "AAAAAA*CEEEEIIIIDNOOOOO.OUUUUY**aaaaaa*ceeeeiiiidnooooo.ouuuuy*y"
			       "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIi**JjKkkLlLlLlL"
			       "lLlNnNnNn*NnOoOoOo**RrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs"
			       "bBBb...CcDDDd.EE.FfG...IKkl..NnOOo..Pp.....tTtTUu.VYyZz........."
			       "....*********AaIiOoUuUuUuUuUueAaAa**GgGgKkOoOo..j***Gg..NnAa**Oo"
			       "AaAaEeEeIiIiOoOoRrRrUuUuSsTt..Hh.d..ZzAaEeOoOoOoOoYylntj**ACcLT."
			       "...B..EeJj..RrYy";
static const char latin_1e00[] = "AaBbBbBbCcDdDdDdDdDdEeEeEeEeEeFfGgHhHhHhHhHhIiIiKkKkKkLlLlLlLlMm"
				 "MmMmNnNnNnNnOoOoOoOoPpPpRrRrRrRrSsSsSsSsSsTtTtTtTtUuUuUuUuUuVvVv"
				 "WwWwWwWwWwXxXxYyZzZzZzhtwya...*.AaAaAaAaAaAaAaAaAaAaAaAaEeEeEeEe"
				 "EeEeEeEeIiIiOoOoOoOoOoOoOoOoOoOoOoOoUuUuUuUuUuUuUuYyYyYyYy......";
static const struct entry digraphs[] = {
	{ 0x00c6, "AE" },
	{ 0x00de, "Th" },
	{ 0x00df, "ss" },
	{ 0x00e6, "ae" },
	{ 0x00fe, "th" },
	{ 0x0132, "IJ" },
	{ 0x0133, "ij" },
	{ 0x0149, "'n" },
	{ 0x0152, "OE" },
	{ 0x0153, "oe" },
	{ 0x01c4, "DZ" },
	{ 0x01c5, "Dz" },
	{ 0x01c6, "dz" },
	{ 0x01c7, "LJ" },
	{ 0x01c8, "Lj" },
	{ 0x01c9, "lj" },
	{ 0x01ca, "NJ" },
	{ 0x01cb, "Nj" },
	{ 0x01cc, "nj" },
	{ 0x01e2, "AE" },
	{ 0x01e3, "ae" },
	{ 0x01f1, "DZ" },
	{ 0x01f2, "Dz" },
	{ 0x01f3, "dz" },
	{ 0x01fc, "AE" },
	{ 0x01fd, "ae" },
	{ 0x0238, "db" },
	{ 0x0239, "qp" },
	{ 0x1e9e, "SS" },
};

/* U+0391-U+03C9: the capitals that look Latin as Latin, the others as GSM's own Greek capitals;
 * small letters as their capitals, as Greek subscribers are used to. */
static const char *const greek[] = { "A", "B", "Γ", "Δ", "E", "Z", "H", "Θ", "I", "K", "Λ", "M",
	"N", "Ξ", "O", "Π", "P", NULL, "Σ", "T", "Y", "Φ", "X", "Ψ", "Ω", "I", "Y", "A", "E", "H",
	"I", "Y", "A", "B", "Γ", "Δ", "E", "Z", "H", "Θ", "I", "K", "Λ", "M", "N", "Ξ", "O", "Π",
	"P", "Σ", "Σ", "T", "Y", "Φ", "X", "Ψ", "Ω" };
static const struct entry greek_marked[] = {
	{ 0x0384, "'" },
	{ 0x0386, "A" },
	{ 0x0388, "E" },
	{ 0x0389, "H" },
	{ 0x038a, "I" },
	{ 0x038c, "O" },
	{ 0x038e, "Y" },
	{ 0x038f, "Ω" },
	{ 0x0390, "I" },
	{ 0x03ca, "I" },
	{ 0x03cb, "Y" },
	{ 0x03cc, "O" },
	{ 0x03cd, "Y" },
	{ 0x03ce, "Ω" },
};

/* U+0410-U+044F: Russian. */
static const char *const cyrillic[] = { "A", "B", "V", "G", "D", "E", "Zh", "Z", "I", "Y", "K", "L",
	"M", "N", "O", "P", "R", "S", "T", "U", "F", "Kh", "Ts", "Ch", "Sh", "Shch", "", "Y", "",
	"E", "Yu", "Ya", "a", "b", "v", "g", "d", "e", "zh", "z", "i", "y", "k", "l", "m", "n", "o",
	"p", "r", "s", "t", "u", "f", "kh", "ts", "ch", "sh", "shch", "", "y", "", "e", "yu",
	"ya" };
/* Ukrainian, Belarusian, Serbian, Macedonian, Kazakh. */
static const struct entry cyrillic_others[] = {
	{ 0x0400, "E" },
	{ 0x0401, "Yo" },
	{ 0x0402, "Dj" },
	{ 0x0403, "Gj" },
	{ 0x0404, "Ye" },
	{ 0x0405, "Dz" },
	{ 0x0406, "I" },
	{ 0x0407, "Yi" },
	{ 0x0408, "J" },
	{ 0x0409, "Lj" },
	{ 0x040a, "Nj" },
	{ 0x040b, "C" },
	{ 0x040c, "Kj" },
	{ 0x040d, "I" },
	{ 0x040e, "U" },
	{ 0x040f, "Dz" },
	{ 0x0450, "e" },
	{ 0x0451, "yo" },
	{ 0x0452, "dj" },
	{ 0x0453, "gj" },
	{ 0x0454, "ye" },
	{ 0x0455, "dz" },
	{ 0x0456, "i" },
	{ 0x0457, "yi" },
	{ 0x0458, "j" },
	{ 0x0459, "lj" },
	{ 0x045a, "nj" },
	{ 0x045b, "c" },
	{ 0x045c, "kj" },
	{ 0x045d, "i" },
	{ 0x045e, "u" },
	{ 0x045f, "dz" },
	{ 0x0490, "G" },
	{ 0x0491, "g" },
	{ 0x0492, "Gh" },
	{ 0x0493, "gh" },
	{ 0x049a, "Q" },
	{ 0x049b, "q" },
	{ 0x04a2, "Ng" },
	{ 0x04a3, "ng" },
	{ 0x04ae, "U" },
	{ 0x04af, "u" },
	{ 0x04b0, "U" },
	{ 0x04b1, "u" },
	{ 0x04ba, "H" },
	{ 0x04bb, "h" },
	{ 0x04d8, "A" },
	{ 0x04d9, "a" },
	{ 0x04e8, "O" },
	{ 0x04e9, "o" },
};
#define COUNT(a) (sizeof(a) / sizeof *(a))

static int compare(const void *key, const void *entry)
{
	uint32_t c = *(const uint32_t *)key;
	uint16_t from = ((const struct entry *)entry)->from;

	return (c > from) - (c < from);
}

static const char *find(const struct entry *table, size_t n, uint32_t c)
{
	const struct entry *e = bsearch(&c, table, n, sizeof *table, compare);

	return e ? e->to : NULL;
}

/* One-letter results are slices of the tables themselves. */
static bool latin(uint32_t c, struct str *to_r)
{
	const char *at = NULL;

	if (c >= 0xc0 && c <= 0x24f)
		at = &latin_c0[c - 0xc0];
	else if (c >= 0x1e00 && c <= 0x1eff)
		at = &latin_1e00[c - 0x1e00];
	else if (c >= 0x300 && c < 0x370) /* a mark that no letter took */
		return *to_r = STR_NONE, true;
	if (!at || *at == '.')
		return false;
	*to_r = *at == '*' ? str_of(find(digraphs, COUNT(digraphs), c)) : str_n(at, 1);
	return true;
}

bool translit_char(uint32_t c, unsigned sets, struct str *to_r)
{
	static const char full_width[] =
		"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"[\\]^_'abcdefghijklmnopqrstuvwxyz{|}~";
	const char *to = NULL;

	if (sets & TRANSLIT_PUNCTUATION) {
		if (c >= 0xff01 && c <= 0xff5e)
			return *to_r = str_n(&full_width[c - 0xff01], 1), true;
		to = find(punctuation, COUNT(punctuation), c);
	}
	if (!to && sets & TRANSLIT_ACCENTS && latin(c, to_r))
		return true;
	if (!to && sets & TRANSLIT_GREEK && c >= 0x384 && c <= 0x3ce)
		to = c >= 0x391 && c <= 0x3c9 ? greek[c - 0x391]
					      : find(greek_marked, COUNT(greek_marked), c);
	if (!to && sets & TRANSLIT_CYRILLIC && c >= 0x400 && c < 0x500)
		to = c >= 0x410 && c <= 0x44f ? cyrillic[c - 0x410]
					      : find(cyrillic_others, COUNT(cyrillic_others), c);
	if (to)
		*to_r = str_of(to);
	return to;
}

bool translit_is_capital(uint32_t c)
{
	if (c >= 0x400 && c <= 0x42f)
		return true;
	if (c >= 0x460 && c < 0x530)
		return (c & 1) == (c >= 0x4c1 && c <= 0x4ce);
	return c >= 'A' && c <= 'Z';
}
