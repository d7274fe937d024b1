/* Certificates for tests: made fresh with OpenSSL, written as PEM files. Header-only, tests only.
 *
 *   struct test_cert ca = cert_make(dir, "ca", NULL, NULL, -1, 10);
 *   struct test_cert c = cert_make(dir, "server", &ca, "DNS:localhost,IP:127.0.0.1", -1, 10);
 *   … c.cert_file, c.key_file … ; cert_free(&c);
 */
#ifndef POSTERN_TESTS_CERTS_H
#define POSTERN_TESTS_CERTS_H

#include "gateway/base/err.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

struct test_cert {
	EVP_PKEY *key;
	X509 *cert;
	char cert_file[256], key_file[256];
};

static inline void cert_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	CHECK(ext && X509_add_ext(cert, ext, -1));
	X509_EXTENSION_free(ext);
}

/* by NULL: self-signed, an authority when names is NULL. Days count from now. */
static inline struct test_cert cert_make(const char *dir, const char *name,
	const struct test_cert *by, const char *names, int from_day, int to_day)
{
	static long serial;
	struct test_cert c = { .key = EVP_EC_gen("P-256"), .cert = X509_new() };
	X509 *issuer = by ? by->cert : c.cert;
	FILE *f;

	CHECK(c.key && c.cert);
	X509_set_version(c.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c.cert), ++serial + 1000l * getpid());
	X509_gmtime_adj(X509_getm_notBefore(c.cert), 86400l * from_day);
	X509_gmtime_adj(X509_getm_notAfter(c.cert), 86400l * to_day);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(c.cert), "CN", MBSTRING_ASC,
		(const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(c.cert, X509_get_subject_name(issuer));
	X509_set_pubkey(c.cert, c.key);
	cert_extend(c.cert, issuer, NID_basic_constraints,
		names ? "critical,CA:FALSE" : "critical,CA:TRUE");
	if (names && *names)
		cert_extend(c.cert, issuer, NID_subject_alt_name, names);
	CHECK(X509_sign(c.cert, by ? by->key : c.key, EVP_sha256()));
	snprintf(c.cert_file, sizeof c.cert_file, "%s/%s.pem", dir, name);
	snprintf(c.key_file, sizeof c.key_file, "%s/%s.key", dir, name);
	f = fopen(c.cert_file, "we");
	CHECK(f && PEM_write_X509(f, c.cert));
	fclose(f);
	f = fopen(c.key_file, "we");
	CHECK(f && PEM_write_PrivateKey(f, c.key, NULL, NULL, 0, NULL, NULL));
	fclose(f);
	return c;
}

static inline void cert_free(struct test_cert *c)
{
	unlink(c->cert_file);
	unlink(c->key_file);
	EVP_PKEY_free(c->key);
	X509_free(c->cert);
}

#endif
