/* Receipts: every variant that the field is known for, TLVs against text, and that what we write
 * can be read by us and has the shape that the narrowest clients scan for.
 */
#include "protocols/smpp/receipt.h"

#include "gateway/base/clock.h"

#include <setjmp.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define APPENDIX_B                                                                     \
	"id:0123456789 sub:001 dlvrd:001 submit date:2611221000 done date:2611221015 " \
	"stat:DELIVRD err:000 Text:Hello"

static wall_t now;

static void assert_str(struct str got, const char *want)
{
	if (!str_is(got, want))
		fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

static void appendix_b(void **state)
{
	struct smpp_receipt r;
	wall_t done;

	assert_int_equal(receipt_parse_text(&r, STR(APPENDIX_B), now, NULL, 0), 0);
	assert_str(r.id, "0123456789");
	assert_int_equal(r.sub, 1);
	assert_int_equal(r.dlvrd, 1);
	assert_str(r.submit_date, "2611221000");
	assert_str(r.done_date, "2611221015");
	assert_true(clock_parse_rfc3339(STR("2026-11-22T10:15:00Z"), &done));
	assert_int_equal(r.done_at, done);
	assert_str(r.stat, "DELIVRD");
	assert_int_equal(r.state, SMPP_STATE_DELIVERED);
	assert_false(r.intermediate);
	assert_str(r.err, "000");
	assert_int_equal(r.network_code, RECEIPT_ERR_NONE);
	assert_str(r.text, "Hello");
}

#define DELIVERED SMPP_STATE_DELIVERED
#define FAILED    SMPP_STATE_UNDELIVERABLE
#define UNKNOWN   SMPP_STATE_UNKNOWN

static const struct {
	struct str text;
	const char *id, *stat, *err;
	enum smpp_state state;
	const char *quoted; /* the text, or NULL: not looked at */
} variants[] = {
	{ STR("id:1 stat:DELIVRD err:0 text:a"), "1", "DELIVRD", "0", DELIVERED, "a" },
	{ STR("id:1 stat:DELIVRD err:0 TEXT:a"), "1", "DELIVRD", "0", DELIVERED, "a" },
	{ STR("ID:1 STAT:delivrd ERR:0"), "1", "delivrd", "0", DELIVERED, "" },
	/* the quoted text may hold anything */
	{ STR("id:1 stat:UNDELIV err:1 text:id:2 stat:DELIVRD err:9"), "1", "UNDELIV", "1", FAILED,
		"id:2 stat:DELIVRD err:9" },
	{ STR("id:1 text:stat:DELIVRD"), "1", "", "", UNKNOWN, "stat:DELIVRD" },
	{ STR("id:1 stat:DELIVRD text:"), "1", "DELIVRD", "", DELIVERED, "" },
	/* Jasmin's own: no sub, no dlvrd, no text */
	{ STR("id:7f submit date:2611221000 done date:2611221015 stat:DELIVRD err:000"), "7f",
		"DELIVRD", "000", DELIVERED, NULL },
	/* order, spaces, separators, joined dates, a NUL at the end */
	{ STR("stat:EXPIRED id:1 err:21b"), "1", "EXPIRED", "21b", SMPP_STATE_EXPIRED, NULL },
	{ STR("id:1  sub:001   stat:DELIVRD  err:-5"), "1", "DELIVRD", "-5", DELIVERED, NULL },
	{ STR("id: 1 stat: DELIVRD err: 5"), "1", "DELIVRD", "5", DELIVERED, NULL },
	{ STR("id :1 stat :DELIVRD"), "1", "DELIVRD", "", DELIVERED, NULL },
	{ STR("id:1\r\nstat:DELIVRD\r\nerr:0000\r\n"), "1", "DELIVRD", "0000", DELIVERED, NULL },
	{ STR("id:1\nsubmit_date:2611221000\ndone-date:2611221015\nstat:DELIVRD"), "1", "DELIVRD",
		"", DELIVERED, NULL },
	{ STR("id:1 submitdate:2611221000 donedate:2611221015 stat:DELIVRD"), "1", "DELIVRD", "",
		DELIVERED, NULL },
	{ STR("id:1 stat:DELIVRD err:000\0"), "1", "DELIVRD", "000", DELIVERED, NULL },
	{ STR("id:1,stat:DELIVRD,err:000;"), "1", "DELIVRD", "000", DELIVERED, NULL },
	/* empty values stay empty */
	{ STR("id: sub:001 stat:DELIVRD err: text:"), "", "DELIVRD", "", DELIVERED, "" },
	{ STR("id:1 err: stat:DELIVRD"), "1", "DELIVRD", "", DELIVERED, NULL },
	/* of doubles the first */
	{ STR("id:1 id:2 stat:DELIVRD stat:UNDELIV"), "1", "DELIVRD", "", DELIVERED, NULL },
	/* a key must begin a word */
	{ STR("mid:9 id:1 restat:X stat:DELIVRD"), "1", "DELIVRD", "", DELIVERED, NULL },
	/* ids of all kinds */
	{ STR("id:00B8BE19 stat:DELIVRD"), "00B8BE19", "DELIVRD", "", DELIVERED, NULL },
	{ STR("id:-1234567 stat:DELIVRD"), "-1234567", "DELIVRD", "", DELIVERED, NULL },
	{ STR("id:6f1c54e4-9a55-4a8e-8c3a-2d2f3d1c77aa stat:DELIVRD"),
		"6f1c54e4-9a55-4a8e-8c3a-2d2f3d1c77aa", "DELIVRD", "", DELIVERED, NULL },
	/* words of the field */
	{ STR("id:1 stat:DELIVERED"), "1", "DELIVERED", "", DELIVERED, NULL },
	{ STR("id:1 stat:UNDELIVERABLE"), "1", "UNDELIVERABLE", "", FAILED, NULL },
	{ STR("id:1 stat:FAILED"), "1", "FAILED", "", FAILED, NULL },
	{ STR("id:1 stat:NOCRED"), "1", "NOCRED", "", FAILED, NULL },
	{ STR("id:1 stat:SYSERR"), "1", "SYSERR", "", FAILED, NULL },
	{ STR("id:1 stat:SKIPPED"), "1", "SKIPPED", "", FAILED, NULL },
	{ STR("id:1 stat:REJECTD"), "1", "REJECTD", "", SMPP_STATE_REJECTED, NULL },
	{ STR("id:1 stat:REJECTED"), "1", "REJECTED", "", SMPP_STATE_REJECTED, NULL },
	{ STR("id:1 stat:DELETED"), "1", "DELETED", "", SMPP_STATE_DELETED, NULL },
	{ STR("id:1 stat:ACCEPTD"), "1", "ACCEPTD", "", SMPP_STATE_ACCEPTED, NULL },
	{ STR("id:1 stat:ACKED"), "1", "ACKED", "", SMPP_STATE_ACCEPTED, NULL },
	{ STR("id:1 stat:ENROUTE"), "1", "ENROUTE", "", SMPP_STATE_ENROUTE, NULL },
	{ STR("id:1 stat:BUFFRED"), "1", "BUFFRED", "", SMPP_STATE_ENROUTE, NULL },
	{ STR("id:1 stat:BUFFERD"), "1", "BUFFERD", "", SMPP_STATE_ENROUTE, NULL },
	{ STR("id:1 stat:UNKNOWN"), "1", "UNKNOWN", "", UNKNOWN, NULL },
	{ STR("id:1 stat:2"), "1", "2", "", UNKNOWN, NULL }, /* never guessed */
	{ STR("id:1 stat:"), "1", "", "", UNKNOWN, NULL },
};

static void field_variants(void **state)
{
	for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
		struct smpp_receipt r;

		print_message("%.*s\n", STR_ARG(variants[i].text));
		assert_int_equal(receipt_parse_text(&r, variants[i].text, now, NULL, 0), 0);
		assert_str(r.id, variants[i].id);
		assert_str(r.stat, variants[i].stat);
		assert_str(r.err, variants[i].err);
		assert_string_equal(smpp_state_name(r.state), smpp_state_name(variants[i].state));
		assert_int_equal(r.intermediate, variants[i].state == SMPP_STATE_ENROUTE ||
							 variants[i].state == SMPP_STATE_ACCEPTED);
		if (variants[i].quoted)
			assert_str(r.text, variants[i].quoted);
	}
}

