/* POST /v1/messages for email: senders, headers, links, attachments, small ones and those that go
 * to the spool, and what GET shows of them.
 */
#include "gateway/control/control.h"
#include "gateway/mail/mail.h"
#include "tests/api_client.h"

#include <sys/resource.h>

#define CONF                                                                              \
	"channels = ( { name = \"a\"; type = \"probe\"; } ); routes = ( { to = \"no@*\";" \
	" via = [ \"a\" ]; media = \"sms\"; }, { media = [ \"email\", \"sms\" ]; to = "   \
	"\"*@b.example\"; via = [ \"a\" ]; } );"                                          \
	" http = { listen = \"127.0.0.1:0\"; tokens = ( { name = \"crm\"; token = \"t\"; } ); };"
#define FROM " mail = { sender = \"shop@s.example\"; };"

static void start(const char *more)
{
	static char conf[2000];
	struct err e = { 0 };

	fx_prepare();
	snprintf(conf, sizeof conf, "%s%s", CONF, more);
	fx_start(conf);
	api = api_start(fx.g, &e);
	if (!api)
		fail_msg("%s", e.text);
	log_set_level(LOG_ERROR);
}

static bool drop_file(void *ctx, struct str name)
{
	spool_remove(ctx, name);
	return true;
}

static int end(void **state)
{
	api_stop_accepting(api);
	spool_each(gateway_spool(fx.g), drop_file, gateway_spool(fx.g), NULL);
	fx_stop();
	api_stop(&api);
	fx_forget();
	return 0;
}

static int post(struct str body)
{
	return answer_of(ask_token("POST", "/v1/messages", "t", "application/json", body));
}

static int post_c(const char *body)
{
	return post(str_of(body));
}

static uint64_t id_of_answer(void)
{
	const char *at = strstr(got, "\"id\":\"");

	assert_non_null(at);
	return strtoull(at + 6, NULL, 10);
}

static struct message *stored(uint64_t id)
{
	struct store_view v;
	struct err e;
	struct message *m;

	assert_int_equal(store_find(gateway_store(fx.g), id, true, &v, &e), 1);
	m = message_ref(v.msg);
	store_view_free(&v);
	return m;
}

static void field_is(const struct message *m, enum field f, const char *want)
{
	struct str is = message_get(m, f);

	if (!str_is(is, want))
		fail_msg("%s is %.*s, not %s", field_word(f), STR_ARG(is), want);
}

#define TO "\"media\":\"email\",\"to\":\"anna@b.example\",\"text\":\"hi\""

static void test_fields(void **state)
{
	struct message *m;

	start("");
	assert_int_equal(
		post_c("{" TO
		       ",\"from\":\"\\\"Shop, Ltd\\\" <shop@s.example>\",\"subject\":\"Hej\","
		       "\"headers\":{\"Reply-To\":\"help@s.example\",\"X-Tag\":[\"a\",\"b\"]},"
		       "\"unsubscribe\":true,\"attachments\":[{\"name\":\"a.txt\",\"content\":"
		       "\"QUJD\"}]}"),
		202);
	m = stored(id_of_answer());
	field_is(m, FIELD_FROM, "shop@s.example");
	field_is(m, FIELD_FROM_NAME, "Shop, Ltd");
	field_is(m, FIELD_UNSUBSCRIBE, "*");
	field_is(m, FIELD_HEADERS, "{\"Reply-To\":\"help@s.example\",\"X-Tag\":[\"a\",\"b\"]}");
	assert_false(message_has(m, FIELD_SPOOL));
	message_unref(&m);
	assert_int_equal(
		post_c("{" TO ",\"from\":\"shop@s.example\",\"unsubscribe\":\"Advertisement\"}"),
		202);
	m = stored(id_of_answer());
	field_is(m, FIELD_UNSUBSCRIBE, "Advertisement");
	assert_false(message_has(m, FIELD_FROM_NAME));
	message_unref(&m);
	assert_int_equal(post_c("{" TO ",\"unsubscribe\":false}"), 202);
	m = stored(id_of_answer());
	assert_false(message_has(m, FIELD_UNSUBSCRIBE) || message_has(m, FIELD_FROM));
	message_unref(&m);
}

