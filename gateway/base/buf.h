/* A growing byte buffer, and the writer of big-endian integers. Allocation failure ends the
 * process (mem.h); who feeds it bytes from outside checks their number first.
 */
#ifndef POSTERN_BASE_BUF_H
#define POSTERN_BASE_BUF_H

#include "gateway/base/str.h"

#include <stdarg.h>

struct buf {
	char *p;
	size_t n, cap;
};
#define BUF_INIT ((struct buf){ 0 })

void buf_free(struct buf *b);              /* frees and zeroes */
void buf_reserve(struct buf *b, size_t n); /* room for n more */
char *buf_extend(struct buf *b, size_t n); /* n more bytes, uninitialised; pointer to them */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_c(struct buf *b, const char *cstr);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_u8(struct buf *b, uint8_t v);
void buf_be16(struct buf *b, uint16_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_utf8(struct buf *b, uint32_t code_point);
void buf_json(struct buf *b, struct str s); /* "…" quoted and escaped; invalid UTF-8 as U+FFFD */
/* A member of a JSON object behind another one: `,"key":"value"`; nothing when s is empty, or null.
 */
void buf_json_member(struct buf *b, const char *key, struct str s);
void buf_json_member_or_null(struct buf *b, const char *key, struct str s);
void buf_drop(struct buf *b, size_t n); /* forgets the first n bytes */
/* Makes the contents NUL-terminated (the NUL is not counted) and returns them. */
char *buf_cstr(struct buf *b);

static inline void buf_reset(struct buf *b)
{
	b->n = 0;
}
static inline struct str buf_view(const struct buf *b)
{
	return str_n(b->p, b->n);
}

static inline uint16_t be16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] << 8 | b[1]);
}
static inline uint32_t be32(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}
static inline void put_be16(void *p, uint16_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}
static inline void put_be32(void *p, uint32_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)(v >> 24);
	b[1] = (uint8_t)(v >> 16);
	b[2] = (uint8_t)(v >> 8);
	b[3] = (uint8_t)v;
}

#endif