static void dates_and_counts(void **state)
{
	static const struct {
		struct str text;
		const char *done;
		bool known;
		int sub, dlvrd;
	} table[] = {
		{ STR("id:1 sub:1 dlvrd:0 done date:261122101530 stat:X"), "261122101530", true, 1,
			0 },
		{ STR("id:1 sub:x dlvrd: done date:20261122101530 stat:X"), "20261122101530", true,
			-1, -1 },
		{ STR("id:1 done date:0000000000 stat:X"), "0000000000", false, -1, -1 },
		{ STR("id:1 done date: stat:X"), "", false, -1, -1 },
		{ STR("id:1 done date:2026-11-22 10:15:30 stat:X"), "2026-11-22 10:15:30", true, -1,
			-1 },
		{ STR("id:1 done date:2026-11-22T10:15:30Z"), "2026-11-22T10:15:30Z", true, -1,
			-1 },
		{ STR("id:1 done date:yesterday stat:X"), "yesterday", false, -1, -1 },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct smpp_receipt r;

		assert_int_equal(receipt_parse_text(&r, table[i].text, now, NULL, 0), 0);
		assert_str(r.done_date, table[i].done);
		assert_int_equal(r.done_at != 0, table[i].known);
		assert_int_equal(r.sub, table[i].sub);
		assert_int_equal(r.dlvrd, table[i].dlvrd);
	}
}

