/* Members found, made and written; where they can be reached; what they agreed to. */
#include "plugins/offers/member_fixture.h"

static void test_found_by_every_name(void **state)
{
	struct member *m = mf_member("1001"), *got;

	assert_int_equal(member_alias(&mf.w, m, ALIAS_CARD, STR("7700")), 0);
	assert_int_equal(member_alias(&mf.w, m, ALIAS_DEVICE, STR("dev-1")), 0);
	assert_int_equal(contact_put(&mf.w, m, CONTACT_PHONE, STR("37120000001"), STR_NONE,
				 CONTACT_VERIFIED, mf.w.now),
		0);
	for (int fresh = 0; fresh < 2; fresh++) {
		if (fresh)
			mf_unit();
		assert_int_equal(member_find(&mf.w, ALIAS_MEMBER, STR("1001"), &got), 1);
		assert_int_equal(got->id, 1);
		assert_int_equal(member_find(&mf.w, ALIAS_CARD, STR("7700"), &got), 1);
		assert_int_equal(member_find(&mf.w, ALIAS_DEVICE, STR("dev-1"), &got), 1);
		assert_int_equal(member_find(&mf.w, ALIAS_PHONE, STR("37120000001"), &got), 1);
		assert_string_equal(got->ext.p, "1001");
		assert_int_equal(member_find(&mf.w, ALIAS_EMAIL, STR("a@b.c"), &got), 0);
		assert_int_equal(member_find(&mf.w, ALIAS_GUEST, STR(""), &got), 0);
		assert_int_equal(member_load(&mf.w, 99, &got), 0);
	}
}

/* One phone of two: whoever proved it is meant; of two who did, the later one. */
static void test_phone_shared_by_two_members(void **state)
{
	struct member *a = mf_member("a"), *b = mf_member("b"), *got;
	struct str phone = STR("37120000002");
	uint64_t owners[4];

	contact_put(&mf.w, a, CONTACT_PHONE, phone, STR_NONE, CONTACT_VERIFIED, mf.w.now);
	contact_put(&mf.w, b, CONTACT_PHONE, phone, STR_NONE, 0, mf.w.now + 5);
	assert_int_equal(member_find(&mf.w, ALIAS_PHONE, phone, &got), 1);
	assert_int_equal(got->id, a->id);
	contact_put(&mf.w, b, CONTACT_PHONE, phone, STR_NONE, CONTACT_VERIFIED, mf.w.now + 9);
	assert_int_equal(member_find(&mf.w, ALIAS_PHONE, phone, &got), 1);
	assert_int_equal(got->id, b->id);
	assert_int_equal(contact_owners(&mf.w, CONTACT_PHONE, phone, owners, 4), 2);
}

static void test_columns_are_kept(void **state)
{
	struct member *m = mf_member("1");
	struct value v;

	m->first_name = STR("Homer");
	m->last_name = STR("Simpson");
	m->birthday = 229;
	m->born_known = true;
	m->born = date_of_civil(1980, 2, 29);
	m->zone = zone_find(STR("Asia/Tokyo"), NULL);
	m->zone_known = true;
	assert_int_equal(member_save(&mf.w, m), 0);
	assert_int_equal(member_set_status(&mf.w, m, STR("tier"), STR("gold")), 1);
	assert_int_equal(member_set_status(&mf.w, m, STR("tier"), STR("gold")), 0);
	assert_int_equal(member_set_status(&mf.w, m, STR("staff"), STR("yes")), 1);
	assert_int_equal(member_attrs(&mf.w, m), 0);
	m->attrs[0] = value_text(STR("Riga"));
	m->attrs[1] = value_int(3);
	assert_int_equal(member_set_attrs(&mf.w, m), 0);
	mf_unit();
	m = mf_member("1");
	v = member_value(&mf.w, m, SLOT_MEMBER + 2);
	assert_true(str_is(v.s, "gold"));
	v = member_value(&mf.w, m, SLOT_MEMBER + 3);
	assert_int_equal(v.list.n, 2);
	v = member_value(&mf.w, m, SLOT_MEMBER + 6);
	assert_true(str_is(v.s, "Homer Simpson"));
	assert_int_equal(member_value(&mf.w, m, SLOT_MEMBER + 7).i, date_of_civil(1980, 2, 29));
	assert_true(str_is(member_value(&mf.w, m, SLOT_MEMBER + 9).s, "Asia/Tokyo"));
	assert_true(str_is(member_value(&mf.w, m, SLOT_ATTR).s, "Riga"));
	assert_int_equal(member_value(&mf.w, m, SLOT_ATTR + 1).i, 3);
	assert_int_equal(member_value(&mf.w, m, SLOT_ATTR + 3).type, VALUE_MISSING);
	assert_int_equal(member_set_status(&mf.w, m, STR("staff"), STR_NONE), 1);
	assert_int_equal(member_value(&mf.w, m, SLOT_MEMBER + 3).list.n, 1);
}

