/* The rules of the offers plugin: the examples of the manual load (CF-1), and what is wrong is said
 * with file, line and object, all of it in one run (CF-2).
 */
#include "plugins/offers/rules_private.h"
#include "gateway/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

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

static void test_CF_1_a_chain_loads(void **state)
{
	struct conf_faults f = { 0 };
	struct rules *r =
		load("offer = { name = \"come-back\"; when = \"registration.completed\";"
		     " only_if = \"member.city != 'Oslo' and not in_audience('quiet')\";"
		     " unless = [ \"purchase.completed\" ]; then = \"restart\";"
		     " steps = ( { after = \"14 days\"; at = \"10:00-20:00\"; send = \"hello\";"
		     " via = [ \"push\", \"sms\" ]; fall_back_after = \"3 hours\"; },"
		     " { after = \"1 month\"; send = \"hello\"; via = \"sms\"; } );"
		     " limits = { per_member = \"2 per 30 days\"; total = \"50000\"; }; };",
			&f);
	const struct offer *o;

	(void)state;
	if (!r)
		print_faults(&f);
	assert_non_null(r);
	o = rules_offer(r, STR("come-back"));
	assert_non_null(o);
	assert_int_equal(o->steps_n, 2);
	assert_int_equal(o->steps[0].after.days, 14);
	assert_int_equal(o->steps[0].windows_n, 1);
	assert_int_equal(o->steps[0].via.n, 2);
	assert_int_equal(o->steps[0].via.media[0], MEDIA_PUSH);
	assert_true(o->steps[0].via.fall_back_after == 3 * DUR_HOUR);
	assert_int_equal(o->steps[1].after.months, 1);
	assert_int_equal(o->per_member.most, 2);
	assert_int_equal(o->per_member.span.days, 30);
	assert_int_equal(o->total.most, 50000);
	assert_non_null(o->only_if);
	assert_int_equal(o->row, ROW_OFFER);
	assert_true(o->arms == UINT64_C(1) << EVENT_REGISTRATION_COMPLETED);
	assert_true(o->disarms == UINT64_C(1) << EVENT_PURCHASE_COMPLETED);
	assert_int_equal(r->by_event_n[EVENT_PURCHASE_COMPLETED], 1);
	assert_int_equal(r->by_event_n[EVENT_CARD_ASSIGNED], 0);
	rules_unref(&r);
	assert_null(r);
	conf_faults_free(&f);
}

