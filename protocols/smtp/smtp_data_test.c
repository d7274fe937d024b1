/* Content over arbitrary borders: where it ends, dots, and everything that smuggling is made of. */
#include "gateway/base/mem.h"
#include "protocols/smtp/data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct result {
	struct buf out;
	size_t eaten;
	bool ended;
	enum smtp_data_fault fault;
};

/* As a stream shows it: the rest again with `step` more octets behind it. */
static struct result feed(struct str in, size_t step, size_t line_most)
{
	struct smtp_data d = { .line_most = line_most };
	struct result r = { .out = BUF_INIT };
	size_t shown = 0;

	while (!d.ended && shown < in.n) {
		size_t n;
		char *exact;

		shown = shown + step < in.n ? shown + step : in.n;
		exact = mem_raw(shown - r.eaten + 1);
		memcpy(exact, in.p + r.eaten, shown - r.eaten);
		n = smtp_data_take(&d, str_n(exact, shown - r.eaten), &r.out);
		mem_free(&exact);
		r.eaten += n;
		if (d.fault == SMTP_DATA_BARE_CR || d.fault == SMTP_DATA_BARE_LF)
			break;
	}
	r.ended = d.ended;
	r.fault = d.fault;
	assert_int_equal(d.octets, r.out.n);
	return r;
}

static void test_ends(void **state)
{
	static const struct {
		const char *in, *out;
		size_t behind; /* octets that belong to what follows */
		bool ended;
		enum smtp_data_fault fault;
	} v[] = {
		{ ".\r\n", "", 0, true, 0 },
		{ "a\r\n.\r\n", "a\r\n", 0, true, 0 },
		{ "a\r\n.\r\nQUIT\r\n", "a\r\n", 6, true, 0 },
		{ "..a\r\n.\r\n", ".a\r\n", 0, true, 0 },
		{ "a\r\n..\r\n.\r\n", "a\r\n.\r\n", 0, true, 0 },
		{ "a\r\n.b\r\n.\r\n", "a\r\nb\r\n", 0, true, 0 },
		{ "\r\n\r\n.\r\n", "\r\n\r\n", 0, true, 0 },
		{ "a.\r\n.\r\n", "a.\r\n", 0, true, 0 },
		{ "a\r\n...\r\n.\r\n", "a\r\n..\r\n", 0, true, 0 },
		{ "a", "a", 0, false, 0 },
		/* smuggling: each of these is the end of a mail to some server */
		{ "a\n.\n", "a", 3, false, SMTP_DATA_BARE_LF },
		{ "a\n.\r\n", "a", 4, false, SMTP_DATA_BARE_LF },
		{ "a\r\n.\nMAIL", "a\r\n", 5, false, SMTP_DATA_BARE_LF },
		{ "a\r.\r\n", "a", 4, false, SMTP_DATA_BARE_CR },
		{ "a\r.\r", "a", 3, false, SMTP_DATA_BARE_CR },
		{ "a\r\n.\rMAIL", "a\r\n", 5, false, SMTP_DATA_BARE_CR },
		{ "a\r\r\n.\r\n", "a", 6, false, SMTP_DATA_BARE_CR },
		{ "a\r\n.\r\r\n", "a\r\n", 3, false, SMTP_DATA_BARE_CR },
		{ "\n.\r\n", "", 4, false, SMTP_DATA_BARE_LF },
		{ "\r\n\n.\r\n", "\r\n", 4, false, SMTP_DATA_BARE_LF },
		{ "a\r\n.\r\n.\r\n", "a\r\n", 3, true, 0 },
	};

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		for (size_t step = 1; step <= strlen(v[i].in); step++) {
			struct result r = feed(str_of(v[i].in), step, 998);

			if (r.ended != v[i].ended || r.fault != v[i].fault ||
				!str_is(buf_view(&r.out), v[i].out))
				fail_msg("case %zu by %zu: ended %d fault %d out \"%.*s\"", i, step,
					r.ended, r.fault, STR_ARG(buf_view(&r.out)));
			if (strlen(v[i].in) - r.eaten != v[i].behind)
				fail_msg("case %zu by %zu: %zu are left", i, step,
					strlen(v[i].in) - r.eaten);
			buf_free(&r.out);
		}
	}
}

static void test_nul_and_lines(void **state)
{
	struct result r = feed(STR("a\0b\r\n.\r\n"), 3, 998);
	char line[1200];

	assert_true(r.ended);
	assert_int_equal(r.fault, SMTP_DATA_NUL);
	buf_free(&r.out);
	for (size_t n = 996; n <= 1001; n++) {
		for (size_t step = 1; step < 1100; step += 97) {
			memset(line, 'x', n);
			memcpy(line + n, "\r\n.\r\n", 5);
			r = feed(str_n(line, n + 5), step, 998);
			assert_true(r.ended);
			assert_int_equal(r.fault, n <= 998 ? SMTP_DATA_GOOD : SMTP_DATA_LONG_LINE);
			buf_free(&r.out);
		}
	}
}

static void test_chunks(void **state)
{
	static const struct {
		const char *in;
		enum smtp_data_fault fault;
		bool whole;
	} v[] = {
		{ "a\r\nb\r\n", 0, true },
		{ ".\r\n", 0, true },
		{ "a", 0, false },
		{ "a\r\nb", 0, false },
		{ "a\r", 0, false },
		{ "a\nb\r\n", SMTP_DATA_BARE_LF, true },
		{ "a\rb\r\n", SMTP_DATA_BARE_CR, true },
		{ "a\r\r\n", SMTP_DATA_BARE_CR, true },
		{ "\n", SMTP_DATA_BARE_LF, true },
	};

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		for (size_t step = 1; step <= strlen(v[i].in); step++) {
			struct smtp_data d = { .line_most = 998 };
			struct buf out = BUF_INIT;

			for (size_t at = 0; at < strlen(v[i].in); at += step) {
				struct str s = str_skip(str_of(v[i].in), at);

				s.n = s.n < step ? s.n : step;
				smtp_data_chunk(&d, s, &out);
			}
			if (d.fault != v[i].fault || smtp_data_is_whole(&d) != v[i].whole)
				fail_msg("case %zu by %zu: fault %d whole %d", i, step, d.fault,
					smtp_data_is_whole(&d));
			assert_true(str_is(buf_view(&out), v[i].in)); /* nothing is special */
			buf_free(&out);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_nul_and_lines),
		cmocka_unit_test(test_chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
