/* User data headers: what is read, what is ignored, what is built. */
#include "gateway/model/udh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void concat8(void **state)
{
	struct udh u;

	assert_int_equal(udh_parse(STR("\x05\x00\x03\xcc\x02\x01Hi"), &u, NULL), 0);
	assert_int_equal(u.size, 6);
	assert_false(u.bad);
	assert_int_equal(u.concat.kind, CONCAT_UDH8);
	assert_int_equal(u.concat.ref, 0xcc);
	assert_int_equal(u.concat.total, 2);
	assert_int_equal(u.concat.seq, 1);
}

static void what_elements_say(void **state)
{
	struct udh u;

	assert_int_equal(udh_parse(STR("\x06\x08\x04\x12\x34\x03\x03"), &u, NULL), 0);
	assert_int_equal(u.concat.kind, CONCAT_UDH16);
	assert_int_equal(u.concat.ref, 0x1234);
	assert_int_equal(u.concat.seq, 3);

	assert_int_equal(udh_parse(STR("\x06\x05\x04\x0b\x84\x23\xf0"), &u, NULL), 0);
	assert_true(u.ports);
	assert_int_equal(u.port_to, 2948);
	assert_int_equal(u.port_from, 9200);
	assert_int_equal(udh_parse(STR("\x04\x04\x02\xf0\xf1"), &u, NULL), 0);
	assert_int_equal(u.port_to, 0xf0);

	assert_int_equal(udh_parse(STR("\x06\x24\x01\x01\x25\x01\x03"), &u, NULL), 0);
	assert_int_equal(u.single, 1);
	assert_int_equal(u.locking, 3);

	assert_int_equal(
		udh_parse(STR("\x0a\x70\x00\x00\x03\x01\x02\x02\x71\x01\x55"), &u, NULL), 0);
	assert_int_equal(u.others, 2);
	assert_int_equal(u.concat.seq, 2);
	assert_int_equal(udh_parse(STR("\x00text"), &u, NULL), 0); /* empty, but a header */
	assert_int_equal(u.size, 1);
}

/* TS 23.040 9.2.3.24.1: such an element is ignored, and the text stays. */
static void senseless_concat_is_no_concat(void **state)
{
	static const struct str cases[] = {
		STR("\x05\x00\x03\xcc\x00\x01"), /* total 0 */
		STR("\x05\x00\x03\xcc\x02\x00"), /* seq 0 */
		STR("\x05\x00\x03\xcc\x02\x03"), /* seq beyond total */
		STR("\x04\x00\x02\xcc\x02"),     /* wrong lengths */
		STR("\x06\x00\x04\xcc\x02\x01\x01"),
		STR("\x05\x08\x03\xcc\x02\x01"),
	};
	struct udh u;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(udh_parse(cases[i], &u, NULL), 0);
		assert_int_equal(u.concat.kind, CONCAT_NONE);
		assert_int_equal(u.size, cases[i].n);
	}
	/* A later sound one is taken, and the last of two. */
	assert_int_equal(
		udh_parse(STR("\x0b\x00\x03\x01\x02\x01\x08\x04\x00\x07\x02\x02"), &u, NULL), 0);
	assert_int_equal(u.concat.kind, CONCAT_UDH16);
}

static void elements_beyond_the_header(void **state)
{
	struct udh u;
	struct err e;

	/* The last element runs over UDHL: none is believed, yet the text begins behind. */
	assert_int_equal(udh_parse(STR("\x05\x00\x04\xcc\x02\x01Hi"), &u, NULL), 0);
	assert_true(u.bad);
	assert_int_equal(u.size, 6);
	assert_int_equal(udh_parse(STR("\x08\x24\x01\x01\x00\x03\x01\x02\x01"), &u, NULL), 0);
	assert_false(u.bad);
	assert_int_equal(udh_parse(STR("\x06\x00\x03\x01\x02\x01\x24xx"), &u, NULL), 0);
	assert_true(u.bad);
	assert_int_equal(u.concat.kind, CONCAT_NONE);

	/* UDHL runs over the user data: there is no header, and no text to be found. */
	assert_int_equal(udh_parse(STR("\x06\x00\x03\x01\x02\x01"), &u, &e), -1);
	assert_string_equal(e.text, "user data header of 6 octets in user data of 6 octets");
	assert_int_equal(udh_parse(STR_NONE, &u, &e), -1);
	assert_int_equal(u.size, 0);
}

static void check_built(const struct udh *u, struct str want)
{
	uint8_t out[UDH_BUILT];
	struct udh back;
	size_t n = udh_build(u, out);

	assert_int_equal(n, want.n);
	assert_memory_equal(out, want.p, n);
	if (n == 0)
		return;
	assert_int_equal(udh_parse(str_n(out, n), &back, NULL), 0);
	assert_int_equal(back.concat.kind, u->concat.kind);
	assert_int_equal(back.concat.ref, u->concat.ref);
	assert_int_equal(back.ports, u->ports);
	assert_int_equal(back.port_from, u->port_from);
	assert_int_equal(back.single, u->single);
	assert_int_equal(back.locking, u->locking);
}

static void built(void **state)
{
	const struct concat c8 = { CONCAT_UDH8, 0xcc, 2, 1 }, c16 = { CONCAT_UDH16, 0x1234, 3, 2 };

	check_built(&(struct udh){ 0 }, STR_NONE);
	check_built(&(struct udh){ .concat = { CONCAT_SAR, 1, 2, 1 } }, STR_NONE);
	check_built(&(struct udh){ .concat = c8 }, STR("\x05\x00\x03\xcc\x02\x01"));
	check_built(&(struct udh){ .concat = c16 }, STR("\x06\x08\x04\x12\x34\x03\x02"));
	check_built(&(struct udh){ .single = 1 }, STR("\x03\x24\x01\x01"));
	check_built(
		&(struct udh){ .single = 1, .locking = 1 }, STR("\x06\x24\x01\x01\x25\x01\x01"));
	check_built(&(struct udh){ .concat = c8, .single = 1 },
		STR("\x08\x00\x03\xcc\x02\x01\x24\x01\x01"));
	check_built(
		&(struct udh){ .concat = c8, .ports = true, .port_to = 2948, .port_from = 9200 },
		STR("\x0b\x00\x03\xcc\x02\x01\x05\x04\x0b\x84\x23\xf0"));
	check_built(&(struct udh){ .concat = c16, .ports = true, .single = 1, .locking = 1 },
		STR("\x12\x08\x04\x12\x34\x03\x02\x05\x04\x00\x00\x00\x00\x24\x01\x01\x25\x01"
		    "\x01"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(concat8),
		cmocka_unit_test(what_elements_say),
		cmocka_unit_test(senseless_concat_is_no_concat),
		cmocka_unit_test(elements_beyond_the_header),
		cmocka_unit_test(built),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
