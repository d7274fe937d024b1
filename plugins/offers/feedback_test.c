/* STOP and START, unsubscribing, complaints, bounces, dead tokens. */
#include "plugins/offers/feedback.h"
#include "plugins/offers/member_fixture.h"

static void test_words(void **state)
{
	static const struct {
		const char *text;
		enum feedback_word want;
	} cases[] = {
		{ "STOP", FEEDBACK_WORD_STOP },
		{ " stop.\r\n", FEEDBACK_WORD_STOP },
		{ "«Стоп»!", FEEDBACK_WORD_STOP },
		{ "Start", FEEDBACK_WORD_START },
		{ "stop it", FEEDBACK_WORD_NONE },
		{ "stopp", FEEDBACK_WORD_NONE },
		{ "", FEEDBACK_WORD_NONE },
		{ "...", FEEDBACK_WORD_NONE },
		{ "\xff\xfe", FEEDBACK_WORD_NONE },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(feedback_word(&mf.rules, str_of(cases[i].text)), cases[i].want);
}

static bool agrees(const char *id, enum row row, enum class class, enum media media)
{
	return member_agrees(&mf.w, mf_member(id), row, class, media) == 1;
}

static void hear(const char *text)
{
	enum feedback_word word;

	assert_int_equal(feedback_mo(&mf.w, MEDIA_SMS, STR("+3712"), str_of(text), &word), 0);
	assert_int_not_equal(word, FEEDBACK_WORD_NONE);
}

/* CO-1 and CO-2: STOP takes back what waits and turns the channel off for all who have the number;
 * START puts everything as it was. */
static void test_CO_2_stop_then_start(void **state)
{
	struct member *a = mf_member("a"), *b = mf_member("b");
	struct str phone = STR("3712");

	contact_put(&mf.w, a, CONTACT_PHONE, phone, STR_NONE, CONTACT_VERIFIED, 1);
	contact_put(&mf.w, b, CONTACT_PHONE, phone, STR_NONE, 0, 1);
	member_set_consent(&mf.w, a, ROW_ADVERT, MEDIA_SMS, true, STR("t"), STR_NONE, false);
	member_set_consent(&mf.w, a, ROW_DISCOUNT, MEDIA_SMS, false, STR("t"), STR_NONE, false);
	mf_sent(a, 61, MEDIA_SMS, ROW_ADVERT, CLASS_MARKETING, "3712");
	mf_sent(b, 62, MEDIA_SMS, ROW_OFFER, CLASS_SERVICE, "3712");
	mf_sent(a, 63, MEDIA_EMAIL, ROW_ADVERT, CLASS_LEGAL, "a@b");
	hear("stop");
	assert_int_equal(
		mf_number("SELECT count(DISTINCT msg) FROM of_deed WHERE msg IN (61, 62)"), 2);
	assert_int_equal(mf_number("SELECT count(*) FROM of_deed WHERE msg = 63"), 0);
	assert_false(agrees("a", ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS));
	assert_false(agrees("b", ROW_SYSTEM, CLASS_SERVICE, MEDIA_SMS));
	assert_true(agrees("a", ROW_SYSTEM, CLASS_SERVICE, MEDIA_EMAIL));
	assert_int_equal(address_blocked(&mf.w, phone, MEDIA_SMS, ROW_SYSTEM, CLASS_LEGAL), 1);
	hear("START");
	assert_true(agrees("a", ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS));
	assert_false(agrees("a", ROW_DISCOUNT, CLASS_SERVICE, MEDIA_SMS));
	assert_true(agrees("b", ROW_SYSTEM, CLASS_SERVICE, MEDIA_SMS));
	assert_int_equal(address_blocked(&mf.w, phone, MEDIA_SMS, ROW_SYSTEM, CLASS_LEGAL), 0);
	assert_int_equal(mf_number("SELECT count(*) FROM of_consent_log WHERE by_whom = 'sms STOP' "
				   "AND proof = 'stop'"),
		2);
}

static void test_stop_from_an_unknown_number(void **state)
{
	struct str phone = STR("3712");

	hear("STOP");
	assert_int_equal(address_blocked(&mf.w, phone, MEDIA_SMS, ROW_ADVERT, CLASS_MARKETING), 1);
	hear("START");
	assert_int_equal(address_blocked(&mf.w, phone, MEDIA_SMS, ROW_ADVERT, CLASS_MARKETING), 0);
	/* START does not undo what an operator or a complaint blocked, nor does STOP hide it */
	address_block(&mf.w, phone, MEDIA_SMS, -1, STR("complaint"), STR("api"), STR_NONE);
	hear("STOP");
	hear("START");
	assert_int_equal(address_blocked(&mf.w, phone, MEDIA_SMS, ROW_ADVERT, CLASS_MARKETING), 1);
}

/* CO-4 */
static void test_CO_4_email_unsubscribe_does_not_touch_sms(void **state)
{
	struct member *a = mf_member("a");
	struct feedback f = { .kind = FEEDBACK_UNSUBSCRIBE,
		.media = MEDIA_EMAIL,
		.address = STR("a@b.example"),
		.row = ROW_ADVERT,
		.by = STR("one-click"),
		.proof = STR("message 7") };
	unsigned known;

	contact_put(&mf.w, a, CONTACT_EMAIL, f.address, STR_NONE, CONTACT_VERIFIED, 1);
	member_set_consent(&mf.w, a, ROW_ADVERT, -1, true, STR("t"), STR_NONE, false);
	member_set_consent(&mf.w, a, ROW_OFFER, -1, true, STR("t"), STR_NONE, false);
	assert_int_equal(feedback_take(&mf.w, &f, &known), 0);
	assert_int_equal(known, 1);
	assert_false(agrees("a", ROW_ADVERT, CLASS_MARKETING, MEDIA_EMAIL));
	assert_true(agrees("a", ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS));
	assert_true(agrees("a", ROW_OFFER, CLASS_MARKETING, MEDIA_EMAIL));
	assert_int_equal(
		address_blocked(&mf.w, f.address, MEDIA_EMAIL, ROW_ADVERT, CLASS_MARKETING), 0);
	f.address = STR("x@y.example"); /* nobody's */
	assert_int_equal(feedback_take(&mf.w, &f, &known), 0);
	assert_int_equal(
		address_blocked(&mf.w, f.address, MEDIA_EMAIL, ROW_ADVERT, CLASS_MARKETING), 1);
	assert_int_equal(
		address_blocked(&mf.w, f.address, MEDIA_EMAIL, ROW_SYSTEM, CLASS_LEGAL), 0);
}

/* A link without a row: no marketing any more, whatever row; receipts and codes go on. */
static void test_unsubscribed_of_all(void **state)
{
	struct member *a = mf_member("a");
	struct feedback f = { .kind = FEEDBACK_UNSUBSCRIBE,
		.media = MEDIA_EMAIL,
		.address = STR("a@b.example"),
		.row = -1,
		.by = STR("email one-click") };

	contact_put(&mf.w, a, CONTACT_EMAIL, f.address, STR_NONE, CONTACT_VERIFIED, 1);
	member_set_consent(&mf.w, a, ROW_DISCOUNT, -1, true, STR("t"), STR_NONE, false);
	member_set_consent(&mf.w, a, ROW_OFFER, -1, true, STR("t"), STR_NONE, false);
	assert_true(agrees("a", ROW_DISCOUNT, CLASS_MARKETING, MEDIA_EMAIL));
	assert_int_equal(feedback_take(&mf.w, &f, NULL), 0);
	assert_false(agrees("a", ROW_DISCOUNT, CLASS_MARKETING, MEDIA_EMAIL));
	assert_false(agrees("a", ROW_OFFER, CLASS_MARKETING, MEDIA_EMAIL));
	assert_true(agrees("a", ROW_OFFER, CLASS_MARKETING, MEDIA_SMS));
	assert_true(agrees("a", ROW_DISCOUNT, CLASS_SERVICE, MEDIA_EMAIL));
	assert_true(agrees("a", ROW_SYSTEM, CLASS_LEGAL, MEDIA_EMAIL));
	/* who agrees again is written to again */
	member_set_consent(&mf.w, a, ROW_OFFER, MEDIA_EMAIL, true, STR("t"), STR_NONE, false);
	assert_true(agrees("a", ROW_OFFER, CLASS_MARKETING, MEDIA_EMAIL));
	assert_true(agrees("a", ROW_DISCOUNT, CLASS_MARKETING, MEDIA_EMAIL));
	f.address = STR("x@y.example"); /* nobody's */
	assert_int_equal(feedback_take(&mf.w, &f, NULL), 0);
	assert_int_equal(
		address_blocked(&mf.w, f.address, MEDIA_EMAIL, ROW_ADVERT, CLASS_MARKETING), 1);
	assert_int_equal(
		address_blocked(&mf.w, f.address, MEDIA_EMAIL, ROW_OFFER, CLASS_MARKETING), 1);
	assert_int_equal(
		address_blocked(&mf.w, f.address, MEDIA_EMAIL, ROW_SYSTEM, CLASS_LEGAL), 0);
}

static void test_bounces_and_dead_tokens(void **state)
{
	struct member *a = mf_member("a");
	struct feedback f = { .kind = FEEDBACK_BOUNCE,
		.media = MEDIA_EMAIL,
		.address = STR("a@b.example"),
		.row = -1,
		.by = STR("relay") };
	struct reach v[2];

	contact_put(&mf.w, a, CONTACT_EMAIL, f.address, STR_NONE, CONTACT_VERIFIED, 1);
	contact_put(&mf.w, a, CONTACT_DEVICE, STR("t1"), STR("fcm/android/d1"), 0, 1);
	contact_put(&mf.w, a, CONTACT_DEVICE, STR("t2"), STR("fcm/android/d2"), 0, 1);
	assert_int_equal(feedback_take(&mf.w, &f, NULL), 0);
	assert_int_equal(member_reach(&mf.w, a, MEDIA_EMAIL, false, v, 2), 0);
	assert_int_equal(
		address_blocked(&mf.w, f.address, MEDIA_EMAIL, ROW_SYSTEM, CLASS_LEGAL), 1);
	assert_true(agrees("a", ROW_SYSTEM, CLASS_SERVICE, MEDIA_EMAIL)); /* they refused nothing */
	f.kind = FEEDBACK_TOKEN_DEAD;
	f.media = MEDIA_PUSH;
	f.address = STR("t2");
	assert_int_equal(feedback_take(&mf.w, &f, NULL), 0);
	assert_int_equal(member_reach(&mf.w, a, MEDIA_PUSH, false, v, 2), 1);
}

static bool blocked(struct str address, enum row row, enum class class)
{
	return address_blocked(&mf.w, address, MEDIA_EMAIL, row, class) == 1;
}

/* "Spam": no advertising any more, for whom it went to and for the address, under any row; what a
 * service or the law has to say goes on, whatever row its template names. What waits likewise. */
static void test_a_complaint_stops_advertising_alone(void **state)
{
	struct member *a = mf_member("a");
	struct feedback f = { .kind = FEEDBACK_COMPLAINT,
		.media = MEDIA_EMAIL,
		.address = STR("c@d.example"),
		.member = a->id, /* whom the message went to; the address is theirs no more */
		.row = -1,
		.by = STR("email arf") };

	member_set_consent(&mf.w, a, ROW_OFFER, -1, true, STR("t"), STR_NONE, false);
	member_set_consent(&mf.w, a, ROW_DISCOUNT, -1, true, STR("t"), STR_NONE, false);
	mf_sent(a, 71, MEDIA_EMAIL, ROW_OFFER, CLASS_MARKETING, "c@d.example");
	mf_sent(a, 72, MEDIA_EMAIL, ROW_DISCOUNT, CLASS_MARKETING, "c@d.example");
	mf_sent(a, 73, MEDIA_EMAIL, ROW_OFFER, CLASS_SERVICE, "c@d.example");
	mf_sent(a, 74, MEDIA_EMAIL, ROW_PAYMENT, CLASS_SERVICE, "c@d.example");
	mf_sent(a, 75, MEDIA_EMAIL, ROW_SYSTEM, CLASS_LEGAL, "c@d.example");
	assert_int_equal(feedback_take(&mf.w, &f, NULL), 0);
	assert_int_equal(
		mf_number("SELECT count(DISTINCT msg) FROM of_deed WHERE msg IN (71, 72)"), 2);
	assert_int_equal(mf_number("SELECT count(*) FROM of_deed WHERE msg > 72"), 0);
	for (int row = 0; row < ROW_COUNT; row++) {
		assert_false(agrees("a", (enum row)row, CLASS_MARKETING, MEDIA_EMAIL));
		assert_true(agrees("a", (enum row)row, CLASS_SERVICE, MEDIA_EMAIL));
		assert_true(agrees("a", (enum row)row, CLASS_LEGAL, MEDIA_EMAIL));
		assert_true(blocked(f.address, (enum row)row, CLASS_MARKETING));
		assert_false(blocked(f.address, (enum row)row, CLASS_SERVICE));
		assert_false(blocked(f.address, (enum row)row, CLASS_LEGAL));
	}
	assert_true(agrees("a", ROW_OFFER, CLASS_MARKETING, MEDIA_SMS));
	/* who agrees again is written to at another address, not at this one */
	member_set_consent(&mf.w, a, ROW_OFFER, MEDIA_EMAIL, true, STR("t"), STR_NONE, false);
	assert_true(agrees("a", ROW_OFFER, CLASS_MARKETING, MEDIA_EMAIL));
	assert_true(blocked(f.address, ROW_OFFER, CLASS_MARKETING));
	/* only what is dead takes nothing at all */
	f.kind = FEEDBACK_BOUNCE;
	assert_int_equal(feedback_take(&mf.w, &f, NULL), 0);
	assert_true(blocked(f.address, ROW_SYSTEM, CLASS_LEGAL));
}

/* A link of one row blocks that of an address of nobody's, and no message of a service. */
static void test_an_unsubscribed_row_of_an_address(void **state)
{
	struct feedback f = { .kind = FEEDBACK_UNSUBSCRIBE,
		.media = MEDIA_EMAIL,
		.address = STR("x@y.example"),
		.row = ROW_OFFER,
		.by = STR("email one-click") };

	assert_int_equal(feedback_take(&mf.w, &f, NULL), 0);
	assert_true(blocked(f.address, ROW_OFFER, CLASS_MARKETING));
	assert_false(blocked(f.address, ROW_ADVERT, CLASS_MARKETING));
	assert_false(blocked(f.address, ROW_DISCOUNT, CLASS_MARKETING));
	assert_false(blocked(f.address, ROW_OFFER, CLASS_SERVICE));
	/* a row of services is one that can be refused, but never to the law */
	f.row = ROW_DISCOUNT;
	assert_int_equal(feedback_take(&mf.w, &f, NULL), 0);
	assert_true(blocked(f.address, ROW_DISCOUNT, CLASS_SERVICE));
	assert_false(blocked(f.address, ROW_DISCOUNT, CLASS_LEGAL));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, mf_begin, mf_end)
	const struct CMUnitTest tests[] = {
		T(test_words),
		T(test_CO_2_stop_then_start),
		T(test_stop_from_an_unknown_number),
		T(test_CO_4_email_unsubscribe_does_not_touch_sms),
		T(test_unsubscribed_of_all),
		T(test_bounces_and_dead_tokens),
		T(test_a_complaint_stops_advertising_alone),
		T(test_an_unsubscribed_row_of_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
