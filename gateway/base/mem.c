/* Allocation and arenas. See mem.h. */
#include "gateway/base/mem.h"
#include "gateway/base/err.h"
#include "gateway/base/fault.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn static void out_of_memory(size_t n)
{
	fprintf(stderr, "postern: out of memory (%zu bytes wanted)\n", n);
	abort();
}

void *mem_alloc(size_t n)
{
	void *p = fault_hit("alloc") ? NULL : calloc(1, n ? n : 1);

	if (!p)
		out_of_memory(n);
	return p;
}

void *mem_raw(size_t n)
{
	void *p = fault_hit("alloc") ? NULL : malloc(n ? n : 1);

	if (!p)
		out_of_memory(n);
	return p;
}

void *mem_grow(void *old, size_t n)
{
	void *p = fault_hit("alloc") ? NULL : realloc(old, n ? n : 1);

	if (!p)
		out_of_memory(n);
	return p;
}

char *mem_dup(struct str s)
{
	char *p = mem_raw(s.n + 1);

	str_copy(p, s.n + 1, s);
	return p;
}

void mem_free(void *pp)
{
	void *p;

	memcpy(&p, pp, sizeof p);
	free(p);
	p = NULL;
	memcpy(pp, &p, sizeof p);
}

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_PIECES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_PIECES 1
#endif
#endif
#ifndef ARENA_PIECES
#define ARENA_PIECES 0
#endif

struct chunk {
	struct chunk *next;
	size_t cap, used;
	alignas(max_align_t) char data[];
};

struct arena {
	struct chunk *chunks;
};

enum { CHUNK_FIRST = 1024, CHUNK_MOST = 64 * 1024 };

struct arena *arena_new(void)
{
	return mem_new(struct arena);
}

void arena_free(struct arena **ap)
{
	struct arena *a = *ap;

	if (!a)
		return;
	for (struct chunk *c = a->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	mem_free(ap);
}

void *arena_alloc(struct arena *a, size_t n)
{
	size_t size = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	struct chunk *c = a->chunks;
	void *p;

	if (ARENA_PIECES || !c || c->cap - c->used < size) {
		size_t cap = ARENA_PIECES ? n : c ? c->cap * 2 : CHUNK_FIRST;

		if (!ARENA_PIECES && cap > CHUNK_MOST)
			cap = CHUNK_MOST;
		if (cap < size && !ARENA_PIECES)
			cap = size;
		c = mem_alloc(sizeof *c + cap);
		c->cap = cap;
		c->next = a->chunks;
		a->chunks = c;
	}
	p = c->data + c->used;
	c->used += ARENA_PIECES ? c->cap : size;
	return p;
}

struct str arena_str(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	str_copy(p, s.n + 1, s);
	return str_n(p, s.n);
}

char *arena_cstr(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	str_copy(p, s.n + 1, s);
	return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	char *p;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	p = arena_alloc(a, (size_t)(n < 0 ? 0 : n) + 1);
	if (n >= 0)
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return p;
}
