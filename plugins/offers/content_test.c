/* What channels may carry: CH-1, the whole matrix, by function and by configuration; CH-3, texts
 * that social networks have approved.
 */
#include "plugins/offers/content.h"

#include "plugins/offers/template_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum {
	T = CONTENT_TEXT,
	I = CONTENT_IMAGE,
	B = CONTENT_BUTTON,
	H = CONTENT_HTML,
	L = CONTENT_LINK
};

/* Everything that the specification's table allows; any other of the 32 is refused. */
static bool allowed(enum media m, unsigned c)
{
	switch (m) {
	case MEDIA_SMS:
	case MEDIA_SOCIAL:
	case MEDIA_RECEIPT:
	case MEDIA_CASHIER:
		return c == T;
	case MEDIA_PUSH:
		return c == T || c == I || c == (T | I);
	case MEDIA_VIBER:
		return c == T || c == I || c == (T | B) || c == (T | I | B);
	case MEDIA_EMAIL:
		return (c & (T | H)) && !(c & B);
	default:
		return false;
	}
}

static void test_CH_1_full_matrix(void **state)
{
	for (unsigned m = 0; m < MEDIA_COUNT; m++)
		for (unsigned c = 0; c < 32; c++)
			if ((content_refusal((enum media)m, c) == NULL) !=
				allowed((enum media)m, c))
				fail_msg("%s %u", media_word((enum media)m), c);
}

/* The same through templates.d: a fault for each that is refused, at the file and line. */
static void test_CH_1_matrix_in_configuration(void **state)
{
	static const enum media media[] = { MEDIA_EMAIL, MEDIA_PUSH, MEDIA_VIBER, MEDIA_SOCIAL };

	for (size_t k = 0; k < sizeof media / sizeof *media; k++)
		for (unsigned c = 1; c < 32; c++) {
			enum media m = media[k];
			struct buf b = BUF_INIT;
			struct fix x;

			buf_printf(&b, "templates = { t = { en = {\n%s = {", media_word(m));
			if (m == MEDIA_EMAIL)
				buf_c(&b, "subject = \"s\";");
			if (m == MEDIA_SOCIAL)
				buf_c(&b, "moderated_as = \"VK-1\";");
			if (c & T)
				buf_c(&b, "text = \"Hi $Amount\";");
			/* an email has images and links within its html */
			if (c & H)
				buf_printf(&b, "html = \"<b>Hi</b>%s%s\";",
					m == MEDIA_EMAIL && (c & I)
						? "<img src='https://e.com/i.png'>"
						: "",
					m == MEDIA_EMAIL && (c & L)
						? "<a href='https://e.com'>x</a>"
						: "");
			if ((c & I) && m != MEDIA_EMAIL)
				buf_c(&b, "image = \"https://e.com/i.png\";");
			if ((c & L) && m != MEDIA_EMAIL)
				buf_c(&b, "url = \"https://e.com\";");
			if (c & B)
				buf_c(&b, "button = { text = \"b\"; url = \"https://e.com\"; };");
			buf_c(&b, "}; }; }; };");
			fix_open(&x, buf_cstr(&b));
			if ((x.f.errors == 0) != allowed(m, c))
				fail_msg("%s: %s", buf_cstr(&b), fix_faults(&x));
			if (x.f.errors)
				assert_non_null(strstr(fix_faults(&x), "t.conf:2: "));
			buf_free(&b);
			fix_close(&x);
		}
}

