/* CSV from outside: however it is cut into pieces, the same rows come out. */
#include "plugins/offers/csv.h"
#include "gateway/base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void rows(struct str text, size_t piece, struct buf *out)
{
	struct csv c;
	enum csv_got got;
	bool end = false;

	csv_init(&c);
	while (!end) {
		struct str in = str_n(text.p, text.n < piece ? text.n : piece);

		text = str_skip(text, in.n);
		end = !in.n;
		while ((got = end ? csv_end(&c) : csv_next(&c, &in)) != CSV_MORE &&
			got != CSV_END) {
			CHECK(c.n <= CSV_FIELDS_MOST && c.line >= 1);
			buf_printf(out, "%llu %d", (unsigned long long)c.line, got);
			for (size_t i = 0; got == CSV_ROW && i < c.n; i++) {
				buf_char(out, 1);
				buf_str(out, c.fields[i]);
			}
			buf_char(out, 2);
		}
	}
	csv_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT, cut = BUF_INIT;

	if (size < 1)
		return 0;
	rows(str_n(data + 1, size - 1), 1 << 20, &whole);
	rows(str_n(data + 1, size - 1), 1 + data[0] % 9, &cut);
	CHECK(str_eq(buf_view(&whole), buf_view(&cut)));
	buf_free(&whole);
	buf_free(&cut);
	return 0;
}
