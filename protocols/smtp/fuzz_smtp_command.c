/* Fuzz target: reading commands. What is taken must be what RFC 5321 allows to be written again:
 * no address holds a line end or an octet that was not let in, decoded values no controls. */
#include "gateway/base/err.h"
#include "protocols/smtp/command.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_clean(const char *s)
{
	for (; *s; s++)
		CHECK((unsigned char)*s >= 0x20 && *s != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_command c;
	unsigned flags;
	const struct smtp_reply *r;

	if (!size)
		return 0;
	flags = data[0] & 3;
	r = smtp_command_parse(str_n(data + 1, size - 1), flags, &c);
	if (r) {
		CHECK(r->code >= 500 && r->code < 600 && r->status[0] == '5' && r->text[0]);
		return 0;
	}
	CHECK(c.verb != SMTP_UNKNOWN);
	check_clean(c.path.text);
	check_clean(c.envid);
	check_clean(c.orcpt);
	CHECK(c.path.n == strlen(c.path.text) && c.path.at <= c.path.n);
	if (c.path.n > c.path.at)
		CHECK(c.path.text[c.path.at] == '@');
	for (size_t i = 0; i < c.path.n; i++)
		if (c.path.text[i] & 0x80)
			CHECK(c.path.utf8 && (c.smtputf8 || flags & SMTP_UTF8));
	CHECK(str_utf8_valid(str_of(c.path.text)));
	if (c.path.n) {
		struct smtp_path again;
		char text[SMTP_PATH_MOST + 3];
		size_t n = c.path.n;

		text[0] = '<';
		memcpy(text + 1, c.path.text, n);
		text[n + 1] = '>';
		CHECK(smtp_path_parse(str_n(text, n + 2), false, true, &again));
		CHECK(str_eq(smtp_path_text(&again), smtp_path_text(&c.path)));
	}
	return 0;
}