static unsigned reach(struct member *m, enum media media, bool unverified, struct reach *v)
{
	int n = member_reach(&mf.w, m, media, unverified, v, 4);

	assert_true(n >= 0);
	return (unsigned)n;
}

static void test_reach_by_medium(void **state)
{
	struct member *m = mf_member("1");
	struct reach v[4];

	assert_int_equal(reach(m, MEDIA_SMS, true, v), 0);
	contact_put(&mf.w, m, CONTACT_PHONE, STR("3711"), STR_NONE, 0, 1);
	contact_put(&mf.w, m, CONTACT_PHONE, STR("3712"), STR_NONE, CONTACT_VERIFIED, 2);
	contact_put(&mf.w, m, CONTACT_PHONE, STR("3713"), STR_NONE,
		CONTACT_VERIFIED | CONTACT_LANDLINE, 3);
	assert_int_equal(reach(m, MEDIA_SMS, false, v), 1);
	assert_int_equal(reach(m, MEDIA_SMS, true, v), 2);
	assert_true(str_is(v[0].address, "3712"));
	/* Viber goes to phones, unless that number is known not to have it */
	assert_int_equal(reach(m, MEDIA_VIBER, false, v), 1);
	contact_put(&mf.w, m, CONTACT_VIBER, STR("3712"), STR_NONE, CONTACT_INVALID, 4);
	assert_int_equal(reach(m, MEDIA_VIBER, false, v), 0);
	/* a social network needs the link, and is addressed by phone */
	assert_int_equal(reach(m, MEDIA_SOCIAL, false, v), 0);
	contact_put(&mf.w, m, CONTACT_SOCIAL, STR("vk:77"), STR("vk"), CONTACT_VERIFIED, 5);
	assert_int_equal(reach(m, MEDIA_SOCIAL, false, v), 2);
	assert_true(str_is(v[0].address, "3713"));
	assert_true(str_is(v[0].contact->sub, "vk"));
	assert_int_equal(reach(m, MEDIA_RECEIPT, true, v), 0);
}

/* Three tokens, one dead: two are left (CH-4); a device's new token takes the old one's place; a
 * token follows the app to another member. */
