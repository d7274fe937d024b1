/* Any text as a story: parsed, or refused with a reason that has a column. */
#include "plugins/offers/story.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	char why[300];
	struct story *s = story_parse(a, str_n(data, size), why, sizeof why);

	CHECK((s == NULL) == (why[0] != '\0'));
	for (size_t i = 0; s && i < s->n; i++) {
		const struct clause *c = &s->v[i];

		CHECK(c->text.p >= (const char *)data &&
			c->text.p + c->text.n <= (const char *)data + size);
		CHECK((c->what == STORY_EXPECT) == (c->wishes_n > 0));
		CHECK(c->clock < DUR_DAY);
	}
	arena_free(&a);
	return 0;
}
