/* The configuration of the offers plugin: offers.d, tasks.d, templates.d, mailings.d, content.d and
 * policy.conf, each file a tree of its own, all of them one set of rules.
 *
 * First what the files say (struct …_conf, filled by the rows), then what was made of it: names
 * resolved, filters and templates compiled, times parsed. Immutable once loaded; a reload makes
 * another one, and whoever works with one holds a reference (rules_ref). Any thread.
 */
#ifndef POSTERN_PLUGINS_OFFERS_RULES_H
#define POSTERN_PLUGINS_OFFERS_RULES_H

#include "gateway/base/conf.h"
#include "gateway/model/message.h"
#include "plugins/offers/event.h"
#include "plugins/offers/filter.h"
#include "plugins/offers/template.h"
#include "plugins/offers/zone.h"

/* ---- what the files say ------------------------------------------------------------------- */

enum class { CLASS_MARKETING, CLASS_SERVICE, CLASS_LEGAL, CLASS_COUNT }; /* numbers are stored */
enum clock { CLOCK_MEMBER, CLOCK_PROGRAM, CLOCK_TILL };
enum disarm { DISARM_STOP, DISARM_RESTART, DISARM_RESTART_STEP, DISARM_IGNORE };
enum again { AGAIN_DEFAULT, AGAIN_IGNORE, AGAIN_RESTART, AGAIN_PARALLEL };
enum next_if { NEXT_ALWAYS, NEXT_SENT, NEXT_DELIVERED };
enum on_soft { SOFT_FIRST, SOFT_CONFIRM };
enum look { LOOK_ACTIVATES, LOOK_EXPIRES, LOOK_BIRTHDAY };
enum do_what { DO_RECEIPT, DO_CASHIER, DO_SEND, DO_STATUS };

