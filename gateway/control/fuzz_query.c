/* Fuzz target: any bytes as the query of GET /v1/messages, decoded: "name=value" lines. */
#include "gateway/control/api_private.h"
#include "gateway/http/server_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARGS = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_n(data, size), line;
	struct http_pair args[ARGS];
	struct http_request r = { 0 };
	struct json_faults faults = { 0 };
	struct store_filter f;
	struct buf b = BUF_INIT;
	uint64_t id;

	for (int i = 0; i < ARGS && str_cut(&rest, '\n', &line); i++) {
		args[i] = (struct http_pair){ .next = r.args, .value = STR_NONE };
		str_cut(&line, '=', &args[i].name);
		if (line.p)
			args[i].value = line;
		r.args = &args[i];
	}
	if (api_read_filter(&r, &f, &faults)) {
		CHECK(f.state >= -1 && f.state < STATE_COUNT);
		CHECK(f.media >= -1 && f.media < MEDIA_COUNT);
		CHECK(f.most >= 1 && f.most <= 1000 && f.submitter == 0 && f.channel == 0);
		CHECK(!f.to.n || f.to.p >= (const char *)data);
	} else {
		CHECK(faults.n > 0 && faults.n <= 6);
		http_problem_put_faults(&b, 400, &faults);
		buf_free(&b);
	}
	if (http_arg(&r, "before", &line) && str_u64(line, &id))
		CHECK(f.before_id == id);
	return 0;
}
