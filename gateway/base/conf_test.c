/* The configuration engine: values, faults with their places and words, files, includes, secrets,
 * variants, comparison, and what is printed from the tables. */
#include "gateway/base/conf_sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND  INT64_C(1000000000)
#define N_OF(a) (sizeof(a) / sizeof *(a))

struct run {
	struct arena *a;
	struct conf_faults f;
	struct sample *s;
	struct buf text;
	int rc;
};

static void run_free(struct run *r)
{
	buf_free(&r->text);
	conf_faults_free(&r->f);
	arena_free(&r->a);
}

static struct run run_text(const char *text)
{
	struct run r = { .a = arena_new() };
	void *out = NULL;

	r.rc = conf_load_text(
		"t", str_of(text), sample_rows, sizeof(struct sample), r.a, &out, &r.f);
	r.s = out;
	conf_faults_text(&r.f, &r.text);
	buf_cstr(&r.text);
	return r;
}

static struct run run_file(const char *path)
{
	struct run r = { .a = arena_new() };
	void *out = NULL;

	r.rc = conf_load(path, sample_rows, sizeof(struct sample), r.a, &out, &r.f);
	r.s = out;
	conf_faults_text(&r.f, &r.text);
	buf_cstr(&r.text);
	return r;
}

/* Each test with files works in a folder of its own. */
static char folder[64];

