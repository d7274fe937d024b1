/* spool.h: what is named is whole, what is not finished is nothing. */
#include "gateway/base/spool.h"
#include "gateway/base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static struct err e;

static struct spool *fresh(void)
{
	struct spool *s;
	char at[96];

	snprintf(folder, sizeof folder, "/tmp/spool_test.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(at, sizeof at, "%s/spool", folder);
	s = spool_open(at, &e);
	assert_non_null(s);
	return s;
}

static bool drop_each(void *ctx, struct str name)
{
	spool_remove(ctx, name);
	return true;
}

static void done(struct spool **sp)
{
	char at[96];

	assert_int_equal(spool_each(*sp, drop_each, *sp, &e), 0);
	spool_close(sp);
	snprintf(at, sizeof at, "%s/spool", folder);
	assert_int_equal(rmdir(at), 0); /* nothing is left in it */
	rmdir(folder);
}

static bool count_each(void *ctx, struct str name)
{
	++*(unsigned *)ctx;
	return true;
}

static unsigned count(struct spool *s)
{
	unsigned n = 0;

	assert_int_equal(spool_each(s, count_each, &n, &e), 0);
	return n;
}

static void check_is(struct spool *s, const char *name, const char *p, size_t n)
{
	uint64_t size = 0;
	int fd = spool_read(s, str_of(name), &size, &e);
	char *got = malloc(n + 1);

	assert_true(fd >= 0);
	assert_int_equal(size, n);
	assert_int_equal(read(fd, got, n + 1), n);
	assert_memory_equal(got, p, n);
	close(fd);
	free(got);
}

static void bodies_in_pieces(void **state)
{
	static const size_t piece[] = { 1, 7, 4096, 16383, 16384, 16385, 100000 };
	struct spool *s = fresh();
	size_t total = 300001;
	char *body = malloc(total), name[SPOOL_NAME];

	for (size_t i = 0; i < total; i++)
		body[i] = (char)(i * 31 + i / 251);
	for (size_t k = 0; k < sizeof piece / sizeof *piece; k++) {
		struct spool_writer *w = spool_begin(s, &e);

		assert_non_null(w);
		for (size_t at = 0; at < total; at += piece[k]) {
			size_t n = total - at < piece[k] ? total - at : piece[k];

			assert_int_equal(spool_write(w, body + at, n, &e), 0);
		}
		assert_int_equal(spool_written(w), total);
		assert_int_equal(count(s), k); /* not there before it is finished */
		assert_int_equal(spool_finish(&w, name, &e), 0);
		assert_null(w);
		check_is(s, name, body, total);
	}
	free(body);
	done(&s);
}

static void removed_while_read(void **state)
{
	struct spool *s = fresh();
	struct spool_writer *w = spool_begin(s, &e);
	char name[SPOOL_NAME], got[8];
	uint64_t size;
	int fd;

	assert_int_equal(spool_write(w, "body", 4, &e), 0);
	assert_int_equal(spool_write(w, NULL, 0, &e), 0);
	assert_int_equal(spool_finish(&w, name, &e), 0);
	fd = spool_read(s, str_of(name), &size, &e);
	spool_remove(s, str_of(name));
	spool_remove(s, str_of(name));
	assert_int_equal(read(fd, got, sizeof got), 4);
	close(fd);
	assert_int_equal(spool_read(s, str_of(name), &size, &e), -1);
	assert_int_equal(count(s), 0);
	done(&s);
}

static void unfinished_is_gone(void **state)
{
	struct spool *s = fresh();
	struct spool_writer *w = spool_begin(s, &e), *aborted = spool_begin(s, &e);
	char at[96], kept[128];
	struct stat st;

	assert_int_equal(spool_write(aborted, "x", 1, &e), 0);
	spool_abort(&aborted);
	spool_abort(&aborted);
	assert_int_equal(spool_write(w, "x", 1, &e), 0);
	/* as after a kill: another one opens the folder, with what was being written in it */
	snprintf(at, sizeof at, "%s/spool", folder);
	snprintf(kept, sizeof kept, "%s/.profile", at);
	close(open(kept, O_CREAT | O_WRONLY, 0600));
	spool_close(&s);
	s = spool_open(at, &e);
	assert_int_equal(stat(at, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(access(kept, F_OK), 0); /* none of ours: left alone */
	unlink(kept);
	/* the writer of the old life is lost with it; its file is, too */
	assert_int_equal(count(s), 0);
	free(w);
	done(&s);
}

static void foreign_names(void **state)
{
	static const char *const bad[] = { "", ".", "..", "../spool", "/etc/passwd",
		"0123456789abcdef0123456789abcd0", "0123456789abcdef0123456789abc",
		"0123456789ABCDEF0123456789abcd", "0123456789abcdef/123456789abcd",
		".123456789abcdef0123456789abcd" };
	struct spool *s = fresh();
	uint64_t size;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		e.kind = ERR_NONE;
		assert_int_equal(spool_read(s, str_of(bad[i]), &size, &e), -1);
		assert_int_equal(e.kind, ERR_INPUT);
		spool_remove(s, str_of(bad[i]));
	}
	assert_int_equal(spool_read(s, STR("0123456789abcdef0123456789abcd"), &size, &e), -1);
	assert_int_equal(e.kind, ERR_ENV);
	done(&s);
}

static void a_full_disk(void **state)
{
	struct spool *s = fresh();
	char name[SPOOL_NAME], piece[20000] = "";
	struct spool_writer *w = spool_begin(s, &e);

	fault_init("spool-write:1");
	assert_int_equal(spool_write(w, piece, sizeof piece, &e), -1);
	assert_int_equal(e.kind, ERR_AGAIN);
	assert_int_equal(spool_write(w, piece, 1, &e), -1); /* and what follows, too */
	assert_int_equal(spool_finish(&w, name, &e), -1);
	assert_null(w);
	w = spool_begin(s, &e);
	fault_init("spool-write:1");
	assert_int_equal(spool_write(w, piece, 10, &e), 0);
	assert_int_equal(spool_finish(&w, name, &e), -1);
	assert_int_equal(e.kind, ERR_AGAIN);
	w = spool_begin(s, &e);
	fault_init("spool-sync:1");
	assert_int_equal(spool_finish(&w, name, &e), -1);
	assert_int_equal(e.kind, ERR_ENV);
	fault_init("");
	assert_int_equal(count(s), 0);
	done(&s); /* nothing half-written is left */
}

/* Into another folder: of the same file system, and of another. */
static void given(void **state)
{
	struct spool *s = fresh();
	struct spool_writer *w = spool_begin(s, &e);
	const char *const to[] = { folder, "/dev/shm" };
	char name[SPOOL_NAME], at[96], file[160];

	assert_int_equal(spool_write(w, "body", 4, &e), 0);
	assert_int_equal(spool_finish(&w, name, &e), 0);
	for (size_t i = 0; i < 2; i++) {
		struct stat st;

		snprintf(at, sizeof at, "%s/given-%d", to[i], (int)getpid());
		for (int again = 0; again < 2; again++)
			assert_int_equal(spool_give(s, str_of(name), at, &e), 0);
		assert_int_equal(spool_sync(at, &e), 0);
		snprintf(file, sizeof file, "%s/%s", at, name);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_size, 4);
		e.kind = ERR_NONE;
		assert_int_equal(spool_give(s, STR("0123456789abcdef0123456789abcd"), at, &e), -1);
		assert_int_equal(e.kind, ERR_INPUT);
		unlink(file);
		assert_int_equal(rmdir(at), 0);
	}
	done(&s);
}

static void references(void **state)
{
	static const struct {
		const char *value;
		bool good;
		const char *field;
		uint64_t size;
	} c[] = {
		{ "octets:0123456789abcdef0123456789abcd:26214400", true, "octets", 26214400 },
		{ "attachments:0123456789abcdef0123456789abcd:0", true, "attachments", 0 },
		{ "", false, NULL, 0 },
		{ "octets", false, NULL, 0 },
		{ "octets:0123456789abcdef0123456789abcd", false, NULL, 0 },
		{ "octets:0123456789abcdef0123456789abcd:", false, NULL, 0 },
		{ "octets:0123456789abcdef0123456789abcd:-1", false, NULL, 0 },
		{ "octets:0123456789abcdef0123456789abcd:1:2", false, NULL, 0 },
		{ "octets:../../etc/passwd:1", false, NULL, 0 },
		{ ":0123456789abcdef0123456789abcd:1", false, NULL, 0 },
	};

	for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
		struct spool_ref r;

		assert_int_equal(spool_ref_parse(str_of(c[i].value), &r), c[i].good);
		if (!c[i].good)
			continue;
		assert_true(str_is(r.field, c[i].field));
		assert_int_equal(r.size, c[i].size);
	}
}

static void no_folder(void **state)
{
	assert_null(spool_open("/proc/no/such/folder", &e));
	assert_int_equal(e.kind, ERR_ENV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_in_pieces),
		cmocka_unit_test(removed_while_read),
		cmocka_unit_test(unfinished_is_gone),
		cmocka_unit_test(foreign_names),
		cmocka_unit_test(a_full_disk),
		cmocka_unit_test(given),
		cmocka_unit_test(references),
		cmocka_unit_test(no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
