/* Fuzz target: MTA-STS records and policies, whoever wrote them. */
#include "gateway/base/mem.h"
#include "protocols/smtp/sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = memcpy(mem_raw(size ? size : 1), size ? (const char *)data : "", size);
	struct str in = str_n(copy, size);
	char id[STS_ID];
	struct sts_policy p;
	struct err e;

	if (sts_record_parse(in, id))
		CHECK(id[0] && memchr(id, 0, sizeof id));
	if (sts_policy_parse(in, &p, &e) == 0) {
		CHECK(p.n <= STS_HOSTS && (p.n || p.mode == STS_NONE) && p.max_age >= 0);
		for (unsigned i = 0; i < p.n; i++) {
			CHECK(memchr(p.mx[i], 0, sizeof p.mx[i]));
			CHECK(p.mx[i][0] == '*' || sts_allows(&p, p.mx[i]));
		}
		sts_allows(&p, "mx.example.com");
		sts_allows(&p, "");
	}
	mem_free(&copy);
	return 0;
}