static void own_words(void **state)
{
	static const struct receipt_word words[] = {
		{ STR("zugestellt"), SMPP_STATE_DELIVERED }, { STR("2"), SMPP_STATE_DELIVERED },
		{ STR("delivrd"), SMPP_STATE_ACCEPTED }, /* an operator that says it too early */
	};
	struct smpp_receipt r;

	assert_int_equal(receipt_parse_text(&r, STR("id:1 stat:ZUGESTELLT"), now, words, 3), 0);
	assert_int_equal(r.state, SMPP_STATE_DELIVERED);
	assert_int_equal(receipt_parse_text(&r, STR("id:1 stat:2"), now, words, 3), 0);
	assert_int_equal(r.state, SMPP_STATE_DELIVERED);
	assert_int_equal(receipt_parse_text(&r, STR("id:1 stat:DELIVRD"), now, words, 3), 0);
	assert_int_equal(r.state, SMPP_STATE_ACCEPTED);
	assert_true(r.intermediate);
}

static struct str widen(struct buf *b, const char *text, bool mark)
{
	buf_reset(b);
	if (mark)
		buf_be16(b, 0xfeff);
	for (; *text; text++)
		buf_be16(b, (uint8_t)*text);
	return buf_view(b);
}

static void utf16(void **state)
{
	struct buf b = BUF_INIT;
	struct smpp_receipt r;

	for (int mark = 0; mark < 2; mark++) {
		struct str wide = widen(&b, APPENDIX_B, mark);

		assert_true(receipt_looks_like(wide));
		assert_int_equal(receipt_parse_text(&r, wide, now, NULL, 0), 0);
		assert_str(r.id, "0123456789");
		assert_int_equal(r.state, SMPP_STATE_DELIVERED);
		assert_str(r.text, "Hello");
	}
	buf_free(&b);
}

static void looks_like(void **state)
{
	assert_true(receipt_looks_like(STR(APPENDIX_B)));
	assert_true(receipt_looks_like(STR(" id:1 stat:FAILED")));
	assert_true(receipt_looks_like(STR("stat:DELIVRD id:1")));
	assert_false(receipt_looks_like(STR("id:1 text:stat:DELIVRD")));
	assert_false(receipt_looks_like(STR("Your id:1 has stat:DELIVRD")));
	assert_false(receipt_looks_like(STR("id:1")));
	assert_false(receipt_looks_like(STR("id: stat:")));
	assert_false(receipt_looks_like(STR("hello")));
	assert_false(receipt_looks_like(STR_NONE));
}

struct wire {
	uint8_t esm;
	struct str text, tlvs;
};
static struct buf pdu_bytes;

static int parse(struct smpp_receipt *r, struct wire w)
{
	struct pdu_sm sm = { .esm_class = w.esm, .short_message = w.text };
	struct pdu p;
	uint32_t status;

	buf_reset(&pdu_bytes);
	assert_int_equal(pdu_put_deliver_sm(&pdu_bytes, 1, &sm, w.tlvs), 0);
	assert_int_equal(pdu_decode(&p, buf_view(&pdu_bytes), PDU_LENIENT, &status), 0);
	return receipt_parse(r, &p, now, NULL, 0);
}

#define TLV_ID(lit)  "\0\x1e\0\x05" lit "\0" /* four octets of id */
#define TLV_STATE(o) "\x04\x27\0\x01" o