static int enter(void **state)
{
	str_copy(folder, sizeof folder, STR("/tmp/postern-conf-XXXXXX"));
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void put(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* ---- tables ------------------------------------------------------------------------------- */

static void tables_are_sound(void **state)
{
	static const struct conf_item narrow[] = { CONF_INT(struct sample_common, port, 0, 65536, 1,
							   "Too wide for its field."),
		CONF_END };
	static const struct conf_item other[] = { CONF_GROUP(struct sample, tls, sample_route_rows,
							  "Rows of another struct."),
		CONF_END };
	static const struct conf_item twice[] = { CONF_SECRET(struct sample_http, endpoint, "A."),
		CONF_PATH(struct sample_http, key_file, NULL, "B.", .as = "endpoint_file"),
		CONF_END };
	static const struct conf_item mute[] = { CONF_STR(struct sample_http, endpoint, NULL, ""),
		CONF_END };
	static const struct conf_item late[] = { CONF_DURATION(struct sample_common, idle, "1s",
							 "2s", "3s", "Default out of range."),
		CONF_END };
	struct err e = { 0 };

	if (conf_table_check(sample_rows, sizeof(struct sample), &e))
		fail_msg("%s", e.text);
	assert_int_equal(conf_table_check(sample_rows, 8, &e), -1);
	assert_int_equal(conf_table_check(narrow, sizeof(struct sample_common), &e), -1);
	assert_int_equal(conf_table_check(other, sizeof(struct sample), &e), -1);
	assert_int_equal(conf_table_check(twice, sizeof(struct sample_http), &e), -1);
	assert_int_equal(conf_table_check(mute, sizeof(struct sample_http), &e), -1);
	assert_int_equal(conf_table_check(late, sizeof(struct sample_common), &e), -1);
}

/* ---- what is loaded ----------------------------------------------------------------------- */

static void defaults(void **state)
{
	struct run r = run_text("");
	const struct sample *d = conf_defaults(sample_rows, sizeof *d, r.a);
	const struct sample_store *store = r.s->store;

	assert_string_equal(r.text.p, "");
	assert_int_equal(r.rc, 0);
	assert_null(r.s->node);
	assert_string_equal(r.s->state, "/var/lib/postern");
	assert_int_equal(r.s->level, LEVEL_INFO);
	assert_int_equal(r.s->scopes, SCOPE_READ);
	assert_int_equal(r.s->retention, 30 * 86400 * SECOND);
	assert_int_equal(r.s->buffer, 65536);
	assert_true(r.s->tls.verify);
	assert_int_equal(r.s->channels_n, 0);
	assert_string_equal(r.s->engine, "memory");
	assert_int_equal(store->pages, 2000);
	assert_true(conf_equal(sample_rows, r.s, d));
	run_free(&r);
}

static const char whole[] =
	"node = \"gw1\"; state = \"st\"; level = \"error\"; scopes = [ \"read\", \"write\" ];\n"
	"retention = \"14 days\"; buffer = \"128KiB\"; pages = 0xffffffff;\n"
	"tls = { verify = false; };\n"
	"channels = (\n"
	"  { name = \"a\"; type = \"smpp\"; host = \"h\"; port = 9; password = \"s3cret\";\n"
	"    idle = \"1h30m\"; tls = { }; status = { A = \"info\"; B = \"error\"; };\n"
	"    accounts = ( { system_id = \"x\"; password = \"pw\"; allow = \"10.0.0.1\"; rate = 5; "
	"},\n"
	"                 { system_id = \"y\"; rate = 1.5; allow = [ ]; } ); },\n"
	"  { name = \"b\"; type = \"http\"; endpoint = \"http://\" \"y\"; connections = 3L; },\n"
	"  { type = \"null\"; name = \"c\"; } );\n"
	"routes = { via = [ \"a\", \"b\" ]; colour = \"blue\"; weight = 3; on = true; };\n"
	"counters = { k = { most = 255; }; };\n"
	"templates = { t = { sms_parts = 4; en = { text = \"hi\"; }; sv = { text = \"hej\"; }; }; "
	"};\n";

static void loads_every_row(void **state)
{
	struct run r = run_text(whole);
	const struct sample_smpp *smpp;
	const struct sample_http *http;
	const struct sample_account *acc;
	const struct sample_route *route;

	assert_string_equal(r.text.p, "");
	assert_int_equal(r.rc, 0);
	assert_string_equal(r.s->node, "gw1");
	assert_string_equal(r.s->state, "st");
	assert_int_equal(r.s->level, LEVEL_ERROR);
	assert_int_equal(r.s->scopes, SCOPE_READ | SCOPE_WRITE);
	assert_int_equal(((struct sample_store *)r.s->store)->pages, UINT32_MAX);
	assert_false(r.s->tls.verify);
	assert_int_equal(r.s->channels_n, 3);
	assert_string_equal(r.s->channels[0].type, "smpp");
	smpp = r.s->channels[0].specific;
	assert_string_equal(smpp->host, "h");
	assert_string_equal(smpp->password, "s3cret");
	assert_int_equal(smpp->common.port, 9);
	assert_int_equal(smpp->common.idle, 5400 * SECOND);
	assert_int_equal(smpp->window, 100);
	assert_true(smpp->tls_given);
	assert_true(smpp->tls.verify);
	assert_int_equal(smpp->status_n, 2);
	assert_string_equal(smpp->status[1].key, "B");
	assert_string_equal(smpp->status[1].value, "error");
	acc = r.s->channels[0].accounts;
	assert_int_equal(r.s->channels[0].accounts_n, 2);
	assert_int_equal(acc[0].allow_n, 1);
	assert_string_equal(acc[0].allow[0], "10.0.0.1");
	assert_true(acc[0].rate > 4.9 && acc[0].rate < 5.1);
	assert_int_equal(acc[1].allow_n, 0);
	assert_string_equal(acc[1].at.label, "channels[0] \"a\".accounts[1] \"y\"");
	assert_int_equal(acc[1].at.line, 8);
	assert_int_equal(conf_given(&acc[1].at, "rate")->line, 8);
	assert_null(conf_given(&acc[1].at, "password"));
	http = r.s->channels[1].specific;
	assert_string_equal(http->endpoint, "http://y");
	assert_int_equal(r.s->channels[1].connections, 3);
	assert_int_equal(r.s->routes_n, 1);
	route = r.s->routes;
	assert_int_equal(route->via_n, 2);
	assert_int_equal(route->notes_n, 3);
	assert_string_equal(route->notes[0].value, "blue");
	assert_string_equal(route->notes[1].value, "3");
	assert_string_equal(route->notes[2].value, "true");
	assert_string_equal(r.s->counters[0].name, "k");
	assert_int_equal(r.s->counters[0].most, 255);
	assert_int_equal(r.s->templates[0].parts, 4);
	assert_int_equal(r.s->templates[0].texts_n, 2);
	assert_string_equal(r.s->templates[0].texts[1].language, "sv");
	run_free(&r);
}

/* ---- faults ------------------------------------------------------------------------------- */

static void faults_of_text(void **state)
{
	static const struct {
		const char *text, *said; /* said NULL: no fault */
	} cases[] = {
		{ "nodde = \"a\";", "t:1: unknown key \"nodde\"; did you mean \"node\"?\n" },
		{ "zzzzzz = 1;", "t:1: unknown key \"zzzzzz\"\n" },
		{ "channels = ( { name = \"a\"; type = \"smpp\"; host = \"h\";\nwindw = 1; } );",
			"t:2: unknown key \"windw\" in channels[0] \"a\"; did you mean "
			"\"window\"?\n" },
		{ "channels = ( { name = \"a\"; type = \"smpp\"; host = \"h\"; pasword_file = "
		  "\"x\"; } );",
			"t:1: unknown key \"pasword_file\" in channels[0] \"a\"; did you mean "
			"\"password_file\"?\n" },
		{ "channels = ( { name = \"a\"; type = \"smp\"; x = 1; } );",
			"t:1: \"type\" in channels[0] \"a\": unknown type \"smp\"; did you mean "
			"\"smpp\"?\n" },
		{ "channels = ( { name = \"a\"; type = \"listens-only\"; } );",
			"t:1: \"type\" in channels[0] \"a\": unknown type \"listens-only\"; it "
			"takes "
			"\"smpp\", \"http\", \"null\"\n" },
		{ "channels = ( { name = \"a\"; x = 1; } );",
			"t:1: \"type\" is missing in channels[0] \"a\"\n" },
		{ "channels = ( { type = \"null\"; } );",
			"t:1: \"name\" is missing in channels[0]\n" },
		{ "channels = ( { name = \"a\"; type = 5; } );",
			"t:1: \"type\" in channels[0] \"a\": must be a word in quotes, not the "
			"integer "
			"5\n" },
		{ "\nchannels = ( { name = \"a\";\n type = \"smpp\"; } );",
			"t:2: \"host\" is missing in channels[0] \"a\"\n" },
		{ "channels = ( { name = \"a\"; type = \"smpp\"; host = \"h\";\nwindow = 0; } );",
			"t:2: \"window\" in channels[0] \"a\": 0 is out of range, it takes 1 to "
			"100000 "
			"messages\n" },
		{ "channels = ( { name = \"a\"; type = \"smpp\"; host = \"h\"; window = \"7\"; } "
		  ");",
			"t:1: \"window\" in channels[0] \"a\": must be an integer, not the text "
			"\"7\"\n" },
		{ "channels = ( { name = \"a\"; type = \"smpp\"; host = \"h\"; window = 5000; } );",
			"t:1: \"window\" in channels[0] \"a\": more than 1000 wants a password\n" },
		{ "channels = ( { name = \"a\"; type = \"smpp\"; host = \"a b\"; } );",
			"t:1: \"host\" in channels[0] \"a\": \"a b\" is not an address\n" },
		{ "channels = ( { name = \"a\"; type = \"null\"; connections = 99999999999L; } );",
			"t:1: \"connections\" in channels[0] \"a\": 99999999999 is out of range, "
			"it takes 1 "
			"to 64\n" },
		{ "channels = ( { name = \"a\"; type = \"null\"; connections = 1.0; } );",
			"t:1: \"connections\" in channels[0] \"a\": must be an integer, not the "
			"number 1\n" },
		{ "channels = ( { name = \"a\"; type = \"null\"; }, 7,\n{ name = \"a\"; type = "
		  "\"null\"; } "
		  ");",
			"t:1: channels[1]: must be a group { … }\n"
			"t:2: the name \"a\" is used twice in channels, first at t:1\n" },
		{ "channels = ( { name = \"\"; type = \"null\"; } );",
			"t:1: \"name\" in channels[0] \"\": is empty\n" },
		{ "channels = [ 1 ];", "t:1: \"channels\": must be a list of groups ( { … }, { … } "
				       "), not an array [ ]\n" },
		{ "channels = [ ];", NULL },
		{ "channels = ( );", NULL },
		{ "routes = ( { via = ( \"a\", 5 ); } );",
			"t:1: \"via\" in routes[0]: must be a list of texts [ \"a\", \"b\" ], not "
			"the "
			"integer 5\n" },
		{ "routes = ( { via = \"a\"; x = { }; } );",
			"t:1: \"x\" in routes[0]: must be a single value, not a group { }\n" },
		{ "tls = { verify = 1; };",
			"t:1: \"verify\" in tls: must be true or false, not the integer "
			"1\n" },
		{ "tls = \"on\";", "t:1: \"tls\": must be a group { … }, not the text \"on\"\n" },
		{ "level = \"inof\";",
			"t:1: \"level\": unknown word \"inof\"; did you mean \"info\"?\n" },
		{ "level = \"debug\";",
			"t:1: \"level\": unknown word \"debug\"; it takes \"error\", \"info\"\n" },
		{ "scopes = [ \"read\", \"rite\" ];",
			"t:1: \"scopes\": unknown word \"rite\"; did you mean \"write\"?\n" },
		{ "retention = 30;",
			"t:1: \"retention\": must be a duration in quotes, such as \"30s\", "
			"not the integer 30\n" },
		{ "retention = \"30\";", "t:1: \"retention\": \"30\" is not a duration: its unit "
					 "is one of ns, us, ms, s, m, "
					 "h, d, w (months and years differ in length)\n" },
		{ "retention = \"30s\";",
			"t:1: \"retention\": \"30s\" is out of range, it takes \"1h\" or more\n" },
		{ "buffer = \"2GiB\";", "t:1: \"buffer\": \"2GiB\" is out of range, it takes "
					"\"4KiB\" to \"1GiB\"\n" },
		{ "buffer = \"64K\";",
			"t:1: \"buffer\": \"64K\" is not a size: its unit is one of B, KiB, "
			"MiB, GiB, TiB (1024), kB, MB, GB, TB (1000)\n" },
		{ "node = \"\";", "t:1: \"node\": is empty\n" },
		{ "node = \"\\xff\";", "t:1: \"node\": is not valid UTF-8\n" },
		{ "counters = { a = 1; b = { }; };",
			"t:1: \"a\" in counters: must be a group { … }, not the integer 1\n"
			"t:1: \"most\" is missing in counters.b\n" },
		{ "templates = { t = { en = 5; }; };", "t:1: unknown key \"en\" in templates.t\n" },
		{ "engine = \"memry\";",
			"t:1: \"engine\": unknown engine \"memry\"; did you mean \"memory\"?\n" },
		{ "include = \"x\";", "t:1: unknown key \"include\"\n" },
		{ "node = \"a\";\nnode = \"b\";",
			"t:2: syntax error: this key is set already in its group\n" },
		{ "a = [ 1, \"b\" ];", "t:1: syntax error: [ ] holds values of one type; a list ( "
				       ") may mix them\n" },
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		struct run r = run_text(cases[i].text);
		const char *said = cases[i].said ? cases[i].said : "";

		if (strcmp(r.text.p, said) != 0 || r.rc != (said[0] ? -1 : 0))
			fail_msg("%s\nsaid: %swant: %s", cases[i].text, r.text.p, said);
		run_free(&r);
	}
}

static void all_faults_in_order(void **state)
{
	struct run r =
		run_text("buffer = 1;\nchannels = ( { name = \"a\"; type = \"null\"; },\n"
			 "{ name = \"b\"; type = \"nul\"; } );\nretention = 2;\nlevl = 3;\n");

	assert_int_equal(r.rc, -1);
	assert_int_equal(r.f.errors, 4);
	assert_string_equal(r.text.p,
		"t:1: \"buffer\": must be a size in quotes, such as \"64KiB\", not the integer 1\n"
		"t:3: \"type\" in channels[1] \"b\": unknown type \"nul\"; did you mean \"null\"?\n"
		"t:4: \"retention\": must be a duration in quotes, such as \"30s\", not the "
		"integer 2\n"
		"t:5: unknown key \"levl\"; did you mean \"level\"?\n");
	/* What is faulty keeps its name and place, so that references to it still resolve. */
	assert_int_equal(r.s->channels_n, 2);
	assert_string_equal(r.s->channels[1].name, "b");
	assert_null(r.s->channels[1].specific);
	run_free(&r);
}

/* The same on every libconfig, also on those that take more than 1.5 does (CF-1). With another one,
 * installed under DIR, this and the tests of examples and broken files run by
 *	PKG_CONFIG_PATH=DIR/lib/pkgconfig LD_LIBRARY_PATH=DIR/lib make OUT=build-conf unit T=conf
 * and T=rules, T=story, T=template; 1.8.2 was the newest one tried.
 */
static void hints(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "a = 14 days;", "1: syntax error: durations are strings: \"30s\"" },
		{ "\na = 30s\nb = 1\n", "2: syntax error: durations are strings: \"30s\"" },
		{ "a = 64KiB;", "1: syntax error: sizes are strings: \"64KiB\"" },
		{ "a = 10:00;", "1: syntax error: times are strings: \"10:00-20:00\"" },
		{ "a = 5%;", "1: syntax error: percentages are strings: \"5%\"" },
		{ "a = 1_000;", "1: syntax error: numbers are written without \"_\": 1000" },
		{ "a = 127.0.0.1:80;", "1: syntax error: addresses are strings: \"127.0.0.1\"" },
		{ "a = yes;", "1: syntax error: yes and no are written true and false" },
		{ "a = smpp;", "1: syntax error: text needs quotes: \"…\"" },
		{ "a = 'x';", "1: syntax error: text needs double quotes: \"…\"" },
		{ "a = ( { x = 1; },\n);", "2: syntax error: comma before \")\"" },
		{ "a = [ 1, ];", "1: syntax error: comma before \"]\"" },
		{ "a = 0b101;", "1: syntax error: what is not a plain number needs quotes" },
		{ "a = ( { x = 1; }\n{ y = 2; } );",
			"2: syntax error: \",\" is missing before this item" },
		{ "\na = {\n x = 1;\n", "2: syntax error: this \"{\" is never closed" },
		{ "a = ( { x = 1;\n);",
			"2: syntax error: \"{\" of line 1 is not closed before \")\"" },
		{ "a = \"x;\nb = \"y\";", "1: syntax error: this text runs on to line 2: is its "
					  "closing quote missing?" },
		{ "a = \"x", "1: syntax error: this text is never closed" },
		{ "a b = 3;", "1: syntax error: \"=\" is missing behind a key" },
		{ "a = \"s3\"cret\";", "1: syntax error: \"=\" is missing behind a key" },
		{ "a = \"s3\"?cret;", "1: syntax error: expected a key, found a stray sign" },
		{ "a.b = 3;",
			"1: syntax error: keys are made of ASCII letters, digits, \"-\", \"_\" and "
			"\"*\"" },
		{ "a = 1; }", "1: syntax error: \"}\" closes nothing" },
		{ "# c\n/* d */ a = ;", "2: syntax error: expected a value, found \";\"" },
		{ "a = \"@include\";\n  @include \"/dev/zero\"\n",
			"2: @include is not read here; the main file says include = [ \"…\" ];" },
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		struct run r = run_text(cases[i].text);
		char said[256];

		snprintf(said, sizeof said, "t:%s\n", cases[i].said);
		if (strcmp(r.text.p, said) != 0 || r.rc != -1 || !r.f.incomplete)
			fail_msg("%s\nsaid: %swant: %s", cases[i].text, r.text.p, said);
		run_free(&r);
	}
}

