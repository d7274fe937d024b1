/* What plugins serve, through a gateway with its API and control socket: items and their order,
 * scopes, limits, deadlines, streams, verbs.
 */
#include "gateway/base/fault.h"
#include "gateway/control/control.h"
#include "tests/api_client.h"
#include "tests/plugin_fixture.h"

#include <sys/un.h>

#define CONF(more)                                                                               \
	"channels = ( { name = \"a\"; type = \"probe\"; } ); routes = ( { via = [ \"a\" ]; } );" \
	" http = { listen = \"127.0.0.1:0\"; tokens = ("                                         \
	" { name = \"pos\"; token = \"t-pos\"; scopes = \"events\"; },"                          \
	" { name = \"crm\"; token = \"t-crm\"; scopes = \"messages\"; } ); };"                   \
	" plugins = ( { name = \"trial\"; " more " } );"

/* ---- the plugin's side ---- */
struct event {
	struct plugin_call c; /* first */
	struct plugin_request *r;
	char text[60];
};
static atomic_uint late_answers;
static dur_t patience = 20 * DUR_S;
static _Atomic(struct plugin_request *) kept;

static void worked(struct plugin_call *c)
{
	struct event *e = (struct event *)c;
	struct buf b = BUF_INIT;

	if (plugin_failed(c)) {
		plugin_problem(e->r, 503, NULL, "not now", NULL);
	} else {
		buf_printf(&b, "{\"text\":\"%s\"}", e->text);
		if (!plugin_answer(e->r, 200, &b))
			atomic_fetch_add(&late_answers, 1);
	}
	plugin_request_release(&e->r);
	mem_free(&e);
}

static int work(struct plugin_call *c)
{
	struct event *e = (struct event *)c;

	return trial_row(c, e->text, 0);
}

static int take(struct plugin_call *c)
{
	return trial_row(c, "raw", 0);
}

static void empty_lists(struct plugin_request *r)
{
	struct buf b = BUF_INIT;

	buf_c(&b, "{\"receipt\":[]}");
	plugin_answer(r, 200, &b);
}

/* On disk: the till waits for the rest, but not for long. */
static void taken(struct plugin_call *c)
{
	struct event *e = (struct event *)c;

	if (plugin_failed(c)) {
		worked(c);
		return;
	}
	plugin_deadline(e->r, patience, empty_lists);
	e->c.what = "work";
	e->c.run = work;
	e->c.done = worked;
	plugin_call(e->r->host, &e->c);
}

static void post_event(struct plugin_request *r, struct str body)
{
	struct json_faults f = { 0 };
	json_t *v = json_read(body, &f);
	struct event *e;

	if (!v) {
		plugin_problem_faults(r, 400, &f);
	} else if (strcmp(json_string_value(v), "silent") == 0) {
		/* a bug of the plugin's */
	} else if (strcmp(json_string_value(v), "keep") == 0) {
		json_decref(v);
		atomic_store(&kept, r);
		return;
	} else {
		e = mem_new(struct event);
		e->r = r;
		e->c.what = "take";
		e->c.refusable = true;
		e->c.run = take;
		e->c.done = taken;
		str_copy(e->text, sizeof e->text, str_of(json_string_value(v)));
		json_decref(v);
		plugin_call(r->host, &e->c);
		return;
	}
	json_decref(v);
	plugin_request_release(&r);
}

static void get_member(struct plugin_request *r, struct str body)
{
	struct buf b = BUF_INIT;
	struct str full;

	buf_c(&b, "{\"member\":");
	buf_json(&b, http_wild(r->http, 0));
	if (http_arg(r->http, "full", &full))
		buf_printf(&b, ",\"full\":\"%.*s\"", STR_ARG(full));
	buf_printf(&b, ",\"token\":\"%s\",\"body\":%zu}", r->token, body.n);
	plugin_answer(r, 200, &b);
	plugin_request_release(&r);
}

/* Counts lines; stops once. */
struct lines {
	unsigned n;
	bool stopped;
};

static void resume(struct plugin_call *c)
{
	struct event *e = (struct event *)c;

	plugin_request_resume(e->r);
	mem_free(&e);
}

static int nothing(struct plugin_call *c)
{
	return 0;
}

static size_t import(struct plugin_request *r, struct str octets, bool end)
{
	struct lines *l = r->state;
	struct buf b = BUF_INIT;

	if (!l)
		r->state = l = mem_new(struct lines);
	if (!end && !l->stopped && octets.n) {
		struct event *e = mem_new(struct event);

		l->stopped = true;
		e->r = r;
		e->c.run = nothing;
		e->c.done = resume;
		plugin_call(r->host, &e->c);
		return 0;
	}
	for (size_t i = 0; i < octets.n; i++)
		l->n += octets.p[i] == '\n';
	if (end) {
		buf_printf(&b, "{\"lines\":%u}", l->n);
		mem_free(&l);
		plugin_answer(r, 200, &b);
		plugin_request_release(&r);
	}
	return octets.n;
}

