/* For tests: a name server on a loopback port that answers from a table. Tests only; header-only.
 *
 *	static const struct dns_row zone[] = { { "a.example", "MX", "10 mx.a.example" },
 *		{ "mx.a.example", "A", "127.0.0.1" }, { "down.example", "FAIL", "" }, { NULL } };
 *
 * Types: MX, A, AAAA, TXT, CNAME, TLSA (hex); FAIL answers SERVFAIL, SILENT nothing. A name below
 * none of the rows does not exist.
 */
#ifndef POSTERN_TESTS_DNS_PEER_H
#define POSTERN_TESTS_DNS_PEER_H

#include "gateway/base/mem.h"
#include "protocols/smtp/dns.h"

#include <arpa/inet.h>
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
	const struct dns_row *rows;
	unsigned asked; /* questions */
	unsigned ttl;
	char server[32];
} names;

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
	size_t at = b->n;
	uint8_t address[16];

	buf_be16(b, 0);
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
	put_be16(b->p + at, (uint16_t)(b->n - at - 2));
}

/* False: no answer at all. */
static inline bool dns_answer_to(struct str q, struct buf *b)
{
	char name[DNS_NAME];
	size_t used;
	unsigned type, answers = 0, rcode = 3;

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
		buf_be16(b, 0xc00c);
		buf_be16(b, (uint16_t)is);
		buf_be16(b, 1);
		buf_be32(b, names.ttl);
		dns_put_data(b, is, r->data);
		answers++;
	}
	b->p[2] = (char)0x85; /* a response, with authority */
	b->p[3] = (char)(0x80 | rcode);
	put_be16(b->p + 6, (uint16_t)answers);
	put_be16(b->p + 8, 0);
	put_be16(b->p + 10, 0);
	return true;
}

static inline void *dns_run(void *arg)
{
	char q[1024];
	struct sockaddr_in from;
	struct buf b = BUF_INIT;

	while (true) {
		socklen_t n = sizeof from;
		ssize_t got = recvfrom(names.fd, q, sizeof q, 0, (struct sockaddr *)&from, &n);

		if (got <= 1) /* the word to stop */
			break;
		__atomic_add_fetch(&names.asked, 1, __ATOMIC_RELAXED);
		buf_reset(&b);
		if (dns_answer_to(str_n(q, (size_t)got), &b))
			sendto(names.fd, b.p, b.n, 0, (struct sockaddr *)&from, n);
	}
	buf_free(&b);
	return NULL;
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
}

#endif
