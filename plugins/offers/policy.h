/* Policy: the rules that no sender can forget: suppressed addresses, consent, quiet hours, caps.
 *
 * One verdict for all who send: offers and tasks (dispatch.h), and submitters whose account says
 * policy = "marketing". On the store writer, within one unit of work; the functions called pure
 * touch nothing and may be called by any thread. int: 0, or -1 with w->e when the store failed.
 */
#ifndef POSTERN_PLUGINS_OFFERS_POLICY_H
#define POSTERN_PLUGINS_OFFERS_POLICY_H

#include "plugins/offers/member.h"

/* Why something was not sent: a closed list; words go into of_sent and the metrics. */
enum hold_reason {
	HOLD_NONE,
	HOLD_NO_CONTACT, /* none of `via` can be reached */
	HOLD_CONSENT,
	HOLD_BLOCKED, /* address, channel or member */
	HOLD_QUIET,   /* and on_quiet = "drop", or no open hour within a week */
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
const char *hold_text(enum hold_reason h); /* a sentence for people */

struct policy_case {
	struct member *member; /* NULL: unknown */
	uint64_t subject;      /* for caps: policy_subject() */
	enum class class;
	enum row row;
	enum media media;
	struct str address;
	wall_t due;                   /* when it was meant to leave; may be past */
	wall_t expires;               /* 0: never */
	const struct window *windows; /* allowed hours beside quiet hours */
	size_t windows_n;
	bool deliver_now; /* quiet hours do not hold it */
	bool no_caps;     /* it was counted before: only the hour and consent are asked */
	uint64_t msg;     /* touches of that message do not count against it; 0: none */
};
struct policy_ruling {
	enum hold_reason hold; /* HOLD_NONE: it may go at `due` */
	wall_t due;            /* moved behind quiet hours and caps; not before w->now */
	wall_t open_until;     /* the allowed hours end then; 0: none end */
	char words[120];       /* what held or moved it; "" */
};
int policy_judge(struct work *w, const struct policy_case *c, struct policy_ruling *r);
/* It goes: counted for the caps, and to be found when its recipient withdraws. */
int policy_touch(struct work *w, const struct policy_case *c, wall_t due, uint64_t msg);
/* It did not go after all. */
int policy_untouch(struct work *w, uint64_t subject, uint64_t msg);
/* Whom caps count: the member, or the address while nobody is known by it. */
uint64_t policy_subject(const struct member *m, struct str address);

/* When may a message of that class, held too long in a queue, leave now? 0: there is no such hour.
 * Pure. */
wall_t policy_reopen(const struct rules *r, enum class class, enum media media, struct str address,
	const struct zone *z, wall_t now, wall_t *open_until_r);

/* What a queued message carries so that it is judged again when its turn comes (plugin_put_gate()):
 * class, row, medium, country, member, zone, hours. At most `most` octets: hours that do not fit
 * are left out. */
void policy_gate_put(
	struct buf *b, const struct rules *r, const struct policy_case *c, size_t most);
/* plugin->gate(): when it may leave; 0: now. Pure. */
wall_t policy_gate(const struct rules *r, struct str more, wall_t now);
/* What a network has to approve of is asked about at each turn: the gate of such a message is never
 * open, and this stands before what policy_gate_put() put, if anything. hours_until: when that is
 * to be asked, too; 0: never. */
void policy_gate_moderated(struct buf *b, wall_t hours_until);
/* Parked until its template is approved again: when to look again; 0: nothing is against it. Takes
 * the words of policy_gate_moderated() off *more; what is not to be asked now, too. */
wall_t policy_gate_parked(const struct rules *r, const struct message *m, wall_t now,
	struct str *more, struct outcome *why_r);

/* The same questions, each with its value, for people: member, consent, suppression, hours, caps.
 */
enum policy_says { POLICY_NO, POLICY_YES, POLICY_FACT };
int policy_explain(struct work *w, const struct policy_case *c,
	void (*says)(void *ctx, enum policy_says v, const char *what, const char *words),
	void *ctx);

/* Other senders: what the marketing policy says of their message. And of one attempt of a cascade
 * that dispatch() made: `more` is what its gate says, else empty. *w's owner hands both on. */
struct plugin_policy;
struct message;
int policy_submitted(
	struct work *w, const struct message *m, struct str more, struct plugin_policy *p_r);
/* What is asked then; in the unit's arena. */
int policy_case_of(
	struct work *w, const struct message *m, struct str more, struct policy_case *c_r);

#endif
