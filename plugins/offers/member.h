/* Members and customers: who somebody is, how they can be reached, what they agreed to.
 *
 * On the store writer, within one unit of work, which keeps each member that it has loaded. All
 * functions that return int: 0 (or what is said), -1 with w->e when the store failed.
 */
#ifndef POSTERN_PLUGINS_OFFERS_MEMBER_H
#define POSTERN_PLUGINS_OFFERS_MEMBER_H

#include "plugins/offers/work.h"

/* Numbers are stored. */
enum member_state {
	MEMBER_ANONYMOUS,
	MEMBER_CUSTOMER,
	MEMBER_REGISTERED,
	MEMBER_BLOCKED,
	MEMBER_LEFT
};
enum contact_kind {
	CONTACT_PHONE,
	CONTACT_EMAIL,
	CONTACT_VIBER,
	CONTACT_SOCIAL,
	CONTACT_DEVICE,
	CONTACT_KINDS
};
enum contact_flag { CONTACT_VERIFIED = 1, CONTACT_INVALID = 2, CONTACT_LANDLINE = 4 };

struct contact {
	enum contact_kind kind;
	unsigned flags;
	struct str value; /* E.164 digits, lower-case domain, token */
	struct str sub;   /* social: provider:id; device: service/platform */
};
struct member {
	struct member *next; /* of this unit of work */
	uint64_t id;
	struct str ext;
	enum member_state state;
	struct str first_name, last_name, lang, statuses; /* statuses: JSON */
	const struct zone *zone;                          /* the programme's when not known */
	bool zone_known;
	int birthday; /* month * 100 + day, 0 */
	bool born_known;
	int64_t born; /* days */
	wall_t registered, created, updated;
	/* loaded when first asked for; the unit's arena */
	bool contacts_loaded, attrs_loaded, consent_loaded;
	const struct contact *contacts;
	unsigned contacts_n;
	struct value *attrs; /* as rules->attributes */
	struct consent_cell {
		int row, channel;
		unsigned flags;
	} * consent;
	unsigned consent_n;
};
enum consent_flag { CONSENT_GRANTED = 1, CONSENT_READ_ONLY = 2 };

/* 1: *m_r (lives as long as the unit), 0: there is none. Follows merges. */
int member_load(struct work *w, uint64_t id, struct member **m_r);
int member_find(struct work *w, enum alias_kind kind, struct str value, struct member **m_r);
/* Who an event speaks of: found by any of its names; names that point to different members merge
 * them where the rules of identity allow (a device or card that was nobody's joins the member);
 * made as anonymous or customer when nobody is known. 1, or 0 when the event names nobody. */
int member_of_event(struct work *w, const struct event *e, struct member **m_r);
/* What the event itself says of the member: contacts, devices, cards, statuses, attributes, state.
 */
int member_take_event(struct work *w, struct member *m, const struct event *e);
int member_contacts(struct work *w, struct member *m);
int member_attrs(struct work *w, struct member *m);
/* Does the matrix let this row go over this medium? Class legal passes all but blocked channels.
 * 1 yes, 0 no. */
int member_agrees(
	struct work *w, struct member *m, enum row row, enum class class, enum media media);
/* By whom: "api", "sms STOP", "email", …; channel -1: the whole row, row -1: the whole channel.
 * 0; 1: a cell is read-only. What waits in queues and is no longer allowed is withdrawn. */
int member_set_consent(struct work *w, struct member *m, int row, int channel, bool granted,
	struct str by, struct str proof, bool force);
/* Addresses without regard to who they belong to. row -1: all. */
int address_block(struct work *w, struct str address, enum media media, int row, struct str reason,
	struct str by);
int address_unblock(struct work *w, struct str address, enum media media, int row);
int address_blocked(struct work *w, struct str address, enum media media, enum row row); /* 1 yes */
int contact_mark_invalid(struct work *w, enum contact_kind kind, struct str value, struct str why);
/* Everything of `from` becomes `to`'s: contacts, aliases, chains (the earlier anchor stays),
 * counters, past, lots. */
int member_merge(struct work *w, struct member *to, struct member *from);
/* Personal data erased, timers and queued messages removed; the id and what was sent stay. */
int member_erase(struct work *w, struct member *m, struct str cause);
/* Value of a slot of members.def or a declared attribute. Loads what it needs. */
struct value member_value(struct work *w, struct member *m, unsigned slot);
/* "member.status" and its kin: the status in a system, STR_NONE. */
struct str member_status(struct work *w, const struct member *m, const char *system);
/* 1: it is another now, 0: it was that already. */
int member_set_status(struct work *w, struct member *m, struct str system, struct str value);

#endif
