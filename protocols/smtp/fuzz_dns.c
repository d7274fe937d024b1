/* Fuzz target: records as any name server may give them. */
#include "gateway/base/mem.h"
#include "protocols/smtp/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = memcpy(mem_raw(size ? size : 1), size ? (const char *)data : "", size);
	struct str in = str_n(copy, size);
	char name[DNS_NAME];
	uint16_t preference;
	struct dns_tlsa t;
	struct buf b = BUF_INIT;
	size_t used;

	if (dns_name_parse(in, name, &used))
		CHECK(used <= size && memchr(name, 0, sizeof name) && str_utf8_valid(str_of(name)));
	if (dns_mx_parse(in, &preference, name))
		CHECK(memchr(name, 0, sizeof name));
	if (dns_txt_parse(in, &b))
		CHECK(b.n < size || size == 0);
	if (dns_tlsa_parse(in, &t))
		CHECK(t.data.n + 3 == size);
	buf_free(&b);
	mem_free(&copy);
	return 0;
}