/* One broken thing each: the text, the line (0: any) and what must be said. */
struct broken {
	const char *text, *says;
};
#define OFFER(rest) "offer = { name = \"o\"; " rest " };"
static const struct broken cases[] = {
	{ OFFER("when = \"purchase.complete\";" GOOD_STEPS),
		"did you mean \"purchase.completed\"?" },
	{ OFFER("whan = \"purchase.completed\";" GOOD_STEPS), "\"whan\"" },
	{ OFFER(GOOD_STEPS), "`when` is missing" },
	{ OFFER("when = \"purchase.completed\";"), "neither steps nor actions" },
	{ OFFER("when = [ \"purchase.completed\", \"purchase.completed\" ];" GOOD_STEPS), "twice" },
	{ OFFER("when = \"purchase.completed\"; only_if = \"event.totl > 5\";" GOOD_STEPS),
		"event.total" },
	{ OFFER("when = \"purchase.completed\"; only_if = \"event.total > 'x'\";" GOOD_STEPS),
		"only_if" },
	{ OFFER("when = \"purchase.completed\"; only_if = \"event.total >\";" GOOD_STEPS),
		"column" },
	{ OFFER("when = \"purchase.completed\"; only_if = \"member.town == 'Riga'\";" GOOD_STEPS),
		"member.town" },
	{ OFFER("when = \"purchase.completed\"; only_if = \"in_audience('quit')\";" GOOD_STEPS),
		"quiet" },
	{ OFFER("when = \"purchase.completed\"; only_if = \"counter('thank') < 1\";" GOOD_STEPS),
		"thanks" },
	{ OFFER("when = \"purchase.completed\"; only_if = \"count('purchase', '9 days') > "
		"1\";" GOOD_STEPS),
		"did you mean 'purchase.completed'?" },
	{ OFFER("when = \"purchase.completed\"; only_if = \"balance('bonuss') > 1\";" GOOD_STEPS),
		"did you mean 'bonus'?" },
	{ OFFER("when = \"registration.completed\"; only_if = \"event.discount > 1\";" GOOD_STEPS),
		"postern-http(7) says what each event has" },
	{ OFFER("when = \"purchase.completed\"; unless_if = \"true\";" GOOD_STEPS), "no `unless`" },
	{ OFFER("when = \"purchase.completed\"; unless = \"purchas.completed\";" GOOD_STEPS),
		"did you mean \"purchase.completed\"?" },
	{ OFFER("when = \"purchase.completed\"; then = \"restrat\";" GOOD_STEPS), "restart" },
	{ OFFER("when = \"purchase.completed\"; kind = \"marketting\";" GOOD_STEPS), "marketing" },
	{ OFFER("when = \"purchase.completed\"; consent = \"Advert\";" GOOD_STEPS),
		"Advertisement" },
	{ OFFER("when = \"purchase.completed\"; again = \"parallel\";" GOOD_STEPS), "`key`" },
	{ OFFER("when = \"purchase.completed\"; key = \"event.nothing\";" GOOD_STEPS), "key" },
	{ OFFER("when = \"purchase.completed\"; key = \"event.products\";" GOOD_STEPS), "key" },
	{ OFFER("when = \"registration.completed\"; same_receipt_only = true;" GOOD_STEPS),
		"have a receipt" },
	{ OFFER("when = \"purchase.completed\"; settle = \"2 hoors\";" GOOD_STEPS), "settle" },
	{ OFFER("when = \"purchase.completed\"; limits = { per_member = \"two\"; };" GOOD_STEPS),
		"2 per 30 days" },
	{ OFFER("when = \"purchase.completed\"; limits = { total = \"0\"; };" GOOD_STEPS),
		"total" },
	{ OFFER("when = \"purchase.completed\"; limits = { total = \"5 per fortnight\"; "
		"};" GOOD_STEPS),
		"total" },
	{ OFFER("when = \"purchase.completed\"; active = { from = \"2026-13-01\"; };" GOOD_STEPS),
		"from" },
	{ OFFER("when = \"purchase.completed\"; active = { from = \"2026-05-01\"; to = "
		"\"2026-04-01\"; };" GOOD_STEPS),
		"ends before it begins" },
	{ OFFER("when = \"purchase.completed\"; priority = 2000;" GOOD_STEPS), "priority" },
	{ OFFER("when = \"purchase.completed\"; steps = ( { after = \"14 dys\"; send = \"hello\"; "
		"via = "
		"\"sms\"; } );"),
		"after" },
	{ OFFER("when = \"purchase.completed\"; steps = ( { after = 14; send = \"hello\"; via = "
		"\"sms\"; "
		"} );"),
		"after" },
	{ OFFER("when = \"purchase.completed\"; steps = ( { at = \"25:00-26:00\"; send = "
		"\"hello\"; via = "
		"\"sms\"; } );"),
		"at" },
	{ OFFER("when = \"purchase.completed\"; steps = ( { send = \"helo\"; via = \"sms\"; } );"),
		"did you mean \"hello\"?" },
	{ OFFER("when = \"purchase.completed\"; steps = ( { send = \"hello\"; via = \"smms\"; } "
		");"),
		"smms" },
	{ OFFER("when = \"purchase.completed\"; steps = ( { send = \"hello\"; } );"),
		"`via` must say" },
	{ OFFER("when = \"purchase.completed\"; steps = ( { send = \"hello\"; via = \"email\"; } "
		");"),
		"no text for email" },
	{ OFFER("when = \"purchase.completed\"; steps = ( { send = \"hello\"; via = \"social\"; } "
		");"),
		"no route takes social" },
	{ OFFER("when = \"purchase.completed\"; steps = ( { send = \"hello\"; via = [ \"sms\", "
		"\"sms\" ]; "
		"} );"),
		"twice" },
	{ OFFER("when = \"purchase.completed\"; steps = ( { send = \"hello\"; via = \"sms\"; "
		"fall_back_after = \"1 h\"; } );"),
		"no second channel" },
	{ OFFER("when = \"purchase.completed\"; steps = ( { after = \"1 day\"; } );"),
		"sends nothing" },
	{ OFFER("when = \"purchase.completed\"; steps = ( { status = \"gold\"; status_system = "
		"\"teir\"; "
		"} );"),
		"members.statuses; did you mean \"tier\"?" },
	{ OFFER("when = \"registration.completed\"; steps = ( { send = \"points\"; via = \"sms\"; "
		"} );"),
		"Amount" },
	{ OFFER("when = \"registration.completed\"; actions = ( { do = \"receipt\"; text = \"x\"; "
		"} );"),
		"CFG-ACT-1" },
	{ OFFER("when = \"status.changed\"; actions = ( { do = \"cashier\"; text = \"x\"; } );"),
		"CFG-ACT-1" },
	{ OFFER("when = \"friend.purchased\"; actions = ( { do = \"receipt\"; text = \"x\"; } );"),
		"buyer" },
	{ OFFER("when = \"purchase.completed\"; actions = ( { do = \"receipt\"; } );"),
		"`text` is missing" },
	{ OFFER("when = \"purchase.completed\"; actions = ( { do = \"reciept\"; text = \"x\"; } "
		");"),
		"receipt" },
	{ OFFER("when = \"purchase.completed\"; actions = ( { do = \"receipt\"; text = "
		"\"$Dicount\"; } );"),
		"Discount" },
	{ OFFER("when = \"balance.requested\"; actions = ( { do = \"receipt\"; text = "
		"\"$Discount\"; } );"),
		"Discount" },
	{ OFFER("when = \"purchase.completed\"; actions = ( { do = \"send\"; via = \"sms\"; } );"),
		"`template` is missing" },
	{ OFFER("when = \"purchase.completed\"; actions = ( { do = \"send\"; template = \"hello\"; "
		"via = "
		"\"sms\"; text = \"x\"; } );"),
		"stands in a template" },
	{ OFFER("when = \"purchase.completed\"; actions = ( { do = \"send\"; template = \"hello\"; "
		"via = "
		"\"sms\"; count = \"nope\"; } );"),
		"no counter \"nope\"; there is \"thanks\"" },
	{ OFFER("when = \"purchase.completed\"; actions = ( { do = \"send\"; template = \"hello\"; "
		"via = "
		"\"sms\"; count = \"spent\"; } );"),
		"not of \"actions\"" },
	{ OFFER("when = \"purchase.completed\"; actions = ( { do = \"status\"; } );"),
		"`value` is missing" },
	{ OFFER("when = \"purchase.completed\"; actions = ( { do = \"status\"; value = \"gold\"; "
		"system = "
		"\"level\"; } );"),
		"members.statuses; there is \"tier\"" },
	{ OFFER("when = \"purchase.completed\"; actions = ( { do = \"receipt\"; text = \"x\"; "
		"width = 999; "
		"} );"),
		"width" },
	{ "offer = { when = \"purchase.completed\";" GOOD_STEPS "};", "name" },
	{ "offers = ( { name = \"a\"; when = \"card.assigned\";" GOOD_STEPS
	  "}, { name = \"a\"; when = "
	  "\"card.assigned\";" GOOD_STEPS "} );",
		"\"a\"" },
	{ "offer = { name = \"t\"; when = \"card.assigned\";" GOOD_STEPS
	  "}; tasks = ( { name = \"t\"; "
	  "look = \"member.birthday\"; send = \"hello\"; via = \"sms\"; } );",
		"has this name" },
	{ "counters = { c = { }; };", "of" },
	{ "counters = { c = { of = \"purchase\"; }; };", "there are purchase.completed" },
	{ "counters = { c = { of = \"purchase.completed\"; sum = \"event.totl\"; }; };",
		"did you mean \"event.total\"?" },
	{ "counters = { c = { of = \"purchase.completed\"; sum = \"event.store\"; }; };",
		"not a number" },
	{ "counters = { c = { of = \"actions\"; sum = \"event.total\"; }; };", "`count` alone" },
	{ "counters = { c = { of = \"purchase.completed\"; period = \"fortnight\"; }; };",
		"period" },
	{ "counters = { c = { of = \"purchase.completed\"; per = \"shop\"; }; };", "per" },
	{ "counters = { c = { of = \"purchase.completed\"; every_amount = \"10\"; }; };", "`sum`" },
	{ "counters = { c = { of = \"purchase.completed\"; every_amount = \"ten\"; }; };",
		"four decimals" },
	{ "counters = { c = { of = \"purchase.completed\"; only_if = \"event.total\"; }; };",
		"only_if" },
	{ "audiences = { a = { is = \"member.citty == 'x'\"; }; };", "member.city" },
	{ "audiences = { a = { is = \"in_audience('b')\"; }; b = { is = \"in_audience('a')\"; }; "
	  "};",
		"defined by itself" },
	{ "audiences = { a = { is = \"event.total > 1\"; }; };", "event.total" },
	{ "audiences = { a = { }; };", "is" },
	{ "tasks = ( { name = \"x\"; look = \"bonus.activates\"; send = \"points\"; via = \"sms\"; "
	  "} );",
		"`ahead` is missing" },
	{ "tasks = ( { name = \"x\"; look = \"bonus.expire\"; ahead = \"1 day\"; send = "
	  "\"points\"; via = "
	  "\"sms\"; } );",
		"bonus.expires" },
	{ "tasks = ( { name = \"x\"; look = \"bonus.expires\"; ahead = \"1 month\"; send = "
	  "\"points\"; via "
	  "= \"sms\"; } );",
		"number of days, such as" },
	{ "tasks = ( { name = \"x\"; look = \"bonus.expires\"; ahead = \"1 day\"; currency = "
	  "\"bonsu\"; "
	  "send = \"points\"; via = \"sms\"; } );",
		"bonus" },
	{ "tasks = ( { name = \"x\"; look = \"member.birthday\"; every = \"week\"; send = "
	  "\"hello\"; via = "
	  "\"sms\"; } );",
		"day at 11:00" },
	{ "tasks = ( { name = \"x\"; look = \"member.birthday\"; } );",
		"neither sends nor accrues" },
	{ "tasks = ( { name = \"x\"; look = \"member.birthday\"; send = \"points\"; via = \"sms\"; "
	  "} );",
		"Amount" },
	{ "tasks = ( { name = \"x\"; look = \"member.birthday\"; accrue = { currency = \"stars\"; "
	  "amount = "
	  "\"-5\"; }; } );",
		"more than 0" },
	{ "tasks = ( { name = \"x\"; look = \"member.birthday\"; accrue = { currency = \"moons\"; "
	  "amount = "
	  "\"5\"; }; } );",
		"there is no currency \"moons\"; there are \"bonus\", \"stars\"" },
	{ "tasks = ( { name = \"x\"; look = \"bonus.expires\"; ahead = \"1 day\"; accrue = { "
	  "currency = "
	  "\"stars\"; amount = \"5\"; }; } );",
		"is for birthdays" },
	{ "tasks = ( { name = \"x\"; look = \"member.birthday\"; leap_day = \"mar2\"; send = "
	  "\"hello\"; via "
	  "= \"sms\"; } );",
		"leap_day" },
	{ "tasks = ( { name = \"x\"; look = \"member.birthday\"; clock = \"till\"; send = "
	  "\"hello\"; via = "
	  "\"sms\"; } );",
		"no till; it takes \"member\"" },
	{ "tasks = ( { name = \"x\"; look = \"member.birthday\"; min_member_age = \"soon\"; send = "
	  "\"hello\"; via = \"sms\"; } );",
		"min_member_age" },
	{ "mailing = { name = \"m\"; template = \"hello\"; channel = \"sms\"; };", "audience" },
	{ "mailing = { name = \"m\"; template = \"helo\"; channel = \"sms\"; audience = "
	  "\"member.vip\"; };",
		"hello" },
	{ "mailing = { name = \"m\"; template = \"hello\"; channel = \"sms\"; audience = "
	  "\"member.vop\"; };",
		"member.vip" },
	{ "ledger = { master = \"upstream\"; };", "needs a webhook" },
	{ "ledger = { webhook = \"https://x.example/\"; };", "webhook_secret" },
	{ "intake = { reply_budget = \"1ms\"; };", "reply_budget" },
	{ "intake = { reply_budget = 300; };", "reply_budget" },
	{ "program = { nmae = \"Club\"; };", "name" },
	{ "templates = { t = { en = { sms = \"$Nope\"; }; }; };", "Nope" },
	{ "templates = { t = { en = { viber = { text = \"x\"; image = \"https://x.example/a.png\"; "
	  "}; }; }; "
	  "};",
		"viber" },
	{ "templates = { t = { en = { sms = \"<b>x</b>\"; }; }; };", "sms" },
	{ "templates = { hello = { en = { sms = \"x\"; }; }; };", "hello" },
	/* what must be there is not, and others of its kind are */
	{ "offers = ( { when = \"card.assigned\";" GOOD_STEPS
	  "}, { when = \"card.assigned\";" GOOD_STEPS "} );",
		"\"name\" is missing in offers[1]" },
	{ "tasks = ( { look = \"member.birthday\"; }, { name = \"x\"; } );",
		"\"name\" is missing in tasks[0]" },
	{ "mailing = { name = \"m\"; channel = \"sms\"; };",
		"\"template\" is missing in mailing[0] \"m\"" },
	{ "tasks = ( { name = \"x\"; look = \"member.birthday\"; accrue = { lives = \"1 day\"; }; "
	  "} );",
		"\"currency\" is missing in tasks[0] \"x\".accrue" },
	{ "templates = { t = { en = { viber = { text = \"x\"; button = { }; }; }; }; };",
		"\"url\" is missing in templates.t.en.viber.button" },
	{ "offer = { name = \"o\"; when = \"card.assigned\"; actions = ( { }, { } ); };",
		"\"do\" is missing in offer[0] \"o\".actions[1]" },
	{ "wonder = 1;", "wonder" },
	{ "offer = { name = \"o\"; when = 14d; };", "t.conf" },
};

