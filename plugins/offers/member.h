/* Members and customers: who somebody is, how they can be reached, what they agreed to.
 *
 * On the store writer, within one unit of work, which keeps each member that it has loaded. All
 * functions that return int: 0 (or what is said), -1 with w->e when the store failed.
 */
#ifndef POSTERN_PLUGINS_OFFERS_MEMBER_H
#define POSTERN_PLUGINS_OFFERS_MEMBER_H

#include "gateway/model/address.h"
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
	wall_t since;
	struct str value; /* E.164 digits, lower-case domain, provider:profile, token */
	struct str
		sub; /* social: provider; device: service/platform/device, see contact_device() */
};
/* Where a member can be written to over a medium. */
struct reach {
	struct str address; /* a social network's is the phone number: the link only permits it */
	const struct contact *contact; /* what permits it: viber, social link, token … */
};
struct member_status {
	struct str system, value;
};
struct member {
	struct member *next; /* of this unit of work */
	struct member *into; /* merged into that one in this unit: member_now() */
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
	bool contacts_loaded, attrs_loaded, consent_loaded, status_loaded;
	bool fresh; /* made in this unit */
	const struct contact *contacts;
	unsigned contacts_n;
	struct value *attrs; /* as rules->attributes */
	struct member_status *status;
	unsigned status_n;
	struct consent_cell {
		int row, channel;
		unsigned flags;
	} * consent;
	unsigned consent_n;
};
enum consent_flag { CONSENT_GRANTED = 1, CONSENT_READ_ONLY = 2 };

const char *member_state_word(enum member_state s);
bool member_state_parse(struct str word, enum member_state *s_r);
const char *contact_word(enum contact_kind k); /* "phone", "email", "viber", "social", "device" */
bool contact_parse(struct str word, enum contact_kind *k_r);
enum contact_kind contact_of_media(enum media media); /* by which it is addressed */

/* 1: *m_r (lives as long as the unit), 0: there is none. Follows merges. */
int member_load(struct work *w, uint64_t id, struct member **m_r);
/* A number or address of several members is that of whom it was proved for, the latest. */
int member_find(struct work *w, enum alias_kind kind, struct str value, struct member **m_r);
/* The one that it was merged into since it was loaded, else itself. */
struct member *member_now(struct member *m);
/* A new record; ext empty: a customer without one. */
int member_create(struct work *w, struct str ext, enum member_state state, struct member **m_r);
/* The same in two steps: of columns that the caller fills between. */
struct member *member_blank(struct work *w, struct str ext, enum member_state state);
int member_insert(struct work *w, struct member *m);
/* Writes what was changed in *m of the columns of of_member. Texts are the unit's. */
int member_save(struct work *w, struct member *m);
/* That card, device or guest is this member's from now on, whoever's it was. */
int member_alias(struct work *w, struct member *m, enum alias_kind kind, struct str value);
/* Who an event speaks of: found by any of its names; names that point to different members merge
 * them where the rules of identity allow (a device or card that was nobody's joins the member);
 * made as anonymous or customer when nobody is known. 1, or 0 when the event names nobody. */
int member_of_event(struct work *w, const struct event *e, struct member **m_r);
/* The same for names that are told as such (imports): cards and devices change hands by it. Nobody
 * is made: 0 when nobody is known. */
int member_of_names(struct work *w, const struct str names[ALIAS_KINDS], struct member **m_r);
/* What the event itself says of the member: contacts, devices, cards, statuses, attributes, state.
 */
int member_take_event(struct work *w, struct member *m, const struct event *e);
/* An event that is none: a link that was not proved (EV-14). */
bool event_unproved(const struct event *e);
int member_contacts(struct work *w, struct member *m);
int member_attrs(struct work *w, struct member *m);
/* Writes m->attrs, which were loaded and changed in place. */
int member_set_attrs(struct work *w, struct member *m);

/* ---- contacts ---- */
/* The one form of an address: digits, lower-case domain; *out_r lives in the arena. False and why
 * (static) when it is none. Pure. */
bool contact_normal(struct arena *a, enum contact_kind kind, struct str in,
	const struct address_country *country, struct str *out_r, const char **why_r);
/* Adds it, or adds to its flags; VERIFIED makes it valid again. A device's token leaves whoever had
 * it, and takes the place of that device's former one. */
int contact_put(struct work *w, struct member *m, enum contact_kind kind, struct str value,
	struct str sub, unsigned flags, wall_t since);
/* value empty: all of that kind. */
int contact_drop(struct work *w, struct member *m, enum contact_kind kind, struct str value);
/* The parts of a device contact's sub; STR_NONE where not known. */
void contact_device(const struct contact *c, struct str *service_r, struct str *platform_r,
	struct str *device_r);
