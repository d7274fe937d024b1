/* Memory: allocation that succeeds or ends the process, and arenas that die whole.
 *
 * Sizes that come from outside are checked by whoever reads them, so a failure here is the
 * machine's and there is nobody to answer. Tests make the n-th allocation fail (fault.h).
 */
#ifndef POSTERN_BASE_MEM_H
#define POSTERN_BASE_MEM_H

#include "gateway/base/str.h"

void *mem_alloc(size_t n);         /* zeroed */
void *mem_raw(size_t n);           /* not zeroed */
void *mem_grow(void *p, size_t n); /* realloc */
char *mem_dup(struct str s);       /* NUL-terminated copy */
void mem_free(void *pp);           /* takes the address of the pointer, frees, nulls it */
#define mem_new(type) ((type *)mem_alloc(sizeof(type)))

/* An arena: allocations with one common end. Under ASan each piece is its own malloc, so that
 * overruns show. One thread at a time. */
struct arena;
struct arena *arena_new(void);
void arena_free(struct arena **ap);                  /* nulls the caller's pointer */
void *arena_alloc(struct arena *a, size_t n);        /* zeroed, aligned for any type */
struct str arena_str(struct arena *a, struct str s); /* copy; NUL follows, not counted */
char *arena_cstr(struct arena *a, struct str s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define arena_new_of(a, type) ((type *)arena_alloc((a), sizeof(type)))

#endif