static void import_gone(struct plugin_request *r)
{
	mem_free(&r->state);
	plugin_problem(r, 400, NULL, "gone", NULL);
	plugin_request_release(&r);
}

static const struct plugin_route routes[] = {
	{ "POST", "/v1/events", SCOPE_EVENTS, .many = true, .intake = true, .run = post_event },
	{ "GET", "/v1/members/*", SCOPE_EVENTS, .run = get_member },
	{ "PUT", "/v1/members/*", SCOPE_EVENTS, .run = get_member, .body_most = 100 },
	{ "POST", "/v1/members/import", SCOPE_EVENTS, .stream = import, .gone = import_gone },
	{ NULL },
};

static int verb_members(struct plugin_words *w, struct err *e)
{
	const char *to = w->option(w, "to");

	if (w->args_n && strcmp(w->args[0], "bad") == 0)
		return err_set(e, ERR_INPUT, "there is no member \"%s\"", w->args[0]);
	if (w->args_n && strcmp(w->args[0], "half") == 0) {
		buf_c(w->out, w->as_json ? "[1]" : "one\n");
		err_set(e, ERR_INPUT, "one is missing");
		return 1;
	}
	buf_printf(w->out, w->as_json ? "{\"n\":%zu,\"to\":\"%s\"}" : "%zu members to %s\n",
		w->args_n, to ? to : "");
	return 0;
}
static const struct plugin_verb verbs[] = { { "members", "members …\n", verb_members }, { NULL } };

/* ---- life ---- */
static void start(const char *conf)
{
	struct err e = { 0 };

	plugin_trial.routes = routes;
	plugin_trial.verbs = verbs;
	trial_start(conf);
	api = api_start(fx.g, &e);
	if (!api)
		fail_msg("%s", e.text);
	log_set_level(LOG_ERROR);
}

static void end(void)
{
	api_stop_accepting(api);
	fx_stop();
	api_stop(&api);
	fx_forget();
}

/* ---- a client ---- */
static int ask(const char *method, const char *path, const char *body)
{
	return answer_of(ask_token(method, path, "t-pos", NULL, str_of(body)));
}

static const char *body(void)
{
	const char *p = strstr(got, "\r\n\r\n");

	return p ? p + 4 : "";
}

/* ---- tests ---- */
static void test_one(void **state)
{
	start(CONF(""));
	assert_int_equal(ask("POST", "/v1/events", "\"hello\""), 200);
	assert_string_equal(body(), "{\"text\":\"hello\"}");
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t"), 2);
	assert_int_equal(ask("POST", "/v1/events", "{"), 400);
	assert_non_null(strstr(got, "application/problem+json"));
	assert_int_equal(ask("POST", "/v1/events", ""), 400);
	assert_int_equal(ask("POST", "/v1/events", "\"silent\""), 500);
	assert_int_equal(ask("GET", "/v1/members/4%2f7?full=yes", ""), 200);
	assert_string_equal(
		body(), "{\"member\":\"4/7\",\"full\":\"yes\",\"token\":\"pos\",\"body\":0}");
	assert_int_equal(ask("PUT", "/v1/members/x", "12345"), 200);
	assert_non_null(strstr(body(), "\"body\":5"));
	assert_int_equal(ask("DELETE", "/v1/members/x", ""), 405);
	end();
}

static void test_who(void **state)
{
	start(CONF(""));
	assert_int_equal(answer_of(ask_token("POST", "/v1/events", NULL, NULL, STR("\"x\""))), 401);
	assert_int_equal(
		answer_of(ask_token("POST", "/v1/events", "t-crm", NULL, STR("\"x\""))), 403);
	assert_int_equal(trial_number("SELECT count(*) FROM trial_t"), 0);
	end();
}

static void test_many(void **state)
{
	enum { N = 5000 };
	struct buf b = BUF_INIT;
	const char *p;

	start(CONF(""));
	assert_int_equal(ask("POST", "/v1/events", "[\"a\", {\"x\":}, \"b\"]"), 200);
	assert_non_null(strstr(body(), "[{\"status\":200,\"text\":\"a\"},{\"type\""));
	assert_non_null(strstr(body(), "\"status\":400"));
	assert_non_null(strstr(body(), ",{\"status\":200,\"text\":\"b\"}]"));
	assert_int_equal(ask("POST", "/v1/events", "[]"), 200);
	assert_string_equal(body(), "[]");
	/* what came before it broke off was taken, and is told so */
	assert_int_equal(ask("POST", "/v1/events", "[\"c\", \"d"), 200);
	assert_non_null(strstr(body(), "[{\"status\":200,\"text\":\"c\"},{\"type\""));
	assert_non_null(strstr(body(), "cut off"));
	assert_int_equal(ask("POST", "/v1/events", "[\"d"), 400);
	for (int i = 0; i < N; i++)
		buf_printf(&b, "\"e%d\"\n", i);
	assert_int_equal(answer_of(ask_token("POST", "/v1/events", "t-pos", "application/x-ndjson",
				 buf_view(&b))),
		200);
	p = body();
	for (int i = 0; i < N; i++) {
		char want[40];

		snprintf(want, sizeof want, "\"text\":\"e%d\"", i);
		p = strstr(p, want);
		assert_non_null(p);
	}
	buf_free(&b);
	end();
}

