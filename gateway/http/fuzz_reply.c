/* Fuzz target: what a far side's answer says to our HTTP client: a Retry-After; and a URL. */
#include "gateway/base/err.h"
#include "gateway/http/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const wall_t now = 1795348800000000000; /* 2026-11-22 */
	struct str in = str_n(data, size);
	struct buf b = BUF_INIT;
	dur_t d;

	if (http_retry_after_parse(in, now, &d))
		CHECK(d >= 0 && d <= UINT32_MAX * DUR_S);
	buf_str(&b, in);
	buf_cstr(&b);
	if (!memchr(b.p, 0, b.n)) {
		struct buf origin = BUF_INIT;

		http_url_origin(&origin, b.p);
		CHECK(str_index(buf_view(&origin), '@') < 0); /* no user, no password in a log */
		buf_free(&origin);
	}
	buf_free(&b);
	return 0;
}
