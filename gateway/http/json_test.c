/* Strict reading and the splitter: what is said, where, and that pieces change nothing. */
#include "gateway/http/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static const char *said(const struct json_faults *f)
{
	static struct buf b;

	buf_reset(&b);
	json_faults_put(&b, f);
	return buf_cstr(&b);
}

static void places(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "", "is empty where JSON is wanted" },
		{ "  \n", "is empty where JSON is wanted" },
		{ "{\"a\":1,\n\"b\":}",
			"is not JSON: line 2, column 5 (byte 13): unexpected token near '}'" },
		{ "{\"a\":1,\"a\":2}", "is not JSON: line 1, column 10 (byte 10): duplicate object "
				       "key near '\"a\"'" },
		{ "{} x", "is not JSON: line 1, column 4 (byte 4): end of file expected near 'x'" },
		{ "\"\\u0000\"", "is not JSON: line 1, column 8 (byte 8): \\u0000 is not allowed "
				 "without JSON_ALLOW_NUL near '\"\\u0000\"'" },
		{ "\"\xff\"", "is not JSON: line 1, column 1 (byte 1): unable to decode byte 0xff "
			      "near '\"'" },
	};
	struct buf deep = BUF_INIT;
	struct json_faults f = { 0 };
	json_t *v;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		f.n = 0;
		assert_null(json_read(str_of(rows[i].text), &f));
		assert_string_equal(said(&f), rows[i].says);
	}
	for (int i = 0; i < JSON_DEPTH_MOST; i++)
		buf_char(&deep, '[');
	buf_c(&deep, "\"[\\\"[\"");
	for (int i = 0; i < JSON_DEPTH_MOST; i++)
		buf_char(&deep, ']');
	f.n = 0;
	v = json_read(buf_view(&deep), &f);
	assert_non_null(v);
	json_decref(v);
	buf_drop(&deep, 1);
	buf_c(&deep, "[[");
	assert_null(json_read(buf_view(&deep), &f));
	buf_free(&deep);
}

static void fields(void **state)
{
	static const char *const words[] = { "high", "normal", "bulk", NULL };
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "{\"to\":\"1\",\"priority\":\"bulk\",\"n\":3,\"ok\":true,\"at\":\"1970-01-01T00:"
		  "00:01Z\","
		  "\"for\":\"90s\",\"x\":1,\"data\":{},\"list\":[1,2],\"any\":null}",
			"" },
		{ "{\"to\":\"1\",\"n\":null}", "" },
		{ "[]", "must be an object" },
		{ "{}", "/to: is missing" },
		{ "{\"to\":null}", "/to: is missing" },
		{ "{\"to\":7}", "/to: must be a string" },
		{ "{\"to\":\"\"}", "/to: must not be empty" },
		{ "{\"to\":\"12345678901\"}", "/to: is longer than 10 bytes" },
		{ "{\"to\":\"1\",\"priority\":\"hihg\"}",
			"/priority: must be high, normal or bulk; did you mean \"high\"?" },
		{ "{\"to\":\"1\",\"priority\":\"x\"}", "/priority: must be high, normal or bulk" },
		{ "{\"to\":\"1\",\"n\":8}", "/n: must be from 1 to 7" },
		{ "{\"to\":\"1\",\"n\":1.5}", "/n: must be a whole number" },
		{ "{\"to\":\"1\",\"ok\":1}", "/ok: must be true or false" },
		{ "{\"to\":\"1\",\"at\":\"noon\"}",
			"/at: must be a time as in \"2026-11-22T10:15:00Z\" (RFC 3339)" },
		{ "{\"to\":\"1\",\"for\":\"-1s\"}",
			"/for: must be a duration as in \"90s\" or \"14d\"" },
		{ "{\"to\":\"1\",\"for\":9}", "/for: must be a duration as in \"90s\" or \"14d\"" },
		{ "{\"to\":\"1\",\"list\":[1,2,3]}", "/list: has more than 2 elements" },
		{ "{\"to\":\"1\",\"data\":[]}", "/data: must be an object" },
		{ "{\"to\":\"1\",\"prioritet\":\"high\",\"a/b~c\":1}",
			"/prioritet: is not known here; did you mean \"priority\"?; "
			"/a~1b~0c: is not known here" },
		{ "{\"n\":0,\"x\":\"\",\"zzzzzz\":1}",
			"/to: is missing; /n: must be from 1 to 7; /x: must be a number; "
			"/zzzzzz: is not known here" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct json_faults f = { 0 };
		struct json_obj r;
		json_t *v = json_read(str_of(rows[i].text), &f);
		struct str to;
		int word;
		int64_t n, at, dur;
		bool ok;
		double x;

		assert_non_null(v);
		json_obj_open(&r, v, "", &f);
		json_obj_str(&r, "to", JSON_REQUIRED, 10, &to);
		json_obj_word(&r, "priority", 0, words, &word);
		json_obj_int(&r, "n", 0, 1, 7, &n);
		json_obj_bool(&r, "ok", 0, &ok);
		json_obj_time(&r, "at", 0, &at);
		json_obj_dur(&r, "for", 0, &dur);
		json_obj_real(&r, "x", 0, &x);
		json_obj_object(&r, "data", 0);
		json_obj_array(&r, "list", 0, 2);
		json_obj_any(&r, "any", 0);
		assert_int_equal(json_obj_close(&r), rows[i].says[0] == '\0');
		assert_string_equal(said(&f), rows[i].says);
		if (i == 0) {
			assert_true(str_is(to, "1"));
			assert_int_equal(word, 2);
			assert_int_equal(n, 3);
			assert_true(ok);
			assert_int_equal(at, DUR_S);
			assert_int_equal(dur, 90 * DUR_S);
			assert_true(x == 1.0);
		}
		json_decref(v);
	}
}

