/* Message ids: each rewriting, each form as a channel would use it, and what auto learns, does not
 * learn, and forgets.
 */
#include "protocols/smpp/msgid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_key(const struct msgid_key *k, const char *want)
{
	if (!str_is(msgid_key_str(k), want))
		fail_msg("key \"%.*s\", want \"%s\"", STR_ARG(msgid_key_str(k)), want);
}

static void maps(void **state)
{
	static const struct {
		enum msgid_map map;
		const char *id, *want; /* NULL: refused */
	} table[] = {
		{ MSGID_RAW, "00aB", "00aB" },
		{ MSGID_RAW, "", "" },
		{ MSGID_LOWER, "00aB-Z", "00ab-z" },
		{ MSGID_BARE, "00aB", "ab" },
		{ MSGID_BARE, "000", "0" },
		{ MSGID_BARE, "0", "0" },
		{ MSGID_BARE, "", "" },
		{ MSGID_TO_DEC, "5F3A", "24378" },
		{ MSGID_TO_DEC, "0x5f3a", "24378" },
		{ MSGID_TO_DEC, "00000010", "16" },
		{ MSGID_TO_DEC, "ffffffffffffffff", "18446744073709551615" }, /* over 2^63 */
		{ MSGID_TO_DEC, "ffffffffffffffffffffffffffffffff",
			"340282366920938463463374607431768211455" },
		{ MSGID_TO_DEC, "100000000000000000000000000000000", NULL },
		{ MSGID_TO_DEC, "xyz", NULL },
		{ MSGID_TO_DEC, "", NULL },
		{ MSGID_TO_DEC, "-5", NULL },
		{ MSGID_TO_HEX, "24378", "5f3a" },
		{ MSGID_TO_HEX, "0000024378", "5f3a" },
		{ MSGID_TO_HEX, "18446744073709551615", "ffffffffffffffff" },
		{ MSGID_TO_HEX, "340282366920938463463374607431768211455",
			"ffffffffffffffffffffffffffffffff" },
		{ MSGID_TO_HEX, "340282366920938463463374607431768211456", NULL },
		{ MSGID_TO_HEX, "99999999999999999999999999999999999999999", NULL },
		{ MSGID_TO_HEX, "5f3a", NULL },
		{ MSGID_TO_HEX, "-1", "ffffffff" },
		{ MSGID_TO_HEX, "-", NULL },
		{ MSGID_DEC32, "-1", "4294967295" },
		{ MSGID_DEC32, "-2147483648", "2147483648" },
		{ MSGID_DEC32, "4294967297", "1" },
		{ MSGID_DEC32, "77", "77" },
		{ MSGID_DEC32, "a", NULL },
		{ MSGID_HEX32, "1ffffffff", "ffffffff" },
		{ MSGID_DEC32_TO_HEX, "-1", "ffffffff" },
		{ MSGID_DEC32_TO_HEX, "4294967312", "10" },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		bool ok;

		buf_reset(&b);
		ok = msgid_canonical(table[i].map, str_of(table[i].id), &b);
		if (ok != (table[i].want != NULL) || (ok && !str_is(buf_view(&b), table[i].want)))
			fail_msg("row %zu, %s: %s", i, table[i].id, ok ? buf_cstr(&b) : "refused");
		if (!ok)
			assert_int_equal(b.n, 0);
	}
	buf_free(&b);
}

static void long_ids(void **state)
{
	char id[300];
	struct msgid_key k;

	memset(id, 'A', sizeof id);
	msgid_resp_key(MSGID_AUTO, str_n(id, sizeof id), &k);
	assert_int_equal(k.n, MSGID_KEY_MAX);
	memset(id, '0', sizeof id);
	msgid_resp_key(MSGID_AUTO, str_n(id, sizeof id), &k);
	assert_key(&k, "0");
	msgid_resp_key(MSGID_AUTO, STR_NONE, &k);
	assert_key(&k, "");
}

