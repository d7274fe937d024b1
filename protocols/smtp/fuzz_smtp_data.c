/* Fuzz target: the scanner of content, in pieces as the input says and in one piece: both must find
 * the same end, the same octets and the same fault, and what comes out holds no lone CR or LF. */
#include "gateway/base/err.h"
#include "gateway/base/mem.h"
#include "protocols/smtp/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct smtp_data d;
	struct buf out;
	size_t eaten;
};

static bool is_lost(const struct smtp_data *d)
{
	return d->fault == SMTP_DATA_BARE_CR || d->fault == SMTP_DATA_BARE_LF;
}

static void scan(struct run *r, struct str in, size_t step)
{
	size_t shown = 0;

	*r = (struct run){ .d = { .line_most = 20 }, .out = BUF_INIT };
	while (!r->d.ended && !is_lost(&r->d) && shown < in.n) {
		char *exact;
		size_t n;

		shown = shown + step < in.n ? shown + step : in.n;
		n = shown - r->eaten;
		exact = mem_raw(n ? n : 1);
		memcpy(exact, in.p + r->eaten, n);
		r->eaten += smtp_data_take(&r->d, str_n(exact, n), &r->out);
		CHECK(r->eaten <= shown && (r->d.ended || is_lost(&r->d) || shown - r->eaten <= 3));
		mem_free(&exact);
	}
}

static void check_lines(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n')
			CHECK(i > 0 && s.p[i - 1] == '\r');
		if (s.p[i] == '\r')
			CHECK(i + 1 < s.n && s.p[i + 1] == '\n');
	}
}

static void chunks(struct str in, size_t step)
{
	struct smtp_data whole = { .line_most = 20 }, parts = whole;
	struct buf a = BUF_INIT, b = BUF_INIT;

	smtp_data_chunk(&whole, in, &a);
	for (size_t at = 0; at < in.n; at += step) {
		struct str s = str_skip(in, at);

		s.n = s.n < step ? s.n : step;
		smtp_data_chunk(&parts, s, &b);
	}
	CHECK(str_eq(buf_view(&a), buf_view(&b)) && str_eq(buf_view(&a), in));
	CHECK((whole.fault == 0) == (parts.fault == 0));
	CHECK(smtp_data_is_whole(&whole) == smtp_data_is_whole(&parts));
	if (whole.fault == 0 && smtp_data_is_whole(&whole))
		check_lines(in);
	buf_free(&a);
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run whole, parts;
	struct str in;
	size_t step;

	if (!size)
		return 0;
	step = data[0] % 40 + 1;
	in = str_n(data + 1, size - 1);
	scan(&whole, in, in.n);
	scan(&parts, in, step);
	CHECK(whole.d.ended == parts.d.ended && is_lost(&whole.d) == is_lost(&parts.d));
	CHECK((whole.d.fault == 0) == (parts.d.fault == 0));
	CHECK(whole.eaten == parts.eaten && str_eq(buf_view(&whole.out), buf_view(&parts.out)));
	CHECK(whole.d.octets == whole.out.n);
	if (whole.d.ended) {
		check_lines(buf_view(&whole.out));
		CHECK(whole.eaten >= 3 && memcmp(in.p + whole.eaten - 3, ".\r\n", 3) == 0);
		CHECK(whole.eaten == 3 || in.p[whole.eaten - 4] == '\n');
	}
	buf_free(&whole.out);
	buf_free(&parts.out);
	chunks(in, step);
	return 0;
}
