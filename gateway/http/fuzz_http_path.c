/* Fuzz target: any bytes as a path, a percent-encoded segment and the headers that we read
 * ourselves. The wildcards of a path that fits, encoded again, are the path's own segments.
 */
#include "gateway/base/mem.h"
#include "gateway/http/server_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_printf(b, "%%%02x", (unsigned char)s.p[i]);
}

static void decode(struct arena *a, struct str s)
{
	struct buf b = BUF_INIT;
	struct str once, twice;

	if (request_decode(a, s, &once)) {
		CHECK(once.n <= s.n && (once.n == 0 || !memchr(once.p, 0, once.n)));
		CHECK(str_index(s, '%') >= 0 || str_eq(once, s));
		encode(&b, once);
		CHECK(request_decode(a, buf_view(&b), &twice) && str_eq(once, twice));
	} else {
		CHECK(str_index(s, '%') >= 0 || memchr(s.p, 0, s.n));
	}
	buf_free(&b);
}

static void route(struct http_request *r)
{
	static const char *const patterns[] = { "/v1/messages", "/v1/messages/*",
		"/v1/messages/client/*", "/callback/*/*", "/*/*/*/*", "/" };

	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
		bool broken, fits = request_path_fits(r, patterns[i], &broken);

		CHECK(fits || !str_is(r->path, patterns[i]) || strchr(patterns[i], '*'));
		for (unsigned w = 0; fits && !broken && w < HTTP_WILDS_MOST; w++)
			CHECK(r->wild[w].n <= r->path.n);
	}
}

/* The line before the first newline is the path, what follows headers' values. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct http_token tokens[] = { { "a", "token-a" }, { "b", "token-b" } };
	struct str rest = str_n(data, size), value;
	struct http_pair type = { NULL, STR("content-type"), STR_NONE };
	struct http_pair auth = { &type, STR("authorization"), STR_NONE };
	struct http_request r = { .arena = arena_new(), .headers = &auth, .args = &auth };
	struct str name;
	ptrdiff_t who;

	str_cut(&rest, '\n', &r.path);
	decode(r.arena, r.path);
	route(&r);
	if (rest.p && str_cut(&rest, '\n', &auth.value) && rest.p)
		type.value = rest;
	who = http_bearer(&r, tokens, 2, sizeof tokens[0]);
	CHECK(who >= -1 && who < 2);
	CHECK(who < 0 || str_find(auth.value, str_of(tokens[who].token)) > 0);
	if (http_type_is(&r, "application/x-ndjson"))
		CHECK(str_index(type.value, '/') > 0);
	CHECK(http_header(&r, "Authorization", &value) && str_eq(value, auth.value));
	CHECK(http_arg_at(&r, 1, &name, &value) && !http_arg_at(&r, 2, &name, &value));
	arena_free(&r.arena);
	return 0;
}
