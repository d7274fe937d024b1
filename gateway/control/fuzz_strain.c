/* strain.h on any bytes: the same is left wherever the stream is cut, and nothing is
 * changed where nothing is taken out.
 */
#include "gateway/base/mem.h"
#include "gateway/control/strain.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];

static void leave(void)
{
	rmdir(dir);
}

static struct spool *spool(void)
{
	static struct spool *s;
	struct err e;

	if (!s) {
		snprintf(dir, sizeof dir, "%s/fuzz-strain-%ld",
			access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid());
		s = spool_open(dir, &e);
		CHECK(s);
		atexit(leave);
	}
	return s;
}

/* Marks differ from run to run: only their places count. */
static void unmark(struct buf *left, struct strain *st, unsigned *n_r)
{
	struct strained *v;
	char mark[STRAIN_MARK];

	*n_r = 0;
	for (size_t i = 0; i + 34 <= left->n; i++)
		for (size_t n = STRAIN_MARK - 1; n >= 34 && left->p[i + 32] == ':'; n--) {
			if (i + n > left->n)
				continue;
			str_copy(mark, sizeof mark, str_n(left->p + i, n));
			v = strain_find(st, str_of(mark));
			if (!v)
				continue;
			memset(left->p + i, 'M', n);
			(*n_r)++;
			CHECK(v->digest[0] && (v->fault[0] || v->file));
			break;
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf left[2] = { BUF_INIT, BUF_INIT };
	unsigned n[2];
	struct str in;

	if (size < 2)
		return 0;
	in = str_n(data + 2, size - 2);
	for (int i = 0; i < 2; i++) {
		struct strain *st = strain_new(spool(), data[0] & 1, 20);
		size_t piece = i ? in.n + 1 : 1 + (size_t)data[1] % 16;

		for (size_t at = 0; at < in.n; at += piece)
			strain_take(st, str_n(in.p + at, in.n - at < piece ? in.n - at : piece),
				&left[i]);
		strain_end(st, &left[i]);
		unmark(&left[i], st, &n[i]);
		if (n[i] == 0)
			CHECK(str_eq(buf_view(&left[i]), in));
		strain_forget(st, buf_view(&left[i]));
		strain_free(&st);
	}
	CHECK(n[0] == n[1] && str_eq(buf_view(&left[0]), buf_view(&left[1])));
	buf_free(&left[0]);
	buf_free(&left[1]);
	return 0;
}
