/* Events: the catalogue, one event in memory, and reading it from JSON.
 *
 * An event is immutable once read. Attributes are found by the numbers of event_attrs.def. What the
 * text says of the member stays text here: who that is, is found out on the store writer.
 */
#ifndef POSTERN_PLUGINS_OFFERS_EVENT_H
#define POSTERN_PLUGINS_OFFERS_EVENT_H

#include "gateway/base/mem.h"
#include "gateway/http/json.h"
#include "gateway/model/address.h"
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

/* libevent has functions of these names, and one program only one of each. */
#pragma GCC poison event_new event_free
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
/* By word; also aliases: "phone.linked", "email.unlinked" … are contact.… with that kind, which
 * *kind_r (may be NULL) then names (else ""); and the names of event_names.def. */
bool event_type_parse(struct str word, enum event_type *t_r, const char **kind_r);
const char *event_type_near(struct str word); /* the most similar word, or NULL */
/* For a word that is no event: "; did you mean \"purchase.completed\"?", those of the same thing
 * ("; there are purchase.completed, purchase.refunded"), or nothing. taken: only those that are
 * taken from outside. */
void event_type_hint(struct str word, bool taken, char *out, size_t cap);
bool event_has_attr(enum event_type t, enum event_attr a);
struct event_attr_kind {
	const char *word, *doc;
	enum value_type type, of; /* MISSING: composite */
};
extern const struct event_attr_kind event_attr_kinds[EVENT_ATTRS];
bool event_attr_parse(struct str word, enum event_attr *a_r);
/* Names event.* of one type; of several: those that all have; and of what a receipt has, receipt.*
 * beside it (the same slots; receipt.number is event.receipt). Lives in the arena. */
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

enum { EVENT_ODD = 4 };
struct event {
	enum event_type type;
	struct str id, source;
	wall_t occurred, received;   /* occurred: clamped by the two-clock rules */
	int32_t offset;              /* seconds east of UTC that it was written with */
	struct str who[ALIAS_KINDS]; /* empty: not said */
	struct value attr[EVENT_ATTRS];
	json_t *body;    /* the whole in its stored form; composite attributes: event_part() */
	struct str text; /* the same as compact JSON: sorted, times in UTC, aliases resolved */
	uint64_t digest; /* of the text: equal facts have equal digests */
	/* Fields that nobody looks at and that are like a known one: "data.totl: is \"total\"
	 * meant?"
	 */
	const char *odd[EVENT_ODD];
	unsigned odd_n;
	struct arena *arena; /* holds all of it, this too */
	uint64_t seq;        /* given when it is on disk */
	uint64_t whose;      /* the member by whom it was worked on; 0: it was not yet */
};
enum event_verdict { EVENT_OK, EVENT_UNKNOWN_TYPE, EVENT_FAULTY, EVENT_FUTURE };
/* How events of one source are read. */
struct event_reader {
	struct str source;                     /* when the text names none: the token's name */
	const struct address_country *country; /* of national phone numbers; NULL: none are taken */
	dur_t ahead;                           /* so far in the future is taken as it is */
	dur_t too_far; /* further in the future: EVENT_FUTURE; between: clamped to now */
};
/* One event from JSON; *e_r is the caller's (event_drop). now: when it was received. Faults name
 * the field. What `data` and `receipt` hold beyond the catalogue is kept with the text and counts
 * for the digest, but is not looked at (see ->odd). Times are kept to the millisecond. Any thread.
 */
enum event_verdict event_read(json_t *v, wall_t now, const struct event_reader *how,
	struct event **e_r, struct json_faults *f);
/* The same from the text that was stored. occurred: as clamped. NULL when it is damaged. */
struct event *event_restore(struct str text, wall_t occurred, wall_t received);
/* An event made here: who and attributes are set by the caller in ->who and ->attr (with texts of
 * ->arena), then event_seal() makes text and digest of them. */
struct event *event_make(enum event_type t, wall_t at, struct str source, struct str id);
void event_seal(struct event *e);
void event_drop(struct event **ep);
/* A composite attribute (lots, balances, answers, member) as it was given: an array or object,
 * borrowed; NULL when absent. `member` also holds what the envelope's member said beyond names. */
json_t *event_part(const struct event *e, enum event_attr a);

/* Is it of that kind? NULL and "": any will do. */
bool event_is_kind(const struct event *e, const char *kind);

#endif
