/* Metavariables: the seeds' texts byte for byte, Russian forms, escaping by sink, faults with their
 * place, missing values, dollars, parts of an SMS. The numbers are the specification's.
 */
#include "plugins/offers/template_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* ---- MV-1 ---- */

static void test_MV_1_seed_texts(void **state)
{
	struct fix x;

	fix_open(&x, "");
	fix_set(&x, "Amount", "8.00");
	fix_set(&x, "Discount", "8.00");
	fix_set(&x, "Currency", "EUR");
	fix_set(&x, "Member.full_name", "Homer Simpson");
	fix_set(&x, "Balances", "300 bonus, 52 stars");
	assert_string_equal(
		fix_text(&x, "Your discount amount was $Amount $Currency.", MEDIA_RECEIPT, "en"),
		"Your discount amount was 8 EUR.");
	assert_string_equal(fix_text(&x, "Your discount amount was ${Discount:money} ${Currency}.",
				    MEDIA_RECEIPT, "en"),
		"Your discount amount was 8 EUR.");
	assert_string_equal(fix_text(&x,
				    "Dear ${Member.full_name}, your bonus account balances are: "
				    "${Balances:list(', ')}.",
				    MEDIA_SMS, "en"),
		"Dear Homer Simpson, your bonus account balances are: 300 bonus points, 52 stars.");
	fix_clear(&x);
	fix_set(&x, "Amount", "120");
	assert_string_equal(
		fix_text(&x, "Your $Amount bonus points will activate in 1 day.", MEDIA_SMS, "en"),
		"Your 120 bonus points will activate in 1 day.");
	assert_string_equal(
		fix_text(&x, "Your $Amount bonus points will expire in 3 days.", MEDIA_SMS, "en"),
		"Your 120 bonus points will expire in 3 days.");
	assert_string_equal(fix_faults(&x), "");
	fix_close(&x);
}

/* 8.00 is 8, 8.50 is 8.50; decimals by the currency, groups by the language. */
static void test_MV_1_money_and_numbers(void **state)
{
	static const struct {
		const char *text, *amount, *currency, *language, *want;
	} cases[] = {
		{ "${Amount:money}", "8.00", "EUR", "en", "8" },
		{ "${Amount:money}", "8.5", "EUR", "en", "8.50" },
		{ "${Amount:money}", "1234.5", "EUR", "en", "1,234.50" },
		{ "${Amount:money}", "1234.5", "EUR", "de", "1.234,50" },
		{ "${Amount:money}", "1234.5", "EUR", "ru", "1 234,50" },
		{ "${Amount:money}", "1234.5", "EUR", "pl", "1234,50" },
		{ "${Amount:money}", "12345.5", "EUR", "pl", "12 345,50" },
		{ "${Amount:money}", "1234567.89", "EUR", "en", "1,234,567.89" },
		{ "${Amount:money}", "-8.5", "EUR", "en", "-8.50" },
		{ "${Amount:money}", "0.005", "EUR", "en", "0.01" },
		{ "${Amount:number}", "8", "EUR", "en", "8.00" },
		{ "${Amount:number}", "1250.5", "bonus", "en", "1,251" },
		{ "${Amount:number}", "1250.4", "bonus", "en", "1,250" },
		{ "${Amount:number}", "1250.5", "miles", "en", "1,250.50" },
		{ "${Amount:number}", "1250.5", "", "en", "1,250.5" },
		{ "$Amount", "1250.5", "", "en", "1250.5" },
		{ "$Amount", "1250", "", "en", "1250" },
		{ "$Amount", "8.5", "EUR", "en", "8.50" },
		{ "$Amount $Currency", "8.5", "bonus", "en", "9 pts" },
		{ "$Amount $Currency", "8", "bonus", "ru", "8 б." },
		{ "${Currency.of(Amount)}", "1", "bonus", "en", "bonus point" },
		{ "${Currency.of(Amount)}", "1.4", "bonus", "en", "bonus point" },
		{ "${Currency.of(Amount)}", "1.5", "miles", "en", "miles" },
		{ "${Currency.of(Amount):upper}", "2", "stars", "en", "STARS" },
		{ "${Currency.of(Amount)}", "2", "EUR", "en", "EUR" },
	};
	struct fix x;

	fix_open(&x, "");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		fix_clear(&x);
		fix_set(&x, "Amount", cases[i].amount);
		fix_set(&x, "Currency", cases[i].currency);
		assert_string_equal(
			fix_text(&x, cases[i].text, MEDIA_SMS, cases[i].language), cases[i].want);
	}
	assert_string_equal(fix_faults(&x), "");
	fix_close(&x);
}