/* A configured form: one key on either side, and they meet. */
static void configured(void **state)
{
	static const struct {
		const char *form, *resp, *receipt;
		bool meet;
	} table[] = {
		{ "same", "00aB", "00aB", true },
		{ "same", "00aB", "00ab", false },
		{ "fold", "00aB", "00Ab", true },
		{ "fold", "00aB", "ab", false },
		{ "strip", "00aB", "AB", true },
		{ "strip", "0e99", "E99", true },
		{ "hex-dec", "5F3A", "24378", true },
		{ "hex-dec", "00005f3a", "0000024378", true },
		{ "hex-dec", "10", "10", false },
		{ "hex-dec", "ffffffff", "-1", true },
		{ "hex-dec", "ab12", "AB12", true }, /* not decimal after all */
		{ "dec-hex", "24378", "5F3A", true },
		{ "dec-hex", "0000024378", "00005f3a", true },
		{ "dec-hex", "10", "10", false },
		{ "wrap", "4294967297", "1", true },
		{ "wrap", "4294967295", "-1", true },
		{ "wrap", "77", "77", true },
		{ "hex-wrap", "1ffffffff", "-1", true },
		{ "hex-wrap", "10", "16", true },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		enum msgid_form form;
		struct msgid_learner l;
		struct msgid_key resp;
		struct msgid_keys keys;

		assert_true(msgid_form_by_name(str_of(table[i].form), &form));
		assert_string_equal(msgid_form_name(form), table[i].form);
		msgid_learner_init(&l, form);
		msgid_resp_key(form, str_of(table[i].resp), &resp);
		msgid_receipt_keys(&l, str_of(table[i].receipt), &keys);
		assert_int_equal(keys.n, 1);
		if (str_eq(msgid_key_str(&resp), msgid_key_str(&keys.key[0])) != table[i].meet)
			fail_msg("row %zu", i);
		assert_false(msgid_learn(&l, &keys, str_of(table[i].receipt), 0, STR_NONE));
		assert_int_equal(msgid_learner_form(&l), form);
	}
	assert_false(msgid_form_by_name(STR("hex"), &(enum msgid_form){ 0 }));
}

/* What a channel does on a receipt: looks every key up among what is awaited, then reports. */
static bool receipt(struct msgid_learner *l, const char *id, const char *const awaited[])
{
	struct msgid_keys keys;
	struct msgid_key k;
	unsigned hits = 0;
	struct str taken = STR_NONE;

	msgid_receipt_keys(l, str_of(id), &keys);
	for (unsigned i = 0; i < keys.n; i++) {
		for (const char *const *a = awaited; *a; a++) {
			msgid_resp_key(l->configured, str_of(*a), &k);
			if (str_eq(msgid_key_str(&k), msgid_key_str(&keys.key[i]))) {
				if (!hits)
					taken = str_of(*a);
				hits |= 1u << i;
			}
		}
	}
	return msgid_learn(l, &keys, str_of(id), hits, taken);
}

#define AWAITED(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void assert_form(const struct msgid_learner *l, const char *want)
{
	assert_string_equal(msgid_form_name(msgid_learner_form(l)), want);
}

