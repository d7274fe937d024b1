/* What an event itself says of its member: addresses, devices, cards, statuses, attributes, state,
 * agreement, leaving. See member.h. Offers are looked at after this. */
#include "plugins/offers/chain.h"
#include "plugins/offers/member_input.h"
#include "plugins/offers/overtaken.h"
#include "plugins/offers/said.h"

static struct str text(const struct event *e, enum event_attr a)
{
	return e->attr[a].type == VALUE_TEXT ? e->attr[a].s : STR_NONE;
}

bool event_unproved(const struct event *e)
{
	return e->type == EVENT_CONTACT_LINKED && e->attr[ATTR_verified].type == VALUE_BOOL &&
	       !e->attr[ATTR_verified].b;
}

/* kind and value of contact.linked and its kin; false: they name none that we know. */
static bool contact_said(
	struct work *w, const struct event *e, enum contact_kind *k_r, struct str *v_r)
{
	struct str value = text(e, ATTR_value);
	const char *why;

	if (!contact_parse(text(e, ATTR_kind), k_r))
		return false;
	*v_r = STR_NONE;
	/* an event's numbers came in their one form; what did not fit stays as it was */
	if (value.n && !contact_normal(w->arena, *k_r, value, NULL, v_r, &why)) {
		struct str plus = str_of(arena_printf(w->arena, "+%.*s", STR_ARG(value)));

		if (*k_r == CONTACT_EMAIL || *k_r >= CONTACT_SOCIAL ||
			!contact_normal(w->arena, *k_r, plus, NULL, v_r, &why))
			*v_r = value;
	}
	return true;
}

/* An address of theirs, proved by that event. One that was said since is as it was said: taken
 * away, or there, and then proved by it nevertheless. */
static int put_proved(struct work *w, struct member *m, const struct event *e,
	enum contact_kind kind, struct str value, struct str sub, unsigned flags)
{
	int said = said_contact(w, m, e->occurred, kind, value, sub);

	if (said < 0 || (said && member_contacts(w, m) < 0))
		return -1;
	if (!said)
		return contact_put(w, m, kind, value, sub, CONTACT_VERIFIED | flags, e->occurred);
	for (unsigned i = 0; kind != CONTACT_DEVICE && i < m->contacts_n; i++) {
		const struct contact *c = &m->contacts[i];

		if (c->kind == kind && str_eq(c->value, value))
			return contact_put(w, m, kind, value, STR_NONE,
				CONTACT_VERIFIED | (c->flags & CONTACT_INVALID), e->occurred);
	}
	return 0;
}

static int take_linked(struct work *w, struct member *m, const struct event *e)
{
	enum contact_kind kind;
	struct str value;
	int dead;

	if (event_unproved(e) || !contact_said(w, e, &kind, &value) || !value.n)
		return 0;
	dead = address_dead_since(w, m, e);
	if (dead < 0)
		return -1;
	return put_proved(w, m, e, kind, value, STR_NONE, dead ? CONTACT_INVALID : 0);
}

/* That address goes by an unlinking, unless it was linked, or said to be theirs, since. */
static int unlink_one(struct work *w, struct member *m, const struct event *e,
	enum contact_kind kind, struct str value)
{
	int said = said_contact(w, m, e->occurred, kind, value, STR_NONE);

	if (said || member_contacts(w, m) < 0)
		return said > 0 ? 0 : -1;
	for (unsigned i = 0; i < m->contacts_n; i++)
		if (m->contacts[i].kind == kind && str_eq(m->contacts[i].value, value) &&
			m->contacts[i].since > e->occurred)
			return 0;
	return contact_drop(w, m, kind, value);
}

/* All of that kind; of a network, only those there. */
static int unlink_all(struct work *w, struct member *m, const struct event *e,
	enum contact_kind kind, struct str provider)
{
	const struct contact *v;
	unsigned n;

	if (member_contacts(w, m) < 0)
		return -1;
	v = m->contacts;
	n = m->contacts_n;
	for (unsigned i = 0; i < n; i++)
		if (v[i].kind == kind && (!provider.n || str_eq(v[i].sub, provider)) &&
			unlink_one(w, m, e, kind, v[i].value) < 0)
			return -1;
	return 0;
}

