/* strain.h: what is taken out, what stays, wherever the stream is cut into pieces. */
#include "gateway/control/strain.h"
#include "gateway/http/json.h"
#include "gateway/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LEAST = 4000 };
static char dir[64];
static struct spool *spool;

static int begin(void **state)
{
	struct err e;

	snprintf(dir, sizeof dir, "/tmp/strain_test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	spool = spool_open(dir, &e);
	return spool ? 0 : -1;
}

static int over(void **state)
{
	spool_close(&spool);
	assert_int_equal(rmdir(dir), 0); /* no file is left */
	return 0;
}

static struct strain *pass(const char *in, size_t n, size_t piece, bool lines, struct buf *out)
{
	struct strain *st = strain_new(spool, lines, LEAST);

	for (size_t at = 0; at < n; at += piece)
		strain_take(st, str_n(in + at, n - at < piece ? n - at : piece), out);
	strain_end(st, out);
	return st;
}

static char *content(size_t n)
{
	char *s = mem_alloc(n + 1);

	for (size_t i = 0; i < n; i++)
		s[i] = "ABCDefgh0123+/zz"[(i * 7 + i / 64) % 16];
	return s;
}

/* The string under "attachments" in what is left. */
static struct strained *found(struct strain *st, const struct buf *left)
{
	struct json_faults f = { 0 };
	json_t *v = json_read(buf_view(left), &f);
	struct strained *s;

	if (!v)
		fail_msg("not JSON: %s\n%.*s", f.v[0].text, 300, left->p);
	s = strain_find(st, json_str(json_object_get(v, "attachments")));
	json_decref(v);
	return s;
}

static void file_is(struct strained *s, struct str want)
{
	char name[SPOOL_NAME], *is = mem_alloc(want.n + 1);
	uint64_t size;
	struct err e;
	int fd;

	assert_int_equal(spool_finish(&s->file, name, &e), 0);
	fd = spool_read(spool, str_of(name), &size, &e);
	assert_true(fd >= 0);
	assert_int_equal(size, want.n);
	assert_int_equal(read(fd, is, want.n + 1), want.n);
	assert_memory_equal(is, want.p, want.n);
	close(fd);
	spool_remove(spool, str_of(name));
	mem_free(&is);
}

static const size_t pieces[] = { 1, 2, 7, 100, 4096, 1 << 20 };
enum { PIECES = sizeof pieces / sizeof pieces[0] };

static void test_taken_out(void **state)
{
	char *body = content(20000);
	struct buf in = BUF_INIT;
	struct str value;
	char digest[STRAIN_DIGEST] = "";
	size_t at;

	buf_c(&in, "{\"media\":\"email\",\"text\":\"a [\\\"attachments\\\":[\",\"attachments\" : ");
	at = in.n;
	buf_printf(&in,
		"[ {\"name\":\"a \\\"b\\\" [x].pdf\",\"content\":\"%s\"}, {\"name\":\"short\","
		"\"content\":\"QUJD\",\"inline\":true} ]",
		body);
	value = str_n(in.p + at, in.n - at);
	buf_c(&in, ", \"to\":\"a@b.example\"}");
	value.p = in.p + at; /* it may have moved */
	for (size_t k = 0; k < PIECES; k++) {
		struct buf left = BUF_INIT;
		struct strain *st = pass(in.p, in.n, pieces[k], false, &left);
		struct strained *s = found(st, &left);

		assert_non_null(s);
		assert_string_equal(s->fault, "");
		assert_true(left.n < 300);
		assert_true(str_is(buf_view(&s->skeleton),
			"[ {\"name\":\"a \\\"b\\\" [x].pdf\",\"content\":\"\"}, {\"name\":"
			"\"short\",\"content\":\"QUJD\",\"inline\":true} ]"));
		assert_int_equal(strlen(s->digest), STRAIN_DIGEST - 1);
		if (k)
			assert_string_equal(s->digest, digest);
		memcpy(digest, s->digest, sizeof digest);
		file_is(s, value);
		strain_free(&st);
		buf_free(&left);
	}
	buf_free(&in);
	mem_free(&body);
}

/* What is short, elsewhere, or another key stays, byte by byte. */
static void test_stays(void **state)
{
	char *body = content(9000);
	const char *const forms[] = {
		"{\"attachments\":[{\"content\":\"QUJD\"}]}",
		"{\"attachments\":[]}",
		"{\"attachments\":\"%s\"}",
		"{\"attachments\":{\"content\":\"%s\"}}",
		"{\"attachment\":[\"%s\"]}",
		"{\"attachmentss\":[\"%s\"]}",
		"{\"x\":\"attachments\",\"y\":[\"%s\"]}",
		"{\"fallback\":[{\"attachments\":[\"%s\"]}]}",
		"{\"data\":{\"attachments\":[\"%s\"]}}",
		"{\"html\":\"%s\",\"attachments\":[]}",
		"[[\"attachments\",[\"%s\"]]]",
		"[\"attachments\",[\"%s\"]]",
		"\"%s\"",
		"{\"a\":\"\\\\\",\"attachments\":[],\"b\":\"\\\"\",\"c\":[\"%s\"]}",
		"}}]{\"attachments\":[\"x\"]",
		"",
	};

	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
		for (size_t k = 0; k < PIECES; k++) {
			struct buf in = BUF_INIT, left = BUF_INIT;
			const char *hole = strstr(forms[i], "%s");
			struct strain *st;

			if (hole) {
				buf_add(&in, forms[i], (size_t)(hole - forms[i]));
				buf_c(&in, body);
				buf_c(&in, hole + 2);
			} else {
				buf_c(&in, forms[i]);
			}
			st = pass(in.p, in.n, pieces[k], false, &left);
			if (!str_eq(buf_view(&in), buf_view(&left)))
				fail_msg("%s is changed", forms[i]);
			strain_free(&st);
			buf_free(&in);
			buf_free(&left);
		}
	mem_free(&body);
}

static void test_faults(void **state)
{
	static const struct {
		const char *tail, *says;
	} c[] = {
		{ "", "" },
		{ "=", "middle" },
		{ "A", "middle" },
		{ "AA", "" },
		{ "AA==", "" },
		{ "AAA=", "" },
		{ "AA=A", "behind its end" },
		{ "AA===", "middle" },
		{ "<b>", "not base64" },
		{ "\\u0041", "not base64" },
		{ "\\r\\n \\/AAA", "" },
		{ "-_AA", "" },
	};
	char *body = content(8000);

	for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
		struct buf in = BUF_INIT, left = BUF_INIT;
		struct strained *s;
		struct strain *st;

		buf_printf(&in, "{\"attachments\":[{\"content\":\"%s%s\"}]}", body, c[i].tail);
		st = pass(in.p, in.n, 1000, false, &left);
		s = found(st, &left);
		assert_non_null(s);
		if (c[i].says[0] ? !strstr(s->fault, c[i].says) : s->fault[0])
			fail_msg("\"…%s\": \"%s\"", c[i].tail, s->fault);
		assert_false(s->again);
		strain_free(&st);
		buf_free(&in);
		buf_free(&left);
	}
	mem_free(&body);
}

