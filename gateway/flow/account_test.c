/* Accounts: passwords, addresses, senders, rates, and the price of wrong logins. */
#include "gateway/base/penalty.h"
#include "tests/flow_fixture.h"

#include <arpa/inet.h>
#include <crypt.h>
#include <netinet/in.h>

#define CONF \
	"channels = ( { name = \"a\"; type = \"probe\"; } ); routes = ( { via = [ \"a\" ]; } );"

/* ---- passwords ---- */
struct verified {
	struct account *a;
	struct str password;
	bool done, ok;
};

static void verified(void *ctx, bool ok)
{
	struct verified *v = ctx;

	fx_lock();
	v->done = true;
	v->ok = ok;
	fx_unlock();
}

static void verify_run(void *arg)
{
	struct verified *v = arg;

	account_verify(v->a, v->password, verified, v);
	assert_false(v->done); /* later, always */
}

static bool is_done(void *arg)
{
	return ((struct verified *)arg)->done;
}

static bool verify(struct account *a, struct str password)
{
	struct verified v = { .a = a, .password = password };

	gateway_call(fx.g, fx.door->loop, verify_run, &v);
	assert_true(fx_until(is_done, &v, 20 * DUR_S));
	return v.ok;
}

static void test_passwords(void **state)
{
	static const char *const methods[] = { "$y$", "$6$", "$2b$", "$5$", "$1$" };
	struct crypt_data data;

	fx_begin(CONF);
	fx.aconf[0].password = "plain text";
	assert_true(verify(fx.account[0], STR("plain text")));
	assert_false(verify(fx.account[0], STR("plain texT")));
	assert_false(verify(fx.account[0], STR("plain text ")));
	assert_false(verify(fx.account[0], STR("")));
	fx.aconf[0].password = "";
	assert_true(verify(fx.account[0], STR("")));
	fx.aconf[0].password = NULL;
	assert_false(verify(fx.account[0], STR("")));
	assert_false(verify(NULL, STR("x")));
	assert_false(verify(NULL, STR("")));
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		char salt[CRYPT_GENSALT_OUTPUT_SIZE], hash[CRYPT_OUTPUT_SIZE];

		if (!crypt_gensalt_rn(methods[i], 0, NULL, 0, salt, sizeof salt))
			continue; /* this libcrypt does not know it */
		memset(&data, 0, sizeof data);
		assert_non_null(crypt_r("sesam", salt, &data));
		str_copy(hash, sizeof hash, str_of(data.output));
		fx.aconf[0].password = hash;
		assert_true(verify(fx.account[0], STR("sesam")));
		assert_true(verify(fx.account[0], STR("sesam"))); /* known again */
		assert_false(verify(fx.account[0], STR("Sesam")));
		assert_false(verify(fx.account[1], STR("sesam"))); /* the other has none */
		assert_false(verify(fx.account[0], STR("")));
		assert_false(verify(fx.account[0], str_of(hash))); /* the hash is no password */
		assert_false(verify(fx.account[0], str_n("sesam\0x", 7)));
	}
	fx.aconf[0].password = "$y$broken";
	assert_false(verify(fx.account[0], STR("$y$broken")));
	assert_false(verify(fx.account[0], STR("x")));
	fx_end();
}

/* A hash is slow; whoever was let in is known again at once, until the hash is another. */
static void test_known_again(void **state)
{
	char salt[CRYPT_GENSALT_OUTPUT_SIZE], hash[2][CRYPT_OUTPUT_SIZE];
	struct crypt_data data = { 0 };
	dur_t first, rest;
	mono_t at;

	fx_begin(CONF);
	for (int i = 0; i < 2; i++) {
		assert_non_null(crypt_gensalt_rn("$6$", 200000, NULL, 0, salt, sizeof salt));
		assert_non_null(crypt_r(i ? "other" : "sesam", salt, &data));
		str_copy(hash[i], sizeof hash[i], str_of(data.output));
	}
	fx.aconf[0].password = hash[0];
	at = clock_mono();
	assert_true(verify(fx.account[0], STR("sesam")));
	first = clock_mono() - at;
	at = clock_mono();
	for (int i = 0; i < 10; i++)
		assert_true(verify(fx.account[0], STR("sesam")));
	rest = clock_mono() - at;
	if (rest > 5 * first)
		fail_msg("%lld ms, and %lld ms for ten more", (long long)(first / DUR_MS),
			(long long)(rest / DUR_MS));
	assert_false(verify(fx.account[0], STR("other")));
	assert_true(verify(fx.account[0], STR("sesam")));
	fx.aconf[0].password = hash[1];
	assert_false(verify(fx.account[0], STR("sesam")));
	assert_true(verify(fx.account[0], STR("other")));
	fx.aconf[0].password = "";
	assert_false(verify(fx.account[0], STR("other")));
	fx_end();
}

/* ---- addresses and senders ---- */
static struct sockaddr_storage peer(const char *text)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *a = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *b = (struct sockaddr_in6 *)&ss;

	if (inet_pton(AF_INET, text, &a->sin_addr) == 1)
		a->sin_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &b->sin6_addr) == 1)
		b->sin6_family = AF_INET6;
	else
		fail_msg("%s is no address", text);
	return ss;
}

static bool allows(const char *text)
{
	struct sockaddr_storage ss = peer(text);

	return account_allows(fx.account[0], (struct sockaddr *)&ss);
}

