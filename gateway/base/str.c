/* Slices of bytes. See str.h. */
#include "gateway/base/str.h"

static unsigned char fold(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

bool str_ieq(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (fold(a.p[i]) != fold(b.p[i]))
			return false;
	return true;
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n &&
	       (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
	while (s.n && is_space(s.p[0]))
		s = str_skip(s, 1);
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct str str_skip(struct str s, size_t n)
{
	if (n > s.n)
		n = s.n;
	return (struct str){ s.p + n, s.n - n };
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	return c ? c : (a.n > b.n) - (a.n < b.n);
}

ptrdiff_t str_index(struct str s, char c)
{
	const char *q = s.n ? memchr(s.p, c, s.n) : NULL;

	return q ? q - s.p : -1;
}

ptrdiff_t str_find(struct str s, struct str what)
{
	const char *q = memmem(s.p, s.n, what.p, what.n);

	return q ? q - s.p : -1;
}

bool str_cut(struct str *rest, char sep, struct str *head_r)
{
	ptrdiff_t i;

	if (!rest->p)
		return false;
	i = str_index(*rest, sep);
	if (i < 0) {
		*head_r = *rest;
		*rest = (struct str){ NULL, 0 };
		return true;
	}
	*head_r = (struct str){ rest->p, (size_t)i };
	*rest = str_skip(*rest, (size_t)i + 1);
	return true;
}

bool str_u64(struct str s, uint64_t *v_r)
{
	uint64_t v = 0;

	if (s.n == 0 || s.n > 20)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned char)s.p[i] - '0';

		if (d > 9 || v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*v_r = v;
	return true;
}

bool str_i64(struct str s, int64_t *v_r)
{
	bool neg = s.n && s.p[0] == '-';
	uint64_t u;

	if (!str_u64(neg ? str_skip(s, 1) : s, &u) || u > (uint64_t)INT64_MAX)
		return false;
	*v_r = neg ? -(int64_t)u : (int64_t)u;
	return true;
}

bool str_glob(struct str pat, struct str s)
{
	size_t p = 0, i = 0, star = SIZE_MAX, mark = 0;

	while (i < s.n) {
		if (p < pat.n && pat.p[p] == '*') {
			star = p++;
			mark = i;
		} else if (p < pat.n && (pat.p[p] == '?' || pat.p[p] == s.p[i])) {
			p++;
			i++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			i = ++mark;
		} else {
			return false;
		}
	}
	while (p < pat.n && pat.p[p] == '*')
		p++;
	return p == pat.n;
}

size_t str_copy(char *dst, size_t cap, struct str s)
{
	size_t n = s.n < cap ? s.n : cap - 1;

	if (n)
		memcpy(dst, s.p, n);
	dst[n] = '\0';
	return s.n;
}

int32_t str_utf8_next(struct str *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c, n;

	if (s->n == 0)
		return -1;
	c = (uint8_t)s->p[0];
	if (c < 0x80) {
		*s = str_skip(*s, 1);
		return (int32_t)c;
	}
	n = c >= 0xf0 && c <= 0xf4 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 0;
	if (n == 0 || s->n < n)
		goto bad;
	c &= 0x7fu >> n;
	for (uint32_t i = 1; i < n; i++) {
		if (((uint8_t)s->p[i] & 0xc0) != 0x80)
			goto bad;
		c = c << 6 | ((uint8_t)s->p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		goto bad;
	*s = str_skip(*s, n);
	return (int32_t)c;
bad:
	*s = str_skip(*s, 1);
	return -2;
}

bool str_utf8_valid(struct str s)
{
	int32_t c;

	while ((c = str_utf8_next(&s)) >= 0)
		;
	return c == -1;
}

bool str_eq_secret(struct str a, struct str b)
{
	volatile unsigned char diff = a.n != b.n;

	for (size_t i = 0; i < a.n; i++)
		diff |= (unsigned char)(a.p[i] ^ (b.n ? b.p[i % b.n] : 0));
	return diff == 0;
}

/* wyhash-like mixing of 8-byte words: fast for the short keys of this program. */
uint64_t str_hash(struct str s)
{
	uint64_t h = 0x9e3779b97f4a7c15ull ^ s.n, w;

	while (s.n >= 8) {
		memcpy(&w, s.p, 8);
		h = (h ^ w) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
		s = str_skip(s, 8);
	}
	w = 0;
	if (s.n)
		memcpy(&w, s.p, s.n);
	h = (h ^ w) * 0xc4ceb9fe1a85ec53ull;
	return h ^ h >> 29;
}

unsigned str_distance(struct str a, struct str b, unsigned max)
{
	unsigned row[65];

	if (a.n > 64 || b.n > 64)
		return max + 1;
	for (unsigned j = 0; j <= b.n; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned diag = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			unsigned up = row[j], best = diag + (fold(a.p[i - 1]) != fold(b.p[j - 1]));

			if (up + 1 < best)
				best = up + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diag = up;
		}
	}
	return row[b.n] > max ? max + 1 : row[b.n];
}