/* What the fault is about: the first word of the text stands in it, and a name if there is one. */
static bool names_object(const char *said, const char *text)
{
	char word[20];

	str_copy(word, sizeof word, str_n(text, strcspn(text, " ")));
	for (const char *line = said; *line; line += strcspn(line, "\n") + 1) {
		const char *from = strstr(line, "t.conf:3: "), *at;

		if (!from || strncmp(line, folder, strlen(folder)) != 0)
			return false; /* another line, or another file */
		at = strstr(from, word);
		if (!at && !strstr(from, "syntax error") && !strstr(from, "tasks[") &&
			!strstr(from, "templates.") && !strstr(from, "audiences."))
			return false;
	}
	return *said != '\0';
}

/* File, line, object and hint of each. */
static void test_CF_2_every_fault_has_its_place(void **state)
{
	(void)state;
	unsigned bad = 0;

	assert_true(sizeof cases / sizeof *cases >= 100);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct conf_faults f = { 0 };
		struct buf b = BUF_INIT, text = BUF_INIT;
		struct rules *r;
		const char *said;

		buf_printf(&text, "# what is broken\n\n%s\n\n", cases[i].text);
		r = load(buf_cstr(&text), &f);
		conf_faults_text(&f, &b);
		said = buf_cstr(&b);
		if (r || f.errors == 0 || !strstr(said, "offers.d/t.conf:3: ") ||
			!strstr(said, cases[i].says) || strstr(said, "(null)") ||
			!names_object(said, cases[i].text))
			print_error("case %zu: %s\nsaid: %s\n", i, cases[i].text, said), bad++;
		buf_free(&text);
		buf_free(&b);
		conf_faults_free(&f);
	}
	assert_int_equal(bad, 0);
}