static void test_allow(void **state)
{
	static const char *nets[] = { "10.1.0.0/16", "127.0.0.1", "2001:db8::/32" };

	fx_begin(CONF);
	assert_true(allows("192.0.2.1")); /* none named: any */
	fx.aconf[0].allow = nets;
	fx.aconf[0].allow_n = 3;
	gateway_call(fx.g, fx.door->loop, fx_declare, NULL);
	assert_true(allows("10.1.255.1"));
	assert_false(allows("10.2.0.1"));
	assert_true(allows("127.0.0.1"));
	assert_true(allows("::ffff:127.0.0.1"));
	assert_false(allows("127.0.0.2"));
	assert_true(allows("2001:db8:1::1"));
	assert_false(allows("2001:db9::1"));
	fx_end();
}

static void test_senders(void **state)
{
	static const char *from[] = { "*@shop.example", "Sh?p" };

	fx_begin(CONF);
	assert_true(fx_send((struct fx_msg){ 0 }) != 0);
	fx.aconf[0].from = from;
	fx.aconf[0].from_n = 2;
	assert_int_equal(fx_send((struct fx_msg){ 0 }), 0); /* from "Test" */
	assert_int_equal(fx.reason, REASON_BAD_SENDER);
	/* a report of ours is from nobody that the account chose */
	assert_true(fx_send((struct fx_msg){ .flags = MSG_REPORT }) != 0);
	from[1] = "T?st";
	assert_true(fx_send((struct fx_msg){ 0 }) != 0);
	fx_drain(10 * DUR_S);
	fx_end();
}

static void test_rate(void **state)
{
	unsigned taken;

	fx_begin(CONF);
	fx.aconf[0].rate = 50;
	clock_shift(DUR_S); /* a full bucket: one second's worth */
	for (int i = 0; i < 120; i++)
		fx_post((struct fx_msg){ 0 }, NULL);
	fx_answers();
	taken = fx.answered - fx.refused;
	assert_in_range(taken, 50, 90); /* and what came in while it ran */
	assert_int_equal(fx.reason, REASON_RATE);
	assert_true(fx_send((struct fx_msg){ .account = 1 }) != 0); /* the other's is its own */
	assert_true(fx_send((struct fx_msg){ .flags = MSG_REPORT }) != 0);
	clock_shift(DUR_S);
	assert_true(fx_send((struct fx_msg){ 0 }) != 0);
	fx_drain(10 * DUR_S);
	fx_end();
}

/* An account's own priority goes before the message's, and its cap on validity holds. */
static void test_account_rules(void **state)
{
	struct store_view v;
	uint64_t id;

	fx_begin(CONF);
	fx.aconf[0].priority = "bulk";
	fx.aconf[0].valid_most = DUR_HOUR;
	id = fx_send((struct fx_msg){
		.priority = PRIORITY_HIGH, .expires = clock_wall() + 5 * DUR_HOUR });
	v = fx_view(id);
	assert_int_equal(v.priority, PRIORITY_BULK);
	assert_in_range(v.expires - v.accepted, 59 * DUR_MIN, 61 * DUR_MIN);
	store_view_free(&v);
	assert_int_equal(fx_send((struct fx_msg){ .expires = clock_wall() - DUR_S }), 0);
	assert_int_equal(fx.reason, REASON_BAD_TIME);
	assert_int_equal(fx_send((struct fx_msg){ .to = "" }), 0);
	assert_int_equal(fx.reason, REASON_BAD_DESTINATION);
	fx_drain(10 * DUR_S);
	fx_end();
}

/* ---- the price of wrong logins ---- */
static dur_t wait_of(const char *text)
{
	struct sockaddr_storage ss = peer(text);

	return login_delay((struct sockaddr *)&ss);
}

static void login(const char *text, bool ok)
{
	struct sockaddr_storage ss = peer(text);

	login_result((struct sockaddr *)&ss, ok);
}

static void test_penalty(void **state)
{
	dur_t last = 0;

	assert_int_equal(wait_of("192.0.2.7"), 0);
	for (int i = 0; i < 8; i++) {
		login("192.0.2.7", false);
		assert_true(wait_of("192.0.2.7") >= last);
		last = wait_of("192.0.2.7");
	}
	assert_int_equal(last, 16 * DUR_S);
	assert_int_equal(wait_of("192.0.2.8"), 0); /* nobody else's affair */
	clock_shift(3 * DUR_MIN);
	assert_true(wait_of("192.0.2.7") < 16 * DUR_S || wait_of("192.0.2.7") == 16 * DUR_S);
	clock_shift(10 * DUR_MIN);
	assert_int_equal(wait_of("192.0.2.7"), 0); /* forgiven */
	login("192.0.2.7", false);
	assert_int_equal(wait_of("192.0.2.7"), DUR_S / 2);
	login("192.0.2.7", true);
	assert_int_equal(wait_of("192.0.2.7"), 0);
	/* a flood of addresses costs the table nothing, and does not hide who was here */
	for (unsigned i = 0; i < 100000; i++) {
		char text[32];

		snprintf(text, sizeof text, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		login(text, false);
		if (i % 1000 == 0)
			login("192.0.2.9", false);
	}
	assert_int_equal(wait_of("192.0.2.9"), 16 * DUR_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passwords),
		cmocka_unit_test(test_known_again),
		cmocka_unit_test(test_allow),
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_account_rules),
		cmocka_unit_test(test_penalty),
	};
	const char *only = getenv("ONLY");

	if (only)
		cmocka_set_test_filter(only);
	return cmocka_run_group_tests_name("accounts", tests, NULL, NULL);
}
