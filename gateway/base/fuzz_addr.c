/* Fuzz target: what is taken as an address must come out of its text form the same. */
#include "gateway/base/err.h"
#include "gateway/base/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_n(data, size), host;
	uint16_t port;
	struct addr_net net;
	union addr a, b;
	char text[ADDR_TEXT];

	addr_listen_is_loopback(s);
	if (addr_split(s, &host, &port)) {
		CHECK(host.n > 0 && host.p >= s.p && host.p + host.n <= s.p + s.n);
		if (addr_parse(host, port, &a)) {
			addr_unmap(&a);
			addr_text(&a.sa, text);
			CHECK(addr_split(str_of(text), &host, &port));
			CHECK(addr_parse(host, port, &b) && addr_len(&a) == addr_len(&b));
			CHECK(memcmp(&a, &b, addr_len(&a)) == 0 && addr_port(&b) == port);
			CHECK(addr_key(&a.sa) == addr_key(&b.sa));
			CHECK(!addr_is_loopback(&a.sa) || addr_is_private(&a.sa));
		}
	}
	if (addr_net_parse(s, &net)) {
		CHECK(net.bits <= 128);
		memset(&a, 0, sizeof a);
		a.in6.sin6_family = AF_INET6;
		memcpy(&a.in6.sin6_addr, net.bytes, 16);
		CHECK(addr_net_has(&net, &a.sa));
		addr_unmap(&a);
		CHECK(addr_net_has(&net, &a.sa));
	}
	return 0;
}
