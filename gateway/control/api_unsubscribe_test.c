/* Unsubscribe links through a gateway with its API, with and without the plugin that knows consent;
 * and what bounces and complaints leave among the suppressions.
 */
#include "gateway/control/control.h"
#include "gateway/mail/mail.h"
#include "tests/api_client.h"

#define HEAD                                                                                       \
	"channels = ( { name = \"a\"; type = \"probe\"; } ); routes = ( { via = [ \"a\" ]; } );"   \
	" http = { listen = \"127.0.0.1:0\"; tokens = ( { name = \"crm\"; token = \"t\";"          \
	" scopes = [ \"messages\", \"members\" ]; } ); };"                                         \
	" mail = { secret = \"0123456789abcdef\"; unsubscribe_url = \"https://shop.example/u/\"; " \
	"};"
#define OFFERS " plugins = ( { name = \"offers\"; } );"

static void start(const char *more)
{
	static char conf[2000];

	snprintf(conf, sizeof conf, "%s%s", HEAD, more);
	log_set_level(LOG_ERROR);
	api_begin(conf, "policy = { consent_default = \"all\"; unverified = true; };");
}

static int end(void **state)
{
	api_end();
	return 0;
}

static const char *link_to(uint64_t msg, const char *address, const char *row, wall_t made)
{
	static char path[MAIL_UNSUBSCRIBE_TOKEN + 8];
	char token[MAIL_UNSUBSCRIBE_TOKEN];

	assert_true(mail_unsubscribe_token(
		&gateway_settings(fx.g)->mail, msg, str_of(address), str_of(row), made, token));
	snprintf(path, sizeof path, "/u/%s", token);
	return path;
}

static int post(const char *path, const char *type, const char *body)
{
	return answer_of(ask_token("POST", path, NULL, type, str_of(body)));
}

static int get(const char *path)
{
	return answer_of(ask_token("GET", path, NULL, NULL, STR_NONE));
}

static const char *suppressions(void)
{
	assert_int_equal(
		answer_of(ask_token("GET", "/v1/suppressions?limit=100", "t", NULL, STR_NONE)),
		200);
	return strstr(got, "{\"suppressions\"");
}

static uint64_t figure(const char *result)
{
	char labels[60];
	uint64_t n = 0;

	snprintf(labels, sizeof labels, "result=\"%s\"", result);
	if (!stat_lookup("postern_unsubscribe_requests_total", labels, &n))
		fail_msg("there is no figure %s", labels);
	return n;
}

#define FORM  "application/x-www-form-urlencoded"
#define CLICK "List-Unsubscribe=One-Click"

static bool line_of(uint64_t id, const char *what)
{
	struct store_view v = fx_view(id);
	bool there = false;

	for (unsigned i = 0; i < v.history_n; i++)
		there |= strcmp(v.history[i].what, what) == 0;
	store_view_free(&v);
	return there;
}

/* POST does it, GET asks; an address of nobody is kept among the suppressions. */
static void test_one_click(void **state)
{
	const char *path;
	uint64_t id;

	start(OFFERS);
	id = fx_send((struct fx_msg){ .to = "a@b.example", .media = MEDIA_EMAIL });
	path = link_to(id, "a@b.example", "Advertisement", clock_wall());
	assert_int_equal(get(path), 200);
	assert_non_null(strstr(got, "a…@b.example"));
	assert_null(strstr(got, "a@b.example"));
	assert_non_null(strstr(got, "<form method=\"post\">"));
	assert_non_null(strstr(got, "no-store"));
	assert_non_null(strstr(suppressions(), "{\"suppressions\":[]}"));
	assert_false(line_of(id, "unsubscribe"));
	assert_int_equal(post(path, FORM, CLICK), 200);
	assert_true(line_of(id, "unsubscribe"));
	assert_non_null(strstr(suppressions(),
		"{\"address\":\"a@b.example\",\"media\":\"email\",\"row\":\"Advertisement\","
		"\"reason\":\"unsubscribe\""));
	assert_non_null(strstr(got, "\"by\":\"email one-click\",\"proof\":\"message "));
	/* again: the same; as a browser's form of several parts, too */
	assert_int_equal(post(path, "multipart/form-data; boundary=x",
				 "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\""
				 "\r\n\r\nOne-Click\r\n--x--\r\n"),
		200);
	assert_int_equal(figure("taken"), 2);
	assert_int_equal(figure("shown"), 1);
}

/* Of all: all marketing, and nothing else; of a message that is forgotten as well. */
static void test_of_all(void **state)
{
	start(OFFERS);
	assert_int_equal(post(link_to(4711, "x@y.example", "", clock_wall()), FORM, CLICK), 200);
	suppressions();
	assert_non_null(strstr(got, "\"row\":\"CommunicationOffer\",\"reason\":\"unsubscribe\""));
	assert_non_null(strstr(got, "\"row\":\"Advertisement\",\"reason\":\"unsubscribe\""));
	assert_null(strstr(got, "\"row\":\"*\""));
	assert_null(strstr(got, "\"row\":\"System\""));
	/* a row is taken back by its name */
	assert_int_equal(answer_of(ask_token("DELETE",
				 "/v1/suppressions?media=email&address=x@y.example"
				 "&row=Advertisement",
				 "t", NULL, STR_NONE)),
		200);
	suppressions();
	assert_null(strstr(got, "Advertisement"));
	assert_non_null(strstr(got, "CommunicationOffer"));
}

