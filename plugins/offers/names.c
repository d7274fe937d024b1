/* Looking names up in scopes. See names.h. */
#include "plugins/offers/names.h"

enum { NEAR_MOST = 3 };

const struct name *scope_find(const struct scope *s, struct str path)
{
	for (; s; s = s->next)
		for (size_t i = 0; i < s->n; i++)
			if (str_is(path, s->v[i].path))
				return &s->v[i];
	return NULL;
}

/* A third of the letters may be wrong, more would be guessing. */
const struct name *scope_near(const struct scope *s, struct str path)
{
	unsigned most = (unsigned)(path.n < 3 * NEAR_MOST ? path.n / 3 : NEAR_MOST), d;
	const struct name *best = NULL;

	for (; s; s = s->next)
		for (size_t i = 0; i < s->n; i++) {
			d = str_distance(path, str_of(s->v[i].path), most);
			if (d > most || (best && d == most))
				continue;
			best = &s->v[i];
			most = d;
		}
	return best;
}
