/* Fuzz target: any octets in DKIM's canonical forms: cut into pieces they are the same, and what is
 * canonical stays as it is.
 */
#include "gateway/base/err.h"
#include "gateway/mail/dkim_canon.h"
#include "gateway/mail/mime_in.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hash_of(struct str s, bool relaxed, size_t piece, uint8_t hash[DKIM_HASH])
{
	struct dkim_body_hash *h = dkim_body_hash_new(relaxed);

	while (s.n) {
		size_t n = s.n < piece ? s.n : piece;

		dkim_body_hash_more(h, str_n(s.p, n));
		s = str_skip(s, n);
	}
	dkim_body_hash_end(&h, hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "From", "Subject", NULL };
	struct buf list = BUF_INIT, canon = BUF_INIT, again = BUF_INIT, empty = BUF_INIT;
	struct str s = str_n(data, size);
	uint8_t whole[DKIM_HASH], pieces[DKIM_HASH];

	for (int relaxed = 0; relaxed < 2; relaxed++) {
		hash_of(s, relaxed, size + 1, whole);
		hash_of(s, relaxed, size % 5 + 1, pieces);
		CHECK(memcmp(whole, pieces, sizeof whole) == 0);
	}
	dkim_choose_fields(mime_split(s).header, names, names, &list, &canon);
	CHECK(str_ends(buf_view(&list), STR("Subject")));
	if (canon.n) {
		dkim_choose_fields(buf_view(&canon), names, names + 2, &empty, &again);
		CHECK(again.n == canon.n);
	}
	buf_free(&list);
	buf_free(&canon);
	buf_free(&again);
	buf_free(&empty);
	return 0;
}
