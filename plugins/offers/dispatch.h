/* From "this is to be said to that member" to a message in a queue, or a reason why not.
 *
 * Picks the way out of `via` (contact present, valid, verified, not blocked; subscription; quiet
 * hours; caps), renders, notes it in of_sent (whose id is the idempotency key) and hands it to the
 * gateway, all in the unit of work. Offers, chains and tasks come through here, and nobody else
 * writes of_sent.
 */
#ifndef POSTERN_PLUGINS_OFFERS_DISPATCH_H
#define POSTERN_PLUGINS_OFFERS_DISPATCH_H

#include "plugins/offers/member.h"

/* Why something was not sent: a closed list; words go into of_sent and the metrics. */
enum hold_reason {
	HOLD_NONE,
	HOLD_NO_CONTACT, /* none of `via` can be reached */
	HOLD_CONSENT,
	HOLD_BLOCKED, /* address, channel or member */
	HOLD_QUIET,   /* and on_quiet = "drop" */
	HOLD_CAP,
	HOLD_LIMIT, /* of the offer */
	HOLD_OFFER_OVER,
	HOLD_FILTER,   /* the step's only_if */
	HOLD_MISSING,  /* a variable */
	HOLD_TOO_LONG, /* more parts than the template allows, or its alphabet */
	HOLD_MODERATION,
	HOLD_STALE,   /* due longer ago than max_lateness */
	HOLD_EXPIRED, /* held past its expiry */
	HOLD_NO_ROUTE,
	HOLD_LEFT,
	HOLD_NEXT_IF,
	HOLD_REASONS
};
const char *hold_word(enum hold_reason h);

struct sending {
	struct member *member;
	const struct event *event; /* may be NULL */
	uint32_t object;           /* of_name of the offer or task */
	const struct offer *offer; /* NULL for tasks */
	uint64_t run, key;
	unsigned step;
	enum class class;
	enum row row;
	const struct template *template;
	const struct via *via;
	const struct source *source; /* values for the template; see source.h */
	wall_t due;                  /* when it was meant to leave; may be past */
	wall_t expires;              /* 0: the policy's */
	struct window *windows;      /* `at` of the step: an allowed window beside quiet hours */
	size_t windows_n;
	bool deliver_now; /* quiet hours do not hold it */
	uint64_t receipt; /* hash; 0 none: once per receipt and offer */
};
struct sent {
	uint64_t id;  /* of_sent */
	uint64_t msg; /* 0: none was made */
	enum hold_reason hold;
	enum media media;
	wall_t due; /* when it may leave */
	bool again; /* that very thing was decided before: nothing new happened */
};
/* 0, or -1 with w->e. */
int dispatch(struct work *w, const struct sending *s, struct sent *r);

/* The verdict of policy alone: for submitters under policy = "marketing", for why-not. */
struct policy_case {
	struct member *member; /* NULL: unknown */
	uint64_t subject;      /* for caps: the member's id, or a hash of the address */
	enum class class;
	enum row row;
	enum media media;
	struct str address;
	wall_t due, expires;
	const struct window *windows;
	size_t windows_n;
	bool deliver_now;
};
struct policy_ruling {
	enum hold_reason hold; /* HOLD_NONE: it may go at `due` */
	wall_t due;            /* moved behind quiet hours */
	wall_t open_until;     /* the allowed window ends then; 0: none ends */
	char words[120];
};
int policy_judge(struct work *w, const struct policy_case *c, struct policy_ruling *v);
/* It goes: counted for the caps. */
int policy_touch(struct work *w, const struct policy_case *c, wall_t due, uint64_t msg);
/* When may a message of that class, held too long in a queue, leave now? Pure. */
wall_t policy_reopen(const struct rules *r, enum class class, enum media media, struct str address,
	const struct zone *z, wall_t now, wall_t *open_until_r);

#endif
