/* Fuzz target: any octets as a mail whose text is wanted, and to be made 7-bit. */
#include "gateway/base/err.h"
#include "gateway/mail/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf text = BUF_INIT, subject = BUF_INIT;
	struct err e = { 0 };

	if (mail_text(str_n(data, size), size & 1, &text, &subject, &e) == 0) {
		CHECK(text.n && str_utf8_valid(buf_view(&text)));
		CHECK(!memchr(text.p, '\0', text.n) && text.p[text.n - 1] != '\n');
		CHECK(str_utf8_valid(buf_view(&subject)));
	} else {
		CHECK(e.text[0] && text.n == 0 && subject.n == 0);
	}
	buf_reset(&text);
	if (mail_to_7bit(str_n(data, size), size % 2, &text, &e) == 0) {
		for (size_t i = 0; i < text.n; i++)
			CHECK(text.p[i] && (unsigned char)text.p[i] < 0x80);
		/* What is 7-bit stays as it is. */
		buf_reset(&subject);
		CHECK(mail_to_7bit(buf_view(&text), false, &subject, &e) == 0);
		CHECK(str_eq(buf_view(&text), buf_view(&subject)));
	} else {
		CHECK(text.n == 0);
	}
	buf_free(&text);
	buf_free(&subject);
	return 0;
}
