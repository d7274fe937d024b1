/* Fuzz target: any octets as HTML. The plain text is valid, in proportion, and no markup is left of
 * what was markup.
 */
#include "gateway/base/err.h"
#include "gateway/mail/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out = BUF_INIT;

	mail_plain_of_html(str_n(data, size), &out);
	CHECK(str_utf8_valid(buf_view(&out)));
	CHECK(out.n <= 64 + 16 * size);
	CHECK(out.n == 0 || out.p[out.n - 1] == '\n');
	for (size_t i = 0; i < out.n; i++)
		CHECK((unsigned char)out.p[i] >= ' ' || out.p[i] == '\n');
	buf_free(&out);
	return 0;
}