static void test_MV_1_lists(void **state)
{
	static const struct {
		const char *text, *balances, *want;
	} cases[] = {
		{ "$Balances", "300 bonus, 1 stars", "300 bonus points, 1 star" },
		{ "${Balances:list('; ')}", "1 bonus, 2 stars, 3 EUR",
			"1 bonus point; 2 stars; 3 EUR" },
		{ "${Balances:list(', ', ' and ')}", "1 bonus, 2 stars, 3 EUR",
			"1 bonus point, 2 stars and 3 EUR" },
		{ "${Balances:list(', ', ' and ')}", "1 bonus", "1 bonus point" },
		{ "${Balances:list(', ', skip_zero)}", "0 bonus, 2 stars", "2 stars" },
		{ "${Balances:list(', ', skip_zero)|nothing}", "0 bonus, 0 stars", "nothing" },
		{ "${Balances:upper}", "1 bonus", "1 BONUS POINT" },
		{ "${Balances}", "1250 bonus, 8.5 EUR", "1,250 bonus points, 8.50 EUR" },
		{ "${Balance(bonus)}", "1250 bonus, 8.5 EUR", "1250" },
		{ "${Balance(bonus):number}", "1250 bonus, 8.5 EUR", "1,250" },
		{ "${Balance(stars)}", "1250 bonus", "0" },
		{ "${Balance(stars)|none}", "", "none" },
		{ "${Balance(bonus)} ${Currency.of(Balance(bonus))}", "1 bonus", "1 bonus point" },
		{ "${Items:list(' + ')}", "", "milk + bread" },
	};
	struct fix x;

	fix_open(&x, "");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		fix_clear(&x);
		fix_set(&x, "Balances", cases[i].balances);
		fix_set(&x, "Items", "milk, bread");
		assert_string_equal(fix_text(&x, cases[i].text, MEDIA_SMS, "en"), cases[i].want);
	}
	assert_string_equal(fix_faults(&x), "");
	fix_close(&x);
}

static void test_MV_1_dates(void **state)
{
	static const struct {
		const char *text, *language, *zone, *want;
	} cases[] = {
		{ "${Date:long}", "en", "UTC", "March 1, 2026" },
		{ "${Date:date}", "en", "UTC", "Mar 1, 2026" },
		{ "$Date", "en-GB", "UTC", "1 Mar 2026" },
		{ "${Date:short}", "de", "UTC", "01.03.2026" },
		{ "${Date:long}", "ru", "UTC", "1 марта 2026 г." },
		{ "${Date:long}", "lv", "UTC", "2026. gada 1. marts" },
		{ "${Date:long}", "lt", "UTC", "2026 m. kovo 1 d." },
		{ "${Date:long}", "ja", "UTC", "2026年3月1日" },
		{ "${Event.occurred_at:date}", "en", "UTC", "Mar 1, 2026" },
		{ "${Event.occurred_at:time}", "en", "UTC", "10:05 PM" },
		{ "${Event.occurred_at:time}", "de", "UTC", "22:05" },
		{ "${Event.occurred_at:date} ${Event.occurred_at:time}", "de", "Europe/Riga",
			"02.03.2026 00:05" },
		{ "${Event.occurred_at:time}", "de", "+05:30", "03:35" },
		{ "${Event.occurred_at}", "de", "UTC", "01.03.2026 22:05" },
	};
	struct fix x;

	fix_open(&x, "");
	fix_set(&x, "Date", "2026-03-01");
	fix_set(&x, "Event.occurred_at", "2026-03-01T22:05:00Z");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		x.reader.zone = zone_find(str_of(cases[i].zone), NULL);
		assert_non_null(x.reader.zone);
		assert_string_equal(
			fix_text(&x, cases[i].text, MEDIA_SMS, cases[i].language), cases[i].want);
	}
	fix_close(&x);
}

/* ---- MV-2 ---- */