static void learns(void **state)
{
	static const struct {
		const char *form, *resp[3], *receipt[3];
	} table[] = {
		{ "same", { "5f3a01", "5f3a02", "5f3a03" }, { "5f3a01", "5f3a02", "5f3a03" } },
		{ "same", { "1000000001", "1000000002", "1000000003" },
			{ "1000000001", "1000000002", "1000000003" } },
		{ "fold", { "5f3a01", "5f3a02", "5f3a03" }, { "5F3A01", "5F3A02", "5F3A03" } },
		{ "strip", { "005f3a01", "005f3a02", "005f3a03" },
			{ "5F3A01", "5F3A02", "5F3A03" } },
		{ "hex-dec", { "5f3a01", "5f3a02", "5f3a03" },
			{ "6240769", "6240770", "6240771" } },
		{ "hex-dec", { "005F3A01", "005F3A02", "005F3A03" },
			{ "0006240769", "0006240770", "0006240771" } },
		{ "dec-hex", { "6240769", "6240770", "6240771" },
			{ "5F3A01", "5F3A02", "5F3A03" } },
		{ "wrap", { "4294967295", "4294967294", "4294967293" }, { "-1", "-2", "-3" } },
		{ "hex-dec", { "ffffffff", "fffffffe", "fffffffd" }, { "-1", "-2", "-3" } },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct msgid_learner l;
		const char *const *r = table[i].receipt;
		const char *const *a = AWAITED(
			table[i].resp[0], table[i].resp[1], table[i].resp[2], "cafe99", "31337");

		msgid_learner_init(&l, MSGID_AUTO);
		assert_form(&l, "auto");
		assert_false(receipt(&l, r[0], a));
		assert_false(receipt(&l, r[1], a));
		assert_form(&l, "auto");
		if (!receipt(&l, r[2], a))
			fail_msg("row %zu: nothing learned", i);
		assert_form(&l, table[i].form);
		/* Known now: fewer keys, and the old entries are still found. */
		assert_false(receipt(&l, r[0], a));
		assert_int_equal(l.missed, 0);
	}
}

static void does_not_learn(void **state)
{
	struct msgid_learner l;

	msgid_learner_init(&l, MSGID_AUTO);
	/* Small numbers are the same in both. */
	for (int i = 0; i < 20; i++)
		assert_false(receipt(&l, "5", AWAITED("5")));
	/* Two awaited ids fit. */
	for (int i = 0; i < 20; i++)
		assert_false(receipt(&l, "16", AWAITED("16", "10")));
	/* Nothing found. */
	for (int i = 0; i < 200; i++)
		assert_false(receipt(&l, "777777", AWAITED("1", "2")));
	/* Evidence that does not agree. */
	for (int i = 0; i < 20; i++) {
		assert_false(receipt(&l, "6240769", AWAITED("5f3a01")));
		assert_false(receipt(&l, "5f3a01", AWAITED("5f3a01")));
	}
	assert_form(&l, "auto");
}

static void loosens_and_forgets(void **state)
{
	struct msgid_learner l;
	struct msgid_keys keys;

	msgid_learner_init(&l, MSGID_AUTO);
	for (int i = 0; i < MSGID_LEARN_AFTER; i++)
		receipt(&l, "5f3a01", AWAITED("5f3a01"));
	assert_form(&l, "same");
	/* Within the family what was learned gives way, and says so once. */
	assert_true(receipt(&l, "5F3A01", AWAITED("05f3a01")));
	assert_form(&l, "strip");
	assert_false(receipt(&l, "5F3A01", AWAITED("05f3a01")));
	assert_false(receipt(&l, "5f3a01", AWAITED("5f3a01")));
	assert_form(&l, "strip");
	/* Misses are normal; many in a row are not. */
	for (int i = 0; i < MSGID_FORGET_AFTER - 1; i++)
		assert_false(receipt(&l, "777777", AWAITED("1")));
	assert_false(receipt(&l, "5f3a01", AWAITED("5f3a01")));
	for (int i = 0; i < MSGID_FORGET_AFTER - 1; i++)
		assert_false(receipt(&l, "777777", AWAITED("1")));
	assert_true(receipt(&l, "777777", AWAITED("1")));
	assert_form(&l, "auto");
	/* A suspicion puts its key first. */
	receipt(&l, "6240769", AWAITED("5f3a01"));
	msgid_receipt_keys(&l, STR("6240770"), &keys);
	assert_true(keys.n > 1);
	assert_key(&keys.key[0], "5f3a02");
	assert_key(&keys.key[1], "6240770");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps),
		cmocka_unit_test(long_ids),
		cmocka_unit_test(configured),
		cmocka_unit_test(learns),
		cmocka_unit_test(does_not_learn),
		cmocka_unit_test(loosens_and_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