/* AC-4: the plugin stalls for five seconds; the till is answered in time, with empty lists. */
static void test_AC_4_deadline(void **state)
{
	mono_t start_at;

	fault_init("stall-work:2");
	patience = 150 * DUR_MS;
	start(CONF(""));
	assert_int_equal(ask("POST", "/v1/events", "\"quick\""), 200);
	start_at = clock_mono();
	assert_int_equal(ask("POST", "/v1/events", "\"slow\""), 200);
#ifdef __OPTIMIZE__
	assert_true(clock_mono() - start_at < 300 * DUR_MS);
#else
	(void)start_at; /* slower than any promise */
#endif
	assert_string_equal(body(), "{\"receipt\":[]}");
	assert_int_equal(
		trial_number("SELECT count(*) FROM trial_t WHERE what = 'slow'"), 1); /* later */
	for (int i = 0; i < 1000 && !atomic_load(&late_answers); i++)
		usleep(2000);
	assert_int_equal(atomic_load(&late_answers), 1);
	end();
	patience = 20 * DUR_S;
	fault_init("");
}

static void test_limits(void **state)
{
	struct plugin_request *r;
	int fd;

	start(CONF("intake_most = 1;"));
	fd = ask_token("POST", "/v1/events", "t-pos", NULL, STR("\"keep\""));
	for (int i = 0; i < 1000 && !atomic_load(&kept); i++)
		usleep(2000);
	assert_int_equal(ask("POST", "/v1/events", "\"x\""), 429);
	assert_non_null(strstr(got, "Retry-After: 1"));
	r = atomic_load(&kept);
	assert_non_null(r);
	plugin_answer(r, 202, NULL);
	plugin_request_release(&r);
	assert_int_equal(answer_of(fd), 202);
	assert_int_equal(ask("POST", "/v1/events", "\"x\""), 200);
	end();

	start(CONF("intake_rate = 2.0;"));
	for (int i = 0; i < 6; i++)
		if (ask("POST", "/v1/events", "\"x\"") == 429)
			break;
	assert_non_null(strstr(got, " 429 "));
	clock_shift(3 * DUR_S);
	assert_int_equal(ask("POST", "/v1/events", "\"x\""), 200);
	end();
}

static void test_stream(void **state)
{
	struct buf b = BUF_INIT;
	int fd;

	start(CONF(""));
	for (int i = 0; i < 300000; i++)
		buf_c(&b, "46700000001,x\n");
	assert_int_equal(answer_of(ask_token(
				 "POST", "/v1/members/import", "t-pos", "text/csv", buf_view(&b))),
		200);
	assert_string_equal(body(), "{\"lines\":300000}");
	buf_free(&b);
	fd = dial(); /* goes away in the middle */
	assert_true(
		dprintf(fd,
			"POST /v1/members/import HTTP/1.1\r\nHost: x\r\n"
			"Authorization: Bearer t-pos\r\nContent-Length: 1000\r\n\r\nabc\n") > 0);
	usleep(50000);
	close(fd);
	usleep(50000);
	end();
}

static void said(const char *line, const char *want)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t at = 0;
	ssize_t n;

	snprintf(sa.sun_path, sizeof sa.sun_path, "%.94s/control.sock", fx.dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_true(dprintf(fd, "%s\n", line) > 0);
	while ((n = recv(fd, got + at, sizeof got - 1 - at, 0)) > 0)
		at += (size_t)n;
	got[at] = '\0';
	close(fd);
	assert_string_equal(got, want);
}

static void test_verbs(void **state)
{
	struct control *ctl;
	struct err e = { 0 };

	start(CONF(""));
	ctl = control_start(fx.g, "/nowhere", api, &e);
	assert_non_null(ctl);
	said("{\"verb\":\"members\",\"args\":[\"a\",\"b\"],\"options\":{\"to\":\"46\"}}",
		"{\"ok\":\"2 members to 46\\n\"}\n");
	said("{\"verb\":\"members\",\"args\":[],\"options\":{\"json\":true}}",
		"{\"ok\":{\"n\":0,\"to\":\"\"}}\n");
	said("{\"verb\":\"members\",\"args\":[\"bad\"]}",
		"{\"error\":\"there is no member \\\"bad\\\"\"}\n");
	said("{\"verb\":\"members\",\"args\":[\"half\"]}",
		"{\"error\":\"one is missing\",\"out\":\"one\\n\"}\n");
	said("{\"verb\":\"members\",\"args\":[\"half\"],\"options\":{\"json\":true}}",
		"{\"error\":\"one is missing\",\"out\":[1]}\n");
	said("{\"verb\":\"wonder\"}", "{\"error\":\"unknown verb \\\"wonder\\\"\"}\n");
	control_stop(ctl);
	api_stop_accepting(api);
	fx_stop();
	api_stop(&api);
	control_free(&ctl);
	fx_forget();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_who),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_AC_4_deadline),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_verbs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