static void test_MV_2_russian_forms(void **state)
{
	static const char *const cases[][2] = { { "1", "1 балл" }, { "2", "2 балла" },
		{ "5", "5 баллов" }, { "21", "21 балл" }, { "11", "11 баллов" },
		{ "0", "0 баллов" }, { "112", "112 баллов" }, { "1003", "1003 балла" },
		{ "1.5", "1.5 балла" } };
	struct fix x;

	fix_open(&x, "");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		fix_clear(&x);
		fix_set(&x, "Amount", cases[i][0]);
		if (i < 8) {
			fix_set(&x, "Currency", "bonus");
			assert_string_equal(
				fix_text(&x, "$Amount ${Currency.of(Amount)}", MEDIA_SMS, "ru"),
				cases[i][1]);
		}
		assert_string_equal(
			fix_text(&x, "${Amount:plural(балл,балла,баллов)}", MEDIA_SMS, "ru"),
			strchr(cases[i][1], ' ') + 1);
	}
	assert_string_equal(fix_faults(&x), "");
	fix_close(&x);
}

static void test_MV_2_missing_forms_are_faults(void **state)
{
	struct fix x;

	fix_open(&x, "currencies = { p = { other = \"points\"; ru = { one = \"балл\"; }; }; };\n"
		     "templates = { t = { ru = { sms = \"${Days:plural(день,дней)}\"; }; }; };");
	assert_non_null(strstr(fix_faults(&x),
		"currencies.p.ru: the language \"ru\" needs the forms \"few\", \"many\" as well"));
	assert_non_null(
		strstr(fix_faults(&x), "\"sms\" in templates.t.ru: column 1: \"plural\" in the "
				       "language \"ru\" takes 3 forms (one, few, many), not 2"));
	fix_close(&x);
}

/* ---- MV-3 ---- */

static void test_MV_3_hostile_name_in_every_sink(void **state)
{
	struct fix x;
	const struct str name = STR("<b>$Amount</b>\r\nBcc: x");

	fix_open(&x,
		"templates = { t = { en = {"
		"sms = \"Hi ${Member.first_name}!\";"
		"email = { subject = \"Hi ${Member.first_name}\"; html = \"<p title=\\\"${Member."
		"first_name}\\\">Hi ${Member.first_name} <a href='https://e.com/?n=${Member.first_"
		"name}'>x</a></p>\"; };"
		"push = { title = \"Hi ${Member.first_name}\"; text = \"Hi ${Member.first_name}\"; "
		"};"
		"viber = { text = \"Hi\"; button = { text = \"Go ${Member.first_name}\"; url = "
		"\"https://e.com/?n=${Member.first_name}\"; }; };"
		"}; }; };");
	assert_string_equal(fix_faults(&x), "");
	fix_raw(&x, FIX_FIRST, name);
	fix_set(&x, "Amount", "8");
	assert_string_equal(
		fix_field(&x, MEDIA_SMS, "en", FIELD_TEXT), "Hi <b>$Amount</b> Bcc: x!");
	assert_string_equal(
		fix_field(&x, MEDIA_EMAIL, "en", FIELD_SUBJECT), "Hi <b>$Amount</b> Bcc: x");
	assert_string_equal(fix_field(&x, MEDIA_EMAIL, "en", FIELD_HTML),
		"<p title=\"&lt;b&gt;$Amount&lt;/b&gt; Bcc: x\">Hi &lt;b&gt;$Amount&lt;/b&gt; Bcc: "
		"x "
		"<a href='https://e.com/?n=%3Cb%3E%24Amount%3C%2Fb%3E%20Bcc%3A%20x'>x</a></p>");
	assert_string_equal(fix_field(&x, MEDIA_EMAIL, "en", FIELD_TEXT),
		"Hi <b>$Amount</b> Bcc: x x "
		"(https://e.com/?n=%3Cb%3E%24Amount%3C%2Fb%3E%20Bcc%3A%20x)");
	assert_string_equal(
		fix_field(&x, MEDIA_PUSH, "en", FIELD_TITLE), "Hi <b>$Amount</b> Bcc: x");
	assert_string_equal(fix_field(&x, MEDIA_VIBER, "en", FIELD_BUTTON),
		"{\"text\":\"Go <b>$Amount</b> Bcc: "
		"x\",\"url\":\"https://e.com/?n=%3Cb%3E%24Amount%3C%2Fb%3E%20Bcc%3A%20x\"}");
	fix_close(&x);
}