static void test_CH_4_device_tokens(void **state)
{
	struct member *a = mf_member("a"), *b = mf_member("b");
	struct reach v[4];
	struct str service, platform, device;

	contact_put(&mf.w, a, CONTACT_DEVICE, STR("t1"), STR("fcm/android/d1"), 0, 1);
	contact_put(&mf.w, a, CONTACT_DEVICE, STR("t2"), STR("apns/ios/d2"), 0, 2);
	contact_put(&mf.w, a, CONTACT_DEVICE, STR("t3"), STR("hms/huawei/d3"), 0, 3);
	assert_int_equal(reach(a, MEDIA_PUSH, false, v), 3);
	assert_int_equal(contact_mark_invalid(&mf.w, CONTACT_DEVICE, STR("t2"), STR("gone")), 0);
	assert_int_equal(reach(a, MEDIA_PUSH, false, v), 2);
	assert_true(str_is(v[0].address, "t3"));
	contact_device(v[0].contact, &service, &platform, &device);
	assert_true(str_is(service, "hms") && str_is(platform, "huawei") && str_is(device, "d3"));
	contact_put(&mf.w, a, CONTACT_DEVICE, STR("t4"), STR("hms/huawei/d3"), 0, 4);
	assert_int_equal(reach(a, MEDIA_PUSH, false, v), 2);
	assert_true(str_is(v[0].address, "t4"));
	contact_put(&mf.w, b, CONTACT_DEVICE, STR("t4"), STR("hms/huawei/d3"), 0, 5);
	mf_unit();
	assert_int_equal(reach(mf_member("a"), MEDIA_PUSH, false, v), 1);
	assert_int_equal(reach(mf_member("b"), MEDIA_PUSH, false, v), 1);
}

static void test_addresses_have_one_form(void **state)
{
	static const struct {
		enum contact_kind kind;
		const char *in, *out;
	} cases[] = {
		{ CONTACT_PHONE, "+371 2000-0001", "37120000001" },
		{ CONTACT_PHONE, "Shop", NULL },
		{ CONTACT_PHONE, "", NULL },
		{ CONTACT_EMAIL, "Ann.B@Example.COM", "Ann.B@example.com" },
		{ CONTACT_EMAIL, "ann", NULL },
		{ CONTACT_DEVICE, "tok:en", "tok:en" },
		{ CONTACT_DEVICE, "", NULL },
	};
	struct str out;
	const char *why;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bool ok = contact_normal(
			mf.w.arena, cases[i].kind, str_of(cases[i].in), NULL, &out, &why);

		assert_int_equal(ok, cases[i].out != NULL);
		if (ok)
			assert_true(str_is(out, cases[i].out));
		else
			assert_true(*why);
	}
}

static bool agrees(struct member *m, enum row row, enum class class, enum media media)
{
	int r = member_agrees(&mf.w, m, row, class, media);

	assert_true(r >= 0);
	return r == 1;
}

static int say(struct member *m, int row, int channel, bool granted)
{
	return member_set_consent(
		&mf.w, m, row, channel, granted, STR("api"), STR("form 7"), false);
}

static void test_defaults_of_consent(void **state)
{
	static const bool want[3][CLASS_COUNT] = { /* marketing, service, legal */
		{ true, true, true }, { false, false, true }, { false, true, true }
	};
	struct member *m = mf_member("1");

	for (int d = 0; d < 3; d++) {
		mf.conf.policy.consent_default = d;
		for (unsigned c = 0; c < CLASS_COUNT; c++) {
			assert_int_equal(
				agrees(m, ROW_ADVERT, (enum class)c, MEDIA_SMS), want[d][c]);
			assert_int_equal(
				agrees(m, ROW_OFFER, (enum class)c, MEDIA_EMAIL), want[d][c]);
			assert_int_equal(
				agrees(m, ROW_DISCOUNT, (enum class)c, MEDIA_PUSH), want[d][c]);
		}
	}
}

