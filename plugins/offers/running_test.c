/* What a chain under way keeps when the configuration changes, what is given back when a message is
 * held back, and which events are counted: through the whole engine.
 */
#include "plugins/offers/engine_fixture.h"

/* How often a message was sent for each of these events tells what the filter saw. */
static void test_FC_kinds_are_counted_apart(void **state)
{
	begin("counters = { phones = { of = \"phone.linked\"; per = \"member\"; period = \"ever\"; "
	      "}; };"
	      "offer = { name = \"o\"; kind = \"service\"; when = \"form.completed\";"
	      " only_if = \"count('phone.linked') == 1 and count('email.linked', '30 days') == 2 "
	      "and"
	      " count('contact.linked') == 3 and first_time('social.linked') and"
	      " not first_time('phone.linked') and counter('phones') == 1\"; actions = ("
	      " { do = \"send\"; template = \"hi\"; via = \"sms\"; } ); };");
	happens(0, "form.completed", "");
	expect_sent(0, NULL);
	happens(0, "phone.linked", "\"data\":{\"value\":\"+46700000001\"}");
	happens(0, "email.linked", "\"data\":{\"value\":\"m@shop.example\"}");
	happens(0, "form.completed", "");
	expect_sent(0, NULL);
	happens(0, "email.linked", "\"data\":{\"value\":\"n@shop.example\"}");
	happens(0, "form.completed", "");
	expect_sent(1, "Hi.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, end)
		T(test_FC_kinds_are_counted_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
