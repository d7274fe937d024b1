/* Any octets as a time, seen from any now of ours. What parses can be written and parses again. */
#include "protocols/smpp/smpp_time.h"

#include "gateway/base/clock.h"
#include "gateway/base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(wall_t now, wall_t when)
{
	struct buf b = BUF_INIT;
	wall_t again;
	dur_t ahead = when - now;

	smpp_time_put_relative(&b, now, when);
	CHECK(b.n == 16);
	CHECK(smpp_time_parse(buf_view(&b), now, 0, &again) == 1);
	if (ahead > 0 && ahead < 9 * 365 * DUR_DAY)
		CHECK(again >= when && again - when < DUR_S);
	buf_reset(&b);
	smpp_time_put_absolute(&b, when);
	CHECK(b.n == 16);
	if (ahead > -40 * 365 * DUR_DAY && ahead < 40 * 365 * DUR_DAY) {
		CHECK(smpp_time_parse(buf_view(&b), now, 0, &again) == 1);
		CHECK(when >= again && when - again < 100 * DUR_MS);
	}
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_n(data, size);
	wall_t now = 1795348800000000000, when = 0; /* 2026-11-22 */

	/* The first two octets move now by up to 20 years either way. */
	if (size >= 2) {
		now += ((int)be16(data) - 32768) * (DUR_DAY / 4 + DUR_S);
		s = str_skip(s, 2);
	}
	if (smpp_time_parse(s, now, 0, &when) == 1)
		check_again(now, when);
	if (smpp_time_parse_date(s, now, 3600, &when))
		check_again(now, when);
	return 0;
}
