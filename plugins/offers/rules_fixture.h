/* Rules from a folder as an admin has it: policy.conf with what the others refer to, and files of
 * offers.d. For the tests of rules. */
#ifndef POSTERN_PLUGINS_OFFERS_RULES_FIXTURE_H
#define POSTERN_PLUGINS_OFFERS_RULES_FIXTURE_H

#include "plugins/offers/rules_private.h"
#include "gateway/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* no test uses all of it */
#pragma GCC diagnostic ignored "-Wunused-function"

static const char ground[] =
	"policy = { default_clock = \"Europe/Riga\"; marketing = { quiet = [ \"21:00-09:00\" ]; };"
	" from = { sms = \"Shop\"; }; };\n"
	"members = { attributes = { city = \"text\"; vip = \"bool\"; points = \"decimal\";"
	" tags = \"list of text\"; }; statuses = [ \"tier\" ]; };\n"
	"currencies = { bonus = { one = \"point\"; other = \"points\"; decimals = 0; };"
	" stars = { one = \"star\"; other = \"stars\"; decimals = 0; }; };\n"
	"templates = { hello = { en = { sms = \"Hello ${Member.first_name|friend}\";"
	" push = { title = \"Hi\"; text = \"Hello\"; }; viber = { text = \"Hello\"; }; }; };\n"
	" points = { en = { sms = \"You have $Amount.\"; }; }; };\n"
	"counters = { thanks = { of = \"actions\"; period = \"month\"; };"
	" spent = { of = \"purchase.completed\"; sum = \"event.total\"; }; };\n"
	"audiences = { quiet = { is = \"member.city == 'Riga'\"; }; };\n";

/* As an admin has them: policy.conf is the ground, offers.d/t.conf the text. */
static char folder[64];

static void put_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void drop_file(const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	assert_int_equal(remove(path), 0);
}

static int make_folder(void **state)
{
	char sub[96];

	(void)state;
	snprintf(folder, sizeof folder, "/tmp/rules_test.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(sub, sizeof sub, "%s/offers.d", folder);
	if (mkdir(sub, 0700) != 0)
		return -1;
	put_file("policy.conf", ground);
	return 0;
}

static int drop_folder(void **state)
{
	static const char *const names[] = { "/policy.conf", "/offers.d/t.conf", "/offers.d", "" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s%s", folder, names[i]);
		remove(path);
	}
	return 0;
}

static struct rules *load(const char *text, struct conf_faults *f)
{
	put_file("offers.d/t.conf", text);
	return rules_load(folder, MEDIA_ANY & ~MEDIA_BIT(MEDIA_SOCIAL), f);
}

static void print_faults(struct conf_faults *f)
{
	struct buf b = BUF_INIT;

	conf_faults_text(f, &b);
	print_error("%s", buf_cstr(&b));
	buf_free(&b);
}

#define GOOD_STEPS " steps = ( { after = \"14 days\"; send = \"hello\"; via = [ \"sms\" ]; } ); "

#endif
