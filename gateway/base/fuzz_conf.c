/* Any bytes as a configuration: read, faulted, compared with itself, never a crash. */
#include "gateway/base/conf_sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* libconfig 1.5 does not free the texts that it holds when it meets a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct conf_faults f = { 0 };
	struct buf b = BUF_INIT;
	struct sample *s;
	void *out = NULL;
	const char *why;
	int64_t v;
	int rc =
		conf_load_text("fuzz.conf", str_n(data, size), sample_rows, sizeof *s, a, &out, &f);

	CHECK(out != NULL);
	CHECK((rc == 0) == (f.errors == 0));
	CHECK(f.n == f.errors + f.warnings);
	s = out;
	for (size_t i = 0; i < s->channels_n; i++)
		CHECK(s->channels[i].connections >= 1 && s->channels[i].connections <= 64);
	for (size_t i = 0; rc == 0 && i < s->channels_n; i++)
		CHECK(s->channels[i].name && s->channels[i].specific);
	CHECK(conf_equal(sample_rows, s, s));
	conf_describe_change(sample_rows, s, conf_defaults(sample_rows, sizeof *s, a), &b);
	conf_faults_text(&f, &b);
	if (conf_parse_duration(str_n(data, size), &v, &why) == 0)
		CHECK(v >= 0);
	if (conf_parse_size(str_n(data, size), &v, &why) == 0)
		CHECK(v >= 0);
	buf_free(&b);
	conf_faults_free(&f);
	arena_free(&a);
	return 0;
}