static int take_unlinked(struct work *w, struct member *m, const struct event *e)
{
	enum contact_kind kind;
	struct str value;

	if (!contact_said(w, e, &kind, &value))
		return 0;
	return value.n ? unlink_one(w, m, e, kind, value) : unlink_all(w, m, e, kind, STR_NONE);
}

static int take_invalid(struct work *w, const struct event *e)
{
	enum contact_kind kind;
	struct str value;

	if (!contact_said(w, e, &kind, &value) || !value.n)
		return 0;
	return contact_mark_invalid(w, kind, value, text(e, ATTR_cause));
}

static int take_app(struct work *w, struct member *m, const struct event *e)
{
	struct str token = text(e, ATTR_token), device = text(e, ATTR_device), sub;

	if (!device.n)
		device = e->who[ALIAS_DEVICE];
	if (!token.n)
		return 0;
	sub = str_of(arena_printf(w->arena, "%.*s/%.*s/%.*s", STR_ARG(text(e, ATTR_service)),
		STR_ARG(text(e, ATTR_platform)), STR_ARG(device)));
	return put_proved(w, m, e, CONTACT_DEVICE, token, sub, 0);
}

static int take_app_removed(struct work *w, struct member *m, const struct event *e)
{
	struct str token = text(e, ATTR_token), device = text(e, ATTR_device);

	if (!device.n)
		device = e->who[ALIAS_DEVICE];
	if (token.n)
		return unlink_one(w, m, e, CONTACT_DEVICE, token);
	if (member_contacts(w, m) < 0)
		return -1;
	for (unsigned i = 0; device.n && i < m->contacts_n; i++) {
		const struct contact c = m->contacts[i];
		struct str service, platform, has;

		contact_device(&c, &service, &platform, &has);
		if (c.kind == CONTACT_DEVICE && str_eq(has, device) && c.since <= e->occurred)
			return unlink_one(w, m, e, CONTACT_DEVICE, c.value);
	}
	return 0;
}

static int take_social(struct work *w, struct member *m, const struct event *e)
{
	struct str provider = text(e, ATTR_provider), profile = text(e, ATTR_profile), value;

	if (!provider.n)
		return 0;
	value = str_of(arena_printf(w->arena, "%.*s:%.*s", STR_ARG(provider), STR_ARG(profile)));
	if (e->type == EVENT_SOCIAL_LINKED)
		return put_proved(w, m, e, CONTACT_SOCIAL, value, provider, 0);
	return profile.n ? unlink_one(w, m, e, CONTACT_SOCIAL, value)
			 : unlink_all(w, m, e, CONTACT_SOCIAL, provider);
}

static int take_state(
	struct work *w, struct member *m, const struct event *e, enum member_state state)
{
	bool changed = false;

	if (state == MEMBER_REGISTERED && (!m->registered || e->occurred < m->registered)) {
		m->registered = e->occurred;
		changed = true;
	}
	if (m->state < state) {
		m->state = state;
		changed = true;
	}
	return changed ? member_save(w, m) : 0;
}

static int take_status(struct work *w, struct member *m, const struct event *e)
{
	struct str system = text(e, ATTR_system);
	struct str value = text(e, e->type == EVENT_STATUS_CHANGED ? ATTR_to : ATTR_value);

	if (!system.n)
		system = str_of(member_first_system(w));
	return member_set_status(w, m, system, value) < 0 ? -1 : 0;
}

/* Has an operator locked the cells? The event is kept, and told of. 1, 0, -1. */
static int consent_locked(struct work *w, struct member *m, const struct consent_said *c)
{
	int locked = member_consent_locked(w, m, c->row, c->channel);

	if (locked > 0 && w->odd)
		w->odd(w,
			arena_printf(w->arena,
				"data.granted %s a subscription that is locked (%s, %s): it stays",
				c->granted ? "grants" : "refuses",
				c->row < 0 ? "*" : row_word((enum row)c->row),
				c->channel < 0 ? "*" : media_word((enum media)c->channel)));
	return locked;
}

/* The platform says what is so: rows of policy.read_only are for the member, not for it; what an
 * operator has locked is nobody's but an operator's. What was said since of the same cells, here or
 * there, stands. */