static void test_CH_1_faults_say_why(void **state)
{
	static const struct {
		const char *body, *want;
	} cases[] = {
		{ "viber = { image = \"https://e.com/i.png\"; button = { text = \"b\"; url = "
		  "\"https://e.com\"; }; };",
			"viber cannot have an image and a button without a text" },
		{ "viber = { text = \"x\"; image = \"https://e.com/i.png\"; };",
			"viber cannot have a text and an image without a button" },
		{ "viber = { text = \"see https://e.com\"; };",
			"\"text\" in templates.t.en.viber: viber has at most one link" },
		{ "viber = { text = \"see www.e.com\"; };", "at most one link" },
		{ "sms = \"Hi <b>you</b>\";", "\"sms\" in templates.t.en: sms carries text only" },
		{ "sms = \"Fish &amp; chips\";", "no markup" },
		{ "sms = \"a < b and b > c & d\";", "" },
		{ "sms = \"https://e.com/?a=1&b=2;\";", "" },
		{ "push = { text = \"<i>x</i>\"; };",
			"\"text\" in templates.t.en.push: push carries" },
		{ "push = { title = \"<i>x</i>\"; text = \"x\"; };", "\"title\" in" },
		{ "push = { title = \"x\"; };", "" },
		{ "push = { image = \"i.png\"; };", "must be an address" },
		{ "push = { subject = \"x\"; text = \"x\"; };", "only email has a subject" },
		{ "social = { text = \"x\"; };", "social needs moderated_as" },
		{ "social = { text = \"<b>x</b>\"; moderated_as = \"V\"; };", "no markup" },
		{ "email = { html = \"<p>x</p>\"; };", "email needs a subject" },
		{ "email = { subject = \"x\"; };", "email needs html or text" },
		{ "email = { subject = \"a\\nb\"; text = \"x\"; };", "must be one line" },
		{ "email = { subject = \"a\"; html = \"file:no-such.html\"; };",
			"cannot read no-such.html: No such file" },
		{ "sms = { text = \"x\"; };", "\"sms\"" },
		{ "sms = \"\";", "sms needs a text" },
		{ "receipt = \"<b>x</b>\";", "receipt carries text only" },
		{ "smz = \"x\";", "did you mean \"sms\"" },
		{ "", "no text for any channel" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF_INIT;
		struct fix x;

		buf_printf(&b, "templates = { t = { en = { %s }; }; };", cases[i].body);
		fix_open(&x, buf_cstr(&b));
		if (cases[i].want[0] ? !strstr(fix_faults(&x), cases[i].want) : x.f.errors != 0)
			fail_msg("%s: %s", buf_cstr(&b), fix_faults(&x));
		buf_free(&b);
		fix_close(&x);
	}
}

static void test_CH_1_misspelt_keys(void **state)
{
	struct fix x;

	fix_open(&x, "templates = { t = { en = { sms = \"x\"; }; limit = { }; }; u = { }; };");
	assert_non_null(strstr(fix_faults(&x),
		"\"limit\" is neither a key nor a language; did you mean \"limits\"?"));
	assert_non_null(strstr(fix_faults(&x), "templates.u: a template needs texts"));
	fix_close(&x);
}

/* What values make of a text at the time of sending. */
static void test_CH_1_values_do_not_smuggle_links(void **state)
{
	struct fix x;

	fix_open(&x, "templates = { t = { en = { viber = { text = \"Hi ${Member.first_name}\"; }; "
		     "}; }; };");
	assert_string_equal(fix_faults(&x), "");
	fix_set(&x, "Member.first_name", "https://evil.example");
	assert_string_equal(fix_field(&x, MEDIA_VIBER, "en", FIELD_TEXT), "(fault)");
	assert_int_equal(x.r.fault, RENDER_CONTENT);
	fix_close(&x);
}

static void test_CH_3_moderated_text_matches(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool fits;
	} cases[] = {
		{ "You have %d points that expire soon.", "You have 8 points that expire soon.",
			true },
		{ "You have %d points that expire soon.",
			"You have 1,250.50 points that expire soon.", true },
		{ "You have %d points that expire soon.", "You have 1 250 points that expire soon.",
			true },
		{ "You have %d points that expire soon.", "You have many points that expire soon.",
			false },
		{ "You have %d points that expire soon.", "You have 8 points that expire soon!",
			false },
		{ "You have %d points that expire soon.", "You have 8 points that expire soon. Now",
			false },
		{ "You have %d points", "You have  points", false },
		{ "Dear %w, hi", "Dear Homer, hi", true },
		{ "Dear %w, hi", "Dear Homer Simpson, hi", false },
		{ "Dear %*, hi", "Dear Homer Simpson, hi", true },
		{ "Dear %*, hi", "Dear Homer\nSimpson, hi", false },
		{ "Dear %*, hi", "Dear , hi", true },
		{ "100%% of %w", "100% of it", true },
		{ "", "", true },
		{ "", "x", false },
		{ "%*%*%*%*a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (content_approved(str_of(cases[i].pattern), str_of(cases[i].text)) !=
			cases[i].fits)
			fail_msg("%s / %s", cases[i].pattern, cases[i].text);
}

/* Rejected: nothing leaves; approved: it leaves, with what the network's interface wants; revoked:
 * the reason says so. */
static void test_CH_3_states(void **state)
{
	static const char *const states[] = { "approved", "draft", "submitted", "rejected",
		"revoked" };

	for (size_t i = 0; i < 5; i++) {
		struct buf b = BUF_INIT;
		struct fix x;

		buf_printf(&b,
			"templates = { t = { en = { social = { moderated_as = \"VK-7\"; text = "
			"\"You have "
			"${Amount:number} points, ${Member.first_name}.\"; }; }; samples = ( { "
			"Amount = 8; "
			"Member_first_name = \"Bob\"; } ); }; };"
			"moderation = { VK-7 = { state = \"%s\"; pattern = \"You have %%d points, "
			"%%w.\"; }; };",
			states[i]);
		fix_open(&x, buf_cstr(&b));
		buf_free(&b);
		assert_string_equal(fix_faults(&x), "");
		fix_set(&x, "Amount", "1250");
		fix_set(&x, "Member.first_name", "Bob");
		if (i == 0) {
			assert_string_equal(fix_field(&x, MEDIA_SOCIAL, "en", FIELD_TEXT),
				"You have 1,250 points, Bob.");
			assert_string_equal(
				fix_field(&x, MEDIA_SOCIAL, "en", FIELD_TEMPLATE), "VK-7");
			assert_string_equal(fix_field(&x, MEDIA_SOCIAL, "en", FIELD_PARAMS),
				"{\"Amount\":\"1,250\",\"Member.first_name\":\"Bob\"}");
			fix_clear(&x);
			fix_set(&x, "Amount", "1250");
			fix_set(&x, "Member.first_name", "Bob. Buy now");
			assert_string_equal(
				fix_field(&x, MEDIA_SOCIAL, "en", FIELD_TEXT), "(fault)");
			assert_string_equal(x.r.why, "the text is not as approved under VK-7");
		} else {
			assert_string_equal(
				fix_field(&x, MEDIA_SOCIAL, "en", FIELD_TEXT), "(fault)");
			assert_non_null(strstr(x.r.why, states[i]));
		}
		assert_int_equal(x.r.fault, RENDER_UNMODERATED);
		fix_close(&x);
	}
}

/* The text itself is not as approved: known when the configuration is loaded. */
static void test_CH_3_pattern_at_load(void **state)
{
	struct fix x;

	fix_open(&x,
		"templates = { t = { en = { social = { moderated_as = \"VK-7\"; text = \"You own "
		"${Amount:number} points.\"; }; }; }; };"
		"moderation = { VK-7 = { pattern = \"You have %d points.\"; }; VK-8 = { pattern = "
		"\"100%\"; }; };");
	assert_non_null(strstr(fix_faults(&x), "not as approved under VK-7"));
	assert_non_null(strstr(fix_faults(&x), "'%' is followed by"));
	fix_close(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_CH_1_full_matrix),
		cmocka_unit_test(test_CH_1_matrix_in_configuration),
		cmocka_unit_test(test_CH_1_faults_say_why),
		cmocka_unit_test(test_CH_1_misspelt_keys),
		cmocka_unit_test(test_CH_1_values_do_not_smuggle_links),
		cmocka_unit_test(test_CH_3_moderated_text_matches),
		cmocka_unit_test(test_CH_3_states),
		cmocka_unit_test(test_CH_3_pattern_at_load),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