static void faults_at_keys(void **state)
{
	struct run r =
		run_text("routes = ( {\n via = \"x\"; },\n { via = \"y\";\n to = \"4\"; } );");

	assert_int_equal(r.rc, 0);
	conf_fault_at(&r.f, &r.s->routes[1].at, "to", "no %s", "way");
	conf_fault_at(&r.f, &r.s->routes[0].at, "to", "not given");
	conf_fault_at(&r.f, &r.s->routes[0].at, NULL, "bad\nline");
	conf_warn_at(&r.f, &r.s->at, "routes", "few");
	buf_reset(&r.text);
	conf_faults_text(&r.f, &r.text);
	assert_string_equal(buf_cstr(&r.text),
		"t:1: \"to\" in routes[0]: not given\nt:1: routes[0]: bad line\n"
		"t:1: warning: \"routes\": few\nt:4: \"to\" in routes[1]: no way\n");
	assert_int_equal(r.f.errors, 3);
	assert_int_equal(r.f.warnings, 1);
	run_free(&r);
}

/* ---- files -------------------------------------------------------------------------------- */

static void includes_join_lists(void **state)
{
	struct run r;

	assert_int_equal(mkdir("c.d", 0700), 0);
	assert_int_equal(mkdir("c[1]", 0700), 0);
	put("main.conf",
		"include = [ \"c.d/*.conf\", \"none.d/*.conf\", \"c.d/10.conf\" ];\nnode = \"n\";\n"
		"channels = ( { name = \"main\"; type = \"null\"; } );\nstate = \"st\";\n",
		0600);
	put("c.d/20.conf", "channels = ( { name = \"z\"; type = \"null\"; } );\n", 0600);
	put("c.d/10.conf",
		"channels = { name = \"y\"; type = \"null\"; };\ncounters = { a = { most = 1; }; "
		"};\n",
		0600);
	put("c.d/30.conf~", "broken", 0600);
	r = run_file("main.conf");
	assert_string_equal(r.text.p, "");
	assert_int_equal(r.s->channels_n, 3);
	assert_string_equal(r.s->channels[0].name, "main");
	assert_string_equal(r.s->channels[1].name, "y");
	assert_string_equal(r.s->channels[2].name, "z");
	assert_string_equal(r.s->channels[2].at.file, "c.d/20.conf");
	assert_int_equal(r.s->counters_n, 1);
	assert_string_equal(r.s->state, "st");
	run_free(&r);

	/* Patterns and paths begin at the main file's folder, whatever its name is. */
	put("c[1]/m.conf", "include = \"*.inc\"; state = \"st\";", 0600);
	put("c[1]/a.inc", "node = \"inc\";", 0600);
	r = run_file("c[1]/m.conf");
	assert_string_equal(r.text.p, "");
	assert_string_equal(r.s->node, "inc");
	assert_string_equal(r.s->state, "c[1]/st");
	run_free(&r);
}