struct step_conf {
	struct conf_where at;
	const char *after;    /* span */
	const char **windows; /* `at` */
	size_t windows_n;
	const char *send; /* template */
	const char **via;
	size_t via_n;
	const char *fall_back_after; /* "" none */
	const char *only_if;
	const char *status_system, *status; /* assigns one as well, "" none */
};
struct action_conf {
	struct conf_where at;
	int do_what; /* enum do_what */
	const char *text, *template;
	int width, lines; /* of the printer; 0: the policy's */
	const char **via;
	size_t via_n;
	const char *fall_back_after;
	const char *only_if, *count;
	int addressee; /* 0 member, 1 buyer */
	const char *system, *value;
};
struct offer_limits_conf {
	const char *per_member; /* "2 per 30 days" */
	const char *total;
	const char *per_account, *per_store;
};
struct active_conf {
	const char *from, *to; /* local date or date and time; "" open */
	int clock;
};
struct offer_conf {
	struct conf_where at;
	const char *name, *title, *was;
	int kind;            /* enum class */
	const char *consent; /* row; "" the event's own */
	struct active_conf active;
	const char **when;
	size_t when_n;
	const char *only_if;
	const char **unless;
	size_t unless_n;
	const char *unless_if; /* filter on the disarming event */
	int then, again, next_if, on_soft;
	int restarts_at_most, priority;
	const char *key;        /* attribute that tells parallel chains apart: "event.receipt" */
	bool same_receipt_only; /* a disarming event counts only with the receipt that armed */
	bool rearm_on_refund, finish_running, apply_to_running, deliver_now, refund_on_suppress;
	const char *settle, *max_lateness, *expires; /* "": the policy's */
	struct step_conf *steps;
	size_t steps_n;
	struct action_conf *actions;
	size_t actions_n;
	struct offer_limits_conf limits;
	const char **stories;
	size_t stories_n;
};
enum counter_scope { SCOPE_PER_MEMBER, SCOPE_PER_ACCOUNT, SCOPE_PER_STORE, SCOPE_PER_OFFER };
struct counter_conf {
	struct conf_where at;
	const char *name, *was;
	const char *of;      /* an event type, or "actions" */
	const char *sum;     /* "event.total"; "": one each */
	const char *only_if; /* filter on the event */
	int per, period, clock;
	int every;                /* every n-th: the counter is true then; 0: none */
	const char *every_amount; /* every so much money or points; "" none */
	bool undo_on_refund;
};
struct audience_conf {
	struct conf_where at;
	const char *name, *is; /* filter over members */
};
/* What the programme keeps of its members beside what all have. */
struct members_conf {
	struct conf_where at;
	struct conf_pair *attributes; /* name = "text", "list of text" … */
	size_t attributes_n;
	const char **statuses; /* status systems; the first is member.status */
	size_t statuses_n;
};
struct accrue_conf {
	const char *currency, *amount, *lives;
};
struct task_conf {
	struct conf_where at;
	const char *name, *was;
	const char *every; /* "day at 11:00" */
	int clock, kind;
	int look; /* enum look */
	const char **ahead;
	size_t ahead_n;
	bool within;
	const char *currency, *at_least, *only_if;
	const char *send, *correct;
	const char **via;
	size_t via_n;
	const char *fall_back_after, *consent;
	int if_late;  /* 0 skip, 1 run */
	int leap_day; /* 0 feb28, 1 mar1, 2 skip */
	struct accrue_conf accrue;
	bool accrue_given;
	const char *once_per, *min_member_age;
	const char *max_lateness;
	const char **stories;
	size_t stories_n;
};
struct budget_conf {
	const char *max_cost, *stop_if_failed;
	int64_t max_messages;
};
struct approval_conf {
	const char **by;
	size_t by_n;
	bool two_people;
};
struct mailing_conf {
	struct conf_where at;
	const char *name, *campaign;
	const char **channel;
	size_t channel_n;
	const char *fall_back_after, *audience, *exclude, *template, *consent, *start, *expires,
		*pace;
	const char *holdout;
	int clock;
	struct budget_conf budget;
	struct approval_conf approval;
};
struct class_conf {
	const char **quiet; /* windows in which nothing leaves */
	size_t quiet_n;
	int on_quiet;     /* 0 hold, 1 drop, 2 next channel */
	const char **max; /* "1 per day" */
	size_t max_n;
	int per;             /* 0 member, 1 channel */
	int on_cap;          /* 0 drop, 1 defer */
	const char **exempt; /* media that quiet hours do not hold: email */
	size_t exempt_n;
};
struct quiet_country_conf { /* other quiet hours for numbers of a country */
	struct conf_where at;
	const char *prefix;
	const char **quiet;
	size_t quiet_n;
};
struct policy_conf {
	struct conf_where at;
	const char *default_clock, *language;
	struct class_conf marketing, service, legal;
	struct quiet_country_conf *countries;
	size_t countries_n;
	int consent_default;    /* 0 all, 1 none, 2 service-only */
	const char **read_only; /* rows that members cannot change */
	size_t read_only_n;
	const char **holidays;
	size_t holidays_n;
	const char **stop_words, **start_words;
	size_t stop_words_n, start_words_n;
	int when_no_contact;  /* 0 next-channel, 1 skip */
	int template_version; /* 0 at-send, 1 at-arm */
	const char *keep_events, *max_lateness, *settle, *spread, *expires;
	bool unverified; /* addresses that were not proved may be written to */
	struct printer_conf printer;
	struct conf_pair *from; /* sender by medium */
	size_t from_n;
};
struct program_conf { /* what texts say of it: Program.name … */
	const char *name, *phone, *url, *unsubscribe;
};
struct ledger_conf {
	struct conf_where at;
	int master; /* 0 local, 1 upstream */
	const char *webhook, *webhook_secret;
	bool webhook_private;
	dur_t give_up;
};
struct intake_conf {
	dur_t reply_budget;
	double rate; /* events/s; 0: no limit */
	dur_t ahead, too_far, offline_after;
	uint64_t body_most;
};
struct rules_conf {
	struct conf_where at;
	struct offer_conf *offers; /* `offer = { … }` and `offers = ( … )` together */
	size_t offers_n;
	struct offer_conf *more_offers;
	size_t more_offers_n;
	struct counter_conf *counters;
	size_t counters_n;
	struct audience_conf *audiences;
	size_t audiences_n;
	struct members_conf members;
	struct task_conf *tasks;
	size_t tasks_n;
	struct mailing_conf *mailings;
	size_t mailings_n;
	struct policy_conf policy;
	struct program_conf program;
	struct ledger_conf ledger;
	struct intake_conf intake;
	struct texts_conf texts; /* template_conf.h: templates, currencies, printer */
};
extern const struct conf_item rules_rows[];