static void test_cells_rows_and_channels(void **state)
{
	struct member *m = mf_member("1");

	assert_int_equal(say(m, ROW_ADVERT, MEDIA_SMS, true), 0);
	assert_true(agrees(m, ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS));
	assert_false(agrees(m, ROW_ADVERT, CLASS_MARKETING, MEDIA_EMAIL));
	assert_false(agrees(m, ROW_OFFER, CLASS_MARKETING, MEDIA_SMS));
	/* the whole channel off wins, even over what is legal */
	assert_int_equal(say(m, -1, MEDIA_SMS, false), 0);
	assert_false(agrees(m, ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS));
	assert_false(agrees(m, ROW_SYSTEM, CLASS_LEGAL, MEDIA_SMS));
	assert_true(agrees(m, ROW_SYSTEM, CLASS_LEGAL, MEDIA_EMAIL));
	assert_int_equal(say(m, -1, MEDIA_SMS, true), 0);
	assert_true(agrees(m, ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS));
	/* a service heeds its own row, not those of advertising */
	assert_int_equal(say(m, ROW_DISCOUNT, MEDIA_SMS, false), 0);
	assert_int_equal(say(m, ROW_OFFER, -1, false), 0);
	assert_false(agrees(m, ROW_DISCOUNT, CLASS_SERVICE, MEDIA_SMS));
	assert_true(agrees(m, ROW_OFFER, CLASS_SERVICE, MEDIA_SMS));
	assert_true(agrees(m, ROW_DISCOUNT, CLASS_LEGAL, MEDIA_SMS));
	/* a row takes its cells along */
	assert_int_equal(say(m, ROW_ADVERT, -1, false), 0);
	assert_false(agrees(m, ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS));
	/* everything off */
	assert_int_equal(say(m, -1, -1, false), 0);
	assert_false(agrees(m, ROW_DISCOUNT, CLASS_SERVICE, MEDIA_PUSH));
	assert_int_equal(mf_number("SELECT count(*) FROM of_consent_log WHERE by_whom = 'api' AND "
				   "proof = 'form 7'"),
		7);
	m->state = MEMBER_LEFT;
	assert_false(agrees(m, ROW_SYSTEM, CLASS_LEGAL, MEDIA_EMAIL));
}

/* CO-3: what is read-only is not changed, unless an operator insists. */
static void test_CO_3_read_only_cells(void **state)
{
	struct member *m = mf_member("1");
	struct consent_view v;

	assert_int_equal(say(m, ROW_SYSTEM, MEDIA_SMS, false), 1);
	assert_int_equal(say(m, ROW_SYSTEM, -1, false), 1);
	assert_int_equal(say(m, ROW_ADVERT, MEDIA_SMS, true), 0);
	assert_int_equal(member_lock_consent(&mf.w, m, ROW_ADVERT, MEDIA_SMS, true), 0);
	assert_int_equal(say(m, ROW_ADVERT, MEDIA_SMS, false), 1);
	assert_int_equal(say(m, ROW_ADVERT, -1, false), 1);
	assert_true(agrees(m, ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS));
	assert_int_equal(member_consent(&mf.w, m, ROW_ADVERT, MEDIA_SMS, &v), 0);
	assert_true(v.said && v.granted && v.read_only && !v.off);
	assert_int_equal(member_set_consent(&mf.w, m, ROW_ADVERT, MEDIA_SMS, false, STR("admin"),
				 STR_NONE, true),
		0);
	assert_false(agrees(m, ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS));
	assert_int_equal(mf_number("SELECT count(*) FROM of_consent_log"), 2);
	/* said again without a new proof: no change, however often it is imported */
	for (int i = 0; i < 3; i++)
		assert_int_equal(member_set_consent(&mf.w, m, ROW_ADVERT, MEDIA_SMS, false,
					 STR("import"), STR_NONE, true),
			0);
	assert_int_equal(mf_number("SELECT count(*) FROM of_consent_log"), 2);
	assert_int_equal(member_set_consent(&mf.w, m, ROW_ADVERT, MEDIA_SMS, false, STR("import"),
				 STR("form 8"), true),
		0);
	assert_int_equal(mf_number("SELECT count(*) FROM of_consent_log"), 3);
}

