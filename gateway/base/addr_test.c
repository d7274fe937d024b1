/* Addresses: text, networks, kinds. */
#include "gateway/base/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct sockaddr *sa(const char *text, union addr *a)
{
	assert_true(addr_parse(str_of(text), 7, a));
	return &a->sa;
}

static void split(void **state)
{
	static const struct {
		const char *s, *host;
		int port;
	} good[] = {
		{ "127.0.0.1:2775", "127.0.0.1", 2775 },
		{ "[::]:2775", "::", 2775 },
		{ "*:0", "*", 0 },
		{ "smsc.example:65535", "smsc.example", 65535 },
		{ "[2001:db8::1]:25", "2001:db8::1", 25 },
	};
	static const char *const bad[] = { "", ":", ":25", "host", "host:", "host:65536", "host:-1",
		"host: 25", "host:25 ", "::1:25", "[::1]25", "[::1]", "[]:25", "[127.0.0.1]:25",
		"[::1:25", "ho st:25", "host:000025", "a@b:25", "http://x:25" };

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct str host;
		uint16_t port;

		assert_true(addr_split(str_of(good[i].s), &host, &port));
		assert_true(str_is(host, good[i].host));
		assert_int_equal(port, good[i].port);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct str host;
		uint16_t port;

		if (addr_split(str_of(bad[i]), &host, &port))
			fail_msg("taken: %s", bad[i]);
	}
}

static void networks(void **state)
{
	static const struct {
		const char *net, *addr;
		bool has;
	} t[] = {
		{ "10.0.0.0/8", "10.255.0.1", true },
		{ "10.0.0.0/8", "11.0.0.1", false },
		{ "10.0.0.0/8", "::ffff:10.1.2.3", true },
		{ "10.1.2.3/8", "10.9.9.9", true }, /* host bits do not matter */
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.128/25", "192.0.2.200", true },
		{ "0.0.0.0/0", "203.0.113.9", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "::/0", "2001:db8::1", true },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
	};
	static const char *const bad[] = { "", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10/8",
		"10.0.0.0/8x", "host", "10.0.0.0/08888", "1.2.3.4/-1" };
	struct addr_net n;
	union addr a;

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		assert_true(addr_net_parse(str_of(t[i].net), &n));
		if (addr_net_has(&n, sa(t[i].addr, &a)) != t[i].has)
			fail_msg("%s has %s", t[i].net, t[i].addr);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (addr_net_parse(str_of(bad[i]), &n))
			fail_msg("taken: %s", bad[i]);
}

static void kinds(void **state)
{
	static const struct {
		const char *addr;
		bool loopback, private;
	} t[] = {
		{ "127.0.0.1", true, true },
		{ "127.255.255.254", true, true },
		{ "::1", true, true },
		{ "::ffff:127.0.0.1", true, true },
		{ "::", false, true },
		{ "0.0.0.0", false, true },
		{ "10.1.1.1", false, true },
		{ "172.16.0.1", false, true },
		{ "172.31.255.255", false, true },
		{ "172.32.0.1", false, false },
		{ "192.168.1.1", false, true },
		{ "169.254.169.254", false, true },
		{ "::ffff:169.254.169.254", false, true },
		{ "64:ff9b::a9fe:a9fe", false, true },
		{ "2002:a00:1::1", false, true },
		{ "100.64.0.1", false, true },
		{ "224.0.0.1", false, true },
		{ "255.255.255.255", false, true },
		{ "fe80::1", false, true },
		{ "fd00::1", false, true },
		{ "ff02::1", false, true },
		{ "8.8.8.8", false, false },
		{ "2606:4700::1111", false, false },
		{ "64:ff9b::808:808", false, false },
	};
	union addr a;

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		sa(t[i].addr, &a);
		if (addr_is_loopback(&a.sa) != t[i].loopback ||
			addr_is_private(&a.sa) != t[i].private)
			fail_msg("kind of %s", t[i].addr);
	}
	assert_true(addr_listen_is_loopback(STR("127.0.0.1:80")));
	assert_true(addr_listen_is_loopback(STR("[::1]:80")));
	assert_true(addr_listen_is_loopback(STR("localhost:80")));
	assert_false(addr_listen_is_loopback(STR("0.0.0.0:80")));
	assert_false(addr_listen_is_loopback(STR("*:80")));
	assert_false(addr_listen_is_loopback(STR("[::]:80")));
	assert_false(addr_listen_is_loopback(STR("localhost.evil.example:80")));
}

static void keys_and_text(void **state)
{
	union addr a, b;
	char text[ADDR_TEXT];

	assert_int_equal(addr_key(sa("192.0.2.1", &a)), addr_key(sa("::ffff:192.0.2.1", &b)));
	assert_int_not_equal(addr_key(sa("192.0.2.1", &a)), addr_key(sa("192.0.2.2", &b)));
	assert_int_equal(addr_key(sa("2001:db8::1", &a)), addr_key(sa("2001:db8::2:1", &b)));
	assert_int_not_equal(addr_key(sa("2001:db8::1", &a)), addr_key(sa("2001:db8:0:1::1", &b)));
	assert_string_equal(addr_text(sa("192.0.2.1", &a), text), "192.0.2.1:7");
	assert_string_equal(addr_text(sa("::ffff:192.0.2.1", &a), text), "192.0.2.1:7");
	assert_string_equal(addr_text(sa("2001:DB8:0::1", &a), text), "[2001:db8::1]:7");
	assert_string_equal(addr_text(sa("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1", &a), text),
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1]:7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split),
		cmocka_unit_test(networks),
		cmocka_unit_test(kinds),
		cmocka_unit_test(keys_and_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
