/* Internet addresses: their text, networks of them, and what kind they are. See stream.h.
 *
 * Pure and for any thread. Everything is compared as 16 bytes, IPv4 as v4-mapped IPv6, so that a
 * peer met on a dual-stack socket and one met on an IPv4 socket are the same.
 */
#include "gateway/base/stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

enum { V4_AT = 12, V4_BITS = 96 };

static const uint8_t mapped_prefix[V4_AT] = { [10] = 0xff, [11] = 0xff };

static bool text_to_bytes(struct str s, uint8_t bytes[16], bool *v4_r)
{
	char text[INET6_ADDRSTRLEN];
	struct in_addr v4;

	if (s.n >= sizeof text || memchr(s.p, '\0', s.n))
		return false;
	str_copy(text, sizeof text, s);
	*v4_r = inet_pton(AF_INET, text, &v4) == 1;
	if (!*v4_r)
		return inet_pton(AF_INET6, text, bytes) == 1;
	memcpy(bytes, mapped_prefix, V4_AT);
	memcpy(bytes + V4_AT, &v4, sizeof v4);
	return true;
}

/* False when it is neither IPv4 nor IPv6. */
static bool sockaddr_bytes(const struct sockaddr *sa, uint8_t bytes[16])
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof in);
		memcpy(bytes, mapped_prefix, V4_AT);
		memcpy(bytes + V4_AT, &in.sin_addr, sizeof in.sin_addr);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof in6);
		memcpy(bytes, &in6.sin6_addr, 16);
		return true;
	}
	return false;
}

static bool is_mapped(const uint8_t bytes[16])
{
	return memcmp(bytes, mapped_prefix, V4_AT) == 0;
}

bool addr_parse(struct str host, uint16_t port, union addr *a_r)
{
	uint8_t bytes[16];
	bool v4;

	if (!text_to_bytes(host, bytes, &v4))
		return false;
	memset(a_r, 0, sizeof *a_r);
	if (v4) {
		a_r->in.sin_family = AF_INET;
		a_r->in.sin_port = htons(port);
		memcpy(&a_r->in.sin_addr, bytes + V4_AT, 4);
	} else {
		a_r->in6.sin6_family = AF_INET6;
		a_r->in6.sin6_port = htons(port);
		memcpy(&a_r->in6.sin6_addr, bytes, 16);
	}
	return true;
}

void addr_unmap(union addr *a)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (a->sa.sa_family != AF_INET6 || !is_mapped(a->in6.sin6_addr.s6_addr))
		return;
	in.sin_port = a->in6.sin6_port;
	memcpy(&in.sin_addr, a->in6.sin6_addr.s6_addr + V4_AT, 4);
	memset(a, 0, sizeof *a);
	a->in = in;
}

socklen_t addr_len(const union addr *a)
{
	return a->sa.sa_family == AF_INET ? sizeof a->in : sizeof a->in6;
}

uint16_t addr_port(const union addr *a)
{
	return ntohs(a->sa.sa_family == AF_INET ? a->in.sin_port : a->in6.sin6_port);
}

const char *addr_text(const struct sockaddr *sa, char text[ADDR_TEXT])
{
	union addr a = { 0 };
	char host[INET6_ADDRSTRLEN] = "?";

	text[0] = '\0';
	if (sa->sa_family == AF_INET)
		memcpy(&a.in, sa, sizeof a.in);
	else if (sa->sa_family == AF_INET6)
		memcpy(&a.in6, sa, sizeof a.in6);
	else
		return text;
	addr_unmap(&a);
	if (a.sa.sa_family == AF_INET)
		inet_ntop(AF_INET, &a.in.sin_addr, host, sizeof host);
	else
		inet_ntop(AF_INET6, &a.in6.sin6_addr, host, sizeof host);
	snprintf(text, ADDR_TEXT, a.sa.sa_family == AF_INET ? "%s:%u" : "[%s]:%u", host,
		(unsigned)addr_port(&a));
	return text;
}