/* ---- what was made of it ------------------------------------------------------------------- */

enum { VIA_MOST = 6 };
/* "2 per 30 days", "1 per day" (calendar), "3 per week". */
struct quota {
	int64_t most;
	enum period period; /* PERIOD_EVER with span: rolling; without: altogether */
	struct span span;
};
struct via {
	unsigned n;
	uint8_t media[VIA_MOST]; /* enum media; MEDIA_COUNT: the inbox */
	dur_t fall_back_after;   /* 0: the first that passes is the only one */
};
struct step {
	const struct step_conf *conf;
	struct span after;
	struct window *windows;
	size_t windows_n;
	const struct template *template; /* NULL: it only assigns a status */
	struct via via;
	const struct filter *only_if; /* NULL: always */
};
struct action {
	const struct action_conf *conf;
	enum do_what what;
	const struct template *template; /* of a send */
	const struct text *text;         /* of a receipt or cashier line */
	const struct printer *printer;   /* NULL: the usual one */
	struct via via;
	const struct filter *only_if;
	struct counter *count;
};
struct counter {
	const struct counter_conf *conf;
	uint32_t number;     /* of_name */
	int of;              /* event type; -1: actions */
	const char *kind;    /* "phone" of phone.linked, "" any */
	enum event_attr sum; /* EVENT_ATTRS: one each */
	const struct filter *only_if;
	int64_t every_amount;
};
struct offer {
	const struct offer_conf *conf;
	uint32_t number; /* of_name */
	enum row row;
	enum class kind;
	/* by event type: bit set when it arms or disarms; kinds: "phone" of phone.linked, or "" */
	uint64_t arms, disarms;
	const char *arm_kind[EVENT_TYPES], *disarm_kind[EVENT_TYPES];
	const struct filter *only_if, *unless_if;
	uint64_t looks_back; /* events whose history these filters ask for */
	int key_attr;        /* enum event_attr, -1 none */
	wall_t from, to;     /* 0 open; of the program's clock unless by_member */
	int64_t from_day, to_day;
	struct local from_local, to_local;
	bool by_member;
	struct step *steps;
	size_t steps_n;
	struct action *actions;
	size_t actions_n;
	struct quota per_member, per_account, per_store, total;
	struct span settle, max_lateness, expires;
	struct span total_after; /* all steps together: how far back marks matter */
	uint64_t version;        /* of what chains under way depend on: offer_version() */
	uint64_t pin; /* of its steps' templates, where chains keep those; else 0 (pin.h) */
};
struct audience {
	const struct audience_conf *conf;
	const struct filter *is;
};
struct task {
	const struct task_conf *conf;
	uint32_t number;
	enum row row;
	enum class kind;
	enum look look;
	int64_t at; /* ns since local midnight */
	unsigned ahead_n;
	int ahead[8];      /* days */
	uint32_t currency; /* of_name; 0: any */
	int64_t at_least;
	const struct template *template, *correct;
	struct via via;
	const struct filter *only_if;
	uint32_t accrue_currency;
	int64_t accrue_amount;
	struct span accrue_lives, min_member_age, max_lateness;
};
struct class_rules {
	struct window *quiet;
	size_t quiet_n;
	struct quota *max;
	size_t max_n;
	bool per_channel;
	unsigned exempt; /* MEDIA_BIT */
	const struct class_conf *conf;
};
struct quiet_country {
	struct str prefix; /* digits, without '+' */
	struct window *quiet;
	size_t quiet_n;
};
struct rules {
	_Atomic unsigned refs;
	struct arena *arena;
	const char *dir; /* folder that it was loaded from; "" from text */
	const struct rules_conf *conf;
	struct offer *offers;
	size_t offers_n;
	struct offer **by_number; /* by of_name's numbers */
	size_t by_number_n;
	/* for each event type: offers that it concerns (arms, disarms, acts), by priority */
	struct offer **by_event[EVENT_TYPES];
	size_t by_event_n[EVENT_TYPES];
	uint64_t prints; /* events that are no till's by themselves, and some offer has lines for */
	struct counter *counters;
	size_t counters_n;
	struct audience *audiences;
	size_t audiences_n;
	struct task *tasks;
	size_t tasks_n;
	struct templates *templates;
	const struct scope *member_scope; /* members.def, declared attributes, now, today */
	const struct currencies *currencies;
	const struct printer *printer;
	uint32_t *template_numbers; /* beside templates_at() */
	struct name *attributes;    /* slots from SLOT_ATTR */
	size_t attributes_n;
	struct class_rules classes[CLASS_COUNT];
	struct quiet_country *countries; /* of marketing; longer prefixes first */
	size_t countries_n;
	const struct zone *zone;        /* the programme's */
	struct holidays holidays;       /* for windows that name them */
	struct address_country country; /* where national phone numbers are of; set by who loads */
	struct span keep_events, max_lateness, settle, expires;
	dur_t spread;
	unsigned
		media; /* MEDIA_BIT of media that a route takes; MEDIA_ANY where it was not asked */
};

