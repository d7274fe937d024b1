/* Fuzz target: any bytes as a stored message, and any fields as a draft. What is unpacked packs to
 * the same bytes; every field can be asked for, copied and found again.
 */
#include "gateway/base/err.h"
#include "gateway/model/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PADDING = 13, PADDING_END = 16 }; /* of the stored form's head: written as zeros */

static void check_copy(const struct message *m)
{
	struct draft d;
	struct message *copy;

	draft_init(&d);
	draft_copy(&d, m, 0);
	copy = draft_seal(&d);
	CHECK(copy->media == m->media && copy->send_at == m->send_at);
	CHECK(memcmp(&copy->sms, &m->sms, sizeof m->sms) == 0);
	for (int f = 0; f < FIELD_MOST; f++) {
		struct str v = message_get(m, (enum field)f);

		CHECK(v.n == 0 || message_has(m, (enum field)f));
		/* An empty field is not copied; then the next of its name shows, if there is one.
		 */
		CHECK(v.n == 0 || str_eq(message_get(copy, (enum field)f), v));
	}
	message_unref(&copy);
	draft_copy(&d, m, ~0u);
	copy = draft_seal(&d);
	for (int f = 0; f < FIELD_MOST; f++)
		CHECK(!message_has(copy, (enum field)f));
	message_unref(&copy);
	draft_free(&d);
}

static void stored(struct str in)
{
	struct message *m = message_unpack(in), *again, *shared;
	struct buf b = BUF_INIT;

	if (!m)
		return;
	message_pack(m, &b);
	CHECK(b.n == in.n && memcmp(b.p, in.p, PADDING) == 0);
	CHECK(memcmp(b.p + PADDING_END, in.p + PADDING_END, b.n - PADDING_END) == 0);
	again = message_unpack(buf_view(&b));
	CHECK(again && message_fingerprint(again) == message_fingerprint(m));
	shared = message_ref(again);
	message_unref(&again);
	check_copy(shared);
	message_unref(&shared);
	message_unref(&m);
	buf_free(&b);
}

/* The bytes as (field, length, value) for a draft, each field once. */
static void drafted(struct str in)
{
	struct str want[FIELD_MOST] = { 0 };
	struct buf b = BUF_INIT;
	struct draft d;
	struct message *m, *again;

	draft_init(&d);
	while (in.n >= 2) {
		unsigned f = (unsigned char)in.p[0] % FIELD_MOST;
		size_t n = (size_t)(unsigned char)in.p[1] * 2;

		in = str_skip(in, 2);
		n = n < in.n ? n : in.n;
		if (!want[f].n) {
			want[f] = str_n(in.p, n);
			draft_put(&d, (enum field)f, want[f]);
		}
		in = str_skip(in, n);
	}
	m = draft_seal(&d);
	message_pack(m, &b);
	again = message_unpack(buf_view(&b));
	CHECK(again);
	for (int f = 0; f < FIELD_MOST; f++) {
		CHECK(str_eq(message_get(again, (enum field)f), want[f]));
		CHECK(message_has(again, (enum field)f) == (want[f].n != 0));
	}
	message_unref(&m);
	message_unref(&again);
	buf_free(&b);
	draft_free(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	stored(str_n(data, size));
	drafted(str_n(data, size));
	return 0;
}
