/* The growing buffer. See buf.h. */
#include "gateway/base/buf.h"
#include "gateway/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

void buf_free(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT;
}

void buf_reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 64;

	if (b->cap - b->n >= n && b->p)
		return;
	while (cap - b->n < n)
		cap *= 2;
	b->p = mem_grow(b->p, cap);
	b->cap = cap;
}

char *buf_extend(struct buf *b, size_t n)
{
	char *at;

	buf_reserve(b, n);
	at = b->p + b->n;
	b->n += n;
	return at;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (n)
		memcpy(buf_extend(b, n), p, n);
}

void buf_str(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.n);
}

void buf_c(struct buf *b, const char *cstr)
{
	buf_add(b, cstr, strlen(cstr));
}

void buf_char(struct buf *b, char c)
{
	*buf_extend(b, 1) = c;
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	buf_reserve(b, 64);
	n = vsnprintf(b->p + b->n, b->cap - b->n, fmt, ap);
	if (n > 0 && (size_t)n >= b->cap - b->n) {
		buf_reserve(b, (size_t)n + 1);
		vsnprintf(b->p + b->n, b->cap - b->n, fmt, again);
	}
	if (n > 0)
		b->n += (size_t)n;
	va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void buf_u8(struct buf *b, uint8_t v)
{
	*buf_extend(b, 1) = (char)v;
}

void buf_be16(struct buf *b, uint16_t v)
{
	put_be16(buf_extend(b, 2), v);
}

void buf_be32(struct buf *b, uint32_t v)
{
	put_be32(buf_extend(b, 4), v);
}

void buf_utf8(struct buf *b, uint32_t c)
{
	if (c < 0x80) {
		buf_char(b, (char)c);
	} else if (c < 0x800) {
		buf_u8(b, (uint8_t)(0xc0 | c >> 6));
		buf_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_u8(b, (uint8_t)(0xe0 | c >> 12));
		buf_u8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		buf_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
	} else {
		buf_u8(b, (uint8_t)(0xf0 | c >> 18));
		buf_u8(b, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		buf_u8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		buf_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
	}
}

void buf_json(struct buf *b, struct str s)
{
	buf_char(b, '"');
	while (s.n) {
		int32_t c = str_utf8_next(&s);

		if (c == -2)
			buf_c(b, "\xef\xbf\xbd");
		else if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", (char)c);
		else if (c == '\n')
			buf_c(b, "\\n");
		else if (c == '\r')
			buf_c(b, "\\r");
		else if (c == '\t')
			buf_c(b, "\\t");
		else if (c < 0x20 || c == 0x7f)
			buf_printf(b, "\\u%04x", (unsigned)c);
		else
			buf_utf8(b, (uint32_t)c);
	}
	buf_char(b, '"');
}

void buf_json_member_or_null(struct buf *b, const char *key, struct str s)
{
	buf_printf(b, ",\"%s\":", key);
	if (s.n)
		buf_json(b, s);
	else
		buf_c(b, "null");
}

void buf_json_member(struct buf *b, const char *key, struct str s)
{
	if (s.n)
		buf_json_member_or_null(b, key, s);
}

void buf_drop(struct buf *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
		return;
	}
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

char *buf_cstr(struct buf *b)
{
	buf_reserve(b, 1);
	b->p[b->n] = '\0';
	return b->p;
}
