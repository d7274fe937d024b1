/* From "this is to be said to that member" to a message in a queue, or a reason why not.
 *
 * Picks the way out of `via` (contact present, valid, verified, not blocked; subscription; quiet
 * hours; caps), renders, notes it in of_sent (whose id is the idempotency key) and hands it to the
 * gateway, all in the unit of work. Offers, chains and tasks come through here, and nobody else
 * writes of_sent.
 */
#ifndef POSTERN_PLUGINS_OFFERS_DISPATCH_H
#define POSTERN_PLUGINS_OFFERS_DISPATCH_H

#include "gateway/model/outcome.h"
#include "gateway/model/state.h"
#include "plugins/offers/policy.h"

enum { ACTION_STEP = 1000 }; /* actions are told from steps by their number in of_sent */
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
	wall_t expires;              /* 0: the offer's, else the policy's */
	struct window *windows;      /* `at` of the step: an allowed window beside quiet hours */
	size_t windows_n;
	bool deliver_now; /* quiet hours do not hold it */
	/* When it could not leave at once, nothing is done nor noted: no message, no hold, and
	 * r->due says when to come again (tasks, whose amounts are to be read again then). */
	bool come_again;
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

/* Decided elsewhere that it is not sent (filter, next_if, offer over, stale …): noted like what
 * dispatch() decides. words: which value, may be "". 0, or -1 with w->e. */
int dispatch_hold(struct work *w, const struct sending *s, enum hold_reason why, const char *words,
	struct sent *r);
/* The key under which of_sent knows it: the same thing is never decided twice. Pure. */
uint64_t dispatch_id(const struct sending *s);

/* What would become of it: each way of `via`, in order, without doing anything; for why-not. */
struct prospect {
	enum media media;
	enum hold_reason hold;
	struct str address; /* the unit's; "" none */
	wall_t due;
	char words[120];
};
int dispatch_look(
	struct work *w, const struct sending *s, struct prospect out[VIA_MOST], unsigned *n_r);
/* May the offer's limits take one more? 1 yes, 0 no: words say which. */
int dispatch_limits(struct work *w, const struct sending *s, char *words, size_t cap);

/* News of a message that came from here. 1: *e_r (the caller's, event_drop) is what happened, for
 * member *member_r, to be worked on like any event; 0: nothing to be told. */
struct sent_news {
	uint64_t msg;
	enum state state;
	enum reason reason;
	wall_t at;
	struct str words; /* the far side's code or words, "" */
};
int sent_receipt(struct work *w, const struct sent_news *n, struct event **e_r, uint64_t *member_r);

/* That message has left: it is known as sent from now on. 1: it was thought to wait, 0, -1. */
int sent_left(struct work *w, uint64_t msg);

#endif
