/* All protocols there are, from list.def. */
#include "protocols/protocol.h"

#define PROTOCOL(id) extern const struct protocol protocol_##id;
#include "protocols/list.def"
#undef PROTOCOL

const struct protocol *const protocols[] = {
#define PROTOCOL(id) &protocol_##id,
#include "protocols/list.def"
#undef PROTOCOL
	NULL
};

const struct protocol *protocol_by_name(struct str name)
{
	for (size_t i = 0; protocols[i]; i++)
		if (str_is(name, protocols[i]->name))
			return protocols[i];
	return NULL;
}