/* CO-1: what waits is taken back when its consent goes, and nothing else is. */
static void test_CO_1_what_waits_is_withdrawn(void **state)
{
	struct member *m = mf_member("1"), *other = mf_member("2");

	assert_int_equal(say(m, ROW_ADVERT, -1, true), 0);
	mf_sent(m, 11, MEDIA_SMS, ROW_ADVERT, CLASS_MARKETING, "37120");
	mf_sent(m, 12, MEDIA_EMAIL, ROW_ADVERT, CLASS_MARKETING, "a@b.c");
	mf_sent(m, 13, MEDIA_SMS, ROW_DISCOUNT, CLASS_SERVICE, "37120");
	mf_sent(other, 14, MEDIA_SMS, ROW_ADVERT, CLASS_MARKETING, "37121");
	assert_int_equal(say(m, ROW_ADVERT, MEDIA_SMS, false), 0);
	assert_int_equal(mf_number("SELECT count(*) FROM of_deed"), 1);
	assert_int_equal(mf_number("SELECT msg FROM of_deed"), 11);
	assert_int_equal(mf_number("SELECT kind FROM of_deed"), DEED_WITHDRAW);
	assert_true(mf.w.deeds);
}

static void test_addresses_are_blocked(void **state)
{
	struct member *m = mf_member("1");
	struct str phone = STR("37120000001");
	char text[200];

	contact_put(&mf.w, m, CONTACT_PHONE, phone, STR_NONE, CONTACT_VERIFIED, 1);
	mf_sent(m, 21, MEDIA_SMS, ROW_SYSTEM, CLASS_SERVICE, "37120000001");
	mf_sent(m, 22, MEDIA_SMS, ROW_SYSTEM, CLASS_SERVICE, "37129999999");
	mf_sent(m, 23, MEDIA_VIBER, ROW_SYSTEM, CLASS_SERVICE, "37120000001");
	/* what somebody else sent under policy to a number whose owner was not known */
	snprintf(text, sizeof text, "INSERT INTO of_touch VALUES(%lld, %lld, 0, 24, 5, 0, 0)",
		(long long)address_subject(phone), (long long)(mf.w.now / DUR_DAY));
	assert_int_equal(sql_exec(mf.sql, text), 0);
	assert_int_equal(address_blocked(&mf.w, phone, MEDIA_SMS, ROW_ADVERT, CLASS_MARKETING), 0);
	assert_int_equal(
		address_block(&mf.w, phone, MEDIA_SMS, -1, STR("stop"), STR("test"), STR_NONE), 0);
	assert_int_equal(address_blocked(&mf.w, phone, MEDIA_SMS, ROW_ADVERT, CLASS_MARKETING), 1);
	assert_int_equal(
		address_blocked(&mf.w, phone, MEDIA_VIBER, ROW_ADVERT, CLASS_MARKETING), 0);
	assert_int_equal(mf_number("SELECT count(*) FROM of_deed"), 2);
	assert_int_equal(mf_number("SELECT sum(msg) FROM of_deed"), 21 + 24);
	assert_int_equal(address_unblock(&mf.w, phone, MEDIA_SMS, -1), 1);
	assert_int_equal(address_unblock(&mf.w, phone, MEDIA_SMS, -1), 0);
	assert_int_equal(address_blocked(&mf.w, phone, MEDIA_SMS, ROW_ADVERT, CLASS_MARKETING), 0);
	address_block(&mf.w, phone, MEDIA_EMAIL, ROW_ADVERT, STR("complaint"), STR_NONE, STR_NONE);
	assert_int_equal(
		address_blocked(&mf.w, phone, MEDIA_EMAIL, ROW_ADVERT, CLASS_MARKETING), 1);
	assert_int_equal(address_blocked(&mf.w, phone, MEDIA_EMAIL, ROW_OFFER, CLASS_MARKETING), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, mf_begin, mf_end)
	const struct CMUnitTest tests[] = {
		T(test_found_by_every_name),
		T(test_phone_shared_by_two_members),
		T(test_columns_are_kept),
		T(test_reach_by_medium),
		T(test_CH_4_device_tokens),
		T(test_addresses_have_one_form),
		T(test_defaults_of_consent),
		T(test_cells_rows_and_channels),
		T(test_CO_3_read_only_cells),
		T(test_CO_1_what_waits_is_withdrawn),
		T(test_addresses_are_blocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
