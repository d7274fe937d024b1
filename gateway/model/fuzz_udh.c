/* Fuzz target: any octets as user data under any data_coding: the header is read, walked, built
 * again and read again; the text behind it is decoded, alone and joined with itself.
 */
#include "gateway/model/reassembly.h"
#include "gateway/model/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void header(struct str d)
{
	struct udh u, again;
	struct udh_ie ie;
	uint8_t out[UDH_BUILT];
	size_t at = 0, n;

	if (udh_parse(d, &u, NULL)) {
		CHECK(u.size == 0);
		return;
	}
	CHECK(u.size >= 1 && u.size <= d.n);
	while (udh_next(d, &at, &ie))
		CHECK(ie.data.p >= d.p && ie.data.p + ie.data.n <= d.p + u.size);
	CHECK(!u.bad || (u.concat.kind == CONCAT_NONE && !u.ports && !u.single));
	n = udh_build(&u, out);
	CHECK(n <= UDH_BUILT);
	if (n == 0)
		return;
	CHECK(udh_parse(str_n(out, n), &again, NULL) == 0 && again.size == n && !again.bad);
	CHECK(again.concat.kind == u.concat.kind && again.concat.ref == u.concat.ref);
	CHECK(again.concat.total == u.concat.total && again.concat.seq == u.concat.seq);
	CHECK(again.ports == u.ports && again.port_to == u.port_to);
	CHECK(again.single == u.single && again.locking == u.locking);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out = BUF_INIT;
	struct text_decoded d;
	struct text_peer peer;
	struct concat_joined j;
	struct concat_part parts[3];
	struct str s;
	bool udhi;

	if (size < 2)
		return 0;
	peer = (struct text_peer){ .form = data[1] % (TEXT_FORM_UTF8 + 1),
		.little_endian = data[1] & 16,
		.ascii_gsm = data[1] & 32 };
	udhi = data[1] & 64;
	s = str_n(data + 2, size - 2);
	header(s);
	if (text_decode(data[0], s, udhi, &peer, &d, &out, NULL))
		CHECK(udhi && out.n == 0);
	else
		CHECK(d.binary || str_utf8_valid(buf_view(&out)));
	buf_reset(&out);
	parts[0] = parts[1] = parts[2] = (struct concat_part){ data[0], udhi, s };
	parts[1].octets = str_n(s.p, s.n / 2);
	concat_join(parts, 3, &peer, &j, &out);
	buf_free(&out);
	return 0;
}