bool addr_split(struct str s, struct str *host_r, uint16_t *port_r)
{
	struct str host, port;
	ptrdiff_t end;
	uint64_t n;

	if (str_starts(s, STR("["))) {
		uint8_t bytes[16];
		bool v4;

		end = str_index(s, ']');
		if (end < 0 || (size_t)end + 1 >= s.n || s.p[end + 1] != ':')
			return false;
		host = str_n(s.p + 1, (size_t)end - 1);
		port = str_skip(s, (size_t)end + 2);
		if (!text_to_bytes(host, bytes, &v4) || v4)
			return false;
	} else {
		end = str_index(s, ':');
		if (end <= 0)
			return false;
		host = str_n(s.p, (size_t)end);
		port = str_skip(s, (size_t)end + 1);
		for (size_t i = 0; i < host.n; i++)
			if ((unsigned char)host.p[i] <= ' ' || strchr("[]/\\@%\x7f", host.p[i]))
				return false;
	}
	if (port.n == 0 || port.n > 5 || !str_u64(port, &n) || n > UINT16_MAX)
		return false;
	*host_r = host;
	*port_r = (uint16_t)n;
	return true;
}

static void bytes_mask(uint8_t bytes[16], unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned here = bits > 8 * i ? bits - 8 * i : 0;

		if (here < 8)
			bytes[i] &= (uint8_t)(0xff00u >> here);
	}
}

bool addr_net_parse(struct str s, struct addr_net *n_r)
{
	ptrdiff_t slash = str_index(s, '/');
	struct addr_net net = { .bits = 128 };
	uint64_t bits;
	bool v4;

	if (!text_to_bytes(slash < 0 ? s : str_n(s.p, (size_t)slash), net.bytes, &v4))
		return false;
	if (slash >= 0) {
		struct str digits = str_skip(s, (size_t)slash + 1);

		if (digits.n == 0 || digits.n > 3 || !str_u64(digits, &bits) ||
			bits > (v4 ? 32 : 128))
			return false;
		net.bits = (unsigned)bits + (v4 ? V4_BITS : 0);
	}
	bytes_mask(net.bytes, net.bits);
	*n_r = net;
	return true;
}

static bool net_has(const struct addr_net *n, const uint8_t bytes[16])
{
	uint8_t b[16];

	memcpy(b, bytes, sizeof b);
	bytes_mask(b, n->bits);
	return memcmp(b, n->bytes, sizeof b) == 0;
}

bool addr_net_has(const struct addr_net *n, const struct sockaddr *sa)
{
	uint8_t bytes[16];

	return sockaddr_bytes(sa, bytes) && net_has(n, bytes);
}

/* ---- kinds ---- */

static bool v4_is_loopback(const uint8_t v4[4])
{
	return v4[0] == 127;
}

/* IANA's special-purpose registry: what is not globally reachable (RFC 6890 and after). */
static bool v4_is_private(const uint8_t v4[4])
{
	static const struct {
		uint32_t net, mask;
	} nets[] = {
		{ 0x00000000, 0xff000000 }, /* 0/8, this network */
		{ 0x0a000000, 0xff000000 }, /* 10/8 */
		{ 0x64400000, 0xffc00000 }, /* 100.64/10, carrier NAT */
		{ 0x7f000000, 0xff000000 }, /* 127/8 */
		{ 0xa9fe0000, 0xffff0000 }, /* 169.254/16, link-local, cloud metadata */
		{ 0xac100000, 0xfff00000 }, /* 172.16/12 */
		{ 0xc0000000, 0xffffff00 }, /* 192.0.0/24 */
		{ 0xc0a80000, 0xffff0000 }, /* 192.168/16 */
		{ 0xc6120000, 0xfffe0000 }, /* 198.18/15, benchmarks */
		{ 0xe0000000, 0xe0000000 }, /* 224/3: multicast, reserved, broadcast */
	};
	uint32_t a = be32(v4);

	for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++)
		if ((a & nets[i].mask) == nets[i].net)
			return true;
	return false;
}

/* An IPv4 address inside an IPv6 one that leads to it: mapped, compatible, NAT64, 6to4. */
static const uint8_t *v4_inside(const uint8_t b[16])
{
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
	static const uint8_t none[12] = { 0 };

	if (is_mapped(b) || memcmp(b, nat64, 12) == 0 || memcmp(b, none, 12) == 0)
		return b + V4_AT;
	return b[0] == 0x20 && b[1] == 0x02 ? b + 2 : NULL;
}