static void test_refused(void **state)
{
	static const struct {
		const char *more, *field;
	} c[] = {
		{ ",\"from\":\"Shop\"", "/from" },
		{ ",\"from\":\"Shop <a b>\"", "/from" },
		{ ",\"from\":\"Sh\\nBcc: x@y.z <a@b.example>\"", "/from" },
		{ ",\"headers\":{\"Subject\":\"x\"}", "/headers/Subject" },
		{ ",\"headers\":{\"X-A\":\"x\\r\\nBcc: y@z.example\"}", "/headers/X-A" },
		{ ",\"headers\":{\"X-A: y\\r\\nB\":\"x\"}", "/headers" },
		{ ",\"headers\":{\"X-A\":1}", "/headers/X-A" },
		{ ",\"headers\":{\"DKIM-Signature\":\"v=1\"}", "/headers/DKIM-Signature" },
		{ ",\"headers\":[]", "/headers" },
		{ ",\"unsubscribe\":1", "/unsubscribe" },
		{ ",\"unsubscribe\":\"\"", "/unsubscribe" },
		{ ",\"unsubscribe\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", "/unsubscribe" },
		{ ",\"unsubscribe\":true,\"headers\":{\"List-Unsubscribe\":\"<x>\"}", "/headers" },
		{ ",\"subject\":\"a\\nb\"", "/subject" },
		{ ",\"attachments\":[{\"name\":\"a\"}]", "/attachments/0" },
		{ ",\"attachments\":[{\"content\":\"#\"}]", "/attachments/0/content" },
		{ ",\"attachments\":[{\"content\":\"QUJD\",\"cid\":\"a b\"}]",
			"/attachments/0/cid" },
		{ ",\"attachments\":\"0123\"", "/attachments" },
		{ ",\"fallback\":[{\"media\":\"email\",\"to\":\"x@b.example\",\"text\":\"x\","
		  "\"headers\":{\"To\":\"x\"}}]",
			"/fallback/0/headers/To" },
	};

	start("");
	for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
		struct buf b = BUF_INIT;

		buf_printf(&b, "{" TO "%s}", c[i].more);
		if (post(buf_view(&b)) != 400 || !strstr(got, c[i].field))
			fail_msg("%s\nis answered %s", c[i].more, strstr(got, "\r\n\r\n"));
		buf_free(&b);
	}
	/* and what email has is nothing for others */
	assert_int_equal(post_c("{\"media\":\"sms\",\"to\":\"+46700000001\",\"text\":\"x\","
				"\"headers\":{}}"),
		400);
}

