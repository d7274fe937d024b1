/* Fuzz target: any octets as the start of a mail: what is found lies in it. */
#include "gateway/base/err.h"
#include "gateway/mail/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void within(struct str s, const uint8_t *data, size_t size)
{
	const uint8_t *p = (const uint8_t *)s.p;

	CHECK(s.n == 0 || (p >= data && p + s.n <= data + size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mail_header_look l;

	mail_header_look(str_n(data, size), &l);
	CHECK(l.header_n <= size);
	within(l.from_address, data, size);
	within(l.subject, data, size);
	CHECK(l.from || !l.from_address.n);
	return 0;
}
