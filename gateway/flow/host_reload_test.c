/* A plugin's configuration that changes under load, or is refused whole. */
#include "gateway/flow/host_fixture.h"

/* ---- configurations ---- */
#define WORD(w)                                                                   \
	"channels = ( " CHANNEL("a", "") " ); routes = ( { via = [ \"a\" ]; } );" \
					 " plugins = ( { name = \"trial\"; word = \"" w "\"; } );"

/* Reads two things of the configuration at two times within one call. */
struct look {
	struct plugin_call c; /* first */
	char word[2][40];
	const void *conf;
};
static atomic_uint looks_out, looks_mixed;

static int look_run(struct plugin_call *c)
{
	const struct trial_loaded *l = c->conf;
	struct look *k = (struct look *)c;

	memcpy(k->word[0], l->word, sizeof l->word);
	usleep(200);
	l = c->conf;
	memcpy(k->word[1], l->word, sizeof l->word);
	return trial_row(c, l->word, 0);
}

static void look_done(struct plugin_call *c)
{
	struct look *k = (struct look *)c;

	if (plugin_failed(c) || strcmp(k->word[0], k->word[1]) != 0)
		atomic_fetch_add(&looks_mixed, 1);
	mem_free(&k);
	atomic_fetch_sub(&looks_out, 1);
}

static bool no_looks_out(void *arg)
{
	return atomic_load(&looks_out) == 0;
}

static void test_CF_4_reload_under_load(void **state)
{
	enum { N = 600 };
	unsigned entered;
	const struct trial_loaded *l;

	trial_start(WORD("one"));
	for (unsigned i = 0; i < N; i++) {
		struct look *k = mem_new(struct look);

		k->c.run = look_run;
		k->c.done = look_done;
		k->c.bulk = i % 2;
		atomic_fetch_add(&looks_out, 1);
		plugin_call(trial_host(), &k->c);
		if (i % 60 == 59)
			fx_reload(i % 120 == 59 ? WORD("two") : WORD("one"));
	}
	assert_true(fx_until(no_looks_out, NULL, 60 * DUR_S));
	assert_int_equal(looks_mixed, 0);
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t"), N);
	l = plugin_enter(trial_host(), &entered);
	assert_string_equal(l->word, "one");
	plugin_leave(trial_host(), entered);
	assert_int_equal(trial.adopts, 11);
	fx_end();
	assert_int_equal(trial.loads, trial.unloads);
}

static void write_file(const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/trial.txt", fx.dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void in_force(const char *word, const char *text)
{
	unsigned entered;
	const struct trial_loaded *l = plugin_enter(trial_host(), &entered);

	assert_string_equal(l->word, word);
	assert_string_equal(l->text, text);
	plugin_leave(trial_host(), entered);
}

static void test_CF_3_reload_refused_whole(void **state)
{
	struct buf changes = BUF_INIT;
	struct conf_faults f = { 0 };
	struct err e = { 0 };
	struct settings *s;
	char dir[200], path[220];

	memset(&trial, 0, sizeof trial);
	fx_prepare();
	snprintf(dir, sizeof dir, "%s/", fx.dir);
	fx.files = dir;
	write_file("good");
	fx_start(WORD("one"));
	in_force("one", "good");

	write_file("broken"); /* a file of the plugin's own */
	assert_null(settings_load_text(str_of(fx.conf), fx.files, &f));
	assert_int_equal(f.errors, 1);
	conf_faults_free(&f);
	in_force("one", "good");

	write_file("better"); /* what its tables do not allow */
	s = fx_settings(WORD("unfit"));
	assert_int_equal(gateway_reload(fx.g, s, false, &changes, &e), -1);
	assert_non_null(strstr(e.text, "say was = \"a\""));
	settings_free(&s);
	in_force("one", "good");

	s = fx_settings("channels = ( " CHANNEL("a", "") " ); routes = ( { via = [ \"a\" ]; } );");
	assert_int_equal(gateway_reload(fx.g, s, false, &changes, &e), -1);
	settings_free(&s);

	buf_reset(&changes); /* only said */
	s = fx_settings(WORD("two"));
	assert_int_equal(gateway_reload(fx.g, s, true, &changes, &e), 0);
	assert_non_null(strstr(buf_cstr(&changes), "changed trial text to better"));
	assert_non_null(strstr(buf_cstr(&changes), "changed plugins[0].word"));
	settings_free(&s);
	in_force("one", "good");
	assert_string_equal(trial.said, "one ");

	fx_reload(WORD("two"));
	in_force("two", "better");
	assert_string_equal(trial.said, "one two ");
	fx_stop();
	snprintf(path, sizeof path, "%s/trial.txt", fx.dir);
	unlink(path);
	fx_forget();
	buf_free(&changes);
	assert_int_equal(trial.loads, trial.unloads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_CF_4_reload_under_load),
		cmocka_unit_test(test_CF_3_reload_refused_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
