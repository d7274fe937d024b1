/* Any octets as a PDU, under every combination of flags. What decodes must encode, to the same
 * octets where it was a request without a fault, and in any case to a PDU that decodes to the same
 * octets again. Every slice must lie within the input (ASan: the input is its own allocation).
 */
#include "protocols/smpp/pdu.h"

#include "gateway/base/err.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned sink;

static void touch(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		sink += (unsigned char)s.p[i];
}

static void touch_all(const struct pdu *p)
{
	struct str rest = p->tlvs, s;
	struct tlv t;
	struct pdu_addr a;
	uint32_t status;
	uint16_t tag;
	bool list;
	unsigned n = 0;

	while (tlv_next(&rest, &t)) {
		touch(t.value);
		CHECK(pdu_tlv(p, t.tag, &s));
		pdu_tlv_cstr(p, t.tag, &s);
		touch(s);
		if (++n > 100)
			break;
	}
	pdu_tlv_doubled(p, &tag);
	touch(pdu_text(p));
	touch(p->bind.system_id);
	touch(p->bind.password);
	touch(p->bind.system_type);
	touch(p->bind.address_range);
	touch(p->sm.message_id);
	touch(p->sm.service_type);
	touch(p->sm.source.addr);
	touch(p->sm.dest.addr);
	touch(p->sm.schedule);
	touch(p->sm.validity);
	touch(p->sm.short_message);
	touch(p->resp.message_id);
	touch(p->resp.system_id);
	touch(p->resp.final_date);
	for (n = 0, rest = p->sm.dests; pdu_dest_next(&rest, &a, &list); n++)
		touch(a.addr);
	CHECK(n == p->sm.dest_count);
	for (n = 0, rest = p->resp.unsuccess; pdu_unsuccess_next(&rest, &a, &status); n++)
		touch(a.addr);
	CHECK(n == p->resp.unsuccess_count);
}

static void check_again(const struct pdu *p, struct str input, unsigned flags)
{
	struct buf once = BUF_INIT, twice = BUF_INIT;
	struct pdu q;
	uint32_t status;

	if (pdu_encode(&once, p) != ESME_ROK) {
		/* What is read with more patience than we write. */
		CHECK(p->resp.message_id.n > PDU_ID_MAX ||
			p->resp.system_id.n > PDU_BIND_NAME_MAX ||
			p->sm.short_message.n > PDU_SHORT_MESSAGE_MAX);
		CHECK(once.n == 0);
		buf_free(&once);
		return;
	}
	if (!smpp_is_resp(p->command) && !p->fault)
		CHECK(str_eq(buf_view(&once), input));
	CHECK(pdu_decode(&q, buf_view(&once), flags, &status) == 0);
	CHECK(pdu_encode(&twice, &q) == ESME_ROK);
	CHECK(str_eq(buf_view(&once), buf_view(&twice)));
	buf_free(&once);
	buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned flags[] = { 0, PDU_LONG_NAMES, PDU_LENIENT | PDU_LONG_NAMES,
		PDU_V50 };
	struct buf out = BUF_INIT, fixed = BUF_INIT;
	struct str input = str_n(data, size);
	struct pdu p;
	uint32_t status;
	size_t n;

	pdu_peek(input, PDU_CAP, &n);
	pdu_peek_sequence(input);
	/* Most mutations break the length, which is checked by now. */
	if (size >= PDU_HEADER && size <= PDU_CAP) {
		buf_add(&fixed, data, size);
		put_be32(fixed.p, (uint32_t)size);
		/* Exactly as many bytes as there are. */
		input.p = memcpy(malloc(size), fixed.p, size);
	}
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		bool ok = pdu_decode(&p, input, flags[i], &status) == 0;

		CHECK(ok == (status == ESME_ROK));
		if (ok) {
			touch_all(&p);
			check_again(&p, input, flags[i]);
		} else {
			CHECK(p.fault);
			buf_reset(&out);
			pdu_put_refusal(&out, &p, status);
			CHECK(out.n == 0 || out.n == PDU_HEADER);
		}
	}
	if (fixed.n)
		free((void *)(uintptr_t)input.p);
	buf_free(&out);
	buf_free(&fixed);
	return 0;
}