static void faults_over_files(void **state)
{
	struct run r;

	assert_int_equal(mkdir("c.d", 0700), 0);
	put("main.conf",
		"include = [ \"c.d/*.conf\", \"gone.conf\", \"c.d\" ];\nretention = \"3d\";\nnodde "
		"= 1;\n"
		"channels = ( { name = \"a\"; type = \"null\"; } );\ntls = { };\n",
		0600);
	put("c.d/1.conf",
		"\nretention = \"4d\";\ntls = { };\nchannels = ( { name = \"a\"; "
		"type = \"null\"; } );\n",
		0600);
	put("c.d/2.conf", "x = 30s;\n", 0600);
	put("c.d/3.conf", "include = \"1.conf\";\nlevel = \"eror\";\n", 0600);
	r = run_file("main.conf");
	assert_int_equal(r.rc, -1);
	assert_true(r.f.incomplete);
	assert_string_equal(r.text.p,
		"main.conf:1: cannot read gone.conf: No such file or directory\n"
		"main.conf:1: cannot read c.d: a folder, not a file\n"
		"main.conf:3: unknown key \"nodde\"; did you mean \"node\"?\n"
		"c.d/1.conf:2: \"retention\": is set twice, first at main.conf:2\n"
		"c.d/1.conf:3: \"tls\": is set twice, first at main.conf:5\n"
		"c.d/1.conf:4: the name \"a\" is used twice in channels, first at main.conf:4\n"
		"c.d/2.conf:1: syntax error: durations are strings: \"30s\"\n"
		"c.d/3.conf:1: \"include\": an included file cannot include further ones\n"
		"c.d/3.conf:2: \"level\": unknown word \"eror\"; did you mean \"error\"?\n");
	run_free(&r);

	r = run_file("missing.conf");
	assert_int_equal(r.rc, -1);
	assert_string_equal(
		r.text.p, "missing.conf:1: cannot read missing.conf: No such file or directory\n");
	assert_non_null(r.s);
	run_free(&r);

	put("main.conf", "include = ( 5, \"*.inc\" );", 0600);
	r = run_file("main.conf");
	assert_string_equal(r.text.p, "main.conf:1: \"include\": must be a path or a list of paths "
				      "[ \"a\", \"b\" ], not the integer 5\n");
	run_free(&r);
}