static void tlvs_first(void **state)
{
	struct smpp_receipt r;
	struct buf b = BUF_INIT;

	/* only TLVs */
	assert_int_equal(
		parse(&r,
			(struct wire){ 4, STR_NONE,
				STR(TLV_ID("abcd") TLV_STATE("\x05") "\x04\x23\0\x03\x03\0\x22") }),
		0);
	assert_str(r.id, "abcd");
	assert_int_equal(r.state, FAILED);
	assert_int_equal(r.network_type, 3);
	assert_int_equal(r.network_code, 0x22);
	receipt_put_err(&b, &r);
	assert_string_equal(buf_cstr(&b), "34");
	/* only an id: the state is not known */
	assert_int_equal(parse(&r, (struct wire){ 4, STR_NONE, STR(TLV_ID("abcd")) }), 0);
	assert_int_equal(r.state, UNKNOWN);
	assert_false(r.intermediate);
	/* only a state */
	assert_int_equal(parse(&r, (struct wire){ 4, STR_NONE, STR(TLV_STATE("\x02")) }), 0);
	assert_str(r.id, "");
	assert_int_equal(r.state, DELIVERED);
	/* the TLV's id over the text's; an empty one not */
	assert_int_equal(
		parse(&r, (struct wire){ 4, STR("id:1 stat:DELIVRD err:7"), STR(TLV_ID("abcd")) }),
		0);
	assert_str(r.id, "abcd");
	assert_int_equal(r.state, DELIVERED);
	buf_reset(&b);
	receipt_put_err(&b, &r);
	assert_string_equal(buf_cstr(&b), "7");
	assert_int_equal(
		parse(&r, (struct wire){ 4, STR("id:1 stat:DELIVRD"), STR("\0\x1e\0\x01\0") }), 0);
	assert_str(r.id, "1");
	/* without its NUL */
	assert_int_equal(parse(&r, (struct wire){ 4, STR_NONE,
					   STR("\0\x1e\0\x02"
					       "42") }),
		0);
	assert_str(r.id, "42");
	/* state 0 and nonsense count as absent */
	assert_int_equal(
		parse(&r, (struct wire){ 4, STR("id:1 stat:DELIVRD"), STR(TLV_STATE("\0")) }), 0);
	assert_int_equal(r.state, DELIVERED);
	assert_int_equal(
		parse(&r, (struct wire){ 4, STR("id:1 stat:DELIVRD"), STR(TLV_STATE("\x63")) }), 0);
	assert_int_equal(r.state, DELIVERED);
	/* they differ: TLV wins, but final beats intermediate */
	assert_int_equal(
		parse(&r, (struct wire){ 4, STR("id:1 stat:UNDELIV"), STR(TLV_STATE("\x02")) }), 0);
	assert_int_equal(r.state, DELIVERED);
	assert_true(r.conflict);
	assert_int_equal(
		parse(&r, (struct wire){ 4, STR("id:1 stat:UNDELIV"), STR(TLV_STATE("\x01")) }), 0);
	assert_int_equal(r.state, FAILED);
	assert_true(r.conflict);
	assert_int_equal(
		parse(&r, (struct wire){ 4, STR("id:1 stat:WEIRD"), STR(TLV_STATE("\x02")) }), 0);
	assert_int_equal(r.state, DELIVERED);
	assert_false(r.conflict);
	assert_str(r.stat, "WEIRD");
	/* nothing */
	assert_int_equal(parse(&r, (struct wire){ 4, STR("hello"), STR_NONE }), -1);
	assert_int_equal(parse(&r, (struct wire){ 4, STR_NONE, STR_NONE }), -1);
	buf_free(&b);
}

static void other_places(void **state)
{
	struct smpp_receipt r;

	/* in message_payload, behind a header, as an intermediate one */
	assert_int_equal(parse(&r, (struct wire){ 4, STR_NONE,
					   STR("\x04\x24\0\x11"
					       "id:1 stat:DELIVRD") }),
		0);
	assert_str(r.id, "1");
	assert_int_equal(parse(&r, (struct wire){ 0x44,
					   STR("\x05\0\x03\x01\x02\x01"
					       "id:1 stat:DELIVRD"),
					   STR_NONE }),
		0);
	assert_str(r.id, "1");
	assert_int_equal(r.state, DELIVERED);
	/* a header longer than all there is */
	assert_int_equal(parse(&r, (struct wire){ 0x44,
					   STR("\x50"
					       "ab"),
					   STR_NONE }),
		-1);
	assert_int_equal(parse(&r, (struct wire){ 0x20, STR("id:1 stat:ODD"), STR_NONE }), 0);
	assert_true(r.intermediate);
	assert_int_equal(parse(&r, (struct wire){ 0x20, STR("id:1 stat:DELIVRD"), STR_NONE }), 0);
	assert_false(r.intermediate);
}