/* Several items; those done with are forgotten, and a mark is nobody's to make up. */
static void test_items(void **state)
{
	char *body = content(9000);

	for (int lines = 0; lines < 2; lines++) {
		struct buf in = BUF_INIT, left = BUF_INIT;
		struct json_split split;
		struct json_faults f = { 0 };
		struct strain *st;
		struct str rest, item;
		enum json_split_got got;
		unsigned n = 0;

		buf_c(&in, lines ? "" : "[");
		for (int i = 0; i < 5; i++)
			buf_printf(&in, "%s{\"n\":%d,\"attachments\":[{\"content\":\"%s%s\"}]}",
				i == 0  ? ""
				: lines ? "\n"
					: ",",
				i, body, i % 2 ? "AAAA" : "");
		buf_c(&in, lines ? "\n" : "]");
		st = pass(in.p, in.n, 777, lines, &left);
		json_split_init(
			&split, lines ? JSON_SPLIT_LINES : JSON_SPLIT_AUTO, 1000); /* all short */
		rest = buf_view(&left);
		while ((got = json_split_next(&split, &rest, &item, &f)) == JSON_SPLIT_ITEM) {
			json_t *v = json_read(item, &f);
			struct str mark = json_str(json_object_get(v, "attachments"));

			assert_non_null(strain_find(st, mark));
			strain_forget(st, item);
			assert_null(strain_find(st, mark));
			json_decref(v);
			n++;
		}
		assert_int_equal(n, 5);
		assert_null(strain_find(st, STR("00000000000000000000000000000000:0")));
		json_split_free(&split);
		strain_free(&st);
		buf_free(&in);
		buf_free(&left);
	}
	mem_free(&body);
}

/* A body, or a line, that ends in the middle: no JSON, and no file. */
static void test_cut_off(void **state)
{
	char *body = content(9000);
	struct buf in = BUF_INIT, left = BUF_INIT;
	struct json_faults f = { 0 };
	struct strain *st;

	buf_printf(&in, "{\"attachments\":[{\"content\":\"%s", body);
	st = pass(in.p, in.n, 500, false, &left);
	assert_null(json_read(buf_view(&left), &f));
	strain_free(&st);
	buf_reset(&left);
	buf_c(&in, "\n{\"to\":\"x\"}\n");
	st = pass(in.p, in.n, 500, true, &left);
	assert_true(str_ends(buf_view(&left), STR("\n{\"to\":\"x\"}\n")));
	assert_true(left.n < 200);
	strain_free(&st);
	buf_free(&in);
	buf_free(&left);
	mem_free(&body);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, over)
	const struct CMUnitTest tests[] = {
		T(test_taken_out),
		T(test_stays),
		T(test_faults),
		T(test_items),
		T(test_cut_off),
	};

	return cmocka_run_group_tests_name("strain", tests, NULL, NULL);
}
