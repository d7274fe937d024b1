/* Any octets as a receipt: the first one is the esm_class, then a length, so much text, and TLVs.
 */
#include "protocols/smpp/receipt.h"

#include "gateway/base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned sink;

static void touch(struct str s)
{
	CHECK(s.p);
	for (size_t i = 0; i < s.n; i++)
		sink += (unsigned char)s.p[i];
}

static void touch_all(const struct smpp_receipt *r)
{
	struct buf b = BUF_INIT;

	touch(r->id);
	touch(r->stat);
	touch(r->err);
	touch(r->submit_date);
	touch(r->done_date);
	touch(r->text);
	CHECK(r->state >= SMPP_STATE_ENROUTE && r->state <= SMPP_STATE_REJECTED);
	CHECK(!r->intermediate || !smpp_state_final(r->state));
	receipt_put_err(&b, r);
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t now = 1795348800000000000; /* 2026-11-22 */
	struct smpp_receipt r;
	struct receipt_word word = { STR("zugestellt"), SMPP_STATE_DELIVERED };
	struct pdu p = { .command = SMPP_DELIVER_SM };
	struct str all = str_n(data, size);
	bool looks = receipt_looks_like(all);
	size_t n;

	if (receipt_parse_text(&r, all, now, &word, 1) == 0)
		touch_all(&r);
	else
		CHECK(!looks);
	if (size < 2)
		return 0;
	p.sm.esm_class = data[0];
	n = data[1] < size - 2 ? data[1] : size - 2;
	p.sm.short_message = str_n(data + 2, n);
	p.tlvs = str_skip(all, 2 + n);
	if (receipt_parse(&r, &p, now, &word, 1) == 0)
		touch_all(&r);
	return 0;
}
