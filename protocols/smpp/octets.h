/* Short strings, inline: finding a NUL and copying, eight octets at a time. The strings of a PDU
 * have a few octets each, where the C library's functions cost more in the call than in the work
 * (measured: half the time of decoding or encoding a submit_sm). Private to the codec.
 */
#ifndef POSTERN_SMPP_OCTETS_H
#define POSTERN_SMPP_OCTETS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The high bit of every octet of w that is 0, correct up to and including the lowest one. */
static inline uint64_t octets_zeros(uint64_t w)
{
	return (w - 0x0101010101010101u) & ~w & 0x8080808080808080u;
}

/* Index of the first NUL among n octets, or n. */
static inline size_t octets_nul(const void *p, size_t n)
{
	const uint8_t *b = p;
	size_t i = 0;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	for (; n - i >= 8; i += 8) {
		uint64_t w, z;

		memcpy(&w, b + i, sizeof w);
		z = octets_zeros(w);
		if (z)
			return i + (size_t)__builtin_ctzll(z) / 8;
	}
#endif
	while (i < n && b[i])
		i++;
	return i;
}

static inline void octets_copy(char *to, const char *from, size_t n)
{
	if (n > 32) {
		memcpy(to, from, n);
		return;
	}
	/* Overlapping ends instead of a loop over the odd octets. */
	if (n >= 8) {
		for (size_t i = 0; i + 8 <= n; i += 8)
			memcpy(to + i, from + i, 8);
		memcpy(to + n - 8, from + n - 8, 8);
	} else if (n >= 4) {
		memcpy(to, from, 4);
		memcpy(to + n - 4, from + n - 4, 4);
	} else {
		for (size_t i = 0; i < n; i++)
			to[i] = from[i];
	}
}

#endif
