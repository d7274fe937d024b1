/* Fuzz target: the small text forms: times, durations, numbers, words, patterns, UTF-8, JSON
 * strings. Each against its own inverse or a plainer way to the same answer.
 */
#include "gateway/base/clock.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void times(struct str s)
{
	struct buf b = BUF_INIT;
	wall_t t, again;
	struct civil c;

	if (!clock_parse_rfc3339(s, &t))
		return;
	c = clock_civil(t);
	CHECK(c.month >= 1 && c.month <= 12 && c.day >= 1 && c.day <= 31 && c.nano >= 0);
	CHECK(clock_of_civil(&c) == t);
	clock_put_rfc3339(&b, t);
	CHECK(b.n == sizeof "2026-11-22T10:15:00.123Z" - 1);
	/* Milliseconds are written: the year 1677's first instants become ones that are none. */
	if (clock_parse_rfc3339(buf_view(&b), &again))
		CHECK(again <= t && t - again < DUR_MS);
	else
		CHECK(t < INT64_MIN + DUR_MS);
	buf_reset(&b);
	clock_put_dur(&b, t);
	CHECK(b.n >= 2);
	buf_free(&b);
}

static void numbers(struct str s)
{
	char text[32], back[32];
	uint64_t u;
	int64_t i;

	if (s.n >= sizeof text) {
		CHECK(!str_u64(s, &u) && !str_i64(s, &i));
		return;
	}
	str_copy(text, sizeof text, s);
	if (str_u64(s, &u)) {
		errno = 0;
		CHECK(strtoull(text, NULL, 10) == u && errno == 0);
		snprintf(back, sizeof back, "%" PRIu64, u);
		CHECK(text[0] == '0' || strcmp(text, back) == 0);
	}
	if (str_i64(s, &i)) {
		errno = 0;
		CHECK(strtoll(text, NULL, 10) == i && errno == 0);
	}
}

static bool glob_plainly(struct str p, struct str s)
{
	if (p.n == 0)
		return s.n == 0;
	if (p.p[0] == '*')
		return glob_plainly(str_skip(p, 1), s) || (s.n && glob_plainly(p, str_skip(s, 1)));
	return s.n && (p.p[0] == '?' || p.p[0] == s.p[0]) &&
	       glob_plainly(str_skip(p, 1), str_skip(s, 1));
}

/* Two strings: up to the first ',' and from there. */
static void pairs(struct str s)
{
	struct str a, b = s, rest, part;
	size_t n = 0, parts = 0;
	unsigned d;

	str_cut(&b, ',', &a);
	if (!b.p)
		b = STR_NONE;
	if (a.n <= 8 && b.n <= 12) /* the plain way is exponential */
		CHECK(str_glob(a, b) == glob_plainly(a, b));
	CHECK(str_glob(STR("*"), s) && str_glob(a, a) == true);
	d = str_distance(a, b, 5);
	CHECK(d == str_distance(b, a, 5) && d <= 6);
	if (a.n <= 64 && b.n <= 64)
		CHECK((d == 0) == str_ieq(a, b));
	CHECK(str_eq_secret(a, b) == str_eq(a, b));
	CHECK((str_cmp(a, b) == 0) == str_eq(a, b));
	CHECK((str_cmp(a, b) < 0) == (str_cmp(b, a) > 0));
	CHECK(str_hash(a) == str_hash(b) || !str_eq(a, b));
	CHECK(str_find(s, a) == 0);
	for (rest = s; str_cut(&rest, ',', &part); parts++)
		n += part.n;
	CHECK(n + parts - 1 == s.n);
	part = str_trim(s);
	CHECK(part.n == 0 || (part.p >= s.p && part.p + part.n <= s.p + s.n));
}

static void utf8(struct str s)
{
	struct str rest = s;
	struct buf b = BUF_INIT;
	bool good = true;
	int32_t c;

	while ((c = str_utf8_next(&rest)) != -1) {
		good &= c >= 0;
		buf_utf8(&b, c < 0 ? 0xfffd : (uint32_t)c);
	}
	CHECK(good == str_utf8_valid(s) && str_utf8_valid(buf_view(&b)));
	CHECK(!good || str_eq(buf_view(&b), s));
	buf_reset(&b);
	buf_json(&b, s);
	CHECK(b.n >= 2 && str_utf8_valid(buf_view(&b)) && str_index(buf_view(&b), '\n') < 0);
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_n(data, size);
	enum log_level l;

	times(s);
	numbers(s);
	pairs(s);
	utf8(s);
	if (log_level_parse(s, &l))
		CHECK(str_is(s, log_level_name(l)));
	return 0;
}