/* A name of its own for each file, where files may not share one. */
static void own_names(struct buf *b, const char *text, size_t i)
{
	static const char *const shared[] = { "name = \"o\"", "name = \"x\"", "name = \"m\"",
		"name = \"a\"", "name = \"t\"", "{ c = {", "{ a = {", "{ t = {" };

	while (*text) {
		size_t k = 0;

		while (k < 8 && strncmp(text, shared[k], strlen(shared[k])) != 0)
			k++;
		if (k < 5) {
			buf_printf(b, "%.*s%zu\"", (int)strlen(shared[k]) - 1, text, i);
			text += strlen(shared[k]);
		} else if (k < 8) {
			buf_printf(b, "{ %c%zu = {", text[2], i);
			text += strlen(shared[k]);
		} else {
			buf_char(b, *text++);
		}
	}
}

/* How many of those files have a fault, and in `own_r` how many the one that they have alone. */
static unsigned files_with_faults(const char *said, size_t n, unsigned *own_r)
{
	unsigned files = 0;

	*own_r = 0;
	for (size_t i = 0; i < n; i++) {
		bool found = false, any = false;
		char name[40];

		snprintf(name, sizeof name, "offers.d/%03zu.conf:", i);
		for (const char *line = said; (line = strstr(line, name)); line++) {
			struct str one = str_n(line, strcspn(line, "\n"));

			any = true;
			found = found || str_find(one, str_of(cases[i].says)) >= 0;
		}
		files += any;
		*own_r += found;
	}
	return files;
}

