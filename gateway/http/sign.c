/* The webhook signature. See sign.h. */
#include "gateway/http/sign.h"
#include "gateway/base/err.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdio.h>

void hmac_sha256(uint8_t out[HMAC_SHA256_SIZE], struct str key, const struct str *parts, size_t n)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end() };
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *c = mac ? EVP_MAC_CTX_new(mac) : NULL;
	size_t size = 0;

	/* An empty key is a NULL one to OpenSSL, which then means "the key set before". */
	CHECK(c && EVP_MAC_init(c, (const unsigned char *)(key.n ? key.p : ""), key.n, params));
	for (size_t i = 0; i < n; i++)
		CHECK(EVP_MAC_update(c, (const unsigned char *)parts[i].p, parts[i].n));
	CHECK(EVP_MAC_final(c, out, &size, HMAC_SHA256_SIZE) && size == HMAC_SHA256_SIZE);
	EVP_MAC_CTX_free(c);
	EVP_MAC_free(mac);
}

/* t as decimal text and the signature as hex. */
static void sign(
	char hex[2 * HMAC_SHA256_SIZE + 1], struct str secret, struct str t, struct str body)
{
	static const char digits[] = "0123456789abcdef";
	const struct str parts[] = { t, STR("."), body };
	uint8_t mac[HMAC_SHA256_SIZE];

	hmac_sha256(mac, secret, parts, 3);
	for (size_t i = 0; i < HMAC_SHA256_SIZE; i++) {
		hex[2 * i] = digits[mac[i] >> 4];
		hex[2 * i + 1] = digits[mac[i] & 15];
	}
	hex[2 * HMAC_SHA256_SIZE] = '\0';
}

void http_sign(struct buf *out, struct str secret, wall_t at, struct str body)
{
	char t[24], hex[2 * HMAC_SHA256_SIZE + 1];

	snprintf(t, sizeof t, "%lld", (long long)(at / DUR_S));
	sign(hex, secret, str_of(t), body);
	buf_printf(out, "t=%s,v1=%s", t, hex);
}

bool http_sign_check(
	struct str header, struct str secret, struct str body, wall_t now, dur_t tolerance)
{
	struct str rest = header, part, t = STR_NONE;
	char hex[2 * HMAC_SHA256_SIZE + 1];
	int64_t sec, off;
	bool good = false;

	while (str_cut(&rest, ',', &part)) {
		part = str_trim(part);
		if (str_starts(part, STR("t=")))
			t = str_skip(part, 2);
	}
	if (!str_i64(t, &sec) || __builtin_sub_overflow(now / DUR_S, sec, &off))
		return false;
	if (off > tolerance / DUR_S || off < -(tolerance / DUR_S))
		return false;
	sign(hex, secret, t, body);
	rest = header;
	while (str_cut(&rest, ',', &part)) {
		part = str_trim(part);
		if (str_starts(part, STR("v1=")))
			good |= str_eq_secret(str_skip(part, 3), str_of(hex));
	}
	return good;
}
