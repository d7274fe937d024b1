/* Fuzz target: any bytes as a webhook's signature header. A header of ours is taken, before or
 * after whatever else stands there; one that is taken holds the time and the signature that we
 * would write.
 */
#include "gateway/base/err.h"
#include "gateway/http/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const wall_t now = 1795342500 * DUR_S;
	struct str in = str_n(data, size), secret = STR("secret"), body = STR("{}");
	struct buf good = BUF_INIT, both = BUF_INIT;

	http_sign(&good, secret, now, body);
	CHECK(http_sign_check(buf_view(&good), secret, body, now, 0));
	if (http_sign_check(in, secret, body, now, 300 * DUR_S)) {
		CHECK(str_find(in, STR("t=")) >= 0 && str_find(in, STR("v1=")) >= 0);
		CHECK(!http_sign_check(in, STR("other"), body, now, 300 * DUR_S));
		CHECK(!http_sign_check(in, secret, in, now, 300 * DUR_S));
		CHECK(!http_sign_check(in, secret, body, now + 601 * DUR_S, 300 * DUR_S));
	}
	/* Whatever stands before ours cannot spoil it: the last time counts, any signature does. */
	buf_str(&both, in);
	buf_char(&both, ',');
	buf_str(&both, buf_view(&good));
	CHECK(http_sign_check(buf_view(&both), secret, body, now, 0));
	buf_free(&both);
	buf_free(&good);
	return 0;
}