/* ---- attachments that go to the spool ---- */
static unsigned files(void)
{
	unsigned n = 0;
	char dir[200], cmd[300];
	FILE *f;

	snprintf(dir, sizeof dir, "%s/spool", fx.dir);
	snprintf(cmd, sizeof cmd, "ls %s | wc -l", dir);
	f = popen(cmd, "r");
	assert_int_equal(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

static void files_become(unsigned n)
{
	for (int i = 0; i < 1000 && files() != n; i++)
		usleep(5000);
	assert_int_equal(files(), n);
}

static void put_big(struct buf *b, const char *more, size_t base64, char letter)
{
	buf_printf(b, "{" TO "%s,\"attachments\":[{\"name\":\"big.pdf\",\"content\":\"", more);
	memset(buf_extend(b, base64), letter, base64);
	buf_c(b, "\"},{\"name\":\"small.txt\",\"content\":\"QUJD\",\"cid\":\"c1\",\"inline\":true}]"
		 "}");
}

static int post_big(const char *more, size_t base64, char letter)
{
	struct buf b = BUF_INIT;
	int status;

	put_big(&b, more, base64, letter);
	status = post(buf_view(&b));
	buf_free(&b);
	return status;
}

static void test_big(void **state)
{
	struct message *m;
	struct spool_ref ref;
	struct buf built = BUF_INIT;
	struct err e = { 0 };
	char path[60];
	uint64_t id, size;
	bool utf8;
	int fd;

	start(FROM);
	assert_int_equal(post_big("", 200000, 'A'), 202);
	id = id_of_answer();
	m = stored(id);
	assert_true(spool_ref_parse(message_get(m, FIELD_SPOOL), &ref));
	assert_true(str_is(ref.field, "attachments"));
	assert_true(m->size < 2000);
	fd = spool_read(gateway_spool(fx.g), ref.name, &size, &e);
	assert_true(fd >= 0);
	assert_int_equal(size, ref.size);
	assert_true(size > 200000);
	close(fd);
	/* what is built of it has it all */
	assert_int_equal(mail_build(&gateway_settings(fx.g)->mail, gateway_spool(fx.g), m, &built,
				 &utf8, &e),
		0);
	assert_true(built.n > 200000);
	assert_true(str_find(buf_view(&built), STR("big.pdf")) > 0);
	assert_true(str_find(buf_view(&built), STR("small.txt")) > 0);
	buf_free(&built);
	message_unref(&m);
	/* names are shown, and no contents */
	snprintf(path, sizeof path, "/v1/messages/%lu", id);
	assert_int_equal(answer_of(ask_token("GET", path, "t", NULL, STR_NONE)), 200);
	assert_non_null(strstr(got, "\"attachments\":[{\"inline\":false,\"name\":\"big.pdf\"},"
				    "{\"inline\":true,\"name\":\"small.txt\",\"cid\":\"c1\"}],"
				    "\"attachments_size\":2"));
	assert_null(strstr(got, "AAAA"));
	assert_null(strstr(got, "QUJD"));
	assert_int_equal(files(), 1);
}

/* The same again is known by its content, and another one is another. */
static void test_big_again(void **state)
{
	uint64_t id;

	start(FROM);
	assert_int_equal(post_big(",\"id\":\"one\"", 100000, 'A'), 202);
	id = id_of_answer();
	assert_int_equal(post_big(",\"id\":\"one\"", 100000, 'A'), 202);
	assert_int_equal(id_of_answer(), id);
	assert_non_null(strstr(got, "\"duplicate\":true"));
	assert_int_equal(post_big(",\"id\":\"one\"", 100000, 'B'), 409);
	files_become(1); /* only that of the first is kept */
	/* refused, tried only, or broken: nothing is left */
	assert_int_equal(post_big(",\"dry_run\":true", 100000, 'A'), 200);
	assert_int_equal(post_big(",\"nonsense\":1", 100000, 'A'), 400);
	assert_int_equal(post_big("", 100001, 'A'), 400);
	assert_non_null(strstr(got, "base64"));
	assert_int_equal(post_big("", 100000, '#'), 400);
	assert_int_equal(post_big(",\"channel\":\"nowhere\"", 100000, 'A'), 422);
	files_become(1);
}

/* Many in one request, each with its own file. */
static void test_big_many(void **state)
{
	struct buf b = BUF_INIT;

	start(FROM);
	for (int lines = 0; lines < 2; lines++) {
		buf_reset(&b);
		buf_c(&b, lines ? "" : "[");
		for (int i = 0; i < 6; i++) {
			buf_c(&b, i == 0 ? "" : lines ? "\n" : ",");
			put_big(&b, i == 3 ? ",\"nonsense\":1" : "", 40000u + 4u * (unsigned)i,
				'A');
		}
		buf_c(&b, lines ? "\n" : "]");
		assert_int_equal(
			answer_of(ask_token("POST", "/v1/messages", "t",
				lines ? "application/x-ndjson" : "application/json", buf_view(&b))),
			200);
		assert_non_null(strstr(got, "nonsense"));
		files_become(5u * (unsigned)(lines + 1));
	}
	buf_free(&b);
}

/* A sanitizer's own memory says nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MORE_MOST = 1 << 30 };
#else
enum { MORE_MOST = 4096 };
#endif

static long peak_kib(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

/* 25 MiB of attachments pass, and cost a few hundred KiB while they do. */
static void test_25_mib(void **state)
{
	enum { BASE64 = 25 * 1024 * 1024 / 3 * 4 };
	struct buf b = BUF_INIT;
	struct message *m;
	struct spool_ref ref;
	long before;

	start(FROM);
	assert_int_equal(post_big("", 40000, 'A'), 202); /* what is made once has been made */
	put_big(&b, "", BASE64, 'A');
	buf_reserve(&b, b.n + 1024); /* the client's copy */
	before = peak_kib();
	{
		struct buf copy = BUF_INIT;

		buf_reserve(&copy, b.n + 1024);
		memset(copy.p, 1, copy.cap);
		before = peak_kib();
		buf_free(&copy);
	}
	assert_int_equal(post(buf_view(&b)), 202);
	if (peak_kib() - before > MORE_MOST)
		fail_msg("it took %ld KiB", peak_kib() - before);
	m = stored(id_of_answer());
	assert_true(spool_ref_parse(message_get(m, FIELD_SPOOL), &ref));
	assert_true(ref.size > BASE64);
	message_unref(&m);
	buf_free(&b);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, end)
	const struct CMUnitTest tests[] = {
		T(test_25_mib), /* first: it looks at the peak of memory */
		T(test_fields),
		T(test_refused),
		T(test_big),
		T(test_big_again),
		T(test_big_many),
	};

	return cmocka_run_group_tests_name("api_mail", tests, NULL, NULL);
}
