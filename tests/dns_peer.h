/* For tests: a name server on a loopback port that answers from a table. Tests only; header-only.
 *
 *	static const struct dns_row zone[] = { { "a.example", "MX", "10 mx.a.example" },
 *		{ "mx.a.example", "A", "127.0.0.1" }, { "down.example", "FAIL", "" }, { NULL } };
 *
 * Types: MX, A, AAAA, TXT, CNAME, TLSA (hex); FAIL answers SERVFAIL, SILENT nothing. A name below
 * none of the rows does not exist. With a key (dns_sign_zone) what is at or below one zone is
 * signed; that there is nothing is not, so that it is bogus there.
 */
#ifndef POSTERN_TESTS_DNS_PEER_H
#define POSTERN_TESTS_DNS_PEER_H

#include "gateway/base/mem.h"
#include "protocols/smtp/dns.h"

#include <arpa/inet.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct dns_row {
	const char *name, *type, *data;
};

static struct {
	int fd;
	uint16_t port;
	pthread_t thread;
	pthread_mutex_t lock; /* what is answered: dns_change() */
	const struct dns_row *rows;
	_Atomic unsigned asked; /* questions */
	unsigned ttl;
	char server[32];
	EVP_PKEY *key;
	const char *zone; /* signed */
} names = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline void dns_put_name(struct buf *b, struct str name)
{
	struct str label;

	while (str_cut(&name, '.', &label)) {
		if (!label.n)
			continue;
		buf_u8(b, (uint8_t)label.n);
		buf_str(b, label);
	}
	buf_u8(b, 0);
}

static inline unsigned dns_type_of(const char *word)
{
	return !strcmp(word, "A")       ? 1
	       : !strcmp(word, "CNAME") ? 5
	       : !strcmp(word, "MX")    ? 15
	       : !strcmp(word, "TXT")   ? 16
	       : !strcmp(word, "AAAA")  ? 28
	       : !strcmp(word, "TLSA")  ? 52
					: 0;
}

static inline void dns_put_data(struct buf *b, unsigned type, const char *data)
{
	uint8_t address[16];

	if (type == 1 || type == 28) {
		inet_pton(type == 1 ? AF_INET : AF_INET6, data, address);
		buf_add(b, address, type == 1 ? 4 : 16);
	} else if (type == 5) {
		dns_put_name(b, str_of(data));
	} else if (type == 15) {
		buf_be16(b, (uint16_t)strtoul(data, NULL, 10));
		dns_put_name(b, str_of(strchr(data, ' ') + 1));
	} else if (type == 16) {
		buf_u8(b, (uint8_t)strlen(data));
		buf_c(b, data);
	} else {
		for (; data[0] && data[1]; data += 2) {
			char hex[3] = { data[0], data[1], 0 };

			buf_u8(b, (uint8_t)strtoul(hex, NULL, 16));
		}
	}
}

/* ---- DNSSEC: one zone, one key, ECDSA P-256 (RFC 6605) ---- */

enum { DNS_T_RRSIG = 46, DNS_T_DNSKEY = 48, DNS_ALG = 13 };

static inline void dns_key_data(struct buf *b)
{
	unsigned char point[65];
	size_t n = 0;

	CHECK(EVP_PKEY_get_octet_string_param(names.key, "pub", point, sizeof point, &n) &&
		n == 65);
	buf_be16(b, 257);
	buf_u8(b, 3);
	buf_u8(b, DNS_ALG);
	buf_add(b, point + 1, 64);
}

static inline uint16_t dns_key_tag(void)
{
	struct buf b = BUF_INIT;
	uint32_t sum = 0;

	dns_key_data(&b);
	for (size_t i = 0; i < b.n; i++)
		sum += i & 1 ? (unsigned char)b.p[i] : (uint32_t)(unsigned char)b.p[i] << 8;
	buf_free(&b);
	return (uint16_t)(sum + (sum >> 16));
}

static inline bool dns_is_signed(const char *name)
{
	size_t n = strlen(name), m = names.zone ? strlen(names.zone) : 0;

	return names.key && n >= m && strcasecmp(name + n - m, names.zone) == 0;
}

enum { DNS_SET = 32, DNS_NOTHING_FOR = 120 };
struct dns_set { /* the records of one name and type, in canonical order (RFC 4034 §6.3) */
	struct buf data[DNS_SET];
	unsigned n;
};