/* A hundred broken files beside each other: each is told of, with what is wrong in it, in one run.
 * The last cannot be read at all: names that it may define are not missed then, and all else is
 * said still. */
static void test_CF_2_a_hundred_files_in_one_run(void **state)
{
	enum { N = sizeof cases / sizeof *cases };
	unsigned own;
	char name[40];

	drop_file("offers.d/t.conf");
	for (size_t i = 0; i < N; i++) {
		struct buf text = BUF_INIT;

		snprintf(name, sizeof name, "offers.d/%03zu.conf", i);
		own_names(&text, cases[i].text, i);
		put_file(name, buf_cstr(&text));
		buf_free(&text);
	}
	for (size_t n = N; n >= N - 1; n--) {
		struct conf_faults f = { 0 };
		struct buf b = BUF_INIT;

		assert_null(rules_load(folder, MEDIA_ANY & ~MEDIA_BIT(MEDIA_SOCIAL), &f));
		conf_faults_text(&f, &b);
		if (n == N) {
			assert_true(f.incomplete);
			assert_true(files_with_faults(buf_cstr(&b), n, &own) > N - 30);
			assert_non_null(strstr(b.p, "syntax error: durations are strings"));
			assert_non_null(strstr(b.p, "the filter ends here"));
			assert_null(strstr(b.p, "there is no template"));
			assert_null(strstr(b.p, "member.citty"));
			snprintf(name, sizeof name, "offers.d/%03d.conf", N - 1);
			drop_file(name);
		} else {
			assert_int_equal(files_with_faults(buf_cstr(&b), n, &own), n);
			/* but for what several files share: a name, a group set twice */
			assert_true(own >= n - 9);
			assert_non_null(strstr(b.p, "member.citty"));
		}
		buf_free(&b);
		conf_faults_free(&f);
	}
	for (size_t i = 0; i < N - 1; i++) {
		snprintf(name, sizeof name, "offers.d/%03zu.conf", i);
		drop_file(name);
	}
	put_file("offers.d/t.conf", "");
}