static void equal_files(void **state)
{
	static const char *const globs[] = { "o.d/*.conf", "policy.conf", NULL };
	struct arena *a = arena_new();
	struct conf_faults f = { 0 };
	struct sample *s;
	void *out;

	assert_int_equal(mkdir("o.d", 0700), 0);
	put("o.d/1.conf", "routes = { via = \"a\"; };", 0600);
	put("o.d/2.conf", "routes = { via = \"b\"; };", 0600);
	put("policy.conf", "node = \"n\";", 0600);
	assert_int_equal(conf_load_globs(folder, globs, sample_rows, sizeof *s, a, &out, &f), 0);
	s = out;
	assert_int_equal(s->routes_n, 2);
	assert_string_equal(s->routes[1].via[0], "b");
	assert_string_equal(s->node, "n");
	conf_faults_free(&f);
	arena_free(&a);
}

#define SMPP(more) "channels = ( { name = \"a\"; type = \"smpp\"; host = \"h\";\n" more " } );\n"

static void secrets(void **state)
{
	struct run r;

	put("good", "s3cret\n", 0600);
	put("open", "s3cret\r\n", 0644);
	put("empty", "\n", 0600);
	assert_int_equal(mkfifo("pipe", 0600), 0);
	put("main.conf", SMPP("password_file = \"good\";"), 0644);
	r = run_file("main.conf");
	assert_string_equal(r.text.p, "");
	assert_string_equal(((struct sample_smpp *)r.s->channels->specific)->password, "s3cret");
	run_free(&r);

	put("main.conf", SMPP("password_file = \"open\";"), 0600);
	r = run_file("main.conf");
	assert_int_equal(r.rc, 0);
	assert_string_equal(r.text.p,
		"main.conf:2: warning: everyone can read the secret in open (chmod o-r)\n");
	assert_string_equal(((struct sample_smpp *)r.s->channels->specific)->password, "s3cret");
	run_free(&r);

	put("main.conf",
		SMPP("password = \"abc\"; accounts = ( { system_id = \"x\"; password = \"pw\"; } "
		     ");"),
		0644);
	r = run_file("main.conf");
	assert_int_equal(r.rc, 0);
	assert_string_equal(r.text.p,
		"main.conf:2: warning: everyone can read this file, and it holds "
		"secrets (chmod o-r)\n");
	run_free(&r);

	static const struct {
		const char *text, *said;
	} cases[] = {
		{ SMPP("password_file = \"gone\";"), "main.conf:2: \"password_file\" in "
						     "channels[0] \"a\": cannot read gone: No such "
						     "file or directory\n" },
		{ SMPP("password_file = \"pipe\";"),
			"main.conf:2: \"password_file\" in channels[0] \"a\": cannot read pipe: "
			"not a plain "
			"file\n" },
		{ SMPP("password_file = \"empty\";"),
			"main.conf:2: \"password_file\" in channels[0] \"a\": empty is empty\n" },
		{ SMPP("password_file = 5;"), "main.conf:2: \"password_file\" in channels[0] "
					      "\"a\": must be the path of a file in "
					      "quotes, not an integer\n" },
		{ SMPP("password = \"x\";\npassword_file = \"good\";"),
			"main.conf:3: \"password_file\" in channels[0] \"a\": \"password\" is "
			"given too, at "
			"main.conf:2; keep one\n" },
		{ SMPP("password = 424242;"), "main.conf:2: \"password\" in channels[0] \"a\": "
					      "must be text in quotes, not an "
					      "integer\n" },
		{ SMPP("accounts = { system_id = \"x\"; password = \"verylong!\"; };"),
			"main.conf:2: \"password\" in channels[0] \"a\".accounts[0] \"x\": has 9 "
			"bytes, it "
			"takes at most 8\n" },
		{ SMPP("tls = { ca_file = \"gone.pem\"; };"),
			"main.conf:2: \"ca_file\" in channels[0] \"a\".tls: cannot read gone.pem: "
			"No such "
			"file or directory\n" },
	};
	for (size_t i = 0; i < N_OF(cases); i++) {
		put("main.conf", cases[i].text, 0600);
		r = run_file("main.conf");
		assert_string_equal(r.text.p, cases[i].said);
		assert_int_equal(r.rc, -1);
		run_free(&r);
	}
}