static void long_text(void **state)
{
	char big[4000];
	struct smpp_receipt r;

	memset(big, 'x', sizeof big);
	memcpy(big, "id:1 stat:DELIVRD text:", 23);
	assert_int_equal(receipt_parse_text(&r, str_n(big, sizeof big), now, NULL, 0), 0);
	assert_str(r.id, "1");
	memset(big, 0, sizeof big);
	memset(big + 1, 'a', 1);
	assert_int_equal(receipt_parse_text(&r, str_n(big, sizeof big), now, NULL, 0), -1);
}

/* Scanners of others, from their sources: Jasmin's for stat and err, Appendix B's shape whole. */
static void narrowest_clients(void **state)
{
	static const char whole[] =
		"^id:[0-9a-zA-Z-]+ sub:[0-9]{3} dlvrd:[0-9]{3} submit date:([0-9]{10}|[0-9]{12}) "
		"done date:([0-9]{10}|[0-9]{12}) stat:[A-Z]{7} err:[0-9]{3} text:[^@$_]{0,20}$";
	static const enum smpp_state states[] = { SMPP_STATE_SCHEDULED, SMPP_STATE_ENROUTE,
		SMPP_STATE_DELIVERED, SMPP_STATE_EXPIRED, SMPP_STATE_DELETED,
		SMPP_STATE_UNDELIVERABLE, SMPP_STATE_ACCEPTED, SMPP_STATE_UNKNOWN,
		SMPP_STATE_REJECTED, SMPP_STATE_SKIPPED };
	struct buf b = BUF_INIT, tlv = BUF_INIT;
	struct smpp_receipt r;
	struct receipt_form f = { .id = STR("1234567890123456789"),
		.sub = 3,
		.dlvrd = 2,
		.submit = now,
		.done = now,
		.err = 34,
		.text = STR("na\xc3\xafve @$_ [1] text is longer than that") };
	regex_t re;

	assert_int_equal(regcomp(&re, whole, REG_EXTENDED), 0);
	for (size_t i = 0; i < 2 * sizeof states / sizeof *states; i++) {
		enum smpp_state s = states[i / 2];

		f.state = s;
		f.date_digits = i % 2 ? 12 : 10;
		buf_reset(&b);
		buf_reset(&tlv);
		receipt_put_text(&b, &f);
		receipt_put_tlvs(&tlv, &f);
		if (regexec(&re, buf_cstr(&b), 0, NULL, 0))
			fail_msg("%s", buf_cstr(&b));
		assert_true(receipt_looks_like(buf_view(&b)));
		assert_int_equal(parse(&r, (struct wire){ 4, buf_view(&b), buf_view(&tlv) }), 0);
		assert_str(r.id, "1234567890123456789");
		assert_false(r.conflict);
		assert_int_equal(r.sub, 3);
		assert_int_equal(r.dlvrd, 2);
		assert_int_equal(r.state, s == SMPP_STATE_SCHEDULED ? SMPP_STATE_ENROUTE
					  : s == SMPP_STATE_SKIPPED ? SMPP_STATE_UNDELIVERABLE
								    : s);
		assert_int_equal(r.network_code != RECEIPT_ERR_NONE,
			smpp_state_final(s) && s != SMPP_STATE_DELIVERED);
	}
	assert_non_null(strstr(buf_cstr(&b), "text:na?ve ??? ?1? text i"));
	f = (struct receipt_form){ .id = STR("1"), .sub = 5000, .err = 5000, .date_digits = 10 };
	buf_reset(&b);
	receipt_put_text(&b, &f);
	assert_non_null(strstr(buf_cstr(&b), "sub:999 dlvrd:000"));
	assert_non_null(strstr(buf_cstr(&b), "err:999 text:"));
	regfree(&re);
	buf_free(&b);
	buf_free(&tlv);
}

static int begin(void **state)
{
	return clock_parse_rfc3339(STR("2026-11-22T12:00:00Z"), &now) ? 0 : -1;
}

static int finish(void **state)
{
	buf_free(&pdu_bytes);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appendix_b),
		cmocka_unit_test(field_variants),
		cmocka_unit_test(dates_and_counts),
		cmocka_unit_test(own_words),
		cmocka_unit_test(utf16),
		cmocka_unit_test(looks_like),
		cmocka_unit_test(tlvs_first),
		cmocka_unit_test(other_places),
		cmocka_unit_test(long_text),
		cmocka_unit_test(narrowest_clients),
	};

	return cmocka_run_group_tests(tests, begin, finish);
}
