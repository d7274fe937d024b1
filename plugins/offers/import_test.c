/* Members and suppressions by the thousand: good rows taken, faults named by line and field. */
#include "plugins/offers/import.h"
#include "plugins/offers/member_fixture.h"

static struct import *begin(enum import_form form, enum import_what what)
{
	struct import_conf c = { .form = form,
		.what = what,
		.rules = &mf.rules,
		.verified = true,
		.by = "import",
		.media = -1,
		.row = -1 };

	mf.rules.refs = 10;
	return import_new(&c);
}

static void apply(struct import *im, struct import_slice *s)
{
	if (!s)
		return;
	assert_int_equal(import_apply(&mf.w, s), 0);
	import_took(im, &s, false);
	mf_unit();
}

static bool run(struct import *im, struct str text, size_t piece)
{
	struct import_slice *s;

	while (text.n) {
		struct str in = str_n(text.p, text.n < piece ? text.n : piece);

		text = str_skip(text, in.n);
		while (in.n) {
			if (!import_feed(im, &in, &s))
				return false;
			apply(im, s);
		}
	}
	do {
		if (!import_end(im, &s))
			return false;
		apply(im, s);
	} while (s);
	return true;
}

static void is_report(struct import *im, const char *want)
{
	struct buf b = BUF_INIT;

	import_report(im, &b);
	assert_string_equal(buf_cstr(&b), want);
	buf_free(&b);
}

static void test_csv_of_members(void **state)
{
	static const char text[] =
		"id,phone,email,first_name,birthday,zone,status,city,children,tags,"
		"consent.Advertisement.sms\n"
		"1,+37120000001,A@B.Example,Ann,1980-02-29,Europe/Riga,gold,Riga,2,a;b,true\n"
		"2,12,,Bo,,,,,,,\n"
		"3,,,,31-12,,,,x,,\n"
		",,,Nobody,,,,,,,\n"
		"4,,,Short\n"
		"5,+37120000005,,,12-31,,,\"Riga, \"\"old\"\"\",,,no\n";

	for (size_t piece = 1; piece < 300; piece += 37) {
		struct import *im;
		struct member *m;

		mf_end(state);
		mf_begin(state);
		im = begin(IMPORT_CSV, IMPORT_MEMBERS);
		assert_true(run(im, STR(text), piece));
		is_report(im,
			"{\"rows\":6,\"created\":2,\"changed\":0,\"refused\":4,\"faults\":["
			"{\"line\":3,\"field\":\"phone\",\"text\":\"is not a phone number\"},"
			"{\"line\":4,\"field\":\"birthday\",\"text\":\"must be a date, "
			"\\\"1980-02-29\\\" or, without the year, \\\"02-29\\\"\"},"
			"{\"line\":4,\"field\":\"children\",\"text\":\"is not a good int\"},"
			"{\"line\":5,\"field\":\"\",\"text\":\"names nobody: an id, card, device, "
			"phone or email\"},"
			"{\"line\":6,\"field\":\"\",\"text\":\"has 4 fields, the first line 11\"}"
			"]}");
		m = mf_member("1");
		assert_true(str_is(m->first_name, "Ann"));
		assert_int_equal(m->birthday, 229);
		assert_true(m->zone_known);
		assert_true(str_is(member_status(&mf.w, m, "tier"), "gold"));
		assert_int_equal(member_value(&mf.w, m, SLOT_ATTR + 1).i, 2);
		assert_int_equal(member_value(&mf.w, m, SLOT_ATTR + 2).list.n, 2);
		assert_int_equal(member_contacts(&mf.w, m), 0);
		assert_true(str_is(m->contacts[1].value, "A@b.example"));
		assert_int_equal(m->contacts[1].flags, CONTACT_VERIFIED);
		assert_int_equal(
			member_agrees(&mf.w, m, ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS), 1);
		m = mf_member("5");
		assert_int_equal(m->birthday, 1231);
		assert_false(m->born_known);
		assert_true(str_is(member_value(&mf.w, m, SLOT_ATTR).s, "Riga, \"old\""));
		import_free(&im);
	}
}

