/* Hash map from a byte-string or 64-bit key to a pointer. Open addressing, grows, one thread.
 * String keys are not copied: they must live as long as the entry (usually inside the value).
 * The hash is seeded per process, so that outsiders cannot choose colliding keys.
 */
#ifndef POSTERN_BASE_MAP_H
#define POSTERN_BASE_MAP_H

#include "gateway/base/str.h"

struct map_slot {
	uint64_t hash;
	struct str key;
	void *value; /* NULL: free; the marker of a removed one: see map.c */
};
struct map {
	struct map_slot *slots;
	size_t cap, used, count;
};
#define MAP_INIT ((struct map){ 0 })

void map_free(struct map *m); /* the table, not the values */
void *map_get(const struct map *m, struct str key);
void *map_put(struct map *m, struct str key, void *value); /* returns the value replaced, or NULL */
void *map_del(struct map *m, struct str key);              /* returns the value removed, or NULL */
void *map_get_u64(const struct map *m, uint64_t key);
void *map_put_u64(struct map *m, uint64_t key, void *value);
void *map_del_u64(struct map *m, uint64_t key);
/* Iterates: i starts at 0; NULL at the end. Removing the entry just returned is allowed. */
void *map_next(const struct map *m, size_t *i);

#endif
