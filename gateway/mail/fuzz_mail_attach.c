/* Fuzz target: any octets as the list of attachments in the spool. What is found in the file is
 * what the list says when it is parsed as JSON. */
#include "gateway/base/mem.h"
#include "gateway/mail/content.h"
#include "gateway/mail/mime_out.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_of(struct str s)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("attachments", MFD_CLOEXEC);
	CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
	CHECK(pwrite(fd, s.p, s.n, 0) == (ssize_t)s.n);
	return dup(fd);
}

static int put(void *ctx, struct str piece)
{
	buf_str(ctx, piece);
	return 0;
}

static void same(const struct attachments *a, const struct attachments *b, size_t i)
{
	struct buf want = BUF_INIT, got = BUF_INIT, lines = BUF_INIT;
	size_t octets, place;

	CHECK(attachment_octets(a, &a->v[i], put, &want, NULL) == 0);
	CHECK(attachment_octets(b, &b->v[i], put, &got, NULL) == 0);
	CHECK(str_eq(buf_view(&want), buf_view(&got)));
	CHECK(mime_base64_rewrap(a->v[i].content, &lines, &octets, &place) == 0);
	CHECK(octets == want.n);
	if (b->v[i].at)
		CHECK(b->v[i].octets == got.n && b->v[i].base64 == lines.n);
	buf_free(&want);
	buf_free(&got);
	buf_free(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str json = str_n(data, size);
	struct attachments a, b;
	struct err e = { 0 };

	if (size && attachments_read(json, &a, &e) == 0) {
		CHECK(attachments_read(json, &b, &e) == 0);
		CHECK(attachments_locate(&b, file_of(json), size, &e) == 0);
		for (size_t i = 0; i < a.n; i++) {
			same(&a, &b, i);
			CHECK(attachment_look(&a, &a.v[i], size & 1, &e) == 0);
			CHECK(attachment_look(&b, &b.v[i], size & 1, &e) == 0);
			CHECK(a.v[i].raw == b.v[i].raw && a.v[i].raw_n == b.v[i].raw_n);
		}
		attachments_free(&a);
		attachments_free(&b);
	}
	/* a file that is another message's, or damaged */
	a = (struct attachments){ .fd = -1, .n = size % 4 };
	a.v = mem_alloc(4 * sizeof *a.v);
	for (size_t i = 0; i < 4; i++)
		a.v[i] = (struct attachment){ STR_NONE, STR_NONE, STR_NONE, STR_NONE, STR_NONE };
	if (attachments_locate(&a, file_of(json), size, &e) == 0)
		for (size_t i = 0; i < a.n; i++)
			CHECK(a.v[i].at + a.v[i].n <= size);
	attachments_free(&a);
	return 0;
}
