/* All protocols there are, from list.def. */
#include "protocols/protocol.h"

#define PROTOCOL(id) extern const struct protocol protocol_##id;
#include "protocols/list.def"
#undef PROTOCOL

static const struct protocol *const protocols[] = {
#define PROTOCOL(id) &protocol_##id,
#include "protocols/list.def"
#undef PROTOCOL
};
enum { PROTOCOLS = sizeof protocols / sizeof protocols[0] };

const struct protocol *protocol_at(size_t i)
{
	if (i < PROTOCOLS)
		return protocols[i];
	return protocols_of_tests ? protocols_of_tests[i - PROTOCOLS] : NULL;
}

const struct protocol *protocol_by_name(struct str name)
{
	const struct protocol *p;

	for (size_t i = 0; (p = protocol_at(i)) != NULL; i++)
		if (str_is(name, p->name))
			return p;
	return NULL;
}
