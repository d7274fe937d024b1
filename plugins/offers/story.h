/* clang-format off */
/* Stories: tests of an offer or a recurring task, one line each, on a virtual clock.
 *
 *	day 0 registration.completed; day 5 purchase.completed total=20;
 *	day 18 expect nothing; day 19 expect come-back-1 by sms
 *
 * A story is a row of clauses, separated by ';', each with a time and a deed:
 *
 *	story  = clause { ";" clause }
 *	clause = [ time ] deed
 *	time   = "day" N [ [ "at" ] clock ] | date [ [ "at" ] clock ]
 *	       | [ "at" ] clock | "after" span
 *	deed   = "begin"                          (with a date: that is day 0)
 *	       | "member" fact { "," fact }       fact = name "=" value | "no" contact
 *	       | ( "agree" | "refuse" ) ( row [ "by" medium ] | medium | "all" )
 *	       | ( "delivered" | "undelivered" | "read" | "unsubscribed" ) [ template ]
 *	       | "replied" [ template ] [ "saying" text ]
 *	       | event { name "=" value } [ "as" ( alias value | "nobody" ) ] [ "late" span ]
 *	       | { JSON }                         (an event as POST /v1/events takes it)
 *	       | "expect" wish { ( "," | "and" ) wish }
 *	wish   = "nothing"
 *	       | [ N ] template [ "by" medium ] [ "saying" text ]
 *	       | ( "receipt" | "cashier" ) text
 *	       | "suppressed" [ template ] [ "for" reason ]
 *	       | "counter" name "=" N
 *	       | "status" [ system ] "=" value
 *	       | "balance" currency "=" N
 *	value  = word | 'text' | 'day N' | [ JSON with ' for " ] | { JSON }
 *
 * 'day 3', 'day 3 at 10:00' is that day where a date or time belongs (of a birthday: its day and
 * month), with such a clock or at midnight.
 *
 * Days are the member's; day 0 is the offer's first day, else 2026-03-02. A deed without a clock is
 * done at noon, or a second after the one before it, whichever is later. "expect" without a time
 * looks at once; with a day it looks when that day is over, with a clock at that time. It wants
 * exactly what left since the "expect" before it, and messages to have left on the very day that
 * it names; "nothing" is: none left. Messages that were suppressed are not looked at unless asked
 * for. A story ends with its last clause.
 *
 * The member of a story, and whoever else is named by id, is registered, agrees to everything and
 * can be reached over every medium; "member" says otherwise. A story runs with its offer, or its
 * task, alone: policy, counters, templates and audiences are those of the configuration. The same
 * engine runs it as runs the gateway, over a store in memory. What goes to several devices is one
 * message.
 */
/* clang-format on */
#ifndef POSTERN_PLUGINS_OFFERS_STORY_H
#define POSTERN_PLUGINS_OFFERS_STORY_H

#include "plugins/offers/dispatch.h"

enum story_what {
	STORY_EVENT,
	STORY_EXPECT,
	STORY_MEMBER,
	STORY_CONSENT,
	STORY_NEWS,
	STORY_REPLY,
	STORY_UNSUBSCRIBE,
	STORY_BEGIN
};
enum story_when { STORY_NOW, STORY_DAY, STORY_DATE, STORY_CLOCK, STORY_AFTER };
enum story_wish {
	WISH_NOTHING,
	WISH_MESSAGE,
	WISH_RECEIPT,
	WISH_CASHIER,
	WISH_SUPPRESSED,
	WISH_COUNTER,
	WISH_STATUS,
	WISH_BALANCE
};
struct story_pair {
	struct str name, value;
	bool json; /* value is JSON, made of what stood in brackets */
};
struct wish {
	enum story_wish what;
	struct str name, text; /* template, counter or system; text or value */
	unsigned count;        /* of messages */
	int64_t number;        /* of a counter or balance: ten-thousandths */
	int media, hold;       /* -1: any */
};
struct clause {
	struct str text; /* as it was written */
	enum story_when when;
	int64_t day, clock; /* clock: ns since midnight, -1: not said */
	struct span after;
	enum story_what what;
	/* event, member */
	struct str raw; /* a whole event as JSON, instead of the rest; "" none */
	enum event_type type;
	const char *kind; /* of "phone.linked" and its like: "phone"; else "" */
	struct story_pair *pairs;
	size_t pairs_n;
	int alias; /* -1: the story's member */
	struct str who;
	struct span late;
	/* expect */
	struct wish *wishes;
	size_t wishes_n;
	/* agree, refuse */
	bool granted;
	int row, media; /* -1: all */
	/* delivered …, replied, unsubscribed */
	enum state state;
	struct str name, said;
};
struct story {
	struct clause *v;
	size_t n;
};
enum { STORY_TEXT = 8192, STORY_CLAUSES = 200 };
/* In the arena; NULL and why, with its column. Pure. */
struct story *story_parse(struct arena *a, struct str text, char *why, size_t cap);

/* Runs all stories of all offers and tasks; each that fails is a fault at its file and line: what
 * was expected, what happened, and when; a last one says how many. How many ran. rules: not
 * numbered yet, or not in use. */
unsigned stories_run(struct rules *r, struct conf_faults *f);
/* The stories of one offer or task (name "": of all), told in words: for `posternctl offers test`.
 * How many failed, of *n_r. */
unsigned stories_tell(struct rules *r, struct str name, struct buf *out, bool json, unsigned *n_r);
/* A story of all offers together, and so long after its end: what happens, line by line. 0, 1: it
 * failed, and out says where. */
unsigned stories_simulate(
	struct rules *r, struct str text, struct span after, struct buf *out, bool json);

#endif