/* ---- comparing ---------------------------------------------------------------------------- */

static void comparing(void **state)
{
	static const char base[] =
		"node = \"n\"; channels = ( { name = \"a\"; type = \"smpp\"; host = \"h\"; "
		"password = "
		"\"p1\"; }, { name = \"b\"; type = \"null\"; } ); routes = ( { via = \"a\"; } );";
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "\n\nnode = \"n\";\nchannels = ( { name = \"a\"; type = \"smpp\"; host = \"h\"; "
		  "password = "
		  "\"p1\"; window = 100; }, { name = \"b\"; type = \"null\"; } ); routes = ( { via "
		  "= [ \"a\" "
		  "]; } );",
			"" },
		{ "node = \"m\"; retention = \"31d\"; channels = ( { name = \"a\"; type = "
		  "\"smpp\"; host = "
		  "\"h\"; password = \"p2\"; window = 7; tls = { }; }, { name = \"b\"; type = "
		  "\"null\"; } ); "
		  "routes = ( { via = \"a\"; } );",
			"changed node\nchanged retention\nchanged "
			"channels[\"a\"].password\nchanged "
			"channels[\"a\"].window\nadded channels[\"a\"].tls\n" },
		{ "node = \"n\"; channels = ( { name = \"a\"; type = \"http\"; }, { name = \"c\"; "
		  "type = "
		  "\"null\"; } ); routes = ( { via = [ \"a\", \"c\" ]; x = 1; }, { via = \"c\"; } "
		  ");",
			"changed channels[\"a\"].type\nremoved channels[\"b\"]\nadded "
			"channels[\"c\"]\nchanged routes[0].via\nchanged routes[0].notes\nadded "
			"routes[1]\n" },
		{ "node = \"n\"; channels = ( { name = \"b\"; type = \"null\"; }, { name = \"a\"; "
		  "type = "
		  "\"smpp\"; host = \"h\"; password = \"p1\"; } ); routes = ( { via = \"a\"; } );",
			"reordered channels\n" },
		{ "node = \"n\"; channels = ( { name = \"a\"; type = \"smpp\"; host = \"h\"; "
		  "password = "
		  "\"p1\"; status = { A = \"info\"; }; port = 3; }, { name = \"b\"; type = "
		  "\"null\"; } ); "
		  "routes = ( { via = \"a\"; } ); counters = { k = { most = 1; }; }; scopes = "
		  "\"write\"; "
		  "tls = { verify = false; }; pages = 7;",
			"changed scopes\nchanged tls.verify\nchanged channels[\"a\"].port\nchanged "
			"channels[\"a\"].status\nadded counters[\"k\"]\nchanged pages\n" },
	};
	struct run a = run_text(base);

	assert_int_equal(a.rc, 0);
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct run b = run_text(cases[i].text);
		struct buf said = BUF_INIT;

		assert_string_equal(b.text.p, "");
		conf_describe_change(sample_rows, a.s, b.s, &said);
		assert_string_equal(buf_cstr(&said), cases[i].said);
		assert_int_equal(conf_equal(sample_rows, a.s, b.s), cases[i].said[0] == '\0');
		buf_free(&said);
		run_free(&b);
	}
	run_free(&a);
}

