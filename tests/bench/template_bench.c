/* How long one rendering takes: build/bench/template_bench [ROUNDS]. One thread; the
 * specification's bonus-expires as SMS, as push, and an email page of 4 KiB. Prints ns each, best
 * of five.
 */
#include "plugins/offers/template_fixture.h"

#include <stdlib.h>

static const char head[] =
	"templates = { t = { en = { sms = \"Your ${Amount:number} ${Currency.of(Amount)} will "
	"expire in "
	"${Days} ${Days:plural(day,days)}.\"; push = { title = \"Points about to expire\"; text = "
	"\"${Member.first_name|Hello}, use your ${Amount:number} ${Currency.of(Amount)} by "
	"${Date:long}.\"; }; receipt = \"Your discount amount was $Amount $Currency.\"; "
	"email = { subject = \"Your points\"; html = \"";

static void measure(struct fix *x, enum media m, long rounds)
{
	const struct template *t = template_find(x->all, STR("t"));
	int64_t best = INT64_MAX;

	CHECK(t);
	for (unsigned k = 0; k < 5; k++) {
		mono_t from = clock_mono(), took;

		for (long i = 0; i < rounds; i++)
			CHECK(template_render(t, m, &x->reader, &x->r) == 0);
		took = (clock_mono() - from) / rounds;
		best = took < best ? took : best;
	}
	printf("%-8s %6lld ns  (%zu bytes)\n", media_word(m), (long long)best, x->r.b.n);
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 200000;
	struct buf b = BUF_INIT;
	struct fix x;

	buf_c(&b, head);
	for (unsigned i = 0; i < 50; i++)
		buf_c(&b, "<p class='x'>Dear ${Member.first_name}, you have ${Amount:number}"
			  " points until ${Date:long}.</p>");
	buf_c(&b, "\"; }; }; }; };");
	fix_open(&x, buf_cstr(&b));
	buf_free(&b);
	CHECK(x.f.errors == 0);
	fix_set(&x, "Amount", "1250.5");
	fix_set(&x, "Currency", "bonus");
	fix_set(&x, "Days", "3");
	fix_set(&x, "Date", "2026-03-01");
	fix_set(&x, "Member.first_name", "Homer");
	x.reader.language = STR("en");
	measure(&x, MEDIA_SMS, rounds);
	measure(&x, MEDIA_PUSH, rounds);
	measure(&x, MEDIA_RECEIPT, rounds);
	measure(&x, MEDIA_EMAIL, rounds / 50 + 1);
	fix_close(&x);
	return 0;
}