static bool v6_is_loopback(const uint8_t b[16])
{
	return memcmp(b, &in6addr_loopback, 16) == 0;
}

bool addr_is_loopback(const struct sockaddr *sa)
{
	uint8_t b[16];

	if (!sockaddr_bytes(sa, b))
		return false;
	return is_mapped(b) ? v4_is_loopback(b + V4_AT) : v6_is_loopback(b);
}

bool addr_is_private(const struct sockaddr *sa)
{
	uint8_t b[16];
	const uint8_t *v4;

	if (!sockaddr_bytes(sa, b))
		return true; /* not an internet address at all */
	v4 = v4_inside(b);
	if (v4)
		return v4_is_private(v4);                 /* covers :: and ::1, which are 0/8 */
	return (b[0] & 0xfe) == 0xfc ||                   /* fc00::/7, unique local */
	       (b[0] == 0xfe && (b[1] & 0x80) == 0x80) || /* fe80::/10, fec0::/10 */
	       b[0] == 0xff ||                            /* multicast */
	       memcmp(b, "\0\x64\xff\x9b\0\1", 6) == 0 || /* 64:ff9b:1::/48, local NAT64 */
	       memcmp(b, "\1\0\0\0\0\0\0\0", 8) == 0;     /* 100::/64, discard */
}

bool addr_listen_is_loopback(struct str listen)
{
	struct str host;
	uint16_t port;
	union addr a;

	if (!addr_split(listen, &host, &port))
		return false;
	if (str_ieq(host, STR("localhost")))
		return true;
	return addr_parse(host, port, &a) && addr_is_loopback(&a.sa);
}

int addr_listen_check(struct str s, struct err *e)
{
	struct str host;
	uint16_t port;

	return addr_split(s, &host, &port)
		       ? 0
		       : err_set(e, ERR_CONF, "\"%.*s\" is not of the form \"address:port\"",
				 STR_ARG(s));
}

int addr_far_check(struct str s, struct err *e)
{
	struct str host;
	uint16_t port;

	if (s.n && s.n < 200 && (str_index(s, ':') < 0 || addr_split(s, &host, &port)))
		return 0;
	return err_set(
		e, ERR_CONF, "\"%.*s\" is not of the form \"host\" or \"host:port\"", STR_ARG(s));
}

int addr_own_check(struct str s, struct err *e)
{
	union addr a;

	return s.n == 0 || addr_parse(s, 0, &a)
		       ? 0
		       : err_set(e, ERR_CONF, "\"%.*s\" is not an address of this host",
				 STR_ARG(s));
}

int addr_net_check(struct str s, struct err *e)
{
	struct addr_net n;

	return addr_net_parse(s, &n)
		       ? 0
		       : err_set(e, ERR_CONF,
				 "\"%.*s\" is not an address or network like 10.0.0.0/8",
				 STR_ARG(s));
}

/* RFC 1035 §2.3.1, an underscore tolerated */
int addr_domain_check(struct str s, struct err *e)
{
	struct str rest = s, label;

	if (s.n == 0)
		return 0;
	if (s.n > 253)
		return err_set(e, ERR_CONF, "a domain has at most 253 characters");
	while (str_cut(&rest, '.', &label)) {
		if (label.n == 0 || label.n > 63)
			goto bad;
		for (size_t i = 0; i < label.n; i++) {
			char c = label.p[i];

			if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
				!(c >= '0' && c <= '9') && c != '-' && c != '_')
				goto bad;
		}
	}
	if (s.p[s.n - 1] != '.')
		return 0;
bad:
	return err_set(e, ERR_CONF,
		"\"%.*s\" is not a domain (letters, digits and hyphens, in its ASCII form)",
		STR_ARG(s));
}

uint64_t addr_key(const struct sockaddr *sa)
{
	uint8_t b[16];

	if (!sockaddr_bytes(sa, b))
		return 0;
	/* ffff::/16 is multicast, so no IPv6 peer has an IPv4 peer's key. */
	if (is_mapped(b))
		return 0xffffull << 48 | be32(b + V4_AT);
	return (uint64_t)be32(b) << 32 | be32(b + 4);
}