/* Each of the twenty with each action: lines only where a till waits for its answer. */
static void test_EV_10_each_event_with_each_action(void **state)
{
	static const char *const actions[] = { "do = \"receipt\"; text = \"x\";",
		"do = \"cashier\"; text = \"x\";",
		"do = \"send\"; template = \"hello\"; via = \"sms\";",
		"do = \"status\"; system = \"tier\"; value = \"gold\";" };
	unsigned lines = 0;

	for (unsigned t = EVENT_DISCOUNT_CALCULATED; t <= EVENT_STATUS_CALCULATED; t++)
		for (unsigned a = 0; a < 4; a++) {
			bool till = event_kinds[t].flags & EV_TILL;
			bool friends = t == EVENT_FRIEND_PURCHASED && a < 2;
			bool allowed = a >= 2 || till || friends;
			struct conf_faults f = { 0 };
			struct buf b = BUF_INIT;
			struct rules *r;

			buf_printf(&b,
				"offer = { name = \"o\"; kind = \"service\"; when = \"%s\";\n"
				"actions = (\n{ %s %s } ); };",
				event_kinds[t].word, actions[a],
				friends ? "addressee = \"buyer\";" : "");
			r = load(buf_cstr(&b), &f);
			lines += a < 2 && r;
			if (allowed != (r != NULL)) {
				print_faults(&f);
				fail_msg("%s: %s", event_kinds[t].word, actions[a]);
			}
			buf_reset(&b);
			conf_faults_text(&f, &b);
			if (!allowed && !strstr(buf_cstr(&b), "CFG-ACT-1"))
				fail_msg("%s: %s", event_kinds[t].word, b.p);
			if (!allowed && !strstr(b.p, "offers.d/t.conf:3: "))
				fail_msg("no place: %s", b.p);
			buf_free(&b);
			conf_faults_free(&f);
			if (r)
				rules_unref(&r);
		}
	assert_int_equal(lines, 2 * 6 + 2); /* six at the till, and the friend's */
}

/* A way out that no route takes is said at its line, with the offer: each of them. */
static void test_CH_2_a_channel_without_a_route(void **state)
{
	static const char vip[] =
		"offer = { name = \"vip\"; when = \"purchase.completed\"; steps = (\n"
		"{ after = \"1 day\"; send = \"all\"; via = \"%s\"; } ); };\n"
		"templates = { all = { en = { sms = \"x\"; push = { text = \"x\"; };"
		" viber = { text = \"x\"; }; email = { subject = \"s\"; text = \"x\"; };"
		" social = { text = \"x\"; moderated_as = \"V\"; }; }; }; };";

	for (unsigned m = 0; m < MEDIA_RECEIPT; m++)
		for (unsigned routed = 0; routed < 2; routed++) {
			struct conf_faults f = { 0 };
			struct buf said = BUF_INIT;
			char text[600], want[80];
			struct rules *r;

			snprintf(text, sizeof text, vip, media_word((enum media)m));
			put_file("offers.d/t.conf", text);
			r = rules_load(folder,
				routed ? MEDIA_ANY : MEDIA_ANY & ~MEDIA_BIT((enum media)m), &f);
			assert_int_equal(r != NULL, routed);
			conf_faults_text(&f, &said);
			snprintf(want, sizeof want, "offer vip, step 1: no route takes %s",
				media_word((enum media)m));
			if (!routed && (!strstr(buf_cstr(&said), want) ||
					       !strstr(said.p, "offers.d/t.conf:2: ")))
				fail_msg("%s", said.p);
			buf_free(&said);
			conf_faults_free(&f);
			if (r)
				rules_unref(&r);
		}
}

static void test_CF_2_all_in_one_run(void **state)
{
	struct conf_faults f = { 0 };
	struct rules *r = load("offer = { name = \"a\"; when = \"x\"; steps = ( { send = \"no\"; "
			       "via = \"sms\"; } ); };\n"
			       "tasks = ( { name = \"t\"; look = \"bonus.expires\"; send = "
			       "\"points\"; via = \"sms\"; } );\n"
			       "audiences = { z = { is = \"member.q\"; }; };",
		&f);

	(void)state;
	assert_null(r);
	if (f.errors < 4)
		print_faults(&f);
	assert_true(f.errors >= 4);
	conf_faults_free(&f);
}