static void test_unknown_column_refuses_the_whole(void **state)
{
	struct import *im = begin(IMPORT_CSV, IMPORT_MEMBERS);

	assert_false(run(im, STR("id,fist_name,cty\n1,a,b\n"), 5));
	assert_int_equal(import_refused(im)->n, 2);
	assert_string_equal(import_refused(im)->v[0].text,
		"line 1: there is no column \"fist_name\"; is \"first_name\" meant?");
	assert_string_equal(import_refused(im)->v[1].text,
		"line 1: there is no column \"cty\"; is \"city\" meant?");
	assert_int_equal(mf_number("SELECT count(*) FROM of_member"), 0);
	import_free(&im);
	im = begin(IMPORT_CSV, IMPORT_MEMBERS);
	assert_false(run(im, STR("id,city,Id\n1,a,2\n"), 5));
	assert_int_equal(import_refused(im)->n, 1);
	assert_string_equal(import_refused(im)->v[0].text, "line 1: column \"Id\" comes twice");
	import_free(&im);
}

/* As in CSV: whoever has no name would be made anew each time. */
static void test_nobody_is_refused(void **state)
{
	struct import *im = begin(IMPORT_LINES, IMPORT_MEMBERS);

	assert_true(run(im, STR("{\"first_name\":\"A\"}\n{\"card\":\"7\"}\n"), 7));
	is_report(im,
		"{\"rows\":2,\"created\":1,\"changed\":0,\"refused\":1,\"faults\":[{\"line\":1,"
		"\"field\":\"\",\"text\":\"names nobody: an id, card, device, phone or "
		"email\"}]}");
	import_free(&im);
}

static void test_lines_and_arrays(void **state)
{
	struct import *im = begin(IMPORT_LINES, IMPORT_MEMBERS);

	assert_true(run(im,
		STR("{\"id\":\"1\",\"attributes\":{\"city\":\"Riga\",\"tags\":[\"x\"]}}\n\n"
		    "{\"id\":\"1\",\"first_nam\":\"A\"}\n{\"id\":2,\n"
		    "{\"id\":\"1\",\"attributes\":{\"city\":null,\"children\":2.5}}\n"
		    "{\"id\":\"1\",\"last_name\":\"Z\",\"attributes\":{\"city\":null}}"),
		7));
	is_report(im,
		"{\"rows\":5,\"created\":1,\"changed\":1,\"refused\":3,\"faults\":[{\"line\":3,"
		"\"field\":\"first_nam\",\"text\":\"is not known here; did you mean "
		"\\\"first_name\\\"?\"},"
		"{\"line\":4,\"field\":\"\",\"text\":\"is not JSON: line 1, column 8 (byte 8): "
		"string or '}' expected near end of file\"},"
		"{\"line\":5,\"field\":\"attributes/children\",\"text\":\"is not a good int\"}]}");
	assert_int_equal(member_value(&mf.w, mf_member("1"), SLOT_ATTR).type, VALUE_MISSING);
	assert_int_equal(member_value(&mf.w, mf_member("1"), SLOT_ATTR + 2).list.n, 1);
	import_free(&im);

	im = begin(IMPORT_JSON, IMPORT_MEMBERS);
	assert_true(run(im, STR("[{\"id\":\"7\"},{\"zone\":\"Nowhere/X\"},{\"id\":\"8\"}]"), 3));
	is_report(im,
		"{\"rows\":3,\"created\":2,\"changed\":0,\"refused\":1,\"faults\":[{\"item\":2,"
		"\"field\":\"zone\",\"text\":\"is not a time zone, \\\"Europe/Riga\\\" or "
		"\\\"+05:30\\\"\"}]}");
	import_free(&im);
	im = begin(IMPORT_JSON, IMPORT_MEMBERS);
	assert_false(run(im, STR("[{\"id\":\"9\""), 30));
	assert_non_null(import_refused(im));
	import_free(&im);
}

