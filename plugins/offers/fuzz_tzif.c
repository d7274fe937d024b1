/* Fuzz target: any bytes as a TZif file. What is taken has its changes in order, and the wall and
 * the moment are each other's inverse but for what the clock skips or repeats.
 */
#include "gateway/base/err.h"
#include "plugins/offers/tzif.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct zone *z, wall_t t)
{
	struct local l = zone_local(z, t);
	wall_t back = zone_wall(z, l);
	struct window w;

	CHECK(l.ns >= 0 && l.ns < DUR_DAY);
	CHECK(zone_offset(z, t) >= OFFSET_LEAST && zone_offset(z, t) <= OFFSET_MOST);
	CHECK(back <= t || back == INT64_MAX);
	zone_add(z, t, (struct span){ 1, 1, DUR_HOUR });
	period_of(PERIOD_WEEK, z, t);
	CHECK(window_parse(STR("mon-fri 21:00-09:00"), &w) == NULL);
	if (t > INT64_MIN / 2 && t < INT64_MAX / 2) {
		wall_t next = window_next(&w, 1, z, t), out = window_out(&w, 1, z, t);

		CHECK(next >= t && (out == 0 || out >= t || t < 0));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	struct zone *z = zone_read("fuzz", str_n(data, size), &e);
	struct tz_rule r;

	tz_rule_parse(str_n(data, size), &r);
	if (!z) {
		CHECK(e.kind == ERR_INPUT && e.text[0]);
		return 0;
	}
	for (size_t i = 0; i < z->n; i++) {
		CHECK(i == 0 || z->at[i] > z->at[i - 1]);
		CHECK(z->off[i] != (i ? z->off[i - 1] : z->first));
		if (z->at[i] > INT64_MIN / DUR_S + 1 && z->at[i] < INT64_MAX / DUR_S - 1 &&
			(i < 16 || i % 64 == 0)) {
			ask(z, z->at[i] * DUR_S - 1);
			ask(z, z->at[i] * DUR_S);
		}
	}
	ask(z, 0);
	ask(z, INT64_MIN);
	ask(z, INT64_MAX);
	zone_free(&z);
	return 0;
}
