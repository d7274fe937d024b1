/* Digests under a key of this run alone. See keyed.h. Any thread.
 */
#include "gateway/base/keyed.h"
#include "gateway/base/err.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

static uint8_t key[KEYED_SIZE];
static pthread_once_t drawn = PTHREAD_ONCE_INIT;

static void draw(void)
{
	CHECK(getrandom(key, sizeof key, 0) == (ssize_t)sizeof key);
}

static void mac(const void *p, size_t n, struct keyed *d)
{
	CHECK(HMAC(EVP_sha256(), key, sizeof key, p, n, d->octets, NULL));
}

struct keyed keyed_digest(struct str a, struct str b)
{
	struct keyed part[2], whole;

	pthread_once(&drawn, draw);
	mac(a.p, a.n, &part[0]);
	mac(b.p, b.n, &part[1]);
	mac(part, sizeof part, &whole);
	return whole;
}

bool keyed_equal(const struct keyed *a, const struct keyed *b)
{
	return CRYPTO_memcmp(a->octets, b->octets, KEYED_SIZE) == 0;
}