/* Rows of one slice may be about one person; a customer known by card joins. */
static void test_the_same_again_changes(void **state)
{
	struct import *im = begin(IMPORT_CSV, IMPORT_MEMBERS);
	struct member *m;

	assert_true(run(im,
		STR("id,card,phone,state\n,77,,customer\n1,77,+37120000001,\n1,,+37120000002,\n"
		    "1,77,+37120000001,\n"),
		1000));
	assert_int_equal(import_counts(im).created, 1);
	assert_int_equal(import_counts(im).changed, 3);
	m = mf_member("1");
	assert_int_equal(member_contacts(&mf.w, m), 0);
	assert_int_equal(m->contacts_n, 2);
	assert_int_equal(mf_number("SELECT count(*) FROM of_member"), 1);
	import_free(&im);
}

/* CO-5 in small: an opt-out list comes while messages wait; each is taken back. */
static void test_CO_5_opt_out_list(void **state)
{
	struct import *im = begin(IMPORT_CSV, IMPORT_SUPPRESSIONS);
	struct member *m = mf_member("1");
	struct buf text = BUF_INIT;

	contact_put(&mf.w, m, CONTACT_PHONE, STR("37120000500"), STR_NONE, CONTACT_VERIFIED, 1);
	mf_sent(m, 71, MEDIA_SMS, ROW_ADVERT, CLASS_MARKETING, "37120000500");
	mf_sent(m, 72, MEDIA_EMAIL, ROW_ADVERT, CLASS_MARKETING, "a@b");
	buf_c(&text, "address,media,row,reason,proof\n");
	for (int i = 0; i < 1000; i++)
		buf_printf(&text, "+3712000%04d,sms,Advertisement,list 7,letter %d\n", i, i);
	buf_c(&text,
		"x@y.example,email,,,\nx@y.example,fax,,,\n+37120000001,sms,advertisement,,\n");
	assert_true(run(im, buf_view(&text), 4096));
	assert_int_equal(import_counts(im).created, 1001);
	assert_int_equal(import_counts(im).changed, 1); /* one that was new a moment ago */
	assert_int_equal(import_counts(im).refused, 1);
	assert_int_equal(
		mf_number("SELECT count(*) FROM of_block WHERE proof LIKE 'letter %'"), 999);
	assert_int_equal(mf_number("SELECT count(*) FROM of_block"), 1001);
	assert_int_equal(mf_number("SELECT sum(msg) FROM of_deed"), 71);
	assert_int_equal(
		address_blocked(&mf.w, STR("37120000500"), MEDIA_SMS, ROW_ADVERT, CLASS_MARKETING),
		1);
	assert_int_equal(
		address_blocked(&mf.w, STR("37120000500"), MEDIA_SMS, ROW_SYSTEM, CLASS_SERVICE),
		0);
	buf_free(&text);
	import_free(&im);
}