static void test_MV_3_places_of_html(void **state)
{
	static const struct {
		const char *html, *want; /* the page, or a part of the fault */
	} cases[] = {
		{ "<p>${Member.first_name}</p>", "<p>a&lt;&quot;&#39;</p>" },
		{ "<p class=\"${Member.first_name}\">", "<p class=\"a&lt;&quot;&#39;\">" },
		{ "<p class = '${Member.first_name}'>", "<p class = 'a&lt;&quot;&#39;'>" },
		{ "<a href=\"https://e.com/${Member.first_name}\">x</a>",
			"<a href=\"https://e.com/a%3C%22%27\">x</a>" },
		{ "<a href=\"${Unsubscribe}\">x</a>",
			"<a href=\"https://e.com/u?a=1&amp;b\">x</a>" },
		{ "<a href=\"${Member.first_name}\">x</a>", "is no address" },
		{ "<p class=${Member.first_name}>", "needs quotes" },
		{ "<p ${Member.first_name}>", "not within a tag" },
		{ "<p onclick=\"f('${Member.first_name}')\">", "cannot be made safe" },
		{ "<p style=\"color:${Member.first_name}\">", "cannot be made safe" },
		{ "<script>var a='${Member.first_name}';</script>", "script or style" },
		{ "<style>p{}</style>${Member.first_name}", "<style>p{}</style>a&lt;&quot;&#39;" },
		{ "<!-- ${Member.first_name} -->", "comment" },
		{ "<!-- x -->${Member.first_name}", "<!-- x -->a&lt;&quot;&#39;" },
		{ "<!doctype html>${Member.first_name}", "<!doctype html>a&lt;&quot;&#39;" },
		{ "1 < 2 ${Member.first_name}", "1 < 2 a&lt;&quot;&#39;" },
		{ "<p class=\"", "ends within a tag" },
		{ "${Member.first_name:html}", "may hold what others wrote" },
		{ "${Program.name:html}", "<i>Shop</i>" },
		{ "<p class=\"${Program.name:html}\">", "\":html\" stands in the text" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF_INIT;
		struct fix x;
		const char *got;

		buf_c(&b, "templates = { t = { en = { email = { subject = \"s\"; html = \"");
		for (const char *p = cases[i].html; *p; p++)
			buf_printf(&b, "%s%c", *p == '"' ? "\\" : "", *p);
		buf_c(&b, "\"; }; }; }; };");
		fix_open(&x, buf_cstr(&b));
		buf_free(&b);
		fix_raw(&x, FIX_FIRST, STR("a<\"'"));
		fix_set(&x, "Unsubscribe", "https://e.com/u?a=1&b");
		fix_set(&x, "Program.name", "<i>Shop</i>");
		got = fix_field(&x, MEDIA_EMAIL, "en", FIELD_HTML);
		if (strcmp(got, cases[i].want) != 0 && !strstr(fix_faults(&x), cases[i].want) &&
			!strstr(x.r.why, cases[i].want))
			fail_msg("%s: %s %s %s", cases[i].html, got, fix_faults(&x), x.r.why);
		fix_close(&x);
	}
}

static void test_MV_3_text_alternative(void **state)
{
	struct fix x;

	fix_open(&x,
		"templates = { t = { en = { email = { subject = \"s\"; html = "
		"\"<html><head><title>T</title><style>p {}</style></head><body><h1>Dear "
		"${Member.first_name|friend}</h1><p>Your&nbsp;points &amp; more:<br>$Amount</p>"
		"<ul><li>one</li><li>two</li></ul>"
		"<a href=\\\"https://e.com/?a=1&amp;m=${Member.id}\\\">Spend</a>"
		"<img src='https://e.com/i.png' alt='A picture'> &#36;5</body></html>\"; }; }; }; "
		"};");
	assert_string_equal(fix_faults(&x), "");
	fix_set(&x, "Amount", "8");
	fix_set(&x, "Member.id", "a b");
	assert_string_equal(fix_field(&x, MEDIA_EMAIL, "en", FIELD_TEXT),
		"Dear friend\n\nYour points & more:\n8\n\n- one\n- two\n\nSpend "
		"(https://e.com/?a=1&m=a%20b)A picture $5");
	fix_close(&x);
}

/* ---- MV-4 ---- */

static void test_MV_4_unknown_names_are_faults(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "Your $Amont points",
			"column 6: unknown name \"Amont\"; did you mean \"Amount\"?" },
		{ "é ${Member.frist_name}",
			"column 3: unknown name \"Member.frist_name\"; did you mean" },
		{ "a\\nb $Xyzzy", "line 2, column 3 of the text: unknown name \"Xyzzy\"" },
		{ "$Member.first_name", "a name with a dot is written in braces" },
		{ "${Balance(bonos)}", "unknown currency \"bonos\"; did you mean \"bonus\"?" },
		{ "${Amount:nmber}", "unknown format \"nmber\"; did you mean \"number\"?" },
		{ "${Member.first_name:number}", "\":number\" wants a number" },
		{ "${Amount:long}", "\":long\" wants a date" },
		{ "${Amount", "'}' is missing" },
		{ "${Amount|x", "'}' is missing" },
		{ "${Amount x}", "should stand here" },
		{ "${}", "a name should stand" },
		{ "${Amount:plural('a}", "a quote is not closed" },
		{ "${Amount:plural(a,b,c)}", "takes 2 forms (one, other), not 3" },
		{ "${Currency.of(Member.id)}", "takes an amount" },
		{ "${Amount(1)}", "takes no arguments" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF_INIT;
		struct fix x;

		buf_printf(&b, "templates = { t = {\n en = {\n  sms = \"%s\"; }; }; };",
			cases[i].text);
		fix_open(&x, buf_cstr(&b));
		buf_free(&b);
		if (!strstr(fix_faults(&x), cases[i].want))
			fail_msg("%s: %s", cases[i].text, fix_faults(&x));
		assert_int_equal(x.f.errors, 1);
		assert_non_null(strstr(fix_faults(&x), "t.conf:3: \"sms\" in templates.t.en: "));
		assert_null(template_find(x.all, STR("t")));
		fix_close(&x);
	}
}