/* ---- printing ----------------------------------------------------------------------------- */

static void printing(void **state)
{
	static const char *const in_defaults[] = {
		"# Unanswered submit_sm allowed at once.\n",
		"  window = 100;  # integer, 1 to 100000 messages\n",
		"# ---- with type = \"smpp\": an SMSC\n",
		"  name = \"…\";  # text, used once, required\n",
		"buffer = \"64KiB\";  # size, \"4KiB\" to \"1GiB\"\n",
		"idle = \"1 min\";  # duration, \"1s\" to \"30d\"\n",
		"allow = [ \"127.0.0.1\", \"::1\" ];  # list of texts\n",
		"rate = 0.0;  # number, 0 or more messages/s\n",
		"#   \"error\": Faults alone.\n",
		"or password_file = \"path\"",
		"scopes = [ \"read\" ];  # any of \"read\", \"write\"\n",
	};
	static const char *const in_man[] = {
		".TP\n.B \"window = 100\"\nUnanswered submit_sm allowed at once.\n",
		"\n(integer, 1 to 100000 messages)\n",
		".SS \"channels[] with type = \\(dqsmpp\\(dq\"\nan SMSC\n",
		".SS \"channels[].accounts[]\"\nWho may bind.\n",
		".B \"NAME\"\nA language.\n",
	};
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	conf_print_defaults(f, sample_rows);
	assert_int_equal(fclose(f), 0);
	for (size_t i = 0; i < N_OF(in_defaults); i++)
		if (!strstr(text, in_defaults[i]))
			fail_msg("not in the defaults: %s\n%s", in_defaults[i], text);
	assert_null(strstr(text, "listens-only"));
	free(text);
	f = open_memstream(&text, &n);
	conf_print_man(f, sample_rows);
	assert_int_equal(fclose(f), 0);
	for (size_t i = 0; i < N_OF(in_man); i++)
		if (!strstr(text, in_man[i]))
			fail_msg("not in the manual: %s\n%s", in_man[i], text);
	free(text);
}

