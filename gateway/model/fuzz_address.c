/* Fuzz target: any bytes as any kind of address. A number that is taken has the one form, and
 * taking it again changes nothing. The first byte chooses the kind, TON and country.
 */
#include "gateway/model/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct address_country countries[] = {
	{ .code = "" },
	{ .code = "46", .trunk = "0" },
	{ .code = "1", .trunk = "1", .abroad = "011", .digits = 10 },
	{ .code = "7", .trunk = "8", .abroad = "810", .digits = 10 },
};

static void sms(struct str in, unsigned ton, const struct address_country *c, bool source)
{
	struct address a, b;
	struct buf out = BUF_INIT;
	struct err e;
	char plus[ADDRESS_SMS_CAP + 1] = "+";

	if (source ? address_source(&a, in, ton, 0, c, &e)
		   : address_destination(&a, in, ton, 0, c, &e)) {
		CHECK(e.kind == ERR_INPUT && str_utf8_valid(str_of(e.text)));
		return;
	}
	CHECK(a.n > 0 && a.n < sizeof a.text && strlen(a.text) == a.n);
	CHECK(source || a.kind != ADDRESS_ALNUM);
	if (a.kind == ADDRESS_PHONE) {
		CHECK(a.n <= ADDRESS_PHONE_MAX && a.text[0] != '0');
		str_copy(plus + 1, sizeof plus - 1, address_str(&a));
		CHECK(address_destination(&b, str_of(plus), 0, 0, c, &e) == 0);
		CHECK(str_eq(address_str(&a), address_str(&b)));
	}
	for (unsigned f = 0; f <= TEXT_FORM_UTF8; f++)
		if (address_source_octets(&a, f, &out, &e) == 0)
			CHECK(out.n > 0 && memchr(out.p, 0, out.n) == NULL);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in, channel, token;
	struct err e;

	if (size < 1)
		return 0;
	in = str_n(data + 1, size - 1);
	sms(in, data[0] & 7, &countries[data[0] >> 3 & 3], data[0] & 32);
	if (address_email(in, &e))
		CHECK(e.kind == ERR_INPUT && str_utf8_valid(str_of(e.text)));
	else
		CHECK(in.n <= ADDRESS_EMAIL_MAX && str_index(in, '@') > 0);
	if (address_push(in, &channel, &token, &e) == 0)
		CHECK(token.n > 0 && channel.n + token.n <= in.n);
	return 0;
}
