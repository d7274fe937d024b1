/* Fuzz target: replies of an SMTP server, cut anywhere. The parser must not read beyond its input,
 * must give the same whether the reply comes at once or in pieces, and only printable UTF-8.
 */
#include "gateway/base/mem.h"
#include "protocols/smtp/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *s, size_t cap)
{
	CHECK(memchr(s, 0, cap) && str_utf8_valid(str_of(s)));
	for (; *s; s++)
		CHECK((unsigned char)*s >= ' ' && *s != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reply r, again;
	struct reply_ehlo ehlo;
	size_t used = 0, used_again = 0;
	char *copy = mem_raw(size + 1), words[96], id[72];
	struct err e;
	int rc;

	/* An allocation of its own size, so that a read beyond it shows. */
	copy = mem_grow(copy, size ? size : 1);
	memcpy(copy, data, size);
	rc = reply_parse(&r, str_n(copy, size), &used, &e);
	if (rc == 1) {
		CHECK(used && used <= size && r.code >= 200 && r.code <= 599);
		check_text(r.text, sizeof r.text);
		check_text(r.status, sizeof r.status);
		CHECK(!r.status[0] || (unsigned)(r.status[0] - '0') == r.code / 100);
		reply_words(&r, words, sizeof words);
		check_text(words, sizeof words);
		if (reply_queue_id(&r, id, sizeof id))
			check_text(id, sizeof id);
		reply_ehlo(&r, &ehlo);
		CHECK(reply_parse(&again, str_n(copy, used), &used_again, &e) == 1);
		CHECK(used_again == used && again.code == r.code && !strcmp(again.text, r.text));
		for (size_t n = 0; n < used && n < 64; n++)
			CHECK(reply_parse(&again, str_n(copy, n), &used_again, &e) <= 0);
	} else if (rc < 0) {
		check_text(e.text, sizeof e.text);
	}
	mem_free(&copy);
	return 0;
}