static inline int dns_data_order(const void *x, const void *y)
{
	const struct buf *a = x, *b = y;
	int rc = memcmp(a->p, b->p, a->n < b->n ? a->n : b->n);

	return rc ? rc : (a->n > b->n) - (a->n < b->n);
}

/* RDATA of the RRSIG of records. */
static inline void dns_sign(
	struct buf *out, const char *name, unsigned type, const struct dns_set *set)
{
	struct buf b = BUF_INIT;
	unsigned char der[128];
	size_t der_n = sizeof der, head = out->n;
	const unsigned char *at = der;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ECDSA_SIG *sig;
	unsigned labels = 1;

	for (const char *p = name; *p; p++)
		labels += *p == '.';
	buf_be16(out, (uint16_t)type);
	buf_u8(out, DNS_ALG);
	buf_u8(out, (uint8_t)labels);
	buf_be32(out, names.ttl);
	buf_be32(out, (uint32_t)(time(NULL) + 86400));
	buf_be32(out, (uint32_t)(time(NULL) - 86400));
	buf_be16(out, dns_key_tag());
	dns_put_name(out, str_of(names.zone));
	buf_add(&b, out->p + head, out->n - head);
	for (unsigned i = 0; i < set->n; i++) {
		dns_put_name(&b, str_of(name));
		buf_be16(&b, (uint16_t)type);
		buf_be16(&b, 1);
		buf_be32(&b, names.ttl);
		buf_be16(&b, (uint16_t)set->data[i].n);
		buf_str(&b, buf_view(&set->data[i]));
	}
	CHECK(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, names.key) == 1);
	CHECK(EVP_DigestSign(ctx, der, &der_n, (unsigned char *)b.p, b.n) == 1);
	sig = d2i_ECDSA_SIG(NULL, &at, (long)der_n);
	CHECK(sig);
	buf_extend(out, 64);
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), (unsigned char *)out->p + out->n - 64, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), (unsigned char *)out->p + out->n - 32, 32);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
	buf_free(&b);
}

/* From now on; the file gets the key that DNSSEC begins with. */
static inline void dns_sign_zone(const char *zone, const char *anchor_file)
{
	struct buf key = BUF_INIT;
	unsigned char text[200];
	FILE *f = fopen(anchor_file, "we");

	pthread_mutex_lock(&names.lock);
	names.key = EVP_EC_gen("P-256");
	names.zone = zone;
	dns_key_data(&key);
	pthread_mutex_unlock(&names.lock);
	EVP_EncodeBlock(text, (unsigned char *)key.p + 4, 64);
	CHECK(f && fprintf(f, "%s. IN DNSKEY 257 3 13 %s\n", zone, text) > 0);
	fclose(f);
	buf_free(&key);
}

/* Records, and their signature; the set is empty then. */
static inline unsigned dns_put_set(
	struct buf *b, const char *name, unsigned type, struct dns_set *set)
{
	struct buf sig = BUF_INIT;
	unsigned n = set->n;

	qsort(set->data, n, sizeof *set->data, dns_data_order);
	for (unsigned i = 0; i < n; i++) {
		buf_be16(b, 0xc00c);
		buf_be16(b, (uint16_t)type);
		buf_be16(b, 1);
		buf_be32(b, names.ttl);
		buf_be16(b, (uint16_t)set->data[i].n);
		buf_str(b, buf_view(&set->data[i]));
	}
	if (n && dns_is_signed(name))
		dns_sign(&sig, name, type, set);
	for (unsigned i = 0; i < n; i++)
		buf_free(&set->data[i]);
	set->n = 0;
	if (!sig.n)
		return n;
	buf_be16(b, 0xc00c);
	buf_be16(b, DNS_T_RRSIG);
	buf_be16(b, 1);
	buf_be32(b, names.ttl);
	buf_be16(b, (uint16_t)sig.n);
	buf_str(b, buf_view(&sig));
	buf_free(&sig);
	return n + 1;
}

