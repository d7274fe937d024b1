/* A string is a slice: pointer and length by value, not NUL-terminated, not owned.
 * NUL-terminated strings exist at the edges (libc, libraries, string literals) only.
 */
#ifndef POSTERN_BASE_STR_H
#define POSTERN_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(lit) ((struct str){ (lit), sizeof(lit) - 1 })
#define STR_NONE ((struct str){ "", 0 })
/* For printf: "%.*s", STR_ARG(s) */
#define STR_ARG(s) (int)(s).n, (s).p

static inline struct str str_of(const char *c)
{
	return c ? (struct str){ c, strlen(c) } : STR_NONE;
}
static inline struct str str_n(const void *p, size_t n)
{
	return (struct str){ p ? (const char *)p : "", n };
}
static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool str_is(struct str a, const char *c)
{
	return str_eq(a, str_of(c));
}
/* Two texts that may be missing, which is as good as empty. */
static inline bool str_same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}
bool str_ieq(struct str a, struct str b); /* ASCII case folded */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_trim(struct str s);           /* spaces, tabs, CR, LF at both ends */
struct str str_skip(struct str s, size_t n); /* without its first n bytes */
int str_cmp(struct str a, struct str b);     /* bytes, then length */
/* Index of c, or -1. */
ptrdiff_t str_index(struct str s, char c);
ptrdiff_t str_find(struct str s, struct str what);
/* Cuts the part before the first sep off *rest; false when nothing is left. */
bool str_cut(struct str *rest, char sep, struct str *head_r);
/* Whole slice is a decimal number that fits: true and *v_r. No sign, no spaces. */
bool str_u64(struct str s, uint64_t *v_r);
bool str_i64(struct str s, int64_t *v_r); /* one leading '-' allowed */
/* What a hexadecimal digit of either case stands for, what a letter of base64 (RFC 4648 §4); -1:
 * it is none. */
static inline int str_hex_value(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}
static inline int str_base64_value(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+'             ? 62
	       : c == '/'             ? 63
				      : -1;
}
/* Shell-like pattern: '*' any run, '?' one byte, all else itself. Never worse than pattern.n * s.n
 * steps, since only the last '*' is ever tried anew; nearly always s.n. */
bool str_glob(struct str pattern, struct str s);
/* Copies into a C buffer of cap bytes, cut if need be, always NUL-terminated; returns s.n. */
size_t str_copy(char *dst, size_t cap, struct str s);
/* True when the bytes are valid UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool str_utf8_valid(struct str s);
/* Takes one code point off *s; -1 at the end, -2 (and one byte taken) on an invalid sequence. */
int32_t str_utf8_next(struct str *s);
/* Time that does not depend on where they differ; lengths may leak. */
bool str_eq_secret(struct str a, struct str b);
uint64_t str_hash(struct str s); /* not for hostile keys: see map_seed() */
/* Edit distance up to max (returns max + 1 beyond), for "did you mean". */
unsigned str_distance(struct str a, struct str b, unsigned max);

#endif
