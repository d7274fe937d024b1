/* Fuzz target of the splitter and the reader. The first byte chooses the kind, the second the size
 * of the pieces: cut into pieces or fed whole, the items must be the same; and what jansson takes
 * as an array must come out as that array's elements, no more and no fewer.
 */
#include "gateway/http/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	struct buf text; /* items, each followed by a mark of what it was */
	json_t *values;
	bool fault;
};

static void see(struct seen *seen, enum json_split_got got, struct str item)
{
	struct json_faults f = { 0 };
	json_t *v;

	if (got == JSON_SPLIT_FAULT) {
		seen->fault = true;
	} else if (got == JSON_SPLIT_LONG) {
		buf_c(&seen->text, "LONG\1");
	} else if (got == JSON_SPLIT_ITEM) {
		buf_str(&seen->text, item);
		buf_char(&seen->text, '\1');
		v = json_read(item, &f);
		CHECK(!v == (f.n != 0));
		if (v)
			json_array_append_new(seen->values, v);
	}
}

static void split(
	struct seen *seen, enum json_split_kind kind, struct str in, size_t piece, size_t most)
{
	struct json_faults f = { 0 };
	struct json_split s;
	enum json_split_got got = JSON_SPLIT_MORE;
	struct str item = STR_NONE;

	*seen = (struct seen){ .values = json_array() };
	json_split_init(&s, kind, most);
	while (in.n && !seen->fault) {
		struct str part = str_n(in.p, in.n < piece ? in.n : piece);

		in = str_skip(in, part.n);
		do {
			size_t before = part.n;

			got = json_split_next(&s, &part, &item, &f);
			CHECK(got != JSON_SPLIT_MORE || part.n == 0);
			CHECK(got == JSON_SPLIT_MORE || got == JSON_SPLIT_FAULT || part.n < before);
			see(seen, got, item);
		} while (got == JSON_SPLIT_ITEM || got == JSON_SPLIT_LONG);
	}
	while (!seen->fault && (got = json_split_end(&s, &item, &f)) != JSON_SPLIT_END)
		see(seen, got, item);
	CHECK(seen->fault == (f.n != 0));
	json_split_free(&s);
}

static void read_strictly(struct str text)
{
	static const char *const words[] = { "high", "normal", "bulk", NULL };
	struct json_faults f = { 0 };
	struct json_obj r;
	json_t *v = json_read(text, &f);
	struct str s;
	struct buf b = BUF_INIT;
	bool flag;
	int64_t i;
	double d;
	wall_t t;
	int w;

	json_obj_open(&r, v, "", &f);
	json_obj_str(&r, "to", JSON_REQUIRED, 20, &s);
	json_obj_bool(&r, "dry_run", 0, &flag);
	json_obj_int(&r, "n", 0, -5, 5, &i);
	json_obj_real(&r, "x", 0, &d);
	json_obj_time(&r, "send_at", 0, &t);
	json_obj_dur(&r, "valid_for", 0, &t);
	json_obj_word(&r, "priority", 0, words, &w);
	json_obj_object(&r, "data", 0);
	json_obj_array(&r, "fallback", 0, 3);
	CHECK(json_obj_close(&r) == (f.n == 0));
	json_faults_put(&b, &f);
	buf_free(&b);
	json_decref(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_faults f = { 0 };
	enum json_split_kind kind;
	struct seen whole, pieces;
	struct str in;
	json_t *v;

	if (size < 2)
		return 0;
	kind = (enum json_split_kind)(data[0] & 3);
	in = str_n(data + 2, size - 2);
	split(&whole, kind, in, SIZE_MAX, data[0] & 4 ? 24 : 1 << 16);
	split(&pieces, kind, in, (size_t)(data[1] % 17) + 1, data[0] & 4 ? 24 : 1 << 16);
	CHECK(whole.fault == pieces.fault);
	CHECK(str_eq(buf_view(&whole.text), buf_view(&pieces.text)));
	CHECK(json_equal(whole.values, pieces.values));
	read_strictly(in);
	v = json_read(in, &f);
	if (json_is_array(v) && !(data[0] & 4) &&
		(kind == JSON_SPLIT_ARRAY || kind == JSON_SPLIT_AUTO))
		CHECK(!whole.fault && json_equal(v, whole.values));
	json_decref(v);
	json_decref(whole.values);
	json_decref(pieces.values);
	buf_free(&whole.text);
	buf_free(&pieces.text);
	return 0;
}
