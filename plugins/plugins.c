/* All plugins there are, from list.def. */
#include "plugins/plugin.h"

#define PLUGIN(id) extern const struct plugin plugin_##id;
#include "plugins/list.def"
#undef PLUGIN

static const struct plugin *const plugins[] = {
#define PLUGIN(id) &plugin_##id,
#include "plugins/list.def"
#undef PLUGIN
	NULL,
};

const struct plugin *plugin_at(size_t i)
{
	const struct plugin *const *p = plugins;

	for (; *p; p++)
		if (i-- == 0)
			return *p;
	return plugins_of_tests ? plugins_of_tests[i] : NULL;
}

const struct plugin *plugin_by_name(struct str name)
{
	const struct plugin *p;

	for (size_t i = 0; (p = plugin_at(i)) != NULL; i++)
		if (str_is(name, p->name))
			return p;
	return NULL;
}