/* A template is fine by itself; what uses it has no such value. */
static void test_MV_4_names_are_tied_to_the_trigger(void **state)
{
	static const struct name registration[] = { { "event.occurred_at", VALUE_DATETIME,
		VALUE_MISSING, FIX_AT, NULL } };
	static const struct scope members = { fix_names, 3, NULL };
	const struct scope trigger = { registration, 1, &members };
	struct conf_where at = { "o.conf", 9, "offer \"come-back\"", NULL, 0 };
	const struct template *t;
	struct fix x;

	fix_open(&x,
		"templates = { t = { en = { sms = \"$Days ${Member.id} $Balances ${Amount|0}\"; "
		"push = { text = \"hi\"; }; }; }; };");
	t = template_find(x.all, STR("t"));
	assert_non_null(t);
	template_check_names(t, MEDIA_BIT(MEDIA_PUSH), metavar_of_trigger(x.a, &trigger, 0),
		"step 2", &at, "send", &x.f);
	assert_string_equal(fix_faults(&x), "");
	template_check_names(t, MEDIA_BIT(MEDIA_SMS), metavar_of_trigger(x.a, &trigger, 0),
		"step 2", &at, "send", &x.f);
	assert_non_null(strstr(fix_faults(&x),
		"o.conf:9: \"send\" in offer \"come-back\": step 2: the text \"$Days ${Member.id} "
		"$Balances ${Amount|0}\" uses \"Days\", which this trigger does not have"));
	assert_int_equal(x.f.errors, 1);
	template_check_names(t, MEDIA_BIT(MEDIA_SMS),
		metavar_of_trigger(x.a, &trigger, 1u << METAVAR_DAYS), "task", &at, "send", &x.f);
	assert_int_equal(x.f.errors, 1);
	assert_true(template_uses(t, METAVAR_SLOT(METAVAR_BALANCES)));
	assert_true(template_uses(t, METAVAR_SLOT(METAVAR_CURRENCY)));
	assert_false(template_uses(t, METAVAR_SLOT(METAVAR_DATE)));
	assert_false(template_uses(t, FIX_FIRST));
	fix_close(&x);
}

/* ---- MV-5 ---- */

