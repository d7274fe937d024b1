/* CSV, cut into pieces of every size. */
#include "plugins/offers/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Rows as "line:a|b|c\n", faults as "line!why\n". */
static void read_in_pieces(struct str text, size_t piece, struct buf *out)
{
	struct csv c;
	enum csv_got got;

	csv_init(&c);
	out->n = 0;
	while (text.n) {
		struct str in = str_n(text.p, text.n < piece ? text.n : piece);

		text = str_skip(text, in.n);
		while ((got = csv_next(&c, &in)) != CSV_MORE) {
			buf_printf(out, "%d%c", (int)c.line, got == CSV_ROW ? ':' : '!');
			if (got == CSV_FAULT)
				buf_c(out, c.why);
			for (size_t i = 0; got == CSV_ROW && i < c.n; i++) {
				buf_c(out, i ? "|" : "");
				buf_str(out, c.fields[i]);
			}
			buf_char(out, '\n');
		}
		assert_int_equal(in.n, 0);
	}
	while ((got = csv_end(&c)) != CSV_END) {
		buf_printf(out, "%d%c", (int)c.line, got == CSV_ROW ? ':' : '!');
		if (got == CSV_FAULT)
			buf_c(out, c.why);
		for (size_t i = 0; got == CSV_ROW && i < c.n; i++) {
			buf_c(out, i ? "|" : "");
			buf_str(out, c.fields[i]);
		}
		buf_char(out, '\n');
	}
	csv_free(&c);
}

static void test_rows(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "", "" },
		{ "\n\r\n\n", "" },
		{ "a,b\r\nc,d\r\n", "1:a|b\n2:c|d\n" },
		{ "a,b\nc,d", "1:a|b\n2:c|d\n" },
		{ "\xef\xbb\xbfid,x\n1,\n", "1:id|x\n2:1|\n" },
		{ "a;b\n1,5;2\n", "1:a|b\n2:1,5|2\n" },
		{ "a\tb\n1\t2\n", "1:a|b\n2:1|2\n" },
		{ "a\n\"x\"\"y,\nz\"\nb\n", "1:a\n2:x\"y,\nz\n4:b\n" },
		{ "a,b\n\"\",\"\"\n,\n", "1:a|b\n2:|\n3:|\n" },
		{ "a\nx\"y\nb\n",
			"1:a\n2!has a quote inside a field that does not begin with one\n3:b\n" },
		{ "a\n\"x\"y,1\nb\n", "1:a\n2!has text behind a closing quote\n3:b\n" },
		{ "a\nx\ry\nb\n", "1:a\n2!has a CR that no LF follows\n3:b\n" },
		{ "a\n\"open\nb\n", "1:a\n2!ends inside quotes\n" },
		{ "a\n\"q\"", "1:a\n2:q\n" },
	};
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t piece = 1; piece < 12; piece++) {
			read_in_pieces(str_of(cases[i].text), piece, &out);
			assert_string_equal(buf_cstr(&out), cases[i].want);
		}
	buf_free(&out);
}

static void test_limits(void **state)
{
	struct buf in = BUF_INIT, out = BUF_INIT;

	buf_c(&in, "a\n");
	for (int i = 0; i < 300; i++)
		buf_c(&in, "x,");
	buf_c(&in, "\n");
	for (int i = 0; i < CSV_ROW_MOST + 10; i++)
		buf_char(&in, 'y');
	buf_c(&in, "\nb\n");
	buf_add(&in, "n\0l\n", 4);
	read_in_pieces(buf_view(&in), 4096, &out);
	assert_string_equal(buf_cstr(&out),
		"1:a\n2!has more than 256 fields\n3!is longer than 256 KiB\n4:b\n5!holds a NUL\n");
	buf_free(&in);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
