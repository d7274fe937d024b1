/* mem.h, err.h and fault.h: memory, arenas, errors worded, and failures on demand. */
#include "gateway/base/mem.h"
#include "gateway/base/err.h"
#include "gateway/base/fault.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void arenas(void **state)
{
	struct arena *a = arena_new();
	char *p[2000];

	for (size_t i = 0; i < 2000; i++) {
		p[i] = arena_alloc(a, i);
		assert_int_equal((uintptr_t)p[i] % alignof(max_align_t), 0);
		for (size_t k = 0; k < i; k++)
			assert_int_equal(p[i][k], 0);
		memset(p[i], (int)(i % 251), i);
	}
	for (size_t i = 1; i < 2000; i++) /* no piece lies in another */
		assert_true((uint8_t)p[i][0] == i % 251 && (uint8_t)p[i][i - 1] == i % 251);
	memset(arena_alloc(a, 1 << 20), 1, 1 << 20);
	assert_string_equal(arena_cstr(a, STR("ab")), "ab");
	assert_string_equal(arena_str(a, STR_NONE).p, "");
	assert_string_equal(arena_printf(a, "%s-%d", "x", 7), "x-7");
	arena_free(&a);
	assert_null(a);
	arena_free(&a);
}

static void pieces(void **state)
{
	char *p = mem_dup(STR("abc"));
	uint8_t *zeroed = mem_alloc(100);

	assert_string_equal(p, "abc");
	p = mem_grow(p, 1000);
	assert_string_equal(p, "abc");
	for (int i = 0; i < 100; i++)
		assert_int_equal(zeroed[i], 0);
	mem_free(&p);
	assert_null(p);
	mem_free(&p);
	mem_free(&zeroed);
}

static void errors(void **state)
{
	struct err e = { 0 };
	char wide[1000];

	assert_int_equal(err_set(&e, ERR_ENV, "bind %s: %s", "0.0.0.0:25", "taken"), -1);
	assert_int_equal(e.kind, ERR_ENV);
	assert_int_equal(err_wrap(&e, "listener %s", "esme"), -1);
	assert_string_equal(e.text, "listener esme: bind 0.0.0.0:25: taken");
	assert_int_equal(e.kind, ERR_ENV);
	assert_int_equal(err_set(NULL, ERR_ENV, "x"), -1);
	assert_int_equal(err_wrap(NULL, "x"), -1);

	/* what does not fit is cut, at every length */
	for (size_t n = sizeof e.text - 10; n < sizeof e.text + 10; n++) {
		memset(wide, 'w', n);
		wide[n] = '\0';
		err_set(&e, ERR_CONF, "old");
		err_wrap(&e, "%s", wide);
		assert_true(strlen(e.text) < sizeof e.text);
		assert_int_equal(e.text[0], 'w');
	}
}

static void faults(void **state)
{
	fault_init("fsync:3");
	assert_false(fault_hit("fsync"));
	assert_false(fault_hit("write")); /* counts its own name only */
	assert_false(fault_hit("fsync"));
	assert_true(fault_hit("fsync"));
	assert_false(fault_hit("fsync"));
	fault_init("write:2+");
	assert_false(fault_hit("write"));
	assert_true(fault_hit("write"));
	assert_true(fault_hit("write"));
	fault_init("");
	assert_false(fault_hit("write"));
	fault_init("nonsense");
	assert_false(fault_on);
	fault_init("write:x");
	assert_false(fault_on);
}

static int signal_of(void (*act)(void))
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(9);
		act();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}
static void fail_check(void)
{
	CHECK(1 + 1 == 3);
}
static void pass_check(void)
{
	CHECK(1 + 1 == 2);
}
static void fail_alloc(void)
{
	fault_init("alloc:2");
	mem_alloc(1);
	mem_alloc(1);
}

/* A bug and lack of memory end the process; nothing goes on in a state that cannot be. */
static void endings(void **state)
{
	assert_int_equal(signal_of(fail_check), SIGABRT);
	assert_int_equal(signal_of(pass_check), 0);
	assert_int_equal(signal_of(fail_alloc), SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arenas),
		cmocka_unit_test(pieces),
		cmocka_unit_test(errors),
		cmocka_unit_test(faults),
		cmocka_unit_test(endings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