/* False: no answer at all. */
static inline bool dns_answer_to(struct str q, struct buf *b)
{
	char name[DNS_NAME];
	size_t used;
	unsigned type, answers = 0, rcode = 3;
	struct dns_set set = { 0 }, alias = { 0 };
	bool edns, soa;

	if (q.n < 17 || !dns_name_parse(str_skip(q, 12), name, &used) || q.n < 12 + used + 4)
		return false;
	type = be16(q.p + 12 + used);
	buf_add(b, q.p, 12 + used + 4);
	for (const struct dns_row *r = names.rows; r->name; r++) {
		unsigned is = dns_type_of(r->type);
		size_t n = strlen(r->name), m = strlen(name);

		/* names above one that exists do exist */
		if (n > m && strcasecmp(r->name + n - m, name) == 0 && r->name[n - m - 1] == '.')
			rcode = rcode == 3 ? 0 : rcode;
		if (strcasecmp(r->name, name) != 0)
			continue;
		if (!strcmp(r->type, "SILENT"))
			return false;
		rcode = !strcmp(r->type, "FAIL") ? 2 : 0;
		if (rcode || (is != type && is != 5))
			continue;
		{
			struct dns_set *to = is == 5 ? &alias : &set;

			CHECK(to->n < DNS_SET);
			dns_put_data(&to->data[to->n++], is, r->data);
		}
	}
	answers += dns_put_set(b, name, 5, &alias);
	if (type == DNS_T_DNSKEY && names.key && strcasecmp(name, names.zone) == 0) {
		dns_key_data(&set.data[set.n++]);
		rcode = 0;
	}
	answers += dns_put_set(b, name, type, &set);
	soa = !answers && (rcode == 0 || rcode == 3) && !dns_is_signed(name);
	if (soa) { /* for how long there is nothing (RFC 2308 §3) */
		dns_put_name(b, STR("example"));
		buf_be16(b, 6);
		buf_be16(b, 1);
		buf_be32(b, DNS_NOTHING_FOR);
		buf_be16(b, 22);
		buf_be16(b, 0);
		for (int i = 0; i < 5; i++)
			buf_be32(b, DNS_NOTHING_FOR);
	}
	b->p[2] = (char)0x85; /* a response, with authority */
	b->p[3] = (char)(0x80 | rcode);
	put_be16(b->p + 6, (uint16_t)answers);
	put_be16(b->p + 8, soa);
	edns = be16(q.p + 10) != 0;
	put_be16(b->p + 10, edns);
	if (edns) { /* OPT: we know DNSSEC */
		buf_u8(b, 0);
		buf_be16(b, 41);
		buf_be16(b, 1232);
		buf_be32(b, 0x8000);
		buf_be16(b, 0);
	}
	return true;
}

static inline void *dns_run(void *arg)
{
	char q[1024];
	struct sockaddr_in from;
	struct buf b = BUF_INIT;
	bool answers;

	while (true) {
		socklen_t n = sizeof from;
		ssize_t got = recvfrom(names.fd, q, sizeof q, 0, (struct sockaddr *)&from, &n);

		if (got <= 1) /* the word to stop */
			break;
		names.asked++;
		buf_reset(&b);
		pthread_mutex_lock(&names.lock);
		answers = dns_answer_to(str_n(q, (size_t)got), &b);
		pthread_mutex_unlock(&names.lock);
		if (answers)
			sendto(names.fd, b.p, b.n, 0, (struct sockaddr *)&from, n);
	}
	buf_free(&b);
	return NULL;
}

/* What is answered from now on. */
static inline void dns_change(const struct dns_row *rows, uint32_t ttl)
{
	pthread_mutex_lock(&names.lock);
	names.rows = rows;
	names.ttl = ttl;
	pthread_mutex_unlock(&names.lock);
}

static inline void dns_start(const struct dns_row *rows)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;

	names.rows = rows;
	names.asked = 0;
	names.ttl = 300;
	names.fd = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(bind(names.fd, (struct sockaddr *)&a, sizeof a) == 0);
	CHECK(getsockname(names.fd, (struct sockaddr *)&a, &n) == 0);
	names.port = ntohs(a.sin_port);
	snprintf(names.server, sizeof names.server, "127.0.0.1@%u", names.port);
	pthread_create(&names.thread, NULL, dns_run, NULL);
}

static inline void dns_stop(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(names.port) };

	sendto(names.fd, "", 1, 0, (struct sockaddr *)&a, sizeof a);
	pthread_join(names.thread, NULL);
	close(names.fd);
	EVP_PKEY_free(names.key);
	names.key = NULL;
}

#endif
