/* Plugins' part of the settings: their groups in the main file, and what they load from files of
 * their own beside it. It lives as long as the settings do. Any thread.
 */
#include "gateway/flow/settings.h"

static bool plugin_variant(size_t i, struct conf_variant *v_r)
{
	const struct plugin *p = plugin_at(i);

	if (!p)
		return false;
	*v_r = (struct conf_variant){ p->name, p->conf, p->conf_size, p->about };
	return true;
}

const struct conf_item plugin_rows[] = { CONF_WHERE(struct plugin_conf, at),
	CONF_VARIANT(struct plugin_conf, name, specific, plugin_variant, NULL, "Which plugin."),
	CONF_INT(struct plugin_conf, intake_most, 1, 10000000, 20000,
		"Events at work at a time; more are answered 429.", .unit = "events"),
	CONF_REAL(struct plugin_conf, intake_rate, 0, 1e9, 0,
		"Events taken per second; more are answered 429. 0: no limit.", .unit = "events/s"),
	CONF_END };

void plugins_load(struct settings *s, const char *dir, struct conf_faults *f)
{
	for (size_t i = 0; i < s->plugins_n; i++) {
		struct plugin_conf *c = &s->plugins[i];
		struct plugin_setup setup = {
			.dir = dir,
			.conf = c,
			.settings = s,
			.node = s->node,
			.country = s->country,
			.trunk = s->trunk,
			.mail = &s->mail,
			.retention = s->retention,
			.validity = s->validity,
			.validity_most = s->validity_most,
		};
		size_t errors = f->errors;

		c->plugin = c->name && c->specific ? plugin_by_name(str_of(c->name)) : NULL;
		for (size_t k = 0; k < i && c->plugin; k++) {
			if (s->plugins[k].plugin != c->plugin)
				continue;
			conf_fault_at(f, &c->at, "name", "is there already");
			c->plugin = NULL;
		}
		if (!c->plugin)
			continue;
		c->loaded = c->plugin->load(&setup, c->specific, f);
		if (!c->loaded && f->errors == errors)
			conf_fault_at(f, &c->at, NULL, "cannot be loaded");
	}
}

void plugins_unload(struct settings *s)
{
	for (size_t i = 0; i < s->plugins_n; i++) {
		struct plugin_conf *c = &s->plugins[i];

		if (c->loaded && c->plugin->unload)
			c->plugin->unload(c->loaded);
		c->loaded = NULL;
	}
}

const struct plugin_conf *settings_plugin(const struct settings *s, const struct plugin *p)
{
	for (size_t i = 0; i < s->plugins_n; i++)
		if (s->plugins[i].plugin == p)
			return &s->plugins[i];
	return NULL;
}

/* ---- what a plugin asks while it loads ---- */
static unsigned media_of(const struct channel_conf *c)
{
	const struct protocol *p = c->type ? protocol_by_name(str_of(c->type)) : NULL;

	return c->media ? c->media : p ? p->media & MEDIA_ANY : 0;
}

unsigned plugin_channel_media(const struct plugin_setup *setup, const char *name)
{
	const struct settings *s = setup->settings;

	for (size_t i = 0; i < s->channels_n; i++)
		if (s->channels[i].name && strcmp(s->channels[i].name, name) == 0)
			return media_of(&s->channels[i]);
	return 0;
}

static unsigned route_media(const struct plugin_setup *setup, const struct route_conf *r)
{
	unsigned asked = r->media_n ? 0 : MEDIA_ANY, carried = 0;
	enum media m;

	for (size_t i = 0; i < r->media_n; i++)
		if (media_parse(str_of(r->media[i]), &m))
			asked |= MEDIA_BIT(m);
	for (size_t i = 0; i < r->via_n; i++)
		carried |= plugin_channel_media(setup, r->via[i]);
	return asked & carried;
}

unsigned plugin_routed_media(const struct plugin_setup *setup)
{
	const struct settings *s = setup->settings;
	struct buf account = BUF_INIT;
	unsigned media = 0;

	buf_printf(&account, "plugin/%s", setup->conf->name);
	for (size_t i = 0; i < s->routes_n; i++) {
		const struct route_conf *r = &s->routes[i];
		bool fits = r->account_n == 0;

		for (size_t k = 0; k < r->account_n && !fits; k++)
			fits = str_glob(str_of(r->account[k]), buf_view(&account));
		if (fits)
			media |= route_media(setup, r);
	}
	buf_free(&account);
	return media;
}
