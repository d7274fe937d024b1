/* mail_mailbox(): names and addresses apart. */
#include "gateway/mail/mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_mailboxes(void **state)
{
	static const struct {
		const char *in, *name, *address;
	} c[] = {
		{ "a@b.example", "", "a@b.example" },
		{ " <a@b.example> ", "", "a@b.example" },
		{ "Shop <a@b.example>", "Shop", "a@b.example" },
		{ "  My  Shop < a@b.example >", "My  Shop", "a@b.example" },
		{ "\"Shop, \\\"the\\\" one\" <a@b.example>", "Shop, \"the\" one", "a@b.example" },
		{ "Магазин <a@b.example>", "Магазин", "a@b.example" },
		{ "", "", NULL },
		{ "  ", "", NULL },
		{ "Shop <>", "", NULL },
		{ "a@b.example>", "", NULL },
		{ "\"Shop <a@b.example>", "", NULL },
		{ "\"Shop\" and more <a@b.example>", "", NULL },
		{ "Shop <a@b.example> <c@d.example>", "", NULL },
	};

	for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
		struct buf name = BUF_INIT;
		struct str address = STR_NONE;
		bool good = mail_mailbox(str_of(c[i].in), &name, &address);

		if (good != (c[i].address != NULL))
			fail_msg("\"%s\" is %s", c[i].in, good ? "taken" : "refused");
		if (good) {
			assert_true(str_is(address, c[i].address));
			assert_true(str_is(buf_view(&name), c[i].name));
		}
		buf_free(&name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_mailboxes) };

	return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
