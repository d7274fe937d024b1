/* Reading short messages by data_coding, and joining the parts of long ones. */
#include "gateway/model/reassembly.h"
#include "gateway/model/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void data_codings(void **state)
{
	static const struct text_peer usual,
		latin1 = { .form = TEXT_FORM_LATIN1 }, packed = { .form = TEXT_FORM_PACKED },
		ascii = { .form = TEXT_FORM_ASCII }, utf8 = { .form = TEXT_FORM_UTF8 },
		gsm1 = { .ascii_gsm = true };
	static const struct {
		uint8_t from, to;
		const struct text_peer *peer;
		enum text_charset charset;
		bool unknown, waiting;
	} rows[] = {
		{ 0x00, 0x00, &usual, TEXT_CHARSET_GSM, false, false },
		{ 0x00, 0x00, NULL, TEXT_CHARSET_GSM, false, false },
		{ 0x00, 0x00, &latin1, TEXT_CHARSET_LATIN1, false, false },
		{ 0x00, 0x00, &packed, TEXT_CHARSET_PACKED, false, false },
		{ 0x00, 0x00, &ascii, TEXT_CHARSET_ASCII, false, false },
		{ 0x00, 0x00, &utf8, TEXT_CHARSET_UTF8, false, false },
		{ 0x01, 0x01, &usual, TEXT_CHARSET_ASCII, false, false },
		{ 0x01, 0x01, &gsm1, TEXT_CHARSET_GSM, false, false },
		{ 0x02, 0x02, &usual, TEXT_CHARSET_BINARY, false, false },
		{ 0x03, 0x03, &usual, TEXT_CHARSET_LATIN1, false, false },
		{ 0x04, 0x04, &usual, TEXT_CHARSET_BINARY, false, false },
		{ 0x05, 0x05, &usual, TEXT_CHARSET_JIS, false, false },
		{ 0x06, 0x06, &usual, TEXT_CHARSET_8859_5, false, false },
		{ 0x07, 0x07, &usual, TEXT_CHARSET_8859_8, false, false },
		{ 0x08, 0x08, &usual, TEXT_CHARSET_UCS2, false, false },
		{ 0x09, 0x09, &usual, TEXT_CHARSET_BINARY, true, false },
		{ 0x0a, 0x0a, &usual, TEXT_CHARSET_ISO_2022_JP, false, false },
		{ 0x0b, 0x0c, &usual, TEXT_CHARSET_BINARY, true, false },
		{ 0x0d, 0x0d, &usual, TEXT_CHARSET_EUC_JP, false, false },
		{ 0x0e, 0x0e, &usual, TEXT_CHARSET_EUC_KR, false, false },
		{ 0x0f, 0x0f, &usual, TEXT_CHARSET_BINARY, true, false },
		{ 0x10, 0x13, &latin1, TEXT_CHARSET_GSM, false,
			false }, /* GSM's own, whatever 0 is */
		{ 0x10, 0x13, &packed, TEXT_CHARSET_PACKED, false, false },
		{ 0x14, 0x17, &usual, TEXT_CHARSET_BINARY, false, false },
		{ 0x18, 0x1b, &usual, TEXT_CHARSET_UCS2, false, false },
		{ 0x1c, 0x3f, &usual, TEXT_CHARSET_BINARY, true, false },
		{ 0x40, 0x43, &usual, TEXT_CHARSET_GSM, false, false },
		{ 0x48, 0x4b, &usual, TEXT_CHARSET_UCS2, false, false },
		{ 0x80, 0xbf, &usual, TEXT_CHARSET_BINARY, true, false },
		{ 0xc0, 0xdf, &usual, TEXT_CHARSET_GSM, false, true },
		{ 0xe0, 0xef, &usual, TEXT_CHARSET_UCS2, false, true },
		{ 0xf0, 0xf3, &usual, TEXT_CHARSET_GSM, false, false },
		{ 0xf4, 0xf7, &usual, TEXT_CHARSET_BINARY, false, false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (unsigned v = rows[i].from; v <= rows[i].to; v++) {
			struct text_dcs d = text_dcs((uint8_t)v, rows[i].peer);

			if (d.charset != rows[i].charset || d.unknown != rows[i].unknown ||
				d.waiting != rows[i].waiting)
				fail_msg("0x%02X: %s", v, text_charset_name(d.charset));
		}
	assert_int_equal(text_dcs(0x00, NULL).message_class, -1);
	assert_int_equal(text_dcs(0x10, NULL).message_class, 0);
	assert_int_equal(text_dcs(0x18, NULL).message_class, 0);
	assert_int_equal(text_dcs(0xf0, NULL).message_class, 0);
	assert_int_equal(text_dcs(0xf6, NULL).message_class, 2);
}

static void decoded(void **state)
{
	static const struct text_peer usual,
		latin1 = { .form = TEXT_FORM_LATIN1 }, packed = { .form = TEXT_FORM_PACKED },
		little = { .little_endian = true }, utf8 = { .form = TEXT_FORM_UTF8 };
	static const struct {
		uint8_t dcs;
		bool udhi;
		const struct text_peer *peer;
		struct str octets;
		const char *text;
		bool lossy, odd, binary;
	} rows[] = {
		{ 0, false, &usual, STR("\x00\x11\x1b\x65\x1b\x28"), "@_€{" },
		{ 0, false, &latin1, STR("\x40\x5f\xe9"), "@_é" },
		{ 0, false, &utf8, STR("é\xff"), "é\ufffd", .lossy = true },
		{ 0, false, &usual, STR("caf\xe9"), "caf\ufffd", .lossy = true },
		{ 0, false, &packed, STR("\xe8\x32\x9b\xfd\x06"), "hello" },
		{ 0, false, &packed, STR("\x31\xd9\x8c\x56\xb3\xdd\x1a"), "1234567" }, /* CR pads */
		{ 0, false, &packed, STR("\x31\xd9\x8c\x56\xb3\xdd\x00"), "1234567" }, /* zeros */
		{ 0, false, &packed, STR("\x31\xd9\x8c\x56\xb3\xdd\x70"), "12345678" },
		{ 0, true, &packed, STR("\x05\x00\x03\xcc\x02\x01\x90\x69"), "Hi" },
		{ 0, true, &usual, STR("\x05\x00\x03\xcc\x02\x01Hi"), "Hi" },
		{ 0, true, &usual, STR("\x03\x24\x01\x01\x1b\x73"), "ş" },
		{ 0, true, &usual, STR("\x03\x25\x01\x01\x1d\x04"), "ş€" },
		{ 0, true, &usual, STR("\x06\x24\x01\x06\x25\x01\x06\x1b\x41\x13"), "Aओ" },
		{ 0, true, &usual, STR("\x03\x24\x01\x63\x1b\x65"), "€" }, /* unknown language */
		{ 1, false, &usual, STR("a@\xe9"), "a@é" },
		{ 3, false, &usual, STR("\xe5\xe4\xf6"), "åäö" },
		{ 8, false, &usual, STR("\x04\x16\xd8\x3d\xde\x00"), "Ж😀" },
		{ 8, false, &little, STR("\x16\x04\x3d\xd8\x00\xde"), "Ж😀" },
		{ 8, false, &usual, STR("\xfe\xff\x04\x16"), "Ж" },
		{ 8, false, &usual, STR("\xff\xfe\x16\x04"), "Ж" },
		{ 8, false, &little, STR("\xfe\xff\x04\x16"), "Ж" },
		{ 8, false, &usual, STR("\x04\x16\x04"), "Ж", .odd = true },
		{ 8, false, &usual, STR("\xd8\x3d\x00\x41"),
			"\ufffd"
			"A",
			.lossy = true },
		{ 8, false, &usual, STR("\xde\x00\xd8\x3d"), "\ufffd\ufffd", .lossy = true },
		{ 8, true, &usual, STR("\x05\x00\x03\x01\x02\x01\x04\x16"), "Ж" },
		{ 8, false, &usual, STR(""), "" },
		{ 0x18, false, &usual, STR("\x04\x16"), "Ж" },
		{ 0xf0, false, &latin1, STR("\x00"), "@" },
		{ 6, false, &usual, STR("A\xb6\xe8\xf0\xa1\xff"), "AЖш№Ёџ" },
		{ 7, false, &usual, STR("\xe0\xfa\xaa"), "את×" },
		{ 7, false, &usual, STR("\xc0"), "\ufffd", .lossy = true },
		{ 5, false, &usual, STR("\x93\xfa\x96\x7b"), "日本" },
		{ 0x0a, false, &usual, STR("\x1b$BF|K\\\x1b(B"), "日本" },
		{ 5, false, &usual, STR("\x1b$BF|K\\\x1b(B"), "日本" },
		{ 0x0d, false, &usual, STR("\xc6\xfc\xcb\xdc"), "日本" },
		{ 0x0e, false, &usual, STR("\xc7\xd1"), "한" },
		{ 0x0e, false, &usual, STR("\xc7"), "\xc7",
			.binary = true }, /* cut: stays octets */
		{ 4, false, &usual, STR("\xde\xad"), "\xde\xad", .binary = true },
		{ 4, true, &usual, STR("\x06\x05\x04\x0b\x84\x23\xf0\xde\xad"), "\xde\xad",
			.binary = true },
		{ 0x0b, false, &usual, STR("\x00\x41"), NULL, .binary = true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf b = BUF_INIT;
		struct text_decoded d;

		buf_c(&b, "[");
		assert_int_equal(text_decode(rows[i].dcs, rows[i].octets, rows[i].udhi,
					 rows[i].peer, &d, &b, NULL),
			0);
		if (rows[i].text && strcmp(buf_cstr(&b) + 1, rows[i].text) != 0)
			fail_msg("row %zu: %s", i, buf_cstr(&b));
		assert_int_equal(d.lossy, rows[i].lossy);
		assert_int_equal(d.odd, rows[i].odd);
		assert_int_equal(d.binary, rows[i].binary);
		buf_free(&b);
	}
}

static void header_comes_out(void **state)
{
	struct text_decoded d;
	struct buf b = BUF_INIT;
	struct err e;

	assert_int_equal(text_decode(4, STR("\x0b\x00\x03\x07\x03\x02\x05\x04\x0b\x84\x23\xf0zz"),
				 true, NULL, &d, &b, NULL),
		0);
	assert_int_equal(d.udh.concat.ref, 7);
	assert_int_equal(d.udh.port_to, 2948);
	assert_int_equal(b.n, 2);
	assert_int_equal(text_decode(0,
				 STR("\x30"
				     "abc"),
				 true, NULL, &d, &b, &e),
		-1);
	assert_string_equal(e.text, "user data header of 48 octets in user data of 4 octets");
	assert_int_equal(b.n, 2);
	buf_free(&b);
}

/* ---- joining ------------------------------------------------------------------------------ */

static void check_join(const struct concat_part *parts, size_t n, const struct text_peer *peer,
	struct str want, bool binary, unsigned missing)
{
	struct concat_joined j;
	struct buf b = BUF_INIT;

	concat_join(parts, n, peer, &j, &b);
	assert_int_equal(b.n, want.n);
	assert_memory_equal(b.p, want.p, want.n);
	assert_int_equal(j.binary, binary);
	assert_int_equal(j.missing, missing);
	assert_false(j.lossy);
	buf_free(&b);
}

static void cuts_inside_characters_heal(void **state)
{
	const struct concat_part esc[] = { { 0, false, STR("a\x1b") }, { 0, false, STR("\x65z") } };
	const struct concat_part surrogate[] = { { 8, false, STR("\x04\x16\xd8\x3d") },
		{ 8, false, STR("\xde\x00\x04\x16") } };
	const struct concat_part unit[] = { { 8, false, STR("\x04\x16\x04") },
		{ 8, false, STR("\x16\x04\x16") } };
	const struct concat_part headers[] = { { 0, true, STR("\x05\x00\x03\x01\x02\x01one ") },
		{ 0, true, STR("\x05\x00\x03\x01\x02\x02two") } };

	check_join(esc, 2, NULL, STR("a€z"), false, 0);
	check_join(surrogate, 2, NULL, STR("Ж😀Ж"), false, 0);
	check_join(unit, 2, NULL, STR("ЖЖЖ"), false, 0);
	check_join(headers, 2, NULL, STR("one two"), false, 0);
}

static void parts_of_different_kinds(void **state)
{
	const struct text_peer packed = { .form = TEXT_FORM_PACKED };
	const struct concat_part mixed[] = { { 0, false, STR("a") }, { 8, false, STR("\x04\x16") },
		{ 0, true, STR("\x03\x24\x01\x01\x1b\x73") }, { 0, false, STR("b") } };
	const struct concat_part bits[] = {
		{ 0, true, STR("\x05\x00\x03\x01\x02\x01\x90\x69") },
		{ 0, true, STR("\x05\x00\x03\x01\x02\x02\x90\x69") },
	};
	const struct concat_part gap[] = { { 0, false, STR("a") }, { 0 }, { 0, false, STR("b") },
		{ 0, true, STR("\x40 no header") } };
	const struct concat_part octets[] = { { 4, false, STR("\x00\xff") }, { 0 },
		{ 4, false, STR("\x01") } };

	check_join(mixed, 4, NULL, STR("aЖşb"), false, 0);
	check_join(bits, 2, &packed, STR("HiHi"), false, 0);
	check_join(gap, 4, NULL, STR("a…b…"), false, 2);
	check_join(octets, 3, NULL, STR("\x00\xff\x01"), true, 1);
	check_join(NULL, 0, NULL, STR_NONE, false, 0);
}

static void keys_are_unequivocal(void **state)
{
	const struct concat c = { CONCAT_UDH8, 7, 3, 1 };
	struct concat other = c;
	struct buf a = BUF_INIT, b = BUF_INIT;

	concat_key(&a, STR("shop"), STR("46700000001"), STR("12345"), &c);
	other.seq = 2; /* the part's own number is no part of the key */
	concat_key(&b, STR("shop"), STR("46700000001"), STR("12345"), &other);
	assert_true(str_eq(buf_view(&a), buf_view(&b)));
	buf_reset(&b);
	concat_key(&b, STR("shop4"), STR("6700000001"), STR("12345"), &c);
	assert_false(str_eq(buf_view(&a), buf_view(&b)));
	other = c;
	other.kind = CONCAT_UDH16;
	buf_reset(&b);
	concat_key(&b, STR("shop"), STR("46700000001"), STR("12345"), &other);
	assert_false(str_eq(buf_view(&a), buf_view(&b)));
	other = c;
	other.total = 4;
	buf_reset(&b);
	concat_key(&b, STR("shop"), STR("46700000001"), STR("12345"), &other);
	assert_false(str_eq(buf_view(&a), buf_view(&b)));
	buf_free(&a);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_codings),
		cmocka_unit_test(decoded),
		cmocka_unit_test(header_comes_out),
		cmocka_unit_test(cuts_inside_characters_heal),
		cmocka_unit_test(parts_of_different_kinds),
		cmocka_unit_test(keys_are_unequivocal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
