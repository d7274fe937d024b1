/* What is wrong with a configuration is said with file, line, object and a hint, all of it in one
 * run (CF-2).
 */
#include "plugins/offers/rules_fixture.h"

/* One broken thing each: the text, the line (0: any) and what must be said. */
struct broken {
	const char *text, *says;
};
#define OFFER(rest) "offer = { name = \"o\"; " rest " };"
static const struct broken cases[] = {
	{ OFFER("when = \"purchase.completed\"; steps = ( { after = \"1 day\"; at = \"holiday "
		"10:00-12:00\"; send = \"hello\"; via = \"sms\"; } );"),
		"policy.holidays has none" },
	{ OFFER("when = \"purchase.completed\"; steps = ( { after = \"1 day\"; at = "
		"\"mon-fri,-holiday 10:00-12:00\"; send = \"hello\"; via = \"sms\"; } );"),
		"policy.holidays has none" },
	{ OFFER("when = \"purchase.completed\"; steps = ( { after = \"1 day\"; at = "
		"\"mon-fri,-wed 10:00-12:00\"; send = \"hello\"; via = \"sms\"; } );"),
		"only -holiday can be left out" },
	{ OFFER("when = \"purchase.completed\"; steps = ( { after = \"1 day\"; at = "
		"\"mon-fri,-holidays 10:00-12:00\"; send = \"hello\"; via = \"sms\"; } );"),
		"or -holiday for those that are no holidays" },
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_CF_2_every_fault_has_its_place),
		cmocka_unit_test(test_CF_2_a_hundred_files_in_one_run),
		cmocka_unit_test(test_CF_2_all_in_one_run),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