/* Longer prefixes first, whatever the order of the file. */
static void test_senders_of_the_policy(void **state)
{
	static const struct {
		const char *from, *says;
	} c[] = {
		{ "email = \"club@shop.example\"; sms = \"Club\";", NULL },
		{ "email = \"The Club <club@shop.example>\";", NULL },
		{ "email = \"Club\";", "policy.from.email" },
		{ "email = \"Club <club@\";", "policy.from.email" },
		{ "fax = \"Club\";", "is not a channel" },
	};

	for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
		struct conf_faults f = { 0 };
		struct buf said = BUF_INIT;
		char text[200];
		struct rules *r;

		snprintf(text, sizeof text, "policy = { from = { %s }; };", c[i].from);
		r = rules_load_text("policy.conf", str_of(text), MEDIA_ANY, &f);
		conf_faults_text(&f, &said);
		if ((r == NULL) != (c[i].says != NULL) ||
			(c[i].says && !strstr(buf_cstr(&said), c[i].says)))
			fail_msg("%s\n%s", c[i].from, buf_cstr(&said));
		if (r)
			rules_unref(&r);
		conf_faults_free(&f);
		buf_free(&said);
	}
}

static void test_QH_countries_of_the_policy(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "{ prefix = \"DE\"; }", "\"DE\" is not what international numbers" },
		{ "{ prefix = \"\"; }", "is not what" },
		{ "{ prefix = \"49\"; }, { prefix = \"+49\"; }", "\"49\" is there twice" },
		{ "{ prefix = \"49\"; quiet = \"00:00-24:00\"; }", "no hour is left" },
	};
	struct conf_faults f = { 0 };
	struct rules *r = rules_load_text("policy.conf",
		STR("policy = { countries = ( { prefix = \"4\"; quiet = [ ]; },"
		    " { prefix = \"+4930\"; quiet = [ \"20:00-10:00\", \"sun 00:00-24:00\" ]; },"
		    " { prefix = \"49\"; quiet = \"21:00-09:00\"; } ); };"),
		MEDIA_ANY, &f);

	(void)state;
	assert_non_null(r);
	assert_int_equal(r->countries_n, 3);
	assert_true(str_is(r->countries[0].prefix, "4930"));
	assert_int_equal(r->countries[0].quiet_n, 2);
	assert_true(str_is(r->countries[1].prefix, "49"));
	assert_int_equal(r->countries[1].quiet_n, 1);
	assert_true(str_is(r->countries[2].prefix, "4"));
	assert_int_equal(r->countries[2].quiet_n, 0);
	rules_unref(&r);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char text[128];
		struct buf b = BUF_INIT;

		snprintf(text, sizeof text, "policy = { countries = ( %s ); };", bad[i].text);
		assert_null(rules_load_text("policy.conf", str_of(text), MEDIA_ANY, &f));
		conf_faults_text(&f, &b);
		assert_non_null(strstr(buf_cstr(&b), bad[i].says));
		buf_free(&b);
		conf_faults_free(&f);
	}
}

static struct sql *open_memory(struct db *db)
{
	struct sql_conf c = { .where = ":memory:", .role = SQL_WRITER };
	struct err e = { 0 };
	struct sql *sql = sql_open("sqlite", &c, &e);

	assert_non_null(sql);
	assert_int_equal(offers_schema(sql, &e), 0);
	db_open(db, sql);
	return sql;
}

static void test_FC_6_a_counter_is_not_lost_by_renaming(void **state)
{
	struct conf_faults f = { 0 };
	struct rules *first = load("", &f), *second, *third;
	struct err e = { 0 };
	struct db db;
	struct sql *sql = open_memory(&db);
	uint32_t number;

	(void)state;
	assert_non_null(first);
	assert_int_equal(rules_number(first, &db, &e), 0);
	number = rules_counter(first, STR("spent"))->number;
	assert_int_equal(sql_exec(sql, "INSERT INTO of_counter SELECT number, 1, 0, 5 FROM of_name"
				       " WHERE kind = 2 AND name = 'spent'"),
		0);
	second = rules_load_text("t.conf",
		STR("counters = { outlay = { of = \"purchase.completed\"; sum = \"event.total\"; "
		    "}; };"),
		MEDIA_ANY, &f);
	assert_non_null(second);
	assert_int_equal(rules_number(second, &db, &e), -1);
	assert_non_null(strstr(e.text, "was = \"spent\""));
	third = rules_load_text("t.conf",
		STR("counters = { outlay = { was = \"spent\"; of = \"purchase.completed\"; sum = "
		    "\"event.total\"; }; };"),
		MEDIA_ANY, &f);
	assert_non_null(third);
	assert_int_equal(rules_number(third, &db, &e), 0);
	assert_int_equal(rules_counter(third, STR("outlay"))->number, number);
	rules_unref(&first);
	rules_unref(&second);
	rules_unref(&third);
	db_close(&db);
	sql_close(&sql);
	conf_faults_free(&f);
}