/* Slots from SLOT_WORLD. */
enum world_name { WORLD_NOW, WORLD_TODAY, WORLD_OFFER_NAME, WORLD_OFFER_TITLE, WORLD_ENDS };
enum name_kind {
	NAME_OBJECT = 1, /* offers, tasks, mailings: whatever sends */
	NAME_COUNTER,
	NAME_CURRENCY,
	NAME_TEMPLATE,
	NAME_SYSTEM
};

/* Loads the files beside the main one. NULL when f has errors; else one reference. media: what the
 * gateway's routes take, for faults of offers without a route. */
struct rules *rules_load(const char *dir, unsigned media, struct conf_faults *f);
struct rules *rules_load_text(const char *name, struct str text, unsigned media,
	struct conf_faults *f); /* tests, stories */
/* Numbers for its names; on the writer, once, before anybody else sees it. -1: the store failed, or
 * a counter was renamed without `was`. */
struct db;
int rules_number(struct rules *r, struct db *db, struct err *e);
struct rules *rules_ref(struct rules *r);
void rules_unref(struct rules **rp);
/* NULL: none of that name. */
/* Is that event answered with lines? Those of the till are; friend.purchased is where an offer has
 * some for the friend, who stands there. */
bool rules_till(const struct rules *r, enum event_type t);
const struct offer *rules_offer(const struct rules *r, struct str name);
const struct offer *rules_offer_number(const struct rules *r, uint32_t number);
struct counter *rules_counter(const struct rules *r, struct str name);
const struct audience *rules_audience(const struct rules *r, struct str name);
/* `; did you mean "x"?` of those, or which there are. */
enum { RULES_OFFERS = 1, RULES_TASKS = 2, RULES_AUDIENCES = 4 };
void rules_near_put(const struct rules *r, unsigned which, struct str word, struct buf *b);
const struct task *rules_task(const struct rules *r, struct str name);
uint32_t rules_template_number(const struct rules *r, const struct template *t);
const struct class_conf *policy_class(const struct policy_conf *p, enum class c);
int quota_parse(struct str s, struct quota *q, const char **why_r);
/* What chains under way depend on: as text, as a number, and made again of the text, in the arena,
 * against the present templates and settings. NULL and e: that cannot be any more. */
void offer_write(struct buf *b, const struct offer_conf *c);
uint64_t offer_version(const struct offer_conf *c);
const struct offer *offer_restore(
	const struct rules *now, uint32_t number, struct str text, struct arena *a, struct err *e);
/* A line per difference, for `reload --dry-run`. */
void rules_compare(const struct rules *now, const struct rules *then, struct buf *lines);

#endif
