/* `offers render`, on the shipped form of a template: all channels and languages as text. */
#include "plugins/offers/render.h"

#include "plugins/offers/template_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* The specification's example file, with the page that it names beside it. */
static const char example[] =
	"templates = {\n"
	"  bonus-expires = {\n"
	"    en = {\n"
	"      sms   = \"Your ${Amount:number} ${Currency.of(Amount)} will expire in ${Days} "
	"${Days:plural(day,days)}.\";\n"
	"      push  = { title = \"Points about to expire\"; text = \"${Member.first_name|Hello}, "
	"use your "
	"${Amount:number} ${Currency.of(Amount)} by ${Date:long}.\"; };\n"
	"      email = { subject = \"Your points expire on ${Date:long}\"; html = "
	"\"file:bonus-expires.en.html\"; };\n"
	"      viber = { text = \"Use your ${Amount:number} ${Currency.of(Amount)} by "
	"${Date:long}.\";\n"
	"                image = \"https://cdn.example.com/exp.png\";\n"
	"                button = { text = \"Spend them\"; url = "
	"\"https://example.com/spend?m=${Member.id}\"; "
	"}; };\n"
	"      social = { moderated_as = \"VK-TPL-7781\"; text = \"You have ${Amount:number} "
	"points that "
	"expire soon.\"; };\n"
	"    };\n"
	"    lv = { sms = \"Jums ${Amount:number} ${Currency.of(Amount)} beigsies pēc ${Days} "
	"${Days:plural(dienas,dienām)}.\"; };\n"
	"    limits = { sms_parts = 2; sms_alphabet = \"gsm7-or-fail\"; };\n"
	"    missing = \"skip\";\n"
	"    samples = ( { Amount = \"8\"; Days = 1; }, { Amount = \"1250.5\"; Days = 3; } );\n"
	"  };\n"
	"};\n"
	"currencies = {\n"
	"  bonus = { one = \"bonus point\"; other = \"bonus points\"; short = \"pts\"; decimals = "
	"0; };\n"
	"  stars = { one = \"star\"; other = \"stars\"; short = \"*\"; decimals = 0; };\n"
	"};\n";

/* Loads the example from files. */
static void open_example(struct fix *x, const char *page)
{
	static const char *const globs[] = { "*.conf", NULL };
	char dir[] = "/tmp/postern-templates-XXXXXX", path[256];
	void *out;

	assert_non_null(mkdtemp(dir));
	write_file(dir, "50-bonus.conf", example);
	if (page)
		write_file(dir, "bonus-expires.en.html", page);
	*x = (struct fix){ .a = arena_new() };
	conf_load_globs(dir, globs, texts_rows, sizeof(struct texts_conf), x->a, &out, &x->f);
	x->conf = out;
	x->world = (struct template_world){ .scope = metavar_scope(x->a, &fix_scope),
		.currencies =
			currencies_make(x->conf->currencies, x->conf->currencies_n, x->a, &x->f) };
	x->all = templates_compile(x->conf, &x->world, x->a, &x->f);
	sample_init(&x->s, &x->world, x->a, false);
	rendering_init(&x->r);
	snprintf(path, sizeof path, "%s/50-bonus.conf", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/bonus-expires.en.html", dir);
	unlink(path);
	rmdir(dir);
}

static void test_render_example(void **state)
{
	const struct str values[] = { STR("Amount=1250.5"), STR("Currency=bonus"), STR("Days=3"),
		STR("Date=2026-03-01"), STR("Member.id=a b"), STR("Member_first_name=Homer") };
	struct render_request q = { .name = STR("bonus-expires"), .values = values, .values_n = 6 };
	struct buf out = BUF_INIT;
	struct err e = { 0 };
	struct fix x;

	open_example(&x, "<p>Dear ${Member.first_name},\nuse your ${Amount:number} points.</p>\n");
	assert_string_equal(fix_faults(&x), "");
	assert_int_equal(offers_render(x.all, &q, &out, &e), 0);
	assert_string_equal(buf_cstr(&out),
		"sms en: 1 part, GSM 7-bit, 46 characters\n"
		"    text     Your 1,251 bonus points will expire in 3 days.\n"
		"sms lv: 1 part, GSM 7-bit, 44 characters\n"
		"    text     Jums 1251 bonus point beigsies pec 3 dienam.\n"
		"email en\n"
		"    subject  Your points expire on March 1, 2026\n"
		"    text     Dear Homer, use your 1,251 points.\n"
		"    html     <p>Dear Homer,\n"
		"             use your 1,251 points.</p>\n"
		"push en\n"
		"    title    Points about to expire\n"
		"    text     Homer, use your 1,251 bonus points by March 1, 2026.\n"
		"viber en\n"
		"    text     Use your 1,251 bonus points by March 1, 2026.\n"
		"    image    https://cdn.example.com/exp.png\n"
		"    button   {\"text\":\"Spend "
		"them\",\"url\":\"https://example.com/spend?m=a%20b\"}\n"
		"social en\n"
		"    text     You have 1,251 points that expire soon.\n"
		"    template VK-TPL-7781\n"
		"    params   {\"Amount\":\"1,251\"}\n");
	buf_reset(&out);
	q.values_n = 0;
	q.media = MEDIA_BIT(MEDIA_SMS);
	q.language = STR("lv");
	assert_int_equal(offers_render(x.all, &q, &out, &e), 0);
	assert_string_equal(buf_cstr(&out), "sms lv: not sent: missing $Amount\n");
	buf_reset(&out);
	q.language = STR("zz");
	assert_int_equal(offers_render(x.all, &q, &out, &e), -1);
	assert_non_null(strstr(e.text, "says nothing of that; there is sms en, "));
	q.name = STR("bonus-expire");
	assert_int_equal(offers_render(x.all, &q, &out, &e), -1);
	assert_non_null(strstr(e.text, "did you mean \"bonus-expires\"?"));
	q.name = STR("bonus-expires");
	q.values = &STR("Amount");
	q.values_n = 1;
	assert_int_equal(offers_render(x.all, &q, &out, &e), -1);
	assert_string_equal(e.text, "\"Amount\" is not NAME=VALUE");
	buf_free(&out);
	fix_close(&x);
}

/* Faults in a page are told at its own line; a page that is not there at the key's. */
static void test_files_of_pages(void **state)
{
	struct fix x;

	open_example(&x, "<p>Dear\n ${Member.frist_name}</p>\n");
	assert_non_null(strstr(fix_faults(&x), "/bonus-expires.en.html:2: column 2: unknown name"));
	fix_close(&x);
	open_example(&x, NULL);
	assert_non_null(strstr(fix_faults(&x),
		"/50-bonus.conf:6: \"html\" in templates.bonus-expires.en.email: cannot read "));
	fix_close(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_render_example),
		cmocka_unit_test(test_files_of_pages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