/* Ten thousand accounts load, are compared and are checked for names in far less than a second. */
static void large(void **state)
{
	struct buf b = BUF_INIT;
	struct run r, again;

	buf_c(&b, "channels = ( { name = \"a\"; type = \"null\"; accounts = (");
	for (int i = 0; i < 10000; i++)
		buf_printf(&b, "%s{ system_id = \"u%d\"; }", i ? ",\n" : "", i);
	buf_c(&b, "); } );");
	r = run_text(buf_cstr(&b));
	again = run_text(buf_cstr(&b));
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.s->channels[0].accounts_n, 10000);
	assert_int_equal(r.s->channels[0].accounts[9999].at.line, 10000);
	assert_true(conf_equal(sample_rows, r.s, again.s));
	run_free(&r);
	run_free(&again);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_sound),
		cmocka_unit_test(defaults),
		cmocka_unit_test(loads_every_row),
		cmocka_unit_test(faults_of_text),
		cmocka_unit_test(all_faults_in_order),
		cmocka_unit_test(hints),
		cmocka_unit_test(faults_at_keys),
		cmocka_unit_test_setup_teardown(includes_join_lists, enter, leave),
		cmocka_unit_test_setup_teardown(faults_over_files, enter, leave),
		cmocka_unit_test_setup_teardown(equal_files, enter, leave),
		cmocka_unit_test_setup_teardown(secrets, enter, leave),
		cmocka_unit_test(comparing),
		cmocka_unit_test(printing),
		cmocka_unit_test(large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
