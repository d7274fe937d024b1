/* Ids of what is being sent right now, in a small mapped file: no system call per message, and the
 * kernel keeps it when the process is killed. A power cut may lose it; then only the bound
 * (connections × window) is known, which is said once in the log. Any thread.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/flow/flow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { INFLIGHT_SLOTS = 1 << 17 };

struct inflight {
	int fd;
	_Atomic uint64_t *slot;
	_Atomic uint32_t hint;
	uint64_t *were; /* sorted ids of the last run */
	unsigned n;
};

static int cmp_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct inflight *inflight_open(const char *path, struct err *e)
{
	struct inflight *in = mem_new(struct inflight);
	size_t size = INFLIGHT_SLOTS * sizeof *in->slot;
	void *map;

	in->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (in->fd < 0 || ftruncate(in->fd, (off_t)size) != 0) {
		err_set(e, ERR_ENV, "%s: %m", path);
		goto fail;
	}
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, in->fd, 0);
	if (map == MAP_FAILED) {
		err_set(e, ERR_ENV, "%s: %m", path);
		goto fail;
	}
	in->slot = map;
	in->were = mem_alloc(INFLIGHT_SLOTS * sizeof *in->were);
	for (unsigned i = 0; i < INFLIGHT_SLOTS; i++) {
		uint64_t id = atomic_load_explicit(&in->slot[i], memory_order_relaxed);

		if (!id)
			continue;
		in->were[in->n++] = id;
		atomic_store_explicit(&in->slot[i], 0, memory_order_relaxed);
	}
	in->were = mem_grow(in->were, (in->n ? in->n : 1) * sizeof *in->were);
	qsort(in->were, in->n, sizeof *in->were, cmp_u64);
	return in;
fail:
	if (in->fd >= 0)
		close(in->fd);
	mem_free(&in);
	return NULL;
}

/* What is still in it was never recorded: the next run is to know. */
void inflight_close(struct inflight **ip)
{
	struct inflight *in = *ip;

	if (!in)
		return;
	munmap((void *)(uintptr_t)in->slot, INFLIGHT_SLOTS * sizeof *in->slot);
	close(in->fd);
	mem_free(&in->were);
	mem_free(ip);
}

uint32_t inflight_add(struct inflight *in, uint64_t id)
{
	uint32_t at = atomic_fetch_add_explicit(&in->hint, 1, memory_order_relaxed);

	for (unsigned i = 0; i < INFLIGHT_SLOTS; i++) {
		uint32_t s = (at + i) % INFLIGHT_SLOTS;
		uint64_t empty = 0;

		if (atomic_compare_exchange_strong_explicit(
			    &in->slot[s], &empty, id, memory_order_relaxed, memory_order_relaxed))
			return s + 1;
	}
	return 0;
}

void inflight_drop(struct inflight *in, uint32_t slot)
{
	if (slot)
		atomic_store_explicit(&in->slot[slot - 1], 0, memory_order_relaxed);
}

bool inflight_was(struct inflight *in, uint64_t id)
{
	return in->n && bsearch(&id, in->were, in->n, sizeof id, cmp_u64);
}

unsigned inflight_were(const struct inflight *in)
{
	return in->n;
}