static void test_MV_5_empty_first_name(void **state)
{
	static const char *const policies[] = { "skip", "fail", "send-with-fallback" };

	for (unsigned i = 0; i < 3; i++) {
		struct buf b = BUF_INIT;
		struct fix x;

		buf_printf(&b,
			"templates = { t = { en = { sms = \"${Member.first_name|Hello}, hi\"; "
			"receipt = \"Dear ${Member.first_name}!\"; }; missing = \"%s\"; }; };",
			policies[i]);
		fix_open(&x, buf_cstr(&b));
		buf_free(&b);
		assert_string_equal(fix_faults(&x), "");
		assert_string_equal(fix_field(&x, MEDIA_SMS, "en", FIELD_TEXT), "Hello, hi");
		fix_raw(&x, FIX_FIRST, STR("  \n"));
		assert_string_equal(fix_field(&x, MEDIA_SMS, "en", FIELD_TEXT), "Hello, hi");
		if (i == 2) {
			assert_string_equal(
				fix_field(&x, MEDIA_RECEIPT, "en", FIELD_TEXT), "Dear !");
		} else {
			assert_string_equal(
				fix_field(&x, MEDIA_RECEIPT, "en", FIELD_TEXT), "(fault)");
			assert_int_equal(x.r.fault, i ? RENDER_MISSING_FAIL : RENDER_MISSING);
			assert_string_equal(x.r.why, "missing ${Member.first_name}");
		}
		fix_close(&x);
	}
}

/* ---- MV-6 ---- */

static void test_MV_6_dollars(void **state)
{
	static const char *const cases[][2] = { { "$5", "$5" }, { "$$Amount", "$Amount" },
		{ "${Amount}s", "8s" }, { "$Amount.", "8." }, { "$Amount,$Amount", "8,8" },
		{ "100$", "100$" }, { "$ $", "$ $" }, { "$$$Amount", "$8" }, { "$$$$", "$$" },
		{ "$-", "$-" }, { "a$$b", "a$b" }, { "$Amount$Amount", "88" },
		{ "${ Amount : number }", "8" }, { "${Amount|}", "8" }, { "$_x", "$_x" } };
	struct fix x;

	fix_open(&x, "");
	fix_set(&x, "Amount", "8");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(fix_text(&x, cases[i][0], MEDIA_SMS, "en"), cases[i][1]);
	assert_string_equal(fix_faults(&x), "");
	fix_close(&x);
}

/* ---- MV-7 ---- */

static void test_MV_7_emoji_costs_parts(void **state)
{
	struct buf b = BUF_INIT;
	struct fix x;

	buf_c(&b, "templates = { t = { en = { sms = \"");
	for (unsigned i = 0; i < 150; i++)
		buf_char(&b, 'a');
	buf_c(&b, "${Member.first_name|}\"; }; }; };");
	fix_open(&x, buf_cstr(&b));
	buf_free(&b);
	assert_int_equal(strlen(fix_field(&x, MEDIA_SMS, "en", FIELD_TEXT)), 150);
	assert_int_equal(x.r.parts, 1);
	assert_int_equal(x.r.coding, TEXT_GSM7);
	fix_raw(&x, FIX_FIRST, STR("\U0001f600"));
	assert_int_equal(strlen(fix_field(&x, MEDIA_SMS, "en", FIELD_TEXT)), 154);
	assert_int_equal(x.r.parts, 3);
	assert_int_equal(x.r.coding, TEXT_UCS2);
	assert_int_equal(x.r.costly, 0x1f600);
	fix_close(&x);
}

