/* Events: the catalogue, one event in memory, and reading it from JSON.
 *
 * An event is immutable once read. Attributes are found by the numbers of event_attrs.def. What the
 * text says of the member stays text here: who that is, is found out on the store writer.
 */
#ifndef POSTERN_PLUGINS_OFFERS_EVENT_H
#define POSTERN_PLUGINS_OFFERS_EVENT_H

#include "gateway/base/mem.h"
#include "gateway/http/json.h"
#include "plugins/offers/names.h"

/* Rows of the subscription matrix. Numbers are stored. */
enum row {
	ROW_DISCOUNT, /* DiscountOperation */
	ROW_PAYMENT,  /* PaymentOperation */
	ROW_DEPOSIT,  /* DepositOperation */
	ROW_REFUND,   /* RefundOperation */
	ROW_OFFER,    /* CommunicationOffer */
	ROW_ADVERT,   /* Advertisement */
	ROW_SYSTEM,   /* System */
	ROW_COUNT
};
const char *row_word(enum row r);
bool row_parse(struct str word, enum row *r);

enum event_flag { EV_TILL = 1, EV_SOFT = 2, EV_UNDO = 4, EV_PLATFORM = 8, EV_OWN = 16 };
enum event_type {
#define EVENT(NAME, word, flags, row, attrs, doc) EVENT_##NAME,
#include "plugins/offers/events.def"
#undef EVENT
	EVENT_TYPES
};
enum event_attr {
#define ATTR(name, type, element, doc) ATTR_##name,
#include "plugins/offers/event_attrs.def"
#undef ATTR
	EVENT_ATTRS
};
enum { EVENT_ENVELOPE = ATTR_receipt + 1 }; /* attributes that every event has */

struct event_kind {
	const char *word, *attrs, *doc;
	unsigned flags;
	enum row row;
};
extern const struct event_kind event_kinds[EVENT_TYPES];
/* By word; also aliases: "phone.linked", "email.linked" are contact.linked with that kind, which
 * *kind_r then names (else ""). */
bool event_type_parse(struct str word, enum event_type *t_r, const char **kind_r);
const char *event_type_near(struct str word); /* the most similar word, or NULL */
bool event_has_attr(enum event_type t, enum event_attr a);
/* Names event.* of one type; of several: those that all have. Lives in the arena. */
const struct scope *event_scope(const enum event_type *t, size_t n, struct arena *a);

/* How the text names the member: any of these, at least one, or none at all (anonymous). */
enum alias_kind {
	ALIAS_MEMBER,
	ALIAS_CARD,
	ALIAS_DEVICE,
	ALIAS_PHONE,
	ALIAS_EMAIL,
	ALIAS_GUEST,
	ALIAS_KINDS
};
const char *alias_word(enum alias_kind k); /* "id", "card", "device", "phone", "email", "guest" */

struct event {
	enum event_type type;
	struct str id, source;
	wall_t occurred, received;   /* occurred: clamped by the two-clock rules */
	struct str who[ALIAS_KINDS]; /* empty: not said */
	struct value attr[EVENT_ATTRS];
	json_t *body;    /* the whole, for composite attributes; NULL where they were not kept */
	struct str text; /* compact JSON as it is stored */
	uint64_t digest; /* of all but received: equal facts have equal digests */
	struct arena *arena; /* holds all of it, this too */
	uint64_t seq;        /* given when it is on disk */
};
enum event_verdict { EVENT_OK, EVENT_UNKNOWN_TYPE, EVENT_FAULTY, EVENT_FUTURE };
/* One event from JSON; *e_r is the caller's (event_free). now: when it was received. Faults name
 * the field. default_source: the token's name, when the text names none. Accepted up to `ahead` in
 * the future (then clamped to now); `too_far` and beyond: EVENT_FUTURE. Any thread. */
enum event_verdict event_read(json_t *v, wall_t now, struct str default_source, const char *country,
	struct event **e_r, struct json_faults *f);
/* The same from the text that was stored. NULL when it is damaged. */
struct event *event_restore(struct str text, wall_t received);
/* An event made here: attributes are set by the caller in ->attr. */
struct event *event_make(enum event_type t, wall_t at, struct str id);
void event_free(struct event **ep);

#endif
