/* Addresses: numbers to one form, senders, TON and NPI, email and push. */
#include "gateway/model/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct address_country
	sweden = { .code = "46", .trunk = "0" },
	usa = { .code = "1", .trunk = "1", .abroad = "011", .digits = 10 },
	russia = { .code = "7", .trunk = "8", .abroad = "810", .digits = 10 },
	italy = { .code = "39" };

struct row {
	const char *in;
	unsigned ton;
	const struct address_country *country;
	int kind; /* -1: refused, and out is why */
	const char *out;
};

static void check(bool source, const struct row *r)
{
	struct address a;
	struct err e = { 0 };
	int bad = source ? address_source(&a, str_of(r->in), r->ton, 0, r->country, &e)
			 : address_destination(&a, str_of(r->in), r->ton, 0, r->country, &e);

	if (bad != (r->kind < 0 ? -1 : 0))
		fail_msg("\"%s\": %s", r->in, bad ? e.text : a.text);
	if (bad) {
		assert_string_equal(e.text, r->out);
		return;
	}
	assert_string_equal(a.text, r->out);
	assert_int_equal(a.kind, r->kind);
	assert_int_equal(a.n, strlen(r->out));
}

static void destinations(void **state)
{
	static const struct row rows[] = {
		{ "46700000001", 1, NULL, ADDRESS_PHONE, "46700000001" },
		{ "+46700000001", 0, NULL, ADDRESS_PHONE, "46700000001" },
		{ "+46700000001", 1, NULL, ADDRESS_PHONE, "46700000001" }, /* '+' with TON 1, too */
		{ "+46700000001", 2, &sweden, ADDRESS_PHONE, "46700000001" },
		{ "0046700000001", 0, NULL, ADDRESS_PHONE, "46700000001" },
		{ "0046700000001", 1, NULL, ADDRESS_PHONE, "46700000001" },
		{ " +46 (0)70-000 00 01 ", 0, NULL, ADDRESS_PHONE, "46700000001" },
		{ "0046(0)700000001", 0, NULL, ADDRESS_PHONE, "46700000001" },
		{ "+46.70.000.00/01", 0, NULL, ADDRESS_PHONE, "46700000001" },
		{ "+46\u00a070\u2011000\u202f00 01\u202c", 0, NULL, ADDRESS_PHONE, "46700000001" },
		{ "tel:+46700000001", 0, NULL, ADDRESS_PHONE, "46700000001" },
		{ "(0)70-000 00 01", 0, &sweden, ADDRESS_PHONE, "46700000001" },
		{ "070-000 00 01", 0, &sweden, ADDRESS_PHONE, "46700000001" },
		{ "0700000001", 1, &sweden, ADDRESS_PHONE,
			"46700000001" }, /* no code begins with 0 */
		{ "700000001", 2, &sweden, ADDRESS_PHONE, "46700000001" },
		{ "0700000001", 2, &sweden, ADDRESS_PHONE, "46700000001" },
		{ "4790000001", 0, &sweden, ADDRESS_PHONE, "4790000001" },
		{ "700000001", 2, NULL, ADDRESS_PHONE, "700000001" },
		{ "6505550100", 0, &usa, ADDRESS_PHONE, "16505550100" },
		{ "1-650-555-0100", 0, &usa, ADDRESS_PHONE, "16505550100" },
		{ "011 46 70 000 00 01", 0, &usa, ADDRESS_PHONE, "46700000001" },
		{ "89161234567", 0, &russia, ADDRESS_PHONE, "79161234567" },
		{ "9161234567", 0, &russia, ADDRESS_PHONE, "79161234567" },
		{ "8613800138000", 0, &russia, ADDRESS_PHONE,
			"8613800138000" }, /* China, not trunk */
		{ "8 10 46 700000001", 0, &russia, ADDRESS_PHONE, "46700000001" },
		{ "06 1234 5678", 2, &italy, ADDRESS_PHONE,
			"390612345678" }, /* no trunk to strip */
		{ "12345", 0, NULL, ADDRESS_SHORT, "12345" },
		{ "112", 0, &sweden, ADDRESS_SHORT, "112" },
		{ "12345", 1, NULL, ADDRESS_SHORT, "12345" },
		{ "1234567", 0, NULL, ADDRESS_PHONE, "1234567" },
		{ "1234567", 3, NULL, ADDRESS_SHORT, "1234567" },
		{ "123456789012345", 1, NULL, ADDRESS_PHONE, "123456789012345" },
		{ "", 0, NULL, -1, "no destination address" },
		{ "  ", 0, NULL, -1, "no destination address" },
		{ "+", 0, NULL, -1, "number \"+\": no digits" },
		{ "12", 0, NULL, -1, "number \"12\": 2 digits are too few" },
		{ "+123", 0, NULL, -1, "number \"+123\": 3 digits are too few" },
		{ "0700000001", 0, NULL, -1,
			"number \"0700000001\": no country code begins with 0; national numbers "
			"need the country setting" },
		{ "+0700000001", 0, &sweden, -1,
			"number \"+0700000001\": no country code begins with 0; write it with '+' "
			"and its country code" },
		{ "1234567890123456", 0, NULL, -1,
			"number \"1234567890123456\": 16 digits; at most 15" },
		{ "111111111111111111111111111111111111", 0, NULL, -1,
			"number \"111111111111111111111111111111111111\": more than 15 digits" },
		{ "0111111111111111111111111111111", 0, &sweden, -1,
			"number \"0111111111111111111111111111111\": 32 digits; at most 15" },
		{ "4670x000001", 0, NULL, -1,
			"number \"4670x000001\": 'x' at place 5 is no digit" },
		{ "46+70", 0, NULL, -1, "number \"46+70\": '+' at place 3 is no digit" },
		{ "46700000001\n1", 0, NULL, -1,
			"number \"46700000001?1\": U+000A (control character) at place 12 is no "
			"digit" },
		{ "46é", 0, NULL, -1,
			"number \"46é\": U+00E9 (LATIN SMALL LETTER E WITH ACUTE) at place 3 is no "
			"digit" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check(false, &rows[i]);
}

static void sources(void **state)
{
	static const struct row rows[] = {
		{ "Shop", 0, NULL, ADDRESS_ALNUM, "Shop" },
		{ "Shop", 5, NULL, ADDRESS_ALNUM, "Shop" },
		{ "Shop 24-7", 0, NULL, ADDRESS_ALNUM, "Shop 24-7" },
		{ "24-7", 0, NULL, ADDRESS_ALNUM, "24-7" },
		{ "Café Été", 1, NULL, ADDRESS_ALNUM, "Café Été" }, /* odd TON: content decides */
		{ "me@shop", 0, NULL, ADDRESS_ALNUM, "me@shop" },
		{ "12345678901", 5, NULL, ADDRESS_ALNUM, "12345678901" },
		{ "123456789012", 5, NULL, ADDRESS_PHONE, "123456789012" },
		{ "46700000001", 0, NULL, ADDRESS_PHONE, "46700000001" },
		{ "+46 70 000 00 01", 0, NULL, ADDRESS_PHONE, "46700000001" },
		{ "0700000001", 0, &sweden, ADDRESS_PHONE, "46700000001" },
		{ "08-123 456", 0, &sweden, ADDRESS_PHONE, "468123456" },
		{ "12345", 0, NULL, ADDRESS_SHORT, "12345" },
		{ "12345678", 3, NULL, ADDRESS_SHORT, "12345678" },
		{ "ΔΦΓΛΩΠΨΣΘΞÆ", 0, NULL, ADDRESS_ALNUM, "ΔΦΓΛΩΠΨΣΘΞÆ" },
		{ "€€€€€x", 0, NULL, ADDRESS_ALNUM, "€€€€€x" },
		{ "1", 0, NULL, ADDRESS_ALNUM, "1" },
		{ "", 0, NULL, -1, "no source address" },
		{ "Twelve chars", 0, NULL, -1,
			"sender \"Twelve chars\" takes 12 characters; at most 11" },
		{ "€€€€€€", 0, NULL, -1, "sender \"€€€€€€\" takes 12 characters; at most 11" },
		{ "Аптека", 0, NULL, -1,
			"sender \"Аптека\": U+0410 (Cyrillic letter) is not in the GSM alphabet" },
		{ "a\xff", 0, NULL, -1, "sender \"a?\" is not UTF-8" },
		{ "a\nb", 0, NULL, -1,
			"sender \"a?b\": U+000A (control character) is not in the GSM alphabet" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check(true, &rows[i]);
}

static void numbering(void **state)
{
	const struct address_numbering usual = ADDRESS_NUMBERING_USUAL;
	static const struct {
		const char *source;
		unsigned ton, npi;
	} rows[] = { { "Shop", 5, 0 }, { "12345", 3, 0 }, { "46700000001", 1, 1 } };
	struct address a;
	struct ton_npi t;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(address_source(&a, str_of(rows[i].source), 0, 0, NULL, NULL), 0);
		t = address_source_ton(&usual, &a);
		assert_int_equal(t.ton, rows[i].ton);
		assert_int_equal(t.npi, rows[i].npi);
	}
	t = address_destination_ton(&usual, &a);
	assert_int_equal(t.ton, 1);
	assert_int_equal(t.npi, 1);
	assert_int_equal(address_destination(&a, STR("12345"), 0, 0, NULL, NULL), 0);
	t = address_destination_ton(&usual, &a);
	assert_int_equal(t.ton, 0);
	assert_int_equal(t.npi, 1);
}

static void sender_octets(void **state)
{
	struct address a;
	struct buf b = BUF_INIT;
	struct err e;

	assert_int_equal(address_source(&a, STR("Été_1"), 0, 0, NULL, NULL), 0);
	assert_int_equal(address_source_octets(&a, TEXT_FORM_GSM, &b, NULL), 0);
	assert_string_equal(buf_cstr(&b), "\x1ft\x05\x11"
					  "1");
	buf_reset(&b);
	assert_int_equal(address_source_octets(&a, TEXT_FORM_LATIN1, &b, NULL), 0);
	assert_string_equal(buf_cstr(&b), "\xc9t\xe9_1");
	buf_reset(&b);
	assert_int_equal(address_source_octets(&a, TEXT_FORM_UTF8, &b, NULL), 0);
	assert_string_equal(buf_cstr(&b), "Été_1");
	buf_reset(&b);
	assert_int_equal(address_source_octets(&a, TEXT_FORM_ASCII, &b, &e), -1);
	assert_string_equal(e.text, "sender \"Été_1\": U+00C9 is not in ASCII");
	assert_int_equal(b.n, 0);
	assert_int_equal(address_source(&a, STR("me@shop"), 0, 0, NULL, NULL), 0);
	assert_int_equal(address_source_octets(&a, TEXT_FORM_GSM, &b, &e), -1);
	assert_int_equal(address_source_octets(&a, TEXT_FORM_ASCII, &b, NULL), 0);
	assert_string_equal(buf_cstr(&b), "me@shop");
	buf_free(&b);
}

static void country_settings(void **state)
{
	struct err e;

	assert_int_equal(address_country_check(&sweden, &e), 0);
	assert_int_equal(address_country_check(&(struct address_country){ 0 }, &e), 0);
	assert_int_equal(address_country_check(&(struct address_country){ .code = "+4" }, &e), -1);
	assert_int_equal(address_country_check(&(struct address_country){ .code = "04" }, &e), -1);
	assert_int_equal(address_country_check(&(struct address_country){ .trunk = "0" }, &e), -1);
	assert_int_equal(
		address_country_check(&(struct address_country){ .code = "1", .digits = 16 }, &e),
		-1);
}

static void emails(void **state)
{
	static const struct {
		const char *in, *fault; /* NULL: a good shape */
	} rows[] = {
		{ "anna@shop.example", NULL },
		{ "a.b+c_d@x-y.shop.example", NULL },
		{ "o'neil@shop.example", NULL },
		{ "\"anna maria\"@shop.example", NULL },
		{ "\"a\\\"@b\"@shop.example", NULL },
		{ "jörg@bücher.example", NULL },
		{ "root@localhost", NULL },
		{ "x@[192.0.2.1]", NULL },
		{ "x@[IPv6:2001:db8::1]", NULL },
		{ "", "it is empty" },
		{ "anna", "there is no @" },
		{ "@shop.example", "nothing before the @" },
		{ "anna@", "nothing after the @" },
		{ "a@b@c.example", "more than one @" },
		{ ".a@c.example", "a dot out of place before the @" },
		{ "a.@c.example", "a dot out of place before the @" },
		{ "a..b@c.example", "a dot out of place before the @" },
		{ "a b@c.example", "a space before the @" },
		{ "a,b@c.example", "a character before the @ that needs quotes" },
		{ "\"ab@c.example", "the quoted part is not closed" },
		{ "\"ab\\\"@c.example", "the quoted part is not closed" },
		{ "\"a\"b\"@c.example", "a quotation mark inside the quoted part" },
		{ "a@c..example", "an empty label in the domain" },
		{ "a@c.example.", "an empty label in the domain" },
		{ "a@-c.example", "a label of the domain begins or ends with a hyphen" },
		{ "a@c_d.example", "a character in the domain that no host name has" },
		{ "a@c d", "a character in the domain that no host name has" },
		{ "a@[1.2.3.4", "the bracketed address is not closed" },
		{ "a@[1.2 3]", "a character in the bracketed address that is out of place" },
		{ "a\xff@c.example", "it is not UTF-8" },
		{ "a\r\nRCPT TO:<x>@c.example", "a character before the @ that needs quotes" },
	};
	char big[300];
	struct err e;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int bad = address_email(str_of(rows[i].in), &e);

		if (bad != (rows[i].fault ? -1 : 0))
			fail_msg("%s: %s", rows[i].in, bad ? e.text : "taken");
		if (bad && !strstr(e.text, rows[i].fault))
			fail_msg("%s: %s", rows[i].in, e.text);
	}
	memset(big, 'a', sizeof big);
	memcpy(big + 65, "@c.example", 10);
	assert_int_equal(address_email(str_n(big, 75), &e), -1);
	memcpy(big + 64, "@c.example", 10);
	assert_int_equal(address_email(str_n(big, 74), &e), 0);
	memset(big, 'a', sizeof big);
	big[1] = '@';
	assert_int_equal(address_email(str_n(big, 65), &e), 0);
	assert_int_equal(address_email(str_n(big, 66), &e), -1);
	assert_int_equal(address_email(str_n(big, 255), &e), -1);
	assert_int_equal(address_email(str_n("a\0b@c.example", 13), &e), -1);
}

static void push(void **state)
{
	struct str channel, token;
	struct err e;

	assert_int_equal(address_push(STR("apns-1:abcdef0123"), &channel, &token, &e), 0);
	assert_true(str_is(channel, "apns-1"));
	assert_true(str_is(token, "abcdef0123"));
	assert_int_equal(address_push(STR("fcm:dX:APA91b-_"), &channel, &token, &e), 0);
	assert_true(str_is(token, "dX:APA91b-_"));
	assert_int_equal(address_push(STR("abcdef0123"), &channel, &token, &e), 0);
	assert_int_equal(channel.n, 0);
	assert_true(str_is(token, "abcdef0123"));
	assert_int_equal(address_push(STR(""), &channel, &token, &e), -1);
	assert_string_equal(e.text, "push address: no token");
	assert_int_equal(address_push(STR("fcm:"), &channel, &token, &e), -1);
	assert_string_equal(e.text, "push address: no token after the ':'");
	assert_int_equal(address_push(STR(":x"), &channel, &token, &e), -1);
	assert_int_equal(address_push(STR("a b:x"), &channel, &token, &e), -1);
	assert_string_equal(e.text, "push address: place 2 is no character of a channel name");
	assert_int_equal(address_push(str_n("a\0:x", 4), &channel, &token, &e), -1);
	assert_int_equal(address_push(STR("fcm:x y"), &channel, &token, &e), -1);
	assert_int_equal(address_push(STR("fcm:x\xc3\xa9"), &channel, &token, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(destinations),
		cmocka_unit_test(sources),
		cmocka_unit_test(numbering),
		cmocka_unit_test(sender_octets),
		cmocka_unit_test(country_settings),
		cmocka_unit_test(emails),
		cmocka_unit_test(push),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
