/* Values given by hand, for samples and for `posternctl offers render`: names and their values as
 * text, read by the types of a scope. What was not given can be made up. One thread.
 */
#ifndef POSTERN_PLUGINS_OFFERS_TEMPLATE_SAMPLE_H
#define POSTERN_PLUGINS_OFFERS_TEMPLATE_SAMPLE_H

#include "plugins/offers/template.h"

enum { SAMPLE_MOST = 64 };
struct sample {
	struct source source; /* first */
	const struct scope *scope;
	const struct currencies *currencies;
	struct arena *a;
	const uint32_t *links; /* bits of slots that are printed as whole addresses; may be NULL */
	bool make_up;
	size_t n;
	struct {
		unsigned slot;
		struct value v;
	} v[SAMPLE_MOST];
};
void sample_init(
	struct sample *s, const struct template_world *world, struct arena *a, bool make_up);
/* "Amount" "8"; a dot in the name may be written as an underscore (Member_first_name). Lists: parts
 * between commas ("300 bonus, 52 stars"). An empty value is missing. */
int sample_set(struct sample *s, struct str name, struct str value, struct err *e);

#endif
