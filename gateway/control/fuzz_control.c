/* Fuzz target: any bytes as a request of the control socket, read as every verb would. */
#include "gateway/base/err.h"
#include "gateway/control/control_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const wall_t now = 1795348800000000000; /* 2026-11-22 */
	struct control_request q;
	struct store_filter f;
	struct err e = { 0 };
	struct buf b = BUF_INIT;
	uint64_t id;

	if (control_request_read(&q, str_n(data, size), &e) != 0) {
		CHECK(e.kind == ERR_INPUT && e.text[0] && !q.root && !q.verb);
		return 0;
	}
	CHECK(q.verb);
	for (size_t i = 0; i < 3; i++) {
		const char *a = control_arg(&q, i);

		if (a && str_u64(str_of(a), &id))
			CHECK(strlen(a) <= 20);
	}
	CHECK(!control_arg(&q, SIZE_MAX));
	control_option(&q, "dry-run");
	json_write(&b, q.options);
	if (control_filter_read(&q, now, &f, &e) == 0) {
		CHECK(f.state >= -1 && f.media >= -1 && f.media < MEDIA_COUNT && f.most <= 1000);
		CHECK(!f.to.n || str_utf8_valid(f.to));
	} else {
		CHECK(e.kind == ERR_INPUT && e.text[0]);
	}
	buf_free(&b);
	control_request_free(&q);
	return 0;
}
