/* The hash map. See map.h. Linear probing over a power of two; a removed entry leaves a marker
 * unless the slot behind it is free, so that tables with much coming and going stay clean.
 * Strings are hashed by SipHash-1-3 under a key drawn once per process.
 */
#include "gateway/base/map.h"
#include "gateway/base/err.h"
#include "gateway/base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

enum { MAP_LEAST = 16 };

static char gone_mark;
#define MAP_GONE ((void *)&gone_mark)

static uint64_t seed[2];
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void seed_draw(void)
{
	CHECK(getrandom(seed, sizeof seed, 0) == sizeof seed);
}

static inline uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static uint64_t hash_str(struct str s)
{
	uint64_t v[4], w, tail = (uint64_t)s.n << 56;

	pthread_once(&seed_once, seed_draw);
	v[0] = seed[0] ^ 0x736f6d6570736575ull;
	v[1] = seed[1] ^ 0x646f72616e646f6dull;
	v[2] = seed[0] ^ 0x6c7967656e657261ull;
	v[3] = seed[1] ^ 0x7465646279746573ull;
	for (; s.n >= 8; s = str_skip(s, 8)) {
		memcpy(&w, s.p, 8);
		v[3] ^= w;
		sip_round(v);
		v[0] ^= w;
	}
	for (size_t i = 0; i < s.n; i++)
		tail |= (uint64_t)(uint8_t)s.p[i] << (8 * i);
	v[3] ^= tail;
	sip_round(v);
	v[0] ^= tail;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t hash_u64(uint64_t key)
{
	unsigned __int128 m;

	pthread_once(&seed_once, seed_draw);
	m = (unsigned __int128)(key ^ seed[0]) * (seed[1] | 1);
	m = (unsigned __int128)((uint64_t)m ^ (uint64_t)(m >> 64)) * 0x9e3779b97f4a7c15ull;
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* A number as key is a slice without bytes whose length is the number. */
static struct str key_u64(uint64_t key)
{
	return (struct str){ NULL, (size_t)key };
}

static bool key_same(const struct map_slot *s, uint64_t hash, struct str key)
{
	if (s->hash != hash || s->key.n != key.n)
		return false;
	return !key.p || !key.n || memcmp(s->key.p, key.p, key.n) == 0;
}

static struct map_slot *slot_find(const struct map *m, uint64_t hash, struct str key)
{
	if (m->cap == 0)
		return NULL;
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct map_slot *s = &m->slots[i];

		if (!s->value)
			return NULL;
		if (s->value != MAP_GONE && key_same(s, hash, key))
			return s;
	}
}

static void map_rebuild(struct map *m)
{
	struct map old = *m;

	m->cap = MAP_LEAST;
	while (m->cap < (old.count + 1) * 2)
		m->cap *= 2;
	m->slots = mem_alloc(m->cap * sizeof *m->slots);
	m->used = m->count;
	for (size_t i = 0; i < old.cap; i++) {
		struct map_slot *s = &old.slots[i];
		size_t at = s->hash & (m->cap - 1);

		if (!s->value || s->value == MAP_GONE)
			continue;
		while (m->slots[at].value)
			at = (at + 1) & (m->cap - 1);
		m->slots[at] = *s;
	}
	free(old.slots);
}

static void *put(struct map *m, uint64_t hash, struct str key, void *value)
{
	struct map_slot *s = slot_find(m, hash, key);
	size_t i;

	CHECK(value);
	if (s) {
		void *old = s->value;

		s->value = value;
		s->key = key; /* the old one may live in the value replaced */
		return old;
	}
	if ((m->used + 1) * 4 > m->cap * 3)
		map_rebuild(m);
	for (i = hash & (m->cap - 1); m->slots[i].value; i = (i + 1) & (m->cap - 1))
		if (m->slots[i].value == MAP_GONE) {
			m->used--;
			break;
		}
	m->slots[i] = (struct map_slot){ .hash = hash, .key = key, .value = value };
	m->used++;
	m->count++;
	return NULL;
}

static void *del(struct map *m, uint64_t hash, struct str key)
{
	struct map_slot *s = slot_find(m, hash, key);
	size_t i;
	void *old;

	if (!s)
		return NULL;
	old = s->value;
	s->value = MAP_GONE;
	s->key = STR_NONE;
	m->count--;
	i = (size_t)(s - m->slots);
	if (m->slots[(i + 1) & (m->cap - 1)].value)
		return old;
	while (m->slots[i].value == MAP_GONE) {
		m->slots[i].value = NULL;
		m->used--;
		i = (i - 1) & (m->cap - 1);
	}
	return old;
}

void map_free(struct map *m)
{
	free(m->slots);
	*m = MAP_INIT;
}

void *map_get(const struct map *m, struct str key)
{
	struct map_slot *s = slot_find(m, hash_str(key), key);

	return s ? s->value : NULL;
}

void *map_put(struct map *m, struct str key, void *value)
{
	return put(m, hash_str(key), key, value);
}

void *map_del(struct map *m, struct str key)
{
	return del(m, hash_str(key), key);
}

void *map_get_u64(const struct map *m, uint64_t key)
{
	struct map_slot *s = slot_find(m, hash_u64(key), key_u64(key));

	return s ? s->value : NULL;
}

void *map_put_u64(struct map *m, uint64_t key, void *value)
{
	return put(m, hash_u64(key), key_u64(key), value);
}

void *map_del_u64(struct map *m, uint64_t key)
{
	return del(m, hash_u64(key), key_u64(key));
}

void *map_next(const struct map *m, size_t *i)
{
	while (*i < m->cap) {
		struct map_slot *s = &m->slots[(*i)++];

		if (s->value && s->value != MAP_GONE)
			return s->value;
	}
	return NULL;
}