/* Valid addresses for that medium, proved ones first, then the newest; how many (at most `most`),
 * or -1. Landlines take no SMS; a social network is reached by phone where a profile is linked;
 * push: each token. unverified: those not proved count, too (policy.unverified). */
int member_reach(struct work *w, struct member *m, enum media media, bool unverified,
	struct reach *v, unsigned most);
/* 1: a valid contact of that kind is known. */
int member_has(struct work *w, struct member *m, enum contact_kind kind);
/* Whose it is: their ids, at most `most`; how many, or -1. */
int contact_owners(
	struct work *w, enum contact_kind kind, struct str value, uint64_t *id, unsigned most);

/* ---- consent ---- */
/* Does the matrix let this row go over this medium? Class legal passes all but blocked channels.
 * 1 yes, 0 no. */
int member_agrees(
	struct work *w, struct member *m, enum row row, enum class class, enum media media);
/* The matrix as it stands, for showing and for subscribed(). */
struct consent_view {
	bool granted, read_only;
	bool said; /* there is a cell, or one for the row; else it is policy's default */
	bool off;  /* the whole channel is */
};
int member_consent(
	struct work *w, struct member *m, enum row row, enum media media, struct consent_view *v_r);
/* A cell that is there can (not) be changed any more without force. */
/* 1: an operator has locked that cell, its row, or a cell that the whole row would change; 0, -1.
 * What policy.read_only says is another matter. */
int member_consent_locked(struct work *w, struct member *m, int row, int channel);
int member_lock_consent(struct work *w, struct member *m, int row, int channel, bool locked);
/* What waits for them and is not agreed to any more is withdrawn. */
int member_withdraw_refused(struct work *w, struct member *m);
/* The same of what waits for an address that was theirs, and by which they cannot be reached. */
int member_withdraw_address(struct work *w, struct member *m, struct str address);
/* Everything that waits for them is taken back; *n_r (may be NULL): how many were asked for. */
int member_withdraw_all(struct work *w, struct member *m, unsigned *n_r);
/* By whom: "api", "sms STOP", "email", …; channel -1: the whole row, row -1: the whole channel.
 * 0; 1: a cell is read-only. What waits in queues and is no longer allowed is withdrawn. */
int member_set_consent(struct work *w, struct member *m, int row, int channel, bool granted,
	struct str by, struct str proof, bool force);
/* The same of what was said at that time. */
int member_said_consent(struct work *w, struct member *m, int row, int channel, bool granted,
	struct str by, struct str proof, bool force, wall_t at);
/* The caps' subject (of_touch) of an address whose owner is not known; never a member's id. */
uint64_t address_subject(struct str address);
/* What stands for an address in of_sent, so that it holds no personal data: hex digits. */
enum { ADDRESS_DIGEST = 17 };
void address_digest(struct str address, char out[ADDRESS_DIGEST]);
/* Addresses without regard to who they belong to. What waits for them and is blocked now is
 * withdrawn. row -1: all, whatever its class. Of a row: what member_agrees() would refuse to who
 * has refused that row, so never CLASS_LEGAL, and of ROW_OFFER and ROW_ADVERT only CLASS_MARKETING,
 * of which both together are all. */
int address_block(struct work *w, struct str address, enum media media, int row, struct str reason,
	struct str by, struct str proof);
/* Such a row is there, be it over: 1, 0, -1. */
int address_listed(struct work *w, struct str address, enum media media, int row);
/* 1: it was blocked. The second: only one that was blocked for that reason. */
int address_unblock(struct work *w, struct str address, enum media media, int row);
int address_unblock_for(
	struct work *w, struct str address, enum media media, int row, struct str reason);
int address_blocked(struct work *w, struct str address, enum media media, enum row row,
	enum class class); /* 1 yes */
int contact_mark_invalid(struct work *w, enum contact_kind kind, struct str value, struct str why);
/* Everything of `from` becomes `to`'s: contacts, aliases, chains (the earlier anchor stays),
 * counters, past, lots. */
int member_merge(struct work *w, struct member *to, struct member *from);
/* Personal data erased, timers and queued messages removed, what was said of and to them emptied
 * (much of it later, see leaving.h); the id stays, and that something was sent. */
int member_erase(struct work *w, struct member *m, struct str cause);
/* Value of a slot of members.def or a declared attribute. Loads what it needs. */
struct value member_value(struct work *w, struct member *m, unsigned slot);
/* "member.status" and its kin: the status in a system, STR_NONE. */
struct str member_status(struct work *w, const struct member *m, const char *system);
/* The system of "member.status" where none is named. */
const char *member_first_system(const struct work *w);
/* 1: it is another now, 0: it was that already. */
int member_set_status(struct work *w, struct member *m, struct str system, struct str value);
/* The same without writing it: true when it is another now, and to be saved. */
bool member_status_put(struct work *w, struct member *m, struct str system, struct str value);

#endif