static void nested_pointer(void **state)
{
	struct json_faults f = { 0 };
	struct json_obj r;
	json_t *v = json_read(STR("{\"a\":1}"), &f);

	json_obj_open(&r, v, "/fallback/0", &f);
	json_obj_bool(&r, "a", 0, &(bool){ false });
	assert_false(json_obj_close(&r));
	assert_string_equal(said(&f), "/fallback/0/a: must be true or false");
	json_decref(v);
}

/* Items joined by "|", "LONG" for one passed over, "!" and the words for a fault. */
static void split(
	struct buf *out, enum json_split_kind kind, const char *text, size_t piece, size_t most)
{
	struct json_faults f = { 0 };
	struct json_split s;
	struct str all = str_of(text), item;
	enum json_split_got got;

	json_split_init(&s, kind, most);
	for (;;) {
		/* A copy of its own, so that ASan sees who looks behind it. */
		struct buf own = BUF_INIT;
		struct str part;

		buf_add(&own, all.p, all.n < piece ? all.n : piece);
		all = str_skip(all, own.n);
		part = buf_view(&own);
		do {
			got = own.n ? json_split_next(&s, &part, &item, &f)
				    : json_split_end(&s, &item, &f);
			if (got == JSON_SPLIT_ITEM)
				buf_printf(out, "%.*s|", STR_ARG(item));
			else if (got == JSON_SPLIT_LONG)
				buf_c(out, "LONG|");
			else if (got == JSON_SPLIT_FAULT)
				buf_printf(out, "!%s", said(&f));
		} while (got == JSON_SPLIT_ITEM || got == JSON_SPLIT_LONG);
		buf_free(&own);
		if (got != JSON_SPLIT_MORE)
			break;
	}
	json_split_free(&s);
	buf_cstr(out);
}

static void splitting(void **state)
{
	static const struct {
		enum json_split_kind kind;
		const char *text, *items;
	} rows[] = {
		{ JSON_SPLIT_ARRAY, " [1 , \"a,]\\\"\",{\"b\":[{}]} ,null] \n",
			"1|\"a,]\\\"\"|{\"b\":[{}]}|null|" },
		{ JSON_SPLIT_ARRAY, "[]", "" },
		{ JSON_SPLIT_ARRAY, "[ ] x", "!byte 4: something follows the end of the array" },
		{ JSON_SPLIT_ARRAY, "[1,]", "1|!byte 3: an element of the array is missing" },
		{ JSON_SPLIT_ARRAY, "[,1]", "!byte 1: an element of the array is missing" },
		{ JSON_SPLIT_ARRAY, "[1,{\"a\":", "1|!byte 8: the array is cut off" },
		{ JSON_SPLIT_ARRAY, "{}", "!byte 0: an array was expected" },
		{ JSON_SPLIT_ARRAY, "", "!byte 0: the array is cut off" },
		{ JSON_SPLIT_ARRAY, "[{\"a\":},2]", "{\"a\":}|2|" },
		{ JSON_SPLIT_ARRAY, "[\"0123456789012345678901234567890\",2]", "LONG|2|" },
		{ JSON_SPLIT_LINES, "{\"a\":1}\r\n\n \n[2]\nlast", "{\"a\":1}|[2]|last|" },
		{ JSON_SPLIT_LINES, "", "" },
		{ JSON_SPLIT_LINES, "0123456789012345678901234567890123\n1\n", "LONG|1|" },
		{ JSON_SPLIT_LINES, "1\n0123456789012345678901234567890123", "1|LONG|" },
		{ JSON_SPLIT_ONE, " {\"a\":1} ", "{\"a\":1}|" },
		{ JSON_SPLIT_ONE, "[1,2]", "[1,2]|" },
		{ JSON_SPLIT_ONE, " ", "!byte 1: is empty where JSON is wanted" },
		{ JSON_SPLIT_ONE, "\"0123456789012345678901234567890123\"", "LONG|" },
		{ JSON_SPLIT_AUTO, "  [1,2]", "1|2|" },
		{ JSON_SPLIT_AUTO, " {\"a\":[1,2]}", "{\"a\":[1,2]}|" },
		{ JSON_SPLIT_AUTO, "", "!byte 0: is empty where JSON is wanted" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t piece = 1; piece < 60; piece++) {
			struct buf out = BUF_INIT;

			split(&out, rows[i].kind, rows[i].text, piece, 30);
			if (strcmp(out.p, rows[i].items) != 0)
				fail_msg("%s in pieces of %zu: %s", rows[i].text, piece, out.p);
			buf_free(&out);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(places), cmocka_unit_test(fields),
		cmocka_unit_test(nested_pointer), cmocka_unit_test(splitting) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
