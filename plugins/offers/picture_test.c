/* Pictures of offers: what they say, and that what an author wrote cannot break the drawing. That a
 * parser of XML takes them is seen in tests/check.d/66-offers-verbs.sh. */
#include "plugins/offers/picture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define TEXTS                                                                                    \
	"templates = { t = { en = { sms = \"Hello\"; push = { title = \"H\"; text = \"Hello\"; " \
	"}; }; }; };"
#define HEAD "name = \"o\"; kind = \"service\"; when = \"registration.completed\"; "
#define STEP                                                                                      \
	"steps = ( { after = \"14 days\"; at = \"10:00-20:00\"; send = \"t\"; via = [ \"push\", " \
	"\"sms\" ]; } );"

static struct buf svg;

static void draw(const char *offer)
{
	struct conf_faults f = { 0 };
	struct buf text = BUF_INIT;
	struct rules *r;

	buf_printf(&text, TEXTS "offers = ( { %s } );", offer);
	r = rules_load_text("o.conf", buf_view(&text), MEDIA_ANY, &f);
	if (!r) {
		conf_faults_text(&f, &text);
		fail_msg("%s", buf_cstr(&text));
	}
	buf_reset(&svg);
	offer_picture(rules_offer(r, STR("o"))->conf, &svg);
	rules_unref(&r);
	conf_faults_free(&f);
	buf_free(&text);
}

static bool shows(const char *text)
{
	return str_find(buf_view(&svg), str_of(text)) >= 0;
}

static unsigned count(const char *text)
{
	struct str rest = buf_view(&svg);
	unsigned n = 0;
	ptrdiff_t at;

	while ((at = str_find(rest, str_of(text))) >= 0) {
		rest = str_skip(rest, (size_t)at + 1);
		n++;
	}
	return n;
}

static void test_a_chain(void **state)
{
	draw(HEAD "unless = \"purchase.completed\"; then = \"restart\"; restarts_at_most = 3; "
		  "limits = { per_member = \"2 per 30 days\"; }; " STEP);
	assert_true(shows(">o (service)<"));
	assert_true(shows(">when registration.completed<"));
	assert_true(shows(">after 14 days, at 10:00-20:00<"));
	assert_true(shows(">send t<") && shows(">via push, else sms<"));
	assert_true(shows(">unless purchase.completed<") && shows(">and it begins again<"));
	assert_true(shows(">3 times at most<") && shows(">at most 2 per 30 days to a member<"));
}

static void test_where_it_leads(void **state)
{
	static const struct {
		const char *then, *says;
		unsigned arrows, ends;
	} rows[] = {
		{ "stop", ">and the chain ends<", 1, 1 },
		{ "restart", ">and it begins again<", 1, 0 },
		{ "restart-step", ">and the wait begins again<", 1, 0 },
		{ "ignore", ">and nothing changes<", 0, 0 },
	};
	char text[400];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		snprintf(text, sizeof text,
			HEAD "unless = \"purchase.completed\"; then = \"%s\"; " STEP, rows[i].then);
		draw(text);
		assert_true(shows(rows[i].says));
		assert_int_equal(count("class=\"back to\""), rows[i].arrows);
		assert_int_equal(count("<circle"), rows[i].ends);
	}
}

static void test_actions(void **state)
{
	draw("name = \"o\"; kind = \"service\"; when = \"discount.calculated\"; actions = ("
	     " { do = \"receipt\"; text = \"Saved ${Discount:money}\"; },"
	     " { do = \"cashier\"; text = \"A <regular> & friend\"; only_if = \"event.total > 5\"; "
	     "},"
	     " { do = \"send\"; template = \"t\"; via = [ \"push\", \"sms\" ]; fall_back_after = "
	     "\"3 hours\"; } );");
	assert_int_equal(count("<rect class=\"send\""), 3);
	assert_true(shows("print &quot;Saved ${Discount:money}&quot;"));
	assert_true(shows("A &lt;regular&gt; &amp; friend"));
	assert_true(shows(">only if event.total &gt; 5<"));
	assert_true(shows(">via push &gt; sms<"));
	assert_true(shows(">the next when not delivered after 3 hours<"));
	assert_false(shows("unless"));
}

/* Long lines are wrapped, at blanks where there are some, and never within a letter. */
static void test_long_lines(void **state)
{
	struct buf text = BUF_INIT;
	struct str rest, c;
	unsigned longest = 0;

	buf_c(&text, "title = \"\xd0\x96\"; only_if = \"member.id in ('");
	for (unsigned i = 0; i < 150; i++)
		buf_c(&text, "\xd0\x96");
	buf_c(&text, "', 'b')\"; " HEAD STEP);
	draw(buf_cstr(&text));
	buf_free(&text);
	rest = buf_view(&svg);
	while (str_cut(&rest, '\n', &c)) {
		struct str line = c;
		unsigned letters = 0, zh = 0;

		while (line.n) {
			int32_t u = str_utf8_next(&line);

			assert_true(u > 0);
			zh += u == 0x416;
			letters++;
		}
		longest = zh > longest ? zh : longest;
	}
	assert_in_range(longest, 50, 62);
	assert_int_equal(count("\xd0\x96"), 151 + 1); /* the title stands in the head, too */
}

/* The one in the README is of the file that it stands beside. When this fails:
 * posternctl offers picture come-back >plugins/offers/come-back.svg, with conf/examples/offers. */
static void test_that_of_the_readme(void **state)
{
	struct conf_faults f = { 0 };
	struct rules *r = rules_load("conf/examples/offers/", MEDIA_ANY, &f);
	FILE *kept = fopen("plugins/offers/come-back.svg", "re");
	char text[16384];
	size_t n;

	assert_true(r && kept);
	n = fread(text, 1, sizeof text, kept);
	fclose(kept);
	buf_reset(&svg);
	offer_picture(rules_offer(r, STR("come-back"))->conf, &svg);
	assert_true(str_eq(buf_view(&svg), str_n(text, n)));
	rules_unref(&r);
	conf_faults_free(&f);
}

static int end(void **state)
{
	buf_free(&svg);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_chain),
		cmocka_unit_test(test_where_it_leads),
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_that_of_the_readme),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
