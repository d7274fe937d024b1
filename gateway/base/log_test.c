/* The log's two forms, and that a value from outside cannot forge a line or a field. */
#include "gateway/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

static struct buf line;
static int lines;

static void keep(void *ctx, struct str s)
{
	buf_reset(&line);
	buf_str(&line, s);
	buf_cstr(&line);
	lines++;
}

static int capture_on(void **state)
{
	log_capture(keep, NULL);
	log_set_json(false);
	log_set_level(LOG_INFO);
	lines = 0;
	return 0;
}

static int capture_off(void **state)
{
	log_capture(NULL, NULL);
	buf_free(&line);
	return 0;
}

static const char *without_time(void)
{
	wall_t t;

	assert_true(line.n > 25);
	assert_true(clock_parse_rfc3339(str_n(line.p, 24), &t));
	assert_int_equal(line.p[24], ' ');
	return line.p + 25;
}

static void text_form(void **state)
{
	log_info("sent", F_ID("msg", UINT64_MAX), F_STR("channel", "smsc-a"),
		F_DUR("took", 41 * DUR_MS), F_INT("left", -3), F_BOOL("ok", true),
		F_REAL("rate", 1.5));
	assert_string_equal(without_time(), "info sent msg=18446744073709551615 channel=smsc-a "
					    "took=41ms left=-3 ok=true rate=1.5");
	log_info("ready");
	assert_string_equal(without_time(), "info ready");
	log_debug("quiet");
	assert_int_equal(lines, 2);
	log_set_level(LOG_DEBUG);
	log_debug("loud");
	assert_string_equal(without_time(), "debug loud");
}

static void hostile_values(void **state)
{
	static const struct {
		const char *value, *shown;
	} rows[] = {
		{ "", "\"\"" }, { "two words", "\"two words\"" }, { "a=b", "\"a=b\"" },
		{ "x\" level=error y=\"", "\"x\\\" level=error y=\\\"\"" },
		{ "x\n2026-01-01T00:00:00.000Z info forged",
			"\"x\\n2026-01-01T00:00:00.000Z info forged\"" },
		{ "\r\t\x1b[2J", "\"\\r\\t\\x1b[2J\"" }, { "back\\slash", "\"back\\\\slash\"" },
		{ "\xff\xfe", "\"\\xff\\xfe\"" }, { "Blåbær", "Blåbær" },
		{ "rtl\xe2\x80\xae", "\"rtl\\u202e\"" },
		{ "\xc2\x85", "\"\\u0085\"" }, /* NEL ends a line for some */
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char want[200];

		snprintf(want, sizeof want, "info e v=%s", rows[i].shown);
		log_info("e", F_STR("v", rows[i].value));
		assert_string_equal(without_time(), want);
		assert_null(memchr(line.p, '\n', line.n));
	}
}

static void long_value_is_cut(void **state)
{
	char big[5000];

	memset(big, 'a', sizeof big);
	log_info("e", F_SLICE("v", str_n(big, sizeof big)));
	assert_true(line.n < 1100);
	assert_true(str_ends(buf_view(&line), STR("a…")));
}

static void json_form(void **state)
{
	json_t *o;

	log_set_json(true);
	log_warn("down", F_ID("msg", UINT64_MAX), F_STR("why", "a\"b\n\xff"),
		F_DUR("took", 41 * DUR_MS), F_U64("n", 7), F_REAL("x", 0.0 / 0.0));
	assert_null(memchr(line.p, '\n', line.n));
	o = json_loads(line.p, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, "level")), "warn");
	assert_string_equal(json_string_value(json_object_get(o, "event")), "down");
	assert_string_equal(json_string_value(json_object_get(o, "msg")), "18446744073709551615");
	assert_string_equal(json_string_value(json_object_get(o, "why")), "a\"b\n\xef\xbf\xbd");
	assert_true(json_real_value(json_object_get(o, "took")) == 0.041);
	assert_int_equal(json_integer_value(json_object_get(o, "n")), 7);
	assert_true(json_is_null(json_object_get(o, "x")));
	json_decref(o);
}

/* stderr's own form depends on what it is: a child of ours writes one line into a pipe. */
static void child_line(bool journal, char *out, size_t cap)
{
	int fd[2], status;
	pid_t pid;
	ssize_t n;
	struct stat st;
	char stream[64];

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		log_capture(NULL, NULL);
		dup2(fd[1], 2);
		fstat(2, &st);
		snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
			(unsigned long long)st.st_ino + !journal);
		setenv("JOURNAL_STREAM", stream, 1);
		execl("/proc/self/exe", "log_test", "line", (char *)NULL);
		_exit(9);
	}
	close(fd[1]);
	n = read(fd[0], out, cap - 1);
	close(fd[0]);
	assert_true(n > 0);
	out[n] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void journald(void **state)
{
	char out[256];

	child_line(true, out, sizeof out);
	assert_string_equal(out, "<4>down why=\"no room\"\n");
	child_line(false, out, sizeof out);
	assert_string_equal(out + 24, " warn down why=\"no room\"\n");
}

static void quiet(void **state)
{
	struct log_quiet q = { 0 };
	unsigned held = 9;

	assert_true(log_due(&q, &held));
	assert_int_equal(held, 0);
	assert_false(log_due(&q, &held));
	assert_false(log_due(&q, &held));
	clock_shift(61 * DUR_S);
	assert_true(log_due(&q, &held));
	assert_int_equal(held, 2);
	assert_false(log_due(&q, &held));
	clock_shift(-61 * DUR_S);
}

static void levels(void **state)
{
	enum log_level l = LOG_ERROR;

	assert_true(log_level_parse(STR("debug"), &l));
	assert_int_equal(l, LOG_DEBUG);
	assert_false(log_level_parse(STR("DEBUG"), &l));
	assert_string_equal(log_level_name(LOG_WARN), "warn");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(text_form, capture_on, capture_off),
		cmocka_unit_test_setup_teardown(hostile_values, capture_on, capture_off),
		cmocka_unit_test_setup_teardown(long_value_is_cut, capture_on, capture_off),
		cmocka_unit_test_setup_teardown(json_form, capture_on, capture_off),
		cmocka_unit_test(journald),
		cmocka_unit_test(quiet),
		cmocka_unit_test(levels),
	};

	if (argc > 1) {
		log_warn("down", F_STR("why", "no room"));
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
