/* Fuzz target: any bytes as a filter. What is taken, prints to the same tree, evaluates and
 * explains alike, whatever the values; what is refused, says where. The first byte picks the
 * values.
 */
#include "gateway/base/err.h"
#include "plugins/offers/filter_sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct name names[] = {
	{ "a", VALUE_TEXT, VALUE_MISSING, 0, NULL },
	{ "b", VALUE_BOOL, VALUE_MISSING, 1, NULL },
	{ "i", VALUE_INT, VALUE_MISSING, 2, NULL },
	{ "d", VALUE_DECIMAL, VALUE_MISSING, 3, NULL },
	{ "member.birthday", VALUE_DATE, VALUE_MISSING, 4, NULL },
	{ "t", VALUE_TIME, VALUE_MISSING, 5, NULL },
	{ "w", VALUE_DATETIME, VALUE_MISSING, 6, NULL },
	{ "s", VALUE_SPAN, VALUE_MISSING, 7, NULL },
	{ "l", VALUE_LIST, VALUE_TEXT, 8, NULL },
	{ "m", VALUE_LIST, VALUE_INT, 9, NULL },
	{ "now", VALUE_DATETIME, VALUE_MISSING, 10, NULL },
	{ "today", VALUE_DATE, VALUE_MISSING, 11, NULL },
};
enum { NAMES = sizeof names / sizeof names[0] };

struct bytes {
	struct source s;
	unsigned pick;
};

static struct value get(const struct source *s, unsigned slot)
{
	static const struct value texts[2] = {
		{ .type = VALUE_TEXT, .s = { "a", 1 } },
		{ .type = VALUE_TEXT, .s = { "\xc5\xa0\xff", 3 } },
	};
	static const struct value ints[2] = { { .type = VALUE_INT, .i = 7 },
		{ .type = VALUE_TEXT } };
	static const int64_t odd[] = { 0, 1, -1, INT64_MAX, INT64_MIN, 20000, 10000000000ll, 59 };
	unsigned pick = ((const struct bytes *)(const void *)s)->pick;
	enum value_type t = names[slot].type;

	if (pick & 1u << slot % 8)
		return VALUE_NONE;
	if (t == VALUE_TEXT)
		return texts[pick % 2];
	if (t == VALUE_BOOL)
		return value_bool(pick % 2);
	if (t == VALUE_LIST)
		return (struct value){ .type = t,
			.of = names[slot].of,
			.list = { slot == 8 ? texts : ints, pick % 3 } };
	if (t == VALUE_SPAN)
		return (struct value){ .type = t, .span = { (int32_t)pick, -3, odd[pick % 8] } };
	return (struct value){ .type = t, .i = odd[(pick + slot) % 8] };
}

static bool slot_sql(void *ctx, struct filter_sql *q, unsigned slot)
{
	filter_sql_printf(q, "c%u", slot);
	return true;
}
static bool call_sql(void *ctx, struct filter_sql *q, enum filter_fn fn, const struct value *args)
{
	filter_sql_c(q, "f");
	return true;
}

static void check(struct arena *a, const struct filter_env *env, const struct filter *f,
	const struct filter_world *w)
{
	static const struct filter_map map = { slot_sql, call_sql, NULL };
	struct filter_faults faults = { 0 };
	struct filter_sql q = FILTER_SQL(&map);
	struct filter_step *steps;
	struct buf b = BUF_INIT;
	const struct filter *g;
	size_t n;
	bool r = filter_eval(f, w);

	filter_print(f, &b);
	/* the longest texts may grow beyond the limit when they are printed */
	g = filter_compile(a, buf_view(&b), env, &faults);
	CHECK(g || b.n > FILTER_TEXT);
	CHECK(!g || (filter_same(f, g) && filter_eval(g, w) == r));
	CHECK(filter_explain(f, w, a, &steps, &n) == r && n > 0);
	CHECK(filter_sql_condition(&q, f, NULL) == 0);
	buf_free(&b);
	filter_sql_free(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct scope scope = { names, NAMES, NULL };
	struct filter_env env = { .scope = &scope };
	struct filter_faults faults = { 0 };
	struct bytes values = { .s = { get } };
	struct filter_world world = { .source = &values.s };
	const struct filter *f;
	struct arena *a;

	if (size < 1)
		return 0;
	a = arena_new();
	values.pick = data[0];
	f = filter_compile(a, str_n(data + 1, size - 1), &env, &faults);
	CHECK(!f == (faults.errors > 0));
	CHECK(faults.n <= sizeof faults.v / sizeof faults.v[0]);
	for (unsigned i = 0; i < faults.n; i++)
		CHECK(faults.v[i].text[0] && faults.v[i].column > 0 &&
			faults.v[i].at <= (size - 1 > FILTER_TEXT ? FILTER_TEXT : size - 1));
	if (f)
		check(a, &env, f, &world);
	arena_free(&a);
	return 0;
}
