/* Fuzz target of event_read(): whatever is taken must come back from its stored form as it was. */
#include "plugins/offers/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct event_reader how = {
		.source = STR("fuzz"), .ahead = 5 * DUR_MIN, .too_far = DUR_DAY
	};
	const wall_t now = 1772359200ll * DUR_S;
	struct json_faults f = { 0 };
	json_t *v = json_read(str_n(data, size), &f);
	struct event *e = NULL, *back;
	enum event_verdict verdict;

	if (!v)
		return 0;
	verdict = event_read(v, now, &how, &e, &f);
	CHECK((verdict == EVENT_OK) == (e != NULL) && (verdict == EVENT_OK) == (f.n == 0));
	json_decref(v);
	if (!e)
		return 0;
	CHECK(e->occurred <= now + how.ahead && e->id.n > 0);
	back = event_restore(e->text, e->occurred, e->received);
	CHECK(back && back->type == e->type && str_eq(back->id, e->id));
	for (unsigned i = 0; i < EVENT_ATTRS; i++)
		CHECK(e->attr[i].type == VALUE_MISSING || value_eq(e->attr[i], back->attr[i]));
	for (unsigned i = 0; i < ALIAS_KINDS; i++)
		CHECK(str_eq(e->who[i], back->who[i]));
	event_drop(&back);
	event_drop(&e);
	return 0;
}