static void test_MV_7_limits(void **state)
{
	struct fix x;

	fix_open(&x, "templates = { t = { en = { sms = \"Hi ${Member.first_name}, "
		     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		     "\"; }; "
		     "limits = { sms_parts = 1; over = \"skip\"; }; }; };");
	assert_string_equal(fix_faults(&x), "");
	fix_set(&x, "Member.first_name", "Bob");
	assert_string_not_equal(fix_field(&x, MEDIA_SMS, "en", FIELD_TEXT), "(fault)");
	fix_clear(&x);
	fix_set(&x, "Member.first_name", "Zoë’");
	assert_string_equal(fix_field(&x, MEDIA_SMS, "en", FIELD_TEXT), "(fault)");
	assert_int_equal(x.r.fault, RENDER_TOO_LONG_SKIP);
	assert_non_null(strstr(x.r.why, "2 parts, 1 allowed: "));
	assert_non_null(strstr(x.r.why, "makes it UCS-2"));
	fix_close(&x);

	fix_open(&x, "templates = { t = { lv = { sms = \"Beigsies pēc “3” dienām "
		     "${Member.first_name|}\"; }; "
		     "limits = { sms_alphabet = \"gsm7-or-fail\"; }; }; };");
	assert_string_equal(fix_faults(&x), "");
	assert_string_equal(
		fix_field(&x, MEDIA_SMS, "lv", FIELD_TEXT), "Beigsies pec \"3\" dienam ");
	assert_int_equal(x.r.coding, TEXT_GSM7);
	fix_set(&x, "Member.first_name", "Ж");
	assert_string_equal(fix_field(&x, MEDIA_SMS, "lv", FIELD_TEXT), "(fault)");
	assert_int_equal(x.r.fault, RENDER_ALPHABET);
	assert_non_null(strstr(x.r.why, "Ж (U+0416 "));
	fix_close(&x);
}

/* A sample that breaks a limit is told where it stands. */
static void test_MV_7_samples_are_rendered_at_load(void **state)
{
	struct fix x;

	fix_open(&x, "templates = { t = {\n en = { sms = \"Hi ${Member.first_name} $Days\"; };\n"
		     " limits = { sms_alphabet = \"gsm7-or-fail\"; };\n"
		     " samples = (\n"
		     "  { Member_first_name = \"Bob\"; Days = 1; },\n"
		     "  { Member_first_name = \"Я\"; },\n"
		     "  { Mamber_first_name = \"Bob\"; },\n"
		     "  { Days = \"soon\"; } ); }; };");
	assert_non_null(strstr(fix_faults(&x),
		"t.conf:6: templates.t.samples[1]: sms in the language \"en\": Я (U+042F "));
	assert_non_null(strstr(fix_faults(&x), "t.conf:7: templates.t.samples[2]: unknown name "
					       "\"Mamber_first_name\"; did you mean "));
	assert_non_null(strstr(fix_faults(&x),
		"t.conf:8: templates.t.samples[3]: \"soon\" is not a value of Days, which is a "));
	assert_int_equal(x.f.errors, 3);
	fix_close(&x);
}

/* ---- languages and versions ---- */

static void test_language_fallback(void **state)
{
	struct fix x;

	fix_open(&x, "templates = { t = { en = { sms = \"en\"; push = { text = \"en\"; }; }; "
		     "lv = { sms = \"lv\"; receipt = \"lv\"; }; pt-BR = { sms = \"br\"; }; "
		     "language = \"lv\"; }; };");
	assert_string_equal(fix_faults(&x), "");
	assert_string_equal(fix_field(&x, MEDIA_SMS, "en", FIELD_TEXT), "en");
	assert_string_equal(fix_field(&x, MEDIA_SMS, "en-US", FIELD_TEXT), "en");
	assert_string_equal(fix_field(&x, MEDIA_SMS, "PT-br", FIELD_TEXT), "br");
	assert_string_equal(fix_field(&x, MEDIA_SMS, "de", FIELD_TEXT), "lv");
	assert_string_equal(fix_field(&x, MEDIA_SMS, "", FIELD_TEXT), "lv");
	assert_string_equal(fix_field(&x, MEDIA_PUSH, "lv", FIELD_TEXT), "en");
	assert_string_equal(fix_field(&x, MEDIA_VIBER, "lv", FIELD_TEXT), "(fault)");
	assert_int_equal(x.r.fault, RENDER_NO_BODY);
	fix_close(&x);
}