static void test_a_reload_tells_what_changes(void **state)
{
	struct conf_faults f = { 0 };
	struct rules *a =
		load("offer = { name = \"one\"; when = \"card.assigned\";" GOOD_STEPS "};", &f);
	struct rules *b = load(
		"offers = ( { name = \"one\"; when = \"card.assigned\"; priority = 3;" GOOD_STEPS
		"}, { name = \"two\"; when = \"card.assigned\";" GOOD_STEPS "} );",
		&f);
	struct buf said = BUF_INIT;

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	rules_compare(a, b, &said);
	assert_string_equal(buf_cstr(&said), "offer one: changes\noffer two: begins\n");
	buf_reset(&said);
	rules_compare(b, a, &said);
	assert_string_equal(buf_cstr(&said), "offer one: changes\noffer two: ends\n");
	buf_reset(&said);
	rules_compare(a, a, &said);
	assert_int_equal(said.n, 0);
	buf_free(&said);
	rules_unref(&a);
	rules_unref(&b);
	conf_faults_free(&f);
}

/* Without policy.conf the defaults hold, which is said; what else is wrong is said as well. */
static void test_the_policy_may_be_absent(void **state)
{
	struct conf_faults f = { 0 }, bad = { 0 };
	struct buf said = BUF_INIT;
	struct rules *r;

	(void)state;
	put_file("offers.d/t.conf", "offer = { name = \"one\"; when = \"card.assigned\";"
				    " actions = ( { do = \"receipt\"; text = \"Hello.\"; } ); };");
	drop_file("policy.conf");
	r = rules_load(folder, MEDIA_ANY, &f);
	conf_faults_text(&f, &said);
	assert_non_null(r);
	assert_int_equal(f.errors, 0);
	assert_non_null(strstr(buf_cstr(&said), "policy.conf:1: warning: is not there"));
	rules_unref(&r);
	put_file("offers.d/t.conf", "offer = { name = \"one\"; when = \"card.asigned\"; };");
	assert_null(rules_load(folder, MEDIA_ANY, &bad));
	buf_reset(&said);
	conf_faults_text(&bad, &said);
	assert_non_null(strstr(buf_cstr(&said), "did you mean \"card.assigned\"?"));
	put_file("policy.conf", ground);
	conf_faults_free(&f);
	conf_faults_free(&bad);
	buf_free(&said);
}

/* A few characters that cost parts are named; a text of such characters is what it is. */
static void test_MV_7_costly_characters_are_named(void **state)
{
	static const struct {
		const char *text, *says;
	} c[] = {
		{ "0123456789012345678901234567890123456789012345678901234567890123456789 – ok",
			"2 parts because of – (U+2013 EN DASH); without such characters 1" },
		{ "0123456789 – ok", NULL },
		{ "Скоро сгорят ваши баллы: потратьте их до конца месяца в любом магазине сети, "
		  "пожалуйста",
			NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
		struct conf_faults f = { 0 };
		struct buf said = BUF_INIT, text = BUF_INIT;
		struct rules *r;

		buf_printf(&text, "templates = { x = { en = { sms = \"%s\"; }; }; };", c[i].text);
		r = load(buf_cstr(&text), &f);
		assert_non_null(r);
		conf_faults_text(&f, &said);
		if (c[i].says ? !strstr(buf_cstr(&said), c[i].says) : said.n > 0)
			fail_msg("%s: %s", c[i].text, buf_cstr(&said));
		rules_unref(&r);
		conf_faults_free(&f);
		buf_free(&said);
		buf_free(&text);
	}
}

static void test_the_tables_are_sound(void **state)
{
	struct err e = { 0 };

	(void)state;
	if (conf_table_check(rules_rows, sizeof(struct rules_conf), &e) != 0)
		fail_msg("%s", e.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_tables_are_sound),
		cmocka_unit_test(test_CF_1_a_chain_loads),
		cmocka_unit_test(test_CF_2_every_fault_has_its_place),
		cmocka_unit_test(test_CF_2_a_hundred_files_in_one_run),
		cmocka_unit_test(test_EV_10_each_event_with_each_action),
		cmocka_unit_test(test_CH_2_a_channel_without_a_route),
		cmocka_unit_test(test_CF_2_all_in_one_run),
		cmocka_unit_test(test_senders_of_the_policy),
		cmocka_unit_test(test_QH_countries_of_the_policy),
		cmocka_unit_test(test_FC_6_a_counter_is_not_lost_by_renaming),
		cmocka_unit_test(test_a_reload_tells_what_changes),
		cmocka_unit_test(test_the_policy_may_be_absent),
		cmocka_unit_test(test_MV_7_costly_characters_are_named),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
