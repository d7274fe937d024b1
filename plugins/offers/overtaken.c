/* Late events, and what was said since. See overtaken.h. */
#include "plugins/offers/overtaken.h"
#include "plugins/offers/chain.h"
#include "plugins/offers/said.h"

#include <stdlib.h>

static struct str text(const struct event *e, enum event_attr a)
{
	return e->attr[a].type == VALUE_TEXT ? e->attr[a].s : STR_NONE;
}

/* ---- events of the past that happened later ---- */

int later_events(struct work *w, const struct member *m, const struct event *e,
	enum event_type type, uint64_t seq[LATER_MOST])
{
	struct sql_stmt *st = db_st(w->db, ST_PAST_SINCE);
	int n = 0, rc;

	if (!st)
		return work_failed(w, "past events");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, type);
	sql_int(st, 3, e->occurred + 1);
	sql_int(st, 4, 0);
	while ((rc = sql_step(st)) == 1)
		if (n < LATER_MOST)
			seq[n++] = (uint64_t)sql_col(st, 1);
	return rc < 0 ? work_failed(w, "past events") : n;
}

int later_event(struct work *w, const struct member *m, const struct event *e, enum event_type type,
	bool (*same)(const struct event *e, const struct event *later))
{
	uint64_t seq[LATER_MOST];
	int n = later_events(w, m, e, type, seq), found = n < 0 ? -1 : 0;

	for (int i = 0; i < n && found == 0; i++) {
		struct event *later;
		int rc = event_load(w, seq[i], &later);

		if (rc < 0)
			return -1;
		if (rc == 0)
			continue;
		found = same(e, later);
		event_drop(&later);
	}
	return found;
}

static bool same_address(const struct event *e, const struct event *later)
{
	struct str value = text(later, ATTR_value);

	return str_eq(text(e, ATTR_kind), text(later, ATTR_kind)) &&
	       (!value.n || str_eq(text(e, ATTR_value), value));
}

static bool same_profile(const struct event *e, const struct event *later)
{
	struct str profile = text(later, ATTR_profile);

	return str_eq(text(e, ATTR_provider), text(later, ATTR_provider)) &&
	       (!profile.n || str_eq(text(e, ATTR_profile), profile));
}

static struct str device_of(const struct event *e)
{
	struct str device = text(e, ATTR_device);

	return device.n ? device : e->who[ALIAS_DEVICE];
}

static bool same_link(const struct event *e, const struct event *later)
{
	return e->attr[ATTR_value].type == VALUE_TEXT && same_address(e, later);
}

static bool same_profile_link(const struct event *e, const struct event *later)
{
	return text(e, ATTR_profile).n && same_profile(e, later);
}

/* The app on the same device, or the token of this one. */
static bool same_app(const struct event *e, const struct event *later)
{
	struct str token = text(later, ATTR_token), device = device_of(later);

	if (later->type == EVENT_APP_REMOVED && token.n)
		return str_eq(text(e, ATTR_token), token);
	return device.n && str_eq(device_of(e), device) &&
	       (later->type == EVENT_APP_REMOVED ||
		       (token.n && str_eq(text(e, ATTR_service), text(later, ATTR_service)) &&
			       str_eq(text(e, ATTR_platform), text(later, ATTR_platform))));
}

static bool same_system(const struct event *e, const struct event *later)
{
	return str_eq(text(e, ATTR_system), text(later, ATTR_system));
}

int address_dead_since(struct work *w, const struct member *m, const struct event *e)
{
	return later_event(w, m, e, EVENT_CONTACT_INVALID, same_link);
}

int event_overtaken(struct work *w, const struct member *m, const struct event *e)
{
	int rc;

	switch (e->type) {
	case EVENT_CONTACT_LINKED:
		return later_event(w, m, e, EVENT_CONTACT_UNLINKED, same_address);
	case EVENT_CONTACT_UNLINKED:
		return later_event(w, m, e, EVENT_CONTACT_LINKED, same_link);
	case EVENT_SOCIAL_UNLINKED:
		return later_event(w, m, e, EVENT_SOCIAL_LINKED, same_profile_link);
	case EVENT_SOCIAL_LINKED:
		return later_event(w, m, e, EVENT_SOCIAL_UNLINKED, same_profile);
	case EVENT_APP_INSTALLED:
		rc = later_event(w, m, e, EVENT_APP_REMOVED, same_app);
		return rc ? rc : later_event(w, m, e, EVENT_APP_INSTALLED, same_app);
	case EVENT_STATUS_CHANGED:
	case EVENT_STATUS_CALCULATED:
		rc = later_event(w, m, e, EVENT_STATUS_CHANGED, same_system);
		rc = rc ? rc : later_event(w, m, e, EVENT_STATUS_CALCULATED, same_system);
		return rc ? rc : said_status(w, m, e->occurred, text(e, ATTR_system));
	default:
		return 0;
	}
}

/* ---- subscriptions ---- */

bool consent_of_event(const struct event *e, struct consent_said *c)
{
	struct str row = text(e, ATTR_row), channel = text(e, ATTR_channel);
	enum row known;
	enum media media;

	*c = (struct consent_said){ .at = e->occurred, .row = -1, .channel = -1 };
	if (e->attr[ATTR_granted].type != VALUE_BOOL)
		return false;
	c->granted = e->attr[ATTR_granted].b;
	if (row.n && !str_is(row, "*")) {
		if (!row_parse(row, &known))
			return false;
		c->row = (int)known;
	}
	if (channel.n && !str_is(channel, "*")) {
		if (!media_parse(channel, &media))
			return false;
		c->channel = (int)media;
	}
	return true;
}

static int by_time(const void *pa, const void *pb)
{
	const struct consent_said *a = pa, *b = pb;

	return a->at < b->at ? -1 : a->at > b->at;
}

int consent_since(struct work *w, const struct member *m, const struct event *e,
	struct consent_said v[2 * LATER_MOST])
{
	struct sql_stmt *st = db_st(w->db, ST_CONSENT_LOG_SINCE);
	uint64_t seq[LATER_MOST];
	int n = 0, events, rc;

	if (!st)
		return work_failed(w, "what was said of subscriptions");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, e->occurred);
	while ((rc = sql_step(st)) == 1)
		if (n < LATER_MOST)
			v[n++] = (struct consent_said){ .at = sql_col(st, 3),
				.row = (int)sql_col(st, 0),
				.channel = (int)sql_col(st, 1),
				.granted = sql_col(st, 2) & CONSENT_GRANTED };
	if (rc < 0)
		return work_failed(w, "what was said of subscriptions");
	/* an event that changed nothing when it came left no line there */
	events = later_events(w, m, e, EVENT_CONSENT_CHANGED, seq);
	for (int i = 0; i < events; i++) {
		struct event *later;

		rc = event_load(w, seq[i], &later);
		if (rc < 0)
			return -1;
		if (rc == 0)
			continue;
		n += consent_of_event(later, &v[n]);
		event_drop(&later);
	}
	qsort(v, (size_t)n, sizeof *v, by_time);
	return events < 0 ? -1 : n;
}