/* PUT takes away what it does not say; PATCH does not. */
static void test_whole_and_given(void **state)
{
	struct member_reader how = { .rules = &mf.rules, .verified = true };
	struct json_faults f = { 0 };
	struct member_input in;
	struct member *m = NULL;
	bool created;
	json_t *v =
		json_read(STR("{\"id\":\"1\",\"first_name\":\"A\",\"phone\":\"+37120000001\","
			      "\"cards\":[\"c1\",\"c2\"],\"attributes\":{\"city\":\"Riga\"},"
			      "\"status\":\"gold\",\"consent\":{\"Advertisement\":{\"sms\":true}"
			      "}}"),
			&f);
	struct arena *own = arena_new(); /* outlives units */
	struct buf b = BUF_INIT;

	assert_true(member_input_read(v, &how, own, &in, &f));
	assert_int_equal(member_apply(&mf.w, &in, APPLY_WHOLE, STR("api"), NULL, &m, &created), 0);
	assert_true(created);
	json_decref(v);
	mf_unit();
	v = json_read(STR("{\"last_name\":\"B\",\"cards\":[\"c2\"]}"), &f);
	assert_true(member_input_read(v, &how, own, &in, &f));
	m = mf_member("1");
	assert_int_equal(member_apply(&mf.w, &in, APPLY_GIVEN, STR("api"), m, &m, &created), 0);
	assert_false(created);
	mf_unit();
	m = mf_member("1");
	assert_int_equal(member_show(&mf.w, m, &b), 0);
	assert_string_equal(buf_cstr(&b),
		"{\"id\":\"1\",\"number\":\"1\",\"state\":\"registered\",\"first_name\":\"A\","
		"\"last_name\":\"B\",\"statuses\":{\"tier\":\"gold\"},\"attributes\":{\"city\":"
		"\"Riga\"},\"cards\":[\"c1\",\"c2\"],\"contacts\":[{\"kind\":\"phone\",\"value\":"
		"\"37120000001\",\"verified\":true,\"valid\":true,\"since\":"
		"\"2026-01-01T00:00:00.000Z\"}],\"balances\":[],\"lots\":[],\"created\":\"2026-01-"
		"01T00:00:00.000Z\","
		"\"updated\":\"2026-01-01T00:00:00.000Z\"}");
	assert_int_equal(member_apply(&mf.w, &in, APPLY_WHOLE, STR("api"), m, &m, &created), 0);
	mf_unit();
	m = mf_member("1");
	b.n = 0;
	assert_int_equal(member_show(&mf.w, m, &b), 0);
	assert_string_equal(buf_cstr(&b),
		"{\"id\":\"1\",\"number\":\"1\",\"state\":\"registered\",\"last_name\":\"B\","
		"\"cards\":[\"c2\"],\"contacts\":[],\"balances\":[],\"lots\":[],\"created\":\"2026-"
		"01-01T00:00:00.000Z\","
		"\"updated\":\"2026-01-01T00:00:00.000Z\"}");
	assert_int_equal(/* what they agreed to is not a field */
		member_agrees(&mf.w, m, ROW_ADVERT, CLASS_MARKETING, MEDIA_SMS), 1);
	json_decref(v);
	arena_free(&own);
	buf_free(&b);
}

/* Slices of it may be in the store already: what came before the fault is taken, and told. */
static void test_an_array_that_breaks_off(void **state)
{
	static const char *const tails[] = { ",{\"id\":", "] x", "," };

	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
		struct import *im = begin(IMPORT_JSON, IMPORT_MEMBERS);
		struct buf b = BUF_INIT;
		struct import_counts c;

		buf_char(&b, '[');
		for (int k = 0; k < 3000; k++)
			buf_printf(&b, "%s{\"id\":\"%d\"}", k ? "," : "", k);
		buf_c(&b, tails[i]);
		assert_true(run(im, buf_view(&b), 1000));
		assert_null(import_refused(im));
		c = import_counts(im);
		assert_int_equal(c.rows, 3001);
		assert_int_equal(c.created + c.changed, 3000);
		assert_int_equal(c.refused, 1);
		buf_reset(&b);
		import_report(im, &b);
		assert_non_null(strstr(buf_cstr(&b), "\"item\":3001"));
		buf_free(&b);
		import_free(&im);
	}
}

/* However many rows before it are refused: who sent it must hear that there was more. */
static void test_the_break_is_told_among_many_faults(void **state)
{
	struct import *im = begin(IMPORT_JSON, IMPORT_MEMBERS);
	struct buf b = BUF_INIT;

	buf_char(&b, '[');
	for (int k = 0; k <= IMPORT_FAULTS_MOST; k++)
		buf_c(&b, "{},");
	buf_c(&b, "{");
	assert_true(run(im, buf_view(&b), 1000));
	assert_int_equal(import_counts(im).refused, IMPORT_FAULTS_MOST + 2);
	buf_reset(&b);
	import_report(im, &b);
	assert_non_null(strstr(buf_cstr(&b), "cut off"));
	buf_free(&b);
	import_free(&im);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, mf_begin, mf_end)
	const struct CMUnitTest tests[] = {
		T(test_an_array_that_breaks_off),
		T(test_the_break_is_told_among_many_faults),
		T(test_csv_of_members),
		T(test_unknown_column_refuses_the_whole),
		T(test_nobody_is_refused),
		T(test_lines_and_arrays),
		T(test_the_same_again_changes),
		T(test_CO_5_opt_out_list),
		T(test_whole_and_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