static int take_consent(struct work *w, struct member *m, const struct event *e)
{
	struct consent_said c, since[2 * LATER_MOST];
	int n;

	if (!consent_of_event(e, &c))
		return 0;
	n = consent_locked(w, m, &c);
	if (n)
		return n < 0 ? -1 : 0;
	n = consent_since(w, m, e, since);
	if (n < 0)
		return -1;
	for (int i = 0; i < n; i++)
		if (since[i].row == c.row &&
			(since[i].channel == c.channel || (c.row >= 0 && since[i].channel < 0)))
			return 0;
	if (member_said_consent(w, m, c.row, c.channel, c.granted, e->source, text(e, ATTR_proof),
		    true, c.at) < 0)
		return -1;
	for (int i = 0; i < n; i++) /* parts of the row */
		if (since[i].row == c.row &&
			member_said_consent(w, m, c.row, since[i].channel, since[i].granted,
				e->source, STR_NONE, true, since[i].at) < 0)
			return -1;
	return 0;
}

static int take_merged(struct work *w, struct member *m, const struct event *e)
{
	struct str into = text(e, ATTR_into);
	struct member *stays;

	if (!into.n || str_eq(into, m->ext))
		return 0;
	switch (member_find(w, ALIAS_MEMBER, into, &stays)) {
	case 0: /* it was only renamed */
		if (member_create(w, into, m->state, &stays) < 0)
			return -1;
		break;
	case 1:
		break;
	default:
		return -1;
	}
	return member_merge(w, stays, m);
}

/* What the event says of its member beside the names, and again what was said of that since. */
static int take_more(struct work *w, struct member *m, const struct event *e, json_t *fields)
{
	uint64_t seq[LATER_MOST];
	int n;

	if (member_take_fields(w, m, fields, e->occurred) < 0)
		return -1;
	n = later_events(w, m, e, EVENT_MEMBER_UPDATED, seq);
	for (int i = 0; i < n; i++) {
		struct event *later;
		int rc = event_load(w, seq[i], &later);

		if (rc < 0)
			return -1;
		if (rc == 0)
			continue;
		rc = member_take_fields(
			w, member_now(m), event_part(later, ATTR_member), later->occurred);
		event_drop(&later);
		if (rc < 0)
			return -1;
	}
	return n < 0 ? -1 : 0;
}

int member_take_event(struct work *w, struct member *m, const struct event *e)
{
	/* whatever it is about, it may say more of its member beside the names */
	json_t *fields = event_part(e, ATTR_member);
	int overtaken;

	if (fields && e->type != EVENT_MEMBER_LEFT && e->type != EVENT_MEMBER_MERGED &&
		take_more(w, m, e, fields) < 0)
		return -1;
	overtaken = event_overtaken(w, m, e);
	if (overtaken)
		return overtaken < 0 ? -1 : 0;
	switch (e->type) {
	case EVENT_CARD_ASSIGNED:
	case EVENT_CARD_ACTIVATED:
		return take_state(w, m, e, MEMBER_CUSTOMER);
	case EVENT_REGISTRATION_COMPLETED:
		return take_state(w, m, e, MEMBER_REGISTERED);
	case EVENT_FORM_COMPLETED:
		return member_take_answers(w, m, event_part(e, ATTR_answers), e->occurred);
	case EVENT_CONTACT_LINKED:
		return take_linked(w, m, e);
	case EVENT_CONTACT_UNLINKED:
		return take_unlinked(w, m, e);
	case EVENT_CONTACT_INVALID:
		return take_invalid(w, e);
	case EVENT_APP_INSTALLED:
		return take_app(w, m, e);
	case EVENT_APP_REMOVED:
		return take_app_removed(w, m, e);
	case EVENT_SOCIAL_LINKED:
	case EVENT_SOCIAL_UNLINKED:
		return take_social(w, m, e);
	case EVENT_STATUS_CHANGED:
	case EVENT_STATUS_CALCULATED:
		return take_status(w, m, e);
	case EVENT_CONSENT_CHANGED:
		return take_consent(w, m, e);
	case EVENT_MEMBER_MERGED:
		return take_merged(w, m, e);
	case EVENT_MEMBER_LEFT:
		return member_erase(w, m, text(e, ATTR_cause));
	default:
		return 0;
	}
}
