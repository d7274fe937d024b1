/* Fuzz target: any octets as a mail in the spool that is to be made 7-bit. In pieces of the file it
 * is what it is in memory, of the size that was said, however it is read. */
#include "gateway/base/err.h"
#include "gateway/mail/mail.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void reads_as(struct mail_pieces *p, size_t most, struct str want)
{
	struct buf got = BUF_INIT;
	struct err e;
	size_t n;

	mail_pieces_rewind(p);
	do {
		n = got.n;
		CHECK(mail_pieces_read(p, most, &got, &e) == 0);
		CHECK(got.n - n <= most);
	} while (got.n > n);
	CHECK(str_eq(buf_view(&got), want));
	buf_free(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct buf want = BUF_INIT;
	struct mail_pieces *p;
	struct err e = { 0 };
	int mine, rc;

	if (fd < 0)
		fd = memfd_create("mail", MFD_CLOEXEC);
	CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
	CHECK(pwrite(fd, data, size, 0) == (ssize_t)size);
	rc = mail_to_7bit(str_n(data, size), size & 1, &want, &e);
	mine = dup(fd);
	p = mail_file_to_7bit(mine, size, size & 1, &e);
	CHECK((rc == 0) == (p != NULL));
	if (p) {
		CHECK(mail_pieces_size(p) == want.n && !mail_pieces_8bit(p));
		reads_as(p, 1 + size % 100, buf_view(&want));
		reads_as(p, SIZE_MAX, buf_view(&want));
		mail_pieces_free(&p);
	} else {
		CHECK(e.text[0]);
		close(mine); /* it stayed ours */
	}
	buf_free(&want);
	return 0;
}