static void test_refused(void **state)
{
	char bad[600];
	const char *path;

	start(OFFERS);
	path = link_to(1, "a@b.example", "", clock_wall());
	snprintf(bad, sizeof bad, "%s", path);
	bad[strlen(bad) - 1] ^= 1;
	assert_int_equal(post(bad, FORM, CLICK), 404);
	assert_int_equal(get(bad), 404);
	assert_int_equal(get("/u/x"), 404);
	assert_int_equal(post("/u/x", FORM, CLICK), 404);
	assert_int_equal(figure("forged"), 4);
	assert_int_equal(post(path, FORM, ""), 400);
	assert_int_equal(post(path, FORM, "List-Unsubscribe=No"), 400);
	assert_int_equal(figure("malformed"), 2);
	path = link_to(1, "a@b.example", "", clock_wall() - 401 * DUR_DAY);
	assert_int_equal(post(path, FORM, CLICK), 410);
	assert_int_equal(get(path), 410);
	assert_int_equal(figure("expired"), 2);
	assert_non_null(strstr(suppressions(), "{\"suppressions\":[]}"));
}

/* Without the plugin the message's history is what knows of it; without that nobody would. */
static void test_nobody_remembers(void **state)
{
	uint64_t id;

	start("");
	id = fx_send((struct fx_msg){ .to = "a@b.example", .media = MEDIA_EMAIL });
	assert_int_equal(post(link_to(id, "a@b.example", "", clock_wall()), FORM, CLICK), 200);
	assert_true(line_of(id, "unsubscribe"));
	assert_int_equal(post(link_to(4711, "a@b.example", "", clock_wall()), FORM, CLICK), 410);
}

static void test_throttled(void **state)
{
	unsigned taken = 0, refused = 0;
	const char *path;

	start(OFFERS);
	path = link_to(1, "a@b.example", "", clock_wall());
	atomic_store(&api->unsubscribe_next, clock_mono() + 9900 * DUR_MS);
	for (int i = 0; i < 30; i++) {
		int status = post(path, FORM, CLICK);

		taken += status == 200;
		refused += status == 429;
	}
	assert_int_equal(taken + refused, 30);
	assert_in_range(taken, 5, 29);
	assert_int_equal(figure("throttled"), refused);
	clock_shift(10 * DUR_S);
	assert_int_equal(post(path, FORM, CLICK), 200);
}

/* ---- bounces and complaints, by the same way ---- */
static atomic_int heard;
static void stored(void *ctx, bool is, bool known)
{
	assert_true(is);
	atomic_fetch_add(&heard, 1);
}

static void hear(struct evidence v)
{
	int was = atomic_load(&heard);

	gateway_evidence(fx.g, &v, fx.door->loop, stored, NULL);
	for (int i = 0; i < 5000 && atomic_load(&heard) == was; i++)
		usleep(1000);
	assert_int_equal(atomic_load(&heard), was + 1);
}

static void test_suppressions(void **state)
{
	struct evidence v = { .kind = EVIDENCE_STATE,
		.state = STATE_UNDELIVERABLE,
		.reason = REASON_FAR_DESTINATION,
		.dead = true,
		.err = "5.1.1",
		.words = "550 no such user",
		.by = "dsn" };

	start(OFFERS);
	v.msg = fx_send((struct fx_msg){ .to = "Dead@B.example", .media = MEDIA_EMAIL });
	hear(v);
	suppressions();
	assert_non_null(strstr(got, "\"row\":\"*\",\"reason\":\"bounce\""));
	assert_non_null(strstr(got, "\"by\":\"email dsn\""));
	assert_non_null(strstr(got, " 5.1.1: 550 no such user\""));
	assert_non_null(strstr(got, "@b.example\""));
	v.dead = false; /* refused, but the address lives */
	v.msg = fx_send((struct fx_msg){ .to = "full@b.example", .media = MEDIA_EMAIL });
	hear(v);
	assert_null(strstr(suppressions(), "full@b.example"));
	v = (struct evidence){ .kind = EVIDENCE_COMPLAINT, .to = "angry@b.example", .by = "arf" };
	hear(v);
	suppressions();
	assert_non_null(strstr(got, "\"address\":\"angry@b.example\",\"media\":\"email\",\"row\":"
				    "\"Advertisement\",\"reason\":\"complaint\""));
	assert_non_null(strstr(got, "\"row\":\"CommunicationOffer\",\"reason\":\"complaint\""));
	assert_null(strstr(got, "\"row\":\"*\",\"reason\":\"complaint\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_one_click, end),
		cmocka_unit_test_teardown(test_of_all, end),
		cmocka_unit_test_teardown(test_refused, end),
		cmocka_unit_test_teardown(test_nobody_remembers, end),
		cmocka_unit_test_teardown(test_throttled, end),
		cmocka_unit_test_teardown(test_suppressions, end),
	};

	return cmocka_run_group_tests_name("api_unsubscribe", tests, NULL, NULL);
}