static void test_versions_are_kept(void **state)
{
	static const char one[] =
		"templates = { t = { en = { sms = \"One \\\"$Amount\\\"\\n\"; email = { subject = "
		"\"s\"; html "
		"= \"<p>é $Amount</p>\"; }; viber = { text = \"x\"; button = { text = \"b\"; url = "
		"\"https://e.com/${Member.id}\"; }; }; }; missing = \"fail\"; }; };";
	struct fix x, y;
	const struct template *t, *old;
	struct err e = { 0 };

	fix_open(&x, one);
	fix_open(&y, "templates = { t = { en = { sms = \"Two $Amount\"; }; }; };");
	t = template_find(x.all, STR("t"));
	assert_non_null(t);
	assert_false(str_eq(template_digest(t), template_digest(template_find(y.all, STR("t")))));
	old = template_restore(y.all, template_source(t), y.a, &e);
	assert_non_null(old);
	assert_true(str_eq(template_digest(t), template_digest(old)));
	assert_true(str_eq(template_source(t), template_source(old)));
	fix_set(&y, "Amount", "8");
	assert_int_equal(template_render(old, MEDIA_SMS, &y.reader, &y.r), 0);
	assert_true(str_is(rendering_get(&y.r, FIELD_TEXT), "One \"8\"\n"));
	assert_null(template_restore(
		y.all, STR("templates = { t = { en = { sms = \"$No\"; }; }; };"), y.a, &e));
	assert_non_null(strstr(e.text, "unknown name"));
	fix_close(&x);
	fix_close(&y);
}

/* A name is a trigger's when a field that it stands for is, of the same type. */
static void test_metavariables_of_a_trigger(void **state)
{
	const struct scope trigger = { fix_names + 3, 1, NULL }; /* event.total */
	const struct scope *s;
	struct fix x;

	fix_open(&x, "");
	s = metavar_of_trigger(x.a, &trigger, 0);
	assert_non_null(scope_find(s, STR("Amount")));
	assert_non_null(scope_find(s, STR("Balances")));
	assert_non_null(scope_find(s, STR("event.total")));
	assert_null(scope_find(s, STR("Discount")));
	assert_null(scope_find(s, STR("Days")));
	assert_non_null(scope_find(metavar_of_trigger(x.a, NULL, 1u << METAVAR_DAYS), STR("Days")));
	fix_close(&x);
}

/* A task sets its own; what it does not set comes from below. */
static void test_metavariables_set_by_a_task(void **state)
{
	struct metavars m;
	struct fix x;

	fix_open(&x, "");
	fix_set(&x, "event.total", "100");
	metavars_init(&m, &(struct scope){ fix_names + 3, 1, NULL }, &x.s.source);
	assert_int_equal(
		m.source.get(&m.source, METAVAR_SLOT(METAVAR_AMOUNT)).i, 100 * DECIMAL_ONE);
	m.v[METAVAR_AMOUNT] = value_decimal(5);
	assert_int_equal(m.source.get(&m.source, METAVAR_SLOT(METAVAR_AMOUNT)).i, 5);
	assert_int_equal(m.source.get(&m.source, FIX_TOTAL).i, 100 * DECIMAL_ONE);
	assert_int_equal(m.source.get(&m.source, METAVAR_SLOT(METAVAR_DAYS)).type, VALUE_MISSING);
	fix_close(&x);
}

static void test_tables_are_sound(void **state)
{
	struct err e = { 0 };

	if (conf_table_check(texts_rows, sizeof(struct texts_conf), &e))
		fail_msg("%s", e.text);
	if (conf_table_check(printer_rows, sizeof(struct printer_conf), &e))
		fail_msg("%s", e.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_MV_1_seed_texts),
		cmocka_unit_test(test_MV_1_money_and_numbers),
		cmocka_unit_test(test_MV_1_lists),
		cmocka_unit_test(test_MV_1_dates),
		cmocka_unit_test(test_MV_2_russian_forms),
		cmocka_unit_test(test_MV_2_missing_forms_are_faults),
		cmocka_unit_test(test_MV_3_hostile_name_in_every_sink),
		cmocka_unit_test(test_MV_3_places_of_html),
		cmocka_unit_test(test_MV_3_text_alternative),
		cmocka_unit_test(test_MV_4_unknown_names_are_faults),
		cmocka_unit_test(test_MV_4_names_are_tied_to_the_trigger),
		cmocka_unit_test(test_MV_5_empty_first_name),
		cmocka_unit_test(test_MV_6_dollars),
		cmocka_unit_test(test_MV_7_emoji_costs_parts),
		cmocka_unit_test(test_MV_7_limits),
		cmocka_unit_test(test_MV_7_samples_are_rendered_at_load),
		cmocka_unit_test(test_language_fallback),
		cmocka_unit_test(test_versions_are_kept),
		cmocka_unit_test(test_metavariables_of_a_trigger),
		cmocka_unit_test(test_metavariables_set_by_a_task),
		cmocka_unit_test(test_tables_are_sound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
